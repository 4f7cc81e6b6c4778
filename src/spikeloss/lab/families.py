"""Which family an objective is of, read off its stages: one of the user's own has one too."""

from typing import Any

from spikeloss import readouts
from spikeloss.criteria import Distillation
from spikeloss.loss import Total
from spikeloss.presets import Preset

FAMILIES = {
    "count": "the number of spikes over the whole record",
    "rate": "spikes step by step, or their mean",
    "membrane": "the membrane potential",
    "time": "when neurons fire first",
    "train": "whole records: trains, traces, label sequences",
    "teacher": "the outputs of another network",
    "logits": "decisions without a time axis",
    "penalty": "no target: to be added to one of the others",
}
"""Every family, and what its objectives read or want."""
SUM = "sum"
"""A word beside the family, for those of several terms."""

_TIMES = (
    readouts.FirstSpike,
    readouts.SpikeTimes,
    readouts.InterpolatedSpike,
    readouts.SoftCount,
)


def family(preset: Preset) -> str:
    """The family of a preset or a penalty, by its first term."""
    main = preset.build().main
    readout = _inner(main.readout)
    if main.criterion.targetless:
        return "penalty"
    if isinstance(main.criterion, Distillation):
        return "teacher"
    if main.readout.keeps == "sequence" or main.target.of_record:
        return "train"
    if main.readout.timeless:
        return "logits"
    if isinstance(readout, _TIMES):
        return "time"
    if main.reads == "membrane":
        return "membrane"
    counts = isinstance(readout, readouts.SumOverTime | readouts.SpikeCount)
    return "count" if counts else "rate"


def words(preset: Preset) -> tuple[str, ...]:
    """The family, and whether it is a sum."""
    several = (SUM,) if isinstance(preset.build(), Total) else ()
    return (family(preset), *several)


def _inner(readout: Any) -> Any:
    """The readout inside populations, weights and means."""
    while getattr(readout, "of", None) is not None:
        readout = readout.of
    return readout
