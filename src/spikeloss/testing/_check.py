"""The check of a stage: every property, and all that does not hold in one error."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from spikeloss._door import choice, integer

from ._libraries import NAMES, installed
from ._properties import OF_LOSSES, Bench, LeftOut, Wrong, name_of, options
from ._subject import N, Subject, refused, subjects


class Finding(NamedTuple):
    """One thing that does not hold."""

    stage: str
    property: str
    """One of those that `Held.held` names."""
    where: str
    came: str
    expected: str
    cause: str
    """What it is likely to come from."""

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.came}."


class Fault(AssertionError):  # noqa: N818  # what is at fault is the stage
    """What `check` raises: all that does not hold, in words, and as `findings`."""

    def __init__(self, stage: str, findings: Sequence[Finding]) -> None:
        self.stage, self.findings = stage, tuple(findings)
        wrong = list(dict.fromkeys(each.property for each in self.findings))
        word = "property does" if len(wrong) == 1 else "properties do"
        lines = [f"{stage}: {len(wrong)} {word} not hold."]
        for what in wrong:
            found = [each for each in self.findings if each.property == what]
            causes = dict.fromkeys(each.cause for each in found)
            lines += [f"- {what}. {' '.join(causes)}", *(f"    {each}" for each in found)]
        super().__init__("\n".join(lines))


class Held(NamedTuple):
    """What `check` returns where all is right."""

    stage: str
    held: tuple[str, ...]
    """The properties that hold."""
    left_out: dict[str, str]
    """The properties and libraries that say nothing here, and why."""

    def __str__(self) -> str:
        lines = [f"{self.stage}: {', '.join(self.held)}"]
        lines += [f"left out: {name}, {why}" for name, why in self.left_out.items()]
        return "\n".join(lines)


def check(
    stage: Any,
    *,
    target: Any = None,
    reads: Literal["spikes", "membrane", "logits"] | None = None,
    neurons: int = N,
    derivative: Literal["true", "own"] = "true",
    libraries: Sequence[str] = NAMES,
) -> Held:
    """Check a readout, criterion, target, penalty, reduction, loss or sum of one's own.

    It is put into a loss, with small records of float64, and these should hold:

        options    it is equal to a copy, hashes, and comes back from repr and pickle
        shape      decision and elements have the shape that was announced
        dtype      float32 in, float32 out, and the same number
        inputs     no array is written into, and a second call gives the same
        gradient   it is the derivative, by differences of every entry
        libraries  NumPy, PyTorch and JAX agree, as far as they are installed
        parts      parts of micro-batches add up
        padding    a padded record is the cropped one, in value and gradient
        nan        also where the padding is nan
        gaps       steps that `valid` leaves out do not exist
        stream     step by step, and in chunks, it is what it is at once
        merge      stretches of time that are read apart can be joined

    What the stage refuses, in the form of all errors of this library, is left out.

    Args:
        stage: the stage, or a loss that has it; a class is none.
        target: for a loss of 6 steps, 3 samples and `neurons` neurons; None: one is looked for.
        reads: the kind of record; None: what the loss says, or one that it takes.
        neurons: how many, for a stage that takes no other number.
        derivative: "own" where the gradient is not the derivative of the value, as of a surrogate.
        libraries: those to try.

    Raises:
        Fault: an `AssertionError` with everything that does not hold: the stage, the property,
            where, what came, what was expected, and what it is likely to come from.

    >>> from spikeloss.readouts import SumOverTime
    >>> found = check(SumOverTime(), libraries=["numpy"])
    >>> found.held[:4], found.left_out["gradient"]
    (('options', 'shape', 'dtype', 'inputs'), 'no library with derivatives is here')
    """
    choice("derivative", derivative, ("true", "own"))
    integer("neurons", neurons, low=2)
    known, others = installed([choice("libraries", each, NAMES) for each in libraries])
    name = name_of(stage)
    found: list[Finding] = []
    held: list[str] = []
    left_out: dict[str, str] = {}
    _tell("options", name, [options(stage)], found, held, left_out)
    try:
        tried = subjects(stage, list(known.values()), target, reads, neurons)
    except Exception as error:
        if refused(error):
            raise
        cause = "It should give a number for the record of the check."
        found.append(_raised(name, "value", error, cause))
        raise Fault(name, found) from error
    own = derivative == "own"
    benches = [_bench(replace(each, slopes=each.slopes and not own), known) for each in tried]
    for each in OF_LOSSES:
        runs = [_run(each, bench) for bench in benches]
        _tell(each.__name__, name, runs, found, held, left_out)
        if found and each.__name__ == "shape":
            break  # the others would say the same in other words
    if found:
        raise Fault(name, found)
    return Held(name, tuple(held), left_out | others)


def _bench(subject: Subject, known: dict[str, Any]) -> Bench:
    """The libraries that the loss takes arrays of."""
    taken, fails = {}, []
    for name, library in known.items():
        try:
            subject.value(library)
        except Exception as error:
            if str(error).startswith("record: expected a"):
                continue
            fails.append(name)
        taken[name] = library
    return Bench(subject, taken, tuple(fails))


def _run(of: Any, bench: Bench) -> Iterator[Wrong]:
    beside = f", after {bench.subject.told}" if bench.subject.told else ""
    for wrong in of(bench):
        yield wrong._replace(where=f"{wrong.where}{beside}")


def _tell(
    what: str,
    name: str,
    runs: Sequence[Iterator[Wrong]],
    found: list[Finding],
    held: list[str],
    left_out: dict[str, str],
) -> None:
    """Note what a property says of a stage, in each of its losses."""
    before, ran, why = len(found), False, ""
    for run in runs:
        try:
            for where, came, expected, cause in run:
                found.append(Finding(name, what, where, _said(came), _said(expected), cause))
            ran = True
        except LeftOut as reason:
            why = str(reason)
        except Exception as error:
            if refused(error):
                why = str(error)
            else:
                found.append(_raised(name, what, error, "It fails where others do not."))
    if len(found) == before:
        if ran:
            held.append(what)
        else:
            left_out[what] = why


def _raised(name: str, what: str, error: Exception, cause: str) -> Finding:
    lines = str(error).splitlines() or [""]
    return Finding(name, what, "a call", f"{type(error).__name__}: {lines[0]}", "none", cause)


def _said(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
