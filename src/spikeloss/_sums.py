"""Sums over time: of an array, of one piece after the other, and those that decide.

A sum of many numbers loses the digits of each that are below its own. So a sum that goes on is held
in more digits, or with what it lost beside it: it is as right after 10^9 steps as after ten, and
sums of the same numbers in another order are the same but for their last rounding.
"""

from typing import Any, NamedTuple

from ._backend import added, begun, precise_sum, time_sum
from ._shapes import Array


class Sum(NamedTuple):
    """A sum so far."""

    value: Array
    rest: Array | None = None
    """What it lost by rounding, where it is not held in more digits; None: nothing known."""

    def plus(self, other: "Sum") -> "Sum":
        """The sum of both."""
        return Sum(*added(self, other))

    def scaled(self, by: Array) -> "Sum":
        """That many times the sum."""
        return Sum(self.value * by, None if self.rest is None else self.rest * by)


def plus(before: Sum | None, x: Array) -> Sum:
    """x, after what was summed before."""
    return Sum(x) if before is None else Sum(*added(before, (x, None)))


def going_on(carry: Any) -> Any:
    """What a piece left behind, its sums as sums that go on."""
    if isinstance(carry, Sum):
        return Sum(*begun(carry.value)) if carry.rest is None else carry
    if isinstance(carry, tuple):
        parts = map(going_on, carry)
        return type(carry)(*parts) if hasattr(carry, "_fields") else tuple(parts)
    return carry


def sum_over_time(x: Array, decides: bool = False) -> Array:
    """sum_t x_t over the first axis; precisely where that decides."""
    if x.shape[0] == 1:
        return x[0, ...]
    return precise_sum(x) if decides else time_sum(x)
