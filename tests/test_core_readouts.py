"""The native core's readouts against plain loops of NumPy in float64."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes  # noqa: F401  which names bfloat16 to NumPy
import numpy as np
import pytest
from sharing import threaded  # noqa: F401  # a fixture

from spikeloss._kernels.native import BACKWARD, BF16, F16, F32, F64, OPS, U8, Core, core

pytestmark = pytest.mark.skipif(isinstance(core(), str), reason=f"no native core: {core()}")

TYPES = {"float32": F32, "float64": F64, "float16": F16, "bfloat16": BF16, "uint8": U8}
ROUNDED = {"float32": 2e-6, "float64": 1e-13, "float16": 1e-3, "bfloat16": 8e-3, "uint8": 2e-6}
VARIANTS = ("avx512", "avx2", "baseline", "neon")
SHAPES = (
    (7, 5, 6),
    (1, 3, 35),
    (37, 4, 1),
    (20, 31, 35),
    (19, 2, 1100),
    (300, 1, 17),
    (33, 67, 16),
)
LAYOUTS = ("time", "batch", "channel", "gaps", "shifted")
Record = Any


def native() -> Core:
    it = core()
    assert isinstance(it, Core)
    return it


def variants() -> Iterator[str]:
    """Each variant that this machine runs, the best last."""
    for name in reversed(VARIANTS):
        if native().choose(name):
            yield name


def everywhere(layouts: list[Record]) -> Iterator[Record]:
    """All layouts on the best variant, the first and the last on others."""
    *others, best = list(variants())
    for name in others:
        native().choose(name)
        yield from layouts[:: len(layouts) - 1]
    native().choose(best)
    yield from layouts


@pytest.fixture(autouse=True)
def _best() -> Iterator[None]:
    yield
    list(variants())


def laid_out(x: Record, layout: str) -> Record:
    """The same record with other strides."""
    if layout == "batch":
        return np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    if layout == "channel":
        return np.ascontiguousarray(x.transpose(1, 2, 0)).transpose(2, 0, 1)
    if layout == "gaps":
        wide = np.zeros((*x.shape[:2], 2 * x.shape[2] + 1), x.dtype)
        wide[..., 1::2] = x
        return wide[..., 1::2]
    if layout == "shifted":
        flat = np.empty(x.size + 1, x.dtype)
        flat[1:] = x.ravel()
        return flat[1:].reshape(x.shape)
    return np.ascontiguousarray(x)


def view(x: Record) -> tuple[int, int, int, int, int]:
    strides = [s // x.itemsize for s in x.strides]
    return (x.ctypes.data, *strides, TYPES[x.dtype.name])


class Guarded:
    """An output that nothing is written beside."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        size = int(np.prod(shape))
        self.all = np.full(size + 32, 77, dtype)
        self.array = self.all[16 : 16 + size].reshape(shape)

    def checked(self) -> Record:
        assert (self.all[:16] == 77).all()
        assert (self.all[-16:] == 77).all()
        return self.array


@dataclass
class Found:
    outs: list[Record]
    kept: Record
    status: int


def run(
    op: str,
    x: Record,
    *,
    outs: str = "",
    count: int = 1,
    lengths: Record = None,
    options: tuple[float, ...] = (),
    keeps: bool = False,
    threads: int = 1,
) -> Found:
    """A forward; of `outs` r is R and i is int32."""
    real = np.float64 if x.dtype == np.float64 else np.float32
    shape = (count, *x.shape[1:])
    made = [Guarded(shape, real if kind == "r" else np.int32) for kind in outs]
    kept = Guarded(x.shape, real) if keeps else None
    status = native().run(
        OPS.index(op),
        x.shape,
        view(x),
        threads=threads,
        grad=(0,) * 5 if kept is None else view(kept.array),
        lengths=held(lengths),
        out=pointers([m.array for m in made], 4),
        options=(*options, *(0.0,) * (4 - len(options))),
    )
    return Found([m.checked() for m in made], None if kept is None else kept.checked(), status)


