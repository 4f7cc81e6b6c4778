"""Networks of the user's, made and tried: what goes wrong in them is said, in every library."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spikeloss._door._words import cut

from .errors import InputError
from .imports import imported, names_code
from .names import MODELS
from .recipe import Recipe


def made(recipe: Recipe, features: int, classes: int) -> Any:
    """What the factory that a recipe names gives."""
    if not names_code(recipe.model):
        rule = f"{' or '.join(MODELS)}, or package.module:factory"
        raise InputError("--model", rule, repr(cut(recipe.model)), "Name one of these.")
    factory, options = imported(recipe.model, "--model"), dict(recipe.model_options)
    rule = "a factory that takes features, classes, steps and its options by name"
    with failures(recipe, rule, "Correct the factory."):
        return factory(features=features, classes=classes, steps=recipe.steps, **options)


@contextmanager
def failures(recipe: Recipe, rule: str, fix: str) -> Iterator[None]:
    """What is raised in here, by the user's code, is a mistake in --model."""
    try:
        yield
    except InputError:
        raise
    except Exception as wrong:
        got = f"{recipe.model} ({type(wrong).__name__}: {cut(str(wrong))})"
        raise InputError("--model", rule, got, fix) from wrong


def trials(recipe: Recipe, inputs: Any) -> Any:
    """The same, where a network is called with inputs."""
    rule = f"a network that takes inputs {tuple(inputs.shape)}"
    return failures(recipe, rule, "Correct the network.")
