"""Judge what a call costs beyond the mathematics of a loss, on this machine's CPU, one thread.

    python benchmarks/seam.py                     # about five minutes
    python benchmarks/seam.py --seconds 1         # longer, where the machine is busy

Ends with status 1 and a table of what is missed if a bound does not hold:

- A loss that a few lines of PyTorch compute is not slower than those lines, nor than snnTorch.
- Lengths cost at most `SUMS` times, where the record is only summed, else at most `OTHERS` times.
- A step of a stream takes at most `STEP` microseconds.
- The import takes at most `IMPORTED` milliseconds beyond that of NumPy.

The Python frames and files that one call passes through are counted, not judged.

Everything runs in PyTorch in float32, and times are processor times, which do not count what else
runs on the machine. Ratios are of times in the same turn, and what stands is the median over all
turns. The lines by hand against themselves, measured so with two other processes keeping the two
cores busy, came out within 1.4 % of 1 in the root mean square over sizes, and within 2.8 % at
worst; their minima within 3.6 and 12 %; the median by the clock on the wall up to 62 %. Hence
`NOISE`, and the same comparison beside every other: where the outcome is in doubt, all is measured
again, in the opposite order, and counted together.

Rows go to results/seam-<device>.csv, and tables of them to results/seam.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import process_time
from types import FrameType
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import speed
import torch
from speed import BOTH, FORWARD, OURS, SIZES, SNNTORCH, TORCH, Candidate, Size
from torch.nn import functional

import spikeloss
from spikeloss import presets
from spikeloss.records import Events

NOISE = 0.02
SUMS, OTHERS, STEP, IMPORTED = 4.0, 2.0, 25.0, 100.0
SUMMED = ("ce_count", "mse_count")
ROUNDS = range(4, 9)
"""At least and fewer than so many, as long as the outcome is in doubt."""
DOUBT = 0.1
"""As it is where a bound is missed by less than this share, or where it holds by less and the noise
is large."""

PADDED, SMALL = Size(250, 64, 35), Size(25, 128, 10)
STEPS, IMPORTS = 50, 10
"""Of a stream in one measurement, so short that it often is not interrupted; and interpreters."""
AGAIN, LENGTHS = "again", "lengths"
BY_HAND, PADDING, STREAM, FRAMES, IMPORT = "by hand", "lengths", "stream", "frames", "import"


@dataclass(frozen=True)
class Row:
    """One number, and the bound that it is judged by if it has one."""

    date: str
    device: str
    threads: int
    versions: str
    checks: str
    dtype: str
    question: str = ""
    objective: str = ""
    way: str = ""
    against: str = ""
    """Whose time divides ours, or is divided by ours, in a ratio."""
    steps: int | None = None
    batch: int | None = None
    neurons: int | None = None
    repeats: int = 1
    number: float = 0.0
    unit: str = ""
    milliseconds: float | None = None
    """The shortest of ours, where the number is a ratio, and the shortest of the other's."""
    milliseconds_against: float | None = None
    noise: float | None = None
    """By how much the same ratio of one computation to itself differs from 1."""
    least: float | None = None
    most: float | None = None

    @property
    def over(self) -> float:
        """By which share of the bound it is missed; negative where it holds with room to spare."""
        if self.least is not None:
            return self.least * (1 - NOISE) / self.number - 1
        return -1.0 if self.most is None else self.number / self.most - 1

    @property
    def missed(self) -> bool:
        """Whether there is a bound that does not hold."""
        return self.over > 0

    @property
    def in_doubt(self) -> bool:
        """Whether more turns could change the outcome."""
        return abs(self.over) < DOUBT and (self.missed or (self.noise or 0.0) > NOISE)


Times = dict[Candidate, list[float]]


def settled(
    candidates: Sequence[Candidate], judged: Callable[[Times], list[Row]], seconds: float, most: int
) -> list[Row]:
    """The rows of all rounds together, of which there are more while a row is in doubt."""
    times: Times = {candidate: [] for candidate in candidates}
    rows: list[Row] = []
    for turn in range(ROUNDS.stop - 1):
        ordered = candidates[:: -1 if turn % 2 else 1]
        found = speed.measure(ordered, seconds, most, paired=True, clock=process_time)
        for candidate in candidates:
            times[candidate] += found[candidate]
        rows = judged(times)
        if turn + 1 >= ROUNDS.start and not any(row.in_doubt for row in rows):
            break
    return rows


