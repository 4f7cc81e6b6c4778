"""Whole records: their value, their parts, and what they decide.

record, target --plan--> what to open, read and compare --engine--> totals of every sample
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from . import _door
from ._backend import as_array, namespace, signature
from ._choice import Choice, mode, state
from ._engine import (
    Aim,
    Taken,
    aimed,
    compared,
    evident,
    finish,
    parts_of,
    take,
    times,
    total,
    unscaled,
    weighed,
)
from ._open import laid_out, open_like, open_record, open_steps
from ._piece import Dense, Piece, deciding
from ._plan import WEIGHTS, Composed, Fit, Plan, Term, decomposes, layers_of, of_one, planned
from ._shapes import Array, ClassAxis, Evidence, Layout
from .parts import Addend, Parts, Totals
from .readouts import Outline, Readout
from .records import Packed
from .targets import Given


def value(objective: Any, record: Any, target: Any, **options: Any) -> Array:
    """The loss of a record: the sum of factor times loss."""
    found, dtype = evaluated(objective, record, target, **options)
    return as_array(total(found), dtype)


def addends(objective: Any, record: Any, target: Any, **options: Any) -> dict[str, Addend]:
    """What the loss is the sum of, by name."""
    found, dtype = evaluated(objective, record, target, **options)
    several = isinstance(record, Mapping)
    names = [
        spelled(loss) + (f" [{layer}]" if several else "")
        for _, loss in objective.losses
        for layer in layers_of(loss, record, several=loss.criterion.targetless)
    ]
    values = [(term.factor, unscaled(term, totals)) for term, totals in found]
    return {
        name: Addend(factor, as_array(value, dtype), as_array(times(factor, value), dtype))
        for name, (factor, value) in zip(_apart(names), values, strict=True)
    }


def _apart(names: Sequence[str]) -> list[str]:
    """The names, with a number after those that have come before."""
    seen = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name} ({n})" for name, n in zip(names, seen, strict=True)]


def spelled(loss: Composed) -> str:
    """The stages of a loss in a few words, as in "CrossEntropy of SumOverTime"."""
    against = "" if loss.target == Given() else f" against {brief(loss.target)}"
    return f"{brief(loss.criterion)} of {brief(loss.readout)}{against}"


def brief(stage: Any) -> str:
    """A stage with those of its options that are not the usual ones."""
    if not stage.__dataclass_params__.repr:  # one of its own, as of a function
        return repr(stage)
    given = [(each, getattr(stage, each.name)) for each in fields(stage)]
    parts = [
        brief(value) if isinstance(value, Readout) else f"{each.name}={value!r}"
        for each, value in given
        if each.default is MISSING or value != each.default
    ]
    return type(stage).__name__ + (f"({', '.join(parts)})" if parts else "")


def explained(objective: Any, record: Any, target: Any, **options: Any) -> str:
    """What runs for a record, in words."""
    said: list[str] = []
    choice = Choice(mode(), said.append)
    evaluated(objective, record, target, choice, **options)
    return "\n".join((f"SPIKELOSS_KERNELS={choice.mode}, {state()}", *dict.fromkeys(said)))


def parts(objective: Any, record: Any, target: Any, **options: Any) -> Parts:
    """The numerator and the denominator of every term."""
    for _, loss in objective.losses:
        decomposes(loss)
    return parts_of(evaluated(objective, record, target, **options)[0])


def evaluated(
    objective: Any,
    record: Any,
    target: Any = None,
    choice: Choice | None = None,
    /,
    *,
    sample_weight: Any = None,
    class_weight: Any = None,
    lengths: Any = None,
    valid: Any = None,
    time_axis: int = 0,
    class_axis: ClassAxis = None,
    **unknown: Any,
) -> tuple[list[tuple[Term, Totals]], Any]:
    """Every term with its totals, and the dtype of the result."""
    if unknown:
        _door.known("a loss", unknown, (*_door.LAYOUT, *WEIGHTS))
    layout: Layout = {
        "lengths": lengths,
        "valid": valid,
        "time_axis": time_axis,
        "class_axis": class_axis,
    }
    made, key, plans = choice, None, None
    if made is None:
        made = Choice(mode())
        key = signature(record, target, lengths, valid, sample_weight, class_weight)
    if key is not None:
        key = (key, time_axis, class_axis, made)
        try:
            plans = objective.plans.get(key)
        except TypeError:  # an axis that cannot be hashed is none
            key = None
    known = plans is not None
    if plans is None:
        options: Any = {"class_weight": class_weight, "choice": made, **layout}
        plans = planned(objective.losses, record, target, kept=key is not None, **options)
    found: list[tuple[Term, Totals]] = []
    fits: dict[int, Fit] = {}
    for plan in plans:
        here = record if plan.layer is None else record[plan.layer]
        weights = sample_weight, class_weight
        totals, dtype = _evaluated(plan, here, target, layout, *weights, fits, known)
        found += zip(plan.terms, totals, strict=True)
    if key is not None and not known:
        objective.plans.keep(key, tuple(plan.fitted(fits) for plan in plans))
    if len(plans) > 1:
        found.sort(key=lambda each: each[0].place)
    return found, dtype


def _evaluated(
    plan: Plan,
    record: Any,
    target: Any,
    layout: Layout,
    sample_weight: Any,
    class_weight: Any,
    fits: dict[int, Fit],
    known: bool,
) -> tuple[list[Totals], Any]:
    """The totals of the terms of one record, and the dtype of the result."""
    whole, pieces = opened(plan, record, layout, known)
    if not known:
        plan.reads(whole.neurons)
    if pieces is not None:
        return _of_pieces(plan, whole, pieces, target, sample_weight, class_weight), whole.dtype
    decided = _Decisions(plan, whole)
    imitated = None
    if plan.imitates:
        imitated = _Decisions(plan, open_like(target, whole, plan.timeless, **layout))
    found = []
    for term in plan.terms:
        both = term.stages.both
        if both is not None and imitated is not None:
            at_once = both.totals(whole, imitated.piece)
            if at_once is not None:
                found.append(weighed(at_once, sample_weight, whole))
                continue
        readout, fit, given = plan.readings[term.reading], term.fit, target
        if imitated is not None and term.loss.target.of_record:
            given = imitated.of(term.reading)
        outline = readout.outlined(whole) if fit is None else Outline(readout, fit.shape, whole)
        aim, fit = aimed(term.loss, outline, given, class_weight, fit)
        if fit is not None and not known:
            fits[term.place] = fit
        z = None if term.direct else decided.of(term.reading)
        totals = compared(term, whole, z, aim)
        found.append(weighed(totals, sample_weight, whole))
    return found, whole.dtype


class _Decisions:
    """What readings decide about a record, each read when it is asked for."""

    def __init__(self, plan: Plan, piece: Piece) -> None:
        self.readings, self.piece = plan.readings, piece
        self.found: list[Any] = [None] * len(plan.readings)

    def of(self, reading: int) -> Array:
        """The decision of one of them."""
        if self.found[reading] is None:
            self.found[reading] = self.readings[reading].read(self.piece, None)[0]
        return self.found[reading]


def _of_pieces(
    plan: Plan,
    whole: Piece,
    pieces: Iterator[Piece],
    target: Any,
    sample_weight: Any,
    class_weight: Any,
) -> list[Totals]:
    """The totals of the terms of a record that is read piece by piece."""
    aims: dict[int, Aim] = {}

    def aim_of(term: Term, readout: Readout, piece: Piece, y: Any) -> Aim:
        """Of all steps at once, which then come with the pieces."""
        if term.place not in aims:
            outline = readout.outlined(whole)
            aims[term.place], _ = aimed(term.loss, outline, target, class_weight)
        return aims[term.place].during(readout.outlined(piece))

    taken = Taken((), ())
    for i, piece in enumerate(pieces):
        taken = take(plan, taken if i else None, piece, aim_of, steps=whole.steps)
    return finish(plan, taken, whole, aim_of, sample_weight)


def opened(
    plan: Plan, record: Any, layout: Layout, known: bool = False
) -> tuple[Piece, Iterator[Piece] | None]:
    """A record as one piece, and the pieces in which it is to be read; None: at once.

    `known`: whether a call with arrays of the same kinds went well.
    """
    form = plan.form
    if form is None:
        if isinstance(record, Packed) and not plan.imitates and not plan.at_once:
            return _unpacked(record, layout)
        return open_record(record, timeless=plan.timeless, **layout), None
    x = record if form.as_it_is else laid_out(record, form)
    lengths, valid = layout["lengths"], layout["valid"]
    if lengths is None and valid is None:
        return Dense(x, form.dtype, cast=form.cast), None
    return open_steps(x, form.dtype, lengths, valid, cast=form.cast, known=known), None


def _unpacked(record: Packed, layout: Layout) -> tuple[Dense, Iterator[Dense]]:
    """A record of bits as a piece of its shape, without its entries, and as pieces with them."""
    _door.layout(layout["lengths"], layout["valid"], {})
    _door.usual_axes(layout["time_axis"], layout["class_axis"], "a packed record")
    xp = namespace(record.bits)
    none = xp.zeros_like(record.bits[:1, ...], dtype=xp.float32)
    blank = xp.broadcast_to(none, record.shape)
    whole = open_steps(blank, xp.float32, layout["lengths"], layout["valid"])

    def pieces() -> Iterator[Dense]:
        time, start = 0, 0
        for chunk in record.pieces():
            x = xp.astype(chunk, xp.float32)
            mask = None if whole.mask is None else whole.mask[time : time + chunk.shape[0], ...]
            at: Any = {"time": time, "start": start, "lengths": whole.lengths, "mask": mask}
            piece = Dense(x, xp.float32, **at, part=True)
            yield piece
            time, start = time + chunk.shape[0], piece.end

    return whole, pieces()


# What a record decides


def evidence(loss: Composed, record: Any, **layout: Any) -> tuple[Evidence, Array, Piece]:
    """The evidence, who is not silent (*B), and the piece that ends the record."""
    (layer,) = layers_of(loss, record, several=False)
    record = record if layer is None else record[layer]
    plan, fired = of_one(loss), None
    taken: Any = None
    _door.known("the layout", layout, _door.LAYOUT)
    whole, pieces = opened(plan, record, {**_USUAL, **layout})  # type: ignore[typeddict-item]
    plan.reads(whole.neurons)
    for piece in (deciding(whole),) if pieces is None else pieces:  # those of bits are exact
        taken = take(plan, taken, piece, _aimless, decides=True)
        fired = piece.fired(fired)
    return evident(plan, taken, whole), namespace(fired).any(fired, axis=-1), whole


_USUAL: Layout = {"lengths": None, "valid": None, "time_axis": 0, "class_axis": None}


def _aimless(term: Term, readout: Readout, piece: Piece, y: Any) -> None:
    return None
