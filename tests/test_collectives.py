"""Parts across an axis of `vmap`, devices of JAX and processes of PyTorch: the oracle's number.

S=4 shards of 2 samples, T=7 steps, N=6 neurons; in processes 2 and 3 of B=5 samples.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch
from cases import B, Case, N, T, case, oracle, target_for
from harness import arrays_of, batched, compiled, each_case, jax_grad
from libraries import JAX, TORCH, Array, same
from test_parts import HALVES, MEANS, MIXED, PADDED, WEIGHTED, of_rows, pooled, shards, summed
from test_records import COMPILED, EMPTY, WORDS, drawn, gaps, spoiled, without
from test_transforms import fresh

from spikeloss import Parts

# JAX

ROWS = COMPILED[4:]
"""Of labels, labels per step, spike times, and errors per class."""


@pytest.mark.alike
@each_case(ROWS)
def test_shards_in_jit(row: Case) -> None:
    """With a sample without steps, which is a shard of its own."""
    valid = gaps(row)
    record, target = spoiled(row, row.record_of(), row.target_of(), valid)

    @compiled
    def call(x: Any, y: Any, valid: Any) -> Any:
        losses = [row.loss.replace(reduction=WORDS[word]) for word in MEANS]
        runs = [pooled(row, (0, 0, EMPTY, EMPTY + 1, B), loss) for loss in losses]
        return [jax_grad(lambda x, run=run: run(x, y, valid=valid), x) for run in runs]

    with JAX.precision():
        found = call(*map(JAX.array, (record, target, valid)))
    for (value, grad), word in zip(found, MEANS, strict=True):
        wanted = without(row, word, valid)
        same(value, wanted[0])
        same(grad, wanted[1])


SHARDED = tuple(
    case(name) for name in ("CE steps weights weighted", "CE sum", "mse_temporal()", "SE weights")
)
S, PER = 4, 2  # shards, and their samples


def of_shards(row: Case) -> tuple[tuple[Array, ...], tuple[int, ...], tuple[Array, Array]]:
    """Record, target and lengths with an axis of shards, where that is, and the oracle's."""
    record, target = drawn(row, S * PER, 3), target_for(row, (T, S * PER, N))
    lengths = np.resize(row.lengths, S * PER)
    value, grad = oracle(row, record, target, lengths=lengths)
    given = record.reshape(T, S, PER, N), batched(row, target, (S, PER)), lengths.reshape(S, PER)
    return given, (1, given[1].ndim - 2, 0), (value, grad.reshape(T, S, PER, N))


@each_case(SHARDED)
def test_sums_over_an_axis_of_jax(row: Case) -> None:
    """As a tree, and by a collective."""
    given, axes, wanted = of_shards(row)

    def parts(x: Any, y: Any, n: Any) -> Parts:
        return row.loss.parts(x, y, lengths=n)

    def tree(*given: Any) -> Any:
        return jax.tree.map(lambda part: part.sum(0), jax.vmap(parts, axes)(*given)).value()

    def collective(*given: Any) -> Any:
        def run(*given: Any) -> Parts:
            return jax.lax.psum(parts(*given), "shards")

        return jax.vmap(run, axes, None, axis_name="shards")(*given).value()

    @compiled
    def call(x: Any, *rest: Any) -> Any:
        return [jax_grad(lambda x, fn=fn: fn(x, *rest), x) for fn in (tree, collective)]

    with JAX.precision():
        for value, grad in call(*map(JAX.array, given)):
            same(value, wanted[0])
            same(grad, wanted[1])


def on_four_devices() -> None:
    """What `test_shard_map` runs in a program of its own."""
    from jax.sharding import PartitionSpec as P

    mesh = jax.make_mesh((S,), ("shards",), axis_types=(jax.sharding.AxisType.Auto,))
    for row in SHARDED:
        given, axes, wanted = of_shards(row)
        where = tuple(P(*[None] * axis, "shards") for axis in axes)

        def run(x: Any, y: Any, n: Any, row: Case = row, axes: Any = axes) -> Parts:
            given = [
                jax.numpy.squeeze(part, axis) for part, axis in zip((x, y, n), axes, strict=True)
            ]
            return jax.lax.psum(row.loss.parts(*given[:2], lengths=given[2]), "shards")

        sharded = jax.shard_map(run, mesh=mesh, in_specs=where, out_specs=P())
        value_and_grad = jax.jit(jax.value_and_grad(lambda *given, f=sharded: f(*given).value()))
        with JAX.precision():
            value, grad = value_and_grad(*map(JAX.array, given))
        same(value, wanted[0])
        same(grad, wanted[1])


def environment() -> dict[str, str]:
    """In which a program finds these tests and the library."""
    return {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.slow
def test_shard_map() -> None:
    flags = f"--xla_force_host_platform_device_count={S} --xla_backend_optimization_level=0"
    program = "import test_collectives; test_collectives.on_four_devices()"
    fresh(program, XLA_FLAGS=flags, **environment())


# torch.distributed


def in_a_process(rank: int, folder: str) -> None:
    """What `test_processes` runs in two processes, each of which has a half of the samples."""
    rows, total = summed(MIXED)
    record, target = (
        TORCH.array(part) for part in (rows[0][1].record_of(), rows[0][1].target_of())
    )
    options = WEIGHTED | PADDED
    value, grad = of_rows(rows, None, **options)
    given = shards(rows[0][1], record, target, HALVES, **arrays_of(TORCH, options))
    x, y, own = list(given)[rank]
    torch.distributed.init_process_group(
        "gloo",
        init_method=Path(folder, "store").as_uri(),
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=1),
    )
    parts = total.parts(x.requires_grad_(), y, **own)
    everywhere = Parts(*(tuple(map(all_reduced, part)) for part in parts))
    same(everywhere.value(), value)
    Parts(parts.numerator, everywhere.denominator).value().backward()
    same(x.grad, grad[:, slice(*HALVES[rank : rank + 2])])
    torch.distributed.destroy_process_group()


def all_reduced(part: Any) -> Any:
    if part is not None:
        part = part.detach().clone()
        torch.distributed.all_reduce(part)
    return part


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
def test_processes(tmp_path: Path) -> None:
    programs = [
        f"import test_collectives; test_collectives.in_a_process({rank}, {str(tmp_path)!r})"
        for rank in (0, 1)
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda program: fresh(program, **environment()), programs))
