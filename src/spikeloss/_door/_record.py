"""Opens a record: whatever the user has, checked, as a piece."""

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NoReturn

from spikeloss._backend import (
    arange,
    as_index,
    checks_values,
    constant,
    extent,
    is_array,
    is_ragged,
    kind,
    namespace,
    numbered,
    padded,
    running_sum,
)
from spikeloss._piece import Dense, Piece, Sparse
from spikeloss._shapes import Array, ClassAxis, Record, Steps
from spikeloss.records import Events, Packed

from ._array import array, beside_record, real_kind, working
from ._layout import not_empty, one_layer, time_first, timeless_record, valid_lengths, valid_mask
from ._names import LAYOUT, known
from ._options import whole
from ._words import cast, cut, refuse, said, shape_of, span


def open_record(
    record: Any,
    *,
    lengths: Any = None,
    valid: Any = None,
    time_axis: int = 0,
    class_axis: ClassAxis = None,
    timeless: bool = False,
    **unknown: Any,
) -> Piece:
    """A whole record as one piece; `timeless` records are decisions (*B, C) already."""
    layout(lengths, valid, unknown)
    if isinstance(record, Events):
        laid_out(time_axis, class_axis, "events")
        return open_events(record, lengths, valid)
    if is_ragged(record):
        laid_out(time_axis, class_axis, "a ragged record")
        _no_mask(lengths, valid, "a ragged record")
        record, lengths = padded(record)
    if isinstance(record, Packed):  # of a readout by itself; a loss takes it piece by piece
        laid_out(time_axis, class_axis, "a packed record")
        record = record.unpack()
    x, dtype = working(array("record", record))
    if timeless:
        _no_mask(lengths, valid, "a record without time")
        return Dense(timeless_record(x, time_axis, class_axis), None, 0, 1, dtype)
    return open_piece(time_first(x, time_axis, class_axis), lengths, valid, dtype)


def layout(lengths: Any, valid: Any, unknown: Mapping[str, Any]) -> None:
    """Known options, and one of lengths and a mask."""
    known("the layout", unknown, LAYOUT)
    if lengths is not None and valid is not None:
        refuse("valid", "one of lengths and valid", "both", "Drop one of them.", TypeError)


def open_like(target: Any, piece: Piece, readout: Any, **layout: Any) -> Piece:
    """A record to imitate, in the layout of the record that `piece` is."""
    if not isinstance(target, (Events, Packed)) and not is_ragged(target):
        target = imitated(target, piece.values)
        axes = piece.x.ndim if isinstance(piece, Dense) else len(piece.shape) + 1
        if target.ndim != axes:
            rule = f"a record of {axes} axes to imitate"
            refuse("target", rule, shape_of(target), "Pass spikes like those of the record.")
    other = open_record(target, timeless=readout.timeless, **layout)
    like_record(other, piece)
    return other


def imitated(target: Any, values: Array) -> Array:
    """A record to imitate, beside the values of the record and in their precision."""
    target = beside_record("target", target, values)
    real_kind("target", target)
    return namespace(target).astype(target, values.dtype) if kind(values) == "float" else target


def like_record(target: Piece, piece: Piece) -> None:
    """A target of the shape of the record."""
    shapes = [
        tuple(x.x.shape) if isinstance(x, Dense) else (x.length, *x.shape) for x in (target, piece)
    ]
    if shapes[0] != shapes[1]:
        rule = f"the shape of the record, {tuple(shapes[1])} with time first"
        refuse("target", rule, f"shape {tuple(shapes[0])}", "Pass a record of that shape.")


def open_piece(
    x: Record, lengths: Any, valid: Any, dtype: Any, time: int = 0, start: Steps = 0
) -> Dense:
    """Steps that are laid out already, after `time` others, of which `start` were valid."""
    steps, xp = x.shape[0], namespace(x)
    if lengths is None and valid is None:
        return Dense(x, None, start, start + steps, dtype)
    whole = isinstance(start, int)
    if valid is not None:
        mask = valid_mask(valid, tuple(x.shape[:-1]), x)[..., None]
        end = start + xp.sum(xp.astype(mask, arange(0, x).dtype), axis=0)
        if whole:
            not_empty(end)
        return Dense(xp.where(mask, x, 0), mask, start, end, dtype, gaps=True)
    lengths = valid_lengths(lengths, tuple(x.shape), x, whole)
    mask = numbered(steps, x) + time < lengths
    end = xp.where(lengths < time + steps, lengths, time + steps)
    return Dense(xp.where(mask, x, 0), mask, start, end, dtype)


