"""Readouts that keep time and look back over it."""

import math
from dataclasses import dataclass, field

from spikeloss.extend import (
    Array,
    Carry,
    Decision,
    Piece,
    Steps,
    every_step,
    integer,
    namespace,
    number,
    numbered,
    optional,
    refuse,
)

from ._base import Keeps, Readout


class _Trace(Readout):
    """A readout that keeps time."""

    @property
    def keeps(self) -> Keeps:
        return "time"


@dataclass(frozen=True, kw_only=True)
class MovingWindow(_Trace):
    """z_t = mean of x_s over the last `width` valid steps s up to t, fewer at the start.

    A rate that follows the record; every step decides.

    Args:
        width: in steps, 1 or more. A stream keeps that many steps, at most 2^28 numbers.

    Source: S. Shrestha et al., Spikemax: spike-based loss methods for classification (2022).

    >>> import numpy
    >>> MovingWindow(width=2)(numpy.array([[1.0], [0.0], [0.0]])).T
    array([[1. , 0.5, 0. ]])
    """

    width: int = field(metadata=integer(low=1))

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece = every_step(piece, self)
        xp, x, width = namespace(piece.raw), piece.closed(), self.width
        if not piece.part:  # which no window passes
            width = min(width, x.shape[0])
        elif carry is None:
            _kept_steps(width, piece.shape[1:])
        if carry is None:
            carry = xp.broadcast_to(xp.zeros_like(x[:1, ...]), (width - 1, *x.shape[1:]))
        x = xp.concat([carry, x])
        total = _window_sums(x, width)[width - 1 :, ...]
        held = piece.position + 1
        held = xp.where(held < width, held, width)
        # A step before the first valid one holds nothing, and does not count.
        return piece.opened(total) / xp.where(held > 0, held, 1), piece.latest(x, width - 1)


KEPT = 2**28
"""Numbers that a stream may keep: 1 GiB in float32."""


def _kept_steps(width: int, step: tuple[int, ...]) -> None:
    """A window whose steps a stream can keep."""
    most = max(KEPT // max(math.prod(step), 1), 1)
    if width > most:
        rule = f"at most {most} steps, which a stream of such records keeps"
        refuse("width", rule, width, f"Choose width <= {most}, or pass the whole record.")


def _window_sums(x: Array, width: int) -> Array:
    """sum of x_s over s from t - width + 1 to t, by windows of 1, 2, 4, ... steps."""
    total, reach, block, size = None, 0, x, 1
    while True:
        if width & size:
            total = block if total is None else total + _later(block, reach)
            reach += size
        if reach == width:
            return total
        block, size = block + _later(block, size), 2 * size


def _later(x: Array, steps: int) -> Array:
    """x that many steps later, zeros before."""
    xp, steps = namespace(x), min(steps, x.shape[0])
    return xp.concat([xp.zeros_like(x[:steps, ...]), x[: x.shape[0] - steps, ...]])


@dataclass(frozen=True, kw_only=True)
class FilteredTrace(_Trace):
    """z_t = sum_(s <= t) k(t - s) x_s, k(d) = e^(-d / tau): the synaptic trace of a spike train.

    With `order` m the filter is applied m times, k(d) = binomial(d + m - 1, m - 1) e^(-d / tau);
    m = 2 is the alpha function (d + 1) e^(-d / tau). With `rise` it is the double exponential
    k(d) = e^(-d / tau) - e^(-d / rise), 0 at d = 0. The recursion is exact, its kernel not
    truncated, and costs O(T).

    Args:
        tau: above 0, in steps.
        order: m, from 1 to 100.
        rise: None, or above 0 and not `tau`, in steps; then the order is 1.

    Source: M. van Rossum, A novel spike distance (2001); S. Shrestha and G. Orchard, SLAYER (2018).

    >>> import numpy
    >>> FilteredTrace(tau=1 / numpy.log(2))(numpy.array([[1.0], [0.0], [1.0]])).T  # halves
    array([[1.  , 0.5 , 1.25]])
    """

    tau: float = field(metadata=number(above=0.0))
    order: int = field(default=1, metadata=integer(low=1, high=100))
    rise: float | None = field(default=None, metadata=optional(number(above=0.0)))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rise is not None:
            _double(self.rise, self.tau, self.order)

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece = every_step(piece, self)
        x = piece.closed()
        if carry is None:
            filters = self.order if self.rise is None else 2
            carry = (namespace(x).zeros_like(x[0, ...]),) * filters
        if self.rise is not None:
            slow, fast = _decayed(x, self.tau, carry[0]), _decayed(x, self.rise, carry[1])
            return piece.opened(slow - fast), tuple(map(piece.final, (slow, fast), carry))
        traces = [x]
        for before in carry:
            traces.append(_decayed(traces[-1], self.tau, before))
        return piece.opened(traces[-1]), tuple(map(piece.final, traces[1:], carry))

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None


def _double(rise: float, tau: float, order: int) -> None:
    """A double exponential has two different time constants and no order."""
    if rise == tau:
        fix = "Write order=2 for the alpha function."
        refuse("rise", "another time than tau", f"{rise:g}", fix)
    if order != 1:
        refuse("order", "1 beside rise", order, "Drop order or rise.")


_BLOCK = 32
"""Steps of a block, which is filtered in log2 of so many passes."""


def _decayed(x: Array, tau: float, before: Array) -> Array:
    """y_t = e^(-1 / tau) y_(t-1) + x_t, y_(-1) = `before`.

    Within blocks by sums over 2, 4, 8, ... steps, between them by the same recursion over blocks.
    """
    xp, steps, size, rest = namespace(x), x.shape[0], _BLOCK, tuple(x.shape[1:])
    if steps == 1:
        return x + math.exp(-1 / tau) * before
    blocks = -(-steps // size)
    missing = (blocks * size - steps, *rest)
    y = xp.concat([x, xp.broadcast_to(xp.zeros_like(x[:1, ...]), missing)])
    y, reach = xp.reshape(y, (blocks, size, *rest)), 1
    while reach < size:
        longer = y[:, reach:, ...] + math.exp(-reach / tau) * y[:, :-reach, ...]
        y, reach = xp.concat([y[:, :reach, ...], longer], axis=1), 2 * reach
    ends = before[None, ...]
    if blocks > 1:
        ends = xp.concat([ends, _decayed(y[:, -1, ...], tau / size, before)[:-1, ...]])
    fading = xp.exp(-(xp.astype(numbered(size, x), x.dtype) + 1) / tau)
    y = y + fading * ends[:, None, ...]
    return xp.reshape(y, (blocks * size, *rest))[:steps, ...]