def back(
    op: str,
    x: Record,
    up: list[Record],
    outs: list[Record],
    *,
    lengths: Record = None,
    options: tuple[float, ...] = (),
    y: Record = None,
    threads: int = 1,
    before: float = np.nan,
) -> Record:
    """A backward; the gradient lies as the record does, and is `before` before."""
    every = np.full(x.size * 3 + 64, 3, x.dtype) if x.base is None else np.full_like(x.base, 3)
    if x.base is None:
        grad = every[: x.size].reshape(x.shape)
    else:
        offset = (x.ctypes.data - x.base.ctypes.data) // x.itemsize
        strides = x.strides
        grad = np.lib.stride_tricks.as_strided(every.ravel()[offset:], x.shape, strides)
    grad[...] = before
    native().run(
        OPS.index(op) + BACKWARD,
        x.shape,
        view(x),
        threads=threads,
        y=(0,) * 5 if y is None else view(y),
        grad=view(grad),
        lengths=held(lengths),
        up=pointers(up, 3),
        out=pointers(outs, 4),
        options=(*options, *(0.0,) * (4 - len(options))),
    )
    result = grad.copy()
    grad[...] = 3
    assert (every == 3).all()
    return result


def pointers(arrays: list[Record], count: int) -> Any:
    given = [0 if a is None else a.ctypes.data for a in arrays]
    return (*given, *(0,) * (count - len(given)))


def held(lengths: Record) -> tuple[int, int]:
    return (0, 0) if lengths is None else (lengths.ctypes.data, int(lengths.itemsize == 8))


def same(
    actual: Record, expected: Record, dtype: str, scale: float = 1.0, size: float = 0.0
) -> None:
    tolerance = ROUNDED[dtype] * scale
    size = np.abs(expected[np.isfinite(expected)]).max(initial=size)
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * size * 0.3)


def record(shape: tuple[int, ...], dtype: str, seed: int = 0, dense: float = 1.0) -> Record:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) * (rng.random(shape) < dense)
    if dtype == "uint8":
        x = rng.integers(0, 3, shape) * (rng.random(shape) < dense)
    if shape[2] > 2:
        x[:, 0, 1] = 0  # silent
        x[:, -1, 2] = 1  # tied
    return x.astype(dtype)


def lengths_of(shape: tuple[int, ...], kind: Any) -> Record:
    n = np.random.default_rng(5).integers(0, shape[0] + 1, shape[1]).astype(kind)
    n[0], n[-1] = 0, shape[0]
    return n


def cases(dense: float = 1.0) -> Iterator[tuple[Record, Record, list[Record]]]:
    """Records of all shapes and types, their lengths and each layout of them."""
    for i, shape in enumerate(SHAPES):
        for j, dtype in enumerate(TYPES):
            x = record(shape, dtype, i, dense)
            for n in (None, lengths_of(shape, np.int32 if (i + j) % 2 else np.int64)):
                if shape[1] == 1 and n is not None:
                    n[0] = 7
                yield x, n, [laid_out(x, layout) for layout in LAYOUTS]


def each_sample(x: Record, n: Record, of: Callable[[Record], Record]) -> Record:
    """What `of` finds of the valid steps of each sample, in float64, stacked to (..., B, N)."""
    x = x.astype(np.float64)
    steps = [len(x)] * x.shape[1] if n is None else n
    with np.errstate(all="ignore"):
        found = [of(x[:t, b]) for b, t in enumerate(steps)]
    return np.stack(found, axis=-2)


def spread(x: Record, n: Record, of: Callable[[int, Record], Record]) -> Record:
    """Of each sample b what `of` makes of its valid steps, at these; 0 elsewhere. (T, B, N)"""
    z = np.zeros(x.shape)
    for b in range(x.shape[1]):
        t = len(x) if n is None else int(n[b])
        if t:
            with np.errstate(all="ignore"):
                z[:t, b] = of(b, x[:t, b].astype(np.float64))
    return z


def upstream(x: Record, count: int = 1) -> Record:
    real = np.float64 if x.dtype == np.float64 else np.float32
    return np.random.default_rng(9).normal(size=(count, *x.shape[1:])).astype(real)


def derived(x: Record) -> bool:
    return x.dtype != np.uint8


def pick(x: Record, step: Record, up: Record) -> Record:
    """The gradient that comes for one step of each cell."""
    z = np.zeros(x.shape)
    b, k = np.nonzero(step >= 0)
    np.add.at(z, (step[b, k], b, k), up[b, k])
    return z


