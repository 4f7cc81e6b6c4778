"""What the memory of this machine has room for."""

import os
from contextlib import suppress
from pathlib import Path

from .data import load
from .errors import InputError
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
    """Bytes that one training takes at least."""
    data = load(recipe.of_data())
    features, tested = data.test.features, len(data.test)
    batch = min(recipe.batch_size, len(data.train))
    weights: int = recipe.hidden * (features + data.classes)
    activity = recipe.steps * (recipe.hidden + 2 * data.classes) * max(8 * batch, 3 * tested)
    return 4 * (4 * weights + activity)


def size(number: int) -> str:
    """Bytes in words."""
    return f"{number / 2**30:.3g} GiB"
