"""Checks of how a record is laid out, and of which steps are valid."""

from typing import Any

from spikeloss._backend import as_index, checks_values, extent, kind, namespace
from spikeloss._shapes import Array, Record

from ._array import beside_record
from ._options import whole as whole_number
from ._words import batch_first, cast, per_sample, refuse, said, shape_of, span


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


def timeless_record(x: Array, time_axis: int, class_axis: int) -> Record:
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
    axis, count = whole_number(argument, axis), len(shape)
    if not -count <= axis < count:
        rule = f"an axis of a record of shape {shape}"
        refuse(argument, rule, axis, f"Choose {argument} from {-count} to {count - 1}.")
    return axis % count


def valid_lengths(lengths: Any, shape: tuple[int, ...], x: Array, whole: bool) -> Array:
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


def valid_mask(valid: Any, shape: tuple[int, ...], x: Array) -> Array:
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


def steps_of(
    lengths: Any, valid: Any, shape: tuple[int, ...], x: Array
) -> tuple[Array | None, Array | None]:
    """Lengths (*B) and a mask (T, *B) of a record of that shape, which nobody reads at once."""
    if lengths is not None:
        lengths = valid_lengths(lengths, shape, x, whole=True)[..., 0]
    if valid is not None:
        valid = valid_mask(valid, shape[:-1], x)
        not_empty(namespace(valid).sum(as_index(valid), axis=0))
    return lengths, valid


def not_empty(count: Array) -> None:
    """At least one valid step of every sample."""
    if 0 not in count.shape and checks_values(count) and extent(count)[0] < 1:
        refuse("valid", "a valid step in every sample", "none in some", "Drop the empty samples.")
