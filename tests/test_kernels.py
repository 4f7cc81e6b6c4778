"""Losses with kernels are the same losses: values and gradients against the composed form.

Every row of `CASES` that has a kernel, and more; `kernels.py` says what has one. Each test also
looks at what ran, so that no kernel is left out silently.
"""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, Case, case, expected, target_for
from kernels import (
    COUPLED,
    ROWS,
    each_row,
    evaluated,
    fits,
    kernels,
    lengths_for,
    needs_core,
    record_for,
    truth,
    used,
    watched,
)
from libraries import FLOATS, NUMPY, TORCH, Array, Library, named, same

from spikeloss import presets

pytestmark = needs_core

SMALL, LARGE = (7, 5, 6), (37, 58, 36)  # large: several tiles of time and of samples, and threads
EAGER = pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)


def packed(x: Any) -> Any:
    """A copy whose entries lie in order."""
    return x.copy(order="C") if isinstance(x, np.ndarray) else x.clone().contiguous()


def wide(x: Any) -> Any:
    """A view on every second step, sample and neuron of a larger array."""
    steps, samples, neurons = x.shape
    if isinstance(x, np.ndarray):
        room = np.zeros((2 * steps, 2 * samples, 2 * neurons + 1), x.dtype)
    else:
        room = torch.zeros((2 * steps, 2 * samples, 2 * neurons + 1), dtype=x.dtype)
    room[::2, 1::2, 1::2] = x
    return room[::2, 1::2, 1::2]


def shifted(x: Any) -> Any:
    """A copy that begins one entry after where arrays begin."""
    room = (
        np.zeros(x.size + 1, x.dtype) if isinstance(x, np.ndarray) else x.new_zeros(x.numel() + 1)
    )
    room[1:] = x.reshape(-1)
    return room[1:].reshape(x.shape)


def backwards(x: Array) -> Array:
    """A view with steps of memory that are negative."""
    return x[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]


def off_by_a_byte(x: Array) -> Array:
    """A copy of which no entry lies where its type wants it."""
    made = np.ndarray(x.shape, x.dtype, bytearray(x.nbytes + 1), 1)
    made[...] = x
    return made


VIEWS: dict[str, Any] = {
    "time first": (packed, {}),
    "batch first": (lambda x: packed(x.swapaxes(0, 1)), {"time_axis": 1}),
    "neurons first": (
        lambda x: packed(x.swapaxes(0, 1).swapaxes(1, 2)),
        {"time_axis": 2, "class_axis": 1},
    ),
    "batch first view": (lambda x: packed(x.swapaxes(0, 1)).swapaxes(0, 1), {}),
    "neurons before samples": (lambda x: packed(x.swapaxes(1, 2)).swapaxes(1, 2), {}),
    "every second": (wide, {}),
    "shifted": (shifted, {}),
}
OF_NUMPY = {"backwards": (backwards, {}), "off by a byte": (off_by_a_byte, {})}


def watched_call(row: Case, library: Library, *given: Any, **options: Any) -> tuple[Any, Any]:
    """Value and gradient with kernels, which have to be those of the row."""
    with kernels("require"), watched() as ran:
        found = evaluated(library, row.loss, *given, **options)
    padded = options.get("lengths") is not None
    forward, slopes = used(row, library, padded), found[1] is not None
    assert ran == forward + [f"d {op}" for op in reversed(forward)] * slopes
    return found


def target_of(row: Case, shape: Any, library: Library, dtype: str = "float64") -> Any:
    y = target_for(row, shape)
    return library.array(y, dtype if y.dtype.kind == "f" else None)


@each_row
@EAGER
def test_rows_are_what_their_formulas_say(row: Case, library: Library) -> None:
    for fixture in row.fixtures:
        x, y = row.record_of(fixture), row.target_of(fixture)
        for padded in (False, True) if x.shape == SMALL else (False,):
            options = {"lengths": library.array(row.lengths)} if padded else {}
            target = library.array(y, "float64" if y.dtype.kind == "f" else None)
            loss = partial(row.loss, target=target, **options)
            wanted = expected(row, fixture, padded=padded)
            with kernels("require"), watched() as ran:
                given = library.array(x, "float64")
                if library.differentiates:
                    value, grad = library.value_and_grad(loss, given)
                    same(grad, wanted[1])
                else:
                    value = library.value(loss, given)
            same(value, wanted[0])
            wanted_ops = used(row, library, padded)
            assert ran[: len(wanted_ops)] == wanted_ops


