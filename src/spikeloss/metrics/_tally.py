"""Sums over samples: the parts of a mean, which add up over batches."""

import math

from spikeloss._backend import like, namespace
from spikeloss._shapes import Array
from spikeloss.parts import Parts


def tally(value: Array, counts: Array | None, lead: int = 0) -> Parts:
    """Sums over all axes but the first `lead`; `counts` broadcasts against the others."""
    xp, each = namespace(value), tuple(value.shape[lead:])
    number = like(math.prod(each), value)
    if counts is not None:
        value = xp.where(counts, value, 0)
        number = xp.sum(xp.astype(xp.broadcast_to(counts, each), value.dtype))
    flat = xp.reshape(value, (*value.shape[:lead], math.prod(each)))
    return of_one(xp.sum(flat, axis=-1), number)


def of_one(numerator: Array, denominator: Array) -> Parts:
    """The parts of one mean, or of several with one denominator."""
    return Parts((numerator,), (denominator,))
