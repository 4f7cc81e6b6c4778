"""The oracles themselves: derivatives against central differences, and numbers made by hand.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes, F=2 spikes: no two axes are equal.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracles import (
    CRITERIA,
    PRESETS,
    READOUTS,
    TARGETS,
    Array,
    Objective,
    Stage,
    batch,
    predict,
    sample,
)

T, B, N, C, F = 7, 5, 6, 3, 2
LENGTHS = np.array([7, 1, 4, 6, 3])
LABELS = np.array([2, 0, 1, 2, 1])
WEIGHT = np.array([0.5, 2.0, 3.0])
STEP = 1e-6


def normal(*shape: int, seed: int = 0) -> Array:
    """Numbers without ties, of both signs."""
    return np.random.default_rng(seed).normal(size=shape)


def spikes(*shape: int, seed: int = 0) -> Array:
    """A random record of zeros and ones, about one entry in three firing."""
    return (np.random.default_rng(seed).random(shape) < 0.3).astype(np.float64)


def differences(f: Callable[[Array], Any], x: Array) -> Array:
    """df/dx, of shape f.shape + x.shape, by central differences."""
    columns = []
    for index in np.ndindex(*x.shape):
        moved = np.zeros(x.shape)
        moved[index] = STEP
        columns.append((np.asarray(f(x + moved)) - np.asarray(f(x - moved))) / (2 * STEP))
    return np.stack(columns, -1).reshape(np.shape(columns[0]) + x.shape)


# Readouts

SMOOTH: dict[str, tuple[Stage, int]] = {
    "EveryStep": (("EveryStep", {}), T),
    "SumOverTime": (("SumOverTime", {}), T),
    "MeanOverTime": (("MeanOverTime", {}), T),
    "Maximum": (("Maximum", {}), T),
    "LastStep": (("LastStep", {}), T),
    "Decided": (("Decided", {}), 1),
    "sum of counts": (("Population", {"of": ("SumOverTime", {}), "classes": C}), T),
    "mean of steps": (
        ("Population", {"of": ("EveryStep", {}), "classes": C, "pool": "mean"}),
        T,
    ),
    "cooled maximum": (("Temperature", {"of": ("Maximum", {}), "scale": 2.5}), T),
    "PeakWindow": (("PeakWindow", {"width": 3}), T),
    "weighted count": (("Weighted", {"of": ("SumOverTime", {}), "weights": -0.5}), T),
    "weighted steps": (
        ("Weighted", {"of": ("EveryStep", {}), "weights": (1.0, -2.0, 0.0, 3.0, 0.5, 4.0)}),
        T,
    ),
}


@pytest.mark.parametrize("case", SMOOTH)
def test_readout_derivative(case: str) -> None:
    (name, options), steps = SMOOTH[case]
    x = normal(steps, N)
    z, dz = READOUTS[name](x, **options)
    assert dz.shape == z.shape + x.shape
    assert_allclose(dz, differences(lambda v: READOUTS[name](v, **options)[0], x), atol=1e-8)


def test_readouts_by_hand() -> None:
    x = np.array([[1.0, -3.0], [4.0, -1.0], [4.0, -2.0]])
    assert_array_equal(READOUTS["EveryStep"](x)[0], x)
    assert_array_equal(READOUTS["SumOverTime"](x)[0], [9, -6])
    assert_array_equal(READOUTS["MeanOverTime"](x)[0], [3, -2])
    assert_array_equal(READOUTS["LastStep"](x)[0], [4, -2])
    z, dz = READOUTS["Maximum"](x)
    assert_array_equal(z, [4, -1])
    assert_array_equal(dz[0], [[0, 0], [1, 0], [0, 0]])  # the first of two equal maxima


def test_decided_has_one_step() -> None:
    assert_array_equal(READOUTS["Decided"](np.array([[5.0, 6.0]]))[0], [5, 6])
    with pytest.raises(ValueError, match="one step"):
        READOUTS["Decided"](np.zeros((2, N)))


# Neurons: fires at 1 and 3; at 0 with other amplitudes; at the last step; never.
WRITTEN = np.array(
    [
        [0.0, -0.5, 0.0, 0.0],
        [1.0, 2.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [1.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
    ]
)


def test_first_spike_by_hand() -> None:
    z, dz = READOUTS["FirstSpike"](WRITTEN)
    assert_array_equal(z, [1, 0, 4, 4])
    expected = np.zeros((4, 5, 4))
    expected[0, 1, 0] = expected[1, 0, 1] = expected[2, 4, 2] = expected[3, 4, 3] = -1
    assert_array_equal(dz, expected)


@pytest.mark.parametrize(
    ("code", "values", "slopes"),
    [
        ("time", [1, 0, 4, 4], [-1, -1, -1, -1]),
        ("negative", [-1, 0, -4, -4], [1, 1, 1, 1]),
        ("reciprocal", [1 / 2, 1, 1 / 5, 1 / 5], [1 / 4, 1, 1 / 25, 1 / 25]),
    ],
)
def test_codes_of_the_first_spike(code: str, values: list[float], slopes: list[float]) -> None:
    z, dz = READOUTS["FirstSpike"](WRITTEN, code=code)
    assert_allclose(z, values)
    assert_allclose([dz[i, t, i] for i, t in enumerate([1, 0, 4, 4])], slopes)
    assert np.count_nonzero(dz) == 4


def test_policy_for_silence() -> None:
    z, dz = READOUTS["FirstSpike"](WRITTEN, silent_delay=3.0, silent_gradient=False)
    assert_array_equal(z, [1, 0, 4, 7])
    assert_array_equal(dz[3], np.zeros((5, 4)))
    z, dz = READOUTS["FirstSpike"](WRITTEN, silent_delay=5.0, code="reciprocal")
    assert_allclose(z[3], 1 / 10)
    assert_allclose(dz[3, 4, 3], 1 / 100)


def test_spike_times_by_hand() -> None:
    z, dz = READOUTS["SpikeTimes"](WRITTEN, count=3)
    assert_array_equal(z, [[1, 0, 4, 4], [3, 1, 4, 4], [4, 3, 4, 4]])
    assert dz.shape == (3, 4, 5, 4)
    assert_array_equal(dz.sum(0)[0, :, 0], [0, -1, 0, -1, -1])
    assert_array_equal(dz.sum(0)[1, :, 1], [-1, -1, 0, -1, 0])
    assert_array_equal(dz.sum(0)[2, :, 2], [0, 0, 0, 0, -3])  # one spike and two missing ones
    z, dz = READOUTS["SpikeTimes"](WRITTEN, count=3, silent_gradient=False)
    assert_array_equal(dz.sum(0)[2, :, 2], [0, 0, 0, 0, -1])
    assert_array_equal(dz[:, 3], np.zeros((3, 5, 4)))


def test_soft_count_by_hand() -> None:
    def share(distance: float) -> float:
        return 1 / (1 + math.exp(-distance / 2))

    z, dz = READOUTS["SoftCount"](WRITTEN, count=2, tau=2.0, latency=0.25)
    # n = 5: spikes 1 and 3; 0 and 1, not 3; 4; none, which is as late as 5
    values = [share(4) + share(2) - 0.25, share(5) + share(4), share(1) - 1, -1.25]
    assert_allclose(z, values)
    expected = np.zeros((4, 5, 4))
    for i, t in [(0, 1), (0, 3), (1, 0), (1, 1), (2, 4)]:
        expected[i, t, i] = share(5 - t) * (1 - share(5 - t)) / 2
    for i, t in enumerate([1, 0, 4, 4]):
        expected[i, t, i] += 0.25
    assert_allclose(dz, expected)


def test_peak_window_by_hand() -> None:
    x = np.array([[1.0, 0.0], [4.0, 0.0], [2.0, 1.0], [4.0, 3.0]])
    z, dz = READOUTS["PeakWindow"](x, width=2)
    assert_array_equal(z, [3, 3])  # from the first of two equal maxima; one step is left
    assert_array_equal(dz[0, :, 0], [0, 0.5, 0.5, 0])
    assert_array_equal(dz[1, :, 1], [0, 0, 0, 1])
    assert_array_equal(READOUTS["PeakWindow"](x, width=1)[0], [4, 3])


def test_weighted_by_hand() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    for weights, expected in [(2.0, [8, 12]), ((2.0, -1.0), [8, -6])]:
        z, dz = READOUTS["Weighted"](x, of=("SumOverTime", {}), weights=weights)
        assert_array_equal(z, expected)
        assert_array_equal(dz[1, :, 1], [expected[1] / 6] * 2)
    steps, _ = READOUTS["Weighted"](x, of=("EveryStep", {}), weights=(2.0, -1.0))
    assert_array_equal(steps, [[2, -2], [6, -4]])
    with pytest.raises(ValueError, match="one number or 2, got 3"):
        READOUTS["Weighted"](x, of=("SumOverTime", {}), weights=(1.0, 2.0, 3.0))


def test_weighted_objectives() -> None:
    late: Stage = ("SpikeTimes", {"count": 3})
    objective = Objective(("Weighted", {"of": late, "weights": 2.0}), ("SquaredError", {}))
    assert_array_equal(sample(objective, WRITTEN, np.ones((3, 4)))[0][:, 0], [1, 25, 49])
    record = np.stack([WRITTEN, WRITTEN], 1)
    assert batch(objective, record, np.ones((3, 2, 4)), reduction="none")[0].shape == (3, 2, 4)
    assert_array_equal(predict(objective, record), [1, 1])
    counts: Stage = ("Weighted", {"of": ("SumOverTime", {}), "weights": (2.0, 3.0)})
    rates = Objective(counts, ("SquaredError", {}), ("OnOffRate", {"on": 0.5, "off": 0.25}))
    assert_array_equal(sample(rates, np.zeros((4, 2)), 0)[0], [4**2, 3**2])


def test_population_groups_are_contiguous() -> None:
    x = np.array([[1.0, 2, 10, 20, 100, 200], [0, 1, 0, 1, 0, 1]])
    of: Stage = ("SumOverTime", {})
    assert_array_equal(READOUTS["Population"](x, of=of, classes=3)[0], [4, 31, 301])
    pooled = READOUTS["Population"](x, of=of, classes=2, pool="mean")[0]
    assert_allclose(pooled, [14 / 3, 322 / 3])
    steps = READOUTS["Population"](x, of=("EveryStep", {}), classes=3)[0]
    assert_array_equal(steps, [[3, 30, 300], [1, 1, 1]])
    halved = READOUTS["Temperature"](x, of=("Population", {"of": of, "classes": 3}), scale=2.0)
    assert_array_equal(halved[0], [2, 15.5, 150.5])
    with pytest.raises(ValueError, match="divisor of 6"):
        READOUTS["Population"](x, of=of, classes=4)


# Criteria


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("y", [1, np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.0, 1.0])])
def test_cross_entropy_derivative(y: Any, smoothing: float, weight: Array | None) -> None:
    f, z = CRITERIA["CrossEntropy"], normal(C)
    _, slope = f(z, y, weight=weight, label_smoothing=smoothing)
    numeric = differences(lambda v: f(v, y, weight=weight, label_smoothing=smoothing)[0], z)
    assert_allclose(slope, numeric, atol=1e-8)


def test_cross_entropy_by_hand() -> None:
    f = CRITERIA["CrossEntropy"]
    each, slope = f(np.zeros(2), 1)
    assert_allclose(each, math.log(2))
    assert_allclose(slope, [0.5, -0.5])
    assert_allclose(f(np.log([1.0, 2.0, 5.0]), 2)[0], math.log(8 / 5))
    assert_allclose(f(np.log([1.0, 2.0, 5.0]), 2, weight=WEIGHT)[0], 3 * math.log(8 / 5))
    assert_allclose(f(np.zeros(3), np.array([1.0, 1.0, 0.0]), weight=WEIGHT)[0], 2.5 * math.log(3))
    assert_allclose(f(np.zeros(3), 0, weight=[1, 2, 3], label_smoothing=0.3)[0], 1.3 * math.log(3))


def test_cross_entropy_of_extreme_scores() -> None:
    f = CRITERIA["CrossEntropy"]
    assert_allclose(f(np.array([1e5, 1e5 - 1.0]), 0)[0], math.log1p(math.exp(-1)))
    each, slope = f(np.array([0.0, -np.inf, 0.0]), 0)
    assert_allclose(each, math.log(2))
    assert_allclose(slope, [-0.5, 0, 0.5])
    assert f(np.array([0.0, -np.inf]), 1)[0] == math.inf
    assert math.isnan(f(np.array([0.0, np.nan]), 0)[0])


ERRORS = [
    {},
    {"tolerance": 0.5},
    {"delta": 0.4},
    {"steps_power": 2},
    {"tolerance": 0.3, "delta": 0.7, "steps_power": 1},
]


@pytest.mark.parametrize("options", ERRORS)
def test_squared_error_derivative(options: dict[str, Any]) -> None:
    f, z, y = CRITERIA["SquaredError"], normal(9), normal(9, seed=1)
    _, slope = f(z, y, n=T, **options)
    numeric = differences(lambda v: f(v, y, n=T, **options)[0], z)
    assert_allclose(np.diag(slope), numeric, atol=1e-8)


def test_squared_error_by_hand() -> None:
    f, y = CRITERIA["SquaredError"], np.array([1.0, 1.0, 1.0])
    z = np.array([1.5, 3.0, -2.0])
    assert_array_equal(f(z, y, n=4)[0], [0.25, 4, 9])
    assert_array_equal(f(z, y, n=4, steps_power=1)[0], [0.0625, 1, 2.25])
    assert_array_equal(f(z, y, n=4, delta=2.0)[0], [0.25, 4, 8])
    assert_array_equal(f(z, y, n=4, delta=2.0)[1], [1, 4, -4])
    each, slope = f(z, y, n=4, tolerance=2.0)  # strict: an error of exactly 2 is one
    assert_array_equal(each, [0, 4, 9])
    assert_array_equal(slope, [0, 4, -6])


PENALTIES: list[tuple[str, dict[str, Any], Any]] = [
    ("Bounds", {"lower": -0.5, "upper": 0.3}, np.zeros(9)),
    ("Bounds", {"upper": 0.1, "power": 1, "pool": "sum"}, np.zeros(9)),
    ("Deviation", {"value": 0.2}, np.zeros(9)),
    ("Deviation", {"value": -0.1, "power": 1, "pool": "sum"}, np.zeros(9)),
    ("Quantised", {"levels": (0.2, -1.0, 1.0)}, np.zeros(9)),
    ("Quantised", {"power": 1}, np.zeros(9)),
    ("EarlySpike", {"tau": 0.7}, 4),
    ("TimeProximity", {"tau": 0.7}, normal(9, seed=1)),
    ("Level", {"level": 0.4}, normal(9, seed=2) ** 2),
    ("Level", {"level": 0.4, "others": True}, np.eye(9)[3]),
]


@pytest.mark.parametrize(("name", "options", "y"), PENALTIES)
def test_penalty_derivative(name: str, options: dict[str, Any], y: Any) -> None:
    f, z = CRITERIA[name], normal(9)
    each, slope = f(z, y, n=T, **options)
    numeric = differences(lambda v: f(v, y, n=T, **options)[0], z)
    assert_allclose(np.diag(slope) if np.ndim(each) else slope, numeric, atol=1e-8)


def test_bounds_by_hand() -> None:
    f, z, y = CRITERIA["Bounds"], np.array([-2.0, 0.0, 1.0, 4.0]), np.zeros(4)
    each, slope = f(z, y, n=T, lower=0.0, upper=1.0)
    assert each == (4 + 9) / 4
    assert_array_equal(slope, [-1, 0, 0, 1.5])
    each, slope = f(z, y, n=T, lower=0.0, upper=1.0, power=1, pool="sum")
    assert each == 2 + 3
    assert_array_equal(slope, [-1, 0, 0, 1])  # none at a bound
    assert f(z, y, n=T, lower=0.0)[0] == 1
    assert f(z, y, n=T)[0] == 0


def test_deviation_by_hand() -> None:
    f, z, y = CRITERIA["Deviation"], np.array([-2.0, 0.0, 1.0, 4.0]), np.zeros(4)
    each, slope = f(z, y, n=T, value=1.0)
    assert each == (9 + 1 + 9) / 4
    assert_array_equal(slope, [-1.5, -0.5, 0, 1.5])
    each, slope = f(z, y, n=T, value=1.0, power=1, pool="sum")
    assert each == 3 + 1 + 3
    assert_array_equal(slope, [-1, -1, 0, 1])  # none at the value


def test_quantised_by_hand() -> None:
    f, z, y = CRITERIA["Quantised"], np.array([-1.0, 0.5, 1.0, 1.25]), np.zeros(4)
    each, slope = f(z, y, n=T)
    assert each == (1 + 0.25 + 0.0625) / 4
    assert_array_equal(slope, [-0.5, 0.25, 0, 0.125])  # 0.5 is drawn to the lower level
    assert_array_equal(f(z, y, n=T, levels=(1.0, 0.0))[1], slope)
    each, slope = f(z, y, n=T, power=1)
    assert each == (1 + 0.5 + 0.25) / 4
    assert_array_equal(slope, [-0.25, 0.25, 0, 0.25])


def test_early_spike_by_hand() -> None:
    f = CRITERIA["EarlySpike"]
    each, slope = f(np.array([3.0, 2.0]), 1, n=T, tau=2.0)
    assert_allclose(each, math.e - 1)
    assert_allclose(slope, [0, math.e / 2])
    each, slope = f(np.array([3.0, 200.0]), 1, n=T, tau=2.0)
    assert_allclose(each, math.exp(80))
    assert_array_equal(slope, [0, 0])


def test_time_proximity_by_hand() -> None:
    z, y = np.array([1.0, 3.0, 2.0, 5e4]), np.array([1.0, 1.0, 4.0, 0.0])
    each, slope = CRITERIA["TimeProximity"](z, y, n=T, tau=2.0)
    apart = -math.log(1 + math.exp(-1))
    assert_allclose(each, [-math.log(2), apart, apart, 0])
    assert_allclose(slope, [0, 0.5 / (1 + math.e), -0.5 / (1 + math.e), 0])


def test_level_by_hand() -> None:
    f, z, y = CRITERIA["Level"], np.array([3.0, 0.0, 2.0]), np.array([1.0, 0.0, 0.5])
    each, slope = f(z, y, n=T)
    assert_allclose(each, (4 + 0.5) / 1.5)
    assert_allclose(slope, [4 / 1.5, 0, 1 / 1.5])
    each, slope = f(z, y, n=T, level=0.0, others=True)
    assert_allclose(each, 0.5 * 4 / 1.5)
    assert_allclose(slope, [0, 0, 2 / 1.5])
    for targets, others in [(np.zeros(3), False), (np.ones(3), True)]:
        each, slope = f(z, targets, n=T, others=others)
        assert each == 0
        assert_array_equal(slope, [0, 0, 0])


def test_criteria_of_torch() -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    z, weight = torch.tensor(normal(B, C)), torch.tensor(WEIGHT)
    soft = torch.softmax(torch.tensor(normal(B, C, seed=1)), -1)
    scores = z.numpy()[None]
    for target in (torch.tensor(LABELS), soft):
        for smoothing in (0.0, 0.3):
            objective, _ = PRESETS["cross_entropy"](label_smoothing=smoothing)
            for ours, theirs in (("none", "none"), ("weights", "mean"), ("sum", "sum")):
                value, _ = batch(
                    objective, scores, target.numpy(), reduction=ours, class_weight=WEIGHT
                )
                expected = functional.cross_entropy(
                    z, target, weight, label_smoothing=smoothing, reduction=theirs
                )
                assert_allclose(value, expected.numpy(), rtol=1e-12)
    huber = functional.huber_loss(z[0], soft[0], reduction="none", delta=0.4)
    each, _ = CRITERIA["SquaredError"](scores[0, 0], soft[0].numpy(), n=T, delta=0.4)
    assert_allclose(each, 2 * huber.numpy(), rtol=1e-12)


# Targets


def test_targets_by_hand() -> None:
    assert_array_equal(TARGETS["OnOff"](1, C, T, 1.0, on=1.0, off=-1.0), [-1, 1, -1])
    assert_allclose(TARGETS["OnOffRate"](0, C, 100, 100.0, on=0.29, off=0.125), [29, 12.5, 12.5])
    assert_array_equal(TARGETS["OnOffTime"](2, C, T, 1.0), [6, 6, 0])
    assert_array_equal(TARGETS["OnOffTime"](2, C, T, 1.0, on=-2, off=3), [3, 3, 5])
    several = TARGETS["OnOffTime"](0, C, T, 1.0, on=(0, 2), off=(-2, -1))
    assert_array_equal(several, [[0, 5, 5], [2, 6, 6]])


# Objectives, one sample


def test_silent_record_costs_the_log_of_the_classes() -> None:
    silent = np.zeros((T, N))
    for name in ("ce_rate", "ce_count", "ce_max_membrane", "ce_temporal"):
        assert_allclose(sample(PRESETS[name]()[0], silent, 4)[0], math.log(N))
    for name in ("ce_rate", "ce_count"):
        assert_allclose(sample(PRESETS[name](classes=C)[0], silent, 1)[0], math.log(C))
    assert_allclose(sample(PRESETS["cross_entropy"]()[0], np.zeros((1, 2)), 0)[0], math.log(2))


def test_ce_rate_and_ce_count_by_hand() -> None:
    x = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    right = math.log1p(math.exp(-1))
    rate, grad, weight, counted = sample(PRESETS["ce_rate"]()[0], x, 0, class_weight=[3.0, 1.0])
    assert_allclose(rate, 3 * (2 * right + math.log(2)) / 3)
    assert_allclose(grad[1], 3 * np.array([-0.5, 0.5]) / 3)
    assert (weight, counted) == (3.0, True)
    assert_allclose(sample(PRESETS["ce_count"]()[0], x, 1)[0], math.log1p(math.exp(2)))


def test_mse_count_by_hand() -> None:
    x = np.array([[1.0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]])
    loss, grad, _, _ = sample(PRESETS["mse_count"]()[0], x, 0)
    assert_array_equal(loss, np.array([(2 - 4) ** 2, 0, 1, 0, 0, 1]) / 4)
    assert_array_equal(grad[0, :, 0], [-1, -1, -1, -1])
    pooled, _, _, _ = sample(PRESETS["mse_count"](on=0.5, off=0.25, classes=3)[0], x, 0)
    assert_array_equal(pooled, np.array([(2 - 4) ** 2, (1 - 2) ** 2, (1 - 2) ** 2]) / 4)
    unrounded, _, _, _ = sample(PRESETS["mse_count"](on=0.29)[0], np.zeros((100, 2)), 1)
    assert_allclose(unrounded, [0, 29**2 / 100])


def test_mse_membrane_by_hand() -> None:
    loss, _, _, _ = sample(PRESETS["mse_membrane"]()[0], np.zeros((T, 4)), 3)
    assert_array_equal(loss, [0, 0, 0, 1])
    assert loss.mean() == 0.25
    x = np.array([[1.0, -1.0], [0.0, -1.0]])
    loss, grad, weight, _ = sample(
        PRESETS["mse_membrane"](off=-1.0)[0], x, 0, class_weight=[4.0, 1.0]
    )
    assert_array_equal(loss, [4 * 0.5, 0])
    assert_array_equal(grad[0, :, 0], [0, -4])
    assert weight == 4.0


def test_mse_temporal_by_hand() -> None:
    objective, _ = PRESETS["mse_temporal"]()
    together = np.ones((5, 3))
    assert_array_equal(sample(objective, together, 1)[0], [16 / 25, 0, 16 / 25])
    loss, grad, _, _ = sample(objective, WRITTEN, 0)  # times 1 0 4 4 against 0 4 4 4
    assert_allclose(loss, [1 / 25, 16 / 25, 0, 0])
    assert_allclose(grad[0, 1, 0], -2 / 25)
    assert_allclose(grad[1, 0, 1], 8 / 25)
    tolerant = PRESETS["mse_temporal"](tolerance=2.0)[0]
    assert_allclose(sample(tolerant, WRITTEN, 0)[0], [0, 16 / 25, 0, 0])
    given = Objective(("FirstSpike", {}), ("SquaredError", {}))
    assert_array_equal(sample(given, WRITTEN, np.array([1, 2, 3, 4]))[0], [0, 4, 1, 0])


def test_several_spikes_by_hand() -> None:
    objective, _ = PRESETS["mse_temporal"](on=(0, 1), off=(3, -1))
    loss, grad, _, _ = sample(objective, WRITTEN, 1)  # (1 0 4 4) (3 1 4 4), off 3 and 4
    assert_allclose(loss, np.array([[4, 0, 1, 1], [1, 0, 0, 0]]) / 25)
    assert grad.shape == (2, 4, 5, 4)
    assert_allclose(grad.sum(0)[3, :, 3], [0, 0, 0, 0, -2 / 25])


def test_ce_temporal_by_hand() -> None:
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # times 1 and 2
    loss, grad, _, _ = sample(PRESETS["ce_temporal"]()[0], x, 0)
    assert_allclose(loss, math.log1p(math.exp(-1)))
    wrong = 1 / (1 + math.exp(1))
    assert_allclose(grad, np.array([[0.0, 0.0], [-wrong, 0.0], [0.0, wrong]]))
    loss, _, _, _ = sample(PRESETS["ce_temporal"](code="reciprocal")[0], x, 0)
    assert_allclose(loss, math.log1p(math.exp(1 / 3 - 1 / 2)))


def test_labels_that_change_with_the_steps() -> None:
    x = normal(T, C)
    labels = np.array([2, 0, -100, 1, 1, -100, 0])
    criterion = ("CrossEntropy", {"ignore_index": -100})
    objective = Objective(("EveryStep", {}), criterion)
    loss, grad, weight, counted = sample(objective, x, labels, class_weight=WEIGHT)
    kept = [t for t in range(T) if labels[t] != -100]
    each = [CRITERIA["CrossEntropy"](x[t], int(labels[t]), weight=WEIGHT)[0] for t in kept]
    assert_allclose(loss, sum(each) / 5)
    assert_allclose(weight, (3 + 0.5 + 2 + 2 + 0.5) / 5)
    assert_array_equal(grad[[2, 5]], 0)
    assert counted
    loss, grad, weight, counted = sample(objective, x, np.full(T, -100))
    assert (loss, weight, counted) == (0.0, 0.0, False)
    assert_array_equal(grad, np.zeros((T, C)))
    with pytest.raises(ValueError, match="EveryStep"):
        sample(Objective(("SumOverTime", {}), criterion), x, labels)
    with pytest.raises(ValueError, match="labels from 0 to 2"):
        sample(objective, x, 3)


# Objectives, a batch

CHOICES: dict[str, tuple[Objective, Any, int]] = {
    "ce_rate": (PRESETS["ce_rate"](classes=C)[0], LABELS, T),
    "ce_rate, labels per step": (
        PRESETS["ce_rate"](classes=C)[0],
        np.random.default_rng(3).integers(0, C, (T, B)),
        T,
    ),
    "ce_rate, probabilities per step": (
        PRESETS["ce_rate"](classes=C)[0],
        np.random.default_rng(3).random((T, B, C)),
        T,
    ),
    "ce_count": (PRESETS["ce_count"](classes=C)[0], LABELS, T),
    "ce_max_membrane": (PRESETS["ce_max_membrane"]()[0], LABELS, T),
    "mse_count": (PRESETS["mse_count"](on=0.8, off=0.1, classes=C)[0], LABELS, T),
    "mse_membrane": (PRESETS["mse_membrane"](off=-1.0)[0], LABELS, T),
    "cross_entropy": (PRESETS["cross_entropy"](label_smoothing=0.1)[0], LABELS, 1),
    "values for all samples": (
        Objective(("MeanOverTime", {}), ("SquaredError", {"delta": 0.5})),
        normal(N, seed=4),
        T,
    ),
    "values per sample": (Objective(("LastStep", {}), ("SquaredError", {})), normal(B, N), T),
    "values per step": (Objective(("EveryStep", {}), ("SquaredError", {})), normal(T, B, N), T),
}


@pytest.mark.parametrize("reduction", ["samples", "weights", "sum", "none"])
@pytest.mark.parametrize("choice", CHOICES)
def test_gradient_of_a_batch(choice: str, reduction: str) -> None:
    objective, target, steps = CHOICES[choice]
    record, labels = normal(steps, B, N, seed=5), np.asarray(target).dtype.kind == "i"
    options: dict[str, Any] = {
        "lengths": LENGTHS if steps == T else None,
        "reduction": reduction,
        "class_weight": None,
        "sample_weight": np.array([1.0, 0.0, 2.5, 0.3, 4.0]),
    }
    if labels:
        options["class_weight"] = np.arange(1, 1 + objective.readout[1].get("classes", N))
    value, grad = batch(objective, record, target, **options)
    assert grad.shape == record.shape
    for seed in range(3):
        direction = normal(*record.shape, seed=seed + 10)
        ahead, _ = batch(objective, record + STEP * direction, target, **options)
        behind, _ = batch(objective, record - STEP * direction, target, **options)
        assert ahead.shape == value.shape
        slope = (ahead.sum() - behind.sum()) / (2 * STEP)
        assert_allclose((grad * direction).sum(), slope, rtol=1e-6, atol=1e-8)


GIVEN = ("PoissonNLL", "SquaredError", "LogCosh", "BinaryCrossEntropy", "Distillation")
LABELLED = [
    name
    for name, made in PRESETS.items()
    if name != "cross_entropy"
    and not (made()[0].criterion[0] in GIVEN and made()[0].target[0] == "Given")
]


@pytest.mark.parametrize("name", LABELLED)
def test_padding_is_cropped(name: str) -> None:
    objective, reduction = PRESETS[name]()
    record = spikes(T, B, N)
    value, grad = batch(objective, record, LABELS, lengths=LENGTHS, reduction=reduction)
    noisy = record.copy()
    for b, n in enumerate(LENGTHS):
        noisy[n:, b] = np.nan
        assert_array_equal(grad[n:, b], 0)
        alone, dalone = batch(objective, record[:n, b : b + 1], LABELS[b : b + 1], reduction="sum")
        whole, dwhole = batch(objective, record, LABELS, lengths=LENGTHS, reduction="none")
        spread = whole[b] if whole.ndim == 1 else whole[b].sum()
        assert_allclose(spread, alone)
        assert_allclose(dwhole[:n, b], dalone[:, 0])
    again, dagain = batch(objective, noisy, LABELS, lengths=LENGTHS, reduction=reduction)
    assert_array_equal(again, value)
    assert_array_equal(dagain, grad)


def test_shapes_of_a_batch() -> None:
    record = spikes(T, B, N)
    several = PRESETS["mse_temporal"](on=(0, 2), off=(-2, -1))[0]
    expected = [
        (PRESETS["ce_rate"]()[0], (B,)),
        (PRESETS["mse_count"]()[0], (B, N)),
        (PRESETS["mse_count"](classes=C)[0], (B, C)),
        (PRESETS["mse_membrane"]()[0], (B, N)),
        (several, (F, B, N)),
    ]
    for objective, shape in expected:
        assert batch(objective, record, LABELS, reduction="none")[0].shape == shape
        for reduction in ("samples", "weights", "sum"):
            assert batch(objective, record, LABELS, reduction=reduction)[0].shape == ()
    none = batch(several, record[:, :0], LABELS[:0], reduction="none")
    assert none[0].shape == (F, 0, N)


def test_reductions_by_hand() -> None:
    objective, _ = PRESETS["mse_count"]()
    record = spikes(T, B, N)
    each, _ = batch(objective, record, LABELS, reduction="none")
    own, by_class = np.array([1.0, 0.0, 2.0, 1.0, 4.0]), np.arange(1.0, N + 1)
    weights = own * np.array([3.0, 1.0, 2.0, 3.0, 2.0])
    options = {"class_weight": by_class, "sample_weight": own}
    rows = each * weights[:, None]
    assert_allclose(batch(objective, record, LABELS, reduction="none", **options)[0], rows)
    assert_allclose(batch(objective, record, LABELS, reduction="sum", **options)[0], rows.sum())
    samples, _ = batch(objective, record, LABELS, reduction="samples", **options)
    assert_allclose(samples, rows.sum() / (B * N))
    over_weights, _ = batch(objective, record, LABELS, reduction="weights", **options)
    assert_allclose(over_weights, rows.sum() / (weights.sum() * N))


def test_ignored_samples_are_not_counted() -> None:
    objective, _ = PRESETS["cross_entropy"](ignore_index=-1)
    record, labels = normal(1, B, C), np.array([0, -1, 2, -1, 1])
    kept = labels != -1
    for reduction in ("samples", "weights", "sum"):
        value, grad = batch(objective, record, labels, reduction=reduction, class_weight=WEIGHT)
        alone, dalone = batch(
            objective, record[:, kept], labels[kept], reduction=reduction, class_weight=WEIGHT
        )
        assert_allclose(value, alone)
        assert_allclose(grad[:, kept], dalone)
        assert_array_equal(grad[:, ~kept], 0)
    each, _ = batch(objective, record, labels, reduction="none")
    assert_array_equal(each[~kept], 0)


def test_nothing_left_to_average() -> None:
    objective, _ = PRESETS["cross_entropy"](ignore_index=-1)
    for size in (0, B):
        record, labels = normal(1, size, C), np.full(size, -1)
        for reduction in ("samples", "weights"):
            value, grad = batch(objective, record, labels, reduction=reduction)
            assert math.isnan(value)
            assert_array_equal(grad, np.zeros((1, size, C)))
        assert batch(objective, record, labels, reduction="sum")[0] == 0


def test_given_spike_times() -> None:
    objective = Objective(("SpikeTimes", {"count": F}), ("SquaredError", {}))
    record, target = spikes(T, B, N), np.random.default_rng(1).integers(0, T, (F, B, N))
    value, _ = batch(objective, record, target, reduction="none", lengths=LENGTHS)
    for b, n in enumerate(LENGTHS):
        z, _ = READOUTS["SpikeTimes"](record[:n, b], count=F)
        assert_array_equal(value[:, b], (z - target[:, b]) ** 2)
    with pytest.raises(ValueError, match="class_weight"):
        batch(objective, record, target, class_weight=np.ones(N))


def test_reductions_of_the_presets() -> None:
    weighted = [name for name in PRESETS if PRESETS[name]()[1] == "weights"]
    assert weighted == ["ce_temporal", "cross_entropy"]
    assert {PRESETS[name]()[1] for name in PRESETS} == {"samples", "weights"}


# Decisions


def test_decisions_by_hand() -> None:
    record = np.zeros((3, 5, 3))
    record[:, 0, 2] = 1  # class 2 at every step
    record[[0, 1], 1, [1, 2]] = 1  # once each: 1 first, then 2
    record[0, 2, [1, 2]] = 1  # 1 and 2 together
    record[[0, 1, 2], 3, [1, 2, 2]] = 1  # 1 first, 2 more often; sample 4 is silent
    by_count = [2, 1, 1, 2, -1]
    by_time = [2, 1, 1, 1, -1]
    for name in ("ce_rate", "ce_count", "mse_count", "mse_membrane"):
        assert_array_equal(predict(PRESETS[name]()[0], record), by_count)
    assert_array_equal(predict(PRESETS["ce_max_membrane"]()[0], record), [2, 1, 1, 1, -1])
    for objective in (
        PRESETS["mse_temporal"]()[0],
        PRESETS["mse_temporal"](on=(0, 1), off=(-2, -1))[0],
        PRESETS["ce_temporal"]()[0],
        PRESETS["ce_temporal"](code="reciprocal")[0],
        Objective(("Temperature", {"of": ("FirstSpike", {}), "scale": 3.0}), ("SquaredError", {})),
    ):
        assert_array_equal(predict(objective, record), by_time)


def test_decisions_see_no_padding() -> None:
    record = np.zeros((3, 2, 3))
    record[1:, 0, 2] = 1
    record[0, 1, 0] = record[1, 1, 1] = record[2, 1, 1] = 1
    assert_array_equal(predict(PRESETS["ce_count"]()[0], record), [2, 1])
    assert_array_equal(predict(PRESETS["ce_count"]()[0], record, [1, 2]), [-1, 0])


def test_decisions_of_groups() -> None:
    record = np.zeros((1, 1, N))
    record[0, 0, [1, 4, 5]] = 1
    assert_array_equal(predict(PRESETS["ce_count"](classes=C)[0], record), [2])
    assert_array_equal(predict(PRESETS["ce_rate"](classes=2)[0], record), [1])


def test_first_of_several_spikes_decides() -> None:
    record = np.zeros((T, 1, 2))
    record[[1, 2], 0, 0] = record[0, 0, 1] = 1  # class 1 is first, class 0 is earlier on average
    assert_array_equal(predict(PRESETS["mse_temporal"](on=(0, 1), off=(-2, -1))[0], record), [1])
