"""The trainer in JAX: one network that learns with one objective.

It does what `spikeloss.lab.learner_torch` does, from the same recipe. Network, objective and
optimiser are one compiled step. It is compiled once per number of samples in a batch: for full
batches, and for the last one if that is smaller, so that every loss is exactly that of its batch.
Batches are split over `devices`, of this process or of all that `jax.distributed` has joined; a
batch that they do not divide is computed by each of them.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from safetensors.numpy import save as pack

from .activity import Activity, joined, records_of
from .data import Batch, Dataset, Split
from .devices_jax import Devices, integers
from .factory import trials
from .learner import CHUNK, Learning
from .network_jax import Network, built
from .objectives import Objective
from .recipe import Recipe
from .rehearsal import placed_on, rehearsed
from .runs import Epoch


class State(NamedTuple):
    """What a step changes."""

    network: Any
    optimiser: Any


class Learner(Learning):
    """A network that learns: a context, in which JAX has 64 bits if the recipe asks for them."""

    def __enter__(self) -> Self:
        recipe, data = self.recipe, self.data
        with ExitStack() as stack:
            stack.enter_context(jax.enable_x64(recipe.precision == "64-true"))
            self.devices = Devices(self.machines)
            self.network = built(recipe, data.train.features, data.classes)
            weights = self.network.init(jax.random.key(self.seed))
            self.shapes = tried(self.network, weights, recipe, data.train)
            self.objective = placed_on(self.shapes, recipe, self.spelled, data)
            self.optimiser = OPTIMISERS[recipe.optimiser](1.0)
            self.state = self.devices.everywhere(State(weights, self.optimiser.init(weights)))
            self.wide = np.float64 if recipe.precision == "64-true" else np.float32
            self.run = jax.jit(self.network.apply, out_shardings=self.devices.sharding())
            self.value = jax.jit(jax.value_and_grad(self.loss))
            self.steps: dict[int, Any] = {}
            self.context = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.context.close()

    @property
    def leads(self) -> bool:
        """Whether this is the process that says and keeps what there is."""
        return bool(jax.process_index() == 0)

    def save(self, path: Path, curve: list[Epoch]) -> None:
        """Keep the training as it is after an epoch."""
        self.file(path).save(_named(self.state), curve, pack)

    def restore(self, path: Path) -> list[Epoch]:
        """Go back to the last epoch that was kept, and say which there were."""

        def put_back(tensors: dict[str, Any]) -> None:
            leaves, form = jax.tree.flatten(self.state)
            kept = [np.asarray(tensors[name]) for name in _named(self.state)]
            for old, new in zip(leaves, kept, strict=True):
                if (old.shape, old.dtype) != (new.shape, new.dtype):
                    raise ValueError(f"an array {new.shape} in the place of {old.shape}")
            self.state = self.devices.everywhere(jax.tree.unflatten(form, kept))

        return self.file(path).restore(put_back)

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Mean loss per sample, seconds, and seconds of these in the objective.

        Compiling is not counted. What the objective takes inside a compiled step cannot be seen
        from outside: its value and gradient alone are compiled too, and timed on the records of one
        batch; that, the least of three, times the number of batches, is what it took of the epoch.
        """
        recipe, split = self.recipe, self.data.train
        order = np.random.default_rng((self.seed, number)).permutation(len(split))
        batches = np.split(order, range(recipe.batch_size, len(split), recipe.batch_size))
        steps = {count: self._compiled(count) for count in {len(index) for index in batches}}
        rate = self.devices.put(self.wide(recipe.rate(number)))
        total, start = 0.0, time.process_time()
        for index in batches:
            batch = self.devices.split(split.take(index))
            self.state, loss = steps[len(index)](self.state, batch, rate)
            total += float(loss) * len(index)
        seconds = time.process_time() - start
        inside = self._seconds_of_objective(batches[0]) * len(batches)
        return total / len(split), seconds, min(inside, seconds)

    def respond(self, split: Split) -> Activity:
        """What the network does with every sample, in chunks of one shape: NumPy."""
        chunks = -(-len(split) // CHUNK)
        size, parts = -(-len(split) // chunks), []
        for start in range(0, len(split), size):
            index = np.arange(start, min(start + size, len(split)))
            parts.append(self._responded(split, index, size))
        return joined(parts)

    def _responded(self, split: Split, index: Any, size: int) -> Activity:
        """What the network does with samples, beside copies of the last one up to a size."""
        full = np.pad(index, (0, size - len(index)), mode="edge")
        inputs = self.devices.split(split.take(full)).inputs
        raw = self.run(self.state.network, inputs)
        return Activity.of(raw).map(lambda x: np.asarray(x, np.float32)[:, : len(index)])

    def _compiled(self, count: int) -> Any:
        """The step, compiled for batches of so many samples."""
        if count not in self.steps:
            batch = self.devices.split(self.data.train.take(np.zeros(count, int)))
            run = jax.jit(self._step, out_shardings=self.devices.sharding())
            lowered = run.lower(self.state, batch, self.devices.put(self.wide(0)))
            self.steps[count] = lowered.compile()
        return self.steps[count]

    def _step(self, state: State, batch: Batch, rate: Any) -> tuple[State, Any]:
        """The optimiser's next state, and the loss of a batch before it."""
        weights = state.network
        loss, gradients = self._gradients(weights, batch)
        if self.recipe.clip is not None:  # as PyTorch does
            squares = (jnp.sum(g.astype(self.wide) ** 2) for g in jax.tree.leaves(gradients))
            scale = jnp.minimum(1, self.recipe.clip / (jnp.sqrt(sum(squares)) + 1e-6))
            gradients = jax.tree.map(lambda g: (g * scale).astype(g.dtype), gradients)
        changes, optimiser = self.optimiser.update(gradients, state.optimiser, weights)
        moved = jax.tree.map(lambda w, c: (w + rate * c).astype(w.dtype), weights, changes)
        return State(moved, optimiser), loss

    def _gradients(self, weights: Any, batch: Batch) -> tuple[Any, Any]:
        """The loss of a batch and its gradient, of parts of it one at a time if it accumulates."""
        count = len(batch.labels)
        micro = min(self.recipe.accumulate, count)
        if micro == 1:
            return jax.value_and_grad(self._loss)(weights, batch)
        blank = self.shapes.map(lambda x: jnp.zeros((x.shape[0], count, x.shape[2]), x.dtype))
        whole = self._parts(blank, batch).denominator

        def part_of(weights: Any, part: Batch) -> Any:
            return self._parts(self._activity(weights, part), part)._replace(denominator=whole)

        def body(total: Any, part: Batch) -> Any:
            found = jax.value_and_grad(lambda w: part_of(w, part).value())(weights)
            return jax.tree.map(jnp.add, total, found), None

        first = jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), weights)
        total = (jnp.zeros((), self.wide), first)
        for parts in _stacked(batch, micro):
            total, _ = lax.scan(body, total, parts)
        return total

    def _activity(self, weights: Any, batch: Batch) -> Activity:
        return Activity.of(self.network.apply(weights, batch.inputs))

    def _parts(self, activity: Activity, batch: Batch) -> Any:
        return self.parts(records_of(activity, self.objective), batch.labels, batch.lengths)

    def _loss(self, weights: Any, batch: Batch) -> Any:
        records = records_of(self._activity(weights, batch), self.objective)
        return self.loss(records, batch.labels, batch.lengths)

    def _seconds_of_objective(self, index: Any) -> float:
        """Of the objective's value and gradient, on what the network does with some samples."""
        batch = self.data.train.take(index)
        records = records_of(self._responded(self.data.train, index, len(index)), self.objective)
        known = jax.tree.map(jnp.asarray, (records, *map(integers, batch[1:])))
        taken = []
        for _ in range(4):  # the first of which compiles
            start = time.process_time()
            jax.block_until_ready(self.value(*known))  # type: ignore[no-untyped-call]
            taken.append(time.process_time() - start)
        return min(taken)


