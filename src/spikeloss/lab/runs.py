"""What a training leaves behind: numbers and one sample's spikes, as plain values for JSON."""

from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Self, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples, and the accuracy on the test samples after it.

    Seconds are processor time, which does not grow when other programs want the machine too. An
    accuracy is None where nobody measured it.
    """

    loss: float
    accuracy: float | None
    seconds: float
    objective_seconds: float


_MOST = 2**31  # neurons and steps: a picture's axes take no larger numbers


@dataclass(frozen=True)
class Sample:
    """One test sample seen by the trained network; spikes are pairs (step, neuron).

    `hidden` is of the last hidden layer, `neurons` are those of the output, some for each of the
    `classes`; lists of what the network does not give are empty.
    """

    label: int
    decision: int
    decision_step: int
    steps: int
    hidden_neurons: int
    hidden: list[list[int]]
    output: list[list[int]]
    membrane: list[list[float]]
    classes: int
    neurons: int

    def is_whole(self) -> bool:
        """Whether the parts are of one sample."""
        return (
            len(self.membrane) in (0, self.steps)
            and all(len(row) == self.neurons for row in self.membrane)
            and self.classes <= self.neurons <= _MOST
            and 0 <= self.hidden_neurons <= _MOST
            and self.steps <= _MOST
            and self.neurons % self.classes == 0
            and 0 <= self.label < self.classes
            and -1 <= self.decision < self.classes
            and -1 <= self.decision_step < self.steps
            and _inside(self.hidden, self.steps, self.hidden_neurons)
            and _inside(self.output, self.steps, self.neurons)
        )


def _inside(spikes: list[list[int]], steps: int, neurons: int) -> bool:
    return all(
        len(spike) == 2 and 0 <= spike[0] < steps and 0 <= spike[1] < neurons for spike in spikes
    )


@dataclass(frozen=True)
class Run:
    """One network, trained with one objective from one seed; measured on the test samples.

    `abstained` is the share of samples without a decision; `decision_step` is a mean over the
    others, `right_step` over those that are decided rightly, None if there are none.
    `accuracy_by_step` is the accuracy of what is decided from the steps up to each, `confusion`
    counts samples by label and decision, whose last column is no decision. Rates are spikes per
    neuron and valid step, `spikes_per_sample` of all layers; None where nothing spikes.
    `objective_share` is the share of the training time that went into the objective: its value,
    and its gradient with respect to the record.
    """

    objective: str
    seed: int
    reads: str
    accuracy: float
    abstained: float
    firing_rate: float | None
    hidden_rate: float | None
    spikes_per_sample: float | None
    decision_step: float | None
    right_step: float | None
    accuracy_by_step: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    seconds_per_epoch: float
    objective_share: float
    curve: tuple[Epoch, ...]
    sample: Sample

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The run that `as_dict` wrote; ValueError for anything else."""
        run: Self = _typed(cls, values, "run")
        shares = {name: getattr(run, name) for name in SHARES}
        shares |= {f"epoch {i}": epoch.accuracy for i, epoch in enumerate(run.curve, 1)}
        shares |= {f"step {i}": accuracy for i, accuracy in enumerate(run.accuracy_by_step)}
        for name, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}")
        if not run._fits():
            raise ValueError("its numbers do not fit together")
        return run

    def _fits(self) -> bool:
        """Whether the numbers are of one run."""
        classes = self.sample.classes
        return (
            classes > 0
            and self.sample.is_whole()
            and 0 <= self.seconds_per_epoch < 1e9
            and len(self.confusion) == classes
            and all(len(row) == classes + 1 and min(row) >= 0 for row in self.confusion)
        )


SHARES = ("accuracy", "abstained", "firing_rate", "hidden_rate", "objective_share")


def _typed(kind: Any, value: Any, name: str) -> Any:
    """A value of JSON as the type that a field has."""
    inner = get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        if lacking := hints.keys() - value:
            raise ValueError(f"{min(lacking)} is missing")
        return kind(**{key: _typed(hints[key], value[key], key) for key in hints})  # type: ignore[operator]
    if get_origin(kind) in (list, tuple) and isinstance(value, list):
        return get_origin(kind)(_typed(inner[0], item, name) for item in value)
    if type(None) in inner:
        return None if value is None else _typed(inner[0], value, name)
    if kind is float and type(value) in (int, float) and abs(value) < 1e300:
        return float(value)
    if type(value) is kind is not float:
        return value
    raise ValueError(f"{name} is no {getattr(kind, '__name__', kind)}")
