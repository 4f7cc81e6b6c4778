"""spikeloss.compat.snntorch against the installed snnTorch, where snnTorch is right.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes, F=2 spikes: no two axes are equal. snnTorch
overwrites targets, so that each call gets its own.
"""

import inspect
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import snntorch.functional as peer
import torch
from libraries import DIFFERENTIABLE, NUMPY, TORCH, Library, named, same

import spikeloss.compat.snntorch as compat

# snnTorch's own call, for labels over time.
pytestmark = pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")

T, B, N, C, F = 7, 5, 6, 3, 2
SHAPES = {  # of reduction="none"
    "ce": (B,),
    "mse": (B, N),
    "population mse": (B, C),
    "multi": (F, B, N),
}


def _numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _spikes(rate: float, seed: int = 0) -> torch.Tensor:
    draw = torch.rand(T, B, N, generator=torch.Generator().manual_seed(seed))
    return (draw < rate).float()


def _apart() -> torch.Tensor:
    """First spikes in the first three steps and second ones later: multi_spike reads them right."""
    record = torch.zeros(T, B, N)
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.randint(0, 3, (B, N), generator=generator),
        3 + torch.randint(0, T - 3, (B, N), generator=generator),
    )
    record.scatter_(0, first[None], 1.0)
    return record.scatter_(0, second[None], 1.0)


MEMBRANE, SPIKES, SPARSE, APART = _numbers(T, B, N), _spikes(0.4), _spikes(0.1), _apart()
LABELS, GROUPS = torch.tensor([3, 5, 0, 1, 3]), torch.tensor([2, 0, 1, 2, 1])
PER_STEP = torch.tensor([0, 5, 2, 2, 4, 1, 3])
TIMES = torch.randint(-T, T, (B, N), generator=torch.Generator().manual_seed(1))
PAIRS = torch.randint(0, T, (F, B, N), generator=torch.Generator().manual_seed(2))
WEIGHT, GROUP_WEIGHT = torch.tensor([1.0, 0.5, 2.0, 3.0, 0.25, 1.5]), torch.tensor([1.0, 2.0, 0.5])
POPULATION = {"population_code": True, "num_classes": C}

