"""The kernels in PyTorch: all derivatives, transformations and states that a tensor can be in.

Truth is the composed form; every test says which kernels run, or that none does.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cases import Case, case, target_for
from harness import covering, stages
from kernels import (
    COMPARES,
    QUICK,
    ROWS,
    each_row,
    evaluated,
    fits,
    kernels,
    lengths_for,
    needs_core,
    read,
    record_for,
    upstream,
    used,
    watched,
)
from libraries import TORCH, same
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from spikeloss import Loss, presets
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.readouts import EveryStep, SumOverTime
from spikeloss.reductions import Each

pytestmark = needs_core

SHAPE = (7, 5, 6)
STEPS = Loss(EveryStep(), CrossEntropy())
NUMBERS = Loss(EveryStep(), SquaredError())
LABELS = torch.tensor([0, 1, 2, 3, 5])
X = torch.from_numpy(np.random.default_rng(0).normal(size=SHAPE))
T = torch.from_numpy(np.random.default_rng(1).normal(size=SHAPE))


def given(row: Case, shape: Any = SHAPE, dtype: str = "float64") -> tuple[Any, Any, Any]:
    """Record, target and lengths of a row."""
    y = target_for(row, shape)
    target = TORCH.array(y, dtype if y.dtype.kind == "f" else None)
    return (
        TORCH.array(record_for(row, shape, dtype), dtype),
        target,
        torch.from_numpy(lengths_for(row, shape)),
    )


def each(row: Case) -> Callable[..., Any]:
    """The losses of every sample of a row: batch first."""
    alone = row.loss.replace(reduction=Each())

    def call(record: Any, target: Any, lengths: Any) -> Any:
        found = alone(record, target, lengths=lengths)
        return found.swapaxes(0, 1) if row.loss.readout.keeps == "spikes" else found

    return call


def agree(call: Callable[[], Any], ran: list[str] | None = None) -> None:
    """The same with kernels and without; `ran`: the forward kernels that have to run."""
    found = []
    for mode in ("off", "require"):
        with kernels(mode), watched() as seen:
            found.append(call())
        if mode == "off":
            assert not seen
        elif ran is not None:
            assert [op for op in seen if op[:2] != "d "][: len(ran)] == ran
    for wanted, got in zip(*found, strict=True):
        if wanted is None or got is None:
            wanted, got = (torch.zeros(SHAPE) if x is None else x.float() for x in (wanted, got))
        same(got, TORCH.to_numpy(wanted), str(wanted.dtype).removeprefix("torch."))


@each_row
def test_second_derivative(row: Case) -> None:
    record, target, lengths = given(row)
    direction = torch.from_numpy(upstream(SHAPE))

    def call() -> tuple[Any, ...]:
        x = record.clone().requires_grad_()
        value = each(row)(x, target, lengths)
        up = torch.ones_like(value).requires_grad_()
        (grad,) = torch.autograd.grad(value, x, up, create_graph=True)
        found = torch.autograd.grad((grad * direction).sum(), (x, up), allow_unused=True)
        return grad.detach(), *found

    agree(call, used(row, TORCH))


KINKS = "tolerant", "both", "cross", "Interpolated", "Deviation absolute"
SECOND = [row for row in QUICK if row.record == "membrane"]
SECOND = [row for row in SECOND if not any(name in row.name for name in KINKS)]


@pytest.mark.parametrize("row", SECOND, ids=str)
def test_second_derivative_is_the_slope_of_the_first(row: Case) -> None:
    record, target, lengths = given(row)
    with kernels("require"), watched() as ran:
        loss = partial(row.loss, target=target, lengths=lengths)
        x = record.clone()
        x[0] += 0.01  # away from ties
        assert torch.autograd.gradcheck(loss, x.requires_grad_(), fast_mode=True)
        assert torch.autograd.gradgradcheck(loss, x, fast_mode=True)
    assert {*used(row, TORCH)} <= {*ran}


def mapped(row: Case) -> list[str]:
    """The kernels that run under torch.func: targets of numbers may be of another level."""
    numbers = {*COMPARES.values(), "soft_ce"} - {"ce"}
    return [op for op in used(row, TORCH) if op not in numbers]


@each_row
def test_torch_func(row: Case) -> None:
    record, target, lengths = given(row)
    total = partial(row.loss, target=target, lengths=lengths)
    agree(lambda: [torch.func.grad(lambda x: total(x).sum())(record)], mapped(row))
    records = torch.stack([record, record.flip(0), 2 * record])
    agree(lambda: [torch.vmap(total)(records)], mapped(row))
    agree(lambda: [torch.vmap(total, 2)(records.movedim(0, 2).contiguous())], mapped(row))
    agree(lambda: [torch.vmap(torch.func.grad(lambda x: total(x).sum()))(records)], mapped(row))
    nested = torch.vmap(torch.vmap(total), in_dims=1, out_dims=0)
    agree(lambda: [nested(torch.stack([records, -records]).abs())])


@each_row
def test_per_sample_gradients(row: Case) -> None:
    record, target, lengths = given(row)
    axes = 1, None if row.target == "neuron_times" else int(target.ndim > 1 and timed(row)), 0

    def alone(x: Any, y: Any, n: Any) -> Any:
        return each(row)(x, y, n)

    spiking = {"spikes", "first", "soft"} & {*read(row)}  # whose record (T, N) may be one of times
    alike = None if spiking else mapped(row)
    agree(lambda: [torch.vmap(alone, axes)(record, target, lengths)], alike)
    slopes = torch.vmap(torch.func.grad(lambda *all: alone(*all).sum()), axes, 1)
    agree(lambda: [slopes(record, target, lengths)], alike)


def timed(row: Case) -> bool:
    """Whether the axis of samples of a target is its second."""
    return row.target.startswith(("step_", "spike_"))


QUICK_ROWS = pytest.mark.parametrize("row", QUICK[::2], ids=str)


@QUICK_ROWS
def test_forward_mode(row: Case) -> None:
    record, target, lengths = given(row)
    loss = partial(row.loss, target=target, lengths=lengths)
    direction = torch.from_numpy(upstream(SHAPE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        agree(lambda: torch.func.jvp(loss, (record,), (direction,)), [])
        agree(lambda: [torch.func.jacfwd(loss)(record)], [])

    def dual() -> tuple[Any, Any]:
        with torch.autograd.forward_ad.dual_level():
            x = torch.autograd.forward_ad.make_dual(record, direction)
            value = row.loss(x, target)
            return tuple(torch.autograd.forward_ad.unpack_dual(value))

    agree(dual, [])


@QUICK_ROWS
def test_jacobians(row: Case) -> None:
    record, target, lengths = given(row)
    loss = partial(row.loss, target=target, lengths=lengths)
    agree(lambda: [torch.func.jacrev(loss)(record)], mapped(row))
    small = record[:, :2, :]
    if row.target in ("labels", "values", "step_values", "step_labels"):
        y = target[:, :2] if timed(row) else target[:2]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            agree(lambda: [torch.func.hessian(lambda x: row.loss(x, y).sum())(small)])
        agree(lambda: [torch.func.jacrev(torch.func.jacrev(lambda x: row.loss(x, y).sum()))(small)])
        agree(
            lambda: [
                torch.autograd.functional.hessian(lambda x: row.loss(x, y).sum(), small),
            ]
        )


# Targets that are to be learned


TEACHERS: dict[str, Callable[[Any], Any]] = {
    "autograd": lambda t: torch.autograd.grad(NUMBERS(X, t2 := t.clone().requires_grad_()), t2)[0],
    "both": lambda t: torch.autograd.grad(
        NUMBERS(x2 := X.clone().requires_grad_(), t2 := t.clone().requires_grad_()), (x2, t2)
    )[1],
    "func": torch.func.grad(lambda t: NUMBERS(X, t)),
    "vmap of func": lambda t: torch.vmap(torch.func.grad(lambda t: NUMBERS(X, t)))(
        torch.stack([t, -t])
    ),
    "autograd of vmap": lambda t: torch.autograd.grad(
        torch.vmap(lambda t: NUMBERS(X, t))(t2 := t[None].clone().requires_grad_()).sum(), t2
    )[0],
    "func of vmap": torch.func.grad(
        lambda t: torch.vmap(lambda t: NUMBERS(X, t))(torch.stack([t, -t])).sum()
    ),
    "func of func": torch.func.grad(
        lambda t: torch.func.grad(lambda x: NUMBERS(x, t))(X).square().sum()
    ),
    "teacher": torch.func.grad(
        lambda t: torch.vmap(lambda t: presets.kd_steps()(X, t))(t[None]).sum()
    ),
    "train": torch.func.grad(
        lambda t: torch.vmap(lambda t: presets.mse_trace()(X, t))(t[None]).sum()
    ),
    "second": torch.func.grad(
        lambda t: torch.func.grad(lambda t: presets.kd_steps()(X, t))(t).square().sum()
    ),
}


@pytest.mark.parametrize("name", TEACHERS)
def test_targets_that_are_learned(name: str) -> None:
    agree(lambda: [TEACHERS[name](T)])


# Compilers


NODES = "ce_rate()", "ce_count()", "Maximum", "FilteredTrace alpha", "Distillation steps"


@pytest.mark.parametrize("name", NODES)
def test_one_node_in_a_graph(name: str) -> None:
    row = case(name)
    record, target, lengths = given(row, dtype="float32")
    with kernels("require"), watched() as ran:
        traced = make_fx(lambda x, y, n: row.loss(x, y, lengths=n), tracing_mode="fake")
        graph = traced(record, target, lengths)
        nodes = [str(node.target) for node in graph.graph.nodes]
        assert nodes.count("spikeloss.run.default") == len(used(row, TORCH))
        assert not ran
        found = graph(2 * record, target, lengths)
        assert ran == used(row, TORCH)
    with kernels("off"):
        same(found, row.loss(2 * record, target, lengths=lengths).numpy(), "float32")


@pytest.mark.parametrize("name", NODES)
def test_export(name: str) -> None:
    row = case(name)

    class Objective(torch.nn.Module):
        def forward(self, record: Any, target: Any, lengths: Any) -> Any:
            return row.loss(record, target, lengths=lengths)

    arguments = given(row, dtype="float32")
    with kernels("require"):
        exported = torch.export.export(Objective(), arguments)
        nodes = [str(node.target) for node in exported.graph.nodes]
        assert nodes.count("spikeloss.run.default") == len(used(row, TORCH, compiled=True))
        found = exported.module()(*arguments)
    with kernels("off"):
        same(found, Objective()(*arguments).numpy(), "float32")


SYMBOLIC = covering(QUICK, lambda row: stages(row) | {(op, row.target) for op in used(row)})
"""Every stage and every kernel with every target: what is left of QUICK has other numbers in the
options of a criterion, which are constants to the compiler whatever it takes the sizes for."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "dynamic"),
    [pytest.param(row, False, marks=pytest.mark.long) for row in QUICK]
    + [(row, True) for row in SYMBOLIC],
    ids=str,
)
def test_compile(row: Case, dynamic: bool) -> None:
    torch._dynamo.reset()
    record, target, lengths = given(row, dtype="float32")
    with kernels("require"), watched() as ran:
        compiled: Any = torch.compile(
            lambda x: row.loss(x, target, lengths=lengths),
            fullgraph=True,
            dynamic=dynamic,
            backend="aot_eager",
        )
        found = evaluated(TORCH, lambda x, _: compiled(x), record, None)
    assert {*used(row, TORCH, compiled=True)} <= {*ran}
    with kernels("off"):
        wanted = evaluated(TORCH, row.loss, record, target, lengths=lengths)
    for one, other in zip(found, wanted, strict=True):
        same(one, other, "float32")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", NODES)
