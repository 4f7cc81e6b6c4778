"""jaxsnn.event.loss: times of first spikes (N); the class is that of the earliest target.

Its training takes the mean over the samples, as the formulas here do of (B, N).

Source: jaxsnn, jaxsnn/event/loss.py, August 2026.
"""

from typing import Any

import numpy as np

from .rows import LABELS, SPIKES, Change, N, Page, Same, cross_entropy


def _earliest(target: Any) -> Any:
    return np.argmin(target, axis=-1)


def target_time_loss(t: Any, target: Any, tau_mem: float) -> float:
    return float(np.mean(-np.log(1 + np.exp(-np.abs(t - target) / tau_mem)).sum(-1)))


def ttfs_loss(t: Any, target: Any, tau_mem: float) -> float:
    """The sign is theirs."""
    total = 0.0
    for times, label in zip(np.minimum(np.abs(t), 2 * tau_mem), _earliest(target), strict=True):
        total -= np.log(np.exp((times[label] - times) / tau_mem).sum())
    return total / len(t)


def mse_loss(t: Any, target: Any, tau_mem: float) -> float:
    return float(np.mean((((np.minimum(t, 2 * tau_mem) - target) / tau_mem) ** 2).sum(-1)))


def nll_loss(output: Any, target: Any) -> float:
    return cross_entropy(np.maximum(output, 0), _earliest(target))


_FIRST = SPIKES.argmax(0)
_TARGET = np.where(np.eye(N)[LABELS] == 1, 0.0, 6.0)
_MSE = "Loss(readouts.FirstSpike(), criteria.SquaredError(), targets.OnOffTime(on=0, off=6))"
_TIE = "np.array([[2.0, 4.0]]), np.array([[0.0, 6.0]]), 2.0"
_OURS = "np.array([[[0, 0]], [[0, 0]], [[1, 0]], [[0, 0]], [[0, 1]]]), np.array([0])"
_LATER = _OURS.replace("[[1, 0]], [[0, 0]]", "[[0, 0]], [[1, 0]]")
_TAIL = "np.array([[0.0, 9.0]]), np.array([[0.0, 9.0]]), 2.0"
PAGE = Page(
    "jaxsnn",
    "jaxsnn",
    "TBN",
    ("", ""),
    {
        "t": _FIRST,
        "target": _TARGET,
        "target_time_loss": target_time_loss,
        "ttfs_loss": ttfs_loss,
        "mse_loss": mse_loss,
        "nll_loss": nll_loss,
        "max_over_time": lambda u: u.max(0),
    },
    (
        Same(
            "ttfs_loss(t, target, 10.0)",
            "presets.ttfs_ce(tau=10.0)(x, y)",
            "-1",
            "ours times -1, before 2 tau",
        ),
        Same(
            "target_time_loss(t, target, 10.0)",
            "presets.target_time(on=0, off=6, tau=10.0)(x, y)",
            "N",
            "N times ours",
        ),
        Same(
            "mse_loss(t, target, 10.0)",
            f"{_MSE}(x, y)",
            "N / 10**2",
            "N / tau^2 times ours, before 2 tau",
        ),
        Same(
            "nll_loss(max_over_time(abs(u)), target)",
            "presets.ce_max_membrane()(abs(u), y)",
            said="ours, where no maximum is below 0",
        ),
    ),
    (
        Change(
            "`ttfs_loss` and `ttfs_ce`, the right neuron at 2, the other at 4, tau = 2",
            f"ttfs_loss({_TIE})",
            f"presets.ttfs_ce(tau=2.0)({_OURS})",
            (-0.313262, 0.313262),
        ),
        Change(
            "the same, its right neuron at 3: minimising it makes the right neuron late",
            f"ttfs_loss({_TIE.replace('2.0, 4.0', '3.0, 4.0')})",
            f"presets.ttfs_ce(tau=2.0)({_LATER})",
            (-0.474077, 0.474077),
        ),
        Change(
            "`target_time_loss` and `target_time`, two neurons on time",
            f"target_time_loss({_TAIL})",
            "presets.target_time(on=0, off=9, tau=2.0)(np.eye(10)[:, None, [0, 9]], np.array([0]))",
            (-1.38629, -0.693147),
        ),
    ),
)
