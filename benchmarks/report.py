"""Turn the rows that `speed.py` wrote into a page with pictures, and judge them.

    python benchmarks/report.py             # after benchmarks/speed.py
    python benchmarks/report.py --check     # which rows are older than the code

Writes docs/speed.md and docs/images/speed-*.png. Rows that are older than the code that they
measure are not reported. Ends with status 1 if a goal is missed, or if there are such rows.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import goals
import peers
import plots
import rows
from goals import OURS, UNIFORM
from objectives import LARGE, MIDDLE, OBJECTIVES, SMALL, THIN, WIDE, Size
from rows import Row
from timing import GRADIENT, VALUE

DOCS = rows.ROOT / "docs"
SHORT = {peers.HAND: "by hand", peers.SPIKINGJELLY: "SpikingJelly, by hand", UNIFORM: "lengths"}


class Results(NamedTuple):
    """A file of rows that are as old as the code."""

    path: Path
    rows: list[Row]


def fresh(folder: Path) -> tuple[list[Results], list[str]]:
    """The files that can be reported, and a line on each that cannot."""
    found, old = [], []
    for path, read in rows.files(folder):
        if left := rows.stale(read):
            commits = ", ".join(sorted({row.commit for row in left}))
            old.append(
                f"{path.name}: {len(left)} of {len(read)} rows were measured at commit {commits}; "
                "code has changed since. Run `make bench` on that machine, or delete the file."
            )
        else:
            found.append(Results(path, read))
    return found, old


# ---- the page


HEAD = """# Speed

What a loss costs, beside a copy of the record, other packages, and a few lines written by hand. A
script writes this page from the rows in `benchmarks/results`; `make bench` measures anew.

```{{speed-age}}
```

Times are the shortest of one call as a user makes it, input checks included, in float32. All
computations of an objective at a size take turns in one process, with copies of the record between
them: `record.clone()`, what any loss that writes a gradient must at least do. The gradient is
`torch.autograd.grad` or `jax.value_and_grad`. Before the clock started, all gave the same value and
the same gradient.

- *kernel* is the loss as it runs by default, *composed* with `SPIKELOSS_KERNELS=off`, *compiled*
  composed under `torch.compile`; in JAX all but composed are under `jax.jit`.
- *snntorch* is its class of the same name, *by hand* a few lines of PyTorch, *SpikingJelly, by
  hand* what its documentation describes, *optax* its loss after a readout by hand.
- Sizes are steps, samples, output neurons; of populations also classes. `cross_entropy` has no
  time: as many rows of logits as steps times samples. *lengths* are drawn uniformly from 1 to all
  steps.
