"""Kills, full disks and workers that die: no finished run is lost, every end is told.

A test that draws prints its seed, which pytest shows when it fails.
"""

import errno
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from spikeloss.lab import store
from spikeloss.lab.errors import InputError
from spikeloss.lab.objectives import find
from spikeloss.lab.publishing import publish
from spikeloss.lab.recipe import Comparison, Recipe
from spikeloss.lab.training import fit

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=1, steps=3, hidden=4, batch_size=512)
COMPARISON = Comparison(RECIPE, ("ce_count", "0.5*ce_rate + 2*mse_count(on=0.8)"), seeds=3)


@pytest.fixture
def draw():
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    return random.Random(seed)


@pytest.fixture(scope="module")
def run():
    return fit(RECIPE, find("ce_count"), 0)


def kept(folder):
    return {file: file.read_bytes() for file in (folder / "runs").glob("[!.]*")}


def test_a_failing_disk_loses_nothing_that_was_kept(tmp_path, monkeypatch, draw, run):
    """Each call of the system fails at random; then the disk is mended, and all goes on."""
    share = 0.0
    calls = {"fsync": os.fsync, "replace": os.replace, "link": os.link, "unlink": os.unlink}

    def failing(call):
        def maybe(*arguments, **options):
            if draw.random() < share:
                number = draw.choice([errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
                raise OSError(number, os.strerror(number))
            return call(*arguments, **options)

        return maybe

    for name, call in calls.items():
        monkeypatch.setattr(os, name, failing(call))
    for trial in range(20):
        path, saved, said, share = tmp_path / str(trial), {}, [], draw.choice([0.1, 0.5, 0.9])
        for _ in range(30):
            try:
                folder = store.Folder.open(path, COMPARISON)
                for objective, seed in folder.missing():
                    folder.save(replace(run, objective=objective, seed=seed))
                    saved |= kept(path)
            except InputError as wrong:
                said.append(str(wrong))
            assert kept(path).items() >= saved.items()
        start = "--out: expected a place that can be written, got "
        assert all(line.startswith(start) for line in said)
        share = 0.0
        folder = store.Folder.open(path, COMPARISON)
        for objective, seed in folder.missing():
            folder.save(replace(run, objective=objective, seed=seed))
        assert kept(path).items() >= saved.items()
        assert len(folder.runs()) == 6
    assert publish(folder)["summary"]


WRITER = """
import sys, itertools
from pathlib import Path
from spikeloss.lab.files import create, dumps, write
folder = Path(sys.argv[1])
print("ready", flush=True)
for i in itertools.count():
    write(folder / f"run-{i % 5}.json", dumps({"at": list(range(20000))}))
    create(folder / f"new-{i}.json", dumps({"at": list(range(5000))}))
"""


def test_a_kill_leaves_whole_files(tmp_path, draw):
    for _ in range(5):
        words = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0, 0.1))
            writer.kill()
        for file in tmp_path.glob("[!.]*"):
            assert len(json.loads(file.read_text())["at"]) in (20000, 5000)


def command(out, workers=2):
    words = shlex.split(COMPARISON.command())[1:]
    return [
        sys.executable,
        "-m",
        "spikeloss.cli",
        *words,
        "--out",
        str(out),
        "--workers",
        str(workers),
    ]


@pytest.mark.long
def test_a_comparison_killed_at_random_goes_on(tmp_path, draw):
    """Killed twice at any moment, then finished: runs that were kept stay as they are."""
    out, before = tmp_path / "out", {}
    for _ in range(2):
        with subprocess.Popen(
            command(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            time.sleep(draw.uniform(2, 8))
            os.killpg(process.pid, signal.SIGKILL)
        assert kept(out).items() >= before.items()
        before = kept(out)
    done = subprocess.run(command(out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert kept(out).items() >= before.items()
    assert len(kept(out)) == 6
    assert (out / "report.html").exists()


DEATHS = {
    "killed": (
        "import os; os.kill(os.getpid(), 9)",
        "a worker process was ended by SIGKILL. Take fewer --workers,",
    ),
    "import": (
        "sys.modules['snntorch'] = None",
        "--library torch: expected the packages of a library that trains, got no snntorch.",
    ),
    "start": (
        "raise SystemExit('no way')",
        "a worker process exited with 1 (SystemExit: no way). What is finished is kept: repeat",
    ),
    "late": (
        "import threading, os; threading.Timer(2, os.abort).start()",
        "a worker process was ended by SIGABRT",
    ),
    "memory": (
        "import snntorch; snntorch.Leaky = lambda **_: [0] * 2**60",
        "ce_count, seed 0 ended with MemoryError. Take fewer --workers, or a smaller --hidden",
    ),
}


SOON = ("killed", "import")


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=() if x in SOON else pytest.mark.long) for x in DEATHS]
)
def test_a_worker_that_dies_is_told_in_a_line(tmp_path, name):
    """A worker is a Python that runs spawn_main: this module of its start makes it die."""
    code, line = DEATHS[name]
    where = "if 'spawn_main' in ' '.join(sys.orig_argv):\n    "
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{where}{code}\n")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        command(tmp_path / "out", workers=1), capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    bars, *others = done.stderr.splitlines()
    assert bars.startswith("runs")
    last = others[-1]
    assert last.startswith(f"error: {line}"), done.stderr
    assert "Traceback" not in done.stderr
    assert all("seed" in other for other in others[:-1])
    assert Path(tmp_path / "out" / "config.json").exists()
