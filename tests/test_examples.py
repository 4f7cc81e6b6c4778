"""Every example trains, as a program of its own, with the package that it is about.

Those packages are in examples/requirements.txt; without one of them its example is skipped.
"""

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("train_*.py"))
BOUND = 0.8  # of 360 images: chance is 0.1
QUICK = ("train_norse", "train_spikingjelly", "train_spyx")  # not so long, and of others' layers
ALSO = {
    "train_spikingjelly": r"rate of the hidden layer 0\.[01]\d\d\n",
    "train_spyx": r"spyx (\d\.\d{5}), spikeloss \1\n",
}
"""What else an example prints: of spyx the same number twice."""


def imported(code: str) -> set[str]:
    """The packages that a program imports."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


def marked(example: Path) -> object:
    """Slow, and long unless it is quick."""
    marks = [pytest.mark.slow, *([] if example.stem in QUICK else [pytest.mark.long])]
    return pytest.param(example, marks=marks, id=example.stem)


@pytest.mark.parametrize("example", [marked(each) for each in EXAMPLES])
def test_an_example_learns(example: Path) -> None:
    for package in sorted(imported(example.read_text())):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(example)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=400,
    )
    assert run.returncode == 0, run.stderr
    accuracy = re.search(r"^test accuracy (\d\.\d{3})$", run.stdout, re.MULTILINE)
    assert accuracy is not None, run.stdout
    assert float(accuracy[1]) > BOUND
    assert re.search(ALSO.get(example.stem, ""), run.stdout), run.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_on_its_page(example: Path) -> None:
    code = example.read_text()
    head = (ast.get_docstring(ast.parse(code)) or "").partition("\n")[0]
    assert head.endswith(f": python examples/{example.name}.")
    assert code.count("\n") <= 75
    assert f"../examples/{example.name}\n" in (ROOT / "docs" / "examples.md").read_text()
