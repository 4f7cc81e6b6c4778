"""Checks of functions of the user's own, in the place of a stage, and of what they give."""

from functools import partial
from os.path import basename
from typing import Any

from spikeloss._backend import adapter, is_array, unwrap
from spikeloss._shapes import Array

from ._words import article, cut, refuse, said, shape_of

_LIBRARIES = {
    "torch": ("torch", "a torch tensor", "torch.as_tensor(record)"),
    "optax": ("jax", "a JAX array", "jax.numpy.asarray(record)"),
    "jax": ("jax", "a JAX array", "jax.numpy.asarray(record)"),
}
"""By the package that a function is from: its library, what it takes, and how to make one."""


def function(argument: str, value: Any) -> Any:
    """A function, or another value with a call that can be told from others."""
    fix = "Pass a function, such as one made with def."
    if not callable(value) or isinstance(value, type):
        refuse(argument, "a function", said(value), fix, TypeError)
    try:
        hash(value)
    except TypeError:
        refuse(argument, "a function that can be hashed", said(value), fix, TypeError)
    return value


def named(function: Any) -> str:
    """How a function is called, and where a nameless one stands."""
    if isinstance(function, partial):
        given = [*map(repr, function.args), *(f"{k}={v!r}" for k, v in function.keywords.items())]
        return f"partial({', '.join([named(function.func), *given])})"
    name, code = getattr(function, "__qualname__", None), getattr(function, "__code__", None)
    if name is None:
        text = repr(function)
        return type(function).__name__ if " at 0x" in text else cut(text)
    if "<lambda>" in name and code is not None:
        return f"<lambda> of {basename(code.co_filename)}, line {code.co_firstlineno}"
    return f"{function.__module__}.{name}"


def written_for(function: Any, x: Array) -> None:
    """A function of a library takes its arrays alone."""
    while isinstance(function, partial):
        function = function.func
    kinds = type(function).__mro__ if not hasattr(function, "__qualname__") else (function,)
    roots = [(each.__module__ or "").partition(".")[0] for each in kinds]
    root = next((root for root in roots if root in _LIBRARIES), None)
    if root is not None and adapter(x).name != _LIBRARIES[root][0]:
        _, takes, converted = _LIBRARIES[root]
        fix = f"Write {converted}."
        refuse("record", f"{takes} for {named(function)}", article(x), fix, TypeError)


def returned(function: Any, value: Any, x: Array, *shapes: tuple[int, ...]) -> Array:
    """What a function gives: an array beside x, of one of the shapes."""
    rule = f"an array of shape {' or '.join(map(str, shapes))} from {named(function)}"
    if not is_array(value):
        refuse("function", rule, said(value), "Return an array.", TypeError)
    value = unwrap(value)
    if adapter(value).name != adapter(x).name:
        rule, fix = f"{article(x)} like the record from {named(function)}", "Compute with its own."
        refuse("function", rule, article(value), fix, TypeError)
    if tuple(value.shape) not in shapes:
        fix = "Keep what it says of each sample apart, as reduction='none' does."
        refuse("function", rule, shape_of(value), fix)
    return value
