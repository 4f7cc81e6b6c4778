"""One row per public name and per option of it, and the records that every row runs on.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes, F=2 spikes: no two axes are equal. A new loss is
one row in CASES, and its oracle: the objective that `oracles.py` computes is read off the loss.

    for case in CASES:
        for fixture in case.fixtures:
            record, target = case.record_of(fixture), case.target_of(fixture)
            value, grad = expected(case, fixture)
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

import numpy as np
import oracles
from libraries import Array, rounded
from oracles import Objective, Stage

from spikeloss import Loss, presets
from spikeloss.criteria import (
    BinaryCrossEntropy,
    Bounds,
    CountEntropy,
    CrossEntropy,
    DesiredCount,
    Deviation,
    Distillation,
    EarlySpike,
    Focal,
    Level,
    LogCosh,
    Margin,
    PoissonNLL,
    Quantised,
    RateNLL,
    RelativeTime,
    SquaredError,
    Tempotron,
    TimeProximity,
    ZeroInflatedPoisson,
)
from spikeloss.readouts import (
    CumulativeSoftmax,
    Decided,
    EveryStep,
    FilteredTrace,
    FirstSpike,
    InterpolatedSpike,
    LastStep,
    LogSumExp,
    Maximum,
    MeanOverTime,
    MovingWindow,
    PeakWindow,
    Population,
    Readout,
    Sigmoid,
    SoftCount,
    SpikeCount,
    SpikeTimes,
    SumOverTime,
    Temperature,
    Weighted,
    WeightedSum,
)
from spikeloss.reductions import Each, Mean, Reduction, Sum
from spikeloss.targets import Given, GivenTime, OnOff, OnOffRate, OnOffTime

T, B, N, C, F = 7, 5, 6, 3, 2
LENGTHS = np.array([4, 7, 1, 6, 3])
SAMPLE_WEIGHT = np.array([0.5, 2.0, 0.0, 1.5, 3.0])
CLASS_WEIGHT = (0.5, 2.0, 3.0, 0.0, 1.0, 1.5)  # of N neurons

Kind = Literal["spikes", "membrane", "logits"]
TargetKind = Literal[
    "labels",  # (B,)
    "step_labels",  # (T,B)
    "probabilities",  # (B,C)
    "step_probabilities",  # (T,B,C)
    "values",  # (B,C)
    "step_values",  # (T,B,C)
    "neuron_times",  # (N,)
    "times",  # (B,N)
    "spike_times",  # (F,B,N)
]

FIXTURES = (
    "random",
    "silent",
    "always_firing",
    "tied",
    "one_step",
    "one_class",
    "one_sample",
    "amplitude",
)


@cache
def records(kind: Kind) -> dict[str, Array]:
    """The fixtures of a kind of record, float64: (T,B,N), for logits (B,N)."""
    rng = np.random.default_rng(11)
    made = {"spikes": _spikes, "membrane": _membranes, "logits": _membranes}[kind](rng)
    made |= {
        "silent": np.zeros((T, B, N)),
        "always_firing": np.ones((T, B, N)),
        "one_step": made["random"][2:3],
        "one_class": made["random"][..., 4:5],
        "one_sample": made["random"][:, 1:2],
    }
    if kind == "logits":
        made = {name: record[0] for name, record in made.items() if name != "one_step"}
    for record in made.values():
        record.flags.writeable = False
    return made


def _spikes(rng: np.random.Generator) -> dict[str, Array]:
    random = (rng.random((T, B, N)) < 0.35).astype(np.float64)
    random[:, 0, 0] = 0  # a silent neuron,
    random[-1, 1, 3], random[:-1, 1, 3] = 1, 0  # and one that is not
    tied = np.zeros((T, B, N))
    tied[2] = tied[4] = 1
    amplitude = random * np.asarray([0.5, -1.5, 3.0, 0.25, -0.125, 2.0])
    return {"random": random, "tied": tied, "amplitude": amplitude}


def _membranes(rng: np.random.Generator) -> dict[str, Array]:
    random = rng.normal(size=(T, B, N))
    tied = random.copy()
    tied[2] = tied[5] = 3.0  # in time, and between classes
    return {"random": random, "tied": tied, "amplitude": 30 * random}


@dataclass(frozen=True)
class Case:
    """A loss, and what it reads."""

    name: str
    loss: Loss
    record: Kind = "spikes"
    target: TargetKind = "labels"
    least_steps: int = 1
    """The shortest sample in which every target time exists."""
    preset: tuple[str, tuple[tuple[str, Any], ...]] | None = None
    """The name and the options of a preset, which has an oracle of its own."""

    @property
    def timeless(self) -> bool:
        return self.record == "logits"

    @property
    def objective(self) -> Objective:
        """The objective of the oracles: written there for a preset, else read off the loss."""
        return self._preset_oracle[0] if self.preset else objective(self.loss)

    @property
    def readout(self) -> str:
        """The name of the readout."""
        return type(self.loss.readout).__name__

    @property
    def reduction(self) -> str:
        """The reduction of the oracles: samples, weights, sum or none."""
        usual = self.preset is not None and "reduction" not in dict(self.preset[1])
        return self._preset_oracle[1] if usual else reduction(self.loss.reduction)

    @property
    def _preset_oracle(self) -> tuple[Objective, str]:
        name, options = self.preset or ("", ())
        own = {key: value for key, value in options if key not in ("reduction", "class_weight")}
        return oracles.PRESETS[name](**own)

    @property
    def lengths(self) -> Array:
        """Valid steps of the B samples, (B,)."""
        return np.maximum(LENGTHS, self.least_steps)

    @property
    def fixtures(self) -> tuple[str, ...]:
        """The names of the records that this loss can take."""
        return tuple(name for name in records(self.record) if self.fits(name))

    def fits(self, fixture: str) -> bool:
        record = self.record_of(fixture)
        if not self.timeless and len(record) < self.least_steps:
            return False
        if isinstance(self.loss.criterion, RateNLL) and np.any(record < 0):
            return False
        if isinstance(self.loss.target, OnOffRate) and fixture == "amplitude":
            return False
        grouped = record.shape[-1] % (self.groups or 1) == 0
        weights, each = self.loss.class_weight, self._of_readouts("weights")
        if isinstance(each, tuple) and len(each) != record.shape[-1]:
            return False
        return grouped and (weights is None or len(weights) == self.classes(fixture))

    @property
    def groups(self) -> int | None:
        """C of a population, None without one."""
        return self._of_readouts("classes")

    @property
    def count(self) -> int | None:
        """F of spike times, None for other readouts."""
        return self._of_readouts("count")

    def _of_readouts(self, option: str) -> Any:
        """An option of the readout, or of one inside it."""
        readout: Any = self.loss.readout
        while not hasattr(readout, option) and hasattr(readout, "of"):
            readout = readout.of
        return getattr(readout, option, None)

    def classes(self, fixture: str = "random") -> int:
        """C of the decision."""
        return self.groups or self.record_of(fixture).shape[-1]

    def record_of(self, fixture: str = "random") -> Array:
        return records(self.record)[fixture]

    def target_of(self, fixture: str = "random") -> Array:
        """A target for the fixture; its numbers are exact in every dtype."""
        return target_for(self, self.record_of(fixture).shape)

    def __str__(self) -> str:
        return self.name


def objective(loss: Loss) -> Objective:
    """A loss as the oracles write it."""
    return Objective(stage(loss.readout), stage(loss.criterion), stage(loss.target))


def stage(part: Any) -> Stage:
    """A stage as the oracles write it: its name and its options."""
    options = {field.name: getattr(part, field.name) for field in fields(part)}
    of = {"of": stage(options["of"])} if isinstance(options.get("of"), Readout) else {}
    return type(part).__name__, options | of


def reduction(part: Reduction) -> str:
    """The word of the oracles for a reduction."""
    if isinstance(part, Mean):
        return part.over
    return {Sum: "sum", Each: "none"}[type(part)]


@cache
def target_for(case: Case, shape: tuple[int, ...]) -> Array:
    """A target for a record (T,B,N), for logits (B,N)."""
    steps, size, neurons = (1, *shape) if case.timeless else shape
    classes, rng = case.groups or neurons, np.random.default_rng(7)
    axes = {
        "labels": (size,),
        "step_labels": (steps, size),
        "neuron_times": (classes,),
        "step_probabilities": (steps, size, classes),
        "step_values": (steps, size, classes),
        "spike_times": (case.count or 0, size, classes),
    }.get(case.target, (size, classes))
    made: Array
    if case.target.endswith("times"):
        made = rng.integers(-case.least_steps, case.least_steps, axes)
    elif case.target.endswith("labels"):
        made = _labels(case, rng.integers(0, classes, axes))
    else:  # some zero, and none a distribution: no formula asks for one
        made = np.maximum(rng.integers(-4, 17, axes), 0) / 16
    made.flags.writeable = False
    return made


def _labels(case: Case, labels: Array) -> Array:
    """Some labels ignored where the loss ignores any: samples, or some steps and one sample."""
    ignored = case.loss.criterion.ignore_index
    if ignored is not None:
        labels[..., 1::3] = ignored
        if labels.ndim == 2:
            labels[::3, ::2] = ignored
    return labels


def oracle(case: Case, record: Array, target: Any, **options: Any) -> tuple[Array, Array]:
    """The loss of any record, and the gradient of its sum, by the loops of `oracles.py`.

    Options: lengths, class_weight, sample_weight and reduction, for those of the loss.
    """
    options = {"reduction": case.reduction, "class_weight": case.loss.class_weight} | options
    if not case.timeless:
        return oracles.batch(case.objective, record, target, **options)
    value, grad = oracles.batch(case.objective, record[None], target, **options)
    return value, grad[0]


@cache
def expected(
    case: Case, fixture: str = "random", dtype: str = "float64", padded: bool = False
) -> tuple[Array, Array]:
    """The oracle's loss and gradient of a fixture in that dtype; padded: of `lengths` steps."""
    options = {"lengths": case.lengths} if padded else {}
    record = rounded(case.record_of(fixture), dtype)
    return oracle(case, record, case.target_of(fixture), **options)


