"""Ties go to the lowest class, within the rounding of the sums: in every library, stream and order.

Two classes that have the same numbers, at the same steps or, where time does not matter, at others,
have the same evidence. Evidence that differs by more than rounding does not tie.
"""

from fractions import Fraction
from typing import Any

import jax
import numpy as np
import pytest
import torch
from harness import slow_in_jax
from libraries import DIFFERENTIABLE, JAX, Array, Library, named, same

from spikeloss import Loss, metrics, presets, stream
from spikeloss.criteria import CrossEntropy, EarlySpike, RelativeTime, TimeProximity
from spikeloss.readouts import (
    CumulativeSoftmax,
    Decided,
    EveryStep,
    FilteredTrace,
    LogSumExp,
    MeanOverTime,
    MovingWindow,
    PeakWindow,
    Population,
    Readout,
    SumOverTime,
    Temperature,
    WeightedSum,
)
from spikeloss.reductions import Sum
from spikeloss.targets import StoredPattern

B, N = 100, 7
SYMMETRIC = (SumOverTime(), MeanOverTime(), EveryStep(), LogSumExp(), LogSumExp(sharpness=5.0))
CAUSAL = (
    *(WeightedSum(tau=3.0), FilteredTrace(tau=4.0), FilteredTrace(tau=4.0, rise=2.0)),
    *(MovingWindow(width=3), PeakWindow(width=4), Temperature(LogSumExp(), scale=3.0)),
)


def tied(rng: np.random.Generator, steps: int, membrane: bool, permuted: bool) -> tuple[Any, Array]:
    """A record in which the best class has a twin, and the lower one of both, (B)."""
    x = rng.normal(size=(steps, B, N)) if membrane else rng.random((steps, B, N)) * 2
    x = (x * 10.0 ** rng.uniform(-2, 2, size=(1, B, 1))).astype(np.float32)
    x[..., 3] = np.abs(x[..., 3]) + np.abs(x).max(axis=2) * 1.01  # above all others at every step
    other = rng.choice([0, 1, 2, 4, 5, 6], B)
    rows = np.arange(B)
    order = rng.permutation(steps) if permuted else np.arange(steps)
    x[:, rows, other] = x[order][:, rows, 3]
    return x, np.minimum(other, 3)


