"""Checks of the record and of what lies beside it."""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from spikeloss._backend import (
    arange,
    as_index,
    beside,
    checks_values,
    constant,
    device,
    extent,
    is_array,
    is_ragged,
    kind,
    library,
    namespace,
    padded,
    running_sum,
    unwrap,
)
from spikeloss._backend import dense as is_dense
from spikeloss._piece import Dense, Piece, Sparse
from spikeloss._shapes import Array, Record, Steps
from spikeloss.records import Events, Packed

from ._options import whole
from ._words import (
    article,
    batch_first,
    cast,
    cut,
    module_of,
    per_sample,
    refuse,
    said,
    shape_of,
    span,
)


def open_record(
    record: Any,
    *,
    lengths: Any = None,
    valid: Any = None,
    time_axis: int = 0,
    class_axis: int = -1,
    timeless: bool = False,
    **unknown: Any,
) -> Piece:
    """A whole record as one piece; `timeless` records are decisions (*B, C) already."""
    if unknown:
        rule, got = "lengths, valid, time_axis or class_axis", ", ".join(unknown)
        refuse("layout", rule, got, "Correct the name.", TypeError)
    if lengths is not None and valid is not None:
        refuse("valid", "one of lengths and valid", "both", "Drop one of them.", TypeError)
    if isinstance(record, Events):
        _laid_out(time_axis, class_axis, "events")
        return open_events(record, lengths, valid)
    if is_ragged(record):
        _laid_out(time_axis, class_axis, "a ragged record")
        _no_mask(lengths, valid, "a ragged record")
        record, lengths = padded(record)
    if isinstance(record, Packed):  # of a readout by itself; a loss takes it piece by piece
        record = record.unpack()
    x, dtype = working(array("record", record))
    if timeless:
        _no_mask(lengths, valid, "a record without time")
        return Dense(_timeless(x, time_axis, class_axis), None, 0, 1, dtype)
    return open_piece(time_first(x, time_axis, class_axis), lengths, valid, dtype)


def open_piece(
    x: Record, lengths: Any, valid: Any, dtype: Any, time: int = 0, start: Steps = 0
) -> Dense:
    """Steps that are laid out already, after `time` others, of which `start` were valid."""
    steps, xp = x.shape[0], namespace(x)
    if lengths is None and valid is None:
        return Dense(x, None, start, start + steps, dtype)
    t = xp.reshape(arange(steps, x), (steps,) + (1,) * (x.ndim - 1))
    whole = isinstance(start, int)
    if valid is not None:
        mask = _mask(valid, tuple(x.shape[:-1]), x)[..., None]
        end = start + xp.sum(xp.astype(mask, t.dtype), axis=0)
        if whole:
            _not_empty(end)
        return Dense(xp.where(mask, x, 0), mask, start, end, dtype, gaps=True)
    lengths = _lengths(lengths, tuple(x.shape), x, whole)
    mask = t + time < lengths
    end = xp.where(lengths < time + steps, lengths, time + steps)
    return Dense(xp.where(mask, x, 0), mask, start, end, dtype)


def open_events(
    events: Events, lengths: Any, valid: Any, time: int = 0, start: Steps = 0
) -> Sparse:
    """Events of some steps, after `time` others, of which `start` were valid."""
    t, sample, neuron, amplitude, dtype = _event_arrays(events)
    xp, (steps, *shape) = namespace(t), events.shape
    batch, samples, neurons = tuple(shape[:-1]), math.prod(shape[:-1]), shape[-1]
    _events_inside(events, t, sample, neuron)
    inside = (t >= 0) & (t < steps) & (sample >= 0) & (sample < samples)
    inside = inside & (neuron >= 0) & (neuron < neurons)
    sample = xp.where(inside, sample, 0)
    whole, end = isinstance(start, int), start + steps
    if valid is not None:
        mask = xp.reshape(_mask(valid, (steps, *batch), amplitude), (steps, samples))
        seen = running_sum(xp.astype(mask, sample.dtype))
        end = start + xp.reshape(seen[-1], (*batch, 1))
        if whole:
            _not_empty(end)
        step = as_index(xp.where(inside, xp.floor(t), 0))
        inside = inside & mask[step, sample]
        t = t + xp.astype(seen[step, sample] - 1 - step, t.dtype)
    elif lengths is not None:
        lengths = _lengths(lengths, events.shape, amplitude, whole)
        inside = inside & (t + time < xp.reshape(lengths, (-1,))[sample])
        end = xp.where(lengths < time + steps, lengths, time + steps)
    if not whole:
        t = t + xp.astype(xp.reshape(start, (-1,))[sample], t.dtype)
    cell = xp.where(inside, sample * neurons + neuron, samples * neurons)
    return Sparse(t, cell, amplitude, tuple(shape), start, end, dtype)


