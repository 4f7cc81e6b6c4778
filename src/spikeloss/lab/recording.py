"""A user's recorded activity, read from an .npz file and checked. NumPy only."""

import zlib
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from .errors import InputError
from .metrics import Numbers


class Recording(NamedTuple):
    """Spikes and/or membrane (T, B, N), labels (B,) or (T, B), lengths (B,) or None."""

    labels: Numbers
    spikes: Numbers | None = None
    membrane: Numbers | None = None
    lengths: Numbers | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, B, N)"""
        return next(x.shape for x in (self.spikes, self.membrane) if x is not None)


def read(path: Path) -> Recording:
    """The recording in a file that `numpy.savez` wrote; unpickles nothing."""
    arrays = _arrays(path)
    if not arrays.keys() & {"spikes", "membrane"}:
        raise _lacks(path, "an array `spikes` or `membrane`", arrays)
    if "labels" not in arrays:
        raise _lacks(path, "an array `labels`", arrays)
    recording = Recording(**{key: arrays[key] for key in Recording._fields if key in arrays})
    _check_records(recording)
    steps, samples, neurons = recording.shape
    _check("labels", recording.labels, [(samples,), (steps, samples)], 0, neurons - 1)
    if recording.lengths is not None:
        _check("lengths", recording.lengths, [(samples,)], 1, steps)
    return recording


def _arrays(path: Path) -> dict[str, Numbers]:
    """The arrays of an archive by name."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as wrong:
        got = (wrong.strerror or str(wrong)).lower()
        raise InputError(path, "a file to read", got, "Check the path.") from None
    except (ValueError, TypeError, EOFError, BadZipFile, zlib.error):
        arrays = {"": None}
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        fix = "Write it with numpy.savez(FILE, spikes=..., labels=...)."
        raise InputError(path, "an .npz archive of plain arrays", "something else", fix)
    return arrays


def _lacks(path: Path, rule: str, arrays: dict[str, Numbers]) -> InputError:
    held = ", ".join(arrays) or "an empty archive"
    return InputError(path, rule, held, "Add it in numpy.savez under that name.")


def _check_records(recording: Recording) -> None:
    for name in ("spikes", "membrane"):
        array = getattr(recording, name)
        if array is None:
            continue
        got = f"shape {array.shape}"
        if array.ndim != 3 or array.size == 0:
            fix = "Reorder or add axes with numpy.moveaxis or numpy.expand_dims."
            raise InputError(name, "shape (steps, samples, neurons)", got, fix)
        if array.shape != recording.shape:
            fix = "Record both from the same samples."
            raise InputError(name, f"shape {recording.shape} like spikes", got, fix)
        if array.dtype.kind not in "biuf":
            raise InputError(name, "real numbers", array.dtype, "Cast it with astype(float).")


def _check(name: str, array: Numbers, shapes: list[tuple[int, ...]], low: int, high: int) -> None:
    """Integers of one of the shapes, from `low` to `high`."""
    if array.shape not in shapes:
        rule = "shape " + " or ".join(str(shape) for shape in shapes)
        raise InputError(name, rule, f"shape {array.shape}", "Save one per sample.")
    if array.dtype.kind not in "iu":
        raise InputError(name, "integers", array.dtype, "Cast it with astype(int).")
    least, most = int(array.min()), int(array.max())
    if least < low or most > high:
        fix = "Neurons are numbered from 0, steps counted from 1."
        raise InputError(name, f"values from {low} to {high}", f"{least} to {most}", fix)
