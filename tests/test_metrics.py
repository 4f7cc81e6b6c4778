"""Metrics equal loops over samples, steps and neurons, in every library and on every record.

T=7 steps, B=5 samples, N=6 neurons: no two axes are equal. The loops of this file know nothing of
the library but `loss.predict`, where a record is cut.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
import torch
import torchmetrics
from harness import compiled
from libraries import JAX, NUMPY, TORCH, Array, Library, named, same

import spikeloss.torch_metrics
from spikeloss import Loss, metrics, readouts
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.presets import ce_count, mse_count
from spikeloss.readouts import (
    Decided,
    EveryStep,
    FirstSpike,
    LastStep,
    Maximum,
    MeanOverTime,
    Population,
    Readout,
    SpikeTimes,
    SumOverTime,
    Temperature,
)
from spikeloss.records import Events, Packed

T, B, N = 7, 5, 6
LABELS = np.array([0, 3, 1, 5, 0])
LENGTHS = np.array([4, 7, 1, 6, 3])
FAN_OUT = np.array([1.0, 10.0, 0.0, 2.5, 4.0, 3.0])

READOUTS: tuple[Readout, ...] = (
    SumOverTime(),
    MeanOverTime(),
    EveryStep(),
    Maximum(),
    LastStep(),
    FirstSpike(),
    FirstSpike(code="reciprocal", silent_delay=1.0),
    SpikeTimes(count=2),
    Population(SumOverTime(), classes=3),
    Population(FirstSpike(), classes=2, pool="mean"),
    Population(EveryStep(), classes=3),
    Temperature(Maximum(), scale=3.0),
)
TIMED = READOUTS + tuple(  # whatever else the library has
    kind(**options)
    for name, options in {
        "WeightedSum": {"tau": 3.0},
        "LogSumExp": {"sharpness": 2.0},
        "CumulativeSoftmax": {},
        "InterpolatedSpike": {},
        "MovingWindow": {"width": 3},
        "FilteredTrace": {"tau": 2.0},
    }.items()
    if (kind := getattr(readouts, name, None)) is not None
)

ROUNDING = ("LogSumExp", "CumulativeSoftmax")

GAPS = np.array(
    [
        [1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [1, 0, 0, 1, 0],
        [0, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 0, 0, 1, 1],
    ],
    bool,
)


@cache
def records() -> dict[str, Array]:
    """Records (T,B,N), float64."""
    rng = np.random.default_rng(3)
    random = (rng.random((T, B, N)) < 0.3).astype(np.float64)
    random[:, 4] = 0  # a sample without a spike,
    random[:, 0, 2] = 1  # a neuron that fires at every step
    random[:5, 1] = 0  # a late sample
    tied = np.zeros((T, B, N))
    tied[2, :, 1] = tied[2, :, 3] = tied[4, :, 0] = 1
    made = {
        "random": random,
        "silent": np.zeros((T, B, N)),
        "always": np.ones((T, B, N)),
        "tied": tied,
        "amplitude": random * np.array([0.5, 1.5, 3.0, 0.25, 0.125, 2.0]),
    }
    for record in made.values():
        record.flags.writeable = False
    return made


LAYOUTS: dict[str, dict[str, Array]] = {
    "whole": {},
    "lengths": {"lengths": LENGTHS},
    "gaps": {"valid": GAPS},
}


def cropped(record: Array, layout: dict[str, Array], end: int = T) -> Iterator[Array]:
    """Every sample by itself, only its valid steps before `end`: (n,N)."""
    for b in range(record.shape[1]):
        keep = [
            t
            for t in range(end)
            if t < layout.get("lengths", [T] * B)[b] and ("valid" not in layout or GAPS[t, b])
        ]
        yield record[keep, b]


def decision(readout: Readout | Loss, sample: Array) -> tuple[int, Array | None]:
    """The class of a sample (n,N), and its evidence; none of one without a step."""
    loss = readout if isinstance(readout, Loss) else Loss(readout, CrossEntropy())
    if not len(sample):
        return -1, None
    z = np.asarray(loss.readout(sample))
    if loss.readout.keeps == "time":
        z = z.mean(axis=0)
    elif loss.readout.keeps == "spikes":
        z = z[0]
    z = -z if loss.readout.smaller_decides else z
    best = 0
    for c in range(len(z)):
        if z[c] > z[best]:
            best = c
    return best if sample.any() else -1, z


def in_library(library: Library, layout: dict[str, Array]) -> dict[str, Any]:
    return {name: library.array(value) for name, value in layout.items()}


def labels_for(readout: Readout | Loss) -> Array:
    """Labels that the decision has."""
    return LABELS % len(np.asarray(decision(readout, records()["random"][:, 0])[1]))


CASES = pytest.mark.parametrize(
    ("library", "record", "layout"),
    [
        pytest.param(library, record, layout, id=f"{record} {layout} {library.name}")
        for library in (NUMPY, TORCH)  # JAX is compared with NumPy below
        for record in records()
        for layout in LAYOUTS
    ],
)


# Decisions


@CASES
def test_decisions(library: Library, record: str, layout: str) -> None:
    x, where = records()[record], LAYOUTS[layout]
    with library.precision():
        ours, options = library.array(x), in_library(library, where)
        for readout in READOUTS if library is NUMPY else READOUTS[::4]:
            y = labels_for(readout)
            labels = library.array(y)
            found = [decision(readout, sample) for sample in cropped(x, where)]
            right = [c == label for (c, _), label in zip(found, y, strict=True)]
            value = metrics.accuracy(readout, ours, labels, **options)
            same(value, np.mean(right))
            loss = Loss(readout, CrossEntropy())
            same(value, np.asarray(loss.accuracy(ours, labels, **options)))
            for k in (1, 2, 3):
                among = []
                for (c, z), label in zip(found, y, strict=True):
                    assert z is not None
                    order = sorted(range(len(z)), key=lambda i: (-z[i], i))
                    among.append(c >= 0 and label in order[:k])
                same(metrics.top_k(readout, ours, labels, k=k, **options), np.mean(among))
            classes = len(np.asarray(found[0][1]))
            table = np.zeros((classes, classes + 1), int)
            for (c, _), label in zip(found, y, strict=True):
                table[label, classes if c < 0 else c] += 1
            counts = metrics.confusion(readout, ours, labels, **options)
            same(counts, table, "int64")
            for bins in (1, 4, 15):
                value = metrics.calibration_error(readout, ours, labels, bins=bins, **options)
                same(value, calibration(found, y, bins))


def calibration(found: list[tuple[int, Array | None]], labels: Array, bins: int) -> float:
    error = 0.0
    for m in range(bins):
        hits, sure, count = 0, 0.0, 0
        for (c, z), label in zip(found, labels, strict=True):
            assert z is not None
            p = float(np.max(np.exp(z - z.max()) / np.exp(z - z.max()).sum()))
            if m / bins + 1e-9 < p <= (m + 1) / bins + 1e-9:  # silence is on an edge
                hits, sure, count = hits + (c == label), sure + p, count + 1
        if count:
            error += count / len(labels) * abs(hits / count - sure / count)
    return error


def test_ties_and_silence() -> None:
    record = np.zeros((2, 3, 3))
    record[0, 0, 1:] = 1  # a tie of 1 and 2
    record[1, 1, 2] = 1
    labels = np.array([1, 2, 0])
    assert metrics.accuracy(SumOverTime(), record, labels) == 2 / 3
    same(metrics.confusion(SumOverTime(), record, labels),
         [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]], "int64")  # fmt: skip
    assert metrics.accuracy(SumOverTime(), record, np.array([2, 2, 2])) == 1 / 3
    assert metrics.top_k(SumOverTime(), record, np.array([2, 0, 0]), k=2) == 2 / 3
    assert metrics.top_k(SumOverTime(), record, np.array([0, 1, 0]), k=2) == 0
    assert metrics.top_k(SumOverTime(), record, np.array([0, 1, 0]), k=9) == 2 / 3


def test_labels_that_are_ignored() -> None:
    x, labels = records()["random"], np.array([0, -1, 1, 5, -1])
    kept = labels >= 0
    loss = Loss(SumOverTime(), CrossEntropy(ignore_index=-1))
    for name in ("accuracy", "confusion", "calibration_error", "anytime_accuracy", "anytime_area"):
        function = getattr(metrics, name)
        wanted = np.asarray(function(SumOverTime(), x[:, kept], labels[kept]))
        same(function(loss, x, labels), wanted, wanted.dtype.name)
    same(
        metrics.top_k(loss, x, labels, k=2),
        metrics.top_k(SumOverTime(), x[:, kept], labels[kept], k=2),
    )
    same(metrics.accuracy(loss, x, labels), np.asarray(loss.accuracy(x, labels)))
    nobody = np.full(B, -1)
    assert np.isnan(metrics.accuracy(loss, x, nobody))
    assert np.isnan(metrics.calibration_error(loss, x, nobody))
    assert np.isnan(metrics.anytime_accuracy(loss, x, nobody)).all()
    assert metrics.confusion(loss, x, nobody).sum() == 0


def test_judges() -> None:
    x = records()["random"]
    wanted = metrics.accuracy(SumOverTime(), x, LABELS)
    for judge in (ce_count(), ce_count() + 0.5 * Loss(Maximum(), SquaredError())):
        assert metrics.accuracy(judge, x, LABELS) == wanted
    assert metrics.accuracy(Decided(), x.sum(0), LABELS) == wanted
    with pytest.raises(
        TypeError, match=r"judge: expected a readout such as readouts\.SumOverTime\(\)"
    ):
        metrics.accuracy("count", x, LABELS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"labels: expected 5 labels, one per sample"):
        metrics.confusion(SumOverTime(), x, LABELS[:4])
    with pytest.raises(ValueError, match=r"k: expected an integer of at least 1, got 0"):
        metrics.top_k(SumOverTime(), x, LABELS, k=0)
    with pytest.raises(ValueError, match=r"bins: expected an integer of at least 1, got 0"):
        metrics.calibration_error(SumOverTime(), x, LABELS, bins=0)
    with pytest.raises(ValueError, match=r"record: expected a decision that can be compared"):
        metrics.top_k(SumOverTime(), x * np.nan, LABELS, k=1)


# Decisions over time


def anytime(readout: Readout, x: Array, layout: dict[str, Array]) -> Array:
    """The decisions (T,B) of the record cut after each step."""
    return np.array(
        [
            [decision(readout, sample)[0] for sample in cropped(x, layout, t + 1)]
            for t in range(len(x))
        ]
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("readout", TIMED, ids=str)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # the logarithm of no step
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_anytime(readout: Readout, layout: str) -> None:
    for name, x in records().items():
        if type(readout).__name__ in ROUNDING and name != "amplitude":
            continue  # ties are broken by rounding
        where, y = LAYOUTS[layout], labels_for(readout)
        wanted = anytime(readout, x, where)
        curve = metrics.anytime_accuracy(readout, x, y, **where)
        same(curve, (wanted == y).mean(axis=1))
        same(metrics.anytime_area(readout, x, y, **where), (wanted == y).mean())
        latencies = []
        for b in range(B):
            if wanted[-1, b] >= 0:
                last = max((t + 1 for t in range(T) if wanted[t, b] != wanted[-1, b]), default=0)
                latencies.append(GAPS[:last, b].sum() if layout == "gaps" else last)
        latency = metrics.decision_latency(readout, x, **where)
        same(latency, np.mean(latencies) if latencies else np.nan)
        assert name == "silent" or latencies


@pytest.mark.parametrize("readout", TIMED, ids=str)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 10, 17])
def test_anytime_is_the_accuracy_of_the_cut_record(steps: int, readout: Readout) -> None:
    rng = np.random.default_rng(steps)
    x = (rng.random((steps, B, N)) < 0.3) * rng.random(N)
    lengths, loss = rng.integers(1, steps + 1, B), Loss(readout, CrossEntropy())
    y = labels_for(readout)
    for layout in ({}, {"lengths": lengths}):
        cut = [
            loss.accuracy(x[:t], y, **{k: np.minimum(v, t) for k, v in layout.items()})
            for t in range(1, steps + 1)
        ]
        same(metrics.anytime_accuracy(loss, x, y, **layout), cut)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("readout", TIMED, ids=str)
def test_anytime_in_torch(readout: Readout, layout: str) -> None:
    x, where, y = records()["amplitude"], LAYOUTS[layout], labels_for(readout)
    arguments = readout, TORCH.array(x), TORCH.array(y)
    options = in_library(TORCH, where)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = metrics.anytime_accuracy(readout, x, y, **where)
        latency = metrics.decision_latency(readout, x, **where)
    same(metrics.anytime_accuracy(*arguments, **options), wanted)
    same(metrics.decision_latency(*arguments[:2], **options), latency)


def test_anytime_of_what_has_no_steps() -> None:
    x = records()["random"]
    with pytest.raises(TypeError, match=r"judge: expected a readout of a record with time, got De"):
        metrics.anytime_accuracy(Decided(), x[0], LABELS)
    with pytest.raises(TypeError, match=r"record: expected a dense record, .*events\.dense\(\)"):
        metrics.anytime_accuracy(SumOverTime(), events_of(NUMPY, x), LABELS)


# Activity


def activity(x: Array, layout: dict[str, Array]) -> dict[str, Any]:
    """Every metric of activity, by counting."""
    samples = list(cropped(x, layout))
    counts = [[sum(s[t, i] != 0 for t in range(len(s))) for i in range(N)] for s in samples]
    steps = [len(s) for s in samples]
    pairs = [(k, n) for row, n in zip(counts, steps, strict=True) for k in row]
    histogram = [0] * 4
    for k, n in pairs:
        histogram[next(m for m in range(4) if 4 * k < (m + 1) * n or m == 3)] += 1
    return {
        "spikes_per_sample": sum(map(sum, counts)) / len(samples),
        "synaptic_operations": sum(
            f * k for row in counts for f, k in zip(FAN_OUT, row, strict=True)
        ) / len(samples),
        "firing_rates": [sum(row[i] for row in counts) / sum(steps) for i in range(N)],
        "rate_histogram": histogram,
        "activation_sparsity": 1 - sum(k for k, _ in pairs) / sum(n for _, n in pairs),
        "dense_operations": sum(FAN_OUT) * sum(steps) / len(samples),
        "silent_fraction": sum(k == 0 for k, _ in pairs) / len(pairs),
        "saturated_fraction": sum(k == n for k, n in pairs) / len(pairs),
    }  # fmt: skip


def options_of(name: str, library: Library) -> dict[str, Any]:
    fan_out = {"fan_out": library.array(FAN_OUT)}
    if name in ("synaptic_operations", "dense_operations", "effective_macs", "effective_acs"):
        return fan_out
    return {"rate_histogram": {"bins": 4}}.get(name, {})


def costs(x: Array, layout: dict[str, Array]) -> dict[str, float]:
    """What depends on amplitudes, by counting, sample by sample."""
    found = {"effective_macs": 0.0, "effective_acs": 0.0, "membrane_updates": 0.0}
    for sample in cropped(x, layout):
        operations = sum(f * (u != 0) for row in sample for f, u in zip(FAN_OUT, row, strict=True))
        graded = any(u not in (-1, 0, 1) for u in sample.ravel())
        found["effective_macs" if graded else "effective_acs"] += operations / B
        updates = N + sum(sample[t, i] != sample[t - 1, i] for t in range(1, len(sample))
                          for i in range(N))  # fmt: skip
        found["membrane_updates"] += updates / B
    return found


def events_of(library: Library, x: Array) -> Events:
    """The entries of a record, one of them in two parts, and two that are nothing together."""
    time, sample, neuron = x.nonzero()
    amplitude = x[time, sample, neuron].copy()
    if len(time):
        time, sample, neuron, amplitude = (
            np.concatenate([part, part[:1], extra])
            for part, extra in zip(
                (time, sample, neuron, amplitude / np.array([2] + [1] * (len(time) - 1))),
                ([5, 5], [2, 2], [4, 4], [1.5, -1.5]),
                strict=True,
            )
        )
    order = np.random.default_rng(0).permutation(len(time))
    arrays = (time, sample, neuron, amplitude)
    return Events(*(library.array(part[order]) for part in arrays), shape=x.shape)


@CASES
def test_activity(library: Library, record: str, layout: str) -> None:
    x, where = records()[record], LAYOUTS[layout]
    with library.precision():
        options, events = in_library(library, where), events_of(library, x)
        forms = {"float64": library.array(x), "float32": library.array(x != 0)}
        for name, wanted in activity(x, where).items():
            function, own = getattr(metrics, name), options_of(name, library)
            for dtype, form in forms.items():
                kind = "int64" if name == "rate_histogram" else dtype
                same(function(form, **own, **options), wanted, kind)
            kind = "int64" if name == "rate_histogram" else "float64"
            same(function(events, **own, **options), wanted, kind)
            packed = Packed.pack(forms["float64"])
            kind = "int64" if name == "rate_histogram" else "float32"
            same(function(packed, **own, **options), wanted, kind)


@CASES
def test_costs(library: Library, record: str, layout: str) -> None:
    x, where = records()[record].copy(), LAYOUTS[layout]
    x[:, 3] = -1.0 * (x[:, 3] != 0)  # of spikes, whatever the others are
    with library.precision():
        options = in_library(library, where)
        forms = {"dense": library.array(x), "events": events_of(library, x)}
        spikes = x != 0
        bits = {"bool": library.array(spikes), "packed": Packed.pack(library.array(spikes))}
        for data, given, dtype in ((x, forms, "float64"), (spikes, bits, "float32")):
            for name, wanted in costs(data, where).items():
                function, own = getattr(metrics, name), options_of(name, library)
                for form, made in given.items():
                    if (form, name) != ("events", "membrane_updates"):
                        same(function(made, **own, **options), wanted, dtype)
        parts = (function(forms["dense"], **options_of("effective_acs", library), **options)
                 for function in (metrics.effective_macs, metrics.effective_acs))  # fmt: skip
        wanted = activity(x, where)["synaptic_operations"]
        same(sum(parts), wanted)


def test_costs_of_layers() -> None:
    x = records()["random"]
    one, other = x[..., :4], x[..., 4:] * 0.5
    whole = metrics.activation_sparsity({"one": one, "other": other}, lengths=LENGTHS)
    same(whole, metrics.activation_sparsity(x, lengths=LENGTHS))
    mixed = metrics.activation_sparsity({"one": Packed.pack(one), "whole": events_of(NUMPY, x)})
    zeros = np.sum(one == 0) + np.sum(x == 0)
    same(mixed, zeros / (one.size + x.size))
    metric = spikeloss.torch_metrics.ActivationSparsity()
    for part in (slice(0, 3), slice(3, 5)):
        layers = {"one": torch.tensor(one[:, part]), "other": torch.tensor(other[:, part])}
        metric.update(layers, lengths=torch.tensor(LENGTHS[part]))
    same(metric.compute(), np.asarray(whole))
    with pytest.raises(TypeError, match=r"record: expected a dense record, as membrane_updates re"):
        metrics.membrane_updates(events_of(NUMPY, x))
    with pytest.raises(ValueError, match=r"record: expected a record, or several by name, got non"):
        metrics.activation_sparsity({})


def test_events_between_steps() -> None:
    time = np.array([2.25, 2.75, 3.0, 6.5])
    events = Events(time, np.array([0, 0, 0, 1]), np.array([1, 1, 1, 0]), shape=(7, 2, 3))
    assert metrics.spikes_per_sample(events) == metrics.spikes_per_sample(events.dense()) == 1.5
    nothing = Events(*(np.zeros(0, int),) * 3, shape=(7, 2, 3))
    assert metrics.spikes_per_sample(nothing) == 0
    one = Events(*(np.zeros(1, int),) * 3, shape=(7, 2, 3))
    assert metrics.spikes_per_sample(one) == 0.5


def test_long_packed_records() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((150, B, N)) < 0.2
    x[:, 1, 1] = True
    packed, lengths = Packed.pack(x), np.array([150, 64, 65, 3, 100])
    y, valid = LABELS, rng.random((150, B)) < 0.5
    for layout in ({}, {"lengths": lengths}, {"valid": valid}):
        for name in activity(records()["random"], {}):
            function, own = getattr(metrics, name), options_of(name, NUMPY)
            wanted = np.asarray(function(x, **own, **layout))
            same(function(packed, **own, **layout), wanted, wanted.dtype.name)
        for function in (metrics.accuracy, metrics.confusion, metrics.anytime_accuracy):
            wanted = np.asarray(function(SumOverTime(), x, y, **layout))
            same(function(SumOverTime(), packed, y, **layout), wanted, wanted.dtype.name)


@pytest.mark.parametrize("library", [NUMPY, TORCH, JAX], ids=named)
def test_many_bins_of_long_records(library: Library) -> None:
    """The product of spikes and bins has no place in the 32 bits of JAX's integers."""
    x, bins = np.zeros((5000, 1, 3), np.float32), 10**6
    x[:, :, 0], x[:4999, :, 1], x[:1, :, 2] = 1, 1, 1
    found = library.to_numpy(metrics.rate_histogram(library.array(x), bins=bins))
    assert np.flatnonzero(found).tolist() == [200, 999_800, 999_999]


