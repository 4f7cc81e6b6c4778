"""Wrong values that cannot be checked, as under tracing: nan, never a number that looks right."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from libraries import JAX, LIBRARIES, TORCH, Library, named, same

from spikeloss import Loss, distances, metrics, presets, readouts
from spikeloss.criteria import RateNLL, SquaredError, Tempotron
from spikeloss.readouts import EveryStep, InterpolatedSpike, Maximum, MeanOverTime, SumOverTime
from spikeloss.reductions import Each
from spikeloss.targets import Given, GivenTime, OnOff, OnOffTime

T, B, N, F = 7, 5, 6, 4
RNG = np.random.default_rng(0)
SPIKES, OTHERS = ((RNG.random((T, B, N)) < 0.4).astype(np.float64) for _ in range(2))
SPIKES[0, 0], OTHERS[0, 0] = 1, 1
MEMBRANE = RNG.normal(size=(T, B, N))
LABELS, GROUPS, STEPS = map(np.array, ([0, 1, 2, 3, 5], [0, 1, 0, 1, 1], [6, 7, 6, 7, 6]))
TIMES, FAN_OUT = np.tile(np.arange(6.0), (B, 1)), np.arange(1.0, N + 1)
TRAINS, UNITS = (np.sort(9 * RNG.random(shape)) for shape in ((B, F), (B, 2, F)))


class Row(NamedTuple):
    """A call that is right until its last argument has a wrong number at its first place."""

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    wrong: tuple[float, ...]

    def spoiled(self, wrong: float) -> tuple[Any, ...]:
        *before, last = self.arguments
        last = last.copy()
        last[(0,) * last.ndim] = wrong
        return (*before, last)


def loss_of(readout: Any, criterion: Any, target: Any) -> Loss:
    return Loss(readout, criterion, target, reduction=Each())


def preset(name: str, **options: Any) -> Any:
    return presets.catalogue()[name].build(reduction=Each(), **options)


def last(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function whose last argument goes by a name."""
    return lambda *values: call(*values[:-1], **{name: values[-1]})


