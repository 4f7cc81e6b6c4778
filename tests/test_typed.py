"""A project of a user passes the strict checks of its types, and runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import spikeloss

PROJECT = Path(__file__).with_name("typed")
SOURCE = Path(spikeloss.__file__).parents[1]


def passes(tmp_path: Path, *command: str) -> str:
    """What a program says of the project, in a folder of its own."""
    shutil.copytree(PROJECT, tmp_path / "project", dirs_exist_ok=True)
    environment = os.environ | {"MYPYPATH": str(SOURCE), "PYTHONPATH": str(SOURCE)}
    run = subprocess.run(
        command, cwd=tmp_path / "project", env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.slow
def test_mypy_is_content(tmp_path: Path) -> None:
    mypy = (sys.executable, "-m", "mypy", "--follow-imports", "silent")
    assert "Success" in passes(tmp_path, *mypy, "sample.py")
    sample = tmp_path / "project" / "sample.py"
    sample.write_text(sample.read_text() + "\nloss: int = presets.ce_count()\n")
    wrong = subprocess.run(
        [*mypy, "sample.py"],
        cwd=sample.parent,
        env=os.environ | {"MYPYPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert 'has type "Loss"' in wrong.stdout, wrong.stdout  # it sees types, and not Any


@pytest.mark.slow
def test_pyright_is_content(tmp_path: Path) -> None:
    if shutil.which("pyright") is None:
        pytest.skip("pyright is not installed")
    options = ("--pythonpath", sys.executable)
    assert "0 errors" in passes(tmp_path, "pyright", *options, "sample.py")


def test_the_project_runs(tmp_path: Path) -> None:
    accuracy, value = passes(tmp_path, sys.executable, "sample.py").strip("()\n").split(", ")
    assert 0 <= float(accuracy) <= 1
    assert float(value) > 0
