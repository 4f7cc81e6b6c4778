"""What the record decides: always the same, nothing clear, too late, or beyond all measure."""

from collections.abc import Iterator

from spikeloss._backend import arange, namespace
from spikeloss._shapes import Array
from spikeloss.criteria import CrossEntropy, Focal
from spikeloss.metrics._anytime import course

from ._case import Case, number
from ._findings import Finding, many, share

STEEP, FLAT = 20.0, 0.01
"""Differences of logits: above, where the softmax is sure; below, where it is uniform."""


def one_class(case: Case) -> Iterator[Finding]:
    """Nearly all samples decided for one class that few of them have."""
    verdict = case.verdict
    if verdict is None or verdict.labels is None:
        return
    clear = verdict.spoke & verdict.counts & ~verdict.tied
    samples = number(clear)
    if samples < 4:
        return
    for c in range(verdict.evidence.shape[-1]):
        won = number(clear & (verdict.decided == c))
        asked = number(clear & (verdict.labels == c))
        if 10 * won >= 9 * samples and 2 * asked <= samples:
            found = (
                f"{share(won, samples, 'sample')} are decided for class {c}, which is the label of "
                f"{asked or 'none'}."
            )
            fix = (
                "Look for a bias that does not depend on the input: initial weights and biases, "
                "a state that is not reset between batches, labels that are not shuffled; "
                "class_weight where classes are rare."
            )
            yield Finding("one class", found, fix)


def ties(case: Case) -> Iterator[Finding]:
    """Samples of which several classes are the best."""
    verdict = case.verdict
    if verdict is None or verdict.evidence.shape[-1] < 2:
        return
    samples, tied = number(verdict.spoke & verdict.counts), number(verdict.tied)
    if 4 * tied > samples:
        found = (
            f"{share(tied, samples, 'sample')} that are not silent have several best classes, of "
            "which the lowest is taken."
        )
        fix = (
            "Let the record tell classes apart: more steps, more neurons for each class "
            "(readouts.Population), or a loss that reads the membrane."
        )
        yield Finding("ties", found, fix)


def last_step(case: Case) -> Iterator[Finding]:
    """Decisions that the last step makes."""
    verdict, main, piece = case.verdict, case.loss.main, case.piece
    if verdict is None or case.timeless or main.readout.couples or piece.shape[0] < 4:
        return
    try:
        steps, decided = course(main.replace(layers=None), piece.raw, case.layout).latencies()
    except TypeError:  # a readout of the user's own may need the whole record
        return
    end = piece.end if isinstance(piece.end, int) else piece.end[..., 0]
    spoke = (decided >= 0) & verdict.counts & ~verdict.tied
    late, samples = number((steps >= end - 1) & spoke), number(spoke)
    if 2 * late > samples:
        found = f"{share(late, samples, 'sample')} are decided by their last step alone."
        fix = (
            "Simulate more steps, or raise the input: what comes later is never seen. A loss of "
            "every step, such as presets.tet() or ce_rate(), asks for decisions earlier."
        )
        yield Finding("last step", found, fix)


def logits(case: Case) -> Iterator[Finding]:
    """A softmax that is sure of the wrong class, or that cannot tell any apart."""
    verdict, main = case.verdict, case.loss.main
    if verdict is None or not isinstance(main.criterion, (CrossEntropy, Focal)):
        return
    if main.readout.keeps not in (None, "time") or not number(verdict.spoke):
        return
    z = main.readout(case.of(case.piece), **case.layout)
    xp = namespace(z)
    widest = float(xp.max(xp.max(z, axis=-1) - xp.min(z, axis=-1)))
    if 0 < widest < FLAT:
        found = (
            f"the logits of a sample differ by {widest:.2g} at most: the softmax is uniform, "
            "whatever the record says."
        )
        fix = (
            "Enlarge them: readouts.Temperature with a scale below 1, or a sum in place of a mean."
        )
        yield Finding("logits too small", found, fix)
    if verdict.labels is None:
        return
    ahead = _ahead(z, verdict.labels)
    if main.readout.keeps == "time":
        steps = ahead.shape[0] if isinstance(case.piece.steps, int) else case.piece.steps[..., 0]
        ahead = xp.sum(ahead, axis=0) / steps
    far, samples = number((ahead > STEEP) & verdict.counts), number(verdict.counts)
    if many(far, samples):
        most = f"{STEEP:g}, up to {float(xp.max(ahead)):.3g}"
        found = (
            f"in {share(far, samples, 'sample')} a wrong class is ahead of the right one by more "
            f"than {most}: the softmax is sure of it, and the loss as large."
        )
        fix = (
            "Make them smaller: a mean in place of a sum, readouts.Temperature with a scale above "
            "1, or bounds of the membrane, penalties.membrane_bounds()."
        )
        yield Finding("logits too large", found, fix)


def _ahead(z: Array, labels: Array) -> Array:
    """max_c z_c - z_y."""
    xp = namespace(z)
    right = xp.where(arange(z.shape[-1], z) == labels[..., None], z, -xp.inf)
    ahead = xp.max(z, axis=-1) - xp.max(right, axis=-1)
    return xp.where(xp.isfinite(ahead), ahead, 0)
