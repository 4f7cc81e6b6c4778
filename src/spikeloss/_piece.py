"""Pieces: what readouts see of a record, whatever its form. Some consecutive steps of every sample.

A whole record is the piece that starts at step 0. Steps that are not valid do not exist: nothing is
read from them, and they are not counted. A piece holds the record as it came, and lengths or a
mask beside it; masked copies are made for those who ask. A readout asks a piece for a sum, a
maximum, spikes; so it is written once, and reads dense records, events and streams.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeAlias

from ._backend import (
    accumulate,
    at,
    checks_values,
    constant,
    count_true,
    first_nonzero,
    like,
    maximum,
    namespace,
    numbered,
    or_nonzero,
    running_sum,
    scatter,
    select,
    settled,
    sum_of_all,
    where,
)
from ._door import refuse
from ._once import once
from ._shapes import Array, Record, Steps, Valid
from ._sums import sum_over_time

Weight: TypeAlias = Callable[[Array], Array]


class Spikes(NamedTuple):
    """The first F spikes of every neuron."""

    time: Array
    """(F, *B, N) valid steps before the spike; infinity: no such spike."""
    entry: Array
    """(F, *B, N) the entries of the record that are the spikes; for one that does not come, the
    entry at the last valid step."""
    late: Array | None = None
    """(F, *B, N) how much later than usual a spike counts that does not come; None: not at all."""


class Dense:
    """Steps of a record that has an entry for every one.

    Args:
        source: (t, *B, N) as it came: what is not valid may be anything.
        dtype: of the result.
        cast: the dtype of the computation, where that of the source is another.
        time: steps of the record before the piece.
        start: valid steps of each sample before the piece.
        lengths: (*B, 1) the valid steps of the record, or None.
        mask: (t, *B, 1) in their place, where others may come between valid steps, or None.
        part: whether it is some steps of a record, and not all.
        full: whether every sample is known to have a valid step, and lengths to fit the steps.
        decides: whether sums over time are compared with each other, and so are exact.
    """

    def __init__(
        self,
        source: Record,
        dtype: Any,
        *,
        cast: Any = None,
        time: Any = 0,
        start: Steps = 0,
        lengths: Array | None = None,
        mask: Valid | None = None,
        part: bool = False,
        full: bool = False,
        decides: bool = False,
    ) -> None:
        self.source, self.dtype, self.time, self.start = source, dtype, time, start
        self.lengths, self.mask, self.part, self.decides = lengths, mask, part, decides
        self.full = full or (lengths is None and mask is None and isinstance(start, int))
        self.cast = cast
        if cast is None:
            self.raw = source
        if lengths is None and mask is None:  # what stands below, for a record of which all exists
            self.valid, self.held = None, source.shape[0]
            if cast is None:
                self.x = source
            self.end = end = start + self.held
            if isinstance(end, int):
                self.steps, self.counts = end or 1, None

    def replaced(self, **changes: Any) -> "Dense":
        """A piece with other parts."""
        return Dense(**{name: getattr(self, name) for name in _GIVEN} | changes)

    # What there is

    @once
    def raw(self) -> Record:
        """(t, *B, N) the record as it came, in the precision of the computation."""
        return namespace(self.source).astype(self.source, self.cast)

    @property
    def values(self) -> Array:
        """Every number that the record holds."""
        return self.raw

    @property
    def like(self) -> Array:
        """What stands for the record where only its library, device and precision matter."""
        if self.cast is None:
            return self.source
        return namespace(self.source).astype(self.source[:1, ...], self.cast)

    @property
    def precision(self) -> Any:
        """The dtype of the computation."""
        return self.source.dtype if self.cast is None else self.cast

    @property
    def shape(self) -> tuple[int, ...]:
        """(t, *B, N)"""
        return tuple(self.source.shape)

    @property
    def neurons(self) -> int:
        """N."""
        return int(self.source.shape[-1])

    @once
    def valid(self) -> Valid | None:
        """(t, *B, 1): the steps that exist; None: all."""
        if self.mask is not None or self.lengths is None:
            return self.mask
        return numbered(self.source.shape[0], self.source) + self.time < self.lengths

    @once
    def x(self) -> Record:
        """(t, *B, N) the record, zero where it is not valid."""
        return self.masked(self.raw)

    def masked(self, z: Array, fill: float = 0.0) -> Array:
        """What has an entry for every step, with others where it is not valid."""
        return z if self.valid is None else select(self.valid, z, fill)

    @once
    def held(self) -> Steps:
        """(*B, 1) valid steps of the piece."""
        count = self.source.shape[0]
        if self.mask is not None:
            xp = namespace(self.mask)
            return xp.sum(xp.astype(self.mask, xp.int32), axis=0)
        if self.lengths is None:
            return count
        if self.full:
            return self.lengths
        left, xp = self.lengths - self.time, namespace(self.lengths)
        left = xp.where(left < count, left, count)
        return xp.where(left > 0, left, 0) if self.part else left

    @once
    def end(self) -> Steps:
        """(*B, 1) valid steps of each sample up to its end."""
        begins = isinstance(self.start, int) and self.start == 0
        return self.held if begins else self.start + self.held

    @once
    def steps(self) -> Steps:
        """What stands for n in the formulas: the valid steps so far, 1 where there are none."""
        return at_least_one(self.end, self.precision, self.full)

    @once
    def counts(self) -> Array | None:
        """(*B, 1): the samples that have a valid step; None: all."""
        return None if self.full else present(self.end)

    @property
    def present(self) -> Array | None:
        """(*B, 1): the samples that have a valid step in this piece; None: all."""
        return None if self.full else present(self.held)

    @property
    def gaps(self) -> bool:
        """Whether steps that are not valid may come before others that are."""
        return self.mask is not None

    @property
    def position(self) -> Array:
        """(t, *B, 1), or axes of 1: t of every step, its valid steps before, in the dtype of x."""
        before = self._before if self.gaps else numbered(self.raw.shape[0], self.raw)
        return namespace(self.raw).astype(before + self.start, self.raw.dtype)

    # Reductions over time

    def sum(self, weight: Weight | None = None) -> Array:
        """sum_t w_t x_t, the weight a function of t, the valid steps before."""
        x = self.x if weight is None else weight(self.position) * self.x
        return sum_over_time(x, self.decides)

    def sum_of(self, z: Array) -> Array:
        """sum_t z_t over the valid steps, of what has an entry for every step."""
        return sum_over_time(self.masked(z), self.decides)

    def highest(self) -> Array:
        """max_t x_t; minus infinity where no step is valid."""
        return maximum(self.masked(self.raw, -math.inf))

    def last(self) -> Array:
        """x_t at the last valid step, 0 where there is none."""
        if self.valid is None:
            return self.raw[-1, ...]
        xp = namespace(self.raw)
        last = at(self.raw, xp.broadcast_to(self._last, self.raw.shape[1:]))
        return last if self.present is None else xp.where(self.present, last, 0)

    def fired(self, before: Array | None = None) -> Array:
        """(*B, N): whether any entry of a neuron is not zero, here or before."""
        xp, x = namespace(self.raw), self.raw
        if self.valid is not None:
            here = xp.any((x != 0) & self.valid, axis=0)
        else:
            x = x[0, ...] if x.shape[0] == 1 else xp.max(xp.abs(x), axis=0)
            if before is not None:
                return or_nonzero(before, x)
            here = x != 0
        return here if before is None else before | here

    def spikes(self, count: int) -> Spikes:
        """The first `count` non-zero entries of every neuron."""
        plain = self.valid is None and isinstance(self.start, int)
        if plain and count == 1 and self.raw.shape[0] == 1:  # a step of a stream
            now, xp = like(float(self.start), self.raw), namespace(self.raw)
            return Spikes(where(self.raw != 0, now, xp.inf), self.raw)
        # What comes after the last valid step needs no mask: it is too late.
        x, xp = self.x if self.gaps else self.raw, namespace(self.raw)
        if count == 1:
            step = first_nonzero(x)[None, ...]
        else:
            seen = running_sum(xp.astype(x != 0, xp.int32))
            # The k-th spike comes after as many steps as have seen fewer than k.
            step = xp.stack([count_true(seen <= k) for k in range(count)])
        last, present = self._last, self.present
        silent = step > last
        event = xp.where(silent, last, step)
        time, entry = xp.astype(self._position(event), x.dtype), at(x, event)
        if present is not None:
            silent, entry = silent | ~present, xp.where(present, entry, 0)
        return Spikes(xp.where(silent, xp.inf, time), entry)

    # The valid steps of each sample, moved together

    def closed(self) -> Array:
        """x with the valid steps of each sample moved together, to its front."""
        if not self.gaps:
            return self.x
        xp = namespace(self.x)
        order = xp.argsort(xp.astype(xp.logical_not(self.mask), xp.int32), axis=0, stable=True)
        return at(self.x, xp.broadcast_to(order, self.x.shape))

    def opened(self, z: Array) -> Array:
        """What belongs to the steps of `closed`, at those of the piece."""
        if not self.gaps:
            return z
        xp, own = namespace(z), self._before
        return at(z, xp.broadcast_to(xp.where(own < 0, 0, own), z.shape))

    def latest(self, x: Array, count: int) -> Array:
        """The last `count` of the steps that stand before those of `closed` in x, and of these."""
        size = x.shape[0]
        if isinstance(self.held, int):
            return x[size - count :, ...]
        xp = namespace(x)
        index = numbered(count, x) + self.held + (size - self.raw.shape[0] - count)
        return at(x, xp.broadcast_to(index, (count, *x.shape[1:])))

    def final(self, y: Array, before: Array) -> Array:
        """The last of the steps of `closed` in y, or what was before where there is none."""
        held = self.held
        if isinstance(held, int):
            return y[-1, ...]
        xp = namespace(y)
        last = xp.broadcast_to(xp.where(held > 0, held - 1, 0), y.shape[1:])
        return xp.where(held > 0, at(y, last), before)

    @property
    def _last(self) -> Any:
        """The last valid step of each sample, counted from the first of the piece."""
        held = self.held
        if isinstance(held, int):
            return held - 1
        xp = namespace(self.raw)
        if self.mask is None:
            return held - 1 if self.full else xp.where(held > 0, held - 1, 0)
        return xp.max(xp.where(self.mask, numbered(self.raw.shape[0], self.raw), 0), axis=0)

    @once
    def _before(self) -> Array:
        """The valid steps before each step that is valid, as integers."""
        xp = namespace(self.raw)
        return running_sum(xp.astype(self.mask, xp.int32)) - 1

    def _position(self, event: Array) -> Array:
        """Valid steps before a step of the piece."""
        if not self.gaps:
            return event + self.start
        before = namespace(self.raw).broadcast_to(self._before, self.raw.shape)
        return at(before, event) + self.start


_GIVEN = ("source", "dtype", "cast", "time", "start", "lengths", "mask", "part", "full", "decides")


class Sparse(NamedTuple):
    """Steps of a record that is given as events, E of them in any order."""

    time: Array
    """(E) valid steps before the event, float32 or float64; not always whole."""
    cell: Array
    """(E) index into the flattened (*B, N); its size where the event does not count."""
    amplitude: Array
    """(E) float32 or float64."""
    shape: tuple[int, ...]
    """(T of the piece, *B, N)"""
    start: Steps
    """(*B, 1) valid steps of each sample before the piece."""
    held: Steps
    """(*B, 1) valid steps of the piece."""
    dtype: Any
    """Of the result."""
    part: bool = False
    """Whether it is some steps of a record, and not all."""

    @property
    def values(self) -> Array:
        """Every number that the record holds."""
        return self.amplitude

    @property
    def like(self) -> Array:
        """What stands for the record where only its library, device and precision matter."""
        return self.amplitude

    @property
    def precision(self) -> Any:
        """The dtype of the computation."""
        return self.amplitude.dtype

    @property
    def neurons(self) -> int:
        """N."""
        return self.shape[-1]

    @property
    def end(self) -> Steps:
        """(*B, 1) valid steps of each sample up to its end."""
        return self.start + self.held

    @property
    def steps(self) -> Steps:
        """What stands for n in the formulas: the valid steps so far, 1 where there are none."""
        return at_least_one(self.end, self.amplitude.dtype)

    @property
    def counts(self) -> Array | None:
        """(*B, 1): the samples that have a valid step; None: all."""
        return present(self.end)

    @property
    def present(self) -> Array | None:
        """(*B, 1): the samples that have a valid step in this piece; None: all."""
        return present(self.held)

    def sum(self, weight: Weight | None = None) -> Array:
        """sum_t w_t x_t, the weight a function of t, the valid steps before."""
        amplitude = self.amplitude
        return self._accumulated(amplitude if weight is None else weight(self.time) * amplitude)

    def fired(self, before: Array | None = None) -> Array:
        """(*B, N): whether any entry of a neuron is not zero, here or before."""
        xp = namespace(self.amplitude)
        fired = xp.astype(self.amplitude != 0, self.amplitude.dtype)
        here = self._accumulated(fired) > 0
        return here if before is None else before | here

    def spikes(self, count: int) -> Spikes:
        """The first `count` events of every neuron; those of one neuron and time are one spike."""
        xp, cells = namespace(self.amplitude), math.prod(self.shape[1:])
        cell = xp.where(self.amplitude != 0, self.cell, cells)
        order = in_order(self.time, cell)
        time, cell = self.time[order], cell[order]
        new = (cell != _previous(cell)) | (time != _previous(time))
        # The k-th spike of a neuron: new ones so far, less those before its first event.
        seen = xp.cumulative_sum(xp.astype(new, cell.dtype), axis=0)
        rank = seen - seen[xp.searchsorted(cell, cell)]
        slot = xp.where((rank < count) & (cell < cells), rank * cells + cell, count * cells)
        only = xp.where(new, slot, count * cells)
        shape = (count, *self.shape[1:])
        return Spikes(
            xp.reshape(scatter(time, only, count * cells, math.inf), shape),
            xp.reshape(accumulate(self.amplitude[order], slot, count * cells), shape),
        )

    def _accumulated(self, values: Array) -> Array:
        flat = accumulate(values, self.cell, math.prod(self.shape[1:]))
        return namespace(values).reshape(flat, self.shape[1:])


class Timed(NamedTuple):
    """A record of which the first spike of every neuron is known, and no step."""

    time: Array
    """(*B, N) float32 or float64; infinity: the neuron is silent."""
    late: Array | None
    """(*B, N) how much later than usual silence counts as a spike; None: not at all."""
    end: Array
    """(*B, 1) n: one more than the time of the last step."""
    dtype: Any
    """Of the result."""
    part: bool = False
    """Whether it is some steps of a record, and not all."""
    counts: Array | None = None
    """(*B, 1): the samples that have a valid step; None: all."""
    present: Array | None = None
    """(*B, 1): the samples that have a valid step in this piece; None: all."""

    @property
    def values(self) -> Array:
        """Every number that the record holds."""
        return namespace(self.time).where(self.time == math.inf, 0, self.time)

    @property
    def like(self) -> Array:
        """What stands for the record where only its library, device and precision matter."""
        return self.time

    @property
    def precision(self) -> Any:
        """The dtype of the computation."""
        return self.time.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, *B, N)"""
        return (1, *self.time.shape)

    @property
    def neurons(self) -> int:
        """N."""
        return int(self.time.shape[-1])

    @property
    def steps(self) -> Steps:
        """What stands for n in the formulas."""
        return self.end

    def sum(self, weight: Weight | None = None) -> NoReturn:
        """Refused: how often a neuron fires is not known."""
        fix = "Read them with readouts.FirstSpike()."
        refuse("record", "spikes or a membrane to sum over time", "times", fix, TypeError)

    def fired(self, before: Array | None = None) -> Array:
        """(*B, N): whether a neuron fires."""
        here = self.time < math.inf
        return here if before is None else before | here

    def spikes(self, count: int) -> Spikes:
        """The first spike of every neuron."""
        if count > 1:
            rule, fix = f"{count} spikes of each neuron", "Pass all of them as records.Events."
            refuse("record", rule, "the time of the first", fix, TypeError)
        late = None if self.late is None else self.late[None, ...]
        time = self.time[None, ...]
        return Spikes(time, namespace(time).zeros_like(time), late)


