"""snnTorch's regulariser. Record (T, B, N) -> ()."""

import math
from typing import Unpack

from spikeloss._backend import as_array, namespace
from spikeloss._door import choice, number
from spikeloss._open import open_record
from spikeloss._piece import every_step
from spikeloss._shapes import Array, Layout
from spikeloss.compat._calls import speaks

from ._options import NAMES

__all__ = ["l1_rate_sparsity"]


class l1_rate_sparsity:  # noqa: N801
    """Lambda sum |s|: all spikes of the batch; with per="sample" Lambda sum |s| / B.

    The derivative of |s| is 1 at s = 0, as that of a spike count.

    Args:
        Lambda: the factor, in loss per spike.
        per: "batch", or "sample", so that the penalty does not grow with the batch.
    """

    def __init__(self, Lambda: float = 1e-5, *, per: str = "batch") -> None:
        self.Lambda, self.per = Lambda, per
        self.__name__ = "l1_rate_sparsity"
        self._check()

    @speaks(NAMES)
    def __call__(self, spk_out: Array, **layout: Unpack[Layout]) -> Array:
        """The penalty of a record (T, B, N), 0-d."""
        self._check()
        piece = every_step(open_record(spk_out, **layout), self)
        x, xp = piece.x, namespace(piece.x)
        samples = math.prod(x.shape[1:-1]) if self.per == "sample" else 1
        total = xp.sum(xp.where(x < 0, -x, x))
        return as_array(self.Lambda * total / (samples or math.nan), piece.dtype)

    def _check(self) -> None:
        number("Lambda", self.Lambda)
        choice("per", self.per, ("batch", "sample"))
