"""Train a spiking network on long records with truncated backpropagation through time.

One update per window of steps, in memory for one window: the loss of all steps that have come, its
gradient through the steps of the window. With one window the gradient is that of the batch.

    python examples/truncated_bptt.py
"""

import torch
from torch import Tensor, nn

from spikeloss import Loss, presets

STEPS, BATCH, INPUTS, CLASSES = 100, 16, 20, 4


class Layer(nn.Module):
    """Leaky integrate-and-fire neurons, u_t = 0.9 u_t-1 + W x_t - s_t-1, spiking where u_t > 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(INPUTS, CLASSES, bias=False)

    def forward(self, x: Tensor, u: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """One step: membrane and spikes."""
        u = 0.9 * u + self.weight(x) - s
        slope = torch.atan(3 * (u - 1)) / 3
        return u, (u > 1).float() + slope - slope.detach()


def gradients(layer: Layer, loss: Loss, inputs: Tensor, labels: Tensor, window: int):
    """The loss after each window, and the gradient of the weights through it."""
    stream = loss.stream(labels)
    u = s = torch.zeros(inputs.shape[1], CLASSES)
    for start in range(0, len(inputs), window):
        for x in inputs[start : start + window]:
            u, s = layer(x, u, s)
            stream.step(s)
        value = stream.value()
        yield value.detach(), torch.autograd.grad(value, layer.weight.weight)[0]
        u, s = u.detach(), s.detach()
        stream.detach()


def samples(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random spikes, whose rates tell the class."""
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    rates = 0.1 + 0.1 * (torch.arange(INPUTS) % CLASSES == labels[:, None])
    return torch.rand(STEPS, BATCH, INPUTS, generator=generator).lt(rates).float(), labels


def train(window: int, updates: int = 40) -> float:
    """The accuracy on fresh samples after so many updates."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    layer, loss = Layer(), presets.ce_rate()
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.03)
    done = 0
    while done < updates:
        inputs, labels = samples(generator)
        for _, gradient in gradients(layer, loss, inputs, labels, window):
            layer.weight.weight.grad = gradient
            optimiser.step()
            done += 1
    inputs, labels = samples(generator)
    stream = loss.stream()
    u = s = torch.zeros(BATCH, CLASSES)
    with torch.no_grad():
        for x in inputs:
            u, s = layer(x, u, s)
            stream.step(s)
    return float(stream.accuracy(labels))


if __name__ == "__main__":
    for window in (10, 25, STEPS):
        print(f"windows of {window:3} steps: accuracy {train(window):.2f}")