def decisions(library: Library, loss: Loss, x: Array) -> dict[str, Array]:
    """What is decided of a whole record, step by step, in chunks, with lengths; in JAX compiled."""
    record, fold = library.array(x), loss.fold()
    if library is JAX:

        def scanned(record: Any) -> Any:
            state = fold.init(record[0])
            state, _ = jax.lax.scan(lambda s, x_t: (fold.step(s, x_t), None), state, record)
            return fold.predict(state)

        both = jax.jit(lambda record: (loss.predict(record), scanned(record)))(record)
        return dict(zip(("jit", "scan"), map(library.to_numpy, both), strict=True))
    full, steps, chunks = np.full(x.shape[1], len(x)), loss.stream(), loss.stream()
    for step in record:
        steps.step(step)
    for start in (0, len(x) // 3):
        chunks.steps(record[start : len(x) // 3 if not start else None])
    found = {
        "whole": loss.predict(record),
        "padded": loss.predict(record, lengths=library.array(full)),
        "steps": steps.predict(),
        "chunks": chunks.predict(),
        "top": metrics.top_k(loss, record, loss.predict(record), k=1),
    }
    return {name: library.to_numpy(value) for name, value in found.items()}


@slow_in_jax
@pytest.mark.parametrize("readout", [*SYMMETRIC, *CAUSAL], ids=str)
def test_ties_go_to_the_lowest_class(library: Library, readout: Readout) -> None:
    rng = np.random.default_rng(0)
    loss = Loss(readout, CrossEntropy())
    for steps in (25, 70) if library is not JAX else (70,):
        for membrane in (False, True):
            x, lowest = tied(rng, steps, membrane, readout in SYMMETRIC)
            for name, found in decisions(library, loss, x).items():
                expected = 1 if name == "top" else lowest
                assert (found == expected).all(), (steps, membrane, name)


@slow_in_jax
@pytest.mark.parametrize("amplitude", [1.0, 30.0])
def test_ties_of_votes(library: Library, amplitude: float) -> None:
    """Steps whose numbers two classes have exchanged give both the same votes."""
    rng = np.random.default_rng(1)
    for steps in (24, 70) if library is not JAX else (70,):
        x = (amplitude * rng.normal(size=(steps // 2, B, N))).astype(np.float32)
        x[..., 1], x[..., 5] = x.max(axis=2) + 1, x.max(axis=2) - 1
        x = np.concatenate([x, x[..., [0, 5, 2, 3, 4, 1, 6]]])[rng.permutation(steps)]
        for name, found in decisions(library, Loss(CumulativeSoftmax(), CrossEntropy()), x).items():
            assert (found == 1).all(), (steps, name)


@slow_in_jax
@pytest.mark.parametrize("pool", ["sum", "mean"])
def test_ties_of_populations(library: Library, pool: Any) -> None:
    rng = np.random.default_rng(2)
    group = rng.random((25, B, 5)).astype(np.float32)
    low = (0.5 * rng.random((25, B, 5))).astype(np.float32)
    x = np.concatenate([low, group, low, group[..., rng.permutation(5)]], axis=2)
    loss = Loss(Population(MeanOverTime(), classes=4, pool=pool), CrossEntropy())
    for name, found in decisions(library, loss, x).items():
        assert (found == 1).all(), name


@slow_in_jax
@pytest.mark.parametrize("readout", [*SYMMETRIC, *CAUSAL, CumulativeSoftmax()], ids=str)
def test_what_differs_does_not_tie(library: Library, readout: Readout) -> None:
    rng = np.random.default_rng(3)
    x = np.repeat(1 + rng.random((25, B, 1)), N, axis=2)
    x[..., 4] *= 1 + 4e-5 if isinstance(readout, CumulativeSoftmax) else 1 + 1e-5
    for name, found in decisions(library, Loss(readout, CrossEntropy()), x.astype("f4")).items():
        assert (found == (1 if name == "top" else 4)).all(), name


@slow_in_jax
def test_what_is_exact_ties_only_when_equal(library: Library) -> None:
    z = np.array([[1.0, np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    assert int(Loss(Decided(), CrossEntropy()).predict(library.array(z))[0]) == 1
    one_more = np.concatenate([np.ones((2**12, 1, 2)), [[[0.0, 1.0]]]]).astype(np.float32)
    assert int(Loss(SumOverTime(), CrossEntropy()).predict(library.array(one_more))[0]) == 1


@slow_in_jax
def test_masked_chunks_tie_as_whole_ones_do(library: Library) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 256, 2)) * 10.0 ** rng.integers(-3, 6, (70, 256, 2))
    x[..., 0] = x[rng.permutation(70), :, 1]  # the same numbers, most of which cancel
    stream, valid = Loss(SumOverTime(), CrossEntropy()).stream(), np.ones((70, 256), dtype=bool)
    stream.steps(library.array(x.astype(np.float32)), valid=library.array(valid))
    assert not library.to_numpy(stream.predict()).any()


@slow_in_jax
def test_infinite_evidence(library: Library) -> None:
    z = library.array(np.array([[-np.inf, 3.0, 3.0], [1.0, np.inf, np.inf]]), "float32")
    assert Loss(Decided(), CrossEntropy()).predict(z).tolist() == [1, 1]
    assert Loss(MeanOverTime(), CrossEntropy()).predict(z[None]).tolist() == [1, 1]


@slow_in_jax
def test_of_times_the_smallest_decides(library: Library) -> None:
    z = library.array(np.array([[2.0, 1.0, 3.0], [np.inf, 4.0, np.inf]]), "float32")
    for criterion in (RelativeTime(delay=1.0), EarlySpike(tau=1.0), TimeProximity(tau=1.0)):
        loss = Loss(Decided(), criterion)
        assert loss.predict(z).tolist() == [1, 1]
        assert float(metrics.top_k(loss, z, library.array(np.array([0, 1])), k=2)) == 1
    assert Loss(Decided(), CrossEntropy()).predict(z[:1]).tolist() == [2]


@slow_in_jax
def test_ties_of_patterns(library: Library) -> None:
    loss = Loss(MeanOverTime(), CrossEntropy(), StoredPattern(((0.1, 0.2), (0.2, 0.1), (9.0, 9.0))))
    record = np.repeat(np.array([[[0.7, 0.7]]], np.float32), 10, axis=0)
    assert int(loss.predict(library.array(record))[0]) == 0


@slow_in_jax
def test_anytime_ties(library: Library) -> None:
    rng = np.random.default_rng(4)
    x, lowest = tied(rng, 25, False, False)
    labels = library.array(lowest)
    for readout in (SumOverTime(), EveryStep(), FilteredTrace(tau=4.0), LogSumExp()):
        curve = metrics.anytime_accuracy(readout, library.array(x), labels)
        assert library.to_numpy(curve).tolist() == [1.0] * 25


# Streams that never end


@slow_in_jax
def test_counts_go_on(library: Library) -> None:
    """2^24 spikes and then 1000 more, each of which float32 alone would lose."""
    fold = Loss(SumOverTime(), CrossEntropy()).fold()
    ones = library.array(np.ones((1, 2), np.float32))
    state = fold.init(ones)
    state = fold.steps(state, ones[None] * 2.0**24)
    if library is JAX:
        state = jax.jit(
            lambda s: jax.lax.scan(lambda s, _: (fold.step(s, ones), None), s, length=1000)[0]
        )(state)
    else:
        for _ in range(1000):
            state = fold.step(state, ones)
    assert library.to_numpy(state.taken.reads[0].carry.value).tolist() == [[2.0**24 + 1000] * 2]


def test_a_state_is_of_arrays() -> None:
    state = Loss(EveryStep(), CrossEntropy()).fold(torch.tensor([0])).init(torch.zeros(1, 2))
    leaves = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, torch.Tensor))
    assert all(isinstance(leaf, (torch.Tensor, int)) for leaf in leaves)
    assert isinstance(state, stream.State)


# Shares of spikes


def moved(u: Array, v: Array) -> tuple[float, Array]:
    """Steps by which integer spikes (T, N) are moved, and the derivative, 0 where shares are equal.

    By fractions, so that equal shares are equal.
    """
    steps, neurons = u.shape
    far, slope = Fraction(0), np.zeros(u.shape)
    for i in range(neurons):
        p, q = (
            [Fraction(int(x[: t + 1, i].sum()), int(x[:, i].sum())) for t in range(steps)]
            for x in (u, v)
        )
        for t in range(steps):
            far += abs(p[t] - q[t]) / neurons
            for s in range(steps):
                sign = (p[t] > q[t]) - (p[t] < q[t])
                share = ((s <= t) - p[t]) / int(u[:, i].sum())
                slope[s, i] += float(sign * share / neurons)
    return float(far), slope


TRAINS = np.random.default_rng(0).integers(0, 4, size=(7, 5, 3))
TRAINS[-1] = 1
TRAINS[:, 1], TRAINS[:, 2, 0] = 3 * TRAINS[:, 0], 7 * TRAINS[:, 0, 0]
SCALES = np.array([0.1, 0.7, 0.3, 1.1, 0.9])[:, None]
"""Of five samples that have equal shares in part, but not in floating point."""


def test_equal_shares_differ_by_rounding() -> None:
    p = np.cumsum(TRAINS * SCALES, 0) / np.sum(TRAINS * SCALES, 0)
    assert 0 < np.abs(p[:, 0] - p[:, 1]).max() < 1e-15


@pytest.mark.parametrize("library", DIFFERENTIABLE, ids=named)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_shares_that_differ_by_rounding_have_no_derivative(library: Library, dtype: str) -> None:
    samples = range(5)
    other = (0, 0, 0, 3, 0)  # the target of each sample
    alone, pairs = np.zeros((2, *TRAINS.shape))
    for i in samples:
        alone[:, i] = moved(TRAINS[:, i], TRAINS[:, other[i]])[1] / SCALES[i]
        for j in samples:
            far, slope = moved(TRAINS[:, i], TRAINS[:, j])
            pairs[:, i] -= 2 * np.exp(-far) * slope / 5 / SCALES[i]
    mover = presets.earth_mover(reduction=Sum())
    alike = presets.spike_similarity(kernel="earth_mover", power=1, reduction=Sum())
    with library.precision(dtype):
        x = library.array(TRAINS * SCALES, dtype)
        y = library.array(1.3 * TRAINS[:, other], dtype)
        labels = library.array(np.arange(5))
        same(library.value_and_grad(lambda x: mover(x, y), x)[1], alone, dtype)
        same(library.value_and_grad(lambda x: alike(x, labels), x)[1], pairs, dtype)