def compared(common: Row, times: Times, ours: str, other: str, same: tuple[str, str]) -> Row:
    """A row of the other's time divided by ours, of candidates by name."""
    by_name = {candidate.implementation: found for candidate, found in times.items()}

    def ratio(a: str, b: str) -> float:
        return statistics.median(x / y for x, y in zip(by_name[a], by_name[b], strict=True))

    return replace(
        common,
        against=other,
        repeats=len(by_name[ours]),
        number=_rounded(ratio(other, ours)),
        unit="times",
        milliseconds=_rounded(min(by_name[ours])),
        milliseconds_against=_rounded(min(by_name[other])),
        noise=_rounded(abs(ratio(*same) - 1)),
    )


def _rounded(number: float) -> float:
    return float(f"{number:.4g}")


# ---- by hand


def mse_count(record: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The label's class fires at every step, the others never; over the steps, as in snnTorch."""
    steps, _, classes = record.shape
    wanted = steps * functional.one_hot(labels, classes).to(record.dtype)
    return functional.mse_loss(record.sum(0), wanted) / steps


LINES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "ce_count": lambda record, labels: functional.cross_entropy(record.sum(0), labels),
    "mse_count": mse_count,
    "ce_max_membrane": lambda record, labels: functional.cross_entropy(
        record.max(0).values, labels
    ),
    "cross_entropy": functional.cross_entropy,
}


def by_hand(common: Row, sizes: Sequence[Size], seconds: float, most: int) -> Iterator[Row]:
    """Ours against the lines that a user would write, and against snnTorch where it has the loss.

    `cross_entropy` has no time axis: as many samples as the record has steps and samples.
    """
    for objective, lines in LINES.items():
        for size in sizes:
            found = speed.torch_candidates(objective, size, {TORCH: lines, AGAIN: lines})
            speed.agree(found)
            for work in (FORWARD, BOTH):
                here = replace(
                    common, question=BY_HAND, objective=objective, way=work, least=1.0,
                    **size._asdict(),
                )  # fmt: skip
                candidates = [each for each in found if each.work == work]
                peers = {each.implementation for each in candidates} & {SNNTORCH, TORCH}

                def judged(times: Times, here: Row = here, peers: set[str] = peers) -> list[Row]:
                    return [
                        compared(here, times, OURS, peer, (AGAIN, TORCH)) for peer in sorted(peers)
                    ]

                yield from settled(candidates, judged, seconds, most)


# ---- lengths


def lengths(common: Row, size: Size, seconds: float, most: int) -> Iterator[Row]:
    """With lengths drawn uniformly from 1 to all steps, against the same call without."""
    drawn = torch.randint(1, size.steps + 1, (size.batch,), generator=_seeded())
    for objective in speed.OF_A_RECORD:
        loss = presets.catalogue()[objective].build()
        calls = {LENGTHS: partial(loss, lengths=drawn), AGAIN: loss}
        candidates = [
            each
            for each in speed.torch_candidates(objective, size, calls)
            if each.work == BOTH and each.implementation in (OURS, LENGTHS, AGAIN)
        ]
        here = replace(
            common, question=PADDING, objective=objective, way=BOTH,
            most=SUMS if objective in SUMMED else OTHERS, **size._asdict(),
        )  # fmt: skip

        def judged(times: Times, here: Row = here) -> list[Row]:
            row = compared(here, times, OURS, LENGTHS, (AGAIN, OURS))
            swapped = {
                "against": "without lengths",
                "milliseconds": row.milliseconds_against,
                "milliseconds_against": row.milliseconds,
            }
            return [replace(row, **swapped)]

        yield from settled(candidates, judged, seconds, most)


# ---- streams


def stream_steps(common: Row, size: Size, seconds: float, most: int) -> Iterator[Row]:
    """A step of a stream that goes on and on, no gradient; none of these losses needs lengths."""

    def steps(objective: str) -> Callable[[], None]:
        preset = presets.catalogue()[objective]
        record, labels = map(torch.tensor, speed.example(size, preset.reads))
        stream = preset.build().stream(labels)

        def run() -> None:
            for x in arrived:
                stream.step(x)

        arrived = list(record)
        run()
        return run

    candidates = [Candidate(each, STREAM, steps(each)) for each in speed.OF_A_RECORD]

    def judged(times: Times) -> list[Row]:
        return [
            replace(
                common, question=STREAM, objective=candidate.implementation, way="a step",
                steps=size.steps, batch=size.batch, neurons=size.neurons, repeats=len(found),
                number=_rounded(1e3 * min(found) / size.steps), unit="microseconds", most=STEP,
            )
            for candidate, found in times.items()
        ]  # fmt: skip

    yield from settled(candidates, judged, seconds, most)


