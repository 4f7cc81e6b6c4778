"""Checks of options, when a stage or a loss is made; each gives the plain value."""

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from numbers import Integral, Real
from typing import Any, NoReturn

from spikeloss._backend import concrete, is_array, unwrap

from ._words import cut, refuse, said


def option(owner: object, name: str, check: Callable[..., Any], *rule: Any, **limits: Any) -> None:
    """Check an option of a frozen stage, and keep it as the plain Python value it stands for."""
    object.__setattr__(owner, name, check(name, getattr(owner, name), *rule, **limits))


def number(argument: str, value: Any, *, low: float = -math.inf, above: float = -math.inf,
           high: float = math.inf) -> int | float:  # fmt: skip
    """A finite real number with low <= value <= high and value > above, as int or float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Real)):
        refuse(argument, "a number", said(value), f"Pass {argument} as int or float.", TypeError)
    plain = int(value) if isinstance(value, (int, Integral)) else float(value)
    if abs(plain) <= sys.float_info.max and low <= plain <= high and plain > above:
        return plain
    if high < math.inf:
        rule, fix = f"a number from {low:g} to {high:g}", f"{low:g} <= {argument} <= {high:g}"
    elif above > -math.inf:
        rule, fix = f"a finite number above {above:g}", f"{argument} > {above:g}"
    elif low > -math.inf:
        rule, fix = f"a finite number of at least {low:g}", f"{argument} >= {low:g}"
    else:
        rule, fix = "a finite number", f"a finite {argument}"
    refuse(argument, rule, said(plain), f"Choose {fix}.")


def whole(argument: str, value: Any, *, low: int | None = None, high: int | None = None) -> int:
    """An integer, at least `low` and at most `high`, as int."""
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        refuse(argument, "an integer", said(value), f"Pass {argument} as int.", TypeError)
    if low is not None and value < low:
        rule = f"an integer of at least {low}"
        refuse(argument, rule, int(value), f"Choose {argument} >= {low}.")
    if high is not None and int(value) > high:
        rule = f"an integer of at most {high}"
        refuse(argument, rule, int(value), f"Choose {argument} <= {high}.")
    return int(value)


def wholes(argument: str, value: Any, count: int) -> tuple[int, ...]:
    """So many integers of at least 1."""
    if not isinstance(value, (tuple, list)) or len(value) != count:
        fix = "Pass a tuple of integers."
        refuse(argument, f"{count} integers", cut(repr(value)), fix, TypeError)
    return tuple(whole(f"{argument}[{i}]", each, low=1) for i, each in enumerate(value))


def flag(argument: str, value: Any) -> bool:
    """True or False."""
    return bool(choice(argument, value, (True, False)))


def choice(argument: str, value: Any, names: Sequence[str | int]) -> Any:
    """The one of the names that equals the value."""
    with suppress(KeyError, TypeError):  # TypeError: what cannot be hashed is no name
        return {name: name for name in names}[value]
    listed = ", ".join(repr(name) for name in names[:-1]) + f" or {names[-1]!r}"
    refuse(argument, listed, said(value), f"Write {argument}={names[0]!r}.")


_REDUCTIONS = {
    "mean": "reductions.Mean()",
    "sum": "reductions.Sum()",
    "none": "reductions.Each()",
}


def stage(argument: str, value: Any, base: type, example: str) -> Any:
    """An instance of a kind of stage."""
    if isinstance(value, base):
        return value
    fix = f"Choose one from spikeloss.{example.partition('.')[0]}."
    if isinstance(value, type) and issubclass(value, base):
        fix = f"Make one, as in {example}."
    elif argument == "reduction" and isinstance(value, str) and value in _REDUCTIONS:
        fix = f"Write reduction={_REDUCTIONS[value]}."
    rule = f"a {base.__name__.lower()} such as {example}"
    refuse(argument, rule, said(value), fix, TypeError)


def numbers(argument: str, value: Any) -> tuple[float, ...]:
    """One or more numbers, as a tuple of floats."""
    if is_array(value) and concrete(value):
        value = unwrap(value).tolist()
    if not isinstance(value, (tuple, list)) or not value:
        fix = "Pass a tuple, as in (0.0, 1.0)."
        refuse(argument, "one or more numbers", cut(repr(value)), fix, TypeError)
    return tuple(float(number(f"{argument}[{i}]", each)) for i, each in enumerate(value))


def patterns(argument: str, value: Any) -> tuple[Any, ...]:
    """Finite numbers (K, N) or (K, T, N), as nested tuples of floats."""
    if is_array(value) and concrete(value):
        value = unwrap(value).tolist()
    rule, fix = "numbers (K, N) or (K, T, N)", "Pass a row of numbers per class."
    if not isinstance(value, (tuple, list)):
        refuse(argument, rule, said(value), fix, TypeError)
    found = tuple(_nested(argument, row) for row in value)
    shape = _shape(found)
    if len(shape) not in (2, 3) or None in shape or 0 in shape:
        refuse(argument, rule, cut(repr(value)), fix)
    return found


def _nested(argument: str, value: Any) -> tuple[Any, ...] | float:
    if isinstance(value, (tuple, list)):
        return tuple(_nested(argument, each) for each in value)
    return float(number(argument, value))


def _shape(value: Any) -> tuple[int | None, ...]:
    """The shape of nested tuples; None where they differ."""
    if not isinstance(value, tuple):
        return ()
    inner = {_shape(each) for each in value}
    return (len(value), *(inner.pop() if len(inner) == 1 else (None,)))


def layers_option(argument: str, value: Any) -> tuple[str, ...] | None:
    """Names of records, at least one, as a tuple; one name may stand for itself."""
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else value
    named = isinstance(names, (tuple, list)) and all(isinstance(name, str) for name in names)
    if not named or not names or len(set(names)) < len(names):
        fix = "Pass different keys of the mapping, as in ('hidden', 'output')."
        refuse(argument, "names of records", cut(repr(value)), fix, TypeError)
    return tuple(names)


def bounds(lower: float | None, upper: float | None) -> None:
    """At least one bound, the lower one not above the upper one."""
    if lower is None and upper is None:
        refuse("lower", "a bound, below or above", "none", "Give lower, upper or both.")
    if lower is not None and upper is not None and lower > upper:
        refuse("lower", f"at most upper={upper:g}", f"{lower:g}", "Swap them.")


def no_target(given: bool, weights: Any) -> None:
    """A penalty is of the decision alone."""
    if not given:
        refuse("target", "none for a penalty", "a target stage", "Drop target.", TypeError)
    if weights is not None:
        fix = "Weigh the penalty itself, as in 0.1 * penalty."
        refuse("class_weight", "none for a penalty", "weights", fix, TypeError)


def sequence_read(readout: Any, criterion: Any) -> None:
    """A criterion that sees all steps at once goes with a readout that keeps them, and only so."""
    if (readout.keeps == "sequence") == criterion.whole:
        return
    name = type(criterion).__name__
    if criterion.whole:
        rule, fix = f"readouts.WholeRecord() for {name}", "Write Loss(WholeRecord(), ...)."
    else:
        rule, fix = f"a decision or steps for {name}", "Read with readouts.EveryStep()."
    refuse("readout", rule, type(readout).__name__, fix, TypeError)


def rise(rise: float, tau: float, order: int) -> None:
    """A double exponential has two different time constants and no order."""
    if rise == tau:
        refuse(
            "rise", "another time than tau", f"{rise:g}", "Write order=2 for the alpha function."
        )
    if order != 1:
        refuse("order", "1 beside rise", order, "Drop order or rise.")


def times_read(readout: Any) -> None:
    """A target in steps needs a readout of spike times that are coded as times."""
    if not readout.in_steps:
        rule = "a readout of spike times in steps, code 'time'"
        fix = "Read with readouts.FirstSpike() or readouts.SpikeTimes()."
        refuse("target", rule, cut(repr(readout)), fix, TypeError)


def neuron_weights(argument: str, weights: Any) -> float | tuple[float, ...]:
    """A number of at least 0, or one for each neuron."""
    if isinstance(weights, Real):
        return number(argument, weights, low=0.0)
    return weights_option(argument, weights, each="neuron")


def class_weights_option(argument: str, weights: Any) -> tuple[float, ...] | None:
    """Class weights, or None: all 1."""
    return None if weights is None else weights_option(argument, weights)


def weights_option(argument: str, weights: Any, each: str = "class") -> tuple[float, ...]:
    """Weights, a sequence or an array, as a tuple of floats."""
    if is_array(weights):
        if not concrete(weights):
            fix = "Pass it when the loss is called."
            refuse(argument, "numbers", "an array without values", fix, TypeError)
        weights = unwrap(weights).tolist()
    if isinstance(weights, (str, bytes)) or not isinstance(weights, Sequence):
        fix = f"Pass one number per {each}, as in (1.0, 2.0, 0.5)."
        refuse(argument, "a sequence of numbers", said(weights), fix, TypeError)
    entries = enumerate(weights)
    return tuple(float(number(f"{argument}[{i}]", weight, low=0.0)) for i, weight in entries)


def terms(argument: str, value: Any, base: type) -> tuple[tuple[float, Any], ...]:
    """Pairs (factor, loss), at least one."""
    pairs = isinstance(value, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in value)
    if not pairs or not value:
        rule, fix = "a tuple of pairs (factor, loss)", "Write a sum, as in loss + 0.1 * other."
        refuse(argument, rule, cut(repr(value)), fix, TypeError)
    return tuple(
        (number("factor", factor), stage(argument, loss, base, "presets.ce_count()"))
        for factor, loss in value
    )


def steps_option(argument: str, value: Any) -> int | tuple[int, ...]:
    """A step, or a tuple of one or more."""
    if isinstance(value, tuple):
        if not value:
            refuse(argument, "at least one step", "()", "Give the step of the first spike.")
        return tuple(whole(f"{argument}[{i}]", step) for i, step in enumerate(value))
    if isinstance(value, bool) or not isinstance(value, (int, Integral)):
        rule, fix = "an integer or a tuple of integers", f"Pass {argument} as int or tuple."
        refuse(argument, rule, said(value), fix, TypeError)
    return int(value)


def pairs_option(on: int | tuple[int, ...], off: int | tuple[int, ...]) -> None:
    """As many steps for the label as for the other classes."""
    many = [len(steps) if isinstance(steps, tuple) else 0 for steps in (on, off)]
    if many[0] != many[1]:
        rule, fix = f"as many steps as on={cut(repr(on))}", "Give on and off the same number."
        refuse("off", rule, cut(repr(off)), fix)


def called(other: Any) -> NoReturn:
    """A loss is added to losses, its value to numbers."""
    fix = "Add its value, as in x + loss(record, target)."
    refuse("loss", "another loss to be added to", said(other), fix, TypeError)
