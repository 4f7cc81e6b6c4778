"""How often neurons fire."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

from spikeloss import _door
from spikeloss import _shapes as shapes
from spikeloss._backend import (
    accumulate,
    arange,
    checks_values,
    count_true,
    like,
    namespace,
    running_sum,
)
from spikeloss._open import open_record
from spikeloss._piece import Piece, Sparse, Timed, finite, in_order
from spikeloss._shapes import Array, Layout
from spikeloss._whole import evidence
from spikeloss.parts import Parts
from spikeloss.readouts import SumOverTime
from spikeloss.records import Packed

from ._decisions import loss_of
from ._tally import of_one, tally


def spikes_per_sample(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_(b t i) [x_tbi != 0] / B: the spikes of all neurons in a sample, 0-d.

    Args:
        record: (T, *B, N), events or packed spikes. Of a layer of several axes, as of a
            convolution, `class_axis` says which are neurons.
        layout: `lengths`, `valid`, `time_axis`, `class_axis`, as for a loss.

    >>> import numpy
    >>> float(spikes_per_sample(numpy.array([[[1, 1], [0, 1]], [[1, 1], [0, 0]]])))
    2.5
    """
    return tally_operations(record, 1.0, layout).value()


def synaptic_operations(record: shapes.Record, fan_out: Any, **layout: Unpack[Layout]) -> Array:
    """sum_(b t i) f_i [x_tbi != 0] / B: the synaptic updates that a sample's spikes cause, 0-d.

    The usual proxy of the energy of event-driven hardware. For a network add up its layers.

    Args:
        record, layout: as for `spikes_per_sample`; the spikes of the sending layer.
        fan_out: f, synapses that leave a neuron: a number, or an array (N,), at least 0.

    Source: M. Sorbaro et al., Optimizing the energy consumption of spiking neural networks for
    neuromorphic applications (2020).

    >>> import numpy
    >>> record = numpy.array([[[1, 1], [0, 1]], [[1, 1], [0, 0]]])
    >>> float(synaptic_operations(record, [10, 1]))
    11.5
    """
    return tally_operations(record, fan_out, layout).value()


