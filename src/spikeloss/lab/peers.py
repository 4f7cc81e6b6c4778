"""What other packages call an objective: their name -> ours. The one table of it.

An entry says what `docs/catalogue.md`, `docs/parity.md` or the source of a preset says, no more:
values are the package's own only in `spikeloss.compat`.
"""

from typing import NamedTuple


class Peer(NamedTuple):
    """A name of another package, ours, and what differs."""

    package: str
    name: str
    ours: str
    note: str = ""


_EXACT = "spikeloss.compat.snntorch has it by that name"
PEERS = (
    *(
        Peer("snnTorch", f"{name}_loss", name, _EXACT)
        for name in (
            "ce_rate", "ce_count", "ce_max_membrane", "mse_count", "mse_membrane", "mse_temporal",
            "ce_temporal",
        )
    ),
    Peer("snnTorch", "l1_rate_sparsity", "count_l1", "it sums over the samples, times 1e-5"),
    Peer("BrainPy", "cross_entropy_loss", "cross_entropy", "spikeloss.compat.brainpy has it"),
    Peer("BrainPy", "CrossEntropyLoss", "cross_entropy", "spikeloss.compat.brainpy has it"),
    Peer("SpikingJelly", "spike_similar_loss", "spike_similarity", "without its cross-entropy"),
    Peer("lava-dl", "SpikeTime", "mse_trace", "it sums, with a kernel cut off after 100 steps"),
    Peer("lava-dl", "SpikeRate", "spike_rate", "it sums over samples and neurons"),
    Peer("lava-dl", "SpikeMax", "spikemax", "it has 1e-6 in the denominator alone"),
    Peer("lava-dl", "SpikeMoid", "spikemoid", "it has slope=1.0, threshold=0.0"),
    Peer("Rockpool", "PeakLoss", "peak", "its window repeats the peak after the record's end"),
    Peer("Rockpool", "BinaryPeakLoss", "binary_peak", "its mean is over fewer samples"),
    Peer("jaxsnn", "target_time_loss", "target_time"),
    Peer("KerasSpiking", "RangedRegularizer", "rate_bounds"),
    Peer("KerasSpiking", "Percentile", "rate_percentile"),
    Peer("Spyx", "integral_crossentropy", "integral_ce", "it has label_smoothing=0.3"),
    Peer("Spyx", "mse_spikerate", "spike_rate", "on is its sparsity; mse_count is T times as much"),
    Peer("Spyx", "silence_reg", "count_silence", "it sums over the neurons"),
    Peer("Spyx", "sparsity_reg", "count_sparsity", "it has Huber's function in place of a square"),
)  # fmt: skip


def known(name: str) -> list[Peer]:
    """The entries of a name, however it is capitalised, with its module or without."""
    last = name.strip().rsplit(".", 1)[-1].lower()
    return [peer for peer in PEERS if peer.name.lower() == last]


def elsewhere(ours: str) -> list[Peer]:
    """What others call an objective of ours."""
    return [peer for peer in PEERS if peer.ours == ours]


def said(peer: Peer) -> str:
    """An entry in words."""
    note = f" ({peer.note})" if peer.note else ""
    return f"{peer.name} is {peer.package}'s name for {peer.ours}{note}."
