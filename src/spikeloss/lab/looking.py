"""The commands that train nothing: list, show, doctor, score. They need NumPy only."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloss._door._words import cut

from . import console, doctor, options, score
from .describe import details, overview
from .errors import InputError, printable
from .files import dumps
from .limits import MEMORY
from .objectives import every, find
from .peers import known as peers_of
from .peers import said
from .recording import read


def list_(
    words: options.Words = None, reads: options.Reads = None, as_json: options.AsJson = False
) -> None:
    """List the objectives, family by family: all, or those of which the WORDS speak.

    A family is count, rate, membrane, time, train, teacher, logits or penalty; sum those of several
    terms.
    """
    if reads not in (None, *options.READS):
        fix = "Choose one of these."
        raise InputError("--reads", " or ".join(options.READS), repr(cut(str(reads))), fix)
    found = overview(words or (), reads)
    if as_json:
        print_json(found)
    else:
        console.show_overview(found)


def show(name: options.Name, as_json: options.AsJson = False) -> None:
    """Show an objective: formula, stages, source, options, and an example that runs.

    A name of another package is answered with ours.
    """
    peers = [] if name in every() else peers_of(name)
    ours = list(dict.fromkeys(peer.ours for peer in peers)) or [name]
    lines = [said(peer) for peer in peers]
    known = [details(find(each)) for each in ours]
    if as_json:
        print_json(known[0] | ({"known_as": lines} if lines else {}))
        return
    for index, what in enumerate(known):
        console.show_details(what, lines if index == 0 else [""])


def doctor_(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE.npz]", help="What was recorded, as for `score`."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        options.objective(
            "An objective, with options, or a sum; may be repeated.",
            "ce_count, of membranes alone ce_max_membrane",
        ),
    ] = None,
    memory: options.Memory = MEMORY / 2**30,
    as_json: options.AsJson = False,
) -> None:
    """Say what is installed here; of a recording, why its network does not learn.

    Without a file: libraries, native kernels, switches. With one: silent and
    saturated neurons, samples without a gradient and which objective would send
    one, ties, one class that always wins, decisions at the last step, logits out
    of range, each with its numbers and a fix.
    """
    if file is None:
        if objective:
            fix = "Name it, as in spikeloss doctor my.npz --objective ce_count."
            raise InputError("FILE.npz", "what was recorded, for --objective", "no file", fix)
        known = doctor.facts()
        return print_json(known) if as_json else console.show_facts(known)
    limit, chosen = int(memory * 2**30), [find(text) for text in objective or ()]
    found = doctor.examined(read(file, limit), chosen, limit)
    if as_json:
        print_json([
            {
                "objective": each.objective,
                "findings": [finding._asdict() for finding in each.diagnosis],
                "left_out": list(each.diagnosis.left_out),
                "why_not": each.why_not,
            }
            for each in found
        ])  # fmt: skip
    else:
        console.show_examined(found)
    return None


def score_(
    file: Annotated[Path, typer.Argument(metavar="FILE.npz", help="What was recorded.")],
    objective: Annotated[
        list[str] | None,
        options.objective("An objective, with options, or a sum; may be repeated.", "every one"),
    ] = None,
    by_step: Annotated[
        bool, typer.Option("--by-step", help="Also the accuracy after each step, and latencies.")
    ] = False,
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

    `times` (samples, neurons) of first spikes, infinity for silence, may stand alone:
    with `end`, the time at which silence counts as a spike, and maybe `highest`,
    `slope` and `threshold`, as `records.Times` has them. Objectives of first spikes
    read them.

    Nothing is loaded that scoring does not need, and a file that would take more than
    --memory is refused before it is: a dense record takes about 40 bytes per number, a
    sample 250 per neuron.
    """
    limit, chosen = int(memory * 2**30), [find(text) for text in objective or ()]
    recording = read(file, limit)
    scores = score.scores(recording, limit, chosen or None, by_step)
    activity, doubts = score.activity(recording), score.doubts(recording)
    if as_json:
        print_json({
            "shape": recording.shape,
            "activity": None if activity is None else asdict(activity),
            "doubts": doubts,
            "scores": [asdict(row) for row in scores],
        })  # fmt: skip
        return
    console.show_scores(recording, scores, activity)
    console.show_steps(scores)
    for line in doubts:
        print("warning:", printable(line), file=sys.stderr)


def print_json(value: Any) -> None:
    """A result, on stdout."""
    print(dumps(value, indent=2))
