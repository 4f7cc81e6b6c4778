"""Training: recipe, objective, seed -> Run.

The same recipe, objective and seed give the same numbers, bit for bit on the same machine: weights
and the order of samples come from the seed, and a training works in one thread: in PyTorch always,
in JAX where `in_one_thread` saw to it, as the commands and their workers do.
"""

import math
import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from spikeloss._door._words import cut
from spikeloss._install import hint

from .activity import Activity
from .data import Split, load
from .errors import InputError, ProcessLostError, TrainingError
from .measure import measured
from .objectives import Objective, find
from .recipe import Machines, Recipe
from .runs import Epoch, Run

LEARNERS = {"torch": "learner_torch", "jax": "learner_jax"}
"""The module that trains in a library."""
NEEDED = {"torch": ("torch", "snntorch", "lightning_fabric"), "jax": ("jax", "optax")}
"""The packages of a library, which the extra EXTRA installs."""
EXTRA = {"torch": "lab", "jax": "jax"}


def _library(recipe: Recipe) -> Any:
    missing = [name for name in NEEDED[recipe.library] if find_spec(name) is None]
    if missing:
        fix = hint(EXTRA[recipe.library])
        rule = "the packages of a library that trains"
        raise InputError(f"--library {recipe.library}", rule, f"no {missing[0]}", fix)
    return import_module(f".{LEARNERS[recipe.library]}", __package__)


ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def in_one_thread(recipe: Recipe) -> None:
    """Leave one thread to trainings in this process, which trains and does nothing else.

    In PyTorch a training sees to that itself. JAX reads its threads from the environment, once,
    when it first computes.
    """
    if recipe.library == "jax":
        flags = os.environ.get("XLA_FLAGS", "")
        if ONE_THREAD not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} {ONE_THREAD}".lstrip()
        os.environ["NPROC"] = "1"


def join(recipe: Recipe, machines: Machines) -> None:
    """Join the processes of several machines, as JAX has to before it computes anything.

    JAX finds the others of a cluster that it knows, such as Slurm; elsewhere
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID say where they are. Fabric joins
    those of PyTorch by itself.
    """
    if recipe.library != "jax" or machines.num_nodes == 1:
        return
    import jax

    names = {"num_processes": "JAX_NUM_PROCESSES", "process_id": "JAX_PROCESS_ID"}
    known = {name: os.environ.get(variable) for name, variable in names.items()}
    try:
        given: Any = {name: int(value) for name, value in known.items() if value}
        jax.distributed.initialize(**given)
    except (ValueError, RuntimeError) as wrong:
        rule = f"a cluster that JAX knows, or JAX_COORDINATOR_ADDRESS, {', '.join(names.values())}"
        got = f"none ({cut(str(wrong))})"
        raise InputError("--num-nodes", rule, got, "Set these in every process.") from wrong


def fit(
    recipe: Recipe,
    objective: Objective,
    seed: int,
    *,
    watch: Callable[[Epoch], None] = lambda epoch: None,
    criterion: Any = None,
    checkpoint: Path | None = None,
    machines: Machines | None = None,
) -> Run:
    """Train a fresh network, and measure it on the test samples.

    Args:
        watch: is called after every epoch, and first with those that the checkpoint kept.
        criterion: replaces the objective's loss during training, not its decisions: so other
            implementations of a loss are compared under equal conditions.
        checkpoint: a file that is written after every epoch, and from which a training that was
            interrupted goes on, with the same numbers; removed by whoever keeps the run.
        machines: where the network is trained; None: in this process.
    """
    data = load(recipe.of_data())
    test = data.test
    known = recipe, objective, data, seed, criterion, machines or Machines()
    with _library(recipe).Learner(*known) as learner:
        curve = [] if checkpoint is None else learner.restore(checkpoint)
        for epoch in curve if learner.leads else ():
            watch(epoch)
        activity = learner.respond(test) if len(curve) == recipe.epochs else None
        while len(curve) < recipe.epochs:
            try:
                loss, seconds, inside = learner.epoch(len(curve))
            except ProcessLostError as lost:
                _lost(lost, checkpoint, len(curve))
            if not math.isfinite(loss):
                _diverged(objective, seed, f"the loss became {loss}")
            activity = learner.respond(test)
            if not all(np.isfinite(record).all() for record in activity.each()):
                _diverged(objective, seed, "a membrane is not finite")
            accuracy = _accuracy(learner.objective, activity, test)
            curve.append(Epoch(loss, accuracy, seconds, inside))
            if learner.leads:
                if checkpoint is not None:
                    learner.save(checkpoint, curve)
                watch(curve[-1])
        placed: Objective = learner.objective
    assert activity is not None  # there is an epoch at least
    numbers: Any = (tuple(curve), activity, test.labels, test.lengths, data.classes)
    return measured(placed, seed, *numbers)


def train_one(
    recipe: Recipe,
    spelling: str,
    seed: int,
    *,
    watch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Path | None = None,
) -> Run:
    """The same as `fit`, of plain values, which any process understands."""
    return fit(recipe, find(spelling), seed, watch=watch, checkpoint=checkpoint)


def _lost(lost: Exception, checkpoint: Path | None, epochs: int) -> NoReturn:
    kept = "Nothing was kept"
    if checkpoint is not None and epochs:
        kept = f"Epochs 1 to {epochs} are kept in {checkpoint}: repeat the command"
    raise TrainingError(f"a process of this training is gone ({lost}). {kept}.") from lost


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