@each_row
@EAGER
def test_every_dtype(row: Case, library: Library) -> None:
    for shape in (SMALL, LARGE):
        if not fits(row, shape):
            continue
        for dtype in (*FLOATS, "bool", "uint8"):
            result = dtype if dtype in FLOATS else "float32"
            x, y = record_for(row, shape, dtype), target_of(row, shape, library, result)
            for padded in (False, True):
                wanted = truth(row, shape, dtype, padded)
                if dtype == "float16" and np.max(np.abs(wanted[0])) > 65504:
                    continue  # it does not hold that
                lengths = library.array(lengths_for(row, shape)) if padded else None
                value, grad = watched_call(
                    row, library, library.array(x, dtype), y, dtype in FLOATS, lengths=lengths
                )
                same(value, wanted[0], result)
                if grad is not None:
                    same(grad, wanted[1], dtype)


@each_row
@EAGER
def test_every_layout(row: Case, library: Library) -> None:
    views = VIEWS | (OF_NUMPY if library is NUMPY else {})
    shape = LARGE if fits(row, LARGE) else SMALL
    if not fits(row, shape):
        return
    x, y = record_for(row, shape, "float32"), target_of(row, shape, library, "float32")
    for view, options in views.values():
        given = view(library.array(x, "float32"))
        lengths = library.array(lengths_for(row, shape))
        value, grad = watched_call(row, library, given, y, lengths=lengths, **options)
        wanted, slope = truth(row, shape, "float32", True)
        same(value, wanted, "float32")
        if grad is not None:
            back = np.moveaxis(grad, *moved(options))
            same(back, slope, "float32")


def moved(options: dict[str, Any]) -> Any:
    """Where the axes of time, samples and neurons are, and where they belong."""
    time, neurons = options.get("time_axis", 0), options.get("class_axis", 2)
    return (time, 3 - time - neurons, neurons), (0, 1, 2)


@EAGER
def test_several_batch_axes(library: Library) -> None:
    # Of the second view the samples have no single stride.
    for row in (case("ce_rate()"), case("Maximum"), case("FilteredTrace"), case("SpikeTimes each")):
        x, y = record_for(row, LARGE, "float32"), target_of(row, LARGE, library, "float32")
        y = y.reshape(2, 29, *y.shape[1:]) if row.target == "labels" else y
        lengths = library.array(lengths_for(row, LARGE).reshape(2, 29))
        made = library.array(x, "float32").reshape(37, 2, 29, 36)
        for view in (made, packed(made.swapaxes(1, 2)).swapaxes(1, 2)):
            value, grad = watched_call(row, library, view, y, lengths=lengths)
            wanted, slope = truth(row, LARGE, "float32", True)
            same(value.reshape(wanted.shape), wanted, "float32")
            if grad is not None:
                same(grad.reshape(slope.shape), slope, "float32")


