"""Stages that reduce a record by a kernel where one fits, and else by their own formula.

`fast(stage)` is equal in all it says: a stage of a class made from its own, with the one method
replaced that is a reduction over time.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

from spikeloss._backend import entries, is_array, kind, library, namespace, power
from spikeloss._piece import Dense, Piece
from spikeloss._shapes import Array, Carry, Labels, Steps
from spikeloss.criteria import Criterion, SquaredError
from spikeloss.parts import Totals
from spikeloss.readouts import EveryStep, FilteredTrace, FirstSpike, Reading, Readout, SoftCount
from spikeloss.targets import SpikeTrain

from . import bind, binding_of, run, why_not, why_not_decided
from .native import core
from .stages import CRITERIA, READOUTS, TIMED, Kernel, of_criterion, of_readout

__all__ = ["about", "bind", "fast_criterion", "fast_readout", "fused", "unavailable"]

_S = TypeVar("_S", Readout, Criterion)

Told: TypeAlias = Callable[[str], None]
"""Whom a choice is told, in words."""


def about() -> str:
    """What the native core is, in a line."""
    found = core()
    return found if isinstance(found, str) else f"native core {found.variant}, {found.path}"


def unavailable(name: str) -> str | None:
    """Why there are no kernels in a library; None: there are."""
    binding = binding_of(name)
    why: str | None = "none are bound" if binding is None else binding.unavailable()
    return why


def fast_readout(readout: Readout, told: Told | None = None) -> Readout:
    """The readout, its reduction over time by a kernel if there is one."""
    inner = getattr(readout, "of", None)
    if isinstance(inner, Readout):
        found = fast_readout(inner, told)
        if found is inner:
            return readout
        return _changed(readout, type(readout), of=found)
    kernel = of_readout(readout)
    if kernel is None:
        return _without(readout, told)
    return _changed(readout, _MADE[type(readout)], kernel=kernel, told=told)


def fast_criterion(criterion: Criterion, told: Told | None = None) -> Criterion:
    """The criterion, its totals of every step by a kernel if there is one."""
    kernel = of_criterion(criterion)
    if kernel is None:
        return _without(criterion, told)
    return _changed(criterion, _MADE[type(criterion)], kernel=kernel, told=told)


def _without(stage: _S, told: Told | None) -> _S:
    """A stage that no kernel stands for."""
    reads = not isinstance(stage, EveryStep)  # which does nothing
    if told is not None and reads:
        told(f"{stage}: composed, as no kernel stands for it")
    return stage


def _tell(stage: Any, found: Kernel | str) -> None:
    """What was chosen, whom it concerns."""
    if stage.told is not None:
        how = f"composed, as {found}" if isinstance(found, str) else f"kernel {found.op}"
        stage.told(f"{stage}: {how}")


def fused(loss: Any, told: Told | None = None) -> "_Both | None":
    """What a readout and a criterion give together: van Rossum's distance to a train."""
    readout, criterion = loss.readout, loss.criterion
    plain = type(readout) is FilteredTrace and readout.order == 1 and readout.rise is None
    if not plain or type(loss.target) is not SpikeTrain or criterion != SquaredError():
        return None
    return _Both(Kernel("train", (readout.tau,)), told, f"{readout} and {criterion}")


def settled(loss: Any, stages: Any, x: Array, target: Any, steps: int) -> Any:
    """The stages, composed where no kernel is worth its call for a record like x, all of it valid.

    Args:
        target: what comes with it.
        steps: how many there are.
    """
    binding = binding_of(library(x))
    if binding is None:
        return stages
    kernel = of_readout(loss.readout)
    if kernel is not None and binding.always_as_fast(kernel.op, kernel.options, x):
        stages = stages._replace(readout=loss.readout)
    kernel = of_criterion(loss.criterion)
    if kernel is None:
        return stages
    if loss.readout.keeps == "time":
        fast = isinstance(loss.readout, EveryStep)
        fast = fast and binding.always_as_fast(kernel.op, kernel.options, x)
    else:
        labels = kernel.op != "ce" or (is_array(target) and kind(target) == "integer")
        most = math.prod(x.shape) // max(steps, 1)
        fast = labels and binding.decides_as_fast(kernel.op, kernel.options, most)
    return stages._replace(criterion=loss.criterion) if fast else stages


