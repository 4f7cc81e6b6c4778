"""Samples of a batch compared with each other, in pairs."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from spikeloss.extend import (
    Array,
    Check,
    Labels,
    Steps,
    Totals,
    absolute,
    as_index,
    at,
    batch_first,
    cast,
    checks_values,
    choice,
    constant,
    extent,
    first_nonzero,
    kind,
    log_softmax,
    namespace,
    number,
    numbered,
    per_sample,
    product,
    refuse,
    running_sum,
    shape_of,
    span,
    squared_distances,
)
from spikeloss.readouts import Outline, Reading

from ._base import Criterion

PAIRED = 10_000
"""Samples of a batch whose pairs are compared: 400 MB in float32 for each array of pairs."""

MOVED = 2**28
"""Numbers that are held while trains are compared step by step: 1 GiB in float32."""


class Paired(Criterion):
    """A criterion of the pairs of a batch, whose labels say which belong together.

    Of decisions without time or, of `readouts.WholeRecord`, of all steps at once. What is left to
    say is the formula, `pairs`.
    """

    of_labels: ClassVar[bool] = True
    couples: ClassVar[bool] = True
    of_sequence: ClassVar[bool | None] = None

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_pairs(y, outline)

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        xp, samples = namespace(reading.z), math.prod(reading.batch)
        labels, shape = xp.reshape(y, (samples,)), (*reading.batch, 1)
        i = numbered(samples, labels)
        others = i[None, :] != i[:, None]
        if reading.valid is not None:
            there = xp.reshape(xp.broadcast_to(reading.valid, shape), (samples,))
            others = others & there[None, :] & there[:, None]
        alike = labels[:, None] == labels[None, :]
        value, counts = self.pairs(reading, others & alike, others & ~alike)
        value = xp.where(counts, value, 0)
        return Totals(xp.reshape(value, shape), None, xp.reshape(counts, shape))

    @abstractmethod
    def pairs(self, reading: Reading, alike: Array, unlike: Array) -> tuple[Array, Array]:
        """One number per sample (B), and which of them count, (B).

        `alike`, `unlike`: (B, B), whether others have the label of a sample, or another.
        """


def _indices(y: Array, outline: Outline) -> Array:
    return as_index(y)


def integers(y: Array, rule: str) -> None:
    """Labels of an integer dtype."""
    if kind(y) != "integer":
        refuse("target", rule, y.dtype, cast("target", y, "int"), TypeError)


def fit_pairs(y: Array, outline: Outline) -> Check:
    """One integer label per sample, and not too many of them."""
    batch = outline.batch
    if tuple(y.shape) != batch:
        fix = batch_first(y.shape, batch, outline.steps, "Pass one label per sample.")
        refuse("target", per_sample(batch, "label"), shape_of(y), fix)
    integers(y, "integer labels")
    if math.prod(batch) > PAIRED:
        rule = f"at most {PAIRED} samples, as every pair of them is compared"
        refuse("record", rule, math.prod(batch), "Split the batch.")
    return _indices


# Vectors


def rows(reading: Reading) -> Array:
    """Every sample as one vector, (B, K)."""
    z, xp, samples = reading.z, namespace(reading.z), math.prod(reading.batch)
    if reading.keeps is None:
        return xp.reshape(z, (samples, z.shape[-1]))
    z = xp.moveaxis(xp.reshape(z, (z.shape[0], samples, z.shape[-1])), (0,), (1,))
    return xp.reshape(z, (samples, z.shape[1] * z.shape[2]))


def cosines(x: Array) -> Array:
    """x_i x_j / (|x_i| |x_j|), (B, K) to (B, B); 0 with a vector of zeros."""
    xp = namespace(x)
    top = constant(xp.max(xp.abs(x), axis=-1, keepdims=True))
    x = x / xp.where(top > 0, top, 1)
    square = xp.sum(x * x, axis=-1)
    norm = xp.where(square > 0, square, 1) ** 0.5
    return product(x, x.T) / (norm[:, None] * norm[None, :])


def squares(x: Array) -> Array:
    """|x_i - x_j|^2, (B, K) to (B, B)."""
    xp = namespace(x)
    if x.shape[0] == 0:
        return product(x, x.T)
    # The nearer to 0 the numbers are, the less their rounding does to the derivative.
    x = x - constant(xp.sum(x, axis=0) / max(x.shape[0], 1))
    return squared_distances(x)


def distances(x: Array) -> Array:
    """|x_i - x_j|, (B, K) to (B, B), its derivative 0 where they are equal."""
    square, xp = squares(x), namespace(x)
    apart = ~(square <= 0)  # nan stays nan
    return xp.where(apart, xp.where(apart, square, 1) ** 0.5, 0)


# Trains


def shares(x: Array, normalised: bool = True, argument: str = "record") -> Array:
    """sum_(s <= t) x_s, over their sum if `normalised`: (T, ...) spikes; 0 for a silent train."""
    xp = namespace(x)
    if not checks_values(x):
        x = xp.where(x < 0, xp.nan, x)
    elif 0 not in x.shape:
        low, high = extent(x)
        if low < 0:
            fix = "For membranes choose a criterion of values, such as SquaredError."
            refuse(argument, "spikes, which are at least 0", span(low, high), fix)
    total = running_sum(x)
    if not normalised:
        return total
    every = total[-1:, ...]
    return total / xp.where(every > 0, every, 1)


def apart(p: Array, q: Array) -> Array:
    """|p - q| of shares: those that differ by rounding are equal, and have no derivative."""
    gap, xp = absolute(p - q), namespace(p)
    return xp.where(gap <= 8 * xp.finfo(gap.dtype).eps, 0, gap)


def moved(x: Array, steps: Steps) -> Array:
    """The earth mover's distances of all pairs of samples, (T, *B, N) to (B, B), in steps."""
    xp, time, neurons = namespace(x), x.shape[0], x.shape[-1]
    samples = math.prod(x.shape[1:-1])
    if samples**2 * time * neurons > MOVED:
        rule = f"at most {MOVED} numbers in all pairs of samples, steps and neurons"
        refuse("record", rule, samples**2 * time * neurons, "Split the batch.")
    p = xp.reshape(shares(x), (time, samples, neurons))
    gap = apart(p[:, :, None, :], p[:, None, :, :])
    if not isinstance(steps, int):  # after the end of both there is nothing
        n = xp.reshape(steps, (samples,))
        last = xp.where(n[:, None] > n[None, :], n[:, None], n[None, :])
        t = xp.astype(numbered(time, gap), gap.dtype)
        gap = xp.where(t < last[None, :, :, None], gap, 0)
    return xp.sum(xp.sum(gap, axis=0), axis=-1) / neurons


