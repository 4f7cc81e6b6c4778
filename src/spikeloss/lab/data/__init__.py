"""Data sets: a recipe -> samples to learn from and to test on.

    recipe --source--> store, labels, lengths --encoding--> Split --take--> Batch (S, B, features)

`load` gives a `Dataset` for a `DataRecipe`; `source` says what it is without loading it.
"""

from .loading import load, source
from .recipe import ENCODINGS, DataRecipe
from .samples import Batch, Dataset, Split
from .sources import SOURCES, Source

__all__ = [
    "ENCODINGS", "SOURCES", "Batch", "DataRecipe", "Dataset", "Source", "Split", "load", "source",
]  # fmt: skip
