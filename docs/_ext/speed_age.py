"""The directive `speed-age`: whether the code has changed since the page's rows were measured.

Told when the pages are built, so that a page of speeds says it of itself.
"""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import rows


def ages(folder: Path = rows.RESULTS) -> list[tuple[str, bool]]:
    """A sentence on every file of speeds, and whether it is older than the code."""
    now, found = rows.fingerprint(), []
    for _, read in rows.files(folder):
        first, old = read[0], bool(rows.stale(read, now))
        since = "code has changed since" if old else "its code is that of these pages"
        threads = f"{first.threads} thread{'s' * (first.threads > 1)}"
        text = f"{first.device}, {threads}: measured at commit {first.commit}; {since}."
        found.append((text, old))
    return found


class SpeedAge(SphinxDirective):
    """A line for every file of rows; a warning where one is old."""

    def run(self) -> list[nodes.Node]:
        for path in (*rows.measured(), *rows.RESULTS.glob("speed-*.csv")):
            self.env.note_dependency(str(path))
        return [
            (nodes.warning if old else nodes.note)("", nodes.paragraph(text=text))
            for text, old in ages()
        ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known to Sphinx."""
    app.add_directive("speed-age", SpeedAge)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
