"""The one training function: recipe, objective, seed -> Run.

The same recipe, objective and seed give the same numbers, bit for bit on the same machine: weights
and the order of samples come from the seed, and PyTorch works in one thread.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeloss._door._words import cut

from .data import Split, load
from .errors import InputError, TrainingError
from .metrics import decision_steps, firing_rate
from .network import Activity, Network
from .objectives import Objective
from .recipe import Recipe
from .runs import Epoch, Run, Sample

Criterion = Callable[[Any, Tensor, Tensor | None], Tensor]
"""record (T, B, N), or records by name, labels (B,), lengths (B,) | None -> loss ()"""


def fit(
    recipe: Recipe,
    objective: Objective,
    seed: int,
    *,
    watch: Callable[[Epoch], None] = lambda epoch: None,
    criterion: Criterion | None = None,
) -> Run:
    """Train a fresh network with Adam, and measure it on the test samples.

    `watch` is called after every epoch. `criterion` replaces the objective's loss during training,
    not its decisions: so other implementations of a loss are compared under equal conditions.
    """
    data = load(recipe.data, recipe.steps)
    training, test = _tensors(data.train), _tensors(data.test)
    criterion = criterion or (lambda x, y, n: objective.loss(x, y, lengths=n))
    with _reproducible(seed):
        features = training.inputs.shape[-1]
        network = Network(features, recipe.hidden, data.classes, recipe.steps, recipe.beta)
        optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
        curve = []
        for _ in range(recipe.epochs):
            loss, seconds, inside = _train(
                network, optimiser, _batches(training, recipe.batch_size), objective, criterion
            )
            if not math.isfinite(loss):
                what = f"{objective.spelling}, seed {seed}: the loss became {loss}"
                raise TrainingError(f"{what}. Lower --learning-rate.")
            activity = _respond(network, test)
            if not _is_finite(activity.membrane):
                what = f"{objective.spelling}, seed {seed}: a membrane is not finite"
                raise TrainingError(f"{what}. Lower --learning-rate.")
            accuracy = _accuracy(objective, activity, test)
            curve.append(Epoch(loss, accuracy, seconds, inside))
            watch(curve[-1])
    return _measure(objective, seed, tuple(curve), activity, test)


def rehearse(recipe: Recipe, objective: Objective) -> None:
    """Refuse an objective that has no finite value, gradient or decision on a random record."""
    data = load(recipe.data, recipe.steps)
    steps, labels = recipe.steps, torch.tensor([0, data.classes - 1])
    lengths = None if data.train.lengths is None else torch.tensor([steps, (steps + 1) // 2])
    random = torch.Generator().manual_seed(0)
    hidden, spikes, membrane = (
        torch.rand(steps, 2, neurons, generator=random)
        for neurons in (recipe.hidden, data.classes, data.classes)
    )
    activity = Activity((hidden < 0.3).float(), (spikes < 0.3).float(), 2 * membrane - 1)
    for layer in activity:
        layer.requires_grad_()
    try:
        records = _records(activity, objective)
        outputs = list(records.values()) if isinstance(records, dict) else [records]
        loss = objective.loss(records, labels, lengths=lengths)
        parts = [loss, *torch.autograd.grad(loss, outputs)]
        got = None if all(map(_is_finite, parts)) else "one that is not finite"
        with np.errstate(all="ignore"):
            decision_steps(objective.main, activity.record(objective.reads).detach().numpy())
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as wrong:
        got = str(wrong).rstrip(".")
    if got is not None:
        rule = f"a finite value and gradient for random records of {steps} steps"
        fix = "Change its options or its factors."
        raise InputError("objective", rule, f"{cut(objective.spelling)} ({got})", fix)


def _is_finite(x: Tensor) -> bool:
    return bool(torch.isfinite(x).all())


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """One thread and a seeded generator; both as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _tensors(split: Split) -> Split:
    return Split(*(None if array is None else torch.from_numpy(array) for array in split))


