"""BrainPy's cross-entropy by its name and signature, for JAX, brainpy, torch and NumPy arrays.

    from spikeloss.compat.brainpy import cross_entropy_loss

Where BrainPy's code differs from its documentation, `docs/parity.md` says by how much.
"""

from typing import Any

from spikeloss import presets
from spikeloss._door import choice
from spikeloss._shapes import Array
from spikeloss.criteria import CrossEntropy
from spikeloss.reductions import Each, Mean, Reduction, Sum

_REDUCTIONS: dict[str, Reduction] = {"mean": Mean(over="weights"), "sum": Sum(), "none": Each()}
# Within torch.compile a loss can be changed but not made.
_LOSS = presets.cross_entropy()


def cross_entropy_loss(
    predicts: Array,
    targets: Array,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Array:
    """-sum_c q_c w_c log softmax(predicts)_c, see `spikeloss.presets.cross_entropy`.

    Args:
        predicts: logits (N, C) or (d1..dK, N, C).
        targets: class indices (N) or (d1..dK, N), or probabilities of the shape of `predicts`.
        weight: (C), a weight per class; an array, which may be traced, or a sequence.
        reduction: "mean" (sum of w l over sum of w), "sum" or "none" (all axes but the last).
        ignore_index: a label to leave out; BrainPy leaves out -100 by default.
        label_smoothing: from 0 to 1.

    Raises:
        ValueError, TypeError: for shapes, dtypes and options that do not fit, and for labels out of
            range; under tracing, where labels cannot be read, such a label gives nan.
    """
    choice("reduction", reduction, tuple(_REDUCTIONS))
    criterion = CrossEntropy(label_smoothing=label_smoothing, ignore_index=ignore_index)
    loss = _LOSS.replace(criterion=criterion, reduction=_REDUCTIONS[reduction])
    return loss(predicts, targets, class_weight=weight)
