"""The losses under the transformations of torch and JAX: the same numbers, and no value is read.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes, F=2 spikes: no two axes are equal. The cheap
transformations run on every row of `CASES`, those that compile on `SPREAD`.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from cases import CASES, SAMPLE_WEIGHT, Array, Case, case
from harness import compiled, covering, stages
from libraries import JAX, TORCH, Library, same
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from spikeloss import Loss, presets
from spikeloss.compat import brainpy, snntorch
from spikeloss.criteria import CrossEntropy
from spikeloss.readouts import FirstSpike, Readout, SpikeTimes
from spikeloss.reductions import Each, Sum

Arguments = tuple[Any, Any, dict[str, Any]]  # record, target, options

AXES = {
    "labels": "B",
    "step_labels": "TB",
    "probabilities": "BC",
    "step_probabilities": "TBC",
    "values": "BC",
    "step_values": "TBC",
    "neuron_times": "C",
    "times": "BC",
    "spike_times": "FBC",
}


def features(case: Case) -> set[Any]:
    """The stages of a case, their options, and what it reads."""
    sort = case.target_of().dtype.kind
    found: set[Any] = {(sort, "T" in AXES[case.target], type(case.loss.criterion))}
    found.add(case.loss.class_weight is None)

    def visit(part: Any) -> None:
        found.add(type(part))
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, Readout):
                visit(value)
            elif value != field.default:
                found.add((type(part), field.name))

    for part in (case.loss.readout, case.loss.criterion, case.loss.target, case.loss.reduction):
        visit(part)
    return found


DROP_IN = [
    name
    for name, preset in presets.catalogue().items()
    if "snntorch" in preset.source or "brainpy" in preset.source
]


def spread() -> list[Case]:
    """Every preset with a drop-in name, and cases in which every stage and option occurs."""
    plain = {row.preset[0]: row for row in reversed(CASES) if row.preset and not row.preset[1]}
    named = [plain[name] for name in DROP_IN]
    return list(covering(CASES, features, named))


SPREAD = spread()
every_case = pytest.mark.parametrize("case", CASES, ids=str)
QUICK = covering(SPREAD, stages)  # every stage; with the rest, every option of it
LONG = (pytest.mark.slow, pytest.mark.long)
each_kind = pytest.mark.parametrize(
    "case",
    [pytest.param(row, marks=() if row in QUICK else LONG) for row in SPREAD],
    ids=str,
)


def arguments(case: Case, library: Library, dtype: str = "float64", *, times: int = 1) -> Arguments:
    """What a case takes, with lengths and weights; every axis repeated that many times.

    Class weights of its own a case keeps.
    """
    sizes = {"F": 1, "C": 1 if case.groups else times}

    def made(values: Any, axes: str, dtype: str | None = None) -> Any:
        return library.array(np.tile(values, [sizes.get(axis, times) for axis in axes]), dtype)

    options = {"sample_weight": made(SAMPLE_WEIGHT, "B", dtype)}
    if not case.timeless:
        options["lengths"] = made(case.lengths, "B")
    by_class = case.loss.target.labelled or isinstance(case.loss.criterion, CrossEntropy)
    if by_class and case.loss.class_weight is None:
        options["class_weight"] = made(np.arange(1.0, case.classes() + 1), "C", dtype)
    target = case.target_of()
    is_float = dtype if target.dtype.kind == "f" else None
    record = made(case.record_of(), "BN" if case.timeless else "TBN", dtype)
    return record, made(target, AXES[case.target], is_float), options


def values(case: Case, record: Any, target: Any, options: dict[str, Any]) -> Any:
    """The loss with lengths and weights in one row, after that of a preset without them."""
    found = [case.loss(record, target, **options).reshape(-1)]
    if case.preset:
        found.insert(0, case.loss(record, target).reshape(-1))
    return torch.cat(found) if isinstance(record, torch.Tensor) else jnp.concatenate(found)


def weightless(case: Case) -> Case:
    """The case without weights of its own, which fit one number of classes or neurons."""
    readout = unweighted(case.loss.readout)
    return replace(case, loss=case.loss.replace(class_weight=None, readout=readout))


def unweighted(readout: Any) -> Readout:
    """A readout with one weight in place of one per neuron."""
    if isinstance(getattr(readout, "weights", None), tuple):
        readout = replace(readout, weights=2.0)
    return replace(readout, of=unweighted(readout.of)) if hasattr(readout, "of") else readout


def each(loss: Loss) -> Callable[..., Any]:
    """The losses of every sample: batch first."""
    alone = loss.replace(reduction=Each())

    def call(record: Any, target: Any, options: dict[str, Any]) -> Any:
        found = alone(record, target, **options)
        batch_axis = record.ndim - 2 if loss.readout.keeps == "spikes" else 0
        return found.swapaxes(0, 1) if batch_axis else found

    return call


def batch_axes(case: Case, options: dict[str, Any]) -> tuple[int, int | None, dict[str, Any]]:
    """Where the batch axis of every argument is, None where there is none."""
    target = AXES[case.target].find("B")
    axes = {name: None if name == "class_weight" else 0 for name in options}
    return 0 if case.timeless else 1, None if target < 0 else target, axes


def fresh(code: str, **environment: str) -> None:
    """Run code in a new interpreter, in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", code]
    settings = os.environ | environment
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
    assert run.returncode == 0, run.stderr


