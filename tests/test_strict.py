"""Values on `array_api_strict`, which has what the array API standard has and refuses the rest.

So that the mathematics is written in the standard alone, and a further library is one file. The
rows of `cases.py` are compared with their oracles, and what has other rows with NumPy, whose
values the other tests compare with theirs. Strict arrays have no derivative and no half precision.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import array_api_strict
import numpy as np
import pytest
import test_distances
import test_merge
import test_metrics
import test_parts
import test_penalties
import test_tasks
import test_whole
from cases import (
    CASES,
    CLASS_WEIGHT,
    SAMPLE_WEIGHT,
    TOTALS,
    B,
    Case,
    N,
    T,
    case,
    expected,
    oracle,
    records,
)
from harness import SPIKING, TIMED, arrays_of, compare, each_case, every
from libraries import JAX, NUMPY, STRICT, TORCH, Array, Library, named, same

from spikeloss import Total, metrics
from spikeloss.criteria import CrossEntropy
from spikeloss.distances import (
    correlation_index,
    isi_distance,
    spike_distance,
    spike_synchronization,
    spike_time_tiling,
    van_rossum,
    van_rossum_times,
    victor_purpura,
)
from spikeloss.presets import catalogue, ce_count
from spikeloss.readouts import Readout, SumOverTime
from spikeloss.records import Events, Packed
from spikeloss.reductions import Each
from spikeloss.targets import StoredPattern

GAPS = np.random.default_rng(1).random((T, B)) < 0.6


def mask_of(row: Case) -> Array:
    """A mask of the steps, with all that the times of the row need."""
    return np.asarray(GAPS | (np.arange(T)[:, None] < row.least_steps))


def reads_events(row: Case) -> bool:
    try:
        row.loss.readout(Events(*np.zeros((3, 1), int), shape=(T, B, N)))
    except TypeError:
        return False
    return True


# Losses


@pytest.mark.alike
@each_case(CASES)
def test_value(row: Case) -> None:
    def check(fixture: str) -> None:
        record, target = row.record_of(fixture), row.target_of(fixture)
        compare(STRICT, row.loss, record, target, expected(row, fixture))

    every(row.fixtures, check)
    record, target = row.record_of(), row.target_of()
    compare(STRICT, row.loss, record, target, expected(row, "random", "float32"), "float32")
    wanted = oracle(row, record, target, sample_weight=SAMPLE_WEIGHT)
    compare(STRICT, row.loss, record, target, wanted, sample_weight=SAMPLE_WEIGHT)


@each_case(SPIKING)
def test_integers_and_bools(row: Case) -> None:
    for dtype in ("bool", "int64", "uint8"):
        compare(STRICT, row.loss, row.record_of(), row.target_of(), expected(row), dtype)


@each_case(TIMED)
def test_padding(row: Case) -> None:
    record = row.record_of().copy()
    record[np.arange(T)[:, None] >= row.lengths] = np.nan
    wanted = expected(row, padded=True)
    compare(STRICT, row.loss, record, row.target_of(), wanted, lengths=row.lengths)


@each_case(tuple(row for row in TIMED if isinstance(row.loss.criterion, CrossEntropy)))
def test_all_weights(row: Case) -> None:
    options = {
        "class_weight": np.array(CLASS_WEIGHT[::-1])[: row.classes()],
        "sample_weight": SAMPLE_WEIGHT,
        "lengths": row.lengths,
    }
    wanted = oracle(row, row.record_of(), row.target_of(), **options)
    compare(STRICT, row.loss, row.record_of(), row.target_of(), wanted, **options)


@pytest.mark.alike
@each_case(CASES)
def test_decisions(row: Case) -> None:
    layouts: list[dict[str, Any]] = [{}]
    if not row.timeless:
        layouts += [{"lengths": row.lengths}, {"valid": mask_of(row)}]
    x, labels = row.record_of(), np.arange(B) % row.classes()
    for layout in layouts:
        given = arrays_of(STRICT, layout)
        ours = row.loss.predict(STRICT.array(x), **given)
        same(ours, row.loss.predict(x, **layout), "int64")
        share = row.loss.accuracy(STRICT.array(x), STRICT.array(labels), **given)
        same(share, row.loss.accuracy(x, labels, **layout))


@pytest.mark.parametrize("terms", TOTALS, ids=str)
def test_total(terms: tuple[tuple[float, str], ...]) -> None:
    total = Total(tuple((factor, case(name).loss) for factor, name in terms))
    row = case(terms[0][1])
    x, y = row.record_of(), row.target_of()
    wanted = sum(factor * expected(case(name))[0] for factor, name in terms)
    same(total(STRICT.array(x), STRICT.array(y)), wanted)


GIVEN: dict[str, Any] = {
    "binary_peak": (np.arange(B * N).reshape(B, N) % 3 == 0) * 1.0,
    "ctc": np.array([[1, 2], [3, -1], [2, 2], [1, -1], [5, 4]]),
    "bce_mean": np.linspace(0.0, 1.0, B * N).reshape(B, N),
    "huber_signal": np.linspace(-1.0, 2.0, T * B * N).reshape(T, B, N),
    "earth_mover": (np.arange(T * B * N).reshape(T, B, N) % 3 == 0) * 1.0,
    "kd_logits": np.linspace(-1.0, 2.0, B * N).reshape(B, N),
    "kd_steps": np.linspace(-1.0, 2.0, T * B * N).reshape(T, B, N),
    "log_cosh_signal": np.linspace(-1.0, 2.0, B * N).reshape(B, N),
    "mse_mean": np.linspace(-1.0, 2.0, B * N).reshape(B, N),
    "mse_signal": np.linspace(-1.0, 2.0, T * B * N).reshape(T, B, N),
    "nearest_spike": (np.arange(T * B * N).reshape(T, B, N) % 5 == 0) * 1.0,
    "poisson_steps": np.arange(T * B * N).reshape(T, B, N) % 4 * 1.0,
    "mse_trace": (np.arange(T * B * N).reshape(T, B, N) % 3 == 0) * 1.0,
    "van_rossum": (np.arange(T * B * N).reshape(T, B, N) % 4 == 0) * 1.0,
}


@pytest.mark.parametrize("name", catalogue())
def test_every_preset(name: str) -> None:
    loss = catalogue()[name].build()
    reads = loss.main.reads
    x = records("membrane" if reads == "either" else reads)["random"]
    y = GIVEN.get(name, np.array([0, 3, 1, 5, 2]))
    layouts = ({}, {"lengths": np.array([6, 7, 5, 6, 7])}, {"valid": GAPS | (np.arange(B) < 4)})
    for layout in layouts[:1] if reads == "logits" else layouts:
        given = arrays_of(STRICT, {"target": y, **layout})
        same(loss(STRICT.array(x), **given), loss(x, y, **layout))


def test_there_is_every_preset() -> None:
    assert len(catalogue()) == 51
    assert len(test_penalties.DEFAULTS) == 15


def test_long_sums_in_single_precision() -> None:
    record = np.full((100_000, 1, 2), 0.1, np.float32)
    total = STRICT.to_numpy(SumOverTime()(STRICT.array(record)))
    assert total.dtype == np.float32
    wanted = record.sum(0, dtype=np.float64)
    assert np.all(np.abs(total - wanted) < 3e-6 * wanted)


# Streams


CHUNKS = ((0, 1), (1, 4), (4, T))


@each_case(TIMED)
def test_streams(row: Case) -> None:
    """Step by step and in chunks, with a mask and without, as NumPy's loss of the whole record."""
    x, y, by_step = row.record_of(), row.target_of(), row.target.startswith("step_")
    needed = row.loss.criterion.needs_steps and row.loss.readout.keeps == "time"
    for valid in (None, mask_of(row)):
        layout = {} if valid is None else {"valid": valid}
        value, classes = row.loss(x, y, **layout), row.loss.predict(x, **layout)
        steps = np.full(B, T) if valid is None else valid.sum(0)
        lengths = {"lengths": STRICT.array(steps)} if needed else {}
        whole = None if by_step else STRICT.array(y)
        single, chunked = (row.loss.stream(whole, **lengths) for _ in range(2))
        own = (x, y if by_step else None, valid)
        for t in range(T):
            single.step(*(None if part is None else STRICT.array(part[t]) for part in own))
        for i, j in CHUNKS:
            chunked.steps(*(None if part is None else STRICT.array(part[i:j]) for part in own))
        for stream in (single, chunked):
            same(stream.value(), value)
            same(stream.predict(), classes, "int64")


