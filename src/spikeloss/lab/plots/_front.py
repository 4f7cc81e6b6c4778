"""Accuracy against spikes: what an objective gets for what it spends."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from spikeloss.lab.summary import Summary

from ._theme import MARKERS, Theme, colour, cut, dress, legend, lined, png


def frontier(rows: Sequence[Summary]) -> list[Summary]:
    """The Pareto front: those that no other one beats or equals in accuracy with fewer spikes.

    From the fewest spikes to the most; rows without spikes are not on it.
    """
    kept: list[Summary] = []
    spiking = [row for row in rows if row.spikes_per_sample is not None]
    for row in sorted(spiking, key=lambda row: (row.spikes_per_sample, -row.accuracy)):
        if not kept or row.accuracy > kept[-1].accuracy:
            kept.append(row)
    return kept


def front(rows: Sequence[Summary], theme: Theme) -> bytes | None:
    """A mark per objective at its spikes per sample and its accuracy, means over the seeds.

    Vertical bars are the standard deviation of the accuracy over the seeds, the line is the Pareto
    front, whose objectives are named at it. None where nothing spikes.
    """
    best = frontier(rows)
    if not best:
        return None
    figure, axes = lined([row.objective for row in rows], theme)
    for index, row in enumerate(rows):
        if row.spikes_per_sample is None:
            continue
        ink = colour(index, theme)
        axes.errorbar(
            row.spikes_per_sample, 100 * row.accuracy, 100 * (row.accuracy_spread or 0),
            color=ink, marker=MARKERS[index % len(MARKERS)], markersize=8, linestyle="none",
            markeredgecolor=theme.paper, elinewidth=1.2, label=row.objective, zorder=3,
        )  # fmt: skip
    _line(axes, best, theme)
    axes.set_xlabel("spikes per sample")
    axes.set_ylabel("test accuracy (%)")
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.margins(x=0.12, y=0.14)
    dress(axes, theme)
    legend(figure, theme)
    return png(figure)


def _line(axes: Axes, best: Sequence[Summary], theme: Theme) -> None:
    """The front as steps: with so many spikes no objective is more accurate."""
    spikes = [row.spikes_per_sample or 0.0 for row in best]
    accuracies = [100 * row.accuracy for row in best]
    axes.step(spikes, accuracies, where="post", color=theme.ink, linewidth=1, linestyle="--")
    for row, x, y in zip(best, spikes, accuracies, strict=True):
        text = axes.annotate(
            cut(row.objective, 22), (x, y),
            xytext=(6, 6), textcoords="offset points", fontsize=10, color=theme.ink, zorder=4,
        )  # fmt: skip
        text.set_parse_math(False)
