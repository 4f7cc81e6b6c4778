"""Every error of `errors.txt`, word for word; no message without a row; fixes that work.

T=7 steps, B=5 samples, N=6 neurons, C=3 classes: no two axes are equal.
"""

import ast
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np
import pytest
import torch
from libraries import JAX, LIBRARIES, NUMPY, TORCH, Library, named, same

import spikeloss
import spikeloss.testing
import spikeloss.torch_metrics
from spikeloss import (
    Loss,
    Total,
    balance,
    criteria,
    metrics,
    penalties,
    presets,
    readouts,
    reductions,
    synapses,
    targets,
)
from spikeloss.compat import brainpy, snntorch
from spikeloss.criteria import CrossEntropy, SquaredError
from spikeloss.presets import ce_count, ce_rate, ce_temporal, mse_count, mse_membrane
from spikeloss.readouts import FirstSpike, Population, SumOverTime, Temperature
from spikeloss.records import Events, Packed, Times
from spikeloss.reductions import Each, Mean, Sum
from spikeloss.targets import OnOffRate, OnOffTime

T, B, N, C = 7, 5, 6, 3
LABELS = [0, 1, 2, 3, 5]
ONE_HOT = np.eye(N, dtype=int)[LABELS]
SOURCES = Path(spikeloss.__file__).parent
FORM = re.compile(r"[\w\[\]]+: expected [^.].+, got .+\. [A-Z].+\.")

WORDS = {
    "numpy": {
        "array": "a NumPy array",
        "stack": "numpy.stack",
        "to_int": "astype(int)",
        "to_float": "astype('float32')",
        "dtype": "",
    },
    "torch": {
        "array": "a torch tensor",
        "stack": "torch.stack",
        "to_int": "long()",
        "to_float": "float()",
        "dtype": "torch.",
    },
    "jax": {
        "array": "a JAX array",
        "stack": "jax.numpy.stack",
        "to_int": "astype(int)",
        "to_float": "astype('float32')",
        "dtype": "",
    },
}


