"""Targets: what the user has -> what the criterion compares with. label -> y, broadcast against z.

y is the class index of a sample; n the number of its valid steps. A target encoding turns class
labels (*B) or, for readouts that keep time, (T, *B) into numbers (*B, C) or (T, *B, C).
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar, TypeAlias

from .extend import (
    AT_LEAST_0,
    NUMBERS,
    Array,
    Check,
    Checked,
    Decision,
    Evidence,
    Labels,
    Piece,
    Steps,
    by_class,
    checked,
    checks_values,
    cut,
    declared,
    every_step,
    extent,
    fit_labels,
    fit_numbers,
    flag,
    integer,
    like,
    namespace,
    number,
    plain,
    product,
    refuse,
    said,
    settled,
    shape_of,
    span,
    undecided,
)
from .readouts import Outline, Readout


class Target(Checked):
    """What every target encoding can do."""

    labelled: ClassVar[bool] = True
    """Whether the user gives class labels."""
    timed: ClassVar[bool] = False
    """Whether it gives spike times, to compare with a readout of them."""
    at_once: ClassVar[bool] = False
    """Whether it has to see all steps of a target at once, so that there is no stream."""
    of_record: ClassVar[bool] = False
    """Whether the user gives a record, which is read like the other one before it is encoded."""

    @property
    def classes(self) -> int | None:
        """How many classes the labels may name; None: as many as the decision has."""
        return None

    @property
    def steps(self) -> int | None:
        """How many steps it has something to compare with for; None: any number."""
        return None

    def fit(self, target: Array, outline: Outline) -> Check | None:
        """What is to be checked of the values that the user gives, if they fit; None: nothing."""
        return fit_labels(target, outline, classes=self.classes) if self.labelled else None

    @abstractmethod
    def encode(self, target: Array, outline: Outline) -> Array:
        """What the user gives, labels checked, as what a decision of that outline is to be."""

    def suits(self, z: Decision, readout: Readout, end: Piece) -> None:
        """Whether a decision can be compared with it, where that shows in its values."""

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
    >>> import spikeloss
    >>> loss = spikeloss.Loss(
    ...     spikeloss.readouts.Decided(), spikeloss.criteria.SquaredError(), Given()
    ... )
    >>> float(loss(numpy.zeros((1, 2)), numpy.array([[0.0, 2.0]])))  # (0 + 4) / 2
    2.0
    """

    labelled: ClassVar[bool] = False

    def encode(self, target: Array, outline: Outline) -> Array:
        return target


@dataclass(frozen=True)
class GivenTime(Target):
    """y = t where t >= 0, n + t where t < 0: spike times in steps, negative ones from the end.

    Times (N), (*B, N) or, for `SpikeTimes(F)`, (F, *B, N), of an integer or floating dtype.

    Raises:
        ValueError: if a time lies outside the record of its sample.

    >>> import numpy
    >>> from spikeloss.readouts import FirstSpike
    >>> outline = FirstSpike().outline(numpy.zeros((5, 1, 2)))
    >>> GivenTime().encode(numpy.array([[0, -1]]), outline)
    array([[0., 4.]])
    """

    labelled: ClassVar[bool] = False
    timed: ClassVar[bool] = True

    def fit(self, target: Array, outline: Outline) -> Check | None:
        if tuple(target.shape) != outline.shape[-1:]:
            fit_numbers(target, outline, by_class="OnOffTime")
        return None

    def encode(self, target: Array, outline: Outline) -> Array:
        time, xp = NUMBERS(target, outline), namespace(target)
        if tuple(time.shape) == outline.shape[-1:]:  # those of one sample, for every one
            time = xp.broadcast_to(time, outline.shape)
        time = _inside(time, outline.steps)
        return xp.where(time < 0, time + outline.steps, time)


def _inside(time: Array, steps: Steps) -> Array:
    """Times, -n <= time <= n - 1 in every sample; nan for others that cannot be checked."""
    varied, xp = not isinstance(steps, int), namespace(time)
    inside = (time >= -steps) & (time <= steps - 1)
    if not checks_values(time, *((steps,) if varied else ())):
        return xp.where(inside, time, xp.nan)
    if bool(xp.all(settled(inside))):
        return time
    within = "-n to n - 1, n the length of the sample" if varied else f"{-steps} to {steps - 1}"
    rule, fix = f"spike times from {within}", "Count the first step as 0, the last as -1."
    refuse("target", rule, span(*extent(time)), fix)


