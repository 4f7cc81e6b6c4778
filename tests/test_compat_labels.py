"""Labels that are floating numbers in the drop-ins, BrainPy's class, times near their targets.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes: no two axes are equal.
"""

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import snntorch.functional as peer
import torch
from libraries import same
from parity import load

import spikeloss.compat.brainpy as BP  # noqa: N812
import spikeloss.compat.snntorch as SF  # noqa: N812

T, B, N, C = 7, 5, 6, 3


def _spikes(*shape: int, rate: float = 0.4) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(0)) < rate).float()


SPIKES, MEMBRANE = _spikes(T, B, N), torch.linspace(-1, 2, T * B * N).reshape(T, B, N)
LABELS, GROUPS = torch.tensor([3, 5, 0, 1, 3]), torch.tensor([2, 0, 1, 2, 1])
PER_STEP = torch.tensor([0, 5, 2, 2, 4, 1, 3])
TIMES = (torch.arange(B * N).reshape(B, N) % T).float()
WEIGHT = torch.tensor([1.0, 0.5, 2.0, 3.0, 0.25, 1.5])
LOGITS = SPIKES.sum(0)


LOSSES = [name for name in SF.__all__ if name.endswith("_loss")]

# ---- labels as floating numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LOSSES)
def test_whole_floats_are_labels(name: str, dtype: torch.dtype) -> None:
    for options in ({}, {"weight": WEIGHT}, {"reduction": "none"}):
        loss = getattr(SF, name)(**options)
        same(loss(SPIKES, LABELS.to(dtype)), loss(SPIKES, LABELS), "float32")


def test_whole_floats_elsewhere() -> None:
    ours, theirs = (module.mse_count_loss()(SPIKES, LABELS.float()) for module in (SF, peer))
    same(ours, theirs, "float32")
    loss = SF.mse_membrane_loss(time_var_targets=True)
    for targets in (PER_STEP, PER_STEP[:, None].expand(T, B)):
        same(loss(MEMBRANE, targets.float()), loss(MEMBRANE, targets), "float32")
    times = SF.SpikeTime(on_target=1, off_target=5)
    for a, b in zip(times(SPIKES, LABELS.float()), times(SPIKES, LABELS), strict=True):
        same(a, b, "float32")
    same(times.labels_to_spike_times(LABELS.float(), N), times(SPIKES, LABELS)[1], "float32")
    for accuracy in (SF.accuracy_rate, SF.accuracy_temporal):
        assert accuracy(SPIKES, LABELS.float()) == accuracy(SPIKES, LABELS)
    square = SPIKES[:, :, :B]  # as many neurons as samples
    labels = LABELS % B
    same(SF.ce_count_loss()(square, labels.float()), SF.ce_count_loss()(square, labels), "float32")
    alone, label = SPIKES[:, 0], LABELS[0]  # without a batch
    same(SF.ce_rate_loss()(alone, label.float()), SF.ce_rate_loss()(alone, label), "float32")


def test_floats_like_the_record_are_probabilities() -> None:
    q = torch.softmax(LOGITS, -1)
    expected = torch.nn.functional.cross_entropy(LOGITS, q)
    same(SF.ce_count_loss()(SPIKES, q), expected, "float32")
    same(BP.cross_entropy_loss(LOGITS, q), expected, "float32")
    same(BP.cross_entropy_loss(LOGITS, q, ignore_index=2), expected, "float32")
    one_hot = torch.nn.functional.one_hot(LABELS, N)
    expected = torch.nn.functional.cross_entropy(LOGITS, LABELS)
    for dtype in (torch.float32, torch.int64):
        same(BP.cross_entropy_loss(LOGITS, one_hot.to(dtype)), expected, "float32")


@pytest.mark.parametrize("wrong", [1.5, float("nan"), float("inf"), -0.5])
def test_fractions_are_refused(wrong: float) -> None:
    targets = LABELS.float()
    targets[2] = wrong
    refused = rf"^targets: expected whole numbers as class labels, got {wrong}\. "
    for name in LOSSES:
        with pytest.raises(ValueError, match=refused):
            getattr(SF, name)()(SPIKES, targets)
    for call in (SF.accuracy_rate, SF.accuracy_temporal, SF.SpikeTime()):
        with pytest.raises(ValueError, match=refused):
            call(SPIKES, targets)
    with pytest.raises(ValueError, match=refused):
        BP.cross_entropy_loss(LOGITS, targets)
    with pytest.raises(ValueError, match=refused.replace("targets", "target")):
        BP.CrossEntropyLoss()(LOGITS, targets)


