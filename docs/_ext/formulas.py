"""Formulas of docstrings, which a terminal shows as they are, typeset as MathML.

    mean_t (s_t,c - r_c)^2, r = on for the right class

becomes LaTeX, and that MathML, which browsers draw without a script; the first is kept as its
alternative text. What stands between spaces outside of brackets is a piece of its own, a word or
mathematics, so that lines break between pieces.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

GREEK = ("alpha", "beta", "gamma", "pi", "tau")
LARGE = {"sum": r"\sum", "prod": r"\prod", "int": r"\int"}
FUNCTIONS = (
    *("log", "ln", "exp", "cosh", "sqrt", "max", "min", "mean", "softmax", "argmax"),
    *("KL", "cov", "TP", "FP", "FN"),
)
SIGNS = {"<=": r"\le ", ">=": r"\ge ", "!=": r"\ne ", "..": r"\ldots ", "*": r"\ast "}
SIGNS |= {"{": r"\{", "}": r"\}", "%": r"\%", " ": r"\,"}
TOKEN = re.compile(r"`[^`]*`|[A-Za-z]+|\d+(?:\.\d+)?|<=|>=|!=|\.\.|.")
SCRIPT = re.compile(r"([A-Za-z0-9]+(?:,[A-Za-z0-9]+)*)")
NAMED = re.compile(r"<mo>([A-Za-z]+)</mo>")
"""A function, which is no operator: those have room on both sides."""
CODE = "\N{MODIFIER LETTER GRAVE ACCENT}"
"""In place of a backtick, which would end a role."""


def pieces(formula: str) -> Iterator[tuple[bool, str]]:
    """Words, and pieces of mathematics in LaTeX; which of both, and in their order."""
    chunks = list(_chunks(formula))
    for chunk, following in zip(chunks, [*chunks[1:], ""], strict=True):
        bare = chunk.strip(",;:.")
        spoken = is_word(bare) or (bare == "a" and is_word(following.strip(",;:.")))
        yield (not spoken, chunk if spoken else latex(chunk))


def is_word(chunk: str) -> bool:
    """Whether it is read as a word, or an option as one writes it."""
    option = re.fullmatch(r'[a-z]\w+=[\w"]+|`\w+`', chunk) is not None
    known = (*GREEK, *LARGE, *FUNCTIONS)
    return option or (re.fullmatch(r"[A-Za-z][A-Za-z-]+", chunk) is not None and chunk not in known)


def _chunks(formula: str) -> Iterator[str]:
    """What stands between spaces outside of brackets."""
    depth, start = 0, 0
    for place, sign in enumerate(formula):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == " " and depth == 0:
            yield formula[start:place]
            start = place + 1
    yield formula[start:]


def latex(formula: str) -> str:
    """A piece of mathematics in LaTeX."""
    return _sequence(formula, 0)[0]


def _sequence(text: str, place: int, end: str = "") -> tuple[str, int]:
    """What stands from a place to a bracket that closes, and where it ends."""
    made = ""
    while place < len(text):
        token = TOKEN.match(text, place)
        assert token
        if token[0] == end:
            return made, token.end()
        if token[0] in "_^" and made:
            script, place = _script(text, token.end())
            if token[0] == "^" and text[place : place + 1] == "_":  # e^t_f: of the exponent
                index, place = _script(text, place + 1)
                script += f"_{{{index}}}"
            made += f"{token[0]}{{{script}}}"
            continue
        place = token.end()
        if token[0] in "([":
            inner, place = _sequence(text, place, ")" if token[0] == "(" else "]")
            made += f"{{{token[0]}{inner}{text[place - 1]}}}"
            continue
        made += _name(token[0]) if token[0][0].isalpha() else _sign(token[0])
    return made, place


def _script(text: str, place: int) -> tuple[str, int]:
    """A subscript or an exponent, without the brackets that hold it together."""
    inner = ""
    if text[place] == "-":
        inner, place = "-", place + 1
    if text[place] == "(":
        found, place = _sequence(text, place + 1, ")")
        inner += found
    letters = SCRIPT.match(text, place)
    if letters is None:
        return inner, place
    for name in re.split("(,)", letters[0]):
        short = len(name) < 4 and name not in GREEK
        inner += name if short else _name(name)
    return inner, letters.end()


def _name(name: str) -> str:
    if name in GREEK:
        return f"\\{name} "
    if name in LARGE:
        return LARGE[name]
    if name in FUNCTIONS:
        return rf"\operatorname{{{name}}}"
    return name if len(name) == 1 else rf"\text{{{name}}}"


def _sign(sign: str) -> str:
    return rf"\text{{{sign[1:-1]}}}" if sign[0] == "`" else SIGNS.get(sign, sign)


def html(formula: str) -> str:
    """The formula as words and MathML."""
    made = []
    for is_math, piece in pieces(formula):
        if is_math:
            made.append(NAMED.sub(r"<mi>\1</mi>", convert(piece, display="inline")))
        else:
            made.append(re.sub(r"`(\w+)`", r"<code>\1</code>", escape(piece, quote=False)))
    return f'<span class="formula" title="{escape(formula)}">{" ".join(made)}</span>'


def role(formula: str) -> str:
    """The role that shows a formula."""
    return f":formula:`{formula.replace('`', CODE)}`"


def leading(line: str) -> tuple[str, str]:
    """The formula that a docstring begins with, or nothing, and what follows it."""
    depth = 0
    for place, sign in enumerate(line):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and line[place : place + 2] == ": ":
            break
    else:
        place = len(line.rstrip().rstrip("."))
    formula = line[:place]
    prose = re.match(r"[A-Z][a-z]* [a-z]{2,}", formula)
    is_one = not prose and re.search(r"[=^/|]|\w_\w|^sum ", formula)
    return (formula, line[place:]) if is_one else ("", line)


def _formula(name: str, rawtext: str, text: str, *_: Any, **options: Any) -> tuple[Any, list[Any]]:
    formula = nodes.unescape(text).replace(CODE, "`")
    return [nodes.raw("", html(formula), format="html")], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the role."""
    app.add_role("formula", _formula)
    return {"parallel_read_safe": True}
