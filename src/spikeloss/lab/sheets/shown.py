"""The sheet of an objective on the examples, with its best and its worst record."""

from collections.abc import Mapping

import numpy as np

from spikeloss.lab.errors import InputError
from spikeloss.lab.objectives import HIDDEN, MEMBRANE, OUTPUT, several
from spikeloss.loss import Loss, Total

from .examples import GOOD, SILENT, WRONG, Floats, example, examples, kind_of, ordered, right_of
from .examples import N as NEURONS
from .examples import targets as targets_of
from .extremes import extreme
from .moves import curves
from .sheet import Sheet
from .slopes import Question
from .words import best, bounds, share

LAYERS = {OUTPUT: "spikes", HIDDEN: "spikes", MEMBRANE: "membrane"}
"""What the layers of a network hold."""


def of_examples(name: str, loss: Loss | Total) -> Sheet:
    """The sheet on the records of the atlas."""
    kind, right = kind_of(loss), right_of(loss)
    shown = {each: ordered(record, right) for each, record in examples(kind).items()}
    question = _question(name, loss, kind, shown)
    views = [question.view(each, record) for each, record in shown.items()]
    starts = [shown[SILENT], *shown.values()]
    low, high = (extreme(question, starts, kind, sign) for sign in (1, -1))
    found = {"its best record": low, "its worst": high}
    views += [question.view(each, extreme.record) for each, extreme in found.items()]
    facts = {
        "gradient": share({view.name: view for view in views}, (SILENT, GOOD, WRONG)),
        "bounds": bounds(low, high),
        "best record": best(low, kind, right, shown[GOOD]),
    }
    neurons = _moving(right)
    moved = curves(question, shown[GOOD], kind, neurons)
    return Sheet(name, kind, tuple(views), tuple(moved), facts, (right,) * len(views))


def _moving(right: int | None) -> dict[str, int]:
    """The neurons that are moved, by name."""
    if right is None:
        return {"a neuron that fires often": 0, "one that fires once": 1}
    return {"the right neuron": right, "another one": (right + 1) % NEURONS}


def _question(name: str, loss: Loss | Total, kind: str, shown: Mapping[str, Floats]) -> Question:
    """The loss with the first target that it takes."""
    right, layer, beside = right_of(loss), None, {}
    named = [each for _, term in loss.losses for each in several(term.layers or ())]
    if named:
        layer = several(loss.main.layers or ())[0]
        others = {each for each in named if each != layer}
        answer = {each: example(GOOD, LAYERS.get(each, "spikes")) for each in sorted(others)}
        beside = {each: ordered(record, right)[:, None] for each, record in answer.items()}
    wrong: Exception = ValueError("no target")
    for target in targets_of(loss, kind):
        company = None
        if loss.main.criterion.couples:  # beside a good answer of its class, and one of another
            company = np.stack([shown[GOOD], np.roll(shown[GOOD], 1, axis=-1)], axis=1)
            target = None if target is None else np.concatenate((target, target, target + 1))
        question = Question(loss, target, shown[GOOD].shape, layer, beside, company)
        try:
            question.view("", shown[GOOD])
        except (TypeError, ValueError) as error:
            wrong = error
        else:
            return question
    fix = "Pass a record and its target."
    rule = "one that takes the records of the atlas"
    raise InputError("objective", rule, f"{name} ({str(wrong).rstrip('.')})", fix)
