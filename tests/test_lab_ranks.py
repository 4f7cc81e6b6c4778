"""One network in several processes: the numbers of one, and what is said when one is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest
import torch

from spikeloss.lab.checkpoint import Checkpoint
from spikeloss.lab.data import load
from spikeloss.lab.errors import InputError
from spikeloss.lab.learner_torch import Learner
from spikeloss.lab.objectives import find
from spikeloss.lab.recipe import Machines, Recipe
from spikeloss.lab.training import fit

# 1437 samples in batches of 63: the last one has 51, which no two processes share evenly.
RECIPE = Recipe(epochs=2, steps=4, hidden=8, batch_size=63, precision="64-true", clip=1.0)
WEIGHTED = "ce_rate(class_weight=[1, 2, 1, 3, 1, 1, 1, 1, 1, 2])"
SUM = f"{WEIGHTED} + 0.1*rate_bounds(upper=0.1)"


def command(recipe, objective, *more):
    words = ["--objective", objective, *recipe.options(), *map(str, more), "--json"]
    return [sys.executable, "-m", "spikeloss.cli", "train", *words]


def curve(recipe, objective, *more, launcher=()):
    """Losses and accuracies of a training in processes of its own."""
    words = [*launcher, *command(recipe, objective, *more)[1 if launcher else 0 :]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    epochs = json.loads(done.stdout)["run"]["curve"]
    return [(epoch["loss"], epoch["accuracy"]) for epoch in epochs]


def alone(recipe, objective):
    return [(epoch.loss, epoch.accuracy) for epoch in fit(recipe, find(objective), 0).curve]


@pytest.mark.parametrize("precision", ["bf16-true", "bf16-mixed"])
def test_a_precision_is_that_of_the_network(precision):
    recipe = Recipe(**asdict(RECIPE) | {"precision": precision, "accumulate": 2})
    near = alone(Recipe(**asdict(RECIPE) | {"precision": "32-true"}), SUM)
    found = alone(recipe, SUM)
    assert found[-1][0] < found[0][0]
    assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in near], rel=0.05)
    assert found != near


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_devices_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="--accelerator: expected devices that there are, got 2"):
        fit(RECIPE, find("ce_count"), 0, machines=Machines(accelerator="gpu", devices=2))


def test_parts_of_a_batch_give_its_gradient():
    expected = alone(RECIPE, SUM)
    found = alone(Recipe(**asdict(RECIPE) | {"accumulate": 4}), SUM)
    assert found == [pytest.approx(pair, rel=1e-12) for pair in expected]


def test_a_loss_without_parts_is_refused_in_parts():
    from spikeloss.lab.training import rehearse

    recipe = Recipe(**asdict(RECIPE) | {"accumulate": 4})
    with pytest.raises(InputError, match="a loss that looks at each sample by itself"):
        rehearse(recipe, find("ce_count + 0.1*membrane_information(layers='membrane')"))


def test_a_training_goes_on_with_the_same_bits(tmp_path):
    """Stopped after an epoch, as a kill would, and taken up by a new network."""
    recipe, objective = Recipe(epochs=3, steps=4, hidden=8, batch_size=100), find("ce_count")
    whole, file = fit(recipe, objective, 3), tmp_path / "a.safetensors"

    class KilledError(Exception):
        pass

    for epochs in (1, 2):
        seen = []

        def kill(epoch, seen=seen, epochs=epochs):
            seen.append(epoch)
            if len(seen) == epochs:  # it is told of those before, too
                raise KilledError

        with pytest.raises(KilledError):
            fit(recipe, objective, 3, watch=kill, checkpoint=file)
        with Learner(recipe, objective, load(recipe.of_data()), 3) as learner:
            assert len(learner.restore(file)) == epochs
    rest = fit(recipe, objective, 3, checkpoint=file)
    assert [(e.loss, e.accuracy) for e in rest.curve] == [(e.loss, e.accuracy) for e in whole.curve]
    assert rest.confusion == whole.confusion
    assert rest.sample == whole.sample


def test_a_checkpoint_of_another_training_is_not_used(tmp_path):
    recipe, file = Recipe(epochs=1, steps=4, hidden=8), tmp_path / "a.safetensors"
    fit(recipe, find("ce_count"), 0, checkpoint=file)
    data = load(recipe.of_data())
    for other, objective, seed in (
        (recipe, find("mse_count"), 0),
        (recipe, find("ce_count"), 1),
        (Recipe(epochs=1, steps=4, hidden=9), find("ce_count"), 0),
    ):
        with Learner(other, objective, data, seed) as learner:
            assert learner.restore(file) == []


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    recipe, file = Recipe(epochs=1, steps=4, hidden=8), tmp_path / "a.safetensors"
    fit(recipe, find("ce_count"), 0, checkpoint=file)
    file.write_bytes(file.read_bytes()[:-10] if damage is None else damage)
    with pytest.raises(InputError, match=r"a\.safetensors, damaged"):
        fit(recipe, find("ce_count"), 0, checkpoint=file)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    """It holds tensors and words alone: a pickle is no checkpoint."""
    file = tmp_path / "a.safetensors"
    torch.save({"made": os.system}, file)
    recipe = Recipe(epochs=1, steps=4, hidden=8)
    with pytest.raises(InputError, match="damaged"):
        fit(recipe, find("ce_count"), 0, checkpoint=file)
    none = Checkpoint(tmp_path / "none", recipe, find("ce_count"), 0)
    assert none.restore(lambda tensors: None) == []


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=pytest.mark.long), 3])
def test_two_processes_give_the_numbers_of_one(accumulate):
    recipe = Recipe(**asdict(RECIPE) | {"accumulate": accumulate})
    expected = alone(RECIPE, SUM)
    found = curve(recipe, SUM, "--devices", 2)
    assert found == [pytest.approx(pair, rel=1e-9) for pair in expected]


@pytest.mark.long
@pytest.mark.slow
def test_torchrun_gives_the_numbers_of_one():
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    found = curve(RECIPE, SUM, "--devices", 2, launcher=launcher)
    assert found == [pytest.approx(pair, rel=1e-9) for pair in alone(RECIPE, SUM)]


NETWORK = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.layer, self.spare = nn.Linear(features, classes), nn.Linear(3, 3)

    def forward(self, x):
        return torch.cumsum(self.layer(x), 0)


def make(features, classes, steps):
    return Network(features, classes)
"""


