"""The Japanese vowels of the package aeon."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeloss._install import hint
from spikeloss.lab.errors import InputError

from .recipe import DataRecipe
from .samples import Dataset, Dense, Numbers, Split
from .sources import named

OWN: dict[str, Any] = {"steps": 29, "epochs": 60, "packages": ("aeon",)}


@named(**OWN)
def japanese_vowels(recipe: DataRecipe, steps: int) -> Dataset:
    """Two Japanese vowels said by nine men, who are the classes: 270 to learn from, 370 to test.

    An utterance has 12 channels (cepstrum coefficients) and 7 to 29 frames, one per step: its
    length. Channels are standardised by the frames of the training samples. For comparison: the
    nearest training sample by dynamic time warping is of the right speaker for 95.9 % of the test
    samples; 98.3 % are quoted for the pretrained transformer NuTime. Source: M. Kudo, J. Toyama and
    M. Shimbo, Multidimensional curve classification using passing-through regions (1999), in the
    package aeon.
    """
    (train, train_y), (test, test_y) = _utterances("train"), _utterances("test")
    longest = max(len(sample) for sample in (*train, *test))
    if steps < longest:
        rule, fix = f"at least {longest}, the frames of the longest sample", "Drop --steps."
        raise InputError("--steps", rule, steps, fix)
    frames = np.concatenate(train)
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)

    def split(samples: Sequence[Numbers], labels: Numbers) -> Split:
        inputs = np.zeros((longest, len(samples), samples[0].shape[1]), np.float32)
        for index, sample in enumerate(samples):
            inputs[: len(sample), index] = (sample - mean) / deviation
        lengths = np.array([len(sample) for sample in samples])
        return Split(Dense(inputs), labels, lengths, steps=steps)

    return Dataset(split(train, train_y), split(test, test_y), classes=9)


@named(**OWN)
def japanese_vowels_padded(recipe: DataRecipe, steps: int) -> Dataset:
    """The Japanese vowels without their lengths: the zeros after the last frame count as data."""
    whole = japanese_vowels(recipe, steps)
    train, test = (
        Split(split.store, split.labels, steps=steps) for split in (whole.train, whole.test)
    )
    return Dataset(train, test, whole.classes)


def _utterances(part: str) -> tuple[list[Numbers], Numbers]:
    """Samples (frames, 12) and speakers 0..8 of the "train" or the "test" part."""
    try:
        from aeon.datasets import load_japanese_vowels
    except ImportError as wrong:
        got = "no aeon" if isinstance(wrong, ModuleNotFoundError) else str(wrong)
        fix = hint("data")
        raise InputError("--data", "the package that holds these samples", got, fix) from None
    samples, labels = load_japanese_vowels(split=part)
    return [sample.T for sample in samples], labels.astype(np.int64) - 1