@dataclass(frozen=True, kw_only=True)
class Triplet(Paired):
    """max(0, m + max_p d_ip - min_q d_iq): the own label is nearer than any other, by m.

    p are the other samples of the label of sample i, q those of other labels: the hardest of each.
    d is |x_i - x_j|, its square, 1 - the cosine, or of `readouts.WholeRecord` the earth mover's
    distance in time, as in `EarthMover`. Samples without a p or a q do not count. The derivative
    goes to the first of equals; that of a length is 0 at 0.

    Args:
        margin: m, above 0, in the units of the distance.
        distance: "euclidean", "squared", "cosine" or "earth_mover".

    Source: A. Hermans, L. Beyer and B. Leibe, In defense of the triplet loss for person
    re-identification (2017); of spike trains after M. Pabian, D. Rzepka and M. Pawlak, Supervised
    training of siamese spiking neural networks with earth mover's distance (2022), of which the
    abstract could be read.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), Triplet(margin=1.0))
    >>> x = numpy.array([[0.0], [1.0], [3.0]])
    >>> float(loss(x, numpy.array([0, 0, 1])))  # max(0, 1 + 1 - 3), max(0, 1 + 1 - 2)
    0.0
    """

    margin: float = field(default=1.0, metadata=number(above=0.0))
    distance: Literal["euclidean", "squared", "cosine", "earth_mover"] = field(
        default="euclidean", metadata=choice("euclidean", "squared", "cosine", "earth_mover")
    )

    def fit(self, y: Array, outline: Outline) -> Check:
        _of_trains(self.distance, outline)
        return super().fit(y, outline)

    def pairs(self, reading: Reading, alike: Array, unlike: Array) -> tuple[Array, Array]:
        xp = namespace(reading.z)
        if self.distance == "earth_mover":
            d = moved(reading.z, reading.steps)
        elif self.distance == "cosine":
            d = 1 - cosines(rows(reading))
        else:
            d = (squares if self.distance == "squared" else distances)(rows(reading))
        counts = xp.any(alike, axis=1) & xp.any(unlike, axis=1)
        if 0 in d.shape:
            return xp.sum(d, axis=0), counts
        gap = self.margin + _highest(d, alike) + _highest(-d, unlike)
        return xp.where(gap <= 0, 0, gap), counts


