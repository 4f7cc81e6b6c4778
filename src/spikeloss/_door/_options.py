"""Checks of options, when a stage or a loss is made; each gives the plain value."""

import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from spikeloss._backend import concrete, is_array, listed, unwrap

from ._words import cut, refuse, said

LARGE = 2**15


def number(argument: str, value: Any, *, low: float = -math.inf, above: float = -math.inf,
           high: float = math.inf) -> int | float:  # fmt: skip
    """A finite real number with low <= value <= high and value > above, as int or float.

    A large integer becomes a float: libraries of arrays take those of 32 bits, and formulas square.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, Real)):
        refuse(argument, "a number", said(value), f"Pass {argument} as int or float.", TypeError)
    plain = int(value) if isinstance(value, (int, Integral)) else float(value)
    if LARGE < abs(plain) <= sys.float_info.max:
        plain = float(plain)
    if abs(plain) <= sys.float_info.max and low <= plain <= high and plain > above:
        return plain
    if high < math.inf:
        rule, fix = f"a number from {low:g} to {high:g}", f"{low:g} <= {argument} <= {high:g}"
    elif above > -math.inf:
        rule, fix = f"a finite number above {above:g}", f"{argument} > {above:g}"
    elif low > -math.inf:
        rule, fix = f"a finite number of at least {low:g}", f"{argument} >= {low:g}"
    else:
        rule, fix = "a finite number", f"a finite {argument}"
    refuse(argument, rule, said(plain), f"Choose {fix}.")


def integer(argument: str, value: Any, *, low: int | None = None, high: int | None = None) -> int:
    """An integer, at least `low` and at most `high`, as int."""
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        refuse(argument, "an integer", said(value), f"Pass {argument} as int.", TypeError)
    if low is not None and value < low:
        rule = f"an integer of at least {low}"
        refuse(argument, rule, int(value), f"Choose {argument} >= {low}.")
    if high is not None and int(value) > high:
        rule = f"an integer of at most {high}"
        refuse(argument, rule, int(value), f"Choose {argument} <= {high}.")
    return int(value)


def integers(argument: str, value: Any, count: int) -> tuple[int, ...]:
    """So many integers of at least 1."""
    if not isinstance(value, (tuple, list)) or len(value) != count:
        fix = "Pass a tuple of integers."
        refuse(argument, f"{count} integers", cut(repr(value)), fix, TypeError)
    return tuple(integer(f"{argument}[{i}]", each, low=1) for i, each in enumerate(value))


def flag(argument: str, value: Any) -> bool:
    """True or False."""
    return bool(choice(argument, value, (True, False)))


def choice(argument: str, value: Any, names: Sequence[str | int]) -> Any:
    """The one of the names that equals the value."""
    with suppress(KeyError, TypeError):  # TypeError: what cannot be hashed is no name
        return {name: name for name in names}[value]
    listed = ", ".join(repr(name) for name in names[:-1]) + f" or {names[-1]!r}"
    refuse(argument, listed, said(value), f"Write {argument}={names[0]!r}.")


def stage(
    argument: str, value: Any, base: type, example: str, words: Mapping[str, Any] | None = None
) -> Any:
    """An instance of a kind of stage, or what one of the words stands for."""
    if isinstance(value, base):
        return value
    words = words or {}
    if isinstance(value, str) and value in words:
        return words[value]
    near = get_close_matches(value, words, 1) if isinstance(value, str) else []
    fix = f"Choose one from spikeloss.{example.partition('.')[0]}."
    if near:
        fix = f"Write {argument}={near[0]!r}."
    elif isinstance(value, type) and issubclass(value, base):
        fix = f"Make one, as in {example}."
    kind = f"a {base.__name__.lower()} such as {example}"
    rule = f"{', '.join(map(repr, words))} or {kind}" if words else kind
    refuse(argument, rule, said(value), fix, TypeError)


def plain(value: Any) -> Any:
    """An array that has values as nested lists of numbers, anything else as it is."""
    return listed(unwrap(value)) if is_array(value) and concrete(value) else value


def group(argument: str, value: Any) -> str | tuple[str, ...]:
    """The name of a group of processes or of an axis, or several."""
    names = (value,) if isinstance(value, str) else value
    if isinstance(names, (tuple, list)) and names and all(isinstance(x, str) for x in names):
        return value if isinstance(value, str) else tuple(value)
    rule, fix = "the name of a group of processes or of an axis", f"Write {argument}='world'."
    refuse(argument, rule, said(value), fix, TypeError)


def numbers(argument: str, value: Any) -> tuple[float, ...]:
    """One or more numbers, as a tuple of floats."""
    value = plain(value)
    if not isinstance(value, (tuple, list)) or not value:
        fix = "Pass a tuple, as in (0.0, 1.0)."
        refuse(argument, "one or more numbers", cut(repr(value)), fix, TypeError)
    return tuple(float(number(f"{argument}[{i}]", each)) for i, each in enumerate(value))


def neuron_weights(argument: str, weights: Any) -> float | tuple[float, ...]:
    """A number of at least 0, or one for each neuron."""
    if isinstance(weights, Real):
        return number(argument, weights, low=0.0)
    return weights_option(argument, weights, each="neuron")


def weights_option(argument: str, weights: Any, each: str = "class") -> tuple[float, ...]:
    """Weights, a sequence or an array, as a tuple of floats."""
    if is_array(weights):
        if not concrete(weights):
            fix = "Pass it when the loss is called."
            refuse(argument, "numbers", "an array without values", fix, TypeError)
        weights = listed(unwrap(weights))
    if isinstance(weights, (str, bytes)) or not isinstance(weights, Sequence):
        fix = f"Pass one number per {each}, as in (1.0, 2.0, 0.5)."
        refuse(argument, "a sequence of numbers", said(weights), fix, TypeError)
    entries = enumerate(weights)
    return tuple(float(number(f"{argument}[{i}]", weight, low=0.0)) for i, weight in entries)
