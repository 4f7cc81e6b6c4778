"""Whatever a record comes as, it says the same: masked, laid out otherwise, in steps, as events.

The oracles of `oracles.py` decide, on the record (T,B,N) that a layout stands for. Masks, chunks,
layouts and events are drawn by hypothesis; HYPOTHESIS_PROFILE=search draws more of them.
"""

import gc
import io
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import oracles
import pytest
import scipy.sparse
import torch
from cases import SAMPLE_WEIGHT, TOTALS, B, C, Case, N, T, case, oracle, target_for
from harness import (
    EAGER,
    TIMED,
    arrays_of,
    batched,
    batched_value,
    compare,
    compiled,
    each_case,
    every_eager,
    every_library,
    jax_grad,
)
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from jax.experimental import sparse
from libraries import (
    JAX,
    LIBRARIES,
    NUMPY,
    TORCH,
    Array,
    Library,
    rounded,
    same,
)

from spikeloss import Loss, presets
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.readouts import (
    CumulativeSoftmax,
    EveryStep,
    FilteredTrace,
    FirstSpike,
    InterpolatedSpike,
    LogSumExp,
    Maximum,
    MeanOverTime,
    MovingWindow,
    Population,
    Sigmoid,
    SoftCount,
    SpikeTimes,
    SumOverTime,
    WeightedSum,
)
from spikeloss.records import Events, Packed
from spikeloss.reductions import Each, Mean, Sum
from spikeloss.stream import State, Stream
from spikeloss.targets import OnOff, OnOffRate

SPIKING_IN_TIME = tuple(row for row in TIMED if row.record == "spikes")
SHAPED = tuple(  # a row of each kind, for what is slow
    case(name)
    for name in (
        "SumOverTime",
        "MeanOverTime membrane",
        "EveryStep membrane",
        "Maximum",
        "LastStep",
        "FirstSpike negative delayed",
        "SpikeTimes each",
        "SpikeTimes still",
        "Population of SpikeTimes",
        "SE each weighted",
        "CrossEntropy step_labels",
        "CrossEntropy ignoring steps",
        "SquaredError steps",
        "OnOffTime from the end",
        "Given spike_times 4",
        "OnOffRate of SumOverTime",
        "mse_temporal()",
        "ce_temporal()",
    )
)
COMPILED = tuple(
    case(name)
    for name in (
        "SumOverTime",
        "Maximum",
        "LastStep",
        "SpikeTimes still",
        "SE each weighted",
        "CrossEntropy ignoring steps",
        "OnOffTime from the end",
        "ce_temporal()",
    )
)
FULL = ("random", "silent", "always_firing", "tied", "amplitude")
ROUNDED = (CumulativeSoftmax, FilteredTrace, LogSumExp, MovingWindow, WeightedSum)
GARBAGE = np.resize([np.nan, 9.0, -np.inf, -1.0, np.inf], (T, B))


def innermost(readout: Any) -> Any:
    return innermost(readout.of) if hasattr(readout, "of") else readout


def full_fixtures(row: Case) -> list[str]:
    """The fixtures with all axes; the plateau that goes wrong has a test of its own."""
    flat = isinstance(innermost(row.loss.readout), InterpolatedSpike)
    return [name for name in row.fixtures if name in FULL and not (flat and name[0] == "a")]


def examples(number: int) -> Any:
    """That many examples, the same ones in every run, unless one searches."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "search":
        return settings(max_examples=20 * number, deadline=None)
    return settings(
        max_examples=number, deadline=None, derandomize=True, database=None, phases=[Phase.generate]
    )


# Masks


def closed(values: Array, valid: Array) -> Array:
    """The valid steps of each sample moved to its front, (T,B,...)."""
    order = np.argsort(~valid, axis=0, kind="stable")
    return np.take_along_axis(values, order.reshape(order.shape + (1,) * (values.ndim - 2)), 0)


def opened(values: Array, valid: Array) -> Array:
    """The inverse of `closed`: each step back to its place."""
    order = np.argsort(~valid, axis=0, kind="stable")
    back = np.empty_like(values)
    np.put_along_axis(back, order.reshape(order.shape + (1,) * (values.ndim - 2)), values, 0)
    return back


def closed_target(row: Case, target: Array, valid: Array) -> Array:
    return closed(target, valid) if row.target.startswith("step_") else target


def masked(
    row: Case, record: Array, target: Array, valid: Array, **options: Any
) -> tuple[Array, Array]:
    """The oracle's loss and gradient of a record without its invalid steps."""
    value, grad = oracle(
        row,
        closed(record, valid),
        closed_target(row, target, valid),
        lengths=valid.sum(0),
        **options,
    )
    return value, opened(grad, valid)


def spoiled(row: Case, record: Array, target: Array, valid: Array) -> tuple[Array, Array]:
    """Record and target with garbage, infinity and nan in the invalid steps."""
    record, target = record.copy(), target.copy()
    record[~valid] = GARBAGE[: len(record)][~valid][:, None]
    if row.target in ("step_probabilities", "step_values"):
        target[~valid] = np.nan
    return record, target


@st.composite
def masks(draw: st.DrawFn, least: int = 1, steps: int = T, size: int = B) -> Array:
    """Masks (steps,size) with at least so many valid steps in each sample."""
    valid = np.zeros((steps, size), bool)
    for b in range(size):
        fixed = draw(st.permutations(range(steps)))[: draw(st.integers(least, steps))]
        valid[fixed, b] = True
    return valid


def decided(row: Case, record: Array, valid: Array) -> Array:
    """The classes that the oracle decides for."""
    return oracles.predict(row.objective, closed(record, valid), valid.sum(0))


def agree(row: Case, found: Any, record: Array, valid: Array) -> None:
    """The classes of the oracle; where it rounds, classes whose scores differ by rounding alone."""
    wanted, rows = decided(row, record, valid), closed(record, valid)
    for b, (mine, theirs) in enumerate(zip(found, wanted, strict=True)):
        if mine != theirs:
            readout = row.loss.readout
            assert isinstance(innermost(readout), ROUNDED) or isinstance(readout, Sigmoid)
            scores = oracles.scores(row.objective, rows[: valid[:, b].sum(), b])
            assert min(mine, theirs) >= 0
            assert abs(scores[mine] - scores[theirs]) < 1e-6


def labelled(row: Case, classes: Array) -> tuple[Array, Any]:
    """Labels, some of them right, and the share of those."""
    labels = np.where(np.arange(B) % 2 == 0, np.maximum(classes, 0), 0)
    counted = labels != row.loss.criterion.ignore_index
    return labels, np.mean((classes == labels)[counted]) if counted.any() else np.nan


