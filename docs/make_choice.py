"""Renew the page on what to choose: python docs/make_choice.py [FOLDER ...].

From benchmarks/results/choice-DATA.csv, a row per run, which is FOLDER/results.csv of a comparison
where its folder is given. A test compares the page with what is made here.
"""

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from statistics import fmean, stdev
from types import SimpleNamespace
from typing import Any

from matplotlib.figure import Figure

from spikeloss.lab.objectives import find
from spikeloss.lab.plots import DARK, LIGHT, Theme, colour
from spikeloss.lab.summary import Summary, cells, columns, percent, summarise

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DATA = {"digits": "digits", "yin-yang": "Yin-Yang", "japanese-vowels": "vowels"}
"""Data sets, and what a table calls them."""
LEFT_OUT = ("accuracy_by_step", "confusion", "loss_curve")
"""Columns of a comparison that no page shows."""
PAGE = ROOT / "docs" / "choice.md"
PICTURES = {LIGHT: "choice.png", DARK: "choice-dark.png"}
SUMS = (
    "ce_count + 10*rate_bounds(upper=0.05)",
    "ce_count + 0.001*count_l1",
    "ce_max_membrane + 0.1*membrane_bounds(lower=-1.0, upper=2.0)",
)
"""Objectives with penalties, beside the catalogue."""

