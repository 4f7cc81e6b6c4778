"""Readouts of single steps, of sums and of extremes."""

import math
from dataclasses import dataclass, field
from typing import Literal

from spikeloss.extend import (
    Array,
    Carry,
    Decision,
    Piece,
    Steps,
    Sum,
    choice,
    constant,
    every_step,
    exponential,
    first_nonzero,
    integer,
    like,
    namespace,
    number,
    numbered,
    plus,
    present,
    renewed,
    softmax,
    sum_over_time,
)

from ._base import Keeps, Readout, Summary


@dataclass(frozen=True)
class Decided(Summary):
    """z = x: the record (*B, C) is a decision already and has no time axis.

    For logits of a readout layer of your own, or of a network without time.

    >>> import numpy
    >>> Decided()(numpy.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    @property
    def timeless(self) -> bool:
        return True

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        x = every_step(piece, self).raw
        return namespace(x).squeeze(x, axis=0)  # the derivative of x[0] is a padded copy

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry

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
        return every_step(piece, self).raw, ()

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return ()


@dataclass(frozen=True)
class SumOverTime(Summary):
    """z = sum_t x_t: the number of spikes of a record of spikes, the integral of a membrane.

    The count, in spikes, or in the units of the membrane times steps.

    >>> import numpy
    >>> SumOverTime()(numpy.array([[1, 0], [1, 1]]))
    array([2., 1.], dtype=float32)
    """

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        return plus(carry, piece.sum())

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry.value

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return earlier.plus(later)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return steps


@dataclass(frozen=True, kw_only=True)
class WeightedSum(Summary):
    """z = sum_t w(t / tau) x_t, w(s) = exp(-s): early steps count more.

    "linear": w(s) = max(0, 1 - s); "sigmoid": w(s) = 1 / (1 + exp((s - 1/2) / 0.2)), nearly 1 at
    first and nearly 0 from tau on. The source weighs by the length of the record: make tau as long.
    Stretches of time can be joined with the first weight alone.

    Args:
        tau: above 0, in steps.
        shape: "exponential", "linear" or "sigmoid".

    Source: T. Nowotny, J. Turner and J. Knight, Loss shaping enhances exact gradient learning with
    EventProp in spiking neural networks (2022), and their code, which divides by the length.

    >>> import numpy
    >>> WeightedSum(tau=1.0)(numpy.array([[1.0, 0.0], [0.0, 1.0]])).round(4)
    array([1.    , 0.3679])
    """

    tau: float = field(metadata=number(above=0.0))
    shape: Literal["exponential", "linear", "sigmoid"] = field(
        default="exponential", metadata=choice("exponential", "linear", "sigmoid")
    )

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        return plus(carry, piece.sum(self._weight))

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry.value

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        if self.shape != "exponential":
            return super().merge(earlier, later, steps, more)
        return earlier.plus(later.scaled(self._weight(like(steps, later.value))))

    def _weight(self, t: Array) -> Array:
        xp, s = namespace(t), t / self.tau
        if self.shape == "linear":
            return xp.where(s < 1, 1 - s, 0)
        if self.shape == "sigmoid":
            return (1 - xp.tanh(2.5 * (s - 0.5))) / 2
        return xp.exp(-s)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        if self.shape != "exponential":
            return None
        return (1 - math.e ** (-steps / self.tau)) / (1 - math.exp(-1 / self.tau))


@dataclass(frozen=True)
class MeanOverTime(Summary):
    """z = sum_t x_t / n: the firing rate, in spikes per step, or the mean membrane.

    >>> import numpy
    >>> MeanOverTime()(numpy.array([[1, 0], [1, 1]]))
    array([1. , 0.5], dtype=float32)
    """

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        return plus(carry, piece.sum())

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry.value / steps

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return earlier.plus(later)


@dataclass(frozen=True)
class Maximum(Summary):
    """z = max_t x_t: the highest membrane potential.

    The derivative goes to the first step that reaches the maximum, alone, in every library.

    Source: F. Zenke, SpyTorch (2019).

    >>> import numpy
    >>> Maximum()(numpy.array([[0.5, -2.0], [0.25, -1.0]]))
    array([ 0.5, -1. ])
    """

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        top = every_step(piece, self).highest()
        return top if carry is None else self._higher(carry, top)

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return self._higher(earlier, later)

    def _higher(self, earlier: Array, later: Array) -> Array:
        """The first maximum."""
        xp = namespace(later)
        return xp.where((later <= earlier) | xp.isnan(earlier), earlier, later)

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class LogSumExp(Summary):
    """z = log(sum_t exp(k x_t) / n) / k: near the maximum for large k, near the mean for small k.

    A smooth maximum: the derivative is exp(k x_t) / sum_s exp(k x_s), so that every step has its
    share.

    Args:
        sharpness: k, above 0, in 1 / units of the record.

    >>> import numpy
    >>> LogSumExp(sharpness=1.0)(numpy.log(numpy.array([[1.0, 2.0], [3.0, 2.0]]))).round(4)
    array([0.6931, 0.6931])
    """

    sharpness: float = field(default=1.0, metadata=number(above=0.0))

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        piece = every_step(piece, self)
        x, xp = self.sharpness * piece.masked(piece.raw, -math.inf), namespace(piece.raw)
        top = constant(xp.max(x, axis=0))
        total = Sum(sum_over_time(exponential(x, _finite(top)), piece.decides))
        return (top, total) if carry is None else self._joined(carry, (top, total))

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        top, total = carry
        xp, none = namespace(top), total.value == 0
        z = xp.where(none, -xp.inf, _finite(top) + xp.log(xp.where(none, 1, total.value)))
        return (z - xp.log(like(steps, z))) / self.sharpness

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return self._joined(earlier, later)

    def _joined(self, earlier: Carry, later: Carry) -> Carry:
        """The sums of both, scaled to the higher top."""
        (before, total), (now, new) = earlier, later
        top = namespace(now).where(before > now, before, now)
        return top, total.scaled(_fade(before, top)).plus(new.scaled(_fade(now, top)))

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        xp = namespace(z)
        return xp.abs(z) + (1 + 2 * xp.log(like(steps, z))) / self.sharpness


def _finite(top: Array) -> Array:
    """The highest exponent, 0 where it is infinite."""
    xp = namespace(top)
    return xp.where(xp.isinf(top), 0, top)


def _fade(before: Array, top: Array) -> Array:
    """What scales exponentials less a top to those less a higher one."""
    xp = namespace(top)
    return xp.exp(xp.where(xp.isinf(before), 0, before - _finite(top)))


@dataclass(frozen=True)
class CumulativeSoftmax(Summary):
    """z_c = sum_t softmax(x_t)_c: every step casts one vote, shared among the classes.

    Source: A. Bittar and P. Garner, A surrogate gradient spiking baseline for speech command
    recognition (2022).

    >>> import numpy
    >>> CumulativeSoftmax()(numpy.array([[0.0, 0.0], [2.0, 2.0]]))
    array([1., 1.])
    """

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        piece = every_step(piece, self)
        return plus(carry, sum_over_time(softmax(piece.raw, piece.valid), piece.decides))

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry.value

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return earlier.plus(later)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None


@dataclass(frozen=True)
class LastStep(Summary):
    """z = x_(n-1): the record at the last valid step of each sample.

    >>> import numpy
    >>> LastStep()(numpy.array([[1.0, 0.0], [3.0, 4.0]]))
    array([3., 4.])
    """

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        piece = every_step(piece, self)
        return piece.last() if carry is None else renewed(carry, piece.last(), piece.present)

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return renewed(earlier, later, present(more))

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class PeakWindow(Summary):
    """z = mean of x_s over `width` valid steps from argmax_t x_t on: the level of a peak.

    The window of a neuron begins at its first maximum, and is shorter where the record ends. The
    derivative goes to the steps of the window; where it lies has none.

    Args:
        width: in steps, 1 or more; with 1 it is the maximum.

    Source: Rockpool, `nn.losses.PeakLoss`, whose window starts again at the maximum after the last
    step: 1.0, 0.5 at the end and width=5 are 1, 0.5, 1, 0.5, 1 there, 0.8; here 0.75.

    >>> import numpy
    >>> PeakWindow(width=2)(numpy.array([[1.0, 0.0], [4.0, 1.0], [2.0, 3.0]]))
    array([3., 3.])
    """

    width: int = field(metadata=integer(low=1))

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        piece = every_step(piece, self)
        u, top, xp = piece.closed(), constant(piece.highest()), namespace(piece.raw)
        none = xp.zeros_like(top)
        highest, total, held = (none - xp.inf, none, none) if carry is None else carry
        step = numbered(u.shape[0], u)
        t = xp.astype(step, u.dtype)
        first = like(first_nonzero(xp.astype(u == top, u.dtype)), u)
        new = ~(top <= highest) & ~xp.isnan(highest)
        start = xp.where(new, first, 0)
        total, held = xp.where(new, 0, total), xp.where(new, 0, held)
        window = (t >= start) & (t < start + self.width - held) & (step < piece.held)
        total = total + sum_over_time(xp.where(window, u, 0), piece.decides)
        held = held + xp.sum(xp.astype(window, u.dtype), axis=0)
        return xp.where(new, top, highest), total, held

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        (highest, total, held), xp = carry, namespace(carry[0])
        return xp.where(xp.isnan(highest), xp.nan, total / xp.where(held > 0, held, 1))


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
        return every_step(piece, self).closed(), ()
