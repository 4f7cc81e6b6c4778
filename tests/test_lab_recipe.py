"""Recipes: a file says what the command line says, and a network is the user's or one of ours."""

import sys
import textwrap
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch

from spikeloss.lab import limits
from spikeloss.lab.activity import Activity
from spikeloss.lab.errors import InputError
from spikeloss.lab.network import built, hidden_names
from spikeloss.lab.objectives import find
from spikeloss.lab.recipe import (
    Comparison,
    Machines,
    Recipe,
    as_toml,
    load_recipe,
    machines_from,
    recipe_from,
)
from spikeloss.lab.training import fit, rehearse

FULL = Recipe(
    data="digits-cut", steps=4, data_options=(("a", 2), ("b", "x")), model="feedforward",
    hidden=6, layers=2, neuron="synaptic", recurrent=True, readout="membrane", population=3,
    beta=0.8, output_beta=0.7, alpha=0.7, learn_decay=True, surrogate="sigmoid", slope=5.0,
    normalised=True, threshold=0.5, reset="zero", unbiased=True, gain=2.0, output_gain=3.0,
    mean=0.5, output_mean=-0.5, model_options=(("depth", 2), ("norm", True)), optimiser="sgd",
    batch_size=5, learning_rate=0.01, decay=0.9, decay_every=2, clip=1.5, accumulate=2,
    precision="64-true", epochs=3,
)  # fmt: skip
COMPARISON = Comparison(FULL, ("ce_count", "mse_count(on=0.8)"), seeds=2)


def said(call, *arguments, **options):
    with pytest.raises(InputError) as raised:
        call(*arguments, **options)
    return str(raised.value)


# ---- recipe files


def test_a_recipe_file_repeats_a_comparison(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(COMPARISON))
    given, top = load_recipe(file)
    assert recipe_from(given) == FULL
    assert top == {"objectives": list(COMPARISON.objectives), "seeds": 2}


def test_every_field_has_a_section_and_help():
    for each in fields(Recipe):
        assert each.metadata["section"] in ("data", "model", "training")
        assert each.metadata["help"].endswith(".")


def test_what_a_recipe_does_not_say_is_of_the_data(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text('[data]\ndata = "japanese-vowels"\n[model]\nhidden = 8\n')
    recipe = recipe_from(load_recipe(file)[0])
    assert (recipe.steps, recipe.epochs, recipe.hidden) == (29, 60, 8)
    assert recipe_from(load_recipe(file)[0] | {"epochs": 2}).epochs == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data", "recipe.toml: expected a recipe in TOML, got "),
        ("[dta]\n", "got 'dta'"),
        ("[model]\nhiden = 3", "got 'hiden'. Did you mean hidden?"),
        ("[model]\nhidden = 'x'", "--hidden: expected a value of type int, got 'x'."),
        ("[model]\nhidden = 0", "--hidden: expected a number from 1 to 1000000, got 0."),
        ("[model]\nrecurrent = 1", "--recurrent: expected a value of type bool, got 1."),
        ("[model]\nneuron = 'leeky'", "got 'leeky'. Did you mean leaky?"),
        ("[model]\nmodel_options = {a = [1]}", "--model-options: expected a table of plain values"),
        ("objectives = 'ce_count'", "objectives: expected a list of names, got 'ce_count'."),
        ("seeds = 0", "seeds: expected a whole number from 1 to 1000, got 0."),
        ("seeds = true", "seeds: expected a whole number from 1 to 1000, got True."),
        ("data = 'digits'", "recipe.toml: expected a section [data], got 'digits'."),
        ("[data]\ndata = 'digitz'", "Did you mean digits?"),
        ("x = " + "[" * 5000, "recipe.toml: expected a recipe in TOML"),
        ("#" + "x" * 2**20, "more than 1048576 bytes"),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path, text, message):
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    found = said(lambda: recipe_from(load_recipe(file)[0]))
    assert message in found
    assert "\n" not in found


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    assert "expected a recipe to read, got no such file" in said(load_recipe, tmp_path / "a.toml")
    assert "expected a recipe to read, got is a directory" in said(load_recipe, tmp_path)


def test_machines_are_checked():
    assert machines_from({"devices": 2, "num_nodes": 3}).ranks == 6
    assert machines_from({}) == Machines()
    assert "--devices: expected a number from 1" in said(machines_from, {"devices": 0})
    assert "--accelerator: expected cpu or gpu" in said(machines_from, {"accelerator": "tpu2"})


# ---- networks of ours


