"""Pictures of the atlas become part of the page, so that they follow its light and dark.

A page of Markdown names them as images, which other readers show as they are.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from spikeloss.lab.sheets.drawing import rules

FOLDER = "images/atlas/"
THEMES = "".join(rules(theme, f"body[data-theme={theme}] svg.atlas") for theme in ("light", "dark"))
"""Where the reader has chosen, it is that and not the system's choice."""


def _inline(app: Sphinx, doctree: nodes.document, name: str) -> None:
    if app.builder.format != "html":
        return
    found = [image for image in doctree.findall(nodes.image) if FOLDER in image["uri"]]
    for image in found:
        text = (Path(app.srcdir) / image["uri"]).read_text(encoding="utf-8")
        image.replace_self(nodes.raw("", text, format="html"))
    if found:
        doctree.insert(0, nodes.raw("", f"<style>{THEMES}</style>", format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Take them in when a page is written."""
    app.connect("doctree-resolved", _inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
