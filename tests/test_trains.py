"""How trains of spikes coincide, vary and keep to a rhythm: loops over their definitions, elephant.

The oracles take trains as lists of times in order, and tile time by events, not by formulas.
"""

import cmath
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import DIFFERENTIABLE, JAX, NUMPY, TORCH, Array, Library, named, same
from test_distances import few, slopes, spikes, trains

from spikeloss.distances import correlation_index, spike_time_tiling
from spikeloss.metrics import interval_variation, vector_strength

INF = math.inf
INTERVAL = (-0.5, 3.5)
Train = Sequence[float]
A, B = trains(21, 5, 3, 4), trains(22, 5, 3, 6)
A[0, 0], B[1, 1] = INF, INF  # silent trains
A[2, 0, 1:], B[2, 0, 1:] = INF, INF  # single spikes
B[3, 1, :4] = A[3, 1]  # coincidences


# Oracles


def tiled(train: Train, window: float, start: float, end: float) -> float:
    """The share of the interval near a spike, stretch by stretch between all edges."""
    edges = {start, end} | {t + side * window for t in train for side in (-1, 1)}
    total = 0.0
    for left, right in pairwise(sorted(min(max(edge, start), end) for edge in edges)):
        if any(abs((left + right) / 2 - t) <= window for t in train):
            total += right - left
    return total / (end - start)


def tiling(a: Train, b: Train, window: float, start: float, end: float) -> float:
    if not a or not b:
        return math.nan
    terms = []
    for one, other in ((a, b), (b, a)):
        share = sum(any(abs(t - s) <= window for s in other) for t in one) / len(one)
        tile = tiled(other, window, start, end)
        terms.append(1.0 if share == 1 else (share - tile) / (1 - share * tile))
    return sum(terms) / 2


def index(a: Train, b: Train, window: float, start: float, end: float) -> float:
    if not a or not b:
        return math.nan
    pairs = sum(abs(t - s) <= window for t in a for s in b)
    return pairs * (end - start) / (len(a) * len(b) * 2 * window)


def variation(train: Train, kind: str, refractory: float) -> float:
    gaps = [t - s for s, t in pairwise(train)]
    if len(gaps) < 2:
        return math.nan
    mean = sum(gaps) / len(gaps)
    if kind == "cv":
        square = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
        return math.sqrt(square) / mean if mean else 0.0
    total = 0.0
    for one, other in pairwise(gaps):
        both = one + other
        if not both:
            continue
        if kind == "cv2":
            total += 2 * abs(one - other) / both
        else:
            total += 3 * (1 - 4 * one * other / both**2) * (1 + 4 * refractory / both)
    return total / (len(gaps) - 1)


def strength(train: Train, period: float) -> float:
    if not train:
        return math.nan
    return abs(sum(cmath.exp(2j * math.pi * t / period) for t in train)) / len(train)


def each(oracle: Callable[..., float], *of: Array) -> Array:
    batch = of[0].shape[:-1]
    found = [oracle(*(spikes(x[place]) for x in of)) for place in np.ndindex(batch)]
    return np.reshape(np.array(found), batch)


# Two trains

PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
    "spike_time_tiling": (spike_time_tiling, tiling),
    "correlation_index": (correlation_index, index),
}


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)  # JAX: test_transforms
@pytest.mark.parametrize("name", PAIRS)
def test_coincidences(name: str, library: Library) -> None:
    function, oracle = PAIRS[name]
    for window in (0.05, 0.4, 5.0):
        wanted = each(lambda a, b, w=window: oracle(a, b, w, *INTERVAL), A, B)
        assert np.isnan(wanted).sum() == 2
        for dtype in ("float64", "float32"):
            with library.precision(dtype):
                a, b = library.array(A, dtype), library.array(B, dtype)
                same(function(a, b, window=window, interval=INTERVAL), wanted, dtype)
                same(function(b, a, window=window, interval=INTERVAL), wanted, dtype)
    if library is NUMPY:
        several = function(A[:, :, None], B[:, None], window=0.4, interval=INTERVAL)
        assert several.shape == (5, 3, 3)
        same(several[:, [0, 1, 2], [0, 1, 2]], function(A, B, window=0.4, interval=INTERVAL))
        wide = np.concatenate([np.full((5, 3, 1), INF), A], axis=-1)
        same(function(wide, B, window=0.4, interval=INTERVAL),
             function(A, B, window=0.4, interval=INTERVAL))  # fmt: skip
        whole, half = np.array([1, 4, 7]), np.array([1.0, 5.0], np.float16)
        same(function(whole, whole, window=1, interval=(0, 8)),
             oracle([1, 4, 7], [1, 4, 7], 1, 0, 8), "float32")  # fmt: skip
        edge = np.array([0.3, INF], np.float16)  # 0.30005 there
        assert np.isfinite(function(edge, edge, window=0.1, interval=(0, 0.3)))
        same(function(half, half, window=1, interval=(0, 8)),
             oracle([1, 5], [1, 5], 1, 0, 8), "float16")  # fmt: skip
        none = np.zeros(0)
        assert np.isnan(function(none, A[1], window=1.0, interval=INTERVAL)).all()


