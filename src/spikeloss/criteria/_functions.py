"""Criteria that are a function of the decision and the target."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from spikeloss.extend import (
    Array,
    Check,
    Labels,
    Totals,
    fit_labels,
    fit_numbers,
    function,
    kind,
    named,
    namespace,
    refuse,
    returned,
    written_for,
)
from spikeloss.readouts import Outline, Reading

from ._base import Criterion


@dataclass(frozen=True, repr=False)
class FunctionCriterion(Criterion):
    """l = f(z, y), z rows of the decision (K, C), y their labels (K) or numbers (K, C).

    What `of` makes. The rows are the samples, or for a readout that keeps time all steps of them; f
    gives one number for each, or one for each entry, of which the mean is taken. It should look at
    each row by itself. Two are equal if their functions are; one pickles if its function does.

    Args:
        function: f: a function of arrays of one library or of all, such as those of optax, or a
            loss of `torch.nn` with reduction="none".

    Raises:
        ValueError, TypeError: for class weights, which f cannot know; for a module that reduces,
            weighs or ignores by itself, which is the matter of `Loss`; for other arrays than those
            of the library that f is from; for what has another shape.

    >>> import numpy, spikeloss
    >>> squared = FunctionCriterion(lambda z, y: (z - y) ** 2)
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), squared)
    >>> float(loss(numpy.array([[0.5, 0.0]]), numpy.array([[0.0, 0.0]])))  # (0.25 + 0) / 2
    0.125
    """

    function: Callable[[Any, Any], Any] = field(metadata=function())
    of_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _by_itself(self.function)

    def __repr__(self) -> str:
        return f"FunctionCriterion({named(self.function)})"

    def fit(self, y: Array, outline: Outline) -> Check:
        rows = outline.shape[:-1] if outline.keeps == "time" else outline.batch
        if kind(y) == "integer" and tuple(y.shape) in (outline.batch, rows):
            return fit_labels(y, outline)
        return fit_numbers(y, outline)

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        z, xp, what = reading.z, namespace(reading.z), f"criteria.of({named(self.function)})"
        if class_weight is not None:
            fix = "Weigh samples with sample_weight."
            refuse("class_weight", f"None for {what}", "weights", fix, TypeError)
        written_for(self.function, z)
        *rows, classes = z.shape
        count = math.prod(rows)
        z = xp.reshape(z, (count, classes))
        if kind(y) == "integer":
            y = xp.reshape(xp.broadcast_to(y, tuple(rows)), (count,))
        else:
            y = xp.reshape(xp.broadcast_to(y, (*rows, classes)), (count, classes))
        found = returned(self.function, self.function(z, y), z, (count,), (count, classes))
        if found.ndim == 2:
            found = xp.mean(found, axis=-1)
        return Totals(xp.reshape(found, (*rows, 1)))


def _by_itself(module: Any) -> None:
    """A loss of torch.nn keeps samples apart, and leaves weights and labels to the loss."""
    reduction, name = getattr(module, "reduction", None), type(module).__name__
    if not isinstance(reduction, str):
        return
    got, fix = f"{name} with {{}}", "Weigh samples with sample_weight."
    if reduction != "none":
        fix = f"Write {name}(reduction='none'), and reduction={reduction!r} with the loss."
        refuse("function", "reduction='none'", got.format(f"reduction={reduction!r}"), fix)
    if getattr(module, "weight", None) is not None:
        refuse("function", "a loss without weights of its own", got.format("weight"), fix)
    if getattr(module, "ignore_index", -100) != -100:
        fix = f"Write criteria.CrossEntropy(ignore_index={module.ignore_index})."
        refuse("function", "a loss of all labels", got.format("ignore_index"), fix)


def of(function: Callable[[Any, Any], Any]) -> FunctionCriterion:
    """The criterion l = f(z, y) of a function, a loss of `torch.nn` or one of optax.

        Loss(SumOverTime(), criteria.of(torch.nn.CrossEntropyLoss(reduction="none")))
        Loss(SumOverTime(), criteria.of(optax.softmax_cross_entropy_with_integer_labels))

    z (K, C), y (K) labels or (K, C) numbers, l (K) or (K, C). See `FunctionCriterion`.
    """
    return FunctionCriterion(function)
