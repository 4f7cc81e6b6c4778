"""snnTorch's losses. Record (T, B, N), labels (B) -> (), (B) or (B, N)."""

from collections.abc import Iterable
from typing import Any, Literal, Unpack

from spikeloss import presets, readouts
from spikeloss._backend import namespace
from spikeloss._door import beside_record, choice, flag, number, refuse
from spikeloss._open import open_record
from spikeloss._piece import every_step
from spikeloss._shapes import Array, Layout
from spikeloss.compat._calls import axes, labels, speaks
from spikeloss.criteria import SquaredError
from spikeloss.loss import Loss
from spikeloss.targets import Given, OnOff, OnOffRate

from ._base import Composed, LossFunctions, Pooled
from ._options import NAMES
from ._spike_time import SpikeTime

__all__ = [
    "LossFunctions",
    "SpikeTime",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_rate_loss",
    "ce_temporal_loss",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
]

_OF_RECORDINGS = NAMES | {"record": "spk_rec"}


class ce_rate_loss(Pooled):  # noqa: N801
    """mean_t -log softmax(s_t)_y; see `spikeloss.presets.ce_rate`.

    With `population_code` the neurons of each of the `num_classes` groups are summed at every step.
    """

    _preset = presets.ce_rate()

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | Literal[False] = False,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        population = {"population_code": population_code, "num_classes": num_classes}
        super().__init__(reduction, weight, **population)


class ce_count_loss(Pooled):  # noqa: N801
    """-log softmax(sum_t s_t)_y; see `spikeloss.presets.ce_count`."""

    _preset = presets.ce_count()

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | Literal[False] = False,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        population = {"population_code": population_code, "num_classes": num_classes}
        super().__init__(reduction, weight, **population)


class ce_max_membrane_loss(Composed):  # noqa: N801
    """-log softmax(max_t u_t)_y; see `spikeloss.presets.ce_max_membrane`."""

    _preset = presets.ce_max_membrane()

    def __init__(self, reduction: str = "mean", weight: Any = None) -> None:
        super().__init__(reduction, weight)


