"""snnTorch's SpikeTime. Record (T, B, N), labels (B) or times -> spike times and target times."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from spikeloss import readouts
from spikeloss._backend import arange, constant, is_array, namespace
from spikeloss._door import array, class_labels, flag, number, open_record, refuse, whole
from spikeloss._shapes import Array
from spikeloss.targets import GivenTime, OnOff, OnOffTime


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
        def apply(spk_time: Array, target: Array, tolerance: float) -> Array:
            """The target, without derivative, where it is nearer than `tolerance`."""
            spk_time = array("spk_time", spk_time)
            xp = namespace(spk_time)
            target = xp.astype(target, spk_time.dtype, copy=False)
            return xp.where(xp.abs(spk_time - target) < tolerance, constant(target), spk_time)

    def __init__(
        self,
        target_is_time: bool = False,
        on_target: int | Iterable[int] = 0,
        off_target: int | Iterable[int] = -1,
        tolerance: float = 0,
        multi_spike: bool = False,
    ) -> None:
        flag("target_is_time", target_is_time)
        flag("multi_spike", multi_spike)
        number("tolerance", tolerance, low=0.0)
        self.target_is_time = target_is_time
        self.tolerance, self.tolerance_fn = tolerance, self.Tolerance.apply
        self.multi_spike = multi_spike
        self.first_spike_fn = self.MultiSpike.apply if multi_spike else self.FirstSpike.apply
        if not target_is_time:
            self.on_target = _steps("on_target", on_target, multi_spike)
            self.off_target = _steps("off_target", off_target, multi_spike)
        self.target = GivenTime() if target_is_time else OnOffTime(self.on_target, self.off_target)

    def __call__(self, spk_out: Array, targets: Array) -> tuple[Array, Array]:
        """Times of the record and targets, both (B, N) or (F, B, N); see `forward`."""
        return self.forward(spk_out, targets)

    def forward(self, spk_out: Array, targets: Array) -> tuple[Array, Array]:
        """Times of the record and targets, both (B, N) or (F, B, N), in float32 or float64."""
        reading = self.readout(targets).reading(open_record(spk_out))
        if not self.target_is_time:
            targets = class_labels(targets, reading)
        goal = self.target.encode(targets, reading)
        time = reading.z
        return self.tolerance_fn(time, goal, self.tolerance) if self.tolerance else time, goal

    def labels_to_spike_times(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (B, N) or, with `multi_spike`, (F, B, N); negative ones stay so."""
        if self.multi_spike:
            return self.label_to_multi_spike(targets, num_outputs)
        return self.label_to_single_spike(targets, num_outputs)

    def label_to_single_spike(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (B, N)."""
        return _on_off(targets, num_outputs, self.on_target, self.off_target)

    def label_to_multi_spike(self, targets: Array, num_outputs: int) -> Array:
        """Labels (B) to times (F, B, N)."""
        pairs = zip(self.on_target, self.off_target, strict=True)
        return namespace(targets).stack([_on_off(targets, num_outputs, *pair) for pair in pairs])

    def readout(self, targets: Array) -> readouts.Readout:
        """The readout of as many spikes as the targets have."""
        if not self.multi_spike:
            return readouts.FirstSpike()
        if not self.target_is_time:
            return readouts.SpikeTimes(count=len(self.on_target))
        return readouts.SpikeTimes(count=max(1, len(targets)) if np.ndim(targets) else 1)


def _steps(argument: str, steps: Any, many: bool) -> Any:
    """A step as int or, with `many`, steps as a tuple of int; arrays of integers too."""
    values = steps.tolist() if is_array(steps) else steps
    several = isinstance(values, Iterable) and not isinstance(values, (str, bytes, dict))
    values = tuple(values) if several else values
    if many:
        return values if isinstance(values, tuple) else (values,)
    if isinstance(values, tuple):
        fix = "Pass multi_spike=True for several spikes."
        refuse(argument, "one step", values, fix, ValueError)
    return values


def _on_off(labels: Array, classes: int, on: float, off: float) -> Array:
    labels, classes = array("targets", labels), whole("num_outputs", classes, low=1)
    xp = namespace(labels)
    z = xp.astype(arange(classes, labels), xp.float32)
    z = xp.broadcast_to(z, (*labels.shape, classes))  # only its shape, dtype and device matter
    reading = readouts.Reading(z, None, 1, None)
    return OnOff(on, off).encode(class_labels(labels, reading), reading)