@dataclass(frozen=True)
class OnOff(Target):
    """y_c = on if c is the label, else off: a value for the decision, in its units.

    >>> import numpy
    >>> from spikeloss.readouts import Maximum
    >>> outline = Maximum().outline(numpy.zeros((5, 1, 3)))
    >>> OnOff(on=1.0, off=-1.0).encode(numpy.array([1]), outline)
    array([[-1.,  1., -1.]])
    """

    on: float = field(default=1.0, metadata=number())
    off: float = field(default=0.0, metadata=number())

    def encode(self, target: Labels, outline: Outline) -> Array:
        return by_class(target, outline.classes, outline.like, self.on, self.off)


@dataclass(frozen=True)
class OnOffRate(Target):
    """y_c = r_c full, r = on for the label, else off; full is what firing at every step reads.

    A rate in spikes per step and neuron, from 0 to 1. For `SumOverTime` full = n, so that the
    target is the real number r n (12.5 for half of 25 steps); for `MeanOverTime` it is r; for a
    population that sums counts r n N/C. The record holds spikes of 0 and 1: sums that these cannot
    reach are an error where values are checked and the readout does not keep time.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> outline = SumOverTime().outline(numpy.zeros((25, 1, 3)))
    >>> OnOffRate(on=0.5).encode(numpy.array([1]), outline)
    array([[ 0. , 12.5,  0. ]])
    """

    on: float = field(default=1.0, metadata=number(low=0.0, high=1.0))
    off: float = field(default=0.0, metadata=number(low=0.0, high=1.0))

    def encode(self, target: Labels, outline: Outline) -> Array:
        full: Any = outline.full  # `fit` has seen that there is one
        return by_class(target, outline.classes, outline.like, self.on * full, self.off * full)

    def fit(self, target: Array, outline: Outline) -> Check | None:
        if outline.full is None:
            fix = "Write target=targets.OnOff()."
            got = "one of other values"
            refuse("target", "a readout of rates for OnOffRate", got, fix, TypeError)
        return super().fit(target, outline)

    def suits(self, z: Decision, readout: Readout, end: Piece) -> None:
        if readout.keeps is not None or 0 in z.shape:  # of every step it would be another pass
            return
        full = readout.full(end.steps, end.neurons)
        plain = isinstance(full, (int, float))
        if checks_values(z, *(() if plain else (full,))):
            low, high = (end / full for end in extent(z)) if plain else extent(z / full)
            if low < -SLACK or high > 1 + SLACK:
                fix = "For graded values and membranes write target=targets.OnOff()."
                refuse("record", "spikes of 0 and 1, at rates from 0 to 1", span(low, high), fix)


SLACK = 1e-3
"""By how much rates may leave 0 to 1: rounding, and the steps of finite differences."""


def _steps(argument: str, value: Any) -> int | tuple[int, ...]:
    """A step, or a tuple of one or more."""
    if isinstance(value, tuple):
        if not value:
            refuse(argument, "at least one step", "()", "Give the step of the first spike.")
        return tuple(checked(f"{argument}[{i}]", step, integer()) for i, step in enumerate(value))
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        rule, fix = "an integer or a tuple of integers", f"Pass {argument} as int or tuple."
        refuse(argument, rule, said(value), fix, TypeError)
    return int(value)


def _paired(on: int | tuple[int, ...], off: int | tuple[int, ...]) -> None:
    """As many steps for the label as for the other classes."""
    many = [len(steps) if isinstance(steps, tuple) else 0 for steps in (on, off)]
    if many[0] != many[1]:
        rule, fix = f"as many steps as on={cut(repr(on))}", "Give on and off the same number."
        refuse("off", rule, cut(repr(off)), fix)


