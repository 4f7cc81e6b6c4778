"""The facts of a sheet in words, all of them from what was computed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .examples import GOOD, SILENT, WRONG, Floats
from .extremes import Extreme
from .slopes import View

SAID = {SILENT: "silence", GOOD: "the good answer", WRONG: "the wrong one"}


def percent(part: float) -> str:
    """A share, told from none and from all."""
    if 0 < part < 0.005:
        return "under 1\u00a0%"
    return f"{min(100 * part, 99.0) if part < 1 else 100:.0f}\u00a0%"


def share(views: Mapping[str, View], names: Sequence[str]) -> str:
    """How many steps of some records carry gradient."""
    said = []
    for index, name in enumerate(names):
        view = views[name]
        of = f" of {view.gradient.size} {STEPS[view.timeless]}" if index == 0 else ""
        said.append(f"{view.count}{of} on {SAID.get(name, name)} ({percent(view.reached)})")
    return ", ".join(said)


STEPS = ("steps", "logits")


def number(value: float, least: float = 0.0, digits: int = 3) -> str:
    """A loss in few digits; 0 where it is not above `least`."""
    if not np.isfinite(value):
        return "infinite" if value > 0 else "minus infinite" if value < 0 else "no number"
    if abs(value) <= least:
        return "0"
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    short = f"{value:.{digits}g}"
    return short if abs(value) >= 0.01 or digits > 2 else f"{value:.0e}".replace("e-0", "e-")


def bounds(low: Extreme, high: Extreme) -> str:
    """Whether a loss is bounded, from which value and to which."""
    ways = {"above": high.endless, "below": low.endless}
    endless = [f"{side} with {way}" for side, way in ways.items() if way]
    found = f"{number(low.loss)} to {number(high.loss)}"
    return f"unbounded {' and '.join(endless)}; here {found}" if endless else f"bounded, {found}"


def best(low: Extreme, kind: str, right: int | None, good: Floats) -> str:
    """The record of the lowest loss; `good`: the good answer, which it may be."""
    if np.array_equal(low.record, good):
        return f"{SAID[GOOD]} itself ({number(low.loss)})"
    rows = [_row(low.record[:, n], kind) for n in range(low.record.shape[1])]
    if len(set(rows)) == 1:
        return f"every neuron {rows[0]} ({number(low.loss)})"
    if right is None:
        said = [f"neuron {n} {row}" for n, row in enumerate(rows)]
    else:
        others = [row for n, row in enumerate(rows) if n != right]
        alike = len(set(others)) == 1
        ones = [f"the others {others[0]}"] if alike else [f"one {row}" for row in others]
        said = [f"the right neuron {rows[right]}", *ones]
    return f"{', '.join(said)} ({number(low.loss)})"


def _row(row: Floats, kind: str) -> str:
    """What a neuron does."""
    if kind == "logits":
        return f"at {row[0]:g}"
    steps = np.flatnonzero(row)
    if kind == "membrane":
        return _membrane(row, steps)
    if not steps.size:
        return "never"
    if steps.size == row.size:
        return "at every step"
    if steps.size == 1:
        return f"once, at step {steps[0]}"
    together = steps[-1] - steps[0] == steps.size - 1
    return f"{steps.size} times, {'at' if together else 'in'} steps {steps[0]} to {steps[-1]}"


def _membrane(row: Floats, steps: Any) -> str:
    values = np.unique(row)
    if values.size == 1:
        return f"at {values[0]:g} throughout"
    if steps.size == 1:
        return f"at {row[steps[0]]:.3g} at step {steps[0]}, else 0"
    return f"from {values[0]:.3g} to {values[-1]:.3g}, {row.mean():.2g} on average"
