"""Class labels as values or rates."""

from dataclasses import dataclass, field
from typing import Any

from spikeloss.extend import (
    Array,
    Check,
    Decision,
    Labels,
    Piece,
    by_class,
    checks_values,
    extent,
    number,
    refuse,
    span,
)
from spikeloss.readouts import Outline, Readout

from ._base import Target


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