- A star: one call took so long that it was timed once.
"""


def page(found: Sequence[Results]) -> str:
    devices = dict.fromkeys(result.rows[0].device for result in found)
    parts = [HEAD.replace("{{", "{").replace("}}", "}")]
    for device in devices:
        here = [result for result in found if result.rows[0].device == device]
        parts.append(f"## {device}\n")
        shown = max(here, key=lambda result: result.rows[0].threads)
        parts.append(_pictures(shown))
        parts += [_tables(result) for result in here]
        parts += [_goals(result) for result in here]
    return "\n".join(parts)


def _setup(row: Row) -> str:
    return f"{_threads(row)}; {row.versions}; commit {row.commit}, {row.date}."


def _threads(row: Row) -> str:
    return "One thread" if row.threads == 1 else f"{row.threads} threads"


def _goals(result: Results) -> str:
    first = result.rows[0]
    used = "; ".join(sorted({row.kernel for row in result.rows if row.provider == OURS}))
    return (
        f"### Goals, {_threads(first).lower()}\n\n{_setup(first)} What ran: {used}."
        f"\n\n{goals.table(goals.judge(result.rows))}"
    )


ALT = {
    "size": "Milliseconds against megabytes of the record, by objective and provider",
    "copies": "Time in units of a copy of the record, by objective and provider",
    "growth": "Milliseconds as steps, samples and neurons grow, by objective",
}
CAPTIONS = {
    "size": "Time against size",
    "copies": "In copies of the record",
    "growth": "As steps, samples and neurons grow",
}


def _pictures(result: Results) -> str:
    parts = []
    for kind, caption in CAPTIONS.items():
        parts.append(f"### {caption}\n\nPyTorch, {_threads(result.rows[0]).lower()}.\n")
        for theme in plots.THEMES:
            name = _picture(result, kind, theme)
            parts.append(
                f"```{{image}} images/{name}\n:alt: {ALT[kind]}\n:width: 600px\n"
                f":class: only-{theme}\n```\n"
            )
    return "\n".join(parts)


def _picture(result: Results, kind: str, theme: str) -> str:
    return f"{result.path.stem}-{kind}-{theme}.png"


TABLES: Sequence[tuple[str, str, Sequence[Size]]] = (
    ("torch", GRADIENT, (SMALL, MIDDLE, LARGE, THIN, WIDE)),
    ("torch", VALUE, (SMALL, MIDDLE, LARGE)),
    ("jax", GRADIENT, (SMALL, MIDDLE)),
    ("numpy", VALUE, (MIDDLE,)),
)
NAMES = {"torch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}


def _tables(result: Results) -> str:
    parts = [
        f"### Milliseconds, {_threads(result.rows[0]).lower()}\n\nEvery size, and medians: "
        f"`benchmarks/results/{result.path.name}`.\n"
    ]
    for library, mode, sizes in TABLES:
        for size in sizes:
            here = [r for r in result.rows if (r.library, r.mode, r.size) == (library, mode, size)]
            if here:
                at = goals.size_of(here[0])
                parts.append(f"#### {NAMES[library]}, {mode}, ({at})\n\n{_table(here)}")
    return "\n".join(parts)


def _table(here: Sequence[Row]) -> str:
    columns = dict.fromkeys((row.provider, row.lengths) for row in here)
    head = [", ".join(SHORT.get(word, word) for word in column if word) for column in columns]
    lines = [["objective", *head, "copy"], ["---", *["---:"] * (len(head) + 1)]]
    for name in OBJECTIVES:
        found = {(row.provider, row.lengths): row for row in here if row.objective == name}
        if found:
            copy = next(iter(found.values())).copy_fresh
            cells = [_time(found.get(column)) for column in columns]
            lines.append([f"`{name}`", *cells, f"{copy:.3g}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _time(row: Row | None) -> str:
    return "" if row is None else f"{row.minimum:.3g}" + r"\*" * (row.repeats == 1)


# ---- all of it


def check(folder: Path) -> int:
    """0 if no row is older than the code, else 1."""
    _, old = fresh(folder)
    print("\n".join(old) or "No row is older than the code that it measures.")
    return int(bool(old))


def write(folder: Path = rows.RESULTS, docs: Path = DOCS) -> int:
    """The page and its pictures; 0 if every goal is met and no row is old, else 1."""
    found, old = fresh(folder)
    print("\n".join(old))
    if not found:
        print(f"{folder} holds no rows that can be reported. Run benchmarks/speed.py first.")
        return 1
    (docs / "images").mkdir(parents=True, exist_ok=True)
    for stray in (docs / "images").glob("speed-*.png"):
        stray.unlink()
    for result in _pictured(found):
        for kind, draw in plots.PICTURES.items():
            for theme, colours in plots.THEMES.items():
                picture = docs / "images" / _picture(result, kind, theme)
                picture.write_bytes(draw(result.rows, colours))
    (docs / "speed.md").write_text(page(found))
    verdicts = []
    for result in found:
        judged = goals.judge(result.rows)
        print(f"{result.path.name}\n\n{goals.table(judged)}")
        verdicts += judged
    return int(bool(old or goals.missed(verdicts)))


def _pictured(found: Iterable[Results]) -> list[Results]:
    """Of every device the results with the most threads."""
    best: dict[str, Results] = {}
    for result in found:
        first = result.rows[0]
        if first.device not in best or best[first.device].rows[0].threads < first.threads:
            best[first.device] = result
    return list(best.values())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only say which rows are old")
    parser.add_argument("--results", type=Path, default=rows.RESULTS, help="folder of the rows")
    options = parser.parse_args()
    return check(options.results) if options.check else write(options.results)


if __name__ == "__main__":
    sys.exit(main())
