"""What a sum of losses is made of: names, factors and values of its terms, which add up.

T=7 steps, B=5 samples, N=6 neurons: no two axes are equal.
"""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from cases import LENGTHS, records
from libraries import TORCH

from spikeloss import Loss, Total
from spikeloss.criteria import CrossEntropy
from spikeloss.penalties import rate_bounds
from spikeloss.presets import ce_count, ce_rate, mse_count, mse_temporal
from spikeloss.readouts import Population, SumOverTime
from spikeloss.reductions import Each, Sum

X, Y = records("spikes")["random"], np.array([0, 1, 2, 3, 5])
SUM = ce_count() + (-0.5) * mse_count(on=0.75) + 0.25 * rate_bounds(upper=0.25)


def test_terms_add_up_to_the_loss() -> None:
    found = SUM.addends(X, Y, lengths=LENGTHS)
    assert list(found) == [
        "CrossEntropy of SumOverTime",
        "SquaredError(steps_power=1) of SumOverTime against OnOffRate(on=0.75)",
        "Bounds(upper=0.25) of MeanOverTime",
    ]
    assert [each.factor for each in found.values()] == [1.0, -0.5, 0.25]
    assert sum(each.weighted for each in found.values()) == SUM(X, Y, lengths=LENGTHS)
    for (factor, loss), each in zip(SUM.terms, found.values(), strict=True):
        assert each.value == loss(X, None if loss.criterion.targetless else Y, lengths=LENGTHS)
        assert each.weighted == factor * each.value


def test_a_single_loss_is_its_own_term() -> None:
    loss = ce_rate(reduction="none")
    ((name, each),) = loss.addends(X, Y).items()
    assert name == "CrossEntropy of EveryStep"
    assert each.value.shape == (5,)
    np.testing.assert_array_equal(each.weighted, loss(X, Y))


def test_equal_terms_and_layers_have_names_of_their_own() -> None:
    assert list((ce_count() + 0.5 * ce_count()).addends(X, Y)) == [
        "CrossEntropy of SumOverTime",
        "CrossEntropy of SumOverTime (2)",
    ]
    loss = ce_count().replace(layers="output") + 0.1 * rate_bounds()
    found = loss.addends({"hidden": X[..., :4], "output": X}, Y)
    assert list(found) == [
        "CrossEntropy of SumOverTime [output]",
        "Bounds(upper=0.1) of MeanOverTime [hidden]",
        "Bounds(upper=0.1) of MeanOverTime [output]",
    ]
    assert sum(each.weighted for each in found.values()) == pytest.approx(
        loss({"hidden": X[..., :4], "output": X}, Y)
    )


def test_readouts_in_readouts_are_spelled() -> None:
    loss = Loss(Population(SumOverTime(), classes=3), CrossEntropy(label_smoothing=0.5))
    (name,) = loss.addends(X, np.array([0, 1, 2, 0, 1]))
    assert name == "CrossEntropy(label_smoothing=0.5) of Population(SumOverTime, classes=3)"


def test_equal_readouts_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKELOSS_KERNELS", "off")
    loss, calls, read = SUM + mse_count(), [], SumOverTime.read

    def counted(self: Any, *given: Any) -> Any:
        calls.append(self)
        return read(self, *given)

    monkeypatch.setattr(SumOverTime, "read", counted)
    loss.addends(X, Y)
    assert len(calls) == 1


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_gradients_flow(dtype: str) -> None:
    x, y = TORCH.array(X, dtype).requires_grad_(), torch.tensor(Y)
    found = SUM.addends(x, y)
    (wanted,) = torch.autograd.grad(SUM(x, y), x)
    (slope,) = torch.autograd.grad(sum(each.weighted for each in found.values()), x)
    torch.testing.assert_close(slope, wanted)
    assert {each.value.dtype for each in found.values()} == {getattr(torch, dtype)}


def test_terms_come_out_of_a_compiled_function() -> None:
    found = jax.jit(SUM.addends)(X, Y)
    assert list(found) == sorted(SUM.addends(X, Y))
    total = sum(float(each.weighted) for each in found.values())
    assert total == pytest.approx(float(SUM(X, Y)), rel=1e-5)


def test_options_are_those_of_a_call() -> None:
    with pytest.raises(TypeError, match="length: expected"):
        SUM.addends(X, Y, length=LENGTHS)
    weighted = ce_count().addends(X, Y, class_weight=np.arange(6.0), sample_weight=np.ones(5))
    assert next(iter(weighted.values())).value == ce_count()(X, Y, class_weight=np.arange(6.0))


# Words for reductions


def test_words_stand_for_reductions() -> None:
    assert ce_count(reduction="mean") == ce_count()
    assert hash(ce_count(reduction="sum")) == hash(ce_count(reduction=Sum()))
    assert ce_count().replace(reduction="none").reduction == Each()
    assert rate_bounds(reduction="sum").reduction == Sum()
    assert Loss(SumOverTime(), CrossEntropy(), reduction="none").reduction == Each()
    both: Total = (ce_count() + mse_temporal()).replace(reduction="sum")
    assert [loss.reduction for _, loss in both.terms] == [Sum(), Sum()]
    assert repr(ce_count(reduction="sum")) == repr(ce_count(reduction=Sum()))