def test_fractions_under_tracing_give_nan() -> None:
    logits, labels = jnp.asarray(LOGITS.numpy()), jnp.asarray(LABELS.numpy(), jnp.float32)
    run = jax.jit(lambda x, y: BP.cross_entropy_loss(x, y))
    same(run(logits, labels), BP.cross_entropy_loss(logits, LABELS.numpy()), "float32")
    assert jnp.isnan(run(logits, labels + 0.5))
    each = jax.jit(lambda x, y: BP.cross_entropy_loss(x, y, reduction="none"))
    found = each(logits, labels.at[2].set(0.5))
    assert np.isnan(np.asarray(found)).tolist() == [False, False, True, False, False]
    for name in ("ce_count_loss", "mse_count_loss", "mse_temporal_loss"):
        traced = jax.jit(getattr(SF, name)())
        assert jnp.isnan(traced(jnp.asarray(SPIKES.numpy()), labels + 0.5)), name


def test_labels_that_a_traced_function_closes_over() -> None:
    logits, labels = jnp.asarray(LOGITS.numpy()), jnp.asarray(LABELS.numpy())
    expected = torch.nn.functional.cross_entropy(LOGITS, LABELS)
    for y in (labels, labels.astype(jnp.float32), np.asarray(labels, np.float32)):
        same(jax.jit(lambda x, y=y: BP.cross_entropy_loss(x, y))(logits), expected, "float32")


@pytest.mark.alike
def test_vmap_and_grad() -> None:
    logits, labels = jnp.asarray(LOGITS.numpy()), jnp.asarray(LABELS.numpy(), jnp.float32)
    each = jax.vmap(jax.grad(BP.cross_entropy_loss))(logits, labels)
    whole = jax.grad(lambda x: BP.cross_entropy_loss(x, labels, reduction="sum"))(logits)
    same(each, whole, "float32")
    single = torch.func.vmap(torch.func.grad(SF.mse_count_loss()), in_dims=(1, 0))
    same(single(SPIKES, LABELS.float()), single(SPIKES, LABELS), "float32")


# ---- BrainPy's class


@pytest.mark.alike
def test_class_of_brainpy() -> None:
    theirs = load("brainpy.losses").CrossEntropyLoss
    logits, labels = jnp.asarray(LOGITS.numpy()), jnp.asarray(LABELS.numpy())
    weight = jnp.asarray(WEIGHT.numpy())
    for options in (
        {},
        {"weight": weight},
        {"ignore_index": 3},
        {"reduction": "sum"},
        {"reduction": "none", "weight": weight, "ignore_index": 0},
        {"label_smoothing": 0.2},
    ):
        ours, other = (loss(**options)(logits, labels) for loss in (BP.CrossEntropyLoss, theirs))
        same(ours, other, "float32")
    positional = (weight, 3, "sum", 0.0)
    ours = BP.CrossEntropyLoss(*positional)
    same(ours.update(logits, labels), theirs(*positional).update(logits, labels), "float32")
    assert [ours.weight is weight, ours.ignore_index, ours.reduction, ours.label_smoothing] == [
        True, 3, "sum", 0.0,
    ]  # fmt: skip


def test_attributes_of_brainpys_class() -> None:
    logits, labels = jnp.asarray(LOGITS.numpy()), jnp.asarray(LABELS.numpy())
    loss, theirs = BP.CrossEntropyLoss(), load("brainpy.losses").CrossEntropyLoss()
    for name, value in (
        ("reduction", "sum"),
        ("weight", jnp.asarray(WEIGHT.numpy())),
        ("ignore_index", 3),
        ("reduction", "none"),
    ):
        setattr(loss, name, value)
        setattr(theirs, name, value)
        same(loss(logits, labels), theirs(logits, labels), "float32")
    for name, value in (("reduction", "avg"), ("label_smoothing", 2.0), ("ignore_index", 0.5)):
        with pytest.raises((TypeError, ValueError), match=f"^{name}: expected "):
            BP.CrossEntropyLoss(**{name: value})
        twin = copy.deepcopy(loss)
        setattr(twin, name, value)
        with pytest.raises((TypeError, ValueError), match=f"^{name}: expected "):
            twin(logits, labels)


# ---- the derivative of times that are close enough


def test_tolerance_passes_the_gradient_of_the_time() -> None:
    def gradient(module: Any) -> torch.Tensor:
        record = SPIKES.clone().requires_grad_()
        times, goal = module.SpikeTime(on_target=1, off_target=5, tolerance=3)(
            record, LABELS.clone()
        )
        assert ((times == goal).sum() > B).item()
        times.sum().backward()
        assert record.grad is not None
        return record.grad

    assert gradient(peer).sum() == -B * N
    same(gradient(SF), gradient(peer), "float32")


def test_tolerance_of_the_loss_has_no_gradient() -> None:
    record = SPIKES.clone().requires_grad_()
    SF.mse_temporal_loss(on_target=1, off_target=5, tolerance=T)(record, LABELS).backward()
    assert record.grad is not None
    assert not record.grad.any()
