"""Who wins a comparison, and what the seeds cannot tell apart.

The best objective of a column is named alone only where its mean differs from that of every other
one by more than chance does: by Welch's t-test over the seeds, two-sided, at 5 % divided by the
number of the others (Bonferroni), so that all of these tests together go wrong in one of twenty
comparisons at most. Those that differ from the best by less are named beside it. One seed has no
spread, and decides nothing. What the seeds share, the test samples above all, is not in their
spread.
"""

from collections.abc import Callable, Sequence
from math import copysign, sqrt
from statistics import fmean, variance
from typing import NamedTuple

from .runs import Run
from .summary import by_objective, percent

LEVEL = 0.05
RULE = (
    "The best is named alone where it differs from every other one by more than the spread of the "
    "seeds explains (Welch's test, 5 % for all together); else those within the spread are named "
    "with it. The test samples are the same for all seeds, and a chance of theirs is not in it."
)
"""The rule, for those who read a report."""


class Question(NamedTuple):
    """A column, whose best is asked for: `sign` is 1 where more is better, else -1."""

    asks: str
    number: Callable[[Run], float | None]
    sign: int
    written: Callable[[float], str]


QUESTIONS = (
    Question("most accurate", lambda run: run.accuracy, 1, percent),
    Question("earliest right decision", lambda run: run.right_step, -1, lambda x: f"step {x:.1f}"),
    Question(
        "fewest spikes", lambda run: run.spikes_per_sample, -1, lambda x: f"{x:.0f} per sample"
    ),
    Question(
        "least time in the objective",
        lambda run: run.objective_share if run.seconds_per_epoch else None,
        -1,
        percent,
    ),
)


def findings(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Question and answer, for those who read one line; none of what no run has a number for."""
    own = by_objective(runs)
    known = {each: _values(own, each) for each in QUESTIONS}
    return [(each.asks, _answer(each, values)) for each, values in known.items() if values]


def _values(own: dict[str, list[Run]], question: Question) -> dict[str, list[float]]:
    """The numbers of the objectives that have one, each over its seeds."""
    found = {
        name: [number for run in runs if (number := question.number(run)) is not None]
        for name, runs in own.items()
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def _answer(question: Question, values: dict[str, list[float]]) -> str:
    ranked = ranking(values, question.sign)
    best, number = ranked[0], question.written(fmean(values[ranked[0]]))
    if len(ranked) == 1:
        return f"{best}, {number}"
    beside = level(values, question.sign)
    if beside is None:
        return f"{best}, {number}, of one seed, which decides nothing"
    if not beside:
        return f"{best}, {number}"
    return f"{_listed([best, *beside])} within the spread; the mean of {best} is {number}"


def ranking(values: dict[str, list[float]], sign: int) -> list[str]:
    """The names, that of the best mean first."""
    return sorted(values, key=lambda name: -sign * fmean(values[name]))


def level(values: dict[str, list[float]], sign: int) -> list[str] | None:
    """The names that the seeds do not tell from the best; None where one seed decides nothing."""
    best, *others = ranking(values, sign)
    if any(len(numbers) < 2 for numbers in values.values()):
        return None
    most = LEVEL / max(len(others), 1)
    return [name for name in others if chance(values[best], values[name]) > most]


def chance(one: Sequence[float], other: Sequence[float]) -> float:
    """Welch's p: how often means of equal objectives differ by as much as these, or by more.

    1 for equal means, 0 for others without any spread.
    """
    from scipy.special import stdtr

    difference = abs(fmean(one) - fmean(other))
    parts = [variance(numbers) / len(numbers) for numbers in (one, other)]
    error = sqrt(sum(parts))
    if difference <= 1e-12 or error <= 1e-12:
        return float(difference <= 1e-12)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(numbers) - 1) for part, numbers in zip(parts, (one, other), strict=True)
    )
    return float(2 * stdtr(freedom, copysign(difference / error, -1)))


def _listed(names: Sequence[str]) -> str:
    """A, B and C; of more than five the first ones and how many others."""
    if len(names) > 5:
        return f"{', '.join(names[:4])} and {len(names) - 4} others"
    return f"{', '.join(names[:-1])} and {names[-1]}"
