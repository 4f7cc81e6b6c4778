"""spyx.fn: records (B, T, N); a regulariser takes a list of layers.

Source: Spyx 1.0.0, spyx/fn.py.
"""

from typing import Any

import numpy as np

from .rows import Change, Page, Same, log_softmax


def _smooth(labels: Any, neurons: int, share: float) -> Any:
    return (1 - share) * np.eye(neurons)[labels] + share / neurons


def integral_crossentropy(smoothing: float = 0.3) -> Any:
    def loss(x: Any, y: Any) -> float:
        target = _smooth(y, x.shape[-1], smoothing)
        return float(np.mean([-q @ log_softmax(z) for q, z in zip(target, x.sum(1), strict=True)]))

    return loss


def mse_spikerate(sparsity: float = 0.25, smoothing: float = 0.0) -> Any:
    def loss(x: Any, y: Any) -> float:
        target = _smooth(y, x.shape[-1], smoothing) * sparsity * x.shape[1]
        return float(np.mean((x.mean(1) - target) ** 2))

    return loss


def silence_reg(min_spikes: float) -> Any:
    def loss(layers: Any) -> float:
        total = 0.0
        for x in layers:
            for entries in x.reshape(len(x), -1).T:  # every step of every neuron, where x has steps
                total += max(0.0, min_spikes - entries.mean()) ** 2
        return total

    return loss


def huber(error: float) -> float:
    return error**2 / 2 if error <= 1 else error - 0.5


def sparsity_reg(max_spikes: float, norm: Any = huber) -> Any:
    def loss(layers: Any) -> float:
        return sum(norm(max(0.0, row.mean() - max_spikes)) for x in layers for row in x)

    return loss


def squared(error: float) -> float:
    return error**2


_COUNTS = ("[x.sum(1)]", "x, time_axis=1")
PAGE = Page(
    "spyx",
    "Spyx",
    "BTN",
    ("x, y", "x, y, time_axis=1"),
    {
        "integral_crossentropy": integral_crossentropy,
        "mse_spikerate": mse_spikerate,
        "silence_reg": silence_reg,
        "sparsity_reg": sparsity_reg,
        "square": squared,
    },
    (
        Same("integral_crossentropy()", "presets.integral_ce(label_smoothing=0.3)"),
        Same("integral_crossentropy(smoothing=0.0)", "presets.integral_ce()"),
        Same(
            "mse_spikerate()",
            "presets.spike_rate().replace(target=targets.OnOff(on=0.25 * T))",
        ),
        Same("mse_spikerate(sparsity=0.25 / T)", "presets.spike_rate(on=0.25)"),
        Same(
            "silence_reg(4.0)",
            "penalties.count_silence(least=4.0)",
            "N",
            "N times ours",
            _COUNTS,
            told=True,
        ),
        Same(
            "silence_reg(2.0)",
            "penalties.count_silence(least=2.0)",
            "T * N",
            "T N times ours, of steps as neurons",
            ("[x]", "x[None], class_axis=(2, 3)"),
            told=True,
        ),
        Same(
            "sparsity_reg(1.0, norm=square)",
            "penalties.count_sparsity(most=1.0)",
            "B",
            "B times ours",
            _COUNTS,
            told=True,
        ),
    ),
    (
        Change(
            "`mse_spikerate()` and `spike_rate(on=0.25)`, T = 4, N = 2, silent",
            "mse_spikerate()(np.zeros((1, 4, 2)), [0])",
            "presets.spike_rate(on=0.25)(np.zeros((1, 4, 2)), np.array([0]), time_axis=1)",
            (0.5, 0.03125),
        ),
        Change(
            "`mse_spikerate(sparsity=1.0)` and `spike_rate()`, one neuron fires at every step",
            "mse_spikerate(sparsity=1.0)(np.eye(2)[None, [0, 0, 0, 0]], [0])",
            "presets.spike_rate()(np.eye(2)[None, [0, 0, 0, 0]], np.array([0]), time_axis=1)",
            (4.5, 0.0),
        ),
        Change(
            "`integral_crossentropy()` and `integral_ce()`, sums [10, 0], label 0",
            "integral_crossentropy()(np.array([[[10.0, 0.0]]]), [0])",
            "presets.integral_ce()(np.array([[[10.0, 0.0]]]), np.array([0]), time_axis=1)",
            (1.50005, 4.53989e-05),
        ),
        Change(
            "`silence_reg(1.0)` and `count_silence()`, silent, B = 2, T = 4, N = 3, of the record",
            "silence_reg(1.0)([np.zeros((2, 4, 3))])",
            "penalties.count_silence()(np.zeros((2, 4, 3)), time_axis=1)",
            (12.0, 1.0),
        ),
        Change(
            "the same, of the counts (B, N)",
            "silence_reg(1.0)([np.zeros((2, 3))])",
            "penalties.count_silence()(np.zeros((2, 4, 3)), time_axis=1)",
            (3.0, 1.0),
        ),
        Change(
            "`sparsity_reg(1.0)` and `count_sparsity(most=1.0)`, B = 2, T = 4, every neuron fires"
            " at every step, of the counts",
            "sparsity_reg(1.0)([np.full((2, 3), 4.0)])",
            "penalties.count_sparsity(most=1.0)(np.ones((2, 4, 3)), time_axis=1)",
            (5.0, 9.0),
        ),
        Change(
            "the same, of the record, whose mean is over the steps too",
            "sparsity_reg(1.0)([np.ones((2, 4, 3))])",
            "penalties.count_sparsity(most=1.0)(np.ones((2, 4, 3)), time_axis=1)",
            (0.0, 9.0),
        ),
    ),
)
