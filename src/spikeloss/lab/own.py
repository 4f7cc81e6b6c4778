"""Objectives of the user's own code: a loss, or a function that builds one, as a preset."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from spikeloss._door._words import cut, said
from spikeloss.loss import Loss, Total
from spikeloss.presets import Preset, catalogue

from .errors import InputError

RULE = "a loss, a sum of losses, or a function that builds one"


def own_preset(found: Any, name: str, argument: str, where: str, options: dict[str, Any]) -> Preset:
    """What `where` names as a preset, with these options in place of its defaults."""
    if isinstance(found, Loss | Total):
        if options:
            fix = "Name a function with options, or drop them."
            raise InputError(argument, f"no options, as {where} is a loss", _first(options), fix)
        return Preset(name, lambda: found, where, _decides(found))
    if not callable(found) or isinstance(found, type):
        fix = "Name what gives a loss."
        raise InputError(argument, RULE, f"{where}, {said(found)}", fix)
    _takes(found, options, argument, where)
    build = partial(found, **options) if options else found
    loss = _built(build, argument, where)
    if options:
        build.__doc__ = found.__doc__
    known = next((each for each in catalogue().values() if each.build is found), None)
    if known is not None:
        return Preset(name, build, known.source, known.decides)
    return Preset(name, build, where, _decides(loss))


def _first(options: dict[str, Any]) -> str:
    return cut(repr(next(iter(options))))


def _takes(found: Callable[..., Any], options: dict[str, Any], argument: str, where: str) -> None:
    """Only options that the function has."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # of C
        return
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    known = [each.name for each in parameters if each.kind in (each.KEYWORD_ONLY, _EITHER)]
    for option in options:
        if option not in known:
            rule = f"options of {where}: {', '.join(known) or 'none'}"
            raise InputError(argument, rule, cut(repr(option)), "Correct the name, or drop it.")


_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _built(build: Callable[..., Any], argument: str, where: str) -> Loss | Total:
    try:
        loss = build()
    except Exception as wrong:  # whatever the user's code raises
        ours = ": expected " in str(wrong)
        why = str(wrong).rstrip(".") if ours else cut(f"{type(wrong).__name__}: {wrong}")
        fix = "Correct its options, or give it defaults."
        raise InputError(argument, RULE, f"{where} ({why})", fix) from wrong
    if not isinstance(loss, Loss | Total):
        fix = "Return spikeloss.Loss(...), or a sum."
        raise InputError(argument, RULE, f"{where}, which gives {said(loss)}", fix)
    return loss


def _decides(loss: Loss | Total) -> str:
    if loss.main.criterion.targetless:
        return "no class"
    return f"the class that {type(loss.main.readout).__name__} decides for"
