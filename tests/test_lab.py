"""The workbench: the same seed gives the same numbers, and no finished run is ever lost."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

import spikeloss as sl
from spikeloss.lab import data, environment, files, metrics, store, summary, winners
from spikeloss.lab.errors import InputError, TrainingError
from spikeloss.lab.files import slug
from spikeloss.lab.objectives import defaults, find
from spikeloss.lab.recipe import Comparison, Recipe
from spikeloss.lab.runs import Run
from spikeloss.lab.training import fit

QUICK = Recipe(epochs=2, steps=5, hidden=16, batch_size=128)
COMPARISON = Comparison(
    Recipe(epochs=6, steps=5, hidden=16), ("ce_count", "mse_membrane(on=1, off=-1)"), seeds=3
)


def numbers(run):
    """A run without its times, which differ whenever it is repeated."""
    curve = tuple(replace(epoch, seconds=0.0, objective_seconds=0.0) for epoch in run.curve)
    return replace(run, curve=curve, seconds_per_epoch=0.0, objective_share=0.0)


class Samples(NamedTuple):
    """All samples of a split at once."""

    inputs: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray | None


def loaded(name, steps):
    """A data set with all its inputs at once."""
    found = data.load(data.DataRecipe(name, steps))
    train, test = (Samples(*part.take(np.arange(len(part)))) for part in (found.train, found.test))
    return found._replace(train=train, test=test)


# ---- training


def test_the_same_seed_gives_the_same_numbers():
    first, again, other = (fit(QUICK, find("ce_count"), seed) for seed in (0, 0, 1))
    assert numbers(first) == numbers(again)
    assert first.curve[-1].loss != other.curve[-1].loss


def test_training_leaves_the_global_generator_and_threads_alone():
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    fit(QUICK, find("ce_count"), 0)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", defaults())
def test_every_objective_learns(name):
    run = fit(replace(QUICK, epochs=3, steps=8, hidden=32, batch_size=64), find(name), 0)
    assert run.curve[-1].loss < run.curve[0].loss
    assert run.accuracy > 0.5
    assert run.accuracy == run.curve[-1].accuracy
    assert 0 < run.firing_rate < 1
    assert 0 < run.hidden_rate < 1
    assert 0 <= run.decision_step < 8
    assert 0 < run.objective_share < 1


def test_another_criterion_is_trained_under_equal_conditions():
    same = fit(QUICK, find("mse_count"), 0, criterion=lambda x, y, n: sl.presets.mse_count()(x, y))
    assert numbers(same) == numbers(fit(QUICK, find("mse_count"), 0))


def test_steps_after_the_length_do_not_count():
    seen = []

    def criterion(record, labels, lengths):
        seen.append((record.shape, lengths.min().item(), lengths.max().item()))
        return sl.presets.ce_count()(record, labels, lengths=lengths)

    run = fit(replace(QUICK, data="digits-cut"), find("ce_count"), 0, criterion=criterion)
    assert {(shape[0], low, high) for shape, low, high in seen} == {(5, 3, 5)}
    assert run.sample.steps == loaded("digits-cut", 5).test.lengths[0]
    assert len(run.sample.membrane) == run.sample.steps
    assert all(step < run.sample.steps for step, _ in run.sample.hidden + run.sample.output)


def test_a_diverging_training_says_so():
    with pytest.raises(TrainingError) as raised:
        fit(QUICK, find("ce_count"), 3, criterion=lambda x, y, n: x.sum() * float("nan"))
    message = "ce_count, seed 3: the loss became nan. Lower --learning-rate."
    assert str(raised.value) == message


def test_a_run_survives_json():
    run = fit(replace(QUICK, epochs=1), find("ce_temporal"), 0)
    assert Run.from_dict(json.loads(json.dumps(run.as_dict()))) == run


# ---- objectives, data, metrics


def test_the_default_objectives_are_those_of_snntorch():
    assert set(defaults()) == {
        "ce_rate", "ce_count", "ce_max_membrane", "mse_count", "mse_membrane", "mse_temporal",
        "ce_temporal",
    }  # fmt: skip


def test_an_objective_is_spelled_with_its_options():
    objective = find(" mse_temporal( tolerance=2.0,on=(0, 3), off=(-2, -1)) ")
    assert objective.spelling == "mse_temporal(tolerance=2.0, on=(0, 3), off=(-2, -1))"
    assert objective.loss == sl.presets.mse_temporal(on=(0, 3), off=(-2, -1), tolerance=2.0)
    assert find(objective.spelling) == objective
    assert find("mse_membrane").reads == "membrane"
    assert find("ce_count").reads == "spikes"


def test_the_digits_are_standardised_and_always_the_same():
    first, again = loaded("digits", 25), loaded("digits", 3)
    assert first.train.inputs.shape == (1, 1437, 64)
    assert first.test.inputs.shape == (1, 360, 64)
    assert first.train.inputs.mean() == pytest.approx(0, abs=1e-5)
    assert first.train.inputs.std() == pytest.approx(1, abs=1e-5)
    assert np.array_equal(first.test.inputs, again.test.inputs)
    assert np.array_equal(first.test.labels, again.test.labels)
    assert set(first.test.labels) == set(range(first.classes))


def test_the_vowels_are_standardised_and_padded_with_zeros():
    vowels = loaded("japanese-vowels", 31)
    assert vowels.classes == 9
    assert vowels.train.inputs.shape == (31, 270, 12)
    assert vowels.test.inputs.shape == (31, 370, 12)
    assert vowels.train.inputs.dtype == np.float32
    frames = []
    for split in (vowels.train, vowels.test):
        inside = np.arange(31)[:, None] < split.lengths
        assert np.all(split.inputs[~inside] == 0)
        assert np.all(split.inputs[inside].any(axis=1))
        assert set(split.labels) == set(range(9))
        frames.append(split.inputs[inside])
    assert frames[0].mean(axis=0) == pytest.approx(np.zeros(12), abs=1e-5)
    assert frames[0].std(axis=0) == pytest.approx(np.ones(12), abs=1e-5)
    lengths = np.concatenate([vowels.train.lengths, vowels.test.lengths])
    assert (lengths.min(), lengths.max()) == (7, 29)
    assert np.bincount(vowels.train.labels).tolist() == [30] * 9
    assert np.bincount(vowels.test.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]


def test_the_padded_vowels_differ_by_their_lengths_alone():
    cut, padded = (loaded(f"japanese-vowels{end}", 29) for end in ("", "-padded"))
    for split, other in ((cut.train, padded.train), (cut.test, padded.test)):
        assert other.lengths is None
        assert np.array_equal(split.inputs, other.inputs)
        assert np.array_equal(split.labels, other.labels)


def warped(one, others):
    """Dynamic time warping of a sample (29, 12), at every pair of ends, with others (29, B, 12)."""
    cost = np.square(one[:, None, None] - others).sum(axis=-1)
    sums = np.full((len(one) + 1, *cost.shape[1:]), np.inf)
    sums = np.pad(sums, [(0, 0), (1, 0), (0, 0)], constant_values=np.inf)
    sums[0, 0] = 0
    for i, j in np.ndindex(*cost.shape[:2]):
        before = np.minimum(np.minimum(sums[i, j], sums[i, j + 1]), sums[i + 1, j])
        sums[i + 1, j + 1] = cost[i, j] + before
    return sums


@pytest.mark.alike
def test_the_nearest_vowels_are_as_good_as_their_description_says():
    vowels = loaded("japanese-vowels", 29)
    train, test, right = vowels.train, vowels.test, 0
    for sample, label, n in zip(test.inputs.swapaxes(0, 1), test.labels, test.lengths, strict=True):
        ends = warped(sample[:n], train.inputs)[n, train.lengths, np.arange(270)]
        right += train.labels[np.argmin(ends)] == label
    about = " ".join(data.source("japanese-vowels").about.split())
    assert "the nearest training sample by dynamic time warping is of the right speaker" in about
    assert f"for {100 * right / 370:.1f} %" in about


def test_a_data_set_has_steps_and_epochs_of_its_own():
    assert Recipe.of("digits", None, None) == Recipe()
    own = Recipe.of("japanese-vowels", None, None, hidden=8)
    assert (own.steps, own.epochs, own.hidden) == (29, 60, 8)
    asked = Recipe.of("japanese-vowels", 2, 40)
    assert (asked.steps, asked.epochs) == (40, 2)


def test_results_name_the_package_that_holds_the_samples():
    assert "aeon" not in environment.versions()
    assert environment.versions("japanese-vowels").keys() - environment.versions() == {"aeon"}


def test_rates_count_valid_steps_only():
    spikes = np.zeros((4, 2, 3))
    spikes[:, 0, 0] = 2.5  # any non-zero entry is one spike
    spikes[3, 1, 2] = 1
    lengths = np.array([4, 2])
    assert metrics.firing_rate(spikes) == pytest.approx(5 / 24)
    assert metrics.firing_rate(spikes, lengths) == pytest.approx(4 / 18)
    assert metrics.silent_fraction(spikes) == pytest.approx(4 / 6)
    assert metrics.silent_fraction(spikes, lengths) == pytest.approx(5 / 6)
    valid = np.arange(4)[:, None] < lengths
    assert metrics.firing_rate(spikes, valid=valid) == pytest.approx(4 / 18)
    assert metrics.silent_fraction(spikes, valid=valid) == pytest.approx(5 / 6)


def test_rates_of_events_are_exact():
    late = 2**24 + np.arange(3)  # steps that float32 does not tell apart
    events = sl.records.Events(late, 0 * late, 0 * late, shape=(2**25, 1, 2))
    assert metrics.firing_rate(events) == 3 / 2**26
    assert metrics.silent_fraction(events) == 1 / 2


def test_the_decision_step_is_where_the_anytime_decision_stops_changing():
    spikes = np.zeros((6, 4, 2))
    spikes[2:, 0, 1] = 1  # silent, then class 1: decided from step 2
    spikes[[0, 3, 4], 1, [0, 1, 1]] = 1  # class 0, a tie at 3, then class 1: decided from step 4
    spikes[:, 2, 0] = 1  # class 0 from the start; sample 3 never fires

    def steps(**layout):
        found = metrics.decisions(sl.presets.ce_count(), spikes, np.zeros(4, int), layout)
        return np.where(found.decided < 0, -1, found.steps).tolist()

    assert steps() == [2, 4, 0, -1]
    # Sample 1 ends with the tie: class 0 from the start.
    assert steps(lengths=np.array([6, 4, 1, 6])) == [2, 0, 0, -1]


# ---- the folder


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    store.write(tmp_path / "a.json", "old")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old"
    assert [file.name for file in tmp_path.glob("*.json")] == ["a.json"]


def test_a_partial_file_that_stays_harms_no_run(tmp_path, monkeypatch):
    """It may be a link to the run: the next one of a like name is written beside it."""

    def refuse(*_):
        raise OSError

    first, second = (tmp_path / f"{'x' * 40}-{seed}.json" for seed in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        assert files.create(first, "first")
    assert files.create(second, "second")
    assert first.read_text() == "first"


def test_a_finished_run_is_found_again(tmp_path):
    comparison = Comparison(replace(QUICK, epochs=1), ("ce_count", "mse_count(on=0.8)"), seeds=1)
    folder = store.Folder.open(tmp_path / "new" / "folder", comparison)
    assert folder.missing() == [("ce_count", 0), ("mse_count(on=0.8)", 0)]
    run = fit(comparison.recipe, find("mse_count(on=0.8)"), 0)
    folder.save(run)
    again = store.Folder.open(folder.path, comparison)
    assert again.missing() == [("ce_count", 0)]
    (kept,) = (folder.path / "runs").glob("*.json")
    assert re.fullmatch(r"mse_count-on=0\.8-[0-9a-f]{12}-0\.json", kept.name)


@pytest.fixture(scope="module")
def first_run():
    """The first run of the comparison."""
    return fit(COMPARISON.recipe, find("ce_count"), 0)


def test_another_recipe_is_never_mixed_in(tmp_path, first_run):
    asked = replace(COMPARISON, recipe=replace(COMPARISON.recipe, steps=9))
    store.Folder.open(tmp_path, asked)  # without a finished run a folder is free
    store.Folder.open(tmp_path, COMPARISON).save(first_run)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(InputError) as raised:
        store.Folder.open(tmp_path, asked)
    assert str(raised.value) == (
        f"--out: expected a new folder or one of this very comparison, got {tmp_path}, made with "
        "steps 5 (now 9). Name another folder with --out, or repeat what made this one."
    )
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_run_of_another_recipe_is_not_overwritten(tmp_path, first_run):
    late = store.Folder.open(
        tmp_path, replace(COMPARISON, recipe=replace(COMPARISON.recipe, steps=9))
    )
    store.Folder.open(tmp_path, COMPARISON).save(first_run)
    file = late.file("ce_count", 0)
    before = file.read_bytes()
    with pytest.raises(InputError, match=re.escape("steps 5 (now 9)")):
        late.save(first_run)
    assert file.read_bytes() == before


def test_a_comparison_grows(tmp_path, first_run):
    folder = store.Folder.open(tmp_path, COMPARISON)
    folder.save(first_run)
    other = replace(COMPARISON, objectives=("mse_count", "ce_count"), seeds=2)
    grown = store.Folder.open(tmp_path, other)
    assert grown.comparison.objectives == (*COMPARISON.objectives, "mse_count")
    assert grown.comparison.seeds == COMPARISON.seeds
    assert grown.missing() == [run for run in grown.comparison.runs() if run != ("ce_count", 0)]
    assert store.Folder.open(tmp_path, COMPARISON).comparison == grown.comparison
    more = store.Folder.open(tmp_path, replace(COMPARISON, seeds=5))
    assert (more.comparison.seeds, len(more.missing())) == (5, 14)


def test_code_that_a_configuration_names_is_not_run(tmp_path, first_run):
    """Only what this command names; a finished run of it need not be named again."""
    mine = replace(COMPARISON, objectives=("os:system", "ce_count"), seeds=1)
    store.Folder.open(tmp_path, mine).save(first_run)
    asked = replace(COMPARISON, objectives=("ce_count",), seeds=1)
    with pytest.raises(InputError) as raised:
        store.Folder.open(tmp_path, asked)
    assert str(raised.value).startswith("--objective: expected os:system again, which is to be")
    assert len(store.Folder.open(tmp_path, mine).missing()) == 1
    file = store.Folder(tmp_path, mine).file("os:system", 0)
    file.write_text(store.Folder(tmp_path, mine).file("ce_count", 0).read_text())
    assert store.Folder(tmp_path, mine).missing() == []


def test_other_versions_are_another_comparison(tmp_path, monkeypatch, first_run):
    store.Folder.open(tmp_path, COMPARISON).save(first_run)
    monkeypatch.setattr(store, "versions", lambda *known: {"torch": "0.0"})
    with pytest.raises(InputError, match=re.escape("(now 0.0)")):
        store.Folder.open(tmp_path, COMPARISON)


def test_a_damaged_run_is_named(tmp_path):
    folder = store.Folder.open(tmp_path, replace(COMPARISON, objectives=("ce_count",), seeds=1))
    file = tmp_path / "runs" / "ce_count-0.json"
    store.write(file, "{")
    with pytest.raises(InputError) as raised:
        folder.runs()
    assert str(raised.value) == (
        f"--out: expected files of a comparison, got {file}, damaged. "
        "Move it away and repeat the command; what is finished is kept."
    )


# ---- a whole comparison, in processes of its own


def command(out, *more):
    words = shlex.split(COMPARISON.command())[1:]
    return [sys.executable, "-m", "spikeloss.cli", *words, "--out", str(out), *more]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A comparison that nothing interrupted."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    subprocess.run(command(out), check=True, capture_output=True)
    return out


def runs_in(out):
    return {
        file.name: numbers(Run.from_dict(json.loads(file.read_text())))
        for file in (out / "runs").glob("*.json")
    }


def wait_for(condition, seconds=300):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@contextmanager
def started(words):
    """A process, killed if the test fails before it ends."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks processes up in /proc")
