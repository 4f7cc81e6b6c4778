"""The words that every error is made of."""

from collections.abc import Sequence
from typing import Any, NoReturn

from spikeloss._backend import adapter, is_array
from spikeloss._shapes import Array, Steps


def refuse(
    argument: str, rule: str, got: object, fix: str, error: type[Exception] = ValueError
) -> NoReturn:
    """Raise the error that every check raises."""
    raise error(f"{argument}: expected {rule}, got {got}. {fix}")


def said(value: Any) -> str:
    """What came, in a few words."""
    if value is None or isinstance(value, (str, int, float, complex)):
        return cut(repr(value))
    if is_array(value):
        return article(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    package, _, module = type(value).__module__.partition(".")
    return f"{module}.{type(value).__name__}" if package == "spikeloss" else type(value).__name__


def shape_of(x: Array) -> str:
    return f"shape {tuple(x.shape)}"


def cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:55]}[...]"


def span(low: float, high: float) -> str:
    """The range of what came."""
    first, last = (str(end) if isinstance(end, int) else f"{end:g}" for end in (low, high))
    return first if first == last else f"{first} to {last}"


def per_sample(batch: tuple[int, ...], word: str) -> str:
    if len(batch) == 1:
        return f"{batch[0]} {word}{'' if batch[0] == 1 else 's'}, one per sample"
    return f"{word}s {batch}, one per sample" if batch else f"one {word}, as there is no batch axis"


def batch_first(shape: Sequence[int], batch: tuple[int, ...], steps: Steps, fix: str) -> str:
    """The fix, or another one where a sample seems to have been taken for a step."""
    first = len(batch) == 1 and isinstance(steps, int) and tuple(shape) == (steps,) != (1,)
    return "Pass time_axis=1 if the record is (batch, time, neurons)." if first else fix


def article(x: Array) -> str:
    return adapter(x).article


def module_of(x: Array) -> str:
    return adapter(x).module


def cast(argument: str, x: Array, to: str) -> str:
    return adapter(x).cast(argument, x, to)
