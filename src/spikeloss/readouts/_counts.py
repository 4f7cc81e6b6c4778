"""Readouts of counts whose derivative is that of spikes."""

from dataclasses import dataclass, field

from spikeloss.extend import (
    Carry,
    Decision,
    Dense,
    Piece,
    Steps,
    constant,
    flag,
    namespace,
    plus,
)

from ._base import Summary


@dataclass(frozen=True, kw_only=True)
class SpikeCount(Summary):
    """z = sum_t s_t, the number of spikes, whose derivative goes to the spikes alone.

    It is 1 at every non-zero entry, with `shared` 1 / z, and 0 elsewhere and for a silent neuron:
    an estimate for networks in which spikes that are there move, and none comes or goes.

    Args:
        shared: whether the spikes of a neuron share a derivative of 1.

    Source: Y. Zhu et al., Exploring loss functions for time-based training strategy in spiking
    neural networks (2023), and their code.

    >>> import numpy
    >>> SpikeCount()(numpy.array([[1, 0], [1, 1]]))
    array([2., 1.], dtype=float32)
    """

    shared: bool = field(default=False, metadata=flag())

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        if not isinstance(piece, Dense):
            return plus(carry, piece.sum())
        xp = namespace(piece.raw)
        return plus(carry, piece.sum_of(xp.where(piece.raw == 0, 0, piece.raw)))

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        if not self.shared:
            return carry.value
        z, held, xp = carry.value, constant(carry.value), namespace(carry.value)
        fires = held != 0
        return held + xp.where(fires, z - held, 0) / xp.where(fires, held, 1)

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return earlier.plus(later)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return steps
