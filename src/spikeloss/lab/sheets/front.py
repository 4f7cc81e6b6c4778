"""The atlas as a function: the sheet of an objective, on examples or on a record given."""

from collections.abc import Sequence
from typing import Any

from spikeloss.lab.objectives import find
from spikeloss.loss import Loss, Total

from .given import of_record
from .sheet import Sheet
from .shown import of_examples


def atlas(
    objective: str | Loss | Total,
    record: Any = None,
    target: Any = None,
    *,
    lengths: Any = None,
    valid: Any = None,
    samples: Sequence[int] | None = None,
) -> Sheet:
    """What an objective rewards, what it ignores, and where its gradient goes, to be looked at.

        spikeloss.lab.atlas("mse_count(on=0.8)")              # on the records of the atlas
        spikeloss.lab.atlas(loss, spikes, labels)              # on yours: their first samples

    Gradients are those of PyTorch or, where it is not installed, of JAX, in float64.

    Args:
        objective: as the command line spells it, or a loss.
        record: (T, B, N), (B, C) without time, or a mapping of layers to records; None: examples,
            of 25 steps and 3 neurons.
        target: what the objective takes for the record.
        lengths: (B) valid steps of each sample; or
        valid: (T, B) whether a step of a sample exists.
        samples: which of the record's to show; None: the first six.

    Raises:
        InputError: for an objective that is not known or does not fit the record, and without
            PyTorch and JAX.
    """
    name, loss = _named(objective)
    if record is None:
        return of_examples(name, loss)
    return of_record(name, loss, record, target, lengths, valid, samples)


def _named(objective: str | Loss | Total) -> tuple[str, Loss | Total]:
    if not isinstance(objective, str):
        return repr(objective) if isinstance(objective, Loss) else str(objective), objective
    found = find(objective)
    return found.spelling, found.placed((), None).loss
