"""Compiles the native core: `python -m spikeloss._kernels.build`, and the hook of the installation.

Only the standard library is used. Without a compiler, or if it fails, there is no core, and the
composed forms serve.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
CORE = HERE / "core"

FLAGS = ("-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden")
VARIANTS = {
    "x86_64": {
        "avx512": "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c "
        "-mprefer-vector-width=512",
        "avx2": "-mavx2 -mfma -mf16c",
        "baseline": "",
    },
    "aarch64": {"neon": ""},
}
"""By the kind of machine: the tables that `run.c` chooses from, and what compiles them."""


class CannotBuildError(RuntimeError):
    """There is no core, and why."""


def target() -> str:
    """The platform that is compiled for, as `sysconfig` names it; it may not be the one at hand."""
    name = sysconfig.get_platform()
    if not name.endswith("-universal2"):
        return name
    # A Python for both kinds of Mac: the library is for one, of which arm64 begins with 11.0.
    version, kind = name.split("-")[1], platform.machine()
    return f"macosx-{'11.0' if kind == 'arm64' and version.startswith('10.') else version}-{kind}"


def system() -> str:
    """The system that is compiled for."""
    name = target()
    return "windows" if name.startswith(("win", "mingw")) else name.partition("-")[0]


def machine() -> str:
    """The kind of machine that is compiled for: of VARIANTS, or another."""
    name = target().replace("amd64", "x86_64").replace("arm64", "aarch64")
    return next((kind for kind in VARIANTS if kind in name), "another")


def filename() -> str:
    """The name of the library."""
    return "libspikeloss" + {"macosx": ".dylib", "windows": ".dll"}.get(system(), ".so")


def built() -> Path:
    """Where the library is, if it is."""
    return HERE / filename()


def compiler() -> list[str]:
    """The C compiler: that of the environment, else the first that is found."""
    chosen = os.environ.get("CC")
    if chosen:
        return shlex.split(chosen, posix=os.name != "nt")
    # GCC for Windows may take for aligned what lies on a stack that is not.
    names = ("clang", "cc", "gcc") if system() == "windows" else ("cc", "gcc", "clang")
    for name in names:
        if shutil.which(name):
            return [name]
    raise CannotBuildError("no C compiler: neither cc, gcc nor clang")


def _oldest() -> dict[str, str]:
    """For which macOS the compiler works: that of the tag, unless the environment says it."""
    return {"MACOSX_DEPLOYMENT_TARGET": target().split("-")[1]} if system() == "macosx" else {}


def build(path: Path | None = None, extra: Iterable[str] = ()) -> Path:
    """Compile the core into one shared library.

    Args:
        path: where it goes; None: beside this file, where it is looked for.
        extra: further options of the compiler, as those of a sanitizer.

    Raises:
        CannotBuildError: and what the compiler said.
    """
    path, extra = built() if path is None else path, list(extra)
    cc, windows = compiler(), system() == "windows"
    if system() == "macosx":
        cc += shlex.split(os.environ.get("ARCHFLAGS", ""))
    flags = FLAGS if windows else (*FLAGS, "-fPIC")
    variants = VARIANTS.get(machine(), {"baseline": ""})
    with tempfile.TemporaryDirectory() as room:
        jobs = {
            Path(room, f"{what}-{name}.o"): [f"-DSL_VARIANT={name}", *how.split(), f"{what}.c"]
            for name, how in variants.items()
            for what in ("criteria", "readouts")
        }
        jobs |= {Path(room, f"{name}.o"): [f"{name}.c"] for name in ("run", "pool", "xla")}
        compiling = [*cc, *flags, *extra]
        _run([
            [*compiling, *how[:-1], "-o", str(part), "-c", how[-1]] for part, how in jobs.items()
        ])  # fmt: skip
        library = Path(room, filename())
        libraries = ["-static-libgcc"] if windows else ["-pthread", "-lm"]
        _run([[*cc, "-shared", *extra, *map(str, jobs), "-o", str(library), *libraries]])
        # In one step, so that a process that has the old one loaded keeps it.
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        shutil.copy(library, beside)
        os.replace(beside, path)
    return path


def _run(commands: list[list[str]]) -> None:
    """Commands side by side; the first that fails is the error, when all have ended."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(_ran, commands))
    for command, said in zip(commands, done, strict=True):
        if said is not None:
            raise CannotBuildError(f"{command[0]} failed, on {command[-1]}:\n{said}")


def _ran(command: list[str]) -> str | None:
    """The last of what a command that failed said."""
    try:
        done = subprocess.run(
            command,
            cwd=CORE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_oldest() | os.environ,
        )
    except OSError as error:
        return str(error)
    return "\n".join(done.stdout.splitlines()[-20:]) if done.returncode else None


def tag() -> str:
    """The tag of a wheel that holds the library: any Python 3, this platform."""
    return f"py3-none-{target().replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    try:
        print(build(extra=sys.argv[1:]))
    except CannotBuildError as error:
        sys.exit(str(error))
