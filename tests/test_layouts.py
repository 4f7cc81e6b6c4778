"""Records of several axes of neurons, and which axes are which where sizes are equal."""

from typing import Any

import numpy as np
import pytest
from harness import slow_in_jax
from libraries import LIBRARIES, Library, named, same

from spikeloss import Loss, criteria, metrics, penalties, presets, readouts, synapses, targets
from spikeloss.records import Events, Packed

T, B, MAPS, HEIGHT, WIDTH = 7, 2, 3, 4, 5
RNG = np.random.default_rng(0)
RECORD = (RNG.random((T, B, MAPS, HEIGHT, WIDTH)) < 0.3).astype(np.float32)
FLAT = RECORD.reshape(T, B, -1)
LENGTHS = np.array([7, 4])
NEURONS = (2, 3, 4)
ACTIVITY: dict[str, Any] = {
    "spikes_per_sample": metrics.spikes_per_sample,
    "firing_rates": metrics.firing_rates,
    "rate_histogram": metrics.rate_histogram,
    "silent_fraction": metrics.silent_fraction,
    "saturated_fraction": metrics.saturated_fraction,
    "synaptic_operations": lambda x, **given: metrics.synaptic_operations(x, 2.0, **given),
    "activation_sparsity": metrics.activation_sparsity,
    "effective_acs": lambda x, **given: metrics.effective_acs(x, 2.0, **given),
    "dense_operations": lambda x, **given: metrics.dense_operations(x, 2.0, **given),
}
UNTARGETED = ACTIVITY | {name: entry.build() for name, entry in penalties.catalogue().items()}
ASKS = (
    r"class_axis: expected the axes of neurons of a record of 5 axes, as there is no target to "
    r"tell, got None\. Pass class_axis=\(2, 3, 4\) if these are neurons, or class_axis=-1 if only "
    r"the last is\."
)


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize("name", UNTARGETED)
def test_axes_of_neurons_are_flattened_in_order(name: str, library: Library) -> None:
    call, x, n = UNTARGETED[name], library.array(RECORD), library.array(LENGTHS)
    wanted = np.asarray(call(library.array(FLAT), lengths=n))
    other = library.array(np.moveaxis(RECORD, 0, 3))  # (B, maps, height, T, width)
    for found in (
        call(x, class_axis=NEURONS, lengths=n),
        call(x, class_axis=(-3, 3, -1), lengths=n),
        call(other, time_axis=3, class_axis=(1, 2, 4), lengths=n),
    ):
        assert np.array_equal(np.asarray(found), wanted)


@pytest.mark.parametrize("name", UNTARGETED)
def test_axes_that_no_target_tells_must_be_named(name: str) -> None:
    call = UNTARGETED[name]
    index = RECORD.reshape(T, -1, WIDTH).nonzero()
    for record in (RECORD, Packed.pack(RECORD), Events(*index, shape=RECORD.shape)):
        with pytest.raises(ValueError, match=f"^{ASKS}$"):
            call(record)
    call(RECORD[:, :, 0, 0])
    as_batch = np.asarray(call(RECORD, class_axis=-1))
    same(
        as_batch,
        call(RECORD.reshape(T, -1, WIDTH)),
        "float32" if as_batch.dtype.kind == "f" else str(as_batch.dtype),
    )
    same(as_batch, call(Packed.pack(RECORD), class_axis=-1), str(as_batch.dtype))


