"""A comparison's folder: one file per finished run, written whole or not at all.

    config.json           what is compared, with which versions; never changes
    runs/NAME-SEED.json   one finished run each

A run that was interrupted leaves nothing; one that finished is never trained again.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .environment import versions
from .errors import InputError
from .recipe import Comparison
from .runs import Run


def write(path: Path, content: bytes | str) -> None:
    """Write a file in one step: a reader, or a kill, finds the old one or the new one."""
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as wrong:
        with suppress(OSError):
            partial.unlink()
        got = f"{path} ({wrong.strerror})"
        fix = "Name another place with --out."
        raise InputError("--out", "a place that can be written", got, fix) from None


def slug(objective: str) -> str:
    """An objective's spelling as part of a file name."""
    return re.sub(r"[^\w.=,-]", "", objective.replace("(", "-"))


@dataclass(frozen=True)
class Folder:
    """The folder of one comparison; `open` makes it, or finds it again."""

    path: Path
    comparison: Comparison

    @classmethod
    def open(cls, path: Path, comparison: Comparison) -> "Folder":
        """Make the folder, or continue it if it holds this very comparison."""
        known = {**asdict(comparison), "versions": versions(comparison.recipe.data)}
        config = json.dumps(known, indent=2)
        made = path / "config.json"
        if made.exists():
            _same(path, _read(made), json.loads(config))
        else:
            _unused(path)
            write(made, config)
        return cls(path, comparison)

    def save(self, run: Run) -> None:
        """Keep a finished run."""
        write(self._file(run.objective, run.seed), json.dumps(run.as_dict()))

    def missing(self) -> list[tuple[str, int]]:
        """The objectives and seeds that are still to be trained."""
        return [run for run in self.comparison.runs() if not self._file(*run).exists()]

    def runs(self) -> list[Run]:
        """All runs, objective by objective."""
        return [
            Run.from_dict(_read(self._file(name, seed)))
            for name in self.comparison.objectives
            for seed in range(self.comparison.seeds)
        ]

    def _file(self, objective: str, seed: int) -> Path:
        return self.path / "runs" / f"{slug(objective)}-{seed}.json"


def _unused(path: Path) -> None:
    """Refuse a path where files would mix with somebody else's."""
    rule, fix = "a new or empty folder", "Name another folder with --out."
    if path.exists() and not path.is_dir():
        raise InputError("--out", rule, f"the file {path}", fix)
    if path.exists() and any(not file.name.startswith(".") for file in path.iterdir()):
        raise InputError("--out", rule, f"{path}, which holds other files", fix)


def _same(path: Path, made: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse a folder that was made by another comparison, and name what differs."""
    before, now = _flat(made), _flat(asked)
    differing = [
        f"{key} {before.get(key)} (now {now.get(key)})"
        for key in sorted(before | now)
        if before.get(key) != now.get(key)
    ]
    if differing:
        got = f"{path}, made with {', '.join(differing)}"
        fix = "Name another folder with --out, or repeat what made this one."
        raise InputError("--out", "a new folder or one of this very comparison", got, fix)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without its nesting: name -> value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= value if isinstance(value, dict) else {key: value}
    return flat


def _read(file: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(file.read_text())
    except ValueError:
        fix = "Delete that file and start again."
        raise InputError("--out", "files of a comparison", f"{file}, damaged", fix) from None
    return values
