"""What a run reports, from the activity of the trained network on the test samples. NumPy only."""

from typing import Any

import numpy as np

from spikeloss.records import Times

from .activity import OUTPUT, Activity
from .metrics import Decisions, Numbers, decisions, firing_rate, spikes_per_sample
from .objectives import Objective
from .runs import Epoch, Run, Sample


def measured(
    objective: Objective,
    seed: int,
    curve: tuple[Epoch, ...],
    activity: Activity,
    labels: Numbers,
    lengths: Numbers | None,
    classes: int,
) -> Run:
    """Everything that a run reports: an objective, placed on the network, and what that did."""
    record, main = activity.record(objective.reads), objective.main
    found = decisions(main, record, labels, {"lengths": lengths})
    hidden, output = layers_of(activity)
    spiking = hidden if output is None else [*hidden, output]
    seconds = sum(epoch.seconds for epoch in curve)
    return Run(
        objective=objective.spelling,
        seed=seed,
        reads=objective.reads,
        accuracy=_accuracy(curve, found.spoke & found.right),
        abstained=float(1 - found.spoke.mean()),
        firing_rate=_rate([] if output is None else [output], lengths),
        hidden_rate=_rate(hidden, lengths),
        spikes_per_sample=spikes_per_sample(spiking, lengths) if spiking else None,
        decision_step=found.decision_step,
        right_step=found.right_step,
        accuracy_by_step=found.accuracy_by_step,
        confusion=_confusion(labels, found.decided, classes),
        seconds_per_epoch=seconds / max(len(curve), 1),
        objective_share=sum(epoch.objective_seconds for epoch in curve) / (seconds or 1),
        curve=curve,
        sample=_sample(activity, labels, found, lengths, classes),
    )


def _accuracy(curve: tuple[Epoch, ...], right: Numbers) -> float:
    """That of the last epoch; without one, that of the decisions."""
    known = curve[-1].accuracy if curve else None
    return float(right.mean()) if known is None else known


def layers_of(activity: Activity) -> tuple[list[Numbers], Numbers | None]:
    """The spikes of the hidden layers and of the output; None: that has none, or is graded."""
    output = activity.records.get(OUTPUT)
    if isinstance(output, Times):
        output = np.isfinite(output.times)
    if output is not None and not np.all((output == 0) | (output == 1)):
        output = None
    return [activity.records[name] for name in activity.hidden], output


def _rate(layers: list[Numbers], lengths: Numbers | None) -> float | None:
    """Spikes per neuron and valid step, of all neurons alike; None without any."""
    if not layers:
        return None
    neurons = [layer.shape[-1] for layer in layers]
    rates = [firing_rate(layer, lengths) for layer in layers]
    return float(np.average(rates, weights=neurons))


def _confusion(labels: Numbers, decided: Numbers, classes: int) -> Any:
    """Samples by label and decision; the last column is no decision."""
    counts = np.zeros((classes, classes + 1), int)
    np.add.at(counts, (labels, np.where(decided < 0, classes, decided)), 1)
    return tuple(map(tuple, counts.tolist()))


def _sample(
    activity: Activity,
    labels: Numbers,
    found: Decisions,
    lengths: Numbers | None,
    classes: int,
) -> Sample:
    """The first test sample, cut to its valid steps."""
    times = activity.records.get(OUTPUT)
    if isinstance(times, Times):
        return _timed_sample(times.times[0, 0], int(labels[0]), int(found.decided[0]), classes)
    end = len(next(activity.each())) if lengths is None else int(lengths[0])
    hidden, output = layers_of(activity)
    last = hidden[-1][:end, 0] if hidden else np.zeros((end, 0))
    membrane = activity.records.get("membrane")
    read = activity.records.get(OUTPUT, membrane)
    return Sample(
        label=int(labels[0]),
        decision=int(found.decided[0]),
        decision_step=int(found.steps[0]) if found.spoke[0] else -1,
        steps=end,
        hidden_neurons=last.shape[-1],
        hidden=np.argwhere(last).tolist(),
        output=[] if output is None else np.argwhere(output[:end, 0]).tolist(),
        membrane=[] if membrane is None else np.round(membrane[:end, 0].astype(float), 4).tolist(),
        classes=classes,
        neurons=read.shape[-1],  # type: ignore[union-attr]  # an activity has one of both
    )


def _timed_sample(times: Numbers, label: int, decision: int, classes: int) -> Sample:
    """The first test sample of a network that gives times (N,): the steps before them."""
    spikes = [[int(times[n]), int(n)] for n in np.flatnonzero(np.isfinite(times))]
    last = max((step for step, _ in spikes), default=0)
    return Sample(
        label=label,
        decision=decision,
        decision_step=min((step for step, _ in spikes), default=-1),
        steps=last + 1,
        hidden_neurons=0,
        hidden=[],
        output=spikes,
        membrane=[],
        classes=classes,
        neurons=len(times),
    )
