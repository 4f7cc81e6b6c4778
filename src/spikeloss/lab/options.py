"""The options that the commands share."""

import math
from typing import Annotated, Any

import typer

from spikeloss._door._words import cut

from .data import DATASETS
from .errors import InputError


def _number(
    name: str,
    text: str,
    kind: type[int] | type[float] = int,
    least: float = 1,
    most: float = 1,
    default: bool | str = True,
) -> Any:
    """An option that takes a number from `least` to `most`, a whole one where the kind is int.

    `default` is what the help says of its default, if not the value itself.
    """

    def parse(value: str) -> float:
        try:
            number = kind(value)
        except ValueError:
            number = math.nan
        if least <= number <= most:
            return number
        rule, try_this = f"a number from {least} to {most}", least
        if kind is int:
            above = number > most
            try_this = most if above else least
            rule = f"a whole number of at {'most' if above else 'least'} {try_this}"
        raise InputError(name, rule, cut(value) or "nothing", f"Try {name} {try_this}.")

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
    _number("--epochs", "Passes over the training samples.", most=10**5, default=_own("epochs")),
]
Steps = Annotated[
    int | None,
    _number("--steps", "Time steps of a sample.", most=10**4, default=_own("steps")),
]
Hidden = Annotated[int, _number("--hidden", "Hidden neurons.", most=10**6)]
BatchSize = Annotated[int, _number("--batch-size", "Samples in a batch.", most=10**6)]
LearningRate = Annotated[float, _number("--learning-rate", "Of Adam.", float, 1e-6)]
Beta = Annotated[float, _number("--beta", "Membrane that is left after a step.", float, 0)]
Seeds = Annotated[int, _number("--seeds", "Runs of each objective: seeds 0, 1, ...", most=1000)]
Seed = Annotated[int, _number("--seed", "Where randomness starts.", least=0, most=2**64 - 1)]
Workers = Annotated[int, _number("--workers", "Processes that train, one thread each.", most=256)]
Memory = Annotated[
    float,
    _number("--memory", "GiB that the recording and its scores may take.", float, 0.001, 2**20),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
