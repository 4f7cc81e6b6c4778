"""Spike times of current-based leaky integrate-and-fire neurons, exact: no time grid. JAX.

Between two input spikes a neuron is in closed form. From a membrane V and a current I,

    V(t) = V exp(-t / tau_mem) + I K(t),    I(t) = I exp(-t / tau_syn),
    K(t) = tau_syn (exp(-t / tau_mem) - exp(-t / tau_syn)) / (tau_mem - tau_syn),

with K(t) = t exp(-t / tau) / tau where the two are equal. A spike of input i adds w_i to I; where V
passes the threshold, the neuron spikes and the threshold is taken from V. Between two inputs V has
one peak at most. So the first stretch of time whose peak passes the threshold holds the next spike,
before the peak, where V rises and bends down: Newton's steps from its start reach it from below.

Times of M input spikes are (M, B, N) or (M, B, 1), in any order, infinity for none; weights (M, N).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

NEWTON = 12
"""Steps of Newton's. Each doubles the digits, if the membrane does not just touch the threshold."""


class Neuron(NamedTuple):
    """Time constants, in the unit of all times, and the threshold."""

    tau_mem: float
    tau_syn: float
    threshold: float = 1.0

    def kernel(self, t: Any) -> Any:
        """K(t): what a current of 1 makes of the membrane after a time t."""
        if self.tau_mem == self.tau_syn:
            return t / self.tau_mem * jnp.exp(-t / self.tau_mem)
        scale = self.tau_syn / (self.tau_mem - self.tau_syn)
        return scale * (jnp.exp(-t / self.tau_mem) - jnp.exp(-t / self.tau_syn))

    def after(self, v: Any, i: Any, t: Any) -> tuple[Any, Any]:
        """Membrane and current after a time t without input."""
        return v * jnp.exp(-t / self.tau_mem) + i * self.kernel(t), i * jnp.exp(-t / self.tau_syn)

    def peak(self, v: Any, i: Any) -> Any:
        """The time from here to the peak of the membrane; 0 where it does not rise to one."""
        rises = (i > 0) & (i > v)
        less = 1 - v / jnp.where(rises, i, 1)  # above 0 where it rises
        x = less * (self.tau_syn - self.tau_mem) / self.tau_mem
        rises &= x > -1  # else it rises towards 0 for ever
        bend = jnp.log1p(jnp.where(rises, x, 0)) / jnp.where(x == 0, 1, x)
        return jnp.where(rises, self.tau_syn * less * jnp.where(x == 0, 1, bend), 0)


class Stretches(NamedTuple):
    """The time between inputs, (M, B, N) each: from `start` to `end`, with V and I at the start.

    One that is over has an end before its start.
    """

    start: Any
    end: Any
    v: Any
    i: Any


class Answer(NamedTuple):
    """What neurons did: their first spikes, (B, N) each, infinity for none, and their maximum.

    `highest` (B, N) is the maximum that the membrane has without spikes of its own: above the
    threshold where there are some, and else how near it came.
    """

    spikes: tuple[Any, ...]
    highest: Any


def answer(neuron: Neuron, times: Any, weights: Any, count: int = 1) -> Answer:
    """The first `count` spikes of each neuron, and the maximum of its membrane.

    Derivatives are exact. That of a spike t, where V(t) is the threshold, is that of an implicit
    function: dt = -dV / V'(t), dV the change of the membrane at a constant t by weights, times of
    inputs and spikes before. That of the maximum is dV at a constant time of the peak, or at the
    input that ends the rise.
    """
    order = jnp.argsort(lax.stop_gradient(times), axis=0)
    between = _stretches(neuron, times, weights, order)
    spikes: list[Any] = []
    left = between
    for _ in range(count):
        at = lax.stop_gradient(_crossing(neuron, left))
        left = _reset(neuron, left, at)
        spikes.append(_moving(neuron, times, weights, at, spikes))
    return Answer(tuple(spikes), _highest(neuron, times, weights, between, order))


