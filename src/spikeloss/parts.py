"""Parts: sums with weights, per sample and per batch. They add up, and are divided at the very end.

elements (S, *B, 1 | C) -> totals of every sample (S, *B, 1 | C) -> parts of the loss (), () -> ()

`Totals` of consecutive pieces of a record add up to those of the whole record, in streams and over
stretches of time alike; `Parts` of micro-batches and of processes to those of the whole batch.
Means would not, as parts differ in how much they weigh.
"""

from typing import Any, Literal, NamedTuple

from ._backend import Lack, across, added, as_array, begun, checks_values, namespace
from ._door import choice, group, refuse
from ._shapes import Array, Steps, Valid
from ._sums import sum_over_time


class Totals(NamedTuple):
    """Of every sample the sum of its elements: of the one that a decision gives, or of all steps.

    What a criterion gives and a reduction takes apart.
    """

    value: Array
    """(S, *B, 1 | C): the sum of w l, of losses l that are multiplied by their weights w."""
    weight: Array | None = None
    """(S, *B, 1): the sum of w; None: all are 1."""
    number: int | Array = 1
    """(S, *B, 1): how many elements count, integers or bools."""
    rest: tuple[Array | None, Array | None] = (None, None)
    """What value and weight lost by rounding so far, where more is to be added; None: nothing."""
    full: bool = False
    """Whether the number is known to be at least 1 everywhere."""

    def over_time(
        self, valid: Valid | None, held: Steps, *, full: bool = False, dropped: bool = False
    ) -> "Totals":
        """The sums over the steps, the first axis, that are valid, so many of each sample.

        `full`: every sample is known to have one; `dropped`: elements of other steps are 0.
        """
        value, weight, number = self.value, self.weight, self.number
        xp, steps = namespace(value), value.shape[0]
        every = isinstance(number, int)
        counts = both(None if every else number, valid)
        if weight is not None:
            weight = xp.broadcast_to(weight, (*value.shape[:-1], 1))
        if counts is None:
            weight = None if weight is None else sum_over_time(weight)
            return Totals(sum_over_time(value), weight, steps)
        counts = xp.broadcast_to(counts, (*value.shape[:-1], 1))
        if weight is not None:
            weight = sum_over_time(xp.where(counts, weight, 0))
        if not dropped or valid is None:
            value = xp.where(counts, value, 0)
        number = held if every else xp.sum(xp.astype(counts, xp.int32), axis=0)
        return Totals(sum_over_time(value), weight, number, full=full and every)

    def plus(self, other: "Totals") -> "Totals":
        """The totals of the elements of both."""
        value, left = added((self.value, self.rest[0]), (other.value, other.rest[0]))
        weight, lost = self.weight, None
        if weight is not None and other.weight is not None:
            weight, lost = added((weight, self.rest[1]), (other.weight, other.rest[1]))
        return Totals(value, weight, self.number + other.number, (left, lost))

    def begun(self) -> "Totals":
        """The same, in the form to which many others can be added."""
        value, left = begun(self.value)
        weight, lost = (None, None) if self.weight is None else begun(self.weight)
        return Totals(value, weight, self.number, (left, lost))

    def weighed(self, by: Array) -> "Totals":
        """The totals with one more weight (*B, 1) for every sample."""
        weight, number = self.weight, self.number
        if weight is None:
            weight = number if isinstance(number, int) else namespace(by).astype(number, by.dtype)
        return Totals(self.value * by, weight * by, number, full=self.full)

    def mean(self) -> tuple[Array, Array | None, Array | None]:
        """The means of w l and of w of every sample, and which of them count; None: all."""
        value, weight, number = self.value, self.weight, self.number
        if isinstance(number, int):
            if number == 1:
                return value, weight, None
            return value / number, None if weight is None else weight / number, None
        xp = namespace(value)
        if number.dtype == xp.bool:
            return value, weight, number
        full = self.full is True  # as what a state carries is traced
        counts = None if full else number > 0
        number = xp.astype(number if full else xp.where(counts, number, 1), value.dtype)
        return value / number, None if weight is None else weight / number, counts


def both(a: Array | None, b: Array | None) -> Array | None:
    """Both masks, None meaning all true."""
    return b if a is None else a if b is None else a & b


