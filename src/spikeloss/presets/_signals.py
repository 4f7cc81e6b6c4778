"""Objectives of numbers: signals, values, and several labels at once."""

from typing import Unpack

from spikeloss.criteria import BinaryCrossEntropy, LogCosh, SquaredError
from spikeloss.extend import checked, number
from spikeloss.loss import Loss
from spikeloss.readouts import EveryStep, MeanOverTime

from ._base import HIGHEST, Unweighed, preset

_HENKES = (
    "A. Henkes, J. Eshraghian and H. Wessels, Spiking neural networks for nonlinear regression "
    "(2024); snnTorch's tutorials of regression"
)


@preset(source=_HENKES, decides=HIGHEST.format("mean"))
def mse_signal(**options: Unpack[Unweighed]) -> Loss:
    """mean_t (u_t,c - y_t,c)^2

    The membranes should follow a signal (T, *B, C), or stay at the values (*B, C). To report it,
    `metrics.r2`.
    """
    return Loss(EveryStep(), SquaredError(), reads="membrane", **options)


@preset(
    source="P. Huber, Robust estimation of a location parameter (1964)",
    decides=HIGHEST.format("mean"),
)
def huber_signal(*, delta: float = 1.0, **options: Unpack[Unweighed]) -> Loss:
    """mean_t h(u_t,c - y_t,c), h(e) = e^2 where |e| <= d, else 2 d |e| - d^2, d = `delta`

    As `mse_signal`, but errors beyond d count no more than in proportion: for signals with
    outliers. Twice the Huber loss of torch.
    """
    delta = checked("delta", delta, number(above=0.0))
    return Loss(EveryStep(), SquaredError(delta=delta), reads="membrane", **options)


@preset(
    source="Q. Wang et al., A comprehensive survey of loss functions in machine learning (2022)",
    decides=HIGHEST.format("mean"),
)
def log_cosh_signal(*, delta: float = 1.0, **options: Unpack[Unweighed]) -> Loss:
    """mean_t d^2 log cosh((u_t,c - y_t,c) / d), d = `delta`

    As `huber_signal`, but smooth: half of the square near 0, d times the absolute error far from
    it.
    """
    return Loss(EveryStep(), LogCosh(delta=delta), reads="membrane", **options)


@preset(source="a form for rates of " + _HENKES, decides=HIGHEST.format("mean"))
def mse_mean(**options: Unpack[Unweighed]) -> Loss:
    """(sum_t x_t,c / n - y_c)^2

    The rate, or the mean membrane, of every neuron should be a given value (*B, C): one answer for
    the whole record. Rates lie between 0 and 1.
    """
    return Loss(MeanOverTime(), SquaredError(), reads="either", **options)


@preset(
    source="S. Shrestha et al., Spikemax: spike-based loss methods for classification (2022), of "
    "rates and one label",
    decides=HIGHEST.format("mean"),
)
def bce_mean(*, slope: float = 1.0, threshold: float = 0.0, **options: Unpack[Unweighed]) -> Loss:
    """-(y_c log p_c + (1 - y_c) log(1 - p_c)), p = 1 / (1 + exp(-k (z - h))), z = sum_t x_t / n

    Several labels at once: every class says yes or no by itself, whether its mean passes h =
    `threshold`; k = `slope`. The target (*B, C) has 1 for yes, 0 for no, or values between. For
    rates, h = 0.5 and k = 10 tell yes from no. To report it, `metrics.f1_score`.
    """
    criterion = BinaryCrossEntropy(slope=slope, threshold=threshold)
    return Loss(MeanOverTime(), criterion, reads="either", **options)
