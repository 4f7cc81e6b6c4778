"""What a preset is, and the catalogue of all."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypedDict

from spikeloss.loss import Loss, Reads
from spikeloss.readouts import Mean as MeanOverTime
from spikeloss.readouts import MovingWindow, Population, Readout
from spikeloss.reductions import Mean, Reduction


class Options(TypedDict, total=False):
    """What every preset takes."""

    reduction: Reduction
    class_weight: Sequence[float] | None


BY_WEIGHTS = Options(reduction=Mean(over="weights"))
HIGHEST = "the class with the highest {}"


@dataclass(frozen=True)
class Preset:
    """A named objective: how to build it, and what to know of it."""

    name: str
    build: Callable[..., Loss]
    source: str
    decides: str

    @property
    def reads(self) -> Reads:
        """What the record should hold."""
        return self.build().reads

    @property
    def formula(self) -> str:
        """What is minimised, in symbols: the first paragraph of the docstring."""
        return self._paragraph(0)

    @property
    def summary(self) -> str:
        """What it rewards and when to use it: the second paragraph of the docstring."""
        return self._paragraph(1)

    def _paragraph(self, index: int) -> str:
        return " ".join((inspect.getdoc(self.build) or "").split("\n\n")[index].split())


_CATALOGUE: dict[str, Preset] = {}
_P = ParamSpec("_P")


def catalogue() -> dict[str, Preset]:
    """Every preset by its name."""
    return dict(_CATALOGUE)


def preset(*, source: str, decides: str) -> Callable[[Callable[_P, Loss]], Callable[_P, Loss]]:
    """Put a function that builds a loss in the catalogue."""

    def add(build: Callable[_P, Loss]) -> Callable[_P, Loss]:
        _CATALOGUE[build.__name__] = Preset(build.__name__, build, source, decides)
        return build

    return add


def pooled(readout: Readout, classes: int | None) -> Readout:
    """With `classes`, a population of neurons votes for each class."""
    return readout if classes is None else Population(readout, classes)


def rate(width: int | None) -> Readout:
    """The rate over the whole record, or at every step over the last steps."""
    return MeanOverTime() if width is None else MovingWindow(width=width)
