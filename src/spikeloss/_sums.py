"""Sums over time: of an array, of one piece after the other, and those that decide.

A sum of many numbers loses the digits of each that are below its own. What a float32 sum loses is
a float32 number too, and can be kept beside it: so a stream is as right after 10^9 steps as after
ten, and sums of the same numbers in another order are the same but for their last rounding.
"""

from typing import NamedTuple

from ._backend import carried, constant, namespace, precise_total, total
from ._shapes import Array, Valid


class Sum(NamedTuple):
    """A sum so far, and what it lost by rounding."""

    value: Array
    rest: Array

    def plus(self, other: "Sum") -> "Sum":
        """The sum of both."""
        return Sum(*carried(self.value, self.rest + other.rest, other.value))


def added(before: Sum | None, x: Array) -> Sum:
    """x, after what was summed before."""
    if before is None:
        return Sum(x, namespace(x).zeros_like(constant(x)))
    return Sum(*carried(before.value, before.rest, x))


def sum_over_time(x: Array, valid: Valid | None, decides: bool = False) -> Array:
    """sum_t x_t over the valid steps of the first axis; precisely where that decides."""
    x = x if valid is None else namespace(x).where(valid, x, 0)
    return precise_total(x) if decides else total(x)
