"""What an installed spikeloss must do: `python smoke.py LIBRARY ...`, those that are installed.

A loss gives ln 10 and its gradient in each library, by the native core, and what needs a package
that is not there names the extra.
"""

import importlib
import math
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import spikeloss as sl
from spikeloss._install import hint

PACKAGES = ("torch", "jax", "torchmetrics", "pyspike", "typer")
RECORD, LABELS = np.zeros((25, 4, 10), np.float32), np.array([3, 1, 4, 1])
loss = sl.presets.ce_count()


def of_numpy() -> tuple[Any, None]:
    return loss(RECORD, LABELS), None


def of_torch() -> tuple[Any, Any]:
    torch = importlib.import_module("torch")
    record = torch.tensor(RECORD, requires_grad=True)
    value = loss(record, torch.tensor(LABELS))
    value.backward()
    return value.item(), record.grad.numpy()


def of_jax() -> tuple[Any, Any]:
    jax = importlib.import_module("jax")
    return jax.jit(jax.value_and_grad(loss))(jax.numpy.asarray(RECORD), LABELS)


def right(value: Any, grad: Any) -> None:
    """Silence is as likely any class: ln 10, and (1/10 - one of the label) / 4 at every step."""
    assert math.isclose(value, math.log(10), rel_tol=1e-6), value
    if grad is not None:
        wanted = np.broadcast_to((0.1 - np.eye(10)[LABELS]) / 4, RECORD.shape)
        np.testing.assert_allclose(grad, wanted, rtol=1e-5)


def refused(error: type[Exception], extra: str, call: Any) -> None:
    """Without its packages a call says how they are installed."""
    said = "nothing"
    try:
        call()
    except error as raised:
        said = str(raised)
    assert said.endswith(hint(extra)), said


def main(libraries: list[str]) -> None:
    """All of it; ends with the line that names what was there."""
    there = {name for name in PACKAGES if find_spec(name)}
    assert there == set(libraries) - {"numpy"}, there
    assert Path(sl.__file__).is_relative_to(sys.prefix), sl.__file__
    assert sl.__version__ == version("spikeloss")
    before = set(sys.modules)
    for name in libraries:
        right(*{"numpy": of_numpy, "torch": of_torch, "jax": of_jax}[name]())
    unasked = {"torch", "jax"} & (set(sys.modules) - before) - set(libraries)
    assert not unasked, unasked
    x = np.array([1.0])
    of_spikes = sl.distances.isi_distance
    refused(ImportError, "distances", lambda: of_spikes(x, x, interval=(0.0, 2.0)))
    torch_metrics = "spikeloss.torch_metrics"
    refused(ImportError, "torchmetrics", lambda: importlib.import_module(torch_metrics))
    command = [sys.executable, "-m", "spikeloss", "list"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.strip().endswith(hint("lab")), ran.stderr
    wanted = hint("lab").partition("pip install ")[2].strip('".')
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--dry-run", wanted]
    if find_spec("pip"):
        subprocess.run(pip, check=True)
    said = [f"{name} {version(name)}" for name in (*libraries, "array-api-compat")]
    print(f"Python {sys.version.split()[0]}, {', '.join(dict.fromkeys(('numpy', *libraries)))}:")
    print("  ", ", ".join(said), "right;", importlib.import_module("spikeloss._choice").state())


if __name__ == "__main__":
    main(sys.argv[1:])
