"""The sheet of an objective on a record of the user's: what its first samples say, and all."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from spikeloss.lab.errors import InputError
from spikeloss.lab.objectives import several
from spikeloss.loss import Loss, Total
from spikeloss.records import Events

from .examples import Floats
from .moves import Curve, curves
from .sheet import Sheet
from .slopes import LAYER, LEAST, Question, partial_of, slope
from .words import number, percent

MOST = 6
"""Samples that are shown unless some are named."""


def of_record(
    name: str,
    loss: Loss | Total,
    record: Any,
    target: Any,
    lengths: Any,
    valid: Any,
    samples: Sequence[int] | None,
) -> Sheet:
    """The sheet; see `atlas`."""
    layer, records = _layers(loss, record)
    x, timeless = records.pop(layer), loss.main.readout.timeless
    _check(x, timeless)
    target = None if target is None else _plain(target)
    steps = {"lengths": lengths, "valid": valid}
    layout = {key: _plain(each) for key, each in steps.items() if each is not None}
    told, there = _facts(loss, layer, x, records, target, layout), _there(x, layout, timeless)
    views, rights = [], []
    found: list[Curve] = []
    kind = "logits" if timeless else _kind(loss, x)
    for sample in chosen_of(samples, there.shape[1]):
        asked, own = _question(loss, layer, x, records, target, there, sample)
        views.append(asked.view(f"sample {sample}", own))
        rights.append(_right(loss, asked.target, own))
        found = found or curves(asked, own, kind, _moving(own, rights[0]))
    return Sheet(name, kind, tuple(views), tuple(found), told, tuple(rights))


def _check(x: Floats, timeless: bool) -> None:
    """Refuse what cannot be drawn."""
    if x.ndim != 3 - timeless:
        fix = "Reorder or flatten its axes."
        rule = "axes (samples, classes)" if timeless else "axes (steps, samples, neurons)"
        raise InputError("record", rule, f"shape {x.shape}", fix)
    if not np.isfinite(x).all():
        fix = "Look where the network first gives others."
        raise InputError("record", "finite numbers", "others", fix)


def _plain(x: Any, dtype: type | None = None) -> Any:
    """An array of any library as one of NumPy."""
    if isinstance(x, Events):
        x = x.dense()
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x, dtype)


def _layers(loss: Loss | Total, record: Any) -> tuple[str | None, dict[str | None, Floats]]:
    """The name of the record in question, and all of them by name.

    Where a sum reads one layer, an array is that.
    """
    names = {each for _, term in loss.losses for each in several(term.layers or ())}
    if not isinstance(record, Mapping):
        if len(names) > 1:
            rule, got = f"a mapping with the layers {', '.join(sorted(names))}", "one record"
            raise InputError("record", rule, got, "Pass {name: record}.")
        name = next(iter(names), None)
        return name, {name: _plain(record, float)}
    first = several(loss.main.layers or ()) or tuple(record)
    kept = {name: _plain(x, float) for name, x in record.items() if not names or name in names}
    if first[0] not in kept:
        rule, got = f"a record {first[0]!r}", ", ".join(map(str, record)) or "none"
        raise InputError("record", rule, got, "Add it to the mapping.")
    return first[0], kept


def _kind(loss: Loss | Total, x: Floats) -> str:
    """Spikes where all is 0 or 1, unless the loss is for membranes."""
    ones = bool(np.all((x == 0) | (x == 1)))
    return "spikes" if ones and loss.main.reads != "membrane" else "membrane"


def _there(x: Floats, layout: Mapping[str, Any], timeless: bool) -> Any:
    """(T, B) whether a step exists."""
    shape = (1, len(x)) if timeless else x.shape[:2]
    if "lengths" in layout:
        return np.arange(shape[0])[:, None] < layout["lengths"]
    return layout.get("valid", np.ones(shape, bool))


def chosen_of(samples: Sequence[int] | None, batch: int) -> list[int]:
    """The samples that are shown of a batch."""
    if samples is None:
        return list(range(min(MOST, batch)))
    for sample in samples:
        if not 0 <= sample < batch:
            rule, fix = f"samples from 0 to {batch - 1}", "Name others."
            raise InputError("sample", rule, sample, fix)
    return list(samples)


def _question(
    loss: Loss | Total,
    layer: Any,
    x: Floats,
    records: Mapping[Any, Floats],
    target: Any,
    there: Any,
    sample: int,
) -> tuple[Question, Floats]:
    """The loss asked about a sample, and the sample; steps that do not exist are left out."""
    if loss.main.readout.timeless:
        own = x[sample : sample + 1]
        return Question(loss, target[sample : sample + 1], own.shape), own
    stages = [stage for _, each in loss.losses for stage in (each.readout, each.criterion)]
    order, steps, company = [sample], there[:, sample], None
    if any(stage.couples for stage in stages):
        if not there.all():
            rule, fix = "samples of one length, as they are compared", "Pass a batch of these."
            raise InputError("lengths", rule, "several", fix)
        order += [each for each in range(x.shape[1]) if each != sample]
        company = x[:, order[1:]]
    stepwise = target is not None and target.ndim > 1 and target.shape[:2] == x.shape[:2]
    if target is not None:
        target = target[steps][:, order] if stepwise else target[order]
    beside = {name: each[steps][:, [sample]] for name, each in records.items()}
    own = x[steps, sample]
    return Question(loss, target, own.shape, layer, beside, company), own


def _right(loss: Loss | Total, target: Any, own: Floats) -> int | None:
    """The neuron of the label, where there is one label."""
    labels = target is not None and target.ndim == 1 and np.issubdtype(target.dtype, np.integer)
    if not labels or not loss.of_labels or not 0 <= target[0] < own.shape[1]:
        return None
    return int(target[0])


def _moving(own: Floats, right: int | None) -> dict[str, int]:
    """The neurons that are moved: the right one and the most active other one."""
    busy = np.argsort(-np.abs(own).sum(axis=0), kind="stable").tolist()
    others = [neuron for neuron in busy if neuron != right]
    if right is None:
        return {f"neuron {neuron}": neuron for neuron in others[:2]}
    return {"the right neuron": right} | {f"neuron {neuron}": neuron for neuron in others[:1]}


def _facts(
    loss: Loss | Total,
    layer: Any,
    x: Floats,
    records: Mapping[Any, Floats],
    target: Any,
    layout: Mapping[str, Any],
) -> dict[str, str]:
    """What is true of all samples."""

    def asked(x: Any, /, target: Any, **given: Any) -> Any:
        own = {key: given.pop(key) for key in layout}
        return partial_of(partial(loss, **own), layer)(x, target, **given)

    known = {"target": target, **layout, **{LAYER + name: each for name, each in records.items()}}
    value, gradient = slope(asked, x, known)
    timeless = loss.main.readout.timeless
    there = _there(x, layout, timeless)
    cells = np.abs(gradient[None] if timeless else gradient) >= LEAST / x.shape[not timeless]
    cells &= there[..., None]
    every = int(there.sum()) * x.shape[-1]
    without = int(np.sum(~cells.any(axis=(0, 2))))
    return {
        "loss": number(float(value)),
        "gradient": f"{cells.sum()} of {every} steps ({percent(cells.sum() / every)})",
        "samples without gradient": f"{without} of {there.shape[1]}",
    }