def firing_rates(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """r_i = sum_(b t) [x_tbi != 0] / sum_b n_b: spikes of each neuron per valid step, (N,).

    Long samples weigh more than short ones, by their steps.

    Args:
        record, layout: as for `spikes_per_sample`.

    >>> import numpy
    >>> firing_rates(numpy.array([[[1, 0], [0, 0]], [[1, 1], [0, 0]]]))
    array([0.5 , 0.25], dtype=float32)
    """
    found = counted(record, layout)
    xp, (*batch, neurons), steps = namespace(found.spikes), found.spikes.shape, found.piece.end
    total = xp.sum(xp.reshape(found.spikes, (-1, neurons)), axis=0)
    steps = steps * math.prod(batch) if isinstance(steps, int) else xp.sum(steps)
    wrong = found.wrong
    if wrong is not None:
        wrong = xp.any(xp.reshape(wrong, (-1, neurons)), axis=0)
    total = found._replace(wrong=wrong).sound(total)
    return of_one(total, like(steps, total)).value()


def rate_histogram(record: shapes.Record, *, bins: int = 10, **layout: Unpack[Layout]) -> Array:
    """h_m = sum_(b i) [m/M <= r_bi < (m + 1)/M]: pairs of sample and neuron by their rate, (M,).

    r_bi is the spikes of neuron i per valid step of sample b. The last bin has r = 1 too. Integers,
    exact, and to be added up over batches. Of what is nan and cannot be checked none is counted.

    Args:
        record, layout: as for `spikes_per_sample`.
        bins: M, 1 or more.

    >>> import numpy
    >>> rate_histogram(numpy.array([[[1, 0, 0]], [[1, 1, 0]]]), bins=2)
    array([1, 2])
    """
    bins = _door.integer("bins", bins, low=1)
    counts, piece, wrong = counted(record, layout)
    xp, steps, some = namespace(counts), piece.end, piece.counts
    if some is not None:
        steps = xp.where(some, steps, 1)
    place = _share(counts, bins, steps)
    place = xp.where(place < bins, place, bins - 1)
    if some is not None:
        place = xp.where(some, place, bins)
    if wrong is not None:
        place = xp.where(wrong, bins, place)
    place = xp.reshape(place, (-1,))
    return accumulate(xp.ones_like(place), place, bins)


def _share(k: Array, bins: int, n: Any) -> Array:
    """floor(k bins / n), by long division over the bits of `bins`: the product may be too large."""
    whole = rest = namespace(k).zeros_like(k)
    for bit in f"{bins:b}":
        rest = 2 * rest + int(bit) * k
        whole, rest = 2 * whole + rest // n, rest % n
    return whole


def silent_fraction(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_(b i) [k_bi = 0] / (B N), k the spikes: pairs of sample and neuron without a spike, 0-d.

    Silent neurons learn from few objectives; a share that grows in training is a warning.

    Args:
        record, layout: as for `spikes_per_sample`.

    >>> import numpy
    >>> float(silent_fraction(numpy.array([[[1, 0, 0, 0]], [[1, 1, 0, 0]]])))
    0.5
    """
    found = counted(record, layout)
    return _fraction(found.spikes == 0, found)


def saturated_fraction(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_(b i) [k_bi = n_b] / (B N), k the spikes: pairs that fire at every valid step, 0-d.

    A neuron that always fires says as little as one that never does.

    Args:
        record, layout: as for `spikes_per_sample`.

    >>> import numpy
    >>> float(saturated_fraction(numpy.array([[[1, 0, 0, 0]], [[1, 1, 0, 0]]])))
    0.25
    """
    found = counted(record, layout)
    return _fraction(found.spikes == found.piece.end, found)


def tally_operations(record: Any, fan_out: Any, layout: Layout) -> Parts:
    """The synaptic updates of every sample."""
    found = counted(record, layout)
    return tally(found.operations(fan_out), found.piece.counts)


def _fraction(of: Array, found: "Counted") -> Array:
    """The share of pairs of sample and neuron that `of` (*B, N) is true for."""
    return tally(found.sound(of), found.piece.counts).value()


class Counted(NamedTuple):
    """How often neurons fired."""

    spikes: Array
    """(*B, N) integers."""
    piece: Piece
    """That ends the record."""
    wrong: Array | None = None
    """(*B, N), whose entries are nan or infinite, which could not be checked; None: none."""

    def sound(self, x: Array) -> Array:
        """Numbers of neurons in the precision of the record, nan for those whose entries are."""
        xp = namespace(x)
        x = xp.astype(x, self.piece.precision)
        return x if self.wrong is None else xp.where(self.wrong, xp.nan, x)

    def operations(self, fan_out: Any) -> Array:
        """(*B, 1): the synaptic updates of the spikes."""
        counts = self.sound(self.spikes)
        fan_outs = _door.fan_outs(fan_out, counts)
        return namespace(counts).sum(counts * fan_outs, axis=-1, keepdims=True)


def counted(record: Any, layout: Layout) -> Counted:
    """The spikes of every neuron."""
    _door.layer(record, layout.get("class_axis"))
    if isinstance(record, Packed):  # its entries are 0 and 1
        z, _, piece = evidence(loss_of(SumOverTime()), record, **layout)
        return Counted(namespace(z).astype(z, arange(0, z).dtype), piece)
    piece = open_record(record, **layout)
    finite(piece)
    spikes = fired(piece)
    return Counted(spikes, piece, None if checks_values(piece.values) else broken(piece) > 0)


def broken(piece: Piece) -> Array:
    """How many entries of every neuron are nan or infinite, (*B, N)."""
    return fired(piece, lambda x: ~namespace(x).isfinite(x))


def spiking(x: Array) -> Array:
    """The entries that are spikes."""
    return x != 0


def fired(piece: Piece, kind: Callable[[Array], Array] = spiking) -> Array:
    """The entries of a kind that 0 is not of, of every neuron, (*B, N) integers."""
    if isinstance(piece, Sparse):
        return _events_fired(piece, kind)
    if isinstance(piece, Timed):
        piece.sum()  # refused: there is more to count than the first
    return count_true(kind(piece.x))


def _events_fired(piece: Sparse, kind: Callable[[Array], Array]) -> Array:
    """Events of one neuron and step are one entry of the record, the sum of their amplitudes."""
    xp, cells, events = namespace(piece.time), math.prod(piece.shape[1:]), piece.time.shape[0]
    order = in_order(piece.time, piece.cell)
    step, cell = xp.floor(piece.time[order]), piece.cell[order]
    one = min(events, 1)
    new = (step[one:] != step[: events - one]) | (cell[one:] != cell[: events - one])
    new = xp.concat([xp.ones_like(step[:one], dtype=xp.bool), new])
    entry = running_sum(xp.astype(new, cell.dtype)) - 1
    amplitude = accumulate(piece.amplitude[order], entry, events)[entry]
    fired = xp.astype(new & kind(amplitude), cell.dtype)
    return xp.reshape(accumulate(fired, cell, cells), piece.shape[1:])