def activity(recipe, classes=3, features=4, samples=5):
    torch.manual_seed(0)
    network = built(recipe, features, classes)
    inputs = torch.rand(recipe.steps, samples, features) * 3
    return network, inputs, Activity(network(inputs))


def simulated(network, inputs, recipe):
    """The same neurons, step by step, each layer as one loop of plain arithmetic."""
    into = [
        (x.weight.detach().numpy(), 0.0 if x.bias is None else x.bias.detach().numpy())
        for x in network.into
    ]
    betas = [recipe.beta] * recipe.layers + [recipe.output_beta or recipe.beta]
    back = [x.weight.detach().numpy() for x in network.back]
    layers, x = recipe.layers + 1, inputs.numpy()
    u, i, s = ([0.0] * layers for _ in range(3))
    record = []
    for t in range(recipe.steps):
        before, out = list(s), x[t]
        for layer in range(layers):
            current = out @ into[layer][0].T + into[layer][1]
            if back and layer < recipe.layers and t:
                current = current + before[layer] @ back[layer].T
            if recipe.normalised:
                current = (1 - betas[layer]) * current
            if recipe.neuron == "synaptic":
                i[layer] = current = recipe.alpha * i[layer] + current
            resets, rest = (
                layer < recipe.layers or recipe.readout == "spiking",
                np.asarray(u[layer]),
            )
            fired = (rest > recipe.threshold) if resets else 0.0
            if recipe.reset == "zero":
                u[layer] = betas[layer] * np.where(fired, 0, rest) + current
            else:
                u[layer] = betas[layer] * rest + current - recipe.threshold * fired
            out = s[layer] = (u[layer] > recipe.threshold).astype(float)
        record.append((*s[:-1], s[-1], u[-1]))
    return [np.array(each) for each in zip(*record, strict=True)]


