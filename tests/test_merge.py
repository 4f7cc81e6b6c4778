"""Stretches of time, each begun by itself and merged: what one stream over all steps gives.

The oracles see the whole record; stretches, chunks and the order of merging are drawn by
hypothesis. T=7 steps, B=5 samples, N=6 neurons, C=3 classes: no two axes are equal.
"""

import pickle
import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from cases import TOTALS, B, Case, N, T, case, oracle
from harness import (
    EAGER,
    TIMED,
    arrays_of,
    compare,
    compiled,
    each_case,
    every_eager,
    jax_grad,
    near,
)
from hypothesis import given
from hypothesis import strategies as st
from libraries import JAX, Array, Library, same
from test_records import (
    SPARSE,
    agree,
    chunked,
    chunkings,
    columns,
    dense,
    drawn_records,
    during,
    events,
    examples,
    fitting,
    holds,
    innermost,
    layouts_in_time,
    masked,
    per_step,
)
from test_whole import CUT, FULL, LENGTHS, NAMED, VALID, padded
from test_whole import T as STEPS

from spikeloss import Loss, penalties, presets
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.readouts import (
    EveryStep,
    FilteredTrace,
    InterpolatedSpike,
    MovingWindow,
    PeakWindow,
    Population,
    Temperature,
    Weighted,
)
from spikeloss.targets import OnOff

APART = (MovingWindow, FilteredTrace, PeakWindow, InterpolatedSpike)
"""A step of these depends on those before."""
MERGING = tuple(
    row
    for row in TIMED
    if not isinstance(innermost(row.loss.readout), APART)
    and "shape='" not in repr(row.loss.readout).replace("shape='exponential'", "")
)


class Plan(NamedTuple):
    """Where stretches end, the chunks of each, and which neighbours merge, one after the other."""

    ends: tuple[int, ...]
    chunks: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    rest: bool = False
    """Whether the last stretch is taken as more steps of what the others merge to."""


@st.composite
def plans(draw: st.DrawFn, steps: int = T) -> Plan:
    rest = draw(st.booleans())
    inner = draw(st.sets(st.integers(1, steps - 1), min_size=1 + rest))
    ends = (0, *sorted(inner), steps)
    chunks = tuple(draw(chunkings(stop - start)) for start, stop in pairwise(ends))
    merges = range(len(inner) - rest, 0, -1)
    return Plan(ends, chunks, tuple(draw(st.integers(0, n - 1)) for n in merges), rest)


def by(size: int, steps: int = T) -> Plan:
    """Stretches of that size, in one chunk each, merged from the last on."""
    ends = (*range(0, steps, size), steps)
    sizes = [stop - start for start, stop in pairwise(ends)]
    chunks = tuple((n,) if n > 1 else (0,) for n in sizes)
    return Plan(ends, chunks, tuple(range(len(sizes) - 2, -1, -1)))


def advanced(fold: Any, state: Any, chunks: tuple[int, ...], *parts: Any) -> Any:
    """The state after a record in pieces, with targets and masks, None if they come otherwise."""
    for single, (piece, y, mask) in chunked(parts[0], chunks, *parts[1:]):
        state = (fold.step if single else fold.steps)(state, piece, y, mask)
    return state


def merged(fold: Any, plan: Plan, x: Any, y: Any = None, valid: Any = None) -> Any:
    """The state of a record, from those of its stretches."""
    parts = [
        [None if part is None else part[start:stop] for part in (x, y, valid)]
        for start, stop in pairwise(plan.ends)
    ]
    last = parts.pop() if plan.rest else None
    states = [
        advanced(fold, begun(fold, start, chunks, *own[:2]), chunks, *own)
        for start, chunks, own in zip(plan.ends, plan.chunks, parts, strict=False)
    ]
    for at in plan.order:
        states[at : at + 2] = [fold.merge(*states[at : at + 2])]
    (state,) = states
    return state if last is None else advanced(fold, state, plan.chunks[-1], *last)


