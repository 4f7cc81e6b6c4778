"""Decisions with kernels: a decision is a record of one step, to a criterion that has a kernel.

Truth is the composed form in float64, which `oracles.py` judges elsewhere. `kernels.py` takes the
limit of size away, below which PyTorch computes some criteria sooner by its own operations.
"""

from typing import Any

import numpy as np
import pytest
import torch
from kernels import evaluated, kernels, needs_core, watched
from libraries import JAX, NUMPY, TORCH, Library, named, same
from sharing import threaded  # noqa: F401  # a fixture

from spikeloss import Loss, presets
from spikeloss._kernels import _torch as binding
from spikeloss.criteria import (
    BinaryCrossEntropy,
    Criterion,
    CrossEntropy,
    PoissonNLL,
    SquaredError,
)
from spikeloss.readouts import Decided, MeanOverTime, Population, SumOverTime
from spikeloss.reductions import Each
from spikeloss.targets import OnOff

pytestmark = needs_core

B, C = 23, 7
SMOOTH = CrossEntropy(label_smoothing=0.25)
CRITERIA: dict[str, tuple[Criterion, str, str]] = {
    "labels": (CrossEntropy(), "labels", "ce"),
    "smoothed": (SMOOTH, "labels", "ce"),
    "ignoring": (CrossEntropy(ignore_index=2), "labels", "ce"),
    "probabilities": (CrossEntropy(), "shares", "soft_ce"),
    "smoothed probabilities": (SMOOTH, "shares", "soft_ce"),
    "yes or no": (BinaryCrossEntropy(slope=3.0, threshold=0.5), "shares", "bce"),
    "counts": (PoissonNLL(), "shares", "poisson"),
    "Huber": (SquaredError(delta=0.5), "shares", "se"),
    "Huber tolerant": (SquaredError(delta=0.5, tolerance=0.25), "shares", "se"),
}
"""A criterion, what it is compared with, and its kernel."""

each_criterion = pytest.mark.parametrize("name", CRITERIA)
EAGER = pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)


def example(kind: str, batch: tuple[int, ...] = (B,)) -> tuple[Any, Any]:
    """A decision and its target, exact in float32."""
    rng = np.random.default_rng(0)
    z = np.asarray(rng.normal(size=(*batch, C)) * 3, np.float32)
    z.reshape(-1, C)[0] = (80, -80, 0, 0, 1e-8, -1e-8, 30)
    if kind == "labels":
        return z, rng.integers(0, C, batch)
    return z, np.asarray(rng.random((*batch, C)), np.float32)


def moved(library: Library, y: Any, dtype: str) -> Any:
    return library.array(y, dtype if y.dtype.kind == "f" else None)


VIEWS: dict[str, Any] = {
    "packed": lambda z: z,
    "transposed": lambda z: z.swapaxes(0, -1).copy().swapaxes(0, -1),
    "every second": lambda z: np.repeat(z, 2, -1)[..., ::2],
}


@each_criterion
@EAGER
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("batch", [(B,), (3, 4), (1,), (0,), ()], ids=str)
def test_values_and_gradients(library: Library, name: str, view: str, batch: tuple[int]) -> None:
    criterion, kind, op = CRITERIA[name]
    z, y = example(kind, batch) if batch != (0,) else (np.zeros((0, C), np.float32), None)
    if y is None:
        y = example(kind)[1][:0]
    loss = Loss(Decided(), criterion, reduction=Each())
    with kernels("off"):
        wanted = evaluated(TORCH, loss, TORCH.array(z, "float64"), moved(TORCH, y, "float64"))
    for dtype in ("float64", "float32"):
        given = library.array(VIEWS[view](z) if z.size else z, dtype)
        with kernels("require"), watched() as ran:
            found = evaluated(library, loss, given, moved(library, y, dtype))
        assert ran == [op, f"d {op}"][: 1 + (library is TORCH)]
        same(found[0], wanted[0], dtype)
        if found[1] is not None:
            same(found[1], wanted[1], dtype)


@each_criterion
def test_second_derivatives(name: str) -> None:
    criterion, kind, op = CRITERIA[name]
    z, y = example(kind)
    z[0] = 1.0  # kinks are elsewhere
    loss, target = Loss(Decided(), criterion), moved(TORCH, y, "float64")
    x = TORCH.array(z, "float64").requires_grad_()
    with kernels("require"), watched() as ran:
        assert torch.autograd.gradcheck(lambda x: loss(x, target), x, fast_mode=True)
        assert torch.autograd.gradgradcheck(lambda x: loss(x, target), x, fast_mode=True)
    assert op in ran


