"""Every row of docs/parity.md, against the installed peer and against numbers made by hand."""

import runpy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parity import ABSENT, DIFFERENCES, KEPT, Case, Raises, Section, check, load

DOCS = Path(__file__).parents[1] / "docs"


def _cases() -> Iterator[Any]:
    for section in (*DIFFERENCES, *KEPT):
        for row in section.rows:
            for k, case in enumerate(row.cases):
                yield pytest.param(section, case, id=f"{row.number}-{k}")


def _answer(case: Case, module: str) -> Any:
    try:
        return case.run(load(module))
    except Exception as error:
        return error


@pytest.mark.parametrize(("section", "case"), list(_cases()))
def test_both_numbers(section: Section, case: Case) -> None:
    if case.theirs is not ABSENT:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the peer warns of is its own matter
            theirs = _answer(case, section.peer.theirs)
        check(theirs, case.theirs)
    check(_answer(case, section.peer.ours), case.ours)


def test_every_difference_has_a_row() -> None:
    rows = [row for section in DIFFERENCES for row in section.rows]
    assert sorted(int(row.number) for row in rows) == list(range(1, 36))
    for row in rows:
        assert any(case.theirs is not ABSENT for case in row.cases), row.number


def test_the_numbers_are_of_the_installed_peers() -> None:
    for peer in {section.peer for section in (*DIFFERENCES, *KEPT)}:
        assert peer.installed == peer.version, f"{peer.name}: run the rows again, then say so"


def test_the_page_is_up_to_date() -> None:
    make = runpy.run_path(str(DOCS / "make_parity.py"))
    written = (DOCS / "parity.md").read_text(encoding="utf-8")
    assert make["filled"](written) == written, "Run python docs/make_parity.py."


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (1.0, 1.001),
        ([1.0], 1.0),
        ((1,), ()),
        (True, False),
        ("float32", "float64"),
        (1.0, Raises(ValueError)),
        (TypeError("x: expected y, got z."), Raises(ValueError)),
        (ValueError("x: expected y, got z."), Raises(ValueError, "y")),
        (ValueError("x: expected y, got z."), Raises(ValueError, says="w")),
    ],
)
def test_a_wrong_answer_is_noticed(result: Any, expected: Any) -> None:
    with pytest.raises(AssertionError):
        check(result, expected)
