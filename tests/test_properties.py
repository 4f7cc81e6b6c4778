"""What holds for every loss, shape, option and record: laws that hypothesis tries to break.

A `Problem` is a random composition of stages with a record and a target that fit it. Shapes are
small, and every axis can be one or (the batch) empty. HYPOTHESIS_PROFILE=search looks for longer.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from libraries import JAX, NUMPY, TORCH, Array, Library, same

from spikeloss import Loss
from spikeloss.criteria import Criterion, CrossEntropy, RateNLL, SquaredError
from spikeloss.readouts import (
    EveryStep,
    FirstSpike,
    LastStep,
    Maximum,
    MeanOverTime,
    Population,
    Readout,
    SpikeTimes,
    SumOverTime,
    Temperature,
)
from spikeloss.reductions import Each, Mean, Sum
from spikeloss.targets import Given, GivenTime, OnOff, OnOffRate, OnOffTime, Target

settings.register_profile("house", deadline=None, max_examples=25, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))

CODES = ("time", "negative", "reciprocal")
SPIKES = st.sampled_from((0.0, 0.0, 0.0, 1.0, 1.0, 0.5, -2.0))
RATED = st.sampled_from((0.0, 0.0, 1.0))
VALUES = st.integers(-12, 12).map(lambda value: value / 4)


@dataclass(frozen=True)
class Problem:
    """A loss, and all that it takes, as float64 and int64 NumPy arrays."""

    loss: Loss
    record: Array  # (T, B, N)
    target: Array
    lengths: Array | None
    sample_weight: Array | None
    class_weight: Array | None

    @property
    def labelled(self) -> bool:
        return self.target.dtype.kind == "i"

    @property
    def options(self) -> dict[str, Any]:
        names = ("lengths", "sample_weight", "class_weight")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def value(self, library: Library = NUMPY, **changes: Any) -> Array:
        """The loss in that library, with another reduction or other arguments."""
        parts = {"record": self.record, "target": self.target} | self.options
        loss = self.loss.replace(reduction=changes.pop("reduction", self.loss.reduction))
        given = {name: library.array(x) for name, x in (parts | changes).items() if x is not None}
        return library.to_numpy(loss(given.pop("record"), given.pop("target"), **given))

    def each(self, **changes: Any) -> Array:
        """The loss of every sample, batch first."""
        found = self.value(reduction=Each(), **changes)
        return np.moveaxis(found, -2, 0) if self.loss.readout.keeps == "spikes" else found

    def take(self, samples: Any) -> "Problem":
        """The problem of some of the samples."""
        target = self.target[..., samples, :] if not self.labelled else self.target[..., samples]
        options = {name: x[samples] for name, x in self.options.items() if name != "class_weight"}
        return replace(self, record=self.record[:, samples], target=target, **options)


@st.composite
def readouts(draw: st.DrawFn, classes: int) -> Readout:
    """A readout with `classes` outputs, and how many neurons it reads for each."""
    times = {
        "code": draw(st.sampled_from(CODES)),
        "silent_delay": draw(st.sampled_from((0.0, 1.5))),
        "silent_gradient": draw(st.booleans()),
    }
    plain = (EveryStep(), SumOverTime(), MeanOverTime(), Maximum(), LastStep(), FirstSpike(**times))
    several = SpikeTimes(count=draw(st.integers(1, 3)), **times)
    readout = draw(st.sampled_from((*plain, several)))
    for wrap in draw(st.lists(st.sampled_from(("population", "temperature")), max_size=2)):
        if wrap == "temperature":
            readout = Temperature(readout, scale=draw(st.sampled_from((0.5, 1.0, 3.0))))
        elif not isinstance(readout, Population):
            pool = draw(st.sampled_from(("sum", "mean")))
            readout = Population(readout, classes=classes, pool=pool)
    return readout


def grouped(readout: Any) -> bool:
    """Whether several neurons make a class."""
    return isinstance(readout, Population) or (hasattr(readout, "of") and grouped(readout.of))


@st.composite
def squared(draw: st.DrawFn, readout: Readout) -> tuple[Criterion, Target]:
    """A squared error, and class labels or numbers to compare with."""
    criterion = SquaredError(
        tolerance=draw(st.sampled_from((0.0, 0.75))),
        delta=draw(st.sampled_from((None, 0.5))),
        steps_power=draw(st.integers(0, 2)),
    )
    targets: list[Target] = [Given(), OnOff(1.5, -0.5)]
    inner: Any = innermost(readout)
    if not isinstance(inner, (FirstSpike, SpikeTimes)):
        targets.append(OnOffRate(0.75, 0.25))
    elif readout.in_steps:
        several = isinstance(inner, SpikeTimes)
        times = ((0,) * inner.count, (-1,) * inner.count) if several else (0, -1)
        targets += [OnOffTime(*times), GivenTime()]
    return criterion, draw(st.sampled_from(targets))


def innermost(readout: Any) -> Readout:
    return innermost(readout.of) if hasattr(readout, "of") else readout


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    shape: tuple[int, int, int] | None = None,
    empty: bool = True,
    padded: bool | None = None,
    ignoring: bool = True,
) -> Problem:
    """Any problem; of a given shape, or without empty batches, lengths or ignored labels."""
    if shape is None:
        steps, size = draw(st.integers(1, 5)), draw(st.integers(0 if empty else 1, 4))
        classes, group = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        readout = draw(readouts(classes))
        neurons = classes * (group if grouped(readout) else 1)
    else:
        steps, size, neurons = shape
        readout = draw(readouts(neurons // 2))
        classes = neurons // 2 if grouped(readout) else neurons
    several = readout.keeps == "spikes"
    if several or draw(st.booleans()):
        criterion, target = draw(squared(readout))
    else:
        ignore = draw(st.sampled_from((None, -1, 0))) if ignoring else None
        smoothing = draw(st.sampled_from((0.0, 0.25)))
        criterion = CrossEntropy(label_smoothing=smoothing, ignore_index=ignore)
        target = Given()
    membrane = draw(st.booleans())
    entries = VALUES if membrane else SPIKES
    if isinstance(target, OnOffRate) or isinstance(criterion, RateNLL):
        entries = RATED
    record = arrays.arrays(float, (steps, size, neurons), elements=entries)
    lead = (steps,) if readout.keeps == "time" and draw(st.booleans()) else ()
    labelled = target.labelled or (isinstance(criterion, CrossEntropy) and draw(st.booleans()))
    if labelled or criterion.ignore_index is not None:
        low = -1 if criterion.ignore_index == -1 else 0
        given = draw(arrays.arrays(int, (*lead, size), elements=st.integers(low, classes - 1)))
    else:
        eighths = st.integers(0, 8).map(lambda value: value / 8)
        values = st.sampled_from((0.0, -1.0)) if isinstance(target, GivenTime) else eighths
        given = draw(arrays.arrays(float, (*lead, size, classes), elements=values))
    weighted = given.dtype.kind == "i" or isinstance(criterion, CrossEntropy)
    weights = st.sampled_from((0.0, 0.5, 1.0, 3.0))
    with_lengths = draw(st.booleans()) if padded is None else padded
    return Problem(
        Loss(readout, criterion, target, draw(st.sampled_from((Mean(), Mean("weights"))))),
        draw(record),
        given,
        draw(arrays.arrays(int, size, elements=st.integers(1, steps))) if with_lengths else None,
        draw(st.none() | arrays.arrays(float, size, elements=weights)),
        draw(st.none() | arrays.arrays(float, classes, elements=weights)) if weighted else None,
    )


def gradient(problem: Problem) -> Array:
    """The gradient of the loss of a torch record."""
    parts = {"target": problem.target} | problem.options
    parts = {name: TORCH.array(x) for name, x in parts.items()}
    total = lambda record: problem.loss(record, **parts)  # noqa: E731
    return TORCH.value_and_grad(total, TORCH.array(problem.record))[1]


# Libraries and layouts


@given(problems())
def test_libraries_agree(problem: Problem) -> None:
    expected = problem.value(NUMPY)
    same(problem.value(TORCH), expected)


@pytest.mark.slow
@settings(max_examples=8)
@given(problems(shape=(3, 2, 4)))  # JAX compiles every operation for every shape
def test_jax_agrees(problem: Problem) -> None:
    with JAX.precision():
        same(problem.value(JAX), problem.value(NUMPY))


@given(problems())
def test_inputs_stay_as_they_are(problem: Problem) -> None:
    parts = {"record": problem.record, "target": problem.target} | problem.options
    before = {name: x.copy() for name, x in parts.items()}
    for x in parts.values():
        x.flags.writeable = False
    problem.value(NUMPY)
    for x in parts.values():
        x.flags.writeable = True
    problem.value(NUMPY)
    tensors = {name: torch.from_numpy(x) for name, x in parts.items()}
    record, target, *_ = (tensors.pop(name) for name in ("record", "target"))
    problem.loss(record.requires_grad_(), target, **tensors).sum().backward()
    problem.loss(record.detach(), target, **tensors)
    for x in (record, target, *tensors.values()):
        assert x._version == 0
    for name, x in parts.items():
        assert x.tobytes() == before[name].tobytes(), name


def test_jax_shares_no_memory_with_what_it_changes() -> None:
    record, labels = np.eye(6).reshape(6, 1, 6), np.array([3])
    expected = record.copy()
    loss = Loss(EveryStep(), CrossEntropy(ignore_index=3))
    with JAX.precision():
        loss(JAX.array(record), labels)
    assert np.array_equal(record, expected)
    assert labels == 3


def spaced(x: Array) -> Array:
    """The same numbers, every second entry of a larger array, backwards in memory."""
    wide = np.full([2 * size for size in x.shape], 7, x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)][(slice(None, None, -1),) * x.ndim]
    view[...] = x
    return view


@given(problems())
def test_memory_layout_does_not_matter(problem: Problem) -> None:
    expected, alone = problem.value(), problem.value(TORCH)
    changed = {
        name: spaced(x)
        for name, x in (
            {"record": problem.record, "target": problem.target} | problem.options
        ).items()
    }
    same(problem.value(**changed), expected)
    same(problem.value(record=np.asfortranarray(problem.record)), expected)
    record = torch.from_numpy(problem.record)
    parts = {name: torch.from_numpy(x) for name, x in problem.options.items()}
    target = torch.from_numpy(problem.target)
    for view in (
        record.permute(2, 0, 1).contiguous().permute(1, 2, 0),
        torch.stack([record, record + 1], -1)[..., 0],
    ):
        assert record.numel() <= 1 or view.shape == record.shape
        same(problem.loss(view, target, **parts), alone)


def test_a_broadcast_record_is_one_sample_repeated() -> None:
    sample = np.array([[[0.0, 1.0]], [[1.0, 1.0]]])
    labels = np.array([0, 1, 1])
    loss = Loss(SumOverTime(), CrossEntropy(), reduction=Each())
    repeated = np.broadcast_to(sample, (2, 3, 2))
    expected = loss(np.repeat(sample, 3, 1), labels)
    same(loss(repeated, labels), expected)
    expanded = torch.from_numpy(sample).expand(2, 3, 2)
    same(loss(expanded, torch.from_numpy(labels)), expected)


@given(problems(), st.permutations(range(3)))
def test_axes_can_be_anywhere(problem: Problem, order: list[int]) -> None:
    record = np.transpose(problem.record, np.argsort(order))
    time, _, neurons = order
    layout = {"time_axis": time, "class_axis": neurons - 3}
    for library in (NUMPY, TORCH):
        parts = {name: library.array(x) for name, x in problem.options.items()}
        given = library.array(record), library.array(problem.target)
        same(problem.loss(*given, **parts, **layout), problem.value())


@given(problems(empty=False), st.data())
def test_batch_axes_can_be_any_number(problem: Problem, data: st.DataObject) -> None:
    size = problem.record.shape[1]
    width = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    batch = (1, size // width, width)
    lead = problem.target.ndim - (1 if problem.labelled else 2)
    target = problem.target.reshape(
        *problem.target.shape[:lead], *batch, *problem.target.shape[lead + 1 :]
    )
    record = problem.record.reshape(len(problem.record), *batch, -1)
    options = {
        name: x.reshape(batch) for name, x in problem.options.items() if name != "class_weight"
    }
    same(problem.value(record=record, target=target, **options), problem.value())
    if size == 1:
        single = {name: x[0, 0, 0] for name, x in options.items()}
        one = target[(slice(None),) * lead + (0, 0, 0)]
        same(problem.value(record=record[:, 0, 0, 0], target=one, **single), problem.value())


@given(problems())
def test_spikes_of_any_dtype(problem: Problem) -> None:
    record = problem.record != 0
    target = problem.target if problem.labelled else problem.target.astype("float32")
    expected = problem.value(record=record.astype("float32"), target=target)
    for dtype in ("bool", "int8", "uint8", "int64"):
        same(problem.value(record=record.astype(dtype), target=target), expected, "float32")


# Samples, classes and steps


@given(problems(), st.data())
def test_the_order_of_samples_does_not_matter(problem: Problem, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(problem.record.shape[1]))), int)
    same(problem.take(order).each(), problem.each()[order])
    same(problem.take(order).value(), problem.value())


@given(problems(empty=False), st.data())
def test_samples_do_not_see_each_other(problem: Problem, data: st.DataObject) -> None:
    chosen = np.array([data.draw(st.integers(0, problem.record.shape[1] - 1))])
    same(problem.take(chosen).each(), problem.each()[chosen])


@given(problems(ignoring=False), st.data())
def test_the_order_of_classes_does_not_matter(problem: Problem, data: st.DataObject) -> None:
    classes = problem.loss.readout(np.ones(problem.record.shape[::2])).shape[-1]
    order = np.array(data.draw(st.permutations(range(classes))))
    size = problem.record.shape[-1] // classes
    neurons = (order[:, None] * size + np.arange(size)).ravel()
    target = np.argsort(order)[problem.target] if problem.labelled else problem.target[..., order]
    weights = None if problem.class_weight is None else problem.class_weight[order]
    moved = replace(
        problem, record=problem.record[..., neurons], target=target, class_weight=weights
    )
    same(moved.value(), problem.value())


@given(problems(padded=True), st.sampled_from((0.0, 1.0, np.nan, np.inf, -np.inf, -1e300)))
def test_padding_is_never_read(problem: Problem, rubbish: float) -> None:
    padding = np.arange(len(problem.record))[:, None] >= problem.lengths
    record = problem.record.copy()
    record[padding] = rubbish
    spoilt = replace(problem, record=record)
    same(spoilt.value(), problem.value())
    grad = gradient(spoilt)
    same(grad, gradient(problem))
    assert not np.any(grad[padding])


@given(problems(empty=False, padded=True))
def test_a_padded_sample_is_the_cropped_one(problem: Problem) -> None:
    for sample, steps in enumerate(problem.lengths):
        one = problem.take(np.array([sample]))
        per_step = one.target.ndim == (2 if one.labelled else 3)
        cropped = replace(
            one,
            record=one.record[:steps],
            target=one.target[:steps] if per_step else one.target,
            lengths=None,
        )
        same(cropped.each(), problem.each()[[sample]])
        full = np.zeros_like(one.record)
        full[:steps] = gradient(cropped)
        same(gradient(one), full)


@given(problems(padded=False))
def test_a_count_does_not_know_when(problem: Problem) -> None:
    assume(problem.target.ndim == (1 if problem.labelled else 2))
    assume(not isinstance(innermost(problem.loss.readout), (FirstSpike, SpikeTimes, LastStep)))
    same(problem.value(record=problem.record[::-1]), problem.value())


@given(problems())
def test_spike_times_do_not_know_how_large(problem: Problem) -> None:
    assume(isinstance(innermost(problem.loss.readout), (FirstSpike, SpikeTimes)))
    same(problem.value(record=3.5 * problem.record), problem.value())
    same(problem.value(record=-np.sign(problem.record)), problem.value())


# Reductions and weights


@given(problems())
def test_reductions_are_of_the_same_elements(problem: Problem) -> None:
    elements, total = problem.each(), problem.value(reduction=Sum())
    same(total, elements.sum())
    ignore = problem.loss.criterion.ignore_index
    kept = np.ones(elements.shape)
    if ignore is not None and problem.labelled:
        counted = problem.target != ignore
        if counted.ndim == 2 and problem.lengths is not None:
            counted &= np.arange(len(counted))[:, None] < problem.lengths
        kept = counted if counted.ndim == 1 else counted.any(0)
    mean = elements.sum() / kept.sum() if kept.sum() else np.nan
    same(problem.value(reduction=Mean()), mean)


@given(problems(), st.sampled_from((0.25, 2.0, 1e3)))
def test_scaled_weights(problem: Problem, factor: float) -> None:
    size = problem.record.shape[1]
    given = np.ones(size) if problem.sample_weight is None else problem.sample_weight
    for reduction, power in ((Mean(), 1), (Mean("weights"), 0)):
        once = problem.value(sample_weight=given, reduction=reduction)
        scaled = problem.value(sample_weight=factor * given, reduction=reduction)
        same(scaled, factor**power * once)


@given(problems())
def test_weights_of_one_are_none(problem: Problem) -> None:
    plain = replace(problem, sample_weight=None, class_weight=None)
    for reduction in (Mean(), Mean("weights"), Sum(), Each()):
        expected = plain.value(reduction=reduction)
        ones = np.ones(problem.record.shape[1])
        same(plain.value(sample_weight=ones, reduction=reduction), expected)
        if problem.class_weight is not None:
            ones = np.ones(len(problem.class_weight))
            same(plain.value(class_weight=ones, reduction=reduction), expected)


@given(problems(empty=False))
def test_an_ignored_sample_is_absent(problem: Problem) -> None:
    ignore = problem.loss.criterion.ignore_index
    assume(ignore is not None and problem.labelled)
    labels = problem.target.copy()
    labels[..., 0] = ignore
    rest = replace(problem, target=labels).take(np.arange(1, problem.record.shape[1]))
    for reduction in (Mean(), Mean("weights"), Sum()):
        same(problem.value(target=labels, reduction=reduction), rest.value(reduction=reduction))


@given(problems(), st.floats(-3, 3).map(lambda factor: round(factor, 2)))
def test_totals_are_linear(problem: Problem, factor: float) -> None:
    other = problem.loss.replace(reduction=Sum())
    total = problem.loss + factor * other
    given = (problem.record, problem.target)
    expected = problem.value() + factor * problem.value(reduction=Sum())
    same(total(*given, **problem.options), expected)
    same((2 * total)(*given, **problem.options), 2 * expected)


# Values


@given(problems())
def test_a_loss_is_not_negative(problem: Problem) -> None:
    assert np.all(problem.each() >= 0)


@given(problems())
def test_inside_the_tolerance_there_is_nothing(problem: Problem) -> None:
    assume(isinstance(problem.loss.criterion, SquaredError))
    wide = replace(problem, loss=problem.loss.replace(criterion=SquaredError(tolerance=1e9)))
    assert not np.any(wide.each())
    assert problem.record.shape[1] == 0 or not np.any(gradient(wide))


@given(problems(), st.sampled_from((0.25, 0.5, 1.0, 2.5)))
def test_tolerance_only_removes(problem: Problem, tolerance: float) -> None:
    criterion = problem.loss.criterion
    assume(isinstance(criterion, SquaredError))
    strict, lax = (
        replace(problem, loss=problem.loss.replace(criterion=replace(criterion, tolerance=size)))
        for size in (0.0, tolerance)
    )
    assert np.all(lax.each() <= strict.each() * (1 + 1e-12))


@given(problems(), st.sampled_from((Population, Temperature)))
def test_wrappers_can_do_nothing(problem: Problem, wrapper: type) -> None:
    readout = problem.loss.readout
    if wrapper is Temperature:
        wrapped: Readout = Temperature(readout, scale=1.0)
        same(replace(problem, loss=problem.loss.replace(readout=wrapped)).value(), problem.value())
        return
    assume(not grouped(readout))
    for pool in ("sum", "mean"):
        wrapped = Population(readout, classes=problem.record.shape[-1], pool=pool)
        same(replace(problem, loss=problem.loss.replace(readout=wrapped)).value(), problem.value())


# Decisions


@given(problems(empty=False), st.data())
def test_decisions(problem: Problem, data: st.DataObject) -> None:
    loss, record = problem.loss, problem.record
    layout = {} if problem.lengths is None else {"lengths": problem.lengths}
    decided = loss.predict(record, **layout)
    valid = np.ones(record.shape[:2], bool)
    if layout:
        valid = np.arange(len(record))[:, None] < problem.lengths
    silent = ~np.any((record != 0) & valid[..., None], axis=(0, 2))
    assert np.array_equal(decided == -1, silent)
    order = np.array(data.draw(st.permutations(range(record.shape[1]))))
    layout_ = {name: x[order] for name, x in layout.items()}
    assert np.array_equal(loss.predict(record[:, order], **layout_), decided[order])
    tensors = {name: torch.from_numpy(x) for name, x in layout.items()}
    found = loss.predict(torch.from_numpy(record), **tensors)
    assert np.array_equal(found.numpy(), decided)
    classes = loss.readout(record).shape[-1]
    labels = data.draw(arrays.arrays(int, record.shape[1], elements=st.integers(0, classes - 1)))
    share = loss.replace(criterion=CrossEntropy()).accuracy(record, labels, **layout)
    same(share, np.mean(decided == labels))


def test_search_can_fail() -> None:
    # The laws above would notice a loss that reads its padding.
    class Careless(Problem):
        @property
        def options(self) -> dict[str, Any]:
            return {}

    law: Callable[..., None] = test_padding_is_never_read.hypothesis.inner_test  # type: ignore[attr-defined]
    record = np.zeros((2, 1, 2))
    record[1, 0, 1] = 1
    problem = Careless(
        Loss(SumOverTime(), CrossEntropy()), record, np.array([0]), np.array([1]), None, None
    )
    with pytest.raises(AssertionError):
        law(problem, 0.0)
