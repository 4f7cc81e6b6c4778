"""How well can Yin-Yang be told at all, once its inputs are rounded to steps of time?

Coordinates become times up to 30 ms, on a grid of so many steps: points of different classes get
the same inputs. Nobody tells more of them than those of the most frequent class of every input, on
average over all points, the classes drawn evenly.

    python benchmarks/grid.py

It writes benchmarks/results/grid.csv, in some seconds.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "grid.csv"
STEPS = {1.0: 30, 0.5: 60, 0.25: 120}
"""Milliseconds of a step -> steps of 30 ms."""


def points(side: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points (n, 2) of a fine lattice on the disc, and their classes: yin, yang, dots."""
    line = (np.arange(side) + 0.5) / side
    x, y = (each.ravel() for each in np.meshgrid(line, line))
    left, right = np.hypot(x - 0.25, y - 0.5), np.hypot(x - 0.75, y - 0.5)
    yang = (left <= 0.25) | ((y > 0.5) & (right > 0.25))
    classes = np.where(np.minimum(left, right) < 0.1, 2, yang.astype(np.int64))
    inside = np.hypot(x - 0.5, y - 0.5) <= 0.5
    return np.stack([x[inside], y[inside]], axis=1), classes[inside]


def limit(steps: int, side: int = 2000) -> float:
    """The share of points that can be told from their coordinates, rounded to 1 / steps."""
    x, classes = points(side)
    rounded = np.rint(x * steps).astype(np.int64)
    inputs = rounded[:, 0] * (steps + 1) + rounded[:, 1]
    votes = np.zeros(((steps + 1) ** 2, 3))
    np.add.at(votes, (inputs, classes), 1 / np.bincount(classes)[classes])
    return float(votes.max(axis=1).sum() / votes.sum())


def main() -> None:
    """Write a row per grid."""
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("ms", "accuracy"))
        writer.writerows((ms, f"{limit(steps):.4f}") for ms, steps in STEPS.items())


if __name__ == "__main__":
    main()
