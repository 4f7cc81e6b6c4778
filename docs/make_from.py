"""Write the tables of docs/from/*.md from the rows that the tests run.

python docs/make_from.py

Those of snnTorch and BrainPy are some of docs/parity.md.
"""

import re
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from migrants import PAGES, Page, Same, calls  # noqa: E402
from parity import DIFFERENCES  # noqa: E402

FILES = sorted((HERE / "from").glob("*.md"))
_PARITY = runpy.run_path(str(HERE / "make_parity.py"))
_PLACE = re.compile(r"(% begin (same|changes|parity( \d+)+)\n).*?(% end\n)", re.DOTALL)


def filled(name: str, text: str) -> str:
    """A page with its tables between the comments that mark their place."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{_table(name, place[2])}\n{place[4]}", text)


def _table(name: str, of: str) -> str:
    kind, *numbers = of.split()
    if kind == "parity":
        return _of_parity({int(number) for number in numbers})
    return _same(PAGES[name]) if kind == "same" else _changes(PAGES[name])


def _same(page: Page) -> str:
    rows = [(_theirs(page, row), f"`{_ours(row)}`", row.said) for row in page.same]
    return _lines((page.name, "spikeloss", f"{page.name} gives"), rows)


def _theirs(page: Page, row: Same) -> str:
    """A call, with what it is called with only where the page does not say that."""
    if row.shown:
        return row.shown
    return f"`{calls(page, row)[0] if row.given and row.told else row.theirs}`"


def _ours(row: Same) -> str:
    return re.sub(r"\b(?:readouts|targets|balance)\.(?=\w)", "", row.ours)


def _changes(page: Page) -> str:
    rows = [(change.what, *map(_answer, change.numbers)) for change in page.changes]
    return _lines(("", page.name, "spikeloss"), rows)


def _answer(number: Any) -> str:
    return str(_PARITY["_answer"](number))


def _of_parity(numbers: set[int]) -> str:
    """Some rows of docs/parity.md, which are about one package."""
    sections = [
        section for section in DIFFERENCES if numbers & {row.number for row in section.rows}
    ]
    (name,) = {section.peer.name for section in sections}
    rows = [
        (f"**{row.title}**", "", "") if case is None else
        (case.call, _PARITY["_answer"](case.theirs), _PARITY["_answer"](case.ours))
        for section in sections
        for row in section.rows
        if row.number in numbers
        for case in (None, *row.cases)
    ]  # fmt: skip
    return _lines(("", name, "spikeloss"), rows)


def _lines(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [tuple(head), ("---", "---", "---"), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    for file in FILES:
        old = file.read_text(encoding="utf-8")
        file.write_text(filled(file.stem, old), encoding="utf-8")