def test_traces_of_torch(name: str) -> None:
    row = case(name)
    record, target, _ = given(row, dtype="float32")
    record[0] += 0.01  # among ties a trace of what is composed takes no first

    def call() -> list[Any]:
        traced = torch.jit.trace(lambda x: row.loss(x, target), (record,), check_trace=False)
        x = (2 * record).requires_grad_()
        value = traced(x)
        return [value.detach(), torch.autograd.grad(value, x)[0]]

    agree(call)


@pytest.mark.parametrize("name", NODES)
def test_autocast(name: str) -> None:
    row = case(name)
    record, target, lengths = given(row, dtype="float32")
    for dtype in (torch.bfloat16, torch.float16):

        def call(dtype: Any = dtype) -> Any:
            with torch.autocast("cpu", dtype=dtype):
                return evaluated(TORCH, row.loss, record, target, lengths=lengths)

        agree(lambda call=call: [torch.from_numpy(x) for x in call()], used(row, TORCH))


# What state a tensor or torch may be in


def negative(x: Any) -> Any:
    """-x as a view that is negated when it is read."""
    found = torch.complex(torch.zeros_like(x), x).conj().imag
    assert found.is_neg()
    return found


def test_views_that_are_negated_when_read() -> None:
    for loss, y in ((STEPS, LABELS), (NUMBERS, T), (presets.ce_max_membrane(), LABELS)):
        agree(lambda loss=loss, y=y: [loss(negative(X), y)])
    agree(lambda: [NUMBERS(X, negative(T))])
    each = Loss(EveryStep(), CrossEntropy(), reduction=Each())

    def call() -> Any:
        x = X.clone().requires_grad_()
        value = each(x, LABELS)
        return torch.autograd.grad(value, x, negative(value.detach()))

    agree(call)


