"""A spiking network learns handwritten digits with PyTorch: python examples/train_torch.py."""

import snntorch
import torch
from sklearn.datasets import load_digits
from snntorch.utils import reset

import spikeloss as sl

torch.manual_seed(0)
pixels, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
pixels, test = pixels.float() / 16, slice(1437, None)
hidden, output = (snntorch.Leaky(beta=0.9, init_hidden=True) for _ in range(2))
layers = [torch.nn.Linear(64, 100), hidden, torch.nn.Linear(100, 10), output]
network = torch.nn.Sequential(*layers)


def simulate(x):
    """Pixels (B, 64) -> output spikes (T, B, 10)."""
    reset(network)
    return torch.stack([network(x) for _ in range(15)])


loss = sl.presets.ce_count()
adam = torch.optim.Adam(network.parameters(), lr=0.005)
for _ in range(5):
    for batch in torch.randperm(1437).split(64):
        adam.zero_grad()
        loss(simulate(pixels[batch]), labels[batch]).backward()
        adam.step()
print(f"test accuracy {loss.accuracy(simulate(pixels[test]), labels[test]):.3f}")
