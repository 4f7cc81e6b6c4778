"""The packages themselves, whose formulas are in this folder: called with arrays, as those are."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional


def _of_tensors(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors as one of arrays."""

    def called(*given: Any, **options: Any) -> Any:
        arrays = np.ndarray, list
        taken = [torch.tensor(each) if isinstance(each, arrays) else each for each in given]
        with torch.no_grad():
            return call(*taken, **options).numpy()

    return called


def _made(make: Callable[..., Any]) -> Callable[..., Any]:
    """What makes a module of tensors, as what makes one of arrays."""
    return lambda *options, **named: _of_tensors(make(*options, **named))


F = SimpleNamespace(
    **{
        name: _of_tensors(getattr(functional, name))
        for name in ("cross_entropy", "log_softmax", "mse_loss", "nll_loss")
    }
)


def _norse() -> dict[str, Any]:
    from norse.torch.functional import decode, regularization
    from norse.torch.module.spikes_to_times_decoder import SpikesToTimesDecoder

    def spike_accumulator(x: torch.Tensor) -> torch.Tensor:
        state = None
        for step in x:
            _, state = regularization.regularize_step(step, None, state=state)
        return state

    return {
        "F": F,
        "sum_decode": _of_tensors(decode.sum_decode),
        "spike_accumulator": _of_tensors(spike_accumulator),
        "SpikesToTimesDecoder": _made(SpikesToTimesDecoder),
    }


def _spikingjelly() -> dict[str, Any]:
    from spikingjelly.activation_based import functional as of_jelly
    from spikingjelly.activation_based import layer

    names = "temporal_efficient_training_cross_entropy", "spike_similar_loss"
    return {
        "F": F,
        "VotingLayer": _made(layer.VotingLayer),
        **{name: _of_tensors(getattr(of_jelly, name)) for name in names},
    }


def _spyx() -> dict[str, Any]:
    from spyx import fn

    def made(name: str) -> Callable[..., Any]:
        def options(*given: Any, **named: Any) -> Callable[..., Any]:
            loss = getattr(fn, name)(*given, **named)
            return lambda *records: np.asarray(loss(*(_jax(each) for each in records)))

        return options

    names = "integral_crossentropy", "mse_spikerate", "silence_reg", "sparsity_reg"
    return {name: made(name) for name in names}


def _jax(given: Any) -> Any:
    """Labels and records as arrays of JAX; layers as a list of them."""
    if isinstance(given, list) and isinstance(given[0], np.ndarray):
        return [jnp.asarray(each) for each in given]
    return jnp.asarray(given)


PACKAGES: dict[str, Callable[[], dict[str, Any]]] = {
    "norse": _norse,
    "spikingjelly": _spikingjelly,
    "spyx": _spyx,
}
