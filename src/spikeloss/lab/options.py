"""The options that the commands share."""

import ast
import math
from collections.abc import Callable
from dataclasses import Field, fields
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from spikeloss._door._words import cut

from . import complete
from .data import SOURCES
from .errors import InputError
from .recipe import Machines, Recipe


def _number(
    name: str,
    text: str,
    kind: type[int] | type[float] = int,
    least: float = 1,
    most: float = 1,
    default: bool | str = True,
    panel: str | None = None,
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

    return typer.Option(
        name, parser=parse, metavar="NUMBER", help=text, show_default=default, rich_help_panel=panel
    )


def objective(text: str, default: bool | str = True) -> Any:
    """The option that names an objective; `default` is what the help says of its default."""
    return typer.Option(
        "--objective",
        metavar="NAME",
        help=text,
        show_default=default,
        autocompletion=complete.objective,
    )


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="An objective, with options as in 'mse_count(on=0.8)', or another package's name.",
        autocompletion=complete.objective,
    ),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WORDS]...",
        help="A family, or words in a name, a formula or a source; all must be there.",
        autocompletion=complete.search,
        show_default=False,
    ),
]
READS = ("spikes", "membrane", "either", "logits")
Reads = Annotated[
    str | None,
    typer.Option(
        "--reads",
        metavar="|".join(READS),
        help="What the objectives read.",
        autocompletion=complete.among(READS),
    ),
]
TensorBoard = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="FOLDER", help="Write curves for TensorBoard there."),
]
Seeds = Annotated[
    int | None,
    _number("--seeds", "Runs of each objective: seeds 0, 1, ...", most=1000, default="3"),
]
Seed = Annotated[int, _number("--seed", "Where randomness starts.", least=0, most=2**64 - 1)]
Workers = Annotated[int, _number("--workers", "Processes that train, one thread each.", most=256)]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Train on a Dask cluster, and not in --workers."
    ),
]
Memory = Annotated[
    float,
    _number("--memory", "GiB that the recording and its scores may take.", float, 0.001, 2**20),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


# A recipe, as options


def takes_recipe(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for every field of a recipe, for which it has `given`.

    `given` has what the user gave, by field.
    """
    return _takes(command, Recipe, "given")


def takes_machines(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for every field of `Machines`, for which it has `where`."""
    return _takes(command, Machines, "where", "Machines")


def _takes(
    command: Callable[..., None], kind: type, argument: str, panel: str | None = None
) -> Callable[..., None]:
    names = [each.name for each in fields(kind)]
    hints = get_type_hints(kind)

    @wraps(command)
    def run(**known: Any) -> None:
        given = {name: known.pop(name) for name in names}
        known[argument] = {name: x for name, x in given.items() if x is not None}
        command(**known)

    own = [x for x in signature(command).parameters.values() if x.name != argument]
    more = [
        Parameter(
            each.name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_option(each, hints[each.name], panel),
        )
        for each in fields(kind)
    ]
    first = [x for x in own if x.default is Parameter.empty or x.name in FIRST]
    rest = [x for x in own if x not in first]
    every = [x.replace(kind=Parameter.KEYWORD_ONLY) for x in (*first, *more, *rest)]
    run.__signature__ = Signature(every)  # type: ignore[attr-defined]
    run.__annotations__ = {x.name: x.annotation for x in every}
    return run


FIRST = ("recipe", "objective", "every", "seeds", "seed")
"""Options of a command that its help shows before those of the recipe."""


def _option(each: Field[Any], kind: Any, panel: str | None) -> Any:
    """The option of the command line for a field."""
    name, known, default = f"--{each.name.replace('_', '-')}", each.metadata, str(each.default)
    panel = panel or known["section"].capitalize()
    if each.name.endswith("_options"):
        parser = partial(_pair, name.removesuffix("s"))
        return Annotated[
            list[Any] | None,
            typer.Option(
                name.removesuffix("s"),
                parser=parser,
                metavar="NAME=VALUE",
                help=known["help"],
                rich_help_panel=panel,
            ),
        ]
    if each.name in ("epochs", "steps"):
        default = "those of the data"
    if kind is bool:
        return Annotated[bool | None, typer.Option(name, help=known["help"], rich_help_panel=panel)]
    kinds = [x for x in (get_args(kind) or (kind,)) if x is not type(None)]
    if kinds[0] is str:
        words = "|".join(known.get("names", ())) or "TEXT"
        shown = default if each.default is not None else False
        names = tuple(SOURCES) if each.name == "data" else tuple(known.get("names", ()))
        option = typer.Option(
            name,
            metavar=words,
            help=known["help"],
            show_default=shown,
            rich_help_panel=panel,
            autocompletion=complete.among(names) if names else None,
        )
        return Annotated[str | None, option]
    shown = default if each.default is not None else False
    option = _number(name, known["help"], kinds[0], known["low"], known["high"], shown, panel)
    return Annotated[kinds[0] | None, option]


def _pair(name: str, text: str) -> tuple[str, Any]:
    """An option "name=value" of what the user names; the value a Python literal, or a text."""
    key, sign, value = text.partition("=")
    if not sign or not key.isidentifier():
        raise InputError(name, "name=value", cut(repr(text)), f"Write {name} dim=2.")
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = value
    plain = isinstance(found, (bool, int, float, str))
    return key, found if plain else value
