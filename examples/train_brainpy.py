"""A network of BrainPy, its gradient and its optimiser: python examples/train_brainpy.py.

`bm.for_loop` puts time first, as here; `bm.as_jax` unwraps its arrays. A loss may stand inside
`bm.grad` and `bm.jit`. `tet` asks every step to decide rightly, so that the answer may be read
before the end: the last line has the accuracy of what came up to a step.
"""

import brainpy as bp
import brainpy.math as bm
import numpy as np
from sklearn.datasets import load_digits

import spikeloss as sl

STEPS = 12


class Network(bp.DynamicalSystem):
    """Pixels (B, 64) -> output membranes (B, 10), at each step."""

    def __init__(self):
        super().__init__()
        self.first, self.last = bp.dnn.Dense(64, 100), bp.dnn.Dense(100, 10)
        options = {"V_reset": 0.0, "V_th": 1.0, "tau": 5.0}
        self.hidden = bp.dyn.Lif(100, spk_fun=bm.surrogate.Arctan(), **options)
        self.output = bp.dyn.Integrator(10, tau=5.0)

    def update(self, x):
        """One step."""
        return self.output(self.last(self.hidden(self.first(x))))


def simulate(x):
    """Pixels (B, 64) -> output membranes (T, B, 10)."""
    network.reset_state(len(x))
    return bm.as_jax(bm.for_loop(lambda step: network.step_run(step, 5 * x), np.arange(STEPS)))


bm.random.seed(0)
with bm.environment(mode=bm.training_mode):
    network = Network()
weights = network.train_vars().unique()
loss = sl.presets.tet()
adam = bp.optim.Adam(lr=0.02, train_vars=weights)
gradient = bm.grad(lambda x, y: loss(simulate(x), bm.as_jax(y)), grad_vars=weights)


@bm.jit
def update(x, y):
    """One step of Adam."""
    adam.update(gradient(x, y))


rng = np.random.default_rng(0)
pixels, labels = load_digits(return_X_y=True)
pixels, test = pixels.astype("float32") / 16, slice(1437, None)
for _ in range(5):
    for batch in rng.permutation(1437)[:1408].reshape(22, 64):
        update(pixels[batch], labels[batch])
membranes = simulate(pixels[test])
by_step = sl.metrics.anytime_accuracy(loss, membranes, labels[test])
print(f"test accuracy {loss.accuracy(membranes, labels[test]):.3f}")
print("after 2, 4, ... steps " + " ".join(f"{each:.2f}" for each in by_step[1::2]))
