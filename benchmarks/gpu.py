"""Time the objectives that snnTorch and BrainPy have on an accelerator, against them and by hand.

    make bench-gpu                                    # about four minutes
    python benchmarks/gpu.py --sizes 25,128,10 --seconds 0.05 --device cpu     # a trial

Needs torch, numpy and array-api-compat, and spikeloss on the path; snnTorch where it is installed,
else what its source does, written out in `by_hand.py`. Ours, eager and through `torch.compile`, the
peer's, a formulation by hand and a copy of the record (`record.clone()`) take turns; CUDA's events
time them. Before the clock starts all must give the same value and gradient. Of one size the
profiler counts the kernels that a call launches, and PyTorch the synchronisations with the host.

Rows go to results/gpu-<device>.csv, one per objective, provider, size, pass and statistic. What
does not run, or differs, or finds no time left, has a row without numbers that says why.
"""

import argparse
import csv
import gc
import os
import platform
import re
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from by_hand import LOOPS, VECTORISED, Call

import spikeloss
from spikeloss import presets

RESULTS = Path(__file__).parent / "results"
FORWARD, BOTH, COPY = "forward", "forward+backward", "copy"
CLONE, COMPILED, LOOP, OURS, SNNTORCH, TORCH = (
    "clone", "spikeloss compiled", "snntorch by hand", "spikeloss", "snntorch", "torch",
)  # fmt: skip
OBJECTIVES = tuple(VECTORISED)


class Size(NamedTuple):
    """Steps, samples and output neurons of a record."""

    steps: int
    batch: int
    neurons: int


SIZES = tuple(
    Size(*size)
    for size in ((100, 128, 20), (1000, 256, 35), (25, 128, 10), (250, 256, 35), (1000, 1024, 100))
)
COUNTED = SIZES[0]  # first, as there may be no time for the last


@dataclass(frozen=True)
class Row:
    """One measured number, or why there is none. Times are in milliseconds."""

    date: str
    device: str
    versions: str
    commit: str
    objective: str = ""
    provider: str = ""
    steps: int = 0
    batch: int = 0
    neurons: int = 0
    dtype: str = "float32"
    work: str = ""
    statistic: str = ""
    repeats: int | str = ""
    milliseconds: float | str = ""
    clones: float | str = ""
    """In units of the copy of the record that was timed in the same turns."""
    extra_records: float | str = ""
    """The most memory beyond the record and its gradient, in units of the record."""
    kernels: int | str = ""
    """Launched by one call, copies and fills included."""
    synchronisations: int | str = ""
    note: str = ""


class Candidate(NamedTuple):
    """A computation to time: what it is of, and a call that does it once."""

    provider: str
    work: str
    run: Callable[[], Any]


# ---- what is timed


