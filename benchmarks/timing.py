"""Time computations in turns, in one process: only ratios of such times mean much.

A turn times one computation after the other, so that whatever else runs on the machine meets all of
them. Every turn begins and ends with a fixed piece of work, the probe: where that took much longer
than it can, the machine was disturbed, and the turn is done again.
"""

import gc
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

# Read when torch loads: two threads that wait busily for each other stall when a third one runs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np

KERNELS = "SPIKELOSS_KERNELS"
VALUE, GRADIENT, YARDSTICK = "value", "value and gradient", "yardstick"
DISTURBED = 1.5
"""A turn is done again where the probe took so many times its shortest time."""
AGAIN = 0.5
"""At most this share of the turns."""
ONCE = 0.5
"""Seconds from which on a computation that loops over steps is timed once."""
ESTIMATE = 1e-2
"""Seconds: for about as long a call is tried before it is timed."""
FEWEST, SLOW = 3, 5e-2
"""So often at least, and twice as often what takes fewer seconds than that."""
PATIENCE = 5.0
"""So many times as long as it should take a measurement may take on a busy machine."""
SHORT = 1e-3
"""Seconds: shorter calls are timed several in a row."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A computation to time: whose, what of it, and a call that does it once."""

    provider: str
    mode: str
    run: Callable[[], Any]
    lengths: str = ""
    kernels: str = "off"
    """What `SPIKELOSS_KERNELS` is while it runs."""
    loops: bool = False
    """Whether a Python loop over the steps makes it slow."""


class First(NamedTuple):
    """What the first call took and gave."""

    seconds: float
    result: Any


@contextmanager
def kernels(choice: str) -> Iterator[None]:
    """`SPIKELOSS_KERNELS`, which every call of a loss reads, for a while."""
    before = os.environ.get(KERNELS)
    os.environ[KERNELS] = choice
    try:
        yield
    finally:
        if before is None:
            del os.environ[KERNELS]
        else:
            os.environ[KERNELS] = before


def begin(candidates: Sequence[Candidate]) -> dict[Candidate, First]:
    """Every candidate once: it compiles what it has to, and its result can be compared."""
    found = {}
    for candidate in candidates:
        with kernels(candidate.kernels):
            start = perf_counter()
            result = candidate.run()
            found[candidate] = First(perf_counter() - start, result)
    return found


def agree(first: dict[Candidate, First]) -> None:
    """Refuse to compare computations that do not give the same value and gradient.

    Entries may differ by 1e-4 of themselves, or by 1e-5 of the largest of the array.
    """
    expected: dict[tuple[str, int], np.ndarray] = {}
    for candidate, (_, result) in first.items():
        if candidate.mode == YARDSTICK:
            continue
        parts = result if isinstance(result, (tuple, list)) else (result,)
        for place, part in enumerate(map(_array, parts)):
            wanted = expected.setdefault((candidate.lengths, place), part)
            np.testing.assert_allclose(
                part, wanted, rtol=1e-4, atol=1e-5 * float(np.abs(wanted).max(initial=0.0)),
                err_msg=f"{candidate.provider}, {candidate.mode}, {candidate.lengths}",
            )  # fmt: skip


def _array(part: Any) -> np.ndarray:
    detached = part.detach() if hasattr(part, "detach") else part
    return np.asarray(detached, dtype=np.float64).squeeze()


def once(candidate: Candidate, first: dict[Candidate, First]) -> bool:
    """Whether the first call is all that there is time for."""
    return candidate.loops and first[candidate].seconds > ONCE


def measure(
    candidates: Sequence[Candidate],
    first: dict[Candidate, First],
    probe: Callable[[], Any],
    seconds: float,
    most: int = 200,
) -> dict[Candidate, list[float]]:
    """Seconds of one call, as often as fit into so many seconds each, `most` times at most.

    At least `FEWEST` times, but a slow loop once: its first call is the measurement. A slow
    candidate sits out most of the turns of the fast ones. Short calls are timed several in a row,
    after one that is not timed, so that they do not meet the caches as the one before left them.
    """
    times: dict[Candidate, list[float]] = {candidate: [] for candidate in candidates}
    for each in candidates:
        if once(each, first):
            times[each].append(first[each].seconds)
    plans = {each: _plan(each, seconds, most) for each in candidates if not times[each]}
    turns = max((repeats for _, repeats in plans.values()), default=0)
    best, again, turn = _time(probe, 3), 0, 0
    until = perf_counter() + PATIENCE * seconds * len(candidates)
    gc.collect()
    gc.disable()
    try:
        while turn < turns and not _late(plans, times, until):
            before = _time(probe, 1)
            found = [
                (each, _call(each, inner))
                for each, (inner, repeats) in plans.items()
                if (turn + 1) * repeats // turns > turn * repeats // turns
            ]
            after = _time(probe, 1)
            best = min(best, before, after)
            if max(before, after) > DISTURBED * best and again < AGAIN * turns:
                again += 1
                continue
            for each, spent in found:
                times[each].append(spent)
            turn += 1
    finally:
        gc.enable()
    return times


def _late(
    plans: dict[Candidate, tuple[int, int]], times: dict[Candidate, list[float]], until: float
) -> bool:
    """Whether the machine is so busy that the fewest turns have to do."""
    enough = (len(times[each]) >= min(FEWEST, repeats) for each, (_, repeats) in plans.items())
    return perf_counter() > until and all(enough)


def _plan(candidate: Candidate, seconds: float, most: int) -> tuple[int, int]:
    """Calls in a row, and how often: as many as there is time for by the shortest of a few."""
    if most == 1:
        return 1, 1
    estimate, spent = _call(candidate, 1), 0.0
    while spent < ESTIMATE and estimate < ESTIMATE:
        again = _call(candidate, 1)
        estimate, spent = min(estimate, again), spent + again + 1e-3
    inner = max(1, round(SHORT / estimate))
    fewest = FEWEST if estimate > SLOW else 2 * FEWEST
    return inner, min(most, max(fewest, int(seconds / (inner * estimate))))


def _call(candidate: Candidate, count: int) -> float:
    """Seconds of one call, of several in a row."""
    with kernels(candidate.kernels):
        if count > 1:
            candidate.run()
        return _time(candidate.run, count)


def _time(run: Callable[[], Any], count: int) -> float:
    start = perf_counter()
    for _ in range(count):
        run()
    return (perf_counter() - start) / count


def together(*rounds: dict[Candidate, list[float]]) -> dict[Candidate, list[float]]:
    """The times of several rounds."""
    return {
        each: [spent for found in rounds for spent in found.get(each, [])] for each in rounds[0]
    }


def pick(times: Sequence[float]) -> dict[str, float]:
    """Minimum and median in milliseconds."""
    return {
        "minimum": float(f"{1e3 * min(times):.4g}"),
        "median": float(f"{1e3 * statistics.median(times):.4g}"),
    }


def minima(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """The shortest milliseconds of each call; the first is the probe."""
    candidates = [Candidate(name, VALUE, call) for name, call in calls.items()]
    probe = candidates[0].run
    times = measure(candidates, begin(candidates), probe, seconds)
    return {each.provider: pick(found)["minimum"] for each, found in times.items()}
