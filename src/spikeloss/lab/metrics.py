"""Numbers that describe a record (T, *B, N), dense or as events. NumPy only."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeloss.records import Events

Numbers = NDArray[Any]


def firing_rate(
    spikes: Numbers | Events, lengths: Numbers | None = None, valid: Numbers | None = None
) -> float:
    """Spikes per neuron and valid step, averaged over neurons and samples: from 0 to 1.

    Valid are the steps before `lengths` (*B), or those where `valid` (T, *B) is true.
    """
    count, _ = _fired(spikes, lengths, valid)
    if valid is not None:
        steps = int(valid.sum())
    else:
        steps = math.prod(spikes.shape[:-1]) if lengths is None else int(lengths.sum())
    return count / (steps * spikes.shape[-1])


def silent_fraction(
    spikes: Numbers | Events, lengths: Numbers | None = None, valid: Numbers | None = None
) -> float:
    """The share of pairs of a sample and a neuron without a single spike."""
    _, active = _fired(spikes, lengths, valid)
    return 1 - active / math.prod(spikes.shape[1:])


def _fired(
    spikes: Numbers | Events, lengths: Numbers | None, valid: Numbers | None
) -> tuple[int, int]:
    """How many entries at valid steps are not zero, and how many pairs have such an entry."""
    if isinstance(spikes, Events):
        return _fired_events(spikes, lengths, valid)
    fired = spikes != 0
    if lengths is not None:
        valid = np.arange(len(spikes)).reshape(-1, *(1,) * lengths.ndim) < lengths
    if valid is not None:
        fired = fired & valid[..., None]
    return int(fired.sum()), int(fired.any(axis=0).sum())


def _fired_events(
    events: Events, lengths: Numbers | None, valid: Numbers | None
) -> tuple[int, int]:
    """The same of events: those of one neuron and step are one entry, the sum of amplitudes."""
    steps, *batch, neurons = events.shape
    samples = math.prod(batch)
    end = np.full(samples, steps) if lengths is None else lengths.reshape(-1)
    inside = events.time < end[events.sample]
    time, sample, neuron = (x[inside] for x in (events.time, events.sample, events.neuron))
    amplitude = None if events.amplitude is None else events.amplitude[inside]
    step, sample = np.floor(time).astype(np.int64), sample.astype(np.int64)
    if valid is not None:
        seen = valid.reshape(steps, samples)[step, sample]
        step, sample, neuron = step[seen], sample[seen], neuron[seen]
        amplitude = None if amplitude is None else amplitude[seen]
    entry, place = np.unique((step * samples + sample) * neurons + neuron, return_inverse=True)
    entry = entry[np.bincount(place, amplitude, len(entry)) != 0]
    return len(entry), len(np.unique(entry % (samples * neurons)))


def decision_steps(loss: Any, record: Numbers, lengths: Numbers | None = None) -> Numbers:
    """The first step, from 0, from which the anytime decision stays what it is at the end.

    The anytime decision at step t is what `loss` decides from the steps 0..t alone. A sample that
    has decided nothing at the end gets -1.
    """
    steps = len(record)
    anytime = [
        loss.predict(record[:t], lengths=None if lengths is None else np.minimum(lengths, t))
        for t in range(1, steps + 1)
    ]
    other = np.stack(anytime) != anytime[-1]
    last_change = np.where(other.any(axis=0), steps - 1 - np.argmax(other[::-1], axis=0), -1)
    return np.where(anytime[-1] < 0, -1, last_change + 1)
