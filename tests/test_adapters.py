"""Functions in the place of stages: `readouts.of`, `criteria.of`, losses of torch.nn and optax.

T=7 steps, B=5 samples, N=6 neurons: no two axes are equal.
"""

import pickle
import re
from functools import partial
from typing import Any

import numpy as np
import optax
import pytest
import torch
from cases import LENGTHS, T, records
from libraries import JAX, LIBRARIES, TORCH, Library, named, same
from torch import nn

from spikeloss import Loss, criteria, readouts
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.presets import ce_count
from spikeloss.readouts import EveryStep, LastStep, SumOverTime
from spikeloss.records import Events, Packed
from spikeloss.targets import OnOff

X, Y = records("membrane")["random"], np.array([0, 1, 2, 3, 5])
WANTED = np.random.default_rng(3).random((5, 6))


def brief(value: Any) -> str:
    """What tells the values of a row apart, the same in every process."""
    if isinstance(value, np.ndarray):
        return "x".join(map(str, value.shape))
    return getattr(value, "__name__", None) or re.sub(r" at 0x\w+", "", repr(value))


every_library = pytest.mark.parametrize("library", LIBRARIES, ids=named)


def counts(x: Any) -> Any:
    return x.sum(0)


def squares(z: Any, y: Any) -> Any:
    return (z - y) ** 2


def first_two(x: Any) -> Any:
    return x[-1, :, :2]


def graded(library: Library, loss: Any, target: Any, **options: Any) -> Any:
    with library.precision():
        x, y = library.array(X), library.array(target)
        if not library.differentiates:
            return library.value(lambda x: loss(x, y, **options), x), 0.0
        return library.value_and_grad(lambda x: loss(x, y, **options), x)


def agree(library: Library, one: Any, other: Any, target: Any = Y, **options: Any) -> None:
    found, wanted = (graded(library, loss, target, **options) for loss in (one, other))
    same(found[0], wanted[0])
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-12)


@every_library
def test_a_readout_of_a_function(library: Library) -> None:
    agree(library, Loss(readouts.of(counts), CrossEntropy()), ce_count())
    agree(library, Loss(readouts.of(lambda x: x[-1]), CrossEntropy()),
          Loss(LastStep(), CrossEntropy()))  # fmt: skip


@every_library
def test_a_readout_of_fewer_classes(library: Library) -> None:
    x = library.array(X, "float32")
    loss = Loss(readouts.of(first_two, classes=2), CrossEntropy())
    assert library.to_numpy(loss(x, library.array(Y % 2))).shape == ()
    assert library.to_numpy(loss.predict(x)).max() == 1


@every_library
@pytest.mark.parametrize("readout", [SumOverTime(), EveryStep()], ids=repr)
def test_a_criterion_of_a_function(library: Library, readout: Any) -> None:
    agree(library, Loss(readout, criteria.of(squares)), Loss(readout, SquaredError()), WANTED)
    one = Loss(readout, criteria.of(squares), OnOff(), reduction="sum")
    agree(library, one, Loss(readout, SquaredError(), OnOff()) * 5.0)


@pytest.mark.parametrize("readout", [SumOverTime(), EveryStep()], ids=repr)
@pytest.mark.parametrize(
    ("module", "ours", "target"),
    [
        (nn.CrossEntropyLoss(reduction="none"), CrossEntropy(), Y),
        (nn.CrossEntropyLoss(reduction="none", label_smoothing=0.25),
         CrossEntropy(label_smoothing=0.25), Y),
        (partial(nn.functional.cross_entropy, reduction="none"), CrossEntropy(), Y),
        (nn.MSELoss(reduction="none"), SquaredError(), WANTED),
        (nn.BCEWithLogitsLoss(reduction="none"), criteria.BinaryCrossEntropy(), WANTED),
    ],
    ids=brief,
)  # fmt: skip
def test_losses_of_torch(module: Any, ours: Any, target: Any, readout: Any) -> None:
    agree(TORCH, Loss(readout, criteria.of(module)), Loss(readout, ours), target)
    options = {"lengths": torch.tensor(LENGTHS), "sample_weight": torch.arange(5.0).double()}
    if readout == EveryStep():
        agree(TORCH, Loss(readout, criteria.of(module)), Loss(readout, ours), target, **options)


