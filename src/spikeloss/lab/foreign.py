"""A run of the user's own training, whatever it was written in: records, labels, a loss curve."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikeloss.loss import Loss, Total
from spikeloss.presets import Preset

from .activity import MEMBRANE, OUTPUT, Activity
from .errors import InputError
from .measure import measured
from .metrics import Numbers
from .objectives import Objective, find
from .runs import Epoch, Run


def run_from_records(
    objective: str | Loss | Total,
    labels: Any,
    *,
    spikes: Any = None,
    membrane: Any = None,
    hidden: Any = None,
    lengths: Any = None,
    classes: int | None = None,
    seed: int = 0,
    losses: Sequence[float] = (),
    accuracies: Sequence[float] | None = None,
    seconds: float = 0.0,
    name: str | None = None,
) -> Run:
    """What a trained network did with the test samples, as a run that can be compared.

    Decisions, rates, spikes and accuracy after each step are those of the records; the objective
    says how they decide.

    Args:
        objective: as the command line spells it, or a loss.
        labels: of the test samples, (B,).
        spikes: of the output neurons, (T, B, N).
        membrane: of the output neurons, (T, B, N).
        hidden: spikes of a hidden layer, (T, B, H), or of several by their names.
        lengths: valid steps of each sample, (B,).
        classes: unless it is N, each class is a population of N / classes neurons.
        seed: tells runs of an objective apart.
        losses: of the training, one per epoch.
        accuracies: on the test samples, one per epoch.
        seconds: that the whole training took.
        name: of the objective in reports, unless it is its spelling.

    Raises:
        InputError: for arrays that do not fit together, and where the record that the objective
            reads is missing.

    >>> import numpy
    >>> spikes = numpy.zeros((4, 2, 3))
    >>> spikes[1, 0, 2] = spikes[3, 1, 0] = 1
    >>> run = run_from_records("ce_count", [2, 1], spikes=spikes, losses=[0.9, 0.5])
    >>> run.accuracy, run.spikes_per_sample, run.accuracy_by_step
    (0.5, 1.0, (0.0, 0.5, 0.5, 0.5))
    """
    activity, chosen = _activity(spikes, membrane, hidden), _objective(objective, name)
    record = activity.record(chosen.reads)
    count = record.shape[-1] if classes is None else classes
    right = _integers("labels", labels, record.shape[1], 0, count - 1)
    steps = None if lengths is None else _integers("lengths", lengths, len(right), 1, len(record))
    if count < 1 or record.shape[-1] % count:
        rule = f"a number of classes that divides {record.shape[-1]} neurons"
        raise InputError("classes", rule, count, "Correct it.")
    placed = chosen.placed(activity.hidden, None if count == record.shape[-1] else count)
    curve = _curve(losses, accuracies, seconds)
    run = measured(placed, seed, curve, activity, right, steps, count)
    decided = placed.main.predict(record, lengths=steps)
    return replace(run, accuracy=float(np.mean(decided == right)))


def _objective(objective: str | Loss | Total, name: str | None) -> Objective:
    if isinstance(objective, str):
        found = find(objective)
        return found if name is None else replace(found, spelling=name)
    spelling = name or repr(objective)
    return Objective(spelling, Preset(spelling, lambda: objective, "", ""), objective)


def _activity(spikes: Any, membrane: Any, hidden: Any) -> Activity:
    """The records by name, all of the same steps and samples."""
    layers = hidden if isinstance(hidden, Mapping) else {"hidden": hidden}
    given = {OUTPUT: spikes, MEMBRANE: membrane, **layers}
    records = {name: _numpy(x) for name, x in given.items() if x is not None}
    first = next(iter(records.values()), np.zeros(0))
    for name, x in records.items():
        known = name in (OUTPUT, MEMBRANE)
        like = (*first.shape[: 3 if known else 2], *x.shape[3 if known else 2 :])
        if x.ndim != 3 or x.size == 0 or x.shape != like:
            rule = "a record (T, B, N) of the steps and samples of the others"
            raise InputError(name, rule, f"shape {x.shape}", "Put time first.")
    return Activity.of(records)


def _numpy(x: Any) -> Numbers:
    """An array of any library in NumPy."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x)


def _integers(name: str, given: Any, samples: int, low: int, high: int) -> Numbers:
    values = _numpy(given)
    if values.shape != (samples,) or values.dtype.kind not in "iu":
        got = f"{values.dtype} of shape {values.shape}"
        raise InputError(name, f"an integer for each of {samples} samples", got, "Correct it.")
    if values.min() < low or values.max() > high:
        got = f"{values.min()} to {values.max()}"
        raise InputError(name, f"values from {low} to {high}", got, "Correct it, or classes.")
    return values


def _curve(
    losses: Sequence[float], accuracies: Sequence[float] | None, seconds: float
) -> tuple[Epoch, ...]:
    """The epochs; each took its share of the time."""
    shares = [None] * len(losses) if accuracies is None else [*accuracies]
    if len(shares) != len(losses):
        got = f"{len(shares)} beside {len(losses)} losses"
        raise InputError("accuracies", "one per epoch, as losses", got, "Give both for each.")
    each = seconds / max(len(losses), 1)
    return tuple(
        Epoch(float(loss), None if share is None else float(share), each, 0.0)
        for loss, share in zip(losses, shares, strict=True)
    )
