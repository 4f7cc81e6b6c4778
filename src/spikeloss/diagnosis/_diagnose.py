"""The diagnosis itself: every check, the gravest first."""

import warnings
from collections.abc import Mapping
from typing import Any

from spikeloss import _door
from spikeloss._backend import library
from spikeloss._door import refuse
from spikeloss._plan import WEIGHTS
from spikeloss._shapes import Array, Record
from spikeloss.loss import Loss, Total

from ._activity import saturated, silent
from ._case import Case, opened
from ._decisions import last_step, logits, one_class, ties
from ._findings import Diagnosis, Finding
from ._gradients import gradient_not_finite, loss_not_finite, no_gradient
from ._layout import misread, swapped
from ._values import not_finite, other_kind


def diagnose(
    loss: Loss | Total,
    record: Record | Mapping[str, Record],
    labels: Array | None = None,
    **options: Any,
) -> Diagnosis:
    """Why a network does not learn: what of its record and of the loss stands in the way.

    The record is what the network gives for a batch, spikes or membranes; nothing is trained. Of
    several layers, as a mapping, every one is looked at. What is said, and from where on:

    - time axis: labels as many as the first axis; or, of as many steps as samples, more right
      decisions than chance would give once the axes are exchanged
    - not flattened: several axes of neurons, of which one is read as such
    - not finite: an entry that is nan or infinite
    - loss not finite: the loss of a finite record that is nan or infinite
    - gradient not finite: its derivative
    - membrane for spikes: more than half of what is read as spikes is neither 0 nor 1
    - spikes for membrane: all of what is read as a membrane is 0 or 1
    - silent: no spike at all
    - silent neurons: neurons without a spike for which 3 labels ask each, or half of all
      labels together; of other layers more than half of the neurons
    - silent samples: more than 1 of 10 samples without a spike, not one alone
    - saturated: neurons that always fire, in a batch of several classes; of other layers more
      than half of the neurons
    - one class: 9 of 10 decisions for a class that at most half of the labels are
    - ties: more than 1 of 4 samples with several best classes
    - last step: more than half of the decisions made by the last step, of 4 or more
    - logits too small: logits of a softmax within 0.01 of each other, in all samples
    - logits too large: more than 1 of 10 samples, not one alone, with a wrong class ahead by
      more than 20
    - no gradient: more than 1 of 10 samples, not one alone, decided wrongly without a
      derivative above 1e-7; or a loss that is not 0 and has none anywhere

    Presets and penalties that have a gradient where the loss has none, or asks for spikes at less
    than half of the steps of a silent record, are found by trying them, on 64 samples at most.

    Gradients of NumPy arrays are those that PyTorch or JAX give, where one of them is installed.
    Events and packed spikes are made dense.

    Args:
        loss: the loss, or a sum.
        record, labels, options: as for a call of it.

    Raises:
        ValueError, TypeError: what a call raises, but for axes that can be told.

    >>> import numpy
    >>> from spikeloss.presets import ce_count
    >>> record = numpy.zeros((25, 4, 10))
    >>> record[:, :, 7] = 1
    >>> diagnose(ce_count(), record, numpy.array([7, 1, 4, 1])).names
    ('silent neurons', 'saturated', 'one class', 'logits too large')
    """
    _door.known("a diagnosis", options, (*_door.LAYOUT, *WEIGHTS))
    if not isinstance(loss, (Loss, Total)):
        fix = "Pass one, such as presets.ce_count()."
        refuse("loss", "a loss, or a sum of losses", _door.said(loss), fix, TypeError)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # NumPy's, of overflow
        try:
            value = loss(record, labels, **options)
        except ValueError:
            mended = misread(loss, record, labels, options)
            if mended is None:
                raise
            return _mended(loss, record, labels, options, *mended)
        case = opened(loss, record, labels, options)
        if 0 in case.piece.shape:
            return Diagnosis()
        turned = None if "time_axis" in options else swapped(case)
        if turned is not None:
            return _mended(loss, record, labels, options, turned, {"time_axis": 1})
        return Diagnosis(tuple(_found(case, value)), _left_out(case))


def _mended(
    loss: Loss | Total,
    record: Any,
    labels: Any,
    options: Mapping[str, Any],
    first: Finding,
    axes: Mapping[str, Any],
) -> Diagnosis:
    """The diagnosis of a record that is laid out otherwise, once that is said."""
    try:
        others = diagnose(loss, record, labels, **options, **axes)
    except (TypeError, ValueError):
        return Diagnosis((first,))
    return Diagnosis((first, *others.findings), others.left_out)


def _found(case: Case, value: Any) -> list[Finding]:
    """All findings; where numbers are not finite, no more of them."""
    found = list(not_finite(case)) or list(loss_not_finite(case, value))
    if found:
        return found
    for check in CHECKS:
        found += check(case)
    return found


CHECKS = (
    gradient_not_finite,
    other_kind,
    silent,
    saturated,
    one_class,
    ties,
    last_step,
    logits,
    no_gradient,
)


def _left_out(case: Case) -> tuple[str, ...]:
    """What is not known."""
    if case.gradient is not None:
        return ()
    if case.derived is None:
        return (
            f"gradients, which {library(case.piece.raw)} does not have; install PyTorch or JAX",
        )
    return ("gradients, as the loss does not take arrays of a library that has them",)
