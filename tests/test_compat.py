"""The drop-in modules as one uses them: imports, attributes that change, copies.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes: no two axes are equal.
"""

import copy
import importlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
import snntorch.functional as peer
import torch
from libraries import same

import spikeloss.compat.snntorch as SF  # noqa: N812

T, B, N, C = 7, 5, 6, 3


def _spikes(*shape: int, rate: float = 0.4) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(0)) < rate).float()


SPIKES, MEMBRANE = _spikes(T, B, N), torch.linspace(-1, 2, T * B * N).reshape(T, B, N)
LABELS, GROUPS = torch.tensor([3, 5, 0, 1, 3]), torch.tensor([2, 0, 1, 2, 1])
PER_STEP = torch.tensor([0, 5, 2, 2, 4, 1, 3])
TIMES = (torch.arange(B * N).reshape(B, N) % T).float()
WEIGHT = torch.tensor([1.0, 0.5, 2.0, 3.0, 0.25, 1.5])
LOGITS = SPIKES.sum(0)


# ---- as a module


def test_submodules() -> None:
    from spikeloss.compat.snntorch import acc, loss, reg

    for module, theirs in ((acc, "acc"), (loss, "loss"), (reg, "reg")):
        assert getattr(SF, theirs) is module
        for name in module.__all__:
            assert getattr(module, name) is getattr(SF, name)
            assert getattr(peer, name).__module__ == f"snntorch.functional.{theirs}"
    assert sorted(acc.__all__ + loss.__all__ + reg.__all__) == sorted(SF.__all__)


@pytest.mark.parametrize("name", ["probe", "quant", "stdp_learner"])
def test_modules_that_stay_where_they_are(name: str) -> None:
    importlib.import_module(f"snntorch.functional.{name}")
    assert not hasattr(SF, name)
    with pytest.raises(AttributeError, match=f"keep snntorch.functional.{name}"):
        getattr(SF, name)
    with pytest.raises(ImportError, match=f"importing `{name}` from snntorch.functional"):
        importlib.import_module(f"spikeloss.compat.snntorch.{name}")
    with pytest.raises(ImportError, match=f"importing `{name}` from snntorch.functional"):
        exec(f"from spikeloss.compat.snntorch import {name}")


def test_other_names_say_where_they_are() -> None:
    with pytest.raises(AttributeError, match=r"keep snntorch\.functional\.OutputMonitor"):
        SF.OutputMonitor  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'mse_rate_loss'"):
        exec("from spikeloss.compat.snntorch import mse_rate_loss")


# ---- attributes that change


class Change(NamedTuple):
    """A loss, an attribute to set on it, and the options that would have made it so."""

    name: str
    options: dict[str, Any]
    attribute: str
    value: Any
    record: torch.Tensor = SPIKES
    targets: torch.Tensor = LABELS
    theirs: bool = True  # whether snnTorch's follows, and to the same number

    def __str__(self) -> str:
        return f"{self.name}.{self.attribute}={str(self.value)[:12]}"


