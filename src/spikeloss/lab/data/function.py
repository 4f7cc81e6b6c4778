"""Samples from a function of the user's, named "package.module:function".

It is called with `steps`, where these are given or have no default, and with the options, and
returns a mapping with the names that files use, (inputs, labels), (train_inputs, train_labels,
test_inputs, test_labels), or a `Dataset`. What it returns is checked like a file.
"""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from spikeloss._door._words import cut, said
from spikeloss.lab.errors import InputError
from spikeloss.lab.imports import names_code

from . import assemble, checks
from .arrays import Given
from .options import unknown
from .recipe import DataRecipe
from .samples import Dataset, Split

ORDERS = {
    2: ("inputs", "labels"),
    4: ("inputs", "labels", "test_inputs", "test_labels"),
}


def build(recipe: DataRecipe, steps: int, **options: Any) -> Dataset:
    """Call the function of a recipe, and check what it returns."""
    with _here():
        function = _function(recipe.source)
        words = _words(function, recipe, steps, options)
        try:
            made = function(**words)
        except InputError:
            raise
        except Exception as wrong:
            _failed(recipe.source, wrong)
    if isinstance(made, Dataset):
        _check(made)
        return made
    if isinstance(made, tuple) and len(made) in ORDERS:
        made = dict(zip(ORDERS[len(made)], made, strict=True))
    if not isinstance(made, Mapping) or not all(isinstance(name, str) for name in made):
        rule = "a mapping, (inputs, labels), (train_inputs, train_labels, test_inputs, test_labels)"
        fix = "Return one of these, in NumPy arrays."
        raise InputError(recipe.source, f"{rule} or a Dataset", said(made), fix)
    return assemble.dataset(Given(made), recipe, recipe.source)


def _function(name: str) -> Callable[..., Any]:
    """The function; its module may lie in the current directory, as with `python -m`."""
    if not names_code(name):
        fix = "Write it as package.module:function."
        raise InputError("--data", "the name of a function", cut(repr(name)), fix)
    module, _, attribute = name.partition(":")
    try:
        found = importlib.import_module(module)
    except Exception as wrong:
        _failed(name, wrong)
    function = getattr(found, attribute, None)
    if not callable(function):
        near = [word for word, value in vars(found).items() if inspect.isfunction(value)]
        got = f"no function in {module}, which has {cut(', '.join(near)) or 'none'}"
        raise InputError(name, f"a function `{attribute}`", got, "Check the name.")
    return function  # type: ignore[no-any-return]


@contextmanager
def _here() -> Iterator[None]:
    """The current directory is looked through first."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        importlib.invalidate_caches()
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(here)


def _words(
    function: Callable[..., Any], recipe: DataRecipe, steps: int, options: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of the function."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return {"steps": steps} | options
    known = signature.parameters
    words, any_word = dict(options), any(p.kind is p.VAR_KEYWORD for p in known.values())
    own = known["steps"].default if "steps" in known else inspect.Parameter.empty
    if recipe.steps is not None or (own is inspect.Parameter.empty and "steps" in known):
        words["steps"] = steps
    for name in words:
        if name not in known and not any_word:
            raise unknown(name, list(known), recipe.source)
    try:
        signature.bind(**words)
    except TypeError as wrong:
        fix = "Give it in options, or give it a default."
        raise InputError(recipe.source, "all its arguments", str(wrong), fix) from None
    return words


def _failed(name: str, wrong: Exception) -> NoReturn:
    """What was raised, and where, in one line."""
    frames = traceback.extract_tb(wrong.__traceback__)[1:]
    own = ("<", importlib.__file__ or "<")
    users = [frame for frame in frames if not frame.filename.startswith(own)]
    last = f", {Path(users[-1].filename).name} line {users[-1].lineno}" if users else ""
    got = f"{type(wrong).__name__}: {cut(str(wrong))}{last}"
    raise InputError(name, "a function that gives samples", got, "Correct it.") from wrong


def _check(dataset: Dataset) -> None:
    """A `Dataset` that fits together."""
    splits = {"train": dataset.train, "test": dataset.test, "validation": dataset.validation}
    for name, split in splits.items():
        if split is None and name == "validation":
            continue
        if not isinstance(split, Split):
            raise InputError(name, "a Split", said(split), "Build it with Split.")
        labels = checks.labels(f"{name} labels", split.labels)
        if split.lengths is not None:
            checks.lengths(f"{name} lengths", split.lengths, len(labels), split.steps)
        if (split.features, split.steps) != (dataset.train.features, dataset.train.steps):
            got = f"{split.features} features, {split.steps} steps"
            rule = f"{dataset.train.features} features and {dataset.train.steps} steps, as in train"
            raise InputError(name, rule, got, "Build both in the same way.")
        if labels.max() >= dataset.classes:
            got, fix = labels.max(), "Number the classes from 0."
            raise InputError("labels", f"values from 0 to {dataset.classes - 1}", got, fix)
