"""How the command line ends: a mistake is one line on stderr, and an exit code."""

import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from .errors import InputError, TrainingError, printable
from .limits import SMALLER

UsageError: Any = typer.BadParameter.__base__  # typer has no public name for it


class Commands(TyperGroup):
    """Commands that print a mistake as one line on stderr and exit with 2."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command line, whoever calls it."""
        if sys.stdout is None:
            sys.exit(_complain(1, _unwritten("none that is open")))
        if hasattr(sys.stdout, "reconfigure"):  # a ? for what the terminal's alphabet lacks
            sys.stdout.reconfigure(errors="replace")
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
            sys.stdout.flush()
        except InputError as wrong:
            code = _complain(2, str(wrong))
        except TrainingError as failed:
            code = _complain(1, str(failed))
        except UsageError as wrong:
            code = _complain(2, _usage(wrong))
        except (KeyboardInterrupt, typer.Abort):
            print("interrupted", file=sys.stderr)
            code = 130
        except MemoryError:
            code = _complain(1, f"memory: expected enough for this, got too little. {SMALLER}")
        except OSError as wrong:
            _drop_output()
            gone = isinstance(wrong, BrokenPipeError)  # as `| head` ends: nobody reads on
            code = 1 if gone else _complain(1, _unwritten(wrong.strerror or str(wrong)))
        sys.exit(code)


def _complain(code: int, message: str) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            print("error:", printable(message), file=sys.stderr, flush=True)
    return code


def _unwritten(why: str) -> str:
    return f"stdout: expected a place that can be written, got {why}. Send the output elsewhere."


def _drop_output() -> None:
    """What is left to be printed goes nowhere, so that the interpreter's end is quiet."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(wrong: Any) -> str:
    """What is wrong with a command line, in the form of all errors."""
    command = wrong.ctx.command_path if wrong.ctx else "spikeloss"
    said = wrong.format_message().rstrip(".")
    end = "" if said.endswith("?") else "."
    return f"arguments: expected those of {command}, got: {said}{end} See {command} --help."
