"""What every criterion can do."""

from abc import abstractmethod
from typing import ClassVar

from spikeloss.extend import (
    Array,
    Check,
    Checked,
    Dense,
    Labels,
    Steps,
    Totals,
    by_class,
    entries,
    fit_labels,
    fit_numbers,
    namespace,
    no_labels,
    select,
)
from spikeloss.readouts import Outline, Reading


class Criterion(Checked):
    """What every criterion can do."""

    per_class: ClassVar[bool] = False
    """Whether an element is a class rather than a row of the decision."""
    of_labels: ClassVar[bool] = False
    """Whether a target as it is may be class labels."""
    targetless: ClassVar[bool] = False
    """Whether it needs no target."""
    of_times: ClassVar[bool] = False
    """Whether it takes the decision for times, of which the smallest decides, where the readout
    does not say."""
    by_label: ClassVar[bool] = False
    """Whether class weights are those of the label, so that there must be one."""
    of_sequence: ClassVar[bool | None] = False
    """Whether it sees all steps of a record at once; None: those, or one decision."""
    couples: ClassVar[bool] = False
    """Whether what it says of a sample depends on the others of the batch."""
    masks: ClassVar[bool] = False
    """Whether elements of steps that are not valid are 0, whatever the decision holds there."""
    ignore_index: int | None = None
    """The label of elements to leave out."""

    def fit(self, y: Array, outline: Outline) -> Check:
        """What is to be checked of the values of an encoded target, if it fits the decision."""
        return fit_numbers(y, outline)

    @abstractmethod
    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        """The formula. `label`: the class labels behind `y`, where there are any."""

    def over_time(
        self,
        piece: Dense,
        z: Array | None,
        y: Array,
        *,
        steps: Steps = 1,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        """The reduction over time: the totals of every sample of the decisions at all steps.

        `z`: (T, *B, C); None: the record itself. `steps`: n, where elements depend on it.
        """
        z, valid = piece.raw if z is None else z, piece.valid
        if valid is not None and not self.masks:
            z = select(valid, z)
        reading = Reading(z, "time", steps, valid)
        found = self.elements(reading, y, label=label, class_weight=class_weight)
        return found.over_time(valid, piece.held, full=piece.full, dropped=self.masks)

    @property
    def needs_steps(self) -> bool:
        """Whether the element of a step depends on how many steps the sample has."""
        return False


class Weighed(Criterion):
    """A criterion whose elements a class weight scales by the label of the sample.

    What is left to say is the formula, `each`.
    """

    by_label: ClassVar[bool] = True

    @abstractmethod
    def each(self, reading: Reading, y: Array) -> Array:
        """The formula, for labels y (S, *B) if `of_labels`, else for numbers like the decision."""

    def fit(self, y: Array, outline: Outline) -> Check:
        if self.of_labels:
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
        value = self.each(reading, y)
        if class_weight is None:
            return Totals(value)
        if label is None:
            no_labels()
        weight = entries(class_weight, label[..., None])
        return Totals(value * weight, weight)


def of_label(z: Array, y: Labels) -> tuple[Array, Array]:
    """1 for the class of the label, 0 for the others, (*B, C); and z_y, (*B, 1)."""
    right, xp = by_class(y, z.shape[-1], z, 1.0, 0.0), namespace(z)
    return right, xp.sum(xp.where(right == 0, 0, z) * right, axis=-1, keepdims=True)
