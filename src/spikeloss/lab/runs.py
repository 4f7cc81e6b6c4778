"""What a training leaves behind: numbers and one sample's spikes, as plain values for JSON."""

from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Self, get_args, get_origin, get_type_hints


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

    def is_whole(self) -> bool:
        """Whether the parts are of one sample."""
        classes = len(self.membrane[0]) if self.membrane else 0
        return (
            len(self.membrane) == self.steps
            and all(len(row) == classes for row in self.membrane)
            and 0 <= self.label < classes
            and -1 <= self.decision < classes
            and -1 <= self.decision_step < self.steps
            and _inside(self.hidden, self.steps, self.hidden_neurons)
            and _inside(self.output, self.steps, classes)
        )


def _inside(spikes: list[list[int]], steps: int, neurons: int) -> bool:
    return all(
        len(spike) == 2 and 0 <= spike[0] < steps and 0 <= spike[1] < neurons for spike in spikes
    )


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
        """The run that `as_dict` wrote; ValueError for anything else."""
        run: Self = _typed(cls, values, "run")
        shares = {name: getattr(run, name) for name in SHARES}
        shares |= {f"epoch {i}": epoch.accuracy for i, epoch in enumerate(run.curve, 1)}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}")
        if not run.sample.is_whole() or not 0 <= run.seconds_per_epoch < 1e9:
            raise ValueError("its numbers do not fit together")
        return run


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
