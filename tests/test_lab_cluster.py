"""Runs on executors and on a Dask cluster: the same bits, whoever dies, and every end told."""

import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest

from spikeloss._install import hint
from spikeloss.lab import cluster, executors
from spikeloss.lab.apart import apart
from spikeloss.lab.crew import hired
from spikeloss.lab.errors import InputError, TrainingError
from spikeloss.lab.executors import Sent, Task, train_on
from spikeloss.lab.objectives import find
from spikeloss.lab.recipe import Comparison, Recipe
from spikeloss.lab.runs import Epoch
from spikeloss.lab.store import Folder
from spikeloss.lab.training import fit

RECIPE = Recipe(epochs=2, steps=3, hidden=4, batch_size=512)
COMPARISON = Comparison(RECIPE, ("ce_count", "mse_count(on=0.8)"), seeds=2)
LONG = Comparison(replace(RECIPE, epochs=20, batch_size=64), ("ce_count", "mse_count"), seeds=2)
ENDLESS = replace(LONG, recipe=replace(RECIPE, epochs=10**4))


def ignored(name, seed, epoch):
    """A watch that does nothing."""


def numbers(run):
    """What a run holds, times apart."""
    curve = [(epoch.loss, epoch.accuracy) for epoch in run.curve]
    known = run.as_dict() | {"curve": curve}
    return {name: x for name, x in known.items() if name not in TIMES}


TIMES = ("seconds_per_epoch", "objective_share")


# ---- a call in a process of its own


def greet(word, watch):
    print("to nobody")
    watch(word)
    return os.getpid()


def refuse():
    raise InputError("--data", "one", ["two"], "Take one.")


def test_a_call_has_a_process_of_its_own_and_tells_what_it_wants():
    heard = []
    assert apart("a call", greet, "hello", watch=heard.append) != os.getpid()
    assert heard == ["hello"]


@pytest.mark.parametrize(
    ("call", "given", "kind", "line"),
    [
        (refuse, (), InputError, "--data: expected one, got ['two']. Take one."),
        (divmod, (1, 0), TrainingError, "a call ended with ZeroDivisionError: integer division"),
        (os._exit, (3,), TrainingError, "a worker process exited with 3. What is finished is kept"),
        (os.abort, (), TrainingError, "a worker process was ended by SIGABRT"),
    ],
)
def test_how_a_call_ends_is_told_in_a_line(call, given, kind, line):
    with pytest.raises(kind) as raised:
        apart("a call", call, *given)
    assert str(raised.value).startswith(line)


def test_a_call_that_nobody_wants_is_ended():
    start = time.monotonic()
    with pytest.raises(TrainingError, match="ended by SIGKILL"):
        apart("a call", time.sleep, 600, wanted=lambda: False)
    assert time.monotonic() - start < 60