TEXT = """\
# What to choose

{common} objectives learned each of three data sets, on each with the same network: the handwritten
digits of scikit-learn, currents that stay; Yin-Yang, points as spike times; the Japanese vowels,
sequences of different lengths. So no single easy data set decides: an objective has a rank among
the {common} for every seed of every data set. The numbers below say what came of it; a script
writes them from the runs, and both are repeated by

```console
$ {command}
$ spikeloss compare benchmarks/choice/yin-yang.toml --out runs/choice-yin-yang
$ spikeloss compare benchmarks/choice/japanese-vowels.toml --out runs/choice-japanese-vowels
$ python docs/make_choice.py runs/choice runs/choice-yin-yang runs/choice-japanese-vowels
```

The networks are small, and the trainings short: take the tables as what an objective asks of a
network, how early it decides, how often it fires, and not as a ranking for a task of your own. For
that, train [your own network](guides/pytorch.md) with the few that suit you.

## Read off

{ranked}

![Mean ranks in accuracy, earliness and few spikes](images/choice.png)

## Three data sets

Accuracy in per cent, the mean over the seeds ± their standard deviation. Ranks from 1, the best,
to {common}: the mean over seeds 0 to {last} of all data sets ± the standard deviation over these
{rankings}; early is the rank by the decision step, the first from which a decision stays, sparse
that by the spikes of the hidden neurons.

{ranks}

{networks}

## The digits

Every objective of the catalogue that learns class labels, and {sums} with penalties, {seeds} seeds
each.

{findings}

Means over the seeds, ± their standard deviation. Rates are spikes per neuron and step; s/epoch is
the processor time of a training epoch, and the last column the objective's share of it. All have
their default options; those of `spikemoid`, `spikemax`, `target_time` and `relative_ttfs_mse` were
chosen with one seed of the same data, as with those of their sources they learn it badly; the slope
of `ttfs_membrane_ce`, of 1, 5, 10 and 20, with three. That one was measured after the others, when
`ttfs_early_ce` took 0.53 s per epoch; `etc`, `tks`, `self_kd_steps` and `ce_plus` still later,
beside other work. The last one is made for networks that learn by spike times: of surrogate
gradients it uses those of spikes alone, so that neurons which are silent stay so.

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


# ---- three data sets


@dataclass(frozen=True)
class Property:
    """What objectives are ranked by: least is best."""

    name: str
    of: Callable[[Any], float | None]


PROPERTIES = (
    Property("accuracy", lambda run: -run.accuracy),
    Property("early", lambda run: run.decision_step),
    Property("sparse", lambda run: run.hidden_rate),
)
Ranks = dict[str, dict[str, list[float]]]
"""Of every objective, by the name of the property: a rank for every seed of every data set."""


def common(all_runs: dict[str, list[Any]]) -> list[str]:
    """The objectives that trained on every data set."""
    known = [{run.objective for run in runs} for runs in all_runs.values()]
    return sorted(set.intersection(*known))


def ranks(all_runs: dict[str, list[Any]]) -> Ranks:
    """Where objectives stand; those that are equal share the mean of their places."""
    names = common(all_runs)
    found: Ranks = {name: {each.name: [] for each in PROPERTIES} for name in names}
    seeds = set.intersection(*({run.seed for run in runs} for runs in all_runs.values()))
    for runs in all_runs.values():
        for seed in sorted(seeds):
            own = [run for run in runs if run.seed == seed and run.objective in names]
            for each in PROPERTIES:
                values = [inf if each.of(run) is None else each.of(run) for run in own]
                for run, value in zip(own, values, strict=True):
                    before, equal = sum(x < value for x in values), values.count(value)
                    found[run.objective][each.name].append(before + (equal + 1) / 2)
    return dict(sorted(found.items(), key=lambda item: fmean(item[1]["accuracy"])))


def spread(numbers: list[float]) -> str:
    """As in 2.3 ± 1.1."""
    return f"{fmean(numbers):.1f} ± {stdev(numbers):.1f}"


def ranked(found: Ranks, all_runs: dict[str, list[Any]]) -> str:
    """What the ranks say, for those who read no table."""

    def leaders(name: str) -> str:
        first = sorted(found, key=lambda x: fmean(found[x][name]))[:3]
        return ", ".join(f"`{x}` ({spread(found[x][name])})" for x in first)

    best = {
        data: rows([run for run in runs if run.objective in found])[0]
        for data, runs in all_runs.items()
    }
    leader, own = next(iter(found.items()))
    seeds = len(own["accuracy"]) // len(DATA)
    places = ", ".join(
        f"{fmean(own['accuracy'][i * seeds : (i + 1) * seeds]):.1f} on {name}"
        for i, name in enumerate(DATA.values())
    )
    middle = (len(found) + 1) / 2
    good = [x for x, own in found.items() if all(fmean(own[p.name]) < middle for p in PROPERTIES)]
    lines = [
        f"Most accurate, by the mean rank: {leaders('accuracy')}.",
        "On each: "
        + ", ".join(
            f"{DATA[data]} `{row.objective}` ({percent(row.accuracy)})"
            for data, row in best.items()
        )
        + ".",
        f"So data sets disagree: the mean rank of `{leader}` is {places}.",
        f"Earliest: {leaders('early')}.",
        f"Fewest spikes: {leaders('sparse')}.",
        "In the better half by all three: " + (", ".join(f"`{x}`" for x in good) or "none") + ".",
    ]
    return "\n".join(f"- {line}" for line in lines)


def ranking(found: Ranks, all_runs: dict[str, list[Any]]) -> str:
    """The table of accuracies and ranks."""
    known = {data: {row.objective: row for row in rows(runs)} for data, runs in all_runs.items()}
    head = ("objective", "reads", *(DATA[data] for data in known), *(p.name for p in PROPERTIES))
    lines = [head, ("---",) * 2 + ("---:",) * (len(head) - 2)]
    for name, own in found.items():
        each = [table[name] for table in known.values()]
        accuracies = (
            f"{100 * x.accuracy:.1f} ± {100 * (x.accuracy_spread or 0):.1f}" for x in each
        )
        lines.append(
            (f"`{name}`", find(name).reads, *accuracies, *(spread(own[p.name]) for p in PROPERTIES))
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def network(data: str, runs: list[Any]) -> str:
    """How a data set was trained."""
    run, seeds = runs[0], len({run.seed for run in runs})
    library = f"PyTorch {run.torch}" if getattr(run, "torch", "") else f"JAX {run.jax}"
    return (
        f"- {DATA[data]}: {seeds} seeds, {run.steps} steps, {run.hidden} hidden neurons, "
        f"{run.epochs} epochs of Adam, learning rate {run.learning_rate}; {library}."
    )


# ---- the page


def page(all_runs: dict[str, list[Any]]) -> str:
    """The page on what to choose."""
    runs, found = all_runs["digits"], ranks(all_runs)
    table, run = rows(runs), runs[0]
    seeds = len({run.seed for run in runs})
    rankings = len(next(iter(found.values()))["accuracy"])
    named = " ".join(f"--objective '{name}'" for name in SUMS)
    return TEXT.format(
        common=len(found),
        command=f"spikeloss compare --all {named} --seeds {seeds} --out runs/choice",
        ranked=ranked(found, all_runs),
        rankings=rankings,
        last=rankings // len(all_runs) - 1,
        ranks=ranking(found, all_runs),
        networks="\n".join(network(data, own) for data, own in all_runs.items()),
        sums=len(SUMS),
        seeds=seeds,
        findings=findings(table, seeds),
        table=shown(table),
        where=f"PyTorch {run.torch}, {run.machine}, one thread per run, two runs at a time.",
    )


def draw(found: Ranks, theme: Theme) -> None:
    """The mean rank of every objective and its spread, by each property; as wide as a phone."""
    size = (3.9, 0.5 + 3 * 0.2 * (len(found) + 2))
    figure = Figure(figsize=size, layout="constrained", facecolor=theme.paper)
    names = [f"{x.split(' + ')[0]} + penalty" if " + " in x else x for x in found]
    inks = [colour(find(name).reads == "membrane", theme) for name in found]
    places = list(range(len(found), 0, -1))
    for axes, each in zip(figure.subplots(3, 1), PROPERTIES, strict=True):
        own = [found[name][each.name] for name in found]
        means, wide = [fmean(x) for x in own], [stdev(x) for x in own]
        low = [mean - x for mean, x in zip(means, wide, strict=True)]
        high = [mean + x for mean, x in zip(means, wide, strict=True)]
        axes.hlines(places, low, high, colors=inks, alpha=0.35, linewidth=3)
        axes.scatter(means, places, color=inks, s=18, zorder=2)
        axes.set_facecolor(theme.paper)
        axes.set_title(f"rank: {each.name}", fontsize=9, color=theme.ink)
        axes.set_xlim(0.5, len(found) + 0.5)
        axes.set_yticks(places, names, fontsize=8)
        axes.grid(axis="x", color=theme.faint, linewidth=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(theme.ink)
        axes.tick_params(axis="y", length=0, labelcolor=theme.ink)
        axes.tick_params(axis="x", labelsize=8, colors=theme.ink)
    for index, reads in enumerate(("spikes", "membrane")):
        axes.scatter([], [], color=colour(index, theme), label=f"reads {reads}")
    figure.legend(
        frameon=False, loc="outside lower center", ncols=2, fontsize=8, labelcolor=theme.ink
    )
    path = ROOT / "docs" / "images" / PICTURES[theme]
    figure.savefig(path, dpi=200, metadata={"Software": None})


def read() -> dict[str, list[Any]]:
    """The runs of every data set."""
    return {data: _read(RESULTS / f"choice-{data}.csv") for data in DATA}


def _read(file: Path) -> list[Any]:
    """The columns of a file, as numbers where the summary wants them."""
    with file.open() as text:
        found: list[Any] = list(csv.DictReader(text))
    numbers = [field.name for field in fields(Summary) if field.name != "objective"]
    for run in found:  # what an older file lacks is None
        run |= {name: float(run[name]) if run.get(name) else None for name in numbers}
    return [SimpleNamespace(**run) for run in found]


def keep(folder: Path) -> None:
    """Take the runs of a comparison in the place of those of its data set."""
    with (folder / "results.csv").open() as text:
        found = [
            {k: x for k, x in run.items() if k not in LEFT_OUT} for run in csv.DictReader(text)
        ]
    with (RESULTS / f"choice-{found[0]['data']}.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, found[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        keep(Path(each))
    PAGE.write_text(page(read()))
    for theme in PICTURES:
        draw(ranks(read()), theme)
