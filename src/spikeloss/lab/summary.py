"""Runs -> what a comparison says: one row per objective, in columns that say something."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, NamedTuple

from .runs import Run


@dataclass(frozen=True)
class Summary:
    """One objective over all seeds: means, and the standard deviation of the accuracy.

    None where there is nothing to average: one seed has no deviation, an objective that never
    decides has no decision step.
    """

    objective: str
    seeds: int
    accuracy: float
    accuracy_spread: float | None
    abstained: float
    firing_rate: float | None
    hidden_rate: float | None
    spikes_per_sample: float | None
    decision_step: float | None
    right_step: float | None
    seconds_per_epoch: float
    objective_share: float


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """One row per objective, in the order of the runs."""
    return [_summary(own) for own in by_objective(runs).values()]


def by_objective(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of every objective, in their order."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.objective, []).append(run)
    return found


def _summary(runs: Sequence[Run]) -> Summary:
    def mean(value: Callable[[Run], float | None]) -> float | None:
        known = [number for run in runs if (number := value(run)) is not None]
        return fmean(known) if known else None

    accuracies = [run.accuracy for run in runs]
    return Summary(
        objective=runs[0].objective,
        seeds=len(runs),
        accuracy=fmean(accuracies),
        accuracy_spread=stdev(accuracies) if len(runs) > 1 else None,
        abstained=fmean(run.abstained for run in runs),
        firing_rate=mean(lambda run: run.firing_rate),
        hidden_rate=mean(lambda run: run.hidden_rate),
        spikes_per_sample=mean(lambda run: run.spikes_per_sample),
        decision_step=mean(lambda run: run.decision_step),
        right_step=mean(lambda run: run.right_step),
        seconds_per_epoch=fmean(run.seconds_per_epoch for run in runs),
        objective_share=fmean(run.objective_share for run in runs),
    )


# Columns


class Column(NamedTuple):
    """A column of every table after the objective's name.

    A column of which no row has a number is left out, as are times that nobody took.
    """

    name: str
    meaning: str
    number: Callable[[Any], float | None]
    written: str
    none: str = "none"

    def cell(self, row: Any) -> str:
        """What a table prints of a row."""
        number = self.number(row)
        return self.none if number is None else self.written.format(number)


def _timed(value: Callable[[Any], float]) -> Callable[[Any], float | None]:
    """A number of a row whose training was timed."""
    return lambda row: value(row) if row.seconds_per_epoch else None


ACCURACY = Column(
    "accuracy %",
    "Test samples decided rightly after the last epoch, by the objective's own rule: mean over the "
    "seeds ± their standard deviation. A sample without a decision counts as wrong.",
    lambda row: 100 * row.accuracy,
    "{:.1f}",
)
COLUMNS = (
    ACCURACY,
    Column(
        "output rate",
        "Spikes per output neuron and step on the test samples.",
        lambda row: row.firing_rate,
        "{:.3f}",
    ),
    Column(
        "hidden rate",
        "Spikes per hidden neuron and step on the test samples.",
        lambda row: row.hidden_rate,
        "{:.3f}",
    ),
    Column(
        "spikes per sample",
        "Spikes of all neurons that a test sample takes.",
        lambda row: row.spikes_per_sample,
        "{:.0f}",
    ),
    Column(
        "decision step",
        "The first step, counted from 0, from which the decision stays what it is at the end: mean "
        "over the test samples that are decided.",
        lambda row: row.decision_step,
        "{:.1f}",
        "never",
    ),
    Column(
        "right step",
        "The same over the test samples that are decided rightly.",
        lambda row: row.right_step,
        "{:.1f}",
        "never",
    ),
    Column(
        "s/epoch",
        "Processor seconds of training per pass over the training samples, one thread.",
        _timed(lambda row: row.seconds_per_epoch),
        "{:.2f}",
    ),
    Column(
        "in objective",
        "The share of that time spent in the objective: its value, and its gradient with respect "
        "to the record.",
        _timed(lambda row: 100 * row.objective_share),
        "{:.1f} %",
    ),
)


def columns(rows: Sequence[Any]) -> tuple[Column, ...]:
    """The columns that say something of these rows; steps also where none is decided."""
    return tuple(
        column
        for column in COLUMNS
        if column.none == "never" or any(column.number(row) is not None for row in rows)
    )


def cells(row: Any, shown: Sequence[Column] = COLUMNS) -> list[str]:
    """A row as the tables print it: the objective, then a cell per column."""
    found = [row.objective, *(column.cell(row) for column in shown)]
    if row.accuracy_spread is not None and ACCURACY in shown:
        found[1 + shown.index(ACCURACY)] += f" ± {100 * row.accuracy_spread:.1f}"
    return found


def percent(share: float) -> str:
    """0.9731 -> 97.3 %"""
    return f"{100 * share:.1f} %"
