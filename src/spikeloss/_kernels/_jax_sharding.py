"""How the kernels are shared among devices: each takes the samples that it holds."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from inspect import signature
from typing import Any

import jax
from jax.experimental.custom_partitioning import custom_partitioning
from jax.interpreters import mlir

from ._jax_call import Array, Arrays

_SPEC: Any = jax.sharding.PartitionSpec
_PARTITIONED: Any = custom_partitioning


def on_devices(primitive: Any, kernel: Callable[..., Arrays], axes: Callable[..., Any]) -> Any:
    """The lowering of a primitive to its kernel, which each device runs on the samples it holds.

    XLA would gather the record on every device. A JAX that tells no devices to the lowering of
    our primitives leaves it at that. What is sharded along another axis is gathered in any case.
    """

    def shared(*arrays: Array, **of: Any) -> Arrays:
        return _over_samples(partial(kernel, **of), arrays, *axes(**of))

    alone, together = (mlir.lower_fun(f, multiple_results=True) for f in (kernel, shared))
    _tell_devices(primitive)

    def lowering(context: Any, *arrays: Any, **of: Any) -> Any:
        where = context.module_context.axis_context
        devices = getattr(where, "device_assignment", None) or ()
        many = hasattr(where, "mesh") or len(devices) > 1
        return (together if many else alone)(context, *arrays, **of)

    return lowering


def _tell_devices(primitive: Any) -> None:
    """Asks for the devices in a lowering, as JAX's own partitioned primitives do."""
    with suppress(ImportError, AttributeError):
        from jax._src.dispatch import prim_requires_devices_during_lowering as telling

        telling.add(primitive)


def _over_samples(
    kernel: Callable[..., Arrays],
    arrays: Sequence[Array],
    given: Sequence[int],
    found: Sequence[int],
) -> Arrays:
    """kernel(*arrays); `given` and `found`: the axis of samples of each array."""
    call = _PARTITIONED(lambda *arrays: tuple(kernel(*arrays)))

    def outputs(mesh: Any, inputs: Sequence[Any], results: Sequence[Any]) -> tuple[Any, ...]:
        return _shardings(mesh, inputs, given[0], results, found)

    def partition(mesh: Any, inputs: Sequence[Any], results: Sequence[Any]) -> tuple[Any, ...]:
        into = _shardings(mesh, inputs, given[0], inputs, given)
        return mesh, kernel, outputs(mesh, inputs, results), into

    ranks = [[x.ndim for x in each] for each in (arrays, jax.eval_shape(kernel, *arrays))]
    rule, others = _rule(ranks, (given, found))
    known = signature(call.def_partition).parameters
    of = {"sharding_rule": rule, "need_replication_factors": tuple(others)}
    call.def_partition(
        partition=partition,
        infer_sharding_from_operands=outputs,
        **{name: value for name, value in of.items() if name in known},
    )
    results: Arrays = call(*arrays)
    return results


def _shardings(
    mesh: Any, inputs: Sequence[Any], axis: int, shapes: Sequence[Any], axes: Sequence[int]
) -> tuple[Any, ...]:
    """Of arrays whose samples lie where those of the record do."""
    spec = (*inputs[0].sharding.spec, *(None,) * len(inputs[0].shape))
    return tuple(
        jax.sharding.NamedSharding(mesh, _SPEC(*(None,) * place, spec[axis])) for place in axes
    )


def _rule(ranks: Sequence[Sequence[int]], axes: Sequence[Sequence[int]]) -> tuple[str, list[str]]:
    """That the axes of samples are one, as Shardy reads it, and the names of all other axes."""
    others: list[str] = []

    def names(rank: int, axis: int) -> str:
        start = len(others)
        others.extend(f"i{start + k}" for k in range(rank - 1))
        each = others[start:]
        return " ".join([*each[:axis], "b", *each[axis:]])

    sides = [map(names, *each) for each in zip(ranks, axes, strict=True)]
    return " -> ".join(", ".join(side) for side in sides), others
