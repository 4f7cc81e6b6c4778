"""Turn the rows that `speed.py` wrote into tables and plots, and judge them.

    python benchmarks/report.py    # after benchmarks/speed.py

Writes results/README.md and one picture per file of results. Ends with status 1 if an objective is
slower, against snnTorch on the same machine in the same run, than `BOUNDS` allows.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
FORWARD, BOTH = "forward", "forward+backward"
OURS, PEER = "spikeloss", "snntorch"
JUDGED = "minimum"

LOOPED, VECTORISED = 5.0, 0.8
"""At least so many times faster than snnTorch where it loops over steps; nowhere slower than 1.25
times its time where it does not."""
BOUNDS = {
    "ce_rate": LOOPED,
    "ce_count": VECTORISED,
    "ce_max_membrane": VECTORISED,
    "mse_count": VECTORISED,
    "mse_membrane": LOOPED,
    "mse_temporal": LOOPED,
    "ce_temporal": LOOPED,
}

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"  # told apart by every eye, with the markers

Size = tuple[int, int, int]
NAMES = {"torch": "PyTorch", "jax": "JAX, under jit"}


class Measured(NamedTuple):
    """One number of a file of results."""

    library: str
    objective: str
    implementation: str
    size: Size
    work: str
    statistic: str
    milliseconds: float
    clones: float
    peer: str
    times_faster: float | None


class Results(NamedTuple):
    """A file of results."""

    path: Path
    device: str
    setup: str
    rows: list[Measured]

    def find(self, **wanted: object) -> list[Measured]:
        """The rows with these values, in the order of the file."""
        return [row for row in self.rows if all(getattr(row, k) == v for k, v in wanted.items())]


def read(path: Path) -> Results:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = rows[0]
    threads = "one thread" if first["threads"] == "1" else f"{first['threads']} threads"
    setup = (
        f"{threads}, {first['dtype']}, value checks {first['checks']}; {first['versions']}; "
        f"measured on {first['date']}"
    )
    return Results(path, first["device"], setup, [_measured(row) for row in rows])


def _measured(row: dict[str, str]) -> Measured:
    return Measured(
        library=row["library"],
        objective=row["objective"],
        implementation=row["implementation"],
        size=(int(row["steps"]), int(row["batch"]), int(row["neurons"])),
        work=row["work"],
        statistic=row["statistic"],
        milliseconds=float(row["milliseconds"]),
        clones=float(row["clones"]),
        peer=row["peer"],
        times_faster=float(row["times_faster"]) if row["times_faster"] else None,
    )


# ---- the bounds


def judged(results: Results) -> Iterator[tuple[Measured, float]]:
    """Every measurement that has a bound, with the bound."""
    for row in results.find(library="torch", implementation=OURS, statistic=JUDGED, peer=PEER):
        if row.objective in BOUNDS and row.times_faster is not None:
            yield row, BOUNDS[row.objective]


def broken(results: Results) -> list[str]:
    """What is slower than its bound, in words."""
    return [
        f"{row.objective} {row.size} {row.work}: {row.times_faster:.2f} times as fast as {PEER}, "
        f"expected at least {bound:g}"
        for row, bound in judged(results)
        if row.times_faster is not None and row.times_faster < bound
    ]


# ---- tables


def page(all_results: Sequence[Results]) -> str:
    parts = [_HEAD]
    for results in all_results:
        parts.append(f"## {results.device}\n\n{_sentence(results.setup)}\n")
        parts.append(f"![Times in units of a copy of the record]({_picture(results).name})\n")
        parts.append(_verdict(results))
        for library in ("torch", "jax"):
            for work in (BOTH, FORWARD):
                rows = results.find(library=library, work=work, implementation=OURS)
                if rows:
                    parts.append(
                        f"### {NAMES[library]}, {work}\n\n{_table(results, library, work)}\n"
                    )
    return "\n".join(parts)


_HEAD = f"""# Speed

Written by `benchmarks/report.py` from the files beside it; do not edit by hand. Measure anew with
`make bench`.

