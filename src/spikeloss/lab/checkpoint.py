"""A training after an epoch, in one safetensors file: a kill costs at most an epoch.

Weights, buffers, the optimiser's state and the generator are tensors; the epochs so far, and what
was trained, are words beside them. Nothing in it is executed when it is read.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from .environment import versions
from .files import damaged, dumps, write
from .objectives import Objective
from .recipe import Recipe
from .runs import Epoch

RNG = "generator"


class Checkpoint:
    """The file of one training."""

    def __init__(self, path: Path, recipe: Recipe, objective: Objective, seed: int) -> None:
        self.path = path
        made = {"recipe": asdict(recipe), "versions": versions(recipe.data)}
        self.made = dumps({**made, "objective": objective.spelling, "seed": seed})

    def save(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, curve: list[Epoch]
    ) -> None:
        """Write it, in the place of an older one."""
        state = optimiser.state_dict()["state"]
        tensors = {f"network.{name}": x for name, x in network.state_dict().items()}
        tensors |= {
            f"optimiser.{index}.{name}": x
            for index, values in state.items()
            for name, x in values.items()
            if isinstance(x, torch.Tensor)
        }
        tensors[RNG] = torch.get_rng_state()
        words = {"made": self.made, "curve": dumps([asdict(epoch) for epoch in curve])}
        plain = {name: x.detach().clone().contiguous() for name, x in tensors.items()}
        write(self.path, save(plain, words))

    def restore(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> list[Epoch]:
        """The epochs so far, the training set back to their end; none where there is no file.

        What another training left behind is not used.
        """
        try:
            with safe_open(self.path, "pt") as file:
                words = file.metadata() or {}
                if words.get("made") != self.made:
                    return []
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            curve = [Epoch(**epoch) for epoch in json.loads(words["curve"])]
            _put_back(tensors, network, optimiser)
        except FileNotFoundError:
            return []
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as wrong:
            damaged(self.path, f"damaged ({wrong})")
        return curve


def _put_back(
    tensors: dict[str, Any], network: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    weights: dict[str, Any] = {}
    state: dict[int, dict[str, Any]] = {}
    for name, x in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "network":
            weights[rest] = x
        elif kind == "optimiser":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = x
    buffers = {name for name, _ in network.named_buffers()}
    for name in buffers & weights.keys():  # the state of neurons has the size of the last batch
        place, _, key = name.rpartition(".")
        network.get_submodule(place).register_buffer(key, weights[name])
    network.load_state_dict(weights)
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(tensors[RNG])