# Parts of a batch, and stretches of time


@each_case(test_parts.REDUCED)
def test_micro_batches(row: Case) -> None:
    """Two samples, none, and the others; as NumPy's loss of the whole batch."""
    x, y, weights = row.record_of(), row.target_of(), test_parts.weights_of(row)[-1]
    layouts: list[dict[str, Any]] = [{}]
    if not row.timeless:
        layouts += [{"lengths": row.lengths}, {"valid": mask_of(row)}]
    for layout in layouts:
        parts = [
            row.loss.parts(*map(STRICT.array, own), **arrays_of(STRICT, options))
            for *own, options in test_parts.shards(row, x, y, (0, 2, 2, B), **layout, **weights)
        ]
        same(sum(parts).value(), row.loss(x, y, **layout, **weights))


@each_case(test_merge.MERGING)
def test_stretches(row: Case) -> None:
    """Merged from the last one on; as NumPy's loss of the whole record."""
    x, y, by_step = row.record_of(), row.target_of(), row.target.startswith("step_")
    needed = row.loss.criterion.needs_steps and row.loss.readout.keeps == "time"
    labels = np.arange(B) % row.classes()
    for valid in (None, mask_of(row)):
        layout = {} if valid is None else {"valid": valid}
        steps = np.full(B, T) if valid is None else valid.sum(0)
        lengths = {"lengths": STRICT.array(steps)} if needed else {}
        fold = row.loss.fold(None if by_step else STRICT.array(y), **lengths)
        own = (x, y if by_step else None, valid)
        states = []
        for i, j in CHUNKS:
            single, these = j - i == 1, i if j - i == 1 else slice(i, j)
            parts = [None if part is None else STRICT.array(part[these]) for part in own]
            state = (fold.init if single else fold.begin)(*parts[:2], start=i)
            states.append((fold.step if single else fold.steps)(state, *parts))
        early, middle, late = states
        state = fold.merge(early, fold.merge(middle, late))
        same(fold.finish(state), row.loss(x, y, **layout))
        same(fold.predict(state), row.loss.predict(x, **layout), "int64")
        share = fold.accuracy(state, STRICT.array(labels))
        same(share, row.loss.accuracy(x, labels, **layout))