_FIRST_SPIKES = tuple(
    Case(f"FirstSpike {code}{name}", Loss(FirstSpike(code=code, **options), CrossEntropy()))
    for code in ("time", "negative", "reciprocal")
    for name, options in (
        ("", {}),
        (" delayed", {"silent_delay": 2.5}),
        (" still", {"silent_gradient": False}),
        (" delayed still", {"silent_delay": 1.0, "silent_gradient": False}),
    )
)

_ONE, _TWO = OnOffTime(), OnOffTime((0, 3), (-1, -2))
_PAIR = SpikeTimes(count=2)

_READOUTS = (
    Case("EveryStep", Loss(EveryStep(), CrossEntropy())),
    Case("EveryStep membrane", Loss(EveryStep(), CrossEntropy()), "membrane"),
    Case("SumOverTime", Loss(SumOverTime(), CrossEntropy())),
    Case("SpikeCount", Loss(SpikeCount(), CrossEntropy())),
    Case("SpikeCount shared", Loss(SpikeCount(shared=True), SquaredError(), OnOffRate(0.5))),
    Case("MeanOverTime", Loss(MeanOverTime(), CrossEntropy())),
    Case("MeanOverTime membrane", Loss(MeanOverTime(), CrossEntropy()), "membrane"),
    Case("Maximum", Loss(Maximum(), CrossEntropy()), "membrane"),
    Case("Maximum squared", Loss(Maximum(), SquaredError(), OnOff()), "membrane"),
    Case("LastStep", Loss(LastStep(), CrossEntropy()), "membrane"),
    Case("Decided", Loss(Decided(), CrossEntropy()), "logits"),
    *_FIRST_SPIKES,
    Case(
        "FirstSpike exponential",
        Loss(FirstSpike(code="exponential", unit=4.0, silent_delay=1.0), SquaredError()),
        target="values",
    ),
    Case(
        "InterpolatedSpike",
        Loss(InterpolatedSpike(threshold=0.5, code="negative", unit=2.0), CrossEntropy()),
        "membrane",
    ),
    Case(
        "InterpolatedSpike in time",
        Loss(InterpolatedSpike(threshold=1.25, silent_slope=3.0), SquaredError(), OnOffTime()),
        "membrane",
    ),
    Case("WeightedSum", Loss(WeightedSum(tau=2.5), CrossEntropy())),
    Case("WeightedSum linear", Loss(WeightedSum(tau=4.0, shape="linear"), CrossEntropy())),
    Case("WeightedSum sigmoid", Loss(WeightedSum(tau=5.0, shape="sigmoid"), CrossEntropy())),
    Case("WeightedSum rate", Loss(WeightedSum(tau=4.0), SquaredError(), OnOffRate(0.5))),
    Case("Weighted", Loss(Weighted(SumOverTime(), CLASS_WEIGHT), CrossEntropy())),
    Case("Weighted alike", Loss(Weighted(MeanOverTime(), 2.5), SquaredError(), OnOffRate(0.5))),
    Case(
        "Population of Weighted",
        Loss(Population(Weighted(SumOverTime(), CLASS_WEIGHT), classes=C), CrossEntropy()),
    ),
    Case("Sigmoid", Loss(Sigmoid(Maximum()), SquaredError(), OnOff()), "membrane"),
    Case(
        "Sigmoid of EveryStep",
        Loss(Sigmoid(EveryStep(), slope=2.0, threshold=0.5), SquaredError()),
        "membrane",
        "step_values",
    ),
    Case("SoftCount", Loss(SoftCount(count=2), CrossEntropy())),
    Case("SoftCount late", Loss(SoftCount(count=3, tau=2.5, latency=0.5), CrossEntropy())),
    Case("PeakWindow", Loss(PeakWindow(width=3), CrossEntropy()), "membrane"),
    Case("PeakWindow 1", Loss(PeakWindow(width=1), SquaredError(), OnOff()), "membrane"),
    Case("LogSumExp", Loss(LogSumExp(sharpness=2.0), CrossEntropy()), "membrane"),
    Case("CumulativeSoftmax", Loss(CumulativeSoftmax(), CrossEntropy()), "membrane"),
    Case("MovingWindow", Loss(MovingWindow(width=3), CrossEntropy())),
    Case("MovingWindow wide", Loss(MovingWindow(width=6), SquaredError(), OnOff()), "membrane"),
    Case("FilteredTrace", Loss(FilteredTrace(tau=1.5), CrossEntropy())),
    Case(
        "FilteredTrace alpha",
        Loss(FilteredTrace(tau=2.0, order=2), SquaredError()),
        target="step_values",
    ),
    Case(
        "FilteredTrace double",
        Loss(FilteredTrace(tau=3.0, rise=1.25), CrossEntropy()),
        "membrane",
        "step_labels",
    ),
    Case("SpikeTimes 1", Loss(SpikeTimes(), SquaredError(), OnOffTime((0,), (-1,)))),
    Case("SpikeTimes 2", Loss(_PAIR, SquaredError(), _TWO), least_steps=4),
    Case("SpikeTimes each", Loss(_PAIR, SquaredError(), _TWO, Each()), least_steps=4),
    Case(
        "SpikeTimes 3 negative",
        Loss(SpikeTimes(count=3, code="negative", unit=2.0), SquaredError(), Given()),
        target="spike_times",
    ),
    Case(
        "SpikeTimes delayed",
        Loss(SpikeTimes(count=2, silent_delay=1.5), SquaredError(steps_power=2), _TWO),
        least_steps=4,
    ),
    Case(
        "SpikeTimes still",
        Loss(SpikeTimes(count=2, code="reciprocal", silent_gradient=False), SquaredError()),
        target="values",
    ),
    Case("Population of SumOverTime", Loss(Population(SumOverTime(), classes=C), CrossEntropy())),
    Case(
        "Population mean", Loss(Population(SumOverTime(), classes=C, pool="mean"), CrossEntropy())
    ),
    Case(
        "Population of EveryStep",
        Loss(Population(EveryStep(), classes=C, pool="mean"), CrossEntropy()),
        target="step_labels",
    ),
    Case(
        "Population of Maximum",
        Loss(Population(Maximum(), classes=C), CrossEntropy()),
        "membrane",
    ),
    Case(
        "Population of FirstSpike",
        Loss(Population(FirstSpike(code="negative"), classes=C, pool="mean"), CrossEntropy()),
    ),
    Case(
        "Population of SpikeTimes",
        Loss(Population(_PAIR, classes=C, pool="mean"), SquaredError(), _TWO),
        least_steps=4,
    ),
    Case("Population of Decided", Loss(Population(Decided(), classes=C), CrossEntropy()), "logits"),
    Case(
        "Population of one class",
        Loss(Population(SumOverTime(), classes=1), SquaredError(), OnOff()),
    ),
    Case("Temperature", Loss(Temperature(SumOverTime(), scale=2.5), CrossEntropy())),
    Case("Temperature sharp", Loss(Temperature(EveryStep(), scale=0.5), CrossEntropy())),
    Case(
        "Temperature of Population",
        Loss(Temperature(Population(MeanOverTime(), classes=C), scale=0.25), CrossEntropy()),
    ),
    Case(
        "Population of Temperature",
        Loss(
            Population(Temperature(SumOverTime(), scale=4.0), classes=C),
            SquaredError(),
            OnOffRate(),
        ),
    ),
)

