"""lava.lib.dl.slayer.loss: records (B, N, T); losses sum unless told otherwise.

Source: lava-dl, slayer/loss.py and slayer/classifier.py, in its repository.
"""

from typing import Any

import numpy as np

from .rows import Change, Page, Same, log_softmax


def _reduced(losses: Any, reduction: str) -> float:
    return float(np.sum(losses) if reduction == "sum" else np.mean(losses))


def _causal(x: Any, kernel: Any) -> Any:
    """sum_s kernel_s x_(t - s): a step before the first is empty."""
    z = np.zeros(x.shape)
    for t in range(x.shape[-1]):
        for s in range(min(t + 1, len(kernel))):
            z[..., t] += kernel[s] * x[..., t - s]
    return z


def SpikeTime(time_constant: float = 5, length: int = 100, reduction: str = "sum") -> Any:
    kernel = np.exp(-np.arange(length) / time_constant)

    def loss(x: Any, y: Any) -> float:
        return _reduced((_causal(x, kernel) - _causal(y, kernel)) ** 2, reduction)

    return loss


def SpikeRate(
    true_rate: float, false_rate: float, moving_window: int | None = None, reduction: str = "sum"
) -> Any:
    def loss(x: Any, y: Any) -> float:
        right = np.moveaxis(np.eye(x.shape[1])[y], -1, 1)  # labels (B), of windows (B, T)
        target = true_rate * right + false_rate * (1 - right)
        if moving_window is None:
            return _reduced((x.mean(-1) - target) ** 2, reduction)
        rates = _causal(x, np.ones(moving_window) / moving_window)
        return _reduced((rates - target) ** 2, reduction)

    return loss


def SpikeMax(mode: str = "probability", reduction: str = "sum") -> Any:
    def loss(x: Any, y: Any) -> float:
        rates = x.mean(-1)
        shares = rates / (rates.sum(-1, keepdims=True) + 1e-6)
        log_p = np.log(shares) if mode == "probability" else log_softmax(rates)
        return _reduced(-log_p[np.arange(len(x)), y], reduction)

    return loss


def SpikeMoid(alpha: float = 1, theta: float = 0, reduction: str = "sum") -> Any:
    def loss(x: Any, y: Any) -> float:
        p = 1 / (1 + np.exp(-(x.mean(-1) - theta) / alpha))
        return _reduced(-(y * np.log(p) + (1 - y) * np.log(1 - p)), reduction)

    return loss


def SparsityEnforcer(max_rate: float = 0.01, lam: float = 1.0) -> Any:
    return lambda x: lam * max(0.0, float(np.abs(x).mean()) - max_rate) ** 2


def sparsity_gradient(x: Any, max_rate: float = 0.01) -> Any:
    """That of `SparsityEnforcer()`: through the sign, which is 0 at 0."""
    return 2 * max(0.0, float(np.abs(x).mean()) - max_rate) * np.sign(x) / x.size


_ON = "np.ones((1, 1, 4))"
_TWO = "np.array([[[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]])"
_AXES = "time_axis=2, class_axis=1"
_TRAINS = ("x, 1 - x", f"x, 1 - x, {_AXES}")
PAGE = Page(
    "lava-dl",
    "lava-dl",
    "BNT",
    ("x, y", f"x, y, {_AXES}"),
    {
        "SpikeTime": SpikeTime,
        "SpikeRate": SpikeRate,
        "SpikeMax": SpikeMax,
        "SpikeMoid": SpikeMoid,
        "SparsityEnforcer": SparsityEnforcer,
        "sparsity_gradient": sparsity_gradient,
    },
    (
        Same(
            "SpikeTime()",
            'presets.mse_trace(tau=5.0, reduction="sum")',
            "T",
            "T times ours",
            _TRAINS,
        ),
        Same("SpikeTime(reduction='mean')", "presets.mse_trace(tau=5.0)", given=_TRAINS),
        Same("SpikeRate(0.2, 0.03)", 'presets.spike_rate(on=0.2, off=0.03, reduction="sum")'),
        Same("SpikeRate(0.2, 0.03, reduction='mean')", "presets.spike_rate(on=0.2, off=0.03)"),
        Same("SpikeMax(mode='softmax')", 'presets.ce_mean(reduction="sum")'),
        Same(
            "SpikeMoid()",
            'presets.spikemoid(slope=1.0, threshold=0.0, reduction="sum")',
            given=("x, one_hot", f"x, y, {_AXES}"),
        ),
        Same(
            "SpikeMoid(alpha=0.1, theta=0.5, reduction='mean')",
            "presets.spikemoid()",
            given=("x, one_hot", f"x, y, {_AXES}"),
        ),
        Same(
            "SparsityEnforcer(max_rate=0.01, lam=0.5)",
            "0.5 * penalties.rate_bounds(upper=0.01, population=True, batch=True)",
            given=("x", f"x, {_AXES}"),
        ),
    ),
    (
        Change(
            "`SpikeTime()` and `mse_trace()`, one spike at the first of 4 steps and none wanted",
            "SpikeTime()(np.eye(4)[None, None, 0], np.zeros((1, 1, 4)))",
            f"presets.mse_trace()(np.eye(4)[None, None, 0], np.zeros((1, 1, 4)), {_AXES})",
            (2.42084, 0.605211),
        ),
        Change(
            "`SpikeRate(1, 0, moving_window=4)` and `spike_rate(width=4)`, a neuron that fires at"
            " each of 4 steps: a window that has just begun is divided by its whole width",
            f"SpikeRate(1, 0, moving_window=4, reduction='mean')({_ON}, np.zeros((1, 4), int))",
            f"presets.spike_rate(width=4)({_ON}, np.array([0]), {_AXES})",
            (0.21875, 0.0),
        ),
        Change(
            "`SpikeMax()` and `spikemax()`, rates [0.5, 0.25], label 0",
            f"SpikeMax()({_TWO}, [0])",
            f"presets.spikemax()({_TWO}, np.array([0]), {_AXES})",
            (0.405466, 0.411980),
        ),
        Change(
            "the same with `epsilon=1e-6`",
            f"SpikeMax()({_TWO}, [0])",
            f"presets.spikemax(epsilon=1e-6)({_TWO}, np.array([0]), {_AXES})",
            (0.405466, 0.405466),
        ),
        Change(
            "the right neuron silent, the other at the rate 0.25",
            f"SpikeMax()({_TWO} - {_TWO}[:, :1] * np.array([[[1.0], [0.0]]]), [0])",
            f"presets.spikemax()({_TWO} - {_TWO}[:, :1] * np.array([[[1.0], [0.0]]]),"
            f" np.array([0]), {_AXES})",
            (np.inf, 3.29584),
        ),
        Change(
            "`SpikeMoid()` and `spikemoid()`, one neuron, its own class, at every step",
            f"SpikeMoid()({_ON}, np.array([[1.0]]))",
            f"presets.spikemoid()({_ON}, np.array([0]), {_AXES})",
            (0.313262, 0.00671535),
        ),
        Change(
            "`SparsityEnforcer()` and `rate_bounds(upper=0.01, population=True, batch=True)`, a"
            " spike in two steps: gradient",
            "sparsity_gradient(np.array([1.0, 0.0]))",
            "gradient(penalties.rate_bounds(upper=0.01, population=True, batch=True),"
            f" np.array([[[1.0, 0.0]]]), {_AXES})[0, 0]",
            ([0.49, 0.0], [0.49, 0.49]),
        ),
    ),
)
