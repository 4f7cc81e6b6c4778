"""How regular a train of spikes is, and how it keeps to a rhythm."""

import math
from typing import Annotated, Any, Literal

from spikeloss import _door
from spikeloss._backend import absolute, as_array, namespace
from spikeloss._door import refuse
from spikeloss._shapes import Array
from spikeloss.distances._times import fired, root, single

Kind = Literal["cv", "cv2", "lv"]


def interval_variation(
    times: Annotated[Array, "*B n"], *, kind: Kind = "cv", refractory: float = 0.0
) -> Annotated[Array, "*B"]:
    """cv = sqrt(mean_k (I_k - m)^2) / m, I_k = t_(k+1) - t_k, m their mean: bursts against clocks.

    How much the intervals between spikes vary: 0 for a clock, about 1 for a Poisson process, above
    1 for bursts. `"cv2"` and `"lv"` compare neighbours only, so that a rate which drifts does not
    count:

        cv2 = mean_k 2 |I_(k+1) - I_k| / S_k,  S_k = I_k + I_(k+1)
        lv  = mean_k 3 (1 - 4 I_k I_(k+1) / S_k^2) (1 + 4 R / S_k)

    R is what the neuron cannot do better: with its refractory time the last is known as LvR. nan
    for fewer than two intervals; intervals of 0 beside each other are equal.

    Args:
        times: (*B, n), in any order and unit; infinity where there is no spike. Differentiable.
        kind: "cv", "cv2" or "lv".
        refractory: R, 0 or more, in the unit of the times; 0 but for "lv".

    Raises:
        ValueError: an option out of its range, or times that are nan or minus infinity.

    Source: G. Holt et al., Comparison of discharge variability in vitro and in vivo in cat visual
    cortex neurons (1996); S. Shinomoto et al., Differences in spiking patterns among cortical
    neurons (2003), and Relating neuronal firing patterns to functional differentiation of cerebral
    cortex (2009).

    >>> import numpy
    >>> times = numpy.array([0.0, 1.0, 4.0, 5.0])  # intervals 1, 3, 1
    >>> [round(float(interval_variation(times, kind=kind)), 4) for kind in ("cv", "cv2", "lv")]
    [0.5657, 1.0, 0.75]
    """
    _door.choice("kind", kind, ("cv", "cv2", "lv"))
    refractory = _door.number("refractory", refractory, low=0.0)
    if refractory and kind != "lv":
        refuse("refractory", f"0 beside kind={kind!r}", refractory, "Write kind='lv'.")
    times, dtype = single(times)
    times, there = fired(times)
    gap, real = times[..., 1:] - times[..., :-1], there[..., 1:]
    xp, several = namespace(times), _count(real, times) > 1
    value = _spread(gap, real) if kind == "cv" else _local(gap, real, kind, refractory)
    return as_array(xp.where(several, value, xp.nan), dtype)


def vector_strength(times: Annotated[Array, "*B n"], *, period: float) -> Annotated[Array, "*B"]:
    """r = |sum_k exp(2 pi i t_k / P)| / n: how spikes keep to a phase of a rhythm.

    1 where all spikes have one phase, near 0 where they have any: the length of the mean phase
    vector. nan for a silent train. The derivative is taken as 0 where r is.

    Args:
        times: (*B, n), in any order and unit; infinity where there is no spike. Differentiable.
        period: P, above 0, in the unit of the times.

    Raises:
        ValueError: a period out of its range, or times that are nan or minus infinity.

    Source: J. Goldberg and P. Brown, Response of binaural neurons of dog superior olivary complex
    to dichotic tonal stimuli (1969).

    >>> import numpy
    >>> times = numpy.array([0.0, 4.0, 9.0])  # two at phase 0, one at a quarter: |2 + i| / 3
    >>> round(9 * float(vector_strength(times, period=4.0)) ** 2, 6)
    5.0
    """
    period = _door.number("period", period, above=0.0)
    times, dtype = single(times)
    (times, there), xp = fired(times), namespace(times)
    turns = times / period
    phase = 2 * math.pi * (turns - xp.floor(turns))
    count = _count(there, times)
    parts = (xp.sum(xp.where(there, wave(phase), 0), axis=-1) for wave in (xp.cos, xp.sin))
    square = sum(part * part for part in parts)
    value = root(square) / xp.where(count > 0, count, 1)
    return as_array(xp.where(count > 0, value, xp.nan), dtype)


def _spread(gap: Array, real: Array) -> Array:
    """The deviation of the intervals over their mean; 0 where all are 0."""
    xp, count = namespace(gap), _count(real, gap)
    count = xp.where(count > 0, count, 1)
    mean = xp.sum(xp.where(real, gap, 0), axis=-1) / count
    off = xp.where(real, gap - mean[..., None], 0)
    deviation = root(xp.sum(off * off, axis=-1) / count)
    return xp.where(mean > 0, deviation / xp.where(mean > 0, mean, 1), 0)


def _local(gap: Array, real: Array, kind: Kind, refractory: float) -> Array:
    """The mean over neighbouring intervals of how much they differ."""
    xp, first, second = namespace(gap), gap[..., :-1], gap[..., 1:]
    both, whole = real[..., 1:], first + second
    some = both & (whole > 0)
    whole = xp.where(some, whole, 1)
    share = xp.where(some, (second - first) / whole, 0)
    each: Any = 2 * absolute(share)
    if kind == "lv":
        each = 3 * share * share * (1 + 4 * refractory / whole)
    count = _count(both, gap)
    return xp.sum(xp.where(some, each, 0), axis=-1) / xp.where(count > 0, count, 1)


def _count(there: Array, like: Array) -> Array:
    """How many there are."""
    xp = namespace(like)
    return xp.sum(xp.astype(there, like.dtype), axis=-1)
