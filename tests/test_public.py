"""What every public name must have, and what may import what.

A new readout, criterion, target, reduction or preset without a case, an oracle, a formula or an
example fails here.
"""

import ast
import doctest
import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
import oracles
import pytest
from cases import CASES, ELSEWHERE, TOTALS, Case, case
from libraries import TORCH

import spikeloss
from spikeloss import (
    Loss,
    Total,
    criteria,
    extend,
    loss,
    penalties,
    presets,
    readouts,
    reductions,
    targets,
)
from spikeloss._once import once
from spikeloss._piece import Dense
from spikeloss.criteria import Criterion
from spikeloss.presets import Preset, catalogue
from spikeloss.readouts import Readout
from spikeloss.reductions import Reduction
from spikeloss.targets import Target

SOURCE = Path(spikeloss.__file__).parent
STAGES: dict[ModuleType, type] = {
    readouts: Readout,
    criteria: Criterion,
    targets: Target,
    reductions: Reduction,
}
# What stages are made of: no objectives, so without a case or an oracle.
PARTS = {
    "Readout",
    "Reading",
    "Outline",
    "Summary",
    "Criterion",
    "Weighed",
    "Penalty",
    "of",
    "of_label",
    "Target",
    "Reduction",
    "Preset",
    "Options",
    "Unweighed",
    "catalogue",
    "preset",
}


def public(module: ModuleType) -> list[Any]:
    """The classes and functions that a module defines for others."""
    return [
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


def named(value: Any) -> str:
    return f"{value.__module__.rpartition('.')[2]}.{value.__name__}"


OTHERS = set().union(*ELSEWHERE.values())
STAGE_TYPES = [kind for module in STAGES for kind in public(module) if kind.__name__ not in PARTS]
PRESETS = [build for build in public(presets) if build.__name__ not in PARTS]
PENALTIES = [build for build in public(penalties) if build.__name__ not in PARTS]
LOSSES = [kind for kind in public(loss) if kind.__name__ not in PARTS]


def parts(stage: Any) -> Iterator[Any]:
    """A stage and those inside it."""
    yield stage
    if hasattr(stage, "of"):
        yield from parts(stage.of)


USED = [
    part
    for row in CASES
    for stage in (row.loss.readout, row.loss.criterion, row.loss.target, row.loss.reduction)
    for part in parts(stage)
]

# An equation, a power, a sum, a logarithm, a call, or a symbol of the module ("y as it is").
FORMULA = re.compile(r"=|\^|\bsum|\blog |^[a-z]( |_)|\w\(")


def first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").partition("\n")[0]


# Names


def test_names_are_found() -> None:
    assert len(STAGE_TYPES) >= 20
    assert len(PRESETS) >= 8
    assert [Loss, Total] == LOSSES
    everything = {value.__name__ for module in (*STAGES, presets, loss) for value in public(module)}
    assert everything >= PARTS


@pytest.mark.parametrize("kind", STAGE_TYPES, ids=named)
def test_stage_is_complete(kind: type) -> None:
    base = STAGES[sys.modules[kind.__module__]]
    assert issubclass(kind, base), "a stage of this module, or a name that wants an underscore"
    known = kind.__name__ in OTHERS or any(type(part) is kind for part in USED)
    assert known, "no case in tests/cases.py"
    oracle = {
        readouts: set(oracles.READOUTS),
        criteria: set(oracles.CRITERIA),
        targets: {*oracles.TARGETS, "Given", "GivenTime"},
        reductions: {"Mean", "Sum", "Each"},
    }[sys.modules[kind.__module__]]
    assert kind.__name__ in oracle | OTHERS, "no oracle in tests/oracles.py"
    assert FORMULA.search(first_line(kind)), "no formula in the first line of the docstring"
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(kind) or "")
    assert any(example.want for example in examples), "no doctest with a result"


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        pytest.param(kind, field, id=f"{named(kind)}.{field.name}")
        for kind in STAGE_TYPES
        if kind.__name__ not in OTHERS
        for field in fields(kind)
        if field.name not in OTHERS
    ],
)
def test_option_has_a_case(kind: type, option: Any) -> None:
    values = [getattr(part, option.name) for part in USED if type(part) is kind]
    assert any(value != option.default for value in values), "no case in tests/cases.py"


