"""Formulas of the pages: typeset from what a docstring says, of which nothing is lost."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spikeloss import (
    criteria,
    distances,
    metrics,
    penalties,
    presets,
    readouts,
    reductions,
    targets,
)


def extension() -> ModuleType:
    place = Path(__file__).parents[1] / "docs" / "_ext" / "formulas.py"
    spec = importlib.util.spec_from_file_location("formulas", place)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pytest.importorskip("latex2mathml")
pytest.importorskip("sphinx")
EXT = extension()
GALLERY = {**presets.catalogue(), **penalties.catalogue()}
STAGES: dict[str, Any] = {
    f"{module.__name__}.{name}": EXT.leading(inspect.getdoc(found).splitlines()[0])[0]
    for module in (readouts, criteria, targets, reductions, distances, metrics)
    for name, found in vars(module).items()
    if (inspect.isclass(found) or inspect.isfunction(found)) and name[0] != "_"
    if found.__module__.startswith("spikeloss") and found.__doc__
}
FORMULAS = {name: preset.formula for name, preset in GALLERY.items()} | {
    name: formula for name, formula in STAGES.items() if formula
}


def signs(text: str) -> str:
    """Letters, digits and the signs that are not there to hold something together."""
    return re.sub(r"[\s`(){}_^]", "", text)


def said(latex: str) -> str:
    """What a piece of LaTeX says, in signs of a terminal."""
    for sign, other in {r"\le ": "<=", r"\ge ": ">=", r"\ne ": "!=", r"\ldots ": ".."}.items():
        latex = latex.replace(sign, other)
    latex = latex.replace(r"\ast ", "*").replace(r"\,", "")
    return re.sub(r"\\(operatorname|text)?", "", latex)


@pytest.mark.parametrize("name", FORMULAS)
def test_nothing_is_lost(name: str) -> None:
    formula = FORMULAS[name]
    pieces = [said(piece) if is_math else piece for is_math, piece in EXT.pieces(formula)]
    assert signs("".join(pieces)) == signs(formula)


def test_formulas_are_found() -> None:
    assert len(GALLERY) > 50
    assert len(FORMULAS) > len(GALLERY) + 50
    assert STAGES["spikeloss.readouts.LastStep"] == "z = x_(n-1)"
    assert not STAGES["spikeloss.readouts.Readout"]


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        ("x_t", "x_{t}"),
        ("s_t,c", "s_{t,c}"),
        ("u_(n-1)", "u_{n-1}"),
        ("u_(t-1)bi", "u_{t-1bi}"),
        ("e^-a", "e^{-a}"),
        ("-e^t_f + 1", r"-e^{t_{f}}\,+\,1"),
        ("tau_e", r"\tau _{e}"),
        ("(a_b)^2", "{(a_{b})}^{2}"),
        ("sum_(c != y)", r"\sum_{c\,\ne \,y}"),
        ("P_label", r"P_{\text{label}}"),
        ("softmax(z)_y", r"\operatorname{softmax}{(z)}_{y}"),
        ("f(`gamma`)", r"f{(\text{gamma})}"),
    ],
)
def test_latex(formula: str, latex: str) -> None:
    assert EXT.latex(formula) == latex


def test_words_and_mathematics() -> None:
    found = list(EXT.pieces("mean over c of -log x, t the first spike; with code=2 a record"))
    words = [piece for is_math, piece in found if not is_math]
    assert words == ["over", "of", "the", "first", "spike;", "with", "code=2", "a", "record"]


def test_mathml() -> None:
    found = EXT.html("p = max_t u_t, q < `gamma`")
    assert found.startswith('<span class="formula" title="p = max_t u_t, q &lt; `gamma`">')
    assert "<code>gamma</code>" in found
    assert "<msub><mi>u</mi><mrow><mi>t</mi></mrow></msub>" in found
    assert "<mi>max</mi>" in found  # an operator would have room on both sides
    assert sys.modules.get("latex2mathml") is not None
