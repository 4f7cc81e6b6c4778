"""Checks of a record that comes step by step."""

from typing import Any, NoReturn

from spikeloss._shapes import Array

from ._words import refuse


def streamed(loss: Any, lengths: Any) -> None:
    """A loss whose record has a time axis, and whose elements can be computed as the steps come."""
    if loss.readout.timeless:
        rule, fix = "a readout of a record with time", "Call the loss itself."
        refuse("loss", rule, type(loss.readout).__name__, fix, TypeError)
    if loss.readout.keeps == "sequence":
        fix = "Call the loss on the whole record."
        refuse("loss", "a readout of a stream", type(loss.readout).__name__, fix, TypeError)
    if loss.layers:
        rule, fix = "a loss of one record", "Make a stream per layer, of loss.replace(layers=None)."
        refuse("loss", rule, f"one of the layers {', '.join(loss.layers)}", fix, TypeError)
    if loss.readout.keeps == "time" and loss.criterion.needs_steps and lengths is None:
        rule = "the steps of every sample, as the error of each step is divided by them"
        refuse("lengths", rule, None, "Pass lengths, or steps_power=0.")


def goes_on(shape: tuple[int, ...], like: Array) -> None:
    """Further steps have the samples and the neurons of those before."""
    if tuple(shape[1:]) != tuple(like.shape[1:]):
        rule = f"steps {tuple(like.shape[1:])}, as before"
        refuse("record", rule, f"{tuple(shape[1:])}", "Start another stream for other samples.")


def untargeted(loss: Any) -> NoReturn:
    """A value needs a target."""
    fix = "Write loss.stream(target)."
    if loss.target.of_record:
        fix = "Pass its steps with those of the record, as in stream.step(x, target)."
    refuse("target", "the target of the stream", None, fix)


def followed(loss: Any, before: Any, again: Any) -> None:
    """A target that is a record comes with every step of a stream, or with none."""
    if loss.target.of_record and before is not None and (before.y_carry is None) != (again is None):
        got = "a step without" if again is None else "earlier steps without"
        fix = "Write stream.step(x, target), or fold.init(x, target), from the first step on."
        refuse("target", "a step of the target with every step", got, fix)


def not_begun() -> NoReturn:
    """A stream that has seen no step has no value."""
    refuse("stream", "at least one step", "none", "Write stream.step(x_t) first.")
