"""Class weights for data that has more samples of some classes than of others.

    loss = presets.ce_count(class_weight=balance.effective_number(numpy.bincount(labels)))

They depend on the data alone: compute them once, of the labels to train on.
"""

import math
from collections.abc import Sequence
from typing import Any

from ._door import refuse, weights_option
from ._options import checked, number


def effective_number(counts: Sequence[float] | Any, *, beta: float = 0.999) -> tuple[float, ...]:
    """w_c = a (1 - b) / (1 - b^n_c), n_c = `counts`, a such that their mean is 1.

    The more samples a class has, the less a further one adds: (1 - b^n) / (1 - b) is how many they
    are worth. From alike, b = 0, to the inverse of the counts, b = 1.

    Args:
        counts: n, the samples of every class, as `numpy.bincount(labels, minlength=C)` gives them.
            A class without any has weight 0, and no part in the mean.
        beta: b, from 0 to 1; the source takes 0.9 to 0.9999.

    Raises:
        ValueError: where no class has a sample.

    Source: Y. Cui et al., Class-balanced loss based on effective number of samples (2019).

    >>> [round(w, 6) for w in effective_number([1, 2], beta=0.5)]  # 1 and 1 / 1.5, by 5 / 6
    [1.2, 0.8]
    """
    each = weights_option("counts", counts)
    beta = checked("beta", beta, number(low=0.0, high=1.0))
    worth = [1 / _effective(n, beta) if n else 0.0 for n in each]
    if not any(worth):
        fix = "Count the labels with numpy.bincount."
        refuse("counts", "a class with a sample", "none", fix)
    scale = sum(map(bool, worth)) / math.fsum(worth)
    return tuple(scale * w for w in worth)


def _effective(n: float, beta: float) -> float:
    """(1 - b^n) / (1 - b), its limit n for b = 1."""
    if beta in (0, 1):
        return n if beta else 1.0
    return math.expm1(n * math.log(beta)) / (beta - 1)
