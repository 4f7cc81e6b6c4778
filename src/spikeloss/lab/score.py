"""Scores recorded activity of any simulator: every preset that applies to it. NumPy only."""

import math
from dataclasses import dataclass

import numpy as np

from spikeloss.presets import Preset, catalogue

from .metrics import Numbers, firing_rate, silent_fraction
from .recording import Recording


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
    return [_score(preset, recording) for preset in catalogue().values()]


def activity(recording: Recording) -> Activity | None:
    """The activity of the recorded spikes; None without spikes."""
    spikes, lengths = recording.spikes, recording.lengths
    if spikes is None:
        return None
    return Activity(firing_rate(spikes, lengths), silent_fraction(spikes, lengths))


def _score(preset: Preset, recording: Recording) -> Score:
    name, reads, loss = preset.name, preset.reads, preset.build()
    if loss.readout.timeless:
        return Score(name, reads, why_not="its record has no time axis")
    kinds = ("spikes", "membrane") if reads == "either" else (reads,)
    records = [array for kind in kinds if (array := getattr(recording, kind)) is not None]
    if not records:
        return Score(name, reads, why_not=f"it reads {reads}, which the file does not hold")
    try:
        value = float(loss(records[0], recording.labels, lengths=recording.lengths))
        decided = loss.predict(records[0], lengths=recording.lengths)
    except (TypeError, ValueError) as wrong:
        return Score(name, reads, why_not=str(wrong))
    return Score(
        name,
        reads,
        loss=value if math.isfinite(value) else None,
        accuracy=_accuracy(decided, recording.labels),
        abstained=float(np.mean(decided < 0)),
    )


def _accuracy(decided: Numbers, labels: Numbers) -> float | None:
    """The share of samples decided rightly; None for labels that change from step to step."""
    return float(np.mean(decided == labels)) if labels.shape == decided.shape else None
