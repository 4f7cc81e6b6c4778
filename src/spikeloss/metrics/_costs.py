"""What a network costs, as the benchmark NeuroBench counts it: of records, without hooks."""

import math
from collections.abc import Mapping
from typing import Any, Unpack

from spikeloss import _door
from spikeloss import _shapes as shapes
from spikeloss._backend import checks_values, like, namespace, numbered
from spikeloss._door import refuse
from spikeloss._open import open_record
from spikeloss._piece import Piece, every_step, finite
from spikeloss._shapes import Array, Layout
from spikeloss.parts import Parts
from spikeloss.records import Packed

from ._activity import broken, counted, fired
from ._tally import of_one, tally


def activation_sparsity(
    record: shapes.Record | Mapping[str, shapes.Record], **layout: Unpack[Layout]
) -> Array:
    """s = 1 - sum_(l b t i) [x_tbi != 0] / sum_(l b) n_b N_l: the share of entries that are 0, 0-d.

    Of one layer, or of several together, in which large layers and long samples weigh more. Graded
    activations count as spikes do.

    Args:
        record: as for `spikes_per_sample`, or a mapping of the names of layers to records.
        layout: as for `spikes_per_sample`, the same for all layers.

    Source: J. Yik et al., The NeuroBench framework for benchmarking neuromorphic computing
    algorithms and systems (2025).

    >>> import numpy
    >>> hidden, output = numpy.array([[[1, 0]], [[0, 0]]]), numpy.array([[[1]], [[0]]])
    >>> float(activation_sparsity(hidden))
    0.75
    >>> round(float(activation_sparsity({"hidden": hidden, "output": output})), 4)  # 4 / 6
    0.6667
    """
    return tally_sparsity(record, layout).value()


def effective_macs(record: shapes.Record, fan_out: Any, **layout: Unpack[Layout]) -> Array:
    """sum_(b t i) f_i [x_tbi != 0] g_b / B, g_b = 1 for samples with an entry that is not -1, 0, 1.

    Multiply-accumulates: the synaptic operations of graded inputs, which need a product with the
    weight, 0-d. `effective_acs` has those of the other samples, and both together are the
    `synaptic_operations`. For a network add up its layers.

    NeuroBench decides for the samples of a batch and a step together whether they are graded, so
    that its number depends on the batches; it is the same for a layer all of whose samples and
    steps are graded, or none.

    Args:
        record: as for `spikes_per_sample`; what comes into the synapses.
        fan_out: f, as for `synaptic_operations`; `spikeloss.synapses` counts it of a layer.
        layout: as for `spikes_per_sample`.

    Source: J. Yik et al., The NeuroBench framework for benchmarking neuromorphic computing
    algorithms and systems (2025).

    >>> import numpy
    >>> record = numpy.array([[[0.5, 1.0], [1.0, 0.0]]])  # the second sample has spikes only
    >>> float(effective_macs(record, 10)), float(effective_acs(record, 10))
    (10.0, 5.0)
    """
    return tally_effective(record, fan_out, layout, graded=True).value()


def effective_acs(record: shapes.Record, fan_out: Any, **layout: Unpack[Layout]) -> Array:
    """sum_(b t i) f_i [x_tbi != 0] (1 - g_b) / B, g_b = 1 for samples with graded entries.

    Accumulates: the synaptic operations of spikes, -1 or 1, which add the weight as it is, 0-d. See
    `effective_macs`.

    Args:
        record, fan_out, layout: as for `effective_macs`.

    Source: as of `effective_macs`.

    >>> import numpy
    >>> float(effective_acs(numpy.array([[[1, -1], [1, 0]]]), [10, 1]))
    10.5
    """
    return tally_effective(record, fan_out, layout, graded=False).value()


