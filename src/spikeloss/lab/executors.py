"""Trains the missing runs of a folder on any executor of `concurrent.futures`.

Every run has a fresh process of its own, whether the executor has threads, processes, or workers
on other machines: the numbers are those of `spikeloss.lab.crew`. Runs are saved here as they come
in; a worker needs no disk that is shared. Where it does see the folder, a training goes on after
the last epoch that was kept there.
"""

import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import current_thread, main_thread
from typing import Any

from .apart import apart
from .crew import Watch
from .ends import KEPT, failed, on_interrupt
from .environment import versions
from .errors import InputError, TrainingError
from .recipe import Recipe
from .runs import Epoch, Run
from .store import Folder

LOST = 3
"""How often a run is trained again of which an executor says that its worker is gone."""


@dataclass(frozen=True)
class Task:
    """One run to be trained, in plain values.

    `versions` are those that it is to be trained with, `checkpoint` the file where the folder has
    it, `config` what config.json of that folder says.
    """

    recipe: Recipe
    objective: str
    seed: int
    versions: dict[str, str]
    checkpoint: Path
    config: bytes

    @classmethod
    def missing(cls, folder: Folder) -> list["Task"]:
        """The tasks of all runs that a folder lacks."""
        recipe, here = folder.comparison.recipe, folder.path.absolute()
        known = Folder(here, folder.comparison)
        made = versions(recipe.data, recipe.library), (here / "config.json").read_bytes()
        return [
            cls(recipe, *run, made[0], known.checkpoint(*run), made[1]) for run in known.missing()
        ]

    @property
    def words(self) -> str:
        """What it is called in errors."""
        return f"{self.objective}, seed {self.seed}"

    def train(self, *, watch: Callable[[Epoch], None] = lambda epoch: None) -> Run:
        """Train it in this process."""
        from .training import train_one

        differing = differences(versions(self.recipe.data, self.recipe.library), self.versions)
        if differing:
            rule = "workers with the versions that there are here"
            raise InputError("executor", rule, differing, "Install the same there.")
        kept = self.checkpoint if self._seen() else None
        return train_one(self.recipe, self.objective, self.seed, watch=watch, checkpoint=kept)

    def _seen(self) -> bool:
        """Whether this machine sees the folder, and may write to it."""
        config = self.checkpoint.parent.parent / "config.json"
        try:
            return config.read_bytes() == self.config and os.access(config.parent, os.W_OK)
        except OSError:
            return False


def differences(there: dict[str, str], here: dict[str, str]) -> str:
    """What differs between the versions of two machines: nothing, or words."""
    return ", ".join(
        f"{name} {there.get(name)} (here {here.get(name)})"
        for name in sorted(there | here)
        if there.get(name) != here.get(name)
    )


def train_apart(task: Task, **known: Any) -> Run:
    """Train a run in a process of its own: what executors are given; options as of `apart`."""
    run: Run = apart(task.words, Task.train, task, **known)
    return run


Waiting = dict[Future[Run], tuple[Task, int]]
"""What an executor has -> the task, and how often its worker was lost."""


@dataclass(frozen=True)
class Sent:
    """The missing runs of a folder, on their way to an executor.

    `call` trains a task there. An exception that is one of `again` says that a worker is gone.
    `heard` takes futures that are done, epochs as (objective, seed, epoch), and None for Ctrl-C.
    """

    folder: Folder
    executor: Executor
    call: Callable[[Task], Run] = train_apart
    again: tuple[type[Exception], ...] = ()
    heard: SimpleQueue[Any] = field(default_factory=SimpleQueue)

    def train(self, watch: Watch) -> None:
        """Train them, and save each as it comes in; `watch` is told of every epoch."""
        waiting: Waiting = {}
        told: dict[tuple[str, int], int] = {}
        try:
            with self._interrupts():
                for task in Task.missing(self.folder):
                    self._submit(waiting, task)
                while waiting:
                    heard = self.heard.get()
                    if heard is None:
                        raise KeyboardInterrupt
                    if isinstance(heard, Future):
                        self._take(waiting, heard, partial(_tell, watch, told))
                    else:
                        self._tell_early(watch, told, *heard)
        finally:
            for future in waiting:
                if not future.cancel() and future.done() and future.exception() is None:
                    self.folder.save(future.result())

    def _interrupts(self) -> AbstractContextManager[None]:
        """Ctrl-C is heard as None, where this thread is the one that has it."""
        if current_thread() is not main_thread():
            return nullcontext()
        return on_interrupt(partial(self.heard.put, None))

    def _submit(self, waiting: Waiting, task: Task, lost: int = 0) -> None:
        try:
            future = self.executor.submit(self.call, task)
        except Exception as wrong:  # whatever an executor has to say
            raise TrainingError(failed(task.words, wrong)) from wrong
        waiting[future] = task, lost
        future.add_done_callback(self.heard.put)

    def _take(self, waiting: Waiting, future: Future[Run], tell: Callable[[Run], None]) -> None:
        """Save what a future brings, or submit its task again."""
        task, lost = waiting.pop(future)
        try:
            run = future.result()
        except (InputError, TrainingError):
            raise
        except CancelledError:
            raise TrainingError(f"{task.words} was given up by the executor. {KEPT}") from None
        except Exception as wrong:  # whatever an executor has to say
            if not isinstance(wrong, self.again) or lost == LOST:
                raise TrainingError(failed(task.words, wrong)) from wrong
            self._submit(waiting, task, lost + 1)
        else:
            self.folder.save(run)
            tell(run)

    def _tell_early(
        self, watch: Watch, told: dict[tuple[str, int], int], name: str, seed: int, epoch: Epoch
    ) -> None:
        """Tell of an epoch before its run is here; of the last one, and of one again, not yet."""
        count = told.get((name, seed), 0)
        if count < self.folder.comparison.recipe.epochs - 1:
            told[name, seed] = count + 1
            watch(name, seed, epoch)


def _tell(watch: Watch, told: dict[tuple[str, int], int], run: Run) -> None:
    """Tell of the epochs of a run that were not told."""
    key = run.objective, run.seed
    for epoch in run.curve[told.get(key, 0) :]:
        watch(*key, epoch)
    told[key] = len(run.curve)


def train_on(
    folder: Folder, executor: Executor, watch: Watch = lambda name, seed, epoch: None
) -> None:
    """Train the missing runs of a folder on an executor, which stays open.

    An error, or Ctrl-C, cancels what has not begun; what is finished is kept.

    Args:
        executor: of threads, processes or another machine's workers, as `Client.get_executor` of
            Dask gives one; as many runs are trained at once as it does tasks.
        watch: is told objective, seed and epoch, of all epochs of a run when it is finished.
    """
    Sent(folder, executor).train(watch)
