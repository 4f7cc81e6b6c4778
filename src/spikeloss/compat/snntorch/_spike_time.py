"""snnTorch's SpikeTime. Record (T, B, N), labels (B) or times -> spike times and target times."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from spikeloss import readouts
from spikeloss._backend import arange, constant, is_array, namespace
from spikeloss._door import array, beside_record, fit_labels, flag, integer, number, refuse
from spikeloss._open import open_record
from spikeloss._shapes import Array
from spikeloss.compat._calls import axes, labels, speaks
from spikeloss.targets import GivenTime, OnOff, OnOffTime, Target

from ._options import NAMES

_ON_OFF = ("on_target", "off_target")


class SpikeTime:
    """Spike times of a record, and its targets as spike times.

    Args:
        target_is_time: whether targets are times (F, B, N), (B, N) or (N) rather than labels (B).
        on_target, off_target: steps, one or with `multi_spike` F each; negative from the end.
        tolerance: in steps; a time nearer to its target than this is replaced by the target.
        multi_spike: whether to read F spikes of a neuron rather than the first.
    """

    class FirstSpike:
        """First spike times (B, N) of a record (T, B, N)."""

        @staticmethod
        def apply(spk_rec: Array, device: object = None) -> Array:
            """The times; `device` is that of the record."""
            return readouts.FirstSpike()(spk_rec)

    class MultiSpike:
        """The first F spike times (F, B, N) of a record (T, B, N)."""

        @staticmethod
        def apply(spk_rec: Array, spk_count: int, device: object = None) -> Array:
            """The times; `device` is that of the record."""
            return readouts.SpikeTimes(count=spk_count)(spk_rec)

    class Tolerance:
        """Times that are close enough to their targets, replaced by them."""

        @staticmethod
        @speaks(NAMES)
        def apply(spk_time: Array, target: Array, tolerance: float) -> Array:
            """The target where it is nearer than `tolerance`; the derivative is the time's."""
            number("tolerance", tolerance, low=0.0)
            spk_time = array("spk_time", spk_time)
            xp = namespace(spk_time)
            target = xp.astype(target, spk_time.dtype, copy=False)
            near = xp.abs(spk_time - target) < tolerance
            return constant(xp.where(near, target, spk_time)) + (spk_time - constant(spk_time))

    def __init__(
        self,
        target_is_time: bool = False,
        on_target: int | Iterable[int] = 0,
        off_target: int | Iterable[int] = -1,
        tolerance: float = 0,
        multi_spike: bool = False,
    ) -> None:
        self._stages: dict[str, Any] | None
        self.target_is_time = target_is_time
        self.on_target, self.off_target = on_target, off_target
        self.tolerance = tolerance
        self.multi_spike = multi_spike
        self.check()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _plain(value) if name in _ON_OFF else value)
        super().__setattr__("_stages", None)

    def stages(self) -> dict[str, Any]:
        """The readout and the target of a loss, the same ones until an attribute is set."""
        stages = self._stages
        if stages is None:
            self.check()
            stages = {"readout": self.readout(), "target": self.target()}
            super().__setattr__("_stages", stages)
        return stages

    @speaks(NAMES)
    def check(self) -> None:
        """Refuse attributes that do not fit."""
        flag("target_is_time", self.target_is_time)
        flag("multi_spike", self.multi_spike)
        number("tolerance", self.tolerance, low=0.0)
        self.target()

    @property
    def first_spike_fn(self) -> Callable[..., Array]:
        """What reads the times of a record."""
        return self.MultiSpike.apply if self.multi_spike else self.FirstSpike.apply

    @property
    def tolerance_fn(self) -> Callable[..., Array]:
        """What replaces times by the targets that they are close to."""
        return self.Tolerance.apply

    @property
    def steps(self) -> tuple[Any, Any]:
        """The steps of the label and of the other classes, each an int or a tuple of them."""
        return tuple(_steps(name, getattr(self, name), self.multi_spike) for name in _ON_OFF)

    def target(self) -> Target:
        """How targets become times."""
        return GivenTime() if self.target_is_time else OnOffTime(*self.steps)

    def __call__(self, spk_out: Array, targets: Array) -> tuple[Array, Array]:
        """Times of the record and targets, both (B, N) or (F, B, N); see `forward`."""
        return self.forward(spk_out, targets)

    @speaks(NAMES)
    def forward(self, spk_out: Array, targets: Array) -> tuple[Array, Array]:
        """Times of the record and targets, both (B, N) or (F, B, N), in float32 or float64."""
        self.check()
        readout, target = self.readout(targets), self.target()
        piece = open_record(spk_out)
        outline, (time, _) = readout.outlined(piece), readout.read(piece, None)
        if not self.target_is_time:
            targets = labels(targets, axes(spk_out) - 2)
        targets = beside_record("target", targets, time)
        check = target.fit(targets, outline)
        goal = target.encode(targets if check is None else check(targets, outline), outline)
        return self.tolerance_fn(time, goal, self.tolerance) if self.tolerance else time, goal

    @speaks(NAMES)
    def labels_to_spike_times(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (B, N) or, with `multi_spike`, (F, B, N); negative ones stay so."""
        if self.multi_spike:
            return self.label_to_multi_spike(targets, num_outputs)
        return self.label_to_single_spike(targets, num_outputs)

    @speaks(NAMES)
    def label_to_single_spike(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (B, N)."""
        return _on_off(targets, num_outputs, *self.steps)

    @speaks(NAMES)
    def label_to_multi_spike(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (F, B, N)."""
        pairs = zip(*self.steps, strict=True)
        return namespace(targets).stack([_on_off(targets, num_outputs, *pair) for pair in pairs])

    def readout(self, targets: Any = ()) -> readouts.Readout:
        """The readout of as many spikes as the targets have."""
        if not self.multi_spike:
            return readouts.FirstSpike()
        if not self.target_is_time:
            return readouts.SpikeTimes(count=len(self.steps[0]))
        return readouts.SpikeTimes(count=max(1, len(targets)) if np.ndim(targets) else 1)


def _plain(steps: Any) -> Any:
    """Several steps as a tuple; arrays are read now, not under tracing."""
    steps = steps.tolist() if is_array(steps) else steps
    several = isinstance(steps, Iterable) and not isinstance(steps, (str, bytes, dict))
    return tuple(steps) if several else steps


def _steps(argument: str, steps: Any, many: bool) -> Any:
    """A step or, with `many`, a tuple of steps."""
    if many:
        return steps if isinstance(steps, tuple) else (steps,)
    if isinstance(steps, tuple):
        fix = "Pass multi_spike=True for several spikes."
        refuse(argument, "one step", steps, fix, ValueError)
    return steps


def _on_off(targets: Array, classes: int, on: float, off: float) -> Array:
    targets, classes = array("targets", targets), integer("num_outputs", classes, low=1)
    targets, xp = labels(targets, axes(targets)), namespace(targets)
    z = xp.astype(arange(classes, targets), xp.float32)
    z = xp.broadcast_to(z, (*targets.shape, classes))  # only its shape, dtype and device matter
    outline, target = readouts.Decided().outline(z), OnOff(on, off)
    return target.encode(fit_labels(targets, outline)(targets, outline), outline)
