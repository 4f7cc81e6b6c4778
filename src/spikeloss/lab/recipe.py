"""What is trained: everything that the numbers of a comparison depend on.

A recipe is one flat value. A TOML file says it in three sections, the command line in options:

    objectives = ["ce_count", "mse_count(on=0.8)"]
    seeds = 3

    [data]
    data = "digits"

    [model]
    hidden = 128

    [training]
    epochs = 10
"""

import difflib
import os
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, get_args, get_type_hints

from spikeloss._door._words import cut

from .data import DataRecipe, source
from .errors import InputError

Options = tuple[tuple[str, Any], ...]
"""Options of what a user names, each a plain value: (("dim", 2), ...)."""


def _of(section: str, default: Any, words: str, **known: Any) -> Any:
    return field(default=default, metadata={"section": section, "help": words, **known})


@dataclass(frozen=True)
class Recipe:
    """How one network is trained, whatever its objective."""

    data: str = _of("data", "digits", "Samples: a name, a file, or package.module:function.")
    epochs: int = _of("training", 10, "Passes over the training samples.", low=1, high=10**5)
    steps: int = _of("data", 25, "Time steps of a sample.", low=1, high=10**4)
    encoding: str | None = _of("data", None, "Of inputs: current, rate, latency or delta.")
    folder: str | None = _of("data", None, "Where the files of a data set lie.")
    test: str | None = _of("data", None, "A file of test samples, beside that of --data.")
    data_options: tuple[tuple[str, Any], ...] = _of("data", (), "An option of --data, name=value.")
    memory: float = _of("data", 4.0, "GiB that the samples may take.", low=1e-3, high=1e6)
    model: str = _of("model", "feedforward", "feedforward, or package.module:factory.")
    hidden: int = _of("model", 128, "Hidden neurons of a layer.", low=1, high=10**6)
    layers: int = _of("model", 1, "Hidden layers.", low=1, high=100)
    neuron: str = _of("model", "leaky", "Of all layers.", names=("leaky", "synaptic"))
    recurrent: bool = _of("model", False, "Hidden layers hear their own spikes.")
    readout: str = _of("model", "spiking", "Output neurons.", names=("spiking", "membrane"))
    population: int = _of("model", 1, "Output neurons of a class.", low=1, high=10**4)
    beta: float = _of("model", 0.9, "Membrane that is left after a step.", low=0, high=1)
    output_beta: float | None = _of("model", None, "That of the output, if another.", low=0, high=1)
    alpha: float = _of("model", 0.8, "Current left after a step, if synaptic.", low=0, high=1)
    learn_decay: bool = _of("model", False, "alpha and beta are learned.")
    normalised: bool = _of("model", False, "Currents count 1 - beta: a constant one is the limit.")
    threshold: float = _of("model", 1.0, "Membrane above which it spikes.", low=1e-6, high=1e6)
    reset: str = _of("model", "subtract", "After a spike.", names=("subtract", "zero"))
    unbiased: bool = _of("model", False, "Layers have no biases.")
    gain: float = _of("model", 1.0, "First weights, times the usual ones.", low=0, high=1e6)
    output_gain: float | None = _of(
        "model", None, "That of the output, if another.", low=0, high=1e6
    )
    mean: float = _of("model", 0.0, "Added to first weights.", low=-1e6, high=1e6)
    output_mean: float | None = _of(
        "model", None, "That of the output, if another.", low=-1e6, high=1e6
    )
    surrogate: str = _of(
        "model", "atan", "Derivative of a spike.", names=("atan", "fast_sigmoid", "sigmoid")
    )
    slope: float | None = _of("model", None, "Of the surrogate.", low=0, high=1e4)
    model_options: tuple[tuple[str, Any], ...] = _of(
        "model", (), "An option of --model, name=value."
    )
    library: str = _of("training", "torch", "That trains.", names=("torch", "jax"))
    optimiser: str = _of("training", "adam", "That learns.", names=("adam", "adamw", "sgd"))
    batch_size: int = _of("training", 64, "Samples in a batch.", low=1, high=10**6)
    learning_rate: float = _of("training", 0.003, "Of the optimiser.", low=1e-6, high=1)
    decay: float = _of(
        "training", 1.0, "Of the learning rate, a factor per epoch.", low=1e-3, high=1
    )
    decay_every: int = _of("training", 1, "Epochs for which it stays.", low=1, high=10**5)
    clip: float | None = _of("training", None, "Largest norm of a gradient.", low=0, high=1e6)
    accumulate: int = _of("training", 1, "Parts of a batch, one at a time.", low=1, high=10**4)
    precision: str = _of(
        "training",
        "32-true",
        "Of the network.",
        names=("32-true", "64-true", "bf16-true", "bf16-mixed"),
    )

    @classmethod
    def of(cls, data: str, epochs: int | None, steps: int | None, **others: Any) -> Self:
        """The recipe for a data set; epochs and steps are the data set's own where None."""
        own = source(data)
        epochs, steps = epochs or own.epochs, steps or own.steps
        return cls(data=data, epochs=epochs, steps=steps, **others)

    def of_data(self) -> DataRecipe:
        """What it says of the data."""
        own = self.data_options, self.memory
        return DataRecipe(self.data, self.steps, self.encoding, self.folder, self.test, *own)

    def output_of(self, name: str) -> float:
        """The "beta", "gain" or "mean" of the output: its own, or that of all layers."""
        own = getattr(self, f"output_{name}")
        value: float = getattr(self, name) if own is None else own
        return value

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.decay ** (epoch // self.decay_every)

    def options(self) -> list[str]:
        """The options of the command line that spell what is not as it is by default."""
        usual, words = type(self)(), []
        for each in fields(self):
            value, name = getattr(self, each.name), f"--{each.name.replace('_', '-')}"
            if value is True:
                words.append(name)
            elif each.name.endswith("_options"):
                word = name.removesuffix("s")
                words += [part for key, given in value for part in (word, f"{key}={given}")]
            elif each.name in ALWAYS or value != getattr(usual, each.name):
                words += [name, str(value)]
        return words


@dataclass(frozen=True)
class Machines:
    """Where one network is trained. Its numbers depend on it by rounding only.

    `devices` of `num_nodes` machines are processes that hold a part of each batch, in PyTorch by
    Lightning Fabric, which starts those of this machine itself or finds those of `torchrun`.
    """

    accelerator: str = field(
        default="cpu",
        metadata={"help": "That trains.", "names": ("cpu", "gpu", "auto")},
    )
    devices: int = field(
        default=1, metadata={"help": "Processes that train it.", "low": 1, "high": 1024}
    )
    num_nodes: int = field(
        default=1, metadata={"help": "Machines that train it.", "low": 1, "high": 1024}
    )
    strategy: str = field(
        default="ddp",
        metadata={
            "help": "Of processes; the second if weights are left out.",
            "names": ("ddp", "ddp_find_unused_parameters"),
        },
    )

    @property
    def ranks(self) -> int:
        """The processes of all machines."""
        return self.devices * self.num_nodes


ALWAYS = ("data", "epochs", "steps", "hidden", "batch_size", "learning_rate", "beta")
"""Options that a command spells although they are as usual."""


@dataclass(frozen=True)
class Comparison:
    """One recipe, trained once per objective and seed 0, 1, ... seeds - 1."""

    recipe: Recipe
    objectives: tuple[str, ...]
    seeds: int = 3

    def runs(self) -> list[tuple[str, int]]:
        """Every objective and seed; all objectives of a seed before the next seed."""
        return [(name, seed) for seed in range(self.seeds) for name in self.objectives]

    def command(self) -> str:
        """The command that repeats this comparison."""
        names = [part for name in self.objectives for part in ("--objective", name)]
        words = ["spikeloss", "compare", *names, "--seeds", str(self.seeds)]
        return shlex.join([*words, *self.recipe.options()])


# Recipe files


SECTIONS = ("data", "model", "training")
LARGEST = 2**20
"""Bytes of a recipe file."""


def load_recipe(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a recipe file says of recipes, by their fields, and of `objectives` and `seeds`."""
    fix = "See `spikeloss compare --help` for a recipe."
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        values = tomllib.loads(text.decode())
    except OSError as wrong:
        why = (wrong.strerror or str(wrong)).lower()
        raise InputError(path, "a recipe to read", why, "Check the path.") from None
    except (ValueError, RecursionError) as wrong:
        raise InputError(path, "a recipe in TOML", cut(str(wrong)), fix) from None
    top = {key: value for key, value in values.items() if key not in SECTIONS}
    _known(path, top, ("objectives", "seeds"))
    found: dict[str, Any] = {}
    for section in SECTIONS:
        given = values.get(section, {})
        if not isinstance(given, dict):
            raise InputError(path, f"a section [{section}]", repr(given), fix)
        inside = {each.name: each for each in fields(Recipe) if each.metadata["section"] == section}
        _known(path, given, inside)
        found |= {name: checked(inside[name], value) for name, value in given.items()}
    if "objectives" in top:
        names = top["objectives"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError("objectives", "a list of names", cut(repr(names)), fix)
    if "seeds" in top and (type(top["seeds"]) is not int or not 1 <= top["seeds"] <= 1000):
        raise InputError("seeds", "a whole number from 1 to 1000", cut(repr(top["seeds"])), fix)
    return found, top


def _known(path: Path, given: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), n=1)
            fix = f"Did you mean {close[0]}?" if close else f"Choose from: {', '.join(known)}."
            raise InputError(path, "words of a recipe", repr(cut(name)), fix)


HINTS: dict[str, Any] = get_type_hints(Recipe)
"""The types of the fields of a recipe."""


def checked(each: Field[Any], value: Any, hints: Mapping[str, Any] = HINTS) -> Any:
    """The value of a field of a recipe, refused where it is none."""
    kind, known, name = hints[each.name], each.metadata, each.name.replace("_", "-")
    if each.name.endswith("_options"):
        return _options(name, value)
    kinds = get_args(kind) or (kind,)
    if float in kinds and type(value) is int:
        value = float(value)
    if type(value) not in kinds:
        words = " or ".join(each.__name__ for each in kinds if each is not type(None))
        raise InputError(f"--{name}", f"a value of type {words}", repr(value), "Correct it.")
    if "names" in known and value not in known["names"]:
        names = known["names"]
        close = difflib.get_close_matches(str(value), names, n=1)
        fix = f"Did you mean {close[0]}?" if close else "Choose one of these."
        raise InputError(f"--{name}", " or ".join(names), repr(cut(str(value))), fix)
    if "low" in known and value is not None and not known["low"] <= value <= known["high"]:
        rule = f"a number from {known['low']} to {known['high']}"
        raise InputError(f"--{name}", rule, value, f"Try {max(known['low'], 1)}.")
    return value


def _options(name: str, value: Any) -> Options:
    """A table of plain values as pairs."""
    pairs = value.items() if isinstance(value, dict) else value
    plain = (str, int, float, bool)
    if not all(isinstance(key, str) and isinstance(given, plain) for key, given in pairs):
        raise InputError(f"--{name}", "a table of plain values", cut(repr(value)), "Correct it.")
    return tuple((key, given) for key, given in pairs)


def recipe_from(given: Mapping[str, Any]) -> Recipe:
    """A recipe of values by their fields, each checked; others are the data set's, or as usual."""
    names = {each.name: each for each in fields(Recipe)}
    values = {name: checked(names[name], value) for name, value in given.items()}
    data = values.pop("data", Recipe.data)
    return Recipe.of(data, values.pop("epochs", None), values.pop("steps", None), **values)


def machines_from(given: Mapping[str, Any]) -> Machines:
    """Machines of values by their fields, each checked."""
    names, hints = {each.name: each for each in fields(Machines)}, get_type_hints(Machines)
    return Machines(**{name: checked(names[name], x, hints) for name, x in given.items()})


RANKS = ("RANK", "NODE_RANK", "LOCAL_RANK", "JAX_PROCESS_ID", "SLURM_PROCID")
"""Variables in which launchers say which of its processes one is."""


def leads(machines: Machines) -> bool:
    """Whether this process is the first of those that train a network."""
    ranks = (os.environ.get(name) for name in RANKS)
    return machines.ranks == 1 or all(rank in (None, "", "0") for rank in ranks)


def as_toml(comparison: Comparison) -> str:
    """A recipe file that repeats a comparison."""
    import tomlkit

    document = tomlkit.document()
    document["objectives"] = list(comparison.objectives)
    document["seeds"] = comparison.seeds
    values = asdict(comparison.recipe)
    for section in SECTIONS:
        table = tomlkit.table()
        for each in fields(Recipe):
            value = values[each.name]
            if each.metadata["section"] == section and value is not None:
                table[each.name] = dict(value) if each.name.endswith("_options") else value
        document[section] = table
    text: str = tomlkit.dumps(document)
    return text
