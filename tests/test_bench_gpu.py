"""benchmarks/gpu.py runs without an accelerator too; what it says of time is for one to judge."""

import csv
import importlib
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

from spikeloss import presets  # noqa: E402

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
T, B, N = 7, 5, 6


def script(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    if not (BENCHMARKS / f"{name}.py").exists():
        pytest.skip("benchmarks/ is not part of this distribution")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module(name)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return script(monkeypatch, "gpu")


def test_without_a_device_it_says_so(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 0
    assert capsys.readouterr().out == "No CUDA device here: nothing was measured.\n"


def test_rows(gpu: ModuleType, tmp_path: Path) -> None:
    """Of every provider a minimum and a median of the value, and of the value with gradient."""
    place, path = torch.device("cpu"), tmp_path / "rows.csv"
    common = gpu.here(place, "abc")
    gpu.run(
        [gpu.Size(T, B, N)],
        gpu.OBJECTIVES,
        path,
        common,
        place=place,
        seconds=0.0,
        limit=60.0,
        compiles=False,
    )
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert not [row["note"] for row in rows if row["note"]]
    assert {row["commit"] for row in rows} == {"abc"}
    for objective in gpu.OBJECTIVES:
        here = [row for row in rows if row["objective"] == objective]
        peers = {row["provider"] for row in here} - {gpu.OURS, gpu.TORCH, gpu.CLONE}
        assert len(peers) == (objective != "cross_entropy")
        assert len(here) == 2 + 4 * (2 + len(peers))
        assert all(float(row["milliseconds"]) > 0 for row in here)


def test_what_fails_has_a_row_that_says_why(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise RuntimeError("no compiler here")

    def other(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 2 * x.sum()

    ours = presets.ce_count()
    calls = {gpu.OURS: ours, gpu.COMPILED: refuses, gpu.TORCH: other}
    place = torch.device("cpu")
    rows = list(
        gpu.group(
            "ce_count",
            gpu.Size(T, B, N),
            lambda *_: calls,
            gpu.here(place, None),
            place=place,
            seconds=0.0,
            counted=True,
        )
    )
    notes = {row.provider: row.note for row in rows if row.note}
    assert notes[gpu.COMPILED] == "RuntimeError: no compiler here"
    assert notes[gpu.TORCH].startswith("another value")
    assert {row.provider for row in rows if not row.note} == {gpu.CLONE, gpu.OURS}


def test_no_time_left(gpu: ModuleType, tmp_path: Path) -> None:
    place = torch.device("cpu")
    rows = gpu.run(
        [gpu.Size(T, B, N)],
        ["ce_count"],
        tmp_path / "rows.csv",
        gpu.here(place, None),
        place=place,
        seconds=0.0,
        limit=0.0,
    )
    assert [(row.provider, row.note) for row in rows] == [
        (gpu.OURS, "no time was left"),
        (gpu.COMPILED, "no time was left"),
    ]


@pytest.mark.parametrize("objective", ["ce_rate", "mse_membrane", "mse_temporal", "ce_temporal"])
def test_the_loops_give_what_we_give(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    by_hand = script(monkeypatch, "by_hand")
    seed = torch.Generator().manual_seed(0)
    record = torch.rand((T, B, N), generator=seed)
    if objective != "mse_membrane":
        record = (record < 0.1).float()
        assert (record.sum(0) == 0).any()  # some are silent
    labels = torch.arange(B)
    ours = presets.catalogue()[objective].build()
    found = []
    for call in (ours, by_hand.LOOPS[objective], by_hand.VECTORISED[objective]):
        leaf = record.clone().requires_grad_()
        loss = call(leaf, labels)
        found.append((loss.detach().squeeze(), *torch.autograd.grad(loss, leaf)))
    for one in found[1:]:
        for mine, theirs in zip(found[0], one, strict=True):
            torch.testing.assert_close(mine, theirs)
