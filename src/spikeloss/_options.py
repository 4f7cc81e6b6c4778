"""Options, declared with the field: `tau: float = field(metadata=number(above=0.0))`.

A declaration is the metadata of the field. It holds the check of its values, which gives the plain
Python value that is kept: `Checked` in `_stage` applies it when a stage is made, `checked` to a
value that is no field.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from . import _door

Declared: TypeAlias = Mapping[str, Callable[[str, Any], Any]]
"""What stands in `field(metadata=...)`."""

CHECK = "check"


def declared(check: Callable[..., Any], **limits: Any) -> Declared:
    """An option with a check of its own, `check(name, value, **limits) -> the plain value`."""
    return {CHECK: partial(check, **limits)}


def checked(name: str, value: Any, option: Declared) -> Any:
    """The plain value of an option that is no field; an error names it so."""
    return option[CHECK](name, value)


def optional(option: Declared) -> Declared:
    """The option, or None."""
    return declared(_or_none, other=option[CHECK])


def _or_none(name: str, value: Any, other: Callable[[str, Any], Any]) -> Any:
    return None if value is None else other(name, value)


def number(**limits: float) -> Declared:
    """A finite number: `low` <= it <= `high`, it > `above`, where they are given."""
    return declared(_door.number, **limits)


def numbers() -> Declared:
    """One or more numbers, kept as a tuple of floats."""
    return declared(_door.numbers)


def integer(**limits: int) -> Declared:
    """An integer: `low` <= it <= `high`, where they are given."""
    return declared(_door.integer, **limits)


def flag() -> Declared:
    """True or False."""
    return declared(_door.flag)


def function() -> Declared:
    """A function, or another value with a call."""
    return declared(_door.function)


def choice(*names: str | int) -> Declared:
    """One of the names."""
    return declared(_door.choice, names=names)


def group() -> Declared:
    """The name of a group of processes or of an axis, or several."""
    return declared(_door.group)


def stage(base: type, example: str, words: Mapping[str, Any] | None = None) -> Declared:
    """A stage of a kind, such as `example`; `words` stand for some of them."""
    return declared(_door.stage, base=base, example=example, words=words)


def weights(each: str) -> Declared:
    """Weights of at least 0, one for each class or neuron, kept as a tuple of floats."""
    return declared(_door.weights_option, each=each)


def per_neuron() -> Declared:
    """A number of at least 0, or one for each neuron, kept as a tuple of floats."""
    return declared(_door.neuron_weights)
