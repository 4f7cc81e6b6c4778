"""The map of the library: every published loss as one expression of stages, with its source.

Every preset takes `reduction` and `class_weight`; `catalogue()` lists them all.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypedDict, Unpack

from .criteria import (
    BinaryCrossEntropy,
    CrossEntropy,
    Distillation,
    Focal,
    Margin,
    RateNLL,
    RelativeTime,
    SquaredError,
    Tempotron,
)
from .loss import Loss, Reads
from .readouts import (
    Code,
    Count,
    CumulativeSoftmax,
    Decided,
    EveryStep,
    FirstSpike,
    LastStep,
    LogSumExp,
    Maximum,
    MovingWindow,
    Population,
    Readout,
    SpikeTimes,
    WeightedSum,
)
from .readouts import Mean as MeanOverTime
from .reductions import Mean, Reduction
from .targets import OnOff, OnOffRate, OnOffTime


class Options(TypedDict, total=False):
    """What every preset takes."""

    reduction: Reduction
    class_weight: Sequence[float] | None


_BY_WEIGHTS = Options(reduction=Mean(over="weights"))


@dataclass(frozen=True)
class Preset:
    """A named objective: how to build it, and what to know of it."""

    name: str
    build: Callable[..., Loss]
    source: str
    decides: str

    @property
    def reads(self) -> Reads:
        """What the record should hold."""
        return self.build().reads

    @property
    def formula(self) -> str:
        """What is minimised, in symbols: the first paragraph of the docstring."""
        return self._paragraph(0)

    @property
    def summary(self) -> str:
        """What it rewards and when to use it: the second paragraph of the docstring."""
        return self._paragraph(1)

    def _paragraph(self, index: int) -> str:
        return " ".join((inspect.getdoc(self.build) or "").split("\n\n")[index].split())


_CATALOGUE: dict[str, Preset] = {}
_P = ParamSpec("_P")

_SNNTORCH = (
    "J. Eshraghian et al., Training spiking neural networks using lessons from deep learning "
    "(2023); snntorch.functional.{}"
)


def catalogue() -> dict[str, Preset]:
    """Every preset by its name."""
    return dict(_CATALOGUE)


def _preset(*, source: str, decides: str) -> Callable[[Callable[_P, Loss]], Callable[_P, Loss]]:
    """Put a function that builds a loss in the catalogue."""

    def add(build: Callable[_P, Loss]) -> Callable[_P, Loss]:
        _CATALOGUE[build.__name__] = Preset(build.__name__, build, source, decides)
        return build

    return add


def _pooled(readout: Readout, classes: int | None) -> Readout:
    """With `classes`, a population of neurons votes for each class."""
    return readout if classes is None else Population(readout, classes)


@_preset(source=_SNNTORCH.format("ce_rate_loss"), decides="the class with the highest rate")
def ce_rate(*, classes: int | None = None, **options: Unpack[Options]) -> Loss:
    """mean_t -log softmax(s_t)_y

    The right class should fire at every step and the others never. `classes`: population code, N
    neurons in as many equal groups, summed at each step.
    """
    return Loss(_pooled(EveryStep(), classes), CrossEntropy(), reads="spikes", **options)


@_preset(source=_SNNTORCH.format("ce_count_loss"), decides="the class with the most spikes")
def ce_count(*, classes: int | None = None, **options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t s_t)_y

    The right class should fire more often than the others over the whole record; when does not
    matter. `classes`: population code, N neurons in as many equal groups.
    """
    return Loss(_pooled(Count(), classes), CrossEntropy(), reads="spikes", **options)


@_preset(
    source="F. Zenke, SpyTorch (2018); snntorch.functional.ce_max_membrane_loss",
    decides="the class with the highest membrane at any step",
)
def ce_max_membrane(**options: Unpack[Options]) -> Loss:
    """-log softmax(max_t u_t)_y

    The membrane of the right class should rise above the others at some step.
    """
    return Loss(Maximum(), CrossEntropy(), reads="membrane", **options)


@_preset(
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
        _pooled(Count(), classes),
        SquaredError(steps_power=1),
        OnOffRate(on, off),
        reads="spikes",
        **options,
    )


@_preset(
    source=_SNNTORCH.format("mse_membrane_loss"),
    decides="the class with the highest mean membrane",
)
def mse_membrane(*, on: float = 1.0, off: float = 0.0, **options: Unpack[Options]) -> Loss:
    """mean_t (u_t,c - v_c)^2, v = on for the right class, else off

    The membranes should stay at given values, or follow per-step labels (T, *B). For membrane
    traces as targets: `mse_membrane().replace(target=Given())`.
    """
    return Loss(EveryStep(), SquaredError(), OnOff(on, off), reads="membrane", **options)


@_preset(source=_SNNTORCH.format("mse_temporal_loss"), decides="the class that fires first")
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


