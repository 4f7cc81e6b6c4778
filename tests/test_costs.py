"""What NeuroBench counts: of weights by counting, of a network as the package itself says.

The package depends on torchaudio, which nothing here needs: `pip install --no-deps neurobench` is
enough to run the comparison. Without it the loops of `test_metrics.py`, which are its formulas as
its source has them (version 2.3), stand alone.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from libraries import JAX, LIBRARIES, TORCH, Library, named, same
from snntorch import Leaky
from torch import nn
from torch.nn.utils import parametrizations, prune

from spikeloss import metrics, synapses

T, B = 7, 5
KERNEL, BIAS = np.array([[0.0, 0.5, 0.0], [-0.5, 1.0, 2.0]]), np.zeros(3)
FILTERS = np.where(np.arange(24) % 4 == 1, 0.0, 1.5).reshape(2, 3, 2, 2)


# Weights


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
def test_weights(library: Library) -> None:
    for dtype, size in (("float64", 8), ("float32", 4), ("int64", 8), ("bool", 1)):
        with library.precision("float64"):
            kernel, bias, filters = (library.array(x, dtype) for x in (KERNEL, BIAS, FILTERS))
            tree = {"dense": {"kernel": kernel, "bias": bias}, "others": [(filters, None)]}
            kind = "float64" if dtype == "float64" else "float32"
            zeros = sum(int(x) == 0 for x in KERNEL.ravel()) if dtype == "int64" else 2
            same(metrics.connection_sparsity(tree), (zeros + 6) / 30, kind)
            same(metrics.connection_sparsity(kernel), zeros / 6, kind)
            assert metrics.parameter_count(tree) == 6 + 3 + 24
            assert metrics.footprint(tree) == size * 33
    half = library.array(KERNEL, "bfloat16")
    same(metrics.connection_sparsity(half), 1 / 3, "float32")
    assert metrics.footprint(half) == 12


def test_weights_without_values() -> None:
    with JAX.precision():
        traced = metrics.connection_sparsity
        import jax

        same(jax.jit(traced)({"kernel": jnp.asarray(KERNEL)}), 1 / 3)
        counted = jax.eval_shape(lambda w: metrics.parameter_count(w) + 0 * w, jnp.zeros((3, 2)))
        assert counted.shape == (3, 2)
    assert metrics.footprint(nn.Linear(3, 5, device="meta")) == 80


def test_modules() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(18, 4))
    with torch.no_grad():
        network[0].weight[0] = 0
        network[3].weight[:, 3:5] = 0
        network[3].bias.zero_()
    same(metrics.connection_sparsity(network), (18 + 8) / (54 + 72), "float32")
    assert metrics.parameter_count(network) == 54 + 3 + 6 + 72 + 4
    assert metrics.footprint(network) == 4 * (139 + 6) + 8  # running means, and how many there were
    assert not metrics.connection_sparsity(network).requires_grad
    prune.random_unstructured(network[3], "weight", amount=30)
    kept = int((network[3].weight != 0).sum())
    same(metrics.connection_sparsity(network), (18 + 72 - kept) / 126, "float32")
    network[3].weight_mask.zero_()  # before the next forward pass
    same(metrics.connection_sparsity(network), (18 + 72) / 126, "float32")
    assert metrics.parameter_count(network) == 139


def test_fan_out_of_all_weights() -> None:
    layer = nn.Linear(7, 5)
    with torch.no_grad():
        layer.weight[2] = 0
    assert synapses.of_module(layer, (7,)) == 4.0
    assert synapses.of_module(layer, (7,), zeros=True) == 5.0
    prune.random_unstructured(layer, "weight", amount=11)
    assert synapses.of_module(layer, (7,), zeros=True) == 5.0
    assert synapses.of_module(layer, (7,)) != 5.0
    kernel = jnp.asarray(KERNEL, jnp.float32)
    assert synapses.of_function(lambda w, x: x @ w, kernel, (2,)) == (1.0, 3.0)
    assert synapses.of_function(lambda w, x: x @ w, kernel, (2,), zeros=True) == 3.0


def test_refusals() -> None:
    for wrong, message in {
        0.5: "weights: expected arrays in mappings, lists and tuples, or a torch module, got 0.5",
        "w": "weights: expected arrays in mappings, lists and tuples, or a torch module, got 'w'",
    }.items():
        for function in (metrics.connection_sparsity, metrics.parameter_count, metrics.footprint):
            with pytest.raises(TypeError) as caught:
                function(wrong)
            assert str(caught.value).startswith(message)
    with pytest.raises(TypeError, match=r"^weights\['a'\]\[1\]: expected arrays in mappings"):
        metrics.footprint({"a": [BIAS, 1.0]})
    with pytest.raises(ValueError, match=r"^weights: expected weights with two axes or more, got"):
        metrics.connection_sparsity([BIAS])
    with pytest.raises(TypeError, match=r"^weights: expected a real floating, integer or bool"):
        metrics.connection_sparsity(KERNEL * 1j)
    normed = parametrizations.weight_norm(nn.Linear(3, 2))
    with pytest.raises(
        ValueError, match=r"^weights: expected plain weights, got a parametrization"
    ):
        metrics.connection_sparsity(normed)
    assert metrics.parameter_count([None, ()]) == metrics.footprint({}) == 0


# The package


def network_of(graded: bool) -> nn.Sequential:
    """A convolution and a dense layer of snnTorch's neurons, with holes in the weights."""
    torch.manual_seed(0)
    neurons = [Leaky(beta=0.5, threshold=0.3, init_hidden=True, output=last) for last in (0, 1)]
    layers = [nn.Conv2d(2, 3, 3, padding=1), neurons[0], nn.Flatten(), nn.Linear(60, 6), neurons[1]]
    if graded:
        layers.insert(2, nn.AvgPool2d(2))
        layers[4] = nn.Linear(12, 6)
    network = nn.Sequential(*layers)
    with torch.no_grad():
        network[0].weight[0] = 0  # and no bias: neurons that stay where they are
        network[0].bias.zero_()
        network[-2].weight[:, ::5] = 0
        network[-2].weight[1] = 0
    return network


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("pixels", ["spikes", "grey"])
def test_neurobench(pixels: str, graded: bool) -> None:
    pytest.importorskip("neurobench")
    from neurobench.metrics import static, workload
    from neurobench.models import SNNTorchModel

    network = network_of(graded)
    x = torch.rand(B, T, 2, 4, 5)
    x = (x < 0.2).float() if pixels == "spikes" else x * (x < 0.5)
    model = SNNTorchModel(network)
    model.register_hooks()
    model(x)
    data = x, torch.zeros(B)
    hidden, output = (torch.stack(h.activation_outputs).flatten(2) for h in model.activation_hooks)
    layers = {"hidden": hidden, "output": output}
    theirs = workload.ActivationSparsity()(model, None, data)
    same(metrics.activation_sparsity(layers), theirs, "float32")
    membranes = [torch.stack(h.post_fire_mem_potential) for h in model.activation_hooks]
    updates = sum(metrics.membrane_updates(u.flatten(2)) for u in membranes)
    assert updates < T * (60 + 6)  # some neurons stay where they are
    same(updates, workload.MembraneUpdates()(model, None, data), "float32")
    # What enters each layer, and how many synapses leave it.
    inputs = [
        torch.stack([step[0] for step in h.inputs]).flatten(2) for h in model.connection_hooks
    ]
    sizes = (2, 4, 5), (inputs[1].shape[-1],)
    connections = network[0], network[-2]

    def total(function: Any, zeros: bool = False) -> Any:
        return sum(
            function(record, synapses.of_module(layer, size, zeros=zeros))
            for record, layer, size in zip(inputs, connections, sizes, strict=True)
        )

    theirs = workload.SynapticOperations()(model, None, data)
    same(total(metrics.effective_macs), theirs["Effective_MACs"], "float32")
    same(total(metrics.effective_acs), theirs["Effective_ACs"], "float32")
    same(total(metrics.dense_operations, zeros=True), theirs["Dense"], "float32")
    assert (theirs["Effective_MACs"] > 0) == (graded or pixels == "grey")
    sparsity = float(metrics.connection_sparsity(network))
    assert round(sparsity, 4) == static.ConnectionSparsity()(model)
    assert metrics.parameter_count(network) == static.ParameterCount()(model)
    assert metrics.footprint(network) == static.Footprint()(model)
    model.cleanup_hooks()


def test_neurobench_counts_recurrent_biases() -> None:
    """Ours are connections alone."""
    static = pytest.importorskip("neurobench.metrics.static")
    from neurobench.models import TorchModel

    layer = nn.RNNCell(3, 4)
    with torch.no_grad():
        for bias in (layer.bias_ih, layer.bias_hh):
            bias.zero_()
        layer.weight_hh[0] = 0
    model = TorchModel(nn.Sequential(layer))
    assert static.ConnectionSparsity()(model) == round((4 + 8) / (12 + 16 + 8), 4)
    same(metrics.connection_sparsity(layer), 4 / 28, "float32")
    same(metrics.connection_sparsity(TORCH.array(KERNEL)), 1 / 3)
