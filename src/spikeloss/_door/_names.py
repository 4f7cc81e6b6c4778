"""Checks of the names of options, and of which option an error is about."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any, NoReturn

from ._words import refuse, said

LAYOUT = ("lengths", "valid", "time_axis", "class_axis")


def known(what: str, given: Iterable[str], names: Sequence[str]) -> None:
    """No options but those with the names."""
    for name in given:
        if name not in names:
            listed = ", ".join(names[:-1]) + " or " * (len(names) > 1) + "".join(names[-1:])
            near = get_close_matches(name, names, 1)
            fix = f"Write {near[0]}." if near else "Correct the name, or drop it."
            rule = f"{listed or 'no option'} for {what}"
            refuse(name, rule, "another option", fix, TypeError)


def keywords(what: str, values: Sequence[Any]) -> None:
    """Every option with its name."""
    if values:
        rule, fix = f"options of {what} with their names", "Write name=value."
        refuse("options", rule, said(values[0]), fix, TypeError)


def made_of(stage: Any, values: Sequence[Any], given: Mapping[str, Any]) -> None:
    """The options of a dataclass: those that it has, each once, and all that it must have."""
    what, own = stage.__name__, [field for field in fields(stage) if field.init]
    known(what, given, [field.name for field in own])
    first = [field.name for field in own if not field.kw_only]
    keywords(what, values[len(first) :])
    for name in first[: len(values)]:
        if name in given:
            refuse(name, f"one value for {what}", "two", "Drop one of them.", TypeError)
    for field in own:
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and field.name not in given and field.name not in first[: len(values)]:
            fix = f"Pass {field.name}."
            refuse(field.name, f"an option of {what}", "none", fix, TypeError)


def blamed(build: Callable[..., Any], options: Mapping[str, Any], refusal: Exception) -> NoReturn:
    """Raise the error of a stage, under the name of the option which alone leads to it."""
    text, error = str(refusal), type(refusal)
    lead, _, rest = text.partition(": expected ")
    rule, _, rest = rest.partition(", got ")
    got, _, fix = rest.rpartition(". ")
    if not got:  # no error of a stage
        raise refusal
    theirs = lead.partition("[")[0]
    for name, value in options.items():
        if f"{name}=" not in rule and _refusal(build, name, value) == text:
            lead = lead.replace(theirs, name, 1)
            fix = fix if name in fix else re.sub(rf"\b{theirs}\b", name, fix)
            break
    refuse(lead, rule, got, fix, error)


def _refusal(build: Callable[..., Any], name: str, value: Any) -> str | None:
    try:
        build(**{name: value})
    except (TypeError, ValueError) as error:
        return str(error)
    return None
