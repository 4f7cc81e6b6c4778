"""Objectives of whole spike trains."""

from typing import Literal, Unpack

from spikeloss.criteria import CTC, EarthMover, InfoNCE, Similarity, SquaredError, Triplet
from spikeloss.loss import Loss
from spikeloss.readouts import FilteredTrace, MeanOverTime, Readout, WholeRecord
from spikeloss.targets import SpikeTrain

from ._base import HIGHEST, Unweighed, preset


@preset(
    source="M. van Rossum, A novel spike distance (2001); F. Zenke and S. Ganguli, SuperSpike "
    "(2018); lava-dl, slayer.loss.SpikeTime",
    decides=HIGHEST.format("mean trace"),
)
def mse_trace(*, tau: float = 5.0, order: int = 1, **options: Unpack[Unweighed]) -> Loss:
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
def ctc(*, blank: int = 0, **options: Unpack[Unweighed]) -> Loss:
    """-log sum_a prod_t softmax(x_t)_(a_t), over the alignments a of a label sequence

    Several labels should follow each other, at whatever times: labels (*B, L), filled up with -1;
    between them and where nothing is said the class `blank`.
    """
    return Loss(WholeRecord(), CTC(blank=blank), reads="either", **options)


@preset(source="SpikingJelly, functional.spike_similar_loss", decides="no class: compare records")
def spike_similarity(
    *,
    kernel: Literal["cosine", "sigmoid", "gaussian", "earth_mover"] = "cosine",
    scale: float = 1.0,
    power: Literal[1, 2] = 2,
    **options: Unpack[Unweighed],
) -> Loss:
    """mean_ij |k(x_i, x_j) - s_ij|^p, s_ij = 1 for equal labels, else 0; k a cosine, p = `power`

    Records of one class should be alike, step by step, and those of others not; no neuron stands
    for a class. It compares the samples of a batch with each other.
    """
    criterion = Similarity(kernel=kernel, scale=scale, power=power)
    return Loss(WholeRecord(), criterion, reads="spikes", **options)


@preset(
    source="M. Pabian, D. Rzepka and M. Pawlak, Supervised training of siamese spiking neural "
    "networks with earth mover's distance (2022), of which the abstract could be read",
    decides="no class: compare records",
)
def earth_mover(*, normalised: bool = True, **options: Unpack[Unweighed]) -> Loss:
    """mean_c sum_t |P_t,c - Q_t,c|, P_t = sum_(s <= t) x_s / sum_s x_s, Q that of the target

    The spikes of every neuron should be moved to those of a given train (T, *B, N): the loss is by
    how many steps, however far that is, where `mse_trace` sees no further than its kernel. Without
    `normalised` P and Q are counts, and spikes too many or too few cost the steps that are left.
    """
    criterion = EarthMover(normalised=normalised)
    return Loss(WholeRecord(), criterion, SpikeTrain(), reads="spikes", **options)


@preset(
    source="A. Hermans, L. Beyer and B. Leibe, In defense of the triplet loss for person "
    "re-identification (2017)",
    decides="no class: compare rates",
)
def triplet(
    *,
    margin: float = 0.2,
    distance: Literal["euclidean", "squared", "cosine", "earth_mover"] = "euclidean",
    **options: Unpack[Unweighed],
) -> Loss:
    """max(0, m + max_p d(r_i, r_p) - min_q d(r_i, r_q)), r the rates, m = `margin`; p of label y_i

    The rates of a layer should be nearer to those of all samples p of the same label than to any
    other q, by m, so that samples can be found by their `distance`. With "earth_mover" whole trains
    are compared, in steps.
    """
    criterion = Triplet(margin=margin, distance=distance)
    return Loss(_embedding(distance), criterion, reads="spikes", **options)


@preset(
    source="T. Chen et al., A simple framework for contrastive learning of visual representations "
    "(2020); P. Khosla et al., Supervised contrastive learning (2020)",
    decides="no class: compare rates",
)
def info_nce(
    *,
    temperature: float = 0.5,
    similarity: Literal["cosine", "product", "squared", "earth_mover"] = "cosine",
    **options: Unpack[Unweighed],
) -> Loss:
    """-mean_p log(exp(k(r_i, r_p) / T) / sum_(j != i) exp(k(r_i, r_j) / T)), r the rates

    Of all other samples those of the same label should be the most similar in their rates, k =
    `similarity`, T = `temperature`. Label two views of each sample by its number to learn without
    classes. With "earth_mover" whole trains are compared.
    """
    criterion = InfoNCE(temperature=temperature, similarity=similarity)
    return Loss(_embedding(similarity), criterion, reads="spikes", **options)


def _embedding(compared: str) -> Readout:
    """What samples are compared by."""
    return WholeRecord() if compared == "earth_mover" else MeanOverTime()
