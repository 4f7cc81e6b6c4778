"""The native core in JAX against plain operations, in values, derivatives and transforms."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import core_forms
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from core_forms import KERNELS, Kernel
from sharing import threaded  # noqa: F401  # a fixture

import spikeloss
from spikeloss import criteria, readouts
from spikeloss._kernels import _jax
from spikeloss._kernels.native import core

pytestmark = pytest.mark.skipif(isinstance(core(), str), reason=str(core()))

T, B, N = 7, 5, 6
LENGTHS = np.array([7, 3, 1, 0, 5], np.int32)

each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: f"{k.op}{k.options}")
LONG = (pytest.mark.slow, pytest.mark.long)
KINDS = (2, 7, 11, 15, 19)
each_kind = pytest.mark.parametrize(
    "kernel",
    [pytest.param(k, marks=() if i in KINDS else LONG) for i, k in enumerate(KERNELS)],
    ids=lambda k: f"{k.op}{k.options}",
)
"""Every kernel, with the long tests those whose arrays lie as those of another do."""
Array = Any


def drawn(
    kernel: Kernel, shape: tuple[int, ...] = (T, B, N), dtype: str = "float32"
) -> list[Array]:
    """A record and, for a criterion, its target."""
    draw = np.random.default_rng(len(KERNELS) + shape[0])
    x = draw.normal(size=shape)
    if kernel.record == "spikes":
        x = np.where(x > 0.5, x, 0)
    if np.dtype(jnp.dtype(dtype)).kind in "bui":
        x = draw.integers(0, 2, size=shape)
    shape = shape if kernel.target in ("rows", "labels") else shape[1:]
    y: list[Any] = []
    if kernel.target in ("row", "rows"):
        y = [
            jnp.asarray(
                draw.dirichlet(np.ones(shape[-1]), shape[:-1]),
                core_forms.computed(jnp.zeros(0, dtype)).dtype,
            )
        ]
    if kernel.target in ("label", "labels"):
        y = [jnp.asarray(draw.integers(0, N, size=shape[:-1]), jnp.int32)]
    return [jnp.asarray(x, dtype), *y]


def native(kernel: Kernel, x: Array, *rest: Array) -> tuple[Array, ...]:
    """The outputs by the core, of a record, the target and lengths."""
    *y, lengths = rest
    if y:
        return _jax.compare(kernel.op, kernel.options, kernel.form, x, y[0], lengths)
    if kernel.op in ("trace", "window"):
        return (_jax.trace(kernel.op, kernel.options, kernel.form, x, lengths),)
    return _jax.reduce(kernel.op, kernel.options, kernel.form, x, lengths)


@partial(jax.jit, static_argnums=0)
def plain(kernel: Kernel, *given: Array) -> tuple[Array, ...]:
    """The outputs by the composed form."""
    found = kernel.form(*given)
    return found if isinstance(found, tuple) else (found,)


def total(which: Any, kernel: Kernel, *given: Array) -> Array:
    """One number with different weights for all that have a derivative."""
    found = which(kernel, *given)
    numbers = [jnp.where(jnp.isfinite(found[i]), found[i], 0) for i in kernel.differs]
    return sum(jnp.sum(jnp.sin(jnp.arange(1.0, z.size + 1)).reshape(z.shape) * z) for z in numbers)


def same(found: Any, expected: Any, bound: float = 5e-6) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        np.testing.assert_allclose(a, b, rtol=bound, atol=bound)


@pytest.fixture
def x64() -> Any:
    with jax.enable_x64(True):
        yield


def test_jax_can_use_the_core() -> None:
    assert _jax.unavailable() is None


@each_kernel
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_values_and_gradients(kernel: Kernel, lengths: Array | None) -> None:
    given = [*drawn(kernel), lengths if lengths is None else jnp.asarray(lengths)]
    same(jax.jit(partial(native, kernel))(*given), plain(kernel, *given))
    found = jax.jit(jax.value_and_grad(partial(total, native, kernel)))(*given)
    same(found, jax.jit(jax.value_and_grad(partial(total, plain, kernel)))(*given), 2e-5)


@each_kernel
def test_the_gradient_is_that_of_the_core(kernel: Kernel) -> None:
    given = [*drawn(kernel), jnp.asarray(LENGTHS)]
    text = jax.jit(jax.grad(partial(total, native, kernel))).lower(*given).as_text()
    assert text.count("@spikeloss(") == 2  # forward and backward, and no composed form:
    assert not any(name in text for name in ("stablehlo.exponential", "cumsum", "argmax"))


@each_kind
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_vmap_over_samples(kernel: Kernel, axis: int) -> None:
    """Records (T, N) mapped over an axis anywhere, with lengths of their own."""
    given = drawn(kernel)
    lengths = jnp.asarray(LENGTHS)
    expected = plain(kernel, *given, lengths)
    slopes = jax.jit(jax.grad(partial(total, plain, kernel)))(*given, lengths)
    # Each target has its samples first, but for those of every step.
    late = kernel.target in ("rows", "labels")
    targets, places = given[1:], [int(late)] * len(given[1:])

    def single(x: Array, *rest: Array) -> Any:
        *y, n = rest
        found = native(kernel, x[:, None], *(z[:, None] if late else z[None] for z in y), n[None])
        return tuple(jnp.squeeze(z, z.ndim - 2) for z in found)

    def summed(x: Array) -> Array:
        mapped = jax.vmap(single, in_axes=(axis, *places, 0), out_axes=-2)
        return mapped(jnp.moveaxis(x, 1, axis), *targets, lengths)

    same(jax.jit(summed)(given[0]), expected)
    weigh = partial(total, lambda _, x: summed(x), kernel)
    same(jax.jit(jax.grad(weigh))(given[0]), slopes, 2e-5)


@each_kind
def test_vmap_over_lengths_and_targets_alone(kernel: Kernel) -> None:
    x, *y = drawn(kernel)
    lengths = jnp.stack([jnp.asarray(LENGTHS), jnp.full(B, T), jnp.asarray(LENGTHS[::-1])])
    found = jax.jit(jax.vmap(lambda n: native(kernel, x, *y, n)))(lengths)
    each = [plain(kernel, x, *y, n) for n in lengths]
    same(found, jax.tree.map(lambda *z: jnp.stack(z), *each))


@each_kind
def test_forward_mode(kernel: Kernel) -> None:
    x, *y = drawn(kernel)
    rest = (*y, jnp.asarray(LENGTHS))
    move = jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape)
    slopes = [
        jax.jit(partial(jax.jvp, lambda x, which=which: total(which, kernel, x, *rest)))(
            (x,), (move,)
        )
        for which in (native, plain)
    ]
    same(*slopes, 2e-5)


@each_kind
def test_second_derivatives(kernel: Kernel) -> None:
    """Of small records, by all orders of the two modes; a derivative of a target beside it."""
    x, *y = (z[..., :2, :3] if z.ndim > 2 else z for z in drawn(kernel, (3, 2, 6)))
    y = [z if z.dtype == jnp.int32 else z[..., :3] for z in y]
    y = [z % 3 if z.dtype == jnp.int32 else z for z in y]
    rest = (*y, jnp.asarray([3, 2], jnp.int32))
    for inner, outer in ((jax.jacrev, jax.jacfwd), (jax.jacfwd, jax.jacrev), (jax.jacrev,) * 2):
        found, expected = (
            jax.jit(outer(inner(lambda x, which=which: total(which, kernel, x, *rest))))(x)
            for which in (native, plain)
        )
        same(found, expected, 2e-5)


@pytest.mark.parametrize("kernel", [k for k in KERNELS if "row" in k.target], ids=lambda k: k.op)
def test_the_target_has_a_derivative_too(kernel: Kernel) -> None:
    given = [*drawn(kernel), jnp.asarray(LENGTHS)]
    slopes = [
        jax.jit(jax.grad(partial(total, which, kernel), (0, 1)))(*given)
        for which in (native, plain)
    ]
    same(*slopes, 2e-5)


@each_kind
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "bool", "uint8", "int32"])
def test_dtypes(kernel: Kernel, dtype: str, x64: None) -> None:
    given = [*drawn(kernel, dtype=dtype), jnp.asarray(LENGTHS)]
    bound = {"float64": 1e-12}.get(dtype, 5e-6)
    same(jax.jit(partial(native, kernel))(*given), plain(kernel, *given), bound)
    if jnp.issubdtype(given[0].dtype, jnp.floating):
        slopes = [
            jax.jit(jax.grad(partial(total, which, kernel)))(*given) for which in (native, plain)
        ]
        same(*slopes, {"float64": 1e-11, "float16": 2e-3, "bfloat16": 1e-2}[dtype])


def test_labels_and_lengths_of_64_bits(x64: None) -> None:
    kernel = next(k for k in KERNELS if k.target == "labels")
    x, y = drawn(kernel)
    found = native(kernel, x, y.astype(jnp.int64), jnp.asarray(LENGTHS, jnp.int64))
    same(found, plain(kernel, x, y, jnp.asarray(LENGTHS)))
    same(native(kernel, x, y, jnp.asarray(LENGTHS, jnp.int16)), found)


@each_kind
def test_scan_and_no_jit(kernel: Kernel) -> None:
    given = [*drawn(kernel), jnp.asarray(LENGTHS)]
    rest = given[1:]

    def step(total: Array, x: Array) -> tuple[Array, Any]:
        return total, native(kernel, x, *rest)

    records = jnp.stack([given[0], 2 * given[0]])
    found = jax.lax.scan(step, 0.0, records)[1]
    each = [native(kernel, x, *rest) for x in records]
    same(found, jax.tree.map(lambda *z: jnp.stack(z), *each))
    same(each[0], plain(kernel, *given))


@pytest.mark.parametrize("kernel", KERNELS[2:13:5], ids=lambda k: k.op)
def test_batch_axes(kernel: Kernel) -> None:
    """Several, or none, and lengths with an axis for neurons."""
    given = drawn(kernel, (T, 6, N))
    lengths = jnp.arange(6) + 1
    expected = plain(kernel, *given, lengths)
    found = native(kernel, given[0].reshape(T, 2, 3, N), lengths.reshape(2, 3, 1))
    same(found, [z.reshape(*z.shape[:-2], 2, 3, N) for z in expected])
    same(native(kernel, given[0][:, 4], lengths[4]), [z[..., 4, :] for z in expected])


NOTHING = {
    "max": (-np.inf, -1),
    "lse": (-np.inf, 0),
    "last": (0, -1),
    "spikes": (np.inf, 0, -1),
    "cross": (np.inf, -np.inf, -1, -1),
    "peak": (-np.inf, 0, 0, -1),
    "ce": (0, 0),
}
"""What is read of no steps; 0 of other kernels."""


@each_kernel
def test_empty_records(kernel: Kernel) -> None:
    for shape in ((0, 2, 3), (3, 0, 3)):
        x, *y = drawn(kernel, shape)
        found = native(kernel, x, *y, None)
        late = (kernel.options[0] * kernel.options[1], -1) if kernel.op == "first" else (0,)
        late = (-kernel.options[2],) if kernel.op == "soft" else late
        for z, value in zip(found, NOTHING.get(kernel.op, late), strict=True):
            assert z.shape[-2] == shape[1]
            assert (np.asarray(z) == value).all()
        assert jax.grad(partial(total, native, kernel))(x, *y, None).shape == shape


def test_nan_and_infinity() -> None:
    x = jnp.zeros((T, B, N)).at[2, 0, 0].set(jnp.nan).at[1, 0, 1].set(jnp.inf)
    x = x.at[3, 0, 2].set(-jnp.inf)
    found = native(KERNELS[2], x, None)
    assert jnp.isnan(found[0][0, 0])
    assert found[1][0, :3].tolist() == [2, 1, 0]
    assert found[0][0, 1:3].tolist() == [jnp.inf, 0.0]


def test_a_donated_record() -> None:
    kernel = KERNELS[2]
    step = jax.jit(
        lambda x: x - jax.grad(partial(total, native, kernel))(x, None), donate_argnums=0
    )
    expected = jax.jit(lambda x: x - jax.grad(partial(total, plain, kernel))(x, None))
    x = drawn(kernel)[0]
    wanted = expected(x)
    same(step(x), wanted)
    assert x.is_deleted()


@pytest.mark.usefixtures("threaded")
def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    for kernel in (KERNELS[i] for i in KINDS):
        given = [*drawn(kernel, (40, 300, N)), None]
        found = []
        for count in ("1", "2", "7"):
            monkeypatch.setenv("SPIKELOSS_THREADS", count)
            call = jax.jit(jax.value_and_grad(partial(total, native, kernel)))
            found.append(jax.tree.leaves(call(*given)))
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.usefixtures("threaded")
def test_calls_at_once() -> None:
    """Several threads of Python that run compiled losses, more than the pool of the core serves."""
    kernel = KERNELS[2]
    given = [*drawn(kernel, (40, 300, N)), None]
    call = jax.jit(partial(native, kernel))
    expected = call(*given)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: call(*given), range(64)):
            same(found, expected, 0.0)


def test_other_platforms_have_the_composed_form() -> None:
    kernel = KERNELS[2]
    call = jax.jit(jax.grad(partial(total, native, kernel)))
    traced = call.trace(*drawn(kernel), None)
    assert "@spikeloss(" in traced.lower(lowering_platforms=("cpu",)).as_text()
    assert "@spikeloss(" not in traced.lower(lowering_platforms=("tpu",)).as_text()


def test_errors_name_what_is_wrong() -> None:
    x = jnp.full((T, B, N), jnp.nan)
    with pytest.raises(Exception, match="record: expected finite numbers"):
        jax.block_until_ready(_jax.reduce("spikes", (1.0, 1.0), core_forms.spikes(1), x, None))
    refused = {
        "the attributes": ([x], {"how": np.zeros(3, np.int64)}),
        "the number of arguments": ([x, x], {}),
        "type of the record": ([x.astype(jnp.int8)], {}),
        "shape or type of the record": ([x[0]], {}),
        "no such kernel": ([x], {"how": np.array([63, 1, 0, 0, 0, 0, 0, 0])}),
        "type of lengths": ([x, x[0, :, 0]], {"how": np.array([1, 1, 0, 1, 0, 0, 0, 0])}),
        "type of the target": ([x, x], {"how": np.array([16, 1, 0, 0, 3, 0, 0, 0])}),
    }
    for message, (arrays, given) in refused.items():
        of = {"how": np.array([1, 1, 0, 0, 0, 0, 0, 0]), "options": np.zeros(4)} | given
        call = jax.ffi.ffi_call("spikeloss", [jax.ShapeDtypeStruct((B, N), jnp.float32)] * 2)
        with pytest.raises(Exception, match=message):
            jax.block_until_ready(call(*arrays, **of))


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from functools import partial
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from test_core_jax import KERNELS, KINDS, drawn, native, plain, same, total

for kernel in [KERNELS[i] for i in KINDS]:
    for axis_type in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((2,), ("samples",), axis_types=(axis_type,))
        x, *y = drawn(kernel, (7, 4, 6))
        given, specs = (x, *y, jnp.asarray([7, 3, 0, 1])), [P(None, "samples")]
        late = kernel.target in ("rows", "labels")
        specs += [P(None, "samples") if late else P("samples")] * len(y) + [P("samples")]
        put = [jax.device_put(z, NamedSharding(mesh, s)) for z, s in zip(given, specs)]
        with jax.set_mesh(mesh):
            call = jax.jit(partial(native, kernel))
            found = call(*put)
            same(found, plain(kernel, *given))
            assert not any(z.sharding.is_fully_replicated for z in found), kernel
            assert "all-gather" not in call.lower(*put).compile().as_text(), kernel
        if axis_type == AxisType.Auto:
            slope = jax.jit(jax.grad(partial(total, native, kernel)))(*put)
            same(slope, jax.grad(partial(total, plain, kernel))(*given), 2e-5)
            assert slope.sharding.spec == specs[0], slope.sharding
            # A record that is sharded along its neurons.
            other = jax.device_put(x, NamedSharding(mesh, P(None, None, "samples")))
            same(call(other, *put[1:]), plain(kernel, *given))

            def inside(x, *rest):
                return jax.lax.psum(total(native, kernel, x, *rest), "samples")

            late = kernel.op in ("spikes", "trace", "window")
            out, into = P(None, "samples") if late else P("samples"), tuple(specs)
            each = partial(native, kernel)
            mapped = jax.shard_map(each, mesh=mesh, in_specs=into, out_specs=out)
            same(jax.jit(mapped)(*put), plain(kernel, *given))
            summed = jax.shard_map(inside, mesh=mesh, in_specs=into, out_specs=P())
            halves = [[z[:, k:k + 2] if s == P(None, "samples") else z[k:k + 2]
                       for z, s in zip(given, specs)] for k in (0, 2)]
            expected = [jax.grad(partial(total, plain, kernel))(*half) for half in halves]
            same(jax.jit(jax.grad(summed))(*put), jnp.concatenate(expected, 1), 2e-5)
print("all the same")
"""


