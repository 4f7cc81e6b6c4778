"""What others do, in plain PyTorch: by hand without a loop, and as snnTorch documents its losses.

`VECTORISED` are the few lines that a user of PyTorch writes. `LOOPS` do what the source of
`snntorch.functional.loss` does, step by step and neuron by neuron, for machines on which snnTorch
is not installed. Both give the value and the gradient that our presets give.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

Call = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _on_off(labels: torch.Tensor, like: torch.Tensor, on: float, off: float) -> torch.Tensor:
    """on for the class of the label, else off, (B, C)."""
    y = like.new_full((len(labels), like.shape[-1]), off)
    return y.scatter_(1, labels[:, None], on)


# ---- without a loop


def _ce_rate(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    rows = labels.expand(len(x), -1).reshape(-1)
    return functional.cross_entropy(x.reshape(-1, x.shape[-1]), rows)


def _ce_count(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(x.sum(0), labels)


def _ce_max_membrane(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(x.max(0).values, labels)


def _mse_count(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    steps = len(x)
    return functional.mse_loss(x.sum(0), _on_off(labels, x, steps, 0)) / steps


def _mse_membrane(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(x, _on_off(labels, x, 1, 0).expand_as(x))


def _first_spike(x: torch.Tensor) -> torch.Tensor:
    """The step of the first spike, the last one of a silent neuron; -1 as its derivative."""
    fired = x.detach() != 0
    step = fired.byte().argmax(0)
    step = torch.where(fired.any(0), step, len(x) - 1)
    entry = x.gather(0, step[None])[0]
    return step - (entry - entry.detach())


def _mse_temporal(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    steps = len(x)
    target = _on_off(labels, x, 0, steps - 1)
    return functional.mse_loss(_first_spike(x) / steps, target / steps)


def _ce_temporal(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(-_first_spike(x), labels)


def _cross_entropy(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(x, labels)


VECTORISED: dict[str, Call] = {
    "ce_rate": _ce_rate,
    "ce_count": _ce_count,
    "ce_max_membrane": _ce_max_membrane,
    "mse_count": _mse_count,
    "mse_membrane": _mse_membrane,
    "mse_temporal": _mse_temporal,
    "ce_temporal": _ce_temporal,
    "cross_entropy": _cross_entropy,
}


# ---- as snnTorch does it


def _nll(z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.nll_loss(torch.log_softmax(z, -1), labels)


def _loop_ce_rate(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    log_p = torch.log_softmax(x, -1)
    loss = torch.zeros(1, device=x.device)
    for step in range(len(x)):
        loss += functional.nll_loss(log_p[step], labels)
    return loss / len(x)


def _loop_mse_membrane(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    target = _on_off(labels, x, 1, 0)
    loss = torch.zeros(1, device=x.device)
    for step in range(len(x)):
        loss += functional.mse_loss(x[step], target)
    return loss / len(x)


class _LoopSpike(torch.autograd.Function):
    """The first spike, a step after the other; its derivative a neuron after the other."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        step = torch.arange(0, len(x)).to(x.device) + 1
        times = (x.transpose(0, -1) * step).transpose(0, -1)
        first = torch.zeros_like(times[0])
        for t in range(len(x)):
            first += times[t] * ~first.bool()
        first += ~first.bool() * len(x)
        first -= 1
        ctx.save_for_backward(first, x)
        return first

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        first, x = ctx.saved_tensors
        found = torch.zeros_like(x)
        for i in range(first.shape[0]):
            for j in range(first.shape[1]):
                found[first[i, j].long(), i, j] = 1.0
        return -slope * found


def _loop_mse_temporal(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    steps = len(x)
    target = _on_off(labels, x, 0, steps - 1)
    return functional.mse_loss(_LoopSpike.apply(x) / steps, target / steps)


def _loop_ce_temporal(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(-_LoopSpike.apply(x), labels)


LOOPS: dict[str, Call] = {
    "ce_rate": _loop_ce_rate,
    "ce_count": lambda x, labels: _nll(x.sum(0), labels),
    "ce_max_membrane": lambda x, labels: _nll(torch.max(x, 0)[0], labels),
    "mse_count": _mse_count,
    "mse_membrane": _loop_mse_membrane,
    "mse_temporal": _loop_mse_temporal,
    "ce_temporal": _loop_ce_temporal,
}
