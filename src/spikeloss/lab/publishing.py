"""Publishes runs: results.json, results.csv, pictures, and one report.html for them all."""

import os
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from . import plots, results, summary, winners
from .data import source
from .errors import InputError
from .files import dumps, place, slug, write
from .objectives import Objective, find
from .recipe import Comparison, Recipe, as_toml
from .runs import Run
from .store import Folder


class Setting(NamedTuple):
    """What a page says around the numbers; of a comparison also how to repeat it."""

    title: str
    lines: tuple[str, ...]
    command: str | None = None
    toml: str | None = None
    where: tuple[tuple[str, str], ...] = ()


def publish(folder: Folder) -> dict[str, Any]:
    """Write everything that can be made from the runs of a comparison; returns results.json."""
    comparison, runs = folder.comparison, folder.runs()
    result = results.as_dict(comparison, runs)
    where = result["versions"] | {key: result[key] or "none" for key in ("commit", "machine")}
    setting = Setting(
        f"Objectives on {comparison.recipe.data}",
        (_intro(comparison), source(comparison.recipe.data).about),
        comparison.command(),
        as_toml(comparison),
        tuple(where.items()),
    )
    _write(folder.path, runs, result, setting)
    return result


def publish_runs(runs: Sequence[Run], folder: Path, title: str, about: str) -> Path:
    """Write everything that can be made from any runs; returns the path of the report."""
    if not runs:
        raise InputError("runs", "at least one", "none", "Give what was trained.")
    _check_ours(folder)
    _write(folder, runs, results.of_runs(runs), Setting(title, tuple(filter(None, [about]))))
    return folder / "report.html"


MARK = b'<meta name="generator" content="spikeloss">'
"""What a report of ours has in its head."""


def _check_ours(folder: Path) -> None:
    """Refuse a folder in which somebody else's files might be replaced."""
    with place(folder, "folder"):
        if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
            return
        page = folder / "report.html"
        if not page.is_file() or MARK not in page.read_bytes()[:1000]:
            rule, fix = "a new or empty folder, or one of a report", "Name another folder."
            raise InputError("folder", rule, f"{folder}, which holds other files", fix)


def _write(path: Path, runs: Sequence[Run], result: dict[str, Any], setting: Setting) -> None:
    write(path / "results.json", dumps(result, indent=2))
    write(path / "results.csv", results.as_csv(result))
    light, dark = _pictures(runs, plots.LIGHT), _pictures(runs, plots.DARK)
    for name, picture in light.items():
        write(path / f"{name}.png", picture)
    write(path / "report.html", _page(runs, setting, light, dark))


def _intro(comparison: Comparison) -> str:
    seeds = f"{comparison.seeds} {'seed' if comparison.seeds == 1 else 'seeds'}"
    recipe, count = comparison.recipe, len(comparison.objectives)
    those = "one objective" if count == 1 else f"{count} objectives"
    lasting = f"{recipe.steps} steps, {recipe.epochs} epochs"
    return (
        f"The same spiking network, trained with {those} from {seeds} each: {_network(recipe)}, "
        f"{lasting}."
    )


def _network(recipe: Recipe) -> str:
    if recipe.model != Recipe.model:
        return f"`{recipe.model}`"
    kind = "recurrent hidden" if recipe.recurrent else "hidden"
    layers = f"a {kind} layer" if recipe.layers == 1 else f"{recipe.layers} {kind} layers"
    return f"{layers} of {recipe.hidden} {recipe.neuron} neurons"


# Pictures


def _pictures(runs: Sequence[Run], theme: plots.Theme) -> dict[str, bytes]:
    """File name -> PNG: of all runs, then two of each objective."""
    pictures = {
        "curves": plots.curves(runs, theme),
        "anytime": plots.anytime(runs, theme),
        "front": plots.front(summary.summarise(runs), theme),
    }
    if pictures["curves"] is None:
        pictures["losses"] = plots.losses(runs, theme)
    for index, (name, own) in enumerate(summary.by_objective(runs).items()):
        ink, reads = plots.colour(index, theme), own[0].reads
        pictures[f"raster-{slug(name)}"] = plots.raster(own[0].sample, reads, ink, theme)
        pictures[f"confusion-{slug(name)}"] = plots.confusion(own, ink, theme)
    return {name: picture for name, picture in pictures.items() if picture is not None}


def _known(name: str) -> Objective | None:
    """The objective that a run names; None for one of the user's own."""
    with suppress(InputError):
        return find(name, code=False)
    return None


# The page


def _page(
    runs: Sequence[Run], setting: Setting, light: dict[str, bytes], dark: dict[str, bytes]
) -> str:
    """The report as one HTML page that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("spikeloss.lab"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    rows = summary.summarise(runs)
    seeds = sorted({run.seed for run in runs})
    own = list(summary.by_objective(runs).values())
    return environment.get_template("report.html").render(
        setting=setting,
        findings=winners.findings(runs) if len(rows) > 1 else [],
        rule=winners.RULE,
        columns=summary.columns(rows),
        seeds=seeds,
        front=[row.objective for row in plots.frontier(rows)],
        cards=[
            _card(index, row, mine, summary.columns(rows))
            for index, (row, mine) in enumerate(zip(rows, own, strict=True))
        ],
        pictures={name: (_data_uri(light[name]), _data_uri(dark[name])) for name in light},
    )


def _card(
    index: int, row: summary.Summary, own: Sequence[Run], shown: Sequence[summary.Column]
) -> dict[str, Any]:
    """What the page says of one objective."""
    objective, accuracies = _known(row.objective), {run.seed: 100 * run.accuracy for run in own}
    cells = summary.cells(row, shown)[1:]
    return {
        "name": row.objective,
        "preset": None if objective is None else objective.preset,
        "reads": "" if objective is None else objective.reads,
        "colours": (plots.colour(index, plots.LIGHT), plots.colour(index, plots.DARK)),
        "cells": [
            (column, cell, _number(column.number, row))
            for column, cell in zip(shown, cells, strict=True)
        ],
        "accuracies": accuracies,
        "sample": own[0].sample,
        "raster": f"raster-{slug(row.objective)}",
        "confusion": f"confusion-{slug(row.objective)}",
    }


def _number(number: Callable[[Any], float | None], row: summary.Summary) -> str:
    """What a column is sorted by; nothing where there is no number."""
    found = number(row)
    return "" if found is None else repr(found)


def _prose(text: str) -> Markup:
    """Words from a docstring, with `names` as code."""
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", str(escape(text))))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
