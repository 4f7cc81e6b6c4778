"""Records that are laid out otherwise than they are read."""

from collections.abc import Mapping
from typing import Any

from spikeloss._backend import constant, is_array, namespace
from spikeloss.loss import Loss, Total

from ._case import Case, number
from ._findings import Finding, several

DEVIATIONS = 3.5
"""Standard deviations by which more decisions are right than chance would make them."""


def misread(
    loss: Loss | Total, record: Any, target: Any, options: Mapping[str, Any]
) -> tuple[Finding, dict[str, Any]] | None:
    """What is wrong with the axes of a record that was refused, and the options that mend it."""
    told = {"time_axis", "class_axis"} & options.keys()
    if not is_array(record) or loss.main.readout.timeless or told:
        return None
    shape = tuple(record.shape)
    if len(shape) > 3 and loss.main.criterion.targetless:
        return _unflattened_penalty(loss, record, options)
    if not is_array(target) or target.ndim != 1 or len(shape) < 3:
        return None
    first = shape[0] == target.shape[0] != shape[1]
    if not first and (len(shape) == 3 or shape[1] != target.shape[0]):
        return None
    return _samples_first(shape) if len(shape) == 3 else _unflattened(shape, first)


def _samples_first(shape: tuple[int, ...]) -> tuple[Finding, dict[str, Any]]:
    steps, samples = several(shape[0], "step"), several(shape[1], "sample")
    found = (
        f"the record {shape} is read as {steps} of {samples}, but there are "
        f"{several(shape[0], 'label')}: its first axis is that of the samples."
    )
    return Finding("time axis", found, "Pass time_axis=1."), {"time_axis": 1}


def _unflattened(shape: tuple[int, ...], first: bool) -> tuple[Finding, dict[str, Any]]:
    neurons = tuple(range(2, len(shape)))
    mended: dict[str, Any] = {"class_axis": neurons} | ({"time_axis": 1} if first else {})
    labels = several(shape[0 if first else 1], "label")
    found = (
        f"the record {shape} has {len(shape)} axes, of which only the last is read as neurons, but "
        f"there are {labels}: those after the second are neurons too."
    )
    fix = f"Pass {' and '.join(f'{name}={value}' for name, value in mended.items())}."
    return Finding("not flattened", found, fix), mended


def _unflattened_penalty(
    loss: Loss | Total, record: Any, options: Mapping[str, Any]
) -> tuple[Finding, dict[str, Any]]:
    """Both ways to read it, as no label tells which is meant."""
    shape = tuple(record.shape)
    neurons = tuple(range(2, len(shape)))
    last, all_of_them = (
        float(loss(constant(record), class_axis=axis, **options)) for axis in (-1, neurons)
    )
    found = (
        f"the record {shape} has {len(shape)} axes, and no label tells which are neurons: the loss "
        f"is {last:g} if only the last is, {all_of_them:g} if all after the second are."
    )
    fix = f"Pass class_axis={neurons} for the layer of a convolution, as is assumed from here on."
    return Finding("not flattened", found, fix), {"class_axis": neurons}


def swapped(case: Case) -> Finding | None:
    """As many steps as samples, and decisions that are right the other way round."""
    verdict, piece = case.verdict, case.piece
    steps, *batch = piece.shape[:-1]
    told = case.timeless or piece.valid is not None or batch != [steps]
    if told or verdict is None or verdict.labels is None:
        return None
    turned = piece.replaced(source=namespace(piece.raw).moveaxis(piece.raw, 0, 1))
    other = Case(case.loss.main.replace(layers=None), {None: turned}, case.target).verdict
    if other is None:
        return None
    right, now = (
        number((each.decided == verdict.labels) & verdict.counts) for each in (other, verdict)
    )
    chance = (right + now) / (2 * steps)
    if right - now <= DEVIATIONS * (2 * steps * chance * (1 - chance)) ** 0.5:
        return None
    found = (
        f"of {steps} samples of {steps} steps {now} are decided rightly, but {right} once the "
        "first two axes are exchanged."
    )
    return Finding("time axis", found, "Pass time_axis=1.")
