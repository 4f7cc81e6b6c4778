"""How near numbers come to those that were asked for: signals, values, several labels at once."""

import math
from typing import Any, Literal, NamedTuple, Unpack

from spikeloss import _door
from spikeloss import _shapes as shapes
from spikeloss._backend import as_array, checks_values, extent, namespace
from spikeloss._door import refuse, span
from spikeloss._judge import comparable
from spikeloss._open import open_record
from spikeloss._plan import layers_of
from spikeloss._shapes import Array, Layout
from spikeloss.criteria import BinaryCrossEntropy
from spikeloss.parts import divided

from ._decisions import Judge, loss_of
from ._tally import of_one


def r2(judge: Judge, record: shapes.Record, target: Array, **layout: Unpack[Layout]) -> Array:
    """mean_c (1 - sum (y_c - z_c)^2 / sum (y_c - m_c)^2), m the mean of y: of the variance, 0-d.

    The sums are over samples and, for a readout that keeps time, their valid steps. 1 for a perfect
    fit, 0 for one that is no better than the mean. nan if a target never changes.

    Args:
        judge: a readout or a loss, whose decision z is the estimate.
        record, layout: as for `accuracy`.
        target: y, numbers (*B, C) or, for a readout that keeps time, (T, *B, C).

    Source: J. Yik et al., The NeuroBench framework for benchmarking neuromorphic computing
    algorithms and systems (2025): the primate reaching task, whose two velocities are averaged.

    >>> import numpy
    >>> from spikeloss.readouts import EveryStep
    >>> signal = numpy.array([[[0.0]], [[2.0]], [[4.0]]])
    >>> float(r2(EveryStep(), signal, signal + 1.0))  # 1 - 3 / 8
    0.625
    """
    found = estimated(judge, record, target, layout)
    xp, y = namespace(found.z), found.y
    mean = divided(xp.sum(found.counted(y), axis=0), found.number)
    total = xp.sum(found.counted((y - mean) ** 2), axis=0)
    rest = xp.sum(found.counted((y - found.z) ** 2), axis=0)
    share = 1 - rest / xp.where(total == 0, xp.nan, total)
    return as_array(xp.mean(share), share.dtype)


def smape(judge: Judge, record: shapes.Record, target: Array, **layout: Unpack[Layout]) -> Array:
    """200 mean |z - y| / (|z| + |y|): the symmetric mean absolute percentage error, 0-d.

    From 0 to 200, the mean over samples, outputs and valid steps; 0 where both are 0, which
    NeuroBench counts as 200 for the whole signal.

    Args:
        judge, record, target, layout: as for `r2`.

    Source: J. Yik et al., The NeuroBench framework for benchmarking neuromorphic computing
    algorithms and systems (2025): the prediction of a chaotic function.

    >>> import numpy
    >>> from spikeloss.readouts import EveryStep
    >>> float(smape(EveryStep(), numpy.array([[[1.0]], [[0.0]]]), numpy.array([[[3.0]], [[0.0]]])))
    50.0
    """
    found = estimated(judge, record, target, layout)
    xp, z, y = namespace(found.z), found.z, found.y
    size = xp.abs(z) + xp.abs(y)
    share = xp.abs(z - y) / xp.where(size == 0, 1, size)
    return of_one(200 * xp.sum(found.counted(share)), found.number * z.shape[-1]).value()


def f1_score(
    judge: Judge,
    record: shapes.Record,
    target: Array,
    *,
    threshold: float | None = None,
    average: Literal["macro", "micro"] = "macro",
    **layout: Unpack[Layout],
) -> Array:
    """mean_c 2 TP_c / (2 TP_c + FP_c + FN_c): how well several labels at once are found, 0-d.

    A class is said where z passes the threshold, and asked for where y does 1/2. `average="micro"`
    adds up the classes before it divides. Classes that are neither said nor asked for are left out,
    as in `sklearn.metrics.f1_score` with `zero_division=nan`.

    Args:
        judge, record, layout: as for `r2`.
        target: y, 0 or 1 for each class, (*B, C) or (T, *B, C).
        threshold: in the units of the decision; None: that of the judge, where it is a loss with
            `BinaryCrossEntropy`, else 0.5.

    >>> import numpy
    >>> from spikeloss.readouts import Decided
    >>> said, asked = numpy.array([[1.0, 1.0, 0.0]]), numpy.array([[1.0, 0.0, 0.0]])
    >>> float(f1_score(Decided(), said, asked, average="micro"))  # 2 / (2 + 1)
    0.6666666666666666
    """
    average = _door.choice("average", average, ("macro", "micro"))
    if threshold is None:
        criterion = loss_of(judge).criterion
        threshold = criterion.threshold if isinstance(criterion, BinaryCrossEntropy) else 0.5
    threshold = _door.number("threshold", threshold)
    found = estimated(judge, record, target, layout, _door.SHARES)
    xp, said, asked = namespace(found.z), found.z > threshold, found.y > 0.5
    comparable(found.counted(found.z))
    both, some = (
        xp.sum(found.counted(xp.astype(each, found.z.dtype)), axis=0)
        for each in (said & asked, said | asked)
    )
    if average == "micro":
        both, some = xp.sum(both), xp.sum(some)
    score = 2 * both / xp.where(some == 0, 1, both + some)
    seen = xp.astype(some > 0, score.dtype)
    mean = of_one(xp.sum(score), xp.sum(seen)).value()
    wrong = xp.any(xp.isnan(found.counted(found.z + found.y)))
    return xp.where(wrong, xp.nan, mean)


