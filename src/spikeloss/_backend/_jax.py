"""What JAX does in a way of its own."""

from typing import Any

from spikeloss._shapes import Array

from ._base import Lack
from ._numpy_like import NumPyLike


class Jax(NumPyLike):
    name = "jax"
    module = "jax.numpy"
    article = "a JAX array"
    converter = "jax.numpy.asarray"
    takes = ("numpy",)

    def __init__(self) -> None:
        import jax

        self.jax: Any = jax
        self.xp = jax.numpy

    def unwrap(self, x: Array) -> Array:
        """Containers such as brainpy's `Array` give their JAX array by the `__jax_array__` rule."""
        is_jax = isinstance(x, (self.jax.Array, self.jax.core.Tracer))
        return x if is_jax else x.__jax_array__()

    def readable(self, x: Array) -> bool:
        return self.concrete(x) and self.device(x) == "cpu"

    def concrete(self, x: Array) -> bool:
        return not isinstance(x, self.jax.core.Tracer)

    def settled(self, x: Array) -> Array:
        return x.__array__()  # in a function that is compiled JAX traces what is done to constants

    def device(self, x: Array) -> str:
        # Arrays of several devices and tracers are placed by JAX itself.
        devices = x.devices() if self.concrete(x) else ()
        return next(iter(devices)).platform if devices else ""

    def beside(self, values: Any, x: Array) -> Array:
        # Integers of NumPy that JAX has no room for would become others.
        most = self.xp.iinfo(self.xp.arange(0).dtype).max
        if getattr(getattr(values, "dtype", None), "kind", "") in ("i", "u") and values.size:
            values = values.clip(None if values.min() >= -most else -most, most)
        return super().beside(values, x)

    def signature(self, x: Array) -> Any:
        native = isinstance(x, self.jax.Array) and self.concrete(x)
        return (x.shape, x.dtype) if native else None

    def across(
        self, x: Array, names: str | tuple[str, ...], averaged: bool, sums: tuple[bool, ...]
    ) -> tuple[Array, Array | None] | Lack:
        try:
            total = self.jax.lax.psum(x, names)
        except NameError:
            fix = "Call it inside of jax.shard_map, jax.pmap or jax.vmap(axis_name=...)."
            return Lack("the name of an axis that is mapped here", repr(names), fix)
        # The transpose of a sum is a sum, of the slopes of all ranks: right for what is averaged.
        # Where the types of JAX tell apart what varies over an axis, it is no sum, and right.
        if not averaged and not self._varies(x, names):
            shared = self.jax.custom_jvp(lambda part, total: total)
            shared.defjvps(lambda slope, *_: slope, None)
            total = shared(x, total)
        return total, None

    def _varies(self, x: Array, names: str | tuple[str, ...]) -> bool:
        """Whether it is known to be one thing on one device of an axis, and another on others."""
        kind = getattr(self.jax, "typeof", self.xp.shape)(x)  # where types have no axes yet
        axes = getattr(kind, "vma", ())  # as it was called before jax 0.10
        axes = getattr(getattr(kind, "manual_axis_type", None), "varying", axes)
        return any(name in axes for name in ((names,) if isinstance(names, str) else names))

    def spoiled(self, y: Array, label: Array, known: Array) -> Array:
        # A nan that XLA's compiler for the CPU knows it takes for what cannot be, and may leave out
        # what is computed from it; so this one is the root of a label.
        wrong = self.xp.where(label < 0, label, -1 - label)
        return self.xp.where(known, y, self.xp.sqrt(self.xp.astype(wrong, y.dtype)))

    def constant(self, x: Array) -> Array:
        return self.jax.lax.stop_gradient(x)

    def slope(self, function: Any, x: Array) -> Array | None:
        found: Array = self.jax.grad(lambda x: self.xp.sum(function(x)))(x)
        return found

    def copied(self, x: Array) -> Array:
        """An array of NumPy, or of JAX, as one that derivatives can be of."""
        return self.xp.asarray(x)

    def log_softmax(self, z: Array) -> Array:
        return self.jax.nn.log_softmax(z, axis=-1)

    def count_true(self, mask: Array) -> Array:
        return self.xp.sum(mask, axis=0)

    def time_sum(self, x: Array) -> Array:
        return self.xp.sum(x, axis=0)

    def product(self, a: Array, b: Array) -> Array:
        return self.xp.matmul(a, b, precision="highest")

    def maximum(self, x: Array) -> Array:
        # The maximum's own derivative is shared among ties; this is twice as fast as `argmax`.
        top = self.constant(self.xp.max(x, axis=0))
        first = self.first_nonzero(x == top)
        # A column with nan has no step that equals its maximum, nan; any index will do.
        reached = self.at(x, self.xp.where(first < x.shape[0], first, 0)[None])[0]
        return self.xp.where(self.xp.isnan(top), top, reached)

    def accumulate(self, values: Array, index: Array, size: int) -> Array:
        return self.xp.zeros(size + 1, values.dtype).at[index].add(values)[:size]

    def scatter(self, values: Array, index: Array, size: int, fill: float) -> Array:
        return self.xp.full(size + 1, fill, values.dtype).at[index].set(values)[:size]

    def scan(self, step: Any, carry: Any, given: tuple[Array, ...]) -> tuple[Any, Array]:
        if all(map(self.concrete, given)):  # where every call would be compiled anew
            return super().scan(step, carry, given)
        carry, found = self.jax.lax.scan(step, carry, given)
        return carry, found

    def ctc(self, log_p: Array, labels: Array, steps: Array, count: Array, blank: int) -> Array:
        import optax

        t, place = self.xp.arange(len(log_p)), self.xp.arange(labels.shape[1])
        late = self.xp.astype(t >= steps[:, None], log_p.dtype)
        rest = self.xp.astype(place >= count[:, None], log_p.dtype)
        log_p = self.xp.maximum(log_p, -1e5)  # minus infinity gives nan there
        loss = optax.ctc_loss(log_p.swapaxes(0, 1), late, labels, rest, blank_id=blank)
        twice = (labels[:, 1:] == labels[:, :-1]) & (rest[:, 1:] == 0)  # a blank between them
        short = steps < count + self.xp.sum(twice, axis=1)
        return loss * self.xp.where(short, self.xp.inf, 1)

    def surprise(self, z: Array, label: Array, valid: Array | None) -> Array:
        xp = self.xp
        if valid is not None:
            return super().surprise(z, label, valid)
        # Traced labels cannot be checked; one that is out of range gives nan, not another class.
        label = xp.where(label < 0, z.shape[-1], label)
        label = xp.broadcast_to(label[..., None], (*z.shape[:-1], 1))
        z_y = xp.take_along_axis(z, label, axis=-1, mode="fill")[..., 0]
        # log sum_c exp z_c - z_y: half the passes of a log-softmax, of which one entry is used; on
        # rows without their last axis, which XLA computes with all threads of the CPU.
        top = self.constant(xp.max(z, axis=-1))
        surprise = xp.log(xp.sum(xp.exp(z - top[..., None]), axis=-1)) + (top - z_y)
        return surprise[..., None]
