"""The criteria of the native core against their formulas in long double.

NumPy and ctypes alone, so that a build with sanitizers can run it.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sharing import threaded  # noqa: F401  # a fixture

from spikeloss._kernels.native import (
    BACKWARD,
    BF16,
    F16,
    F32,
    F64,
    I32,
    I64,
    NOTHING,
    OPS,
    U8,
    core,
)

pytestmark = pytest.mark.skipif(isinstance(core(), str), reason="the core was not built")

ml_dtypes = pytest.importorskip("ml_dtypes")
WIDE = np.longdouble
TINY = 2e-36  # what is not normal in float32, of many classes
BFLOAT = np.dtype(ml_dtypes.bfloat16)
CODES = {
    np.dtype(np.float32): F32,
    np.dtype(np.float64): F64,
    np.dtype(np.float16): F16,
    BFLOAT: BF16,
    np.dtype(np.uint8): U8,
    np.dtype(np.int32): I32,
    np.dtype(np.int64): I64,
}
VARIANTS = ("avx512", "avx2", "neon", "baseline")


@dataclass(frozen=True)
class Case:
    """A kernel with options; value and slope of its formula, of each entry or of each row."""

    op: str
    options: tuple[float, ...]
    formula: Callable[..., tuple[Any, Any]]
    target: str  # "labels", "shares" or "numbers"

    @property
    def rows(self) -> bool:
        return self.op in ("ce", "soft_ce", "distil")


def log_softmax(x: Any) -> Any:
    # Of the terms the largest is 1: log1p of the others keeps the digits of a sure row.
    top = np.max(x, axis=-1, keepdims=True)
    at = np.argmax(x, axis=-1)[..., None]
    e = np.exp(x - top)
    np.put_along_axis(e, at, 0, axis=-1)
    return x - top - np.log1p(np.sum(e, axis=-1, keepdims=True))


def cross_entropy(x: Any, y: Any, smooth: float, ignores: float, ignored: float) -> Any:
    classes = x.shape[-1]
    inside = (y >= 0) & (y < classes)
    at = np.where(inside, y, 0)[..., None]
    z_y = np.take_along_axis(x, at, axis=-1)
    log_p = log_softmax(x)
    with np.errstate(over="ignore", invalid="ignore"):
        others = np.exp(x - z_y)
        np.put_along_axis(others, at, 0, axis=-1)
        sums = np.sum(others, axis=-1, keepdims=True)
        hit = np.where(np.isfinite(sums), np.log1p(sums), -np.take_along_axis(log_p, at, axis=-1))
    one, value = np.zeros_like(x), (1 - smooth) * hit
    np.put_along_axis(one, at, 1, axis=-1)
    if smooth:
        value = value - smooth / classes * np.sum(log_p, axis=-1, keepdims=True)
    slope = np.exp(log_p) - WIDE(smooth) / classes
    right = smooth - WIDE(smooth) / classes + np.expm1(-hit)
    slope = np.where(one == 1, right, slope)
    value = np.where(inside[..., None], value, np.nan)
    slope = np.where(inside[..., None], slope, np.nan)
    counts = np.ones(y.shape, bool) if not ignores else y != ignored
    return np.where(counts[..., None], value, 0), np.where(counts[..., None], slope, 0)


def soft(x: Any, q: Any, smooth: float) -> Any:
    q = (1 - smooth) * q + WIDE(smooth) / x.shape[-1]
    log_p = log_softmax(x)
    cost = np.where((q == 0) & (log_p == -np.inf), 0, -q * np.where(q == 0, 0, log_p))
    slope = np.exp(log_p) * np.sum(q, axis=-1, keepdims=True) - q
    return np.sum(cost, axis=-1, keepdims=True), slope


def squared(x: Any, y: Any, tolerance: float, delta: float) -> Any:
    error = x - y
    size = np.abs(error)
    value, slope = error * error, 2 * error
    if delta:
        value = np.where(size <= delta, value, delta * (2 * size - delta))
        slope = np.where(size <= delta, slope, 2 * delta * np.sign(error))
    out = size < tolerance
    return np.where(out, 0, value), np.where(out, 0, slope)


def binary(x: Any, y: Any, slope: float, threshold: float) -> Any:
    a = slope * (x - WIDE(np.float32(threshold)))
    small = np.exp(-np.abs(a))
    value = a / 2 + np.abs(a) / 2 - y * a + np.log1p(small)
    tail = small / (1 + small)
    return value, slope * np.where(a > 0, 1 - y - tail, tail - y)


def poisson(x: Any, y: Any) -> Any:
    return np.exp(x) - y * x, np.exp(x) - y


def distil(x: Any, y: Any, heat: float) -> Any:
    q, gap = np.exp(log_softmax(y / WIDE(heat))), (x - y) / WIDE(heat)
    gap = gap - np.sum(q * gap, axis=-1, keepdims=True)
    more = np.sum(q * (np.expm1(gap) - gap), axis=-1, keepdims=True)
    return WIDE(heat) ** 2 * np.log1p(more), heat * q * (np.expm1(gap) - more) / (1 + more)


CASES = [
    Case("ce", (0.0, 0.0, 0.0), cross_entropy, "labels"),
    Case("ce", (0.25, 1.0, -100.0), cross_entropy, "labels"),
    Case("ce", (0.0, 1.0, 1.0), cross_entropy, "labels"),
    Case("soft_ce", (0.0,), soft, "shares"),
    Case("soft_ce", (0.25,), soft, "shares"),
    Case("se", (0.0, 0.0), squared, "numbers"),
    Case("se", (0.5, 0.0), squared, "numbers"),
    Case("se", (0.25, 1.0), squared, "numbers"),
    Case("bce", (1.0, 0.0), binary, "shares"),
    Case("bce", (2.0, 0.5), binary, "shares"),
    Case("poisson", (), poisson, "numbers"),
    Case("distil", (1.0,), distil, "numbers"),
    Case("distil", (4.0,), distil, "numbers"),
    Case("train", (3.0,), poisson, "numbers"),
]


def name_of(case: Case) -> str:
    return case.op + "".join(f"-{option:g}" for option in case.options)


def laid_out(x: Any, layout: str) -> Any:
    """The same numbers with other strides; some of them start off the alignment of vectors."""
    steps, samples, neurons = x.shape
    if layout == "time":
        return np.ascontiguousarray(x)
    if layout == "unaligned":
        room = np.empty(x.size + 1, x.dtype)[1:].reshape(x.shape)
    elif layout == "batch":
        room = np.empty((samples, steps, neurons), x.dtype).transpose(1, 0, 2)
    elif layout == "channel":
        room = np.empty((samples, neurons, steps), x.dtype).transpose(2, 0, 1)
    else:
        room = np.empty((steps, samples + 1, 2 * neurons), x.dtype)[:, 1:, ::2]
    room[...] = x
    return room


LAYOUTS = ("time", "unaligned", "batch", "channel", "sliced")


def view(x: Any, steps: int | None = None) -> tuple[int, int, int, int, int]:
    strides = [s // x.itemsize for s in x.strides]
    if steps is not None and x.shape[0] == 1 != steps:
        strides[0] = 0
    return (x.ctypes.data, *strides, CODES[x.dtype])


def options_of(case: Case) -> tuple[float, float, float, float]:
    return (*case.options, 0.0, 0.0, 0.0, 0.0)[:4]


@dataclass
class Result:
    value: Any
    grad: Any
    counted: Any


def run(
    case: Case, x: Any, y: Any, lengths: Any, up: Any, threads: int, grads: str = "time"
) -> Result:
    library = core()
    assert not isinstance(library, str)
    steps, samples, neurons = x.shape
    kind = np.float64 if x.dtype == np.float64 else np.float32
    value = np.full((samples, 1 if case.rows else neurons), -7, kind)
    counted = np.full((samples, 1), -7, np.int32)
    held = (0, 0) if lengths is None else (lengths.ctypes.data, int(lengths.dtype == np.int64))
    target = view(y, steps)
    if y.ndim == 2:
        target = (y.ctypes.data, *(s // y.itemsize for s in y.strides), 0, I64)
        if y.shape[0] == 1 != steps:
            target = (target[0], 0, *target[2:])
    op = OPS.index(case.op)
    out = (value.ctypes.data, counted.ctypes.data if case.op == "ce" else 0, 0, 0)
    given: dict[str, Any] = {"threads": threads, "y": target, "lengths": held}
    given["options"] = options_of(case)
    assert library.run(op, x.shape, view(x), out=out, **given) == 0
    if x.dtype == np.uint8:
        return Result(value, None, counted)
    up = up.astype(kind)
    grad = laid_out(np.full(x.shape, -7, x.dtype), grads)
    given.update(grad=view(grad), up=(up.ctypes.data, 0, 0), out=out)
    assert library.run(op + BACKWARD, x.shape, view(x), **given) == 0
    return Result(value, grad, counted)


def expected(case: Case, x: Any, y: Any, lengths: Any, up: Any) -> tuple[Any, Any, Any, Any]:
    """Totals, what their rounding is measured by, the gradient, and what it is measured by."""
    steps, samples, _ = x.shape
    held = np.full(samples, steps) if lengths is None else np.clip(lengths, 0, steps)
    valid = (np.arange(steps)[:, None] < held)[..., None]
    x = np.where(valid, x.astype(WIDE), 0)
    y = np.broadcast_to(y, (steps, *y.shape[1:]))
    y = (
        np.where(valid[..., 0], y, 0)
        if case.target == "labels"
        else np.where(valid, y, 0).astype(WIDE)
    )
    if case.op == "train":
        decay, z = np.exp(-1 / WIDE(case.options[0])), np.zeros(x.shape, WIDE)
        for t in range(steps):
            z[t] = np.where(valid[t], (decay * z[t - 1] if t else 0) + x[t] - y[t], 0)
        slope = np.zeros_like(z)
        for t in reversed(range(steps)):
            slope[t] = 2 * z[t] + (decay * slope[t + 1] if t + 1 < steps else 0)
        each, slope = z * z, np.where(valid, slope, 0)
        size = np.max(np.abs(slope), axis=0, keepdims=True) if steps else 0
    else:
        each, slope = case.formula(x, y, *case.options)
        each, slope = np.where(valid, each, 0), np.where(valid, slope, 0)
        size = np.max(np.abs(slope), axis=-1, keepdims=True) if case.rows else np.abs(slope) + 1
        if case.op == "soft_ce":
            size = np.maximum(size, np.sum(np.abs(y), axis=-1, keepdims=True))
        if case.op == "distil":
            size = np.maximum(size, 0.1 * case.options[0])
        if case.op == "ce":  # p_c - e / C where both are alike
            size = np.maximum(size, case.options[0])
    scale = np.abs(each)
    if case.op in ("poisson", "bce"):
        scale = scale + np.abs(x * y)
    if case.op == "soft_ce":
        scale = scale + np.sum(np.abs(x * y), axis=-1, keepdims=True)
    weight = np.abs(up.astype(WIDE))
    return each.sum(0), scale.sum(0), slope * up.astype(WIDE), size * weight


def close(case: Case, got: Result, want: tuple[Any, Any, Any, Any], of: Any) -> None:
    value, scale, grad, size = want
    eps = 2e-6 if got.value.dtype == np.float32 else 1e-13
    assert np.array_equal(np.isnan(got.value), np.isnan(value))
    bad = ~(np.abs(got.value - value) <= eps * scale + TINY) & np.isfinite(value)
    assert not bad.any(), (case, got.value[bad][:3], value[bad][:3])
    if got.grad is None:
        return
    coarse = {F16: 1e-3, BF16: 8e-3}.get(CODES[of.dtype], 0)
    error = np.abs(got.grad.astype(WIDE) - grad)
    bad = ~(error <= eps * size + TINY + coarse * np.abs(grad) + (1e-7 if coarse else 0))
    bad &= ~(np.isnan(grad) & np.isnan(got.grad.astype(WIDE)))
    assert not bad.any(), (case, np.argwhere(bad)[:3], got.grad[bad][:3], grad[bad][:3])


def target_of(case: Case, shape: tuple[int, int, int], rng: Any, own: bool) -> Any:
    steps, samples, neurons = shape
    first = steps if own else 1
    if case.target == "labels":
        return rng.integers(0, max(neurons, 1), (first, samples))
    if case.target == "shares":
        y = rng.random((first, samples, neurons))
        if case.op == "soft_ce":
            y[..., ::3] = 0
        return y.astype(rng.choice([np.float32, np.float64]))
    if case.op == "distil":
        return rng.normal(size=(first, samples, neurons)).astype(np.float32)
    return rng.integers(0, 3, (first, samples, neurons)).astype(
        rng.choice([np.uint8, np.float32, np.int32])
    )


SHAPES = [(7, 5, 6), (1, 3, 1), (37, 19, 10), (33, 3, 35), (5, 2, 20), (3, 1, 130), (18, 70, 2)]
EMPTY = [(0, 3, 4), (3, 0, 4), (0, 0, 1)]


def chosen() -> Iterator[str]:
    library = core()
    assert not isinstance(library, str)
    before = library.variant
    for variant in VARIANTS:
        if library.choose(variant):
            yield variant
    library.choose(before)


def lengths_of(kind: str, shape: tuple[int, int, int], rng: Any) -> Any:
    if kind == "all":
        return None
    held = rng.integers(0, shape[0] + 1, shape[1])
    return held.astype(np.int32 if kind == "int32" else np.int64)


def record_of(shape: tuple[int, int, int], kind: Any, rng: Any) -> Any:
    x = 2 * rng.normal(size=shape)
    return rng.integers(0, 2, shape).astype(kind) if kind == np.uint8 else x.astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, BFLOAT, np.uint8], ids=str)
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_formula(case: Case, kind: Any) -> None:
    rng = np.random.default_rng(1)
    grid = itertools.product(SHAPES, ("all", "int32", "int64"), (False, True))
    for at, (shape, ragged, own) in enumerate(grid):
        x = laid_out(record_of(shape, kind, rng), LAYOUTS[at % 5])
        y, lengths = target_of(case, shape, rng, own), lengths_of(ragged, shape, rng)
        up = rng.normal(size=(shape[1], 1 if case.rows else shape[2])).astype(np.float32)
        want = expected(case, x, y, lengths, up)
        laid = y if y.ndim == 2 else laid_out(y, LAYOUTS[at % 4])
        for _ in chosen():
            got = run(case, x, laid, lengths, up, 1, LAYOUTS[at // 2 % 5])
            close(case, got, want, x)


@pytest.mark.usefixtures("threaded")
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_layouts_and_threads_same_bits(case: Case) -> None:
    rng = np.random.default_rng(2)
    shape = (40, 130, 35)
    x, y = record_of(shape, np.float32, rng), target_of(case, shape, rng, False)
    up = rng.normal(size=(shape[1], 1 if case.rows else shape[2])).astype(np.float32)
    for lengths in (None, lengths_of("int64", shape, rng)):
        for _ in chosen():
            one = run(case, x, y, lengths, up, 1)
            for threads in (2, 5):
                other = run(case, x, y, lengths, up, threads)
                assert np.array_equal(one.value, other.value)
                assert np.array_equal(one.grad, other.grad)
            close(case, one, expected(case, x, y, lengths, up), x)


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("shape", EMPTY, ids=str)
def test_empty(case: Case, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    for kind in (np.float32, np.float64):
        x, y = record_of(shape, kind, rng), target_of(case, shape, rng, False)
        up = np.ones((shape[1], 1 if case.rows else shape[2]), np.float32)
        got = run(case, x, y, None, up, 2)
        assert not got.value.any()
        assert not got.grad.any()


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_padding_is_not_read(case: Case) -> None:
    """Whatever lies past n_b, values and gradients of valid steps are the same, and 0 past it."""
    rng = np.random.default_rng(4)
    shape = (21, 37, 10)
    x, y = record_of(shape, np.float32, rng), target_of(case, shape, rng, True)
    lengths = lengths_of("int64", shape, rng)
    up = np.ones((shape[1], 1 if case.rows else shape[2]), np.float32)
    padding = np.arange(shape[0])[:, None] >= lengths
    spoilt, wrong = x.copy(), y.copy()
    spoilt[padding] = np.nan
    wrong[padding] = -5 if y.dtype != np.uint8 else 200
    for _ in chosen():
        one, other = run(case, x, y, lengths, up, 1), run(case, spoilt, wrong, lengths, up, 1)
        assert np.array_equal(one.value, other.value)
        assert np.array_equal(one.grad, other.grad)
        assert not one.grad[padding].any()


CE = [case for case in CASES if case.op == "ce"]


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize("case", CE, ids=name_of)
@pytest.mark.parametrize("size", [10.0, 80.0, 1e4])
def test_far_logits(case: Case, kind: Any, size: float) -> None:
    rng = np.random.default_rng(5)
    for shape in ((20, 33, 35), (9, 5, 10), (9, 5, 3)):
        x = (rng.normal(size=shape) * size).round(1).astype(kind)
        x[::2] += kind(size)
        y, up = target_of(case, shape, rng, True), np.ones((shape[1], 1), np.float32)
        want = expected(case, x, y, None, up)
        for _ in chosen():
            close(case, run(case, x, y, None, up, 1), want, x)


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize("case", CE, ids=name_of)
def test_labels_out_of_range_and_counts(case: Case, kind: Any) -> None:
    rng = np.random.default_rng(6)
    shape = (17, 35, 10)
    x, y = record_of(shape, kind, rng), target_of(case, shape, rng, True)
    y[3, ::4], y[5, ::5], y[6, 1::5], y[:, 7] = -100, 10, 2**40, 1
    up = np.ones((shape[1], 1), np.float32)
    want = expected(case, x, y, None, up)
    counts = np.ones(y.shape, bool) if not case.options[1] else y != case.options[2]
    for _ in chosen():
        got = run(case, x, y, None, up, 1)
        close(case, got, want, x)
        assert np.array_equal(got.counted[:, 0], counts.sum(0))


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=str)
def test_rows_that_are_not_finite(kind: Any) -> None:
    """As a log-softmax: +inf and nan give nan, -inf is a class without probability."""
    inf = np.inf
    rows = np.array(
        [[0, 1, inf], [0, np.nan, 0], [-inf, 0, 1], [0, -inf, 2], [-inf] * 3, [3, 1, 2]]
    )
    x = np.repeat(rows[:, None, :], 18, axis=1).astype(kind)
    want = [np.nan, np.nan, inf, np.log(1 + np.exp(2.0)), np.nan, np.log1p(np.exp(-2) + np.exp(-1))]
    for _ in chosen():
        for at, value in enumerate(want):
            y, up = np.zeros((1, 18), np.int64), np.ones((18, 1), np.float32)
            got = run(CASES[0], x[at : at + 1], y, None, up, 1)
            assert np.allclose(got.value, value, equal_nan=True, rtol=1e-6)
            assert np.isnan(got.grad).all() == np.isnan(value)
            assert np.isnan(got.grad).any() == np.isnan(value)


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=str)
def test_sure_rows_keep_their_digits(kind: Any) -> None:
    x = np.zeros((4, 17, 35), kind)
    x[..., 3] = np.array([20, 40, 60, 80])[:, None]
    y, up = np.full((1, 17), 3), np.ones((17, 1), np.float32)
    for _ in chosen():
        for step in range(4):
            got = run(CASES[0], x[step : step + 1], y, None, up, 1)
            assert np.allclose(got.value, 34 * np.exp(-float(x[step, 0, 3])), rtol=2e-6, atol=0)


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=str)
def test_soft_classes_without_probability(kind: Any) -> None:
    x = np.array([[[0.0, 1.0, -np.inf]] * 3], kind)
    q = np.array([[[0.5, 0.5, 0.0]] * 3])
    up = np.ones((3, 1), np.float32)
    want = 0.5 * np.log1p(np.exp(1.0)) + 0.5 * np.log1p(np.exp(-1.0))
    for _ in chosen():
        got = run(CASES[3], x, q, None, up, 1)
        assert np.allclose(got.value, want, rtol=1e-6)
        assert np.isfinite(got.grad).all()
        q_too = np.array([[[0.5, 0.25, 0.25]] * 3])
        assert np.isposinf(run(CASES[3], x, q_too, None, up, 1).value).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=str)
@pytest.mark.parametrize("gap", [1e-1, 1e-3, 1e-5])
@pytest.mark.parametrize("classes", [12, 130])
def test_distillation_of_near_equals(kind: Any, gap: float, classes: int) -> None:
    """Value and gradient keep their digits, however near the student comes."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=(9, 5, classes)).astype(kind)
    x = (y + gap * rng.normal(size=y.shape)).astype(kind)
    up = np.ones((5, 1), np.float32)
    case = Case("distil", (4.0,), distil, "numbers")
    want = expected(case, x, y, None, up)
    eps = 2e-5 if kind == np.float32 else 1e-11
    for _ in chosen():
        got = run(case, x, y, None, up, 1)
        assert (np.abs(got.value - want[0]) <= eps * np.abs(want[0])).all()
        size = np.abs(want[2]).max(-1, keepdims=True)
        assert (np.abs(got.grad - want[2]) <= eps * size).all()