def test_another_default_device_and_dtype() -> None:
    def on_meta() -> list[Any]:
        torch.set_default_device("meta")
        try:
            x = X.clone().requires_grad_()
            value = STEPS(x, LABELS)
            return [value.detach(), *torch.autograd.grad(value, x)]
        finally:
            torch.set_default_device(None)

    def in_double() -> list[Any]:
        torch.set_default_dtype(torch.float64)
        try:
            return [STEPS(X.float(), LABELS)]
        finally:
            torch.set_default_dtype(torch.float32)

    agree(on_meta, ["ce"])
    agree(in_double, ["ce"])


def test_without_gradients() -> None:
    x = X.clone().requires_grad_()
    with kernels("require"), watched() as ran:
        with torch.no_grad():
            assert not STEPS(x, LABELS).requires_grad
        with torch.inference_mode():
            STEPS(X.clone(), LABELS)
        value = STEPS(x.detach(), LABELS)
    assert ran == ["ce"] * 3
    assert not value.requires_grad


def test_checkpoints_and_repeated_backwards() -> None:
    def rematerialised() -> Any:
        x = X.clone().requires_grad_()
        value = checkpoint(lambda x: STEPS(2 * x, LABELS), x, use_reentrant=False)
        return torch.autograd.grad(value, x)

    def twice() -> Any:
        x = X.clone().requires_grad_()
        value = STEPS(x, LABELS)
        return [*torch.autograd.grad(value, x, retain_graph=True), *torch.autograd.grad(value, x)]

    agree(rematerialised)
    agree(twice, ["ce"])
    with kernels("require"):
        value = STEPS(X.clone().requires_grad_(), LABELS)
        value.backward()
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            value.backward()


