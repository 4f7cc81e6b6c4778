"""The command `spikeloss atlas`."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloss.lab import console, options
from spikeloss.lab.errors import InputError
from spikeloss.lab.files import check_writable, dumps, write
from spikeloss.lab.limits import MEMORY
from spikeloss.lab.objectives import Objective, every, find
from spikeloss.lab.recording import Recording, read
from spikeloss.lab.score import KINDS, kinds
from spikeloss.records import Events

from .front import atlas
from .given import chosen_of
from .page import page
from .sheet import Sheet

LARGEST = 10**7
"""The numbers of a record whose gradient is computed."""


def atlas_(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.npz]", help="What was recorded.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        options.objective(
            "An objective or a penalty, with options, or a sum; may be repeated.", "every one"
        ),
    ] = None,
    sample: Annotated[
        list[int] | None,
        typer.Option(
            "--sample",
            metavar="NUMBER",
            help="A sample of the file to show, from 0; may be repeated.",
            show_default="the first six",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to: .html, or .svg for one.")
    ] = Path("runs/atlas.html"),
    memory: options.Memory = MEMORY / 2**30,
    as_json: options.AsJson = False,
) -> None:
    """Draw what objectives reward: their gradient on every neuron and step of a few records.

    Without FILE.npz these are the records of the atlas: a good answer, a late one, silence, a
    wrong one, a tie, a tail of junk, then the best and the worst record of the objective. With it
    they are yours; it holds what `spikeloss score` reads.

    Gradients are those of PyTorch or JAX, whichever is installed.
    """
    chosen = [find(text) for text in objective or every()]
    if out.suffix not in (".html", ".svg"):
        raise InputError("--out", "a file .html or .svg", out, "Name it atlas.html.")
    if out.suffix == ".svg" and len(chosen) > 1:
        raise InputError("--out", "a page for several objectives", out, "Name it atlas.html.")
    check_writable(out)
    if file is None:
        sheets = [atlas(each.spelling) for each in chosen]
    else:
        recording = read(file, int(memory * 2**30))
        sheets = list(_of(recording, chosen, sample, strict=bool(objective)))
    write(out, sheets[0].svg() if out.suffix == ".svg" else page(sheets))
    if as_json:
        print(dumps({"out": str(out), "sheets": [sheet.as_dict() for sheet in sheets]}, indent=2))
        return
    console.show_sheets(sheets)
    print("atlas:", out)


def _of(
    recording: Recording, chosen: Sequence[Objective], samples: Any, *, strict: bool
) -> Iterator[Sheet]:
    """The sheets of those that fit a recording; `strict`: of all of them, or none."""
    if math.prod(recording.shape) > LARGEST:
        rule, fix = f"at most {LARGEST} numbers in a record", "Save fewer samples."
        raise InputError("file", rule, math.prod(recording.shape), fix)
    shown = chosen_of(samples, recording.shape[1])
    for each in chosen:
        try:
            yield _sheet(recording, each.placed((), None), shown)
        except (TypeError, ValueError, LookupError, InputError) as wrong:
            if strict:
                fix = "Choose another with `spikeloss score`."
                got = f"{each.spelling} ({str(wrong).rstrip('.')})"
                raise InputError("objective", "one that fits the file", got, fix) from None


def _sheet(recording: Recording, objective: Objective, samples: Any) -> Sheet:
    if objective.main.readout.timeless:
        raise LookupError("its record has no time axis")
    found = {kind: getattr(recording, kind, None) for kind in kinds(objective, recording)}
    missing = [kind for kind, record in found.items() if record is None]
    if missing:
        raise LookupError(f"it reads {missing[0]}, which the file does not hold")
    dense = {k: x.dense() if isinstance(x, Events) else x for k, x in found.items()}
    record: Any = next(iter(dense.values()))
    if objective.layers:
        record = {layer: dense[KINDS[layer]] for layer in objective.layers}
    target = None if objective.main.criterion.targetless else recording.labels
    steps = {"lengths": recording.lengths, "valid": recording.valid}
    return atlas(objective.spelling, record, target, samples=samples, **steps)
