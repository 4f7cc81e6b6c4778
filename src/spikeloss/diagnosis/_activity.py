"""Who fires: layers, neurons and samples that are silent, neurons that always fire."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from spikeloss._backend import count_true, namespace

from ._case import Case, number, where
from ._findings import Finding, few, many, percent, several, share, verb
from ._gradients import asked, instead
from ._values import count, entries_of, named

WAKE = (
    "Raise the weights or the input, lower the threshold, or add penalties.count_silence() of this "
    "layer."
)


class Activity(NamedTuple):
    """How often the neurons of a layer fire, in all samples of the batch."""

    samples: int
    neurons: int
    silent: list[int]
    """Neurons that never fire."""
    saturated: list[int]
    """Neurons that fire at every valid step."""
    quiet: int
    """Samples in which nothing fires."""
    wanted: dict[int, int]
    """Of the layer that decides, with a neuron for each class: how many labels ask for which."""
    decides: bool
    """Whether that is so."""


def _activities(case: Case) -> Iterator[tuple[str | None, Activity]]:
    """The activity of every layer of spikes."""
    for layer, piece in case.pieces.items():
        graded, entries = count(piece), entries_of(piece)
        spiking = any(loss.reads == "spikes" for loss in case.readers(layer))
        if case.timeless or (graded and not spiking) or 2 * graded > entries:
            continue
        xp = namespace(piece.x)
        counts = xp.reshape(count_true(piece.x != 0), (-1, piece.neurons))
        steps = piece.end if isinstance(piece.end, int) else xp.reshape(piece.end, (-1, 1))
        decides = layer == case.layer and _a_neuron_each(case)
        found = Activity(
            counts.shape[0],
            piece.neurons,
            silent=where(xp.all(counts == 0, axis=0)),
            saturated=where(xp.all(counts == steps, axis=0)),
            quiet=number(xp.all(counts == 0, axis=-1)),
            wanted=_wanted(case) if decides else {},
            decides=decides,
        )
        yield layer, found


def _a_neuron_each(case: Case) -> bool:
    verdict = case.verdict
    return verdict is not None and verdict.evidence.shape[-1] == case.piece.neurons


def _wanted(case: Case) -> dict[int, int]:
    """How many samples there are of every class that there is."""
    verdict = case.verdict
    if verdict is None or verdict.labels is None:
        return {}
    of = [number((verdict.labels == c) & verdict.counts) for c in range(case.piece.neurons)]
    return {c: samples for c, samples in enumerate(of) if samples}


def silent(case: Case) -> Iterator[Finding]:
    """Layers, neurons and samples without a spike."""
    for layer, of in _activities(case):
        if of.quiet == of.samples:
            yield _all_silent(case, layer)
            continue
        dead = _missed(of) if of.decides else of.silent
        neurons = f"{share(len(dead), of.neurons, 'neuron')} of {named(layer)}"
        fire = verb(len(dead), "fires", "fire")
        if of.decides and dead:
            labels = several(sum(of.wanted[c] for c in dead), "sample")
            found = f"{neurons} {fire} in no sample, though the labels of {labels} ask for them"
            yield Finding("silent neurons", f"{found}: {few(dead)}.", WAKE)
        elif _beside(case, layer) and 2 * len(dead) > of.neurons:
            yield Finding("silent neurons", f"{neurons} {fire} in no sample.", WAKE)
        if many(of.quiet, of.samples):
            found = f"nothing fires in {share(of.quiet, of.samples, 'sample')} of {named(layer)}."
            yield Finding("silent samples", found, WAKE)


def _beside(case: Case, layer: str | None) -> bool:
    """Whether it is no output, of which neurons rest whose classes are not in the batch."""
    return layer != case.layer or case.loss.main.criterion.targetless


def _missed(of: Activity) -> list[int]:
    """Silent neurons that labels ask for: 3 each, or all of them half of all labels."""
    dead = [c for c in of.silent if c in of.wanted]
    if 2 * sum(of.wanted[c] for c in dead) > of.samples:
        return dead
    return [c for c in dead if of.wanted[c] >= 3]


def _all_silent(case: Case, layer: str | None) -> Finding:
    steps, *batch, neurons = case.pieces[layer].shape
    counts = [(steps, "step"), (math.prod(batch), "sample"), (neurons, "neuron")]
    size = ", ".join(several(number, noun) for number, noun in counts)
    if {loss.reads for loss in case.readers(layer)} == {"membrane"}:
        fix = "Look for what does not reach the layer: the input, the weights, what is recorded."
        return Finding("silent", f"{named(layer)} is 0 everywhere: {size}.", fix)
    found, fix = f"no neuron of {named(layer)} fires: {size}.", WAKE
    reach = asked(case) if layer == case.layer else None
    if reach is not None:
        found += f" The loss asks for spikes, by its gradient, at {percent(reach)} of the steps."
        if 0 < reach < 0.5:
            fix += f" {instead(case)}"
    return Finding("silent", found, fix)


def saturated(case: Case) -> Iterator[Finding]:
    """Neurons that fire at every step of every sample, which says nothing."""
    for layer, of in _activities(case):
        full = len(of.saturated)
        if not full or case.pieces[layer].shape[0] < 2:
            continue
        if 2 * full <= of.neurons and not len(of.wanted) > 1:
            continue  # in a hidden layer, or in a batch of one class, some may
        neurons = f"{share(full, of.neurons, 'neuron')} of {named(layer)}"
        fire = verb(full, "fires", "fire")
        found = f"{neurons} {fire} at every step of every sample: {few(of.saturated)}."
        fix = (
            "Lower the weights, raise the threshold, or add penalties.rate_bounds() of this layer."
        )
        yield Finding("saturated", found, fix)