def test_what_changes_before_the_backward() -> None:
    for loss, target, changed in (
        (STEPS, LABELS, 0),
        (NUMBERS, T, 0),
        (NUMBERS, T, 1),
        (presets.ce_logsumexp(), LABELS, 0),
        (presets.ce_sum_softmax(), LABELS, 0),
    ):
        given = X.clone().requires_grad_() * 1, target.clone()
        with kernels("require"):
            value = loss(*given)
        with torch.no_grad():
            given[changed].mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            value.backward()


def test_what_may_change_before_the_backward() -> None:
    def call() -> Any:  # the derivative of a sum does not depend on what is summed
        x = X.clone().requires_grad_()
        z = x * 1
        value = Loss(SumOverTime(), CrossEntropy())(z, LABELS)
        z.mul_(2)
        return torch.autograd.grad(value, x)

    agree(call)


def test_upstream_gradients_of_any_form() -> None:
    each = Loss(EveryStep(), SquaredError(), reduction=Each())
    wide = torch.from_numpy(upstream((10, 12)))
    for up in (wide[::2, ::2], wide[:5, 0:1].expand(5, 6), wide[:6, :5].T, torch.zeros(5, 6)):

        def call(up: Any = up) -> Any:
            x = X.clone().requires_grad_()
            return torch.autograd.grad(each(x, T), x, up.double())

        agree(call, ["se"])


def test_parameters_and_subclasses() -> None:
    class Mine(torch.Tensor):
        pass

    agree(lambda: [STEPS(torch.nn.Parameter(X.clone()), LABELS).detach()], ["ce"])
    agree(lambda: [STEPS(X.as_subclass(Mine), LABELS).as_subclass(torch.Tensor)])
    agree(lambda: [STEPS(X, LABELS.as_subclass(Mine)).as_subclass(torch.Tensor)])


def test_every_row_is_differentiated() -> None:
    assert {op for row in QUICK for op in used(row)} == {op for row in ROWS for op in used(row)}
    assert all(
        fits(row, SHAPE) or row.loss.class_weight or row._of_readouts("weights") for row in QUICK
    )


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("name", ["ce_max_membrane", "mse_temporal", "ce_last_step", "ttfs_ce"])
def test_sparse_gradients_in_memory_of_the_system(
    monkeypatch: pytest.MonkeyPatch, name: str, padded: bool
) -> None:
    """Large ones come as zeros, of which a kernel writes few; here every one is large."""
    binding = pytest.importorskip("spikeloss._kernels._torch")
    loss = presets.catalogue()[name].build()
    x = (torch.rand(7, 5, 6) < 0.3).float()
    options = {"lengths": torch.tensor([7, 1, 4, 6, 3])} if padded else {}
    found = []
    for mode, large in (("off", 2**60), ("require", 2**60), ("require", 0)):
        monkeypatch.setenv("SPIKELOSS_KERNELS", mode)
        monkeypatch.setattr(binding, "LARGE", large)
        for record in (x.clone(), x.clone().movedim(0, 1).contiguous().movedim(1, 0)):
            record.requires_grad_()
            value = loss(record, torch.tensor([0, 1, 2, 3, 4]), **options)
            found.append(torch.autograd.grad(value, record)[0])
    for each in found[1:]:
        torch.testing.assert_close(each, found[0])
    assert found[0].any()


# Narrow records


def test_narrow_maxima(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few columns PyTorch takes the steps one by one, whoever asks where the maximum is."""
    monkeypatch.setenv("SPIKELOSS_KERNELS", "auto")
    loss, y = presets.ce_max_membrane(), torch.tensor([0, 1, 2, 0])
    for shape, said in (((2000, 4, 3), "kernel max"), ((200, 4, 30), "composed, as torch is")):
        assert said in loss.explain(torch.zeros(shape), y)
