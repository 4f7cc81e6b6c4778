"""Samples from a file of the user's: .npz, .npy, .h5 or .hdf5.

An .npz or an HDF5 file holds, by name:

- `inputs` or `spikes`, (steps, samples, features), or (samples, features) for constant currents,
  or events `time`, `sample`, `neuron` (E,), `shape` (steps, samples, features), and perhaps
  `amplitude` (E,)
- `labels` (samples,), from 0, and perhaps `lengths` (samples,), the valid steps of each
- perhaps what is for the test: `train`, `test`, `validation`, the numbers of samples; or
  `test_inputs`, `test_labels`, `test_lengths`, and the same with `validation_`

An .npy file holds `inputs`; NAME-labels.npy and perhaps NAME-lengths.npy lie beside it. An HDF5
file may have the layout of the Heidelberg data sets instead.
"""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from . import assemble, checks, heidelberg
from .arrays import NESTED, Arrays, opened
from .binning import OPTIONS, Grid
from .recipe import DataRecipe
from .samples import Dataset, Split
from .sources import Source

HEIDELBERG = 100
"""Steps of a file of that layout, unless told otherwise."""


def source(path: Path) -> Source:
    """What a file is, as its headers say."""
    with opened(path) as arrays:
        heard = arrays.names >= set(NESTED)
        steps = HEIDELBERG if heard else _steps(arrays) or assemble.CONSTANT
    options = (*assemble.OPTIONS, *((heidelberg.UNITS, *OPTIONS) if heard else ()))
    packages = ("h5py",) if path.suffix.lower() in (".h5", ".hdf5") else ()
    about = f"The samples of the file {path.name}."
    return Source(str(path), about, build, steps, packages=packages, options=options, named=False)


def _steps(arrays: Arrays) -> int | None:
    """The steps of sequences, which a header says."""
    for name in ("inputs", "spikes"):
        if name in arrays.names and len(arrays.shape(name)) == 3 and arrays.shape(name)[0] > 1:
            return arrays.shape(name)[0]
    if {"sample", "neuron", "shape"} <= arrays.names and arrays.shape("shape") == (3,):
        return checks.event_shape("shape", arrays.load("shape"))[0]
    return None


def build(
    recipe: DataRecipe, steps: int, *, classes: int = 0, every: int = 5, seed: int = 0,
    units: int = 700, **binning: Any,
) -> Dataset:  # fmt: skip
    """The samples of a file, and of a second one for the test."""
    path, second = Path(recipe.source), None if recipe.test is None else Path(recipe.test)
    with opened(path) as arrays:
        if not arrays.names >= set(NESTED):
            with nullcontext() if second is None else opened(second) as test:
                split = partial(assemble.dataset, classes=classes, every=every, seed=seed)
                return split(arrays, recipe, path, test)
    grid = Grid(steps, (units, 1, 1), **binning)
    if second is not None:
        return heidelberg.dataset({"train": path, "test": second}, grid, recipe, classes)
    whole, _ = heidelberg.read(path, grid, recipe)
    return _split(whole, recipe, classes, every, seed)


def _split(whole: Split, recipe: DataRecipe, classes: int, every: int, seed: int) -> Dataset:
    part = assemble.Part(whole.store, whole.labels, whole.lengths)
    return assemble.split({"train": part}, {}, recipe, classes, every, seed)