def test_the_same_in_sums_layers_and_streams() -> None:
    penalty, labels = penalties.count_l1(), np.array([0, 59])
    both, wanted = presets.ce_count() + penalty, (presets.ce_count() + penalty)(FLAT, labels)
    same(both(RECORD, labels, class_axis=NEURONS), wanted, "float32")
    same(
        penalty({"a": RECORD, "b": FLAT[..., None]}, class_axis=-1),
        penalty(RECORD, class_axis=-1) + penalty(FLAT[..., None], class_axis=-1),
        "float32",
    )
    stream = both.stream(labels, class_axis=NEURONS).steps(RECORD[:3]).steps(RECORD[3:])
    same(stream.value(), wanted, "float32")
    stream = both.stream(labels, class_axis=(1, 2, 3))  # of a step
    for x in RECORD:
        stream.step(x)
    same(stream.value(), wanted, "float32")
    for refused in (
        lambda: (penalty + penalty)(RECORD),
        lambda: penalty.stream().steps(RECORD),
        lambda: penalty.stream().step(RECORD[0]),
    ):
        with pytest.raises(ValueError, match=ASKS):
            refused()
    for call in (penalty, lambda x: (penalty + presets.ce_count())(x, labels)):
        with pytest.raises(ValueError, match=r"Pass record\['a'\].reshape\(7, 2, -1\) if these"):
            call({"a": RECORD})
    for told in (penalty + presets.ce_count(), presets.tet()):  # by the labels
        told(RECORD, RNG.integers(0, WIDTH, RECORD.shape[1:-1]))
        with pytest.raises(ValueError, match="target: expected labels "):
            told(RECORD, labels)


def test_targeted_losses_and_readouts_need_not_be_told() -> None:
    labels = RNG.integers(0, WIDTH, RECORD.shape[1:-1])
    same(
        presets.ce_count()(RECORD, labels),
        presets.ce_count()(RECORD.reshape(T, -1, WIDTH), labels.ravel()),
        "float32",
    )
    assert readouts.SumOverTime()(RECORD).shape == RECORD.shape[1:]
    assert readouts.SumOverTime()(RECORD, class_axis=(2, 4)).shape == (B, HEIGHT, MAPS * WIDTH)
    assert readouts.Decided()(RECORD[0], class_axis=(1, 2, 3)).shape == (B, 60)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ((2, 2), r"class_axis: expected different axes, got \(2, 2\), in a record of shape "),
        ((2, -3), r"class_axis: expected different axes, got \(2, -3\), in a record of shape "),
        ((0, 2), "class_axis: expected another axis than time_axis, got axis 0 for both"),
        ((), r"class_axis: expected an axis, or several, got \(\)"),
        ((2, 5), "class_axis: expected an axis of a record of shape"),
        ((2, "x"), "class_axis: expected an integer, got 'x'"),
        ([2, 3], "class_axis: expected an integer, got list"),
    ],
)
def test_axes_that_cannot_be(axes: Any, message: str) -> None:
    for call in (readouts.SumOverTime(), penalties.count_l1(), metrics.firing_rates):
        with pytest.raises((TypeError, ValueError), match=f"^{message}"):
            call(RECORD, class_axis=axes)


def test_fan_out_has_the_same_order() -> None:
    torch = pytest.importorskip("torch")
    fan_out = synapses.of_module(torch.nn.Conv2d(MAPS, 2, 3), (MAPS, HEIGHT, WIDTH))
    cost = penalties.synaptic_operations(fan_out=fan_out)(RECORD, class_axis=NEURONS)
    weights = np.asarray(fan_out).reshape(MAPS, HEIGHT, WIDTH)
    same(cost, (RECORD * weights).sum() / B, "float32")


# A target that is a record is laid out as the record is


@slow_in_jax
def test_a_target_that_is_a_record_has_the_layout_of_the_record(library: Library) -> None:
    size = 4  # T = B: only the layout tells them apart
    x, y = ((RNG.random((size, size, 3)) < 0.5).astype(np.float32) for _ in range(2))
    loss = Loss(readouts.FilteredTrace(tau=2.0), criteria.SquaredError(), targets.SpikeTrain())
    wanted = np.asarray(loss(x, y))
    swapped = [library.array(np.swapaxes(each, 0, 1)) for each in (x, y)]
    same(loss(*swapped, time_axis=1), wanted, "float32")
    same(loss.stream(time_axis=1).steps(*swapped).value(), wanted, "float32")
    turned = [library.array(np.moveaxis(each, -1, 1)) for each in (x, y)]
    same(loss(*turned, class_axis=1), wanted, "float32")
    stream = loss.stream(class_axis=0)
    for step in zip(*turned, strict=True):
        stream.step(*step)
    same(stream.value(), wanted, "float32")
