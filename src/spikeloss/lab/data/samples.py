"""Samples as they are held, and as a network gets them.

A store holds samples small: numbers as they came, spikes as bits, events as a list. A split is a
store with labels, lengths and an encoding; it makes dense float32 inputs of one batch at a time.
"""

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from spikeloss.lab.errors import InputError

Numbers = NDArray[Any]


class Batch(NamedTuple):
    """Inputs (S, B, features) in float32, labels (B,), lengths (B,) or None.

    S is 1 for a current that stays the same at every step, else the steps T.
    """

    inputs: Numbers
    labels: Numbers
    lengths: Numbers | None = None


class Store(Protocol):
    """Samples: steps S (1 for constant currents), features, and whether they are spikes."""

    steps: int
    features: int
    spikes: bool

    def __len__(self) -> int:
        """The number of samples."""

    def take(self, index: Numbers) -> Numbers:
        """The samples at `index`, (S, len(index), features) in float32."""


class Encoding(Protocol):
    """Currents -> what the network gets."""

    def features(self, features: int) -> int:
        """The features that `features` currents become."""

    def encode(self, inputs: Numbers, index: Numbers, steps: int) -> Numbers:
        """Inputs (S, B, features) of the samples numbered `index` as (steps, B, features)."""


class Split:
    """Labelled samples; `take` makes the inputs of a batch, and nothing larger is ever dense.

    Args:
        store: The samples.
        labels: (B,) integers.
        lengths: Valid steps of each sample, (B,), or None where all are.
        steps: T. Shorter samples are followed by zeros, longer ones are cut.
        where: The samples of the store that are meant, (B,); None means all in their order.
        encoding: What turns them into inputs; None leaves them as they are.
    """

    def __init__(
        self,
        store: Store,
        labels: Numbers,
        lengths: Numbers | None = None,
        *,
        steps: int,
        where: Numbers | None = None,
        encoding: Encoding | None = None,
    ) -> None:
        self.store, self.steps, self.encoding = store, steps, encoding
        self.labels = _frozen(labels)
        self.lengths = None if lengths is None else _frozen(lengths)
        self.where = np.arange(len(store)) if where is None else where
        own = store.features
        self.features = own if encoding is None else encoding.features(own)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Any) -> Batch:
        """The samples at `index`, integers from 0, in that order."""
        at = np.asarray(index).reshape(-1)
        if at.dtype.kind not in "iu" and at.size:
            raise IndexError(f"index: expected integers, got {at.dtype}. Use numpy.flatnonzero.")
        at = at.astype(np.int64)
        if at.size and not (at.min() >= 0 and at.max() < len(self)):
            got = f"{at.min()} to {at.max()}"
            raise IndexError(f"index: expected values from 0 to {len(self) - 1}, got {got}.")
        lengths = None if self.lengths is None else self.lengths[at]
        inputs = self._fit(self.store.take(self.where[at]))
        if self.encoding is not None:
            inputs = self.encoding.encode(inputs, self.where[at], self.steps)
            if lengths is not None:
                inputs *= (np.arange(self.steps)[:, None] < lengths)[:, :, None]
        return Batch(np.ascontiguousarray(inputs), self.labels[at], lengths)

    def encoded(self, encoding: Encoding | None) -> "Split":
        """The same samples, encoded in another way."""
        kept: dict[str, Any] = {"steps": self.steps, "where": self.where}
        return Split(self.store, self.labels, self.lengths, encoding=encoding, **kept)

    def _fit(self, inputs: Numbers) -> Numbers:
        """Sequences of T steps; a constant current stays one."""
        if len(inputs) == 1 or len(inputs) == self.steps:
            return inputs
        if len(inputs) > self.steps:
            return inputs[: self.steps]
        return np.pad(inputs, ((0, self.steps - len(inputs)), (0, 0), (0, 0)))


class Dataset(NamedTuple):
    """Samples to learn from, to test on and perhaps to choose by; `about` describes them."""

    train: Split
    test: Split
    classes: int
    validation: Split | None = None
    about: str = ""


class Dense:
    """Numbers (S, B, features), as they came."""

    spikes = False

    def __init__(self, array: Numbers) -> None:
        self.array = _frozen(array)
        self.steps, _, self.features = array.shape

    def __len__(self) -> int:
        return int(self.array.shape[1])

    def take(self, index: Numbers) -> Numbers:
        """The samples in float32."""
        return self.array[:, index].astype(np.float32)


