"""The trainer in PyTorch: one network that learns with one objective."""

import logging
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from safetensors.torch import save as pack
from torch import Tensor, nn

from spikeloss._door._words import cut
from spikeloss.parts import Parts

from .activity import Activity, joined, records_of
from .data import Batch, Dataset, Split
from .errors import InputError, ProcessLostError
from .factory import trials
from .learner import CHUNK, Learning
from .network import built
from .objectives import Objective
from .recipe import Machines, Recipe
from .rehearsal import placed_on, rehearsed
from .runs import Epoch
from .state_torch import put_back, tensors_of


class Learner(Learning):
    """A network that learns: a context, in which PyTorch has one thread and a seeded generator."""

    def __enter__(self) -> Self:
        recipe, data = self.recipe, self.data
        self.fabric = _fabric(self.machines, recipe)
        with ExitStack() as stack:
            stack.enter_context(_reproducible(self.seed, recipe.precision == "64-true"))
            network = built(recipe, data.train.features, data.classes)
            optimiser = _optimiser(recipe, network)
            self.shapes = tried(network, recipe, data.train)
            self.objective = placed_on(self.shapes, recipe, self.spelled, data)
            self.plain = network, optimiser
            self.network, self.optimiser = self.fabric.setup(network, optimiser)
            self.context = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.context.close()

    @property
    def leads(self) -> bool:
        """Whether this is the process that says and keeps what there is."""
        return self.fabric.is_global_zero

    def save(self, path: Path, curve: list[Epoch]) -> None:
        """Keep the training as it is after an epoch."""
        self.file(path).save(tensors_of(*self.plain), curve, pack)

    def restore(self, path: Path) -> list[Epoch]:
        """Go back to the last epoch that was kept, and say which there were."""
        return self.file(path).restore(lambda tensors: put_back(tensors, *self.plain))

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Mean loss per sample, seconds, and seconds of these in the objective.

        The gradient is taken in two parts, first of the loss with respect to the records, then of
        these with respect to the weights, so that the objective can be timed apart.
        """
        recipe, split = self.recipe, self.data.train
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate(number)
        total, inside, start = 0.0, 0.0, time.process_time()
        with _others(self.fabric.world_size):
            for index in torch.split(torch.randperm(len(split)), recipe.batch_size):
                self.optimiser.zero_grad()
                loss, seconds = self._batch(index)
                if recipe.clip is not None:
                    self.fabric.clip_gradients(self.network, self.optimiser, max_norm=recipe.clip)
                self.optimiser.step()
                total, inside = total + loss * len(index), inside + seconds
            if self.fabric.world_size > 1:
                whole: Any = self.fabric.all_reduce(
                    torch.tensor(total, dtype=torch.float64), reduce_op="sum"
                )
                total = whole.item()
        return total / len(split), time.process_time() - start, inside

    def _batch(self, index: Tensor) -> tuple[float, float]:
        """The gradient of the loss of a batch, of which every process has a part, in parts."""
        ranks, split = self.fabric.world_size, self.data.train
        own = torch.tensor_split(index, ranks)[self.fabric.global_rank]
        parts = torch.tensor_split(own, max(1, min(self.recipe.accumulate, len(own))))
        whole = None
        if len(parts) > 1 or ranks > 1:
            whole = self._weights(split.take(own.numpy()))
        loss, inside = 0.0, 0.0
        for i, part in enumerate(parts):
            # A process without samples takes one that does not count, as all have to go along.
            counts, part = len(part) > 0, part if len(part) else index[:1]
            with self.fabric.no_backward_sync(self.network, enabled=i < len(parts) - 1):
                value, seconds = self._backward(split.take(part.numpy()), whole, counts)
            loss, inside = loss + value, inside + seconds
        return loss, inside

    def _weights(self, batch: Batch) -> Parts:
        """What the loss of a batch is divided by, which does not depend on what a network does."""
        labels, lengths = self._tensors(batch)[1:]
        zero = torch.zeros((), device=self.fabric.device)
        count = len(batch.labels)
        blank = self.shapes.map(lambda x: zero.to(x.dtype).expand(x.shape[0], count, x.shape[2]))
        records = records_of(blank, self.objective)
        parts = self.parts(records, labels, lengths)
        return parts if self.fabric.world_size == 1 else parts.across("world", gradients="summed")

    def _backward(self, batch: Batch, whole: Parts | None, counts: bool) -> tuple[float, float]:
        """The gradient of the loss of a batch, or of its part in the `whole` of a larger one."""
        inputs, labels, lengths = self._tensors(batch)
        records = records_of(self._activity(inputs), self.objective)
        outputs = list(records.values()) if isinstance(records, dict) else [records]
        given = [output.detach().requires_grad_() for output in outputs]
        records = dict(zip(records, given, strict=True)) if isinstance(records, dict) else given[0]
        before = time.process_time()
        if whole is not None:
            parts = self.parts(records, labels, lengths)
            loss = parts._replace(denominator=whole.denominator).value()
        else:
            loss = self.loss(records, labels, lengths)
        loss = loss if counts else 0 * loss
        # The gradients of processes are averaged; those of parts of a sum are to be added up.
        ranks = self.fabric.world_size
        gradients = torch.autograd.grad(loss if ranks == 1 else ranks * loss, given)
        inside = time.process_time() - before
        self.fabric.backward(_Given.apply(gradients, *outputs))  # type: ignore[no-untyped-call]
        return loss.item(), inside

    def _tensors(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        inputs, labels = torch.from_numpy(batch.inputs), torch.from_numpy(batch.labels)
        lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
        device = self.fabric.device
        moved = None if lengths is None else lengths.to(device)
        return inputs.to(device), labels.to(device), moved

    def _activity(self, inputs: Tensor) -> Activity:
        return Activity(self.network(_cast(inputs, self.recipe)))

    @torch.no_grad()
    def respond(self, split: Split) -> Activity:
        """What the network does with every sample, in chunks that fit into memory: NumPy."""
        parts = []
        for index in np.array_split(np.arange(len(split)), -(-len(split) // CHUNK)):
            inputs = self._tensors(split.take(index))[0]
            parts.append(self._activity(inputs).map(lambda x: x.float().cpu().numpy()))
        return joined(parts)


class _Given(torch.autograd.Function):
    """A number whose derivatives with respect to outputs are given."""

    @staticmethod
    def forward(ctx: Any, gradients: tuple[Tensor, ...], *outputs: Tensor) -> Tensor:
        ctx.save_for_backward(*gradients)
        return outputs[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        return None, *(slope * gradient for gradient in ctx.saved_tensors)


def _fabric(machines: Machines, recipe: Recipe) -> Fabric:
    """Processes and devices, each process started."""
    known: Any = {"precision": recipe.precision, "num_nodes": machines.num_nodes}
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)  # not what it is told to do
    with warnings.catch_warnings(action="ignore"):  # of how many threads a process might have
        try:
            fabric = Fabric(
                accelerator=machines.accelerator,
                devices=machines.devices,
                strategy=_strategy(machines),
                **known,
            )
        except (RuntimeError, ValueError, MisconfigurationException) as wrong:
            got = f"{machines.devices} of {machines.accelerator} ({cut(str(wrong))})"
            fix = "Choose others with --accelerator and --devices."
            raise InputError("--accelerator", "devices that there are", got, fix) from wrong
        if machines.ranks > 1:
            fabric.launch()
    return fabric


def _strategy(machines: Machines) -> Any:
    """How processes share a network; buffers of neurons are state, of the samples of a process."""
    if machines.ranks == 1:
        return "auto"
    unused = machines.strategy == "ddp_find_unused_parameters"
    return DDPStrategy(broadcast_buffers=False, find_unused_parameters=unused)


@contextmanager
def _others(ranks: int) -> Iterator[None]:
    """What a collective says in here is that another process is gone."""
    try:
        yield
    except RuntimeError as wrong:
        words = str(wrong)
        if ranks == 1 or not re.search(r"gloo|nccl|connection|socket|distributed", words, re.I):
            raise
        raise ProcessLostError(cut(words)) from wrong


def _cast(inputs: Tensor, recipe: Recipe) -> Tensor:
    """Inputs in the precision of the weights."""
    return inputs.double() if recipe.precision == "64-true" else inputs


@torch.no_grad()
def tried(network: nn.Module, recipe: Recipe, split: Split, count: int = 1) -> Activity:
    """What a network does with the first samples; what goes wrong in it is said."""
    inputs = torch.from_numpy(split.take(np.arange(count)).inputs)
    dtype = next(iter(network.parameters()), inputs).dtype
    with trials(recipe, inputs), torch.random.fork_rng(devices=[]):
        return Activity(network(inputs.to(dtype)))


def rehearse(recipe: Recipe, objective: Objective, data: Dataset) -> None:
    """As `spikeloss.lab.training.rehearse`."""
    with _reproducible(0):
        shapes = tried(built(recipe, data.train.features, data.classes), recipe, data.train, 2)
    placed = placed_on(shapes, recipe, objective, data)

    def found(activity: Activity, labels: Any, lengths: Any) -> list[Any]:
        activity = activity.map(lambda x: torch.from_numpy(x).requires_grad_())
        labels = torch.from_numpy(labels)
        lengths = None if lengths is None else torch.from_numpy(lengths)
        records = records_of(activity, placed)
        outputs = list(records.values()) if isinstance(records, dict) else [records]
        loss = placed.loss(records, labels, lengths=lengths)
        if recipe.accumulate > 1:
            placed.loss.parts(records, labels, lengths=lengths)
        return [loss.detach(), *torch.autograd.grad(loss, outputs)]

    rehearsed(recipe, placed, shapes, data, found)


@contextmanager
def _reproducible(seed: int, double: bool = False) -> Iterator[None]:
    """One thread and a seeded generator; all as before afterwards.

    `double`: numbers are float64 unless told, as Fabric gives records in what is usual.
    """
    threads, usual = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    if double:
        torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(usual)


OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def _optimiser(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a recipe."""
    return OPTIMISERS[recipe.optimiser](network.parameters(), lr=recipe.learning_rate)  # type: ignore[no-any-return]
