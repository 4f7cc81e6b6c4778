"""Scores recorded activity of any simulator: every preset that applies to it. NumPy only."""

import math
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeloss._shapes import Layout
from spikeloss.criteria import Similarity
from spikeloss.loss import Loss, Total
from spikeloss.records import Events, Times

from .limits import MEMORY, size
from .metrics import Numbers, decisions, firing_rate, silent_fraction
from .objectives import HIDDEN, MEMBRANE, OUTPUT, Objective, deciding, several
from .recording import NUMBER, Recording

LARGEST = 10**8
"""The numbers of a record up to which events become dense, for presets that read every step."""
TOO_LARGE = "it reads every step, and events become a record of at most {} numbers"
FIRST = "it reads more than first spikes, and of times there is no more"
PAIR = 24
"""Bytes that a comparison of every sample with every other one takes per pair."""


@dataclass(frozen=True)
class Score:
    """One objective on a recording; `why_not` says why it does not apply, else None.

    `not_finite` says what the loss is where it is no finite number, "inf" or "nan"; else None. The
    last three are known by step only.
    """

    objective: str
    reads: str
    loss: float | None = None
    accuracy: float | None = None
    abstained: float | None = None
    why_not: str | None = None
    not_finite: str | None = None
    decision_step: float | None = None
    right_step: float | None = None
    accuracy_by_step: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Activity:
    """How much the recorded neurons fire: see `metrics`."""

    firing_rate: float
    silent_fraction: float


