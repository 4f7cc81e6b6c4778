"""Distances between spike trains, against loops written from the definitions of the papers.

The oracles here take one pair of trains, as lists of times, and are float64; derivatives are finite
differences of them.
"""

import math
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pytest
import torch
from harness import slow_in_jax
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from libraries import DIFFERENTIABLE, JAX, LIBRARIES, NUMPY, TORCH, Array, Library, named, same

from spikeloss.distances import (
    isi_distance,
    spike_distance,
    spike_synchronization,
    van_rossum,
    van_rossum_times,
    victor_purpura,
)
from spikeloss.records import Events, Packed

pytestmark = pytest.mark.alike

differentiable = pytest.mark.parametrize("library", DIFFERENTIABLE, ids=named)
few = settings(
    max_examples=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate]
)
Train = Sequence[float]
INF = math.inf


# Oracles


def spikes(times: Array) -> list[float]:
    return sorted(float(t) for t in times if t < INF)


def grid_oracle(
    a: Array, b: Array, tau: float, *, integral: str = "steps", tail: bool = True
) -> float:
    """van Rossum on trains (n,): the recursion, and the tail as 40 tau more steps of it."""
    y = total = 0.0
    steps = len(a) + (math.ceil(40 * tau) if tail else 0)
    for t in range(steps):
        y = y * math.exp(-1 / tau) + (a[t] - b[t] if t < len(a) else 0.0)
        f = y / tau
        if integral == "steps":
            total += f * f
        else:  # int_0^1 f^2 e^(-2 s / tau) ds
            total += f * f * tau / 2 * (1 - math.exp(-2 / tau))
    return total


def vectors(units: int, cosine: float) -> Array:
    """Directions of length 1 with that cosine between any two of them (Houghton and Sen)."""
    gram = np.full((units, units), cosine) + (1 - cosine) * np.eye(units)
    strength, axes = np.linalg.eigh(gram)
    return axes * np.sqrt(np.maximum(strength, 0.0))


def event_oracle(a: Sequence[Train], b: Sequence[Train], tau: float, cosine: float = 0.0) -> float:
    """int |sum_i (f_a,i - f_b,i) e_i|^2 dt, event by event: between two, traces only decay."""
    directions = vectors(len(a), cosine)
    events = [(t, e) for train, e in zip(a, directions, strict=True) for t in train]
    events += [(t, -e) for train, e in zip(b, directions, strict=True) for t in train]
    events.sort(key=lambda event: event[0])
    y, now, total = np.zeros(len(a)), 0.0, 0.0
    for t, jump in events:
        total += float(y @ y) / (2 * tau) * (1 - math.exp(-2 * (t - now) / tau))
        y, now = y * math.exp(-(t - now) / tau) + jump, t
    return total + float(y @ y) / (2 * tau)


def edit_oracle(a: Sequence[Train], b: Sequence[Train], cost: float, change: float = 0.0) -> float:
    """The cheapest of all matchings of spikes with labels, whatever their order."""
    left = [(t, unit) for unit, train in enumerate(a) for t in train]
    right = [(t, unit) for unit, train in enumerate(b) for t in train]

    def best(i: int, free: frozenset[int]) -> float:
        if i == len(left):
            return float(len(free))
        t, unit = left[i]
        choices = [1 + best(i + 1, free)]
        for j in free:
            s, other = right[j]
            moved = cost * abs(t - s) + (change if unit != other else 0.0)
            choices.append(moved + best(i + 1, free - {j}))
        return min(choices)

    return best(0, frozenset(range(len(right))))


def soft_edit_oracle(a: Train, b: Train, cost: float, softness: float) -> float:
    """-s log sum over all paths of edits of e^(-cost / s)."""

    def paths(i: int, j: int) -> list[float]:
        if i == j == 0:
            return [0.0]
        found = []
        if i:
            found += [path + 1 for path in paths(i - 1, j)]
        if j:
            found += [path + 1 for path in paths(i, j - 1)]
        if i and j:
            found += [path + cost * abs(a[i - 1] - b[j - 1]) for path in paths(i - 1, j - 1)]
        return found

    return -softness * math.log(sum(math.exp(-path / softness) for path in paths(len(a), len(b))))


