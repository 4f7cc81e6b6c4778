"""What `test_ranks.py` runs in every process of a group: the loss over ranks is that of one batch.

A check is a function of a `World`, which runs on all ranks at once and asserts. The whole batch is
known to every rank, which computes alone what all of them should find together. T=7 steps, B=5
samples, N=6 neurons, C=3 classes; ranks hold different numbers of samples, and some of them none.
"""

import json
import os
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from cases import CASES, LENGTHS, SAMPLE_WEIGHT, TOTALS, B, Case, N, T, case
from libraries import TORCH, same
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh

import spikeloss.torch_metrics as of_batches
from spikeloss import Parts, penalties, presets
from spikeloss.criteria import CrossEntropy
from spikeloss.readouts import SumOverTime
from spikeloss.reductions import Each, Mean, Sum

ROWS = tuple(row for row in CASES if not isinstance(row.loss.reduction, Each))
WEIGHTED, PADDED = {"sample_weight": SAMPLE_WEIGHT}, {"lengths": LENGTHS}


class World(NamedTuple):
    """A process, and of how many it is one."""

    rank: int
    size: int

    @property
    def splits(self) -> tuple[tuple[int, ...], ...]:
        """Where the samples of a rank end: unevenly, and where all but one have none."""
        inner = {2: (2,), 4: (1, 1, 3)}[self.size]
        return (0, *inner, B), (0,) * self.size + (B,), (0, *(B,) * self.size)

    def mine(self, split: tuple[int, ...]) -> slice:
        """The samples of this rank."""
        return slice(split[self.rank], split[self.rank + 1])


CHECKS: dict[str, Callable[[World], None]] = {}


def check(function: Callable[[World], None]) -> Callable[[World], None]:
    CHECKS[function.__name__] = function
    return function


def tensors(values: dict[str, Any]) -> dict[str, Any]:
    return {name: TORCH.array(value) for name, value in values.items()}


def graded(loss: Any, x: Any, *given: Any, **options: Any) -> tuple[Any, Any]:
    """The value and the gradient of a call."""
    x = x.detach().clone().requires_grad_()
    value = loss(x, *given, **options)
    return value.detach(), torch.autograd.grad(value, x)[0]


def of_samples(row: Case, y: Any, part: slice) -> Any:
    """The samples of a target."""
    if row.target == "neuron_times":
        return y
    return y[:, part] if row.target.startswith(("step_", "spike_")) else y[part]


def compared(
    world: World, loss: Any, row: Case, split: tuple[int, ...], gradients: Any, **options: Any
) -> None:
    """The loss of the shards, and its gradient, with those of the batch."""
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    value, grad = graded(loss, x, y, **options)
    part = world.mine(split)
    own = {name: option[part] for name, option in options.items()}
    mine = x[part] if row.timeless else x[:, part]
    shared = loss.across("world", gradients=gradients)
    found, slope = graded(shared, mine, of_samples(row, y, part), **own)
    same(found, value.numpy())
    grad = grad[part] if row.timeless else grad[:, part]
    same(slope, (grad * (world.size if gradients == "averaged" else 1)).numpy())


