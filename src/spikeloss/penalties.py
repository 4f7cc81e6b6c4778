"""Penalties of activity and membranes: losses without a target, to be added to one with a target.

    objective = ce_count() + 0.1 * rate_bounds(upper=0.2)
    objective(record, labels)

A penalty is a readout, the statistic, with a criterion that needs no target and a reduction: it
takes lengths, masks, events and streams as any loss. Names say the unit: counts are spikes of a
sample, rates spikes per step. Called with a mapping of layer names to records, losses add up:

    objective = ce_count().replace(layers="output") + 0.1 * rate_bounds(layers="hidden")
    objective({"hidden": hidden, "output": output}, labels)

`layers` picks some of them, None all. `population` takes the mean over the neurons first, `batch`
that over the samples: then single ones are free. Sample weights weigh the penalties of the samples,
not that mean. Every penalty takes `reduction` and `layers`; `catalogue()` lists them all.
"""

from collections.abc import Callable
from typing import Any, Literal, ParamSpec, Unpack

from .criteria import Bounds, Deviation, Distribution, Quantised
from .extend import checked, flag, number
from .loss import Loss
from .presets import Preset, Unweighed, preset
from .readouts import (
    BatchMean,
    BatchPercentile,
    Disagreement,
    EveryStep,
    Maximum,
    MeanOverTime,
    Moments,
    Population,
    Readout,
    Sigmoid,
    SumOverTime,
    Weighted,
)


class Options(Unweighed):
    """What every penalty takes."""


_CATALOGUE: dict[str, Preset] = {}
_P = ParamSpec("_P")


def catalogue() -> dict[str, Preset]:
    """Every penalty by its name."""
    return dict(_CATALOGUE)


def _penalty(source: str) -> Callable[[Callable[_P, Loss]], Callable[_P, Loss]]:
    """Put a function that builds a penalty in the catalogue."""
    return preset(source=source, decides="no class", into=_CATALOGUE)


def _averaged(readout: Readout, population: bool, batch: bool = False) -> Readout:
    """The mean of a statistic over the neurons, over the samples, or both."""
    if checked("population", population, flag()):
        readout = Population(readout, classes=1, pool="mean")
    return BatchMean(readout) if checked("batch", batch, flag()) else readout


def _spikes(*, lower: float | None = None, upper: float | None = None, **options: Any) -> Bounds:
    """Bounds of counts and rates, which are not negative."""
    for name, bound in (("lower", lower), ("upper", upper)):
        if bound is not None:
            checked(name, bound, number(low=0.0))
    return Bounds(lower=lower, upper=upper, **options)


@_penalty(
    "F. Zenke and T. Vogels, The remarkable robustness of surrogate gradient learning for "
    "instilling complex function in spiking neural networks (2021); stork"
)
def count_bounds(
    *,
    lower: float | None = None,
    upper: float | None = 10.0,
    power: Literal[1, 2] = 2,
    pool: Literal["mean", "sum"] = "mean",
    population: bool = False,
    batch: bool = False,
    **options: Unpack[Options],
) -> Loss:
    """mean_i max(0, l - z_i)^p + max(0, z_i - u)^p, z = sum_t s_t, l = `lower`, u = `upper`

    Every neuron should fire at least l and at most u spikes in a sample. `pool="sum"` sums over the
    neurons.
    """
    criterion = _spikes(lower=lower, upper=upper, power=power, pool=pool)
    return Loss(_averaged(SumOverTime(), population, batch), criterion, reads="spikes", **options)


@_penalty("KerasSpiking, regularizers.RangedRegularizer; lava-dl's event rate loss")
def rate_bounds(
    *,
    lower: float | None = None,
    upper: float | None = 0.1,
    power: Literal[1, 2] = 2,
    pool: Literal["mean", "sum"] = "mean",
    population: bool = False,
    batch: bool = False,
    **options: Unpack[Options],
) -> Loss:
    """mean_i max(0, l - r_i)^p + max(0, r_i - u)^p, r = sum_t s_t / n, l = `lower`, u = `upper`

    Every neuron should fire at a rate from l to u, in spikes per step. `pool="sum"` sums over the
    neurons.
    """
    criterion = _spikes(lower=lower, upper=upper, power=power, pool=pool)
    return Loss(_averaged(MeanOverTime(), population, batch), criterion, reads="spikes", **options)


@_penalty(
    "G. Bellec et al., A solution to the learning dilemma for recurrent networks of spiking "
    "neurons (2020); mlGeNN; jaxpike, over the population"
)
def rate_target(
    *,
    rate: float = 0.05,
    power: Literal[1, 2] = 2,
    population: bool = False,
    batch: bool = True,
    **options: Unpack[Options],
) -> Loss:
    """mean_i |r_i - f|^p, r the mean over the batch of sum_t s_t / n, f = `rate`

    Every neuron should fire at the rate f on average over the samples; which ones it answers to is
    free. The first source sums over the neurons.
    """
    rate = checked("rate", rate, number(low=0.0))
    criterion = Deviation(rate, power=power)
    return Loss(_averaged(MeanOverTime(), population, batch), criterion, reads="spikes", **options)


