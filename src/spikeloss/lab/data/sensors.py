"""Event sets that lie in a folder as tonic puts them there; nothing is ever downloaded."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from spikeloss._door._words import cut
from spikeloss._install import hint
from spikeloss.lab.errors import InputError

from . import heidelberg
from .binning import OPTIONS, Collector, Grid
from .recipe import DataRecipe
from .samples import Dataset, Split
from .sources import named

SPOKEN = "https://zenkelab.org/datasets/"


@named(steps=100, epochs=50, packages=("h5py",), options=OPTIONS, spikes=True, folder=True)
def shd(recipe: DataRecipe, steps: int, **options: Any) -> Dataset:
    """Spiking Heidelberg Digits: 20 spoken digits, English and German, of 700 units of a cochlea.

    8156 recordings to learn from, 2264 to test on, by other speakers in part. Source: B. Cramer,
    Y. Stradmann, J. Schemmel and F. Zenke, The Heidelberg spiking data sets for the systematic
    evaluation of spiking neural networks (2020).
    """
    files = {part: f"SHD/shd_{part}.h5" for part in ("train", "test")}
    paths = {part: _found(recipe, file, SPOKEN) for part, file in files.items()}
    return heidelberg.dataset(paths, Grid(steps, (700, 1, 1), **options), recipe, 20)


@named(steps=100, epochs=30, packages=("h5py",), options=OPTIONS, spikes=True, folder=True)
def ssc(recipe: DataRecipe, steps: int, **options: Any) -> Dataset:
    """Spiking Speech Commands: 35 spoken words, of 700 units of a cochlea.

    75466 recordings to learn from, 9981 to choose by, 20382 to test on. Source: B. Cramer,
    Y. Stradmann, J. Schemmel and F. Zenke, The Heidelberg spiking data sets for the systematic
    evaluation of spiking neural networks (2020).
    """
    files = {"train": "train", "test": "test", "validation": "valid"}
    paths = {part: _found(recipe, f"SSC/ssc_{file}.h5", SPOKEN) for part, file in files.items()}
    return heidelberg.dataset(paths, Grid(steps, (700, 1, 1), **options), recipe, 35)


@named(steps=25, epochs=10, packages=("tonic",), options=OPTIONS, spikes=True, folder=True)
def nmnist(recipe: DataRecipe, steps: int, **options: Any) -> Dataset:
    """N-MNIST: the handwritten digits of MNIST before a moving sensor of 34 x 34 pixels.

    60000 recordings to learn from, 10000 to test on, with two polarities. Source: G. Orchard,
    A. Jayawant, G. Cohen and N. Thakor, Converting static image datasets to spiking neuromorphic
    datasets using saccades (2015).
    """
    place = "https://www.garrickorchard.com/datasets/n-mnist"
    return _sensor(recipe, "NMNIST", ("Train", "Test"), ".bin", place, Grid(
        steps, (34, 34, 2), **options), 10)  # fmt: skip


@named(steps=25, epochs=50, packages=("tonic",), options=OPTIONS, spikes=True, folder=True)
def dvs_gesture(recipe: DataRecipe, steps: int, **options: Any) -> Dataset:
    """DVS128 Gesture: 11 gestures of hands and arms before a sensor of 128 x 128 pixels.

    1077 recordings to learn from, 264 to test on, with two polarities, cut and in milliseconds as
    tonic has them. Source: A. Amir et al., A low power, fully event-based gesture recognition
    system (2017). Time starts with the first event of a recording.
    """
    place = "https://figshare.com/ndownloader/files/38022171 and .../38020584"
    return _sensor(recipe, "DVSGesture", ("ibmGestureTrain", "ibmGestureTest"), ".npy", place, Grid(
        steps, (128, 128, 2), **options), 11)  # fmt: skip


def _sensor(
    recipe: DataRecipe,
    name: str,
    folders: Sequence[str],
    ending: str,
    place: str,
    grid: Grid,
    classes: int,
) -> Dataset:
    """The two parts of a data set of tonic that is a folder of files each."""
    for folder in folders:
        inside = _found(recipe, f"{name}/{folder}", place)
        if next(inside.rglob(f"*{ending}"), None) is None:
            fix = f"Get them from {place}."
            raise InputError("folder", f"files *{ending} in {inside}", "none", fix)
    splits, taken = [], 0
    for train in (True, False):
        data = _local(name, recipe, train)
        order = sorted(range(len(data)), key=data.data.__getitem__)
        collector = Collector(grid, len(order), recipe, taken)
        for sample, number in enumerate(order):
            where = Path(data.data[number])
            events, label = _events(data, number, where)
            if not 0 <= label < classes:
                fix = "Move it away."
                raise InputError(where, f"a label from 0 to {classes - 1}", label, fix)
            time = events["t"].astype(np.float64)
            if name == "DVSGesture" and time.size:
                time -= time.min()
            at, length = grid.place(time, events["x"], events["y"], events["p"], where)
            collector.put(sample, at, length, label)
        splits.append(collector.split())
        taken = collector.bytes
    return _pair(splits, classes)


def _pair(splits: Sequence[Split], classes: int) -> Dataset:
    train, test = splits
    return Dataset(train, test, classes)


def _events(data: Any, number: int, where: Path) -> tuple[Any, int]:
    """A sample as tonic reads it; whatever it makes of a damaged file is one mistake."""
    try:
        if where.suffix == ".npy":  # a header that promises more than the file has
            np.load(where, mmap_mode="r", allow_pickle=False)
        events, label = data[number]
    except (OSError, ValueError, IndexError, TypeError, MemoryError, EOFError):
        fix = "Get the file again."
        raise InputError(where, "a recording", "something else", fix) from None
    return events, int(label)


def _local(name: str, recipe: DataRecipe, train: bool) -> Any:
    """A data set of tonic that never downloads: its archives need not be there."""
    try:
        datasets: Any = import_module("tonic.datasets")
    except ImportError as wrong:
        got = "no tonic" if isinstance(wrong, ModuleNotFoundError) else str(wrong)
        fix = hint("data")
        raise InputError("--data", "tonic, which reads these samples", got, fix) from None
    base = getattr(datasets, name)
    # Named like its base, as tonic makes the name of the folder from that of the class.
    local = type(name, (base,), {"_check_exists": lambda self: True, "download": _refuse})
    try:
        return local(save_to=recipe.folder, train=train)
    except (OSError, ValueError) as wrong:
        fix = "Unpack the archive again."
        raise InputError("folder", f"that of tonic's {name}", cut(str(wrong)), fix) from None


def _refuse(self: Any) -> None:
    raise InputError("folder", "files that are there", "none", "Download them by hand.")


def _found(recipe: DataRecipe, file: str, place: str) -> Path:
    """A file in the folder of the recipe."""
    path = Path(recipe.folder or "").expanduser() / file
    if not path.exists():
        fix = f"Get it from {place}, or let tonic download it, and unpack it there."
        raise InputError("folder", f"{file} in it", f"none in {recipe.folder}", fix)
    return path