@pytest.mark.parametrize("file", ELSEWHERE)
def test_what_has_no_row_is_tested_elsewhere(file: str) -> None:
    text = Path(__file__).with_name(file).read_text()
    assert [name for name in ELSEWHERE[file] if not re.search(rf"\b{name}\b", text)] == []


ROWS = [build for build in PRESETS if build.__name__ not in OTHERS]


@pytest.mark.parametrize("build", ROWS, ids=named)
def test_preset_is_complete(build: Callable[..., Loss]) -> None:
    name = build.__name__
    rows = [dict(row.preset[1]) for row in CASES if row.preset and row.preset[0] == name]
    assert rows, "no case in tests/cases.py"
    assert name in oracles.PRESETS, "no oracle in tests/oracles.py"
    options = [
        option
        for option, parameter in inspect.signature(inspect.unwrap(build)).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    missing = [option for option in options if not any(option in row for row in rows)]
    assert not missing, "no case in tests/cases.py"


def test_every_preset_is_in_the_catalogue() -> None:
    assert {build.__name__ for build in PRESETS} == set(catalogue())
    assert {build.__name__ for build in PENALTIES} == set(penalties.catalogue())
    assert not set(catalogue()) & set(penalties.catalogue())


ENTRIES = [(presets, entry) for entry in catalogue().values()]
ENTRIES += [(penalties, entry) for entry in penalties.catalogue().values()]


@pytest.mark.parametrize(("module", "preset"), ENTRIES, ids=lambda x: getattr(x, "name", ""))
def test_catalogue_is_complete(module: ModuleType, preset: Preset) -> None:
    assert getattr(module, preset.name) is preset.build
    assert isinstance(preset.build(), Loss | Total)
    assert preset.build().main.criterion.targetless == (module is penalties)
    assert preset.reads == preset.build().main.reads
    assert preset.source
    assert preset.decides
    assert FORMULA.search(preset.formula)
    assert preset.summary.endswith(".")
    assert "\n" not in preset.formula + preset.summary


@pytest.mark.parametrize(("module", "preset"), ENTRIES, ids=lambda x: getattr(x, "name", ""))
def test_every_option_is_in_the_help(module: ModuleType, preset: Preset) -> None:
    shown = inspect.signature(preset.build).parameters
    text = inspect.getdoc(preset.build) or ""
    for name, default in preset.options.items():
        assert shown[name].default == default
    assert {parameter.kind.name for parameter in shown.values()} == {"KEYWORD_ONLY"}
    unsaid = [name for name in shown if not re.search(rf"`{name}`|\b{name}=|\b{name}: ", text)]
    assert unsaid == []


@pytest.mark.parametrize("kind", LOSSES, ids=named)
def test_loss_is_complete(kind: type) -> None:
    assert FORMULA.search(first_line(kind)), "no formula in the first line of the docstring"
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(kind) or "")
    assert any(example.want for example in examples), "no doctest with a result"
    assert TOTALS


@pytest.mark.parametrize(
    "option", [field.name for field in fields(Loss) if field.name not in OTHERS]
)
def test_option_of_loss_has_a_case(option: str) -> None:
    assert len({getattr(row.loss, option) for row in CASES}) > 1


@pytest.mark.parametrize(
    "module", [*STAGES, presets, penalties, loss], ids=lambda module: module.__name__
)
def test_everything_public_is_documented(module: ModuleType) -> None:
    assert inspect.getdoc(module)
    assert [named(value) for value in public(module) if not value.__doc__] == []


def test_cases_are_distinct() -> None:
    names = [row.name for row in CASES]
    assert sorted(set(names)) == sorted(names)
    assert len({(row.loss, row.record, row.target) for row in CASES}) > 0.9 * len(CASES)


