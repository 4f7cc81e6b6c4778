"""Loss: the pipeline. record, target -> loss, and records -> classes.

record (T, *B, N) --readout--> decision (S, *B, C) --criterion, against the target--> each
       --mean over the valid steps--> per sample --reduction--> loss
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal, Self, Unpack

from . import _door
from . import _shapes as shapes
from ._backend import as_array, namespace
from ._shapes import Array, Layout
from .criteria import Criterion, Elements
from .readouts import Reading, Readout, mean_over_time
from .reductions import Mean, Reduction
from .targets import Given, Target

Reads = Literal["spikes", "membrane", "logits", "either"]


class _Objective:
    """Sums and multiples: `loss + 0.1 * other`."""

    __array_ufunc__ = None  # NumPy numbers and arrays leave `0.1 * loss` to the loss

    @property
    def _terms(self) -> tuple[tuple[float, "Loss"], ...]:
        raise NotImplementedError

    def __add__(self, other: "_Objective") -> "Total":
        if not isinstance(other, _Objective):
            return NotImplemented
        return Total(self._terms + other._terms)

    def __mul__(self, factor: float) -> "Total":
        if isinstance(factor, bool) or not isinstance(factor, Real):
            return NotImplemented
        return Total(tuple((factor * weight, term) for weight, term in self._terms))

    __rmul__ = __mul__


@dataclass(frozen=True)
class Loss(_Objective):
    """An objective: reduction(mean over valid steps(criterion(readout(record), target))).

    A value, not a module: it compares, hashes, prints and pickles as its parts, and can be a static
    argument of `jax.jit`. Change it with `replace`, combine it with `+` and `*`.

    Args:
        readout: what the record says, from `spikeloss.readouts`.
        criterion: how far that is from the target, from `spikeloss.criteria`.
        target: how the target is encoded, from `spikeloss.targets`.
        reduction: how samples become a number, from `spikeloss.reductions`.
        class_weight: a weight per class, or None: all 1. What it does is the criterion's matter.
        reads: what the record should hold, "spikes", "membrane", "logits" or "either"; a note to
            the reader, which equality leaves out.

    >>> import numpy
    >>> from spikeloss.criteria import CrossEntropy
    >>> from spikeloss.readouts import Count
    >>> loss = Loss(Count(), CrossEntropy())
    >>> silent = numpy.zeros((25, 4, 2))
    >>> round(float(loss(silent, numpy.array([0, 1, 1, 0]))), 6)  # ln 2
    0.693147
    """

    readout: Readout
    criterion: Criterion
    target: Target = Given()
    reduction: Reduction = Mean()
    class_weight: Sequence[float] | None = None
    reads: Reads = field(default="either", compare=False)

    def __post_init__(self) -> None:
        _door.option(self, "readout", _door.stage, Readout, "readouts.Count()")
        _door.option(self, "criterion", _door.stage, Criterion, "criteria.CrossEntropy()")
        _door.option(self, "target", _door.stage, Target, "targets.Given()")
        _door.option(self, "reduction", _door.stage, Reduction, "reductions.Mean()")
        _door.option(self, "class_weight", _door.weights_option)
        _door.option(self, "reads", _door.choice, ("spikes", "membrane", "logits", "either"))
        if self.target.timed:
            _door.times_read(self.readout)

    def __call__(
        self,
        record: shapes.Record,
        target: Array,
        *,
        sample_weight: Array | None = None,
        class_weight: Sequence[float] | Array | None = None,
        **layout: Unpack[Layout],
    ) -> shapes.Loss:
        """The loss of a record against its target.

        Args:
            record: (T, *B, N), floating, integer or bool.
            target: class labels (*B), or what the target stage takes.
            sample_weight: (*B) weights of the samples.
            class_weight: (C) in place of the loss's own; may be traced.
            layout: `lengths` (*B), the valid steps of each sample, from 1 to T, later ones being
                padding; `time_axis` and `class_axis` of a record that is laid out otherwise.

        Returns:
            A 0-d array or, from `Each`, one number per sample (and class), in the record's dtype.

        Raises:
            ValueError, TypeError: naming the argument, the rule, what came and a fix.
        """
        frame = _door.open_record(record, timeless=self.readout.timeless, **layout)
        reading = self.readout.reading(frame)
        label = _door.class_labels(target, reading) if self.target.labelled else None
        weights = self.class_weight if class_weight is None else class_weight
        y = self.target.encode(target if label is None else label, reading)
        if isinstance(self.reduction, Mean) and weights is sample_weight is frame.valid is None:
            value = self.criterion.average(reading, y)
            if value is not None:
                return as_array(value, frame.dtype)
        elements = self.criterion.elements(
            reading,
            y,
            label=label,
            class_weight=None if weights is None else _door.class_weights(weights, reading.z),
        )
        if reading.keeps == "time":
            elements = _mean_over_steps(elements, frame)
        if sample_weight is not None:
            elements = _weighted(elements, _door.sample_weights(sample_weight, reading))
        loss = self.reduction.reduce(
            elements.value, elements.weight, _and(elements.kept, frame.kept)
        )
        per_row = loss.ndim and not self.criterion.per_class
        return as_array(loss[..., 0] if per_row else loss, frame.dtype)

    def predict(self, record: shapes.Record, **layout: Unpack[Layout]) -> shapes.Classes:
        """The class that the readout decides for, (*B) integers.

        The largest count, rate, membrane; the earliest spike; for a readout that keeps time the
        largest mean over the valid steps. A tie goes to the lowest class. A sample whose record is
        zero at every valid step has decided nothing and gives -1.
        """
        frame = _door.open_record(record, timeless=self.readout.timeless, **layout)
        return _classes(self.readout.evidence(frame), frame)

    def accuracy(
        self, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
    ) -> Array:
        """The share of samples whose `predict` is their label, 0-d; a silent sample is wrong."""
        frame = _door.open_record(record, timeless=self.readout.timeless, **layout)
        evidence = self.readout.evidence(frame)
        ignore = self.criterion.ignore_index
        reading = Reading(evidence, None, frame.steps, None)
        labels = _door.class_labels(labels, reading, ignore, "labels")
        right = namespace(evidence).astype(_classes(evidence, frame) == labels, evidence.dtype)
        kept = None if frame.kept is None else frame.kept[..., 0]
        kept = _and(kept, None if ignore is None else labels != ignore)
        return as_array(Mean().reduce(right, None, kept), evidence.dtype)

    def replace(self, **changes: Any) -> Self:
        """A loss with other parts: `loss.replace(reduction=Each())`."""
        return replace(self, **changes)

    @property
    def _terms(self) -> tuple[tuple[float, "Loss"], ...]:
        return ((1.0, self),)


@dataclass(frozen=True)
class Total(_Objective):
    """sum_i factor_i loss_i: several objectives of one record and one target.

    >>> from spikeloss.presets import ce_count, mse_count
    >>> (ce_count() + 0.5 * mse_count()).terms[1][0]
    0.5
    """

    terms: tuple[tuple[float, Loss], ...]

    def __post_init__(self) -> None:
        _door.option(self, "terms", _door.terms, Loss)

    def __call__(self, record: shapes.Record, target: Array, **options: Any) -> shapes.Loss:
        """The weighted sum of the losses, each called with the same arguments."""
        (factor, first), *rest = self.terms
        total = factor * first(record, target, **options)
        for factor, term in rest:
            value = factor * term(record, target, **options)
            _door.summable(total, value)
            total = total + value
        return total

    def predict(self, record: shapes.Record, **layout: Unpack[Layout]) -> shapes.Classes:
        """The class that the first loss decides for."""
        return self.terms[0][1].predict(record, **layout)

    def accuracy(
        self, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
    ) -> Array:
        """The accuracy of the first loss."""
        return self.terms[0][1].accuracy(record, labels, **layout)

    def replace(self, **changes: Any) -> Self:
        """Every loss with other parts."""
        terms = tuple((factor, term.replace(**changes)) for factor, term in self.terms)
        return replace(self, terms=terms)

    @property
    def _terms(self) -> tuple[tuple[float, Loss], ...]:
        return self.terms


def _classes(evidence: shapes.Evidence, frame: _door.Frame) -> shapes.Classes:
    """The class of the largest evidence, -1 where the record is silent."""
    _door.comparable(evidence)
    xp = namespace(evidence)
    spoke = xp.any(xp.max(xp.abs(frame.x), axis=0) != 0, axis=-1)
    return xp.where(spoke, xp.argmax(evidence, axis=-1), -1)


def _mean_over_steps(elements: Elements, frame: _door.Frame) -> Elements:
    """The mean of value and weight over the steps of each sample that are valid and kept."""
    value, weight, kept = elements
    counted = _and(kept, frame.valid)
    steps = frame.steps
    if kept is not None:
        xp = namespace(value)
        counted = xp.broadcast_to(counted, (*value.shape[:-1], 1))
        steps = xp.sum(counted, axis=0)
        kept = steps > 0
        steps = xp.where(kept, steps, 1)
    if weight is not None and weight.ndim == value.ndim:
        weight = mean_over_time(weight, counted, steps)
    return Elements(mean_over_time(value, counted, steps), weight, kept)


def _weighted(elements: Elements, by: Array) -> Elements:
    value, weight, kept = elements
    return Elements(value * by, by if weight is None else weight * by, kept)


def _and(a: Array | None, b: Array | None) -> Array | None:
    """Both masks, None meaning all true."""
    return b if a is None else a if b is None else a & b
