"""Packed records and events are checked as the dense records that they stand for."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from libraries import LIBRARIES, NUMPY, TORCH, Library, named, same

from spikeloss import Loss, criteria, metrics, penalties, presets, readouts, targets
from spikeloss.records import Events, Packed

T, B, N = 20, 5, 6
RECORD = (np.arange(T * B * N).reshape(T, B, N) % 4 == 0).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 5])
MASK = np.arange(T)[:, None] < np.array([20, 1, 7, 20, 13])


def events_of(record: Any) -> Events:
    time, *batch, neuron = (RECORD if record is None else record).nonzero()
    sample = np.ravel_multi_index(batch, record.shape[1:-1]) if batch else 0 * time
    return Events(time, sample, neuron, shape=record.shape)


def of(library: Library, form: str, record: Any = RECORD) -> Any:
    given = library.array(record, "float32")
    if form == "packed":
        return Packed.pack(given)
    return events_of(record).map(library.array) if form == "events" else given


def told(call: Callable[[], Any]) -> str:
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    return f"{type(raised.value).__name__}: {raised.value}"


def answer(loss: Any, *given: Any, **options: Any) -> float | str:
    """The value, or the error."""
    try:
        return round(float(loss(*given, **options)), 3)
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


# What is wrong with a call of a loss, in any form of the record.
BY_STEP = {
    "lengths beyond": {"lengths": [21, 20, 20, 20, 20]},
    "lengths zero": {"lengths": [0, 20, 20, 20, 20]},
    "lengths of others": {"lengths": [20, 20]},
    "lengths of steps": {"lengths": [1] * T},
    "lengths floating": {"lengths": [1.0] * B},
    "lengths a mask": {"lengths": MASK},
    "lengths text": {"lengths": "all"},
    "both": {"lengths": [20] * B, "valid": MASK},
    "mask shorter": {"valid": MASK[:8]},
    "mask longer": {"valid": np.concatenate([MASK, MASK])},
    "mask swapped": {"valid": MASK.T},
    "mask of numbers": {"valid": MASK * 1.0},
    "mask empty": {"valid": MASK & (np.arange(B) != 2)},
    "mask text": {"valid": "all"},
    "option": {"lenghts": [20] * B},
    "no target": {"target": None},
    "text": {"target": "cat"},
    "labels of others": {"target": [0, 1]},
    "labels beyond": {"target": [0, 1, 2, 3, 6]},
    "labels negative": {"target": [0, 1, 2, 3, -6]},
    "labels ragged": {"target": [[0, 1], [2]]},
    "labels floating": {"target": [0.0, 1.0, 2.0, 3.0, 4.0]},
    "labels in a column": {"target": [[0], [1], [2], [3], [4]]},
    "steps of floats": {"target": np.ones((T, B))},
    "steps beyond": {"target": np.full((T, B), 6)},
    "steps of others": {"target": np.zeros((T, 3), int)},
    "other steps": {"target": np.zeros((8, B), int)},
    "probabilities": {"target": -np.ones((B, N))},
    "probabilities of others": {"target": np.ones((B, 4))},
    "probabilities of steps": {"target": -np.ones((T, B, N))},
    "weights of others": {"sample_weight": [1.0, 2.0]},
    "weights negative": {"sample_weight": [1.0, 2.0, -1.0, 1.0, 1.0]},
    "class weights of others": {"class_weight": [1.0, 2.0]},
    "class weights negative": {"class_weight": [1.0, 1.0, 1.0, 1.0, 1.0, -1.0]},
}
LOSSES: dict[str, Any] = {
    "ce_count": presets.ce_count(),
    "mse_count": presets.mse_count(),
    "ce_rate": presets.ce_rate(),
    "mse_membrane": presets.mse_membrane(),
    "ce_temporal": presets.ce_temporal(),
    "given steps": Loss(readouts.EveryStep(), criteria.SquaredError()),
    "focal steps": Loss(readouts.EveryStep(), criteria.Focal()),
    "patterns": Loss(
        readouts.SumOverTime(), criteria.SquaredError(), targets.StoredPattern(np.eye(6))
    ),
    "ctc": presets.ctc(),
    "mse_trace": presets.mse_trace(),
    "penalty": penalties.rate_bounds(),
}


FORMS = [
    (name, form, library)
    for name, loss in LOSSES.items()
    for form in ("packed", "events")
    if form == "packed" or not loss.readout.keeps
    for library in (LIBRARIES if name in ("ce_count", "ce_rate") else (NUMPY,))
]


@pytest.mark.parametrize(("name", "form", "library"), FORMS, ids=str)
def test_every_form_is_checked_as_a_dense_record(name: str, form: str, library: Library) -> None:
    loss = LOSSES[name]
    refusals = 0
    for wrong in BY_STEP.values():
        given = {"target": LABELS} | wrong
        given = {k: library.array(x) if isinstance(x, np.ndarray) else x for k, x in given.items()}
        wanted = answer(loss, of(library, "dense"), **given)
        assert answer(loss, of(library, form), **given) == wanted
        refusals += isinstance(wanted, str)
    assert refusals >= 10


@pytest.mark.parametrize("form", ["packed", "events"])
def test_decisions_and_metrics_are_checked_as_of_a_dense_record(form: str) -> None:
    loss = presets.ce_count()
    calls: tuple[Callable[..., Any], ...] = (
        loss.predict,
        lambda x, **given: loss.accuracy(x, LABELS, **given),
        readouts.SumOverTime(),
        metrics.firing_rates,
        lambda x, **given: metrics.confusion(loss, x, LABELS, **given),
    )
    for wrong in BY_STEP.values():
        if wrong.keys() <= {"lengths", "valid", "lenghts"}:
            for call in calls:
                wanted = told(lambda call=call, wrong=wrong: call(RECORD, **wrong))  # type: ignore[misc]
                assert told(lambda call=call, wrong=wrong: call(of(NUMPY, form), **wrong)) == wanted  # type: ignore[misc]


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 5), (5, 3, 5, 5), (5, 5, 3, 5)])
def test_targets_of_a_packed_record_whose_axes_are_equal(
    shape: tuple[int, ...], library: Library
) -> None:
    """Which of (*B, C) and (T, *B) is meant is decided as for a dense record."""
    rng = np.random.default_rng(0)
    record = (rng.random(shape) < 0.5).astype(np.float32)
    batch, classes = shape[1:-1], shape[-1]
    for target in (
        rng.integers(0, classes, batch),
        rng.integers(0, classes, shape[:-1]),
        rng.random((*batch, classes)).astype(np.float32),
        rng.random(shape).astype(np.float32),
    ):
        for name in ("ce_rate", "mse_membrane", "given steps", "focal steps", "ce_count"):
            loss, y = LOSSES[name], library.array(np.asarray(target))
            dense, packed = library.array(record), Packed.pack(library.array(record))
            assert answer(loss, packed, y) == answer(loss, dense, y)


BITS = np.array([[[3, 255]]], np.uint8)  # one byte, one sample, two neurons
BAD_BITS: dict[str, tuple[Any, Any, str]] = {
    "steps beyond": (BITS, 20, "steps: expected from 1 to 8 steps in 1 bytes, got 20. "),
    "no steps": (BITS, 0, "steps: expected from 1 to 8 steps in 1 bytes, got 0. "),
    "negative steps": (BITS, -3, "steps: expected from 1 to 8 steps in 1 bytes, got -3. "),
    "byte left over": (np.zeros((2, 1, 2), np.uint8), 8, "steps: expected from 9 to 16 steps in 2"),
    "steps floating": (BITS, 4.0, "steps: expected an integer, got 4.0. "),
    "steps text": (BITS, "4", "steps: expected an integer, got '4'. "),
    "list": ([[1, 2]], 4, "bits: expected a torch tensor, a JAX array or a NumPy array, got list"),
    "int64": (BITS.astype(np.int64), 4, "bits: expected uint8, got int64. "),
    "int8": (BITS.astype(np.int8), 4, "bits: expected uint8, got int8. "),
    "bool": (BITS > 3, 4, "bits: expected uint8, got bool. "),
    "one axis": (BITS[0, 0], 4, "bits: expected (bytes, *batch, neurons) with at least one"),
    "no byte": (BITS[:0], 0, "bits: expected (bytes, *batch, neurons) with at least one"),
    "no neuron": (BITS[..., :0], 4, "bits: expected (bytes, *batch, neurons) with at least one"),
}


@pytest.mark.parametrize("name", BAD_BITS)
def test_bits_are_checked_when_a_packed_record_is_made(name: str) -> None:
    bits, steps, message = BAD_BITS[name]
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        Packed(bits, steps)


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_bits_after_the_last_step_are_not_read(library: Library) -> None:
    packed = Packed(library.array(BITS), 3)
    same(readouts.SumOverTime()(packed), np.array([[2.0, 3.0]]), "float32")
    assert packed.shape == (3, 1, 2)
    assert Packed(library.array(BITS), np.int64(3)).unpack().shape == (3, 1, 2)


def test_what_is_packed_is_a_record() -> None:
    for wrong in ([[1, 0]], RECORD[:, 0, 0], RECORD[:0], RECORD[..., :0], None):
        assert told(lambda wrong=wrong: Packed.pack(wrong)) == told(  # type: ignore[misc]
            lambda wrong=wrong: presets.ce_count()(wrong, LABELS)  # type: ignore[misc]
        )


BAD_SHAPES: tuple[Any, ...] = (
    *((-5, 3, 4), (0, 3, 4), (5, 3, 0), (5, -3, 4), (5,), (), (5.0, 3, 4), (5, 3, "4")),
    *(5, None, "543", (5, 3, None), (True, 3, 4)),
)


@pytest.mark.parametrize("shape", BAD_SHAPES, ids=repr)
def test_the_shape_of_events_is_made_of_whole_numbers(shape: Any) -> None:
    none = np.zeros(0, int)
    events = Events(none, none, none, shape=shape)
    for use in (
        lambda: presets.ce_count()(events, np.zeros(3, int)),
        lambda: presets.ce_count().stream(np.zeros(3, int)).steps(events),
        events.dense,
        lambda: metrics.firing_rates(events),
        lambda: events.nothing(),
    ):
        assert told(use).startswith(
            "ValueError: shape: expected (time, *batch, neurons) with at least one step and one "
            "neuron, got "
        )


def test_recordings_of_a_sensor_are_checked() -> None:
    one = np.zeros(2, dtype=[("t", int), ("x", int)])
    right = {"steps": 5, "step": 1000, "sensor_size": (3, 1, 1)}
    assert Events.from_recordings([one], **right).shape == (5, 1, 3)
    wrong: list[dict[str, Any]] = [
        {"steps": 0}, {"steps": 2.5}, {"step": 0}, {"step": float("nan")}, {"sensor_size": (3, 1)},
        {"sensor_size": 3}, {"sensor_size": (3, 1, 0)}, {"sensor_size": (3, 1, 1.5)},
    ]  # fmt: skip
    for options in wrong:
        text = told(lambda options=options: Events.from_recordings([one], **right | options))  # type: ignore[misc]
        assert text.partition(": ")[2].startswith(next(iter(options)))
    text = told(lambda: Events.from_recordings(one[0], **right))
    assert text.startswith("TypeError: recordings: expected a sequence, one per sample, got ")
