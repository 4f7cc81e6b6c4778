"""Numbers of runs as files: results.json and results.csv."""

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
        **of_runs(runs),
    }


def of_runs(runs: Sequence[Run]) -> dict[str, Any]:
    """What the runs alone say: a row per objective, a row per run."""
    return {
        "summary": [asdict(row) for row in summarise(runs)],
        "runs": [_without_sample(run) for run in runs],
    }


def as_csv(result: dict[str, Any]) -> str:
    """One tidy row per run; a list is one cell, its numbers separated by spaces.

    Rows of a matrix are separated by semicolons.
    """
    shared = common(result)
    rows = [run | _lists(run) | shared for run in result["runs"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def common(result: dict[str, Any]) -> dict[str, Any]:
    """What all runs of a result share: recipe, versions, commit, machine; nothing if unknown."""
    if "config" not in result:
        return {}
    where = {key: result[key] for key in ("commit", "machine")}
    return {**result["config"]["recipe"], **result["versions"], **where}


def _without_sample(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.as_dict().items() if key != "sample"}


def _lists(run: dict[str, Any]) -> dict[str, str]:
    """The columns that take the place of lists."""
    epochs = run["curve"]
    return {
        "accuracy_by_step": _spaced(run["accuracy_by_step"]),
        "confusion": "; ".join(map(_spaced, run["confusion"])),
        "curve": _spaced([epoch["accuracy"] for epoch in epochs]),
        "loss_curve": _spaced([epoch["loss"] for epoch in epochs]),
    }


def _spaced(numbers: Sequence[float | None]) -> str:
    return " ".join("nan" if number is None else f"{number:.6g}" for number in numbers)
