"""Metrics: what a network decided and when, and what that cost. Numbers to report, not to minimise.

Pure functions of a record (T, *B, N), for torch, JAX and NumPy arrays alike, under `jax.jit` too;
they take what a loss takes: events, packed spikes, lengths, masks, axes of your own. A spike is any
entry that is not zero. Metrics of decisions take a readout or a loss, and decide as `Loss.predict`
does: a tie goes to the lowest class, and a sample whose record is silent has decided nothing and is
wrong, whatever its label. Samples whose label is the `ignore_index` of the loss are left out; with
no sample left a mean is nan. Nothing here has a useful derivative.

Means add up over samples. For batches, one after the other or on several devices, keep the sums:
`spikeloss.torch` does that for torchmetrics.
"""

import math
from typing import Any, NamedTuple, TypeAlias, Unpack

from . import _door
from . import _shapes as shapes
from ._backend import (
    accumulate,
    arange,
    as_array,
    first_nonzero,
    log_softmax,
    namespace,
    running_sum,
)
from ._door import refuse
from ._piece import Dense, Piece, Sparse
from ._shapes import Array, Carry, Layout, Steps
from ._steps import both
from .criteria import CrossEntropy
from .loss import Loss, Total
from .readouts import Count, Reading, Readout
from .records import Packed

Judge: TypeAlias = Readout | Loss | Total
"""What decides: a readout, or a loss, of which a sum the first."""


# Decisions


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
    >>> record = numpy.array([[[1, 0], [0, 0]], [[1, 1], [0, 0]]])  # the second sample is silent
    >>> float(accuracy(Count(), record, numpy.array([0, 0])))
    0.5
    """
    return _right(judge, record, labels, layout).mean()


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
    >>> record = numpy.array([[[1, 1, 1, 0]]])
    >>> [float(top_k(Count(), record, numpy.array([2]), k=k)) for k in (2, 3)]
    [0.0, 1.0]
    """
    return _among(judge, record, labels, k, layout).mean()


def confusion(
    judge: Judge, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
) -> Array:
    """m_(y c) = sum_b [y_b = y and c_b = c]: samples by label and decision, (C, C + 1) integers.

    Rows are labels, columns decisions. The last column, C, has the samples that are silent: to
    abstain is no class. The trace over the sum is the accuracy.

    Args:
        judge, record, labels, layout: as for `accuracy`.

    >>> import numpy
    >>> record = numpy.array([[[1, 0], [1, 0], [0, 0]]])
    >>> confusion(Count(), record, numpy.array([0, 1, 1]))
    array([[1, 0, 0],
           [1, 0, 1]])
    """
    found = _decided(judge, record, labels, layout)
    xp, classes = namespace(found.labels), found.evidence.shape[-1]
    decided, label = Loss.classes(found.evidence, found.spoke), found.labels
    column = xp.where(decided < 0, classes, decided)
    counts = both((label >= 0) & (label < classes), found.kept)
    size = classes * (classes + 1)
    cell = xp.reshape(xp.where(counts, label * (classes + 1) + column, size), (-1,))
    return xp.reshape(accumulate(xp.ones_like(cell), cell, size), (classes, classes + 1))


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
        bins: M, 1 or more.

    Source: C. Guo et al., On calibration of modern neural networks (2017).

    >>> import numpy
    >>> record = numpy.log(numpy.array([[[3.0, 1.0], [3.0, 1.0]]]))  # both sure at 3/4, one right
    >>> round(float(calibration_error(Count(), record, numpy.array([0, 1]))), 6)
    0.25
    """
    gaps, count = _gaps(judge, record, labels, bins, layout)
    xp = namespace(gaps)
    return Tally(xp.sum(xp.abs(gaps)), count).mean()


# Decisions over time


def anytime_accuracy(
    judge: Judge, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
) -> Array:
    """a_t = sum_b [c_b(t) = y_b] / B: the accuracy of what steps 0 to t alone decide, (T,).

    As if the record were cut after each step, lengths cut with it. A sample that has ended keeps
    its decision; one that has not begun has none. Events must be dense here.

    Readouts that keep time are read once. The others go over the record once too, sqrt(T) steps at
    a time, each time with all sqrt(T) ends in one array that is as large as the record: every
    readout of `readouts`, and of your own, works, at the cost of 2 sqrt(T) readings.

    Args:
        judge, record, labels, layout: as for `accuracy`.

    Raises:
        TypeError: for a readout without time, and for events.

    >>> import numpy
    >>> record = numpy.array([[[0, 0], [0, 1]], [[1, 0], [1, 0]], [[1, 0], [1, 0]]])
    >>> anytime_accuracy(Count(), record, numpy.array([0, 0]))
    array([0., 1., 1.], dtype=float32)
    """
    return _anytime_right(judge, record, labels, layout).mean()


def anytime_area(
    judge: Judge, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
) -> Array:
    """sum_t a_t / T: the mean of the anytime accuracy over the steps of the record, 0-d.

    1 for a network that is right from the first step on: it rewards being right and being early.

    Args:
        judge, record, labels, layout: as for `anytime_accuracy`.

    >>> import numpy
    >>> record = numpy.array([[[0, 0]], [[1, 0]], [[1, 0]], [[0, 1]]])
    >>> float(anytime_area(Count(), record, numpy.array([0])))
    0.75
    """
    curve = anytime_accuracy(judge, record, labels, **layout)
    return as_array(namespace(curve).mean(curve), curve.dtype)


def decision_latency(judge: Judge, record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_b min{t: c_b(s) = c_b(n-1) for s >= t} / B: when decisions became final, in steps, 0-d.

    c(t) is what the valid steps 0 to t alone decide; steps count from 0, and those that are not
    valid do not count. The mean is over the B samples that decide at all.

    Args:
        judge, record, layout: as for `anytime_accuracy`.

    >>> import numpy
    >>> record = numpy.array([[[0, 1], [0, 0]], [[1, 0], [0, 0]], [[1, 0], [0, 0]]])
    >>> float(decision_latency(Count(), record))  # from the tie on; the other sample is silent
    1.0
    """
    return _latency(judge, record, layout).mean()


