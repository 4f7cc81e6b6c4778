"""The directive `presets`: every preset or penalty, as a table and with all its facts.

Made from `catalogue()` of `spikeloss.presets` or, with the argument `penalties`, of that module,
when the pages are built, so that a new one needs no edit here.
"""

import re
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from formulas import role
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from spikeloss import Total, penalties, presets
from spikeloss.presets import Preset

MODULES = {"presets": presets, "penalties": penalties}


def expression(value: Any) -> str:
    """A stage or a loss as one writes it: options that have their default are left out."""
    if isinstance(value, Total):
        return " + ".join(f"{factor:g} * {expression(loss)}" for factor, loss in value.terms)
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
    decides = {} if preset.name in penalties.catalogue() else {"Decides": preset.decides}
    return {
        "Reads": preset.reads,
        **decides,
        "Stages": f"``{expression(preset.build())}``",
        "Seen": f"`in the atlas <../atlas.html#{preset.name.replace('_', '-')}>`__",
        "Source": re.sub(r"^(\w)\.", r"\1\.", preset.source),  # an initial is no list
    }


class Presets(SphinxDirective):
    """The gallery."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """A table with links, then every preset."""
        module = self.arguments[0] if self.arguments else "presets"
        catalogue = MODULES[module].catalogue()
        head = ("preset", "minimises", "decides") if module == "presets" else ("penalty", "is")
        widths = "20 50 30" if module == "presets" else "25 75"
        lines = [".. list-table::", "   :header-rows: 1", "   :class: presets"]
        lines += [f"   :widths: {widths}", ""]
        for row in (head, *(_row(module, preset)[: len(head)] for preset in catalogue.values())):
            lines += [f"   {'*' if index == 0 else ' '} - {cell}" for index, cell in enumerate(row)]
        lines.append("")
        for name in catalogue:
            lines += [f".. autofunction:: spikeloss.{module}.{name}", ""]
        return self.parse_content_to_nodes_from(lines)

    def parse_content_to_nodes_from(self, lines: list[str]) -> list[nodes.Node]:
        """Parse reStructuredText that stands in no file."""
        self.content = StringList(lines, source="catalogue()")
        return self.parse_content_to_nodes()


def _row(module: str, preset: Preset) -> tuple[str, ...]:
    link = f":py:func:`~spikeloss.{module}.{preset.name}`"
    return link, role(preset.formula), preset.decides


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    *_, module, function = name.split(".")
    preset = MODULES[module].catalogue().get(function) if module in MODULES else None
    if preset:
        lines[: lines.index("")] = [role(preset.formula)]
        lines += ["", *(f":{key}: {value}" for key, value in facts(preset).items()), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive; the facts follow each preset's own text."""
    app.add_directive("presets", Presets)
    app.connect("autodoc-process-docstring", _docstring, priority=900)
    return {"parallel_read_safe": True}