def test_an_interrupted_comparison_continues_to_the_same_result(finished, tmp_path):
    out = tmp_path / "out"

    def kept():
        return {file: file.stat().st_mtime_ns for file in (out / "runs").glob("*.json")}

    with started(command(out, "--workers", "1")) as killed:
        wait_for(kept)
        orphans = children(killed.pid)
        killed.kill()
        killed.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    after_kill = kept()
    assert 0 < len(after_kill) < 6

    with started(command(out, "--workers", "1")) as stopped:
        wait_for(lambda: len(kept()) > len(after_kill))
        stopped.send_signal(signal.SIGINT)
        printed, complaint = stopped.communicate()
    after_interrupt = kept()
    assert stopped.returncode == 130, complaint
    assert printed == ""
    assert complaint.splitlines()[-1] == (
        f"interrupted: {len(after_interrupt)} of 6 runs are finished and kept in {out}; "
        "the same command continues."
    )
    assert "Traceback" not in complaint

    subprocess.run(command(out, "--workers", "1"), check=True, capture_output=True)
    assert kept().items() >= after_interrupt.items() >= after_kill.items()
    assert len(kept()) == 6
    assert runs_in(out) == runs_in(finished)


@pytest.mark.slow
def test_results_hold_everything_needed_to_repeat_them(finished):
    result = json.loads((finished / "results.json").read_text())
    assert result["config"]["recipe"]["epochs"] == 6
    assert result["config"]["seeds"] == 3
    assert result["command"] == COMPARISON.command()
    assert result["versions"]["torch"] == torch.__version__
    assert set(result) >= {"commit", "machine", "summary", "runs"}
    assert [(run["objective"], run["seed"]) for run in result["runs"]] == [
        (name, seed) for name in COMPARISON.objectives for seed in range(3)
    ]
    assert [len(run["curve"]) for run in result["runs"]] == [6] * 6
    best = result["summary"][0]
    own = [run["accuracy"] for run in result["runs"][:3]]
    assert best["accuracy"] == pytest.approx(np.mean(own))
    assert best["accuracy_spread"] == pytest.approx(np.std(own, ddof=1))


