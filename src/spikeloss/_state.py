"""What a stream knows of the steps that have come, and whether further ones follow them."""

from typing import Any, NamedTuple, NoReturn

from ._backend import constant, is_array, namespace
from ._door import beside_record, refuse, said
from ._engine import Read, Taken
from ._piece import Dense
from ._plan import Composed, Plan
from ._shapes import Array, Steps
from ._sums import going_on


class State(NamedTuple):
    """All that a stream knows of the steps that have come: arrays, to be saved and gone on from."""

    like: Array
    """(0, *B, N) in the dtype of the result: what the record looks like."""
    start: Any
    """Steps of the record before the first of them."""
    time: Any
    """Steps of the record up to the last of them."""
    end: Steps
    """(*B, 1) those of them that were valid, or how many they are of every sample."""
    fired: Array
    """(*B, N) whether anything but zero has come."""
    taken: Taken

    @property
    def spoke(self) -> Array:
        """(*B) whether anything but zero has come from any neuron."""
        return namespace(self.fired).any(self.fired, axis=-1)

    def piece(self, dtype: Any) -> Dense:
        """No more steps, after all that have come; in the precision of the computation."""
        x = namespace(self.like).astype(self.like, dtype)
        return Dense(x, self.like.dtype, time=self.time, start=self.end, part=True)


def begun(taken: Taken) -> Taken:
    """What has been taken, in the form to which many steps can be added."""
    totals = tuple(None if each is None else each.begun() for each in taken.totals)
    return Taken(tuple(map(going_on, taken.reads)), totals)


def joined(plan: Plan, a: State, b: State) -> State:
    """The state of two stretches of time, the second right after the first."""
    steps, more = a.end, b.end
    if isinstance(more, int) and not more:
        return a._replace(time=b.time)
    if isinstance(steps, int) and not steps:
        return b._replace(start=a.start)
    reads = []
    for readout, one, two in zip(plan.readings, a.taken.reads, b.taken.reads, strict=True):
        other = None
        if one.other is not None and two.other is not None:
            other = readout.merge(one.other, two.other, steps, more)
        total = one.total
        if total is not None and two.total is not None:
            total = total.plus(two.total)
        reads.append(Read(readout.merge(one.carry, two.carry, steps, more), other, total))
    totals = (
        None if one is None or two is None else one.plus(two)
        for one, two in zip(a.taken.totals, b.taken.totals, strict=True)
    )
    taken = Taken(tuple(reads), tuple(totals))
    return State(a.like, a.start, b.time, steps + more, a.fired | b.fired, taken)


def detached(state: Any) -> Any:
    """The same, with the derivative zero."""
    if is_array(state):
        return constant(state)
    if isinstance(state, tuple):
        parts = map(detached, state)
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state


# Checks


def streamed(loss: Composed, lengths: Any) -> None:
    """A loss whose record has a time axis, and whose elements can be computed as the steps come."""
    if loss.readout.timeless:
        rule, fix = "a readout of a record with time", "Call the loss itself."
        refuse("loss", rule, type(loss.readout).__name__, fix, TypeError)
    if loss.readout.keeps == "sequence":
        fix = "Call the loss on the whole record."
        refuse("loss", "a readout of a stream", type(loss.readout).__name__, fix, TypeError)
    if loss.target.at_once:
        rule, fix = "a target that can come step by step", "Call the loss on the whole record."
        refuse("loss", rule, type(loss.target).__name__, fix, TypeError)
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


def own(plan: Plan, state: Any) -> State:
    """A state that this stream, or one of the same losses, has made."""
    if not isinstance(state, State):
        fix = "Pass what fold.init or fold.step returned."
        refuse("state", "the state of a stream", said(state), fix, TypeError)
    count = len(state.taken.totals)
    if count != len(plan.terms):
        rule, fix = f"a state of {len(plan.terms)} losses", "Go on with the losses that made it."
        refuse("state", rule, f"one of {count}", fix)
    return state


def follows(a: State, b: State) -> None:
    """Stretches of time of one record, the second right after the first."""
    if tuple(a.like.shape) != tuple(b.like.shape):
        rule = f"a stretch of steps {tuple(a.like.shape[1:])}"
        fix = "Join stretches of the same samples and neurons."
        refuse("state", rule, f"one of {tuple(b.like.shape[1:])}", fix)
    known = isinstance(a.time, int) and isinstance(b.start, int)
    if known and a.time != b.start:
        rule = f"a stretch that starts after {a.time} steps, where the first one ends"
        refuse("state", rule, b.start, f"Begin it with start={a.time}.")


def untargeted(loss: Composed) -> NoReturn:
    """A value needs a target."""
    fix = "Write loss.stream(target)."
    if loss.target.of_record:
        fix = "Pass its steps with those of the record, as in stream.step(x, target)."
    refuse("target", "the target of the stream", None, fix)


def followed(before: Taken, other: Any) -> None:
    """A target that is a record comes with every step of a stream, or with none."""
    if (before.reads[0].other is None) != (other is None):
        got = "a step without" if other is None else "earlier steps without"
        fix = "Write stream.step(x, target), or fold.init(x, target), from the first step on."
        refuse("target", "a step of the target with every step", got, fix)


def not_begun() -> NoReturn:
    """A stream that has seen no step has no value."""
    refuse("stream", "at least one step", "none", "Write stream.step(x_t) first.")
