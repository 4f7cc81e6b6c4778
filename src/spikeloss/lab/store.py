"""A comparison's folder: one file per finished run, written whole or not at all.

    config.json                 what is compared, with which versions
    runs/NAME-SEED.json         one finished run each, with the recipe and versions that made it
    runs/NAME-SEED.safetensors  a run that is trained, after its last epoch

A run that finished is never trained again; one that was interrupted goes on after its last epoch.
A comparison grows: further objectives and seeds of the same recipe are added. Another recipe is
refused as soon as a run has finished. Where config.json is gone, runs that this very recipe made
bring it back.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .environment import versions
from .errors import InputError
from .files import check_writable, create, damaged, dumps, place, read, slug, write
from .recipe import Comparison
from .runs import Run

CONFIG: dict[str, type] = {"recipe": dict, "objectives": list, "seeds": int, "versions": dict}
RUN = ("recipe", "versions")
"""What a run depends on, beside its objective and seed."""


@dataclass(frozen=True)
class Folder:
    """The folder of one comparison; `open` makes it, or finds it again."""

    path: Path
    comparison: Comparison

    @classmethod
    def open(cls, path: Path, comparison: Comparison) -> "Folder":
        """Make the folder, or go on with the comparison in it, to which this one is added."""
        folder, config = cls(path, comparison), path / "config.json"
        asked = folder._config()
        with place(path):
            if not os.path.lexists(config):
                folder._check_free()
                create(config, dumps(asked, indent=2))
            # Whoever created it: of two first starts one did, and the other one is compared.
            made = read(config)
            if not _holds(made, CONFIG):
                damaged(config)
            if any((path / "runs").glob("*.json")):
                _same(path, *({key: known[key] for key in RUN} for known in (made, asked)))
                folder = cls(path, _both(comparison, made))
                folder._check_code(comparison.objectives)
            now = folder._config()
            if now != made:
                write(config, dumps(now, indent=2))
            folder._check_runs()
        return folder

    def save(self, run: Run) -> None:
        """Keep a finished run, in the place of its checkpoint; one that is there stays."""
        made = {key: value for key, value in self._config().items() if key in RUN}
        if not create(self.file(run.objective, run.seed), dumps(run.as_dict() | made)):
            self._read(run.objective, run.seed, self._config())  # refused, if of another recipe
        with suppress(OSError):
            self.checkpoint(run.objective, run.seed).unlink()

    def checkpoint(self, objective: str, seed: int) -> Path:
        """Where a run is kept while it is trained."""
        return self.file(objective, seed).with_suffix(".safetensors")

    def missing(self) -> list[tuple[str, int]]:
        """The objectives and seeds that are still to be trained."""
        return [run for run in self.comparison.runs() if not os.path.lexists(self.file(*run))]

    def runs(self) -> list[Run]:
        """All runs, objective by objective."""
        asked = self._config()
        return [
            self._read(name, seed, asked)
            for name in self.comparison.objectives
            for seed in range(self.comparison.seeds)
        ]

    def file(self, objective: str, seed: int) -> Path:
        """Where a run is kept."""
        return self.path / "runs" / f"{slug(objective)}-{seed}.json"

    def _config(self) -> dict[str, Any]:
        """What config.json says, as it is read again."""
        recipe = self.comparison.recipe
        known = {**asdict(self.comparison), "versions": versions(recipe.data, recipe.library)}
        config: dict[str, Any] = json.loads(dumps(known))
        return config

    def _read(self, objective: str, seed: int, asked: dict[str, Any]) -> Run:
        """A finished run, refused if it is another one than its name says."""
        file = self.file(objective, seed)
        values = read(file)
        if values.keys() & RUN:  # early versions kept none
            if not _holds(values, RUN):
                damaged(file)
            _same(file, {key: values[key] for key in RUN}, {key: asked[key] for key in RUN})
        try:
            run = Run.from_dict(values)
        except ValueError as wrong:
            damaged(file, f"damaged ({wrong})")
        if (run.objective, run.seed) != (objective, seed):
            rule = f"the run of {objective}, seed {seed}"
            got = f"that of {run.objective}, seed {run.seed}, in {file}"
            fix = "Move it away and repeat the command; what is finished is kept."
            raise InputError("--out", rule, got, fix)
        if len(run.curve) != self.comparison.recipe.epochs:
            damaged(file)
        return run

    def _check_code(self, asked: tuple[str, ...]) -> None:
        """Refuse to run code that only the file of a configuration names."""
        for name in dict(self.missing()):
            if name not in asked and ":" in name:
                rule = f"{name} again, which is to be trained and names code"
                fix = "Add it to the command, if you trust it."
                raise InputError("--objective", rule, f"it in {self.path / 'config.json'}", fix)

    def _check_runs(self) -> None:
        """Refuse, before anything is trained, what could not be read or written after it."""
        asked, missing = self._config(), self.missing()
        for run in set(self.comparison.runs()) - set(missing):
            self._read(*run, asked)
        for name in ("results.json", "results.csv", "report.html"):
            if (self.path / name).is_dir():
                damaged(self.path / name, "a folder")
        if missing:
            check_writable(
                max((self.file(*run) for run in missing), key=lambda file: len(str(file)))
            )

    def _check_free(self) -> None:
        """Refuse a path where files would mix with somebody else's."""
        rule, fix = "a new or empty folder", "Name another folder with --out."
        if not os.path.lexists(self.path):
            return
        if not self.path.is_dir():
            raise InputError("--out", rule, f"the file {self.path}", fix)
        if all(file.name.startswith(".") for file in self.path.iterdir()):
            return
        asked = {key: value for key, value in self._config().items() if key in RUN}
        made = {file: _made(file) for file in sorted((self.path / "runs").glob("*.json"))}
        if not any(made.values()) and not os.path.lexists(self.path / "config.json"):
            raise InputError("--out", rule, f"{self.path}, which holds other files", fix)
        for file, known in made.items():
            if known:
                _same(file, known, asked)


def _both(asked: Comparison, made: dict[str, Any]) -> Comparison:
    """What is asked for, after what a configuration says was compared before."""
    before = [name for name in made["objectives"] if isinstance(name, str)]
    names = tuple(dict.fromkeys((*before, *asked.objectives)))
    return Comparison(asked.recipe, names, max(asked.seeds, made["seeds"]))


def _made(file: Path) -> dict[str, Any]:
    """The recipe and versions that a run was made with; none for a file that holds no such run."""
    try:
        values = read(file)
    except InputError:
        return {}
    return {key: values[key] for key in RUN} if _holds(values, RUN) else {}


def _holds(values: dict[str, Any], keys: Iterable[str]) -> bool:
    """Whether the values have these keys, each of the type that it has in a configuration."""
    return all(isinstance(values.get(key), CONFIG[key]) for key in keys)


def _same(path: Path, made: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse what was made by another comparison, and name what differs."""
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