def test_two_devices() -> None:
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), env.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], env=env, capture_output=True, text=True, check=False
    )
    assert "all the same" in done.stdout, done.stderr


@pytest.mark.parametrize("lengths", [None, LENGTHS.clip(1)], ids=["whole", "lengths"])
@pytest.mark.parametrize(
    "loss",
    [
        spikeloss.Loss(readouts.FirstSpike(), criteria.CrossEntropy()),
        spikeloss.Loss(readouts.EveryStep(), criteria.CrossEntropy(label_smoothing=0.1)),
    ],
    ids=["first spike", "every step"],
)
def test_losses_run_the_core(
    loss: Any, lengths: Array | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = drawn(KERNELS[6])[0], jnp.arange(B)
    found = []
    for mode in ("require", "off"):
        monkeypatch.setenv("SPIKELOSS_KERNELS", mode)
        slope = jax.jit(jax.value_and_grad(lambda x: loss(x, y, lengths=lengths)))
        assert ("@spikeloss(" in slope.lower(x).as_text()) == (mode == "require")
        found.append((slope(x), loss(x, y, lengths=lengths)))
    same(*found)


def test_a_check_sees_valid_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOSS_KERNELS", "require")
    loss = spikeloss.Loss(readouts.FirstSpike(), criteria.CrossEntropy())
    x = drawn(KERNELS[6])[0].at[4, 1, 0].set(jnp.nan)
    assert jnp.isfinite(loss(x, jnp.arange(B), lengths=LENGTHS.clip(1)))
    with pytest.raises(ValueError, match="record: expected finite spikes"):
        loss(x, jnp.arange(B))
