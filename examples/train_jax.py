"""A spiking network learns handwritten digits with JAX: python examples/train_jax.py."""

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

import spikeloss as sl


def lif(u, current):
    """One step of leaky neurons: what is left of the membrane, and 1 where it passed 1."""
    u = 0.9 * u + current
    soft = jax.nn.sigmoid(5 * (u - 1))  # lends the spike its derivative
    spike = (u > 1) + (soft - jax.lax.stop_gradient(soft))
    return u - spike, spike


def simulate(weights, x):
    """Pixels (B, 64) -> output spikes (T, B, 10)."""

    def step(membranes, _):
        u, s = lif(membranes[0], x @ weights[0])
        v, s = lif(membranes[1], s @ weights[1])
        return (u, v), s

    rest = jnp.zeros((len(x), 100)), jnp.zeros((len(x), 10))
    return jax.lax.scan(step, rest, length=15)[1]


@jax.jit
def update(weights, state, x, y):
    """One step of Adam."""
    grads = jax.grad(lambda w: loss(simulate(w, x), y))(weights)
    changes, state = adam.update(grads, state)
    return optax.apply_updates(weights, changes), state


pixels, labels = (jnp.asarray(array) for array in load_digits(return_X_y=True))
pixels, test = pixels / 16, slice(1437, None)
keys = jax.random.split(jax.random.key(0), 7)
weights = [jax.random.normal(keys[i], shape) / 16 for i, shape in enumerate([(64, 100), (100, 10)])]
loss, adam = sl.presets.ce_count(), optax.adam(0.005)
state = adam.init(weights)
for key in keys[2:]:
    for batch in jax.random.permutation(key, 1437)[:1408].reshape(22, 64):
        weights, state = update(weights, state, pixels[batch], labels[batch])
print(f"test accuracy {loss.accuracy(simulate(weights, pixels[test]), labels[test]):.3f}")
