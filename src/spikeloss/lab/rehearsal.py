"""An objective is tried on a random record before anything is trained."""

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeloss._door._words import cut
from spikeloss.records import Times

from .activity import MEMBRANE, Activity
from .data import Dataset
from .errors import InputError
from .metrics import decisions
from .objectives import Objective
from .recipe import Recipe

NOT_FINITE = "one that is not finite"


def placed_on(shapes: Activity, recipe: Recipe, objective: Objective, data: Dataset) -> Objective:
    """The objective, on the layers that a network has, each class a population where it says so."""
    return objective.placed(shapes.hidden, data.classes if recipe.population > 1 else None)


def rehearsed(
    recipe: Recipe,
    placed: Objective,
    shapes: Activity,
    data: Dataset,
    found: Callable[[Activity, Any, Any], list[Any]],
) -> None:
    """Refuse an objective that has no finite value, gradient or decision on a random record.

    Args:
        placed: the objective, on the layers of the network.
        shapes: records of two samples, of which the shapes count.
        found: random activity, labels and lengths, in NumPy -> the value and the gradients.
    """
    steps, labels = recipe.steps, np.array([0, data.classes - 1])
    lengths = None if data.train.lengths is None else np.array([steps, (steps + 1) // 2])
    rng = np.random.default_rng(0)
    drawn = shapes.map(lambda x: rng.random(tuple(x.shape), np.float32))
    activity = Activity({
        name: x if isinstance(x, Times)
        else 2 * x - 1 if name == MEMBRANE else (x < 0.3).astype(np.float32)
        for name, x in drawn.records.items()
    })  # fmt: skip
    try:
        with np.errstate(all="ignore"):
            finite = all(np.isfinite(np.asarray(x)).all() for x in found(activity, labels, lengths))
            got = None if finite else NOT_FINITE
            decisions(placed.main, activity.record(placed.reads), labels, {})
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as wrong:
        got = str(wrong).rstrip(".")
    if got is not None:
        rule = f"a finite value and gradient for random records of {steps} steps"
        fix = "Change its options or its factors."
        raise InputError("objective", rule, f"{cut(placed.spelling)} ({got})", fix)
