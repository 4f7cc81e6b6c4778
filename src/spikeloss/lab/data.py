"""Data sets: a name -> training and test samples, without a download.

Inputs are currents (S, B, features): S = 1 for one that stays the same at every step, S = T for a
sequence. `lengths` says how many steps of each sample are valid; None means all. The docstring of a
data set is its description in reports.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Frames = NDArray[Any]


@dataclass(frozen=True)
class DataRecipe:
    """What a recipe says of the data."""

    source: str = "digits"
    steps: int | None = None
    encoding: str | None = None
    folder: str | None = None
    test: str | None = None
    options: tuple[tuple[str, Any], ...] = ()


class Batch(NamedTuple):
    """Inputs (S, B, features), labels (B,) and lengths (B,)."""

    inputs: Any
    labels: Any
    lengths: Any = None


class Split(NamedTuple):
    """Samples: inputs (S, B, features), labels (B,) and lengths (B,)."""

    inputs: Any
    labels: Any
    lengths: Any = None

    @property
    def features(self) -> int:
        """F."""
        return int(self.inputs.shape[-1])

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Any) -> Batch:
        """The samples at `index`."""
        lengths = None if self.lengths is None else self.lengths[index]
        return Batch(self.inputs[:, index], self.labels[index], lengths)


class Dataset(NamedTuple):
    """Samples to learn from, samples to test on, and the number of classes."""

    train: Split
    test: Split
    classes: int


class Source(NamedTuple):
    """Where a data set comes from, and how long it is trained unless told otherwise.

    `packages` are those that hold the samples, where the extra `lab` does not bring them.
    """

    build: Callable[[int], Dataset]
    steps: int
    epochs: int
    packages: tuple[str, ...]

    @property
    def about(self) -> str:
        """What the samples are: the docstring."""
        return inspect.getdoc(self.build) or ""


DATASETS: dict[str, Source] = {}


def _dataset(
    *, steps: int = 25, epochs: int = 10, packages: tuple[str, ...] = ()
) -> Callable[[Callable[[int], Dataset]], Callable[[int], Dataset]]:
    """Put a function that builds a data set among the sources, under its name."""

    def add(build: Callable[[int], Dataset]) -> Callable[[int], Dataset]:
        DATASETS[build.__name__.replace("_", "-")] = Source(build, steps, epochs, packages)
        return build

    return add


@_dataset()
def digits(steps: int) -> Dataset:
    """1797 handwritten digits of 8 x 8 pixels, 360 of them for the test, always the same ones.

    Pixels are standardised by the mean and the deviation of the training samples, and enter the
    network as a constant current.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=360, random_state=0, stratify=labels
    )
    mean, deviation = train_x.mean(), train_x.std()

    def split(x: Any, y: Any) -> Split:
        return Split(((x - mean) / deviation).astype(np.float32)[None], y.astype(np.int64))

    return Dataset(split(train_x, train_y), split(test_x, test_y), classes=10)


@_dataset()
def digits_cut(steps: int) -> Dataset:
    """The digits, each shown for a number of steps of its own, from half of `steps` to all."""
    rng = np.random.default_rng(0)

    def cut(split: Split) -> Split:
        shown = rng.integers((steps + 1) // 2, steps, size=len(split.labels), endpoint=True)
        return split._replace(lengths=shown)

    whole = digits(steps)
    return Dataset(cut(whole.train), cut(whole.test), whole.classes)


@_dataset(steps=29, epochs=60, packages=("aeon",))
def japanese_vowels(steps: int) -> Dataset:
    """Two Japanese vowels said by nine men, who are the classes: 270 to learn from, 370 to test.

    An utterance has 12 channels (cepstrum coefficients) and 7 to 29 frames, one per step: its
    length. Channels are standardised by the frames of the training samples. For comparison: the
    nearest training sample by dynamic time warping is of the right speaker for 95.9 % of the test
    samples; 98.3 % are quoted for the pretrained transformer NuTime. Source: M. Kudo, J. Toyama and
    M. Shimbo, Multidimensional curve classification using passing-through regions (1999), in the
    package aeon.
    """
    (train, train_y), (test, test_y) = _utterances("train"), _utterances("test")
    _check_steps(steps, max(len(sample) for sample in (*train, *test)))
    frames = np.concatenate(train)
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)

    def split(samples: Sequence[Frames], labels: Frames) -> Split:
        inputs = _padded([(sample - mean) / deviation for sample in samples], steps)
        return Split(inputs, labels, np.array([len(sample) for sample in samples]))

    return Dataset(split(train, train_y), split(test, test_y), classes=9)


@_dataset(steps=29, epochs=60, packages=("aeon",))
def japanese_vowels_padded(steps: int) -> Dataset:
    """The Japanese vowels without their lengths: the zeros after the last frame count as data."""
    whole = japanese_vowels(steps)
    train, test = (split._replace(lengths=None) for split in (whole.train, whole.test))
    return Dataset(train, test, whole.classes)


def _utterances(part: str) -> tuple[list[Frames], Frames]:
    """Samples (frames, 12) and speakers 0..8 of the "train" or the "test" part."""
    try:
        from aeon.datasets import load_japanese_vowels
    except ImportError as wrong:
        got = "no aeon" if isinstance(wrong, ModuleNotFoundError) else str(wrong)
        fix = 'Install it with: pip install "spikeloss[data]".'
        raise InputError("--data", "the package that holds these samples", got, fix) from None
    samples, labels = load_japanese_vowels(split=part)
    return [sample.T for sample in samples], labels.astype(np.int64) - 1


def _check_steps(steps: int, longest: int) -> None:
    """Refuse to cut a sample."""
    if steps < longest:
        rule, fix = f"at least {longest}, the frames of the longest sample", "Drop --steps."
        raise InputError("--steps", rule, steps, fix)


def _padded(samples: Sequence[Frames], steps: int) -> Frames:
    """Samples (frames, features) as inputs (S, B, features), zero after their last frame."""
    inputs = np.zeros((steps, len(samples), samples[0].shape[1]), np.float32)
    for index, sample in enumerate(samples):
        inputs[: len(sample), index] = sample
    return inputs


def source(name: str) -> Source:
    """The source of the data set called `name`."""
    if name not in DATASETS:
        raise InputError(
            "--data", " or ".join(DATASETS), repr(name), "Name one of these data sets."
        )
    return DATASETS[name]


def load(recipe: DataRecipe) -> Dataset:
    """The data of a recipe."""
    own = source(recipe.source)
    return own.build(recipe.steps or own.steps)