def test_the_huber_loss_of_torch() -> None:
    one = Loss(SumOverTime(), criteria.of(nn.HuberLoss(reduction="none", delta=0.5)))
    agree(TORCH, 2 * one, Loss(SumOverTime(), SquaredError(delta=0.5)), WANTED)


@pytest.mark.parametrize(
    ("function", "ours", "target"),
    [
        (optax.softmax_cross_entropy_with_integer_labels, CrossEntropy(), Y),
        (optax.squared_error, SquaredError(), WANTED),
        (optax.sigmoid_binary_cross_entropy, criteria.BinaryCrossEntropy(), WANTED),
    ],
    ids=brief,
)
def test_functions_of_optax(function: Any, ours: Any, target: Any) -> None:
    agree(JAX, Loss(SumOverTime(), criteria.of(function)), Loss(SumOverTime(), ours), target)


def test_labels_of_every_step() -> None:
    loss = Loss(EveryStep(), criteria.of(nn.CrossEntropyLoss(reduction="none")))
    labels = np.random.default_rng(2).integers(0, 6, (T, 5))
    agree(TORCH, loss, Loss(EveryStep(), CrossEntropy()), labels)
    wide = torch.tensor(X).unflatten(1, (1, 5))
    same(loss(wide, torch.tensor(Y)[None]), loss(torch.tensor(X), torch.tensor(Y)).numpy())


def test_they_stream_and_add_up_where_their_readout_does() -> None:
    loss = Loss(EveryStep(), criteria.of(squares), OnOff())
    stream = loss.stream(Y, lengths=LENGTHS)
    for step in X:
        stream.step(step)
    same(stream.value(), loss(X, Y, lengths=LENGTHS))
    parts = loss.parts(X[:, :2], Y[:2]) + loss.parts(X[:, 2:], Y[2:])
    same(parts.value(), loss(X, Y))


# What they are


def test_they_are_values() -> None:
    for of, function in ((readouts.of, counts), (criteria.of, squares)):
        one: Any = of
        stage = one(function)
        assert stage == one(function)
        assert hash(stage) == hash(one(function))
        assert pickle.loads(pickle.dumps(stage)) == stage
        assert stage != one(lambda x: x)
    assert readouts.of(counts, classes=2) != readouts.of(counts)
    assert criteria.of(partial(squares)) != criteria.of(squares)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(readouts.of(lambda x: x))


def test_they_say_what_they_are() -> None:
    assert repr(readouts.of(counts)).endswith("test_adapters.counts)")
    assert repr(readouts.of(first_two, classes=2)).endswith("test_adapters.first_two, classes=2)")
    nameless = r"FunctionReadout\(<lambda> of test_adapters.py, line \d+\)"
    assert re.fullmatch(nameless, repr(readouts.of(lambda x: x)))
    module = nn.MSELoss(reduction="none")
    assert repr(criteria.of(module)) == "FunctionCriterion(MSELoss())"
    made = partial(nn.functional.cross_entropy, reduction="none")
    assert repr(criteria.of(made)) == (
        "FunctionCriterion(partial(torch.nn.functional.cross_entropy, reduction='none'))"
    )


# What they cannot: lengths, streams, class weights and libraries are rows of `errors.txt`


def test_what_a_function_of_the_record_cannot_know_is_refused() -> None:
    loss = Loss(readouts.of(counts), CrossEntropy())
    events = Events(np.array([0.0]), np.array([0]), np.array([0]), shape=(4, 1, 3))
    with pytest.raises(
        TypeError, match="record: expected a dense record, as FunctionReadout reads"
    ):
        loss(events, np.array([0]))
    with pytest.raises(TypeError, match=r"valid: expected None for readouts.of"):
        loss(X, Y, valid=np.ones(X.shape[:2], bool))
    with pytest.raises(TypeError, match=r"record: expected all steps at once for readouts.of"):
        loss(Packed.pack(X != 0), Y)
    with pytest.raises(TypeError, match="record: expected a JAX array for optax"):
        Loss(SumOverTime(), criteria.of(optax.l2_loss))(X, WANTED)
    with pytest.raises(TypeError, match=r"class_weight: expected None for criteria.of"):
        Loss(SumOverTime(), criteria.of(squares), OnOff(), class_weight=(1.0,) * 6)(X, Y)
