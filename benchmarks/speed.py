"""Time every objective by every provider, in every library, beside copies of the record.

    python benchmarks/speed.py --threads 2           # about ten minutes
    python benchmarks/speed.py --sizes 25,128,10 --libraries torch

A cell is an objective at a size in a library. All its providers take turns in one process, after
their values and gradients were compared; `timing` says how. What is timed is what a user calls,
with its input checks, in float32. In JAX everything is compiled by `jax.jit`, but the provider
"composed", which runs operation by operation. Rows go to results/speed-<device>-<threads>.csv; a
run of some cells leaves the others as they are.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import goals
import numpy as np
import objectives
import peers
import rows
import timing
import torch
from goals import OURS, UNIFORM
from objectives import GROWING, MIDDLE, OBJECTIVES, SIZES, SMALL, Data, Size
from rows import About, Row
from timing import GRADIENT, VALUE, YARDSTICK, Candidate

COMPOSED, COMPILED = "composed", "compiled"
COMPILED_AT = (SMALL, MIDDLE)
"""Where PyTorch's compiler is asked too; it takes seconds for each."""
STEPWISE_AT = (SMALL,)
"""Where JAX is measured operation by operation too."""
FRESH, WARM, READ, FLOOR = "copy_fresh", "copy_warm", "read", "floor"
ROUNDS = 2
"""At most, as long as a goal is nearly met or nearly missed."""
SLACK = 1.0
"""Minutes that a run may be behind its time."""


# ---- what is timed


def yardsticks(found: Data, size: Size) -> list[Candidate]:
    """A copy into fresh memory and into warm memory, a sum, and one cross-entropy of a decision."""
    record = torch.tensor(found.record)
    warm = torch.empty_like(record)
    logits = torch.randn(size.batch, size.classes, requires_grad=True)
    labels = torch.randint(size.classes, (size.batch,))
    calls: dict[str, Callable[[], Any]] = {
        FRESH: record.clone,
        WARM: partial(warm.copy_, record),
        READ: partial(record.sum, 0),
        FLOOR: lambda: torch.autograd.grad(
            torch.nn.functional.cross_entropy(logits, labels), logits
        ),
    }
    return [Candidate(name, YARDSTICK, call) for name, call in calls.items()]


def in_torch(name: str, size: Size, found: Data) -> Iterator[Candidate]:
    """Ours, composed and by kernels, with and without lengths; compiled; and the peers'."""
    record, target = torch.tensor(found.record), torch.tensor(found.target)
    leaf = record.clone().requires_grad_()

    def both(call: peers.Call) -> tuple[torch.Tensor, ...]:
        # Not `.backward()`, which would copy the gradient into a leaf: in a network a record is
        # not a leaf.
        loss = call(leaf, target)
        return loss, *torch.autograd.grad(loss, leaf)

    def pair(provider: str, call: peers.Call, **known: Any) -> Iterator[Candidate]:
        yield Candidate(provider, VALUE, lambda: call(record, target), **known)
        yield Candidate(provider, GRADIENT, lambda: both(call), **known)

    given = None if found.lengths is None else torch.tensor(found.lengths)
    for provider, kernels in ((COMPOSED, "off"), (OURS, "auto")):
        yield from pair(provider, objectives.ours(name, size), kernels=kernels)
        if given is not None:
            call = objectives.ours(name, size, given)
            yield from pair(provider, call, kernels=kernels, lengths=UNIFORM)
    if size in COMPILED_AT:
        torch._dynamo.reset()  # or it gives up after a few shapes
        yield from pair(COMPILED, torch.compile(objectives.ours(name, size), dynamic=False))
    for provider, make in peers.TORCH.items():
        if size not in GROWING and (theirs := make(name, size)):
            loops = provider == peers.SNNTORCH and name in peers.LOOPED
            yield from pair(provider, theirs, loops=loops)


def in_jax(name: str, size: Size, found: Data) -> Iterator[Candidate]:
    """The same under `jit`; and composed without."""
    jax, array = _jax(), ARRAYS["jax"]
    record, target = map(array, found[:2])

    def pair(provider: str, call: peers.Call, jit: Any = jax.jit, **known: Any) -> Any:
        for mode, run in ((VALUE, jit(call)), (GRADIENT, jit(jax.value_and_grad(call)))):
            ready = partial(_ready, run, record, target)
            yield Candidate(provider, mode, ready, **known)

    given = None if found.lengths is None else array(found.lengths)
    for provider, kernels in ((COMPILED, "off"), (OURS, "auto")):
        yield from pair(provider, objectives.ours(name, size), kernels=kernels)
        if given is not None:
            call = objectives.ours(name, size, given)
            yield from pair(provider, call, kernels=kernels, lengths=UNIFORM)
    if size in STEPWISE_AT:
        yield from pair(COMPOSED, objectives.ours(name, size), jit=lambda call: call)
    for provider, make in peers.JAX.items():
        if theirs := make(name, size):
            yield from pair(provider, theirs)


def _ready(run: Callable[..., Any], *arguments: Any) -> Any:
    return _jax().block_until_ready(run(*arguments))


def _jax() -> Any:
    """Imported when it is asked for, after `limit` has said how many threads it has."""
    import jax

    return jax


def in_numpy(name: str, size: Size, found: Data) -> Iterator[Candidate]:
    """Values, composed and by kernels, with and without lengths."""
    for provider, kernels in ((COMPOSED, "off"), (OURS, "auto")):
        for word, given in (("", None), (UNIFORM, found.lengths)):
            if not word or given is not None:
                run = partial(objectives.ours(name, size, given), *found[:2])
                yield Candidate(provider, VALUE, run, kernels=kernels, lengths=word)


LIBRARIES = {"torch": in_torch, "jax": in_jax, "numpy": in_numpy}


