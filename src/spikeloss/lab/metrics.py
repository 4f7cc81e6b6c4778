"""Numbers that describe a record (T, *B, N), whatever it was trained on. NumPy only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def _spiked(spikes: Numbers, lengths: Numbers | None) -> tuple[NDArray[np.bool_], float]:
    """Where a neuron fired at a valid step, and how many valid steps the samples have in all."""
    fired = spikes != 0
    if lengths is None:
        return fired, float(np.prod(spikes.shape[:-1]))
    steps = np.arange(len(spikes)).reshape(-1, *(1,) * lengths.ndim)
    return fired & (steps < lengths)[..., None], float(lengths.sum())


def firing_rate(spikes: Numbers, lengths: Numbers | None = None) -> float:
    """Spikes per neuron and valid step, averaged over neurons and samples: from 0 to 1."""
    fired, steps = _spiked(spikes, lengths)
    return float(fired.sum() / (steps * spikes.shape[-1]))


def silent_fraction(spikes: Numbers, lengths: Numbers | None = None) -> float:
    """The share of pairs of a sample and a neuron without a single spike."""
    fired, _ = _spiked(spikes, lengths)
    return float(1 - fired.any(axis=0).mean())


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
