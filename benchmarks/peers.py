"""The same objectives by other packages, and by the lines that a user would write.

Each maker gives calls of a record and a target by objective, for one size. "By hand" is as short as
a user's code is, but uses what is quick in the library: `amax` for a maximum, a matrix product for
a trace.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from objectives import OBJECTIVES, Size
from torch.nn import functional

Call = Callable[[Any, Any], Any]
BRAINPY, HAND, OPTAX, SNNTORCH, SPIKINGJELLY = (
    "brainpy", "torch by hand", "optax", "snntorch", "spikingjelly by hand",
)  # fmt: skip
LOOPED = ("ce_rate", "mse_membrane", "ce_temporal", "mse_temporal")
"""Where snnTorch loops over steps, or over samples and neurons."""
MOST_STEPS = 1000
"""Up to which the matrix of a trace is no larger than a user would make it."""


def snntorch(name: str, size: Size) -> Call | None:
    """snnTorch's class of the same name, with its population code where that is one.

    Its `ce_rate_loss` of populations cannot be called without weights, and divides neurons, not
    classes: no row. The time of other classes is by default -1, which arrives as 0: the last step
    is named.
    """
    import snntorch.functional as snn

    found = getattr(snn, f"{name}_loss", None)
    if found is None:
        return None
    options: dict[str, Any] = {}
    if name == "mse_temporal":
        options = {"on_target": 0, "off_target": size.steps - 1}
    if size.pooled:
        if name not in ("ce_count", "mse_count"):
            return None
        options |= {"population_code": True, "num_classes": size.classes}
    return found(**options)


# ---- by hand, in PyTorch


def torch_by_hand(name: str, size: Size) -> Call | None:
    lines = {
        "ce_rate": _ce_rate,
        "mse_membrane": _mse_membrane,
        "ce_max_membrane": _ce_max_membrane,
        "ce_temporal": _ce_temporal,
        "mse_temporal": _mse_temporal,
        "ce_count": _ce_count,
        "mse_count": _mse_count,
    }
    if name == "cross_entropy":
        return functional.cross_entropy
    if name == "mse_trace":
        return _trace(size) if size.steps <= MOST_STEPS else None
    return lines[name](size, _pool(name, size)) if name in lines else None


def spikingjelly(name: str, size: Size) -> Call | None:
    """As SpikingJelly's documentation has it: the rate over time, and then a loss of PyTorch."""
    pool = _pool(name, size)
    if name == "ce_mean":
        return lambda record, labels: functional.cross_entropy(pool(record.mean(0)), labels)
    if name == "mse_mean":
        return lambda record, labels: functional.mse_loss(
            pool(record.mean(0)), functional.one_hot(labels, size.classes).float()
        )
    return None


def _pool(name: str, size: Size) -> Callable[[Any], Any]:
    if not size.pooled:
        return lambda z: z
    groups = (size.classes, size.neurons // size.classes)
    kind = OBJECTIVES[name].pool
    return lambda z: getattr(z.reshape((*z.shape[:-1], *groups)), str(kind))(-1)


def _ce_rate(size: Size, pool: Call) -> Call:
    return lambda record, labels: functional.cross_entropy(
        pool(record).flatten(0, 1), labels.repeat(size.steps)
    )


def _mse_membrane(size: Size, pool: Call) -> Call:
    def call(record: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        z = pool(record)
        return functional.mse_loss(z, functional.one_hot(labels, size.classes).float().expand_as(z))

    return call


def _ce_max_membrane(size: Size, pool: Call) -> Call:
    return lambda record, labels: functional.cross_entropy(pool(record.amax(0)), labels)


def _ce_count(size: Size, pool: Call) -> Call:
    return lambda record, labels: functional.cross_entropy(pool(record.sum(0)), labels)


def _mse_count(size: Size, pool: Call) -> Call:
    most = size.steps * size.neurons // size.classes

    def call(record: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        wanted = most * functional.one_hot(labels, size.classes).to(record.dtype)
        return functional.mse_loss(pool(record.sum(0)), wanted) / size.steps

    return call


def _first(record: torch.Tensor) -> torch.Tensor:
    """The first step of a spike, the last where there is none; the derivative there is -1."""
    steps = len(record)
    countdown = torch.arange(steps, 0.0, -1.0)[:, None, None]
    with torch.no_grad():
        first = steps - (record * countdown).amax(0).clamp(min=1.0)
    if not record.requires_grad:
        return first
    there = record.gather(0, first.long()[None])[0]
    return first + there.detach() - there


def _ce_temporal(size: Size, pool: Call) -> Call:
    return lambda record, labels: functional.cross_entropy(-pool(_first(record)), labels)


def _mse_temporal(size: Size, pool: Call) -> Call:
    def call(record: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        others = 1 - functional.one_hot(labels, size.classes).float()
        wanted = others * (size.steps - 1) / size.steps
        return functional.mse_loss(pool(_first(record)) / size.steps, wanted)

    return call


def _trace(size: Size) -> Call:
    steps = np.arange(size.steps)
    apart = steps[:, None] - steps
    kernel = np.where(apart >= 0, np.exp(-np.maximum(apart, 0) / 5.0), 0.0).astype(np.float32)
    filtered = torch.tensor(kernel)

    def call(record: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
        return (filtered @ (record - train).flatten(1)).square().mean()

    return call


# ---- in JAX


def optax(name: str, size: Size) -> Call | None:
    """optax's loss after the readout, in lines by hand."""
    import jax.numpy as jnp
    import optax as package

    by_row = package.softmax_cross_entropy_with_integer_labels
    pool = _pool(name, size)
    readouts: dict[str, Callable[[Any], Any]] = {
        "ce_max_membrane": lambda record: record.max(0),
        "ce_count": lambda record: record.sum(0),
        "ce_mean": lambda record: record.mean(0),
        "cross_entropy": lambda record: record,
    }

    def squared(z: Any, labels: Any, scale: float = 1.0) -> Any:
        wanted = scale * (labels[:, None] == jnp.arange(size.classes))
        return package.squared_error(z, jnp.broadcast_to(wanted, z.shape)).mean()

    if name in readouts:
        return lambda record, labels: by_row(pool(readouts[name](record)), labels).mean()
    most = float(size.steps * size.neurons // size.classes)
    lines: dict[str, Call] = {
        "ce_rate": lambda record, labels: by_row(
            pool(record), jnp.broadcast_to(labels, record.shape[:2])
        ).mean(),
        "mse_membrane": lambda record, labels: squared(pool(record), labels),
        "mse_mean": lambda record, labels: squared(pool(record.mean(0)), labels),
        "mse_count": lambda record, labels: squared(pool(record.sum(0)), labels, most) / size.steps,
    }
    return lines.get(name)


def brainpy(name: str, size: Size) -> Call | None:
    import brainpy.losses

    return brainpy.losses.cross_entropy_loss if name == "cross_entropy" else None


TORCH: dict[str, Callable[[str, Size], Call | None]] = {
    SNNTORCH: snntorch, SPIKINGJELLY: spikingjelly, HAND: torch_by_hand,
}  # fmt: skip
JAX: dict[str, Callable[[str, Size], Call | None]] = {OPTAX: optax, BRAINPY: brainpy}
