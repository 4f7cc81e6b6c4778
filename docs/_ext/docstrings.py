"""Docstrings as they are written in the source -> reStructuredText for autodoc.

They are plain text with `names` in backticks and formulas such as (T, *B, N), |e| and f(z)_c, whose
signs mean something else in reStructuredText. Examples (>>>) stay as they are.
"""

import re
from typing import Any

from formulas import leading, role
from sphinx.application import Sphinx

SHAPE = re.compile(r"[~\w.]*Annotated\[[^\]]*\]")
UNPACK = re.compile(r": [~\w.]*Unpack\[[^\]]*\]")
CODE = re.compile(r"(`[^`]*`)")
SIGN = re.compile(r"([*|]|_(?!\w)|\\)")
SECTION = re.compile(r"(Args|Returns|Raises):$")
"""What follows is indented, and no code."""
LAMBDA = re.compile(r"<function [^<>]*<lambda>>")
LETTER = re.compile(r"(^\s*|: )\((\w)\) ")  # would start a list

_ATTRIBUTES: dict[str, list[str]] = {}


def escape(lines: list[str]) -> list[str]:
    """The lines with the signs of formulas escaped, outside of examples and names."""
    escaped, example = [], False
    for line in lines:
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        escaped.append(line if example else _prose(line))
    return escaped


def _prose(line: str) -> str:
    parts = (part if CODE.match(part) else SIGN.sub(r"\\\1", part) for part in CODE.split(line))
    return LETTER.sub(r"\1\\(\2) ", "".join(parts))


def literal(lines: list[str]) -> list[str]:
    """The lines with indented code, and pipelines drawn with arrows, as they stand."""
    blocks = [block.splitlines() for block in "\n".join(lines).strip("\n").split("\n\n")]
    return [line for block in blocks for line in (*_drawn(block), "")]


def _drawn(block: list[str]) -> list[str]:
    drawn = "-->" in "".join(block) or all(line.startswith("    ") for line in block)
    return ["::", "", *("    " + line for line in block)] if drawn else escape(block)


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    formula, rest = "", ""
    if what in ("class", "function") and lines:
        formula, rest = leading(lines[0])
    end = next((place for place, line in enumerate(lines) if SECTION.match(line)), len(lines))
    lines[:] = [*literal(lines[:end]), *escape(lines[end:])]
    if formula:
        lines[0] = role(formula) + _prose(rest)
    if what in ("attribute", "property"):
        _ATTRIBUTES[name] = list(lines)


def _attribute(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Undo what napoleon makes of "the mask; None: all", which is no type with a description."""
    if name in _ATTRIBUTES:
        lines[:] = _ATTRIBUTES[name]


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: Any
) -> tuple[str | None, str | None]:
    """Arrays by their name: their shapes are in the text."""
    return _short(signature), _short(returns)


def _short(part: str | None) -> str | None:
    return part and LAMBDA.sub("...", UNPACK.sub("", SHAPE.sub("Array", part)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Run before napoleon, which turns sections such as Args into lists."""
    app.connect("autodoc-process-docstring", _docstring, priority=100)
    app.connect("autodoc-process-docstring", _attribute, priority=900)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}
