"""Numbers that describe a record (T, *B, N), dense or as events. NumPy only.

They count as `spikeloss.metrics` does, in exact integers.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikeloss._open import open_record
from spikeloss._piece import Piece
from spikeloss._shapes import Layout
from spikeloss.metrics._activity import fired
from spikeloss.metrics._anytime import course
from spikeloss.records import Events, Times

Numbers = NDArray[Any]


def firing_rate(
    spikes: Numbers | Events, lengths: Numbers | None = None, valid: Numbers | None = None
) -> float:
    """Spikes per neuron and valid step, averaged over neurons and samples: from 0 to 1.

    Valid are the steps before `lengths` (*B), or those where `valid` (T, *B) is true.
    """
    piece = _piece(spikes, lengths, valid)
    counts = fired(piece)
    steps = np.broadcast_to(piece.end, counts.shape)
    return float(counts.sum() / steps.sum())


def silent_fraction(
    spikes: Numbers | Events, lengths: Numbers | None = None, valid: Numbers | None = None
) -> float:
    """The share of pairs of a sample and a neuron without a single spike."""
    counts = fired(_piece(spikes, lengths, valid))
    return float(1 - np.count_nonzero(counts) / counts.size)


def spikes_per_sample(layers: Sequence[Numbers], lengths: Numbers | None = None) -> float:
    """Spikes of all neurons of some layers at valid steps, averaged over samples."""
    counts = [fired(_piece(layer, lengths, None)).sum(axis=-1) for layer in layers]
    return float(np.sum(counts, axis=0).mean())


class Decisions(NamedTuple):
    """What was decided of some samples, and when."""

    decided: Numbers
    """(B,) classes, -1 for none."""
    steps: Numbers
    """(B,) the first step from which that stays as it is, or the time of the first spike."""
    right: Numbers
    """(B,) bools."""
    accuracy_by_step: tuple[float, ...]
    """The accuracy of what the steps up to each decide."""

    @property
    def spoke(self) -> Numbers:
        """(B,) whether anything was decided."""
        return self.decided >= 0

    @property
    def decision_step(self) -> float | None:
        """The mean step of decisions; None without one."""
        return _mean(self.steps[self.spoke])

    @property
    def right_step(self) -> float | None:
        """The mean step of right decisions; None without one."""
        return _mean(self.steps[self.spoke & self.right])


def _mean(steps: Numbers) -> float | None:
    return float(np.mean(steps, dtype=float)) if steps.size else None


def decisions(loss: Any, record: Any, labels: Numbers, layout: Layout) -> Decisions:
    """What a loss decides of a record, whose steps are read once; of times, at the first spike."""
    if isinstance(record, Times):
        decided = loss.predict(record)
        right = decided == labels
        return Decisions(decided, record.times.min(axis=-1), right, (float(right.mean()),))
    found = course(loss, record, layout)
    steps, decided = found.latencies()
    by_step = tuple(float(share) for share in found.tally(labels).value())
    return Decisions(decided, steps, decided == labels, by_step)


def _piece(spikes: Numbers | Events, lengths: Numbers | None, valid: Numbers | None) -> Piece:
    if isinstance(spikes, Events):  # float64 has every step, float32 only those below 2^24
        spikes = replace(spikes, time=spikes.time.astype(np.float64))
    return open_record(spikes, lengths=lengths, valid=valid)