# Other forms of records


def events_of(library: Library, x: Array, dtype: str | None = None) -> Events:
    """The entries of a record, last first."""
    time, *batch, neuron = (np.flip(part) for part in np.nonzero(x))
    sample = np.ravel_multi_index(tuple(batch), x.shape[1:-1])
    parts = (library.array(part) for part in (time, sample, neuron))
    amplitude = library.array(x[np.nonzero(x)][::-1].copy(), dtype)
    return Events(*parts, amplitude=amplitude, shape=x.shape)


@each_case(tuple(row for row in SPIKING if reads_events(row)))
def test_events(row: Case) -> None:
    for layout in ({}, {"lengths": row.lengths}, {"valid": mask_of(row)}):
        for fixture in ("random", "silent"):
            x, y = row.record_of(fixture), row.target_of(fixture)
            given = arrays_of(STRICT, {"target": y, **layout})
            same(row.loss(events_of(STRICT, x), **given), row.loss(x, y, **layout))


@each_case(SPIKING)
def test_packed(row: Case) -> None:
    x, y = row.record_of(), row.target_of()
    for layout in ({}, {"lengths": row.lengths}, {"valid": mask_of(row)}):
        wanted = row.loss(Packed.pack(x), y, **layout)
        given = arrays_of(STRICT, {"target": y, **layout})
        same(row.loss(Packed.pack(STRICT.array(x)), **given), wanted, "float32")


def test_forms_are_their_record() -> None:
    x = np.random.default_rng(2).random((70, 2, 3)) < 0.3  # more than a piece of packed steps
    packed, events = Packed.pack(STRICT.array(x)), events_of(STRICT, x, "float64")
    same(packed.unpack(), x, "uint8")
    same(events.dense(), x)
    same(ce_count()(packed, STRICT.array([0, 2])), ce_count()(x, np.array([0, 2])), "float32")
    same(ce_count()(events, STRICT.array([0, 2])), ce_count()(x * 1.0, np.array([0, 2])))


# Rows of other files


@pytest.mark.alike
@pytest.mark.parametrize("row", test_penalties.ROWS, ids=str)
def test_every_penalty(row: test_penalties.Row) -> None:
    for layout, given in test_penalties.LAYOUTS.items():
        each, record = row.each(row.record, layout), test_penalties.padded(row.record, layout)
        options = arrays_of(STRICT, given)
        same(row.loss()(STRICT.array(record), **options), each.mean())
        same(row.loss(reduction=Each())(STRICT.array(record), **options), each)
        stream = row.loss().stream(**{k: v for k, v in options.items() if k == "lengths"})
        for t, step in enumerate(record):
            mask = {k: STRICT.array(v[t]) for k, v in given.items() if k == "valid"}
            stream.step(STRICT.array(step), **mask)
        same(stream.value(), each.mean())


