"""Checks of how a record is laid out, and of which steps are valid."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from spikeloss._backend import as_index, checks_values, extent, kind, namespace
from spikeloss._shapes import Array, ClassAxis, Record

from ._array import beside_record
from ._names import LAYOUT, known
from ._options import integer
from ._words import batch_first, cast, per_sample, refuse, said, shape_of, span


class Axes(NamedTuple):
    """Where the axes of a record are."""

    time: int | None
    """None: it has no time."""
    neurons: tuple[int, ...]
    """Flattened in their order."""


def time_axes(shape: tuple[int, ...], time_axis: int, class_axis: ClassAxis) -> Axes | None:
    """The axes of a record that has time; None where it is (T, *B, N)."""
    if len(shape) < 2:
        rule, fix = "2 axes or more, (time, *batch, neurons)", "Keep the axes of time and neurons."
        refuse("record", rule, f"shape {shape}", fix)
    time, neurons = _axis("time_axis", time_axis, shape), _axes(class_axis, shape)
    if time in neurons:
        got = f"axis {time} for both, in a record of shape {shape}"
        refuse("class_axis", "another axis than time_axis", got, "Name two axes of the record.")
    usual = time == 0 and neurons == (len(shape) - 1,)
    _not_empty_axes(shape, Axes(time, neurons))
    return None if usual else Axes(time, neurons)


def _not_empty_axes(shape: tuple[int, ...], axes: Axes) -> None:
    """At least one step and one neuron."""
    if 0 in (shape[axes.time or 0], *(shape[axis] for axis in axes.neurons)):
        batch = [n for i, n in enumerate(shape) if i != axes.time and i not in axes.neurons]
        first = (shape[axes.time or 0], *batch, math.prod(shape[axis] for axis in axes.neurons))
        rule, fix = "at least one step and one neuron", "Record at least one step of one neuron."
        refuse("record", rule, f"shape {first}", fix)


def timeless_axes(shape: tuple[int, ...], time_axis: int, class_axis: ClassAxis) -> Axes:
    """The axes of a record without time."""
    if time_axis != 0:
        fix = "Drop time_axis."
        refuse("time_axis", "nothing for a record without time", said(time_axis), fix)
    if not shape or 0 in (shape[axis] for axis in _axes(class_axis, shape)):
        rule = "(*batch, classes) with at least one class"
        refuse("record", rule, f"shape {shape}", "Keep the axis of classes.")
    return Axes(None, _axes(class_axis, shape))


def moved(x: Array, axes: Axes) -> Record:
    """The record (T, *B, N), from those axes; as a single step what has no time."""
    if axes.time is None:
        return _neurons_last(x, axes.neurons)[None, ...]
    return _neurons_last(namespace(x).moveaxis(x, axes.time, 0), _after(axes.time, axes.neurons))


def time_first(x: Array, time_axis: int, class_axis: ClassAxis) -> Record:
    """The record (T, *B, N); of several axes of neurons one, flattened in their order."""
    axes = time_axes(tuple(x.shape), time_axis, class_axis)
    return x if axes is None else moved(x, axes)


def _neurons_last(x: Array, neurons: tuple[int, ...]) -> Array:
    """The axes of neurons as the last one, flattened in their order."""
    if neurons == (x.ndim - 1,):
        return x
    count, xp = len(neurons), namespace(x)
    x = xp.moveaxis(x, neurons, tuple(range(-count, 0)))
    rest, sizes = tuple(x.shape[:-count]), tuple(x.shape[-count:])
    return x if count == 1 else xp.reshape(x, (*rest, math.prod(sizes)))


def _after(time: int, neurons: tuple[int, ...]) -> tuple[int, ...]:
    """Where axes are once that of time is the first."""
    return tuple(axis + 1 if axis < time else axis for axis in neurons)


def of_step(class_axis: ClassAxis) -> ClassAxis:
    """The axes of a step, once it has an axis of time in front."""
    if isinstance(class_axis, tuple):
        return tuple(axis + 1 if axis >= 0 else axis for axis in class_axis)
    known = isinstance(class_axis, int) and class_axis >= 0
    return class_axis + 1 if known and class_axis is not None else class_axis


def one_layer(
    shape: tuple[int, ...], class_axis: ClassAxis, steps: int = 1, name: str | None = None
) -> None:
    """Axes between time and neurons could be of neurons too: where no target tells, say so."""
    if class_axis is not None or len(shape) <= steps + 2:
        return
    record = "a record" if name is None else f"record[{name!r}]"
    rule = f"the axes of neurons of {record} of {len(shape)} axes, as there is no target to tell"
    mended = f"class_axis={tuple(range(steps + 1, len(shape)))}"
    if name is not None:  # axes are those of every layer
        mended = f"{record}.reshape({', '.join(map(str, shape[: steps + 1]))}, -1)"
    fix = f"Pass {mended} if these are neurons, or class_axis=-1 if only the last is."
    refuse("class_axis", rule, None, fix)


def _axes(class_axis: ClassAxis, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of neurons, each once."""
    given = class_axis if isinstance(class_axis, tuple) else (class_axis,)
    if not given:
        refuse("class_axis", "an axis, or several", "()", "Name the axes of neurons.")
    axes = tuple(_axis("class_axis", -1 if axis is None else axis, shape) for axis in given)
    if len(set(axes)) < len(axes):
        got = f"{class_axis}, in a record of shape {shape}"
        refuse("class_axis", "different axes", got, "Name each axis of neurons once.")
    return axes


