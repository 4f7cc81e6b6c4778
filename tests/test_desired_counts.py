"""Rules of counts by their authors' algorithm, once more as loops over a batch; T=7 B=5 N=3.

Zhu et al. write the backward pass down, with the sign of spike times; here it is that of spikes.
"""

import math
from typing import Any

import numpy as np
import pytest
from harness import every_library
from libraries import NUMPY, Array, Library, same

from spikeloss import Loss, presets
from spikeloss.criteria import DesiredCount
from spikeloss.readouts import SumOverTime
from spikeloss.reductions import Each

T, B, N = 7, 5, 3
LENGTHS = np.array([7, 4, 6, 1, 5])
LABELS = np.array([2, 0, 1, 1, 0])
RECORD = (np.random.default_rng(3).random((T, B, N)) < 0.6) * 1.0
RECORD[:, 0, 2] = 0  # a silent right class
RECORD[:, :, 1] *= np.arange(T)[:, None] > 4  # and one that fires little
DESIRED, UNDESIRED = 4.0, 1.0


def cut(record: Array, lengths: Array) -> list[Array]:
    return [record[:n, b] for b, n in enumerate(lengths)]


def count_plus(lengths: Array, shared: bool, balance: float | None) -> tuple[Array, Array]:
    """The loss of every sample, and the gradient of their sum."""
    losses, grad = np.zeros(B), np.zeros_like(RECORD)
    clipped = np.zeros((B, N))
    for b, x in enumerate(cut(RECORD, lengths)):
        for c in range(N):
            n = x[:, c].sum()
            clipped[b, c] = min(n, DESIRED) if c == LABELS[b] else max(n, UNDESIRED)
    right = 1e-5 + sum(clipped[b, y] for b, y in enumerate(LABELS))
    wrong = 1e-5 + clipped.sum() - sum(clipped[b, y] for b, y in enumerate(LABELS))
    scale = 1.0 if balance is None else max(wrong / right / balance, 1.0)
    for b, x in enumerate(cut(RECORD, lengths)):
        steps = len(x)
        for c in range(N):
            delta = (clipped[b, c] - (DESIRED if c == LABELS[b] else UNDESIRED)) / steps
            losses[b] += steps * delta**2 / 2
            delta *= scale if c == LABELS[b] else 1.0
            for t in range(steps):
                if x[t, c]:
                    grad[t, b, c] = delta / clipped[b, c] if shared else delta
    return losses, grad


def ce_plus(lengths: Array) -> tuple[Array, Array]:
    losses, grad = np.zeros(B), np.zeros_like(RECORD)
    for b, x in enumerate(cut(RECORD, lengths)):
        n, counts = len(x), x.sum(0)
        v = [2 * count / n if count else -20.0 for count in counts]
        total = sum(math.exp(value) for value in v)
        losses[b] = -n / 2 * math.log(math.exp(v[LABELS[b]]) / total)
        for c in range(N):
            pull = n / 2 * (math.exp(v[c]) / total - (c == LABELS[b]))
            for t in range(n):
                if x[t, c] and counts[LABELS[b]]:
                    grad[t, b, c] = pull / counts[c]
    return losses, grad


@every_library
@pytest.mark.parametrize(
    ("shared", "balance"), [(True, 10.0), (True, 0.5), (False, 0.25), (True, None)]
)
def test_count_plus(library: Library, shared: bool, balance: Any) -> None:
    options = {"desired": DESIRED, "undesired": UNDESIRED, "balance": balance, "shared": shared}
    loss = presets.count_plus(**options)
    for lengths in (np.full(B, T), LENGTHS):
        losses, grad = count_plus(lengths, shared, balance)
        agree(library, loss, lengths, losses, grad / B)
    assert loss.criterion.couples is (balance is not None)


def test_the_derivative_is_scaled() -> None:
    """Of the right class alone: the fixture has more of the wrong spikes."""
    (_, plain), (_, scaled) = (count_plus(LENGTHS, True, by) for by in (None, 0.25))
    right = np.arange(N) == LABELS[:, None]
    assert np.any(plain[:, right])
    assert np.all(np.abs(scaled[:, right]) >= 2 * np.abs(plain[:, right]))
    assert np.array_equal(scaled[:, ~right], plain[:, ~right])


@every_library
def test_ce_plus(library: Library) -> None:
    for lengths in (np.full(B, T), LENGTHS):
        losses, grad = ce_plus(lengths)
        agree(library, presets.ce_plus(), lengths, losses, grad / B)


def agree(library: Library, loss: Any, lengths: Array, losses: Array, grad: Array) -> None:
    """Whole and, as the value of a loop of steps, in a stream."""
    with library.precision():
        x, y, n = map(library.array, (RECORD, LABELS, lengths))
        same(loss.replace(reduction=Each())(x, y, lengths=n), losses)

        def streamed(x: Any) -> Any:
            return loss.stream(y, lengths=n).steps(x[:3]).steps(x[3:]).value()

        if library is NUMPY:
            same(loss(x, y, lengths=n), losses.mean())
            same(streamed(x), losses.mean())
            return
        for call in (lambda x: loss(x, y, lengths=n), streamed):
            value, found = library.value_and_grad(call, x)
            same(value, losses.mean())
            same(found, grad)


def test_what_is_of_a_batch_has_no_parts() -> None:
    loss = Loss(SumOverTime(), DesiredCount())
    with pytest.raises(TypeError, match="loss: expected a loss that looks at each sample"):
        loss.parts(RECORD, LABELS)
    apart = loss.replace(criterion=DesiredCount(balance=None))
    same(apart.parts(RECORD, LABELS).value(), loss(RECORD, LABELS))
