"""What is asked before anything is trained."""

from collections.abc import Sequence

from .data import load
from .limits import check_memory
from .objectives import Objective, find
from .recipe import Recipe


def chosen(texts: Sequence[str], recipe: Recipe) -> list[Objective]:
    """The objectives that the texts spell, if they can learn the data."""
    found = [find(text) for text in texts]
    classes = load(recipe.of_data()).classes
    for objective in found:
        objective.check(recipe.steps, classes)
    return found


def check(objectives: Sequence[Objective], recipe: Recipe, workers: int = 1) -> None:
    """Refuse what would fail in a training or take all memory."""
    check_memory(recipe, workers)
    from .training import rehearse

    for objective in objectives:
        rehearse(recipe, objective)
