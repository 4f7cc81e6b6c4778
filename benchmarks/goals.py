"""The goals of speed as data, and what rows say of them.

A goal says for which measurements of ours a number is judged, what the number is, and at most how
large it may be. All numbers are ratios of shortest times of the same turns. Where other
computations are the measure, `NOISE` is allowed: by as much the same lines differ from themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from objectives import CE, FIRST, LARGE, MAXIMUM, MIDDLE, OBJECTIVES, SE, SMALL, SUM, TRACE
from peers import HAND, LOOPED, OPTAX, SNNTORCH, SPIKINGJELLY
from rows import Row
from timing import GRADIENT, VALUE

OURS, UNIFORM = "kernel", "uniform"
NOISE = 0.02
DOUBT = 0.1
"""Whoever is this near to a goal is measured again."""
CORES = 2
"""Threads with which copies of the record are the measure."""
FAMILIES = (CE, SE, MAXIMUM, FIRST, TRACE, SUM)
COPIES = dict(zip(FAMILIES, (1.8, 1.5, 1.0, 0.7, 1.8), strict=False))
FRESH_COPIES = dict(zip(FAMILIES, (0.5, 0.4, 0.35, 0.25, 0.55, 0.15), strict=True))
FLOORS = dict(zip(FAMILIES, (1.2, 1.2, 1.6, 1.8, 1.2, 1.1), strict=True))
FASTER = {CE: 300.0, SE: 350.0, MAXIMUM: 8.0, FIRST: 250.0, SUM: 1.2}
READS, CALL = 1.1, 0.08
"""Of sums: times `record.sum(0)`, and milliseconds on top."""
VALUES_FASTER, OPTAX_FASTER, PADDED_SUMS = 5.0, 5.0, 1.5
NAMED = tuple(name for name in OBJECTIVES if name not in ("ce_mean", "mse_mean", "cross_entropy"))
"""What the table of goals names; the others are judged against their peers alone."""

CALLS = "calls: 45 µs of Python and PyTorch's nodes when hot, twice that beside a backward pass"
SUMS = "calls, 45 to 100 µs: labels are checked, and some nodes come after PyTorch's own `sum(0)`"
MEMORY = "memory, of which a kernel takes most; in PyTorch calls, 0.2 to 0.5 ms from cold caches"
CHECKS = "calls, 0.1 to 0.2 ms: labels are checked, and each sample has its own total"
XLA = "labels that cannot be checked become nan, and a kernel is a foreign call for XLA"
IN_THE_WAY = {
    "copies": MEMORY,
    "copies into fresh memory": "pages of the gradient, which the system clears first",
    "copies with lengths": "the gradient is no longer constant over time, and is written",
    "lengths not slower than none": "calls: lengths are checked, counted and divided by",
    f"{READS} sum(0) + {1e3 * CALL:g} µs": SUMS,
    "1.2 times faster than snnTorch": SUMS,
    f"{OPTAX_FASTER:g} times faster than optax": MEMORY,
}
"""What stands in the way, kept by hand, by the words of a goal; of small records it is `CALLS`."""


@dataclass(frozen=True)
class Verdict:
    """One number that is judged."""

    goal: str
    row: Row
    number: float
    most: float
    noise: float = 0.0
    faster: bool = False
    """Whether it reads better upside down: how many times faster, at least."""

    @property
    def over(self) -> float:
        """By which share the goal is missed; negative where it is met."""
        return self.number / (self.most * (1 + self.noise)) - 1

    @property
    def missed(self) -> bool:
        return self.over > 0

    @property
    def in_doubt(self) -> bool:
        """Whether more turns could change the outcome."""
        return abs(self.over) < DOUBT

    @property
    def in_the_way(self) -> str:
        if self.row.library != "torch":
            return IN_THE_WAY.get(self.goal, XLA)
        if SMALL[0] * SMALL[1] * SMALL[2] >= self.row.T * self.row.B * self.row.N:
            return CALLS
        if _family(self.row) == SUM and self.goal.startswith("not slower"):
            return SUMS
        of_snntorch = "times faster than snnTorch" in self.goal
        return IN_THE_WAY.get(self.goal, MEMORY if of_snntorch else CHECKS)


Others = dict[tuple[str, str, str], Row]
"""The rows of a cell by provider, mode and lengths."""


def judge(rows: Iterable[Row]) -> list[Verdict]:
    """All verdicts, of the rows of one file or of one cell."""
    cells: dict[object, Others] = {}
    for row in rows:
        cells.setdefault(row.cell, {})[row.provider, row.mode, row.lengths] = row
    return [
        verdict
        for others in cells.values()
        for row in others.values()
        if row.provider == OURS
        for goal in GOALS
        for verdict in goal(row, others)
    ]


def missed(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [each for each in verdicts if each.missed]


# ---- against copies


def _family(row: Row) -> str:
    return OBJECTIVES[row.objective].family


def _in_table(row: Row) -> bool:
    return (row.library, row.mode, row.lengths, row.threads) == ("torch", GRADIENT, "", CORES) and (
        row.objective in NAMED
    )


def copies(row: Row, _: Others) -> Iterator[Verdict]:
    """Of (250, 256, 35), where a sum need not write a gradient of the record's size."""
    if not _in_table(row) or row.size != MIDDLE:
        return
    if _family(row) == SUM:
        number = row.minimum / (READS * row.read + CALL)
        yield Verdict(f"{READS} sum(0) + {1e3 * CALL:g} µs", row, number, 1.0)
    else:
        yield Verdict("copies", row, row.minimum / row.copy_fresh, COPIES[_family(row)])


