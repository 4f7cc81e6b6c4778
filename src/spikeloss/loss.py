"""Loss: the pipeline. record, target -> loss, and records -> classes.

record (T, *B, N) --readout--> decision (S, *B, C) --criterion, against the target--> each
       --mean over the valid steps--> per sample --reduction--> loss
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal, Self, Unpack

from . import _door
from . import _shapes as shapes
from ._backend import as_array, is_array, namespace
from ._piece import Piece, deciding
from ._shapes import Array, ClassAxis, Layout, Steps
from ._stage import Stage
from ._steps import both, summed
from .criteria import Criterion, Elements
from .readouts import Reading, Readout
from .records import Packed
from .reductions import Mean, Reduction
from .stream import Fold, Stream, main_of
from .targets import Given, Target

ROUNDINGS = 8
"""Units in the last place by which sums of the same numbers may differ, from 0 to 2 of them each
for terms, additions and divisions."""

Reads = Literal["spikes", "membrane", "logits", "either"]


WEIGHTS = ("sample_weight", "class_weight")
STREAM = ("lengths", *WEIGHTS, "time_axis", "class_axis")


class _Objective(metaclass=Stage):
    """Sums and multiples: `loss + 0.1 * other`."""

    __array_ufunc__ = None  # NumPy numbers and arrays leave `0.1 * loss` to the loss

    @property
    def _terms(self) -> tuple[tuple[float, "Loss"], ...]:
        raise NotImplementedError

    @property
    def main(self) -> "Loss":
        """The first loss with a target, whose decision counts; of penalties alone the first."""
        return self._terms[main_of(self._terms)][1]

    @property
    def of_labels(self) -> bool:
        """Whether class labels are a target for it."""
        return self.main.target.labelled or self.main.criterion.of_labels

    def __add__(self, other: "_Objective") -> "Total":
        if not isinstance(other, _Objective):
            return NotImplemented
        return Total(self._terms + other._terms)

    def __radd__(self, zero: int) -> Self:
        if is_array(zero):
            _door.called(zero)
        begins = isinstance(zero, int) and zero == 0  # as `sum` does
        return self if begins else NotImplemented

    def __mul__(self, factor: float) -> "Total":
        if isinstance(factor, bool) or not isinstance(factor, Real):
            return NotImplemented
        return Total(tuple((factor * weight, term) for weight, term in self._terms))

    __rmul__ = __mul__

    def fold(
        self,
        target: Array | None = None,
        *,
        lengths: Array | None = None,
        sample_weight: Array | None = None,
        class_weight: Sequence[float] | Array | None = None,
        time_axis: int = 0,
        class_axis: ClassAxis = None,
        **unknown: Any,
    ) -> Fold:
        """The loss as three pure functions, `init`, `step` and `finish`; see `spikeloss.stream`."""
        _door.known("a stream", unknown, STREAM)
        return Fold(
            self._terms, target, lengths, sample_weight, class_weight, time_axis, class_axis
        )

    def stream(self, target: Array | None = None, **options: Any) -> Stream:
        """The loss step by step; options as for `fold`, see `spikeloss.stream`."""
        return Stream(self.fold(target, **options))


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
        layers: the names of the records to read, where it is called with a mapping of names to
            records: one, or for a penalty any number, whose losses add up; None: all.

    >>> import numpy
    >>> from spikeloss.criteria import CrossEntropy
    >>> from spikeloss.readouts import SumOverTime
    >>> loss = Loss(SumOverTime(), CrossEntropy())
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
    layers: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _door.option(self, "readout", _door.stage, Readout, "readouts.SumOverTime()")
        _door.option(self, "criterion", _door.stage, Criterion, "criteria.CrossEntropy()")
        _door.option(self, "target", _door.stage, Target, "targets.Given()")
        _door.option(self, "reduction", _door.stage, Reduction, "reductions.Mean()")
        _door.option(self, "class_weight", _door.class_weights_option)
        _door.option(self, "reads", _door.choice, ("spikes", "membrane", "logits", "either"))
        _door.option(self, "layers", _door.layers_option)
        _door.sequence_read(self.readout, self.criterion)
        if self.target.timed:
            _door.times_read(self.readout)
        if self.criterion.targetless:
            _door.no_target(self.target == Given(), self.class_weight)
        elif self.class_weight is not None:
            _door.class_weighted(self.criterion, self.target)

    def __call__(
        self,
        record: shapes.Record | Mapping[str, shapes.Record],
        target: Array | None = None,
        *,
        sample_weight: Array | None = None,
        class_weight: Sequence[float] | Array | None = None,
        **layout: Unpack[Layout],
    ) -> shapes.Loss:
        """The loss of a record against its target.

        Args:
            record: (T, *B, N), floating, integer or bool; a `PackedSequence` or a nested tensor of
                torch, which bring their lengths; `records.Events` or `records.Packed`; or a
                mapping of names to such records, see `layers`.
            target: class labels (*B), or what the target stage takes; a penalty takes none, and
                leaves a target and class weights to the other terms of a sum.
            sample_weight: (*B) weights of the samples, finite and at least 0, as class weights are;
                where values cannot be read, as under tracing, that is not checked.
            class_weight: (C) in place of the loss's own; may be traced.
            layout: `lengths` (*B), the valid steps of each sample, from 1 to T, later ones being
                padding; or `valid` (T, *B), a bool for each step: the others do not exist, and
                spike times count valid steps; `time_axis` and `class_axis` of a record that is
                laid out otherwise. Several axes of neurons, as class_axis=(2, 3, 4) of a
                convolution, are flattened in that order; a penalty alone must be told which axes
                they are where there are more than three. Labels, weights and masks have time first,
                always.

        Returns:
            A 0-d array or, from `Each`, one number per sample (and class), in the record's dtype.

        Raises:
            ValueError, TypeError: naming the argument, the rule, what came and a fix.
        """
        if self.criterion.targetless and target is not None:
            _door.unread(target, record, layout.get("class_axis"), layout.get("time_axis", 0))
        value, dtype = self.valued(
            record, target, sample_weight=sample_weight, class_weight=class_weight, **layout
        )
        return as_array(value, dtype)

    def valued(
        self,
        record: shapes.Record | Mapping[str, shapes.Record],
        target: Array | None = None,
        *,
        sample_weight: Array | None = None,
        class_weight: Any = None,
        **layout: Any,
    ) -> tuple[Array, Any]:
        """The loss in the precision of its computation, and the dtype that it is to have."""
        _door.known("a loss", layout, (*_door.LAYOUT, *WEIGHTS))
        options = {"sample_weight": sample_weight, "class_weight": class_weight, **layout}
        if self.layers or isinstance(record, Mapping):
            layers = _door.layers(record, self.layers, several=self.criterion.targetless)
            parts = [self._valued(layer, target, **options) for layer in layers]
            return _door.total(value for value, _ in parts), parts[0][1]
        return self._valued(record, target, **options)

    def _valued(
        self,
        record: shapes.Record,
        target: Array | None,
        *,
        sample_weight: Array | None,
        class_weight: Any,
        **layout: Any,
    ) -> tuple[Array, Any]:
        if self.criterion.targetless:
            _door.layer(record, layout.get("class_axis"), self.readout.timeless)
        if isinstance(record, Packed) and not (self.criterion.whole or self.target.of_record):
            weights = {"sample_weight": sample_weight, "class_weight": class_weight}
            with suppress(TypeError, ValueError):  # the whole record says what is wrong
                value = self._over(record, target, **weights, **layout).value()
                return value, value.dtype
        piece = _door.open_record(record, timeless=self.readout.timeless, **layout)
        reading = self.readout.reading(piece)
        if self.target.of_record:
            other = _door.open_like(target, piece, self.readout, **layout)
            target = self.readout.reading(other).z
        apart = (self.class_weight, class_weight, sample_weight, piece.kept)
        plain = isinstance(self.reduction, Mean) and all(each is None for each in apart)
        elements = self.elements(reading, target, class_weight, average=plain)
        if elements.value.ndim == 0:
            return elements.value, piece.dtype
        if reading.keeps == "time":
            elements = summed(elements, _door.dense(piece, self.readout)).mean()
        return self.reduced(elements, reading, sample_weight, piece), piece.dtype

    def _over(
        self,
        record: Packed,
        target: Array | None = None,
        valid: Array | None = None,
        lengths: Array | None = None,
        time_axis: int = 0,
        class_axis: ClassAxis = None,
        sample_weight: Array | None = None,
        class_weight: Any = None,
        **unknown: Any,
    ) -> Stream:
        """A stream that has taken all steps of a packed record."""
        _door.layout(lengths, valid, unknown)
        _door.laid_out(time_axis, class_axis, "a packed record")
        lengths, valid = _door.steps_of(lengths, valid, record.shape, record.bits)
        by_step = False
        if target is not None and not self.criterion.targetless:
            target = _door.beside_record("target", target, record.bits)
            by_step = _door.each_step(target, self, record.shape)
        steps = lengths
        if steps is None and self.criterion.needs_steps:
            xp = namespace(record.bits)
            every = xp.ones_like(record.bits[0, ..., 0], dtype=xp.int32) * record.steps
            steps = every if valid is None else xp.sum(valid, axis=0)
        options = {"sample_weight": sample_weight, "class_weight": class_weight}
        options["class_axis"] = class_axis
        alone = self.replace(layers=None)  # which layer is settled
        stream = alone.stream(None if by_step else target, lengths=steps, **options)
        return stream.over(record, target if by_step else None, valid)

    def elements(
        self, reading: Reading, target: Array, class_weight: Any = None, average: bool = False
    ) -> Elements:
        """What the criterion says of a reading; with `average`, perhaps its mean alone, 0-d."""
        if self.criterion.targetless:
            return self.criterion.elements(reading, None)
        weights = self.class_weight if class_weight is None else class_weight
        classes, label = self.target.classes, None
        if self.target.labelled:
            label = _door.class_labels(target, reading, classes=classes)
        y = self.target.encode(target if label is None else label, reading)
        if average and (mean := self.criterion.average(reading, y)) is not None:
            return Elements(mean)
        if weights is not None:
            weights = _door.class_weights(weights, reading.z, classes)
        return self.criterion.elements(reading, y, label=label, class_weight=weights)

    def reduced(
        self, elements: Elements, reading: Reading, sample_weight: Any, piece: Piece
    ) -> Array:
        """The loss, from the elements of every sample of a record that ends with `piece`."""
        value, weight, kept = elements
        if sample_weight is not None:
            by = _door.sample_weights(sample_weight, reading)
            value, weight = value * by, by if weight is None else weight * by
        loss = self.reduction.reduce(value, weight, both(kept, piece.kept))
        per_row = loss.ndim and not self.criterion.per_class
        return loss[..., 0] if per_row else loss

    def predict(self, record: shapes.Record, **layout: Unpack[Layout]) -> shapes.Classes:
        """The class that the readout decides for, (*B) integers.

        The largest count, rate, membrane; the earliest spike; for a readout that keeps time the
        largest mean over the valid steps. A tie, within the rounding of sums, goes to the lowest
        class. A sample whose record is
        zero at every valid step has decided nothing and gives -1.
        """
        evidence, spoke, _ = self.evidence(record, **layout)
        return self.classes(evidence, spoke)

    def accuracy(
        self, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
    ) -> Array:
        """The share of samples whose `predict` is their label, 0-d; a silent sample is wrong."""
        evidence, spoke, piece = self.evidence(record, **layout)
        return self.share(evidence, spoke, labels, piece)

    def evidence(
        self, record: shapes.Record, **layout: Unpack[Layout]
    ) -> tuple[shapes.Evidence, Array, Piece]:
        """The evidence, who is not silent (*B), and the piece that ends the record."""
        record = self.layer(record)
        if isinstance(record, Packed):
            stream = self._over(record, **layout)
            state = stream._begun()
            return stream.fold._evidence(state), state.spoke, state.piece
        piece = _door.open_record(record, timeless=self.readout.timeless, **layout)
        piece = deciding(piece)
        z, _ = self.readout.read(piece, None)
        if self.readout.keeps == "time":
            z = _door.dense(piece, self.readout).summed(z) / piece.steps
        return self.judged(z, piece.steps), piece.spoke(), piece

    def judged(self, z: Array, steps: Steps) -> shapes.Evidence:
        """The evidence of a decision or its mean over time; what ties with the best is the best."""
        evidence = self.target.evidence(z, self.readout)
        if self.readout.timeless and self.criterion.of_times:
            evidence = -evidence
        xp = namespace(evidence)
        best = xp.max(evidence, axis=-1, keepdims=True)
        return xp.where(evidence >= best - self.rounding(best, steps), best, evidence)

    def rounding(self, evidence: Array, steps: Steps) -> Array:
        """How much less evidence may be, and still tie with this one."""
        xp = namespace(evidence)
        size = self.target.rounded(evidence, self.readout, steps)
        return xp.where(xp.isfinite(evidence), ROUNDINGS * xp.finfo(evidence.dtype).eps * size, 0)

    def layer(self, record: Any) -> shapes.Record:
        """The one record of a mapping that it reads; a record that is none as it is."""
        if self.layers or isinstance(record, Mapping):
            (record,) = _door.layers(record, self.layers, several=False)
        return record

    @staticmethod
    def classes(evidence: shapes.Evidence, spoke: Array) -> shapes.Classes:
        """The class of the largest evidence, -1 where the record is silent."""
        _door.comparable(evidence)
        xp = namespace(evidence)
        return xp.where(spoke, xp.argmax(evidence, axis=-1), -1)

    def share(self, evidence: shapes.Evidence, spoke: Array, labels: Array, piece: Piece) -> Array:
        """The share of samples whose class is their label."""
        labels, kept = self.labelled(labels, evidence, piece)
        right = namespace(evidence).astype(self.classes(evidence, spoke) == labels, evidence.dtype)
        return as_array(Mean().reduce(right, None, kept), evidence.dtype)

    def labelled(
        self, labels: shapes.Classes, evidence: shapes.Evidence, piece: Piece
    ) -> tuple[shapes.Classes, Array | None]:
        """The labels, checked, and the samples that count, (*B); None: all."""
        ignore = self.criterion.ignore_index
        reading = Reading(evidence, None, piece.steps, None)
        labels = _door.class_labels(labels, reading, ignore, "labels")
        kept = None if piece.kept is None else piece.kept[..., 0]
        return labels, both(kept, None if ignore is None else labels != ignore)

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

    def __call__(
        self,
        record: shapes.Record | Mapping[str, shapes.Record],
        target: Array | None = None,
        **options: Any,
    ) -> shapes.Loss:
        """The weighted sum of the losses, each called with the same arguments."""
        if not isinstance(record, Mapping) and not self.main.criterion.targetless:
            # The target of one tells what the axes are for all.
            options["class_axis"] = -1 if (axis := options.get("class_axis")) is None else axis
        values = [loss.valued(record, target, **options) for _, loss in self.terms]
        factors = (factor for factor, _ in self.terms)
        total = _door.total(by * value for by, (value, _) in zip(factors, values, strict=True))
        return as_array(total, values[0][1])

    def predict(self, record: shapes.Record, **layout: Unpack[Layout]) -> shapes.Classes:
        """The class that the first loss with a target decides for."""
        return self.main.predict(record, **layout)

    def accuracy(
        self, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
    ) -> Array:
        """The accuracy of the first loss with a target."""
        return self.main.accuracy(record, labels, **layout)

    def replace(self, **changes: Any) -> Self:
        """Every loss with other parts; penalties keep their target, none, and class weights."""
        kept = {name: x for name, x in changes.items() if name not in ("target", "class_weight")}
        terms = (
            (factor, term.replace(**(kept if term.criterion.targetless else changes)))
            for factor, term in self.terms
        )
        return replace(self, terms=tuple(terms))

    @property
    def _terms(self) -> tuple[tuple[float, Loss], ...]:
        return self.terms
