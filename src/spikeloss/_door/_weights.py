"""Checks of weights: of classes, of samples, of neurons. All are finite and at least 0."""

import math
from typing import Any, NoReturn

from spikeloss._backend import (
    adapter,
    checks_values,
    extent,
    is_array,
    library,
    like,
    namespace,
)
from spikeloss._shapes import Array

from ._array import beside_record, real_kind
from ._options import weights_option
from ._words import per_sample, refuse, shape_of, span


def class_weights(weights: Any, x: Array, classes: int) -> Array:
    """Class weights as an array (C,) beside the record; traced ones stay traced."""
    if is_array(weights) and (library(weights) == library(x) or not adapter(weights).yields):
        w = beside_record("class_weight", weights, x)
    else:
        w = like(weights_option("class_weight", weights), x)
    if tuple(w.shape) != (classes,):
        rule = f"{classes} weights, one per class"
        refuse("class_weight", rule, shape_of(w), "Pass one weight per class.")
    return _weights("class_weight", w, x)


def sample_weights(weights: Any, batch: tuple[int, ...], x: Array) -> Array:
    """Sample weights as an array (*B, 1)."""
    w = beside_record("sample_weight", weights, x)
    if tuple(w.shape) != batch:
        fix = "Pass one weight per sample."
        refuse("sample_weight", per_sample(batch, "weight"), shape_of(w), fix)
    return _weights("sample_weight", w, x)[..., None]


def fan_outs(weights: Any, counts: Array) -> Array:
    """The synapses of each neuron as an array (N,), or one number for all."""
    w, neurons = beside_record("fan_out", weights, counts), counts.shape[-1]
    if tuple(w.shape) not in ((), (neurons,)):
        rule = f"a number, or {neurons}, one per neuron"
        refuse("fan_out", rule, shape_of(w), "Pass one number per neuron.")
    return _weights("fan_out", w, counts)


def _weights(argument: str, weights: Array, x: Array) -> Array:
    """Weights in the dtype of a record or a decision, none of them negative, or nan."""
    real_kind(argument, weights)
    xp = namespace(x)
    w = xp.astype(weights, x.dtype, copy=False)
    if not checks_values(w):
        return xp.where((w >= 0) & (w < xp.inf), w, xp.nan)
    if 0 not in w.shape:
        low, high = extent(w)
        if not 0 <= low <= high < math.inf:
            rule, fix = "finite weights of at least 0", f"Choose {argument} >= 0."
            refuse(argument, rule, span(low, high), fix)
    return w


def class_weighted(criterion: Any, target: Any) -> None:
    """A criterion that class weights mean something to, and labels to choose one by."""
    if criterion.of_sequence is not False and not criterion.by_label:
        rule, fix = f"None for {type(criterion).__name__}", "Weigh samples with sample_weight."
        refuse("class_weight", rule, "weights", fix)
    if criterion.by_label and not (criterion.of_labels or target.labelled):
        no_labels()


def no_labels() -> NoReturn:
    """Class weights need class labels."""
    rule, fix = "None for a target without class labels", "Weigh samples with sample_weight."
    refuse("class_weight", rule, "weights", fix)