def each_pair(a: Array, b: Array, oracle: Callable[[Any, Any], float], units: bool) -> Array:
    """The oracle of every pair of trains, or of every pair of groups of them."""
    batch = a.shape[: -2 if units else -1]
    values = np.zeros(batch)
    for index in np.ndindex(batch):
        if units:
            values[index] = oracle([spikes(x) for x in a[index]], [spikes(x) for x in b[index]])
        else:
            values[index] = oracle(spikes(a[index]), spikes(b[index]))
    return values


def slopes(function: Callable[[Array], Array], x: Array, where: Array | None = None) -> Array:
    """Central differences of the sum of function(x), at finite entries."""
    slope = np.zeros_like(x)
    for index in zip(*np.nonzero(np.isfinite(x) if where is None else where), strict=True):
        high, low = x.copy(), x.copy()
        high[index] += 1e-5
        low[index] -= 1e-5
        slope[index] = (function(high).sum() - function(low).sum()) / 2e-5
    return slope


# Fixtures


def trains(seed: int, *shape: int, silent: float = 0.3) -> Array:
    """Times out of order, with padding anywhere."""
    random = np.random.default_rng(seed)
    times = random.uniform(0, 3, shape)
    times[random.random(shape) < silent] = INF
    return times


def record(seed: int, *shape: int) -> Array:
    random = np.random.default_rng(seed)
    return (random.random(shape) < 0.3) * 1.0


def as_times(x: Array) -> Array:
    """Records (T, *B, N) of 0 and 1 as times (*B, N, n)."""
    count = int(x.sum(axis=0).max())
    times = np.full((*x.shape[1:], count), INF)
    for index in np.ndindex(x.shape[1:]):
        steps = np.flatnonzero(x[(slice(None), *index)])
        times[index][: len(steps)] = steps
    return times


A, B = trains(1, 2, 2, 3), trains(2, 2, 2, 2)  # 2 samples, 2 units
A[1, 1], B[0, 0], B[0, 1] = INF, INF, [A[0, 1, 0], INF]  # silent, and a tie
SMOOTH_A, SMOOTH_B = trains(3, 2, 2, 3), trains(4, 2, 2, 2)  # no ties


# van Rossum on the grid

X, Y = record(5, 70, 2, 3), record(6, 70, 2, 3)  # more than two blocks of the recursion
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"tail": False},
    {"integral": "exact"},
    {"integral": "exact", "tail": False},
)


@slow_in_jax
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_grid(library: Library, options: dict[str, Any]) -> None:
    for tau in (0.3, 4.0):
        expected = np.array(
            [
                [grid_oracle(X[:, i, j], Y[:, i, j], tau, **options) for j in range(3)]
                for i in range(2)
            ]
        )
        with library.precision():
            x, y = library.array(X), library.array(Y)
            same(van_rossum(x, y, tau=tau, **options), expected)
            same(van_rossum(x, y, tau=tau, root=True, **options), np.sqrt(expected))
            same(van_rossum(x, x, tau=tau, root=True, **options), np.zeros((2, 3)))


@differentiable
@pytest.mark.parametrize("options", OPTIONS[:3], ids=str)
@pytest.mark.parametrize("cosine", [None, 0.4])
def test_grid_gradient(library: Library, options: dict[str, Any], cosine: float | None) -> None:
    x, y = X[:6] + 0.25, Y[:6]

    def fn(x: Any, y: Any) -> Any:
        return van_rossum(x, y, tau=2.0, cosine=cosine, **options)

    with library.precision():
        here = library.array(y)
        _, grad = library.value_and_grad(lambda x: fn(x, here), library.array(x))
        np.testing.assert_allclose(grad, slopes(lambda x: fn(x, y), x), rtol=1e-6, atol=1e-8)
        here = library.array(x)
        _, other = library.value_and_grad(lambda y: fn(here, y), library.array(y))
        same(other, -grad)
        if cosine is None:  # of D, 1 / (2 D) of that of D^2; 0 for equal trains
            distance, root = library.value_and_grad(
                lambda x: van_rossum(x, library.array(y), tau=2.0, root=True, **options), here
            )
            same(root, grad / (2 * distance))
            _, root = library.value_and_grad(
                lambda x: van_rossum(x, here, tau=2.0, root=True, **options), here
            )
            same(root, np.zeros_like(x))


