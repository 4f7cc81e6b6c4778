"""The records of the atlas, the same for every objective, and what a loss may want as target.

25 steps of 3 neurons, the first of which is the right one. A spike is at the steps below; a
membrane is the trace of the spikes; logits are their number. So what an objective reads says which
records it is shown on, and a new one needs none of its own.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeloss.criteria import Distillation, PoissonNLL
from spikeloss.loss import Loss, Total
from spikeloss.targets import Given, GivenTime

Floats = NDArray[np.float64]
T, N = 25, 3
GOOD, LATE, SILENT = "a good answer", "a late one", "silence"
WRONG, TIE, JUNK = "a wrong one", "a tie", "a tail of junk"
OFTEN = (2, 5, 8, 11, 14, 17, 20)
SPIKES: dict[str, tuple[tuple[int, ...], ...]] = {
    GOOD: (OFTEN, (18,), ()),
    LATE: ((18, 20, 22, 24), (23,), ()),
    SILENT: ((), (), ()),
    WRONG: ((18,), OFTEN, ()),
    TIE: (OFTEN, OFTEN, ()),
    JUNK: ((1, 3, 5, 7, 15), (11, 12, 14, 15, 16, 18, 19, 20, 21, 23, 24), (13, 16, 17, 19, 22)),
}
"""The steps at which the neurons fire, the right one first."""
TAU, HEIGHT = 3.0, 0.8
"""Steps in which a membrane falls to 1/e, and how far a spike lifts it; 1 is the threshold."""
PER_SPIKE = 0.25
"""What a spike adds to a logit."""


def kind_of(loss: Loss | Total) -> str:
    """What of the records a loss is shown on: "spikes", "membrane" or "logits"."""
    main = loss.main
    if main.readout.timeless:
        return "logits"
    if main.reads in ("spikes", "membrane"):
        return main.reads
    spiking = main.readout.in_steps or main.readout.keeps == "spikes" or main.target.of_record
    return "spikes" if spiking else "membrane"


def example(name: str, kind: str) -> Floats:
    """One of the records as (T, N); logits as (1, N)."""
    spikes: Floats = np.zeros((T, N))
    for neuron, steps in enumerate(SPIKES[name]):
        spikes[list(steps), neuron] = 1
    if kind == "spikes":
        return spikes
    if kind == "logits":
        count: Floats = PER_SPIKE * spikes.sum(axis=0, keepdims=True)
        return count
    trace, level = np.zeros((T, N)), np.zeros(N)
    for step in range(T):
        level = level * np.exp(-1 / TAU) + HEIGHT * spikes[step]
        trace[step] = level
    return trace


def examples(kind: str) -> dict[str, Floats]:
    """All of them, by name; of logits those that differ without time."""
    names = [name for name in SPIKES if kind != "logits" or name not in (LATE, JUNK)]
    return {name: example(name, kind) for name in names}


def right_of(loss: Loss | Total) -> int | None:
    """The neuron that should answer: the first that is not the blank; None: every one alike."""
    if loss.main.criterion.targetless:
        return None
    return 1 if getattr(loss.main.criterion, "blank", None) == 0 else 0


def targets(loss: Loss | Total, kind: str) -> Iterator[Any]:
    """What a loss may want to be given for one sample, the likeliest first."""
    main, right, shape = loss.main, right_of(loss) or 0, (1, N)
    if main.criterion.targetless:
        yield None
    answer = ordered(example(GOOD, "spikes" if main.target.of_record else kind), right)
    if main.target.of_record:
        yield answer[:, None]
    if isinstance(main.target, GivenTime):
        yield np.where(np.arange(N) == right, 2.0, T - 1.0)[None]
    if loss.of_labels:
        yield np.array([right])
    elif main.readout.keeps == "time" and not isinstance(main.criterion, Distillation):
        counts = isinstance(main.criterion, PoissonNLL) or not isinstance(main.target, Given)
        yield ordered(example(GOOD, "spikes" if counts else kind), right)[:, None]
    if main.criterion.of_sequence:
        yield np.array([[right]])
    yield np.eye(N)[right].reshape(shape)
    yield answer[:, None]
    yield np.zeros(shape, int)


def ordered(record: Floats, right: int | None) -> Floats:
    """A record (T, N) whose first neuron is in the place of the right one."""
    return np.roll(record, right or 0, axis=-1) if right else record
