"""Time every objective against its peers and against a copy of the record, on this machine's CPU.

    python benchmarks/speed.py                        # about five minutes
    python benchmarks/speed.py --sizes 25,128,10 --seconds 0.1

One process times one computation after the other in turns: ours, the peer's, a copy of the record
into fresh memory, again and again, so that whatever else runs on the machine meets all of them.
Only the ratios within a turn mean much; they are what `report.py` shows and judges. What is timed
is what a user calls, with its input checks, in float32. Before the clock starts, ours and the
peer's must give the same value and the same gradient.

Rows go to results/speed-<device>.csv: one per objective, implementation, size, pass and statistic.
"""

import argparse
import csv
import gc
import os
import platform
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

# Read when torch loads: two threads that wait busily for each other stall when a third one runs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch

import spikeloss
from spikeloss import presets

RESULTS = Path(__file__).parent / "results"
FORWARD, BOTH, COPY = "forward", "forward+backward", "copy"
MINIMUM, MEDIAN = "minimum", "median"
BRAINPY, CLONE, OPTAX, OURS, SNNTORCH, TORCH = (
    "brainpy", "clone", "optax", "spikeloss", "snntorch", "torch",
)  # fmt: skip
OF_A_RECORD = tuple(
    name for name, preset in presets.catalogue().items() if "snntorch" in preset.source
)


class Size(NamedTuple):
    """Steps, samples and output neurons of a record."""

    steps: int
    batch: int
    neurons: int


SIZES = (Size(25, 128, 10), Size(100, 128, 20), Size(250, 256, 35), Size(1000, 256, 35))


@dataclass(frozen=True)
class Row:
    """One measured number. Times are in milliseconds; an empty ratio has nothing to refer to."""

    date: str
    device: str
    threads: int
    versions: str
    checks: str
    library: str
    objective: str
    implementation: str
    steps: int
    batch: int
    neurons: int
    dtype: str
    work: str
    statistic: str
    repeats: int
    milliseconds: float
    clones: float
    """In units of the copy of the record that was timed in the same turns."""
    peer: str
    times_faster: float | str
    """The peer's time divided by ours."""


class Candidate(NamedTuple):
    """A computation to time: what it is of, and a call that does it once."""

    implementation: str
    work: str
    run: Callable[[], Any]


def example(size: Size, reads: str) -> tuple[np.ndarray, np.ndarray]:
    """A record, spikes with probability 0.2 or normal membranes, and labels."""
    rng = np.random.default_rng(0)
    record = rng.normal(size=size) if reads == "membrane" else rng.random(size) < 0.2
    labels = rng.integers(0, size.neurons, size.batch)
    if reads == "logits":  # no time axis: as many samples as the record has steps
        record = rng.normal(size=(size.steps * size.batch, size.neurons))
        labels = rng.integers(0, size.neurons, size.steps * size.batch)
    return record.astype(np.float32), labels


# ---- what is timed


