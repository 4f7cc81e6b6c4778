"""The atlas: gradients, what its search finds, pictures, and that its page is made of them."""

import itertools
import json
import re
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from test_cli import printed, said
from test_docs import script

from spikeloss import Loss, lab, penalties, presets
from spikeloss.criteria import SquaredError
from spikeloss.lab.sheets import Sheet, drawing, slopes
from spikeloss.lab.sheets.examples import GOOD, OFTEN, SILENT, WRONG, example
from spikeloss.lab.sheets.extremes import extreme
from spikeloss.lab.sheets.slopes import LEAST, Question, View
from spikeloss.readouts import EveryStep, FirstSpike, MeanOverTime
from spikeloss.reductions import Sum
from spikeloss.targets import GivenTime

torch.set_num_threads(1)

DOCS = Path(__file__).parent.parent / "docs"
ALL = presets.catalogue() | penalties.catalogue()
IN_PAGES = pytest.mark.skipif(not DOCS.exists(), reason="docs/ is not part of this distribution")


def asked(loss, shape=(3, 2), right=0):
    target = None if loss.main.criterion.targetless else np.array([right])
    return Question(loss, target, shape)


def view(sheet, name):
    return next(each for each in sheet.views if each.name == name)


# ---- gradients and values


def test_gradients_are_those_of_the_formula():
    """Softmax minus one, at every step; on silence the last step alone, as far from its target."""
    sheet = lab.atlas("ce_count")
    count = np.array([len(OFTEN), 1, 0])
    share = np.exp(count) / np.exp(count).sum()
    np.testing.assert_allclose(view(sheet, GOOD).gradient, np.tile(share - [1, 0, 0], (25, 1)))
    np.testing.assert_allclose(view(sheet, GOOD).loss, -np.log(share[0]))
    silent = view(lab.atlas("mse_temporal"), SILENT)
    wanted = np.zeros((25, 3))
    wanted[24, 0] = -2 * 24 / 25**2 / 3  # later by 24 steps than it should; less of it is later
    np.testing.assert_allclose(silent.gradient, wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "silent", "good", "wrong"),
    [("ce_count", 75, 75, 75), ("mse_count", 25, 50, 50), ("mse_temporal", 1, 2, 2),
     ("count_l1", 0, 50, 50), ("count_silence", 75, 25, 25), ("cross_entropy", 3, 3, 3)],
)  # fmt: skip
def test_how_much_carries_gradient(name, silent, good, wrong):
    sheet = lab.atlas(name)
    counts = [view(sheet, each).count for each in (SILENT, GOOD, WRONG)]
    assert counts == [silent, good, wrong]
    numbers = re.findall(r"(\d+) (?:of (?:75|3) \w+ )?on", sheet.facts["gradient"])
    assert list(map(int, numbers)) == counts
    assert view(sheet, SILENT).reached == silent / view(sheet, SILENT).gradient.size


@pytest.mark.parametrize("name", ["ce_rate", "tet", "mse_trace", "rate_target", "spike_similarity"])
def test_many_records_cost_what_each_costs(name):
    """A batch of them, or a map over batches of one where samples depend on each other."""
    loss, kind = ALL[name].build(), "membrane" if name == "tet" else "spikes"
    records = np.stack([example(each, kind) for each in (GOOD, SILENT, WRONG)])
    company, target = None, np.array([0])
    if name == "spike_similarity":
        company, target = np.moveaxis(records[1:], 0, 1), np.array([0, 1, 1])
    if name == "mse_trace":
        target = records[0][:, None]
    question = Question(loss, None if name == "rate_target" else target, (25, 3), company=company)
    beside = [] if company is None else list(records[1:])
    batches = [np.stack([record, *beside], axis=1) for record in records]
    wanted = [float(loss(batch, question.target)) for batch in batches]
    np.testing.assert_allclose(question.values(records), wanted)
    assert question._share == (name in ("ce_rate", "tet", "mse_trace"))


def test_a_loss_that_sums_its_classes_is_asked_one_record_at_a_time():
    loss = presets.mse_count(reduction=Sum())
    records = np.stack([example(each, "spikes") for each in (GOOD, SILENT)])
    wanted = [float(loss(record[:, None], np.array([0]))) for record in records]
    np.testing.assert_allclose(asked(loss, (25, 3)).values(records), wanted)


