"""Scores recorded activity of any simulator: every preset that applies to it. NumPy only."""

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from spikeloss._shapes import Layout
from spikeloss.criteria import Similarity
from spikeloss.loss import Loss, Total
from spikeloss.presets import Preset, catalogue
from spikeloss.records import Events

from .limits import MEMORY, size
from .metrics import Numbers, firing_rate, silent_fraction
from .recording import NUMBER, Recording

LARGEST = 10**8
"""The numbers of a record up to which events become dense, for presets that read every step."""
TOO_LARGE = "it reads every step, and events become a record of at most {} numbers"
PAIR = 24
"""Bytes that a comparison of every sample with every other one takes per pair."""


@dataclass(frozen=True)
class Score:
    """One preset on a recording; `why_not` says why it does not apply, else None.

    `not_finite` says what the loss is where it is no finite number, "inf" or "nan"; else None.
    """

    objective: str
    reads: str
    loss: float | None = None
    accuracy: float | None = None
    abstained: float | None = None
    why_not: str | None = None
    not_finite: str | None = None


@dataclass(frozen=True)
class Activity:
    """How much the recorded neurons fire: see `metrics`."""

    firing_rate: float
    silent_fraction: float


def scores(recording: Recording, memory: int = MEMORY) -> list[Score]:
    """Every preset of the library, with its default options, on a recording, in some memory."""
    most = min(LARGEST, memory // NUMBER)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        dense = _dense(recording.spikes, most)
        return [_score(preset, recording, dense, memory) for preset in catalogue().values()]


def activity(recording: Recording) -> Activity | None:
    """The activity of the recorded spikes; None without spikes."""
    spikes, steps = recording.spikes, (recording.lengths, recording.valid)
    if spikes is None:
        return None
    return Activity(firing_rate(spikes, *steps), silent_fraction(spikes, *steps))


def _dense(spikes: Numbers | Events | None, most: int) -> Numbers | None:
    """The record of every step; None for events that would make it too large."""
    if not isinstance(spikes, Events):
        return spikes
    return np.asarray(spikes.dense()) if math.prod(spikes.shape) <= most else None


def _score(preset: Preset, recording: Recording, dense: Numbers | None, memory: int) -> Score:
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
        most = min(LARGEST, memory // NUMBER)
        return Score(name, reads, why_not=TOO_LARGE.format(most))
    if isinstance(main.criterion, Similarity) and PAIR * recording.shape[1] ** 2 > memory:
        why_not = f"it compares every pair of samples, which takes more than {size(memory)}"
        return Score(name, reads, why_not=why_not)
    try:
        value = float(loss(record, recording.labels, **layout))
        whole = main.readout.keeps == "sequence"
        decided = None if whole else loss.predict(record, **layout)
    except (TypeError, ValueError) as wrong:
        return Score(name, reads, why_not=str(wrong))
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