@pytest.mark.parametrize("row", test_whole.ROWS, ids=str)
def test_of_several_samples_or_steps(row: test_whole.Row) -> None:
    for valid, given in test_whole.LAYOUTS:
        x, y = map(STRICT.array, test_whole.padded(row, valid))
        wanted = row.elements(row.x, row.target, valid)
        each = row.loss.replace(reduction=Each())
        test_whole.equal(each(x, y, **arrays_of(STRICT, given)), wanted)


@pytest.mark.alike
@pytest.mark.parametrize("layout", test_metrics.LAYOUTS)
@pytest.mark.parametrize("readout", test_metrics.READOUTS, ids=str)
def test_every_metric_of_decisions(readout: Readout, layout: str) -> None:
    where, y = test_metrics.LAYOUTS[layout], test_metrics.labels_for(readout)
    for metric in test_metrics.ALL.values():
        for x in test_metrics.records().values():
            with np.errstate(divide="ignore", invalid="ignore"):
                wanted = np.asarray(metric(readout, x, y, **where))
            found = metric(readout, STRICT.array(x), STRICT.array(y), **arrays_of(STRICT, where))
            same(found, wanted, wanted.dtype.name)
    others = {"Judge", "mean_iou", *test_tasks.LOOPS, *OF_NO_RECORD}
    assert set(metrics.__all__) - others == set(test_metrics.ALL)


OF_NO_RECORD = {
    *("connection_sparsity", "parameter_count", "footprint"),
    *("interval_variation", "vector_strength"),
}


def test_metrics_of_weights_and_times() -> None:
    tree = {"kernel": np.eye(3, 4), "bias": np.zeros(4, np.float32), "mask": np.ones((2, 5), bool)}
    ours = {name: STRICT.array(x) for name, x in tree.items()}
    same(metrics.connection_sparsity(ours), 9 / 22)
    assert metrics.parameter_count(ours) == 26
    assert metrics.footprint(ours) == metrics.footprint(tree) == 12 * 8 + 4 * 4 + 10
    for metric in (partial(metrics.interval_variation, kind="lv", refractory=0.2),
                   partial(metrics.interval_variation, kind="cv"),
                   partial(metrics.vector_strength, period=0.7)):  # fmt: skip
        same(metric(STRICT.array(test_distances.A)), metric(test_distances.A))


@pytest.mark.parametrize("layout", test_metrics.LAYOUTS)
def test_every_metric_of_activity(layout: str) -> None:
    where = test_metrics.LAYOUTS[layout]
    for x in test_metrics.records().values():
        for name, wanted in test_metrics.activity(x, where).items():
            own, options = test_metrics.options_of(name, STRICT), arrays_of(STRICT, where)
            packed = Packed.pack(STRICT.array(x))
            events = test_metrics.events_of(STRICT, x)
            for form, dtype in (
                (STRICT.array(x), "float64"),
                (events, "float64"),
                (packed, "float32"),
            ):
                kind = "int64" if name == "rate_histogram" else dtype
                same(getattr(metrics, name)(form, **own, **options), wanted, kind)


