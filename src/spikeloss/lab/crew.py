"""Trains the missing runs of a folder in worker processes, one thread each.

Every worker has a pipe of its own: a run goes in, its epochs come out, then None. A worker saves
its run before it says so, and ends when the other end of its pipe is gone: a kill at any moment
loses at most the runs in progress.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from .errors import InputError, TrainingError
from .objectives import find
from .runs import Epoch
from .store import Folder

Watch = Callable[[str, int, Epoch], None]


def train(folder: Folder, workers: int, watch: Watch) -> None:
    """Train every missing run; `watch` is told of every epoch: objective, seed, epoch."""
    todo = folder.missing()
    crew: dict[Any, SpawnProcess] = {}
    try:
        with _deaf_to_interrupts():
            crew.update(_hire(folder) for _ in range(min(workers, len(todo))))
        for pipe in crew:
            pipe.send(todo.pop(0))
        with _interrupts() as interrupts:
            while crew:
                ready: list[Any] = wait([interrupts, *crew])
                if interrupts in ready:
                    raise KeyboardInterrupt
                for pipe in ready:
                    message = _receive(pipe)
                    if message is not None:
                        watch(*message)
                    elif todo:
                        pipe.send(todo.pop(0))
                    else:
                        pipe.close()
                        crew.pop(pipe).join()
    finally:
        for process in crew.values():
            process.terminate()
            process.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started in here leave Ctrl-C to their parent, from their first moment on."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def _interrupts() -> Iterator[Connection]:
    """A pipe that Ctrl-C writes into; an exception out of nowhere could be lost in a finaliser."""
    reader, writer = Pipe(duplex=False)
    with reader, writer:
        handler = signal.signal(signal.SIGINT, lambda *_: writer.send(None))
        try:
            yield reader
        finally:
            signal.signal(signal.SIGINT, handler)


def _hire(folder: Folder) -> tuple[Any, SpawnProcess]:
    """A worker, waiting at the other end of a pipe."""
    context = get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_work, args=(other, folder), daemon=True)
    process.start()
    other.close()
    return pipe, process


def _receive(pipe: Any) -> Any:
    """What a worker says: objective, seed and epoch, or None at the end of a run."""
    try:
        message = pipe.recv()
    except EOFError:
        fix = "Start again with fewer --workers."
        raise TrainingError(f"a worker process ended unexpectedly. {fix}") from None
    if isinstance(message, TrainingError):
        raise message
    return message


def _work(pipe: Connection, folder: Folder) -> None:
    """Train what comes in until the parent is gone or has nothing left."""
    from .training import fit  # here, so that only workers load PyTorch

    try:
        while True:
            name, seed = run = pipe.recv()
            watch = partial(_tell, pipe, run)
            folder.save(fit(folder.comparison.recipe, find(name), seed, watch=watch))
            pipe.send(None)
    except (InputError, TrainingError) as wrong:
        pipe.send(TrainingError(str(wrong)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _tell(pipe: Connection, run: tuple[str, int], epoch: Epoch) -> None:
    pipe.send((*run, epoch))
