"""What runs the two reductions over time: the composed forms, or kernels in their place."""

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple, Protocol, TypeAlias

from ._backend import compiling
from .criteria import Criterion
from .readouts import Readout

MODES = ("auto", "off", "require")

Told: TypeAlias = Callable[[str], None]


def mode() -> str:
    """`SPIKELOSS_KERNELS`: "auto", a kernel where there is one; "off"; or "require" the core."""
    found = os.environ.get("SPIKELOSS_KERNELS", "auto")
    if found not in MODES:
        raise ValueError(
            f"SPIKELOSS_KERNELS: expected auto, off or require, got {found!r}. Unset it."
        )
    return found


_KNOWN: dict[str, ModuleType | str] = {}  # not `functools.cache`, which compilers look through


def kernels() -> ModuleType | str:
    """The stages with kernels, or why there are none."""
    if "found" not in _KNOWN:
        _KNOWN["found"] = _looked_for()
    return _KNOWN["found"]


def _looked_for() -> ModuleType | str:
    try:
        from ._kernels import available, fast
    except ImportError as error:
        return str(error)
    found = available()
    return found if isinstance(found, str) else fast


def state() -> str:
    """What there is, in a line."""
    found = kernels()
    return found.about() if isinstance(found, ModuleType) else found


_COMPARED = (None, "time")
"""What is kept in decisions of which a criterion may have a kernel."""


class Stages(NamedTuple):
    """The stages of a loss, as they run."""

    readout: Readout
    criterion: Criterion
    both: Any = None
    """What gives the totals of both at once, against a record; None: nothing does."""

    def settled(self, loss: Any, x: Any, target: Any, steps: int) -> "Stages":
        """Those that run for whole records like x, with such a target, of so many steps."""
        known = kernels()
        if isinstance(known, str):
            return self
        found: Stages = known.settled(loss, self, x, target, steps)
        return found


class _Staged(Protocol):
    """A loss: `spikeloss.Loss` is one."""

    @property
    def readout(self) -> Readout: ...
    @property
    def criterion(self) -> Criterion: ...
    @property
    def target(self) -> Any: ...


def fast_of(loss: _Staged, told: Told | None = None) -> Stages | str:
    """The stages with kernels where there are some, or why there are none at all.

    A loss has them from the beginning, as a compiler cannot look into how they are made.

    Args:
        told: who is told, when a stage runs, which kernel is taken or why none; None: nobody.
    """
    known = kernels()
    if isinstance(known, str):
        return known
    known.bind()
    criterion = loss.criterion
    if loss.readout.keeps in _COMPARED:
        criterion = known.fast_criterion(criterion, told)
    return Stages(known.fast_readout(loss.readout, told), criterion, known.fused(loss, told))


class Choice(NamedTuple):
    """What runs in a plan."""

    mode: str = "off"
    told: Told | None = None
    """Whom every choice is told, in words, when it is made; None: nobody."""

    def of(self, loss: Any) -> Stages:
        """The stages of a loss as they are to run."""
        found: Stages | str = "they are off"
        if self.mode != "off":
            known = self.told is None and (not compiling() or "fast" in vars(loss))
            found = loss.fast if known else fast_of(loss, self.told)
        if not isinstance(found, str):
            return found
        if self.mode == "require" and _has_kernel(loss):
            fix = "Build it with `python -m spikeloss._kernels.build`, or unset the variable."
            raise RuntimeError(
                f"SPIKELOSS_KERNELS: expected the native core where it is set to require, "
                f"got none, as {found}. {fix}"
            )
        if self.told is not None:
            self.told(f"{loss.readout}, {loss.criterion}: composed; there are no kernels: {found}")
        return Stages(loss.readout, loss.criterion)


def _has_kernel(loss: _Staged) -> bool:
    """Whether there would be a kernel for a stage of a loss."""
    try:
        from ._kernels.stages import of_criterion, of_readout
    except ImportError:
        return True

    compared = loss.readout.keeps in _COMPARED
    return of_readout(loss.readout) is not None or (
        compared and of_criterion(loss.criterion) is not None
    )
