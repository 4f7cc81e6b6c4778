"""Checks of the record and of what lies beside it."""

import math
from contextlib import suppress
from typing import Any, NamedTuple

from spikeloss._backend import (
    arange,
    as_index,
    beside,
    checks_values,
    constant,
    dense,
    device,
    extent,
    is_array,
    kind,
    library,
    namespace,
    unwrap,
)
from spikeloss._shapes import Array, Record, Steps, Valid

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


class Frame(NamedTuple):
    """A record behind the door: time first, neurons last, float32 or float64, padding zero."""

    x: Record
    valid: Valid | None  # which steps are not padding; None: all
    steps: Steps  # valid steps of each sample, at least 1
    kept: Array | None  # (*B, 1): samples with at least one valid step; None: all
    dtype: Any  # of the result


def open_record(
    record: Any,
    *,
    lengths: Any = None,
    time_axis: int = 0,
    class_axis: int = -1,
    timeless: bool = False,
    **unknown: Any,
) -> Frame:
    """The record as every stage wants it; `timeless` records are decisions (*B, C) already."""
    if unknown:
        rule, got = "lengths, time_axis or class_axis", ", ".join(unknown)
        refuse("layout", rule, got, "Correct the name.", TypeError)
    x = array("record", record)
    x, dtype = _working(x)
    if timeless:
        x = _timeless(x, lengths, time_axis, class_axis)
    else:
        x = _time_first(x, time_axis, class_axis)
    if lengths is None:
        return Frame(x, None, x.shape[0], None, dtype)
    xp = namespace(x)
    lengths = _lengths(lengths, x)
    t = xp.reshape(arange(x.shape[0], x), (x.shape[0],) + (1,) * (x.ndim - 1))
    valid = t < lengths
    kept = lengths > 0
    steps = xp.astype(xp.where(kept, lengths, 1), x.dtype, copy=False)
    return Frame(xp.where(valid, x, 0), valid | (t == 0), steps, kept, dtype)


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


def _working(x: Array) -> tuple[Array, Any]:
    """The record in the dtype of the computation, and the dtype of the result."""
    if not dense(x):
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


def _time_first(x: Array, time_axis: int, class_axis: int) -> Record:
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


def _timeless(x: Array, lengths: Any, time_axis: int, class_axis: int) -> Record:
    """A record without time, as one of a single step."""
    if lengths is not None or time_axis != 0:
        name, got = ("lengths", lengths) if lengths is not None else ("time_axis", time_axis)
        refuse(name, "nothing for a record without time", said(got), f"Drop {name}.")
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


def _lengths(lengths: Any, x: Record) -> Array:
    """The lengths as integers (*B, 1)."""
    lengths, batch = beside_record("lengths", lengths, x), tuple(x.shape[1:-1])
    sort = kind(lengths)
    if sort == "bool" and lengths.shape == x.shape[:-1]:
        refuse("lengths", "integers", "a mask of the steps", "Write lengths.sum(0).", TypeError)
    if tuple(lengths.shape) != batch:
        rule = f"{per_sample(batch, 'length')} of the record {tuple(x.shape)}"
        fix = batch_first(lengths.shape, batch, x.shape[0], "Pass one length per sample.")
        refuse("lengths", rule, shape_of(lengths), fix)
    if sort != "integer":
        refuse("lengths", "integers", lengths.dtype, cast("lengths", lengths, "int"), TypeError)
    lengths = as_index(lengths)
    if checks_values(lengths) and 0 not in lengths.shape:
        low, high = extent(lengths)
        if low < 1 or high > x.shape[0]:
            fix = "Drop the empty samples." if low < 1 else f"Cut them to {x.shape[0]}."
            refuse("lengths", f"values from 1 to {x.shape[0]}", span(low, high), fix)
    return lengths[..., None]


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


def spikes(x: Record) -> None:
    """A record in which a spike is any non-zero entry must be finite."""
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


def summable(total: Array, term: Array) -> None:
    """The losses of a sum have one shape."""
    if total.shape != term.shape:
        got, fix = f"{tuple(total.shape)} and {tuple(term.shape)}", "Reduce all to a mean or a sum."
        refuse("terms", "losses of one shape", got, fix)