def test_spread_has_every_stage() -> None:
    assert set(DROP_IN) <= {row.preset[0] for row in SPREAD if row.preset}
    assert len(DROP_IN) == 8
    everything = set().union(*map(features, CASES))
    assert set().union(*map(features, SPREAD)) == everything
    assert len(SPREAD) < len(everything) / 2  # compiling each takes seconds


# torch.compile


def assert_compiled(case: Case, backend: str) -> None:
    torch._dynamo.reset()
    record, target, options = arguments(case, TORCH, "float32")
    loss = partial(values, case, target=target, options=options)
    value, grad = TORCH.value_and_grad(loss, record)
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    for actual, expected in zip(TORCH.value_and_grad(compiled, record), (value, grad), strict=True):
        same(actual, expected, "float32")


@each_kind
def test_torch_compile(case: Case) -> None:
    assert_compiled(case, "aot_eager")


@pytest.mark.skipif(
    "inductor" not in os.environ.get("SPIKELOSS_TESTS", ""),
    reason="half a minute, and needs g++; SPIKELOSS_TESTS=inductor runs it",
)
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["ce_rate()", "mse_temporal()"])
def test_torch_compile_to_machine_code(name: str) -> None:
    assert_compiled(case(name), "inductor")


@pytest.mark.parametrize(
    "name", ["ce_rate()", "ce_max_membrane()", "mse_count()", "mse_temporal()"]
)
def test_torch_compiles_once_for_any_batch_and_number_of_steps(name: str) -> None:
    row, graphs = case(name), []

    def count(graph: torch.fx.GraphModule, example: list[Any]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    record, labels, options = arguments(row, TORCH, "float32")
    lengths = options["lengths"].clamp(max=5)
    loss = torch.compile(row.loss.__call__, fullgraph=True, backend=count, dynamic=True)
    for steps, size in ((7, 5), (6, 4), (5, 3), (7, 2)):
        part = record[:steps, :size].clone(), labels[:size].clone()
        for layout in ({}, {"lengths": lengths[:size].clone()}):
            same(loss(*part, **layout), row.loss(*part, **layout), "float32")
    assert len(graphs) == 2  # without and with lengths


def peers(library: Library) -> tuple[Callable[[Any], Any], Any]:
    """The drop-in losses as one function of a record, and a record."""
    record, labels, options = arguments(case("ce_rate()"), library, "float32")
    weight = options["class_weight"]
    losses = [
        snntorch.ce_rate_loss(weight=weight),
        snntorch.ce_count_loss(population_code=True, num_classes=6, reduction="sum"),
        snntorch.mse_membrane_loss(weight=weight, reduction="none"),
        snntorch.mse_temporal_loss(multi_spike=True, on_target=[0, 1], off_target=[-1, -2]),
    ]

    def run(record: Any) -> Any:
        total = sum(loss(record, labels).sum() for loss in losses)
        total = total + snntorch.l1_rate_sparsity()(record)
        return total + brainpy.cross_entropy_loss(record[0], labels, weight, label_smoothing=0.1)

    return run, record


def test_torch_compiles_peers() -> None:
    torch._dynamo.reset()
    run, record = peers(TORCH)
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    same(compiled(record), TORCH.value(run, record), "float32")


@pytest.mark.slow
def test_torch_compile_comes_first() -> None:
    fresh("""
import torch
import spikeloss as sl

torch.set_num_threads(1)
record = (torch.arange(105.0).reshape(7, 5, 3) % 4 == 0).float()
labels, lengths = torch.tensor([0, 1, 2, 2, 1]), torch.tensor([7, 1, 4, 6, 3])

total = sl.presets.ce_count(class_weight=(1, 2, 3)) + 0.5 * sl.presets.mse_temporal()

def losses(record):
    spikes = record * 1.0
    return total(spikes, labels, lengths=lengths), total.predict(spikes)

compiled = torch.compile(losses, fullgraph=True, backend="aot_eager")
found = compiled(record)
assert all(torch.equal(a, b) for a, b in zip(found, losses(record), strict=True)), found
with torch.compiler.set_stance("fail_on_recompile"):
    compiled(record)
""")


def test_torch_export() -> None:
    class Objective(torch.nn.Module):
        def forward(self, record: Any, labels: Any, lengths: Any) -> Any:
            return presets.mse_temporal()(record, labels, lengths=lengths)

    record, labels, options = arguments(case("mse_temporal()"), TORCH, "float32")
    given = record, labels, options["lengths"]
    exported = torch.export.export(Objective(), given)
    same(exported.module()(*given), Objective()(*given), "float32")


# torch.func, autocast and higher derivatives


@every_case
def test_torch_func(case: Case) -> None:
    record, target, options = arguments(case, TORCH)
    one = each(case.loss)
    total = partial(values, case, target=target, options=options)
    _, grad = TORCH.value_and_grad(total, record)
    same(torch.func.grad(lambda record: total(record).sum())(record), grad)
    records = torch.stack([record, record.flip(-1)])
    same(torch.vmap(total)(records), torch.stack([total(record) for record in records]))

    axes = batch_axes(case, options)
    alone, grads = TORCH.value_and_grad(partial(one, target=target, options=options), record)
    same(torch.vmap(one, axes)(record, target, options), alone)
    per_sample = torch.func.grad(lambda *given: one(*given).sum())
    same(torch.vmap(per_sample, axes, axes[0])(record, target, options), grads)


@each_kind
def test_torch_jacobian_has_a_block_per_sample(case: Case) -> None:
    record, target, options = arguments(case, TORCH)
    one = partial(each(case.loss), target=target, options=options)
    _, grad = TORCH.value_and_grad(one, record)
    jacobian = torch.func.jacrev(lambda record: one(record).reshape(len(target_batch), -1).sum(1))
    target_batch = range(record.shape[-2])
    rows = jacobian(record)
    for sample in target_batch:
        kept = torch.zeros_like(record)
        kept[..., sample, :] = torch.from_numpy(grad.copy())[..., sample, :]
        same(rows[sample], kept)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@every_case
def test_torch_forward_derivative(case: Case) -> None:
    record, target, options = arguments(case, TORCH)
    loss = partial(values, case, target=target, options=options)
    direction = torch.from_numpy(np.random.default_rng(3).normal(size=record.shape))
    value, slope = torch.func.jvp(loss, (record,), (direction,))
    _, grad = TORCH.value_and_grad(loss, record)
    same(value, loss(record).numpy())
    same(slope.sum(), np.sum(grad * direction.numpy()))


@every_case
def test_torch_autocast_changes_nothing(case: Case) -> None:
    record, target, options = arguments(case, TORCH, "float32")
    loss = partial(values, case, target=target, options=options)
    value, grad = TORCH.value_and_grad(loss, record)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast_value, cast_grad = TORCH.value_and_grad(loss, record)
    same(cast_value, value, "float32")
    same(cast_grad, grad, "float32")


def smooth(case: Case) -> bool:
    """Whether differences of the derivative tell the second one: kinks are not near by."""
    return case.record != "spikes" and not features(case) & {FirstSpike, SpikeTimes}


@pytest.mark.parametrize("case", [row for row in CASES if smooth(row)], ids=str)
def test_torch_second_derivative(case: Case) -> None:
    record, target, options = arguments(case, TORCH)
    loss = partial(values, case, target=target, options=options)
    assert torch.autograd.gradgradcheck(loss, record.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("name", ["ce_temporal()", "ce_max_membrane()"])
def test_torch_second_derivative_of_an_estimator(name: str) -> None:
    # The readouts have a constant derivative J, so that the second one is J' H J, H of the logits.
    row = case(name)
    record, labels, _ = arguments(row, TORCH)
    decision = row.loss.readout(record)
    read = torch.func.jacrev(row.loss.readout)(record)
    direction = torch.from_numpy(np.random.default_rng(3).normal(size=record.shape))

    def linear(record_: Any) -> Any:
        moved = torch.tensordot(read, record_ - record, 3)
        return presets.cross_entropy()(decision + moved, labels)

    def along(loss: Callable[[Any], Any]) -> Any:
        grad = torch.func.grad(loss)
        return torch.func.vjp(grad, record)[1](direction)[0]

    found = along(lambda record: row.loss(record, labels))
    assert found.abs().max() > 1e-3
    same(found, along(linear).numpy())


# What torch executes


class Operators(TorchDispatchMode):
    """The operators that run; a mask of bools as an index has a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masks = [
            index
            for arg in args
            if isinstance(arg, (list, tuple)) and func.name().startswith("aten::index")
            for index in arg
            if isinstance(index, torch.Tensor) and index.dtype == torch.bool
        ]
        self.names += ["index by a mask"] if masks else []
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


# Reading a value, a size that depends on values, and numbers that come from Python's memory: on an
# accelerator each of them makes the host wait.
WAITING = {
    "aten::_local_scalar_dense",
    "aten::equal",
    "aten::is_nonzero",
    "aten::item",
    "aten::lift_fresh",
    "aten::masked_select",
    "aten::nonzero",
    "aten::unique2",
    "index by a mask",
}


def operators(loss: Loss, record: Any, target: Any, **options: Any) -> list[str]:
    record.requires_grad_()
    with Operators() as seen:
        loss(record, target, **options).sum().backward()
    return seen.names


@pytest.mark.parametrize("checks", ["off", "auto"])
def test_torch_operators_are_seen(checks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOSS_CHECKS", checks)
    monkeypatch.setenv("SPIKELOSS_KERNELS", "off")
    record, target, _ = arguments(case("ce_rate()"), TORCH)
    names = operators(case("ce_rate()").loss, record, target)
    assert bool(WAITING & set(names)) is (checks == "auto")  # labels are read to be checked
    assert "aten::_log_softmax_backward_data" in names


@every_case
def test_torch_never_waits_and_never_loops(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    monkeypatch.setenv("SPIKELOSS_KERNELS", "off")
    counts = []
    case = weightless(case)
    for times in (1, 2):
        record, target, options = arguments(case, TORCH, "float32", times=times)
        names = operators(case.loss, record, target, **options)
        names += operators(case.loss, record, target)
        assert not WAITING & set(names)
        counts.append(Counter(names))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("place", ["meta", "fake"])
@every_case
def test_torch_needs_no_values(case: Case, place: str) -> None:
    # Tensors without values, as on an accelerator, whose values nobody should read.
    record, target, options = arguments(case, TORCH)
    mode = FakeTensorMode() if place == "fake" else nullcontext()
    with mode:
        given = [mode.from_tensor(x) if place == "fake" else x.to("meta")
                 for x in (record, target, *options.values())]  # fmt: skip
        record, target, *rest = given
        options = dict(zip(options, rest, strict=True))
        layout = {} if case.timeless else {"lengths": options["lengths"]}
        record.requires_grad_()
        loss = values(case, record, target, options)
        loss.sum().backward()
        assert record.grad.shape == record.shape
        assert case.loss.predict(record, **layout).shape == (record.shape[-2],)


@pytest.mark.parametrize("argument", ["target", "lengths", "sample_weight", "class_weight"])
def test_torch_moves_nothing_between_devices(argument: str) -> None:
    row = case("ce_rate()")
    record, target, options = arguments(row, TORCH)
    given = {"target": target} | options
    given = {name: x if name == argument else x.to("meta") for name, x in given.items()}
    with pytest.raises(
        ValueError, match=f"^{argument}: expected a tensor on meta .*got one on cpu"
    ):
        row.loss(record.to("meta"), **given)


# JAX


def jaxed(case: Case) -> Callable[..., dict[str, Any]]:
    """Everything about a case that JAX can transform, in one function to compile."""
    one = each(case.loss)

    def run(record: Any, target: Any, options: dict[str, Any], direction: Any) -> dict[str, Any]:
        total = partial(values, case, target=target, options=options)
        value, pull = jax.vjp(total, record)
        axes = batch_axes(case, options)

        def along(record: Any) -> Any:
            return jax.jvp(total, (record,), (direction,))

        def alone(*given: Any) -> Any:
            return one(*given).sum(), one(*given)

        records, slopes = jax.vmap(along)(jnp.stack([record, record[..., ::-1]]))
        per_sample = jax.vmap(jax.grad(alone, has_aux=True), axes, (axes[0], 0))
        grads, values_ = per_sample(record, target, options)
        return {
            "value": value,
            "grad": pull(jnp.ones_like(value))[0],
            "records": records,
            "slope": slopes[0].sum(),
            "each": values_,
            "grads": grads,
        }

    return run


def torched(case: Case, direction: Array) -> dict[str, Any]:
    """The same, one after the other."""
    record, target, options = arguments(case, TORCH)
    total = partial(values, case, target=target, options=options)
    one = partial(each(case.loss), target=target, options=options)
    value, grad = TORCH.value_and_grad(total, record)
    alone, grads = TORCH.value_and_grad(one, record)
    records = np.stack([TORCH.value(total, record), TORCH.value(total, record.flip(-1))])
    return {
        "value": value,
        "grad": grad,
        "records": records,
        "slope": np.sum(grad * direction),
        "each": alone,
        "grads": grads,
    }


@each_kind
def test_jax_transforms(case: Case) -> None:
    direction = np.random.default_rng(3).normal(size=case.record_of().shape)
    with JAX.precision():
        run = compiled(jaxed(case))
        found = run(*arguments(case, JAX), JAX.array(direction))
        for name, expected in torched(case, direction).items():
            same(found[name], expected)


def test_jax_compiles_peers() -> None:
    run, record = peers(JAX)
    same(jax.jit(run)(record), TORCH.value(*peers(TORCH)), "float32")


def test_jax_loss_is_a_static_argument() -> None:
    traced = []

    def run(loss: Loss, record: Any, target: Any) -> Any:
        traced.append(loss)
        return loss(record, target)

    compiled = jax.jit(run, static_argnums=0)
    record, target, _ = arguments(case("ce_count()"), JAX, "float32")
    for options in ({}, {}, {"reduction": Sum()}):
        loss = presets.ce_count(**options)
        same(compiled(loss, record, target), np.asarray(loss(record, target)), "float32")
    assert len(traced) == 2  # equal losses are one


def test_jax_scans_over_batches() -> None:
    loss = presets.ce_rate() + 0.5 * presets.mse_temporal()
    rng = np.random.default_rng(5)
    records = jnp.asarray(rng.random((3, 7, 5, 6)) < 0.3, jnp.float32)
    labels = jnp.asarray(rng.integers(0, 6, (3, 5)))

    def total(records: Any) -> Any:
        def step(total: Any, batch: Any) -> tuple[Any, None]:
            return total + loss(*batch), None

        return jax.lax.scan(step, 0.0, (records, labels))[0]

    def looped(records: Any) -> Any:
        return sum(loss(records[i], labels[i]) for i in range(3))

    actual, expected = (jax.jit(jax.value_and_grad(f))(records) for f in (total, looped))
    for one, other in zip(actual, expected, strict=True):
        same(one, np.asarray(other), "float32")


@pytest.mark.parametrize(
    "case", [row for row in SPREAD if row.target in ("labels", "step_labels")], ids=str
)
def test_jax_traced_label_that_is_no_class_gives_nan(case: Case) -> None:
    record, target, options = arguments(case, JAX, "float32")
    options.pop("sample_weight")
    one = jax.jit(each(case.loss))
    ignored = case.loss.criterion.ignore_index
    valid = np.asarray(target)
    valid = np.where(valid == ignored, 0, valid)
    for wrong in (case.classes(), -2):
        labels = valid.copy()
        labels[..., 3] = wrong
        found = np.asarray(one(record, jnp.asarray(labels), options))
        assert np.isnan(found[3]).all()
        assert np.isfinite(np.delete(found, 3, 0)).all()


def equations(jaxpr: Any) -> int:
    """How many operations a traced function has, those of its parts included."""
    count = len(jaxpr.eqns)
    for parameter in (value for row in jaxpr.eqns for value in row.params.values()):
        for part in parameter if isinstance(parameter, (tuple, list)) else [parameter]:
            part = getattr(part, "jaxpr", part)
            count += equations(part) if hasattr(part, "eqns") else 0
    return count


@each_kind
def test_jax_never_loops(case: Case) -> None:
    counts = []
    case = weightless(case)
    for times in (1, 2):
        record, target, options = arguments(case, JAX, "float32", times=times)

        def total(record: Any, target: Any, options: Any) -> Any:
            return case.loss(record, target, **options).sum()

        traced = jax.make_jaxpr(jax.grad(total))(record, target, options)
        counts.append(equations(traced.jaxpr))
    assert counts[0] == counts[1]


@pytest.mark.slow
def test_jax_jit_comes_first() -> None:
    fresh("""
import jax, numpy
import spikeloss as sl

record = jax.numpy.asarray(numpy.arange(105).reshape(7, 5, 3) % 4 == 0, "float32")
labels, lengths = jax.numpy.array([0, 1, 2, 2, 1]), jax.numpy.array([7, 1, 4, 6, 3])

total = sl.presets.ce_count(class_weight=(1, 2, 3)) + 0.5 * sl.presets.mse_temporal()

def losses(record, labels, lengths):
    return total(record, labels, lengths=lengths)

with jax.checking_leaks():
    found = jax.jit(jax.value_and_grad(losses))(record, labels, lengths)
numpy.testing.assert_allclose(found[0], losses(record, labels, lengths), rtol=1e-6)
""")


@pytest.mark.slow
def test_jax_shards_over_the_batch() -> None:
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    code = """
import jax, numpy
from jax.sharding import NamedSharding, PartitionSpec as P
import spikeloss as sl

jax.config.update("jax_enable_x64", True)
mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
rng = numpy.random.default_rng(0)
record = jax.numpy.asarray(rng.random((7, 8, 6)) < 0.3, "float64")
labels, lengths = (jax.numpy.asarray(rng.integers(1, high, 8)) for high in (6, 8))
where = P(None, "batch"), P("batch"), P("batch")
losses = [preset.build() for preset in sl.presets.catalogue().values()]
losses = [
    loss
    for loss in losses
    if loss.of_labels and not loss.main.criterion.of_sequence and not loss.main.criterion.couples
]

def whole(record, labels, lengths):
    for loss in losses:
        timeless = loss.main.readout.timeless
        yield loss(record[0], labels) if timeless else loss(record, labels, lengths=lengths)

def parts(record, labels, lengths):
    return [jax.lax.psum(loss, "batch") / 4 for loss in whole(record, labels, lengths)]

sharded = jax.shard_map(parts, mesh=mesh, in_specs=where, out_specs=P())

def with_grad(function):
    def total(record, *rest):
        found = list(function(record, *rest))
        return sum((1 + i) * loss for i, loss in enumerate(found)), found
    return jax.jit(jax.value_and_grad(total, has_aux=True))

expected = with_grad(whole)(record, labels, lengths)
placed = [jax.device_put(x, NamedSharding(mesh, spec)) for x, spec in
          zip((record, labels, lengths), where)]
assert len(placed[0].devices()) == 4
for function in (sharded, whole):
    found = with_grad(function)(*placed)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
loss = sl.presets.ce_rate()
numpy.testing.assert_allclose(loss(*placed[:2]), loss(record, labels), rtol=1e-12)
"""
    fresh(code, XLA_FLAGS=flags)
