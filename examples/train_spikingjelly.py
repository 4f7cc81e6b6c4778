"""Layers of SpikingJelly in multi-step mode: python examples/train_spikingjelly.py.

With step mode "m" they take time first, as here. `spike_rate` is the objective of SpikingJelly's
tutorials, the squared error between rates and one-hot labels. The penalty keeps the hidden layer
sparse: a sum of losses reads a mapping of layers to their records.
"""

import torch
from sklearn.datasets import load_digits
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

import spikeloss as sl

STEPS = 12


def lif():
    """A layer of neurons that leak half of their potential in a step."""
    return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(), step_mode="m")


torch.manual_seed(0)
pixels, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
pixels, test = pixels.float() / 16, slice(1437, None)
hidden = nn.Sequential(layer.Linear(64, 100, step_mode="m"), lif())
output = nn.Sequential(layer.Linear(100, 10, step_mode="m"), lif())
network = nn.Sequential(hidden, output)


def simulate(x):
    """Pixels (B, 64) -> the spikes (T, B, N) of both layers."""
    functional.reset_net(network)
    spikes = hidden(4 * x.expand(STEPS, *x.shape))
    return {"hidden": spikes, "output": output(spikes)}


sparse = sl.penalties.rate_bounds(upper=0.1, layers="hidden")
loss = sl.presets.spike_rate(on=1.0, off=0.0, layers="output") + sparse
adam = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(5):
    for batch in torch.randperm(1437).split(64):
        adam.zero_grad()
        loss(simulate(pixels[batch]), labels[batch]).backward()
        adam.step()
with torch.no_grad():
    records = simulate(pixels[test])
print(f"rate of the hidden layer {records['hidden'].mean():.3f}")
print(f"test accuracy {loss.accuracy(records, labels[test]):.3f}")
