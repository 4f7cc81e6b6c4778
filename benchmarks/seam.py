"""Judge what a call costs beyond its reductions over time: steps of a stream, frames, the import.

    python benchmarks/seam.py                     # about a minute

Ends with status 1 and a table of what is missed if a bound does not hold:

- A step of a stream takes at most `STEP` microseconds.
- The import takes at most `IMPORTED` milliseconds beyond that of NumPy.

The Python frames and files that one call passes through are counted, not judged. Rows go to
results/seam-<device>.csv, and tables of them to results/seam.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import objectives
import rows
import timing
import torch
from goals import NAMED
from objectives import OBJECTIVES, SMALL
from timing import VALUE, Candidate

import spikeloss
from spikeloss import presets
from spikeloss.records import Events

STEP, IMPORTED = 25.0, 100.0
DOUBT, ROUNDS = 0.1, 5
"""Measured again, at most so often, where a bound is missed or met by less than this share."""
STEPS, IMPORTS = 50, 10
"""Of a stream in one measurement, so short that it often is not interrupted; and interpreters."""
STREAM, FRAMES, IMPORT = "stream", "frames", "import"


@dataclass(frozen=True)
class Row:
    """One number, and the bound that it is judged by if it has one."""

    date: str
    commit: str
    source: str
    device: str
    threads: int
    versions: str
    question: str = ""
    objective: str = ""
    way: str = ""
    repeats: int = 1
    number: float = 0.0
    unit: str = ""
    most: float | None = None

    @property
    def over(self) -> float:
        """By which share of the bound it is missed; negative where it holds with room to spare."""
        return -1.0 if self.most is None else self.number / self.most - 1

    @property
    def missed(self) -> bool:
        """Whether there is a bound that does not hold."""
        return self.over > 0


# ---- streams


def stream_steps(common: Row, seconds: float, most: int = 200) -> Iterator[Row]:
    """A step of a stream that goes on and on, no gradient; none of these losses needs lengths."""
    names = [name for name in NAMED if not OBJECTIVES[name].train]
    candidates = [Candidate(name, VALUE, _steps(name), kernels="auto") for name in names]
    first, probe = timing.begin(candidates), torch.zeros(1 << 14).clone
    times: dict[Candidate, list[float]] = {each: [] for each in candidates}
    for _ in range(ROUNDS):
        again = timing.measure(candidates, first, probe, seconds, most)
        times = timing.together(times, again)
        found = [
            replace(
                common, question=STREAM, objective=each.provider, way="a step", repeats=len(spent),
                number=_rounded(1e6 * min(spent) / STEPS), unit="microseconds", most=STEP,
            )
            for each, spent in times.items()
        ]  # fmt: skip
        if all(abs(row.over) > DOUBT for row in found):
            break
    yield from found


def _steps(name: str) -> Callable[[], None]:
    found = objectives.data(name, SMALL._replace(steps=STEPS))
    arrived, labels = list(torch.tensor(found.record)), torch.tensor(found.target)
    stream = OBJECTIVES[name].loss.stream(labels)

    def run() -> None:
        for x in arrived:
            stream.step(x)

    return run


# ---- frames


def frames(common: Row) -> Iterator[Row]:
    """What one call of `ce_rate` passes through, in each way that it can be called.

    It reads every step, so events are made dense for it; `ce_count` reads events as they are.
    """
    loss, count = presets.ce_rate(), presets.ce_count()
    found = objectives.data("ce_rate", SMALL)
    record, labels, drawn = map(torch.tensor, found)
    events = Events.from_sparse(record.to_sparse())
    half = SMALL.batch // 2

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
        ("ce_rate", f"stream, {SMALL.steps} steps", streamed),
        ("ce_rate", "events, made dense", lambda: loss(events.dense(), labels)),
        ("ce_count", "events", lambda: count(events, labels)),
        ("ce_rate", "two micro-batches", in_parts),
    ]
    for objective, way, call in ways:
        for unit, number in zip(("frames", "files"), passed(call), strict=True):
            yield replace(
                common, question=FRAMES, objective=objective, way=way, number=number, unit=unit
            )


def entered(call: Callable[[], Any]) -> Counter[str]:
    """The files of this package whose frames a call enters, and how often.

    Comprehensions are frames in Python 3.11, and a generator enters its own at every item.
    """
    home = str(Path(spikeloss.__file__).parent) + os.sep
    files: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(home):
            files[frame.f_code.co_filename.removeprefix(home)] += 1

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return files


def passed(call: Callable[[], Any]) -> tuple[int, int]:
    """Frames that the second call enters, and the files that they stand in."""
    call()
    files = entered(call)
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


def _rounded(number: float) -> float:
    return float(f"{number:.4g}")


# ---- results


def page(found: Sequence[Row]) -> str:
    """Tables of the rows, what is missed first."""
    first = found[0]
    return "\n".join(
        [
            "# What a call costs beyond its reductions over time\n",
            "Written by `benchmarks/seam.py`; do not edit by hand. PyTorch, float32, one thread.\n",
            f"{first.device}; {first.versions}; commit {first.commit}, {first.date}.\n",
            f"## Bounds\n\n{verdict(found)}",
            "## A step of a stream\n",
            f"The shortest mean over {STEPS} steps of {SMALL.batch} samples and {SMALL.neurons} "
            f"neurons, without a gradient. At most {STEP:g} microseconds.\n",
            _table(
                ("objective", "microseconds"),
                [(f"`{r.objective}`", f"{r.number:.3g}") for r in found if r.question == STREAM],
            ),
            "## Frames\n",
            "Python frames of this package that one call enters, the second of its kind, and "
            "the files that they stand in. Not judged.\n",
            _table(("objective", "way", "frames / files"), _frames(found)),
            "## Import\n",
            f"Of `spikeloss` after NumPy. At most {IMPORTED:g} milliseconds.\n",
            _table(
                ("clock", "milliseconds"),
                [(r.way, f"{r.number:.3g}") for r in found if r.question == IMPORT],
            ),
        ]
    )


def verdict(found: Sequence[Row]) -> str:
    """A table of the bounds that are missed, by how much."""
    judged = [row for row in found if row.most is not None]
    wrong = [row for row in judged if row.missed]
    if not wrong:
        return f"All {len(judged)} hold.\n"
    cells = [
        (r.question, r.objective, r.way, f"{r.number:.3g}", f"{r.most:g}", f"{r.over:.1%}")
        for r in wrong
    ]
    head = ("question", "objective", "of", "number", "at most", "missed by")
    return f"{len(wrong)} of {len(judged)} are missed.\n\n{_table(head, cells)}"


def _frames(found: Sequence[Row]) -> list[tuple[str, str, str]]:
    calls: dict[tuple[str, str], list[str]] = {}
    for row in found:
        if row.question == FRAMES:
            calls.setdefault((f"`{row.objective}`", row.way), []).append(f"{row.number:g}")
    return [(*call, " / ".join(numbers)) for call, numbers in calls.items()]


def _table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def run(
    *, seconds: float = 0.3, most: int = 200, imported: int = IMPORTS, folder: Path = rows.RESULTS
) -> list[Row]:
    """Measure all of it and write the files; the rows."""
    torch.set_num_threads(1)
    about = rows.about(1)
    common = Row(
        about.date, about.commit, about.source, about.device, about.threads, about.versions
    )
    found = [
        *stream_steps(common, seconds, most), *frames(common), *imports(common, imported),
    ]  # fmt: skip
    rows.write(found, rows.path_of(about, folder, "seam"))
    (folder / "seam.md").write_text(page(found))
    return found


def main() -> int:
    """0 if every bound holds, else 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="of each stream")
    parser.add_argument("--results", type=Path, default=rows.RESULTS, help="folder of the files")
    options = parser.parse_args()
    found = run(seconds=options.seconds, folder=options.results)
    print(verdict(found))
    return int(any(row.missed for row in found))


if __name__ == "__main__":
    sys.exit(main())
