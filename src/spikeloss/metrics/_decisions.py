"""What was decided, and whether it was right."""

from typing import Any, NamedTuple, TypeAlias, Unpack

from spikeloss import _door
from spikeloss import _shapes as shapes
from spikeloss._backend import accumulate, arange, log_softmax, namespace
from spikeloss._judge import classes, comparable, labelled, rounding, sound
from spikeloss._shapes import Array, Layout
from spikeloss._whole import evidence
from spikeloss.criteria import CrossEntropy
from spikeloss.loss import Loss, Total
from spikeloss.parts import Parts, both
from spikeloss.readouts import Readout

from ._tally import of_one, tally

BINS = 10**6
"""Of a calibration error, at most."""

Judge: TypeAlias = Readout | Loss | Total
"""What decides: a readout, or a loss, of which a sum the first."""


def accuracy(
    judge: Judge, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
) -> Array:
    """sum_b [c_b = y_b] / B, c the class decided for: the share of samples that are right, 0-d.

    What `Loss.accuracy` gives, for readouts too.

    Args:
        judge: a readout or a loss.
        record: (T, *B, N), as for a loss.
        labels: (*B) integers from 0 to C - 1.
        layout: `lengths`, `valid`, `time_axis`, `class_axis`, as for a loss.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.array([[[1, 0], [0, 0]], [[1, 1], [0, 0]]])  # the second sample is silent
    >>> float(accuracy(SumOverTime(), record, numpy.array([0, 0])))
    0.5
    """
    return tally_right(judge, record, labels, layout).value()


def top_k(
    judge: Judge,
    record: shapes.Record,
    labels: shapes.Classes,
    *,
    k: int,
    **layout: Unpack[Layout],
) -> Array:
    """sum_b [y_b among the k largest z_b] / B: the share of samples whose label is among k, 0-d.

    Of equal evidence the lower class comes first; k = 1 is the accuracy.

    Args:
        judge, record, labels, layout: as for `accuracy`.
        k: 1 or more; from C on every sample that is not silent is right.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.array([[[1, 1, 1, 0]]])
    >>> [float(top_k(SumOverTime(), record, numpy.array([2]), k=k)) for k in (2, 3)]
    [0.0, 1.0]
    """
    return tally_among(judge, record, labels, k, layout).value()


def confusion(
    judge: Judge, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
) -> Array:
    """m_(y c) = sum_b [y_b = y and c_b = c]: samples by label and decision, (C, C + 1) integers.

    Rows are labels, columns decisions. The last column, C, has the samples that are silent: to
    abstain is no class. The trace over the sum is the accuracy. Samples whose label is no class, or
    whose decision is nan, are not counted where that cannot be checked.

    Args:
        judge, record, labels, layout: as for `accuracy`.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.array([[[1, 0], [1, 0], [0, 0]]])
    >>> confusion(SumOverTime(), record, numpy.array([0, 1, 1]))
    array([[1, 0, 0],
           [1, 0, 1]])
    """
    return tabled(decision(judge, record, labels, layout))


def tabled(found: "Decision") -> Array:
    """Samples by label and decision, (C, C + 1)."""
    xp, size = namespace(found.labels), found.evidence.shape[-1]
    decided, label = found.decided, found.labels
    column = xp.where(decided < 0, size, decided)
    known = (label >= 0) & (label < size) & ~xp.any(xp.isnan(found.evidence), axis=-1)
    counts = both(known, found.counts)
    cells = size * (size + 1)
    cell = xp.reshape(xp.where(counts, label * (size + 1) + column, cells), (-1,))
    return xp.reshape(accumulate(xp.ones_like(cell), cell, cells), (size, size + 1))


def mean_iou(
    judge: Judge, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
) -> Array:
    """mean_c m_cc / (sum_k m_ck + sum_k m_kc - m_cc), m the confusion: overlap of regions, 0-d.

    The intersection of what is said to be of a class and what is, over their union, on average over
    the classes that occur. Of pixels, which are samples here, in one region of all images; those
    that are silent are missed.

    Args:
        judge, record, labels, layout: as for `accuracy`.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.array([[[1, 0], [1, 0], [0, 1]]])
    >>> float(mean_iou(SumOverTime(), record, numpy.array([0, 1, 1])))  # 1/2 and 1/2
    0.5
    """
    found = decision(judge, record, labels, layout)
    table = tabled(found)
    xp, size = namespace(table), table.shape[0]
    c = arange(size, table)
    hits = xp.sum(xp.where(c[:, None] == c[None, :], table[:, :size], 0), axis=1)
    union = xp.sum(table, axis=1) + xp.sum(table[:, :size], axis=0) - hits
    dtype = found.evidence.dtype
    share = xp.astype(hits, dtype) / xp.astype(xp.where(union > 0, union, 1), dtype)
    mean = of_one(xp.sum(share), xp.sum(xp.astype(union > 0, dtype))).value()
    (right,), _ = found.tally(found.right)  # nan where something is wrong
    return xp.where(xp.isnan(right), right, mean)


