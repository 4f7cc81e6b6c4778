"""Labels that are no class, of every integer dtype and traced: an error or nan, never a number."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from cases import CASES, Case
from harness import slow_in_jax
from libraries import JAX, NUMPY, TORCH, Library, named, same

from spikeloss import Loss, criteria, presets, readouts, targets
from spikeloss.readouts import WholeRecord
from spikeloss.reductions import Each, Mean, Reduction, Sum

T, B, C = 7, 4, 5
RNG = np.random.default_rng(0)
RECORD = RNG.random((T, B, C))
SEQUENCES = np.array([[1, 2, 2], [3, -1, -1], [-1, -1, -1], [4, 1, -1]])
LENGTHS = np.array([7, 5, 6, 7])
CTC = presets.ctc(reduction=Each())
LABELLED = [
    name
    for name, preset in presets.catalogue().items()
    if preset.build().of_labels and preset.build().main.criterion.of_sequence is False
]


@slow_in_jax
@pytest.mark.parametrize("dtype", ["uint64", "int64", "uint32", "uint16", "uint8", "int8"])
def test_labels_of_every_dtype(library: Library, dtype: str) -> None:
    most = np.iinfo(dtype).max
    good, bad = np.array([1, 2, 0, 4], dtype), np.array([1, 2, 0, most], dtype)
    with library.precision():
        x = library.array(RECORD)
        for name in ("ce_count", "mse_count", "margin_count"):
            loss = presets.catalogue()[name].build()
            same(loss(x, library.array(good)), loss(RECORD, good))
            with pytest.raises(ValueError, match="target: expected labels from 0 to 4"):
                loss(x, library.array(bad))
        with pytest.raises(ValueError, match="target: expected labels from 0 to 4, or -1"):
            CTC(x, library.array(bad[:, None]))
        with pytest.raises(ValueError, match="lengths: expected values from 1 to 7"):
            presets.ce_count()(x, library.array(good), lengths=library.array(bad))


def test_numbers_that_jax_has_no_room_for() -> None:
    """NumPy's labels beside a record of JAX: int32 there."""
    x = jnp.asarray(RECORD, "float32")
    for most in (np.int64(2**63 - 1), np.int64(2**32), np.uint64(2**64 - 1)):
        labels = np.array([1, 2, 0, most], most.dtype)
        with pytest.raises(ValueError, match="labels from 0 to 4"):
            presets.ce_count()(x, labels)
        with pytest.raises(ValueError, match="labels from 0 to 4"):
            CTC(x, labels[:, None])


@pytest.mark.parametrize("name", LABELLED)
def test_vmap_with_labels_that_are_no_class(name: str) -> None:
    loss = presets.catalogue()[name].build()
    timeless = loss.main.readout.timeless
    x = torch.tensor(RECORD[0] if timeless else RECORD)
    axis, labels = 0 if timeless else 1, torch.tensor([1, 7, 2, -3])

    def weighted(x: Any, y: Any) -> Any:
        return loss(x, y, class_weight=torch.arange(1.0, C + 1))

    for call in (loss, weighted):
        value = torch.func.vmap(call, (axis, 0))(x, labels)
        slope = torch.func.vmap(torch.func.grad(call), (axis, 0), axis)(x, labels)
        alone = call(x[:, :1] if axis else x[:1], labels[:1])
        assert value.isnan().tolist() == [False, True, False, True]
        assert torch.allclose(value[0], alone)
        slope = slope.movedim(axis, 0).flatten(1)
        assert slope.isnan().any(1).tolist() == [False, True, False, True]


# Connectionist temporal classification


