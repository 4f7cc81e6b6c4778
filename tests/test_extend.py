"""Stages of one's own, in a script outside of the repository, with public names alone.

The stages are those of the guide `your-own.md`. A script in a folder of its own uses them in every
way that ours are used; what it finds is compared here with numbers that are computed by hand.
T=4 steps, B=2 samples, N=3 neurons: no two axes are equal.
"""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeloss

PAGE = Path(__file__).parent.parent / "docs" / "guides" / "your-own.md"
if not PAGE.exists():
    pytest.skip("docs/ is not part of this distribution", allow_module_level=True)

BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
STAGES = BLOCKS[0] + next(x for x in BLOCKS if "(Summary)" in x).partition("\nfold = ")[0]

USE = """
import json
import math
import pickle
import sys

import numpy as np

import spikeloss as sl
from spikeloss.criteria import SquaredError
from spikeloss.readouts import SumOverTime
from spikeloss.records import Events
from spikeloss.reductions import Each
from stages import JoinedSum, LateSum, Lead, Neighbours, Spread

library = sys.argv[1]
if library == "torch":
    import torch

    array = torch.tensor

    def graded_value(f, x):
        x = x.clone().requires_grad_()
        value = f(x)
        value.backward()
        return value.item(), x.grad.tolist()
elif library == "jax":
    import jax

    array = jax.numpy.array

    def graded_value(f, x):
        value, grad = jax.value_and_grad(f)(x)
        return float(value), grad.tolist()
else:
    array = np.array

    def graded_value(f, x):
        return float(f(x)), None


nan = math.nan
record = array([
    [[0.0, 0, 0], [0, 1, 0]],
    [[1, 0, 0], [0, 1, 1]],
    [[0, 1, 0], [nan, nan, nan]],
    [[1, 0, 0], [nan, nan, nan]],
])
record = record.double() if library == "torch" else record
labels, lengths = array([1, 1]), array([4, 2])
late = LateSum(tau=1 / math.log(2))
lead = sl.Loss(late, Lead())
graded = sl.Loss(late, SquaredError(), Neighbours(width=1 / math.log(2)))
spread = sl.Loss(SumOverTime(), Spread())
objective = lead + 0.5 * graded + 0.25 * spread
known = {"lengths": lengths}


def in_stream(x):
    stream = objective.stream(labels, **known)
    for t in range(x.shape[0]):
        stream.step(x[t])
    return stream.value()


def in_chunks(x):
    stream = objective.stream(labels, **known)
    return stream.steps(x[:3]).steps(x[3:]).value()


def in_parts(x):
    one, two = (
        objective.parts(x[:, b], labels[b], lengths=lengths[b]) for b in (slice(0, 1), slice(1, 2))
    )
    return (one + two).value()


def refused(f):
    try:
        f()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def merged(readout):
    whole = record[:, :1]
    fold = sl.Loss(readout, Lead()).fold(labels[:1])
    one = fold.steps(fold.begin(whole[:1]), whole[:1])
    two = fold.steps(fold.begin(whole[1:], start=1), whole[1:])
    return float(fold.finish(fold.merge(one, two)))


def listed(x):
    return np.asarray(x).tolist()


short, only = record[:2, 1:], record[:, 1:]
gaps = array([[True], [False], [True], [True]])
without = array([0, 2, 3])
stream = objective.stream(labels, **known).steps(record)
events = Events(array([0.0]), array([0]), array([0]), shape=(4, 1, 3))
print(json.dumps({
    "decision": listed(late(record, **known)),
    "lead": listed(lead.replace(reduction=Each())(record, labels, **known)),
    "graded": listed(graded.replace(reduction=Each())(record, labels, **known)),
    "spread": listed(spread.replace(reduction=Each())(record, **known)),
    "ways": [
        graded_value(f, record)
        for f in (lambda x: objective(x, labels, **known), in_stream, in_chunks, in_parts)
    ],
    "cropped": graded_value(lambda x: objective(x, labels[1:]), short),
    "padded": graded_value(lambda x: objective(x, labels[1:], lengths=lengths[1:]), only),
    "gaps": [
        listed(late(record[:, :1], valid=gaps)), listed(late(record[without][:, :1]))
    ],
    "predict": [listed(objective.predict(record, **known)), listed(stream.predict())],
    "accuracy": float(sl.metrics.accuracy(late, record, labels, **known)),
    "anytime": listed(sl.metrics.anytime_accuracy(objective, record[:2], labels)),
    "weighted": float(lead(record, labels, class_weight=array([1.0, 3.0, 1.0]), **known)),
    "merged": merged(JoinedSum(tau=late.tau)),
    "merge": refused(lambda: merged(late)),
    "events": refused(lambda: late(events)),
    "option": refused(lambda: LateSum(tau=-1)),
    "name": refused(lambda: LateSum(tua=1.0)),
    "labels": refused(lambda: graded(record, array([0, 3]), **known)),
    "value": [
        pickle.loads(pickle.dumps(objective)) == objective,
        hash(lead) == hash(sl.Loss(LateSum(tau=1 / math.log(2)), Lead())),
        repr(Lead(margin=2)),
    ],
}))
"""

