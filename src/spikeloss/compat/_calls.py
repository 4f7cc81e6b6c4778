"""What the drop-ins do to a call: whole floats become labels, errors use the peer's names."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from spikeloss._backend import as_index, checks_values, is_array, kind, namespace, unwrap
from spikeloss._door import refuse

_P = ParamSpec("_P")
_R = TypeVar("_R")

_NO_CLASS = 2**31 - 1
_FORM = re.compile(r"\w+(\[\d+\])?: expected ")
_IN_CODE = r"\b(?=\.\w|\[|\)|=| [-<>]| as (?:int|float))"


def axes(x: Any) -> int:
    """How many axes a record or a target has; 0 for what does not say."""
    return len(getattr(x, "shape", ()))


def labels(targets: Any, *label_axes: int) -> Any:
    """Whole floating numbers with as many axes as labels have, as integers; else as they are.

    Where values cannot be read, a fraction becomes a label that no class has.
    """
    if not is_array(targets) or axes(targets) not in label_axes:
        return targets
    y = unwrap(targets)
    if kind(y) not in ("float", "half"):
        return targets
    xp = namespace(y)
    whole = (y == xp.floor(y)) & (xp.abs(y) < _NO_CLASS)
    if checks_values(y, whole) and not bool(xp.all(whole)):
        fix = "Round them, or pass a probability for every class."
        refuse("targets", "whole numbers as class labels", f"{float(y[~whole][0]):g}", fix)
    return xp.where(whole, as_index(xp.where(whole, y, 0)), _NO_CLASS)


def speaks(names: Mapping[str, str]) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Errors of a call name the arguments of the peer; `names`: ours, or a pattern, to theirs."""

    def around(call: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(call)
        def said(*args: _P.args, **options: _P.kwargs) -> _R:
            try:
                return call(*args, **options)
            except (TypeError, ValueError) as error:
                error.args = (_renamed(str(error), names),)
                raise

        return said

    return around


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """An error of this library with an argument renamed where it leads, and where it is code."""
    if not _FORM.match(text):
        return text
    for ours, theirs in names.items():
        pattern = rf"^{ours}\b|\b{ours}{_IN_CODE}" if ours.isidentifier() else ours
        text = re.sub(pattern, theirs, text)
    return text