@pytest.mark.slow
def test_a_network_may_leave_weights_out(tmp_path, monkeypatch):
    (tmp_path / "spare_network.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    recipe = Recipe(**asdict(RECIPE) | {"model": "spare_network:make"})
    found = curve(
        recipe, "ce_max_membrane", "--devices", 2, "--strategy", "ddp_find_unused_parameters"
    )
    expected = alone(recipe, "ce_max_membrane")
    assert found == [pytest.approx(pair, rel=1e-9) for pair in expected]


@pytest.mark.slow
def test_a_batch_smaller_than_the_processes_goes_along():
    recipe = Recipe(**asdict(RECIPE) | {"batch_size": 1436, "epochs": 1})  # and one of 1
    found = curve(recipe, SUM, "--devices", 2)
    assert found == [pytest.approx(pair, rel=1e-9) for pair in alone(recipe, SUM)]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [pytest.param("first", marks=pytest.mark.long), "second"])
def test_losing_a_process_ends_the_other_with_a_message(tmp_path, lost):
    file = tmp_path / "a.safetensors"
    recipe = Recipe(**asdict(RECIPE) | {"epochs": 1000})
    words = command(recipe, SUM, "--devices", 2, "--checkpoint", file)
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as first:
        deadline = time.monotonic() + 120
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.5)
        (second,) = children(first.pid)
        os.kill(first.pid if lost == "first" else second, signal.SIGKILL)
        said = first.communicate(timeout=60)[1]
    assert f"are kept in {file}: repeat the command" in said
    assert "a process of this training is gone" in said
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{second}"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with Learner(recipe, find(SUM), load(recipe.of_data()), 0) as learner:
        kept = learner.restore(file)
        assert kept
        assert np.isfinite([epoch.loss for epoch in kept]).all()


def children(process):
    """The Python processes that a process has started."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True).stdout
    return [int(word) for word in found.split()]
