"""What arrays the kernels give, as `core/spikeloss.h` says: their dtypes and shapes."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple


class Gives(NamedTuple):
    """The outputs of a kernel."""

    dtypes: str
    """Of each output: "r" for numbers in the precision of the computation, "i" for int32."""
    differs: tuple[int, ...] = (0,)
    """The outputs with a derivative."""
    keeps: tuple[int, ...] = ()
    """The outputs that the backward reads."""
    per_class: bool = True
    """Whether an output has an entry for every neuron, and not one for the sample."""


GIVES = {
    "sum": Gives("r"),
    "max": Gives("ri", keeps=(1,)),
    "lse": Gives("rr", differs=(1,), keeps=(0,)),
    "votes": Gives("r"),
    "last": Gives("ri", keeps=(1,)),
    "spikes": Gives("rri", differs=(1,), keeps=(2,)),
    "first": Gives("ri", keeps=(1,)),
    "soft": Gives("r"),
    "cross": Gives("rrii", differs=(0, 1), keeps=(2, 3)),
    "peak": Gives("rrri", differs=(1,), keeps=(3,)),
    "ce": Gives("ri", per_class=False),
    "soft_ce": Gives("r", per_class=False),
    "se": Gives("r"),
    "bce": Gives("r"),
    "poisson": Gives("r"),
    "distil": Gives("r", per_class=False),
    "train": Gives("r"),
    "trace": Gives("r"),
    "window": Gives("r"),
}

PICK = ("max", "last", "spikes", "first", "soft", "cross", "peak")
"""Those whose gradient is 0 but at few steps."""

FINITE = ("spikes", "first", "soft", "cross")
"""Those that read spikes, which have to be finite; their last option asks for that check."""


def dtypes(op: str, options: Sequence[float]) -> str:
    """Those of the outputs, as `Gives` says; labels are counted where some may be left out."""
    return "r" if op == "ce" and not options[1] else GIVES[op].dtypes


KEEPS_TIME = ("trace", "window")
"""Those that give an array of the shape of the record."""


def shape_of(op: str, shape: tuple[int, ...], options: Sequence[float]) -> tuple[int, ...]:
    """The shape of the outputs for a record (T, *B, N)."""
    if op in KEEPS_TIME:
        return shape
    _, *batch, neurons = shape
    lead = (int(options[0]),) if op == "spikes" else ()
    return (*lead, *batch, neurons if GIVES[op].per_class else 1)


def flat(shape: Sequence[int]) -> tuple[int, int, int]:
    """(T, B, N) of (T, *B, N)."""
    return shape[0], prod(shape[1:-1]), shape[-1]


def flat_strides(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, int, int] | None:
    """The strides of time, samples and neurons; None where the samples have no single one."""
    if len(shape) == 3:
        return strides[0], strides[1], strides[2]
    wanted, step = 1, 0
    for size, stride in zip(shape[-2:0:-1], strides[-2:0:-1], strict=True):
        if size == 1:
            continue
        if not step:
            step = stride
        elif stride != step * wanted:
            return None
        wanted *= size
    return strides[0], step, strides[-1]