@slow_in_jax
@pytest.mark.parametrize("cosine", [0.0, 0.3, 1.0])
def test_grid_of_units(library: Library, cosine: float) -> None:
    expected = np.zeros(2)
    e = vectors(3, cosine)
    for i in range(2):  # |sum_j y_j e_j|^2, coordinate by coordinate
        for k in range(3):
            x, y = ((z[:, i] * e[:, k]).sum(-1) for z in (X, Y))
            expected[i] += grid_oracle(x, y, 3.0)
    with library.precision():
        same(van_rossum(library.array(X), library.array(Y), tau=3.0, cosine=cosine), expected)


@slow_in_jax
def test_grid_layout(library: Library) -> None:
    lengths, mask = np.array([41, 7]), record(7, 70, 2) > 0
    cropped = np.array(
        [
            [grid_oracle(X[:n, i, j], Y[:n, i, j], 3.0) for j in range(3)]
            for i, n in enumerate(lengths)
        ]
    )
    kept = np.array(
        [[grid_oracle(X[m, i, j], Y[m, i, j], 3.0) for j in range(3)] for i, m in enumerate(mask.T)]
    )
    with library.precision():
        noisy = np.where(np.arange(70)[:, None, None] < lengths[:, None], X, np.nan)
        x, y = library.array(noisy), library.array(Y)
        same(van_rossum(x, y, tau=3.0, lengths=library.array(lengths)), cropped)
        if library is JAX:  # the rest is that of readouts, and slow to compile
            return
        if library.differentiates:
            _, grad = library.value_and_grad(
                lambda x: van_rossum(x, y, tau=3.0, lengths=library.array(lengths)).sum(), x
            )
            crop = library.array(X[:7, 1:]), library.array(Y[:7, 1:])
            _, short = library.value_and_grad(lambda x: van_rossum(x, crop[1], tau=3.0), crop[0])
            same(grad[:7, 1:], short)
            assert not grad[7:, 1].any()
        noisy = np.where(mask[..., None], X, np.nan)
        x = library.array(noisy)
        same(van_rossum(x, y, tau=3.0, valid=library.array(mask)), kept)
        x = library.array(np.moveaxis(X, 0, 1))
        y = library.array(np.moveaxis(Y, 0, 1))
        whole = van_rossum(library.array(X), library.array(Y), tau=3.0)
        same(van_rossum(x, y, tau=3.0, time_axis=1), library.to_numpy(whole))


def test_grid_dtypes() -> None:
    expected = van_rossum(X, Y, tau=3.0)
    for library in LIBRARIES:
        for dtype in ("float32", "bfloat16", "float16") if library is not JAX else ("bfloat16",):
            x, y = library.array(X, dtype), library.array(Y, dtype)
            same(van_rossum(x, y, tau=3.0), np.asarray(expected).astype(x.dtype.name
                 if library is not TORCH else "float32"), dtype)  # fmt: skip
        for dtype in ("bool", "int64", "uint8") if library is not JAX else ("bool",):
            x, y = library.array(X, dtype), library.array(Y, "float32")
            same(van_rossum(x, y, tau=3.0), expected, "float32")
            same(van_rossum(x, x, tau=3.0), np.zeros((2, 3)), "float32")
    same(van_rossum(Packed.pack(X), Packed.pack(Y), tau=3.0), expected, "float32")
    copies = X.copy(), Y.copy()
    van_rossum(X, Y, tau=3.0, lengths=[70, 3])
    assert np.array_equal(X, copies[0])
    assert np.array_equal(Y, copies[1])


def test_grid_meets_spike_times() -> None:
    """The exact integral is that of spike times at any tau; the sum over steps tends to it."""
    a, b = as_times(X), as_times(Y)
    for tau in (0.4, 3.0, 50.0):
        for cosine in (None, 0.6):
            exact = van_rossum_times(a, b, tau=tau, cosine=cosine)
            on_grid = van_rossum(X, Y, tau=tau, cosine=cosine, integral="exact")
            np.testing.assert_allclose(on_grid, exact, rtol=1e-10)
    errors = []
    for refined in (1, 2, 4, 8):  # the same times on finer grids, in units of the first
        fine = np.zeros((70 * refined, 2, 3)), np.zeros((70 * refined, 2, 3))
        fine[0][::refined], fine[1][::refined] = X, Y
        on_grid = van_rossum(*fine, tau=3.0 * refined) * refined
        errors.append(np.abs(on_grid / van_rossum_times(a, b, tau=3.0) - 1).max())
    assert errors[0] < 0.4
    ratios = np.array(errors[:-1]) / errors[1:]  # of first order in the step
    assert (ratios > 1.9).all()


