"""What every readout can do."""

from abc import abstractmethod
from typing import Literal, NamedTuple, Unpack

from spikeloss.extend import (
    Array,
    Carry,
    Checked,
    Decision,
    Dense,
    Evidence,
    Layout,
    Piece,
    Record,
    Steps,
    Valid,
    every_step,
    namespace,
    open_record,
    refuse,
    undecided,
)

Keeps = Literal["time", "spikes", "sequence"] | None


class Outline(NamedTuple):
    """What is known of a decision before it is made: what a target has to fit."""

    readout: "Readout"
    shape: tuple[int, ...]
    """(S, *B, C) of the decision."""
    piece: Piece
    """The record, of which nothing is read but its lengths."""

    @property
    def keeps(self) -> Keeps:
        """What a leading axis of the decision counts, as `Readout.keeps`."""
        return self.readout.keeps

    @property
    def like(self) -> Array:
        """An array with the library, device and precision of the decision."""
        return self.piece.like

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch axes *B."""
        return self.shape[:-1] if self.keeps is None else self.shape[1:-1]

    @property
    def classes(self) -> int:
        """C."""
        return self.shape[-1]

    @property
    def steps(self) -> Steps:
        """n, the valid steps of each sample."""
        return self.piece.steps

    @property
    def valid(self) -> Valid | None:
        """Of a decision that keeps time its steps that exist; None: all."""
        return self.piece.valid if self.keeps == "time" and isinstance(self.piece, Dense) else None

    @property
    def full(self) -> Steps | float | None:
        """What a neuron that fires at every valid step reads, as `Readout.full`."""
        return self.readout.full(self.steps, self.piece.neurons)


class Reading(NamedTuple):
    """A decision, and what the later stages need to know of it."""

    z: Decision
    keeps: Keeps = None
    """What its leading axis counts, as `Readout.keeps`."""
    steps: Steps = 1
    """n, the valid steps of each sample."""
    valid: Valid | None = None
    """Of a decision that keeps time its steps that exist, of others, for a criterion that compares
    samples, those that have any; None: all."""

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch axes *B."""
        return tuple(self.z.shape[:-1] if self.keeps is None else self.z.shape[1:-1])


class Readout(Checked):
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
        piece = open_record(record, timeless=self.timeless, **layout)
        self.entries(piece.neurons)
        z, _ = self.read(piece, None)
        of_steps = self.keeps == "time" and not self.couples
        return every_step(piece, self).masked(z) if of_steps else z

    def outline(self, record: Record, **layout: Unpack[Layout]) -> Outline:
        """What is known of the decision for a record before it is made."""
        return self.outlined(open_record(record, timeless=self.timeless, **layout))

    def outlined(self, piece: Piece) -> Outline:
        """What is known of the decision for a piece before it is made."""
        steps, *batch, neurons = piece.shape
        return Outline(self, (*self.axes(steps), *batch, self.entries(neurons)), piece)

    def entries(self, neurons: int) -> int:
        """C, the entries of a decision of so many neurons; an error where they do not fit."""
        return neurons

    def axes(self, steps: int) -> tuple[int, ...]:
        """S, the leading axis of a decision of so many steps, or none."""
        return () if self.keeps is None else (steps,)

    @abstractmethod
    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        """The formula: the decision after the piece, or at each of its steps, and what to carry on.

        A step that is not valid changes neither; a decision at such a step may be anything.
        """

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        """What is to be carried on, of a readout that keeps no time: its reduction over time."""
        return self.read(piece, None if carry is None else carry[1])

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        """The decision, from what `reduce` gave after n = `steps` valid steps."""
        return carry[0]

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        """What `reduce` would give of two stretches of time, from what it gave of each.

        There are `steps` valid steps of each sample in the earlier one, `more` in the later one.
        """
        rule = "a readout of which stretches of time can be joined"
        fix = "Read them one after the other, in one stream."
        refuse("loss", rule, type(self).__name__, fix, TypeError)

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
            undecided(self)
        if self.keeps == "spikes":
            z = z[0, ...]
        return -z if self.smaller_decides else z


class Summary(Readout):
    """A readout that keeps no time, as a reduction over time and what is decided from that.

    Both are needed apart where a record comes in pieces: a stream reduces at every step, and
    decides when it is asked.
    """

    @abstractmethod
    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        """What is known after the piece, from what was known before: of the size of a step."""

    @abstractmethod
    def decide(self, carry: Carry, steps: Steps) -> Decision:
        """The decision, from what is known after n = `steps` valid steps."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        carry = self.reduce(piece, carry)
        return self.decide(carry, piece.steps), carry
