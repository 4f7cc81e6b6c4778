"""The commands of `spikeloss`: they take options, call the workbench, and print."""

import os
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from spikeloss.presets import catalogue

from . import console, doctor, options, score
from .checks import check
from .checks import chosen as chosen_of
from .data import load
from .describe import details, overview
from .environment import about
from .errors import InputError, TrainingError, printable
from .files import check_writable, create, dumps
from .limits import MEMORY, SMALLER
from .objectives import Objective, defaults, find
from .recipe import Comparison, Recipe, load_recipe, recipe_from
from .recording import read
from .store import Folder

LAB = ("torch", "snntorch", "sklearn", "matplotlib", "jinja2")
WORKERS = min(4, os.cpu_count() or 1)
UsageError: Any = typer.BadParameter.__base__  # typer has no public name for it


class Commands(TyperGroup):
    """Commands that print a mistake as one line on stderr and exit with 2."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command line, whoever calls it."""
        if sys.stdout is None:
            sys.exit(_complain(1, _unwritten("none that is open")))
        if hasattr(sys.stdout, "reconfigure"):  # a ? for what the terminal's alphabet lacks
            sys.stdout.reconfigure(errors="replace")
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
            sys.stdout.flush()
        except InputError as wrong:
            code = _complain(2, str(wrong))
        except TrainingError as failed:
            code = _complain(1, str(failed))
        except UsageError as wrong:
            code = _complain(2, _usage(wrong))
        except MemoryError:
            code = _complain(1, f"memory: expected enough for this, got too little. {SMALLER}")
        except OSError as wrong:
            _drop_output()
            gone = isinstance(wrong, BrokenPipeError)  # as `| head` ends: nobody reads on
            code = 1 if gone else _complain(1, _unwritten(wrong.strerror or str(wrong)))
        sys.exit(code)


def _complain(code: int, message: str) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            print("error:", printable(message), file=sys.stderr, flush=True)
    return code


def _unwritten(why: str) -> str:
    return f"stdout: expected a place that can be written, got {why}. Send the output elsewhere."


def _drop_output() -> None:
    """What is left to be printed goes nowhere, so that the interpreter's end is quiet."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(wrong: Any) -> str:
    """What is wrong with a command line, in the form of all errors."""
    command = wrong.ctx.command_path if wrong.ctx else "spikeloss"
    said = wrong.format_message().rstrip(".")
    end = "" if said.endswith("?") else "."
    return f"arguments: expected those of {command}, got: {said}{end} See {command} --help."


app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def spikeloss(context: typer.Context) -> None:
    """Objectives for spiking neural networks: look them up, score recordings, compare them."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("list")
def list_(as_json: options.AsJson = False) -> None:
    """List the objectives."""
    if as_json:
        _print_json(overview())
    else:
        console.show_overview(overview())


@app.command()
def show(name: options.Name, as_json: options.AsJson = False) -> None:
    """Show an objective: formula, stages, source, options, and an example that runs."""
    known = details(find(name))
    if as_json:
        _print_json(known)
    else:
        console.show_details(known)


@app.command("doctor")
def doctor_(as_json: options.AsJson = False) -> None:
    """Say what is installed here, and what runs: libraries, native kernels, switches."""
    known = doctor.facts()
    if as_json:
        _print_json(known)
    else:
        console.show_facts(known)


@app.command("score")
def score_(
    file: Annotated[Path, typer.Argument(metavar="FILE.npz", help="What was recorded.")],
    memory: options.Memory = MEMORY / 2**30,
    as_json: options.AsJson = False,
) -> None:
    """Score recorded activity of any simulator with every objective that applies.

    FILE.npz holds `spikes` and/or `membrane` (steps, samples, neurons), and
    `labels` (samples), or (steps, samples). Where steps are padding it says so:
    `lengths` (samples), valid steps counted from the start, or `valid`, bools
    (steps, samples).

    Events may take the place of `spikes`: `time` in steps from 0, `sample`,
    `neuron`, maybe `amplitude`, an entry per event, and `shape`, the numbers of
    steps, samples and neurons. Objectives that read every step get them as a
    dense record, if it has at most 10^8 numbers and the memory allows it.

    Nothing is loaded that scoring does not need, and a file that would take more than
    --memory is refused before it is: a dense record takes about 40 bytes per number, a
    sample 250 per neuron.
    """
    limit = int(memory * 2**30)
    recording = read(file, limit)
    scores, activity = score.scores(recording, limit), score.activity(recording)
    if as_json:
        _print_json({
            "shape": recording.shape,
            "activity": None if activity is None else asdict(activity),
            "scores": [asdict(row) for row in scores],
        })  # fmt: skip
    else:
        console.show_scores(recording, scores, activity)


