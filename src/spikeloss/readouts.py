"""Readouts: what a record says. record (T, *B, N) -> decision (*B, C), (T, *B, C) or (F, *B, N).

x_t is the record at step t, counted from 0; n the number of valid steps of a sample (T, or its
length). A readout is called on a record as it is, `Count()(spikes, lengths=lengths)`.

Every readout is one method, `read(piece, carry) -> decision, carry`: the decision after some steps,
given what earlier steps left behind (None: there were none). On the whole record as one piece it is
the batch formula, on one piece after the other the stream, on a piece of events the sparse record.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple, Unpack

from . import _door
from ._backend import arange, at, constant, namespace
from ._piece import Piece, Spikes
from ._shapes import Array, Carry, Decision, Evidence, Layout, Record, Steps

Keeps = Literal["time", "spikes"] | None
Code = Literal["time", "negative", "reciprocal"]


class Reading(NamedTuple):
    """A decision, and what the later stages need to know of it."""

    z: Decision
    keeps: Keeps
    steps: Steps
    full: Steps | float | None

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch axes *B."""
        return tuple(self.z.shape[:-1] if self.keeps is None else self.z.shape[1:-1])


class Readout(ABC):
    """What every readout can do; a new one is a frozen dataclass with a `read`."""

    @property
    def keeps(self) -> Keeps:
        """What a leading axis of the decision counts: steps, spikes, or None: no such axis."""
        return None

    @property
    def smaller_decides(self) -> bool:
        """Whether the smallest number decides, as for times, rather than the largest."""
        return False

    @property
    def timeless(self) -> bool:
        """Whether the record has no time axis."""
        return False

    def __call__(self, record: Record, **layout: Unpack[Layout]) -> Decision:
        """The decision for a record, in float32 or float64; `layout` as for a loss."""
        return self.reading(_door.open_record(record, timeless=self.timeless, **layout)).z

    def reading(self, piece: Piece) -> Reading:
        """The decision for a whole record, with what the later stages need to know."""
        return self.as_reading(self.read(piece, None)[0], piece)

    def as_reading(self, z: Decision, piece: Piece) -> Reading:
        """A decision with what the later stages need to know of it."""
        return Reading(z, self.keeps, piece.steps, self.full(piece.steps, piece.neurons))

    @abstractmethod
    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        """The formula: the decision after the piece, or at each of its steps, and what to carry on.

        A step that is not valid changes neither.
        """

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        """What a neuron that fires at every valid step reads; None where a rate has no meaning."""
        return 1.0

    def evidence(self, z: Array) -> Evidence:
        """One number per class, the larger the likelier, from a decision or its mean over time."""
        if self.keeps == "spikes":
            z = z[0]
        return -z if self.smaller_decides else z


@dataclass(frozen=True)
class Decided(Readout):
    """z = x: the record (*B, C) is a decision already and has no time axis.

    For logits of a readout layer of your own, or of a network without time.

    >>> import numpy
    >>> Decided()(numpy.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    @property
    def timeless(self) -> bool:
        return True

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        x = _door.dense(piece, self).x
        return namespace(x).squeeze(x, axis=0), ()  # the derivative of x[0] is a padded copy


@dataclass(frozen=True)
class EveryStep(Readout):
    """z_t = x_t: every step decides, and the loss is averaged over the valid steps.

    >>> import numpy
    >>> EveryStep()(numpy.array([[1.0, 0.0], [0.0, 1.0]]))
    array([[1., 0.],
           [0., 1.]])
    """

    @property
    def keeps(self) -> Keeps:
        return "time"

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        return _door.dense(piece, self).x, ()


@dataclass(frozen=True)
class Count(Readout):
    """z = sum_t x_t: the number of spikes, in spikes.

    >>> import numpy
    >>> Count()(numpy.array([[1, 0], [1, 1]]))
    array([2., 1.], dtype=float32)
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        total = piece.total() if carry is None else carry + piece.total()
        return total, total

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return steps


