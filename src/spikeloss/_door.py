"""The only input checks, and the only error texts.

Every error reads `<argument>: expected <rule>, got <what>. <one fix>`. Shapes, dtypes and options
are always checked; values where `_backend.checks_values` says that reading them is cheap.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

from ._backend import (
    arange,
    as_index,
    checks_values,
    constant,
    device,
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


def refuse(argument: str, rule: str, got: object, fix: str, error: type[Exception]) -> NoReturn:
    """Raise the error that every check raises."""
    raise error(f"{argument}: expected {rule}, got {got}. {fix}")


def _wrong(argument: str, rule: str, got: object, fix: str) -> NoReturn:
    refuse(argument, rule, got, fix, ValueError)


def _wrong_type(argument: str, rule: str, got: object, fix: str) -> NoReturn:
    refuse(argument, rule, got, fix, TypeError)


# ---- options, checked when a stage is made


def number(argument: str, value: Any, *, low: float = -math.inf, above: float = -math.inf,
           high: float = math.inf) -> None:  # fmt: skip
    """A finite real number with low <= value <= high and value > above."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _wrong_type(argument, "a number", _name(value), f"Pass {argument} as int or float.")
    inside = math.isfinite(value) and low <= value <= high and value > above
    if not inside:
        rule = "a finite number"
        if low > -math.inf:
            rule = f"a number of at least {low:g}"
        if above > -math.inf:
            rule = f"a number above {above:g}"
        if high < math.inf:
            rule = f"a number from {low:g} to {high:g}"
        _wrong(argument, rule, value, f"Choose {argument} in that range.")


