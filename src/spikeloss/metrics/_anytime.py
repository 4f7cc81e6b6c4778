"""What was decided after each step, and when that became final."""

import math
from typing import Any, NamedTuple, Unpack

from spikeloss import _shapes as shapes
from spikeloss._backend import as_array, first_nonzero, namespace, numbered, running_sum
from spikeloss._door import refuse
from spikeloss._judge import classes, judged, labelled, sound
from spikeloss._open import open_record
from spikeloss._piece import Dense, every_step
from spikeloss._plan import layers_of
from spikeloss._shapes import Array, Carry, Layout
from spikeloss.loss import Loss
from spikeloss.parts import Parts
from spikeloss.readouts import Readout

from ._decisions import Decision, Judge, loss_of
from ._tally import tally


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
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.array([[[0, 0], [0, 1]], [[1, 0], [1, 0]], [[1, 0], [1, 0]]])
    >>> anytime_accuracy(SumOverTime(), record, numpy.array([0, 0]))
    array([0., 1., 1.], dtype=float32)
    """
    return course(judge, record, layout).tally(labels).value()


def anytime_area(
    judge: Judge, record: shapes.Record, labels: shapes.Classes, **layout: Unpack[Layout]
) -> Array:
    """sum_t a_t / T: the mean of the anytime accuracy over the steps of the record, 0-d.

    1 for a network that is right from the first step on: it rewards being right and being early.

    Args:
        judge, record, labels, layout: as for `anytime_accuracy`.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.array([[[0, 0]], [[1, 0]], [[1, 0]], [[0, 1]]])
    >>> float(anytime_area(SumOverTime(), record, numpy.array([0])))
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
    >>> from spikeloss.readouts import SumOverTime
    >>> record = numpy.array([[[0, 1], [0, 0]], [[1, 0], [0, 0]], [[1, 0], [0, 0]]])
    >>> float(decision_latency(SumOverTime(), record))  # from the tie on; the other is silent
    1.0
    """
    steps, decided = course(judge, record, layout).latencies()
    return tally(steps, decided >= 0).value()


class Course(NamedTuple):
    """What a record says after each of its steps."""

    loss: Loss
    piece: Dense
    evidence: Array
    """(T, *B, C)"""
    spoke: Array
    """(T, *B)"""

    def tally(self, labels: Any) -> Parts:
        """Samples that are right after each step, (T,)."""
        known = labelled(self.loss, labels, self.evidence[-1, ...], self.piece)
        found = Decision(self.evidence, self.spoke, *known)
        return found.tally(found.right)

    def latencies(self) -> tuple[Array, Array]:
        """The valid steps of every sample before its decision was final, and that decision."""
        decided, xp = classes(self.evidence, self.spoke), namespace(self.evidence)
        t = numbered(decided.shape[0], decided)
        final = xp.max(xp.where(decided != decided[-1, ...], t + 1, 0), axis=0)
        before = t < final
        if self.piece.valid is not None:
            before = before & self.piece.valid[..., 0]
        steps = xp.sum(xp.astype(before, self.evidence.dtype), axis=0)
        return sound(steps, xp.max(self.evidence, axis=0)), decided[-1, ...]


def course(judge: Judge, record: Any, layout: Layout) -> Course:
    """What a record says after each step, read once."""
    loss, piece = _timed(judge, record, layout)
    return Course(loss, piece, *_anytime(loss, piece))


def _timed(judge: Judge, record: Any, layout: Layout) -> tuple[Loss, Dense]:
    """What decides, and a record of every step."""
    loss = loss_of(judge)
    if loss.readout.timeless:
        rule, got = "a readout of a record with time", type(loss.readout).__name__
        refuse("judge", rule, got, "Read with readouts.EveryStep().", TypeError)
    if loss.readout.couples:
        rule, got = "a readout that reads each sample by itself", type(loss.readout).__name__
        refuse("judge", rule, got, "Cut the record yourself, at each step.", TypeError)
    (layer,) = layers_of(loss, record, several=False)
    record = record if layer is None else record[layer]
    return loss, every_step(open_record(record, **layout), loss.readout)


def _anytime(loss: Loss, piece: Dense) -> tuple[Array, Array]:
    """What every step and those before say: the evidence (T, *B, C); who spoke (T, *B)."""
    xp, x, readout = namespace(piece.x), piece.x, loss.readout
    active = xp.astype(xp.any(x != 0, axis=-1), x.dtype)
    t = numbered(x.shape[0], active)
    spoke = t >= first_nonzero(active)
    if readout.keeps != "time":
        return judged(loss, _prefixes(readout, piece), t[..., None] + 1), spoke
    z, _ = readout.read(piece, None)
    if piece.valid is None:
        steps = t[..., None] + 1
    else:
        z, steps = xp.where(piece.valid, z, 0), running_sum(xp.astype(piece.valid, t.dtype))
    steps = xp.astype(xp.where(steps > 0, steps, 1), z.dtype)
    return judged(loss, running_sum(z) / steps, steps), spoke


def _prefixes(readout: Readout, piece: Dense) -> Array:
    """The decisions (T, *B, C), or (F, T, *B, C), of the record cut after each of its steps.

    K = sqrt(T) steps at a time, K samples stand for each: the one ends after the first of these
    steps, the next after the second. All go on from the whole of the steps before.
    """
    x, xp, valid = piece.x, namespace(piece.x), piece.valid
    if valid is None:
        valid = xp.ones_like(x[..., :1], dtype=xp.bool)
    count, size = x.shape[0], math.isqrt(x.shape[0] - 1) + 1
    copy = numbered(size, x)
    steps = copy[:, None, ...]
    start = xp.zeros_like(_copies(valid[:1, ...], size)[0, ...], dtype=copy.dtype)
    carry: Carry = None
    found = []
    for first in range(0, count, size):
        end = min(first + size, count)
        here = _copies(x[first:end, ...], size)
        whole = _copies(valid[first:end, ...], size)
        cut = whole & (steps[: end - first, ...] <= copy)
        kept = xp.where(cut, here, 0)
        found.append(readout.read(_piece(kept, cut, start, piece), carry)[0])
        if first + size < count:
            full = _piece(here, whole, start, piece)
            _, carry = readout.read(full, carry)
            start = full.end
    if readout.keeps == "spikes":
        return xp.concat(found, axis=1)[:, :count, ...]
    return xp.concat(found)[:count, ...]


def _copies(x: Array, count: int) -> Array:
    """Every step `count` times, along a second axis."""
    return namespace(x).broadcast_to(x[:, None, ...], (x.shape[0], count, *x.shape[1:]))


def _piece(x: Array, valid: Array, start: Array, like: Dense) -> Dense:
    """Some steps after others, of a record such as `like`."""
    return Dense(x, like.dtype, start=start, mask=valid, part=True, decides=True)
