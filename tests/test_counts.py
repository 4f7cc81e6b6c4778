"""What PyTorch runs on a device that is no CPU, counted in a process of its own.

PyTorch counts its devices when it first differentiates something; after other tests a device that
it does not know yet is one too many.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "which", ["not slow", pytest.param("slow", marks=pytest.mark.slow)], ids=["eager", "compiled"]
)
def test_elsewhere(which: str) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", which]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/elsewhere.py"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: x for name, x in os.environ.items() if not name.startswith("PYTEST_XDIST")},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
