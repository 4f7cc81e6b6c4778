"""The networks in JAX that a recipe names: inputs (S, B, features) -> activity (T, B, N).

S is 1 for inputs that stay the same at every step. `feedforward` is ours, the one of
`spikeloss.lab.network`; `package.module:factory` is the user's: `factory(features=, classes=,
steps=, **options)` gives a pair of functions, or an object with methods of these names: `init(key)`
gives parameters, a pytree of floating arrays, and `apply(parameters, inputs)`, which is compiled,
takes inputs (T, B, features) and gives what `spikeloss.lab.activity` says, `records.Times` too. One
of ours that gives times is `spikeloss.lab.exact_jax:network`.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from spikeloss.records import Times

from .errors import InputError
from .factory import made
from .names import MODELS, hidden_names
from .recipe import Recipe
from .surrogates_jax import surrogate

DTYPES = {"32-true": jnp.float32, "64-true": jnp.float64, "bf16-true": jnp.bfloat16}


class Network(NamedTuple):
    """A network as two functions, of arrays of one dtype."""

    init: Callable[[Any], Any]
    """key -> parameters, a pytree."""
    apply: Callable[[Any, Any], Any]
    """parameters, inputs (S, B, features) -> records (T, B, N), in 32 bits at least."""


def dtype_of(recipe: Recipe) -> Any:
    """The dtype of weights."""
    if recipe.precision not in DTYPES:
        rule = f"{' or '.join(DTYPES)} with --library jax"
        raise InputError("--precision", rule, recipe.precision, "Choose one of these.")
    return DTYPES[recipe.precision]


def built(recipe: Recipe, features: int, classes: int) -> Network:
    """The network of a recipe."""
    dtype = dtype_of(recipe)
    own = recipe.model in MODELS
    inner = _feedforward(recipe, features, classes) if own else _users(recipe, features, classes)

    def apply(parameters: Any, inputs: Any) -> Any:
        inputs = inputs.astype(dtype)
        if not own and inputs.shape[0] == 1:
            inputs = jnp.broadcast_to(inputs, (recipe.steps, *inputs.shape[1:]))
        return jax.tree.map(_held, inner.apply(parameters, inputs), is_leaf=_timed)

    def init(key: Any) -> Any:
        return jax.tree.map(lambda x: x.astype(dtype), _weights(inner.init(key)))

    return Network(init, apply)


jax.tree_util.register_dataclass(Times, ["times", "highest"], ["end", "slope", "threshold"])


def _timed(x: Any) -> bool:
    return isinstance(x, Times)


def _held(x: Any) -> Any:
    """A record as an activity holds it, in 32 bits at least."""
    return x.map(lambda y: _wide(y)[None]) if isinstance(x, Times) else _wide(x)


def _wide(x: Any) -> Any:
    return x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x


def _weights(parameters: Any) -> Any:
    """Parameters that can be learned."""
    parameters = jax.tree.map(jnp.asarray, parameters)
    leaves = jax.tree.leaves(parameters)
    if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        got = ", ".join(sorted({leaf.dtype.name for leaf in leaves})) or "none"
        fix = "Return what is learned, and hold what is not in apply."
        raise InputError("--model", "parameters that are floating arrays", got, fix)
    return parameters


def _users(recipe: Recipe, features: int, classes: int) -> Network:
    """The network of `package.module:factory`."""
    given = made(recipe, features, classes)
    if not isinstance(given, tuple):
        given = (getattr(given, "init", None), getattr(given, "apply", None))
    if len(given) != 2 or not all(map(callable, given)):
        rule, fix = "a factory that gives a pair (init, apply)", "Return the two functions."
        raise InputError("--model", rule, recipe.model, fix)
    return Network(*given)


def _feedforward(recipe: Recipe, features: int, classes: int) -> Network:
    """The network of `spikeloss.lab.network.Network`, its parameters of the same names.

    Parameters are drawn from the same distribution.
    """
    sizes = [features, *[recipe.hidden] * recipe.layers, classes * recipe.population]
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (into, out) in enumerate(pairwise(sizes)):
        shapes |= {f"into.{i}.weight": (out, into)}
        shapes |= {} if recipe.unbiased else {f"into.{i}.bias": (out,)}
    if recipe.recurrent:
        shapes |= {f"back.{i}.weight": (recipe.hidden,) * 2 for i in range(recipe.layers)}
    layers = [*(f"neurons.{i}" for i in range(recipe.layers)), "output"]
    decays = {f"{layer}.beta": recipe.beta for layer in layers}
    decays["output.beta"] = recipe.output_of("beta")
    if recipe.neuron == "synaptic":
        decays |= {f"{layer}.alpha": recipe.alpha for layer in layers}
    # snnTorch holds decays in 32 bits, whatever the precision.
    held = {name: np.float32(x) for name, x in decays.items()}
    last = f"into.{recipe.layers}."

    def init(key: Any) -> dict[str, Any]:
        drawn = {}
        for i, (name, shape) in enumerate(shapes.items()):
            of = recipe.output_of if name.startswith(last) else partial(getattr, recipe)
            bound = of("gain") * shapes[name.replace("bias", "weight")][1] ** -0.5
            own = jax.random.fold_in(key, i)
            drawn[name] = jax.random.uniform(own, shape, jnp.float32, -bound, bound)
            if name.startswith("into.") and name.endswith("weight"):
                drawn[name] += of("mean")
        return drawn | (held if recipe.learn_decay else {})

    spike = surrogate(recipe)

    def apply(parameters: dict[str, Any], inputs: Any) -> dict[str, Any]:
        dtype, x, records = inputs.dtype, inputs, {}
        decays = {name: parameters.get(name, value) for name, value in held.items()}
        for i, layer in enumerate(layers):
            x = x @ parameters[f"into.{i}.weight"].T + parameters.get(f"into.{i}.bias", 0)
            x = jnp.broadcast_to(x, (recipe.steps, *x.shape[1:]))
            beta, alpha = (_clamped(decays.get(f"{layer}.{n}"), dtype) for n in ("beta", "alpha"))
            resets = layer != "output" or recipe.readout == "spiking"
            neuron = Neuron(spike, beta, alpha, recipe, resets=resets)
            x, membrane = _simulated(x, parameters.get(f"back.{i}.weight"), neuron)
            records[layer] = x
        named = dict(zip(hidden_names(recipe.layers), list(records.values())[:-1], strict=True))
        return named | ({"output": x} if resets else {}) | {"membrane": membrane}

    return Network(init, apply)


def _clamped(decay: Any, dtype: Any) -> Any:
    """Between 0 and 1; its derivative is 1 there, the ends included, as PyTorch's."""
    if decay is None:
        return None
    decay = jnp.asarray(decay, dtype)
    inside = (decay >= 0) & (decay <= 1)
    return jnp.where(inside, decay, lax.stop_gradient(jnp.clip(decay, 0, 1)))