def check_decision(
    library: Library,
    row: Case,
    record: Array,
    valid: Array,
    loss: Any,
    given: Any,
    layout: dict[str, Array],
    dtype: str = "float64",
) -> None:
    """What is decided for that record, given in another form."""
    options = arrays_of(library, layout)
    x = library.array(given) if isinstance(given, np.ndarray) else given
    classes = library.to_numpy(loss.predict(x, **options))
    agree(row, classes, record, valid)
    labels, share = labelled(row, classes)
    same(loss.accuracy(x, library.array(labels), **options), share, dtype)


@each_case(TIMED)
@examples(2)
@given(data=st.data())
def test_mask_is_cropping(row: Case, data: st.DataObject) -> None:
    fixture = data.draw(st.sampled_from(full_fixtures(row)))
    valid = data.draw(masks(row.least_steps))
    weights = data.draw(st.sampled_from(({}, {"sample_weight": SAMPLE_WEIGHT})))
    record, target = row.record_of(fixture), row.target_of(fixture)
    wanted = masked(row, record, target, valid, **weights)
    spoilt, target = spoiled(row, record, target, valid)
    for library in EAGER:
        grad = compare(library, row.loss, spoilt, target, wanted, valid=valid, **weights)
        assert grad is None or np.all(grad[~valid] == 0)
        check_decision(library, row, record, valid, row.loss, spoilt, {"valid": valid})


@each_case(COMPILED)
def test_mask_is_cropping_in_jax(row: Case) -> None:
    call = compiled(lambda x, y, valid: jax_grad(lambda x: row.loss(x, y, valid=valid), x))

    @examples(8)
    @given(valid=masks(row.least_steps))
    def check(valid: Array) -> None:
        wanted = masked(row, row.record_of(), row.target_of(), valid)
        record, target = spoiled(row, row.record_of(), row.target_of(), valid)
        value, grad = call(*(JAX.array(part) for part in (record, target, valid)))
        same(value, wanted[0])
        same(grad, wanted[1])
        assert np.all(np.asarray(grad)[~valid] == 0)

    with JAX.precision():
        check()


@every_library
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@each_case(SHAPED[:2])
def test_mask_in_another_dtype(library: Library, row: Case, dtype: str) -> None:
    valid = np.arange(T * B).reshape(T, B) % 3 != 1
    wanted = masked(row, rounded(row.record_of(), dtype), row.target_of(), valid)
    record, target = spoiled(row, row.record_of(), row.target_of(), valid)
    compare(library, row.loss, record, target, wanted, dtype, valid=valid)


@every_eager
@each_case(SHAPED)
def test_prefix_mask_is_lengths(library: Library, row: Case) -> None:
    valid = np.arange(T)[:, None] < row.lengths
    wanted = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)
    compare(library, row.loss, row.record_of(), row.target_of(), wanted, valid=valid)


# Samples without a valid step


EMPTY = 2  # the sample


def without(row: Case, reduction: str, valid: Array) -> tuple[Array, Array]:
    """The oracle's loss and gradient of the other samples, zero for that one."""
    rest = np.arange(B) != EMPTY
    target = row.target_of()
    if row.target != "neuron_times":
        where = int(row.target.startswith(("step_", "spike_")))
        target = np.compress(rest, target, where)
    value, grad = masked(row, row.record_of()[:, rest], target, valid[:, rest], reduction=reduction)
    if reduction == "none":
        value = np.insert(value, EMPTY, 0, int(value.ndim == 3))
    return value, np.insert(grad, EMPTY, 0, 1)


WORDS = {"samples": Mean(), "weights": Mean("weights"), "sum": Sum(), "none": Each()}


def gaps(row: Case) -> Array:
    valid = np.arange(T * B).reshape(T, B) % 4 != 1
    valid[:, EMPTY] = False
    assert np.delete(valid.sum(0), EMPTY).min() >= row.least_steps
    return valid


def each_reduction(loss: Loss) -> list[Loss]:
    return [loss.replace(reduction=part) for part in WORDS.values()]


def check_without(row: Case, values: Any, grads: Any, valid: Array) -> None:
    for word, value, grad in zip(WORDS, values, grads, strict=True):
        wanted = without(row, word, valid)
        same(value, wanted[0])
        same(grad, wanted[1])


@pytest.mark.parametrize(
    ("row", "layout"),
    [(row, "valid") for row in COMPILED] + [(row, "lengths") for row in COMPILED[1:4]],
    ids=str,
)
def test_a_sample_without_steps_in_jit(row: Case, layout: str) -> None:
    valid = gaps(row)
    if layout == "lengths":
        valid = np.arange(T)[:, None] < np.where(np.arange(B) == EMPTY, 0, row.lengths)
    record, target = spoiled(row, row.record_of(), row.target_of(), valid)

    @compiled
    def call(x: Any, y: Any, steps: Any) -> Any:
        return [
            jax_grad(lambda x, loss=loss: loss(x, y, **{layout: steps}), x)
            for loss in each_reduction(row.loss)
        ]

    with JAX.precision():
        steps = JAX.array(valid if layout == "valid" else valid.sum(0))
        values, grads = zip(*call(JAX.array(record), JAX.array(target), steps), strict=True)
        check_without(row, values, grads, valid)


@each_case(SHAPED)
def test_a_sample_without_steps_in_vmap(row: Case) -> None:
    valid = gaps(row)
    record, target = spoiled(row, row.record_of(), row.target_of(), valid)
    x, y, steps = (TORCH.array(value) for value in (record, target, valid))

    def grouped(loss: Loss) -> Callable[..., Any]:
        def total(x: Any, steps: Any) -> tuple[Any, Any]:
            value = loss(x, y, valid=steps)
            return value.sum(), value

        return torch.func.vmap(torch.func.grad(total, has_aux=True))

    found = [grouped(loss)(x[None], steps[None]) for loss in each_reduction(row.loss)]
    check_without(row, [v[0] for _, v in found], [g[0] for g, _ in found], valid)


# Layouts


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], int, int]:
    """Batch axes, and where time and class are, counted from either side."""
    batch = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    ndim = len(batch) + 2
    time, neuron = draw(st.permutations(range(ndim)))[:2]
    return batch, time - draw(st.sampled_from((0, ndim))), neuron - draw(st.sampled_from((0, ndim)))


def drawn(row: Case, size: int, seed: int) -> Array:
    """A record (T,size,N) of that kind."""
    rng = np.random.default_rng(seed)
    if row.record == "spikes":
        return (rng.random((T, size, N)) < 0.3).astype(np.float64)
    return rng.normal(size=(T, size, N))


