"""What every stage and every loss is: a value made of options that it has."""

from abc import ABCMeta
from typing import Any

from . import _door


class Stage(ABCMeta):
    """A class whose options are checked by name when a value of it is made."""

    def __call__(cls, *values: Any, **options: Any) -> Any:
        if hasattr(cls, "__dataclass_fields__"):
            _door.made_of(cls, values, options)
        return super().__call__(*values, **options)
