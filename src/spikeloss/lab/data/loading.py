"""The two doors: what a recipe names, and its samples."""

import os
from collections import OrderedDict
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from typing import Any

from spikeloss._door._words import cut
from spikeloss.lab.errors import InputError

from . import encodings, files, function
from .arrays import SUFFIXES
from .options import settle
from .recipe import DataRecipe, Value
from .samples import Dataset
from .sources import SOURCES, Source

# isort: off
from . import digits, vowels, yinyang, randman, sensors  # in the order in which they are listed
# isort: on

KEPT = 2
"""Data sets that stay in memory: a comparison trains on one, again and again."""
_kept: OrderedDict[Any, Dataset] = OrderedDict()
_lock = Lock()
del digits, randman, sensors, vowels, yinyang  # imported for their names


def source(recipe: DataRecipe | str) -> Source:
    """Where the samples of a recipe come from; loads none of them, and runs nothing of the user's.

    A known name goes before a file of that name.
    """
    name = recipe if isinstance(recipe, str) else recipe.source
    if name in SOURCES:
        return SOURCES[name]
    if Path(name).suffix.lower() in SUFFIXES:
        return files.source(Path(name))
    if ":" in name and os.path.sep not in name:
        about = f"The samples that the function {name} gives."
        return Source(name, about, function.build, named=False, free=True)
    rule = f"{', '.join(SOURCES)}, a file {', '.join(SUFFIXES)}, or package.module:function"
    near = get_close_matches(name, SOURCES, n=1)
    fix = f"Did you mean {near[0]}?" if near else "Name one of these."
    raise InputError("--data", rule, cut(repr(name)), fix)


def load(recipe: DataRecipe) -> Dataset:
    """The samples of a recipe, checked, in its encoding.

    The last few are kept, as their arrays are never written to; a file that has changed is read
    again. What a function of the user's gave is not kept, as it may differ.
    """
    known = source(recipe)
    if known.free:
        return _build(recipe, known)
    key = (recipe, _stamps(recipe))
    with _lock:
        if key not in _kept:
            while len(_kept) >= KEPT:
                _kept.popitem(last=False)
            _kept[key] = _build(recipe, known)
        _kept.move_to_end(key)
        return _kept[key]


def _stamps(recipe: DataRecipe) -> tuple[Any, ...]:
    """What tells the files of a recipe from others of the same names."""
    found = []
    for path in (Path(name) for name in (recipe.source, recipe.test, recipe.folder) if name):
        plain = path.suffix.lower() == ".npy"
        ends = ("-labels", "-lengths") if plain else ()
        for file in (path, *(path.with_name(f"{path.stem}{end}.npy") for end in ends)):
            with suppress(OSError, ValueError):
                state = file.stat()
                stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
                found.append((str(file.absolute()), *stamp))
    return tuple(found)


def _build(recipe: DataRecipe, known: Source) -> Dataset:
    """Build what a source names, and encode it."""
    _check(recipe, known)
    name = recipe.encoding or known.encoding
    own = name in known.makes
    given = dict(recipe.options)
    declared = () if own else encodings.OPTIONS[name]
    encoding = {option.name: given.pop(option.name) for option in declared if option.name in given}
    settled = _settled(known, given, declared)
    chosen = settle(declared, encoding, name)
    dataset = known.build(recipe, recipe.steps or known.steps, **settled)
    if not own:
        dataset = encodings.encode(dataset, name, chosen)
    return dataset._replace(about=dataset.about or _about(known, dataset))


def _settled(known: Source, given: dict[str, Value], others: Any) -> dict[str, Any]:
    """The options of a source; the nearest name may be one of the encoding's."""
    if known.free:
        return dict(given)
    names = {option.name for option in known.options}
    if not set(given) <= names:
        settle((*known.options, *others), given, known.name)
    return settle(known.options, given, known.name)


def _check(recipe: DataRecipe, known: Source) -> None:
    """Refuse what a source has no use for, and the lack of what it needs."""
    if known.spikes and recipe.encoding not in (None, "current"):
        fix = "Drop it, or take current."
        raise InputError("encoding", "current, as the samples are spikes", recipe.encoding, fix)
    if recipe.test is not None and (known.named or known.free):
        fix = "Drop it."
        raise InputError("test", f"none, as {known.name} has its own", recipe.test, fix)
    if recipe.folder is not None and not known.folder:
        fix = "Drop it."
        raise InputError("folder", f"none, as {known.name} needs none", recipe.folder, fix)
    if recipe.folder is None and known.folder:
        fix = "Nothing is downloaded: name the folder that you have it in."
        raise InputError("folder", f"the folder that {known.name} lies in", "none", fix)


def _about(known: Source, dataset: Dataset) -> str:
    """The description of a data set; that of a file says its sizes."""
    if known.named:
        return known.about
    train, test = dataset.train, dataset.test
    kind = "constant currents" if train.store.steps == 1 else "sequences"
    return (
        f"{known.about} {len(train)} to learn from, {len(test)} to test on: {kind} of "
        f"{train.store.features} features, {dataset.classes} classes."
    )