def example(objective: str, size: Size, place: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """A record, spikes with probability 0.2 or normal numbers, and labels."""
    reads = presets.catalogue()[objective].reads
    seed = torch.Generator(place).manual_seed(0)
    steps, batch, neurons = size
    shape, samples = (steps, batch, neurons), batch
    if reads == "logits":  # no time axis: as many samples as the record has steps
        shape, samples = (steps * batch, neurons), steps * batch
    if reads == "spikes":
        record = (torch.rand(shape, generator=seed, device=place) < 0.2).float()
    else:
        record = torch.randn(shape, generator=seed, device=place)
    return record, torch.randint(0, neurons, (samples,), generator=seed, device=place)


def eager(objective: str, size: Size) -> dict[str, Call]:
    """Who computes it without a compiler."""
    calls: dict[str, Call] = {OURS: presets.catalogue()[objective].build()}
    calls[TORCH] = VECTORISED[objective]
    if objective not in LOOPS:
        return calls
    try:
        import snntorch.functional as snn
    except ImportError:
        return calls | {LOOP: LOOPS[objective]}
    # Its default for the other classes, -1, arrives as 0.
    options = {"on_target": 0, "off_target": size.steps - 1} if objective == "mse_temporal" else {}
    return calls | {SNNTORCH: getattr(snn, f"{objective}_loss")(**options)}


def compiled(objective: str, size: Size) -> dict[str, Call]:
    """Ours through `torch.compile`, and without, to be compared with in the same turns."""
    torch._dynamo.reset()
    loss: Any = presets.catalogue()[objective].build()
    return {OURS: loss, COMPILED: torch.compile(loss, fullgraph=True, dynamic=False)}


def both(
    call: Call, record: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and gradient; not by `.backward()`, which copies the gradient into a leaf."""
    loss = call(record, labels)
    return loss, *torch.autograd.grad(loss, record)


def agree(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> str:
    """In what the two differ; empty: in nothing."""
    for what, one, other in zip(("value", "gradient"), found, expected, strict=True):
        one, other = one.detach().squeeze(), other.detach().squeeze()
        scale = float(other.abs().max())
        if not torch.allclose(one, other, rtol=1e-4, atol=1e-5 * scale):
            gap = float((one - other).abs().max())
            return f"another {what}: by {gap:.3g}, of {scale:.3g}"
    return ""


# ---- timing


class Clock:
    """Milliseconds between two points of a device's work."""

    def __init__(self, place: torch.device) -> None:
        self.cuda = place.type == "cuda"

    def time(self, run: Callable[[], Any], count: int) -> float:
        """Milliseconds of one call, of so many."""
        if not self.cuda:
            start = perf_counter()
            for _ in range(count):
                run()
            return 1e3 * (perf_counter() - start) / count
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / count


def measure(
    candidates: Sequence[Candidate], seconds: float, clock: Clock, most: int = 100
) -> dict[Candidate, list[float]]:
    """Milliseconds of one call, `most` times or as often as fit into so many seconds each.

    At least three times, once where a call takes half a second; a slow candidate sits out turns.
    Short calls are timed several in a row, so that the work of the device hides the clock.
    """
    inner, repeats = {}, {}
    for each in candidates:
        estimate = clock.time(each.run, 1)
        if estimate < 500:
            estimate = min(clock.time(each.run, 1) for _ in range(3))
        inner[each] = max(1, round(2 / max(estimate, 1e-3)))
        least = 3 if estimate < 500 else 1
        repeats[each] = min(most, max(least, int(1e3 * seconds / (inner[each] * estimate))))
    times: dict[Candidate, list[float]] = {each: [] for each in candidates}
    turns = max(repeats.values())
    gc.collect()
    gc.disable()
    try:
        for turn in range(turns):
            for each in candidates:
                if len(times[each]) * turns <= turn * repeats[each]:
                    times[each].append(clock.time(each.run, inner[each]))
    finally:
        gc.enable()
    return times


def extra_records(run: Callable[[], Any], record: torch.Tensor, work: str) -> float | str:
    """The most memory that a call takes beyond its gradient, in units of the record."""
    if record.device.type != "cuda":
        return ""
    size = record.numel() * record.element_size()
    gc.collect()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    most = torch.cuda.max_memory_allocated() - before
    return round((most - (size if work == BOTH else 0)) / size, 4)


def launched(run: Callable[[], Any], place: torch.device) -> tuple[int | str, int | str]:
    """Kernels, copies and fills of one call on the device, and synchronisations of the host."""
    if place.type != "cuda":
        return "", ""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = sum("synchroniz" in str(each.message) for each in said)
    torch.cuda.synchronize()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as seen:
        run()
        torch.cuda.synchronize()
    on_device = torch.autograd.DeviceType.CUDA
    kernels = sum(event.device_type == on_device for event in seen.events())
    return kernels or "", waits


# ---- rows


def group(
    objective: str,
    size: Size,
    providers: Callable[[str, Size], dict[str, Call]],
    common: Row,
    *,
    place: torch.device,
    seconds: float,
    counted: bool,
) -> Iterator[Row]:
    """The rows of those that take turns."""
    record, labels = example(objective, size, place)
    leaf = record.clone().requires_grad_()
    common = replace(
        common, objective=objective, steps=size.steps, batch=size.batch, neurons=size.neurons
    )
    candidates, expected = [Candidate(CLONE, COPY, record.clone)], None
    for name, call in providers(objective, size).items():
        here = [
            Candidate(name, FORWARD, lambda call=call: call(record, labels)),
            Candidate(name, BOTH, lambda call=call: both(call, leaf, labels)),
        ]
        try:
            here[0].run()
            found = here[1].run()
            wrong = "" if expected is None else agree(found, expected)
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if wrong:
            yield replace(common, provider=name, note=wrong[:200])
            continue
        expected = found if expected is None else expected
        candidates += here
    found = expected = None
    clock = Clock(place)
    times = measure(candidates, seconds, clock)
    copy = times[candidates[0]]
    for each, spent in times.items():
        kernels, waits = launched(each.run, place) if counted else ("", "")
        memory = extra_records(each.run, record, each.work)
        for statistic, of in (("minimum", min), ("median", statistics.median)):
            yield replace(
                common,
                provider=each.provider,
                work=each.work,
                statistic=statistic,
                repeats=len(spent),
                milliseconds=float(f"{of(spent):.4g}"),
                clones=float(f"{of(spent) / of(copy):.4g}"),
                extra_records=memory,
                kernels=kernels,
                synchronisations=waits,
            )


def run(
    sizes: Sequence[Size],
    objectives: Sequence[str],
    path: Path,
    common: Row,
    *,
    place: torch.device,
    seconds: float,
    limit: float,
    compiles: bool = True,
) -> list[Row]:
    """Measure all of it and write the file, after each group anew; the rows."""
    start, found = perf_counter(), []
    ways = [eager, compiled] if compiles else [eager]
    for providers in ways:
        for size in sizes:
            for objective in objectives:
                if perf_counter() - start > limit:
                    what = {"steps": size.steps, "batch": size.batch, "neurons": size.neurons}
                    name = OURS if providers is eager else COMPILED
                    row = replace(common, objective=objective, provider=name, **what)
                    fresh = [replace(row, note="no time was left")]
                else:
                    fresh = list(
                        group(
                            objective,
                            size,
                            providers,
                            common,
                            place=place,
                            seconds=seconds,
                            counted=size == COUNTED or size == sizes[0],
                        )
                    )
                found += fresh
                write(found, path)
                print(f"{tuple(size)!s:18} {objective:16} {_summary(fresh)}", flush=True)
    return found


def _summary(rows: Sequence[Row]) -> str:
    """The minima of value and gradient, and what is missing."""
    shown = [f"{row.provider}: {row.note}" for row in rows if row.note]
    for row in rows:
        if row.statistic == "minimum" and row.work in (BOTH, COPY):
            counts = f", {row.kernels} kernels" if row.kernels else ""
            counts += f", {row.synchronisations} waits" if row.synchronisations else ""
            memory = "" if row.extra_records == "" else f", +{row.extra_records}"
            shown.append(f"{row.provider} {row.milliseconds} ms = {row.clones}{memory}{counts}")
    return " | ".join(shown)


def write(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        names = [field.name for field in fields(Row)]
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def here(place: torch.device, commit: str | None) -> Row:
    """What all rows of this process have in common."""
    device = platform.machine() if place.type == "cpu" else torch.cuda.get_device_name(place)
    versions = [f"python {platform.python_version()}", f"spikeloss {spikeloss.__version__}"]
    versions += [f"torch {torch.__version__}", f"cuda {torch.version.cuda}"]
    for name in ("triton", "snntorch"):
        versions.append(f"{name} {_version(name)}")
    versions.append(f"numpy {np.__version__}")
    return Row(date.today().isoformat(), device, ", ".join(versions), commit or _commit())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _commit() -> str:
    """The commit of this code, with a + where files differ from it; empty where git is not."""
    told = os.environ.get("SPIKELOSS_COMMIT", "")
    try:
        git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
        return told or subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except OSError:
        return told


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", type=size_of, default=SIZES, metavar="T,B,N")
    parser.add_argument("--objectives", nargs="+", default=OBJECTIVES, choices=OBJECTIVES)
    parser.add_argument("--seconds", type=float, default=0.04, help="of each computation")
    parser.add_argument("--limit", type=float, default=210, help="seconds for all of it")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the file")
    parser.add_argument("--commit", help="of this code, where git is not at hand")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("No CUDA device here: nothing was measured.")
        return 0
    place = torch.device(options.device)
    common = here(place, options.commit)
    slug = re.sub(r"[^a-z0-9]+", "-", common.device.lower()).strip("-")
    path = options.results / f"gpu-{slug}.csv"
    run(
        options.sizes,
        options.objectives,
        path,
        common,
        place=place,
        seconds=options.seconds,
        limit=options.limit,
        compiles=not options.eager,
    )
    print(path)
    return 0


def size_of(text: str) -> Size:
    return Size(*(int(part) for part in text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
