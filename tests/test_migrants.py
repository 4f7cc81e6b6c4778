"""Every row of the pages docs/from: what others compute, by their formulas, beside ours."""

import runpy
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libraries import same
from migrants import PAGES, Change, Page, Same, calls, value
from migrants.packages import PACKAGES

DOCS = Path(__file__).parents[1] / "docs"
SAMES = [
    pytest.param(page, row, id=f"{page.file}-{k}")
    for page in PAGES.values()
    for k, row in enumerate(page.same)
]
CHANGES = [
    pytest.param(page, row, id=f"{page.file}-{k}")
    for page in PAGES.values()
    for k, row in enumerate(page.changes)
]


@pytest.mark.parametrize(("page", "row"), SAMES)
def test_a_call_of_theirs_is_one_of_ours(page: Page, row: Same) -> None:
    theirs, ours = (value(page, call) for call in calls(page, row))
    factor = value(page, row.factor)
    assert np.any(np.abs(theirs) > 1e-6), "the record does not tell"
    same(np.asarray(factor * ours, np.float32), np.asarray(theirs), "float32")


@pytest.mark.parametrize(("page", "row"), CHANGES)
def test_both_numbers(page: Page, row: Change) -> None:
    found: Any = [value(page, row.theirs), value(page, row.ours)]
    for each, number in zip(found, row.numbers, strict=True):
        if isinstance(number, str):
            assert each == number
            continue
        np.testing.assert_allclose(each, number, rtol=5e-6, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGES)
def test_a_formula_is_what_the_package_computes(name: str) -> None:
    """Of packages in examples/requirements.txt: every row's call of theirs, in value."""
    pytest.importorskip(name)
    page = PAGES[name]
    assert not callable(page.formulas)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages' own
        real = replace(page, formulas={**page.formulas, **PACKAGES[name]()})
        for row in page.same:
            formula, theirs = (value(each, calls(page, row)[0]) for each in (page, real))
            same(np.asarray(formula, np.float32), np.asarray(theirs, np.float32), "float32")
        for change in page.changes:
            formula, theirs = (value(each, change.theirs) for each in (page, real))
            if not isinstance(formula, str):
                np.testing.assert_allclose(theirs, formula, rtol=1e-5, err_msg=change.what)


def test_the_pages_are_up_to_date() -> None:
    make = runpy.run_path(str(DOCS / "make_from.py"))
    for file in make["FILES"]:
        written = file.read_text(encoding="utf-8")
        assert make["filled"](file.stem, written) == written, "Run python docs/make_from.py."
