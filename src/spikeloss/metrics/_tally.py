"""Sums over samples, which add up over batches."""

import math
from typing import Any, NamedTuple

from spikeloss._backend import arange, as_array, namespace
from spikeloss._shapes import Array


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


def tally(value: Array, kept: Array | None, lead: int = 0) -> Tally:
    """Sums over all axes but the first `lead`; `kept` broadcasts against the others."""
    xp, each = namespace(value), tuple(value.shape[lead:])
    if kept is None:
        count: Any = math.prod(each)
    else:
        value = xp.where(kept, value, 0)
        count = xp.sum(xp.astype(xp.broadcast_to(kept, each), arange(0, value).dtype))
    flat = xp.reshape(value, (*value.shape[:lead], math.prod(each)))
    return Tally(xp.sum(flat, axis=-1), count)