def test_sum() -> None:
    for x, n, layouts in cases():
        for tau in (0.0, 3.0):
            w = np.exp(-np.arange(len(x))[:, None] / tau) if tau else np.ones((len(x), 1))
            expected = each_sample(x, n, lambda s, w=w: (w[: len(s)] * s).sum(0))
            up = upstream(x)
            grad = spread(x, n, lambda b, s, w=w, up=up: w[: len(s)] * up[0, b])
            for z in everywhere(layouts):
                found = run("sum", z, outs="r", lengths=n, options=(tau,))
                kind = "float64" if x.dtype == np.float64 else "float32"
                same(found.outs[0][0], expected, kind)
                if derived(x):
                    g = back("sum", z, [up], [], lengths=n, options=(tau,))
                    same(g, grad, x.dtype.name)


def highest(s: Record) -> Record:
    if not len(s):
        return np.stack([np.full(s.shape[1], -np.inf), np.full(s.shape[1], -1.0)])
    return np.stack([s.max(0), s.argmax(0)])


def test_max() -> None:
    for x, n, layouts in cases():
        top, step = each_sample(x, n, highest)
        up = upstream(x)
        grad = pick(x, step.astype(int), up[0])
        for z in everywhere(layouts):
            found = run("max", z, outs="ri", lengths=n)
            np.testing.assert_array_equal(found.outs[0][0], top)
            np.testing.assert_array_equal(found.outs[1][0], step)
            if derived(x):
                same(back("max", z, [up], found.outs, lengths=n), grad, x.dtype.name)


def test_max_of_what_is_not_a_number() -> None:
    for dtype in ("float32", "float64", "bfloat16"):
        x = record((40, 3, 37), dtype)
        x[20, 0, 3] = np.nan
        x[25, 0, 3] = -np.nan
        x[0, 1, 4] = -np.nan
        x[7, 2, 36], x[9, 2, 36] = np.inf, np.nan
        x[:, 2, 5] = -np.inf
        x[4, 1, 6] = x[8, 1, 6] = np.inf
        for _ in variants():
            found = run("max", x, outs="ri")
            np.testing.assert_array_equal(found.outs[0][0], x.astype(float).max(0))
            np.testing.assert_array_equal(found.outs[1][0], x.astype(float).argmax(0))


def test_last() -> None:
    for x, n, layouts in cases():
        expected = each_sample(x, n, lambda s: s[-1] if len(s) else np.zeros(s.shape[1]))
        step = each_sample(x, n, lambda s: np.full(s.shape[1], len(s) - 1.0))
        up = upstream(x)
        grad = pick(x, step.astype(int), up[0])
        for z in layouts:
            found = run("last", z, outs="ri", lengths=n)
            np.testing.assert_array_equal(found.outs[0][0], expected)
            np.testing.assert_array_equal(found.outs[1][0], step)
            if derived(x):
                same(back("last", z, [up], found.outs, lengths=n), grad, x.dtype.name)


def exponentials(k: float) -> Callable[[Record], Record]:
    def of(s: Record) -> Record:
        if not len(s):
            return np.stack([np.full(s.shape[1], -np.inf), np.zeros(s.shape[1])])
        top = (k * s).max(0)
        return np.stack([top, np.exp(k * s - np.where(np.isinf(top), 0, top)).sum(0)])

    return of


def test_lse() -> None:
    for x, n, layouts in cases():
        for k in (1.0, 2.5):
            top, total = each_sample(x, n, exponentials(k))
            up, kind = upstream(x), "float64" if x.dtype == np.float64 else "float32"
            grad = spread(
                x, n, lambda b, s, k=k, up=up, top=top: up[0, b] * k * np.exp(k * s - top[b])
            )
            for z in everywhere(layouts):
                found = run("lse", z, outs="rr", lengths=n, options=(k,))
                same(found.outs[0][0], top, kind)
                same(found.outs[1][0], total, kind, 2)
                if derived(x):
                    given = [None, up]
                    g = back("lse", z, given, found.outs, lengths=n, options=(k,))
                    same(g, grad, x.dtype.name, 2)


def test_lse_of_extremes() -> None:
    for dtype in ("float32", "float64"):
        x = record((40, 2, 37), dtype)
        x[:, 0, 3] *= 1e4
        x[:, 0, 4] = -np.inf
        x[5, 0, 5] = -np.inf
        x[30, 0, 6] = np.inf
        x[20, 1, 7] = np.nan
        x[:35, 1, 8] = -np.inf
        top, total = each_sample(x, None, exponentials(1.0))
        for _ in variants():
            found = run("lse", x, outs="rr", options=(1.0,))
            np.testing.assert_allclose(found.outs[0][0], top, rtol=2e-6)
            np.testing.assert_allclose(found.outs[1][0], total, rtol=2e-6)


