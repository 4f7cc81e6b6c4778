"""BrainPy's cross_entropy_loss. Logits (N, C); the reference for weights is PyTorch's."""

import math
import subprocess
import sys
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from .rows import BRAINPY, Case, Raises, Row, Section

LOGITS = [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]
LOG_SUM = np.log(np.exp(LOGITS).sum(-1))
LOG_P = np.array(LOGITS) - LOG_SUM[:, None]
MIXED = [[0.2, 0.5, 0.3], [0.0, 0.5, 0.5]]
ONE_HOT = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
WEIGHT = [1.0, 2.0, 4.0]
LABELS = [1, 2]
SMOOTHED = 0.9 * np.array(ONE_HOT) + 0.1 / 3
Q_W = np.array(MIXED) * WEIGHT
SKIPPED = [-100, -100]


def loss(module: Any, targets: Any, logits: Any = LOGITS, **options: Any) -> Any:
    """The loss of the logits above, with float32 and int32 arrays."""
    options = {k: jnp.asarray(v) if k == "weight" else v for k, v in options.items()}
    return module.cross_entropy_loss(jnp.asarray(logits), jnp.asarray(targets), **options)


def reference(targets: Any, **options: Any) -> list[float] | float:
    """torch.nn.functional.cross_entropy of the same."""
    y = torch.tensor(targets)
    options = {k: torch.tensor(v) if k == "weight" else v for k, v in options.items()}
    answer: list[float] | float = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS), y, **options
    ).tolist()
    return answer


