"""A call in a fresh Python process, wherever it is asked for: in a thread, or in a worker process.

    stdin   the call and its arguments, pickled; its end ends the process, which outlives nobody
    stdout  what the call tells, a pickle each, then its result or its error
    stderr  a file, whose last line is quoted should the process end early

Threads of an executor would share a generator, a number of threads and a default dtype of PyTorch.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from threading import Event, Thread
from typing import IO, Any

from .ends import ended, failed
from .errors import InputError, TrainingError

COMMAND = [sys.executable, "-P", "-c", "from spikeloss.lab.apart import main; main()"]
PAUSE = 0.5
"""Seconds between two looks at whether a call is still wanted."""


def apart(
    doing: str,
    call: Callable[..., Any],
    *given: Any,
    watch: Callable[[Any], None] | None = None,
    wanted: Callable[[], bool] | None = None,
) -> Any:
    """What a call returns.

    Args:
        doing: what an error says that was done.
        call: a function of a module, which takes `given`, and `watch` if there is one.
        watch: is told what the call tells.
        wanted: is asked now and then; the call is ended when it says no.
    """
    with TemporaryFile() as words, _started(words) as process, _while(wanted, process):
        with suppress(BrokenPipeError):  # of one that is gone, which is found right below
            pickle.dump((doing, call, given, watch is not None), process.stdin)
            process.stdin.flush()
        while True:
            try:
                kind, value = pickle.load(process.stdout)
            except (EOFError, pickle.UnpicklingError):
                raise TrainingError(ended(process.wait(), words)) from None
            if kind == "error":
                raise value
            if kind == "result":
                return value
            if watch is not None:
                watch(value)


@contextmanager
def _started(words: IO[bytes]) -> Iterator[Any]:
    """A process that waits for a call, gone on the way out; Ctrl-C is left to its parent."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": words}
    own: Any = {"env": {**os.environ, "PYTHONPATH": paths}, "start_new_session": True}
    try:
        process: Any = subprocess.Popen(COMMAND, **pipes, **own)
    except OSError as wrong:
        raise TrainingError(f"a process could not be started ({wrong.strerror}).") from None
    try:
        yield process
    finally:
        process.kill()
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


@contextmanager
def _while(wanted: Callable[[], bool] | None, process: Any) -> Iterator[None]:
    """The process is killed as soon as nobody wants it."""
    if wanted is None:
        yield
        return
    over = Event()

    def look() -> None:
        while not over.wait(PAUSE):
            if not wanted():
                process.kill()
                return

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def main() -> None:
    """Answer the call on stdin."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the user's code prints is no answer

    def tell(kind: str, value: Any) -> None:
        pickle.dump((kind, value), answers)
        answers.flush()

    doing = "a worker process"
    try:
        doing, call, given, watched = pickle.load(sys.stdin.buffer)
        Thread(target=_end_with_stdin, daemon=True).start()
        more: Any = {"watch": lambda value: tell("told", value)} if watched else {}
        tell("result", call(*given, **more))
    except (InputError, TrainingError) as wrong:
        tell("error", wrong)
    except BrokenPipeError:
        return
    except Exception as wrong:  # whatever it is, who asked says it in a line
        tell("error", TrainingError(failed(doing, wrong)))


def _end_with_stdin() -> None:
    os.read(0, 1)
    os._exit(1)
