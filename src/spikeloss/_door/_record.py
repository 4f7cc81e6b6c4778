"""Checks of records: of their layers, of events and packed spikes, of records to imitate."""

import math
from numbers import Integral
from typing import Any

from spikeloss._backend import (
    as_index,
    checks_values,
    extent,
    is_ragged,
    kind,
    like,
    namespace,
    settled,
)
from spikeloss._shapes import Array, ClassAxis

from ._array import array, beside_record, exact, precision, real_kind
from ._layout import one_layer
from ._options import integer
from ._words import cast, cut, per_sample, refuse, shape_of, span


def layer(
    record: Any, class_axis: ClassAxis, timeless: bool = False, name: str | None = None
) -> None:
    """A record of one layer without a target, whose axes must say what they are."""
    shape = () if is_ragged(record) else getattr(record, "shape", ())
    if isinstance(shape, tuple):
        one_layer(tuple(shape), class_axis, 0 if timeless else 1, name)


def imitated(target: Any, values: Array, axes: int) -> Array:
    """A record to imitate, beside the values of the record and in their precision."""
    target = beside_record("target", target, values)
    real_kind("target", target)
    if kind(values) == "float":
        target = namespace(target).astype(target, values.dtype, copy=False)
    if target.ndim != axes:
        rule = f"a record of {axes} axes to imitate"
        refuse("target", rule, shape_of(target), "Pass spikes like those of the record.")
    return target


def like_record(target: tuple[int, ...], record: tuple[int, ...]) -> None:
    """A target of the shape of the record, time first."""
    if target != record:
        rule = f"the shape of the record, {record} with time first"
        refuse("target", rule, f"shape {target}", "Pass a record of that shape.")


def entries_of(events: Any) -> tuple[Array, Array, Array, Array, Array, Any]:
    """Times, samples, neurons and amplitudes of events, which of them are inside of the record,
    and the dtype of the result; times and amplitudes are floating numbers of one dtype."""
    t, sample, neuron, amplitude, dtype = _event_arrays(events)
    steps, *batch, neurons = _event_shape(events.shape)
    _events_inside((steps, *batch, neurons), t, sample, neuron)
    inside = (t >= 0) & (t < steps) & (sample >= 0) & (sample < math.prod(batch))
    inside = inside & (neuron >= 0) & (neuron < neurons)
    return t, namespace(t).where(inside, sample, 0), neuron, amplitude, inside, dtype


def _event_arrays(events: Any) -> tuple[Array, Array, Array, Array, Any]:
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
    amplitude = beside_record("amplitude", amplitude, time)
    wide, dtype = precision(amplitude)
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
    wide = amplitude.dtype if wide is None else wide
    wide = xp.result_type(time.dtype, wide) if sort == "float" else wide
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


def times_of(record: Any) -> tuple[Array, Array | None, Array, Any]:
    """Times (*B, N), nan where they are none, maxima, the ends (*B, 1), and the result's dtype.

    All are floating numbers of one dtype.
    """
    times = array("times", record.times)
    real_kind("times", times)
    exact("times", times)
    if times.ndim < 1 or times.shape[-1] == 0:
        rule, fix = "(*batch, neurons) with at least one neuron", "Pass one time per neuron."
        refuse("times", rule, shape_of(times), fix)
    wide, dtype = precision(times)
    xp, wide = namespace(times), times.dtype if wide is None else wide
    time = xp.astype(times, wide, copy=False)
    if 0 not in time.shape and checks_values(time) and not extent(time)[0] >= 0:
        rule, fix = "times from 0, infinity for silence", "Count from the start of the sample."
        refuse("times", rule, span(*extent(time)), fix)
    highest = None if record.highest is None else _highest(record, time)
    return xp.where(time >= 0, time, xp.nan), highest, _ends(record.end, time), dtype


def _highest(record: Any, time: Array) -> Array:
    """The maximum of the membrane of each neuron, below the threshold where it is silent."""
    highest, xp = beside_record("highest", record.highest, time), namespace(time)
    real_kind("highest", highest)
    if highest.shape != time.shape:
        rule, fix = f"shape {tuple(time.shape)} like times", "Pass one maximum per neuron."
        refuse("highest", rule, shape_of(highest), fix)
    highest = xp.where(time == xp.inf, xp.astype(highest, time.dtype), 0)
    if checks_values(highest) and not bool(xp.all(xp.isfinite(highest))):
        fix = "Give a silent neuron the highest membrane that it reached."
        refuse("highest", "finite maxima of silent neurons", "nan or infinity", fix)
    most = record.threshold + _PASSED * (1 + abs(record.threshold))
    late = (time == xp.inf) & (highest > most)
    if 0 not in late.shape and checks_values(late) and bool(xp.any(settled(late))):
        rule = f"maxima of silent neurons up to threshold={record.threshold:g}"
        fix = "Pass the threshold of the neurons, or their times."
        refuse("highest", rule, span(*extent(settled(highest)[settled(late)])), fix)
    return xp.where(late, xp.nan, highest)


_PASSED = 1e-3
"""How far above the threshold a solver may find a membrane that it says is silent."""


def _ends(given: Any, time: Array) -> Array:
    """The end of every sample, (*B, 1)."""
    xp, batch, plain = namespace(time), tuple(time.shape[:-1]), isinstance(given, (int, float))
    end = like(given, time) if plain else beside_record("end", given, time)
    real_kind("end", end)
    if tuple(end.shape) not in ((), batch):
        rule = f"a number, or {per_sample(batch, 'number')}"
        refuse("end", rule, shape_of(end), "Pass one time for all samples.")
    end = xp.astype(end, time.dtype, copy=False)
    if 0 not in end.shape and checks_values(end):
        low, high = extent(end)
        if not 0 <= low <= high < math.inf:
            refuse("end", "finite times from 0", span(low, high), "Pass the time of the last step.")
    end = xp.where(end >= 0, end, xp.nan)
    return xp.broadcast_to(end[..., None], (*batch, 1))


def packed_bits(bits: Any, steps: Any) -> None:
    """Bytes (T / 8 rounded up, *B, N) of which none is left over."""
    shape = tuple(array("bits", bits).shape)
    if str(bits.dtype).rpartition(".")[2] != "uint8":
        refuse("bits", "uint8", bits.dtype, "Write records.Packed.pack(record).", TypeError)
    if len(shape) < 2 or 0 in (shape[0], shape[-1]):
        rule = "(bytes, *batch, neurons) with at least one byte and one neuron"
        refuse("bits", rule, shape_of(bits), "Write records.Packed.pack(record).")
    steps, most = integer("steps", steps), 8 * shape[0]
    if not most - 8 < steps <= most:
        rule = f"from {most - 7} to {most} steps in {shape[0]} bytes"
        refuse("steps", rule, steps, "Pass the T of the record.")
