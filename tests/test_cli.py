"""The command line: what it prints, and every mistake in one line with exit code 2."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from fuzzing import PAIRED
from typer.testing import CliRunner

import spikeloss as sl
from spikeloss import penalties
from spikeloss._install import hint
from spikeloss.compat import snntorch
from spikeloss.lab import families, peers
from spikeloss.lab.commands import app
from spikeloss.lab.objectives import find
from spikeloss.presets import catalogue
from spikeloss.records import Times

TINY = ["--epochs", "1", "--steps", "3", "--hidden", "4", "--batch-size", "512"]


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def printed(*words):
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def said(*words):
    """The one line that a mistake is answered with."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


# ---- list and show


def test_list_shows_every_preset():
    presets = json.loads(printed("list", "--json"))
    assert [preset["name"] for preset in presets] == [*catalogue(), *penalties.catalogue()]
    assert all(preset["formula"] and preset["source"] for preset in presets)
    text = printed("list")
    assert all(name in text for name in (*catalogue(), *penalties.catalogue()))


@pytest.mark.parametrize("name", [*catalogue(), *penalties.catalogue()])
def test_the_example_of_every_preset_runs(name):
    example = json.loads(printed("show", name, "--json"))["example"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(example, {})
    loss, *classes = out.getvalue().splitlines()
    assert np.isfinite(float(loss))
    decides = name in catalogue() and name not in ("ctc", "earth_mover", *PAIRED)
    assert [len(line.split()) for line in classes] == [4] * decides


def test_show_tells_stages_and_options():
    about = json.loads(printed("show", "mse_count(on=0.8)", "--json"))
    loss = sl.presets.mse_count(on=0.8)
    assert about["stages"] == {
        "readout": repr(loss.readout),
        "criterion": repr(loss.criterion),
        "target": repr(loss.target),
        "reduction": repr(loss.reduction),
    }
    assert about["options"] == {
        "on": "0.8",
        "off": "0.0",
        "classes": "None",
        "reduction": "Mean(over='samples')",
        "class_weight": "None",
    }
    text = printed("show", "mse_count(on=0.8)")
    assert about["formula"] in text
    assert "sl.presets.mse_count(on=0.8)" in text
    assert "on = 0.8" in " ".join(text.split())


SUMS = [
    "2*ce_count + 0.1*rate_bounds(upper=0.2)",
    "ce_count + 0.5*membrane_bounds(upper=2.0)",
    "mse_membrane(on=2.0) + count_l1(layers=('hidden', 'output'))",
    "0.5*tet + ce_mean",
]


@pytest.mark.parametrize("text", SUMS)
def test_show_tells_every_term_of_a_sum(text):
    about = json.loads(printed("show", text, "--json"))
    assert about["name"] == find(text).spelling
    assert [term["name"] for term in about["terms"]] == re.findall(r"[a-z]\w+(?=[( ]|$)", text)[
        : len(about["terms"])
    ]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(about["example"], {})
    assert np.isfinite(float(out.getvalue().split()[0]))
    shown = " ".join(printed("show", text).split())
    for term in about["terms"]:
        assert " ".join(term["formula"].split()) in shown
        assert term["source"].split(",")[0] in shown
        assert all(f"{name} = {value}" in shown for name, value in term["options"].items())


@pytest.mark.parametrize(
    ("name", "ours", "line"),
    [
        ("mse_spikerate", "spike_rate", "mse_spikerate is Spyx's name for spike_rate"),
        ("snntorch.functional.ce_rate_loss", "ce_rate", "snnTorch's name for ce_rate"),
        ("mse_spikerate", "spike_rate", "target=OnOff(0.25 * T)"),
        ("peakloss", "peak", "PeakLoss is Rockpool's name for peak"),
        ("loss_stacks.MaxOverTimeFocalLoss", "focal_max_membrane", "it is ours / N"),
        ("ttfs_loss", "ttfs_ce", "its sign is reversed"),
    ],
)
def test_names_of_other_packages_are_answered_with_ours(name, ours, line):
    about = json.loads(printed("show", name, "--json"))
    assert about["name"] == ours
    assert line in about["known_as"][0]
    assert line in printed("show", name)


def test_names_of_other_packages_lead_to_what_there_is():
    known = catalogue() | penalties.catalogue()
    for peer in peers.PEERS:
        assert peer.ours in known
        assert peers.known(peer.name.upper())
    names = {name for name in vars(snntorch) if name.endswith("_loss")}
    assert names <= {peer.name for peer in peers.PEERS}


def listed(*words):
    return [preset["name"] for preset in json.loads(printed("list", *words, "--json"))]


def test_every_objective_has_a_family():
    presets = json.loads(printed("list", "--json"))
    assert {preset["family"] for preset in presets} == set(families.FAMILIES)
    text = printed("list")
    assert all(f"{name}: " in text for name in families.FAMILIES)


def test_list_finds_families_words_and_what_is_read():
    assert listed("penalties") == [*penalties.catalogue()]
    assert listed("time")[0] == "mse_temporal"
    assert {"tet", "peak", "ttfs_early_ce"} <= set(listed("sums"))
    assert listed("time", "sum") == ["ttfs_early_ce", "ttfs_membrane_ce"]
    assert all(catalogue()[name].reads == "membrane" for name in listed("membrane"))
    assert "membrane_bounds" in listed("--reads", "membrane")
    assert "ce_count" not in listed("--reads", "membrane")
    assert listed("Rockpool") == ["peak", "binary_peak", "mse_signal"]
    assert listed("mse_spikerate") == ["spike_rate"]
    assert said("list", "zzz").startswith("error: list: expected words that an objective has, got")
    assert said("list", "--reads", "zzz").startswith("error: --reads: expected spikes or membrane")


def test_version_and_module():
    assert printed("--version") == f"spikeloss {sl.__version__}\n"
    words = [sys.executable, "-m", "spikeloss", "--version"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"spikeloss {sl.__version__}\n")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("show mse_c", ["mse_count"]),
        ("compare --objective ce_count+0.1*rate_b", ["ce_count+0.1*rate_bounds"]),
        ("train --objective kd_", ["kd_logits", "kd_steps"]),
        ("list ti", ["time"]),
        ("list --reads m", ["membrane"]),
        ("train --neuron s", ["synaptic"]),
        ("comp", ["compare"]),
    ],
)
def test_a_shell_completes(words, completed):
    asked = {"_SPIKELOSS_COMPLETE": "complete_bash", "COMP_WORDS": f"spikeloss {words}"}
    known = os.environ | asked | {"COMP_CWORD": str(len(words.split()))}
    command = [sys.executable, "-m", "spikeloss"]
    done = subprocess.run(command, capture_output=True, text=True, env=known)
    assert done.stdout.split() == completed


