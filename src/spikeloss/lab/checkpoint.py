"""A training after an epoch, in one safetensors file: a kill costs at most an epoch.

Weights, buffers, the optimiser's state and the generator, where a library has one, are tensors; the
epochs so far, and what was trained, are words beside them. Nothing in it is executed when it is
read.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from .environment import versions
from .files import damaged, dumps, write
from .objectives import Objective
from .recipe import Recipe
from .runs import Epoch

FRAMEWORKS = {"torch": "pt", "jax": "flax"}
"""What safetensors calls a library; its flax is JAX."""


class Checkpoint:
    """The file of one training, whatever library trains."""

    def __init__(self, path: Path, recipe: Recipe, objective: Objective, seed: int) -> None:
        self.path, self.framework = path, FRAMEWORKS[recipe.library]
        made = {"recipe": asdict(recipe), "versions": versions(recipe.data, recipe.library)}
        self.made = dumps({**made, "objective": objective.spelling, "seed": seed})

    def save(self, tensors: dict[str, Any], curve: list[Epoch], pack: Callable[..., bytes]) -> None:
        """Write it, in the place of an older one; `pack` is the `save` of safetensors."""
        words = {"made": self.made, "curve": dumps([asdict(epoch) for epoch in curve])}
        write(self.path, pack(tensors, words))

    def restore(self, put_back: Callable[[dict[str, Any]], None]) -> list[Epoch]:
        """The epochs so far, their tensors put back; none where there is no file.

        What another training left behind is not used.
        """
        try:
            with safe_open(self.path, self.framework) as file:
                words = file.metadata() or {}
                if words.get("made") != self.made:
                    return []
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            curve = [Epoch(**epoch) for epoch in json.loads(words["curve"])]
            put_back(tensors)
        except FileNotFoundError:
            return []
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as wrong:
            damaged(self.path, f"damaged ({wrong})")
        return curve
