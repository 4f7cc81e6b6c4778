"""Renew the page on what to choose: python docs/make_choice.py [FOLDER].

From benchmarks/results/choice.csv, a row per run, which is FOLDER/results.csv of a comparison
where a folder is given. A test compares the page with what is made here.
"""

import csv
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from spikeloss.lab.objectives import find
from spikeloss.lab.plots import LIGHT, colour
from spikeloss.lab.summary import Summary, cells, columns, percent, summarise

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "benchmarks" / "results" / "choice.csv"
PAGE = ROOT / "docs" / "choice.md"
PICTURE = ROOT / "docs" / "images" / "choice.png"
SUMS = (
    "ce_count + 10*rate_bounds(upper=0.05)",
    "ce_count + 0.001*count_l1",
    "ce_max_membrane + 0.1*membrane_bounds(lower=-1.0, upper=2.0)",
)
"""Objectives with penalties, beside the catalogue."""

TEXT = """\
# What to choose

Every objective of the catalogue that learns class labels, and {sums} with penalties, trained the
same network on the same data, {seeds} seeds each. The numbers below say what came of it; a script
writes them from the runs, and both are repeated by

```console
$ {command}
$ python docs/make_choice.py runs/choice
```

The data are scikit-learn's handwritten digits, {recipe}.
They are easy, and the network is small: take the table as what an objective asks of a network, how
early it decides, how often it fires, and not as a ranking for a task of your own. For that, train
[your own network](guides/pytorch.md) with the few that suit you.

## Read off

{findings}

![Test error, decision step and hidden spikes of every objective](images/choice.png)

## The table

Means over the seeds, ± their standard deviation. Rates are spikes per neuron and step; the
decision step is the first from which a decision stays; s/epoch is the processor time of a training
epoch, and the last column the objective's share of it. All have their default options; those of
`spikemoid`, `spikemax`, `target_time` and `relative_ttfs_mse` were chosen with one seed of the same
data, as with those of their sources they learn it badly; the slope of `ttfs_membrane_ce`, of 1, 5,
10 and 20, with three. That one was measured after the others, when `ttfs_early_ce` took 0.53 s per
epoch; `etc`, `tks`, `self_kd_steps` and `ce_plus` still later, beside other work. The last one is
made for networks that learn by spike times: of surrogate gradients it uses those of spikes alone,
so that neurons which are silent stay so.

{table}

{where}
"""


def rows(runs: list[Any]) -> list[Summary]:
    """A row per objective, the most accurate first."""
    return sorted(summarise(runs), key=lambda row: -row.accuracy)


def front(table: list[Summary], cost: str) -> list[Summary]:
    """Those that no other one beats in accuracy and in a cost at once, the cheapest first."""
    best, kept = 0.0, []
    for row in sorted(table, key=lambda row: (getattr(row, cost), -row.accuracy)):
        if row.accuracy > best:
            best = row.accuracy
            kept.append(row)
    return kept


def listed(table: list[Summary], what: str) -> str:
    """Names, each with some of its numbers."""
    return ", ".join(
        f"`{row.objective}` ({what.format(row=row)}, {percent(row.accuracy)})" for row in table
    )


def findings(table: list[Summary], seeds: int) -> str:
    """What the table says, for those who read no table."""
    best, worst = table[0], table[-1]
    least = best.accuracy - 2 * (best.accuracy_spread or 0) / seeds**0.5
    level = ", ".join(f"`{row.objective}`" for row in table[1:] if row.accuracy >= least)
    spikes, membrane = (
        next(row for row in table if find(row.objective).reads == reads)
        for reads in ("spikes", "membrane")
    )
    lines = [
        f"Most accurate is `{best.objective}`, {percent(best.accuracy)}. Within two standard "
        f"errors of it: {level or 'none'}.",
        f"Of those that read spikes `{spikes.objective}` is the most accurate, of those that read "
        f"the membrane `{membrane.objective}`, {percent(membrane.accuracy)}.",
        "Early decisions: none that decides earlier is more accurate than "
        + listed(front(table, "decision_step"), "step {row.decision_step:.1f}")
        + ".",
        "Few spikes in the hidden layer: none with fewer is more accurate than "
        + listed(front(table, "hidden_rate"), "{row.hidden_rate:.3f} per neuron and step")
        + ".",
        f"Least accurate is `{worst.objective}`, {percent(worst.accuracy)}.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def shown(table: list[Summary]) -> str:
    """The table in Markdown."""
    known = [column for column in columns(table) if column.number(table[0]) is not None]
    head = ("objective", "reads", *(column.name for column in known))
    lines = [head, ("---",) * 2 + ("---:",) * len(known)]
    for row in table:
        name, *numbers = cells(row, known)
        lines.append((f"`{name}`", find(name).reads, *numbers))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(runs: list[Any]) -> str:
    """The page on what to choose."""
    table, run = rows(runs), vars(runs[0])
    seeds = len({run.seed for run in runs})
    named = " ".join(f"--objective '{name}'" for name in SUMS)
    return TEXT.format(
        sums=len(SUMS),
        seeds=seeds,
        command=f"spikeloss compare --all {named} --seeds {seeds} --out runs/choice",
        recipe=f"{run['steps']} steps, {run['hidden']} hidden neurons, {run['epochs']} epochs of "
        f"Adam, learning rate {run['learning_rate']}",
        findings=findings(table, seeds),
        table=shown(table),
        where=f"PyTorch {run['torch']}, {run['machine']}, one thread per run, two runs at a time.",
    )


PANELS = (
    ("test error / %", lambda row: 100 * (1 - row.accuracy), "log"),
    ("decision step", lambda row: row.decision_step, "symlog"),
    ("hidden spikes per step", lambda row: row.hidden_rate, "linear"),
)


def draw(table: list[Summary]) -> None:
    """A dot for every objective: its error, its decision step, the spikes of its hidden layer."""
    figure = Figure(figsize=(10.0, 0.26 * len(table) + 1.0), layout="constrained")
    places = range(len(table), 0, -1)
    inks = [colour(find(row.objective).reads == "membrane", LIGHT) for row in table]
    for axes, (title, value, scale) in zip(figure.subplots(1, 3, sharey=True), PANELS, strict=True):
        values = [value(row) for row in table]
        axes.set_xscale(scale)
        axes.hlines(places, 0 if scale != "log" else 1, values, colors=inks, alpha=0.25)
        axes.scatter(values, places, color=inks, zorder=2)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", color=LIGHT.faint, linewidth=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter("{x:g}")
    figure.axes[0].set_xticks([2, 5, 10], minor=False)
    figure.axes[0].xaxis.set_minor_locator(NullLocator())
    figure.axes[1].set_xticks([0, 1, 2, 5, 10])
    figure.axes[0].set_yticks(
        list(places), [row.objective.split("(")[0] for row in table], fontsize=9
    )
    for index, reads in enumerate(("spikes", "membrane")):
        figure.axes[2].scatter([], [], color=colour(index, LIGHT), label=f"reads {reads}")
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    figure.savefig(PICTURE, dpi=110)


def read() -> list[Any]:
    """The runs: the columns of the file, as numbers where the summary wants them."""
    with RUNS.open() as file:
        found = list(csv.DictReader(file))
    numbers = [field.name for field in fields(Summary) if field.name != "objective"]
    for run in found:  # what an older file lacks is None
        run |= {name: float(run[name]) if run.get(name) else None for name in numbers}
    return [SimpleNamespace(**run) for run in found]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        shutil.copy(Path(sys.argv[1]) / "results.csv", RUNS)
    PAGE.write_text(page(read()))
    draw(rows(read()))
