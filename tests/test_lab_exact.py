"""The network of exact times, against its authors' own training, and in the workbench."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from spikeloss import presets
from spikeloss.lab import network as network_torch
from spikeloss.lab.data import yinyang
from spikeloss.lab.errors import InputError
from spikeloss.lab.exact_jax import network
from spikeloss.lab.objectives import find
from spikeloss.lab.recipe import Recipe
from spikeloss.lab.training import fit, rehearse
from spikeloss.records import Times
from spikeloss.reductions import Mean

MODEL = "spikeloss.lab.exact_jax:network"
RECIPE = Recipe(
    data="yin-yang", encoding="current", steps=1, data_options=(("size", 150),), library="jax",
    model=MODEL, model_options=(("hidden", 24), ("bias", 0.0), ("mean", 3.0), ("output_mean", 2.0)),
    epochs=4, batch_size=30, learning_rate=0.05,
)  # fmt: skip
EARLY = "ttfs_early_ce(tau=0.5, early=0.003, early_tau=6.4)"

# ---- EventProp: numbers of the first of its ten result files, paper/yinyang_0.pkl, and how they
# came about: weights of seed 0, and an order of samples that NumPy's old generator shuffles

START = 0.34, 1.2008909152165206
NORMAL = (1.5, 0.78, (5, 200)), (0.93, 0.1, (200, 3))
OPTIONS = {"tau": 0.5, "early": 0.003, "early_tau": 6.4}
AFTER_ONE = 0.803, 0.5809831423915369


def eventprop():
    """The network with the authors' first weights."""
    net = network(4, 3, 1, bias=0.0, spikes=3)
    hidden, output = (np.random.default_rng(0).normal(*x) for x in NORMAL)
    return net, {"hidden.weight": jnp.asarray(hidden), "output.weight": jnp.asarray(output)}


def points(part, samples):
    """Inputs (1, B, features) and labels, in 64 bits."""
    found, labels = yinyang._points(yinyang.SEEDS[part], samples)
    return jnp.asarray(np.concatenate([found, 1 - found], axis=1)[None]), jnp.asarray(labels)


def scored(net, weights):
    """Accuracy and loss on the test, as the authors count it: where the own neuron fires."""
    inputs, labels = points("test", 1000)
    loss = presets.ttfs_early_ce(**OPTIONS, reduction=Mean(over="weights"))

    @jax.jit
    def both(weights):
        times = net.apply(weights, inputs)["output"]
        value = loss(times, labels, sample_weight=times.fired(labels))
        return loss.accuracy(times, labels), value

    return tuple(map(float, both(weights)))


def test_answers_are_those_of_the_authors():
    with jax.enable_x64(True):
        found = scored(*eventprop())
    assert found == pytest.approx(START, rel=1e-9)


@pytest.mark.slow
def test_an_epoch_is_that_of_the_authors():
    loss = presets.ttfs_early_ce(**OPTIONS)
    adam = optax.adam(0.005)

    @jax.jit
    def step(weights, state, x, y):
        def value(weights):
            times = net.apply(weights, x)["output"]
            return loss(times, y, sample_weight=times.fired(y))

        changes, state = adam.update(jax.grad(value)(weights), state)
        return optax.apply_updates(weights, changes), state

    with jax.enable_x64(True):
        net, weights = eventprop()
        inputs, labels = points("train", 5000)
        state, order = adam.init(weights), np.arange(5000)
        np.random.RandomState(0).shuffle(order)
        for start in range(0, 5000, 32):
            at = order[start : start + 32]
            weights, state = step(weights, state, inputs[:, at], labels[at])
        found = scored(net, weights)
    assert found == pytest.approx(AFTER_ONE, rel=1e-8)


# ---- the workbench


def test_learns_in_the_workbench():
    rehearse(RECIPE, find(EARLY))
    run = fit(RECIPE, find(EARLY), 0)
    assert run.curve[-1].loss < 0.8 * run.curve[0].loss
    assert run.accuracy > 0.5
    assert 0 < run.hidden_rate < 1
    assert 0 < run.firing_rate <= 1
    assert run.spikes_per_sample == pytest.approx(48 * run.hidden_rate + 3 * run.firing_rate)
    assert 5 < run.decision_step < 45
    assert run.accuracy_by_step == pytest.approx((run.accuracy,))
    assert sum(map(sum, run.confusion)) == 1000
    assert run.sample.is_whole()


@pytest.mark.slow
def test_silent_hidden_neurons_learn_to_fire():
    quiet = (("hidden", 24), ("mean", 1.0), ("deviation", 0.3), ("spikes", 1))
    recipe = replace(RECIPE, model_options=quiet)
    bounds = "rate_bounds(lower=0.5, upper=None, batch=True, layers='hidden')"
    runs = [fit(recipe, find(EARLY + more), 0) for more in ("", f" + 0.1*{bounds}")]
    assert runs[0].hidden_rate < 0.1
    assert runs[1].hidden_rate > 0.2


@pytest.mark.parametrize("delays", ["axonal", "synaptic"])
def test_delays_learn(delays):
    net = network(4, 3, 1, hidden=7, spikes=2, bias=1.0, bias_again=True, delays=delays, longest=4)
    weights = net.init(jax.random.key(0))
    wide = {"axonal": (1, 1), "synaptic": (7, 3)}[delays]
    assert weights["hidden.delay"].shape == (5, wide[0])
    assert weights["output.delay"].shape == (8, wide[1])

    @jax.jit
    @jax.grad
    def late(weights):
        answer = net.apply(weights, jnp.asarray([[[0.1, 0.4, 0.9, 0.6], [0.7, 0.2, 0.3, 0.8]]]))
        times = answer["output"]
        return jnp.sum(jnp.where(jnp.isfinite(times.times), times.times, 0) + times.highest)

    slopes = late({name: x + 2 * (name[-1] == "t") for name, x in weights.items()})
    for name, slope in slopes.items():
        assert bool(jnp.isfinite(slope).all()), name
        assert bool(slope.any()), name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 9}, "--steps: expected 1 for a network without a time grid, got 9. Take --steps"
         " 1: an input is a number, which becomes a time."),
        ({"model_options": (("delays", "all"),)}, "delays: expected none or axonal or synaptic, got"
         " all. Choose one of these."),
        ({"model_options": (("tau_syn", 0.0),)}, "tau_syn: expected a number above 0, got 0.0. "
         "Leave it out."),
        ({"library": "torch"}, "--model: expected a factory that gives a torch.nn.Module, got "
         "Network. Return the module, not its class."),
    ],
)  # fmt: skip
def test_what_it_does_not_take(given, message):
    with pytest.raises(InputError) as wrong:
        rehearse(replace(RECIPE, **given), find(EARLY))
    assert str(wrong.value) == message


def test_times_of_a_network_in_pytorch_are_refused():
    whole = network_torch.Whole(torch.nn.Identity(), 1)
    whole.inner.forward = lambda x: Times(x[0], end=1.0)
    message = "--model: expected records .T, B, N. with --library torch, got Times. Write it in JAX"
    with pytest.raises(InputError, match=message):
        whole(torch.zeros(1, 2, 3))