@dataclass(frozen=True)
class OnOffTime(Target):
    """y_c = t_c, t = on for the label, else off: a spike time in steps; n + t if t is negative.

    Args:
        on, off: steps from 0, or negative from the end of each sample (-1 is its last step); for
            `SpikeTimes(F)` a tuple of F of them each.

    Raises:
        ValueError: if a time lies outside the record of a sample.

    >>> import numpy
    >>> from spikeloss.readouts import FirstSpike
    >>> outline = FirstSpike().outline(numpy.zeros((5, 1, 3)))
    >>> OnOffTime(on=0, off=-1).encode(numpy.array([1]), outline)
    array([[4., 0., 4.]])
    """

    on: int | tuple[int, ...] = field(default=0, metadata=declared(_steps))
    off: int | tuple[int, ...] = field(default=-1, metadata=declared(_steps))
    timed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _paired(self.on, self.off)

    def encode(self, target: Labels, outline: Outline) -> Array:
        pairs, steps = self._pairs, outline.steps
        _steps_inside(pairs, steps)
        times = [
            by_class(target, outline.classes, outline.like, _step(on, steps), _step(off, steps))
            for on, off in pairs
        ]
        return namespace(times[0]).stack(times) if outline.keeps == "spikes" else times[0]

    def fit(self, target: Array, outline: Outline) -> Check | None:
        count = outline.shape[0] if outline.keeps == "spikes" else 1
        if len(self._pairs) != count:
            rule = f"steps of {count} spike{'' if count == 1 else 's'}, as many as are read"
            fix = f"Read with readouts.SpikeTimes(count={len(self._pairs)})."
            refuse("target", rule, len(self._pairs), fix)
        return super().fit(target, outline)

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        """The steps of each spike, of the label and of the others."""
        if isinstance(self.on, tuple) and isinstance(self.off, tuple):
            return list(zip(self.on, self.off, strict=True))
        return [(self.on, self.off)]  # type: ignore[list-item]  # both are int or none is


def _step(step: int, steps: Steps) -> Any:
    """A step from 0; nan outside of samples whose lengths cannot be checked."""
    at = steps + step if step < 0 else step
    if isinstance(steps, int) or checks_values(steps):
        return at
    xp = namespace(steps)
    return xp.where((at >= 0) & (at < steps), at, xp.nan)


def _steps_inside(pairs: list[tuple[int, int]], steps: Steps) -> None:
    """-n <= step <= n - 1 for every step, and every sample where lengths can be read."""
    where = "the record"
    if not isinstance(steps, int):
        if not checks_values(steps) or 0 in steps.shape:
            return
        steps, where = int(extent(steps)[0]), "the shortest sample"
    for pair in pairs:
        for argument, step in zip(("on", "off"), pair, strict=True):
            if not -steps <= step < steps:
                rule = f"a step of {where}, from {-steps} to {steps - 1}"
                refuse(argument, rule, step, f"Choose {-steps} <= {argument} < {steps}.")


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

    def encode(self, target: Array, outline: Outline) -> Array:
        return target


@dataclass(frozen=True, kw_only=True)
class NearestSpike(Target):
    """y_t = min_s |t - s|, s the steps of spikes, at most l, q at a spike; or its logarithm.

    The spike distance function: spikes (T, *B, N), entries that are not 0, as how far the nearest
    one is, before or after. Spikes lie where it is lowest, to the step, which a rate does not say.
    Of valid steps alone; a train without a spike is l everywhere. It looks ahead, so that there is
    no stream.

    Args:
        limit: l, above q, in steps.
        least: q, above 0, in steps: how far a spike within a step is from its middle on average.
        logarithm: whether y is the logarithm, so that near spikes count most.

    Source: K. Doran et al., Spike distance function as a learning objective for spike prediction
    (2024), by the authors' code.

    >>> import numpy
    >>> from spikeloss.readouts import EveryStep
    >>> outline, spikes = EveryStep().outline(numpy.zeros((5, 1, 1))), numpy.zeros((5, 1, 1))
    >>> spikes[3] = 1
    >>> NearestSpike(limit=2.5, logarithm=False).encode(spikes, outline).ravel()
    array([2.5 , 2.  , 1.  , 0.25, 1.  ])
    """

    limit: float = field(default=200.0, metadata=number(above=0.0))
    least: float = field(default=0.25, metadata=number(above=0.0))
    logarithm: bool = field(default=True, metadata=flag())
    labelled: ClassVar[bool] = False
    at_once: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least >= self.limit:
            rule = f"a distance above {self.least:g}, that of a spike"
            refuse("limit", rule, f"{self.limit:g}", "Raise limit.")

    def fit(self, target: Array, outline: Outline) -> Check | None:
        if outline.keeps != "time":
            rule = "a readout of every step for NearestSpike"
            got = type(outline.readout).__name__
            refuse("target", rule, got, "Read with readouts.EveryStep().", TypeError)
        if tuple(target.shape) != outline.shape:
            rule, fix = f"spikes of shape {outline.shape}", "Pass the spikes of every step."
            refuse("target", rule, shape_of(target), fix)
        return fit_numbers(target, outline, AT_LEAST_0)

    def encode(self, target: Array, outline: Outline) -> Array:
        spikes, xp, valid = NUMBERS(target, outline), namespace(target), outline.valid
        t = every_step(outline.piece, outline.readout).position
        fired = (spikes != 0) if valid is None else (spikes != 0) & valid
        since = t - _running_top(xp.where(fired, t, -xp.inf))
        until = -t - xp.flip(_running_top(xp.flip(xp.where(fired, -t, -xp.inf), axis=0)), axis=0)
        away = xp.where(since < until, since, until)
        away = xp.where(away < self.limit, away, self.limit)
        away = xp.where(away < self.least, self.least, away)
        away = xp.where(xp.any(fired & ~xp.isfinite(spikes), axis=0), xp.nan, away)
        return xp.log(away) if self.logarithm else away


