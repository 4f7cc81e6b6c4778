"""The options that sources and encodings declare, and the check of what a user gave."""

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple

from spikeloss._door._words import cut
from spikeloss.lab.errors import InputError

from .recipe import Value


class Option(NamedTuple):
    """An option, its default (whose type is its type), what it means, and its limits."""

    name: str
    default: Value
    about: str
    least: float = -math.inf
    most: float = math.inf


def settle(known: Iterable[Option], given: dict[str, Value], whose: str) -> dict[str, Any]:
    """Every option of `whose` with its value; refuses an unknown one, and one out of its limits."""
    table = {option.name: option for option in known}
    for name in given:
        if name not in table:
            raise unknown(name, list(table), whose)
    return {name: _value(option, given.get(name, option.default)) for name, option in table.items()}


def unknown(name: str, names: list[str], whose: str) -> InputError:
    """The refusal of a name that is no option, with the nearest one."""
    rule = f"options of {whose}: {', '.join(names)}" if names else f"none, as {whose} has none"
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    fix = f"Did you mean {near[0]}?" if near else "Drop it."
    return InputError("options", rule, cut(repr(name)), fix)


def _value(option: Option, value: Value) -> Value:
    kind = type(option.default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    fits = type(value) is kind
    if fits and isinstance(value, (int, float)):
        fits = option.least <= value <= option.most
    if not fits:
        rule = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}[kind]
        if kind in (int, float):
            rule += f" from {option.least:g}" if option.least > -math.inf else ""
            rule += f" to {option.most:g}" if option.most < math.inf else ""
        got, fix = cut(repr(value)), f"Its default is {option.default!r}."
        raise InputError(option.name, rule, got, fix)
    return value
