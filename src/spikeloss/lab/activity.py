"""What a network did with some samples, whatever library it was written in.

The protocol of a network, ours or the user's: called with inputs (T, B, features), it gives

- one record (T, B, N): what the objective reads; or `records.Times` (B, N), the first spikes of the
  output, in JAX; or
- a pair (spikes, membrane) of the output layer, as layers of snnTorch give it; or
- a mapping of names to records (T, B, N): `output`, its spikes or `Times`; `membrane`, its
  potential; and under any other name the spikes of a hidden layer.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from spikeloss._door._words import cut
from spikeloss.records import Times

from .errors import InputError
from .objectives import Objective

OUTPUT, MEMBRANE = "output", "membrane"
PROTOCOL = (
    "a record (T, B, N), a pair (spikes, membrane), or a mapping of names to records with "
    "`output` or `membrane`"
)


class Activity(NamedTuple):
    """Records (T, B, N) by name: `output` and `membrane` of the last layer, others are hidden.

    Times are held as (1, B, N), so that samples are on the same axis in every record.
    """

    records: dict[str, Any]

    @classmethod
    def of(cls, returned: Any) -> "Activity":
        """What a network gave, named."""
        if isinstance(returned, Mapping):
            records = dict(returned)
        elif isinstance(returned, (tuple, list)) and len(returned) == 2:
            records = {OUTPUT: returned[0], MEMBRANE: returned[1]}
        elif isinstance(returned, Times):
            records = {OUTPUT: returned}
        else:
            records = {OUTPUT: returned, MEMBRANE: returned}
        shapes = {name: tuple(getattr(x, "shape", ())) for name, x in records.items()}
        known = records.keys() & {OUTPUT, MEMBRANE}
        if not known or any(len(shape) != 3 for shape in shapes.values()):
            each = {shape: [n for n in shapes if shapes[n] == shape] for shape in shapes.values()}
            got = ", ".join(f"{', '.join(n)} of shape {shape}" for shape, n in each.items())
            fix = "Stack what the steps give, time first."
            raise InputError("--model", f"a network that gives {PROTOCOL}", got or "nothing", fix)
        return cls(records)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The names of the hidden layers."""
        return tuple(name for name in self.records if name not in (OUTPUT, MEMBRANE))

    @property
    def spiking(self) -> tuple[str, ...]:
        """The names of the layers that spike."""
        single = self.records.get(OUTPUT) is self.records.get(MEMBRANE)
        return tuple(n for n in self.records if n != MEMBRANE and not (single and n == OUTPUT))

    def record(self, reads: str) -> Any:
        """What an objective that reads "spikes" or "membrane" is given."""
        name = MEMBRANE if reads == "membrane" else OUTPUT
        if name not in self.records:
            rule = f"a network that gives {name}, as the objective reads {reads}"
            fix = "Give it, or choose an objective that reads what there is."
            raise InputError("--model", rule, ", ".join(self.records), fix)
        return given(self.records[name])

    def map(self, change: Callable[[Any], Any]) -> "Activity":
        """The same with every record changed; what is one stays one."""
        done: dict[int, Any] = {}
        for x in self.records.values():
            if id(x) not in done:
                done[id(x)] = changed(x, change)
        return Activity({name: done[id(x)] for name, x in self.records.items()})

    def each(self) -> Iterator[Any]:
        """Every record once; of times, whether they come."""
        for x in {id(x): x for x in self.records.values()}.values():
            yield np.isfinite(x.times) if isinstance(x, Times) else x


def changed(record: Any, change: Callable[[Any], Any]) -> Any:
    """A record with every array of it changed."""
    return record.map(change) if isinstance(record, Times) else change(record)


def given(record: Any) -> Any:
    """A record as a loss is given it."""
    return record.map(lambda x: x[0]) if isinstance(record, Times) else record


def joined(parts: list[Activity]) -> Activity:
    """The activity of all samples: NumPy."""
    done: dict[int, Any] = {}
    for name, x in parts[0].records.items():
        if id(x) not in done:
            done[id(x)] = _along([part.records[name] for part in parts])
    return Activity({name: done[id(x)] for name, x in parts[0].records.items()})


def _along(records: list[Any]) -> Any:
    """Records of some samples after each other: NumPy."""
    first = records[0]
    if not isinstance(first, Times):
        return np.concatenate(records, axis=1)
    times = np.concatenate([x.times for x in records], axis=1)
    maxima = [x.highest for x in records if x.highest is not None]
    return replace(first, times=times, highest=np.concatenate(maxima, axis=1) if maxima else None)


def records_of(activity: Activity, objective: Objective) -> Any:
    """What an objective is given: the record that it reads, a sum those that it names."""
    if not objective.layers:
        return activity.record(objective.reads)
    for name in objective.layers:
        if name not in activity.records:
            rule = f"layers of the network: {', '.join(activity.records)}"
            raise InputError("objective", rule, cut(repr(name)), "Name others with layers=.")
    return {name: given(activity.records[name]) for name in objective.layers}
