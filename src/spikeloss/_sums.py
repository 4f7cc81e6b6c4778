"""Sums over time: of an array, of one piece after the other, and those that decide.

A sum of many numbers loses the digits of each that are below its own. What a float32 sum loses is
a float32 number too, and can be kept beside it: so a stream is as right after 10^9 steps as after
ten, and sums of the same numbers in another order are the same but for their last rounding.
"""

from typing import NamedTuple

from ._backend import constant, lost, namespace, total
from ._shapes import Array, Valid


class Sum(NamedTuple):
    """A sum so far, and what it lost by rounding."""

    value: Array
    rest: Array

    def plus(self, other: "Sum") -> "Sum":
        """The sum of both."""
        value, rest = _split(self.value, other.value)
        return Sum(*_split(value, self.rest + other.rest + rest))


def added(before: Sum | None, x: Array) -> Sum:
    """x, after what was summed before."""
    new = Sum(x, namespace(x).zeros_like(constant(x)))
    return new if before is None else before.plus(new)


def sum_over_time(x: Array, valid: Valid | None, exact: bool = False) -> Array:
    """sum_t x_t over the valid steps of the first axis."""
    x = x if valid is None else namespace(x).where(valid, x, 0)
    return _exact_total(x) if exact else total(x)


def _exact_total(x: Array) -> Array:
    """The sum over the first axis, rounded once: by halves, and what every addition lost."""
    smooth, xp, x = total(x), namespace(x), constant(x)
    rest = xp.where(xp.isfinite(smooth), -constant(smooth), 0)
    while len(x) > 1:
        half = len(x) // 2
        sums, gone = _split(x[:half], x[half : 2 * half])
        x, rest = xp.concat([sums, x[2 * half :]]), rest + total(gone)
    gone = x[0] + rest
    return smooth + xp.where(xp.isfinite(gone), gone, 0)


def _split(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b, and what that lost."""
    return a + b, lost(a, b)
