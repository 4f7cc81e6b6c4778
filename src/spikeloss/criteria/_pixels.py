"""Criteria of maps, whose pixels are batch axes."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from spikeloss.extend import (
    Array,
    Check,
    Labels,
    Totals,
    by_class,
    choice,
    fit_class_target,
    integer,
    kind,
    namespace,
    number,
    optional,
    power,
    refuse,
    softmax,
)
from spikeloss.readouts import Outline, Reading

from ._base import Criterion


@dataclass(frozen=True, kw_only=True)
class Dice(Criterion):
    """1 - mean_c (2 sum_i p_ic y_ic + e) / (sum_i (p_ic^k + y_ic^k) + e): overlap of regions.

    Over the pixels i of an image, which are batch axes: records (T, B, H, W, C) with `axes=2`. Each
    class counts alike, however few its pixels are, where cross-entropy counts pixels. The target
    has the class of each pixel (*B), or its probabilities (*B, C). It is the same for every pixel
    of an image, and couples them. A class weight multiplies what its class lacks in overlap; the
    mean is still over C.

    Args:
        smooth: e, at least 0: a class that is neither said nor there has the overlap 1.
        power: k, 1 or 2.
        score: p: "softmax" of the decision, "sigmoid" of it for regions that overlap, or "given",
            for rates from 0 to 1.
        axes: how many of the last batch axes make an image; None: all, the whole batch is one.
        ignore_index: the label of pixels to leave out.

    Source: F. Milletari, N. Navab and S. Ahmadi, V-Net (2016), with k = 2; C. Sudre et al.,
    Generalised Dice overlap as a deep learning loss function (2017), without its weights.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), Dice(score="given", smooth=0.0))
    >>> said = numpy.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> round(float(loss(said, numpy.array([0, 1, 1]))), 6)  # 1 - (2/3 + 2/3) / 2
    0.333333
    """

    smooth: float = field(default=1.0, metadata=number(low=0.0))
    power: Literal[1, 2] = field(default=1, metadata=choice(1, 2))
    score: Literal["softmax", "sigmoid", "given"] = field(
        default="softmax", metadata=choice("softmax", "sigmoid", "given")
    )
    axes: int | None = field(default=None, metadata=optional(integer(low=1)))
    ignore_index: int | None = field(default=None, metadata=optional(integer()))
    of_labels: ClassVar[bool] = True
    couples: ClassVar[bool] = True

    def fit(self, y: Array, outline: Outline) -> Check:
        if self.axes is not None and self.axes > len(outline.batch):
            rule = f"at most {len(outline.batch)}, the batch axes of the record"
            refuse("axes", rule, self.axes, "Pass the pixels as axes of the record.")
        return fit_class_target(y, outline, self.ignore_index)

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        z, xp, there = reading.z, namespace(reading.z), reading.valid
        if kind(y) == "integer":
            if self.ignore_index is not None:
                known = (y != self.ignore_index)[..., None]
                there = known if there is None else there & known
                y = xp.where(known[..., 0], y, 0)
            y = by_class(y, z.shape[-1], z, 1.0, 0.0)
        p, y = self._score(z), xp.broadcast_to(y, z.shape)
        if there is not None:
            there = xp.broadcast_to(there, (*z.shape[:-1], 1))
            p, y = xp.where(there, p, 0), xp.where(there, y, 0)
        both = 2 * self._over_pixels(p * y, reading) + self.smooth
        size = power(p, self.power) + power(y, self.power)
        size = self._over_pixels(size, reading) + self.smooth
        missing = 1 - xp.where(size == 0, 1, both / xp.where(size == 0, 1, size))
        if class_weight is not None:
            missing = missing * class_weight
        value = xp.broadcast_to(xp.mean(missing, axis=-1, keepdims=True), (*z.shape[:-1], 1))
        if there is None:
            return Totals(value)
        some = self._over_pixels(xp.astype(there, z.dtype), reading) > 0
        return Totals(value, None, xp.broadcast_to(some, value.shape))

    def _score(self, z: Array) -> Array:
        if self.score == "softmax":
            return softmax(z)
        return (1 + namespace(z).tanh(z / 2)) / 2 if self.score == "sigmoid" else z

    def _over_pixels(self, x: Array, reading: Reading) -> Array:
        """The sums over the pixels of every image, which stand for each of them."""
        xp, batch = namespace(x), len(reading.batch)
        count = batch if self.axes is None else self.axes
        lead, pixels = x.shape[: x.ndim - 1 - count], x.shape[x.ndim - 1 - count : -1]
        flat = xp.reshape(x, (*lead, math.prod(pixels), x.shape[-1]))
        return xp.reshape(xp.sum(flat, axis=-2), (*lead, *(1,) * count, x.shape[-1]))
