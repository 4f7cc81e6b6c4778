"""Penalties, sums of losses and records of several layers, against formulas written again here.

The formulas take each sample cropped to its valid steps, (n,N) in float64, as their docstrings say;
derivatives are central differences of them, and at kinks numbers by hand.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial, reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from harness import compiled, every_library, slow_in_jax
from harness import near as derivatives_near
from libraries import JAX, NUMPY, TORCH, Array, Library, named, same
from torch import nn
from torch.nn.utils import prune

from spikeloss import Loss, Total, metrics, penalties, presets, synapses
from spikeloss.criteria import Bounds, Deviation
from spikeloss.lab.errors import InputError
from spikeloss.lab.objectives import find
from spikeloss.readouts import BatchPercentile, Maximum, SumOverTime
from spikeloss.records import Events, Packed
from spikeloss.reductions import Each, Mean, Sum

quick = pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)  # JAX compiles for long
Options = dict[str, Any]
Samples = list[Array]

T, B, N = 6, 4, 5
LENGTHS = np.array([3, 6, 1, 5])
VALID = np.array([[0, 1, 1, 0, 1, 1], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [1] * T]).T == 1
LAYOUTS = {"whole": {}, "lengths": {"lengths": LENGTHS}, "valid": {"valid": VALID}}
MASKS = {"whole": VALID | True, "lengths": np.arange(T)[:, None] < LENGTHS, "valid": VALID}
LABELS = np.array([2, 0, 4, 1])
WEIGHT = np.array([0.5, 2.0, 0.0, 1.5])
CLASS_WEIGHT = (0.5, 2.0, 3.0, 0.0, 1.5)
FANS = (1.0, 0.0, 3.0, 2.5, 7.0)


def spikes(neurons: int = N, seed: int = 3) -> Array:
    """Amplitudes, some of them 0; one neuron fires little."""
    rng = np.random.default_rng(seed)
    silent = rng.random((T, B, neurons)) < 0.4
    silent[:, 2] = silent[0, 1] = False  # no two counts are equal
    record = np.where(silent, 0.0, rng.uniform(0.5, 12.0, (T, B, neurons)))
    record[..., 0] *= 0.02
    return record


def binary(neurons: int = N, seed: int = 1) -> Array:
    return (np.random.default_rng(seed).random((T, B, neurons)) < 0.4) * 1.0


def membranes() -> Array:
    return 1.3 * np.random.default_rng(4).normal(size=(T, B, N))


HIDDEN, OUTPUT = spikes(7, 8), binary()


def arrays(library: Library, values: dict[str, Array]) -> dict[str, Any]:
    return {key: library.array(value) for key, value in values.items()}


def padded(record: Array, layout: str) -> Array:
    """The record with nan wherever there is no step."""
    return np.where(MASKS[layout][..., None], record, np.nan)


def cropped(record: Array, layout: str) -> Samples:
    return [record[MASKS[layout][:, b], b] for b in range(B)]


def layouts(library: Library) -> list[str]:
    """Those to test: JAX compiles for each."""
    return ["valid"] if library is JAX else list(LAYOUTS)


def slopes(function: Callable[[Array], Any], x: Array, where: Array | None = None) -> Array:
    """Central differences of the sum of function(x)."""
    slope, where = np.zeros_like(x), np.ones_like(x) if where is None else where
    for index in zip(*np.nonzero(np.broadcast_to(where, x.shape)), strict=True):
        high, low = x.copy(), x.copy()
        high[index] += 1e-5
        low[index] -= 1e-5
        slope[index] = (np.sum(function(high)) - np.sum(function(low))) / 2e-5
    return slope


near = partial(derivatives_near, absolute=1e-7)


# Formulas: samples (n,N) -> losses (B)


def outside(z: Array, lower: Any, upper: Any, power: int) -> Array:
    below = 0.0 if lower is None else np.maximum(0.0, lower - z)
    above = 0.0 if upper is None else np.maximum(0.0, z - upper)
    return np.asarray(below**power + above**power)


def counts(s: Samples) -> Array:
    return np.array([x.sum(0) for x in s])


def rates(s: Samples) -> Array:
    return np.array([x.sum(0) / len(x) for x in s])


def pooled(z: Array, population: bool, batch: bool) -> Array:
    z = z.mean(-1, keepdims=True) if population else z
    return np.repeat(z.mean(0, keepdims=True), len(z), axis=0) if batch else z


def bounded(z: Array, lower: Any = None, upper: Any = None, power: int = 2, pool: str = "mean",
            population: bool = False, batch: bool = False) -> Array:  # fmt: skip
    each = outside(pooled(z, population, batch), lower, upper, power)
    return np.array(each.mean(-1) if pool == "mean" else each.sum(-1))


def count_bounds(s: Samples, upper: Any = 10.0, **options: Any) -> Array:
    return bounded(counts(s), upper=upper, **options)


def rate_bounds(s: Samples, upper: Any = 0.1, **options: Any) -> Array:
    return bounded(rates(s), upper=upper, **options)


def rate_target(s: Samples, rate: float = 0.05, batch: bool = True, **options: Any) -> Array:
    return bounded(rates(s), rate, rate, batch=batch, **options)


def rate_percentile(s: Samples, lower: Any = None, upper: Any = 0.2, percentile: float = 99.0,
                    power: int = 2) -> Array:  # fmt: skip
    ordered = np.sort(rates(s), axis=0)
    place = percentile / 100 * (len(s) - 1)
    left = min(int(place), len(s) - 2)
    q = ordered[left] + (place - left) * (ordered[left + 1] - ordered[left])
    return np.full(len(s), outside(q, lower, upper, power).mean())


def count_l1(s: Samples) -> Array:
    return np.abs(counts(s)).sum(-1)


def count_silence(s: Samples, least: float = 1.0, batch: bool = True) -> Array:
    return bounded(counts(s), lower=least, batch=batch)


def count_sparsity(s: Samples, most: float = 10.0, power: int = 2) -> Array:
    return outside(counts(s).mean(-1), None, most, power)


def membrane_bounds(s: Samples, lower: Any = -1.0, upper: Any = 1.0, power: int = 2) -> Array:
    return np.array([outside(u, lower, upper, power).mean() for u in s])


def membrane_distribution(
    s: Samples, threshold: float = 1.0, width: float = 1.0, degeneration: float = 1.0,
    saturation: float = 1.0, mismatch: float = 1.0, channels: int | None = None,
) -> Array:  # fmt: skip
    """Of the `Moments` of a channel; by `Distribution`."""
    channels, total = channels or s[0].shape[1], 0.0
    for each in range(channels):
        groups = [u.reshape(len(u), channels, -1)[:, each] for u in s]
        mean = np.mean([u.mean() for u in groups])
        spread = math.sqrt(np.mean([((u - mean) ** 2).mean() for u in groups])) / width
        mean = (mean - threshold) / width
        total += degeneration * max(0.0, mean**2 - spread**2)
        total += saturation * max(0.0, spread - 4) ** 2
        total += mismatch * max(0.0, min(2 - mean - spread, 2 + mean - spread)) ** 2
    return np.full(len(s), total / channels)


def membrane_information(s: Samples, threshold: float = 0.5, per_step: bool = False) -> Array:
    if per_step:
        mean = np.mean([u.mean() for u in s])
        return np.array([(mean - threshold / len(u)) ** 2 for u in s])
    return np.full(len(s), (np.mean([u.mean() for u in s]) - threshold) ** 2)


def membrane_rectified(s: Samples, levels: Any = (0.0, 1.0), power: int = 2) -> Array:
    return np.array([np.min([np.abs(u - q) ** power for q in levels], 0).mean() for u in s])


def membrane_activity(
    s: Samples, least: float = 0.1, slope: float = 1.0, threshold: float = 0.0
) -> Array:
    firing = [(1 / (1 + np.exp(-slope * (u - threshold)))).mean(-1) for u in s]
    return np.array([np.maximum(0.0, least - z).mean() for z in firing])


def membrane_silence(s: Samples, threshold: float = 1.0) -> Array:
    return np.array([np.maximum(0.0, threshold - u.max(0)).mean() for u in s])


def step_consistency(
    s: Samples, temperature: float = 4.0, teachers: Samples | None = None
) -> Array:
    """By `Disagreement`: the mean over all pairs of steps, of which one teaches the other."""
    each = []
    for x, y in zip(s, teachers or s, strict=True):
        p, q = (logs(z / temperature) for z in (x, y))
        pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
        far = [(np.exp(q[j]) * (q[j] - p[i])).sum() for i, j in pairs]
        each.append(temperature**2 * sum(far) / max(len(pairs), 1))
    return np.array(each)


def synaptic_operations(s: Samples, fan_out: Any = 1.0, target: float | None = None) -> Array:
    each = (counts(s) * np.asarray(fan_out)).sum(-1)
    return each if target is None else np.full(len(s), ((each.mean() - target) / target) ** 2)


CHANGES: dict[Callable[..., Array], tuple[Options, ...]] = {
    count_bounds: (
        {"lower": 15.0, "upper": None}, {"lower": 9.0, "power": 1}, {"upper": 4.0, "pool": "sum"},
        {"population": True}, {"lower": 1.0, "batch": True},
        {"population": True, "batch": True, "power": 1},
    ),
    rate_bounds: (
        {"lower": 2.5, "upper": None}, {"upper": 2.0}, {"lower": 0.05, "power": 1},
        {"pool": "sum"}, {"population": True}, {"batch": True},
    ),
    rate_target: ({"rate": 3.0}, {"power": 1}, {"population": True}, {"batch": False}),
    rate_percentile: (
        {"lower": 4.0, "upper": None}, {"upper": 3.0}, {"percentile": 40.0},
        {"percentile": 100.0}, {"percentile": 0.0, "lower": 0.1}, {"power": 1},
    ),
    count_l1: (),
    count_silence: ({"least": 15.0}, {"batch": False}),
    count_sparsity: ({"most": 5.0}, {"power": 1}),
    membrane_bounds: ({"lower": None}, {"lower": -0.5, "upper": 0.25}, {"power": 1}),
    membrane_information: ({"threshold": -0.25}, {"per_step": True}),
    membrane_distribution: (
        {"channels": 1, "threshold": 0.25}, {"width": 0.2, "mismatch": 0.5},
        {"degeneration": 0.0}, {"saturation": 3.0, "width": 0.1, "channels": 5},
    ),
    membrane_rectified: ({"levels": (-1.0, 0.5, 2.0)}, {"levels": (0.3,)}, {"power": 1}),
    membrane_activity: ({"least": 0.5}, {"least": 0.4, "slope": 3.0}, {"threshold": 2.0}),
    membrane_silence: ({"threshold": 2.0},),
    step_consistency: ({"temperature": 0.5},),
    synaptic_operations: (
        {"fan_out": 2.5}, {"fan_out": np.array(FANS)}, {"target": 20.0},
        {"fan_out": FANS, "target": 300.0},
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Row:
    formula: Callable[..., Array]
    options: Options = field(default_factory=dict)

    def loss(self, **options: Any) -> Loss:
        return penalties.catalogue()[self.formula.__name__].build(**self.options, **options)

    @property
    def record(self) -> Array:
        low = 4.0 if self.formula is membrane_activity else 0.0  # nearly silent
        return membranes() - low if self.of_membranes else spikes()

    @property
    def of_membranes(self) -> bool:
        return self.formula.__name__.startswith(("membrane", "step"))

    def each(self, record: Array, layout: str = "whole") -> Array:
        """The losses of the samples, by the formula."""
        return self.formula(cropped(record, layout), **self.options)

    @cache  # noqa: B019
    def expected(self, layout: str) -> tuple[Array, Array]:
        """The losses of the samples, and the gradient of their mean."""
        mask, options = MASKS[layout][..., None], dict(self.options)
        if self.formula is step_consistency:  # whose teachers have no derivative
            options["teachers"] = cropped(self.record, layout)
        return self.each(self.record, layout), slopes(
            lambda x: self.formula(cropped(x, layout), **options).mean(), self.record, mask
        )

    def __str__(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.formula.__name__}({options})"


DEFAULTS = tuple(map(Row, CHANGES))
ROWS = DEFAULTS + tuple(
    Row(formula, options) for formula, rows in CHANGES.items() for options in rows
)
each_row = pytest.mark.parametrize("row", ROWS, ids=str)
each_default = pytest.mark.parametrize("row", DEFAULTS, ids=str)


def test_every_penalty_has_a_row() -> None:
    found = penalties.catalogue()
    assert set(found) == {formula.__name__ for formula in CHANGES}
    for formula, rows in CHANGES.items():
        known = inspect.signature(found[formula.__name__].build).parameters.values()
        own = {x.name for x in known if x.kind is inspect.Parameter.KEYWORD_ONLY}
        own -= {"reduction", "layers"}  # which every penalty has
        assert own == {option for options in rows for option in options}, formula


@every_library
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_deviation_is_that_from_equal_bounds(library: Library, power: Any, pool: Any) -> None:
    """To the last bit, and without a derivative at the value."""
    z = np.array([[[0.3, 0.1, -2.0, 1e30, 0.3], [1.0, np.nan, 0.3, 0.0, -0.0]]])
    one = Loss(Maximum(), Deviation(0.3, power=power, pool=pool), reduction=Each())
    bounds = Bounds(lower=0.3, upper=0.3, power=power, pool=pool)
    other = Loss(Maximum(), bounds, reduction=Each())
    with library.precision():
        x = library.array(z)
        found, wanted = (library.to_numpy(loss(x)) for loss in (one, other))
        np.testing.assert_array_equal(found, wanted)
        assert np.isnan(found).tolist() == [False, True]
        if library is NUMPY:
            return
        slope, wanted = (
            library.value_and_grad(lambda x, loss=loss: loss(x).sum(), x)[1]
            for loss in (one, other)
        )
        np.testing.assert_array_equal(slope, wanted)
        assert np.all((slope == 0) >= (z == 0.3))


def fed(loss: Any, x: Any, steps: Options, target: Any = None) -> Any:
    """The loss by a stream: lengths come beforehand, a mask with the steps."""
    steps, valid = dict(steps), steps.get("valid")
    steps.pop("valid", None)
    stream = loss.stream(**steps) if target is None else loss.stream(target, **steps)
    for t in range(T):
        stream.step(x[t], valid=None if valid is None else valid[t])
    return stream.value()


@every_library
@each_row
def test_value_and_gradient(row: Row, library: Library) -> None:
    """Of the record as a whole, and step by step."""

    def whole(x: Any, steps: Options) -> Any:
        return row.loss()(x, **steps)

    for layout in layouts(library):
        each, slope = row.expected(layout)
        assert each.any()
        assert slope.any()
        record, steps = padded(row.record, layout), arrays(library, LAYOUTS[layout])
        for call in (whole,) if library is JAX else (whole, partial(fed, row.loss())):
            of = partial(call, steps=steps)
            with library.precision():
                x = library.array(record)
                if library is NUMPY:
                    same(of(x), each.mean())
                else:
                    value, grad = library.value_and_grad(of, x)
                    same(value, each.mean())
                    near(grad, slope)
            if library is not JAX:
                value = library.to_numpy(of(library.array(record, "float32")))
                assert value.dtype == np.float32
                near(value, each.mean(), relative=1e-4)


@quick
@each_default
def test_reductions_and_weights(row: Row, library: Library) -> None:
    each = row.each(row.record, "lengths")
    weighted = WEIGHT * each
    wanted = {
        Each(): (each, weighted),
        Sum(): (each.sum(), weighted.sum()),
        Mean(): (each.mean(), weighted.sum() / B),
        Mean("weights"): (each.mean(), weighted.sum() / WEIGHT.sum()),
    }
    with library.precision():
        x, w = library.array(padded(row.record, "lengths")), library.array(WEIGHT)
        for reduction, (plain, scaled) in wanted.items():
            loss = row.loss(reduction=reduction)
            assert loss == row.loss().replace(reduction=reduction)
            same(loss(x, lengths=library.array(LENGTHS)), plain)
            same(loss(x, lengths=library.array(LENGTHS), sample_weight=w), scaled)


@quick
@each_default
def test_other_shapes(row: Row, library: Library) -> None:
    """Two batch axes; none, as for one sample; and another order of axes."""
    each, alone = row.each(row.record, "lengths"), row.formula([row.record[:, 1]] * 2)
    loss = row.loss(reduction=Each())
    x, n = library.array(row.record.reshape(T, 2, 2, N)), library.array(LENGTHS.reshape(2, 2))
    same(loss(x, lengths=n, class_axis=-1), each.reshape(2, 2))
    same(loss(library.array(row.record[:, 1])), alone[0])
    turned = library.array(row.record.transpose(2, 1, 0))
    same(loss(turned, time_axis=-1, class_axis=0), row.each(row.record))


@pytest.mark.parametrize("kind", ["spikes", "membrane"])
def test_folds(kind: str) -> None:
    """Of all penalties of spikes at once, and all of membranes, under `lax.scan`."""
    rows = [row for row in DEFAULTS if row.of_membranes == (kind == "membrane")]
    rows = [row for row in rows if row.formula is not membrane_activity]  # of another record
    fold = reduce(add, (k * row.loss() for k, row in enumerate(rows, 1))).fold()
    each = sum(k * row.expected("valid")[0] for k, row in enumerate(rows, 1))
    slope = sum(k * row.expected("valid")[1] for k, row in enumerate(rows, 1))

    def scanned(x: Any) -> Any:
        def step(state: Any, at: Any) -> Any:
            return fold.step(state, at[0], valid=at[1]), None

        return fold.finish(jax.lax.scan(step, fold.init(x[0]), (x, JAX.array(VALID)))[0])

    with JAX.precision():
        record = JAX.array(padded(rows[0].record, "valid"))
        value, grad = compiled(jax.value_and_grad(scanned))(record)
    same(value, each.mean())
    near(grad, slope)


@quick
@pytest.mark.parametrize("formula", [membrane_distribution, step_consistency])
def test_merged_stretches(formula: Any, library: Library) -> None:
    """Of moments over time: value and gradient, some samples without steps in a stretch."""
    row = Row(formula, {"channels": 1} if formula is membrane_distribution else {})
    each, slope = row.expected("valid")
    with library.precision():
        valid = library.array(VALID)

        def loss(x: Any) -> Any:
            fold = row.loss().fold()
            parts = [
                fold.steps(fold.begin(x[a:b], start=a), x[a:b], None, valid[a:b])
                for a, b in ((0, 2), (2, 3), (3, T))
            ]
            return fold.finish(fold.merge(parts[0], fold.merge(*parts[1:])))

        x = library.array(padded(row.record, "valid"))
        if library is NUMPY:
            same(loss(x), each.mean())
        else:
            value, grad = library.value_and_grad(loss, x)
            same(value, each.mean())
            near(grad, slope)


STEPWISE = (membrane_activity, membrane_bounds, membrane_distribution, membrane_rectified,
            membrane_silence, step_consistency)  # fmt: skip


def events(record: Array, library: Library) -> Events:
    """The entries of a record, last first."""
    index = [library.array(np.flip(part)) for part in np.nonzero(record)]
    amplitude = library.array(record[np.nonzero(record)][::-1].copy())
    return Events(*index, amplitude=amplitude, shape=record.shape)


@quick
@each_default
def test_events(row: Row, library: Library) -> None:
    each, slope = row.expected("lengths")
    with library.precision():
        e, n = events(row.record, library), library.array(LENGTHS)
        if row.formula in STEPWISE:
            with pytest.raises(TypeError, match="dense"):
                row.loss()(e, lengths=n)
            same(row.loss()(e.dense(), lengths=n), each.mean())
            return
        same(row.loss()(e, lengths=n), each.mean())
        if library.differentiates:

            def loss(amplitude: Any) -> Any:
                given = Events(e.time, e.sample, e.neuron, amplitude, e.shape)
                return row.loss()(given, lengths=n)

            _, grad = library.value_and_grad(loss, e.amplitude)
            near(grad[::-1], slope[np.nonzero(row.record)])


@quick
@each_row
def test_packed_and_bools(row: Row, library: Library) -> None:
    n = library.array(LENGTHS)
    for given in (Packed.pack(library.array(OUTPUT)), library.array(OUTPUT, "bool")):
        value = library.to_numpy(row.loss()(given, lengths=n))
        assert value.dtype == np.float32
        near(value, row.each(OUTPUT, "lengths").mean(), relative=1e-5)


@pytest.mark.parametrize("row", [row for row in DEFAULTS if row.formula in (
    rate_bounds, rate_percentile, membrane_rectified, membrane_silence)], ids=str)  # fmt: skip
def test_compilers(row: Row) -> None:
    each, slope = row.expected("lengths")
    loss, n = row.loss(), TORCH.array(LENGTHS)
    with JAX.precision():
        jitted = compiled(
            jax.value_and_grad(lambda x, loss, n: loss(x, lengths=n)), static_argnums=1
        )
        value, grad = jitted(JAX.array(row.record), loss, JAX.array(LENGTHS))
        same(value, each.mean())
        near(grad, slope)
    value, _ = jitted(JAX.array(row.record, "float32"), loss, JAX.array(LENGTHS))
    assert value.dtype == np.float32
    near(value, each.mean(), relative=1e-4)
    torch.compiler.reset()
    made = torch.compile(lambda x: loss(x, lengths=n), backend="eager", fullgraph=True)
    value, grad = TORCH.value_and_grad(made, TORCH.array(row.record))
    same(value, each.mean())
    near(grad, slope)


KINKS: tuple[tuple[Any, Options, list[float], list[float]], ...] = (
    (rate_bounds, {"lower": 1.0, "upper": 1.0, "power": 1}, [1, 1, 1], [0, 0, 0]),
    (count_bounds, {"lower": 2.0, "upper": None, "power": 1}, [1, 1, 0], [0, 0, 0]),
    (count_bounds, {"upper": 2.0, "power": 1}, [1, 1, 0], [0, 0, 0]),
    (count_bounds, {"upper": 1.5, "power": 1}, [1, 1, 0], [1, 1, 1]),
    (count_l1, {}, [0, 0, 0], [0, 0, 0]),
    (count_l1, {}, [-2, 1, 0], [-1, -1, -1]),
    (count_silence, {}, [0, 0, 0], [-2, -2, -2]),
    (count_sparsity, {"most": 2.0, "power": 1}, [1, 1, 0], [0, 0, 0]),
    (rate_target, {"rate": 1.0, "power": 1}, [1, 1, 1], [0, 0, 0]),
    (rate_percentile, {"upper": 1.0, "power": 1}, [1, 1, 1], [0, 0, 0]),
    (membrane_bounds, {"power": 1}, [1, -1, 2], [0, 0, 1 / 3]),
    (membrane_rectified, {"power": 1}, [0.5, 0, 1.25], [1 / 3, 0, 1 / 3]),
    (membrane_rectified, {}, [0.5, 1, 0.75], [1 / 3, 0, -1 / 6]),
    (membrane_silence, {}, [0.25, 0.75, 0.75], [0, -1, 0]),
    (membrane_silence, {}, [-5, -4, -6], [0, -1, 0]),
    (membrane_silence, {}, [1, 0.5, 1], [0, 0, 0]),
)


@pytest.mark.parametrize(("formula", "options", "column", "slope"), KINKS)
def test_kinks(formula: Any, options: Options, column: Any, slope: Any) -> None:
    in_jax = formula in (count_bounds, membrane_rectified, membrane_silence)
    for library in (TORCH, JAX) if in_jax else (TORCH,):
        with library.precision():
            x = library.array(np.array(column, float)[:, None, None])
            _, grad = library.value_and_grad(Row(formula, options).loss(), x)
        same(grad[:, 0, 0], np.array(slope, float))


# Without a target, and beside one


@quick
@each_default
def test_a_target_is_ignored(row: Row, library: Library) -> None:
    with library.precision():
        x, wanted = library.array(row.record), row.each(row.record).mean()
        for target in (None, library.array(LABELS), library.array(np.array([99, -7, 3, 0]))):
            same(row.loss()(x, target), wanted)
        with pytest.raises(TypeError, match=r"^target: expected nothing, or the target of the"):
            row.loss()(x, "nothing")
        same(row.loss()(x, class_weight=library.array(np.ones(2))), wanted)
        same(fed(row.loss(), x, {}, library.array(LABELS)), wanted)


@each_default
def test_class_weights_are_refused(row: Row) -> None:
    for build in (
        lambda: row.loss(class_weight=CLASS_WEIGHT),
        lambda: row.loss().replace(class_weight=CLASS_WEIGHT),
        lambda: Loss(SumOverTime(), Bounds(upper=1.0), class_weight=CLASS_WEIGHT),
    ):
        with pytest.raises((TypeError, ValueError), match=r"^class_weight: expected none for a pe"):
            build()


def logs(z: Array) -> Array:
    """log softmax."""
    return np.array(z - np.log(np.exp(z).sum(-1, keepdims=True)))


def entropy(record: Array, layout: str = "whole") -> Array:
    """The losses of `ce_count`."""
    return -logs(counts(cropped(record, layout)))[np.arange(B), LABELS]


def decided(record: Array, layout: str = "whole") -> Array:
    z = counts(cropped(record, layout))
    return np.where(z.any(-1), z.argmax(-1), -1)


@slow_in_jax
def test_totals(library: Library) -> None:
    row, ce = Row(rate_bounds, {"upper": 0.2}), presets.ce_count()
    total = ce + 0.1 * row.loss()
    assert isinstance(total, Total)
    assert total.terms == ((1.0, ce), (0.1, row.loss()))
    for layout in layouts(library):
        one, cost = entropy(OUTPUT, layout), 0.1 * row.each(OUTPUT, layout)
        class_weighted = (np.array(CLASS_WEIGHT)[LABELS] * one + cost).mean()
        with library.precision():
            x, y = library.array(padded(OUTPUT, layout)), library.array(LABELS)
            steps, w = arrays(library, LAYOUTS[layout]), library.array(WEIGHT)
            same(total(x, y, **steps), (one + cost).mean())
            same(fed(total, x, steps, y), (one + cost).mean())
            same(total.replace(reduction=Each())(x, y, **steps), one + cost)
            same(total(x, y, sample_weight=w, **steps), (WEIGHT * (one + cost)).mean())
            for weights in (CLASS_WEIGHT, library.array(np.array(CLASS_WEIGHT))):
                same(total(x, y, class_weight=weights, **steps), class_weighted)
            built = presets.ce_count(class_weight=CLASS_WEIGHT) + 0.1 * row.loss()
            same(built(x, y, **steps), class_weighted)
            wanted = decided(OUTPUT, layout)
            assert np.isin(True, wanted == LABELS)
            assert library.to_numpy(total.predict(x, **steps)).tolist() == wanted.tolist()
            accuracy = float(total.accuracy(x, y, **steps))
            assert accuracy == pytest.approx(np.mean(wanted == LABELS))


def test_a_stream_of_a_total_decides_by_its_first_loss() -> None:
    record, row = membranes(), Row(membrane_information)
    total = presets.ce_max_membrane() + 0.5 * row.loss()
    stream = total.stream(LABELS)
    for x in record:
        stream.step(x)
    highest = record.max(0)
    same(stream.value(), (0.5 * row.each(record) - logs(highest)[np.arange(B), LABELS]).mean())
    assert stream.predict().tolist() == highest.argmax(-1).tolist()
    labels = highest.argmax(-1) + np.array([0, 1, 0, 0])
    assert stream.accuracy(labels) == total.accuracy(record, labels) == 0.75


def test_penalties_add_up() -> None:
    total = 2.0 * penalties.count_l1() + penalties.count_sparsity()
    x = spikes()
    same(total(x), (2 * Row(count_l1).each(x) + Row(count_sparsity).each(x)).mean())
    same(fed(total, x, {}), np.asarray(total(x)))
    assert [factor for factor, _ in (0.5 * total).terms] == [1.0, 0.5]


# Records of several layers

BOTH = {"hidden": HIDDEN, "output": OUTPUT}


@quick
@each_default
def test_a_penalty_of_layers_is_their_sum(row: Row, library: Library) -> None:
    for layout in layouts(library):
        hidden, output = row.each(HIDDEN, layout), row.each(OUTPUT, layout)
        picks = {None: hidden + output, "hidden": hidden, ("output",): output}
        picks["output", "hidden"] = hidden + output
        with library.precision():
            records, steps = arrays(library, BOTH), arrays(library, LAYOUTS[layout])
            for layers, wanted in picks.items():
                each = row.loss(layers=layers, reduction=Each())
                assert each == row.loss(reduction=Each()).replace(layers=layers)
                same(each(records, **steps), wanted)
                loss, w = row.loss(layers=layers), library.array(WEIGHT)
                same(loss(records, sample_weight=w, **steps), (WEIGHT * wanted).mean())


@slow_in_jax
def test_totals_of_layers(library: Library) -> None:
    row, ce = Row(count_bounds, {"lower": 8.0, "upper": 12.0}), presets.ce_count()
    total = ce.replace(layers="output") + 0.1 * row.loss(layers="hidden")

    def formula(records: dict[str, Array]) -> Any:
        return (entropy(records["output"]) + 0.1 * row.each(records["hidden"])).mean()

    with library.precision():
        records, y = arrays(library, BOTH), library.array(LABELS)
        same(total(records, y), formula(BOTH))
        everywhere = ce.replace(layers="output") + 0.1 * row.loss()
        same(everywhere(records, y), formula(BOTH) + 0.1 * row.each(OUTPUT).mean())
        assert library.to_numpy(total.predict(records)).tolist() == decided(OUTPUT).tolist()
        same(ce({"output": records["output"]}, y), entropy(OUTPUT).mean())
        for layer in BOTH if library.differentiates else ():
            _, grad = library.value_and_grad(
                lambda x, layer=layer: total(records | {layer: x}, y), records[layer]
            )
            slope = slopes(lambda x, layer=layer: formula(BOTH | {layer: x}), BOTH[layer])
            assert slope.any()
            near(grad, slope)


def test_layers_in_other_forms() -> None:
    """Events and bits beside each other, and a mapping as an argument of `jit`."""
    row = Row(rate_target, {"rate": 0.3})
    given = {"hidden": events(HIDDEN, NUMPY), "output": Packed.pack(OUTPUT)}
    wanted = (row.each(HIDDEN) + row.each(OUTPUT)).mean()
    assert float(row.loss()(given)) == pytest.approx(wanted, rel=1e-6)
    with JAX.precision():
        grads = jax.jit(jax.grad(row.loss()))(arrays(JAX, BOTH))
    for layer, record in BOTH.items():
        near(grads[layer], slopes(lambda x: row.each(x).mean(), record))


RATE, CE = penalties.rate_bounds(), presets.ce_count()
HIDDEN_RATE, TWO = RATE.replace(layers="hidden"), ("hidden", "output")
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "several layers": (lambda: CE(BOTH, LABELS), "record: expected one layer"),
    "two names": (lambda: CE.replace(layers=TWO)(BOTH, LABELS), "record: expected one layer"),
    "missing": (lambda: HIDDEN_RATE({"output": OUTPUT}), "record: expected a mapping with"),
    "missing for ce": (lambda: CE.replace(layers="x")(BOTH, LABELS), "record: expected a mapping"),
    "plain": (lambda: HIDDEN_RATE(OUTPUT), "record: expected a mapping with"),
    "plain, total": (lambda: (CE + HIDDEN_RATE)(OUTPUT, LABELS), "record: expected a mapping"),
    "plain, class": (lambda: CE.replace(layers="x").predict(OUTPUT), "record: expected a mapping"),
    "empty": (lambda: RATE({}), "record: expected at least one layer"),
    "no names": (lambda: RATE.replace(layers=()), "layers: expected names"),
    "no name": (lambda: penalties.rate_bounds(layers=3), "layers: expected names"),  # type: ignore
    "stream": (lambda: HIDDEN_RATE.stream(), "loss: expected a loss of one record"),
    "fold": (lambda: HIDDEN_RATE.fold(), "loss: expected a loss of one record"),
    "stream of a total": (lambda: (CE + HIDDEN_RATE).stream(LABELS), "loss: expected a loss of on"),
    "no bound": (lambda: penalties.rate_bounds(upper=None), "upper: expected a bound"),
    "fans": (lambda: penalties.synaptic_operations(fan_out=(1.0, 2.0))(OUTPUT), "weights: expecte"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    call, text = REFUSED[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(text)


# Presets that are sums, and two others: a sample (n,N) or its spike times, and its target


def tet(x: Array, y: int, share: float = 0.05, level: float = 1.0, weight: float = 1.0) -> Any:
    return ((1 - share) * -weight * logs(x)[:, y] + share * ((x - level) ** 2).mean(-1)).mean()


def peak(u: Array, y: Any, width: int = 5, on: float = 1.0, off: float = 0.0,
         others: float = 1.0) -> float:  # fmt: skip
    """Of a label, and for `binary_peak` of 0 or 1 for each neuron."""
    right, wrong = [], []
    for c in range(u.shape[1]):
        if y[c] if np.ndim(y) else c == y:
            start = int(u[:, c].argmax())
            right.append((u[start : start + width, c].mean() - on) ** 2)
        else:
            wrong.append(((u[:, c] - off) ** 2).mean())
    return sum(right) / max(len(right), 1) + others * sum(wrong) / max(len(wrong), 1)


def ttfs_early_ce(t: Array, y: int, n: int, tau: float = 1.0, early: float = 0.005,
                  early_tau: float = 5.0) -> float:  # fmt: skip
    return float(-logs(-t / tau)[y] + early * (math.exp(t[y] / early_tau) - 1))


def ttfs_membrane_ce(u: Array, y: int, tau: float = 1.0, early: float = 0.005,
                     early_tau: float = 5.0, threshold: float = 1.0,
                     silent_slope: float = 5.0) -> float:  # fmt: skip
    times = np.zeros(u.shape[1])
    for c in range(u.shape[1]):
        before, times[c] = 0.0, len(u) + silent_slope * (threshold - max(u[:, c]))
        for t in range(len(u)):
            if u[t, c] >= threshold:
                times[c] = t - 1 + (threshold - before) / (u[t, c] - before)
                break
            before = u[t, c]
    return ttfs_early_ce(times, y, len(u), tau, early, early_tau)


def target_time(t: Array, y: int, n: int, on: int = 0, off: int = -1, tau: float = 25.0) -> Array:
    d = np.array([on if c == y else off for c in range(len(t))])
    return -np.log(1 + np.exp(-np.abs(t - np.where(d < 0, n + d, d)) / tau))


def mse_trace(x: Array, y: Array, tau: float = 5.0, order: int = 1) -> Array:
    total = np.zeros(x.shape[1])
    for t in range(len(x)):
        kernel = [math.comb(d + order - 1, d) * math.exp(-d / tau) for d in range(t, -1, -1)]
        total += (np.array(kernel) @ (x - y)[: t + 1]) ** 2
    return total / len(x)


def etc(x: Array, y: int, weight: float = 1.0, temperature: float = 4.0,
        teachers: Array | None = None) -> float:  # fmt: skip
    wise = None if teachers is None else [teachers]
    return float(-logs(x.mean(0))[y] + weight * step_consistency([x], temperature, wise)[0])


def tks(x: Array, y: int, share: float = 0.5, temperature: float = 1.0) -> float:
    """By `SharedKnowledge`: the teacher is the sum of the steps that are right."""
    shared = sum((step for step in x if step.argmax() == y), np.zeros(N))
    q, soft = np.exp(logs(shared / temperature)), 0.0
    for step in x:
        soft -= temperature**2 * (q * logs(step)).sum() / len(x)
    return float((1 - share) * -logs(x.mean(0))[y] + share * soft)


def self_kd_steps(x: Array, y: int, weight: float = 1.0, teacher: str = "correct",
                  temperature: float = 3.0, teachers: Array | None = None) -> float:  # fmt: skip
    """By `SelfDistillation`: the teacher is made of steps, and has no derivative."""
    steps = list(x if teachers is None else teachers)
    right = [step for step in steps if step.argmax() == y]
    z = sum(right if teacher == "correct" else steps, np.zeros(N))
    z = z / max(len(right if teacher == "correct" else steps), 1)
    if teacher == "swapped":
        best = int(z.argmax())
        z[best], z[y] = z[y], z[best]
    q, total = logs(z / temperature), 0.0
    for step in x:
        far = temperature**2 * (np.exp(q) * (q - logs(step / temperature))).sum()
        taught = teacher != "correct" or bool(right)
        total += -logs(step)[y] + (weight * far if taught else 0.0)
    return float(total / len(x))


TAUGHT = (etc, self_kd_steps)
WHOLE = ("tks", "self_kd_steps")
PRESETS: dict[str, tuple[Callable[..., Any], tuple[Options, ...]]] = {
    "etc": (etc, ({}, {"weight": 0.3}, {"temperature": 0.5})),
    "tks": (tks, ({}, {"share": 0.25}, {"temperature": 3.0})),
    "self_kd_steps": (
        self_kd_steps,
        ({}, {"weight": 0.3}, {"teacher": "mean"}, {"teacher": "swapped", "temperature": 0.5}),
    ),
    "tet": (tet, ({}, {"share": 0.4}, {"level": -0.5})),
    "peak": (peak, ({}, {"width": 2}, {"on": 2.0}, {"off": -0.5}, {"others": 0.25})),
    "binary_peak": (peak, ({}, {"width": 1, "on": 0.5}, {"off": 0.25, "others": 3.0})),
    "ttfs_early_ce": (
        ttfs_early_ce,
        ({}, {"tau": 2.5}, {"early": 0.5}, {"early_tau": 2.0}, {"silent_delay": 3.0}),
    ),
    "ttfs_membrane_ce": (
        ttfs_membrane_ce,
        (
            {},
            {"tau": 2.5, "early": 0.5},
            {"threshold": 0.75},
            {"silent_slope": 3.0, "early_tau": 2.0},
        ),
    ),
    "target_time": (target_time, ({}, {"on": -1, "off": 0}, {"tau": 1.5})),
    "mse_trace": (mse_trace, ({}, {"tau": 1.5}, {"order": 2}, {"order": 3, "tau": 2.0})),
}


def data_of(name: str) -> tuple[Array, Array]:
    """A record and a target; two neurons of `times` are silent, one of them the right class."""
    marked = np.array([[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]])
    times = binary(seed=6)
    times[:, 0, 1] = times[:, 1, 0] = 0
    return {
        "binary_peak": (membranes(), marked * 1.0),
        "mse_trace": (spikes() / 5, binary()),
        "target_time": (times, LABELS),
        "ttfs_early_ce": (times, LABELS),
    }.get(name, (membranes(), LABELS))


@cache
def preset_oracle(name: str, at: int, layout: str) -> tuple[Array, Array]:
    """The loss of every sample, and the gradient of their sum."""
    formula, options = PRESETS[name][0], dict(PRESETS[name][1][at])
    delay = options.pop("silent_delay", 0.0)
    record, target = data_of(name)
    each, slope = [], np.zeros_like(record)
    for b, x in enumerate(cropped(record, layout)):
        n, steps = len(x), np.flatnonzero(MASKS[layout][:, b])
        y = target[steps, b] if target.ndim == 3 else target[b]
        if formula in (ttfs_early_ce, target_time):  # dt / dx = -1 there, or at the last step
            fired = x.any(0)
            there = np.where(fired, (x != 0).argmax(0), n - 1)
            t = np.where(fired, there, n - 1 + delay)
            call = lambda t, y=y, n=n: formula(t, y, n, **options)  # noqa: E731
            each.append(call(t))
            slope[steps[there], b, np.arange(N)] = -slopes(call, t)
        else:
            each.append(formula(x, y, **options))
            held = options | ({"teachers": x} if formula in TAUGHT else {})
            slope[steps, b] = slopes(lambda x, y=y, held=held: formula(x, y, **held), x)
    return np.array(each), slope


@every_library
@pytest.mark.parametrize(
    ("name", "at"), [(name, at) for name, (_, rows) in PRESETS.items() for at in range(len(rows))]
)
def test_presets(name: str, at: int, library: Library) -> None:
    record, target = data_of(name)
    make, options = getattr(presets, name), PRESETS[name][1][at]
    loss, each_loss = make(**options), make(**options, reduction=Each())
    assert each_loss == loss.replace(reduction=Each())
    for layout in layouts(library) if library is not JAX or not options else ():
        each, slope = preset_oracle(name, at, layout)
        assert slope.any()
        assert each.shape == ((B, N) if name in ("target_time", "mse_trace") else (B,))
        with library.precision():
            x, y = library.array(padded(record, layout)), library.array(target)
            steps = arrays(library, LAYOUTS[layout])
            if library is not JAX:
                same(each_loss(x, y, **steps), each)
                same(loss(x, y, **steps), each.mean())
                if name not in ("mse_trace", *WHOLE):
                    same(fed(loss, x, steps, y), each.mean())
            if library is not NUMPY:
                of = jax.jit(loss) if library is JAX else loss
                value, grad = library.value_and_grad(lambda x, f=of, y=y, s=steps: f(x, y, **s), x)
                same(value, each.mean())
                near(grad, slope / each.size)


def test_factors() -> None:
    for total, factors in (
        (presets.tet(), (0.95, 0.05)),
        (presets.etc(weight=0.5), (1.0, 0.5)),
        (presets.tks(share=0.75), (0.25, 0.75)),
        (presets.self_kd_steps(weight=2.0), (1.0, 2.0)),
        (presets.tet(share=0.25), (0.75, 0.25)),
        (presets.peak(), (1.0, 1.0)),
        (presets.peak(others=0.5), (1.0, 0.5)),
        (presets.binary_peak(others=2.0), (1.0, 2.0)),
        (presets.ttfs_early_ce(), (1.0, 0.005)),
        (presets.ttfs_early_ce(early=0.1), (1.0, 0.1)),
    ):
        assert isinstance(total, Total)
        assert tuple(factor for factor, _ in total.terms) == factors
        assert tuple(factor for factor, _ in (2.0 * total).terms) == tuple(2 * f for f in factors)


@quick
@pytest.mark.parametrize("name", WHOLE)
def test_class_weights_of_teachers(name: str, library: Library) -> None:
    """They weigh both terms, by the label."""
    record, _ = data_of(name)
    each = preset_oracle(name, 0, "whole")[0] * np.array(CLASS_WEIGHT)[LABELS]
    loss = getattr(presets, name)(class_weight=CLASS_WEIGHT, reduction=Each())
    with library.precision():
        x, y = library.array(record), library.array(LABELS)
        same(loss(x, y), each)
        plain = getattr(presets, name)(reduction=Each())
        same(plain(x, y, class_weight=library.array(np.array(CLASS_WEIGHT))), each)
        with pytest.raises(TypeError, match="loss: expected a readout of a stream"):
            loss.stream(y)


@every_library
def test_class_weights_of_tet(library: Library) -> None:
    """They weigh the cross-entropy: the level is that of every class of every sample."""
    record, _ = data_of("tet")
    each = np.array([tet(record[:, b], y, weight=CLASS_WEIGHT[y]) for b, y in enumerate(LABELS)])
    with library.precision():
        x, y, w = map(library.array, (record, LABELS, WEIGHT))
        same(presets.tet(class_weight=CLASS_WEIGHT)(x, y), each.mean())
        same(presets.tet()(x, y, class_weight=CLASS_WEIGHT), each.mean())
        loss = presets.tet(class_weight=CLASS_WEIGHT, reduction=Each())
        same(loss(x, y, sample_weight=w), WEIGHT * each)


# Fan-out


def fan_out(weight: Array, shape: tuple[int, ...], groups: int = 1, stride: int = 1,
            padding: int = 0, dilation: int = 1, transposed: bool = False) -> Array:  # fmt: skip
    """Connections of each input (C,H,W) by a weight that is not 0, one by one.

    From a coarse grid to a fine one: a convolution's outputs and inputs, the other way round if
    transposed.
    """
    kernel, size = np.array(weight.shape[2:]), np.array(shape[1:])
    reach = dilation * (kernel - 1) + 1 - 2 * padding
    coarse = size if transposed else (size - reach) // stride + 1
    fine = (size - 1) * stride + reach if transposed else size
    found = np.zeros(shape)
    for a, b, *tap in zip(*np.nonzero(weight), strict=True):
        channel = b + a // (weight.shape[0] // groups) * weight.shape[1]
        for place in np.ndindex(*coarse):
            far = np.array(place) * stride - padding + dilation * np.array(tap)
            if ((far >= 0) & (far < fine)).all():
                found[(a, *place) if transposed else (channel, *far)] += 1
    return found


def holes(weight: Array) -> Array:
    return weight * (np.random.default_rng(9).random(weight.shape) < 0.6)


CONVOLUTIONS: tuple[dict[str, int], ...] = (
    {}, {"padding": 1}, {"padding": 2, "stride": 2}, {"groups": 2, "padding": 1},
    {"groups": 4, "stride": 2}, {"dilation": 2, "padding": 1},
)  # fmt: skip


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_fan_out_of_convolutions(options: dict[str, int], transposed: bool, pruned: bool) -> None:
    module = (nn.ConvTranspose2d if transposed else nn.Conv2d)(4, 8, 3, **options)
    if pruned:
        module.weight.data = TORCH.array(holes(TORCH.to_numpy(module.weight)))
    kept = {key: value.clone() for key, value in module.state_dict().items()}
    weight = kept["weight"].numpy()
    wanted = fan_out(weight, (4, 6, 5), transposed=transposed, **options).ravel()
    found = synapses.of_module(module, (4, 6, 5))
    assert found == (wanted[0] if len(set(wanted)) == 1 else tuple(wanted))
    assert module.training
    assert all(torch.equal(kept[key], value) for key, value in module.state_dict().items())
    assert all(x.requires_grad and x.grad is None for x in module.parameters())
    record, penalty = binary(wanted.size), penalties.synaptic_operations(fan_out=found)
    same(penalty(record), (record.sum(0) * wanted).sum(-1).mean())
    for steps in LAYOUTS.values():
        operations = metrics.synaptic_operations(record, found, **steps)
        near(operations, np.asarray(penalty(record, **steps)))


def test_fan_out_of_linear() -> None:
    module = nn.Linear(7, 5).double()
    assert synapses.of_module(module, (7,)) == 5.0
    prune.random_unstructured(module, "weight", amount=0.4)
    assert synapses.of_module(module, (7,)) == tuple(module.weight_mask.sum(0).tolist())
    paths = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 5, bias=False))
    wanted = 5 * fan_out(np.ones((2, 1, 3, 3)), (1, 4, 4))
    assert synapses.of_module(paths, (1, 4, 4)) == tuple(wanted.ravel())


def test_fan_out_of_functions() -> None:
    weight = holes(np.random.default_rng(1).normal(size=(7, 5)))
    tree = {"dense": {"kernel": jnp.asarray(weight, jnp.float32), "bias": jnp.ones(5)}}
    found = synapses.of_function(
        lambda w, x: x @ w["dense"]["kernel"] + w["dense"]["bias"], tree, (7,)
    )
    assert found == tuple((weight != 0).sum(1))
    kernel = holes(np.random.default_rng(3).normal(size=(6, 4, 3, 3)))

    def conv(w: Any, x: Any) -> Any:
        layout = ("NHWC", "OIHW", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (2, 2), [(1, 1)] * 2, dimension_numbers=layout)

    wanted = fan_out(kernel, (4, 6, 5), stride=2, padding=1).transpose(1, 2, 0)
    found = synapses.of_function(conv, jnp.asarray(kernel, jnp.float32), (6, 5, 4))
    assert found == tuple(wanted.ravel())


NONLINEAR = (
    nn.ReLU(), nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.LeakyReLU(), nn.MaxPool1d(3),
    nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Sigmoid(), nn.Softmax(-1),
)  # fmt: skip


@pytest.mark.parametrize("module", NONLINEAR, ids=lambda module: type(module).__name__)
def test_nonlinear_modules_are_refused(module: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"^module: expected something linear in its input"):
        synapses.of_module(module, (3,))


@pytest.mark.parametrize("function", [jnp.tanh, jax.nn.relu, jnp.square, jnp.abs])
def test_nonlinear_functions_are_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="expected something linear in its input"):
        synapses.of_function(lambda w, x: function(x @ w), jnp.ones((3, 5)), (3,))


# The command line

LAYERS = {"hidden": HIDDEN, "output": OUTPUT, "membrane": membranes()}
UPPER, L1 = Row(rate_bounds, {"upper": 0.2}), Row(count_l1)


def everywhere(row: Row) -> Array:
    """Of the spikes of both layers."""
    return row.each(HIDDEN) + row.each(OUTPUT)


def stepwise(record: Array) -> Array:
    """The losses of `ce_rate`."""
    return np.array([-logs(record[:, b])[:, y].mean() for b, y in enumerate(LABELS)])


SPELLINGS: dict[str, tuple[str, Callable[[], Array]]] = {
    "ce_count + 0.1*rate_bounds(upper=0.2)": (
        "hidden output", lambda: entropy(OUTPUT) + 0.1 * everywhere(UPPER)),
    "2*ce_rate+1e-3*count_l1": (
        "hidden output", lambda: 2 * stepwise(OUTPUT) + 1e-3 * everywhere(L1)),
    "  ce_count  +  0.1 * rate_bounds ( upper = 0.2 ) ": (
        "hidden output", lambda: entropy(OUTPUT) + 0.1 * everywhere(UPPER)),
    "ce_count + -0.5*count_l1": (
        "hidden output", lambda: entropy(OUTPUT) - 0.5 * everywhere(L1)),
    "-2*ce_count": ("output", lambda: -2 * entropy(OUTPUT)),
    "ce_count + 0.1*count_l1(layers='hidden')": (
        "hidden output", lambda: entropy(OUTPUT) + 0.1 * L1.each(HIDDEN)),
    "ce_count + ce_rate + count_l1(layers=('output',))": (
        "output", lambda: entropy(OUTPUT) + stepwise(OUTPUT) + L1.each(OUTPUT)),
    "ce_count + 2*membrane_bounds": (
        "membrane output", lambda: entropy(OUTPUT) + 2 * Row(membrane_bounds).each(membranes())),
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_spellings(text: str) -> None:
    layers, formula = SPELLINGS[text]
    found = find(text)
    assert found.spelling == text.replace(" ", "").replace("+", " + ").replace("1e-3", "0.001")
    assert find(found.spelling) == found
    assert found.preset.name == ("ce_rate" if text.startswith("2*") else "ce_count")
    found.check(25, 10)
    assert sorted(found.layers) == layers.split()
    same(found.loss({name: LAYERS[name] for name in found.layers}, LABELS), formula().mean())


@pytest.mark.parametrize("name", ["tet", "peak", "ttfs_early_ce"])
def test_a_preset_that_is_a_sum_reads_its_own_record(name: str) -> None:
    """Spelled alone or in a sum, every term of it reads the output layer, never the hidden one."""
    alone, added = find(name), find(f"2*{name} + 0.5*count_l1")
    assert "hidden" not in alone.layers
    own = LAYERS["membrane" if alone.reads == "membrane" else "output"]
    wanted = 2 * getattr(presets, name)()(own, LABELS) + 0.5 * everywhere(L1).mean()
    same(added.loss({layer: LAYERS[layer] for layer in added.layers}, LABELS), wanted)


@pytest.mark.parametrize("text", ["rate_bounds", "0.1*count_l1", "rate_bounds + count_l1"])
def test_penalties_alone_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^objective: expected one that learns labels.*penalty"):
        find(text).check(25, 10)


BAD = (
    "nope", "ce_count + nope", "", "ce_count +", "+ ce_count", "ce_count + + count_l1",
    "ce_count count_l1", "0.1*", "*ce_count", "ce_count*0.1", "ce_count(", "1e*ce_count",
    "x*ce_count", "1e999*ce_count", "ce_count + 0.1*rate_bounds(upper=",
    "ce_count + rate_bounds(uper=0.2)", "ce_count + rate_bounds(upper=__import__('os'))",
    "ce_count + rate_bounds(0.2)", "ce_count + rate_bounds(power=3)",
)  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_bad_spellings(text: str) -> None:
    with pytest.raises(InputError, match=r"^objective: expected"):
        find(text)


# Sums


def test_a_penalty_never_decides() -> None:
    labels = np.array([0, 2, 1, 1, 0])
    record = np.random.default_rng(0).random((7, 5, 3)) < 0.4
    loss = presets.ce_count()
    first = 0.1 * penalties.rate_bounds(population=True) + loss
    assert first.main == loss
    assert first.of_labels
    assert np.array_equal(first.predict(record), loss.predict(record))
    assert first.accuracy(record, labels) == loss.accuracy(record, labels)
    stream = first.stream(labels).steps(record)
    assert np.array_equal(stream.predict(), loss.predict(record))
    assert penalties.rate_bounds().main == penalties.rate_bounds()
    assert metrics.top_k(first, record, labels, k=2) == metrics.top_k(loss, record, labels, k=2)


def test_sum_and_replace() -> None:
    loss, penalty = presets.ce_count(), penalties.rate_bounds()
    assert sum([loss, penalty]) == loss + penalty
    weighted = (loss + 0.5 * penalty).replace(class_weight=(1.0, 2.0, 0.5), reduction=Each())
    assert weighted.terms[0][1] == loss.replace(class_weight=(1.0, 2.0, 0.5), reduction=Each())
    assert weighted.terms[1][1] == penalty.replace(reduction=Each())
    assert presets.tet().replace(class_weight=(1.0, 2.0)).main.class_weight == (1.0, 2.0)


@slow_in_jax
def test_terms_add_up_before_they_are_rounded(library: Library) -> None:
    record = library.array(np.ones((1000, 2, 128)), "float16")
    labels = library.array(np.zeros(2, int))
    objective = presets.ce_count() + 1e-6 * penalties.count_l1()  # 128000 is no float16
    wanted = np.asarray(math.log(128) + 0.128)
    assert abs(float(objective(record, labels)) - wanted) < 0.004
    stream = objective.stream(labels).steps(record)
    assert abs(float(stream.value()) - wanted) < 0.004
    layers = {"a": record, "b": record}
    assert abs(float((1e-6 * penalties.count_l1())(layers)) - 0.256) < 0.001


def test_batch_statistics_in_vmap() -> None:
    records = torch.rand(2, 4, 5, 3).double()
    for loss in (penalties.rate_percentile(upper=0.1), penalties.rate_target()):
        found = torch.func.vmap(loss)(records)
        same(found, np.array([float(loss(record)) for record in records]))


def test_a_percentile_with_nan_is_nan() -> None:
    record = np.array([[[1.0, 1.0], [np.nan, 2.0], [3.0, 9.0], [9.0, 3.0]]])
    found = BatchPercentile(SumOverTime(), percentile=50.0)(record)
    same(found[0], np.array([np.nan, 2.5]))


def test_counting_synapses_leaves_a_module_alone() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    before = {name: x.clone() for name, x in module.state_dict().items()}
    synapses.of_module(module, (1, 4, 4))
    for name, x in module.state_dict().items():
        assert torch.equal(x, before[name])
        assert x.dtype == before[name].dtype
