"""Exact spike times: against steps of time so small that they do not matter, and differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spikeloss.lab.crossings_jax import Neuron, answer

M, B, N, COUNT = 6, 3, 4, 2
NEURONS = {
    "four": Neuron(20.0, 5.0),
    "two": Neuron(2.0, 1.0, threshold=0.5),
    "one": Neuron(5.0, 5.0, threshold=0.8),
    "slow current": Neuron(4.0, 9.0, threshold=0.3),
}
OWN = ("one", "slow current")
"""Those whose neurons have inputs at times of their own, as behind delays."""
STEP = 1e-3
"""Of a membrane constant."""


def inputs(neuron, *, own):
    """Times (M, B, N) or (M, B, 1), two of which do not come, and weights (M, N)."""
    rng = np.random.default_rng(2)
    times = 1.5 * neuron.tau_mem * rng.random((M, B, N if own else 1))
    times[2, 0], times[:, 2] = np.inf, np.where(np.arange(M) < 1, 1.0, np.inf)[:, None]
    weights = rng.normal(1.5, 1.6, (M, N)) * neuron.threshold
    return times, weights


@jax.jit(static_argnums=0)
def found(neuron, times, weights):
    """Spikes (COUNT, B, N) and maxima (B, N)."""
    spikes, highest = answer(neuron, times, weights, COUNT)
    return jnp.stack(spikes), highest


@jax.jit(static_argnums=0)
def pulled(neuron, times, weights, pull):
    """All spikes that come and all maxima, each with a factor of its own."""
    spikes, highest = found(neuron, times, weights)
    late = jnp.where(jnp.isfinite(spikes), spikes, 0) / neuron.tau_mem
    return jnp.sum(pull[:-1] * late) + jnp.sum(pull[-1] * highest)


pulls = jax.jit(jax.grad(pulled, (1, 2)), static_argnums=0)


def simulated(neuron, times, weights):
    """The same in small steps of the differential equations, with their midpoints."""
    dt = STEP * neuron.tau_mem
    times = np.broadcast_to(times, (M, B, N))
    v, free, i = np.zeros((3, B, N))
    spikes, highest = np.full((COUNT, B, N), np.inf), np.zeros((B, N))
    for step in range(int(8 / STEP)):
        came = (times >= step * dt) & (times < (step + 1) * dt)
        i = i + np.sum(np.where(came, weights[:, None], 0), axis=0)
        middle = i * (1 - dt / neuron.tau_syn / 2)
        v = v + dt / neuron.tau_mem * (middle - v - dt / neuron.tau_mem / 2 * (middle - v))
        free = free + dt / neuron.tau_mem * (middle - free)
        i = i * (1 - dt / neuron.tau_syn + (dt / neuron.tau_syn) ** 2 / 2)
        fires = v >= neuron.threshold
        if fires.any():
            which = np.minimum(np.isfinite(spikes).sum(axis=0), COUNT - 1)
            more = fires & ~np.isfinite(spikes).all(axis=0)
            b, n = np.nonzero(more)
            spikes[which[b, n], b, n] = (step + 1) * dt
            v = v - neuron.threshold * fires
        highest = np.maximum(highest, free)
    return spikes, highest


@pytest.mark.parametrize("name", NEURONS)
def test_spikes_and_maxima_are_those_of_small_steps(name):
    neuron = NEURONS[name]
    with jax.enable_x64(True):
        times, weights = inputs(neuron, own=name in OWN)
        spikes, highest = map(np.asarray, found(neuron, times, weights))
    wanted, top = simulated(neuron, times, weights)
    np.testing.assert_array_equal(np.isfinite(spikes), np.isfinite(wanted))
    fires = np.isfinite(wanted)
    assert fires.any(axis=(1, 2)).all()
    assert not fires[0].all()
    np.testing.assert_allclose(spikes[fires], wanted[fires], atol=0.01 * neuron.tau_mem)
    np.testing.assert_allclose(highest, top, atol=0.01 * neuron.threshold)


@pytest.mark.parametrize("name", NEURONS)
def test_derivatives_are_those_of_small_changes(name):
    neuron, change = NEURONS[name], 1e-6
    with jax.enable_x64(True):
        times, weights = inputs(neuron, own=name in OWN)
        real = np.flatnonzero(np.isfinite(times))
        pull = np.random.default_rng(3).normal(size=(COUNT + 1, B, N))
        (by_times, by_weights), values = pulls(neuron, times, weights, pull), []
        for array, at in [(times, real), (weights, np.arange(M * N))]:
            for index in at:
                sides = []
                for sign in (1, -1):
                    moved = array.copy()
                    moved.flat[index] += sign * change
                    given = (moved, weights) if array is times else (times, moved)
                    sides.append(float(pulled(neuron, *given, pull)))
                values.append((sides[0] - sides[1]) / (2 * change))
    got = np.concatenate([np.ravel(by_times)[real], np.ravel(by_weights)])
    np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-6)


def test_silence_and_padding_have_no_derivative_that_is_not_finite():
    neuron, times = NEURONS["four"], jnp.full((M, B, 1), jnp.inf).at[0, 1].set(2.0)
    weights = jnp.full((M, N), 0.5)

    def total(times, weights):
        spikes, highest = found(neuron, times, weights)
        return jnp.sum(jnp.where(jnp.isfinite(spikes), spikes, 0)) + jnp.sum(highest)

    value, grads = jax.value_and_grad(total, (0, 1))(times, weights)
    assert float(value) == pytest.approx(N * 0.5 * 4 ** (-1 / 3) / 4)  # the peak of K
    assert all(bool(jnp.isfinite(grad).all()) for grad in grads)
    assert not any(bool(grad[1:].any()) for grad in grads)


def test_inputs_at_the_same_time_add_up():
    neuron, times = NEURONS["one"], jnp.asarray([3.0, 3.0, jnp.inf, 7.0])[:, None, None]
    weights = jnp.asarray([[1.0, 4.0], [2.0, 3.0], [9.0, 9.0], [1.0, -2.0]])
    one, two = weights[:1] + weights[1:2], weights[3:]
    joined = found(neuron, times[1::2], jnp.concatenate([one, two]))
    for a, b in zip(found(neuron, times, weights), joined, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
