"""Renew the page of published settings: python docs/make_papers.py [FOLDER ...].

A recipe is benchmarks/papers/NAME.toml, what was published of it, and what came of ours, NAME.md
beside it. A FOLDER is that of its comparison and has its name, as in runs/NAME: its runs take the
place of those in benchmarks/results/papers.csv. The page is made from these alone; a test compares
it with what is made here.
"""

import csv
import json
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from spikeloss.lab.recipe import Comparison, load_recipe, recipe_from

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "benchmarks" / "papers"
RUNS = ROOT / "benchmarks" / "results" / "papers.csv"
GRID = ROOT / "benchmarks" / "results" / "grid.csv"
PAGE = ROOT / "docs" / "papers.md"
COLUMNS = (
    "recipe", "objective", "seed", "accuracy", "hidden_rate", "spikes_per_sample",
    "seconds_per_epoch", "curve", "library", "jax", "torch", "machine",
)  # fmt: skip
"""Of a row per run; the curve is the accuracy on the test samples after each epoch."""
SHOWN = (1, 2, 5, 10, 20, 50, 100, 200, 300)
"""Epochs of a curve that the page shows."""

TEXT = """\
# Beside the papers

Recipes with the settings of publications, and what comes of them here; misses too. A script writes
this page from the recipes and the runs. Each is repeated by one command, which the sections name,
and whose runs `python docs/make_papers.py runs/NAME` puts on this page.

Accuracies are those of the test samples after the last epoch, in per cent: the mean over the seeds
± their standard deviation. No epoch was chosen by its accuracy. Minutes are processor time of
training, without compiling, of all seeds and objectives together; on two cores, which is what
`--workers 2` takes, half as long. For a recipe of several objectives, the table has the first.

{table}
{sections}"""

SECTION = """
## {title}

{text}

```console
$ {command}
```

{table}

{curves}

{where}
"""


@dataclass(frozen=True)
class Row:
    """An objective of a recipe over its seeds."""

    objective: str
    accuracies: tuple[float, ...]
    curves: tuple[tuple[float, ...], ...]
    spikes: float
    seconds: float

    @property
    def mean(self) -> str:
        """As in 97.8."""
        return f"{fmean(self.accuracies):.1f}"

    @property
    def accuracy(self) -> str:
        """As in 97.8 ± 0.2."""
        spread = f" ± {stdev(self.accuracies):.1f}" if len(self.accuracies) > 1 else ""
        return self.mean + spread

    def after(self, epoch: int) -> str:
        """The mean accuracy after an epoch, counted from 1."""
        return f"{fmean(curve[epoch - 1] for curve in self.curves):.1f}"


@dataclass(frozen=True)
class Paper:
    """A published setting: its recipe, what is said of it, and what came of it."""

    name: str
    about: dict[str, Any]
    text: str
    comparison: Comparison
    rows: tuple[Row, ...]
    runs: tuple[dict[str, str], ...]

    @property
    def verdict(self) -> str:
        """Whether the first objective reaches the goal."""
        short = self.about["goal"] - float(self.rows[0].mean)
        return "reached" if short <= 0 else f"missed by {short:.1f}"

    @property
    def minutes(self) -> float:
        """Of all runs."""
        return self.comparison.recipe.epochs * sum(
            float(run["seconds_per_epoch"]) / 60 for run in self.runs
        )


def recipe_of(name: str) -> Comparison:
    """What a recipe file says."""
    given, top = load_recipe(RECIPES / f"{name}.toml")
    return Comparison(recipe_from(given), tuple(top["objectives"]), top["seeds"])


def paper(name: str, runs: Iterable[dict[str, str]]) -> Paper:
    """A recipe, and its rows of all runs."""
    head, text = (RECIPES / f"{name}.md").read_text().removeprefix("+++\n").split("\n+++\n")
    own = tuple(run for run in runs if run["recipe"] == name)
    found: dict[str, list[dict[str, str]]] = {}
    for run in own:
        found.setdefault(run["objective"], []).append(run)
    rows = tuple(row(objective, group) for objective, group in found.items())
    return Paper(name, tomllib.loads(head), text.strip(), recipe_of(name), rows, own)