@pytest.mark.parametrize("weights", ["classes", "samples", "both"])
@EAGER
def test_weights(library: Library, weights: str) -> None:
    loss = Loss(MeanOverTime(), BinaryCrossEntropy(slope=3.0), OnOff())
    rng = np.random.default_rng(1)
    x, y = rng.random((5, B, C)), rng.integers(0, C, B)
    options: dict[str, Any] = {}
    if weights != "samples":
        options["class_weight"] = rng.random(C)
    if weights != "classes":
        options["sample_weight"] = rng.random(B)
    given = {key: library.array(each, "float64") for key, each in options.items()}
    found = []
    for mode in ("off", "require"):
        with kernels(mode), watched() as ran:
            value = loss(library.array(x, "float64"), library.array(y), **given)
        found.append(library.to_numpy(value))
        assert ("bce" in ran) == (mode == "require")
    same(*found)


@EAGER
def test_samples_without_a_step(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count for nothing, whatever is decided about them, if nobody checks that there are none."""
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    loss = presets.spikemoid()
    x, y = np.ones((4, 3, C)), np.array([0, 1, 2])
    x[:, 1] = np.nan
    valid = np.array([[1, 0, 1]] * 4, bool)
    wanted = loss(x[:, ::2], y[::2])
    with kernels("require"), watched() as ran:
        given = library.array(x, "float64")
        found = evaluated(library, loss, given, library.array(y), valid=library.array(valid))
    assert "bce" in ran
    same(found[0], wanted)
    if found[1] is not None:
        assert np.isfinite(found[1]).all()
        assert not found[1][:, 1].any()


def test_few_entries_are_left_to_pytorch() -> None:
    """Labels and squares, each an operation or two of PyTorch's; not what takes more."""
    few, many = (torch.randn(rows, C).requires_grad_() for rows in (B, binding.FEW // C + 1))
    loss = presets.cross_entropy()
    for z, wanted in ((few, []), (many, ["ce", "d ce"])):
        with watched() as ran:
            for _ in range(2):  # the plan is kept from the first call
                loss(z, torch.zeros(len(z), dtype=torch.long)).backward()
            assert ran == 2 * wanted
    with watched() as ran:
        Loss(Decided(), CrossEntropy())(few, torch.rand(B, C))
        Loss(Decided(), CrossEntropy())(few, torch.zeros(B, dtype=torch.long))
        Loss(Decided(), SquaredError())(many, torch.zeros(len(many), C))
        Loss(Decided(), BinaryCrossEntropy())(few, torch.zeros(B, C))
    assert ran == ["soft_ce", "bce"]


def test_a_plan_is_of_records_of_its_kind() -> None:
    """A record of another size, or lengths, may be worth a kernel that the first was not."""
    loss = Loss(SumOverTime(), CrossEntropy())
    y = torch.zeros(B, dtype=torch.long)
    with watched() as ran:
        for shape, options, wanted in (
            ((5, B, C), {}, []),
            ((5, B, C), {"lengths": torch.full((B,), 3)}, ["sum"]),
            ((5, B, C), {}, []),
            ((2, B, binding.FEW), {}, ["ce"]),
        ):
            ran.clear()
            loss(torch.rand(shape), y, **options)
            assert ran == wanted


def test_populations_and_sums_of_losses() -> None:
    smoothed = Loss(Population(SumOverTime(), classes=C), SMOOTH)
    loss = smoothed + 0.5 * presets.spikemoid(class_weight=torch.rand(2 * C).double())
    x = torch.rand(4, B, 2 * C).double()
    y = torch.randint(0, C, (B,))
    found = []
    for mode in ("off", "require"):
        with kernels(mode), watched() as ran:
            found.append(evaluated(TORCH, loss, x, y))
        assert ran[:2] == ["ce", "bce"] * (mode == "require")
    for one, other in zip(*found, strict=True):
        same(one, other)


def test_compilers_compute_decisions_themselves() -> None:
    z, y = torch.randn(B, C), torch.rand(B, C)
    loss = Loss(Decided(), BinaryCrossEntropy())
    with watched() as ran:
        compiled: Any = torch.compile(loss, fullgraph=True, backend="aot_eager")
        same(compiled(z, y).numpy(), loss(z.double(), y.double()).numpy(), "float32")
    assert ran == ["bce"]  # of the call that is not compiled
    with watched() as ran:
        value = JAX.value(lambda z: loss(z, JAX.array(y.numpy())), JAX.array(z.numpy()))
    same(value, loss(z, y).numpy(), "float32")
    assert ran == []


@pytest.mark.usefixtures("threaded")
def test_the_same_bits_for_any_number_of_threads() -> None:
    z, y = torch.randn(3000, C), torch.randint(0, C, (3000,))
    for criterion in (CrossEntropy(), SMOOTH):
        loss = Loss(Decided(), criterion)
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(evaluated(TORCH, loss, z, y))
        for value, grad in found[1:]:
            assert np.array_equal(value, found[0][0])
            assert np.array_equal(grad, found[0][1])


def test_what_runs_is_said() -> None:
    loss, x, y = presets.spikemoid(), torch.rand(4, B, C), torch.randint(0, C, (B,))
    said = loss.explain(x, y)
    assert "BinaryCrossEntropy(slope=10.0, threshold=0.5): kernel bce" in said
    said = presets.ce_count().explain(x, y)
    assert "ignore_index=None): composed, as torch is as fast" in said