class Packed:
    """Spikes, one bit each: bits (B, ceil(T features / 8))."""

    spikes = True

    def __init__(self, bits: Numbers, steps: int, features: int) -> None:
        self.bits, self.steps, self.features = _frozen(bits), steps, features

    def __len__(self) -> int:
        return len(self.bits)

    @staticmethod
    def size(steps: int, samples: int, features: int) -> int:
        """Bytes that they take."""
        return samples * -(-steps * features // 8)

    @classmethod
    def of(cls, spikes: Numbers) -> Self:
        """Spikes (T, B, features), which are 0 or not, packed sample by sample."""
        steps, samples, features = spikes.shape
        bits = np.empty((samples, -(-steps * features // 8)), np.uint8)
        for sample in range(samples):
            bits[sample] = np.packbits(spikes[:, sample].reshape(-1) != 0)
        return cls(bits, steps, features)

    @classmethod
    def of_times(cls, times: Numbers, steps: int) -> Self:
        """One spike per feature, at the steps `times` (B, features)."""
        samples, features = times.shape
        bits = np.empty((samples, -(-steps * features // 8)), np.uint8)
        for sample in range(samples):
            dense = np.zeros((steps, features), bool)
            dense[times[sample], np.arange(features)] = True
            bits[sample] = np.packbits(dense.reshape(-1))
        return cls(bits, steps, features)

    def take(self, index: Numbers) -> Numbers:
        """The samples in float32."""
        flat = np.unpackbits(self.bits[index], axis=1, count=self.steps * self.features)
        return flat.reshape(-1, self.steps, self.features).swapaxes(0, 1).astype(np.float32)


class Sparse:
    """Events: entries `at` (step * features + feature), ordered by sample, with amplitudes.

    The events of sample b are those from ends[b] to ends[b + 1]; no two have the same entry.
    """

    def __init__(
        self, at: Numbers, ends: Numbers, amplitude: Numbers | None, steps: int, features: int
    ) -> None:
        self.at, self.ends, self.amplitude = at, ends, amplitude
        self.steps, self.features, self.spikes = steps, features, amplitude is None

    def __len__(self) -> int:
        return len(self.ends) - 1

    @classmethod
    def of(
        cls,
        time: Numbers,
        sample: Numbers,
        feature: Numbers,
        amplitude: Numbers | None,
        shape: tuple[int, int, int],
    ) -> Self:
        """Events in any order; those of the same entry add up."""
        steps, samples, features = shape
        flat = time.astype(np.int64) * features + feature.astype(np.int64)
        order = np.lexsort((flat, sample))
        flat, sample = flat[order], sample[order]
        new = np.ones(len(flat), bool)
        new[1:] = (flat[1:] != flat[:-1]) | (sample[1:] != sample[:-1])
        if amplitude is not None or not new.all():
            each = np.ones(len(flat)) if amplitude is None else amplitude[order].astype(float)
            amplitude = np.add.reduceat(each, np.flatnonzero(new)) if len(flat) else each
            amplitude = amplitude.astype(np.float32)
        ends = np.searchsorted(sample[new], np.arange(samples + 1))
        small = np.uint32 if steps * features < 2**32 else np.int64
        return cls(flat[new].astype(small), ends, amplitude, steps, features)

    def take(self, index: Numbers) -> Numbers:
        """The samples in float32."""
        starts, counts = self.ends[index], self.ends[index + 1] - self.ends[index]
        row = np.repeat(np.arange(len(index)), counts)
        shift = np.repeat(starts - np.cumsum(counts) + counts, counts)
        entry = shift + np.arange(len(row))
        out = np.zeros((len(index), self.steps * self.features), np.float32)
        out[row, self.at[entry]] = 1 if self.amplitude is None else self.amplitude[entry]
        return out.reshape(-1, self.steps, self.features).swapaxes(0, 1)


def _frozen(array: Numbers) -> Numbers:
    """A view that nobody writes to, as loaded samples are shared."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_size(what: object, needed: int, allowed: int, got: str = "samples") -> None:
    """Refuse what takes more memory than allowed, before it is there."""
    if needed > allowed:
        rule = f"samples that fit into {_gib(allowed)} of memory"
        fix = "Take fewer samples, steps or features, or allow more with memory."
        raise InputError(what, rule, f"{got} that take {_gib(needed)}", fix)


def _gib(number: int) -> str:
    return f"{number / 2**30:.3g} GiB"
