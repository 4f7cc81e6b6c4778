"""What learners of all libraries are: a recipe, an objective, and how its loss is asked for.

A learner does what `spikeloss.lab.training` asks: `epoch`, `respond`, `save`, `restore`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeloss.parts import Parts

from .checkpoint import Checkpoint
from .data import Dataset
from .objectives import Objective
from .recipe import Machines, Recipe

Criterion = Callable[[Any, Any, Any], Any]
"""record (T, B, N), or records by name, labels (B,), lengths (B,) | None -> loss ()"""

CHUNK = 512
"""Test samples that the network sees at a time, at most."""


class Learning:
    """What is learned; `objective` is the one that is `spelled`, on the layers of the network."""

    objective: Objective

    def __init__(
        self,
        recipe: Recipe,
        objective: Objective,
        data: Dataset,
        seed: int,
        criterion: Criterion | None = None,
        machines: Machines | None = None,
    ) -> None:
        self.recipe, self.data, self.seed, self.spelled = recipe, data, seed, objective
        self.criterion, self.machines = criterion, machines or Machines()

    def file(self, path: Path) -> Checkpoint:
        """The checkpoint of this training."""
        return Checkpoint(path, self.recipe, self.spelled, self.seed)

    def loss(self, records: Any, labels: Any, lengths: Any) -> Any:
        """That of the objective, or of the criterion in its place."""
        if self.criterion is not None:
            return self.criterion(records, labels, lengths)
        return self.objective.loss(records, labels, lengths=lengths)

    def parts(self, records: Any, labels: Any, lengths: Any) -> Parts:
        """Those of the objective's loss."""
        return self.objective.loss.parts(records, labels, lengths=lengths)
