"""Reductions: the totals of samples -> the loss. (S, *B, 1 | C) with weights -> () or as it is.

l is the loss of an element, the mean over the steps of a sample, already multiplied by its weight w
(class weight of its label times sample weight). Elements of samples that do not count (all steps
ignored, no valid step) are left out. With nothing left, a mean is nan and a sum is 0.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .extend import (
    Array,
    Checked,
    Totals,
    choice,
    divided,
    like,
    mean_of_all,
    namespace,
    refuse,
    sum_of_all,
)


class Reduction(Checked):
    """What every reduction can do."""

    @abstractmethod
    def reduce(self, totals: Totals) -> Array:
        """The loss."""

    def parts(self, totals: Totals) -> tuple[Array, Array | None]:
        """The numerator of the loss, 0-d, and its denominator; None: it has none."""
        rule, fix = "a mean or a sum, which has parts", "Write reduction=reductions.Mean()."
        refuse("reduction", rule, type(self).__name__, fix, TypeError)


@dataclass(frozen=True)
class Mean(Reduction):
    """sum l / M over M elements, or with over="weights" sum l / sum w.

    Args:
        over: "samples", the rule of most SNN packages, in which class weights change the size of
            the loss; or "weights", the rule of PyTorch's and BrainPy's cross-entropy.

    >>> import numpy
    >>> totals = Totals(numpy.array([[2.0], [3.0]]), numpy.array([[1.0], [3.0]]))
    >>> float(Mean("weights").reduce(totals))
    1.25
    """

    over: Literal["samples", "weights"] = field(
        default="samples", metadata=choice("samples", "weights")
    )

    def reduce(self, totals: Totals) -> Array:
        value, weight, number = totals.value, totals.weight, totals.number
        if weight is None or self.over == "samples":
            if isinstance(number, int):
                return mean_of_all(value, number)  # in one division what takes two by parts
            if totals.full is True:
                return mean_of_all(totals.mean()[0], 1)
        return divided(*self.parts(totals))

    def parts(self, totals: Totals) -> tuple[Array, Array]:
        value, weight, counts = totals.mean()
        if weight is None or self.over == "samples":
            weight = like(1.0, value)
        if counts is not None:
            xp = namespace(value)
            value, weight = xp.where(counts, value, 0), xp.where(counts, weight, 0)
        weight = namespace(value).broadcast_to(weight, value.shape)
        return sum_of_all(value), sum_of_all(weight)


@dataclass(frozen=True)
class Sum(Reduction):
    """sum l over all elements.

    >>> import numpy
    >>> float(Sum().reduce(Totals(numpy.array([[2.0], [3.0]]))))
    5.0
    """

    def reduce(self, totals: Totals) -> Array:
        return sum_of_all(Each().reduce(totals))

    def parts(self, totals: Totals) -> tuple[Array, Array | None]:
        return self.reduce(totals), None


@dataclass(frozen=True)
class Each(Reduction):
    """l of every element, 0 where a sample does not count.

    >>> import numpy
    >>> Each().reduce(Totals(numpy.array([[2.0, 3.0]])))
    array([[2., 3.]])
    """

    def reduce(self, totals: Totals) -> Array:
        value, _, counts = totals.mean()
        return value if counts is None else namespace(value).where(counts, value, 0)


Word: TypeAlias = Literal["mean", "sum", "none"]
WORDS: dict[str, Reduction] = {"mean": Mean(), "sum": Sum(), "none": Each()}
"""What a word stands for where a reduction is meant, as in `Loss(..., reduction="sum")`."""
