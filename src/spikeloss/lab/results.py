"""A comparison's numbers as files: results.json and results.csv."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .environment import about
from .recipe import Comparison
from .runs import Run
from .summary import summarise


def as_dict(comparison: Comparison, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything: configuration, versions, a row per objective, a row per run."""
    return {
        "config": asdict(comparison),
        "command": comparison.command(),
        **about(comparison.recipe.data, comparison.recipe.library),
        "summary": [asdict(row) for row in summarise(runs)],
        "runs": [_without_sample(run) for run in runs],
    }


def as_csv(result: dict[str, Any]) -> str:
    """One tidy row per run; a learning curve is one cell, its numbers separated by spaces."""
    rows = [run | _curves(run["curve"]) | common(result) for run in result["runs"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def common(result: dict[str, Any]) -> dict[str, Any]:
    """What all runs of a result share: recipe, versions, commit, machine."""
    where = {key: result[key] for key in ("commit", "machine")}
    return {**result["config"]["recipe"], **result["versions"], **where}


def _without_sample(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.as_dict().items() if key != "sample"}


def _curves(epochs: Sequence[dict[str, float]]) -> dict[str, str]:
    """The columns that take the place of the list of epochs."""
    return {
        "curve": " ".join(f"{epoch['accuracy']:.6g}" for epoch in epochs),
        "loss_curve": " ".join(f"{epoch['loss']:.6g}" for epoch in epochs),
    }