def test_fan_out() -> None:
    x = records()["random"]
    count = metrics.spikes_per_sample(x)
    same(metrics.synaptic_operations(x, 3), 3 * count)
    same(metrics.synaptic_operations(x, [3] * N), 3 * count)
    with pytest.raises(ValueError, match=r"fan_out: expected a number, or 6, one per neuron, got"):
        metrics.synaptic_operations(x, [3] * B)
    with pytest.raises(ValueError, match=r"bins: expected an integer of at least 1, got 0"):
        metrics.rate_histogram(x, bins=0)
    with pytest.raises(ValueError, match=r"record: expected finite spikes"):
        metrics.firing_rates(x * np.nan)


# Layouts, dtypes, transformations

OF_DECISIONS: dict[str, Callable[..., Any]] = {
    "accuracy": metrics.accuracy,
    "top_k": lambda *a, **o: metrics.top_k(*a, k=2, **o),
    "confusion": metrics.confusion,
    "calibration_error": metrics.calibration_error,
    "anytime_accuracy": metrics.anytime_accuracy,
    "anytime_area": metrics.anytime_area,
    "decision_latency": lambda judge, x, y, **o: metrics.decision_latency(judge, x, **o),
}
OF_ACTIVITY: dict[str, Callable[..., Any]] = {
    "spikes_per_sample": metrics.spikes_per_sample,
    "synaptic_operations": lambda x, **o: metrics.synaptic_operations(x, list(FAN_OUT), **o),
    "firing_rates": metrics.firing_rates,
    "rate_histogram": metrics.rate_histogram,
    "silent_fraction": metrics.silent_fraction,
    "saturated_fraction": metrics.saturated_fraction,
    "activation_sparsity": metrics.activation_sparsity,
    "effective_macs": lambda x, **o: metrics.effective_macs(x, list(FAN_OUT), **o),
    "effective_acs": lambda x, **o: metrics.effective_acs(x, list(FAN_OUT), **o),
    "dense_operations": lambda x, **o: metrics.dense_operations(x, list(FAN_OUT), **o),
    "membrane_updates": metrics.membrane_updates,
}
ALL = OF_DECISIONS | {
    name: lambda judge, x, y, function=function, **o: function(x, **o)
    for name, function in OF_ACTIVITY.items()
}


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
@pytest.mark.parametrize("name", ALL)
def test_batch_axes_and_layouts(name: str, library: Library) -> None:
    function, x = ALL[name], records()["random"][:, :4]
    with library.precision():
        for readout in (SumOverTime(), EveryStep(), FirstSpike(), SpikeTimes(count=2)):
            wanted = np.asarray(function(readout, x, LABELS[:4], lengths=LENGTHS[:4]))
            kind = wanted.dtype.name
            y, lengths = (library.array(v[:4].reshape(2, 1, 2)) for v in (LABELS, LENGTHS))
            grouped = library.array(x.reshape(T, 2, 1, 2, N))
            found = function(readout, grouped, y, lengths=lengths, class_axis=-1)
            same(found, wanted, kind)
            batch_first = library.array(np.moveaxis(x.reshape(T, 2, 1, 2, N), (0, -1), (3, 0)))
            found = function(readout, batch_first, y, lengths=lengths, time_axis=3, class_axis=0)
            same(found, wanted, kind)
            wanted = np.asarray(function(readout, x[:, 1:2], LABELS[1:2]))
            single = function(readout, library.array(x[:, 1]), library.array(LABELS[1]))
            same(single, wanted, kind)


