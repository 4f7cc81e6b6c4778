"""Checks of a record that comes step by step."""

from typing import Any, NoReturn

from spikeloss._backend import is_array
from spikeloss._shapes import Array

from ._array import beside_record
from ._words import refuse, said


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


def goes_on(x: Any, like: Array) -> None:
    """Further steps have the samples, the neurons and the library of those before."""
    if is_array(x):
        beside_record("record", x, like)
    shape = tuple(x.shape)
    if tuple(shape[1:]) != tuple(like.shape[1:]):
        rule = f"steps {tuple(like.shape[1:])}, as before"
        refuse("record", rule, f"{tuple(shape[1:])}", "Start another stream for other samples.")


def own_state(losses: Any, state: Any, kind: type) -> None:
    """A state that this stream, or one of the same losses, has made."""
    if not isinstance(state, kind):
        fix = "Pass what fold.init or fold.step returned."
        refuse("state", "the state of a stream", said(state), fix, TypeError)
    count = len(getattr(state, "terms", ()))
    if count != len(losses):
        rule, fix = f"a state of {len(losses)} losses", "Go on with the losses that made it."
        refuse("state", rule, f"one of {count}", fix)


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