def whole(argument: str, value: Any, *, low: int | None = None) -> None:
    """An integer, at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int):
        _wrong_type(argument, "an integer", _name(value), f"Pass {argument} as int.")
    if low is not None and value < low:
        _wrong(argument, f"an integer of at least {low}", value, f"Choose {argument} >= {low}.")


def flag(argument: str, value: Any) -> None:
    if not isinstance(value, bool):
        _wrong_type(argument, "True or False", _name(value), f"Pass {argument} as bool.")


def choice(argument: str, value: Any, names: Sequence[str | int]) -> None:
    if value not in names:
        listed = ", ".join(repr(name) for name in names[:-1]) + f" or {names[-1]!r}"
        _wrong(argument, listed, repr(value), f"Write {argument}={names[0]!r}.")


def stage(argument: str, value: Any, base: type, example: str) -> None:
    if not isinstance(value, base):
        got = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        rule = f"a {base.__name__.lower()} such as {example}"
        _wrong_type(argument, rule, got, f"Write {argument}={example}.")


def weights_option(weights: Any) -> tuple[float, ...]:
    """Class weights given when a loss is made, as a tuple of plain numbers."""
    fix = "Pass one number per class, as in (1.0, 2.0, 0.5)."
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        _wrong_type("class_weight", "a sequence of numbers", _name(weights), fix)
    values = tuple(float(weight) for weight in weights)
    if not all(math.isfinite(value) and value >= 0 for value in values):
        _wrong("class_weight", "finite weights of at least 0", values, fix)
    return values


def terms(value: Any, base: type) -> None:
    """Pairs (factor, loss), at least one."""
    if not isinstance(value, tuple) or not value:
        fix = "Write it as a sum, loss + 0.1 * other."
        _wrong_type("terms", "a tuple of (factor, loss)", repr(value), fix)
    for factor, term in value:
        number("factor", factor)
        stage("terms", term, base, "ce_count()")


# ---- the record


def open_record(
    record: Any,
    *,
    lengths: Any = None,
    time_axis: int = 0,
    class_axis: int = -1,
    timeless: bool = False,
) -> Frame:
    """The record as every stage wants it; `timeless` records are decisions (*B, C) already."""
    x = _array("record", record)
    x, dtype = _working(x)
    x = _time_first(x, time_axis, class_axis, timeless)
    if lengths is None:
        return Frame(x, None, x.shape[0], None, dtype)
    xp = namespace(x)
    lengths = _lengths(lengths, x)
    t = xp.reshape(arange(x.shape[0], x), (x.shape[0],) + (1,) * (x.ndim - 1))
    valid = t < lengths
    kept = lengths > 0
    steps = xp.astype(xp.where(kept, lengths, 1), x.dtype, copy=False)
    return Frame(xp.where(valid, x, 0), valid | (t == 0), steps, kept, dtype)


def _array(argument: str, value: Any) -> Array:
    if not is_array(value):
        fix = f"Convert {argument} with numpy.asarray, torch.as_tensor or jax.numpy.asarray."
        _wrong_type(argument, "a torch tensor, a JAX array or a NumPy array", _name(value), fix)
    return unwrap(value)


def _working(x: Array) -> tuple[Array, Any]:
    """The record in the dtype of the computation, and the dtype of the result."""
    xp, sort = namespace(x), kind(x)
    if sort == "other":
        rule = "a real floating, integer or bool dtype"
        _wrong_type("record", rule, x.dtype, "Cast the record to float32.")
    result = x.dtype if sort in ("float", "half") else xp.float32
    return x if sort == "float" else xp.astype(x, xp.float32), result


def _time_first(x: Array, time_axis: int, class_axis: int, timeless: bool) -> Record:
    xp, least = namespace(x), 1 if timeless else 2
    if x.ndim < least:
        axes = "(*batch, classes)" if timeless else "(time, *batch, neurons)"
        fix = "Add the missing axes with record[:, None]."
        _wrong("record", f"at least {least} axes {axes}", f"shape {tuple(x.shape)}", fix)
    neurons = _axis("class_axis", class_axis, x)
    if timeless:
        x = xp.moveaxis(x, neurons, -1)[None] if neurons != x.ndim - 1 else x[None]
    else:
        time = _axis("time_axis", time_axis, x)
        if time == neurons:
            fix = "Name two different axes of the record."
            got = f"axis {time} for both, in a record of shape {tuple(x.shape)}"
            _wrong("class_axis", "another axis than time_axis", got, fix)
        if (time, neurons) != (0, x.ndim - 1):
            x = xp.moveaxis(x, (time, neurons), (0, -1))
    if x.shape[0] == 0 or x.shape[-1] == 0:
        fix = "Check how the record was made."
        _wrong("record", "at least one step and one neuron", f"shape {tuple(x.shape)}", fix)
    return x


def _axis(argument: str, axis: int, x: Array) -> int:
    whole(argument, axis)
    if not -x.ndim <= axis < x.ndim:
        rule = f"an axis of a record of shape {tuple(x.shape)}"
        _wrong(argument, rule, axis, f"Choose {argument} from {-x.ndim} to {x.ndim - 1}.")
    return int(axis % x.ndim)


def _lengths(lengths: Any, x: Record) -> Array:
    """The lengths as integers (*B, 1)."""
    lengths = _beside("lengths", lengths, x)
    rule = f"{_count(x.shape[1:-1], 'length')}, one per sample of the record {tuple(x.shape)}"
    if kind(lengths) != "integer":
        _wrong_type("lengths", "integers", lengths.dtype, "Pass the number of valid steps.")
    if tuple(lengths.shape) != tuple(x.shape[1:-1]):
        got = f"shape {tuple(lengths.shape)}"
        _wrong("lengths", rule, got, "Pass one length per sample.")
    if checks_values(lengths) and 0 not in lengths.shape:
        xp = namespace(lengths)
        low, high = int(xp.min(lengths)), int(xp.max(lengths))
        if low < 1 or high > x.shape[0]:
            fix = "Drop empty samples and count steps from the start of the record."
            _wrong("lengths", f"values from 1 to {x.shape[0]}", f"{low} to {high}", fix)
    return lengths[..., None]


def spikes(x: Record) -> None:
    """A record in which a spike is any non-zero entry must be finite."""
    if not checks_values(x):
        return
    xp = namespace(x)
    if math.isfinite(float(xp.sum(constant(x)))) or bool(xp.all(xp.isfinite(x))):
        return
    fix = "Look for the step of the simulation at which it diverged."
    _wrong("record", "finite spikes", "nan or infinite entries", fix)


def comparable(evidence: Array) -> None:
    """A class cannot be chosen by comparing with nan."""
    if not checks_values(evidence):
        return
    xp = namespace(evidence)
    if bool(xp.any(xp.isnan(evidence))):
        fix = "Look for the step of the simulation at which it diverged."
        _wrong("record", "numbers that can be compared", "nan in the decision", fix)


def groups(neurons: int, classes: int) -> int:
    """How many neurons vote for each class."""
    if neurons % classes:
        fix = f"Choose classes among the divisors of {neurons}."
        _wrong("classes", f"a divisor of the record's {neurons} neurons", classes, fix)
    return neurons // classes


# ---- the target


class _Reading(Protocol):
    """A decision with its axes; `readouts.Reading` is one."""

    @property
    def z(self) -> Array: ...
    @property
    def keeps(self) -> str | None: ...
    @property
    def batch(self) -> tuple[int, ...]: ...


def class_labels(target: Any, reading: _Reading, ignore: int | None = None) -> Array:
    """Class indices, one per sample or, if the decision keeps time, one per step."""
    z, batch = reading.z, reading.batch
    label = _beside("target", target, z)
    if kind(label) != "integer":
        fix = "Cast class labels to an integer dtype such as int64."
        _wrong_type("target", "integer class labels", label.dtype, fix)
    per_step = reading.keeps == "time"
    if tuple(label.shape) != batch and not (per_step and label.shape == z.shape[:-1]):
        rule = f"{_count(batch, 'label')}, one per sample"
        rule += f", or one per step, shape {tuple(z.shape[:-1])}" if per_step else ""
        fix = "Pass labels with the batch axes of the record."
        _wrong("target", rule, f"shape {tuple(label.shape)}", fix)
    label = as_index(label)
    _label_range(label, z.shape[-1], ignore)
    return label


def class_target(target: Any, reading: _Reading, ignore: int | None) -> Array:
    """Class indices (integers), or probabilities with a last axis of classes (floating)."""
    z = reading.z
    y = _beside("target", target, z)
    if kind(y) == "integer" and y.ndim < z.ndim and y.shape in (reading.batch, z.shape[:-1]):
        return class_labels(y, reading, ignore)
    if y.ndim < 1 or y.shape[-1:] != z.shape[-1:] or y.ndim not in (len(reading.batch) + 1, z.ndim):
        return class_labels(y, reading, ignore)
    if ignore is not None:
        fix = "Drop ignore_index, or pass class indices."
        _wrong("target", "class indices, for ignore_index", "probabilities", fix)
    return values(y, reading)


def values(target: Any, reading: _Reading) -> Array:
    """Numbers to compare a decision with, for each sample or like the whole decision."""
    z = reading.z
    y = _beside("target", target, z)
    each = (*reading.batch, z.shape[-1])
    if tuple(y.shape) not in {tuple(z.shape), each}:
        rule = f"values of shape {each}" + ("" if z.shape == each else f" or {tuple(z.shape)}")
        fix = "Pass one value per sample and neuron; for class labels choose another target stage."
        _wrong("target", rule, f"shape {tuple(y.shape)}", fix)
    if kind(y) == "other":
        _wrong_type("target", "real numbers", y.dtype, "Cast the target to float32.")
    return namespace(z).astype(y, z.dtype, copy=False)


def spike_times(target: Any, reading: _Reading) -> Array:
    """Spike times like the decision; those of one sample, (N), stand for every sample."""
    z = reading.z
    y = _beside("target", target, z)
    if tuple(y.shape) == tuple(z.shape[-1:]):
        y = namespace(z).broadcast_to(y, z.shape)
    return values(y, reading)


def _beside(argument: str, value: Any, x: Array) -> Array:
    """`value` as an array of the library and the device of `x`; nothing is moved."""
    if not is_array(value):
        if library(x) == "torch" or not isinstance(value, (Sequence, int)):
            _wrong_type(argument, f"{_article(x)} like the record", _name(value), _convert(x))
        value = namespace(x).asarray(value)
    value = unwrap(value)
    mixed = library(value) != library(x)
    if mixed and (library(x), library(value)) != ("jax", "numpy"):
        _wrong_type(argument, f"{_article(x)} like the record", _article(value), _convert(x))
    if mixed:
        return namespace(x).asarray(value)
    here, there = device(x), device(value)
    if library(x) == "torch" and here != there:
        _wrong(argument, f"a tensor on {here} like the record", there, f"Use .to({here!r}).")
    return value


def _label_range(label: Array, classes: int, ignore: int | None) -> None:
    if not checks_values(label) or 0 in label.shape:
        return
    xp = namespace(label)
    if ignore is not None:
        label = xp.where(label == ignore, 0, label)
    low, high = int(xp.min(label)), int(xp.max(label))
    if low < 0 or high >= classes:
        fix = "Renumber the labels, or name the one to skip with ignore_index."
        _wrong("target", f"labels from 0 to {classes - 1}", f"{low} to {high}", fix)


def spike_steps(on: Any, off: Any) -> None:
    """One step each, or F steps each, as plain integers."""
    many = isinstance(on, tuple)
    if many != isinstance(off, tuple) or (many and len(on) != len(off)):
        fix = "Give on and off the same number of steps."
        _wrong("off", f"steps like on={on!r}", repr(off), fix)
    if many and not on:
        _wrong("on", "at least one step", "()", "Give the step of the first spike.")
    for argument, steps in (("on", on), ("off", off)):
        for step in steps if many else (steps,):
            whole(argument, step)


def spike_pairs(on: Any, off: Any, count: int) -> list[tuple[int, int]]:
    """The pairs of steps of each spike; as many as the readout gives."""
    pairs = list(zip(on, off, strict=True)) if isinstance(on, tuple) else [(on, off)]
    if len(pairs) != count:
        fix = f"Read as many spikes as there are targets, with SpikeTimes(count={len(pairs)})."
        _wrong("target", f"{count} spike times per neuron, as many as are read", len(pairs), fix)
    return pairs


def steps_inside(pairs: list[tuple[int, int]], steps: Steps) -> None:
    """-n <= step <= n - 1 for every step, and every sample where lengths can be read."""
    if not isinstance(steps, int):
        if not checks_values(steps) or 0 in steps.shape:
            return
        steps = int(namespace(steps).min(steps))
    for pair in pairs:
        for argument, step in zip(("on", "off"), pair, strict=True):
            if not -steps <= step < steps:
                rule = f"a step of the record, from {-steps} to {steps - 1}"
                fix = "Choose a step inside the shortest record."
                _wrong(argument, rule, step, fix)


def times_inside(time: Array, steps: Steps) -> None:
    """0 <= time <= n - 1 in every sample."""
    if 0 in time.shape or not checks_values(time):
        return
    if not isinstance(steps, int) and not checks_values(steps):
        return
    xp = namespace(time)
    if bool(xp.all((time >= 0) & (time <= steps - 1))):
        return
    last = steps - 1 if isinstance(steps, int) else int(xp.min(steps)) - 1
    time = constant(time)
    got = f"{float(xp.min(time)):g} to {float(xp.max(time)):g}"
    fix = "Count steps from 0, or from the end with negative numbers."
    _wrong("target", f"spike times inside the record, from 0 to {last}", got, fix)


def rate(full: Any) -> Any:
    """A rate target needs a readout that firing at every step drives to a number."""
    if full is None:
        fix = "Use OnOffTime as target."
        _wrong_type("target", "a readout of rates or counts for OnOffRate", "spike times", fix)
    return full


# ---- weights


def class_weights(weights: Any, z: Array) -> Array:
    """Class weights as an array (C,) beside the decision."""
    array = unwrap(weights) if is_array(weights) else like(weights_option(weights), z)
    if library(array) != library(z):
        array = like(array, z)
    if tuple(array.shape) != (z.shape[-1],):
        rule = f"{z.shape[-1]} weights, one per class"
        _wrong("class_weight", rule, f"shape {tuple(array.shape)}", "Pass one weight per class.")
    return like(array, z)


def sample_weights(weights: Any, reading: _Reading) -> Array:
    """Sample weights as an array (*B, 1)."""
    z, batch = reading.z, reading.batch
    array = _beside("sample_weight", weights, z)
    if tuple(array.shape) != batch:
        rule = f"{_count(batch, 'weight')}, one per sample"
        got = f"shape {tuple(array.shape)}"
        _wrong("sample_weight", rule, got, "Pass one weight per sample.")
    return namespace(z).astype(array, z.dtype, copy=False)[..., None]


def no_labels() -> NoReturn:
    """Class weights need class labels."""
    fix = "Drop class_weight, or weigh samples with sample_weight."
    _wrong("class_weight", "class labels as target", "numbers", fix)


# ---- words


def _name(value: Any) -> str:
    return f"{type(value).__name__} {value!r}" if isinstance(value, (str, bool)) else (
        type(value).__name__
    )  # fmt: skip


def _count(batch: tuple[int, ...], word: str) -> str:
    if len(batch) == 1:
        return f"{batch[0]} {word}{'' if batch[0] == 1 else 's'}"
    return f"{word}s of shape {batch}"


def _article(x: Array) -> str:
    return {"torch": "a torch tensor", "jax": "a JAX array", "numpy": "a NumPy array"}[library(x)]


def _convert(x: Array) -> str:
    call = {"torch": "torch.as_tensor", "jax": "jax.numpy.asarray", "numpy": "numpy.asarray"}
    return f"Convert it with {call[library(x)]}."
