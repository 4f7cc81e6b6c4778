"""Publishes a comparison: results.json, results.csv, pictures, and one report.html for them all."""

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from . import plots, results, summary
from .data import source
from .files import dumps, slug, write
from .objectives import find
from .recipe import Comparison
from .runs import Run
from .store import Folder


def publish(folder: Folder) -> dict[str, Any]:
    """Write everything that can be made from the runs of a comparison; returns results.json."""
    runs = folder.runs()
    result = results.as_dict(folder.comparison, runs)
    write(folder.path / "results.json", dumps(result, indent=2))
    write(folder.path / "results.csv", results.as_csv(result))
    light, dark = _pictures(runs, plots.LIGHT), _pictures(runs, plots.DARK)
    for name, picture in light.items():
        write(folder.path / f"{name}.png", picture)
    page = _page(folder.comparison, runs, results.common(result), light, dark)
    write(folder.path / "report.html", page)
    return result


def _pictures(runs: Sequence[Run], theme: plots.Theme) -> dict[str, bytes]:
    """File name -> PNG: the learning curves, and a raster of each objective's first seed."""
    firsts = {run.objective: run for run in reversed(runs)}
    names = dict.fromkeys(run.objective for run in runs)
    pictures = {"curves": plots.curves(runs, theme)}
    for index, name in enumerate(names):
        ink = plots.colour(index, theme)
        picture = plots.raster(firsts[name].sample, find(name).reads, ink, theme)
        pictures[f"raster-{slug(name)}"] = picture
    return pictures


def _page(
    comparison: Comparison,
    runs: Sequence[Run],
    common: dict[str, Any],
    light: dict[str, bytes],
    dark: dict[str, bytes],
) -> str:
    """The report as one HTML page that needs nothing else; `common` is what all runs share."""
    environment = Environment(
        loader=PackageLoader("spikeloss.lab"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    rows = summary.summarise(runs)
    return environment.get_template("report.html").render(
        comparison=comparison,
        recipe=comparison.recipe,
        about=source(comparison.recipe.data).about,
        findings=summary.findings(rows),
        columns=summary.COLUMNS,
        cards=[_card(index, row, runs) for index, row in enumerate(rows)],
        pictures={name: (_data_uri(light[name]), _data_uri(dark[name])) for name in light},
        common=common,
    )


def _card(index: int, row: summary.Summary, runs: Sequence[Run]) -> dict[str, Any]:
    """What the page says of one objective."""
    own = [run for run in runs if run.objective == row.objective]
    objective = find(row.objective)
    return {
        "name": row.objective,
        "preset": objective.preset,
        "reads": objective.reads,
        "colours": (plots.colour(index, plots.LIGHT), plots.colour(index, plots.DARK)),
        "cells": summary.cells(row),
        "accuracies": [f"{100 * run.accuracy:.1f}" for run in own],
        "sample": own[0].sample,
        "raster": f"raster-{slug(row.objective)}",
    }


def _prose(text: str) -> Markup:
    """Words from a docstring, with `names` as code."""
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", str(escape(text))))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