def softmax(s: Record) -> Record:
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def votes_back(up: Record) -> Callable[[int, Record], Record]:
    def of(b: int, s: Record) -> Record:
        p = softmax(s)
        return p * (up[0, b] - (p * up[0, b]).sum(-1, keepdims=True))

    return of


def test_votes() -> None:
    for x, n, layouts in cases():
        expected = each_sample(x, n, lambda s: softmax(s).sum(0))
        up = upstream(x)
        grad = spread(x, n, votes_back(up))
        for z in everywhere(layouts):
            found = run("votes", z, outs="r", lengths=n)
            same(found.outs[0][0], expected, "float64" if x.itemsize == 8 else "float32")
            if derived(x):
                # Of one class p (up - p up) is 0 but for what is rounded.
                g = back("votes", z, [up], [], lengths=n)
                same(g, grad, x.dtype.name, size=np.abs(up).max())


def test_votes_of_extremes() -> None:
    for dtype in ("float32", "float64"):
        x = record((40, 3, 37), dtype)
        x[3, 0] *= 1e4
        x[4, 0] -= 1e4
        x[5, 0] += 1e4
        x[6, 0, 4] = -np.inf
        x[:, 0] *= 10
        x[7, 1] = -np.inf
        x[8, 2, 3] = np.inf
        with np.errstate(all="ignore"):
            expected = softmax(x.astype(float)).sum(0)
        up = upstream(x)
        for _ in variants():
            found = run("votes", x, outs="r").outs[0][0]
            np.testing.assert_allclose(found, expected, rtol=4e-6)
            grad = back("votes", x, [up], [])
            with np.errstate(all="ignore"):
                same(grad, spread(x, None, votes_back(up)), dtype)


def first_spikes(count: int) -> Callable[[Record], Record]:
    def of(s: Record) -> Record:
        last = s[-1] if len(s) else np.zeros(s.shape[1])
        z = np.empty((3, count, s.shape[1]))
        z[0], z[1], z[2] = np.inf, last, len(s) - 1
        for k in range(s.shape[1]):
            at = np.nonzero(s[:, k])[0][:count]
            z[0, : len(at), k] = z[2, : len(at), k] = at
            z[1, : len(at), k] = s[at, k]
        return z

    return of


@pytest.mark.parametrize("count", [1, 3])
def test_spikes(count: int) -> None:
    for x, n, layouts in cases(0.1):
        time, entry, step = each_sample(x, n, first_spikes(count))
        up = upstream(x, count)
        grad = sum(pick(x, step[k].astype(int), up[k]) for k in range(count))
        for z in everywhere(layouts):
            for check in (0.0, 1.0):
                options = (count, check)
                found = run("spikes", z, outs="rri", count=count, lengths=n, options=options)
                for actual, expected in zip(found.outs, (time, entry, step), strict=True):
                    np.testing.assert_array_equal(actual, expected)
                assert found.status == 0
            if derived(x):
                g = back("spikes", z, [None, up], found.outs, lengths=n, options=options)
                same(g, grad, x.dtype.name)


def test_more_spikes_than_steps() -> None:
    x = record((30, 4, 35), "float32", dense=0.3)
    expected = each_sample(x, None, first_spikes(10_000))
    found = run("spikes", x, outs="rri", count=10_000, options=(10_000, 0))
    for actual, one in zip(found.outs, expected, strict=True):
        np.testing.assert_array_equal(actual, one)


@pytest.mark.parametrize(("sign", "delay"), [(1.0, 0.0), (-1.0, 0.0), (-1.0, 2.5)])
def test_first_spike(sign: float, delay: float) -> None:
    """Its time or, of a silent neuron, one after the last step, and the derivative there."""
    for x, n, layouts in cases(0.1):
        when, _, step = (found[0] for found in each_sample(x, n, first_spikes(1)))
        time = sign * (np.maximum(step, 0) + np.where(np.isinf(when), delay, 0))
        up = upstream(x)[0]
        grad = pick(x, step.astype(int), -sign * up)
        for z in everywhere(layouts):
            for check in (0.0, 1.0):
                options = (sign, delay, check)
                found = run("first", z, outs="ri", lengths=n, options=options)
                for actual, expected in zip(found.outs, (time, step), strict=True):
                    np.testing.assert_array_equal(actual[0], expected)
                assert found.status == 0
            if derived(x):
                g = back("first", z, [up[None]], found.outs, lengths=n, options=options)
                same(g, grad, x.dtype.name)