@each_case(TIMED)
@examples(2)
@given(data=st.data())
def test_layout(row: Case, data: st.DataObject) -> None:
    batch, time_axis, class_axis = data.draw(layouts())
    size = int(np.prod(batch))
    valid = data.draw(masks(row.least_steps, size=size))
    padded = data.draw(st.booleans())
    if padded:
        valid = np.sort(valid, 0)[::-1]
    record, target = drawn(row, size, data.draw(st.integers(0, 9))), target_for(row, (T, size, N))
    value, grad = masked(row, record, target, valid)
    assume(not np.isnan(value).any())  # of weights that are all zero

    def laid_out(values: Array) -> Array:
        return np.moveaxis(
            values.reshape(T, *batch, values.shape[-1]), (0, -1), (time_axis, class_axis)
        )

    layout = {"time_axis": time_axis, "class_axis": class_axis}
    steps = (
        {"lengths": valid.sum(0).reshape(batch)} if padded else {"valid": valid.reshape(T, *batch)}
    )
    y, wanted = batched(row, target, batch), (batched_value(value, batch), laid_out(grad))
    for library in EAGER:
        compare(library, row.loss, laid_out(record), y, wanted, **layout, **steps)
        options = arrays_of(library, layout | steps)
        found = row.loss.predict(library.array(laid_out(record)), **options)
        assert found.shape == batch
        agree(row, library.to_numpy(found).reshape(-1), record, valid)


@pytest.mark.parametrize(("axes", "time_axis", "class_axis"), [("BNT", -1, -2), ("TBNHW", 0, 2)])
@each_case(COMPILED[:4])
def test_layout_in_jax(row: Case, axes: str, time_axis: int, class_axis: int) -> None:
    sizes = {"B": 2, "H": 1, "W": 3}
    batch = tuple(sizes[axis] for axis in axes if axis in sizes)
    size = int(np.prod(batch))
    record, target = drawn(row, size, 3), target_for(row, (T, size, N))
    lengths = np.resize(row.lengths, size)
    value, grad = oracle(row, record, target, lengths=lengths)

    def laid_out(values: Array) -> Array:
        return np.moveaxis(values.reshape(T, *batch, N), (0, -1), (time_axis, class_axis))

    def call(x: Any, y: Any, n: Any) -> Any:
        axes = {"time_axis": time_axis, "class_axis": class_axis}
        return jax_grad(lambda x: row.loss(x, y, lengths=n, **axes), x)

    given = laid_out(record), batched(row, target, batch), lengths.reshape(batch)
    with JAX.precision():
        found = compiled(call)(*(JAX.array(part) for part in given))
    same(found[0], batched_value(value, batch))
    same(found[1], laid_out(grad))


# Streams


@st.composite
def chunkings(draw: st.DrawFn, steps: int = T) -> tuple[int, ...]:
    """Sizes of chunks; 0 is a single step without a time axis."""
    sizes: list[int] = []
    left = steps
    while left:
        size = draw(st.integers(0, left))
        sizes.append(size)
        left -= max(size, 1)
    return tuple(sizes)


def per_step(row: Case) -> bool:
    return row.target.startswith("step_")


def chunked(
    x: Any, chunks: tuple[int, ...], *others: Any
) -> Iterator[tuple[bool, tuple[Any, ...]]]:
    """Pieces of several arrays, and whether they are a single step."""
    start = 0
    for size in chunks:
        part = slice(start, start + size) if size else start
        yield not size, tuple(None if other is None else other[part] for other in (x, *others))
        start += max(size, 1)


def fed(stream: Stream, x: Any, chunks: tuple[int, ...], target: Any, valid: Any) -> Stream:
    """The stream after a record in pieces; target and valid are None unless they come with it."""
    for single, (piece, y, mask) in chunked(x, chunks, target, valid):
        assert (stream.step if single else stream.steps)(piece, target=y, valid=mask) is stream
    return stream


def streaming(row: Case, chunks: tuple[int, ...]) -> Callable[..., Stream]:
    """Feeds a record, with lengths, with `valid` or with neither."""

    def run(x: Any, target: Any, valid: Any = None, **options: Any) -> Stream:
        own = (None, target) if per_step(row) else (target, None)
        return fed(row.loss.stream(own[0], **options), x, chunks, own[1], valid)

    return run


def as_lengths(valid: Array) -> Array:
    return np.sort(valid, 0)[::-1]


@st.composite
def layouts_in_time(draw: st.DrawFn, least: int) -> tuple[Array, dict[str, Array]]:
    """The valid steps (T,B), and how the stream is told of them."""
    kind = draw(st.sampled_from(("lengths", "valid", "neither")))
    valid = np.ones((T, B), bool) if kind == "neither" else draw(masks(least))
    if kind == "lengths":
        valid = as_lengths(valid)
        return valid, {"lengths": valid.sum(0)}
    return valid, {"valid": valid} if kind == "valid" else {}


class Drawn(NamedTuple):
    """A record of a row with steps left out, in a library, and what it should give."""

    library: Library
    dtype: str
    record: Array
    """As the dtype holds it; `given` has other numbers where there is no step."""
    given: Array
    target: Array
    wanted: Any
    valid: Array
    options: dict[str, Any]


def drawn_records(row: Case, data: st.DataObject) -> Iterator[Drawn]:
    """One record, in every eager library."""
    dtypes = ("float64", "float64", "float32", "half", *(("bool",) * (row.record == "spikes")))
    kind = data.draw(st.sampled_from(dtypes))
    fixture = data.draw(st.sampled_from(full_fixtures(row)))
    valid, layout = data.draw(layouts_in_time(row.least_steps))
    weights = data.draw(st.sampled_from(({}, {"sample_weight": SAMPLE_WEIGHT})))
    for library in EAGER:
        half = "bfloat16" if library.differentiates else "float16"
        dtype = half if kind == "half" else kind
        record = rounded(row.record_of(fixture), dtype)
        wanted = masked(row, record, row.target_of(fixture), valid, **weights)
        spoilt, target = spoiled(row, record, row.target_of(fixture), valid)
        yield Drawn(library, dtype, record, spoilt, target, wanted, valid, layout | weights)


def holds(row: Case, one: Drawn, run: Callable[..., tuple[Any, Any, Any]]) -> None:
    """What `run` makes of a record: the classes, and what gives the accuracy and the loss."""

    def loss(x: Any, target: Any, **options: Any) -> Any:
        classes, accuracy, value = run(x, target, **options)
        classes = one.library.to_numpy(classes)
        agree(row, classes, one.record, one.valid)
        labels, share = labelled(row, classes)
        found = one.library.to_numpy(accuracy(one.library.array(labels)))
        same(found.astype(np.float64), rounded(share, found.dtype.name))
        return value()

    compare(one.library, loss, one.given, one.target, one.wanted, one.dtype, **one.options)