def test_without_a_command_it_prints_its_help():
    assert "compare" in printed()


# ---- score


@pytest.fixture
def recording(tmp_path):
    """T=7 B=5 N=6; sample 3 is silent."""
    rng = np.random.default_rng(0)
    arrays = {
        "spikes": rng.random((7, 5, 6)) < 0.3,
        "membrane": rng.normal(size=(7, 5, 6)),
        "labels": rng.integers(0, 6, 5),
        "lengths": np.array([7, 3, 5, 7, 1]),
    }
    arrays["spikes"][:, 3] = False
    return tmp_path / "record.npz", arrays


def save(recording, **changes):
    file, arrays = recording
    np.savez(file, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return file


@pytest.mark.parametrize("lengths", [True, False])
def test_score_is_what_the_loss_says(recording, lengths):
    file = save(recording) if lengths else save(recording, lengths=None)
    arrays = recording[1]
    n = {"lengths": arrays["lengths"]} if lengths else {}
    rows = {row["objective"]: row for row in json.loads(printed("score", file, "--json"))["scores"]}
    assert list(rows) == list(catalogue())
    for name in ("ce_rate", "ce_count", "ce_max_membrane", "mse_membrane", "ce_temporal"):
        loss, row = catalogue()[name].build(), rows[name]
        record = arrays[loss.reads]
        assert row["loss"] == float(loss(record, arrays["labels"], **n))
        assert row["accuracy"] == pytest.approx(float(loss.accuracy(record, arrays["labels"], **n)))
        assert row["abstained"] == np.mean(loss.predict(record, **n) == -1)
        assert row["why_not"] is None
    assert rows["ce_count"]["abstained"] >= 0.2


def test_score_says_why_an_objective_does_not_apply(recording):
    file = save(recording, membrane=None, labels=np.zeros((7, 5), int))
    result = json.loads(printed("score", file, "--json"))
    reasons = {row["objective"]: row["why_not"] for row in result["scores"]}
    assert reasons["ce_rate"] is None
    assert reasons["ce_max_membrane"] == "it reads membrane, which the file does not hold"
    assert reasons["cross_entropy"] == "its record has no time axis"
    assert reasons["ce_count"].startswith("target: expected 5 labels")
    text = printed("score", file)
    words = " ".join(text.split())
    assert "does not apply, as its record has no time axis: cross_entropy" in words
    assert "does not apply, as it reads membrane, which the file does not hold: ce_max" in words


def test_score_measures_activity(recording):
    result = json.loads(printed("score", save(recording, lengths=None), "--json"))
    spikes = recording[1]["spikes"]
    assert result["shape"] == [7, 5, 6]
    assert result["activity"] == {
        "firing_rate": pytest.approx(spikes.mean()),
        "silent_fraction": pytest.approx(1 - spikes.any(axis=0).mean()),
    }
    without = json.loads(printed("score", save(recording, spikes=None), "--json"))
    assert without["activity"] is None


def test_score_takes_objectives_with_options_and_sums(recording):
    file, arrays = save(recording), recording[1]
    sums = "ce_count + 0.5*membrane_bounds(upper=0.5) + 0.1*count_l1"
    words = ["--objective", "mse_count(on=0.8)", "--objective", sums, "--objective", "count_l1"]
    hidden = "ce_count + count_l1(layers='hidden')"
    rows = json.loads(printed("score", file, *words, "--objective", hidden, "--json"))["scores"]
    y, n = arrays["labels"], {"lengths": arrays["lengths"]}
    assert rows[0]["objective"] == "mse_count(on=0.8)"
    assert rows[0]["loss"] == float(sl.presets.mse_count(on=0.8)(arrays["spikes"], y, **n))
    whole = (
        sl.presets.ce_count(layers="s")
        + 0.5 * penalties.membrane_bounds(upper=0.5, layers="u")
        + 0.1 * penalties.count_l1(layers="s")
    )
    both = {"s": arrays["spikes"], "u": arrays["membrane"]}
    assert rows[1]["loss"] == pytest.approx(float(whole(both, y, **n)))
    assert rows[1]["accuracy"] == np.mean(whole.predict(both, **n) == y)
    assert [row["why_not"] for row in rows[2:]] == [
        "it is a penalty alone",
        "it reads hidden, which the file does not hold",
    ]
    assert said("score", file, "--objective", "zzz").startswith("error: objective: expected a name")


@pytest.mark.parametrize("events", [False, True])
def test_score_by_step_is_what_the_metrics_say(recording, events):
    arrays = recording[1]
    changes = events_of(arrays["spikes"]) if events else {}
    file = save(recording, **changes, membrane=None)
    words = ["--objective", "ce_count", "--objective", "ce_max_membrane", "--by-step"]
    rows = json.loads(printed("score", file, *words, "--json"))["scores"]
    count, n = sl.presets.ce_count(), {"lengths": arrays["lengths"]}
    curve = sl.metrics.anytime_accuracy(count, arrays["spikes"], arrays["labels"], **n)
    assert rows[0]["accuracy_by_step"] == pytest.approx(curve)
    latency = sl.metrics.decision_latency(count, arrays["spikes"], **n)
    assert rows[0]["decision_step"] == pytest.approx(float(latency))
    assert rows[1]["accuracy_by_step"] is None
    text = " ".join(printed("score", file, "--by-step").split())
    assert "after n: the accuracy of what the first n steps alone decide." in text


def test_spikes_that_are_none_are_doubted(recording):
    spikes = recording[1]["spikes"]
    for changed, word in ((spikes * 0.5, "graded, such as 0.5"), (spikes - 0.5, "negative")):
        file = save(recording, spikes=changed)
        result = run("score", file)
        assert result.exit_code == 0
        assert result.stderr.startswith(f"warning: spikes: some are {word}")
        assert json.loads(printed("score", file, "--json"))["doubts"]
    assert json.loads(printed("score", save(recording), "--json"))["doubts"] == []


BAD_ARRAYS = [
    (
        {"labels": np.zeros(7, int), "lengths": None},
        "labels: expected shape (5,) or (7, 5), got shape (7,), as if samples came first. "
        "Save numpy.swapaxes(spikes, 0, 1), steps first.",
    ),
    (
        {"spikes": np.zeros((7, 30))},
        "spikes: expected shape (steps, samples, neurons), got shape (7, 30). "
        "Reorder or add axes with numpy.moveaxis or numpy.expand_dims.",
    ),
    (
        {"spikes": np.zeros((7, 5, 2, 3, 4))},
        "spikes: expected shape (steps, samples, neurons), got shape (7, 5, 2, 3, 4). "
        "Flatten the axes of neurons, as in spikes.reshape(7, 5, -1).",
    ),
    (
        {"spikes": np.zeros((7, 0, 6))},
        "spikes: expected shape (steps, samples, neurons), got shape (7, 0, 6). "
        "Reorder or add axes with numpy.moveaxis or numpy.expand_dims.",
    ),
    (
        {"spikes": np.zeros((7, 5, 6), complex)},
        "spikes: expected real numbers, got complex128. Cast it with astype(float).",
    ),
    (
        {"membrane": np.zeros((7, 5, 9))},
        "membrane: expected shape (7, 5, 6) like spikes, got shape (7, 5, 9). "
        "Record both from the same samples.",
    ),
    (
        {"labels": np.zeros(4, int)},
        "labels: expected shape (5,) or (7, 5), got shape (4,). Save one per sample.",
    ),
    ({"labels": np.zeros(5)}, "labels: expected integers, got float64. Cast it with astype(int)."),
    (
        {"labels": np.array([0, 1, 2, 3, 6])},
        "labels: expected values from 0 to 5, got 0 to 6. "
        "Samples and neurons are numbered from 0, lengths counted from 1.",
    ),
    (
        {"lengths": np.array([7, 7, 7, 7, 0])},
        "lengths: expected values from 1 to 7, got 0 to 7. "
        "Samples and neurons are numbered from 0, lengths counted from 1.",
    ),
    (
        {"lengths": np.full(3, 7)},
        "lengths: expected shape (5,), got shape (3,). Save one per sample.",
    ),
    (
        {"valid": np.ones((7, 5), bool)},
        "valid: expected one of lengths and valid, got both. Drop one of them.",
    ),
    (
        {"lengths": None, "valid": np.ones((5, 7), bool)},
        "valid: expected shape (7, 5), got shape (5, 7). Save one per step and sample.",
    ),
    (
        {"lengths": None, "valid": np.ones((7, 5))},
        "valid: expected bools, got float64. Cast it with astype(bool).",
    ),
    (
        {"lengths": None, "valid": np.arange(35).reshape(7, 5) % 5 != 2},
        "valid: expected a valid step in every sample, got none in some. Drop the empty samples.",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ARRAYS)
def test_a_wrong_array_is_named(recording, changes, message):
    assert said("score", save(recording, **changes)) == f"error: {message}"


EVENTS = {
    "spikes": None,
    "membrane": None,
    "time": np.array([0, 2, 6, 6, 9]),
    "sample": np.array([0, 0, 4, 1, 1]),
    "neuron": np.array([5, 0, 2, 2, 2]),
    "shape": np.array([7, 5, 6]),
}
BAD_EVENTS = [
    (
        {"shape": np.array([7, 30])},
        "shape: expected 3 whole numbers of at least 1, (steps, samples, neurons), got [7, 30]. "
        "Save that of the whole record.",
    ),
    (
        {"shape": np.array([7, 0, 6])},
        "shape: expected 3 whole numbers of at least 1, (steps, samples, neurons), got [7, 0, 6]. "
        "Save that of the whole record.",
    ),
    (
        {"shape": np.zeros((7, 5, 6))},
        "shape: expected 3 whole numbers of at least 1, (steps, samples, neurons), "
        "got shape (7, 5, 6). Save that of the whole record.",
    ),
    (
        {"time": np.zeros((5, 1))},
        "time: expected one axis, an entry per event, got shape (5, 1). Flatten the events.",
    ),
    (
        {"time": np.zeros(5, complex)},
        "time: expected real numbers, got complex128. Cast it with astype(float).",
    ),
    (
        {"time": np.array([0.0, np.nan, 1, 2, 3])},
        "time: expected steps from 0, got nan to nan. "
        "Count the first step as 0; drop what is not a number.",
    ),
    (
        {"time": np.array([0, -1, 1, 2, 3])},
        "time: expected steps from 0, got -1 to 3. "
        "Count the first step as 0; drop what is not a number.",
    ),
    (
        {"sample": np.zeros(4, int)},
        "sample: expected shape (5,), got shape (4,). Save one per event.",
    ),
    (
        {"sample": np.zeros(5)},
        "sample: expected integers, got float64. Cast it with astype(int).",
    ),
    (
        {"sample": np.array([1, 2, 3, 4, 5])},
        "sample: expected values from 0 to 4, got 1 to 5. "
        "Samples and neurons are numbered from 0, lengths counted from 1.",
    ),
    (
        {"neuron": np.array([-1, 2, 3, 4, 5])},
        "neuron: expected values from 0 to 5, got -1 to 5. "
        "Samples and neurons are numbered from 0, lengths counted from 1.",
    ),
    (
        {"amplitude": np.ones(4)},
        "amplitude: expected shape (5,), got shape (4,). Save one per event.",
    ),
    (
        {"amplitude": np.ones(5, complex)},
        "amplitude: expected real numbers, got complex128. Cast it with astype(float).",
    ),
    (
        {"membrane": np.zeros((7, 5, 9))},
        "membrane: expected shape (7, 5, 6) like spikes, got shape (7, 5, 9). "
        "Record both from the same samples.",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD_EVENTS)
def test_wrong_events_are_named(recording, changes, message):
    assert said("score", save(recording, **(EVENTS | changes))) == f"error: {message}"


def test_events_are_whole_and_alone(recording):
    file = save(recording, **EVENTS | {"shape": None, "lengths": None})
    assert said("score", file) == (
        f"error: {file}: expected an array `shape` beside the other ones of events, got labels, "
        "time, sample, neuron. Add it in numpy.savez under that name."
    )
    file = save(recording, **EVENTS | {"spikes": recording[1]["spikes"]})
    assert said("score", file) == (
        f"error: {file}: expected spikes as one array or as events, got both. "
        "Keep `spikes` or the events, in a file each."
    )
    printed("score", save(recording, time=np.arange(7) / 1000))  # no events: a time axis


TIMES = {
    "spikes": None,
    "membrane": None,
    "lengths": None,
    "times": np.array([[1.5, 3, 9, 2, 4, 5]] * 4 + [[np.inf] * 6]),
    "end": np.array(9.5),
    "highest": np.full((5, 6), 0.75),
    "slope": np.array(20),
}
BAD_TIMES = [
    ({"times": np.zeros(5)}, "times: expected shape (samples, neurons), got shape (5,). "
     "Save one per output neuron."),
    ({"times": -np.ones((5, 6))}, "times: expected times from 0, infinity for silence, got -1. "
     "Count from the start of the sample."),
    ({"end": np.array(np.inf)}, "end: expected finite times from 0, got inf. "
     "Pass the time of the last step."),
    ({"highest": np.zeros((5, 2))}, "highest: expected shape (5, 6) like times, got shape (5, 2). "
     "Pass one maximum per neuron."),
    ({"slope": np.ones(2)}, "slope: expected shape (), got shape (2,). Save one per file."),
    ({"slope": np.array(-1)}, "slope: expected a finite number of at least 0, got -1.0. "
     "Choose slope >= 0."),
    ({"lengths": np.full(5, 7)}, "lengths: expected nothing beside `times`, got an array. "
     "Drop it."),
    ({"labels": np.zeros((1, 5), int)}, "labels: expected shape (5,), got shape (1, 5). "
     "Save one per sample."),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BAD_TIMES)
def test_wrong_times_are_named(recording, changes, message):
    assert said("score", save(recording, **(TIMES | changes))) == f"error: {message}"


def test_times_score_as_what_they_are(recording):
    """Every preset of first spikes, and no other, as the loss says."""
    file, labels = save(recording, **TIMES), recording[1]["labels"]
    result = json.loads(printed("score", file, "--json", "--by-step"))
    times = Times(TIMES["times"], 9.5, TIMES["highest"], slope=20)
    rows = {row["objective"]: row for row in result["scores"]}
    assert result["shape"] == [1, 5, 6]
    assert result["activity"] is None
    assert {name for name, row in rows.items() if row["why_not"] is None} == {
        "mse_temporal", "ce_temporal", "ttfs_ce", "ttfs_z_ce", "ttfs_early_ce",
        "relative_ttfs_mse", "target_time",
    }  # fmt: skip
    for name, row in rows.items():
        if row["why_not"] is None:
            loss = catalogue()[name].build()
            assert row["loss"] == float(loss(times, labels))
            assert row["accuracy"] == float(loss.accuracy(times, labels))
            assert row["abstained"] == 0.2
    assert rows["ce_count"]["why_not"].startswith("it reads more than first spikes")
    assert rows["ce_max_membrane"]["why_not"].startswith("it reads membrane")
    assert printed("score", file).startswith("first spikes, 5 samples, 6 neurons")
    without = said("score", save(recording, **TIMES | {"end": None}))
    assert "expected a number `end` beside `times`" in without
    printed("score", save(recording, times=np.arange(7) / 1000))  # a time axis beside spikes


def scored(file):
    """The numbers of `score`, rounded; what does not apply has none."""
    result = json.loads(printed("score", file, "--json"))
    for row in result["scores"]:
        row["loss"] = row["loss"] and pytest.approx(row["loss"], rel=1e-6)
    return result


def events_of(spikes):
    time, sample, neuron = np.nonzero(spikes)
    return {
        "spikes": None, "time": time, "sample": sample, "neuron": neuron, "shape": spikes.shape,
    }  # fmt: skip


@pytest.mark.parametrize("layout", ["all", "lengths", "valid"])
@pytest.mark.parametrize("fraction", [0, 0.5])
def test_events_score_as_the_record_they_are(recording, layout, fraction):
    lengths, spikes = recording[1]["lengths"], recording[1]["spikes"]
    steps = {
        "all": {"lengths": None},
        "lengths": {},
        "valid": {"lengths": None, "valid": np.arange(7)[:, None] < lengths},
    }[layout]
    dense = scored(save(recording, **steps, membrane=None))
    events = events_of(spikes)
    events["time"] = np.append(events["time"] + fraction, 7)  # the last one is padding
    events["sample"] = np.append(events["sample"], 0)
    events["neuron"] = np.append(events["neuron"], 0)
    sparse = json.loads(
        printed("score", save(recording, **steps, **events, membrane=None), "--json")
    )
    if fraction:  # times between steps are read as they are
        for result in (dense, sparse):
            by_time = ("temporal", "ttfs", "target_time", "latency")
            result["scores"] = [
                row for row in result["scores"] if not any(w in row["objective"] for w in by_time)
            ]
    assert sparse["scores"] == dense["scores"]
    assert sparse == dense
    rates = {row["objective"]: row["why_not"] for row in sparse["scores"]}
    assert rates["ce_rate"] is None  # it reads every step
    assert rates["ce_count"] is None


def test_valid_steps_score_as_the_record_without_the_others(recording):
    spikes, membrane = recording[1]["spikes"], recording[1]["membrane"]
    keep = np.array([1, 0, 1, 1, 0, 1, 1], bool)
    valid = np.repeat(keep[:, None], 5, axis=1)
    masked = json.loads(printed("score", save(recording, lengths=None, valid=valid), "--json"))
    cut = scored(save(recording, lengths=None, spikes=spikes[keep], membrane=membrane[keep]))
    assert masked["scores"] == cut["scores"]
    assert masked == cut | {"shape": [7, 5, 6]}


def test_amplitudes_of_an_entry_add_up(recording):
    events = EVENTS | {"lengths": None, "time": np.array([0, 0, 6, 6, 9])}
    same = {"sample": np.array([0, 0, 4, 1, 1]), "neuron": np.array([5, 5, 2, 2, 2])}
    amplitude = np.array([1.0, -1.0, 2.0, 0.0, 3.0])  # one entry is left
    file = save(recording, **events | same | {"amplitude": amplitude})
    assert json.loads(printed("score", file, "--json"))["activity"] == {
        "firing_rate": pytest.approx(1 / (7 * 5 * 6)),
        "silent_fraction": pytest.approx(29 / 30),
    }


def test_a_file_without_an_event_is_silent(recording):
    none = {name: np.zeros(0, int) for name in ("time", "sample", "neuron")}
    result = json.loads(printed("score", save(recording, **EVENTS | none), "--json"))
    assert result["activity"] == {"firing_rate": 0.0, "silent_fraction": 1.0}
    rows = {row["objective"]: row for row in result["scores"]}
    assert rows["ce_count"]["abstained"] == 1


def test_events_of_many_steps_are_not_made_dense(recording):
    file = save(recording, **EVENTS | {"shape": np.array([10**7, 5, 6])}, lengths=None)
    reasons = {
        row["objective"]: row["why_not"]
        for row in json.loads(printed("score", file, "--json"))["scores"]
    }
    assert reasons["ce_count"] is None
    assert reasons["ce_temporal"] is None
    assert reasons["ce_rate"] == (
        "it reads every step, and events become a record of at most 100000000 numbers"
    )


def test_a_missing_array_is_named(recording):
    fix = "Add it in numpy.savez under that name."
    file = save(recording, labels=None, lengths=None)
    got = "got spikes, membrane."
    assert said("score", file) == f"error: {file}: expected an array `labels`, {got} {fix}"
    file = save(recording, spikes=None, membrane=None)
    rule = (
        "expected an array `spikes` or `membrane`, or events `time`, `sample`, `neuron` and "
        "`shape`, or `times`, got labels, lengths."
    )
    assert said("score", file) == f"error: {file}: {rule} {fix}"


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    fix = "Write it with numpy.savez(FILE, spikes=..., labels=...)."
    files = [tmp_path / name for name in ("text.npz", "array.npy", "pickle.npz", "empty.npz")]
    files[0].write_text("not an archive")
    np.save(files[1], np.zeros(3))
    np.savez(files[2], spikes=np.array([{}], dtype=object))
    files[3].write_bytes(b"")
    for file in files:
        rule = "expected an .npz archive of plain arrays, got something else."
        assert said("score", file) == f"error: {file}: {rule} {fix}"


def test_a_missing_file_is_named(tmp_path):
    for file, got in (
        (tmp_path / "none.npz", "no such file or directory"),
        (tmp_path, "is a directory"),
    ):
        message = f"error: {file}: expected a file to read, got {got}. Check the path."
        assert said("score", file) == message


# ---- mistakes in options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["show", "ce_rat"],
            "objective: expected a name that `spikeloss list` shows, got 'ce_rat'. "
            "Did you mean ce_rate?",
        ),
        (
            ["show", "ce-count"],
            "objective: expected a name that `spikeloss list` shows, got 'ce-count'. "
            "Did you mean ce_count?",
        ),
        (
            ["show", "mse_spikerat"],
            "objective: expected a name that `spikeloss list` shows, got 'mse_spikerat'. "
            "Did you mean spike_rate, Spyx's mse_spikerate?",
        ),
        (
            ["train", "--objective", "zzz"],
            "objective: expected a name that `spikeloss list` shows, got 'zzz'. "
            "See all with `spikeloss list`.",
        ),
        (
            ["show", "mse_count(0.5"],
            "objective: expected a name, or a name with options, got 'mse_count(0.5'. "
            "Quote it for the shell: 'mse_count(on=0.8, off=0.2)'.",
        ),
        (
            ["show", "mse_count(on=print())"],
            "objective: expected a name, or a name with options, got 'mse_count(on=print())'. "
            "Quote it for the shell: 'mse_count(on=0.8, off=0.2)'.",
        ),
        (
            ["compare", "--objective", "cross_entropy"],
            "objective: expected one that learns labels from records of 25 steps and 10 neurons, "
            "got cross_entropy (its record has no time axis). Choose another with "
            "`spikeloss list`.",
        ),
        (
            ["compare", "--data", "mnist"],
            "--data: expected digits, digits-cut, japanese-vowels, japanese-vowels-padded, "
            "yin-yang, randman, shd, ssc, nmnist, dvs-gesture, a file .npz, .npy, .h5, .hdf5, or "
            "package.module:function, got 'mnist'. Did you mean nmnist?",
        ),
        (
            ["train", "--objective", "ce_count", "--data", "japanese-vowels", "--steps", "25"],
            "--steps: expected at least 29, the frames of the longest sample, got 25. "
            "Drop --steps.",
        ),
        (
            ["compare", "--learning-rate", "2"],
            "--learning-rate: expected a number from 1e-06 to 1, got 2. Try --learning-rate 1e-06.",
        ),
        (
            ["train", "--objective", "ce_rate", "--seed", "-1"],
            "--seed: expected a whole number of at least 0, got -1. Try --seed 0.",
        ),
        (
            ["train"],
            "arguments: expected those of spikeloss train, got: Missing option '--objective'. "
            "See spikeloss train --help.",
        ),
        (
            ["zzz"],
            "arguments: expected those of spikeloss, got: No such command 'zzz'. "
            "See spikeloss --help.",
        ),
    ],
)
def test_a_mistake_is_one_line(words, message):
    result = CliRunner().invoke(app, words, prog_name="spikeloss")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"error: {message}\n"