def scores(
    recording: Recording,
    memory: int = MEMORY,
    objectives: Sequence[Objective] | None = None,
    by_step: bool = False,
) -> list[Score]:
    """Objectives on a recording, in some memory; None: every preset, with its default options.

    `by_step` says also when decisions became final, and the accuracy after each step.
    """
    if objectives is None:
        presets = deciding().values()
        objectives = [Objective(each.name, each, each.build()) for each in presets]
    most = min(LARGEST, memory // NUMBER)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        dense = dense_of(recording.spikes, most)
        found = [(each, _score(each, recording, dense, memory)) for each in objectives]
        if by_step:
            return [_stepwise(each, row, recording, dense) for each, row in found]
        return [row for _, row in found]


def activity(recording: Recording) -> Activity | None:
    """The activity of the recorded spikes; None without them, or with the first alone."""
    spikes, steps = recording.spikes, (recording.lengths, recording.valid)
    if spikes is None or isinstance(spikes, Times):
        return None
    return Activity(firing_rate(spikes, *steps), silent_fraction(spikes, *steps))


def dense_of(spikes: Numbers | Events | Times | None, most: int) -> Numbers | None:
    """The record of every step; None for events that would make it too large, and for times."""
    if isinstance(spikes, Times):
        return None
    if not isinstance(spikes, Events):
        return spikes
    return np.asarray(spikes.dense()) if math.prod(spikes.shape) <= most else None


def _score(objective: Objective, recording: Recording, dense: Numbers | None, memory: int) -> Score:
    name, reads = objective.spelling, objective.preset.reads
    why_not = misfit(objective, recording, memory)
    if why_not is not None:
        return Score(name, reads, why_not=why_not)
    placed = objective.placed((), None)
    loss, main = placed.loss, placed.main
    layout: Layout = {"lengths": recording.lengths, "valid": recording.valid}
    spikes = recording.spikes
    if isinstance(spikes, Events) and (placed.layers or not _takes_events(loss, spikes)):
        spikes = dense
    whole = read_by(placed, recording, spikes)
    if whole is None:
        return Score(name, reads, why_not=TOO_LARGE.format(min(LARGEST, memory // NUMBER)))
    try:
        value = float(loss(whole, recording.labels, **layout))
        undecided = main.criterion.of_sequence is not False or main.criterion.targetless
        decided = None if undecided else loss.predict(whole, **layout)
    except (TypeError, ValueError) as wrong:
        first = isinstance(recording.spikes, Times) and isinstance(wrong, TypeError)
        return Score(name, reads, why_not=FIRST if first else str(wrong))
    except MemoryError:
        return Score(name, reads, why_not="it takes more memory than there is")
    return Score(
        name,
        reads,
        loss=value if math.isfinite(value) else None,
        accuracy=None if decided is None else _accuracy(decided, recording.labels),
        abstained=None if decided is None else float(np.mean(decided < 0)),
        not_finite=None if math.isfinite(value) else str(value),
    )


def read_by(
    placed: Objective, recording: Recording, spikes: Numbers | Events | Times | None
) -> Any:
    """The record that an objective reads, or its records by layer; None where one is missing."""
    held = {"spikes": spikes, "membrane": recording.membrane}
    records = {kind: held[kind] for kind in kinds(placed, recording)}
    if any(record is None for record in records.values()):
        return None
    if placed.layers:
        return {layer: records[KINDS[layer]] for layer in placed.layers}
    return next(iter(records.values()))


KINDS = {OUTPUT: "spikes", MEMBRANE: "membrane"}
"""What a recording calls the layers of a network."""


def kinds(objective: Objective, recording: Recording) -> list[str]:
    """What of a recording an objective reads; of either the first that there is."""
    if objective.layers:
        return [KINDS.get(layer, layer) for layer in objective.layers]
    reads = objective.preset.reads
    if reads != "either":
        return [reads]
    return ["membrane" if recording.spikes is None else "spikes"]


def misfit(objective: Objective, recording: Recording, memory: int) -> str | None:
    """Why an objective does not apply to such a recording; None: it does."""
    main = objective.main
    if main.readout.timeless:
        return "its record has no time axis"
    if main.criterion.targetless:
        return "it is a penalty alone"
    if not main.of_labels:
        return "its target is no class label"
    for _, term in (1 * objective.loss).terms:
        if term.layers and set(several(term.layers)) == {HIDDEN}:
            return f"it reads {HIDDEN}, which the file does not hold"
    for kind in kinds(objective.placed((), None), recording):
        if getattr(recording, kind, None) is None:
            return f"it reads {kind}, which the file does not hold"
    if isinstance(main.criterion, Similarity) and PAIR * recording.shape[1] ** 2 > memory:
        return f"it compares every pair of samples, which takes more than {size(memory)}"
    return None


def _stepwise(
    objective: Objective, row: Score, recording: Recording, dense: Numbers | None
) -> Score:
    """The score with what was decided after each step, where that can be said."""
    main = objective.main
    kind = "membrane" if objective.preset.reads == "membrane" else "spikes"
    if recording.spikes is None:
        kind = "membrane"
    record = dense if kind == "spikes" else recording.membrane
    if row.accuracy is None or record is None:
        return row
    layout: Layout = {"lengths": recording.lengths, "valid": recording.valid}
    try:
        found = decisions(main, record, recording.labels, layout)
    except (TypeError, ValueError, MemoryError):
        return row
    return replace(
        row,
        decision_step=found.decision_step,
        right_step=found.right_step,
        accuracy_by_step=found.accuracy_by_step,
    )


def doubts(recording: Recording) -> list[str]:
    """What looks wrong in the spikes of a recording, a line each."""
    spikes = recording.spikes
    if isinstance(spikes, Times):
        return []
    values = spikes.amplitude if isinstance(spikes, Events) else spikes
    if values is None or values.dtype == bool or values.size == 0:
        return []
    if values.min() < 0:
        return [f"spikes: some are negative, down to {values.min():g}. {NEGATIVE}"]
    odd = values[(values != 0) & (values != 1)]
    return [f"spikes: some are graded, such as {odd[0]:g}. {GRADED}"] if odd.size else []


NEGATIVE = "A membrane potential goes under the name `membrane`."
GRADED = "Sums over time add amplitudes up; first spikes and rates take what is not 0 for a spike."


def _takes_events(loss: Loss | Total, events: Events) -> bool:
    """Whether all of a loss takes events: asked with one step of one sample, and no event."""
    nothing = replace(events.map(lambda x: x[:0]), shape=(1, 1, events.shape[-1]))
    for _, term in loss.losses:
        with suppress(ValueError):  # what does not fit is said of the whole record
            try:
                term.readout(nothing)
            except TypeError:
                return False
    return True


def _accuracy(decided: Numbers, labels: Numbers) -> float | None:
    """The share of samples decided rightly; None for labels that change from step to step."""
    return float(np.mean(decided == labels)) if labels.shape == decided.shape else None
