"""The kernels at the edges: odd sizes and numbers, threads, processes, pieces, and no core."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import Case, case, target_for
from kernels import (
    QUICK,
    ROWS,
    compared,
    evaluated,
    fits,
    kernels,
    lengths_for,
    needs_core,
    read,
    record_for,
    truth,
    upstream,
    used,
    watched,
)
from libraries import NUMPY, TORCH, Library, named, same
from sharing import threaded  # noqa: F401  # a fixture

import spikeloss
from spikeloss import Loss, presets, readouts
from spikeloss._kernels import Kernel, run
from spikeloss._kernels.native import Core, core
from spikeloss._piece import Dense
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.reductions import Each, Mean, Sum

pytestmark = needs_core

LARGE = (37, 58, 36)
EAGER = pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
QUICK_ROWS = pytest.mark.parametrize("row", QUICK, ids=str)
SOURCE = Path(spikeloss.__file__).parents[1]


def call(row: Case, x: Any, y: Any, mode: str, **options: Any) -> tuple[Any, Any]:
    """Value and gradient of a row, as NumPy arrays."""
    with kernels(mode), watched() as ran:
        found = evaluated(TORCH, row.loss, x, y, **options)
    wanted = used(row, TORCH, options.get("lengths") is not None) if mode == "require" else []
    assert ran == wanted + [f"d {op}" for op in reversed(wanted)]
    return found


def target_of(row: Case, shape: Any, dtype: str = "float64") -> Any:
    y = target_for(row, shape)
    return TORCH.array(y, dtype if y.dtype.kind == "f" else None)


def agree(row: Case, x: Any, y: Any, **options: Any) -> None:
    """The same value and gradient with kernels and without."""
    dtype = str(x.dtype).removeprefix("torch.")
    wanted = call(row, x, y, "off", **options)
    for one, other in zip(call(row, x, y, "require", **options), wanted, strict=True):
        same(one, other, dtype)


# Sizes


SIZES = (1, 3, 6), (1, 1, 1), (5, 1, 6), (9, 4, 1), (2, 300, 3), (3, 2, 1200), (16, 2, 18)


@QUICK_ROWS
def test_odd_sizes(row: Case) -> None:
    for shape in SIZES:
        if fits(row, shape):
            x, y = TORCH.array(record_for(row, shape, "float64")), target_of(row, shape)
            agree(row, x, y)
            agree(row, x, y, lengths=torch.from_numpy(lengths_for(row, shape)))


@QUICK_ROWS
def test_a_long_thin_record(row: Case) -> None:
    shape = (10000, 1, 3)
    if fits(row, shape) and row.name not in ("trace 5", "window wide"):  # slow without kernels
        x, y = TORCH.array(record_for(row, shape, "float64")), target_of(row, shape)
        agree(row, x, y, lengths=torch.tensor([9001]))


@QUICK_ROWS
def test_no_samples(row: Case) -> None:
    shape = (7, 0, 6)
    if not fits(row, shape):
        return
    x, loss = torch.zeros(shape, dtype=torch.float64), row.loss.replace(reduction=Each())
    found = []
    for mode in ("off", "require"):
        with kernels(mode):
            found.append(evaluated(TORCH, loss, x, target_of(row, shape)))
    for one, other in zip(*found, strict=True):
        same(one, other)


# Numbers


MEMBRANES = [row for row in QUICK if row.record == "membrane"]
NUMBERS: dict[str, Any] = {
    "nan": [np.nan],
    "infinity": [np.inf],
    "minus infinity": [-np.inf],
    "all of them": [np.nan, np.inf, -np.inf],
    "both signs of 80": [80.0, -80.0],
    "both signs of 10000": [1e4, -1e4],
    "below normal": [1e-42, -1e-42],
    "zeros of both signs": [0.0, -0.0],
}


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("row", MEMBRANES, ids=str)
def test_odd_numbers(row: Case, name: str) -> None:
    shape = LARGE if name.startswith("both") and fits(row, LARGE) else (7, 5, 6)
    if "cross" in used(row):
        return  # spikes are finite
    rng = np.random.default_rng(2)
    values = np.array(NUMBERS[name])
    for share in (0.05, 1.0):
        for dtype in ("float64", "float32"):
            x = rng.normal(size=shape)
            x = np.where(rng.random(shape) < share, rng.choice(values, shape), x)
            given, y = TORCH.array(x, dtype), target_of(row, shape, dtype)
            options = {"lengths": torch.from_numpy(lengths_for(row, shape))}
            wanted = call(row, given, y, "off", **options)
            found = call(row, given, y, "require", **options)
            if dtype == "float64":
                same(found[0], wanted[0])
                # A derivative that `where` leaves undefined may be defined by a kernel.
                defined = ~np.isnan(wanted[1])
                same(np.where(defined, found[1], 0), np.where(defined, wanted[1], 0))
            else:
                np.testing.assert_allclose(found[0], wanted[0], 2e-5, 2e-6)


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize(
    "bad", [(), (np.nan,), (np.inf, -np.inf)], ids=["finite", "nan", "infinity"]
)
@pytest.mark.parametrize("shape", [(1, 3, 4), (7, 5, 6), (40, 6, 35)])
def test_soft_counts_unchecked(
    count: int, bad: Any, shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few spikes and many, none, and what is no number; also of samples of no steps."""
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    rng = np.random.default_rng(2)
    kernel = Kernel("soft", (float(count), 7.0, 0.5))
    lengths = rng.integers(0, shape[0] + 1, (shape[1], 1))
    lengths[0], lengths[-1] = 0, shape[0]
    for share in (0.0, 0.2, 1.0):
        x = np.where(rng.random(shape) < share, rng.normal(size=shape), 0)
        x = np.where(rng.random(shape) < 0.05 * bool(bad), rng.choice(bad or (0,), shape), x)
        for n in (None, torch.from_numpy(lengths)):
            piece = Dense(leaf := torch.from_numpy(x).requires_grad_(), torch.float64, lengths=n)
            found = []
            for z, *_ in (run(kernel, piece), kernel.composed(leaf, None, n)):
                up = torch.from_numpy(upstream(tuple(z.shape)))
                found += [z.detach(), *torch.autograd.grad(z, leaf, up)]
            same(found[0], found[2].numpy())
            same(found[1], found[3].numpy())


