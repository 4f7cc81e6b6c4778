"""Arrays by name -> a data set, checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeloss._door._words import cut
from spikeloss.lab.errors import InputError

from . import checks
from .arrays import Arrays
from .options import Option
from .recipe import DataRecipe
from .samples import Dataset, Numbers, Sparse, Split, Store, check_size

OPTIONS = (
    Option("classes", 0, "Classes; 0 means the highest label and one.", 0, checks.CLASSES),
    Option("every", 5, "Every which sample is for the test, where nothing else says so.", 2, 1000),
    Option("seed", 0, "Where the randomness of that choice starts.", 0, 2**63),
)
EVENTS = ("time", "sample", "neuron", "shape")
EVENT = 60
"""Bytes that an event takes while it is sorted."""
NAMES = ("train", "test", "validation")
CONSTANT = 25
"""Steps of constant currents, unless told otherwise."""


class Part(NamedTuple):
    """Samples with labels and, perhaps, lengths, and the bytes that they needed."""

    store: Store
    labels: Numbers
    lengths: Numbers | None
    size: int = 0


def part(arrays: Arrays, prefix: str, where: object, memory: int) -> Part:
    """The samples whose names begin with `prefix`; all sizes are checked before one is loaded."""
    names = {name.removeprefix(prefix) for name in arrays.names if name.startswith(prefix)}
    kind = _kind(names, where, prefix)
    used = {"labels", *(EVENTS if kind == "time" else (kind,))} | {"lengths", "amplitude"} & names
    used -= {"amplitude"} if kind != "time" else set()
    if "labels" not in names:
        raise _lacks(where, f"an array `{prefix}labels`", names)
    needed = sum(arrays.size(prefix + name) for name in used)
    if kind == "time":
        needed += EVENT * int(np.prod(arrays.shape(prefix + "time"), dtype=float))
    else:
        needed += arrays.size(prefix + kind) // 2  # as float32, or as bits
    check_size(where, needed, memory, f"arrays {', '.join(sorted(used))}")
    labels = checks.labels(prefix + "labels", arrays.load(prefix + "labels"))
    if kind == "time":
        store: Store = _events(arrays, prefix, len(labels), memory)
    else:
        store = checks.store(prefix + kind, arrays.load(prefix + kind), len(labels))
    lengths = None
    if "lengths" in names:
        most = store.steps if store.steps > 1 else None
        lengths = checks.lengths(
            prefix + "lengths", arrays.load(prefix + "lengths"), len(labels), most
        )
    return Part(store, labels, lengths, needed)


def _kind(names: set[str], where: object, prefix: str) -> str:
    """Which array holds the samples; "time" means events."""
    kinds: list[str] = [name for name in ("inputs", "spikes") if name in names]
    if {"sample", "neuron"} & names:
        kinds.append("time")
        for name in EVENTS:
            if name not in names:
                raise _lacks(where, f"an array `{prefix}{name}` beside the others of events", names)
    if not kinds:
        rule = f"an array `{prefix}inputs` or `{prefix}spikes`, or events {', '.join(EVENTS)}"
        raise _lacks(where, rule, names)
    if len(kinds) > 1:
        got, fix = " and ".join(kinds), "Keep one of them."
        raise InputError(where, "inputs, spikes or events", got, fix)
    return kinds[0]


def _lacks(where: object, rule: str, names: set[str]) -> InputError:
    held = cut(", ".join(sorted(names))) or "nothing"
    return InputError(where, rule, held, "Save it under that name.")


def _events(arrays: Arrays, prefix: str, samples: int, memory: int) -> Sparse:
    """Events as they are held; a batch of one sample must fit, too."""
    shape = checks.event_shape(prefix + "shape", arrays.load(prefix + "shape"))
    if shape[1] != samples:
        got, fix = f"{samples} labels", "Save one label per sample."
        raise InputError(prefix + "shape", f"labels for {shape[1]} samples", got, fix)
    check_size(prefix + "shape", 4 * shape[0] * shape[2] + 8 * samples, memory, "a sample")
    time, sample, neuron = (arrays.load(prefix + name) for name in EVENTS[:3])
    time = checks.event_times(prefix + "time", time, shape[0])
    sample = checks.event_numbers(prefix + "sample", sample, len(time), shape[1])
    neuron = checks.event_numbers(prefix + "neuron", neuron, len(time), shape[2])
    amplitude = None
    if prefix + "amplitude" in arrays.names:
        amplitude = arrays.load(prefix + "amplitude")
        real = amplitude.shape == time.shape and amplitude.dtype.kind in "biuf"
        if not real or not np.isfinite(amplitude).all():
            rule, fix = f"{len(time)} numbers that are finite", "Save one per event."
            raise InputError(prefix + "amplitude", rule, "something else", fix)
    return Sparse.of(time, sample, neuron, amplitude, shape)


def dataset(
    arrays: Arrays, recipe: DataRecipe, where: Path | str, test: Arrays | None = None,
    *, classes: int = 0, every: int = 5, seed: int = 0,
) -> Dataset:  # fmt: skip
    """What arrays by name hold, and how they are split."""
    _check_ways(arrays, test)
    wanted = {"train": (arrays, "", where)}
    if test is not None:
        wanted["test"] = (test, "", str(recipe.test))
    for name in ("test", "validation"):
        if f"{name}_labels" in arrays.names:
            wanted[name] = (arrays, f"{name}_", where)
    parts: dict[str, Part] = {}
    for name, given in wanted.items():
        parts[name] = part(*given, recipe.bytes - sum(part.size for part in parts.values()))
    wheres = _indices(arrays, parts["train"].labels, recipe.bytes)
    return split(parts, wheres, recipe, classes, every, seed)


def split(
    parts: dict[str, Part],
    wheres: dict[str, Numbers],
    recipe: DataRecipe,
    classes: int,
    every: int,
    seed: int,
) -> Dataset:
    """Parts, with those that are some samples of the first one, as a data set."""
    train = parts["train"]
    if "test" not in parts and not wheres:
        wheres = _fifths(train.labels, every, seed)
    return _joined(dict.fromkeys(wheres, train) | parts, wheres, recipe, classes)


def _check_ways(arrays: Arrays, test: Arrays | None) -> None:
    """Refuse a split that is said in two ways."""
    ways = {
        "a second file": test is not None and "test",
        "arrays test_... or validation_...": {"test_labels", "validation_labels"} & arrays.names,
        "numbers of samples": set(NAMES) & arrays.names,
    }
    said = [way for way, names in ways.items() if names]
    if len(said) > 1:
        rule, fix = "one way to say what is for the test", "Keep one of them."
        raise InputError("test", rule, " and ".join(said), fix)


def _indices(arrays: Arrays, labels: Numbers, memory: int) -> dict[str, Numbers]:
    """The samples that index arrays name; those that none names are in the part without one."""
    found: dict[str, Numbers] = {}
    for name in set(NAMES) & arrays.names:
        check_size(name, 3 * arrays.size(name), memory, "numbers")
        found[name] = checks.index(name, arrays.load(name), len(labels))
    if not found:
        return {}
    if found.keys() == {"validation"}:
        fix = "Save these, too."
        raise InputError("validation", "numbers `train` or `test` beside it", "none", fix)
    taken = np.concatenate(list(found.values()))
    if len(np.unique(taken)) < len(taken):
        fix = "Name each in one of them."
        raise InputError("train", "samples that are not in test, too", "some in both", fix)
    for name in {"train", "test"} - found.keys():
        found[name] = np.setdiff1d(np.arange(len(labels)), taken)
    return found


def _fifths(labels: Numbers, every: int, seed: int) -> dict[str, Numbers]:
    """Every fifth of the samples in an order by class that is random within a class."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), bool)
    chosen[order[every - 1 :: every]] = True
    return {"train": np.flatnonzero(~chosen), "test": np.flatnonzero(chosen)}


