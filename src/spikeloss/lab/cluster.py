"""Trains the missing runs of a folder on the workers of a Dask cluster.

    client -- versions, rehearsal; tasks --> workers -- epochs, by a topic; runs --> client

What would make other numbers, or fail, on a worker is refused before anything is trained. A worker
that is lost costs time: its run is trained again by another one. A run that nobody waits for, as
after Ctrl-C, is ended on its worker.
"""

import asyncio
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

from spikeloss._door._words import cut
from spikeloss._install import hint

from .apart import apart
from .ends import KEPT
from .environment import versions
from .errors import InputError, TrainingError
from .executors import Sent, Task, differences, train_apart
from .objectives import find
from .recipe import Recipe
from .runs import Epoch, Run
from .store import Folder

SECONDS = 5
"""How long a scheduler has for an answer, and a cluster for a first worker."""
OPTION = "--scheduler"


@contextmanager
def connected(folder: Folder, address: str) -> Iterator[Sent]:
    """The missing runs of a folder on their way to a cluster, whose workers can train them."""
    if not folder.missing():
        with ThreadPoolExecutor() as nobody:
            yield Sent(folder, nobody)
        return
    with _quiet(_dask()), _client(address) as client:
        gone = TrainingError(f"the scheduler at {address} is gone. {KEPT}")
        try:
            _check_workers(client, folder)
        except OSError:
            raise gone from None
        try:
            yield _sent(client, folder)
        except TrainingError:
            if client.status == "running":
                raise
            raise gone from None


def _dask() -> Any:
    """The package, which sets its loggers as it is imported."""
    if find_spec("distributed") is None:
        fix = hint("cluster")
        raise InputError(OPTION, "the package distributed", "none", fix)
    import distributed

    return distributed


def _sent(client: Any, folder: Folder) -> Sent:
    topic, executor = f"spikeloss-{uuid4().hex}", client.get_executor(pure=False)
    sent = Sent(folder, executor, partial(_on_worker, topic), (_dask().KilledWorker,))

    def hear(event: Any) -> None:
        name, seed, epoch = event[1]
        sent.heard.put((name, seed, Epoch(*epoch)))

    client.subscribe_topic(topic, hear)
    return sent


@contextmanager
def _quiet(dask: Any) -> Iterator[None]:
    """Dask keeps to itself what is told in a line anyway."""
    loggers = [logging.getLogger(f"{dask.__name__}{part}") for part in ("", ".client")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _client(address: str) -> Any:
    """A client of a scheduler, with a worker at least."""
    from distributed.comm.addressing import resolve_address

    known = {"timeout": SECONDS, "set_as_default": False, "name": "spikeloss"}
    rule, fix = "the address of a Dask scheduler", "Start one with: dask scheduler."
    try:
        resolve_address(address)  # of what is none, a client half made would hold up the end
        with warnings.catch_warnings(action="ignore"):  # of versions, which are compared below
            client = _dask().Client(address, **known)
    except (OSError, ValueError, TypeError, ImportError) as wrong:
        got = f"{cut(repr(address))} ({type(wrong).__name__}: {cut(str(wrong))})"
        raise InputError(OPTION, rule, got, fix) from None
    try:
        client.wait_for_workers(1, timeout=SECONDS)
    except TimeoutError:
        client.close()
        fix = f"Start one with: dask worker {address}."
        raise InputError(OPTION, "a cluster with a worker", "none", fix) from None
    return client


def _check_workers(client: Any, folder: Folder) -> None:
    """Refuse workers with other versions, and those that cannot train what is compared."""
    recipe, names = folder.comparison.recipe, folder.comparison.objectives
    here, rule = (
        versions(recipe.data, recipe.library),
        "workers with the versions that there are here",
    )
    for there, found in client.run(
        versions, recipe.data, recipe.library, on_error="return"
    ).items():
        wrong = _why(found) or differences(found, here)
        if wrong:
            raise InputError(OPTION, rule, f"{there} with {wrong}", "Install the same there.")
    rule = "workers that can train what is compared"
    for there, found in client.run(_rehearse, recipe, names, on_error="return").items():
        if found is not None:
            raise InputError(OPTION, rule, f"{there} ({_why(found)})", "Mend it there.")


def _why(found: Any) -> str:
    """What a worker says is wrong, in words; none for anything else."""
    if isinstance(found, (InputError, TrainingError)):
        return str(found).rstrip(".")
    text = f"{type(found).__name__}: {cut(str(found))}".rstrip(": .")
    return text if isinstance(found, Exception) else ""


async def _rehearse(recipe: Recipe, names: tuple[str, ...]) -> None:
    """On a worker: refuse what it cannot train; a task of someone else does not hold it up."""
    await asyncio.to_thread(apart, "a rehearsal", rehearsed, recipe, names)


def rehearsed(recipe: Recipe, names: tuple[str, ...]) -> None:
    """Refuse objectives that cannot be trained in this process."""
    from .training import rehearse

    for name in names:
        rehearse(recipe, find(name))


def _on_worker(topic: str, task: Task) -> Run:
    """On a worker: train a run, tell its epochs, and end it when nobody waits for it."""
    worker = _dask().get_worker()
    key = worker.get_current_task()

    def tell(epoch: Epoch) -> None:
        worker.log_event(topic, [task.objective, task.seed, astuple(epoch)])

    def wanted() -> bool:
        known = worker.state.tasks.get(key)
        return known is not None and known.state == "executing"

    try:
        return train_apart(task, watch=tell, wanted=wanted)
    except (InputError, TrainingError) as wrong:
        raise TrainingError(f"{worker.address}: {wrong}") from None
