"""Sheets as one page that stands for itself."""

from collections.abc import Sequence
from html import escape

from . import drawing
from .sheet import Sheet


def _page(theme: str) -> str:
    colours = drawing.COLOURS[theme]
    return f"body{{background:{colours['paper']};color:{colours['ink']}}}"


STYLE = f":root{{color-scheme:light dark}}{_page('light')}"
STYLE += f"@media(prefers-color-scheme:dark){{{_page('dark')}}}"
STYLE += """
body{margin:0 auto;max-width:76rem;padding:1rem;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(22rem,100%),1fr));gap:2rem}
section{break-inside:avoid}h2{font:600 1rem ui-monospace,Menlo,Consolas,monospace;
overflow-wrap:anywhere}figure{margin:0}svg{display:block;width:100%}
dt{font-weight:600;font-size:.85rem}dd{margin:0 0 .3rem;font-size:.9rem}"""


def page(sheets: Sequence[Sheet], title: str = "Atlas of objectives") -> str:
    """An HTML page of some sheets."""
    parts = [
        f"<section><h2>{escape(sheet.name)}</h2>{drawing.figure(sheet)}</section>"
        for sheet in sheets
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1><main>{''.join(parts)}</main></html>\n"
    )