_CLASSES = (
    *(
        Case(f"CrossEntropy {target}", Loss(EveryStep(), CrossEntropy()), target=target)
        for target in ("step_labels", "probabilities", "step_probabilities")
    ),
    Case("CrossEntropy of counts", Loss(SumOverTime(), CrossEntropy()), target="probabilities"),
    Case("CrossEntropy smoothed", Loss(SumOverTime(), CrossEntropy(label_smoothing=0.125))),
    Case("CrossEntropy uniform", Loss(SumOverTime(), CrossEntropy(label_smoothing=1.0))),
    Case(
        "CrossEntropy smoothed probabilities",
        Loss(MeanOverTime(), CrossEntropy(label_smoothing=0.3)),
        "membrane",
        "probabilities",
    ),
    Case("CrossEntropy ignoring", Loss(SumOverTime(), CrossEntropy(ignore_index=1))),
    Case("CrossEntropy ignoring -100", Loss(SumOverTime(), CrossEntropy(ignore_index=-100))),
    Case(
        "CrossEntropy ignoring steps",
        Loss(EveryStep(), CrossEntropy(ignore_index=-1)),
        "membrane",
        "step_labels",
    ),
    Case(
        "CrossEntropy ignoring steps, sum",
        Loss(EveryStep(), CrossEntropy(ignore_index=-1), reduction=Sum()),
        target="step_labels",
    ),
    Case(
        "CrossEntropy ignoring steps, each",
        Loss(EveryStep(), CrossEntropy(ignore_index=-1), reduction=Each()),
        target="step_labels",
    ),
    Case(
        "CrossEntropy of everything",
        Loss(
            EveryStep(),
            CrossEntropy(ignore_index=2, label_smoothing=0.1),
            reduction=Mean("weights"),
            class_weight=CLASS_WEIGHT,
        ),
        "membrane",
        "step_labels",
    ),
)