@_preset(source=_SNNTORCH.format("ce_temporal_loss"), decides="the class that fires first")
def ce_temporal(*, code: Code = "negative", **options: Unpack[Options]) -> Loss:
    """-log softmax(-t)_y, t the first spike; with code="reciprocal" of 1/(t + 1)

    The right class should fire before the others. With class weights the mean is over the weights.
    """
    return Loss(
        FirstSpike(code=code),
        CrossEntropy(),
        reads="spikes",
        **(_BY_WEIGHTS | options),
    )


@_preset(
    source="brainpy.losses.cross_entropy_loss; torch.nn.functional.cross_entropy",
    decides="the class with the largest logit",
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
        **(_BY_WEIGHTS | options),
    )


_HIGHEST = "the class with the highest {}"


@_preset(
    source="W. Fang et al., SpikingJelly: an open-source machine learning infrastructure platform "
    "for spike-based intelligence (2023)",
    decides=_HIGHEST.format("mean"),
)
def ce_mean(**options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t x_t / n)_y

    The right class should have the highest rate, or mean membrane. Rates lie between 0 and 1, so
    that the softmax is never sure; on membranes it may be.
    """
    return Loss(MeanOverTime(), CrossEntropy(), reads="either", **options)


@_preset(
    source="M. Rossbroich, J. Gygax and F. Zenke, Fluctuation-driven initialization for spiking "
    "neural network training (2022); stork",
    decides=_HIGHEST.format("membrane at the last step"),
)
def ce_last_step(**options: Unpack[Options]) -> Loss:
    """-log softmax(u_(n-1))_y

    The membrane of the right class should be the highest at the end, whatever came before.
    """
    return Loss(LastStep(), CrossEntropy(), reads="membrane", **options)


@_preset(
    source="a smooth form of the maximum over time of F. Zenke, SpyTorch (2018)",
    decides=_HIGHEST.format("smooth maximum of the membrane"),
)
def ce_logsumexp(*, sharpness: float = 1.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(m)_y, m = log(sum_t exp(k u_t) / n) / k, k = `sharpness`

    The membrane of the right class should rise above the others; every step learns, the high ones
    most.
    """
    return Loss(LogSumExp(sharpness=sharpness), CrossEntropy(), reads="membrane", **options)


@_preset(
    source="A. Bittar and P. Garner, A surrogate gradient spiking baseline for speech command "
    "recognition (2022); sparch",
    decides="the class with the most votes",
)
def ce_sum_softmax(**options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t softmax(u_t))_y

    Every step casts one vote, shared among the classes by their membranes; the right class should
    get most of the votes.
    """
    return Loss(CumulativeSoftmax(), CrossEntropy(), reads="membrane", **options)


@_preset(
    source="T.-Y. Lin et al., Focal loss for dense object detection (2017); stork",
    decides=_HIGHEST.format("membrane at any step"),
)
def focal_max_membrane(*, gamma: float = 2.0, **options: Unpack[Options]) -> Loss:
    """-(1 - p_y)^g log p_y, p = softmax(max_t u_t), g = `gamma`

    As `ce_max_membrane`, but samples that are right already count for less.
    """
    return Loss(Maximum(), Focal(gamma=gamma), reads="membrane", **options)


@_preset(
    source="K. Heckel and T. Nowotny, Spyx: a library for just-in-time compiled optimization of "
    "spiking neural networks (2024)",
    decides=_HIGHEST.format("sum of the membrane"),
)
def integral_ce(*, label_smoothing: float = 0.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t u_t)_y

    The membrane of the right class should be the highest over the whole record.
    """
    criterion = CrossEntropy(label_smoothing=label_smoothing)
    return Loss(Count(), criterion, reads="membrane", **options)