def test_an_option_that_does_not_fit_is_explained_by_the_library():
    with pytest.raises(ValueError, match=r"^on: expected") as wrong:
        sl.presets.mse_count(on=2)
    assert said("show", "mse_count(on=2)") == (
        f"error: objective: expected options that fit, got mse_count(on=2) "
        f"({str(wrong.value).rstrip('.')}). See `spikeloss show mse_count`."
    )


@pytest.mark.parametrize("option", ["seeds", "epochs", "steps", "hidden", "batch-size", "workers"])
@pytest.mark.parametrize("value", ["0", "-3", "many", "1.5"])
def test_counts_are_whole_and_positive(option, value):
    assert said("compare", f"--{option}", value) == (
        f"error: --{option}: expected a whole number of at least 1, got {value}. Try --{option} 1."
    )


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    (tmp_path / "sub").mkdir()
    new = "--out: expected a new or empty folder"
    fix = "Name another folder with --out."
    assert said("compare", "--out", file) == f"error: {new}, got the file {file}. {fix}"
    got = f"{tmp_path}, which holds other files"
    assert said("compare", "--out", tmp_path) == f"error: {new}, got {got}. {fix}"
    got = f"{file / 'out' / 'config.json'} (Not a directory)"
    assert said("compare", "--out", file / "out") == (
        f"error: --out: expected a place that can be written, got {got}. "
        "Name another place with --out."
    )
    assert file.read_text() == "mine"