LONG = (
    *("SumOverTime", "WeightedSum", "MeanOverTime membrane", "LogSumExp", "CumulativeSoftmax"),
    *("steps smoothed labels", "steps smoothed probabilities", "steps Huber values"),
    *("yes or no of labels", "steps counts values", "steps taught values", "FilteredTrace"),
)


@pytest.mark.parametrize("name", LONG)
def test_sums_of_long_records(name: str) -> None:
    row = next(row for row in ROWS if row.name == name)
    shape = (100_000, 1, 3)
    x, y, loss = record_for(row, shape, "float32"), target_for(row, (1, 1, 3)), row.loss
    if loss.readout.keeps != "time":  # the sum itself
        loss, y = Loss(loss.readout, SquaredError(), reduction=Each()), np.zeros((1, 3))
    with kernels("off"):
        wanted = loss(torch.from_numpy(x), torch.from_numpy(y.copy()))
    y32 = TORCH.array(y, "float32" if y.dtype.kind == "f" else None)
    with kernels("require"), watched() as ran:
        found = loss(TORCH.array(x, "float32"), y32)
    assert ran == read(row, TORCH, False) + (compared(row) if loss is row.loss else [])
    assert (abs(found - wanted) <= 3e-6 * abs(wanted)).all()


SPIKING = {
    "FirstSpike negative": "first",
    "SpikeTimes 3 negative": "spikes",
    "SoftCount": "soft",
    "InterpolatedSpike": "cross",
}
"""Readouts of spikes, and their kernels."""