@each_case(TIMED)
@examples(3)
@given(data=st.data())
def test_stream_is_batch(row: Case, data: st.DataObject) -> None:
    chunks = data.draw(chunkings())

    def run(x: Any, target: Any, **options: Any) -> Any:
        stream = streaming(row, chunks)(x, target, **options)
        return stream.predict(), stream.accuracy, stream.value

    with np.errstate(over="ignore"):  # half precision may not hold the exponential of a membrane
        for one in drawn_records(row, data):
            holds(row, one, run)


@each_case(TIMED)
@examples(1)
@given(data=st.data())
def test_anytime(row: Case, data: st.DataObject) -> None:
    """After every step, what the record cut there gives."""
    valid, layout = data.draw(layouts_in_time(row.least_steps))
    wanted = anytime(row, valid)
    for library in EAGER:
        given = arrays_of(library, {"x": row.record_of(), "target": row.target_of()} | layout)
        x, y, mask = given.pop("x"), given.pop("target"), given.pop("valid", None)
        stream = row.loss.stream(None if per_step(row) else y, **given)
        for t in range(T):
            now = None if mask is None else mask[t]
            stream.step(x[t], y[t] if per_step(row) else None, now)
            if t in wanted:
                same(stream.value(), wanted[t])
                found = library.to_numpy(stream.predict())
                agree(row, found, row.record_of()[: t + 1], valid[: t + 1])


def anytime(row: Case, valid: Array) -> dict[int, Array]:
    """The oracle's loss after the steps at which every target exists."""
    found, record, target = {}, row.record_of(), row.target_of()
    for t in range(T):
        now = slice(0, t + 1)
        if valid[now].sum(0).min() >= row.least_steps:
            until = target[now] if per_step(row) else target
            found[t], _ = masked(row, record[now], until, valid[now])
    return found


@each_case(TIMED)
@examples(1)
@given(data=st.data())
def test_detach(row: Case, data: st.DataObject) -> None:
    valid, layout = data.draw(layouts_in_time(row.least_steps))
    cut = data.draw(st.integers(1, T - 1))
    value, grad = masked(row, row.record_of(), row.target_of(), valid)
    y, mask = TORCH.array(row.target_of()), layout.pop("valid", None)
    target = y if per_step(row) else None
    mask = None if mask is None else TORCH.array(mask)

    def run(x: Any) -> Any:
        stream = row.loss.stream(None if per_step(row) else y, **arrays_of(TORCH, layout))
        parts = [[None if part is None else part[:cut] for part in (x, target, mask)]]
        parts.append([None if part is None else part[cut:] for part in (x, target, mask)])
        fed(stream, parts[0][0], (cut,), *parts[0][1:])
        assert stream.detach() is stream
        return fed(stream, parts[1][0], (T - cut,), *parts[1][1:]).value()

    found, slope = TORCH.value_and_grad(run, TORCH.array(row.record_of()))
    same(found, value)
    assert np.all(slope[:cut] == 0)
    same(slope[cut:], grad[cut:])


def pickled(state: State) -> Any:
    return pickle.loads(pickle.dumps(state))


def saved_by_torch(state: State) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    ("library", "save"),
    [(NUMPY, pickled), (TORCH, pickled), (TORCH, saved_by_torch), (JAX, pickled)],
)
def test_saved_state(library: Library, save: Callable[[State], Any]) -> None:
    for row in COMPILED[:1] if library is JAX else SHAPED:
        wanted, _ = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)
        with library.precision():
            x, y, n = map(library.array, (row.record_of(), row.target_of(), row.lengths))
            own, each = (None, y) if per_step(row) else (y, None)
            first, second = (row.loss.stream(own, lengths=n) for _ in range(2))
            assert first.state is None
            fed(first, x[:3], (0,) * 3, None if each is None else each[:3], None)
            second.state = save(first.state)
            fed(second, x[3:], (0,) * (T - 3), None if each is None else each[3:], None)
            same(second.value(), wanted)


@each_case(COMPILED[:3])
def test_stream_in_jax(row: Case) -> None:
    valid = gaps(row) | (np.arange(B) == EMPTY)
    wanted = masked(row, row.record_of(), row.target_of(), valid)
    classes = oracles.predict(row.objective, closed(row.record_of(), valid), valid.sum(0))
    with JAX.precision():
        given = arrays_of(JAX, {"target": row.target_of(), "valid": valid})
        stream = streaming(row, (0,) * T)(JAX.array(row.record_of()), **given)
        same(stream.value(), wanted[0])
        assert np.asarray(stream.predict()).tolist() == classes.tolist()


@every_eager
@pytest.mark.parametrize("terms", TOTALS, ids=lambda terms: terms[0][1])
@examples(5)
@given(data=st.data())
def test_stream_of_a_total(library: Library, terms: Any, data: st.DataObject) -> None:
    rows = [(factor, case(name)) for factor, name in terms]
    first = rows[0][1]
    total = sum((factor * row.loss for factor, row in rows[1:]), rows[0][0] * first.loss)
    valid, layout = data.draw(layouts_in_time(1))
    chunks = data.draw(chunkings())
    record, target = first.record_of(), first.target_of()
    parts = [(factor, masked(row, record, target, valid)) for factor, row in rows]
    wanted = tuple(sum(factor * part[i] for factor, part in parts) for i in range(2))

    def run(x: Any, target: Any, valid: Any = None, **options: Any) -> Any:
        stream = fed(total.stream(target, **options), x, chunks, None, valid)
        classes = oracles.predict(first.objective, closed(record, mask), mask.sum(0))
        assert library.to_numpy(stream.predict()).tolist() == classes.tolist()
        return stream.value()

    mask = valid
    compare(library, run, record, target, wanted, **layout)


@every_library
def test_steps_power_of_every_step_needs_lengths(library: Library) -> None:
    loss = Loss(EveryStep(), SquaredError(steps_power=1), OnOff())
    row = Case("", loss)
    wanted, _ = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)
    with library.precision():
        x, y, n = map(library.array, (row.record_of(), row.target_of(), row.lengths))
        same(fed(loss.stream(y, lengths=n), x, (0,) * T, None, None).value(), wanted)
        with pytest.raises(ValueError, match="lengths"):
            fed(loss.stream(y), x, (T,), None, None).value()


