"""The page of what is here and what is not: every name exists, every absence has a reason."""

import re
from pathlib import Path

import pytest

from spikeloss import (
    balance,
    criteria,
    distances,
    metrics,
    penalties,
    presets,
    readouts,
    synapses,
    targets,
)
from spikeloss.compat import snntorch

PAGE = Path(__file__).parent.parent / "docs" / "catalogue.md"
if not PAGE.exists():
    pytest.skip("docs/ is not part of this distribution", allow_module_level=True)
ROWS = [
    (what.strip(), here.strip())
    for what, here in re.findall(r"^\| (.+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    if here not in ("here", "---")
]
PRESENT = [row for row in ROWS if not row[1].startswith("absent")]
ABSENT = [row for row in ROWS if row[1].startswith("absent")]
OURS = (readouts, criteria, targets, presets, penalties, synapses, balance, metrics, distances)
PLACES = (*OURS, snntorch)


@pytest.mark.parametrize(("what", "here"), PRESENT)
def test_what_is_here_exists(what: str, here: str) -> None:
    names = re.findall(r"`(\w+)`", here)
    assert names
    for name in names:
        assert any(hasattr(place, name) for place in PLACES), f"{what}: no {name}"


@pytest.mark.parametrize(("what", "why"), ABSENT)
def test_what_is_absent_has_a_reason(what: str, why: str) -> None:
    assert re.fullmatch(r"absent: \w.{20,}", why)


def test_everything_is_on_the_page() -> None:
    text = PAGE.read_text()
    for module in OURS:
        for name, value in vars(module).items():
            public = not name.startswith("_") and name not in OF_THE_STAGES
            if public and callable(value) and value.__module__ == module.__name__:
                assert f"`{name}`" in text or name == "Decided", f"{module.__name__}.{name}"


OF_THE_STAGES = {"Readout", "Reading", "Outline", "Summary", "Criterion", "Weighed", "Penalty",
                 "of_label", "Target", "Preset", "preset", "Options", "Unweighed", "catalogue",
                 "Judge", "FunctionCriterion",
                 "FunctionReadout", "of"}  # fmt: skip


def test_count() -> None:
    print(f"\ncatalogue: {len(PRESENT)} rows present, {len(ABSENT)} absent")
    assert PRESENT
    assert len(ROWS) > 40
