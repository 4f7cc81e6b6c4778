"""Distances without a time scale, as the package PySpike computes them."""

import math
from importlib import import_module
from typing import Annotated, Any

from spikeloss import _door
from spikeloss._backend import as_array, concrete, constant, like, listed, namespace
from spikeloss._install import hint
from spikeloss._shapes import Array

from ._times import interval_of, outside, pair


def isi_distance(
    a_times: Annotated[Array, "*B n"],
    b_times: Annotated[Array, "*B m"],
    *,
    interval: tuple[float, float],
) -> Annotated[Array, "*B"]:
    """D = 1 / T int |u_a - u_b| / max(u_a, u_b) dt, u the interspike interval around t.

    To compare rates as they change, at any time scale; 0 for equal trains, below 1.

    Before the first spike and after the last one the interval is that up to the edge, or the
    neighbouring one where that is longer; a train without spikes has one at each edge. Spikes of
    one train at the same time are one. There is no derivative. Pairs are taken one by one.

    Args:
        a_times, b_times: (*B, n) and (*B, m), in any order, infinity where there is no spike; of
            any library, with values. Batch axes broadcast.
        interval: (start, end), T = end - start; no spike lies outside.

    Raises:
        ImportError: PySpike is not installed.
        ValueError: a spike outside the interval.
        TypeError: arrays of two libraries, or without values, under `jit` and the like.

    Source: T. Kreuz et al., Measuring spike train synchrony (2007); M. Mulansky and T. Kreuz,
    PySpike - a Python library for analyzing spike train synchrony (2016).

    >>> import numpy
    >>> a, b = numpy.array([1.0, 2.0, 3.0]), numpy.array([])
    >>> float(isi_distance(a, b, interval=(0.0, 4.0)))  # intervals of 1 against one of 4
    0.75
    """
    return _each("isi_distance", a_times, b_times, interval)


def spike_distance(
    a_times: Annotated[Array, "*B n"],
    b_times: Annotated[Array, "*B m"],
    *,
    interval: tuple[float, float],
) -> Annotated[Array, "*B"]:
    """D = 1 / T int (S_a u_b + S_b u_a) / (2 <u>^2) dt, S the distance to the nearest spike.

    To compare spike times where the time scale is not known; 0 for equal trains, at most 1.

    u_a and u_b are the interspike intervals around t, <u> their mean; S_a is the distance from the
    spike of a before t to the nearest one of b, and from that after t, interpolated at t. Edges,
    derivative and arguments are those of `isi_distance`.

    Args:
        a_times, b_times: (*B, n) and (*B, m).
        interval: (start, end).

    Raises:
        ImportError, ValueError, TypeError: as `isi_distance`.

    Source: T. Kreuz et al., Monitoring spike train synchrony (2013).

    >>> import numpy
    >>> a, b = numpy.array([0.0, 4.0]), numpy.array([0.0, 2.0, 4.0])
    >>> 9 * float(spike_distance(a, b, interval=(0.0, 4.0)))  # S_b rises to 2 and falls, u = 4, 2
    2.0
    """
    return _each("spike_distance", a_times, b_times, interval)


def spike_synchronization(
    a_times: Annotated[Array, "*B n"],
    b_times: Annotated[Array, "*B m"],
    *,
    interval: tuple[float, float],
) -> Annotated[Array, "*B"]:
    """S = coinciding spikes / all spikes, a_i and b_j where |a_i - b_j| < min(u) / 2.

    Which share of the spikes has a partner, at any time scale: a similarity, 1 for equal trains
    and for two silent ones, 0 where no spikes coincide.

    u are the intervals before and after a_i and b_j, so that the window adapts to the local rate.
    Derivative and arguments are those of `isi_distance`.

    Args:
        a_times, b_times: (*B, n) and (*B, m).
        interval: (start, end).

    Raises:
        ImportError, ValueError, TypeError: as `isi_distance`.

    Source: T. Kreuz et al., SPIKY: a graphical user interface for monitoring spike train synchrony
    (2015).

    >>> import numpy
    >>> a, b = numpy.array([1.0, 5.0]), numpy.array([1.5, 9.0])
    >>> float(spike_synchronization(a, b, interval=(0.0, 10.0)))  # 1 with 1.5: 2 of 4 spikes
    0.5
    """
    return _each("spike_sync", a_times, b_times, interval)


def _each(name: str, a_times: Any, b_times: Any, interval: Any) -> Array:
    """What a function of PySpike says of every pair."""
    try:
        package = import_module("pyspike")
    except ImportError:
        _door.refuse("pyspike", "the package PySpike", "none", hint("distances"), ImportError)
    a, b, dtype = pair(a_times, b_times)
    if not (concrete(a) and concrete(b)):
        fix = "Call it outside of jit, vmap and grad."
        _door.refuse("a_times", "spike times with values", "traced ones", fix, TypeError)
    edges = interval_of(interval, a, dtype)
    for times in (a, b):
        outside(constant(times), *edges, checked=True)
    start, end = map(float, edges)
    measure = getattr(package, name)

    def train(times: list[float]) -> Any:
        return package.SpikeTrain([time for time in times if time < math.inf], (start, end))

    (*batch, n), m, xp = a.shape, b.shape[-1], namespace(a)
    rows = (listed(xp.reshape(constant(x), (math.prod(batch), k))) for x, k in ((a, n), (b, m)))
    values = [measure(train(one), train(other)) for one, other in zip(*rows, strict=True)]
    return as_array(xp.reshape(like(values, a), tuple(batch)), dtype)
