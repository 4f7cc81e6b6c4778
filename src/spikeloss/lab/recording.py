"""A user's recorded activity, read from an .npz file and checked. NumPy only."""

import math
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from spikeloss._door._words import cut
from spikeloss._open import open_record
from spikeloss.records import Events, Times

from .archive import Archive
from .errors import InputError
from .limits import MEMORY, size
from .metrics import Numbers

NUMBER, CELL, EVENT = 40, 250, 100
"""Bytes that scoring takes per number of a dense record, per neuron of a sample, and per event."""
MOST = 2**53
"""Numbers of a record of events, up to which its rates are exact."""
EVENTS = ("time", "sample", "neuron", "shape")
TIMES = ("times", "end", "highest", "slope", "threshold")


class Recording(NamedTuple):
    """Spikes and/or membrane (T, B, N), labels (B,) or (T, B), lengths (B,) or valid (T, B).

    In place of both the times of first spikes (B, N).
    """

    labels: Numbers
    spikes: Numbers | Events | Times | None = None
    membrane: Numbers | None = None
    lengths: Numbers | None = None
    valid: Numbers | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, B, N); of times (1, B, N)."""
        if isinstance(self.spikes, Times):
            return (1, *self.spikes.shape)
        return next(x.shape for x in (self.spikes, self.membrane) if x is not None)


def read(path: Path, memory: int = MEMORY) -> Recording:
    """The recording in a file that `numpy.savez` wrote; unpickles nothing.

    A file that would take more than `memory` bytes, itself and its scores, is refused before it is
    loaded; arrays of other names are left in it.
    """
    with Archive(path) as archive:
        as_events = _as_events(path, archive)
        dense = archive.names & {"spikes", "membrane"}
        as_times = "times" in archive.names and not dense and not as_events
        parts = (*EVENTS, "amplitude") if as_events else TIMES if as_times else ()
        used = {*Recording._fields, *parts} & archive.names
        archive.check(used)
        if not as_events and not as_times and not dense:
            rule = (
                "an array `spikes` or `membrane`, or events `time`, `sample`, `neuron` and "
                "`shape`, or `times`"
            )
            raise _lacks(path, rule, archive)
        if "labels" not in archive.names:
            raise _lacks(path, "an array `labels`", archive)
        _check_memory(archive, used, as_events, memory)
        arrays = {name: archive.load(name) for name in used}
    recording = Recording(**{key: arrays[key] for key in Recording._fields if key in arrays})
    if as_events:
        recording = recording._replace(spikes=_events(arrays))
    if as_times:
        recording = recording._replace(spikes=_times(path, archive, arrays))
    _check_records(recording)
    steps, samples, neurons = recording.shape
    each: list[tuple[int, ...]] = [(samples,), (steps, samples)]
    if as_times:
        each = each[:1]
    else:
        _check_axes(recording)
    _check("labels", recording.labels, each, 0, neurons - 1)
    _check_steps(recording)
    return recording


def _check_memory(archive: Archive, used: set[str], as_events: bool, memory: int) -> None:
    """Refuse arrays that take too much memory to load, and then records that do to score."""
    loaded = {name: archive.size(name) for name in used}
    scored = {
        name: NUMBER * math.prod(archive.shape(name)) + CELL * math.prod(archive.shape(name)[1:])
        for name in used & {"spikes", "membrane", "times"}
    }
    if as_events:
        loaded["time"] += EVENT * math.prod(archive.shape("time"))
    for needs in (loaded, scored):
        name = max(needs, key=needs.__getitem__, default="")
        needed = sum(loaded.values()) + (scored.get(name, 0) if needs is scored else 0)
        if needed > memory:
            _refuse_size(name, archive.shape(name), needed, memory)
    if as_events and archive.shape("shape") == (3,):
        shape = archive.load("shape")
        _check_shape(shape)
        needed = sum(loaded.values()) + CELL * math.prod(shape.tolist()[1:])
        if needed > memory:
            _refuse_size("shape", tuple(shape.tolist()), needed, memory)


def _refuse_size(name: str, shape: tuple[int, ...], needed: int, memory: int) -> NoReturn:
    rule = f"what is scored in {size(memory)} of memory"
    fix = "Score fewer samples at a time, or allow more with --memory."
    raise InputError(name, rule, f"shape {shape}, which takes {size(needed)}", fix)


def _lacks(path: Path, rule: str, archive: Archive) -> InputError:
    held = cut(", ".join(archive.order)) or "an empty archive"
    return InputError(path, rule, held, "Add it in numpy.savez under that name.")


def _as_events(path: Path, archive: Archive) -> bool:
    """Whether a file holds its spikes as events; refuses one that holds a part of them."""
    if "spikes" in archive.names:
        if archive.names >= set(EVENTS):
            fix = "Keep `spikes` or the events, in a file each."
            raise InputError(path, "spikes as one array or as events", "both", fix)
        return False
    if not archive.names & {"sample", "neuron"}:  # a `time` alone may be anything
        return False
    for name in EVENTS:
        if name not in archive.names:
            raise _lacks(path, f"an array `{name}` beside the other ones of events", archive)
    return True


def _events(arrays: dict[str, Numbers]) -> Events:
    """The spikes of a file that holds them as events."""
    time, sample, neuron, shape = (arrays[name] for name in EVENTS)
    amplitude = arrays.get("amplitude")
    _check_shape(shape)
    _check_times(time)
    _check("sample", sample, [time.shape], 0, int(shape[1]) - 1, "event")
    _check("neuron", neuron, [time.shape], 0, int(shape[2]) - 1, "event")
    if amplitude is not None:
        _check_kind("amplitude", amplitude, [time.shape], "event", "biuf", "real numbers", "float")
    return Events(time, sample, neuron, amplitude, tuple(shape.tolist()))


def _times(path: Path, archive: Archive, arrays: dict[str, Numbers]) -> Times:
    """The times of first spikes of a file that holds these."""
    if "end" not in arrays:
        raise _lacks(path, "a number `end` beside `times`, when silence counts", archive)
    for name in {"lengths", "valid"} & set(arrays):
        raise InputError(name, "nothing beside `times`", "an array", "Drop it.")
    times = arrays["times"]
    if times.ndim != 2 or times.size == 0:
        got = f"shape {times.shape}"
        raise InputError("times", "shape (samples, neurons)", got, "Save one per output neuron.")
    numbers = {}
    for name in {"slope", "threshold"} & set(arrays):
        _check_kind(name, arrays[name], [()], "file", "iuf", "real numbers", "float")
        numbers[name] = float(arrays[name])
    try:
        found = Times(times, arrays["end"], arrays.get("highest"), **numbers)
        open_record(found)
    except (TypeError, ValueError) as wrong:
        raise InputError.of(wrong) from None
    return found


def _check_shape(shape: Numbers) -> None:
    if shape.shape != (3,) or shape.dtype.kind not in "iu" or shape.min() < 1:
        got = shape.tolist() if shape.size <= 4 else f"shape {shape.shape}"
        rule = "3 whole numbers of at least 1, (steps, samples, neurons)"
        raise InputError("shape", rule, got, "Save that of the whole record.")
    if math.prod(shape.tolist()) > MOST:
        rule, fix = f"at most {MOST} numbers in a record", "Save that of the whole record."
        raise InputError("shape", rule, shape.tolist(), fix)


def _check_times(time: Numbers) -> None:
    if time.ndim != 1:
        got = f"shape {time.shape}"
        raise InputError("time", "one axis, an entry per event", got, "Flatten the events.")
    if time.dtype.kind not in "iuf":
        raise InputError("time", "real numbers", time.dtype, "Cast it with astype(float).")
    if time.size and not (time.min() >= 0 and np.isfinite(time.max())):
        fix = "Count the first step as 0; drop what is not a number."
        raise InputError("time", "steps from 0", f"{time.min()} to {time.max()}", fix)


def _check_axes(recording: Recording) -> None:
    """Refuse a record with the samples first, as their number of labels tells."""
    (steps, samples, _), labels = recording.shape, recording.labels
    if labels.shape[:1] == (steps,) and labels.shape not in ((samples,), (steps, samples)):
        rule = f"shape ({samples},) or ({steps}, {samples})"
        got = f"shape {labels.shape}, as if samples came first"
        raise InputError("labels", rule, got, "Save numpy.swapaxes(spikes, 0, 1), steps first.")


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
        if array is None or isinstance(array, (Events, Times)):
            continue
        got = f"shape {array.shape}"
        if array.ndim != 3 or array.size == 0:
            fix = "Reorder or add axes with numpy.moveaxis or numpy.expand_dims."
            if array.ndim > 3 and array.size:
                steps, samples = array.shape[:2]
                fix = f"Flatten the axes of neurons, as in {name}.reshape({steps}, {samples}, -1)."
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
