"""Checks of a record that comes step by step."""

from typing import Any, NoReturn

from spikeloss._shapes import Array

from ._words import refuse


def streamed(loss: Any, lengths: Any) -> None:
    """A loss whose record has a time axis, and whose elements can be computed as the steps come."""
    if loss.readout.timeless:
        rule, fix = "a readout of a record with time", "Call the loss itself."
        refuse("loss", rule, type(loss.readout).__name__, fix, TypeError)
    if loss.readout.keeps == "time" and loss.criterion.needs_steps and lengths is None:
        rule = "the steps of every sample, as the error of each step is divided by them"
        refuse("lengths", rule, None, "Pass lengths, or steps_power=0.")


def goes_on(shape: tuple[int, ...], like: Array) -> None:
    """Further steps have the samples and the neurons of those before."""
    if tuple(shape[1:]) != tuple(like.shape[1:]):
        rule = f"steps {tuple(like.shape[1:])}, as before"
        refuse("record", rule, f"{tuple(shape[1:])}", "Start another stream for other samples.")


def untargeted() -> NoReturn:
    """A value needs a target."""
    refuse("target", "the target of the stream", None, "Write loss.stream(target).")


def not_begun() -> NoReturn:
    """A stream that has seen no step has no value."""
    refuse("stream", "at least one step", "none", "Write stream.step(x_t) first.")
