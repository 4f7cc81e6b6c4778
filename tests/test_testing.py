"""`spikeloss.testing.check`: our own stages pass, and wrong ones are caught, in the right words."""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import optax
import pytest
import torch
from torch import nn

from spikeloss import criteria as c
from spikeloss import penalties, presets, readouts
from spikeloss import readouts as r
from spikeloss import reductions as d
from spikeloss import targets as t
from spikeloss.criteria import Criterion, Penalty, Weighed, of_label
from spikeloss.extend import (
    Array,
    Carry,
    Decision,
    Dense,
    Labels,
    Piece,
    Steps,
    Totals,
    by_class,
    constant,
    every_step,
    namespace,
    number,
)
from spikeloss.readouts import Outline, Reading, Readout, Summary
from spikeloss.reductions import Reduction
from spikeloss.targets import Target
from spikeloss.testing import Fault, Held, check

# Ours

OURS = [
    *(r.EveryStep(), r.SumOverTime(), r.MeanOverTime(), r.Maximum(), r.LastStep(), r.Decided()),
    *(r.FirstSpike(), r.FirstSpike(code="reciprocal", silent_delay=1.0), r.SpikeTimes(count=2)),
    *(r.InterpolatedSpike(), r.WeightedSum(tau=2.5), r.Weighted(r.SumOverTime(), 2.0)),
    *(r.SoftCount(count=2), r.PeakWindow(width=3), r.LogSumExp(), r.CumulativeSoftmax()),
    *(r.MovingWindow(width=3), r.FilteredTrace(tau=1.5), r.FilteredTrace(tau=1.5, rise=1.0)),
    *(r.Population(r.SumOverTime(), classes=2), r.Temperature(r.SumOverTime(), 2.0)),
    *(r.Sigmoid(r.SumOverTime()), r.Moments(channels=2), r.SpikeCount(), r.Disagreement()),
    *(c.LogCosh(), c.ZeroInflatedPoisson(share=0.2), c.Dice(), c.EarthMover(), c.Distribution()),
    *(c.SharedKnowledge(), c.SelfDistillation(), c.CountEntropy()),
    *(r.BatchMean(r.MeanOverTime()), r.BatchPercentile(r.MeanOverTime()), r.WholeRecord()),
    *(c.CrossEntropy(), c.SquaredError(), c.SquaredError(steps_power=1, delta=0.5), c.Focal()),
    *(c.RateNLL(), c.Margin(), c.Distillation(), c.BinaryCrossEntropy(), c.PoissonNLL()),
    *(c.RelativeTime(delay=2.0), c.EarlySpike(tau=2.0), c.TimeProximity(tau=2.0)),
    *(c.Tempotron(), c.Level(), c.CTC(), c.Similarity(), c.Bounds(upper=0.1)),
    *(c.Deviation(0.2), c.Quantised()),
    *(t.Given(), t.GivenTime(), t.OnOff(), t.OnOffRate(), t.OnOffTime(), t.SpikeTrain()),
    *(t.OnOffTime((0, 1), (-1, -2)), t.StoredPattern(((0.0, 1.0, 2.0, 3.0), (1.0, 0.0, 0.0, 2.0)))),
    *(d.Mean(), d.Mean("weights"), d.Sum(), d.Each()),
]
PENALTIES = [entry.build() for entry in penalties.catalogue().values()]
WITH_TARGETS = ("triplet", "info_nce", "nearest_spike")  # labels that repeat, spikes of every step
PRESETS = [e.build() for name, e in presets.catalogue().items() if name not in WITH_TARGETS]
SURROGATES = (r.FirstSpike, r.SpikeTimes, r.SoftCount, r.Disagreement)
SURROGATES += (c.SelfDistillation, c.CountEntropy, c.DesiredCount)
IN_LOSSES = {"Triplet", "InfoNCE", "DesiredCount", "NearestSpike"}
"""What needs labels that repeat, or a readout of its own; the last but one is in `PRESETS`."""
SLOW = ("numpy", "torch", "jax")


def ours(stage: Any, libraries: tuple[str, ...]) -> Held:
    losses = stage.losses if hasattr(stage, "losses") else ()
    read = {type(part) for _, loss in losses for part in (loss.readout, loss.criterion)}
    read |= {type(stage)}
    of = {type(getattr(loss.readout, "of", None)) for _, loss in losses}
    surrogate = bool((read | of) & set(SURROGATES))
    return check(stage, libraries=libraries, derivative="own" if surrogate else "true")


@pytest.mark.parametrize("stage", [*OURS, *PENALTIES], ids=repr)
def test_ours_hold(stage: Any) -> None:
    found = ours(stage, ("numpy", "torch"))
    assert {"options", "shape", "dtype", "inputs", "libraries"} <= set(found.held)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [*OURS, *PENALTIES, *PRESETS], ids=repr)
def test_ours_hold_in_every_library(stage: Any) -> None:
    assert not set(SLOW) & set(ours(stage, SLOW).left_out)