def _event_arrays(events: Events) -> tuple[Array, Array, Array, Array, Any]:
    """Times and amplitudes as floating numbers of one dtype, indices, and the result's dtype."""
    time = array("time", events.time)
    xp, sort = namespace(time), real_kind("time", time)
    if time.ndim != 1:
        refuse("time", "one axis, an entry per event", shape_of(time), "Flatten the events.")
    amplitude = events.amplitude
    if amplitude is None:
        amplitude = xp.ones_like(
            time, dtype=time.dtype if sort in ("float", "half") else xp.float32
        )
    amplitude, dtype = working(beside_record("amplitude", amplitude, time))
    index = []
    for name in ("sample", "neuron"):
        value = beside_record(name, getattr(events, name), time)
        if kind(value) != "integer":
            refuse(name, "integers", value.dtype, cast(name, value, "int"), TypeError)
        index.append(as_index(value))
    for name, value in (("sample", index[0]), ("neuron", index[1]), ("amplitude", amplitude)):
        if value.shape != time.shape:
            rule, fix = f"{time.shape[0]} entries, one per event", "Pass one per event."
            refuse(name, rule, shape_of(value), fix)
    if len(events.shape) < 2 or 0 in (events.shape[0], events.shape[-1]):
        rule = "(time, *batch, neurons) with at least one step and one neuron"
        refuse("shape", rule, events.shape, "Pass shape=(T, B, N) of the whole record.")
    wide = xp.result_type(time.dtype, amplitude.dtype) if sort == "float" else amplitude.dtype
    return xp.astype(time, wide), *index, xp.astype(amplitude, wide), dtype


def _events_inside(events: Events, time: Array, sample: Array, neuron: Array) -> None:
    """Times of at least 0, samples and neurons of the record; late events are padding."""
    if 0 in time.shape or not checks_values(time, sample, neuron):
        return
    low, high = extent(time)
    if not low >= 0:
        got = span(low, high)
        refuse("time", "steps from 0", got, "Count the first step as 0; drop what is not a number.")
    for name, index, count in (
        ("sample", sample, math.prod(events.shape[1:-1])),
        ("neuron", neuron, events.shape[-1]),
    ):
        low, high = extent(index)
        if low < 0 or high >= count:
            fix = f"Correct shape={events.shape}, or drop the others."
            refuse(name, f"indices from 0 to {count - 1}", span(low, high), fix)


def _laid_out(time_axis: int, class_axis: int, what: str) -> None:
    for name, axis, usual in (("time_axis", time_axis, 0), ("class_axis", class_axis, -1)):
        if axis != usual:
            refuse(name, f"no other than {usual} for {what}", axis, f"Drop {name}.")


def _no_mask(lengths: Any, valid: Any, what: str) -> None:
    for name, value in (("lengths", lengths), ("valid", valid)):
        if value is not None:
            refuse(name, f"nothing for {what}", said(value), f"Drop {name}.")


def dense(piece: Piece, readout: object) -> Dense:
    """A piece with an entry for every step."""
    if isinstance(piece, Dense):
        return piece
    rule = f"a dense record, as {type(readout).__name__} reads every step"
    refuse("record", rule, "events", "Write events.dense().", TypeError)