# van Rossum on spike times


@slow_in_jax
@pytest.mark.parametrize("tau", [0.7])
def test_times(library: Library, tau: float) -> None:
    expected = each_pair(A, B, lambda a, b: event_oracle([a], [b], tau), units=False)
    with library.precision():
        a, b = library.array(A), library.array(B)
        same(van_rossum_times(a, b, tau=tau), expected)
        same(van_rossum_times(a, b, tau=tau, root=True), np.sqrt(expected))
        for cosine in (0.0, 0.5, 1.0) if library is not JAX else (0.5,):
            several = each_pair(A, B, lambda a, b, c=cosine: event_oracle(a, b, tau, c), units=True)
            same(van_rossum_times(a, b, tau=tau, cosine=cosine), several)


@differentiable
@pytest.mark.parametrize(("cosine", "root"), [(None, False), (0.5, True)])
def test_times_gradient(library: Library, cosine: float | None, root: bool) -> None:
    def oracle(a: Any, b: Any) -> float:
        square = event_oracle([a], [b], 0.7) if cosine is None else event_oracle(a, b, 0.7, cosine)
        return math.sqrt(square) if root else square

    with library.precision():
        b = library.array(SMOOTH_B)
        _, grad = library.value_and_grad(
            lambda a: van_rossum_times(a, b, tau=0.7, cosine=cosine, root=root),
            library.array(SMOOTH_A),
        )
        wanted = slopes(
            lambda a: each_pair(a, SMOOTH_B, oracle, units=cosine is not None), SMOOTH_A
        )
        np.testing.assert_allclose(grad, wanted, rtol=1e-5, atol=1e-8)
        a = library.array(SMOOTH_A)
        _, none = library.value_and_grad(
            lambda x: van_rossum_times(x, a, tau=0.7, cosine=cosine, root=root), a
        )
        np.testing.assert_allclose(none, np.zeros_like(SMOOTH_A), atol=1e-6)


@slow_in_jax
def test_times_of_hand(library: Library) -> None:
    with library.precision():
        one, two = library.array(np.array([1.0])), library.array(np.array([INF, 1.0, 2.0]))
        none = library.array(np.zeros(0))
        same(van_rossum_times(one, none, tau=4.0), 1 / 8)
        same(van_rossum_times(none, none, tau=4.0), 0.0)
        same(van_rossum_times(one, two, tau=4.0), 1 / 8)
        far, near = library.array(np.array([9e9])), library.array(np.array([1.0 + 4 * math.log(2)]))
        same(van_rossum_times(one, far, tau=4.0), 1 / 4)  # two spikes, both alone
        same(van_rossum_times(one, near, tau=4.0), 1 / 8)  # 2 (1 - 1/2) / 8


# Victor and Purpura


@slow_in_jax
@pytest.mark.parametrize("cost", [0.0, 0.8, 30.0])
def test_edits(library: Library, cost: float) -> None:
    expected = each_pair(A, B, lambda a, b: edit_oracle([a], [b], cost), units=False)
    with library.precision():
        a, b = library.array(A), library.array(B)
        same(victor_purpura(a, b, cost=cost), expected)
        same(victor_purpura(b, a, cost=cost), expected)


@pytest.mark.parametrize(
    ("library", "change"),
    [
        (NUMPY, 0.0),
        (TORCH, 0.0),
        (NUMPY, 0.6),
        (TORCH, 1.7),
        (NUMPY, 2.0),
        (TORCH, 2.0),
    ],
    ids=str,
)
def test_edits_of_units(library: Library, change: float) -> None:
    a, b = trains(8, 2, 2, 3), trains(9, 2, 2, 2)
    b[0, 0, 0] = a[0, 1, 1] = 1.0  # a coincidence, but of another unit
    expected = each_pair(a, b, lambda a, b: edit_oracle(a, b, 1.3, change), units=True)
    with library.precision():
        x, y = library.array(a), library.array(b)
        same(victor_purpura(x, y, cost=1.3, label_cost=change), expected)


def test_edits_of_units_at_random() -> None:
    for seed in range(30):
        a, b = trains(seed, 3, 2), trains(100 + seed, 3, 2)
        for change in (0.3, 1.0):
            expected = edit_oracle([spikes(x) for x in a], [spikes(x) for x in b], 0.9, change)
            same(victor_purpura(a, b, cost=0.9, label_cost=change), expected)