def test_an_error_goes_through_a_pickle():
    error = InputError("--data", "one", {"two": 2}, "Take one.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# ---- an executor


class Later:
    """An executor whose tasks are done by hand."""

    def __init__(self):
        self.tasks = []

    def submit(self, call, task):
        self.tasks.append((Future(), task))
        return self.tasks[-1][0]


@pytest.fixture(scope="module")
def trained():
    return fit(RECIPE, find("ce_count"), 0)


@pytest.fixture
def folder(tmp_path):
    return Folder.open(tmp_path / "out", COMPARISON)


class Answers(Later):
    """An executor whose tasks are done at once, with what is given: True stands for the run."""

    def __init__(self, run, *answers):
        super().__init__()
        self.run, self.answers = run, list(answers)

    def submit(self, call, task):
        future = super().submit(call, task)
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        elif answer:
            future.set_result(replace(self.run, objective=task.objective, seed=task.seed))
        return future


def test_runs_are_saved_and_their_epochs_told(folder, trained):
    told = []
    train_on(folder, Answers(trained), lambda *words: told.append(words))
    assert folder.missing() == []
    assert told == [(*run, epoch) for run in COMPARISON.runs() for epoch in trained.curve]


def test_epochs_are_told_as_often_as_there_are_some(folder, trained):
    """Those of a run that is trained twice, or that come late, are not told again."""
    told, epoch = [], Epoch(1.0, 0.5, 0.1, 0.01)
    sent = Sent(folder, Answers(trained))
    for _ in range(3):
        sent.heard.put(("ce_count", 0, epoch))
    sent.train(lambda *words: told.append(words))
    assert [words[2] for words in told if words[:2] == ("ce_count", 0)] == [
        epoch,
        trained.curve[1],
    ]
    assert len(told) == 8


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (TrainingError("it diverged"), "it diverged"),
        (InputError("--data", "one", "two", "Take one."), "--data: expected one, got two."),
        (CancelledError(), "mse_count(on=0.8), seed 0 was given up by the executor. What is"),
        (KeyError("x"), "mse_count(on=0.8), seed 0 ended with KeyError: 'x'. What is finished"),
    ],
)
def test_an_error_cancels_what_waits_and_keeps_what_is_finished(folder, trained, wrong, line):
    executor = Answers(trained, True, wrong, False, True)
    with pytest.raises((TrainingError, InputError)) as raised:
        train_on(folder, executor)
    assert str(raised.value).startswith(line)
    assert folder.missing() == [("mse_count(on=0.8)", 0), ("ce_count", 1)]
    assert [future.cancelled() for future, _ in executor.tasks] == [False, False, True, False]


def test_an_interrupt_cancels_what_waits_and_keeps_what_is_finished(folder, trained):
    executor = Answers(trained, True, False, False, True)

    def watch(name, seed, epoch):
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_on(folder, executor, watch)
    assert signal.getsignal(signal.SIGINT) is before
    assert folder.missing() == [("mse_count(on=0.8)", 0), ("ce_count", 1)]
    assert [future.cancelled() for future, _ in executor.tasks] == [False, True, True, False]


def test_a_run_whose_worker_is_lost_is_trained_again(folder, trained):
    executor = Answers(trained, EOFError(), True, True, True, EOFError(), EOFError())
    Sent(folder, executor, again=(EOFError,)).train(ignored)
    assert folder.missing() == []
    assert len(executor.tasks) == 7


def test_a_run_that_loses_every_worker_is_named(folder, trained):
    executor = Answers(trained, *[EOFError("gone")] * 20)
    with pytest.raises(TrainingError, match="ce_count, seed 0 ended with EOFError: gone"):
        Sent(folder, executor, again=(EOFError,)).train(ignored)
    assert len(executor.tasks) == 4 + 4 * executors.LOST


def test_other_versions_where_a_run_is_trained_are_refused(folder):
    task = Task.missing(folder)[0]
    with pytest.raises(InputError) as raised:
        replace(task, versions=task.versions | {"torch": "1.0"}).train()
    assert str(raised.value).startswith("executor: expected workers with the versions that there")
    assert f"got torch {task.versions['torch']} (here 1.0)." in str(raised.value)


def test_a_checkpoint_is_used_where_the_folder_is_seen(folder, tmp_path):
    task = Task.missing(folder)[0]
    assert task.checkpoint == folder.checkpoint("ce_count", 0).absolute()
    assert task._seen()
    assert not replace(task, config=b"{}")._seen()
    elsewhere = tmp_path / "elsewhere" / "runs" / task.checkpoint.name
    assert not replace(task, checkpoint=elsewhere)._seen()


# ---- a cluster


class Workers:
    """A client of two workers, which say what is given."""

    def __init__(self, second, rehearsal=None):
        self.second, self.rehearsal = second, rehearsal

    def run(self, call, *given, on_error):
        first, second = None, self.rehearsal
        if call is cluster.versions:
            first = cluster.versions("digits")
            second = first | self.second if isinstance(self.second, dict) else self.second
        return {"tcp://one:1": first, "tcp://two:2": second}


MISSING = ModuleNotFoundError("No module named 'spikeloss'")
REFUSED = InputError("--model", "code", "net:Net", "Run it where the module lies.")


