"""The trainer in JAX: the network, the steps and the numbers of the one in PyTorch."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from spikeloss._install import hint
from spikeloss.lab import environment, learner_jax, learner_torch, network, network_jax, training
from spikeloss.lab.data.samples import Dataset, Dense, Split
from spikeloss.lab.errors import InputError
from spikeloss.lab.objectives import find
from spikeloss.lab.recipe import Machines, Recipe
from spikeloss.lab.training import fit, rehearse

RECIPE = Recipe(steps=9, hidden=7, epochs=2, library="jax")
FEATURES, CLASSES = 6, 3


def data(train=23, test=11, lengths=False):
    """Samples of which the label shows, beside noise."""
    rng = np.random.default_rng(0)

    def split(count):
        labels = np.arange(count) % CLASSES
        x = rng.normal(size=(1, count, FEATURES)) + 2 * np.eye(CLASSES, FEATURES)[labels]
        steps = rng.integers(4, 9, size=count, endpoint=True) if lengths else None
        return Split(Dense(x.astype(np.float32)), labels, steps, steps=RECIPE.steps)

    return Dataset(split(train), split(test), CLASSES)


def named(network):
    """The parameters of a network in PyTorch, for one in JAX."""
    return {name: jnp.asarray(x.detach().numpy()) for name, x in network.named_parameters()}


# ---- the network

OPTIONS = {
    "plain": {},
    "two layers": {"layers": 2},
    "synaptic": {"neuron": "synaptic"},
    "recurrent": {"recurrent": True, "layers": 2},
    "membrane": {"readout": "membrane"},
    "population": {"population": 2},
    "learned": {"learn_decay": True},
    "at the end": {"learn_decay": True, "beta": 1.0},
    "fast sigmoid": {"surrogate": "fast_sigmoid"},
    "sigmoid": {"surrogate": "sigmoid", "slope": 4.0},
    "steep": {"slope": 5.0},
    "zero": {"reset": "zero", "normalised": True, "neuron": "synaptic", "output_beta": 0.7},
    "threshold": {"threshold": 0.6, "unbiased": True, "output_beta": 0.95},
    "all": {
        "layers": 2,
        "neuron": "synaptic",
        "recurrent": True,
        "learn_decay": True,
        "population": 2,
        "surrogate": "fast_sigmoid",
        "slope": 3.0,
    },
}


@pytest.mark.parametrize(
    ("moving", "precision"), [(False, "64-true"), (True, "32-true")], ids=["constant", "moving"]
)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            x, marks=() if name in ("all", "membrane", "zero") else pytest.mark.slow, id=name
        )
        for name, x in OPTIONS.items()
    ],
)
def test_records_and_gradients_are_those_of_pytorch(options, moving, precision):
    recipe, wide = replace(RECIPE, precision=precision, **options), precision == "64-true"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = network.built(recipe, FEATURES, CLASSES)
    theirs = theirs.double() if wide else theirs
    rng, shape = np.random.default_rng(2), (recipe.steps if moving else 1, 5, FEATURES)
    x = 3 * rng.normal(size=shape).astype("float64" if wide else "float32")
    expected = theirs(torch.from_numpy(x))
    factors = {name: rng.normal(size=r.shape).astype(x.dtype) for name, r in expected.items()}
    sum((expected[name] * torch.from_numpy(f)).sum() for name, f in factors.items()).backward()

    with jax.enable_x64(wide):
        ours, weights = network_jax.built(recipe, FEATURES, CLASSES), named(theirs)
        drawn = ours.init(jax.random.key(0))
        shapes = {name: (w.shape, w.dtype) for name, w in weights.items()}
        assert {name: (w.shape, w.dtype) for name, w in drawn.items()} == shapes

        @jax.jit
        def value(weights):
            records = ours.apply(weights, x)
            return sum((records[name] * f).sum() for name, f in factors.items()), records

        grads, records = jax.grad(value, has_aux=True)(weights)
    assert set(expected) == set(records)
    for name, record in expected.items():
        assert records[name].dtype == x.dtype
        if name == "membrane":
            close = 1e-12 if wide else 2e-6
            np.testing.assert_allclose(records[name], record.detach(), rtol=close, atol=close)
        else:
            assert 0 < record.mean() < 1
            np.testing.assert_array_equal(records[name], record.detach())
    for name, weight in theirs.named_parameters():
        largest = float(weight.grad.abs().max())
        assert largest > 0
        close = 1e-5 if wide else 1e-4  # snnTorch hands back 32 bits through a spike
        np.testing.assert_allclose(grads[name], weight.grad, rtol=close, atol=close * largest)


def test_a_decay_is_clamped_as_that_of_snntorch():
    recipe = replace(RECIPE, neuron="synaptic", learn_decay=True, readout="membrane")
    theirs = network.built(recipe, FEATURES, CLASSES)
    with torch.no_grad():
        theirs.output.beta.fill_(1.2)
        theirs.neurons[0].alpha.fill_(-0.1)
    ours, x = network_jax.built(recipe, FEATURES, CLASSES), data().train.take(np.arange(23)).inputs
    weights = named(theirs)
    value, grads = jax.value_and_grad(lambda w: ours.apply(w, x)["membrane"].sum())(weights)
    expected = theirs(torch.from_numpy(x))["membrane"].sum()
    np.testing.assert_allclose(value, expected.detach(), rtol=1e-5)
    assert float(grads["output.beta"]) == float(grads["neurons.0.alpha"]) == 0
    assert float(grads["output.alpha"]) != 0


def test_the_sigmoid_is_finite_far_from_the_threshold():
    spike = network_jax.surrogate(replace(RECIPE, surrogate="sigmoid"))
    slopes = jax.vmap(jax.grad(spike))(jnp.array([-100.0, -5.0, 0.0, 5.0]))
    np.testing.assert_allclose(slopes, [0, 0, 6.25, 0], atol=1e-20)


def test_weights_are_drawn_from_the_distribution_of_pytorch():
    own = {"gain": 0.5, "output_gain": 2.0, "output_beta": 0.3, "mean": 0.2, "output_mean": 0.1}
    recipe = replace(RECIPE, hidden=200, recurrent=True, learn_decay=True, **own)
    ours = network_jax.built(recipe, 100, CLASSES).init(jax.random.key(0))
    theirs = dict(network.built(recipe, 100, CLASSES).named_parameters())
    for name in ("into.0.weight", "back.0.weight", "into.1.weight"):
        gain, mean = {"into.0.weight": (0.5, 0.2), "into.1.weight": (2.0, 0.1)}.get(name, (0.5, 0))
        bound = theirs[name].shape[1] ** -0.5 * gain
        for x in (np.asarray(ours[name]) - mean, theirs[name].detach().numpy() - mean):
            assert 0.98 * bound < np.abs(x).max() < 1.001 * bound
            assert abs(float(x.std()) - bound / 3**0.5) < 0.05 * bound
    assert float(ours["output.beta"]) == theirs["output.beta"].item() == np.float32(0.3)


# ---- a user's network


def pair(*, features, classes, steps, width=4):
    def init(key):
        return [jax.random.normal(key, (features, width)), jnp.ones((width, classes))]

    def apply(weights, inputs):
        assert inputs.shape[0] == steps
        return inputs @ weights[0] @ weights[1]

    return init, apply


def thing(**known):
    init, apply = pair(**known)
    return SimpleNamespace(init=init, apply=lambda w, x: {"mine": x, "membrane": apply(w, x)})


def alone(**known):
    return pair(**known)[0]


def weightless(**known):
    return lambda key: {"count": jnp.arange(3)}, lambda w, x: x


def flat(**known):
    return lambda key: jnp.ones(3), lambda w, x: x[0] * w.sum()


def broken(**known):
    return lambda key: jnp.ones(3), lambda w, x: x @ w[:, None]


def model(monkeypatch, factory, **options):
    known = SimpleNamespace(factory=factory)
    monkeypatch.setitem(sys.modules, "a_model", known)
    return replace(RECIPE, model="a_model:factory", model_options=tuple(options.items()))


def test_a_users_network_learns(monkeypatch):
    recipe = replace(model(monkeypatch, pair, width=5), epochs=4, optimiser="sgd", clip=1.0)
    with learner_jax.Learner(recipe, find("ce_mean"), data(), 0) as learner:
        assert learner.state.network[0].shape == (FEATURES, 5)
        losses = [learner.epoch(number)[0] for number in range(4)]
        activity = learner.respond(data().test)
    assert losses == sorted(losses, reverse=True)
    assert activity.records["output"] is activity.records["membrane"]
    assert activity.spiking == ()


def test_a_users_object_gives_records_by_name(monkeypatch):
    recipe = model(monkeypatch, thing)
    with learner_jax.Learner(recipe, find("ce_max_membrane"), data(), 0) as learner:
        assert learner.shapes.hidden == ("mine",)
        assert learner.respond(data().test).records["mine"].shape == (9, 11, FEATURES)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (alone, "a factory that gives a pair (init, apply)"),
        (weightless, "parameters that are floating arrays, got int32."),
        (flat, "a network that gives a record"),
        (broken, "a network that takes inputs (1, 2, 6), got a_model:factory (TypeError"),
        (lambda: None, "a factory that takes features, classes, steps and its options by name"),
    ],
    ids=["no pair", "weightless", "flat", "broken", "takes nothing"],
)
def test_a_wrong_network_is_refused(monkeypatch, factory, words):
    recipe = model(monkeypatch, factory)
    with pytest.raises(InputError, match="--model: expected") as raised:
        learner_jax.rehearse(recipe, find("ce_mean"), data())
    assert words in str(raised.value)


# ---- training


def learned(recipe, module, samples, weights=None):
    """The losses of a training, its weights before and after, and what it does in the end."""
    with module.Learner(recipe, find("ce_count"), samples, 0) as learner:
        if weights is not None:
            start = learner.state._replace(network=weights)
            learner.state = learner.devices.everywhere(start)

        def now():
            ours = module is learner_jax
            state = learner.state.network if ours else named(learner.plain[0])
            return {name: np.array(x) for name, x in state.items()}

        before, losses = now(), [learner.epoch(number)[0] for number in range(recipe.epochs)]
        return losses, before, now(), learner.respond(samples.test)


EQUAL = {
    "adamw, clipped, in parts": {
        "optimiser": "adamw", "clip": 0.1, "accumulate": 3, "decay": 0.5, "learning_rate": 0.01,
    },
    "adam": {"learning_rate": 0.01},
    "sgd, 64 bits": {"optimiser": "sgd", "learning_rate": 0.5, "precision": "64-true"},
}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [pytest.param(x, marks=pytest.mark.slow if i else (), id=n) for i, (n, x) in
     enumerate(EQUAL.items())],
)  # fmt: skip
def test_training_is_that_of_pytorch(options):
    recipe = replace(RECIPE, batch_size=23, **options)
    samples = data(lengths=True)
    torchs = replace(recipe, library="torch")
    losses, first, last, activity = learned(torchs, learner_torch, samples)
    ours = learned(recipe, learner_jax, samples, first)
    np.testing.assert_allclose(ours[0], losses, rtol=1e-5)
    for name, x in last.items():
        moved = np.abs(x - first[name]).max()
        assert moved > 0
        np.testing.assert_allclose(ours[2][name], x, atol=1e-3 * moved)
    for name, x in activity.records.items():
        np.testing.assert_allclose(ours[3].records[name], x, atol=2e-5)


def test_a_step_is_compiled_for_each_size_of_a_batch_and_no_more():
    recipe = replace(RECIPE, batch_size=10, optimiser="sgd", learning_rate=1e-6)
    samples = data()
    with learner_jax.Learner(recipe, find("ce_count"), samples, 0) as learner:
        records = learner.respond(samples.train).records["output"]
        loss, seconds, inside = learner.epoch(0)
        learner.epoch(1)
        assert set(learner.steps) == {10, 3}
        assert learner.run._cache_size() <= 3
    assert 0 < inside <= seconds
    order = np.random.default_rng((0, 0)).permutation(23)
    batches = np.split(order, [10, 20])
    losses = [learner.objective.loss(records[:, b], samples.train.labels[b]) for b in batches]
    np.testing.assert_allclose(loss, np.dot(losses, [10, 10, 3]) / 23, rtol=1e-4)


def test_chunks_have_one_shape(monkeypatch):
    monkeypatch.setattr(learner_jax, "CHUNK", 4)
    samples = data()
    with learner_jax.Learner(RECIPE, find("ce_count"), samples, 0) as learner:
        parts = learner.respond(samples.test)
        assert learner.run._cache_size() == 1
        whole = jax.jit(learner.network.apply)(
            learner.state.network, samples.test.take(np.arange(11)).inputs
        )
    for name, x in parts.records.items():
        assert x.dtype == np.float32
        assert x.shape[1] == 11
        np.testing.assert_allclose(x, whole[name], atol=1e-6)


def test_the_seed_gives_the_numbers_also_after_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "load", lambda recipe: data())
    recipe, file = replace(RECIPE, learn_decay=True, precision="bf16-true"), tmp_path / "kept"
    whole = fit(recipe, find("ce_count"), 0)

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(recipe, find("ce_count"), 0, watch=stop, checkpoint=file)
    before, seen = file.read_bytes(), []
    again = fit(recipe, find("ce_count"), 0, watch=seen.append, checkpoint=file)
    assert len(seen) == 2  # the one that was kept, and the one that was trained
    assert file.read_bytes() != before
    for one, other in zip(whole.curve, again.curve, strict=True):
        assert (one.loss, one.accuracy) == (other.loss, other.accuracy)
    assert (whole.sample, whole.confusion) == (again.sample, again.confusion)
    assert fit(recipe, find("ce_count"), 1).curve[-1].loss != whole.curve[-1].loss


def test_a_checkpoint_of_another_form_is_refused(tmp_path):
    file = tmp_path / "kept"
    with learner_jax.Learner(RECIPE, find("ce_count"), data(), 0) as learner:
        learner.save(file, [])
        assert learner.restore(file) == []
        weights = learner.state.network | {"into.0.bias": jnp.zeros(99)}
        learner.state = learner.state._replace(network=weights)
        with pytest.raises(InputError, match=r"damaged \(an array \(7,\) in the place of \(99,\)"):
            learner.restore(file)


def test_64_bits_are_on_inside_and_as_before_outside():
    recipe = replace(RECIPE, precision="64-true")
    with learner_jax.Learner(recipe, find("ce_count"), data(), 0) as learner:
        assert {x.dtype for x in jax.tree.leaves(learner.state.network)} == {jnp.dtype("float64")}
    assert jnp.ones(()).dtype == jnp.float32
    with pytest.raises(InputError, match="--precision: expected 32-true or 64-true or bf16-true"):
        learner_jax.Learner(
            replace(recipe, precision="bf16-mixed"), find("ce_count"), data(), 0
        ).__enter__()
    assert jnp.ones(()).dtype == jnp.float32


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        (Machines(devices=1000), r"--devices: expected at most \d+, the devices that JAX has here"),
        (
            Machines(accelerator="gpu"),
            r"--accelerator: expected cpu, which JAX has, got gpu\. Choo",
        ),
    ],
    ids=["too many", "of another kind"],
)
def test_devices_that_are_not_there_are_refused(machines, words):
    with pytest.raises(InputError, match=words):
        learner_jax.Learner(RECIPE, find("ce_count"), data(), 0, None, machines).__enter__()


def test_an_objective_without_a_finite_gradient_is_refused(monkeypatch):
    monkeypatch.setattr(training, "load", lambda recipe: data())
    rehearse(RECIPE, find("ce_count + 0.1*rate_bounds"))
    with pytest.raises(InputError, match="objective: expected a finite value and gradient"):
        rehearse(RECIPE, find("1e39*mse_count"))


# ---- the workbench around it


def test_missing_packages_are_said(monkeypatch):
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "optax" else name)
    with pytest.raises(InputError) as raised:
        rehearse(RECIPE, find("ce_count"))
    words = "--library jax: expected the packages of a library that trains, got no optax. "
    assert str(raised.value) == words + hint("jax")


def test_one_thread_is_asked_for_once_and_by_jax_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--mine")
    monkeypatch.setenv("NPROC", "3")
    training.in_one_thread(Recipe())
    assert (os.environ["XLA_FLAGS"], os.environ["NPROC"]) == ("--mine", "3")
    for _ in range(2):
        training.in_one_thread(RECIPE)
    assert os.environ["XLA_FLAGS"] == f"--mine {training.ONE_THREAD}"
    assert os.environ["NPROC"] == "1"


def test_versions_are_those_of_the_library():
    known = environment.versions(library="jax")
    assert {"jax", "jaxlib", "optax"} <= known.keys()
    assert not {"torch", "snntorch"} & known.keys()


def python(code, *arguments, **env):
    """A process that runs code, and what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    env = {**os.environ, "JAX_PLATFORMS": "cpu", **env}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def test_commands_load_no_library():
    code = (
        "import sys, spikeloss.lab.commands as _; print({'jax', 'torch', 'optax'} & {*sys.modules})"
    )
    with python(code) as process:
        assert process.communicate()[0].strip() == "set()"


