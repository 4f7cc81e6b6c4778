"""Spike times, in steps."""

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

from spikeloss.extend import (
    NUMBERS,
    Array,
    Check,
    Labels,
    Steps,
    by_class,
    checked,
    checks_values,
    cut,
    declared,
    extent,
    fit_numbers,
    integer,
    namespace,
    refuse,
    said,
    settled,
    span,
)
from spikeloss.readouts import Outline

from ._base import Target


@dataclass(frozen=True)
class GivenTime(Target):
    """y = t where t >= 0, n + t where t < 0: spike times in steps, negative ones from the end.

    Times (N), (*B, N) or, for `SpikeTimes(F)`, (F, *B, N), of an integer or floating dtype.

    Raises:
        ValueError: if a time lies outside the record of its sample.

    >>> import numpy
    >>> from spikeloss.readouts import FirstSpike
    >>> outline = FirstSpike().outline(numpy.zeros((5, 1, 2)))
    >>> GivenTime().encode(numpy.array([[0, -1]]), outline)
    array([[0., 4.]])
    """

    labelled: ClassVar[bool] = False
    timed: ClassVar[bool] = True

    def fit(self, target: Array, outline: Outline) -> Check | None:
        if tuple(target.shape) != outline.shape[-1:]:
            fit_numbers(target, outline, by_class="OnOffTime")
        return None

    def encode(self, target: Array, outline: Outline) -> Array:
        time, xp = NUMBERS(target, outline), namespace(target)
        if tuple(time.shape) == outline.shape[-1:]:  # those of one sample, for every one
            time = xp.broadcast_to(time, outline.shape)
        time = _inside(time, outline.steps)
        return xp.where(time < 0, time + outline.steps, time)


def _inside(time: Array, steps: Steps) -> Array:
    """Times, -n <= time <= n - 1 in every sample; nan for others that cannot be checked."""
    varied, xp = not isinstance(steps, int), namespace(time)
    inside = (time >= -steps) & (time <= steps - 1)
    if not checks_values(time, *((steps,) if varied else ())):
        return xp.where(inside, time, xp.nan)
    if bool(xp.all(settled(inside))):
        return time
    within = "-n to n - 1, n the length of the sample" if varied else f"{-steps} to {steps - 1}"
    rule, fix = f"spike times from {within}", "Count the first step as 0, the last as -1."
    refuse("target", rule, span(*extent(time)), fix)


def _steps(argument: str, value: Any) -> int | tuple[int, ...]:
    """A step, or a tuple of one or more."""
    if isinstance(value, tuple):
        if not value:
            refuse(argument, "at least one step", "()", "Give the step of the first spike.")
        return tuple(checked(f"{argument}[{i}]", step, integer()) for i, step in enumerate(value))
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        rule, fix = "an integer or a tuple of integers", f"Pass {argument} as int or tuple."
        refuse(argument, rule, said(value), fix, TypeError)
    return int(value)


def _paired(on: int | tuple[int, ...], off: int | tuple[int, ...]) -> None:
    """As many steps for the label as for the other classes."""
    many = [len(steps) if isinstance(steps, tuple) else 0 for steps in (on, off)]
    if many[0] != many[1]:
        rule, fix = f"as many steps as on={cut(repr(on))}", "Give on and off the same number."
        refuse("off", rule, cut(repr(off)), fix)


@dataclass(frozen=True)
class OnOffTime(Target):
    """y_c = t_c, t = on for the label, else off: a spike time in steps; n + t if t is negative.

    Args:
        on, off: steps from 0, or negative from the end of each sample (-1 is its last step); for
            `SpikeTimes(F)` a tuple of F of them each.

    Raises:
        ValueError: if a time lies outside the record of a sample.

    >>> import numpy
    >>> from spikeloss.readouts import FirstSpike
    >>> outline = FirstSpike().outline(numpy.zeros((5, 1, 3)))
    >>> OnOffTime(on=0, off=-1).encode(numpy.array([1]), outline)
    array([[4., 0., 4.]])
    """

    on: int | tuple[int, ...] = field(default=0, metadata=declared(_steps))
    off: int | tuple[int, ...] = field(default=-1, metadata=declared(_steps))
    timed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _paired(self.on, self.off)

    def encode(self, target: Labels, outline: Outline) -> Array:
        pairs, steps = self._pairs, outline.steps
        _steps_inside(pairs, steps)
        times = [
            by_class(target, outline.classes, outline.like, _step(on, steps), _step(off, steps))
            for on, off in pairs
        ]
        return namespace(times[0]).stack(times) if outline.keeps == "spikes" else times[0]

    def fit(self, target: Array, outline: Outline) -> Check | None:
        count = outline.shape[0] if outline.keeps == "spikes" else 1
        if len(self._pairs) != count:
            rule = f"steps of {count} spike{'' if count == 1 else 's'}, as many as are read"
            fix = f"Read with readouts.SpikeTimes(count={len(self._pairs)})."
            refuse("target", rule, len(self._pairs), fix)
        return super().fit(target, outline)

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        """The steps of each spike, of the label and of the others."""
        if isinstance(self.on, tuple) and isinstance(self.off, tuple):
            return list(zip(self.on, self.off, strict=True))
        return [(self.on, self.off)]  # type: ignore[list-item]  # both are int or none is


def _step(step: int, steps: Steps) -> Any:
    """A step from 0; nan outside of samples whose lengths cannot be checked."""
    at = steps + step if step < 0 else step
    if isinstance(steps, int) or checks_values(steps):
        return at
    xp = namespace(steps)
    return xp.where((at >= 0) & (at < steps), at, xp.nan)


def _steps_inside(pairs: list[tuple[int, int]], steps: Steps) -> None:
    """-n <= step <= n - 1 for every step, and every sample where lengths can be read."""
    where = "the record"
    if not isinstance(steps, int):
        if not checks_values(steps) or 0 in steps.shape:
            return
        steps, where = int(extent(steps)[0]), "the shortest sample"
    for pair in pairs:
        for argument, step in zip(("on", "off"), pair, strict=True):
            if not -steps <= step < steps:
                rule = f"a step of {where}, from {-steps} to {steps - 1}"
                refuse(argument, rule, step, f"Choose {-steps} <= {argument} < {steps}.")