def open_events(
    events: Events, lengths: Any, valid: Any, time: int = 0, start: Steps = 0
) -> Sparse:
    """Events of some steps, after `time` others, of which `start` were valid."""
    t, sample, neuron, amplitude, dtype = _event_arrays(events)
    xp, sizes = namespace(t), _event_shape(events.shape)
    steps, *shape = sizes
    batch, samples, neurons = tuple(shape[:-1]), math.prod(shape[:-1]), shape[-1]
    _events_inside(sizes, t, sample, neuron)
    inside = (t >= 0) & (t < steps) & (sample >= 0) & (sample < samples)
    inside = inside & (neuron >= 0) & (neuron < neurons)
    sample = xp.where(inside, sample, 0)
    whole, end = isinstance(start, int), start + steps
    if valid is not None:
        mask = xp.reshape(valid_mask(valid, (steps, *batch), amplitude), (steps, samples))
        seen = running_sum(xp.astype(mask, sample.dtype))
        end = start + xp.reshape(seen[-1], (*batch, 1))
        if whole:
            not_empty(end)
        step = as_index(xp.where(inside, xp.floor(t), 0))
        inside = inside & mask[step, sample]
        t = t + xp.astype(seen[step, sample] - 1 - step, t.dtype)
    elif lengths is not None:
        lengths = valid_lengths(lengths, sizes, amplitude, whole)
        inside = inside & (t + time < xp.reshape(lengths, (-1,))[sample])
        end = xp.where(lengths < time + steps, lengths, time + steps)
    if not whole:
        t = t + xp.astype(xp.reshape(start, (-1,))[sample], t.dtype)
    cell = xp.where(inside, sample * neurons + neuron, samples * neurons)
    return Sparse(t, cell, amplitude, tuple(shape), steps, start, end, dtype)


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
    wide = xp.result_type(time.dtype, amplitude.dtype) if sort == "float" else amplitude.dtype
    return xp.astype(time, wide), *index, xp.astype(amplitude, wide), dtype