def _double_stays(module: ModuleType) -> bool:
    """Whether 64-bit floats, once on, are on after an import in a fresh process."""
    code = (
        "import jax; jax.config.update('jax_enable_x64', True); "
        f"import {module.__name__}; print(jax.config.jax_enable_x64)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.split()[-1] == "True"


SECTION = Section(
    "BrainPy's cross-entropy",
    BRAINPY,
    (
        Row(
            28,
            "Class weights with probabilities or smoothing weigh each class, as in PyTorch",
            (
                Case(
                    "logits [[1, 2, 0.5], [0, -1, 3]], probabilities [[0.2, 0.5, 0.3], [0, 0.5,"
                    " 0.5]], `weight=[1, 2, 4]`, `reduction='none'`",
                    lambda B: loss(B, MIXED, weight=WEIGHT, reduction="none"),
                    Q_W.sum(-1) * -(MIXED * LOG_P).sum(-1),
                    -(Q_W * LOG_P).sum(-1),
                ),
                Case(
                    "the same, mean",
                    lambda B: loss(B, MIXED, weight=WEIGHT),
                    (Q_W.sum(-1) * -(MIXED * LOG_P).sum(-1)).sum() / Q_W.sum(),
                    reference(MIXED, weight=WEIGHT),
                ),
                Case(
                    "labels [1, 2], `label_smoothing=0.1`, the same weights, mean",
                    lambda B: loss(B, LABELS, weight=WEIGHT, label_smoothing=0.1),
                    ([2, 4] * -(SMOOTHED * LOG_P).sum(-1)).sum() / (2 + 4),
                    reference(LABELS, weight=WEIGHT, label_smoothing=0.1),
                ),
                Case(
                    "labels as one-hot probabilities, the same weights, mean",
                    lambda B: loss(B, ONE_HOT, weight=WEIGHT),
                    -(2 * LOG_P[0, 1] + 4 * LOG_P[1, 2]) / (2 + 4),
                    reference(ONE_HOT, weight=WEIGHT),  # divides by N: it sees probabilities
                ),
            ),
        ),
        Row(
            29,
            "Targets that do not sum to 1 are taken as they are",
            (
                Case(
                    "targets [[1, 1, 0], [0, 0, 0]], `reduction='none'`",
                    lambda B: loss(B, [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], reduction="none"),
                    [-LOG_P[0, 0] - 2, -LOG_P[1, 0]],  # logsumexp(x) - sum q x
                    [-LOG_P[0, 0] - LOG_P[0, 1], 0],
                ),
            ),
        ),
        Row(
            30,
            "Infinite and large logits",
            (
                Case(
                    "logits [0, 0, -inf], label 0",
                    lambda B: loss(B, [0], [[0.0, 0.0, -math.inf]]),
                    math.nan,
                    math.log(2),
                ),
                Case(
                    "logits [1e4, 1e4], label 0",
                    lambda B: loss(B, [0], [[1e4, 1e4]]),
                    0.693359375,
                    math.log(2),
                ),
                Case(
                    "logits [1e8, 1e8], label 0",
                    lambda B: loss(B, [0], [[1e8, 1e8]]),
                    0,
                    math.log(2),
                ),
            ),
        ),
        Row(
            31,
            "Labels and weights are checked; under tracing a label out of range gives nan",
            (
                Case(
                    "logits as above, labels [1, 3]",
                    lambda B: loss(B, [1, 3]),
                    (-LOG_P[0, 1] - LOG_P[1, 0]) / 2,
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "labels [1, 3] inside `jax.jit`",
                    lambda B: jax.jit(lambda y: loss(B, y))(jnp.array([1, 3])),
                    (-LOG_P[0, 1] - LOG_P[1, 0]) / 2,
                    math.nan,
                ),
                Case(
                    "labels [1, -100], which is skipped, as `ignore_index=-100`",
                    lambda B: loss(B, [1, -100]),
                    -LOG_P[0, 1],
                    -LOG_P[0, 1],
                ),
                Case(
                    "labels [1, -1]",
                    lambda B: loss(B, [1, -1]),
                    (-LOG_P[0, 1] + LOG_SUM[1]) / 2,
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "labels [1.0, 2.0], floating",
                    lambda B: loss(B, [1.0, 2.0]),
                    -(LOG_P[0, 1] + LOG_P[1, 2]) / 2,
                    -(LOG_P[0, 1] + LOG_P[1, 2]) / 2,
                ),
                Case(
                    "labels [1.0, 1.5]",
                    lambda B: loss(B, [1.0, 1.5]),
                    (-LOG_P[0, 1] + LOG_SUM[1]) / 2,
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "the same inside `jax.jit`",
                    lambda B: jax.jit(lambda y: loss(B, y))(jnp.array([1.0, 1.5])),
                    (-LOG_P[0, 1] + LOG_SUM[1]) / 2,
                    math.nan,
                ),
                Case(
                    "labels [true, false]",
                    lambda B: loss(B, [True, False]),
                    -(LOG_P[0, 1] + LOG_P[1, 0]) / 2,
                    Raises(TypeError, "targets"),
                ),
                Case(
                    "labels of shape (2, 1)",
                    lambda B: loss(B, [[1], [2]]),
                    (LOG_SUM - [1, 2] * np.sum(LOGITS, -1)).mean(),  # taken for probabilities
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "four weights for three classes, [1, 2, 4, 8]",
                    lambda B: loss(B, LABELS, weight=[*WEIGHT, 8.0]),
                    -(2 * LOG_P[0, 1] + 4 * LOG_P[1, 2]) / (2 + 4),
                    Raises(ValueError, "weight"),
                ),
            ),
        ),
        Row(
            32,
            "With every sample ignored, or none at all, a mean is nan and a sum is 0",
            (
                Case(
                    "labels [-100, -100], `ignore_index=-100`",
                    lambda B: loss(B, SKIPPED, ignore_index=-100),
                    0,
                    math.nan,
                ),
                Case(
                    "the same with `weight=[1, 2, 4]`",
                    lambda B: loss(B, SKIPPED, ignore_index=-100, weight=WEIGHT),
                    math.nan,
                    math.nan,
                ),
                Case(
                    "the same with `reduction='sum'`",
                    lambda B: loss(B, SKIPPED, ignore_index=-100, weight=WEIGHT, reduction="sum"),
                    0,
                    0,
                ),
                Case(
                    "N = 0",
                    lambda B: loss(B, jnp.zeros(0, int), jnp.zeros((0, 3))),
                    0,
                    math.nan,
                ),
            ),
        ),
        Row(
            33,
            "An import changes no setting of JAX",
            (
                Case(
                    "is `jax_enable_x64`, once on, still on after `import brainpy`, or after"
                    " `import spikeloss`?",
                    _double_stays,
                    False,
                    True,
                ),
            ),
        ),
    ),
)
