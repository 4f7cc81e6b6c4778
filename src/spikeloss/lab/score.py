"""Scores recorded activity of any simulator: every preset that applies to it. NumPy only."""

import math
from dataclasses import dataclass, replace

import numpy as np

from spikeloss._shapes import Layout
from spikeloss.loss import Loss, Total
from spikeloss.presets import Preset, catalogue
from spikeloss.records import Events

from .metrics import Numbers, firing_rate, silent_fraction
from .recording import Recording

LARGEST = 10**8
"""The numbers of a record up to which events become dense, for presets that read every step."""
TOO_LARGE = f"it reads every step, and events become a record of at most {LARGEST} numbers"


@dataclass(frozen=True)
class Score:
    """One preset on a recording; `why_not` says why it does not apply, else None."""

    objective: str
    reads: str
    loss: float | None = None
    accuracy: float | None = None
    abstained: float | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class Activity:
    """How much the recorded neurons fire: see `metrics`."""

    firing_rate: float
    silent_fraction: float


def scores(recording: Recording) -> list[Score]:
    """Every preset of the library, with its default options, on a recording."""
    dense = _dense(recording.spikes)
    return [_score(preset, recording, dense) for preset in catalogue().values()]


def activity(recording: Recording) -> Activity | None:
    """The activity of the recorded spikes; None without spikes."""
    spikes, steps = recording.spikes, (recording.lengths, recording.valid)
    if spikes is None:
        return None
    return Activity(firing_rate(spikes, *steps), silent_fraction(spikes, *steps))


def _dense(spikes: Numbers | Events | None) -> Numbers | None:
    """The record of every step; None for events that would make it too large."""
    if not isinstance(spikes, Events):
        return spikes
    return np.asarray(spikes.dense()) if math.prod(spikes.shape) <= LARGEST else None


def _score(preset: Preset, recording: Recording, dense: Numbers | None) -> Score:
    name, reads, loss = preset.name, preset.reads, preset.build()
    main = loss.main
    if main.readout.timeless:
        return Score(name, reads, why_not="its record has no time axis")
    if not main.of_labels:
        return Score(name, reads, why_not="its target is no class label")
    kinds = ("spikes", "membrane") if reads == "either" else (reads,)
    records = [array for kind in kinds if (array := getattr(recording, kind)) is not None]
    if not records:
        return Score(name, reads, why_not=f"it reads {reads}, which the file does not hold")
    record: Numbers | Events | None = records[0]
    layout: Layout = {"lengths": recording.lengths, "valid": recording.valid}
    if isinstance(record, Events) and not _takes_events(loss, record):
        record = dense
    if record is None:
        return Score(name, reads, why_not=TOO_LARGE)
    try:
        value = float(loss(record, recording.labels, **layout))
        whole = main.readout.keeps == "sequence"
        decided = None if whole else loss.predict(record, **layout)
    except (TypeError, ValueError) as wrong:
        return Score(name, reads, why_not=str(wrong))
    return Score(
        name,
        reads,
        loss=value if math.isfinite(value) else None,
        accuracy=None if decided is None else _accuracy(decided, recording.labels),
        abstained=None if decided is None else float(np.mean(decided < 0)),
    )


def _takes_events(loss: Loss | Total, events: Events) -> bool:
    """Whether a loss takes events: asked with one step of one sample, and no event."""
    nothing = replace(events.map(lambda x: x[:0]), shape=(1, 1, events.shape[-1]))
    try:
        loss.predict(nothing)
    except TypeError:
        return False
    except ValueError:  # what does not fit is said of the whole record
        return True
    return True


def _accuracy(decided: Numbers, labels: Numbers) -> float | None:
    """The share of samples decided rightly; None for labels that change from step to step."""
    return float(np.mean(decided == labels)) if labels.shape == decided.shape else None