# ---- best and worst


@pytest.mark.parametrize(
    "name",
    ["ce_rate", "ce_count", "mse_count", "mse_temporal", "ce_temporal", "spikemax", "margin_count",
     "ttfs_ce", "relative_ttfs_mse", "rate_latency", "count_bounds", "rate_target"],
)  # fmt: skip
def test_best_and_worst_are_those_of_all_records(name):
    """All 64 records of three steps and two neurons, against the search from silence."""
    question = asked(ALL[name].build())
    every = np.array(list(itertools.product((0.0, 1.0), repeat=6))).reshape(-1, 3, 2)
    values = question.values(every)
    for sign, wanted in ((1, values.min()), (-1, values.max())):
        found = extreme(question, [every[0], every[-1]], "spikes", sign)
        assert found.loss == pytest.approx(wanted, abs=1e-12)
        cheapest = every[np.isclose(values, wanted, rtol=0, atol=1e-13)].sum(axis=(1, 2)).min()
        assert found.record.sum() == cheapest


@pytest.mark.parametrize(
    ("name", "said"),
    [("ce_rate", "bounded"), ("spike_rate", "bounded"), ("mse_temporal", "bounded"),
     ("target_time", "bounded"), ("ce_count", "unbounded above with longer records"),
     ("ttfs_ce", "unbounded above with longer records"),
     ("mse_membrane", "unbounded above with higher values"),
     ("ce_sum_softmax", "unbounded above with longer records"),
     ("membrane_silence", "unbounded above with higher values")],
)  # fmt: skip
def test_which_losses_are_bounded(name, said):
    assert lab.atlas(name).facts["bounds"].startswith(said)


def test_a_loss_that_falls_for_ever_is_unbounded_below():
    loss = presets.ce_count() + -2 * penalties.count_l1()
    assert lab.atlas(loss).facts["bounds"].startswith("unbounded below with longer records")


# ---- moved records


def test_curves_are_the_loss_of_what_was_moved():
    loss, record = presets.ttfs_ce(), example(GOOD, "spikes")
    shifted, changed = lab.atlas("ttfs_ce").curves
    later = np.zeros_like(record)
    later[:, 1:] = record[:, 1:]
    later[5:, 0] = record[:-5, 0]
    line = shifted.lines["the right neuron"]
    label = np.array([0])
    assert line[shifted.at == 5] == pytest.approx(float(loss(later[:, None], label)))
    assert line[shifted.at == 0] == pytest.approx(float(loss(record[:, None], label)))
    without, more = record.copy(), record.copy()
    without[OFTEN[0], 0], more[0, 1] = 0, 1
    assert changed.marked["the right neuron"].nonzero()[0].tolist() == list(OFTEN)
    fewer = changed.lines["the right neuron"][OFTEN[0]]
    assert fewer == pytest.approx(float(loss(without[:, None], label)))
    another = changed.lines["another one"][0]
    assert another == pytest.approx(float(loss(more[:, None], label)))


# ---- pictures


