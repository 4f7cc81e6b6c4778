"""The loss as a record is moved: one neuron shifted in time, one spike more, one spike less."""

from dataclasses import dataclass

import numpy as np

from .examples import Floats
from .slopes import Question

MOST = 60
"""Shifts, and steps, that a curve has at most."""
LIFT = 1.0
"""What a membrane or logit is lifted by."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Losses over a number of steps, a line per neuron; `marked` says which are of one less."""

    title: str
    label: str
    at: Floats
    lines: dict[str, Floats]
    marked: dict[str, Floats]


def curves(question: Question, record: Floats, kind: str, neurons: dict[str, int]) -> list[Curve]:
    """What there is to see of a record (T, N) as some neurons of it, by name, are moved."""
    changed = _changed(question, record, kind, neurons)
    return [changed] if kind == "logits" else [_shifted(question, record, neurons), changed]


def _shifted(question: Question, record: Floats, neurons: dict[str, int]) -> Curve:
    """All that a neuron does, so many steps later: what leaves the record is lost."""
    steps = len(record)
    most = steps - 1
    by = np.unique(np.linspace(-most, most, min(MOST, 2 * most) + 1).astype(int))
    lines = {}
    for name, neuron in neurons.items():
        moved = np.repeat(record[None], len(by), axis=0)
        moved[:, :, neuron] = [_later(record[:, neuron], shift) for shift in by]
        lines[name] = question.values(moved)
    return Curve("one neuron, shifted in time", "steps later", by.astype(float), lines, {})


def _later(row: Floats, by: int) -> Floats:
    """A row so many steps later, at rest before, or earlier, at rest after."""
    moved = np.zeros_like(row)
    if by >= 0:
        moved[by:] = row[: len(row) - by]
    else:
        moved[:by] = row[-by:]
    return moved


def _changed(question: Question, record: Floats, kind: str, neurons: dict[str, int]) -> Curve:
    """A spike more, or less where there is one, at each step; a membrane is lifted there."""
    if kind == "logits":
        at = np.linspace(-3, 3, 25)
        lines = {}
        for name, neuron in neurons.items():
            moved = np.repeat(record[None], len(at), axis=0)
            moved[:, 0, neuron] += at
            lines[name] = question.values(moved)
        return Curve("one logit, raised", "by", at, lines, {})
    at = np.unique(np.linspace(0, len(record) - 1, min(MOST, len(record))).astype(int))
    lines, marked = {}, {}
    for name, neuron in neurons.items():
        moved, before = np.repeat(record[None], len(at), axis=0), record[at, neuron]
        moved[np.arange(len(at)), at, neuron] = (before == 0) if kind == "spikes" else before + LIFT
        lines[name] = question.values(moved)
        marked[name] = (before != 0) & (kind == "spikes")
    title = "a spike more (●: less) at a step"
    if kind == "membrane":
        title = f"lifted by {LIFT:g} at one step"
    return Curve(title, "step", at.astype(float), lines, marked)
