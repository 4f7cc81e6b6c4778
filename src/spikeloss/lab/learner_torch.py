"""The trainer in PyTorch: one network that learns with one objective.

A learner of any library does what `spikeloss.lab.training` asks: `epoch`, `respond`, `save`,
`restore`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spikeloss._door._words import cut
from spikeloss.parts import Parts

from .activity import MEMBRANE, Activity, joined, records_of
from .checkpoint import Checkpoint
from .data import Batch, Dataset, Split
from .errors import InputError
from .metrics import decision_steps
from .network import built
from .objectives import Objective
from .recipe import Recipe
from .runs import Epoch

Criterion = Callable[[Any, Tensor, Tensor | None], Tensor]
"""record (T, B, N), or records by name, labels (B,), lengths (B,) | None -> loss ()"""

NOT_FINITE = "one that is not finite"
CHUNK = 512
"""Test samples that the network sees at a time."""


class Learner:
    """A network that learns: a context, in which PyTorch has one thread and a seeded generator."""

    def __init__(
        self,
        recipe: Recipe,
        objective: Objective,
        data: Dataset,
        seed: int,
        criterion: Criterion | None = None,
    ) -> None:
        self.recipe, self.data, self.seed, self.spelled = recipe, data, seed, objective
        self.criterion = criterion

    def __enter__(self) -> Self:
        self.context = _reproducible(self.seed)
        self.context.__enter__()
        recipe, data = self.recipe, self.data
        network = built(recipe, data.train.features, data.classes)
        optimiser = _optimiser(recipe, network)
        self.shapes = tried(network, recipe, data.train)
        self.objective = placed_on(self.shapes, recipe, self.spelled, data)
        self.plain = network, optimiser
        self.fabric = Fabric(accelerator="cpu", devices=1, precision=recipe.precision)  # type: ignore[arg-type]
        self.network, self.optimiser = self.fabric.setup(network, optimiser)
        return self

    def __exit__(self, *error: Any) -> None:
        self.context.__exit__(*error)

    def save(self, path: Path, curve: list[Epoch]) -> None:
        """Keep the training as it is after an epoch."""
        Checkpoint(path, self.recipe, self.spelled, self.seed).save(*self.plain, curve)

    def restore(self, path: Path) -> list[Epoch]:
        """Go back to the last epoch that was kept, and say which there were."""
        return Checkpoint(path, self.recipe, self.spelled, self.seed).restore(*self.plain)

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Mean loss per sample, seconds, and seconds of these in the objective.

        The gradient is taken in two parts, first of the loss with respect to the records, then of
        these with respect to the weights, so that the objective can be timed apart.
        """
        recipe, split = self.recipe, self.data.train
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate * recipe.decay**number
        total, inside, start = 0.0, 0.0, time.process_time()
        for index in torch.split(torch.randperm(len(split)), recipe.batch_size):
            self.optimiser.zero_grad()
            loss, micro = 0.0, min(recipe.accumulate, len(index))
            whole = None if micro == 1 else self._weights(split.take(index.numpy()))
            for part in torch.tensor_split(index, micro):
                value, seconds = self._backward(split.take(part.numpy()), whole)
                loss, inside = loss + value, inside + seconds
            if recipe.clip is not None:
                self.fabric.clip_gradients(self.network, self.optimiser, max_norm=recipe.clip)
            self.optimiser.step()
            total += loss * len(index)
        return total / len(split), time.process_time() - start, inside

    def _weights(self, batch: Batch) -> Parts:
        """What the loss of a batch is divided by, which does not depend on what a network does."""
        labels, lengths = _tensors(batch)[1:]
        count = len(batch.labels)
        blank = self.shapes.map(lambda x: x.new_zeros(()).expand(x.shape[0], count, x.shape[2]))
        records = records_of(blank, self.objective)
        return self.objective.loss.parts(records, labels, lengths=lengths)

    def _backward(self, batch: Batch, whole: Parts | None) -> tuple[float, float]:
        """The gradient of the loss of a batch, or of its part in the `whole` of a larger one."""
        inputs, labels, lengths = _tensors(batch)
        records = records_of(self._activity(inputs), self.objective)
        outputs = list(records.values()) if isinstance(records, dict) else [records]
        before = time.process_time()
        if whole is not None:
            parts = self.objective.loss.parts(records, labels, lengths=lengths)
            loss = parts._replace(denominator=whole.denominator).value()
        elif self.criterion is not None:
            loss = self.criterion(records, labels, lengths)
        else:
            loss = self.objective.loss(records, labels, lengths=lengths)
        gradients = torch.autograd.grad(loss, outputs)
        inside = time.process_time() - before
        torch.autograd.backward(outputs, gradients)
        return loss.item(), inside

    def _activity(self, inputs: Tensor) -> Activity:
        return Activity(self.network(_cast(inputs, self.recipe)))

    @torch.no_grad()
    def respond(self, split: Split) -> Activity:
        """What the network does with every sample, in chunks that fit into memory: NumPy."""
        parts = []
        for index in np.array_split(np.arange(len(split)), -(-len(split) // CHUNK)):
            inputs = torch.from_numpy(split.take(index).inputs)
            parts.append(self._activity(inputs).map(lambda x: x.float().numpy()))
        return joined(parts)


def _tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    return torch.from_numpy(batch.inputs), torch.from_numpy(batch.labels), lengths


def _cast(inputs: Tensor, recipe: Recipe) -> Tensor:
    """Inputs in the precision of the weights."""
    return inputs.double() if recipe.precision == "64-true" else inputs


def placed_on(shapes: Activity, recipe: Recipe, objective: Objective, data: Dataset) -> Objective:
    """The objective, on the layers that a network has, each class a population where it says so."""
    return objective.placed(shapes.hidden, data.classes if recipe.population > 1 else None)


@torch.no_grad()
def tried(network: nn.Module, recipe: Recipe, split: Split, count: int = 1) -> Activity:
    """What a network does with the first samples; what goes wrong in it is said."""
    inputs = torch.from_numpy(split.take(np.arange(count)).inputs)
    dtype = next(iter(network.parameters()), inputs).dtype
    try:
        with torch.random.fork_rng(devices=[]):
            return Activity(network(inputs.to(dtype)))
    except InputError:
        raise
    except Exception as wrong:
        rule = f"a network that takes inputs {tuple(inputs.shape)}"
        got = f"{recipe.model} ({type(wrong).__name__}: {cut(str(wrong))})"
        raise InputError("--model", rule, got, "Correct the network.") from wrong


def rehearse(recipe: Recipe, objective: Objective, data: Dataset) -> None:
    """As `spikeloss.lab.training.rehearse`."""
    steps, labels = recipe.steps, torch.tensor([0, data.classes - 1])
    lengths = None if data.train.lengths is None else torch.tensor([steps, (steps + 1) // 2])
    with _reproducible(0):
        shapes = tried(built(recipe, data.train.features, data.classes), recipe, data.train, 2)
    placed, random = placed_on(shapes, recipe, objective, data), torch.Generator().manual_seed(0)
    drawn = shapes.map(lambda x: torch.rand(x.shape, generator=random))
    activity = Activity({
        name: (2 * x - 1 if name == MEMBRANE else (x < 0.3).float()).requires_grad_()
        for name, x in drawn.records.items()
    })  # fmt: skip
    try:
        records = records_of(activity, placed)
        outputs = list(records.values()) if isinstance(records, dict) else [records]
        loss = placed.loss(records, labels, lengths=lengths)
        found = [loss, *torch.autograd.grad(loss, outputs)]
        got = None if all(bool(torch.isfinite(x).all()) for x in found) else NOT_FINITE
        if recipe.accumulate > 1:
            placed.loss.parts(records, labels, lengths=lengths)
        with np.errstate(all="ignore"):
            decision_steps(placed.main, activity.record(placed.reads).detach().numpy())
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as wrong:
        got = str(wrong).rstrip(".")
    if got is not None:
        rule = f"a finite value and gradient for random records of {steps} steps"
        fix = "Change its options or its factors."
        raise InputError("objective", rule, f"{cut(objective.spelling)} ({got})", fix)


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


OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def _optimiser(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a recipe."""
    weights = list(network.parameters())
    if not weights:
        fix = "Register its layers as attributes, or in a ModuleList."
        raise InputError("--model", "a network with parameters", "none", fix)
    return OPTIMISERS[recipe.optimiser](weights, lr=recipe.learning_rate)  # type: ignore[no-any-return]
