"""Readouts of single steps, of sums and of extremes."""

import math
from dataclasses import dataclass

from spikeloss import _door
from spikeloss._backend import constant, first_nonzero, like, log_softmax, namespace, numbered
from spikeloss._piece import Piece
from spikeloss._shapes import Array, Carry, Decision, Steps
from spikeloss._sums import Sum, added, sum_over_time

from ._base import Keeps, Readout


@dataclass(frozen=True)
class Decided(Readout):
    """z = x: the record (*B, C) is a decision already and has no time axis.

    For logits of a readout layer of your own, or of a network without time.

    >>> import numpy
    >>> Decided()(numpy.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    @property
    def timeless(self) -> bool:
        return True

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        x = _door.dense(piece, self).x
        return namespace(x).squeeze(x, axis=0), ()  # the derivative of x[0] is a padded copy

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return 0.0


@dataclass(frozen=True)
class EveryStep(Readout):
    """z_t = x_t: every step decides, and the loss is averaged over the valid steps.

    >>> import numpy
    >>> EveryStep()(numpy.array([[1.0, 0.0], [0.0, 1.0]]))
    array([[1., 0.],
           [0., 1.]])
    """

    @property
    def keeps(self) -> Keeps:
        return "time"

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        return _door.dense(piece, self).x, ()


@dataclass(frozen=True)
class SumOverTime(Readout):
    """z = sum_t x_t: the number of spikes of a record of spikes, the integral of a membrane.

    The count, in spikes, or in the units of the membrane times steps.

    >>> import numpy
    >>> SumOverTime()(numpy.array([[1, 0], [1, 1]]))
    array([2., 1.], dtype=float32)
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        total = added(carry, piece.total())
        return total.value, total

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return steps


@dataclass(frozen=True, kw_only=True)
class WeightedSum(Readout):
    """z = sum_t exp(-t / tau) x_t: early steps count more.

    Args:
        tau: above 0, in steps.

    Source: T. Nowotny, J. Turner and J. Knight, Loss shaping enhances exact gradient learning with
    EventProp in spiking neural networks (2022).

    >>> import numpy
    >>> WeightedSum(tau=1.0)(numpy.array([[1.0, 0.0], [0.0, 1.0]])).round(4)
    array([1.    , 0.3679])
    """

    tau: float

    def __post_init__(self) -> None:
        _door.option(self, "tau", _door.number, above=0.0)

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        total = added(carry, piece.total(lambda t: namespace(t).exp(-t / self.tau)))
        return total.value, total

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return (1 - math.e ** (-steps / self.tau)) / (1 - math.exp(-1 / self.tau))


@dataclass(frozen=True)
class MeanOverTime(Readout):
    """z = sum_t x_t / n: the firing rate, in spikes per step, or the mean membrane.

    >>> import numpy
    >>> MeanOverTime()(numpy.array([[1, 0], [1, 1]]))
    array([1. , 0.5], dtype=float32)
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        total = added(carry, piece.total())
        return total.value / piece.steps, total


@dataclass(frozen=True)
class Maximum(Readout):
    """z = max_t x_t: the highest membrane potential.

    The derivative goes to the first step that reaches the maximum, alone, in every library.

    Source: F. Zenke, SpyTorch (2019).

    >>> import numpy
    >>> Maximum()(numpy.array([[0.5, -2.0], [0.25, -1.0]]))
    array([ 0.5, -1. ])
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        top = _door.dense(piece, self).highest()
        if carry is not None:
            xp = namespace(top)
            top = xp.where((top <= carry) | xp.isnan(carry), carry, top)
        return top, top

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class LogSumExp(Readout):
    """z = log(sum_t exp(k x_t) / n) / k: near the maximum for large k, near the mean for small k.

    A smooth maximum: the derivative is exp(k x_t) / sum_s exp(k x_s), so that every step has its
    share.

    Args:
        sharpness: k, above 0, in 1 / units of the record.

    >>> import numpy
    >>> LogSumExp(sharpness=1.0)(numpy.log(numpy.array([[1.0, 2.0], [3.0, 2.0]]))).round(4)
    array([0.6931, 0.6931])
    """

    sharpness: float = 1.0

    def __post_init__(self) -> None:
        _door.option(self, "sharpness", _door.number, above=0.0)

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece = _door.dense(piece, self)
        x, xp = self.sharpness * piece.x, namespace(piece.x)
        if piece.valid is not None:
            x = xp.where(piece.valid, x, -xp.inf)
        top = constant(xp.max(x, axis=0))
        if carry is not None:
            before, total = carry
            top = xp.where(before > top, before, top)
        level = xp.where(xp.isinf(top), 0, top)
        new = sum_over_time(xp.exp(x - level), None, piece.decides)
        if carry is None:
            total = added(None, new)
        else:
            # What has come is scaled down to the new top.
            fade = xp.exp(xp.where(xp.isinf(before), 0, before - level))
            total = added(Sum(fade * total.value, fade * total.rest), new)
        none = total.value == 0
        z = xp.where(none, -xp.inf, level + xp.log(xp.where(none, 1, total.value)))
        return (z - xp.log(like(piece.steps, z))) / self.sharpness, (top, total)

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        xp = namespace(z)
        return xp.abs(z) + (1 + 2 * xp.log(like(steps, z))) / self.sharpness


