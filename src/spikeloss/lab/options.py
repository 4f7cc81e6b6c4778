"""The options that the commands share."""

import math
from typing import Annotated, Any

import typer

from .data import DATASETS
from .errors import InputError


def _number(
    name: str,
    text: str,
    kind: type[int] | type[float] = int,
    least: float = 1,
    default: bool | str = True,
) -> Any:
    """An option that takes a whole number of at least `least`, or a number from `least` to 1.

    `default` is what the help says of its default, if not the value itself.
    """
    rule = f"a whole number of at least {least}" if kind is int else f"a number from {least} to 1"

    def parse(value: str) -> float:
        try:
            number = kind(value)
        except ValueError:
            number = math.nan
        if not (least <= number and (kind is int or number <= 1)):
            raise InputError(name, rule, value, f"Try {name} {least}.")
        return number

    return typer.Option(name, parser=parse, metavar="NUMBER", help=text, show_default=default)


def _own(what: str) -> str:
    """The defaults that the data sets have: "25 for digits and digits-cut, 29 for ..."."""
    names: dict[int, list[str]] = {}
    for name, source in DATASETS.items():
        names.setdefault(getattr(source, what), []).append(name)
    return ", ".join(f"{value} for {' and '.join(known)}" for value, known in names.items())


def _brief(name: str) -> str:
    """A data set and the first sentence of its description."""
    return f"{name}: {DATASETS[name].about.splitlines()[0]}"


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="An objective, with options as in 'mse_count(on=0.8)'."),
]
Data = Annotated[str, typer.Option("--data", metavar="NAME", help=" ".join(map(_brief, DATASETS)))]
Epochs = Annotated[
    int | None,
    _number("--epochs", "Passes over the training samples.", default=_own("epochs")),
]
Steps = Annotated[int | None, _number("--steps", "Time steps of a sample.", default=_own("steps"))]
Hidden = Annotated[int, _number("--hidden", "Hidden neurons.")]
BatchSize = Annotated[int, _number("--batch-size", "Samples in a batch.")]
LearningRate = Annotated[float, _number("--learning-rate", "Of Adam.", float, 1e-6)]
Beta = Annotated[float, _number("--beta", "Membrane that is left after a step.", float, 0)]
Seeds = Annotated[int, _number("--seeds", "Runs of each objective: seeds 0, 1, ...")]
Seed = Annotated[int, _number("--seed", "Where randomness starts.", least=0)]
Workers = Annotated[int, _number("--workers", "Processes that train, one thread each.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
