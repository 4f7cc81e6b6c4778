"""Objectives as the command line spells them.

`mse_count`, or with options `mse_count(on=0.8, off=0.2)`, or a sum with other objectives and with
penalties, `ce_count + 0.1*rate_bounds(upper=0.2)`. A term may be of the user's own code,
`my.losses:late(tau=2.0)`, or of a plug-in.
"""

import ast
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spikeloss import penalties
from spikeloss._door._words import cut
from spikeloss.loss import Loss, Total
from spikeloss.presets import Preset, catalogue
from spikeloss.readouts import Population

from . import plugins
from .errors import InputError
from .imports import imported, names_code
from .own import own_preset
from .peers import meant

TERM = re.compile(
    r"(?:([-+.\deE]++)\s*+\*)?\s*+([\w-]++(?:[.:][\w-]++)*+)\s*+(\(.*\))?", re.DOTALL | re.ASCII
)  # possessive, so that the time grows with the length and no faster
LONGEST = 10_000
"""Characters of an objective."""
DEEPEST = 20
"""Brackets in brackets, and signs in a row."""
HIDDEN, OUTPUT, MEMBRANE = "hidden", "output", "membrane"
"""The records of a network: spikes of its hidden layers and of its output, whose membrane."""


@dataclass(frozen=True)
class Objective:
    """A preset with its options, or a sum: how it is written, its first preset, and the loss."""

    spelling: str
    preset: Preset
    loss: Loss | Total

    @property
    def reads(self) -> str:
        """The record it is trained on: "spikes" or "membrane"; spikes if either will do."""
        return "membrane" if self.preset.reads == "membrane" else "spikes"

    @property
    def main(self) -> Loss:
        """The loss that decides, of one record."""
        return self.loss.main.replace(layers=None)

    @property
    def layers(self) -> tuple[str, ...]:
        """The records that a sum reads, by name; none: one record that is not named."""
        named = [term.layers or () for _, term in (1 * self.loss).terms]
        return tuple(dict.fromkeys(name for layers in named for name in several(layers)))

    def placed(self, hidden: tuple[str, ...], groups: int | None) -> "Objective":
        """The same on a network with hidden layers of these names, in the place of "hidden".

        `groups`: the classes of which the output neurons are populations; None: a neuron each.
        """
        terms = tuple((factor, _on(term, hidden, groups)) for factor, term in (1 * self.loss).terms)
        loss = terms[0][1] if isinstance(self.loss, Loss) else Total(terms)
        return replace(self, loss=loss)

    def check(self, steps: int, classes: int) -> None:
        """Refuse an objective that cannot learn class labels from records of this size."""
        rule = f"one that learns labels from records of {steps} steps and {classes} neurons"
        fix = "Choose another with `spikeloss list`."
        if self.loss.main.readout.timeless:
            got = f"{self.spelling} (its record has no time axis)"
            raise InputError("objective", rule, got, fix)
        if self.loss.main.criterion.targetless:
            fix = "Add it to an objective, as in ce_count + 0.1*rate_bounds."
            raise InputError("objective", rule, f"{self.spelling} (a penalty alone)", fix)
        record: Any = np.ones((steps, 1, classes), np.float32)
        if self.layers:
            record = dict.fromkeys(self.layers, record)
        try:
            with np.errstate(all="ignore"):
                self.loss(record, np.zeros(1, np.int64))
                self.loss.predict(record)
        except (TypeError, ValueError) as wrong:
            raise InputError("objective", rule, _saying(self.spelling, wrong), fix) from None


