"""What the weights of a network take, and how many of them are 0."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from spikeloss._backend import as_array, constant, is_array, like, memory, namespace, unwrap
from spikeloss._door import real_kind, refuse, said
from spikeloss._shapes import Array

from ._tally import of_one

Weights: TypeAlias = Any
"""Arrays in mappings, lists and tuples, as parameters of JAX are, or a torch module."""


def connection_sparsity(weights: Weights) -> Array:
    """s = sum_w [w = 0] / sum_w 1: the share of weights that are 0, as after pruning, 0-d.

    Of all arrays with two axes or more; those with fewer are no connections but biases, thresholds,
    time constants. A torch module that is pruned counts by its masks. Of the recurrent layers of
    torch NeuroBench counts the biases too.

    Args:
        weights: an array; arrays in mappings, lists and tuples; or a torch module. Of other trees
            of JAX, `jax.tree.leaves(tree)`.

    Raises:
        TypeError: for what is no array; None is left out.
        ValueError: without an array of two axes, and for a torch module that is parametrized.

    Source: J. Yik et al., The NeuroBench framework for benchmarking neuromorphic computing
    algorithms and systems (2025).

    >>> import numpy
    >>> kernel, bias = numpy.array([[0.0, 0.5], [-0.5, 1.0]]), numpy.zeros(2)
    >>> float(connection_sparsity({"kernel": kernel, "bias": bias}))
    0.25
    """
    found = [w for w in _connections(weights) if w.ndim > 1]
    if not found:
        rule, fix = "weights with two axes or more", "Pass what connects the layers."
        refuse("weights", rule, "none", fix)
    zeros, sizes = zip(*map(_zeros, found), strict=True)
    return of_one(sum(zeros), sum(sizes)).value()


def parameter_count(weights: Weights) -> int:
    """sum_w 1: the numbers that a network has learned, of all its arrays.

    Args:
        weights: as for `connection_sparsity`; of a torch module its parameters, and not its
            buffers. Arrays need no values.

    Raises:
        TypeError: for what is no array; None is left out.

    Source: as of `connection_sparsity`.

    >>> import numpy
    >>> parameter_count([numpy.ones((3, 2)), numpy.ones(2)])
    8
    """
    return sum(math.prod(w.shape) for w in _arrays(weights, ("parameters",)))


def footprint(weights: Weights) -> int:
    """sum_w bytes of w: the memory that a network takes.

    Args:
        weights: as for `connection_sparsity`; of a torch module its parameters and its buffers.
            Arrays need no values.

    Raises:
        TypeError: for what is no array; None is left out.

    Source: as of `connection_sparsity`.

    >>> import numpy
    >>> footprint([numpy.ones((3, 2), numpy.float32), numpy.ones(2, numpy.int8)])
    26
    """
    return sum(memory(w) for w in _arrays(weights, ("parameters", "buffers")))


def _arrays(weights: Any, kinds: tuple[str, ...], place: str = "weights") -> Iterator[Array]:
    """The arrays of a tree, or of a torch module its tensors of some kinds."""
    if is_array(weights):
        yield unwrap(weights)
    elif _is_module(weights):
        for kind in kinds:
            yield from getattr(weights, kind)()
    else:
        for name, inner in _branches(weights, place):
            yield from _arrays(inner, kinds, name)


def _branches(tree: Any, place: str) -> Iterator[tuple[str, Any]]:
    """What a tree consists of, by the names to blame."""
    if isinstance(tree, Mapping):
        yield from ((f"{place}[{key!r}]", inner) for key, inner in tree.items())
    elif isinstance(tree, (list, tuple)):
        yield from ((f"{place}[{index}]", inner) for index, inner in enumerate(tree))
    elif tree is not None:
        rule = "arrays in mappings, lists and tuples, or a torch module"
        fix = "Pass the weights, as in jax.tree.leaves(tree)."
        refuse(place, rule, said(tree), fix, TypeError)


def _connections(weights: Any) -> Iterator[Array]:
    """The arrays of a tree; of a torch module its parameters, pruned as they are used."""
    if not _is_module(weights):
        yield from _arrays(weights, ())
        return
    for module in weights.modules():
        if hasattr(module, "parametrizations"):
            fix = "Remove it with torch.nn.utils.parametrize.remove_parametrizations."
            refuse("weights", "plain weights", "a parametrization", fix)
        for name, w in module.named_parameters(recurse=False):
            mask = getattr(module, f"{name.removesuffix('_orig')}_mask", None)
            yield w if mask is None else w * mask


def _is_module(weights: Any) -> bool:
    return hasattr(weights, "named_parameters") and not isinstance(weights, type)


def _zeros(w: Array) -> tuple[Array, Array]:
    """The entries of an array that are 0, and all of them, as numbers of 32 bits or more."""
    real_kind("weights", w)
    xp = namespace(w)
    wide = xp.float64 if w.dtype == xp.float64 else xp.float32
    zeros = xp.sum(xp.astype(xp.astype(constant(w), wide) == 0, wide))
    return as_array(zeros, wide), like(math.prod(w.shape), zeros, wide)
