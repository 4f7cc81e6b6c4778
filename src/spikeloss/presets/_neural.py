"""Objectives of recorded activity: what neurons of a brain did."""

from typing import Unpack

from spikeloss.criteria import PoissonNLL, SquaredError, ZeroInflatedPoisson
from spikeloss.extend import checked, number
from spikeloss.loss import Loss
from spikeloss.readouts import EveryStep
from spikeloss.targets import NearestSpike

from ._base import HIGHEST, Unweighed, preset


@preset(
    source="W. Truccolo et al., A point process framework for relating neural spiking activity to "
    "spiking history, neural ensemble, and extrinsic covariate effects (2005); with zeros D. "
    "Lambert, Zero-inflated Poisson regression (1992), which could not be read",
    decides=HIGHEST.format("mean log rate"),
)
def poisson_steps(*, zeros: float = 0.0, **options: Unpack[Unweighed]) -> Loss:
    """mean_t (exp(u_t,c) - y_t,c u_t,c), u log rates; with zeros z: -log(z [y = 0] + (1 - z) P(y))

    The membranes should be the logarithms of the rates, in spikes per step, at which recorded
    neurons fired counts (T, *B, C). With `zeros` a neuron is silent by that probability whatever
    its rate. To report it, `metrics.bits_per_spike`.
    """
    share = checked("zeros", zeros, number(low=0.0, high=1.0))
    criterion = ZeroInflatedPoisson(share=share) if share else PoissonNLL()
    return Loss(EveryStep(), criterion, reads="membrane", **options)


@preset(
    source="K. Doran et al., Spike distance function as a learning objective for spike prediction "
    "(2024); by the authors' code",
    decides=HIGHEST.format("mean"),
)
def nearest_spike(
    *, limit: float = 200.0, logarithm: bool = True, **options: Unpack[Unweighed]
) -> Loss:
    """mean_t (u_t,c - log d_t,c)^2, d the steps to the nearest spike, at most `limit`, 1/4 at one

    The membranes should say how far the nearest recorded spike is, before or after, so that spikes
    are where they are lowest: sharper in time than a rate. The target is spikes (T, *B, C). The
    authors cut off at 200 ms; without `logarithm` it is d itself.
    """
    target = NearestSpike(limit=limit, logarithm=logarithm)
    return Loss(EveryStep(), SquaredError(), target, reads="membrane", **options)
