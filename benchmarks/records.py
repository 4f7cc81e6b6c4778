"""Measure what streams, events and packed spikes cost, in time and in memory, on this CPU.

    python benchmarks/records.py              # about three minutes

Everything runs in PyTorch, float32, one thread. Memory is the peak of a process of its own beyond
what it has before the record comes. Times of forms are minima over interleaved repeats. Rows go to
results/records-<device>.csv, and tables of them to results/records.md.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import rows as files
import timing
import torch

from spikeloss import presets
from spikeloss.records import Events, Packed

SAMPLES, NEURONS = 8, 10
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
WAYS = {"batch": 0, "stream, steps": 1, "stream, chunks of 100": 100}
LOSSES = ("ce_rate", "mse_temporal")
RECORD = (1_000, 32, 1_000)
DENSITIES = (1e-4, 1e-3, 1e-2, 1e-1)

Row = dict[str, Any]


# ---- streams


def over_time(lengths: tuple[int, ...]) -> Iterator[Row]:
    """Time and memory of a loss against the number of steps, each in a process of its own."""
    for objective in LOSSES:
        for way, chunk in WAYS.items():
            for steps in lengths:
                if chunk == 1 and steps > 10_000:
                    continue  # as slow per step as for fewer, in the same memory
                words = [sys.executable, __file__, "--alone", objective, str(chunk), str(steps)]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout)
                yield {"what": objective, "form": way, "steps": steps, **found}


def alone(objective: str, chunk: int, steps: int) -> Row:
    """What one process measures: microseconds per step and megabytes."""
    torch.set_num_threads(1)
    loss, labels = getattr(presets, objective)(), torch.arange(SAMPLES)
    generator = torch.Generator().manual_seed(0)

    def made(count: int) -> torch.Tensor:
        return torch.rand(count, SAMPLES, NEURONS, generator=generator).lt(0.1).float()

    def judge(total: int) -> float:
        spent, stream = 0.0, loss.stream(labels)
        for size in [total] if not chunk else [chunk] * (total // chunk):
            record = made(size)
            start = perf_counter()
            if chunk:
                stream.steps(record)
            else:
                loss(record, labels)
            spent += perf_counter() - start
        return spent

    judge(chunk or 10)
    before = _peak()
    seconds = judge(steps)
    return {
        "microseconds_per_step": round(1e6 * seconds / steps, 3),
        "megabytes": round(_peak() - before, 1),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ---- events and packed spikes


def by_density(seconds: float) -> Iterator[Row]:
    """A record as a dense array, as events and packed, against the share of entries that spike."""
    labels = torch.arange(RECORD[1])
    for density in DENSITIES:
        rng = np.random.default_rng(0)
        spikes = torch.tensor(rng.random(RECORD, dtype=np.float32) < density)
        events = Events.from_sparse(spikes.to_sparse())
        bare = Events(events.time, events.sample, events.neuron, shape=events.shape)
        packed, floats = Packed.pack(spikes), spikes.float()
        forms: dict[str, tuple[Any, int]] = {
            "dense float32": (floats, floats.nbytes),
            "dense bool": (spikes, spikes.nbytes),
            "packed": (packed, packed.bits.nbytes),
            "events": (bare, sum(x.nbytes for x in (bare.time, bare.sample, bare.neuron))),
        }
        for objective in ("ce_count", "ce_temporal"):
            loss = getattr(presets, objective)()
            value = loss(floats, labels)
            calls = {}
            for form, (record, _) in forms.items():
                torch.testing.assert_close(loss(record, labels), value)
                calls[form] = partial(loss, record, labels)
            for form, spent in timing.minima(calls, seconds).items():
                yield {
                    "what": objective,
                    "form": form,
                    "density": density,
                    "milliseconds": round(spent, 3),
                    "megabytes": round(forms[form][1] / 2**20, 2),
                }


# ---- results


COLUMNS = (
    "date", "device", "versions", "what", "form", "steps", "density",
    "microseconds_per_step", "milliseconds", "megabytes",
)  # fmt: skip


def page(rows: list[Row]) -> str:
    """Tables of the rows."""
    first = rows[0]
    streams = [row for row in rows if "steps" in row]
    forms = [row for row in rows if "density" in row]
    cells = [
        f"| `{r['what']}` | {r['form']} | {r['steps']:,} | {r['microseconds_per_step']:.3g} "
        f"| {r['megabytes']:.1f} |"
        for r in streams
    ]
    others = [
        f"| `{r['what']}` | {r['form']} | {r['density']:g} | {r['milliseconds']:.3g} "
        f"| {r['megabytes']:.2f} |"
        for r in forms
    ]
    return "\n".join(
        [
            "# Streams, events and packed spikes",
            "",
            "Written by `benchmarks/records.py`; do not edit by hand. All forms of a record gave",
            "the same value before the clock started. PyTorch, float32, one thread, no gradients.",
            "",
            f"{first['device']}; {first['versions']}; measured on {first['date']}.",
            "",
            f"## Against the number of steps ({SAMPLES} samples, {NEURONS} neurons)",
            "",
            "Memory is what the peak of the process grows by, the record or the chunk included.",
            "",
            "| objective | way | steps | microseconds per step | MB |",
            "| --- | --- | ---: | ---: | ---: |",
            *cells,
            "",
            f"## Forms of a record {RECORD}, by the share of entries that spike",
            "",
            "| objective | form | density | milliseconds | MB of the record |",
            "| --- | --- | ---: | ---: | ---: |",
            *others,
            "",
        ]
    )


def run(
    folder: Path = files.RESULTS,
    lengths: tuple[int, ...] = LENGTHS,
    seconds: float = 0.5,
) -> Path:
    """Measure all of it; the file of rows."""
    torch.set_num_threads(1)
    common = files.about(1)
    about = {"date": common.date, "device": common.device, "versions": common.versions}
    rows = []
    for row in (*over_time(lengths), *by_density(seconds)):
        print(row, flush=True)
        rows.append(about | row)
    path = files.path_of(common, folder, "records")
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    (folder / "records.md").write_text(page(rows))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=files.RESULTS, help="folder of the file")
    options = parser.parse_args()
    if options.alone:
        objective, chunk, steps = options.alone
        print(json.dumps(alone(objective, int(chunk), int(steps))))
    else:
        print(run(options.results))


if __name__ == "__main__":
    main()