@every_eager
@examples(20)
@given(data=st.data())
def test_stream_of_another_layout(library: Library, data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(SHAPED))
    batch, time_axis, class_axis = data.draw(layouts())
    size = int(np.prod(batch))
    record, target = drawn(row, size, 1), target_for(row, (T, size, N))
    value, _ = oracle(row, record, target)
    assume(not np.isnan(value).any())
    axes = {"time_axis": time_axis, "class_axis": class_axis}
    parts = record.reshape(T, *batch, N), batched(row, target, batch)
    with library.precision():
        y = library.array(parts[1])
        stream = row.loss.stream(None if per_step(row) else y, **axes)
        for start in range(0, T, 3):
            part = slice(start, start + 3)
            piece = np.moveaxis(parts[0][part], (0, -1), (time_axis, class_axis))
            stream.steps(library.array(piece), y[part] if per_step(row) else None)
        same(stream.value(), batched_value(value, batch))


# Folds


PRESETS = tuple(row for row in TIMED if row.preset and (not row.preset[1] or per_step(row)))


def scanned(loss: Any, row: Case, **options: Any) -> Callable[[Any, Any], Any]:
    """The loss of a record by `lax.scan` over the steps of a fold."""

    def call(x: Any, y: Any) -> Any:
        steps = y if per_step(row) else None
        fold = loss.fold(None if per_step(row) else y, **options)
        first = fold.init(x[0], None if steps is None else steps[0])
        state, _ = jax.lax.scan(lambda state, xs: (fold.step(state, *xs), None), first, (x, steps))
        return fold.finish(state)

    return call


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "padded"),
    [
        pytest.param(row, padded, id=f"{row}{' lengths' if padded else ''}")
        for row in PRESETS
        for padded in (True, False)
        if padded or row.name in ("ce_rate()", "ce_temporal()")
    ],
)
def test_fold_in_scan(row: Case, padded: bool) -> None:
    options = {"lengths": row.lengths} if padded else {}
    wanted = oracle(row, row.record_of(), row.target_of(), **options)

    @compiled
    def call(x: Any, y: Any, options: Any) -> Any:
        return jax_grad(lambda x: scanned(row.loss, row, **options)(x, y), x)

    with JAX.precision():
        given = JAX.array(row.record_of()), JAX.array(row.target_of()), arrays_of(JAX, options)
        value, grad = call(*given)
    same(value, wanted[0])
    same(grad, wanted[1])


@pytest.mark.parametrize("name", ["ce_rate()", "ce_count()", "mse_temporal()"])
def test_fold_in_vmap(name: str) -> None:
    row = case(name)
    wanted, _ = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths, reduction="none")

    def call(x: Any, y: Any, n: Any) -> Any:
        return scanned(row.loss.replace(reduction=Each()), row, lengths=n)(x, y)

    with JAX.precision():
        given = (JAX.array(part) for part in (row.record_of(), row.target_of(), row.lengths))
        same(compiled(jax.vmap(call, in_axes=(1, 0, 0)))(*given), wanted)


@pytest.mark.parametrize("name", ["WeightedSum", "FilteredTrace"])
def test_ties_that_do_not_add_up_exactly(name: str) -> None:
    """A sample whose neurons all do the same decides for the first of them."""
    valid = np.ones((T, B), bool)
    valid[4] = False
    for fixture in ("always_firing", "tied"):
        x = TORCH.array(case(name).record_of(fixture))
        for mask in (np.ones_like(valid), valid):
            classes = case(name).loss.predict(x, valid=TORCH.array(mask))
            assert classes.tolist() == [0] * B


@every_eager
def test_stream_of_a_plateau(library: Library) -> None:
    row = case("InterpolatedSpike")
    record, target = row.record_of("always_firing"), row.target_of("always_firing")
    wanted = oracle(row, record, target)
    compare(
        library, lambda x, **o: streaming(row, (0,) * T)(x, **o).value(), record, target, wanted
    )


def test_stream_of_bfloat16_in_numpy() -> None:
    row = case("SumOverTime")
    x = NUMPY.array(row.record_of(), "bfloat16")
    same(row.loss(x, row.target_of()), oracle(row, row.record_of(), row.target_of())[0], "bfloat16")
    value = fed(row.loss.stream(row.target_of()), x, (T,), None, None).value()
    same(value, oracle(row, row.record_of(), row.target_of())[0], "bfloat16")


# Events


SPARSE = tuple(
    row
    for row in SPIKING_IN_TIME
    if isinstance(
        innermost(row.loss.readout), (SumOverTime, MeanOverTime, FirstSpike, SoftCount, SpikeTimes)
    )
)
Columns = dict[str, Array]  # time, sample, neuron, amplitude, (E) each


@st.composite
def columns(draw: st.DrawFn, most: int = 30) -> Columns:
    """Events in any order, some of them twice, late or of amplitude 0."""
    size = draw(st.integers(0, most))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    late = draw(st.sampled_from((0, 4)))
    return {
        "time": rng.integers(0, T + late, size),
        "sample": rng.integers(0, B, size),
        "neuron": rng.integers(0, N, size),
        "amplitude": rng.choice([1.0, 0.5, 2.0, 0.0], size),
    }


def dense(found: Columns) -> Array:
    """The record (T,B,N) of events."""
    record = np.zeros((T, B, N))
    for t, b, i, amplitude in zip(*found.values(), strict=True):
        if t < T:
            record[int(t), b, i] += amplitude
    return record


def at(values: Array, found: Columns) -> Array:
    """The entries of a record that the events are, 0 for late ones."""
    padded = np.concatenate([values, np.zeros((20, B, N))])
    return padded[found["time"].astype(int), found["sample"], found["neuron"]]


def followed(row: Case, found: Columns, valid: Array) -> Array:
    """Which events have a derivative: for spike times, those of neurons with enough spikes."""
    spikes = ((dense(found) != 0) & valid[..., None]).sum(0)
    inner = innermost(row.loss.readout)
    if isinstance(inner, (SumOverTime, MeanOverTime)):
        return np.ones(len(found["time"]), bool)
    enough = spikes >= getattr(inner, "count", 1)
    return enough[found["sample"], found["neuron"]] & (found["amplitude"] != 0)


def events(given: dict[str, Any], shape: tuple[int, ...] = (T, B, N), **changes: Any) -> Events:
    return Events(**{key: given[key] for key in KEYS} | {"shape": shape} | changes)


KEYS = ("time", "sample", "neuron", "amplitude")