_VALUES = (
    Case("Focal", Loss(Maximum(), Focal()), "membrane"),
    Case("Focal 0", Loss(SumOverTime(), Focal(gamma=0.0))),
    Case("Focal steps", Loss(EveryStep(), Focal(gamma=0.5)), "membrane", "step_labels"),
    Case("RateNLL", Loss(SumOverTime(), RateNLL())),
    Case("RateNLL window", Loss(MovingWindow(width=3), RateNLL(epsilon=0.25))),
    Case(
        "DesiredCount",
        Loss(SumOverTime(), DesiredCount(desired=3.5, undesired=0.5, balance=None)),
    ),
    Case("CountEntropy", Loss(SpikeCount(), CountEntropy(silent=-3.0))),
    Case("Margin", Loss(MeanOverTime(), Margin()), "membrane"),
    Case("Margin squared", Loss(MeanOverTime(), Margin(margin=0.5, power=2)), "membrane"),
    Case(
        "Distillation", Loss(MeanOverTime(), Distillation(), reduction=Sum()), "membrane", "values"
    ),
    Case(
        "Distillation steps",
        Loss(EveryStep(), Distillation(temperature=2.5)),
        "membrane",
        "step_values",
    ),
    Case("BinaryCrossEntropy", Loss(MeanOverTime(), BinaryCrossEntropy(), OnOff()), "membrane"),
    Case(
        "BinaryCrossEntropy steep",
        Loss(EveryStep(), BinaryCrossEntropy(slope=2.0, threshold=0.5)),
        "membrane",
        "step_values",
    ),
    Case("LogCosh", Loss(MeanOverTime(), LogCosh()), target="values"),
    Case("LogCosh narrow", Loss(EveryStep(), LogCosh(delta=0.25)), "membrane", "step_values"),
    Case("PoissonNLL", Loss(EveryStep(), PoissonNLL()), "spikes", "step_values"),
    Case(
        "ZeroInflatedPoisson",
        Loss(EveryStep(), ZeroInflatedPoisson(share=0.25)),
        "membrane",
        "step_values",
    ),
    Case(
        "ZeroInflatedPoisson 0",
        Loss(MeanOverTime(), ZeroInflatedPoisson(share=0.0)),
        target="values",
    ),
    Case("RelativeTime", Loss(FirstSpike(silent_delay=1.0), RelativeTime(delay=2.5))),
    Case("EarlySpike", Loss(FirstSpike(silent_delay=1.0), EarlySpike(tau=2.5))),
    Case(
        "TimeProximity",
        Loss(FirstSpike(silent_delay=0.5), TimeProximity(tau=2.0), OnOffTime(1, -1)),
        least_steps=2,
    ),
    Case("Level", Loss(PeakWindow(width=2), Level(level=0.75), OnOff()), "membrane"),
    Case(
        "Level of others",
        Loss(EveryStep(), Level(level=-0.5, others=True), OnOff()),
        "membrane",
        "step_labels",
    ),
    Case("Level of several", Loss(Maximum(), Level()), "membrane", "values"),
    Case("Tempotron", Loss(Maximum(), Tempotron(threshold=0.75), OnOff()), "membrane"),
    Case("SquaredError values", Loss(SumOverTime(), SquaredError()), target="values"),
    Case("SquaredError steps", Loss(EveryStep(), SquaredError()), "membrane", "step_values"),
    Case("SquaredError trace", Loss(EveryStep(), SquaredError()), "membrane", "values"),
    Case("SquaredError logits", Loss(Decided(), SquaredError()), "logits", "values"),
    Case("SquaredError power 1", Loss(SumOverTime(), SquaredError(steps_power=1), OnOff(2.0, 0.5))),
    Case("SquaredError power 2", Loss(SumOverTime(), SquaredError(steps_power=2), OnOff(2.0, 0.5))),
    Case(
        "SquaredError tolerant",
        Loss(FirstSpike(), SquaredError(tolerance=2.0), OnOffTime(1, -2)),
        least_steps=2,
    ),
    Case(
        "SquaredError tolerant membrane",
        Loss(EveryStep(), SquaredError(tolerance=0.75), OnOff(1.0, -1.0)),
        "membrane",
    ),
    Case(
        "SquaredError Huber",
        Loss(EveryStep(), SquaredError(delta=0.5), OnOff(1.0, -1.0)),
        "membrane",
    ),
    Case(
        "SquaredError Huber tolerant",
        Loss(SumOverTime(), SquaredError(tolerance=1.25, delta=2.0, steps_power=1), OnOffRate(0.5)),
    ),
)

