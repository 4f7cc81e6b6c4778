"""What data a comparison is about, in plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeloss.lab.errors import InputError

Value = int | float | str | bool
ENCODINGS = ("current", "rate", "latency", "delta")


@dataclass(frozen=True)
class DataRecipe:
    """Which samples a network sees, and how: everything that `load` depends on.

    Args:
        source: A known name, the path of a file (.npz, .npy, .h5, .hdf5), or
            "package.module:function".
        steps: T; None means the source's own.
        encoding: "current", "rate", "latency" or "delta"; None means the source's own.
        folder: Where event sets lie, as tonic lays them out.
        test: A second file that holds the test samples; None means the split of the source, or
            every fifth sample where it has none.
        options: Those of the source and of the encoding, as pairs or as a mapping; kept sorted.
        memory: GiB that the samples may take.
    """

    source: str = "digits"
    steps: int | None = None
    encoding: str | None = None
    folder: str | None = None
    test: str | None = None
    options: tuple[tuple[str, Value], ...] = ()
    memory: float = 4.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", _pairs(self.options))
        if self.steps is not None and (not _whole(self.steps) or self.steps < 1):
            raise InputError("--steps", "a whole number of at least 1", self.steps, "Drop it.")
        if self.encoding is not None and self.encoding not in ENCODINGS:
            rule = " or ".join(ENCODINGS)
            raise InputError("encoding", rule, repr(self.encoding), "Name one of these.")
        if not (isinstance(self.memory, (int, float)) and 0 < self.memory < 2**30):
            rule = "GiB, a number above 0"
            raise InputError("memory", rule, repr(self.memory), "Try 4.")

    @property
    def bytes(self) -> int:
        """What the samples may take."""
        return int(self.memory * 2**30)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pairs(options: Any) -> tuple[tuple[str, Value], ...]:
    """Options sorted by name, whether they came as pairs, as lists of JSON, or as a table."""
    rule, fix = "pairs of a name and a plain value", "Write name = value, each name once."
    given = options.items() if isinstance(options, Mapping) else options
    try:
        pairs = [(name, value) for name, value in given]
    except (TypeError, ValueError):
        raise InputError("options", rule, repr(options), fix) from None
    for pair in pairs:
        if not isinstance(pair[0], str) or not isinstance(pair[1], Value):
            raise InputError("options", rule, repr(pair), fix)
    if len({name for name, _ in pairs}) < len(pairs):
        raise InputError("options", rule, "a name twice", fix)
    return tuple(sorted(pairs, key=lambda pair: pair[0]))
