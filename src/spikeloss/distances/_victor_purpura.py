"""The edit distances of Victor and Purpura."""

from typing import Annotated, Any

from spikeloss import _door
from spikeloss._backend import (
    absolute,
    arange,
    as_array,
    as_index,
    at,
    constant,
    like,
    namespace,
    scan,
)
from spikeloss._shapes import Array

from ._times import fired, pair, pooled, sound

STATES = 1_000_000
"""Entries that the table of a pair of units with labels may have."""


def victor_purpura(
    a_times: Annotated[Array, "*B n | *B N n"],
    b_times: Annotated[Array, "*B m | *B N m"],
    *,
    cost: float,
    softness: float = 0.0,
    label_cost: float | None = None,
) -> Annotated[Array, "*B"]:
    """D = min over matchings of sum_(matched) q |a_i - b_j| + the number of spikes without a match.

    The least cost of making a into b: a spike is added or deleted for 1, moved for q per time. It
    compares recordings at the precision 1 / q; q = 0 counts, | n - m |, and for large q every spike
    must coincide.

    With `softness` s above 0 it is smooth in the times (but where two spikes coincide): the minimum
    of three in the recursion G_ij = min(G_(i-1)j + 1, G_i(j-1) + 1, G_(i-1)(j-1) + q |a_i - b_j|)
    is -s log sum e^(-x / s). It is then at most D, at least D - s log of the number of paths
    through the table, no longer a metric, and not 0 for equal trains. Without, the derivative is
    that of the best matching, q for each matched pair; matchings that cost the same share it.

    With `label_cost` k, trains (*B, N, n) of N units are compared, and a spike changes its unit for
    k: 0 forgets the units, with 2 the distance is the sum over them. In between the work is
    O(N^2 n (m + 1)^N log m) per pair, exact, for few units and spikes; otherwise O(n m), in n + m
    steps one after the other.

    Args:
        a_times, b_times: (*B, n) and (*B, m), in any order and unit; infinity where there is no
            spike. Batch axes broadcast; all pairs of K trains are `a[:, None]` and `a`.
        cost: q, 0 or more, per unit of the times.
        softness: s, 0 or more, in units of the distance; 0 with a `label_cost`.
        label_cost: None, or k from 0 to 2.

    Raises:
        ValueError: an option out of its range, times that are nan or minus infinity, batch axes
            that do not fit, or a table of units of more than a million entries.
        TypeError: arrays of two libraries.

    Source: J. Victor and K. Purpura, Nature and precision of temporal coding in visual cortex: a
    metric-space analysis (1996); D. Aronov, Fast algorithm for the metric-space analysis of
    simultaneous responses of multiple single neurons (2003).

    >>> import numpy
    >>> a, b = numpy.array([0.0, 1.0]), numpy.array([0.25])
    >>> float(victor_purpura(a, b, cost=2.0))  # 0 moved to 0.25, 1 deleted
    1.5
    """
    cost = _door.number("cost", cost, low=0.0)
    softness = _door.number("softness", softness, low=0.0)
    change = None if label_cost is None else _door.number("label_cost", label_cost, low=0.0, high=2)
    if change is not None and softness:
        _door.refuse("softness", "0 beside label_cost", softness, "Drop one of them.")
    a, b, dtype = pair(a_times, b_times, units=change is not None)
    xp = namespace(a)
    if change == 0:
        a, b = pooled(a), pooled(b)
    if change is None or change == 0 or change == 2:
        first, second = xp.moveaxis(a, -1, 0), xp.moveaxis(b, -1, 0)
        distance = _edits(first, second, cost, softness)
        distance = xp.sum(distance, axis=-1) if change == 2 else distance
        return as_array(sound(distance, a, b), dtype)
    units, states = b.shape[-2], (b.shape[-1] + 1) ** b.shape[-2]
    if states > STATES:
        rule = f"{units} units of so few spikes that (m + 1)^{units} <= {STATES}"
        fix = "Choose label_cost=0 or 2, or fewer units."
        _door.refuse("b_times", rule, f"m = {b.shape[-1]}", fix)
    first, second = xp.moveaxis(a, (-2, -1), (0, 1)), xp.moveaxis(b, (-2, -1), (0, 1))
    return as_array(sound(_labelled_edits(first, second, cost, change), a, b), dtype)


