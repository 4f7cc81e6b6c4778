"""Criteria of rows: one class should win."""

from dataclasses import dataclass, field
from typing import ClassVar

from spikeloss.extend import (
    Array,
    Check,
    Labels,
    Totals,
    checks_values,
    choice,
    constant,
    entries,
    extent,
    fit_class_target,
    integer,
    kind,
    log_softmax,
    lost,
    namespace,
    number,
    optional,
    power,
    refuse,
    select,
    span,
    surprise,
)
from spikeloss.readouts import Outline, Reading

from ._base import Criterion, Weighed, of_label


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

    label_smoothing: float = field(default=0.0, metadata=number(low=0.0, high=1.0))
    ignore_index: int | None = field(default=None, metadata=optional(integer()))
    of_labels: ClassVar[bool] = True
    masks: ClassVar[bool] = True

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_class_target(y, outline, self.ignore_index)

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        z, valid, smoothing = reading.z, reading.valid, self.label_smoothing
        if y is not label and kind(y) == "float":
            q = (1 - smoothing) * y + smoothing / z.shape[-1]
            return Totals(_expected(q, z, class_weight, valid))
        counts = None
        if self.ignore_index is not None:
            known = y != self.ignore_index
            y, counts = namespace(y).where(known, y, 0), known[..., None]
            valid = None if valid is None else valid & counts
        value, weight = surprise(z, y, valid), None
        if class_weight is not None:
            weight = entries(class_weight, y[..., None])
            value = value * weight
        if smoothing:
            uniform = namespace(z).full_like(z, 1 / z.shape[-1])
            spread = _expected(uniform, z, class_weight, valid)
            value = (1 - smoothing) * value + smoothing * spread
        return Totals(value, weight, 1 if counts is None else counts)


def _expected(q: Array, z: Array, class_weight: Array | None, valid: Array | None) -> Array:
    """-sum_c q_c w_c log softmax(z)_c; a class with q_c = 0 costs nothing, however unlikely.

    0 for a row that is not valid, whatever z holds there.
    """
    xp, log_p = namespace(z), log_softmax(z if valid is None else select(valid, z))
    if class_weight is not None:
        q = q * class_weight
    log_p = xp.where((q == 0) & (log_p == -xp.inf), 0, log_p)
    value = -xp.sum(q * log_p, axis=-1, keepdims=True)
    return value if valid is None else xp.where(valid, value, 0)


@dataclass(frozen=True, kw_only=True)
class Focal(Weighed):
    """-(1 - p_y)^g log p_y, p = softmax(z): cross-entropy that cares less for what is right.

    With g = 0 it is the cross-entropy.

    Args:
        gamma: g, 0 or more.

    Source: T.-Y. Lin et al., Focal loss for dense object detection (2017).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), Focal(gamma=2.0))
    >>> round(float(loss(numpy.array([[0.0, 0.0]]), numpy.array([1]))), 6)  # ln 2 / 4
    0.173287
    """

    gamma: float = field(default=2.0, metadata=number(low=0.0))
    of_labels: ClassVar[bool] = True

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        value = surprise(z, y)
        if self.gamma:
            wrong = -xp.expm1(-value)  # 1 - p_y
            # Where p_y rounds to 1 the loss is 0, and so is its derivative.
            sure = wrong <= 0
            value = xp.where(sure, 0, xp.where(sure, 1, wrong) ** self.gamma * value)
        return value


@dataclass(frozen=True, kw_only=True)
class RateNLL(Weighed):
    """-log((z_y + e) / (sum_c z_c + C e)): the share of the right class in all spikes.

    For counts and rates, which are not negative; finite for a class that is silent, with a
    derivative that makes it fire.

    Args:
        epsilon: e, above 0, in the units of the decision.

    Source: S. Shrestha et al., Spikemax: spike-based loss methods for classification (2022); the
    constant is a choice of this library.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), RateNLL(epsilon=1.0))
    >>> round(float(loss(numpy.array([[0.0, 2.0]]), numpy.array([0]))), 6)  # ln 4
    1.386294
    """

    epsilon: float = field(default=1e-3, metadata=number(above=0.0))
    of_labels: ClassVar[bool] = True

    def each(self, reading: Reading, y: Array) -> Array:
        rate, xp = _counts(reading) + self.epsilon, namespace(reading.z)
        _, right = of_label(rate, y)
        return xp.log(xp.sum(rate, axis=-1, keepdims=True)) - xp.log(right)