def row(objective: str, runs: list[dict[str, str]]) -> Row:
    """The runs of an objective."""
    return Row(
        objective,
        tuple(100 * float(run["accuracy"]) for run in runs),
        tuple(tuple(100 * float(x) for x in run["curve"].split()) for run in runs),
        fmean(float(run["spikes_per_sample"] or "nan") for run in runs),
        fmean(float(run["seconds_per_epoch"]) for run in runs),
    )


def papers(runs: list[dict[str, str]]) -> list[Paper]:
    """All recipes that have run, in their places."""
    found = [paper(name, runs) for name in {run["recipe"] for run in runs}]
    return sorted(found, key=lambda each: (each.about["place"], each.name))


def limits() -> dict[str, str]:
    """What Yin-Yang allows at most on a grid of so many milliseconds, of benchmarks/grid.py."""
    with GRID.open() as file:
        return {each["ms"]: f"{100 * float(each['accuracy']):.1f}" for each in csv.DictReader(file)}


def table(head: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    """In Markdown; all columns but the first hold numbers, or are short."""
    head = tuple(head)
    rule = ("---", *("---:",) * (len(head) - 1))
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (head, rule, *lines))


def section(each: Paper) -> str:
    """What the page says of a recipe."""
    last = each.comparison.recipe.epochs
    epochs = [*(epoch for epoch in SHOWN if epoch < last), last]
    rows, run = each.rows, each.runs[0]
    lines = [
        (f"`{x.objective}`", len(x.accuracies), x.accuracy, f"{min(x.accuracies):.1f}",
         f"{max(x.accuracies):.1f}", f"{x.spikes:.0f}", f"{x.seconds:.2f}")
        for x in rows
    ]  # fmt: skip
    head = ("objective", "seeds", "accuracy %", "lowest", "highest", "spikes", "s/epoch")
    curves = [(f"`{x.objective}`", *map(x.after, epochs)) for x in rows]
    version = f"JAX {run['jax']}" if run["library"] == "jax" else f"PyTorch {run['torch']}"
    return SECTION.format(
        title=each.about["title"],
        text=each.text.format(rows=rows, limits=limits()),
        command=f"spikeloss compare benchmarks/papers/{each.name}.toml --out runs/{each.name}",
        table=table(head, lines),
        curves=table(("accuracy % after epoch", *epochs), curves),
        where=f"{each.minutes:.1f} minutes, {version}, {run['machine']}, one thread per run.",
    )


def page(runs: list[dict[str, str]]) -> str:
    """The page of published settings."""
    found = papers(runs)
    lines = [
        (each.about["title"], each.about["published"], each.rows[0].accuracy, each.verdict,
         f"{each.minutes:.1f}")
        for each in found
    ]  # fmt: skip
    head = ("setting", "published", "here", "", "minutes")
    return TEXT.format(table=table(head, lines), sections="".join(map(section, found)))


def read() -> list[dict[str, str]]:
    """The rows of all runs."""
    with RUNS.open() as file:
        return list(csv.DictReader(file))


def added(runs: list[dict[str, str]], folder: Path) -> list[dict[str, str]]:
    """The runs with those of a comparison in the place of its older ones."""
    name = folder.name
    made = json.loads((folder / "config.json").read_text())["recipe"]
    if recipe_from({key: x for key, x in made.items() if x is not None}) != recipe_of(name).recipe:
        raise SystemExit(f"{folder} was made by another recipe than {name}.toml")
    with (folder / "results.csv").open() as file:
        new = [{key: run.get(key, "") for key in COLUMNS} for run in csv.DictReader(file)]
    kept = [run for run in runs if run["recipe"] != name]
    return kept + [run | {"recipe": name} for run in new]


def write(runs: list[dict[str, str]]) -> None:
    """Keep the rows of all runs."""
    with RUNS.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(runs)


if __name__ == "__main__":
    found = read() if RUNS.exists() else []
    for each in sys.argv[1:]:
        found = added(found, Path(each))
    write(found)
    PAGE.write_text(page(found))
