"""Reductions: per sample -> loss. value (*B, C) or (*B, 1), with its weights -> () or as it is.

l is the loss of an element, already multiplied by its weight w (class weight of its label times
sample weight). Elements of samples that do not count (all steps ignored, no valid step) are left
out. With nothing left, a mean is nan and a sum is 0.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from . import _door
from ._backend import namespace
from ._shapes import Array
from ._stage import Stage


class Reduction(metaclass=Stage):
    """What every reduction can do."""

    @abstractmethod
    def reduce(self, value: Array, weight: Array | None, kept: Array | None) -> Array:
        """`value` of every element, already weighted; `weight` and `kept` broadcast against it."""


@dataclass(frozen=True)
class Mean(Reduction):
    """sum l / M over M elements, or with over="weights" sum l / sum w.

    Args:
        over: "samples", the rule of most SNN packages, in which class weights change the size of
            the loss; or "weights", the rule of PyTorch's and BrainPy's cross-entropy.

    >>> import numpy
    >>> float(Mean("weights").reduce(numpy.array([2.0, 3.0]), numpy.array([1.0, 3.0]), None))
    1.25
    """

    over: Literal["samples", "weights"] = "samples"

    def __post_init__(self) -> None:
        _door.option(self, "over", _door.choice, ("samples", "weights"))

    def reduce(self, value: Array, weight: Array | None, kept: Array | None) -> Array:
        xp = namespace(value)
        if self.over == "samples" or weight is None:
            if kept is None:
                return xp.mean(value) if math.prod(value.shape) else xp.sum(value) / math.nan
            weight = xp.ones_like(value)
        if kept is not None:
            weight = xp.where(kept, weight, 0)
        total = xp.sum(xp.broadcast_to(weight, value.shape))
        return Sum().reduce(value, weight, kept) / xp.where(total == 0, xp.nan, total)


@dataclass(frozen=True)
class Sum(Reduction):
    """sum l over all elements.

    >>> import numpy
    >>> float(Sum().reduce(numpy.array([2.0, 3.0]), None, None))
    5.0
    """

    def reduce(self, value: Array, weight: Array | None, kept: Array | None) -> Array:
        return namespace(value).sum(Each().reduce(value, weight, kept))


@dataclass(frozen=True)
class Each(Reduction):
    """l of every element, 0 where a sample does not count.

    >>> import numpy
    >>> Each().reduce(numpy.array([2.0, 3.0]), None, None)
    array([2., 3.])
    """

    def reduce(self, value: Array, weight: Array | None, kept: Array | None) -> Array:
        return value if kept is None else namespace(value).where(kept, value, 0)
