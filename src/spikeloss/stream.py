"""The same losses step by step, in memory that does not grow with the number of steps.

    stream = loss.stream(labels)          # PyTorch, NumPy, JAX outside of `jit`
    for x_t in record:
        stream.step(x_t)
    stream.value(), stream.predict()

    fold = loss.fold(labels)              # JAX: pure functions, for `lax.scan`, `jit` and `grad`
    state = fold.init(record[0])
    state, _ = jax.lax.scan(lambda s, x_t: (fold.step(s, x_t), None), state, record)
    fold.finish(state)

Both give what the loss gives for the whole record, up to rounding, in value and in gradient, for
every loss whose record has a time axis. Chunks of many steps at once go into `steps`. Stretches of
time that were read apart, each from a state that knows where it starts, are joined by `merge`:

    early = fold.steps(fold.begin(record[:500]), record[:500])
    late = fold.steps(fold.begin(record[500:], start=500), record[500:])
    fold.finish(fold.merge(early, late))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

from . import _door
from ._backend import arange, as_array, concrete, is_array, kind, namespace, signature
from ._door import refuse
from ._engine import NOWHERE, Aim, aimed, evident, finish, take, total
from ._judge import classes, share
from ._once import once
from ._open import Form, computed_in, form_of, laid_out, open_events, open_steps
from ._piece import Dense, Piece, deciding
from ._plan import Composed, Plan, Plans, Term, of_stream
from ._shapes import Array, ClassAxis, Classes, Evidence, Record
from ._shapes import Loss as Value
from ._state import (
    State,
    begun,
    detached,
    followed,
    follows,
    goes_on,
    joined,
    not_begun,
    own,
    streamed,
    untargeted,
)
from .readouts import Readout
from .records import Events, Packed, Times


class Kind(NamedTuple):
    """What is known of steps of one kind of array."""

    form: Form
    shape: tuple[int, ...]
    """(*B, N) of a step."""
    lengths: Array | None
    """(*B, 1) of the record, checked."""
    exact: bool
    """Whether sums over a chunk are the same in any order."""
    aims: dict[int, Aim]
    """What terms that compare every step compare it with, by their place."""


@dataclass(frozen=True, eq=False)
class Fold:
    """A loss as pure functions of a state: `init`, `step` or `steps`, `finish`, `predict`.

    Made by `loss.fold(target, lengths=...)`. Where the length of a sample is not known beforehand,
    `valid`, a bool for each sample, comes with the steps. A target for each step, if the readout
    keeps time, comes with the steps too (and with `init`).
    """

    losses: tuple[tuple[float, Composed], ...]
    target: Array | None = None
    lengths: Array | None = None
    sample_weight: Array | None = None
    class_weight: Any = None
    time_axis: int = 0
    class_axis: ClassAxis = None

    def __post_init__(self) -> None:
        for _, loss in self.losses:
            streamed(loss, self.lengths)

    @once
    def plan(self) -> Plan:
        """What is to be computed."""
        return of_stream(self.losses)

    @once
    def _kinds(self) -> dict[Any, Kind]:
        """What is known of steps of the kinds that have come."""
        return {}

    # A state

    def init(self, x: Record, target: Array | None = None, start: Any = 0) -> State:
        """The state before the first step; of `x`, a step (*B, N), only shape and dtype matter.

        `start`: how many steps of the record come before, in another stretch of time.
        """
        return self._begun(x, target, start, single=True)

    def begin(self, x: Record | Events, target: Array | None = None, start: Any = 0) -> State:
        """The state before the first chunk, of which only shape and dtype matter."""
        x = x.nothing() if isinstance(x, Events) else x
        return self._begun(x, target, start, single=False)

    def _begun(self, x: Record, target: Any, start: Any, *, single: bool) -> State:
        start = start if is_array(start) else _door.integer("start", start, low=0)
        x, known = self._laid_out(x, None, single=single)
        xp = namespace(x)
        x = xp.zeros_like(x[:1, ...])
        none = xp.zeros_like(x[..., :1], dtype=arange(0, x).dtype)
        place = {"time": start, "start": none[0, ...], "mask": none > 0}
        piece = Dense(x, known.form.dtype, **place, part=True)
        other = None if target is None or not self.plan.imitates else piece
        if target is not None and not self.plan.imitates:
            target = target[None, ...] if single else target[:1, ...]
        taken = take(
            self.plan, None, piece, partial(self._aim, {}, target), other=other, decides=True
        )
        like = xp.astype(x[:0, ...], known.form.dtype)
        return State(like, start, start, none[0, ...], piece.fired(), begun(taken))

    def step(
        self, state: State, x: Record, target: Array | None = None, valid: Array | None = None
    ) -> State:
        """The state after one more step (*B, N)."""
        return self.after(own(self.plan, state), x, target, valid, single=True)

    def steps(
        self,
        state: State,
        x: Record | Events,
        target: Array | None = None,
        valid: Array | None = None,
    ) -> State:
        """The state after a chunk of more steps (t, *B, N), in the layout of the record."""
        return self.after(own(self.plan, state), x, target, valid, single=False)

    def merge(self, a: State, b: State) -> State:
        """The state of two stretches of time, of which the second follows right after the first.

        Each has been read by itself, the second from `begin(..., start=...)` on. What can be joined
        are `EveryStep`, sums, means, maxima, the last step and spike times, also behind others.

        Raises:
            TypeError: for readouts in which a step depends on those before: `MovingWindow`,
                `FilteredTrace`, `PeakWindow`, `InterpolatedSpike`.
        """
        a, b = own(self.plan, a), own(self.plan, b)
        follows(a, b)
        return joined(self.plan, a, b)

    # What it says

    def finish(self, state: State) -> Value:
        """The loss of the steps that have come."""
        plan = self.plan
        for term, totals in zip(plan.terms, own(plan, state).taken.totals, strict=True):
            read, loss = state.taken.reads[term.reading], term.loss
            known = loss.criterion.targetless or totals is not None or read.other is not None
            if not known and (self.target is None or loss.target.of_record):
                untargeted(loss)
        aim_of = partial(self._aim, {}, None)
        found = finish(plan, state.taken, _end(state), aim_of, self.sample_weight)
        return as_array(total(list(zip(plan.terms, found, strict=True))), state.like.dtype)

    def predict(self, state: State) -> Classes:
        """The class that the (main) loss decides for after the steps that have come, (*B)."""
        return classes(self._evidence(state), state.spoke)

    def accuracy(self, state: State, labels: Classes) -> Array:
        """The share of samples whose `predict` is their label."""
        evidence, (_, loss) = self._evidence(state), self.losses[main_of(self.losses)]
        return share(loss, evidence, state.spoke, labels, _end(state))

    def _evidence(self, state: State) -> Evidence:
        state = own(self.plan, state)
        return evident(self.plan, state.taken, _end(state), main_of(self.losses))

    # Further steps

    def after(self, state: State | None, x: Any, target: Any, valid: Any, *, single: bool) -> State:
        """The state after a step or a chunk; None: before the first."""
        if single and valid is not None:
            valid = valid[None, ...]
        x, known = self._laid_out(x, state, single=single)
        piece, other = self._piece(state, x, known, valid), None
        before = None if state is None else state.taken
        if self.plan.imitates:
            if target is not None:
                other, target = self._imitated(state, target, piece, valid, single), None
            if before is not None:
                followed(before, other)
        elif target is not None and single:
            target = target[None, ...]
        steps = None
        if self._needs_steps and known is not None and known.lengths is not None:
            steps = namespace(x).astype(known.lengths, x.dtype)
        aim_of = partial(self._aim, {} if known is None else known.aims, target)
        taken = take(self.plan, before, piece, aim_of, other=other, steps=steps, decides=True)
        if state is None:
            like = namespace(piece.like).astype(piece.like[:0, ...], piece.dtype)
            like = x.nothing()[:0, ...] if isinstance(x, Events) else like
            return State(like, 0, x.shape[0], piece.end, piece.fired(), begun(taken))
        time, fired = state.time + x.shape[0], piece.fired(state.fired)
        return State(state.like, state.start, time, piece.end, fired, taken)

    def _laid_out(self, x: Any, state: State | None, *, single: bool) -> tuple[Any, Any]:
        """Steps with time first, in the precision of the computation, and what is known of them."""
        if isinstance(x, Times):
            fix = "Call the loss itself."
            refuse("record", "steps of a record for a stream", "times", fix, TypeError)
        if isinstance(x, Events) and not single:
            self._one_layer(x)
            if state is not None:
                goes_on(x, state.like)
            return x, None
        key = signature(x)
        known = found = None if key is None else self._kinds.get((key, single))
        if known is None:
            known = self._kind(x, single)
            if key is not None:
                if len(self._kinds) >= Plans.MOST:  # of chunks of ever other sizes
                    self._kinds.clear()
                self._kinds[key, single] = known
        x = x[None, ...] if single else x
        x = x if known.form.as_it_is else computed_in(laid_out(x, known.form), known.form)
        if state is not None and (found is None or state.like.shape[1:] != known.shape):
            goes_on(x, state.like)
        return x, known

    def _kind(self, x: Any, single: bool) -> Kind:
        """What steps like these are, checked."""
        x = _door.array("record", x)
        time, neurons = self.time_axis, self.class_axis
        if single:
            x, time, neurons = x[None, ...], 0, _door.of_step(neurons)
        self._one_layer(x)
        form, exact = form_of(x, time, neurons, False), kind(x) in ("integer", "bool")
        x, lengths = laid_out(x, form), self.lengths
        self.plan.reads(x.shape[-1])
        if lengths is not None:
            lengths, _ = _door.held_lengths(lengths, tuple(x.shape), x, part=True)
        return Kind(form, x.shape[1:], lengths, exact or x.shape[0] == 1, {})

    def _one_layer(self, x: Any) -> None:
        if all(loss.criterion.targetless for _, loss in self.losses):
            _door.layer(x, self.class_axis)

    def _piece(self, state: State | None, x: Any, known: Kind | None, valid: Any) -> Piece:
        """Steps after those of a state."""
        place: dict[str, Any] = {"part": True}
        if state is not None:
            place |= {"time": state.time, "start": state.end}
        if known is None:
            events = open_events(x, None if valid is not None else self.lengths, valid, **place)
            self.plan.reads(events.neurons)
            return events
        if valid is not None:
            piece = open_steps(x, known.form.dtype, None, valid, **place)
        else:
            piece = Dense(x, known.form.dtype, lengths=known.lengths, **place)
        return piece if known.exact else deciding(piece)

    def _imitated(
        self, state: State | None, target: Any, piece: Piece, valid: Any, single: bool
    ) -> Piece:
        """The steps of a target that is a record, laid out as those of the record."""
        if not isinstance(target, Events):
            axes = len(piece.shape) - single
            target = _door.imitated(target, piece.like, axes)
        x, known = self._laid_out(target, state, single=single)
        other = self._piece(state, x, known, valid)
        _door.like_record(other.shape, piece.shape)
        return other

    @once
    def _needs_steps(self) -> bool:
        """Whether elements of a step depend on how many steps the record has."""
        return any(loss.criterion.needs_steps for _, loss in self.losses)

    def _aim(
        self,
        aims: dict[int, Aim],
        given: Any,
        term: Term,
        readout: Readout,
        piece: Piece,
        y: Any,
    ) -> Aim | None:
        """What a term aims at; `given`: the target of the steps, `aims`: what is known already."""
        loss = term.loss
        if loss.criterion.targetless:
            return NOWHERE
        if loss.target.of_record:
            outline = readout.outlined(piece)
            return None if y is None else aimed(loss, outline, y, self.class_weight)[0]
        if given is None and term.place in aims:
            return aims[term.place]
        target = self.target if given is None else given
        if target is None:
            return None
        aim, _ = aimed(loss, readout.outlined(piece), target, self.class_weight)
        if given is None and loss.target.steps is None and _lasts(aim):
            aims[term.place] = aim
        return aim


class Stream:
    """A loss that takes a record step by step, and gives its value and its decision at any step.

    Made by `loss.stream(target, lengths=...)`; the arguments of `step` and `steps` are those of
    `Fold`. `state` is None before the first step; set it to one that was saved to go on from there.
    Gradients flow through all steps since the last `detach`.
    """

    def __init__(self, fold: Fold, state: State | None = None) -> None:
        self.fold, self.state = fold, state

    def step(self, x: Record, target: Array | None = None, valid: Array | None = None) -> Self:
        """Take one step (*B, N)."""
        self.state = self.fold.after(self._known(), x, target, valid, single=True)
        return self

    def steps(
        self, x: Record | Events, target: Array | None = None, valid: Array | None = None
    ) -> Self:
        """Take a chunk of steps (t, *B, N), in the layout of the record."""
        self.state = self.fold.after(self._known(), x, target, valid, single=False)
        return self

    def over(self, record: Packed, target: Array | None = None, valid: Array | None = None) -> Self:
        """Take all steps of a packed record."""
        start = 0
        for chunk in record.pieces():
            these = slice(start, start + chunk.shape[0])
            parts = (None if every is None else every[these, ...] for every in (target, valid))
            self.steps(chunk, *parts)
            start += chunk.shape[0]
        return self

    def value(self) -> Value:
        """The loss of the steps that have come."""
        return self.fold.finish(self._begun())

    def predict(self) -> Classes:
        """The class that the loss decides for after the steps that have come, (*B)."""
        return self.fold.predict(self._begun())

    def accuracy(self, labels: Classes) -> Array:
        """The share of samples whose `predict` is their label."""
        return self.fold.accuracy(self._begun(), labels)

    def detach(self) -> Self:
        """Cut the gradient here: what has come counts for the value, but no longer learns."""
        self.state = detached(self._begun())
        return self

    def _known(self) -> State | None:
        return None if self.state is None else own(self.fold.plan, self.state)

    def _begun(self) -> State:
        if self.state is None:
            not_begun()
        return self.state


def main_of(terms: Sequence[tuple[float, Composed]]) -> int:
    """Which of the terms decides: the first with a target, else the first."""
    targeted = (i for i, (_, loss) in enumerate(terms) if not loss.criterion.targetless)
    return next(targeted, 0)


def _end(state: State) -> Piece:
    """No more steps, after all that have come."""
    cast, dtype = _door.precision(state.like)
    return state.piece(dtype if cast is None else cast)


def _lasts(aim: Aim) -> bool:
    """Whether it can be kept for further calls: not where a traced function has made it."""
    return all(each is None or concrete(each) for each in aim)