_PENALTIES = (  # they leave the target alone
    *(
        Case(f"Bounds {name}", Loss(readout, Bounds(**options)), record, "values")
        for name, readout, record, options in (
            ("of counts", SumOverTime(), "spikes", {"lower": 1.5, "upper": 2.5}),
            ("below", MeanOverTime(), "spikes", {"lower": 0.3, "power": 1, "pool": "sum"}),
            ("above", EveryStep(), "membrane", {"upper": 0.25}),
            ("equal", Maximum(), "membrane", {"lower": 1.0, "upper": 1.0, "power": 1}),
        )
    ),
    Case("Bounds each", Loss(SumOverTime(), Bounds(upper=2.5), reduction=Each()), target="values"),
    *(
        Case(f"Deviation {name}", Loss(readout, criterion), record, "values")
        for name, readout, record, criterion in (
            ("of counts", SumOverTime(), "spikes", Deviation(2.0)),
            ("of rates", MeanOverTime(), "spikes", Deviation(0.3, power=1, pool="sum")),
            ("at every step", EveryStep(), "membrane", Deviation(-0.5)),
            ("absolute", Maximum(), "membrane", Deviation(1.0, power=1)),
            ("by steps", MeanOverTime(), "spikes", Deviation(2.5, steps_power=1)),
        )
    ),
    Case("Deviation each", Loss(SumOverTime(), Deviation(2.5), reduction=Each()), target="values"),
    Case("Quantised", Loss(EveryStep(), Quantised()), "membrane", "values"),
    Case(
        "Quantised absolute",
        Loss(Maximum(), Quantised(levels=(2.0, -0.5, 1.25), power=1)),
        "membrane",
        "values",
    ),
)