class mse_count_loss(Pooled):  # noqa: N801
    """(sum_t s_t,c - r_c n)^2 / n; see `spikeloss.presets.mse_count`."""

    _preset = presets.mse_count()

    def __init__(
        self,
        correct_rate: float = 1,
        incorrect_rate: float = 0,
        population_code: bool = False,
        num_classes: int | Literal[False] = False,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        rates = {"correct_rate": correct_rate, "incorrect_rate": incorrect_rate}
        population = {"population_code": population_code, "num_classes": num_classes}
        super().__init__(reduction, weight, **rates, **population)

    def _parts(self) -> dict[str, Any]:
        on, off = (
            number(name, getattr(self, name), low=0.0, high=1.0)
            for name in ("correct_rate", "incorrect_rate")
        )
        return {**super()._parts(), "target": OnOffRate(on, off)}


class mse_membrane_loss(Composed):  # noqa: N801
    """mean_t (u_t,c - v_c)^2; see `spikeloss.presets.mse_membrane`.

    With `time_var_targets` the targets are labels (T, B), labels (T) of the whole batch, or
    membrane potentials (T, B, N).
    """

    _preset = presets.mse_membrane()
    time_var_targets: bool
    on_target: float
    off_target: float

    def __init__(
        self,
        time_var_targets: bool = False,
        on_target: float = 1,
        off_target: float = 0,
        reduction: str = "mean",
        weight: Any = None,
    ) -> None:
        levels = {"on_target": on_target, "off_target": off_target}
        super().__init__(reduction, weight, time_var_targets=time_var_targets, **levels)

    def _parts(self) -> dict[str, Any]:
        flag("time_var_targets", self.time_var_targets)
        on = number("on_target", self.on_target)
        return {"target": OnOff(on, number("off_target", self.off_target))}

    def _compute_loss(self, mem_out: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        record_axes = axes(mem_out)
        if not self.time_var_targets:
            if axes(targets) == record_axes - 1:
                fix = "Pass time_var_targets=True."
                refuse("targets", "one label per sample", "labels of each step", fix, ValueError)
            return super()._compute_loss(mem_out, targets, **layout)
        loss, weight = self._loss(), self._weight_beside(mem_out)
        if axes(targets) == record_axes:
            loss = loss.replace(target=Given())
        else:
            targets = labels(targets, 1, record_axes - 1)
            targets = _of_every_step(targets, mem_out, **layout)
        return loss(mem_out, targets, class_weight=weight, **layout)


class _Timed(Composed):
    """A loss of spike times."""

    spk_time_fn: Any

    @speaks(_OF_RECORDINGS)
    def __call__(self, spk_rec: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        """The loss of a record (T, B, N) against labels (B) or times (F, B, N), (B, N) or (N)."""
        return self._reduce(self._compute_loss(spk_rec, targets, **layout))

    @property
    def loss_fn(self) -> Loss:
        """The whole loss; compose another one to change its criterion."""
        return self._loss()


class mse_temporal_loss(_Timed):  # noqa: N801
    """((t - d) / n)^2, t spike times, d target times; see `spikeloss.presets.mse_temporal`.

    The arguments are those of `SpikeTime`, with `reduction` and `weight`; they are attributes of
    `spk_time_fn`.

    Raises:
        ValueError: for class weights with `target_is_time`: spike times have no labels to weigh.
    """

    _preset = presets.mse_temporal()
    _stages: Any = None

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
        times = SpikeTime(target_is_time, on_target, off_target, tolerance, multi_spike)
        super().__init__(reduction, weight, spk_time_fn=times)

    def _parts(self) -> dict[str, Any]:
        times = self._times()
        if times.target_is_time and self.weight is not None:
            rule = "None with target_is_time, as spike times have no class labels"
            refuse("weight", rule, "class weights", "Drop it, or pass labels.", ValueError)
        criterion = SquaredError(tolerance=float(times.tolerance), steps_power=2)
        return {**times.stages(), "criterion": criterion}

    def _times(self) -> SpikeTime:
        if not isinstance(self.spk_time_fn, SpikeTime):
            rule, got = "a SpikeTime", type(self.spk_time_fn).__name__
            fix = "Change its attributes, or compose a spikeloss.Loss of your own."
            refuse("spk_time_fn", rule, got, fix, TypeError)
        return self.spk_time_fn

    def _loss(self) -> Loss:
        stages = self._times().stages()
        if self._stages is not stages:  # an attribute of `spk_time_fn` was set
            self._stages = stages
        return super()._loss()

    def _compute_loss(self, spk_rec: Array, targets: Array, **layout: Unpack[Layout]) -> Array:
        loss, times = self._loss(), self._times()
        if times.target_is_time:
            loss = loss.replace(readout=times.readout(targets))
        else:
            targets = labels(targets, axes(spk_rec) - 2)
        return loss(spk_rec, targets, class_weight=self._weight_beside(spk_rec), **layout)


class ce_temporal_loss(_Timed):  # noqa: N801
    """-log softmax(-t)_y or of 1/(t + 1), t first spike times; `spikeloss.presets.ce_temporal`."""

    _preset = presets.ce_temporal()
    inverse: str

    def __init__(
        self, inverse: str = "negate", reduction: str = "mean", weight: Any = None
    ) -> None:
        times = SpikeTime(target_is_time=False)
        super().__init__(reduction, weight, inverse=inverse, spk_time_fn=times)

    def _parts(self) -> dict[str, Any]:
        choice("inverse", self.inverse, ("negate", "reciprocal"))
        code: readouts.Code = "negative" if self.inverse == "negate" else "reciprocal"
        return {"readout": readouts.FirstSpike(code=code)}


def _of_every_step(targets: Array, record: Array, **layout: Unpack[Layout]) -> Array:
    """Labels (T, *B), or (T) of the whole batch, as labels (T, *B)."""
    record = every_step(open_record(record, **layout), readouts.EveryStep()).raw
    targets = beside_record("targets", targets, record)
    shape, xp = record.shape[:-1], namespace(record)
    if targets.shape == shape[:1]:
        targets = xp.reshape(targets, shape[:1] + (1,) * (len(shape) - 1))
        return xp.broadcast_to(targets, shape)
    if targets.shape != shape:
        rule = f"labels (T, B) or (T), or membranes (T, B, N), of a record {tuple(record.shape)}"
        fix = "Pass time_var_targets=False for one label per sample."
        refuse("targets", rule, f"shape {tuple(targets.shape)}", fix, ValueError)
    return targets
