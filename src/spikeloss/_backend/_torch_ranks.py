"""Sums over processes of torch.distributed, with their derivative."""

from typing import Any

import torch
from torch import distributed

from spikeloss._shapes import Array

from ._base import Lack

WORLD = "world"
_SIZE = 32
"""So many numbers are sent, or twice, ...: so ranks of other terms still understand each other."""


class Shared(torch.autograd.Function):
    """A sum over ranks, as a function of the part of this one, with a derivative of some size."""

    @staticmethod
    def forward(part: Array, total: Array, slope: int) -> Array:
        return total.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Array, Array, int], output: Array) -> None:
        ctx.slope = inputs[2]

    @staticmethod
    def backward(ctx: Any, slope: Array) -> tuple[Array, None, None]:
        return slope * ctx.slope, None, None

    @staticmethod
    def jvp(ctx: Any, slope: Array, *_: None) -> Array:
        return slope * ctx.slope


def across(
    x: Array, names: str | tuple[str, ...], averaged: bool, sums: tuple[bool, ...]
) -> tuple[Array, Array] | Lack:
    """The sum of x over the ranks, and whether all of them sent the same terms."""
    groups = _groups((names,) if isinstance(names, str) else names)
    if isinstance(groups, Lack):
        return groups
    mark = 1
    for each in sums:
        mark = (2 * mark + each) % 65521
    part = x.detach().double()
    total = torch.cat(
        [part.new_tensor([mark, mark * mark]), part, part.new_zeros(-(len(x) + 2) % _SIZE)]
    )
    ranks = 1
    for group in groups:
        distributed.all_reduce(total, group=group)
        ranks *= distributed.get_world_size(group)
    alike = (total[0] == ranks * mark) & (total[1] == ranks * mark * mark)
    total = total[2 : 2 + len(x)].to(x.dtype)
    slope = ranks if averaged else 1
    if torch.compiler.is_compiling():  # it takes no function that has a derivative forwards
        return total + slope * (x - x.detach()), alike
    return Shared.apply(x, total, slope), alike  # type: ignore[no-untyped-call]


def _groups(names: tuple[str, ...]) -> list[Any] | Lack:
    """The process groups of those names, of which this rank is a member."""
    if not (distributed.is_available() and distributed.is_initialized()):
        fix = "Call torch.distributed.init_process_group first."
        return Lack("a process group", "none that is initialised", fix)
    groups: list[Any] = list(distributed.distributed_c10d._world.pg_names)
    found: list[Any] = []
    for name in names:
        these = [group for group in groups if name in _names(group)]
        if name == WORLD:
            these = [distributed.group.WORLD]
        if len(these) != 1:
            others = ", ".join(repr(_names(group)[0]) for group in groups)
            got = f"{name!r}, which is that of {len(these)} of {others}"
            fix = "Name it, as in torch.distributed.new_group(ranks, group_desc='data')."
            return Lack("the name of one process group of this rank", got, fix)
        found += these
    return found


def _names(group: Any) -> tuple[str, ...]:
    """What a group is called: as it is described, or as a dimension of a device mesh."""
    if group == distributed.group.WORLD:
        return (WORLD, group.group_name)
    return (group.group_desc.removeprefix("mesh_"), group.group_desc, group.group_name)
