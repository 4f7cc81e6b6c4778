"""Arguments out of their range: refused by name in every library, whatever the loss."""

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import UNLABELLED
from libraries import LIBRARIES, Library, named

from spikeloss import (
    Loss,
    criteria,
    metrics,
    penalties,
    presets,
    readouts,
    reductions,
    targets,
)

T, B, N = 7, 5, 6
RECORD = (np.arange(T * B * N).reshape(T, B, N) % 4 == 0).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 5])

OF_LABELS = [
    name
    for name, preset in presets.catalogue().items()
    if preset.build().of_labels and name != "cross_entropy"
]
BAD_WEIGHTS = {"negative": -5.0, "nan": np.nan, "infinity": np.inf}


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize("bad", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
@pytest.mark.parametrize("name", OF_LABELS)
def test_sample_weights_are_finite_and_not_negative(
    name: str, bad: float, library: Library
) -> None:
    weights = library.array(np.array([1.0, 2.0, bad, 1.0, 0.0]), "float32")
    loss, record = presets.catalogue()[name].build(), library.array(RECORD)
    message = "sample_weight: expected finite weights of at least 0, got "
    with pytest.raises(ValueError, match=re.escape(message)):
        loss(record, library.array(LABELS), sample_weight=weights)


def test_sample_weights_of_any_real_dtype() -> None:
    record, labels = torch.tensor(RECORD), torch.tensor(LABELS)
    weights = torch.tensor([1, 2, 3, 1, 0])
    wanted = presets.ce_count()(record, labels, sample_weight=weights)
    for dtype in (torch.uint8, torch.uint16, torch.uint64, torch.bfloat16, torch.float64):
        found = presets.ce_count()(record, labels, sample_weight=weights.to(dtype))
        assert found == wanted


SHARES: dict[str, Any] = {
    "binary_peak": presets.binary_peak(),
    "spikemoid": presets.spikemoid().replace(target=targets.Given()),
    "every step": Loss(readouts.EveryStep(), criteria.BinaryCrossEntropy()),
    "tempotron": presets.tempotron().replace(target=targets.Given()),
}


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize("name", SHARES)
def test_targets_that_are_shares_lie_between_0_and_1(name: str, library: Library) -> None:
    record, target = library.array(RECORD), np.full((B, N), 0.5)
    SHARES[name](record, library.array(target, "float32"))
    for bad in (-0.5, 1.5, np.nan):
        target[2, 3] = bad
        with pytest.raises(ValueError, match="target: expected values from 0 to 1, got "):
            SHARES[name](record, library.array(target, "float32"))


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_soft_labels_and_counts_are_not_negative(library: Library) -> None:
    record, target = library.array(RECORD), np.full((B, N), 2.0)  # which need not sum to 1
    losses = (
        presets.ce_count(),
        presets.ce_rate(),
        Loss(readouts.SumOverTime(), criteria.PoissonNLL()),
    )
    for bad in (2.0, -0.1, np.nan, np.inf):
        target[2, 3] = bad
        for loss in losses:
            given = library.array(target, "float32")
            if bad == 2:
                loss(record, given)
                continue
            message = "target: expected finite values of at least 0, got "
            with pytest.raises(ValueError, match=message):
                loss(record, given)


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_fan_outs_are_not_negative(library: Library) -> None:
    record = library.array(RECORD)
    for bad in (-1.0, np.nan, [1.0, 2.0, 3.0, 4.0, 5.0, -1.0]):
        with pytest.raises(ValueError, match="fan_out: expected finite weights of at least 0"):
            metrics.synaptic_operations(record, bad)


# Options of presets, penalties and stages

CATALOGUE = presets.catalogue() | penalties.catalogue()
OPTIONS = [(name, option) for name, entry in CATALOGUE.items() for option in entry.options]
FREE = ("on", "off", "threshold", "level", "silent")  # which take any finite number


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    return str(raised.value)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_an_error_names_the_option_of_the_preset(name: str, option: str) -> None:
    build = CATALOGUE[name].build
    for bad in (object(), "x", [object()], float("nan"), -float("inf"), -2.5, {}, (None,)):
        right = option == "layers" and bad == "x"
        if right or (bad == -2.5 and takes(name, option)):
            continue
        assert re.match(rf"{option}(\[0\])?: expected ", refused(partial(build, **{option: bad})))


def takes(name: str, option: str) -> bool:
    """Whether -2.5 is in the range of the option."""
    levels = name.startswith("membrane") and option in ("lower", "upper")
    rates = name in ("mse_count", "spike_rate", "mse_temporal", "target_time")
    return levels or (option in FREE and not rates)


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_option_that_there_is_not_is_refused_by_name(name: str) -> None:
    build, options = CATALOGUE[name].build, list(CATALOGUE[name].options)
    for wrong in ("correct_rate", f"{options[0]}s"):
        text = refused(partial(build, **{wrong: 0.8}))
        assert text.startswith(f"{wrong}: expected {', '.join(options[:-1])}")
    assert text.endswith(f"Write {options[0]}.")
    assert refused(lambda: build(0.8)).startswith(f"options: expected options of {name} with")


STAGES = [
    value
    for module in (readouts, criteria, targets, reductions)
    for value in vars(module).values()
    if dataclasses.is_dataclass(value) and isinstance(value, type)
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_stages_refuse_options_by_name(stage: Any) -> None:
    assert refused(lambda: stage(foo=1)).startswith("foo: expected ")
    needed = [field.name for field in dataclasses.fields(stage) if required(field)]
    if needed:
        assert refused(stage).startswith(f"{needed[0]}: expected an option of {stage.__name__}, ")
    assert refused(lambda: stage(*range(9))).startswith("options: expected ")


def required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING


def test_calls_refuse_options_by_name() -> None:
    loss, readout = presets.ce_count(), readouts.SumOverTime()
    calls: list[Callable[..., Any]] = [
        lambda **given: loss(RECORD, LABELS, **given),
        lambda **given: (loss + loss)(RECORD, LABELS, **given),
        lambda **given: loss.predict(RECORD, **given),
        lambda **given: loss.accuracy(RECORD, LABELS, **given),
        lambda **given: loss.stream(LABELS, **given),
        lambda **given: loss.fold(LABELS, **given),
        lambda **given: readout(RECORD, **given),
        lambda **given: metrics.firing_rates(RECORD, **given),
        lambda **given: metrics.accuracy(readout, RECORD, LABELS, **given),
        lambda **given: loss.replace(**dict.fromkeys(given, 1)),
    ]
    for call in calls[:-1]:
        text = refused(partial(call, lenghts=LABELS))
        assert text.startswith("lenghts: expected lengths, ")
        assert text.endswith("Write lengths.")
    assert refused(lambda: calls[-1](readouts=1)).endswith("Write readout.")


@pytest.mark.parametrize("name", presets.catalogue())
def test_class_weights_are_taken_where_they_are_listed_and_nowhere_else(name: str) -> None:
    preset = CATALOGUE[name]
    listed = "class_weight" in inspect.signature(preset.build).parameters
    assert listed == ("class_weight" in preset.options) == (name not in UNLABELLED)
    if listed:
        loss = preset.build(class_weight=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
        record = RECORD[0] if loss.main.readout.timeless else RECORD
        assert np.isfinite(loss(record, LABELS))
    else:
        text = refused(lambda: preset.build(class_weight=(1, 2)))
        assert text.startswith("class_weight: expected ")
        assert text.endswith(". Weigh samples with sample_weight.")


# Streams and sums


def test_a_stream_goes_on_with_its_own_library_and_state() -> None:
    record, labels = torch.tensor(RECORD), torch.tensor(LABELS)
    count = presets.ce_count()
    stream = count.stream(labels).step(record[0])
    assert refused(lambda: stream.step(RECORD[1])).startswith("record: expected a torch tensor")
    both = (count + presets.mse_count()).stream(labels)
    both.state = stream.state
    text = "state: expected a state of 2 losses, got one of 1. Go on with the losses that made it."
    assert refused(lambda: both.step(record[1])) == text
    assert refused(both.value) == text
    fold = count.fold(labels)
    assert refused(lambda: fold.step("state", record[1])).startswith("state: expected the state")


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_arrays_and_losses_have_no_sum(library: Library) -> None:
    for array in (library.array(np.zeros(2)), library.array(np.zeros(()))):
        for call in (lambda a: a + presets.ce_count(), lambda a: presets.ce_count() + a):
            with pytest.raises(TypeError):
                call(array)
    assert sum([presets.ce_count()]) == presets.ce_count()


@pytest.mark.alike
def test_every_public_subpackage_is_there_and_brings_no_framework() -> None:
    code = (
        "import sys, spikeloss\n"
        "spikeloss.distances.van_rossum, spikeloss.compat, spikeloss.readouts\n"
        "assert not {'torch', 'jax'} & set(sys.modules)\n"
        "assert not hasattr(spikeloss, 'nothing')\n"
        "spikeloss.torch_metrics.Accuracy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