def torch_candidates(
    objective: str, size: Size, also: Mapping[str, Callable[..., torch.Tensor]] | None = None
) -> list[Candidate]:
    """Ours, the peer's and other calls in PyTorch, all on the same record and labels."""
    import snntorch.functional as snn

    preset = presets.catalogue()[objective]
    record, labels = map(torch.tensor, example(size, _reads(objective)))
    calls: dict[str, Callable[..., torch.Tensor]] = {OURS: preset.build()}
    if objective == "cross_entropy":
        calls[TORCH] = torch.nn.functional.cross_entropy
    else:
        options = _peer_options(objective, size)
        calls[SNNTORCH] = getattr(snn, f"{objective}_loss")(**options)
    calls |= also or {}
    leaf = record.clone().requires_grad_()

    def both(call: Callable[..., torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        # Not `.backward()`, which would copy the gradient into a leaf: in a network a record is
        # not a leaf.
        loss = call(leaf, labels)
        return loss, *torch.autograd.grad(loss, leaf)

    found = [Candidate(CLONE, COPY, record.clone)]
    for name, call in calls.items():
        found.append(Candidate(name, FORWARD, lambda call=call: call(record, labels)))
        found.append(Candidate(name, BOTH, lambda call=call: both(call)))
    return found


def jax_candidates(objective: str, size: Size) -> list[Candidate]:
    """Ours under `jit`, and for the cross-entropy those of BrainPy and optax, also under `jit`."""
    import jax

    preset = presets.catalogue()[objective]
    record, labels = map(jax.numpy.asarray, example(size, _reads(objective)))
    calls: dict[str, Callable[..., Any]] = {OURS: preset.build()}
    if objective == "cross_entropy":
        import brainpy.losses
        import optax

        by_row = optax.softmax_cross_entropy_with_integer_labels
        calls[BRAINPY] = brainpy.losses.cross_entropy_loss
        calls[OPTAX] = lambda logits, labels: by_row(logits, labels).mean()
    found = [Candidate(CLONE, COPY, lambda: record.copy().block_until_ready())]
    for name, call in calls.items():
        value, both = jax.jit(call), jax.jit(jax.value_and_grad(call))
        found.append(
            Candidate(name, FORWARD, lambda run=value: jax.block_until_ready(run(record, labels)))
        )
        found.append(
            Candidate(name, BOTH, lambda run=both: jax.block_until_ready(run(record, labels)))
        )
    return found


def _peer_options(objective: str, size: Size) -> dict[str, int]:
    # The default of the peer's other classes, -1, arrives as 0; name the last step to compare like
    # with like.
    return {"on_target": 0, "off_target": size.steps - 1} if objective == "mse_temporal" else {}


def _reads(objective: str) -> str:
    return "logits" if objective == "cross_entropy" else presets.catalogue()[objective].reads


LIBRARIES = {"torch": torch_candidates, "jax": jax_candidates}
PEERS = {"torch": (SNNTORCH, TORCH), "jax": (BRAINPY,)}


# ---- timing


def measure(
    candidates: Sequence[Candidate],
    seconds: float,
    most: int = 200,
    *,
    paired: bool = False,
    clock: Callable[[], float] = perf_counter,
) -> dict[Candidate, list[float]]:
    """Milliseconds of one call, `most` times or as often as fit into so many seconds each.

    At least three times where `most` allows it, once where a call takes seconds. A slow candidate
    sits out most of the turns of the fast ones; `paired`, all are timed in every turn. Calls
    shorter than 2 ms are timed several in a row, after one that is not timed, so that they do not
    meet the caches as the computation before left them.
    """
    inner, repeats = {}, {}
    for candidate in candidates:
        estimate = _estimate(candidate.run, clock)
        inner[candidate] = max(1, round(2e-3 / estimate)) if most > 1 else 1
        fitting = int(seconds / (inner[candidate] * estimate))
        repeats[candidate] = min(most, max(3 if estimate < 2.0 else 1, fitting))
    if paired:
        repeats = dict.fromkeys(repeats, min(repeats.values()))
    times: dict[Candidate, list[float]] = {candidate: [] for candidate in candidates}
    turns = max(repeats.values())
    gc.collect()
    gc.disable()
    try:
        for turn in range(turns):
            for candidate in candidates:
                if len(times[candidate]) * turns <= turn * repeats[candidate]:
                    if inner[candidate] > 1:
                        candidate.run()
                    spent = _time(candidate.run, inner[candidate], clock)
                    times[candidate].append(1e3 * spent)
    finally:
        gc.enable()
    return times


def _estimate(run: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Seconds of one call, after a warm-up."""
    first = _time(run, 1, clock)
    return first if first > 0.5 else min(_time(run, 1, clock) for _ in range(3))


def _time(run: Callable[[], Any], count: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(count):
        run()
    return (clock() - start) / count


def agree(candidates: Iterable[Candidate]) -> None:
    """Refuse to compare computations that do not give the same value and gradient."""
    results = [
        (candidate.implementation, [np.asarray(_plain(part)) for part in candidate.run()])
        for candidate in candidates
        if candidate.work == BOTH
    ]
    (_, expected), *others = results
    for name, found in others:
        for ours, theirs in zip(expected, found, strict=True):
            np.testing.assert_allclose(
                ours.squeeze(), theirs.squeeze(), rtol=1e-4, atol=1e-7, err_msg=name
            )


def _plain(part: Any) -> Any:
    return part.detach() if isinstance(part, torch.Tensor) else part


# ---- rows


def rows(
    objective: str, size: Size, library: str, *, common: Row, seconds: float, most: int = 200
) -> Iterator[Row]:
    """All that is to be known of one objective at one size in one library."""
    candidates = LIBRARIES[library](objective, size)
    agree(candidates)
    times = measure(candidates, seconds, most)
    for statistic, pick in ((MINIMUM, min), (MEDIAN, statistics.median)):
        found = {(which.implementation, which.work): pick(times[which]) for which in candidates}
        for candidate in candidates:
            spent = found[candidate.implementation, candidate.work]
            peer = _peer(library, candidate, found)
            yield replace(
                common,
                library=library,
                objective=objective,
                implementation=candidate.implementation,
                **size._asdict(),
                work=candidate.work,
                statistic=statistic,
                repeats=len(times[candidate]),
                milliseconds=float(f"{spent:.4g}"),
                clones=float(f"{spent / found[CLONE, COPY]:.4g}"),
                peer=peer,
                times_faster=float(f"{found[peer, candidate.work] / spent:.4g}") if peer else "",
            )


def _peer(library: str, candidate: Candidate, found: dict[tuple[str, str], float]) -> str:
    if candidate.implementation != OURS:
        return ""
    return next((name for name in PEERS[library] if (name, candidate.work) in found), "")


def here(threads: int) -> Row:
    """What all rows of this process have in common; the rest is empty."""
    names = ("spikeloss", "torch", "snntorch", "jax", "brainpy", "optax", "numpy")
    versions = [f"python {platform.python_version()}"]
    versions += [f"{name} {_version(name)}" for name in names]
    return Row(
        date=date.today().isoformat(),
        device=device(),
        threads=threads,
        versions=", ".join(versions),
        checks=os.environ.get("SPIKELOSS_CHECKS", "auto"),
        library="",
        objective="",
        implementation="",
        steps=0,
        batch=0,
        neurons=0,
        dtype="float32",
        work="",
        statistic="",
        repeats=0,
        milliseconds=0.0,
        clones=0.0,
        peer="",
        times_faster="",
    )


def _version(name: str) -> str:
    return spikeloss.__version__ if name == "spikeloss" else version(name)


def device() -> str:
    """The processor and the number of its cores that this process may use."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    name = found.get("model name", platform.processor() or platform.machine())
    if "model" in found:
        name += f", family {found['cpu family']} model {found['model']}"
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {usable} cores"


def path_of(common: Row, folder: Path, script: str = "speed") -> Path:
    """The script's file of this device and this many threads; never another device's."""
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", common.device.lower())).strip("-")
    path = folder / f"{script}-{slug}-{common.threads}-thread{'s' * (common.threads > 1)}.csv"
    if path.exists():
        with path.open(newline="") as file:
            others = {row["device"] for row in csv.DictReader(file)} - {common.device}
        if others:
            raise SystemExit(f"{path} holds the results of another device: {others}. Move it.")
    return path


def write(found: Sequence[Any], path: Path) -> None:
    """The rows, of one dataclass, with its fields as columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(
            file, [field.name for field in fields(found[0])], lineterminator="\n"
        )
        table.writeheader()
        table.writerows(asdict(row) for row in found)


def run(
    sizes: Sequence[Size] = SIZES,
    *,
    objectives: Sequence[str] = (*OF_A_RECORD, "cross_entropy"),
    libraries: Sequence[str] = tuple(LIBRARIES),
    threads: int = 1,
    seconds: float = 0.1,
    most: int = 200,
    folder: Path = RESULTS,
) -> Path:
    """Measure all of it and write the file; the file's path.

    Until all is measured the rows stand in a file beside it, so that a run that is interrupted
    leaves what it has measured, and the earlier results too.
    """
    common, found = here(threads), []
    path = path_of(common, folder)
    unfinished = path.with_suffix(".unfinished")
    for size in sizes:
        for objective in objectives:
            for library in libraries:
                fresh = list(
                    rows(objective, size, library, common=common, seconds=seconds, most=most)
                )
                found += fresh
                write(found, unfinished)
                print(f"{tuple(size)!s:16} {objective:16} {library:6}", _summary(fresh), flush=True)
    return unfinished.replace(path)


def _summary(found: Iterable[Row]) -> str:
    shown = (row for row in found if row.statistic == MINIMUM and row.implementation == OURS)
    return "   ".join(
        f"{row.work} {row.milliseconds:8.3f} ms = {row.clones:6.2f} clones"
        + (f", {row.times_faster:6.2f} times {row.peer}" if row.peer else "")
        for row in shown
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=size_of, default=SIZES, metavar="T,B,N")
    parser.add_argument("--objectives", nargs="+", default=(*OF_A_RECORD, "cross_entropy"))
    parser.add_argument("--libraries", nargs="+", default=tuple(LIBRARIES), choices=LIBRARIES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each computation")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.threads == 1:  # read when JAX starts its CPU client, at the first array
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    path = run(
        options.sizes,
        objectives=options.objectives,
        libraries=options.libraries,
        threads=options.threads,
        seconds=options.seconds,
        folder=options.results,
    )
    print(path)


def size_of(text: str) -> Size:
    return Size(*(int(part) for part in text.split(",")))


if __name__ == "__main__":
    main()