def _stacked(batch: Batch, micro: int) -> list[Batch]:
    """A batch in so many parts, those of one size stacked; sizes differ by a sample at most."""
    inputs, labels, lengths = batch
    size, larger = divmod(len(labels), micro)
    groups, start = [], 0
    for number, each in ((larger, size + 1), (micro - larger, size)):
        if number:
            at = slice(start, start + number * each)
            x = inputs[:, at].reshape(len(inputs), number, each, -1).swapaxes(0, 1)
            few = None if lengths is None else lengths[at].reshape(number, each)
            groups.append(Batch(x, labels[at].reshape(number, each), few))
            start = at.stop
    return groups


def _named(state: State) -> dict[str, Any]:
    """The arrays of a state, by where they are in it: NumPy."""
    leaves, _ = jax.tree.flatten_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}


def tried(network: Network, weights: Any, recipe: Recipe, split: Split, count: int = 1) -> Activity:
    """The shapes of what a network does with the first samples; what goes wrong in it is said."""
    inputs = split.take(np.arange(count)).inputs
    with trials(recipe, inputs):
        return Activity.of(jax.eval_shape(network.apply, weights, inputs))


def rehearse(recipe: Recipe, objective: Objective, data: Dataset) -> None:
    """As `spikeloss.lab.training.rehearse`."""
    with jax.enable_x64(recipe.precision == "64-true"):
        network = built(recipe, data.train.features, data.classes)
        weights = network.init(jax.random.key(0))
        shapes = tried(network, weights, recipe, data.train, 2)
        placed = placed_on(shapes, recipe, objective, data)

        def found(activity: Activity, labels: Any, lengths: Any) -> list[Any]:
            known = {"lengths": integers(lengths)}
            records = jax.tree.map(jnp.asarray, records_of(activity, placed))
            if recipe.accumulate > 1:
                placed.loss.parts(records, integers(labels), **known)
            run = jax.jit(jax.value_and_grad(placed.loss))
            return jax.tree.leaves(run(records, integers(labels), **known))

        rehearsed(recipe, placed, shapes, data, found)


OPTIMISERS: dict[str, Any] = {
    "adam": optax.adam,
    "adamw": lambda rate: optax.adamw(rate, weight_decay=0.01),  # PyTorch's
    "sgd": optax.sgd,
}
"""Of a learning rate of 1: what they change is multiplied by that of the epoch."""