# name of the loss, its options, record, targets, shape of reduction="none"
Ordinary = tuple[str, dict[str, Any], torch.Tensor, torch.Tensor, str]
ORDINARY: dict[str, Ordinary] = {
    "ce_rate": ("ce_rate_loss", {}, SPIKES, LABELS, "ce"),
    "ce_rate of membranes": ("ce_rate_loss", {}, MEMBRANE, LABELS, "ce"),
    "ce_rate weights": ("ce_rate_loss", {"weight": WEIGHT}, SPIKES, LABELS, "ce"),
    "ce_count": ("ce_count_loss", {}, SPIKES, LABELS, "ce"),
    "ce_count weights": ("ce_count_loss", {"weight": WEIGHT}, SPIKES, LABELS, "ce"),
    "ce_count population": ("ce_count_loss", POPULATION, SPIKES, GROUPS, "ce"),
    "ce_count population weights": (
        "ce_count_loss",
        {**POPULATION, "weight": GROUP_WEIGHT},
        SPIKES,
        GROUPS,
        "ce",
    ),
    "ce_max_membrane": ("ce_max_membrane_loss", {}, MEMBRANE, LABELS, "ce"),
    "ce_max_membrane ties": ("ce_max_membrane_loss", {}, SPIKES, LABELS, "ce"),
    "ce_max_membrane weights": ("ce_max_membrane_loss", {"weight": WEIGHT}, MEMBRANE, LABELS, "ce"),
    "mse_count": ("mse_count_loss", {}, SPIKES, LABELS, "mse"),
    "mse_count rates": (
        "mse_count_loss",
        {"correct_rate": 5 / 7, "incorrect_rate": 2 / 7},
        SPIKES,
        LABELS,
        "mse",
    ),
    "mse_count population": (
        "mse_count_loss",
        {**POPULATION, "correct_rate": 4 / 7, "incorrect_rate": 1 / 7},
        SPIKES,
        GROUPS,
        "population mse",
    ),
    "mse_membrane": ("mse_membrane_loss", {}, MEMBRANE, LABELS, "mse"),
    "mse_membrane levels": (
        "mse_membrane_loss",
        {"on_target": 1.5, "off_target": 0.25},
        MEMBRANE,
        LABELS,
        "mse",
    ),
    "mse_membrane lower on": (
        "mse_membrane_loss",
        {"on_target": -0.5, "off_target": 1.0},
        MEMBRANE,
        LABELS,
        "mse",
    ),
    "mse_membrane over time": (
        "mse_membrane_loss",
        {"time_var_targets": True},
        MEMBRANE,
        PER_STEP,
        "mse",
    ),
    "mse_temporal": ("mse_temporal_loss", {"off_target": T - 1}, SPIKES, LABELS, "mse"),
    "mse_temporal silent": ("mse_temporal_loss", {"off_target": T - 1}, SPARSE, LABELS, "mse"),
    "mse_temporal late": (
        "mse_temporal_loss",
        {"on_target": 5, "off_target": 2},
        SPIKES,
        LABELS,
        "mse",
    ),
    "mse_temporal on counted from the end": (
        "mse_temporal_loss",
        {"on_target": -2, "off_target": -1},  # -2 < -1 < 0: nothing is clamped
        SPIKES,
        LABELS,
        "mse",
    ),
    "mse_temporal tolerance": (
        "mse_temporal_loss",
        {"on_target": 1, "off_target": T - 1, "tolerance": 3},
        SPIKES,
        LABELS,
        "mse",
    ),
    "mse_temporal times": (
        "mse_temporal_loss",
        {"target_is_time": True},
        SPARSE,
        TIMES.float(),
        "mse",
    ),
    "mse_temporal integer times": (
        "mse_temporal_loss",
        {"target_is_time": True, "tolerance": 2},
        SPIKES,
        TIMES,
        "mse",
    ),
    "mse_temporal two spikes": (
        "mse_temporal_loss",
        {"multi_spike": True, "on_target": (0, 2), "off_target": (4, 5)},
        APART,
        LABELS,
        "multi",
    ),
    "mse_temporal two spikes, tensors": (
        "mse_temporal_loss",
        {
            "multi_spike": True,
            "on_target": torch.tensor([0, 2]),
            "off_target": torch.tensor([4, 5]),
            "tolerance": 2,
        },
        APART,
        LABELS,
        "multi",
    ),
    "mse_temporal two times": (
        "mse_temporal_loss",
        {"target_is_time": True, "multi_spike": True},
        APART,
        PAIRS.float(),
        "multi",
    ),
    "ce_temporal": ("ce_temporal_loss", {}, SPIKES, LABELS, "ce"),
    "ce_temporal silent": ("ce_temporal_loss", {}, SPARSE, LABELS, "ce"),
    "ce_temporal reciprocal": (
        "ce_temporal_loss",
        {"inverse": "reciprocal"},
        SPARSE,
        LABELS,
        "ce",
    ),
    "ce_temporal weights": ("ce_temporal_loss", {"weight": WEIGHT}, SPIKES, LABELS, "ce"),
}
CALLS = [
    pytest.param(*ORDINARY[key], reduction, id=f"{key}, {reduction}")
    for key in ORDINARY
    for reduction in ("mean", "sum", "none")
    if reduction != "sum" or "weights" not in key or "temporal" in key  # the rest: test_parity
]


