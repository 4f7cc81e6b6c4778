"""What a shell completes: names of objectives, also behind a + or a factor, and of a recipe."""

import re
from collections.abc import Callable

from .families import FAMILIES, SUM
from .objectives import every

BEFORE = re.compile(r"(?:.*\+\s*)?(?:[\d.eE+-]+\*)?", re.DOTALL)
"""What stands before the name that is being written."""


def objective(incomplete: str) -> list[tuple[str, str]]:
    """Objectives, and in a sum penalties too, each with its formula."""
    found = BEFORE.match(incomplete)
    before = found.group() if found else ""
    known = every()
    last = incomplete[len(before) :]
    return [(before + name, x.formula) for name, x in known.items() if name.startswith(last)]


def search(incomplete: str) -> list[tuple[str, str]]:
    """Families, then names."""
    families = [*FAMILIES.items(), (SUM, "several terms")]
    return [each for each in families if each[0].startswith(incomplete)] + objective(incomplete)


def among(names: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Some names."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]
