"""What `test_ranks.py` runs on 8 devices of JAX: shards of a batch, of time and of classes.

S=8 devices, 2 samples on each, some of which are ignored or shorter; T=7 steps, N=6 neurons; what
is expected is what the same library gives for the whole batch on one device.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from libraries import JAX, same

from spikeloss import Loss, penalties, presets
from spikeloss.criteria import CrossEntropy
from spikeloss.readouts import Maximum, SumOverTime
from spikeloss.reductions import Mean, Sum

S, PER, T, N = 8, 2, 7, 6
CLASS_WEIGHT = (1.0, 2.0, 6.0, 0.5, 1.0, 3.0)
LOSSES = {
    "mean": presets.ce_max_membrane(),
    "weights": presets.ce_max_membrane(class_weight=CLASS_WEIGHT, reduction=Mean("weights")),
    "ignoring": Loss(Maximum(), CrossEntropy(ignore_index=2)),
    "steps": presets.tet() + 0.1 * penalties.membrane_bounds(reduction=Sum()),
}


def mesh(*names: str, shape: tuple[int, ...] = (S,)) -> Any:
    kinds = (jax.sharding.AxisType.Auto,) * len(names)
    return jax.make_mesh(shape, names, axis_types=kinds)


def batch() -> tuple[Any, ...]:
    """Weights of a network, its inputs (T, B, 4), labels, lengths and sample weights (B)."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(T, S * PER, 4)), rng.integers(0, N, S * PER)
    weights = rng.random(S * PER)
    weights[:PER] = 0  # nothing counts on the first device
    return (
        *map(JAX.array, (rng.normal(size=(4, N)), x, y, rng.integers(1, T + 1, S * PER), weights)),
    )


def called(loss: Any) -> Callable[..., Any]:
    """The loss of a network, of its weights and a batch."""

    def run(w: Any, x: Any, y: Any, n: Any, weight: Any) -> Any:
        record = jnp.cumsum(jnp.tanh(x @ w), 0)
        return loss(record, y, lengths=n, sample_weight=weight)

    return run


SPECS = (P(), P(None, "data"), P("data"), P("data"), P("data"))
AXES = (None, 1, 0, 0, 0)


def split(given: Any) -> tuple[Any, ...]:
    """With an axis of devices where a batch is."""
    return tuple(
        x if axis is None else x.reshape(*x.shape[:axis], S, PER, *x.shape[axis + 1 :])
        for x, axis in zip(given, AXES, strict=True)
    )


def ways(loss: Any) -> dict[str, Callable[..., Any]]:
    """How to get the value and the gradient of the weights, by devices."""
    shared, apart = called(loss.across("data")), called(loss.across("data", gradients="summed"))
    graded = jax.value_and_grad
    shard_map = partial(jax.shard_map, mesh=mesh("data"), in_specs=SPECS)

    def mapped(run: Any, reduced: Any, by: Any = jax.vmap) -> Any:
        def one(*given: Any) -> Any:
            value, grad = graded(run)(*given)
            return value, reduced(grad, "data")

        def call(*given: Any) -> Any:
            found = by(one, axis_name="data", in_axes=AXES)(*split(given))
            return jax.tree.map(lambda x: x[-1], found)

        return call

    def unchecked(run: Any, reduced: Any) -> Any:
        def one(*given: Any) -> Any:
            value, grad = graded(run)(*given)
            return value, reduced(grad, "data")

        return shard_map(one, out_specs=P(), check_vma=False)

    mean, total = jax.lax.pmean, jax.lax.psum
    return {
        "shard_map, derived outside": graded(shard_map(shared, out_specs=P())),
        "shard_map, derived inside": shard_map(graded(shared), out_specs=P()),
        "the same, and a mean": shard_map(
            lambda *given: jax.tree.map(lambda x: mean(x, "data"), graded(shared)(*given)),
            out_specs=P(),
        ),
        "the same, said to be summed": shard_map(graded(apart), out_specs=P()),
        "unchecked, derived outside": graded(shard_map(shared, out_specs=P(), check_vma=False)),
        "unchecked, averaged": unchecked(shared, mean),
        "unchecked, summed": unchecked(apart, total),
        "vmap, averaged": mapped(shared, mean),
        "vmap, summed": mapped(apart, total),
        "pmap, averaged": mapped(shared, mean, jax.pmap),
        "pmap, summed": mapped(apart, total, jax.pmap),
    }


def axes() -> None:
    """Value and gradient by every way to map an axis."""
    for name, loss in LOSSES.items():
        given = batch()
        value, grad = jax.jit(jax.value_and_grad(called(loss)))(*given)
        for way, run in ways(loss).items():
            jitted = run if "pmap" in way else jax.jit(run)
            try:
                found, slope = jitted(*given)
                same(found, np.asarray(value))
                same(slope, np.asarray(grad))
            except BaseException as error:
                raise AssertionError(f"{name}: {way}") from error


