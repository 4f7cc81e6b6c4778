"""The base class of targets, and what the user gives as it is."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from spikeloss.extend import (
    Array,
    Check,
    Checked,
    Decision,
    Evidence,
    Piece,
    Steps,
    fit_labels,
)
from spikeloss.readouts import Outline, Readout


class Target(Checked):
    """What every target encoding can do."""

    labelled: ClassVar[bool] = True
    """Whether the user gives class labels."""
    timed: ClassVar[bool] = False
    """Whether it gives spike times, to compare with a readout of them."""
    at_once: ClassVar[bool] = False
    """Whether it has to see all steps of a target at once, so that there is no stream."""
    of_record: ClassVar[bool] = False
    """Whether the user gives a record, which is read like the other one before it is encoded."""

    @property
    def classes(self) -> int | None:
        """How many classes the labels may name; None: as many as the decision has."""
        return None

    @property
    def steps(self) -> int | None:
        """How many steps it has something to compare with for; None: any number."""
        return None

    def fit(self, target: Array, outline: Outline) -> Check | None:
        """What is to be checked of the values that the user gives, if they fit; None: nothing."""
        return fit_labels(target, outline, classes=self.classes) if self.labelled else None

    @abstractmethod
    def encode(self, target: Array, outline: Outline) -> Array:
        """What the user gives, labels checked, as what a decision of that outline is to be."""

    def suits(self, z: Decision, readout: Readout, end: Piece) -> None:
        """Whether a decision can be compared with it, where that shows in its values."""

    def evidence(self, z: Array, readout: Readout) -> Evidence:
        """One number per class, the larger the likelier, from a decision or its mean over time."""
        return readout.evidence(z)

    def rounded(self, evidence: Evidence, readout: Readout, steps: Steps) -> Array | float:
        """The size of the numbers whose rounding is in the evidence, as `Readout.rounded`."""
        return readout.rounded(evidence, steps)


@dataclass(frozen=True)
class Given(Target):
    """y as it is: class indices or probabilities for cross-entropy, numbers for squared error.

    >>> import numpy
    >>> import spikeloss
    >>> loss = spikeloss.Loss(
    ...     spikeloss.readouts.Decided(), spikeloss.criteria.SquaredError(), Given()
    ... )
    >>> float(loss(numpy.zeros((1, 2)), numpy.array([[0.0, 2.0]])))  # (0 + 4) / 2
    2.0
    """

    labelled: ClassVar[bool] = False

    def encode(self, target: Array, outline: Outline) -> Array:
        return target