def dense_operations(record: shapes.Record, fan_out: Any, **layout: Unpack[Layout]) -> Array:
    """sum_(b i) n_b f_i / B: the synaptic operations if every entry were a spike, 0-d.

    What a machine does that skips no zeros. With the fan-out of all weights,
    `synapses.of_module(module, shape, zeros=True)`, it is what NeuroBench calls dense.

    Args:
        record, fan_out, layout: as for `effective_macs`.

    Source: as of `effective_macs`.

    >>> import numpy
    >>> float(dense_operations(numpy.zeros((4, 1, 2)), [10, 1]))
    44.0
    """
    return tally_dense(record, fan_out, layout).value()


def membrane_updates(record: shapes.Record, **layout: Unpack[Layout]) -> Array:
    """sum_(b i) (1 + sum_(t > 0) [u_tbi != u_(t-1)bi]) / B: how often membranes change, 0-d.

    Every neuron is updated at the first valid step, and then where its membrane is another than at
    the valid step before. For a network add up its layers.

    Args:
        record: (T, *B, N) the membrane u, with every step: no events.
        layout: as for `spikes_per_sample`.

    Source: as of `effective_macs`.

    >>> import numpy
    >>> float(membrane_updates(numpy.array([[[0.0, 0.5]], [[0.0, 0.25]], [[0.0, 0.25]]])))
    3.0
    """
    return tally_updates(record, layout).value()


def tally_sparsity(record: Any, layout: Layout) -> Parts:
    """Entries that are 0, of all entries."""
    layers = record.values() if isinstance(record, Mapping) else (record,)
    if not layers:
        refuse("record", "a record, or several by name", "none", "Pass at least one layer.")
    zeros, entries = zip(*(_zeros(layer, layout) for layer in layers), strict=True)
    return of_one(sum(zeros), sum(entries))


def _zeros(record: Any, layout: Layout) -> tuple[Array, Array]:
    """Entries of a layer that are 0, and all of them."""
    found = counted(record, layout)
    counts, piece = found.sound(found.spikes), found.piece
    xp, size = namespace(counts), math.prod(counts.shape)
    if isinstance(piece.end, int):
        entries = like(size * piece.end, counts)
    else:
        entries = xp.sum(xp.astype(piece.end, counts.dtype)) * counts.shape[-1]
    return entries - xp.sum(counts), entries


def tally_effective(record: Any, fan_out: Any, layout: Layout, *, graded: bool) -> Parts:
    """The synaptic updates of every sample that is graded, or that is not."""
    found = counted(record, layout)
    each, piece = found.operations(fan_out), found.piece
    xp = namespace(each)
    these = (_graded(record, piece, each) == graded) | xp.isnan(each)
    return tally(xp.where(these, each, 0), piece.counts)


def _graded(record: Any, piece: Piece, each: Array) -> Array:
    """(*B, 1): whether a sample has entries other than -1, 0 and 1."""
    xp = namespace(each)
    if isinstance(record, Packed):
        return xp.zeros_like(each, dtype=xp.bool)
    others = fired(piece, lambda x: (x != 0) & (x != 1) & (x != -1))
    return xp.any(others > 0, axis=-1, keepdims=True)


def tally_dense(record: Any, fan_out: Any, layout: Layout) -> Parts:
    """The synaptic updates of every sample whose neurons always fire."""
    found = counted(record, layout)
    always = namespace(found.spikes).zeros_like(found.spikes) + found.piece.end
    return tally(found._replace(spikes=always).operations(fan_out), found.piece.counts)


def tally_updates(record: Any, layout: Layout) -> Parts:
    """The membrane updates of every sample."""
    _door.layer(record, layout.get("class_axis"))
    piece = every_step(open_record(record, **layout), membrane_updates)
    finite(piece)
    u, xp = piece.closed(), namespace(piece.raw)
    later = numbered(u.shape[0], u)[1:, ...] < piece.held
    changed = xp.astype((u[1:, ...] != u[:-1, ...]) & later, u.dtype)
    each = xp.sum(xp.sum(changed, axis=0), axis=-1, keepdims=True) + u.shape[-1]
    if not checks_values(piece.values):
        each = xp.where(xp.any(broken(piece) > 0, axis=-1, keepdims=True), xp.nan, each)
    return tally(each, piece.counts)
