"""Random calls of the metrics, decisions and distances: the loop's number, or a named error."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import oracles
from fuzz_calls import SHAPES, SPIKES, As, pattern
from hypothesis import given
from hypothesis import strategies as st
from libraries import NUMPY, TORCH, Array, Library, rounded
from test_fuzz import refused, settings, world

from spikeloss import Loss, distances, metrics
from spikeloss.criteria import CrossEntropy
from spikeloss.readouts import FirstSpike, LastStep, Maximum, MeanOverTime, Readout, SumOverTime
from spikeloss.records import Packed

READOUTS: dict[str, tuple[Readout, Callable[[Array], Array]]] = {
    "SumOverTime": (SumOverTime(), lambda x: oracles.count(x)[0]),
    "MeanOverTime": (MeanOverTime(), lambda x: oracles.mean(x)[0]),
    "Maximum": (Maximum(), lambda x: oracles.maximum(x)[0]),
    "LastStep": (LastStep(), lambda x: oracles.last_step(x)[0]),
    "FirstSpike": (FirstSpike(), lambda x: oracles.first_spike(x)[0]),
}


# Formulas: of samples (n,N), of which each has steps of its own


def decided(read: str, x: Array) -> int:
    """The lowest of the best classes; -1 for silence."""
    if not np.any(x != 0):
        return -1
    z = READOUTS[read][1](x)
    return int(np.argmin(z) if read == "FirstSpike" else np.argmax(z))


def mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def right(read: str, xs: list[Array], labels: Array) -> float:
    return mean(decided(read, x) == y for x, y in zip(xs, labels, strict=True))


def top(read: str, xs: list[Array], labels: Array, k: int) -> float:
    def among(x: Array, y: int) -> bool:
        z = READOUTS[read][1](x)
        z = z if read == "FirstSpike" else -z
        return bool(np.any(x != 0)) and y in np.argsort(z, kind="stable")[:k]

    return mean(among(x, y) for x, y in zip(xs, labels, strict=True))


def confused(read: str, xs: list[Array], labels: Array, classes: int) -> Array:
    table = np.zeros((classes, classes + 1), int)
    for x, y in zip(xs, labels, strict=True):
        table[y, decided(read, x)] += 1
    return table


def latency(read: str, xs: list[Array]) -> float:
    def final(x: Array) -> int:
        course = [decided(read, x[: t + 1]) for t in range(len(x))]
        return min(t for t in range(len(x)) if set(course[t:]) == {course[-1]})

    return mean(final(x) for x in xs if np.any(x != 0))


def calibration(read: str, xs: list[Array], labels: Array, bins: int) -> float:
    gaps = np.zeros(bins)
    for x, y in zip(xs, labels, strict=True):
        z = READOUTS[read][1](x)
        p = math.exp(max(oracles.log_softmax(-z if read == "FirstSpike" else z)))
        gaps[math.ceil(p * bins) - 1] += (decided(read, x) == y) - p
    return float(np.abs(gaps).sum()) / len(xs) if xs else math.nan


def histogram(xs: list[Array], bins: int) -> Array:
    made = np.zeros(bins, int)
    for x in xs:
        for k in (x != 0).sum(0):
            made[min(int(k) * bins // len(x), bins - 1)] += 1
    return made


def rates(xs: list[Array], neurons: int) -> Array:
    steps = sum(map(len, xs))
    spikes = sum(((x != 0).sum(0) for x in xs), np.zeros(neurons))
    return spikes / steps if steps else np.full(neurons, math.nan)


@st.composite
def records(draw: Any) -> tuple[Library, Array, str, dict[str, Array], list[Array]]:
    """A library, a record of exact numbers, its dtype and layout, and its samples, cropped."""
    library = draw(st.sampled_from((NUMPY, TORCH)))
    steps, batch, neurons = draw(st.sampled_from([s for s in SHAPES if len(s[1]) < 2]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(("float32", "float64", "float16", "bool", "int64")))
    words = SPIKES if dtype == "bool" else (*SPIKES, "steps")
    x = rounded(pattern(draw(st.sampled_from(words)), (steps, *batch, neurons), rng, dtype), dtype)
    kind, layout, valid = (
        draw(st.sampled_from(("whole", "lengths", "valid"))),
        {},
        x[..., 0] == x[..., 0],
    )
    if kind == "lengths":
        layout["lengths"] = rng.integers(1, steps + 1, batch)
        valid = np.arange(steps).reshape(-1, *[1] * len(batch)) < layout["lengths"]
    elif kind == "valid":
        valid = rng.random((steps, *batch)) < 0.6
        valid[0] |= ~valid.any(0)
        layout["valid"] = valid
    flat, mask = x.reshape(steps, -1, neurons), valid.reshape(steps, -1)
    return library, x, dtype, layout, [flat[mask[:, b], b] for b in range(flat.shape[1])]


def near(actual: Any, expected: Any) -> None:
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)


@settings(150, 10000)
@given(records(), st.sampled_from(sorted(READOUTS)), st.data())
def test_metrics(made: Any, read: str, data: Any) -> None:
    """float32 is enough for shares; a half-precision record gives half-precision shares."""
    library, x, dtype, given_layout, samples = made
    if dtype == "float16":
        dtype = "float32"
    before, neurons, batch = world(), x.shape[-1], x.shape[1:-1]
    labels = np.random.default_rng(1).integers(0, neurons, batch)
    flat, k = labels.reshape(-1), data.draw(st.sampled_from((1, 2, 3, 50)))
    bins = data.draw(st.sampled_from((7, 11, 13)))
    fans = [float(i % 3) for i in range(neurons)]
    judge: Any = READOUTS[read][0]
    judge = data.draw(st.sampled_from((judge, Loss(judge, CrossEntropy()))))
    record, y = library.array(x, dtype), library.array(labels)
    layout = {key: library.array(value) for key, value in given_layout.items()}
    if data.draw(st.booleans()) and np.all((x == 0) | (x == 1)) and x.size:
        record = Packed.pack(record)
    spikes = [(s != 0).sum() for s in samples]
    silent = [b for s in samples for b in (s != 0).sum(0) == 0]
    always = [b for s in samples for b in (s != 0).sum(0) == len(s)]
    near(metrics.accuracy(judge, record, y, **layout), right(read, samples, flat))
    near(metrics.top_k(judge, record, y, k=k, **layout), top(read, samples, flat, k))
    near(metrics.confusion(judge, record, y, **layout), confused(read, samples, flat, neurons))
    near(metrics.decision_latency(judge, record, **layout), latency(read, samples))
    found = metrics.calibration_error(judge, record, y, bins=bins, **layout)
    near(found, calibration(read, samples, flat, bins))
    near(metrics.spikes_per_sample(record, **layout), mean(spikes))
    wanted = mean(((s != 0).sum(0) * fans).sum() for s in samples)
    near(metrics.synaptic_operations(record, fans, **layout), wanted)
    dense = mean(len(s) * sum(fans) for s in samples)
    near(metrics.dense_operations(record, fans, **layout), dense)
    graded = [bool(np.any((s != 0) & (abs(s) != 1))) for s in samples]
    each = list(zip(graded, (((s != 0).sum(0) * fans).sum() for s in samples), strict=True))
    near(metrics.effective_macs(record, fans, **layout), mean(g * k for g, k in each))
    near(metrics.effective_acs(record, fans, **layout), mean((1 - g) * k for g, k in each))
    entries = sum(s.size for s in samples)
    sparse = 1 - sum(spikes) / entries if entries else math.nan
    near(metrics.activation_sparsity(record, **layout), sparse)
    changes = mean((s[1:] != s[:-1]).sum() + neurons for s in samples)
    near(metrics.membrane_updates(record, **layout), changes)
    near(metrics.rate_histogram(record, bins=bins, **layout), histogram(samples, bins))
    near(metrics.firing_rates(record, **layout), rates(samples, neurons))
    near(metrics.silent_fraction(record, **layout), mean(silent))
    near(metrics.saturated_fraction(record, **layout), mean(always))
    if isinstance(judge, Loss):
        found = np.asarray(judge.predict(record, **layout))
        assert found.tolist() == np.reshape([decided(read, s) for s in samples], batch).tolist()
    assert world() == before


WRONG: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("k", lambda x, y, bad: metrics.top_k(SumOverTime(), x, y, k=bad)),
    ("bins", lambda x, y, bad: metrics.calibration_error(SumOverTime(), x, y, bins=bad)),
    ("bins", lambda x, y, bad: metrics.rate_histogram(x, bins=bad)),
)


@settings(60, 3000)
@given(records(), st.sampled_from(WRONG), st.sampled_from((0, -1, "2", 2.5, None, math.nan, True)))
def test_wrong_counts(made: Any, wrong: Any, bad: Any) -> None:
    library, x, dtype, _, _ = made
    y = library.array(np.zeros(x.shape[1:-1], int))
    refused({wrong[0]}, lambda: wrong[1](library.array(x, dtype), y, bad))


@settings(100, 5000)
@given(records(), st.data())
def test_wrong_labels_and_fans(made: Any, data: Any) -> None:
    library, x, dtype, _, _ = made
    record, batch = library.array(x, dtype), x.shape[1:-1]
    other = TORCH if library is NUMPY else NUMPY
    y = np.zeros(batch, int)
    one = y.copy()
    one.reshape(-1)[: 1 if one.size else 0] = data.draw(st.sampled_from((x.shape[-1], -1, 10**6)))
    labels = [
        y.astype("float64"),
        np.zeros((*batch, 2), int),
        As("y"),
        As(None),
        As(other.array(y)),
    ]
    labels += [one] * 3 if one.size else []
    bad = data.draw(st.sampled_from(labels))
    target = bad.value if isinstance(bad, As) else library.array(bad)
    way = data.draw(
        st.sampled_from(
            (
                metrics.accuracy,
                metrics.confusion,
                metrics.anytime_accuracy,
                metrics.calibration_error,
            )
        )
    )
    refused({"labels", "target"}, lambda: way(SumOverTime(), record, target))
    fans = data.draw(
        st.sampled_from(
            (-1.0, math.nan, math.inf, "1", None, [1.0] * (x.shape[-1] + 1), [-1.0] * x.shape[-1])
        )
    )
    refused({"fan_out"}, lambda: metrics.synaptic_operations(record, fans))


# Distances


@st.composite
def trains(draw: Any) -> tuple[Library, Array, Array]:
    """Two trains of times (*B, n) and (*B, m), unordered, infinity where there is no spike."""
    library = draw(st.sampled_from((NUMPY, TORCH)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch = draw(st.sampled_from(((), (3,), (2, 2), (0,))))
    sizes = draw(st.integers(0, 4)), draw(st.integers(0, 5))
    a, b = (rng.integers(0, 40, (*batch, n)) / 4 for n in sizes)
    a, b = (np.where(rng.random(t.shape) < 0.2, math.inf, t) for t in (a, b))
    return library, a, b


def spiking(t: Array) -> list[float]:
    return sorted(float(v) for v in t if v < math.inf)


def moved(a: Array, b: Array, cost: float) -> float:
    """The table of Victor and Purpura."""
    s, t = spiking(a), spiking(b)
    table = np.zeros((len(s) + 1, len(t) + 1))
    table[:, 0], table[0] = range(len(s) + 1), range(len(t) + 1)
    for i, j in itertools.product(range(1, len(s) + 1), range(1, len(t) + 1)):
        along = table[i - 1, j - 1] + cost * abs(s[i - 1] - t[j - 1])
        table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, along)
    return float(table[-1, -1])


def filtered(a: Array, b: Array, tau: float) -> float:
    signed = [(v, 1.0) for v in spiking(a)] + [(v, -1.0) for v in spiking(b)]
    pairs = itertools.product(signed, repeat=2)
    return sum(p * q * math.exp(-abs(s - t) / tau) for (s, p), (t, q) in pairs) / (2 * tau)


def each(function: Callable[..., float], a: Array, b: Array, *more: float) -> Array:
    batch = a.shape[:-1]
    made = [function(a[i], b[i], *more) for i in np.ndindex(batch)]
    return np.reshape(np.array(made, np.float64), batch)


@settings(100, 10000)
@given(trains(), st.sampled_from((0.25, 1.0, 5, 1e3)), st.booleans())
def test_distances_of_times(made: Any, tau: float, root: bool) -> None:
    library, a, b = made
    before, wanted = world(), each(filtered, a, b, tau)
    x, y = library.array(a), library.array(b)
    found = np.asarray(distances.van_rossum_times(x, y, tau=tau, root=root))
    wanted = np.sqrt(np.maximum(wanted, 0)) if root else wanted
    assert found.shape == wanted.shape
    close = 1e-7 if root else 1e-13 * (1 + a.shape[-1] + b.shape[-1]) ** 2 / min(tau, 1)
    np.testing.assert_allclose(found, wanted, atol=close, rtol=1e-9)
    found = np.asarray(distances.victor_purpura(x, y, cost=tau))
    np.testing.assert_allclose(found, each(moved, a, b, tau), rtol=1e-12, atol=1e-12)
    assert world() == before


@settings(60, 5000)
@given(records(), st.sampled_from((0.25, 1.0, 5, 1e3)), st.booleans(), st.booleans())
def test_van_rossum_of_records(made: Any, tau: float, tail: bool, exact: bool) -> None:
    library, x, _, given_layout, _ = made
    other = np.roll(x, 1, -1)
    steps = x.shape[0]
    mask = given_layout.get("valid")
    if "lengths" in given_layout:
        mask = np.arange(steps).reshape(-1, *[1] * (x.ndim - 2)) < given_layout["lengths"]
    mask = np.ones(x.shape[:-1], bool) if mask is None else mask
    gaps = (x - other).reshape(steps, -1, x.shape[-1])
    layout = {key: library.array(value) for key, value in given_layout.items()}
    wanted = []
    for b, keep in enumerate(mask.reshape(steps, -1).T):
        trace, total = np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
        for row in gaps[keep, b]:
            trace = math.exp(-1 / tau) * trace + row
            total += (trace / tau) ** 2
        if tail:
            total += (trace / tau) ** 2 / math.expm1(2 / tau)
        wanted.append(total * (-tau * math.expm1(-2 / tau) / 2 if exact else 1.0))
    expected = np.reshape(np.array(wanted, np.float64), x.shape[1:])
    found = distances.van_rossum(
        library.array(x, "float64"),
        library.array(other, "float64"),
        tau=tau,
        tail=tail,
        integral="exact" if exact else "steps",
        **layout,
    )
    assert np.asarray(found).shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


BAD_NUMBERS = ("1", None, math.nan, math.inf, -1.0, True, 1j, [1.0])


@settings(80, 5000)
@given(trains(), st.sampled_from(BAD_NUMBERS), st.data())
def test_wrong_distances(made: Any, bad: Any, data: Any) -> None:
    library, a, b = made
    x, y = library.array(a), library.array(b)
    other = (TORCH if library is NUMPY else NUMPY).array(b)
    times, moved_ = distances.van_rossum_times, distances.victor_purpura
    ways: list[tuple[set[str], Callable[[], Any]]] = [
        ({"tau"}, lambda: times(x, y, tau=bad)),
        ({"cost"}, lambda: moved_(x, y, cost=bad)),
        ({"softness"}, lambda: moved_(x, y, cost=1.0, softness=bad)),
        ({"root"}, lambda: times(x, y, tau=1.0, root="no")),
        ({"a_times", "b_times"}, lambda: times(x, other, tau=1.0)),
        ({"a_times", "b_times"}, lambda: moved_("x", y, cost=1.0)),
        ({"cosine"}, lambda: times(x[..., None, :], y[..., None, :], tau=1.0, cosine=1.5)),
    ]
    if b.size:
        wrong = b.copy()
        wrong.reshape(-1)[0] = data.draw(st.sampled_from((math.nan, -math.inf)))
        z = library.array(wrong)
        ways += [
            ({"a_times", "b_times"}, lambda: times(x, z, tau=1.0)),
            ({"a_times", "b_times"}, lambda: moved_(z, x, cost=1.0)),
        ]
    refused(*data.draw(st.sampled_from(ways)))