Times are milliseconds of one call as a user makes it, input checks included, in one process that
takes turns between ours, the peer's and a copy of the record into fresh memory (`record.clone()`,
the yardstick of what any loss must at least do). The backward pass is `torch.autograd.grad` or
`jax.value_and_grad`. Values and gradients of ours and the peer's were equal before the clock
started. Sizes are (steps, samples, output neurons); for `cross_entropy`, which has no time axis,
the record is steps x samples rows of logits. Each time is the {JUDGED} over the repeats, with
the median in brackets; "times faster" is the peer's {JUDGED} divided by ours.
"""


def _verdict(results: Results) -> str:
    wrong, count = broken(results), sum(1 for _ in judged(results))
    rule = (
        f"Bounds: {LOOPED:g} times faster where snnTorch loops over steps, nowhere slower than "
        f"{1 / VECTORISED:g} times its time."
    )
    if not wrong:
        return f"{rule} All {count} hold.\n"
    listed = "\n".join(f"- {line}" for line in wrong)
    return f"{rule} {len(wrong)} of {count} are broken:\n\n{listed}\n"


def _table(results: Results, library: str, work: str) -> str:
    here = results.find(library=library, work=work)
    others = list(dict.fromkeys(r.implementation for r in here if r.implementation != OURS))
    head = ["objective", "size", f"{OURS} (ms)", *(f"{name} (ms)" for name in others)]
    lines = [[*head, "times faster", "copies"]]
    for row in results.find(library=library, work=work, implementation=OURS, statistic=JUDGED):
        times = [_time(here, row, name) for name in (OURS, *others)]
        faster = "" if row.times_faster is None else f"{row.times_faster:.3g}"
        size = ", ".join(map(str, row.size))
        lines.append([f"`{row.objective}`", size, *times, faster, f"{row.clones:.3g}"])
    lines.insert(1, ["---", "---", *["---:"] * (len(lines[0]) - 2)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _time(rows: Iterable[Measured], like: Measured, implementation: str) -> str:
    found = {
        row.statistic: row.milliseconds
        for row in rows
        if (row.objective, row.size, row.implementation)
        == (like.objective, like.size, implementation)
    }
    return f"{found[JUDGED]:.3g} ({found['median']:.3g})" if found else ""


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


# ---- pictures


def _picture(results: Results) -> Path:
    return results.path.with_suffix(".png")


def plot(results: Results) -> Figure:
    """Ours and the peer's in units of a copy of the record: a row per pass, a column per size."""
    rows = results.find(library="torch", statistic=JUDGED)
    sizes = list(dict.fromkeys(row.size for row in rows))
    objectives = list(dict.fromkeys(row.objective for row in rows))
    height = 1.6 + 0.62 * len(objectives)
    figure, axes = plt.subplots(
        2, len(sizes), figsize=(1.5 + 3.0 * len(sizes), height), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for line, work in zip(axes, (BOTH, FORWARD), strict=True):
        for axis, size in zip(line, sizes, strict=True):
            _panel(axis, [r for r in rows if (r.work, r.size) == (work, size)], objectives)
            axis.set_title(f"{work}, {size}", fontsize=9)
    axes[0][0].set_ylim(len(objectives) - 0.4, -0.6)
    figure.supxlabel("time in units of a copy of the record (left is faster)", fontsize=10)
    figure.legend(
        *axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    setup = f"{results.device}; {results.setup}. Sizes are (steps, samples, neurons)."
    figure.text(0.0, -0.01, _wrapped(setup, 46 * len(sizes)), fontsize=7.5, va="top", wrap=False)
    return figure


def _panel(axis: Axes, rows: Sequence[Measured], objectives: Sequence[str]) -> None:
    axis.set_xscale("log")
    axis.axvline(1.0, color=GREY, linewidth=1.0, linestyle=":", label="copy of the record")
    ours = {row.objective: row for row in rows if row.implementation == OURS}
    others = {row.objective: row for row in rows if row.implementation == _peer_of(ours, row)}
    for place, objective in enumerate(objectives):
        pair = [found[objective].clones for found in (ours, others) if objective in found]
        axis.plot(pair, [place] * len(pair), color=GREY, linewidth=1.2, zorder=1)
        faster = ours[objective].times_faster
        if faster is not None:
            axis.annotate(
                f"x {faster:.2g}" if faster < 10 else f"x {faster:.0f}",
                (max(pair), place), xytext=(7, 0), textcoords="offset points",
                va="center", fontsize=7.5,
            )  # fmt: skip
    for found, colour, marker, name in (
        (others, ORANGE, "s", f"{PEER} (cross_entropy: torch)"),
        (ours, BLUE, "o", OURS),
    ):
        places = [objectives.index(name) for name in found]
        clones = [row.clones for row in found.values()]
        axis.scatter(clones, places, c=colour, marker=marker, s=28, zorder=2, label=name)
    axis.set_yticks(range(len(objectives)), objectives, fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)


def _peer_of(ours: dict[str, Measured], row: Measured) -> str:
    return ours[row.objective].peer if row.objective in ours else ""


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


# ---- all of it


def main(folder: Path = RESULTS) -> int:
    """Write the page and the pictures; 0 if every bound holds, else 1."""
    all_results = [read(path) for path in sorted(folder.glob("speed-*.csv"))]
    if not all_results:
        raise SystemExit(f"{folder} holds no results. Run benchmarks/speed.py first.")
    for results in all_results:
        figure = plot(results)
        figure.savefig(_picture(results), dpi=150, bbox_inches="tight")
        plt.close(figure)
    (folder / "README.md").write_text(page(all_results))
    wrong = [f"{results.path.name}: {line}" for results in all_results for line in broken(results)]
    print("\n".join(wrong) or "Every bound holds.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
