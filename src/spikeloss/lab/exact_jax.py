"""A network of exact spike times, `--model spikeloss.lab.exact_jax:network`: no time grid. JAX.

One hidden layer of leaky integrate-and-fire neurons and an output that spikes once, in the closed
form of `spikeloss.lab.crossings_jax`. An input v is a spike at early + v (late - early). What the
network gives is the first spike of each output neuron, as `records.Times`, for objectives of first
spikes. Times, time constants and the objective's options share a unit of the user's choice.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from spikeloss.records import Times

from .crossings_jax import Answer, Neuron, answer
from .errors import InputError

DELAYS = ("none", "axonal", "synaptic")


@dataclass(frozen=True)
class Network:
    """The network, of `--model-option`s by these names; times in the unit of `tau_mem`.

    Args:
        features, classes: numbers of inputs and of output neurons.
        hidden: neurons of the hidden layer.
        spikes: how many spikes of a hidden neuron count, the first ones.
        tau_mem, tau_syn, threshold: of all neurons. A current of 1 charges a membrane to 1.
        early, late: the times of inputs of 0 and of 1.
        bias: the time of one input more; None: there is none.
        bias_again: whether the output has an input at that time as well.
        mean, deviation, output_mean, output_deviation: of the normal distribution of first weights.
        delays: what has a delay that is learned: "none", "axonal" (every neuron, the same for all
            that hear it) or "synaptic" (every weight). It is between 0 and `longest`.
        longest: of a delay, longest sigmoid(p).
        delay_deviation, delay_rate: of p at first, and how fast it learns beside weights.
        end, slope: a silent output counts as firing at end + slope (threshold - its maximum).
    """

    features: int
    classes: int
    hidden: int = 200
    spikes: int = 2
    tau_mem: float = 20.0
    tau_syn: float = 5.0
    threshold: float = 1.0
    early: float = 0.0
    late: float = 30.0
    bias: float | None = None
    bias_again: bool = False
    mean: float = 1.5
    deviation: float = 0.78
    output_mean: float = 0.93
    output_deviation: float = 0.1
    delays: str = "none"
    longest: float = 1.0
    delay_deviation: float = 0.25
    delay_rate: float = 1.0
    end: float = 45.0
    slope: float = 20.0

    def init(self, key: Any) -> dict[str, Any]:
        """Weights (inputs, neurons) of both layers, and what delays are made of."""
        into = self.features + (self.bias is not None)
        again = self.hidden + (self.bias is not None and self.bias_again)
        layers = [
            ("hidden", into, self.hidden, self.mean, self.deviation),
            ("output", again, self.classes, self.output_mean, self.output_deviation),
        ]
        drawn = {}
        for i, (name, m, n, mean, deviation) in enumerate(layers):
            one, two = jax.random.split(jax.random.fold_in(key, i))
            drawn[f"{name}.weight"] = mean + deviation * jax.random.normal(one, (m, n))
            if self.delays != "none":
                shape = (m, n if self.delays == "synaptic" else 1)
                wide = self.delay_deviation / self.delay_rate
                drawn[f"{name}.delay"] = wide * jax.random.normal(two, shape)
        return drawn

    def apply(self, parameters: dict[str, Any], inputs: Any) -> dict[str, Any]:
        """Inputs (1, B, features) -> times of the output (B, C), maxima, and hidden spikes."""
        times = self.early + (self.late - self.early) * inputs[0].T[..., None]
        hidden = self._layer(parameters, "hidden", self._biased(times, True), self.spikes)
        heard = jnp.concatenate(hidden.spikes, axis=1).T[..., None]
        output = self._layer(parameters, "output", self._biased(heard, self.bias_again), 1)
        known = {"end": self.end, "slope": self.slope, "threshold": self.threshold}
        return {
            "hidden": _fired(hidden),
            "output": Times(output.spikes[0], highest=output.highest, **known),
        }

    def _biased(self, times: Any, wanted: bool) -> Any:
        """Times (M, B, 1) with those of the bias."""
        if self.bias is None or not wanted:
            return times
        return jnp.concatenate([times, jnp.full_like(times[:1], self.bias)])

    def _layer(self, parameters: dict[str, Any], name: str, times: Any, count: int) -> Answer:
        """What neurons do with times (M, B, 1), of which several may be of one weight in turn."""
        weights, delay = parameters[f"{name}.weight"], parameters.get(f"{name}.delay")
        which = jnp.arange(len(times))
        if name == "output":
            which = jnp.where(which < self.spikes * self.hidden, which % self.hidden, self.hidden)
        if delay is not None:
            times = times + self.longest * jax.nn.sigmoid(self.delay_rate * delay)[which][:, None]
        neuron = Neuron(self.tau_mem, self.tau_syn, self.threshold)
        return answer(neuron, times, weights[which], count)


def _fired(answer: Answer) -> Any:
    """Whether each of the first spikes comes, (K, B, N), for penalties that ask for some.

    The derivative of the first is that of the maximum where it does not come: the nearer to the
    threshold, the nearer to a spike.
    """
    fired = jnp.isfinite(jnp.stack(answer.spikes)).astype(answer.highest.dtype)
    more = jnp.where(fired[0] > 0, 0, answer.highest - lax.stop_gradient(answer.highest))
    return fired.at[0].add(more)


def network(features: int, classes: int, steps: int, **options: Any) -> Network:
    """The factory of `--model spikeloss.lab.exact_jax:network`, for inputs of one step."""
    if steps != 1:
        fix = "Take --steps 1: an input is a number, which becomes a time."
        raise InputError("--steps", "1 for a network without a time grid", steps, fix)
    if options.get("delays", "none") not in DELAYS:
        raise InputError("delays", " or ".join(DELAYS), options["delays"], "Choose one of these.")
    made = Network(features, classes, **options)
    for name in ("hidden", "spikes", "tau_mem", "tau_syn", "threshold", "longest", "delay_rate"):
        if not getattr(made, name) > 0:
            raise InputError(name, "a number above 0", getattr(made, name), "Leave it out.")
    return made