_TARGETS = (
    *(
        Case(
            f"Given {target} {least}",
            Loss(readout, SquaredError(), GivenTime()),
            "spikes",
            target,
            least,
        )
        for readout, target, least in (
            (FirstSpike(), "times", 4),
            (FirstSpike(), "neuron_times", 1),
            (FirstSpike(), "neuron_times", 3),
            (_PAIR, "spike_times", 4),
            (_PAIR, "times", 2),
            (_PAIR, "neuron_times", 4),
        )
    ),
    Case("OnOff", Loss(MeanOverTime(), SquaredError(), OnOff())),
    Case("OnOff negative", Loss(MeanOverTime(), SquaredError(), OnOff(0.5, -2.0)), "membrane"),
    Case(
        "OnOff step labels",
        Loss(EveryStep(), SquaredError(), OnOff(1.0, -1.0)),
        "membrane",
        "step_labels",
    ),
    Case("OnOff last", Loss(LastStep(), SquaredError(), OnOff(1.0, -1.0)), "membrane"),
    Case("OnOff logits", Loss(Decided(), SquaredError(), OnOff(1.0, -1.0)), "logits"),
    Case("OnOffRate of SumOverTime", Loss(SumOverTime(), SquaredError(), OnOffRate(0.5, 0.125))),
    Case("OnOffRate of MeanOverTime", Loss(MeanOverTime(), SquaredError(), OnOffRate(0.5, 0.125))),
    Case(
        "OnOffRate step labels",
        Loss(Population(EveryStep(), classes=C), SquaredError(), OnOffRate(0.5, 0.125)),
        target="step_labels",
    ),
    Case(
        "OnOffRate of Temperature",
        Loss(Temperature(SumOverTime(), scale=2.5), SquaredError(), OnOffRate(0.5, 0.125)),
    ),
    Case(
        "OnOffRate of Population",
        Loss(Population(SumOverTime(), classes=C), SquaredError(), OnOffRate(0.5, 0.125)),
    ),
    Case(
        "OnOffRate of Population mean",
        Loss(
            Population(SumOverTime(), classes=C, pool="mean"), SquaredError(), OnOffRate(0.5, 0.125)
        ),
    ),
    Case("OnOffTime", Loss(FirstSpike(), SquaredError(), _ONE)),
    Case(
        "OnOffTime from the end",
        Loss(FirstSpike(), SquaredError(), OnOffTime(-2, 1)),
        least_steps=2,
    ),
    Case(
        "OnOffTime of Population",
        Loss(Population(FirstSpike(), classes=C, pool="mean"), SquaredError(), _ONE),
    ),
)

