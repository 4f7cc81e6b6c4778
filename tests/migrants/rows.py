"""What a row is: a call of theirs and one of ours, both as they are written, and how they compare.

In an expression are: the formulas of the package by their names, `presets`, `penalties`, `readouts`
and the rest of spikeloss, `np`, T = 7, B = 5 and N = 6, the numbers of the record `x` of spikes and
of `u`, a membrane, in the layout of the package; `y` are labels, `one_hot` the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spikeloss import Loss, balance, criteria, penalties, presets, readouts, reductions, targets

T, B, N = 7, 5, 6
_RANDOM = np.random.default_rng(0)
SPIKES = (_RANDOM.random((T, B, N)) < 0.4).astype(float)
SPIKES[0, 0] = 1  # no sample is silent, nor is a class
SPIKES[np.arange(B) % T, np.arange(B)] = 1
MEMBRANE = _RANDOM.normal(size=(T, B, N))
LABELS = np.array([3, 5, 0, 1, 3])
ONE_HOT = np.eye(N)[LABELS]


@dataclass(frozen=True)
class Same:
    """A call of theirs that is `factor` times one of ours, for every record."""

    theirs: str
    ours: str
    factor: str = "1"
    said: str = "ours"
    """What theirs is, in words."""
    given: tuple[str, str] | None = None
    """What each is called with, if not what the page says."""
    told: bool = False
    """Whether the table has what theirs is called with."""
    shown: str = ""
    """How the table has theirs, if not as it is evaluated."""


@dataclass(frozen=True)
class Change:
    """A number that changes: what of, theirs and ours as expressions, and both numbers."""

    what: str
    theirs: str
    ours: str
    numbers: tuple[Any, Any]


@dataclass(frozen=True)
class Page:
    """What a page says of a package."""

    file: str
    name: str
    axes: str
    """The axes of a record there: "TBN", "BTN" or "BNT"."""
    given: tuple[str, str]
    """What theirs and ours are called with; empty: the expressions are whole."""
    formulas: dict[str, Any] | Callable[[], dict[str, Any]]
    """What has its names; of an installed package only loaded when a row needs it."""
    same: tuple[Same, ...]
    changes: tuple[Change, ...]

    def laid(self, record: Any) -> Any:
        """A record (T, B, N) in the layout of the package."""
        return np.transpose(record, ["TBN".index(axis) for axis in self.axes])


def gradient(loss: Any, record: Any, *rest: Any, **layout: Any) -> Any:
    """The derivative of one of ours."""
    record = torch.tensor(np.asarray(record, float), requires_grad=True)
    rest = tuple(torch.as_tensor(each) for each in rest)
    (grad,) = torch.autograd.grad(loss(record, *rest, **layout), record)
    return grad.numpy()


def calls(page: Page, row: Same) -> tuple[str, str]:
    """Both calls of a row."""
    theirs, ours = row.given or page.given
    return (f"{row.theirs}({theirs})", f"({row.ours})({ours})") if ours else (row.theirs, row.ours)


def value(page: Page, expression: str) -> Any:
    """What an expression of a row gives; the name of an error that is theirs."""
    ours = {
        "Loss": Loss, "balance": balance, "criteria": criteria, "penalties": penalties,
        "presets": presets, "readouts": readouts, "reductions": reductions, "targets": targets,
        "gradient": gradient,
    }  # fmt: skip
    records = {"x": page.laid(SPIKES), "u": page.laid(MEMBRANE), "y": LABELS, "one_hot": ONE_HOT}
    theirs = page.formulas() if callable(page.formulas) else page.formulas
    names = {"np": np, "T": T, "B": B, "N": N, **records, **ours, **theirs}
    with np.errstate(divide="ignore"):
        try:
            return eval(expression, names)
        except RuntimeError as error:
            return type(error).__name__


# ---- what several packages have


def log_softmax(z: Any) -> Any:
    """Of the last axis."""
    z = np.asarray(z, float)
    top = z.max(-1, keepdims=True)
    return z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))


def cross_entropy(z: Any, y: Any) -> float:
    """-log softmax(z)_y, the mean over the samples."""
    return float(np.mean([-log_softmax(row)[label] for row, label in zip(z, y, strict=True)]))