@pytest.mark.parametrize("name", ALL)
def test_no_samples(name: str) -> None:
    for array in (np.zeros, torch.zeros):
        y = np.zeros(0, int) if array is np.zeros else torch.zeros(0, dtype=torch.int64)
        value = np.asarray(ALL[name](SumOverTime(), array((T, 0, N)), y))
        assert (
            (value == 0).all() if name in ("confusion", "rate_histogram") else np.isnan(value).all()
        )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "readout", [SumOverTime(), FirstSpike(), Population(EveryStep(), classes=3)], ids=str
)
def test_jit(readout: Readout, layout: str) -> None:
    """Every metric in one compiled function."""
    where, y = LAYOUTS[layout], labels_for(readout)

    @compiled
    def every(x: Any, y: Any, options: Any) -> dict[str, Any]:
        return {name: function(readout, x, y, **options) for name, function in ALL.items()}

    for dtype in (
        ("float64", "float32") if (layout, readout) == ("whole", SumOverTime()) else ("float64",)
    ):
        with JAX.precision(dtype):
            for x in records().values():
                arrays = JAX.array(x, dtype), JAX.array(y), in_library(JAX, where)
                for name, value in every(*arrays).items():
                    wanted = np.asarray(ALL[name](readout, x, y, **where))
                    kind = dtype
                    if wanted.dtype.kind == "i":
                        kind = "int64" if dtype == "float64" else "int32"
                    same(value, wanted, kind)