def _changed(stage: _S, cls: type, **changes: Any) -> _S:
    """The stage as a value of another class, unchecked."""
    new: Any = object.__new__(cls)
    for name, value in (vars(stage) | changes).items():
        object.__setattr__(new, name, value)
    return new  # type: ignore[no-any-return]


class _Reduced:
    """A readout that keeps no time."""

    kernel: Kernel
    told: Told | None

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        carried = self._reduced(piece, carry)
        return super().reduce(piece, carry) if carried is None else carried  # type: ignore[misc]

    def _reduced(self, piece: Piece, carry: Carry) -> Carry:
        """What is carried on, by the kernel; None: the composed form is to say."""
        kernel = self.chosen(self.kernel, piece, carry)
        _tell(self, kernel)
        if isinstance(kernel, str):
            return None
        return kernel.carry(run(kernel, piece))  # type: ignore[arg-type]

    def chosen(self, kernel: Kernel, piece: Piece, carry: Carry) -> Kernel | str:
        """The kernel for a piece, or why it is the composed form."""
        if carry is not None:
            return "steps follow others"
        if not isinstance(piece, Dense):
            return "events are sparse, and times have no steps"
        if piece.part and not self._begins(piece):
            return "steps follow others, or are single"
        if kernel.op in ("spikes", "first", "soft") and len(piece.shape) == 2:
            return "a record without batch is looked at for being one of times"
        return why_not(piece, kernel) or kernel

    def _begins(self, piece: Dense) -> bool:
        """Whether a part of a record is its beginning, and worth a kernel."""
        first = isinstance(piece.start, int) and piece.start == 0
        return first and piece.shape[0] > 1 and self.kernel.op != "cross"


class _First(_Reduced):
    """The first spike, whose time is all that is wanted of a whole record."""

    silent_delay: float

    def first(self, piece: Dense, negative: bool) -> Array | None:
        sign, delay = -1.0 if negative else 1.0, float(self.silent_delay)
        kernel = self.chosen(Kernel("first", (sign, delay)), piece, None)
        _tell(self, kernel)
        if isinstance(kernel, str):
            found: Array | None = super().first(piece, negative)  # type: ignore[misc]
            return found
        return run(kernel, piece)[0]


class _Soft(_Reduced):
    """A soft count, which is all that is wanted of a whole record."""

    count: int
    tau: float
    latency: float

    def read(self, piece: Piece, carry: Carry) -> tuple[Array, Carry]:
        if isinstance(piece, Dense) and not piece.part:
            options = float(self.count), float(self.tau), float(self.latency)
            kernel = self.chosen(Kernel("soft", options), piece, carry)
            if not isinstance(kernel, str):
                _tell(self, kernel)
                return run(kernel, piece)[0], None
        return super().read(piece, carry)  # type: ignore[misc,no-any-return]


class _Timed:
    """A readout that keeps time."""

    kernel: Kernel
    told: Told | None

    def read(self, piece: Piece, carry: Carry) -> tuple[Array, Carry]:
        kernel = self.chosen(piece, carry)
        _tell(self, kernel)
        if isinstance(kernel, str):
            return super().read(piece, carry)  # type: ignore[misc,no-any-return]
        return run(kernel, piece)[0], ()  # type: ignore[arg-type]

    def chosen(self, piece: Piece, carry: Carry) -> Kernel | str:
        """The kernel for a piece, or why it is the composed form."""
        if carry is not None or not isinstance(piece, Dense) or piece.part:
            return "it is a part of a record"
        return why_not(piece, self.kernel) or self.kernel


