"""Trains the missing runs of a folder in worker processes, one thread each.

Every worker has a pipe of its own: a run goes in, its epochs come out, then None. A worker saves
its run before it says so, and ends when the other end of its pipe is gone: a kill at any moment
loses at most the runs in progress. What workers write on stderr goes into a file, whose last line
is quoted should one of them end early.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from tempfile import TemporaryFile
from typing import IO, Any

from .ends import ended, failed, on_interrupt
from .errors import InputError, TrainingError
from .runs import Epoch
from .store import Folder

Watch = Callable[[str, int, Epoch], None]
Workers = dict[Any, SpawnProcess]
"""A pipe to each worker -> its process."""
GONE = (EOFError, BrokenPipeError, ConnectionResetError)
"""What a pipe says whose other end is gone."""


@contextmanager
def hired(folder: Folder, workers: int) -> Iterator["Crew"]:
    """Workers for the missing runs of a folder, ended on the way out."""
    with TemporaryFile() as words:
        crew = Crew(folder.missing(), {}, words)
        try:
            with _deaf_to_interrupts(), _stderr_into(words):
                crew.workers.update(_hire(folder) for _ in range(min(workers, len(crew.todo))))
            yield crew
        finally:
            for process in crew.workers.values():
                process.terminate()
                process.join()


@dataclass(frozen=True)
class Crew:
    """What is still to be trained, who trains it, and what they have on stderr."""

    todo: list[tuple[str, int]]
    workers: Workers
    words: IO[bytes]

    def train(self, watch: Watch) -> None:
        """Train every missing run; `watch` is told of every epoch: objective, seed, epoch."""
        for pipe in self.workers:
            self._give(pipe)
        with _interrupts() as interrupts:
            while self.workers:
                ready: list[Any] = wait([interrupts, *self.workers])
                if interrupts in ready:
                    raise KeyboardInterrupt
                for pipe in ready:
                    message = self._receive(pipe)
                    if message is not None:
                        watch(*message)
                    elif self.todo:
                        self._give(pipe)
                    else:
                        pipe.close()
                        self.workers.pop(pipe).join()

    def _give(self, pipe: Any) -> None:
        """The next run for a worker; one that is gone is found when it is listened to."""
        with suppress(*GONE):
            pipe.send(self.todo.pop(0))

    def _receive(self, pipe: Any) -> Any:
        """What a worker says: objective, seed and epoch, or None at the end of a run."""
        try:
            message = pipe.recv()
        except GONE:
            process = self.workers[pipe]
            process.join()
            raise TrainingError(ended(process.exitcode or 0, self.words)) from None
        if isinstance(message, TrainingError):
            raise message
        return message


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started in here leave Ctrl-C to their parent, from their first moment on."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def _stderr_into(words: IO[bytes]) -> Iterator[None]:
    """Processes started in here write what they have on stderr into a file."""
    try:
        own = os.dup(2)
    except OSError:  # there is none
        yield
        return
    os.dup2(words.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


@contextmanager
def _interrupts() -> Iterator[Connection]:
    """A pipe that Ctrl-C writes into."""
    reader, writer = Pipe(duplex=False)
    with reader, writer, on_interrupt(lambda: writer.send(None)):
        yield reader


def _hire(folder: Folder) -> tuple[Any, SpawnProcess]:
    """A worker, waiting at the other end of a pipe."""
    context = get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_work, args=(other, folder), daemon=True)
    try:
        process.start()
    except OSError as wrong:
        why = f"a worker process could not be started ({wrong.strerror})"
        raise TrainingError(f"{why}. Take fewer --workers.") from None
    other.close()
    return pipe, process


def _work(pipe: Connection, folder: Folder) -> None:
    """Train what comes in until the parent is gone or has nothing left."""
    doing = "a worker process"
    try:
        from .training import in_one_thread, train_one

        in_one_thread(folder.comparison.recipe)
        while True:
            name, seed = run = pipe.recv()
            doing = f"{name}, seed {seed}"
            watch = partial(_tell, pipe, run)
            known: Any = {"watch": watch, "checkpoint": folder.checkpoint(*run)}
            folder.save(train_one(folder.comparison.recipe, *run, **known))
            pipe.send(None)
    except (InputError, TrainingError) as wrong:
        pipe.send(TrainingError(str(wrong)))
    except GONE:
        return
    except Exception as wrong:  # whatever it is, the parent says it in a line
        pipe.send(TrainingError(failed(doing, wrong)))


def _tell(pipe: Connection, run: tuple[str, int], epoch: Epoch) -> None:
    pipe.send((*run, epoch))
