"""What the commands print: tables on stdout, progress on stderr."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from spikeloss.records import Times

from .crew import Watch
from .doctor import Examined
from .families import FAMILIES
from .recipe import Comparison
from .recording import Recording
from .runs import Epoch, Run
from .score import Activity, Score
from .sheets import Sheet
from .summary import Column, Summary, cells, columns, percent, summarise
from .winners import findings


def _table(*columns: str, words: int = 1) -> Table:
    """An empty table: `words` columns of words, then columns of numbers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold")
    for index, column in enumerate(columns):
        if index < words:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column.replace(" ", "\n"), justify="right")
    return table


def _row(table: Table, *values: str) -> None:
    """A row of plain text: square brackets in it are no markup."""
    name, *others = values
    table.add_row(Text(name, style="cyan"), *(Text(value) for value in others))


def show_facts(known: dict[str, str]) -> None:
    """What is known, each on a row."""
    table = _table("what", "found", words=2)
    for name, value in known.items():
        _row(table, name, value)
    Console().print(table)


def show_examined(found: Sequence[Examined]) -> None:
    """`spikeloss doctor FILE`: what was found, objective by objective."""
    console = Console()
    for each in found:
        console.print(Text(each.objective, style="bold cyan"))
        if each.why_not is not None:
            console.print(Text(f"does not apply, as {each.why_not}", style="dim"))
            continue
        if not each.diagnosis:
            console.print("nothing found")
        for name, said, fix in each.diagnosis:
            console.print(Text.assemble((f"{name}: ", "bold"), said))
            console.print(Padding(Text(fix), (0, 0, 0, 4)))
        for line in each.diagnosis.left_out:
            console.print(Text(f"left out: {line}", style="dim"))


def show_overview(presets: Sequence[dict[str, str]]) -> None:
    """`spikeloss list`: family by family."""
    columns, console = ("name", "reads", "formula", "source"), Console()
    for family, meaning in FAMILIES.items():
        own = [preset for preset in presets if preset["family"] == family]
        if own:
            table = _table(*columns, words=4)
            for preset in own:
                _row(table, *(preset[column] for column in columns))
            console.print(Text.assemble((family, "bold cyan"), f": {meaning}"), table)


def show_details(about: dict[str, Any], known_as: Sequence[str] = ()) -> None:
    """`spikeloss show`; `known_as` says what the name is that was asked for."""
    console = Console()
    for line in known_as:
        console.print(Text(line))
    console.print(Text(about["name"], style="bold cyan"))
    facts = ("formula", "summary", "reads", "decides", "family", "source", "elsewhere")
    if len(about["terms"]) == 1:
        (term,) = about["terms"]
        _facts(console, {name: about[name] for name in facts}, term)
    else:
        _facts(console, {name: about[name] for name in ("formula", "decides")})
        for term in about["terms"]:
            factor = "" if term["factor"] is None else f"{term['factor']} * "
            console.print("", Text(f"{factor}{term['name']}", style="cyan"), sep="\n")
            _facts(console, {name: term[name] for name in facts if name != "decides"}, term)
    python = Syntax("", "python", theme="ansi_dark")
    console.print("", python.highlight(about["example"]), sep="\n", soft_wrap=True)


def _facts(console: Console, facts: dict[str, str], term: dict[str, Any] | None = None) -> None:
    """What is known, and the stages and options of a term; nothing of what is empty."""
    shown = {"rewards" if name == "summary" else name: value for name, value in facts.items()}
    if term is not None:
        options = [f"{name} = {value}" for name, value in term["options"].items()]
        shown |= term["stages"] | {"options": "\n".join(options)}
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    for name, value in shown.items():
        if value:
            table.add_row(name, Text(value))
    console.print(table)


def show_summary(runs: Sequence[Run]) -> None:
    """The end of `spikeloss compare`: a row per objective, what the columns mean, findings."""
    console, rows = Console(), summarise(runs)
    shown = columns(rows)
    table, half = _summary(rows, shown), (len(shown) + 1) // 2
    free = console.options.update(max_width=10_000)
    if console.measure(table, options=free).maximum <= console.width:
        console.print(table)
    else:  # a terminal that is too narrow for one
        console.print(_summary(rows, shown[:half]), _summary(rows, shown[half:]), sep="\n")
    for column in shown:
        console.print(Text.assemble((column.name, "bold"), f": {column.meaning}", style="dim"))
    if len(rows) > 1:
        console.print()
        for question, answer in findings(runs):
            console.print(Text.assemble((f"{question}: ", "bold"), answer))


