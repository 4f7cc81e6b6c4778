"""A loss asked about single samples: its values, and its gradient from the library at hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np

from spikeloss._install import hint
from spikeloss.lab.errors import InputError
from spikeloss.loss import Loss, Total
from spikeloss.testing._libraries import Jax, Torch

from .examples import Floats

LEAST = 1e-6
"""What is smaller is no gradient."""


@dataclass(frozen=True, eq=False)
class View:
    """A record (T, N) of one sample, what a loss makes of it, and its gradient there."""

    name: str
    record: Floats
    loss: float
    gradient: Floats

    @property
    def count(self) -> int:
        """How many of its steps, of all neurons, carry gradient."""
        return int(np.sum(np.abs(self.gradient) >= LEAST))

    @property
    def reached(self) -> float:
        """The share of these."""
        return self.count / self.gradient.size

    @property
    def timeless(self) -> bool:
        """Whether it has no steps."""
        return len(self.record) == 1


@dataclass(frozen=True, eq=False)
class Question:
    """A loss with a target, to be asked about records (T, N) of one sample.

    Args:
        loss: the loss.
        target: of one sample; with `company` of all, the sample in question first.
        shape: (T, N) of the records.
        layer: the name of the record in question, where the loss reads several.
        beside: the others, (T, 1, N), by name.
        company: other samples of the batch, (T, B, N), for a loss that compares samples.
    """

    loss: Loss | Total
    target: Any
    shape: tuple[int, int]
    layer: str | None = None
    beside: Mapping[str, Floats] = field(default_factory=dict)
    company: Floats | None = None

    def stretched(self, times: int) -> "Question":
        """The same with every step so many times."""
        longer = {name: np.repeat(x, times, axis=0) for name, x in self.beside.items()}
        company = None if self.company is None else np.repeat(self.company, times, axis=0)
        target = np.repeat(self.target, times, axis=0) if self._stepwise else self.target
        shape = (self.shape[0] * times, self.shape[1])
        return replace(self, target=target, shape=shape, beside=longer, company=company)

    def values(self, records: Floats) -> Floats:
        """The losses of some records (K, T, N)."""
        with np.errstate(all="ignore"):
            return self._all(records) if self._share else self._mapped(records)

    def view(self, name: str, record: Floats) -> View:
        """What the loss makes of a record, and where its gradient is."""
        loss, gradient = slope(partial_of(self.loss, self.layer), self._batch(record), self._given)
        own = gradient if self._timeless else gradient[:, 0]
        return View(name, record, float(loss), np.asarray(own, float))

    @property
    def _timeless(self) -> bool:
        return self.loss.main.readout.timeless

    @property
    def _stepwise(self) -> bool:
        """Whether the target has steps."""
        shape = np.shape(self.target)
        return not self._timeless and len(shape) > 1 and shape[0] == self.shape[0] > 1

    @property
    def _given(self) -> dict[str, Any]:
        return {"target": self.target, **{LAYER + name: x for name, x in self.beside.items()}}

    def _batch(self, record: Floats) -> Floats:
        if self._timeless:
            return record
        x = record[:, None]
        return x if self.company is None else np.concatenate((x, self.company), axis=1)

    def _ones(self, records: Floats) -> Floats:
        """One at a time."""
        asked = partial_of(self.loss, self.layer)
        return np.array([float(asked(self._batch(record), **self._given)) for record in records])

    def _mapped(self, records: Floats) -> Floats:
        """Each as a batch of its own, mapped over by the library."""
        batches = np.stack([self._batch(record) for record in records])
        return mapped(partial_of(self.loss, self.layer), batches, self._given)

    def _all(self, records: Floats) -> Floats:
        """All as one batch, which is as good where samples do not depend on each other."""
        given, samples = self._given, len(records)
        if given["target"] is not None:
            given["target"] = np.repeat(self.target, samples, axis=int(self._stepwise))
        for name in given.keys() - {"target"}:
            given[name] = np.repeat(given[name], samples, axis=1)
        x = records[:, 0] if self._timeless else np.moveaxis(records, 0, 1)
        found = np.asarray(partial_of(self._each, self.layer)(x, **given))
        means: Floats = found.reshape(samples, -1).mean(axis=-1)
        return means

    @cached_property
    def _each(self) -> Total:
        """The loss with a number for each sample, or for each of its classes."""
        losses = self.loss.losses
        return Total(tuple((by, loss.replace(reduction="none")) for by, loss in losses))

    @cached_property
    def _share(self) -> bool:
        """Whether samples may share a batch: the stages say so, and it is tried."""
        stages = [stage for _, each in self.loss.losses for stage in (each.readout, each.criterion)]
        if self.company is not None or any(stage.couples for stage in stages):
            return False
        tried = np.random.default_rng(0).random((3, *self.shape)).round()
        try:
            together = self._all(tried)
        except (TypeError, ValueError):
            return False
        return bool(np.allclose(together, self._ones(tried), equal_nan=True))


LAYER = "layer "
"""Stands before the name of another layer."""


def partial_of(loss: Any, layer: str | None) -> Callable[..., Any]:
    """A loss as a function of the record in question, the target, and the other layers."""

    def asked(x: Any, /, target: Any, **beside: Any) -> Any:
        others = {name.removeprefix(LAYER): each for name, each in beside.items()}
        return loss(x if layer is None else {layer: x, **others}, target)

    return asked


def slope(f: Callable[..., Any], x: Floats, given: dict[str, Any]) -> tuple[Any, Any]:
    """f(x, **given) and its gradient, from PyTorch or else JAX, as NumPy arrays."""
    library = _library()
    if isinstance(library, Torch):
        return library.slope(f, x, given)
    known = library.arrays(given)
    with library.precision():  # not compiled: every record is asked about once
        value, pull = library.jax.vjp(lambda x: f(x, **known), library.array(x))
        return library.plain(value), library.plain(pull(library.jax.numpy.ones_like(value))[0])


def mapped(f: Callable[..., Any], xs: Floats, given: dict[str, Any]) -> Floats:
    """f(x, **given) of every x."""
    library = _library()
    known = library.arrays(given)
    vmap = library.torch.vmap if isinstance(library, Torch) else library.jax.vmap
    with library.precision():
        return np.asarray(library.plain(vmap(lambda x: f(x, **known))(library.array(xs))))


def _library() -> Torch | Jax:
    for name, made in (("torch", Torch), ("jax", Jax)):
        if find_spec(name) is not None:
            return made()
    rule = "PyTorch or JAX, for gradients"
    raise InputError("atlas", rule, "neither", hint("torch"))