class Neuron(NamedTuple):
    """A neuron of a layer: its spike, decays, recipe, and whether a spike resets it."""

    spike: Any
    beta: Any
    alpha: Any
    recipe: Recipe
    resets: bool


def _simulated(x: Any, back: Any, neuron: Neuron) -> Any:
    """A layer of neurons from rest: currents (T, B, N) -> spikes and membranes (T, B, N).

    Membranes and synaptic currents are in 32 bits at least.
    """
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    spike, beta, alpha, recipe, resets = neuron
    zero, scale = recipe.reset == "zero", 1 - beta if recipe.normalised else 1
    threshold = np.float32(recipe.threshold)  # as snnTorch holds it

    def step(state: Any, current: Any) -> Any:
        i, u, s = state
        if back is not None:
            current = current + s @ back.T
        current = (scale * current).astype(dtype)
        i = current if alpha is None else alpha * i + current
        fired = lax.stop_gradient(s).astype(dtype) if resets else 0
        u = beta * (u * (1 - fired)) + i if zero else beta * u + i - threshold * fired
        s = spike(u - threshold).astype(x.dtype)
        return (i, u, s), (s, u)

    rest = jnp.zeros(x.shape[1:], dtype)
    return lax.scan(step, (rest, rest, rest.astype(x.dtype)), x)[1]