TRAINED = """
import json, os, sys
import jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
devices, batch, accumulate, address, processes, rank = sys.argv[1:]
if address != "-":
    jax.distributed.initialize(address, int(processes), int(rank))
from spikeloss.lab.recipe import Machines, Recipe
from spikeloss.lab.objectives import find
from spikeloss.lab.training import fit
machines = Machines(devices=int(devices))
recipe = Recipe(steps=5, hidden=16, epochs=2, library="jax",
    batch_size=int(batch), accumulate=int(accumulate))
run = fit(recipe, find("ce_count + 0.1*rate_bounds"), 0, machines=machines)
print(json.dumps([[epoch.loss, epoch.accuracy] for epoch in run.curve]))
"""


def trained(*, devices=1, batch=64, accumulate=1, local=1, processes=1):
    """The curve of a training on some devices, as each process sees it."""
    address = "-"
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={local}"
    known = devices, batch, accumulate, address, processes
    started = [python(TRAINED, *known, rank, XLA_FLAGS=flags) for rank in range(processes)]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=pytest.mark.long), 3])
def test_devices_share_a_batch(accumulate):
    """1437 samples in batches of 64 leave 29, which two devices do not divide."""
    (one,) = trained(accumulate=accumulate)
    (two,) = trained(accumulate=accumulate, devices=2, local=2)
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=6e-3)


