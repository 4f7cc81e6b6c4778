"""Which stages the kernels stand for, and the composed forms that are their truth.

A kernel takes a record x (T, *B, N), for criteria what y it is compared with, and lengths (*B, 1)
or None; it gives the arrays that `core/spikeloss.h` names. `composed` gives the same by the
stages themselves: derivatives that a kernel has not are those of the composed form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from spikeloss._backend import kind, namespace
from spikeloss._piece import Dense, Spikes
from spikeloss._shapes import Array, Carry
from spikeloss._sums import Sum
from spikeloss.criteria import (
    BinaryCrossEntropy,
    Criterion,
    CrossEntropy,
    Distillation,
    PoissonNLL,
    SquaredError,
)
from spikeloss.readouts import (
    CumulativeSoftmax,
    FilteredTrace,
    FirstSpike,
    InterpolatedSpike,
    LastStep,
    LogSumExp,
    Maximum,
    MeanOverTime,
    MovingWindow,
    PeakWindow,
    Readout,
    SoftCount,
    SpikeTimes,
    SumOverTime,
    WeightedSum,
)

Options: TypeAlias = tuple[float, ...]
Outputs: TypeAlias = tuple[Array | None, ...]
"""What a kernel gives; of the composed form None for what is no number."""


@dataclass(frozen=True)
class Kernel:
    """A kernel with the options of the stage that it stands for."""

    op: str
    options: Options = ()

    def composed(self, x: Array, y: Array | None, lengths: Array | None) -> Outputs:
        """What the kernel gives, from the stages, with all their derivatives."""
        if kind(x) != "float":
            x = namespace(x).astype(x, namespace(x).float32)
        piece = Dense(x, x.dtype, lengths=lengths)
        if self.op in _READ:
            return _READ[self.op].outputs(self.stage.reduce(piece, None))
        if self.op in _DECIDE:
            return (self.stage.read(piece, None)[0], None)
        if self.op in _TRACE:
            return (piece.masked(self.stage.read(piece, None)[0]),)
        if self.op == "train":
            piece = piece.replaced(source=x - y)
            z, _ = FilteredTrace(tau=self.options[0]).read(piece, None)
            return (SquaredError().over_time(piece, z, namespace(z).zeros_like(z)).value,)
        label = y if self.op == "ce" else None
        return (self.stage.over_time(piece, None, y, label=label).value, None)

    @property
    def stage(self) -> Any:
        """A stage with the formula of the kernel."""
        if self.op in _READ:
            return _READ[self.op].stage(*self.options)
        return (_DECIDE | _TRACE | _COMPARE)[self.op](*self.options)

    def carry(self, out: Outputs) -> Carry:
        """What a readout carries after the record, from what the kernel gives."""
        return _READ[self.op].carry(out)


class _Read(NamedTuple):
    """A kernel of a readout that keeps no time."""

    stage: Callable[..., Readout]
    carry: Callable[[Any], Carry]
    """What the kernel gives as what the readout carries."""
    outputs: Callable[[Any], Outputs]
    """The other way."""


_READ = {
    "sum": _Read(
        lambda tau: WeightedSum(tau=tau) if tau else SumOverTime(),
        lambda out: Sum(out[0]),
        lambda carry: (carry.value,),
    ),
    "max": _Read(Maximum, lambda out: out[0], lambda carry: (carry, None)),
    "lse": _Read(
        lambda k: LogSumExp(sharpness=k),
        lambda out: (out[0], Sum(out[1])),
        lambda carry: (carry[0], carry[1].value),
    ),
    "votes": _Read(CumulativeSoftmax, lambda out: Sum(out[0]), lambda carry: (carry.value,)),
    "last": _Read(LastStep, lambda out: out[0], lambda carry: (carry, None)),
    "spikes": _Read(
        lambda count, check=0.0: SpikeTimes(count=int(count)),
        lambda out: Spikes(out[0], out[1]),
        lambda carry: (*carry, None),
    ),
    "cross": _Read(  # the last membrane is for a piece that follows
        lambda h, check=0.0: InterpolatedSpike(threshold=h),
        lambda out: (out[0], out[1], None),
        lambda carry: (*carry[:2], None, None),
    ),
    "peak": _Read(
        lambda width: PeakWindow(width=int(width)),
        lambda out: out[:3],
        lambda carry: (*carry, None),
    ),
}

_DECIDE: dict[str, Callable[..., Readout]] = {  # of a whole record, after which nothing comes
    "first": lambda sign, delay, check=0.0: FirstSpike(
        code="negative" if sign < 0 else "time", silent_delay=delay
    ),
    "soft": lambda count, tau, latency, check=0.0: SoftCount(
        count=int(count), tau=tau, latency=latency
    ),
}

_TRACE: dict[str, Callable[..., Readout]] = {
    "trace": lambda tau, order, rise: FilteredTrace(tau=tau, order=int(order), rise=rise or None),
    "window": lambda width: MovingWindow(width=int(width)),
}

_COMPARE: dict[str, Callable[..., Criterion]] = {
    "ce": lambda e, ignores, label: CrossEntropy(
        label_smoothing=e, ignore_index=int(label) if ignores else None
    ),
    "soft_ce": lambda e: CrossEntropy(label_smoothing=e),
    "se": lambda tolerance, delta: SquaredError(tolerance=tolerance, delta=delta or None),
    "bce": lambda slope, threshold: BinaryCrossEntropy(slope=slope, threshold=threshold),
    "poisson": PoissonNLL,
    "distil": lambda temperature: Distillation(temperature=temperature),
}

READOUTS: dict[type, Callable[[Any], Kernel | None]] = {
    SumOverTime: lambda readout: Kernel("sum", (0.0,)),
    MeanOverTime: lambda readout: Kernel("sum", (0.0,)),
    WeightedSum: lambda readout: (
        Kernel("sum", (readout.tau,)) if readout.shape == "exponential" else None
    ),
    Maximum: lambda readout: Kernel("max"),
    LogSumExp: lambda readout: Kernel("lse", (readout.sharpness,)),
    CumulativeSoftmax: lambda readout: Kernel("votes"),
    LastStep: lambda readout: Kernel("last"),
    FirstSpike: lambda readout: Kernel("spikes", (1.0,)),
    SpikeTimes: lambda readout: Kernel("spikes", (float(readout.count),)),
    SoftCount: lambda readout: Kernel("spikes", (float(readout.count),)),
    InterpolatedSpike: lambda readout: Kernel("cross", (readout.threshold,)),
    PeakWindow: lambda readout: Kernel("peak", (float(readout.width),)),
    FilteredTrace: lambda readout: Kernel(
        "trace", (readout.tau, float(readout.order), readout.rise or 0.0)
    ),
    MovingWindow: lambda readout: Kernel("window", (float(readout.width),)),
}

TIMED = (FilteredTrace, MovingWindow)
"""Those that keep time."""

CRITERIA: dict[type, Callable[[Any], Kernel]] = {
    CrossEntropy: lambda of: Kernel(
        "ce",
        (of.label_smoothing, float(of.ignore_index is not None), float(of.ignore_index or 0)),
    ),
    SquaredError: lambda of: Kernel("se", (of.tolerance, of.delta or 0.0)),
    BinaryCrossEntropy: lambda of: Kernel("bce", (of.slope, of.threshold)),
    PoissonNLL: lambda of: Kernel("poisson"),
    Distillation: lambda of: Kernel("distil", (of.temperature,)),
}


def of_readout(readout: Readout) -> Kernel | None:
    """The kernel of what a readout reduces a record to; of one around others, of the innermost."""
    while type(readout) not in READOUTS:
        if not hasattr(readout, "of"):
            return None
        readout = readout.of
    return READOUTS[type(readout)](readout)


def of_criterion(criterion: Criterion) -> Kernel | None:
    """The kernel of the totals of a criterion of every step."""
    known = CRITERIA.get(type(criterion))
    return None if known is None else known(criterion)
