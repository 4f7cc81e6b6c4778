"""Checks of targets against the outline of a decision.

`fit_...` looks at shapes and dtypes alone, once for all arrays of a kind. It gives the check of the
values that is left for every target: where reading them is cheap, what does not hold is refused,
and the rest given in the dtype of the decision or of indices.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

from spikeloss._backend import arange, as_index, checks_values, extent, kind, namespace, settled
from spikeloss._shapes import Array, Steps

from ._array import beside_record, real_kind
from ._words import batch_first, cast, per_sample, refuse, shape_of, span


class _Outline(Protocol):
    """What is known of a decision before it is made; `readouts.Outline` is one."""

    @property
    def keeps(self) -> str | None: ...
    @property
    def like(self) -> Array: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def batch(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int: ...
    @property
    def steps(self) -> Steps: ...
    @property
    def valid(self) -> Array | None: ...


Check: TypeAlias = Callable[[Array, Any], Array]
"""What holds of the values of a target against an outline; gives them as they are compared."""


# Class labels


@dataclass  # not frozen, as compilers lose the fields of such values that they see made
class Labels:
    """Class indices from 0 to `classes` - 1, or `ignore`."""

    classes: int
    argument: str = "target"
    ignore: int | None = None
    soft: bool = False
    """Whether probabilities would have done too."""
    indices: bool = False
    """Whether they are in the dtype of indices already."""

    def __call__(self, label: Array, outline: _Outline) -> Array:
        """The labels in the dtype of indices."""
        label, ignore = label if self.indices else as_index(label), self.ignore
        if 0 in label.shape or not checks_values(label):
            return label
        read = settled(label)
        if ignore is not None:
            read = namespace(read).where(read == ignore, 0, read)
        low, high = extent(read)
        if low < 0 or high >= self.classes:
            self._refuse(low, high)
        return label

    def _refuse(self, low: int, high: int) -> None:
        fix = f"Use at least {high + 1} classes."
        if low < 0:
            fix = "Drop the negative labels."
            if self.soft and self.ignore is None:
                fix = f"Skip it with criteria.CrossEntropy(ignore_index={low})."
        elif low == 1 and high == self.classes:
            fix = f"Write {self.argument} - 1."
        rule = f"labels from 0 to {self.classes - 1}"
        refuse(self.argument, rule, span(low, high), fix)


def fit_labels(
    label: Array,
    outline: _Outline,
    argument: str = "target",
    *,
    classes: int | None = None,
    ignore: int | None = None,
    soft: bool = False,
) -> Check:
    """Class indices, one per sample or, if the decision keeps time, one per step.

    Args:
        classes: how many there are; None: as many as the decision has.
        ignore: a label that is none of them and may occur.
        soft: whether probabilities would do too.
    """
    batch, shape, decided = outline.batch, tuple(label.shape), outline.classes
    steps = outline.shape[:-1] if outline.keeps == "time" else batch
    if shape not in (batch, steps):
        rule = per_sample(batch, "label")
        rule += f", or {steps}, one per step" if steps != batch else ""
        rule += f", or probabilities {(*batch, decided)}" if soft else ""
        fix = batch_first(shape, batch, outline.steps, "Pass one label per sample.")
        if shape[-1:] == (1,) and shape[:-1] in (batch, steps):
            fix = f"Write {argument}[..., 0]."
        elif shape[-1:] == (decided,) and shape[:-1] in (batch, steps):
            fix = f"Write {argument}.argmax(-1)."
        elif soft and kind(label) == "float" and shape[:-1] in (batch, steps):
            fix = "Give every class a probability."
        refuse(argument, rule, shape_of(label), fix)
    if kind(label) != "integer":
        fix = cast(argument, label, "int")
        refuse(argument, "integer class labels", label.dtype, fix, TypeError)
    indices = label.dtype == arange(0, label).dtype
    return Labels(classes or decided, argument, ignore, soft, indices)


class _Decided(NamedTuple):
    """The outline of a decision (*B, C) that is there."""

    like: Array
    keeps: None = None
    steps: Steps = 1
    valid: None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.like.shape)

    @property
    def batch(self) -> tuple[int, ...]:
        return self.shape[:-1]

    @property
    def classes(self) -> int:
        return self.shape[-1]


def sample_labels(argument: str, label: Any, z: Array) -> Array:
    """Class indices (*B), one for each row of (*B, C)."""
    label, outline = beside_record(argument, label, z), _Decided(z)
    return fit_labels(label, outline, argument)(label, outline)


# Numbers


@dataclass
class Numbers:
    """Numbers, of which those that exist lie from 0 to `end`, if that is given."""

    end: float | None = None
    rule: str = ""
    fix: str = ""

    def __call__(self, y: Array, outline: _Outline) -> Array:
        """The numbers in the precision of the decision; nan for what is wrong and not checked."""
        xp = namespace(y)
        y = xp.astype(y, outline.like.dtype, copy=False)
        if self.end is None or 0 in y.shape:
            return y
        masks = (outline.valid,) if y.ndim == len(outline.shape) else ()
        masks = tuple(valid for valid in masks if valid is not None)  # padding may hold anything
        if not checks_values(y, *masks):
            return xp.where(
                (y >= 0) & (y <= min(self.end, float(xp.finfo(y.dtype).max))), y, xp.nan
            )
        read = settled(y)
        for valid in masks:
            read = namespace(read).where(settled(valid), read, 0)
        low, high = extent(read)
        if not 0 <= low <= high <= self.end:
            refuse("target", self.rule, span(low, high), self.fix)
        return y


NUMBERS = Numbers()
SHARES = Numbers(1.0, "values from 0 to 1", "Pass 0 for no, 1 for yes.")
"""How far each class is meant."""
AT_LEAST_0 = Numbers(
    sys.float_info.max, "finite values of at least 0", "Drop what is negative or nan."
)
"""Probabilities, which need not sum to 1, or counts."""


def fit_numbers(
    y: Array, outline: _Outline, held: Check = NUMBERS, by_class: str = "OnOff"
) -> Check:
    """Numbers to compare a decision with, for each sample or like the whole decision."""
    batch, whole = outline.batch, outline.shape
    each, shape = (*batch, outline.classes), tuple(y.shape)
    if shape not in (whole, each):
        rule = f"numbers of shape {each}" + ("" if whole == each else f" or {whole}")
        fix = "Pass one number per sample and neuron."
        if shape in (batch, whole[:-1]):
            fix = f"For class labels write target=targets.{by_class}()."
        refuse("target", rule, shape_of(y), fix)
    real_kind("target", y)
    return held


# Class labels or probabilities


def fit_class_target(y: Array, outline: _Outline, ignore: int | None) -> Check:
    """Class indices, or probabilities with a last axis of classes."""
    batch, shape = outline.batch, tuple(y.shape)
    soft = shape != batch and shape in (outline.shape, (*batch, outline.classes))
    if not soft or (shape == outline.shape[:-1] and kind(y) == "integer"):
        # T steps, as many as samples, as classes: labels of each step
        return fit_labels(y, outline, ignore=ignore, soft=True)
    if ignore is not None:
        rule, fix = "class indices beside ignore_index", "Write target.argmax(-1)."
        refuse("target", rule, "probabilities", fix)
    return fit_numbers(y, outline, AT_LEAST_0)


def undecided(stage: object) -> NoReturn:
    """A sequence, or patterns in time, stand for no class."""
    rule, fix = "a readout or target that decides on a class", "Decode the record yourself."
    refuse("loss", rule, type(stage).__name__, fix, TypeError)
