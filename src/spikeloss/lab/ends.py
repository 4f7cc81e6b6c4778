"""How a process that trains ended, in a line that says what may help."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from spikeloss._door._words import cut

from .limits import SMALLER

KEPT = "What is finished is kept: repeat the command."


def ended(code: int, words: IO[bytes]) -> str:
    """How a process ended that did not say so itself: its exit code, and what it had on stderr."""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    words.seek(0)
    lines = words.read().decode(errors="replace").split("\n")
    last = next((cut(line.strip()) for line in reversed(lines) if line.strip()), "")
    said = f" ({last})" if last else ""
    fix = SMALLER if code == -signal.SIGKILL or _of_memory(last) else KEPT
    return f"a worker process {how}{said}. {fix}"


def failed(doing: str, wrong: Exception) -> str:
    """An error that nobody foresaw, and what was done when it came."""
    text = f"{type(wrong).__name__}: {cut(str(wrong))}".rstrip(": .")
    fix = SMALLER if isinstance(wrong, MemoryError) or _of_memory(str(wrong)) else KEPT
    return f"{doing} ended with {text}. {fix}"


def _of_memory(words: str) -> bool:
    """Whether an error speaks of memory, as those of PyTorch and of C++ do."""
    return re.search(r"memory|bad_alloc|alloc_cpu", words, re.IGNORECASE) is not None


@contextmanager
def on_interrupt(call: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C makes a call; an exception out of nowhere could be lost in a finaliser."""
    handler = signal.signal(signal.SIGINT, lambda *_: call())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
