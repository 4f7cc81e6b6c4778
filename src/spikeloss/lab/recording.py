"""A user's recorded activity, read from an .npz file and checked. NumPy only."""

import zlib
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from spikeloss.records import Events

from .errors import InputError
from .metrics import Numbers

EVENTS = ("time", "sample", "neuron", "shape")


class Recording(NamedTuple):
    """Spikes and/or membrane (T, B, N), labels (B,) or (T, B), lengths (B,) or valid (T, B)."""

    labels: Numbers
    spikes: Numbers | Events | None = None
    membrane: Numbers | None = None
    lengths: Numbers | None = None
    valid: Numbers | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, B, N)"""
        return next(x.shape for x in (self.spikes, self.membrane) if x is not None)


def read(path: Path) -> Recording:
    """The recording in a file that `numpy.savez` wrote; unpickles nothing."""
    arrays = _arrays(path)
    events = _events(path, arrays)
    if events is None and not arrays.keys() & {"spikes", "membrane"}:
        rule = "an array `spikes` or `membrane`, or events `time`, `sample`, `neuron` and `shape`"
        raise _lacks(path, rule, arrays)
    if "labels" not in arrays:
        raise _lacks(path, "an array `labels`", arrays)
    recording = Recording(**{key: arrays[key] for key in Recording._fields if key in arrays})
    if events is not None:
        recording = recording._replace(spikes=events)
    _check_records(recording)
    steps, samples, neurons = recording.shape
    _check("labels", recording.labels, [(samples,), (steps, samples)], 0, neurons - 1)
    _check_steps(recording)
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


def _events(path: Path, arrays: dict[str, Numbers]) -> Events | None:
    """The spikes of a file that holds them as events, else None."""
    if "spikes" in arrays:
        if arrays.keys() >= set(EVENTS):
            fix = "Keep `spikes` or the events, in a file each."
            raise InputError(path, "spikes as one array or as events", "both", fix)
        return None
    if not arrays.keys() & {"sample", "neuron"}:  # a `time` alone may be anything
        return None
    for name in EVENTS:
        if name not in arrays:
            raise _lacks(path, f"an array `{name}` beside the other ones of events", arrays)
    time, sample, neuron, shape = (arrays[name] for name in EVENTS)
    amplitude = arrays.get("amplitude")
    _check_shape(shape)
    _check_times(time)
    _check("sample", sample, [time.shape], 0, int(shape[1]) - 1, "event")
    _check("neuron", neuron, [time.shape], 0, int(shape[2]) - 1, "event")
    if amplitude is not None:
        _check_kind("amplitude", amplitude, [time.shape], "event", "biuf", "real numbers", "float")
    return Events(time, sample, neuron, amplitude, tuple(shape.tolist()))


def _check_shape(shape: Numbers) -> None:
    if shape.shape != (3,) or shape.dtype.kind not in "iu" or shape.min() < 1:
        got = shape.tolist() if shape.size <= 4 else f"shape {shape.shape}"
        rule = "3 whole numbers of at least 1, (steps, samples, neurons)"
        raise InputError("shape", rule, got, "Save that of the whole record.")


def _check_times(time: Numbers) -> None:
    if time.ndim != 1:
        got = f"shape {time.shape}"
        raise InputError("time", "one axis, an entry per event", got, "Flatten the events.")
    if time.dtype.kind not in "iuf":
        raise InputError("time", "real numbers", time.dtype, "Cast it with astype(float).")
    if time.size and not time.min() >= 0:
        fix = "Count the first step as 0; drop what is not a number."
        raise InputError("time", "steps from 0", f"{time.min()} to {time.max()}", fix)


def _check_steps(recording: Recording) -> None:
    """At most one of lengths and valid, with a step in every sample."""
    (steps, samples, _), lengths, valid = recording.shape, recording.lengths, recording.valid
    if lengths is not None and valid is not None:
        raise InputError("valid", "one of lengths and valid", "both", "Drop one of them.")
    if lengths is not None:
        _check("lengths", lengths, [(samples,)], 1, steps)
    if valid is not None:
        _check_kind("valid", valid, [(steps, samples)], "step and sample", "b", "bools", "bool")
        if not valid.any(axis=0).all():
            fix = "Drop the empty samples."
            raise InputError("valid", "a valid step in every sample", "none in some", fix)


def _check_records(recording: Recording) -> None:
    for name in ("spikes", "membrane"):
        array = getattr(recording, name)
        if array is None or isinstance(array, Events):
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


def _check(
    name: str,
    array: Numbers,
    shapes: list[tuple[int, ...]],
    low: int,
    high: int,
    per: str = "sample",
) -> None:
    """Integers of one of the shapes, from `low` to `high`."""
    _check_kind(name, array, shapes, per, "iu", "integers", "int")
    if array.size == 0:
        return
    least, most = int(array.min()), int(array.max())
    if least < low or most > high:
        fix = "Samples and neurons are numbered from 0, lengths counted from 1."
        raise InputError(name, f"values from {low} to {high}", f"{least} to {most}", fix)


def _check_kind(
    name: str,
    array: Numbers,
    shapes: list[tuple[int, ...]],
    per: str,
    kinds: str,
    rule: str,
    cast: str,
) -> None:
    """One of the shapes, and numbers of one of the kinds."""
    if array.shape not in shapes:
        shape = "shape " + " or ".join(str(shape) for shape in shapes)
        raise InputError(name, shape, f"shape {array.shape}", f"Save one per {per}.")
    if array.dtype.kind not in kinds:
        raise InputError(name, rule, array.dtype, f"Cast it with astype({cast}).")
