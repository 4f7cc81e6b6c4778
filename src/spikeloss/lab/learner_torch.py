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
from safetensors.torch import save as pack
from torch import Tensor, nn

from spikeloss._door._words import cut
from spikeloss.parts import Parts

from .activity import Activity, joined, records_of
from .checkpoint import Checkpoint
from .data import Batch, Dataset, Split
from .errors import InputError
from .network import built
from .objectives import Objective
from .recipe import Recipe
from .rehearsal import placed_on, rehearsed
from .runs import Epoch
from .state_torch import put_back, tensors_of

Criterion = Callable[[Any, Tensor, Tensor | None], Tensor]
"""record (T, B, N), or records by name, labels (B,), lengths (B,) | None -> loss ()"""

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
        file = Checkpoint(path, self.recipe, self.spelled, self.seed)
        file.save(tensors_of(*self.plain), curve, pack)

    def restore(self, path: Path) -> list[Epoch]:
        """Go back to the last epoch that was kept, and say which there were."""
        file = Checkpoint(path, self.recipe, self.spelled, self.seed)
        return file.restore(lambda tensors: put_back(tensors, *self.plain))

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
    inputs, labels, lengths = batch
    lengths = None if lengths is None else torch.from_numpy(lengths)
    return torch.from_numpy(inputs), torch.from_numpy(labels), lengths


def _cast(inputs: Tensor, recipe: Recipe) -> Tensor:
    """Inputs in the precision of the weights."""
    return inputs.double() if recipe.precision == "64-true" else inputs


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
    with _reproducible(0):
        shapes = tried(built(recipe, data.train.features, data.classes), recipe, data.train, 2)
    placed = placed_on(shapes, recipe, objective, data)

    def found(activity: Activity, labels: Any, lengths: Any) -> list[Any]:
        activity = activity.map(lambda x: torch.from_numpy(x).requires_grad_())
        _, labels, lengths = _tensors(Batch(labels, labels, lengths))
        records = records_of(activity, placed)
        outputs = list(records.values()) if isinstance(records, dict) else [records]
        loss = placed.loss(records, labels, lengths=lengths)
        if recipe.accumulate > 1:
            placed.loss.parts(records, labels, lengths=lengths)
        return [loss.detach(), *torch.autograd.grad(loss, outputs)]

    rehearsed(recipe, placed, shapes, data, found)


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
