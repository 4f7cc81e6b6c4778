"""The best and the worst record of a loss, found by search, and whether it is bounded.

The search changes one neuron at one step, or one neuron altogether, as long as that helps; it
starts from each of the examples. What it finds is a record of the examples' size.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .examples import Floats
from .slopes import Question

LEVELS = {
    "spikes": (0.0, 1.0),
    "membrane": (0.0, -1.0, 0.5, 1.0, 2.0),
    "logits": (0.0, -2.0, -1.0, 1.0, 2.0),
}
"""The values that a record may have, rest first."""
ROUNDS = 200


class Extreme(NamedTuple):
    """A record (T, N), its loss, and what would take the loss beyond all bounds, or ""."""

    record: Floats
    loss: float
    endless: str


def extreme(question: Question, starts: Iterable[Floats], kind: str, sign: int) -> Extreme:
    """The record of the lowest loss, or with sign = -1 of the highest, with the fewest spikes."""
    best: tuple[float, Floats] | None = None
    for start in starts:
        value, record = _search(question, start, LEVELS[kind], sign)
        if kind == "spikes":
            record = _pruned(question, record, value, sign)
        if best is None or _better(value, record, best):
            best = value, record
    assert best is not None
    return Extreme(best[1], sign * best[0], _endless(question, best[1], kind, sign))


def _better(value: float, record: Floats, than: tuple[float, Floats]) -> bool:
    """Whether a loss is lower, or as low with less activity."""
    if abs(value - than[0]) <= _rounding(value):
        return bool(np.count_nonzero(record) < np.count_nonzero(than[1]))
    return bool(value < than[0])


def _rounding(value: float) -> float:
    """By how much equal losses may differ, whatever computes them."""
    return 1e-12 * max(1.0, abs(value)) if np.isfinite(value) else 0.0


def _lowest(found: Floats) -> int:
    """The first of the lowest losses."""
    least = float(found.min())
    return int(np.flatnonzero(found <= least + _rounding(least))[0])


def _values(question: Question, records: Floats, sign: int) -> Floats:
    """Losses to be made small; one that is no number is not."""
    return np.nan_to_num(sign * question.values(records), nan=np.inf, posinf=np.inf, neginf=-np.inf)


def _search(
    question: Question, start: Floats, levels: tuple[float, ...], sign: int
) -> tuple[float, Floats]:
    record, value = start, float(_values(question, start[None], sign)[0])
    for _ in range(ROUNDS):
        moved = _moved(record, levels)
        found = _values(question, moved, sign)
        index = _lowest(found)
        if not found[index] < value - _rounding(value):
            break
        record, value = moved[index], float(found[index])
    return value, record


def _moved(record: Floats, levels: tuple[float, ...]) -> Floats:
    """The record with one neuron changed: at one step, altogether, or to nothing but one step."""
    steps, neurons = record.shape
    cells = np.eye(steps * neurons, dtype=bool).reshape(-1, steps, neurons)
    rows = np.zeros((neurons, steps, neurons), bool)
    rows[np.arange(neurons), :, np.arange(neurons)] = True
    other = np.repeat(rows, steps, axis=0) & np.ones((steps * neurons, 1, 1), bool)
    alone = np.moveaxis(cells.reshape(steps, neurons, steps, neurons), 1, 0).reshape(cells.shape)
    rest, *raised = levels
    moves = [np.where(cells, level, record) for level in levels]
    moves += [np.where(rows, level, record) for level in levels]
    moves += [np.where(alone, level, np.where(other, rest, record)) for level in raised]
    return np.concatenate(moves)


def _pruned(question: Question, record: Floats, value: float, sign: int) -> Floats:
    """The record without what makes no difference."""
    while (places := np.argwhere(record)).size:
        fewer = np.repeat(record[None], len(places), axis=0)
        fewer[np.arange(len(places)), places[:, 0], places[:, 1]] = 0
        found = _values(question, fewer, sign)
        spare = np.flatnonzero(found <= value + _rounding(value))
        if not spare.size:
            break
        record = fewer[spare[-1]]
    return record


def _endless(question: Question, record: Floats, kind: str, sign: int) -> str:
    """In which way the loss goes on, and does not slow down, as the record gets larger; or ""."""
    ways = {}
    if kind != "spikes":
        ways["higher values"] = [question.values(k * record[None])[0] for k in SIZES]
    if kind != "logits":
        longer = [(question.stretched(k), np.repeat(record, k, axis=0)) for k in SIZES]
        ways["longer records"] = [asked.values(x[None])[0] for asked, x in longer]
    return next((way for way, values in ways.items() if _goes_on(sign * np.array(values))), "")


SIZES = (1, 4, 16)


def _goes_on(values: Floats) -> bool:
    """Whether values for sizes that grow fourfold fall as fast as a logarithm, or faster."""
    if np.isneginf(values).any():
        return True
    first, second = -np.diff(values)
    return bool(second > 1e-6 and second >= 0.9 * first)
