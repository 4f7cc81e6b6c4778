"""What there is to know of a preset or a penalty. NumPy only."""

from typing import Any

from spikeloss import penalties
from spikeloss.criteria import Level
from spikeloss.loss import Loss, Total
from spikeloss.presets import Preset, catalogue

from .objectives import Objective, spelled

EXAMPLE = """\
import numpy as np
import spikeloss as sl

rng = np.random.default_rng(0)
{setup}

loss = sl.{module}.{name}()
print(loss({arguments}))     # the same call for torch tensors and JAX arrays"""
PREDICT = "\nprint(loss.predict({record}))"
RECORDS = {
    "spikes": "spikes = (rng.random((25, 4, 3)) < 0.2).astype(np.float32)  # (T, B, N)",
    "membrane": "membrane = rng.normal(size=(25, 4, 3))  # (T, B, N)",
    "logits": "logits = rng.normal(size=(4, 3))  # (B, C)",
}
TARGETS = {
    "labels": "labels = np.array([2, 0, 1, 1])",
    "teacher": "teacher = rng.normal(size=(4, 3))  # (B, C)",
    "wanted": "wanted = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0], [1, 0, 0]])  # (B, N)",
    "train": "train = (rng.random((25, 4, 3)) < 0.2).astype(np.float32)  # (T, B, N)",
    "sequences": "sequences = np.array([[1, 2], [2, -1], [1, 1], [2, 1]])  # (B, L)",
}


def overview() -> list[dict[str, str]]:
    """Every preset, then every penalty: name, what it reads, formula, how it decides, what it
    rewards, source.
    """
    return [_brief(preset) for preset in (catalogue() | penalties.catalogue()).values()]


def details(objective: Objective) -> dict[str, Any]:
    """Everything about one objective: also its stages, its options and an example that runs."""
    return {
        **_brief(objective.preset),
        "stages": _stages(objective.loss),
        "options": {name: repr(value) for name, value in objective.preset.options.items()},
        "example": _example(objective),
    }


def _stages(loss: Loss | Total) -> dict[str, str]:
    """The stages of a loss; of a sum those of the first, and the others in a line each."""
    main = loss.main
    stages = {name: repr(getattr(main, name)) for name in ("readout", "criterion", "target")}
    stages["reduction"] = repr(main.reduction)
    for index, (factor, term) in enumerate((1 * loss).terms[1:], 2):
        parts: list[Any] = [term.readout, term.criterion, term.target]
        if term.criterion.targetless:
            parts.pop()
        stages[f"term {index}"] = f"{spelled(factor)} * " + ", ".join(map(repr, parts))
    return stages


def _brief(preset: Preset) -> dict[str, str]:
    return {
        name: getattr(preset, name)
        for name in ("name", "reads", "formula", "decides", "summary", "source")
    }


def _example(objective: Objective) -> str:
    name, main = objective.preset.name, objective.loss.main
    record = "logits" if main.readout.timeless else objective.reads
    if main.criterion.targetless:
        return EXAMPLE.format(
            name=name, module="penalties", setup=RECORDS[record], arguments=record
        )
    given = _target(main)
    setup = f"{RECORDS[record]}\n{TARGETS[given]}"
    arguments = f"{record}, {given}"
    example = EXAMPLE.format(name=name, module="presets", setup=setup, arguments=arguments)
    decides = main.readout.keeps != "sequence"
    return example + (PREDICT.format(record=record) if decides else "")


def _target(loss: Loss) -> str:
    """What a loss wants to be given."""
    if loss.target.of_record:
        return "train"
    if loss.of_labels:
        return "labels"
    if loss.criterion.of_sequence:
        return "sequences"
    return "wanted" if isinstance(loss.criterion, Level) else "teacher"
