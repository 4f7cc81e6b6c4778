"""Write the tables of docs/parity.md from the rows that tests/test_parity.py runs.

python docs/make_parity.py
"""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from parity import ABSENT, DIFFERENCES, KEPT, Raises, Row, Section  # noqa: E402

PAGE = HERE / "parity.md"


def tables(sections: Iterable[Section]) -> str:
    """A heading and a table per section."""
    return "\n".join(_table(section) for section in sections)


def filled(page: str) -> str:
    """The page with its tables between the comments that mark their place."""
    for name, sections in (("differences", DIFFERENCES), ("kept", KEPT)):
        begin, end = f"% begin {name}\n", f"% end {name}\n"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{tables(sections)}\n{end}{after}"
    return page


def _table(section: Section) -> str:
    peer = f"{section.peer.name} {section.peer.version}"
    head = f"### {section.title}\n\n| | | {peer} | spikeloss |\n| --- | --- | --- | --- |\n"
    return head + "".join(line for row in section.rows for line in _lines(row))


def _lines(row: Row) -> Iterable[str]:
    yield f"| **{row.number}** | **{row.title}** | | |\n"
    for case in row.cases:
        yield f"| | {case.call} | {_answer(case.theirs)} | {_answer(case.ours)} |\n"


def _answer(answer: Any) -> str:
    if answer is ABSENT:
        return "none"
    if isinstance(answer, Raises):
        words = answer.about or answer.says
        return f"`{answer.error.__name__}{': ' if words else ''}{words}`"
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return f"`{answer}`" if isinstance(answer, str | tuple) else f"`{_numbers(answer)}`"


def _numbers(values: Any) -> str:
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, list):
        return f"[{', '.join(map(_numbers, values))}]"
    return str(values) if math.isnan(values) else f"{values + 0.0:.4g}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
