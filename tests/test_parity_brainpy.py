"""spikeloss.compat.brainpy against the installed BrainPy, where BrainPy is right.

N=5 samples, C=3 classes, K=(4, 2) further axes.
"""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from libraries import same
from parity import load, rows

from spikeloss.compat.brainpy import cross_entropy_loss

N, C, K = 5, 3, (4, 2)
REDUCTIONS = ("mean", "sum", "none")
RANDOM = np.random.default_rng(0)
WEIGHT = jnp.array([0.5, 2.0, 3.0])


def _data(*axes: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logits, labels and probabilities."""
    logits = RANDOM.normal(size=(*axes, C)).astype(np.float32)
    raw = RANDOM.random((*axes, C)).astype(np.float32)
    labels = RANDOM.integers(0, C, axes)
    return jnp.array(logits), jnp.array(labels), jnp.array(raw / raw.sum(-1, keepdims=True))


FLAT, DEEP = _data(N), _data(*K, N)


def _theirs() -> Any:
    return load("brainpy.losses").cross_entropy_loss


def _both(*arguments: Any, **options: Any) -> None:
    """Equal values and, with respect to the logits, equal gradients."""
    logits, *rest = arguments

    def answer(loss: Any) -> tuple[jax.Array, jax.Array]:
        value, pull = jax.vjp(lambda x: loss(x, *rest, **options), logits)
        return value, pull(jnp.linspace(0.5, 2.0, value.size).reshape(value.shape))[0]

    for ours, theirs in zip(answer(cross_entropy_loss), answer(_theirs()), strict=True):
        same(ours, theirs, "float32")


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_value_and_gradient(reduction: str) -> None:
    logits, labels, probabilities = FLAT
    _both(logits, labels, reduction=reduction)
    _both(logits, probabilities, reduction=reduction)
    _both(logits, jax.nn.one_hot(labels, C), reduction=reduction)
    _both(logits, labels, WEIGHT, reduction)
    if reduction != "mean":  # for the mean of probabilities see difference 28
        _both(logits, jax.nn.one_hot(labels, C), WEIGHT, reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_more_axes(reduction: str) -> None:
    logits, labels, probabilities = DEEP
    for arguments in ((labels,), (probabilities,), (labels, WEIGHT)):
        ours, theirs = (
            loss(logits, *arguments, reduction=reduction)
            for loss in (cross_entropy_loss, _theirs())
        )
        assert ours.shape == ((*K, N) if reduction == "none" else ())
        same(ours, theirs, "float32")


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_options(reduction: str) -> None:
    logits, labels, _ = FLAT
    _both(logits, labels, None, reduction, 1, 0.0)  # class 1 is ignored
    _both(logits, labels, WEIGHT, reduction, 1)
    _both(logits, labels, None, reduction, label_smoothing=0.2, ignore_index=1)


def test_brainpy_arrays() -> None:
    math = load("brainpy.math")
    logits, labels, _ = FLAT
    theirs = _theirs()(math.asarray(logits), math.asarray(labels), math.asarray(WEIGHT))
    ours = cross_entropy_loss(math.asarray(logits), math.asarray(labels), math.asarray(WEIGHT))
    assert isinstance(ours, jax.Array)
    same(ours, theirs, "float32")


def test_traced() -> None:
    logits, labels, _ = FLAT
    value = jax.jit(cross_entropy_loss)(logits, labels, WEIGHT)
    same(value, _theirs()(logits, labels, WEIGHT), "float32")


def test_signature() -> None:
    ours = list(inspect.signature(cross_entropy_loss).parameters.values())
    theirs = list(inspect.signature(_theirs()).parameters.values())
    assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs]
    other = {p.name: p.default for p in theirs}
    for parameter in ours:
        assert parameter.default == other[parameter.name], parameter.name


def test_loading_leaves_jax_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = jax.config.jax_enable_x64
    monkeypatch.setattr(
        rows, "import_module", lambda name: jax.config.update("jax_enable_x64", not before)
    )
    load("a module that changes a setting")
    assert jax.config.jax_enable_x64 == before
