"""The most memory that value and gradient take, beyond the record and its gradient.

In units of the record. PyTorch's profiler sees every allocation, also those within an operation;
XLA says what the module that it compiled needs. A network keeps the record and takes the gradient;
what a loss needs beside them limits how long a record can be.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from spikeloss import presets
from spikeloss._choice import state

T, B, N = 100, 64, 20
CATALOGUE = presets.catalogue()
SEEDS = (
    "ce_rate", "ce_count", "ce_max_membrane", "mse_count", "mse_membrane", "mse_temporal",
    "ce_temporal", "cross_entropy",
)  # fmt: skip
ONCE = (
    *SEEDS, "ce_mean", "ce_last_step", "ce_logsumexp", "ce_sum_softmax", "focal_max_membrane",
    "integral_ce", "weighted_integral_ce", "tempotron", "spike_rate", "spikemax", "spikemoid",
    "margin_count", "ttfs_ce", "ttfs_z_ce", "relative_ttfs_mse", "target_time", "rate_latency",
)  # fmt: skip
"""Presets of labels that read a record once."""
COMPOSED, KERNELS = 1.1, 0.05
MORE = {
    ("auto", "cross_entropy"): 0.36,  # has no time: totals are 1/20 of it; composed in JAX
}
"""What needs more."""


def available() -> bool:
    """Whether there is a native core."""
    return state().startswith("native core")


@pytest.fixture(params=["off", "auto"])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, name: str) -> float:
    """The most extra memory of a preset, composed and with kernels."""
    if request.param == "auto" and not available():
        pytest.skip("no native core here")
    monkeypatch.setenv("SPIKELOSS_KERNELS", request.param)
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    bound = COMPOSED if request.param == "off" else KERNELS
    return MORE.get((request.param, name), bound)


def example(name: str, padded: bool) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A record, labels and lengths; logits have as many rows as the record."""
    rng, reads = np.random.default_rng(0), CATALOGUE[name].reads
    record = rng.random((T, B, N)) < 0.1 if reads == "spikes" else rng.normal(size=(T, B, N))
    labels = rng.integers(0, N, B)
    if reads == "logits":
        if padded:
            pytest.skip("no time axis")
        record, labels = record.reshape(-1, N), rng.integers(0, N, T * B)
    lengths = {"lengths": rng.integers(1, T + 1, B)} if padded else {}
    return record.astype(np.float32), labels, lengths


def peak(run: Any) -> tuple[int, Any]:
    """The most bytes that live at once of those allocated in a call, and its result."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        found = run()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    lives = np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])
    return int(max(lives, default=0)), found


def extra(name: str, padded: bool) -> float:
    """In PyTorch."""
    loss, (record, labels, lengths) = CATALOGUE[name].build(), example(name, padded)
    x, y = torch.tensor(record).requires_grad_(), torch.tensor(labels)
    options = {key: torch.tensor(each) for key, each in lengths.items()}

    def run() -> Any:
        return torch.autograd.grad(loss(x, y, **options), x)

    run()
    bytes_, (grad,) = peak(run)
    return (bytes_ - grad.untyped_storage().nbytes()) / record.nbytes


def test_what_lives_is_seen() -> None:
    """Two arrays at once, of three."""

    def run() -> torch.Tensor:
        one = torch.zeros(1000)
        other = one + 1
        del one
        return other.exp()

    bytes_, _ = peak(run)
    assert 8000 <= bytes_ < 8100  # and a number or two


every_seed = pytest.mark.parametrize("name", SEEDS)
every_preset = pytest.mark.parametrize("name", ONCE)
with_lengths = pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])


@with_lengths
@every_preset
def test_torch(name: str, padded: bool, most: float, record_property: Any) -> None:
    found = extra(name, padded)
    record_property("extra", found)
    assert found <= most


@with_lengths
@every_seed
def test_jax(name: str, padded: bool, most: float, record_property: Any) -> None:
    loss = CATALOGUE[name].build()
    record, labels, lengths = example(name, padded)
    options = {key: jnp.asarray(each) for key, each in lengths.items()}
    both = jax.jit(jax.value_and_grad(lambda x, y, **given: loss(x, y, **given)))
    module = both.lower(jnp.asarray(record), jnp.asarray(labels), **options).compile()
    found = module.memory_analysis().temp_size_in_bytes / record.nbytes
    record_property("extra", found)
    assert found <= most