def _batches(split: Split, size: int) -> Iterator[Split]:
    """The samples in a random order, in batches."""
    for index in torch.split(torch.randperm(len(split.labels)), size):
        yield split.take(index)


def _train(
    network: Network,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[Split],
    objective: Objective,
    criterion: Criterion,
) -> tuple[float, float, float]:
    """One epoch: mean loss per sample, seconds, and seconds of these in the objective.

    The gradient is taken in two parts, first of the loss with respect to the records, then of these
    with respect to the weights, so that the objective can be timed apart from the network.
    """
    total, samples, inside = 0.0, 0, 0.0
    start = time.process_time()
    for batch in batches:
        records = _records(network(batch.inputs), objective)
        outputs = list(records.values()) if isinstance(records, dict) else [records]
        before = time.process_time()
        loss = criterion(records, batch.labels, batch.lengths)
        gradients = torch.autograd.grad(loss, outputs)
        inside += time.process_time() - before
        optimiser.zero_grad()
        torch.autograd.backward(outputs, gradients)
        optimiser.step()
        total += loss.item() * len(batch.labels)
        samples += len(batch.labels)
    return total / samples, time.process_time() - start, inside


def _records(activity: Activity, objective: Objective) -> Tensor | dict[str, Tensor]:
    """What an objective is given: the record that it reads, a sum those that it names."""
    if not objective.layers:
        return activity.record(objective.reads)
    named = {"hidden": activity.hidden, "output": activity.spikes, "membrane": activity.membrane}
    return {name: named[name] for name in objective.layers}


@torch.no_grad()
def _respond(network: Network, split: Split) -> Activity:
    """What the network does with every sample, in chunks that fit into memory."""
    chunks = torch.split(torch.arange(len(split.labels)), 512)
    parts = [network(split.take(index).inputs) for index in chunks]
    return Activity(*(torch.cat(layer, dim=1) for layer in zip(*parts, strict=True)))


def _accuracy(objective: Objective, activity: Activity, split: Split) -> float:
    decided = objective.main.predict(activity.record(objective.reads), lengths=split.lengths)
    return int((decided == split.labels).sum()) / len(split.labels)


def _measure(
    objective: Objective, seed: int, curve: tuple[Epoch, ...], activity: Activity, test: Split
) -> Run:
    """Everything that a run reports, from the activity of the trained network."""
    lengths = None if test.lengths is None else test.lengths.numpy()
    record = activity.record(objective.reads).numpy()
    decided_at = decision_steps(objective.main, record, lengths)
    decided = decided_at >= 0
    seconds = sum(epoch.seconds for epoch in curve)
    return Run(
        objective=objective.spelling,
        seed=seed,
        accuracy=curve[-1].accuracy,
        abstained=float(1 - decided.mean()),
        firing_rate=firing_rate(activity.spikes.numpy(), lengths),
        hidden_rate=firing_rate(activity.hidden.numpy(), lengths),
        decision_step=float(decided_at[decided].mean()) if decided.any() else None,
        seconds_per_epoch=seconds / len(curve),
        objective_share=sum(epoch.objective_seconds for epoch in curve) / seconds,
        curve=curve,
        sample=_sample(objective, activity, test, int(decided_at[0])),
    )


def _sample(objective: Objective, activity: Activity, test: Split, decided_at: int) -> Sample:
    """The first test sample, cut to its valid steps."""
    steps = len(activity.spikes) if test.lengths is None else int(test.lengths[0])
    one = Activity(*(layer[:steps, 0] for layer in activity))
    return Sample(
        label=int(test.labels[0]),
        decision=int(objective.main.predict(one.record(objective.reads))),
        decision_step=decided_at,
        steps=steps,
        hidden_neurons=one.hidden.shape[-1],
        hidden=_events(one.hidden),
        output=_events(one.spikes),
        membrane=np.round(one.membrane.numpy().astype(float), 4).tolist(),
    )


def _events(spikes: Tensor) -> Any:
    return spikes.nonzero().tolist()
