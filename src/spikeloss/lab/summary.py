"""Runs -> what a comparison says: one row per objective, one finding per question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

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


COLUMNS = {
    "accuracy %": "Test samples decided rightly after the last epoch, by the objective's own rule: "
    "mean over the seeds ± their standard deviation. A sample without a decision counts as wrong.",
    "output rate": "Spikes per output neuron and step on the test samples.",
    "hidden rate": "The same for the hidden neurons.",
    "decision step": "The first step, counted from 0, from which the decision stays what it is at "
    "the end: mean over the test samples that are decided.",
    "s/epoch": "Processor seconds of training per pass over the training samples, one thread.",
    "in objective": "The share of that time spent in the objective: its value, and its gradient "
    "with respect to the record.",
}
"""The columns of every table after the objective's name, and what they mean."""


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """One row per objective, in the order of the runs."""
    names = dict.fromkeys(run.objective for run in runs)
    return [_summary([run for run in runs if run.objective == name]) for name in names]


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


def findings(rows: Sequence[Summary]) -> list[tuple[str, str]]:
    """Question and answer, for those who read one line: the best objective of each column."""
    accurate = max(rows, key=lambda row: row.accuracy)
    rates = {row.objective: row.firing_rate for row in rows if row.firing_rate is not None}
    sparse = min(rates, key=rates.__getitem__, default=None)
    cheap = min(rows, key=lambda row: row.objective_share)
    steps = {row.objective: row.right_step for row in rows if row.right_step is not None}
    early = min(steps, key=steps.__getitem__, default=None)
    return [
        ("most accurate", f"{accurate.objective}, {percent(accurate.accuracy)}"),
        ("earliest right decision", f"{early}, step {steps[early]:.1f}" if early else "none"),
        ("fewest output spikes", f"{sparse}, {rates[sparse]:.3f} per step" if sparse else "none"),
        ("least time in the objective", f"{cheap.objective}, {percent(cheap.objective_share)}"),
    ]


def percent(share: float) -> str:
    """0.9731 -> 97.3 %"""
    return f"{100 * share:.1f} %"


def _rate(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.3f}"


def cells(row: Summary) -> list[str]:
    """A row as the tables print it."""
    spread = "" if row.accuracy_spread is None else f" ± {100 * row.accuracy_spread:.1f}"
    step = "never" if row.decision_step is None else f"{row.decision_step:.1f}"
    return [
        row.objective,
        f"{100 * row.accuracy:.1f}{spread}",
        _rate(row.firing_rate),
        _rate(row.hidden_rate),
        step,
        f"{row.seconds_per_epoch:.2f}",
        percent(row.objective_share),
    ]
