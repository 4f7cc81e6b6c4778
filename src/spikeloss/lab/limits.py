"""What the memory of this machine has room for."""

import os
from contextlib import suppress
from pathlib import Path

from .data import load
from .errors import InputError
from .names import MODELS
from .recipe import Recipe

SMALLER = "Take fewer --workers, or a smaller --hidden, --steps or --batch-size."
MEMORY = 2**32
"""Bytes that a recording and its scores may take unless told otherwise."""
CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory() -> int | None:
    """The bytes that this process may take at most: the machine's, or fewer; None if unknown."""
    known = []
    with suppress(ValueError, OSError, AttributeError):
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):
        known.append(int(CGROUP.read_text()))
    return min(known, default=None)


def check_memory(recipe: Recipe, workers: int) -> None:
    """Refuse a training that certainly takes more memory than there is."""
    room, needed = memory(), workers * _least(recipe)
    if room is not None and needed > room:
        rule = f"a training that fits into {size(room)} of memory"
        got = f"one of at least {size(needed)}"
        got += f" for {workers} --workers" if workers > 1 else ""
        raise InputError("arguments", rule, got, SMALLER)


def _least(recipe: Recipe) -> int:
    """Bytes that one training takes at least; of a network of the user's 0, as it is unknown."""
    if recipe.model not in MODELS:
        return 0
    data, hidden, layers = load(recipe.of_data()), recipe.hidden, recipe.layers
    outputs, samples = data.classes * recipe.population, min(recipe.batch_size, len(data.train))
    between = layers - 1 + (layers if recipe.recurrent else 0)
    weights = hidden * (data.train.features + between * hidden + outputs)
    neurons = recipe.steps * (hidden * layers + 2 * outputs)
    return 4 * (4 * weights + neurons * max(8 * samples, 3 * len(data.test)))


def size(number: int) -> str:
    """Bytes in words."""
    return f"{number / 2**30:.3g} GiB"
