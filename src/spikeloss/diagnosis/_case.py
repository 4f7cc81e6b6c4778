"""What is to be diagnosed: a loss, the records that it reads, laid out, and its target."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from spikeloss._backend import (
    as_index,
    beside,
    constant,
    deriving,
    is_array,
    kind,
    library,
    listed,
    namespace,
    slope,
)
from spikeloss._door import refuse
from spikeloss._judge import classes, labelled
from spikeloss._once import once
from spikeloss._open import open_record
from spikeloss._piece import Dense, every_step
from spikeloss._plan import layers_of
from spikeloss._shapes import Array, Layout
from spikeloss._whole import evidence
from spikeloss.loss import Loss, Total
from spikeloss.records import Events, Times
from spikeloss.reductions import Each

SOME = 64
"""Samples on which other objectives are tried, at most."""


def number(mask: Array) -> int:
    """How many entries are true."""
    xp = namespace(mask)
    return int(xp.sum(xp.astype(mask, xp.int32)))


def where(mask: Array) -> list[int]:
    """The places of the true entries, of all axes in a row."""
    flat = listed(namespace(mask).reshape(mask, (-1,)))
    return [place for place, here in enumerate(flat) if here]


class Verdict(NamedTuple):
    """What is decided of every sample."""

    evidence: Array
    """(*B, C)"""
    spoke: Array
    """(*B)"""
    labels: Array | None
    """(*B); None: the target is something else."""
    counts: Array
    """(*B) the samples that count."""

    @property
    def decided(self) -> Array:
        """(*B) the class, -1 where the record is silent."""
        return classes(self.evidence, self.spoke)

    @property
    def tied(self) -> Array:
        """(*B) where several classes are the best."""
        xp = namespace(self.evidence)
        best = self.evidence == xp.max(self.evidence, axis=-1, keepdims=True)
        return (xp.sum(xp.astype(best, xp.int32), axis=-1) > 1) & self.spoke & self.counts


@dataclass(frozen=True, eq=False)
class Case:
    """A loss, its records by layer, time first and neurons last, and its target."""

    loss: Loss | Total
    pieces: Mapping[str | None, Dense]
    target: Any = None
    class_weight: Any = None

    @property
    def timeless(self) -> bool:
        return self.loss.main.readout.timeless

    @once
    def layer(self) -> str | None:
        """The layer that decides."""
        return layers_of(self.loss.main, self.given({}), several=True)[0]

    @property
    def piece(self) -> Dense:
        """The record that decides."""
        return self.pieces[self.layer]

    def readers(self, layer: str | None) -> list[Loss]:
        """The terms that read a layer."""
        whole = self.given({})
        return [
            term
            for _, term in self.loss.losses
            if layer in layers_of(term, whole, several=term.criterion.targetless)
        ]

    @property
    def layout(self) -> Layout:
        """Which steps are valid, in the words of a call."""
        piece = self.piece
        if self.timeless or piece.valid is None:
            return {}
        if piece.mask is not None:
            return {"valid": piece.mask[..., 0]}
        return {} if piece.lengths is None else {"lengths": piece.lengths[..., 0]}

    @once
    def verdict(self) -> Verdict | None:
        """What is decided; None where the loss decides no class."""
        main = self.loss.main
        pairs = main.criterion.of_sequence is None
        if pairs or main.readout.keeps == "sequence" or not self.loss.of_labels:
            return None
        z, spoke, piece = evidence(main.replace(layers=None), self.of(self.piece), **self.layout)
        labels, counts = None, None
        y = self.target
        fits = is_array(y) and tuple(y.shape) == tuple(z.shape[:-1]) and kind(y) == "integer"
        if fits:
            labels, counts = labelled(main, y, z, piece)
        return Verdict(z, spoke, labels, spoke == spoke if counts is None else counts)

    # Gradients

    @once
    def derived(self) -> "Case | None":
        """The same in a library with derivatives; None where none is installed."""
        to = deriving(self.piece.raw)
        return None if to is None else self._mapped(to)

    @once
    def gradient(self) -> dict[str | None, Array] | None:
        """The gradient of the loss of every sample into every record; None: not known."""
        if self.derived is None:
            return None
        if library(self.derived.piece.raw) == library(self.piece.raw):
            return self.derived.slopes()
        with suppress(Exception):  # a function of the user's own may take NumPy alone
            return self.derived.slopes()
        return None

    def slopes(self, loss: Loss | Total | None = None) -> dict[str | None, Array]:
        """The gradient of every sample's loss, (T, *B, N), of this loss or of another one."""
        found: dict[str | None, Any] = {}
        for layer, piece in self.pieces.items():

            def value(x: Array, layer: str | None = layer) -> Array:
                return self.each(loss, {layer: x})

            g = slope(value, self.of(piece))
            found[layer] = g[None, ...] if self.timeless and g is not None else g
        return found

    def each(
        self, loss: Loss | Total | None = None, changed: Mapping[str | None, Array] | None = None
    ) -> Array:
        """(*B) the loss of every sample, of this loss or of another one, of records changed so."""
        whole = self.loss if loss is None else loss
        options: dict[str, Any] = {**self.layout, "class_axis": -1}
        if self.class_weight is not None and loss is None:
            options["class_weight"] = self.class_weight
        given, batch, total = self.given(changed or {}), len(self.piece.shape) - 2, 0
        for factor, term in whole.losses:
            x = term.replace(reduction=Each())(given, self.target, **options)
            xp, more = namespace(x), x.ndim - batch  # of every class, or of spikes and classes
            x = x if more < 1 else xp.mean(x, axis=-1)
            total = total + factor * (x if more < 2 else xp.mean(x, axis=0))
        return total

    @property
    def weights(self) -> Array | None:
        """The weights of the classes."""
        found = self.class_weight
        found = self.loss.main.class_weight if found is None else found
        return None if found is None else beside(found, self.piece.raw)

    def some(self, mask: Array) -> "Case":
        """The record that decides, of the first samples for which the mask is true."""
        piece, xp = self.piece, namespace(self.piece.raw)
        index = as_index(beside(where(mask)[:SOME], piece.raw))
        batch = len(piece.shape) - 2

        def taken(x: Array, first: int) -> Array:
            flat = xp.reshape(
                x, (*x.shape[:first], math.prod(piece.shape[1:-1]), *x.shape[first + batch :])
            )
            return xp.take(flat, index, axis=first)

        one = piece.replaced(
            source=taken(piece.raw, 1),
            cast=None,
            lengths=None if piece.lengths is None else taken(piece.lengths, 0),
            mask=None if piece.mask is None else taken(piece.mask, 1),
        )
        loss = self.loss.main.replace(layers=None)
        return Case(loss, {None: one}, taken(self.target, 0))

    # Parts

    def of(self, piece: Dense) -> Array:
        """A record as a loss takes it."""
        return piece.raw[0, ...] if self.timeless else piece.raw

    def given(self, changed: Mapping[str | None, Array]) -> Any:
        """The record or the records, some of them others."""
        x = {layer: self.of(piece) for layer, piece in self.pieces.items()} | dict(changed)
        return x.get(None, x)

    def _mapped(self, to: Callable[[Array], Array]) -> "Case":
        """The same with other arrays."""

        def each(x: Any) -> Any:
            return x.map(to) if isinstance(x, Events) else to(x) if is_array(x) else x

        pieces = {
            layer: piece.replaced(
                source=to(piece.raw), cast=None, lengths=each(piece.lengths), mask=each(piece.mask)
            )
            for layer, piece in self.pieces.items()
        }
        return replace(
            self, pieces=pieces, target=each(self.target), class_weight=each(self.class_weight)
        )


def opened(loss: Loss | Total, record: Any, target: Any, options: Mapping[str, Any]) -> Case:
    """A case of what a call takes."""
    layout = {k: v for k, v in options.items() if k not in ("sample_weight", "class_weight")}
    timeless = loss.main.readout.timeless
    records = record if isinstance(record, Mapping) else {None: record}
    pieces = {}
    for layer, x in records.items():
        if isinstance(x, Times):
            fix = "Pass the spikes or membranes that the times are of."
            refuse("record", "a record of steps to diagnose", "times", fix, TypeError)
        x = x.dense() if isinstance(x, Events) else x
        piece = every_step(open_record(x, timeless=timeless, **layout), loss.main.readout)
        pieces[layer] = piece.replaced(source=constant(piece.raw), cast=None)
    return Case(loss, pieces, target, options.get("class_weight"))