@check
def every_row(world: World) -> None:
    """Presets, readouts, criteria and targets by their options, ways to split and of gradients."""
    seen = 0
    for i, row in enumerate(ROWS):
        kinds = ({}, WEIGHTED) if row.timeless else ({}, WEIGHTED | PADDED)
        for j, options in enumerate(kinds):
            if "lengths" in options and row.least_steps > 1:
                options = WEIGHTED
            split = world.splits[(i + j) % len(world.splits)]
            gradients = ("averaged", "summed")[(i // 3 + j) % 2]
            try:
                compared(world, row.loss, row, split, gradients, **tensors(options))
            except AssertionError as error:
                said = f"{row.name}, {list(options)}, {split}, {gradients}"
                raise AssertionError(said) from error
            seen += 1
    assert seen > 300


SUMS = {
    "penalties": presets.ce_count(class_weight=(0.5, 2.0, 3.0, 0.0, 1.0, 1.5))
    + 0.1 * penalties.count_l1()
    + -0.5 * penalties.rate_bounds(lower=0.1, upper=0.2),
    "of means and sums": presets.ce_count().replace(reduction=Mean("weights"))
    + 2.0 * presets.mse_count(reduction=Sum()),
    "tet": presets.tet(),
}


@check
def sums_by_one_collective(world: World) -> None:
    row, calls, plain = case("ce_count()"), [], distributed.all_reduce

    def counted(*given: Any, **options: Any) -> Any:
        calls.append(given)
        return plain(*given, **options)

    distributed.all_reduce = counted
    for name, loss in SUMS.items():
        for split in world.splits:
            calls.clear()
            compared(world, loss, row, split, "averaged", **tensors(WEIGHTED | PADDED))
            assert len(calls) == 1, name
    distributed.all_reduce = plain
    for terms in TOTALS[:2]:
        total = sum((f * case(name).loss for f, name in terms[1:]), terms[0][0] * row.loss)
        compared(world, total, row, world.splits[0], "summed")


@check
def ignored_labels(world: World) -> None:
    """Of one rank all, and of all ranks all: the mean is nan, the sum 0."""
    row = case("CrossEntropy ignoring")
    ignored = row.loss.criterion.ignore_index
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of()).clone()
    part = world.mine(world.splits[0])
    y[world.splits[0][-2] :] = ignored
    value, grad = graded(row.loss, x, y)
    shared = row.loss.across("world", gradients="summed")
    found, slope = graded(shared, x[:, part], y[part])
    same(found, value.numpy())
    same(slope, grad[:, part].numpy())
    y[:] = ignored
    assert shared(x[:, part], y[part]).isnan()
    total = row.loss.replace(reduction=Sum(across="world"))
    assert total(x[:, part], y[part]) == 0


@check
def precision(world: World) -> None:
    row, part = case("ce_count()"), world.mine(world.splits[0])
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    for dtype in (torch.float32, torch.bfloat16, torch.bool):
        wanted = row.loss(x.to(dtype), y)
        found = row.loss.across("world")(x[:, part].to(dtype), y[part])
        assert found.dtype == wanted.dtype
        torch.testing.assert_close(found, wanted)


@check
def infinite(world: World) -> None:
    """A loss that is infinite on one rank is so on all, and finite samples keep their gradient."""
    x = torch.zeros(3, world.size, 2, dtype=torch.float64)
    x[:, 0] = torch.tensor([-torch.inf, 0.0])
    x, y = x[:, [world.rank]].requires_grad_(), torch.zeros(1, dtype=torch.int64)
    value = presets.ce_count().across("world")(x, y)
    value.backward()
    assert value == torch.inf
    assert x.grad is not None
    assert world.rank == 0 or x.grad.isfinite().all()


@check
def sequences(world: World) -> None:
    """CTC looks at each sample by itself."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, B, 4, generator=generator, dtype=torch.float64)
    y, part = torch.randint(1, 4, (B, 3), generator=generator), world.mine(world.splits[0])
    value, grad = graded(presets.ctc(), x, y)
    found, slope = graded(presets.ctc().across("world"), x[:, part], y[part])
    same(found, value.numpy())
    same(slope, world.size * grad[:, part].numpy())


@check
def streams(world: World) -> None:
    loss, row = presets.ce_count() + 0.1 * penalties.count_l1(), case("ce_count()")
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    part = world.mine(world.splits[0])
    stream = loss.across("world").stream(y[part])
    for step in x[:, part]:
        stream.step(step)
    same(stream.value(), loss(x, y).numpy())


@check
def parts_of_micro_batches(world: World) -> None:
    loss = presets.ce_count().replace(reduction=Mean("weights")) + penalties.count_l1()
    row, options = case("ce_count()"), tensors(WEIGHTED)
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    value, grad = graded(loss, x, y, **options)
    part, weight = world.mine(world.splits[0]), options["sample_weight"]

    some = [slice(part.start, part.start), *(slice(b, b + 1) for b in range(part.start, part.stop))]

    def micro(x: Any) -> Any:
        parts = sum(loss.parts(x[:, b], y[b], sample_weight=weight[b]) for b in some)
        return parts.across("world", gradients="summed").value()

    found, slope = graded(micro, x)
    same(found, value.numpy())
    same(slope[:, part], grad[:, part].numpy())


# Networks


class Network(torch.nn.Module):
    """Inputs (T, B, 4) -> a membrane record (T, B, N), of float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Linear(4, 8, dtype=torch.float64)
        self.last = torch.nn.Linear(8, N, dtype=torch.float64)

    def forward(self, x: Any) -> Any:
        return torch.cumsum(self.last(torch.tanh(self.first(x))), 0)


def batch() -> tuple[Any, Any, dict[str, Any]]:
    x = torch.randn(T, B, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, torch.tensor([0, 3, 5, 1, 1]), tensors(WEIGHTED | PADDED)


TRAINED = {
    "mean": presets.ce_max_membrane(),
    "weights": presets.ce_max_membrane(
        class_weight=(1.0, 2.0, 6.0, 0.5, 1.0, 3.0), reduction=Mean("weights")
    ),
    "sum": presets.ce_max_membrane(reduction=Sum()) + 0.1 * penalties.membrane_bounds(),
}


def of_one_process(loss: Any) -> tuple[Any, list[Any]]:
    network, (x, y, options) = Network(), batch()
    value = loss(network(x), y, **options)
    value.backward()
    return value.detach(), [p.grad for p in network.parameters()]


def trained(world: World, wrap: Callable[[Any], Any], full: Callable[[Any], Any]) -> None:
    """The value and every gradient of a network that is wrapped."""
    for loss in TRAINED.values():
        value, grads = of_one_process(loss)
        for split in world.splits:
            network, (x, y, options) = wrap(Network()), batch()
            part = world.mine(split)
            own = {name: option[part] for name, option in options.items()}
            found = loss.across("world")(network(x[:, part]), y[part], **own)
            found.backward()
            same(found, value.numpy())
            for p, grad in zip(network.parameters(), grads, strict=True):
                same(full(p.grad), grad.numpy())


@check
def ddp(world: World) -> None:
    trained(world, torch.nn.parallel.DistributedDataParallel, lambda grad: grad)


@check
def fsdp(world: World) -> None:
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (world.size,))

    def wrap(network: Any) -> Any:
        return fully_shard(network, mesh=mesh)

    trained(world, wrap, lambda grad: grad.full_tensor())


@check
def summed_by_hand(world: World) -> None:
    def summed(grad: Any) -> Any:
        distributed.all_reduce(grad)
        return grad

    loss = TRAINED["weights"]
    value, grads = of_one_process(loss)
    network, (x, y, options) = Network(), batch()
    part = world.mine(world.splits[0])
    own = {name: option[part] for name, option in options.items()}
    found = loss.across("world", gradients="summed")(network(x[:, part]), y[part], **own)
    found.backward()
    same(found, value.numpy())
    for p, grad in zip(network.parameters(), grads, strict=True):
        same(summed(p.grad), grad.numpy())


@check
def accumulation(world: World) -> None:
    """Of micro-batches one after the other, of which the last alone is synchronised."""
    loss = TRAINED["weights"]
    value, grads = of_one_process(loss)
    network = torch.nn.parallel.DistributedDataParallel(Network())
    x, y, options = batch()
    part = world.mine(world.splits[0])
    middle = min(part.start + 1, part.stop)
    some = [slice(part.start, middle), slice(middle, part.stop)]

    def parts(record: Any, some: slice) -> Parts:
        own = {name: option[some] for name, option in options.items()}
        return loss.parts(record, y[some], **own)

    silent = torch.zeros(T, B, N, dtype=torch.float64)
    whole = sum(parts(silent[:, s], s) for s in some).across("world")
    total = torch.zeros((), dtype=torch.float64)
    for i, s in enumerate(some):
        last = i == len(some) - 1
        with nullcontext() if last else network.no_sync():
            share = Parts(parts(network(x[:, s]), s).numerator, whole.denominator).value()
            (world.size * share).backward()
            total += share.detach()
    distributed.all_reduce(total)
    same(total, value.numpy())
    for p, grad in zip(network.parameters(), grads, strict=True):
        same(p.grad, grad.numpy())


# Groups


@check
def groups(world: World) -> None:
    """By a description, by a dimension of a mesh, and several at once."""
    row = case("mse_count()")
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    wanted, part = row.loss(x, y).numpy(), world.mine(world.splits[0])
    distributed.new_group(list(range(world.size)), group_desc="data")
    same(row.loss.across("data")(x[:, part], y[part]), wanted)
    alone = distributed.new_subgroups(1, group_desc="alone")[0]
    assert alone.size() == 1
    if part.stop > part.start:
        same(row.loss.across("alone")(x[:, part], y[part]), row.loss(x[:, part], y[part]).numpy())
    if world.size == 4:
        init_device_mesh("cpu", (2, 2), mesh_dim_names=("outer", "inner"))
        both = Mean(across=("outer", "inner"))
        found, slope = graded(row.loss.replace(reduction=both), x[:, part], y[part])
        same(found, wanted)
        same(slope, 4 * graded(row.loss, x, y)[1][:, part].numpy())
        half = slice(0, 2) if world.rank < 2 else slice(2, 5)
        own = (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 5))[world.rank]
        same(row.loss.across("inner")(x[:, own], y[own]), row.loss(x[:, half], y[half]).numpy())


