"""`torch.compile` where sizes and options are symbols: the same numbers as without.

With `dynamic=True`, and after a second value, integer options of a loss are no constants to the
compiler. Every preset and penalty is traced so; some with integer options become machine code.
"""

import shutil
from typing import Any

import numpy as np
import pytest
import torch
from libraries import TORCH, same

from spikeloss import Loss, Total, penalties, presets

T, B, N = 7, 5, 6
CATALOGUE = presets.catalogue() | penalties.catalogue()
RNG = np.random.default_rng(0)
LABELS = torch.tensor([0, 1, 2, 3, 5])
RECORDS = {
    "spikes": torch.tensor(RNG.random((T, B, N)) < 0.4, dtype=torch.float32),
    "membrane": torch.tensor(RNG.normal(size=(T, B, N)), dtype=torch.float32),
    "logits": torch.tensor(RNG.normal(size=(B, N)), dtype=torch.float32),
}
RECORDS["either"] = RECORDS["membrane"]
TARGETS = {
    "bce_mean": (RECORDS["logits"] > 0).float(),
    "huber_signal": RECORDS["membrane"].flip(0),
    "earth_mover": RECORDS["spikes"].flip(0),
    "kd_logits": RECORDS["logits"],
    "kd_steps": RECORDS["membrane"].flip(0),
    "log_cosh_signal": RECORDS["logits"],
    "mse_mean": RECORDS["logits"],
    "mse_signal": RECORDS["membrane"].flip(0),
    "nearest_spike": RECORDS["spikes"].flip(0),
    "poisson_steps": RECORDS["spikes"].flip(0),
    "mse_trace": RECORDS["spikes"].flip(0),
    "binary_peak": (RECORDS["logits"] > 0).float(),
}

pytestmark = pytest.mark.slow


def assert_compiled(name: str, loss: Loss | Total, backend: str) -> None:
    record = RECORDS[loss.main.reads]
    target = () if loss.main.criterion.targetless else (TARGETS.get(name, LABELS),)
    compiled: Any = torch.compile(loss, fullgraph=True, dynamic=True, backend=backend)
    found = TORCH.value_and_grad(lambda x: compiled(x, *target), record)
    expected = TORCH.value_and_grad(lambda x: loss(x, *target), record)
    for one, other in zip(found, expected, strict=True):
        same(one, other, "float32")


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name != "ctc"])
def test_symbolic_options(name: str) -> None:
    torch._dynamo.reset()
    assert_compiled(name, CATALOGUE[name].build(), "eager")


@pytest.mark.parametrize("name", ["margin_count", "rate_bounds"])
def test_two_exponents_in_one_process(name: str) -> None:
    torch._dynamo.reset()
    for power in (1, 2):
        assert_compiled(name, CATALOGUE[name].build(power=power), "aot_eager")


@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor needs g++")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_machine_code_of_integer_options() -> None:
    torch._dynamo.reset()
    for name in ("mse_count", "mse_temporal", "margin_count"):
        assert_compiled(name, CATALOGUE[name].build(), "inductor")