@EAGER
@pytest.mark.parametrize("name", SPIKING)
@pytest.mark.parametrize("step", [0, 3, 6])
def test_spikes_are_finite(library: Library, name: str, step: int) -> None:
    row = case(name)
    assert read(row) == [SPIKING[name]]
    rule = (
        r"^record: expected finite spikes, got nan or infinity\. "
        r"Look for the step at which the simulation diverged\.$"
    )
    for wrong in (np.nan, np.inf, -np.inf):
        for dtype in ("float64", "float32", "float16"):
            x = row.record_of().copy()
            x[:3] = 1  # every neuron spikes before
            x[step, 2, 4] = wrong
            given, y = library.array(x, dtype), library.array(row.target_of())
            for mode in ("off", "require"):
                with kernels(mode), pytest.raises(ValueError, match=rule):
                    row.loss(given, y)
            padded = library.array(np.array([4, 7, 3, 6, 4]))  # sample 2 ends before the step
            with kernels("require"):
                if step < 3:
                    with pytest.raises(ValueError, match=rule):
                        row.loss(given, y, lengths=padded)
                else:  # what is not valid may be anything
                    assert np.isfinite(float(row.loss(given, y, lengths=padded)))


# Threads and processes


@pytest.fixture
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads", "threaded")
@QUICK_ROWS
def test_same_bits_for_any_number_of_threads(row: Case) -> None:
    if not fits(row, LARGE):
        return
    x, y = (
        TORCH.array(record_for(row, LARGE, "float32"), "float32"),
        target_of(row, LARGE, "float32"),
    )
    lengths = torch.from_numpy(lengths_for(row, LARGE))
    found = []
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        with kernels("require"):  # what follows a kernel is torch's own, and differs in one entry
            loss = row.loss.replace(reduction=Each())
            found.append(evaluated(TORCH, loss, x, y, lengths=lengths))
    for value, grad in found[1:]:
        assert np.array_equal(value, found[0][0])
        assert np.array_equal(grad, found[0][1])


@pytest.mark.usefixtures("_threads", "threaded")
def test_threads_that_call_at_once() -> None:
    torch.set_num_threads(3)
    rows = [row for row in QUICK if fits(row, LARGE)][::2]
    given = [
        (row, TORCH.array(record_for(row, LARGE, "float32"), "float32"), target_of(row, LARGE))
        for row in rows
    ]
    given = [(row, x, y.float() if y.is_floating_point() else y) for row, x, y in given]
    with kernels("require"):
        alone = [evaluated(TORCH, row.loss, x, y) for row, x, y in given]
        with ThreadPoolExecutor(8) as pool:
            for _ in range(3):
                futures = [pool.submit(evaluated, TORCH, row.loss, x, y) for row, x, y in given * 2]
                for future, (value, grad) in zip(futures, alone * 2, strict=True):
                    same(future.result()[0], value, "float32")
                    same(future.result()[1], grad, "float32")


def fresh(code: str, *arguments: str, path: Path = SOURCE, **environment: str) -> str:
    """What code in a new interpreter prints, in which every warning is an error."""
    settings = {**os.environ, "PYTHONPATH": str(path), **environment}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, env=settings, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