def test_first_spike_that_is_no_number() -> None:
    """Without a check its time is nan; what comes later is not looked at."""
    x = np.zeros((20, 1, 40), np.float32)
    x[3], x[4, 0, 7], x[3, 0, 8], x[3, 0, 9] = 1, np.nan, np.nan, -np.inf
    x[3:, 0, 10], x[19, 0, 11] = 0, np.nan
    x[3, 0, 11] = 0
    for _ in variants():
        found = run("first", x, outs="ri", options=(1.0, 0.0, 0.0)).outs[0][0, 0]
        np.testing.assert_array_equal(np.isnan(found), np.isin(np.arange(40), (8, 9, 11)))
        assert found[10] == 19


def soft_count(
    x: Record, n: Record, count: int, tau: float, latency: float
) -> tuple[Record, Record]:
    """A soft count (B, N) and its derivative (T, B, N), spike by spike."""
    z, slope = np.zeros(x.shape[1:]), np.zeros(x.shape)
    for b in range(x.shape[1]):
        held = len(x) if n is None else int(n[b])
        for k in range(x.shape[2]):
            steps = [t for t in range(held) if x[t, b, k] != 0][:count]
            for t in steps:
                weight = 1 / (1 + np.exp((t - held) / tau))
                if not np.isfinite(float(x[t, b, k])):
                    weight = np.nan
                z[b, k] += weight
                slope[t, b, k] = weight * (1 - weight) / tau
            z[b, k] -= latency * (steps[0] if steps else max(held, 1))
            if held:
                slope[steps[0] if steps else held - 1, b, k] += latency
    return z, slope


SOFT = (1, 1.0, 0.1), (3, 2.5, 0.0), (8, 0.3, 2.0), (10_000, 400.0, 0.1)