# ---- train and compare


def test_train_prints_a_learning_curve_and_saves_it(tmp_path):
    file = tmp_path / "run.json"
    text = printed("train", "--objective", "ce_count", *TINY, "--out", file)
    assert "epoch 1/1" in text
    saved = json.loads(file.read_text())
    again = json.loads(printed("train", "--objective", "ce_count", *TINY, "--json"))
    assert saved["run"]["accuracy"] == again["run"]["accuracy"]
    assert saved["run"]["curve"][0]["loss"] == again["run"]["curve"][0]["loss"]
    assert saved["recipe"] == again["recipe"]
    assert saved["recipe"]["epochs"] == 1


def test_train_overwrites_nothing(tmp_path):
    file = tmp_path / "run.json"
    file.write_text("mine")
    assert said("train", "--objective", "ce_count", *TINY, "--out", file) == (
        f"error: --out: expected a new file, got {file}, which exists. Name another file."
    )
    assert file.read_text() == "mine"


LONG = ["--epochs", "100000", *TINY[2:]]


@pytest.mark.parametrize("keeps", ["--out", "--checkpoint", None])
def test_an_interrupted_training_says_what_it_kept(tmp_path, keeps):
    place = tmp_path / "run.json"
    file = place if keeps == "--checkpoint" else tmp_path / "run.json.safetensors"
    words = [sys.executable, "-m", "spikeloss", "train", "--objective", "ce_count", *LONG]
    words += [keeps, str(place)] if keeps else []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as training:
        for line in training.stdout:
            if "2/100000" in line:
                break
        training.send_signal(signal.SIGINT)
        _, complaint = training.communicate()
    assert training.returncode == 130
    if keeps is None:
        line = "interrupted: nothing is kept; --checkpoint FILE or --out FILE keeps every epoch.\n"
        assert complaint == line
        return
    found = re.fullmatch(
        r"interrupted: (\d+) of 100000 epochs are kept in (.+); the same command continues.\n",
        complaint,
    )
    assert found is not None, complaint
    assert found[2] == str(file)
    assert int(found[1]) >= 2
    assert file.exists()
    assert place.exists() == (keeps == "--checkpoint")