def _edits(a: Array, b: Array, cost: float, softness: float) -> Array:
    """D of trains in order, (n, *B) and (m, *B) to (*B).

    The table G, (n + 1) x (m + 1), one diagonal i + j = d after the other, each by i; where j is
    not from 0 to m stands what nothing reads.
    """
    if b.shape[0] < a.shape[0]:
        a, b = b, a
    xp, n, m = namespace(a), a.shape[0], b.shape[0]
    (a, in_a), (b, in_b) = fired(a), fired(b)
    i, j = xp.sum(as_index(in_a), axis=0), xp.sum(as_index(in_b), axis=0)
    if not n:
        return xp.astype(i + j, a.dtype)
    row, d = arange(n, a) + 1, arange(n + m, a) + 1
    column = xp.clip(d[:, None] - row, 1, m) - 1
    paired = xp.reshape(
        xp.take(b, xp.reshape(column, (-1,)), axis=0), (*column.shape, *b.shape[1:])
    )
    moved = cost * absolute(a - paired)
    edge = d[:, None] == row  # j = 0
    first = xp.zeros_like(a[:1, ...])

    def step(carry: Any, given: Any) -> tuple[Any, Array]:
        (before, last), (d, edge, moved) = carry, given
        least = _least(last[:-1, ...] + 1, last[1:, ...] + 1, before[:-1, ...] + moved, softness)
        edge = xp.reshape(edge, (n,) + (1,) * (least.ndim - 1))
        new = xp.concat([first + d, xp.where(edge, d, least)])
        return (last, new), new

    start = xp.concat([first, xp.zeros_like(a)])
    _, table = scan(step, (start, start), (xp.astype(d, a.dtype), edge, moved))
    # What is asked for is G at the numbers of spikes; beyond it is padding.
    states = (n + m + 1) * (n + 1)
    table = xp.reshape(xp.concat([start[None, ...], table]), (states, *a.shape[1:]))
    return at(table, (i + j) * (n + 1) + i)


def _least(x: Array, y: Array, z: Array, softness: float) -> Array:
    """The minimum, or its soft version."""
    xp = namespace(x)
    least = xp.minimum(xp.minimum(x, y), z)
    if not softness:
        return least
    least = constant(least)
    total = sum(xp.exp((least - each) / softness) for each in (x, y, z))
    return least - softness * xp.log(total)


def _labelled_edits(a: Array, b: Array, cost: float, change: float) -> Array:
    """D of units with labels, (N, n, *B) and (N, m, *B) to (*B).

    Spikes of a in the order of their times, against a table with an axis for the spikes of each
    unit of b: matches to one unit never need to cross, matches to different ones may.
    """
    xp, (units, n, *batch), m = namespace(a), a.shape, b.shape[1]
    flat = xp.reshape(a, (units * n, *batch))
    order = xp.argsort(flat, axis=0, stable=True)
    (times, in_a), label = fired(at(flat, order)), order // n
    b, in_b = fired(b)
    counts = xp.sum(as_index(in_b), axis=1)
    place = xp.zeros_like(xp.sum(as_index(in_b), axis=(0, 1)))
    table = xp.broadcast_to(like(0, a), (*(m + 1,) * units, *batch))
    for unit in range(units):
        place = place * (m + 1) + counts[unit, ...]
        table = table + _along(xp.astype(arange(m + 1, a), a.dtype), unit, units + len(batch))
    free, other = like(0, a), like(change, a)

    def step(table: Any, given: Any) -> tuple[Any, Array]:
        time, there, label = given
        new = table + 1
        for unit in range(units):
            moved = cost * absolute(time - b[unit, ...]) + xp.where(label == unit, free, other)
            moved = xp.reshape(moved, (*(1,) * unit, m, *(1,) * (units - 1 - unit), *batch))
            new = _joined(new, _cut(table, unit, 0, m) + moved, 1, unit)
        for unit in range(units):
            shift = 1  # spikes of b without a match, in runs of any length up to 2 shift - 1
            while shift <= m:
                new = _joined(new, _cut(new, unit, 0, m + 1 - shift) + shift, shift, unit)
                shift *= 2
        return xp.where(there, new, table), time

    if flat.shape[0]:
        table, _ = scan(step, table, (times, in_a, label))
    return at(xp.reshape(table, ((m + 1) ** units, *batch)), place)


def _joined(table: Array, other: Array, start: int, axis: int) -> Array:
    """The minimum of both from `start` on along an axis, the table before."""
    xp, size = namespace(table), table.shape[axis]
    least = xp.minimum(_cut(table, axis, start, size), other)
    return xp.concat([_cut(table, axis, 0, start), least], axis=axis)


def _cut(table: Array, axis: int, start: int, end: int) -> Array:
    return table[(slice(None),) * axis + (slice(start, end), ...)]


def _along(x: Array, axis: int, axes: int) -> Array:
    """One axis x as that one of several."""
    return namespace(x).reshape(x, (1,) * axis + (-1,) + (1,) * (axes - 1 - axis))