@_preset(
    source="T. Nowotny, J. Turner and J. Knight, Loss shaping enhances exact gradient learning "
    "with EventProp in spiking neural networks (2022); ml_genn",
    decides=_HIGHEST.format("weighted sum of the membrane"),
)
def weighted_integral_ce(*, tau: float = 25.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t exp(-t / tau) u_t)_y

    As `integral_ce`, but early steps count for more. The paper weighs by the length of the record:
    make `tau`, in steps, as long.
    """
    return Loss(WeightedSum(tau=tau), CrossEntropy(), reads="membrane", **options)


_SPIKEMAX = (
    "S. Shrestha et al., Spikemax: spike-based loss methods for classification (2022); lava-dl"
)


def _rate(width: int | None) -> Readout:
    """The rate over the whole record, or at every step over the last steps."""
    return MeanOverTime() if width is None else MovingWindow(width=width)


@_preset(source=_SPIKEMAX, decides="the class with the highest rate")
def spike_rate(
    *, on: float = 1.0, off: float = 0.0, width: int | None = None, **options: Unpack[Options]
) -> Loss:
    """(r_c - v_c)^2, r the rate, v = on for the right class, else off

    The right class should fire at the rate `on` and the others at `off`, in spikes per step. With
    `width` rates are those of the last so many steps, at every step.
    """
    return Loss(_rate(width), SquaredError(), OnOffRate(on, off), reads="spikes", **options)


@_preset(source=_SPIKEMAX, decides="the class with the highest rate")
def spikemax(
    *, width: int | None = None, epsilon: float = 1e-3, **options: Unpack[Options]
) -> Loss:
    """-log((r_y + e) / (sum_c r_c + C e)), r the rate, e = `epsilon`

    The right class should fire most of all spikes. Finite where it is silent. With `width` rates
    are those of the last so many steps, at every step.
    """
    return Loss(_rate(width), RateNLL(epsilon=epsilon), reads="spikes", **options)


@_preset(source=_SPIKEMAX, decides="the class with the highest rate")
def spikemoid(
    *,
    width: int | None = None,
    slope: float = 1.0,
    threshold: float = 0.5,
    **options: Unpack[Options],
) -> Loss:
    """-log p_y - sum_(c != y) log(1 - p_c), p = 1 / (1 + exp(-k (r - h))), r the rate; mean over c

    Every class decides by itself whether its rate passes h = `threshold`; k = `slope`. For several
    labels at once, 0 or 1 for each class: `spikemoid().replace(target=Given())`.
    """
    criterion = BinaryCrossEntropy(slope=slope, threshold=threshold)
    return Loss(_rate(width), criterion, OnOff(), reads="spikes", **options)


_TTFS = "the class that fires first"


@_preset(
    source="J. Göltz et al., Fast and energy-efficient neuromorphic deep learning with first-spike "
    "times (2021)",
    decides=_TTFS,
)
def ttfs_ce(*, tau: float = 1.0, silent_delay: float = 0.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(-t / tau)_y, t the first spike

    The right class should fire before the others; `tau`, in steps, says by how much: the larger,
    the earlier. `silent_delay`: how many steps after the last one silence counts as a spike.
    """
    readout = FirstSpike(code="negative", unit=tau, silent_delay=silent_delay)
    return Loss(readout, CrossEntropy(), reads="spikes", **options)


@_preset(
    source="H. Mostafa, Supervised learning based on temporal coding in spiking neural networks "
    "(2017)",
    decides=_TTFS,
)
def ttfs_z_ce(*, tau: float = 10.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(-exp(t / tau))_y, t the first spike

    The right class should fire before the others, in the variable in which the spike times of
    non-leaky neurons are linear; late differences count for more. `tau` in steps.
    """
    readout = FirstSpike(code="exponential", unit=tau)
    return Loss(readout, CrossEntropy(), reads="spikes", **options)


@_preset(
    source="ml_genn; J. Turner, J. Knight, A. Subramanian and T. Nowotny (2022)", decides=_TTFS
)
def relative_ttfs_mse(*, delay: float = 5.0, **options: Unpack[Options]) -> Loss:
    """sum_(c != y) (t_c - t_y - d)^2, t the first spike, d = `delay`

    The right class should fire d steps before every other; when does not matter.
    """
    return Loss(FirstSpike(), RelativeTime(delay=delay), reads="spikes", **options)


@_preset(
    source="R. Gütig and H. Sompolinsky, The tempotron: a neuron that learns spike timing-based "
    "decisions (2006)",
    decides=_HIGHEST.format("membrane at any step"),
)
def tempotron(*, threshold: float = 1.0, **options: Unpack[Options]) -> Loss:
    """max(0, h - m_c) for the right class, max(0, m_c - h) for the others, m = max_t u_t

    The membrane of the right class should reach the threshold h, and those of the others never.
    """
    return Loss(Maximum(), Tempotron(threshold=threshold), OnOff(), reads="membrane", **options)


@_preset(
    source="K. Crammer and Y. Singer, On the algorithmic implementation of multiclass kernel-based "
    "vector machines (2001)",
    decides="the class with the most spikes",
)
def margin_count(*, margin: float = 1.0, power: int = 1, **options: Unpack[Options]) -> Loss:
    """sum_(c != y) max(0, m - z_y + z_c)^p / C, z = sum_t s_t, m = `margin`, p = `power`

    The right class should fire m spikes more than every other; more than that is not rewarded.
    """
    return Loss(Count(), Margin(margin=margin, power=power), reads="spikes", **options)


_HINTON = "G. Hinton, O. Vinyals and J. Dean, Distilling the knowledge in a neural network (2015)"


@_preset(source=_HINTON, decides=_HIGHEST.format("mean"))
def kd_logits(*, temperature: float = 1.0, **options: Unpack[Options]) -> Loss:
    """T^2 KL(softmax(y / T) | softmax(z / T)), z = sum_t x_t / n, T = `temperature`

    The mean over time should decide as a teacher does, whose logits (*B, C) are the target.
    """
    criterion = Distillation(temperature=temperature)
    return Loss(MeanOverTime(), criterion, reads="either", **options)


@_preset(source=_HINTON, decides=_HIGHEST.format("mean"))
def kd_steps(*, temperature: float = 1.0, **options: Unpack[Options]) -> Loss:
    """mean_t T^2 KL(softmax(y_t / T) | softmax(x_t / T)), T = `temperature`

    Every step should decide as a teacher does, whose logits (T, *B, C), or (*B, C) for all steps,
    are the target.
    """
    return Loss(EveryStep(), Distillation(temperature=temperature), reads="either", **options)