@app.command()
@options.takes_recipe
def train(
    objective: Annotated[str, typer.Option("--objective", metavar="NAME", help="What to train.")],
    given: dict[str, Any],
    seed: options.Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Save the result as JSON.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Train one network with one objective, and print how it learns."""
    _need_lab("train")
    if out is not None:
        _check_new(out)
    recipe = recipe_from(given)
    (chosen,) = chosen_of([objective], recipe)
    check([chosen], recipe)
    from .training import fit

    watch = console.epochs_on(sys.stderr if as_json else sys.stdout, recipe.epochs)
    run = fit(recipe, chosen, seed, watch=watch)
    result = {"recipe": asdict(recipe), **about(recipe.data), "run": run.as_dict()}
    if as_json:
        _print_json(result)
    else:
        console.show_summary([run])
    if out is not None and not create(out, dumps(result, indent=2)):
        _check_new(out)


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
        typer.Option(
            "--objective",
            metavar="NAME",
            help="An objective to compare; may be repeated.",
            show_default="snnTorch's seven",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Compare every objective that can learn the data.")
    ] = False,
    seeds: options.Seeds = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where runs and report are kept.")
    ] = Path("runs/compare"),
    workers: options.Workers = WORKERS,
    as_json: options.AsJson = False,
) -> None:
    """Train the same network once per objective and seed, and say which objective does what.

    Interrupt it at any time: the same command continues where it stopped. With other objectives,
    or more seeds, it adds these to what is there.
    """
    _need_lab("compare")
    from .crew import hired
    from .publishing import publish

    said, top = ({}, {}) if recipe is None else load_recipe(recipe)
    wanted = recipe_from(said | given)
    chosen = _every(wanted) if every else []
    if objective or not every:
        chosen += chosen_of(objective or top.get("objectives") or defaults(), wanted)
    names = dict.fromkeys(found.spelling for found in chosen)
    seeds = seeds or top.get("seeds", 3)
    check(chosen, wanted, min(workers, seeds * len(names)))
    folder = Folder.open(out, Comparison(wanted, tuple(names), seeds))
    comparison = folder.comparison
    try:
        missing = len(folder.missing())
        with hired(folder, workers) as crew, console.progress(comparison, missing) as watch:
            crew.train(watch)
        result = publish(folder)
    except KeyboardInterrupt:
        total = len(comparison.runs())
        kept = f"{total - len(folder.missing())} of {total} runs are finished and kept in {out}"
        print(f"interrupted: {kept}; the same command continues.", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        _print_json(result | {"out": str(out)})
    else:
        console.show_summary(folder.runs())
        print("report:", printable(str(out / "report.html")))


def _check_new(out: Path) -> None:
    """Refuse a file that is there, or that could not be written."""
    if os.path.lexists(out):
        raise InputError("--out", "a new file", f"{out}, which exists", "Name another file.")
    check_writable(out)


def _every(recipe: Recipe) -> list[Objective]:
    """Every objective that can learn the data."""
    classes, chosen = load(recipe.of_data()).classes, []
    for objective in map(find, catalogue()):
        with suppress(InputError):
            objective.check(recipe.steps, classes)
            chosen.append(objective)
    return chosen


def _need_lab(command: str) -> None:
    missing = [name for name in LAB if find_spec(name) is None]
    if missing:
        fix = 'Install it with: pip install "spikeloss[lab]".'
        rule = "the packages of the workbench"
        raise InputError(f"spikeloss {command}", rule, f"no {missing[0]}", fix)


def _print_json(value: Any) -> None:
    print(dumps(value, indent=2))