# ---- frames


def frames(common: Row, size: Size) -> Iterator[Row]:
    """What one call of `ce_rate` passes through, in each way that it can be called.

    It reads every step, so events are made dense for it; `ce_count` reads events as they are.
    """
    loss, count = presets.ce_rate(), presets.ce_count()
    record, labels = map(torch.tensor, speed.example(size, "spikes"))
    drawn = torch.randint(1, size.steps + 1, (size.batch,), generator=_seeded())
    events = Events.from_sparse(record.to_sparse())
    half = size.batch // 2

    def streamed() -> Any:
        stream = loss.stream(labels)
        for x in record:
            stream.step(x)
        return stream.value()

    def in_parts() -> Any:
        first = loss.parts(record[:, :half], labels[:half])
        return (first + loss.parts(record[:, half:], labels[half:])).value()

    ways: list[tuple[str, str, Callable[[], Any]]] = [
        ("ce_rate", "dense", lambda: loss(record, labels)),
        ("ce_rate", "with lengths", lambda: loss(record, labels, lengths=drawn)),
        ("ce_rate", f"stream, {size.steps} steps", streamed),
        ("ce_rate", "events, made dense", lambda: loss(events.dense(), labels)),
        ("ce_count", "events", lambda: count(events, labels)),
        ("ce_rate", "two micro-batches", in_parts),
    ]
    if not hasattr(loss, "parts"):
        del ways[-1]
    for objective, way, call in ways:
        for unit, number in zip(("frames", "files"), passed(call), strict=True):
            yield replace(
                common, question=FRAMES, objective=objective, way=way, **size._asdict(),
                number=number, unit=unit,
            )  # fmt: skip


def passed(call: Callable[[], Any]) -> tuple[int, int]:
    """Frames of this package that the second call enters, and the files that they stand in.

    Comprehensions are frames in Python 3.11, and a generator enters its own at every item.
    """
    home = str(Path(spikeloss.__file__).parent) + os.sep
    files: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(home):
            files[frame.f_code.co_filename] += 1

    call()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return files.total(), len(files)


# ---- import


def imports(common: Row, repeats: int) -> Iterator[Row]:
    """In a fresh interpreter that has NumPy, with bytecode as an installed package has it."""
    code = """
import numpy, time
clocks = time.process_time, time.perf_counter
before = [clock() for clock in clocks]
import spikeloss
print(*(clock() - start for clock, start in zip(clocks, before)))
"""
    with tempfile.TemporaryDirectory() as cache:
        bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}
        words, environment = [sys.executable, "-c", code], os.environ | bytecode
        found = []
        for _ in range(1 + repeats):  # the first one compiles
            run = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
            found.append([1e3 * float(number) for number in run.stdout.split()])
    for way, times in zip(("processor", "wall"), zip(*found[1:], strict=True), strict=True):
        yield replace(
            common, question=IMPORT, way=way, repeats=repeats, number=_rounded(min(times)),
            unit="milliseconds", most=IMPORTED,
        )  # fmt: skip


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# ---- results


def page(rows: Sequence[Row]) -> str:
    """Tables of the rows, what is missed first."""
    first = rows[0]
    parts = [
        "# The seam between a loss and its library\n",
        "Written by `benchmarks/seam.py`; do not edit by hand. PyTorch, float32, one thread, "
        "processor time.\n",
        f"{first.device}; value checks {first.checks}; {first.versions}; measured on "
        f"{first.date}.\n",
        f"## Bounds\n\n{verdict(rows)}",
        "## Against lines by hand, and snnTorch\n",
        "How many times faster ours is: the median over turns of the other's time divided by ours. "
        f"At least 1, less {NOISE:.0%} of noise. Milliseconds are the shortest. Noise is by how "
        "much the lines by hand differ from themselves, measured in the same turns.\n",
        _ratios([row for row in rows if row.question == BY_HAND]),
        "## Lengths\n",
        "Value and gradient with lengths, drawn uniformly from 1 to all steps, in times of the "
        f"same without. At most {SUMS:g} for {' and '.join(SUMMED)}, else {OTHERS:g}.\n",
        _ratios([row for row in rows if row.question == PADDING]),
        "## A step of a stream\n",
        f"The shortest mean over {STEPS} steps, without a gradient. At most {STEP:g} "
        "microseconds.\n",
        _table(
            ("objective", "samples, neurons", "microseconds"),
            [
                (f"`{r.objective}`", f"{r.batch}, {r.neurons}", f"{r.number:.3g}")
                for r in rows
                if r.question == STREAM
            ],
        ),
        "## Frames\n",
        "Python frames of this package that one call enters, the second of its kind, and "
        "the files that they stand in. Not judged.\n",
        _table(("objective", "way", "frames / files"), _frames(rows)),
        "## Import\n",
        f"Of `spikeloss` after NumPy. At most {IMPORTED:g} milliseconds.\n",
        _table(
            ("clock", "milliseconds"),
            [(r.way, f"{r.number:.3g}") for r in rows if r.question == IMPORT],
        ),
    ]
    return "\n".join(parts)