@check
def compiled(world: World) -> None:
    """In one graph; with more ranks alone, as it takes long."""
    if world.size < 4:
        return
    row, part = case("ce_count()"), world.mine(world.splits[0])
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    value, grad = graded(row.loss, x, y)
    shared = row.loss.across("world", gradients="summed")
    run = torch.compile(lambda x, y: shared(x, y), fullgraph=True, backend="aot_eager")
    found, slope = graded(run, x[:, part], y[part])
    same(found, value.numpy())
    same(slope, grad[:, part].numpy())
    run = torch.func.grad(lambda x: shared(x, y[part]))
    same(run(x[:, part]), grad[:, part].numpy())


# Stretches of time, and metrics


@check
def stretches_of_time(world: World) -> None:
    """Every rank reads its own steps; states are gathered, and the gradient is that of each."""
    row = case("ce_count()")
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    ends = {2: (0, 3, T), 4: (0, 1, 3, 4, T)}[world.size]
    mine = slice(ends[world.rank], ends[world.rank + 1])
    for loss in (presets.ce_count(), presets.ce_max_membrane(), presets.mse_temporal()):
        value, grad = graded(loss, x, y, lengths=TORCH.array(LENGTHS))
        fold = loss.fold(y, lengths=TORCH.array(LENGTHS))
        steps = x[mine].clone().requires_grad_()
        state = fold.steps(fold.begin(steps, start=mine.start), steps)
        states = gathered(world, state)
        merged = states[0]
        for other in states[1:]:
            merged = fold.merge(merged, other)
        found = fold.finish(merged)
        same(found, value.numpy())
        found.backward()
        same(steps.grad, grad[mine].numpy())