OF_TIME: dict[str, Any] = {"on_target": 1, "off_target": T - 1}
POPULATION: dict[str, Any] = {"population_code": True, "num_classes": C}
CHANGES = [
    Change("ce_rate_loss", {}, "weight", WEIGHT),
    Change("ce_rate_loss", {}, "reduction", "none"),
    Change(
        "ce_rate_loss", {"num_classes": C}, "population_code", True, targets=GROUPS, theirs=False
    ),
    Change("ce_count_loss", {}, "weight", WEIGHT),
    Change("ce_count_loss", {"weight": WEIGHT}, "weight", None),
    Change("ce_count_loss", {}, "reduction", "sum"),
    Change("ce_count_loss", {"reduction": "none"}, "reduction", "mean"),
    Change("ce_count_loss", {"num_classes": C}, "population_code", True, targets=GROUPS),
    Change("ce_count_loss", POPULATION, "num_classes", 2, targets=GROUPS % 2),
    Change("ce_count_loss", POPULATION, "population_code", False, targets=GROUPS),
    Change("ce_max_membrane_loss", {}, "weight", WEIGHT, MEMBRANE),
    Change("ce_max_membrane_loss", {}, "reduction", "none", MEMBRANE),
    Change("mse_count_loss", {}, "correct_rate", 5 / 7),
    Change("mse_count_loss", {}, "incorrect_rate", 2 / 7),
    Change("mse_count_loss", {}, "reduction", "none"),
    Change("mse_count_loss", {}, "weight", WEIGHT, theirs=False),  # along the wrong axis
    Change("mse_count_loss", {"num_classes": C}, "population_code", True, targets=GROUPS),
    Change("mse_membrane_loss", {}, "on_target", 1.5, MEMBRANE),
    Change("mse_membrane_loss", {}, "off_target", 0.25, MEMBRANE),
    Change("mse_membrane_loss", {}, "time_var_targets", True, MEMBRANE, PER_STEP),
    Change("mse_membrane_loss", {}, "reduction", "none", MEMBRANE),
    Change("mse_temporal_loss", OF_TIME, "spk_time_fn.on_target", 3),
    Change("mse_temporal_loss", OF_TIME, "spk_time_fn.off_target", 2),
    Change("mse_temporal_loss", OF_TIME, "spk_time_fn.tolerance", 3),
    Change("mse_temporal_loss", OF_TIME, "spk_time_fn.target_is_time", True, targets=TIMES),
    Change("mse_temporal_loss", OF_TIME, "weight", WEIGHT, theirs=False),
    Change("mse_temporal_loss", OF_TIME, "reduction", "none", theirs=False),  # fixed when made
    Change("ce_temporal_loss", {}, "inverse", "reciprocal"),
    Change("ce_temporal_loss", {}, "weight", WEIGHT, theirs=False),  # fixed when made
    Change("ce_temporal_loss", {}, "reduction", "sum", theirs=False),
]


def _set(loss: Any, path: str, value: Any) -> None:
    *owners, name = path.split(".")
    for owner in owners:
        loss = getattr(loss, owner)
    setattr(loss, name, value)


def _kept(change: Change, module: Any) -> torch.Tensor:
    """The value of a loss that was called before its attribute was set."""
    loss = getattr(module, change.name)(**change.options)
    with suppress(Exception):  # these targets may suit the loss only after the change
        loss(change.record, change.targets.clone())
    _set(loss, change.attribute, change.value)
    value: torch.Tensor = loss(change.record, change.targets.clone())
    return value


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
def test_an_attribute_that_is_set_later_counts(change: Change) -> None:
    made = change.options | {change.attribute.rpartition(".")[2]: change.value}
    loss = getattr(SF, change.name)(**made)
    value, expected = _kept(change, SF), loss(change.record, change.targets)
    same(value, expected, "float32")
    if change.theirs:
        theirs = _kept(change, peer)
        same(value, theirs.reshape(value.shape), "float32")


def test_attributes_of_spike_times() -> None:
    for module in (SF, peer):
        times = module.SpikeTime(off_target=5)
        times.on_target, times.off_target, times.tolerance = 2, 4, 2
        found, goal = times(SPIKES, LABELS.clone())
        made = SF.SpikeTime(on_target=2, off_target=4, tolerance=2)
        for a, b in zip((found, goal), made(SPIKES, LABELS), strict=True):
            same(a, b, "float32")


def test_another_spike_time() -> None:
    loss = SF.mse_temporal_loss()
    loss.spk_time_fn = SF.SpikeTime(on_target=1, off_target=4)
    same(loss(SPIKES, LABELS), SF.mse_temporal_loss(False, 1, 4)(SPIKES, LABELS), "float32")


def test_the_factor_of_the_penalty() -> None:
    for module in (SF, peer):
        penalty = module.l1_rate_sparsity(1e-3)
        penalty.Lambda = 0.5
        same(penalty(SPIKES), 0.5 * SPIKES.sum(), "float32")


BAD = [
    ("ce_count_loss", "reduction", "avg"),
    ("ce_count_loss", "population_code", "yes"),
    ("ce_count_loss", "population_code", True),  # without num_classes
    ("ce_count_loss", "weight", "heavy"),
    ("ce_count_loss", "weight", [1.0, -1.0, 1.0, 1.0, 1.0, 1.0]),
    ("mse_count_loss", "correct_rate", 1.5),
    ("mse_count_loss", "incorrect_rate", True),
    ("mse_count_loss", "correct_rate", [0.5]),
    ("mse_membrane_loss", "on_target", None),
    ("mse_membrane_loss", "time_var_targets", 2),
    ("mse_temporal_loss", "spk_time_fn.tolerance", -1),
    ("mse_temporal_loss", "spk_time_fn.on_target", 0.5),
    ("mse_temporal_loss", "spk_time_fn.off_target", (1, 2)),
    ("mse_temporal_loss", "spk_time_fn.multi_spike", 3),
    ("mse_temporal_loss", "spk_time_fn", print),
    ("ce_temporal_loss", "inverse", "late"),
]


