"""Readouts: what a record says. record (T, *B, N) -> decision (*B, C), (T, *B, C) or (F, *B, N).

x_t is the record at step t, counted from 0; n the number of valid steps of a sample (T, or its
length). A readout is called on a record as it is, `Count()(spikes, lengths=lengths)`; inside a loss
`read` gets the record behind the door: time first, neurons last, floating, padding set to zero.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple, Unpack

from . import _door
from ._backend import (
    at,
    first_nonzero,
    maximum,
    namespace,
    running_sum,
    surrogate,
)
from ._shapes import Array, Decision, Evidence, Layout, Record, Steps, Valid

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

    def reading(self, frame: _door.Frame) -> Reading:
        """The decision for a record behind the door, with what the later stages need."""
        x, steps = frame.x, frame.steps
        z = self.read(x, frame.valid, steps)
        return Reading(z, self.keeps, steps, self.full(steps, x.shape[-1]))

    @abstractmethod
    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        """The formula of the readout."""

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        """What a neuron that fires at every valid step reads; None where a rate has no meaning."""
        return 1.0

    def evidence(self, frame: _door.Frame) -> Evidence:
        """One number per class, the larger the likelier: for a decision that keeps time its mean
        over the valid steps, for several spikes the first."""
        z = self.reading(frame).z
        if self.keeps == "time":
            z = mean_over_time(z, frame.valid, frame.steps)
        elif self.keeps == "spikes":
            z = z[0]
        return -z if self.smaller_decides else z


def mean_over_time(x: Array, valid: Valid | None, steps: Steps) -> Array:
    """sum_t x_t / n over the valid steps of the first axis."""
    xp = namespace(x)
    if valid is not None:
        x = xp.where(valid, x, 0)
    return xp.sum(x, axis=0) / steps


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

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        return namespace(x).squeeze(x, axis=0)  # the derivative of x[0] is a padded copy


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

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        return x


@dataclass(frozen=True)
class Count(Readout):
    """z = sum_t x_t: the number of spikes, in spikes.

    >>> import numpy
    >>> Count()(numpy.array([[1, 0], [1, 1]]))
    array([2., 1.], dtype=float32)
    """

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        return namespace(x).sum(x, axis=0)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return steps


@dataclass(frozen=True)
class Mean(Readout):
    """z = sum_t x_t / n: the firing rate, in spikes per step, or the mean membrane.

    >>> import numpy
    >>> Mean()(numpy.array([[1, 0], [1, 1]]))
    array([1. , 0.5], dtype=float32)
    """

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        return namespace(x).sum(x, axis=0) / steps


@dataclass(frozen=True)
class Maximum(Readout):
    """z = max_t x_t: the highest membrane potential.

    The derivative goes to the first step that reaches the maximum, alone, in every library.

    Source: F. Zenke, SpyTorch (2018).

    >>> import numpy
    >>> Maximum()(numpy.array([[0.5, -2.0], [0.25, -1.0]]))
    array([ 0.5, -1. ])
    """

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        xp = namespace(x)
        return maximum(x if valid is None else xp.where(valid, x, -xp.inf))


@dataclass(frozen=True)
class LastStep(Readout):
    """z = x_(n-1): the record at the last valid step of each sample.

    >>> import numpy
    >>> LastStep()(numpy.array([[1.0, 0.0], [3.0, 4.0]]))
    array([3., 4.])
    """

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        if isinstance(steps, int):
            return x[-1]
        xp = namespace(x)
        return at(x, xp.broadcast_to(xp.astype(steps - 1, xp.int32), x.shape[1:]))


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

    def _coded(self, x: Record, step: Array, steps: Steps) -> Decision:
        """Integer spike steps, T where there is no spike, to coded times with their derivative."""
        xp = namespace(x)
        last = steps - 1 if isinstance(steps, int) else xp.astype(steps - 1, step.dtype)
        event = xp.where(step > last, last, step)
        time, slope = xp.astype(event, x.dtype), -at(x, event)
        if self.silent_delay:
            time = time + self.silent_delay * xp.astype(step > last, x.dtype)
        if not self.silent_gradient:
            slope = xp.where(step > last, 0, slope)
        time = surrogate(time, slope)
        if self.code == "negative":
            return -time
        return time if self.code == "time" else 1 / (time + 1)


@dataclass(frozen=True, kw_only=True)
class FirstSpike(_Times):
    """z = t_f = min{t : x_t != 0}, in steps from 0; coded z = t_f, -t_f or 1/(t_f + 1).

    The derivative is an estimator: dt_f/dx_t = -1 at t = t_f, 0 elsewhere (a larger input fires
    earlier), times the derivative of the code. A neuron that stays silent counts as firing at
    n - 1 + `silent_delay`; with `silent_gradient` its derivative -1 goes to the last valid step,
    so that it can learn to fire.

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

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        _door.spikes(x)
        return self._coded(x, first_nonzero(x), steps)


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

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        _door.spikes(x)
        xp = namespace(x)
        seen = running_sum(xp.astype(x != 0, xp.int32))
        # The k-th spike comes after as many steps as have seen fewer than k.
        steps_before = [xp.sum(seen <= k, axis=0, dtype=xp.int32) for k in range(self.count)]
        return self._coded(x, xp.stack(steps_before), steps)


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

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        size = _door.groups(x.shape[-1], self.classes)
        z, xp = self.of.read(x, valid, steps), namespace(x)
        grouped = xp.reshape(z, (*z.shape[:-1], self.classes, size))
        return xp.sum(grouped, axis=-1) / (1 if self.pool == "sum" else size)

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

    def read(self, x: Record, valid: Valid | None, steps: Steps) -> Decision:
        return self.of.read(x, valid, steps) / self.scale

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        return None if single is None else single / self.scale
