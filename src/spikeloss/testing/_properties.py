"""What should hold of a loss: a function for each property, which yields what does not."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from spikeloss import criteria, readouts
from spikeloss._whole import brief, spelled
from spikeloss.loss import Loss, Total

from ._subject import B, Subject, T

LENGTHS = np.array([T, T - 2, T - 1])
SMALL = 1e-5
"""By how much an entry is changed, for differences."""


class Wrong(NamedTuple):
    """What does not hold: where, what came, and what should have."""

    where: str
    came: object
    expected: object
    cause: str


class LeftOut(Exception):  # noqa: N818  # it is no error
    """A property that says nothing of this loss, and why."""


class Bench(NamedTuple):
    """A loss to be tried, and the libraries to try it in."""

    subject: Subject
    libraries: dict[str, Any]
    fails: tuple[str, ...] = ()
    """The names of those in which it fails."""

    @property
    def main(self) -> Any:
        """The library in which everything is tried: one with derivatives, which compiles none."""
        known = [each for name, each in self.libraries.items() if name not in self.fails]
        return min(known, key=lambda each: (each.compiles, not each.differentiates))

    @property
    def plain(self) -> Any:
        """The library for very many values."""
        return self.main if "numpy" in self.fails else self.libraries.get("numpy", self.main)


def unlike(where: str, came: Any, expected: Any, cause: str, near: float = 1e-9) -> Iterator[Wrong]:
    """Where arrays differ most, if they do."""
    came, expected = np.asarray(came), np.asarray(expected)
    if came.shape != expected.shape:
        yield Wrong(where, f"shape {came.shape}", f"shape {expected.shape}", cause)
        return
    with np.errstate(all="ignore"):
        away = np.abs(came - expected) - near * (1 + np.abs(expected))
    away = np.where((came == expected) | (np.isnan(came) & np.isnan(expected)), -1.0, away)
    away = np.where(np.isnan(away), np.inf, away)
    if away.size and np.max(away) > 0:
        at = np.unravel_index(int(np.argmax(away)), away.shape)
        count = int(np.sum(away > 0))
        others = f", the worst of {count} entries" if count > 1 else ""
        place = f" at {_place(at)}{others}" if at else ""
        yield Wrong(f"{where}{place}", float(came[at]), float(expected[at]), cause)


def both(where: str, came: Any, expected: Any, cause: str) -> Iterator[Wrong]:
    """Where values differ, or, if they do not, gradients; None: there are none."""
    found = list(unlike(f"the value {where}", came[0], expected[0], cause))
    if not found and came[1] is not None and expected[1] is not None:
        found = list(unlike(f"the gradient {where}", came[1], expected[1], cause))
    yield from found


def _place(at: Any) -> str:
    names = {3: ("step", "sample", "neuron"), 2: ("sample", "neuron"), 1: ("sample",)}
    return ", ".join(f"{n} {int(i)}" for n, i in zip(names[len(at)], at, strict=True))


# The value itself

FORGOTTEN = "Keep the last axis, of length 1, as keepdims=True does."


def shape(bench: Bench) -> Iterator[Wrong]:
    """The decision has the shape that was announced, and there is one element for each sample."""
    subject, library = bench.subject, bench.main
    for _, loss in subject.loss.losses:
        with library.precision():
            x = library.array(subject.record)
            wanted = loss.readout.outline(x).shape
            z = loss.readout(x)
        if tuple(z.shape) != wanted:
            cause = "Say what shape it has with `entries`, `axes` and `keeps`."
            yield Wrong("the decision", f"shape {tuple(z.shape)}", f"shape {wanted}", cause)
            return
        one = replace(subject, loss=loss.replace(reduction="none"))
        if loss.criterion.targetless:
            one = replace(one, target=None)
        rows = (B,) if loss.readout.keeps != "spikes" else wanted[:-1]
        each = (*rows, wanted[-1]) if loss.criterion.per_class else rows
        found = one.value(library).shape
        if found != each and loss.criterion.couples is False:
            yield Wrong("the elements", f"shape {found}", f"shape {each}", FORGOTTEN)


PRECISE = "Numbers of another dtype were mixed in: make them with extend.like(values, x)."


def dtype(bench: Bench) -> Iterator[Wrong]:
    """float32 in, float32 out; float32 for spikes that are bools; and the same number."""
    subject, library = bench.subject, bench.main
    exact = subject.value(library)
    for name in ("float64", "float32"):
        narrow = replace(subject, record=subject.record.astype(name))
        yield from _dtypes(narrow, library, name)
    narrow = replace(subject, record=subject.record.astype("float32"))
    yield from unlike("a record of float32", narrow.value(library), exact, PRECISE, near=1e-3)
    if not subject.timeless:
        spikes = replace(subject, record=subject.record > 0)
        found = spikes.value(library).dtype.name
        if found != "float32":
            yield Wrong("the loss of a bool record", found, "float32", PRECISE)


def _dtypes(subject: Subject, library: Any, wanted: str) -> Iterator[Wrong]:
    with library.precision():
        x, y = library.array(subject.record), library.array(subject.target)
        found = {"the loss": subject.loss(x, y)}
        for _, loss in subject.loss.losses:
            found["the decision"] = loss.readout(x)
            if not (loss.criterion.couples or loss.readout.couples):
                given = None if loss.criterion.targetless else y
                with_parts = loss.replace(reduction="sum")
                found["the elements"] = with_parts.parts(x, given).numerator[0]
            if loss.target.labelled and not loss.criterion.targetless:
                found["the target"] = loss.target.encode(y, loss.readout.outline(x))
    for what, value in found.items():
        name = library.plain(value).dtype.name
        if name != wanted and name.startswith("float"):
            yield Wrong(f"{what} of a {wanted} record", name, wanted, PRECISE)


def inputs(bench: Bench) -> Iterator[Wrong]:
    """Nothing writes into what it is given, and a second call gives the same."""
    subject, library = bench.subject, bench.main
    options = {} if subject.timeless else {"lengths": LENGTHS}
    given = {"record": subject.record, "target": subject.target, **options}
    cause = "It writes into an array, as x += 1 and x[0] = 1 do: make a new one."
    for kept in ({}, options) if options else ({},):
        with library.precision():
            arrays = {name: library.array(each) for name, each in given.items()}
            known = {name: each for name, each in arrays.items() if name in kept}
            try:
                first = library.plain(subject.loss(arrays["record"], arrays["target"], **known))
            except (TypeError, ValueError):
                if kept:
                    continue
                raise
            for name, value in given.items():
                if value is not None:
                    yield from unlike(f"the {name} after a call", library.plain(arrays[name]),
                                      value, cause)  # fmt: skip
            again = library.plain(subject.loss(arrays["record"], arrays["target"], **known))
            yield from unlike("a second call", again, first, f"It keeps something. {cause}")


# Derivatives and libraries

CUT = (
    "A part is cut off (`constant`, a comparison, rounding), or the derivative is one of your own: "
    "if that is meant, say derivative='own'."
)


def gradient(bench: Bench) -> Iterator[Wrong]:
    """The gradient is the derivative of the value; at a kink between those of both sides."""
    subject, library = bench.subject, bench.main
    if not library.differentiates:
        raise LeftOut("no library with derivatives is here")
    if not subject.slopes:
        raise LeftOut("it is not compared, as was said")
    middle, slope = subject.slope(library)
    low, high = _sides(subject, bench.plain, float(np.sum(middle)))
    smooth = np.abs(high - low) <= 1e-2 * (1 + np.abs(high + low) / 2)
    near = np.where(smooth, (low + high) / 2, np.clip(slope, np.minimum(low, high),
                                                      np.maximum(low, high)))  # fmt: skip
    yield from unlike("the gradient", slope, near, CUT, near=1e-4)


def _sides(subject: Subject, library: Any, middle: float) -> tuple[Any, Any]:
    """The differences to smaller and to larger entries, one entry after the other."""
    record, given = subject.record, {"target": subject.target}
    low, high = np.zeros(record.shape), np.zeros(record.shape)
    for at in np.ndindex(record.shape):
        x = record.copy()
        for side, sign in ((low, -1), (high, 1)):
            x[at] = record[at] + sign * SMALL
            value = float(np.sum(library.value(subject.loss, x, given)))
            side[at] = sign * (value - middle) / SMALL
    return low, high


ALIEN = "A function of one library was used: use `namespace(x)` and the names of extend."


def libraries(bench: Bench) -> Iterator[Wrong]:
    """The same value and gradient in every library."""
    subject, main = bench.subject, bench.main
    ways: list[tuple[str, dict[str, Any]]] = [("", {})]
    if len(bench.libraries) < 2:
        raise LeftOut("one library is here")
    if not subject.timeless:
        ways.append((" with lengths", {"lengths": LENGTHS}))
    for said, options in ways:
        try:
            wanted = subject.slope(main, **options)
        except (TypeError, ValueError):
            if options:
                continue  # `padding` says why
            raise
        for library in bench.libraries.values():
            if library is main:
                continue
            try:
                found = subject.slope(library, **options)
            except Exception as error:
                got = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                yield Wrong(f"the loss{said} in {library.name}", got, "a number", ALIEN)
                continue
            yield from both(f"in {library.name}{said}, against {main.name}", found, wanted, ALIEN)


# Steps that do not exist

READ = (
    "It reads or counts steps that do not exist: take piece.sum, piece.masked(z, fill) or "
    "reading.steps, not piece.raw and its shape."
)
LEAKED = "It multiplies by a mask, and 0 times nan is nan: choose with xp.where or piece.masked."


def padding(bench: Bench) -> Iterator[Wrong]:
    """A padded record is the cropped one, in value and gradient, whatever the padding holds."""
    yield from _padded(bench, 100.0, READ)


def nan(bench: Bench) -> Iterator[Wrong]:
    """Padding of nan is padding."""
    if next(_padded(bench, 100.0, READ), None) is not None:
        raise LeftOut("finite padding shows already")
    yield from _padded(bench, np.nan, LEAKED)


def _timed(subject: Subject) -> None:
    if subject.timeless:
        raise LeftOut("its record has no time axis")


def _padded(bench: Bench, fill: float, cause: str) -> Iterator[Wrong]:
    subject, library = bench.subject, bench.main
    _timed(subject)
    steps = np.full(B, T - 1)
    value, slope = subject.part(slice(T - 1)).slope(library)
    long = _filled(subject, steps, fill)
    found = long.slope(library, lengths=steps)
    wanted = None if slope is None else np.concatenate([slope, np.zeros((1, *slope.shape[1:]))])
    yield from both(f"of {T - 1} of {T} steps", found, (value, wanted), cause)
    if subject.coupled or _mixed(bench):
        return
    every = replace(subject, loss=subject.loss.replace(reduction="sum"))
    found = _filled(every, LENGTHS, fill).slope(library, lengths=LENGTHS)
    total, wanted = 0.0, np.zeros(subject.record.shape)
    for i, n in enumerate(LENGTHS):
        value, slope = every.part(slice(n), slice(i, i + 1)).slope(library)
        total = total + value
        wanted[:n, i : i + 1] = 0 if slope is None else slope
    sums = np.sum(found[0]), found[1]
    yield from both(f"of lengths {tuple(map(int, LENGTHS))}", sums, (np.sum(total), wanted), cause)


def _mixed(bench: Bench) -> bool:
    """Whether samples look at each other, which `parts` says."""
    try:
        return next(parts(bench), None) is not None
    except (TypeError, ValueError):
        return False


def _filled(subject: Subject, lengths: Any, fill: float) -> Subject:
    """The same with other numbers after the end of each sample."""
    x = subject.record.copy()
    beyond = np.arange(T)[:, None] >= lengths
    x[beyond] = fill
    return replace(subject, record=x)


def gaps(bench: Bench) -> Iterator[Wrong]:
    """Steps between others that are not valid do not exist."""
    subject, library = bench.subject, bench.main
    _timed(subject)
    if subject.stepwise:
        raise LeftOut("its target is a record")
    kept = np.array([0, 2, 3, 5])
    valid = np.zeros((T, B), bool)
    valid[kept] = True
    value, slope = replace(subject, record=subject.record[kept]).slope(library)
    x = np.where(valid[..., None], subject.record, 100.0)
    found = replace(subject, record=x).slope(library, valid=valid)
    cause = f"{READ} The steps before one are in piece.position."
    wanted = np.zeros(x.shape)
    wanted[kept] = 0 if slope is None else slope
    yield from both("with gaps", found, (value, wanted), cause)


# Pieces and batches

FORGETS = (
    "It forgets `carry`, what earlier steps left behind, or takes the piece for the whole record: "
    "piece.end is how far it is, piece.steps n."
)


def stream(bench: Bench) -> Iterator[Wrong]:
    """Step by step, and in chunks, it is what it is at once, in value and gradient."""
    subject, library = bench.subject, bench.main
    _timed(subject)
    for said, options in (("", {}), (" with lengths", {"lengths": LENGTHS})):
        try:
            value, slope = subject.slope(library, **options)
        except (TypeError, ValueError):
            if options:
                continue  # `padding` says why
            raise
        for word, sizes in (("step by step", [1] * T), ("in chunks of 2 and 4", [2, T - 2])):
            given = {"target": subject.target, **options}
            found = library.slope(partial(_streamed, subject, sizes), subject.record, given)
            yield from both(f"{word}{said}", found, (value, slope), FORGETS)


def _streamed(subject: Subject, sizes: list[int], x: Any, target: Any, **options: Any) -> Any:
    each = subject.with_each
    taken, start = subject.loss.stream(None if each else target, **options), 0
    for size in sizes:
        steps = slice(start, start + size)
        taken.steps(x[steps], *((target[steps],) if each else ()))
        start += size
    return taken.value()


JOINS = (
    "`merge` is to give what `reduce` gives of both stretches: `steps` were in the earlier one, "
    "`more` are in the later one."
)


def merge(bench: Bench) -> Iterator[Wrong]:
    """Two stretches of time that are read apart, joined, are the whole."""
    subject, library = bench.subject, bench.main
    _timed(subject)
    if subject.with_each:
        raise LeftOut("its target is a record")
    whole, half = subject.value(library), T // 3

    def call(x: Any, target: Any) -> Any:
        fold = subject.loss.fold(target)
        one = fold.steps(fold.begin(x[:half]), x[:half])
        two = fold.steps(fold.begin(x[half:], start=half), x[half:])
        return fold.finish(fold.merge(one, two))

    found = library.value(call, subject.record, {"target": subject.target})
    yield from unlike(f"steps 0 to {half - 1} joined with the others", found, whole, JOINS)


MIXES = (
    "It looks at other samples: keep each by itself, or say `couples`, so that its parts are "
    "refused."
)


def parts(bench: Bench) -> Iterator[Wrong]:
    """The parts of micro-batches add up to those of the batch."""
    subject, library = bench.subject, bench.main

    def of(part: Subject) -> Any:
        x, y = library.array(part.record), library.array(part.target)
        return part.loss.parts(x, y)

    with library.precision():
        one, two = subject.part(samples=slice(1)), subject.part(samples=slice(1, None))
        total = library.plain((of(one) + of(two)).value())
    yield from unlike("the loss of micro-batches", total, subject.value(library), MIXES)


OF_LOSSES: tuple[Callable[[Bench], Iterator[Wrong]], ...] = (
    shape,
    dtype,
    inputs,
    gradient,
    libraries,
    parts,
    padding,
    nan,
    gaps,
    stream,
    merge,
)


# Options


def _frozen(kind: Any) -> bool:
    return is_dataclass(kind) and bool(getattr(kind, "__dataclass_params__").frozen)  # noqa: B009


def options(stage: Any) -> Iterator[Wrong]:
    """A stage is a value: equal to its copy, with the same hash, and back from repr and pickle."""
    kind: Any = type(stage)
    if not _frozen(kind):
        fix = "Write @dataclass(frozen=True) above the class."
        yield Wrong(kind.__name__, "a class that is no frozen dataclass", "a frozen dataclass", fix)
        return
    given = {each.name: getattr(stage, each.name) for each in fields(stage) if each.init}
    copy = kind(**given)
    plain = "Options are plain values: numbers, texts, tuples, other stages."
    if copy != stage:
        yield Wrong(f"a copy, {copy!r}", "another value", "an equal one", plain)
    try:
        if hash(copy) != hash(stage):
            yield Wrong("hash", "another one for a copy", "the same", plain)
    except TypeError as error:
        yield Wrong("hash", str(error), "a number", f"{plain} A list is none.")
        return
    if any(isinstance(each, _FUNCTIONS) for each in inside(stage)):
        raise LeftOut("repr and pickle are those of a function")
    try:
        read = eval(repr(stage), {type(each).__name__: type(each) for each in inside(stage)} | _NAN)
    except Exception as error:
        read = error
    if read != stage:
        cause = "Leave __repr__ to the dataclass; options are plain values."
        yield Wrong("eval(repr(stage))", repr(read), repr(stage), cause)
    try:
        back: Any = pickle.loads(pickle.dumps(stage))
    except Exception as error:
        back = error
    if back != stage:
        cause = "Define the class at the top of a module, and keep no functions in options."
        yield Wrong("pickle", repr(back), repr(stage), cause)


_FUNCTIONS = (readouts.FunctionReadout, criteria.FunctionCriterion)
_NAN = {"nan": np.nan, "inf": np.inf}


def inside(stage: Any) -> Iterator[Any]:
    """A stage and those that are its options."""
    if isinstance(stage, tuple):
        for each in stage:
            yield from inside(each)
    elif is_dataclass(stage) and not isinstance(stage, type):
        yield stage
        for each in fields(stage):
            yield from inside(getattr(stage, each.name))


def name_of(stage: Any) -> str:
    """A stage in a word or two; of a loss its stages."""
    if isinstance(stage, Loss | Total):
        return " + ".join(spelled(loss) for _, loss in stage.losses)
    return brief(stage) if is_dataclass(stage) else type(stage).__name__
