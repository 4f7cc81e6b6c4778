"""Arguments out of their range: refused by name in every library, whatever the loss."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from libraries import LIBRARIES, Library, named

from spikeloss import Loss, criteria, metrics, presets, readouts, targets

T, B, N = 7, 5, 6
RECORD = (np.arange(T * B * N).reshape(T, B, N) % 4 == 0).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 5])

OF_LABELS = [
    name
    for name, preset in presets.catalogue().items()
    if preset.build().of_labels and name != "cross_entropy"
]
BAD_WEIGHTS = {"negative": -5.0, "nan": np.nan, "infinity": np.inf}


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize("bad", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
@pytest.mark.parametrize("name", OF_LABELS)
def test_sample_weights_are_finite_and_not_negative(
    name: str, bad: float, library: Library
) -> None:
    weights = library.array(np.array([1.0, 2.0, bad, 1.0, 0.0]), "float32")
    loss, record = presets.catalogue()[name].build(), library.array(RECORD)
    message = "sample_weight: expected finite weights of at least 0, got "
    with pytest.raises(ValueError, match=re.escape(message)):
        loss(record, library.array(LABELS), sample_weight=weights)


def test_sample_weights_of_any_real_dtype() -> None:
    record, labels = torch.tensor(RECORD), torch.tensor(LABELS)
    weights = torch.tensor([1, 2, 3, 1, 0])
    wanted = presets.ce_count()(record, labels, sample_weight=weights)
    for dtype in (torch.uint8, torch.uint16, torch.uint64, torch.bfloat16, torch.float64):
        found = presets.ce_count()(record, labels, sample_weight=weights.to(dtype))
        assert found == wanted


SHARES: dict[str, Any] = {
    "binary_peak": presets.binary_peak(),
    "spikemoid": presets.spikemoid().replace(target=targets.Given()),
    "every step": Loss(readouts.EveryStep(), criteria.BinaryCrossEntropy()),
    "tempotron": presets.tempotron().replace(target=targets.Given()),
}


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize("name", SHARES)
def test_targets_that_are_shares_lie_between_0_and_1(name: str, library: Library) -> None:
    record, target = library.array(RECORD), np.full((B, N), 0.5)
    SHARES[name](record, library.array(target, "float32"))
    for bad in (-0.5, 1.5, np.nan):
        target[2, 3] = bad
        with pytest.raises(ValueError, match="target: expected values from 0 to 1, got "):
            SHARES[name](record, library.array(target, "float32"))


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_soft_labels_and_counts_are_not_negative(library: Library) -> None:
    record, target = library.array(RECORD), np.full((B, N), 2.0)  # which need not sum to 1
    losses = (presets.ce_count(), presets.ce_rate(), Loss(readouts.Count(), criteria.PoissonNLL()))
    for bad in (2.0, -0.1, np.nan, np.inf):
        target[2, 3] = bad
        for loss in losses:
            given = library.array(target, "float32")
            if bad == 2:
                loss(record, given)
                continue
            message = "target: expected finite values of at least 0, got "
            with pytest.raises(ValueError, match=message):
                loss(record, given)


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_fan_outs_are_not_negative(library: Library) -> None:
    record = library.array(RECORD)
    for bad in (-1.0, np.nan, [1.0, 2.0, 3.0, 4.0, 5.0, -1.0]):
        with pytest.raises(ValueError, match="fan_out: expected finite weights of at least 0"):
            metrics.synaptic_operations(record, bad)
