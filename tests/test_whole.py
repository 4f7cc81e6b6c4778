"""What couples the samples of a batch or sees a whole record, against loops over its formula.

T=5 steps, B=6 samples, N=4 neurons or classes, K=3 patterns: no two axes are equal. Every row of
`ROWS` says what it reads of the valid steps of one sample, and what it makes of all that was read;
derivatives are finite differences of it.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
import pytest
import torch
from harness import EAGER, compiled, every_eager, every_library, near
from libraries import (
    DIFFERENTIABLE,
    JAX,
    LIBRARIES,
    NUMPY,
    TORCH,
    Array,
    Library,
    named,
    rounded,
    same,
)
from libraries import same as equal

from spikeloss import Loss, presets
from spikeloss.criteria import (
    CTC,
    CrossEntropy,
    Dice,
    EarthMover,
    InfoNCE,
    Similarity,
    SquaredError,
    Triplet,
)
from spikeloss.metrics import anytime_accuracy
from spikeloss.readouts import (
    BatchMean,
    BatchPercentile,
    EveryStep,
    FilteredTrace,
    FirstSpike,
    Maximum,
    MeanOverTime,
    SumOverTime,
    WholeRecord,
)
from spikeloss.records import Events, Packed
from spikeloss.reductions import Each, Mean, Sum
from spikeloss.targets import Given, GivenTime, NearestSpike, SpikeTrain, StoredPattern

T, B, N, K = 5, 6, 4, 3
RANDOM = np.random.default_rng(7)
MEMBRANE = RANDOM.normal(size=(T, B, N))
SPIKES = (RANDOM.random((T, B, N)) < 0.35) * 1.0
SPIKES[:, 1, 2] = 0  # a silent neuron
GRADED = SPIKES + RANDOM.random((T, B, N)) / 4
TRAIN = (RANDOM.random((T, B, N)) < 0.35) * 1.0
VALUES = RANDOM.normal(size=(B, N))
TIMES = RANDOM.integers(0, 2, (B, N)) * 1.0
LABELS = np.array([0, 2, 1, 1, 0, 2])  # below K
LENGTHS = np.array([5, 3, 4, 5, 2, 4])
GAPS = np.array(["11011", "10111", "01010", "11111", "00101", "01110"])
VALID = np.array([[step == "1" for step in row] for row in GAPS]).T
SEQUENCES = np.array([[1, 2], [1, 1], [3, -1], [-1, -1], [2, -1], [3, 1]])
PATTERNS = RANDOM.normal(size=(K, N)).round(3)
STEP_PATTERNS = RANDOM.normal(size=(K, T, N)).round(3)

differentiable = pytest.mark.parametrize("library", DIFFERENTIABLE, ids=named)

# Oracles: what is read of one sample (n, N), and what is said of all samples

Read = Callable[[Array], Array]
Steps = Sequence[Array]  # the valid steps of every sample
Judge = Callable[[Sequence[Array], Any, Steps], Array]


def count(x: Array) -> Array:
    return np.array([sum(x[t, c] for t in range(len(x))) for c in range(x.shape[1])])


def rate(x: Array) -> Array:
    return count(x) / len(x)


def highest(x: Array) -> Array:
    return np.array([max(x[:, c]) for c in range(x.shape[1])])


def whole(x: Array) -> Array:
    return x


def first(x: Array) -> Array:
    spikes = [[t for t in range(len(x)) if x[t, c] != 0] for c in range(x.shape[1])]
    return np.array([(times or [len(x) - 1.0])[0] for times in spikes], dtype=float)


def trace(tau: float, order: int = 1) -> Read:
    def kernel(d: int) -> float:
        return math.comb(d + order - 1, order - 1) * math.exp(-d / tau)

    def read(x: Array) -> Array:
        return np.array([sum(kernel(t - s) * x[s] for s in range(t + 1)) for t in range(len(x))])

    return read


def squares(zs: Sequence[Array], ys: Sequence[Array]) -> Array:
    """(z - y)^2, its mean where there are steps."""
    each = [(z - y) ** 2 for z, y in zip(zs, ys, strict=True)]
    return np.array([e.mean(axis=0) if e.ndim == 2 else e for e in each])


def given(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
    return squares(zs, y)


def averaged(judge: Judge) -> Judge:
    return lambda zs, y, steps: judge([sum(zs) / len(zs)] * len(zs), y, steps)


def percentile(values: Sequence[float], q: float) -> float:
    """Linear between the sorted values, of which the k-th stands at 100 k / (B - 1)."""
    ordered, place = sorted(values), q / 100 * (len(values) - 1)
    below = min(math.floor(place), len(values) - 1)
    above = min(below + 1, len(values) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def ranked(q: float) -> Judge:
    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        z = np.array([percentile([z[c] for z in zs], q) for c in range(len(zs[0]))])
        return squares([z] * len(zs), y)

    return judge


def imitated(read: Read) -> Judge:
    return lambda zs, y, steps: squares(zs, [read(y[s, b]) for b, s in enumerate(steps)])


def stored(patterns: Array) -> Judge:
    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        found = [patterns[label] for label in y]
        return squares(zs, [p[s] if p.ndim == 2 else p for p, s in zip(found, steps, strict=True)])

    return judge


def moves(u: Array, v: Array, normalised: bool = True) -> float:
    """Steps by which spikes are moved, (n,N) and (m,N): a silent train has them after the end."""
    total = 0.0
    for c in range(u.shape[1]):
        for t in range(max(len(u), len(v))):
            p, q = (w[: t + 1, c].sum() for w in (u, v))
            if normalised:
                p, q = (s / (w[:, c].sum() or 1.0) for s, w in ((p, u), (q, v)))
            total += abs(p - q) / u.shape[1]
    return total


def moving(normalised: bool = True) -> Judge:
    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        trains = [y[s, b] for b, s in enumerate(steps)]
        return np.array([moves(z, train, normalised) for z, train in zip(zs, trains, strict=True)])

    return judge


def apart(name: str, u: Array, v: Array) -> float:
    if name == "earth_mover":
        return moves(u, v)
    gap = float(((u - v) ** 2).sum())
    cosine = (u * v).sum() / math.sqrt((u**2).sum() * (v**2).sum())
    return {"euclidean": math.sqrt(gap), "squared": gap, "cosine": 1 - cosine}[name]


def triplets(name: str, margin: float) -> Judge:
    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        found = []
        for i, z in enumerate(zs):
            d = [apart(name, z, other) for other in zs]
            own = [d[j] for j in range(len(zs)) if j != i and y[j] == y[i]]
            others = [d[j] for j in range(len(zs)) if y[j] != y[i]]
            found.append(max(0.0, margin + max(own) - min(others)) if own and others else 0.0)
        return np.array(found)

    return judge


def contrasted(name: str, temperature: float) -> Judge:
    def alike(u: Array, v: Array) -> float:
        if name == "product":
            return float((u * v).sum())
        return -apart(name, u, v) + (name == "cosine")

    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        found = []
        for i, z in enumerate(zs):
            e = [math.exp(alike(z, other) / temperature) for other in zs]
            every = sum(e[j] for j in range(len(zs)) if j != i)
            own = [j for j in range(len(zs)) if j != i and y[j] == y[i]]
            found.append(-sum(math.log(e[j] / every) for j in own) / max(len(own), 1))
        return np.array(found)

    return judge


def overlap(smooth: float, power: int, score: str) -> Judge:
    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        p = [np.exp(z) / np.exp(z).sum() for z in zs]
        if score != "softmax":
            p = [1 / (1 + np.exp(-z)) if score == "sigmoid" else z for z in zs]
        total = 0.0
        for c in range(len(zs[0])):
            there = [float(label == c) for label in y]
            both = sum(a[c] * b for a, b in zip(p, there, strict=True))
            size = sum(a[c] ** power + b**power for a, b in zip(p, there, strict=True))
            total += 1 - (2 * both + smooth) / (size + smooth)
        return np.full(len(zs), total / len(zs[0]))

    return judge


def distances(spikes: Array, limit: float, least: float) -> Array:
    found = np.full(spikes.shape, limit)
    for t, c in np.ndindex(spikes.shape):
        for s in np.flatnonzero(spikes[:, c]):
            found[t, c] = min(found[t, c], max(abs(t - s), least))
    return found


def nearest(limit: float, least: float = 0.25, logarithm: bool = True) -> Judge:
    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        found = [distances(y[s, b], limit, least) for b, s in enumerate(steps)]
        return squares(zs, [np.log(d) if logarithm else d for d in found])

    return judge


def spelled(alignment: Sequence[int], blank: int) -> list[int]:
    return [label for label, _ in itertools.groupby(alignment) if label != blank]


def aligned(x: Array, labels: Sequence[int], blank: int) -> float:
    """-log of the sum of the products, over each of the C^n alignments that spells the labels."""
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    total = 0.0
    for a in alignments(len(x), x.shape[1], tuple(labels), blank):
        total += math.prod(p[t, k] for t, k in enumerate(a))
    return -math.log(total) if total else math.inf


SLOPES: dict[Any, Array] = {}  # of the rows, as they cost seconds
FOUND: dict[Any, list[tuple[int, ...]]] = {}


def alignments(n: int, C: int, labels: tuple[int, ...], blank: int) -> list[tuple[int, ...]]:
    key = n, C, labels, blank
    if key not in FOUND:
        every = itertools.product(range(C), repeat=n)
        FOUND[key] = [a for a in every if spelled(a, blank) == list(labels)]
    return FOUND[key]


def connectionist(blank: int) -> Judge:
    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        labels = [[int(k) for k in row if k >= 0] for row in y]
        return np.array([aligned(z, row, blank) for z, row in zip(zs, labels, strict=True)])

    return judge


def alike(kernel: str, a: float = 1.0, power: int = 2) -> Judge:
    def compared(u: Array, v: Array) -> float:
        if kernel == "earth_mover":
            return math.exp(-moves(u, v) / a)
        product = sum(u[i] * v[i] for i in range(min(len(u), len(v))))
        if kernel == "cosine":
            lengths = math.sqrt((u**2).sum()) * math.sqrt((v**2).sum())
            return float(product / lengths) if lengths else 0.0
        if kernel == "sigmoid":
            return 1 / (1 + math.exp(-a * product))
        return math.exp(-((u**2).sum() - 2 * product + (v**2).sum()) / (2 * a * a))

    def judge(zs: Sequence[Array], y: Any, steps: Steps) -> Array:
        flat = [z if kernel == "earth_mover" else z.ravel() for z in zs]  # all other steps are 0
        total = np.zeros(len(flat))
        for i, j in itertools.product(range(len(flat)), repeat=2):
            k = compared(flat[i], flat[j])
            total[i] += abs(k - float(y[i] == y[j])) ** power / len(flat)
        return total

    return judge


def moved(values: list[Array]) -> Iterator[tuple[Any, list[Array], list[Array]]]:
    for b, index in ((b, i) for b, value in enumerate(values) for i in np.ndindex(value.shape)):
        high, low = ([v.copy() for v in values] for _ in range(2))
        high[b][index] += 1e-5
        low[b][index] -= 1e-5
        yield (b, index), high, low


@dataclass(frozen=True)
class Row:
    """A loss, what it takes, and its formula."""

    name: str
    loss: Loss
    target: Any
    read: Read
    judge: Judge
    record: Any = None

    @property
    def x(self) -> Array:
        return MEMBRANE if self.record is None else self.record

    @property
    def streams(self) -> bool:
        return not isinstance(self.loss.readout, WholeRecord) and not self.loss.target.at_once

    @property
    def imitates(self) -> bool:
        return isinstance(self.loss.target, SpikeTrain)

    def elements(self, x: Array, y: Any, valid: Array | None = None) -> Array:
        steps = self.steps(x, valid)
        return self.judge([self.read(x[s, b]) for b, s in enumerate(steps)], y, steps)

    def steps(self, x: Array, valid: Array | None) -> Steps:
        valid = np.ones(x.shape[:2], bool) if valid is None else valid
        return [np.flatnonzero(valid[:, b]) for b in range(x.shape[1])]

    def slope(self, x: Array, y: Any, valid: Array | None = None) -> Array:
        """The derivative of the mean of all elements; of first spikes -1 times that of times."""
        steps, slope = self.steps(x, valid), np.zeros_like(x)
        key = self.name, x.tobytes(), valid is not None and valid.tobytes()
        if key in SLOPES:
            return SLOPES[key]
        samples = [x[s, b] for b, s in enumerate(steps)]
        size, spiking = self.elements(x, y, valid).size, self.read is first
        values = [first(s) for s in samples] if spiking else samples
        for (b, index), high, low in moved(values):
            up, down = (v if spiking else [self.read(s) for s in v] for v in (high, low))
            change = (self.judge(up, y, steps).sum() - self.judge(down, y, steps).sum()) / 2e-5
            t = int(values[b][index]) if spiking else index[0]
            slope[steps[b][t], b, index[-1]] = (-change if spiking else change) / size
        SLOPES[key] = slope
        return slope

    def __str__(self) -> str:
        return self.name


def nested(patterns: Array) -> Any:
    return tuple(map(nested, patterns)) if patterns.ndim else float(patterns)


def similar(kernel: Any, scale: float, power: Any) -> Row:
    loss = Loss(WholeRecord(), Similarity(kernel=kernel, scale=scale, power=power))
    record, judge = GRADED if kernel == "earth_mover" else None, alike(kernel, scale, power)
    return Row(f"{kernel} {scale} {power}", loss, LABELS, whole, judge, record)


def imitating(name: str, readout: Any, read: Read) -> Row:
    loss = Loss(readout, SquaredError(), SpikeTrain())
    return Row(f"train {name}", loss, TRAIN, read, imitated(read), SPIKES)


def storing(readout: Any, read: Read, patterns: Array) -> Row:
    loss = Loss(readout, SquaredError(), StoredPattern(nested(patterns)))
    name = f"pattern {type(readout).__name__} {patterns.ndim}"
    return Row(name, loss, LABELS, read, stored(patterns))


def paired(criterion: Any, judge: Judge, at_once: bool = False) -> Row:
    readout, read = (WholeRecord(), whole) if at_once else (SumOverTime(), count)
    record = GRADED if at_once else None
    return Row(repr(criterion), Loss(readout, criterion), LABELS, read, judge, record)


def overlapping(smooth: float, power: Any, score: Any) -> Row:
    criterion = Dice(smooth=smooth, power=power, score=score)
    judge = overlap(smooth, power, score)
    return Row(f"Dice {score}", Loss(MeanOverTime(), criterion), LABELS, rate, judge)


OTHER_BLANK = np.where(SEQUENCES == 2, 0, SEQUENCES)
ROWS = (
    Row("mean SumOverTime", Loss(BatchMean(SumOverTime()), SquaredError()), VALUES, count,
        averaged(given)),
    Row("mean Maximum", Loss(BatchMean(Maximum()), SquaredError()), VALUES, highest,
        averaged(given)),
    Row("mean FirstSpike", Loss(BatchMean(FirstSpike()), SquaredError(), GivenTime()), TIMES, first,
        averaged(given), SPIKES),
    *(
        Row(f"percentile {q}", Loss(BatchPercentile(of, percentile=q), SquaredError()), VALUES,
            read, ranked(q))
        for q, of, read in ((0.0, Maximum(), highest), (30.0, MeanOverTime(), rate),
                            (50.0, SumOverTime(), count), (100.0, SumOverTime(), count))
    ),
    Row("CTC", Loss(WholeRecord(), CTC()), SEQUENCES, whole, connectionist(0)),
    Row("CTC 2", Loss(WholeRecord(), CTC(blank=2)), OTHER_BLANK, whole, connectionist(2)),
    *itertools.starmap(similar, (("cosine", 1.0, 2), ("cosine", 1.0, 1), ("sigmoid", 0.7, 2),
                                 ("sigmoid", 1.0, 1), ("gaussian", 2.5, 2), ("gaussian", 3.0, 1))),
    similar("earth_mover", 2.0, 2),
    paired(Triplet(), triplets("euclidean", 1.0)),
    paired(Triplet(margin=0.5, distance="squared"), triplets("squared", 0.5)),
    paired(Triplet(distance="cosine"), triplets("cosine", 1.0)),
    paired(Triplet(distance="earth_mover"), triplets("earth_mover", 1.0), at_once=True),
    paired(InfoNCE(), contrasted("cosine", 0.5)),
    paired(InfoNCE(similarity="product", temperature=2.0), contrasted("product", 2.0)),
    paired(InfoNCE(similarity="squared", temperature=5.0), contrasted("squared", 5.0)),
    paired(InfoNCE(similarity="earth_mover"), contrasted("earth_mover", 0.5), at_once=True),
    Row("moved", Loss(WholeRecord(), EarthMover(), SpikeTrain()), GRADED[:, ::-1], whole, moving(),
        GRADED),
    Row("moved counts", Loss(WholeRecord(), EarthMover(normalised=False), SpikeTrain()), TRAIN,
        whole, moving(normalised=False), SPIKES),
    *itertools.starmap(overlapping, ((1.0, 1, "softmax"), (0.25, 2, "sigmoid"), (0.0, 1, "given"))),
    imitating("SumOverTime", SumOverTime(), count),
    imitating("FirstSpike", FirstSpike(), first),
    imitating("EveryStep", EveryStep(), whole),
    imitating("trace", FilteredTrace(tau=1.5), trace(1.5)),
    imitating("alpha", FilteredTrace(tau=2.0, order=2), trace(2.0, 2)),
    Row("nearest", Loss(EveryStep(), SquaredError(), NearestSpike(limit=2.5)), TRAIN, whole,
        nearest(2.5)),
    Row("nearest linear", Loss(EveryStep(), SquaredError(),
        NearestSpike(limit=40.0, least=0.5, logarithm=False)), TRAIN, whole,
        nearest(40.0, 0.5, logarithm=False)),
    storing(SumOverTime(), count, PATTERNS),
    storing(EveryStep(), whole, STEP_PATTERNS),
    storing(FilteredTrace(tau=1.5), trace(1.5), PATTERNS),
    storing(FilteredTrace(tau=1.5), trace(1.5), STEP_PATTERNS),
)  # fmt: skip
every_row = pytest.mark.parametrize("row", ROWS, ids=str)
NAMED = {row.name: row for row in ROWS}
FULL = np.ones((T, B), bool)
CUT = np.arange(T)[:, None] < LENGTHS
LAYOUTS: tuple[tuple[Array, dict[str, Array]], ...] = (
    (FULL, {}),
    (CUT, {"lengths": LENGTHS}),
    (VALID, {"valid": VALID}),
)
WHOLE, ALIKE = Loss(WholeRecord(), CTC()), Loss(WholeRecord(), Similarity())
IMITATE = Loss(SumOverTime(), SquaredError(), SpikeTrain())
NEAREST = presets.nearest_spike(limit=3.0)
STORED = Loss(SumOverTime(), SquaredError(), StoredPattern(nested(PATTERNS)))


def fast(library: Library, fn: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(fn) if library is JAX else fn


# Every row; JAX, which is slow to compile, in one function


def padded(row: Row, valid: Array) -> tuple[Array, Any]:
    """The record, and the target if it is one, with nan where there is no step."""
    x, by_step = np.where(valid[..., None], row.x, np.nan), row.target.shape[:2] == (T, B)
    return x, np.where(valid[..., None], row.target, np.nan) if by_step else row.target


@every_eager
@every_row
def test_value_and_gradient(library: Library, row: Row) -> None:
    each = row.loss.replace(reduction=Each())
    for valid, given in LAYOUTS:
        x, y = map(library.array, padded(row, valid))
        layout = {key: library.array(value) for key, value in given.items()}
        elements = row.elements(row.x, row.target, valid)
        equal(row.loss(x, y, **layout), elements.mean())
        equal(row.loss.replace(reduction=Sum())(x, y, **layout), elements.sum())
        weight = np.arange(1.0, B + 1)
        weighted = elements * weight.reshape(-1, *[1] * (elements.ndim - 1))
        equal(each(x, y, **layout), elements)
        equal(each(x, y, sample_weight=library.array(weight), **layout), weighted)
        single = row.elements(rounded(row.x, "float32"), row.target, valid)
        x32 = library.array(padded(row, valid)[0], "float32")
        equal(each(x32, y, **layout), single, "float32")
        if library.differentiates:
            for record, tolerance in ((x, 1e-6), (x32, 1e-3)):
                _, slope = library.value_and_grad(
                    lambda x, y=y, layout=layout: row.loss(x, y, **layout), record
                )
                near(slope, row.slope(row.x, row.target, valid), tolerance)
            assert slope.any()
            assert slope.dtype == np.float32


@every_eager
@every_row
def test_axes(library: Library, row: Row) -> None:
    each = row.loss.replace(reduction=Each())
    expected = row.elements(row.x, row.target, VALID)
    expected = expected.reshape(2, 3, *expected.shape[1:])
    valid = library.array(VALID.reshape(T, 2, 3))
    for time, neurons in ((0, 3), (-1, 0), (1, 3)):  # (T, 2, 3, N), (N, 2, 3, T), (2, T, 3, N)

        def record(x: Array, to: tuple[int, int] = (time, neurons)) -> Any:
            return library.array(np.moveaxis(x.reshape(T, 2, 3, N), (0, 3), to))

        y = row.target.reshape(2, 3, *row.target.shape[1:]) if row.target.shape[0] == B else None
        y = record(row.target) if row.imitates else y
        y = row.target.reshape(T, 2, 3, N) if y is None else y
        y = y if row.imitates else library.array(y)
        found = each(record(row.x), y, valid=valid, time_axis=time, class_axis=neurons)
        equal(found, expected)
    by_step = row.target.shape[0] == T
    one = row.target[:, 1:2] if by_step else row.target[1:2]
    x, y = library.array(row.x[:, 1]), library.array(row.target[:, 1] if by_step else one[0])
    equal(each(x, y), row.elements(row.x[:, 1:2], one)[0])


SIMILAR_ENOUGH = ("CTC 2", "percentile 50.0", "cosine 1.0 1", "sigmoid 1.0 1", "gaussian 2.5 2",
                  "train alpha", "pattern FilteredTrace 2", "pattern FilteredTrace 3")  # fmt: skip


@pytest.mark.alike
@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in SIMILAR_ENOUGH], ids=str)
def test_jax(row: Row) -> None:
    @compiled
    def fn(x: Any, y: Any, valid: Any) -> Any:
        each = row.loss.replace(reduction=Each())
        value, pull = jax.vjp(lambda x: each(x, y, valid=valid), x)
        return value, pull(jax.numpy.ones_like(value) / value.size)[0]

    with JAX.precision():
        for valid in (FULL, CUT, VALID):
            elements, slope = fn(*map(JAX.array, (*padded(row, valid), valid)))
            equal(elements, row.elements(row.x, row.target, valid))
            near(slope, row.slope(row.x, row.target, valid))


@pytest.mark.parametrize("name", ["percentile 30.0", "CTC", "sigmoid 0.7 2", "train SumOverTime"])
def test_jax_in_single_precision(name: str) -> None:
    row = NAMED[name]
    x, y, lengths = JAX.array(row.x, "float32"), JAX.array(row.target), JAX.array(LENGTHS)
    expected = row.elements(rounded(row.x, "float32"), row.target, CUT)
    total = row.loss.replace(reduction=Sum())
    value, slope = jax.jit(jax.value_and_grad(total))(x, y, lengths=lengths)
    equal(value, expected.sum(), "float32")
    near(np.asarray(slope) / expected.size, row.slope(row.x, row.target, CUT), 1e-3)


# Streams, and sparse and packed records


def streamed(row: Row, x: Any, y: Any, valid: Any, parts: Sequence[Any], **given: Any) -> Any:
    stream = row.loss.replace(reduction=Each()).stream(None if row.imitates else y, **given)
    for part in parts:
        take = stream.step if isinstance(part, int) else stream.steps
        mask = None if valid is None else valid[part]
        take(x[part], *([y[part]] if row.imitates else []), valid=mask)
    return stream.value()


CHUNKS = (slice(0, 2), slice(2, 3), slice(3, T))


@every_eager
@pytest.mark.parametrize("row", [row for row in ROWS if row.streams], ids=str)
def test_stream(library: Library, row: Row) -> None:
    x, y = map(library.array, padded(row, CUT))
    lengths, valid = library.array(LENGTHS), library.array(VALID)
    for parts in (range(T), CHUNKS):
        found = streamed(row, x, y, None, parts, lengths=lengths)
        equal(found, row.elements(row.x, row.target, CUT))
    x, y = map(library.array, padded(row, VALID))
    equal(streamed(row, x, y, valid, CHUNKS), row.elements(row.x, row.target, VALID))
    if library.differentiates:
        value, slope = library.value_and_grad(lambda x: streamed(row, x, y, valid, range(T)), x)
        equal(value, row.elements(row.x, row.target, VALID))
        near(slope / value.size, row.slope(row.x, row.target, VALID))


@pytest.mark.alike
@pytest.mark.parametrize("name", ["train SumOverTime", "train FirstSpike", "train trace"])
def test_scan(name: str) -> None:
    row = NAMED[name]

    def fn(x: Any, y: Any, valid: Any) -> Any:
        fold = row.loss.fold(None if row.imitates else y)
        now = y if row.imitates else x

        def step(state: Any, t: Any) -> Any:
            return fold.step(state, t[0], t[1] if row.imitates else None, valid=t[2]), None

        state = fold.init(x[0], now[0] if row.imitates else None)
        return fold.finish(jax.lax.scan(step, state, (x, now, valid))[0])

    with JAX.precision():
        x, y, valid = map(JAX.array, (*padded(row, VALID), VALID))
        value, slope = jax.jit(jax.value_and_grad(fn))(x, y, valid)
        equal(value, row.elements(row.x, row.target, VALID).mean())
        near(slope, row.slope(row.x, row.target, VALID))


SPARSE = ("mean SumOverTime", "mean FirstSpike", "percentile 30.0", "percentile 50.0",
          "train SumOverTime", "train FirstSpike", "pattern SumOverTime 2")  # fmt: skip


def events(library: Library, x: Array) -> Events:
    at = np.nonzero(x)
    return Events(*at, x[at], shape=x.shape).map(library.array)


@every_eager
@pytest.mark.parametrize("row", [row for row in ROWS if row.name in SPARSE], ids=str)
def test_events(library: Library, row: Row) -> None:
    each, x = row.loss.replace(reduction=Each()), events(library, SPIKES)
    y = library.array(row.target)
    pairs = [(x, y)]
    if row.imitates:
        pairs += [(x, events(library, TRAIN)), (library.array(SPIKES), events(library, TRAIN))]
    for record, target in pairs:
        equal(each(record, target), row.elements(SPIKES, row.target))
        found = each(record, target, lengths=library.array(LENGTHS))
        equal(found, row.elements(SPIKES, row.target, CUT))
    if library.differentiates and row.read is count and "percentile" not in row.name:  # no ties

        def fn(a: Any) -> Any:
            return row.loss(Events(x.time, x.sample, x.neuron, a, shape=x.shape), y)

        _, slope = library.value_and_grad(fn, x.amplitude)
        near(slope, row.slope(SPIKES, row.target, FULL)[np.nonzero(SPIKES)])


@every_eager
@every_row
def test_packed(library: Library, row: Row) -> None:
    each, x = row.loss.replace(reduction=Each()), Packed.pack(library.array(SPIKES))
    y = row.target.astype("float32") if row.target.dtype.kind == "f" else row.target
    for valid, given in LAYOUTS:
        layout = {key: library.array(value) for key, value in given.items()}
        equal(each(x, library.array(y), **layout), row.elements(SPIKES, y, valid), "float32")


@pytest.mark.parametrize(
    ("library", "name"),
    [
        (NUMPY, "train SumOverTime"),
        (TORCH, "train SumOverTime"),
        (TORCH, "cosine 1.0 2"),
        (JAX, "cosine 1.0 2"),
    ],
    ids=lambda part: getattr(part, "name", part),
)
def test_packed_of_70_steps(library: Library, name: str) -> None:
    """Which are read 64 at a time."""
    row = NAMED[name]
    x, y = np.tile(SPIKES, (14, 1, 1)), row.target
    y = np.tile(y, (14, 1, 1)).astype("float32") if row.imitates else y
    found = row.loss(Packed.pack(library.array(x, "float32")), library.array(y))
    equal(found, row.elements(x, y).mean(), "float32")


@pytest.mark.parametrize(
    "readout", [SumOverTime(), FilteredTrace(tau=1.5)], ids=["SumOverTime", "trace"]
)
def test_packed_train(readout: Any) -> None:
    loss, packed = Loss(readout, SquaredError(), SpikeTrain()), Packed.pack(SPIKES)
    equal(loss(packed, Packed.pack(TRAIN)), loss(SPIKES, TRAIN), "float32")


@pytest.mark.parametrize("record", [SPIKES, events(NUMPY, SPIKES)], ids=["dense", "events"])
def test_train_of_events_in_a_stream(record: Any) -> None:
    found = IMITATE.stream().steps(record, events(NUMPY, TRAIN)).value()
    equal(found, IMITATE(SPIKES, TRAIN))


# Coupled readouts


@every_eager
@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_percentiles(library: Library, size: int) -> None:
    x = np.concatenate([MEMBRANE[:1, :size], np.round(MEMBRANE[:1, :size])], axis=-1)  # ties
    for q in (0.0, 12.5, 20.0, 50.0, 61.0, 99.9, 100.0):
        readout = BatchPercentile(SumOverTime(), percentile=q)
        found = library.to_numpy(readout(library.array(x)))
        expected = np.percentile(x[0], q, axis=0, method="linear")
        np.testing.assert_allclose(found, np.tile(expected, (size, 1)), rtol=1e-12, atol=1e-12)
        if library.differentiates:  # to two samples, which share 1
            _, slope = library.value_and_grad(lambda x, r=readout: r(x)[0], library.array(x))
            assert ((slope != 0).sum(axis=1) <= 2).all()
            near(slope.sum(axis=1), np.ones((1, 2 * N)))


@every_eager
def test_coupled_steps(library: Library) -> None:
    """Each step of those samples that have it; none at a step that nobody has."""
    valid = VALID.copy()
    valid[2], valid[3] = False, valid[3] | (GAPS == "00101")
    x, mask = library.array(np.where(valid[..., None], MEMBRANE, np.nan)), library.array(valid)
    average, median = (r(x, valid=mask) for r in (BatchMean(EveryStep()),
                       BatchPercentile(EveryStep(), percentile=50.0)))  # fmt: skip
    for t in (0, 1, 3, 4):
        kept = MEMBRANE[t, valid[t]]
        equal(average[t], np.tile(kept.mean(axis=0), (B, 1)))
        equal(median[t], np.tile(np.median(kept, axis=0), (B, 1)))
    loss = Loss(BatchPercentile(EveryStep(), percentile=50.0), SquaredError())
    y = library.array(VALUES)
    assert np.isfinite(library.to_numpy(loss(x, y, valid=mask)))
    if library.differentiates:
        _, slope = library.value_and_grad(lambda x: loss(x, y, valid=mask), x)
        assert not slope[~valid].any()
        assert np.isfinite(slope).all()


def test_parts_of_a_batch() -> None:
    x = MEMBRANE.reshape(T, 2, 3, N)
    readout = BatchMean(SumOverTime())
    expected = np.stack([np.tile(count(x[:, i].mean(axis=1)), (3, 1)) for i in range(2)])
    equal(torch.func.vmap(readout, in_dims=1)(TORCH.array(x)), expected)
    with JAX.precision():
        equal(jax.jit(jax.vmap(readout, in_axes=1))(JAX.array(x)), expected)


@every_eager
def test_predictions_of_a_batch(library: Library) -> None:
    x = SPIKES + 1
    x[:, 2] = 0  # silent
    loss = Loss(BatchMean(SumOverTime()), CrossEntropy())
    best = int(np.argmax(x.sum(axis=(0, 1))))
    expected = [best, best, -1, best, best, best]
    assert library.to_numpy(loss.predict(library.array(x))).tolist() == expected
    stream = loss.stream(library.array(LABELS)).steps(library.array(x))
    assert library.to_numpy(stream.predict()).tolist() == expected


# CTC


@pytest.mark.alike
@every_library
def test_ctc_of_others(library: Library) -> None:
    random = np.random.default_rng(3)
    x, lengths = random.normal(size=(12, 3, 5)), np.array([12, 9, 7])
    labels = np.array([[1, 1, 4, 0], [3, 0, 3, -1], [-1, -1, -1, -1]])  # 2 is the blank
    each, used = Loss(WholeRecord(), CTC(blank=2), reduction=Each()), (labels >= 0).sum(axis=1)
    scores = torch.tensor(x).log_softmax(dim=-1)
    here = (torch.tensor(part) for part in (labels, lengths, used))
    expected = torch.nn.functional.ctc_loss(scores, *here, blank=2, reduction="none").numpy()
    with library.precision():
        data = map(library.array, (x, labels, lengths))
        found = fast(library, lambda x, y, n: each(x, y, lengths=n))(*data)
        equal(found, expected)
        if library is JAX:
            late = 1.0 * (np.arange(12) >= lengths[:, None])
            arrays = (x.swapaxes(0, 1), late, np.maximum(labels, 0), 1.0 * (labels < 0))
            other = jax.jit(partial(optax.ctc_loss, blank_id=2))
            near(found, other(*map(JAX.array, arrays)))


@every_eager
def test_ctc_of_every_sequence(library: Library) -> None:
    """All sequences of up to 4 labels over 3 classes: their probabilities add up to 1."""
    x, blank = MEMBRANE[:4, 0, :3], 1
    sequences = [s for n in range(5) for s in itertools.product((0, 2), repeat=n)]
    labels = np.array([[*s, *[-1] * (4 - len(s))] for s in sequences])
    records = library.array(np.repeat(x[:, None], len(labels), axis=1))
    found = Loss(WholeRecord(), CTC(blank=blank), reduction=Each())(records, library.array(labels))
    equal(found, [aligned(x, s, blank) for s in sequences])
    np.testing.assert_allclose(np.exp(-library.to_numpy(found)).sum(), 1.0, rtol=1e-12)
    assert np.isinf(library.to_numpy(found)).sum() == 2 + 14  # of 8 and of 16


@every_library
def test_ctc_at_the_limits(library: Library) -> None:
    each = Loss(WholeRecord(), CTC(), reduction=Each())
    with library.precision():
        labels = library.array(SEQUENCES[:2])  # 1 2 and 1 1, which needs a blank between
        found = library.to_numpy(fast(library, each)(library.array(MEMBRANE[:2, :2]), labels))
        equal(found[0], aligned(MEMBRANE[:2, 0], (1, 2), 0))
        assert found[1] == np.inf


@every_eager
def test_ctc_of_one_class(library: Library) -> None:
    found = Loss(WholeRecord(), CTC())(library.array(MEMBRANE[..., :1]), library.array([[-1]] * B))
    equal(found, 0.0)  # all blank


@every_library
def test_ctc_of_no_labels(library: Library) -> None:
    each = Loss(WholeRecord(), CTC(), reduction=Each())
    with library.precision():
        labels = library.array(np.zeros((B, 0), int))
        found = fast(library, each)(library.array(MEMBRANE), labels)
        equal(found, [aligned(MEMBRANE[:, b], (), 0) for b in range(B)])


# Similarity


@pytest.mark.alike
@pytest.mark.parametrize(
    ("library", "kernel"),
    [*itertools.product(EAGER, ("cosine", "sigmoid", "gaussian")), (JAX, "cosine")],
    ids=lambda part: getattr(part, "name", part),
)
def test_similarity(library: Library, kernel: Any) -> None:
    row = similar(kernel, 2.0, 2)
    each = fast(library, row.loss.replace(reduction=Each()))
    x, order = MEMBRANE.copy(), np.array([3, 0, 5, 1, 4, 2])
    x[:, 4] = 0  # silent
    with library.precision():
        y = library.array(LABELS)
        found = library.to_numpy(each(library.array(x), y))
        equal(found, row.elements(x, LABELS))
        again = each(library.array(x[:, order]), library.array(LABELS[order] * 7 - 3))
        equal(again, found[order])  # any names of the classes
        if library.differentiates:
            loss = fast(library, row.loss)
            _, slope = library.value_and_grad(lambda x: loss(x, y), library.array(x))
            others = np.arange(B) != 4 if kernel == "cosine" else np.s_[:]  # no derivative at 0
            near(slope[:, others], row.slope(x, LABELS, FULL)[:, others])
            assert np.isfinite(slope).all()


@every_library
def test_similarity_of_opposites(library: Library) -> None:
    """Sums of products far below 0 have similarity 0, and a derivative of 0."""
    x, y = np.array([[[20.0], [-20.0]]]), library.array(np.array([0, 1]))
    loss = fast(library, Loss(WholeRecord(), Similarity(kernel="sigmoid")))
    equal(loss(library.array(x, "float32"), y), 0.0, "float32")
    if library.differentiates:
        _, slope = library.value_and_grad(lambda x: loss(x, y), library.array(x, "float32"))
        equal(slope, np.zeros_like(x), "float32")


# Stored patterns


@every_library
def test_class_weights_of_patterns(library: Library) -> None:
    weights = np.array([0.5, 2.0, 3.0])  # of K classes, not of N neurons
    row = NAMED["pattern SumOverTime 2"]
    elements = row.elements(MEMBRANE, LABELS) * weights[LABELS][:, None]
    weighted = row.loss.replace(class_weight=tuple(weights))
    with library.precision():
        x, y = library.array(MEMBRANE), library.array(LABELS)
        equal(weighted(x, y), elements.mean())
        equal(row.loss(x, y, class_weight=library.array(weights)), elements.mean())
        equal(weighted.replace(reduction=Each())(x, y), elements)
        by = weighted.replace(reduction=Mean("weights"))
        equal(by(x, y), elements.sum() / (weights[LABELS].sum() * N))
        assert StoredPattern(library.array(PATTERNS)) == StoredPattern(nested(PATTERNS))


# Refusals

X = MEMBRANE


def sequences(*row: int, loss: Loss = WHOLE) -> Callable[[], Any]:
    return lambda: loss(X, np.array([row] * B))


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "stream": (lambda: WHOLE.stream(SEQUENCES), TypeError, "loss: expected a readout of a stream"),
    "fold": (lambda: ALIKE.fold(LABELS), TypeError, "loss: expected a readout of a stream"),
    "ahead": (lambda: NEAREST.stream(TRAIN), TypeError, "loss: expected a target that can come"),
    "no train": (lambda: NEAREST(X, VALUES), ValueError, "target: expected spikes of shape (5, 6"),
    "one number": (lambda: NEAREST.replace(readout=SumOverTime())(X, TRAIN), TypeError,
                   "target: expected a readout of every step for NearestSpike, got SumOverTime"),
    "near limit": (lambda: NearestSpike(limit=0.25), ValueError, "limit: expected a distance"),
    "below 0": (lambda: presets.earth_mover()(X, SPIKES), ValueError, "record: expected spikes"),
    "target below 0": (lambda: presets.earth_mover()(SPIKES, X), ValueError, "target: expected"),
    "too many": (lambda: presets.triplet(distance="earth_mover")(
        np.zeros((9, 3000, 9)), np.zeros(3000, int)), ValueError, "record: expected at most 268"),
    "no trains": (lambda: Loss(SumOverTime(), Triplet(distance="earth_mover"))(X, LABELS),
                  TypeError, "readout: expected readouts.WholeRecord() for the earth mov"),
    "every step": (lambda: Loss(EveryStep(), InfoNCE()), TypeError,
                   "readout: expected one decision or the whole record for InfoNCE, got EveryStep"),
    "pixels": (lambda: presets.dice(axes=2)(X, LABELS), ValueError, "axes: expected at most 1"),
    "predict": (lambda: WHOLE.predict(X), TypeError, "loss: expected a readout or target that"),
    "accuracy": (lambda: ALIKE.accuracy(X, LABELS), TypeError, "loss: expected a readout or"),
    "squares": (lambda: Loss(WholeRecord(), SquaredError()), TypeError, "readout: expected a dec"),
    "steps": (lambda: Loss(EveryStep(), CTC()), TypeError, "readout: expected readouts.WholeRecor"),
    "count": (lambda: Loss(SumOverTime(), Similarity()), TypeError, "readout: expected readouts.W"),
    "events": (lambda: ALIKE(events(NUMPY, SPIKES), LABELS), TypeError, "record: expected a dense"),
    "empty": (lambda: WHOLE(X, SEQUENCES, valid=VALID & (GAPS != "00101")), ValueError,
              "valid: expected a valid step in every sample"),
    "gap": (sequences(1, -1, 2), ValueError, "target: expected -1 after the labels only, got"),
    "blank": (sequences(1, 0), ValueError, "target: expected labels other than the blank 0, got 0"),
    "blank 2": (sequences(1, 2, loss=Loss(WholeRecord(), CTC(blank=2))), ValueError,
                "target: expected labels other than the blank 2, got 2"),
    "range": (sequences(1, 4), ValueError,
              "target: expected labels from 0 to 3, or -1, got 1 to 4"),
    "below": (sequences(1, -2), ValueError, "target: expected labels from 0 to 3"),
    "rows": (lambda: WHOLE(X, LABELS), ValueError, "target: expected label sequences (6, "),
    "fewer": (lambda: WHOLE(X, SEQUENCES[1:]), ValueError, "target: expected label sequences (6, "),
    "floats": (lambda: WHOLE(X, 1.0 * SEQUENCES), TypeError, "target: expected integer class"),
    "missing": (lambda: WHOLE(X), TypeError, "target: expected a NumPy array like the record, got"),
    "no class": (sequences(1, loss=Loss(WholeRecord(), CTC(blank=4))), ValueError,
                 "blank: expected a class from 0 to 3, got 4"),
    "ragged": (lambda: StoredPattern(((1.0, 2.0), (1.0,))), ValueError,
               "patterns: expected numbers (K, N) or (K, T, N), got ((1.0, 2.0), (1.0,))"),
    "ragged steps": (lambda: StoredPattern((((1.0,), (2.0,)), ((1.0,),))), ValueError,
                     "patterns: expected numbers (K, N) or (K, T, N), got"),
    "none of K": (lambda: STORED(X, LABELS + 1), ValueError, "target: expected labels from 0 to 2"),
    "other N": (lambda: STORED(X[..., 1:], LABELS), ValueError, "target: expected numbers of "),
    "N weights": (lambda: STORED(X, LABELS, class_weight=np.ones(N)), ValueError,
                  "class_weight: expected 3 weights, one per class, got shape (4,)"),
    "train": (lambda: IMITATE(X, TRAIN[1:]), ValueError,
              "target: expected the shape of the record, (5, 6, 4) with time first, got shape (4,"),
    "train step": (lambda: IMITATE.stream().step(X[0], TRAIN[0, 1:]), ValueError,
                   "target: expected the shape of the record"),
    "train packed": (lambda: IMITATE(Packed.pack(SPIKES), np.ones((9, B, N))), ValueError,
                     "target: expected the shape of the record"),
    "train of labels": (lambda: IMITATE(X, LABELS), ValueError, "target: expected"),
    "train none": (lambda: IMITATE(X), TypeError, "target: expected a"),
    "train library": (lambda: IMITATE(X, TORCH.array(TRAIN)), TypeError, "target: expected a Nu"),
    "train from step 1": (lambda: IMITATE.stream().step(X[0]).step(X[1], TRAIN[1]).value(),
                          ValueError, "target: expected"),
    **{
        f"weights {name}": (lambda loss=loss, y=y: loss(X, y, class_weight=np.ones(N)), ValueError,
                            "class_weight: expected None")
        for name, loss, y in (("CTC", WHOLE, SEQUENCES), ("Similarity", ALIKE, LABELS),
                              ("SpikeTrain", IMITATE, TRAIN), ("BatchMean", ROWS[0].loss, VALUES))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    call, error, text = REFUSED[name]
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)
    assert re.fullmatch(r"[\w\[\]]+: expected .+, got .+\. [A-Z].+\.", str(caught.value))


def test_the_fix_for_a_train_that_did_not_come() -> None:
    for stream in (IMITATE.stream(), IMITATE.stream(TRAIN)):
        with pytest.raises((TypeError, ValueError)) as caught:
            stream.step(X[0]).step(X[1]).value()
        assert "step(x, target)" in str(caught.value)


@pytest.mark.parametrize(
    ("preset", "loss"),
    [
        (
            presets.ctc(blank=2, reduction=Each()),
            Loss(WholeRecord(), CTC(blank=2), Given(), Each()),
        ),
        (
            presets.spike_similarity(kernel="gaussian", scale=2.0, power=1),
            Loss(WholeRecord(), Similarity(kernel="gaussian", scale=2.0, power=1)),
        ),
        (presets.ctc(), Loss(WholeRecord(), CTC())),
        (presets.earth_mover(), Loss(WholeRecord(), EarthMover(), SpikeTrain())),
        (
            presets.earth_mover(normalised=False),
            Loss(WholeRecord(), EarthMover(normalised=False), SpikeTrain()),
        ),
        (presets.triplet(), Loss(MeanOverTime(), Triplet(margin=0.2))),
        (
            presets.triplet(margin=2.0, distance="earth_mover"),
            Loss(WholeRecord(), Triplet(margin=2.0, distance="earth_mover")),
        ),
        (presets.info_nce(), Loss(MeanOverTime(), InfoNCE())),
        (
            presets.info_nce(temperature=2.0, similarity="earth_mover"),
            Loss(WholeRecord(), InfoNCE(temperature=2.0, similarity="earth_mover")),
        ),
        (presets.dice(), Loss(MeanOverTime(), Dice())),
        (
            presets.dice(smooth=0.5, power=2, score="given", axes=2, ignore_index=3),
            Loss(MeanOverTime(), Dice(smooth=0.5, power=2, score="given", axes=2, ignore_index=3)),
        ),
        (
            presets.nearest_spike(limit=9.0, logarithm=False),
            Loss(EveryStep(), SquaredError(), NearestSpike(limit=9.0, logarithm=False)),
        ),
        (presets.spike_similarity(), Loss(WholeRecord(), Similarity())),
    ],
)
def test_presets(preset: Loss, loss: Loss) -> None:
    assert preset == loss


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_the_nearest_pattern_is_predicted(library: Library) -> None:
    patterns = ((0.0, 0.0, 1.0), (1.0, 2.0, 0.0), (3.0, 0.0, 0.0), (3.0, 3.0, 3.0))
    loss = Loss(SumOverTime(), SquaredError(), StoredPattern(patterns))
    labels = np.array([1, 0, 3, 2])
    record = np.zeros((3, 4, 3))
    for sample, label in enumerate(labels):
        for neuron, count in enumerate(patterns[label]):
            record[: int(count), sample, neuron] = 1
    x, y = library.array(record), library.array(labels)
    assert float(loss(x, y)) == 0
    assert np.array_equal(library.to_numpy(loss.predict(x)), labels)
    assert float(loss.accuracy(x, y)) == 1
    assert float(loss.stream().steps(x).accuracy(y)) == 1
    assert float(anytime_accuracy(loss, x, y)[-1]) == 1


def test_samples_without_a_pair() -> None:
    """They do not count: not in the mean, and not for the others."""
    y = np.array([0, 0, 1, 2, 2, 3])
    for criterion in (Triplet(), InfoNCE()):
        each = Loss(SumOverTime(), criterion, reduction=Each())(MEMBRANE, y)
        assert each[2] == each[5] == 0
        loss = Loss(SumOverTime(), criterion)
        same(loss(MEMBRANE, y), each[[0, 1, 3, 4]].mean())
        assert np.isnan(loss(MEMBRANE, np.arange(B)))
        assert np.isnan(loss(MEMBRANE[:, :1], y[:1]))
    assert np.isnan(Loss(SumOverTime(), Triplet())(MEMBRANE, 0 * y))
    same(Loss(SumOverTime(), InfoNCE())(np.ones((T, B, N)), 0 * y), math.log(B - 1))
    no = np.zeros((T, 0, N))
    assert all(np.isnan(Loss(SumOverTime(), c)(no, y[:0])) for c in (Triplet(), InfoNCE(), Dice()))


def test_samples_without_a_step_are_in_no_pair() -> None:
    """As may come under tracing: the others are compared as if they were alone."""
    y, valid, kept = np.array([0, 0, 1, 0, 1, 1]), VALID.copy(), [0, 1, 2, 4, 5]
    valid[:, 3] = False
    for criterion in (Triplet(), InfoNCE(), Dice()):
        loss = Loss(SumOverTime(), criterion)
        wanted = loss(MEMBRANE[:, kept], y[kept], valid=VALID[:, kept])
        with JAX.precision():
            found = jax.jit(lambda x, y, v, f=loss: f(x, y, valid=v))(
                *map(JAX.array, (MEMBRANE, y, valid))
            )
            same(found, np.asarray(wanted))


def test_views_of_samples() -> None:
    """SimCLR's NT-Xent: the other view of a sample against all other 2 B - 1."""
    z, y = torch.tensor(RANDOM.normal(size=(2 * B, N))), np.concatenate([np.arange(B)] * 2)
    unit = torch.nn.functional.normalize(z)
    logits = unit @ unit.T / 0.5 - torch.diag(torch.full((2 * B,), math.inf, dtype=z.dtype))
    wanted = torch.nn.functional.cross_entropy(logits, (torch.arange(2 * B) + B) % (2 * B))
    same(Loss(SumOverTime(), InfoNCE())(z[None], torch.tensor(y)), wanted.numpy())


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
def test_trains_that_are_silent(library: Library) -> None:
    """Their spikes come after the end; a spike that were there would come earlier."""
    x = library.array(np.zeros((T, 1, 1)))
    y = np.zeros((T, 1, 1))
    y[1] = 1.0
    loss = presets.earth_mover()
    same(loss(x, library.array(y)), T - 1.0)
    same(loss(x, x), 0.0)
    lengths = library.array(np.array([3]))
    same(loss(x, library.array(y), lengths=lengths), 2.0)
    if library.differentiates:
        _, slope = library.value_and_grad(lambda x: loss(x, library.array(y)), x)
        same(slope.ravel(), [-4.0, -4.0, -3.0, -2.0, -1.0])  # the steps from t on where Q is 1


