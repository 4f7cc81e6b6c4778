"""The networks in PyTorch that a recipe names: inputs (S, B, features) -> activity (T, B, N).

S is 1 for inputs that stay the same at every step. `feedforward` is ours; `package.module:factory`
is the user's: `factory(features=, classes=, steps=, **options)` gives a `torch.nn.Module`, which is
called with inputs (T, B, features) and gives what `spikeloss.lab.activity` says.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import snntorch as snn
import torch
from snntorch import surrogate
from torch import Tensor, nn

from spikeloss.records import Times

from .activity import Activity
from .errors import InputError
from .factory import made
from .names import MODELS, hidden_names
from .recipe import Recipe


def built(recipe: Recipe, features: int, classes: int) -> nn.Module:
    """The network of a recipe, its weights drawn from PyTorch's generator."""
    if recipe.model in MODELS:
        return Network(recipe, features, classes)
    network = made(recipe, features, classes)
    if not isinstance(network, nn.Module):
        rule, got = "a factory that gives a torch.nn.Module", type(network).__name__
        raise InputError("--model", rule, got, "Return the module, not its class.")
    if not any(True for _ in network.parameters()):
        fix = "Register its layers as attributes, or in a ModuleList."
        raise InputError("--model", "a network with parameters", "none", fix)
    return Whole(network, recipe.steps)


class Whole(nn.Module):
    """A user's network, which is given inputs of all steps."""

    def __init__(self, inner: nn.Module, steps: int) -> None:
        super().__init__()
        self.inner, self.steps = inner, steps

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """What it gives, by name."""
        if inputs.shape[0] == 1:
            inputs = inputs.expand(self.steps, -1, -1)
        given = self.inner(inputs)
        if any(
            isinstance(x, Times) for x in (given.values() if isinstance(given, dict) else [given])
        ):
            fix = "Write it in JAX, or train it in a loop of your own."
            raise InputError("--model", "records (T, B, N) with --library torch", "Times", fix)
        return Activity.of(given).records


class Network(nn.Module):
    """Dense layers of leaky integrate-and-fire neurons, u_t = beta u_t-1 + W x_t + b - h s_t-1.

    A neuron spikes (s_t = 1) where its membrane potential u_t passes the threshold h, and is reset
    by subtraction one step later: both the spikes and the membrane potential of the output layer
    are records to learn from, as in snnTorch's tutorials. Backward, a spike has the derivative of a
    surrogate.

    Options of a recipe: `layers` hidden ones of `hidden` neurons; "synaptic" neurons, whose current
    is filtered first, i_t = alpha i_t-1 + W x_t + b; `normalised` currents, times 1 - beta; a
    `reset` to "zero", u_t = beta (1 - s_t-1) u_t-1 + ...; `unbiased` layers, b = 0; `recurrent`
    hidden layers, of which spikes come back a step later through weights of their own;
    `learn_decay`, alpha and beta of every layer as weights; a `readout` "membrane", which never
    spikes and is not reset; a `population` of so many output neurons for each class. First weights
    are those of PyTorch's Linear, uniform up to 1 / sqrt(inputs of the layer), times `gain`, plus
    `mean` but for biases and recurrent weights.
    """

    def __init__(self, recipe: Recipe, features: int, classes: int) -> None:
        super().__init__()
        self.steps, self.spikes = recipe.steps, recipe.readout == "spiking"
        outputs = classes * recipe.population
        sizes = [features, *[recipe.hidden] * recipe.layers, outputs]
        self.into = nn.ModuleList(
            nn.Linear(*size, bias=not recipe.unbiased) for size in pairwise(sizes)
        )
        self.back = nn.ModuleList(
            nn.Linear(recipe.hidden, recipe.hidden, bias=False)
            for _ in range(recipe.layers if recipe.recurrent else 0)
        )
        self._begin(recipe)
        self.neurons = nn.ModuleList(_neuron(recipe, recipe.beta) for _ in sizes[1:-1])
        self.output = _neuron(recipe, recipe.output_of("beta"), resets=self.spikes)
        self.normalised, self.zero = recipe.normalised, recipe.reset == "zero"

    @torch.no_grad()
    def _begin(self, recipe: Recipe) -> None:
        """First weights."""
        for layer in (*self.into, *self.back):
            of = recipe.output_of if layer is self.into[-1] else partial(getattr, recipe)
            for name, weight in layer.named_parameters():
                weight *= of("gain")
                if layer in self.into and name == "weight":
                    weight += of("mean")

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Simulate all steps from rest."""
        currents = self.into[0](inputs).expand(self.steps, -1, -1)
        states = [_rest(neuron) for neuron in (*self.neurons, self.output)]
        spikes: list[Any] = [None] * len(self.neurons)
        trace = []
        for current in currents:
            for i, neuron in enumerate(self.neurons):
                x = current if i == 0 else self.into[i](spikes[i - 1])
                if len(self.back) and spikes[i] is not None:
                    x = x + self.back[i](spikes[i])
                spikes[i], _ = self._step(neuron, x, states[i])
            out, membrane = self._step(self.output, self.into[-1](spikes[-1]), states[-1])
            trace.append((*spikes, out, membrane))
        layers = [torch.stack(layer) for layer in zip(*trace, strict=True)]
        named = dict(zip(hidden_names(len(self.neurons)), layers[:-2], strict=True))
        return named | ({"output": layers[-2]} if self.spikes else {}) | {"membrane": layers[-1]}

    def _step(self, neuron: Any, x: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Spikes and membranes of a layer after a current; the state is renewed."""
        if self.normalised:
            x = x * (1 - neuron.beta.clamp(0, 1).to(x.dtype))
        out, *state[:] = neuron(x, *state)
        membrane = state[-1]
        if self.zero and (neuron is not self.output or self.spikes):
            state[-1] = membrane * (1 - out.detach())
        return out.to(x.dtype), membrane  # spikes, which snnTorch gives in float32


def _neuron(recipe: Recipe, beta: float, *, resets: bool = True) -> Any:
    """A layer of neurons; to zero, the network resets them, as Leaky and Synaptic differ in it."""
    known: dict[str, Any] = {
        "beta": beta,
        "threshold": recipe.threshold,
        "spike_grad": _surrogate(recipe),
        "learn_beta": recipe.learn_decay,
        "reset_mechanism": "subtract" if resets and recipe.reset == "subtract" else "none",
    }
    if recipe.neuron == "synaptic":
        return snn.Synaptic(alpha=recipe.alpha, learn_alpha=recipe.learn_decay, **known)
    return snn.Leaky(**known)


def _surrogate(recipe: Recipe) -> Any:
    """The derivative of a spike, of snnTorch's own steepness unless the recipe says one."""
    make = getattr(surrogate, recipe.surrogate)
    if recipe.slope is None:
        return make()
    return make(**{"alpha" if recipe.surrogate == "atan" else "slope": recipe.slope})


def _rest(neuron: Any) -> list[Tensor]:
    """The state of a layer before the first step."""
    if isinstance(neuron, snn.Synaptic):
        return list(neuron.reset_mem())
    return [neuron.reset_mem()]
