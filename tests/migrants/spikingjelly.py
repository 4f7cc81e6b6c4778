"""spikingjelly.activation_based.functional: records (T, B, N) of layers in multi-step mode.

Source: SpikingJelly 2.0.0, activation_based/functional/loss.py, and its tutorials.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np

from .rows import Change, Page, Same, cross_entropy


def temporal_efficient_training_cross_entropy(x: Any, y: Any) -> float:
    return float(np.mean([cross_entropy(step, y) for step in x]))


def VotingLayer(size: int) -> Any:
    return lambda z: z.reshape(len(z), -1, size).mean(-1)


def spike_similar_loss(
    x: Any, y: Any, kernel: str = "linear", loss_type: str = "mse", scale: float = 1.0
) -> float:
    """Records (B, N, T), labels one-hot (B, C)."""
    rows, total = x.reshape(len(x), -1), 0.0
    for a, one in zip(rows, y, strict=True):
        for b, other in zip(rows, y, strict=True):
            if kernel == "linear":
                alike = a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-8)
            elif kernel == "sigmoid":
                alike = 1 / (1 + np.exp(-scale * (a @ b)))
            else:
                alike = np.exp(-((a - b) @ (a - b)) / (2 * scale**2))
            gap = abs(alike - min(one @ other, 1.0))
            total += gap**2 if loss_type == "mse" else gap
    return total / len(x) ** 2


PAGE = Page(
    "spikingjelly",
    "SpikingJelly",
    "TBN",
    ("", ""),
    {
        "temporal_efficient_training_cross_entropy": temporal_efficient_training_cross_entropy,
        "F": SimpleNamespace(
            cross_entropy=cross_entropy, mse_loss=lambda z, y: float(np.mean((z - y) ** 2))
        ),
        "VotingLayer": VotingLayer,
        "spike_similar_loss": spike_similar_loss,
    },
    (
        Same(
            "temporal_efficient_training_cross_entropy(x, y)",
            "presets.ce_rate()(x, y)",
        ),
        Same("F.cross_entropy(x.mean(0), y)", "presets.ce_mean()(x, y)"),
        Same("F.mse_loss(x.mean(0), one_hot)", "presets.spike_rate()(x, y)"),
        Same(
            "F.cross_entropy(VotingLayer(2)(x.mean(0)), y % 3)",
            "presets.ce_mean().replace(readout=readouts.Population(readouts.MeanOverTime(), 3,"
            ' pool="mean"))(x, y % 3)',
        ),
        Same(
            "spike_similar_loss(x.transpose(1, 2, 0), one_hot)",
            "presets.spike_similarity()(x, y)",
        ),
        Same(
            "spike_similar_loss(x.transpose(1, 2, 0), one_hot, 'linear', 'l1')",
            "presets.spike_similarity(power=1)(x, y)",
        ),
        Same(
            "spike_similar_loss(x.transpose(1, 2, 0), one_hot, 'sigmoid', 'mse', 0.5)",
            'presets.spike_similarity(kernel="sigmoid", scale=0.5)(x, y)',
        ),
        Same(
            "spike_similar_loss(x.transpose(1, 2, 0), one_hot, 'gaussian', 'mse', 2.0)",
            'presets.spike_similarity(kernel="gaussian", scale=2.0)(x, y)',
        ),
    ),
    (
        Change(
            "`F.cross_entropy(x.mean(0), y)` and `ce_count()`, T = 4, N = 3, the right neuron fires"
            " at every step",
            "F.cross_entropy(np.eye(3)[[0]], [0])",
            "presets.ce_count()(np.eye(3)[None, [0]].repeat(4, 0), np.array([0]))",
            (0.551445, 0.0359763),
        ),
        Change(
            "`temporal_efficient_training_cross_entropy` and `tet()`, silent, N = 3: the second"
            " term of the paper is not in theirs",
            "temporal_efficient_training_cross_entropy(np.zeros((4, 1, 3)), [0])",
            "presets.tet()(np.zeros((4, 1, 3)), np.array([0]))",
            (1.09861, 1.09368),
        ),
    ),
)
