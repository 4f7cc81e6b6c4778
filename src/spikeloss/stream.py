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
every loss whose record has a time axis. Chunks of many steps at once go into `steps`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from . import _door
from ._backend import arange, as_array, constant, is_array, kind, namespace
from ._piece import Dense, Piece, deciding
from ._shapes import Array, Carry, ClassAxis, Classes, Evidence, Record
from ._shapes import Loss as Value
from ._steps import Sums, summed
from ._sums import Sum, added
from .records import Events, Packed

if TYPE_CHECKING:
    from .loss import Loss


class Term(NamedTuple):
    """What one loss knows of the steps that have come."""

    z: Any
    """The decision so far; of a readout that keeps time its `Sum` over the valid steps."""
    carry: Carry
    sums: Sums | None
    """Of the elements, where the readout keeps time and there is a target."""
    y: Array | None = None
    """The decision of a target that is a record, where the readout does not keep time."""
    y_carry: Carry = None

    @property
    def decision(self) -> Array:
        """The decision so far, or its sum over time."""
        return self.z.value if isinstance(self.z, Sum) else self.z


class State(NamedTuple):
    """All that a stream knows of the steps that have come: arrays, to be saved and gone on from."""

    like: Array
    """(0, *B, N) in the dtype of the result: what the record looks like."""
    time: int
    """Steps that have come."""
    end: Array
    """(*B, 1) those of them that were valid."""
    spoke: Array
    """(*B) whether anything but zero has come."""
    terms: tuple[Term, ...]

    @property
    def piece(self) -> Dense:
        """No more steps, after all that have come."""
        x = namespace(self.like).astype(self.like, self.terms[0].decision.dtype)
        return Dense(x, None, self.end, self.end, self.like.dtype)


