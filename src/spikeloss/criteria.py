"""Criteria: decision x target -> each. z (S, *B, C), y -> elements (S, *B, 1) or (S, *B, C).

S is the leading axis of readouts that keep time or spikes, absent otherwise; y is the encoded
target, w_c a class weight (1 without). Elements come multiplied by their weight.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from . import _door
from ._backend import averages, kind, log_softmax, namespace, squared_difference, surprise
from ._shapes import Array, Labels
from .readouts import Reading


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


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Criterion):
    """-sum_c q_c w_c log softmax(z)_c, q the target distribution.

    The target is a class index y (q is one-hot) or the probabilities q themselves, which need not
    sum to 1; for readouts that keep time, one for the sample or one per step. A class index with
    weights means w_y log softmax(z)_y. The derivative is softmax(z)_c sum_k q_k w_k - q_c w_c.

    Args:
        label_smoothing: e from 0 to 1; q becomes (1 - e) q + e / C.
        ignore_index: a label whose step or sample is left out, as if it were padding.

    Everything is as in `torch.nn.functional.cross_entropy`, soft targets with weights included.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), CrossEntropy())
    >>> round(float(loss(numpy.array([[0.0, 0.0]]), numpy.array([1]))), 6)  # ln 2
    0.693147
    """

    label_smoothing: float = 0.0
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        _door.option(self, "label_smoothing", _door.number, low=0.0, high=1.0)
        if self.ignore_index is not None:
            _door.option(self, "ignore_index", _door.whole)

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Elements:
        z, xp = reading.z, namespace(reading.z)
        y = _door.class_target(y, reading, self.ignore_index)
        smoothing, classes = self.label_smoothing, z.shape[-1]
        if kind(y) == "float":
            return Elements(_expected((1 - smoothing) * y + smoothing / classes, z, class_weight))
        kept = None if self.ignore_index is None else (y != self.ignore_index)[..., None]
        if kept is not None:
            y = xp.where(kept[..., 0], y, 0)
        value, weight = surprise(z, y), None
        if class_weight is not None:
            weight = class_weight[y[..., None]]
            value = value * weight
        if smoothing:
            uniform = xp.full_like(z, 1 / classes)
            value = (1 - smoothing) * value + smoothing * _expected(uniform, z, class_weight)
        return Elements(value, weight, kept)

    def average(self, reading: Reading, y: Array) -> Array | None:
        z = reading.z
        if not averages(z) or self.label_smoothing or self.ignore_index is not None:
            return None
        y = _door.class_target(y, reading, None)
        return None if kind(y) == "float" else surprise(z, y, mean=True)


def _expected(q: Array, z: Array, class_weight: Array | None) -> Array:
    """-sum_c q_c w_c log softmax(z)_c; a class with q_c = 0 costs nothing, however unlikely."""
    xp, log_p = namespace(z), log_softmax(z)
    if class_weight is not None:
        q = q * class_weight
    log_p = xp.where((q == 0) & (log_p == -xp.inf), 0, log_p)
    return -xp.sum(q * log_p, axis=-1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class SquaredError(Criterion):
    """w e_c^2 / n^k, e = z - y; 0 where |e| < tolerance.

    w is the class weight of the sample's label. For spike times with k = 2 it is the squared error
    of t/n; for counts with k = 1 it is the squared error per step.

    Args:
        tolerance: in the units of the decision, 0 or more; the comparison is strict, and inside
            there is neither loss nor derivative.
        delta: above 0; from |e| = delta on the error grows linearly, 2 delta |e| - delta^2 (twice
            the Huber loss of torch).
        steps_power: k, 0, 1 or 2.

    Source of the Huber form: P. Huber, Robust estimation of a location parameter (1964).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), SquaredError())
    >>> float(loss(numpy.array([[0.5, 0.0]]), numpy.array([[0.0, 0.0]])))  # (0.25 + 0) / 2
    0.125
    """

    tolerance: float = 0.0
    delta: float | None = None
    steps_power: int = 0
    per_class: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _door.option(self, "tolerance", _door.number, low=0.0)
        if self.delta is not None:
            _door.option(self, "delta", _door.number, above=0.0)
        _door.option(self, "steps_power", _door.choice, (0, 1, 2))

    @property
    def needs_steps(self) -> bool:
        return bool(self.steps_power)

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Elements:
        z, xp = reading.z, namespace(reading.z)
        y = _door.values(y, reading)
        value = squared_difference(z, y)
        if self.delta is not None:
            size = xp.abs(z - y)
            value = xp.where(size <= self.delta, value, self.delta * (2 * size - self.delta))
        if self.tolerance:
            value = xp.where(xp.abs(z - y) < self.tolerance, 0, value)
        if self.steps_power:
            value = value / reading.steps**self.steps_power
        if class_weight is None:
            return Elements(value)
        if label is None:
            _door.no_labels()
        weight = class_weight[label[..., None]]
        return Elements(value * weight, weight)

    def average(self, reading: Reading, y: Array) -> Array | None:
        z = reading.z
        if not averages(z) or self.delta is not None or self.tolerance:
            return None
        value = squared_difference(z, _door.values(y, reading), mean=True)
        return value / reading.steps**self.steps_power if self.steps_power else value
