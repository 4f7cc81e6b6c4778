"""What other packages call an objective: their name -> ours. The one table of it.

An entry says what the pages of `docs/from` say, which are tested, in a few words.
"""

import difflib
from collections.abc import Iterable
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
    Peer("SpikingJelly", "temporal_efficient_training_cross_entropy", "ce_rate"),
    Peer("lava-dl", "SpikeTime", "mse_trace", "it is T times ours with reduction='sum'"),
    Peer("lava-dl", "SpikeRate", "spike_rate", "it sums; a window divides by its whole width"),
    Peer("lava-dl", "SpikeMax", "spikemax", "it sums, with 1e-6 in the denominator alone"),
    Peer("lava-dl", "SpikeMoid", "spikemoid", "it sums, with slope=1.0, threshold=0.0"),
    Peer("lava-dl", "SparsityEnforcer", "rate_bounds",
         "with population=True, batch=True; silent entries have no gradient there"),
    Peer("stork", "MaxOverTimeCrossEntropy", "ce_max_membrane"),
    Peer("stork", "SumOverTimeCrossEntropy", "integral_ce"),
    Peer("stork", "LastStepCrossEntropy", "ce_last_step"),
    Peer("stork", "MaxOverTimeFocalLoss", "focal_max_membrane",
         "it is ours / N, and starts at gamma=0.0"),
    Peer("stork", "MeanSquareError", "mse_signal"),
    *(
        Peer("stork", f"{bound}{power}", "count_bounds",
             f"with {option}, power={power}; dims=-1 is population=True")
        for bound, option in (("UpperBoundL", "upper"), ("LowerBoundL", "lower, upper=None"))
        for power in (1, 2)
    ),
    Peer("stork", "ActivityRegularizer", "count_bounds", "with lower=upper"),
    Peer("stork", "ActivityRegularizerL1", "count_bounds", "with lower=upper, power=1"),
    Peer("Norse", "spike_accumulator", "count_l1", "it sums over the samples"),
    Peer("Rockpool", "PeakLoss", "peak", "its window starts again at the peak after the end"),
    Peer("Rockpool", "BinaryPeakLoss", "binary_peak", "its mean is over fewer samples"),
    Peer("Rockpool", "MSELoss", "mse_signal"),
    Peer("jaxsnn", "target_time_loss", "target_time", "it sums over the neurons"),
    Peer("jaxsnn", "ttfs_loss", "ttfs_ce", "its sign is reversed"),
    Peer("KerasSpiking", "RangedRegularizer", "rate_bounds"),
    Peer("KerasSpiking", "Percentile", "rate_percentile"),
    Peer("Spyx", "integral_crossentropy", "integral_ce", "it has label_smoothing=0.3"),
    Peer("Spyx", "mse_spikerate", "spike_rate",
         "its target is sparsity * T: target=OnOff(0.25 * T)"),
    Peer("Spyx", "silence_reg", "count_silence", "it sums over neurons, and over steps"),
    Peer("Spyx", "sparsity_reg", "count_sparsity", "it sums Huber's function over samples"),
)  # fmt: skip


def known(name: str) -> list[Peer]:
    """The entries of a name, however it is capitalised, with its module or without."""
    last = name.strip().rsplit(".", 1)[-1].lower()
    return [peer for peer in PEERS if peer.name.lower() == last]


def meant(name: str, ours: Iterable[str]) -> str | None:
    """What a name that we do not have may mean, in words: one of ours, or what others call it."""
    others = {peer.name.lower(): peer for peer in PEERS}
    asked = name.rsplit(".", 1)[-1].replace("-", "_").lower()
    close = difflib.get_close_matches(asked, [*ours, *others], n=1)
    if not close:
        return None
    peer = others.get(close[0])
    return f"{peer.ours}, {peer.package}'s {peer.name}" if peer else close[0]


def elsewhere(ours: str) -> list[Peer]:
    """What others call an objective of ours."""
    return [peer for peer in PEERS if peer.ours == ours]


def said(peer: Peer) -> str:
    """An entry in words."""
    note = f" ({peer.note})" if peer.note else ""
    return f"{peer.name} is {peer.package}'s name for {peer.ours}{note}."
