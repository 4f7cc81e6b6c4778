"""Lightning Fabric drives, and samples differ in length: python examples/train_fabric.py.

Fabric wraps model, optimiser and loader; a loss has no weights and no state, and needs no wrapping.
Each image is shown for 8 to 16 steps. The loader pads, and `lengths` leaves out what it padded, in
value and in gradient; `ce_last_step` then reads the last step that a sample has.
"""

import torch
from lightning_fabric import Fabric
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

import spikeloss as sl


class Network(nn.Module):
    """Inputs (T, B, 64) -> output membranes (T, B, 10): a layer that spikes, then integrators."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 100), nn.Linear(100, 10)

    def forward(self, x):
        """Step through time."""
        u, v, record = 0.0, 0.0, []
        for current in self.first(x):
            u = 0.9 * u + current
            soft = torch.sigmoid(5 * (u - 1))  # lends the spike its derivative
            spike = (u > 1) + (soft - soft.detach())
            u = u - spike
            v = 0.9 * v + self.last(spike)
            record.append(v)
        return torch.stack(record)


def batch_of(samples):
    """Padded inputs (T, B, 64), labels and lengths of samples."""
    inputs, labels = zip(*samples, strict=True)
    lengths = torch.tensor([len(each) for each in inputs])
    return nn.utils.rnn.pad_sequence(inputs), torch.tensor(labels), lengths


torch.manual_seed(0)
pixels, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
shown = torch.randint(8, 17, labels.shape)
inputs = [image.expand(steps, 64) for image, steps in zip(pixels.float() / 16, shown, strict=True)]
samples = list(zip(inputs, labels, strict=True))

fabric = Fabric(accelerator="cpu", devices=1)
model = Network()
model, adam = fabric.setup(model, torch.optim.Adam(model.parameters(), lr=0.005))
train = DataLoader(samples[:1437], batch_size=64, shuffle=True, collate_fn=batch_of)
test = DataLoader(samples[1437:], batch_size=360, collate_fn=batch_of)
train, test = fabric.setup_dataloaders(train, test)

loss = sl.presets.ce_last_step()
for _ in range(5):
    for x, y, lengths in train:
        adam.zero_grad()
        fabric.backward(loss(model(x), y, lengths=lengths))
        adam.step()
with torch.no_grad():
    x, y, lengths = next(iter(test))
    print(f"test accuracy {loss.accuracy(model(x), y, lengths=lengths):.3f}")
