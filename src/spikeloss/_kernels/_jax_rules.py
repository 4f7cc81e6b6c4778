"""JAX on the CPU: a kernel as primitives, with the composed form for what the kernel does not do.

Three primitives of a call: its outputs; the tangents of its outputs, which are linear in that of
the record; and the gradient of the record, the transpose of these. The first and the last are
lowered to the native core on the CPU, and to the composed form elsewhere, where XLA fuses it: the
choice is made where JAX knows the platform, when it compiles. Tangents and all derivatives beyond
the first are those of the composed form. `vmap` makes one longer batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from ._jax_call import Array, Arrays, Call
from ._jax_sharding import on_devices

_SPEC: Any = jax.sharding.PartitionSpec

outputs_p: Any = Primitive("spikeloss")
"""given -> outputs"""

tangents_p: Any = Primitive("spikeloss_tangents")
"""given, outputs, the tangent of the record -> those of the outputs that have one"""

gradient_p: Any = Primitive("spikeloss_gradient")
"""given, outputs, gradients of outputs, of those that `up` numbers -> that of the record"""


def _outputs(*given: Array, call: Call) -> Arrays:
    return call.form(*given)


def _tangents(*arrays: Array, call: Call) -> Arrays:
    given, tangent = arrays[: call.given], arrays[-1]
    found: Arrays = jax.jvp(lambda x: call.numbers(x, *given[1:]), given[:1], (tangent,))[1]
    return found


def _gradient(*arrays: Array, call: Call, up: tuple[int, ...]) -> Arrays:
    given, ups = arrays[: call.given], dict(zip(up, arrays[-len(up) :], strict=True))
    outputs, back = jax.vjp(lambda x: call.numbers(x, *given[1:]), given[0])
    pairs = zip(call.differentiable, outputs, strict=True)
    found: Arrays = back(tuple(ups.get(i, jnp.zeros_like(z)) for i, z in pairs))
    return found


def _kernel_outputs(*given: Array, call: Call) -> Arrays:
    return call.forward(*given)


def _kernel_gradient(*arrays: Array, call: Call, up: tuple[int, ...]) -> Arrays:
    given, rest = arrays[: call.given], arrays[call.given :]
    outputs, ups = rest[: -len(up)], rest[-len(up) :]
    return (call.backward(given, outputs, dict(zip(up, ups, strict=True))),)


# What JAX asks of a primitive.


def _outputs_like(record: Any, *_: Any, call: Call) -> list[Any]:
    every = zip(call.outputs(record), call.out_axes, strict=True)
    return [_like(record, call, *form, axis) for form, axis in every]


def _tangents_like(record: Any, *_: Any, call: Call) -> list[Any]:
    every = _outputs_like(record, call=call)
    return [every[i] for i in call.differentiable]


def _gradient_like(record: Any, *_: Any, call: Call, up: tuple[int, ...]) -> list[Any]:
    return [_like(record, call, tuple(record.shape), record.dtype, call.record_axis)]


def _like(record: Any, call: Call, shape: tuple[int, ...], dtype: Any, axis: int) -> Any:
    """An array beside the record, with its samples on the same devices."""
    sharding = getattr(record, "sharding", None)
    if sharding is None or sharding.mesh.empty:
        return jax.core.ShapedArray(shape, dtype)
    spec: list[Any] = [None] * len(shape)
    spec[axis] = (*sharding.spec, None, None, None)[call.record_axis]
    sharding = sharding.update(spec=_SPEC(*spec))
    return record.update(shape=shape, dtype=dtype, weak_type=False, sharding=sharding)


def alike(arrays: Sequence[Array]) -> list[Array]:
    """What varies over the same axes of a `shard_map`, as arrays of one primitive must."""
    has = [_varying(x) for x in arrays]
    every = frozenset[Any]().union(*has)
    return [
        _vary(x, tuple(every - axes)) if every - axes else x
        for x, axes in zip(arrays, has, strict=True)
    ]


def _varying(x: Array) -> frozenset[Any]:
    kind: Any = getattr(x, "aval", None)
    found: frozenset[Any] | None = getattr(getattr(kind, "mat", None), "varying", None)
    return getattr(kind, "vma", frozenset()) if found is None else found


def _vary(x: Array, axes: tuple[Any, ...]) -> Array:
    lax: Any = jax.lax
    return lax.pcast(x, axes, to="varying") if hasattr(lax, "pcast") else lax.pvary(x, axes)


@cache
def _compiled(primitive: Any, **of: Any) -> Callable[..., Any]:
    return jax.jit(partial(primitive.bind, **of))


def _run(primitive: Any, *arrays: Array, **of: Any) -> Any:
    """Outside of `jit`: compiled once for each call and shape."""
    return _compiled(primitive, **of)(*arrays)


def _differentiate_outputs(
    given: Sequence[Array], tangents: Sequence[Any], *, call: Call
) -> tuple[Any, Any]:
    outputs = outputs_p.bind(*given, call=call)
    into: list[Any] = [_no_tangent(z) for z in outputs]
    parts: list[Arrays] = []
    if _moves(tangents[0]):
        parts.append(tangents_p.bind(*given, *outputs, tangents[0], call=call))
    if call.target and _moves(tangents[-1]):
        parts.append(jax.jvp(lambda y: call.numbers(*given[:-1], y), given[-1:], tangents[-1:])[1])
    for part in parts:
        for i, tangent in zip(call.differentiable, part, strict=True):
            into[i] = tangent if isinstance(into[i], ad.Zero) else into[i] + tangent
    return outputs, into


def _moves(tangent: Any) -> bool:
    return not isinstance(tangent, ad.Zero)


def _no_tangent(x: Array) -> Any:
    core: Any = jax.core
    kind = getattr(jax, "typeof", None) or core.get_aval  # of the first versions
    return ad.Zero(kind(x).to_tangent_aval())


def _transpose_tangents(cotangents: Sequence[Any], *arrays: Any, call: Call) -> list[Any]:
    known, ups = arrays[:-1], dict(zip(call.differentiable, cotangents, strict=True))
    ups = {i: up for i, up in ups.items() if _moves(up)}
    found = [None] * len(arrays)
    if ups:
        given = (*known, *ups.values())
        found[-1] = gradient_p.bind(*given, call=call, up=tuple(ups))[0]
    return found


def _differentiate_composed(
    primitive: Any, form: Callable[..., Arrays], arrays: Sequence[Array], tangents: Any, **of: Any
) -> tuple[Any, Any]:
    """Of a derivative: by the composed form, from all that moves and is not an output."""
    call: Call = of["call"]
    outputs = primitive.bind(*arrays, **of)
    held = range(call.given, call.given + len(call.out_axes))
    moving = [i for i, v in enumerate(tangents) if _moves(v) and i not in held]
    if not moving:
        return outputs, [_no_tangent(z) for z in outputs]

    def of_moving(*moved: Array) -> Arrays:
        every = list(arrays)
        for i, value in zip(moving, moved, strict=True):
            every[i] = value
        return tuple(form(*every, **of))

    where = tuple(arrays[i] for i in moving), tuple(tangents[i] for i in moving)
    return outputs, jax.jvp(of_moving, *where)[1]


def _differentiate_tangents(
    arrays: Sequence[Array], tangents: Any, *, call: Call
) -> tuple[Any, Any]:
    if any(map(_moves, tangents[: call.given])):
        return _differentiate_composed(tangents_p, _tangents, arrays, tangents, call=call)
    outputs = tangents_p.bind(*arrays, call=call)
    if not _moves(tangents[-1]):
        return outputs, [_no_tangent(z) for z in outputs]
    return outputs, tangents_p.bind(*arrays[:-1], tangents[-1], call=call)


def _batch(
    primitive: Any,
    axes: Callable[..., tuple[tuple[int, ...], tuple[int, ...]]],
    arrays: Sequence[Array],
    dims: Sequence[Any],
    *,
    call: Call,
    **of: Any,
) -> tuple[list[Array], list[int]]:
    """One longer batch; a batch of single samples that lie one by one stays so."""
    size = next(x.shape[d] for x, d in zip(arrays, dims, strict=True) if isinstance(d, int))
    was, gave = axes(call, **of)
    if dims[0] == 0 and not call.batch_first and arrays[0].shape[2] == 1:
        call = replace(call, batch_first=True)
    now, gives = axes(call, **of)
    merged = [_merged(x, d, size, *at) for x, d, *at in zip(arrays, dims, was, now, strict=True)]
    found, places = primitive.bind(*merged, call=call, **of), []
    for i, (z, before, axis) in enumerate(zip(found, gave, gives, strict=True)):
        shape = list(z.shape)
        shape[axis : axis + 1] = [size, shape[axis] // size]
        if axis != before:  # (V, 1, T, N), of single samples, is (V, T, 1, N)
            shape[axis + 1 : before + 2] = [*shape[axis + 2 : before + 2], 1]
        found[i] = jnp.reshape(z, shape)
        places.append(axis)
    return found, places


def _merged(x: Array, dim: Any, size: int, was: int, now: int) -> Array:
    """With the axis that is mapped as part of that of samples."""
    if not isinstance(dim, int):
        x, dim = jnp.broadcast_to(x[None], (size, *x.shape)), 0
    if was != now:  # single samples
        return jnp.moveaxis(jnp.squeeze(x, was + (dim <= was)), dim - (dim > was), now)
    x = jnp.moveaxis(x, dim, was)
    return jnp.reshape(x, (*x.shape[:was], -1, *x.shape[was + 2 :]))


def _outputs_axes(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return call.given_axes, call.out_axes


def _tangents_axes(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    given = (*call.given_axes, *call.out_axes, call.record_axis)
    return given, tuple(call.out_axes[i] for i in call.differentiable)


def _gradient_axes(call: Call, up: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    given = (*call.given_axes, *call.out_axes, *(call.out_axes[i] for i in up))
    return given, (call.record_axis,)


def _register(
    primitive: Any,
    *,
    form: Callable[..., Arrays],
    kernel: Callable[..., Arrays] | None,
    like: Callable[..., list[Any]],
    axes: Callable[..., tuple[tuple[int, ...], tuple[int, ...]]],
    jvp: Callable[..., tuple[Any, Any]],
) -> None:
    primitive.multiple_results = True
    primitive.def_impl(partial(_run, primitive))
    primitive.def_abstract_eval(like)
    mlir.register_lowering(primitive, mlir.lower_fun(form, multiple_results=True))
    if kernel:
        mlir.register_lowering(primitive, on_devices(primitive, kernel, axes), platform="cpu")
    batching.primitive_batchers[primitive] = partial(_batch, primitive, axes)
    ad.primitive_jvps[primitive] = jvp


_register(
    outputs_p,
    form=_outputs,
    kernel=_kernel_outputs,
    like=_outputs_like,
    axes=_outputs_axes,
    jvp=_differentiate_outputs,
)
_register(
    tangents_p,
    form=_tangents,
    kernel=None,
    like=_tangents_like,
    axes=_tangents_axes,
    jvp=_differentiate_tangents,
)
_register(
    gradient_p,
    form=_gradient,
    kernel=_kernel_gradient,
    like=_gradient_like,
    axes=_gradient_axes,
    jvp=partial(_differentiate_composed, gradient_p, _gradient),
)
ad.primitive_transposes[tangents_p] = _transpose_tangents
