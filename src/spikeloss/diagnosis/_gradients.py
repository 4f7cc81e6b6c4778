"""Where the loss sends a gradient, where it sends none, and which other one would."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from spikeloss import penalties, presets
from spikeloss._backend import arange, namespace
from spikeloss._shapes import Array
from spikeloss.loss import Loss
from spikeloss.presets import Preset
from spikeloss.readouts import Population

from ._case import Case, number
from ._findings import Finding, many, percent, share
from ._values import entries_of

FAINT = 1e-7
"""Derivatives of the loss of a sample up to which there is none."""
SOLVED = 1e-6
"""The loss of a sample up to which none is needed."""
OBJECTIVES, PENALTIES = 3, 2
"""How many are named at most."""


def loss_not_finite(case: Case, value: Any) -> Iterator[Finding]:
    """A loss that is nan or infinite, of a record that is not."""
    xp = namespace(value)
    if not number(~xp.isfinite(value)):
        return
    each = case.each()
    bad, samples = number(~namespace(each).isfinite(each)), math.prod(each.shape)
    if bad:
        found = f"the record is finite, but the loss of {share(bad, samples, 'sample')} is not."
        fix = "Keep its numbers within range: another time constant, scale or precision."
    else:
        found = "the loss of every sample is finite, but their mean is not: no sample counts."
        fix = "Pass weights that are not all 0, and labels that are not all ignored."
    yield Finding("loss not finite", found, fix)


def gradient_not_finite(case: Case) -> Iterator[Finding]:
    """Samples of which the derivative is nan or infinite."""
    gradient = case.gradient
    if gradient is None:
        return
    bad = [~namespace(g).isfinite(_largest(g)) for g in gradient.values()]
    most = max(map(number, bad))
    if most:
        samples = share(most, math.prod(bad[0].shape), "sample")
        found = f"in {samples} the derivative of the loss is nan or infinite, its value is not."
        fix = "Keep its numbers within range: another time constant, scale or precision."
        yield Finding("gradient not finite", found, fix)


def no_gradient(case: Case) -> Iterator[Finding]:
    """Samples that the loss does not teach, though they are wrong."""
    gradient, derived = case.gradient, case.derived
    if gradient is None or derived is None:
        return
    deaf = None
    for g in gradient.values():
        here = _largest(g) <= FAINT
        deaf = here if deaf is None else deaf & here
    wrong, verdict = _wrong(derived), derived.verdict
    if wrong is None or verdict is None:
        yield from _nowhere(derived, deaf)
        return
    untaught = deaf & wrong
    few, samples = number(untaught), number(verdict.counts)
    if not many(few, samples):
        return
    found = (
        f"{share(few, samples, 'sample')} are decided wrongly, and the loss has no derivative "
        f"above {FAINT:g} at any of their steps and neurons."
    )
    yield Finding("no gradient", found, instead(derived, untaught))


def _nowhere(case: Case, deaf: Array) -> Iterator[Finding]:
    """A loss without a derivative anywhere, that is not 0."""
    each = case.each()
    value = float(namespace(each).mean(each))
    if number(deaf) < math.prod(deaf.shape) or abs(value) <= SOLVED:
        return
    found = f"the loss is {value:.4g}, and has no derivative above {FAINT:g} anywhere."
    fix = "Change its options so that the record is within the range in which it has a slope."
    yield Finding("no gradient", found, fix)


def _wrong(case: Case) -> Array | None:
    """Samples that count and are decided wrongly, (*B); None where labels do not tell."""
    verdict, weight = case.verdict, case.weights
    if verdict is None or verdict.labels is None:
        return None
    wrong = (verdict.decided != verdict.labels) & verdict.counts
    if weight is None:
        return wrong
    xp = namespace(wrong)
    same = arange(weight.shape[0], wrong) == verdict.labels[..., None]
    return wrong & xp.any(same & (weight != 0), axis=-1)


def asked(case: Case) -> float | None:
    """The share of the steps at which one more spike would lower the loss; None: not known."""
    gradient, derived = case.gradient, case.derived
    if gradient is None or derived is None:
        return None
    return _share(derived, gradient[case.layer] < -FAINT)


def instead(case: Case, samples: Array | None = None) -> str:
    """Which objectives and penalties send a gradient into some samples, tried on them."""
    derived = case.derived
    if derived is None or derived.verdict is None or derived.verdict.labels is None:
        return ""
    some = derived.some(derived.verdict.counts if samples is None else samples)
    silent = not number(some.piece.x != 0)
    losses = _senders(some, presets.catalogue(), silent, OBJECTIVES)
    others = _senders(some, penalties.catalogue(), silent, PENALTIES)
    what = "ask for spikes" if silent else "have a gradient"
    tried = []
    if losses:
        tried.append(f"On these samples {_listed(losses)} {what}, at so many of the steps.")
    if others:
        who = "So do the" if losses else "On these samples a gradient is added by the"
        tried.append(f"{who} penalties {_listed(others)}, added to the loss.")
    return " ".join(tried) or "No preset and no penalty has one here: change the record itself."


def _listed(found: list[tuple[float, str]]) -> str:
    """The names with their shares."""
    *others, last = [f"{name} ({percent(reach)})" for reach, name in found]
    return f"{', '.join(others)} and {last}" if others else last


def _senders(
    case: Case, known: Mapping[str, Preset], silent: bool, most: int
) -> list[tuple[float, str]]:
    """Of those that have a gradient, how much of the record it reaches, the most first.

    Where nothing fires, only a gradient that asks for spikes counts.
    """
    found = []
    for name, preset in known.items():
        loss = _fitted(preset.build(), case)
        if loss is None:
            continue
        try:
            g = case.slopes(loss)[None]
        except (TypeError, ValueError):  # it is not for such a record
            continue
        sent = g < -FAINT if silent else namespace(g).abs(g) > FAINT
        if reach := _share(case, sent):
            found.append((reach, name))
        if sum(reach == 1 for reach, _ in found) == most:
            break
    return sorted(found, key=lambda each: -each[0])[:most]


def _fitted(loss: Any, case: Case) -> Any:
    """An objective or a penalty for such records and labels; None where it is not."""
    main = loss.main
    if main.readout.timeless != case.timeless or main.reads not in ("either", _kind(case)):
        return None
    if main.criterion.targetless:
        return loss
    if not loss.of_labels or main.readout.keeps == "sequence":
        return None
    classes = case.piece.neurons if case.verdict is None else case.verdict.evidence.shape[-1]
    if classes == case.piece.neurons:
        return loss
    terms = [factor * _grouped(term, classes) for factor, term in loss.losses]
    return sum(terms[1:], terms[0])


def _grouped(term: Loss, classes: int) -> Loss:
    """A term that reads populations of neurons."""
    return term.replace(readout=Population(term.readout, classes))


def _kind(case: Case) -> str:
    """What the record holds, by what the loss says or else by its numbers."""
    reads = case.loss.main.reads
    if reads != "either":
        return reads
    x = case.piece.x
    return "membrane" if number((x != 0) & (x != 1)) else "spikes"


def _share(case: Case, mask: Array) -> float:
    """The share of the valid steps at which the mask is true of a neuron."""
    piece, xp = case.piece, namespace(mask)
    some = xp.any(mask if piece.valid is None else mask & piece.valid, axis=-1)
    return number(some) * piece.neurons / max(entries_of(piece), 1)


def _largest(g: Array) -> Array:
    """The largest derivative of every sample, (*B)."""
    xp = namespace(g)
    return xp.max(xp.max(xp.abs(g), axis=0), axis=-1)