@pytest.mark.alike
@pytest.mark.parametrize("wrong", [[9, 2, 2], [-2, 2, 2], [0, 2, 2], [1, -1, 2]], ids=str)
def test_wrong_sequences_that_are_traced(wrong: Any) -> None:
    labels = SEQUENCES.copy()
    labels[0] = wrong
    expected = [True, False, False, False]
    x = jnp.asarray(RECORD, "float32")
    value, pull = jax.jit(lambda x, y: jax.vjp(lambda x: CTC(x, y), x))(x, jnp.asarray(labels))
    assert np.isnan(value).tolist() == expected
    assert np.isnan(pull(jnp.ones(B))[0]).any((0, 2)).tolist() == expected
    arrays, axes = (torch.tensor(RECORD), torch.tensor(labels)), (1, 0)
    value = torch.func.vmap(CTC, axes)(*arrays)
    slope = torch.func.vmap(torch.func.grad(CTC), axes, 1)(*arrays)
    assert value.isnan().tolist() == expected
    assert slope.isnan().any(2).any(0).tolist() == expected


@slow_in_jax
@pytest.mark.parametrize("reduction", [Mean(), Sum(), Each()])
def test_no_sequences(library: Library, reduction: Reduction) -> None:
    loss = CTC.replace(reduction=reduction)
    found = loss(library.array(RECORD[:, :0], "float32"), library.array(SEQUENCES[:0]))
    expected = {"Mean": np.nan, "Sum": 0.0, "Each": np.zeros(0)}[type(reduction).__name__]
    same(found, expected, "float32")


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_sequences_under_the_transforms_of_torch() -> None:
    x, labels, lengths = map(torch.tensor, (RECORD, SEQUENCES, LENGTHS))
    loss: Loss = CTC.replace(reduction=Sum())
    assert isinstance(loss.readout, WholeRecord)

    def whole(x: Any) -> Any:
        return loss(x, labels, lengths=lengths)

    value, slope = TORCH.value_and_grad(whole, x)
    same(value, NUMPY.value(lambda x: loss(x, SEQUENCES, lengths=LENGTHS), RECORD))

    def one(x: Any, y: Any, n: Any) -> Any:
        return loss(x, y, lengths=n)

    each = torch.func.vmap(torch.func.grad(one), (1, 0, 0), 1)(x, labels, lengths)
    same(each, slope)
    same(torch.func.jvp(whole, (x,), (x,))[1], (slope * RECORD).sum())
    with torch.autograd.forward_ad.dual_level():
        dual = whole(torch.autograd.forward_ad.make_dual(x, x))
        same(torch.autograd.forward_ad.unpack_dual(dual).tangent, (slope * RECORD).sum())
    curved = torch.func.jvp(torch.func.grad(whole), (x,), (x,))[1]
    step = 1e-6
    ahead, behind = (TORCH.value_and_grad(whole, (1 + s) * x)[1] for s in (step, -step))
    np.testing.assert_allclose(curved, (ahead - behind) / (2 * step), atol=1e-7)


@pytest.mark.parametrize("library", [TORCH, JAX], ids=named)
def test_a_traced_mean_of_wrong_labels_is_nan(library: Library) -> None:
    loss, labels = presets.ce_count(), library.array(np.array([1, 2, 9, 0]))
    x = library.array(RECORD, "float32")
    if library is JAX:
        assert np.isnan(jax.jit(loss)(x, labels))
        return
    torch._dynamo.reset()
    compiled: Any = torch.compile(loss, fullgraph=True, backend="eager")
    assert compiled(x, labels).isnan()
    same(compiled(x, labels.clamp(max=4)), loss(x, labels.clamp(max=4)), "float32")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_compiled_function_may_hold_the_record_and_the_target(case: Case) -> None:
    """What is checked of their values is not traced by the function that is compiled."""
    record, target = jnp.asarray(case.record_of(), jnp.float32), jnp.asarray(case.target_of())
    held = [lambda: case.loss(record, target)]
    if not case.timeless:
        lengths = jnp.asarray(case.lengths)
        held.append(lambda: case.loss(record, target, lengths=lengths))
    for call in held:
        assert jax.eval_shape(call).dtype == jnp.float32


def test_a_compiled_function_may_hold_times_as_targets() -> None:
    times, x = jnp.asarray([[1, 2, 0, 3, 4]] * B), jnp.asarray(RECORD, jnp.float32)
    loss = Loss(readouts.FirstSpike(), criteria.SquaredError(), targets.GivenTime())
    assert jax.eval_shape(lambda x: loss(x, times), x).shape == ()