def divided(numerator: Array, denominator: Array | None) -> Array:
    """Their quotient, nan where the denominator is 0; without one the numerator."""
    if denominator is None:
        return numerator
    xp = namespace(denominator)
    return numerator / xp.where(denominator == 0, xp.nan, denominator)


class Addend(NamedTuple):
    """One of the terms that a loss is the sum of: made by `loss.addends`."""

    factor: float
    """What it is multiplied by."""
    value: Array
    """The loss of the term by itself."""
    weighted: Array
    """factor times value: what it adds."""


class Parts(NamedTuple):
    """What a loss is the quotient of, for each of its terms: made by `loss.parts`.

    Parts of micro-batches and processes add up, and `value` is what one big batch gives: class and
    sample weights, lengths, ignored labels and empty parts included.

        sum(loss.parts(x, y) for x, y in batches).value().backward()

    They are in float32 or float64, whatever the record is in.

    >>> import numpy
    >>> from spikeloss.presets import ce_count
    >>> loss, silent = ce_count(class_weight=(1.0, 3.0)), numpy.zeros((5, 2, 2))
    >>> one, two = (loss.parts(silent, numpy.array(y)) for y in ([0, 0], [1, 1]))
    >>> round(float((one + two).value()), 6), one.denominator  # 2 ln 2
    (1.386294, (array(2.),))
    """

    numerator: tuple[Array, ...]
    """() of each term, multiplied by its factor: the sum of w l over what counts."""
    denominator: tuple[Array | None, ...]
    """() of each term, what that is divided by: a number of elements, or the sum of their weights;
    None: nothing."""

    def __add__(self, other: Any) -> "Parts":
        if not isinstance(other, Parts):
            return NotImplemented
        _alike(self, other)
        pairs = zip(self.denominator, other.denominator, strict=True)
        return Parts(
            tuple(map(_plus, self.numerator, other.numerator)),
            tuple(None if a is None else _plus(a, b) for a, b in pairs),
        )

    def __radd__(self, zero: Any) -> "Parts":
        begins = isinstance(zero, int) and zero == 0  # as `sum` does
        return self if begins else NotImplemented

    def across(
        self, ranks: str | tuple[str, ...], *, gradients: Literal["averaged", "summed"] = "averaged"
    ) -> "Parts":
        """sum_r parts_r over ranks r, on every rank, by one collective.

        Of parts of any number of micro-batches; `reductions.Mean(across=...)` does it in every call
        of a loss, and says what `ranks` and `gradients` are.

        Raises:
            ValueError: where there are no such ranks, or parts of another loss on one of them.
        """
        ranks = group("across", ranks)
        averaged = choice("gradients", gradients, ("averaged", "summed")) == "averaged"
        given = [*self.numerator, *(each for each in self.denominator if each is not None)]
        xp, sums = namespace(given[0]), tuple(each is None for each in self.denominator)
        vector = xp.stack([as_array(each, xp.result_type(*given)) for each in given])
        found = across(vector, ranks, averaged, sums)
        if not isinstance(found, Lack):
            total, alike = found
            if alike is None or not checks_values(alike):
                total = total if alike is None else xp.where(alike, total, xp.nan)
            elif not alike:
                found = Lack("parts of one loss on all ranks", "others", "Call the same loss.")
        if isinstance(found, Lack):
            refuse("across", *found)
        each = iter(as_array(total[i], x.dtype) for i, x in enumerate(given))
        return Parts(
            tuple(next(each) for _ in self.numerator),
            tuple(None if none else next(each) for none in sums),
        )

    def value(self) -> Array:
        """The loss, 0-d: the sum over the terms of numerator / denominator."""
        terms = map(divided, self.numerator, self.denominator)
        total = next(terms)
        for term in terms:
            total = total + term
        return total


Parts.__array_ufunc__ = None  # type: ignore[attr-defined]  # NumPy's arrays leave sums to them


def _plus(a: Array, b: Array) -> Array:
    total = a + b
    return as_array(total, total.dtype)


def _alike(a: Parts, b: Parts) -> None:
    """Parts of one loss: as many terms, of which the same are sums."""
    shapes = [tuple(each is None for each in parts.denominator) for parts in (a, b)]
    if shapes[0] != shapes[1]:
        mine, other = (
            f"{_counted(len(shape), 'term')} and {_counted(sum(shape), 'sum')}" for shape in shapes
        )
        refuse("parts", f"parts of one loss, {mine}", other, "Add parts of the same loss.")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
