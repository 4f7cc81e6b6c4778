"""stork.loss_stacks and stork.regularizers: records (B, T, N).

Source: stork, stork/loss_stacks.py and stork/regularizers.py, December 2025.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .rows import Change, Page, Same, cross_entropy, log_softmax


def MaxOverTimeCrossEntropy() -> Any:
    return lambda x, y: cross_entropy(x.max(1), y)


def SumOverTimeCrossEntropy() -> Any:
    return lambda x, y: cross_entropy(x.sum(1), y)


def LastStepCrossEntropy() -> Any:
    return lambda x, y: cross_entropy(x[:, -1], y)


def MaxOverTimeFocalLoss(
    gamma: float = 0.0,
    eps: float = 1e-7,
    samples_per_class: Sequence[int] | None = None,
    beta: float = 0.99,
) -> Any:
    def loss(x: Any, y: Any) -> float:
        total, (samples, _, neurons) = 0.0, x.shape
        weight = np.ones(neurons)
        if samples_per_class is not None:
            weight = (1 - beta) / (1 - beta ** np.array(samples_per_class, float))
            weight *= neurons / weight.sum()
        for row, label in zip(x.max(1), y, strict=True):
            p = min(max(np.exp(log_softmax(row)[label]), eps), 1 - eps)
            total += weight[label] * -((1 - p) ** gamma) * np.log(p)
        return total / (samples * neurons)  # the mean counts the zeros of the other classes

    return loss


def MeanSquareError(mask: Any = None) -> Any:
    def loss(x: Any, y: Any) -> float:
        m = 1.0 if mask is None else mask
        return float(np.mean((x * m - y * m) ** 2))

    return loss


def _regulariser(excess: Any, power: int) -> Any:
    def make(strength: float = 1.0, threshold: float = 0.0, dims: Any = -1) -> Any:
        def loss(x: Any) -> float:
            counts = x.sum(1) if dims is False else x.sum(1).mean(dims)
            return float(strength * np.mean(np.abs(excess(counts - threshold)) ** power))

        return loss

    return make


def _above(gap: Any) -> Any:
    return np.maximum(0, gap)


def _below(gap: Any) -> Any:
    return np.maximum(0, -gap)


def _any(gap: Any) -> Any:
    return gap


_LAYER = ("x", "x, time_axis=1")
_SIGNAL = ("u, x", "u, x.transpose(1, 0, 2), time_axis=1")
_MAPS = "x.reshape(B, T, 2, 1, 3)"
_U = ("u, y", "u, y, time_axis=1")
_SILENT = "np.zeros((2, 4, 10)), np.array([1, 2])"
_SURE = "np.array([[[0.0, 20.0]]]), np.array([0])"
PAGE = Page(
    "stork",
    "stork",
    "BTN",
    ("x, y", "x, y, time_axis=1"),
    {
        "MaxOverTimeCrossEntropy": MaxOverTimeCrossEntropy,
        "SumOverTimeCrossEntropy": SumOverTimeCrossEntropy,
        "LastStepCrossEntropy": LastStepCrossEntropy,
        "MaxOverTimeFocalLoss": MaxOverTimeFocalLoss,
        "MeanSquareError": MeanSquareError,
        "ActivityRegularizer": _regulariser(_any, 2),
        "ActivityRegularizerL1": _regulariser(_any, 1),
        "UpperBoundL1": _regulariser(_above, 1),
        "UpperBoundL2": _regulariser(_above, 2),
        "LowerBoundL1": _regulariser(_below, 1),
        "LowerBoundL2": _regulariser(_below, 2),
    },
    (
        Same("MaxOverTimeCrossEntropy()", "presets.ce_max_membrane()", given=_U),
        Same("SumOverTimeCrossEntropy()", "presets.integral_ce()", given=_U),
        Same("LastStepCrossEntropy()", "presets.ce_last_step()", given=_U),
        Same(
            "MaxOverTimeFocalLoss()",
            "presets.focal_max_membrane(gamma=0.0)",
            "1 / N",
            "ours / N",
            _U,
        ),
        Same(
            "MaxOverTimeFocalLoss(gamma=2.0)",
            "presets.focal_max_membrane()",
            "1 / N",
            "ours / N",
            _U,
        ),
        Same(
            "MaxOverTimeFocalLoss(2.0, samples_per_class=[9, 5, 7, 3, 8, 4])",
            "presets.focal_max_membrane(class_weight=balance.effective_number([9, 5, 7, 3, 8, 4],"
            " beta=0.99))",
            "1 / N",
            "ours / N",
            _U,
        ),
        Same("MeanSquareError()", "presets.mse_signal()", given=_SIGNAL),
        Same(
            "UpperBoundL2(0.1, threshold=1.0)",
            "0.1 * penalties.count_bounds(upper=1.0, population=True)",
            given=_LAYER,
        ),
        Same(
            "UpperBoundL2(0.1, threshold=1.0, dims=(-2, -1))",
            "0.1 * penalties.count_bounds(upper=1.0, population=True)",
            given=(_MAPS, f"{_MAPS}, time_axis=1, class_axis=(3, 4)"),
        ),
        Same(
            "UpperBoundL1(0.1, threshold=1.0)",
            "0.1 * penalties.count_bounds(upper=1.0, power=1, population=True)",
            given=_LAYER,
        ),
        Same(
            "LowerBoundL2(0.1, threshold=3.0, dims=False)",
            "0.1 * penalties.count_bounds(lower=3.0, upper=None)",
            given=_LAYER,
        ),
        Same(
            "LowerBoundL1(0.1, threshold=3.0, dims=False)",
            "0.1 * penalties.count_bounds(lower=3.0, upper=None, power=1)",
            given=_LAYER,
        ),
        Same(
            "ActivityRegularizer(0.1, threshold=3.0)",
            "0.1 * penalties.count_bounds(lower=3.0, upper=3.0, population=True)",
            given=_LAYER,
        ),
        Same(
            "ActivityRegularizerL1(0.1, threshold=3.0)",
            "0.1 * penalties.count_bounds(lower=3.0, upper=3.0, power=1, population=True)",
            given=_LAYER,
        ),
    ),
    (
        Change(
            "`MaxOverTimeFocalLoss()` and `focal_max_membrane()`, membranes 0, N = 10",
            f"MaxOverTimeFocalLoss()({_SILENT})",
            f"presets.focal_max_membrane()({_SILENT}, time_axis=1)",
            (0.230259, 1.86509),
        ),
        Change(
            "the same with `gamma=2.0`",
            f"MaxOverTimeFocalLoss(gamma=2.0)({_SILENT})",
            f"presets.focal_max_membrane()({_SILENT}, time_axis=1)",
            (0.186509, 1.86509),
        ),
        Change(
            "`gamma=0.0`, membranes [0, 20], label 0: probabilities end at 1e-7 there",
            f"MaxOverTimeFocalLoss()({_SURE})",
            f"presets.focal_max_membrane(gamma=0.0)({_SURE}, time_axis=1)",
            (8.05905, 20.0),
        ),
        Change(
            "`MeanSquareError(mask)` and `mse_signal()` with `valid`, error 1, 2 of 4 steps count",
            "MeanSquareError(np.array([[1], [1], [0], [0]]))(np.ones((1, 4, 3)), np.zeros(3))",
            "presets.mse_signal()(np.ones((4, 1, 3)), np.zeros((4, 1, 3)),"
            " valid=np.array([[True], [True], [False], [False]]))",
            (0.5, 1.0),
        ),
    ),
)