@pytest.mark.parametrize("case", [CASES[0], CASES[5], CASES[8], CASES[13]], ids=name_of)
def test_long_records_in_float32(case: Case) -> None:
    rng = np.random.default_rng(8)
    shape = (100_000, 2, 2)
    x, y = record_of(shape, np.float32, rng), target_of(case, shape, rng, False)
    up = np.ones((2, 1 if case.rows else 2), np.float32)
    close(case, run(case, x, y, None, up, 2), expected(case, x, y, None, up), x)


def test_wide_rows() -> None:
    rng = np.random.default_rng(9)
    shape = (2, 3, 40_000)
    for case in CASES:
        x, y = record_of(shape, np.float32, rng), target_of(case, shape, rng, False)
        up = np.ones((3, 1 if case.rows else shape[2]), np.float32)
        close(case, run(case, x, y, None, up, 2), expected(case, x, y, None, up), x)


def test_no_gradient_from_outside_is_none() -> None:
    library = core()
    assert not isinstance(library, str)
    x = np.ones((3, 2, 5), np.float32)
    labels = np.zeros((1, 2), np.int64)
    for op in ("ce", "se", "train"):
        grad = np.full_like(x, np.nan)
        y = (labels.ctypes.data, 0, 1, 0, I64) if op == "ce" else view(np.zeros_like(x))
        given = {"y": y, "grad": view(grad), "options": (3.0 * (op == "train"), 0.0, 0.0, 0.0)}
        assert library.run(OPS.index(op) + BACKWARD, x.shape, view(x), threads=1, **given) == 0
        assert not grad.any()
    assert NOTHING == (0, 0, 0, 0, 0)
