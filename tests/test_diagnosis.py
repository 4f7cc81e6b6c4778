"""Diagnoses: every finding on a record that shows it, in every library, and none on healthy ones.

The numbers that a finding says are those of the record, counted here by hand or by loops.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from libraries import JAX, STRICT, TORCH, Array
from typer.testing import CliRunner

import spikeloss
from spikeloss import Loss, diagnose, penalties, presets
from spikeloss.criteria import CrossEntropy
from spikeloss.diagnosis import Diagnosis, Finding
from spikeloss.lab import commands
from spikeloss.presets import Preset, catalogue
from spikeloss.readouts import FirstSpike, Population, of
from spikeloss.records import Events, Packed, Times
from spikeloss.reductions import Mean

T, B, C = 20, 16, 3
LABELS = np.arange(B) % C
RIGHT = LABELS[:, None] == np.arange(C)
STILL = Loss(FirstSpike(code="negative", silent_gradient=False), CrossEntropy(), reads="spikes")
"""Silent neurons get no gradient."""


def healthy(kind: str, rng: np.random.Generator, steps: int, labels: Array, classes: int) -> Array:
    """A record as a trained network gives it: the right neuron is early, and far ahead."""
    right, samples = labels[:, None] == np.arange(classes), len(labels)
    if kind == "logits":
        return np.where(right, 3, 0) + rng.normal(0, 0.7, right.shape)
    if kind == "membrane":
        rise = 1 - np.exp(-(np.arange(steps)[:, None, None] + 1) * 5 / steps)
        noise = rng.normal(0, 0.1, (steps, samples, classes))
        return rise * np.where(right, rng.uniform(0.8, 1.5), rng.uniform(-0.3, 0.2)) + noise
    early, late = (
        rng.integers(0, max(steps // 4, 1), samples),
        rng.integers(steps // 2, steps + 1, right.shape),
    )
    start = np.where(right, early[:, None], late)
    rate = np.where(right, rng.uniform(0.5, 0.9), rng.uniform(0, 0.15))
    fired = rng.random((steps, samples, classes)) < rate
    fired &= np.arange(steps)[:, None, None] >= start
    fired[early, np.arange(samples), labels] = True
    return fired.astype(np.float64)


def target_of(name: str, record: Array, labels: Array, rng: np.random.Generator) -> Array:
    """What a preset learns from, near to what the record gives already."""
    if name == "kd_logits":
        return np.asarray(4 * record.mean(axis=0) + rng.normal(0, 0.05, record.shape[1:]))
    if name == "mse_mean":
        return np.asarray(record.mean(axis=0) + rng.normal(0, 0.05, record.shape[1:]))
    if name in ("poisson_steps", "nearest_spike"):
        return (record > 0.5).astype(float)
    if name in ("kd_steps", "mse_signal", "huber_signal", "log_cosh_signal"):
        return record + rng.normal(0, 0.05, record.shape)
    if name in ("mse_trace", "earth_mover"):
        return np.where(rng.random(record.shape) < 0.05, 1 - record, record)
    if name == "ctc":
        return np.ones((record.shape[1], 1), int)
    if name in ("binary_peak", "bce_mean", "f1_score"):
        return np.eye(record.shape[2])[labels]
    return labels


@pytest.mark.parametrize("preset", catalogue().values(), ids=lambda preset: preset.name)
def test_nothing_is_found_on_healthy_records(preset: Preset) -> None:
    loss = preset.build()
    kinds = {"either": ["spikes", "membrane"]}.get(preset.reads, [preset.reads])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        steps, samples, classes = (int(rng.integers(*ends)) for ends in ((4, 30), (1, 30), (2, 9)))
        samples = steps if seed == 0 else samples
        labels = rng.integers(0, classes, samples)
        for kind in kinds:
            record = healthy(kind, rng, steps, labels, classes)
            target = target_of(preset.name, record, labels, rng)
            found = diagnose(loss, torch.tensor(record), torch.tensor(target))
            assert not found, f"seed {seed}, {kind}: {found}"
            assert found.left_out == ()


def test_nothing_is_found_on_healthy_layers_lengths_and_sums() -> None:
    rng = np.random.default_rng(0)
    record = healthy("spikes", rng, T, LABELS, C)
    hidden = (rng.random((T, B, 40)) < rng.uniform(0, 0.5, 40)).astype(float)
    loss = presets.ce_count().replace(layers="output") + penalties.rate_bounds(layers="hidden")
    assert not diagnose(loss, {"output": record, "hidden": hidden}, LABELS)
    lengths = np.full(B, T // 2)
    padded = np.where(np.arange(T)[:, None, None] < T // 2, record, np.nan)
    whole = presets.ce_count() + 0.1 * penalties.count_l1()
    assert not diagnose(whole, padded, LABELS, lengths=lengths)
    assert not diagnose(whole, padded, LABELS, valid=np.arange(T)[:, None] < lengths)
    assert not diagnose(whole, record.swapaxes(0, 1), LABELS, time_axis=1)
    assert not diagnose(presets.ce_count(), record[:, :0], LABELS[:0])
    membranes = healthy("membrane", rng, T, LABELS, C)
    for penalty in penalties.catalogue().values():  # a satisfied one has no gradient
        assert not diagnose(penalty.build(), record if penalty.reads == "spikes" else membranes)


# A record that shows it, what the finding says, and what its fix names.

SILENT = np.zeros((T, B, C))
ALWAYS = np.ones((T, B, C))
FIRST = np.where(np.arange(C) == 0, 1.0, 0.0) * (np.arange(T) % 2 == 0)[:, None, None] + 0 * SILENT
LAST = SILENT + (np.arange(T)[:, None, None] == T - 1) * RIGHT
STEEP = np.linspace(0, 1, T)[:, None, None] * np.where(RIGHT[:, [1, 2, 0]], 30.0, 0.0)
HALF = np.where((np.arange(B) % 2 == 0)[:, None], 0.0, np.tile(RIGHT, (T, 1, 1)) * 1.0)
HIDDEN = np.zeros((T, B, 10))
HIDDEN[::2, :, :4] = 1
DIVERGED = SILENT + 0.5
DIVERGED[3, 2, 1], DIVERGED[3:, 5, 0] = np.nan, np.inf
MAPS = (np.random.default_rng(0).random((T, B, 2, 3, 4)) < 0.4).astype(float)
SQUARE = (np.random.default_rng(0).random((B, B, C)) < np.where(RIGHT, 0.7, 0.1)).astype(float)
MEMBRANE = np.random.default_rng(0).normal(size=(T, B, C))
LAYERS = presets.ce_count().replace(layers="out") + penalties.rate_bounds(layers="hidden")

ROWS: dict[str, tuple[str, Any, Any, str, str]] = {
    "time axis by shape": (
        "time axis",
        presets.ce_count(),
        FIRST.swapaxes(0, 1),
        f"{B} steps of {T} samples, but there are {B} labels",
        "time_axis=1",
    ),
    "time axis by decisions": (
        "time axis",
        presets.ce_count(),
        SQUARE.swapaxes(0, 1),
        r"of 16 samples of 16 steps [0-9] are decided rightly, but 16 once",
        "time_axis=1",
    ),
    "not flattened": (
        "not flattened",
        presets.ce_count(),
        MAPS,
        r"\(20, 16, 2, 3, 4\) has 5 axes, of which only the last",
        r"class_axis=\(2, 3, 4\)\.",
    ),
    "neither": (
        "not flattened",
        presets.ce_count(),
        MAPS.swapaxes(0, 1),
        r"\(16, 20, 2, 3, 4\) has 5 axes",
        r"class_axis=\(2, 3, 4\) and time_axis=1",
    ),
    "not finite": (
        "not finite",
        presets.ce_max_membrane(),
        DIVERGED,
        f"{1 + T - 3} of the {T * B * C} entries .*, the first at step 3, sample 2, neuron 1",
        "learning rate",
    ),
    "membrane for spikes": (
        "membrane for spikes",
        presets.ce_count(),
        MEMBRANE,
        "100 % of the entries",
        "take a loss that reads the membrane",
    ),
    "spikes for membrane": (
        "spikes for membrane",
        presets.ce_max_membrane(),
        FIRST,
        f"0 or 1, {T // 2 * B} of them 1",
        "take a loss that reads spikes",
    ),
    "silent": (
        "silent",
        presets.ce_count(),
        SILENT,
        "20 steps, 16 samples, 3 neurons.* at 100 % of the steps",
        "lower the threshold",
    ),
    "silent, one step": (
        "silent",
        presets.mse_temporal(),
        SILENT,
        "at 5 % of the steps",
        r"ce_rate \(100 %\), ce_count \(100 %\).*rate_target \(100 %\)",
    ),
    "silent membrane": (
        "silent",
        presets.ce_max_membrane(),
        SILENT,
        "the record is 0 everywhere",
        "input",
    ),
    "silent neurons": (
        "silent neurons",
        presets.ce_count(),
        FIRST,
        "2 of 3 neurons of the record fire in no sample, though the labels of 10 samples .*: 1, 2",
        "count_silence",
    ),
    "silent hidden neurons": (
        "silent neurons",
        LAYERS,
        {"out": HALF[:, ::-1] + FIRST, "hidden": HIDDEN},
        "6 of 10 neurons of the record 'hidden' fire in no sample",
        "count_silence",
    ),
    "silent samples": (
        "silent samples",
        presets.ce_count(),
        HALF,
        "nothing fires in 8 of 16 samples",
        "threshold",
    ),
    "saturated": (
        "saturated",
        presets.ce_count(),
        ALWAYS,
        "all 3 neurons of the record fire at every step of every sample: 0, 1, 2",
        "rate_bounds",
    ),
    "one class": (
        "one class",
        presets.ce_count(),
        FIRST,
        "all 16 samples are decided for class 0, which is the label of 6",
        "bias",
    ),
    "ties": ("ties", presets.ce_count(), ALWAYS, "all 16 samples", "more steps"),
    "last step": ("last step", presets.ce_count(), LAST, "all 16 samples", "tet"),
    "logits too small": (
        "logits too small",
        presets.ce_max_membrane(),
        1e-3 * STEEP / 30,
        "differ by 0.001 at most",
        "Temperature",
    ),
    "logits too large": (
        "logits too large",
        presets.ce_max_membrane(),
        STEEP,
        "in all 16 samples .* by more than 20, up to 30",
        "Temperature",
    ),
    "logits too large by step": (
        "logits too large",
        presets.tet(),
        4 * STEEP,
        "in all 16 samples .* by more than 20, up to 60",
        "Temperature",
    ),
    "no gradient": (
        "no gradient",
        STILL,
        HALF,
        "8 of 16 samples are decided wrongly, and the loss has no derivative above 1e-07",
        r"ce_rate \(100 %\), ce_count \(100 %\) and mse_count \(100 %\) ask for spikes.*"
        r"rate_target \(100 %\) and count_silence \(100 %\)",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_every_finding_is_made_of_a_record_that_shows_it(row: str) -> None:
    name, loss, record, found, fix = ROWS[row]
    as_given = [(record, LABELS)]
    if not isinstance(record, Mapping):
        as_given.append((torch.tensor(record, requires_grad=True), torch.tensor(LABELS)))
    said = [diagnose(loss, *given) for given in as_given]
    first = next(each for each in said[0] if each.name == name)
    assert re.search(found, first.found), first
    assert re.search(fix, first.fix), first
    assert all(each == said[0] for each in said)
    assert str(first) in str(said[0])


def test_every_name_of_the_docstring_has_a_row() -> None:
    listed = re.findall(r"^ {4}- (\w[\w ]*): \w", diagnose.__doc__ or "", re.MULTILINE)
    others = {"loss not finite", "gradient not finite"}
    assert set(listed) == {row[0] for row in ROWS.values()} | others
    assert len(listed) == 17


def test_penalties_say_both_ways_to_read_a_convolution() -> None:
    loss, spikes = penalties.count_l1(), MAPS.sum() / B
    (found,) = diagnose(loss, MAPS)
    assert found.name == "not flattened"
    assert f"{spikes / 6:g} if only the last is, {spikes:g} if all" in found.found
    assert "class_axis=(2, 3, 4)" in found.fix
    assert not diagnose(loss, MAPS, class_axis=(2, 3, 4))


def test_a_loss_and_a_gradient_that_are_not_finite() -> None:
    zero = np.zeros(B)
    weighted = presets.ce_count(reduction=Mean("weights"))
    (found,) = diagnose(weighted, FIRST, LABELS, sample_weight=zero)
    assert (found.name, "no sample counts" in found.found) == ("loss not finite", True)
    huge = np.where((np.arange(B) < 3)[:, None], 1e200, MEMBRANE)
    (found,) = diagnose(presets.mse_membrane(), huge, LABELS)
    assert found.name == "loss not finite"
    assert f"the loss of 3 of {B} samples is not" in found.found
    loss = Loss(of(lambda x: (x.sum(0) - x.sum(0)) ** 0.5 + x.sum(0)), CrossEntropy())
    names = diagnose(loss, torch.tensor(FIRST), torch.tensor(LABELS)).names
    assert names[0] == "gradient not finite"


def test_class_weights_and_ignored_labels_are_no_lack_of_a_gradient() -> None:
    weights = np.where(np.arange(C) == 1, 1.0, 0.0)
    assert "no gradient" in diagnose(STILL, SILENT, LABELS).names
    found = diagnose(STILL, SILENT, LABELS, class_weight=weights)
    assert f"5 of {B} samples" in next(x.found for x in found if x.name == "no gradient")
    loss = STILL.replace(criterion=CrossEntropy(ignore_index=-1))
    labels = np.where(np.arange(B) < 2, LABELS, -1)
    found = diagnose(loss, SILENT, labels)
    assert "all 2 samples" in next(x.found for x in found if x.name == "no gradient")
    assert "no gradient" not in diagnose(STILL + 0.1 * presets.ce_count(), SILENT, LABELS).names


def test_a_penalty_beside_it_and_populations() -> None:
    grouped = STILL.replace(readout=Population(STILL.readout, C))
    record = np.zeros((T, B, 2 * C))
    found = next(x for x in diagnose(grouped, record, LABELS) if x.name == "no gradient")
    assert "ce_count (100 %)" in found.fix
    for penalty in re.findall(r"(\w+) \(100 %\)", found.fix.partition("penalties")[2]):
        both = grouped + penalties.catalogue()[penalty].build()
        assert "no gradient" not in diagnose(both, record, LABELS).names


def test_without_labels_a_loss_that_is_not_0_should_have_a_slope() -> None:
    teacher = np.random.default_rng(0).normal(size=(B, C))
    assert not diagnose(presets.kd_logits(), MEMBRANE, teacher)
    flat = Loss(of(lambda x: 0 * x.sum(0)), CrossEntropy())
    ties, found = diagnose(flat, torch.tensor(MEMBRANE), torch.full((B, C), 1 / C))
    assert (ties.name, found.name) == ("ties", "no gradient")
    assert f"the loss is {math.log(C):.4g}" in found.found


def test_every_form_of_a_record_and_of_a_batch() -> None:
    events = Events(*np.array([[0, 4], [0, 5], [1, 1]]), shape=(T, B, C))
    for record in (events, Packed.pack(events.dense())):
        (found,) = diagnose(presets.ce_count(), record, np.full(B, 1))
        assert found.found == f"nothing fires in {B - 2} of {B} samples of the record."
    two = diagnose(STILL, SILENT.reshape(T, 4, 4, C), LABELS.reshape(4, 4))
    assert two.names == diagnose(STILL, SILENT, LABELS).names
    half = diagnose(presets.ce_count(), FIRST.astype(np.float16), LABELS)
    assert half.names == ("silent neurons", "one class")
    assert diagnose(presets.ce_count(), FIRST.astype(bool), LABELS) == half
    with torch.inference_mode():
        assert diagnose(presets.ce_count(), torch.tensor(FIRST), torch.tensor(LABELS)) == half


@pytest.mark.slow
def test_jax_says_the_same() -> None:
    found = diagnose(STILL, JAX.array(HALF, "float32"), JAX.array(LABELS))
    assert found == diagnose(STILL, TORCH.array(HALF, "float32"), TORCH.array(LABELS))


def test_what_has_no_gradient_is_left_out() -> None:
    found = diagnose(presets.ce_count(), STRICT.array(SILENT), STRICT.array(LABELS))
    assert found.names == ("silent",)
    assert found.left_out == (
        "gradients, which array_api_strict does not have; install PyTorch or JAX",
    )
    summed = Loss(of(lambda x: np.add.reduce(x)), CrossEntropy())  # nothing for tensors
    assert diagnose(summed, FIRST, LABELS).left_out == (
        "gradients, as the loss does not take arrays of a library that has them",
    )


def test_what_is_returned_reads_well() -> None:
    assert str(Diagnosis()) == "nothing found"
    assert not Diagnosis()
    one = Finding("ties", "all of them.", "Break them.")
    found = Diagnosis((one,), ("gradients",))
    assert str(found) == "ties: all of them.\n    Break them.\nleft out: gradients"
    assert (list(found), len(found), found.names) == ([one], 1, ("ties",))
    assert spikeloss.diagnose is diagnose
    assert "diagnose" in dir(spikeloss)


def test_what_a_call_refuses_is_refused() -> None:
    refusals: list[tuple[Callable[[], Any], str]] = [
        (lambda: diagnose(presets.ce_count, FIRST, LABELS), "loss: expected a loss, or a sum"),
        (lambda: diagnose(presets.ce_count(), FIRST, LABELS[:5]), "target: expected 16 labels"),
        (lambda: diagnose(presets.ce_count(), FIRST, LABELS, length=1), "length: expected lengths"),
        (lambda: diagnose(presets.ttfs_ce(), Times(LABELS[:, None], 9.0), 0 * LABELS), "of steps"),
        (lambda: diagnose(LAYERS, {"hidden": MAPS, "out": FIRST}, LABELS), "Pass record"),
    ]
    for call, message in refusals:
        with pytest.raises((TypeError, ValueError), match=re.escape(message)):
            call()


# The command


@pytest.fixture
def run(tmp_path: Any) -> Callable[..., Any]:
    def made(*words: str, **arrays: Any) -> Any:
        file = tmp_path / "my.npz"
        np.savez(file, **arrays)
        wide = {"COLUMNS": "400"}
        return CliRunner(env=wide).invoke(commands.app, ["doctor", str(file), *words])

    return made


def test_doctor_diagnoses_a_file(run: Callable[..., Any]) -> None:
    said = run(spikes=SILENT, membrane=MEMBRANE, labels=LABELS).stdout
    assert said.startswith("ce_count\nsilent: no neuron of the record fires")
    words = ("--objective", "mse_temporal", "--objective", "ctc", "--json")
    result = run(*words, spikes=SILENT, labels=LABELS)
    first, second = json.loads(result.stdout)
    wanted = diagnose(presets.mse_temporal(), SILENT, LABELS)
    assert [Finding(**each) for each in first["findings"]] == list(wanted)
    assert (first["left_out"], first["why_not"]) == ([], None)
    assert second["why_not"] == "its target is no class label"
    several = "ce_count + 0.1*membrane_bounds"
    said = run("--objective", several, spikes=FIRST, membrane=MEMBRANE, labels=LABELS).stdout
    assert "2 of 3 neurons of the record 'output'" in said
    said = run(membrane=STEEP, labels=LABELS).stdout
    assert said.startswith("ce_max_membrane\nlogits too large")
    events = {"time": [0], "sample": [0], "neuron": [0], "shape": (T, B, C)}
    assert "nothing fires in 15 of 16" in run(**events, labels=LABELS).stdout
    padded = {"lengths": np.full(B, 7)}
    assert "nothing found" in run(spikes=np.tile(RIGHT, (T, 1, 1)), labels=LABELS, **padded).stdout


def test_doctor_without_a_file_takes_no_objective() -> None:
    result = CliRunner().invoke(commands.app, ["doctor", "--objective", "ce_count"])
    assert result.exit_code != 0