LIBRARIES = [
    name if find_spec(name) else pytest.param(name, marks=pytest.mark.skip(f"needs {name}"))
    for name in ("numpy", "torch", "jax")
]

# By hand: a spike counts half as much after each step, a class half as much as the one before.
Z = [[1.25, 0.5, 0.0], [0.0, 1.5, 1.0]]
LEAD = [1.75, 0.5]  # 1 - 0.5 + 1.25 and 1 - 1.5 + 1
GRADED = [[0.5625, 0.25, 0.25], [0.25, 0.25, 0.25]]  # (z - y)^2, y = 1/2, 1, 1/2
SPREAD = [2 / 3, 2 / 3]  # counts 2, 1, 0 and 0, 2, 1
VALUE = 1.125 + 0.5 * 1.8125 / 6 + 0.25 * 2 / 3
FADE = [[1 / 8, 1 / 4, 1 / 2, 1.0], [1 / 2, 1.0, 0.0, 0.0]]
HERE = [[1, 1, 1, 1], [1, 1, 0, 0]]
OF_LEAD = [[0.5, -0.5, 0.0], [0.0, -0.5, 0.5]]
OF_GRADED = [[0.25, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, 1 / 6]]  # 2 (z - y) / 6
OF_SPREAD = [[1 / 3, 0.0, -1 / 3], [-1 / 3, 1 / 3, 0.0]]  # 2 (count - mean) / 3 / 2
GRADIENT = [
    [
        [
            FADE[b][t] * (OF_LEAD[b][c] + 0.5 * OF_GRADED[b][c])
            + HERE[b][t] * 0.25 * OF_SPREAD[b][c]
            for c in range(3)
        ]
        for b in range(2)
    ]
    for t in range(4)
]


def near(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("library", LIBRARIES)
def test_stages_of_a_script(library: str, tmp_path: Path) -> None:
    (tmp_path / "stages.py").write_text(STAGES)
    (tmp_path / "use.py").write_text(USE)
    source = str(Path(spikeloss.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": source, "JAX_ENABLE_X64": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "use.py", library],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    near(found["decision"], Z)
    near(found["lead"], LEAD)
    near(found["graded"], GRADED)
    near(found["spread"], SPREAD)
    for value, gradient in found["ways"]:
        near(value, VALUE)
        assert (gradient is None) == (library == "numpy")
        if gradient is not None:
            near(gradient, GRADIENT)
    (value, cropped), (same_value, padded) = found["cropped"], found["padded"]
    near(value, 0.5 + 0.5 * 0.25 + 0.25 * 2 / 3)
    near(same_value, value)
    if library != "numpy":
        near(padded[:2], cropped)
        near(padded[2:], np.zeros((2, 1, 3)))
    near(found["gaps"][0], [[1.0, 0.5, 0.0]])  # without the spike of step 1
    near(found["gaps"][1], found["gaps"][0])
    assert found["predict"] == [[0, 1], [0, 1]]
    assert found["accuracy"] == 0.5
    assert found["anytime"] == [0.5, 0.5]
    near(found["weighted"], 3 * 1.125)
    near(found["merged"], LEAD[0])
    assert found["merge"] == (
        "TypeError: loss: expected a readout of which stretches of time can be joined, got "
        "LateSum. Read them one after the other, in one stream."
    )
    assert found["events"] == (
        "TypeError: record: expected a dense record, as LateSum reads every step, got events. "
        "Write events.dense()."
    )
    assert found["option"] == (
        "ValueError: tau: expected a finite number above 0, got -1. Choose tau > 0."
    )
    assert found["name"] == (
        "TypeError: tua: expected tau for LateSum, got another option. Write tau."
    )
    assert found["labels"] == (
        "ValueError: target: expected labels from 0 to 2, got 0 to 3. Use at least 4 classes."
    )
    assert found["value"] == [True, True, "Lead(margin=2)"]


def test_the_script_uses_public_names_alone() -> None:
    nodes = list(ast.walk(ast.parse(STAGES + USE)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert len(names) > 20
    assert [name for name in names if any(part[:1] == "_" for part in name.split("."))] == []
