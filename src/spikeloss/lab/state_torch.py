"""The state of a training in PyTorch as tensors by name, for `spikeloss.lab.checkpoint`."""

from typing import Any

import torch
from torch import nn

RNG = "generator"


def tensors_of(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Weights, buffers, the optimiser's state and the generator, as they are now."""
    tensors = {f"network.{name}": x for name, x in network.state_dict().items()}
    tensors |= {
        f"optimiser.{index}.{name}": x
        for index, values in optimiser.state_dict()["state"].items()
        for name, x in values.items()
        if isinstance(x, torch.Tensor)
    }
    tensors[RNG] = torch.get_rng_state()
    return {name: x.detach().clone().contiguous() for name, x in tensors.items()}


def put_back(tensors: dict[str, Any], network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """What `tensors_of` gave."""
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