def test_every_stage_of_ours_is_checked() -> None:
    kinds = {type(stage) for stage in OURS}
    bases = (Readout, Criterion, Target, Reduction)
    for module, base in zip((readouts, c, t, d), bases, strict=True):
        names = {
            name for name, kind in vars(module).items()
            if isinstance(kind, type) and issubclass(kind, base) and name[0] != "_"
            and not getattr(kind, "__abstractmethods__", None) and not name.startswith("Function")
        }  # fmt: skip
        assert names - IN_LOSSES <= {kind.__name__ for kind in kinds}, module.__name__


def test_what_held_is_said() -> None:
    found = check(r.MovingWindow(width=3), libraries=["numpy", "torch"])
    assert found.stage == "MovingWindow(width=3)"
    first, merge, jax = str(found).splitlines()
    assert first == (
        "MovingWindow(width=3): options, shape, dtype, inputs, gradient, libraries, parts, "
        "padding, nan, gaps, stream"
    )
    assert merge.startswith("left out: merge, loss: expected a readout of which stretches of time")
    assert jax == "left out: jax, not asked for"
    loss = presets.ce_count() + 0.5 * penalties.rate_bounds()
    assert check(loss, libraries=["numpy"]).stage == (
        "CrossEntropy of SumOverTime + Bounds(upper=0.1) of MeanOverTime"
    )


def test_adapters_are_checked() -> None:
    found = check(readouts.of(counts), libraries=["numpy", "torch"])
    assert set(found.left_out) == {"padding", "nan", "gaps", "stream", "merge", "jax", "options"}
    found = check(c.of(nn.MSELoss(reduction="none")), libraries=["numpy", "torch"])
    assert "stream" in found.held
    assert check(c.of(nn.CrossEntropyLoss(reduction="none"))).held
    with pytest.raises(
        Fault, match=r"over_the_batch\): \d properties do not hold.\n- parts. It looks at"
    ):
        check(c.of(over_the_batch), libraries=["numpy", "torch"])


@pytest.mark.slow
def test_a_function_of_optax_is_checked() -> None:
    assert "gradient" in check(c.of(optax.squared_error)).held


def counts(x: Any) -> Any:
    return x.sum(0)


def over_the_batch(z: Any, y: Any) -> Any:
    return (z - z.mean(0)) ** 2


# Wrong ones


@dataclass(frozen=True)
class NotMasked(Readout):
    """Reads padding."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = namespace(piece.like).sum(every_step(piece, self).raw, axis=0)
        z = z if carry is None else z + carry
        return z, z


@dataclass(frozen=True)
class Multiplied(Readout):
    """Multiplies by the mask."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece, xp = every_step(piece, self), namespace(piece.like)
        x = piece.raw
        if piece.valid is not None:
            x = x * xp.astype(piece.valid, x.dtype)
        z = xp.sum(x, axis=0)
        z = z if carry is None else z + carry
        return z, z


@dataclass(frozen=True)
class CountsPadding(Readout):
    """Weighs by the step of the record, not of the sample."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        piece, xp = every_step(piece, self), namespace(piece.like)
        start = 0 if carry is None else carry[1]
        steps = xp.reshape(
            xp.arange(start, start + piece.shape[0], dtype=piece.raw.dtype), (-1, 1, 1)
        )
        z = piece.sum_of(steps * piece.raw)
        z = z if carry is None else z + carry[0]
        return z, (z, start + piece.shape[0])

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        return self.read(piece, carry)[1]


@dataclass(frozen=True)
class Forgetful(Readout):
    """Forgets what came before."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = piece.sum()
        return z, z


@dataclass(frozen=True)
class JoinsWrongly(Summary):
    """Joins by the first stretch alone."""

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        z = piece.sum()
        return z if carry is None else z + carry

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return carry

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return earlier


@dataclass(frozen=True)
class CutOff(Readout):
    """Has a part without a derivative."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = piece.sum()
        z = z if carry is None else z + carry
        return z + constant(z), z


@dataclass(frozen=True)
class Promised(Readout):
    """Says that there are as many entries as neurons."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = piece.sum()
        z = z if carry is None else z + carry
        return z[..., :2], z


@dataclass(frozen=True)
class WritesInto(Readout):
    """Writes into the record."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        x = every_step(piece, self).raw
        with torch.no_grad():
            x[0, ...] = 0.0
        z = piece.sum()
        z = z if carry is None else z + carry
        return z, z


@dataclass(frozen=True)
class Doubles(Readout):
    """Mixes in numbers of double precision."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        xp, z = namespace(piece.like), piece.sum()
        z = xp.astype(z, xp.float64) * 2.0
        z = z if carry is None else z + carry
        return z, z


@dataclass(frozen=True)
class OfTorch(Readout):
    """Uses a function of torch."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = torch.relu(torch.as_tensor(piece.sum()) * 1.0)
        z = z if carry is None else z + carry
        return z, z


@dataclass(frozen=True)
class OfNumPy(Readout):
    """Differs between libraries."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = piece.sum()
        z = z if carry is None else z + carry
        return (z + 1 if isinstance(z, np.ndarray) else z), z


@dataclass(frozen=True)
class Listed(Readout):
    """Has an option that cannot be hashed."""

    widths: Any = field(default_factory=lambda: [1.0])

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        raise AssertionError


