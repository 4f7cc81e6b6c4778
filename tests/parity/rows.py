"""What a row of the comparison is: one call, made to the peer and to spikeloss, and both answers.

A call is a function of the module that has the losses, so that both get the same call. Answers are
numbers or nested lists of them, shapes (tuples), words, and exceptions (`Raises`).
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

import jax
import numpy as np
import torch
from libraries import same

Run = Callable[[Any], Any]


@dataclass(frozen=True)
class Peer:
    """A package, the version that the numbers are of, and the modules to compare."""

    name: str
    version: str
    theirs: str
    ours: str

    @property
    def installed(self) -> str:
        return metadata.version(self.name.lower())


SNNTORCH = Peer("snnTorch", "1.0.0", "snntorch.functional", "spikeloss.compat.snntorch")
BRAINPY = Peer("BrainPy", "2.8.2", "brainpy.losses", "spikeloss.compat.brainpy")


@dataclass(frozen=True)
class Raises:
    """An exception; `about` is the argument that its message names first, `says` is in it too."""

    error: type[Exception]
    about: str = ""
    says: str = ""


class Absent:
    """There is no such call."""


ABSENT = Absent()


@dataclass(frozen=True)
class Case:
    """A call, in words and in code, and what it gives."""

    call: str
    run: Run
    theirs: Any
    ours: Any


@dataclass(frozen=True)
class Row:
    """One difference, or one thing that is the same."""

    number: int | str
    title: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Section:
    """Rows about one subject, all about one peer."""

    title: str
    peer: Peer
    rows: tuple[Row, ...]


@cache
def load(name: str) -> ModuleType:
    """Import a module, leaving JAX as it was: importing brainpy turns 64-bit floats off."""
    x64 = jax.config.jax_enable_x64
    with warnings.catch_warnings():
        for category in (DeprecationWarning, SyntaxWarning):  # of the peer's own source
            warnings.simplefilter("ignore", category)
        module = import_module(name)
    jax.config.update("jax_enable_x64", x64)
    return module


def check(result: Any, expected: Any) -> None:
    """The result is the expected answer; numbers are compared as float32."""
    if isinstance(expected, Raises):
        assert isinstance(result, expected.error), f"expected {expected}, got {result!r}"
        message = str(result).replace("`", "")
        assert message.startswith(f"{expected.about}: expected " if expected.about else ""), result
        assert expected.says in message, result
        return
    if isinstance(result, Exception):
        raise result
    if isinstance(expected, bool | str | tuple):
        word = isinstance(expected, str) and not isinstance(result, str)
        assert (str(result).removeprefix("torch.") if word else result) == expected
    else:
        values = result.tolist() if hasattr(result, "tolist") else result
        same(np.asarray(values, np.float32), expected, "float32")


# ---- small inputs, in words: what they hold can be said in the text of a call


def silent(steps: int, samples: int, neurons: int) -> torch.Tensor:
    """A record (T, B, N) without a spike."""
    return torch.zeros(steps, samples, neurons)


def fires(steps: int, *samples: Sequence[int | tuple[int, ...] | None]) -> torch.Tensor:
    """A record in which each neuron of each sample fires at the given steps."""
    record = silent(steps, len(samples), len(samples[0]))
    for b, neurons in enumerate(samples):
        for n, at in enumerate(neurons):
            for step in at if isinstance(at, tuple) else () if at is None else (at,):
                record[step, b, n] = 1
    return record


def labels(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def gradient(loss: Callable[[torch.Tensor], Any], record: torch.Tensor) -> torch.Tensor:
    """The gradient of the sum of a loss with respect to the record."""
    record = record.clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(record).sum(), record)
    return grad
