"""Opens a record: whatever the user has, checked, as a piece."""

import math
from typing import Any, NamedTuple

from . import _door
from ._backend import as_index, is_ragged, namespace, padded, running_sum, unwrap
from ._piece import Dense, Piece, Sparse, Timed
from ._shapes import Array, ClassAxis, Record, Steps
from .records import Events, Packed, Times


class Form(NamedTuple):
    """What a dense record is in: its axes and its precision."""

    axes: _door.Axes | None
    """None: (T, *B, N)."""
    cast: Any
    """The dtype of the computation; None: that of the record."""
    dtype: Any
    """That of the result."""
    wrapped: bool
    """Whether it is an array inside of a container."""
    as_it_is: bool
    """Whether nothing is to be done to it."""


def form_of(x: Array, time_axis: int, class_axis: ClassAxis, timeless: bool) -> Form:
    """The form of an array, which is not read."""
    inner = _door.array("record", x)
    cast, dtype = _door.precision(inner)
    axes = _door.timeless_axes if timeless else _door.time_axes
    place = axes(tuple(inner.shape), time_axis, class_axis)
    plain = place is None and cast is None and inner is x
    return Form(place, cast, dtype, wrapped=inner is not x, as_it_is=plain)


def laid_out(x: Array, form: Form) -> Record:
    """The record (T, *B, N), in the dtype that it has; a single step of what has no time."""
    x = unwrap(x) if form.wrapped else x
    return x if form.axes is None else _door.moved(x, form.axes)


def computed_in(x: Record, form: Form) -> Record:
    """What is laid out, in the precision of the computation."""
    return x if form.cast is None else namespace(x).astype(x, form.cast)


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
    _door.layout(lengths, valid, unknown)
    if isinstance(record, Events):
        _door.usual_axes(time_axis, class_axis, "events")
        return open_events(record, lengths, valid)
    if isinstance(record, Times):
        _door.usual_axes(time_axis, class_axis, "times")
        _door.no_mask(lengths, valid, "times")
        return open_times(record)
    if is_ragged(record):
        _door.usual_axes(time_axis, class_axis, "a ragged record")
        _door.no_mask(lengths, valid, "a ragged record")
        record, lengths = padded(record)
    if isinstance(record, Packed):  # of a readout by itself; a loss takes it piece by piece
        _door.usual_axes(time_axis, class_axis, "a packed record")
        record = record.unpack()
    form = form_of(record, time_axis, class_axis, timeless)
    if timeless:
        _door.no_mask(lengths, valid, "a record without time")
    return open_steps(laid_out(record, form), form.dtype, lengths, valid, cast=form.cast)


def open_steps(
    x: Record,
    dtype: Any,
    lengths: Any = None,
    valid: Any = None,
    *,
    cast: Any = None,
    time: Any = 0,
    start: Steps = 0,
    part: bool = False,
    known: bool = False,
) -> Dense:
    """Steps that are laid out already, after `time` others, of which `start` were valid.

    `known`: whether lengths of this kind are known to fit, but for their values.
    """
    shape = tuple(x.shape)
    if valid is not None:
        mask = _door.fitting_mask(valid, shape[:-1], x)[..., None]
        piece = Dense(x, dtype, cast=cast, time=time, start=start, mask=mask, part=part)
        if not part:
            piece.full = _door.not_empty(piece.held)
        return piece
    full = False
    if lengths is not None:
        lengths, checked = _door.held_lengths(lengths, shape, x, part=part, known=known)
        full = checked and not part
    return Dense(x, dtype, cast=cast, time=time, start=start, lengths=lengths, part=part, full=full)


def open_like(target: Any, piece: Piece, timeless: bool, **layout: Any) -> Piece:
    """A record to imitate, in the layout of the record that `piece` is."""
    if not isinstance(target, (Events, Packed, Times)) and not is_ragged(target):
        target = _door.imitated(target, piece.like, len(piece.shape))
    other = open_record(target, timeless=timeless, **layout)
    _door.like_record(other.shape, piece.shape)
    return other


def open_events(
    events: Events,
    lengths: Any = None,
    valid: Any = None,
    *,
    time: Any = 0,
    start: Steps = 0,
    part: bool = False,
) -> Sparse:
    """Events of some steps, after `time` others, of which `start` were valid."""
    t, sample, neuron, amplitude, inside, dtype = _door.entries_of(events)
    xp, shape = namespace(t), events.shape
    steps, *batch, neurons = shape
    samples = math.prod(batch)
    held: Steps = steps
    if valid is not None:
        mask = _door.fitting_mask(valid, (steps, *batch), amplitude)
        mask = xp.reshape(mask, (steps, samples))
        seen = running_sum(xp.astype(mask, sample.dtype))
        held = xp.reshape(seen[-1, ...], (*batch, 1))
        if not part:
            _door.not_empty(held)
        step = as_index(xp.where(inside, xp.floor(t), 0))
        inside = inside & mask[step, sample]
        t = t + xp.astype(seen[step, sample] - 1 - step, t.dtype)
    elif lengths is not None:
        lengths, _ = _door.held_lengths(lengths, tuple(shape), amplitude, part=part)
        left = lengths - time
        inside = inside & (t < xp.astype(xp.reshape(left, (-1,)), t.dtype)[sample])
        held = xp.clip(left, 0, steps)
    if part:
        here = start if isinstance(start, int) else xp.reshape(start, (-1,))[sample]
        t = t + (here if isinstance(here, int) else xp.astype(here, t.dtype))
    cell = xp.where(inside, sample * neurons + neuron, samples * neurons)
    return Sparse(t, cell, amplitude, tuple(shape), start, held, dtype, part)


def open_times(record: Times) -> Timed:
    """Times that are given; silence counts as late as the membrane stayed below its threshold."""
    time, highest, end, dtype = _door.times_of(record)
    late = None if highest is None else record.slope * (record.threshold - highest)
    return Timed(time, late, end + 1, dtype)
