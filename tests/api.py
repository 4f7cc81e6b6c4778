"""Every public name with its signature: `python tests/api.py` writes them to tests/api.txt.

The types of arguments are left out: they say the same in other words from version to version.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(__file__).with_suffix(".txt")
MODULES = (
    "spikeloss",
    *("balance", "criteria", "diagnosis", "distances", "extend", "lab", "metrics", "penalties"),
    *("presets", "readouts", "records", "reductions", "stream", "synapses", "targets", "testing"),
    *("torch_metrics", "compat.brainpy", "compat.snntorch"),
    *("compat.snntorch.acc", "compat.snntorch.loss", "compat.snntorch.reg"),
)


def signature(value: Any) -> str:
    """The arguments, with their defaults and without their types."""
    try:
        found = inspect.signature(value)
    except ValueError:
        return ""
    bare = [each.replace(annotation=each.empty) for each in found.parameters.values()]
    said = str(found.replace(parameters=bare, return_annotation=found.empty))
    return re.sub(r" at 0x\w+", "", said)


def names(module: ModuleType) -> list[str]:
    """What a module gives to others: `__all__`, or the classes and functions that are its own."""
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    return sorted(n for n in getattr(module, "__all__", own) if not n.startswith("_"))


def members(kind: type) -> Iterator[str]:
    """Methods and attributes of a class and of its private bases, but for its fields."""
    private = [base for base in kind.__mro__[1:] if base.__name__.startswith("_")]
    held = {each.name for each in fields(kind)} if is_dataclass(kind) else set()
    held |= set(getattr(kind, "_fields", ()))
    found = {n: v for base in (*reversed(private), kind) for n, v in vars(base).items()}
    for name, value in sorted(found.items()):
        if not name.startswith("_") and name not in held:
            inner = getattr(value, "__func__", value)
            yield f"    .{name}{signature(inner) if inspect.isfunction(inner) else ''}"


def described(path: str) -> Iterator[str]:
    """The lines of a module."""
    module = import_module(path)
    yield path
    for name in names(module):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            yield f"  {name}"
            continue
        yield f"  {name}{signature(value) if callable(value) else ''}"
        if isinstance(value, type) and value.__module__.startswith("spikeloss"):
            yield from members(value)


def text() -> str:
    """The whole file."""
    paths = [path if path == "spikeloss" else f"spikeloss.{path}" for path in MODULES]
    return "".join(f"{line}\n" for path in paths for line in described(path))


if __name__ == "__main__":
    FILE.write_text(text())
