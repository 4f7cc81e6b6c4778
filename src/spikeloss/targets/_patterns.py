"""Stored patterns, one for each class."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from spikeloss.extend import (
    Array,
    Evidence,
    Labels,
    Steps,
    by_class,
    checked,
    cut,
    declared,
    like,
    namespace,
    number,
    plain,
    product,
    refuse,
    said,
    undecided,
)
from spikeloss.readouts import Outline, Readout

from ._base import Target

Rows: TypeAlias = tuple[tuple[float, ...], ...]


def _patterns(argument: str, value: Any) -> tuple[Any, ...]:
    """Finite numbers (K, N) or (K, T, N), as nested tuples of floats."""
    value = plain(value)
    rule, fix = "numbers (K, N) or (K, T, N)", "Pass a row of numbers per class."
    if not isinstance(value, (tuple, list)):
        refuse(argument, rule, said(value), fix, TypeError)
    found = tuple(_nested(argument, row) for row in value)
    shape = _shape(found)
    if len(shape) not in (2, 3) or None in shape or 0 in shape:
        refuse(argument, rule, cut(repr(value)), fix)
    return found


def _nested(argument: str, value: Any) -> tuple[Any, ...] | float:
    if isinstance(value, (tuple, list)):
        return tuple(_nested(argument, each) for each in value)
    return float(checked(argument, value, number()))


def _shape(value: Any) -> tuple[int | None, ...]:
    """The shape of nested tuples; None where they differ."""
    if not isinstance(value, tuple):
        return ()
    inner = {_shape(each) for each in value}
    return (len(value), *(inner.pop() if len(inner) == 1 else (None,)))


@dataclass(frozen=True)
class StoredPattern(Target):
    """y = P_label: a stored pattern per class, of one number per neuron, or per step and neuron.

    The number of classes is that of the patterns, whatever the number of neurons is; the class that
    a decision is nearest to, by the squared error, is the one that is predicted. Patterns in time
    predict none.

    Args:
        patterns: (K, N), or (K, T, N) for readouts that keep time; nested tuples or an array.

    >>> import numpy
    >>> from spikeloss.readouts import Maximum
    >>> outline = Maximum().outline(numpy.zeros((5, 1, 3)))
    >>> StoredPattern(((0.0, 0.0, 1.0), (1.0, 2.0, 0.0))).encode(numpy.array([1]), outline)
    array([[1., 2., 0.]])
    """

    patterns: Rows | tuple[Rows, ...] = field(metadata=declared(_patterns))

    @property
    def classes(self) -> int:
        return len(self.patterns)

    @property
    def steps(self) -> int | None:
        first = self.patterns[0]
        return len(first) if isinstance(first[0], tuple) else None

    def encode(self, target: Labels, outline: Outline) -> Array:
        patterns, count = like(self.patterns, outline.like), len(self.patterns)
        xp, shape = namespace(patterns), tuple(patterns.shape[1:])
        chosen = by_class(target, count, patterns, 1.0, 0.0)
        y = product(chosen, xp.reshape(patterns, (count, -1)))
        y = xp.reshape(y, (*chosen.shape[:-1], *shape))
        return xp.moveaxis(y, (-2,), (0,)) if len(shape) == 2 else y

    def evidence(self, z: Array, readout: Readout) -> Evidence:
        patterns, xp = like(self.patterns, z), namespace(z)
        if patterns.ndim == 3 or readout.keeps == "spikes":
            undecided(self)
        return -xp.sum((z[..., None, :] - patterns) ** 2, axis=-1)

    def rounded(self, evidence: Evidence, readout: Readout, steps: Steps) -> Array | float:
        return namespace(evidence).abs(evidence)