def test_places_that_cannot_be_written_are_found_before_training(tmp_path):
    train = ("train", "--objective", "ce_count", *TINY)
    assert said(*train, "--checkpoint", tmp_path) == (
        f"error: --checkpoint: expected a file, got the folder {tmp_path}. Name a file in it."
    )
    (tmp_path / "file").write_text("mine")
    for option in ("--checkpoint", "--tensorboard"):
        place = tmp_path / "file" / "below"
        found = said(*train, option, place)
        assert found.startswith(
            f"error: {option}: expected a place that can be written, got {place} ("
        )
        assert found.endswith(f"Name another place with {option}.")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    words = ["train", "--objective", "ce_count", *TINY, "--json"]
    kept = ["--checkpoint", tmp_path / "kept.safetensors"]
    first, again = (json.loads(printed(*words, *kept))["run"] for _ in range(2))
    assert first == again  # its times too: nothing was trained again
    printed(*words, *kept, "--out", tmp_path / "run.json")
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_train_writes_curves_for_tensorboard(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    words = ["train", "--objective", "ce_count", *TINY, "--tensorboard", tmp_path, "--json"]
    saved = json.loads(printed(*words))["run"]
    found = accumulator.EventAccumulator(str(tmp_path / "ce_count" / "seed-0"))
    found.Reload()
    (loss,) = found.Scalars("epoch/loss")
    assert (loss.step, loss.value) == (1, pytest.approx(saved["curve"][0]["loss"]))
    (accuracy,) = found.Scalars("final/accuracy")
    assert accuracy.value == pytest.approx(saved["accuracy"])
    result = without(["tensorboard"], *words)
    assert result.stderr.splitlines() == [
        "error: --tensorboard: expected the package tensorboard, got no tensorboard. "
        f"{hint('tensorboard')}"
    ]


@pytest.mark.slow
def test_compare_prints_its_result_and_continues(tmp_path):
    words = ["--objective", "ce_count", "--seeds", "1", "--workers", "1", "--out", tmp_path / "out"]
    result = json.loads(printed("compare", *words, *TINY, "--json"))
    assert [row["objective"] for row in result["summary"]] == ["ce_count"]
    assert result == json.loads((tmp_path / "out" / "results.json").read_text()) | {
        "out": str(tmp_path / "out")
    }
    text = printed("compare", *words, *TINY)
    assert "accuracy" in text
    assert f"report: {tmp_path / 'out' / 'report.html'}" in text.replace("\n", "")
    assert said("compare", *words, *TINY, "--epochs", "2") == (
        "error: --out: expected a new folder or one of this very comparison, got "
        f"{tmp_path / 'out'}, made with epochs 1 (now 2). Name another folder with --out, or "
        "repeat what made this one."
    )


@pytest.mark.slow
def test_compare_describes_the_data_and_takes_its_steps(tmp_path):
    words = ["--objective", "ce_count", "--seeds", "1", "--workers", "1", "--out", tmp_path]
    small = ["--epochs", "1", "--hidden", "4", "--batch-size", "512"]
    text = printed("compare", "--data", "japanese-vowels", *words, *small, "--json")
    result = json.loads(text)
    assert result["config"]["recipe"]["steps"] == 29
    assert "--steps 29" in result["command"]
    assert "aeon" in result["versions"]
    page = " ".join((tmp_path / "report.html").read_text().split())
    assert "Two Japanese vowels said by nine men" in page
    assert "Source: M. Kudo" in page


# ---- what must be installed


def without(modules, *words):
    """The command line in a Python that lacks some modules."""
    code = (
        f"import sys\nfor name in {modules!r}: sys.modules[name] = None\n"
        f"sys.argv = {['spikeloss', *map(str, words)]!r}\n"
        "from spikeloss.cli import main\nmain()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


LAB = ["torch", "snntorch", "sklearn", "matplotlib", "jinja2", "jax"]


@pytest.mark.parametrize("words", [["list"], ["show", "ce_rate"], ["score", None]])
def test_looking_up_and_scoring_need_numpy_only(recording, words):
    words = [word or save(recording) for word in words]
    result = without(LAB, *words)
    assert (result.returncode, result.stderr) == (0, "")
    assert "ce_rate" in result.stdout


@pytest.mark.parametrize(
    ("missing", "words", "what"),
    [
        ("torch", ["compare"], "spikeloss compare: expected the packages of the workbench"),
        ("jinja2", ["train", "--objective", "ce_rate"],
         "spikeloss train: expected the packages of the workbench"),
        ("typer", ["list"], "spikeloss: expected the packages of its command line"),
        ("rich", ["list"], "spikeloss: expected the packages of its command line"),
    ],
)  # fmt: skip
def test_a_missing_extra_names_its_install(missing, words, what):
    result = without([missing], *words)
    assert result.returncode == 2
    assert result.stderr.splitlines() == [f"error: {what}, got no {missing}. {hint('lab')}"]


def test_a_data_set_that_is_not_installed_names_its_package():
    result = without(["aeon"], "train", "--objective", "ce_count", "--data", "japanese-vowels")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"error: --data: expected the package that holds these samples, got no aeon. {hint('data')}"
    ]
    assert without(["aeon"], "compare", "--help").returncode == 0