@slow_in_jax
def test_soft_edits(library: Library) -> None:
    softness = 0.2
    a, b = trains(10, 2, 2, 3), trains(11, 2, 2, 2)
    expected = each_pair(a, b, lambda a, b: soft_edit_oracle(a, b, 1.1, softness), units=False)
    with library.precision():
        x, y = library.array(a), library.array(b)
        same(victor_purpura(x, y, cost=1.1, softness=softness), expected)
        small = victor_purpura(x, y, cost=1.1, softness=1e-6)
        np.testing.assert_allclose(
            library.to_numpy(small), library.to_numpy(victor_purpura(x, y, cost=1.1)), atol=1e-4
        )


def test_soft_edits_are_bounded() -> None:
    a, b = trains(12, 20, 6, silent=0), trains(13, 20, 5, silent=0)
    paths = np.ones((7, 6))
    for i in range(1, 7):
        for j in range(1, 6):
            paths[i, j] = paths[i - 1, j] + paths[i, j - 1] + paths[i - 1, j - 1]
    for softness in (0.05, 1.0, 10.0):
        hard = victor_purpura(a, b, cost=2.0)
        soft = victor_purpura(a, b, cost=2.0, softness=softness)
        assert (soft <= hard).all()
        assert (soft >= hard - softness * math.log(paths[6, 5]) - 1e-9).all()


@differentiable
@pytest.mark.parametrize("options", [{}, {"softness": 0.3}, {"label_cost": 0.7}], ids=str)
def test_edits_gradient(library: Library, options: dict[str, float]) -> None:
    def oracle(a: Any, b: Any) -> float:
        if "label_cost" in options:
            return edit_oracle(a, b, 0.9, options["label_cost"])
        if "softness" in options:
            return soft_edit_oracle(a, b, 0.9, options["softness"])
        return edit_oracle([a], [b], 0.9)

    units = "label_cost" in options
    a, b = trains(3, 2, 2, 1 if units else 3, silent=0.1), trains(4, 2, 2, 2, silent=0.1)
    with library.precision():
        y = library.array(b)
        value, grad = library.value_and_grad(
            lambda x: victor_purpura(x, y, cost=0.9, **options), library.array(a)
        )
        same(value, each_pair(a, b, oracle, units))
        wanted = slopes(lambda a: each_pair(a, b, oracle, units), a)
        np.testing.assert_allclose(grad, wanted, rtol=1e-5, atol=1e-8)
        assert grad.any()


def test_edits_at_the_limits() -> None:
    """Cost 0 counts; with a large one only coincidences are matched."""
    a = np.array([[0.0, 1.0, 2.0, INF], [0.0, 1.0, 2.0, 3.0]])
    b = np.array([[1.0, 2.5, INF, INF], [1.0, 3.0, INF, INF]])
    same(victor_purpura(a, b, cost=0.0), [1.0, 2.0])
    same(victor_purpura(a, b, cost=1e9), [3.0, 2.0])
    same(victor_purpura(a, a[:, ::-1], cost=1e9), [0.0, 0.0])
    same(victor_purpura(a, np.zeros((2, 0)), cost=1.0), [3.0, 4.0])
    same(victor_purpura(np.zeros(0), np.zeros(0), cost=1.0), 0.0)
    pair = a[:, None].repeat(2, axis=1)
    same(victor_purpura(pair, pair[..., :0], cost=1.0, label_cost=0.5), [6.0, 8.0])
    same(victor_purpura(pair[..., :0], pair, cost=1.0, label_cost=0.5), [6.0, 8.0])


# Axioms, for every distance that is a metric

train = st.lists(
    st.one_of(st.floats(0, 5), st.integers(0, 5).map(float), st.just(INF)), min_size=4, max_size=4
)
group = st.lists(train, min_size=2, max_size=2).map(np.array)
METRICS: dict[str, Callable[[Array, Array], Array]] = {
    "van_rossum_times": lambda a, b: van_rossum_times(a, b, tau=0.8, root=True),
    "van_rossum_times units": lambda a, b: van_rossum_times(a, b, tau=0.8, root=True, cosine=0.3),
    "victor_purpura": lambda a, b: victor_purpura(a, b, cost=0.9),
    "victor_purpura units": lambda a, b: victor_purpura(a, b, cost=0.9, label_cost=0.7),
}