def records() -> None:
    """The gradient of a record is that of the batch, on the device that holds the samples."""
    _, x, y, n, weight = batch()
    x = jnp.concatenate([x, x[..., :2]], -1)
    options = {"lengths": n, "sample_weight": weight}
    loss = presets.ce_count()
    value, grad = jax.value_and_grad(loss)(x, y, **options)

    def run(x: Any, y: Any, n: Any, weight: Any) -> Any:
        return loss.across("data")(x, y, lengths=n, sample_weight=weight)

    outside = jax.shard_map(run, mesh=mesh("data"), in_specs=SPECS[1:], out_specs=P())
    found, slope = jax.jit(jax.value_and_grad(outside))(x, y, n, weight)
    same(found, np.asarray(value))
    same(slope, np.asarray(grad))


def two_axes() -> None:
    """Ranks along both axes of a mesh, by one collective."""
    given = batch()
    loss, run = LOSSES["weights"], called(LOSSES["weights"].across(("outer", "inner")))
    both = ("outer", "inner")
    specs = (P(), P(None, both), P(both), P(both), P(both))
    grid = mesh("outer", "inner", shape=(4, 2))
    mapped = jax.shard_map(run, mesh=grid, in_specs=specs, out_specs=P())
    found, slope = jax.jit(jax.value_and_grad(mapped))(*given)
    value, grad = jax.value_and_grad(called(loss))(*given)
    same(found, np.asarray(value))
    same(slope, np.asarray(grad))


def one_collective() -> None:
    """Of all terms of a sum, in the program that is compiled."""
    run = jax.shard_map(
        called(LOSSES["steps"].across("data")), mesh=mesh("data"), in_specs=SPECS, out_specs=P()
    )
    assert str(jax.make_jaxpr(run)(*batch())).count("psum") == 1


SHARDED = {
    "samples": P(None, "data"),
    "time": P("data"),
    "classes": P(None, None, "data"),
    "both": P("data", "other"),
}


def under_jit() -> None:
    """Records that are sharded by samples, by time or by classes, without a word about ranks."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 16, 8)), jnp.asarray(rng.integers(0, 8, 16))
    lengths, grid = jnp.asarray(rng.integers(1, 9, 16)), mesh("data", "other", shape=(4, 2))
    for loss in (
        presets.ce_max_membrane(class_weight=(1.0, 2.0, 6.0, 0.5, 1.0, 3.0, 1.0, 2.0)),
        presets.ce_count(),
        presets.mse_temporal(),
        presets.tet() + 0.1 * penalties.membrane_bounds(),
    ):
        record = (x > 0.5).astype(float) if loss.main.reads == "spikes" else x
        run = jax.jit(jax.value_and_grad(lambda x, y, n, loss=loss: loss(x, y, lengths=n)))
        for dtype in ("float64", "float32"):
            value, grad = run(JAX.array(record, dtype), y, lengths)
            for name, spec in SHARDED.items():
                where = NamedSharding(grid, spec)
                found, slope = run(jax.device_put(JAX.array(record, dtype), where), y, lengths)
                try:
                    same(found, np.asarray(value), dtype)
                    same(slope, np.asarray(grad), dtype)
                except AssertionError as error:
                    raise AssertionError(f"{loss}: {name}, {dtype}") from error


def stretches_of_time() -> None:
    """Sums over stretches of time on 7 devices are those over time."""
    _, x, y, *_ = batch()

    def run(x: Any, y: Any) -> Any:
        counts = jax.lax.psum(SumOverTime()(x), "time")
        return presets.cross_entropy()(counts, y)

    grid = jax.make_mesh((7,), ("time",), axis_types=(jax.sharding.AxisType.Auto,),
                         devices=jax.devices()[:7])  # fmt: skip
    mapped = jax.shard_map(run, mesh=grid, in_specs=(P("time"), P()), out_specs=P())
    y = y % 4
    found, slope = jax.jit(jax.value_and_grad(mapped))(x, y)
    value, grad = jax.value_and_grad(presets.ce_count())(x, y)
    same(found, np.asarray(value))
    same(slope, np.asarray(grad))


def refusals() -> None:
    _, x, y, *_ = batch()
    loss = presets.ce_max_membrane().across("data")
    text = r"^across: expected the name of an axis that is mapped here, got 'data'\. Call it inside"
    for run in (loss, jax.jit(loss)):
        with pytest.raises(ValueError, match=text):
            run(x, y % 4)


CHECKS = (axes, records, two_axes, one_collective, under_jit, stretches_of_time, refusals)


def run(*names: str) -> None:
    with JAX.precision():
        for check in CHECKS:
            if check.__name__ in names:
                check()