class Data:
    """A record of zeros and ones and its labels, in a library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.x = self.array(np.arange(T * B * N).reshape(T, B, N) % 4 == 0, "float32")
        self.y = self.array(LABELS)

    def array(self, values: Any, dtype: str | None = None) -> Any:
        return self.library.array(np.asarray(values), dtype)

    def ones(self, *shape: int) -> Any:
        return self.array(np.ones(shape), "float32")

    def ints(self, *shape: int) -> Any:
        return self.array(np.ones(shape, int))

    def float8(self) -> Any:
        dtype = torch.float8_e4m3fn if self.library is TORCH else ml_dtypes.float8_e4m3fn
        return self.x.to(dtype) if self.library is TORCH else self.x.astype(dtype)


STAGES = {
    name: value
    for module in (readouts, criteria, targets, reductions, presets)
    for name, value in vars(module).items()
    if not name.startswith("_")
}


def changed(loss: Any, **attributes: Any) -> Any:
    """A loss some of whose attributes are set after it was made."""
    for name, value in attributes.items():
        setattr(loss, name, value)
    return loss


NAMES = STAGES | {
    "Loss": Loss,
    "Total": Total,
    "SF": snntorch,
    "changed": changed,
    "cross_entropy_loss": brainpy.cross_entropy_loss,
    "readouts": readouts,
    "criteria": criteria,
    "targets": targets,
    "reductions": reductions,
    "presets": presets,
    "penalties": penalties,
    "synapses": synapses,
    "balance": balance,
    "torch": torch,
    "jax": jax,
    "numpy": np,
    "np": np,
    "ONE_HOT": ONE_HOT,
    "Events": Events,
    "metrics": metrics,
    "ST": spikeloss.torch_metrics,
    "Packed": Packed,
    "Times": Times,
    "check": spikeloss.testing.check,
    "diagnose": spikeloss.diagnose,
    **{"T": T, "B": B, "N": N, "C": C},
}
OF_A_LIBRARY = {"x", "y", "ones", "ints", "array", "float8"}


class Row(NamedTuple):
    """A mistake, the error that answers it, and with which libraries to make it."""

    code: str
    error: str
    message: str
    libraries: tuple[Library, ...]

    def refusal(self, library: Library) -> Exception:
        data = Data(library)
        names = {name: getattr(data, name) for name in OF_A_LIBRARY}
        others = {"in_torch": Data(TORCH), "in_jax": Data(JAX), "in_numpy": Data(NUMPY)}
        with pytest.raises((TypeError, ValueError)) as raised:
            eval(self.code, NAMES | names | others)
        return raised.value

    def check(self, library: Library) -> None:
        refusal = self.refusal(library)
        assert str(refusal) == self.message.format(**WORDS[library.name])
        assert type(refusal).__name__ == self.error
        assert FORM.fullmatch(str(refusal))


def rows() -> Iterator[Row]:
    text = Path(__file__).with_name("errors.txt").read_text()
    for block in text.partition("\n##")[2].split("\n\n")[1:]:
        if block.startswith("##"):
            continue
        code, answer = block.strip().split("\n    ")
        error, _, message = answer.partition(": ")
        code, _, only = code.partition("  # ")
        used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
        libraries = LIBRARIES if used & OF_A_LIBRARY else (NUMPY,)
        yield Row(code, error, message, tuple(x for x in libraries if x.name in (only or x.name)))


ROWS = tuple(rows())
ROW = {row.code: row for row in ROWS}


@pytest.mark.parametrize(
    ("row", "library"),
    [
        pytest.param(row, library, id=f"{row.code} [{library.name}]")
        for row in ROWS
        for library in row.libraries
    ],
)
def test_message(row: Row, library: Library) -> None:
    row.check(library)


# No message without a row


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """The sources of the library, without the workbench."""
    for path in sorted(SOURCES.rglob("*.py")):
        if path.name != "cli.py" and "lab" not in path.relative_to(SOURCES).parts:
            yield path, ast.parse(path.read_text())


def test_every_message_has_a_row() -> None:
    """Every call of `refuse` is reached."""
    calls = {
        (path, line): f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "refuse"
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    reached = set()
    for row in ROWS:
        *_, (caller, line), (last, _) = traceback.walk_tb(
            row.refusal(row.libraries[0]).__traceback__
        )
        assert last.f_code.co_name == "refuse"
        reached.add(calls[Path(caller.f_code.co_filename), line])
    assert set(calls.values()) - reached == set()


def test_every_error_is_a_refusal() -> None:
    """No `raise` but that of `refuse`, and few that the door cannot make; the kernels have some
    for what no user does, such as a compiler that fails."""
    raises = {
        (path.name, definition.name)
        for path, tree in trees()
        if path.parent.name not in ("_kernels", "testing")
        for definition in ast.walk(tree)
        if isinstance(definition, ast.FunctionDef)
        for node in definition.body
        for part in ast.walk(node)
        if isinstance(part, ast.Raise)
    }
    assert raises == {
        ("__init__.py", "__getattr__"),
        ("__init__.py", "__missing__"),  # `is_array` catches it
        ("__init__.py", "checks_values"),
        ("_choice.py", "mode"),  # variables of the environment
        ("_choice.py", "of"),
        ("_words.py", "refuse"),
        ("_names.py", "blamed"),  # what a preset of the user's own raises
        ("loss.py", "losses"),
        ("loss.py", "across"),
        ("_base.py", "_compute_loss"),
        ("__init__.py", "__getattr__"),  # names that are not of this package
        ("_diagnose.py", "diagnose"),  # the same error, where the axes do not explain it
        ("_calls.py", "around"),  # the same error, in the words of the peer
        ("_calls.py", "said"),
        ("_calls.py", "speaks"),
    }


def test_no_check_is_dead() -> None:
    parts = [node for _, tree in trees() for node in ast.walk(tree)]
    used = {node.id for node in parts if isinstance(node, ast.Name)}
    used |= {node.attr for node in parts if isinstance(node, ast.Attribute)}
    door = [ast.parse(path.read_text()) for path in (SOURCES / "_door").glob("*.py")]
    checks = {node.name for file in door for node in file.body if isinstance(node, ast.FunctionDef)}
    assert checks - used == set()


# The fixes work


class Repair(NamedTuple):
    """A call with a wrong argument, whose message says what to write instead."""

    argument: str
    wrong: Callable[[Data], Any]
    call: Callable[[Data, Any], Any]
    libraries: tuple[Library, ...] = LIBRARIES


def of_count(argument: str, wrong: Callable[[Data], Any], *libraries: Library) -> Repair:
    """An argument of a call of `ce_count`."""

    def call(data: Data, value: Any) -> Any:
        given = {"record": data.x, "target": data.y, argument: value}
        return ce_count()(given.pop("record"), given.pop("target"), **given)

    return Repair(argument, wrong, call, libraries or LIBRARIES)


REPAIRS = {
    "steps": of_count("record", lambda data: list(data.x)),
    "sparse": of_count("record", lambda data: data.x.to_sparse(), TORCH),
    "complex": of_count("record", lambda data: data.x + 0j),
    "float8": of_count("record", lambda data: data.float8()),
    "objects": of_count("record", lambda data: data.x.astype(object), NUMPY),
    "float lengths": of_count("lengths", lambda data: data.ones(B)),
    "float labels": of_count("target", lambda data: data.ones(B)),
    "column": of_count("target", lambda data: data.y[:, None]),
    "NumPy to torch": of_count("target", lambda data: Data(NUMPY).y, TORCH),
    "JAX to torch": of_count("target", lambda data: Data(JAX).y, TORCH),
    "torch to JAX": of_count("target", lambda data: Data(TORCH).y, JAX),
    "complex weights": of_count("class_weight", lambda data: data.ones(N) + 0j, NUMPY, TORCH),
    "weights to torch": of_count("class_weight", lambda data: Data(JAX).ones(N), TORCH),
    "record to torch": Repair(
        "record", lambda data: data.x, lambda data, x: ce_count()(x, Data(TORCH).y), (NUMPY,)
    ),
    "record to JAX": Repair(
        "record", lambda data: data.x, lambda data, x: ce_count()(x, Data(JAX).y), (NUMPY,)
    ),
    "device": Repair(
        "target", lambda data: data.y, lambda data, y: ce_count()(data.x.to("meta"), y), (TORCH,)
    ),
    "one-hot": Repair(
        "target", lambda data: data.array(ONE_HOT), lambda data, y: mse_count()(data.x, y)
    ),
    "from 1": Repair("target", lambda data: data.y + 1, lambda data, y: mse_count()(data.x, y)),
    "sum": Repair("reduction", lambda data: "summ", lambda data, part: ce_count(reduction=part)),
    "code": Repair("code", lambda data: "late", lambda data, code: FirstSpike(code=code)),
    "rates of times": Repair(
        "target",
        lambda data: OnOffRate(),
        lambda data, part: Loss(FirstSpike(), SquaredError(), part)(data.x, data.y),
        (NUMPY,),
    ),
}


@pytest.mark.parametrize(
    ("row", "library"),
    [
        pytest.param(row, library, id=f"{name} [{library.name}]")
        for name, row in REPAIRS.items()
        for library in row.libraries
    ],
)
def test_fix_works(row: Repair, library: Library) -> None:
    """What the message says to write can be written, and is accepted."""
    data = Data(library)
    value = row.wrong(data)
    with pytest.raises((TypeError, ValueError)) as raised:
        row.call(data, value)
    written = re.fullmatch(rf".*\. Write (?:{row.argument}=)?(.+)\.", str(raised.value))
    assert written is not None
    row.call(data, eval(written[1], NAMES | {row.argument: value}))


# What is accepted

PLAIN = {
    "number": (SquaredError(tolerance=np.float64(0.5)), SquaredError(tolerance=0.5)),
    "float32": (Temperature(SumOverTime(), np.float32(2)), Temperature(SumOverTime(), 2.0)),
    "integer number": (SquaredError(delta=np.int64(3)), SquaredError(delta=3)),
    "integer": (Population(SumOverTime(), np.int64(3)), Population(SumOverTime(), 3)),
    "ignore_index": (CrossEntropy(ignore_index=np.int8(-1)), CrossEntropy(ignore_index=-1)),
    "steps": (OnOffTime(np.int64(1), np.int32(-1)), OnOffTime(1, -1)),
    "tuple": (OnOffTime((np.int64(1), 2), (3, 4)), OnOffTime((1, 2), (3, 4))),
    "choice": (SquaredError(steps_power=np.int64(1)), SquaredError(steps_power=1)),
    "text": (Mean(np.str_("weights")), Mean("weights")),
    "flag": (FirstSpike(silent_gradient=np.bool_(False)), FirstSpike(silent_gradient=False)),
    "weights": (ce_count(class_weight=np.arange(2)), ce_count(class_weight=(0.0, 1.0))),
    "torch weights": (ce_count(class_weight=torch.ones(2)), ce_count(class_weight=[1, 1])),
    "JAX weights": (ce_count(class_weight=jax.numpy.ones(2)), ce_count(class_weight=[1, 1])),
    "factor": (np.float64(0.5) * ce_count(), 0.5 * ce_count()),
    "factor behind": (ce_count() * np.float32(0.5), 0.5 * ce_count()),
}


@pytest.mark.parametrize("name", PLAIN)
def test_options_become_plain(name: str) -> None:
    given, plain = PLAIN[name]
    assert given == plain
    assert hash(given) == hash(plain)
    assert repr(given) == repr(plain)


ACCEPTED: dict[str, Callable[[Data], Any]] = {
    "lists": lambda data: ce_count()(
        data.x, LABELS, lengths=[T] * B, sample_weight=[1.0] * B, class_weight=[1] * N
    ),
    "one-hot": lambda data: ce_count()(data.x, data.array(ONE_HOT)),
    "one-hot float": lambda data: ce_count()(data.x, data.array(ONE_HOT, "float32")),
    "NumPy class weights": lambda data: ce_count()(data.x, data.y, class_weight=np.ones(N)),
    "NumPy axes": lambda data: ce_count()(
        data.x, data.y, time_axis=np.int64(-3), class_axis=np.int64(2)
    ),
    "small labels": lambda data: ce_count()(data.x, data.array(LABELS, "uint8")),
}


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str, library: Library) -> None:
    data, plain = Data(library), Data(NUMPY)
    same(ACCEPTED[name](data), ce_count()(plain.x, plain.y), "float32")


def test_numpy_labels_of_a_jax_record() -> None:
    data, plain = Data(JAX), Data(NUMPY)
    same(ce_count()(data.x, plain.y), ce_count()(plain.x, plain.y), "float32")


def test_a_number_labels_a_record_without_batch() -> None:
    plain = ce_count()(Data(NUMPY).x[:, 0], np.int64(1))
    for library in LIBRARIES:
        same(ce_count()(Data(library).x[:, 0], 1), plain, "float32")


def test_a_target_may_have_a_derivative() -> None:
    data = Data(TORCH)
    y = data.ones(B, N).requires_grad_()
    Loss(SumOverTime(), SquaredError())(data.x, y).backward()
    same(y.grad, 2 * (1 - data.x.sum(0).numpy()) / (B * N), "float32")


@pytest.mark.parametrize("library", [NUMPY, TORCH], ids=named)
def test_no_samples(library: Library) -> None:
    data = Data(library)
    x, y = data.x[:, :0], data.y[:0]
    for preset in presets.catalogue().values():
        main = preset.build().main
        if main.of_labels and not main.readout.timeless:
            same(preset.build()(x, y, lengths=y), np.nan, "float32")
            same(preset.build(reduction=Sum())(x, y), 0.0, "float32")
    assert ce_rate(reduction=Each())(x, y).shape == (0,)


@pytest.mark.parametrize("library", LIBRARIES, ids=named)
@pytest.mark.parametrize(
    "build",
    [
        *(ce_count, presets.ce_max_membrane, mse_membrane, presets.ce_logsumexp),
        *(presets.tempotron, presets.peak, presets.tet, presets.spike_rate),
        *(penalties.membrane_bounds, penalties.membrane_rectified, penalties.rate_percentile),
    ],
)
def test_smooth_losses_propagate_nan(build: Callable[[], Loss], library: Library) -> None:
    data = Data(library)
    same(build()(data.x * np.nan, data.y), np.nan, "float32")
    late = np.zeros((T, 1, 1))
    late[-1] = np.nan  # of one sample and neuron
    where = np.zeros((1, B, N))
    where[0, 1, 2] = 1
    once = data.x + data.array(np.where(where, late, 0), "float32")
    same(build()(once, data.y), np.nan, "float32")


def test_numpy_arrays_of_losses_are_not_made() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        np.ones(2) * ce_count()


# Under transformations, what is static is checked; values cannot be

FOUR = ROW["ce_count()(x, y[:4])"].message


def test_traced() -> None:
    data = Data(JAX)
    with pytest.raises(ValueError, match=re.escape(FOUR)):
        jax.jit(ce_count())(data.x, data.y[:4])
    message = "target: expected integer class labels, got float32. Write target.astype(int)."
    with pytest.raises(TypeError, match=re.escape(message)):
        jax.jit(ce_count())(data.x, data.ones(B))
    message = "class_weight: expected numbers, got an array without values."
    with pytest.raises(TypeError, match=re.escape(message)):
        jax.jit(lambda w: ce_count(class_weight=w)(data.x, data.y))(data.ones(N))
    message = "class_weight[0]: expected a number, got a JAX array."
    with pytest.raises(TypeError, match=re.escape(message)):
        jax.jit(lambda w: ce_count()(data.x, data.y, class_weight=[w] * N))(1.0)
    assert np.isnan(jax.jit(ce_count())(data.x, data.y + 2))


def test_mapped() -> None:
    message = re.escape("target: expected one label, as there is no batch axis, got shape (2,). ")
    data = Data(JAX)
    with pytest.raises(ValueError, match=message):
        jax.vmap(mse_count(), in_axes=(1, 0))(data.x, data.ints(B, 2))
    data = Data(TORCH)
    with pytest.raises(ValueError, match=message):
        torch.func.vmap(mse_count(), in_dims=(1, 0))(data.x, data.ints(B, 2))


@pytest.mark.alike
def test_compiled() -> None:
    data = Data(TORCH)
    with pytest.raises(ValueError, match=re.escape(FOUR)):
        torch.compile(ce_count(), backend="eager")(data.x, data.y[:4])


# The switch


def test_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    data, values = Data(TORCH), ROW["ce_count()(x, y + 2)"]
    monkeypatch.setenv("SPIKELOSS_CHECKS", "yes")
    with pytest.raises(ValueError, match="SPIKELOSS_CHECKS") as raised:
        ce_count()(data.x, data.y)
    assert str(raised.value) == "SPIKELOSS_CHECKS: expected auto, on or off, got 'yes'. Unset it."
    monkeypatch.setenv("SPIKELOSS_CHECKS", "on")
    values.check(TORCH)
    assert ce_count()(data.x.to("meta"), data.y.to("meta")).is_meta
    monkeypatch.setenv("SPIKELOSS_CHECKS", "off")
    assert ce_temporal()(data.x * np.nan, data.y).isnan()
    assert np.isnan(ce_count()(Data(JAX).x, Data(JAX).y + 2))
    ROW["ce_count()(x, y[:4])"].check(TORCH)
