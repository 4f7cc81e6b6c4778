"""Sums and counts that add: what the shards of a batch say together is what the batch says.

The oracles of `oracles.py` see the whole batch, the library its shards alone, some of them empty.
T=7 steps, B=5 samples, N=6 neurons, C=3 classes, F=2 spikes: no two axes are equal.
"""

import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from cases import (
    CASES,
    CLASS_WEIGHT,
    LENGTHS,
    SAMPLE_WEIGHT,
    TOTALS,
    B,
    C,
    Case,
    F,
    N,
    T,
    case,
    oracle,
)
from harness import (
    EAGER,
    arrays_of,
    compare,
    each_case,
    every_eager,
    every_library,
    near,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from libraries import FLOATS, TORCH, Array, Library, rounded, same
from test_records import (
    COMPILED,
    EMPTY,
    WORDS,
    examples,
    full_fixtures,
    gaps,
    layouts_in_time,
    masked,
    spoiled,
    without,
)
from test_whole import NAMED

from spikeloss import Parts, penalties, presets
from spikeloss.criteria import CrossEntropy
from spikeloss.records import Events, Packed
from spikeloss.reductions import Each, Sum

REDUCED = tuple(row for row in CASES if not isinstance(row.loss.reduction, Each))
HALVES = (0, 2, B)
CLASSED = {"class_weight": np.array(CLASS_WEIGHT)}
WEIGHTED, PADDED = {"sample_weight": SAMPLE_WEIGHT}, {"lengths": LENGTHS}


def cut(row: Case, values: Any, part: slice) -> Any:
    """The samples of a target."""
    if row.target == "neuron_times":
        return values
    return values[:, part] if row.target.startswith(("step_", "spike_")) else values[part]


def shards(
    row: Case, x: Any, y: Any, ends: Sequence[int], **options: Any
) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Record, target and options of the samples between two ends; masks have these last."""
    for part in (slice(*pair) for pair in pairwise(ends)):
        own = {k: v if k == "class_weight" else v[..., part] for k, v in options.items()}
        yield x[part] if row.timeless else x[:, part], cut(row, y, part), own


def pooled(row: Case, ends: Sequence[int], loss: Any = None) -> Callable[..., Any]:
    """The loss of the batch, from its shards."""

    def run(x: Any, target: Any, **options: Any) -> Any:
        loss_ = row.loss if loss is None else loss
        parts = [loss_.parts(x, y, **own) for x, y, own in shards(row, x, target, ends, **options)]
        return sum(parts).value()

    return run


@st.composite
def all_ends(draw: st.DrawFn, size: int = B) -> tuple[int, ...]:
    """Where shards end, from 0 to `size`; some are empty."""
    return (0, *sorted(draw(st.lists(st.integers(0, size), max_size=3))), size)


def weights_of(row: Case) -> list[dict[str, Array]]:
    """The weights that a row can be called with."""
    by_class = row.loss.target.labelled or isinstance(row.loss.criterion, CrossEntropy)
    if not by_class or row.loss.class_weight is not None:
        return [{}, WEIGHTED]
    classed = {"class_weight": np.arange(1.0, row.classes() + 1)}
    return [{}, WEIGHTED, WEIGHTED | classed]


# Shards of a batch


@each_case(REDUCED)
@examples(2)
@given(data=st.data())
def test_shards_are_the_batch(row: Case, data: st.DataObject) -> None:
    fixture, ends = data.draw(st.sampled_from(full_fixtures(row))), data.draw(all_ends())
    record, target = row.record_of(fixture), row.target_of(fixture)
    options = data.draw(st.sampled_from(weights_of(row)))
    if row.timeless:
        wanted = oracle(row, record, target, **options)
    else:
        valid, layout = data.draw(layouts_in_time(row.least_steps))
        wanted = masked(row, record, target, valid, **options)
        (record, target), options = spoiled(row, record, target, valid), options | layout
    assume(not np.isnan(wanted[0]))
    for library in EAGER:
        compare(library, pooled(row, ends), record, target, wanted, **options)


@every_eager
def test_the_mean_of_means_is_another_number(library: Library) -> None:
    """As of shards that differ in their size, in their weights or in what they ignore."""
    row, options = case("CE weights weighted"), WEIGHTED | PADDED
    record, target = row.record_of(), row.target_of()
    whole = oracle(row, record, target, **options)
    means = [
        oracle(row, x, y, **own)[0] for x, y, own in shards(row, record, target, HALVES, **options)
    ]
    wrong = sum(
        (stop - start) / B * mean
        for (start, stop), mean in zip(pairwise(HALVES), means, strict=True)
    )
    assert (f"{whole[0]:.4f}", f"{wrong:.4f}") == ("2.4423", "2.1889")
    compare(library, pooled(row, HALVES), record, target, whole, **options)


def by_step(y: Array, c: Array) -> Array:
    """The mean class weight of the labels of each sample."""
    return np.array([c[y[:n, b]].mean() for b, n in enumerate(LENGTHS)])


COUNTED: tuple[tuple[str, dict[str, Array], Callable[..., Any]], ...] = (  # labels, weights
    ("ce_count()", {}, lambda y, w, c: B),
    ("ce_count()", WEIGHTED | CLASSED, lambda y, w, c: B),
    ("mse_count()", {}, lambda y, w, c: B * N),
    ("cross_entropy()", {}, lambda y, w, c: B),
    ("SE samples weighted", PADDED, lambda y, w, c: B * N),
    ("SE weights", WEIGHTED, lambda y, w, c: N * w.sum()),
    ("SE weights weighted", WEIGHTED, lambda y, w, c: N * (w * c[y]).sum()),
    ("CE weights weighted", WEIGHTED, lambda y, w, c: (w * c[y]).sum()),
    ("CE steps weights weighted", WEIGHTED | PADDED, lambda y, w, c: (w * by_step(y, c)).sum()),
    ("CrossEntropy ignoring", WEIGHTED, lambda y, w, c: (y != 1).sum()),
    ("SpikeTimes 2", {}, lambda y, w, c: F * B * N),
    ("SE spike times weighted", WEIGHTED, lambda y, w, c: F * N * (w * c[y]).sum()),
    ("Population of SpikeTimes", {}, lambda y, w, c: F * B * C),
    ("CE sum weighted", WEIGHTED, lambda y, w, c: None),
)


def ids_of(part: Any) -> str:
    return part if isinstance(part, str) else ",".join(part) if isinstance(part, dict) else ""


@every_eager
@pytest.mark.parametrize(("name", "options", "count"), COUNTED, ids=ids_of)
def test_numerator_and_denominator(
    library: Library, name: str, options: dict[str, Array], count: Callable[..., Any]
) -> None:
    row = case(name)
    record, target = row.record_of(), row.target_of()
    total = oracle(row, record, target, reduction="sum", **options)[0]
    wanted = count(target, SAMPLE_WEIGHT, np.array(CLASS_WEIGHT))
    given = library.array(record), library.array(target)
    for factor, loss in ((1.0, row.loss), (-0.25, -0.25 * row.loss)):
        parts = loss.parts(*given, **arrays_of(library, options))
        (numerator,), (denominator,) = parts
        same(numerator, factor * total)
        if wanted is None:
            assert denominator is None
            same(parts.value(), factor * total)
        else:
            same(denominator, float(wanted))
            same(parts.value(), factor * total / wanted)


MIXED = ((1.0, "CE weights weighted"), (-0.5, "CE sum"), (2.0, "mse_count()"))
MEANS = ("samples", "weights", "sum")
SUMS = {f"{terms[0][1]} {word}": (terms, word) for terms in TOTALS for word in MEANS}
SUMS["mixed"] = MIXED, None


def summed(terms: Any, word: str | None = None) -> tuple[list[tuple[float, Case]], Any]:
    """The rows of a sum, and the sum, with another reduction."""
    rows = [(factor, case(name)) for factor, name in terms]
    total = sum((factor * row.loss for factor, row in rows[1:]), rows[0][0] * rows[0][1].loss)
    return rows, total if word is None else total.replace(reduction=WORDS[word])


def of_rows(rows: list[tuple[float, Case]], word: str | None, **options: Any) -> tuple[Any, Any]:
    """The oracle's loss and gradient of a sum."""
    options |= {} if word is None else {"reduction": word}
    found = [
        (factor, oracle(row, row.record_of(), row.target_of(), **options)) for factor, row in rows
    ]
    return tuple(sum(factor * part[i] for factor, part in found) for i in range(2))


@every_eager
@pytest.mark.parametrize("name", SUMS)
@examples(3)
@given(ends=all_ends(), weights=st.sampled_from(({}, WEIGHTED)), padded=st.booleans())
def test_sums_of_losses(
    library: Library, name: str, ends: Any, weights: dict[str, Array], padded: bool
) -> None:
    terms, word = SUMS[name]
    rows, total = summed(terms, word)
    row = rows[0][1]
    options = weights | (PADDED if padded else {})
    record, target = row.record_of(), row.target_of()
    if padded:
        record, target = spoiled(row, record, target, np.arange(T)[:, None] < LENGTHS)
    wanted = of_rows(rows, word, **options)
    compare(library, pooled(row, ends, total), record, target, wanted, **options)
    parts = total.parts(library.array(record), library.array(target), **arrays_of(library, options))
    assert [len(part) for part in parts] == [len(rows)] * 2
    for (factor, row), numerator in zip(rows, parts.numerator, strict=True):
        one = oracle(row, row.record_of(), row.target_of(), **options | {"reduction": "sum"})
        same(numerator, factor * one[0])


# Shards of which little counts

IGNORING = [f"CrossEntropy {of}" for of in ("ignoring", "ignoring steps", "of everything")]
IGNORING.append("CrossEntropy ignoring steps, sum")


@every_eager
@pytest.mark.parametrize("name", IGNORING)
def test_a_shard_that_is_ignored(library: Library, name: str) -> None:
    row = case(name)
    record, target = row.record_of(), row.target_of().copy()
    target[..., : HALVES[1]] = row.loss.criterion.ignore_index
    wanted = oracle(row, record, target, lengths=row.lengths)
    assert np.isfinite(wanted[0])
    compare(library, pooled(row, HALVES), record, target, wanted, lengths=row.lengths)
    x, y, _ = next(shards(row, library.array(record), library.array(target), HALVES))
    check_nothing(row.loss.parts(x, y))


def check_nothing(parts: Parts) -> None:
    """Parts to which nothing contributed: 0 / 0, or a sum of nothing."""
    same(parts.numerator[0], 0.0)
    if parts.denominator[0] is not None:
        same(parts.denominator[0], 0.0)
    same(parts.value(), 0.0 if parts.denominator[0] is None else np.nan)


@every_library
@pytest.mark.parametrize(
    "name", ["ce_count()", "CE weights weighted", "CE sum", "mse_temporal()", "cross_entropy()"]
)
def test_a_batch_without_samples(library: Library, name: str) -> None:
    row = case(name)
    with library.precision():
        x, y = library.array(row.record_of()), library.array(row.target_of())
        x, y, _ = next(shards(row, x, y, (0, 0)))
        check_nothing(row.loss.parts(x, y))
        check_nothing(row.loss.parts(x, y, sample_weight=library.array(np.zeros(0))))


@every_eager
@pytest.mark.parametrize("word", MEANS)
@each_case(COMPILED)
def test_samples_without_steps(
    library: Library, row: Case, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is a shard of its own; an eager call takes them where nothing is checked."""
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    valid = gaps(row)
    record, target = spoiled(row, row.record_of(), row.target_of(), valid)
    run = pooled(row, (0, EMPTY, EMPTY + 1, B), row.loss.replace(reduction=WORDS[word]))
    compare(library, run, record, target, without(row, word, valid), valid=valid)


@every_eager
def test_what_the_loss_refuses(library: Library) -> None:
    row = case("ce_count()")
    given = library.array(row.record_of()), library.array(row.target_of())
    for options, text in (
        ({"lengths": library.array(np.zeros(B, int))}, "lengths: expected values from 1 to 7"),
        ({"sample_weight": library.array(-SAMPLE_WEIGHT)}, "sample_weight: expected finite"),
    ):
        with pytest.raises(ValueError, match=f"^{text}"):
            row.loss.parts(*given, **options)


# Records of other forms


def as_events(x: Array) -> Events:
    at = np.nonzero(x)
    return Events(*at, x[at], shape=x.shape)


AXES = {"time_axis": -1, "class_axis": 1}
FORMS: dict[str, tuple[Callable[[Library, Array], Any], dict[str, int], str]] = {
    "Packed": (lambda library, x: Packed.pack(library.array(x)), {}, "float32"),
    "Events": (lambda library, x: as_events(x).map(library.array), {}, "float64"),
    "axes": (lambda library, x: library.array(np.moveaxis(x, 0, -1)), AXES, "float64"),
    "mapping": (lambda library, x: {"output": library.array(x)}, {}, "float64"),
}


@every_eager
@pytest.mark.parametrize("name", ["ce_count()", "CE weights weighted", "mse_temporal()"])
@pytest.mark.parametrize("form", FORMS)
def test_shards_of_other_forms(library: Library, form: str, name: str) -> None:
    row, (made, axes, dtype) = case(name), FORMS[form]
    record, target, options = row.record_of(), row.target_of(), WEIGHTED | PADDED
    parts = []
    for x, y, own in shards(row, record, target, (0, 1, 1, 4, B), **options):
        own = arrays_of(library, own | axes, dtype)
        parts.append(row.loss.parts(made(library, x), library.array(y), **own))
    same(sum(parts).value(), oracle(row, record, target, **options)[0], dtype)


def test_ragged_shards() -> None:
    row = case("CE weights weighted")
    record, target = row.record_of(), row.target_of()
    parts = []
    for x, y, own in shards(row, TORCH.array(record), TORCH.array(target), HALVES, lengths=LENGTHS):
        samples = [x[:n, b] for b, n in enumerate(own["lengths"].tolist())]
        ragged = torch.nn.utils.rnn.pack_sequence(samples, enforce_sorted=False)
        parts.append(row.loss.parts(ragged, y))
    same(sum(parts).value(), oracle(row, record, target, lengths=LENGTHS)[0])


@every_eager
@pytest.mark.parametrize("name", ["CTC", "train EveryStep", "pattern EveryStep 3"])
def test_whole_records_and_trains(library: Library, name: str) -> None:
    row = NAMED[name]  # of 6 samples
    y = library.array(row.target)

    def run(x: Any) -> Any:
        parts = [slice(0, 2), slice(2, 2), slice(2, 6)]
        targets = [y[:, part] if row.imitates else y[part] for part in parts]
        found = [row.loss.parts(x[:, p], y) for p, y in zip(parts, targets, strict=True)]
        return sum(found).value()

    same(library.value(run, library.array(row.x)), row.elements(row.x, row.target).mean())
    if library.differentiates:
        _, slope = library.value_and_grad(run, library.array(row.x))
        near(slope, row.slope(row.x, row.target))


# Layers

BOUNDS, WIDE = case("Bounds above"), np.random.default_rng(2).normal(size=(T, B, N + 2))
LAYERS = {"hidden": WIDE, "output": case("Maximum").record_of()}


@every_eager
def test_layers(library: Library) -> None:
    """One entry per layer, in their order, after the one of the cross-entropy."""
    ce, records = case("Maximum"), arrays_of(library, LAYERS)
    loss = ce.loss.replace(layers="output") + 0.5 * BOUNDS.loss.replace(reduction=Sum())
    entropy = oracle(ce, LAYERS["output"], ce.target_of(), reduction="sum")[0]
    sums, slopes = zip(*(of_layer(x, reduction="sum") for x in LAYERS.values()), strict=True)

    def parts(x: Any, target: Any) -> Parts:
        return sum(
            loss.parts({"hidden": x[:, p], "output": records["output"][:, p]}, target[p])
            for p in (slice(0, 3), slice(3, B))
        )

    wanted = entropy / B + 0.5 * sum(sums), 0.5 * slopes[0]
    compare(library, lambda *a, **o: parts(*a, **o).value(), WIDE, ce.target_of(), wanted)
    found = parts(records["hidden"], library.array(ce.target_of()))
    same(library.to_numpy(found.numerator[0]), entropy)
    for numerator, value in zip(found.numerator[1:], sums, strict=True):
        same(numerator, 0.5 * value)
    same(found.denominator[0], float(B))
    assert found.denominator[1:] == (None, None)
    turned = BOUNDS.loss.replace(layers=("output", "hidden")).parts(records)
    for numerator, value in zip(turned.numerator, reversed(sums), strict=True):
        same(numerator, value)
    same(turned.value(), sum(of_layer(x)[0] for x in LAYERS.values()))


def of_layer(x: Array, **options: Any) -> tuple[Array, Array]:
    """The oracle's penalty of a layer, and its gradient; the target is not read."""
    return oracle(BOUNDS, x, np.zeros((B, 1)), **options)


# What parts are


@every_library
@pytest.mark.parametrize("dtype", [*FLOATS, "bool", "uint8"])
def test_precision(library: Library, dtype: str) -> None:
    """That of the computation, from which half precision is not rounded again."""
    rows, total = summed(MIXED)
    row, computed = rows[0][1], "float64" if dtype == "float64" else "float32"
    record, target = rounded(row.record_of(), dtype), row.target_of()
    counts = np.array(CLASS_WEIGHT)[target].sum(), None, float(B * N)
    sums = [f * oracle(row, record, target, reduction="sum")[0] for f, row in rows]
    value = sum(part / (count or 1) for part, count in zip(sums, counts, strict=True))
    with library.precision(dtype):
        parts = total.parts(library.array(record, dtype), library.array(target))
        for found, wanted in zip(
            (*parts.numerator, *parts.denominator), (*sums, *counts), strict=True
        ):
            assert (found is None) == (wanted is None)
            if wanted is not None:
                same(found, wanted, computed)
        same(parts.value(), value, computed)
        twice = parts + parts  # the sums double, the means do not
        same(twice.value(), value + sums[1], computed)


@every_library
def test_parts_are_a_tuple_of_tuples(library: Library) -> None:
    row = case("CE sum")
    with library.precision("float32"):
        given = library.array(row.record_of(), "float32"), library.array(row.target_of())
        parts = (row.loss + case("mse_count()").loss).parts(*given)
        assert isinstance(parts, tuple)
        assert parts._fields == ("numerator", "denominator")
        assert [type(part) for part in parts] == [tuple, tuple]
        copied = pickle.loads(pickle.dumps(parts))
        for found in (copied, sum([parts]), 0 + parts, Parts(*parts)):
            assert isinstance(found, Parts)
            assert found.denominator[0] is None
            for ours, theirs in zip(parts.numerator, found.numerator, strict=True):
                same(theirs, library.to_numpy(ours), "float32")
            same(found.value(), library.to_numpy(parts.value()), "float32")


# Refusals

SPIKES, LABELS = case("ce_count()").record_of(), case("ce_count()").target_of()
CE, MSE = presets.ce_count(), presets.mse_count()


def refusing(loss: Any, *rest: Any) -> Callable[[], Any]:
    return lambda: loss.parts(SPIKES, *rest)


def adding(one: Any, other: Any) -> Callable[[], Any]:
    return lambda: one.parts(SPIKES, LABELS) + other.parts(SPIKES, LABELS)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {  # the argument, and what the text names
    "each": (refusing(CE.replace(reduction=Each()), LABELS), "reduction: .*Each"),
    "each, in a sum": (refusing(MSE + CE.replace(reduction=Each()), LABELS), "reduction: .*Each"),
    "similarity": (refusing(presets.spike_similarity(), LABELS), r"\w+: .*Similarity"),
    "batch mean": (refusing(penalties.rate_target(batch=True)), r"\w+: .*BatchMean"),
    "information": (refusing(penalties.membrane_information()), r"\w+: .*BatchMean"),
    "percentile": (refusing(penalties.rate_percentile()), r"\w+: .*BatchPercentile"),
    "percentile, in a sum": (refusing(CE + penalties.rate_percentile(), LABELS),
                             r"\w+: .*BatchPercentile"),
    "fewer terms": (adding(CE, CE + MSE), r"\w+: "),
    "more terms": (adding(CE + MSE, CE), r"\w+: "),
    "sum and mean": (adding(CE.replace(reduction=Sum()), CE), r"\w+: "),
    "mean and sum": (adding(CE + MSE, CE + MSE.replace(reduction=Sum())), r"\w+: "),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    call, text = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=f"^{text}") as caught:
        call()
    assert re.fullmatch(r"\w+: expected .+, got .+\. [A-Z].+\.", str(caught.value))


@pytest.mark.parametrize("other", [1, 1.0, None, (1.0, 2.0), np.ones(2)], ids=str)
def test_parts_add_to_parts_alone(other: Any) -> None:
    """And not, as tuples do, to any tuple."""
    with pytest.raises(TypeError):
        CE.parts(SPIKES, LABELS) + other