def verdict(rows: Sequence[Row]) -> str:
    """A table of the bounds that are missed, by how much."""
    judged = [row for row in rows if row.least is not None or row.most is not None]
    wrong = [row for row in judged if row.missed]
    if not wrong:
        return f"All {len(judged)} hold.\n"
    cells = [
        (
            row.question,
            f"`{row.objective}`" if row.objective else "",
            ", ".join(filter(None, (row.way, row.against))),
            _size(row),
            f"{row.number:.3g}",
            f"at least {row.least:g}" if row.most is None else f"at most {row.most:g}",
            f"{row.over:.1%}",
            "?" if row.in_doubt else "",
        )
        for row in wrong
    ]
    head = ("question", "objective", "of", "size", "number", "bound", "missed by", "in doubt")
    return f"{len(wrong)} of {len(judged)} are missed.\n\n{_table(head, cells)}"


def _ratios(rows: Sequence[Row]) -> str:
    head = ("objective", "size", "pass", "against", "ms", "its ms", "times", "noise")
    cells = [
        (
            f"`{row.objective}`", _size(row), row.way, row.against, f"{row.milliseconds:.3g}",
            f"{row.milliseconds_against:.3g}", f"{row.number:.3g}", f"{row.noise:.1%}",
        )
        for row in rows
    ]  # fmt: skip
    return _table(head, cells)


def _frames(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.question == FRAMES:
            found.setdefault((f"`{row.objective}`", row.way), []).append(f"{row.number:g}")
    return [(*call, " / ".join(numbers)) for call, numbers in found.items()]


def _size(row: Row) -> str:
    return "" if row.steps is None else f"{row.steps}, {row.batch}, {row.neurons}"


def _table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def measured(
    common: Row, sizes: Sequence[Size], seconds: float, most: int, imported: int
) -> Iterator[Row]:
    """All rows, as they come."""
    yield from by_hand(common, sizes, seconds, most)
    yield from lengths(common, PADDED, seconds, most)
    yield from stream_steps(common, SMALL._replace(steps=STEPS), seconds, most)
    yield from frames(common, SMALL)
    yield from imports(common, imported)


def run(
    sizes: Sequence[Size] = SIZES,
    *,
    seconds: float = 0.3,
    most: int = 200,
    imported: int = IMPORTS,
    folder: Path = speed.RESULTS,
) -> list[Row]:
    """Measure all of it and write the files; the rows."""
    torch.set_num_threads(1)
    about = speed.here(1)
    common = Row(about.date, about.device, about.threads, about.versions, about.checks, about.dtype)
    path, rows = speed.path_of(about, folder, "seam"), []
    for row in measured(common, sizes, seconds, most, imported):
        rows.append(row)
        print(
            f"{row.question:8} {row.objective:16} {_size(row):14} {row.way:18} {row.against:16}"
            f"{row.number:10.4g} {row.unit}" + f"   missed by {row.over:.1%}" * row.missed,
            flush=True,
        )
    speed.write(rows, path)
    (folder / "seam.md").write_text(page(rows))
    return rows


def main() -> int:
    """0 if every bound holds, else 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=speed.size_of, default=SIZES, metavar="T,B,N")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each in each round")
    parser.add_argument("--results", type=Path, default=speed.RESULTS, help="folder of the files")
    options = parser.parse_args()
    rows = run(options.sizes, seconds=options.seconds, folder=options.results)
    print(verdict(rows))
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