def _event_shape(shape: Any) -> tuple[int, ...]:
    """The sizes (T, *B, N) of a record, as int."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    known = all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes)
    if not known or len(sizes) < 2 or 0 in (sizes[0], sizes[-1]) or min(sizes) < 0:
        rule = "(time, *batch, neurons) with at least one step and one neuron"
        refuse("shape", rule, cut(repr(shape)), "Pass shape=(T, B, N) of the whole record.")
    return tuple(map(int, sizes))


def _events_inside(shape: tuple[int, ...], time: Array, sample: Array, neuron: Array) -> None:
    """Times of at least 0, samples and neurons of the record; late events are padding."""
    if 0 in time.shape or not checks_values(time, sample, neuron):
        return
    low, high = extent(time)
    if not low >= 0:
        got = span(low, high)
        refuse("time", "steps from 0", got, "Count the first step as 0; drop what is not a number.")
    for name, index, count in (
        ("sample", sample, math.prod(shape[1:-1])),
        ("neuron", neuron, shape[-1]),
    ):
        low, high = extent(index)
        if low < 0 or high >= count:
            fix = f"Correct shape={shape}, or drop the others."
            refuse(name, f"indices from 0 to {count - 1}", span(low, high), fix)


def packed_bits(bits: Any, steps: Any) -> None:
    """Bytes (T / 8 rounded up, *B, N) of which none is left over."""
    shape = tuple(array("bits", bits).shape)
    if str(bits.dtype).rpartition(".")[2] != "uint8":
        refuse("bits", "uint8", bits.dtype, "Write records.Packed.pack(record).", TypeError)
    if len(shape) < 2 or 0 in (shape[0], shape[-1]):
        rule = "(bytes, *batch, neurons) with at least one byte and one neuron"
        refuse("bits", rule, shape_of(bits), "Write records.Packed.pack(record).")
    steps, most = whole("steps", steps), 8 * shape[0]
    if not most - 8 < steps <= most:
        rule = f"from {most - 7} to {most} steps in {shape[0]} bytes"
        refuse("steps", rule, steps, "Pass the T of the record.")


def each_step(target: Array, loss: Any, shape: tuple[int, ...]) -> bool:
    """Whether a target is one of each step of a record (T, *B, N), which is read in pieces."""
    steps = shape[:-1]
    if loss.readout.keeps != "time" or tuple(target.shape[: len(steps)]) != steps:
        return False
    labels = loss.target.labelled or (loss.criterion.of_labels and kind(target) == "integer")
    return labels or target.ndim > len(steps)


def layer(record: Any, class_axis: ClassAxis, timeless: bool = False) -> None:
    """A record of one layer without a target, whose axes must say what they are."""
    shape = () if is_ragged(record) else getattr(record, "shape", ())
    if isinstance(shape, tuple):
        one_layer(len(shape), class_axis, 0 if timeless else 1)


def laid_out(time_axis: int, class_axis: ClassAxis, what: str) -> None:
    class_axis = -1 if class_axis is None else class_axis
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


def no_times(piece: Piece) -> None:
    """A record (T, N) of numbers above 0 that all differ is one of times (B, N), not of spikes."""
    whole = isinstance(piece, Dense) and isinstance(piece.start, int) and len(piece.x) > 1
    x = piece.values
    if not whole or x.ndim != 2 or math.prod(x.shape) < 4 or not checks_values(x):
        return
    xp = namespace(x)
    order = xp.sort(xp.reshape(x, (-1,)))
    if bool(order[0] > 0) and bool(xp.all(order[1:] != order[:-1])):
        rule = "spikes (time, neurons), 0 where there is none"
        fix = "For spike times (batch, neurons) read with readouts.Decided()."
        refuse("record", rule, "numbers that all differ", fix)


def unread(target: Any, record: Any, class_axis: Any, time_axis: int) -> None:
    """A target that a penalty leaves to others is one of the same samples all the same."""
    if isinstance(target, (Events, Packed)) or is_ragged(target) or is_ragged(record):
        return
    rule, fix = "nothing, or the target of the batch, for a penalty", "Drop target."
    if not is_array(target):
        if not isinstance(target, (int, float, list, tuple)):
            refuse("target", rule, said(target), fix, TypeError)
        return
    real_kind("target", target)
    shape = record.shape if is_array(record) or isinstance(record, (Events, Packed)) else ()
    if class_axis is None and len(shape) == 3:
        samples = shape[1 if time_axis in (0, -3) else 0]
        if samples not in tuple(target.shape):
            refuse("target", rule, f"{shape_of(target)} for {samples} samples", fix)


def undecided(readout: object) -> NoReturn:
    """A sequence, or patterns in time, stand for no class."""
    rule, fix = "a readout or target that decides on a class", "Decode the record yourself."
    refuse("loss", rule, type(readout).__name__, fix, TypeError)


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


KEPT = 2**28
"""Numbers that a stream may keep: 1 GiB in float32."""


def window(width: int, step: tuple[int, ...]) -> None:
    """A window whose steps a stream can keep."""
    most = max(KEPT // max(math.prod(step), 1), 1)
    if width > most:
        rule = f"at most {most} steps, which a stream of such records keeps"
        refuse("width", rule, width, f"Choose width <= {most}, or pass the whole record.")


def per_neuron(argument: str, values: Sequence[Any], neurons: int) -> None:
    """As many numbers as neurons."""
    if len(values) != neurons:
        rule, fix = f"{neurons} numbers, one per neuron", "Pass one number per neuron."
        refuse(argument, rule, len(values), fix)


def layers(record: Any, names: Any, *, several: bool) -> list[Any]:
    """The records of a mapping that a loss reads: those with the names, or all."""
    if not isinstance(record, Mapping):
        rule = f"a mapping with the layers {', '.join(names or ())}"
        refuse("record", rule, said(record), "Pass {name: record}, or drop layers.", TypeError)
    known = ", ".join(map(repr, record))
    for name in names or ():
        if name not in record:
            refuse("record", f"a mapping with the layer {name!r}", known, "Correct layers.")
    found = [record[name] for name in names or record]
    if not found:
        refuse("record", "at least one layer", "an empty mapping", "Pass {name: record}.")
    if len(found) > 1 and not several:
        fix = "Choose one, as in loss.replace(layers='output')."
        refuse("record", "one layer for a loss with a target", known, fix)
    return found


def total(terms: Iterable[Array]) -> Array:
    """The sum of losses, which have one shape."""
    first, *rest = terms
    for term in rest:
        if first.shape != term.shape:
            got = f"{tuple(first.shape)} and {tuple(term.shape)}"
            refuse("terms", "losses of one shape", got, "Reduce all to a mean or a sum.")
        first = first + term
    return first
