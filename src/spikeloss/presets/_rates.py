"""Objectives of counts and rates."""

from typing import Unpack

from spikeloss.criteria import (
    BinaryCrossEntropy,
    CountEntropy,
    DesiredCount,
    Margin,
    RateNLL,
    SquaredError,
)
from spikeloss.loss import Loss
from spikeloss.readouts import SpikeCount, SumOverTime
from spikeloss.targets import OnOff, OnOffRate

from ._base import Options, preset, rate

_SPIKEMAX = (
    "S. Shrestha et al., Spikemax: spike-based loss methods for classification (2022); lava-dl"
)


@preset(source=_SPIKEMAX, decides="the class with the highest rate")
def spike_rate(
    *, on: float = 1.0, off: float = 0.0, width: int | None = None, **options: Unpack[Options]
) -> Loss:
    """(r_c - v_c)^2, r the rate, v = on for the right class, else off

    The right class should fire at the rate `on` and the others at `off`, in spikes per step. With
    `width` rates are those of the last so many steps, at every step. lava-dl sums over samples and
    neurons, and divides by the width at the first steps too.
    """
    return Loss(rate(width), SquaredError(), OnOffRate(on, off), reads="spikes", **options)


@preset(source=_SPIKEMAX, decides="the class with the highest rate")
def spikemax(
    *, width: int | None = None, epsilon: float = 0.01, **options: Unpack[Options]
) -> Loss:
    """-log((r_y + e) / (sum_c r_c + C e)), r the rate, e = `epsilon`

    The right class should fire most of all spikes. Finite where it is silent; lava-dl has 1e-6 in
    the denominator alone. With `width` rates are those of the last so many steps, at every step.
    """
    return Loss(rate(width), RateNLL(epsilon=epsilon), reads="spikes", **options)


@preset(source=_SPIKEMAX, decides="the class with the highest rate")
def spikemoid(
    *,
    width: int | None = None,
    slope: float = 10.0,
    threshold: float = 0.5,
    **options: Unpack[Options],
) -> Loss:
    """-log p_y - sum_(c != y) log(1 - p_c), p = 1 / (1 + exp(-k (r - h))), r the rate; mean over c

    Every class decides by itself whether its rate passes h = `threshold`; k = `slope`. For several
    labels at once, 0 or 1 for each class: `spikemoid().replace(target=Given())`. lava-dl has k = 1
    and h = 0; rates from 0 to 1 then hardly tell p from 1/2.
    """
    criterion = BinaryCrossEntropy(slope=slope, threshold=threshold)
    return Loss(rate(width), criterion, OnOff(), reads="spikes", **options)


@preset(
    source="J. Weston and C. Watkins, Support vector machines for multi-class pattern recognition "
    "(1999)",
    decides="the class with the most spikes",
)
def margin_count(*, margin: float = 1.0, power: int = 1, **options: Unpack[Options]) -> Loss:
    """sum_(c != y) max(0, m - z_y + z_c)^p / C, z = sum_t s_t, m = `margin`, p = `power`

    The right class should fire m spikes more than every other; more than that is not rewarded.
    """
    return Loss(SumOverTime(), Margin(margin=margin, power=power), reads="spikes", **options)


_ZHU = (
    "Y. Zhu et al., Exploring loss functions for time-based training strategy in spiking neural "
    "networks (2023), by the authors' code"
)


@preset(source=_ZHU, decides="the class with the most spikes")
def count_plus(
    *,
    desired: float = 10.0,
    undesired: float = 1.0,
    balance: float | None = 10.0,
    shared: bool = True,
    **options: Unpack[Options],
) -> Loss:
    """sum_c e_c^2 / (2 n), e_y = min(0, z_y - d), e_c = max(0, z_c - u), z = sum_t s_t

    The right class should fire d = `desired` spikes or more, the others u = `undesired` or fewer.
    The derivative goes to spikes alone, e_c / (n z_c) each, with shared=False e_c / n, as the
    source's "count" has it; that of the right class is larger while all wrong ones of the batch
    fire more than `balance` times as many, None: never. The source's sign is that of spike times. A
    silent neuron learns nothing from it: for networks that learn by spike times, as the source's.
    """
    criterion = DesiredCount(desired=desired, undesired=undesired, balance=balance)
    return Loss(SpikeCount(shared=shared), criterion, reads="spikes", **options)


@preset(source=_ZHU, decides="the class with the most spikes")
def ce_plus(*, silent: float = -20.0, **options: Unpack[Options]) -> Loss:
    """-(n / 2) log softmax(v)_y, v_c = 2 z_c / n, z = sum_t s_t, v_c = `silent` where z_c = 0

    The right class should fire most. The derivative goes to spikes alone, (n / 2) (p_c - q_c) / z_c
    each, p = softmax(v) and q one-hot; to none where the right class is silent. The source's sign
    is that of spike times. For networks that learn by those, as `count_plus`.
    """
    return Loss(SpikeCount(shared=True), CountEntropy(silent=silent), reads="spikes", **options)
