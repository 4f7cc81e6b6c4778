"""Reductions: the totals of samples -> the loss. (S, *B, 1 | C) with weights -> () or as it is.

l is the loss of an element, the mean over the steps of a sample, already multiplied by its weight w
(class weight of its label times sample weight). Elements of samples that do not count (all steps
ignored, no valid step) are left out. With nothing left, a mean is nan and a sum is 0.

Told of ranks, a mean or a sum is that of the samples of all ranks, on every rank: `across="world"`
in PyTorch, where the name of a group is its `group_desc` or a dimension of a device mesh;
`across="data"`, an axis of `jax.shard_map`, `pmap` or `vmap`, in JAX.
"""

from abc import abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Literal, NoReturn, TypeAlias, get_args

from .extend import (
    Array,
    Checked,
    Parts,
    Totals,
    choice,
    divided,
    group,
    like,
    mean_of_all,
    namespace,
    optional,
    refuse,
    sum_of_all,
)

Gradients: TypeAlias = Literal["averaged", "summed"]
"""What is done with the gradients of ranks."""


class Reduction(Checked):
    """What every reduction can do."""

    across: str | tuple[str, ...] | None = None
    """The ranks over which its parts are summed; None: they are those of the whole batch."""
    gradients: Gradients = "averaged"
    """What is done with gradients of these ranks."""

    @abstractmethod
    def reduce(self, totals: Totals) -> Array:
        """The loss."""

    def parts(self, totals: Totals) -> tuple[Array, Array | None]:
        """The numerator of the loss, 0-d, and its denominator; None: it has none."""
        _without_parts(self)

    def of_ranks(self, across: str | tuple[str, ...] | None, gradients: Gradients) -> "Reduction":
        """The same of the samples of all ranks; None: of those here."""
        _without_parts(self)


def _without_parts(reduction: Reduction) -> NoReturn:
    rule, fix = "a mean or a sum, which has parts", "Write reduction=reductions.Mean()."
    refuse("reduction", rule, type(reduction).__name__, fix, TypeError)


@dataclass(frozen=True, kw_only=True, repr=False)
class _OverRanks(Reduction):
    """A reduction that has parts, of the samples here or of those of all ranks."""

    across: str | tuple[str, ...] | None = field(default=None, metadata=optional(group()))
    gradients: Gradients = field(default="averaged", metadata=choice(*get_args(Gradients)))

    def reduce(self, totals: Totals) -> Array:
        if self.across is None:
            return self._here(totals)
        numerator, denominator = self.parts(totals)
        parts = Parts((numerator,), (denominator,))
        return parts.across(self.across, gradients=self.gradients).value()

    def of_ranks(self, across: str | tuple[str, ...] | None, gradients: Gradients) -> Reduction:
        return replace(self, across=across, gradients=gradients)

    @abstractmethod
    def _here(self, totals: Totals) -> Array:
        """The loss of the samples here."""

    def __repr__(self) -> str:
        """As of any dataclass, without options of ranks that nobody has set."""
        own = sorted(fields(self), key=lambda x: bool(x.kw_only))
        said = [x.name for x in own if not x.kw_only or getattr(self, x.name) != x.default]
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in said)
        return f"{type(self).__name__}({given})"


@dataclass(frozen=True, repr=False)
class Mean(_OverRanks):
    """sum l / M over M elements, or with over="weights" sum l / sum w.

    Args:
        over: "samples", the rule of most SNN packages, in which class weights change the size of
            the loss; or "weights", the rule of PyTorch's and BrainPy's cross-entropy.
        across: the ranks whose samples are meant: in PyTorch "world" or the name of a process
            group, in JAX that of an axis; several as a tuple; None: those here. One collective for
            all terms of a sum.
        gradients: what becomes of the gradients of the ranks: they are "averaged", as DDP and FSDP
            do and `jax.lax.pmean` does, or "summed", as by `all_reduce` or `jax.lax.psum`.

    >>> import numpy
    >>> totals = Totals(numpy.array([[2.0], [3.0]]), numpy.array([[1.0], [3.0]]))
    >>> float(Mean("weights").reduce(totals))
    1.25
    """

    over: Literal["samples", "weights"] = field(
        default="samples", metadata=choice("samples", "weights")
    )

    def _here(self, totals: Totals) -> Array:
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


@dataclass(frozen=True, repr=False)
class Sum(_OverRanks):
    """sum l over all elements; `across` and `gradients` as of `Mean`.

    >>> import numpy
    >>> float(Sum().reduce(Totals(numpy.array([[2.0], [3.0]]))))
    5.0
    """

    def _here(self, totals: Totals) -> Array:
        return sum_of_all(Each().reduce(totals))

    def parts(self, totals: Totals) -> tuple[Array, Array | None]:
        return self._here(totals), None


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
