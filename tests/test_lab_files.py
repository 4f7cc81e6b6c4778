"""A comparison's folder under damage: every file is its run's own, and nothing finished is lost."""

import itertools
import json
import os
import random
import re
import threading
from dataclasses import replace

import pytest

from spikeloss.lab import files, plots, store, summary, winners
from spikeloss.lab.errors import InputError
from spikeloss.lab.objectives import find
from spikeloss.lab.publishing import publish
from spikeloss.lab.recipe import Comparison, Recipe
from spikeloss.lab.runs import Run
from spikeloss.lab.training import fit

RECIPE = Recipe(epochs=1, steps=3, hidden=4, batch_size=512)
SUM = "mse_count(off=0.1) + 2*ce_rate"
OTHER = "mse_count(off=0.12) + ce_rate"
COMPARISON = Comparison(RECIPE, ("ce_count", SUM), seeds=2)
MOVE = "Move it away and repeat the command; what is finished is kept."


@pytest.fixture(scope="module")
def runs():
    """The runs of the comparison, trained once."""
    return {run: fit(RECIPE, find(run[0]), run[1]) for run in COMPARISON.runs()}


@pytest.fixture
def finished(runs, tmp_path):
    folder = store.Folder.open(tmp_path / "out", COMPARISON)
    for run in runs.values():
        folder.save(run)
    return folder


