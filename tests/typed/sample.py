"""What a user writes, with every type as a checker sees it."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Unpack, assert_type

import numpy as np
import torch

import spikeloss as sl
from spikeloss import Loss, Parts, Total, metrics, penalties, presets
from spikeloss.criteria import CrossEntropy, Weighed, of_label
from spikeloss.extend import Array, Carry, Decision, Piece, every_step, namespace, number
from spikeloss.presets import Options, preset
from spikeloss.readouts import MeanOverTime, Reading, Readout, SumOverTime
from spikeloss.reductions import Each
from spikeloss.stream import Stream


class Network(torch.nn.Module):
    """Leaky membranes of one layer."""

    def __init__(self, inputs: int, classes: int, steps: int = 7) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(inputs, classes)
        self.steps = steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Numbers (B, F) -> membranes (T, B, C)."""
        current = self.linear(x)
        membrane, record = torch.zeros_like(current), list[torch.Tensor]()
        for _ in range(self.steps):
            membrane = 0.9 * membrane + current
            record.append(membrane)
        return torch.stack(record)


# Losses: presets, sums, and of parts

mean = Loss(MeanOverTime(), CrossEntropy(label_smoothing=0.1), reduction=Each())
membrane = presets.mse_membrane(reduction="sum")
both = membrane + 0.1 * penalties.count_l1() + mean.replace(reduction=sl.reductions.Mean())
assert_type(mean, Loss)
assert_type(membrane, Loss)
assert_type(both, Total)
names: list[str] = sorted(presets.catalogue())
weights: list[float] = [1.0, 2.0, 1.0]
weighed = presets.ce_count(class_weight=weights)


# Stages of one's own


@dataclass(frozen=True, kw_only=True)
class Discounted(Readout):
    """z = sum_t gamma^t x_t"""

    gamma: float = field(default=0.9, metadata=number(above=0.0, high=1.0))

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        """The sum of a piece, on that of the pieces before."""
        dense = every_step(piece, self)
        total = 0.0 if carry is None else carry
        for step in range(dense.x.shape[0]):
            total = self.gamma * total + dense.x[step, ...]
        return total, total


@dataclass(frozen=True)
class Perceptron(Weighed):
    """max_c z_c - z_y"""

    of_labels: ClassVar[bool] = True

    def each(self, reading: Reading, y: Array) -> Array:
        """An element of every row."""
        _, z_y = of_label(reading.z, y)
        return namespace(z_y).max(reading.z, axis=-1, keepdims=True) - z_y


@preset(source="of the user", decides="the class with the highest sum")
def discounted(*, gamma: float = 0.9, **options: Unpack[Options]) -> Loss:
    """-log softmax(sum_t gamma^t x_t)_y

    The right class should have the highest sum.
    """
    return Loss(Discounted(gamma=gamma), CrossEntropy(), **options)


# A training, and what is measured


def train(network: Network, x: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """The losses of five steps."""
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-4)
    course: list[float] = []
    for _ in range(5):
        optimiser.zero_grad()
        value: torch.Tensor = both(network(x), labels, sample_weight=torch.ones(len(labels)))
        torch.autograd.backward(value)
        optimiser.step()
        course.append(value.item())
    return course


def measure(record: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Accuracy and value, whole, in parts and step by step."""
    lengths = torch.full((len(labels),), 5)
    accuracy = float(weighed.accuracy(record, labels, lengths=lengths, class_axis=-1))
    metric = float(metrics.accuracy(weighed, record, labels))
    assert math.isfinite(metric)
    some, others = slice(2), slice(2, None)
    parts: Parts = weighed.parts(record[:, some], labels[some])
    parts += weighed.parts(record[:, others], labels[others])
    stream: Stream = weighed.stream(labels)
    for step in record:
        stream.step(step)
    assert math.isclose(float(parts.value()), float(stream.value()), rel_tol=1e-5)
    said: str = weighed.explain(record, labels)
    terms = {name: float(each.weighted) for name, each in both.addends(record, labels).items()}
    assert said
    assert math.isclose(sum(terms.values()), float(both(record, labels)), rel_tol=1e-5)
    return accuracy, float(weighed(record, labels))


def values() -> float:
    """The same of an array of NumPy."""
    record = np.zeros((7, 5, 3))
    own = Loss(SumOverTime(), Perceptron())(record, np.array([0, 1, 2, 0, 1]))
    return float(own)


if __name__ == "__main__":
    torch.manual_seed(0)
    x, labels = torch.randn(5, 6), torch.tensor([0, 1, 2, 0, 1])
    network = Network(6, 3)
    course = train(network, x, labels)
    assert course[-1] < course[0], course
    assert values() == 0.0
    print(measure(network(x).detach(), labels))