def _of_trains(distance: str, outline: Outline) -> None:
    if distance == "earth_mover" and outline.keeps != "sequence":
        rule, fix = "readouts.WholeRecord() for the earth mover", "Write Loss(WholeRecord(), ...)."
        refuse("readout", rule, type(outline.readout).__name__, fix, TypeError)


def _highest(d: Array, among: Array) -> Array:
    """max_j of d_ij among some, (B, B) to (B), by the first that reaches it; 0 where none is.

    nan if there is any among them.
    """
    xp = namespace(d)
    some = xp.any(among, axis=1)
    d = xp.where(among.T, d.T, -xp.inf)
    top = constant(xp.max(d, axis=0))
    first = first_nonzero(xp.astype(d == top, d.dtype))
    found = at(d, xp.where(first < d.shape[0], first, 0))
    return xp.where(some, xp.where(xp.isnan(top), top, found), 0)


@dataclass(frozen=True, kw_only=True)
class InfoNCE(Paired):
    """-mean_p log(e^(k_ip / T) / sum_(j != i) e^(k_ij / T)): the own label is the most similar.

    p are the other samples of the label of sample i; samples without one do not count. With two
    views of every sample, and its number as their label, it is the contrastive loss of SimCLR, with
    class labels that of supervised contrastive learning. k is the cosine, the product x_i x_j,
    -|x_i - x_j|^2, or of `readouts.WholeRecord` minus the earth mover's distance.

    Args:
        temperature: T, above 0.
        similarity: "cosine", "product", "squared" or "earth_mover".

    Source: A. van den Oord, Y. Li and O. Vinyals, Representation learning with contrastive
    predictive coding (2018); T. Chen et al., A simple framework for contrastive learning of visual
    representations (2020); P. Khosla et al., Supervised contrastive learning (2020).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), InfoNCE())
    >>> x = numpy.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])  # cosines of 1: one of two
    >>> round(float(loss(x, numpy.array([0, 0, 1]))), 6)  # ln 2
    0.693147
    """

    temperature: float = field(default=0.5, metadata=number(above=0.0))
    similarity: Literal["cosine", "product", "squared", "earth_mover"] = field(
        default="cosine", metadata=choice("cosine", "product", "squared", "earth_mover")
    )

    def fit(self, y: Array, outline: Outline) -> Check:
        _of_trains(self.similarity, outline)
        return super().fit(y, outline)

    def pairs(self, reading: Reading, alike: Array, unlike: Array) -> tuple[Array, Array]:
        xp = namespace(reading.z)
        if self.similarity == "earth_mover":
            k = -moved(reading.z, reading.steps)
        elif self.similarity == "squared":
            k = -squares(rows(reading))
        else:
            x = rows(reading)
            k = cosines(x) if self.similarity == "cosine" else product(x, x.T)
        counts, others = xp.any(alike, axis=1), alike | unlike
        if 0 in k.shape:
            return xp.sum(k, axis=0), counts
        seen = others | ~xp.any(others, axis=1, keepdims=True)  # of a sample alone all, for nothing
        log_p = log_softmax(xp.where(seen, k / self.temperature, -xp.inf))
        many = xp.sum(xp.astype(alike, k.dtype), axis=1)
        return -xp.sum(xp.where(alike, log_p, 0), axis=1) / xp.where(counts, many, 1), counts