@every_eager
def test_images(library: Library) -> None:
    """Each image has its own overlap, whatever the others are; ignored pixels have none."""
    x = RANDOM.normal(size=(T, 2, 3, 4, N))
    y = RANDOM.integers(0, N, (2, 3, 4))
    loss = presets.dice(axes=2, ignore_index=-1)
    wanted = [presets.dice()(x[:, b], y[b]) for b in range(2)]
    given = library.array(x)
    same(loss(given, library.array(y)), np.mean(wanted))
    each = loss.replace(reduction=Each())(given, library.array(y))
    same(each, np.broadcast_to(np.array(wanted)[:, None, None], (2, 3, 4)))
    moved = library.array(np.moveaxis(x, -1, 2))
    same(loss(moved, library.array(y), class_axis=2), np.mean(wanted))
    out = y.copy()
    out[0, :, 1:] = -1
    out[1] = -1  # an image of which nothing is known does not count
    same(loss(given, library.array(out)), presets.dice()(x[:, 0, :, :1], y[0, :, :1]))
    soft = np.eye(N)[y]
    same(presets.dice(axes=2)(given, library.array(soft)), np.mean(wanted))
    weights = np.arange(1.0, N + 1)
    parts = [presets.dice(class_weight=tuple(np.eye(N)[c]))(x[:, 0], y[0]) for c in range(N)]
    found = presets.dice(class_weight=tuple(weights))(given[:, 0], library.array(y[0]))
    same(found, weights @ np.array(parts))
    steps = Loss(EveryStep(), Dice())
    by_step = [steps(x[t : t + 1, 0], y[0]) for t in range(T)]
    same(steps(given[:, 0], library.array(y[0])), np.mean(by_step))


def test_similarity_in_vmap() -> None:
    loss, records = presets.spike_similarity(), torch.rand(2, 4, 5, 3).double()
    labels = torch.tensor([0, 1, 1, 0, 2])
    found = torch.func.vmap(lambda record: loss(record, labels))(records)
    same(found, np.array([float(loss(record, labels)) for record in records]))