times = st.lists(st.integers(0, 16).map(lambda n: n / 4), max_size=5)


@few
@given(a=times, b=times, window=st.sampled_from((0.25, 1.0, 4.0)))
def test_coincidences_with_ties(a: list[float], b: list[float], window: float) -> None:
    for function, oracle in PAIRS.values():
        found = function(np.array(a, float), np.array(b, float), window=window, interval=(0, 4))
        same(found, oracle(sorted(a), sorted(b), window, 0, 4))
    if a:
        same(spike_time_tiling(np.array(a), np.array(a), window=window, interval=(0, 4)), 1.0)


def test_tiling_is_free_of_rates() -> None:
    """Of independent trains near 0 at every rate; the index has no such scale for equal ones."""
    rng = np.random.default_rng(0)
    for count in (200, 1000):
        a, b = rng.uniform(0, 1000, (2, count))
        near = spike_time_tiling(a, b, window=0.5, interval=(0, 1000))
        assert abs(near) < 0.1
        assert abs(correlation_index(a, b, window=0.5, interval=(0, 1000)) - 1) < 0.2
    rates = [correlation_index(a[:n], a[:n], window=0.5, interval=(0, 1000)) for n in (100, 1000)]
    assert rates[0] > 5 * rates[1]


@pytest.mark.filterwarnings("ignore:The 'copy' argument in Quantity is deprecated")
def test_elephant_coincidences() -> None:
    """Its coefficient is ours; its histogram of lags counts the pairs of the index."""
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import (
        cross_correlation_histogram,
        spike_time_tiling_coefficient,
    )
    from neo import SpikeTrain
    from quantities import s

    rng = np.random.default_rng(5)
    found = [np.sort(rng.uniform(0, 10, count)) for count in (4, 17, 1)]
    theirs = [SpikeTrain(each * s, t_stop=10 * s) for each in found]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for window in (0.1, 1.0, 20.0):
            wanted = spike_time_tiling_coefficient(theirs[i], theirs[j], window * s)
            ours = spike_time_tiling(found[i], found[j], window=window, interval=(0, 10))
            same(ours, wanted)
    grid = [np.sort(rng.choice(50, 12, replace=False)) for _ in range(2)]
    binned = [BinnedSpikeTrain(SpikeTrain((t + 0.5) * s, t_stop=50 * s), bin_size=1 * s)
              for t in grid]  # fmt: skip
    lags, _ = cross_correlation_histogram(*binned, window=[-3, 3])
    pairs = float(lags.magnitude.sum())
    ours = correlation_index(*(t + 0.5 for t in grid), window=3.0, interval=(0, 50))
    same(ours, pairs * 50 / (6 * 144))


# One train

