"""Names of the user's own code on the command line, `package.module:name`."""

import importlib
import sys
from pathlib import Path
from typing import Any

from spikeloss._door._words import cut

from .errors import InputError


def names_code(text: str) -> bool:
    """Whether a text names something in a module, and not a file or one of ours."""
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and all(map(str.isidentifier, module.split(".")))


def imported(text: str, argument: str) -> Any:
    """What `package.module:name` names; modules of the current directory are found first.

    It is the user's own code, named by the user, and importing it runs it.
    """
    module, _, name = text.partition(":")
    rule, fix = "package.module:name of importable code", "Run it where the module lies."
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except Exception as wrong:  # whatever the user's module raises
        why = f"{type(wrong).__name__}: {cut(str(wrong))}"
        raise InputError(argument, rule, f"{text} ({why})", fix) from wrong
    if not hasattr(found, name):
        known = ", ".join(key for key in vars(found) if not key.startswith("_"))
        fix = f"Choose one of: {cut(known)}." if known else fix
        raise InputError(argument, rule, f"{text}, which {module} does not have", fix)
    return getattr(found, name)