def test_jax_without_jit() -> None:
    x, y = records()["random"], LABELS
    with JAX.precision():
        ours, labels, lengths = JAX.array(x), JAX.array(y), JAX.array(LENGTHS)
        for name in ("accuracy", "firing_rates"):
            wanted = np.asarray(ALL[name](SumOverTime(), x, y, lengths=LENGTHS))
            same(ALL[name](SumOverTime(), ours, labels, lengths=lengths), wanted, wanted.dtype.name)
        events, packed = events_of(JAX, x), Packed.pack(ours)
        count = metrics.spikes_per_sample(x, lengths=LENGTHS)
        same(jax.jit(lambda a: metrics.spikes_per_sample(Events(*a, shape=x.shape)))(
            (events.time, events.sample, events.neuron, events.amplitude)
        ), metrics.spikes_per_sample(x))  # fmt: skip
        same(metrics.spikes_per_sample(packed, lengths=lengths), count, "float32")


def test_labels_that_cannot_be_checked() -> None:
    x, y = JAX.array(records()["random"], "float32"), JAX.array([0, -1, 1, 6, 70])
    counts = jax.jit(lambda x, y: metrics.confusion(SumOverTime(), x, y))(x, y)
    assert counts.sum() == 2
    assert np.isnan(jax.jit(lambda x, y: metrics.top_k(SumOverTime(), x, y, k=6))(x, y))
    assert np.isnan(jax.jit(lambda x, y: metrics.accuracy(SumOverTime(), x, y))(x, y))


