"""The loss and the gradient of one big batch, of which processes and devices hold shards.

Processes run the checks of `ranks.py`, all in one start, 8 devices of JAX those of `ranks_jax.py`.
What a rank should find is what one process finds for the whole batch.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch without torch.distributed"
)

LIMIT = 240  # seconds
CHECKS = (
    *("every_row", "sums_by_one_collective", "ignored_labels", "precision", "infinite"),
    *("sequences", "streams", "parts_of_micro_batches", "ddp", "fsdp", "summed_by_hand"),
    *("accumulation", "groups", "compiled", "stretches_of_time", "synchronised_metrics"),
    "refusals",
)


def started(programs: list[str], folder: Path, **settings: str) -> str:
    """What went wrong in programs that run at once; one that is lost takes the others with it."""
    settings |= {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    logs = [(folder / f"{i}.log").open("w") for i in range(len(programs))]
    command, env = [sys.executable, "-W", "error", "-c"], os.environ | settings
    running = [
        subprocess.Popen([*command, code], stdout=log, stderr=log, env=env)
        for code, log in zip(programs, logs, strict=True)
    ]
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and any(each.poll() is None for each in running):
        if any(each.poll() for each in running):
            end = min(end, time.monotonic() + 5)
        time.sleep(0.05)
    for each in running:
        each.kill()
        each.wait()
    for log in logs:
        log.close()
    wrong = [i for i, each in enumerate(running) if each.returncode]
    return "\n".join((folder / f"{i}.log").read_text()[-3000:] for i in wrong)


Found = dict[str, list[str]]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What every rank says of every check."""
    size, folder = request.param, tmp_path_factory.mktemp("ranks")
    call = "import ranks; ranks.run({}, {}, {!r})"
    said = started([call.format(rank, size, str(folder)) for rank in range(size)], folder)
    results: Found = {name: [] for name in CHECKS}
    for path in sorted(folder.glob("*.json")):
        for name, wrong in json.loads(path.read_text()).items():
            results[name].append(wrong)
    return {
        name: [*each, *[f"not run: {said}"] * (size - len(each))] for name, each in results.items()
    }


@pytest.mark.parametrize("name", CHECKS)
def test_processes(found: Found, name: str) -> None:
    assert [wrong for wrong in found[name] if wrong] == []


def test_a_lost_process_does_not_hang(tmp_path: Path) -> None:
    begin = time.monotonic()
    said = started(["raise SystemExit('lost')", "import time; time.sleep(1000)"], tmp_path)
    assert "lost" in said
    assert time.monotonic() - begin < 60


# Devices of JAX

DEVICES = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"


def on_devices(folder: Path, *names: str, **settings: str) -> str:
    """What went wrong in checks of `ranks_jax.py`."""
    program = f"import ranks_jax; ranks_jax.run(*{names})"
    return started([program], folder, XLA_FLAGS=DEVICES, **settings)


def test_devices(tmp_path: Path) -> None:
    assert not on_devices(tmp_path, "records", "one_collective", "stretches_of_time", "refusals")


@pytest.mark.long
@pytest.mark.slow
def test_every_way_to_map_an_axis(tmp_path: Path) -> None:
    assert not on_devices(tmp_path, "axes", "two_axes")


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["auto", pytest.param("off", marks=pytest.mark.long)])
def test_shards_under_jit(tmp_path: Path, kernels: str) -> None:
    assert not on_devices(tmp_path, "under_jit", "refusals", SPIKELOSS_KERNELS=kernels)
