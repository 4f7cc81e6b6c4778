"""The objectives that are timed, their data, and ours in every library."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spikeloss import Loss, presets
from spikeloss.criteria import SquaredError
from spikeloss.readouts import MeanOverTime, Population
from spikeloss.targets import OnOff


class Size(NamedTuple):
    """Steps, samples, output neurons of a record, and classes."""

    steps: int
    batch: int
    neurons: int
    classes: int

    @property
    def pooled(self) -> bool:
        """Whether several neurons vote for a class."""
        return self.classes != self.neurons


SMALL, MIDDLE, LARGE = Size(25, 128, 10, 10), Size(250, 256, 35, 35), Size(1000, 256, 35, 35)
THIN, WIDE = Size(10000, 4, 3, 3), Size(100, 64, 700, 10)
SIZES = (SMALL, MIDDLE, Size(100, 128, 20, 20), WIDE, THIN, LARGE)
BASE = Size(100, 64, 20, 20)
SWEEPS = {
    "steps": tuple(BASE._replace(steps=steps) for steps in (10, 100, 1000)),
    "batch": tuple(BASE._replace(batch=batch) for batch in (8, 64, 512)),
    "neurons": tuple(BASE._replace(neurons=n, classes=n) for n in (5, 20, 80, 320)),
}
"""How the cost grows; `BASE` is one of each."""
GROWING = tuple(dict.fromkeys(size for sizes in SWEEPS.values() for size in sizes))


@dataclass(frozen=True)
class Objective:
    """A loss that is timed, and what its rows stand for."""

    loss: Loss
    family: str
    """The column of the goals."""
    pool: str | None = "mean"
    """How a population votes; None where it has none."""
    train: bool = False
    """Whether the target is a record of spikes."""

    def of(self, size: Size) -> Loss:
        """The loss of a record of this size."""
        if not size.pooled:
            return self.loss
        return self.loss.replace(readout=Population(self.loss.readout, size.classes, self.pool))

    def has(self, size: Size) -> bool:
        return self.pool is not None or not size.pooled


CE, SE, MAXIMUM, FIRST, TRACE, SUM, DECIDED = (
    "every-step CE", "every-step SE", "maximum CE", "first spike", "van Rossum", "sums", "logits",
)  # fmt: skip
OBJECTIVES = {
    "ce_rate": Objective(presets.ce_rate(), CE, "sum"),
    "mse_membrane": Objective(presets.mse_membrane(), SE),
    "ce_max_membrane": Objective(presets.ce_max_membrane(), MAXIMUM),
    "ce_temporal": Objective(presets.ce_temporal(), FIRST),
    "mse_temporal": Objective(presets.mse_temporal(), FIRST),
    "mse_trace": Objective(presets.mse_trace(), TRACE, None, train=True),
    "ce_count": Objective(presets.ce_count(), SUM, "sum"),
    "mse_count": Objective(presets.mse_count(), SUM, "sum"),
    "ce_mean": Objective(presets.ce_mean(), SUM),
    "mse_mean": Objective(Loss(MeanOverTime(), SquaredError(), OnOff(), reads="spikes"), SUM),
    "cross_entropy": Objective(presets.cross_entropy(), DECIDED, None),
}


class Data(NamedTuple):
    """A record, its target, and lengths drawn uniformly from 1 to all steps."""

    record: np.ndarray
    target: np.ndarray
    lengths: np.ndarray | None


def data(name: str, size: Size) -> Data:
    """Spikes with probability 0.2, or normal membranes; labels, or a train.

    `cross_entropy` has no time axis: its logits are as many as the record has steps and samples.
    """
    rng = np.random.default_rng(0)
    shape = size[:3]
    if name == "cross_entropy":
        rows = size.steps * size.batch
        logits = rng.normal(size=(rows, size.neurons)).astype(np.float32)
        return Data(logits, rng.integers(0, size.classes, rows), None)
    spikes = OBJECTIVES[name].loss.reads == "spikes"
    record = rng.random(shape) < 0.2 if spikes else rng.normal(size=shape)
    target = rng.integers(0, size.classes, size.batch)
    if OBJECTIVES[name].train:
        target = (rng.random(shape) < 0.2).astype(np.float32)
    lengths = rng.integers(1, size.steps + 1, size.batch)
    return Data(record.astype(np.float32), target, lengths)


def ours(name: str, size: Size, lengths: Any = None) -> Callable[[Any, Any], Any]:
    """A call of the loss; a function of its own each time, which no compiler takes for another."""
    loss = OBJECTIVES[name].of(size)
    if lengths is None:
        return lambda record, target: loss(record, target)
    return lambda record, target: loss(record, target, lengths=lengths)
