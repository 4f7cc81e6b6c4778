"""Values that are none: a loss or metric of nan is nan or refused, never a number that looks right.

T=7 steps, B=5 samples, N=3 classes: no two axes are equal.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from libraries import NUMPY, TORCH, Library, named, same

from spikeloss import diagnose, distances, metrics, penalties, presets
from spikeloss.readouts import EveryStep, SumOverTime
from spikeloss.records import Times

T, B, N = 7, 5, 3
RNG = np.random.default_rng(11)
RECORD = RNG.random((T, B, N))
SPIKES = (RNG.random((T, B, N)) < 0.3) * 1.0
LABELS = np.array([0, 2, 1, 1, 0])
TARGETS = {
    **dict.fromkeys(("mse_signal", "huber_signal", "log_cosh_signal", "kd_steps"), RECORD),
    **dict.fromkeys(("mse_trace", "earth_mover", "nearest_spike"), SPIKES),
    **dict.fromkeys(("mse_mean", "bce_mean", "kd_logits"), RECORD[0]),
    "poisson_steps": 0 * SPIKES,
    "poisson_steps with zeros": 0 * SPIKES,
    "ctc": np.array([[1, 2]] * B),
}
LOSSES: dict[str, Any] = {name: row.build() for name, row in presets.catalogue().items()}
LOSSES["poisson_steps with zeros"] = presets.poisson_steps(zeros=0.5)
PENALTIES = {name: row.build() for name, row in penalties.catalogue().items()}

each_library = pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)


def is_none(call: Callable[[], Any]) -> bool:
    """Whether nan comes of it, or an error that names what was passed."""
    try:
        return math.isnan(float(call()))
    except ValueError as error:
        return str(error).partition(":")[0] in ("record", "target")


@each_library
def test_record(library: Library) -> None:
    """A sample that diverged."""
    record = RECORD.copy()
    record[:, 2] = np.nan
    x = library.array(record)
    for name, loss in LOSSES.items():
        y = library.array(TARGETS.get(name, LABELS))
        assert is_none(lambda: loss(x, y)), name  # noqa: B023
    for name, loss in PENALTIES.items():
        assert is_none(lambda: loss(x)), name  # noqa: B023


@each_library
def test_target(library: Library) -> None:
    for name, y in TARGETS.items():
        if name != "ctc":
            y = y.copy()
            y[(1,) * y.ndim] = np.nan
            found = lambda: LOSSES[name](library.array(RECORD), library.array(y))  # noqa: B023, E731
            assert is_none(found), name


def test_traced_target() -> None:
    loss, record = presets.nearest_spike(), jnp.asarray(RECORD)
    value = jax.jit(lambda y: loss(record, y))
    assert math.isfinite(value(jnp.asarray(SPIKES)))
    assert math.isnan(value(jnp.asarray(SPIKES).at[1, 2, 0].set(jnp.nan)))


def test_padded_target() -> None:
    """What is padded may be anything."""
    loss, y, lengths = presets.nearest_spike(), SPIKES.copy(), np.array([4, 7, 1, 6, 3])
    y[np.arange(T)[:, None] >= lengths] = np.nan
    same(loss(RECORD, y, lengths=lengths), loss(RECORD, SPIKES, lengths=lengths))


def test_traced_times() -> None:
    edges: Any = {"window": 1.0, "interval": (0.0, 9.0)}
    times = jnp.array([1.0, 2.0, 4.0])
    calls: list[Callable[[Any], Any]] = [
        metrics.interval_variation,
        lambda t: metrics.vector_strength(t, period=3.0),
        lambda t: distances.spike_time_tiling(t, times, **edges),
        lambda t: distances.correlation_index(times, t, **edges),
    ]
    for call in calls:
        assert math.isfinite(jax.jit(call)(times))
        for none in (jnp.nan, -jnp.inf):
            assert math.isnan(jax.jit(call)(times.at[1].set(none)))


def test_traced_labels_said() -> None:
    value = jax.jit(lambda x: metrics.f1_score(EveryStep(), x, jnp.asarray(SPIKES)))
    assert math.isfinite(value(jnp.asarray(RECORD)))
    assert math.isnan(value(jnp.asarray(RECORD).at[2, 1, 0].set(jnp.nan)))


@each_library
def test_labels_said(library: Library) -> None:
    record = RECORD.copy()
    record[2, 1, 0] = np.nan
    x, y = library.array(record), library.array(SPIKES)
    assert is_none(lambda: metrics.f1_score(EveryStep(), x, y))
    assert is_none(lambda: metrics.f1_score(SumOverTime(), x, y[0], average="micro"))
    valid = np.ones((T, B), bool)
    valid[2, 1] = False
    found = metrics.f1_score(EveryStep(), x, y, valid=library.array(valid))
    same(found, np.asarray(metrics.f1_score(EveryStep(), RECORD, SPIKES, valid=valid)))


def test_rates_beyond_range() -> None:
    """Where a rate is infinite a silence is one of the neuron: it costs -log s, without a slope."""
    for dtype in (torch.float32, torch.float64):
        z = torch.tensor([[[100.0, 800.0, 1.0]]], dtype=dtype, requires_grad=True)
        value = presets.poisson_steps(zeros=0.25)(z, torch.zeros_like(z))
        value.backward()
        tail = 0.75 * math.exp(-math.e)
        same(3 * value, 2 * math.log(4) - math.log(0.25 + tail), dtype=str(dtype)[6:])
        slope = math.e * tail / (0.25 + tail) / 3
        same(z.grad, [[[0.0, 0.0, slope]]], dtype=str(dtype)[6:])


LARGE = np.array([10**9, 10**9 + 1, 10**9 + 4])


@each_library
@pytest.mark.parametrize("kind", [np.int64, np.int32])
def test_large_integers(library: Library, kind: Any) -> None:
    """In float32, which integers become, 10^9 and 10^9 + 1 are one."""
    a = library.array(LARGE.astype(kind))
    edges: Any = {"window": 1, "interval": (10**9 - 9, 10**9 + 9)}
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("times", lambda: metrics.interval_variation(a)),
        ("times", lambda: metrics.vector_strength(a, period=3)),
        ("a_times", lambda: distances.spike_time_tiling(a, a, **edges)),
        ("a_times", lambda: distances.victor_purpura(a, a, cost=1)),
        ("b_times", lambda: distances.van_rossum_times(a - 10**9, a, tau=1)),
        ("times", lambda: presets.ttfs_ce()(Times(a[None], end=2e9), library.array([0]))),
    ]
    text = "expected integers up to 16777216, which float32 holds, got 1000000000 to 1000000004"
    for argument, call in calls:
        with pytest.raises(ValueError, match=f"^{argument}: {text}. Subtract a common start, "):
            call()
    wide = library.array(LARGE.astype(float))
    assert abs(float(metrics.vector_strength(wide, period=3)) - 1 / math.sqrt(3)) < 1e-6


def test_maxima_of_silence() -> None:
    """A neuron that passed its threshold is not silent: it cannot count as before the end."""
    times, highest = np.array([[1.0, np.inf]]), np.array([[np.nan, 1.0]])
    loss, label = presets.ttfs_ce(), np.array([0])
    found = loss(Times(times, end=8.0, highest=highest + 1e-6), label)
    same(found, math.log1p(math.exp(1e-6 * 1.0 - 7.0)))
    with pytest.raises(ValueError, match=r"^highest: expected maxima .* got 50\. "):
        loss(Times(times, end=8.0, highest=50 * highest), label)
    value = jax.jit(lambda h: loss(Times(jnp.asarray(times), end=8.0, highest=h), label))
    assert math.isfinite(value(jnp.asarray(highest)))
    assert math.isnan(value(jnp.asarray(50 * highest)))
    until = jax.jit(lambda end: loss(Times(jnp.asarray(times), end=end), label))
    assert math.isfinite(until(jnp.array([8.0])))
    assert math.isnan(until(jnp.array([-8.0])))


def test_diagnosis_of_pairs() -> None:
    """A loss of pairs decides no class, and is looked at all the same."""
    for loss in (presets.triplet(), presets.info_nce() + presets.ce_count()):
        assert "silent" in diagnose(loss, 0 * SPIKES, LABELS).names