def begun(fold: Any, start: int, chunks: tuple[int, ...], x: Any, y: Any = None) -> Any:
    """A stretch whose first piece is a single step begins with `init`."""
    if chunks[0]:
        return fold.begin(x, y, start=start)
    return fold.init(x[0], None if y is None else y[0], start=start)


def folded(loss: Any, row: Case, target: Any, **options: Any) -> tuple[Any, Any]:
    """The fold, and the target that comes with the steps."""
    return (
        (loss.fold(None, **options), target)
        if per_step(row)
        else (loss.fold(target, **options), None)
    )


@each_case(MERGING)
@examples(3)
@given(data=st.data())
def test_merged_stretches_are_the_record(row: Case, data: st.DataObject) -> None:
    plan = data.draw(plans())

    def run(x: Any, target: Any, valid: Any = None, **options: Any) -> Any:
        fold, steps = folded(row.loss, row, target, **options)
        state = merged(fold, plan, x, steps, valid)
        return fold.predict(state), partial(fold.accuracy, state), partial(fold.finish, state)

    for one in drawn_records(row, data):
        holds(row, one, run)


@every_eager
@pytest.mark.parametrize("size", range(1, T))
@pytest.mark.parametrize("name", ["ce_rate()", "mse_count()", "mse_temporal()", "LastStep"])
def test_stretches_of_a_size(library: Library, name: str, size: int) -> None:
    """Some samples end before a stretch begins."""
    row = case(name)
    wanted = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)

    def run(x: Any, target: Any, **options: Any) -> Any:
        fold, steps = folded(row.loss, row, target, **options)
        return fold.finish(merged(fold, by(size), x, steps))

    compare(library, run, row.record_of(), row.target_of(), wanted, lengths=row.lengths)


@each_case([row for row in SPARSE if row in MERGING])
@examples(2)
@given(data=st.data())
def test_merged_events(row: Case, data: st.DataObject) -> None:
    found, plan = fitting(row, data.draw(columns())), data.draw(plans())
    valid, layout = data.draw(layouts_in_time(row.least_steps))
    value, _ = masked(row, dense(found), row.target_of(), valid)
    mask = layout.pop("valid", None)
    for library in EAGER:
        fold = row.loss.fold(library.array(row.target_of()), **arrays_of(library, layout))
        states = []
        for start, stop in pairwise(plan.ends):
            given = events(
                arrays_of(library, during(found, start, stop - start)), (stop - start, B, N)
            )
            now = None if mask is None else library.array(mask[start:stop])
            states.append(fold.steps(fold.begin(given, start=start), given, valid=now))
        while len(states) > 1:
            states[-2:] = [fold.merge(*states[-2:])]
        same(fold.finish(states[0]), value)
        agree(row, library.to_numpy(fold.predict(states[0])), dense(found), valid)


@every_eager
@pytest.mark.parametrize("terms", TOTALS, ids=lambda terms: terms[0][1])
@examples(5)
@given(data=st.data())
def test_merged_totals(library: Library, terms: Any, data: st.DataObject) -> None:
    rows = [(factor, case(name)) for factor, name in terms]
    first, plan = rows[0][1], data.draw(plans())
    total = sum((factor * row.loss for factor, row in rows[1:]), rows[0][0] * first.loss)
    valid, layout = data.draw(layouts_in_time(1))
    record, target = first.record_of(), first.target_of()
    parts = [(factor, masked(row, record, target, valid)) for factor, row in rows]
    wanted = tuple(sum(factor * part[i] for factor, part in parts) for i in range(2))

    def run(x: Any, target: Any, valid: Any = None, **options: Any) -> Any:
        fold = total.fold(target, **options)
        return fold.finish(merged(fold, plan, x, None, valid))

    compare(library, run, record, target, wanted, **layout)


# What depends on where a stretch begins


@every_eager
@pytest.mark.parametrize("name", ["train SumOverTime", "train FirstSpike", "train EveryStep",
                                  "pattern EveryStep 3", "pattern SumOverTime 2"])  # fmt: skip
