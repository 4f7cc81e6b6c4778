"""Norse has decoders, and losses of PyTorch after them: records (T, B, N).

Source: Norse 1.1.0, norse/torch/functional, and its task of MNIST.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np

from .rows import Change, Page, Same, cross_entropy, log_softmax


def nll_loss(log_p: Any, y: Any) -> float:
    return float(-np.mean(log_p[np.arange(len(log_p)), y]))


def sum_decode(x: Any) -> Any:
    return x.sum(0)


def spike_accumulator(x: Any) -> float:
    """Its state after `regularize_step` at every step."""
    state = 0.0
    for step in x:
        state += step.sum()
    return state


def SpikesToTimesDecoder(spike_count: int = 1, dt: float = 1e-3) -> Any:
    def decode(x: Any) -> Any:
        steps = np.arange(1, len(x) + 1)[:, None, None] * x - 1.0  # amplitudes count
        steps[steps == -1] = np.inf
        return dt * np.sort(steps, axis=0)[:spike_count]

    return decode


def decoder_gradient(x: Any) -> Any:
    """Of the first spikes: it writes one number per neuron into the steps of those that fire."""
    grad = np.zeros(x.shape)
    fired = [np.flatnonzero(x[:, b, i]) for b, i in np.ndindex(x.shape[1:])]
    if not all(map(len, fired)):
        raise RuntimeError("shape mismatch")
    for at, steps in zip(np.ndindex(x.shape[1:]), fired, strict=True):
        grad[steps[0], *at] = -1
    return grad


_TWICE = "np.where(np.arange(T)[:, None, None] >= T - 2, 1, x)"
_SILENT = "np.zeros((4, 1, 1))"
_ONE = "np.eye(4)[:, None, [1, 1]] * np.array([1.0, 0.0])"
_SUM = 'Loss(readouts.FirstSpike(), criteria.Deviation(0.0, power=1, pool="sum"))'
_DOUBLE = "np.array([[[0.0]], [[2.0]], [[0.0]], [[1.0]]])"
PAGE = Page(
    "norse",
    "Norse",
    "TBN",
    ("", ""),
    {
        "F": SimpleNamespace(
            nll_loss=nll_loss,
            cross_entropy=cross_entropy,
            log_softmax=lambda z, dim: log_softmax(z),
        ),
        "torch": SimpleNamespace(amax=np.max),
        "sum_decode": sum_decode,
        "spike_accumulator": spike_accumulator,
        "SpikesToTimesDecoder": SpikesToTimesDecoder,
        "decoder_gradient": decoder_gradient,
    },
    (
        Same(
            "F.nll_loss(F.log_softmax(torch.amax(u, 0), 1), y)", "presets.ce_max_membrane()(u, y)"
        ),
        Same("F.nll_loss(F.log_softmax(u[-1], 1), y)", "presets.ce_last_step()(u, y)"),
        Same("F.cross_entropy(sum_decode(x), y)", "presets.ce_count()(x, y)"),
        Same("F.cross_entropy(sum_decode(u), y)", "presets.integral_ce()(u, y)"),
        Same(
            "spike_accumulator(x)",
            "penalties.count_l1()(x)",
            "B",
            "B times ours",
            shown="`regularize_step` with `spike_accumulator` at every step",
        ),
        Same(
            f"SpikesToTimesDecoder()({_TWICE})[0]",
            f"readouts.FirstSpike()({_TWICE})",
            "1e-3",
            "ours times `dt`, where all fire",
            shown="`SpikesToTimesDecoder()(x)[0]`",
        ),
        Same(
            f"SpikesToTimesDecoder(spike_count=2)({_TWICE})",
            f"readouts.SpikeTimes(count=2)({_TWICE})",
            "1e-3",
            "ours times `dt`, where all fire twice",
            shown="`SpikesToTimesDecoder(spike_count=2)(x)`",
        ),
    ),
    (
        Change(
            "`SpikesToTimesDecoder(dt=1.0)` and `readouts.FirstSpike()`, silent, T = 4",
            f"SpikesToTimesDecoder(dt=1.0)({_SILENT})[0, 0, 0]",
            f"readouts.FirstSpike()({_SILENT})[0, 0]",
            (np.inf, 3.0),
        ),
        Change(
            "gradient of the sum of the times over the steps, a neuron that fires at step 1",
            f"decoder_gradient({_ONE}[..., :1])[:, 0, 0]",
            f"gradient({_SUM}, {_ONE}[..., :1])[:, 0, 0]",
            ([0.0, -1.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0]),
        ),
        Change(
            "the same, of a silent neuron beside it",
            f"decoder_gradient({_ONE})[:, 0, 1]",
            f"gradient({_SUM}, {_ONE})[:, 0, 1]",
            ("RuntimeError", [0.0, 0.0, 0.0, -1.0]),
        ),
        Change(
            "the same with a spike of amplitude 2 at step 1, and one of 1 at step 3",
            f"SpikesToTimesDecoder(dt=1.0)({_DOUBLE})[0, 0, 0]",
            f"readouts.FirstSpike()({_DOUBLE})[0, 0]",
            (3.0, 1.0),
        ),
    ),
)
