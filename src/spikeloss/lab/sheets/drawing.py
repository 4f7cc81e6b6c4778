"""The picture of a sheet, as SVG: for a phone's width, and for pages of either colour.

Every cell is a neuron at a step. Its bar goes up, in blue, where more of it would lower the loss,
and down, in orange, where less would: so the sign is read without the colour. A bar has one of five
heights, each for ten times the gradient, the same in every picture.
"""

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Protocol

import numpy as np

from .examples import Floats
from .moves import Curve
from .slopes import LEAST, View
from .words import number


class Shown(Protocol):
    """What is drawn of a sheet."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def views(self) -> tuple[View, ...]: ...
    @property
    def curves(self) -> tuple[Curve, ...]: ...
    @property
    def rights(self) -> tuple[int | None, ...]: ...
    @property
    def facts(self) -> dict[str, str]: ...


WIDTH, GAP, MARK, EDGE = 360, 12, 9, 2
WIDE = (WIDTH - GAP) / 2 - MARK - EDGE
ROW, TITLE, PLOT = 17, 14, 62
EDGES = (LEAST, 1e-3, 1e-2, 1e-1, 1.0)
"""Where a height of the bars begins."""
COLUMNS, ROWS = 84, 8
"""Steps and neurons that are drawn of a record at most."""
COLOURS = {
    "light": {"paper": "#ffffff", "ink": "#1d2330", "soft": "#596273", "faint": "#c9ced8",
              "more": "#0072B2", "less": "#D55E00"},
    "dark": {"paper": "#131416", "ink": "#e6e9ef", "soft": "#9aa4b5", "faint": "#414855",
             "more": "#56B4E9", "less": "#F0883E"},
}  # fmt: skip
"""Blue and orange of Okabe and Ito, which colour-blind readers can tell apart."""


def rules(theme: str, within: str = "svg.atlas") -> str:
    """The style of the pictures on pages of a theme."""
    lines = []
    for name, colour in COLOURS[theme].items():
        lines += [f"{within} .{name}{{fill:{colour}}}", f"{within} .{name}-line{{stroke:{colour}}}"]
    return "".join(lines)


STYLE = (
    rules("light")
    + "@media (prefers-color-scheme:dark){"
    + rules("dark")
    + "}"
    + "svg.atlas text{font:10px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    + "svg.atlas path,svg.atlas polyline{fill:none}"
)


def svg(sheet: Shown) -> str:
    """The picture."""
    parts, y = list(_legend(sheet)), 52.0
    scale = _scale(sheet)
    height = TITLE + ROW * max(len(_rows(view, None)) for view in sheet.views) + 8
    for index, (view, right) in enumerate(zip(sheet.views, sheet.rights, strict=True)):
        x = (index % 2) * (WIDTH + GAP) / 2 + MARK
        parts += _view(sheet, view, right, scale, x, y + index // 2 * height)
    y += -(-len(sheet.views) // 2) * height
    for index, curve in enumerate(sheet.curves):
        parts += _curve(curve, index * (WIDTH + GAP) / 2 + MARK, y + 4)
    if sheet.curves:
        parts += _names(sheet.curves[0], y + PLOT + 40)
        y += PLOT + 46
    title = escape(f"{sheet.name}: its gradient on records, and its value as one is moved")
    head = (
        f'<svg class="atlas" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:g}" '
        f'role="img"><title>{title}</title><style>{STYLE}</style>'
    )
    paper = _path(f"M0 0h{WIDTH}v{y:g}h-{WIDTH}z", "paper")
    return "\n".join([head, paper, *parts, "</svg>\n"])


def figure(sheet: Shown) -> str:
    """The picture with its facts, for a page."""
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in sheet.facts.items()
    )
    picture = svg(sheet)
    return f'<figure class="atlas" style="max-width:34rem">{picture}<dl>{facts}</dl></figure>'


def _text(x: float, y: float, text: str, style: str = "ink", anchor: str = "") -> str:
    at = f' text-anchor="{anchor}"' if anchor else ""
    fill = COLOURS["light"][style]
    return f'<text class="{style}" fill="{fill}" x="{x:g}" y="{y:g}"{at}>{escape(text)}</text>'


def _path(d: str, style: str, opacity: float = 1.0) -> str:
    faded = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
    return f'<path class="{style}" fill="{COLOURS["light"][style]}"{faded} d="{d}"/>'


def _stroke(d: str, style: str = "ink", width: float = 1.0, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    colour = COLOURS["light"][style]
    return (
        f'<path class="{style}-line" fill="none" stroke="{colour}" stroke-width="{width:g}"'
        f'{dashed} d="{d}"/>'
    )


TINY = 5e-7
"""What is 0 in a picture."""
THIN = 2.5
"""The width of a bar at least."""
OPACITY = (0.5, 0.62, 0.75, 0.88, 1.0)


def _bar(band: int) -> float:
    """The height of a bar, of half a row."""
    return (ROW / 2 - 0.5) * (band + 1) / len(EDGES)


def _legend(sheet: Shown) -> Iterator[str]:
    """What the bars mean, on one scale for all pictures."""
    for x, style, sign, said in (
        (MARK, "more", -1, "more would lower the loss"),
        (WIDTH / 2 + GAP / 2 + MARK, "less", 1, "less would lower it"),
    ):
        for band in range(len(EDGES)):
            d = f"M{x + 6 * band:g} 9.5h6v{sign * _bar(band):.2g}h-6z"
            yield _path(d, style, OPACITY[band])
        yield _text(x + 6 * len(EDGES) + 5, 13, said)
    yield _text(MARK, 28, "height: the gradient, below 0.001, 0.01, 0.1, 1, and above", "soft")
    symbol = {"spikes": "a stroke: a spike", "membrane": "a line: its membrane"}
    said = symbol.get(sheet.kind, "a line: its logit")
    right = ["▸ the right one"] if any(n is not None for n in sheet.rights) else []
    neurons = max(view.record.shape[1] for view in sheet.views)
    down = f"{'' if neurons <= ROWS else f'{ROWS} of {neurons} '}neurons down"
    down = down if sheet.kind == "logits" else f"steps across, {down}"
    yield _text(MARK, 42, " · ".join([said, down, *right]), "soft")


def _rows(view: View, right: int | None) -> list[int]:
    """The neurons that are drawn: all, or the right one and those of the largest gradients."""
    neurons = view.record.shape[1]
    if neurons <= ROWS:
        return list(range(neurons))
    weight = np.abs(view.gradient).sum(axis=0)
    order = [n for n in np.argsort(-weight, kind="stable").tolist() if n != right]
    kept = ([] if right is None else [right]) + order
    return sorted(kept[:ROWS])


def _binned(x: Floats) -> Floats:
    """In at most so many columns: of several steps the value that is furthest from 0."""
    if len(x) <= COLUMNS:
        return x
    groups = np.array_split(x, COLUMNS)
    return np.array([g[np.abs(g).argmax(axis=0), np.arange(g.shape[1])] for g in groups])


def _scale(sheet: Shown) -> tuple[float, float]:
    """The lowest and highest value of a row."""
    values = np.concatenate([view.record.ravel() for view in sheet.views])
    return min(float(values.min()), 0.0), max(float(values.max()), 1.0)


def _view(
    sheet: Shown, view: View, right: int | None, scale: tuple[float, float], x: float, y: float
) -> Iterator[str]:
    """A record, with the gradient laid over it."""
    yield _text(x, y + 10, view.name)
    yield _text(x + WIDE, y + 10, f"loss {number(view.loss, TINY)}", "soft", "end")
    rows, top = _rows(view, right), y + TITLE
    lines = "".join(f"M{x:g} {top + ROW * (i + 0.5):g}h{WIDE:g}" for i in range(len(rows)))
    yield _stroke(lines, "faint", 0.6)
    yield from _bars(_binned(view.gradient)[:, rows], x, top)
    shown = _binned(view.record)[:, rows]
    if sheet.kind == "spikes":
        yield _ticks(shown, x, top)
    else:
        yield _trace(shown, scale, x, top)
    if right in rows:
        middle = top + ROW * (rows.index(right) + 0.5)
        yield _path(f"M{x - 7:g} {middle - 3.5:g}l5 3.5l-5 3.5z", "ink")


def _bars(gradient: Floats, x: float, top: float) -> Iterator[str]:
    """A path for each height and sign; cells beside each other that are alike are one."""
    wide = WIDE / len(gradient)
    band = np.digitize(np.abs(gradient), EDGES) * np.sign(gradient).astype(int)
    paths: dict[int, list[str]] = {}
    for row in range(gradient.shape[1]):
        cells = band[:, row]
        starts = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist(), len(cells)]
        for first, last in pairwise(starts):
            if cells[first]:
                at, high = x + wide * first, np.sign(cells[first]) * _bar(abs(cells[first]) - 1)
                middle, across = top + ROW * (row + 0.5), wide * (last - first)
                across = max(across, THIN)
                d = f"M{at:.1f} {middle:g}h{across:.1f}v{high:.2f}h-{across:.1f}z"
                paths.setdefault(int(cells[first]), []).append(d)
    for key in sorted(paths):
        style = "less" if key > 0 else "more"
        yield _path("".join(paths[key]), style, OPACITY[abs(key) - 1])


def _ticks(spikes: Floats, x: float, top: float) -> str:
    wide = WIDE / len(spikes)
    d = [
        f"M{x + wide * (step + 0.5):.1f} {top + ROW * row + 4:g}v{ROW - 8}"
        for step, row in np.argwhere(spikes).tolist()
    ]
    return _stroke("".join(d), "ink", min(1.6, 0.7 * wide))


def _trace(values: Floats, scale: tuple[float, float], x: float, top: float) -> str:
    """A line for each neuron, in the scale of all records of the sheet."""
    wide, (low, high) = WIDE / len(values), scale
    lines = []
    for row in range(values.shape[1]):
        up = (values[:, row] - low) / (high - low)
        y = top + ROW * (row + 1) - 1.5 - up * (ROW - 3)
        if len(y) == 1:
            lines.append(f"M{x:g} {y[0]:.1f}h{WIDE:g}")
            continue
        points = [f"{x + wide * (step + 0.5):.1f} {at:.1f}" for step, at in enumerate(y)]
        lines.append("M" + "L".join(points))
    return _stroke("".join(lines), "ink", 1.1)


DASHES = ("", "3 2")
AXIS = 30
"""Room for the numbers beside a curve."""


def _names(curve: Curve, y: float) -> Iterator[str]:
    """Which line is which neuron."""
    for index, name in enumerate(curve.lines):
        x = MARK + index * (WIDTH + GAP) / 2
        yield _stroke(f"M{x:g} {y - 3.5:g}h18", "ink", 1.3, DASHES[index])
        yield _text(x + 23, y, name, "soft")


def _curve(curve: Curve, x: float, y: float) -> Iterator[str]:
    """The loss as a record is moved, a line for each neuron."""
    yield _text(x, y + 10, curve.title)
    top, left, wide, high = y + 18, x + AXIS, WIDE - AXIS, PLOT - 6
    low, most = _range(curve)
    flat = low == most
    low, most = (low - 1, most + 1) if flat else (low, most)
    first, last = float(curve.at[0]), float(curve.at[-1])

    def place(at: float, value: float) -> str:
        across, up = (at - first) / (last - first or 1), (value - low) / (most - low)
        return f"{left + wide * across:.1f} {top + high * (1 - up):.1f}"

    yield _stroke(f"M{left:g} {top:g}v{high:g}h{wide:g}", "faint", 0.8)
    for value, up in ((low, 0.0), (most, 1.0)) if not flat else ((low + 1, 0.5),):
        yield _text(left - 3, top + high * (1 - up) + 3.5, number(value, TINY, 2), "soft", "end")
    for at, where, anchor in ((first, left, "start"), (last, left + wide, "end")):
        yield _text(where, top + high + 11, f"{at:g}", "soft", anchor)
    yield _text(left + wide / 2, top + high + 11, curve.label, "soft", "middle")
    for index, (name, line) in enumerate(curve.lines.items()):
        dotted = curve.marked.get(name, np.zeros(len(line), bool)) & np.isfinite(line)
        drawn = np.isfinite(line) & ~dotted
        points = [place(*each) for each in zip(curve.at[drawn], line[drawn], strict=True)]
        yield _stroke(f"M{'L'.join(points)}" if points else "", "ink", 1.3, DASHES[index])
        dots = [place(*each) for each in zip(curve.at[dotted], line[dotted], strict=True)]
        around = "".join(f"M{point}m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0" for point in dots)
        if dots:
            yield _stroke(around, "ink", 1) if index else _path(around, "ink")


def _range(curve: Curve) -> tuple[float, float]:
    """The lowest and highest value of the lines; one value where they differ by rounding."""
    values = np.concatenate(list(curve.lines.values()))
    values = values[np.isfinite(values)]
    low, most = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return (low, low) if most - low <= 1e-9 * max(1.0, abs(most)) else (low, most)
