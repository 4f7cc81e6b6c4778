"""The native core of other compilers, machines and systems: `python tests/portable.py [NAME ...]`.

The calls of the core's own tests are recorded, once of each kind, with what the library at hand
gives for them. Each target compiles the core and `replay.c`, replays the calls, and has to give the
same within TOLERANCE. A target whose tools are not there is skipped, and said to be.
"""

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

from spikeloss._kernels import build, native
from spikeloss._kernels.outputs import GIVES, KEEPS_TIME, shape_of

HERE = Path(__file__).parent
TYPES = (np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.uint8, np.int32, np.int64)
TOLERANCE = {
    "float32": (8e-6, 8e-6),
    "float64": (4e-13, 4e-13),
    "float16": (2.0**-10, 8e-6),
    "bfloat16": (2.0**-7, 8e-6),
}
"""Of an entry, and of the largest of its array and of the gradients that it comes from."""
LEAST = {"float16": 2.0**-24}
"""What is below normal differs by as much."""
EDGE = 64


class Target(NamedTuple):
    """What compiles, for which platform of `sysconfig`, and what runs the result; None: nothing."""

    cc: str
    platform: str = ""
    runner: str | None = ""
    flags: str = ""


TARGETS = {
    "clang": Target("clang"),
    "threads": Target("gcc", flags="-fsanitize=thread -g -O1"),
    "arm": Target(
        "aarch64-linux-gnu-gcc", "linux-aarch64", "qemu-aarch64 -L /usr/aarch64-linux-gnu"
    ),
    "windows": Target("x86_64-w64-mingw32-gcc", "win-amd64", "wine"),
    "mac-arm": Target("zig cc -target aarch64-macos", "macosx-11.0-arm64", None),
    "mac-x86": Target("zig cc -target x86_64-macos", "macosx-10.13-x86_64", None),
    "windows-clang": Target("zig cc -target x86_64-windows-gnu", "win-amd64", "wine"),
}


class Array(NamedTuple):
    """Memory that a call reads or writes: its first byte, its size, and where the call points."""

    first: int
    size: int
    begin: int
    dtype: Any

    def bytes(self) -> bytes:
        return ctypes.string_at(self.first, self.size)

    def numbers(self) -> Any:
        return np.frombuffer(self.bytes(), self.dtype)


def largest(x: Any) -> float:
    size = np.abs(widened(x))
    return float(size[np.isfinite(size)].max(initial=0))


def widened(x: Any) -> Any:
    with np.errstate(invalid="ignore"):  # signalling nan
        return x.astype(np.float64)


def viewed(view: native.View, shape: Sequence[int]) -> Array | None:
    address, *strides, kind = view
    if not address:
        return None
    dtype = np.dtype(TYPES[kind])
    ends = [stride * (size - 1) for stride, size in zip(strides, shape, strict=True)]
    low, high = sum(min(end, 0) for end in ends), sum(max(end, 0) for end in ends)
    size = (high - low + 1) * dtype.itemsize if prod(shape) else 0
    return Array(address + low * dtype.itemsize, size, -low * dtype.itemsize, dtype)


def lying(address: int, size: int, dtype: Any) -> Array | None:
    return Array(address, size * np.dtype(dtype).itemsize, 0, np.dtype(dtype)) if address else None


class Call(NamedTuple):
    """What the library at hand gave."""

    name: str
    status: int
    scale: float
    wrote: list[tuple[np.dtype[Any], bytes]]