@pytest.mark.long
@pytest.mark.slow
def test_processes_share_a_batch():
    (one,) = trained()
    first, second = trained(devices=2, processes=2)
    assert first == second
    np.testing.assert_allclose(first, one, rtol=1e-4, atol=6e-3)


@pytest.mark.slow
def test_the_command_joins_processes(tmp_path):
    (one,) = trained()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["train", "--library", "jax", "--num-nodes", "2", "--steps", "5", "--hidden", "16",
             "--epochs", "2", "--objective", "ce_count + 0.1*rate_bounds", "--json"]  # fmt: skip
    own = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "spikeloss", *words],
            env=os.environ | own | {"JAX_PROCESS_ID": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    (said, _), (nothing, _) = (process.communicate(timeout=300) for process in started)
    assert "{" not in nothing  # Gloo says that it is connected
    epochs = json.loads(said[said.index("{") :])["run"]["curve"]
    curve = [[epoch["loss"], epoch["accuracy"]] for epoch in epochs]
    np.testing.assert_allclose(curve, one, rtol=1e-4, atol=6e-3)


def test_processes_that_nobody_names_are_refused(monkeypatch):
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="--num-nodes: expected a cluster that JAX knows"):
        training.join(RECIPE, Machines(num_nodes=2))
    training.join(RECIPE, Machines())


