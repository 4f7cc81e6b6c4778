"""Data sets: a recipe -> samples to learn from and to test on.

    recipe --source--> store, labels, lengths --encoding--> Split --take--> Batch (S, B, features)

`load` gives a `Dataset` for a `DataRecipe`; `source` says what it is without loading it.
"""

from .before import NAMES, Dataset, Split, plain
from .loading import load, source
from .recipe import ENCODINGS, DataRecipe
from .sources import SOURCES, Source

DATASETS = {name: SOURCES[name] for name in NAMES}
"""Those that are known by name to callers without a recipe."""

__all__ = [
    "DATASETS", "ENCODINGS", "SOURCES", "DataRecipe", "Dataset", "Source", "Split", "load", "plain",
    "source",
]  # fmt: skip
