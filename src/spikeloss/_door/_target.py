"""Checks of targets against a reading."""

import math
import sys
from typing import Any, Protocol

from spikeloss._backend import (
    as_index,
    checks_values,
    extent,
    kind,
    like,
    namespace,
)
from spikeloss._shapes import Array, Steps

from ._array import beside_record, real_kind
from ._words import batch_first, cast, per_sample, refuse, shape_of, span


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
    @property
    def valid(self) -> Array | None: ...


def class_labels(
    target: Any,
    reading: _Reading,
    ignore: int | None = None,
    argument: str = "target",
    classes: int | None = None,
) -> Array:
    """Class indices, one per sample or, if the decision keeps time, one per step."""
    label = beside_record(argument, target, reading.z)
    return _labels(argument, label, reading, ignore, classes=classes)


def within(count: int, offset: Any, steps: int) -> None:
    """A piece of a record that ends with the patterns of its steps, or before."""
    if isinstance(offset, int) and offset + count > steps:
        rule, fix = f"at most {steps} steps, as the patterns have", "Give patterns of more steps."
        refuse("record", rule, offset + count, fix)


def group_labels(target: Any, reading: _Reading) -> Array:
    """One integer per sample, of any range."""
    label = beside_record("target", target, reading.z)
    if label.shape != reading.batch:
        fix = batch_first(label.shape, reading.batch, reading.steps, "Pass one label per sample.")
        refuse("target", per_sample(reading.batch, "label"), shape_of(label), fix)
    if kind(label) != "integer":
        fix = cast("target", label, "int")
        refuse("target", "integer labels", label.dtype, fix, TypeError)
    return as_index(label)


PAIRED = 10_000
"""Samples of a batch whose pairs are compared: 400 MB in float32 for each array of pairs."""


def compared(samples: int) -> None:
    """Not more samples than can all be compared with each other."""
    if samples > PAIRED:
        rule = f"at most {PAIRED} samples, as every pair of them is compared"
        refuse("record", rule, samples, "Split the batch.")


def blank(blank: int, classes: int) -> None:
    """The blank is one of the classes."""
    if blank >= classes:
        refuse("blank", f"a class from 0 to {classes - 1}", blank, "Choose a class of the record.")


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
    return at_least_0(_numbers(y, reading), reading)


def _labels(
    argument: str,
    label: Array,
    reading: _Reading,
    ignore: int | None,
    soft: bool = False,
    classes: int | None = None,
) -> Array:
    """Labels as indices; `soft` where probabilities would do too."""
    z, batch = reading.z, reading.batch
    steps = tuple(z.shape[:-1]) if reading.keeps == "time" else batch
    if label.shape not in (batch, steps):
        rule = per_sample(batch, "label")
        rule += f", or {steps}, one per step" if steps != batch else ""
        rule += f", or probabilities {(*batch, z.shape[-1])}" if soft else ""
        fix = batch_first(label.shape, batch, reading.steps, "Pass one label per sample.")
        if label.shape[-1:] == (1,) and label.shape[:-1] in (batch, steps):
            fix = f"Write {argument}[..., 0]."
        elif label.shape[-1:] == z.shape[-1:] and label.shape[:-1] in (batch, steps):
            fix = f"Write {argument}.argmax(-1)."
        elif soft and kind(label) == "float" and label.shape[:-1] in (batch, steps):
            fix = "Give every class a probability."
        refuse(argument, rule, shape_of(label), fix)
    if kind(label) != "integer":
        fix = cast(argument, label, "int")
        refuse(argument, "integer class labels", label.dtype, fix, TypeError)
    label = as_index(label)
    _in_range(argument, label, classes or z.shape[-1], ignore, soft)
    return label


def _in_range(argument: str, label: Array, classes: int, ignore: int | None, soft: bool) -> None:
    if not checks_values(label) or 0 in label.shape:
        return
    if ignore is not None:
        label = namespace(label).where(label == ignore, 0, label)
        if not checks_values(label):  # labels that a traced function closes over
            return
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
    refuse(argument, f"labels from 0 to {classes - 1}", span(low, high), fix)


def values(target: Any, reading: _Reading) -> Array:
    """Numbers to compare a decision with, for each sample or like the whole decision."""
    return _numbers(beside_record("target", target, reading.z), reading)


def shares(y: Array, reading: _Reading) -> Array:
    """Numbers from 0 to 1: how far each class is meant."""
    _from_0(y, reading, 1.0, "values from 0 to 1", "Pass 0 for no, 1 for yes.")
    return y


def at_least_0(y: Array, reading: _Reading) -> Array:
    """Probabilities, which need not sum to 1, or counts."""
    rule, fix = "finite values of at least 0", "Drop what is negative or nan."
    _from_0(y, reading, sys.float_info.max, rule, fix)
    return y