@pytest.mark.slow
def test_the_table_is_tidy(finished):
    with (finished / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    result = json.loads((finished / "results.json").read_text())
    assert [float(row["accuracy"]) for row in rows] == [run["accuracy"] for run in result["runs"]]
    for row in rows:
        assert row["hidden"] == "16"
        assert row["torch"] == torch.__version__
        assert len(row["curve"].split()) == len(row["loss_curve"].split()) == 6


class Page(HTMLParser):
    """Collects what a page loads, and its words."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.words = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.words += data


@pytest.mark.slow
def test_the_report_needs_nothing_else(finished):
    text = (finished / "report.html").read_text()
    page = Page(text)
    assert page.tags.count("img") == 7  # three of all; a raster and a matrix per objective
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"https?://|@import|url\(|<script |<link", text)
    for name in COMPARISON.objectives:
        assert name in page.words
        assert find(name).preset.formula in page.words
    assert COMPARISON.command() in page.words


@pytest.mark.slow
def test_the_pictures_are_pictures(finished):
    names = {file.name for file in finished.glob("*.png")}
    slugs = [slug(name) for name in COMPARISON.objectives]
    each = {f"{kind}-{name}.png" for kind in ("raster", "confusion") for name in slugs}
    assert names == {"curves.png", "anytime.png", "front.png"} | each
    for name in names:
        assert (finished / name).read_bytes().startswith(b"\x89PNG")


# ---- summaries


def test_one_seed_has_no_spread_and_silence_no_decision_step():
    run = fit(replace(QUICK, epochs=1), find("ce_count"), 0)
    silent = replace(run, decision_step=None, right_step=None, accuracy=0.5)
    (row,) = summary.summarise([silent])
    assert row.accuracy_spread is None
    cells = dict(zip([x.name for x in summary.COLUMNS], summary.cells(row)[1:], strict=True))
    assert cells["accuracy %"] == "50.0"
    assert cells["decision step"] == cells["right step"] == "never"
    assert "earliest right decision" not in dict(winners.findings([silent]))
