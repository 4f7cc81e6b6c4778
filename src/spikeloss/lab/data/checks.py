"""Checks of samples that a user brings, and how they are held afterwards."""

import math

import numpy as np

from spikeloss.lab.errors import InputError

from .samples import Dense, Numbers, Packed, Store

CLASSES = 10**5
"""Classes that samples may have."""
SLAB = 2**22
"""Numbers that are looked at in one piece."""


def store(name: str, array: Numbers, samples: int | None = None) -> Store:
    """Inputs (T, B, features), or (B, features) for constant currents, as they are held.

    Spikes are packed; other numbers stay as they came, but for float64, which becomes float32.
    `samples` is the number of labels, which tells a batch axis that is in the wrong place.
    """
    if array.ndim not in (2, 3) or array.size == 0:
        rule = "shape (steps, samples, features), or (samples, features) for constant currents"
        fix = "Reorder or add axes with numpy.moveaxis or numpy.expand_dims."
        raise InputError(name, rule, f"shape {array.shape}", fix)
    if array.dtype.kind not in "biuf":
        raise InputError(name, "real numbers", array.dtype, "Cast it with astype(float).")
    _check_batch(name, array, samples)
    array = array[None] if array.ndim == 2 else array
    binary = True
    for slab in _slabs(array):
        if slab.dtype.kind == "f" and not np.abs(slab).max() <= np.finfo(np.float32).max:
            got = "nan" if np.isnan(slab).any() else "inf, or more than float32 holds"
            fix = "Drop or replace what is not a number."
            raise InputError(name, "numbers that are finite", got, fix)
        binary = binary and bool(((slab == 0) | (slab == 1)).all())
    if binary and len(array) > 1:
        return Packed.of(array)
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 4
    return Dense(array.astype(np.float32) if wide else array)


def _slabs(array: Numbers) -> list[Numbers]:
    """An array (T, B, features) in pieces along its samples."""
    steps, samples, features = array.shape
    size = max(1, SLAB // (steps * features))
    return [array[:, start : start + size] for start in range(0, samples, size)]


def _check_batch(name: str, array: Numbers, samples: int | None) -> None:
    """One sample per label."""
    if samples is None or array.shape[-2] == samples:
        return
    fix = "Save one label per sample."
    if array.ndim == 3 and array.shape[0] == samples:
        fix = f"They seem to be batch first: save numpy.moveaxis({name}, 0, 1)."
    elif array.ndim == 2 and array.shape[1] == samples:
        fix = f"They seem to be features first: save {name}.T."
    got = f"shape {array.shape} with {array.shape[-2]}"
    raise InputError(name, f"as many samples as labels, {samples}", got, fix)


def labels(name: str, array: Numbers) -> Numbers:
    """Labels (B,) from 0, as int64."""
    if array.ndim != 1 or array.size == 0:
        fix = "Save one label per sample."
        raise InputError(name, "shape (samples,)", f"shape {array.shape}", fix)
    return _whole(name, array, 0, CLASSES - 1, "Number the classes from 0.")


def lengths(name: str, array: Numbers, samples: int, steps: int | None) -> Numbers:
    """Valid steps (B,), from 1 to `steps`, as int64."""
    if array.shape != (samples,):
        fix = "Save one length per sample."
        raise InputError(name, f"shape ({samples},)", f"shape {array.shape}", fix)
    fix = "Count them from 1; drop samples without a step."
    return _whole(name, array, 1, 2**31 if steps is None else steps, fix)


def index(name: str, array: Numbers, samples: int) -> Numbers:
    """The numbers of some samples, each once."""
    if array.ndim != 1 or array.size == 0:
        fix = "Save the numbers of the samples."
        raise InputError(name, "one axis of numbers of samples", f"shape {array.shape}", fix)
    array = _whole(name, array, 0, samples - 1, "Number the samples from 0.")
    if len(np.unique(array)) < len(array):
        raise InputError(name, "every sample once", "one twice", "Drop what is there twice.")
    return array


def _whole(name: str, array: Numbers, low: int, high: int, fix: str) -> Numbers:
    """Integers from `low` to `high`, as int64."""
    if array.dtype.kind not in "iu":
        raise InputError(name, "integers", array.dtype, "Cast it with astype(int).")
    least, most = int(array.min()), int(array.max())
    if least < low or most > high:
        raise InputError(name, f"values from {low} to {high}", f"{least} to {most}", fix)
    return array.astype(np.int64)


def event_shape(name: str, array: Numbers) -> tuple[int, int, int]:
    """(steps, samples, features) of events."""
    plain = array.shape == (3,) and array.dtype.kind in "iu" and array.min() >= 1
    if not plain or math.prod(array.tolist()) > 2**62:
        got = array.tolist() if array.size <= 4 else f"shape {array.shape}"
        rule = "3 whole numbers of at least 1, (steps, samples, features)"
        raise InputError(name, rule, got, "Save that of all samples.")
    steps, samples, features = array.tolist()
    return steps, samples, features


def event_times(name: str, array: Numbers, steps: int) -> Numbers:
    """Steps (E,) of events; a fraction belongs to the step that it is in."""
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        got, fix = f"{array.dtype} of shape {array.shape}", "Flatten the events."
        raise InputError(name, "one axis of real numbers", got, fix)
    if array.size and not (array.min() >= 0 and array.max() < steps):
        got = f"{array.min()} to {array.max()}"
        raise InputError(name, f"times from 0 and below {steps}", got, "Count the steps from 0.")
    return np.floor(array).astype(np.int64)


def event_numbers(name: str, array: Numbers, events: int, below: int) -> Numbers:
    """The sample or the feature (E,) of each event."""
    if array.shape != (events,):
        got, fix = f"shape {array.shape}", "Save one per event."
        raise InputError(name, f"shape ({events},), like time", got, fix)
    if array.size == 0:
        return array.astype(np.int64)
    return _whole(name, array, 0, below - 1, "Number them from 0.")