FORKED = """
import os, sys, threading
import torch
from torch.utils.data import DataLoader, Dataset
import spikeloss as sl
from spikeloss._kernels.native import core
core().share(1)
torch.set_num_threads(3)
torch.manual_seed(0)
loss = sl.presets.ce_rate()
x, y = torch.randn(60, 64, 36), torch.arange(64) % 36
wanted = loss(x, y)

class Losses(Dataset):
    def __len__(self): return 4
    def __getitem__(self, i):
        torch.set_num_threads(2)
        return loss(x, y)

for _ in range(2):
    for found in DataLoader(Losses(), num_workers=2, timeout=60):
        assert torch.equal(found[0], wanted)
    assert torch.equal(loss(x, y), wanted)

# A child that is born while other threads of its parent are at work in the pool.
stop = threading.Event()
def work():
    while not stop.is_set(): loss(x, y)
workers = [threading.Thread(target=work) for _ in range(2)]
for each in workers: each.start()
for _ in range(5):
    child = os.fork()
    if not child:
        torch.set_num_threads(2)
        os._exit(0 if torch.equal(loss(x, y), wanted) else 3)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for each in workers: each.join()
print("alive")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_threads_survive_a_fork() -> None:
    assert fresh(FORKED, SPIKELOSS_KERNELS="require") == "alive"


# Pieces


@QUICK_ROWS
def test_streams_and_folds(row: Case) -> None:
    shape, loss = (7, 5, 6), row.loss
    if not fits(row, shape) or row.target.startswith(("step_", "spike_", "neuron")):
        return
    wanted = truth(row, shape, "float64", True)
    x, y = TORCH.array(record_for(row, shape, "float64")), target_of(row, shape)
    options = {"lengths": torch.from_numpy(lengths_for(row, shape))}
    with kernels("require"):
        for cuts in ((0, 7), (0, 3, 7), (0, 1, 2, 7), tuple(range(8))):
            x.grad, leaf = None, x.clone().requires_grad_()
            stream = loss.stream(y, **options)
            for start, end in pairwise(cuts):
                stream.steps(leaf[start:end])
            value = stream.value()
            same(value, wanted[0])
            value.backward(torch.from_numpy(upstream(tuple(value.shape))))
            same(leaf.grad, wanted[1])


MERGED = [
    row
    for row in QUICK
    if fits(row, (7, 5, 6)) and row.target in ("labels", "values") and "trace" not in row.name
]


ALONE = "InterpolatedSpike", "PeakWindow"  # of which stretches cannot be joined


@EAGER
@pytest.mark.parametrize("row", MERGED, ids=str)
def test_stretches_of_time_and_parts(row: Case, library: Library) -> None:
    shape = (7, 5, 6)
    x = library.array(record_for(row, shape, "float64"))
    y = library.array(target_for(row, shape))
    with kernels("off"):
        wanted = library.to_numpy(row.loss(x, y))
    with kernels("require"):
        lengths = library.array(np.full(5, 7))  # some losses want to know them
        fold = row.loss.fold(y, lengths=lengths)
        if row.loss.readout.keeps != "time" and row.readout not in ALONE:
            early = fold.steps(fold.begin(x[:3]), x[:3])
            late = fold.steps(fold.begin(x[3:], start=3), x[3:])
            same(fold.finish(fold.merge(early, late)), wanted)
        if isinstance(row.loss.reduction, (Mean, Sum)):
            pieces = [row.loss.parts(x[:, :2], y[:2]), row.loss.parts(x[:, 2:], y[2:])]
            same(sum(pieces[1:], pieces[0]).value(), wanted)


# No core, and none that is wanted


SAYS = "print(float(spikeloss.presets.ce_rate()(numpy.zeros((3, 2, 4)), numpy.array([0, 1]))))"
SCRIPT = f"import numpy, spikeloss\n{SAYS}"
LN_4 = "1.38629"


def test_modes_by_name() -> None:
    x, y = torch.zeros(3, 2, 4), torch.tensor([0, 1])
    for wrong in ("on", "", "1", "Require"):
        rule = rf"^SPIKELOSS_KERNELS: expected auto, off or require, got '{wrong}'\. Unset it\.$"
        with kernels(wrong), pytest.raises(ValueError, match=rule):
            presets.ce_rate()(x, y)
    for mode, ran in (("off", []), ("auto", ["ce"]), ("require", ["ce"]), (None, ["ce"])):
        with kernels(mode), watched() as seen:
            presets.ce_rate()(x, y)
        assert seen == ran


@pytest.mark.parametrize("mode", ["auto", "off", "require"])
def test_without_a_core(mode: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    for path in ("/nonexistent/core.so", str(broken)):
        environment = {"SPIKELOSS_CORE": path, "SPIKELOSS_KERNELS": mode}
        if mode != "require":
            assert fresh(SCRIPT, **environment).startswith(LN_4)
            continue
        code = f"""
import numpy, spikeloss
try:
    {SAYS}
except RuntimeError as error:
    print(error)