def array(argument: str, value: Any) -> Array:
    """An array of any of the libraries."""
    if is_array(value):
        return unwrap(value)
    rule = "a torch tensor, a JAX array or a NumPy array"
    fix = "Convert it with torch.as_tensor, jax.numpy.asarray or numpy.asarray."
    if isinstance(value, (list, tuple)) and value and is_array(value[0]):
        steps = isinstance(value, list)  # collected in a loop; a tuple is of several results
        fix = f"Write {module_of(value[0])}.stack({argument})." if steps else (
            f"Pass one of them, as in {argument}[0]."
        )  # fmt: skip
    elif value is None or isinstance(value, (str, type)):
        fix = "Pass an array (time, *batch, neurons)."
    refuse(argument, rule, said(value), fix, TypeError)


def working(x: Array) -> tuple[Array, Any]:
    """The record in the dtype of the computation, and the dtype of the result."""
    if not is_dense(x):
        refuse("record", "a dense tensor", x.layout, "Write record.to_dense().", TypeError)
    xp, sort = namespace(x), real_kind("record", x)
    result = x.dtype if sort in ("float", "half") else xp.float32
    return x if sort == "float" else xp.astype(x, xp.float32), result


def real_kind(argument: str, x: Array) -> str:
    """The kind of the dtype, which is none of complex numbers or objects."""
    sort = kind(x)
    if sort == "other":
        rule = "a real floating, integer or bool dtype"
        refuse(argument, rule, x.dtype, cast(argument, x, "float"), TypeError)
    return sort


def time_first(x: Array, time_axis: int, class_axis: int) -> Record:
    shape = tuple(x.shape)
    if len(shape) < 2:
        rule, fix = "2 axes or more, (time, *batch, neurons)", "Keep the axes of time and neurons."
        refuse("record", rule, shape_of(x), fix)
    time, neurons = _axis("time_axis", time_axis, shape), _axis("class_axis", class_axis, shape)
    if time == neurons:
        got = f"axis {time} for both, in a record of shape {shape}"
        refuse("class_axis", "another axis than time_axis", got, "Name two axes of the record.")
    if time != 0 or neurons != len(shape) - 1:
        x = namespace(x).moveaxis(x, (time, neurons), (0, -1))
    if shape[time] == 0 or shape[neurons] == 0:
        rule, fix = "at least one step and one neuron", "Record at least one step of one neuron."
        refuse("record", rule, shape_of(x), fix)
    return x


def _timeless(x: Array, time_axis: int, class_axis: int) -> Record:
    """A record without time, as one of a single step."""
    if time_axis != 0:
        fix = "Drop time_axis."
        refuse("time_axis", "nothing for a record without time", said(time_axis), fix)
    shape = tuple(x.shape)
    if not shape or shape[_axis("class_axis", class_axis, shape)] == 0:
        rule = "(*batch, classes) with at least one class"
        refuse("record", rule, shape_of(x), "Keep the axis of classes.")
    neurons = class_axis % len(shape)
    return x[None] if neurons == len(shape) - 1 else namespace(x).moveaxis(x, neurons, -1)[None]


def _axis(argument: str, axis: int, shape: tuple[int, ...]) -> int:
    axis, count = whole(argument, axis), len(shape)
    if not -count <= axis < count:
        rule = f"an axis of a record of shape {shape}"
        refuse(argument, rule, axis, f"Choose {argument} from {-count} to {count - 1}.")
    return axis % count


def _lengths(lengths: Any, shape: tuple[int, ...], x: Array, whole: bool) -> Array:
    """The lengths as integers (*B, 1), of a record (T, *B, N) or, if not whole, of some steps."""
    lengths = beside_record("lengths", lengths, x)
    steps, batch = shape[0], shape[1:-1]
    sort = kind(lengths)
    if sort == "bool" and tuple(lengths.shape[1:]) == batch:
        refuse("lengths", "integers", "a mask of the steps", "Pass it as valid.", TypeError)
    if tuple(lengths.shape) != batch:
        rule = f"{per_sample(batch, 'length')} of the record {shape}"
        fix = batch_first(lengths.shape, batch, steps, "Pass one length per sample.")
        refuse("lengths", rule, shape_of(lengths), fix)
    if sort != "integer":
        refuse("lengths", "integers", lengths.dtype, cast("lengths", lengths, "int"), TypeError)
    lengths = as_index(lengths)
    if checks_values(lengths) and 0 not in lengths.shape:
        low, high = extent(lengths)
        if low < 1 or (whole and high > steps):
            rule = f"values from 1 to {steps}" if whole else "values of at least 1"
            fix = "Drop the empty samples." if low < 1 else f"Cut them to {steps}."
            refuse("lengths", rule, span(low, high), fix)
    return lengths[..., None]


