"""Readouts of spike times."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from spikeloss.extend import (
    Array,
    Carry,
    Decision,
    Dense,
    Piece,
    Spikes,
    Steps,
    at,
    checks_values,
    choice,
    constant,
    every_step,
    finite,
    first_nonzero,
    flag,
    integer,
    like,
    namespace,
    number,
    numbered,
    present,
    refuse,
    renewed,
    settled,
    spike_time,
    where,
)

from ._base import Keeps, Summary

Code = Literal["time", "negative", "reciprocal", "exponential"]


MOST = 10_000
"""Spikes of a neuron that are read at most."""

LATEST = 80.0
"""Units beyond which e^t stands still, as float32 ends at 88."""


@dataclass(frozen=True, kw_only=True)
class _Coded(Summary):
    """How spike times are coded."""

    code: Code = field(default="time", metadata=choice(*get_args(Code)))
    unit: float = field(default=1.0, metadata=number(above=0.0))

    @property
    def smaller_decides(self) -> bool:
        return self.code == "time"

    @property
    def in_steps(self) -> bool:
        return self.code == "time" and self.unit == 1

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return 0.0

    def _code(self, time: Array) -> Decision:
        time = time if self.unit == 1 else time / self.unit
        if self.code == "exponential":
            xp = namespace(time)
            return -xp.exp(xp.where(time >= LATEST, LATEST, time))
        if self.code == "reciprocal":
            return 1 / (time + 1)
        return time if self.code == "time" else -time


@dataclass(frozen=True, kw_only=True)
class _Spiking(Summary):
    """A readout of the first F spikes of every neuron, `count`: times, estimated where needed."""

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        finite(piece)
        _no_times(piece)
        spikes = piece.spikes(self._spikes)
        return spikes if carry is None else _first(carry, spikes, piece.present)

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        later = Spikes(later.time + like(steps, later.time), later.entry)
        return _first(earlier, later, present(more))

    @property
    def _spikes(self) -> int:
        return 1


@dataclass(frozen=True, kw_only=True)
class _Times(_Spiking, _Coded):
    """What a spike that does not come counts as."""

    silent_delay: float = field(default=0.0, metadata=number(low=0.0))
    silent_gradient: bool = field(default=True, metadata=flag())

    def _times(self, spikes: Spikes, steps: Steps) -> Array:
        """The times (F, *B, N), coded, silence counted in, with the derivative of the estimator."""
        time, slope = spikes.time, -spikes.entry
        xp = namespace(time)
        silent = time == xp.inf
        late = steps - 1 + self.silent_delay
        if spikes.late is not None:
            late = late + (spikes.late if self.silent_gradient else constant(spikes.late))
        time = xp.where(silent, late, time)
        if not self.silent_gradient:
            slope = xp.where(silent, 0, slope)
        return self._code(time + (slope - constant(slope)))


def _first(earlier: Spikes, later: Spikes, there: Array | None) -> Spikes:
    """The first F of the spikes of two pieces; `there`: samples that have the later one."""
    xp, count = namespace(earlier.time), earlier.time.shape[0]
    if count == 1:
        had = earlier.time < xp.inf
        entry = renewed(earlier.entry, where(had, earlier.entry, later.entry), there)
        return Spikes(where(had, earlier.time, later.time), entry)
    had = xp.sum(xp.astype(earlier.time < xp.inf, xp.int32), axis=0)
    k = numbered(count, earlier.time)
    index = xp.where(k < had, 0, k - had)
    entry = renewed(earlier.entry, at(later.entry, index), there)
    return Spikes(
        xp.where(k < had, earlier.time, at(later.time, index)),
        xp.where(k < had, earlier.entry, entry),
    )


def _no_times(piece: Piece) -> None:
    """A record (T, N) of numbers above 0 that all differ is one of times (B, N), not of spikes."""
    if not isinstance(piece, Dense) or piece.part or len(piece.shape) != 2 or piece.shape[0] < 2:
        return
    if math.prod(piece.shape) < 4 or not checks_values(piece.raw, piece.x):
        return
    read = settled(piece.x)
    xp = namespace(read)
    order = xp.sort(xp.reshape(read, (-1,)))
    if bool(order[0] > 0) and bool(xp.all(order[1:] != order[:-1])):
        rule = "spikes (time, neurons), 0 where there is none"
        fix = "For spike times (batch, neurons) write records.Times(record, end=...)."
        refuse("record", rule, "numbers that all differ", fix)


@dataclass(frozen=True, kw_only=True)
class FirstSpike(_Times):
    """z = t_f = min{t : x_t != 0}, in steps from 0; coded t_f, -t_f, 1/(t_f + 1) or -e^t_f.

    The derivative is an estimator: dt_f/dx_t = -1 at t = t_f, 0 elsewhere (a larger input fires
    earlier), times the derivative of the code. A neuron that stays silent counts as firing at
    n - 1 + `silent_delay`; with `silent_gradient` its derivative -1 goes to the last valid step,
    so that it can learn to fire. Times of events, and those of `records.Times`, have their true
    derivative, 1.

    Args:
        code: "time", "negative", "reciprocal" or "exponential" (which ends at e^80); of
            t_f / `unit`.
        unit: above 0, how many steps count as 1 in the code.
        silent_delay: steps (0 or more) after the last valid one at which silence counts as a spike.
        silent_gradient: whether a silent neuron has a derivative.

    Source: S. Shrestha and G. Orchard, SLAYER (2018); J. Eshraghian et al., Training spiking
    neural networks using lessons from deep learning (2023).

    >>> import numpy
    >>> FirstSpike()(numpy.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]]))
    array([1., 2., 2.], dtype=float32)
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        time = self._at_once(piece) if carry is None else None
        return super().read(piece, carry) if time is None else (time, None)

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return self._times(carry, steps)[0, ...]

    def _at_once(self, piece: Piece) -> Decision | None:
        """The decision about a whole record, after which nothing comes; None: not at once."""
        if not isinstance(piece, Dense) or piece.part or 0 in piece.shape:
            return None
        if not self.silent_gradient:
            return None
        negative = self.code == "negative"
        time = self.first(piece, negative)
        if time is None or not negative:
            return None if time is None else self._code(time)
        return time if self.unit == 1 else time / self.unit

    def first(self, piece: Dense, negative: bool) -> Array | None:
        """t, or -t, of a whole record; None where silence has a time of its own."""
        if self.silent_delay or not isinstance(piece.end, int):
            return None
        finite(piece)
        _no_times(piece)
        return spike_time(piece.raw, negative)