def _summary(rows: Sequence[Summary], shown: Sequence[Column]) -> Table:
    table = _table("objective", *(column.name for column in shown))
    for row in rows:
        _row(table, *cells(row, shown))
    return table


def show_scores(recording: Recording, scores: Sequence[Score], activity: Activity | None) -> None:
    """`spikeloss score`."""
    console = Console()
    steps, samples, neurons = recording.shape
    what = "first spikes" if isinstance(recording.spikes, Times) else f"{steps} steps"
    console.print(f"{what}, {samples} samples, {neurons} neurons")
    if activity is not None:
        console.print(f"firing rate {activity.firing_rate:.4f} spikes per neuron and step")
        console.print(f"silent {percent(activity.silent_fraction)} of pairs of sample and neuron")
    table = _table("objective", "reads", "loss", "accuracy", "abstained", words=2)
    for score in scores:
        if score.why_not is None:
            shares = (score.accuracy, score.abstained)
            loss = score.not_finite if score.loss is None else f"{score.loss:.6g}"
            shown = ("-" if share is None else percent(share) for share in shares)
            _row(table, score.objective, score.reads, loss or "", *shown)
    console.print(table)
    reasons: dict[str, list[str]] = {}
    for score in scores:
        if score.why_not is not None:
            reasons.setdefault(score.why_not, []).append(score.objective)
    for reason, names in reasons.items():
        line = f"does not apply, as {reason}: {', '.join(names)}"
        console.print(Text(line, style="dim"))


def show_steps(scores: Sequence[Score]) -> None:
    """`spikeloss score --by-step`: when decisions are final, and how right they are on the way."""
    known = [score for score in scores if score.accuracy_by_step]
    if not known:
        return
    steps = len(known[0].accuracy_by_step or ())
    places = sorted({round(share * steps / 6) for share in range(1, 7)} - {0})
    after = (f"after {place}" for place in places)
    table = _table("objective", "decision step", "right step", *after)
    for score in known:
        curve = score.accuracy_by_step or ()
        shown = (
            "never" if x is None else f"{x:.1f}" for x in (score.decision_step, score.right_step)
        )
        _row(table, score.objective, *shown, *(percent(curve[place - 1]) for place in places))
    console = Console()
    console.print(table)
    console.print(Text(STEPS, style="dim"))


def show_sheets(sheets: Sequence[Sheet]) -> None:
    """`spikeloss atlas`: what is computed of every objective."""
    console = Console()
    for sheet in sheets:
        console.print(Text(sheet.name, style="cyan"))
        _facts(console, sheet.facts)


STEPS = (
    "decision step: the first, counted from 0, from which the decision stays what it is at the "
    "end, a mean over the samples that are decided; right step: over those decided rightly. "
    "after n: the accuracy of what the first n steps alone decide."
)


def epochs_on(stream: TextIO, epochs: int) -> Callable[[Epoch], None]:
    """A watch that prints a line per epoch: loss and test accuracy."""
    console, numbers = Console(file=stream), count(1)

    def watch(epoch: Epoch) -> None:
        number = f"{next(numbers):>{len(str(epochs))}}/{epochs}"
        share = epoch.accuracy or 0.0
        bar = "█" * round(30 * share)
        words = f"epoch {number}   loss {epoch.loss:<10.5g} accuracy {percent(share):>7} "
        console.print(Text.assemble(words, (bar, "cyan")))

    return watch


@contextmanager
def progress(comparison: Comparison, missing: int) -> Iterator[Watch]:
    """Bars on stderr, one for all runs and one for each in training; yields their watch."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    runs, epochs = len(comparison.runs()), comparison.recipe.epochs
    with Progress(*columns, console=Console(stderr=True)) as bars:
        whole = bars.add_task("runs", total=runs, completed=runs - missing, note="")
        current: dict[tuple[str, int], TaskID] = {}

        def watch(name: str, seed: int, epoch: Epoch) -> None:
            run = name, seed
            if run not in current:
                current[run] = bars.add_task(f"{name}, seed {seed}", total=epochs, note="")
            bars.update(current[run], advance=1, note=percent(epoch.accuracy or 0.0))
            if bars.tasks[bars.task_ids.index(current[run])].finished:
                bars.remove_task(current.pop(run))
                bars.advance(whole)

        yield watch