_REDUCED = tuple(
    Case(
        f"{name} {word}{' weighted' if weight else ''}",
        Loss(readout, criterion, target, part, weight),
        record,
        given,
    )
    for name, readout, criterion, target, record, given in (
        ("CE", SumOverTime(), CrossEntropy(), Given(), "spikes", "labels"),
        ("CE steps", EveryStep(), CrossEntropy(), Given(), "membrane", "step_labels"),
        ("SE", EveryStep(), SquaredError(), OnOff(1.0, -1.0), "membrane", "labels"),
    )
    for word, part in (
        ("samples", Mean()),
        ("weights", Mean(over="weights")),
        ("sum", Sum()),
        ("each", Each()),
    )
    for weight in (None, CLASS_WEIGHT)
)

_WEIGHTED = (
    Case(
        "CE soft weighted",
        Loss(MeanOverTime(), CrossEntropy(), Given(), Mean("weights"), CLASS_WEIGHT),
        "membrane",
        "probabilities",
    ),
    Case(
        "CE smoothed weighted",
        Loss(
            MeanOverTime(),
            CrossEntropy(label_smoothing=0.25),
            Given(),
            Mean("weights"),
            CLASS_WEIGHT,
        ),
        "membrane",
    ),
    Case(
        "CE smoothed soft weighted",
        Loss(MeanOverTime(), CrossEntropy(label_smoothing=0.25), class_weight=CLASS_WEIGHT),
        "membrane",
        "probabilities",
    ),
    Case(
        "SE step labels weighted",
        Loss(EveryStep(), SquaredError(), OnOff(), Mean("weights"), CLASS_WEIGHT),
        "membrane",
        "step_labels",
    ),
    Case(
        "SE spike times weighted",
        Loss(_PAIR, SquaredError(), _TWO, Mean("weights"), CLASS_WEIGHT),
        least_steps=4,
    ),
    Case(
        "SE population weighted",
        Loss(
            Population(SumOverTime(), classes=C),
            SquaredError(),
            OnOffRate(),
            Each(),
            (0.5, 2.0, 3.0),
        ),
    ),
)


def _preset(
    name: str,
    record: Kind = "spikes",
    target: TargetKind = "labels",
    *,
    least_steps: int = 1,
    **options: Any,
) -> Case:
    written = ", ".join(f"{key}={value}" for key, value in options.items())
    title = f"{name}({written})" + (f" {target}" if target != "labels" else "")
    loss = getattr(presets, name)(**options)
    return Case(title, loss, record, target, least_steps, (name, tuple(options.items())))


