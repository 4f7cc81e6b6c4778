"""Pieces: what readouts see of a record, whatever its form. Some consecutive steps of every sample.

A whole record is the piece that starts at step 0. Steps that are not valid do not exist: nothing is
read from them, and they are not counted. A readout asks a piece for a sum, a maximum, spikes; so it
is written once, and reads dense records, events and streams.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from ._backend import (
    accumulate,
    at,
    first_nonzero,
    maximum,
    namespace,
    numbered,
    running_sum,
    scatter,
)
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


class Dense(NamedTuple):
    """Steps of a record that has an entry for every one."""

    x: Record
    """(t, *B, N) float32 or float64, zero where it is not valid."""
    valid: Valid | None
    """None: all."""
    start: Steps
    """Valid steps of each sample before the piece."""
    end: Steps
    """Valid steps of each sample up to its end."""
    dtype: Any
    """Of the result."""
    gaps: bool = False
    """Whether steps that are not valid may come before others that are."""
    decides: bool = False
    """Whether sums over time are compared with each other, and so are exact."""

    @property
    def values(self) -> Array:
        """Every number that the record holds."""
        return self.x

    @property
    def neurons(self) -> int:
        """N."""
        return int(self.x.shape[-1])

    @property
    def steps(self) -> Steps:
        """What stands for n in the formulas: the valid steps so far, 1 where there are none."""
        return _at_least_one(self.end, self.x.dtype)

    @property
    def kept(self) -> Array | None:
        """(*B, 1): the samples that have a valid step; None: all."""
        return None if isinstance(self.end, int) else self.end > 0

    @property
    def present(self) -> Array | None:
        """(*B, 1): the samples that have a valid step in this piece; None: all."""
        return None if self.valid is None else self.end > self.start

    @property
    def whole(self) -> bool:
        """Whether it is the whole record, and not a part of a stream."""
        return isinstance(self.start, int)

    def total(self, weight: Weight | None = None) -> Array:
        """sum_t w_t x_t, the weight a function of t, the valid steps before."""
        x = self.x if weight is None else weight(self.position) * self.x
        return sum_over_time(x, None, self.decides)

    def summed(self, z: Array) -> Array:
        """sum_t z_t over the valid steps, of what has an entry for every step."""
        return sum_over_time(z, self.valid, self.decides)

    @property
    def position(self) -> Array:
        """(t, *B, 1), or axes of 1: t of every step, its valid steps before, in the dtype of x."""
        xp, x = namespace(self.x), self.x
        before = self._before if self.gaps else numbered(len(x), x)
        return xp.astype(before + self.start, x.dtype)

    def closed(self) -> Array:
        """x with the valid steps of each sample moved together, to its front."""
        if not self.gaps:
            return self.x
        xp = namespace(self.x)
        order = xp.argsort(xp.astype(self.valid == 0, xp.int32), axis=0, stable=True)
        return at(self.x, xp.broadcast_to(order, self.x.shape))

    def opened(self, z: Array) -> Array:
        """What belongs to the steps of `closed`, at those of the piece; 0 where not valid."""
        if self.valid is None:
            return z
        xp = namespace(z)
        if self.gaps:
            own = self._before
            z = at(z, xp.broadcast_to(xp.where(own < 0, 0, own), z.shape))
        return xp.where(self.valid, z, 0)

    def latest(self, x: Array, count: int) -> Array:
        """The last `count` of the steps that stand before those of `closed` in x, and of these."""
        if self.valid is None:
            return x[len(x) - count :]
        xp = namespace(x)
        index = numbered(count, x) + (self.end - self.start) + (len(x) - len(self.x) - count)
        return at(x, xp.broadcast_to(index, (count, *x.shape[1:])))

    def final(self, y: Array, before: Array) -> Array:
        """The last of the steps of `closed` in y, or what was before where there is none."""
        if self.valid is None:
            return y[-1]
        xp, count = namespace(y), self.end - self.start
        last = xp.broadcast_to(xp.where(count > 0, count - 1, 0), y.shape[1:])
        return xp.where(count > 0, at(y, last), before)

    def highest(self) -> Array:
        """max_t x_t; minus infinity where no step is valid."""
        if self.valid is None:
            return maximum(self.x)
        xp = namespace(self.x)
        return maximum(xp.where(self.valid, self.x, -xp.inf))

    def last(self) -> Array:
        """x_t at the last valid step."""
        if self.valid is None:
            return self.x[-1]
        return at(self.x, namespace(self.x).broadcast_to(self._last, self.x.shape[1:]))

    def spoke(self) -> Array:
        """(*B): whether any entry of a sample is not zero."""
        xp = namespace(self.x)
        return xp.any(xp.max(xp.abs(self.x), axis=0) != 0, axis=-1)

    def spikes(self, count: int) -> Spikes:
        """The first `count` non-zero entries of every neuron."""
        x, xp = self.x, namespace(self.x)
        if count == 1:
            step = first_nonzero(x)[None]
        else:
            seen = running_sum(xp.astype(x != 0, xp.int32))
            # The k-th spike comes after as many steps as have seen fewer than k.
            step = xp.stack([xp.sum(seen <= k, axis=0, dtype=xp.int32) for k in range(count)])
        last = self._last
        silent = step > last
        event = xp.where(silent, last, step)
        time = xp.astype(self._position(event), x.dtype)
        return Spikes(xp.where(silent, xp.inf, time), at(x, event))

    @property
    def _last(self) -> Any:
        """The last valid step of each sample, counted from the first of the piece."""
        if self.valid is None:
            return len(self.x) - 1
        xp = namespace(self.x)
        if not self.gaps:
            count = self.end - self.start
            return xp.where(count > 0, count - 1, 0)
        return xp.max(xp.where(self.valid, numbered(len(self.x), self.x), 0), axis=0)

    @property
    def _before(self) -> Array:
        """The valid steps before each step that is valid, as integers."""
        xp = namespace(self.x)
        return running_sum(xp.astype(self.valid, xp.int32)) - 1

    def _position(self, event: Array) -> Array:
        """Valid steps before a step of the piece."""
        if not self.gaps:
            return event + self.start
        before = namespace(self.x).broadcast_to(self._before, self.x.shape)
        return at(before, event) + self.start


class Sparse(NamedTuple):
    """Steps of a record that is given as events, E of them in any order."""

    time: Array
    """(E) valid steps before the event, float32 or float64; not always whole."""
    cell: Array
    """(E) index into the flattened (*B, N); its size where the event does not count."""
    amplitude: Array
    """(E) float32 or float64."""
    shape: tuple[int, ...]
    """(*B, N)"""
    length: int
    """T of the piece."""
    start: Steps
    end: Steps
    dtype: Any

    @property
    def values(self) -> Array:
        """Every number that the record holds."""
        return self.amplitude

    @property
    def neurons(self) -> int:
        """N."""
        return self.shape[-1]

    @property
    def steps(self) -> Steps:
        """What stands for n in the formulas: the valid steps so far, 1 where there are none."""
        return _at_least_one(self.end, self.amplitude.dtype)

    @property
    def kept(self) -> Array | None:
        """(*B, 1): the samples that have a valid step; None: all."""
        return None if isinstance(self.end, int) else self.end > 0

    @property
    def present(self) -> Array | None:
        """(*B, 1): the samples that have a valid step in this piece; None: all."""
        return None if isinstance(self.end, int) else self.end > self.start

    def total(self, weight: Weight | None = None) -> Array:
        """sum_t w_t x_t, the weight a function of t, the valid steps before."""
        amplitude = self.amplitude
        return self._accumulated(amplitude if weight is None else weight(self.time) * amplitude)

    def spoke(self) -> Array:
        """(*B): whether any entry of a sample is not zero."""
        xp = namespace(self.amplitude)
        fired = xp.astype(self.amplitude != 0, self.amplitude.dtype)
        return xp.any(self._accumulated(fired) > 0, axis=-1)

    def spikes(self, count: int) -> Spikes:
        """The first `count` events of every neuron; those of one neuron and time are one spike."""
        xp, cells = namespace(self.amplitude), math.prod(self.shape)
        cell = xp.where(self.amplitude != 0, self.cell, cells)
        order = in_order(self.time, cell)
        time, cell = self.time[order], cell[order]
        new = (cell != _previous(cell)) | (time != _previous(time))
        # The k-th spike of a neuron: new ones so far, less those before its first event.
        seen = xp.cumulative_sum(xp.astype(new, cell.dtype), axis=0)
        rank = seen - seen[xp.searchsorted(cell, cell)]
        slot = xp.where((rank < count) & (cell < cells), rank * cells + cell, count * cells)
        only = xp.where(new, slot, count * cells)
        shape = (count, *self.shape)
        return Spikes(
            xp.reshape(scatter(time, only, count * cells, math.inf), shape),
            xp.reshape(accumulate(self.amplitude[order], slot, count * cells), shape),
        )

    def _accumulated(self, values: Array) -> Array:
        flat = accumulate(values, self.cell, math.prod(self.shape))
        return namespace(values).reshape(flat, self.shape)


Piece: TypeAlias = Dense | Sparse


def deciding(piece: Piece) -> Piece:
    """The piece with sums that can be compared with each other."""
    return piece._replace(decides=True) if isinstance(piece, Dense) else piece


def in_order(time: Array, cell: Array) -> Array:
    """The order of events by cell, and for each cell by time."""
    xp = namespace(time)
    order = xp.argsort(time, stable=True)
    return order[xp.argsort(cell[order], stable=True)]


def _previous(x: Array) -> Array:
    """The element before each, and another one before the first."""
    return namespace(x).concat([x[:1] - 1, x[:-1]])


def _at_least_one(count: Steps, dtype: Any) -> Steps:
    if isinstance(count, int):
        return count
    xp = namespace(count)
    return xp.astype(xp.where(count > 0, count, 1), dtype)