@dataclass(frozen=True, eq=False)
class Fold:
    """A loss as pure functions of a state: `init`, `step` or `steps`, `finish`, `predict`.

    Made by `loss.fold(target, lengths=...)`. Where the length of a sample is not known beforehand,
    `valid`, a bool for each sample, comes with the steps. A target for each step, if the readout
    keeps time, comes with the steps too (and with `init`).
    """

    losses: tuple[tuple[float, "Loss"], ...]
    target: Array | None = None
    lengths: Array | None = None
    sample_weight: Array | None = None
    class_weight: Any = None
    time_axis: int = 0
    class_axis: ClassAxis = None

    def __post_init__(self) -> None:
        for _, loss in self.losses:
            _door.streamed(loss, self.lengths)

    def init(self, x: Record, target: Array | None = None) -> State:
        """The state before the first step; of `x`, a step (*B, N), only shape and dtype matter."""
        return self._begun(self._one_step(x), _of_step(target))

    def begin(self, x: Record | Events, target: Array | None = None) -> State:
        """The state before the first chunk, of which only shape and dtype matter."""
        chunk = self._chunk(x)
        return self._begun(chunk.nothing() if isinstance(x, Events) else chunk, target)

    def _begun(self, x: Record, target: Any) -> State:
        """The state before the first steps, which are laid out."""
        x, dtype = _door.working(x[:1])
        xp = namespace(x)
        none = xp.zeros_like(x[..., :1], dtype=arange(0, x).dtype)
        piece = Dense(xp.zeros_like(x), none > 0, none[0], none[0], dtype, gaps=True)
        like = xp.astype(piece.x[:0], dtype)
        if target is not None and not isinstance(target, Events):
            target = target[:1]
        terms = self._read(None, piece, target, None if target is None else piece)
        return State(like, 0, none[0], piece.spoke(), terms)

    def step(
        self, state: State, x: Record, target: Array | None = None, valid: Array | None = None
    ) -> State:
        """The state after one more step (*B, N)."""
        x = self._one_step(x)
        other = self._imitated(target, x, self._one_step)
        return self._after(state, x, other, _of_step(target), _of_step(valid))

    def steps(
        self,
        state: State,
        x: Record | Events,
        target: Array | None = None,
        valid: Array | None = None,
    ) -> State:
        """The state after a chunk of more steps (t, *B, N), in the layout of the record."""
        x = self._chunk(x)
        return self._after(state, x, self._imitated(target, x, self._chunk), target, valid)

    def finish(self, state: State) -> Value:
        """The loss of the steps that have come."""
        _door.own_state(self.losses, state, State)
        for (_, loss), term in zip(self.losses, state.terms, strict=True):
            known = loss.criterion.targetless or term.sums is not None or term.y is not None
            if not known and (self.target is None or loss.target.of_record):
                _door.untargeted(loss)
        total = _door.total(
            factor * self._value(loss, term, state)
            for (factor, loss), term in zip(self.losses, state.terms, strict=True)
        )
        return as_array(total, state.like.dtype)

    def predict(self, state: State) -> Classes:
        """The class that the (main) loss decides for after the steps that have come, (*B)."""
        _, loss = self.losses[main_of(self.losses)]
        return loss.classes(self._evidence(state), state.spoke)

    def accuracy(self, state: State, labels: Classes) -> Array:
        """The share of samples whose `predict` is their label."""
        _, loss = self.losses[main_of(self.losses)]
        return loss.share(self._evidence(state), state.spoke, labels, state.piece)

    def _one_step(self, x: Record) -> Record:
        x = _door.array("record", x)[None]
        self._one_layer(x)
        return _door.time_first(x, 0, _door.of_step(self.class_axis))

    def _chunk(self, x: Any) -> Any:
        self._one_layer(x)
        if isinstance(x, Events):
            return x
        return _door.time_first(_door.array("record", x), self.time_axis, self.class_axis)

    def _one_layer(self, x: Any) -> None:
        if all(loss.criterion.targetless for _, loss in self.losses):
            _door.layer(x, self.class_axis)

    def _imitated(self, target: Any, x: Any, laid_out: Callable[[Any], Any]) -> Any:
        """The steps of a target that is a record, laid out as those of the record."""
        if target is None or not any(loss.target.of_record for _, loss in self.losses):
            return None
        if isinstance(target, Events):
            return target
        return laid_out(_door.imitated(target, _values(x)))

    def _after(
        self, state: State, x: Any, other: Any, target: Array | None, valid: Array | None
    ) -> State:
        _door.own_state(self.losses, state, State)
        _door.goes_on(x, state.like)
        place = (self.lengths if valid is None else None, valid)

        def opened(x: Any) -> Piece:
            if isinstance(x, Events):
                return _door.open_events(x, *place, state.time, state.end)
            exact = len(x) == 1 or kind(x) in ("integer", "bool")  # in any order
            x, dtype = _door.working(x)
            piece = _door.open_piece(x, *place, dtype, state.time, state.end)
            return piece if exact else deciding(piece)

        piece, again = opened(x), None
        if other is not None:
            again = opened(other)
            _door.like_record(again, piece)
        return State(
            state.like,
            state.time + x.shape[0],
            piece.end,
            state.spoke | piece.spoke(),
            self._read(state, piece, target, again),
        )

    def _read(
        self, state: State | None, piece: Piece, target: Array | None, again: Piece | None
    ) -> tuple[Term, ...]:
        before = (None,) * len(self.losses) if state is None else state.terms
        time = 0 if state is None else state.time
        return tuple(
            self._term(loss, term, time, piece, self.target if target is None else target, again)
            for (_, loss), term in zip(self.losses, before, strict=True)
        )

    def _term(
        self,
        loss: "Loss",
        before: Term | None,
        time: int,
        piece: Piece,
        target: Array | None,
        again: Piece | None,
    ) -> Term:
        _door.followed(loss, before, again)
        z, carry = loss.readout.read(piece, before and before.carry)
        other: Carry = None
        if loss.target.of_record:
            target = None
            if again is not None:
                target, other = loss.readout.read(again, before and before.y_carry)
        if loss.readout.keeps != "time":
            return Term(z, carry, None, target if loss.target.of_record else None, other)
        piece = _door.dense(piece, loss.readout)
        known = target is not None or loss.criterion.targetless
        sums = self._sums(loss, z, time, piece, target) if known else None
        total = added(before and before.z, piece.summed(z))
        if sums is not None and before is not None and before.sums is not None:
            sums = before.sums.plus(sums)
        return Term(total, carry, sums, None, other)

    def _sums(self, loss: "Loss", z: Array, time: int, piece: Dense, target: Array | None) -> Sums:
        reading = loss.readout.as_reading(z, piece)._replace(offset=time)
        if self.lengths is not None:
            lengths = _door.beside_record("lengths", self.lengths, z)
            reading = reading._replace(steps=namespace(z).astype(lengths, z.dtype)[..., None])
        return summed(loss.elements(reading, target, self.class_weight), piece)

    def _value(self, loss: "Loss", term: Term, state: State) -> Array:
        piece = state.piece
        reading = loss.readout.as_reading(term.decision, piece)
        if term.sums is not None:
            reading, elements = reading._replace(keeps=None), term.sums.mean()
        else:
            target = self.target if term.y is None else term.y
            elements = loss.elements(reading, target, self.class_weight)
        return loss.reduced(elements, reading, self.sample_weight, piece)

    def _evidence(self, state: State) -> Evidence:
        main = main_of(self.losses)
        (_, loss), z = self.losses[main], state.terms[main].decision
        z = z / state.piece.steps if loss.readout.keeps == "time" else z
        return loss.judged(z, state.piece.steps)


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
        state = self.fold.init(x, target) if self.state is None else self.state
        self.state = self.fold.step(state, x, target, valid)
        return self

    def steps(
        self, x: Record | Events, target: Array | None = None, valid: Array | None = None
    ) -> Self:
        """Take a chunk of steps (t, *B, N), in the layout of the record."""
        if self.state is None:
            self.state = self.fold.begin(x, target)
        self.state = self.fold.steps(self.state, x, target, valid)
        return self

    def over(self, record: Packed, target: Array | None = None, valid: Array | None = None) -> Self:
        """Take all steps of a packed record."""
        start = 0
        for chunk in record.pieces():
            these = slice(start, start + len(chunk))
            parts = (None if whole is None else whole[these] for whole in (target, valid))
            self.steps(chunk, *parts)
            start += len(chunk)
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
        self.state = _detached(self._begun())
        return self

    def _begun(self) -> State:
        if self.state is None:
            _door.not_begun()
        return self.state


def main_of(terms: Sequence[tuple[float, "Loss"]]) -> int:
    """Which of the terms decides: the first with a target, else the first."""
    targeted = (i for i, (_, loss) in enumerate(terms) if not loss.criterion.targetless)
    return next(targeted, 0)


def _values(x: Any) -> Array:
    return x.time if isinstance(x, Events) else x


def _of_step(x: Array | None) -> Array | None:
    return None if x is None else x[None]


def _detached(state: Any) -> Any:
    if is_array(state):
        return constant(state)
    if isinstance(state, tuple):
        parts = map(_detached, state)
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    return state
