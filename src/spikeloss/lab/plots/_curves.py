"""Numbers by epoch and by step: a mean over the seeds, and a band from the lowest to the highest.

A run of other length than the others of its objective is left out.
"""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from spikeloss.lab.runs import Run
from spikeloss.lab.summary import by_objective

from ._theme import Theme, dress, legend, line, lined, png

ERROR_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
Values = Callable[[Run], Sequence[float | None]]


def curves(runs: Sequence[Run], theme: Theme) -> bytes | None:
    """Test error by epoch; None where no run has one."""

    def draw(axes: Axes) -> None:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(ERROR_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("epoch")
        axes.set_ylabel("test error (%)")

    return _drawn(runs, _errors, 1, draw, theme)


def _errors(run: Run) -> list[float | None]:
    """Test errors in percent, at least the smallest that the axis shows."""
    accuracies = [epoch.accuracy for epoch in run.curve]
    return [None if x is None else max(100 * (1 - x), ERROR_TICKS[0]) for x in accuracies]


def losses(runs: Sequence[Run], theme: Theme) -> bytes | None:
    """Loss by epoch, each objective in its own unit; None where no run has one."""

    def draw(axes: Axes) -> None:
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss, each its own")

    return _drawn(runs, lambda run: [epoch.loss for epoch in run.curve], 1, draw, theme)


def anytime(runs: Sequence[Run], theme: Theme) -> bytes | None:
    """Accuracy of what is decided after each step; None where no run has one."""

    def draw(axes: Axes) -> None:
        axes.set_xlabel("step")
        axes.set_ylabel("accuracy after it (%)")

    return _drawn(runs, lambda run: [100 * x for x in run.accuracy_by_step], 0, draw, theme)


def _drawn(
    runs: Sequence[Run], values: Values, first: int, draw: Callable[[Axes], None], theme: Theme
) -> bytes | None:
    own = by_objective(runs)
    found = {index: _table(values, mine) for index, mine in enumerate(own.values())}
    if all(table is None for table in found.values()):
        return None
    figure, axes = lined(list(own), theme)
    for index, name in enumerate(own):
        table = found[index]
        if table is None:
            continue
        at, style = np.arange(first, first + table.shape[1]), line(index, theme)
        low, high = table.min(axis=0), table.max(axis=0)
        axes.fill_between(at, low, high, color=style["color"], alpha=0.12, linewidth=0)
        gaps = max(1, len(at) // 12)
        axes.plot(
            at, table.mean(axis=0), label=name, linewidth=1.8, markersize=5,
            markevery=(index % gaps, gaps), **style,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=theme.faint, linewidth=0.6)
    draw(axes)
    dress(axes, theme)
    legend(figure, theme)
    return png(figure)


def _table(values: Values, runs: Sequence[Run]) -> NDArray[np.float64] | None:
    """Numbers (seeds, places) of the runs that have all of them; None where none has."""
    rows = [row for row in map(values, runs) if row and None not in row]
    return np.array([row for row in rows if len(row) == len(rows[0])], float) if rows else None
