"""Objectives of whole spike trains."""

from typing import Literal, Unpack

from spikeloss.criteria import CTC, Similarity, SquaredError
from spikeloss.loss import Loss
from spikeloss.readouts import FilteredTrace, WholeRecord
from spikeloss.targets import SpikeTrain

from ._base import HIGHEST, Options, preset


@preset(
    source="M. van Rossum, A novel spike distance (2001); F. Zenke and S. Ganguli, SuperSpike "
    "(2018); lava-dl, slayer.loss.SpikeTime",
    decides=HIGHEST.format("mean trace"),
)
def mse_trace(*, tau: float = 5.0, order: int = 1, **options: Unpack[Options]) -> Loss:
    """mean_t (f_t(s) - f_t(y))^2, f_t(s) = sum_(k <= t) exp(-(t - k) / tau) s_k

    The spike train of every neuron should be a given one, (T, *B, N), give or take about `tau`
    steps; with `order` 2 or more the kernel is smoother. The loss that van Rossum's distance became
    in SuperSpike and lava-dl's SpikeTime: a mean over steps and neurons, without the 1 / tau of
    `distances.van_rossum`; lava-dl sums, with a kernel cut off after 100 steps.
    """
    readout = FilteredTrace(tau=tau, order=order)
    return Loss(readout, SquaredError(), SpikeTrain(), reads="spikes", **options)


@preset(
    source="A. Graves et al., Connectionist temporal classification: labelling unsegmented "
    "sequence data with recurrent neural networks (2006)",
    decides="no class: decode the sequence",
)
def ctc(*, blank: int = 0, **options: Unpack[Options]) -> Loss:
    """-log sum_a prod_t softmax(x_t)_(a_t), over the alignments a of a label sequence

    Several labels should follow each other, at whatever times: labels (*B, L), filled up with -1;
    between them and where nothing is said the class `blank`.
    """
    return Loss(WholeRecord(), CTC(blank=blank), reads="either", **options)


@preset(source="SpikingJelly, functional.spike_similar_loss", decides="no class: compare records")
def spike_similarity(
    *,
    kernel: Literal["cosine", "sigmoid", "gaussian"] = "cosine",
    scale: float = 1.0,
    power: Literal[1, 2] = 2,
    **options: Unpack[Options],
) -> Loss:
    """mean_ij |k(x_i, x_j) - s_ij|^p, s_ij = 1 for equal labels, else 0; k a cosine, p = `power`

    Records of one class should be alike, step by step, and those of others not; no neuron stands
    for a class. It compares the samples of a batch with each other.
    """
    criterion = Similarity(kernel=kernel, scale=scale, power=power)
    return Loss(WholeRecord(), criterion, reads="spikes", **options)
