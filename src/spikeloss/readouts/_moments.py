"""Readouts of how a record varies: over its steps, over the samples of a batch."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from spikeloss.extend import (
    Array,
    Carry,
    Decision,
    Dense,
    Piece,
    Steps,
    Sum,
    constant,
    every_step,
    integer,
    like,
    log_softmax,
    namespace,
    number,
    optional,
    refuse,
)

from ._base import Summary


class _Moments(NamedTuple):
    """What is known of how a_t and b_t vary together over the n steps so far."""

    a: Sum
    """sum_t a_t"""
    b: Sum
    """sum_t b_t"""
    both: Sum
    """sum_t (a_t - mean a) (b_t - mean b)"""

    def joined(self, later: "_Moments", n: Steps, m: Steps) -> "_Moments":
        """Those of n steps and of m later ones."""
        xp = namespace(self.a.value)
        first, more = like(n, self.a.value), like(m, self.a.value)
        share = first * more / xp.where(first + more > 0, first + more, 1)
        gaps = [
            b.value / xp.where(more > 0, more, 1) - a.value / xp.where(first > 0, first, 1)
            for a, b in ((self.a, later.a), (self.b, later.b))
        ]
        between = Sum(share * gaps[0] * gaps[1])
        both = self.both.plus(later.both).plus(between)
        return _Moments(self.a.plus(later.a), self.b.plus(later.b), both)


def _moments(piece: Dense, a: Array, b: Array) -> _Moments:
    """Those of what has an entry for every step of a piece."""
    xp = namespace(a)
    held = like(piece.held, a)
    held = xp.where(held > 0, held, 1)
    one, two = piece.sum_of(a), piece.sum_of(b)
    both = piece.sum_of((a - one / held) * (b - two / held))
    return _Moments(Sum(one), Sum(two), Sum(both))


@dataclass(frozen=True, kw_only=True)
class Disagreement(Summary):
    """z = T^2 sum_c cov_t(p_c, log p_c), p = softmax(x / T): how far single steps disagree.

    cov has n - 1 as divisor, so that z is the mean of T^2 KL(p_j | p_i) over all pairs of steps
    i != j: one number for all classes, 0 where all steps say the same or there is but one. The
    derivative is that of a step i which learns from others j that do not, T (p_i - mean_t p_t) /
    (n - 1): it goes to every step, without an array of all pairs.

    Args:
        temperature: T, above 0.

    Source: D. Zhao et al., Improving stability and performance of spiking neural networks through
    enhancing temporal consistency (2024), in their code as a loop over pairs.

    >>> import numpy
    >>> Disagreement()(numpy.log([[0.5, 0.5], [0.25, 0.75]])).round(6)  # ln 3 / 8
    array([0.137327])
    """

    temperature: float = field(default=1.0, metadata=number(above=0.0))

    def entries(self, neurons: int) -> int:
        return 1

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        piece = every_step(piece, self)
        p, log_p = _from_even(piece.x / self.temperature)
        found = _moments(piece, constant(p), log_p)
        return found if carry is None else carry.joined(found, piece.start, piece.held)

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        xp, others = namespace(carry.both.value), like(steps, carry.both.value) - 1
        total = xp.sum(carry.both.value, axis=-1, keepdims=True)
        return self.temperature**2 * total / xp.where(others > 0, others, 1)

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return earlier.joined(later, steps, more)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None


def _from_even(x: Array) -> tuple[Array, Array]:
    """p - 1 / C and log(p C), p = softmax(x): to rounding too where p is nearly even."""
    xp, log_p, classes = namespace(x), log_softmax(x), x.shape[-1]
    u = x - xp.mean(x, axis=-1, keepdims=True)
    near = xp.max(xp.abs(u), axis=-1, keepdims=True) < 1
    more = xp.expm1(xp.where(near, u, 0))
    most = xp.mean(more, axis=-1, keepdims=True)
    p = xp.where(near, (more - most) / (1 + most) / classes, xp.exp(log_p) - 1 / classes)
    return p, xp.where(near, u - xp.log1p(most), log_p + math.log(classes))


@dataclass(frozen=True, kw_only=True)
class Moments(Summary):
    """z = (m_1 ... m_C, s_1 ... s_C), mean and deviation over steps, samples and C channels.

    m_c = mean_b mean_t mean_i x, over the neurons i of a channel, and s_c^2 the mean of (x - m_c)^2
    over the same: how the membranes of a layer are spread, the same for every sample. A sample
    counts as one, however long it is. The derivative of s at 0 is 0. Coupled as `BatchMean`.

    Args:
        channels: C, a divisor of N: as many contiguous equal groups; None: every neuron is one.

    Raises:
        ValueError: if C does not divide the number of neurons of the record.

    >>> import numpy
    >>> Moments(channels=1)(numpy.array([[[1.0, 1.0]], [[3.0, 3.0]]]))
    array([[2., 1.]])
    """

    channels: int | None = field(default=None, metadata=optional(integer(low=1)))

    @property
    def couples(self) -> bool:
        return True

    def entries(self, neurons: int) -> int:
        channels = neurons if self.channels is None else self.channels
        if neurons % channels:
            rule = f"a divisor of the record's {neurons} neurons"
            refuse("channels", rule, channels, f"Choose a divisor of {neurons}.")
        return 2 * channels

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        piece = every_step(piece, self)
        found = _moments(piece, piece.x, piece.x)
        if carry is not None:
            found = carry[0].joined(found, piece.start, piece.held)
        return found, piece.counts

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        (total, _, both), counts = carry
        xp, shape = namespace(total.value), total.value.shape
        n, channels = like(steps, total.value), self.entries(shape[-1]) // 2
        each = (math.prod(shape[:-1]), channels, shape[-1] // channels)
        one = xp.ones_like(total.value[..., :1])
        weight = xp.reshape(one if counts is None else xp.where(counts, one, 0), (each[0], 1, 1))
        samples = xp.sum(weight)
        weight = weight / (xp.where(samples > 0, samples, 1) * each[-1])
        mean, spread = (xp.reshape(x.value / n, each) for x in (total, both))
        m = xp.sum(weight * mean, axis=(0, 2), keepdims=True)
        square = xp.sum(weight * (spread + (mean - m) ** 2), axis=(0, 2))
        flat = square <= 0
        s = xp.where(flat, 0, xp.where(flat, 1, square) ** 0.5)
        row = xp.concat([xp.reshape(m, (channels,)), s])
        return xp.broadcast_to(row, (*shape[:-1], 2 * channels))

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        every = earlier[1] is None or later[1] is None
        counts = None if every else earlier[1] | later[1]
        return earlier[0].joined(later[0], steps, more), counts

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None
