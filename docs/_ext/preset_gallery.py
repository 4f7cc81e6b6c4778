"""The directive `presets`: every preset of the catalogue, as a table and with all its facts.

Made from `spikeloss.presets.catalogue()` when the pages are built, so that a new preset needs no
edit here.
"""

import re
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from spikeloss.presets import Preset, catalogue


def expression(value: Any) -> str:
    """A stage or a loss as one writes it: options that have their default are left out."""
    if not is_dataclass(value):
        return repr(value)
    options = [
        expression(given) if _positional(field) else f"{field.name}={expression(given)}"
        for field in fields(value)
        if (given := getattr(value, field.name)) != _default(field) and field.name != "reads"
    ]
    return f"{type(value).__name__}({', '.join(options)})"


def _positional(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def facts(preset: Preset) -> dict[str, str]:
    """What to know of a preset beside its docstring."""
    return {
        "Reads": preset.reads,
        "Decides": preset.decides,
        "Stages": f"``{expression(preset.build())}``",
        "Source": re.sub(r"^(\w)\.", r"\1\.", preset.source),  # an initial is no list
    }


class Presets(SphinxDirective):
    """The gallery."""

    def run(self) -> list[nodes.Node]:
        """A table with links, then every preset."""
        lines = [".. list-table::", "   :header-rows: 1", "   :class: presets", ""]
        for row in (("preset", "minimises", "decides"), *map(_row, catalogue().values())):
            lines += [f"   {'*' if index == 0 else ' '} - {cell}" for index, cell in enumerate(row)]
        lines.append("")
        for name in catalogue():
            lines += [f".. autofunction:: spikeloss.presets.{name}", ""]
        return self.parse_content_to_nodes_from(lines)

    def parse_content_to_nodes_from(self, lines: list[str]) -> list[nodes.Node]:
        """Parse reStructuredText that stands in no file."""
        self.content = StringList(lines, source="spikeloss.presets.catalogue()")
        return self.parse_content_to_nodes()


def _row(preset: Preset) -> tuple[str, ...]:
    link = f":py:func:`~spikeloss.presets.{preset.name}`"
    return link, f"``{preset.formula}``", preset.decides


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    preset = catalogue().get(name.rpartition(".")[2])
    if preset and name.startswith("spikeloss.presets."):
        lines[: lines.index("")] = [f"``{preset.formula}``"]
        lines += ["", *(f":{key}: {value}" for key, value in facts(preset).items()), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive; the facts follow each preset's own text."""
    app.add_directive("presets", Presets)
    app.connect("autodoc-process-docstring", _docstring, priority=900)
    return {"parallel_read_safe": True}
