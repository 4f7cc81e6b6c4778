"""How tests compare a loss with what it should give: one function for values, one for slopes.

    compare(library, loss, record, target, (value, grad), dtype, lengths=lengths)
    near(slope, differences)

Arrays are given in NumPy, and `compare` makes what the library needs of them. JAX spends nearly
all of its time in compiling, each operation or each loss once for all arrays of a shape: keep to
the shapes of `cases.py` there, say ``jit=True`` where every row has a test, and take the rows of
`STAGES` for what compiles anew.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, Case
from libraries import FLOATS, JAX, LIBRARIES, NUMPY, TORCH, Array, Library, named, same

from spikeloss.readouts import Readout

EAGER = (NUMPY, TORCH)

every_library = pytest.mark.parametrize("library", LIBRARIES, ids=named)
every_eager = pytest.mark.parametrize("library", EAGER, ids=named)
slow_in_jax = pytest.mark.parametrize(
    "library",
    [pytest.param(x, marks=pytest.mark.slow if x is JAX else ()) for x in LIBRARIES],
    ids=named,
)
"""Every library; JAX, which compiles for long, with the slow tests."""


TIMED = tuple(row for row in CASES if not row.timeless)
SPIKING = tuple(row for row in CASES if row.record == "spikes")


def each_case(rows: tuple[Case, ...]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=str)


# Comparing


def arrays_of(library: Library, values: dict[str, Any], dtype: str = "float64") -> dict[str, Any]:
    """NumPy arrays in that library, floating ones in the dtype of the result."""

    def prepare(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return library.array(value, dtype if value.dtype.kind == "f" else None)

    return {name: prepare(value) for name, value in values.items()}


def compare(
    library: Library,
    loss: Any,
    record: Array,
    target: Array,
    wanted: tuple[Any, Any],
    dtype: str = "float64",
    *,
    jit: bool = False,
    **options: Any,
) -> Array | None:
    """The value and, where there is one, the gradient against the oracle's; the gradient.

    With ``jit`` JAX compiles the loss as a whole, else every operation that it has not met.
    """
    result = dtype if dtype in FLOATS else "float32"
    slopes = library.differentiates and dtype in FLOATS
    with library.precision(dtype):
        x, given = library.array(record, dtype), {"target": target} | options
        value, grad = evaluate(library, loss, x, arrays_of(library, given, result), slopes, jit)
    same(value, wanted[0], result)
    if slopes:
        same(grad, wanted[1], dtype)
    return grad


def evaluate(
    library: Library, loss: Any, x: Any, given: dict[str, Any], slopes: bool, jit: bool
) -> tuple[Array, Array | None]:
    """The value, and the gradient or None."""
    if jit and library is JAX:
        traced = {name: value for name, value in given.items() if isinstance(value, jax.Array)}
        plain = tuple((name, value) for name, value in given.items() if name not in traced)
        value, grad = compiled_loss(loss, plain, slopes)(x, traced)
        return np.asarray(value), None if grad is None else np.asarray(grad)
    if slopes:
        return library.value_and_grad(lambda x: loss(x, **given), x)
    return library.value(lambda x: loss(x, **given), x), None


compiled = partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
)


@cache
def compiled_loss(loss: Any, plain: tuple[tuple[str, Any], ...], slopes: bool) -> Any:
    """The value and the gradient of a loss in JAX; equal losses are one."""

    def call(x: Any, given: dict[str, Any]) -> tuple[Any, Any]:
        objective = partial(loss, **dict(plain))
        if not slopes:
            return objective(x, **given), None
        return jax_grad(lambda x: objective(x, **given), x)

    return compiled(call)


def jax_grad(fn: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """fn(x) and the gradient of its sum, as arrays of JAX, to be compiled."""
    value, pull = jax.vjp(fn, x)
    return value, pull(jnp.ones_like(value))[0]


def near(
    actual: Any, expected: Array, relative: float = 1e-6, absolute: float | None = None
) -> None:
    """A derivative against differences, which are less exact than what `same` compares."""
    absolute = relative / 100 if absolute is None else absolute
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=absolute)


def every(names: Iterable[str], check: Callable[[str], None]) -> None:
    """Check all of them, then fail with the names and the reasons of those that do not hold."""
    failed: dict[str, Exception] = {}
    for name in names:
        try:
            check(name)
        except Exception as error:
            error.add_note(f"for {name}")
            failed[name] = error
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise ExceptionGroup(reasons, list(failed.values()))


# Other batch axes


def batched(row: Case, target: Array, axes: tuple[int, ...]) -> Array:
    """A target with other batch axes in place of the single one."""
    if row.target == "neuron_times":
        return target
    where = int(row.target.startswith(("step_", "spike_")))
    return target.reshape(target.shape[:where] + axes + target.shape[where + 1 :])


def batched_value(value: Array, axes: tuple[int, ...]) -> Array:
    """A loss with other batch axes in place of the single one, () | (B,) | (B,C) | (F,B,C)."""
    if value.ndim == 0:
        return value
    where = int(value.ndim == 3)
    return value.reshape(value.shape[:where] + axes + value.shape[where + 1 :])


# Rows that spread the stages


def stages(row: Case) -> set[Any]:
    """The types of the stages of a row, those inside others too."""
    found = set()

    def visit(part: Any) -> None:
        found.add(type(part))
        for field in fields(part):
            inner = getattr(part, field.name)
            if isinstance(inner, Readout):
                visit(inner)

    for part in (row.loss.readout, row.loss.criterion, row.loss.target, row.loss.reduction):
        visit(part)
    return found


def covering(
    rows: Sequence[Case], of: Callable[[Case], set[Any]], first: Sequence[Case] = ()
) -> tuple[Case, ...]:
    """The first, and few rows, in which everything occurs that occurs in all of them."""
    chosen = list(first)
    missing = set().union(*map(of, rows)) - set().union(*map(of, chosen))
    while missing:
        best = max(rows, key=lambda row: len(of(row) & missing))
        chosen.append(best)
        missing -= of(best)
    return tuple(chosen)


STAGES = covering(CASES, stages)
SPIKING_STAGES = covering(SPIKING, stages)
