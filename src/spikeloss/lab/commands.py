"""The commands of `spikeloss`: those of `looking`, the atlas, and those that train."""

import os
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from spikeloss import __version__
from spikeloss._install import hint

from . import console, looking, options
from .board import board
from .checks import check
from .checks import chosen as chosen_of
from .data import load
from .ends import on_interrupt
from .environment import about
from .errors import InputError, printable
from .files import check_writable, create, dumps
from .looking import print_json
from .objectives import Objective, deciding, defaults, find
from .plugins import problems
from .recipe import Comparison, Recipe, leads, load_recipe, machines_from, recipe_from
from .runs import Epoch
from .sheets.command import atlas_
from .store import Folder
from .terminal import Commands

LAB = ("torch", "snntorch", "sklearn", "matplotlib", "jinja2")
WORKERS = min(4, os.cpu_count() or 1)


app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        print(f"spikeloss {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def spikeloss(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Objectives for spiking neural networks: look them up, score recordings, compare them."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        return
    for line in problems():
        print("warning:", printable(line), file=sys.stderr)


app.command("list")(looking.list_)
app.command()(looking.show)
app.command("doctor")(looking.doctor_)
app.command("score")(looking.score_)
app.command("atlas")(atlas_)


@app.command()
@options.takes_machines
@options.takes_recipe
def train(
    objective: Annotated[
        str,
        options.objective("What to train."),
    ],
    given: dict[str, Any],
    where: dict[str, Any],
    seed: options.Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Save the result as JSON.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Keep the training there after each epoch, and go on from it.",
            show_default="beside --out",
        ),
    ] = None,
    tensorboard: options.TensorBoard = None,
    as_json: options.AsJson = False,
) -> None:
    """Train one network with one objective, and print how it learns.

    Interrupt it at any time: with --out or --checkpoint the same command goes on after the last
    epoch.
    """
    _need_lab("train")
    if out is not None:
        _check_new(out)
        checkpoint = checkpoint or out.with_name(f"{out.name}.safetensors")
    if checkpoint is not None:
        _check_checkpoint(checkpoint)
    recipe, machines = recipe_from(given), machines_from(where)
    (chosen,) = chosen_of([objective], recipe)
    from .training import fit, in_one_thread, join

    in_one_thread(recipe)
    join(recipe, machines)
    check([chosen], recipe)
    with board(tensorboard) as written:
        stream = sys.stderr if as_json else sys.stdout
        shown, done = console.epochs_on(stream, recipe.epochs), []

        def watch(epoch: Epoch) -> None:
            done.append(epoch)
            shown(epoch)
            written.epoch(chosen.spelling, seed, epoch)

        try:
            known: Any = {"watch": watch, "checkpoint": checkpoint, "machines": machines}
            with on_interrupt(_stop):
                run = fit(recipe, chosen, seed, **known)
        except KeyboardInterrupt:
            print(_interrupted(len(done), recipe.epochs, checkpoint), file=sys.stderr)
            raise typer.Exit(130) from None
        if not leads(machines):
            return
        written.final([run])
    result = {"recipe": asdict(recipe), **about(recipe.data, recipe.library), "run": run.as_dict()}
    if as_json:
        print_json(result)
    else:
        console.show_summary([run])
    if out is not None:
        if not create(out, dumps(result, indent=2)):
            _check_new(out)
        with suppress(OSError):
            Path(str(checkpoint)).unlink()


def _stop() -> NoReturn:
    raise KeyboardInterrupt


def _interrupted(done: int, epochs: int, checkpoint: Path | None) -> str:
    """What is left of a training that was interrupted."""
    if checkpoint is None:
        return "interrupted: nothing is kept; --checkpoint FILE or --out FILE keeps every epoch."
    if not os.path.lexists(checkpoint):
        return "interrupted: before the end of the first epoch; nothing is kept yet."
    kept = f"{done} of {epochs} epochs are kept in {printable(str(checkpoint))}"
    return f"interrupted: {kept}; the same command continues."


@app.command()
@options.takes_recipe
def compare(
    given: dict[str, Any],
    recipe: Annotated[
        Path | None,
        typer.Argument(metavar="[RECIPE.toml]", help="A file that says the options."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        options.objective("An objective to compare; may be repeated.", "snnTorch's seven"),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Compare every objective that can learn the data.")
    ] = False,
    seeds: options.Seeds = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where runs and report are kept.")
    ] = Path("runs/compare"),
    workers: options.Workers = WORKERS,
    scheduler: options.Scheduler = None,
    tensorboard: options.TensorBoard = None,
    as_json: options.AsJson = False,
) -> None:
    """Train the same network once per objective and seed, and say which objective does what.

    Interrupt it at any time: the same command continues where it stopped. With other objectives,
    or more seeds, it adds these to what is there.
    """
    _need_lab("compare")
    from .cluster import connected
    from .crew import hired
    from .publishing import publish
    from .training import in_one_thread

    said, top = ({}, {}) if recipe is None else load_recipe(recipe)
    wanted = recipe_from(said | given)
    chosen = _every(wanted) if every else []
    if objective or not every:
        chosen += chosen_of(objective or top.get("objectives") or defaults(), wanted)
    names = dict.fromkeys(found.spelling for found in chosen)
    seeds = seeds or top.get("seeds", 3)
    in_one_thread(wanted)
    check(chosen, wanted, 1 if scheduler else min(workers, seeds * len(names)))
    folder = Folder.open(out, Comparison(wanted, tuple(names), seeds))
    comparison = folder.comparison
    try:
        missing = len(folder.missing())
        with board(tensorboard) as written:
            hands = connected(folder, scheduler) if scheduler else hired(folder, workers)
            with hands as crew, console.progress(comparison, missing) as bars:

                def watch(name: str, seed: int, epoch: Epoch) -> None:
                    bars(name, seed, epoch)
                    written.epoch(name, seed, epoch)

                crew.train(watch)
            result = publish(folder)
            written.final(folder.runs())
    except KeyboardInterrupt:
        total = len(comparison.runs())
        kept = f"{total - len(folder.missing())} of {total} runs are finished and kept in {out}"
        print(f"interrupted: {kept}; the same command continues.", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print_json(result | {"out": str(out)})
    else:
        console.show_summary(folder.runs())
        print("report:", printable(str(out / "report.html")))


def _check_new(out: Path) -> None:
    """Refuse a file that is there, or that could not be written."""
    if os.path.lexists(out):
        raise InputError("--out", "a new file", f"{out}, which exists", "Name another file.")
    check_writable(out)


def _check_checkpoint(path: Path) -> None:
    """Refuse what is no file, or could not be written."""
    if path.is_dir():
        fix = "Name a file in it."
        raise InputError("--checkpoint", "a file", f"the folder {path}", fix)
    if not os.path.lexists(path):
        check_writable(path, "--checkpoint")


def _every(recipe: Recipe) -> list[Objective]:
    """Every objective that can learn the data."""
    classes, chosen = load(recipe.of_data()).classes, []
    for objective in map(find, deciding()):
        with suppress(InputError):
            objective.check(recipe.steps, classes)
            if not objective.loss.main.criterion.couples:  # samples with each other
                chosen.append(objective)
    return chosen


def _need_lab(command: str) -> None:
    missing = [name for name in LAB if find_spec(name) is None]
    if missing:
        fix = hint("lab")
        rule = "the packages of the workbench"
        raise InputError(f"spikeloss {command}", rule, f"no {missing[0]}", fix)