def _mask(valid: Any, shape: tuple[int, ...], x: Array) -> Array:
    """The mask of the steps, bool (T, *B)."""
    valid = beside_record("valid", valid, x)
    if kind(valid) != "bool":
        refuse("valid", "bools", valid.dtype, "Write valid != 0.", TypeError)
    if tuple(valid.shape) != shape:
        rule = f"shape {shape}, a bool per step and sample"
        swapped = tuple(valid.shape) == (*shape[1:2], shape[0], *shape[2:])
        fix = (
            "Write valid.swapaxes(0, 1)."
            if swapped
            else "Put time first, as in valid[step, sample]."
        )
        refuse("valid", rule, shape_of(valid), fix)
    return valid


def _not_empty(count: Array) -> None:
    """At least one valid step of every sample."""
    if 0 not in count.shape and checks_values(count) and extent(count)[0] < 1:
        refuse("valid", "a valid step in every sample", "none in some", "Drop the empty samples.")


def beside_record(argument: str, value: Any, x: Array) -> Array:
    """`value` as an array of the library and the device of `x`; nothing is moved."""
    if not is_array(value):
        return _listed(argument, value, x)
    value, ours, theirs = unwrap(value), library(x), library(value)
    if ours != theirs:
        if (ours, theirs) == ("jax", "numpy") and kind(value) != "other":
            return beside(value, x)
        which, call = (argument, module_of(x)) if ours != "numpy" else ("record", module_of(value))
        convert = "as_tensor" if call == "torch" else "asarray"
        fix = f"Write {call}.{convert}({which})."
        refuse(argument, f"{article(x)} like the record", article(value), fix, TypeError)
    if ours == "torch" and device(x) != device(value):
        here, fix = device(x), f"Write {argument}.to({device(x)!r})."
        refuse(argument, f"a tensor on {here} like the record", f"one on {device(value)}", fix)
    return value


def _listed(argument: str, value: Any, x: Array) -> Array:
    """A number or a list of numbers as an array beside `x`."""
    listed = isinstance(value, (int, float, list, tuple, range))
    if listed:
        with suppress(TypeError, ValueError, RuntimeError, OverflowError):
            made = beside(value, x)
            if kind(made) != "other":
                return made
    fix = "Write it as numbers, in rows of one length." if listed else f"Pass {article(x)}."
    got = cut(repr(value)) if listed else said(value)
    refuse(argument, f"{article(x)} like the record", got, fix, TypeError)


_DIVERGED = "Look for the step at which the simulation diverged."


def spikes(piece: Piece) -> None:
    """A record in which a spike is any non-zero entry must be finite."""
    x = piece.values
    if not checks_values(x):
        return
    xp = namespace(x)
    if math.isfinite(float(xp.sum(constant(x)))) or bool(xp.all(xp.isfinite(x))):
        return
    refuse("record", "finite spikes", "nan or infinity", _DIVERGED)


def comparable(evidence: Array) -> None:
    """A class cannot be chosen by comparing with nan."""
    if not checks_values(evidence):
        return
    xp = namespace(evidence)
    if bool(xp.any(xp.isnan(evidence))):
        refuse("record", "a decision that can be compared", "nan", _DIVERGED)


def groups(neurons: int, classes: int) -> int:
    """How many neurons vote for each class."""
    if neurons % classes:
        rule = f"a divisor of the record's {neurons} neurons"
        refuse("classes", rule, classes, f"Choose a divisor of {neurons}.")
    return neurons // classes


def total(terms: Iterable[Array]) -> Array:
    """The sum of losses, which have one shape."""
    first, *rest = terms
    for term in rest:
        if first.shape != term.shape:
            got = f"{tuple(first.shape)} and {tuple(term.shape)}"
            refuse("terms", "losses of one shape", got, "Reduce all to a mean or a sum.")
        first = first + term
    return first