# Shapes: what the annotations say, on a real call


def sizes(row: Case, fixture: str) -> dict[str, tuple[int, ...]]:
    """The axes that a symbol stands for; S stands for none, or for what the readout keeps."""
    record = row.record_of(fixture)
    steps, *batch, neurons = (1, *record.shape) if row.timeless else record.shape
    keeps = {"time": (steps,), "spikes": (row.count or 0,), None: ()}
    return {
        "T": (steps,),
        "*B": tuple(batch),
        "N": (neurons,),
        "C": (row.classes(fixture),),
        "F": (row.count or 0,),
        "S": keeps[row.loss.readout.keeps],
    }


def shapes(text: str, known: dict[str, tuple[int, ...]]) -> set[tuple[int, ...]]:
    """The shapes that an annotation such as "() | *B | S *B C" allows."""
    allowed = set()
    for choice in text.split("|"):
        words = [] if choice.strip() == "()" else choice.split()
        axes = [known.get(word, ()) if not word.isdigit() else (int(word),) for word in words]
        assert all(word in known or word.isdigit() for word in words), f"unknown axis in {text!r}"
        allowed.add(sum(axes, ()))
    return allowed


def hinted(hint: Any) -> str | None:
    """The shape in an annotation, Annotated[..., "*B C"] or a union with one."""
    if get_origin(hint) is Annotated:
        return str(get_args(hint)[1])
    found = [text for text in map(hinted, get_args(hint)) if text]
    return found[0] if found else None


def wrong_shapes(
    where: str, hints: dict[str, Any], values: dict[str, Any], known: dict[str, tuple[int, ...]]
) -> tuple[list[str], int]:
    """What is not as annotated, and how many arrays were looked at; fields of tuples count too."""
    wrong, seen = [], 0
    for name, value in values.items():
        text = hinted(hints.get(name))
        if text is not None and hasattr(value, "shape"):
            seen += 1
            loose = known
            # Labels of samples serve readouts that keep time; a timeless record has no time axis.
            if text == "S *B" or (name == "record" and known["T"] == (1,)):
                loose = known | {"S": (), "T": ()}
            if tuple(value.shape) not in shapes(text, known) | shapes(text, loose):
                wrong.append(f"{where}.{name}: expected {text}, got {tuple(value.shape)}, {known}")
        elif isinstance(value, tuple) and hasattr(value, "_asdict"):
            kind = type(value)
            inner = get_type_hints(kind, include_extras=True)
            found, more = wrong_shapes(kind.__name__, inner, value._asdict(), known)
            wrong, seen = wrong + found, seen + more
        elif isinstance(value, Dense):
            hints_of = {
                each: get_type_hints(getattr(part, "of", None) or part.fget, include_extras=True)[
                    "return"
                ]
                for each, part in vars(Dense).items()
                if isinstance(part, (property, once)) and not each.startswith("_")
            }
            parts = {each: getattr(value, each) for each in hints_of}
            found, more = wrong_shapes("Dense", hints_of, parts, known)
            wrong, seen = wrong + found, seen + more
        elif (
            isinstance(value, tuple)
            and get_origin(hints.get(name)) is tuple
            and Ellipsis not in get_args(hints[name])
        ):
            names = [f"{name}[{i}]" for i in range(len(value))]
            inner = dict(zip(names, get_args(hints[name]), strict=True))
            found, more = wrong_shapes(where, inner, dict(zip(names, value, strict=True)), known)
            wrong, seen = wrong + found, seen + more
    return wrong, seen


METHODS = (
    "read",
    "reading",
    "evidence",
    "encode",
    "elements",
    "each",
    "reduce",
    "__call__",
    "predict",
)


