"""snnTorch's losses, accuracies and regulariser, by its names, for torch, JAX and NumPy arrays.

    import spikeloss.compat.snntorch as SF  # in place of: import snntorch.functional as SF

Names, signatures and defaults are those of snnTorch 1.0; the meaning is its documentation's. Where
its code does something else, `docs/parity.md` says what and by how much. Records are (T, B, N);
what takes one takes `lengths`, `valid`, `time_axis` and `class_axis` too, as a `Loss` does.
"""

import math
from collections.abc import Iterable
from typing import Any, Literal, Unpack

import numpy as np

from spikeloss import presets, readouts
from spikeloss._backend import as_array, device, is_array, library, like, namespace
from spikeloss._door import (
    beside_record,
    choice,
    dense,
    flag,
    number,
    open_record,
    refuse,
    whole,
)
from spikeloss._shapes import Array, Layout
from spikeloss.loss import Loss
from spikeloss.reductions import Each, Mean, Reduction, Sum
from spikeloss.targets import Given

from ._spike_time import SpikeTime

__all__ = [
    "LossFunctions",
    "SpikeTime",
    "accuracy_rate",
    "accuracy_temporal",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_rate_loss",
    "ce_temporal_loss",
    "l1_rate_sparsity",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
]

_REDUCTIONS: dict[str, Reduction] = {"mean": Mean(), "sum": Sum(), "none": Each()}


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
        choice("reduction", reduction, tuple(_REDUCTIONS))
        self.reduction = reduction
        self.weight = weight

    def __call__(self, spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        """The loss of a record (T, B, N) against labels (B) or the targets of the loss."""
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
        return readouts.Population(readouts.Count(), _given(num_classes))(spk_out)

    def _weight_beside(self, record: Array) -> Any:
        """The weights; an array of them follows the record to its device."""
        arrays = is_array(self.weight) and is_array(record)
        if not arrays or library(self.weight) != library(record):
            return self.weight
        if device(self.weight) == device(record):
            return self.weight
        return like(self.weight, record, self.weight.dtype)

    def _intermediate_reduction(self) -> str:
        return self.reduction if self.weight is None else "none"

    def _reduce(self, loss: Array) -> Array:
        """Reduce what `_compute_loss` left unreduced for the sake of the weights."""
        if self.weight is None or loss.ndim == 0 or self.reduction == "none":
            return loss
        return loss.mean() if self.reduction == "mean" else loss.sum()


class _Composed(LossFunctions):
    """A loss of this library behind the peer's signature; its own mean stands for "mean"."""

    def __init__(self, loss: Loss, reduction: str, weight: Any) -> None:
        super().__init__(reduction, weight)
        self.__name__ = type(self).__name__
        mean = reduction == "mean"
        self._loss = loss if mean else loss.replace(reduction=_REDUCTIONS[reduction])

    def _compute_loss(self, spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        weight = self._weight_beside(spk_out)
        return self._loss(spk_out, targets, class_weight=weight, **layout)


class ce_rate_loss(_Composed):  # noqa: N801
    """mean_t -log softmax(s_t)_y; see `spikeloss.presets.ce_rate`.

    With `population_code` the neurons of each of the `num_classes` groups are summed at every step.
    """

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | Literal[False] = False,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        classes = _classes(population_code, num_classes)
        super().__init__(presets.ce_rate(classes=classes), reduction, weight)
        self.population_code, self.num_classes = population_code, num_classes


class ce_count_loss(_Composed):  # noqa: N801
    """-log softmax(sum_t s_t)_y; see `spikeloss.presets.ce_count`."""

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | Literal[False] = False,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        classes = _classes(population_code, num_classes)
        super().__init__(presets.ce_count(classes=classes), reduction, weight)
        self.population_code, self.num_classes = population_code, num_classes


class ce_max_membrane_loss(_Composed):  # noqa: N801
    """-log softmax(max_t u_t)_y; see `spikeloss.presets.ce_max_membrane`."""

    def __init__(self, reduction: str = "mean", weight: Any = None) -> None:
        super().__init__(presets.ce_max_membrane(), reduction, weight)


class mse_count_loss(_Composed):  # noqa: N801
    """(sum_t s_t,c - r_c n)^2 / n; see `spikeloss.presets.mse_count`."""

    def __init__(
        self,
        correct_rate: float = 1,
        incorrect_rate: float = 0,
        population_code: bool = False,
        num_classes: int | Literal[False] = False,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        classes = _classes(population_code, num_classes)
        number("correct_rate", correct_rate, low=0.0, high=1.0)
        number("incorrect_rate", incorrect_rate, low=0.0, high=1.0)
        loss = presets.mse_count(on=correct_rate, off=incorrect_rate, classes=classes)
        super().__init__(loss, reduction, weight)
        self.correct_rate, self.incorrect_rate = correct_rate, incorrect_rate
        self.population_code, self.num_classes = population_code, num_classes


class mse_membrane_loss(_Composed):  # noqa: N801
    """mean_t (u_t,c - v_c)^2; see `spikeloss.presets.mse_membrane`.

    With `time_var_targets` the targets are labels (T, B), labels (T) of the whole batch, or
    membrane potentials (T, B, N).
    """

    def __init__(
        self,
        time_var_targets: bool = False,
        on_target: float = 1,
        off_target: float = 0,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        flag("time_var_targets", time_var_targets)
        number("on_target", on_target)
        number("off_target", off_target)
        loss = presets.mse_membrane(on=on_target, off=off_target)
        super().__init__(loss, reduction, weight)
        self.time_var_targets = time_var_targets
        self.on_target, self.off_target = on_target, off_target

    def _compute_loss(self, mem_out: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        if self.time_var_targets and _axes(targets) == _axes(mem_out):
            given = self._loss.replace(target=Given())
            return given(mem_out, targets, class_weight=self.weight, **layout)
        if self.time_var_targets:
            targets = _of_every_step(targets, mem_out, **layout)
        elif _axes(targets) == _axes(mem_out) - 1:
            fix = "Pass time_var_targets=True."
            refuse("targets", "one label per sample", "labels of each step", fix, ValueError)
        return super()._compute_loss(mem_out, targets, **layout)


class mse_temporal_loss(LossFunctions):  # noqa: N801
    """((t - d) / n)^2, t spike times, d target times; see `spikeloss.presets.mse_temporal`.

    The arguments are those of `SpikeTime`, with `reduction` and `weight`.

    Raises:
        ValueError: for class weights with `target_is_time`: spike times have no labels to weigh.
    """

    def __init__(
        self,
        target_is_time: bool = False,
        on_target: int | Iterable[int] = 0,
        off_target: int | Iterable[int] = -1,
        tolerance: float = 0,
        multi_spike: bool = False,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        super().__init__(reduction, weight)
        self.spk_time_fn = SpikeTime(target_is_time, on_target, off_target, tolerance, multi_spike)
        self.__name__ = "mse_temporal_loss"
        if target_is_time and weight is not None:
            rule = "None with target_is_time, as spike times have no class labels"
            refuse("weight", rule, "class weights", "Drop it, or pass labels.", ValueError)
        loss = presets.mse_temporal(tolerance=float(tolerance))
        self._loss = loss.replace(target=self.spk_time_fn.target, reduction=_REDUCTIONS[reduction])

    def __call__(self, spk_rec: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        """The loss of a record (T, B, N) against labels (B) or times (F, B, N), (B, N) or (N)."""
        return super().__call__(spk_rec, targets, **layout)

    def _compute_loss(self, spk_rec: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        loss = self._loss.replace(readout=self.spk_time_fn.readout(targets))
        return loss(spk_rec, targets, class_weight=self._weight_beside(spk_rec), **layout)


class ce_temporal_loss(_Composed):  # noqa: N801
    """-log softmax(-t)_y or of 1/(t + 1), t first spike times; `spikeloss.presets.ce_temporal`."""

    def __init__(
        self, inverse: str = "negate", reduction: str = "mean", weight: Any = None
    ) -> None:
        choice("inverse", inverse, ("negate", "reciprocal"))
        code: readouts.Code = "negative" if inverse == "negate" else "reciprocal"
        super().__init__(presets.ce_temporal(code=code), reduction, weight)
        self.inverse = inverse
        self.spk_time_fn = SpikeTime(target_is_time=False)

    def __call__(self, spk_rec: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        """The loss of a record (T, B, N) against labels (B)."""
        return super().__call__(spk_rec, targets, **layout)


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
    classes = _classes(population_code, num_classes)
    return _accuracy(presets.ce_count(classes=classes), spk_out, targets, **layout)


def accuracy_temporal(spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> np.float64:
    """The share of samples whose class fires first; a tie goes to the lowest class.

    A sample without any output spike has decided nothing and counts as wrong.
    """
    return _accuracy(presets.ce_temporal(), spk_out, targets, **layout)


class l1_rate_sparsity:  # noqa: N801
    """Lambda sum |s| / B: the spikes of a sample; with per="batch" Lambda sum |s|.

    The derivative of |s| is 1 at s = 0, as that of a spike count.

    Args:
        Lambda: the factor, in loss per spike.
        per: "sample", so that the penalty does not grow with the batch, or "batch".
    """

    def __init__(self, Lambda: float = 1e-5, *, per: str = "sample") -> None:
        number("Lambda", Lambda)
        choice("per", per, ("sample", "batch"))
        self.Lambda, self.per = Lambda, per
        self.__name__ = "l1_rate_sparsity"

    def __call__(self, spk_out: Array, **layout: Unpack[Layout]) -> Array:
        """The penalty of a record (T, B, N), 0-d."""
        piece = dense(open_record(spk_out, **layout), self)
        x, xp = piece.x, namespace(piece.x)
        samples = math.prod(x.shape[1:-1]) if self.per == "sample" else 1
        total = xp.sum(xp.where(x < 0, -x, x))
        return as_array(self.Lambda * total / (samples or math.nan), piece.dtype)


def _classes(population_code: bool, num_classes: int | Literal[False]) -> int | None:
    flag("population_code", population_code)
    return _given(num_classes) if population_code else None


def _given(num_classes: int | Literal[False]) -> int:
    if not num_classes:
        fix = "Pass num_classes=10, say, for ten classes."
        refuse("num_classes", "the number of classes", num_classes, fix, ValueError)
    whole("num_classes", num_classes, low=1)
    return num_classes


def _axes(x: Array) -> int:
    return int(x.ndim) if is_array(x) else np.ndim(x)


def _of_every_step(labels: Array, record: Array, **layout: Unpack[Layout]) -> Array:
    """Labels (T, *B), or (T) of the whole batch, as labels (T, *B)."""
    record = dense(open_record(record, **layout), readouts.EveryStep()).x
    labels = beside_record("targets", labels, record)
    shape, xp = record.shape[:-1], namespace(record)
    if labels.shape == shape[:1]:
        labels = xp.reshape(labels, shape[:1] + (1,) * (len(shape) - 1))
        return xp.broadcast_to(labels, shape)
    if labels.shape != shape:
        rule = f"labels (T, B) or (T), or membranes (T, B, N), of a record {tuple(record.shape)}"
        fix = "Pass time_var_targets=False for one label per sample."
        refuse("targets", rule, f"shape {tuple(labels.shape)}", fix, ValueError)
    return labels


def _accuracy(loss: Loss, spk_out: Array, targets: Array, **layout: Unpack[Layout]) -> np.float64:
    share = float(loss.accuracy(spk_out, targets, **layout))
    samples = math.prod(np.shape(targets))
    right = round(share * samples) if samples else math.nan
    return np.float64(right / (samples or math.nan))
