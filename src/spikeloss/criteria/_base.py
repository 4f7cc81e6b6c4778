"""What every criterion can do."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

from spikeloss import _door
from spikeloss._backend import by_class, entries, namespace
from spikeloss._shapes import Array, Labels
from spikeloss._stage import Stage
from spikeloss.readouts import Reading


class Elements(NamedTuple):
    """What a criterion gives; every part has the axes of the decision, the last one maybe 1."""

    value: Array
    weight: Array | None = None
    """The weight of a row, by which `value` is multiplied already; None: 1."""
    kept: Array | None = None
    """The rows that count; None: all."""


class Criterion(metaclass=Stage):
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
    whole: ClassVar[bool] = False
    """Whether it sees all steps of a record at once."""
    ignore_index: int | None = None
    """The label of elements to leave out."""

    @abstractmethod
    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Elements:
        """The formula. `label`: the class labels behind `y`, where there are any."""

    @property
    def needs_steps(self) -> bool:
        """Whether the element of a step depends on how many steps the sample has."""
        return False

    def average(self, reading: Reading, y: Array) -> Array | None:
        """The mean of the elements, 0-d, where the library has both in one operation; else None."""
        return None


class Weighed(Criterion):
    """A criterion whose elements a class weight scales by the label of the sample.

    What is left to say is the formula, `each`.
    """

    by_label: ClassVar[bool] = True

    @abstractmethod
    def each(self, reading: Reading, y: Array) -> Array:
        """The formula, for labels y (S, *B) if `of_labels`, else for numbers like the decision."""

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Elements:
        if self.of_labels:
            y = label = _door.class_labels(y, reading)
        else:
            y = _door.values(y, reading)
        value = self.each(reading, y)
        if class_weight is None:
            return Elements(value)
        if label is None:
            _door.no_labels()
        weight = entries(class_weight, label[..., None])
        return Elements(value * weight, weight)


def of_label(z: Array, y: Labels) -> tuple[Array, Array]:
    """1 for the class of the label, 0 for the others, (*B, C); and z_y, (*B, 1)."""
    right, xp = by_class(y, z, 1.0, 0.0), namespace(z)
    return right, xp.sum(xp.where(right == 0, 0, z) * right, axis=-1, keepdims=True)
