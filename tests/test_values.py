"""Every loss against its oracle: value and gradient, in each library, dtype and layout.

A row runs in torch, JAX and NumPy against the same float64 loops, so that the libraries agree with
each other too.
"""

import dataclasses
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import oracles
import pytest
import torch
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
    target_for,
)
from harness import (
    EAGER,
    SPIKING,
    SPIKING_STAGES,
    STAGES,
    TIMED,
    arrays_of,
    batched,
    batched_value,
    compare,
    each_case,
    every,
    every_library,
    jax_grad,
)
from libraries import (
    FLOATS,
    INTEGERS,
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

from spikeloss import Loss, Total, criteria, readouts, reductions, targets
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.presets import ce_count, cross_entropy, margin_count, mse_count, mse_membrane
from spikeloss.readouts import (
    EveryStep,
    FirstSpike,
    MeanOverTime,
    SpikeTimes,
    SumOverTime,
)
from spikeloss.reductions import Each, Sum
from spikeloss.targets import Given, GivenTime

# Sums of numbers that are not exact: classes that tie may differ by a rounding.
ROUNDED = {"WeightedSum", "LogSumExp", "CumulativeSoftmax", "FilteredTrace"}
READINGS = tuple({(row.loss.readout, row.record): row for row in reversed(CASES)}.values())
# Whole counts lie on the kink of a margin of one spike.
SMOOTH = tuple(
    row
    for row in CASES
    if not any(word in repr(row.loss.readout) for word in ("Spike", "SoftCount"))
    and row.loss != margin_count()
)
# JAX compiles each loss anew for each shape: other shapes than (T,B,N) run there for these.
SHAPED = tuple(
    case(name)
    for name in (
        "SumOverTime",
        "EveryStep membrane",
        "Maximum",
        "LastStep",
        "FirstSpike negative",
        "SpikeTimes each",
        "Population of SumOverTime",
        "SE each weighted",
        "CrossEntropy step_labels",
        "SquaredError steps",
        "Given spike_times 4",
    )
)


def each_shaped(rows: tuple[Case, ...]) -> Any:
    """Every row in every library, but JAX only for SHAPED."""
    return pytest.mark.parametrize(
        ("row", "library"),
        [
            pytest.param(row, library, id=f"{row}-{library.name}")
            for row in rows
            for library in LIBRARIES
            if library is not JAX or row in SHAPED
        ],
    )


# Values and gradients


def each_in_jax(rows: tuple[Case, ...], in_jax: tuple[Case, ...]) -> Any:
    """Every row in NumPy and torch, those rows in JAX."""
    pairs = [(library, row) for row in rows for library in EAGER] + [(JAX, row) for row in in_jax]
    ids = [f"{row}-{library.name}" for library, row in pairs]
    return pytest.mark.parametrize(("library", "row"), pairs, ids=ids)


def usual(library: Library, row: Case, size: int = B, **options: Any) -> dict[str, Any]:
    """Those options; in JAX, which compiles for each set of them, with all others at their default.

    So one compiled function reads all records of a row, with lengths and weights and without.
    """
    if library is not JAX:
        return options
    filled: dict[str, Any] = {"sample_weight": np.ones(size)}
    if not row.timeless:
        filled["lengths"] = np.full(size, T)
    if takes_class_weight(row):
        own = row.loss.class_weight
        filled["class_weight"] = np.ones(row.classes()) if own is None else np.array(own)
    return filled | options


def takes_class_weight(row: Case) -> bool:
    labelled = row.target in ("labels", "step_labels")
    return labelled or isinstance(row.loss.criterion, CrossEntropy)


@every_library
@each_case(CASES)
def test_float64(library: Library, row: Case) -> None:
    def check(fixture: str) -> None:
        record, target = row.record_of(fixture), row.target_of(fixture)
        of_shape = record.shape == row.record_of().shape
        options = usual(library, row) if of_shape else {}
        compare(library, row.loss, record, target, expected(row, fixture), jit=True, **options)

    shaped = library is not JAX or row in SHAPED
    every([name for name in row.fixtures if shaped or not name.startswith("one_")], check)


@pytest.mark.slow
@each_case(STAGES)
def test_jax_at_once(row: Case) -> None:
    """Operation by operation, where values can be read and are checked."""
    with JAX.precision():
        y = JAX.array(row.target_of())
        found = JAX.value_and_grad(lambda x: row.loss(x, y), JAX.array(row.record_of()))
    for part, wanted in zip(found, expected(row), strict=True):
        same(part, wanted)


@pytest.mark.slow
@each_case(STAGES)
def test_jax_optimised(row: Case) -> None:
    """With all optimisations, which other tests do without as they take long to compile."""
    for dtype in ("float64", "float32"):
        with JAX.precision(dtype):
            given = arrays_of(JAX, {"x": row.record_of(), "y": row.target_of()}, dtype)
            found = jax.jit(lambda x, y: jax_grad(lambda x: row.loss(x, y), x))(**given)
        for part, wanted in zip(found, expected(row, "random", dtype), strict=True):
            same(part, wanted, dtype)


@each_in_jax(CASES, STAGES)
def test_floating_dtype(library: Library, row: Case) -> None:
    def check(dtype: str) -> None:
        wanted = expected(row, "random", dtype)
        compare(library, row.loss, row.record_of(), row.target_of(), wanted, dtype, jit=True)

    every(FLOATS[1:], check)


@each_in_jax(SPIKING, SPIKING_STAGES)
def test_integer_spikes(library: Library, row: Case) -> None:
    def check(dtype: str) -> None:
        compare(library, row.loss, row.record_of(), row.target_of(), expected(row), dtype, jit=True)

    every(INTEGERS, check)


@every_library
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_label_dtype(library: Library, dtype: str) -> None:
    for name in ("SumOverTime", "CE steps weights weighted", "SE weights weighted", "OnOffTime"):
        row = case(name)
        compare(library, row.loss, row.record_of(), row.target_of().astype(dtype), expected(row))


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
def test_target_of_another_dtype(library: Library) -> None:
    """The result has the dtype of the record, whatever that of the target and the weights."""
    for name in ("SquaredError values", "CrossEntropy of counts", "CE soft weighted"):
        row = case(name)
        for dtype, other in (
            ("float32", "float64"),
            ("float64", "float32"),
            ("float16", "float64"),
        ):
            x = library.array(row.record_of(), dtype)
            y, weight = (library.array(v, other) for v in (row.target_of(), SAMPLE_WEIGHT))
            wanted, _ = oracle(
                row, rounded(row.record_of(), dtype), row.target_of(), sample_weight=SAMPLE_WEIGHT
            )
            same(row.loss(x, y, sample_weight=weight), wanted, dtype)


@each_case(SMOOTH)
def test_finite_differences(row: Case) -> None:
    x = torch.tensor(row.record_of(), requires_grad=True)
    y = torch.tensor(row.target_of())
    assert torch.autograd.gradcheck(lambda x: row.loss(x, y), (x,), fast_mode=True)


# Lengths


def padding(row: Case) -> Array:
    """Which entries of the record are padding, (T,B)."""
    return np.arange(T)[:, None] >= row.lengths


def spoiled(row: Case) -> tuple[Array, Array]:
    """Record and target with garbage, infinity and nan in the padding."""
    garbage = np.resize([np.nan, 9.0, -np.inf, -1.0, np.inf], (T, B))
    record, target = row.record_of().copy(), row.target_of().copy()
    record[padding(row)] = garbage[padding(row)][:, None]
    if row.target in ("step_probabilities", "step_values"):
        target[padding(row)] = np.nan
    return record, target


@every_library
@each_case(TIMED)
def test_padding_is_cropping(library: Library, row: Case) -> None:
    record, target = spoiled(row)
    wanted = expected(row, padded=True)
    options = usual(library, row, lengths=row.lengths)
    grad = compare(library, row.loss, record, target, wanted, jit=True, **options)
    if grad is not None:
        assert np.all(grad[padding(row)] == 0)


# Weights


@every_library
@each_case(CASES)
def test_sample_weight(library: Library, row: Case) -> None:
    record, target = row.record_of(), row.target_of()
    wanted = oracle(row, record, target, sample_weight=SAMPLE_WEIGHT)
    options = usual(library, row, sample_weight=SAMPLE_WEIGHT)
    compare(library, row.loss, record, target, wanted, jit=True, **options)


@every_library
@each_case(tuple(row for row in CASES if takes_class_weight(row)))
def test_class_weight_argument(library: Library, row: Case) -> None:
    """It takes the place of the option, together with all other weights and lengths."""
    record, target = row.record_of(), row.target_of()
    options = {
        "class_weight": np.array(CLASS_WEIGHT[::-1])[: row.classes()],
        "sample_weight": SAMPLE_WEIGHT,
    }
    if not row.timeless:
        options["lengths"] = row.lengths
    wanted = oracle(row, record, target, **options)
    compare(library, row.loss, record, target, wanted, jit=True, **options)


# Layouts


@every_library
@pytest.mark.parametrize(
    ("axes", "time_axis", "class_axis"),
    [((1, 0, 2), 1, -1), ((1, 2, 0), -1, 1), ((2, 0, 1), 1, 0), ((0, 2, 1), 0, 1)],
    ids=["BTN", "BNT", "NTB", "TNB"],
)
@each_case(SHAPED)
def test_layout(
    library: Library, row: Case, axes: tuple[int, ...], time_axis: int, class_axis: int
) -> None:
    value, grad = expected(row, padded=True)
    record = np.transpose(row.record_of(), axes)
    wanted = value, np.transpose(grad, axes)
    axis = {"time_axis": time_axis, "class_axis": class_axis, "lengths": row.lengths}
    compare(library, row.loss, record, row.target_of(), wanted, **axis)


@every_library
def test_class_axis_of_logits(library: Library) -> None:
    for row in (case("cross_entropy()"), case("SquaredError logits")):
        value, grad = expected(row)
        compare(
            library, row.loss, row.record_of().T, row.target_of(), (value, grad.T), class_axis=0
        )


@pytest.mark.parametrize("axes", [(2, 4), ()], ids=["two batch axes", "no batch axis"])
@each_shaped(CASES)
def test_batch_axes(library: Library, row: Case, axes: tuple[int, ...]) -> None:
    single = row.record_of()[None] if row.timeless else row.record_of()
    record = np.concatenate([single, 1 - single[:, :3]], 1) if axes else single[:, 1:2]
    flat = record[0] if row.timeless else record
    target = target_for(row, flat.shape)
    lengths = np.resize(row.lengths, record.shape[1])
    padded = {} if row.timeless else {"lengths": lengths}
    value, grad = oracle(row, flat, target, **padded)
    reshaped = flat.shape[:-2] + axes + flat.shape[-1:]
    loss = partial(row.loss, class_axis=-1)  # without labels axes could be neurons
    compare(
        library,
        loss if row.loss.criterion.targetless else row.loss,
        flat.reshape(reshaped),
        batched(row, target, axes),
        (batched_value(value, axes), grad.reshape(reshaped)),
        jit=True,
        **{name: value.reshape(axes) for name, value in padded.items()},
    )


# Decisions


@every_library
@each_case(READINGS)
def test_predict_and_accuracy(library: Library, row: Case) -> None:
    with library.precision():
        for fixture in row.fixtures:
            if library is JAX and fixture.startswith("one_"):
                continue
            lengths = row.lengths if fixture in ("random", "tied") and not row.timeless else None
            record = row.record_of(fixture)
            layout = {} if lengths is None else {"lengths": library.array(lengths)}
            x = library.array(record, "float64")
            full = record[None] if row.timeless else record
            wanted = oracles.predict(row.objective, full, lengths)
            labels = np.where(np.arange(len(wanted)) % 2 == 0, wanted, 0)
            labels = np.maximum(labels, 0)
            decided = library.to_numpy(row.loss.predict(x, **layout))
            assert decided.dtype.kind == "i"
            if fixture != "random" and row.readout in ROUNDED:
                wanted = np.where((decided < 0) == (wanted < 0), decided, wanted)
            same(decided, wanted, decided.dtype.name)
            accuracy = row.loss.accuracy(x, library.array(labels), **layout)
            same(accuracy, np.mean(wanted == labels))


@every_library
def test_ties_and_silence(library: Library) -> None:
    """The lowest class of a tie; -1 for silence, which is no right answer."""
    record = np.zeros((T, B, N))
    record[2, 0, [3, 1]] = 1
    record[5, 1, 2] = 1
    wanted, right = [1, 2, -1, -1, -1], 2 / B
    with library.precision():
        x, labels = library.array(record), library.array(np.array([1, 2, 0, 1, 5]))
        for readout in (
            SumOverTime(),
            MeanOverTime(),
            EveryStep(),
            FirstSpike(),
            FirstSpike(code="reciprocal"),
        ):
            loss = Loss(readout, CrossEntropy())
            assert library.to_numpy(loss.predict(x)).tolist() == wanted
            same(loss.accuracy(x, labels), right)
        everything = loss + 0.5 * ce_count()
        assert library.to_numpy(everything.predict(x)).tolist() == wanted
        same(everything.accuracy(x, labels), right)
        short = library.array(np.array([7, 5, 7, 7, 7]))  # the second has not fired yet
        assert library.to_numpy(ce_count().predict(x, lengths=short)).tolist() == [1, *4 * [-1]]


@every_library
def test_accuracy_leaves_ignored_labels_out(library: Library) -> None:
    loss = cross_entropy(ignore_index=-1)
    with library.precision():
        x = library.array(np.eye(B, N) + 0.5)  # decides 0, 1, 2, 3, 4
        labels = library.array(np.array([0, 2, -1, 3, -1]))
        same(loss.accuracy(x, labels), 2 / 3)


# Records that do not fit into a cache


@every_library
@pytest.mark.parametrize("steps", [3, 100, 103])
def test_first_spikes_of_a_large_record(library: Library, steps: int) -> None:
    """Found in two passes: in which stretch of steps, and where in it."""
    rng = np.random.default_rng(2)
    batch, neurons = 600_000 // steps // 600, 600
    record = np.sign(rng.normal(size=(steps, batch, neurons)))
    record *= np.cumsum(rng.random(record.shape) < 2 / steps, axis=0) > 0  # silent, then firing
    record[:-1, :, 0] = 0  # fires at the last step
    record[:, :, 1] = 0
    fired = record != 0
    wanted = np.where(fired.any(0), fired.argmax(0), steps - 1)
    assert {0, steps - 1} <= set(wanted.flat)
    with library.precision("float32"):
        times = FirstSpike()(library.array(record, "float32"))
        swapped = FirstSpike()(library.array(record.swapaxes(0, 1), "float32"), time_axis=1)
    same(times, wanted, "float32")
    same(swapped, wanted, "float32")


# Half precision

HALVES = pytest.mark.parametrize("dtype", FLOATS[2:])


STEPS, LATE = 2101, np.array([[0, 515, 2049], [2099, 257, 1031]])  # (B,N)


@every_library
@HALVES
def test_late_spikes_in_half_precision(library: Library, dtype: str) -> None:
    """515 has no bfloat16, it would round to 516; and 2049 no float16."""
    record = (np.arange(STEPS)[:, None, None] == LATE).astype(np.float64)
    for readout in (FirstSpike(), SpikeTimes(count=1)):
        with library.precision(dtype):
            times = readout(library.array(record, dtype))
        same(times, LATE.reshape(times.shape), "float32")
        loss = Loss(readout, SquaredError(), GivenTime(), Sum())
        nothing = 0.0, np.zeros(record.shape)
        compare(library, loss, record, LATE, nothing, dtype)
        other = np.array([[1, 514, 2048], [2098, 258, 1030]])  # one step earlier or later
        compare(library, loss, record, other, (6.0, -2 * record * (LATE - other)), dtype)


@every_library
@HALVES
def test_large_counts_in_half_precision(library: Library, dtype: str) -> None:
    """257 has no bfloat16 and 2049 no float16."""
    fires = np.arange(STEPS)[:, None, None] >= LATE
    record, counts = fires.astype(np.float64), STEPS - LATE
    with library.precision(dtype):
        x = library.array(record, dtype)
        same(SumOverTime()(x), counts, "float32")
        same(MeanOverTime()(x), counts / STEPS, "float32")
    loss = Loss(SumOverTime(), SquaredError(), Given(), Sum())
    compare(library, loss, record, counts, (0.0, np.zeros(record.shape)), dtype)
    compare(library, loss, record, counts - 1, (6.0, np.full(record.shape, 2.0)), dtype)


# Cross-entropy as in torch


@pytest.mark.parametrize("word", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.125, 1.0])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
@pytest.mark.parametrize("kind", ["labels", "ignored", "soft", "multi-hot", "zero", "step labels"])
def test_cross_entropy_is_torch(kind: str, weight: Any, smoothing: float, word: str) -> None:
    rng = np.random.default_rng(5)
    logits = torch.tensor(3 * rng.normal(size=(B, N)))
    target = {
        "labels": torch.tensor([4, 0, 2, 5, 1]),
        "ignored": torch.tensor([4, -1, 2, -1, 1]),
        "soft": torch.tensor(rng.dirichlet(np.ones(N), B)),
        "multi-hot": torch.tensor((rng.random((B, N)) < 0.4).astype(np.float64)),
        "zero": torch.zeros(B, N, dtype=torch.float64),
        "step labels": torch.tensor([4, 0, 2, 5, 1]),
    }[kind]
    ignored = -1 if kind == "ignored" else None
    reduction = {"mean": reductions.Mean("weights"), "sum": Sum(), "none": Each()}[word]
    loss = cross_entropy(
        label_smoothing=smoothing,
        ignore_index=ignored,
        class_weight=weight,
        reduction=reduction,
    )

    def theirs(z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(
            z,
            target,
            weight=None if weight is None else torch.tensor(weight, dtype=torch.float64),
            label_smoothing=smoothing,
            reduction=word,
            **({} if ignored is None else {"ignore_index": ignored}),
        )

    wanted = TORCH.value_and_grad(theirs, logits)
    compare(TORCH, loss, logits.numpy(), target.numpy(), wanted)


@every_library
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_class_that_cannot_be(library: Library, dtype: str) -> None:
    """A logit of minus infinity costs nothing where it is not the target."""
    logits, soft = case("cross_entropy()").record_of().copy(), np.eye(B, N)
    logits[0, 1] = logits[1, 3] = logits[2, 3:] = -np.inf
    soft[0, :3] = 0.5, 0, 0.25
    row, labels = case("cross_entropy()"), np.array([0, 1, 2, 3, 5])
    for target in (labels, soft):
        compare(
            library, row.loss, logits, target, oracle(row, rounded(logits, dtype), target), dtype
        )
    with library.precision(dtype):
        x, y = library.array(logits, dtype), library.array(np.array([1, 1, 0, 0, 0]))
        same(row.loss(x, y), np.inf, dtype)


@every_library
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_large_logits(library: Library, dtype: str) -> None:
    """Shifted before the logarithm: nothing overflows and nothing cancels."""
    logits = 1e4 + np.arange(B * N).reshape(B, N) / 16
    logits[1] = 1e4, 0, -1e4, 2e4, -2e4, 2e4 - 1
    soft = np.maximum(np.cos(np.arange(B * N)), 0).reshape(B, N).round(1)
    row, labels = case("cross_entropy()"), np.array([1, 0, 2, 5, 3])
    for target in (labels, soft):
        compare(library, row.loss, logits, target, oracle(row, logits, target), dtype)


# Nothing to average


@each_shaped(tuple(row for row in CASES if row.target in ("labels", "step_labels")))
def test_empty_batch(library: Library, row: Case) -> None:
    record = row.record_of()[..., :0, :]
    target = row.target_of()[..., :0]
    empty = np.zeros(record.shape)
    for reduction, value in ((reductions.Mean(), np.nan), (Sum(), 0.0)):
        loss = row.loss.replace(reduction=reduction)
        compare(library, loss, record, target, (value, empty), jit=True)
    with library.precision():
        x, y = library.array(record, "float64"), library.array(target)
        assert 0 in row.loss.replace(reduction=Each())(x, y).shape
        assert row.loss.predict(x).shape == (0,)


@every_library
@pytest.mark.parametrize("over", ["samples", "weights"])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
def test_everything_ignored(library: Library, over: Any, weight: Any) -> None:
    for name, labels in (
        ("Decided", (B,)),
        ("SumOverTime", (B,)),
        ("CrossEntropy step_labels", (T, B)),
    ):
        row = case(name)
        criterion = CrossEntropy(ignore_index=2)
        loss = row.loss.replace(criterion=criterion, class_weight=weight)
        record, target = row.record_of(), np.full(labels, 2)
        nothing = np.zeros(record.shape)
        mean, total = reductions.Mean(over), Sum()
        compare(library, loss.replace(reduction=mean), record, target, (np.nan, nothing))
        compare(library, loss.replace(reduction=total), record, target, (0.0, nothing))
        each = loss.replace(reduction=Each())
        compare(library, each, record, target, (np.zeros(B), nothing))


# Losses as values


@every_library
@pytest.mark.parametrize("terms", TOTALS, ids=lambda terms: terms[0][1])
def test_total(library: Library, terms: tuple[tuple[float, str], ...]) -> None:
    rows = [(factor, case(name)) for factor, name in terms]
    (_, first), *_ = rows
    parts = [factor * row.loss for factor, row in rows]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert total.terms == tuple((factor, row.loss) for factor, row in rows)
    record, target = first.record_of(), first.target_of()
    options = {"lengths": first.lengths, "sample_weight": SAMPLE_WEIGHT}
    wanted = [(factor, oracle(row, record, target, **options)) for factor, row in rows]
    value = sum(factor * value for factor, (value, _) in wanted)
    grad = sum(factor * grad for factor, (_, grad) in wanted)
    compare(library, total, record, target, (value, grad), **options)
    doubled = total * 2
    compare(library, doubled, record, target, (2 * value, 2 * grad), **options)


def test_sums_and_multiples() -> None:
    a, b, c = ce_count(), mse_count(), mse_membrane()
    assert a + b == Total(((1.0, a), (1.0, b)))
    assert 0.5 * a == a * 0.5 == Total(((0.5, a),))
    assert (a + 2 * b) * 3 + c == Total(((3.0, a), (6.0, b), (1.0, c)))
    assert (a + b).replace(reduction=Sum()).terms[1][1].reduction == Sum()
    for wrong in (lambda: a + 1, lambda: a * True, lambda: a * "2", lambda: 1 + a):
        with pytest.raises(TypeError):
            wrong()


VALUES: tuple[Any, ...] = (
    *dict.fromkeys(
        part
        for row in CASES
        for part in (
            row.loss.readout,
            row.loss.criterion,
            row.loss.target,
            row.loss.reduction,
            row.loss,
        )
    ),
    ce_count() + 0.5 * mse_count(),
)


def stages() -> dict[str, Any]:
    """Every public stage and loss by its name, which no other module has: one name, one thing."""
    found: dict[str, Any] = {"Loss": Loss, "Total": Total}
    for module in (readouts, criteria, targets, reductions):
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__ and name[0] != "_":
                assert name not in found, f"{value} and {found[name]} have one name"
                found[name] = value
    return found


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_losses_are_values(value: Any) -> None:
    copies = [
        pickle.loads(pickle.dumps(value)),
        dataclasses.replace(value),
        eval(repr(value), stages()),
    ]
    for copy in copies:
        assert copy == value
        assert hash(copy) == hash(value)
        assert repr(copy) == repr(value)
    assert sum(value == other for other in VALUES) == 1
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)