@dataclass(frozen=True)
class Hidden(Readout):
    """Has a repr that says too little, and an option that does not pickle."""

    of: Any = field(default=len, repr=False)

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = piece.sum()
        z = z if carry is None else z + carry
        return z, z


class Bare(Readout):
    """Is no dataclass."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z = piece.sum()
        z = z if carry is None else z + carry
        return z, z


@dataclass(frozen=True)
class Fails(Readout):
    """Raises an error of its own."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        raise IndexError("no such axis")


@dataclass(frozen=True)
class Flattened(Weighed):
    """Drops the last axis."""

    of_labels: ClassVar[bool] = True

    def each(self, reading: Reading, y: Array) -> Array:
        return of_label(reading.z, y)[1][..., 0]


@dataclass(frozen=True)
class OverTheBatch(Criterion):
    """Divides by what the batch holds, and does not say so."""

    def elements(self, reading: Reading, y: Array, **given: Any) -> Totals:
        xp = namespace(reading.z)
        gap = xp.mean((reading.z - y) ** 2, axis=-1, keepdims=True)
        return Totals(gap / xp.max(xp.abs(reading.z)))


@dataclass(frozen=True)
class ShapeOfThePiece(Penalty):
    """Divides what is over time by the steps of the record."""

    needs: ClassVar[bool] = True

    def each(self, reading: Reading) -> Array:
        xp = namespace(reading.z)
        return xp.mean(reading.z**2, axis=-1, keepdims=True)

    def over_time(self, piece: Dense, z: Array | None, y: Array, **given: Any) -> Totals:
        found = super().over_time(piece, z, y, **given)
        return Totals(found.value, found.weight, piece.shape[0])


@dataclass(frozen=True)
class FirstSample(Target):
    """Every sample is to do what the first one is."""

    def encode(self, target: Labels, outline: Outline) -> Array:
        y = by_class(target, outline.classes, outline.like, 1.0, 0.0)
        return y * 0 + y[:1, ...]


@dataclass(frozen=True)
class LastOnly(Reduction):
    """Takes the last sample, and has parts of all."""

    scale: float = field(default=1.0, metadata=number())

    def reduce(self, totals: Totals) -> Array:
        return self.scale * namespace(totals.value).sum(totals.value[-1, ...])

    def parts(self, totals: Totals) -> tuple[Array, Array | None]:
        return namespace(totals.value).sum(totals.value), None


WRONG: list[tuple[Any, set[str], str]] = [
    (NotMasked(), {"padding", "gaps"}, "It reads or counts steps that do not exist"),
    (Multiplied(), {"nan"}, "0 times nan is nan: choose with xp.where"),
    (CountsPadding(), {"gaps"}, "The steps before one are in piece.position."),
    (Forgetful(), {"stream"}, "the value step by step: expected"),
    (JoinsWrongly(), {"merge"}, "`merge` is to give what `reduce` gives of both stretches"),
    (CutOff(), {"gradient"}, "A part is cut off (`constant`, a comparison, rounding)"),
    (Promised(), {"value"}, "It should give a number for the record of the check."),
    (WritesInto(), {"inputs"}, "the record after a call"),
    (Doubles(), {"dtype"}, "the decision of a float32 record: expected float32, got float64."),
    (OfTorch(), {"libraries"}, "use `namespace(x)` and the names of extend"),
    (OfNumPy(), {"libraries"}, "the value in numpy, against torch: expected"),
    (Listed(), {"options"}, "hash: expected a number, got unhashable type: 'list'."),
    (Hidden(of=lambda x: x), {"options"}, "pickle: expected Hidden()"),
    (Bare(), {"options"}, "expected a frozen dataclass"),
    (Fails(), {"value"}, "a call: expected none, got IndexError: no such axis."),
    (Flattened(), {"shape"}, "Keep the last axis, of length 1, as keepdims=True does."),
    (OverTheBatch(), {"parts"}, "It looks at other samples: keep each by itself, or say `couples`"),
    (ShapeOfThePiece(), {"padding"}, "the value of 5 of 6 steps, after EveryStep(): expected"),
    (FirstSample(), {"parts"}, "the loss of micro-batches: expected"),
    (LastOnly(), {"parts"}, "the loss of micro-batches: expected"),
]


@pytest.mark.parametrize(("stage", "properties", "said"), WRONG, ids=lambda x: type(x).__name__)
def test_what_is_wrong_is_said(stage: Any, properties: set[str], said: str) -> None:
    with pytest.raises(Fault) as raised:
        check(stage, libraries=["numpy", "torch"])
    fault = raised.value
    assert {each.property for each in fault.findings} >= properties
    assert said in str(fault)
    name = type(stage).__name__
    assert str(fault).startswith(name)
    assert {each.stage.partition("(")[0] for each in fault.findings} == {name}
    lines = str(fault).splitlines()[1:]
    assert len(lines) == len(fault.findings) + len({each.property for each in fault.findings})
    assert all(re.fullmatch(r"- \w+\. .+\.|    .+: expected .+, got .+\.", each) for each in lines)
