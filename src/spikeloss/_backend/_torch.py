"""What PyTorch does in a way of its own."""

import math
from typing import Any

from spikeloss._shapes import Array

from ._base import Library

_LARGE = 500_000  # entries of a record that no longer fits into a cache


class Torch(Library):
    name = module = "torch"
    article = "a torch tensor"
    noun = "a tensor"
    converter = "torch.as_tensor"
    averages = True  # in one operation, with one backward, of the many that a mean would add

    def __init__(self) -> None:
        import array_api_compat.torch as xp
        import torch

        self.torch: Any = torch
        self.xp = xp
        self._kinds = {
            torch.float32: "float",
            torch.float64: "float",
            torch.float16: "half",
            torch.bfloat16: "half",
            torch.bool: "bool",
        }
        self._no_label = torch.iinfo(torch.int64).min
        self._compiling = torch.compiler.is_compiling
        self._wrapped = torch._C._functorch.is_functorch_wrapped_tensor
        self._fake = torch._subclasses.fake_tensor.FakeTensor

    def cast(self, argument: str, x: Array, to: str) -> str:
        if x.dtype.is_complex:
            return f"Write {argument}.real."
        return f"Write {argument}.{'long' if to == 'int' else 'float'}()."

    def move(self, argument: str, x: Array) -> str:
        return f"Write {argument}.to({self.device(x)!r})."

    def kind(self, x: Array) -> str:
        known = self._kinds.get(x.dtype)
        if known is not None:
            return known
        return "other" if x.dtype.is_floating_point or x.dtype.is_complex else "integer"

    def readable(self, x: Array) -> bool:
        return bool(x.is_cpu) and self.concrete(x)

    def concrete(self, x: Array) -> bool:
        if self._compiling() or self._wrapped(x) or isinstance(x, self._fake):
            return False
        return not x.is_meta

    def device(self, x: Array) -> str:
        return "cpu" if x.is_cpu else str(x.device)

    def dense(self, x: Array) -> bool:
        return bool(x.layout == self.torch.strided)

    def extent(self, x: Array) -> tuple[Any, Any]:
        low, high = x.aminmax()
        return low.item(), high.item()

    def constant(self, x: Array) -> Array:
        return x.detach()

    def arange(self, count: int, x: Array) -> Array:
        return self.torch.arange(count, device=x.device)

    def like(self, values: Any, x: Array, dtype: Any) -> Array:
        if isinstance(values, (int, float)):
            return x.new_full((), values, dtype=dtype)
        if isinstance(values, self.torch.Tensor):
            return values.to(x.device, dtype)
        return self.torch.asarray(values, dtype=dtype, device=x.device)

    def by_class(self, label: Array, z: Array, on: Any, off: Any) -> Array:
        plain = isinstance(on, (int, float)) and isinstance(off, (int, float))
        if not (plain and self.concrete(label)):
            return super().by_class(label, z, on, off)
        y = self.torch.full((*label.shape, z.shape[-1]), off, dtype=z.dtype, device=z.device)
        return y.scatter_(-1, label[..., None], on)

    def total(self, x: Array) -> Array:
        return x.sum(0)

    def carried(self, value: Array, rest: Array, x: Array) -> tuple[Array, Array]:
        if not self._widens(x):
            return super().carried(value, rest, x)
        total = value + x
        wide = value.detach().double() + rest + x.detach()
        moved = (wide - total.detach()).nan_to_num(0.0, 0.0, 0.0).float()
        total = total + moved
        return total, (wide - total.detach()).nan_to_num(0.0, 0.0, 0.0).float()

    def precise_total(self, x: Array) -> Array:
        if not self._widens(x):
            return super().precise_total(x)
        return x.sum(0, dtype=self.torch.float64).float()

    def _widens(self, x: Array) -> bool:
        """Whether there is float64 to compute in."""
        return bool(x.dtype == self.torch.float32) and x.device.type != "mps"

    def product(self, a: Array, b: Array) -> Array:
        if not self.torch.is_autocast_enabled(a.device.type):
            return a @ b
        # Without autocast here the derivative would still be cast; what is float64 never is.
        return (a.double() @ b.double()).to(a.dtype)

    def squared_distances(self, x: Array) -> Array:
        exact = "donot_use_mm_for_euclid_dist"
        return self.torch.cdist(x, x, compute_mode=exact).square()

    def squared_difference(self, z: Array, y: Array, mean: bool) -> Array:
        # One pass forward and one backward, where (z - y) ** 2 takes two and four.
        reduction = "mean" if mean else "none"
        return self.torch.nn.functional.mse_loss(z, y.expand_as(z), reduction=reduction)

    def log_softmax(self, z: Array) -> Array:
        if _narrow(z):
            return self._transposed_log_softmax(z).movedim(0, -1)
        return self.torch.log_softmax(z, -1)

    def _transposed_log_softmax(self, z: Array) -> Array:
        """Classes first, which is several times faster where rows are narrow."""
        return self.torch.log_softmax(z.movedim(-1, 0).contiguous(), 0)

    def as_array(self, x: Array, dtype: Any) -> Array:
        return x.to(dtype)

    def running_sum(self, x: Array) -> Array:
        # Not the compatibility layer's, which warns under torch.compile.
        return self.torch.cumsum(x, 0)

    def index(self, label: Array) -> Array:
        if label.dtype != self.torch.uint64:
            return label.long()
        label = label.view(self.torch.int64)  # where numbers too large for it are negative
        return self.torch.where(label < 0, self.torch.iinfo(self.torch.int64).max, label)

    def surprise(self, z: Array, label: Array, mean: bool) -> Array:
        if self.concrete(label):
            return self._surprise(z, label, mean)
        known = (label >= 0) & (label < z.shape[-1])
        value = self._surprise(z, self.torch.where(known, label, 0), False)
        value = value * self.torch.where(known, 1.0, math.nan)[..., None]
        return value.mean() if mean else value

    def _surprise(self, z: Array, label: Array, mean: bool) -> Array:
        *rows, classes = z.shape
        if _narrow(z):
            log_p, index = self._transposed_log_softmax(z), label.expand(1, *rows)
            chosen = self.torch.gather(log_p, 0, index)
            return chosen.mean().neg() if mean else chosen.neg().view(*rows, 1)
        if z.ndim != 2 or label.ndim != 1:
            z, label = z.reshape(-1, classes), label.expand(rows).reshape(-1)
        value = self.torch.nn.functional.nll_loss(
            self.log_softmax(z),
            label,
            ignore_index=self._no_label,  # its default is a number that a slip can produce
            reduction="mean" if mean else "none",
        )
        return value if mean else value.view(*rows, 1)

    def accumulate(self, values: Array, index: Array, size: int) -> Array:
        return values.new_zeros(size + 1).index_add(0, index, values)[:size]

    def scatter(self, values: Array, index: Array, size: int, fill: float) -> Array:
        return values.new_full((size + 1,), fill).scatter(0, index, values)[:size]

    def ctc(self, log_p: Array, labels: Array, steps: Array, count: Array, blank: int) -> Array:
        # The native one has no batching rule, no forward and no second derivative.
        forward = self.torch.autograd.forward_ad._current_level >= 0
        if forward or 0 in log_p.shape or not all(map(self.concrete, (log_p, labels, steps))):
            return super().ctc(log_p, labels, steps, count, blank)
        return self.torch.nn.functional.ctc_loss(log_p, labels, steps, count, blank, "none")

    def unstack(self, x: Array) -> Any:
        return x.unbind(0)

    def padded(self, ragged: Any) -> tuple[Array, Array]:
        if not isinstance(ragged, self.torch.Tensor):
            x, lengths = self.torch.nn.utils.rnn.pad_packed_sequence(ragged)
            return x, lengths.to(x.device)
        if ragged.layout == self.torch.jagged:
            lengths = ragged.offsets().diff()
        else:
            lengths = self.torch.tensor([len(x) for x in ragged.unbind()], device=ragged.device)
        return self.torch.nested.to_padded_tensor(ragged, 0.0).movedim(1, 0), lengths

    def at(self, x: Array, step: Array) -> Array:
        return self.torch.gather(x, 0, step.long())

    def maximum(self, x: Array) -> Array:
        return self.torch.max(x, 0).values  # those of the first maxima, as is documented

    def first_nonzero(self, x: Array) -> Array:
        # Compilers fuse the plain form, and `vmap` has no rule for comparisons in place.
        if not self.concrete(x):
            return super().first_nonzero(x)
        x = x.detach()
        if x.numel() < _LARGE or len(x) < 4:
            return self._first_nonzero(x)
        # Which stretch of about sqrt(T) steps, then which step in it: one pass that writes little.
        size = math.isqrt(len(x))
        whole, last = x[: len(x) // size * size].reshape(-1, size, *x.shape[1:]), x[-size:]
        high = self.torch.cat([whole.amax(1), last.amax(0)[None]])
        low = self.torch.cat([whole.amin(1), last.amin(0)[None]])
        stretch = self._first_nonzero(high.clamp_(min=0).sub_(low.clamp_(max=0)))
        start = (stretch * size).clamp_(max=len(x) - size)
        within = self.torch.arange(size, device=x.device).view(-1, *(1,) * start.ndim)
        first = self._first_nonzero(self.torch.gather(x, 0, start + within)).add_(start)
        return self.torch.where(stretch < len(low), first, len(x))

    def _first_nonzero(self, x: Array) -> Array:
        # T + min_t (t - T) spike_t, spike_t = 0 or 1 in the dtype of the record: on the CPU a mask
        # of bools and a selection by it are each 5 to 20 times slower than a multiplication.
        steps = len(x)
        before = self.torch.arange(-steps, 0, dtype=x.dtype, device=x.device)
        before = before.view(-1, *(1,) * (x.ndim - 1))
        spike = self.torch.ne(x, 0, out=self.torch.empty_like(x))
        return spike.mul_(before).amin(0).add_(steps).long()


def _narrow(z: Array) -> bool:
    """Whether torch's softmax over the last axis takes its scalar path, for rows shorter than a
    vector register, and so many of them that it is worth a transposition."""
    return bool(z.shape[-1] < 16 and z.numel() >= 8192 and z.is_cpu)