def bars(picture, style):
    paths = re.findall(rf'<path class="{style}"[^>]* d="(M[^"]*h-[^"]*)"', picture)
    return [tuple(map(float, each)) for d in paths for each in
            re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v(-?[\d.]+)h", d)]  # fmt: skip


def test_bars_say_sign_size_and_place():
    gradient = np.zeros((25, 2))
    gradient[0:3, 0], gradient[24, 1], gradient[5, 1] = -0.05, 2.0, LEAST / 2
    parts = "".join(drawing._bars(gradient, 0.0, 0.0))
    ((x, y, wide, high),) = bars(parts, "more")  # up is less y
    cell = drawing.WIDE / 25
    assert (x, y) == (0, drawing.ROW / 2)
    assert wide == pytest.approx(3 * cell, abs=0.1)
    assert high == pytest.approx(-drawing._bar(2), abs=0.01)
    ((x, y, wide, high),) = bars(parts, "less")
    assert x == pytest.approx(24 * cell, abs=0.1)
    assert y == 1.5 * drawing.ROW
    assert high == pytest.approx(drawing._bar(4), abs=0.01)


@pytest.mark.parametrize("name", ["ce_count", "ce_max_membrane", "cross_entropy"])
def test_a_picture_is_svg_within_its_frame(name):
    sheet = lab.atlas(name)
    root = ElementTree.fromstring(sheet.svg())
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    texts = [each for each in root.iter() if each.tag.endswith("}text")]
    for text in texts:
        wide = 5.1 * len(text.text or "")  # letters of 10 pixels are no wider on average
        anchor = {"end": 1.0, "middle": 0.5}.get(text.attrib.get("text-anchor", ""), 0.0)
        first = float(text.attrib["x"]) - anchor * wide
        assert left - 1 <= first, text.text
        assert first + wide <= width + 8, text.text
        assert top < float(text.attrib["y"]) < height
    assert {view.name for view in sheet.views} <= {text.text for text in texts}
    assert sheet._repr_html_().count("<dd>") == len(sheet.facts) == 3


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stand_out_of_the_page(theme):
    """Letters by 4.5 to 1, bars by 3 to 1, as the guidelines for accessible pages ask."""
    colours = drawing.COLOURS[theme]
    for name, colour in colours.items():
        low, high = sorted((luminance(colour), luminance(colours["paper"])))
        least = {"ink": 4.5, "soft": 4.5, "faint": 1.2, "paper": 1.0}.get(name, 3.0)
        assert (high + 0.05) / (low + 0.05) >= least, name


# ---- records of the user's


def recorded(T=40, B=5, N=6):
    rng = np.random.default_rng(0)
    spikes = (rng.random((T, B, N)) < 0.15).astype(np.float32)
    spikes[:, 2] = 0
    return spikes, rng.integers(0, N, B), np.array([40, 30, 35, 20, 25])


def test_a_record_of_the_users():
    spikes, labels, lengths = recorded()
    sheet = lab.atlas("mse_temporal", spikes, labels, lengths=lengths, samples=[3, 1])
    x = torch.tensor(spikes, dtype=torch.float64).requires_grad_()
    loss = presets.mse_temporal()(x, torch.tensor(labels), lengths=torch.tensor(lengths))
    (gradient,) = torch.autograd.grad(loss, x)
    assert [each.name for each in sheet.views] == ["sample 3", "sample 1"]
    assert [each.record.shape for each in sheet.views] == [(20, 6), (30, 6)]
    assert sheet.rights == tuple(labels[[3, 1]])
    np.testing.assert_allclose(sheet.views[0].gradient, 5 * gradient[:20, 3].numpy())
    count = int((gradient != 0).sum())
    assert sheet.facts["gradient"].startswith(f"{count} of {lengths.sum() * 6} steps")
    assert sheet.facts["samples without gradient"] == "0 of 5"


def test_a_record_of_torch_with_a_mask_and_layers():
    spikes, labels, lengths = recorded()
    valid = np.arange(40)[:, None] < lengths
    x = {"output": torch.tensor(spikes), "hidden": torch.tensor(spikes[..., :4])}
    loss = presets.ce_count().replace(layers="output") + penalties.count_l1(layers="hidden")
    sheet = lab.atlas(loss, x, torch.tensor(labels), valid=torch.tensor(valid))
    assert [len(each.record) for each in sheet.views] == lengths.tolist()
    one = {name: each[:30, 1:2].double() for name, each in x.items()}
    alone = float(loss(one, torch.tensor(labels[1:2])))
    assert sheet.views[1].loss == pytest.approx(alone)


def test_a_sample_that_is_compared_keeps_its_company():
    spikes, _, lengths = recorded()
    sheet = lab.atlas("rate_target", spikes)
    x = torch.tensor(spikes, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(penalties.rate_target()(x), x)
    np.testing.assert_allclose(sheet.views[4].gradient, gradient[:, 4].numpy())
    with pytest.raises(lab.InputError, match="lengths: expected samples of one length"):
        lab.atlas("rate_target", spikes, lengths=lengths)


def test_records_that_cannot_be_drawn_are_refused():
    spikes, labels, _ = recorded()
    never = np.ones((40, 5), bool)
    never[:, 4] = False
    with pytest.raises(lab.InputError, match=r"record: expected axes \(steps, samples, neurons\)"):
        lab.atlas("ce_count", spikes[:, 0], labels[:1])
    with pytest.raises(lab.InputError, match="record: expected finite numbers"):
        lab.atlas("ce_count", spikes * np.nan, labels)
    with pytest.raises(ValueError, match="valid: expected a valid step in every sample"):
        lab.atlas("ce_count", spikes, labels, valid=never)
    with pytest.raises(ValueError, match="target: expected"):
        lab.atlas("ce_count", spikes, labels[:3])
    with pytest.raises(lab.InputError, match="record: expected a mapping with the layers mem"):
        lab.atlas("ce_count + 0.1*membrane_bounds", spikes, labels)
    with pytest.raises(lab.InputError, match="record: expected a record 'output', got hidden"):
        lab.atlas("ce_count + 0.1*rate_bounds", {"hidden": spikes}, labels)
    assert len(lab.atlas("ce_count + 0.1*rate_bounds", spikes, labels).views) == 5


def test_large_records_are_drawn_small():
    spikes = np.zeros((500, 1, 40), np.float32)
    spikes[[3, 480], 0, [39, 7]] = 1
    sheet = lab.atlas("count_l1", spikes)
    assert drawing._rows(sheet.views[0], None) == sorted(drawing._rows(sheet.views[0], None))
    assert {7, 39} <= set(drawing._rows(sheet.views[0], None))
    assert drawing._binned(sheet.views[0].record).shape == (drawing.COLUMNS, 40)
    assert drawing._binned(sheet.views[0].record).sum() == 2
    assert "8 of 40 neurons" in sheet.svg()
    assert len(sheet.svg()) < 20_000


@pytest.mark.parametrize(
    "loss",
    [Loss(MeanOverTime(), SquaredError()), Loss(EveryStep(), SquaredError(), reads="membrane"),
     Loss(FirstSpike(), SquaredError(), GivenTime(), reads="spikes"),
     presets.spikemoid(), presets.ce_count(classes=3), presets.mse_trace(order=2)],
)  # fmt: skip
def test_losses_that_nobody_has_named_have_a_sheet(loss):
    sheet = lab.atlas(loss)
    assert len(sheet.views) == 8
    assert all(np.isfinite(each.loss) for each in sheet.views)
    assert any(each.count for each in sheet.views)


def test_sheets_of_sums_read_every_layer():
    sheet = lab.atlas("ce_count + 0.5*membrane_bounds(upper=0.5)")
    u = example(GOOD, "membrane")
    spikes, label = example(GOOD, "spikes"), np.array([0])
    wanted = float(presets.ce_count()(spikes[:, None], label))
    wanted += 0.5 * np.mean(np.maximum(u - 0.5, 0) ** 2)
    assert view(sheet, GOOD).loss == pytest.approx(wanted)


# ---- libraries


def without(monkeypatch, *names):
    def found(name):
        return None if name in names else find_spec(name)

    monkeypatch.setattr(slopes, "find_spec", found)


@pytest.mark.slow
def test_jax_gives_what_torch_gives(monkeypatch):
    record = example(WRONG, "spikes")
    one, batch = asked(presets.ce_temporal(), (25, 3)), asked(penalties.rate_target(), (25, 3))
    found = []
    for absent in ("jax", "torch"):
        without(monkeypatch, absent)
        found.append((one.view("", record).gradient, batch._mapped(np.stack([record, 1 - record]))))
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-14)
        assert mine.dtype == np.float64


def test_one_of_them_is_needed(monkeypatch):
    without(monkeypatch, "torch", "jax")
    with pytest.raises(lab.InputError, match=r"atlas: expected PyTorch or JAX.*got neither"):
        lab.atlas("ce_count")


# ---- the command


@pytest.fixture
def file(tmp_path):
    spikes, labels, lengths = recorded()
    np.savez(tmp_path / "my.npz", spikes=spikes, labels=labels, lengths=lengths)
    return tmp_path / "my.npz"


def test_the_command_writes_a_page(tmp_path):
    out = tmp_path / "new" / "atlas.html"
    words = ["--objective", "ce_count", "--objective", "rate_bounds(upper=0.2)", "--out", out]
    text = printed("atlas", *words)
    assert "75 of 75 steps on silence" in text
    assert f"atlas: {out}" in text
    page = out.read_text()
    assert page.count("<svg") == 2
    assert "rate_bounds(upper=0.2)" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # it stands for itself


def test_the_command_on_a_recording(file, tmp_path):
    out = tmp_path / "one.svg"
    words = ["--objective", "mse_temporal", "--sample", "4", "--out", out, "--json"]
    (sheet,) = json.loads(printed("atlas", file, *words))["sheets"]
    assert [row["record"] for row in sheet["records"]] == ["sample 4"]
    assert ElementTree.fromstring(out.read_text()).tag.endswith("svg")
    assert sheet["facts"]["samples without gradient"] == "0 of 5"


def test_the_command_leaves_out_what_does_not_fit(file, tmp_path):
    out = tmp_path / "all.html"
    sheets = json.loads(printed("atlas", file, "--out", out, "--json"))["sheets"]
    names = {sheet["objective"] for sheet in sheets}
    assert {"ce_count", "ttfs_ce", "count_l1"} <= names
    assert not {"cross_entropy", "mse_trace", "ce_max_membrane", "rate_target"} & names


def test_the_command_says_what_is_wrong(file, tmp_path):
    lines = {
        said("atlas", "--out", tmp_path / "a.pdf"): "--out: expected a file .html or .svg",
        said("atlas", "--out", tmp_path / "a.svg"): "--out: expected a page for several",
        said("atlas", file, "--sample", "5", "--out", tmp_path / "a.html"):
            "sample: expected samples from 0 to 4, got 5",
        said("atlas", file, "--objective", "ce_max_membrane", "--out", tmp_path / "a.html"):
            "objective: expected one that fits the file, got ce_max_membrane (it reads membrane",
        said("atlas", "--objective", "ce_cuont", "--out", tmp_path / "a.html"):
            "objective: expected a name that `spikeloss list` shows",
    }  # fmt: skip
    assert all(line.startswith(f"error: {start}") for line, start in lines.items())
    assert not (tmp_path / "a.html").exists()


# ---- the page


@IN_PAGES
def test_every_objective_has_its_picture_and_entry():
    page = (DOCS / "atlas.md").read_text()
    entries = re.findall(r"^### (.*)$", page, re.MULTILINE)
    pictures = re.findall(r"^!\[.*\]\(images/atlas/(.*)\.svg\)$", page, re.MULTILINE)
    assert entries == pictures
    assert set(entries) == set(ALL), "run: python docs/make_atlas.py"
    drawn = {path.stem for path in (DOCS / "images" / "atlas").glob("*.svg")}
    assert drawn == set(ALL), "run: python docs/make_atlas.py"
    size = sum(path.stat().st_size for path in (DOCS / "images" / "atlas").glob("*.svg"))
    assert size < 3e6


QUICK = (
    *("mse_count", "ce_rate", "mse_membrane", "target_time", "mse_trace", "kd_steps"),
    *("count_silence", "cross_entropy"),
)
"""One of each family; all of them are slow."""


@IN_PAGES
def test_words_of_the_page_are_those_that_are_made():
    """All but the facts, which need the gradients of all: families, formulas and summaries."""
    sheets = dict.fromkeys(ALL, Sheet("", "", (), (), {}, ()))
    fact = re.compile(r"^- \*[A-Z][a-z ]+\*: .*\n(?:  .*\n)*", re.MULTILINE)
    page, count = fact.subn("", (DOCS / "atlas.md").read_text())
    assert count == 3 * len(ALL)
    assert page == script("make_atlas").page(sheets), "run: python docs/make_atlas.py"


@IN_PAGES
def test_facts_of_the_page_are_those_that_are_computed():
    make, page = script("make_atlas"), (DOCS / "atlas.md").read_text()
    for name in QUICK:
        sheet = lab.atlas(name)
        assert make.entry(ALL[name], sheet) in page, "run: python docs/make_atlas.py"
        assert (make.PICTURES / f"{name}.svg").read_text() == sheet.svg()


@IN_PAGES
@pytest.mark.slow
def test_the_page_is_what_the_script_makes():
    make = script("make_atlas")
    sheets = {name: lab.atlas(name) for name in ALL}
    assert (DOCS / "atlas.md").read_text() == make.page(sheets), "run: python docs/make_atlas.py"
    for name, sheet in sheets.items():
        assert (make.PICTURES / f"{name}.svg").read_text() == sheet.svg(), name


def test_share_of_nothing_and_of_all():
    nothing = View("", np.zeros((25, 3)), 0.0, np.zeros((25, 3)))
    assert (nothing.count, nothing.reached) == (0, 0.0)
