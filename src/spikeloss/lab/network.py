"""The network that every objective trains: inputs (S, B, features) -> activity (T, B, N)."""

from typing import NamedTuple

import snntorch as snn
import torch
from snntorch import surrogate
from torch import Tensor, nn


class Activity(NamedTuple):
    """What the network did: spikes of both layers, membrane potential of the output layer."""

    hidden: Tensor
    spikes: Tensor
    membrane: Tensor

    def record(self, reads: str) -> Tensor:
        """What an objective that reads `reads` is given; one that reads either gets the spikes."""
        return self.membrane if reads == "membrane" else self.spikes


class Network(nn.Module):
    """Two dense layers of leaky integrate-and-fire neurons, u_t = beta u_t-1 + W x_t - s_t-1.

    A neuron spikes (s_t = 1) where its membrane potential u_t passes 1, and is reset by subtraction
    one step later: both the spikes and the membrane potential of the output layer are records to
    learn from, as in snnTorch's tutorials. Backward, a spike has the derivative of an arctangent.
    """

    def __init__(self, features: int, hidden: int, classes: int, steps: int, beta: float) -> None:
        super().__init__()
        self.steps = steps
        self.into_hidden = nn.Linear(features, hidden)
        self.into_output = nn.Linear(hidden, classes)
        self.hidden = snn.Leaky(beta=beta, spike_grad=surrogate.atan())
        self.output = snn.Leaky(beta=beta, spike_grad=surrogate.atan())

    def forward(self, inputs: Tensor) -> Activity:
        """Simulate `steps` steps from rest."""
        currents = self.into_hidden(inputs).expand(self.steps, -1, -1)
        hidden_u, output_u = self.hidden.reset_mem(), self.output.reset_mem()
        trace = []
        for current in currents:
            hidden, hidden_u = self.hidden(current, hidden_u)
            spikes, output_u = self.output(self.into_output(hidden), output_u)
            trace.append((hidden, spikes, output_u))
        return Activity(*(torch.stack(layer) for layer in zip(*trace, strict=True)))