def _stretches(neuron: Neuron, times: Any, weights: Any, order: Any) -> Stretches:
    """Those of neurons that do not spike, which are constants."""
    times, weights = lax.stop_gradient((times, weights))
    shape = jnp.broadcast_shapes(times.shape, (len(weights), 1, weights.shape[-1]))
    times = jnp.take_along_axis(times, order, 0)
    real = jnp.isfinite(times)
    last = jnp.max(jnp.where(real, times, 0), axis=0, keepdims=True)
    times = jnp.where(real, times, last)  # what does not come adds nothing at the end
    if times.shape[-1] == 1:  # one order for all neurons: whole rows
        w = weights[order[..., 0]]
    else:
        w = jnp.take_along_axis(jnp.broadcast_to(weights[:, None], shape), order, 0)
    w = jnp.where(real, w, 0)

    def step(state: Any, event: Any) -> Any:
        before, v, i = state
        t, w = event
        v, i = neuron.after(v, i, t - before)
        return (t, v, i + w), (v, i + w)

    rest = jnp.zeros_like(w[0])
    _, (v, i) = lax.scan(step, (times[0], rest, rest), (times, w))
    ends = jnp.concatenate([times[1:], jnp.full_like(times[:1], jnp.inf)])
    return Stretches(jnp.broadcast_to(times, shape), jnp.broadcast_to(ends, shape), v, i)


def _tops(neuron: Neuron, s: Stretches) -> tuple[Any, Any]:
    """How long the membrane rises in each stretch, and how far."""
    rise = jnp.clip(neuron.peak(s.v, s.i), 0, s.end - s.start)
    return rise, neuron.after(s.v, s.i, rise)[0]


def _crossing(neuron: Neuron, s: Stretches) -> Any:
    """The next spike (B, N): infinity for none."""
    _, top = _tops(neuron, s)
    passes = (top > neuron.threshold) & (s.end > s.start)
    first = jnp.argmax(passes, axis=0, keepdims=True)
    start, _, v, i = (jnp.take_along_axis(x, first, 0)[0] for x in s)

    def nearer(_: int, t: Any) -> Any:
        now, current = neuron.after(v, i, t)
        slope = (current - now) / neuron.tau_mem
        return t + jnp.where(
            slope > 0, (neuron.threshold - now) / jnp.where(slope > 0, slope, 1), 0
        )

    t = lax.fori_loop(0, NEWTON, nearer, jnp.zeros_like(start))
    return jnp.where(passes.any(axis=0), start + t, jnp.inf)


def _reset(neuron: Neuron, s: Stretches, spike: Any) -> Stretches:
    """What is left after a spike (B, N)."""
    inside = (s.start <= spike) & (spike < s.end)
    _, current = neuron.after(s.v, s.i, spike - s.start)
    v = s.v - neuron.threshold * jnp.exp((spike - s.start) / neuron.tau_mem)
    start = jnp.maximum(s.start, spike)
    return Stretches(start, s.end, jnp.where(inside, 0, v), jnp.where(inside, current, s.i))


def _membrane(neuron: Neuron, times: Any, weights: Any, at: Any, spikes: Any = ()) -> Any:
    """V(at) at times (B, N), of inputs and spikes of its own before."""
    before = times < at
    since = jnp.where(before, at - jnp.where(before, times, 0), 0)
    v = jnp.sum(jnp.where(before, weights[:, None] * neuron.kernel(since), 0), axis=0)
    for spike in spikes:
        since = jnp.where(spike < at, at - jnp.where(spike < at, spike, 0), 0)
        gone = neuron.threshold * jnp.exp(-since / neuron.tau_mem)
        v = v - jnp.where(spike < at, gone, 0)
    return v


def _moving(neuron: Neuron, times: Any, weights: Any, at: Any, spikes: list[Any]) -> Any:
    """The spike `at`, a constant, with its derivative."""
    fires = jnp.isfinite(at)
    at = jnp.where(fires, at, 0)

    def membrane(at: Any) -> Any:
        return _membrane(neuron, times, weights, at, spikes)

    v, slope = jax.jvp(membrane, (at,), (jnp.ones_like(at),))
    d = v / lax.stop_gradient(jnp.where(fires, slope, 1))
    return jnp.where(fires, at - (d - lax.stop_gradient(d)), jnp.inf)


def _highest(neuron: Neuron, times: Any, weights: Any, s: Stretches, order: Any) -> Any:
    """The maximum of the membrane without spikes (B, N)."""
    rise, top = _tops(neuron, s)
    peaks = (rise > 0) & (rise < s.end - s.start)
    best = jnp.argmax(jnp.where(peaks, top, s.v), axis=0, keepdims=True)

    def pick(x: Any) -> Any:
        return jnp.take_along_axis(jnp.broadcast_to(x, s.v.shape), best, 0)[0]

    own = pick(jnp.take_along_axis(times, order, 0))
    at = jnp.where(pick(peaks), pick(s.start + rise), jnp.where(jnp.isfinite(own), own, 0))
    return _membrane(neuron, times, weights, at)
