"""Plain PyTorch, network and loss in one compiled graph: python examples/train_compiled.py.

A loss does not look at the values of a record, so `torch.compile` takes it together with the
network; with `fullgraph=True` it would say so if it could not. With `mse_count` the right neuron
should fire at 80 % of the steps and the others at 10 %.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import spikeloss as sl

STEPS = 6

torch.manual_seed(0)
pixels, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
pixels, test = pixels.float() / 16, slice(1437, None)
network = nn.ModuleList([nn.Linear(64, 100), nn.Linear(100, 10)])
loss = sl.presets.mse_count(on=0.8, off=0.1)


def lif(u, current):
    """One step of leaky neurons: what is left of the membrane, and 1 where it passed 1."""
    u = 0.9 * u + current
    soft = torch.sigmoid(5 * (u - 1))  # lends the spike its derivative
    spike = (u > 1) + (soft - soft.detach())
    return u - spike, spike


def simulate(x):
    """Pixels (B, 64) -> output spikes (T, B, 10)."""
    u, v = x.new_zeros(len(x), 100), x.new_zeros(len(x), 10)
    record = []
    for _ in range(STEPS):
        u, s = lif(u, network[0](x))
        v, s = lif(v, network[1](s))
        record.append(s)
    return torch.stack(record)


@torch.compile(fullgraph=True)
def objective(x, y):
    """The loss of a batch."""
    return loss(simulate(x), y)


adam = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(5):
    for batch in torch.randperm(1437)[:1408].view(22, 64):  # of one shape: compiled once
        adam.zero_grad()
        objective(pixels[batch], labels[batch]).backward()
        adam.step()
with torch.no_grad():
    print(f"test accuracy {loss.accuracy(simulate(pixels[test]), labels[test]):.3f}")
