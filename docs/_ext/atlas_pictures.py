"""Pictures that follow the light and dark of the page.

Those of the atlas become part of it; of another, as compare.png, the twin compare-dark.png is shown
in the dark, if there is one. A page of Markdown names them as images, which other readers show as
they are.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

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


class Twins(SphinxTransform):
    """Puts dark twins beside pictures when a page is read, before its pictures are collected."""

    default_priority = 400

    def apply(self, **_: object) -> None:
        """Each picture in the light, its twin in the dark."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            path = Path(image["uri"])
            twin = path.with_stem(f"{path.stem}-dark")
            if (folder / twin).is_file():
                dark = image.copy()
                dark["uri"] = twin.as_posix()
                image["classes"].append("only-light")
                dark["classes"].append("only-dark")
                image.parent.insert(image.parent.index(image) + 1, dark)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take them in when a page is written."""
    app.add_transform(Twins)
    app.connect("doctree-resolved", _inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
