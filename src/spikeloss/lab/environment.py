"""Where a comparison ran: what its numbers and its times depend on besides the recipe."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .data import source

PACKAGES = {
    "torch": ("spikeloss", "torch", "snntorch", "scikit-learn", "numpy"),
    "jax": ("spikeloss", "jax", "jaxlib", "optax", "scikit-learn", "numpy"),
}
"""Of a library that trains."""


def versions(data: str = "digits", library: str = "torch") -> dict[str, str]:
    """The versions of Python and of the packages that numbers on a data set depend on."""
    packages = (*PACKAGES[library], *source(data).packages)
    return {"python": platform.python_version()} | {name: version_of(name) for name in packages}


def version_of(package: str) -> str:
    """The version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def about(data: str, library: str = "torch") -> dict[str, Any]:
    """All of it, for the files that hold results on a data set."""
    return {"versions": versions(data, library), "commit": commit(), "machine": machine()}


def machine() -> str:
    """The processor and its number of cores, for the measured times."""
    model = platform.processor() or platform.machine()
    return f"{platform.system()}, {model}, {os.cpu_count()} cores"


def commit() -> str | None:
    """The git commit of the working directory, marked -dirty if files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
