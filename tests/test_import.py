"""Importing spikeloss is quick, changes nothing, and needs no library but that of the record."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULES = [
    "spikeloss",
    "spikeloss.metrics",
    "spikeloss.presets",
    "spikeloss.readouts",
    "spikeloss.compat.brainpy",
    "spikeloss.compat.snntorch",
]
FRAMEWORKS = [
    *("torch", "jax", "jaxlib", "numpy", "array_api_compat", "array_api_strict", "snntorch"),
    "brainpy",
]

# Every preset with its options, class decisions and both drop-in modules, on arrays that `array`
# makes; `run` is the identity or compiles the lot. `numbers` is what they give.
USE = """
import spikeloss as sl
from spikeloss.compat import brainpy, snntorch

def use(record, labels, lengths, weights):
    for preset in sl.presets.catalogue().values():
        loss = preset.build()
        if not loss.of_labels or loss.main.criterion.of_sequence is not False:
            continue
        each = loss.replace(reduction=sl.reductions.Each())
        timeless = loss.main.readout.timeless
        shown, layout = (record[0], {}) if timeless else (record, {"lengths": lengths})
        yield loss(shown, labels)
        yield each(shown, labels, class_weight=weights, **layout).sum()
        # Sums of numbers that are not exact tie, but for a rounding.
        readout = type(loss.main.readout).__name__
        if readout not in ("CumulativeSoftmax", "WeightedSum", "LogSumExp", "SoftCount"):
            yield loss.accuracy(shown, labels, **layout)
            yield loss.predict(shown, **layout).sum()
    yield brainpy.cross_entropy_loss(record[0], labels)
    yield snntorch.ce_rate_loss()(record, labels)

rows = [[[(t * b + n) % 3 == 0 for n in range(4)] for b in range(3)] for t in range(5)]
record, labels = array(rows, float), array([3, 0, 2], int)
layout = array([5, 1, 3], int), array([1, 2, 3, 4], float)
next(use(record, labels, *layout))
numbers = run(lambda *arrays: list(use(*arrays)))(record, labels, *layout)
numbers = [round(float(number), 5) for number in numbers]
"""

ARRAYS = {
    "numpy": "import numpy; array, run = numpy.array, lambda f: f",
    "torch": """
import torch
dtypes = {float: torch.float32, int: torch.int64}
array, run = lambda rows, dtype: torch.tensor(rows, dtype=dtypes[dtype]), lambda f: f
""",
    "jax": "import jax; array, run = jax.numpy.array, jax.jit",
}

# A framework that cannot be imported, as if it were not installed, and who tried to.
BLOCK = """
import sys
class Block:
    tried = []
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            self.tried.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""

# All that a library could change behind the back of its user.
STATE = """
import locale, os, random, sys, warnings
import numpy, torch, jax
def state():
    return {
        "jax": repr(sorted(jax.config.values.items(), key=str)),
        "jax x64": jax.config.jax_enable_x64,
        "jax devices": repr(jax.devices()),
        "torch dtype": str(torch.get_default_dtype()),
        "torch device": str(torch.get_default_device()),
        "torch grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "torch anomaly": torch.is_anomaly_enabled(),
        "torch threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch precision": torch.get_float32_matmul_precision(),
        "torch deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch random": torch.get_rng_state().tolist(),
        "numpy print": repr(numpy.get_printoptions()),
        "numpy errors": (numpy.geterr(), repr(numpy.geterrcall())),
        "numpy random": repr(numpy.random.get_state(legacy=False)),
        "random": repr(random.getstate()),
        "warnings": (repr(warnings.filters), repr(warnings.showwarning)),
        "environment": dict(os.environ),
        "paths": (sys.path[:], [repr(finder) for finder in sys.meta_path]),
        "locale": locale.setlocale(locale.LC_ALL),
    }
"""


def fresh(code: str, cache: Path | None = None) -> Any:
    """What `code`, run in a new interpreter, leaves in `answer`; with its bytecode in `cache`."""
    code += "\nimport json; print(json.dumps(answer))"
    command = [sys.executable, "-W", "error", "-c", code]
    environment = dict(os.environ)
    if cache:
        environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(cache)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("module", MODULES)
def test_import_brings_no_framework(module: str) -> None:
    code = f"import sys, {module}\nanswer = [m for m in {FRAMEWORKS} if m in sys.modules]"
    # The accuracies of snnTorch are NumPy numbers.
    assert fresh(code) == (["numpy"] if module == "spikeloss.compat.snntorch" else [])


def test_import_is_quick(tmp_path: Path) -> None:
    # An installed package has bytecode, wherever the tests are told to write none.
    code = """
import time
start = time.process_time()
import spikeloss
answer = time.process_time() - start
"""
    best = min(fresh(code, tmp_path) for _ in range(5))
    print(f"import spikeloss: {1000 * best:.0f} ms")
    assert best < 0.2


@pytest.mark.slow
def test_import_and_use_change_no_state() -> None:
    code = f"""
{STATE}
numpy.set_printoptions(precision=3)
numpy.seterr(all="raise", under="ignore")
answer = []
for x64 in (False, True):
    jax.config.update("jax_enable_x64", x64)
    for name in [name for name in sys.modules if name.startswith(("spikeloss", "array_api_comp"))]:
        del sys.modules[name]
    states = [state()]
    import spikeloss, spikeloss.compat.brainpy, spikeloss.compat.snntorch
    states.append(state())
    for array in (numpy.array, torch.tensor, jax.numpy.array):
        spikeloss.presets.mse_temporal()(array([[[0.0, 1.0, 0.0]]]), array([1]))
    states.append(state())
    answer.append(states)
"""
    for before, imported, used in fresh(code):
        assert imported == before
        assert used == before


@pytest.fixture(scope="module")
def numbers() -> list[float]:
    """What `USE` gives with NumPy, for comparison."""
    answer: list[float] = fresh(f"{ARRAYS['numpy']}\n{USE}\nanswer = numbers")
    assert len(answer) > 20
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("name", ARRAYS)
def test_only_the_library_of_the_record_is_needed(name: str, numbers: list[float]) -> None:
    others = ("torch", "jax", "jaxlib", "array_api_strict")
    blocked = [other for other in others if not other.startswith(name)]
    code = f"{ARRAYS[name]}\nblocked = {blocked}\n{BLOCK}\n{USE}\nanswer = numbers, Block.tried"
    found, tried = fresh(code)
    assert tried == []
    assert found == pytest.approx(numbers, abs=2e-5)


def test_without_frameworks_an_array_of_no_library_is_refused() -> None:
    code = f"""
blocked = ["torch", "jax", "jaxlib"]
{BLOCK}
import spikeloss, numpy
try:
    spikeloss.presets.ce_rate()([[[0.0, 1.0]]], numpy.array([1]))
except TypeError as error:
    answer = str(error)
"""
    assert fresh(code).startswith("record: expected a torch tensor, a JAX array or a NumPy array")