SINGLE: dict[str, tuple[Callable[..., Any], Callable[[Train], float]]] = {
    "cv": (lambda t: interval_variation(t), lambda t: variation(t, "cv", 0.0)),
    "cv2": (lambda t: interval_variation(t, kind="cv2"), lambda t: variation(t, "cv2", 0.0)),
    "lv": (lambda t: interval_variation(t, kind="lv"), lambda t: variation(t, "lv", 0.0)),
    "lvr": (
        lambda t: interval_variation(t, kind="lv", refractory=0.1),
        lambda t: variation(t, "lv", 0.1),
    ),
    "strength": (lambda t: vector_strength(t, period=0.7), lambda t: strength(t, 0.7)),
}


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)  # JAX: test_transforms
@pytest.mark.parametrize("name", SINGLE)
def test_trains(name: str, library: Library) -> None:
    function, oracle = SINGLE[name]
    wanted = each(oracle, B)
    assert np.isnan(wanted).any()
    assert np.isfinite(wanted).sum() > 8
    for dtype in ("float64", "float32"):
        with library.precision(dtype):
            found = function(library.array(B, dtype))
            if dtype == "float64":
                same(found, wanted)
            else:
                np.testing.assert_allclose(library.to_numpy(found), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("library", DIFFERENTIABLE, ids=named)
@pytest.mark.parametrize("name", SINGLE)
def test_slopes(name: str, library: Library) -> None:
    function, oracle = SINGLE[name]
    with library.precision():
        function = jax.jit(function) if library is JAX else function
        _, grad = library.value_and_grad(function, library.array(B))
        wanted = slopes(lambda x: np.nan_to_num(each(oracle, x)), B)
        np.testing.assert_allclose(grad, wanted, rtol=1e-5, atol=1e-7)
        clock = library.array(np.broadcast_to(np.arange(6.0), B.shape))
        if name != "strength":  # at the kink, where there is no variation
            value, grad = library.value_and_grad(function, clock)
            same(value, np.zeros(B.shape[:-1]))
            same(grad, np.zeros(B.shape))


@few
@given(train=times)
def test_trains_with_ties(train: list[float]) -> None:
    for function, oracle in SINGLE.values():
        same(function(np.array(train, float)), oracle(sorted(train)))


def test_trains_by_hand() -> None:
    same(vector_strength(np.array([0.25, 1.25, 7.25]), period=1.0), 1.0)
    np.testing.assert_allclose(vector_strength(np.array([0.0, 0.5]), period=1.0), 0.0, atol=1e-15)
    bursts = np.array([0.0, 0.1, 0.2, 10.0, 10.1, 10.2, 20.0, 20.1, 20.2])
    assert interval_variation(bursts) > 1.5
    drift = np.cumsum(np.linspace(1, 5, 60))  # the rate alone changes
    assert interval_variation(drift) > 0.3
    assert interval_variation(drift, kind="lv") < 0.01
    whole = np.array([0, 1, 4, 5])
    same(interval_variation(whole, kind="cv2"), 1.0, "float32")
    same(interval_variation(whole.astype(np.float16), kind="cv2"), 1.0, "float16")


def test_elephant_trains() -> None:
    from elephant.phase_analysis import mean_phase_vector
    from elephant.statistics import cv, cv2, lv, lvr
    from quantities import ms

    for seed in range(5):
        train = np.sort(np.random.default_rng(seed).uniform(0, 100, 7 + seed))
        gaps = np.diff(train)
        same(interval_variation(train), cv(gaps))
        same(interval_variation(train, kind="cv2"), cv2(gaps))
        same(interval_variation(train, kind="lv"), lv(gaps))
        wanted = lvr(gaps * ms, R=5 * ms)
        same(interval_variation(train, kind="lv", refractory=5.0), wanted)
        _, length = mean_phase_vector(2 * np.pi * train / 3.0)
        same(vector_strength(train, period=3.0), length)


# Transforms and errors


def test_transforms() -> None:
    with JAX.precision():
        a, b = JAX.array(A), JAX.array(B)
        for function, _ in PAIRS.values():
            wanted = function(A, B, window=0.4, interval=INTERVAL)
            both = jax.jit(
                jax.vmap(lambda a, b, f=function: f(a, b, window=0.4, interval=INTERVAL))
            )
            same(both(a, b), wanted)
            outside = jax.jit(lambda a, b, f=function: f(a, b, window=0.4, interval=(0.0, 2.0)))
            late = np.array([[(x[np.isfinite(x)] > 2).any() for x in row] for row in A])
            late |= np.array([[(x[np.isfinite(x)] > 2).any() for x in row] for row in B])
            assert np.isnan(JAX.to_numpy(outside(a, b))[late]).all()
            assert late.sum() > 3
        for function, _ in SINGLE.values():
            same(jax.jit(jax.vmap(function))(b), function(B))


TIMES = np.array([1.0, 2.0])
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "window: expected a finite number above 0, got 0. Choose window > 0.": (
        lambda: spike_time_tiling(TIMES, TIMES, window=0, interval=(0, 3)),
        ValueError,
    ),
    "interval: expected a pair (start, end), got float. Write interval=(0.0, end).": (
        lambda: correlation_index(TIMES, TIMES, window=1, interval=3.0),  # type: ignore[arg-type]
        TypeError,
    ),
    "interval[1]: expected a finite number above 3, got 3. Choose interval[1] > 3.": (
        lambda: correlation_index(TIMES, TIMES, window=1, interval=(3, 3)),
        ValueError,
    ),
    "interval: expected spikes from 0 to 1.5, got 1 to 2. "
    "Choose an interval that holds every spike.": (
        lambda: spike_time_tiling(TIMES, TIMES[:1], window=1, interval=(0, 1.5)),
        ValueError,
    ),
    "b_times: expected a NumPy array like the record, got a torch tensor. "
    "Write torch.as_tensor(record).": (
        lambda: spike_time_tiling(TIMES, TORCH.array(TIMES), window=1, interval=(0, 3)),
        TypeError,
    ),
    "times: expected times, infinity where there is no spike, got nan. Pad the trains with inf.": (
        lambda: interval_variation(TIMES * np.nan),
        ValueError,
    ),
    "kind: expected 'cv', 'cv2' or 'lv', got 'lvr'. Write kind='cv'.": (
        lambda: interval_variation(TIMES, kind="lvr"),  # type: ignore[arg-type]
        ValueError,
    ),
    "refractory: expected 0 beside kind='cv', got 1. Write kind='lv'.": (
        lambda: interval_variation(TIMES, refractory=1),
        ValueError,
    ),
    "period: expected a finite number above 0, got -1. Choose period > 0.": (
        lambda: vector_strength(TIMES, period=-1),
        ValueError,
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message: str) -> None:
    call, error = REFUSED[message]
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
