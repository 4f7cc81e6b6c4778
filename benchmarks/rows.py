"""Rows of measurements: one line each, one file per device and number of threads.

A row carries the commit and a hash of the sources whose speed it measures, so that rows that are
older than the code can be told.
"""

import ast
import csv
import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_type_hints

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SOURCES = ROOT / "src" / "spikeloss"
ELSEWHERE = (
    *("lab", "compat", "metrics", "distances", "diagnosis", "testing"),
    *("cli.py", "torch_metrics.py"),
)
"""What no call of a loss runs; a test sees to it."""
SUFFIXES = (".py", ".c", ".h")
PACKAGES = ("spikeloss", "torch", "jax", "numpy", "snntorch", "brainpy", "optax")


@dataclass(frozen=True)
class About:
    """What all rows of a process have in common."""

    date: str
    commit: str
    source: str
    """A hash of the sources that are measured."""
    device: str
    threads: int
    python: str
    spikeloss: str
    torch: str
    jax: str
    numpy: str
    snntorch: str
    brainpy: str
    optax: str

    @property
    def versions(self) -> str:
        """Of Python and of all packages, in a sentence."""
        named = ((name, getattr(self, name)) for name in ("python", *PACKAGES))
        return ", ".join(f"{name} {version}" for name, version in named if version)


@dataclass(frozen=True)
class Row(About):
    """One measurement; times are milliseconds."""

    library: str
    provider: str
    kernel: str
    """Of the provider "kernel": which kernels ran, or why the composed form did."""
    objective: str
    T: int
    B: int
    N: int
    C: int
    lengths: str
    mode: str
    minimum: float
    median: float
    repeats: int
    copy_fresh: float
    """`record.clone()`, in the same turns, as are the next three."""
    copy_warm: float
    read: float
    """`record.sum(0)`."""
    floor: float
    """One `F.cross_entropy` with gradient on [B, C]."""

    @property
    def size(self) -> tuple[int, int, int, int]:
        """Steps, samples, neurons and classes."""
        return self.T, self.B, self.N, self.C

    @property
    def cell(self) -> tuple[Any, ...]:
        """What was measured in the same turns."""
        return self.library, self.objective, self.size


def about(threads: int) -> About:
    return About(
        date=date.today().isoformat(),
        commit=commit(),
        source=fingerprint(),
        device=device(),
        threads=threads,
        python=platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def device() -> str:
    """The processor and the number of its cores that this process may use."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    name = found.get("model name", platform.processor() or platform.machine())
    if "model" in found:
        name += f", family {found['cpu family']} model {found['model']}"
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {usable} cores"


def commit() -> str:
    """The commit that is checked out, with a plus where the sources differ from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", str(SOURCES))
    return f"{head}{'+' * bool(changed)}" if head else "unknown"


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# ---- what the rows measure


def fingerprint(folder: Path = SOURCES) -> str:
    """A hash of the sources that the measured calls run; docstrings and comments do not count."""
    found = hashlib.sha256()
    for path in measured(folder):
        found.update(f"{path.relative_to(folder).as_posix()}\n{code(path)}\n".encode())
    return found.hexdigest()[:12]


def measured(folder: Path = SOURCES) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES and path.relative_to(folder).parts[0] not in ELSEWHERE
    )


def code(path: Path) -> str:
    """The text of a file; of Python without docstrings, whole lines of comment and empty lines."""
    text = path.read_text()
    if path.suffix != ".py":
        return text
    left = dict(enumerate(text.splitlines(), 1))
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                for word in filter(_is_text, node.body):
                    for line in range(word.lineno, (word.end_lineno or word.lineno) + 1):
                        left.pop(line, None)
    return "\n".join(line for line in left.values() if not re.match(r"\s*(#|$)", line))


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def stale(rows: Iterable[Row], now: str | None = None) -> list[Row]:
    """The rows that are older than the code that they measure."""
    now = fingerprint() if now is None else now
    return [row for row in rows if row.source != now]


# ---- files


def path_of(found: About, folder: Path, script: str = "speed") -> Path:
    """The script's file of this device and this many threads; never another device's."""
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", found.device.lower())).strip("-")
    path = folder / f"{script}-{slug}-{found.threads}-thread{'s' * (found.threads > 1)}.csv"
    if path.exists():
        with path.open(newline="") as file:
            others = {row["device"] for row in csv.DictReader(file)} - {found.device}
        if others:
            raise SystemExit(f"{path} holds the results of another device: {others}. Move it.")
    return path


def write(found: Sequence[Any], path: Path) -> None:
    """The rows, of one dataclass, with its fields as columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        names = [field.name for field in fields(found[0])]
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in found)


def read(path: Path) -> list[Row]:
    """The rows of a file of speeds."""
    types = get_type_hints(Row)
    with path.open(newline="") as file:
        return [
            Row(**{name: types[name](text) for name, text in row.items()})
            for row in csv.DictReader(file)
        ]


def renew(path: Path, fresh: Sequence[Row]) -> None:
    """Put the rows of a cell into a file, in place of what was there of it."""
    before = read(path) if path.exists() else []
    cell, unfinished = fresh[0].cell, path.with_suffix(".unfinished")
    write([row for row in before if row.cell != cell] + list(fresh), unfinished)
    unfinished.replace(path)


def files(folder: Path = RESULTS) -> Iterator[tuple[Path, list[Row]]]:
    """Every file of speeds with its rows."""
    for path in sorted(folder.glob("speed-*.csv")):
        yield path, read(path)
