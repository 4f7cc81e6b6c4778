"""What there is to know of a preset. NumPy only."""

import inspect
from typing import Any

from spikeloss.presets import Preset, catalogue

from .objectives import Objective

EXAMPLE = """\
import numpy as np
import spikeloss as sl

rng = np.random.default_rng(0)
{record}
{target}

loss = sl.presets.{name}()
print(loss({argument}, {given}))     # the same call for torch tensors and JAX arrays
print(loss.predict({argument}))"""
RECORDS = {
    "spikes": "spikes = (rng.random((25, 4, 3)) < 0.2).astype(np.float32)  # (T, B, N)",
    "membrane": "membrane = rng.normal(size=(25, 4, 3))  # (T, B, N)",
    "logits": "logits = rng.normal(size=(4, 3))  # (B, C)",
}


TARGETS = {
    "labels": "labels = np.array([2, 0, 1, 1])",
    "teacher": "teacher = rng.normal(size=(4, 3))  # (B, C)",
}


def overview() -> list[dict[str, str]]:
    """Every preset: name, what it reads, formula, how it decides, what it rewards, source."""
    return [_brief(preset) for preset in catalogue().values()]


def details(objective: Objective) -> dict[str, Any]:
    """Everything about one objective: also its stages, its options and an example that runs."""
    stages = ("readout", "criterion", "target", "reduction")
    return {
        **_brief(objective.preset),
        "stages": {stage: repr(getattr(objective.loss, stage)) for stage in stages},
        "options": _options(objective.preset),
        "example": _example(objective),
    }


def _brief(preset: Preset) -> dict[str, str]:
    return {
        name: getattr(preset, name)
        for name in ("name", "reads", "formula", "decides", "summary", "source")
    }


def _options(preset: Preset) -> dict[str, str]:
    """Its options and their defaults: its own, then those that every preset takes."""
    loss = preset.build()
    parameters = inspect.signature(preset.build).parameters.values()
    own = {p.name: repr(p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}
    return own | {name: repr(getattr(loss, name)) for name in ("reduction", "class_weight")}


def _example(objective: Objective) -> str:
    argument = "logits" if objective.loss.readout.timeless else objective.reads
    name = objective.preset.name
    given = "labels" if objective.loss.of_labels else "teacher"
    target = TARGETS[given]
    return EXAMPLE.format(
        name=name, record=RECORDS[argument], argument=argument, target=target, given=given
    )
