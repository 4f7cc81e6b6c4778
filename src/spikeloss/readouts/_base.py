"""What every readout can do."""

from abc import abstractmethod
from typing import Literal, NamedTuple, Unpack

from spikeloss import _door
from spikeloss._backend import namespace
from spikeloss._piece import Dense, Piece
from spikeloss._shapes import Array, Carry, Decision, Evidence, Layout, Record, Steps, Valid
from spikeloss._stage import Stage

Keeps = Literal["time", "spikes", "sequence"] | None


class Reading(NamedTuple):
    """A decision, and what the later stages need to know of it."""

    z: Decision
    keeps: Keeps
    steps: Steps
    full: Steps | float | None
    offset: int | Array | None = None
    """Steps of the record before those of a piece of it; None: it is the whole record."""
    valid: Valid | None = None
    """Of a decision that keeps time its steps that exist; None: all."""

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch axes *B."""
        return tuple(self.z.shape[:-1] if self.keeps is None else self.z.shape[1:-1])


class Readout(metaclass=Stage):
    """What every readout can do; a new one is a frozen dataclass with a `read`."""

    @property
    def keeps(self) -> Keeps:
        """What a leading axis of the decision counts: steps, of each of which the criterion says
        something, spikes, or steps that it sees all at once; None: no such axis."""
        return None

    @property
    def smaller_decides(self) -> bool:
        """Whether the smallest number decides, as for times, rather than the largest."""
        return False

    @property
    def couples(self) -> bool:
        """Whether what it says of a sample depends on the others of the batch."""
        return False

    @property
    def in_steps(self) -> bool:
        """Whether the decision is a time in steps, that a target in steps can be compared with."""
        return False

    @property
    def timeless(self) -> bool:
        """Whether the record has no time axis."""
        return False

    def __call__(self, record: Record, **layout: Unpack[Layout]) -> Decision:
        """The decision for a record, in float32 or float64; `layout` as for a loss."""
        return self.reading(_door.open_record(record, timeless=self.timeless, **layout)).z

    def reading(self, piece: Piece) -> Reading:
        """The decision for a whole record, with what the later stages need to know."""
        return self.as_reading(self.read(piece, None)[0], piece)

    def as_reading(self, z: Decision, piece: Piece) -> Reading:
        """A decision with what the later stages need to know of it."""
        full, timed = self.full(piece.steps, piece.neurons), self.keeps == "time"
        valid = piece.valid if timed and isinstance(piece, Dense) else None
        return Reading(z, self.keeps, piece.steps, full, valid=valid)

    @abstractmethod
    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        """The formula: the decision after the piece, or at each of its steps, and what to carry on.

        A step that is not valid changes neither.
        """

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        """What a neuron that fires at every valid step reads; None where a rate has no meaning."""
        return 1.0

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        """The size of the numbers whose rounding is in z: a sum of them, or 0 where z is exact.

        Evidence that differs by less than that rounding is a tie.
        """
        return namespace(z).abs(z)

    def evidence(self, z: Array) -> Evidence:
        """One number per class, the larger the likelier, from a decision or its mean over time."""
        if self.keeps == "sequence":
            _door.undecided(self)
        if self.keeps == "spikes":
            z = z[0]
        return -z if self.smaller_decides else z
