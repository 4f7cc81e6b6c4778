"""Files of the workbench: written whole or not at all, named without collisions, read with care.

A file that is there is replaced by `write` and kept by `create`; whatever the system says of a
place is said as a mistake in --out.
"""

import errno
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, NoReturn

from .errors import InputError

LARGEST = 2**28
"""Bytes of a JSON file that is read."""
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def place(path: Path, argument: str = "--out") -> Iterator[None]:
    """What the system refuses in here is a mistake in an argument."""
    try:
        yield
    except (OSError, ValueError) as wrong:  # ValueError: a name that holds a null
        why = getattr(wrong, "strerror", None) or str(wrong)
        full = getattr(wrong, "errno", None) in FULL
        fix = "Make room there and repeat it." if full else f"Name another place with {argument}."
        got = f"{path} ({why})"
        raise InputError(argument, "a place that can be written", got, fix) from None


def write(path: Path, content: bytes | str) -> None:
    """Write a file in one step: a reader, or a kill, finds the old one or the new one."""
    with place(path), _partial(path, content) as partial:
        os.replace(partial, path)


def create(path: Path, content: bytes | str) -> bool:
    """Write a new file in one step; false, and nothing changed, where there is one already.

    Of several processes that create a file at once, one does.
    """
    with place(path), _partial(path, content) as partial:
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError:  # links are not for every file system
            try:
                with path.open("xb") as new:
                    new.write(partial.read_bytes())
            except FileExistsError:
                return False
    return True


def check_writable(path: Path, argument: str = "--out") -> None:
    """Refuse a place where a file could not be written; leaves none."""
    with place(path, argument), _partial(path, b""), suppress(FileNotFoundError):
        path.lstat()  # a name that is too long is found now


@contextmanager
def _partial(path: Path, content: bytes | str) -> Iterator[Path]:
    """A hidden file beside `path` that holds the content, on the disk; gone afterwards.

    Never one that is there: where it could not be removed, it may be a link to a finished run.
    """
    partial = path.with_name(f".{path.name[:40]}.{os.getpid()}.{token_hex(4)}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink()


def slug(objective: str) -> str:
    """An objective's spelling as part of a file name: readable, short, and no other one's.

    A plain name is itself. Others are cut and end in a hash, so that they differ where spellings
    do, also on systems that do not tell upper from lower case.
    """
    if re.fullmatch(r"[a-z0-9_]{1,40}", objective):
        return objective
    words = re.sub(r"[^a-zA-Z0-9_.=,+-]", "", objective.replace("(", "-"))
    return f"{words[:40]}-{sha256(objective.encode()).hexdigest()[:12]}"


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON that every reader takes: a number that is not finite is null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def read(file: Path) -> dict[str, Any]:
    """The object in a JSON file of a comparison."""
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            damaged(file, "no file")
        if found.st_size > LARGEST:
            damaged(file, "too large")
        values = json.loads(file.read_bytes(), parse_constant=_no_number)
    except OSError as wrong:
        damaged(file, (wrong.strerror or str(wrong)).lower())
    except (ValueError, RecursionError):
        damaged(file)
    if not isinstance(values, dict):
        damaged(file)
    return values


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def damaged(file: Path, why: str = "damaged") -> NoReturn:
    """Refuse a file of a comparison; whatever is wrong with it, it is the user's to move."""
    fix = "Move it away and repeat the command; what is finished is kept."
    raise InputError("--out", "files of a comparison", f"{file}, {why}", fix)