def several(layers: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names of layers, where one may stand for itself."""
    return (layers,) if isinstance(layers, str) else layers


def _on(term: Loss, hidden: tuple[str, ...], groups: int | None) -> Loss:
    """A term on a network: see `Objective.placed`."""
    if term.layers:
        given = several(term.layers)
        names = tuple(n for name in given for n in (hidden if name == HIDDEN else (name,)))
        term = term.replace(layers=names if term.criterion.targetless else names[0])
    if groups is None or term.criterion.targetless or _grouped(term.readout):
        return term
    return term.replace(readout=Population(term.readout, groups))


def _grouped(readout: Any) -> bool:
    """Whether a readout has populations already."""
    while readout is not None and not isinstance(readout, Population):
        readout = getattr(readout, "of", None)
    return readout is not None


def find(text: str, *, code: bool = True) -> Objective:
    """The objective that `text` spells.

    `code`: whether it may name code of the user's own, which is then imported and run. Not where
    the text is from a file that somebody else may have written.
    """
    _check_length(text)
    parts = [_part(part.strip(), text, code) for part in split(text)]
    spelling = " + ".join(spelling for spelling, _, _ in parts)
    _check_length(spelling)
    _, first, alone = parts[0]
    if len(parts) == 1 and isinstance(alone, Loss):
        return Objective(spelling, first, alone)
    placed = (
        _placed(by, term, preset.reads, penalty=_penalty(loss))
        for _, preset, loss in parts
        for by, term in (1 * loss).terms
    )
    decides = (preset for _, preset, loss in parts if not _penalty(loss))
    return Objective(spelling, next(decides, first), Total(tuple(placed)))


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        rule, fix = f"at most {LONGEST} characters", "Write fewer terms."
        raise InputError("objective", rule, f"{len(text)} of them", fix)


def _penalty(loss: Loss | Total) -> bool:
    """Whether it is a penalty alone."""
    return loss.main.criterion.targetless


def _placed(factor: float, term: Loss, reads: str, *, penalty: bool) -> tuple[float, Loss]:
    """A term of a sum, with the layers of the network that it reads: those of an objective its
    output; of a penalty all that hold what it reads, unless it names some.
    """
    layers: str | tuple[str, ...] = MEMBRANE if reads == "membrane" else OUTPUT
    if layers == OUTPUT and penalty:
        layers = (HIDDEN, OUTPUT)
    return factor, term if term.layers else term.replace(layers=layers)


def split(text: str) -> list[str]:
    """The terms of a sum: at each + that stands in no brackets and in no number such as 1e+3."""
    starts, depth, deepest = [0], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
        exponent = re.fullmatch(r"\d[eE]", text[max(at - 2, 0) : at])
        if letter == "+" and depth == 0 and not exponent:
            starts.append(at + 1)
    if deepest > DEEPEST or re.search(rf"(?:[-+~]\s*+){{{DEEPEST}}}", text):
        rule = f"at most {DEEPEST} brackets in each other, or signs in a row"
        raise InputError("objective", rule, repr(cut(text)), "Write its options as plain values.")
    ends = [start - 1 for start in starts[1:]]
    return [text[start:end] for start, end in zip(starts, [*ends, None], strict=True)]


def every() -> dict[str, Preset]:
    """Every preset by its name: those of the library, then penalties, then those of plug-ins."""
    return catalogue() | penalties.catalogue() | plugins.presets()


def deciding() -> dict[str, Preset]:
    """Those with a target: of the library, then of plug-ins."""
    others = plugins.presets().items()
    return catalogue() | {name: each for name, each in others if not _penalty(each.build())}


def _part(part: str, text: str, code: bool) -> tuple[str, Preset, Loss | Total]:
    """A term: how it is written, its preset, and its loss."""
    factor, name, options = parse(part, text)
    listed = ", ".join(f"{option}={value!a}" for option, value in options.items())
    spelling = f"{name}({listed})" if options else name
    spelling = spelling if factor is None else f"{spelled(factor)}*{spelling}"
    preset, build = _own(name, options) if code and names_code(name) else _listed(name, options)
    try:
        loss = build()
        scaled = loss if factor is None else factor * loss
        hash(scaled)
    except (TypeError, ValueError, OverflowError) as wrong:
        fix = f"See `spikeloss show {name}`."
        raise InputError("objective", "options that fit", _saying(part, wrong), fix) from None
    return spelling, preset, scaled


def _own(name: str, options: dict[str, Any]) -> tuple[Preset, Callable[[], Loss | Total]]:
    """What the user's own code has."""
    found = imported(name, "objective")
    preset = own_preset(found, name, "objective", name, options)
    return preset, preset.build


def _listed(name: str, options: dict[str, Any]) -> tuple[Preset, Callable[[], Loss | Total]]:
    """What is listed under a name."""
    ours = catalogue() | penalties.catalogue()
    presets = ours if name in ours else every()
    if names_code(name):
        rule, fix = "an objective that `spikeloss list` shows", "Name it on the command line."
        raise InputError("objective", rule, f"{cut(name)}, code that a file names", fix)
    if name not in presets:
        close = meant(name, presets)
        fix = f"Did you mean {close}?" if close else "See all with `spikeloss list`."
        raise InputError("objective", "a name that `spikeloss list` shows", cut(repr(name)), fix)
    fix = f"See `spikeloss show {name}`."
    known = presets[name].options if options else {}
    for option in options:
        if option not in known:
            rule = f"options of {name}: {', '.join(known)}"
            raise InputError("objective", rule, cut(repr(option)), fix)
    return presets[name], partial(presets[name].build, **options)


def spelled(factor: float) -> str:
    """A factor in as few digits as tell it from every other one."""
    short = f"{factor:g}"
    return short if float(short) == factor else repr(factor)


def _saying(text: str, wrong: Exception) -> str:
    return f"{cut(text)} ({str(wrong).rstrip('.')})"


def parse(part: str, text: str) -> tuple[float | None, str, dict[str, Any]]:
    """Factor, name and options of `factor*name(option=value, ...)`; values are Python literals."""
    form = TERM.fullmatch(part)
    if form:
        try:
            factor = None if form[1] is None else float(form[1])
            return factor, form[2], _options(form[3] or "()")
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            pass  # the last three: {[1]: 2}, and what nests deeper than Python reads
    fix = "Quote it for the shell: 'mse_count(on=0.8, off=0.2)'."
    raise InputError("objective", "a name, or a name with options", cut(repr(text)), fix)


def _options(brackets: str) -> dict[str, Any]:
    """(option=value, ...) as a mapping; an error that Python has where it is anything else."""
    with warnings.catch_warnings(action="ignore"):
        call = ast.parse(f"f{brackets}", mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise ValueError("no options")
    options = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    if len(options) < len(call.keywords):
        raise ValueError("an option twice, or none by name")
    return options


def defaults() -> tuple[str, ...]:
    """The objectives that `spikeloss compare` trains unless told otherwise: snnTorch's seven."""
    return tuple(name for name, preset in catalogue().items() if "snntorch" in preset.source)
