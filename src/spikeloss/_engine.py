"""What runs losses: each reduction over time once, then totals of every sample.

record --open--> pieces, one after the other
piece --readout--> decision (*B, C), or (T, *B, C) --criterion, target--> totals of every sample

A whole record is one piece, which is read and `compared`. What comes piece by piece, as packed
records, streams and stretches of time do, is taken by `take`, and at its end finished by `finish`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from . import _door
from ._backend import arange, as_array, kind, namespace
from ._door import refuse
from ._judge import judged
from ._piece import Piece, every_step
from ._plan import Composed, Fit, Plan, Term
from ._shapes import Array, Carry, Evidence, Labels, Steps
from ._sums import Sum, plus
from .parts import Parts, Totals, both
from .readouts import Outline, Reading, Readout


class Read(NamedTuple):
    """What a readout knows of the steps that have come."""

    carry: Carry
    other: Carry = None
    """Of a target that is a record, what it knows of that."""
    total: Sum | None = None
    """Of its decisions at all steps, where it keeps time and they are to decide."""


class Taken(NamedTuple):
    """What is known of a record: for each reading, and for each term of a plan."""

    reads: tuple[Read, ...]
    totals: tuple[Totals | None, ...]
    """Of the elements of all steps, where a term compares every step."""


class Aim(NamedTuple):
    """What a term compares its decision with."""

    y: Any = None
    label: Labels | None = None
    class_weight: Array | None = None

    def during(self, outline: Outline) -> "Aim":
        """What it is during the steps of a piece, of which there may be one for each step."""
        if outline.keeps != "time" or self.y is None:
            return self
        y, label, axes = self.y, self.label, len(outline.shape)
        time = outline.piece.time
        steps = slice(time, time + outline.shape[0])
        if label is not None and label.ndim == axes - 1:
            label = label[steps, ...]
        if self.y is self.label:
            y = label
        elif y.ndim == axes:
            y = y[steps, ...]
        return Aim(y, label, self.class_weight)


NOWHERE = Aim()


Aiming: TypeAlias = Callable[[Term, Readout, Piece, Any], Aim | None]
"""What a term aims at when a readout reads a piece, given the decision of a target that is a
record; None: it has no target."""


def take(
    plan: Plan,
    before: Taken | None,
    piece: Piece,
    aim_of: Aiming,
    *,
    other: Piece | None = None,
    steps: Steps | None = None,
    decides: bool = False,
) -> Taken:
    """What is known after one more piece.

    Args:
        other: the piece of a target that is a record.
        steps: n of the whole record, where elements of a step depend on it; None: that so far.
        decides: whether decisions of every step are added up.
    """
    reads, decisions = [], []
    for i, readout in enumerate(plan.readings):
        old = UNREAD if before is None else before.reads[i]
        if plan.timed[i]:
            read, decision = _every_step(readout, old, piece, other, decides)
        else:
            left = None if other is None else readout.reduce(other, old.other)
            read, decision = Read(readout.reduce(piece, old.carry), left), None
        reads.append(read)
        decisions.append(decision)
    totals: list[Totals | None] = []
    for i, term in enumerate(plan.terms):
        found, decision = None if before is None else before.totals[i], decisions[term.reading]
        if decision is not None:
            aim = aim_of(term, plan.readings[term.reading], piece, decision[1])
            if aim is not None:
                new = compared(term, piece, decision[0], aim, steps)
                found = new if found is None else found.plus(new)
        totals.append(found)
    return Taken(tuple(reads), tuple(totals))


UNREAD = Read(None)


def _every_step(
    readout: Readout, old: Read, piece: Piece, other: Piece | None, decides: bool
) -> tuple[Read, tuple[Array, Array | None]]:
    """What a readout that keeps time knows, and what it decides at every step of a piece."""
    piece = every_step(piece, readout)
    z, carry = readout.read(piece, old.carry)
    y, left = (None, None) if other is None else readout.read(other, old.other)
    total = plus(old.total, piece.sum_of(z)) if decides else None
    return Read(carry, left, total), (z, y)


def compared(
    term: Term, piece: Piece, z: Array | None, aim: Aim, steps: Steps | None = None
) -> Totals:
    """The totals of the elements of a decision: of every sample, or of every step of a piece.

    `z`: None for a term that compares the record itself.
    """
    loss, criterion = term.loss, term.stages.criterion
    n: Steps = 1
    if term.keeps != "time" or criterion.needs_steps:
        n = piece.steps if steps is None else steps
    if term.keeps == "time":
        dense = every_step(piece, loss.readout)
        return criterion.over_time(
            dense, z, aim.y, steps=n, label=aim.label, class_weight=aim.class_weight
        )
    if term.suited:
        loss.target.suits(z, loss.readout, piece)
    reading = Reading(z, term.keeps, n, piece.counts if criterion.couples else None)
    found = criterion.elements(reading, aim.y, label=aim.label, class_weight=aim.class_weight)
    if piece.counts is None:
        return found
    number = found.number
    return found._replace(number=both(None if isinstance(number, int) else number, piece.counts))


def finish(
    plan: Plan, taken: Taken, end: Piece, aim_of: Aiming, sample_weight: Any = None
) -> list[Totals]:
    """The totals of every sample, for each term, of a record that ends with a piece."""
    found = []
    for term, totals in zip(plan.terms, taken.totals, strict=True):
        if totals is None:
            readout, read = plan.readings[term.reading], taken.reads[term.reading]
            y = None if read.other is None else decided(readout, read.other, end)
            aim = aim_of(term, readout, end, y) or NOWHERE
            totals = compared(term, end, decided(readout, read.carry, end), aim)
        found.append(weighed(totals, sample_weight, end))
    return found


def weighed(totals: Totals, sample_weight: Any, piece: Piece) -> Totals:
    """The totals with the weights of the samples of a piece, if there are any."""
    if sample_weight is None:
        return totals
    batch = tuple(piece.shape[1:-1])
    return totals.weighed(_door.sample_weights(sample_weight, batch, piece.like))


def decided(readout: Readout, carry: Carry, end: Piece) -> Array:
    """The decision about a record that ends with a piece, in the precision of the record."""
    z, dtype = readout.decide(carry, end.steps), end.precision
    return z if z.dtype == dtype else namespace(z).astype(z, dtype)


def aimed(
    loss: Composed, outline: Outline, target: Any, class_weight: Any = None, fit: Fit | None = None
) -> tuple[Aim, Fit | None]:
    """What a decision of that outline is compared with, and what is known of such targets.

    `fit`: what is known of this one; None: it is yet to be looked at.
    """
    stage, criterion = loss.target, loss.criterion
    if criterion.targetless:
        return NOWHERE, None
    if fit is None:
        target = _door.beside_record("target", target, outline.like)
        given = stage.fit(target, outline)
    else:
        given = fit.given
    label = None if given is None else given(target, outline)
    y = stage.encode(target if label is None else label, outline)
    if outline.piece.part and stage.steps is not None:
        y = _stretch(y, outline, stage.steps)
    if fit is None:
        check = criterion.fit(y, outline)
        read = check(y, outline)
        labels = label is None and criterion.of_labels and kind(read) == "integer"
        fit = Fit(outline.shape, given, check, labels)
    else:
        read = fit.encoded(y, outline)
    if fit.labels:
        label = read
    weights = loss.class_weight if class_weight is None else class_weight
    if weights is not None:
        weights = _door.class_weights(weights, outline.like, stage.classes or outline.classes)
    return Aim(read, label, weights), fit


def _stretch(y: Array, outline: Outline, steps: int) -> Array:
    """Of patterns of so many steps those of a piece."""
    time, count = outline.piece.time, outline.shape[0]
    if isinstance(time, int) and time + count > steps:
        rule, fix = f"at most {steps} steps, as the patterns have", "Give patterns of more steps."
        refuse("record", rule, time + count, fix)
    return namespace(y).take(y, time + arange(count, y), axis=0)


# What it says


def total(found: Sequence[tuple[Term, Totals]]) -> Array:
    """The sum of the terms, which are of the samples here or of those of all ranks."""
    reduction = found[0][0].loss.reduction
    if reduction.across is not None:
        return parts_of(found).across(reduction.across, gradients=reduction.gradients).value()
    value = reduced(*found[0])
    for each in found[1:]:
        value = with_term(value, reduced(*each))
    return value


def parts_of(found: Sequence[tuple[Term, Totals]]) -> Parts:
    """The numerator and the denominator of every term."""
    numerators, denominators = [], []
    for term, totals in found:
        over, under = term.loss.reduction.parts(totals)
        over = times(term.factor, over)
        numerators.append(as_array(over, over.dtype))
        denominators.append(None if under is None else as_array(under, under.dtype))
    return Parts(tuple(numerators), tuple(denominators))


def reduced(term: Term, totals: Totals) -> Array:
    """What a term adds to the loss."""
    return times(term.factor, unscaled(term, totals))


def unscaled(term: Term, totals: Totals) -> Array:
    """The loss of a term, without its factor; of rows rather than classes without the last axis."""
    found = term.loss.reduction.reduce(totals)
    if found.ndim and not term.loss.criterion.per_class:
        found = found[..., 0]
    return found


def times(factor: float, x: Array) -> Array:
    """So many times a term."""
    return x if factor == 1 else factor * x


def with_term(total: Array, term: Array) -> Array:
    """The sum of losses, which have one shape."""
    if total.shape != term.shape:
        got = f"{tuple(total.shape)} and {tuple(term.shape)}"
        refuse("terms", "losses of one shape", got, "Reduce all to a mean or a sum.")
    return total + term


def evident(plan: Plan, taken: Taken, end: Piece, place: int = 0) -> Evidence:
    """The evidence of what has been taken, of one of the terms."""
    term = plan.terms[place]
    readout, read = plan.readings[term.reading], taken.reads[term.reading]
    if read.total is None:
        z = decided(readout, read.carry, end)
    else:
        z = namespace(end.like).astype(read.total.value / end.steps, end.precision, copy=False)
    return judged(term.loss, z, end.steps)
