"""The distance of van Rossum, between records and between spike times."""

import math
from typing import Annotated, Any, Literal, Unpack

from spikeloss import _door
from spikeloss._backend import absolute, as_array, constant, is_array, like, namespace
from spikeloss._door import shape_of
from spikeloss._open import open_record
from spikeloss._piece import Dense, every_step
from spikeloss._shapes import Array, Layout, Record
from spikeloss.readouts import FilteredTrace

from ._times import fired, pair, pooled, root


def van_rossum(
    a: Record,
    b: Record,
    *,
    tau: float,
    cosine: float | None = None,
    integral: Literal["steps", "exact"] = "steps",
    tail: bool = True,
    root: bool = False,
    **layout: Unpack[Layout],
) -> Annotated[Array, "*B N | *B"]:
    """D^2 = sum_t (y_t / tau)^2, y_t = e^(-1 / tau) y_(t-1) + a_t - b_t: records in time steps.

    A loss for output trains that should have given spike times; a larger tau forgives more.

    The traces have the kernel e^(-t / tau) / tau, of area 1 in continuous time, and a step lasts 1.
    The sum over steps tends to the integral D^2 = int (f_a - f_b)^2 dt of `van_rossum_times` as tau
    grows. `integral="exact"` is that integral for any tau, with spikes at the beginning of their
    step: the trace decays within a step too, which is the sum times
    tau (1 - e^(-2 / tau)) / 2. `tail` adds what comes after the last valid step, in closed form:
    the sum over all t to infinity. Nothing is divided by T, N or B. In seconds, with steps of dt,
    D^2 is this number with tau in steps, divided by dt.

    The recursion is exact, its kernel not truncated, and costs O(T).

    Args:
        a, b: (T, *B, N) of one shape, any amplitudes; differentiable both.
        tau: above 0, in steps.
        cosine: None for a distance (*B, N) per neuron, or c from 0 to 1 for one (*B) of all, whose
            neurons point into directions with that cosine between any two of them,
            D^2 = (1 - c) sum_i D_i^2 + c D^2 of the sum of all trains; 0 is the labelled line,
            1 the population that does not care who fires.
        integral: "steps" or "exact".
        tail: whether time goes on after the last valid step.
        root: D in place of D^2; its derivative is taken as 0 where D = 0.
        lengths, valid, time_axis, class_axis: as for a `Loss`, of both records.

    Raises:
        ValueError: an option out of its range, or records of two shapes.
        TypeError: arrays of two libraries, or events: write `events.dense()`.

    Source: M. van Rossum, A novel spike distance (2001); C. Houghton and K. Sen, A new multineuron
    spike train metric (2008).

    >>> import numpy
    >>> a, b, tau = numpy.array([[1.0], [0.0]]), numpy.zeros((2, 1)), 1 / numpy.log(2)  # halves
    >>> van_rossum(a, b, tau=tau, tail=False) * tau**2  # 1 + 1/4
    array([1.25])
    """
    tau = _door.number("tau", tau, above=0.0)
    share = None if cosine is None else _door.number("cosine", cosine, low=0.0, high=1.0)
    _door.choice("integral", integral, ("steps", "exact"))
    piece, dtype = _difference(a, b, FilteredTrace(tau=tau), layout)
    xp = namespace(piece.x)
    trace, (end,) = FilteredTrace(tau=tau).read(piece, None)
    trace = piece.masked(trace)
    lost = -math.expm1(-2 / tau)  # of y^2, in a step
    later = math.exp(-2 / tau) / lost if _door.flag("tail", tail) else 0.0

    def energy(trace: Array, end: Array) -> Array:
        return xp.sum(trace * trace, axis=0) + later * (end * end)

    square = energy(trace, end)
    if share is not None:
        whole = energy(xp.sum(trace, axis=-1), xp.sum(end, axis=-1))
        square = (1 - share) * xp.sum(square, axis=-1) + share * whole
    square = square * (lost / 2 / tau if integral == "exact" else 1 / tau / tau)
    return as_array(_rooted(square, root), dtype)