@pytest.mark.parametrize("layout", ["none", "lengths", "valid"])
def test_targets_that_are_records(library: Library, name: str, layout: str) -> None:
    """Trains come with the steps, patterns are stored for each."""
    row, plan = NAMED[name], Plan((0, 2, 3, STEPS), ((2,), (0,), (0, STEPS - 4)), (1, 0))
    there = {"none": FULL, "lengths": CUT, "valid": VALID}[layout]
    x, y = map(library.array, padded(row, there))
    given = {"lengths": library.array(LENGTHS)} if layout == "lengths" else {}
    mask = library.array(VALID) if layout == "valid" else None

    def run(x: Any) -> Any:
        fold = row.loss.fold(None if row.imitates else y, **given)
        return fold.finish(merged(fold, plan, x, y if row.imitates else None, mask))

    same(library.value(run, x), row.elements(row.x, row.target, there).mean())
    if library.differentiates:
        _, slope = library.value_and_grad(run, x)
        near(slope, row.slope(row.x, row.target, there))


@every_eager
def test_errors_divided_by_the_lengths(library: Library) -> None:
    row = Case("", Loss(EveryStep(), SquaredError(steps_power=1), OnOff()))
    wanted = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)

    def run(x: Any, target: Any, **options: Any) -> Any:
        fold = row.loss.fold(target, **options)
        return fold.finish(merged(fold, by(3), x))

    compare(library, run, row.record_of(), row.target_of(), wanted, lengths=row.lengths)


@every_eager
@pytest.mark.parametrize("name", ["ce_rate()", "ce_temporal()", "Maximum", "LastStep"])
def test_a_stretch_without_steps_changes_nothing(library: Library, name: str) -> None:
    row = case(name)
    wanted, _ = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)
    x, y, n = map(library.array, (row.record_of(), row.target_of(), row.lengths))
    fold = row.loss.fold(y, lengths=n)
    state = merged(fold, by(4), x)
    for pair in ((fold.begin(x), state), (state, fold.begin(x, start=T))):
        same(fold.finish(fold.merge(*pair)), wanted)


@every_eager
def test_states_from_elsewhere(library: Library) -> None:
    """As from another process: arrays, to be pickled."""
    row = case("mse_temporal()")
    wanted, _ = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)
    x, y, n = map(library.array, (row.record_of(), row.target_of(), row.lengths))
    states = []
    for start, stop in ((0, 3), (3, T)):
        fold, part = row.loss.fold(y, lengths=n), x[start:stop]
        states.append(pickle.dumps(fold.steps(fold.begin(part, start=start), part)))
    fold = row.loss.fold(y, lengths=n)
    same(fold.finish(fold.merge(*map(pickle.loads, states))), wanted)


# JAX


@each_case([case(name) for name in ("ce_count()", "LastStep", "CrossEntropy ignoring steps",
                                    "mse_temporal()", "LogSumExp")])  # fmt: skip
def test_merge_in_jit(row: Case) -> None:
    plan = Plan((0, 2, 3, 5, T), ((2,), (0,), (0, 0), (2,)), (1, 0), rest=True)
    wanted = oracle(row, row.record_of(), row.target_of(), lengths=row.lengths)

    @compiled
    def call(x: Any, y: Any, n: Any) -> Any:
        fold, steps = folded(row.loss, row, y, lengths=n)
        return jax_grad(lambda x: fold.finish(merged(fold, plan, x, steps)), x)

    with JAX.precision():
        value, grad = call(*map(JAX.array, (row.record_of(), row.target_of(), row.lengths)))
    same(value, wanted[0])
    same(grad, wanted[1])


