"""What a training leaves behind: numbers and one sample's spikes, as plain values for JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples, and the accuracy on the test samples after it.

    Seconds are processor time, which does not grow when other programs want the machine too.
    """

    loss: float
    accuracy: float
    seconds: float
    objective_seconds: float


@dataclass(frozen=True)
class Sample:
    """One test sample seen by the trained network; spikes are pairs (step, neuron)."""

    label: int
    decision: int
    decision_step: int
    steps: int
    hidden_neurons: int
    hidden: list[list[int]]
    output: list[list[int]]
    membrane: list[list[float]]


@dataclass(frozen=True)
class Run:
    """One network, trained with one objective from one seed; measured on the test samples.

    `abstained` is the share of samples without a decision; `decision_step` is a mean over the
    others, None if there are none. `objective_share` is the share of the training time that went
    into the objective: its value, and its gradient with respect to the record.
    """

    objective: str
    seed: int
    accuracy: float
    abstained: float
    firing_rate: float
    hidden_rate: float
    decision_step: float | None
    seconds_per_epoch: float
    objective_share: float
    curve: tuple[Epoch, ...]
    sample: Sample

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The run that `as_dict` wrote."""
        curve = tuple(Epoch(**epoch) for epoch in values["curve"])
        return cls(**{**values, "curve": curve, "sample": Sample(**values["sample"])})
