"""Records that are no dense array: events, spikes of one bit each, and times of first spikes.

Losses and readouts take them wherever they take a record (T, *B, N).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from . import _door
from ._backend import (
    accumulate,
    arange,
    as_index,
    by_class,
    compiling,
    coordinates,
    is_array,
    namespace,
)
from ._door import refuse, said
from ._shapes import Array, Record
from ._stage import Stage


@dataclass(frozen=True, eq=False)
class Events(metaclass=Stage):
    """A record (T, *B, N) as its E non-zero entries, in any order.

    A loss costs O(E log E) at most, beside the size of its decision, whatever T is. Readouts that
    need every step, such as `EveryStep` and `Maximum`, refuse events; give them `events.dense()`.

    Amplitudes of one neuron at the same time add up; for spike times they are one spike, and an
    event of amplitude 0 is none. Events at or after the end of their sample, its length or T, are
    padding. Negative times, and samples and neurons that the record does not have, are an error
    where values are checked, and padding elsewhere.

    Derivatives: of counts and rates with respect to amplitudes. Of spike times with respect to
    times, where these are floating (they need not be whole then), 1 for the spike that is read; and
    with respect to amplitudes the estimator of a dense record. A silent neuron has no event, and
    so no derivative.

    Args:
        time: (E) steps from 0, integer or floating.
        sample: (E) integers, an index into the flattened batch axes.
        neuron: (E) integers.
        amplitude: (E), or None: all 1.
        shape: (T, *B, N) of the record.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> time, sample, neuron = numpy.array([[0, 4, 2], [0, 0, 1], [1, 1, 0]])
    >>> SumOverTime()(Events(time, sample, neuron, shape=(5, 2, 2)))
    array([[0., 2.],
           [1., 0.]], dtype=float32)
    """

    time: Array
    sample: Array
    neuron: Array
    amplitude: Array | None = None
    shape: tuple[int, ...] = ()

    @classmethod
    def from_sparse(cls, record: Any) -> Self:
        """The entries of a sparse COO array (T, *B, N) of torch, JAX (`BCOO`) or SciPy."""
        shape = tuple(record.shape)
        if len(shape) < 2:
            rule, fix = "2 axes or more, (time, *batch, neurons)", "Keep the axes."
            refuse("record", rule, f"shape {shape}", fix)
        (time, *batch, neuron), amplitude = coordinates(record)
        sample = as_index(time) * 0
        for index, size in zip(batch, shape[1:-1], strict=True):
            sample = sample * size + as_index(index)
        # JAX pads its entries with the sizes of the axes as indices.
        xp, some = namespace(sample), as_index(time) < shape[0]
        sample, neuron = xp.where(some, sample, 0), xp.where(some, as_index(neuron), 0)
        return cls(as_index(time), sample, neuron, amplitude, shape)

    @classmethod
    def from_recordings(
        cls, recordings: Sequence[Any], *, steps: int, step: float, sensor_size: Sequence[int]
    ) -> Self:
        """Recordings of an event sensor, one per sample, as tonic gives them: NumPy.

        Args:
            recordings: structured arrays with fields "t", "x" and maybe "y" and "p".
            steps: T.
            step: how much of "t" is a step: 1000 for steps of a millisecond, "t" in microseconds.
            sensor_size: (width, height, polarities); neuron (p height + y) width + x.
        """
        steps = _door.integer("steps", steps, low=1)
        step = _door.number("step", step, above=0.0)
        width, height, polarities = _door.integers("sensor_size", sensor_size, 3)
        if not isinstance(recordings, (list, tuple)):
            fix = "Pass them as [recording, ...]."
            refuse("recordings", "a sequence, one per sample", said(recordings), fix, TypeError)
        parts = [_addresses(recording, width, height) for recording in recordings]
        if not parts:
            refuse("recordings", "at least one recording", "none", "Pass one per sample.")
        xp = namespace(parts[0][0])
        samples = [xp.full(len(time), i, dtype=int) for i, (time, _) in enumerate(parts)]
        return cls(
            xp.concat([xp.astype(time // step, int) for time, _ in parts]),
            xp.concat(samples),
            xp.concat([neuron for _, neuron in parts]),
            shape=(steps, len(parts), width * height * polarities),
        )

    def map(self, function: Callable[[Array], Array]) -> Self:
        """These events with every array changed: `events.map(torch.as_tensor)`."""
        return replace(
            self,
            time=function(self.time),
            sample=function(self.sample),
            neuron=function(self.neuron),
            amplitude=None if self.amplitude is None else function(self.amplitude),
        )

    def nothing(self) -> Record:
        """A step (1, *B, N) of no events, in the dtype of the record."""
        _door.entries_of(self)
        return replace(self.map(lambda x: x[:0]), shape=(1, *self.shape[1:])).dense()

    def dense(self) -> Record:
        """The record (T, *B, N); a time that is not whole belongs to the step before it."""
        time, sample, neuron, amplitude, inside, dtype = _door.entries_of(self)
        xp, (*_, neurons), size = namespace(time), self.shape, math.prod(self.shape)
        step = as_index(xp.floor(time))
        index = (step * math.prod(self.shape[1:-1]) + sample) * neurons + neuron
        flat = accumulate(amplitude, xp.where(inside, index, size), size)
        return xp.reshape(xp.astype(flat, dtype), self.shape)


def _addresses(recording: Any, width: int, height: int) -> tuple[Array, Array]:
    """Times and neurons of a structured array."""
    names = recording.dtype.names or ()
    if "t" not in names or "x" not in names:
        rule, fix = "structured arrays with fields t and x", "Name the fields as tonic does."
        refuse("recordings", rule, f"fields {names}" if names else said(recording), fix, TypeError)
    neuron = recording["x"].astype(int)
    if "y" in names:
        neuron = neuron + width * recording["y"].astype(int)
    if "p" in names:
        neuron = neuron + width * height * recording["p"].astype(int)
    return recording["t"], neuron


@dataclass(frozen=True, eq=False)
class Times(metaclass=Stage):
    """The times of the first spikes (*B, N), as networks give them that compute times.

    For networks whose output is a time, such as those of EventProp, Fast & Deep and DelGrad. Every
    loss of first spikes takes them, with the true derivative of a time, 1. Times are in any unit,
    that of `tau`, `delay` and other options of the loss then: its step. What needs counts or every
    step is refused, and there are no lengths, masks and streams.

    A silent neuron, its time infinity, counts as firing at `end`, or at

        end + slope (threshold - highest)

    where the maxima of the membranes are given: the later, the further it stayed below, and with
    the derivative -slope in `highest`, so that it can learn to fire. `silent_delay` of a loss comes
    on top. Without maxima silence has no derivative. `fired` leaves out the samples whose own
    neuron is silent.

    Args:
        times: (*B, N), at least 0, infinity for silence.
        end: the time of the last step, n - 1 in the formulas, which -1 stands for in a target: a
            number, or one per sample (*B). Spikes may come later.
        highest: (*B, N) the maximum of the membrane of each neuron, or None; not read where a
            neuron fires, and not above the threshold where it does not.
        slope: in units of time per unit of the membrane, at least 0.
        threshold: of the membrane.

    >>> import numpy
    >>> from spikeloss.readouts import FirstSpike
    >>> times, highest = numpy.array([[2.5, numpy.inf]]), numpy.array([[1.0, 0.75]])
    >>> FirstSpike()(Times(times, end=8.0))
    array([[2.5, 8. ]])
    >>> FirstSpike()(Times(times, end=8.0, highest=highest, slope=20.0))
    array([[ 2.5, 13. ]])
    """

    times: Array
    end: float | Array
    highest: Array | None = None
    slope: float = 1.0
    threshold: float = 1.0

    def __post_init__(self) -> None:
        if not compiling():  # as a compiler cannot look into what a number is
            _door.number("slope", self.slope, low=0.0)
            _door.number("threshold", self.threshold)

    @property
    def shape(self) -> tuple[int, ...]:
        """(*B, N)"""
        return tuple(self.times.shape)

    def map(self, function: Callable[[Array], Array]) -> Self:
        """These times with every array changed: `times.map(torch.as_tensor)`."""
        highest = None if self.highest is None else function(self.highest)
        end = function(self.end) if is_array(self.end) else self.end
        return replace(self, times=function(self.times), end=end, highest=highest)

    def fired(self, labels: Array) -> Array:
        """(*B) 1 where the neuron of the label fires, else 0: the weight of a sample.

            loss(times, labels, sample_weight=times.fired(labels))

        leaves out the samples whose own neuron is silent: they have neither loss nor gradient. The
        mean is still over all samples unless the loss has `reduction=Mean(over="weights")`.
        """
        times, _, _, dtype = _door.times_of(self)
        labels, xp = _door.sample_labels("labels", labels, times), namespace(times)
        own = by_class(labels, self.shape[-1], times, 1.0, 0.0)
        return xp.astype(xp.sum(xp.where(times < xp.inf, own, 0), axis=-1), dtype)


PIECE = 64
"""Steps that are unpacked at a time."""


@dataclass(frozen=True, eq=False)
class Packed(metaclass=Stage):
    """A record of spikes (T, *B, N) with one bit for each, for evaluation.

    It takes an eighth of the memory of bools and a 32nd of that of float32. A loss unpacks it
    64 steps at a time; there is no derivative with respect to it.

    Args:
        bits: (T / 8 rounded up, *B, N) uint8; bit i of byte j is step 8 j + i. Those after the last
            step are not read.
        steps: T.

    >>> import numpy
    >>> from spikeloss.readouts import SumOverTime
    >>> packed = Packed.pack(numpy.array([[1, 0], [1, 1], [0, 1]]))
    >>> packed.bits
    array([[3, 6]], dtype=uint8)
    >>> SumOverTime()(packed)
    array([2., 2.], dtype=float32)
    """

    bits: Array
    steps: int

    def __post_init__(self) -> None:
        _door.packed_bits(self.bits, self.steps)

    @classmethod
    def pack(cls, record: Record) -> Self:
        """A record, time first, in bits: any entry that is not zero is a spike."""
        spikes = _door.time_first(_door.array("record", record), 0, -1)
        xp, steps, rest = namespace(spikes), spikes.shape[0], tuple(spikes.shape[1:])
        fired = xp.astype(xp.astype(spikes, xp.bool), xp.uint8)
        if steps % 8:
            fired = xp.concat([fired] + [xp.zeros_like(fired[:1, ...])] * (8 - steps % 8))
        fired = xp.reshape(fired, (fired.shape[0] // 8, 8, *rest))
        bits = fired[:, 0, ...]
        for i in range(1, 8):
            bits = bits | (fired[:, i, ...] << i)
        return cls(bits, steps)

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, *B, N)"""
        return (self.steps, *self.bits.shape[1:])

    def unpack(self) -> Record:
        """The record (T, *B, N) of 0 and 1, uint8."""
        return self._unpacked(0, self.bits.shape[0])[: self.steps, ...]

    def pieces(self) -> Iterator[Record]:
        """The record, 64 steps at a time."""
        for first in range(0, self.bits.shape[0], PIECE // 8):
            end = min(first + PIECE // 8, self.bits.shape[0])
            steps = min(8 * (end - first), self.steps - 8 * first)
            yield self._unpacked(first, end)[:steps, ...]

    def _unpacked(self, first: int, end: int) -> Record:
        xp, bits = namespace(self.bits), self.bits[first:end, ...]
        places = xp.reshape(xp.astype(arange(8, bits), bits.dtype), (8,) + (1,) * (bits.ndim - 1))
        return xp.reshape((bits[:, None, ...] >> places) & 1, (8 * bits.shape[0], *bits.shape[1:]))
