"""snnTorch's accuracies. Record (T, B, N), labels (B) -> a NumPy number."""

import math
from typing import Literal, Unpack

import numpy as np

from spikeloss import presets
from spikeloss._shapes import Array, Layout
from spikeloss.compat._calls import axes, labels, speaks
from spikeloss.loss import Loss

from ._options import NAMES, classes

__all__ = ["accuracy_rate", "accuracy_temporal"]


@speaks(NAMES)
def accuracy_rate(
    spk_out: Array,
    targets: Array,
    population_code: bool = False,
    num_classes: int | Literal[False] = False,
    **layout: Unpack[Layout],
) -> np.float64:
    """The share of samples whose class fires most; a tie goes to the lowest class.

    A sample without any output spike has decided nothing and counts as wrong.
    """
    loss = presets.ce_count(classes=classes(population_code, num_classes))
    return _accuracy(loss, spk_out, targets, **layout)


@speaks(NAMES)
def accuracy_temporal(spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> np.float64:
    """The share of samples whose class fires first; a tie goes to the lowest class.

    A sample without any output spike has decided nothing and counts as wrong.
    """
    return _accuracy(presets.ce_temporal(), spk_out, targets, **layout)


def _accuracy(loss: Loss, spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> np.float64:
    targets = labels(targets, axes(spk_out) - 2)
    share = float(loss.accuracy(spk_out, targets, **layout))
    samples = math.prod(np.shape(targets))
    right = round(share * samples) if samples else math.nan
    return np.float64(right / (samples or math.nan))
