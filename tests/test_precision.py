"""float32 where rounding is hardest: high temperatures, infinite times, distances, long records.

What is right is said by loops in float64 and, where even those lose digits, in 60 of them.
"""

import math
from collections.abc import Callable
from decimal import Decimal, getcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from harness import slow_in_jax
from libraries import NUMPY, TORCH, Array, Library, named, same

from spikeloss import Loss, presets
from spikeloss.criteria import (
    BinaryCrossEntropy,
    CrossEntropy,
    Distillation,
    EarlySpike,
    Level,
    RelativeTime,
)
from spikeloss.readouts import (
    CumulativeSoftmax,
    Decided,
    EveryStep,
    LogSumExp,
    MeanOverTime,
    MovingWindow,
    Readout,
    SumOverTime,
    Temperature,
    WeightedSum,
)
from spikeloss.reductions import Each, Sum

INF = math.inf
getcontext().prec = 60


def found(library: Library, loss: Callable[..., Any], x: Any) -> tuple[Array, Array | None]:
    """The value and, where there is one, the gradient in float32."""
    if library.differentiates:
        return library.value_and_grad(loss, library.array(x, "float32"))
    return library.value(loss, library.array(x, "float32")), None


def close(actual: Any, expected: Any, relative: float) -> None:
    """As near as that to the largest of the numbers."""
    expected = np.asarray(expected, np.float64)
    assert np.abs(np.asarray(actual) - expected).max() <= relative * np.abs(expected).max()


# Distillation


def imitation(z: Array, y: Array, temperature: float) -> tuple[float, list[float]]:
    """T^2 sum_c q_c log(q_c / p_c) and T (p_c - q_c) of one sample, in 60 digits."""
    t = Decimal(temperature)

    def softmax(x: Array) -> list[Decimal]:
        each = [(Decimal(float(part)) / t).exp() for part in x]
        return [part / sum(each) for part in each]

    q, p = softmax(y), softmax(z)
    value = sum(a * (a / b).ln() for a, b in zip(q, p, strict=True))
    return float(t * t * value), [float(t * (b - a)) for a, b in zip(q, p, strict=True)]


@slow_in_jax
@pytest.mark.parametrize("temperature", [1.0, 100.0, 1000.0, 1e5])
def test_distillation_at_any_temperature(library: Library, temperature: float) -> None:
    rng = np.random.default_rng(0)
    z, y = (3 * rng.normal(size=(2, 4, 7)) + [[[0]], [[20]]]).astype(np.float32)
    y[3] = z[3] + 1e-3 * rng.normal(size=7).astype(np.float32)
    expected, slope = zip(*map(imitation, z, y, [temperature] * 4), strict=True)
    loss = Loss(Decided(), Distillation(temperature=temperature), reduction=Each())
    value, grad = found(library, lambda x: loss(x, library.array(y)), z)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    if grad is not None:
        for row, other in zip(grad, slope, strict=True):
            close(row, other, 1e-5)


@slow_in_jax
def test_distillation_of_itself_and_of_the_impossible(library: Library) -> None:
    loss = Loss(Decided(), Distillation(temperature=300.0), reduction=Each())
    z = np.array([[5.0, -2.0, 0.1], [0.0, 1.0, -INF], [0.0, 1.0, 90000.0]])
    y = np.array([[5.0, -2.0, 0.1], [0.0, 1.0, 2.0], [0.0, 90000.0, 1.0]])
    value, grad = found(library, lambda x: loss(x, library.array(y, "float32")), z)
    assert value.tolist() == [0, INF, pytest.approx(300 * 90000, rel=1e-4)]
    assert grad is None or np.isfinite(grad).all()


# Times with an infinity


@slow_in_jax
@pytest.mark.parametrize("criterion", [EarlySpike(tau=2.0), RelativeTime(delay=1.0)])
def test_a_silent_neuron_leaves_times_defined(library: Library, criterion: Any) -> None:
    loss, label = Loss(Decided(), criterion), library.array(np.array([0]))
    here, slope = found(library, lambda x: loss(x, label), [[1.0, INF, 3.0]])
    without, shorter = found(library, lambda x: loss(x, label), [[1.0, 3.0]])
    same(here, without, "float32")
    if slope is not None and shorter is not None:
        same(slope, [[shorter[0, 0], 0, shorter[0, 1]]], "float32")