_PRESETS = (
    _preset("ce_rate"),
    _preset("ce_rate", classes=C),
    _preset("ce_count"),
    _preset("ce_count", classes=C),
    _preset("ce_count", class_weight=CLASS_WEIGHT, reduction=Sum()),
    _preset("ce_max_membrane", "membrane"),
    _preset("mse_count"),
    _preset("mse_count", on=0.75, off=0.25),
    _preset("mse_count", on=0.5, off=0.125, classes=C),
    _preset("mse_membrane", "membrane"),
    _preset("mse_membrane", "membrane", "step_labels", on=1.0, off=-0.5),
    _preset("mse_temporal"),
    _preset("mse_temporal", on=1, off=-2, tolerance=1.5, least_steps=2),
    _preset("mse_temporal", on=(0, 3), off=(4, -1), least_steps=5),
    _preset("ce_temporal"),
    _preset("ce_temporal", code="reciprocal"),
    _preset("ce_temporal", code="time", class_weight=CLASS_WEIGHT),
    _preset("cross_entropy", "logits"),
    _preset("cross_entropy", "logits", "probabilities"),
    _preset("cross_entropy", "logits", label_smoothing=0.125, class_weight=CLASS_WEIGHT),
    _preset("cross_entropy", "logits", ignore_index=-1),
    _preset("ce_mean"),
    _preset("ce_last_step", "membrane"),
    _preset("ce_logsumexp", "membrane"),
    _preset("ce_logsumexp", "membrane", sharpness=3.0),
    _preset("ce_sum_softmax", "membrane"),
    _preset("focal_max_membrane", "membrane"),
    _preset("focal_max_membrane", "membrane", gamma=1.0),
    _preset("integral_ce", "membrane"),
    _preset("integral_ce", "membrane", label_smoothing=0.25),
    _preset("weighted_integral_ce", "membrane"),
    _preset("weighted_integral_ce", "membrane", tau=3.0),
    _preset("weighted_integral_ce", "membrane", tau=7.0, shape="linear"),
    _preset("spike_rate"),
    _preset("spike_rate", on=0.75, off=0.25, width=2),
    _preset("spikemax"),
    _preset("spikemax", width=4, epsilon=0.125),
    _preset("spikemoid"),
    _preset("spikemoid", width=2, slope=3.0, threshold=0.25),
    _preset("ttfs_ce"),
    _preset("ttfs_ce", tau=2.5, silent_delay=1.0),
    _preset("ttfs_z_ce"),
    _preset("ttfs_z_ce", tau=4.0),
    _preset("relative_ttfs_mse"),
    _preset("relative_ttfs_mse", delay=2.0),
    _preset("target_time"),
    _preset("target_time", on=1, off=-2, tau=2.5, least_steps=2),
    _preset("rate_latency"),
    _preset("rate_latency", count=2, tau=2.5, latency=0.25),
    _preset("tempotron", "membrane"),
    _preset("tempotron", "membrane", threshold=0.5),
    _preset("margin_count"),
    _preset("margin_count", margin=2.0, power=2),
    _preset("count_plus", balance=None),  # else of a batch: test_desired_counts.py
    _preset("count_plus", desired=3.0, undesired=0.5, balance=None, shared=False),
    _preset("ce_plus"),
    _preset("ce_plus", silent=-2.0),
    _preset("kd_logits", "membrane", "values"),
    _preset("kd_logits", "membrane", "values", temperature=2.0),
    _preset("kd_steps", "membrane", "step_values"),
    _preset("kd_steps", "membrane", "values", temperature=2.0),
    _preset("mse_signal", "membrane", "step_values"),
    _preset("huber_signal", "membrane", "step_values", delta=0.5),
    _preset("log_cosh_signal", "membrane", "values", delta=2.0),
    _preset("poisson_steps", "membrane", "step_values"),
    _preset("poisson_steps", "membrane", "values", zeros=0.25),
    _preset("mse_mean", target="values"),
    _preset("bce_mean", target="values", slope=10.0, threshold=0.5),
)

CASES = (
    *_READOUTS,
    *_CLASSES,
    *_VALUES,
    *_PENALTIES,
    *_TARGETS,
    *_REDUCED,
    *_WEIGHTED,
    *_PRESETS,
)

ELSEWHERE = {  # what no row can say, and the file whose tests and oracles are about it
    "test_whole.py": {  # several samples, or several steps, at once
        *("BatchMean", "BatchPercentile", "WholeRecord", "CTC", "Similarity"),
        *("SpikeTrain", "StoredPattern", "NearestSpike", "ctc", "spike_similarity"),
        *("nearest_spike", "InfoNCE", "Triplet", "EarthMover", "Dice", "earth_mover", "triplet"),
        *("info_nce", "dice"),
    },
    "test_adapters.py": {
        "FunctionCriterion",
        "FunctionReadout",
        "function",
    },  # functions in the place of stages
    "test_penalties.py": {  # sums, and layers
        *("tet", "peak", "binary_peak", "ttfs_early_ce", "ttfs_membrane_ce", "mse_trace", "layers"),
        *("Moments", "Distribution", "Disagreement"),  # which penalties are made of
        *("SelfDistillation", "SharedKnowledge", "etc", "tks", "self_kd_steps"),
    },
    "ranks.py": {"across", "gradients"},  # several processes
}

TOTALS = (  # sums of rows of the same record and target: (factor, name of the row)
    ((1.0, "ce_rate()"), (0.5, "mse_count()")),
    ((-0.25, "ce_temporal()"), (2.0, "mse_temporal()"), (3.0, "ce_count()")),
    ((0.1, "CE each"), (1.0, "CE each weighted")),
)


def case(name: str) -> Case:
    """The row of that name."""
    return next(row for row in CASES if row.name == name)
