"""Objectives of the membrane."""

from typing import Unpack

from spikeloss.criteria import CrossEntropy, Focal, Tempotron
from spikeloss.loss import Loss
from spikeloss.readouts import Count, CumulativeSoftmax, LastStep, LogSumExp, Maximum, WeightedSum
from spikeloss.readouts import Mean as MeanOverTime
from spikeloss.targets import OnOff

from ._base import HIGHEST, Options, preset


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
    return Loss(Count(), criterion, reads="membrane", **options)


@preset(
    source="T. Nowotny, J. Turner and J. Knight, Loss shaping enhances exact gradient learning "
    "with EventProp in spiking neural networks (2022); ml_genn",
    decides=HIGHEST.format("weighted sum of the membrane"),
)
def weighted_integral_ce(*, tau: float = 25.0, **options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t exp(-t / tau) u_t)_y

    As `integral_ce`, but early steps count for more. The paper weighs by the length of the record:
    make `tau`, in steps, as long.
    """
    return Loss(WeightedSum(tau=tau), CrossEntropy(), reads="membrane", **options)


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