def test_samples_without_a_step_are_left_out() -> None:
    x, valid = records()["random"], GAPS.copy()
    valid[:, 3] = False
    kept = np.arange(B) != 3
    compiled = jax.jit(lambda *a, v: {n: f(SumOverTime(), *a, valid=v) for n, f in ALL.items()})
    with JAX.precision():
        found = compiled(JAX.array(x), JAX.array(LABELS), v=JAX.array(valid))
        for name, function in ALL.items():
            wanted = np.asarray(
                function(SumOverTime(), x[:, kept], LABELS[kept], valid=valid[:, kept])
            )
            same(found[name], wanted, wanted.dtype.name)


@pytest.mark.parametrize("name", ALL)
def test_half_precision_and_integers(name: str) -> None:
    x = records()["random"]
    wanted = np.asarray(ALL[name](SumOverTime(), x, LABELS))
    kind = wanted.dtype.name if wanted.dtype.kind == "i" else "float32"
    for dtype in ("bfloat16", "float16", "uint8", "bool"):
        same(ALL[name](SumOverTime(), TORCH.array(x, dtype), TORCH.array(LABELS)), wanted, kind)


def test_padding_may_hold_anything() -> None:
    x = records()["random"].copy()
    wanted = {name: f(SumOverTime(), x, LABELS, lengths=LENGTHS) for name, f in ALL.items()}
    for b, n in enumerate(LENGTHS):
        x[n:, b] = np.nan
    for name, function in ALL.items():
        assert np.array_equal(function(SumOverTime(), x, LABELS, lengths=LENGTHS), wanted[name])


