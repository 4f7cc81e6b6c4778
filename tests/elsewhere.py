"""What the composed form costs where nobody looks: operations, passes and waits, by counting.

On an accelerator, emulated by `accelerator.py`, in eager PyTorch; through Inductor, whose kernels
are counted before it writes them for a device; in the module that XLA compiles. An operation is
what the device has to run: views and empty tensors are free. Sizes are (100, 64, 20); value and
gradient, without value checks, as on an accelerator.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from accelerator import Elsewhere, there
from libraries import TORCH, same

from spikeloss import presets

T, B, N = 100, 64, 20
CATALOGUE = presets.catalogue()
MOST = {
    "mse_temporal": 13,
    "ce_temporal": 14,
}  # of all others 12; these look whether a spike is a number


class Limit(NamedTuple):
    """At most so much, for value and gradient."""

    operations: int
    """Of eager PyTorch, forward and backward."""
    moved: float
    """The arrays that these read and write, whole, in units of the record."""
    kernels: int
    """Of Inductor, that touch an array of the record's size."""
    bytes: float
    """That the module of JAX accesses, in units of the record."""


# snnTorch's objectives and BrainPy's, as the seeds name them.
LIMITS = {
    "ce_rate": Limit(10, 9.3, 3, 10.5),
    "ce_count": Limit(7, 1.2, 3, 2.2),
    "ce_max_membrane": Limit(9, 4.3, 3, 8.6),
    "mse_count": Limit(8, 1.2, 3, 2.2),
    "mse_membrane": Limit(8, 5.2, 3, 5.1),
    "mse_temporal": Limit(13, 3.8, 3, 7.5),
    "ce_temporal": Limit(14, 5.8, 3, 7.5),
    "cross_entropy": Limit(8, 9.6, 3, 10.3),
}

every_seed = pytest.mark.parametrize("name", LIMITS)


@pytest.fixture(autouse=True)
def as_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    monkeypatch.setenv("SPIKELOSS_KERNELS", "off")


def example(name: str, steps: int = T) -> tuple[np.ndarray, np.ndarray]:
    """A record and labels; some neurons are silent. Logits have as many rows as the record."""
    rng, reads = np.random.default_rng(0), CATALOGUE[name].reads
    record = (
        rng.random((steps, B, N)) < 0.03 if reads == "spikes" else rng.normal(size=(steps, B, N))
    )
    labels = rng.integers(0, N, B)
    if reads == "logits":
        record, labels = record.reshape(-1, N), rng.integers(0, N, steps * B)
    return record.astype(np.float32), labels


# Eager PyTorch on an accelerator


def elsewhere(name: str, record: Any, labels: Any, **options: Any) -> tuple[Elsewhere, Any]:
    """What a loss does there, and its value and gradient."""
    loss, x = CATALOGUE[name].build(), there(torch.tensor(record)).requires_grad_()
    y = there(torch.tensor(labels))
    options = {key: there(torch.tensor(each)) for key, each in options.items()}
    with Elsewhere() as device:
        loss(x, y, **options)  # what is done once is done
        one = there(torch.ones(()))
        device.operations.clear()
        value = loss(x, y, **options)
        (grad,) = torch.autograd.grad(value, x, one)
    return device, (value.here, grad.here)


@every_seed
def test_operations(name: str, record_property: Any) -> None:
    record, labels = example(name)
    device, _ = elsewhere(name, record, labels)
    moved = sum(each.numbers for each in device.operations) / record.nbytes
    record_property("operations", len(device.operations))
    record_property("moved", moved)
    names = [each.name for each in device.operations]
    assert len(names) <= LIMITS[name].operations <= MOST.get(name, 12), names
    assert moved <= LIMITS[name].moved, moved


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@every_seed
def test_the_same_numbers_as_on_the_cpu(name: str, padded: bool) -> None:
    """And with lengths, and garbage in what is padding, no wait for the device either."""
    record, labels = example(name)
    options = {}
    if padded:
        if CATALOGUE[name].reads == "logits":
            pytest.skip("no time axis")
        lengths = np.random.default_rng(1).integers(1, T + 1, B)
        record[np.arange(T)[:, None] >= lengths] = np.nan
        options = {"lengths": lengths}
    _, found = elsewhere(name, record, labels, **options)
    given = {key: torch.tensor(each) for key, each in options.items()}
    loss, y = CATALOGUE[name].build(), torch.tensor(labels)
    wanted = TORCH.value_and_grad(lambda x: loss(x, y, **given), torch.tensor(record))
    for one, other in zip(found, wanted, strict=True):
        same(one, other, "float32")


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).all()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.cpu(),
        lambda x: torch.ones(3).to(x.device),
        lambda x: x + torch.ones(3),
    ],
    ids=["item", "bool", "mask", "nonzero", "to the host", "from the host", "mixed"],
)
def test_a_wait_is_seen(waits: Any) -> None:
    x = there(torch.ones(3))
    with Elsewhere(), pytest.raises(AssertionError, match="host"):
        waits(x)


# Inductor


def touching(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels of value and gradient that touch an array of the record's size or more."""
    from torch._inductor import config
    from torch._inductor.scheduler import Scheduler
    from torch._inductor.virtualized import V

    record, labels = map(torch.tensor, example(name))
    found, codegen = [], Scheduler.codegen

    def seen(scheduler: Any) -> Any:
        for kernel in scheduler.nodes:
            buffers = {
                each.name for each in (*kernel.read_writes.reads, *kernel.read_writes.writes)
            }
            if any(V.graph.get_numel(each) >= record.numel() for each in buffers):
                found.append(f"{kernel.get_name()}: {sorted(buffers)}")
        return codegen(scheduler)

    monkeypatch.setattr(Scheduler, "codegen", seen)
    torch._dynamo.reset()
    compiled: Any = torch.compile(CATALOGUE[name].build(), fullgraph=True, dynamic=False)
    with config.patch(fx_graph_cache=False):  # what is read from a cache is not generated
        torch.autograd.grad(compiled(record.requires_grad_(), labels), record)
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@every_seed
def test_kernels_of_inductor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = touching(name, monkeypatch)
    assert 1 <= len(found) <= LIMITS[name].kernels <= 3, found


# JAX


@every_seed
def test_bytes_of_jax(name: str, record_property: Any) -> None:
    """Every fusion counts what it reads and writes once."""
    record, labels = map(jnp.asarray, example(name))
    loss = CATALOGUE[name].build()
    module = jax.jit(jax.value_and_grad(loss)).lower(record, labels).compile()
    accessed = module.cost_analysis()["bytes accessed"] / record.nbytes
    record_property("bytes", accessed)
    assert accessed <= LIMITS[name].bytes, accessed