def _from_0(y: Array, reading: _Reading, end: float, rule: str, fix: str) -> None:
    if 0 not in y.shape and checks_values(y):
        if reading.valid is not None and y.ndim == reading.z.ndim:  # padding may hold anything
            y = namespace(y).where(reading.valid, y, 0)
        low, high = extent(y)
        if not 0 <= low <= high <= end:
            refuse("target", rule, span(low, high), fix)


def spike_times(target: Any, reading: _Reading) -> Array:
    """Spike times like the decision; those of one sample, (N), stand for every sample."""
    z = reading.z
    y = beside_record("target", target, z)
    if y.shape == z.shape[-1:]:
        y = namespace(z).broadcast_to(y, z.shape)
    y = _numbers(y, reading, "OnOffTime")
    _times_inside(y, reading.steps)
    return y


def label_sequences(target: Any, reading: _Reading, blank: int) -> tuple[Array, Array, Array]:
    """Labels (B, L) that are no blank, how many there are in each row, the others padding, and 1.

    In place of 1 nan for a row that has other labels than that, where they cannot be checked.
    """
    z, batch = reading.z, reading.batch
    y = beside_record("target", target, z)
    if y.ndim != len(batch) + 1 or tuple(y.shape[:-1]) != batch:
        axes = ", ".join(map(str, (*batch, "L")))
        rule = f"label sequences ({axes}), one row per sample"
        refuse("target", rule, shape_of(y), "Fill short rows up with -1.")
    if kind(y) != "integer":
        refuse("target", "integer class labels", y.dtype, cast("target", y, "int"), TypeError)
    xp, classes = namespace(z), z.shape[-1]
    y = xp.reshape(as_index(y), (math.prod(batch), y.shape[-1]))
    some = y >= 0
    wrong = (y < -1) | (y >= classes) | (y == blank)
    gap = some[:, 1:] & ~some[:, :-1]
    if checks_values(y) and 0 not in y.shape:
        low, high = extent(y)
        if low < -1 or high >= classes:
            fix = "Fill short rows up with -1."
            if low >= -1:
                fix = f"Use at least {high + 1} classes."
            refuse("target", f"labels from 0 to {classes - 1}, or -1", span(low, high), fix)
        if bool(xp.any(y == blank)):
            fix = "Leave blanks out; fill short rows up with -1."
            refuse("target", f"labels other than the blank {blank}", blank, fix)
        if bool(xp.any(gap)):
            refuse("target", "-1 after the labels only", "labels after -1", "Close the gaps.")
    other = (blank + 1) % classes
    count = xp.sum(xp.astype(some, y.dtype), axis=-1)
    known = ~(xp.any(wrong, axis=-1) | xp.any(gap, axis=-1))
    return xp.where(some & ~wrong, y, other), count, xp.where(known, like(1.0, z), xp.nan)


def _numbers(y: Array, reading: _Reading, by_class: str = "OnOff") -> Array:
    z, batch = reading.z, reading.batch
    each = (*batch, z.shape[-1])
    if y.shape not in (z.shape, each):
        rule = f"numbers of shape {each}" + ("" if z.shape == each else f" or {tuple(z.shape)}")
        fix = "Pass one number per sample and neuron."
        if y.shape in (batch, z.shape[:-1]):
            fix = f"For class labels write target=targets.{by_class}()."
        refuse("target", rule, shape_of(y), fix)
    real_kind("target", y)
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
    refuse("target", rule, span(*extent(time)), fix)


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


SLACK = 1e-3
"""By how much rates may leave 0 to 1: rounding, and the steps of finite differences."""


def rate(reading: Any) -> Any:
    """What firing at every step reads: a rate target needs a readout of rates, and spikes."""
    z, full = reading.z, reading.full
    if full is None:
        fix = "Write target=targets.OnOff()."
        refuse("target", "a readout of rates for OnOffRate", "one of other values", fix, TypeError)
    counts = reading.keeps is None and 0 not in z.shape  # of every step it would be another pass
    if counts and checks_values(z, *(() if isinstance(full, (int, float)) else (full,))):
        low, high = extent(z / full)
        if low < -SLACK or high > 1 + SLACK:
            fix = "For graded values and membranes write target=targets.OnOff()."
            refuse("record", "spikes of 0 and 1, at rates from 0 to 1", span(low, high), fix)
    return full


def spike_counts(z: Array, reading: Any) -> Array:
    """Counts or rates, which are not negative."""
    if reading.keeps is None and 0 not in z.shape and checks_values(z):
        low, high = extent(z)
        if low < -SLACK:
            fix = "For membranes choose a criterion of values, such as CrossEntropy."
            refuse("record", "spikes, whose counts are at least 0", span(low, high), fix)
    return z
