"""Layers of norse, whose output neurons do not spike: python examples/train_norse.py.

norse puts time first, as here, and carries the state of its layers itself. The loss reads the
membranes: the softmax of the highest potential of each neuron, which norse's own task on MNIST
writes out.
"""

import norse.torch as norse
import torch
from sklearn.datasets import load_digits

import spikeloss as sl

STEPS = 16

torch.manual_seed(0)
pixels, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
pixels, test = pixels.float() / 16, slice(1437, None)
parameters = norse.LIFParameters(alpha=torch.tensor(20.0))
network = norse.SequentialState(
    norse.ConstantCurrentLIFEncoder(STEPS),  # pixels (B, 64) -> spikes (T, B, 64)
    torch.nn.Linear(64, 100),
    norse.LIF(parameters),
    torch.nn.Linear(100, 10),
    norse.LI(),
)


def simulate(x):
    """Pixels (B, 64) -> output membranes (T, B, 10)."""
    membranes, _ = network(4 * x)
    return membranes


loss = sl.presets.ce_max_membrane()
adam = torch.optim.Adam(network.parameters(), lr=0.02)
for _ in range(5):
    for batch in torch.randperm(1437).split(64):
        adam.zero_grad()
        loss(simulate(pixels[batch]), labels[batch]).backward()
        adam.step()
with torch.no_grad():
    accuracy = loss.accuracy(simulate(pixels[test]), labels[test])
print(f"test accuracy {accuracy:.3f}")
