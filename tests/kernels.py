"""What the tests of the kernels share: the rows that have a kernel, and what ran.

    with kernels("require"), watched() as ran:
        loss(record, target)
    assert ran == ["trace", "se"]

Truth is the composed form in float64, `kernels("off")`, which `oracles.py` judges elsewhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, Case, target_for
from harness import covering, stages
from libraries import NUMPY, TORCH, Array, Library, rounded

from spikeloss import Loss
from spikeloss._kernels import _torch as torch_binding
from spikeloss._kernels.native import BACKWARD, OPS, Core, core
from spikeloss.criteria import (
    BinaryCrossEntropy,
    CrossEntropy,
    Distillation,
    PoissonNLL,
    SquaredError,
)
from spikeloss.readouts import (
    BatchMean,
    EveryStep,
    FilteredTrace,
    InterpolatedSpike,
    LogSumExp,
    Maximum,
    MovingWindow,
    PeakWindow,
    Population,
    Temperature,
    Weighted,
    WeightedSum,
)
from spikeloss.reductions import Each, Mean
from spikeloss.targets import OnOff

needs_core = pytest.mark.skipif(isinstance(core(), str), reason=f"no native core: {core()}")

READS = {
    "SumOverTime": "sum",
    "MeanOverTime": "sum",
    "WeightedSum": "sum",
    "Maximum": "max",
    "LogSumExp": "lse",
    "CumulativeSoftmax": "votes",
    "LastStep": "last",
    "FirstSpike": "first",
    "SpikeTimes": "spikes",
    "SoftCount": "soft",
    "InterpolatedSpike": "cross",
    "PeakWindow": "peak",
    "FilteredTrace": "trace",
    "MovingWindow": "window",
}
"""The kernel of a readout."""

COMPARES = {
    "CrossEntropy": "ce",
    "SquaredError": "se",
    "BinaryCrossEntropy": "bce",
    "PoissonNLL": "poisson",
    "Distillation": "distil",
}
"""The kernel of a criterion."""

SMOOTH = CrossEntropy(label_smoothing=0.25)

OWN = (
    *(
        Case(f"steps {name} {target}", Loss(EveryStep(), criterion), record, target)
        for name, criterion, record, targets in (
            (
                "smoothed",
                SMOOTH,
                "membrane",
                ("labels", "step_labels", "probabilities", "step_probabilities"),
            ),
            ("ignoring", CrossEntropy(ignore_index=1), "membrane", ("labels", "step_labels")),
            (
                "ignoring smoothed",
                CrossEntropy(label_smoothing=0.1, ignore_index=-100),
                "membrane",
                ("labels", "step_labels"),
            ),
            ("tolerant", SquaredError(tolerance=0.5), "membrane", ("values", "step_values")),
            ("Huber", SquaredError(delta=0.75), "membrane", ("values", "step_values")),
            (
                "both",
                SquaredError(tolerance=0.5, delta=1.25, steps_power=1),
                "membrane",
                ("values", "step_values"),
            ),
            ("power", SquaredError(steps_power=2), "spikes", ("values", "step_values")),
            ("yes or no", BinaryCrossEntropy(), "membrane", ("values", "step_values")),
            ("steep", BinaryCrossEntropy(slope=3.0, threshold=-0.5), "spikes", ("values",)),
            ("counts", PoissonNLL(), "membrane", ("values", "step_values")),
            ("taught", Distillation(temperature=0.5), "membrane", ("values", "step_values")),
        )
        for target in targets
    ),
    Case("yes or no of labels", Loss(EveryStep(), BinaryCrossEntropy(), OnOff()), "membrane"),
    Case("by weights", Loss(EveryStep(), CrossEntropy(ignore_index=1), reduction=Mean("weights"))),
    Case("trace 5", Loss(FilteredTrace(tau=3.0, order=5), SMOOTH), "membrane", "step_labels"),
    Case("trace long", Loss(FilteredTrace(tau=40.0), SquaredError()), "spikes", "step_values"),
    Case("window wide", Loss(MovingWindow(width=20), PoissonNLL()), "spikes", "step_values"),
    Case("window 1", Loss(MovingWindow(width=1), Distillation()), "membrane", "step_values"),
    Case("peak wide", Loss(PeakWindow(width=20), CrossEntropy()), "membrane"),
    Case("lse sharp", Loss(LogSumExp(sharpness=20.0), CrossEntropy()), "membrane"),
    Case(
        "crossing low",
        Loss(InterpolatedSpike(threshold=0.05), SquaredError()),
        "membrane",
        "values",
    ),
    Case("warm steps", Loss(Temperature(EveryStep(), scale=3.0), SMOOTH), "membrane"),
    Case("warm trace", Loss(Temperature(FilteredTrace(tau=2.0), scale=3.0), SMOOTH), "membrane"),
    Case("weighted", Loss(Weighted(WeightedSum(tau=9.0), 1.5), SMOOTH), "membrane"),
    Case("groups", Loss(Population(FilteredTrace(tau=2.0), classes=3), SMOOTH), "membrane"),
    Case("groups of maxima", Loss(Population(Maximum(), classes=3), SMOOTH, reduction=Each())),
)
"""What `CASES` has not; BatchMean is apart, as the samples are not apart in it."""

COUPLED = Loss(BatchMean(Maximum()), SquaredError(), reduction=Each())


PLAIN = "SumOverTime", "MeanOverTime", "LastStep"
"""Readouts that torch itself reads as fast, where all steps exist."""


def used(
    case: Case, library: Library = NUMPY, padded: bool = True, compiled: bool = False
) -> list[str]:
    """The kernels that a call of a row runs, in their order; what is not here has none."""
    return read(case, library, padded) + compared(case, library, compiled)


def read(case: Case, library: Library = NUMPY, padded: bool = True) -> list[str]:
    """Those of the readout."""
    loss, found = case.loss, []
    readout: Any = loss.readout
    while hasattr(readout, "of"):
        readout = readout.of
    name = type(readout).__name__
    shaped = getattr(readout, "shape", "exponential") != "exponential"
    if name in READS and not shaped and (library is NUMPY or padded or name not in PLAIN):
        still = name == "FirstSpike" and not readout.silent_gradient
        found.append("spikes" if still else READS[name])
    return found


def compared(case: Case, library: Library = NUMPY, compiled: bool = False) -> list[str]:
    """That of the criterion, of every step, or of a decision where PyTorch is not as fast."""
    loss, keeps = case.loss, case.loss.readout.keeps
    criterion = COMPARES.get(type(loss.criterion).__name__)
    if criterion is None or keeps not in (None, "time"):
        return []
    plain = isinstance(loss.criterion, SquaredError) and loss.criterion.delta is None
    composed = library is not NUMPY and (library is not TORCH or plain or compiled)
    if keeps is None and composed:
        return []
    soft = criterion == "ce" and case.target.endswith("probabilities")
    smoothed = getattr(loss.criterion, "label_smoothing", 0)
    several = soft or smoothed or case.target.startswith("step_")  # weights that a sample has
    if loss.class_weight is not None and several:
        return []
    return ["soft_ce" if soft else criterion]


ROWS = tuple(row for row in (*CASES, *OWN) if used(row) and not row.loss.readout.timeless)


def features(row: Case) -> set[Any]:
    """What makes a row other than others."""
    found: set[Any] = stages(row) | {(op, row.target) for op in used(row)}
    return found | {repr(row.loss.criterion), row.loss.class_weight is None}


QUICK = covering(ROWS, features)
each_row = pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if row in QUICK else pytest.mark.slow) for row in ROWS],
    ids=str,
)
"""Every row; those that say nothing new with the slow tests."""


@contextmanager
def kernels(mode: str | None) -> Iterator[None]:
    """The mode in which losses are called; None: none is said."""
    before = os.environ.pop("SPIKELOSS_KERNELS", None)
    limits = torch_binding.SMALL, torch_binding.FEW
    if mode is not None:
        os.environ["SPIKELOSS_KERNELS"] = mode
    # Where the time of a call is all that counts PyTorch is as fast.
    torch_binding.SMALL, torch_binding.FEW = {}, 0
    _forget()
    try:
        yield
    finally:
        torch_binding.SMALL, torch_binding.FEW = limits
        _forget()
        os.environ.pop("SPIKELOSS_KERNELS", None)
        if before is not None:
            os.environ["SPIKELOSS_KERNELS"] = before


def _forget() -> None:
    """The plans of the rows, which know what was worth a kernel."""
    for row in (*CASES, *OWN):
        row.loss.plans.clear()


@contextmanager
def watched() -> Iterator[list[str]]:
    """The names of the kernels that the core ran; those of derivatives begin with "d "."""
    ran: list[str] = []
    honest = Core.run

    def run(self: Core, op: int, *given: Any, **options: Any) -> int:
        ran.append("d " * (op >= BACKWARD) + OPS[op % BACKWARD])
        return honest(self, op, *given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Core, "run", run)
        yield ran


def fits(row: Case, shape: tuple[int, int, int]) -> bool:
    """Whether a row can read a record of that shape."""
    weights, each = row.loss.class_weight, row._of_readouts("weights")
    if weights is not None or isinstance(each, tuple):
        return False
    return shape[0] >= row.least_steps and shape[2] % (row.groups or 1) == 0


@cache
def record_for(row: Case, shape: tuple[int, int, int], dtype: str) -> Array:
    """A record of that shape, as float64 that the dtype holds: spikes, or a membrane with ties."""
    rng = np.random.default_rng(5)
    if row.record == "spikes":
        x = (rng.random(shape) < 0.2).astype(np.float64)
        if dtype not in ("bool", "uint8"):
            x *= rng.integers(1, 5, shape) / 4
        x[:, 0, 0] = 0
        return x
    x = rng.normal(size=shape)
    if dtype in ("bool", "uint8"):
        return rounded(np.maximum(x, 0), dtype)
    x[shape[0] // 2] = x[0] = 1.5
    return rounded(x, dtype)


def lengths_for(row: Case, shape: tuple[int, int, int]) -> Array:
    """Lengths of the samples, some as short and as long as can be."""
    low = max(row.least_steps, 1)
    found = np.random.default_rng(6).integers(low, shape[0] + 1, shape[1])
    found[0], found[-1] = low, shape[0]
    return found


def upstream(shape: tuple[int, ...]) -> Array:
    """What a gradient is multiplied with, exact in every dtype."""
    return np.asarray(np.random.default_rng(8).integers(-6, 10, shape) / 4 + 0.125)


def evaluated(
    library: Library, loss: Any, x: Any, target: Any, slopes: bool = True, **options: Any
) -> tuple[Any, Any]:
    """The loss, and its gradient at x with an upstream gradient of its own."""
    if library.name == "numpy" or not slopes:
        return library.to_numpy(loss(x, target, **options)), None
    x = x.detach().requires_grad_()
    value = loss(x, target, **options)
    up = torch.from_numpy(upstream(tuple(value.shape))).to(value.dtype)
    (grad,) = torch.autograd.grad(value, x, up)
    return library.to_numpy(value), library.to_numpy(grad)


@cache
def truth(row: Case, shape: tuple[int, int, int], dtype: str, padded: bool) -> tuple[Array, Array]:
    """The composed form in float64 of the record that a dtype holds."""
    x, y = record_for(row, shape, dtype), target_for(row, shape)
    options = {"lengths": torch.from_numpy(lengths_for(row, shape))} if padded else {}
    target = TORCH.array(y, "float64" if y.dtype.kind == "f" else None)
    with kernels("off"):
        return evaluated(TORCH, row.loss, TORCH.array(x, "float64"), target, **options)
