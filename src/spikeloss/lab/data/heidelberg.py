"""The Heidelberg layout of HDF5: `spikes/times` in seconds, `spikes/units`, `labels`.

A sample is an entry of each: a list of times, a list of units, a label.
"""

from pathlib import Path

import numpy as np

from spikeloss.lab.errors import InputError

from . import checks
from .arrays import Tree
from .binning import Collector, Grid
from .options import Option
from .recipe import DataRecipe
from .samples import Dataset, Split

UNITS = Option("units", 700, "Units of the layout.", 1, 10**6)


def read(path: Path, grid: Grid, recipe: DataRecipe, taken: int = 0) -> tuple[Split, int]:
    """The samples of a file, and what they take beside the bytes that are taken."""
    with Tree(path) as tree:
        lists = [tree.node(name, lists=True) for name in ("spikes/times", "spikes/units")]
        if "labels" not in tree.names:
            raise InputError(path, "a data set `labels`", "none", "Add it with h5py.")
        samples = tree.shape("labels")
        for node in lists:
            if node.shape != samples or len(samples) != 1:
                got, fix = f"{node.shape} for labels {samples}", "Save one list per sample."
                raise InputError(path, "times and units of shape (samples,)", got, fix)
        collector = Collector(grid, samples[0], recipe, taken)
        labels = checks.labels(f"{path}, labels", tree.load("labels"))
        for sample, label in enumerate(labels.tolist()):
            where = f"{path}, sample {sample}"
            times, units = (tree.row(name, sample) for name in ("spikes/times", "spikes/units"))
            if times.shape != units.shape or times.ndim != 1 or units.dtype.kind not in "iu":
                fix = "Save as many whole units as times."
                raise InputError(where, "a list of times and one of units", "something else", fix)
            at, length = grid.place(1e6 * times.astype(np.float64), units, 0, 0, where)
            collector.put(sample, at, length, label)
    return collector.split(), collector.bytes


def dataset(
    paths: dict[str, Path], grid: Grid, recipe: DataRecipe, classes: int | None = None
) -> Dataset:
    """Files of this layout as the parts of a data set."""
    splits, taken = {}, 0
    for part, path in paths.items():
        splits[part], taken = read(path, grid, recipe, taken)
    count = classes or max(2, int(splits["train"].labels.max()) + 1)
    for part, split in splits.items():
        if split.labels.max() >= count:
            got, fix = f"{split.labels.max()} in {paths[part]}", "Check the file."
            raise InputError("labels", f"values from 0 to {count - 1}", got, fix)
    return Dataset(splits["train"], splits["test"], count, splits.get("validation"))