class Recorder:
    """Calls as `replay.c` reads them, and of each what it wrote."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.kinds: set[Any] = set()
        self.calls: list[Call] = []
        self.run = native.Core.run

    def record(self, core: native.Core, op: int, shape: Any, x: Any, **given: Any) -> int:
        """In the place of `Core.run`."""
        given = {"y": native.NOTHING, "grad": native.NOTHING, "lengths": (0, 0)} | given
        options = given.get("options", ())
        order = [np.sign(stride - 1) for stride in x[1:4]]
        types = [given[name][4] for name in ("y", "grad")], given["lengths"][0] > 0, x[4]
        kind = repr((op, options, order, types, given["threads"] > 1, prod(shape) > 2000))
        if kind in self.kinds or prod(shape) > 200_000:
            return self.run(core, op, shape, x, **given)
        self.kinds.add(kind)
        return self.add(core, op, shape, x, given, options)

    def add(self, core: native.Core, op: int, shape: Any, x: Any, given: Any, options: Any) -> int:
        name = native.OPS[op % native.BACKWARD]
        real = TYPES[x[4]] if x[4] == native.F64 else np.float32
        each = prod(shape_of(name, shape, options))
        dtypes = [real if letter == "r" else np.int32 for letter in GIVES[name].dtypes]
        target = (*shape[:2], 1) if name == "ce" else shape
        lengths, wide = given["lengths"]
        up, out = ([*given.get(key, ()), 0, 0, 0, 0] for key in ("up", "out"))
        sizes = [*dtypes, *[real] * 4]
        arrays = [
            viewed(x, shape),
            viewed(given["y"], target),
            lying(lengths, shape[1], np.int64 if wide else np.int32),
            *(lying(up[i], each, sizes[i]) for i in range(3)),
            viewed(given["grad"], shape),
            *(lying(out[i], each, sizes[i]) for i in range(4)),
        ]
        call = native._CALL.pack(
            op, 1, *shape, *x, *given["y"], *given["grad"], *given["lengths"], *up[:3], *out[:4],
            *options, *[0.0] * (4 - len(options)),
        )  # fmt: skip
        self.file.write(call)
        for array in arrays:
            place = (-1, 0, 0) if array is None else (array.size, array.first % EDGE, array.begin)
            self.file.write(np.array(place, np.int64).tobytes())
            self.file.write(b"" if array is None else array.bytes())
        status = self.run(core, op, shape, x, **given)
        incoming = arrays[1:2] if name in KEEPS_TIME else arrays[3:6]
        scale = max(largest(array.numbers()) if array else 0.0 for array in incoming)
        wrote = [(array.dtype, array.bytes()) for array in arrays[6:] if array]
        back = " backward" if op >= native.BACKWARD else ""
        said = f"{name}{back} {options} of {np.dtype(TYPES[x[4]])} {shape}"
        self.calls.append(Call(said, status, scale, wrote))
        return status


def recorded(path: Path) -> Recorder:
    recorder = Recorder(path)
    native.Core.run = lambda core, *args, **given: recorder.record(core, *args, **given)  # type: ignore[method-assign]
    tests = [str(HERE / f"test_core_{what}.py") for what in ("readouts", "criteria")]
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--noconftest", *tests])
    native.Core.run = recorder.run  # type: ignore[method-assign]
    recorder.file.close()
    if code:
        sys.exit("portable: expected the tests of the core to pass.")
    return recorder


def far(actual: Any, expected: Any, scale: float) -> float:
    """The largest difference, of what is allowed; whole numbers have to be the same."""
    name = expected.dtype.name
    if name not in TOLERANCE:
        return 0.0 if (actual == expected).all() else np.inf
    own, of_all = TOLERANCE[name]
    scale = max(scale, largest(expected))
    actual, expected = widened(actual), widened(expected)
    finite = np.isfinite(expected) & np.isfinite(actual)
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True):
        return np.inf
    actual, expected = actual[finite], expected[finite]
    least = LEAST.get(name, np.finfo(np.float32).tiny)
    allowed = own * np.abs(expected) + of_all * scale + least
    return float((np.abs(actual - expected) / allowed).max(initial=0))


def compared(calls: Sequence[Call], results: bytes) -> tuple[float, list[str]]:
    """The largest difference, and the calls whose results differ."""
    at, worst, wrong = 0, 0.0, []
    for call in calls:
        status, at = int.from_bytes(results[at : at + 8], "little", signed=True), at + 8
        difference = 0.0 if status == call.status else np.inf
        for dtype, wrote in call.wrote:
            actual = np.frombuffer(results[at : at + len(wrote)], dtype)
            expected = np.frombuffer(wrote, dtype)
            difference = max(difference, far(actual, expected, call.scale))
            at += len(wrote)
        worst = max(worst, difference)
        if difference > 1:
            wrong.append(f"{call.name}: {difference:.3g} of what may differ")
    return worst, wrong


def missing(target: Target) -> str:
    tools = [shlex.split(target.cc), shlex.split(target.runner or "")]
    return ", ".join(tool[0] for tool in tools if tool and not shutil.which(tool[0]))


def tried(target: Target, room: Path, recorder: Recorder) -> tuple[str, list[str]]:
    """Compiles without a warning, and replays."""
    environment = os.environ | {"CC": target.cc}
    if target.platform:
        environment["_PYTHON_HOST_PLATFORM"] = target.platform
    flags = ["-Wall", "-Wextra", "-Werror", *target.flags.split()]
    code = "import sys; from pathlib import Path; from spikeloss._kernels import build\n"
    code += "print(build.build(Path(sys.argv[1], build.filename()), sys.argv[2:]))"
    command = [sys.executable, "-c", code, str(room), *flags]
    library = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    if target.runner is None:
        return "compiled and linked, not run", []
    program = room / "replay.exe"
    command = [*shlex.split(target.cc), "-std=c11", *flags, f"-I{build.CORE}"]
    subprocess.run([*command, HERE / "replay.c", library, "-o", program], check=True)
    command = [*shlex.split(target.runner), str(program), recorder.file.name, "results"]
    ran = subprocess.run(command, cwd=room, check=True, stdout=subprocess.PIPE, text=True)
    worst, wrong = compared(recorder.calls, (room / "results").read_bytes())
    return f"{ran.stdout.strip()}, at most {worst:.2g} of what may differ", wrong


def main(names: Sequence[str]) -> int:
    """Every target, or those that are named; how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        recorder = recorded(Path(folder, "calls"))
        for name in names or TARGETS:
            target, room = TARGETS[name], Path(folder, name)
            room.mkdir()
            lacks = missing(target)
            if lacks:
                print(f"{name}: skipped, without {lacks}")
                continue
            try:
                said, wrong = tried(target, room, recorder)
            except subprocess.CalledProcessError as error:
                said, wrong = "failed", [str(error)]
            print(f"{name}: {said}", *wrong, sep="\n  ", flush=True)
            failed += bool(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