@pytest.mark.parametrize("row", CASES, ids=str)
def test_shapes_are_as_annotated(row: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: list[str] = []
    seen = 0
    known = sizes(row, "random")

    def watched(kind: type, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(method, include_extras=True)
        signature = inspect.signature(method)

        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            result = method(self, *args, **kwargs)
            if kind is Loss or self in inside:
                values = dict(signature.bind(self, *args, **kwargs).arguments)
                values |= {"return": result, **values.pop("layout", {})}
                found, more = wrong_shapes(f"{kind.__name__}.{name}", hints, values, known)
                wrong.extend(found)
                seen += more
            return result

        return call

    loss = row.loss
    inside = [loss.readout, loss.criterion, loss.target, loss.reduction]
    for kind in {base for part in (*inside, loss) for base in type(part).__mro__[:-1]}:
        for name in METHODS:
            if name in vars(kind) and not getattr(vars(kind)[name], "__isabstractmethod__", False):
                monkeypatch.setattr(kind, name, watched(kind, name, vars(kind)[name]))
    x, y = TORCH.array(row.record_of()), TORCH.array(row.target_of())
    layouts = [{}] if row.timeless else [{}, {"lengths": TORCH.array(row.lengths)}]
    for layout in layouts:
        loss(x, y, **layout)
        loss.predict(x, **layout)
        loss.readout(x, **layout)
    assert not wrong
    assert seen >= 10


def test_a_wrong_shape_is_seen() -> None:
    row = case("EveryStep")
    known = sizes(row, "random")
    assert shapes("S *B C", known) == {(7, 5, 6)}
    assert shapes("() | *B | *B 1", known) == {(), (5,), (5, 1)}
    hints = get_type_hints(readouts.EveryStep.read, include_extras=True)
    x = np.zeros((7, 5, 6))
    piece = Dense(x, x.dtype, lengths=np.full((5, 1), 4))
    right = {"piece": piece, "return": (x, ())}
    found, seen = wrong_shapes("EveryStep.read", hints, right, known)
    assert not found
    assert seen == 7  # both parts of what is returned, raw, x, valid, held and end
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"return": (x[0], ())}, 1),
        ({"piece": piece.replaced(source=np.zeros((5, 7, 6)), lengths=None)}, 1),
    ]
    for values, least in wrong:
        found, _ = wrong_shapes("EveryStep.read", hints, values, known)
        assert len(found) >= least


# Imports

LIBRARIES = {
    *("torch", "jax", "jaxlib", "numpy", "ml_dtypes", "brainpy"),
    *("array_api_compat", "array_api_strict"),
}
ALLOWED = {
    "_backend",
    "_kernels",
    "compat",
    "lab",
    "cli.py",
    "torch_metrics.py",
    "synapses.py",
    "testing",
}  # the mathematics is written without them


def imported(path: Path) -> set[str]:
    """The packages that a file imports anywhere in it."""
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots.add((node.module or "").partition(".")[0])
    return roots


def test_only_the_backend_knows_the_libraries() -> None:
    files = [
        path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in ALLOWED
    ]
    assert {"_times.py", "_classes.py", "_target.py", "loss.py"} <= {path.name for path in files}
    assert {
        path.name: imported(path) & LIBRARIES for path in files if imported(path) & LIBRARIES
    } == {}
    known = {
        "__init__": set(),
        "_base": set(),
        "_numpy_like": set(),
        "_numpy": {"array_api_compat"},
        "_torch": {"torch", "array_api_compat"},
        "_torch_functions": {"torch"},
        "_torch_ranks": {"torch"},
        "_jax": {"jax"},
        "_strict": {"array_api_strict", "numpy"},
    }
    found = {path.stem: path for path in (SOURCE / "_backend").glob("*.py")}
    assert {name: imported(path) & LIBRARIES for name, path in found.items()} == known


def test_of_the_kernels_only_what_binds_them_knows_a_library() -> None:
    for path in (SOURCE / "_kernels").glob("*.py"):
        library = path.stem.split("_")[1] if path.stem.startswith("_") else ""
        own = {library, "numpy"} if library in ("torch", "jax", "numpy") else set()
        assert imported(path) & LIBRARIES <= own, path.name


# The imports of the package among themselves