@_penalty("KerasSpiking, regularizers.Percentile")
def rate_percentile(
    *,
    lower: float | None = None,
    upper: float | None = 0.2,
    percentile: float = 99.0,
    power: Literal[1, 2] = 2,
    **options: Unpack[Options],
) -> Loss:
    """mean_i max(0, l - q_i)^p + max(0, q_i - u)^p, q a percentile over the batch of the rate

    The rates of a neuron in the batch should keep within bounds but for a few samples.
    """
    readout = BatchPercentile(MeanOverTime(), percentile=percentile)
    return Loss(readout, _spikes(lower=lower, upper=upper, power=power), reads="spikes", **options)


@_penalty("snntorch.functional.reg.l1_rate_sparsity, which sums over the samples and has 1e-5")
def count_l1(**options: Unpack[Options]) -> Loss:
    """sum_i |sum_t s_t,i|

    As few spikes as possible: the number of all spikes of a sample.
    """
    criterion = Deviation(0.0, power=1, pool="sum")
    return Loss(SumOverTime(), criterion, reads="spikes", **options)


@_penalty("Spyx, fn.silence_reg, which sums over the neurons")
def count_silence(*, least: float = 1.0, batch: bool = True, **options: Unpack[Options]) -> Loss:
    """mean_i max(0, l - z_i)^2, z the mean over the batch of sum_t s_t, l = `least`

    Every neuron should fire l spikes on average over the samples, so that none is dead. A silent
    one learns only where silence has a gradient, as with a surrogate.
    """
    readout = _averaged(SumOverTime(), population=False, batch=batch)
    return Loss(readout, _spikes(lower=least), reads="spikes", **options)


@_penalty("Spyx, fn.sparsity_reg, with a square in place of Huber's function")
def count_sparsity(
    *, most: float = 10.0, power: Literal[1, 2] = 2, **options: Unpack[Options]
) -> Loss:
    """max(0, z - m)^p, z = mean_i sum_t s_t,i, m = `most`

    The neurons of a layer should fire at most m spikes in a sample on average.
    """
    readout = _averaged(SumOverTime(), population=True)
    return Loss(readout, _spikes(upper=most, power=power), reads="spikes", **options)


@_penalty(
    "G. Bellec et al., A solution to the learning dilemma for recurrent networks of spiking "
    "neurons (2020)"
)
def membrane_bounds(
    *,
    lower: float | None = -1.0,
    upper: float | None = 1.0,
    power: Literal[1, 2] = 2,
    **options: Unpack[Options],
) -> Loss:
    """mean_t mean_i max(0, l - u_t,i)^p + max(0, u_t,i - h)^p, l = `lower`, h = `upper`

    The membranes should stay within bounds at every step, such as between the thresholds, where
    surrogate gradients do not vanish. The source sums over steps and neurons.
    """
    criterion = Bounds(lower=lower, upper=upper, power=power)
    return Loss(EveryStep(), criterion, reads="membrane", **options)


@_penalty(
    "Y. Guo et al., IM-Loss: information maximization loss for spiking neural networks (2022), by "
    "the authors' code"
)
def membrane_information(
    *, threshold: float = 0.5, per_step: bool = False, **options: Unpack[Options]
) -> Loss:
    """(mean_b mean_t mean_i u_t,i - h)^2, h = `threshold`; with per_step=True h / n for h

    Half of the membranes of a layer should pass the threshold: then its spikes carry most
    information. In the units of the membrane at which it fires. Both forms are the authors': their
    code reads the input current of the neurons that end a block, which adds up over n steps, has
    0.5 / n, and 0.5 in a comment. It takes 0.005 times the loss.
    """
    readout = _averaged(MeanOverTime(), population=True, batch=True)
    per_step = checked("per_step", per_step, flag())
    criterion = Deviation(threshold, steps_power=1 if per_step else 0)
    return Loss(readout, criterion, reads="membrane", **options)


@_penalty(
    "Y. Guo et al., RMP-Loss: regularizing membrane potential distribution for spiking neural "
    "networks (2023), by a line in the code of the authors' IM-Loss; its text could not be read"
)
def membrane_rectified(
    *,
    levels: tuple[float, ...] = (0.0, 1.0),
    power: Literal[1, 2] = 2,
    **options: Unpack[Options],
) -> Loss:
    """mean_t mean_i min_k |u_t,i - q_k|^p, q = `levels`

    The membranes should be near rest or threshold, so that spikes lose little of what they say.
    """
    criterion = Quantised(levels=levels, power=power)
    return Loss(EveryStep(), criterion, reads="membrane", **options)


