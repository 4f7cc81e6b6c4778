"""An Equinox module, differentiated and compiled with its loss: python examples/train_equinox.py.

A loss is a constant of the function that `eqx.filter_jit` compiles. Here it is a sum: a smooth
maximum of the output membranes, and a penalty that wakes silent neurons of the hidden layer.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

import spikeloss as sl

STEPS = 15


class Network(eqx.Module):
    """Pixels (64,) -> records of both layers, of one sample: spikes (T, 100), membranes (T, 10)."""

    hidden: eqx.nn.Linear
    output: eqx.nn.Linear

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.hidden = eqx.nn.Linear(64, 100, key=first)
        self.output = eqx.nn.Linear(100, 10, key=second)

    def __call__(self, x):
        """Step through time."""

        def step(membranes, _):
            u, v = membranes
            u = 0.9 * u + self.hidden(x)
            soft = jax.nn.sigmoid(5 * (u - 1))  # lends the spike its derivative
            s = (u > 1) + (soft - jax.lax.stop_gradient(soft))
            v = 0.9 * v + self.output(s)
            return (u - s, v), {"hidden": s, "output": v}

        return jax.lax.scan(step, (jnp.zeros(100), jnp.zeros(10)), length=STEPS)[1]


awake = sl.penalties.count_silence(layers="hidden")
loss = sl.presets.ce_logsumexp(layers="output") + 0.1 * awake
adam = optax.adam(0.005)


def simulate(network, x):
    """Pixels (B, 64) -> records (T, B, N)."""
    return jax.vmap(network, out_axes=1)(x)


@eqx.filter_jit
def update(network, state, x, y):
    """One step of Adam."""
    grads = eqx.filter_grad(lambda network: loss(simulate(network, x), y))(network)
    changes, state = adam.update(grads, state)
    return eqx.apply_updates(network, changes), state


pixels, labels = (jnp.asarray(array) for array in load_digits(return_X_y=True))
pixels, test = pixels / 16, slice(1437, None)
keys = jax.random.split(jax.random.key(0), 6)
network = Network(keys[0])
state = adam.init(eqx.filter(network, eqx.is_array))
for key in keys[1:]:
    for batch in jax.random.permutation(key, 1437)[:1408].reshape(22, 64):
        network, state = update(network, state, pixels[batch], labels[batch])
records = simulate(network, pixels[test])
print(f"silent hidden neurons {sl.metrics.silent_fraction(records['hidden']):.3f}")
print(f"test accuracy {loss.accuracy(records, labels[test]):.3f}")