def _running_top(x: Array) -> Array:
    """max_(s <= t) x_s over the first axis, over 1, 2, 4, ... steps."""
    xp, reach, steps = namespace(x), 1, x.shape[0]
    while reach < steps:
        later = x[:-reach, ...]
        rest = x[reach:, ...]
        x = xp.concat([x[:reach, ...], xp.where(later > rest, later, rest)])
        reach *= 2
    return x


Rows: TypeAlias = tuple[tuple[float, ...], ...]


def _patterns(argument: str, value: Any) -> tuple[Any, ...]:
    """Finite numbers (K, N) or (K, T, N), as nested tuples of floats."""
    value = plain(value)
    rule, fix = "numbers (K, N) or (K, T, N)", "Pass a row of numbers per class."
    if not isinstance(value, (tuple, list)):
        refuse(argument, rule, said(value), fix, TypeError)
    found = tuple(_nested(argument, row) for row in value)
    shape = _shape(found)
    if len(shape) not in (2, 3) or None in shape or 0 in shape:
        refuse(argument, rule, cut(repr(value)), fix)
    return found


def _nested(argument: str, value: Any) -> tuple[Any, ...] | float:
    if isinstance(value, (tuple, list)):
        return tuple(_nested(argument, each) for each in value)
    return float(checked(argument, value, number()))


def _shape(value: Any) -> tuple[int | None, ...]:
    """The shape of nested tuples; None where they differ."""
    if not isinstance(value, tuple):
        return ()
    inner = {_shape(each) for each in value}
    return (len(value), *(inner.pop() if len(inner) == 1 else (None,)))


@dataclass(frozen=True)
class StoredPattern(Target):
    """y = P_label: a stored pattern per class, of one number per neuron, or per step and neuron.

    The number of classes is that of the patterns, whatever the number of neurons is; the class that
    a decision is nearest to, by the squared error, is the one that is predicted. Patterns in time
    predict none.

    Args:
        patterns: (K, N), or (K, T, N) for readouts that keep time; nested tuples or an array.

    >>> import numpy
    >>> from spikeloss.readouts import Maximum
    >>> outline = Maximum().outline(numpy.zeros((5, 1, 3)))
    >>> StoredPattern(((0.0, 0.0, 1.0), (1.0, 2.0, 0.0))).encode(numpy.array([1]), outline)
    array([[1., 2., 0.]])
    """

    patterns: Rows | tuple[Rows, ...] = field(metadata=declared(_patterns))

    @property
    def classes(self) -> int:
        return len(self.patterns)

    @property
    def steps(self) -> int | None:
        first = self.patterns[0]
        return len(first) if isinstance(first[0], tuple) else None

    def encode(self, target: Labels, outline: Outline) -> Array:
        patterns, count = like(self.patterns, outline.like), len(self.patterns)
        xp, shape = namespace(patterns), tuple(patterns.shape[1:])
        chosen = by_class(target, count, patterns, 1.0, 0.0)
        y = product(chosen, xp.reshape(patterns, (count, -1)))
        y = xp.reshape(y, (*chosen.shape[:-1], *shape))
        return xp.moveaxis(y, (-2,), (0,)) if len(shape) == 2 else y

    def evidence(self, z: Array, readout: Readout) -> Evidence:
        patterns, xp = like(self.patterns, z), namespace(z)
        if patterns.ndim == 3 or readout.keeps == "spikes":
            undecided(self)
        return -xp.sum((z[..., None, :] - patterns) ** 2, axis=-1)

    def rounded(self, evidence: Evidence, readout: Readout, steps: Steps) -> Array | float:
        return namespace(evidence).abs(evidence)