@_penalty(
    "R. Ding et al., Regularizing activation distribution for training binarized deep networks "
    "(2019), by the authors' code; whether it is the loss of Y. Guo et al., RecDis-SNN (2022), "
    "could not be read"
)
def membrane_distribution(
    *,
    threshold: float = 1.0,
    width: float = 1.0,
    degeneration: float = 1.0,
    saturation: float = 1.0,
    mismatch: float = 1.0,
    channels: int | None = None,
    **options: Unpack[Options],
) -> Loss:
    """mean_c d max(0, m^2 - s^2) + a max(0, s - 4)^2 + e max(0, 2 - |m| - s)^2, m = (mean u - h)/w

    The membranes of a channel should lie on both sides of its threshold, neither all far from it
    nor all near. m and s, the deviation of u over w, are of all steps, samples and neurons of a
    channel; `channels` are equal contiguous groups of neurons, None: each is one. w = `width` is
    half of where the surrogate gradient lives; d, a, e are `degeneration`, `saturation` and
    `mismatch`. The source has the threshold 0, and adds twice the sum.
    """
    criterion = Distribution(
        centre=checked("threshold", threshold, number()),
        width=width,
        degeneration=degeneration,
        saturation=saturation,
        mismatch=mismatch,
    )
    return Loss(Moments(channels=channels), criterion, reads="membrane", **options)


@_penalty(
    "M. Sorbaro et al., Optimizing the energy consumption of spiking neural networks for "
    "neuromorphic applications (2020)"
)
def synaptic_operations(
    *,
    fan_out: float | tuple[float, ...] | Any = 1.0,
    target: float | None = None,
    **options: Unpack[Options],
) -> Loss:
    """S = |sum_i f_i sum_t s_t,i|, or ((mean_b S - S_0) / S_0)^2; f = `fan_out`, S_0 = `target`

    As few synaptic operations as possible, or about S_0 of a sample: each spike costs as many as
    its neuron has synapses, which `spikeloss.synapses` counts.
    """
    spikes = Population(Weighted(SumOverTime(), fan_out), classes=1)
    if target is None:
        return Loss(spikes, Deviation(0.0, power=1), reads="spikes", **options)
    share = BatchMean(Weighted(spikes, 1 / checked("target", target, number(above=0.0))))
    return Loss(share, Deviation(1.0), reads="spikes", **options)


@_penalty(
    "after I. Comsa et al., Temporal coding in spiking neural networks with alpha synaptic "
    "function (2020), who raise the weights of silent neurons instead"
)
def membrane_silence(*, threshold: float = 1.0, **options: Unpack[Options]) -> Loss:
    """mean_i max(0, h - max_t u_t,i), h = `threshold`

    Every neuron should reach its threshold at some step of a sample: a silent one is pulled up,
    with a constant slope, at the step where it came closest.
    """
    return Loss(Maximum(), Bounds(lower=threshold, power=1), reads="membrane", **options)


@_penalty(
    "D. Zhao et al., Improving stability and performance of spiking neural networks through "
    "enhancing temporal consistency (2024), and their code"
)
def step_consistency(*, temperature: float = 4.0, **options: Unpack[Options]) -> Loss:
    """mean_(i != j) T^2 KL(softmax(x_j / T) | softmax(x_i / T)), T = `temperature`

    Every step should say what the others say, so that fewer steps do as well: each learns from all
    others, as a teacher without a derivative, at the cost of one pass over the record. For output
    neurons, added to a loss of their mean; the source adds as much of it. 0 for a single step.
    """
    readout = Disagreement(temperature=temperature)
    return Loss(readout, Bounds(upper=0.0, power=1), reads="either", **options)


@_penalty(
    "J. Kaiser, H. Mostafa and E. Neftci, Synaptic plasticity dynamics for deep continuous local "
    "learning (DECOLLE) (2020), by the authors' code, which has the mean over the batch inside of "
    "the maximum"
)
def membrane_activity(
    *, least: float = 0.1, slope: float = 1.0, threshold: float = 0.0, **options: Unpack[Options]
) -> Loss:
    """mean_t max(0, l - mean_i 1 / (1 + exp(-k (u_t,i - h)))), l = `least`, k = `slope`

    A layer should not fall silent: at every step some of its membranes should be near h =
    `threshold`. Its counterpart, so that they are not far above, is `membrane_bounds(lower=None,
    upper=-0.01, power=1)`; the authors take 0.003 times this one.
    """
    checked("least", least, number(low=0.0, high=1.0))
    firing = Sigmoid(EveryStep(), slope=slope, threshold=threshold)
    readout = _averaged(firing, population=True)
    return Loss(readout, Bounds(lower=least, power=1), reads="membrane", **options)
