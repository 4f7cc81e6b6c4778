"""The only input checks, and the only error texts.

Every error reads `<argument>: expected <rule>, got <what>. <one fix>`. Shapes, dtypes and options
are always checked; values where `_backend.checks_values` says that reading them is cheap.
"""

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from numbers import Integral, Real
from typing import Any, NamedTuple, NoReturn, Protocol

from ._backend import (
    arange,
    as_index,
    beside,
    checks_values,
    concrete,
    constant,
    dense,
    device,
    extent,
    is_array,
    kind,
    library,
    like,
    namespace,
    unwrap,
)
from ._shapes import Array, Record, Steps, Valid


class Frame(NamedTuple):
    """A record behind the door: time first, neurons last, float32 or float64, padding zero."""

    x: Record
    valid: Valid | None  # which steps are not padding; None: all
    steps: Steps  # valid steps of each sample, at least 1
    kept: Array | None  # (*B, 1): samples with at least one valid step; None: all
    dtype: Any  # of the result


def refuse(
    argument: str, rule: str, got: object, fix: str, error: type[Exception] = ValueError
) -> NoReturn:
    """Raise the error that every check raises."""
    raise error(f"{argument}: expected {rule}, got {got}. {fix}")


# ---- options, checked when a stage is made


def option(owner: object, name: str, check: Callable[..., Any], *rule: Any, **limits: Any) -> None:
    """Check an option of a frozen stage, and keep it as the plain Python value it stands for."""
    object.__setattr__(owner, name, check(name, getattr(owner, name), *rule, **limits))