DISTANCES: dict[str, Callable[..., Any]] = {
    "grid": partial(van_rossum, tau=4.0, cosine=0.3),
    "times": partial(van_rossum_times, tau=0.7, root=True),
    "times of units": partial(van_rossum_times, tau=0.7, cosine=0.5),
    "edits": partial(victor_purpura, cost=0.8),
    "soft edits": partial(victor_purpura, cost=0.8, softness=0.3),
    "edits of units": partial(victor_purpura, cost=0.8, label_cost=0.7),
    "edits without units": partial(victor_purpura, cost=0.8, label_cost=0),
    "intervals": partial(isi_distance, interval=(0.0, 3.0)),
    "spikes": partial(spike_distance, interval=(0.0, 3.0)),
    "partners": partial(spike_synchronization, interval=(0.0, 3.0)),
    "tiles": partial(spike_time_tiling, window=0.3, interval=(0.0, 3.0)),
    "coincidences": partial(correlation_index, window=0.3, interval=(0.0, 3.0)),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_every_distance(name: str) -> None:
    a, b = (test_distances.X, test_distances.Y) if name == "grid" else (
        test_distances.A, test_distances.B
    )  # fmt: skip
    for dtype in ("float64", "float32"):
        wanted = DISTANCES[name](a.astype(dtype), b.astype(dtype))
        same(DISTANCES[name](STRICT.array(a, dtype), STRICT.array(b, dtype)), wanted, dtype)


# What it is called, and what it meets


X, Y = np.zeros((T, B, N)), np.arange(B)
STRICT_X, STRICT_Y = STRICT.array(X), STRICT.array(Y)
WORD, NAMES = "an array_api_strict array", {"array_api_strict": array_api_strict, "np": np}


@pytest.mark.parametrize("other", [NUMPY, TORCH, JAX], ids=named)
def test_beside_another_library(other: Library) -> None:
    """A strict array, which has no derivative, is what is converted; of it and NumPy the record."""
    with other.precision("float32"):
        x, y = other.array(X, "float32"), other.array(Y)
        words = {"numpy": "a NumPy array", "torch": "a torch tensor", "jax": "a JAX array"}
        theirs = re.escape(f"target: expected {words[other.name]} like the record, got {WORD}.")
        fix = {
            "numpy": r"Write array_api_strict\.asarray\(record\)\.",
            "torch": r"Write torch\.as_tensor\(target\)\.",
            "jax": r"Write jax\.numpy\.asarray\(target\)\.",
        }
        with pytest.raises(TypeError, match=f"{theirs} {fix[other.name]}"):
            ce_count()(x, STRICT_Y)
        ours = re.escape(f"target: expected {WORD} like the record, got {words[other.name]}.")
        convert = {"numpy": "numpy.asarray", "torch": "torch.as_tensor", "jax": "jax.numpy.asarray"}
        with pytest.raises(TypeError, match=f"{ours} Write {convert[other.name]}\\(record\\)"):
            ce_count()(STRICT_X, y)


def test_words() -> None:
    wrong = {
        "target: expected integer class labels, got array_api_strict.float64. "
        "Write array_api_strict.astype(target, array_api_strict.int64).": (
            lambda: ce_count()(STRICT_X, STRICT.array(Y * 1.0))
        ),
        "record: expected a real floating, integer or bool dtype, got array_api_strict.complex128."
        " Write array_api_strict.real(record).": (
            lambda: ce_count()(STRICT.array(X * 1j), STRICT_Y)
        ),
        "record: expected a torch tensor, a JAX array or a NumPy array, got list. "
        "Write array_api_strict.stack(record).": (
            lambda: ce_count()([STRICT_X[0, ...], STRICT_X[1, ...]], STRICT_Y)
        ),
        "target: expected labels from 0 to 5, got 0 to 9. Use at least 10 classes.": (
            lambda: ce_count()(STRICT_X, STRICT.array([0, 9, 1, 2, 3]))
        ),
        "class_weight: expected 6 weights, one per class, got shape (2,). "
        "Pass one weight per class.": (
            lambda: ce_count()(STRICT_X, STRICT_Y, class_weight=STRICT.array([1.0, 2.0]))
        ),
    }
    for message, call in wrong.items():
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        assert str(caught.value) == message


def test_devices() -> None:
    """It has several devices, and none of them meets another."""
    x, y = array_api_strict.asarray(X), array_api_strict.asarray(Y)
    there = array_api_strict.Device("device1")
    with pytest.raises(
        ValueError, match=r"target: expected an array on .*CPU_DEVICE.* like the re"
    ):
        ce_count()(x, y.to_device(there))
    value = ce_count()(x.to_device(there), y.to_device(there))
    assert value.device == there
    same(value.to_device(x.device), np.log(N))


def test_options_are_arrays_of_it() -> None:
    weight = STRICT.array([1.0, 2.0, 0.5, 1.0, 1.0, 3.0])
    loss = ce_count(class_weight=weight)
    assert loss.class_weight == (1.0, 2.0, 0.5, 1.0, 1.0, 3.0)
    patterns = StoredPattern(STRICT.array([[0.0, 1.0], [2.0, 3.0]]))
    assert patterns == StoredPattern(((0.0, 1.0), (2.0, 3.0)))
    x = TORCH.array(X)
    same(ce_count()(x, TORCH.array(Y), class_weight=weight), loss(X, Y))


def test_the_smallest_library_has_as_many_lines_as_is_said() -> None:
    root = Path(__file__).parents[1]
    lines = (root / "src/spikeloss/_backend/_strict.py").read_text().splitlines()
    assert f"`_strict.py` is the smallest, {len(lines)} lines" in (
        (root / "CONTRIBUTING.md").read_text()
    )