def fitting(row: Case, found: dict[str, Array]) -> dict[str, Array]:
    """Events as the row takes them: for rates the sum of all is at most that of one spike."""
    if not isinstance(row.loss.target, OnOffRate):
        return found
    size = np.abs(found["amplitude"])
    return found | {"amplitude": size / max(1.0, size.sum())}


@each_case(SPARSE)
@examples(4)
@given(data=st.data())
def test_events_are_their_record(row: Case, data: st.DataObject) -> None:
    found = fitting(row, data.draw(columns()))
    valid, layout = data.draw(layouts_in_time(row.least_steps))
    record = dense(found)
    value, grad = masked(row, record, row.target_of(), valid)
    told = followed(row, found, valid)
    for library in EAGER:
        given, options = arrays_of(library, found), arrays_of(library, layout)
        y = library.array(row.target_of())
        same(row.loss(events(given), y, **options), value)
        same(events(given).dense(), record)
        check_decision(library, row, record, valid, row.loss, events(given), layout)
    _, slope = TORCH.value_and_grad(
        lambda amplitude: row.loss(events(given, amplitude=amplitude), y, **options),
        given["amplitude"],
    )
    assert np.isfinite(slope).all()
    same(slope[told], at(grad, found)[told])


@every_eager
@examples(40)
@given(data=st.data())
def test_order_of_events(library: Library, data: st.DataObject) -> None:
    row, found = data.draw(st.sampled_from(SPARSE)), data.draw(columns())
    order = np.array(data.draw(st.permutations(range(len(found["time"])))), int)
    with library.precision():
        y = library.array(row.target_of())
        value, other = (
            library.to_numpy(row.loss(events(arrays_of(library, part)), y))
            for part in (found, {key: column[order] for key, column in found.items()})
        )
    same(value, other)


@every_eager
@examples(40)
@given(data=st.data())
def test_events_of_several_batch_axes(library: Library, data: st.DataObject) -> None:
    row, found = data.draw(st.sampled_from(SPARSE)), data.draw(columns())
    batch = data.draw(st.sampled_from(((1, B), (B, 1), (1, B, 1))))
    value, _ = oracle(row, dense(found), row.target_of(), lengths=row.lengths)
    with library.precision():
        given = events(arrays_of(library, found), (T, *batch, N))
        y, n = batched(row, row.target_of(), batch), row.lengths.reshape(batch)
        axis = {"class_axis": -1} if row.loss.criterion.targetless else {}  # penalties ask for it
        loss = row.loss(given, library.array(y), lengths=library.array(n), **axis)
        same(loss, batched_value(value, batch))
        same(given.dense(), dense(found).reshape(T, *batch, N))


@pytest.mark.parametrize(
    ("row", "library"),
    [(case(name), library) for name in ("SumOverTime", "SpikeTimes still") for library in EAGER]
    + [(case("ce_temporal()"), library) for library in LIBRARIES],
    ids=str,
)
def test_no_events(library: Library, row: Case) -> None:
    none = {key: np.zeros(0, float if key == "amplitude" else int) for key in KEYS}
    for lengths in ({}, {"lengths": row.lengths}):
        wanted, _ = oracle(row, np.zeros((T, B, N)), row.target_of(), **lengths)
        with library.precision():
            given = events(arrays_of(library, none))
            options = arrays_of(library, lengths)
            same(row.loss(given, library.array(row.target_of()), **options), wanted)
            assert library.to_numpy(row.loss.predict(given)).tolist() == [-1] * B


def fixed_columns(size: int = 40) -> Columns:
    rng = np.random.default_rng(4)
    return {
        "time": rng.integers(0, T + 2, size),
        "sample": rng.integers(0, B, size),
        "neuron": rng.integers(0, N, size),
        "amplitude": rng.choice([1.0, 0.5, 2.0], size),
    }


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("ce_count()", "valid"),
        ("mse_count()", "lengths"),
        ("ce_temporal()", "valid"),
        ("mse_temporal()", "lengths"),
        ("mse_temporal()", "valid"),
        ("SpikeTimes each", "valid"),
    ],
)
def test_events_in_jit(name: str, layout: str) -> None:
    row, found = case(name), fixed_columns()
    valid = as_lengths(gaps(row)) if layout == "lengths" else gaps(row)
    valid[3:, EMPTY] = valid[0, EMPTY] = True
    valid = as_lengths(valid) if layout == "lengths" else valid
    wanted, grad = masked(row, dense(found), row.target_of(), valid)

    @compiled
    def call(given: Any, y: Any, steps: Any) -> Any:
        def loss(amplitude: Any) -> Any:
            return row.loss(events(given, amplitude=amplitude), y, **{layout: steps})

        return jax_grad(loss, given["amplitude"])

    with JAX.precision():
        steps = JAX.array(valid if layout == "valid" else valid.sum(0))
        value, slope = call(arrays_of(JAX, found), JAX.array(row.target_of()), steps)
    same(value, wanted)
    told = followed(row, found, valid)
    same(np.asarray(slope)[told], at(grad, found)[told])


TIMES = tuple(
    row
    for row in SPARSE
    if isinstance(innermost(row.loss.readout), (FirstSpike, SoftCount, SpikeTimes))
    and not getattr(row.loss.criterion, "tolerance", 0)
)


@st.composite
def distinct_columns(draw: st.DrawFn) -> Columns:
    """Events at distinct times between the steps."""
    steps = draw(st.lists(st.integers(0, 10 * T - 1), unique=True, min_size=1, max_size=40))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    size = len(steps)
    samples, neurons = rng.integers(0, B, size), rng.integers(0, N, size)
    time = np.array(steps) / 10 + 0.05
    return {"time": time, "sample": samples, "neuron": neurons, "amplitude": np.ones(size)}


@each_case(TIMES)
@examples(2)
@given(data=st.data())
def test_derivative_of_times(row: Case, data: st.DataObject) -> None:
    given = arrays_of(TORCH, data.draw(distinct_columns()))
    y = TORCH.array(row.target_of())
    layout = data.draw(st.sampled_from(({}, {"lengths": TORCH.array(row.lengths)})))

    def loss(time: Any) -> Any:
        return row.loss(events(given, time=time), y, **layout)

    assert torch.autograd.gradcheck(loss, (given["time"].requires_grad_(),))


@every_library
def test_floating_times_are_read_as_they_are(library: Library) -> None:
    found = {
        "time": np.array([2.5, 1.25, 6.5, 3.75, 9.5]),
        "sample": np.array([0, 0, 1, 1, 2]),
        "neuron": np.array([0, 0, 2, 2, 1]),
        "amplitude": np.ones(5),
    }
    with library.precision():
        given = events(arrays_of(library, found))
        wanted = np.full((2, B, N), T - 1.0)
        wanted[:, 0, 0], wanted[:, 1, 2] = (1.25, 2.5), (3.75, 6.5)
        same(SpikeTimes(count=2)(given), wanted)
        same(FirstSpike()(given), wanted[0])


