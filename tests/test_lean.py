"""What PyTorch does with large records, on small ones: the same numbers and derivatives.

From some size on a cross-entropy has a function of its own, which keeps less in memory; with
lengths so has a squared error, and of any size a first spike. Wide and narrow rows of classes take
two ways.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from libraries import same

from spikeloss import Loss
from spikeloss._backend import _torch
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.presets import ce_rate, ce_temporal, mse_membrane, mse_temporal
from spikeloss.readouts import EveryStep, FirstSpike
from spikeloss.reductions import Each
from spikeloss.targets import OnOff

T, B = 7, 5
RNG = np.random.default_rng(0)
LENGTHS = torch.tensor([7, 1, 4, 6, 2])

widths = pytest.mark.parametrize("neurons", [6, 17], ids=["narrow", "wide"])
with_lengths = pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])


@pytest.fixture(params=[0, 10**9], ids=["lean", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """From which number of entries on a record is large."""
    monkeypatch.setattr(_torch, "_SMALL", request.param)
    return int(request.param)


def record(neurons: int, padded: bool, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    x = torch.tensor(RNG.normal(size=(T, B, neurons)), dtype=dtype)
    if padded:
        x[torch.arange(T)[:, None] >= LENGTHS] = torch.nan
    return x.requires_grad_()


def options(padded: bool) -> dict[str, torch.Tensor]:
    return {"lengths": LENGTHS} if padded else {}


def labels(neurons: int) -> torch.Tensor:
    return torch.tensor(RNG.integers(0, neurons, B))


def by_hand(z: torch.Tensor, y: torch.Tensor, padded: bool) -> torch.Tensor:
    """-log softmax(z)_y of every step, and its mean over the steps and samples there are."""
    steps = LENGTHS if padded else torch.full((B,), T)
    each = []
    for b in range(B):
        rows = torch.stack([z[t, b, y[b]] - z[t, b].logsumexp(0) for t in range(steps[b])])
        each.append(-rows.mean())
    return torch.stack(each)


@with_lengths
@widths
def test_cross_entropy(way: int, neurons: int, padded: bool) -> None:
    """A number for every sample, with an upstream gradient other than 1."""
    x, y = record(neurons, padded), labels(neurons)
    slope = torch.tensor(RNG.normal(size=B))
    loss = ce_rate(reduction=Each())
    found = loss(x, y, **options(padded))
    (grad,) = torch.autograd.grad(found, x, slope)
    wanted = by_hand(x, y, padded)
    (slopes,) = torch.autograd.grad(wanted, x, slope)
    same(found.detach(), wanted.detach())
    same(grad, slopes)


def test_first_spikes_of_many_gradients() -> None:
    x = SPIKES.clone().requires_grad_()
    time = FirstSpike()(x)
    slopes = torch.tensor(RNG.normal(size=(3, B, 6)))
    (found,) = torch.autograd.grad(time, x, slopes, is_grads_batched=True, retain_graph=True)
    for one, slope in zip(found, slopes, strict=True):
        (wanted,) = torch.autograd.grad(time, x, slope, retain_graph=True)
        same(one, wanted)


LOSSES: dict[str, Callable[[], Loss]] = {
    "mean": ce_rate,
    "weights": lambda: ce_rate(class_weight=tuple(range(1, 7))),
    "smoothing": lambda: Loss(EveryStep(), CrossEntropy(label_smoothing=0.1)),
    "ignored": lambda: Loss(EveryStep(), CrossEntropy(ignore_index=2)),
    "squared error": mse_membrane,
    "tolerance": lambda: Loss(EveryStep(), SquaredError(tolerance=0.5), OnOff()),
    "per step": lambda: Loss(EveryStep(), SquaredError(steps_power=1), OnOff()),
}


@with_lengths
@pytest.mark.parametrize("name", LOSSES)
def test_second_derivatives(way: int, name: str, padded: bool) -> None:
    loss, y = LOSSES[name](), torch.tensor([0, 1, 2, 3, 5])
    x = record(6, False)

    def of(x: torch.Tensor) -> Any:
        return loss(x, y, **options(padded))

    assert torch.autograd.gradcheck(of, x)
    assert torch.autograd.gradgradcheck(of, x)


@with_lengths
@pytest.mark.parametrize("name", LOSSES)
def test_many_gradients_at_once(way: int, name: str, padded: bool) -> None:
    """As the rows of a Jacobian are taken, by `vmap` over the backward pass."""
    loss, y = LOSSES[name]().replace(reduction=Each()), torch.tensor([0, 1, 2, 3, 5])
    x = record(6, padded)
    value = loss(x, y, **options(padded))
    slopes = torch.tensor(RNG.normal(size=(3, *value.shape)))
    (found,) = torch.autograd.grad(value, x, slopes, is_grads_batched=True, retain_graph=True)
    for one, slope in zip(found, slopes, strict=True):
        (wanted,) = torch.autograd.grad(value, x, slope, retain_graph=True)
        same(one, wanted)


def test_the_same_graph_twice(way: int) -> None:
    """What a backward pass keeps it does not change."""
    x, y = record(6, True), labels(6)
    for loss in (ce_rate(), mse_membrane()):
        value = loss(x, y, lengths=LENGTHS)
        one, two = (torch.autograd.grad(value, x, retain_graph=True)[0] for _ in range(2))
        assert torch.equal(one, two)


SPIKES = torch.tensor(RNG.random((T, B, 6)) < 0.2, dtype=torch.float64)


@pytest.mark.parametrize("code", ["time", "negative", "reciprocal", "exponential"])
@pytest.mark.parametrize("unit", [1.0, 2.0])
def test_first_spikes(code: Any, unit: float) -> None:
    """At once as step by step: the time, and the derivative -1 at the spike or the last step."""
    assert (SPIKES.sum(0) == 0).any()  # some are silent
    readout = FirstSpike(code=code, unit=unit)
    once, twice = (SPIKES.clone().requires_grad_() for _ in range(2))
    found = readout(once)
    wanted = readout(twice, lengths=torch.full((B,), T))  # which takes the other way
    slope = torch.tensor(RNG.normal(size=(B, 6)))
    same(found.detach(), wanted.detach())
    for graph in (False, True):
        one, other = (
            torch.autograd.grad(z, x, slope, create_graph=graph, retain_graph=True)[0].detach()
            for z, x in ((found, once), (wanted, twice))
        )
        same(one, other)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("loss", [mse_temporal(), ce_temporal()], ids=["mse", "ce"])
def test_first_spikes_differentiated_forward(loss: Loss) -> None:
    from torch.autograd import forward_ad

    x, y = SPIKES.clone().requires_grad_(), torch.tensor([0, 1, 2, 3, 5])
    tangent = torch.tensor(RNG.normal(size=SPIKES.shape))
    (grad,) = torch.autograd.grad(loss(x, y), x)
    with forward_ad.dual_level():
        value = loss(forward_ad.make_dual(SPIKES, tangent), y)
        found = forward_ad.unpack_dual(value).tangent
    same(found, (grad * tangent).sum())