def calibration_error(
    judge: Judge,
    record: shapes.Record,
    labels: shapes.Classes,
    *,
    bins: int = 15,
    **layout: Unpack[Layout],
) -> Array:
    """sum_m |sum_(b in m) [c_b = y_b] - p_b| / B, p = max softmax(z): how far from its confidence.

    The expected calibration error: samples are sorted by their confidence p into bins of equal
    width, (0, 1/M], ... ((M - 1)/M, 1], and in each the accuracy is compared with the mean
    confidence. A silent sample is wrong with the confidence of its softmax, usually 1 / C.
    `readouts.Temperature` around the readout softens or sharpens its confidence.

    Args:
        judge, record, labels, layout: as for `accuracy`.
        bins: M, from 1 to 10^6.

    Source: C. Guo et al., On calibration of modern neural networks (2017).

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.log(numpy.array([[[3.0, 1.0], [3.0, 1.0]]]))  # both sure at 3/4, one right
    >>> round(float(calibration_error(SumOverTime(), record, numpy.array([0, 1]))), 6)
    0.25
    """
    (gaps,), (count,) = tally_gaps(judge, record, labels, bins, layout)
    xp = namespace(gaps)
    return of_one(xp.sum(xp.abs(gaps)), count).value()


class Decision(NamedTuple):
    """Of every sample, what the record says of its class, and what the label says."""

    evidence: shapes.Evidence
    """(*B, C), or (T, *B, C)."""
    spoke: Array
    """(*B), or (T, *B)."""
    labels: Array
    """(*B)"""
    counts: Array | None
    """(*B); None: all."""

    @property
    def decided(self) -> Array:
        """The class, -1 where the record is silent: (*B), or (T, *B)."""
        return classes(self.evidence, self.spoke)

    @property
    def right(self) -> Array:
        """(*B), or (T, *B)."""
        return self.decided == self.labels

    def tally(self, right: Array) -> Parts:
        """The samples that are right."""
        value = sound(right, self.evidence, self.labels)
        return tally(value, self.counts, right.ndim - self.labels.ndim)


def decision(judge: Judge, record: Any, labels: Any, layout: Layout) -> Decision:
    """What the judge decides for every sample."""
    loss = loss_of(judge)
    z, spoke, piece = evidence(loss, record, **layout)
    return Decision(z, spoke, *labelled(loss, labels, z, piece))


def loss_of(judge: Judge) -> Loss:
    """A loss that decides as the judge does."""
    if isinstance(judge, (Loss, Total)):
        return judge.main
    return Loss(_door.stage("judge", judge, Readout, "readouts.SumOverTime()"), CrossEntropy())


def tally_right(judge: Judge, record: Any, labels: Any, layout: Layout) -> Parts:
    """Samples that are right."""
    found = decision(judge, record, labels, layout)
    return found.tally(found.right)


def tally_among(judge: Judge, record: Any, labels: Any, k: int, layout: Layout) -> Parts:
    """Samples whose label is among the k largest."""
    k = _door.integer("k", k, low=1)
    loss = loss_of(judge)
    z, spoke, piece = evidence(loss, record, **layout)
    found, xp = Decision(z, spoke, *labelled(loss, labels, z, piece)), namespace(z)
    label = found.labels[..., None]
    comparable(z)
    c = arange(z.shape[-1], z)
    here = c == label
    own = xp.sum(xp.where(here, z, 0), axis=-1, keepdims=True)
    tie = rounding(loss, own, piece.steps)
    ahead = (z > own + tie) | ((z >= own - tie) & (c < label))
    rank = xp.sum(xp.astype(ahead, c.dtype), axis=-1)
    return found.tally((rank < k) & xp.any(here, axis=-1) & found.spoke)


def tally_gaps(judge: Judge, record: Any, labels: Any, bins: int, layout: Layout) -> Parts:
    """sum [c = y] - p of the samples of each bin, (M,)."""
    bins = _door.integer("bins", bins, low=1, high=BINS)
    found = decision(judge, record, labels, layout)
    z, xp = found.evidence, namespace(found.evidence)
    confidence = xp.exp(xp.max(log_softmax(z), axis=-1))
    index = arange(bins, z)
    edges = xp.astype(index[1:], z.dtype) / bins * (1 + 1e-6)  # 1 / C is below m / M = 1 / C
    place = xp.sum(xp.astype(confidence[..., None] > edges, index.dtype), axis=-1)
    gap = sound(found.right, z, found.labels) - confidence
    if found.counts is not None:
        place = xp.where(found.counts, place, bins)
    gaps = accumulate(xp.reshape(gap, (-1,)), xp.reshape(place, (-1,)), bins)
    return of_one(gaps, tally(gap, found.counts).denominator[0])
