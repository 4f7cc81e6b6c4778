"""What is to be computed, and whether it can be: all that does not depend on values.

losses, record, target --plan--> which records to open, what to read of each, what to compare

Shapes, dtypes, libraries and options decide all of it, so that a loss that is called again with
arrays of the same kind, and a stream, plans once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from . import _door
from ._backend import is_array, is_ragged
from ._choice import Choice, Stages, mode
from ._door import Check, cut, refuse, said, shape_of
from ._open import Form, form_of
from ._shapes import ClassAxis
from .criteria import Criterion
from .readouts import EveryStep, Keeps, Readout
from .records import Events, Packed, Times
from .reductions import Reduction
from .targets import Given, Target

WEIGHTS = ("sample_weight", "class_weight")

COMPOSED = Choice()


class Composed(Protocol):
    """A loss: `spikeloss.Loss` is one."""

    @property
    def readout(self) -> Readout: ...
    @property
    def criterion(self) -> Criterion: ...
    @property
    def target(self) -> Target: ...
    @property
    def reduction(self) -> Reduction: ...
    @property
    def class_weight(self) -> Any: ...
    @property
    def layers(self) -> Any: ...
    @property
    def fast(self) -> Stages | str: ...


def composed(loss: Composed) -> None:
    """Stages that go together, whatever the record is."""
    _sequence_read(loss.readout, loss.criterion)
    if loss.target.timed:
        _times_read(loss.readout)
    if loss.reduction.across is not None:
        decomposes(loss)
    if loss.criterion.targetless:
        _no_target(loss.target == Given(), loss.class_weight)
    elif loss.class_weight is not None:
        _door.class_weighted(loss.criterion, loss.target)


def decomposes(loss: Composed) -> None:
    """A loss of which parts of a batch add up to those of the batch."""
    coupled = [loss.criterion] if loss.criterion.couples else []
    stage: Any = loss.readout
    while stage is not None and stage.couples:
        stage, coupled = getattr(stage, "of", None), [*coupled, stage]
    if coupled:
        rule = "a loss that looks at each sample by itself"
        got = f"{type(coupled[-1]).__name__}, which compares samples"
        refuse("loss", rule, got, "Call it on the whole batch.", TypeError)


def same_ranks(losses: Sequence[tuple[float, Composed]]) -> None:
    """Terms of a sum are of the same ranks, as their parts are summed at once."""
    first, *others = dict.fromkeys(
        "these samples" if x.across is None else f"across={x.across!r}, gradients={x.gradients!r}"
        for x in (loss.reduction for _, loss in losses)
    )
    if others:
        rule, fix = "losses of the same ranks", "Write (loss + other).across('world')."
        refuse("terms", rule, f"those of {first} and of {others[0]}", fix)


def _sequence_read(readout: Readout, criterion: Criterion) -> None:
    """A criterion that sees all steps at once goes with a readout that keeps them, and only so."""
    if (readout.keeps == "sequence") == criterion.of_sequence:
        return
    name = type(criterion).__name__
    if criterion.of_sequence is None:
        if readout.keeps in (None, "sequence"):
            return
        rule, fix = f"one decision or the whole record for {name}", "Read with MeanOverTime()."
    elif criterion.of_sequence:
        rule, fix = f"readouts.WholeRecord() for {name}", "Write Loss(WholeRecord(), ...)."
    else:
        rule, fix = f"a decision or steps for {name}", "Read with readouts.EveryStep()."
    refuse("readout", rule, type(readout).__name__, fix, TypeError)


def _times_read(readout: Readout) -> None:
    """A target in steps needs a readout of spike times that are coded as times."""
    if not readout.in_steps:
        rule = "a readout of spike times in steps, code 'time'"
        fix = "Read with readouts.FirstSpike() or readouts.SpikeTimes()."
        refuse("target", rule, cut(repr(readout)), fix, TypeError)


def _no_target(given: bool, weights: Any) -> None:
    """A penalty is of the decision alone."""
    if not given:
        refuse("target", "none for a penalty", "a target stage", "Drop target.", TypeError)
    if weights is not None:
        fix = "Weigh the penalty itself, as in 0.1 * penalty."
        refuse("class_weight", "none for a penalty", "weights", fix, TypeError)


class Fit(NamedTuple):
    """What is known of a target that fits a decision."""

    shape: tuple[int, ...]
    """(S, *B, C) of the decision."""
    given: Check | None
    """What is to be checked of what the user gives, and"""
    encoded: Check
    """of what it is encoded as."""
    labels: bool
    """Whether that is class labels."""


class Term(NamedTuple):
    """A loss of a sum."""

    place: int
    """Which of all terms it is."""
    factor: float
    loss: Composed
    reading: int
    """Which of the readings of its record it compares with the target."""
    keeps: Keeps
    """What that keeps."""
    suited: bool
    """Whether the target looks at decisions."""
    stages: Stages
    """Those of the loss, or others that compute the same by a kernel."""
    direct: bool = False
    """Whether it compares the record itself."""
    fit: Fit | None = None
    """None: the target is yet to be looked at."""


class Plan(NamedTuple):
    """What is to be computed of one record."""

    layer: str | None
    """Its name, where there are several."""
    timeless: bool
    readings: tuple[Readout, ...]
    """What is to be read of it, each once."""
    terms: tuple[Term, ...]
    timed: tuple[bool, ...] = ()
    """Which of the readings keep time."""
    form: Form | None = None
    """Of a dense record its axes and precision."""
    imitates: bool = False
    """Whether the target of a term is a record."""
    at_once: bool = False
    """Whether a reading needs all steps at once."""

    @property
    def targeted(self) -> bool:
        """Whether every term has a target."""
        return not any(term.loss.criterion.targetless for term in self.terms)

    def reads(self, neurons: int) -> None:
        """Whether so many neurons can be read."""
        for readout in self.readings:
            readout.entries(neurons)

    def settled(self, x: Any, target: Any, steps: int) -> "Plan":
        """The plan, without the kernels that run for no record like x of so many steps."""
        terms = tuple(
            term._replace(stages=term.stages.settled(term.loss, x, target, steps))
            for term in self.terms
        )
        return self._replace(readings=_readings(terms), terms=terms)

    def fitted(self, fits: dict[int, Fit]) -> "Plan":
        """The plan, with what is known of the targets of the terms."""
        return self._replace(terms=tuple(t._replace(fit=fits.get(t.place)) for t in self.terms))


class Plans(dict[Any, tuple[Plan, ...]]):
    """The plans that were made for calls with arrays of some kinds."""

    MOST = 64
    """Kinds; with further ones it starts anew."""

    def keep(self, key: Any, plans: tuple[Plan, ...]) -> None:
        """Keep the plans of a call that went well."""
        if len(self) >= self.MOST:
            self.clear()
        self[key] = plans


def planned(
    losses: Sequence[tuple[float, Composed]],
    record: Any,
    target: Any = None,
    *,
    class_weight: Any = None,
    time_axis: int = 0,
    class_axis: ClassAxis = None,
    lengths: Any = None,
    valid: Any = None,
    choice: Choice = COMPOSED,
    kept: bool = False,
) -> tuple[Plan, ...]:
    """The plans of a call of a sum of losses, one for each record that it reads.

    `kept`: whether they are for all calls with arrays of the same kinds.
    """
    settles = kept and lengths is None and valid is None and choice.mode != "off"
    _door.layout(lengths, valid, {})
    told = not all(loss.criterion.targetless for _, loss in losses)  # by a target: what axes are
    if target is not None and not told:
        _unread(target, record, class_axis, time_axis)
    for _, loss in losses:
        weighted = class_weight is not None or loss.class_weight is not None
        if weighted and not loss.criterion.targetless:
            _door.class_weighted(loss.criterion, loss.target)
    grouped: dict[tuple[str | None, bool], tuple[dict[Readout, int], list[Term]]] = {}
    place = 0
    for factor, loss in losses:
        for layer in layers_of(loss, record, several=loss.criterion.targetless):
            readings, terms = grouped.setdefault((layer, loss.readout.timeless), ({}, []))
            reading = readings.setdefault(loss.readout, len(readings))
            terms.append(_term(place, factor, loss, reading, choice))
            place += 1
    plans = []
    for (layer, timeless), (_, terms) in grouped.items():
        here = record if layer is None else record[layer]
        plan = _plan(layer, timeless, terms)
        if not plan.targeted and not (layer is None and told):
            _door.layer(here, class_axis, timeless, layer)
        if is_array(here) and not is_ragged(here):
            if timeless:
                _door.no_mask(lengths, valid, "a record without time")
            plan = plan._replace(form=form_of(here, time_axis, class_axis, timeless))
            if settles:
                plan = plan.settled(here, target, 1 if timeless else here.shape[time_axis])
        plans.append(plan)
    return tuple(plans)


def of_stream(losses: Sequence[tuple[float, Composed]]) -> Plan:
    """The plan of a sum of losses of a record that comes in pieces."""
    choice = Choice(mode())
    readings: dict[Readout, int] = {}
    terms = []
    for place, (factor, loss) in enumerate(losses):
        reading = readings.setdefault(loss.readout, len(readings))
        terms.append(_term(place, factor, loss, reading, choice))
    return _plan(None, losses[0][1].readout.timeless, terms)


def _term(place: int, factor: float, loss: Composed, reading: int, choice: Choice) -> Term:
    suited, stages = type(loss.target).suits is not Target.suits, choice.of(loss)
    direct = isinstance(loss.readout, EveryStep)
    return Term(place, factor, loss, reading, loss.readout.keeps, suited, stages, direct)


def _plan(layer: str | None, timeless: bool, terms: Sequence[Term]) -> Plan:
    imitates = any(term.loss.target.of_record for term in terms)
    plan = Plan(layer, timeless, _readings(terms), tuple(terms))
    at_once = any(readout.keeps == "sequence" for readout in plan.readings)
    timed = tuple(readout.keeps == "time" for readout in plan.readings)
    return plan._replace(imitates=imitates, at_once=at_once, timed=timed)


def _readings(terms: Sequence[Term]) -> tuple[Readout, ...]:
    found = {term.reading: term.stages.readout for term in reversed(terms)}
    return tuple(found[i] for i in range(len(found)))


def of_one(loss: Composed) -> Plan:
    """The plan of what a loss decides."""
    return of_stream([(1.0, loss)])


def layers_of(loss: Composed, record: Any, *, several: bool) -> tuple[str | None, ...]:
    """The names of the records of a mapping that a loss reads; of a record that is none, None."""
    names = loss.layers
    if not names and not isinstance(record, Mapping):
        return (None,)
    if not isinstance(record, Mapping):
        rule = f"a mapping with the layers {', '.join(names or ())}"
        refuse("record", rule, said(record), "Pass {name: record}, or drop layers.", TypeError)
    known = ", ".join(map(repr, record))
    for name in names or ():
        if name not in record:
            refuse("record", f"a mapping with the layer {name!r}", known, "Correct layers.")
    found = tuple(names or record)
    if not found:
        refuse("record", "at least one layer", "an empty mapping", "Pass {name: record}.")
    if len(found) > 1 and not several:
        fix = "Choose one, as in loss.replace(layers='output')."
        refuse("record", "one layer for a loss with a target", known, fix)
    return found


def _unread(target: Any, record: Any, class_axis: Any, time_axis: int) -> None:
    """A target that a penalty leaves to others is one of the same samples all the same."""
    if isinstance(target, (Events, Packed, Times)) or is_ragged(target) or is_ragged(record):
        return
    rule, fix = "nothing, or the target of the batch, for a penalty", "Drop target."
    if not is_array(target):
        if not isinstance(target, (int, float, list, tuple)):
            refuse("target", rule, said(target), fix, TypeError)
        return
    _door.real_kind("target", target)
    shape = record.shape if is_array(record) or isinstance(record, (Events, Packed)) else ()
    if class_axis is None and len(shape) == 3:
        samples = shape[1 if time_axis in (0, -3) else 0]
        if samples not in tuple(target.shape):
            refuse("target", rule, f"{shape_of(target)} for {samples} samples", fix)
