"""Trains as spike times: what every distance between them starts from."""

import math
from itertools import zip_longest
from typing import Any

from spikeloss import _door
from spikeloss._backend import checks_values, extent, like, namespace
from spikeloss._door._array import exact, real_kind
from spikeloss._door._words import shape_of, span
from spikeloss._shapes import Array


def pair(a_times: Any, b_times: Any, units: bool = False) -> tuple[Array, Array, Any]:
    """Both trains (*B, n) and (*B, m) in order, none last, and the dtype of the result.

    With `units`, (*B, N, n) and (*B, N, m).
    """
    a, a_type = _train("a_times", _door.array("a_times", a_times), 2 if units else 1)
    b, b_type = _train("b_times", _door.beside_record("b_times", b_times, a), 2 if units else 1)
    xp = namespace(a)
    if units and a.shape[-2] != b.shape[-2]:
        rule, fix = f"{a.shape[-2]} units, as a_times has", "Give a silent unit a row of infinity."
        _door.refuse("b_times", rule, shape_of(b), fix)
    batch = _broadcast(tuple(a.shape[:-1]), tuple(b.shape[:-1]))
    result = xp.result_type(a_type, b_type)
    wide = xp.result_type(result, xp.float32)  # half precision is rounded once, at the end
    a, b = (xp.astype(x, wide, copy=False) for x in (a, b))
    a, b = (xp.broadcast_to(x, (*batch, x.shape[-1])) for x in (a, b))
    return xp.sort(a, axis=-1), xp.sort(b, axis=-1), result


def single(times: Any) -> tuple[Array, Any]:
    """One train (*B, n) in order, none last, and the dtype of the result."""
    times, result = _train("times", _door.array("times", times), 1)
    xp = namespace(times)
    wide = xp.result_type(result, xp.float32)
    return xp.sort(xp.astype(times, wide, copy=False), axis=-1), result


def _train(argument: str, x: Array, axes: int) -> tuple[Array, Any]:
    """Times that are times, and the dtype of the result."""
    sort = real_kind(argument, x)
    _times(argument, x, axes)
    exact(argument, x)
    if sort in ("float", "half") and not checks_values(x):
        x = namespace(x).where(namespace(x).isnan(x), -math.inf, x)  # a spike outside of everything
    return x, x.dtype if sort in ("float", "half") else namespace(x).float32


def interval_of(interval: Any, times: Array, dtype: Any) -> tuple[Array, Array]:
    """The start and the end of an interval beside times, in the precision that these came in."""
    if not isinstance(interval, (tuple, list)) or len(interval) != 2:
        fix = "Write interval=(0.0, end)."
        _door.refuse("interval", "a pair (start, end)", type(interval).__name__, fix, TypeError)
    start = _door.number("interval[0]", interval[0])
    end, xp = _door.number("interval[1]", interval[1], above=start), namespace(times)
    one, other = (xp.astype(like(edge, times, dtype), times.dtype) for edge in (start, end))
    return one, other


def outside(times: Array, start: Array, end: Array, *, checked: bool = False) -> Array:
    """(*B): whether any spike lies outside of an interval, an error where values are checked."""
    xp, there = namespace(times), times < math.inf
    out = there & ((times < start) | (times > end))
    if (checked or checks_values(out)) and bool(xp.any(out)):
        rule, got = f"spikes from {float(start):g} to {float(end):g}", span(*extent(times[there]))
        _door.refuse("interval", rule, got, "Choose an interval that holds every spike.")
    return xp.any(out, axis=-1)


def pooled(times: Array) -> Array:
    """The spikes (*B, N, n) of all units as those of one, (*B, N n), in order."""
    xp, (*batch, units, count) = namespace(times), times.shape
    return xp.sort(xp.reshape(times, (*batch, units * count)), axis=-1)


def sound(distance: Array, *trains: Array) -> Array:
    """Distances (*B), nan where a train has no times, which could not be checked."""
    xp = namespace(distance)
    for times in trains:
        if 0 not in times.shape and not checks_values(times):
            axes = tuple(range(distance.ndim, times.ndim))
            distance = xp.where(xp.any(times == -xp.inf, axis=axes), xp.nan, distance)
    return distance


def fired(times: Array) -> tuple[Array, Array]:
    """Times that are finite, 0 where there is no spike, and where there is one."""
    xp = namespace(times)
    there = times < xp.inf
    return xp.where(there, times, 0), there


def root(square: Array) -> Array:
    """The square root, its derivative 0 at 0."""
    xp = namespace(square)
    above = ~(square <= 0)  # nan stays nan
    return xp.where(above, xp.sqrt(xp.where(above, square, 1)), 0)


def _times(argument: str, x: Array, axes: int) -> None:
    if x.ndim < axes:
        rule = "(*batch, spikes)" if axes == 1 else "(*batch, units, spikes)"
        fix = "Put the spikes of a train on the last axis."
        _door.refuse(argument, f"{axes} axes or more, {rule}", shape_of(x), fix)
    if 0 in x.shape or not checks_values(x):
        return
    low, high = extent(x)
    if not low > -math.inf:
        rule, fix = "times, infinity where there is no spike", "Pad the trains with inf."
        _door.refuse(argument, rule, span(low, high), fix)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The batch axes of both trains together."""
    shape = []
    for one, other in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if one != other and 1 not in (one, other):
            rule, fix = f"batch axes that go with {a}", "Pass pairs, or axes of size 1."
            _door.refuse("b_times", rule, b, fix)
        shape.append(other if one == 1 else one)
    return tuple(reversed(shape))
