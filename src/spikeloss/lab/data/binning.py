"""Events of a sensor -> spikes or counts on a grid of steps and pooled pixels.

step = floor(t / dt), or min(floor(T t / last), T - 1) without dt, `last` the sample's last time
feature = (p H + y // pool) W + x // pool, of W = ceil(width / pool), H = ceil(height / pool)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloss.lab.errors import InputError

from .options import Option
from .recipe import DataRecipe
from .samples import Dense, Numbers, Packed, Split, check_size

OPTIONS = (
    Option("dt", 0.0, "Milliseconds of a step; 0 spreads each recording over all steps.", 0, 1e6),
    Option("pool", 1, "Pixels, or units, in a row that are one feature.", 1, 1000),
    Option("counts", False, "Events are counted, up to 255; otherwise any number is one spike."),
    Option("lengths", False, "A sample ends with its last event; needs dt."),
)


@dataclass(frozen=True)
class Grid:
    """Steps, the sensor (width, height, polarities), and the options."""

    steps: int
    sensor: tuple[int, int, int]
    dt: float = 0.0
    pool: int = 1
    counts: bool = False
    lengths: bool = False

    def __post_init__(self) -> None:
        if self.lengths and not self.dt:
            fix = "Give dt, or drop lengths."
            raise InputError("lengths", "dt beside it, the milliseconds of a step", "none", fix)

    @property
    def size(self) -> tuple[int, int]:
        """W and H"""
        width, height, _ = self.sensor
        return -(-width // self.pool), -(-height // self.pool)

    @property
    def features(self) -> int:
        """Features of a step."""
        width, height = self.size
        return width * height * self.sensor[2]

    def place(self, t: Numbers, x: Numbers, y: Any, p: Any, where: object) -> tuple[Numbers, int]:
        """Where events fall, (step features + feature), and the steps up to the last of them.

        Times are microseconds from the start of the sample; those after the last step are dropped.
        """
        ends = zip((x, y, p), self.sensor, strict=True)
        if t.size and not (t.min() >= 0 and np.isfinite(t).all()):
            fix = "Count time from the start of the sample."
            raise InputError(where, "times from 0", f"{t.min()} to {t.max()}", fix)
        for value, end in ends:
            if t.size and (np.min(value) < 0 or np.max(value) >= end):
                got, fix = f"{np.min(value)} to {np.max(value)}", "Check the file."
                raise InputError(where, f"pixels, units, polarities from 0 to {end - 1}", got, fix)
        last = t.max() if t.size else 0
        if self.dt:
            step = np.floor(t / (1000 * self.dt))
        else:
            step = np.minimum(np.floor(self.steps * (t / last if last else t)), self.steps - 1)
        kept = step < self.steps
        width, height = self.size
        y, p = np.broadcast_to(y, x.shape), np.broadcast_to(p, x.shape)
        pixel = p.astype(np.int64) * height + y.astype(np.int64) // self.pool
        feature = pixel * width + x.astype(np.int64) // self.pool
        at = step[kept].astype(np.int64) * self.features + feature[kept]
        return at, int(step[kept].max()) + 1 if at.size else 1


class Collector:
    """Samples that come one by one, held as bits or, as counts, in a byte each."""

    def __init__(self, grid: Grid, samples: int, recipe: DataRecipe, taken: int = 0) -> None:
        self.grid, self.numbers = grid, grid.steps * grid.features
        self.row = self.numbers if grid.counts else -(-self.numbers // 8)
        self.bytes = taken + samples * self.row
        check_size("samples", self.bytes + 8 * self.numbers, recipe.bytes, f"{samples} samples")
        self.rows = np.zeros((samples, self.row), np.uint8)
        self.lengths = np.ones(samples, np.int64)
        self.labels = np.zeros(samples, np.int64)

    def put(self, sample: int, at: Numbers, length: int, label: int) -> None:
        """A sample's events."""
        if self.grid.counts:
            self.rows[sample] = np.minimum(np.bincount(at, minlength=self.numbers), 255)
        else:
            dense = np.zeros(self.numbers, bool)
            dense[at] = True
            self.rows[sample] = np.packbits(dense)
        self.lengths[sample], self.labels[sample] = length, label

    def split(self) -> Split:
        """All of them."""
        steps, features = self.grid.steps, self.grid.features
        if self.grid.counts:
            counts = self.rows.reshape(-1, steps, features).swapaxes(0, 1)
            store: Any = Dense(counts)
        else:
            store = Packed(self.rows, steps, features)
        lengths = self.lengths if self.grid.lengths else None
        return Split(store, self.labels, lengths, steps=steps)
