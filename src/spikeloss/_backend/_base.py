"""What spikeloss needs of an array library, in the words of the Python array API standard alone.

A library is a class on this base, in a file of its own: it says what its arrays are called, imports
its namespace, and overrides what it does better, or what the standard has no words for, such as
derivatives. What stands here is right for every library of the standard, and seldom the fastest.
"""

import math
from typing import Any, ClassVar, NamedTuple

from spikeloss._shapes import Array

_NEVER = -1e30
"""The log of a probability of 0, with derivatives that infinity would not have."""


class Lack(NamedTuple):
    """Why there is nothing to sum over, in the words of an error."""

    rule: str
    got: str
    fix: str


class Library:
    """What spikeloss needs of an array library."""

    one: "ClassVar[Library]"
    """What there is of the class, once an array of the library was seen."""
    name: str
    """Of the library, as users say it."""
    module: str
    """Where the functions of the library are."""
    article: str
    """What its arrays are called."""
    noun = "an array"
    converter: str
    """What makes an array of it."""
    takes: tuple[str, ...] = ()
    """Libraries whose arrays it takes for its own."""
    yields = False
    """Whether of two libraries that meet it is the one to be left, as it has no derivatives."""
    apart = True
    """Whether arrays on two devices cannot be computed with."""
    xp: Any
    """Its namespace of the array API standard."""

    # Words

    def cast(self, argument: str, x: Array, to: str) -> str:
        """How to make x, which the user calls `argument`, "int" or "float", or real if complex."""
        if self.kind(x) == "other":
            return f"Write {self.module}.real({argument})."
        dtype = "int64" if to == "int" else "float32"
        return f"Write {self.module}.astype({argument}, {self.module}.{dtype})."

    def move(self, argument: str, x: Array) -> str:
        """How to put `argument` beside x."""
        return f"Write {argument}.to_device(record.device)."

    # What an array is

    def unwrap(self, x: Array) -> Array:
        """The library's own array inside a container."""
        return x

    def kind(self, x: Array) -> str:
        """One of "float", "half", "integer", "bool", "other"."""
        xp, dtype = self.xp, x.dtype
        if xp.isdtype(dtype, "real floating"):
            return {16: "half", 32: "float", 64: "float"}.get(xp.finfo(dtype).bits, "other")
        if xp.isdtype(dtype, "integral"):
            return "integer"
        return "bool" if xp.isdtype(dtype, "bool") else "other"

    def readable(self, x: Array) -> bool:
        """Whether the values of `x` can be read now, and cheaply."""
        return True

    def concrete(self, x: Array) -> bool:
        """Whether `x` has values at all, rather than standing for them under tracing."""
        return True

    def place(self, x: Array) -> Any:
        """The device argument that puts a new array beside `x`."""
        return x.device

    def device(self, x: Array) -> str:
        """Where `x` lives, in words; empty where the library decides that itself."""
        return str(x.device)

    def dense(self, x: Array) -> bool:
        """Whether every entry of `x` is stored."""
        return True

    def memory(self, x: Array) -> int:
        """The bytes that the entries of `x` take."""
        size = getattr(x.dtype, "itemsize", None)  # which the standard does not have
        if size is None:
            sort = self.xp.iinfo if self.kind(x) == "integer" else self.xp.finfo
            size = 1 if self.kind(x) == "bool" else sort(x.dtype).bits // 8
        return int(math.prod(x.shape) * size)

    def number(self, x: Array) -> Any:
        """The one entry of `x` as a Python number."""
        return {"bool": bool, "integer": int}.get(self.kind(x), float)(x)

    def extent(self, x: Array) -> tuple[Any, Any]:
        return self.number(self.xp.min(x)), self.number(self.xp.max(x))

    def settled(self, x: Array) -> Array:
        """`x`, of which whatever is asked is computed now."""
        return x

    def listed(self, x: Array) -> Any:
        """The entries as Python numbers, in nested lists."""
        return [self.listed(x[i, ...]) for i in range(x.shape[0])] if x.ndim else self.number(x)

    def constant(self, x: Array) -> Array:
        return x

    def slope(self, function: Any, x: Array) -> Array | None:
        return None

    # Making arrays

    def arange(self, count: int, x: Array) -> Array:
        return self.xp.arange(count, device=self.place(x))

    def beside(self, values: Any, x: Array) -> Array:
        return self.xp.asarray(values, device=self.place(x))

    def like(self, values: Any, x: Array, dtype: Any) -> Array:
        return self.xp.asarray(values, dtype=dtype, device=self.place(x))

    def as_array(self, x: Array, dtype: Any) -> Array:
        return self.xp.asarray(x, dtype=dtype)

    def index(self, label: Array) -> Array:
        xp, dtype = self.xp, self.arange(0, label).dtype
        most = xp.iinfo(dtype).max
        if self.kind(label) == "integer" and xp.iinfo(label.dtype).max > most:
            label = xp.clip(label, max(xp.iinfo(label.dtype).min, -most), most)
        return xp.astype(label, dtype, copy=False)

    def by_class(self, label: Array, classes: int, like: Array, on: Any, off: Any) -> Array:
        xp, known = self.xp, (label >= 0) & (label < classes)
        label = label[..., None]
        on, off = self.like(on, like, like.dtype), self.like(off, like, like.dtype)
        y = xp.where(label == self.arange(classes, like), on, off)
        return y if self.concrete(label) else self.spoiled(y, label, known[..., None])

    def spoiled(self, y: Array, label: Array, known: Array) -> Array:
        """y, nan where a label is not known to be a class."""
        return self.xp.where(known, y, self.xp.nan)

    # What a call may be planned for

    def signature(self, x: Array) -> Any:
        """What arrays of one kind have in common, to be hashed; None where `x` may be traced."""
        return tuple(x.shape), x.dtype, self.device(x)

    # Ranks

    def across(
        self, x: Array, names: str | tuple[str, ...], averaged: bool, sums: tuple[bool, ...]
    ) -> tuple[Array, Array | None] | Lack:
        return Lack("an array of PyTorch or JAX", self.article, "Add up loss.parts instead.")

    # Masks

    def select(self, valid: Array, x: Array, fill: float) -> Array:
        return self.xp.where(valid, x, fill)

    # Sums, and what they lose

    def sum_of_all(self, x: Array) -> Array:
        return self.xp.sum(x)

    def where(self, condition: Array, a: Any, b: Any) -> Array:
        return self.xp.where(condition, a, b)

    def or_nonzero(self, known: Array, x: Array) -> Array:
        return known | (x != 0)

    def mean_of_all(self, x: Array, parts: int) -> Array:
        mean = self.xp.mean(x)
        return mean if parts == 1 else mean / parts

    def begun(self, x: Array) -> tuple[Array, Array | None]:
        """A sum that is to go on, and what it lost."""
        return x, self.xp.zeros_like(self.constant(x))

    def added(
        self, a: tuple[Array, Array | None], b: tuple[Array, Array | None]
    ) -> tuple[Array, Array | None]:
        (value, rest), (x, more) = a, b
        if rest is None and more is None:
            return value + x, None
        rest = more if rest is None else rest if more is None else rest + more
        return self.carried(value, self.constant(rest), x)

    def time_sum(self, x: Array) -> Array:
        wide = x.dtype == self.xp.float32  # a library may add the steps up one by one
        found = self.xp.sum(x, axis=0, dtype=self.xp.float64 if wide else None)
        return self.as_array(found, x.dtype) if wide else found

    def count_true(self, mask: Array) -> Array:
        return self.index(self.xp.sum(self.xp.astype(mask, self.xp.int32), axis=0))

    def lost(self, a: Array, b: Array) -> Array:
        total = a + b
        of_b = total - a
        rest = (a - (total - of_b)) + (b - of_b)
        return self.xp.where(self.xp.isfinite(rest), rest, 0)

    def carried(self, value: Array, rest: Array, x: Array) -> tuple[Array, Array]:
        total = value + x
        rest = rest + self.lost(self.constant(value), self.constant(x))
        return total + rest, self.lost(self.constant(total), rest)

    def precise_sum(self, x: Array) -> Array:
        """By halves, and what every addition lost."""
        xp, smooth, x = self.xp, self.time_sum(x), self.constant(x)
        rest = xp.where(xp.isfinite(smooth), -self.constant(smooth), 0)
        while x.shape[0] > 1:
            half = x.shape[0] // 2
            one, other = x[:half, ...], x[half : 2 * half, ...]
            rest = rest + self.time_sum(self.lost(one, other))
            x = xp.concat([one + other, x[2 * half :, ...]])
        left = x[0, ...] + rest
        return smooth + xp.where(xp.isfinite(left), left, 0)

    def running_sum(self, x: Array) -> Array:
        return self.xp.cumulative_sum(x, axis=0)

    def accumulate(self, values: Array, index: Array, size: int) -> Array:
        """By runs of equal indices: sums over 1, 2, 4, ... entries, that never leave their run."""
        xp, (index, values) = self.xp, self._in_runs(index, values)
        reach, count = 1, values.shape[0]
        while reach < count:
            same = index[reach:] == index[: count - reach]
            more = xp.where(same, values[: count - reach], 0)
            values = xp.concat([values[:reach], values[reach:] + more])
            reach = 2 * reach
        return self._of_runs(values, index, size, 0)

    def scatter(self, values: Array, index: Array, size: int, fill: float) -> Array:
        index, values = self._in_runs(index, values)
        return self._of_runs(values, index, size, fill)

    def _in_runs(self, index: Array, values: Array) -> tuple[Array, Array]:
        """Both in the order of the index."""
        order = self.xp.argsort(index, stable=True)
        return self.xp.take(index, order), self.xp.take(values, order)

    def _of_runs(self, values: Array, index: Array, size: int, fill: float) -> Array:
        """The last value of each run, `fill` where there is none."""
        xp, wanted = self.xp, self.xp.astype(self.arange(size, index), index.dtype)
        filled = xp.full((size,), fill, dtype=values.dtype, device=self.place(values))
        if 0 in values.shape:
            return filled
        last = xp.searchsorted(index, wanted, side="right") - 1
        last = xp.where(last < 0, 0, last)
        return xp.where(xp.take(index, last) == wanted, xp.take(values, last), filled)

    # Products and distances

    def product(self, a: Array, b: Array) -> Array:
        return a @ b

    def squared_distances(self, x: Array) -> Array:
        def from_one(carry: Any, row: Any) -> tuple[Any, Array]:
            return carry, self.xp.sum((x - row[0]) ** 2, axis=-1)

        return self.scan(from_one, (), (x,))[1]

    def squared_difference(self, z: Array, y: Array, valid: Array | None) -> Array:
        error = z - y if valid is None else self.select(valid, z - y, 0.0)
        return error * error

    # Classes

    def log_softmax(self, z: Array) -> Array:
        xp = self.xp
        shifted = z - xp.max(z, axis=-1, keepdims=True)
        return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))

    def softmax(self, z: Array, valid: Array | None) -> Array:
        if valid is not None:
            return self.select(valid, self.softmax(self.select(valid, z, 0.0), None), 0.0)
        return self.xp.exp(self.log_softmax(z))

    def exponential(self, x: Array, shift: Array) -> Array:
        return self.xp.exp(x - shift)

    def surprise(self, z: Array, label: Array, valid: Array | None) -> Array:
        if valid is not None:
            value = self.surprise(self.select(valid, z, 0.0), label, None)
            return self.xp.where(valid, value, 0)
        label = self.xp.broadcast_to(label[..., None], (*z.shape[:-1], 1))
        return -self.xp.take_along_axis(self.log_softmax(z), label, axis=-1)

    def ctc(self, log_p: Array, labels: Array, steps: Array, count: Array, blank: int) -> Array:
        """The sum over alignments that end in each place of blank, label, blank, ... blank."""
        xp, (size, width) = self.xp, labels.shape
        blanks = xp.zeros_like(log_p[0, :, :1], dtype=labels.dtype) + blank
        pairs = xp.stack([xp.broadcast_to(blanks, labels.shape), labels], axis=-1)
        state = xp.concat([xp.reshape(pairs, (size, 2 * width)), blanks], axis=-1)
        place = self.arange(2 * width + 1, log_p)
        # Past the blank between two labels; of two places before the first none is reached.
        leap = (place > 1) & (state != xp.concat([blanks, blanks, state], axis=-1)[:, :-2])
        never = xp.zeros_like(log_p[0, :, :1]) + _NEVER
        log_p = xp.where(log_p <= _NEVER, _NEVER, log_p)  # nan stays nan

        def step(before: Array, given: Any) -> tuple[Array, Array]:
            now, t = given
            one = xp.concat([never, before], axis=-1)[:, :-1]
            two = xp.where(leap, xp.concat([never, never, before], axis=-1)[:, :-2], _NEVER)
            after = self._log_sum(before, one, two) + xp.take_along_axis(now, state, axis=-1)
            return xp.where((t < steps)[:, None], after, before), never[:0, :]

        start = xp.where(place == 0, 0.0, never)
        end, _ = self.scan(step, start, (log_p, self.arange(log_p.shape[0], log_p)))
        last, label = 2 * count[:, None], xp.where(count > 0, 2 * count - 1, 0)[:, None]
        spoken = xp.where(count[:, None] > 0, xp.take_along_axis(end, label, axis=-1), _NEVER)
        value = -self._log_sum(xp.take_along_axis(end, last, axis=-1), spoken)[:, 0]
        return value * xp.where(value > -_NEVER / 2, xp.inf, xp.ones_like(value))

    def _log_sum(self, *parts: Array) -> Array:
        """log sum e^x of finite numbers, with all derivatives."""
        top = self.constant(parts[0])
        for part in parts[1:]:
            top = self.xp.maximum(top, self.constant(part))
        return top + self.xp.log(sum(self.xp.exp(part - top) for part in parts))

    # Time

    def unstack(self, x: Array) -> Any:
        return self.xp.unstack(x)

    def scan(self, step: Any, carry: Any, given: tuple[Array, ...]) -> tuple[Any, Array]:
        found = []
        for each in zip(*map(self.unstack, given), strict=True):
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

    def spike_time(self, x: Array, negative: bool) -> Array:
        xp, last = self.xp, x.shape[0] - 1
        step = self.first_nonzero(x)
        step = xp.where(step < last, step, last)
        entry = self.at(x, step[None, ...])[0, ...]
        time = xp.astype(-step if negative else step, x.dtype)
        slope = entry if negative else -entry
        return time + (slope - self.constant(slope))