Piece: TypeAlias = Dense | Sparse | Timed


def deciding(piece: Piece) -> Piece:
    """The piece with sums that can be compared with each other."""
    return piece.replaced(decides=True) if isinstance(piece, Dense) else piece


def present(held: Steps) -> Array | None:
    """(*B, 1): the samples that have any of so many valid steps; None: all."""
    return None if isinstance(held, int) else held > 0


def renewed(before: Array, now: Array, there: Array | None) -> Array:
    """What is now, or what was before for samples that are not there; None: all are."""
    return now if there is None else where(there, now, before)


def every_step(piece: Piece, reader: object) -> Dense:
    """A piece with an entry for every step."""
    if isinstance(piece, Dense):
        return piece
    name = getattr(reader, "__name__", type(reader).__name__)
    rule = f"a dense record, as {name} reads every step"
    if isinstance(piece, Timed):
        refuse("record", rule, "times", "Read them with readouts.FirstSpike().", TypeError)
    refuse("record", rule, "events", "Write events.dense().", TypeError)


DIVERGED = "Look for the step at which the simulation diverged."


def finite(piece: Piece) -> None:
    """A record in which a spike is any non-zero entry must be finite."""
    x = piece.values
    if not checks_values(x) or math.isfinite(float(sum_of_all(constant(settled(x))))):
        return
    x = piece.x if isinstance(piece, Dense) else x  # what is not valid may be anything
    if not checks_values(x):
        return
    x = settled(x)
    xp = namespace(x)
    if not bool(xp.all(xp.isfinite(x))):
        refuse("record", "finite spikes", "nan or infinity", DIVERGED)


def in_order(time: Array, cell: Array) -> Array:
    """The order of events by cell, and for each cell by time."""
    xp = namespace(time)
    order = xp.argsort(time, stable=True)
    return order[xp.argsort(cell[order], stable=True)]


def _previous(x: Array) -> Array:
    """The element before each, and another one before the first."""
    count = x.shape[0]
    return namespace(x).concat([x[: min(count, 1)] - 1, x[: max(count - 1, 0)]])


def at_least_one(count: Steps, dtype: Any, known: bool = False) -> Steps:
    """Valid steps, 1 where there are none; `known`: there are some everywhere."""
    if isinstance(count, int):
        return max(count, 1)
    xp = namespace(count)
    return xp.astype(count if known else xp.where(count > 0, count, 1), dtype)
