"""The numbers of a record: whether they are numbers, and whether they are spikes."""

import math
from collections.abc import Iterator

from spikeloss._backend import namespace
from spikeloss._piece import Dense

from ._case import Case, number, where
from ._findings import Finding, percent, verb


def not_finite(case: Case) -> Iterator[Finding]:
    """Entries that are nan or infinite."""
    for layer, piece in case.pieces.items():
        places = where(~namespace(piece.x).isfinite(piece.x))
        if not places:
            continue
        step, *sample, neuron = _axes(places[0], piece.shape)
        at = [] if case.timeless else [f"step {step}"]
        at += [f"sample {', '.join(map(str, sample))}"] if sample else []
        found = (
            f"{len(places)} of the {entries_of(piece)} entries of {named(layer)} "
            f"{verb(len(places), 'is', 'are')} nan or infinite, the first at "
            f"{', '.join([*at, f'neuron {neuron}'])}."
        )
        fix = (
            "The network diverged: lower the learning rate, clip its gradients, or bound the slope "
            "of its surrogate."
        )
        yield Finding("not finite", found, fix)


def other_kind(case: Case) -> Iterator[Finding]:
    """Membranes that are read as spikes, or spikes as membranes."""
    for layer, piece in case.pieces.items():
        reads = {loss.reads for loss in case.readers(layer)}
        some, graded = count(piece, zero=True), count(piece)
        if reads == {"spikes"} and 2 * graded > entries_of(piece):
            part = percent(graded / entries_of(piece))
            found = f"{part} of the entries of {named(layer)} are neither 0 nor 1."
            fix = "Pass the spikes of the layer, or take a loss that reads the membrane."
            yield Finding("membrane for spikes", found, fix)
        elif reads == {"membrane"} and some and not graded:
            found = f"every entry of {named(layer)} is 0 or 1, {some} of them 1."
            fix = "Pass the membrane of the layer, or take a loss that reads spikes."
            yield Finding("spikes for membrane", found, fix)


def count(piece: Dense, *, zero: bool = False) -> int:
    """Entries at valid steps that are neither 0 nor 1; with `zero` those that are not 0."""
    found = piece.raw != 0
    found = found if zero else found & (piece.raw != 1)
    return number(found if piece.valid is None else found & piece.valid)


def entries_of(piece: Dense) -> int:
    """Entries at valid steps."""
    if isinstance(piece.end, int):
        return math.prod(piece.shape)
    return int(namespace(piece.end).sum(piece.end)) * piece.neurons


def named(layer: str | None) -> str:
    """The record in words."""
    return "the record" if layer is None else f"the record {layer!r}"


def _axes(place: int, shape: tuple[int, ...]) -> list[int]:
    """The indices of a place among all entries in a row."""
    found = []
    for size in reversed(shape):
        place, index = divmod(place, size)
        found.append(index)
    return found[::-1]