@pytest.mark.parametrize("name", ["ce_rate()", "mse_temporal()"])
def test_stretches_as_an_axis_of_jax(name: str) -> None:
    """One program for all of them, as in `shard_map`: where each begins is traced."""
    row, size, count = case(name), 2, 3  # 6 of the steps
    lengths = np.minimum(row.lengths, count * size)
    value, grad = oracle(row, row.record_of()[: count * size], row.target_of(), lengths=lengths)

    @compiled
    def call(x: Any, y: Any, n: Any) -> Any:
        fold = row.loss.fold(y, lengths=n)

        def stretch(x: Any, start: Any) -> Any:
            return fold.steps(fold.begin(x, start=start), x)

        def whole(x: Any) -> Any:
            pieces = x.reshape(count, size, B, N)
            states = jax.vmap(stretch)(pieces, size * jax.numpy.arange(count))
            first, *rest = (jax.tree.map(lambda part, i=i: part[i], states) for i in range(count))
            for state in rest:
                first = fold.merge(first, state)
            return fold.finish(first)

        return jax_grad(whole, x)

    with JAX.precision():
        given = row.record_of()[: count * size], row.target_of(), lengths
        found = call(*map(JAX.array, given))
    same(found[0], value)
    same(found[1], grad)


# Refusals

X = case("ce_count()").record_of()
LABELS = case("ce_count()").target_of()
CE, L1 = presets.ce_count().fold(LABELS), penalties.count_l1().fold()


def state(start: int, stop: int, fold: Any = CE, x: Array = X) -> Any:
    return fold.steps(fold.begin(x[start:stop], start=start), x[start:stop])


def two(loss: Any) -> Callable[[], Any]:
    """Two stretches of a loss."""

    def call() -> Any:
        fold = loss.fold(LABELS)
        return fold.merge(state(0, 3, fold), state(3, T, fold))

    return call


def of(readout: Any) -> Loss:
    return Loss(readout, CrossEntropy())


WINDOW = MovingWindow(width=3)
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "window": (two(of(WINDOW)), TypeError, "loss: .*MovingWindow"),
    "trace": (two(of(FilteredTrace(tau=2.0))), TypeError, "loss: .*FilteredTrace"),
    "peak": (two(of(PeakWindow(width=2))), TypeError, "loss: .*PeakWindow"),
    "interpolated": (two(of(InterpolatedSpike(threshold=0.5, code="negative"))), TypeError,
                     "loss: .*InterpolatedSpike"),
    "inside": (two(of(Population(WINDOW, classes=N))), TypeError, "loss: .*MovingWindow"),
    "deep inside": (two(of(Temperature(Weighted(WINDOW, 2.0), scale=0.5))), TypeError,
                    "loss: .*MovingWindow"),
    "in a sum": (two(presets.ce_count() + of(PeakWindow(width=2))), TypeError,
                 "loss: .*PeakWindow"),
    "turned": (lambda: CE.merge(state(3, T), state(0, 3)), ValueError, "state: "),
    "a gap": (lambda: CE.merge(state(0, 3), state(4, T)), ValueError, "state: "),
    "twice": (lambda: CE.merge(state(0, 3), state(2, T)), ValueError, "state: "),
    "from 0": (lambda: CE.merge(state(0, 3), state(0, 3)), ValueError, "state: "),
    "fewer samples": (lambda: L1.merge(state(0, 3, L1), state(3, T, L1, X[:, 1:])), ValueError,
                      "state: "),
    "fewer neurons": (lambda: L1.merge(state(0, 3, L1, X[..., 1:]), state(3, T, L1)), ValueError,
                      "state: "),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    call, error, text = REFUSED[name]
    with pytest.raises(error, match=f"^{text}") as caught:
        call()
    assert re.fullmatch(r"\w+: expected .+, got .+\. [A-Z].+\.", str(caught.value))


@pytest.mark.parametrize("start", [-1, 1.5, "3", None])
def test_starts_that_are_no_number_of_steps(start: Any) -> None:
    for begin in (lambda: CE.begin(X, start=start), lambda: CE.init(X[0], start=start)):
        with pytest.raises((TypeError, ValueError), match=r"^start: expected .+, got .+\. [A-Z]"):
            begin()