def fresh_copies(row: Row, _: Others) -> Iterator[Verdict]:
    if _in_table(row) and row.size == LARGE:
        most = FRESH_COPIES[_family(row)]
        yield Verdict("copies into fresh memory", row, row.minimum / row.copy_fresh, most)


def floors(row: Row, _: Others) -> Iterator[Verdict]:
    """Of small records, in units of the least that a loss on a decision takes."""
    if _in_table(row) and row.size == SMALL:
        yield Verdict(
            "calls of F.cross_entropy", row, row.minimum / row.floor, FLOORS[_family(row)]
        )


# ---- against others


def _slower(goal: str, row: Row, other: Row | None, faster: float, noise: float = 0.0) -> Verdict:
    """The share of the other's time that is ours; at most 1 / faster."""
    assert other is not None
    return Verdict(goal, row, row.minimum / other.minimum, 1 / faster, noise, faster=True)


def snntorch(row: Row, others: Others) -> Iterator[Verdict]:
    other = others.get((SNNTORCH, row.mode, ""))
    if other is None or row.lengths:
        return
    if _in_table(row) and row.size == MIDDLE and _family(row) in FASTER:
        faster = FASTER[_family(row)]
        yield _slower(f"{faster:g} times faster than snnTorch", row, other, faster)
    if row.mode == VALUE and row.objective in LOOPED:
        goal = f"value {VALUES_FASTER:g} times faster than snnTorch"
        yield _slower(goal, row, other, VALUES_FASTER)


def peers(row: Row, others: Others) -> Iterator[Verdict]:
    """No objective is slower than another's, at any size."""
    for name in (SNNTORCH, HAND, SPIKINGJELLY, OPTAX):
        other = others.get((name, row.mode, ""))
        if other is not None and not row.lengths:
            yield _slower(f"not slower than {name}", row, other, 1.0, NOISE)


def optax(row: Row, others: Others) -> Iterator[Verdict]:
    at = (row.objective, row.size, row.mode, row.lengths)
    if row.library == "jax" and at == ("ce_rate", MIDDLE, GRADIENT, ""):
        other = others.get((OPTAX, row.mode, ""))
        yield _slower(f"{OPTAX_FASTER:g} times faster than optax", row, other, OPTAX_FASTER)


def lengths(row: Row, others: Others) -> Iterator[Verdict]:
    """Half of the steps on average; sums, which read little, where the record is large."""
    if row.library != "torch" or row.lengths != UNIFORM or row.mode != GRADIENT:
        return
    if _family(row) == SUM:
        if row.size in (MIDDLE, LARGE):
            number = row.minimum / row.copy_fresh
            yield Verdict("copies with lengths", row, number, PADDED_SUMS)
    elif other := others.get((OURS, row.mode, "")):
        yield _slower("lengths not slower than none", row, other, 1.0, NOISE)


GOALS: Sequence[Callable[[Row, Others], Iterator[Verdict]]] = (
    copies, fresh_copies, floors, snntorch, peers, optax, lengths,
)  # fmt: skip


# ---- the table


HEAD = ("goal", "objective", "library", "size", "of", "is", "goal", "missed by", "in the way")


def table(verdicts: Sequence[Verdict]) -> str:
    """What is missed, by how much, and what stands in the way, as a table in Markdown."""
    wrong = sorted(missed(verdicts), key=lambda each: -each.over)
    if not wrong:
        return f"All {len(verdicts)} goals are met.\n"
    lines = [HEAD, ["---"] * len(HEAD), *map(_cells, wrong)]
    shown = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return (
        f"{len(wrong)} of {len(verdicts)} goals are missed, by so much of the time allowed.\n\n"
        f"{shown}\n"
    )


def _cells(each: Verdict) -> tuple[str, ...]:
    row, number, bound = each.row, each.number, f"at most {each.most:.3g}"
    if each.faster:
        number, bound = 1 / number, f"at least {1 / each.most:.3g}"
    return (
        each.goal, f"`{row.objective}`", row.library, size_of(row), row.mode, f"{number:.3g}",
        bound, f"{100 * each.over:.3g} %", each.in_the_way,
    )  # fmt: skip


def size_of(row: Row) -> str:
    """T, B, N, and C where it is another number."""
    return ", ".join(map(str, (row.T, row.B, row.N))) + (f" in {row.C}" if row.C != row.N else "")