# torchmetrics

METRICS: dict[str, tuple[Callable[[], torchmetrics.Metric], Callable[..., Any]]] = {
    "Accuracy": (lambda: spikeloss.torch_metrics.Accuracy(mse_count()), OF_DECISIONS["accuracy"]),
    "TopK": (lambda: spikeloss.torch_metrics.TopK(SumOverTime(), k=2), OF_DECISIONS["top_k"]),
    "Confusion": (
        lambda: spikeloss.torch_metrics.Confusion(SumOverTime(), classes=N),
        metrics.confusion,
    ),
    "AnytimeAccuracy": (
        lambda: spikeloss.torch_metrics.AnytimeAccuracy(SumOverTime(), steps=T),
        metrics.anytime_accuracy,
    ),
    "CalibrationError": (
        lambda: spikeloss.torch_metrics.CalibrationError(SumOverTime()),
        metrics.calibration_error,
    ),
    "SpikesPerSample": (
        lambda: spikeloss.torch_metrics.SpikesPerSample(),
        ALL["spikes_per_sample"],
    ),
    "SynapticOperations": (
        lambda: spikeloss.torch_metrics.SynapticOperations(torch.tensor(FAN_OUT)),
        ALL["synaptic_operations"],
    ),
    "EffectiveMacs": (
        lambda: spikeloss.torch_metrics.EffectiveMacs(torch.tensor(FAN_OUT)),
        ALL["effective_macs"],
    ),
    "EffectiveAcs": (
        lambda: spikeloss.torch_metrics.EffectiveAcs(torch.tensor(FAN_OUT)),
        ALL["effective_acs"],
    ),
    "DenseOperations": (
        lambda: spikeloss.torch_metrics.DenseOperations(torch.tensor(FAN_OUT)),
        ALL["dense_operations"],
    ),
    "ActivationSparsity": (
        spikeloss.torch_metrics.ActivationSparsity,
        ALL["activation_sparsity"],
    ),
    "MembraneUpdates": (spikeloss.torch_metrics.MembraneUpdates, ALL["membrane_updates"]),
}
OF_LAYERS = tuple(METRICS)[-7:]


