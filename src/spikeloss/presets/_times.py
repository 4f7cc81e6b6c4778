"""Objectives of the first spike."""

from dataclasses import replace
from typing import Unpack

from spikeloss.criteria import CrossEntropy, EarlySpike, RelativeTime, TimeProximity
from spikeloss.extend import checked, number
from spikeloss.loss import Loss, Total
from spikeloss.readouts import FirstSpike, InterpolatedSpike, SoftCount
from spikeloss.targets import OnOffTime

from ._base import Options, preset

_TTFS = "the class that fires first"


@preset(
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


@preset(
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


@preset(source="mlGeNN, whose loss is half of this", decides=_TTFS)
def relative_ttfs_mse(*, delay: float = 10.0, **options: Unpack[Options]) -> Loss:
    """sum_(c != y) (t_c - t_y - d)^2, t the first spike, d = `delay`

    The right class should fire d steps before every other; when does not matter.
    """
    return Loss(FirstSpike(), RelativeTime(delay=delay), reads="spikes", **options)


@preset(
    source="J. Göltz et al. (2021); T. Wunderlich and C. Pehle, Event-based backpropagation can "
    "compute exact gradients for spiking neural networks (2021)",
    decides=_TTFS,
)
def ttfs_early_ce(
    *,
    tau: float = 1.0,
    early: float = 0.005,
    early_tau: float = 5.0,
    silent_delay: float = 0.0,
    **options: Unpack[Options],
) -> Total:
    """-log softmax(-t / tau)_y + a (exp(t_y / tau_e) - 1), t the first spike, a = `early`

    As `ttfs_ce`, but the right class should fire early too, not only before the others. `tau` and
    `early_tau` in steps; their ratio of 5 and a = 0.005 are those of the first source. Of a record
    whose few spikes have a steep surrogate it learns silence, as Yin-Yang shows among the published
    settings: take `ttfs_membrane_ce`, or times that are given, there.
    """
    early = checked("early", early, number(low=0.0))
    first = FirstSpike(silent_delay=silent_delay)
    hurry = Loss(first, EarlySpike(tau=early_tau), reads="spikes", **options)
    return ttfs_ce(tau=tau, silent_delay=silent_delay, **options) + early * hurry


@preset(
    source="that of `ttfs_early_ce`, for times as `readouts.InterpolatedSpike` has them",
    decides="the class whose membrane crosses the threshold first",
)
def ttfs_membrane_ce(
    *,
    tau: float = 1.0,
    early: float = 0.005,
    early_tau: float = 5.0,
    threshold: float = 1.0,
    silent_slope: float = 5.0,
    **options: Unpack[Options],
) -> Total:
    """-log softmax(-t / tau)_y + a (exp(t_y / tau_e) - 1), t when u first reaches h, a = `early`

    As `ttfs_early_ce`, where the output membranes do not reset and steps are coarse: a time lies
    between the steps, where the membrane crosses h, and has its true derivative. A neuron that
    stays below counts as n + s (h - max_t u_t), s = `silent_slope`, and so learns to cross. `tau`
    and `early_tau` in steps, `threshold` as that of the neurons.
    """
    early = checked("early", early, number(low=0.0))
    first = InterpolatedSpike(threshold=threshold, silent_slope=silent_slope)
    scaled = replace(first, code="negative", unit=tau)
    before = Loss(scaled, CrossEntropy(), reads="membrane", **options)
    return before + early * Loss(first, EarlySpike(tau=early_tau), reads="membrane", **options)


@preset(source="jaxsnn, event.loss.target_time_loss", decides=_TTFS)
def target_time(
    *, on: int = 0, off: int = -1, tau: float = 25.0, **options: Unpack[Options]
) -> Loss:
    """-log(1 + exp(-|t_c - d_c| / tau)), t the first spike, d = on for the right class, else off

    The right class should fire at step `on` and the others at `off` (negative: from the end); a
    spike is pulled the more the nearer it is, within about `tau` steps, and a far one hardly.
    """
    criterion = TimeProximity(tau=tau)
    return Loss(FirstSpike(), criterion, OnOffTime(on, off), reads="spikes", **options)


@preset(
    source="exact-snn, which could not be read: the formula is ours",
    decides="the class that fires most and first",
)
def rate_latency(
    *, count: int = 8, tau: float = 1.0, latency: float = 0.1, **options: Unpack[Options]
) -> Loss:
    """-log softmax(sum_k 1 / (1 + exp(-(n - t_k) / tau)) - a t_1)_y, a = `latency`

    The right class should fire often and early: its first `count` spikes t_k count, and every step
    before the first costs a.
    """
    readout = SoftCount(count=count, tau=tau, latency=latency)
    return Loss(readout, CrossEntropy(), reads="spikes", **options)