def modules(source: Path) -> dict[str, Path]:
    """The files of a package by the names of their modules."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, known: dict[str, Path]) -> Iterator[tuple[str, str | None]]:
    """The modules of its package that a module imports, anywhere in it, and the names from them."""
    package = module if known[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(known[module].read_text())):
        found: list[tuple[str, str | None]] = []
        if isinstance(node, ast.Import):
            found = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")
            above = up[: len(up) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module or ""]).strip(".")
            found = [(base, alias.name) for alias in node.names]
        for base, name in found:
            if f"{base}.{name}" in known:
                yield f"{base}.{name}", None
            elif base in known:
                yield base, name


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle in a graph of imports; none, if there is none."""
    done: set[str] = set()

    def follow(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph[module]):
            if found := follow(other, [*path, module]):
                return found
        done.add(module)
        return []

    return next(filter(None, (follow(module, []) for module in graph)), [])


def import_graph(source: Path) -> dict[str, set[str]]:
    known = modules(source)
    return {module: {other for other, _ in imports(module, known)} for module in known}


def private_imports(source: Path) -> dict[str, set[str]]:
    """What files of stages import that a stage of one's own could not."""
    known, wrong = modules(source), {}
    for module, path in known.items():
        where = path.relative_to(source)
        if where.parts[0] not in WRITTEN_WITH_PUBLIC_NAMES:
            continue
        own = f"{source.name}.{where.parts[0]}." if len(where.parts) > 1 else "."
        found = {
            ".".join(filter(None, names))
            for names in imports(module, known)
            if not f"{names[0]}.".startswith(own)
            and any(each.startswith("_") for each in ".".join(filter(None, names)).split("."))
        }
        if found:
            wrong[str(where)] = found
    return wrong


WRITTEN_WITH_PUBLIC_NAMES = {
    *("readouts", "criteria", "targets", "presets"),
    *("reductions.py", "penalties.py"),
}


def test_stages_are_written_with_public_names() -> None:
    assert private_imports(SOURCE) == {}
    assert {path.relative_to(SOURCE).parts[0] for path in modules(SOURCE).values()} >= (
        WRITTEN_WITH_PUBLIC_NAMES
    )


def test_imports_go_in_no_circle() -> None:
    graph = import_graph(SOURCE)
    assert circle(graph) == []
    assert len(graph) > 100
    assert graph["spikeloss.criteria._base"] == {"spikeloss.extend", "spikeloss.readouts"}
    assert not any(name.startswith("spikeloss.readouts") for name in graph["spikeloss.extend"])


def test_wrong_imports_are_seen(tmp_path: Path) -> None:
    files = {
        "__init__": "",
        "_door": "def f():\n    from . import penalties",
        "extend": "from ._door import refuse",
        "penalties": "from .extend import refuse\nfrom ._door import said\nfrom . import _door",
        "readouts/__init__": "from ._base import Readout\nfrom spikeloss.penalties import _inner",
        "readouts/_base": "import spikeloss._door",
    }
    source = tmp_path / "spikeloss"
    for name, text in files.items():
        path = source / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert circle(import_graph(source)) == [
        "spikeloss._door",
        "spikeloss.penalties",
        "spikeloss._door",
    ]
    assert private_imports(source) == {
        "penalties.py": {"spikeloss._door", "spikeloss._door.said"},
        "readouts/__init__.py": {"spikeloss.penalties._inner"},
        "readouts/_base.py": {"spikeloss._door"},
    }


def test_every_name_of_extend_is_described_and_used() -> None:
    described = set(re.findall(r"\w+", inspect.getdoc(extend) or ""))
    used = {
        name
        for module, path in modules(SOURCE).items()
        if path.relative_to(SOURCE).parts[0] in WRITTEN_WITH_PUBLIC_NAMES
        for other, name in imports(module, modules(SOURCE))
        if other == "spikeloss.extend"
    }
    assert set(extend.__all__) - described == set()
    assert set(extend.__all__) == used