@pytest.mark.parametrize(
    ("second", "rehearsal", "line"),
    [
        ({"torch": "1.0"}, None, "versions that there are here, got tcp://two:2 with torch 1.0 (h"),
        (MISSING, None, "tcp://two:2 with ModuleNotFoundError: No module named 'spikeloss'. Inst"),
        ({}, REFUSED, "got tcp://two:2 (--model: expected code, got net:Net. Run it where the mod"),
        ({}, OSError(), "got tcp://two:2 (OSError). Mend it there."),
    ],
)
def test_a_worker_that_would_fail_is_named(folder, second, rehearsal, line):
    with pytest.raises(InputError) as raised:
        cluster._check_workers(Workers(second, rehearsal), folder)
    assert line in str(raised.value)
    cluster._check_workers(Workers({}), folder)


@pytest.mark.parametrize("address", ["nonsense", "x://y:1", "host:port", "nobody.invalid:8786"])
def test_what_is_no_scheduler_is_refused(folder, address):
    pytest.importorskip("distributed")
    start = f"--scheduler: expected the address of a Dask scheduler, got '{address}' ("
    with pytest.raises(InputError) as raised, cluster.connected(folder, address):
        pass
    assert str(raised.value).startswith(start)


def test_a_scheduler_that_does_not_answer_is_refused(folder, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "SECONDS", 0.5)
    with pytest.raises(InputError) as raised, cluster.connected(folder, "tcp://127.0.0.1:1"):
        pass
    assert "OSError: Timed out trying to connect to tcp://127.0.0.1:1" in str(raised.value)


def test_a_scheduler_that_is_lost_early_is_told(folder, monkeypatch):
    pytest.importorskip("distributed")

    def lost(client, folder):
        raise OSError("closed")

    monkeypatch.setattr(cluster, "_client", nullcontext)
    monkeypatch.setattr(cluster, "_check_workers", lost)
    line = "the scheduler at tcp://one:1 is gone. What is finished is kept"
    with pytest.raises(TrainingError, match=line), cluster.connected(folder, "tcp://one:1"):
        pass


def test_a_finished_comparison_needs_no_cluster(folder, trained):
    train_on(folder, Answers(trained))
    with cluster.connected(folder, "nonsense") as sent:
        sent.train(ignored)


def test_without_dask_its_extra_is_named(folder, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(InputError) as raised, cluster.connected(folder, "tcp://127.0.0.1:1"):
        pass
    assert str(raised.value) == (
        f"--scheduler: expected the package distributed, got none. {hint('cluster')}"
    )


# ---- whole comparisons


def crewed(path, comparison):
    """The runs of a comparison in local processes."""
    folder = Folder.open(path, comparison)
    with hired(folder, 1) as crew:
        crew.train(ignored)
    return [numbers(run) for run in folder.runs()]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return crewed(tmp_path_factory.mktemp("local") / "out", COMPARISON)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executors_give_what_local_processes_give(folder, local, kind):
    known = {"max_tasks_per_child": 1} if kind is ProcessPoolExecutor else {}  # spawned
    with kind(2, **known) as executor:
        train_on(folder, executor)
    assert [numbers(run) for run in folder.runs()] == local


@pytest.fixture(scope="module")
def dask():
    """A client of two processes with a thread each, whose scheduler itself tries nothing again."""
    distributed = pytest.importorskip("distributed")
    import dask

    known = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(dashboard_address=":0", **known) as started,
        distributed.Client(started, set_as_default=False) as client,
    ):
        yield client


def address(client):
    return client.scheduler.address


def children(client):
    """The processes in which workers train, by worker."""
    import psutil

    pids = client.run(os.getpid)
    return {name: psutil.Process(pid).children(recursive=True) for name, pid in pids.items()}