@dataclass(frozen=True)
class CumulativeSoftmax(Readout):
    """z_c = sum_t softmax(x_t)_c: every step casts one vote, shared among the classes.

    Source: A. Bittar and P. Garner, A surrogate gradient spiking baseline for speech command
    recognition (2022).

    >>> import numpy
    >>> CumulativeSoftmax()(numpy.array([[0.0, 0.0], [2.0, 2.0]]))
    array([1., 1.])
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece = _door.dense(piece, self)
        votes = namespace(piece.x).exp(log_softmax(piece.x))
        total = added(carry, piece.summed(votes))
        return total.value, total

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None


@dataclass(frozen=True)
class LastStep(Readout):
    """z = x_(n-1): the record at the last valid step of each sample.

    >>> import numpy
    >>> LastStep()(numpy.array([[1.0, 0.0], [3.0, 4.0]]))
    array([3., 4.])
    """

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        last = _door.dense(piece, self).last()
        if carry is not None and piece.present is not None:
            last = namespace(last).where(piece.present, last, carry)
        return last, last

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class PeakWindow(Readout):
    """z = mean of x_s over `width` valid steps from argmax_t x_t on: the level of a peak.

    The window of a neuron begins at its first maximum, and is shorter where the record ends. The
    derivative goes to the steps of the window; where it lies has none.

    Args:
        width: in steps, 1 or more; with 1 it is the maximum.

    Source: Rockpool, `nn.losses.PeakLoss`, whose window counts the maximum again for every step
    that the record lacks.

    >>> import numpy
    >>> PeakWindow(width=2)(numpy.array([[1.0, 0.0], [4.0, 1.0], [2.0, 3.0]]))
    array([3., 3.])
    """

    width: int

    def __post_init__(self) -> None:
        _door.option(self, "width", _door.whole, low=1)

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece = _door.dense(piece, self)
        u, top, xp = piece.closed(), constant(piece.highest()), namespace(piece.x)
        none = xp.zeros_like(top)
        highest, total, held = (none - xp.inf, none, none) if carry is None else carry
        t = xp.astype(numbered(len(u), u), u.dtype)
        first = like(first_nonzero(xp.astype(u == top, u.dtype)), u)
        new = ~(top <= highest) & ~xp.isnan(highest)
        start = xp.where(new, first, 0)
        total, held = xp.where(new, 0, total), xp.where(new, 0, held)
        window = (t >= start) & (t < start + self.width - held) & (t < piece.end - piece.start)
        total = total + sum_over_time(u, window, piece.decides)
        held = held + xp.sum(xp.astype(window, u.dtype), axis=0)
        highest = xp.where(new, top, highest)
        z = xp.where(xp.isnan(highest), xp.nan, total / xp.where(held > 0, held, 1))
        return z, (highest, total, held)


@dataclass(frozen=True)
class WholeRecord(Readout):
    """z = x: the valid steps of each sample, for a criterion that sees all of them at once.

    They stand together at the front. Such a loss has no stream, and decides on no class.

    >>> import numpy
    >>> WholeRecord()(numpy.array([[1.0], [2.0], [3.0]]), valid=numpy.array([True, False, True])).T
    array([[1., 3., 0.]])
    """

    @property
    def keeps(self) -> Keeps:
        return "sequence"

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        return _door.dense(piece, self).closed(), ()
