"""Every page is true: its blocks run, and print what it shows; its tables are the catalogue's.

A page is run from top to bottom in one namespace. What stands in a `text` block right below a
`python` block is what that block prints; a `console` block that looks something up is what the
command prints. `...` stands for anything.

A block below `<!-- file NAME -->` is that file, beside the programs of its page: a block below
`<!-- torchrun N -->` is one for so many processes, below `<!-- devices N -->` for devices of JAX.
"""

import contextlib
import doctest
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import oracles
import pytest
import torch
import yaml

import spikeloss
from spikeloss import presets
from spikeloss.lab.commands import _every
from spikeloss.lab.objectives import find
from spikeloss.lab.recipe import Recipe, load_recipe
from spikeloss.presets import _base

torch.set_num_threads(1)

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(python|text|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LINK = re.compile(r"(?<!`)\]\(([^)#\s]+)(?:#[^)]*)?\)")
OWN = re.compile(r"<!-- (file|torchrun|devices) (\S+) -->\n\Z")
QUICK = re.compile(r"\$ (spikeloss (?:list|show|score|doctor \S+\.npz)\b.*)\n")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if "_build" not in page.parts
]
RUN = [page for page in PAGES if "```python" in page.read_text()]
RECIPES = sorted((ROOT / "benchmarks" / "papers").glob("*.toml"))
LIBRARIES = {"torch": "", "jax": "_jax"}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Block(NamedTuple):
    """A block of a page: its kind, the line above it, what to run, and what that should print."""

    kind: str
    line: int
    code: str
    shown: str
    of: str = ""
    """The name of a file, or how many processes or devices run it."""


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page that are to be run, in their order."""
    fences = list(FENCE.finditer(text))
    for fence, after in zip(fences, [*fences[1:], None], strict=True):
        line = text.count("\n", 0, fence.start(2))
        if fence[1] == "python":
            prints = after is not None and after[1] == "text"
            between = text[fence.end() : after.start()] if after is not None else ""
            shown = after[2] if after and prints and not COMMENT.sub("", between).strip() else ""
            own = OWN.search(text, 0, fence.start())
            kind, of = (own[1], own[2]) if own else ("python", "")
            yield Block(kind, line, fence[2], shown, of)
        elif fence[1] == "console" and (command := QUICK.match(fence[2])):
            yield Block("console", line, command[1], fence[2][command.end() :])


def printed(block: Block, page: Path, module: ModuleType) -> str:
    """What a block prints."""
    if block.kind == "console":
        command = [sys.executable, "-m", "spikeloss.cli", *shlex.split(block.code)[1:]]
        wide = {**os.environ, "COLUMNS": "88"}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=wide).stdout
    if block.kind == "file":
        Path(block.of).write_text(block.code)
        return ""
    if block.kind != "python":
        return program(block)
    code = compile("\n" * block.line + block.code, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, module.__dict__)
    return out.getvalue()


UNENDED, ENDS = "terminate called without an active exception", 5
"""What PyTorch 2.13 dies of once in some ends of a process that has used DDP with gloo, a bare one
without this library too (6 in 16); and how often a program may begin anew for it."""


def program(block: Block) -> str:
    """What a program prints that is run by several processes, or on several devices."""
    Path("program.py").write_text(block.code)
    command, settings = [sys.executable], {"OMP_NUM_THREADS": "1"}
    if block.kind == "torchrun":
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={block.of}"]
    else:
        settings["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={block.of}"
    settings["PYTHONPATH"] = os.pathsep.join(sys.path)
    for _ in range(ENDS):
        run = subprocess.run(
            [*command, "program.py"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | settings,
            timeout=240,
        )
        if UNENDED not in run.stderr:
            break
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What a page registers, or writes to its folder, is gone afterwards."""
    monkeypatch.setattr(_base, "_CATALOGUE", presets.catalogue())
    for table in ("READOUTS", "CRITERIA", "PRESETS"):
        monkeypatch.setattr(oracles, table, dict(getattr(oracles, table)))
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        yield


# They compile for long, or start processes.
SLOW = ("README.md", "jax.md", "first-jax.md", "many-devices.md")

MARKS = ((SLOW, pytest.mark.slow), (("many-devices.md",), pytest.mark.long))

PAGES_RUN = [
    pytest.param(page, marks=[mark for names, mark in MARKS if page.name in names]) for page in RUN
]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("page", PAGES_RUN, ids=named)
def test_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # where dataclasses look for their names
    for block in blocks(page.read_text()):
        out = printed(block, page, module)
        assert (
            doctest.OutputChecker().check_output(block.shown, out, FLAGS) or out == block.shown
        ), f"{named(page)}, line {block.line}: shows\n{block.shown}\nbut prints\n{out}"


