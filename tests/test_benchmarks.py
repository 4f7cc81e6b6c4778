"""The scripts in benchmarks/ run; what they say of time is for a quiet machine to judge."""

import csv
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spikeloss.lab.data.yinyang import _area

SCRIPTS = Path(__file__).parent.parent / "benchmarks"

if not SCRIPTS.exists():
    pytest.skip("benchmarks/ is not part of this distribution", allow_module_level=True)
for library in ("torch", "jax", "snntorch", "brainpy", "optax", "matplotlib"):
    pytest.importorskip(library)


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    """The scripts by their names, which are theirs alone for as long as this file runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(SCRIPTS)
        before = set(sys.modules)
        yield
        for name in {path.stem for path in SCRIPTS.glob("*.py")} & (set(sys.modules) - before):
            del sys.modules[name]


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def tiny() -> Any:
    return script("objectives").Size(4, 3, 6, 6)


def row_of(**known: Any) -> Any:
    """A made-up row: `mse_count` of ours at the first size, a millisecond."""
    rows = script("rows")
    about = dict.fromkeys((field.name for field in fields(rows.About)), "")
    made = {
        "library": "torch", "provider": "kernel", "kernel": "yes", "objective": "mse_count",
        "T": 25, "B": 128, "N": 10, "C": 10, "lengths": "", "mode": "value and gradient",
        "minimum": 1.0, "median": 1.0, "repeats": 3, "copy_fresh": 1.0, "copy_warm": 1.0,
        "read": 1.0, "floor": 1.0,
    }  # fmt: skip
    return rows.Row(**(about | {"threads": 2} | made | known))


MIDDLE = {"T": 250, "B": 256, "N": 35, "C": 35}
LARGE = MIDDLE | {"T": 1000}


# ---- what a grid of time allows


def test_a_grid_of_time_limits_what_can_be_told() -> None:
    grid = script("grid")
    x, classes = grid.points(61)
    assert [_area(*point) for point in x.tolist()] == classes.tolist()
    with grid.RESULTS.open() as file:
        kept = {float(row["ms"]): float(row["accuracy"]) for row in csv.DictReader(file)}
    assert kept.keys() == grid.STEPS.keys()
    assert grid.limit(60, 600) == pytest.approx(kept[0.5], abs=0.002)
    assert 0.9 < kept[1.0] < kept[0.5] < kept[0.25] < 1


# ---- the instrument


def measured(library: str, names: list[str], sizes: list[Any], folder: Path) -> list[Any]:
    path = script("speed").run(
        sizes, names=names, libraries=[library], seconds=0.0, most=1, folder=folder
    )
    found: list[Any] = script("rows").read(path)
    return found


@pytest.fixture(scope="module")
def of_torch(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Every objective, and populations of two neurons."""
    names = list(script("objectives").OBJECTIVES)
    sizes = [tiny, tiny._replace(classes=3)]
    return measured("torch", names, sizes, tmp_path_factory.mktemp("results"))


def test_every_objective_is_measured_by_every_provider(of_torch: list[Any]) -> None:
    plain = {(r.objective, r.provider, r.lengths) for r in of_torch if r.C == r.N}
    objectives = script("objectives").OBJECTIVES
    for name in objectives:
        for provider in ("composed", "kernel"):
            assert (name, provider, "") in plain
            assert ((name, provider, "uniform") in plain) == (name != "cross_entropy")
    by_hand = {name for name, provider, _ in plain if provider == "torch by hand"}
    assert by_hand == set(objectives) - {"ce_mean", "mse_mean"}
    snntorch = {name for name, provider, _ in plain if provider == "snntorch"}
    assert snntorch == by_hand - {"mse_trace", "cross_entropy"}
    jelly = {name for name, provider, _ in plain if provider == "spikingjelly by hand"}
    assert jelly == {"ce_mean", "mse_mean"}


def test_populations_are_measured(of_torch: list[Any]) -> None:
    pooled = {(r.objective, r.provider) for r in of_torch if r.C == 3}
    ours = {name for name, provider in pooled if provider == "kernel"}
    assert ours == set(script("objectives").OBJECTIVES) - {"mse_trace", "cross_entropy"}
    assert {n for n, provider in pooled if provider == "snntorch"} == {"ce_count", "mse_count"}