@pytest.mark.parametrize(("name", "path", "value"), BAD)
def test_an_attribute_is_checked_at_the_call(name: str, path: str, value: Any) -> None:
    loss = getattr(SF, name)()
    before = loss(SPIKES, LABELS)
    _set(loss, path, value)
    argument = path.rpartition(".")[2]
    if argument == "population_code" and value is True:
        argument = "num_classes"
    with pytest.raises((TypeError, ValueError), match=rf"^{argument}(\[\d\])?: expected "):
        loss(SPIKES, LABELS)
    fresh = getattr(SF, name)()
    *owners, last = path.split(".")
    source = fresh
    for owner in owners:
        source = getattr(source, owner)
    _set(loss, path, getattr(source, last))
    same(loss(SPIKES, LABELS), before, "float32")


def test_parts_that_would_not_count_cannot_be_set() -> None:
    for owner, name in (
        (SF.SpikeTime(), "first_spike_fn"),
        (SF.SpikeTime(), "tolerance_fn"),
        (SF.mse_temporal_loss(), "loss_fn"),
        (SF.ce_temporal_loss(), "loss_fn"),
    ):
        with pytest.raises(AttributeError, match=name):
            setattr(owner, name, torch.nn.L1Loss())


LOSSES = [name for name in SF.__all__ if name.endswith("_loss")]


@pytest.mark.parametrize("name", [*LOSSES, "l1_rate_sparsity"])
@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies(name: str, clone: Callable[[Any], Any]) -> None:
    arguments = (SPIKES, LABELS) if name in LOSSES else (SPIKES,)
    loss = getattr(SF, name)()
    loss(*arguments)
    if name in LOSSES:
        loss.reduction = "sum"
    twin = clone(loss)
    assert type(twin) is type(loss)
    same(twin(*arguments), loss(*arguments), "float32")
    before = loss(*arguments)
    if name in LOSSES:
        twin.reduction = "none"
        assert twin(*arguments).shape != ()
    same(loss(*arguments), before, "float32")


def test_every_loss_of_snntorch_is_a_loss_of_its_kind() -> None:
    for name in LOSSES:
        assert isinstance(getattr(SF, name)(), SF.LossFunctions)


def test_subclass_with_attributes() -> None:
    class Scheduled(SF.mse_count_loss):
        def __init__(self, start: float) -> None:
            super().__init__(correct_rate=start)
            self.epoch = 0

        def step(self) -> None:
            self.epoch += 1
            self.correct_rate = self.correct_rate / 2

    loss = Scheduled(1.0)
    for rate in (1.0, 0.5, 0.25):
        same(loss(SPIKES, LABELS), SF.mse_count_loss(rate)(SPIKES, LABELS), "float32")
        loss.step()
    assert loss.epoch == 3
    assert loss.__name__ == "Scheduled"


def test_a_schedule_in_compiled_code() -> None:
    torch._dynamo.reset()
    loss, times = SF.mse_count_loss(), SF.mse_temporal_loss()
    run = torch.compile(lambda x, y: loss(x, y) + times(x, y), fullgraph=True, backend="eager")
    for rate, step in ((1.0, 0), (0.5, 1), (0.25, 2)):
        loss.correct_rate, times.spk_time_fn.on_target = rate, step
        same(run(SPIKES, LABELS), loss(SPIKES, LABELS) + times(SPIKES, LABELS), "float32")
    torch._dynamo.reset()
    run = torch.compile(SF.ce_count_loss(), fullgraph=True, backend="eager")
    same(run(SPIKES, LABELS.double()), SF.ce_count_loss()(SPIKES, LABELS), "float32")


def test_a_schedule_in_jax() -> None:
    spikes, labels = jnp.asarray(SPIKES.numpy()), jnp.asarray(LABELS.numpy())

    def loss(x: Any, rate: float) -> Any:
        criterion = SF.mse_count_loss()
        criterion.correct_rate = rate
        return criterion(x, labels)

    value = jax.jit(loss, static_argnums=1)(spikes, 0.5)
    same(value, SF.mse_count_loss(0.5)(SPIKES, LABELS), "float32")
