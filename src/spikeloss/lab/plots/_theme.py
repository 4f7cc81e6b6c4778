"""The look that all pictures share."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure


class Theme(NamedTuple):
    """The colours of a picture."""

    paper: str
    ink: str
    faint: str
    lines: tuple[str, ...]


# Okabe and Ito's palette, which colour-blind readers can tell apart; its yellow is too pale here.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LIGHT = Theme("#ffffff", "#1d2330", "#c9ced8", (*PALETTE, "#1d2330"))
DARK = Theme("#171a21", "#e6e9ef", "#414855", ("#4c83f0", *PALETTE[1:], "#e6e9ef"))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STROKES = ("-", "--", ":", "-.")


def colour(index: int, theme: Theme) -> str:
    """The colour of the objective at `index`, the same in every picture."""
    return theme.lines[index % len(theme.lines)]


def line(index: int, theme: Theme) -> dict[str, Any]:
    """Colour, marker and stroke of the objective at `index`."""
    return {
        "color": colour(index, theme),
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": STROKES[index // len(theme.lines) % len(STROKES)],
    }


def lined(names: Sequence[str], theme: Theme) -> tuple[Figure, Axes]:
    """A figure with room for a legend of these names below its axes."""
    height = 4.4 + 0.22 * -(-len(names) // _columns(names))
    figure = Figure(figsize=(5.4, height), facecolor=theme.paper, layout="constrained")
    return figure, figure.add_subplot()


def legend(figure: Figure, theme: Theme) -> None:
    """The names of the lines, below the axes; nothing in them is mathematics."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    made = figure.legend(
        handles, [cut(name, LONGEST) for name in names], loc="outside lower center",
        ncols=_columns(names), frameon=False, fontsize=11, labelcolor=theme.ink,
    )  # fmt: skip
    for text in made.get_texts():
        text.set_parse_math(False)


LONGEST = 50
"""Characters of a name that a legend has room for; of two beside each other 22."""


def _columns(names: Sequence[str]) -> int:
    return 2 if max(map(len, names)) <= 22 else 1


def cut(name: str, most: int) -> str:
    """A name in so many characters."""
    return name if len(name) <= most else f"{name[: most - 3]}..."


def dress(axes: Axes, theme: Theme) -> None:
    """The look that all axes share."""
    axes.set_facecolor(theme.paper)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, labelsize=12)
    axes.xaxis.label.set(color=theme.ink, fontsize=13)
    axes.yaxis.label.set(color=theme.ink, fontsize=13)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.faint)


def png(figure: Figure) -> bytes:
    """The picture."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150)
    return out.getvalue()