@dataclass(frozen=True)
class Mean(Readout):
    """z = sum_t x_t / n: the firing rate, in spikes per step, or the mean membrane.

    >>> import numpy
    >>> Mean()(numpy.array([[1, 0], [1, 1]]))
    array([1. , 0.5], dtype=float32)
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        total = piece.total() if carry is None else carry + piece.total()
        return total / piece.steps, total


@dataclass(frozen=True)
class Maximum(Readout):
    """z = max_t x_t: the highest membrane potential.

    The derivative goes to the first step that reaches the maximum, alone, in every library.

    Source: F. Zenke, SpyTorch (2018).

    >>> import numpy
    >>> Maximum()(numpy.array([[0.5, -2.0], [0.25, -1.0]]))
    array([ 0.5, -1. ])
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        top = _door.dense(piece, self).highest()
        if carry is not None:
            xp = namespace(top)
            top = xp.where((top <= carry) | xp.isnan(carry), carry, top)
        return top, top


@dataclass(frozen=True)
class LastStep(Readout):
    """z = x_(n-1): the record at the last valid step of each sample.

    >>> import numpy
    >>> LastStep()(numpy.array([[1.0, 0.0], [3.0, 4.0]]))
    array([3., 4.])
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        last = _door.dense(piece, self).last()
        if carry is not None and piece.present is not None:
            last = namespace(last).where(piece.present, last, carry)
        return last, last


@dataclass(frozen=True, kw_only=True)
class _Times(Readout):
    """How spike times are coded, and what a spike that does not come counts as."""

    code: Code = "time"
    silent_delay: float = 0.0
    silent_gradient: bool = True

    def __post_init__(self) -> None:
        _door.option(self, "code", _door.choice, ("time", "negative", "reciprocal"))
        _door.option(self, "silent_delay", _door.number, low=0.0)
        _door.option(self, "silent_gradient", _door.flag)

    @property
    def smaller_decides(self) -> bool:
        return self.code == "time"

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None

    def _times(self, piece: Piece, carry: Carry, count: int) -> tuple[Decision, Spikes]:
        """The times (F, *B, N) of the first F spikes, coded, and the spikes themselves."""
        _door.spikes(piece)
        spikes = piece.spikes(count)
        if carry is not None:
            spikes = _first(carry, spikes, piece.present)
        return self._coded(spikes, piece.steps), spikes

    def _coded(self, spikes: Spikes, steps: Steps) -> Decision:
        time, slope = spikes.time, -spikes.entry
        xp = namespace(time)
        silent = time == xp.inf
        time = xp.where(silent, steps - 1 + self.silent_delay, time)
        if not self.silent_gradient:
            slope = xp.where(silent, 0, slope)
        time = time + (slope - constant(slope))
        if self.code == "negative":
            return -time
        return time if self.code == "time" else 1 / (time + 1)


def _first(earlier: Spikes, later: Spikes, present: Array | None) -> Spikes:
    """The first F of the spikes of two pieces; `present`: samples that have the later one."""
    xp = namespace(earlier.time)
    had = xp.sum(xp.astype(earlier.time < xp.inf, xp.int32), axis=0)
    k = xp.reshape(arange(len(earlier.time), had), (-1,) + (1,) * had.ndim)
    index = xp.where(k < had, 0, k - had)
    entry = at(later.entry, index)
    if present is not None:
        entry = xp.where(present, entry, earlier.entry)
    return Spikes(
        xp.where(k < had, earlier.time, at(later.time, index)),
        xp.where(k < had, earlier.entry, entry),
    )


@dataclass(frozen=True, kw_only=True)
class FirstSpike(_Times):
    """z = t_f = min{t : x_t != 0}, in steps from 0; coded z = t_f, -t_f or 1/(t_f + 1).

    The derivative is an estimator: dt_f/dx_t = -1 at t = t_f, 0 elsewhere (a larger input fires
    earlier), times the derivative of the code. A neuron that stays silent counts as firing at
    n - 1 + `silent_delay`; with `silent_gradient` its derivative -1 goes to the last valid step,
    so that it can learn to fire. Times of events have their true derivative, 1.

    Args:
        code: "time", "negative" or "reciprocal".
        silent_delay: steps (0 or more) after the last valid one at which silence counts as a spike.
        silent_gradient: whether a silent neuron has a derivative.

    Source: S. Shrestha and G. Orchard, SLAYER (2018); J. Eshraghian et al., Training spiking
    neural networks using lessons from deep learning (2023).

    >>> import numpy
    >>> FirstSpike()(numpy.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]]))
    array([1., 2., 2.], dtype=float32)
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        times, spikes = self._times(piece, carry, 1)
        return times[0], spikes


