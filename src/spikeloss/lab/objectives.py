"""Objectives as the command line spells them: `mse_count`, or `mse_count(on=0.8, off=0.2)`."""

import ast
import difflib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloss.loss import Loss
from spikeloss.presets import Preset, catalogue

from .errors import InputError

FORM = re.compile(r"\s*([\w-]+)\s*(\(.*\))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Objective:
    """A preset with its options: how it is written, where it comes from, and the loss it builds."""

    spelling: str
    preset: Preset
    loss: Loss

    @property
    def reads(self) -> str:
        """The record it is trained on: "spikes" or "membrane"; spikes if either will do."""
        return "membrane" if self.preset.reads == "membrane" else "spikes"

    def check(self, steps: int, classes: int) -> None:
        """Refuse an objective that cannot learn class labels from records of this size."""
        rule = f"one that learns labels from records of {steps} steps and {classes} neurons"
        fix = "Choose another with `spikeloss list`."
        if self.loss.readout.timeless:
            got = f"{self.spelling} (its record has no time axis)"
            raise InputError("objective", rule, got, fix)
        try:
            self.loss(np.ones((steps, 1, classes), np.float32), np.zeros(1, np.int64))
        except (TypeError, ValueError) as wrong:
            raise InputError("objective", rule, _saying(self.spelling, wrong), fix) from None


def find(text: str) -> Objective:
    """The objective that `text` spells."""
    name, options = _parse(text)
    presets = catalogue()
    if name not in presets:
        close = difflib.get_close_matches(name.replace("-", "_"), presets, n=1)
        fix = f"Did you mean {close[0]}?" if close else "See all with `spikeloss list`."
        raise InputError("objective", "a name that `spikeloss list` shows", repr(name), fix)
    try:
        loss = presets[name].build(**options)
    except (TypeError, ValueError) as wrong:
        fix = f"See `spikeloss show {name}`."
        raise InputError("objective", "options that fit", _saying(text, wrong), fix) from None
    listed = ", ".join(f"{option}={value!r}" for option, value in options.items())
    return Objective(f"{name}({listed})" if options else name, presets[name], loss)


def _saying(text: str, wrong: Exception) -> str:
    return f"{text} ({str(wrong).rstrip('.')})"


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of `name(option=value, ...)`; values are Python literals."""
    form = FORM.fullmatch(text)
    if form:
        try:
            call = ast.parse(f"f{form[2] or '()'}", mode="eval").body
            if isinstance(call, ast.Call) and not call.args:
                return form[1], {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        except (SyntaxError, ValueError):
            pass
    fix = "Quote it for the shell: 'mse_count(on=0.8, off=0.2)'."
    raise InputError("objective", "a name, or a name with options", repr(text), fix)


def defaults() -> tuple[str, ...]:
    """The objectives that `spikeloss compare` trains unless told otherwise: snnTorch's seven."""
    return tuple(name for name, preset in catalogue().items() if "snntorch" in preset.source)
