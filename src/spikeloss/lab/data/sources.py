"""What a source is, and those that have a name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .options import Option
from .samples import Dataset

Build = Callable[..., Dataset]
"""(recipe, steps, **options) -> samples as they are, before their encoding"""


@dataclass(frozen=True)
class Source:
    """Where samples come from, and how long they are trained unless told otherwise.

    `about` is the description for reports. `packages` are those that hold or read the samples,
    where the extra `lab` does not bring them. `encoding` is the source's own; those in `makes` it
    makes by itself; where its samples are `spikes`, there is no other. `folder` says that it needs
    one, `named` that it is no file and no function of the user's, `free` that options are passed on
    as they are.
    """

    name: str
    about: str
    build: Build
    steps: int = 25
    epochs: int = 10
    packages: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    encoding: str = "current"
    makes: tuple[str, ...] = ("current",)
    spikes: bool = False
    folder: bool = False
    named: bool = True
    free: bool = False


SOURCES: dict[str, Source] = {}


def named(**traits: Any) -> Callable[[Build], Build]:
    """Put a function that builds a data set among the sources; its docstring describes it."""

    def add(build: Build) -> Build:
        name = build.__name__.replace("_", "-")
        SOURCES[name] = Source(name, inspect.getdoc(build) or "", build, **traits)
        return build

    return add