KILLED = """
import sys
from pathlib import Path
from dataclasses import asdict
from spikeloss.lab.recipe import Recipe
from spikeloss.lab.objectives import find
from spikeloss.lab.training import fit
recipe = Recipe(steps=5, hidden=16, epochs=4, library="jax")
run = fit(recipe, find("ce_count"), 0, checkpoint=Path(sys.argv[1]),
    watch=lambda epoch: print(epoch.loss, epoch.accuracy, flush=True))
print(run.confusion, run.sample)
"""


@pytest.mark.slow
def test_a_kill_costs_an_epoch_at_most(tmp_path):
    with python(KILLED, tmp_path / "whole") as process:
        whole = process.communicate()[0].splitlines()
    with python(KILLED, tmp_path / "cut") as process:
        seen = [process.stdout.readline().strip() for _ in range(2)]
        process.send_signal(signal.SIGKILL)
    with python(KILLED, tmp_path / "cut") as process:
        rest = process.communicate()[0].splitlines()
    assert seen == whole[:2]
    assert rest == whole  # the epochs that were kept are told first


@pytest.mark.slow
def test_compare_trains_in_jax(tmp_path):
    words = "--library jax --epochs 2 --steps 5 --hidden 16 --seeds 1 --objective ce_count"
    command = [sys.executable, "-m", "spikeloss.cli", "compare", *words.split(), "--json"]
    done = subprocess.run([*command, "--out", tmp_path / "x"], capture_output=True, check=True)
    result = json.loads(done.stdout)
    assert result["config"]["recipe"]["library"] == "jax"
    assert {"jax", "jaxlib", "optax"} <= result["versions"].keys()
    assert (tmp_path / "x" / "report.html").exists()


@pytest.mark.slow
def test_both_libraries_learn_the_digits_alike():
    recipe = Recipe(epochs=5)
    accuracies = [
        np.mean([fit(replace(recipe, library=name), find("ce_count"), s).accuracy for s in (0, 1)])
        for name in ("torch", "jax")
    ]
    assert min(accuracies) > 0.9
    assert abs(accuracies[0] - accuracies[1]) < 0.03
