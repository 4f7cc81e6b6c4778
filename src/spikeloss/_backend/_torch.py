"""What PyTorch does in a way of its own."""

import math
from typing import Any

from spikeloss._shapes import Array

from ._base import Lack, Library

_SMALL = 50_000  # entries that are computed in less time than a function of torch's takes to call
_FEW = 16_384  # entries of a decision that one thread computes sooner than many do
_LARGE = 500_000  # entries of a record that no longer fits into a cache


class Torch(Library):
    name = module = "torch"
    article = "a torch tensor"
    noun = "a tensor"
    converter = "torch.as_tensor"

    def __init__(self) -> None:
        import array_api_compat.torch as xp
        import torch

        from . import _torch_functions, _torch_ranks

        self.torch: Any = torch
        self.xp = xp
        self._kinds = {
            torch.float32: "float",
            torch.float64: "float",
            torch.float16: "half",
            torch.bfloat16: "half",
            torch.bool: "bool",
        }
        self._bits = {torch.float32: torch.int32, torch.float64: torch.int64}
        self.functions: Any = _torch_functions
        self.ranks: Any = _torch_ranks
        self._no_label = torch.iinfo(torch.int64).min
        self._compiling = torch.compiler.is_compiling
        self._wrapped = torch._C._functorch.is_functorch_wrapped_tensor
        self._plain = torch.Tensor
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
        if type(x) is self._plain:
            return bool(x.is_cpu) and not self._compiling() and not self._wrapped(x)
        return bool(x.is_cpu) and self.concrete(x)

    def concrete(self, x: Array) -> bool:
        if self._compiling() or self._wrapped(x) or x.is_meta:
            return False
        return type(x) is self._plain or not isinstance(x, self._fake)

    def device(self, x: Array) -> str:
        return "cpu" if x.is_cpu else str(x.device)

    def dense(self, x: Array) -> bool:
        return bool(x.layout == self.torch.strided)

    def extent(self, x: Array) -> tuple[Any, Any]:
        low, high = x.aminmax()
        return low.item(), high.item()

    def listed(self, x: Array) -> Any:
        return x.tolist()

    def constant(self, x: Array) -> Array:
        return x.detach()

    def slope(self, function: Any, x: Array) -> Array | None:
        with self.torch.inference_mode(False), self.torch.enable_grad():
            x = x.detach().clone().requires_grad_()
            value = function(x).sum()
            found = None
            if value.requires_grad:
                (found,) = self.torch.autograd.grad(value, x, allow_unused=True)
        return self.torch.zeros_like(x.detach()) if found is None else found

    def copied(self, x: Array) -> Array:
        """An array of NumPy, or a tensor of inference mode, as one that derivatives can be of."""
        if not isinstance(x, self.torch.Tensor):
            return self.torch.tensor(x)
        with self.torch.inference_mode(False):
            return x.clone() if x.is_inference() else x

    def arange(self, count: int, x: Array) -> Array:
        return self.torch.arange(count, device=x.device)

    def like(self, values: Any, x: Array, dtype: Any) -> Array:
        if isinstance(values, (int, float)):
            return x.new_full((), values, dtype=dtype)
        if isinstance(values, self.torch.Tensor):
            return values.to(x.device, dtype)
        return self.torch.asarray(values, dtype=dtype, device=x.device)

    def by_class(self, label: Array, classes: int, like: Array, on: Any, off: Any) -> Array:
        levels = [each for each in (on, off) if not isinstance(each, (int, float))]
        if not all(map(self.concrete, (label, *levels))):
            return super().by_class(label, classes, like, on, off)
        shape, label = (*label.shape, classes), label[..., None]
        if isinstance(off, (int, float)):
            y = self.torch.full(shape, off, dtype=like.dtype, device=like.device)
        else:
            y = off.to(like.dtype).expand(shape).clone(memory_format=self.torch.contiguous_format)
        if not isinstance(on, (int, float)):
            on = on.to(like.dtype).expand(label.shape)
        return y.scatter_(-1, label, on)

    def signature(self, x: Array) -> Any:
        plain = type(x) is self._plain or not isinstance(x, self._fake)
        if not plain or x.is_nested or self._compiling() or self._wrapped(x):
            return None
        return x.shape, x.dtype, x.device, x.layout

    def across(
        self, x: Array, names: str | tuple[str, ...], averaged: bool, sums: tuple[bool, ...]
    ) -> tuple[Array, Array | None] | Lack:
        found: tuple[Array, Array] | Lack = self.ranks.across(x, names, averaged, sums)
        return found

    def select(self, valid: Array, x: Array, fill: float) -> Array:
        known = x.is_cpu and x.dtype in self._bits and self.concrete(x) and self.concrete(valid)
        if not known:
            return self.torch.where(valid, x, fill)
        # By bits, which takes a third of the time; see `keep`.
        here = self.functions.Selection.apply(x, valid.to(self._bits[x.dtype]).neg_())
        return here if fill == 0 else here.add_(self.torch.where(valid, 0.0, fill).to(x.dtype))

    def _derived(self, x: Array, *others: Array) -> bool:
        """Whether x is a plain tensor of which a derivative is to be taken, backwards."""
        if not x.requires_grad or not self.torch.is_grad_enabled():
            return False
        forward = self.torch.autograd.forward_ad._current_level >= 0
        return not forward and all(map(self.concrete, (x, *others)))

    def where(self, condition: Array, a: Any, b: Any) -> Array:
        return self.torch.where(condition, a, b)  # what the compatibility layer adds takes longer

    def or_nonzero(self, known: Array, x: Array) -> Array:
        return self.torch.logical_or(known, x)

    def mean_of_all(self, x: Array, parts: int) -> Array:
        return x.mean() if parts == 1 else x.sum() / (x.numel() * parts)

    def begun(self, x: Array) -> tuple[Array, Array | None]:
        return (x.double(), None) if self._widens(x) else super().begun(x)

    def time_sum(self, x: Array) -> Array:
        return x.sum(0)

    def count_true(self, mask: Array) -> Array:
        # A sum makes a copy in its dtype first: the smaller, the less time and memory that takes.
        short = len(mask) <= self.torch.iinfo(self.torch.int16).max
        return mask.sum(0, dtype=self.torch.int16 if short else self.torch.int32).long()

    def carried(self, value: Array, rest: Array, x: Array) -> tuple[Array, Array]:
        if not self._widens(x):
            return super().carried(value, rest, x)
        total = value + x
        wide = value.detach().double() + rest + x.detach()
        moved = (wide - total.detach()).nan_to_num(0.0, 0.0, 0.0).float()
        total = total + moved
        return total, (wide - total.detach()).nan_to_num(0.0, 0.0, 0.0).float()

    def precise_sum(self, x: Array) -> Array:
        if not self._widens(x):
            return super().precise_sum(x)
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

    def squared_difference(self, z: Array, y: Array, valid: Array | None) -> Array:
        small = valid is None and not z.requires_grad and not self._compiling()
        if small and z.numel() < _SMALL:
            error = z - y
            return error * error
        # One pass forward and one backward, where (z - y) ** 2 takes two and four.
        mse = self.torch.nn.functional.mse_loss
        if valid is None:
            return mse(z, y if y.shape == z.shape else y.expand_as(z), reduction="none")
        if self._derived(z, y, valid):
            return self.functions.Squares.apply(z, y, valid)
        error = self.select(valid, z - y, 0.0)
        return error * error

    def log_softmax(self, z: Array) -> Array:
        if self._narrow(z):
            return self._transposed_log_softmax(z).movedim(0, -1)
        return self.torch.log_softmax(z, -1)

    def softmax(self, z: Array, valid: Array | None) -> Array:
        if not self._derived(z, *(() if valid is None else (valid,))):
            return super().softmax(z, valid)
        if not self._narrow(z):
            return self.functions.Softmax.apply(z, valid, -1)
        valid = None if valid is None else valid.movedim(-1, 0)
        return self.functions.Softmax.apply(z.movedim(-1, 0), valid, 0).movedim(0, -1)

    def exponential(self, x: Array, shift: Array) -> Array:
        return (x - shift).exp_()

    def _narrow(self, z: Array) -> bool:
        """Whether a transposition costs less than torch's softmax over the last axis: of rows that
        are shorter than a vector register, and of so few entries that they are computed before the
        threads that it calls have woken up; for any number of threads, as numbers then agree."""
        small = z.shape[-1] < 16 or z.numel() < _FEW
        return bool(small and z.is_cpu and not self._compiling())

    def _transposed_log_softmax(self, z: Array) -> Array:
        """Classes first, which is several times faster where rows are narrow."""
        z = z.t() if z.ndim == 2 else z.movedim(-1, 0)
        return self.torch.log_softmax(z if z.ndim == 2 else z.contiguous(), 0)

    def as_array(self, x: Array, dtype: Any) -> Array:
        return x if x.dtype == dtype else x.to(dtype)

    def running_sum(self, x: Array) -> Array:
        # Not the compatibility layer's, which warns under torch.compile. Whole numbers would
        # otherwise be added up in int64, twice the memory of int32.
        return self.torch.cumsum(x, 0, dtype=x.dtype)

    def index(self, label: Array) -> Array:
        if label.dtype != self.torch.uint64:
            return label.long()
        label = label.view(self.torch.int64)  # where numbers too large for it are negative
        return self.torch.where(label < 0, self.torch.iinfo(self.torch.int64).max, label)

    def surprise(self, z: Array, label: Array, valid: Array | None) -> Array:
        masks = () if valid is None else (valid,)
        if z.numel() >= _SMALL and self._derived(z, label, *masks):
            return self._lean_surprise(z, label, valid)
        if valid is not None:
            value = self.surprise(self.select(valid, z, 0.0), label, None)
            return self.torch.where(valid, value, 0.0)
        if not self.concrete(label):
            known = (label >= 0) & (label < z.shape[-1])
            value = self._surprise(z, self.torch.where(known, label, 0))
            return value * self.torch.where(known, 1.0, math.nan)[..., None]
        return self._surprise(z, label)

    def _lean_surprise(self, z: Array, label: Array, valid: Array | None) -> Array:
        """As `_surprise`, in the memory of one array like z, and of the gradient."""
        label = label.expand(z.shape[:-1])[..., None]
        if not self._narrow(z):
            return self.functions.Surprise.apply(z, label, valid, -1)[0]
        valid = None if valid is None else valid.movedim(-1, 0)
        z, label = z.movedim(-1, 0), label.movedim(-1, 0)
        return self.functions.Surprise.apply(z, label, valid, 0)[0].movedim(0, -1)

    def _surprise(self, z: Array, label: Array) -> Array:
        rows, classes = z.shape[:-1], z.shape[-1]
        if self._narrow(z):
            z = z[0] if rows[:-1] == (1,) else z  # a step of a stream
            chosen = self._transposed_log_softmax(z).gather(0, label.expand(1, *z.shape[:-1]))
            return chosen.neg().view(*rows, 1)
        if len(rows) != 1 or label.ndim != 1:
            z, label = z.reshape(-1, classes), label.expand(rows).reshape(-1)
        value = self.torch.nn.functional.cross_entropy(
            z,
            label,
            ignore_index=self._no_label,  # its default is a number that a slip can produce
            reduction="none",
        )
        return value.view(*rows, 1)

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
        derived = x.requires_grad or self.torch.autograd.forward_ad._current_level >= 0
        if not derived and self.concrete(x):
            return x.amax(0)  # ten times faster, but its derivative is shared among ties
        return self.torch.max(x, 0).values  # those of the first maxima, as is documented

    def spike_time(self, x: Array, negative: bool) -> Array:
        if self._compiling():
            return self._traced_spike_time(x, negative)
        if not self.concrete(x) or self.torch.autograd.forward_ad._current_level >= 0:
            return super().spike_time(x, negative)
        return self.functions.SpikeTime.apply(x, self._first_or_last(x.detach()), negative)

    def _traced_spike_time(self, x: Array, negative: bool) -> Array:
        """By passes that a compiler fuses; what gathers it computes anew wherever it is used."""
        step = super().first_nonzero(x.detach()).clamp(max=x.shape[0] - 1)
        t = self.torch.arange(x.shape[0], device=x.device).view(-1, *(1,) * step.ndim)
        entry = self.torch.where(t == step, x, 0.0).sum(0)
        time, slope = (-step, entry) if negative else (step, -entry)
        return time.to(x.dtype) + (slope - slope.detach())

    def _first_or_last(self, x: Array) -> Array:
        """min{t: x_t != 0}, T - 1 where there is none."""
        if x.is_cpu:
            return self.first_nonzero(x).clamp_(max=len(x) - 1)
        fired = x != 0
        fired[-1].fill_(True)
        return self.torch.max(fired, 0).indices

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
