"""Encodings: currents become spikes, when a batch is taken.

Below, x are the inputs (S, B, features), p = clip((x - low) / (high - low), 0, 1) their intensity,
low and high the least and the largest input of the training samples, T the steps, z the spikes.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeloss.lab.errors import InputError

from .options import Option
from .recipe import Value
from .samples import Dataset, Encoding, Numbers, Split

OPTIONS: dict[str, tuple[Option, ...]] = {
    "current": (),
    "rate": (Option("rate_seed", 0, "Where the randomness of the spikes starts.", 0, 2**63),),
    "latency": (),
    "delta": (
        Option("threshold", 0.1, "The rise between two steps that is a spike.", 1e-9),
        Option("off", False, "Falls as spikes, too, in as many features more."),
    ),
}
CHUNK = 256


@dataclass(frozen=True)
class Rate:
    """z_t = 1 with probability p, independently at every step.

    For intensities that may be read as firing rates. A sample's spikes come from a generator that
    is seeded with (seed, part, number of the sample): they are the same in every batch and epoch.

    Source: W. Gerstner and W. Kistler, Spiking Neuron Models (2002), section 1.5.1 (rate codes).
    """

    low: float
    high: float
    seed: int
    part: int = 0

    def features(self, features: int) -> int:
        """As many."""
        return features

    def encode(self, inputs: Numbers, index: Numbers, steps: int) -> Numbers:
        """z."""
        p = _intensity(inputs, self.low, self.high)
        out = np.empty((steps, *p.shape[1:]), np.float32)
        for row, sample in enumerate(index.tolist()):
            random = np.random.default_rng((self.seed, self.part, sample))
            out[:, row] = random.random((steps, p.shape[2]), np.float32) < p[:, row]
        return out


@dataclass(frozen=True)
class Latency:
    """z_t = 1 where t = round((1 - p) (T - 1)) and p > 0: one spike, the brightest first.

    For constant currents. An intensity of zero never fires; halves round to even.

    Source: S. Thorpe, A. Delorme and R. Van Rullen, Spike-based strategies for rapid processing
    (2001); linear in p as in J. Eshraghian et al., Training spiking neural networks using lessons
    from deep learning (2023).
    """

    low: float
    high: float

    def features(self, features: int) -> int:
        """As many."""
        return features

    def encode(self, inputs: Numbers, index: Numbers, steps: int) -> Numbers:
        """z."""
        p = _intensity(inputs, self.low, self.high)
        at = np.rint((1 - p) * (steps - 1))
        spikes: Numbers = (np.arange(steps)[:, None, None] == at) & (p > 0)
        return spikes.astype(np.float32)


@dataclass(frozen=True)
class Delta:
    """z_t = 1 where x_t - x_(t-1) >= threshold; with `off`, beside it 1 where it is <= -threshold.

    For sequences. There is no spike at the first step. `off` doubles the features.

    Source: P. Lichtsteiner, C. Posch and T. Delbruck, A 128 x 128 120 dB 15 us latency asynchronous
    temporal contrast vision sensor (2008), on a grid of time.
    """

    threshold: float
    off: bool

    def features(self, features: int) -> int:
        """As many, or twice as many with `off`."""
        return 2 * features if self.off else features

    def encode(self, inputs: Numbers, index: Numbers, steps: int) -> Numbers:
        """z."""
        rise = np.diff(inputs, axis=0, prepend=inputs[:1])
        channels = [rise >= self.threshold, *([rise <= -self.threshold] if self.off else [])]
        spikes: Numbers = np.concatenate(channels, axis=2)
        return spikes.astype(np.float32)


def _intensity(x: Numbers, low: float, high: float) -> Numbers:
    """p in double precision; where all training samples are one number, 0."""
    if not high > low:
        return np.zeros(x.shape)
    p: Numbers = np.clip((x.astype(float) - low) / (high - low), 0, 1)
    return p


def encode(dataset: Dataset, name: str, given: dict[str, Value]) -> Dataset:
    """A data set in the encoding called `name`."""
    if name == "current":
        return dataset
    _check(name, dataset.train)
    options: dict[str, Any] = given
    made: Encoding
    if name == "delta":
        made = Delta(**options)
    else:
        low, high = _range(dataset.train)
        made = Latency(low, high) if name == "latency" else Rate(low, high, options["rate_seed"])
    parts: dict[str, Any] = {"train": dataset.train, "test": dataset.test}
    if dataset.validation is not None:
        parts["validation"] = dataset.validation
    for number, (part, split) in enumerate(parts.items()):
        own = replace(made, part=number) if isinstance(made, Rate) else made
        parts[part] = split.encoded(own)
    return dataset._replace(**parts)


def _check(name: str, split: Split) -> None:
    """Refuse an encoding that makes no sense."""
    if split.store.spikes:
        fix = "Drop it, or take current."
        raise InputError("encoding", "current, as the samples are spikes", name, fix)
    if name == "delta" and split.store.steps == 1:
        fix = "Take rate or latency."
        raise InputError("encoding", "delta for sequences only", "constant currents", fix)
    if name == "latency" and split.store.steps > 1:
        fix = "Take rate, delta or current."
        raise InputError("encoding", "latency for constant currents only", "sequences", fix)


def _range(split: Split) -> tuple[float, float]:
    """The least and the largest input of valid steps."""
    low, high = np.inf, -np.inf
    for start in range(0, len(split), CHUNK):
        batch = split.take(np.arange(start, min(start + CHUNK, len(split))))
        inputs = batch.inputs
        if batch.lengths is not None and len(inputs) > 1:
            inputs = inputs[np.arange(len(inputs))[:, None] < batch.lengths]
        low, high = min(low, float(inputs.min())), max(high, float(inputs.max()))
    return low, high
