"""What there is to know of a preset, a penalty or a sum. NumPy only."""

from collections.abc import Sequence
from typing import Any

from spikeloss.loss import Loss
from spikeloss.presets import Preset

from .errors import InputError
from .example import example
from .families import FAMILIES, SUM, family, words
from .objectives import Objective, every, find, parse, spelled, split
from .peers import elsewhere


def overview(search: Sequence[str] = (), reads: str | None = None) -> list[dict[str, str]]:
    """Every preset, penalty and plug-in: name, family, what it reads, formula, how it decides, what
    it rewards, source, and its names elsewhere; those that have every word that is searched for.

    A word that is a family, or "sum", is searched for among these; another one everywhere.
    """
    presets = every().values()
    found = [
        _brief(preset)
        for preset in presets
        if reads in (None, preset.reads) and all(_has(preset, word) for word in search)
    ]
    if not found:
        asked = " ".join([*search, *([f"--reads {reads}"] if reads else [])])
        fix = f"Families are {', '.join(FAMILIES)}, and {SUM}."
        raise InputError("list", "words that an objective has", repr(asked), fix)
    return found


def _has(preset: Preset, word: str) -> bool:
    """Whether a preset is of the family that a word names, or has the word anywhere."""
    asked = word.lower().strip()
    singular = {"penalties": "penalty"}.get(asked, asked.removesuffix("s"))
    for name in (asked, singular):
        if name in (*FAMILIES, SUM):
            return name in words(preset)
    return asked in " ".join(_brief(preset).values()).lower()


def details(objective: Objective) -> dict[str, Any]:
    """Everything about an objective: also its stages, options as given, an example that runs.

    `terms` has every term of a sum; the stages and options beside it are those of the first.
    """
    parts = [_part(text.strip()) for text in split(objective.spelling)]
    terms = [_term(*part) for part in parts]
    return {
        **_brief(objective.preset),
        "name": objective.spelling,
        "formula": " + ".join(_scaled(term["factor"], term["formula"]) for term in terms),
        "stages": terms[0]["stages"],
        "options": terms[0]["options"],
        "terms": terms,
        "example": example(objective, [(factor, term.preset, own) for factor, term, own in parts]),
    }


def _part(text: str) -> tuple[str | None, Objective, dict[str, Any]]:
    """A term of a sum: its factor, the objective, and the options that are given."""
    factor, _, given = parse(text, text)
    rest = text if factor is None else text.partition("*")[2]
    return None if factor is None else spelled(factor), find(rest), given


def _scaled(factor: str | None, formula: str) -> str:
    return formula if factor is None else f"{factor} * ({formula})"


def _term(factor: str | None, found: Objective, given: dict[str, Any]) -> dict[str, Any]:
    """What there is to know of a term."""
    options = found.preset.options | given
    return {
        **_brief(found.preset),
        "factor": factor,
        "stages": _stages(found, float(factor or 1)),
        "options": {name: repr(value) for name, value in options.items()},
    }


def _stages(objective: Objective, factor: float) -> dict[str, str]:
    """The stages of a loss; of one of several terms those of the first, the others in a line."""
    terms = (1 * objective.loss).terms
    main = objective.loss.main if len(terms) > 1 else terms[0][1]
    names = ("readout", "criterion") if main.criterion.targetless else PARTS
    stages = {name: repr(getattr(main, name)) for name in (*names, "reduction")}
    for index, (by, term) in enumerate(terms[1:], 2):
        stages[f"term {index}"] = f"{spelled(by / factor)} * {', '.join(_parts(term))}"
    return stages


PARTS = ("readout", "criterion", "target")


def _parts(term: Loss) -> list[str]:
    names = PARTS[:2] if term.criterion.targetless else PARTS
    return [repr(getattr(term, name)) for name in names]


def _brief(preset: Preset) -> dict[str, str]:
    names = [f"{peer.package} {peer.name}" for peer in elsewhere(preset.name)]
    known = ("name", "reads", "formula", "decides", "summary", "source")
    return {
        **{name: getattr(preset, name) for name in known},
        "family": family(preset),
        "elsewhere": ", ".join(names),
    }
