"""Properties that are computed once."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

_T = TypeVar("_T")


class once(Generic[_T]):  # noqa: N801  # it is written as `property` is
    """As `functools.cached_property`, but without a lock, so that compilers can follow it."""

    def __init__(self, of: Callable[[Any], _T]) -> None:
        self.of, self.__doc__ = of, of.__doc__
        self.name = of.__name__

    @overload
    def __get__(self, owner: None, kind: type) -> "once[_T]": ...
    @overload
    def __get__(self, owner: object, kind: type) -> _T: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self
        found = self.of(owner)
        object.__setattr__(owner, self.name, found)  # which is found before this
        return found