def bits_per_spike(
    judge: Judge,
    record: shapes.Record,
    spikes: Array,
    *,
    logarithm: bool = True,
    **layout: Unpack[Layout],
) -> Array:
    """(L(r) - L(m)) / (sum y ln 2), L(r) = sum (y log r - r): better than the mean rate, 0-d.

    The log-likelihood of recorded spikes y under Poisson rates r, above that under the mean m of
    each neuron over samples and steps, in bits for each spike. 0 for a model that knows no more
    than the means, below 0 for a worse one. A rate of 0 counts as 1e-9.

    Args:
        judge: a readout or a loss, whose decision is the log rate, in spikes per step.
        record, layout: as for `r2`.
        spikes: y, counts (T, *B, C) or, for a readout that keeps no time, (*B, C), at least 0.
        logarithm: whether the decision is log r, as for `PoissonNLL`, or r itself.

    Source: F. Pei et al., Neural Latents Benchmark '21: evaluating latent variable models of neural
    population activity (2021), by its code.

    >>> import numpy
    >>> from spikeloss.readouts import EveryStep
    >>> rates, spikes = numpy.array([[[1.0]], [[3.0]]]), numpy.array([[[0.0]], [[4.0]]])
    >>> found = bits_per_spike(EveryStep(), rates, spikes, logarithm=False)
    >>> bool(numpy.isclose(found, numpy.log2(3 / 2)))  # 4 log 3 - 4 - (4 log 2 - 4)
    True
    """
    logarithm = _door.flag("logarithm", logarithm)
    found = estimated(judge, record, spikes, layout, _door.AT_LEAST_0)
    xp, z, y = namespace(found.z), found.counted(found.z), found.counted(found.y)
    if not logarithm:
        _no_negative_rates(z)
        z = xp.log(xp.where(z == 0, 1e-9, z))
    total = xp.sum(y, axis=0)
    mean = divided(total, found.number)
    usual = xp.log(xp.where(total == 0, 1, mean))
    gain = xp.sum(found.counted(y * (z - usual) - (xp.exp(z) - mean)))
    return divided(gain, math.log(2) * xp.sum(total))


def _no_negative_rates(z: Array) -> None:
    if 0 not in z.shape and checks_values(z):
        low, high = extent(z)
        if low < 0:
            fix = "For log rates write logarithm=True."
            refuse("record", "rates of at least 0", span(low, high), fix)


class Estimate(NamedTuple):
    """A decision beside what it should have been, in rows of samples and steps."""

    z: Array
    """(K, C)"""
    y: Array
    """(K, C)"""
    counts: Array | None
    """(K, 1): the rows that exist; None: all."""

    def counted(self, x: Array) -> Array:
        """x, 0 in rows that do not exist."""
        return x if self.counts is None else namespace(x).where(self.counts, x, 0)

    @property
    def number(self) -> Array:
        """How many rows exist, 0-d."""
        xp = namespace(self.z)
        return xp.sum(self.counted(xp.ones_like(self.z[:, :1])))


def estimated(
    judge: Judge, record: Any, target: Any, layout: Layout, held: _door.Check = _door.NUMBERS
) -> Estimate:
    """What the judge decides, at every step if it keeps time, and the numbers to compare with."""
    loss = loss_of(judge)
    (layer,) = layers_of(loss, record, several=False)
    readout, record = loss.readout, record if layer is None else record[layer]
    _door.known("the layout", layout, _door.LAYOUT)
    piece = open_record(record, timeless=readout.timeless, **layout)
    outline = readout.outlined(piece)
    target = _door.beside_record("target", target, outline.like)
    y = _door.fit_numbers(target, outline, held)(target, outline)
    xp, z = namespace(y), readout.read(piece, None)[0]
    counts = outline.valid if readout.keeps == "time" else piece.counts
    rows, shape = math.prod(outline.shape[:-1]), outline.shape
    if counts is not None:
        counts = xp.reshape(xp.broadcast_to(counts, (*shape[:-1], 1)), (rows, 1))
    z = xp.reshape(xp.astype(z, y.dtype), (rows, shape[-1]))
    return Estimate(z, xp.reshape(xp.broadcast_to(y, shape), z.shape), counts)