def _axis(argument: str, axis: int, shape: tuple[int, ...]) -> int:
    axis, count = integer(argument, axis), len(shape)
    if not -count <= axis < count:
        rule = f"an axis of a record of shape {shape}"
        refuse(argument, rule, axis, f"Choose {argument} from {-count} to {count - 1}.")
    return axis % count


def _fitting_lengths(
    lengths: Any, batch: tuple[int, ...], x: Array, shape: tuple[int, ...]
) -> Array:
    """Lengths (*B), integers beside a record of that shape; they are not read."""
    lengths, steps = beside_record("lengths", lengths, x), shape[0]
    sort = kind(lengths)
    if sort == "bool" and tuple(lengths.shape[1:]) == batch:
        refuse("lengths", "integers", "a mask of the steps", "Pass it as valid.", TypeError)
    if tuple(lengths.shape) != batch:
        rule = f"{per_sample(batch, 'length')} of the record {shape}"
        fix = batch_first(lengths.shape, batch, steps, "Pass one length per sample.")
        refuse("lengths", rule, shape_of(lengths), fix)
    if sort != "integer":
        refuse("lengths", "integers", lengths.dtype, cast("lengths", lengths, "int"), TypeError)
    return lengths


def held_lengths(
    lengths: Any, shape: tuple[int, ...], x: Array, *, part: bool, known: bool = False
) -> tuple[Array, bool]:
    """Lengths (*B, 1) of a record of that shape, or of which that is a part, as indices.

    They hold from 1 to its steps, of a part at least 1; and whether that is known. `known`: whether
    others of this kind, shape and place have been found to fit.
    """
    known = known and type(lengths) is type(x)  # not in a container
    fit = lengths if known else _fitting_lengths(lengths, shape[1:-1], x, shape)
    lengths = as_index(fit)
    checked = checks_values(lengths)
    if checked and 0 not in lengths.shape:
        low, high = extent(lengths)
        if low < 1 or (not part and high > shape[0]):
            rule = "values of at least 1" if part else f"values from 1 to {shape[0]}"
            fix = "Drop the empty samples." if low < 1 else f"Cut them to {shape[0]}."
            refuse("lengths", rule, span(low, high), fix)
    return lengths[..., None], checked


def fitting_mask(valid: Any, shape: tuple[int, ...], x: Array) -> Array:
    """The mask of the steps, bool (T, *B); it is not read."""
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


def not_empty(count: Array) -> bool:
    """At least one valid step of every sample; whether that is known."""
    checked = checks_values(count)
    if checked and 0 not in count.shape and extent(count)[0] < 1:
        refuse("valid", "a valid step in every sample", "none in some", "Drop the empty samples.")
    return checked


def layout(lengths: Any, valid: Any, unknown: Mapping[str, Any]) -> None:
    """Known options, and one of lengths and a mask."""
    known("the layout", unknown, LAYOUT)
    if lengths is not None and valid is not None:
        refuse("valid", "one of lengths and valid", "both", "Drop one of them.", TypeError)


def usual_axes(time_axis: int, class_axis: ClassAxis, what: str) -> None:
    """Axes that cannot be otherwise."""
    class_axis = -1 if class_axis is None else class_axis
    for name, axis, usual in (("time_axis", time_axis, 0), ("class_axis", class_axis, -1)):
        if axis != usual or not isinstance(axis, int):
            refuse(name, f"no other than {usual} for {what}", axis, f"Drop {name}.")


def no_mask(lengths: Any, valid: Any, what: str) -> None:
    """Neither lengths nor a mask."""
    for name, value in (("lengths", lengths), ("valid", valid)):
        if value is not None:
            refuse(name, f"nothing for {what}", said(value), f"Drop {name}.")