def number(argument: str, value: Any, *, low: float = -math.inf, above: float = -math.inf,
           high: float = math.inf) -> int | float:  # fmt: skip
    """A finite real number with low <= value <= high and value > above, as int or float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Real)):
        refuse(argument, "a number", _name(value), f"Pass {argument} as int or float.", TypeError)
    plain = int(value) if isinstance(value, (int, Integral)) else float(value)
    if abs(plain) <= sys.float_info.max and low <= plain <= high and plain > above:
        return plain
    if high < math.inf:
        rule, fix = f"a number from {low:g} to {high:g}", f"{low:g} <= {argument} <= {high:g}"
    elif above > -math.inf:
        rule, fix = f"a finite number above {above:g}", f"{argument} > {above:g}"
    elif low > -math.inf:
        rule, fix = f"a finite number of at least {low:g}", f"{argument} >= {low:g}"
    else:
        rule, fix = "a finite number", f"a finite {argument}"
    refuse(argument, rule, _name(plain), f"Choose {fix}.")


def whole(argument: str, value: Any, *, low: int | None = None) -> int:
    """An integer, at least `low`, as int."""
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        refuse(argument, "an integer", _name(value), f"Pass {argument} as int.", TypeError)
    if low is not None and value < low:
        rule = f"an integer of at least {low}"
        refuse(argument, rule, int(value), f"Choose {argument} >= {low}.")
    return int(value)


def flag(argument: str, value: Any) -> bool:
    """True or False."""
    return bool(choice(argument, value, (True, False)))


def choice(argument: str, value: Any, names: Sequence[str | int]) -> Any:
    """The one of the names that equals the value."""
    with suppress(KeyError, TypeError):  # TypeError: what cannot be hashed is no name
        return {name: name for name in names}[value]
    listed = ", ".join(repr(name) for name in names[:-1]) + f" or {names[-1]!r}"
    refuse(argument, listed, _name(value), f"Write {argument}={names[0]!r}.")


_REDUCTIONS = {
    "mean": "reductions.Mean()",
    "sum": "reductions.Sum()",
    "none": "reductions.Each()",
}


def stage(argument: str, value: Any, base: type, example: str) -> Any:
    """An instance of a kind of stage."""
    if isinstance(value, base):
        return value
    fix = f"Choose one from spikeloss.{example.partition('.')[0]}."
    if isinstance(value, type) and issubclass(value, base):
        fix = f"Make one, as in {example}."
    elif argument == "reduction" and isinstance(value, str) and value in _REDUCTIONS:
        fix = f"Write reduction={_REDUCTIONS[value]}."
    rule = f"a {base.__name__.lower()} such as {example}"
    refuse(argument, rule, _name(value), fix, TypeError)


def times_read(readout: Any) -> None:
    """A target in steps needs a readout of spike times that are coded as times."""
    if not readout.smaller_decides:
        rule = "a readout of spike times in code 'time'"
        fix = "Read with readouts.FirstSpike() or readouts.SpikeTimes()."
        refuse("target", rule, _cut(repr(readout)), fix, TypeError)


def weights_option(argument: str, weights: Any) -> tuple[float, ...] | None:
    """Class weights, a sequence or an array, as a tuple of floats."""
    if weights is None:
        return None
    if is_array(weights):
        if not concrete(weights):
            fix = "Pass it when the loss is called."
            refuse(argument, "numbers", "an array without values", fix, TypeError)
        weights = unwrap(weights).tolist()
    if isinstance(weights, (str, bytes)) or not isinstance(weights, Sequence):
        fix = "Pass one number per class, as in (1.0, 2.0, 0.5)."
        refuse(argument, "a sequence of numbers", _name(weights), fix, TypeError)
    entries = enumerate(weights)
    return tuple(float(number(f"{argument}[{i}]", weight, low=0.0)) for i, weight in entries)


def terms(argument: str, value: Any, base: type) -> tuple[tuple[float, Any], ...]:
    """Pairs (factor, loss), at least one."""
    pairs = isinstance(value, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in value)
    if not pairs or not value:
        rule, fix = "a tuple of pairs (factor, loss)", "Write a sum, as in loss + 0.1 * other."
        refuse(argument, rule, _cut(repr(value)), fix, TypeError)
    return tuple(
        (number("factor", factor), stage(argument, loss, base, "presets.ce_count()"))
        for factor, loss in value
    )


def summable(total: Array, term: Array) -> None:
    """The losses of a sum have one shape."""
    if total.shape != term.shape:
        got, fix = f"{tuple(total.shape)} and {tuple(term.shape)}", "Reduce all to a mean or a sum."
        refuse("terms", "losses of one shape", got, fix)


# ---- the record


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
        fix = f"Write {_module(value[0])}.stack({argument})." if steps else (
            f"Pass one of them, as in {argument}[0]."
        )  # fmt: skip
    elif value is None or isinstance(value, (str, type)):
        fix = "Pass an array (time, *batch, neurons)."
    refuse(argument, rule, _name(value), fix, TypeError)


def _working(x: Array) -> tuple[Array, Any]:
    """The record in the dtype of the computation, and the dtype of the result."""
    if not dense(x):
        refuse("record", "a dense tensor", x.layout, "Write record.to_dense().", TypeError)
    xp, sort = namespace(x), _real("record", x)
    result = x.dtype if sort in ("float", "half") else xp.float32
    return x if sort == "float" else xp.astype(x, xp.float32), result


def _real(argument: str, x: Array) -> str:
    """The kind of the dtype, which is none of complex numbers or objects."""
    sort = kind(x)
    if sort == "other":
        rule = "a real floating, integer or bool dtype"
        refuse(argument, rule, x.dtype, _cast(argument, x, "float"), TypeError)
    return sort


def _time_first(x: Array, time_axis: int, class_axis: int) -> Record:
    shape = tuple(x.shape)
    if len(shape) < 2:
        rule, fix = "2 axes or more, (time, *batch, neurons)", "Keep the axes of time and neurons."
        refuse("record", rule, _shape(x), fix)
    time, neurons = _axis("time_axis", time_axis, shape), _axis("class_axis", class_axis, shape)
    if time == neurons:
        got = f"axis {time} for both, in a record of shape {shape}"
        refuse("class_axis", "another axis than time_axis", got, "Name two axes of the record.")
    if time != 0 or neurons != len(shape) - 1:
        x = namespace(x).moveaxis(x, (time, neurons), (0, -1))
    if shape[time] == 0 or shape[neurons] == 0:
        rule, fix = "at least one step and one neuron", "Record at least one step of one neuron."
        refuse("record", rule, _shape(x), fix)
    return x


def _timeless(x: Array, lengths: Any, time_axis: int, class_axis: int) -> Record:
    """A record without time, as one of a single step."""
    if lengths is not None or time_axis != 0:
        name, got = ("lengths", lengths) if lengths is not None else ("time_axis", time_axis)
        refuse(name, "nothing for a record without time", _name(got), f"Drop {name}.")
    shape = tuple(x.shape)
    if not shape or shape[_axis("class_axis", class_axis, shape)] == 0:
        rule = "(*batch, classes) with at least one class"
        refuse("record", rule, _shape(x), "Keep the axis of classes.")
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
        rule = f"{_per_sample(batch, 'length')} of the record {tuple(x.shape)}"
        fix = _batch_first(lengths.shape, batch, x.shape[0], "Pass one length per sample.")
        refuse("lengths", rule, _shape(lengths), fix)
    if sort != "integer":
        refuse("lengths", "integers", lengths.dtype, _cast("lengths", lengths, "int"), TypeError)
    lengths = as_index(lengths)
    if checks_values(lengths) and 0 not in lengths.shape:
        low, high = extent(lengths)
        if low < 1 or high > x.shape[0]:
            fix = "Drop the empty samples." if low < 1 else f"Cut them to {x.shape[0]}."
            refuse("lengths", f"values from 1 to {x.shape[0]}", _span(low, high), fix)
    return lengths[..., None]


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


# ---- the target


class _Reading(Protocol):
    """A decision with its axes; `readouts.Reading` is one."""

    @property
    def z(self) -> Array: ...
    @property
    def keeps(self) -> str | None: ...
    @property
    def steps(self) -> Steps: ...
    @property
    def batch(self) -> tuple[int, ...]: ...


def class_labels(
    target: Any, reading: _Reading, ignore: int | None = None, argument: str = "target"
) -> Array:
    """Class indices, one per sample or, if the decision keeps time, one per step."""
    return _labels(argument, beside_record(argument, target, reading.z), reading, ignore)


def class_target(target: Any, reading: _Reading, ignore: int | None) -> Array:
    """Class indices (integers), or probabilities with a last axis of classes."""
    z, batch = reading.z, reading.batch
    y = beside_record("target", target, z)
    if y.shape == batch or y.shape not in (z.shape, (*batch, z.shape[-1])):
        return _labels("target", y, reading, ignore, soft=True)
    if y.shape == z.shape[:-1] and kind(y) == "integer":  # T steps, as many as samples, as classes
        return _labels("target", y, reading, ignore, soft=True)
    if ignore is not None:
        rule, fix = "class indices beside ignore_index", "Write target.argmax(-1)."
        refuse("target", rule, "probabilities", fix)
    return _numbers(y, reading)


def _labels(
    argument: str, label: Array, reading: _Reading, ignore: int | None, soft: bool = False
) -> Array:
    """Labels as indices; `soft` where probabilities would do too."""
    z, batch = reading.z, reading.batch
    steps = tuple(z.shape[:-1]) if reading.keeps == "time" else batch
    if label.shape not in (batch, steps):
        rule = _per_sample(batch, "label")
        rule += f", or {steps}, one per step" if steps != batch else ""
        rule += f", or probabilities {(*batch, z.shape[-1])}" if soft else ""
        fix = _batch_first(label.shape, batch, reading.steps, "Pass one label per sample.")
        if label.shape[-1:] == (1,) and label.shape[:-1] in (batch, steps):
            fix = f"Write {argument}[..., 0]."
        elif label.shape[-1:] == z.shape[-1:] and label.shape[:-1] in (batch, steps):
            fix = f"Write {argument}.argmax(-1)."
        elif soft and kind(label) == "float" and label.shape[:-1] in (batch, steps):
            fix = "Give every class a probability."
        refuse(argument, rule, _shape(label), fix)
    if kind(label) != "integer":
        fix = _cast(argument, label, "int")
        refuse(argument, "integer class labels", label.dtype, fix, TypeError)
    label = as_index(label)
    _in_range(argument, label, z.shape[-1], ignore, soft)
    return label


def _in_range(argument: str, label: Array, classes: int, ignore: int | None, soft: bool) -> None:
    if not checks_values(label) or 0 in label.shape:
        return
    if ignore is not None:
        label = namespace(label).where(label == ignore, 0, label)
    low, high = extent(label)
    if low >= 0 and high < classes:
        return
    fix = f"Use at least {high + 1} classes."
    if low < 0:
        fix = "Drop the negative labels."
        if soft and ignore is None:
            fix = f"Skip it with criteria.CrossEntropy(ignore_index={low})."
    elif low == 1 and high == classes:
        fix = f"Write {argument} - 1."
    refuse(argument, f"labels from 0 to {classes - 1}", _span(low, high), fix)


def values(target: Any, reading: _Reading) -> Array:
    """Numbers to compare a decision with, for each sample or like the whole decision."""
    return _numbers(beside_record("target", target, reading.z), reading)


def spike_times(target: Any, reading: _Reading) -> Array:
    """Spike times like the decision; those of one sample, (N), stand for every sample."""
    z = reading.z
    y = beside_record("target", target, z)
    if y.shape == z.shape[-1:]:
        y = namespace(z).broadcast_to(y, z.shape)
    y = _numbers(y, reading, "OnOffTime")
    _times_inside(y, reading.steps)
    return y


def _numbers(y: Array, reading: _Reading, by_class: str = "OnOff") -> Array:
    z, batch = reading.z, reading.batch
    each = (*batch, z.shape[-1])
    if y.shape not in (z.shape, each):
        rule = f"numbers of shape {each}" + ("" if z.shape == each else f" or {tuple(z.shape)}")
        fix = "Pass one number per sample and neuron."
        if y.shape in (batch, z.shape[:-1]):
            fix = f"For class labels write target=targets.{by_class}()."
        refuse("target", rule, _shape(y), fix)
    _real("target", y)
    return namespace(z).astype(y, z.dtype, copy=False)


def _times_inside(time: Array, steps: Steps) -> None:
    """-n <= time <= n - 1 in every sample."""
    varied = not isinstance(steps, int)
    if 0 in time.shape or not checks_values(time, *((steps,) if varied else ())):
        return
    if bool(namespace(time).all((time >= -steps) & (time <= steps - 1))):
        return
    within = "-n to n - 1, n the length of the sample" if varied else f"{-steps} to {steps - 1}"
    rule, fix = f"spike times from {within}", "Count the first step as 0, the last as -1."
    refuse("target", rule, _span(*extent(time)), fix)


def steps_option(argument: str, value: Any) -> int | tuple[int, ...]:
    """A step, or a tuple of one or more."""
    if isinstance(value, tuple):
        if not value:
            refuse(argument, "at least one step", "()", "Give the step of the first spike.")
        return tuple(whole(f"{argument}[{i}]", step) for i, step in enumerate(value))
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        rule, fix = "an integer or a tuple of integers", f"Pass {argument} as int or tuple."
        refuse(argument, rule, _name(value), fix, TypeError)
    return int(value)


def pairs_option(on: int | tuple[int, ...], off: int | tuple[int, ...]) -> None:
    """As many steps for the label as for the other classes."""
    many = [len(steps) if isinstance(steps, tuple) else 0 for steps in (on, off)]
    if many[0] != many[1]:
        rule, fix = f"as many steps as on={_cut(repr(on))}", "Give on and off the same number."
        refuse("off", rule, _cut(repr(off)), fix)


def spike_pairs(on: Any, off: Any, count: int) -> list[tuple[int, int]]:
    """The pairs of steps of each spike; as many as the readout gives."""
    pairs = list(zip(on, off, strict=True)) if isinstance(on, tuple) else [(on, off)]
    if len(pairs) != count:
        rule = f"steps of {count} spike{'' if count == 1 else 's'}, as many as are read"
        fix = f"Read with readouts.SpikeTimes(count={len(pairs)})."
        refuse("target", rule, len(pairs), fix)
    return pairs


def steps_inside(pairs: list[tuple[int, int]], steps: Steps) -> None:
    """-n <= step <= n - 1 for every step, and every sample where lengths can be read."""
    where = "the record"
    if not isinstance(steps, int):
        if not checks_values(steps) or 0 in steps.shape:
            return
        steps, where = int(extent(steps)[0]), "the shortest sample"
    for pair in pairs:
        for argument, step in zip(("on", "off"), pair, strict=True):
            if not -steps <= step < steps:
                rule = f"a step of {where}, from {-steps} to {steps - 1}"
                refuse(argument, rule, step, f"Choose {-steps} <= {argument} < {steps}.")


def rate(full: Any) -> Any:
    """A rate target needs a readout that firing at every step drives to a number."""
    if full is None:
        fix = "Write target=targets.OnOffTime()."
        refuse("target", "a readout of rates for OnOffRate", "one of spike times", fix, TypeError)
    return full


# ---- weights


def class_weights(weights: Any, z: Array) -> Array:
    """Class weights as an array (C,) beside the decision; traced ones stay traced."""
    if is_array(weights) and library(weights) in (library(z), "torch", "jax"):
        w = beside_record("class_weight", weights, z)
    else:
        w = like(weights_option("class_weight", weights), z)
    if w.shape != z.shape[-1:]:
        rule = f"{z.shape[-1]} weights, one per class"
        refuse("class_weight", rule, _shape(w), "Pass one weight per class.")
    _real("class_weight", w)
    if checks_values(w):
        low, high = extent(w)
        if not 0 <= low <= high < math.inf:
            rule, fix = "finite weights of at least 0", "Choose class_weight >= 0."
            refuse("class_weight", rule, _span(low, high), fix)
    return like(w, z)


def sample_weights(weights: Any, reading: _Reading) -> Array:
    """Sample weights as an array (*B, 1)."""
    z, batch = reading.z, reading.batch
    w = beside_record("sample_weight", weights, z)
    if tuple(w.shape) != batch:
        fix = "Pass one weight per sample."
        refuse("sample_weight", _per_sample(batch, "weight"), _shape(w), fix)
    _real("sample_weight", w)
    return namespace(z).astype(w, z.dtype, copy=False)[..., None]


def no_labels() -> NoReturn:
    """Class weights need class labels."""
    rule, fix = "None for a target without class labels", "Weigh samples with sample_weight."
    refuse("class_weight", rule, "weights", fix)


# ---- arrays beside the record


def beside_record(argument: str, value: Any, x: Array) -> Array:
    """`value` as an array of the library and the device of `x`; nothing is moved."""
    if not is_array(value):
        return _listed(argument, value, x)
    value, ours, theirs = unwrap(value), library(x), library(value)
    if ours != theirs:
        if (ours, theirs) == ("jax", "numpy") and kind(value) != "other":
            return beside(value, x)
        which, call = (argument, _module(x)) if ours != "numpy" else ("record", _module(value))
        convert = "as_tensor" if call == "torch" else "asarray"
        fix = f"Write {call}.{convert}({which})."
        refuse(argument, f"{_article(x)} like the record", _article(value), fix, TypeError)
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
    fix = "Write it as numbers, in rows of one length." if listed else f"Pass {_article(x)}."
    got = _cut(repr(value)) if listed else _name(value)
    refuse(argument, f"{_article(x)} like the record", got, fix, TypeError)


# ---- words


def _name(value: Any) -> str:
    """What came, in a few words."""
    if value is None or isinstance(value, (str, int, float, complex)):
        return _cut(repr(value))
    if is_array(value):
        return _article(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    package, _, module = type(value).__module__.partition(".")
    return f"{module}.{type(value).__name__}" if package == "spikeloss" else type(value).__name__


def _shape(x: Array) -> str:
    return f"shape {tuple(x.shape)}"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:55]}[...]"


def _span(low: float, high: float) -> str:
    """The range of what came."""
    first, last = (str(end) if isinstance(end, int) else f"{end:g}" for end in (low, high))
    return first if first == last else f"{first} to {last}"


def _per_sample(batch: tuple[int, ...], word: str) -> str:
    if len(batch) == 1:
        return f"{batch[0]} {word}{'' if batch[0] == 1 else 's'}, one per sample"
    return f"{word}s {batch}, one per sample" if batch else f"one {word}, as there is no batch axis"


def _batch_first(shape: Sequence[int], batch: tuple[int, ...], steps: Steps, fix: str) -> str:
    """The fix, or another one where a sample seems to have been taken for a step."""
    first = len(batch) == 1 and isinstance(steps, int) and tuple(shape) == (steps,) != (1,)
    return "Pass time_axis=1 if the record is (batch, time, neurons)." if first else fix


def _article(x: Array) -> str:
    return {"torch": "a torch tensor", "jax": "a JAX array", "numpy": "a NumPy array"}[library(x)]


def _module(x: Array) -> str:
    return {"torch": "torch", "jax": "jax.numpy", "numpy": "numpy"}[library(x)]


def _cast(argument: str, x: Array, to: str) -> str:
    if "complex" in str(x.dtype):
        return f"Write {argument}.real."
    if library(x) == "torch":
        return f"Write {argument}.{'long' if to == 'int' else 'float'}()."
    return f"Write {argument}.astype({'int' if to == 'int' else repr('float32')})."
