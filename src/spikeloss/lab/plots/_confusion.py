"""What is taken for what."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikeloss.lab.runs import Run

from ._theme import Theme, dress, png

WRITTEN = 12
"""Classes up to which the counts are written into the matrix."""


def confusion(runs: Sequence[Run], ink: str, theme: Theme) -> bytes:
    """Samples of all runs by label, down, and decision, across; the last column is none.

    Shades are shares of the samples of a label.
    """
    counts = np.sum([run.confusion for run in runs], axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.8, 4.4), facecolor=theme.paper, layout="constrained")
    axes, classes = figure.add_subplot(), len(counts)
    shades = LinearSegmentedColormap.from_list("", [theme.paper, ink])
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.axvline(classes - 0.5, color=theme.faint, linewidth=1)
    if classes <= WRITTEN:
        for place in np.argwhere(counts):
            row, column = map(int, place)
            paper = theme.paper if shares[row, column] > 0.5 else theme.ink
            axes.text(
                column, row, str(counts[row, column]), ha="center", va="center", color=paper,
                fontsize=9,
            )  # fmt: skip
        axes.set_yticks(range(classes))
        axes.set_xticks(range(classes + 1), [*map(str, range(classes)), "none"])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(10, integer=True))
        ticks = [int(x) for x in MaxNLocator(8, integer=True).tick_values(0, classes - 1)]
        inside = [x for x in ticks if 0 <= x < classes - 1]
        axes.set_xticks([*inside, classes], [*map(str, inside), "none"])
    axes.set_xlabel("decision")
    axes.set_ylabel("class")
    dress(axes, theme)
    axes.tick_params(labelsize=10)
    return png(figure)
