"""How many synapses leave each neuron: the fan-out that synaptic operations are counted by.

    cost = penalties.synaptic_operations(fan_out=synapses.of_module(conv, (2, 34, 34)))

Counted as the derivative of the summed outputs with every weight that is not 0 replaced by 1: exact
at the borders of a convolution, after pruning, and for whatever is linear in its input. The result
is one number where all neurons have as many synapses, else one for each neuron, flattened.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ._door import flag, refuse

if TYPE_CHECKING:
    import torch

FanOut = float | tuple[float, ...]


def of_module(module: "torch.nn.Module", shape: Sequence[int], *, zeros: bool = False) -> FanOut:
    """f_i = the number of weights of a torch module that are not 0 and leave its input i.

    Args:
        module: the synapses of a layer, as `nn.Linear` or `nn.Conv2d`; one without weights, as a
            pooling, counts what it multiplies by.
        shape: of its input for one sample, as (features) or (channels, height, width).
        zeros: whether to count the weights that are 0, and those that are pruned, too.

    Raises:
        ValueError: if the module is not linear, but for a bias, or parametrized.

    >>> import torch
    >>> of_module(torch.nn.Linear(3, 5), (3,))
    5.0
    """
    import torch
    from torch.nn.utils.parametrize import is_parametrized

    if any(map(is_parametrized, module.modules())):
        fix = "Remove it with torch.nn.utils.parametrize.remove_parametrizations."
        refuse("module", "plain weights", "a parametrization", fix)
    every = flag("zeros", zeros)
    ones = {n: ((w != 0) | every).to(torch.float64) for n, w in module.named_parameters()}
    ones |= {name: w.clone() for name, w in module.named_buffers()}  # which some modules change
    ones |= {n: torch.ones_like(w) for n, w in ones.items() if every and n.endswith("_mask")}
    ones |= {name: w.double() for name, w in ones.items() if w.is_floating_point()}

    size = math.prod(shape)
    place = next((w.device for w in ones.values()), None)
    ramp = torch.linspace(-2.0, 3.0, size, dtype=torch.float64, device=place).reshape(1, *shape)

    def pulled(x: torch.Tensor, mixed: bool) -> list[float]:
        x = x.clone().requires_grad_()
        with torch.enable_grad():
            outputs = torch.func.functional_call(module, ones, (x,)).flatten()
            pull = torch.arange(len(outputs)).cos() if mixed else torch.ones(len(outputs))
            return torch.autograd.grad(outputs @ pull.to(x), x)[0].flatten().tolist()

    return _counted("module", pulled, (ramp, 0.3 * ramp.flip(0, -1) - 1))


def of_function(
    apply: Callable[[Any, Any], Any], weights: Any, shape: Sequence[int], *, zeros: bool = False
) -> FanOut:
    """f_i = the number of weights of a JAX function that are not 0 and leave its input i.

    Args:
        apply: (weights, x) -> currents of a batch, as `module.apply` of Flax.
        weights: its parameters, any tree of arrays.
        shape: of its input for one sample, as (features) or (height, width, channels).
        zeros: whether to count the weights that are 0 too.

    Raises:
        ValueError: if the function is not linear in x, but for a bias.

    >>> import jax.numpy
    >>> of_function(lambda w, x: x @ w, jax.numpy.ones((3, 5)), (3,))
    5.0
    """
    import jax
    import jax.numpy as jnp

    every = flag("zeros", zeros)
    ones = jax.tree.map(lambda w: jnp.asarray((w != 0) | every, float), weights)
    ramp = jnp.linspace(-2.0, 3.0, math.prod(shape)).reshape(1, *shape)

    def pulled(x: jax.Array, mixed: bool) -> list[float]:
        def outputs(x: jax.Array) -> Any:
            flat = apply(ones, x).reshape(-1)
            return flat @ (jnp.cos(jnp.arange(len(flat))) if mixed else jnp.ones(len(flat)))

        return list(jax.grad(outputs)(x).reshape(-1).tolist())

    return _counted("apply", pulled, (ramp, 0.3 * ramp[..., ::-1] - 1))


def _counted(argument: str, pulled: Callable[[Any, bool], list[float]], inputs: Any) -> FanOut:
    """The derivative of the sum of the outputs, which does not depend on the input."""
    one, other = (pulled(x, True) for x in inputs)
    if one != other:
        fix = "Pass the synapses of a layer without its neurons."
        refuse(argument, "something linear in its input", "what is not", fix)
    count = pulled(inputs[0], False)
    return count[0] if len(set(count)) == 1 else tuple(count)