# ---- cells


def cell(
    about: About,
    library: str,
    name: str,
    size: Size,
    seconds: float,
    most: int = 200,
    late: bool = False,
) -> list[Row]:
    """The rows of an objective at a size: measured again while a goal is in doubt."""
    found = objectives.data(name, size)
    candidates = [*yardsticks(found, size), *LIBRARIES[library](name, size, found)]
    first = timing.begin(candidates)
    timing.agree(first)
    probe = candidates[1].run
    known = {"library": library, "objective": name, "used": used(library, name, size, found)}
    times: dict[Candidate, list[float]] = {candidate: [] for candidate in candidates}
    measured: list[Row] = []
    for turn in range(ROUNDS):
        again = [one for one in candidates if turn == 0 or not timing.once(one, first)]
        fresh = timing.measure(again[:: -1 if turn % 2 else 1], first, probe, seconds, most)
        times = timing.together(times, fresh)
        measured = list(_rows(about, times, size, known))
        if late or most == 1 or not any(verdict.in_doubt for verdict in goals.judge(measured)):
            break
    return measured


def _rows(
    about: About, times: dict[Candidate, list[float]], size: Size, known: dict[str, str]
) -> Iterator[Row]:
    found = {each: timing.pick(spent) for each, spent in times.items()}
    marks = {each.provider: x["minimum"] for each, x in found.items() if each.mode == YARDSTICK}
    for each, numbers in found.items():
        if each.mode != YARDSTICK:
            yield Row(
                **asdict(about), library=known["library"], objective=known["objective"],
                provider=each.provider, kernel=known["used"] if each.provider == OURS else "",
                T=size.steps, B=size.batch, N=size.neurons, C=size.classes, lengths=each.lengths,
                mode=each.mode, **numbers, repeats=len(times[each]), **marks,
            )  # fmt: skip


ARRAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "torch": torch.tensor, "jax": lambda x: _jax().numpy.asarray(x), "numpy": np.asarray,
}  # fmt: skip


def used(library: str, name: str, size: Size, found: Data) -> str:
    """Which kernels stand for the stages of a loss, or why the composed form runs."""
    try:
        from spikeloss import _kernels
    except ImportError:
        return "no kernels here"
    core = _kernels.available()
    if core is not True:
        return str(core)
    loss, arrays = OBJECTIVES[name].of(size), map(ARRAYS[library], found[:2])
    with timing.kernels("auto"):
        _, *stages = loss.explain(*arrays).splitlines()
    return "; ".join(stage.rpartition(": ")[2] for stage in stages)


def cells(
    names: Sequence[str], sizes: Sequence[Size], libraries: Sequence[str]
) -> Iterator[tuple[str, str, Size]]:
    """What there is to measure; how the cost grows is asked of PyTorch and named goals alone."""
    for size in sizes:
        for name in names:
            for library in libraries:
                if size in GROWING and (library != "torch" or name not in goals.NAMED):
                    continue
                if OBJECTIVES[name].has(size):
                    yield library, name, size


# ---- all of it


def run(
    sizes: Sequence[Size] = (*GROWING, *SIZES),
    *,
    names: Sequence[str] = tuple(OBJECTIVES),
    libraries: Sequence[str] = tuple(LIBRARIES),
    threads: int = 1,
    seconds: float = 0.04,
    minutes: float = 11.0,
    most: int = 200,
    folder: Path = rows.RESULTS,
) -> Path:
    """Measure all of it, cell by cell, into the file of this device; the file's path.

    A cell that was measured before is replaced, what is not measured now stays. Who is behind the
    time measures shorter, and once.
    """
    about, wanted = rows.about(threads), list(cells(names, sizes, libraries))
    path, began = rows.path_of(about, folder), perf_counter()
    for number, (library, name, size) in enumerate(wanted):
        start = perf_counter()
        late = start - began > 60 * (minutes * number / len(wanted) + SLACK)
        fresh = cell(about, library, name, size, seconds / 4 if late else seconds, most, late)
        rows.renew(path, fresh)
        took = f"{perf_counter() - start:5.1f} s{' late' * late}"
        print(f"{tuple(size)!s:20} {name:16} {library:6}", took, _summary(fresh), flush=True)
    return path


def _summary(found: Sequence[Row]) -> str:
    shown = [row for row in found if row.mode == (VALUE if row.library == "numpy" else GRADIENT)]
    return "  ".join(
        f"{row.provider}{' lengths' * bool(row.lengths)} {row.minimum:.3g}"
        + "!" * (row.repeats == 1)
        for row in shown
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = (*GROWING, *SIZES)
    parser.add_argument("--sizes", nargs="+", type=size_of, default=everything, metavar="T,B,N[,C]")
    parser.add_argument("--objectives", nargs="+", default=tuple(OBJECTIVES), choices=OBJECTIVES)
    parser.add_argument("--libraries", nargs="+", default=tuple(LIBRARIES), choices=LIBRARIES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.04, help="of each computation")
    parser.add_argument("--minutes", type=float, default=11.0, help="that it may take, or about")
    parser.add_argument("--results", type=Path, default=rows.RESULTS, help="folder of the file")
    options = parser.parse_args()
    limit(options.threads)
    path = run(
        options.sizes,
        names=options.objectives,
        libraries=options.libraries,
        threads=options.threads,
        seconds=options.seconds,
        minutes=options.minutes,
        folder=options.results,
    )
    print(path)


def limit(threads: int) -> None:
    """So many threads, in every library; JAX reads it when it starts, at the first array."""
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if threads == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()


def size_of(text: str) -> Size:
    steps, batch, neurons, *classes = (int(part) for part in text.split(","))
    return Size(steps, batch, neurons, *classes or (neurons,))


if __name__ == "__main__":
    main()
