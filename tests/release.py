"""Builds the release and tries it: `python tests/release.py [ENVIRONMENT ...]`, into `dist`.

The sdist is built from the checkout and the wheel from the sdist; both hold the files of the
repository that they should, and nothing else. Then the wheel is installed into environments of its
own, and `smoke.py` runs there. It needs an index of packages, and for some minutes a network.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PINNED = ("--constraint", str(ROOT / "constraints.txt"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LIBRARIES = re.compile(r"libspikeloss\.(so|dylib|dll)$")


class Environment(NamedTuple):
    """What is installed beside the wheel, and from what."""

    libraries: tuple[str, ...]
    options: tuple[str, ...] = ()
    python: str = sys.executable


def oldest(*packages: str) -> tuple[str, ...]:
    """The first versions that pyproject.toml allows."""
    project = PROJECT["project"]
    every = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = [re.fullmatch(r"([\w-]+)>=([\w.]+)", each) for some in every for each in some]
    lowest = {bound[1]: bound[2] for bound in bounds if bound}
    return tuple(f"{name}=={lowest[name]}" for name in packages)


CORE = ("numpy", "array-api-compat")
ENVIRONMENTS = {
    "numpy": Environment(("numpy",), PINNED),
    "torch": Environment(("numpy", "torch"), PINNED),
    "jax": Environment(("numpy", "jax"), PINNED),
    "oldest": Environment(("numpy",), oldest(*CORE)),
    "oldest-jax": Environment(("numpy", "jax"), oldest(*CORE, "jax")),
    "newest": Environment(("numpy",)),
    "python3.12": Environment(("numpy",), python="python3.12"),
    "python3.13": Environment(("numpy",), python="python3.13"),
    "python3.13-jax": Environment(("numpy", "jax"), python="python3.13"),
}


def run(*command: object) -> str:
    """What a program printed; an error of it is one of ours."""
    words = [str(word) for word in command]
    ran = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, cwd=DIST)
    if ran.returncode:
        sys.exit(f"release: expected no error, got {ran.returncode} of {' '.join(words)}.")
    return ran.stdout


def runs(python: str) -> bool:
    """Whether there is such a Python; a shim may be there without one."""
    found = shutil.which(python)
    return found is not None and not subprocess.run([found, "-V"], capture_output=True).returncode


def made(room: Path, python: str) -> Path:
    """The Python of a new environment."""
    run(python, "-m", "venv", room)
    return room / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def tracked(*places: str) -> set[str]:
    """The files of the repository in some of its places."""
    listed = run("git", "-C", ROOT, "ls-files", "-z", "--", *places)
    return set(filter(None, listed.split("\0")))


def compare(what: str, found: Iterable[str], wanted: set[str]) -> None:
    """Ends where an archive lacks files or holds others."""
    names = set(found)
    for word, differing in (("lacks", wanted - names), ("should not hold", names - wanted)):
        if differing:
            sys.exit(f"release: the {what} {word} {', '.join(sorted(differing))}.")


def check_contents(sdist: Path, wheel: Path) -> None:
    """Only what is in the repository, its metadata and, in the wheel, the native core."""
    places = [
        place.lstrip("/")
        for place in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    ]
    held = tracked(*places, "pyproject.toml", ".gitignore") | {"PKG-INFO"}
    with tarfile.open(sdist) as archive:
        names = [each.name.partition("/")[2] for each in archive if each.isfile()]
    compare("sdist", names, held)
    with zipfile.ZipFile(wheel) as archive_:
        names = archive_.namelist()
        (said,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        check_links(archive_.read(said).decode())
    core = {name for name in names if LIBRARIES.search(name)}
    if len(core) != 1:
        sys.exit("release: the wheel has no native core. Install a C compiler.")
    package = {name.removeprefix("src/") for name in tracked("src")}
    compare("wheel", (name for name in names if ".dist-info/" not in name), package | core)


def check_links(metadata: str) -> None:
    """Links of the README lead somewhere from an index of packages, or it has none."""
    lost = re.findall(r"\]\((?!https?:|#)([\w./-]+)\)|src=\"(?!https?:)([^\"]+)", metadata)
    if lost:
        sys.exit(f"release: links of the README lead nowhere: {', '.join(map(''.join, lost))}.")
    if "\nProject-URL: Source, " not in metadata:
        print("not to be published: pyproject.toml has no [project.urls] Source", flush=True)


def build(room: Path) -> Path:
    """The sdist and the wheel, checked; the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    python = made(room / "tools", sys.executable)
    tools = PROJECT["project"]["optional-dependencies"]["release"]
    run(python, "-m", "pip", "install", "--quiet", *PINNED, *tools)
    run(python, "-m", "build", "--no-isolation", "--outdir", DIST, ROOT)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    check_contents(sdist, wheel)
    run(python, "-m", "twine", "check", "--strict", sdist, wheel)
    run(python, "-m", "check_wheel_contents", wheel)
    print(f"{sdist.name}, {wheel.name}: built and checked", flush=True)
    return wheel


def tried(name: str, room: Path, wheel: Path) -> None:
    """The wheel in an environment."""
    environment = ENVIRONMENTS[name]
    if not runs(environment.python):
        print(f"{name}: skipped, without {environment.python}", flush=True)
        return
    python = made(room / name, environment.python)
    extras = ",".join(library for library in environment.libraries if library != "numpy")
    wanted = f"{wheel}[{extras}]" if extras else str(wheel)
    run(python, "-m", "pip", "install", "--quiet", wanted, *environment.options)
    print(
        f"{name}: {run(python, '-I', ROOT / 'tests' / 'smoke.py', *environment.libraries)}", end=""
    )
    shutil.rmtree(room / name)


def main(names: Sequence[str]) -> None:
    """All environments, or those that are named."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        for name in names or ENVIRONMENTS:
            tried(name, Path(folder), wheel)


if __name__ == "__main__":
    main(sys.argv[1:])