OPTIONS = [
    {},
    {"layers": 2},
    {"neuron": "synaptic"},
    {"recurrent": True},
    {"readout": "membrane"},
    {"population": 2},
    {"layers": 3, "neuron": "synaptic", "recurrent": True, "readout": "membrane", "population": 2},
    {"learn_decay": True, "surrogate": "fast_sigmoid", "slope": 10.0},
    {"threshold": 0.6, "output_beta": 0.95, "unbiased": True, "gain": 2.0},
    {"reset": "zero", "neuron": "synaptic", "recurrent": True, "normalised": True, "gain": 3.0},
    {"reset": "zero", "readout": "membrane", "normalised": True, "output_beta": 0.5, "gain": 4.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_network_is_its_equations(options):
    recipe = replace(Recipe(steps=6, hidden=7), **options)
    network, inputs, found = activity(recipe)
    *hidden, spikes, membrane = simulated(network, inputs, recipe)
    assert found.hidden == hidden_names(recipe.layers)
    for name, expected in zip(found.hidden, hidden, strict=True):
        assert np.array_equal(found.records[name].detach().numpy(), expected)
        assert expected.any()
    assert ("output" in found.records) == (recipe.readout == "spiking")
    if "output" in found.records:
        assert np.array_equal(found.records["output"].detach().numpy(), spikes)
    assert np.allclose(found.records["membrane"].detach().numpy(), membrane, atol=1e-5)
    assert found.records["membrane"].shape == (6, 5, 3 * recipe.population)
    learned = [name for name, _ in network.named_parameters() if name.endswith(("alpha", "beta"))]
    assert bool(learned) == recipe.learn_decay


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_network_learns(options):
    recipe = replace(Recipe(epochs=3, steps=5, hidden=24, batch_size=64), **options)
    objective = find("ce_max_membrane + 0.01*rate_bounds(upper=0.2, layers='hidden')")
    rehearse(recipe, objective)
    run = fit(recipe, objective, 0)
    assert run.curve[-1].loss < run.curve[0].loss
    assert run.accuracy > 0.3
    assert (run.firing_rate is None) == (recipe.readout == "membrane")
    assert run.spikes_per_sample > 0
    assert len(run.accuracy_by_step) == 5
    assert run.accuracy_by_step[-1] == pytest.approx(run.accuracy)
    assert sum(map(sum, run.confusion)) == 360
    assert sum(run.confusion[i][i] for i in range(10)) / 360 == pytest.approx(run.accuracy)


def test_the_learning_rate_falls_every_so_many_epochs():
    recipe = Recipe(learning_rate=0.5, decay=0.5, decay_every=3)
    assert [recipe.rate(epoch) for epoch in range(7)] == [0.5] * 3 + [0.25] * 3 + [0.125]
    assert [replace(recipe, decay_every=1).rate(epoch) for epoch in range(2)] == [0.5, 0.25]


def test_first_weights_are_the_usual_ones_times_their_gain_plus_their_mean():
    recipe = Recipe(hidden=7, layers=2, recurrent=True)

    def drawn(**options):
        return dict(activity(replace(recipe, **options))[0].named_parameters())

    usual, own = drawn(), drawn(gain=2.0, output_gain=3.0, mean=0.5, output_mean=-1.0)
    for name, weight in own.items():
        mean = 0.5 if name in ("into.0.weight", "into.1.weight") else 0.0
        factor, mean = (3, -1.0 * name.endswith("weight")) if "into.2" in name else (2, mean)
        assert torch.equal(weight, factor * usual[name] + mean)
    alike = drawn(gain=2.0, mean=0.5)
    assert torch.equal(alike["into.2.weight"], 2 * usual["into.2.weight"] + 0.5)


def test_an_objective_needs_the_records_that_it_reads():
    recipe = Recipe(epochs=1, steps=3, hidden=4, readout="membrane")
    message = said(rehearse, recipe, find("ce_count"))
    assert message.startswith("--model: expected a network that gives output, as the objective")


def test_what_certainly_takes_too_much_memory_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 2**30)
    limits.check_memory(Recipe(), 1)
    for options in ({"hidden": 10**5}, {"layers": 100, "hidden": 3000}, {"population": 10**4}):
        with pytest.raises(InputError, match="fits into 1 GiB"):
            limits.check_memory(replace(Recipe(), **options), 1)


# ---- networks of the user's


MODULE = """
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self, features, classes, gives):
        super().__init__()
        self.layer, self.gives = nn.Linear(features, classes), gives

    def forward(self, x):
        u = torch.cumsum(self.layer(x), 0)
        s = u + ((u > 1).float() - u).detach()
        return {"record": u, "pair": (s, u), "mapping": {"mine": s, "output": s, "membrane": u},
                "flat": u[0], "nothing": None, "hidden only": {"mine": s}}[self.gives]


def factory(features, classes, steps, gives="pair", extra=0):
    return Plain(features, classes, gives)


def wrong(features, classes, steps):
    return Plain


def breaks(features, classes, steps):
    return Plain(features + 1, classes, "pair")


def empty(features, classes, steps):
    return nn.Identity()


class Fails:
    def __init__(self, **known):
        raise RuntimeError("not today")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with a module of the user's."""
    (tmp_path / "mine_of_user.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("mine_of_user", None)


@pytest.mark.parametrize(
    ("gives", "objective"),
    [
        ("record", "ce_max_membrane"),
        ("pair", "ce_count"),
        ("mapping", "ce_count + 0.1*rate_bounds(upper=0.1, layers='mine')"),
    ],
)
def test_a_network_of_the_user_is_trained(mine, gives, objective):
    options = (("gives", gives), ("extra", 2))
    recipe = Recipe(
        model="mine_of_user:factory", epochs=2, steps=4, batch_size=128, model_options=options
    )
    rehearse(recipe, find(objective))
    run = fit(recipe, find(objective), 0)
    assert run.curve[1].loss < run.curve[0].loss
    assert run.sample.hidden_neurons == (10 if gives == "mapping" else 0)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("mine_of_user:wrong", (), "expected a factory that gives a torch.nn.Module, got type."),
        ("mine_of_user:none", (), "which mine_of_user does not have. Choose one of: "),
        ("mine_of_user:Fails", (), "(RuntimeError: not today). Correct the factory."),
        ("mine_of_user:factory", (("depth", 3),), "unexpected keyword argument 'depth'"),
        ("mine_of_user:breaks", (), "expected a network that takes inputs (1, 2, 64)"),
        ("mine_of_user:empty", (), "expected a network with parameters, got none."),
        ("mine_of_user:factory", (("gives", "flat"),), "got output, membrane of shape (2, 10)."),
        ("mine_of_user:factory", (("gives", "nothing"),), "expected a network that gives a record"),
        ("mine_of_user:factory", (("gives", "hidden only"),), "mine of shape (4, 2, 10)"),
        ("of_nobody:factory", (), "(ModuleNotFoundError: No module named 'of_nobody')"),
        ("feedfoward", (), "expected feedforward, or package.module:factory, got 'feedfoward'."),
    ],
)
def test_a_network_that_is_none_is_named(mine, model, options, message):
    recipe = Recipe(model=model, epochs=1, steps=4, model_options=options)
    found = said(rehearse, recipe, find("ce_count"))
    assert found.startswith("--model: expected ")
    assert message in found


def test_a_recipe_is_plain_values():
    assert recipe_from(asdict(FULL)) == FULL