def _joined(
    parts: dict[str, Part], wheres: dict[str, Numbers], recipe: DataRecipe, classes: int
) -> Dataset:
    """The parts as one data set, where they fit together."""
    first = parts["train"]
    steps = _steps(list(parts.values()), recipe.steps)
    some = any(
        part.lengths is not None or 1 < part.store.steps < steps for part in parts.values()
    )  # then all have lengths
    splits: dict[str, Split] = {}
    for name in NAMES:
        if name not in parts:
            continue
        store, labels, lengths, _ = parts[name]
        if (store.features, store.steps == 1) != (first.store.features, first.store.steps == 1):
            got, fix = f"{store.features} in {name}", "Save both in the same way."
            raise InputError(name, f"{first.store.features} features, as in train", got, fix)
        if lengths is None and some:
            own = steps if store.steps == 1 else min(store.steps, steps)
            lengths = np.full(len(labels), own)
        where = wheres.get(name)
        if where is not None:
            labels, lengths = labels[where], None if lengths is None else lengths[where]
        if len(labels) < (2 if name == "train" else 1):
            got = f"{len(labels)} of {len(first.labels)}"
            rule = "2 samples to learn from and 1 to test on, at least"
            raise InputError("samples", rule, f"{got} in {name}", "Bring more samples.")
        splits[name] = Split(store, labels, lengths, steps=steps, where=where)
    classes = max(2, classes or int(first.labels.max()) + 1)
    for name, split in splits.items():
        if split.labels.max() >= classes:
            got, fix = f"{split.labels.max()} in {name}", "Number the classes from 0."
            raise InputError("labels", f"values from 0 to {classes - 1}", got, fix)
    return Dataset(splits["train"], splits["test"], classes, splits.get("validation"))


def _steps(parts: Sequence[Part], asked: int | None) -> int:
    """T: no valid step is cut."""
    if all(part.store.steps == 1 for part in parts):
        longest = max((int(p.lengths.max()) for p in parts if p.lengths is not None), default=1)
        steps = asked or max(CONSTANT, longest)
    else:
        longest = max(p.store.steps if p.lengths is None else int(p.lengths.max()) for p in parts)
        steps = asked or max(p.store.steps for p in parts)
    if steps < longest:
        rule, fix = f"at least {longest}, the steps of the longest sample", "Drop --steps."
        raise InputError("--steps", rule, steps, fix)
    return steps
