"""A network of spyx, and its own objective under our name: python examples/train_spyx.py.

`spyx.fn.integral_crossentropy`, the cross entropy of the membranes' sum with labels smoothed by
0.3, is `integral_ce(label_smoothing=0.3)`: the last line has both. `spyx.nn.run` with
`batch_major=True` puts the batch first and time second, which `time_axis=1` says.
"""

import jax
import jax.numpy as jnp
import optax
import spyx
from flax import nnx
from sklearn.datasets import load_digits

import spikeloss as sl

STEPS = 15

rngs = nnx.Rngs(0)
network = spyx.nn.Sequential(
    nnx.Linear(64, 100, rngs=rngs),
    spyx.nn.LIF((100,), beta=0.8, activation=spyx.axn.superspike(5), rngs=rngs),
    nnx.Linear(100, 10, rngs=rngs),
    spyx.nn.LI((10,), beta=0.5, rngs=rngs),
)
loss = sl.presets.integral_ce(label_smoothing=0.3)
optimizer = nnx.Optimizer(network, optax.adam(0.01), wrt=nnx.Param)


def simulate(network, x):
    """Pixels (B, 64) -> output membranes (B, T, 10)."""
    currents = jnp.repeat(x[:, None], STEPS, axis=1)
    membranes, _ = spyx.nn.run(network, currents, batch_major=True)
    return membranes


@nnx.jit
def update(network, optimizer, x, y):
    """One step of Adam."""
    grads = nnx.grad(lambda network: loss(simulate(network, x), y, time_axis=1))(network)
    optimizer.update(network, grads)


pixels, labels = (jnp.asarray(array) for array in load_digits(return_X_y=True))
pixels, test = pixels / 16, slice(1437, None)
for key in jax.random.split(jax.random.key(0), 5):
    for batch in jax.random.permutation(key, 1437)[:1408].reshape(22, 64):
        update(network, optimizer, pixels[batch], labels[batch])
membranes = simulate(network, pixels[test])
print(f"test accuracy {loss.accuracy(membranes, labels[test], time_axis=1):.3f}")
theirs = spyx.fn.integral_crossentropy(smoothing=0.3)
ours = loss(membranes, labels[test], time_axis=1)
print(f"spyx {theirs(membranes, labels[test]):.5f}, spikeloss {ours:.5f}")
