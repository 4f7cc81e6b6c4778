"""snnTorch's losses, accuracies and regulariser, by its names, for torch, JAX and NumPy arrays.

    import spikeloss.compat.snntorch as SF  # in place of: import snntorch.functional as SF

Names, signatures and defaults are those of snnTorch 1.0; the meaning is its documentation's. Where
its code does something else, `docs/parity.md` says what and by how much. Records are (T, B, N).
"""

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from spikeloss import presets, readouts
from spikeloss._backend import as_array, constant, is_array, namespace
from spikeloss._door import choice, class_labels, flag, number, open_record, refuse, whole
from spikeloss._shapes import Array
from spikeloss.loss import Loss
from spikeloss.reductions import Each, Mean, Reduction, Sum
from spikeloss.targets import Given, GivenTime, OnOff, OnOffTime

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
    """A reduction and class weights; a loss of your own gives `_compute_loss`.

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

    def __call__(self, spk_out: Array, targets: Array) -> Array:
        """The loss of a record (T, B, N) against labels (B) or the targets of the loss."""
        return self._reduce(self._compute_loss(spk_out, targets))

    def _compute_loss(self, spk_out: Array, targets: Array) -> Array:
        raise NotImplementedError("a loss gives _compute_loss(spk_out, targets)")

    def _intermediate_reduction(self) -> str:
        return self.reduction if self.weight is None else "none"

    def _reduce(self, loss: Array) -> Array:
        """Reduce what `_compute_loss` left unreduced for the sake of the weights."""
        if self.weight is None or loss.ndim == 0 or self.reduction == "none":
            return loss
        return loss.mean() if self.reduction == "mean" else loss.sum()


class _Composed(LossFunctions):
    """A loss of this library behind the peer's signature."""

    def __init__(self, loss: Loss, reduction: str, weight: Any) -> None:
        super().__init__(reduction, weight)
        self.__name__ = type(self).__name__
        mean = isinstance(loss.reduction, Mean) and reduction == "mean"
        self._loss = loss if mean else loss.replace(reduction=_REDUCTIONS[reduction])

    def _compute_loss(self, spk_out: Array, targets: Array) -> Array:
        return self._loss(spk_out, targets, class_weight=self.weight)


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
        loss = presets.mse_membrane(on=on_target, off=off_target)
        super().__init__(loss, reduction, weight)
        self.time_var_targets = time_var_targets
        self.on_target, self.off_target = on_target, off_target

    def _compute_loss(self, mem_out: Array, targets: Array) -> Array:
        loss = self._loss
        if self.time_var_targets and targets.ndim == mem_out.ndim:
            loss = loss.replace(target=Given())
        elif self.time_var_targets and targets.ndim == 1:
            xp = namespace(targets)
            targets = xp.broadcast_to(targets[:, None], mem_out.shape[:-1])
        elif not self.time_var_targets and targets.ndim != 1:
            fix = "Pass time_var_targets=True for labels of each step."
            got = f"shape {tuple(targets.shape)}"
            refuse("targets", "labels of shape (B,)", got, fix, ValueError)
        return loss(mem_out, targets, class_weight=self.weight)


