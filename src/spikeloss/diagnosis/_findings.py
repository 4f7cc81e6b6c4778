"""What is found, and the words for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Finding(NamedTuple):
    """One reason why a network may not learn."""

    name: str
    """In two or three words, as in "silent neurons"."""
    found: str
    """What was found, with its numbers."""
    fix: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.name}: {self.found}\n    {self.fix}"


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` returns: its findings, the gravest first; as text, a line or two for each.

    It is a sequence of them, and false where nothing was found.

    Args:
        findings: what was found.
        left_out: what could not be looked at, and why.
    """

    findings: tuple[Finding, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the findings."""
        return tuple(each.name for each in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        lines = [*map(str, self.findings)] or ["nothing found"]
        return "\n".join(lines + [f"left out: {each}" for each in self.left_out])


def many(part: int, whole: int) -> bool:
    """More than 1 of 10, and not a single one of several."""
    return 10 * part > whole and (part > 1 or whole == 1)


def several(count: int, noun: str) -> str:
    """As in "1 sample" and "4 samples"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def share(part: int, whole: int, noun: str) -> str:
    """As in "3 of 4 samples", "all 4 samples"."""
    if part == whole:
        return f"all {several(whole, noun)}" if whole > 1 else f"the one {noun}"
    return f"{part} of {several(whole, noun)}"


def percent(part: float) -> str:
    """As in "25 %"; what is neither none nor all never looks so."""
    if 0 < part < 0.01:
        return "less than 1 %"
    return f"{min(round(100 * part), 99 if part < 1 else 100)} %"


def few(numbers: Sequence[int]) -> str:
    """The first of them, and how many others there are."""
    shown, others = ", ".join(map(str, numbers[:8])), len(numbers) - 8
    return f"{shown} and {several(others, 'other')}" if others > 0 else shown


def verb(count: int, one: str, more: str) -> str:
    """As in "1 sample fires" and "4 samples fire"."""
    return one if count == 1 else more
