"""Objectives of the membrane."""

from collections.abc import Sequence
from typing import Literal, Unpack

from spikeloss.criteria import CrossEntropy, Deviation, Focal, Level, Tempotron
from spikeloss.extend import checked, number
from spikeloss.loss import Loss, Total
from spikeloss.readouts import (
    CumulativeSoftmax,
    EveryStep,
    LastStep,
    LogSumExp,
    Maximum,
    MeanOverTime,
    PeakWindow,
    SumOverTime,
    WeightedSum,
)
from spikeloss.reductions import Reduction, Word
from spikeloss.targets import Given, OnOff

from ._base import HIGHEST, MEAN, Options, Unweighed, preset


@preset(
    source="W. Fang et al., SpikingJelly: an open-source machine learning infrastructure platform "
    "for spike-based intelligence (2023)",
    decides=HIGHEST.format("mean"),
)
def ce_mean(**options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t x_t / n)_y

    The right class should have the highest rate, or mean membrane. Rates lie between 0 and 1, so
    that the softmax is never sure; on membranes it may be.
    """
    return Loss(MeanOverTime(), CrossEntropy(), reads="either", **options)


@preset(
    source="M. Rossbroich, J. Gygax and F. Zenke, Fluctuation-driven initialization for spiking "
    "neural network training (2022); stork",
    decides=HIGHEST.format("membrane at the last step"),
)
def ce_last_step(**options: Unpack[Options]) -> Loss:
    """-log softmax(u_(n-1))_y

    The membrane of the right class should be the highest at the end, whatever came before.
    """
    return Loss(LastStep(), CrossEntropy(), reads="membrane", **options)


@preset(
    source="a smooth form of the maximum over time of F. Zenke, SpyTorch (2019)",
    decides=HIGHEST.format("smooth maximum of the membrane"),
)
def ce_logsumexp(*, sharpness: float = 1.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(m)_y, m = log(sum_t exp(k u_t) / n) / k, k = `sharpness`

    The membrane of the right class should rise above the others; every step learns, the high ones
    most.
    """
    return Loss(LogSumExp(sharpness=sharpness), CrossEntropy(), reads="membrane", **options)


@preset(
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


@preset(
    source="T.-Y. Lin et al., Focal loss for dense object detection (2017); stork",
    decides=HIGHEST.format("membrane at any step"),
)
def focal_max_membrane(*, gamma: float = 2.0, **options: Unpack[Options]) -> Loss:
    """-(1 - p_y)^g log p_y, p = softmax(max_t u_t), g = `gamma`

    As `ce_max_membrane`, but samples that are right already count for less.
    """
    return Loss(Maximum(), Focal(gamma=gamma), reads="membrane", **options)


@preset(
    source="K. Heckel and T. Nowotny, Spyx: a library for just-in-time compiled optimization of "
    "spiking neural networks (2024)",
    decides=HIGHEST.format("sum of the membrane"),
)
def integral_ce(*, label_smoothing: float = 0.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t u_t)_y

    The membrane of the right class should be the highest over the whole record.
    """
    criterion = CrossEntropy(label_smoothing=label_smoothing)
    return Loss(SumOverTime(), criterion, reads="membrane", **options)


@preset(
    source="T. Nowotny, J. Turner and J. Knight, Loss shaping enhances exact gradient learning "
    "with EventProp in spiking neural networks (2022); mlGeNN",
    decides=HIGHEST.format("weighted sum of the membrane"),
)
def weighted_integral_ce(
    *,
    tau: float = 25.0,
    shape: Literal["exponential", "linear", "sigmoid"] = "exponential",
    **options: Unpack[Options],
) -> Loss:
    """-log softmax(sum_t w(t / tau) u_t)_y, w(s) = exp(-s)

    As `integral_ce`, but early steps count for more; by the `shape` of the weight "linear", max(0,
    1 - s), or "sigmoid", 1 / (1 + exp((s - 1/2) / 0.2)). The paper weighs by the length of the
    record, and divides by it: make `tau`, in steps, as long.
    """
    readout = WeightedSum(tau=tau, shape=shape)
    return Loss(readout, CrossEntropy(), reads="membrane", **options)


@preset(
    source="R. Gütig and H. Sompolinsky, The tempotron: a neuron that learns spike timing-based "
    "decisions (2006)",
    decides=HIGHEST.format("membrane at any step"),
)
def tempotron(*, threshold: float = 1.0, **options: Unpack[Options]) -> Loss:
    """max(0, h - m_c) for the right class, max(0, m_c - h) for the others, m = max_t u_t

    The membrane of the right class should reach the threshold h, and those of the others never.
    """
    return Loss(Maximum(), Tempotron(threshold=threshold), OnOff(), reads="membrane", **options)


@preset(
    source="S. Deng et al., Temporal efficient training of spiking neural network via gradient "
    "re-weighting (2022)",
    decides=HIGHEST.format("mean"),
)
def tet(
    *,
    share: float = 0.05,
    level: float = 1.0,
    reduction: Reduction | Word = MEAN,
    class_weight: Sequence[float] | None = None,
) -> Total:
    """mean_t ((1 - l) -log softmax(x_t)_y + l mean_c (x_t,c - v)^2), l = `share`, v = `level`

    Every step should decide rightly, and the outputs, of a last layer without spikes, stay near v,
    so that single steps do not run away. The authors take l from 0.001 to 0.05. Class weights are
    those of the cross-entropy.
    """
    share = checked("share", share, number(low=0.0, high=1.0))
    decide = Loss(EveryStep(), CrossEntropy(), Given(), reduction, class_weight)
    stay = Loss(EveryStep(), Deviation(level), reduction=reduction)
    return (1 - share) * decide + share * stay


_ROCKPOOL = "Rockpool, nn.losses.{}, whose window starts again at the peak after the record's end"


@preset(source=_ROCKPOOL.format("PeakLoss"), decides=HIGHEST.format("peak"))
def peak(
    *,
    width: int = 5,
    on: float = 1.0,
    off: float = 0.0,
    others: float = 1.0,
    **options: Unpack[Options],
) -> Total:
    """(p_y - on)^2 + w mean_t mean_(c != y) (u_t,c - off)^2, w = `others`

    p is the mean membrane in a window of `width` steps that starts at a neuron's maximum. The right
    class should reach the level `on` for that long, and the others stay at `off` at every step.
    """
    others = checked("others", others, number(low=0.0))
    reach = Loss(PeakWindow(width=width), Level(level=on), OnOff(), reads="membrane", **options)
    stay = Loss(EveryStep(), Level(level=off, others=True), OnOff(), reads="membrane", **options)
    return reach + others * stay


@preset(source=_ROCKPOOL.format("BinaryPeakLoss"), decides=HIGHEST.format("peak"))
def binary_peak(
    *,
    width: int = 5,
    on: float = 1.0,
    off: float = 0.0,
    others: float = 1.0,
    **options: Unpack[Unweighed],
) -> Total:
    """mean over c of y = 1: (p_c - on)^2; + w mean_t mean over c of y = 0: (u_t,c - off)^2

    As `peak`, for neurons that each detect something of their own: the target is 0 or 1 for every
    neuron, (*B, N). Rockpool divides by the samples with 1, or 0; here by all.
    """
    marked = peak(width=width, on=on, off=off, others=others, **options)
    return marked.replace(target=Given())
