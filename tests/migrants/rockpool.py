"""rockpool.nn.losses: records (B, T, N).

Source: Rockpool 3.1.0, rockpool/nn/losses.
"""

from typing import Any

import numpy as np

from .rows import Change, Page, Same


def _level(trace: Any, width: int) -> float:
    """The mean of a window that starts at the peak, and starts there again after the last step."""
    steps, start = len(trace), int(np.argmax(trace))
    at, total = start, 0.0
    for _ in range(width):
        total += trace[at] / width
        at = start if at + 1 == steps else at + 1
    return total


def PeakLoss(max_interval: int, weight_nontarget: float, target_output: float,
             nontarget_output: float = 0.0) -> Any:  # fmt: skip
    """`nontarget_output` is not read."""

    def loss(x: Any, y: Any) -> float:
        reach, stay = [], []
        for sample, label in zip(x, y, strict=True):
            reach.append((_level(sample[:, label], max_interval) - target_output) ** 2)
            stay.append(np.mean(np.delete(sample, label, axis=1) ** 2))
        return float(np.mean(reach) + weight_nontarget * np.mean(stay))

    return loss


def BinaryPeakLoss(max_interval: int, weight_nontarget: float, target_output: float) -> Any:
    def loss(x: Any, y: Any) -> float:
        reach = [
            (_level(sample[:, 0], max_interval) - target_output) ** 2
            for sample, label in zip(x, y, strict=True)
            if label == 1
        ]
        stay = [
            np.mean(sample[:, 0] ** 2) for sample, label in zip(x, y, strict=True) if label == 0
        ]
        total = float(np.mean(reach)) if reach else 0.0
        return total + weight_nontarget * (float(np.mean(stay)) if stay else 0.0)

    return loss


def MSELoss() -> Any:
    return lambda x, y: float(np.mean((x - y) ** 2))


_LATE = "np.array([[[0.0], [0.0], [0.0], [1.0], [0.5]]])"
_PEAK = f"np.concatenate([{_LATE}, np.zeros((1, 5, 1))], axis=2), np.array([0])"
_HALF = "np.concatenate([np.ones((1, 5, 1)), np.full((1, 5, 1), 0.5)], axis=2), np.array([0])"
_PAIR = "np.array([[[0.0], [0.0]], [[1.0], [1.0]]])"
_EARLY = "np.where(np.arange(T)[:, None] < 3, np.abs(u) + 5, u)"
PAGE = Page(
    "rockpool",
    "Rockpool",
    "BTN",
    ("x, y", "x, y, time_axis=1"),
    {"level": _level, "PeakLoss": PeakLoss, "BinaryPeakLoss": BinaryPeakLoss, "MSELoss": MSELoss},
    (
        Same(
            "PeakLoss(3, 0.5, 0.8)",
            "presets.peak(width=3, others=0.5, on=0.8)",
            said="ours, where the window ends before the record",
            given=(f"{_EARLY}, y", f"{_EARLY}, y, time_axis=1"),
        ),
        Same(
            "PeakLoss(1, 0.5, 0.8)",
            "presets.peak(width=1, others=0.5, on=0.8)",
            given=("u, y", "u, y, time_axis=1"),
        ),
        Same(
            "BinaryPeakLoss(1, 0.5, 0.8)",
            "presets.binary_peak(width=1, others=0.5, on=0.8)",
            said="ours, of one neuron in samples that all have 1, or all 0",
            given=("u[..., :1], np.ones(B)", "u[..., :1], np.ones((B, 1)), time_axis=1"),
        ),
        Same(
            "MSELoss()",
            "presets.mse_signal()",
            given=("u, x", "u, x.transpose(1, 0, 2), time_axis=1"),
        ),
    ),
    (
        Change(
            "level of a peak of 1.0 at the last step but one, 0.5 after it, width 5: their window"
            " starts again at the peak, 1, 0.5, 1, 0.5, 1",
            f"level({_LATE}[0, :, 0], 5)",
            f"float(readouts.PeakWindow(width=5)({_LATE}, time_axis=1)[0, 0])",
            (0.8, 0.75),
        ),
        Change(
            "`PeakLoss(5, 1.0, 1.0)` and `peak()` of that record, the other neuron at 0",
            f"PeakLoss(5, 1.0, 1.0)({_PEAK})",
            f"presets.peak()({_PEAK}, time_axis=1)",
            (0.04, 0.0625),
        ),
        Change(
            "`PeakLoss(5, 1.0, 1.0, nontarget_output=0.5)` and `peak(off=0.5)`, the other neuron at"
            " 0.5: theirs is not read",
            f"PeakLoss(5, 1.0, 1.0, nontarget_output=0.5)({_HALF})",
            f"presets.peak(off=0.5)({_HALF}, time_axis=1)",
            (0.25, 0.0),
        ),
        Change(
            "`BinaryPeakLoss(5, 1.0, 1.0)` and `binary_peak()`, two samples, 0 where 1 is wanted"
            " and 1 where 0 is",
            f"BinaryPeakLoss(5, 1.0, 1.0)({_PAIR}, np.array([1, 0]))",
            f"presets.binary_peak()({_PAIR}, np.array([[1.0], [0.0]]), time_axis=1)",
            (2.0, 1.0),
        ),
    ),
)