def gathered(world: World, state: Any) -> list[Any]:
    """The states of all ranks, of which that of this one keeps its gradient."""
    states: list[Any] = [None] * world.size
    distributed.all_gather_object(states, torch.utils._pytree.tree_map(plain, state))
    states[world.rank] = state
    return states


def plain(x: Any) -> Any:
    return x.detach() if isinstance(x, torch.Tensor) else x


@check
def synchronised_metrics(world: World) -> None:
    row, readout = case("ce_count()"), SumOverTime()
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    for make in (
        lambda: of_batches.Accuracy(readout),
        lambda: of_batches.TopK(readout, k=2),
        lambda: of_batches.Confusion(readout, classes=N),
        lambda: of_batches.AnytimeAccuracy(readout, steps=T),
        lambda: of_batches.CalibrationError(readout, bins=4),
        lambda: of_batches.SynapticOperations(torch.arange(1.0, N + 1)),
        lambda: of_batches.SpikesPerSample(),
    ):
        alone = make()
        alone.distributed_available_fn = lambda: False
        alone.update(x, y)
        for split in world.splits[:1]:
            metric, part = make(), world.mine(split)
            for i in range(part.start, part.stop):
                metric.update(x[:, i : i + 1], y[i : i + 1])
            with quiet_where(part.start == part.stop):
                torch.testing.assert_close(metric.compute(), alone.compute(), rtol=1e-12, atol=0)


def quiet_where(condition: bool) -> Any:
    """torchmetrics warns of a rank that has seen nothing."""
    return pytest.warns(UserWarning, match="update") if condition else nullcontext()


# Refusals


@check
def refusals(world: World) -> None:
    row, part = case("ce_count()"), world.mine(world.splits[0])
    x, y = TORCH.array(row.record_of())[:, part], TORCH.array(row.target_of())[part]
    loss = row.loss
    text = r"^across: expected the name of one process group of this rank, got 'nobody', which is "
    with pytest.raises(ValueError, match=text + r"that of 0 of 'world'.*\. Name it"):
        loss.across("nobody")(x, y)
    unlike = loss + loss if world.rank else loss
    with pytest.raises(ValueError, match=r"^across: expected parts of one loss on all ranks"):
        unlike.across("world")(x, y)
    unlike = loss.replace(reduction=Sum()) if world.rank else loss
    with pytest.raises(ValueError, match=r"^across: expected parts of one loss on all ranks"):
        unlike.across("world")(x, y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPIKELOSS_CHECKS", "off")
        assert unlike.across("world")(x, y).isnan()
    if world.rank == 0:  # what a value is found to be is not told to others
        with pytest.raises(ValueError, match=r"^target: expected"):
            loss.across("world")(x, y + N)
    every = CrossEntropy(), Mean(across="world")
    assert hash(every) == hash((CrossEntropy(), Mean(across="world")))


# A process


def run(rank: int, size: int, folder: str, names: str = "") -> None:
    """Write what every check found: nothing, or what was wrong; stop at what went wrong."""
    distributed.init_process_group(
        "gloo",
        init_method=Path(folder, "store").as_uri(),
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=60),
    )
    found: dict[str, str] = {}
    for name in filter(None, names.split(",")) if names else CHECKS:
        try:
            CHECKS[name](World(rank, size))
        except BaseException:
            found[name] = traceback.format_exc()
            break
        found[name] = ""
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    if any(found.values()):
        os._exit(1)  # not in the order that others wait for
    distributed.destroy_process_group()
