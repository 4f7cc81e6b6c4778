"""Readouts that are a function of the record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spikeloss.extend import (
    Array,
    Carry,
    Decision,
    Piece,
    Steps,
    every_step,
    function,
    integer,
    named,
    optional,
    refuse,
    returned,
    written_for,
)

from ._base import Readout


@dataclass(frozen=True, repr=False)
class FunctionReadout(Readout):
    """z = f(x), x the record (T, *B, N), z the decision (*B, C).

    What `of` makes. Two are equal if their functions are; one pickles if its function does.

    Args:
        function: f, of arrays of one library or of all.
        classes: C; None: as many as neurons.

    Raises:
        ValueError, TypeError: for what a function of the record alone cannot know: lengths and
            masks, records that come in pieces, events; for a decision of another shape.

    >>> import numpy
    >>> counts = FunctionReadout(lambda x: x.sum(0))
    >>> counts(numpy.ones((4, 2, 3)))
    array([[4., 4., 4.],
           [4., 4., 4.]])
    """

    function: Callable[[Any], Any] = field(metadata=function())
    classes: int | None = field(default=None, metadata=optional(integer(low=1)))

    def __repr__(self) -> str:
        classes = "" if self.classes is None else f", classes={self.classes}"
        return f"FunctionReadout({named(self.function)}{classes})"

    def entries(self, neurons: int) -> int:
        return neurons if self.classes is None else self.classes

    def full(self, steps: Steps, neurons: int) -> None:
        return None

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece, what = every_step(piece, self), f"readouts.of({named(self.function)})"
        if piece.valid is not None:
            fix = "Write a readout of your own."
            argument = "valid" if piece.gaps else "lengths"
            refuse(argument, f"None for {what}, which sees every step", "some", fix, TypeError)
        if carry is not None or piece.part:
            fix = "Call the loss on the whole record, a packed one as record.unpack()."
            refuse("record", f"all steps at once for {what}", "some of them", fix, TypeError)
        x: Array = piece.raw
        written_for(self.function, x)
        shape = (*x.shape[1:-1], self.entries(x.shape[-1]))
        z = returned(self.function, self.function(x), x, shape)
        return z, z


def of(function: Callable[[Any], Any], *, classes: int | None = None) -> FunctionReadout:
    """The readout z = f(x) of a function: record (T, *B, N) to decision (*B, C).

        Loss(readouts.of(lambda x: x.sum(0)), CrossEntropy())

    Where that is enough: for whole dense records without lengths. See `FunctionReadout`.
    """
    return FunctionReadout(function, classes)