@pytest.mark.slow
def test_a_killed_worker_loses_no_run(dask, tmp_path):
    folder, killed = Folder.open(tmp_path / "out", LONG), []

    def watch(name, seed, epoch):
        if killed:
            return
        busy = next(worker for worker, tasks in dask.processing().items() if tasks)
        trainings = children(dask)[busy]
        pid = dask.run(os.getpid, workers=[busy])[busy]
        os.kill(pid, signal.SIGKILL)
        killed.extend(trainings)

    with cluster.connected(folder, address(dask)) as sent:
        sent.train(watch)
    assert killed
    assert not any(process.is_running() for process in killed)
    runs = [numbers(run) for run in folder.runs()]
    assert runs == crewed(tmp_path / "local", LONG)


@pytest.mark.long
@pytest.mark.slow
def test_an_interrupt_ends_what_is_trained(dask, tmp_path):
    folder = Folder.open(tmp_path / "out", ENDLESS)
    dask.wait_for_workers(2, timeout=60)

    def watch(name, seed, epoch):
        signal.raise_signal(signal.SIGINT)

    with (
        pytest.raises(KeyboardInterrupt),
        cluster.connected(folder, address(dask)) as sent,
    ):
        sent.train(watch)
    wait_for(lambda: not any(children(dask).values()))
    assert len(folder.missing()) == 4


@pytest.mark.slow
def test_what_a_worker_cannot_import_is_said_with_its_address(dask, tmp_path):
    recipe = replace(RECIPE, model="no_such_module:Net")
    folder = Folder.open(tmp_path / "out", replace(COMPARISON, recipe=recipe))
    with pytest.raises(InputError) as raised, cluster.connected(folder, address(dask)):
        pass
    start = "--scheduler: expected workers that can train what is compared, got tcp://127.0.0.1:"
    assert str(raised.value).startswith(start)
    assert "No module named 'no_such_module'" in str(raised.value)


@contextmanager
def program(*words, **known):
    """A process of its own, killed on the way out."""
    with subprocess.Popen([sys.executable, "-m", *words], text=True, **known) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def scheduler_and_worker(folder):
    """A scheduler of its own, its address, and a worker with two threads."""
    pytest.importorskip("distributed")
    file, quiet = folder / "scheduler.json", {"stdout": subprocess.DEVNULL, "cwd": folder}
    known = ["--scheduler-file", str(file), "--no-dashboard"]
    words = "distributed.cli.dask_scheduler", *known, "--host", "127.0.0.1", "--port", "0"
    more = *known, "--nthreads", "2", "--no-nanny"
    quiet["stderr"] = subprocess.DEVNULL
    with program(*words, **quiet) as started:
        wait_for(file.exists)
        with program("distributed.cli.dask_worker", *more, **quiet):
            yield started, json.loads(file.read_text())["address"]


def wait_for(condition, seconds=120):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.1)


def command(comparison, place, out):
    words = shlex.split(comparison.command())[1:]
    return ["spikeloss.cli", *words, "--scheduler", place, "--out", str(out), "--json"]


@pytest.mark.long
@pytest.mark.slow
def test_the_command_sends_runs_to_a_worker_with_several_threads(local, tmp_path):
    """Its results are those of local processes; that the scheduler is gone is told in a line."""
    out, pipes = tmp_path / "out", {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with scheduler_and_worker(tmp_path) as (scheduler, place):
        with program(*command(COMPARISON, place, out), **pipes) as process:
            printed, complaint = process.communicate()
        assert process.returncode == 0, complaint
        assert json.loads(printed)["out"] == str(out)
        assert complaint.split()[-1] == "4/4"
        assert [numbers(run) for run in Folder.open(out, COMPARISON).runs()] == local

        out = tmp_path / "endless"
        with program(*command(ENDLESS, place, out), **pipes) as process:
            wait_for(lambda: list(out.glob("runs/*.safetensors")))
            scheduler.kill()
            printed, complaint = process.communicate()
    assert process.returncode == 1
    assert complaint.splitlines()[-1] == (
        f"error: the scheduler at {place} is gone. What is finished is kept: repeat the command."
    )
    assert "Traceback" not in complaint
    assert printed == ""