@pytest.mark.parametrize("distance", METRICS.values(), ids=METRICS)
@few
@given(a=group, b=group, c=group)
def test_axioms(distance: Callable[..., Array], a: Array, b: Array, c: Array) -> None:
    ab, bc, ac = distance(a, b), distance(b, c), distance(a, c)
    assert (ab >= 0).all()
    np.testing.assert_allclose(distance(b, a), ab, atol=1e-7)
    assert (ac <= ab + bc + 1e-7).all()
    assert (distance(a, a[..., ::-1]) == 0).all()  # whatever the order
    if spikes(a.ravel()) != spikes(b.ravel()):
        assert np.max(ab) > 0
    wide = np.concatenate([np.full((2, 2), INF), a], axis=-1)  # whatever the padding
    np.testing.assert_allclose(distance(wide, b), ab, atol=1e-7)


@few
@given(a=st.lists(st.booleans(), min_size=12, max_size=12), seed=st.integers(0, 99))
def test_axioms_on_the_grid(a: list[bool], seed: int) -> None:
    x, y, z = np.array(a)[:, None] * 1.0, record(seed, 12, 1), record(seed + 100, 12, 1)

    def distance(x: Array, y: Array) -> Array:
        return van_rossum(x, y, tau=2.0, root=True)

    same(distance(x, y), distance(y, x))
    assert distance(x, z) <= distance(x, y) + distance(y, z) + 1e-12
    assert (distance(x, y) > 0) == (x != y).any()


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
def test_batches_broadcast(library: Library) -> None:
    with library.precision():
        a, b = library.array(A), library.array(B)
        for distance in (
            lambda a, b: van_rossum_times(a, b, tau=1.0),
            lambda a, b: victor_purpura(a, b, cost=1.0),
        ):
            every = library.to_numpy(distance(a[:, :, None], b[:, None]))
            assert every.shape == (2, 2, 2)
            for i in range(2):
                same(every[:, i, i], library.to_numpy(distance(a, b))[:, i])


def test_dtypes_of_times() -> None:
    whole = np.array([[1, 4, 7], [2, 2, 9]])
    other = np.array([[1, 5], [2, 9]])
    wanted = van_rossum_times(whole * 1.0, other * 1.0, tau=2.0)
    edits = victor_purpura(whole * 1.0, other * 1.0, cost=0.25)
    for library in (NUMPY, TORCH):
        for dtype in ("int64", "float32"):
            a, b = library.array(whole, dtype), library.array(other, dtype)
            same(van_rossum_times(a, b, tau=2.0), wanted, "float32")
            same(victor_purpura(a, b, cost=0.25), edits, "float32")
        a, b = library.array(whole, "bfloat16"), library.array(other, "bfloat16")
        same(victor_purpura(a, b, cost=0.25), edits, "bfloat16")
    kept = A.copy()
    victor_purpura(A, B, cost=1.0, label_cost=1.0)
    van_rossum_times(A, B, tau=1.0)
    assert np.array_equal(A, kept)


def test_transforms() -> None:
    with JAX.precision():
        a, b = JAX.array(SMOOTH_A[..., :2]), JAX.array(SMOOTH_B[..., :1])
        for distance in (
            lambda a, b: van_rossum_times(a, b, tau=1.0),
            lambda a, b: victor_purpura(a, b, cost=1.0),
        ):
            wanted = JAX.to_numpy(distance(a, b))
            same(jax.jit(jax.vmap(distance))(a, b), wanted)
        x, y = JAX.array(X), JAX.array(Y)
        fn = jax.jit(lambda x, y, n: van_rossum(x, y, tau=3.0, lengths=n))
        n = np.array([50, 8])
        same(fn(x, y, n), van_rossum(X, Y, tau=3.0, lengths=n))
    x, y = TORCH.array(SMOOTH_A), TORCH.array(SMOOTH_B)
    per_sample = torch.func.vmap(
        torch.func.grad(lambda a, b: van_rossum_times(a, b, tau=1.0).sum())
    )
    _, wanted = TORCH.value_and_grad(lambda a: van_rossum_times(a, y, tau=1.0), x)
    same(per_sample(x, y), wanted)


# PySpike


