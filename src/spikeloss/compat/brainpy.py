"""BrainPy's cross-entropy by its names and signatures, for JAX, brainpy, torch and NumPy arrays.

    from spikeloss.compat.brainpy import CrossEntropyLoss, cross_entropy_loss

Where BrainPy's code differs from its documentation, `docs/parity.md` says by how much.
"""

from typing import Any

from spikeloss import presets
from spikeloss._backend import checks_values, extent, is_array, kind, unwrap
from spikeloss._door import choice, integer
from spikeloss._shapes import Array
from spikeloss.compat._calls import axes, labels, speaks
from spikeloss.criteria import CrossEntropy
from spikeloss.loss import Loss
from spikeloss.reductions import Each, Mean, Reduction, Sum

__all__ = ["CrossEntropyLoss", "cross_entropy_loss"]

_REDUCTIONS: dict[str, Reduction] = {"mean": Mean(over="weights"), "sum": Sum(), "none": Each()}
# Within torch.compile a loss can be changed but not made.
_LOSS = presets.cross_entropy()
_NAMES = {
    "record": "predicts",
    "target": "targets",
    "class_weight": "weight",
    r"criteria\.CrossEntropy\((ignore_index=-?\d+)\)": r"\1",
}
_NAMES_OF_UPDATE = {"predicts": "input", "targets": "target"}


@speaks(_NAMES)
def cross_entropy_loss(
    predicts: Array,
    targets: Array,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
) -> Array:
    """-sum_c q_c w_c log softmax(predicts)_c, see `spikeloss.presets.cross_entropy`.

    Args:
        predicts: logits (N, C) or (d1..dK, N, C).
        targets: class indices (N) or (d1..dK, N), integers or whole floating numbers; or
            probabilities of the shape of `predicts`.
        weight: (C), a weight per class; an array, which may be traced, or a sequence.
        reduction: "mean" (sum of w l over sum of w), "sum" or "none" (all axes but the last).
        ignore_index: a label to leave out; None: none. Probabilities are all counted.
        label_smoothing: from 0 to 1.

    Raises:
        ValueError, TypeError: for shapes, dtypes and options that do not fit, and for labels out of
            range or between classes; under tracing, where labels cannot be read, such a label
            gives nan.
    """
    of_labels = axes(predicts) - 1
    targets = labels(targets, of_labels)
    ignored = None if axes(targets) > of_labels else _occurring(ignore_index, targets)
    return _loss(reduction, ignored, label_smoothing)(predicts, targets, class_weight=weight)


class CrossEntropyLoss:
    """`cross_entropy_loss` with its options as attributes, which may be set later.

    Classes are the last axis of the logits.
    """

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int | None = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight, self.reduction = weight, reduction
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        _loss(reduction, ignore_index, label_smoothing)

    def __call__(self, input: Array, target: Array) -> Array:
        """The loss of logits (N, C) or (d1..dK, N, C) against class indices or probabilities."""
        return self.update(input, target)

    @speaks(_NAMES_OF_UPDATE)
    def update(self, input: Array, target: Array) -> Array:
        """The same."""
        options = self.weight, self.reduction, self.ignore_index, self.label_smoothing
        return cross_entropy_loss(input, target, *options)


def _occurring(ignore_index: int | None, targets: Any) -> int | None:
    """The label to leave out; None where no label is it, as a loss that skips none is faster."""
    if ignore_index is None:
        return None
    integer("ignore_index", ignore_index)
    y = unwrap(targets) if is_array(targets) else None
    if y is None or kind(y) != "integer" or 0 in y.shape or not checks_values(y):
        return ignore_index
    low, high = extent(y)
    return ignore_index if low <= ignore_index <= high else None


def _loss(reduction: str, ignore_index: int | None, label_smoothing: float) -> Loss:
    choice("reduction", reduction, tuple(_REDUCTIONS))
    criterion = CrossEntropy(label_smoothing=label_smoothing, ignore_index=ignore_index)
    return _LOSS.replace(criterion=criterion, reduction=_REDUCTIONS[reduction])
