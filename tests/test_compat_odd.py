"""The drop-in modules used oddly: as snnTorch's where it has an answer, else an error of ours.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes: no two axes are equal but where it is the point.
"""

import re
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import snntorch.functional as peer
import torch
from libraries import same

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


# ---- errors name what the user passed


ERRORS: list[tuple[str, Callable[[], Any]]] = [
    ("targets", lambda: SF.ce_count_loss()(SPIKES, LABELS[:3])),
    ("targets", lambda: SF.ce_rate_loss()(SPIKES, LABELS + 5)),
    ("targets", lambda: SF.ce_max_membrane_loss()(SPIKES, LABELS > 2)),
    ("targets", lambda: SF.mse_count_loss()(SPIKES, None)),
    ("targets", lambda: SF.mse_temporal_loss()(SPIKES, LABELS.numpy())),
    ("targets", lambda: SF.mse_temporal_loss(target_is_time=True)(SPIKES, LABELS)),
    ("targets", lambda: SF.mse_temporal_loss(target_is_time=True)(SPIKES, TIMES + T)),
    ("targets", lambda: SF.ce_temporal_loss()(SPIKES, LABELS - 1)),
    ("targets", lambda: SF.ce_count_loss()(SPIKES, "labels")),
    ("targets", lambda: SF.accuracy_rate(SPIKES, LABELS[:, None])),
    ("targets", lambda: SF.accuracy_temporal(SPIKES, LABELS[:2])),
    ("targets", lambda: SF.SpikeTime()(SPIKES, LABELS[:2])),
    ("targets", lambda: SF.SpikeTime().labels_to_spike_times(LABELS + 9, N)),
    ("targets", lambda: BP.cross_entropy_loss(LOGITS, LABELS[:2])),
    ("targets", lambda: BP.cross_entropy_loss(LOGITS, LABELS + 1)),
    ("target", lambda: BP.CrossEntropyLoss()(LOGITS, LABELS + 1)),
    ("weight", lambda: SF.ce_count_loss(weight=WEIGHT[:2])(SPIKES, LABELS)),
    ("weight[1]", lambda: SF.mse_count_loss(weight=[1, -1, 1, 1, 1, 1])(SPIKES, LABELS)),
    ("weight", lambda: SF.ce_temporal_loss(weight=-WEIGHT)(SPIKES, LABELS)),
    ("weight", lambda: SF.mse_membrane_loss(True, weight=WEIGHT)(SPIKES, MEMBRANE)),
    ("weight[1]", lambda: BP.cross_entropy_loss(LOGITS, LABELS, weight=[1, -1])),
    ("weight", lambda: BP.cross_entropy_loss(LOGITS, LABELS, weight=3)),
    ("weight", lambda: BP.CrossEntropyLoss(weight="w")(LOGITS, LABELS)),
    ("num_classes", lambda: SF.ce_count_loss(True, 4)(SPIKES, GROUPS)),
    ("num_classes", lambda: SF.accuracy_rate(SPIKES, GROUPS, True, 5)),
    ("num_classes", lambda: SF.mse_count_loss(population_code=True, num_classes=2.5)),
    ("on_target", lambda: SF.mse_temporal_loss(on_target="first")),
    ("on_target", lambda: SF.mse_temporal_loss(on_target=T)(SPIKES, LABELS)),
    ("off_target", lambda: SF.mse_temporal_loss(off_target=2.5)),
    ("off_target", lambda: SF.mse_temporal_loss(off_target=-T - 1)(SPIKES, LABELS)),
    ("off_target", lambda: SF.SpikeTime(on_target=(0, 1), off_target=(1,), multi_spike=True)),
    ("on_target[1]", lambda: SF.SpikeTime(on_target=(0, 0.5), off_target=(1, 2), multi_spike=True)),
    ("off_target", lambda: SF.mse_membrane_loss(off_target="low")),
    ("spk_out", lambda: SF.ce_count_loss()(SPIKES.tolist(), LABELS)),
    ("spk_out", lambda: SF.ce_count_loss()([SPIKES, SPIKES], LABELS)),
    ("spk_out", lambda: SF.mse_count_loss()(SPIKES[:0], LABELS)),
    ("spk_out", lambda: SF.accuracy_rate(None, LABELS)),
    ("spk_out", lambda: SF.l1_rate_sparsity()(SPIKES.to_sparse())),
    ("spk_rec", lambda: SF.mse_temporal_loss()(SPIKES * float("nan"), LABELS)),
    ("spk_rec", lambda: SF.ce_temporal_loss()(list(SPIKES), LABELS)),
    ("predicts", lambda: BP.cross_entropy_loss(None, LABELS)),
    ("predicts", lambda: BP.cross_entropy_loss(LOGITS.to_sparse(), LABELS)),
    ("input", lambda: BP.CrossEntropyLoss()([LOGITS], LABELS)),
    ("lengths", lambda: SF.ce_count_loss()(SPIKES, LABELS, lengths=LABELS)),
    ("length", lambda: SF.ce_count_loss()(SPIKES, LABELS, length=LABELS)),
]  # fmt: skip
OURS = re.compile(r"\btarget(?=[.)\[])|class_weight|\brecord(?=[.)\[])|targets\.On|sample_weight")


