"""What every criterion can do."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from spikeloss import _door
from spikeloss._shapes import Array, Labels
from spikeloss.readouts import Reading


class Elements(NamedTuple):
    """What a criterion gives; every part has the axes of the decision, the last one maybe 1."""

    value: Array
    weight: Array | None = None
    """The weight of a row, by which `value` is multiplied already; None: 1."""
    kept: Array | None = None
    """The rows that count; None: all."""


class Criterion(ABC):
    """What every criterion can do."""

    per_class: ClassVar[bool] = False
    """Whether an element is a class rather than a row of the decision."""
    of_labels: ClassVar[bool] = False
    """Whether a target as it is may be class labels."""
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


def by_label(value: Array, label: Labels | None, class_weight: Array | None) -> Elements:
    """Elements, each multiplied by the class weight of its label."""
    if class_weight is None:
        return Elements(value)
    if label is None:
        _door.no_labels()
    weight = class_weight[label[..., None]]
    return Elements(value * weight, weight)