@each_case(SPARSE)
@examples(2)
@given(data=st.data())
def test_stream_of_events(row: Case, data: st.DataObject) -> None:
    found, chunks = fitting(row, data.draw(columns())), data.draw(chunkings())
    valid, layout = data.draw(layouts_in_time(row.least_steps))
    value, _ = masked(row, dense(found), row.target_of(), valid)
    mask = layout.pop("valid", None)
    for library in EAGER:
        stream = row.loss.stream(library.array(row.target_of()), **arrays_of(library, layout))
        start = 0
        for size in (max(size, 1) for size in chunks):
            part = events(arrays_of(library, during(found, start, size)), (size, B, N))
            now = None if mask is None else library.array(mask[start : start + size])
            stream.steps(part, valid=now)
            start += size
        same(stream.value(), value)
        agree(row, library.to_numpy(stream.predict()), dense(found), valid)


def during(found: Columns, start: int, size: int) -> Columns:
    """The events of a chunk, in steps of its own."""
    inside = (found["time"] >= start) & (found["time"] < start + size)
    part = {key: column[inside] for key, column in found.items()}
    return part | {"time": part["time"] - start}


@every_eager
def test_events_without_amplitudes(library: Library) -> None:
    found = fixed_columns() | {"amplitude": np.ones(40)}
    for name in ("ce_count()", "mse_temporal()"):
        row = case(name)
        wanted, _ = oracle(row, dense(found), row.target_of())
        given = events(arrays_of(library, found, "float32"), amplitude=None)
        same(row.loss(given, library.array(row.target_of())), wanted, "float32")


@pytest.mark.parametrize("readout", [EveryStep(), Maximum(), Population(Maximum(), classes=C)])
def test_every_step_refuses_events(readout: Any) -> None:
    given = events(fixed_columns())
    with pytest.raises(TypeError, match="dense"):
        Loss(readout, CrossEntropy())(given, np.zeros(B, int))
    with pytest.raises(TypeError, match="dense"):
        Loss(readout, CrossEntropy()).predict(given)


@pytest.mark.parametrize("coalesced", [True, False])
def test_from_sparse_of_torch(coalesced: bool) -> None:
    found = fixed_columns()
    inside = found["time"] < T
    found = {key: column[inside] for key, column in found.items()}
    indices = TORCH.array(np.stack([found[key] for key in KEYS[:3]]))
    for name in ("ce_count()", "mse_count()", "ce_temporal()", "mse_temporal()"):
        row = case(name)
        value, grad = oracle(row, dense(found), row.target_of())

        def call(amplitude: Any, row: Case = row) -> Any:
            record = torch.sparse_coo_tensor(indices, amplitude, (T, B, N), check_invariants=True)
            record = record.coalesce() if coalesced else record
            return row.loss(Events.from_sparse(record), TORCH.array(row.target_of()))

        actual, slope = TORCH.value_and_grad(call, TORCH.array(found["amplitude"]))
        same(actual, value)
        told = followed(row, found, np.ones((T, B), bool))
        same(slope[told], at(grad, found)[told])


def check_bcoo(padding: int) -> None:
    """With entries outside of the shape, as JAX pads to a number of entries."""
    found = fixed_columns()
    inside = found["time"] < T
    indices = np.stack([found[key][inside] for key in KEYS[:3]], 1)
    indices = np.concatenate([indices, np.full((padding, 3), (T, B, N))])
    amplitude = np.concatenate([found["amplitude"][inside], np.zeros(padding)])
    with JAX.precision():
        made = sparse.BCOO((JAX.array(amplitude), JAX.array(indices)), shape=(T, B, N))
        same(SumOverTime()(Events.from_sparse(made)), dense(found).sum(0))


def test_from_sparse_of_jax() -> None:
    check_bcoo(0)


def test_from_sparse_of_padded_jax() -> None:
    check_bcoo(3)


def test_from_sparse_of_scipy() -> None:
    record = dense(fixed_columns())
    given = Events.from_sparse(scipy.sparse.coo_array(record))
    same(given.dense(), record)
    flat = Events.from_sparse(scipy.sparse.coo_array(record[:, 0]))
    same(flat.dense(), record[:, 0])
    same(SumOverTime()(flat), record[:, 0].sum(0))


