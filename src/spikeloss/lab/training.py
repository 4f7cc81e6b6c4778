"""Training: recipe, objective, seed -> Run.

The same recipe, objective and seed give the same numbers, bit for bit on the same machine: weights
and the order of samples come from the seed, and a training works in one thread.
"""

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .activity import Activity
from .data import Split, load
from .errors import TrainingError
from .measure import measured
from .objectives import Objective
from .recipe import Recipe
from .runs import Epoch, Run

LEARNERS = {"torch": "learner_torch", "jax": "learner_jax"}
"""The module that trains in a library."""


def _library(recipe: Recipe) -> Any:
    return import_module(f".{LEARNERS[recipe.library]}", __package__)


def fit(
    recipe: Recipe,
    objective: Objective,
    seed: int,
    *,
    watch: Callable[[Epoch], None] = lambda epoch: None,
    criterion: Any = None,
    checkpoint: Path | None = None,
) -> Run:
    """Train a fresh network, and measure it on the test samples.

    Args:
        watch: is called after every epoch, and first with those that the checkpoint kept.
        criterion: replaces the objective's loss during training, not its decisions: so other
            implementations of a loss are compared under equal conditions.
        checkpoint: a file that is written after every epoch, and from which a training that was
            interrupted goes on, with the same numbers; removed by whoever keeps the run.
    """
    data = load(recipe.of_data())
    test = data.test
    with _library(recipe).Learner(recipe, objective, data, seed, criterion) as learner:
        curve = [] if checkpoint is None else learner.restore(checkpoint)
        for epoch in curve:
            watch(epoch)
        activity = learner.respond(test) if len(curve) == recipe.epochs else None
        while len(curve) < recipe.epochs:
            loss, seconds, inside = learner.epoch(len(curve))
            if not math.isfinite(loss):
                _diverged(objective, seed, f"the loss became {loss}")
            activity = learner.respond(test)
            if not all(np.isfinite(record).all() for record in activity.each()):
                _diverged(objective, seed, "a membrane is not finite")
            accuracy = _accuracy(learner.objective, activity, test)
            curve.append(Epoch(loss, accuracy, seconds, inside))
            if checkpoint is not None:
                learner.save(checkpoint, curve)
            watch(curve[-1])
        placed: Objective = learner.objective
    assert activity is not None  # there is an epoch at least
    numbers: Any = (tuple(curve), activity, test.labels, test.lengths, data.classes)
    return measured(placed, seed, *numbers)


def _diverged(objective: Objective, seed: int, what: str) -> None:
    raise TrainingError(f"{objective.spelling}, seed {seed}: {what}. Lower --learning-rate.")


def _accuracy(objective: Objective, activity: Activity, split: Split) -> float:
    record = activity.record(objective.reads)
    decided = objective.main.predict(record, lengths=split.lengths)
    return int((decided == split.labels).sum()) / len(split.labels)


def rehearse(recipe: Recipe, objective: Objective) -> None:
    """Refuse an objective that has no finite value, gradient or decision on a random record.

    Records have the shapes of those that the network gives for two samples.
    """
    _library(recipe).rehearse(recipe, objective, load(recipe.of_data()))
