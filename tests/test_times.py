"""Times that are given, against formulas of one sample written again here.

The formulas take the times of a sample, silence counted in; derivatives are their central
differences, those of a silent neuron through the maximum of its membrane.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from harness import compiled, every_eager, near
from libraries import DIFFERENTIABLE, JAX, NUMPY, STRICT, TORCH, Array, Library, named, same

from spikeloss import Loss, presets
from spikeloss.criteria import SquaredError
from spikeloss.penalties import count_l1
from spikeloss.presets import Options
from spikeloss.readouts import FirstSpike, Population, SoftCount, SpikeTimes
from spikeloss.records import Events, Times
from spikeloss.reductions import Each, Mean
from spikeloss.targets import GivenTime, SpikeTrain

B, N = 5, 6
END, SLOPE, THRESHOLD = 7.0, 3.0, 1.25
LABELS = np.array([2, 0, 4, 1, 5])
every_differentiable = pytest.mark.parametrize("library", DIFFERENTIABLE, ids=named)


@cache
def data() -> tuple[Array, Array]:
    """Times and maxima; sample 3 is silent, of sample 1 the right neuron, of 2 two others."""
    rng = np.random.default_rng(5)
    times = rng.uniform(0.25, END, (B, N))
    times[3] = times[1, 0] = times[2, 1] = times[2, 5] = np.inf
    highest = rng.uniform(-0.5, THRESHOLD, (B, N))
    return times, np.where(np.isfinite(times), np.nan, highest)  # no maximum, where it fires


# Formulas: times of a sample (N), label, n -> loss


def surprise(z: Array, y: int) -> float:
    return math.log(sum(math.exp(v - z[y]) for v in z))


def ttfs_ce(t: Array, y: int, n: float, tau: float = 1.0) -> float:
    return surprise(-t / tau, y)


def ttfs_z_ce(t: Array, y: int, n: float, tau: float = 10.0) -> float:
    return surprise(-np.exp(t / tau), y)


def reciprocal(t: Array, y: int, n: float) -> float:
    return surprise(1 / (t + 1), y)


def relative_ttfs_mse(t: Array, y: int, n: float, delay: float = 10.0) -> float:
    return sum((t[c] - t[y] - delay) ** 2 for c in range(N) if c != y)


def ttfs_early_ce(t: Array, y: int, n: float, tau: float = 1.0, early: float = 0.005,
                  early_tau: float = 5.0) -> float:  # fmt: skip
    return surprise(-t / tau, y) + early * (math.exp(t[y] / early_tau) - 1)


def aims(y: int, n: float, on: int = 0, off: int = -1) -> list[float]:
    return [step if step >= 0 else n + step for step in (on if c == y else off for c in range(N))]


def mse_temporal(t: Array, y: int, n: float, **steps: int) -> float:
    return sum(((v - d) / n) ** 2 for v, d in zip(t, aims(y, n, **steps), strict=True)) / N


def target_time(t: Array, y: int, n: float, tau: float = 25.0, **steps: int) -> float:
    pairs = zip(t, aims(y, n, **steps), strict=True)
    return -sum(math.log1p(math.exp(-abs(v - d) / tau)) for v, d in pairs) / N


FORMULAS: dict[str, tuple[Callable[..., float], dict[str, Any], dict[str, Any]]] = {
    "ttfs_ce": (ttfs_ce, {"tau": 2.5}, {"silent_delay": 1.5}),
    "ttfs_z_ce": (ttfs_z_ce, {"tau": 4.0}, {}),
    "relative_ttfs_mse": (relative_ttfs_mse, {"delay": 2.0}, {}),
    "ttfs_early_ce": (ttfs_early_ce, {"tau": 0.5, "early": 0.3, "early_tau": 3.0},
                      {"silent_delay": 0.5}),
    "target_time": (target_time, {"on": 1, "off": -2, "tau": 2.5}, {}),
    "mse_temporal": (mse_temporal, {"on": 1, "off": -2}, {}),
    "ce_temporal": (ttfs_ce, {}, {}),
    "ce_temporal reciprocal": (reciprocal, {}, {}),
}  # fmt: skip
"""What each preset of times computes, options of both, and options of how silence counts."""
ROWS = [(name, changed) for name in FORMULAS for changed in (False, True)]


def preset(name: str, changed: bool, **shared: Any) -> Any:
    _, options, silent = FORMULAS[name]
    options = options | silent if changed else {}
    word, _, code = name.partition(" ")
    return getattr(presets, word)(**options, **({"code": code} if code else {}), **shared)


def formula(name: str, changed: bool, end: float = END) -> Callable[[Array, int], float]:
    """The loss of the times of a sample, silence counted in already."""
    loss, options, _ = FORMULAS[name]
    return lambda t, y: loss(t, y, end + 1, **(options if changed else {}))


def delay(name: str, changed: bool) -> float:
    return FORMULAS[name][2].get("silent_delay", 0.0) if changed else 0.0


@cache
def oracle(name: str, changed: bool, sloped: bool) -> tuple[Array, Array, Array]:
    """The loss of every sample, and the gradients of their sum in times and maxima."""
    times, highest = data()
    losses, in_times, in_highest = np.zeros(B), np.zeros((B, N)), np.zeros((B, N))
    call, late = formula(name, changed), END + delay(name, changed)
    for b in range(B):

        def lost(t: Array, v: Array, y: int = LABELS[b]) -> float:
            counted = np.zeros(N)
            for i in range(N):
                away = SLOPE * (THRESHOLD - v[i]) if sloped else 0.0
                counted[i] = t[i] if np.isfinite(t[i]) else late + away
            return call(counted, y)

        losses[b] = lost(times[b], highest[b])
        for i in range(N):
            step = np.zeros(N)
            step[i] = 1e-5
            ends = [
                (times[b] + s, highest[b])
                if np.isfinite(times[b, i])
                else (times[b], highest[b] + s)
                for s in (step, -step)
            ]
            slope = (lost(*ends[0]) - lost(*ends[1])) / 2e-5
            (in_times if np.isfinite(times[b, i]) else in_highest)[b, i] = slope
    return losses, in_times, in_highest


def given(library: Library, times: Any, highest: Any = None, **options: Any) -> Times:
    slope = {} if highest is None else {"highest": highest, "slope": SLOPE, "threshold": THRESHOLD}
    return Times(times, **{"end": END, **slope, **options})


def arrays(library: Library) -> tuple[Any, Any, Any]:
    return tuple(map(library.array, (*data(), LABELS)))  # type: ignore[return-value]


def derived(library: Library, call: Callable[..., Any], *given: Any) -> tuple[Array, list[Array]]:
    """The value, and the gradients of its sum in every argument."""
    if library is JAX:
        value, slopes = _derived(call)(*given)
    else:
        leaves = [x.clone().requires_grad_() for x in given]
        value = call(*leaves)
        slopes = torch.autograd.grad(value.sum(), leaves, materialize_grads=True)
    return library.to_numpy(value), [library.to_numpy(slope) for slope in slopes]


def _derived(call: Callable[..., Any]) -> Any:
    """As `derived` of JAX, compiled."""

    def both(*given: Any) -> Any:
        value, pull = jax.vjp(call, *given)
        return value, pull(jnp.ones_like(value))

    return compiled(both)


@pytest.mark.parametrize("library", [NUMPY, TORCH, STRICT], ids=named)
@pytest.mark.parametrize(("name", "changed"), ROWS)
def test_values(name: str, changed: bool, library: Library) -> None:
    """Of every preset of times, with silence at the end and with silence by the membrane."""
    loss = preset(name, changed)
    with library.precision():
        times, highest, labels = arrays(library)
        for maxima in (None, highest):
            value = loss(given(library, times, maxima), labels)
            same(value, oracle(name, changed, maxima is not None)[0].mean())


@every_differentiable
@pytest.mark.parametrize(("name", "changed"), ROWS)
def test_gradients(name: str, changed: bool, library: Library) -> None:
    """1 in a time, minus the slope in a maximum, and 0, never nan, wherever neither is read."""
    loss = preset(name, changed)
    losses, in_times, in_highest = oracle(name, changed, True)
    in_times, in_highest = in_times / B, in_highest / B
    with library.precision():
        times, highest, labels = arrays(library)
        call = lambda t, v: loss(given(library, t, v), labels)  # noqa: E731
        value, slopes = derived(library, call, times, highest)
        _, (plain,) = derived(library, lambda t: loss(given(library, t), labels), times)
    same(value, losses.mean())
    for actual, expected in zip(slopes, (in_times, in_highest), strict=True):
        near(actual, expected, 1e-6, 1e-8)
        assert not actual[expected == 0].any()
    assert in_highest[1, 0]  # the right neuron is silent
    near(plain[:1], in_times[:1], 1e-6, 1e-8)  # all of sample 0 fire
    assert np.isfinite(plain).all()
    assert not plain[3].any()


@pytest.mark.parametrize(("name", "changed"), ROWS)
def test_as_events(name: str, changed: bool) -> None:
    """The value and the derivative of events at the same times, in a record of end + 1 steps."""
    loss = preset(name, changed)
    times, labels = torch.tensor(data()[0]), torch.tensor(LABELS)
    sample, neuron = (torch.isfinite(times)).nonzero(as_tuple=True)
    wanted = times[sample, neuron].requires_grad_()
    events = Events(wanted, sample, neuron, shape=(int(END) + 1, B, N))
    value = loss(events, labels)
    (slope,) = torch.autograd.grad(value, wanted)
    leaf = times.clone().requires_grad_()
    found = loss(Times(leaf, end=END), labels)
    same(found, value.detach())
    (dense,) = torch.autograd.grad(found, leaf)
    same(dense[sample, neuron], slope)
    assert torch.equal(loss.predict(Times(times, end=END)), loss.predict(events))
    assert loss.accuracy(Times(times, end=END), labels) == loss.accuracy(events, labels)


@pytest.mark.parametrize(("name", "changed"), ROWS)
def test_as_spikes(name: str, changed: bool) -> None:
    """The value of a dense record that fires at the same steps."""
    loss, times = preset(name, changed, reduction=Each()), np.floor(data()[0])
    record = (times == np.arange(END + 1)[:, None, None]).astype(float)
    same(loss(Times(times, end=END), LABELS), loss(record, LABELS))


@every_eager
def test_ends_of_samples(library: Library) -> None:
    """An end for each sample is what lengths are: where silence counts, and where -1 is."""
    ends = np.array([3.0, 7.0, 4.5, 6.0, 8.0])
    with library.precision():
        times, _, labels = arrays(library)
        for name in ("mse_temporal", "ttfs_ce"):
            each = preset(name, True, reduction="none")(
                Times(times, end=library.array(ends)), labels
            )
            for b in range(B):
                t = np.where(np.isfinite(data()[0][b]), data()[0][b], ends[b] + delay(name, True))
                wanted = formula(name, True, ends[b])(t, LABELS[b])
                same(library.to_numpy(each)[b].mean(), wanted)


def left_out(library: Library, loss: Any, labels: Any, times: Any, highest: Any) -> Any:
    record = given(library, times, highest)
    return loss(record, labels, sample_weight=record.fired(labels))


@every_differentiable
def test_samples_left_out(library: Library) -> None:
    """`fired` weighs those 0 whose own neuron is silent: no loss, no gradient, of any sample."""
    fires = np.isfinite(data()[0][np.arange(B), LABELS])
    assert fires.tolist() == [True, False, True, False, True]
    wanted, in_times, _ = oracle("ttfs_early_ce", False, True)
    for over, count in (("samples", B), ("weights", fires.sum())):
        loss = presets.ttfs_early_ce(reduction=Mean(over))
        with library.precision():
            times, highest, labels = arrays(library)
            left = partial(left_out, library, loss, labels)
            same(given(library, times).fired(labels), 1.0 * fires)
            value, slopes = derived(library, left, times, highest)
        same(value, wanted[fires].sum() / count)
        near(slopes[0], np.where(fires[:, None], in_times, 0) / count, 1e-6, 1e-8)
        assert not slopes[1][~fires].any()
        assert slopes[1][2, [1, 5]].all()  # silent, and others than the label


@every_differentiable
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_precision(library: Library, dtype: str) -> None:
    """The result has the dtype of the times; half of it is rounded once, at the end."""
    with library.precision(dtype):
        times, highest = (library.array(x, dtype) for x in data())
        exact = [library.to_numpy(x).astype(float) for x in (times, highest)]
        labels = library.array(LABELS)
        call = lambda t, v: presets.ttfs_early_ce()(given(library, t, v), labels)  # noqa: E731
        value, _ = derived(library, call, times, highest)
    wanted = presets.ttfs_early_ce()(given(library, *exact), LABELS)
    same(value, wanted, dtype)


def test_whole_times() -> None:
    """Integers are times too, and infinity of float32 ones; maxima of float64 beside them."""
    times = np.array([[3, 1, 2]])
    same(FirstSpike()(Times(times, end=4)), [[3.0, 1.0, 2.0]], "float32")
    times = times.astype(np.float32)
    times[0, 1] = np.inf
    record = Times(times, end=4, highest=np.full((1, 3), 0.5), slope=2.0)
    same(FirstSpike()(record), [[3.0, 5.0, 2.0]], "float32")


@every_differentiable
def test_what_silence_teaches(library: Library) -> None:
    """Nothing without maxima, without a gradient of silence, and at a slope of 0."""
    with library.precision():
        times, highest, _ = arrays(library)
        for readout, slope, wanted in (
            (FirstSpike(), SLOPE, -SLOPE),
            (FirstSpike(code="negative", unit=2.0), SLOPE, SLOPE / 2),
            (FirstSpike(silent_gradient=False), SLOPE, 0.0),
            (FirstSpike(), 0.0, 0.0),
            (SpikeTimes(count=1), SLOPE, -SLOPE),
            (SoftCount(count=1, latency=0.5), SLOPE, SLOPE / 2),
        ):
            _, (_, found) = derived(
                library,
                lambda t, v, r=readout, s=slope: r(given(library, t, v, slope=s)),
                times,
                highest,
            )
            silent = np.isinf(data()[0])
            same(found, np.where(silent, wanted, 0.0))


def test_nothing_fires() -> None:
    """A silent batch has a loss, no gradient but that of the maxima, and no decision."""
    times, highest = torch.full((B, N), math.inf), torch.zeros(B, N, requires_grad=True)
    labels, leaf = torch.tensor(LABELS), times.requires_grad_()
    record = Times(leaf, end=END, highest=highest)
    for loss in (presets.ttfs_early_ce(), presets.relative_ttfs_mse()):
        found = torch.autograd.grad(loss(record, labels), (leaf, highest))
        assert not found[0].any()
        assert torch.isfinite(found[1]).all()
        assert found[1].any()
        assert loss.predict(record).tolist() == [-1] * B
        left_out = loss(record, labels, sample_weight=record.fired(labels))
        assert left_out == 0


def test_other_axes() -> None:
    """Any batch axes, and none; populations; parts that add up."""
    times, highest = data()
    loss, record = presets.ttfs_ce(), partial(given, TORCH)
    each = loss.replace(reduction=Each())
    wanted = each(record(times, highest), LABELS)
    found = each(
        record(times[:4].reshape(2, 2, N), highest[:4].reshape(2, 2, N)), LABELS[:4].reshape(2, 2)
    )
    same(found, wanted[:4].reshape(2, 2))
    same(loss(record(times[0], highest[0]), LABELS[0]), wanted[0])
    pooled = Population(FirstSpike(), classes=3, pool="mean")(record(times[:1]))
    same(pooled, times[:1].reshape(1, 3, 2).mean(-1))
    parts = [loss.parts(record(times[b], highest[b]), LABELS[b]) for b in (slice(2), slice(2, B))]
    same(sum(parts).value(), wanted.mean())


def test_beside_others() -> None:
    """One layer of several, in a sum with a penalty of a dense record; a target of times."""
    times, record = given(TORCH, *data()), np.ones((4, B, 3))
    total = presets.ttfs_ce().replace(layers="output") + 0.5 * count_l1(layers="hidden")
    wanted = presets.ttfs_ce()(times, LABELS) + 0.5 * count_l1()(record)
    same(total({"output": times, "hidden": record}, LABELS), wanted)
    to_imitate = Loss(FirstSpike(), SquaredError(), SpikeTrain())
    later = Times(times.times + 2, end=END + 2, highest=times.highest, slope=SLOPE,
                  threshold=THRESHOLD)  # fmt: skip
    same(to_imitate(times, later), 4.0)
    aims = np.full((B, N), 1.5)
    aimed = presets.mse_temporal().replace(target=GivenTime())
    t = FirstSpike()(times)
    same(aimed(times, aims), (((t - 1.5) / (END + 1)) ** 2).mean())


def test_traced() -> None:
    """What cannot be checked gives nan, never a number that looks right; `vmap` maps a loss."""
    loss, (times, highest) = presets.ttfs_ce(), data()
    with jax.enable_x64(True):
        labels = jnp.asarray(LABELS)
        value = compiled(lambda t: loss(Times(t, end=END), labels))
        assert math.isnan(value(jnp.asarray(times).at[0, 0].set(-1.0)))
        assert math.isnan(value(jnp.asarray(times).at[0, 0].set(-jnp.inf)))
        assert math.isfinite(value(jnp.asarray(times)))
        mapped = compiled(jax.vmap(lambda t, v, y: loss(given(JAX, t, v), y)))
        found = mapped(jnp.asarray(times), jnp.asarray(highest), labels)
    wanted = oracle("ttfs_ce", False, True)[0]
    same(found, wanted)
    call = torch.func.vmap(lambda t, v, y: loss(given(TORCH, t, v), y))
    same(call(*arrays(TORCH)), wanted)


def test_compiled() -> None:
    """`torch.compile` sees all of it, the record made inside."""
    loss = presets.ttfs_early_ce()
    whole = torch.compile(
        lambda t, v, y: loss(given(TORCH, t, v), y), fullgraph=True, backend="aot_eager"
    )
    arrays_given = arrays(TORCH)
    same(whole(*arrays_given), oracle("ttfs_early_ce", False, True)[0].mean())


def test_map_and_options() -> None:
    """Every array is changed; the presets' other options act as for spikes."""
    times = Times(data()[0], np.full(B, END), data()[1]).map(torch.as_tensor)
    assert all(isinstance(x, torch.Tensor) for x in (times.times, times.end, times.highest))
    assert Times(data()[0], END).map(torch.as_tensor).end == END
    assert times.shape == (B, N)
    weights = (0.5, 2.0, 3.0, 0.0, 1.0, 1.5)
    options: Options = {"class_weight": weights, "reduction": Each()}
    wanted = oracle("ttfs_ce", False, False)[0] * np.array(weights)[LABELS]
    same(presets.ttfs_ce(**options)(Times(data()[0], END), LABELS), wanted)
