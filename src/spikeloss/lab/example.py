"""A few lines that call an objective, to copy: they run as they stand, with NumPy alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from spikeloss import penalties
from spikeloss.criteria import BinaryCrossEntropy, Level, PoissonNLL
from spikeloss.loss import Loss
from spikeloss.presets import Preset, catalogue

from .objectives import Objective

Parts = Sequence[tuple[str | None, Preset, Mapping[str, Any]]]
"""Every term: its factor, its preset, and the options that are given."""

EXAMPLE = """\
import numpy as np
import spikeloss as sl
{before}
rng = np.random.default_rng(0)
{setup}

loss = {loss}
print(loss({arguments}))     # the same call for torch tensors and JAX arrays"""
PREDICT = "\nprint(loss.predict({record}))"
FOUND = "from spikeloss.lab.objectives import find\n"
RECORDS = {
    "spikes": "spikes = (rng.random((25, 4, 3)) < 0.2).astype(np.float32)  # (T, B, N)",
    "membrane": "membrane = rng.normal(size=(25, 4, 3))  # (T, B, N)",
    "logits": "logits = rng.normal(size=(4, 3))  # (B, C)",
}
TARGETS = {
    "labels": "labels = np.array([2, 0, 1, 1])",
    "teacher": "teacher = rng.normal(size=(4, 3))  # (B, C)",
    "wanted": "wanted = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0], [1, 0, 0]])  # (B, N)",
    "train": "train = (rng.random((25, 4, 3)) < 0.2).astype(np.float32)  # (T, B, N)",
    "sequences": "sequences = np.array([[1, 2], [2, -1], [1, 1], [2, 1]])  # (B, L)",
}


def example(objective: Objective, parts: Parts) -> str:
    """The lines for an objective of these terms.

    A sum that reads spikes and membrane, or layers by name, is given records by name.
    """
    main = objective.loss.main
    kinds = {_kind(preset) for _, preset, _ in parts}
    named = len(kinds) > 1 or any("layers" in given for *_, given in parts)
    records, record = [objective.reads], objective.reads
    if main.readout.timeless:
        records, record = ["logits"], "logits"
    elif named:
        layers = {
            name: _kind(preset) for _, preset, given in parts for name in _names(preset, given)
        }
        records = sorted(set(layers.values()))
        record = f"{{{', '.join(f'{name!r}: {kind}' for name, kind in layers.items())}}}"
    setup, arguments = [RECORDS[name] for name in records], record
    if not main.criterion.targetless:
        target = _target(main)
        setup.append(TARGETS[target])
        arguments = f"{record}, {target}"
    known = catalogue() | penalties.catalogue()
    if all(preset.name in known for _, preset, _ in parts):
        loss, before = " + ".join(_written(*part, named) for part in parts), ""
    else:
        loss, before = f"find({objective.spelling!r}).loss", FOUND
    text = EXAMPLE.format(before=before, setup="\n".join(setup), loss=loss, arguments=arguments)
    decides = main.criterion.of_sequence is False and not main.criterion.targetless
    return text + (PREDICT.format(record=record) if decides else "")


def _kind(preset: Preset) -> str:
    return "membrane" if preset.reads == "membrane" else "spikes"


def _names(preset: Preset, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The layers that a term reads by name."""
    usual = "membrane" if _kind(preset) == "membrane" else "output"
    layers = given.get("layers") or usual
    return (layers,) if isinstance(layers, str) else tuple(layers)


def _written(factor: str | None, preset: Preset, given: Mapping[str, Any], named: bool) -> str:
    """A term in Python."""
    module = "penalties" if preset.name in penalties.catalogue() else "presets"
    layers = _names(preset, given)
    options = {**given, "layers": layers[0] if len(layers) == 1 else layers} if named else given
    listed = ", ".join(f"{name}={value!r}" for name, value in options.items())
    call = f"sl.{module}.{preset.name}({listed})"
    return call if factor is None else f"{factor} * {call}"


def _target(loss: Loss) -> str:
    """What a loss wants to be given."""
    if loss.target.of_record or loss.target.at_once or isinstance(loss.criterion, PoissonNLL):
        return "train"
    if loss.of_labels:
        return "labels"
    if loss.criterion.of_sequence:
        return "sequences"
    return "wanted" if isinstance(loss.criterion, (Level, BinaryCrossEntropy)) else "teacher"