def first(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose last argument goes first."""
    return lambda *values: call(values[-1], *values[:-1])


FINITE, TIME, NO_LABEL = (np.nan, np.inf), (np.nan, -np.inf), (9, -1)
SHARES, COUNTS, WEIGHTS = (-1.0, 1.5, np.nan), (-1.0, *FINITE), (-1.0, *FINITE)
ON_TIME, LATE = (
    loss_of(readouts.FirstSpike(), SquaredError(), target)
    for target in (GivenTime(), OnOffTime(on=5, off=0))
)
CROSSING = loss_of(InterpolatedSpike(), SquaredError(), OnOff())
ALONE = {
    "bce_mean": Row(preset("bce_mean"), (MEMBRANE, OTHERS[0]), SHARES),
    "binary_peak": Row(preset("binary_peak"), (MEMBRANE, OTHERS[0]), SHARES),
    "tempotron": Row(loss_of(Maximum(), Tempotron(), Given()), (MEMBRANE, OTHERS[0]), SHARES),
    "poisson_steps": Row(preset("poisson_steps"), (MEMBRANE, OTHERS), COUNTS),
    "poisson_steps zeros": Row(preset("poisson_steps", zeros=0.25), (MEMBRANE, OTHERS), COUNTS),
    "ce_count": Row(preset("ce_count"), (SPIKES, OTHERS[0]), COUNTS),
    "ce_rate": Row(preset("ce_rate"), (SPIKES, OTHERS), COUNTS),
    "nearest_spike": Row(preset("nearest_spike"), (MEMBRANE, OTHERS), COUNTS),
    "earth_mover": Row(preset("earth_mover"), (SPIKES, OTHERS), (-1.0,)),
    "earth_mover counts": Row(preset("earth_mover", normalised=False), (SPIKES, OTHERS), (-1.0,)),
    "earth_mover record": Row(first(preset("earth_mover")), (OTHERS, SPIKES), (-1.0,)),
    "spikemax": Row(first(preset("spikemax")), (LABELS, SPIKES), (-9.0,)),
    "RateNLL": Row(
        first(loss_of(MeanOverTime(), RateNLL(epsilon=5.0), Given())), (LABELS, SPIKES), (-9.0,)
    ),
    "ttfs_z_ce": Row(first(preset("ttfs_z_ce")), (LABELS, SPIKES), FINITE),
    "InterpolatedSpike": Row(first(CROSSING), (LABELS, MEMBRANE), FINITE),
    "GivenTime": Row(ON_TIME, (SPIKES, TIMES), (-8.0, 7.0, np.nan)),
    "OnOffTime": Row(last(LATE, "lengths"), (SPIKES, LABELS, STEPS), (5,)),
    "sample_weight": Row(
        last(preset("ce_count"), "sample_weight"), (SPIKES, LABELS, np.ones(B)), WEIGHTS
    ),
    "class_weight": Row(
        last(preset("ce_count"), "class_weight"), (SPIKES, LABELS, np.ones(N)), WEIGHTS
    ),
}
COUPLED = {
    "triplet": Row(first(preset("triplet", distance="earth_mover")), (GROUPS, SPIKES), (-1.0,)),
    "info_nce": Row(first(preset("info_nce", similarity="earth_mover")), (GROUPS, SPIKES), (-1.0,)),
    "spike_similarity": Row(
        first(preset("spike_similarity", kernel="earth_mover")), (GROUPS, SPIKES), (-1.0,)
    ),
}
DECIDE = {
    "accuracy": metrics.accuracy,
    "top_k": partial(metrics.top_k, k=2),
    "mean_iou": metrics.mean_iou,
    "calibration_error": metrics.calibration_error,
    "anytime_accuracy": metrics.anytime_accuracy,
    "anytime_area": metrics.anytime_area,
}
ACTIVITY = ("spikes_per_sample", "firing_rates", "silent_fraction", "saturated_fraction",
            "activation_sparsity", "membrane_updates")  # fmt: skip
COSTS = ("synaptic_operations", "effective_macs", "effective_acs", "dense_operations")
DISTANCES = {
    "victor_purpura": (partial(distances.victor_purpura, cost=0.5), TRAINS),
    "victor_purpura softly": (partial(distances.victor_purpura, cost=0.5, softness=1.0), TRAINS),
    "van_rossum_times": (partial(distances.van_rossum_times, tau=2.0), TRAINS),
    **{
        f"victor_purpura labels {c:g}": (
            partial(distances.victor_purpura, cost=0.5, label_cost=c),
            UNITS,
        )
        for c in (0.0, 1.0, 2.0)
    },
}
SUM = SumOverTime()
LATENCY = partial(metrics.decision_latency, Maximum())
F1 = partial(metrics.f1_score, SUM)
BITS = partial(metrics.bits_per_spike, EveryStep())
FUNCTIONS = {
    **{f"{k} labels": Row(partial(f, SUM), (SPIKES, LABELS), NO_LABEL) for k, f in DECIDE.items()},
    **{k: Row(first(partial(f, SUM)), (LABELS, SPIKES), (np.nan,)) for k, f in DECIDE.items()},
    "Loss.accuracy": Row(presets.ce_count().accuracy, (SPIKES, LABELS), NO_LABEL),
    "decision_latency": Row(LATENCY, (MEMBRANE,), (np.nan,)),
    **{k: Row(getattr(metrics, k), (SPIKES,), FINITE) for k in ACTIVITY},
    **{f"{k} fan_out": Row(getattr(metrics, k), (SPIKES, FAN_OUT), WEIGHTS) for k in COSTS},
    **{k: Row(first(getattr(metrics, k)), (FAN_OUT, SPIKES), FINITE) for k in COSTS[:-1]},
    "f1_score": Row(F1, (SPIKES, OTHERS[0]), SHARES),
    "f1_score micro": Row(partial(F1, average="micro"), (SPIKES, OTHERS[0]), SHARES),
    "bits_per_spike": Row(BITS, (MEMBRANE, OTHERS), COUNTS),
    "bits_per_spike rates": Row(first(partial(BITS, logarithm=False)), (OTHERS, SPIKES), (-1.0,)),
    **{k: Row(f, (x, x[::-1].copy()), TIME) for k, (f, x) in DISTANCES.items()},
    "interval_variation": Row(metrics.interval_variation, (TRAINS,), TIME),
    "vector_strength": Row(partial(metrics.vector_strength, period=2.0), (TRAINS,), TIME),
}
ROWS = ALONE | COUPLED | FUNCTIONS


def answer(library: Library, row: Row, arguments: tuple[Any, ...]) -> Any:
    """What a function says of values that cannot be checked, and what of them is nan."""
    call = jax.jit(row.call) if library is JAX else row.call
    with library.precision(), np.errstate(invalid="ignore"):
        return library.to_numpy(call(*(library.array(x) for x in arguments)))


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize("name", ROWS)
def test_wrong_values_that_cannot_be_checked_give_nan(
    library: Library, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ROWS[name]
    expected = row.call(*row.arguments)
    for wrong in row.wrong:
        with pytest.raises(ValueError, match=": expected "):
            row.call(*row.spoiled(wrong))
    if library is not JAX:
        monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    same(answer(library, row, row.arguments), expected, str(expected.dtype))
    for wrong in row.wrong:
        found = np.isnan(answer(library, row, row.spoiled(wrong)))
        assert found.any()
        if name in ALONE:
            assert found.reshape(B, -1).any(1).tolist() == [True, False, False, False, False]


TARGETS = [name for name, row in ALONE.items() if row.arguments[0].shape == SPIKES.shape]


@pytest.mark.parametrize("name", [name for name in TARGETS if "earth_mover" not in name])
def test_wrong_targets_that_cannot_be_checked_have_no_derivative(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the earth mover's, as torch has a derivative of |x| where x is nan, 0."""
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    row = ALONE[name]
    for wrong in row.wrong:
        record, *others = (TORCH.array(x) for x in row.spoiled(wrong))
        _, slope = TORCH.value_and_grad(lambda x, others=others: row.call(x, *others), record)
        assert np.isnan(slope).any((0, 2)).tolist() == [True, False, False, False, False]
