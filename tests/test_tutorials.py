"""What the tutorials of snnTorch and BrainPy ask of these losses, of both packages.

Every row is a call that a tutorial, a quickstart or a docstring makes, in words of our own and on
smaller records: value and gradient are equal, or the row says by which difference of docs/parity.md
they are not, with both numbers. Then a few steps of training, whose weights must agree.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import snntorch as snn
import snntorch.functional as peer
import torch
from libraries import same
from parity import load

import spikeloss.compat.brainpy as ours_of_brainpy
import spikeloss.compat.snntorch as ours_of_snntorch

T, B, N = 25, 4, 10
LABELS = torch.tensor([3, 1, 9, 3])


def _spikes(*shape: int, rate: float = 0.3, seed: int = 0) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def _numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Call(NamedTuple):
    """A call of snnTorch: where it comes from, what it makes of a record, and the record."""

    source: str
    run: Callable[[Any, torch.Tensor], Any]
    record: torch.Tensor
    differs: tuple[int, float, float] | None = None  # number in docs/parity.md, theirs, ours


SPIKES, MEMBRANE = _spikes(T, B, N), _numbers(T, B, N)
LONG = _spikes(110, 2, 5, rate=0.03)
PAIR = torch.tensor([1, 4])
SILENT_31 = torch.zeros(31, B, N)

CALLS = [
    Call(
        "quickstart and tutorial 7: counts of events",
        lambda SF, x: SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(x, LABELS),
        SPIKES,
    ),
    Call(
        "the same with 31 steps of events, as recordings have",
        lambda SF, x: SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(x, LABELS),
        SILENT_31,
        (8, (24**2 + 9 * 6**2) / 31 / 10, (24.8**2 + 9 * 6.2**2) / 31 / 10),
    ),
    Call("tutorial 6: a convolutional net", lambda SF, x: SF.ce_rate_loss()(x, LABELS), SPIKES),
    Call("tutorial 6: accuracy", lambda SF, x: SF.accuracy_rate(x, LABELS), SPIKES),
    Call(
        "tutorial 6: accuracy of a loader, weighed by the batch",
        lambda SF, x: SF.accuracy_rate(x, LABELS) * x.size(1),
        SPIKES,
    ),
    Call(
        "accuracy of a network that is still silent",
        lambda SF, x: SF.accuracy_rate(x, torch.zeros(B, dtype=torch.long)),
        SILENT_31,
        (26, 1, 0),
    ),
    Call(
        "population codes: one neuron a class, one step",
        lambda SF, x: SF.mse_count_loss(correct_rate=1.0, incorrect_rate=0.0)(
            x.unsqueeze(0), LABELS
        ),
        SPIKES[0],
    ),
    Call(
        "population codes: fifty neurons for ten classes, one step",
        lambda SF, x: SF.mse_count_loss(
            correct_rate=1.0, incorrect_rate=0.0, population_code=True, num_classes=10
        )(x.unsqueeze(0), LABELS),
        _spikes(B, 50),
    ),
    Call(
        "population codes: accuracy",
        lambda SF, x: SF.accuracy_rate(
            x.unsqueeze(0), LABELS, population_code=True, num_classes=10
        ),
        _spikes(B, 50),
    ),
    Call(
        "regression 2: classes by membranes above and below the threshold",
        lambda SF, x: SF.mse_membrane_loss(on_target=1.05, off_target=0.2)(x, LABELS),
        MEMBRANE,
    ),
    Call(
        "regression 2: recurrent layer, ten steps",
        lambda SF, x: SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(x, LABELS),
        _spikes(10, B, N, seed=3),
    ),
    Call("accelerators: a loss in the net", lambda SF, x: SF.ce_count_loss()(x, LABELS), SPIKES),
    Call("delta layers: defaults", lambda SF, x: SF.mse_count_loss()(x, LABELS), SPIKES),
    Call(
        "docstring: two hundred neurons for ten classes",
        lambda SF, x: SF.ce_count_loss(population_code=True, num_classes=10)(x, LABELS),
        _spikes(T, B, 200),
    ),
    Call("docstring: membranes", lambda SF, x: SF.ce_max_membrane_loss()(x, LABELS), MEMBRANE),
    Call(
        "docstring: rates 0.75 and 0.25 of 24 steps",
        lambda SF, x: SF.mse_count_loss(correct_rate=0.75, incorrect_rate=0.25)(x, LABELS),
        SPIKES[:24],
    ),
    Call(
        "docstring: membranes, targets the same at each step",
        lambda SF, x: SF.mse_membrane_loss(time_var_targets=False)(x, LABELS),
        MEMBRANE,
    ),
    Call(
        "docstring: membranes, a target for each step",
        lambda SF, x: SF.mse_membrane_loss(time_var_targets=True)(x, torch.arange(T) % N),
        MEMBRANE,
    ),
    Call(
        "docstring: first spike, defaults, all at step 0",
        lambda SF, x: SF.mse_temporal_loss()(x, LABELS.clone()),
        torch.ones(5, B, N),
        (1, 0, (4 / 5) ** 2 * 9 / 10),
    ),
    Call(
        "docstring: first spikes at 5 and 100, two steps of tolerance",
        lambda SF, x: SF.mse_temporal_loss(on_target=5, off_target=100, tolerance=2)(x, PAIR),
        LONG,
    ),
    Call(
        "docstring: the times of five neurons",
        lambda SF, x: SF.mse_temporal_loss(target_is_time=True)(
            x, torch.tensor([5.0, 10.0, 15.0, 20.0, 25.0])
        ),
        LONG,
    ),
    Call("docstring: earlier is likelier", lambda SF, x: SF.ce_temporal_loss()(x, LABELS), SPIKES),
    Call(
        "time to first spike: accuracy",
        lambda SF, x: SF.accuracy_temporal(x, torch.tensor([0, 1])),
        LONG.flip(0),
    ),
    Call(
        "backprop: a loss and the regulariser of all spikes",
        lambda SF, x: SF.mse_count_loss()(x, LABELS) + SF.l1_rate_sparsity()(x),
        SPIKES,
    ),
    Call(
        "a regulariser with a factor of one's own",
        lambda SF, x: SF.ce_rate_loss()(x, LABELS) + SF.l1_rate_sparsity(Lambda=1e-3)(x),
        SPIKES,
    ),
    Call(
        "spike times by themselves",
        lambda SF, x: SF.SpikeTime(target_is_time=False, on_target=3, off_target=9)(x, LABELS)[0],
        SPIKES,
    ),
]


def _answer(call: Call, module: Any) -> tuple[Any, torch.Tensor]:
    record = call.record.clone().requires_grad_()
    value = call.run(module, record)
    if not isinstance(value, torch.Tensor):
        return value, torch.zeros(())
    value.sum().backward()
    assert record.grad is not None
    return value.detach().squeeze(), record.grad


@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.source)
def test_calls_of_snntorch(call: Call) -> None:
    (theirs, their_grad), (ours, our_grad) = (
        _answer(call, module) for module in (peer, ours_of_snntorch)
    )
    if call.differs is None:
        same(np.asarray(ours, np.float32), np.asarray(theirs, np.float32), "float32")
        same(our_grad, their_grad, "float32")
        return
    for value, expected in zip((theirs, ours), call.differs[1:], strict=True):
        same(np.asarray(value, np.float32), np.float32(expected), "float32")


# ---- BrainPy. Logits have classes last.

LOGITS = jnp.asarray(_numbers(B, 3).numpy())
OVER_TIME = jnp.asarray(_numbers(T, B, 3).numpy())
CLASSES = jnp.array([2, 0, 1, 1])
FLOATS = CLASSES.astype(jnp.float32)
BY_STEP = jnp.asarray(np.arange(T * B).reshape(T, B) % 3)
MASK = jnp.asarray((np.arange(T * B).reshape(T, B) % 4 > 0).astype(np.float32))

OF_BRAINPY: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "quickstart: peak over time, class indices that are floats": (
        lambda L, x: L.cross_entropy_loss(x.max(axis=0), FLOATS),
        OVER_TIME,
    ),
    "the last step": (lambda L, x: L.cross_entropy_loss(x[-1], CLASSES), OVER_TIME),
    "a convolutional net": (lambda L, x: L.cross_entropy_loss(x, CLASSES), LOGITS),
    "decision making: steps and trials in one axis": (
        lambda L, x: L.cross_entropy_loss(x.reshape((-1, 3)), BY_STEP.flatten()),
        OVER_TIME,
    ),
    "evidence: logits (B, T, C), the label repeated for each step": (
        lambda L, x: L.cross_entropy_loss(
            jnp.moveaxis(x, 0, 1)[:, -5:], jnp.tile(CLASSES[:, None], (1, 5))
        ).mean(),
        OVER_TIME,
    ),
    "working memory: labels of steps (T, B)": (
        lambda L, x: L.cross_entropy_loss(x[-5:], jnp.tile(CLASSES[None], (5, 1))),
        OVER_TIME,
    ),
    "plasticity: every step, then a mask": (
        lambda L, x: (L.cross_entropy_loss(x, BY_STEP, reduction="none") * MASK).mean(),
        OVER_TIME,
    ),
    "plasticity: probabilities in place of logits": (
        lambda L, x: (
            L.cross_entropy_loss(jax.nn.softmax(x), BY_STEP, reduction="none") * MASK
        ).mean(),
        OVER_TIME,
    ),
    "reservoir: every step as a one-hot row": (
        lambda L, x: L.cross_entropy_loss(x, jax.nn.one_hot(BY_STEP, 3), reduction="mean") * 0.5,
        OVER_TIME,
    ),
    "online learning: one step, one-hot, a share of the loss": (
        lambda L, x: 0.95 * L.cross_entropy_loss(x, jax.nn.one_hot(CLASSES, 3)) / T,
        LOGITS,
    ),
    "weights of the classes": (
        lambda L, x: L.cross_entropy_loss(x, CLASSES, weight=jnp.array([1.0, 2.0, 0.5])),
        LOGITS,
    ),
    "surrogate gradients: with penalties of the spikes": (
        lambda L, x: L.cross_entropy_loss(x.max(axis=0), CLASSES) + 1e-5 * (x**2).sum(),
        OVER_TIME,
    ),
    "the class": (lambda L, x: L.CrossEntropyLoss()(x, CLASSES), LOGITS),
    "the class, with labels to leave out": (
        lambda L, x: L.CrossEntropyLoss(reduction="sum")(x, CLASSES.at[1].set(-100)),
        LOGITS,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_BRAINPY)
def test_calls_of_brainpy(name: str) -> None:
    """Eagerly, and compiled as BrainPy compiles a step of training."""
    run, logits = OF_BRAINPY[name]
    for transform in (lambda f: f, jax.jit):
        theirs, ours = (
            transform(jax.value_and_grad(lambda x, L=L: run(L, x)))(logits)
            for L in (load("brainpy.losses"), ours_of_brainpy)
        )
        for mine, other in zip(ours, theirs, strict=True):
            same(mine, other, "float32")


def test_quickstart_of_brainpy() -> None:
    """Arrays of brainpy's own, its gradient, its compilation, its optimiser."""
    bp, bm = load("brainpy"), load("brainpy.math")
    x64 = jax.config.jax_enable_x64
    inputs, labels = bm.asarray(_numbers(8, 5).numpy()), bm.asarray(np.arange(8) % 2, np.float32)

    def trained(losses: Any) -> np.ndarray:
        weight = bm.TrainVar(bm.asarray(_numbers(5, 2, seed=1).numpy()))
        optimizer = bp.optim.Adam(lr=0.05, train_vars={"w": weight})

        def loss() -> Any:
            return losses.cross_entropy_loss(bm.matmul(inputs, weight), labels)

        gradient = bm.grad(loss, grad_vars={"w": weight}, return_value=True)

        @bm.jit
        def step() -> Any:
            grads, value = gradient()
            optimizer.update(grads)
            return value

        for _ in range(5):
            step()
        return np.asarray(weight.value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of brainpy's own
        theirs, ours = (trained(losses) for losses in (bp.losses, ours_of_brainpy))
    assert jax.config.jax_enable_x64 == x64
    same(ours, theirs, "float32")


# ---- training with snnTorch

# A loss, its options, and the factor of the regulariser.
TRAINED: dict[str, tuple[str, dict[str, Any], float]] = {
    "counts": ("mse_count_loss", {"correct_rate": 0.8, "incorrect_rate": 0.2}, 0.0),
    "rates": ("ce_rate_loss", {}, 0.0),
    "membranes": ("mse_membrane_loss", {"on_target": 1.05, "off_target": 0.2}, 0.0),
    "weights": ("ce_count_loss", {"weight": torch.linspace(0.5, 2, N)}, 0.0),
    "first spikes": ("ce_temporal_loss", {}, 0.0),
    "times": ("mse_temporal_loss", {"on_target": 1, "off_target": 8}, 0.0),
    "counts, spikes cost": ("mse_count_loss", {}, 1e-2),
}


def _weights(SF: Any, name: str, options: dict[str, Any], factor: float) -> list[torch.Tensor]:
    """The weights after each of six steps of a network of two layers."""
    loss, penalty = getattr(SF, name)(**options), SF.l1_rate_sparsity(factor)
    torch.manual_seed(0)
    first, second = torch.nn.Linear(6, 12), torch.nn.Linear(12, N)
    lif = [snn.Leaky(beta=0.9, spike_grad=snn.surrogate.fast_sigmoid()) for _ in range(2)]
    adam = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=5e-3)
    inputs, found = 2 * _numbers(10, B, 6, seed=4), []
    for _ in range(6):
        potentials, spikes, membranes = [layer.init_leaky() for layer in lif], [], []
        for x in inputs:
            spike, potentials[0] = lif[0](first(x), potentials[0])
            spike, potentials[1] = lif[1](second(spike), potentials[1])
            spikes.append(spike)
            membranes.append(potentials[1])
        adam.zero_grad()
        record = torch.stack(membranes if "membrane" in name else spikes)
        (loss(record, LABELS) + penalty(record) if factor else loss(record, LABELS)).backward()
        adam.step()
        found += [first.weight.detach().clone(), second.weight.detach().clone()]
    return found


@pytest.mark.parametrize("name", TRAINED)
def test_training_follows_snntorch(name: str) -> None:
    theirs, ours = (_weights(SF, *TRAINED[name]) for SF in (peer, ours_of_snntorch))
    assert not torch.equal(theirs[0], theirs[-2])
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