def test_replace() -> None:
    loss = ce_count()
    other = loss.replace(reduction=Each(), class_weight=[1, 2])
    assert other == Loss(
        SumOverTime(), CrossEntropy(), reduction=Each(), class_weight=(1.0, 2.0), reads="spikes"
    )
    assert loss == ce_count()


# The comparison itself


WRONG: dict[str, Callable[[Array], Any]] = {
    "value": lambda x: x + np.array([0, 0, 1e-9]),
    "nan": lambda x: np.where(x == 2, np.nan, x),
    "infinity": lambda x: np.where(x == 2, np.inf, x),
    "shape": lambda x: x[:, None],
    "0-d": lambda x: x[0],
    "dtype": lambda x: x.astype(np.float32),
    "half": lambda x: torch.tensor(x).bfloat16(),
    "integer": lambda x: x.astype(np.int64),
}


def test_same_tells_equal() -> None:
    x = np.array([1.0, np.nan, np.inf])
    same(x, x)
    same(torch.tensor(x).half(), x, "float16")
    same(JAX.array(x, "bfloat16"), x, "bfloat16")
    same(np.float32(1.0), 1.0 + 1e-7, "float32")
    same(np.array([3, -1]), [3, -1], "int64")


@pytest.mark.parametrize("name", WRONG)
def test_same_tells_different(name: str) -> None:
    x = np.array([1.0, 2.0, 4.0])
    with pytest.raises(AssertionError):
        same(WRONG[name](x), x)


def test_same_names_the_worst_element() -> None:
    with pytest.raises(AssertionError, match=r"2 of 6 .* at \[1, 2\]: expected 0.0, got 3.0"):
        same(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]), np.zeros((2, 3)))
    with pytest.raises(AssertionError, match="nan"):
        same(np.zeros(2), [0.0, np.nan])
    with pytest.raises(AssertionError):
        same(np.array([3, -1]), [3, 1], "int64")