@slow_in_jax
def test_a_right_class_that_never_decides(library: Library) -> None:
    loss, label = Loss(Decided(), RelativeTime(delay=1.0)), library.array(np.array([0]))
    for others in ([2.0, 3.0], [2.0, INF], [INF, INF]):
        value, slope = found(library, lambda x: loss(x, label), [[INF, *others]])
        assert value == INF
        assert slope is None or slope[0, 0] == INF


# Products and distances


@slow_in_jax
@pytest.mark.parametrize("amplitude", [1.0, 1e3, 1e6])
def test_gaussian_similarity_at_any_amplitude(library: Library, amplitude: float) -> None:
    rng = np.random.default_rng(1)
    x = (amplitude * rng.normal(size=(7, 5, 6))).astype(np.float32)
    x[:, 1], x[:, 2] = x[:, 0], x[:, 0] * (1 + np.float32(1e-6))
    labels = np.array([0, 0, 1, 1, 2])
    wide = x.astype(np.float64).swapaxes(0, 1).reshape(5, -1)
    for scale in (1.0, amplitude):
        gaps = np.array([[((a - b) ** 2).sum() for b in wide] for a in wide])
        alike = np.exp(-gaps / (2 * scale**2)) - (labels[:, None] == labels)
        loss = presets.spike_similarity(kernel="gaussian", scale=scale)
        value, _ = found(library, lambda x, loss=loss: loss(x, library.array(labels)), x)
        close(value, (alike**2).mean(), 1e-6)


@slow_in_jax
def test_products_beyond_float32_keep_their_sign(library: Library) -> None:
    x = (1e20 * np.random.default_rng(0).normal(size=(6, 4, 20))).astype(np.float32)
    rows = x.astype(np.float64).swapaxes(0, 1).reshape(4, -1)
    labels = np.array([2, 2, 0, 1])
    loss = presets.spike_similarity(kernel="sigmoid")
    with np.errstate(over="ignore"):
        value, grad = found(library, lambda x: loss(x, library.array(labels)), x)
    close(value, (((rows @ rows.T > 0) - 1.0 * (labels[:, None] == labels)) ** 2).mean(), 0)
    assert grad is None or not np.any(grad)


def test_lists_beside_double_precision_are_of_double_precision() -> None:
    record, teacher = torch.rand(7, 5, 6).double(), torch.rand(5, 6).double()
    loss = presets.kd_logits()
    assert loss(record, teacher.tolist()) == loss(record, teacher)


@slow_in_jax
def test_large_whole_numbers_as_options(library: Library) -> None:
    record, labels = library.array(np.eye(5, dtype=np.float32)[:, None]), library.array([1])
    for large in (2**15 + 1, 2**31, 10**30):
        whole, real = (presets.target_time(tau=tau)(record, labels) for tau in (large, 1.0 * large))
        close(whole, real, 0)
        presets.spike_similarity(kernel="gaussian", scale=large)(record, labels)


@pytest.mark.parametrize("kernel", ["cosine", "sigmoid", "gaussian"])
def test_autocast_leaves_products_alone(kernel: Any) -> None:
    torch.manual_seed(0)
    x, labels = torch.rand(7, 5, 6), torch.tensor([0, 1, 1, 2, 2])
    loss = presets.spike_similarity(kernel=kernel)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        record = x.clone().requires_grad_()
        value = loss(record, labels)
        return value, torch.autograd.grad(value, record)[0]

    expected = both()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = both()
    for one, other in zip(cast, expected, strict=True):
        close(one.detach(), other.detach(), 1e-5)


@slow_in_jax
def test_similarity_refuses_more_samples_than_fit(library: Library) -> None:
    record, labels = library.array(np.zeros((1, 100_000, 1))), library.array(np.zeros(100_000, int))
    with pytest.raises(ValueError, match="record: expected at most 10000 samples"):
        presets.spike_similarity()(record, labels)


# Numbers that overflow, and small ones beside large ones