# Activity


def spikes_per_sample(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_(b t i) [x_tbi != 0] / B: the spikes of all neurons in a sample, 0-d.

    Args:
        record: (T, *B, N), events or packed spikes. All axes but the first and the last are
            samples: flatten a layer of several axes, `record.reshape(T, B, -1)`.
        layout: `lengths`, `valid`, `time_axis`, `class_axis`, as for a loss.

    >>> import numpy
    >>> float(spikes_per_sample(numpy.array([[[1, 1], [0, 1]], [[1, 1], [0, 0]]])))
    2.5
    """
    return _operations(record, 1.0, layout).mean()


def synaptic_operations(record: shapes.Record, fan_out: Any, **layout: Unpack[Layout]) -> Array:
    """sum_(b t i) f_i [x_tbi != 0] / B: the synaptic updates that a sample's spikes cause, 0-d.

    The usual proxy of the energy of event-driven hardware. For a network add up its layers.

    Args:
        record, layout: as for `spikes_per_sample`; the spikes of the sending layer.
        fan_out: f, synapses that leave a neuron: a number, or an array (N,).

    Source: M. Sorbaro et al., Optimizing the energy consumption of spiking neural networks for
    neuromorphic applications (2020).

    >>> import numpy
    >>> record = numpy.array([[[1, 1], [0, 1]], [[1, 1], [0, 0]]])
    >>> float(synaptic_operations(record, [10, 1]))
    11.5
    """
    return _operations(record, fan_out, layout).mean()


def firing_rates(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """r_i = sum_(b t) [x_tbi != 0] / sum_b n_b: spikes of each neuron per valid step, (N,).

    Long samples weigh more than short ones, by their steps.

    Args:
        record, layout: as for `spikes_per_sample`.

    >>> import numpy
    >>> firing_rates(numpy.array([[[1, 0], [0, 0]], [[1, 1], [0, 0]]]))
    array([0.5 , 0.25], dtype=float32)
    """
    counts, steps, _, dtype = _activity(record, layout)
    xp, neurons = namespace(counts), counts.shape[-1]
    total = xp.sum(xp.reshape(counts, (-1, neurons)), axis=0)
    if isinstance(steps, int):
        count: Any = steps * math.prod(counts.shape[:-1])
    else:
        count = xp.sum(steps)
    return Tally(xp.astype(total, dtype), count).mean()


def rate_histogram(record: shapes.Record, *, bins: int = 10, **layout: Unpack[Layout]) -> Array:
    """h_m = sum_(b i) [m/M <= r_bi < (m + 1)/M]: pairs of sample and neuron by their rate, (M,).

    r_bi is the spikes of neuron i per valid step of sample b. The last bin has r = 1 too. Integers,
    exact, and to be added up over batches.

    Args:
        record, layout: as for `spikes_per_sample`.
        bins: M, 1 or more.

    >>> import numpy
    >>> rate_histogram(numpy.array([[[1, 0, 0]], [[1, 1, 0]]]), bins=2)
    array([1, 2])
    """
    bins = _door.whole("bins", bins, low=1)
    counts, steps, kept, _ = _activity(record, layout)
    xp = namespace(counts)
    if kept is not None:
        steps = xp.where(kept, steps, 1)
    place = counts * bins // steps
    place = xp.where(place < bins, place, bins - 1)
    if kept is not None:
        place = xp.where(kept, place, bins)
    place = xp.reshape(place, (-1,))
    return accumulate(xp.ones_like(place), place, bins)


def silent_fraction(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_(b i) [k_bi = 0] / (B N), k the spikes: pairs of sample and neuron without a spike, 0-d.

    Silent neurons learn from few objectives; a share that grows in training is a warning.

    Args:
        record, layout: as for `spikes_per_sample`.

    >>> import numpy
    >>> float(silent_fraction(numpy.array([[[1, 0, 0, 0]], [[1, 1, 0, 0]]])))
    0.5
    """
    counts, _, kept, dtype = _activity(record, layout)
    return _tally(namespace(counts).astype(counts == 0, dtype), kept).mean()


def saturated_fraction(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_(b i) [k_bi = n_b] / (B N), k the spikes: pairs that fire at every valid step, 0-d.

    A neuron that always fires says as little as one that never does.

    Args:
        record, layout: as for `spikes_per_sample`.

    >>> import numpy
    >>> float(saturated_fraction(numpy.array([[[1, 0, 0, 0]], [[1, 1, 0, 0]]])))
    0.25
    """
    counts, steps, kept, dtype = _activity(record, layout)
    return _tally(namespace(counts).astype(counts == steps, dtype), kept).mean()


# Sums, which add up over batches


class Tally(NamedTuple):
    """A sum over samples, or several, and how many samples it has: of a mean, both its parts."""

    total: Array
    count: Any

    def mean(self) -> Array:
        """The mean; nan where there is no sample."""
        xp, count = namespace(self.total), self.count
        if isinstance(count, int):
            return as_array(self.total / (count or math.nan), self.total.dtype)
        count = xp.where(count == 0, xp.nan, xp.astype(count, self.total.dtype))
        return as_array(self.total / count, self.total.dtype)


def _tally(value: Array, kept: Array | None, lead: int = 0) -> Tally:
    """Sums over all axes but the first `lead`; `kept` broadcasts against the others."""
    xp, each = namespace(value), tuple(value.shape[lead:])
    if kept is None:
        count: Any = math.prod(each)
    else:
        value = xp.where(kept, value, 0)
        count = xp.sum(xp.astype(xp.broadcast_to(kept, each), arange(0, value).dtype))
    flat = xp.reshape(value, (*value.shape[:lead], math.prod(each)))
    return Tally(xp.sum(flat, axis=-1), count)


class _Decision(NamedTuple):
    """Of every sample, what the record says of its class, and what the label says."""

    evidence: shapes.Evidence
    spoke: Array
    """(*B)"""
    labels: Array
    """(*B)"""
    kept: Array | None
    """(*B); None: all."""

    @property
    def right(self) -> Array:
        """(*B), or (T, *B)."""
        return Loss.classes(self.evidence, self.spoke) == self.labels

    def tally(self, right: Array) -> Tally:
        """The samples that are right."""
        value = namespace(self.evidence).astype(right, self.evidence.dtype)
        return _tally(value, self.kept, right.ndim - self.labels.ndim)


def _right(judge: Judge, record: Any, labels: Any, layout: Layout) -> Tally:
    found = _decided(judge, record, labels, layout)
    return found.tally(found.right)


def _among(judge: Judge, record: Any, labels: Any, k: int, layout: Layout) -> Tally:
    k = _door.whole("k", k, low=1)
    found = _decided(judge, record, labels, layout)
    z, xp, label = found.evidence, namespace(found.evidence), found.labels[..., None]
    _door.comparable(z)
    c = arange(z.shape[-1], z)
    here = c == label
    own = xp.sum(xp.where(here, z, 0), axis=-1, keepdims=True)
    ahead = (z > own) | ((z == own) & (c < label))
    rank = xp.sum(xp.astype(ahead, c.dtype), axis=-1)
    return found.tally((rank < k) & xp.any(here, axis=-1) & found.spoke)


def _gaps(judge: Judge, record: Any, labels: Any, bins: int, layout: Layout) -> Tally:
    """sum [c = y] - p of the samples of each bin, (M,)."""
    bins = _door.whole("bins", bins, low=1)
    found = _decided(judge, record, labels, layout)
    z, xp = found.evidence, namespace(found.evidence)
    confidence = xp.exp(xp.max(log_softmax(z), axis=-1))
    index = arange(bins, z)
    edges = xp.astype(index[1:], z.dtype) / bins * (1 + 1e-6)  # 1 / C is below m / M = 1 / C
    place = xp.sum(xp.astype(confidence[..., None] > edges, index.dtype), axis=-1)
    gap = xp.astype(found.right, z.dtype) - confidence
    if found.kept is not None:
        place = xp.where(found.kept, place, bins)
    gaps = accumulate(xp.reshape(gap, (-1,)), xp.reshape(place, (-1,)), bins)
    return Tally(gaps, _tally(gap, found.kept).count)


def _anytime_right(judge: Judge, record: Any, labels: Any, layout: Layout) -> Tally:
    loss, piece = _timed(judge, record, layout)
    evidence, spoke = _anytime(loss.readout, piece)
    label, kept = _labelled(loss, evidence[-1], piece, labels)
    found = _Decision(evidence, spoke, label, kept)
    return found.tally(found.right)


def _latency(judge: Judge, record: Any, layout: Layout) -> Tally:
    loss, piece = _timed(judge, record, layout)
    evidence, spoke = _anytime(loss.readout, piece)
    decided, xp = Loss.classes(evidence, spoke), namespace(evidence)
    # The valid steps up to the last that decides otherwise than the end.
    t = xp.reshape(arange(len(decided), decided), (-1,) + (1,) * (decided.ndim - 1))
    final = xp.max(xp.where(decided != decided[-1], t + 1, 0), axis=0)
    before = t < final
    if piece.valid is not None:
        before = before & piece.valid[..., 0]
    latency = xp.sum(xp.astype(before, evidence.dtype), axis=0)
    return _tally(latency, decided[-1] >= 0)


def _operations(record: Any, fan_out: Any, layout: Layout) -> Tally:
    counts, _, kept, dtype = _activity(record, layout)
    xp = namespace(counts)
    counts = xp.astype(counts, dtype)
    weight = _door.beside_record("fan_out", fan_out, counts)
    if tuple(weight.shape) not in ((), tuple(counts.shape[-1:])):
        rule = f"a number, or {counts.shape[-1]}, one per neuron"
        refuse("fan_out", rule, f"shape {tuple(weight.shape)}", "Pass one number per neuron.")
    each = xp.sum(counts * xp.astype(weight, dtype), axis=-1)
    return _tally(each, None if kept is None else kept[..., 0])


# What the record says


def _loss(judge: Judge) -> Loss:
    """A loss that decides as the judge does."""
    if isinstance(judge, Loss):
        return judge
    if isinstance(judge, Total):
        return judge.terms[0][1]
    return Loss(_door.stage("judge", judge, Readout, "readouts.Count()"), CrossEntropy())


def _decided(judge: Judge, record: Any, labels: Any, layout: Layout) -> _Decision:
    loss = _loss(judge)
    piece: Piece
    if isinstance(record, Packed):
        stream = loss._over(record, **layout)
        state = stream._begun()
        evidence, spoke, piece = stream.fold._evidence(state), state.spoke, state.piece
    else:
        piece = _door.open_record(record, timeless=loss.readout.timeless, **layout)
        evidence, spoke = loss._evidence(piece), piece.spoke()
    return _Decision(evidence, spoke, *_labelled(loss, evidence, piece, labels))


def _labelled(loss: Loss, evidence: Array, piece: Piece, labels: Any) -> tuple[Array, Array | None]:
    """The labels (*B), and the samples that count."""
    ignore = loss.criterion.ignore_index
    labels = _door.class_labels(
        labels, Reading(evidence, None, piece.steps, None), ignore, "labels"
    )
    kept = None if piece.kept is None else piece.kept[..., 0]
    return labels, both(kept, None if ignore is None else labels != ignore)


def _timed(judge: Judge, record: Any, layout: Layout) -> tuple[Loss, Dense]:
    """A record of every step."""
    loss = _loss(judge)
    if loss.readout.timeless:
        rule, got = "a readout of a record with time", type(loss.readout).__name__
        refuse("judge", rule, got, "Read with readouts.EveryStep().", TypeError)
    return loss, _door.dense(_door.open_record(record, **layout), loss.readout)


def _anytime(readout: Readout, piece: Dense) -> tuple[Array, Array]:
    """What every step and those before say: the evidence (T, *B, C); who spoke (T, *B)."""
    xp, x = namespace(piece.x), piece.x
    active = xp.astype(xp.any(x != 0, axis=-1), x.dtype)
    t = xp.reshape(arange(len(x), x), (-1,) + (1,) * (x.ndim - 2))
    spoke = t >= first_nonzero(active)
    if readout.keeps != "time":
        return readout.evidence(_prefixes(readout, piece)), spoke
    z, _ = readout.read(piece, None)
    if piece.valid is None:
        steps = t[..., None] + 1
    else:
        z, steps = xp.where(piece.valid, z, 0), running_sum(xp.astype(piece.valid, t.dtype))
    steps = xp.astype(xp.where(steps > 0, steps, 1), z.dtype)
    return readout.evidence(running_sum(z) / steps), spoke


def _prefixes(readout: Readout, piece: Dense) -> Array:
    """The decisions (T, *B, C), or (F, T, *B, C), of the record cut after each of its steps.

    K = sqrt(T) steps at a time, K samples stand for each: the one ends after the first of these
    steps, the next after the second. All go on from the whole of the steps before.
    """
    x, xp, valid = piece.x, namespace(piece.x), piece.valid
    if valid is None:
        valid = xp.ones_like(x[..., :1], dtype=xp.bool)
    count, size = len(x), math.isqrt(len(x) - 1) + 1
    index = arange(size, x)
    steps, copy = (xp.reshape(index, place + (1,) * (x.ndim - 1)) for place in ((-1, 1), (1, -1)))
    start = xp.zeros_like(xp.broadcast_to(valid[:1], (size, *valid.shape[1:])), dtype=index.dtype)
    carry: Carry = None
    found = []
    for first in range(0, count, size):
        here = _copies(x[first : first + size], size)
        whole = _copies(valid[first : first + size], size)
        cut = whole & (steps[: len(here)] <= copy)
        kept = xp.where(cut, here, 0)
        found.append(readout.read(_piece(kept, cut, start, piece), carry)[0])
        if first + size < count:
            full = _piece(here, whole, start, piece)
            _, carry = readout.read(full, carry)
            start = full.end
    if readout.keeps == "spikes":
        return xp.concat(found, axis=1)[:, :count]
    return xp.concat(found)[:count]


def _copies(x: Array, count: int) -> Array:
    """Every step `count` times, along a second axis."""
    return namespace(x).broadcast_to(x[:, None], (len(x), count, *x.shape[1:]))


def _piece(x: Array, valid: Array, start: Array, like: Dense) -> Dense:
    """Some steps after others, of a record such as `like`."""
    xp = namespace(valid)
    end = start + xp.sum(xp.astype(valid, start.dtype), axis=0)
    return Dense(x, valid, start, end, like.dtype, like.gaps)


class _Activity(NamedTuple):
    """How often neurons fire."""

    counts: Array
    """(*B, N) integers."""
    steps: Steps
    """The valid steps of each sample, (*B, 1) or an int for all."""
    kept: Array | None
    """(*B, 1); None: all."""
    dtype: Any
    """Of the result."""


def _activity(record: Any, layout: Layout) -> _Activity:
    if isinstance(record, Packed):  # its entries are 0 and 1
        state = Loss(Count(), CrossEntropy())._over(record, **layout)._begun()
        counts, xp = state.terms[0].z, namespace(state.terms[0].z)
        integers = xp.astype(counts, arange(0, counts).dtype)
        return _Activity(integers, state.end, state.piece.kept, counts.dtype)
    piece = _door.open_record(record, **layout)
    _door.spikes(piece)
    counts = _spikes_of_events(piece) if isinstance(piece, Sparse) else _spikes(piece)
    return _Activity(counts, piece.end, piece.kept, piece.values.dtype)


def _spikes(piece: Dense) -> Array:
    xp, x = namespace(piece.x), piece.x
    return xp.sum(xp.astype(x != 0, xp.int32), axis=0, dtype=arange(0, x).dtype)


def _spikes_of_events(piece: Sparse) -> Array:
    """Events of one neuron and step are one entry of the record, the sum of their amplitudes."""
    xp, cells, events = namespace(piece.time), math.prod(piece.shape), len(piece.time)
    order = xp.argsort(piece.time, stable=True)
    order = order[xp.argsort(piece.cell[order], stable=True)]
    step, cell = xp.floor(piece.time[order]), piece.cell[order]
    new = (step[1:] != step[:-1]) | (cell[1:] != cell[:-1])
    new = xp.concat([xp.ones_like(step[:1], dtype=xp.bool), new])
    entry = running_sum(xp.astype(new, cell.dtype)) - 1
    amplitude = accumulate(piece.amplitude[order], entry, events)[entry]
    fired = xp.astype(new & (amplitude != 0), cell.dtype)
    return xp.reshape(accumulate(fired, cell, cells), piece.shape)
