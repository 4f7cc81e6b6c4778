"""The mean over the valid steps of each sample: elements (T, *B, C) -> elements (*B, C).

The sums add up over pieces of a record, so that the mean of a stream is that of the whole.
"""

from typing import NamedTuple

from ._backend import namespace
from ._piece import Dense
from ._shapes import Array, Steps
from ._sums import Sum, added, sum_over_time
from .criteria import Elements


class Sums(NamedTuple):
    """Sums over the steps that are valid and kept, of which each sample has `steps`."""

    value: Sum
    weight: Sum | None
    steps: Steps

    def plus(self, other: "Sums") -> "Sums":
        """The sums over the steps of both."""
        weight = self.weight
        if weight is not None and other.weight is not None:
            weight = weight.plus(other.weight)
        return Sums(self.value.plus(other.value), weight, self.steps + other.steps)

    def mean(self) -> Elements:
        """The means; a sample without a step is not kept."""
        value, steps = self.value.value, self.steps
        weight = None if self.weight is None else self.weight.value
        if isinstance(steps, int):
            return Elements(value / steps, None if weight is None else weight / steps)
        xp, kept = namespace(value), steps > 0
        steps = xp.astype(xp.where(kept, steps, 1), value.dtype)
        return Elements(value / steps, None if weight is None else weight / steps, kept)


def summed(elements: Elements, piece: Dense) -> Sums:
    """The sums of elements over the steps of a piece."""
    value, weight, kept = elements
    xp, counted = namespace(value), both(kept, piece.valid)
    if weight is not None:
        weight = xp.broadcast_to(weight, (*value.shape[:-1], 1))
        weight = added(None, sum_over_time(weight, counted))
    total = added(None, sum_over_time(value, counted))
    if counted is None:
        return Sums(total, weight, piece.end - piece.start)
    steps = xp.sum(xp.broadcast_to(counted, (*value.shape[:-1], 1)), axis=0)
    return Sums(total, weight, steps)


def both(a: Array | None, b: Array | None) -> Array | None:
    """Both masks, None meaning all true."""
    return b if a is None else a if b is None else a & b