def refused(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


# ---- names


def test_sums_that_differ_in_signs_only_keep_a_file_each(runs, tmp_path):
    folder = store.Folder.open(tmp_path, Comparison(RECIPE, (SUM, OTHER), seeds=1))
    folder.save(runs[SUM, 0])
    folder.save(replace(runs[SUM, 0], objective=OTHER))
    assert [run.objective for run in folder.runs()] == [SUM, OTHER]
    assert [row.objective for row in summary.summarise(folder.runs())] == [SUM, OTHER]
    assert len(publish(folder)["summary"]) == 2
    assert len(list(tmp_path.glob("raster-*.png"))) == 2


def test_names_of_files_differ_where_objectives_do():
    terms = [
        *("ce_rate", "CE_rate", "mse_count(on=0.8)", "mse_count(on=0.80, off=.1)", "2*ce_rate"),
        *("2e1*ce_rate", "mse_count(on=-1)", "mse_count(on=1)", "../x", "a/b", "a", ".", "", " "),
        *("\u00e9", "e\u0301", "x" * 300, "x" * 301),
    ]
    spellings = terms + [" + ".join(pair) for pair in itertools.product(terms, repeat=2)]
    names = [files.slug(spelling) for spelling in spellings]
    assert len({name.lower() for name in names}) == len(spellings)
    assert all(re.fullmatch(r"[\w.=,+-]{1,60}", name, re.ASCII) for name in names)
    assert files.slug("ce_max_membrane") == "ce_max_membrane"


def test_factors_are_spelled_apart():
    close = find("0.1234567*ce_rate"), find("0.1234568*ce_rate")
    assert close[0].spelling != close[1].spelling
    for objective in close:
        assert find(objective.spelling) == objective
    assert find("10*ce_rate").spelling == "10*ce_rate"


@pytest.mark.parametrize("changes", [{"objective": "ce_rate"}, {"seed": 1}])
def test_a_run_under_the_name_of_another_is_refused(finished, runs, changes):
    file = finished.file("ce_count", 0)
    run = replace(runs["ce_count", 0], **changes)
    file.write_text(json.dumps(run.as_dict()))
    assert refused(store.Folder.open, finished.path, COMPARISON) == (
        f"--out: expected the run of ce_count, seed 0, got that of {run.objective}, seed "
        f"{run.seed}, in {file}. {MOVE}"
    )


def test_a_run_of_another_recipe_is_refused(finished, runs, tmp_path):
    other = store.Folder.open(
        tmp_path / "other", replace(COMPARISON, recipe=replace(RECIPE, beta=0.5))
    )
    other.save(runs["ce_count", 0])
    os.replace(other.file("ce_count", 0), finished.file("ce_count", 0))
    said = refused(store.Folder.open, finished.path, COMPARISON)
    assert "made with beta 0.5 (now 0.9)" in said


# ---- damage

JUNK = (b"", b"null", b"[]", b"{}", b"{", b"1", b'"x"', b"\xff\xfe\x00", b"NaN", b"[" * 10**5,
        b'{"recipe": null, "versions": [], "objective": 3}', b"9" * 5000)  # fmt: skip


def spoil(file, how):
    """A file in another state: other bytes, a folder, or a link to nowhere."""
    file.unlink()
    if isinstance(how, bytes):
        file.write_bytes(how)
    elif how == "folder":
        file.mkdir()
    else:
        file.symlink_to("nowhere")


@pytest.mark.alike
@pytest.mark.parametrize("how", [*JUNK, "folder", "link"], ids=range(len(JUNK) + 2))
@pytest.mark.parametrize("name", ["config.json", "runs/ce_count-0.json"])
def test_a_damaged_file_is_named_and_its_removal_is_enough(finished, how, name):
    file = finished.path / name
    spoil(file, how)
    others = {
        run: finished.file(*run).read_bytes()
        for run in COMPARISON.runs()
        if finished.file(*run) != file
    }
    said = refused(store.Folder.open, finished.path, COMPARISON)
    assert re.match(rf"--out: expected files of a comparison, got {re.escape(str(file))}, ", said)
    assert said.endswith(MOVE)
    os.rename(file, finished.path.parent / "away")
    again = store.Folder.open(finished.path, COMPARISON)
    assert again.missing() == ([] if name == "config.json" else [("ce_count", 0)])
    assert {run: again.file(*run).read_bytes() for run in others} == others
    config = json.loads((again.path / "config.json").read_text())
    assert config["recipe"]["steps"] == 3


def test_a_lost_config_comes_back_for_the_same_recipe_only(finished):
    (finished.path / "config.json").unlink()
    said = refused(
        store.Folder.open, finished.path, replace(COMPARISON, recipe=replace(RECIPE, beta=0.5))
    )
    assert "made with beta 0.9 (now 0.5)" in said
    assert not (finished.path / "config.json").exists()
    assert store.Folder.open(finished.path, COMPARISON).missing() == []


def test_the_folder_of_others_stays_theirs(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "theirs.json").write_text("{}")
    assert "which holds other files" in refused(store.Folder.open, tmp_path, COMPARISON)
    (tmp_path / "config.json").write_text('{"theirs": 1}')
    assert "config.json, damaged" in refused(store.Folder.open, tmp_path, COMPARISON)
    assert (tmp_path / "config.json").read_text() == '{"theirs": 1}'


def test_a_report_that_cannot_be_written_is_found_before_training(finished):
    (finished.path / "results.json").mkdir()
    said = refused(store.Folder.open, finished.path, COMPARISON)
    assert f"{finished.path / 'results.json'}, a folder" in said


def values(tree, path=()):
    """Every place in a JSON value: a path of keys and indices."""
    yield path
    for key in (
        tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    ):
        yield from values(tree[key], (*path, key))


@pytest.mark.alike
def test_a_run_changed_at_random_is_refused_or_drawn(finished, runs):
    """Whatever a file says: a mistake in one line before training, or a report that can be made."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # shown when it fails
    draw = random.Random(seed)
    file, kept = finished.file(SUM, 1), finished.file(SUM, 1).read_text()
    kept_places = [path for path in values(json.loads(kept)) if path]
    said = []
    for _ in range(150):
        run = json.loads(kept)
        *way, last = draw.choice(kept_places)
        place = run
        for key in way:
            place = place[key]
        new = draw.choice([None, -1, 10**30, 1e300, 0.5, True, "x", "", [], {}, [[1]], "[/x]"])
        if draw.random() < 0.3:
            del place[last]
        else:
            place[last] = new
        file.write_text(json.dumps(run))
        try:
            found = store.Folder.open(finished.path, COMPARISON).runs()
        except InputError as wrong:
            said.append(str(wrong))
        else:
            winners.findings(found)
            plots.curves(found, plots.LIGHT)
            plots.raster(found[-1].sample, "membrane", "#000000", plots.DARK)
    assert len(said) > 50
    for line in said:
        assert re.fullmatch(r"--out: expected .+, got .+\. [A-Z].+\.", line, re.DOTALL)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.pop("curve"),
        lambda run: run["sample"].pop("membrane"),
        lambda run: run.update(accuracy=float("nan")),
        lambda run: run.update(accuracy=1.5),
        lambda run: run.update(curve=[]),
        lambda run: run["sample"]["membrane"][0].pop(),
        lambda run: run["sample"].update(hidden=[[0, 99]]),
        lambda run: run["sample"].update(hidden_neurons=10**30),
        lambda run: run["sample"].update(hidden_neurons=-1, hidden=[]),
        lambda run: run["sample"].update(steps=10**30, membrane=[]),
        lambda run: run["sample"].update(label=True),
    ],
)
def test_a_run_that_does_not_fit_together_is_damaged(finished, change):
    file = finished.file("ce_count", 0)
    run = json.loads(file.read_text())
    change(run)
    file.write_text(json.dumps(run))
    assert f"got {file}, damaged" in refused(store.Folder.open, finished.path, COMPARISON)


def test_a_run_of_an_early_version_is_read(finished, runs):
    file = finished.file("ce_count", 0)
    file.write_text(json.dumps(runs["ce_count", 0].as_dict()))
    assert store.Folder.open(finished.path, COMPARISON).runs()[0] == runs["ce_count", 0]


# ---- races


@pytest.mark.parametrize("links", [True, False])
def test_of_two_first_starts_one_is_kept(tmp_path, monkeypatch, links):
    """Both find an empty folder; then each tries to create its configuration: one is whole."""
    if not links:  # as on file systems that have none

        def link(*_):
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    comparisons = [replace(COMPARISON, seeds=seeds) for seeds in (2, 3)]
    monkeypatch.setattr(os, "getpid", threading.get_ident)
    for index in range(50):
        path, barrier, won, said = tmp_path / str(index), threading.Barrier(2), [], []

        def free(folder, barrier=barrier):
            barrier.wait()

        monkeypatch.setattr(store.Folder, "_check_free", free)

        def start(comparison, path=path, won=won, said=said):
            try:
                won.append(store.Folder.open(path, comparison).comparison.seeds)
            except InputError as wrong:
                said.append(str(wrong))

        threads = [threading.Thread(target=start, args=(each,)) for each in comparisons]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Without links one may see a file that is being written.
        assert not said or (not links and "damaged" in said[0])
        assert json.loads((path / "config.json").read_text())["seeds"] in won


def test_a_second_start_of_the_same_comparison_continues(tmp_path, monkeypatch):
    def free(folder):
        monkeypatch.undo()
        store.Folder.open(tmp_path, COMPARISON)  # somebody else, in between

    monkeypatch.setattr(store.Folder, "_check_free", free)
    assert len(store.Folder.open(tmp_path, COMPARISON).missing()) == 4


def test_creating_keeps_what_is_there(tmp_path):
    assert files.create(tmp_path / "a", "first")
    assert not files.create(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_run_of_json_has_no_infinity():
    assert json.loads(files.dumps({"a": [float("inf"), (float("nan"), 1.5)]})) == {
        "a": [None, [None, 1.5]]
    }
    with pytest.raises(ValueError, match="is missing"):
        Run.from_dict({})