def _counts(reading: Reading) -> Array:
    """Counts or rates, which are not negative."""
    z, xp = reading.z, namespace(reading.z)
    if reading.keeps is not None:  # of every step it would be another pass
        return z
    if not checks_values(z):
        return xp.where(z < -SLACK, xp.nan, z)
    if 0 not in z.shape:
        low, high = extent(z)
        if low < -SLACK:
            fix = "For membranes choose a criterion of values, such as CrossEntropy."
            refuse("record", "spikes, whose counts are at least 0", span(low, high), fix)
    return z


@dataclass(frozen=True, kw_only=True)
class Margin(Weighed):
    """sum_(c != y) max(0, m - z_y + z_c)^p / C: the right class should lead every other by m.

    As in `torch.nn.functional.multi_margin_loss`.

    Args:
        margin: m, above 0, in the units of the decision.
        power: p, 1 or 2.

    Source: J. Weston and C. Watkins, Support vector machines for multi-class pattern recognition
    (1999).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), Margin())
    >>> float(loss(numpy.array([[0.0, 0.5]]), numpy.array([0])))  # 1.5 / 2
    0.75
    """

    margin: float = field(default=1.0, metadata=number(above=0.0))
    power: int = field(default=1, metadata=choice(1, 2))
    of_labels: ClassVar[bool] = True

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        right, z_y = of_label(z, y)
        gap = self.margin - z_y + z
        gap = xp.where((gap <= 0) | (right == 1), 0, gap)  # nan for a label that is no class
        return xp.sum(power(gap, self.power), axis=-1, keepdims=True) / z.shape[-1]


@dataclass(frozen=True, kw_only=True)
class Distillation(Weighed):
    """T^2 sum_c q_c log(q_c / p_c), q = softmax(y / T), p = softmax(z / T): imitate a teacher.

    The target is the teacher's decision, of the shape of this one: (*B, C) or, for each step,
    (T, *B, C). The factor keeps the size of the derivative, T (p_c - q_c), from falling with T.

    Args:
        temperature: T, above 0.

    Source: G. Hinton, O. Vinyals and J. Dean, Distilling the knowledge in a neural network (2015).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), Distillation())
    >>> student = numpy.array([[1.0, 2.0]])
    >>> float(loss(student, student + 3.0))
    0.0
    """

    temperature: float = field(default=1.0, metadata=number(above=0.0))

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        log_q = log_softmax(y / self.temperature)
        log_p = log_softmax(z / self.temperature)
        q = xp.exp(log_q)
        gap = xp.where(q > 0, log_q - log_p, 0)
        far = xp.sum(q * gap, axis=-1, keepdims=True)
        # log sum_c q_c e^g_c, g = (z - y) / T less its mean under q, keeps its digits where q and p
        # are nearly equal, as they are at high temperatures.
        some = (q > 0) & (log_p > -xp.inf)
        gap = _differences(xp.where(some, z, 0), xp.where(some, y, 0)) / self.temperature
        gap = gap - xp.sum(q * gap, axis=-1, keepdims=True)
        never = (q == 0) & (xp.exp(log_p) == 0)
        near = xp.all((some & (xp.abs(gap) < _NEAR)) | never, axis=-1, keepdims=True)
        gap = xp.where(near & some, gap, 0)
        close = xp.log1p(xp.sum(q * _beyond_line(gap), axis=-1, keepdims=True))
        return self.temperature**2 * xp.where(near, close, far)


SLACK = 1e-3
"""By how much a count may be below 0: the steps of finite differences."""

_NEAR = 60.0
"""Differences of logits whose exponentials float32 can add up."""


def _differences(z: Array, y: Array) -> Array:
    """z_c - y_c less the largest, to the rounding of what is left."""
    gap = z - y
    return gap - constant(namespace(z).max(gap, axis=-1, keepdims=True)) + lost(z, -y)


def _beyond_line(x: Array) -> Array:
    """e^x - 1 - x, which is not negative, to rounding: by its series where |x| < 0.1."""
    xp, series = namespace(x), 1.0
    small = xp.abs(x) < 0.1
    near, other = xp.where(small, x, 0), xp.where(small, 1, x)
    for k in range(10, 2, -1):
        series = 1 + near / k * series
    return xp.where(small, near * near / 2 * series, xp.expm1(other) - other)