def isi_oracle(a: Train, b: Train, start: float, end: float) -> float:
    """The ISI-distance, interval by interval, with PySpike's rule for the edges."""

    def interval(train: Train, t: float) -> float:
        train = train or [start, end]
        before = [s for s in train if s <= t]
        after = [s for s in train if s > t]
        if not before:
            return (
                max(after[0] - start, after[1] - after[0]) if len(after) > 1 else after[0] - start
            )
        if not after:
            last = end - before[-1]
            return max(last, before[-1] - before[-2]) if len(before) > 1 else last
        return after[0] - before[-1]

    edges = sorted({start, end, *a, *b})
    total = 0.0
    for left, right in pairwise(edges):
        u, v = (interval(train, (left + right) / 2) for train in (a, b))
        total += (right - left) * abs(u - v) / max(u, v)
    return total / (end - start)


def synchronization_oracle(a: Train, b: Train, start: float, end: float) -> float:
    def window(train: Train, i: int) -> float:
        around = [train[i + 1] - train[i]] if i + 1 < len(train) else []
        around += [train[i] - train[i - 1]] if i else []
        return min([*around, end - start]) / 2

    if not a and not b:
        return 1.0
    found = 0
    for i in range(len(a)):
        for j in range(len(b)):
            found += 2 * (abs(a[i] - b[j]) < min(window(a, i), window(b, j)))
    return found / (len(a) + len(b))


@slow_in_jax
def test_pyspike(library: Library) -> None:
    pytest.importorskip("pyspike")
    a, b = trains(14, 5, 3, 4), trains(15, 5, 3, 5)
    with library.precision():
        x, y = library.array(a), library.array(b)
        wanted = each_pair(a, b, lambda a, b: isi_oracle(a, b, 0.0, 3.0), units=False)
        same(isi_distance(x, y, interval=(0.0, 3.0)), wanted)
        wanted = each_pair(a, b, lambda a, b: synchronization_oracle(a, b, 0.0, 3.0), units=False)
        same(spike_synchronization(x, y, interval=(0.0, 3.0)), wanted)
        near = library.to_numpy(spike_distance(x, y, interval=(0.0, 3.0)))
        same(spike_distance(y, x, interval=(0.0, 3.0)), near)
        same(spike_distance(x, x, interval=(0.0, 3.0)), np.zeros((5, 3)))
        assert near.shape == (5, 3)
        assert ((near >= 0) & (near <= 1)).all()
        one, two = library.array(np.array([0.0, 4.0])), library.array(np.array([2.0, 4.0, 0.0]))
        same(spike_distance(one, two, interval=(0.0, 4.0)), 2 / 9)


def test_a_spike_at_the_end_of_the_interval() -> None:
    """An interval is read in the precision of the times: 0.3 is more in float32, and in float16."""
    pytest.importorskip("pyspike")
    for dtype in ("float64", "float32", "float16"):
        a, b = np.array([0.1, 0.3], dtype), np.array([0.2, INF], dtype)
        wanted = isi_oracle([0.1, 0.3], [0.2], 0.1, 0.3)
        found = isi_distance(a, b, interval=(0.1, 0.3))
        np.testing.assert_allclose(found, wanted, rtol=1e-2 if dtype == "float16" else 1e-6)