@dataclass(frozen=True, kw_only=True)
class SpikeTimes(_Times):
    """z_k = min{t : x_0..x_t hold k spikes} for k = 1..F: the first F spike times of each neuron.

    Decision (F, *B, N). Code, derivative and silence are those of `FirstSpike`, for each spike by
    itself; the derivatives of spikes that share a step, as missing ones do, add up.

    Args:
        count: F, the number of spikes to read, from 1 to 10,000.

    >>> import numpy
    >>> SpikeTimes(count=2)(numpy.array([[1, 0], [0, 1], [1, 0]]))
    array([[0., 1.],
           [2., 2.]], dtype=float32)
    """

    count: int = field(default=1, metadata=integer(low=1, high=MOST))

    @property
    def keeps(self) -> Keeps:
        return "spikes"

    def axes(self, steps: int) -> tuple[int, ...]:
        return (self.count,)

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return self._times(carry, steps)

    @property
    def _spikes(self) -> int:
        return self.count


@dataclass(frozen=True, kw_only=True)
class SoftCount(_Spiking):
    """z = sum_k 1 / (1 + e^(-(n - t_k) / tau)) - a t_1: a count that early spikes weigh more in.

    Of the first F spikes of a neuron, and minus `latency` times the first of them; so when a neuron
    fires has a derivative too, by the estimator of `FirstSpike`: dt_k/dx_t = -1 at t = t_k. Spikes
    that do not come count 0 and have no derivative, but t_1 is n then, with the derivative at the
    last valid step.

    The package exact-snn, from which this readout and its preset `rate_latency` are known, could
    not be read: the formula here is ours.

    Args:
        count: F, the number of spikes to read, from 1 to 10,000.
        tau: above 0, in steps: spikes so close to the end count between 1/2 and 1.
        latency: a, 0 or more, per step.

    >>> import numpy
    >>> SoftCount(count=2, tau=1 / numpy.log(3))(numpy.array([[0], [1]]))  # 1 / (1 + 1/3)
    array([0.75], dtype=float32)
    """

    count: int = field(metadata=integer(low=1, high=MOST))
    tau: float = field(default=1.0, metadata=number(above=0.0))
    latency: float = field(default=0.0, metadata=number(low=0.0))

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        slope, xp = -carry.entry, namespace(carry.time)
        silent = carry.time == xp.inf
        late = steps if carry.late is None else steps + carry.late
        time = xp.where(silent, late, carry.time) + (slope - constant(slope))
        each = 1 / (1 + xp.exp((time - steps) / self.tau))
        return xp.sum(xp.where(silent, 0, each), axis=0) - self.latency * time[0, ...]

    @property
    def _spikes(self) -> int:
        return self.count

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None


@dataclass(frozen=True, kw_only=True)
class InterpolatedSpike(_Coded):
    """z = t - 1 + (h - u_(t-1)) / (u_t - u_(t-1)), t = min{t : u_t >= h}: when u crosses h.

    The first crossing of a threshold by the membrane u, between two steps, u being 0 before the
    first; its derivative is the true one, -1 / slope through the two membranes of the crossing. A
    neuron that stays below counts as n + `silent_slope` (h - max_t u_t), later the further it
    stayed away, with the derivative at the step where it came closest.

    Args:
        threshold: h, above 0, in the units of the membrane.
        silent_slope: 0 or more, in steps per unit of the membrane.
        code, unit: as in `FirstSpike`.

    >>> import numpy
    >>> InterpolatedSpike(threshold=1.0)(numpy.array([[0.5, 0.0], [1.5, 0.5]]))
    array([0.5, 2.5])
    """

    threshold: float = field(default=1.0, metadata=number(above=0.0))
    silent_slope: float = field(default=1.0, metadata=number(low=0.0))

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        piece = every_step(piece, self)
        finite(piece)
        u, xp = piece.closed(), namespace(piece.raw)
        none = xp.zeros_like(u[0, ...])
        time, top, last = (none + xp.inf, none - xp.inf, none) if carry is None else carry
        first = first_nonzero(xp.astype(u >= self.threshold, u.dtype))
        found = first < u.shape[0]
        step = xp.where(found, first, 0)
        after = at(u, step)
        before = xp.where(step > 0, at(u, xp.where(step > 0, step - 1, 0)), last)
        rise = xp.where(found & (after > before), after - before, 1)
        here = xp.astype(step + piece.start, u.dtype) - 1 + (self.threshold - before) / rise
        time = xp.where((time < xp.inf) | ~found, time, here)
        highest = piece.highest()
        return time, xp.where(top >= highest, top, highest), piece.final(u, last)

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        time, top, _ = carry
        xp = namespace(time)
        time = xp.where(top < xp.inf, time, xp.nan)  # of a membrane that could not be checked
        silent = time == xp.inf
        top = xp.where(silent & (top > -xp.inf), top, 0)  # infinite before the first step
        late = steps + self.silent_slope * (self.threshold - top)
        return self._code(xp.where(silent, late, time))
