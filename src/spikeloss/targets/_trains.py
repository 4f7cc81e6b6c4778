"""Records to imitate."""

from dataclasses import dataclass, field
from typing import ClassVar

from spikeloss.extend import (
    AT_LEAST_0,
    NUMBERS,
    Array,
    Check,
    every_step,
    fit_numbers,
    flag,
    namespace,
    number,
    refuse,
    shape_of,
)
from spikeloss.readouts import Outline

from ._base import Target


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