def _value_and_grad(
    SF: Any, name: str, options: dict[str, Any], record: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, and the gradient of its elements with pseudo-random cotangents."""
    record = record.clone().requires_grad_()
    value = getattr(SF, name)(**options)(record, targets.clone())
    value.backward(torch.linspace(0.5, 2.0, value.numel()).reshape(value.shape))
    assert record.grad is not None
    return value.detach(), record.grad


def test_the_sparse_record_has_silent_neurons() -> None:
    assert (SPARSE.sum(0) == 0).any()
    assert (SPARSE.sum(0) > 0).any()


@pytest.mark.parametrize(("name", "options", "record", "targets", "shape", "reduction"), CALLS)
def test_value_and_gradient(
    name: str,
    options: dict[str, Any],
    record: torch.Tensor,
    targets: torch.Tensor,
    shape: str,
    reduction: str,
) -> None:
    options = {**options, "reduction": reduction}
    theirs, their_grad = _value_and_grad(peer, name, options, record, targets)
    ours, our_grad = _value_and_grad(compat, name, options, record, targets)
    expected = SHAPES[shape] if reduction == "none" else ()
    same(ours, theirs.reshape(expected), "float32")  # a mean of theirs may be (1,)
    same(our_grad, their_grad, "float32")


@pytest.mark.parametrize("name", ["mse_count_loss", "mse_membrane_loss", "mse_temporal_loss"])
def test_equal_weights_of_squared_errors(name: str) -> None:
    options: dict[str, Any] = {"weight": torch.full((N,), 2.0)}
    options |= {"off_target": T - 1} if "temporal" in name else {}
    square, labels = SPIKES[:, [0, 1, 2, 3, 4, 0]], torch.cat([LABELS, LABELS[:1]])
    for reduction in ("mean", "none"):
        chosen = {**options, "reduction": reduction}
        theirs, their_grad = _value_and_grad(peer, name, chosen, square, labels)
        ours, our_grad = _value_and_grad(compat, name, chosen, square, labels)
        same(ours, theirs, "float32")
        same(our_grad, their_grad, "float32")


# ---- accuracies and the regulariser


def _decided(counts: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """A record without a tie, in counts or in first spikes, and labels that are right twice."""
    record, order = torch.zeros(T, B, N), _numbers(B, N).argsort(-1)  # a permutation per sample
    for b in range(B):
        for n in range(N):
            rank = int(order[b, n])
            steps = slice(0, rank) if counts else slice(rank, rank + 1)
            record[steps, b, n] = 1
    best = order.argmax(-1) if counts else order.argmin(-1)
    return record, torch.where(torch.arange(B) < 2, best, (best + 1) % N)


def test_accuracies() -> None:
    for name, counts in (("accuracy_rate", True), ("accuracy_temporal", False)):
        record, labels = _decided(counts)
        theirs = getattr(peer, name)(record, labels)
        ours = getattr(compat, name)(record, labels)
        assert type(ours) is type(theirs) is np.float64
        assert ours == theirs == 2 / B


def test_accuracy_of_populations() -> None:
    counts = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 0, 4, 5, 2, 3]])  # of groups: 1 5 9, 1 9 5
    record = (torch.arange(T)[:, None, None] < counts).float()
    labels = torch.tensor([2, 1])
    for SF in (peer, compat):
        assert SF.accuracy_rate(record, labels, True, C) == 1
        assert SF.accuracy_rate(record, (labels + 1) % C, True, C) == 0


def test_sparsity_of_the_batch() -> None:
    """Entries without a spike have the same derivative as spikes, in both."""
    theirs, their_grad = TORCH.value_and_grad(peer.l1_rate_sparsity(0.5), SPIKES)
    sample = compat.l1_rate_sparsity(0.5, per="sample")
    for factor, ours in ((1, compat.l1_rate_sparsity(0.5)), (B, sample)):
        value, grad = TORCH.value_and_grad(ours, SPIKES)
        same(value, theirs / factor, "float32")
        same(grad, their_grad / factor, "float32")


# ---- SpikeTime


def test_spike_time_and_its_parts() -> None:
    def parts(SF: Any) -> list[Any]:
        single = SF.SpikeTime(on_target=1, off_target=5, tolerance=2)
        several = SF.SpikeTime(on_target=(0, 2), off_target=(4, 5), multi_spike=True)
        near = SF.SpikeTime.Tolerance.apply(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0]), 2)
        return [
            *single(SPARSE, LABELS.clone()),
            *several(APART, LABELS.clone()),
            *SF.SpikeTime(target_is_time=True)(SPIKES, TIMES.float()),
            single.first_spike_fn(SPIKES, "cpu"),
            several.first_spike_fn(APART, 2, "cpu"),
            single.tolerance_fn(torch.tensor([[1.0]]), torch.tensor([[1.5]]), 1),
            SF.SpikeTime.FirstSpike.apply(SPARSE),
            SF.SpikeTime.MultiSpike.apply(APART, F),
            near,
            single.labels_to_spike_times(LABELS, N),
            single.label_to_single_spike(LABELS, N),
            several.labels_to_spike_times(LABELS, N),
            several.label_to_multi_spike(LABELS, N),
        ]

    for ours, theirs in zip(parts(compat), parts(peer), strict=True):
        same(ours, theirs, "float32")


def test_spike_times_beside_the_labels() -> None:
    labels = LABELS.to("meta")
    assert compat.SpikeTime(on_target=1, off_target=5).labels_to_spike_times(labels, N).is_meta


# ---- dropping it in

PUBLIC = [
    name
    for name, value in vars(peer).items()
    if getattr(value, "__module__", "")
    in {f"snntorch.functional.{m}" for m in ("loss", "acc", "reg")}
    and not name.startswith("_")
]


def _parameters(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Names, order and defaults of what may be given by position."""
    return [
        (parameter.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    ]


def test_public_names() -> None:
    assert sorted(compat.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_signatures(name: str) -> None:
    theirs, ours = getattr(peer, name), getattr(compat, name)
    if not isinstance(theirs, type):
        assert _parameters(ours) == _parameters(theirs)
        return
    methods = [
        key
        for key, value in vars(theirs).items()
        if isinstance(value, types.FunctionType) and not key.startswith("_ce")
    ]
    if "__call__" in dir(theirs) and not issubclass(theirs, torch.nn.Module):
        methods.append("__call__")
    for method in {"__init__", *methods} - {"_compute_loss"}:
        if method == "_prediction_check" and name == "SpikeTime":
            continue
        assert _parameters(getattr(ours, method)) == _parameters(getattr(theirs, method)), method
    assert _parameters(ours) == _parameters(theirs)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name.endswith(("_loss", "sparsity"))])
def test_attributes(name: str) -> None:
    theirs, ours = getattr(peer, name)(), getattr(compat, name)()
    assert ours.__name__ == theirs.__name__ == name
    modules = ("loss_fn", "spk_time_fn", "_buffers")  # parts of another type, or not meant for use
    for key, value in vars(theirs).items():
        if key not in modules:
            assert getattr(ours, key) == value, key
    assert hasattr(ours, "spk_time_fn") == hasattr(theirs, "spk_time_fn")


def test_weight_attribute() -> None:
    assert compat.ce_count_loss(weight=WEIGHT).weight is WEIGHT


def _relative(SF: Any) -> Any:
    """A loss of a user's own, written for snnTorch: NLL of the share of the spikes."""

    class RelativeLoss(SF.LossFunctions):  # type: ignore[misc]
        def _compute_loss(self, spk_out: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            _, steps, outputs = self._prediction_check(spk_out)
            counts = self._population_code(spk_out, C, outputs) + 1
            nll = torch.nn.NLLLoss(reduction=self._intermediate_reduction(), weight=self.weight)
            return nll((counts / counts.sum(-1, keepdim=True)).log(), targets) / steps

    return RelativeLoss


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_subclasses(reduction: str) -> None:
    plain = [_relative(SF)(reduction, None)(SPIKES, GROUPS) for SF in (compat, peer)]
    same(*plain, "float32")
    ours, theirs = (_relative(SF)(reduction, GROUP_WEIGHT)(SPIKES, GROUPS) for SF in (compat, peer))
    same(ours, theirs.sum() if reduction == "sum" else theirs, "float32")


def test_subclasses_name_what_is_missing() -> None:
    class Empty(compat.LossFunctions):
        pass

    with pytest.raises(NotImplementedError, match="_compute_loss"):
        Empty("mean", None)(SPIKES, LABELS)


@pytest.mark.parametrize("name", ["ce_rate_loss", "mse_membrane_loss", "ce_temporal_loss"])
def test_training_with_backprop(name: str) -> None:
    """snntorch.backprop looks at the name of a loss, and adds a regulariser to it in place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is on its way out
        from snntorch import backprop

    def trained(SF: Any) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(0)
        layers = [torch.nn.Linear(4, N), snn.Leaky(beta=0.9, init_hidden=True, output=True)]
        network = torch.nn.Sequential(*layers)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        batches = [(3 * _numbers(T, B, 4), LABELS)]
        loss = backprop.BPTT(
            network,
            batches,
            optimizer,
            getattr(SF, name)(),
            regularization=SF.l1_rate_sparsity(1e-3),
        )
        return loss.detach().reshape(()), network[0].weight.detach()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of snnTorch's own
        theirs = trained(peer)
        ours = trained(compat)
    for mine, other in zip(ours, theirs, strict=True):
        same(mine, other, "float32")


# ---- what snnTorch does not have: other libraries, and membranes over time in any shape


@pytest.mark.parametrize("library", [NUMPY, *DIFFERENTIABLE], ids=named)
def test_other_libraries(library: Library) -> None:
    with library.precision("float32"):
        spikes, labels = library.array(SPIKES.numpy()), library.array(LABELS.numpy())
        for name in ("ce_count_loss", "mse_membrane_loss", "ce_temporal_loss"):
            expected = getattr(peer, name)()(SPIKES, LABELS).reshape(())
            same(getattr(compat, name)()(spikes, labels), expected, "float32")
        steps = library.array(PER_STEP.numpy())
        varying = compat.mse_membrane_loss(time_var_targets=True)(spikes, steps)
        expected = peer.mse_membrane_loss(time_var_targets=True)(SPIKES, PER_STEP)
        same(varying, expected.reshape(()), "float32")
        times = compat.SpikeTime(on_target=1, off_target=5).labels_to_spike_times(labels, N)
        expected = peer.SpikeTime(on_target=1, off_target=5).labels_to_spike_times(LABELS, N)
        same(times, expected, "float32")
        right = peer.accuracy_rate(SPIKES, LABELS)
        assert compat.accuracy_rate(spikes, labels) == right


@pytest.mark.parametrize(
    ("shape", "varying", "fits"),
    [
        ((T, B), True, True),
        ((T,), True, True),
        ((T, B, N), True, True),
        ((B,), True, False),
        ((T, N), True, False),
        ((), True, False),
        ((B,), False, True),
        ((T, B), False, False),
        ((T, B, N), False, False),
        ((1,), False, False),
    ],
)
def test_targets_of_membranes(shape: Sequence[int], varying: bool, fits: bool) -> None:
    loss, targets = compat.mse_membrane_loss(varying), torch.zeros(tuple(shape), dtype=torch.long)
    if fits:
        assert loss(MEMBRANE, targets).shape == ()
    else:
        with pytest.raises(ValueError, match=r"^targets?: expected "):
            loss(MEMBRANE, targets)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_batch_axes(batch: tuple[int, ...]) -> None:
    """Labels over time, labels, and the same for the whole batch."""
    membranes, one = _numbers(T, *batch, N), torch.tensor(1)
    expected = compat.mse_membrane_loss()(membranes, one.expand(batch))
    loss = compat.mse_membrane_loss(time_var_targets=True)
    same(loss(membranes, one.expand(T, *batch)), expected, "float32")
    same(loss(membranes, one.expand(T)), expected, "float32")