def test_pyspike_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspike")
    with pytest.raises(ValueError, match=r"^interval: expected spikes from 0 to 2, got 1 to 3\. "):
        isi_distance(np.array([1.0, 3.0]), np.array([1.0]), interval=(0.0, 2.0))
    with pytest.raises(ValueError, match=r"^interval\[1\]: expected a finite number above 2"):
        isi_distance(np.array([1.0]), np.array([1.0]), interval=(2.0, 2.0))
    with pytest.raises(TypeError, match=r"^interval: expected a pair \(start, end\), got float\. "):
        isi_distance(np.array([1.0]), np.array([1.0]), interval=2.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^a_times: expected spike times with values, got traced"):
        jax.jit(lambda a: isi_distance(a, a, interval=(0.0, 2.0)))(JAX.array([1.0]))
    monkeypatch.setitem(sys.modules, "pyspike", None)
    for distance in (isi_distance, spike_distance, spike_synchronization):
        with pytest.raises(ImportError, match=r"^pyspike: .* pip install .*\[distances\]\"\.$"):
            distance(np.array([1.0]), np.array([1.0]), interval=(0.0, 2.0))


# Errors

TIMES = np.array([[1.0, 2.0]])
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "tau": (lambda: van_rossum(X, Y, tau=0.0), ValueError, "tau: expected a finite number above 0"),
    "cosine": (lambda: van_rossum(X, Y, tau=1.0, cosine=2.0), ValueError, "cosine: expected a nu"),
    "integral": (
        lambda: van_rossum(X, Y, tau=1.0, integral="sum"),  # type: ignore[arg-type]
        ValueError,
        "integral: expected 'steps' or 'exact', got 'sum'",
    ),
    "shape": (lambda: van_rossum(X, Y[1:], tau=1.0), ValueError, "b: expected the shape of a, (70"),
    "library": (
        lambda: van_rossum(X, TORCH.array(Y), tau=1.0),
        TypeError,
        "b: expected a NumPy array like the record, got a torch tensor.",
    ),
    "events": (
        lambda: van_rossum(
            Events(*np.zeros((3, 1), dtype=int), shape=(5, 1, 1)), X[:5, :1, :1], tau=1.0
        ),
        TypeError,
        "record: expected a dense record",
    ),
    "root": (lambda: van_rossum(X, Y, tau=1.0, root=2), ValueError, "root: expected True or False"),  # type: ignore[arg-type]
    "nan": (
        lambda: victor_purpura(TIMES, TIMES * np.nan, cost=1.0),
        ValueError,
        "b_times: expected times, infinity where there is no spike, got nan. Pad",
    ),
    "minus": (
        lambda: van_rossum_times(-TIMES / 0.0, TIMES, tau=1.0),
        ValueError,
        "a_times: expected times, infinity where there is no spike, got -inf",
    ),
    "axes": (
        lambda: van_rossum_times(TIMES[0], TIMES[0], tau=1.0, cosine=0.0),
        ValueError,
        "a_times: expected 2 axes or more, (*batch, units, spikes), got shape (2,)",
    ),
    "units": (
        lambda: victor_purpura(TIMES, TIMES.repeat(2, 0), cost=1.0, label_cost=1.0),
        ValueError,
        "b_times: expected 1 units, as a_times has, got shape (2, 2)",
    ),
    "batch": (
        lambda: victor_purpura(TIMES.repeat(2, 0), TIMES.repeat(3, 0), cost=1.0),
        ValueError,
        "b_times: expected batch axes that go with (2,), got (3,)",
    ),
    "softness": (
        lambda: victor_purpura(TIMES, TIMES, cost=1.0, softness=1.0, label_cost=1.0),
        ValueError,
        "softness: expected 0 beside label_cost, got 1.0",
    ),
    "label_cost": (
        lambda: victor_purpura(TIMES, TIMES, cost=1.0, label_cost=3.0),
        ValueError,
        "label_cost: expected a number from 0 to 2",
    ),
    "table": (
        lambda: victor_purpura(np.ones((9, 9)), np.ones((9, 9)), cost=1.0, label_cost=1.0),
        ValueError,
        "b_times: expected 9 units of so few spikes that (m + 1)^9 <= 1000000, got m = 9",
    ),
    "cost": (
        lambda: victor_purpura(TIMES, TIMES, cost=-1.0),
        ValueError,
        "cost: expected a finite",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    call, error, text = REFUSED[name]
    with np.errstate(all="ignore"), pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)


# Other packages


def test_elephant() -> None:
    """elephant's van Rossum distance is sqrt(2 tau) D; its Victor-Purpura distance is ours."""
    from elephant.spike_train_dissimilarity import van_rossum_distance, victor_purpura_distance
    from neo import SpikeTrain
    from quantities import Hz, s

    rng = np.random.default_rng(5)
    trains = [np.sort(rng.uniform(0, 10, count)) for count in (4, 7, 0)]
    theirs = [SpikeTrain(times * s, t_stop=10 * s) for times in trains]
    times = np.stack([np.pad(train, (0, 7 - len(train)), constant_values=INF) for train in trains])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for tau in (0.3, 2.0):
            wanted = van_rossum_distance([theirs[i], theirs[j]], tau * s)[0, 1]
            ours = van_rossum_times(times[i], times[j], tau=tau, root=True)
            same(np.asarray(math.sqrt(2 * tau) * ours), np.asarray(wanted))
        for cost in (0.5, 3.0):
            wanted = victor_purpura_distance([theirs[i], theirs[j]], cost * Hz)[0, 1]
            same(np.asarray(victor_purpura(times[i], times[j], cost=cost)), np.asarray(wanted))
