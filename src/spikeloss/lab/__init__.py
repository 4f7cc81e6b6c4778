"""The workbench: train the same spiking network once per objective, and say which does what.

    recipe, objectives, seeds -> training.fit -> Run -> store.Folder -> summary -> report

`train`, `compare` and `report` do what the commands do; `run_from_records` makes a run of
a training of your own; `atlas` shows what an objective rewards. They are imported when they are
first asked for. `objectives`, `score` and `metrics` need NumPy only, `atlas` PyTorch or JAX too;
`data`, `network`, `training`, `plots` and `publishing` need the extra `lab`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import InputError, TrainingError
    from .foreign import run_from_records
    from .functions import compare, report, train
    from .recipe import Comparison, Recipe
    from .runs import Epoch, Run, Sample
    from .sheets import Sheet, atlas

__all__ = [
    "Comparison",
    "Epoch",
    "InputError",
    "Recipe",
    "Run",
    "Sample",
    "Sheet",
    "TrainingError",
    "atlas",
    "compare",
    "report",
    "run_from_records",
    "train",
]

_PLACES = {
    "functions": ("compare", "report", "train"),
    "foreign": ("run_from_records",),
    "recipe": ("Comparison", "Recipe"),
    "runs": ("Epoch", "Run", "Sample"),
    "sheets": ("Sheet", "atlas"),
    "errors": ("InputError", "TrainingError"),
}
_FOUND = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _FOUND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FOUND[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