def test_pages_are_compared_with_what_they_print() -> None:
    page = "```python\nprint(1 + 1)\n```\n<!-- end -->\n\n```text\n3\n```\n\n```text\nother\n```\n"
    (block,) = blocks(page)
    assert block == Block("python", 1, "print(1 + 1)\n", "3\n")
    assert printed(block, Path("page.md"), ModuleType("page")) == "2\n"


def script(name: str) -> Any:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made  # where its dataclasses look for their module
    spec.loader.exec_module(made)
    return made


def test_readme_shows_what_the_sources_say() -> None:
    text = (ROOT / "README.md").read_text()
    assert script("make_readme").renewed(text) == text, "run: python docs/make_readme.py"


def test_page_of_choice_shows_what_the_runs_say() -> None:
    made = script("make_choice")
    text = (ROOT / "docs" / "choice.md").read_text()
    assert made.page(made.read()) == text, "run: python docs/make_choice.py"
    runs = made.read()
    shown = {row.objective for row in made.rows(runs["digits"])}
    for data in ("yin-yang", "japanese-vowels"):
        file = ROOT / "benchmarks" / "choice" / f"{data}.toml"
        assert set(load_recipe(file)[1]["objectives"]) == {run.objective for run in runs[data]}
    assert shown == {found.spelling for found in _every(Recipe())} | set(made.SUMS)


def test_page_of_papers_shows_what_the_runs_say() -> None:
    made = script("make_papers")
    found, text = made.read(), (ROOT / "docs" / "papers.md").read_text()
    assert made.page(found) == text, "run: python docs/make_papers.py"
    known = {file.stem: made.recipe_of(file.stem) for file in made.RECIPES.glob("*.toml")}
    for name, comparison in known.items():
        own = [run for run in found if run["recipe"] == name]
        seeds = {name: sum(run["objective"] == name for run in own) for name in objectives(own)}
        assert seeds == dict.fromkeys(objectives(own), comparison.seeds)
        assert {len(run["curve"].split()) for run in own} == {comparison.recipe.epochs}
        assert objectives(own) == {find(each).spelling for each in comparison.objectives}
    assert {run["recipe"] for run in found} == set(known)


def objectives(runs: list[dict[str, str]]) -> set[str]:
    """Those of some runs."""
    return {run["objective"] for run in runs}


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_of_a_paper_can_be_trained(file: Path) -> None:
    comparison = script("make_papers").recipe_of(file.stem)
    recipe = comparison.recipe
    network = importlib.import_module(f"spikeloss.lab.network{LIBRARIES[recipe.library]}")
    assert network.built(recipe, 5, 3)
    for name in comparison.objectives:
        find(name).check(recipe.steps, 3)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    prose = COMMENT.sub("", FENCE.sub("", page.read_text()))
    links = [link for link in LINK.findall(prose) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_every_page_is_listed() -> None:
    lists = (ROOT / "docs" / "index.md").read_text()
    inside = [page.relative_to(ROOT / "docs") for page in PAGES if ROOT / "docs" in page.parents]
    pages = [str(page.with_suffix("")) for page in inside if page.name != "index.md"]
    assert [page for page in pages if f"\n{page}\n" not in lists] == []


def test_citation_and_changelog_know_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == spikeloss.__version__
    assert {"cff-version", "title", "message", "authors"} <= citation.keys()
    assert spikeloss.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_one_window_has_the_gradient_of_the_batch() -> None:
    """The example of truncated backpropagation through time."""
    path = ROOT / "examples" / "truncated_bptt.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    torch.manual_seed(0)
    layer, loss = example.Layer(), presets.ce_rate()
    inputs, labels = example.samples(torch.Generator().manual_seed(1))
    u = s = torch.zeros(inputs.shape[1], example.CLASSES)
    record = []
    for x in inputs:
        u, s = layer(x, u, s)
        record.append(s)
    value = loss(torch.stack(record), labels)
    (wanted,) = torch.autograd.grad(value, layer.weight.weight)
    ((whole, gradient),) = example.gradients(layer, loss, inputs, labels, len(inputs))
    torch.testing.assert_close(whole, value.detach())
    torch.testing.assert_close(gradient, wanted)
    *_, (last, cut) = example.gradients(layer, loss, inputs, labels, 10)
    torch.testing.assert_close(last, value.detach())
    assert not torch.allclose(cut, wanted, atol=1e-3)
