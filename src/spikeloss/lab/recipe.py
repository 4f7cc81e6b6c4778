"""What is trained: everything that the numbers of a comparison depend on."""

import shlex
from dataclasses import dataclass, fields
from typing import Any, Self

from .data import source


@dataclass(frozen=True)
class Recipe:
    """How one network is trained, whatever its objective."""

    data: str = "digits"
    epochs: int = 10
    steps: int = 25
    hidden: int = 128
    batch_size: int = 64
    learning_rate: float = 0.003
    beta: float = 0.9

    @classmethod
    def of(cls, data: str, epochs: int | None, steps: int | None, **others: Any) -> Self:
        """The recipe for a data set; epochs and steps are the data set's own where None."""
        own = source(data)
        epochs, steps = epochs or own.epochs, steps or own.steps
        return cls(data, epochs, steps, **others)

    def options(self) -> list[str]:
        """The options of the command line that spell this recipe."""
        return [
            part
            for field in fields(self)
            for part in (f"--{field.name.replace('_', '-')}", str(getattr(self, field.name)))
        ]


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
