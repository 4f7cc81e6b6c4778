"""What a preset is, and the catalogue of all."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypedDict, TypeVar

from spikeloss.extend import blamed, keywords, known
from spikeloss.loss import Loss, Reads, Total
from spikeloss.readouts import MeanOverTime, MovingWindow, Population, Readout
from spikeloss.reductions import Mean, Reduction


class Options(TypedDict, total=False):
    """What every preset takes."""

    reduction: Reduction
    class_weight: Sequence[float] | None


MEAN = Mean()
BY_WEIGHTS = Options(reduction=Mean(over="weights"))
HIGHEST = "the class with the highest {}"


@dataclass(frozen=True)
class Preset:
    """A named objective: how to build it, and what to know of it."""

    name: str
    build: Callable[..., Loss | Total]
    source: str
    decides: str

    @property
    def reads(self) -> Reads:
        """What the record should hold."""
        return self.build().main.reads

    @property
    def options(self) -> dict[str, Any]:
        """Its options and their defaults: its own, then those that every one takes."""
        main, parameters = self.build().main, inspect.signature(self.build).parameters.values()
        own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            shared = ("reduction", "layers" if main.criterion.targetless else "class_weight")
            own |= {name: getattr(main, name) for name in shared}
        return own

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
_L = TypeVar("_L", bound=Loss | Total)


def catalogue() -> dict[str, Preset]:
    """Every preset by its name."""
    return dict(_CATALOGUE)


def preset(
    *,
    source: str,
    decides: str,
    shared: Sequence[str] = (*Options.__annotations__, "layers"),
    into: dict[str, Preset] | None = None,
) -> Callable[[Callable[_P, _L]], Callable[_P, _L]]:
    """Put a function that builds a loss in the catalogue.

    Its errors name the options of the preset, whatever the stages call them. `shared` are those of
    its `**options`.
    """

    def add(build: Callable[_P, _L]) -> Callable[_P, _L]:
        name, parameters = build.__name__, inspect.signature(build).parameters.values()
        own = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        open_ended = len(own) < len(parameters)
        own += shared if open_ended else ()
        passed = {"class_weight"} if open_ended else set()  # the loss says why not

        @wraps(build)
        def made(*values: _P.args, **options: _P.kwargs) -> _L:
            keywords(name, values)
            known(name, [each for each in options if each not in passed], own)
            try:
                return build(*values, **options)
            except (TypeError, ValueError) as error:
                refusal = error
            blamed(build, options, refusal)

        catalogued = _CATALOGUE if into is None else into
        catalogued[name] = Preset(name, made, source, decides)
        return made

    return add


def of_classes(readout: Readout, classes: int | None) -> Readout:
    """With `classes`, a population of neurons votes for each class."""
    return readout if classes is None else Population(readout, classes)


def rate(width: int | None) -> Readout:
    """The rate over the whole record, or at every step over the last steps."""
    return MeanOverTime() if width is None else MovingWindow(width=width)