def _difference(a: Any, b: Any, readout: FilteredTrace, layout: Layout) -> tuple[Dense, Any]:
    """a - b as a record, and the dtype of the result."""
    first = every_step(open_record(a, **layout), readout)
    if is_array(b):
        b = _door.beside_record("b", b, first.x)
    second = every_step(open_record(b, **layout), readout)
    if first.x.shape != second.x.shape:
        rule = f"the shape of a, {tuple(first.x.shape)} with time first"
        _door.refuse("b", rule, shape_of(second.x), "Pass two records of one shape.")
    dtype = namespace(first.x).result_type(first.dtype, second.dtype)
    return first.replaced(source=first.x - second.x, cast=None), dtype


def van_rossum_times(
    a_times: Annotated[Array, "*B n | *B N n"],
    b_times: Annotated[Array, "*B m | *B N m"],
    *,
    tau: float,
    cosine: float | None = None,
    root: bool = False,
) -> Annotated[Array, "*B"]:
    """D^2 = sum_ij s_i s_j e^(-|t_i - t_j| / tau) / (2 tau), s = 1 for spikes of a, -1 of b.

    For spike times that do not lie on a grid, as of event-driven simulators, which learn by moving
    them.

    That is int (f_a - f_b)^2 dt over all times, f the sum of e^(-(t - t_i) / tau) / tau over the
    spikes before t. One spike against none has D^2 = 1 / (2 tau); sqrt(2 tau) D is elephant's
    distance, sqrt(tau) D that of van Rossum's paper. Equal trains have 0.

    The derivative is with respect to times, 0 with respect to padding, and between two spikes at
    the same time, where D^2 has a kink, 0. Work and memory are O((n + m)^2) per pair.

    Args:
        a_times, b_times: (*B, n) and (*B, m), in any order and unit; infinity where there is no
            spike. Batch axes broadcast.
        tau: above 0, in the unit of the times.
        cosine: None, or c from 0 to 1: trains (*B, N, n) of N units, as in `van_rossum`.
        root: D in place of D^2; its derivative is taken as 0 where D = 0.

    Raises:
        ValueError: an option out of its range, times that are nan or minus infinity, or batch axes
            that do not fit.
        TypeError: arrays of two libraries.

    Source: M. van Rossum, A novel spike distance (2001); C. Houghton and K. Sen, A new multineuron
    spike train metric (2008).

    >>> import numpy
    >>> a, b = numpy.array([[1.0, 3.0], [1.0, 3.0]]), numpy.array([[3.0, 1.0], [3.0, numpy.inf]])
    >>> van_rossum_times(a, b, tau=0.5)  # equal; one spike more, 1 / (2 tau)
    array([0., 1.])
    """
    tau = _door.number("tau", tau, above=0.0)
    share = None if cosine is None else _door.number("cosine", cosine, low=0.0, high=1.0)
    a, b, dtype = pair(a_times, b_times, units=share is not None)
    square = _between(a, b, tau)
    if share is not None:
        each = namespace(a).sum(square, axis=-1)
        square = (1 - share) * each + share * _between(pooled(a), pooled(b), tau)
    return as_array(_rooted(square, root), dtype)


def _between(a: Array, b: Array, tau: float) -> Array:
    """D^2 of trains in order, (*B, n) and (*B, m)."""
    xp, count = namespace(a), max(a.shape[-1], b.shape[-1])
    a, b = _widened(a, count), _widened(b, count)
    ab = _overlaps(a, b, tau)
    # Entry by entry, so that trains that are nearly equal lose no digits.
    square = xp.sum((_overlaps(a, a, tau) - ab) + (_overlaps(b, b, tau) - ab), axis=(-2, -1))
    square = square / (2 * tau)
    return square - constant(xp.where(square < 0, square, 0))


def _widened(times: Array, count: int) -> Array:
    """Trains with padding up to that many spikes."""
    xp, missing = namespace(times), count - times.shape[-1]
    if not missing:
        return times
    none = xp.broadcast_to(like(math.inf, times), (*times.shape[:-1], missing))
    return xp.concat([times, none], axis=-1)


def _overlaps(a: Array, b: Array, tau: float) -> Array:
    """e^(-|a_i - b_j| / tau), 0 where one of them is no spike."""
    xp = namespace(a)
    (a, in_a), (b, in_b) = fired(a), fired(b)
    overlap = xp.exp(-absolute(a[..., :, None] - b[..., None, :]) / tau)
    return xp.where(in_a[..., :, None] & in_b[..., None, :], overlap, 0)


def _rooted(square: Array, wanted: bool) -> Array:
    return root(square) if _door.flag("root", wanted) else square
