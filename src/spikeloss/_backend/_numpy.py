"""NumPy, and what every other library shares with it."""

from typing import Any

from spikeloss._shapes import Array

_HALVES = ("bfloat16", "float16")


class Library:
    """What spikeloss needs of an array library; NumPy's answers are the defaults."""

    name = "numpy"
    averages = False

    def __init__(self) -> None:
        import array_api_compat.numpy as xp

        self.xp: Any = xp

    def unwrap(self, x: Array) -> Array:
        return x

    def kind(self, x: Array) -> str:
        """One of "float", "half", "integer", "bool", "other"."""
        if x.dtype.name in _HALVES:
            return "half"
        return {"f": "float", "i": "integer", "u": "integer", "b": "bool"}.get(
            x.dtype.kind, "other"
        )

    def readable(self, x: Array) -> bool:
        """Whether the values of `x` can be read now, and cheaply."""
        return True

    def concrete(self, x: Array) -> bool:
        """Whether `x` has values at all, rather than standing for them under tracing."""
        return True

    def place(self, x: Array) -> Any:
        """The device argument that puts a new array beside `x`."""
        return None

    def device(self, x: Array) -> str:
        """Where `x` lives, in words; empty where the library decides that itself."""
        return "cpu"

    def dense(self, x: Array) -> bool:
        return True

    def extent(self, x: Array) -> tuple[Any, Any]:
        read = x.__array__()
        return read.min().item(), read.max().item()

    def constant(self, x: Array) -> Array:
        return x

    def arange(self, count: int, x: Array) -> Array:
        return self.xp.arange(count, device=self.place(x))

    def like(self, values: Any, x: Array, dtype: Any) -> Array:
        return self.xp.asarray(values, dtype=dtype, device=self.place(x))

    def by_class(self, label: Array, z: Array, on: Any, off: Any) -> Array:
        xp, classes = self.xp, z.shape[-1]
        known = (label >= 0) & (label < classes)
        label = label[..., None]
        on, off = self.like(on, z, z.dtype), self.like(off, z, z.dtype)
        y = xp.where(label == self.arange(classes, z), on, off)
        return y if self.concrete(label) else xp.where(known[..., None], y, xp.nan)

    def total(self, x: Array) -> Array:
        # NumPy adds rows up one by one.
        wide = x.dtype == self.xp.float32
        found = self.xp.sum(x, axis=0, dtype=self.xp.float64 if wide else None)
        return self.as_array(found, x.dtype) if wide else found

    def lost(self, a: Array, b: Array) -> Array:
        with self.xp.errstate(invalid="ignore", over="ignore"):
            return self._lost(a, b)

    def _lost(self, a: Array, b: Array) -> Array:
        total = a + b
        of_b = total - a
        rest = (a - (total - of_b)) + (b - of_b)
        return self.xp.where(self.xp.isfinite(rest), rest, 0)

    def product(self, a: Array, b: Array) -> Array:
        return a @ b

    def squared_distances(self, x: Array) -> Array:
        def from_one(carry: Any, row: Any) -> tuple[Any, Array]:
            return carry, self.xp.sum((x - row[0]) ** 2, axis=-1)

        return self.scan(from_one, (), (x,))[1]

    def squared_difference(self, z: Array, y: Array, mean: bool) -> Array:
        return (z - y) ** 2

    def log_softmax(self, z: Array) -> Array:
        xp = self.xp
        with xp.errstate(invalid="ignore", divide="ignore", over="ignore"):
            shifted = z - xp.max(z, axis=-1, keepdims=True)
            return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))

    def as_array(self, x: Array, dtype: Any) -> Array:
        return self.xp.asarray(x, dtype=dtype)

    def running_sum(self, x: Array) -> Array:
        return self.xp.cumulative_sum(x, axis=0)

    def index(self, label: Array) -> Array:
        return self.xp.astype(label, int, copy=False)

    def surprise(self, z: Array, label: Array, mean: bool) -> Array:
        label = self.xp.broadcast_to(label[..., None], (*z.shape[:-1], 1))
        return -self.xp.take_along_axis(self.log_softmax(z), label, axis=-1)

    def accumulate(self, values: Array, index: Array, size: int) -> Array:
        sums = self.xp.zeros(size + 1, dtype=values.dtype)
        self.xp.add.at(sums, index, values)
        return sums[:size]

    def scatter(self, values: Array, index: Array, size: int, fill: float) -> Array:
        filled = self.xp.full(size + 1, fill, dtype=values.dtype)
        filled[index] = values
        return filled[:size]

    def ctc(self, log_p: Array, labels: Array, steps: Array, count: Array, blank: int) -> Array:
        xp, (size, width) = self.xp, labels.shape
        rows, place = xp.arange(size), xp.arange(2 * width + 1)
        state = xp.full((size, len(place)), blank)  # blank, label, blank, label, ... blank
        state[:, 1::2] = labels
        leap = xp.zeros(state.shape, dtype=bool)  # past the blank between two labels
        leap[:, 3::2] = labels[:, 1:] != labels[:, :-1]
        before = xp.where(place == 0, 0.0, -xp.inf) + xp.zeros((size, 1))
        for t, now in enumerate(log_p):
            one, two = xp.full_like(before, -xp.inf), xp.full_like(before, -xp.inf)
            one[:, 1:], two[:, 2:] = before[:, :-1], before[:, :-2]
            if t == 0:
                paths = xp.where(place < 2, 0.0, -xp.inf)
            else:
                paths = xp.logaddexp(xp.logaddexp(before, one), xp.where(leap, two, -xp.inf))
            after = paths + now[rows[:, None], state]
            before = xp.where((t < steps)[:, None], after, before)
        last = xp.where(count > 0, before[rows, 2 * count - 1], -xp.inf)
        return -self.xp.logaddexp(last, before[rows, 2 * count]).astype(log_p.dtype)

    def scan(self, step: Any, carry: Any, given: tuple[Array, ...]) -> tuple[Any, Array]:
        found = []
        for each in zip(*map(self.xp.unstack, given), strict=True):
            carry, new = step(carry, each)
            found.append(new)
        return carry, self.xp.stack(found)

    def at(self, x: Array, step: Array) -> Array:
        return self.xp.take_along_axis(x, step, axis=0)

    def maximum(self, x: Array) -> Array:
        return self.xp.max(x, axis=0)

    def first_nonzero(self, x: Array) -> Array:
        xp, steps = self.xp, x.shape[0]
        t = xp.arange(steps, dtype=xp.int32, device=self.place(x))
        t = xp.reshape(t, (steps,) + (1,) * (x.ndim - 1))
        return xp.min(xp.where(x != 0, t, steps), axis=0)
