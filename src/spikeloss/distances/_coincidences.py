"""Coincidences of spikes within a window: how far two trains fire together."""

from typing import Annotated, Any

from spikeloss import _door
from spikeloss._backend import absolute, as_array, namespace
from spikeloss._shapes import Array

from ._times import fired, interval_of, outside, pair


def spike_time_tiling(
    a_times: Annotated[Array, "*B n"],
    b_times: Annotated[Array, "*B m"],
    *,
    window: float,
    interval: tuple[float, float],
) -> Annotated[Array, "*B"]:
    """r = ((P_a - T_b) / (1 - P_a T_b) + (P_b - T_a) / (1 - P_b T_a)) / 2: how trains coincide.

    P_a is the share of the spikes of a within the window of a spike of b, |a_i - b_j| <= w, and T_a
    the share of the interval within the window of a spike of a. The spike-time tiling coefficient
    is 1 for equal trains, near 0 for independent ones, whatever their rates, below 0 for trains
    that avoid each other. A similarity; nan where a train is silent. A term whose P is 1 is 1, also
    where the windows fill the interval. There is no derivative to train with: P is a count.

    Args:
        a_times, b_times: (*B, n) and (*B, m), in any order and unit; infinity where there is no
            spike. Batch axes broadcast.
        window: w, above 0, in the unit of the times.
        interval: (start, end); no spike lies outside.

    Raises:
        ValueError: an option out of its range, a spike outside the interval, times that are nan or
            minus infinity, or batch axes that do not fit. Under tracing the result is nan.
        TypeError: arrays of two libraries.

    Source: C. Cutts and S. Eglen, Detecting pairwise correlations in spike trains: an objective
    comparison of methods and application to the study of retinal waves (2014).

    >>> import numpy
    >>> a, b = numpy.array([2.0, 6.0]), numpy.array([3.0])  # P: 1/2, 1; T: 4/8, 2/8
    >>> 7 * float(spike_time_tiling(a, b, window=1.0, interval=(0.0, 8.0)))  # (2/7 + 1) / 2
    4.5
    """
    a, b, dtype, window, start, end, wrong = _asked(a_times, b_times, window, interval)
    near = _near(a, b, window)

    def term(own: Array, met: Array, other: Array) -> Array:
        xp, (_, there) = namespace(own), fired(own)
        share = _mean(xp.astype(met, own.dtype), there)
        tiled = _tiled(other, window, start, end)
        alone = share < 1
        rest = xp.where(alone, 1 - share * tiled, 1)
        return xp.where(alone, (share - tiled) / rest, xp.where(share == 1, 1, share))

    xp = namespace(a)
    terms = term(a, xp.any(near, axis=-1), b) + term(b, xp.any(near, axis=-2), a)
    return as_array(xp.where(wrong, xp.nan, terms / 2), dtype)


def correlation_index(
    a_times: Annotated[Array, "*B n"],
    b_times: Annotated[Array, "*B m"],
    *,
    window: float,
    interval: tuple[float, float],
) -> Annotated[Array, "*B"]:
    """i = N_ab T / (2 w n m), N_ab the pairs with |a_i - b_j| <= w: coincidences over chance.

    1 for independent trains, 0 where no spikes coincide; it has no upper bound, and grows where
    rates fall: `spike_time_tiling` is made to be free of that. nan where a train is silent. There
    is no derivative.

    Args:
        a_times, b_times: (*B, n) and (*B, m), in any order and unit; infinity where there is no
            spike. Batch axes broadcast.
        window: w, above 0, in the unit of the times.
        interval: (start, end), T = end - start; no spike lies outside.

    Raises:
        ValueError, TypeError: as `spike_time_tiling`.

    Source: R. Wong, M. Meister and C. Shatz, Transient period of correlated bursting activity
    during development of the mammalian retina (1993); the formula as in Cutts and Eglen (2014).

    >>> import numpy
    >>> a, b = numpy.array([2.0, 6.0]), numpy.array([3.0])
    >>> float(correlation_index(a, b, window=1.0, interval=(0.0, 8.0)))  # 1 pair, 8 / 4
    2.0
    """
    a, b, dtype, window, start, end, wrong = _asked(a_times, b_times, window, interval)
    xp, (_, in_a), (_, in_b) = namespace(a), fired(a), fired(b)
    pairs = in_a[..., :, None] & in_b[..., None, :]
    found = xp.astype(_near(a, b, window), a.dtype)
    count = xp.sum(xp.astype(pairs, a.dtype), axis=(-2, -1))
    share = xp.where(
        count > 0, xp.sum(found, axis=(-2, -1)) / xp.where(count > 0, count, 1), xp.nan
    )
    index = share * ((end - start) / (2 * window))
    return as_array(xp.where(wrong, xp.nan, index), dtype)


def _asked(a_times: Any, b_times: Any, window: Any, interval: Any) -> tuple[Any, ...]:
    """The trains in order, the dtype of the result, the options, and where spikes are outside."""
    window = _door.number("window", window, above=0.0)
    a, b, dtype = pair(a_times, b_times)
    start, end = interval_of(interval, a, dtype)
    wrong = outside(a, start, end) | outside(b, start, end)
    return a, b, dtype, window, start, end, wrong


def _near(a: Array, b: Array, window: float) -> Array:
    """(*B, n, m): which spikes coincide."""
    (a, in_a), (b, in_b) = fired(a), fired(b)
    gap = absolute(a[..., :, None] - b[..., None, :])
    return in_a[..., :, None] & in_b[..., None, :] & (gap <= window)


def _mean(values: Array, there: Array) -> Array:
    """The mean of what is there; nan of nothing."""
    xp = namespace(values)
    count = xp.sum(xp.astype(there, values.dtype), axis=-1)
    mean = xp.sum(xp.where(there, values, 0), axis=-1) / xp.where(count > 0, count, 1)
    return xp.where(count > 0, mean, xp.nan)


def _tiled(times: Array, window: float, start: Array, end: Array) -> Array:
    """The share of the interval within the window of a spike of a train in order."""
    xp, (times, there) = namespace(times), fired(times)
    high = xp.clip(times + window, start, end)
    before = xp.concat([xp.zeros_like(high[..., :1]) + start, high[..., :-1]], axis=-1)
    low = xp.clip(times - window, start, end)
    low = xp.where(low > before, low, before)
    return xp.sum(xp.where(there, high - low, 0), axis=-1) / (end - start)