def test_a_row_says_what_it_is(of_torch: list[Any], tmp_path: Path) -> None:
    rows, now = script("rows"), script("rows").fingerprint()
    for row in of_torch:
        assert row.mode in ("value", "value and gradient")
        assert 0 < row.minimum <= row.median
        assert min(row.repeats, row.copy_fresh, row.copy_warm, row.read, row.floor) > 0
        assert row.source == now
        assert row.commit
        assert bool(row.kernel) == (row.provider == "kernel")
    rows.write(of_torch, tmp_path / "speed-a.csv")
    assert rows.read(tmp_path / "speed-a.csv") == of_torch
    with (tmp_path / "speed-a.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    assert {"date", "commit", "source", "device", "threads", "python", "torch", "jax", "numpy",
            "snntorch", "library", "provider", "objective", "T", "B", "N", "C", "lengths", "mode",
            "minimum", "median", "repeats", "copy_fresh", "copy_warm"} <= set(columns)  # fmt: skip


def test_numpy_is_measured(tiny: Any, tmp_path: Path) -> None:
    found = measured("numpy", ["ce_rate", "cross_entropy"], [tiny], tmp_path)
    assert {row.mode for row in found} == {"value"}
    assert len(found) == 4 + 2


def test_jax_is_measured(tiny: Any, tmp_path: Path) -> None:
    found = measured("jax", ["ce_count", "cross_entropy"], [tiny], tmp_path)
    providers = {(row.objective, row.provider) for row in found}
    assert ("ce_count", "optax") in providers
    assert ("cross_entropy", "brainpy") in providers
    assert {("ce_count", "compiled"), ("ce_count", "kernel")} <= providers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_what_compiles_and_grows_is_measured(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed = script("speed")
    for name in ("COMPILED_AT", "STEPWISE_AT", "GROWING"):
        monkeypatch.setattr(speed, name, (tiny,))
    names = ["ce_count", "cross_entropy"]
    found = measured("torch", names, [tiny], tmp_path)
    assert {(row.objective, row.provider) for row in found} == {
        ("ce_count", provider) for provider in ("composed", "kernel", "compiled")
    }
    assert list(speed.cells(names, [tiny], ["jax", "numpy"])) == []


def test_kernels_are_switched_in_one_process(tiny: Any) -> None:
    speed, timing = script("speed"), script("timing")
    seen: dict[str, set[str]] = {}

    def watch(candidate: Any) -> Any:
        def run() -> None:
            seen.setdefault(candidate.provider, set()).add(os.environ[timing.KERNELS])

        return replace(candidate, run=run)

    before = os.environ.get(timing.KERNELS)
    found = script("objectives").data("ce_rate", tiny)
    candidates = [watch(each) for each in speed.in_torch("ce_rate", tiny, found)]
    first = timing.begin(candidates)
    timing.measure(candidates, first, lambda: None, 0.0, most=1)
    assert seen["kernel"] == {"auto"}
    assert seen["composed"] == {"off"}
    assert os.environ.get(timing.KERNELS) == before


def test_measurements_that_do_not_agree_are_refused() -> None:
    timing = script("timing")

    def first(**values: float) -> Any:
        return {
            timing.Candidate(name, timing.GRADIENT, len): timing.First(1.0, (value, [value, 1e-9]))
            for name, value in values.items()
        }

    timing.agree(first(ours=1.0, theirs=1.0))
    with pytest.raises(AssertionError, match="theirs"):
        timing.agree(first(ours=1.0, theirs=1.01))


def test_a_small_gradient_is_compared_too() -> None:
    timing = script("timing")
    first = {
        timing.Candidate(name, timing.GRADIENT, len): timing.First(1.0, (1.0, [value]))
        for name, value in (("ours", 1e-8), ("theirs", 1.1e-8))
    }
    with pytest.raises(AssertionError, match="theirs"):
        timing.agree(first)


def test_a_slow_loop_is_timed_once() -> None:
    timing = script("timing")
    calls = []
    slow = timing.Candidate("slow", timing.VALUE, lambda: calls.append(1), loops=True)
    quick = timing.Candidate("quick", timing.VALUE, lambda: None)
    first = {slow: timing.First(7.0, None), quick: timing.First(9.0, None)}
    times = timing.measure([slow, quick], first, lambda: None, 0.0)
    assert times[slow] == [7.0]
    assert not calls
    assert len(times[quick]) >= timing.FEWEST


def test_a_disturbed_turn_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = script("timing")
    clock = [0.0]
    monkeypatch.setattr(timing, "perf_counter", lambda: clock[0])
    turns = [0]

    def probe() -> None:
        clock[0] += 2.0 if turns[0] == 4 else 1.0  # after one call it meets something else

    def work() -> None:
        turns[0] += 1
        clock[0] += 3.0 if turns[0] == 4 else 1.0

    each = timing.Candidate("work", timing.VALUE, work)
    times = timing.measure([each], {each: timing.First(1.0, None)}, probe, 5.0)
    assert times[each] == [1.0] * 5
    assert turns == [1 + 5 + 2]  # an estimate, five, and what was before and after it


def test_results_of_another_device_are_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = script("rows")
    about = rows.about(1)
    path = rows.path_of(about, tmp_path)
    rows.write([replace(about, device=about.device.upper())], path)  # of the same file name
    with pytest.raises(SystemExit, match="another device"):
        rows.path_of(about, tmp_path)


# ---- the goals


def verdicts(*found: Any) -> dict[str, Any]:
    return {each.goal: each for each in script("goals").judge(found)}


@pytest.mark.parametrize(
    ("row", "goal", "number", "most"),
    [
        (MIDDLE | {"objective": "ce_rate", "copy_fresh": 0.5}, "copies", 2.0, 1.8),
        (MIDDLE | {"objective": "mse_trace", "copy_fresh": 0.8}, "copies", 1.25, 1.8),
        (MIDDLE | {"read": 1.0}, "1.1 sum(0) + 80 µs", 1 / 1.18, 1.0),
        (MIDDLE | {"read": 0.1}, "1.1 sum(0) + 80 µs", 1 / 0.19, 1.0),
        (LARGE | {"objective": "mse_temporal", "copy_fresh": 5.0},
         "copies into fresh memory", 0.2, 0.25),
        (LARGE | {"copy_fresh": 5.0}, "copies into fresh memory", 0.2, 0.15),
        ({"objective": "ce_max_membrane", "floor": 0.5}, "calls of F.cross_entropy", 2.0, 1.6),
    ],
)  # fmt: skip
def test_a_time_is_judged_in_yardsticks(
    row: dict[str, Any], goal: str, number: float, most: float
) -> None:
    (found,) = verdicts(row_of(**row)).values()
    assert found.goal == goal
    assert found.number == pytest.approx(number)
    assert found.most == most
    assert found.over == pytest.approx(number / most - 1)
    assert found.missed == (number > most)
    assert not verdicts(row_of(**row, threads=1))


@pytest.mark.parametrize(
    ("other", "goal", "minimum", "missed"),
    [
        ({"provider": "snntorch"}, "300 times faster than snnTorch", 301.0, False),
        ({"provider": "snntorch"}, "300 times faster than snnTorch", 200.0, True),
        ({"provider": "snntorch"}, "not slower than snntorch", 0.99, False),
        ({"provider": "snntorch"}, "not slower than snntorch", 0.97, True),
        ({"provider": "torch by hand"}, "not slower than torch by hand", 0.5, True),
        ({"provider": "optax", "library": "jax"}, "5 times faster than optax", 4.9, True),
        ({"provider": "optax", "library": "jax"}, "5 times faster than optax", 5.1, False),
        ({"provider": "snntorch", "mode": "value"},
         "value 5 times faster than snnTorch", 4.0, True),
        ({"provider": "snntorch", "mode": "value"},
         "value 5 times faster than snnTorch", 6.0, False),
    ],
)  # fmt: skip
def test_a_time_is_judged_by_others(
    other: dict[str, Any], goal: str, minimum: float, missed: bool
) -> None:
    ours = MIDDLE | {"objective": "ce_rate"} | {k: v for k, v in other.items() if k != "provider"}
    found = verdicts(row_of(**ours), row_of(**ours | other, minimum=minimum))
    assert found[goal].number == pytest.approx(1 / minimum)
    assert found[goal].missed == missed
    alone = verdicts(row_of(**ours | other | {"minimum": minimum, "B": 1}))
    assert goal not in alone  # of another cell


def test_lengths_are_judged() -> None:
    known = MIDDLE | {"objective": "ce_rate"}
    padded = row_of(**known, lengths="uniform", minimum=1.1)
    found = verdicts(row_of(**known), padded)["lengths not slower than none"]
    assert found.number == pytest.approx(1.1)
    assert found.missed
    sums = verdicts(row_of(**MIDDLE, lengths="uniform", copy_fresh=0.5))["copies with lengths"]
    assert (sums.number, sums.most, sums.missed) == (2.0, 1.5, True)


def test_the_table_says_what_is_missed_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    goals = script("goals")
    bad = row_of(**MIDDLE, objective="ce_rate", copy_fresh=0.5)
    monkeypatch.setitem(goals.IN_THE_WAY, "copies", "no kernel yet")
    line = (
        "| torch | 250, 256, 35 | value and gradient | 2 | at most 1.8 | 11.1 % | no kernel yet |"
    )
    assert f"| copies | `ce_rate` {line}" in goals.table(goals.judge([bad]))
    good = replace(bad, copy_fresh=1.0)
    assert goals.table(goals.judge([good])) == "All 1 goals are met.\n"


# ---- rows that are older than the code


def test_docstrings_and_comments_are_no_speed(tmp_path: Path) -> None:
    rows = script("rows")

    def hashed(text: str, name: str = "a.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        found: str = rows.fingerprint(tmp_path)
        path.unlink()
        return found

    plain = hashed("def f():\n    return 1\n")
    assert hashed('"""Module."""\n\n# why\ndef f():\n    """One."""\n    return 1\n') == plain
    assert hashed("def f():\n    return 2\n") != plain
    assert hashed("def f():\n    return 1\n", "b.py") != plain
    assert hashed("x = 1\n", "lab/a.py") == hashed("x = 2\n", "lab/a.py")
    assert hashed("int a;\n", "a.c") != hashed("int b;\n", "a.c")


def test_what_is_left_out_of_the_hash_is_not_run(of_torch: list[Any], tiny: Any) -> None:
    rows, speed = script("rows"), script("speed")
    hashed = {path.relative_to(rows.SOURCES).as_posix() for path in rows.measured()}
    for name in script("objectives").OBJECTIVES:
        found = script("objectives").data(name, tiny)
        for candidate in speed.in_torch(name, tiny, found):
            if candidate.provider in ("composed", "kernel"):
                assert set(script("seam").entered(candidate.run)) <= hashed
    assert {"loss.py", "_engine.py"} <= hashed


def results(folder: Path, **changes: Any) -> None:
    """Files of made-up rows, as old as the code, in which every goal that is judged is met."""
    rows, about = script("rows"), script("rows").about(2)
    made = []
    for size in (*script("objectives").SIZES, *script("objectives").GROWING):
        shape = dict(zip("TBNC", size, strict=True))
        for name in script("goals").NAMED:
            for provider, minimum in (("kernel", 0.01), ("snntorch", 99.0)):
                known = shape | {"objective": name, "provider": provider, "minimum": minimum}
                made.append(row_of(**asdict(about) | known | changes))
    rows.write(made, folder / "speed-made-2-threads.csv")


def test_old_rows_are_told_and_not_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = script("report")
    results(tmp_path)
    assert report.check(tmp_path) == 0
    results(tmp_path, source="of another day", commit="abc")
    assert report.check(tmp_path) == 1
    assert "abc; code has changed since" in capsys.readouterr().out
    assert report.write(tmp_path, tmp_path) == 1
    assert not (tmp_path / "speed.md").exists()


def test_a_page_that_is_built_says_that_rows_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(SCRIPTS.parent / "docs" / "_ext")
    rows, page = script("rows"), script("speed_age")
    results(tmp_path)
    ((text, old),) = page.ages(tmp_path)
    assert not old
    assert rows.commit() in text
    results(tmp_path, source="of another day", commit="abc")
    ((text, old),) = page.ages(tmp_path)
    assert old
    assert "measured at commit abc; code has changed since" in text


def test_cells_that_are_not_measured_again_stay(tmp_path: Path) -> None:
    rows, path = script("rows"), tmp_path / "speed-a.csv"
    one, other = row_of(objective="ce_rate"), row_of(objective="ce_count")
    rows.renew(path, [one])
    rows.renew(path, [other])
    again = replace(one, minimum=0.5)
    rows.renew(path, [again])
    assert rows.read(path) == [other, again]


def test_the_page_is_made_of_the_rows(tmp_path: Path) -> None:
    report = script("report")
    results(tmp_path)
    assert report.write(tmp_path, tmp_path) == 0
    page = (tmp_path / "speed.md").read_text()
    assert all(f"`{name}`" in page for name in script("goals").NAMED)
    pictures = list((tmp_path / "images").glob("speed-*.png"))
    assert len(pictures) == 6
    assert all(f"images/{path.name}" in page for path in pictures)
    assert all(path.stat().st_size > 10_000 for path in pictures)


def test_the_report_fails_where_a_goal_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script("plots"), "PICTURES", {})
    results(tmp_path, minimum=2.0)
    assert script("report").write(tmp_path, tmp_path) == 1
    assert "| copies | `ce_rate` |" in capsys.readouterr().out


# ---- streams, events, frames


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.long
@pytest.mark.slow
def test_streams_and_forms_of_a_record_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = script("records")
    monkeypatch.setattr(records, "RECORD", (40, 3, 20))
    rows = rows_of(records.run(tmp_path, lengths=(300,), seconds=0.0))
    ways = {(row["what"], row["form"]) for row in rows if row["steps"]}
    assert ways == {(loss, way) for loss in records.LOSSES for way in records.WAYS}
    assert all(float(row["microseconds_per_step"]) > 0 for row in rows if row["steps"])
    forms = [row for row in rows if row["density"]]
    assert len(forms) == 4 * 2 * len(records.DENSITIES)
    packed = {float(row["megabytes"]) for row in forms if row["form"] == "packed"}
    assert packed == {0.0}
    page = (tmp_path / "records.md").read_text()
    assert all(f"| {form} |" in page for form in ("events", "packed", "stream, chunks of 100"))


@pytest.mark.parametrize(
    ("most", "number", "over"), [(4.0, 5.0, 0.25), (4.0, 4.0, 0.0), (None, 9.0, -1.0)]
)
def test_a_bound_is_missed_by_its_share(most: float | None, number: float, over: float) -> None:
    seam = script("seam")
    row = seam.Row("", "", "", "", 1, "", objective="ce_count", number=number, most=most)
    assert row.over == pytest.approx(over)
    assert row.missed == (over > 0)
    assert ("ce_count" in seam.verdict([row])) == row.missed


def test_frames_are_those_of_the_package() -> None:
    seam = script("seam")
    assert seam.passed(lambda: [abs(x) for x in (1, 2)]) == (0, 0)
    frames, files = seam.passed(seam.presets.ce_rate)
    assert frames >= files >= 1


@pytest.mark.slow
def test_the_seam_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seam = script("seam")
    monkeypatch.setattr(seam, "ROUNDS", 1)
    found = seam.run(seconds=0.0, most=1, imported=1, folder=tmp_path)
    (path,) = tmp_path.glob("seam-*.csv")
    rows = rows_of(path)
    assert len(rows) == len(found)
    streamed = {row["objective"] for row in rows if row["question"] == seam.STREAM and row["most"]}
    assert streamed == set(script("goals").NAMED) - {"mse_trace"}
    ways = {row["way"] for row in rows if row["question"] == seam.FRAMES}
    assert {"dense", "with lengths", "stream, 25 steps", "events"} <= ways
    assert {row["way"] for row in rows if row["question"] == seam.IMPORT} == {"processor", "wall"}
    assert all(float(row["number"]) > 0 for row in rows)
    page = (tmp_path / "seam.md").read_text()
    assert all(f"`{objective}`" in page for objective in streamed)
