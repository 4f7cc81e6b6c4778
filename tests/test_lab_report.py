"""What a comparison says: winners beyond the spread, the page, and runs of one's own."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

import spikeloss as sl
from spikeloss import lab
from spikeloss.lab import plots, publishing, results, summary, winners
from spikeloss.lab.errors import InputError
from spikeloss.lab.recipe import Comparison, Recipe, as_toml
from spikeloss.lab.runs import Run

T, B, N, C = 7, 5, 6, 3


@pytest.fixture
def records():
    rng = np.random.default_rng(0)
    return {
        "spikes": (rng.random((T, B, N)) < 0.3).astype(np.float32),
        "membrane": rng.normal(size=(T, B, N)),
        "hidden": (rng.random((T, B, 9)) < 0.2).astype(np.float32),
        "labels": np.array([2, 0, 1, 1, 0]),
        "lengths": np.array([7, 3, 5, 7, 1]),
    }


@pytest.fixture
def run(records):
    """A run of a network without a hidden layer."""
    return lab.run_from_records(
        "ce_count", records["labels"], spikes=records["spikes"], losses=[0.9, 0.5],
        accuracies=[0.2, 0.4], seconds=3.0,
    )  # fmt: skip


# ---- who wins


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_that_of_welch(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=3 + seed).tolist(), rng.normal(1, 2, size=4).tolist()
    p = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert winners.chance(one, other) == pytest.approx(p)
    assert winners.chance(other, one) == pytest.approx(p)


def test_chance_without_a_spread():
    assert winners.chance([0.5, 0.5], [0.5, 0.5, 0.5]) == 1
    assert winners.chance([0.5, 0.5], [0.4, 0.4]) == 0


def test_a_difference_within_the_spread_has_no_winner():
    far = {"a": [0.95, 0.951, 0.952], "b": [0.9, 0.901, 0.902], "c": [0.5, 0.51, 0.52]}
    assert winners.level(far, 1) == []
    assert winners.level(far, -1) == []
    near = far | {"b": [0.94, 0.95, 0.96]}
    assert winners.level(near, 1) == ["b"]
    assert winners.level(near, -1) == []
    assert winners.level(near | {"d": [0.99]}, 1) is None


def test_more_rivals_ask_for_a_larger_difference():
    pair = {"a": [0.950, 0.952, 0.954], "b": [0.942, 0.944, 0.946]}
    assert 0.05 / 20 < winners.chance(*pair.values()) < 0.05
    assert winners.level(pair, 1) == []
    others = {f"x{i}": [0.1, 0.11, 0.12] for i in range(19)}
    assert winners.level(pair | others, 1) == ["b"]


def named(run, name, seed, **changes):
    return replace(run, objective=name, seed=seed, **changes)


def test_findings_name_those_within_the_spread(run):
    shares = {"a": [0.9, 0.92, 0.94], "b": [0.91, 0.92, 0.92], "c": [0.2, 0.21, 0.22]}
    runs = [
        named(run, name, seed, accuracy=share, spikes_per_sample=None, right_step=step)
        for name, step in (("a", 1.0), ("b", 2.0), ("c", None))
        for seed, share in enumerate(shares[name])
    ]
    found = dict(winners.findings(runs))
    assert found["most accurate"] == "a and b within the spread; the mean of a is 92.0 %"
    assert found["earliest right decision"] == "a, step 1.0"
    assert "fewest spikes" not in found
    few = [run for run in runs if run.seed == 0]
    answer = dict(winners.findings(few))["most accurate"]
    assert answer == "b, 91.0 %, of one seed, which decides nothing"


def test_the_front_is_what_no_other_one_beats(run):
    spent = {"a": (10, 0.5), "b": (20, 0.9), "c": (30, 0.9), "d": (40, 0.95), "e": (None, 1.0)}
    rows = summary.summarise([
        named(run, name, 0, spikes_per_sample=spikes, accuracy=share)
        for name, (spikes, share) in spent.items()
    ])  # fmt: skip
    assert [row.objective for row in plots.frontier(rows)] == ["a", "b", "d"]
    assert plots.front(rows[-1:], plots.LIGHT) is None


# ---- columns


def test_columns_without_a_number_are_left_out(run, records):
    shown = [column.name for column in summary.columns(summary.summarise([run]))]
    assert "hidden rate" not in shown
    assert "s/epoch" in shown
    silent = lab.run_from_records("mse_membrane", records["labels"], membrane=records["membrane"])
    (row,) = summary.summarise([silent])
    shown = [column.name for column in summary.columns([row])]
    assert shown == ["accuracy %", "decision step", "right step"]
    both = summary.summarise([run, silent])
    columns = summary.columns(both)
    cells = dict(zip([column.name for column in columns], summary.cells(both[1], columns)[1:]))  # noqa: B905
    assert cells["output rate"] == "none"
    assert cells["s/epoch"] == "none"


# ---- runs of one's own


@pytest.mark.parametrize("name", ["ce_count", "ce_temporal", "mse_membrane", "tet"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_run_from_records_is_what_the_loss_decides(records, name, cut):
    lengths = records["lengths"] if cut else None
    run = lab.run_from_records(
        name, records["labels"], spikes=records["spikes"], membrane=records["membrane"],
        hidden=records["hidden"], lengths=lengths, losses=[3, 2],
    )  # fmt: skip
    loss = getattr(sl.presets, name)()
    record = records["membrane" if loss.main.reads == "membrane" else "spikes"]
    decided = np.asarray(loss.predict(record, lengths=lengths))
    assert run.accuracy == np.mean(decided == records["labels"])
    assert run.accuracy_by_step[-1] == pytest.approx(run.accuracy)
    assert len(run.accuracy_by_step) == T
    assert np.sum(run.confusion) == B
    assert np.trace(np.array(run.confusion)[:, :N]) == round(run.accuracy * B)
    inside = np.arange(T)[:, None] < (T if lengths is None else lengths)
    both = [(records[name] != 0) & inside[..., None] for name in ("spikes", "hidden")]
    assert run.spikes_per_sample == pytest.approx(sum(x.sum() for x in both) / B)
    assert [epoch.loss for epoch in run.curve] == [3, 2]
    assert run.curve[0].accuracy is None
    assert Run.from_dict(json.loads(json.dumps(run.as_dict()))) == run


def test_a_run_from_records_takes_populations_losses_and_other_libraries(records):
    torch = pytest.importorskip("torch")
    spikes = torch.tensor(records["spikes"], requires_grad=True)
    loss = sl.presets.ce_count()
    run = lab.run_from_records(loss, records["labels"], spikes=spikes, classes=C, name="mine")
    counts = records["spikes"].sum(0).reshape(B, C, N // C).sum(-1)
    assert run.objective == "mine"
    assert run.accuracy == np.mean(counts.argmax(-1) == records["labels"])
    assert (run.sample.classes, run.sample.neurons) == (C, N)
    assert plots.raster(run.sample, "spikes", "#000000", plots.LIGHT).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [0, 1]}, "labels: expected an integer for each of 5 samples, got int64 of"),
        ({"labels": [0, 1, 2, 3, 6]}, "labels: expected values from 0 to 5, got 0 to 6."),
        ({"classes": 4}, "classes: expected a number of classes that divides 6 neurons, got 4."),
        ({"hidden": np.zeros((T, 4, 9))}, "hidden: expected a record (T, B, N) of the steps and"),
        ({"lengths": [7, 3, 5, 7, 0]}, "lengths: expected values from 1 to 7, got 0 to 7."),
        ({"losses": [1.0], "accuracies": []}, "accuracies: expected one per epoch, as losses"),
        ({"objective": "mse_membrane"}, "--model: expected a network that gives membrane"),
    ],
)
def test_records_that_do_not_fit_are_named(records, changes, message):
    known = {"labels": records["labels"], "spikes": records["spikes"]} | changes
    with pytest.raises(InputError) as wrong:
        lab.run_from_records(known.pop("objective", "ce_count"), known.pop("labels"), **known)
    assert str(wrong.value).startswith(message)


# ---- the page


class Page(HTMLParser):
    """Words of a page, what it loads, and the cells of its tables."""

    def __init__(self, text):
        super().__init__()
        self.links, self.words, self.tags = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.links += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.words += " " + " ".join(data.split())


@pytest.fixture
def mixed(records):
    """Runs that have little in common: a hidden layer or none, no output spikes, a loss alone."""
    y, s, u = records["labels"], records["spikes"], records["membrane"]
    own = sl.presets.ce_count() * 2
    return [
        lab.run_from_records("ce_count", y, spikes=s, losses=[2, 1], accuracies=[0.1, 0.2]),
        lab.run_from_records(
            "ce_count", y, spikes=1 - s, losses=[3, 1], accuracies=[0.1, 0.3], seed=1
        ),
        lab.run_from_records("mse_membrane", y, membrane=u, classes=C),
        lab.run_from_records(own, y, spikes=s, hidden=records["hidden"], name="<mine> & $x_1$"),
    ]


def test_the_report_of_own_runs_needs_nothing_else(mixed, tmp_path):
    path = lab.report(mixed, tmp_path / "new", title="<Mine>", about="Of `me`.")
    text = path.read_text()
    page = Page(text)
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"https?://|@import|url\(|<link|<script src", text)
    assert "<code>me</code>" in text
    assert "<mine> & $x_1$" in page.words
    assert "<Mine>" in page.words
    assert "How to repeat it" not in page.words
    assert "one seed, which decides nothing" in page.words
    assert "s/epoch" not in page.words
    names = {file.stem.split("-")[0] for file in path.parent.glob("*.png")}
    assert names == {"curves", "anytime", "front", "raster", "confusion"}
    saved = json.loads((path.parent / "results.json").read_text())
    assert [run["objective"] for run in saved["runs"]] == [run.objective for run in mixed]
    assert len((path.parent / "results.csv").read_text().splitlines()) == 5
    with pytest.raises(InputError, match=r"^runs: expected at least one"):
        lab.report([], tmp_path)


def test_a_loss_alone_is_drawn_in_place_of_errors(records, tmp_path):
    run = lab.run_from_records(
        "ce_count", records["labels"], spikes=records["spikes"], losses=[2, 1]
    )
    page = lab.report([run], tmp_path).read_text()
    assert "losses of two objectives are no measure" in page
    assert not (tmp_path / "curves.png").exists()
    assert (tmp_path / "losses.png").exists()


def test_tables_are_sorted_by_their_numbers(mixed, tmp_path):
    page = Page(lab.report(mixed, tmp_path).read_text())
    cells = [attrs for tag, attrs in page.tags if tag == "td" and "data-sort" in attrs]
    rows = summary.summarise(mixed)
    columns = summary.columns(rows)
    assert len(cells) == len(rows) * len(columns)
    for cell, (row, column) in zip(
        cells, ((row, column) for row in rows for column in columns), strict=True
    ):
        number = column.number(row)
        assert cell["data-sort"] == ("" if number is None else repr(number))
    assert ("script", {}) in page.tags
    assert "button" not in [tag for tag, _ in page.tags]  # without the script it is a table


class Folder:
    """A finished comparison, as `publish` reads it."""

    def __init__(self, path, comparison, runs):
        self.path, self.comparison, self._runs = path, comparison, runs

    def runs(self):
        return self._runs


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_page_says_only_what_concerns_it(run, tmp_path, seeds):
    comparison = Comparison(Recipe(epochs=2, hidden=16), ("ce_count",), seeds)
    runs = [replace(run, seed=seed) for seed in range(seeds)]
    result = publishing.publish(Folder(tmp_path, comparison, runs))
    page = Page((tmp_path / "report.html").read_text())
    assert result["summary"][0]["seeds"] == seeds
    assert ("band" in page.words) == (seeds > 1)
    assert "hidden rate" not in page.words
    assert "Above:" not in page.words
    assert "potential is shaded" not in page.words
    assert "most accurate" not in page.words
    assert "a hidden layer of 16 leaky neurons, 25 steps, 2 epochs." in page.words
    assert comparison.command() in page.words
    assert " ".join(as_toml(comparison).split()) in " ".join(page.words.split())


def test_another_network_is_named_and_not_described(run, tmp_path):
    recipe = Recipe(model="mine:net", hidden=16)
    publishing.publish(Folder(tmp_path, Comparison(recipe, ("ce_count",), 1), [run]))
    text = (tmp_path / "report.html").read_text()
    assert "<code>mine:net</code>" in text
    assert "16 leaky" not in text


def test_a_table_of_results_has_numbers_in_its_cells(run):
    text = results.as_csv(results.of_runs([run]))
    head, row = text.splitlines()
    assert "sample" not in head.split(",")
    assert "0.2 0.4" in row
    assert "[" not in row


# ---- functions


TINY = Recipe(epochs=1, steps=3, hidden=4, batch_size=512)


def test_functions_do_what_commands_do(tmp_path):
    told = []
    runs = lab.compare(TINY, ["ce_count"], 1, watch=lambda *epoch: told.append(epoch))
    (alone,) = runs
    kept = lab.compare(TINY, ["ce_count"], 1, out=tmp_path / "out")
    assert [name for name, *_ in told] == ["ce_count"]
    assert kept[0].accuracy_by_step == alone.accuracy_by_step
    assert (tmp_path / "out" / "report.html").exists()
    assert lab.compare(TINY, ["ce_count"], 1, out=tmp_path / "out") == kept
    trained = lab.train(TINY, "ce_count", checkpoint=tmp_path / "c.safetensors")
    assert trained.confusion == alone.confusion
    again = []
    lab.train(TINY, "ce_count", checkpoint=tmp_path / "c.safetensors", watch=again.append)
    assert again == [*trained.curve]
    with pytest.raises(InputError, match=r"^objective: expected a name"):
        lab.train(TINY, "zzz")


def test_names_of_the_workbench_are_found_when_asked_for():
    assert set(lab.__all__) <= set(dir(lab))
    assert all(getattr(lab, name) for name in lab.__all__)
    with pytest.raises(AttributeError, match=r"no attribute 'zzz'"):
        lab.zzz  # noqa: B018


def test_a_report_replaces_nothing_but_a_report(mixed, tmp_path):
    (tmp_path / "results.json").write_text("mine")
    with pytest.raises(InputError, match="folder: expected a new or empty folder"):
        lab.report(mixed, tmp_path)
    assert (tmp_path / "results.json").read_text() == "mine"
    page = lab.report(mixed, tmp_path / "new")
    assert lab.report(mixed[:1], tmp_path / "new") == page
    page.write_text("somebody else's")
    with pytest.raises(InputError, match="which holds other files"):
        lab.report(mixed, tmp_path / "new")
