"""What a decision says: which class, and whether that is right.

decision (*B, C) or its mean over time -> evidence (*B, C) -> class (*B)
"""

from typing import Any

from . import _door
from . import _shapes as shapes
from ._backend import as_array, checks_values, namespace, settled
from ._door import refuse, undecided
from ._piece import DIVERGED, Piece
from ._shapes import Array, Steps
from .parts import Totals, both
from .readouts import Decided, Outline
from .reductions import Mean

ROUNDINGS = 8
"""Units in the last place by which sums of the same numbers may differ, from 0 to 2 of them each
for terms, additions and divisions."""


def judged(loss: Any, z: Array, steps: Steps) -> shapes.Evidence:
    """The evidence of a decision or its mean over time; what ties with the best is the best."""
    if loss.criterion.of_sequence is None:  # of pairs of samples
        undecided(loss.criterion)
    evidence = loss.target.evidence(z, loss.readout)
    if loss.readout.timeless and loss.criterion.of_times:
        evidence = -evidence
    xp = namespace(evidence)
    best = xp.max(evidence, axis=-1, keepdims=True)
    return xp.where(evidence >= best - rounding(loss, best, steps), best, evidence)


def rounding(loss: Any, evidence: Array, steps: Steps) -> Array | float:
    """How much less evidence may be, and still tie with this one."""
    xp = namespace(evidence)
    size = loss.target.rounded(evidence, loss.readout, steps)
    tie = ROUNDINGS * xp.finfo(evidence.dtype).eps * size
    return tie if isinstance(size, float) else xp.where(xp.isfinite(evidence), tie, 0)


def classes(evidence: shapes.Evidence, spoke: Array) -> shapes.Classes:
    """The class of the largest evidence, -1 where the record is silent."""
    comparable(evidence)
    xp = namespace(evidence)
    return xp.where(spoke, xp.argmax(evidence, axis=-1), -1)


def comparable(evidence: Array) -> None:
    """A class cannot be chosen by comparing with nan."""
    if not checks_values(evidence):
        return
    evidence = settled(evidence)
    xp = namespace(evidence)
    if bool(xp.any(xp.isnan(evidence))):
        refuse("record", "a decision that can be compared", "nan", DIVERGED)


def sound(value: Array, evidence: shapes.Evidence, labels: Array | None = None) -> Array:
    """A number of each sample, nan where its evidence or label is wrong, and cannot be checked."""
    xp = namespace(evidence)
    value = xp.astype(value, evidence.dtype)
    if checks_values(evidence, *(() if labels is None else (labels,))):
        return value
    known = ~xp.any(xp.isnan(evidence), axis=-1)
    if labels is not None:
        known = known & (labels >= 0) & (labels < evidence.shape[-1])
    return xp.where(known, value, xp.nan)


def share(loss: Any, evidence: shapes.Evidence, spoke: Array, labels: Array, piece: Piece) -> Array:
    """The share of samples whose class is their label."""
    labels, counts = labelled(loss, labels, evidence, piece)
    right = sound(classes(evidence, spoke) == labels, evidence, labels)
    found = Mean().reduce(Totals(right, None, 1 if counts is None else counts))
    return as_array(found, evidence.dtype)


def labelled(
    loss: Any, labels: shapes.Classes, evidence: shapes.Evidence, piece: Piece
) -> tuple[shapes.Classes, Array | None]:
    """The labels, checked, and the samples that count, (*B); None: all."""
    ignore = loss.criterion.ignore_index
    labels = _door.beside_record("labels", labels, evidence)
    outline = Outline(Decided(), tuple(evidence.shape), piece)
    labels = _door.fit_labels(labels, outline, "labels", ignore=ignore)(labels, outline)
    counts = None if piece.counts is None else piece.counts[..., 0]
    return labels, both(counts, None if ignore is None else labels != ignore)
