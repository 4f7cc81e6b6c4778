"""A stage in a loss, with a record and a target that the loss can take."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeloss._door import refuse, said
from spikeloss.criteria import CTC, Criterion, SquaredError
from spikeloss.loss import Loss, Total
from spikeloss.readouts import (
    Decided,
    EveryStep,
    FirstSpike,
    MeanOverTime,
    Readout,
    SpikeTimes,
    SumOverTime,
    WholeRecord,
)
from spikeloss.reductions import Reduction
from spikeloss.targets import Given, Target

T, B, N = 6, 3, 4
"""Steps, samples and neurons; no two are equal."""
REFUSAL = re.compile(r"[\w\[\]]+: expected .+, got .+\. .+", re.DOTALL)


def refused(error: Exception) -> bool:
    """Whether an error is one that a stage raises for what it does not take."""
    return isinstance(error, (TypeError, ValueError)) and bool(REFUSAL.fullmatch(str(error)))


@dataclass(frozen=True, eq=False)
class Subject:
    """A loss, with arrays of NumPy."""

    loss: Any
    record: Any
    target: Any
    told: str = ""
    """Beside which other stage it stands, where it is tried beside several."""
    slopes: bool = True
    """Whether its gradient is the derivative of its value."""

    @property
    def timeless(self) -> bool:
        return bool(self.loss.main.readout.timeless)

    @property
    def coupled(self) -> bool:
        """Whether it says that it compares samples."""
        losses = [loss for _, loss in self.loss.losses]
        return any(loss.readout.couples or loss.criterion.couples for loss in losses)

    def part(self, steps: slice = slice(None), samples: slice = slice(None)) -> "Subject":
        """Some steps of some samples."""
        x, y = self.record, self.target
        x = x[samples] if self.timeless else x[steps, samples]
        if self.stepwise:
            y = y[steps, samples]
        elif isinstance(y, np.ndarray) and y.shape[:1] == (self.batch,):
            y = y[samples]
        return replace(self, record=x, target=y)

    @property
    def batch(self) -> int:
        return int(self.record.shape[0 if self.timeless else 1])

    @property
    def stepwise(self) -> bool:
        """Whether there is a target for every step."""
        shape = () if self.target is None or self.timeless else self.target.shape
        return bool(shape[:2] == self.record.shape[:2] and len(shape) > 1)

    @property
    def with_each(self) -> bool:
        """Whether the target comes with every step of a stream."""
        return bool(self.loss.main.target.of_record)

    def value(self, library: Any, **options: Any) -> Any:
        """The loss in a library; arrays of NumPy among the options are converted."""
        return library.value(self.loss, self.record, {"target": self.target, **options})

    def slope(self, library: Any, **options: Any) -> tuple[Any, Any]:
        """The loss and its gradient."""
        found: tuple[Any, Any] = library.slope(
            self.loss, self.record, {"target": self.target, **options}
        )
        return found


def records(kind: str, neurons: int) -> Any:
    """Float64: "spikes" with amplitudes, "membrane", or "logits" (B, N)."""
    rng = np.random.default_rng(11)
    if kind == "spikes":
        x = (rng.random((T, B, neurons)) < 0.4) * rng.uniform(0.5, 1.5, (T, B, neurons))
        x[:, 0, 0] = 0  # a silent neuron
        return x
    shape = (B, neurons) if kind == "logits" else (T, B, neurons)
    return rng.normal(size=shape)


def targets(loss: Any, record: Any) -> Iterator[Any]:
    """What the loss may want to be given, the likeliest first."""
    main, rng = loss.main, np.random.default_rng(7)
    neurons = record.shape[-1]
    shape = main.readout.outline(record).shape
    labels = rng.permutation(max(B, main.target.classes or shape[-1]))[:B]
    labels %= main.target.classes or shape[-1]
    if all(each.criterion.targetless for _, each in loss.losses):
        yield None
    if main.target.of_record:
        yield records("spikes", neurons)[..., ::-1].copy()
    if loss.of_labels:
        yield labels
    if main.criterion.of_sequence:
        yield rng.integers(1, neurons, (B, 2))
    yield rng.uniform(0.05, 0.95, (B, shape[-1]))
    yield rng.integers(0, T - 2, (B, shape[-1]))


def subjects(
    stage: Any, libraries: list[Any], target: Any, reads: str | None, neurons: int
) -> list[Subject]:
    """The losses in which a stage is to be tried."""
    found: list[Subject] = []
    wrong: list[Exception] = []
    for loss, told, slopes in _losses(stage):
        made = _fitted(loss, libraries, target, reads, neurons)
        if isinstance(made, Exception):
            wrong.append(made)
        else:
            found.append(replace(made, told=told, slopes=slopes))
            if isinstance(stage, Target):
                break
    if not found:
        _unfit(wrong)
    return found


def _unfit(wrong: list[Exception]) -> None:
    """No loss with the stage could be called."""
    for error in wrong:
        if not refused(error):
            raise error
    fix = "Pass target=, reads= or neurons=, or check a Loss that has the stage."
    why = str(wrong[0]).rstrip(".")
    refuse("stage", "one that takes a record of the check", f"an error ({why})", fix)


def _losses(stage: Any) -> Iterator[tuple[Any, str, bool]]:
    """Losses that have the stage, what stands beside it, and whether gradients are derivatives."""
    if isinstance(stage, Loss | Total):
        yield stage.replace(layers=None), "", True
    elif isinstance(stage, Readout):
        yield _made(stage, CTC() if stage.keeps == "sequence" else SquaredError()), "", True
    elif isinstance(stage, Criterion):
        beside: tuple[Readout, ...] = (MeanOverTime(), EveryStep())
        if stage.of_sequence:
            beside = (WholeRecord(),)
        elif stage.of_sequence is None:
            beside = (MeanOverTime(), WholeRecord())
        elif stage.of_times:
            beside = (Decided(), FirstSpike())
        for readout in beside:
            yield _made(readout, stage), repr(readout), not isinstance(readout, FirstSpike)
    elif isinstance(stage, Target):
        several = (SpikeTimes(count=count) for count in (1, 2, 3))
        for readout in (MeanOverTime(), SumOverTime(), FirstSpike(), *several, EveryStep()):
            yield _made(readout, SquaredError(), stage), "", False
    elif isinstance(stage, Reduction):
        yield _made(MeanOverTime(), SquaredError(), Given(), stage), "", True
    else:
        fix = "Make one, as in check(MyReadout(tau=2.0))."
        refuse("stage", "a stage, a loss or a sum of losses", said(stage), fix, TypeError)


def _made(*stages: Any) -> Any:
    """A loss, or why there is none."""
    try:
        return Loss(*stages)
    except (TypeError, ValueError) as error:
        return error


def _fitted(
    loss: Any, libraries: list[Any], target: Any, reads: str | None, neurons: int
) -> Subject | Exception:
    """The loss with the first record and target that it takes, or why it takes none."""
    if isinstance(loss, Exception):
        return loss
    wrong: list[Exception] = []
    for kind in (reads,) if reads else _kinds(loss.main):
        record = records(kind, neurons)
        if loss.main.criterion.of_times and kind == "logits":
            record = np.abs(record) + np.arange(neurons)
        for y in targets(loss, record) if target is None else (np.asarray(target),):
            subject = Subject(loss, record, y)
            for library in libraries:
                try:
                    if np.all(np.isfinite(subject.value(library))):
                        return subject
                    wrong.append(ValueError("not finite"))
                except Exception as error:
                    wrong.append(error)
                    of_library = str(error).startswith("record: expected a")
                    if refused(error) and not of_library:
                        break
    return next((error for error in wrong if not refused(error)), wrong[0])


def _kinds(main: Loss) -> tuple[str, ...]:
    """The kinds of record that a loss may read."""
    if main.readout.timeless:
        return ("logits",)
    if main.reads != "either":
        return (main.reads,)
    spiking = main.readout.in_steps or main.readout.keeps == "spikes" or main.target.of_record
    return ("spikes",) if spiking else ("membrane", "spikes")
