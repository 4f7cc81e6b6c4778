"""Readouts around other readouts."""

from dataclasses import dataclass
from typing import Literal

from spikeloss import _door
from spikeloss._backend import namespace
from spikeloss._piece import Piece
from spikeloss._shapes import Carry, Decision, Steps

from ._base import Keeps, Readout


@dataclass(frozen=True)
class _Wrapper(Readout):
    """A readout that changes what another one, `of`, says."""

    of: Readout

    def __post_init__(self) -> None:
        _door.option(self, "of", _door.stage, Readout, "readouts.Count()")

    @property
    def keeps(self) -> Keeps:
        return self.of.keeps

    @property
    def smaller_decides(self) -> bool:
        return self.of.smaller_decides

    @property
    def in_steps(self) -> bool:
        return self.of.in_steps

    @property
    def timeless(self) -> bool:
        return self.of.timeless


@dataclass(frozen=True)
class Population(_Wrapper):
    """z_c = sum or mean of `of` over the c-th of C contiguous equal groups of neurons.

    Population code: N output neurons vote for C classes, N/C for each.

    Args:
        of: the readout of a single neuron.
        classes: C, a divisor of N.
        pool: "sum" or "mean" over the neurons of a group.

    Raises:
        ValueError: if C does not divide the number of neurons of the record.

    >>> import numpy
    >>> Population(Count(), classes=2)(numpy.array([[1, 0, 1, 1], [1, 0, 0, 1]]))
    array([2., 3.], dtype=float32)
    """

    classes: int
    pool: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        _door.option(self, "classes", _door.whole, low=1)
        _door.option(self, "pool", _door.choice, ("sum", "mean"))

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        size = _door.groups(piece.neurons, self.classes)
        z, carry = self.of.read(piece, carry)
        xp = namespace(z)
        grouped = xp.reshape(z, (*z.shape[:-1], self.classes, size))
        return xp.sum(grouped, axis=-1) / (1 if self.pool == "sum" else size), carry

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        if single is None or self.pool == "mean":
            return single
        return single * _door.groups(neurons, self.classes)


@dataclass(frozen=True)
class Temperature(_Wrapper):
    """z / `scale`: softens (scale > 1) or sharpens (scale < 1) the softmax that follows.

    Args:
        of: the readout.
        scale: above 0, in the units of the readout.

    >>> import numpy
    >>> Temperature(Count(), scale=2.0)(numpy.array([[1, 0], [1, 1]]))
    array([1. , 0.5], dtype=float32)
    """

    scale: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _door.option(self, "scale", _door.number, above=0.0)

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z, carry = self.of.read(piece, carry)
        return z / self.scale, carry

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        return None if single is None else single / self.scale
