"""The scripts in benchmarks/ run; what they say of time is for a quiet machine to judge."""

import csv
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent.parent / "benchmarks"

for library in ("torch", "jax", "snntorch", "brainpy", "optax", "matplotlib"):
    pytest.importorskip(library)


def script(name: str) -> ModuleType:
    path = SCRIPTS / f"{name}.py"
    if not path.exists():
        pytest.skip("benchmarks/ is not part of this distribution")
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the types of their fields
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    return script("speed")


@pytest.fixture(scope="module")
def report() -> ModuleType:
    return script("report")


@pytest.fixture(scope="module")
def measured(speed: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run in which everything is timed once; of JAX, that compiles, only a part."""
    folder, once = tmp_path_factory.mktemp("results"), {"seconds": 0.0, "most": 1}
    size = [speed.Size(4, 3, 5)]
    jax = speed.run(
        size, objectives=["ce_count", "cross_entropy"], libraries=["jax"], folder=folder, **once
    )
    rows = jax.read_text().splitlines(keepends=True)[1:]
    path: Path = speed.run(size, libraries=["torch"], folder=folder, **once)
    path.write_text(path.read_text() + "".join(rows))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_objective_is_measured(speed: ModuleType, measured: Path) -> None:
    rows = rows_of(measured)
    ours = {
        (row["objective"], row["work"])
        for row in rows
        if row["implementation"] == "spikeloss" and row["library"] == "torch"
    }
    objectives = (*speed.OF_A_RECORD, "cross_entropy")
    assert len(objectives) == 8
    assert ours == {(name, work) for name in objectives for work in (speed.FORWARD, speed.BOTH)}
    assert all(float(row["milliseconds"]) > 0 and float(row["clones"]) > 0 for row in rows)


@pytest.mark.slow
def test_a_ratio_is_the_time_of_the_peer_divided_by_ours(measured: Path) -> None:
    rows = rows_of(measured)
    compared = [row for row in rows if row["times_faster"]]
    assert {row["peer"] for row in compared} == {"snntorch", "torch", "brainpy"}
    for row in compared:
        same = ("library", "objective", "work", "statistic")
        (peer,) = [
            other
            for other in rows
            if other["implementation"] == row["peer"] and all(other[k] == row[k] for k in same)
        ]
        quotient = float(peer["milliseconds"]) / float(row["milliseconds"])
        assert float(row["times_faster"]) == pytest.approx(quotient, rel=2e-3)


@pytest.mark.slow
def test_results_of_another_device_are_not_overwritten(
    speed: ModuleType, measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = speed.here(threads=1)
    assert speed.path_of(common, measured.parent) == measured
    monkeypatch.setattr(speed, "device", lambda: common.device.upper())  # of the same file name
    before = measured.read_text()
    with pytest.raises(SystemExit, match="another device"):
        speed.run([speed.Size(2, 2, 2)], objectives=["ce_count"], folder=measured.parent)
    assert measured.read_text() == before


def test_measurements_that_do_not_agree_are_refused(speed: ModuleType) -> None:
    def candidate(name: str, value: float) -> Any:
        return speed.Candidate(name, speed.BOTH, lambda: (value, [value]))

    speed.agree([candidate("ours", 1.0), candidate("theirs", 1.0)])
    with pytest.raises(AssertionError, match="theirs"):
        speed.agree([candidate("ours", 1.0), candidate("theirs", 1.01)])


@pytest.mark.slow
def test_the_report_says_what_was_measured(report: ModuleType, measured: Path) -> None:
    assert report.main(measured.parent) in (0, 1)
    page = (measured.parent / "README.md").read_text()
    assert all(f"`{objective}`" in page for objective in report.BOUNDS)
    assert measured.with_suffix(".png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_report_fails_where_a_bound_is_broken(
    report: ModuleType, measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(measured)
    path = tmp_path / measured.name
    for faster, status in (("0.5", 1), ("9.0", 0)):
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(row | {"times_faster": row["times_faster"] and faster} for row in rows)
        assert report.main(tmp_path) == status
        assert ("ce_count" in capsys.readouterr().out) == bool(status)


@pytest.mark.slow
def test_streams_and_forms_of_a_record_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
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


@pytest.fixture(scope="module")
def seam() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(SCRIPTS)
        yield script("seam")


def row_of(seam: ModuleType, **known: Any) -> Any:
    return seam.Row("2000-01-01", "a device", 1, "versions", "auto", "float32", **known)


@pytest.mark.parametrize(
    ("bound", "number", "over", "in_doubt"),
    [
        ({"least": 1.0}, 0.49, 1.0, False),
        ({"least": 1.0}, 0.97, 0.01 / 0.97, True),
        ({"least": 1.0}, 0.98, 0.0, False),
        ({"least": 1.0, "noise": 0.03}, 1.0, -0.02, True),
        ({"least": 1.0, "noise": 0.03}, 2.0, -0.51, False),
        ({"most": 4.0}, 5.0, 0.25, False),
        ({"most": 4.0}, 4.2, 0.05, True),
        ({"most": 4.0}, 4.0, 0.0, False),
        ({}, 9.0, -1.0, False),
    ],
)
def test_a_bound_is_missed_by_its_share(
    seam: ModuleType, bound: dict[str, float], number: float, over: float, in_doubt: bool
) -> None:
    row = row_of(seam, objective="ce_count", number=number, **bound)
    assert row.over == pytest.approx(over)
    assert row.missed == (over > 0)
    assert row.in_doubt == in_doubt
    assert ("`ce_count`" in seam.verdict([row])) == row.missed


def test_a_ratio_is_the_median_over_turns(seam: ModuleType) -> None:
    times = {
        seam.Candidate(name, seam.FORWARD, len): found
        for name, found in {
            "spikeloss": [1.0, 2.0, 4.0],
            "torch": [3.0, 4.0, 80.0],
            "again": [3.0, 5.0, 80.0],
        }.items()
    }
    row = seam.compared(row_of(seam), times, "spikeloss", "torch", ("again", "torch"))
    assert (row.number, row.noise, row.repeats) == (3.0, 0.0, 3)
    assert (row.milliseconds, row.milliseconds_against) == (1.0, 3.0)


def test_it_is_measured_again_while_it_is_in_doubt(
    seam: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seam, "ROUNDS", range(2, 6))
    candidates = [seam.Candidate(name, seam.FORWARD, lambda: None) for name in ("a", "b")]
    for number, rounds in ((0.97, 5), (0.5, 2), (1.5, 2)):
        turns = []

        def judged(times: Any, number: float = number, turns: list[int] = turns) -> list[Any]:
            turns.append(len(times[candidates[0]]))
            return [row_of(seam, number=number, least=1.0)]

        seam.settled(candidates, judged, seconds=0.0, most=1)
        assert turns == list(range(1, rounds + 1))


def test_frames_are_those_of_the_package(seam: ModuleType) -> None:
    assert seam.passed(lambda: [abs(x) for x in (1, 2)]) == (0, 0)
    frames, files = seam.passed(seam.presets.ce_rate)
    assert frames >= files >= 1


@pytest.mark.slow
def test_the_seam_is_measured(
    seam: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seam, "ROUNDS", range(1, 2))
    monkeypatch.setattr(seam, "PADDED", seam.Size(4, 3, 5))
    size = seam.Size(4, 3, 5)
    found = seam.run([size], seconds=0.0, most=1, imported=1, folder=tmp_path)
    (path,) = tmp_path.glob("seam-*.csv")
    rows = rows_of(path)
    assert len(rows) == len(found)
    peers = {
        (row["objective"], row["against"], row["way"])
        for row in rows
        if row["question"] == seam.BY_HAND
    }
    assert len(peers) == 2 * (4 + 3)
    for question in (seam.PADDING, seam.STREAM):
        judged = {row["objective"] for row in rows if row["question"] == question and row["most"]}
        assert judged == set(seam.speed.OF_A_RECORD)
    ways = {row["way"] for row in rows if row["question"] == seam.FRAMES}
    assert {"dense", "with lengths", "stream, 25 steps", "events"} <= ways
    assert {row["way"] for row in rows if row["question"] == seam.IMPORT} == {"processor", "wall"}
    assert all(float(row["number"]) > 0 for row in rows)
    page = (tmp_path / "seam.md").read_text()
    assert all(f"`{objective}`" in page for objective in (*seam.LINES, *seam.speed.OF_A_RECORD))