def batches(name: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The random record in batches of 3, 1 and 1 samples, each as long as its longest sample."""
    x, y = torch.tensor(records()["random"]), torch.tensor(LABELS)
    for first, last in ((0, 3), (3, 4), (4, 5)):
        lengths = torch.tensor(LENGTHS[first:last])
        part = x[: lengths.max(), first:last]
        yield (part,) if name in OF_LAYERS else (part, y[first:last]), {"lengths": lengths}


@pytest.mark.parametrize("name", METRICS)
def test_torchmetrics(name: str) -> None:
    make, function = METRICS[name]
    whole = torch.tensor(records()["random"]), torch.tensor(LABELS)
    assert "SpikesPerSample" in OF_LAYERS
    assert "CalibrationError" not in OF_LAYERS
    wanted = function(SumOverTime(), *whole, lengths=torch.tensor(LENGTHS)).numpy()
    kind = "int64" if name == "Confusion" else "float64"
    metric, first, second = make(), make(), make()
    for batch, layout in batches(name):
        metric.update(*batch, **layout)
    same(metric.compute(), wanted, kind)
    metric.reset()
    for batch, layout in batches(name):
        last = metric(*batch, **layout)  # of this batch, and of all
        assert last.shape == wanted.shape
    same(metric.compute(), wanted, kind)
    for part, (batch, layout) in zip((first, second, first), batches(name), strict=True):
        part.update(*batch, **layout)
    first.merge_state(second)
    same(first.compute(), wanted, kind)
    metric.reset()
    assert all(state.sum() == 0 for state in metric.metric_state.values())
    reduced = metric._reductions.values()
    assert all(reduce is torchmetrics.utilities.dim_zero_sum for reduce in reduced)
    copy = first.clone()
    assert torch.equal(copy.compute(), first.compute())


def test_torchmetrics_without_samples() -> None:
    metric = spikeloss.torch_metrics.Accuracy(SumOverTime())
    x = torch.tensor(records()["random"])
    metric.update(x[:, :0], torch.tensor([], dtype=torch.int64))
    metric._computed = None
    assert metric.compute().isnan()
    metric.update(x, torch.tensor(LABELS))
    same(metric.compute(), metrics.accuracy(SumOverTime(), x.numpy(), LABELS))


def test_torchmetrics_in_a_collection() -> None:
    collection = torchmetrics.MetricCollection(
        {name: make() for name, (make, _) in METRICS.items()}
    )
    x, y = torch.tensor(records()["random"]), torch.tensor(LABELS)
    collection.update(record=x, labels=y)
    found = collection.compute()
    assert set(found) == set(METRICS)
    same(found["SpikesPerSample"], metrics.spikes_per_sample(x.numpy()))
    same(found["Accuracy"], metrics.accuracy(SumOverTime(), x.numpy(), LABELS))
    same(found["AnytimeAccuracy"], metrics.anytime_accuracy(SumOverTime(), x.numpy(), LABELS))


def test_torchmetrics_refuse() -> None:
    x, y = torch.tensor(records()["random"]), torch.tensor(LABELS)
    with pytest.raises(
        ValueError, match=r"record: expected at most 3 steps, got 7\. Write steps=7"
    ):
        spikeloss.torch_metrics.AnytimeAccuracy(SumOverTime(), steps=3).update(x, y)
    with pytest.raises(ValueError, match=r"between 3 classes, got one between 6\. Write classes=6"):
        spikeloss.torch_metrics.Confusion(SumOverTime(), classes=3).update(x, y)
    with pytest.raises(ValueError, match=r"k: expected an integer of at least 1"):
        spikeloss.torch_metrics.TopK(SumOverTime(), k=0)


def test_import_brings_no_framework() -> None:
    code = "import sys, spikeloss.metrics as m\nprint({'torch', 'jax', 'numpy', 'torchmetrics'}"
    code += " & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