"""
        assert fresh(code, **environment).startswith("SPIKELOSS_KERNELS: expected the native core")


def test_nothing_is_missed_where_there_is_no_kernel() -> None:
    code = """
import numpy, spikeloss
loss = spikeloss.Loss(spikeloss.readouts.Decided(), spikeloss.criteria.Focal(gamma=0.0))
print(float(loss(numpy.zeros((2, 4)), numpy.array([0, 1]))))
"""
    environment = {"SPIKELOSS_CORE": "/nonexistent/core.so", "SPIKELOSS_KERNELS": "require"}
    assert fresh(code, **environment).startswith(LN_4)


@pytest.mark.slow
def test_without_the_folder(tmp_path: Path) -> None:
    package = tmp_path / "spikeloss"
    skipped = shutil.ignore_patterns("_kernels", "__pycache__")
    shutil.copytree(SOURCE / "spikeloss", package, ignore=skipped)
    assert not (package / "_kernels").exists()
    code = f"""
import numpy, torch, spikeloss
assert spikeloss.__file__.startswith({str(tmp_path)!r}), spikeloss.__file__
x = torch.zeros(3, 2, 4, requires_grad=True)
loss = spikeloss.presets.ce_rate() + spikeloss.presets.ce_max_membrane()
loss(x, torch.tensor([0, 1])).backward()
assert x.grad.abs().sum() > 0
spikeloss.presets.mse_trace()(x, x.detach())
stream = spikeloss.presets.ce_count().stream(torch.tensor([0, 1]))
stream.steps(x.detach()).value()
"""
    with kernels("auto"):
        assert fresh(code + SAYS, path=tmp_path).startswith(LN_4)
    refused = code.replace("loss(x,", "spikeloss.presets.ce_rate()(x,")
    settings = {**os.environ, "PYTHONPATH": str(tmp_path), "SPIKELOSS_KERNELS": "require"}
    run = subprocess.run(
        [sys.executable, "-c", refused], capture_output=True, text=True, env=settings
    )
    assert "SPIKELOSS_KERNELS: expected the native core" in run.stderr


# Variants of the core


def variants() -> list[str]:
    """What this machine runs, the best first."""
    it = core()
    if not isinstance(it, Core):
        return []
    best = it.variant
    found = [name for name in ("avx512", "avx2", "neon", "baseline") if it.choose(name)]
    assert it.choose(best)
    return found


@pytest.mark.parametrize("variant", variants())
@QUICK_ROWS
def test_every_variant(row: Case, variant: str) -> None:
    it = core()
    assert isinstance(it, Core)
    best, shape = it.variant, LARGE if fits(row, LARGE) else (7, 5, 6)
    if not fits(row, shape):
        return
    try:
        assert it.choose(variant)
        for dtype in ("float32", "float64"):
            x, y = TORCH.array(record_for(row, shape, dtype), dtype), target_of(row, shape, dtype)
            options = {"lengths": torch.from_numpy(lengths_for(row, shape))}
            found = call(row, x, y, "require", **options)
            for one, other in zip(found, truth(row, shape, dtype, True), strict=True):
                same(one, other, dtype)
    finally:
        assert it.choose(best)


def test_readouts_alone_agree() -> None:
    x = TORCH.array(record_for(case("Maximum"), LARGE, "float32"), "float32")
    lengths = torch.from_numpy(lengths_for(case("Maximum"), LARGE))
    for readout in (readouts.Maximum(), readouts.SumOverTime(), readouts.MovingWindow(width=3)):
        found = []
        for mode in ("off", "require"):
            with kernels(mode):
                found.append(readout(x, lengths=lengths))
        same(found[1], found[0].numpy(), "float32")


def test_a_loss_that_was_planned_follows_the_mode() -> None:
    loss, y = Loss(readouts.EveryStep(), CrossEntropy()), torch.tensor([0, 1])
    x = torch.zeros(3, 2, 4)
    for mode, ran in (("off", []), ("require", ["ce"]), ("off", []), ("auto", ["ce"])) * 2:
        with kernels(mode), watched() as seen:
            loss(x, y)
        assert seen == ran
