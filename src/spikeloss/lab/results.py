"""A comparison's numbers as files: results.json and results.csv."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .environment import about, commit, machine, versions
from .recipe import Comparison
from .runs import Run
from .summary import summarise


def as_dict(comparison: Comparison, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything: configuration, versions, a row per objective, a row per run."""
    return {
        "config": asdict(comparison),
        "command": comparison.command(),
        **about(),
        "summary": [asdict(row) for row in summarise(runs)],
        "runs": [_without_sample(run) for run in runs],
    }


def as_json(comparison: Comparison, runs: Sequence[Run]) -> str:
    """`as_dict` as text."""
    return json.dumps(as_dict(comparison, runs), indent=2)


def as_csv(comparison: Comparison, runs: Sequence[Run]) -> str:
    """One tidy row per run; a learning curve is one cell, its numbers separated by spaces."""
    where = {**versions(), "commit": commit(), "machine": machine()}
    common = asdict(comparison.recipe) | where
    rows = [_without_sample(run) | _curve(run) | common for run in runs]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: row[key] for key in rows[0]} for row in rows)
    return text.getvalue()


def _without_sample(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.as_dict().items() if key != "sample"}


def _curve(run: Run) -> dict[str, str]:
    """The learning curve, in place of the list of epochs."""
    return {
        "curve": " ".join(f"{epoch.accuracy:.6g}" for epoch in run.curve),
        "loss_curve": " ".join(f"{epoch.loss:.6g}" for epoch in run.curve),
    }