@pytest.mark.parametrize("axis", [0, 1, 2])
@EAGER
def test_records_that_repeat_themselves(library: Library, axis: int) -> None:
    for row in (case("ce_rate()"), case("Maximum"), case("MovingWindow"), case("SoftCount")):
        x = np.take(record_for(row, LARGE, "float64"), [3], axis)
        y = target_of(row, LARGE, library)
        repeated = np.broadcast_to(x, LARGE)
        view = repeated if library is NUMPY else torch.from_numpy(x).expand(LARGE)
        found = watched_call(row, library, view, y)
        with kernels("off"):
            wanted = evaluated(library, row.loss, packed(view), y)
        for one, other in zip(found, wanted, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                same(one, other)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16"])
@EAGER
def test_integers_of_any_size(library: Library, dtype: str) -> None:
    for name in ("ce_rate()", "CrossEntropy step_labels", "mse_count()"):
        row = case(name)
        y = library.array(row.target_of(), dtype)
        n = library.array(row.lengths, dtype)
        value, _ = watched_call(
            row, library, library.array(row.record_of(), "float64"), y, lengths=n
        )
        same(value, expected(row, padded=True)[0])


@EAGER
def test_foreign_order_of_bytes(library: Library) -> None:
    if library is not NUMPY:
        return
    row = case("ce_rate()")
    given = row.record_of(), row.target_of().astype(">i4")
    with kernels("require"):
        same(row.loss(*given, lengths=row.lengths.astype(">i8")), expected(row, padded=True)[0])
        same(row.loss(given[0].astype(">f8"), given[1]), expected(row)[0])


def test_samples_that_are_averaged_first() -> None:
    x = record_for(case("Maximum"), SMALL, "float64")
    y = TORCH.array(target_for(case("SquaredError values"), SMALL))
    found = []
    for mode in ("require", "off"):
        with kernels(mode), watched() as ran:
            found.append(evaluated(TORCH, COUPLED, TORCH.array(x), y))
        assert ran == ["max", "d max"] * (mode == "require")
    for one, other in zip(*found, strict=True):
        same(one, other)


TRAINS = presets.mse_trace(tau=3.0), presets.mse_trace(tau=60.0), presets.mse_trace(order=2)


@pytest.mark.parametrize("loss", TRAINS, ids=["short", "long", "alpha"])
@EAGER
def test_trains(library: Library, loss: Any) -> None:
    wanted_ops = ["train"] if loss != TRAINS[2] else ["trace", "trace", "se"]
    row = case("SumOverTime")
    for shape in (SMALL, LARGE, (1, 3, 1)):
        for dtype in (*FLOATS, "bool", "uint8"):
            x = record_for(row, shape, dtype)
            y = np.ascontiguousarray(x[::-1, ::-1])
            result = dtype if dtype in FLOATS else "float32"
            for other in (dtype, "bool", "float32"):
                n = np.maximum(lengths_for(row, shape), 1)
                other_y = library.array(y, other)
                with kernels("off"):
                    wanted = evaluated(
                        TORCH,
                        loss,
                        TORCH.array(x, "float64"),
                        TORCH.array(np.asarray(y).astype(bool) if other == "bool" else y),
                        lengths=torch.from_numpy(n),
                    )
                with kernels("require"), watched() as ran:
                    value, grad = evaluated(
                        library,
                        loss,
                        library.array(x, dtype),
                        other_y,
                        dtype in FLOATS,
                        lengths=library.array(n),
                    )
                assert [op for op in ran if op[:2] != "d "] == wanted_ops
                same(value, wanted[0], result)
                if grad is not None:
                    same(grad, wanted[1], dtype)


FALLBACKS = {
    "weights of classes and labels of steps": (case("CE steps samples weighted"), []),
    "weights of classes and smoothing": (case("CE smoothed weighted"), []),
    "every step is enough": (case("Level of others"), []),
}


@pytest.mark.parametrize("name", FALLBACKS)
@EAGER
def test_what_has_no_kernel_is_composed(library: Library, name: str) -> None:
    row, wanted = FALLBACKS[name]
    x = library.array(row.record_of(), "float64")
    with kernels("require"), watched() as ran:
        same(
            library.value(lambda x: row.loss(x, target_of(row, x.shape, library)), x),
            expected(row)[0],
        )
    assert [op for op in ran if op != "sum"] == wanted


@EAGER
def test_gaps_are_composed(library: Library) -> None:
    row = case("ce_rate()")
    valid = np.random.default_rng(0).random(SMALL[:2]) < 0.7
    valid[3] = True
    x, y = library.array(row.record_of(), "float64"), library.array(row.target_of())
    found = []
    for mode in ("require", "off"):
        with kernels(mode), watched() as ran:
            found.append(library.to_numpy(row.loss(x, y, valid=library.array(valid))))
        assert ran == []
    same(*found)


def test_every_row_and_kernel_is_here() -> None:
    found = {op for row in ROWS for op in used(row)}
    assert found == {*ALL}
    assert set(CASES) - set(ROWS)


ALL = (
    *("sum", "max", "lse", "votes", "last"),
    *("spikes", "first", "soft", "cross", "peak", "trace", "window"),
    *("ce", "soft_ce", "se", "bce", "poisson", "distil"),
)