@pytest.mark.parametrize("fields", ["xytp", "txyp", "ptyx", "tx", "xt", "txp", "ytx"])
def test_from_recordings(fields: str) -> None:
    width, height, polarities = (5, 4, 2)
    rng, sizes = np.random.default_rng(3), {"x": width, "y": height, "p": polarities, "t": 8000}
    recordings, wanted = [], np.zeros((T, 3, width * height * polarities))
    for b, count in enumerate((50, 0, 20)):
        recording = np.zeros(count, [(name, np.int64) for name in fields])
        for name in fields:
            recording[name] = rng.integers(0, sizes[name], count)
        for event in recording:
            x, y, p = (int(event[name]) if name in fields else 0 for name in "xyp")
            if event["t"] // 1000 < T:
                wanted[event["t"] // 1000, b, (p * height + y) * width + x] += 1
        recordings.append(recording)
    given = Events.from_recordings(
        recordings, steps=T, step=1000, sensor_size=(width, height, polarities)
    )
    assert given.shape == wanted.shape
    same(given.dense(), wanted, "float32")
    same(SumOverTime()(given), wanted.sum(0), "float32")


def test_recordings_of_tonic() -> None:
    """The dtypes of tonic: bool polarities and small unsigned coordinates."""
    dtype = [("x", np.int16), ("y", np.uint8), ("t", np.int64), ("p", bool)]
    recording = np.array([(33, 33, 0, True), (1, 2, 6999, False), (3, 4, 7000, True)], dtype)
    given = Events.from_recordings([recording], steps=T, step=1000, sensor_size=(34, 34, 2))
    wanted = np.zeros((T, 1, 34 * 34 * 2))
    wanted[0, 0, (34 + 33) * 34 + 33] = wanted[6, 0, 2 * 34 + 1] = 1
    same(given.dense(), wanted, "float32")


# Packed


@every_eager
@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "uint8", "int64", "bfloat16"])
def test_pack_and_unpack(library: Library, dtype: str) -> None:
    for steps in range(1, 21):
        record = np.random.default_rng(steps).random((steps, 3, 2)) < 0.4
        packed = Packed.pack(library.array(record, dtype))
        assert packed.shape == record.shape
        assert packed.bits.shape == (-(-steps // 8), 3, 2)
        same(packed.bits, np.packbits(record, axis=0, bitorder="little"), "uint8")
        same(packed.unpack(), record, "uint8")


def test_pack_in_jax() -> None:
    record = np.random.default_rng(0).random((13, 3, 2)) < 0.4
    packed = Packed.pack(JAX.array(record))
    same(packed.bits, np.packbits(record, axis=0, bitorder="little"), "uint8")
    same(packed.unpack(), record, "uint8")


@each_case(SPIKING_IN_TIME)
@examples(2)
@given(data=st.data())
def test_packed_is_its_record(row: Case, data: st.DataObject) -> None:
    record = (row.record_of(data.draw(st.sampled_from(FULL))) != 0).astype(float)
    valid, layout = data.draw(layouts_in_time(row.least_steps))
    value, _ = masked(row, record, row.target_of(), valid)
    for library in EAGER:
        packed = Packed.pack(library.array(record))
        given = arrays_of(library, {"target": row.target_of()} | layout, "float32")
        same(row.loss(packed, **given), value, "float32")
        check_decision(library, row, record, valid, row.loss, packed, layout, "float32")


@every_eager
def test_packed_of_a_mask(library: Library) -> None:
    row = case("SumOverTime")
    valid, labels = gaps(row) | (np.arange(B) == EMPTY), library.array(row.target_of())
    packed = Packed.pack(library.array(row.record_of()))
    wanted, _ = masked(row, row.record_of(), row.target_of(), valid)
    same(row.loss(packed, labels, valid=library.array(valid)), wanted, "float32")


@every_eager
def test_packed_of_errors_per_step(library: Library) -> None:
    row = Case("", Loss(EveryStep(), SquaredError(steps_power=1), OnOff()))
    wanted, _ = oracle(row, row.record_of(), row.target_of())
    packed = Packed.pack(library.array(row.record_of()))
    same(row.loss(packed, library.array(row.target_of())), wanted, "float32")


@every_eager
def test_packed_of_many_steps(library: Library) -> None:
    """More than the 64 steps that are unpacked at a time."""
    record = (np.random.default_rng(0).random((150, B, N)) < 0.02).astype(float)
    labels, lengths = np.arange(B), np.array([150, 149, 64, 65, 1])
    for name in ("ce_rate()", "ce_count()", "mse_count()", "ce_temporal()", "mse_temporal()"):
        row = case(name)
        wanted, _ = oracle(row, record, labels, lengths=lengths)
        packed, y, n = Packed.pack(library.array(record)), *map(library.array, (labels, lengths))
        same(row.loss(packed, y, lengths=n), wanted, "float32")
        assert library.to_numpy(row.loss.predict(packed, lengths=n)).tolist() == (
            oracles.predict(row.objective, record, lengths).tolist()
        )


# Ragged records of torch


def sequences(row: Case, x: Any) -> list[Any]:
    return [x[:n, b] for b, n in enumerate(row.lengths.tolist())]


def packed_sequence(row: Case, x: Any) -> Any:
    return torch.nn.utils.rnn.pack_sequence(sequences(row, x), enforce_sorted=False)


def nested(layout: Any) -> Callable[[Case, Any], Any]:
    return lambda row, x: torch.nested.as_nested_tensor(sequences(row, x), layout=layout)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(
    "ragged",
    [packed_sequence, nested(torch.jagged), nested(torch.strided)],
    ids=["PackedSequence", "jagged", "strided"],
)
@each_case(TIMED)
def test_ragged(ragged: Callable[[Case, Any], Any], row: Case) -> None:
    """A step of the longest sample at least is there: LENGTHS has T in it."""
    wanted = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)

    def loss(x: Any, target: Any) -> Any:
        classes = row.loss.predict(ragged(row, x.detach()))
        assert classes.tolist() == (
            oracles.predict(row.objective, row.record_of(), row.lengths).tolist()
        )
        return row.loss(ragged(row, x), target)

    compare(TORCH, loss, row.record_of(), row.target_of(), wanted)


# Memory


STEP_BYTES = 64 * 64 * 4


def memory(steps: int, run: Callable[[Iterator[Array]], Any]) -> tuple[int, int]:
    """The bytes that are held after a record came in steps, and the most of them at once."""
    x = np.ones((64, 64), np.float32)
    run(x for _ in range(50))
    gc.collect()
    tracemalloc.start()
    try:
        kept = run(x for _ in range(steps))
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept is not None
    return held, peak


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ce_rate()", pytest.param("ce_temporal()", marks=pytest.mark.long)]
)
def test_memory_of_a_stream(name: str) -> None:
    def run(steps: Iterator[Array]) -> Any:
        stream = case(name).loss.stream(np.zeros(64, int))
        for x in steps:
            stream.step(x)
        return stream, stream.value()

    # What Python itself allocates meanwhile comes and goes by some kilobytes.
    few, _ = min(memory(100, run) for _ in range(3))
    many, peak = min(memory(300, run) for _ in range(3))
    assert many < few + 2048
    assert peak < 64 * STEP_BYTES


@pytest.mark.slow
def test_memory_of_a_batch_grows() -> None:
    def whole(steps: Iterator[Array]) -> Any:
        return case("ce_count()").loss(np.stack(list(steps)), np.zeros(64, int))

    assert memory(300, whole)[1] > 300 * STEP_BYTES


def test_memory_of_packed() -> None:
    record = np.ones((800, 4, 8), bool)
    assert 8 * Packed.pack(record).bits.nbytes == record.nbytes


@every_library
@pytest.mark.parametrize("chunk", [1, 6])
@pytest.mark.parametrize(
    "loss", [presets.ce_count(), presets.ce_rate(), presets.mse_temporal()], ids=str
)
def test_a_stream_leaves_out_a_sample_without_a_step(
    library: Library, loss: Loss, chunk: int
) -> None:
    spikes = (np.random.default_rng(0).random((6, 3, 4)) < 0.4).astype(float)
    labels, valid = np.array([0, 1, 3]), np.ones((6, 3), bool)
    valid[:, 0] = False
    with library.precision():
        x, y, mask = (library.array(each) for each in (spikes, labels, valid))
        stream = loss.stream(y)
        for t in range(0, 6, chunk):
            stream.steps(x[t : t + chunk], valid=mask[t : t + chunk])
        found = library.to_numpy(stream.value())
        same(found, library.to_numpy(loss(x[:, 1:], y[1:])))