@pytest.mark.parametrize("how", SOFT)
def test_soft_count(how: tuple[int, float, float]) -> None:
    for x, n, layouts in cases(0.1):
        z, slope = soft_count(x, n, *how)
        up = upstream(x)
        for of in everywhere(layouts):
            for check in (0.0, 1.0):
                found = run("soft", of, outs="r", lengths=n, options=(*how, check))
                same(found.outs[0][0], z, "float64" if x.dtype == np.float64 else "float32")
                assert found.status == 0
            if derived(x):
                g = back("soft", of, [up], [], lengths=n, options=how)
                same(g, slope * up[0], x.dtype.name, size=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_soft_count_of_what_is_no_number(dtype: str) -> None:
    """Without a check those of the first spikes alone, and at their steps."""
    x = (np.random.default_rng(0).random((20, 2, 40)) < 0.2).astype(dtype)
    for t, b, k, bad in ((3, 0, 5, np.nan), (0, 0, 8, np.inf), (9, 1, 0, -np.inf)):
        x[t, b, k] = bad
    x[:, 0, 10:13], x[:, 1, 3] = 0, 1
    x[19, 0, 11], x[7, 0, 12], x[18, 1, 3] = np.nan, 1, np.inf  # a spike; what no length holds
    n = np.array([20, 18], np.int32)
    z, slope = soft_count(x, n, 2, 3.0, 0.5)
    assert np.isnan(z).sum() >= 3
    up = upstream(x)
    for _ in variants():
        found = run("soft", x, outs="r", lengths=n, options=(2, 3.0, 0.5, 0.0)).outs[0][0]
        same(found, z, "float64" if dtype == "float64" else "float32")
        same(back("soft", x, [up], [], lengths=n, options=(2, 3.0, 0.5)), slope * up[0], dtype)


@pytest.mark.parametrize("tau", [1e-300, 1e-3, 0.5, 30.0, 1e4, 1e300])
def test_soft_counts_of_long_records(tau: float) -> None:
    """From where on a spike counts as 1."""
    x = (np.random.default_rng(0).random((3000, 2, 3)) < 0.5).astype(np.float64)
    n = np.array([2999, 40], np.int64)
    with np.errstate(all="ignore"):
        z, slope = soft_count(x, n, 5000, tau, 0.01)
    for _ in variants():
        for kind in ("float64", "float32"):
            given = x.astype(kind)
            found = run("soft", given, outs="r", lengths=n, options=(5000, tau, 0.01, 0.0))
            same(found.outs[0][0], z, kind)
            up = np.ones((1, 2, 3), kind)
            same(back("soft", given, [up], [], lengths=n, options=(5000, tau, 0.01)), slope, kind)


@pytest.mark.parametrize("op", ["max", "last", "spikes", "first", "soft", "cross", "peak"])
def test_zeros_that_are_there_already(op: str) -> None:
    """With option[3] the entries alone are written."""
    x = record((37, 4, 35), "float32", dense=0.1)
    kinds, options = CALLS[op]
    n = lengths_of(x.shape, np.int32)
    up = upstream(x)
    options = (*options, 0, 0, 0)[:3]
    for _ in variants():
        outs = run(op, x, outs=kinds, lengths=n, options=options).outs
        wanted = back(op, x, [up, up], outs, lengths=n, options=options)
        found = back(op, x, [up, up], outs, lengths=n, options=(*options, 1), before=0.5)
        written = wanted != 0
        np.testing.assert_array_equal(found[written], wanted[written])
        assert (found[~written] == 0.5).mean() > 0.99  # some of a derivative are 0


@pytest.mark.parametrize("op", ["spikes", "first", "soft", "cross"])
def test_finds_what_is_not_finite(op: str) -> None:
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        for bad in (np.nan, np.inf, -np.inf):
            for t, b, k in ((0, 0, 0), (39, 3, 36), (17, 2, 32)):
                x = np.ones((40, 4, 37), dtype)
                x[t, b, k] = bad
                n = np.array([40, 40, 40, 40], np.int32)
                for _ in variants():
                    for count in (1, 2) if op in ("spikes", "soft") else (1,):
                        kinds = {"spikes": "rri", "first": "ri", "soft": "r", "cross": "rrii"}[op]
                        how = {"count": count if op == "spikes" else 1, "outs": kinds}
                        options = {"first": (1.0, 0.0), "soft": (count, 1.0, 0.1)}.get(op, (count,))
                        found = run(op, x, lengths=n, options=(*options, 1), **how)
                        assert found.status == 1
                        assert run(op, x, lengths=n, options=options, **how).status == 0
                        n[b] = t
                        assert run(op, x, lengths=n, options=(*options, 1), **how).status == 0
                        n[b] = 40


def crossing(h: float) -> Callable[[Record], Record]:
    def of(s: Record) -> Record:
        top, best = highest(s)
        z = np.stack([np.full(s.shape[1], np.inf), top, np.full(s.shape[1], -1.0), best])
        for k in range(s.shape[1]):
            at = np.nonzero(s[:, k] >= h)[0]
            if len(at):
                t = at[0]
                a, b = s[t - 1, k] if t else 0.0, s[t, k]
                z[0, k], z[2, k] = t - 1 + (h - a) / (b - a if b > a else 1), t
        return z

    return of


def crossing_back(x: Record, n: Record, h: float, up: Record, outs: list[Record]) -> Record:
    step, best = (o[0] for o in outs[2:])
    z = pick(x, best, up[1])
    for b, k in zip(*np.nonzero(step >= 0), strict=True):
        t = step[b, k]
        lo, hi = float(x[t - 1, b, k]) if t else 0.0, float(x[t, b, k])
        rise = hi - lo if hi > lo else 1.0
        z[t, b, k] += -up[0, b, k] * (h - lo) / rise**2 * (hi > lo)
        if t:
            z[t - 1, b, k] += up[0, b, k] * ((h - lo) / rise**2 * (hi > lo) - 1 / rise)
    return z


def test_cross() -> None:
    for x, n, layouts in cases():
        h = 1.25
        expected = each_sample(x, n, crossing(h))
        up = upstream(x, 2)
        for z in everywhere(layouts):
            found = run("cross", z, outs="rrii", lengths=n, options=(h, 1))
            kind = "float64" if x.dtype == np.float64 else "float32"
            same(found.outs[0][0], expected[0], kind)
            for actual, one in zip(found.outs[1:], expected[1:], strict=True):
                np.testing.assert_array_equal(actual[0], one)
            if derived(x):
                given = [up[0].copy(), up[1].copy()]
                g = back("cross", z, given, found.outs, lengths=n, options=(h, 1))
                same(g, crossing_back(x, n, h, up, found.outs), x.dtype.name, 4)


def test_crosses_without_a_rise() -> None:
    x = np.array([-1.0, np.nan, 2.0, 3.0]).reshape(4, 1, 1)
    for _ in variants():
        found = run("cross", x, outs="rrii", options=(1.0, 0))
        assert np.isnan(found.outs[0]).all()
        assert found.outs[2][0, 0, 0] == 2
        up = np.ones((1, 1))
        g = back("cross", x, [up, None], found.outs, options=(1.0, 0))
        np.testing.assert_array_equal(g.ravel(), [0, -1, 0, 0])


def peak_window(width: int) -> Callable[[Record], Record]:
    def of(s: Record) -> Record:
        top, best = highest(s)
        total, many = np.zeros(s.shape[1]), np.zeros(s.shape[1])
        for k in range(s.shape[1]):
            if best[k] >= 0:
                part = s[int(best[k]) : int(best[k]) + width, k]
                total[k], many[k] = part.sum(), len(part)
        return np.stack([top, total, many, best])

    return of


def peak_back(up: Record, width: int) -> Callable[[int, Record], Record]:
    def of(b: int, s: Record) -> Record:
        t, best = np.arange(len(s))[:, None], highest(s)[1]
        return np.where((t >= best) & (t < best + width), up[0, b], 0)

    return of


def test_peak() -> None:
    for x, n, layouts in cases():
        up = upstream(x)
        for width in (1, 4, 100_000):
            expected = each_sample(x, n, peak_window(width))
            grad = spread(x, n, peak_back(up, width))
            for z in everywhere(layouts):
                found = run("peak", z, outs="rrri", lengths=n, options=(width,))
                kind = "float64" if x.dtype == np.float64 else "float32"
                same(found.outs[1][0], expected[1], kind)
                for i in (0, 2, 3):
                    np.testing.assert_array_equal(found.outs[i][0], expected[i])
                if derived(x):
                    given = [None, up]
                    g = back("peak", z, given, found.outs, lengths=n, options=(width,))
                    same(g, grad, x.dtype.name)


def decayed(s: Record, tau: float) -> Record:
    z, y = np.zeros_like(s), np.zeros(s.shape[1])
    for t in range(len(s)):
        y = np.exp(-1 / tau) * y + s[t]
        z[t] = y
    return z


def filtered(s: Record, tau: float, order: int, rise: float) -> Record:
    if rise:
        return decayed(s, tau) - decayed(s, rise)
    for _ in range(order):
        s = decayed(s, tau)
    return s


TRACES = (
    (5.0, 1, 0.0),
    (0.5, 1, 0.0),
    (1000.0, 1, 0.0),
    (4.0, 2, 0.0),
    (6.0, 1, 2.0),
    (2.0, 9, 0.0),
)


@pytest.mark.parametrize("options", TRACES)
def test_trace(options: tuple[float, ...]) -> None:
    tau, order, rise = options
    for x, n, layouts in cases():
        expected = spread(x, n, lambda b, s: filtered(s, tau, int(order), rise))
        y = np.random.default_rng(3).normal(size=x.shape)
        y = y.astype(np.float64 if x.dtype == np.float64 else np.float32)
        grad = spread(y, n, lambda b, s: filtered(s[::-1], tau, int(order), rise)[::-1])
        for z in everywhere(layouts):
            found = run("trace", z, lengths=n, options=options, keeps=True)
            same(found.kept, expected, "float64" if x.dtype == np.float64 else "float32")
            if derived(x):
                g = back("trace", z, [], [], lengths=n, options=options, y=y)
                same(g, grad, x.dtype.name)


def windowed(s: Record, width: int) -> Record:
    z = np.empty_like(s)
    for t in range(len(s)):
        z[t] = s[max(0, t - width + 1) : t + 1].mean(0)
    return z


def windowed_back(up: Record, width: int) -> Record:
    z = np.zeros_like(up)
    for t in range(len(up)):
        first = max(0, t - width + 1)
        z[first : t + 1] += up[t] / (t + 1 - first)
    return z


@pytest.mark.parametrize("width", [1, 3, 16, 10**6])
def test_window(width: int) -> None:
    for x, n, layouts in cases():
        expected = spread(x, n, lambda b, s: windowed(s, width))
        y = np.random.default_rng(3).normal(size=x.shape)
        y = y.astype(np.float64 if x.dtype == np.float64 else np.float32)
        grad = spread(y, n, lambda b, s: windowed_back(s, width))
        for z in everywhere(layouts):
            found = run("window", z, lengths=n, options=(width,), keeps=True)
            same(found.kept, expected, "float64" if x.dtype == np.float64 else "float32")
            if derived(x):
                g = back("window", z, [], [], lengths=n, options=(width,), y=y)
                same(g, grad, x.dtype.name)


def test_what_left_a_window_leaves_no_trace() -> None:
    x = np.ones((20, 1, 3), np.float32)
    x[2, 0, 0], x[3, 0, 1], x[2, 0, 2] = np.inf, np.nan, 1e30
    for _ in variants():
        found = run("window", x, options=(3,), keeps=True).kept
        np.testing.assert_array_equal(found[6:], 1)
        assert not np.isfinite(found[3, 0, :2]).any()


CALLS: dict[str, tuple[str, tuple[float, ...]]] = {
    "sum": ("r", (0.0,)),
    "max": ("ri", ()),
    "lse": ("rr", (1.0,)),
    "votes": ("r", ()),
    "last": ("ri", ()),
    "spikes": ("rri", (1, 1)),
    "first": ("ri", (1.0, 0.0, 1)),
    "soft": ("r", (8, 1.0, 0.1)),
    "cross": ("rrii", (1.0, 1)),
    "peak": ("rrri", (3,)),
    "trace": ("", (5.0, 1, 0.0)),
    "window": ("", (4,)),
}


def both(op: str, x: Record, n: Record, threads: int) -> list[Record]:
    """What a forward and a backward find."""
    kinds, options = CALLS[op]
    how: dict[str, Any] = {"lengths": n, "options": options, "threads": threads}
    found = run(op, x, outs=kinds, keeps=not kinds, **how)
    up = upstream(x)
    if not kinds:
        return [found.kept, back(op, x, [], [], y=x, **how)]
    return [*found.outs, back(op, x, [up, up], found.outs, **how)]


@pytest.mark.usefixtures("threaded")
@pytest.mark.parametrize("op", CALLS)
def test_same_bits_for_any_number_of_threads(op: str) -> None:
    for shape in ((40, 90, 35), (40, 2, 2000)):
        x = record(shape, "float32", dense=0.5)
        n = lengths_of(shape, np.int64)
        for _ in variants():
            one = both(op, x, n, 1)
            for threads in (2, 5):
                for actual, expected in zip(both(op, x, n, threads), one, strict=True):
                    assert actual.tobytes() == expected.tobytes()


@pytest.mark.parametrize("op", CALLS)
@pytest.mark.parametrize("shape", [(0, 3, 4), (5, 0, 4), (5, 3, 0), (0, 0, 0)])
def test_of_nothing(op: str, shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
    expected = {"max": (-np.inf, -1), "last": (0, -1), "lse": (-np.inf, 0)}
    for _ in variants():
        found = both(op, x, None, 2)
        if shape[0] == 0:
            for actual, one in zip(found, expected.get(op, ()), strict=False):
                np.testing.assert_array_equal(actual, one)


def test_sums_of_long_records() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((100_000, 1, 5)).astype(np.float32)
    x[:, 0, 1] = 0.1
    exact = x.astype(np.float64)
    for _ in variants():
        found = run("sum", x, outs="r", options=(0.0,)).outs[0][0]
        np.testing.assert_allclose(found, exact.sum(0), rtol=3e-7)
        total = run("lse", x, outs="rr", options=(1.0,)).outs[1][0]
        np.testing.assert_allclose(total, np.exp(exact - exact.max(0)).sum(0), rtol=1e-6)
        votes = run("votes", x, outs="r").outs[0][0]
        np.testing.assert_allclose(votes, softmax(exact).sum(0), rtol=1e-6)


@pytest.mark.parametrize("tau", [32.0, 33.0, 200.0, 10_000.0])
def test_traces_of_long_records(tau: float) -> None:
    rng = np.random.default_rng(1)
    x = rng.random((60_000, 1, 3)).astype(np.float32)
    x[:, 0, 1] = 0.1
    expected = decayed(x[:, 0].astype(np.float64), tau)
    for _ in variants():
        found = run("trace", x, options=(tau, 1, 0.0), keeps=True).kept[:, 0]
        np.testing.assert_allclose(found, expected, rtol=3e-6)