@pytest.mark.parametrize(("argument", "call"), ERRORS)
def test_errors_name_the_argument(argument: str, call: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    text = str(raised.value)
    assert text.startswith(f"{argument}: expected "), text
    assert argument == "target" or not OURS.search(text), text


# ---- odd uses: as snnTorch's, or an error of ours

SQUARE, DIAGONAL = SPIKES[:4, :3, :3].contiguous(), torch.tensor([2, 0, 1])  # B = C = 3
SAME: dict[str, Callable[[Any], Any]] = {
    "bool spikes": lambda F: F.mse_count_loss()(SPIKES.bool(), LABELS),
    "integer membranes": lambda F: F.mse_membrane_loss()(SPIKES.int(), LABELS),
    "int32 labels": lambda F: F.mse_count_loss()(SPIKES, LABELS.int()),
    "uint8 labels": lambda F: F.ce_rate_loss()(SPIKES, LABELS.byte()),
    "int16 labels": lambda F: F.mse_temporal_loss(off_target=6)(SPIKES, LABELS.short()),
    "as many samples as classes": lambda F: F.ce_count_loss()(SQUARE, DIAGONAL),
    "the same, floats": lambda F: F.mse_count_loss()(SQUARE, DIAGONAL.float()),
    "the same, weights": lambda F: F.ce_count_loss(weight=WEIGHT[:3])(SQUARE, DIAGONAL),
    "labels with a gradient": lambda F: F.mse_count_loss()(SPIKES, LABELS.float().requires_grad_()),
    "1 for True": lambda F: F.ce_count_loss(1, C)(SPIKES, GROUPS),
    "classes without a population": lambda F: F.ce_count_loss(num_classes=4)(SPIKES, LABELS),
    "NumPy's numbers": lambda F: F.ce_count_loss(True, np.int64(C))(SPIKES, GROUPS),
    "NumPy's rate": lambda F: F.mse_count_loss(np.float64(1.0))(SPIKES, LABELS),
    "a tensor as a step": lambda F: F.mse_temporal_loss(
        on_target=torch.tensor(1), off_target=torch.tensor(5)
    )(SPIKES, LABELS.clone()),
    "steps as a range": lambda F: F.mse_temporal_loss(
        on_target=range(1), off_target=range(5, 6), multi_spike=True
    )(SPIKES, LABELS.clone()),
    "steps as an array": lambda F: F.mse_temporal_loss(
        on_target=np.array([0]), off_target=np.array([5]), multi_spike=True
    )(SPIKES, LABELS.clone()),
    "a fraction as tolerance": lambda F: F.mse_temporal_loss(
        on_target=1, off_target=5, tolerance=1.5
    )(SPIKES, LABELS.clone()),
    "one step": lambda F: F.ce_rate_loss()(SPIKES[:1], LABELS),
    "one sample": lambda F: F.mse_count_loss()(SPIKES[:, :1], LABELS[:1]),
    "one neuron": lambda F: F.ce_count_loss()(SPIKES[:, :, :1], 0 * LABELS),
    "steps last in memory": lambda F: F.ce_rate_loss()(
        SPIKES.transpose(0, 1).contiguous().transpose(0, 1), LABELS
    ),
    "one step again and again": lambda F: F.ce_count_loss()(SPIKES[:1].expand(T, B, N), LABELS),
    "keywords": lambda F: F.ce_count_loss()(spk_out=SPIKES, targets=LABELS),
    "keywords of spike times": lambda F: F.ce_temporal_loss()(spk_rec=SPIKES, targets=LABELS),
    "weights changed in place": lambda F: _doubled(F),
    "an attribute of one's own": lambda F: _with(F.ce_count_loss(), note=1)(SPIKES, LABELS),
    "a factor of 0": lambda F: F.l1_rate_sparsity(0)(SPIKES),
    "a negative factor": lambda F: F.l1_rate_sparsity(-1)(SPIKES),
    "spikes of a sample": lambda F: F.l1_rate_sparsity(1.0)(SPIKES[:, 0]),
    "spikes of planes": lambda F: F.l1_rate_sparsity(1.0)(torch.ones(T, 2, 3, 4)),
    "bool spikes cost": lambda F: F.l1_rate_sparsity(1.0)(SPIKES.bool()),
    "accuracy of floats": lambda F: F.accuracy_rate(SPIKES, LABELS.float()),
    "accuracy of membranes": lambda F: F.accuracy_rate(MEMBRANE.sin(), LABELS),
    "spike times by keywords": lambda F: F.SpikeTime(off_target=5)(
        spk_out=SPIKES, targets=LABELS.clone()
    )[0],
    "their targets": lambda F: F.SpikeTime(off_target=5).forward(SPIKES, LABELS.clone())[1],
    "integer times nearby": lambda F: F.SpikeTime.Tolerance.apply(
        torch.tensor([[1.0, 5.0]]), torch.tensor([[2, 2]]), 2
    ),
    "two losses that are equal": lambda F: F.ce_count_loss() == F.ce_count_loss(),
    "losses in a set": lambda F: len({F.ce_count_loss(), F.ce_count_loss()}),
}


def _with(loss: Any, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(loss, name, value)
    return loss


def _doubled(module: Any) -> torch.Tensor:
    weight = WEIGHT.clone()
    loss = module.ce_count_loss(weight=weight)
    loss(SPIKES, LABELS)
    weight *= 2
    value: torch.Tensor = loss(SPIKES, LABELS)
    return value


@pytest.mark.parametrize("name", SAME)
def test_odd_uses_as_in_snntorch(name: str) -> None:
    theirs, ours = (torch.as_tensor(SAME[name](module)).detach() for module in (peer, SF))
    torch.testing.assert_close(ours.double(), theirs.double().reshape(ours.shape))


MORE: dict[str, Callable[[], Any]] = {  # what snnTorch has no answer for, and its value here
    "bool spikes": lambda: SF.ce_count_loss()(SPIKES.bool(), LABELS),
    "labels in a list": lambda: SF.ce_count_loss()(SPIKES, LABELS.tolist()),
    "weights in a list": lambda: SF.ce_count_loss(weight=[1.0] * N)(SPIKES, LABELS),
    "NumPy's weights": lambda: SF.ce_count_loss(weight=np.ones(N))(SPIKES, LABELS),
    "integer weights": lambda: SF.ce_count_loss(weight=torch.ones(N, dtype=int))(SPIKES, LABELS),
    "weights with a gradient": lambda: SF.ce_count_loss(weight=torch.ones(N, requires_grad=True))(
        SPIKES, LABELS
    ),
    "lengths": lambda: SF.ce_count_loss()(SPIKES, LABELS, lengths=torch.full((B,), T)),
    "samples first": lambda: SF.ce_count_loss()(SPIKES.transpose(0, 1), LABELS, time_axis=1),
    "NumPy": lambda: SF.ce_count_loss()(SPIKES.numpy(), LABELS.numpy()),
    "JAX": lambda: SF.ce_count_loss()(jnp.asarray(SPIKES.numpy()), jnp.asarray(LABELS.numpy())),
}


@pytest.mark.parametrize("name", MORE)
def test_odd_uses_of_ours(name: str) -> None:
    value = MORE[name]()
    value = value.detach() if isinstance(value, torch.Tensor) else value
    same(value, peer.ce_count_loss()(SPIKES, LABELS), "float32")


def test_steps_from_a_generator() -> None:
    loss = SF.mse_temporal_loss(False, (i for i in (0, 2)), (i for i in (4, 5)), multi_spike=True)
    expected = SF.mse_temporal_loss(False, (0, 2), (4, 5), multi_spike=True)
    for _ in range(2):
        same(loss(SPIKES, LABELS), expected(SPIKES, LABELS), "float32")
    assert loss.spk_time_fn.on_target == (0, 2)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("reduction", lambda: SF.ce_count_loss(reduction=None)),
        ("num_classes", lambda: SF.ce_count_loss(True, 3.0)),
        ("num_classes", lambda: SF.ce_count_loss(True, torch.tensor(3))),
        ("correct_rate", lambda: SF.mse_count_loss(torch.tensor(1.0))),
        ("correct_rate", lambda: SF.mse_count_loss("1")),
        ("on_target", lambda: SF.mse_temporal_loss(on_target=1.0)),
        ("tolerance", lambda: SF.mse_temporal_loss(tolerance=True)),
        ("tolerance", lambda: SF.mse_temporal_loss(tolerance="2")),
        ("Lambda", lambda: SF.l1_rate_sparsity(torch.tensor(0.5))),
        ("spk_out", lambda: SF.l1_rate_sparsity(1.0)(torch.ones(T))),
        ("targets", lambda: SF.ce_count_loss()(SPIKES, LABELS.numpy())),
        ("targets", lambda: SF.mse_count_loss()(SPIKES, LABELS.float().tolist())),
        ("targets", lambda: SF.mse_count_loss()(SPIKES[:, :1], LABELS[0])),
        ("ignore_index", lambda: BP.cross_entropy_loss(LOGITS, LABELS, ignore_index=-0.5)),
        ("label_smoothing", lambda: BP.cross_entropy_loss(LOGITS, LABELS, label_smoothing=2)),
        ("reduction", lambda: BP.CrossEntropyLoss(reduction="avg")),
    ],
)
def test_odd_uses_with_an_error(argument: str, call: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{argument}: expected "):
        call()