class _Compared:
    """A criterion of every step, or of a decision, which is a record of one step."""

    kernel: Kernel
    told: Told | None
    needs_steps: bool
    steps_power: int

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        options: Any = {"label": label, "class_weight": class_weight}
        z, found = reading.z, None
        if reading.keeps is None:
            refused = why_not_decided(self.kernel if y is label else self._asked(y, label), z)
            if refused is None:
                piece = Dense(z[None, ...], z.dtype)
                found = self._totals(piece, None, y, steps=reading.steps, **options)
                if found is not None:  # which samples have a step is not known here
                    found = found._replace(full=False)
            elif self.told is not None:
                _tell(self, refused)
        return super().elements(reading, y, **options) if found is None else found  # type: ignore[misc]

    def over_time(
        self,
        piece: Dense,
        z: Array | None,
        y: Array,
        *,
        steps: Steps = 1,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        options: Any = {"steps": steps, "label": label, "class_weight": class_weight}
        found = self._totals(piece, z, y, **options)
        return super().over_time(piece, z, y, **options) if found is None else found  # type: ignore[misc]

    def _totals(
        self,
        piece: Dense,
        z: Array | None,
        y: Array,
        *,
        steps: Steps,
        label: Labels | None,
        class_weight: Array | None,
    ) -> Totals | None:
        """By the kernel; None: the composed form is to say."""
        kernel = self.chosen(piece, z, y, label, class_weight)
        _tell(self, kernel)
        if isinstance(kernel, str):
            return None
        value, *counted = run(kernel, piece, y, z)
        number, full = piece.held, piece.full
        if kernel.op == "ce" and kernel.options[1]:
            number, full = counted[0], False
        if self.needs_steps:
            value = value / power(steps, self.steps_power)
        if class_weight is None:
            return Totals(value, None, number, full=full)
        weight, xp = entries(class_weight, _known(self, label)[..., None]), namespace(value)
        many = number if isinstance(number, int) else xp.astype(number, class_weight.dtype)
        return Totals(value * weight, weight * many, number, full=full)

    def chosen(
        self,
        piece: Dense,
        z: Array | None,
        y: Array,
        label: Labels | None,
        class_weight: Array | None,
    ) -> Kernel | str:
        """The kernel for a target and weights like these, or why it is the composed form."""
        kernel, shape = self._asked(y, label), tuple(piece.shape if z is None else z.shape)
        each = label is not None and label.ndim == len(shape) - 1
        if class_weight is not None and (each or label is None):
            return "there are class weights for every step"
        if kernel.op == "ce":
            if class_weight is not None and kernel.options[0]:
                return "there are class weights and smoothing"
        elif tuple(y.shape) not in (shape, shape[1:]):
            return f"the target has the shape {tuple(y.shape)}"
        return why_not(piece, kernel, y, z) or kernel

    def _asked(self, y: Array, label: Labels | None) -> Kernel:
        """The kernel for labels, or for probabilities in their place."""
        kernel = self.kernel
        if kernel.op != "ce" or y is label or kind(y) != "float":
            return kernel
        return Kernel("soft_ce", kernel.options[:1])


def _known(criterion: Any, label: Labels | None) -> Any:
    """The labels, some class in place of those that are left out."""
    if criterion.ignore_index is None:
        return label
    return namespace(label).where(label == criterion.ignore_index, 0, label)


class _Both(NamedTuple):
    """A readout that keeps time and a criterion, in one kernel."""

    kernel: Kernel
    told: Told | None
    name: str

    def __str__(self) -> str:
        return self.name

    def totals(self, piece: Piece, other: Piece) -> Totals | None:
        """The totals of a record against another; None: one stage by one."""
        if not isinstance(piece, Dense) or not isinstance(other, Dense):
            return None
        refusal = why_not(piece, self.kernel, other.source)
        _tell(self, self.kernel if refusal is None else refusal)
        if refusal is not None:
            return None
        value = run(self.kernel, piece, other.source)[0]
        return Totals(value, None, piece.held, full=piece.full)


def _made(stage: type, how: type) -> Any:
    """A class of that stage with the method of `how`; it says that it is the stage."""
    inside = {"__module__": stage.__module__, "_checks": {}}
    return type(stage)(stage.__name__, (how, stage), inside)


def _how(stage: type) -> type:
    if stage in TIMED:
        return _Timed
    return _AT_ONCE.get(stage, _Reduced)


_AT_ONCE: dict[type, type] = {FirstSpike: _First, SoftCount: _Soft}
"""Those that decide about a whole record by a kernel of their own."""

_MADE = {stage: _made(stage, _how(stage)) for stage in READOUTS}
_MADE |= {stage: _made(stage, _Compared) for stage in CRITERIA}