class SpikeTime:
    """Spike times of a record, and its targets as spike times.

    Args:
        target_is_time: whether targets are times (F, B, N), (B, N) or (N) rather than labels (B).
        on_target, off_target: steps, one or with `multi_spike` F each; negative from the end.
        tolerance: in steps; a time nearer to its target than this is replaced by the target.
        multi_spike: whether to read F spikes of a neuron rather than the first.
    """

    class FirstSpike:
        """First spike times (B, N) of a record (T, B, N)."""

        @staticmethod
        def apply(spk_rec: Array, device: object = None) -> Array:
            """The times; `device` is that of the record."""
            return readouts.FirstSpike()(spk_rec)

    class MultiSpike:
        """The first F spike times (F, B, N) of a record (T, B, N)."""

        @staticmethod
        def apply(spk_rec: Array, spk_count: int, device: object = None) -> Array:
            """The times; `device` is that of the record."""
            return readouts.SpikeTimes(count=spk_count)(spk_rec)

    class Tolerance:
        """Times that are close enough to their targets, replaced by them."""

        @staticmethod
        def apply(spk_time: Array, target: Array, tolerance: float) -> Array:
            """The target, without derivative, where it is nearer than `tolerance`."""
            xp = namespace(spk_time)
            target = xp.astype(target, spk_time.dtype, copy=False)
            return xp.where(xp.abs(spk_time - target) < tolerance, constant(target), spk_time)

    def __init__(
        self,
        target_is_time: bool = False,
        on_target: int | Iterable[int] = 0,
        off_target: int | Iterable[int] = -1,
        tolerance: float = 0,
        multi_spike: bool = False,
    ) -> None:
        flag("target_is_time", target_is_time)
        flag("multi_spike", multi_spike)
        number("tolerance", tolerance, low=0.0)
        self.target_is_time = target_is_time
        self.tolerance, self.tolerance_fn = tolerance, self.Tolerance.apply
        self.multi_spike = multi_spike
        self.first_spike_fn = self.MultiSpike.apply if multi_spike else self.FirstSpike.apply
        if not target_is_time:
            self.on_target = _steps("on_target", on_target, multi_spike)
            self.off_target = _steps("off_target", off_target, multi_spike)
        self._target = GivenTime() if target_is_time else OnOffTime(self.on_target, self.off_target)

    def __call__(self, spk_out: Array, targets: Array) -> tuple[Array, Array]:
        """Times of the record and targets, both (B, N) or (F, B, N); see `forward`."""
        return self.forward(spk_out, targets)

    def forward(self, spk_out: Array, targets: Array) -> tuple[Array, Array]:
        """Times of the record and targets, both (B, N) or (F, B, N), in float32 or float64."""
        reading = self._readout(targets).reading(open_record(spk_out))
        if not self.target_is_time:
            targets = class_labels(targets, reading)
        goal = self._target.encode(targets, reading)
        time = reading.z
        return self.tolerance_fn(time, goal, self.tolerance) if self.tolerance else time, goal

    def labels_to_spike_times(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (B, N) or, with `multi_spike`, (F, B, N); negative ones stay so."""
        if self.multi_spike:
            return self.label_to_multi_spike(targets, num_outputs)
        return self.label_to_single_spike(targets, num_outputs)

    def label_to_single_spike(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (B, N)."""
        return _on_off(targets, num_outputs, self.on_target, self.off_target)

    def label_to_multi_spike(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (F, B, N)."""
        pairs = zip(self.on_target, self.off_target, strict=True)
        return namespace(targets).stack([_on_off(targets, num_outputs, *pair) for pair in pairs])

    def _readout(self, targets: Array) -> readouts.Readout:
        if not self.multi_spike:
            return readouts.FirstSpike()
        return readouts.SpikeTimes(
            count=targets.shape[0] if self.target_is_time else len(self.on_target)
        )


class mse_temporal_loss(LossFunctions):  # noqa: N801
    """((t - d) / n)^2, t spike times, d target times; see `spikeloss.presets.mse_temporal`.

    The arguments are those of `SpikeTime`, with `reduction` and `weight`.
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
        loss = presets.mse_temporal(tolerance=float(tolerance))
        self._loss = loss.replace(target=self.spk_time_fn._target, reduction=_REDUCTIONS[reduction])

    def _compute_loss(self, spk_rec: Array, targets: Array) -> Array:
        loss = self._loss.replace(readout=self.spk_time_fn._readout(targets))
        return loss(spk_rec, targets, class_weight=self.weight)


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


def accuracy_rate(
    spk_out: Array,
    targets: Array,
    population_code: bool = False,
    num_classes: int | Literal[False] = False,
) -> np.float64:
    """The share of samples whose class fires most; a tie goes to the lowest class.

    A sample without any output spike has decided nothing and counts as wrong.
    """
    classes = _classes(population_code, num_classes)
    return _accuracy(presets.ce_count(classes=classes), spk_out, targets)


def accuracy_temporal(spk_out: Array, targets: Array) -> np.float64:
    """The share of samples whose class fires first; a tie goes to the lowest class.

    A sample without any output spike has decided nothing and counts as wrong.
    """
    return _accuracy(presets.ce_temporal(), spk_out, targets)


class l1_rate_sparsity:  # noqa: N801
    """Lambda sum |s| / B: the spikes of a sample; with per="batch" Lambda sum |s|.

    Args:
        Lambda: the factor, in loss per spike.
        per: "sample", so that the penalty does not grow with the batch, or "batch".
    """

    def __init__(self, Lambda: float = 1e-5, *, per: str = "sample") -> None:
        number("Lambda", Lambda)
        choice("per", per, ("sample", "batch"))
        self.Lambda, self.per = Lambda, per
        self.__name__ = "l1_rate_sparsity"

    def __call__(self, spk_out: Array) -> Array:
        """The penalty of a record (T, B, N), 0-d."""
        frame = open_record(spk_out)
        samples = math.prod(frame.x.shape[1:-1]) if self.per == "sample" else 1
        xp = namespace(frame.x)
        return as_array(self.Lambda * xp.sum(xp.abs(frame.x)) / (samples or math.nan), frame.dtype)


def _classes(population_code: bool, num_classes: int | Literal[False]) -> int | None:
    flag("population_code", population_code)
    if not population_code:
        return None
    if not num_classes:
        fix = "Pass num_classes=10, say, for ten classes."
        refuse("num_classes", "the number of classes", num_classes, fix, ValueError)
    whole("num_classes", num_classes, low=1)
    return num_classes


def _steps(argument: str, steps: Any, many: bool) -> Any:
    """A step as int or, with `many`, steps as a tuple of int; arrays of integers too."""
    values = steps.tolist() if is_array(steps) else steps
    values = tuple(values) if isinstance(values, Iterable) else values
    if many:
        return values if isinstance(values, tuple) else (values,)
    if isinstance(values, tuple):
        fix = "Pass multi_spike=True for several spikes."
        refuse(argument, "one step", values, fix, ValueError)
    return values


def _on_off(labels: Array, classes: int, on: float, off: float) -> Array:
    xp = namespace(labels)
    z = xp.zeros((*labels.shape, classes), dtype=xp.float32)
    reading = readouts.Reading(z, None, 1, None)
    return OnOff(on, off).encode(class_labels(labels, reading), reading)


def _accuracy(loss: Loss, spk_out: Array, targets: Array) -> np.float64:
    samples = math.prod(targets.shape)
    right = round(float(loss.accuracy(spk_out, targets)) * samples) if samples else math.nan
    return np.float64(right / (samples or math.nan))
