"""Random calls of every preset and penalty: the number of the oracle, or a named error.

HYPOTHESIS_PROFILE=search looks for longer, at other calls each time.
"""

import os
import re
from collections.abc import Callable
from typing import Any

import hypothesis
import jax
import ml_dtypes
import numpy as np
import pytest
import torch
from fuzz_calls import JAX_SHAPES, answer, calls
from fuzzing import CATALOGUE, MOVED, OPTIONS, PAIRED, Call, known, known_of_samples
from hypothesis import given
from libraries import JAX, Array, numpy_dtype

FORM = re.compile(r"(\w+)(\[\d+\])*: expected .+, got .+\. [A-Z].+", re.S)
SEARCH = os.environ.get("HYPOTHESIS_PROFILE") == "search"


def settings(house: int, search: int) -> Any:
    """So many examples in the suite, always the same, and so many fresh ones in a search."""
    return hypothesis.settings(
        max_examples=search if SEARCH else house,
        derandomize=not SEARCH,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def rounding(call: Call, scale: Array) -> Array:
    """What rounding may do to a loss whose terms are of the size of `scale`.

    Half precision is computed in float32 and rounded once, at the end.
    """
    single = np.finfo(np.float64 if call.result == "float64" else np.float32).eps
    return (32 + 4 * call.steps) * single * scale


def check_value(call: Call, value: Array, expected: Array, scale: Array) -> None:
    assert value.shape == expected.shape, f"shape {value.shape}, expected {expected.shape}"
    assert value.dtype.name == call.result, f"dtype {value.dtype.name}, expected {call.result}"
    info = ml_dtypes.finfo(value.dtype)
    value, tolerance = value.astype(np.float64), rounding(call, scale)
    if call.result in ("float16", "bfloat16"):
        tolerance = tolerance + np.abs(expected) * float(info.eps) + float(info.smallest_subnormal)
    with np.errstate(all="ignore"):
        close = np.abs(value - expected) <= tolerance
    close |= value == expected
    close |= np.isnan(value) & np.isnan(expected)
    if call.wide:  # infinity, or infinity times a weight of 0
        close |= np.isinf(value) | np.isnan(value) & has_zero_weight(call)
    assert np.all(close), f"value {value}, expected {expected} within {tolerance}"


def has_zero_weight(call: Call) -> bool:
    given = (*call.weights.values(), call.options.get("class_weight"), call.options.get("fan_out"))
    off = any(call.options.get(key) == 0 for key in ("others", "early", "share", "label_smoothing"))
    return off or any(np.any(np.asarray(weight) == 0) for weight in given if weight is not None)


def check_grad(call: Call, grad: Array, expected: Array, scale: Array) -> None:
    grad, expected = grad.reshape(-1), expected.reshape(-1)
    single = np.finfo(grad.dtype).eps
    size = np.max(np.abs(expected), initial=0.0)
    if not np.isfinite(size) or size > 1e30:
        return
    reach = size * (1 + np.max(np.abs(call.record), initial=0.0)) + np.max(scale, initial=0.0)
    near = (64 + 8 * call.steps) * single * reach
    assert np.all(np.isfinite(grad)), f"gradient {grad}, expected {expected}"
    worst = np.max(np.abs(grad - expected), initial=0.0)
    assert worst <= near + 1e-37, f"gradient {grad}, expected {expected}, off by {worst} > {near}"


def check_slope(call: Call, grad: Array) -> None:
    """Along a random direction, where the formula is smooth there."""
    shape = call.record.shape
    along = np.random.default_rng(1).normal(size=shape)
    values = []
    for h in (-2e-5, -1e-5, 0.0, 1e-5, 2e-5):
        values.append(float(known_of_samples(call, call.record + h * along).value.sum()))
    left, right = (values[2] - values[1]) / 1e-5, (values[3] - values[2]) / 1e-5
    middle = (values[3] - values[1]) / 2e-5
    size = abs(middle) + np.abs(values[2]) + 1
    if not np.isfinite(middle) or abs(left - right) > 1e-2 * size:
        return
    found = float((grad * along.reshape(grad.shape)).sum())
    assert abs(found - middle) < 1e-4 * size + abs(left - right), (
        f"slope {found}, expected {middle}"
    )


def world() -> list[Any]:
    """What no call may change."""
    kind, keys, *place = np.random.get_state()
    return [
        np.geterr(),
        np.get_printoptions(),
        kind,
        keys.tolist()[:4],
        place,
        dict(os.environ),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.random.initial_seed(),
        torch.get_rng_state().sum().item(),
        torch.get_num_threads(),
        jax.config.jax_enable_x64,
    ]


def check(call: Call) -> None:
    before = world()
    with call.library.precision(call.dtype):
        (check_refused if call.refused else check_right)(call)
    assert world() == before


def check_right(call: Call) -> None:
    differentiates = call.library.differentiates and call.dtype in ("float64", "float32")
    gradient = differentiates and call.feed in ("dense", "stream", "ragged", "mapping")
    try:
        expected = known(call)
    except (OverflowError, FloatingPointError):
        call.wide = True
        answer(call)
        return
    most = float(ml_dtypes.finfo(numpy_dtype(call.result)).max)
    size = np.max(expected.scale, initial=0.0)
    if call.name in PAIRED:
        size = call.record.size * np.max(np.abs(call.record), initial=0.0) ** 2
    call.wide = bool(size > most / 1e4)
    value, grad = answer(call, gradient)
    check_value(call, value, expected.value, expected.scale)
    if grad is not None and np.all(np.isfinite(expected.value)):
        if expected.grad is not None:
            check_grad(call, grad, expected.grad, expected.scale)
        elif call.dtype == "float64" and not (call.name in MOVED and np.any(call.record <= 0)):
            check_slope(call, grad)  # below no spikes there is no formula of moving them
    return


def check_refused(call: Call) -> None:
    call.wide = True  # NumPy may warn of the numbers first
    refused(set(call.refused), lambda: answer(call)[0])


def refused(blamed: set[str], call: Callable[[], Any]) -> None:
    """An error of ours, whose text begins with one of the arguments to blame."""
    with pytest.raises((ValueError, TypeError)) as raised:
        pytest.fail(f"expected {blamed} to be refused, got {call()!r}")
    found = FORM.fullmatch(str(raised.value))
    assert found, f"expected a message about {blamed}, got {raised.value!r}"
    assert found[1] in blamed, f"expected one of {blamed}, got {raised.value!r}"


def test_every_option_is_drawn() -> None:
    for name, preset in CATALOGUE.items():
        common = {"reduction", "class_weight", "layers"}
        assert set(OPTIONS.get(name, {})) == set(preset.options) - common, name


@settings(700, 40000)
@given(calls())
def test_right_calls(call: Call) -> None:
    check(call)


@settings(900, 40000)
@given(calls(spoil=True))
def test_wrong_calls(call: Call) -> None:
    check(call)


@pytest.mark.slow
@settings(10, 300)
@given(calls(libraries=(JAX,), shapes=JAX_SHAPES))
def test_right_calls_in_jax(call: Call) -> None:
    check(call)


@pytest.mark.slow
@settings(20, 300)
@given(calls(libraries=(JAX,), shapes=JAX_SHAPES, spoil=True))
def test_wrong_calls_in_jax(call: Call) -> None:
    check(call)
