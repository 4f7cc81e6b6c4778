"""Metrics of signals, of several labels and of pixels: loops over what exists, and scikit-learn.

T=7 steps, B=5 samples, N=6 outputs: no two axes are equal.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from libraries import JAX, NUMPY, STRICT, TORCH, Array, Library, named, same
from sklearn import metrics as sklearn

from spikeloss import Loss, metrics
from spikeloss.criteria import BinaryCrossEntropy
from spikeloss.readouts import EveryStep, MeanOverTime, SumOverTime, WholeRecord
from spikeloss.records import Packed

T, B, N = 7, 5, 6
RNG = np.random.default_rng(5)
SIGNAL = RNG.normal(size=(T, B, N)).round(2)
ESTIMATE = (SIGNAL + 0.5 * RNG.normal(size=(T, B, N))).round(2)
ESTIMATE[2, 1, 3] = SIGNAL[2, 1, 3] = 0.0
YES = (RNG.random((T, B, N)) < 0.4) * 1.0
SAID = np.where(RNG.random((T, B, N)) < 0.7, YES, 1 - YES) * 0.9
SAID[..., 5] = YES[..., 5] = 0.0  # neither said nor asked for
COUNTS = RNG.poisson(np.exp(SIGNAL)) * 1.0
COUNTS[..., 2] = 0.0  # a neuron that never fired
LENGTHS = np.array([4, 7, 1, 6, 3])
GAPS = RNG.random((T, B)) < 0.6
LAYOUTS: dict[str, dict[str, Array]] = {
    "whole": {},
    "lengths": {"lengths": LENGTHS},
    "gaps": {"valid": GAPS},
}
MASKS = {
    "whole": np.ones((T, B), bool),
    "lengths": np.arange(T)[:, None] < LENGTHS,
    "gaps": GAPS,
}

every_library = pytest.mark.parametrize("library", [NUMPY, TORCH, STRICT], ids=named)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def r2(z: list[Array], y: list[Array]) -> float:
    shares = []
    for c in range(N):
        mean = sum(row[c] for row in y) / len(y)
        rest = sum((row[c] - said[c]) ** 2 for row, said in zip(y, z, strict=True))
        shares.append(1 - rest / sum((row[c] - mean) ** 2 for row in y))
    return sum(shares) / N


def smape(z: list[Array], y: list[Array]) -> float:
    total = 0.0
    for said, row in zip(z, y, strict=True):
        for a, b in zip(said, row, strict=True):
            total += abs(a - b) / (abs(a) + abs(b)) if a or b else 0.0
    return 200 * total / (len(y) * N)


def f1(z: list[Array], y: list[Array], threshold: float = 0.5, average: str = "macro") -> float:
    found = []
    for c in range(N):
        hits = sum(said[c] > threshold and row[c] > 0.5 for said, row in zip(z, y, strict=True))
        any_ = sum(said[c] > threshold or row[c] > 0.5 for said, row in zip(z, y, strict=True))
        found.append((hits, any_))
    if average == "micro":
        found = [(sum(hits for hits, _ in found), sum(any_ for _, any_ in found))]
    scores = [2 * hits / (hits + any_) for hits, any_ in found if any_]
    return sum(scores) / len(scores)


def bits(z: list[Array], y: list[Array]) -> float:
    """As nlb_tools does: negative log-likelihoods with log y!, of the rates and the means."""
    total = 0.0
    for c in range(N):
        mean = sum(row[c] for row in y) / len(y)
        for said, row in zip(z, y, strict=True):
            count, known = row[c], math.lgamma(row[c] + 1)
            if mean:
                total += mean - count * math.log(mean) + known
            total -= math.exp(said[c]) - count * said[c] + known
    return total / sum(row.sum() for row in y) / math.log(2)


LOOPS: dict[str, tuple[Callable[..., float], Array, Array]] = {
    "r2": (r2, ESTIMATE, SIGNAL),
    "smape": (smape, ESTIMATE, SIGNAL),
    "f1_score": (f1, SAID, YES),
    "bits_per_spike": (bits, ESTIMATE, COUNTS),
}


def padded(x: Array, layout: str) -> Array:
    return np.where(MASKS[layout][..., None], x, np.nan)


def given(library: Library, layout: str) -> dict[str, Any]:
    return {key: library.array(value) for key, value in LAYOUTS[layout].items()}


@every_library
@every_layout
@pytest.mark.parametrize("name", LOOPS)
def test_every_step(name: str, layout: str, library: Library) -> None:
    """The rows are the valid steps; what is padded may be nan, of the target too."""
    loop, z, y = LOOPS[name]
    rows = [(t, b) for t in range(T) for b in range(B) if MASKS[layout][t, b]]
    wanted = loop([z[row] for row in rows], [y[row] for row in rows])
    with library.precision():
        x, target = (library.array(padded(each, layout)) for each in (z, y))
        found = getattr(metrics, name)(EveryStep(), x, target, **given(library, layout))
        same(found, wanted)
        assert found.shape == ()


@every_library
@every_layout
@pytest.mark.parametrize("name", LOOPS)
def test_one_answer(name: str, layout: str, library: Library) -> None:
    """The rows are the samples."""
    loop, z, y = LOOPS[name]
    wanted = loop([z[MASKS[layout][:, b], b].mean(0) for b in range(B)], list(y[0]))
    with library.precision():
        x, target = library.array(padded(z, layout)), library.array(y[0])
        found = getattr(metrics, name)(MeanOverTime(), x, target, **given(library, layout))
        same(found, wanted)


def test_as_scikit_learn() -> None:
    z, y = ESTIMATE.reshape(-1, N), SIGNAL.reshape(-1, N)
    same(metrics.r2(EveryStep(), ESTIMATE, SIGNAL), sklearn.r2_score(y, z))
    said, asked = SAID.reshape(-1, N) > 0.5, YES.reshape(-1, N) > 0.5
    for average in ("macro", "micro"):
        wanted = sklearn.f1_score(asked, said, average=average, zero_division=np.nan)
        same(metrics.f1_score(EveryStep(), SAID, YES, average=average), wanted)  # type: ignore[arg-type]


def test_under_jit() -> None:
    """There a sample may have no step: it does not count."""

    @jax.jit
    def every(of: Any, valid: Any) -> Any:
        steps = {name: at(name, EveryStep(), z, y, valid) for name, (z, y) in of.items()}
        return steps, {
            name: at(name, MeanOverTime(), z, y[0], valid) for name, (z, y) in of.items()
        }

    def at(name: str, readout: Any, z: Any, y: Any, valid: Any) -> Any:
        return getattr(metrics, name)(readout, z, y, valid=valid)

    mask, kept = GAPS.copy(), [0, 1, 2, 4]
    mask[:, 3] = False
    with JAX.precision():
        of = {name: (JAX.array(z), JAX.array(y)) for name, (_, z, y) in LOOPS.items()}
        steps, samples = every(of, JAX.array(mask))
    for name, (_, z, y) in LOOPS.items():
        z, y, valid = z[:, kept], y[:, kept], mask[:, kept]
        same(steps[name], np.asarray(at(name, EveryStep(), z, y, valid)))
        same(samples[name], np.asarray(at(name, MeanOverTime(), z, y[0], valid)))


def test_regions() -> None:
    """Pixels that are silent are missed; classes that nobody names are left out."""
    shape = (T, 2, 3, 4, N)
    x = (np.random.default_rng(2).random(shape) < 0.3) * 1.0
    x[:, 0, 1] = 0
    x[..., 4] = 0
    y = np.random.default_rng(3).integers(0, 4, shape[1:4])
    z = x.sum(0)
    said = np.where(x.any((0, -1)), z.argmax(-1), -1)
    shares = []
    for c in range(N):
        union = ((said == c) | (y == c)).sum()
        shares += [((said == c) & (y == c)).sum() / union] if union else []
    assert 3 < len(shares) < N
    for library in (NUMPY, TORCH, STRICT):
        found = metrics.mean_iou(SumOverTime(), library.array(x), library.array(y))
        same(found, np.mean(shares))
    turned = np.moveaxis(x, -1, 2)
    same(metrics.mean_iou(SumOverTime(), turned, y, class_axis=2), np.mean(shares))
    spoke = said >= 0
    seen = [*np.unique([y[spoke], said[spoke]])]
    wanted = sklearn.jaccard_score(y[spoke], said[spoke], labels=seen, average="macro")
    given = x[:, spoke], y[spoke]
    same(metrics.mean_iou(SumOverTime(), *given), wanted)
    assert math.isnan(float(metrics.mean_iou(SumOverTime(), x[:, :0], y[:0])))


def test_thresholds() -> None:
    x, y = SIGNAL[0], YES[0]
    rows = list(x), list(y)
    by = Loss(SumOverTime(), BinaryCrossEntropy(threshold=-0.25))
    same(metrics.f1_score(by, SIGNAL[:1], y), f1(*rows, -0.25))
    same(metrics.f1_score(SumOverTime(), SIGNAL[:1], y), f1(*rows, 0.5))
    same(metrics.f1_score(by, SIGNAL[:1], y, threshold=1.0), f1(*rows, 1.0))
    same(metrics.f1_score(by, SIGNAL[:1], y, average="micro"), f1(*rows, -0.25, "micro"))


def test_rates() -> None:
    rates = np.exp(ESTIMATE)
    wanted = metrics.bits_per_spike(EveryStep(), ESTIMATE, COUNTS)
    same(metrics.bits_per_spike(EveryStep(), rates, COUNTS, logarithm=False), np.asarray(wanted))
    means = np.broadcast_to(COUNTS.mean((0, 1)), COUNTS.shape)
    assert abs(metrics.bits_per_spike(EveryStep(), means, COUNTS, logarithm=False)) < 1e-8
    assert float(metrics.bits_per_spike(EveryStep(), np.log(COUNTS + 0.1), COUNTS)) > 1


def test_records_of_other_forms() -> None:
    spikes = (SIGNAL > 0.5) * 1.0
    wanted = metrics.smape(MeanOverTime(), spikes, SIGNAL[0])
    packed = metrics.smape(MeanOverTime(), Packed.pack(spikes), SIGNAL[0])
    same(packed, np.asarray(wanted), "float32")
    loss = Loss(MeanOverTime(), BinaryCrossEntropy(), layers="out")
    same(metrics.smape(loss, {"out": spikes}, SIGNAL[0]), np.asarray(wanted))
    turned = np.moveaxis(ESTIMATE, (0, 2), (2, 1))  # (B, N, T)
    found = metrics.r2(EveryStep(), turned, SIGNAL, time_axis=-1, class_axis=1)
    same(found, np.asarray(metrics.r2(EveryStep(), ESTIMATE, SIGNAL)))


def test_what_is_not_defined() -> None:
    assert math.isnan(float(metrics.r2(EveryStep(), ESTIMATE, 0 * SIGNAL)))
    assert float(metrics.smape(EveryStep(), 0 * ESTIMATE, 0 * SIGNAL)) == 0
    assert math.isnan(float(metrics.f1_score(EveryStep(), 0 * SAID, 0 * YES)))
    for name, (_, z, y) in LOOPS.items():
        assert math.isnan(float(getattr(metrics, name)(EveryStep(), z[:, :0], y[:, :0])))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: metrics.r2(EveryStep(), ESTIMATE, SIGNAL[:, 1:]), "target: expected numbers of "),
        (lambda: metrics.r2(SumOverTime(), ESTIMATE, SIGNAL), "target: expected numbers of shape "),
        (lambda: metrics.f1_score(EveryStep(), SAID, 2 * YES), "target: expected values from 0 t"),
        (lambda: metrics.f1_score(EveryStep(), SAID, YES, average="all"), "average: expected "),
        (lambda: metrics.f1_score(EveryStep(), SAID, YES, threshold="1"), "threshold: expected "),
        (lambda: metrics.smape(WholeRecord(), ESTIMATE, SIGNAL), "readout: expected a decision or"),
        (lambda: metrics.bits_per_spike(EveryStep(), ESTIMATE, -COUNTS), "target: expected finite"),
        (lambda: metrics.bits_per_spike(EveryStep(), ESTIMATE, COUNTS, logarithm=False),
         "record: expected rates of at least 0"),
        (lambda: metrics.bits_per_spike(EveryStep(), ESTIMATE, COUNTS, logarithm=""), "logari"),
        (lambda: metrics.smape("mean", ESTIMATE, SIGNAL), "judge: expected a readout such as"),
        (lambda: metrics.r2(EveryStep(), ESTIMATE, SIGNAL, length=3), "length: expected lengths"),
    ],
)  # fmt: skip
def test_refusals(call: Callable[[], Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(text), str(caught.value)