@dataclass(frozen=True, kw_only=True)
class SpikeTimes(_Times):
    """z_k = min{t : x_0..x_t hold k spikes} for k = 1..F: the first F spike times of each neuron.

    Decision (F, *B, N). Code, derivative and silence are those of `FirstSpike`, for each spike by
    itself; the derivatives of spikes that share a step, as missing ones do, add up.

    Args:
        count: F, the number of spikes to read, 1 or more.

    >>> import numpy
    >>> SpikeTimes(count=2)(numpy.array([[1, 0], [0, 1], [1, 0]]))
    array([[0., 1.],
           [2., 2.]], dtype=float32)
    """

    count: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _door.option(self, "count", _door.whole, low=1)

    @property
    def keeps(self) -> Keeps:
        return "spikes"

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        return self._times(piece, carry, self.count)


@dataclass(frozen=True)
class _Wrapper(Readout):
    """A readout that changes what another one, `of`, says."""

    of: Readout

    def __post_init__(self) -> None:
        _door.option(self, "of", _door.stage, Readout, "readouts.Count()")

    @property
    def keeps(self) -> Keeps:
        return self.of.keeps

    @property
    def smaller_decides(self) -> bool:
        return self.of.smaller_decides

    @property
    def timeless(self) -> bool:
        return self.of.timeless


@dataclass(frozen=True)
class Population(_Wrapper):
    """z_c = sum or mean of `of` over the c-th of C contiguous equal groups of neurons.

    Population code: N output neurons vote for C classes, N/C for each.

    Args:
        of: the readout of a single neuron.
        classes: C, a divisor of N.
        pool: "sum" or "mean" over the neurons of a group.

    Raises:
        ValueError: if C does not divide the number of neurons of the record.

    >>> import numpy
    >>> Population(Count(), classes=2)(numpy.array([[1, 0, 1, 1], [1, 0, 0, 1]]))
    array([2., 3.], dtype=float32)
    """

    classes: int
    pool: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        _door.option(self, "classes", _door.whole, low=1)
        _door.option(self, "pool", _door.choice, ("sum", "mean"))

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        size = _door.groups(piece.neurons, self.classes)
        z, carry = self.of.read(piece, carry)
        xp = namespace(z)
        grouped = xp.reshape(z, (*z.shape[:-1], self.classes, size))
        return xp.sum(grouped, axis=-1) / (1 if self.pool == "sum" else size), carry

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        if single is None or self.pool == "mean":
            return single
        return single * _door.groups(neurons, self.classes)


@dataclass(frozen=True)
class Temperature(_Wrapper):
    """z / `scale`: softens (scale > 1) or sharpens (scale < 1) the softmax that follows.

    Args:
        of: the readout.
        scale: above 0, in the units of the readout.

    >>> import numpy
    >>> Temperature(Count(), scale=2.0)(numpy.array([[1, 0], [1, 1]]))
    array([1. , 0.5], dtype=float32)
    """

    scale: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _door.option(self, "scale", _door.number, above=0.0)

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z, carry = self.of.read(piece, carry)
        return z / self.scale, carry

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        return None if single is None else single / self.scale
