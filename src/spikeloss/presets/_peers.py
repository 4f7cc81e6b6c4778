"""The objectives of snnTorch and BrainPy."""

from typing import Unpack

from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.loss import Loss
from spikeloss.readouts import (
    Code,
    Decided,
    EveryStep,
    FirstSpike,
    Maximum,
    SpikeTimes,
    SumOverTime,
)
from spikeloss.targets import OnOff, OnOffRate, OnOffTime

from ._base import BY_WEIGHTS, Options, of_classes, preset

_SNNTORCH = (
    "J. Eshraghian et al., Training spiking neural networks using lessons from deep learning "
    "(2023); snntorch.functional.{}"
)


@preset(source=_SNNTORCH.format("ce_rate_loss"), decides="the class with the highest rate")
def ce_rate(*, classes: int | None = None, **options: Unpack[Options]) -> Loss:
    """mean_t -log softmax(s_t)_y

    The right class should fire at every step and the others never. `classes`: population code, N
    neurons in as many equal groups, summed at each step.
    """
    return Loss(of_classes(EveryStep(), classes), CrossEntropy(), reads="spikes", **options)


@preset(source=_SNNTORCH.format("ce_count_loss"), decides="the class with the most spikes")
def ce_count(*, classes: int | None = None, **options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t s_t)_y

    The right class should fire more often than the others over the whole record; when does not
    matter. `classes`: population code, N neurons in as many equal groups.
    """
    return Loss(of_classes(SumOverTime(), classes), CrossEntropy(), reads="spikes", **options)


@preset(
    source="F. Zenke, SpyTorch (2019); snntorch.functional.ce_max_membrane_loss",
    decides="the class with the highest membrane at any step",
)
def ce_max_membrane(**options: Unpack[Options]) -> Loss:
    """-log softmax(max_t u_t)_y

    The membrane of the right class should rise above the others at some step.
    """
    return Loss(Maximum(), CrossEntropy(), reads="membrane", **options)


@preset(
    source="S. Shrestha and G. Orchard, SLAYER (2018); snntorch.functional.mse_count_loss",
    decides="the class with the most spikes",
)
def mse_count(
    *, on: float = 1.0, off: float = 0.0, classes: int | None = None, **options: Unpack[Options]
) -> Loss:
    """(sum_t s_t,c - r_c n)^2 / n, r = on for the right class, else off

    The right class should fire at the rate `on` and the others at `off`, spikes per step from 0 to
    1. A moderate rate for the others keeps their gradient alive. `classes`: population code, N
    neurons in as many equal groups.
    """
    return Loss(
        of_classes(SumOverTime(), classes),
        SquaredError(steps_power=1),
        OnOffRate(on, off),
        reads="spikes",
        **options,
    )


@preset(
    source=_SNNTORCH.format("mse_membrane_loss"),
    decides="the class with the highest mean membrane",
)
def mse_membrane(*, on: float = 1.0, off: float = 0.0, **options: Unpack[Options]) -> Loss:
    """mean_t (u_t,c - v_c)^2, v = on for the right class, else off

    The membranes should stay at given values, or follow per-step labels (T, *B). For membrane
    traces as targets: `mse_membrane().replace(target=Given())`.
    """
    return Loss(EveryStep(), SquaredError(), OnOff(on, off), reads="membrane", **options)


@preset(source=_SNNTORCH.format("mse_temporal_loss"), decides="the class that fires first")
def mse_temporal(
    *,
    on: int | tuple[int, ...] = 0,
    off: int | tuple[int, ...] = -1,
    tolerance: float = 0.0,
    **options: Unpack[Options],
) -> Loss:
    """((t_c - d_c) / n)^2, t the first spike, d = on for the right class, else off

    The right class should fire at step `on` and the others at `off` (negative: from the end), give
    or take less than `tolerance` steps. Tuples of F steps aim at the first F spikes. For given
    times: `mse_temporal().replace(target=GivenTime())`.
    """
    target = OnOffTime(on, off)
    readout = SpikeTimes(count=len(on)) if isinstance(on, tuple) else FirstSpike()
    criterion = SquaredError(tolerance=tolerance, steps_power=2)
    return Loss(readout, criterion, target, reads="spikes", **options)


@preset(
    source=_SNNTORCH.format("ce_temporal_loss"),
    decides="the class that fires first",
    usual=BY_WEIGHTS,
)
def ce_temporal(*, code: Code = "negative", **options: Unpack[Options]) -> Loss:
    """-log softmax(-t)_y, t the first spike; with code="reciprocal" of 1/(t + 1)

    The right class should fire before the others. With class weights the mean is over the weights.
    """
    return Loss(
        FirstSpike(code=code),
        CrossEntropy(),
        reads="spikes",
        **(BY_WEIGHTS | options),
    )


@preset(
    source="brainpy.losses.cross_entropy_loss; torch.nn.functional.cross_entropy",
    decides="the class with the largest logit",
    usual=BY_WEIGHTS,
)
def cross_entropy(
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    **options: Unpack[Options],
) -> Loss:
    """-log softmax(z)_y, z the logits (*B, C)

    For networks whose readout is already a decision: the record has no time axis. With class
    weights the mean is over the weights.
    """
    return Loss(
        Decided(),
        CrossEntropy(label_smoothing=label_smoothing, ignore_index=ignore_index),
        reads="logits",
        **(BY_WEIGHTS | options),
    )
