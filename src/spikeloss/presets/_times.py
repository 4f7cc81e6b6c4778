"""Objectives of the first spike."""

from typing import Unpack

from spikeloss.criteria import CrossEntropy, RelativeTime
from spikeloss.loss import Loss
from spikeloss.readouts import FirstSpike

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
def relative_ttfs_mse(*, delay: float = 5.0, **options: Unpack[Options]) -> Loss:
    """sum_(c != y) (t_c - t_y - d)^2, t the first spike, d = `delay`

    The right class should fire d steps before every other; when does not matter.
    """
    return Loss(FirstSpike(), RelativeTime(delay=delay), reads="spikes", **options)
