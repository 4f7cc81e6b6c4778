"""What the losses of snnTorch have in common."""

from typing import Any, ClassVar, Literal, Unpack

from spikeloss import readouts
from spikeloss._backend import device, is_array, library, like
from spikeloss._door import LAYOUT, choice, known
from spikeloss._shapes import Array, Layout
from spikeloss.compat._calls import axes, labels, speaks
from spikeloss.loss import Loss
from spikeloss.presets._base import of_classes

from ._options import NAMES, REDUCTIONS, classes, given


class LossFunctions:
    """A reduction and class weights; a loss of your own gives `_compute_loss(spk_out, targets)`.

    With weights, `_compute_loss` may leave its elements unreduced, as `_intermediate_reduction()`
    tells it to; they are reduced afterwards.

    Args:
        reduction: "mean", "sum" or "none".
        weight: a weight per class, an array or a sequence of numbers.

    Raises:
        ValueError: for any other reduction.
    """

    def __init__(self, reduction: str, weight: Any) -> None:
        choice("reduction", reduction, tuple(REDUCTIONS))
        self.reduction = reduction
        self.weight = weight

    @speaks(NAMES)
    def __call__(self, spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        """The loss of a record (T, B, N) against labels (B) or the targets of the loss."""
        known("a loss", layout, LAYOUT)
        return self._reduce(self._compute_loss(spk_out, targets, **layout))

    def _compute_loss(self, spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        raise NotImplementedError("a loss gives _compute_loss(spk_out, targets)")

    def _prediction_check(self, spk_out: Array) -> tuple[Any, int, int]:
        """The device, the steps and the neurons of a record."""
        return spk_out.device, spk_out.shape[0], spk_out.shape[-1]

    def _population_code(
        self, spk_out: Array, num_classes: int | Literal[False], num_outputs: int
    ) -> Array:
        """The spikes (B, C) of the neurons of each class."""
        return readouts.Population(readouts.SumOverTime(), given(num_classes))(spk_out)

    def _intermediate_reduction(self) -> str:
        return self.reduction if self.weight is None else "none"

    def _reduce(self, loss: Array) -> Array:
        """Reduce what `_compute_loss` left unreduced for the sake of the weights."""
        choice("reduction", self.reduction, tuple(REDUCTIONS))
        if self.weight is None or loss.ndim == 0 or self.reduction == "none":
            return loss
        return loss.mean() if self.reduction == "mean" else loss.sum()


class Composed(LossFunctions):
    """A loss of this library behind the peer's signature: its preset, with the attributes as parts.

    It is composed at once, and again when an attribute was set; "mean" is the mean of the preset.
    """

    _preset: ClassVar[Loss]
    _made: Loss | None = None

    def __init__(self, reduction: str, weight: Any, **options: Any) -> None:
        super().__init__(reduction, weight)
        for name, value in options.items():
            setattr(self, name, value)
        self.__name__ = type(self).__name__
        self._loss()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "_made":
            self._made = None

    def _loss(self) -> Loss:
        if self._made is None:
            self._made = self._composed()
        return self._made

    def _composed(self) -> Loss:
        choice("reduction", self.reduction, tuple(REDUCTIONS))
        mean = self.reduction == "mean"
        reduction = self._preset.reduction if mean else REDUCTIONS[self.reduction]
        # Within torch.compile a loss can be changed but not made.
        return self._preset.replace(reduction=reduction, **self._parts())

    def _parts(self) -> dict[str, Any]:
        """What the attributes change in the preset."""
        return {}

    def _compute_loss(self, spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        targets = labels(targets, axes(spk_out) - 2)
        return self._loss()(spk_out, targets, class_weight=self._weight_beside(spk_out), **layout)

    def _weight_beside(self, record: Array) -> Any:
        """The weights; an array of them follows the record to its device."""
        arrays = is_array(self.weight) and is_array(record)
        if not arrays or library(self.weight) != library(record):
            return self.weight
        if device(self.weight) == device(record):
            return self.weight
        return like(self.weight, record, self.weight.dtype)


class Pooled(Composed):
    """A loss that may sum the neurons of a class."""

    population_code: bool
    num_classes: int | Literal[False]

    def _parts(self) -> dict[str, Any]:
        count = classes(self.population_code, self.num_classes)
        return {"readout": of_classes(self._preset.readout, count)}