@slow_in_jax
@pytest.mark.parametrize("others", [False, True])
def test_levels_of_huge_membranes(library: Library, others: bool) -> None:
    loss = Loss(Decided(), Level(level=1.0, others=others))
    z = [[1e30, 3.0]] if others else [[3.0, 1e30]]
    y = library.array(np.array([[1.0, 0.0]]), "float32")
    value, slope = found(library, lambda x: loss(x, y), z)
    same(value, 4.0, "float32")
    if slope is not None:
        same(slope, [[0.0, 4.0]] if others else [[4.0, 0.0]], "float32")


@slow_in_jax
def test_a_sure_yes_keeps_its_digits(library: Library) -> None:
    loss = Loss(Decided(), BinaryCrossEntropy(), reduction=Each())
    y = library.array(np.array([[1.0, 0.0, 0.5]]), "float32")
    x, rest = [[20.0, -20.0, 3.0]], 1 / (1 + math.exp(20))
    value, _ = found(library, lambda x: loss(x, y), x)
    expected = [
        [math.log1p(math.exp(-20)), math.log1p(math.exp(-20)), 1.5 + math.log1p(math.exp(-3))]
    ]
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    loss = Loss(Decided(), BinaryCrossEntropy(), reduction=Sum())
    _, slope = found(library, lambda x: loss(x, y), x)
    if slope is not None:
        np.testing.assert_allclose(slope, [[-rest, rest, 0.5 - 1 / (1 + math.exp(3))]], rtol=1e-5)


# Long records


LONG = (
    *(MeanOverTime(), EveryStep(), LogSumExp(sharpness=3.0), MovingWindow(width=60)),
    *(
        Temperature(of, scale=1e5)
        for of in (SumOverTime(), CumulativeSoftmax(), WeightedSum(tau=1e4))
    ),
)


def long_record(steps: int) -> Array:
    rng = np.random.default_rng(0)
    return rng.random((steps, 2, 3)).astype(np.float32) + np.float32([0.0, 1e-4, 2e-4])


@slow_in_jax
@pytest.mark.parametrize("readout", LONG, ids=str)
def test_a_long_record(library: Library, readout: Readout) -> None:
    """float32 stays within 3e-6 of float64 at 10^5 steps, in value and gradient."""
    x, labels = long_record(100_000), np.array([0, 2])
    loss = Loss(readout, CrossEntropy())
    value, slope = found(library, lambda x: loss(x, library.array(labels)), x)
    z, grad = TORCH.value_and_grad(
        lambda x: loss(x, torch.tensor(labels)), torch.tensor(x).double()
    )
    close(value, z, 3e-6)
    close(library.to_numpy(readout(library.array(x))), readout(x.astype(np.float64)), 3e-6)
    if slope is not None:
        close(slope, grad, 3e-6)


@pytest.mark.parametrize("readout", LONG, ids=str)
def test_a_long_stream_of_jax(readout: Readout) -> None:
    x, labels = long_record(100_000), jnp.asarray([0, 2])
    fold = Loss(readout, CrossEntropy()).fold(labels)

    @jax.jit
    def scanned(record: Any) -> Any:
        state = fold.init(record[0])
        state, _ = jax.lax.scan(lambda s, x_t: (fold.step(s, x_t), None), state, record)
        return fold.finish(state)

    close(scanned(jnp.asarray(x)), Loss(readout, CrossEntropy())(x.astype(float), [0, 2]), 3e-6)


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
@pytest.mark.parametrize("readout", LONG, ids=str)
def test_a_long_stream(library: Library, readout: Readout) -> None:
    x, labels = long_record(2_000), np.array([0, 2])
    loss = Loss(readout, CrossEntropy())
    run = loss.stream(library.array(labels))
    for step in library.array(x):
        run.step(step)
    close(library.to_numpy(run.value()), loss(x.astype(np.float64), labels), 1e-6)


# Options that are huge


@slow_in_jax
def test_a_window_longer_than_the_record(library: Library) -> None:
    x, labels = library.array(long_record(7)), library.array(np.array([0, 2]))
    huge, whole = presets.spike_rate(width=2**31), presets.spike_rate(width=7)
    same(huge(x, labels), library.to_numpy(whole(x, labels)), "float32")
    with pytest.raises(ValueError, match="width: expected at most"):
        huge.stream(labels).steps(x)
