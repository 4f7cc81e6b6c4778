"""Do spikeloss's presets learn as well as the same losses of snnTorch?

Each pair is trained under equal conditions: the network, the order of the samples, the optimiser,
the budget, and the rule of decision are the same; only the loss differs. The mean test accuracy
over the seeds may be at most one percentage point below snnTorch's, or the script exits with 1.

    python benchmarks/learning.py

It writes benchmarks/results/learning.csv, in about five minutes on two idle cores.
"""

import csv
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import date
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import snntorch.functional as snntorch
import torch
from torch import Tensor

from spikeloss.lab.environment import machine, versions
from spikeloss.lab.objectives import defaults, find
from spikeloss.lab.recipe import Recipe
from spikeloss.lab.training import Criterion, fit

RECIPE = Recipe()
IMPLEMENTATIONS = ("spikeloss", "snntorch")
SEEDS = range(5)
WORKERS = 2
MARGIN = 0.01
RESULTS = Path(__file__).parent / "results" / "learning.csv"


class Trial(NamedTuple):
    """One training with one of the two implementations."""

    objective: str
    implementation: str
    seed: int
    accuracy: float
    seconds_per_epoch: float


def snntorch_loss(name: str) -> Criterion:
    """snnTorch's own implementation of a preset.

    Its mse_temporal_loss turns labels into times that are all 0. It is given the times that it
    documents: the first step for the right class, the last step for the others.
    """
    if name != "mse_temporal":
        loss = getattr(snntorch, f"{name}_loss")()
        return lambda record, labels, _: loss(record, labels)
    timed = snntorch.mse_temporal_loss(target_is_time=True)

    def criterion(record: Tensor, labels: Tensor, _: Tensor | None) -> Tensor:
        right = torch.nn.functional.one_hot(labels, record.shape[-1])
        return timed(record, (1.0 - right) * (len(record) - 1))

    return criterion


def train(run: tuple[str, str, int]) -> Trial:
    """One training, in a process of its own."""
    name, implementation, seed = run
    criterion = snntorch_loss(name) if implementation == "snntorch" else None
    result = fit(RECIPE, find(name), seed, criterion=criterion)
    return Trial(*run, result.accuracy, result.seconds_per_epoch)


def verdicts(trials: list[Trial]) -> Iterator[tuple[str, bool]]:
    """A line of the table per objective, and whether it learns as well."""
    for name in defaults():
        ours, theirs = (
            [t.accuracy for t in trials if (t.objective, t.implementation) == (name, by)]
            for by in IMPLEMENTATIONS
        )
        fine = fmean(ours) >= fmean(theirs) - MARGIN
        shown = "  ".join(f"{100 * fmean(x):6.2f} ± {100 * stdev(x):4.2f}" for x in (ours, theirs))
        verdict = "as well" if fine else "WORSE"
        yield f"{name:16} {shown}  {100 * (fmean(ours) - fmean(theirs)):+6.2f}  {verdict}", fine


def write(trials: list[Trial]) -> None:
    """One tidy row per training, with everything that its numbers depend on."""
    about = asdict(RECIPE) | versions() | {"machine": machine(), "date": date.today().isoformat()}
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*Trial._fields, *about], lineterminator="\n")
        writer.writeheader()
        writer.writerows(trial._asdict() | about for trial in trials)


def main() -> int:
    """Train all pairs, write the rows, print a table; 0 if every preset learns as well."""
    runs = list(product(defaults(), IMPLEMENTATIONS, SEEDS))
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        trials = list(pool.map(train, runs))
    write(trials)
    print(f"{'test accuracy, %':16} {'spikeloss':>13}  {'snntorch':>13}  {'points':>6}")
    lines, fine = zip(*verdicts(trials), strict=True)
    print("\n".join(lines))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
