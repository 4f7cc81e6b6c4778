"""What a preset is, and the catalogue of all."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypedDict, TypeVar, Unpack, get_args, get_origin

from spikeloss.extend import blamed, keywords, known, refuse
from spikeloss.loss import Loss, Reads, Total
from spikeloss.readouts import MeanOverTime, MovingWindow, Population, Readout
from spikeloss.reductions import Mean, Reduction, Word


class Unweighed(TypedDict, total=False):
    """What every preset takes."""

    reduction: Reduction | Word
    layers: str | tuple[str, ...] | None


class Options(Unweighed, total=False):
    """What presets of class labels take."""

    class_weight: Sequence[float] | None


MEAN = Mean()
BY_SAMPLES = Options()
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
        main, build = self.build().main, inspect.unwrap(self.build)
        parameters = inspect.signature(build).parameters.values()
        own = {p.name: p.default for p in parameters if p.kind in _NAMED}
        unread = "class_weight" if main.criterion.targetless else "layers"
        return own | {name: getattr(main, name) for name in _shared(build) if name != unread}

    @property
    def formula(self) -> str:
        """What is minimised, in symbols: the first paragraph of the docstring."""
        return self._paragraph(0)

    @property
    def summary(self) -> str:
        """What it rewards and when to use it: the second paragraph of the docstring."""
        return self._paragraph(1)

    def _paragraph(self, index: int) -> str:
        paragraphs = (inspect.getdoc(self.build) or "").split("\n\n")
        return " ".join(paragraphs[index].split()) if index < len(paragraphs) else ""


_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_USUAL: dict[str, Any] = {"reduction": MEAN, "class_weight": None, "layers": None}
"""The defaults of what `**options` may stand for, in the order in which they are listed."""
_MEANING = {
    "reduction": '"mean", "sum" or "none", or one of `spikeloss.reductions`.',
    "class_weight": "a weight per class; None: all 1.",
    "layers": "the records to read of a mapping of names to them; None: all.",
    "axes": "how many of the last batch axes make an image; None: the whole batch is one.",
    "batch": "whether the mean over the samples is taken first.",
    "ignore_index": "the label of samples to leave out; None: none.",
    "kernel": "how two samples are compared.",
    "label_smoothing": "the share of the target that goes to all classes alike, from 0 to 1.",
    "lower": "the least that costs nothing; None: any.",
    "off": "the level of the other classes, or of 0.",
    "on": "the level of the right class, or of 1.",
    "others": "w, the factor of the other part, at least 0.",
    "percentile": "of the samples, from 0 to 100.",
    "population": "whether the mean over the neurons is taken first.",
    "power": "p, 1 or 2.",
    "scale": "of the kernel.",
    "silent_delay": "steps after the record's end at which a silent neuron counts as firing.",
    "tau": "the time constant, in steps.",
    "threshold": "the level that divides yes from no, in the units of what is read.",
    "upper": "the most that costs nothing; None: any.",
    "width": "the steps of the window; None: the whole record.",
}
"""What options mean where the docstring of a preset does not say."""


def _shared(build: Callable[..., Any]) -> dict[str, Any]:
    """What stands for `**options`, with types: by its annotation, without one all options."""
    for p in inspect.signature(build).parameters.values():
        if p.kind is p.VAR_KEYWORD:
            unpacked = get_origin(p.annotation) is Unpack
            kinds = (get_args(p.annotation)[0] if unpacked else Options).__annotations__
            return {name: kinds[name] for name in _USUAL if name in kinds}
    return {}


def _described(build: Callable[..., Any], made: Any, usual: Any) -> None:
    """Name the options that stand for `**options` in the signature, and say what all mean."""
    signature, text = inspect.signature(build), inspect.cleandoc(build.__doc__ or "")
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    own += [
        inspect.Parameter(name, _NAMED[0], default=(_USUAL | usual)[name], annotation=kind)
        for name, kind in _shared(build).items()
    ]
    made.__signature__ = signature.replace(parameters=own)
    unsaid = [p.name for p in own if f"`{p.name}`" not in text and f"{p.name}=" not in text]
    lines = [f"    {name}: {_MEANING[name]}" for name in unsaid if name in _MEANING]
    if text and lines:
        made.__doc__ = "\n".join([text, "", "Args:", *lines, ""])


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
    usual: Options = BY_SAMPLES,
    into: dict[str, Preset] | None = None,
) -> Callable[[Callable[_P, _L]], Callable[_P, _L]]:
    """Put a function that builds a loss in the catalogue.

    Its errors name the options of the preset, whatever the stages call them. Those that its
    `**options: Unpack[Options]` stands for are listed with its own, without an annotation all;
    `usual` are their defaults where those of the stages are others. The names of this library's own
    presets are taken.
    """

    def add(build: Callable[_P, _L]) -> Callable[_P, _L]:
        catalogued = _CATALOGUE if into is None else into
        name = build.__name__
        taken = catalogued.get(name)
        if taken is not None and _ours(taken.build) and not _ours(build):
            fix = "Rename the function."
            refuse("name", "a name that no preset of spikeloss has", repr(name), fix)
        parameters = inspect.signature(build).parameters.values()
        shared = _shared(build)
        own = [*(p.name for p in parameters if p.kind is p.KEYWORD_ONLY), *shared]
        passed = {"class_weight"} if shared else set()  # the loss says why not

        @wraps(build)
        def made(*values: _P.args, **options: _P.kwargs) -> _L:
            keywords(name, values)
            known(name, [each for each in options if each not in passed], own)
            try:
                return build(*values, **options)
            except (TypeError, ValueError) as error:
                refusal = error
            blamed(build, options, refusal)

        _described(build, made, usual)
        catalogued[name] = Preset(name, made, source, decides)
        return made

    return add


def _ours(build: Callable[..., Any]) -> bool:
    """Whether a preset is one of this library."""
    return build.__module__.partition(".")[0] == "spikeloss"


def of_classes(readout: Readout, classes: int | None) -> Readout:
    """With `classes`, a population of neurons votes for each class."""
    return readout if classes is None else Population(readout, classes)


def rate(width: int | None) -> Readout:
    """The rate over the whole record, or at every step over the last steps."""
    return MeanOverTime() if width is None else MovingWindow(width=width)
