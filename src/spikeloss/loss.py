"""Loss and Total: what is minimised, as values with a call.

record (T, *B, N) --readout--> decision (S, *B, C) --criterion, against the target--> each
       --mean over the valid steps--> per sample --reduction--> loss
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, Unpack, get_args

from . import _door, _whole
from . import _shapes as shapes
from ._backend import compiling, is_array
from ._choice import Stages, fast_of
from ._door import cut, refuse, said
from ._judge import classes, share
from ._once import once
from ._options import choice, declared, optional, stage, weights
from ._plan import WEIGHTS, Plans, composed, same_ranks
from ._shapes import Array, ClassAxis, Layout
from ._stage import Checked
from .criteria import Criterion
from .parts import Addend, Parts
from .readouts import Readout
from .reductions import WORDS, Gradients, Mean, Reduction, Word
from .stream import Fold, Stream, main_of
from .targets import Given, Target

Reads = Literal["spikes", "membrane", "logits", "either"]

STREAM = ("lengths", *WEIGHTS, "time_axis", "class_axis")


class _Objective(Checked):
    """Sums and multiples: `loss + 0.1 * other`."""

    __array_ufunc__ = None  # NumPy numbers and arrays leave `0.1 * loss` to the loss

    @property
    def losses(self) -> tuple[tuple[float, "Loss"], ...]:
        """The losses that are added up, each with its factor."""
        raise NotImplementedError

    @once
    def plans(self) -> Plans:
        """What calls with arrays of the same kinds have planned."""
        return Plans()

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]

    @property
    def main(self) -> "Loss":
        """The first loss with a target, whose decision counts; of penalties alone the first."""
        return self.losses[main_of(self.losses)][1]

    @property
    def of_labels(self) -> bool:
        """Whether class labels are a target for it."""
        return self.main.target.labelled or self.main.criterion.of_labels

    def __add__(self, other: "_Objective") -> "Total":
        if not isinstance(other, _Objective):
            return NotImplemented
        return Total(self.losses + other.losses)

    def __radd__(self, zero: int) -> Self:
        if is_array(zero):
            _called(zero)
        begins = isinstance(zero, int) and zero == 0  # as `sum` does
        return self if begins else NotImplemented

    def __mul__(self, factor: float) -> "Total":
        if isinstance(factor, bool) or not isinstance(factor, Real):
            return NotImplemented
        return Total(tuple((factor * weight, term) for weight, term in self.losses))

    __rmul__ = __mul__

    def across(
        self, ranks: str | tuple[str, ...] | None, *, gradients: Gradients = "averaged"
    ) -> Self:
        """The loss of the samples of all ranks, on every rank: each reduction `across` them.

            loss = (presets.ce_count() + 0.1 * penalties.count_l1()).across("world")

        gives in every process what one process gives for the whole batch; `ranks` and `gradients`
        are those of `reductions.Mean`. None: the samples here again.

        Raises:
            TypeError: for a loss of which parts do not add up, as for `parts`.
        """
        raise NotImplementedError

    def parts(
        self,
        record: shapes.Record | Mapping[str, shapes.Record],
        target: Array | None = None,
        **options: Any,
    ) -> Parts:
        """Numerator and denominator of every term: they add up over micro-batches and processes.

            sum(loss.parts(x, y) for x, y in batches).value()

        is what one big batch gives, where a mean of losses is not: batches differ in how many
        samples, steps and weights they hold. Arguments as for a call; of a loss `across` ranks they
        are those of the samples here, until `Parts.across` sums them.

        Raises:
            TypeError: for a loss of which parts do not add up: it compares the samples of a batch,
                or gives one number for each.
        """
        return _whole.parts(self, record, target, **options)

    def addends(
        self,
        record: shapes.Record | Mapping[str, shapes.Record],
        target: Array | None = None,
        **options: Any,
    ) -> dict[str, Addend]:
        """What the loss is the sum of: of every term its factor, its value and what it adds.

            terms = loss.addends(record, labels)
            sum(each.weighted for each in terms.values()).backward()
            log({name: float(each.value) for name, each in terms.items()})

        The names say the stages, and the layer of a mapping of records; terms that are spelled
        alike are numbered. All are computed at once, as in a call: the record is opened once, and
        equal readouts read it once. They are not detached, so that their sum is the loss with its
        gradient, and may be what a compiled function returns; JAX then sorts them by name.
        Arguments as for a call.

        >>> import numpy
        >>> from spikeloss.penalties import rate_target
        >>> from spikeloss.presets import ce_count
        >>> loss = ce_count() + 0.5 * rate_target(rate=0.25)
        >>> terms = loss.addends(numpy.zeros((4, 3, 2)), numpy.array([0, 1, 1]))
        >>> for name, each in terms.items():
        ...     print(f"{each.factor} * {each.value:.4f}  {name}")
        1.0 * 0.6931  CrossEntropy of SumOverTime
        0.5 * 0.0625  Deviation(value=0.25) of BatchMean(MeanOverTime)
        """
        return _whole.addends(self, record, target, **options)

    def explain(
        self,
        record: shapes.Record | Mapping[str, shapes.Record],
        target: Array | None = None,
        **options: Any,
    ) -> str:
        """What reduces a record over time: a native kernel, or the composed form, and why.

        The loss is computed once. Arguments as for a call.
        """
        return _whole.explained(self, record, target, **options)

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
        """The loss as pure functions, `init`, `step`, `merge`, `finish`; see `spikeloss.stream`."""
        _door.known("a stream", unknown, STREAM)
        return Fold(
            self.losses, target, lengths, sample_weight, class_weight, time_axis, class_axis
        )

    def stream(self, target: Array | None = None, **options: Any) -> Stream:
        """The loss step by step; options as for `fold`, see `spikeloss.stream`."""
        return Stream(self.fold(target, **options))


def _called(other: Any) -> NoReturn:
    """A loss is added to losses, its value to numbers."""
    fix = "Add its value, as in x + loss(record, target)."
    refuse("loss", "another loss to be added to", said(other), fix, TypeError)


def _layers(argument: str, value: Any) -> tuple[str, ...]:
    """Names of records, at least one, as a tuple; one name may stand for itself."""
    names = (value,) if isinstance(value, str) else value
    named = isinstance(names, (tuple, list)) and all(isinstance(name, str) for name in names)
    if not named or not names or len(set(names)) < len(names):
        fix = "Pass different keys of the mapping, as in ('hidden', 'output')."
        refuse(argument, "names of records", cut(repr(value)), fix, TypeError)
    return tuple(names)


@dataclass(frozen=True)
class Loss(_Objective):
    """An objective: reduction(mean over valid steps(criterion(readout(record), target))).

    A value, not a module: it compares, hashes, prints and pickles as its parts, and can be a static
    argument of `jax.jit`. Change it with `replace`, combine it with `+` and `*`.

    Args:
        readout: what the record says, from `spikeloss.readouts`.
        criterion: how far that is from the target, from `spikeloss.criteria`.
        target: how the target is encoded, from `spikeloss.targets`.
        reduction: how samples become a number, from `spikeloss.reductions`; or "mean", "sum" or
            "none", which stand for `Mean()`, `Sum()` and `Each()`.
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

    readout: Readout = field(metadata=stage(Readout, "readouts.SumOverTime()"))
    criterion: Criterion = field(metadata=stage(Criterion, "criteria.CrossEntropy()"))
    target: Target = field(default=Given(), metadata=stage(Target, "targets.Given()"))
    reduction: Reduction = field(
        default=Mean(), metadata=stage(Reduction, "reductions.Mean()", WORDS)
    )
    class_weight: Sequence[float] | None = field(
        default=None, metadata=optional(weights(each="class"))
    )
    reads: Reads = field(default="either", compare=False, metadata=choice(*get_args(Reads)))
    layers: str | tuple[str, ...] | None = field(default=None, metadata=optional(declared(_layers)))

    if TYPE_CHECKING:  # words become stages

        def __init__(
            self,
            readout: Readout,
            criterion: Criterion,
            target: Target = ...,
            reduction: Reduction | Word = ...,
            class_weight: Sequence[float] | Array | None = None,
            reads: Reads = "either",
            layers: str | tuple[str, ...] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        composed(self)
        if not compiling():
            self.fast  # noqa: B018  # as a compiler cannot look into how it is made

    @once
    def fast(self) -> Stages | str:
        """The stages with kernels in them, or why there are none."""
        return fast_of(self)

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
                torch, which bring their lengths; `records.Events`, `records.Packed` or
                `records.Times`; or a mapping of names to such records, see `layers`.
            target: class labels (*B), or what the target stage takes; a penalty takes none, and
                leaves a target and class weights to the other terms of a sum.
            sample_weight: (*B) weights of the samples, finite and at least 0, as class weights are;
                where values cannot be read, as under tracing, wrong ones count as nan.
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
        options = {"sample_weight": sample_weight, "class_weight": class_weight, **layout}
        return _whole.value(self, record, target, **options)

    def predict(self, record: shapes.Record, **layout: Unpack[Layout]) -> shapes.Classes:
        """The class that the readout decides for, (*B) integers.

        The largest count, rate, membrane; the earliest spike; for a readout that keeps time the
        largest mean over the valid steps. A tie, within the rounding of sums, goes to the lowest
        class. A sample whose record is
        zero at every valid step has decided nothing and gives -1.
        """
        evidence, spoke, _ = _whole.evidence(self, record, **layout)
        return classes(evidence, spoke)

    def accuracy(
        self, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
    ) -> Array:
        """The share of samples whose `predict` is their label, 0-d; a silent sample is wrong."""
        evidence, spoke, piece = _whole.evidence(self, record, **layout)
        return share(self, evidence, spoke, labels, piece)

    def replace(self, **changes: Any) -> Self:
        """A loss with other parts: `loss.replace(reduction=Each())`."""
        return replace(self, **changes)

    def across(
        self, ranks: str | tuple[str, ...] | None, *, gradients: Gradients = "averaged"
    ) -> Self:
        return self.replace(reduction=self.reduction.of_ranks(ranks, gradients))

    @property
    def losses(self) -> tuple[tuple[float, "Loss"], ...]:
        return ((1.0, self),)


def _terms(argument: str, value: Any) -> tuple[tuple[float, Loss], ...]:
    """Pairs (factor, loss), at least one."""
    pairs = isinstance(value, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in value)
    if not pairs or not value:
        rule, fix = "a tuple of pairs (factor, loss)", "Write a sum, as in loss + 0.1 * other."
        refuse(argument, rule, cut(repr(value)), fix, TypeError)
    return tuple(
        (_door.number("factor", factor), _door.stage(argument, loss, Loss, "presets.ce_count()"))
        for factor, loss in value
    )


@dataclass(frozen=True)
class Total(_Objective):
    """sum_i factor_i loss_i: several objectives of one record and one target.

    >>> from spikeloss.presets import ce_count, mse_count
    >>> (ce_count() + 0.5 * mse_count()).terms[1][0]
    0.5
    """

    terms: tuple[tuple[float, Loss], ...] = field(metadata=declared(_terms))

    def __post_init__(self) -> None:
        super().__post_init__()
        same_ranks(self.terms)

    def __call__(
        self,
        record: shapes.Record | Mapping[str, shapes.Record],
        target: Array | None = None,
        **options: Any,
    ) -> shapes.Loss:
        """The weighted sum of the losses, each called with the same arguments."""
        return _whole.value(self, record, target, **options)

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

    def across(
        self, ranks: str | tuple[str, ...] | None, *, gradients: Gradients = "averaged"
    ) -> Self:
        terms = ((factor, x.across(ranks, gradients=gradients)) for factor, x in self.terms)
        return replace(self, terms=tuple(terms))

    @property
    def losses(self) -> tuple[tuple[float, Loss], ...]:
        return self.terms
