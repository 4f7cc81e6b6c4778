"""Numbers that describe a record (T, *B, N), dense or as events. NumPy only.

They count as `spikeloss.metrics` does, in exact integers.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeloss._open import open_record
from spikeloss._piece import Piece
from spikeloss.metrics._activity import fired
from spikeloss.metrics._anytime import latencies
from spikeloss.records import Events

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


def decision_steps(loss: Any, record: Numbers, lengths: Numbers | None = None) -> Numbers:
    """The first step, from 0, from which the anytime decision stays what it is at the end.

    The anytime decision at step t is what `loss` decides from the steps 0..t alone. A sample that
    has decided nothing at the end gets -1.
    """
    steps, decided = latencies(loss, record, {"lengths": lengths})
    return np.where(decided < 0, -1, steps.astype(int))


def _piece(spikes: Numbers | Events, lengths: Numbers | None, valid: Numbers | None) -> Piece:
    if isinstance(spikes, Events):  # float64 has every step, float32 only those below 2^24
        spikes = replace(spikes, time=spikes.time.astype(np.float64))
    return open_record(spikes, lengths=lengths, valid=valid)
