"""Targets: what the user has -> what the criterion compares with. label -> y, broadcast against z.

y is the class index of a sample; n the number of its valid steps. A target encoding turns class
labels (*B) or, for readouts that keep time, (T, *B) into numbers (*B, C) or (T, *B, C).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from . import _door
from ._backend import arange, by_class, like, namespace, product
from ._shapes import Array, Evidence, Labels, Steps
from ._stage import Stage
from .readouts import Reading, Readout


class Target(metaclass=Stage):
    """What every target encoding can do."""

    labelled: ClassVar[bool] = True
    """Whether the user gives class labels."""
    timed: ClassVar[bool] = False
    """Whether it gives spike times, to compare with a readout of them."""
    of_record: ClassVar[bool] = False
    """Whether the user gives a record, which is read like the other one before it is encoded."""

    @property
    def classes(self) -> int | None:
        """How many classes the labels may name; None: as many as the decision has."""
        return None

    @abstractmethod
    def encode(self, target: Array, reading: Reading) -> Array:
        """What the user gives, encoded for a reading."""

    def evidence(self, z: Array, readout: Readout) -> Evidence:
        """One number per class, the larger the likelier, from a decision or its mean over time."""
        return readout.evidence(z)

    def rounded(self, evidence: Evidence, readout: Readout, steps: Steps) -> Array | float:
        """The size of the numbers whose rounding is in the evidence, as `Readout.rounded`."""
        return readout.rounded(evidence, steps)


@dataclass(frozen=True)
class Given(Target):
    """y as it is: class indices or probabilities for cross-entropy, numbers for squared error.

    >>> import numpy
    >>> reading = Reading(numpy.zeros((1, 3)), keeps=None, steps=5, full=1.0)
    >>> Given().encode(numpy.array([[0.0, 0.5, 2.0]]), reading)
    array([[0. , 0.5, 2. ]])
    """

    labelled: ClassVar[bool] = False

    def encode(self, target: Array, reading: Reading) -> Array:
        return target


@dataclass(frozen=True)
class GivenTime(Target):
    """y = t where t >= 0, n + t where t < 0: spike times in steps, negative ones from the end.

    Times (N), (*B, N) or, for `SpikeTimes(F)`, (F, *B, N), of an integer or floating dtype.

    Raises:
        ValueError: if a time lies outside the record of its sample.

    >>> import numpy
    >>> reading = Reading(numpy.zeros((1, 2)), keeps=None, steps=5, full=None)
    >>> GivenTime().encode(numpy.array([[0, -1]]), reading)
    array([[0., 4.]])
    """

    labelled: ClassVar[bool] = False
    timed: ClassVar[bool] = True

    def encode(self, target: Array, reading: Reading) -> Array:
        time = _door.spike_times(target, reading)
        return namespace(time).where(time < 0, time + reading.steps, time)


@dataclass(frozen=True)
class OnOff(Target):
    """y_c = on if c is the label, else off: a value for the decision, in its units.

    >>> import numpy
    >>> reading = Reading(numpy.zeros((1, 3)), keeps=None, steps=5, full=1.0)
    >>> OnOff(on=1.0, off=-1.0).encode(numpy.array([1]), reading)
    array([[-1.,  1., -1.]])
    """

    on: float = 1.0
    off: float = 0.0

    def __post_init__(self) -> None:
        _door.option(self, "on", _door.number)
        _door.option(self, "off", _door.number)

    def encode(self, target: Labels, reading: Reading) -> Array:
        return by_class(target, reading.z, self.on, self.off)


@dataclass(frozen=True)
class OnOffRate(Target):
    """y_c = r_c full, r = on for the label, else off; full is what firing at every step reads.

    A rate in spikes per step and neuron, from 0 to 1. For `SumOverTime` full = n, so that the
    target is the real number r n (12.5 for half of 25 steps); for `MeanOverTime` it is r; for a
    population that sums counts r n N/C. The record holds spikes of 0 and 1: sums that these cannot
    reach are an error where values are checked and the readout does not keep time.

    >>> import numpy
    >>> reading = Reading(numpy.zeros((1, 3)), keeps=None, steps=25, full=25)
    >>> OnOffRate(on=0.5).encode(numpy.array([1]), reading)
    array([[ 0. , 12.5,  0. ]])
    """

    on: float = 1.0
    off: float = 0.0

    def __post_init__(self) -> None:
        _door.option(self, "on", _door.number, low=0.0, high=1.0)
        _door.option(self, "off", _door.number, low=0.0, high=1.0)

    def encode(self, target: Labels, reading: Reading) -> Array:
        full = _door.rate(reading)
        return by_class(target, reading.z, self.on * full, self.off * full)


@dataclass(frozen=True)
class OnOffTime(Target):
    """y_c = t_c, t = on for the label, else off: a spike time in steps; n + t if t is negative.

    Args:
        on, off: steps from 0, or negative from the end of each sample (-1 is its last step); for
            `SpikeTimes(F)` a tuple of F of them each.

    Raises:
        ValueError: if a time lies outside the record of a sample.

    >>> import numpy
    >>> reading = Reading(numpy.zeros((1, 3)), keeps=None, steps=5, full=None)
    >>> OnOffTime(on=0, off=-1).encode(numpy.array([1]), reading)
    array([[4., 0., 4.]])
    """

    on: int | tuple[int, ...] = 0
    off: int | tuple[int, ...] = -1
    timed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _door.option(self, "on", _door.steps_option)
        _door.option(self, "off", _door.steps_option)
        _door.pairs_option(self.on, self.off)

    def encode(self, target: Labels, reading: Reading) -> Array:
        z, steps = reading.z, reading.steps
        several = reading.keeps == "spikes"
        pairs = _door.spike_pairs(self.on, self.off, z.shape[0] if several else 1)
        _door.steps_inside(pairs, steps)
        times = [by_class(target, z, _step(on, steps), _step(off, steps)) for on, off in pairs]
        return namespace(z).stack(times) if several else times[0]


def _step(step: int, steps: Steps) -> Any:
    return steps + step if step < 0 else step


@dataclass(frozen=True)
class SpikeTrain(Target):
    """y = readout(target): a record to imitate, (T, *B, N), read like the record itself.

    Counts are compared with counts, first spikes with first spikes, traces with traces; with the
    same lengths and mask, and laid out as the record is: `time_axis` and `class_axis` are those of
    both. It may be events or packed where the record may; a packed record
    is unpacked at once for it. In a stream its steps come with those of the record.

    Raises:
        ValueError: if it has not the shape of the record.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(
    ...     spikeloss.readouts.SumOverTime(), spikeloss.criteria.SquaredError(), SpikeTrain()
    ... )
    >>> float(loss(numpy.ones((3, 1, 1)), numpy.array([[[0.0]], [[1.0]], [[0.0]]])))  # (3 - 1)^2
    4.0
    """

    labelled: ClassVar[bool] = False
    of_record: ClassVar[bool] = True

    def encode(self, target: Array, reading: Reading) -> Array:
        return target


@dataclass(frozen=True)
class StoredPattern(Target):
    """y = P_label: a stored pattern per class, of one number per neuron, or per step and neuron.

    The number of classes is that of the patterns, whatever the number of neurons is; the class that
    a decision is nearest to, by the squared error, is the one that is predicted. Patterns in time
    predict none.

    Args:
        patterns: (K, N), or (K, T, N) for readouts that keep time; nested tuples or an array.

    >>> import numpy
    >>> reading = Reading(numpy.zeros((1, 3)), keeps=None, steps=5, full=1.0)
    >>> StoredPattern(((0.0, 0.0, 1.0), (1.0, 2.0, 0.0))).encode(numpy.array([1]), reading)
    array([[1., 2., 0.]])
    """

    patterns: tuple[tuple[float, ...], ...] | tuple[tuple[tuple[float, ...], ...], ...]

    def __post_init__(self) -> None:
        _door.option(self, "patterns", _door.patterns)

    @property
    def classes(self) -> int:
        return len(self.patterns)

    def encode(self, target: Labels, reading: Reading) -> Array:
        patterns, xp = like(self.patterns, reading.z), namespace(reading.z)
        one_of = xp.reshape(patterns, (len(patterns), -1))[:, 0]  # (K)
        chosen = by_class(target, one_of, 1.0, 0.0)
        y = product(chosen, xp.reshape(patterns, (len(patterns), -1)))
        y = xp.reshape(y, (*chosen.shape[:-1], *patterns.shape[1:]))
        if patterns.ndim == 2:
            return y
        y = xp.moveaxis(y, (-2,), (0,))
        if reading.offset is None:
            return y
        _door.within(len(reading.z), reading.offset, len(y))
        return xp.take(y, reading.offset + arange(len(reading.z), y), axis=0)

    def evidence(self, z: Array, readout: Readout) -> Evidence:
        patterns, xp = like(self.patterns, z), namespace(z)
        if patterns.ndim == 3 or readout.keeps == "spikes":
            _door.undecided(self)
        return -xp.sum((z[..., None, :] - patterns) ** 2, axis=-1)

    def rounded(self, evidence: Evidence, readout: Readout, steps: Steps) -> Array | float:
        return namespace(evidence).abs(evidence)
