"""What every stage and every loss is: a value made of options that it has."""

from abc import ABCMeta
from collections.abc import Callable, Mapping
from dataclasses import Field
from typing import TYPE_CHECKING, Any, ClassVar

from . import _door
from ._options import CHECK

Checks = Mapping[str, Callable[[str, Any], Any]]


class Stage(ABCMeta):
    """A class whose options are checked, by name and by value, when a value of it is made."""

    def __new__(
        meta, name: str, bases: tuple[type, ...], inside: dict[str, Any], **rest: Any
    ) -> "Stage":
        cls = super().__new__(meta, name, bases, inside, **rest)
        if "_checks" not in inside:  # a dataclass with slots is made twice
            cls._checks = _checks(cls, inside)  # type: ignore[attr-defined]
        return cls

    if not TYPE_CHECKING:  # pyright would take every stage for what this returns

        def __call__(cls, *values, **options):
            if hasattr(cls, "__dataclass_fields__"):
                _door.made_of(cls, values, options)
            return super().__call__(*values, **options)

    @property
    def __signature__(cls) -> Any:
        """How a value is made: by its own options."""
        from inspect import signature

        found = signature(type.__getattribute__(cls, "__init__"))
        return found.replace(parameters=list(found.parameters.values())[1:])


def _checks(cls: type, inside: Mapping[str, Any]) -> Checks:
    """The check of every field that declares one, in the order of a dataclass's fields."""
    found: dict[str, Any] = {}
    for base in cls.__mro__[:0:-1]:
        found |= vars(base).get("_checks", {})
    for name, value in inside.items():
        if isinstance(value, Field) and CHECK in value.metadata:
            found[name] = value.metadata[CHECK]
        else:
            found.pop(name, None)
    return found


class Checked(metaclass=Stage):
    """A frozen dataclass whose fields say what they may hold, `field(metadata=number(low=0.0))`.

    The plain Python values are kept. A class with checks across fields has a `__post_init__` that
    calls this one first.
    """

    _checks: ClassVar[Checks]

    def __post_init__(self) -> None:
        for name, check in self._checks.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
