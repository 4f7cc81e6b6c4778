"""Objectives of maps, whose pixels are batch axes."""

from typing import Literal, Unpack

from spikeloss.criteria import Dice
from spikeloss.loss import Loss
from spikeloss.readouts import MeanOverTime

from ._base import HIGHEST, Options, preset


@preset(
    source="F. Milletari, N. Navab and S. Ahmadi, V-Net: fully convolutional neural networks for "
    "volumetric medical image segmentation (2016), with power 2",
    decides=HIGHEST.format("mean"),
)
def dice(
    *,
    smooth: float = 1.0,
    power: Literal[1, 2] = 1,
    score: Literal["softmax", "sigmoid", "given"] = "softmax",
    axes: int | None = None,
    ignore_index: int | None = None,
    **options: Unpack[Options],
) -> Loss:
    """1 - mean_c (2 sum_i p_ic y_ic + e) / (sum_i (p_ic^k + y_ic^k) + e), p = softmax(mean x)

    The regions of every class should overlap with those that are given, the class of each pixel i
    (*B); k = `power`, e = `smooth`. Small regions count as much as large ones. Records are (T, B,
    H, W, C), with `axes=2` for images of H and W; cross-entropy per pixel is `ce_mean`. Regions
    that overlap have `score="sigmoid"`, rates "given". To report it, `metrics.mean_iou`.
    """
    criterion = Dice(smooth=smooth, power=power, score=score, axes=axes, ignore_index=ignore_index)
    return Loss(MeanOverTime(), criterion, reads="either", **options)
