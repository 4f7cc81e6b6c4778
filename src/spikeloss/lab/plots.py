"""Pictures of a comparison, as PNG bytes in a light or a dark theme."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from .runs import Run, Sample


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
ERROR_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def colour(index: int, theme: Theme) -> str:
    """The colour of the objective at `index`, the same in every picture."""
    return theme.lines[index % len(theme.lines)]


def curves(runs: Sequence[Run], theme: Theme) -> bytes:
    """Test error by epoch: the mean over the seeds, and a band from the best to the worst seed."""
    names = dict.fromkeys(run.objective for run in runs)
    height = 4.4 + 0.2 * ((len(names) + 1) // 2)  # the legend has two columns
    figure = Figure(figsize=(5.4, height), facecolor=theme.paper, layout="constrained")
    axes = figure.add_subplot()
    for index, name in enumerate(names):
        errors = _errors([run for run in runs if run.objective == name])
        epochs = np.arange(1, errors.shape[1] + 1)
        ink = colour(index, theme)
        axes.fill_between(
            epochs, errors.min(axis=0), errors.max(axis=0), color=ink, alpha=0.12, linewidth=0
        )
        axes.plot(
            epochs, errors.mean(axis=0), color=ink, label=_short(name), linewidth=1.8, markersize=5,
            marker=MARKERS[index % len(MARKERS)],
            linestyle=STROKES[index // len(theme.lines) % len(STROKES)],
        )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(ERROR_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("test error (%)")
    axes.grid(axis="y", color=theme.faint, linewidth=0.6)
    _dress(axes, theme)
    legend = figure.legend(
        loc="outside lower center", ncols=2, frameon=False, fontsize=12, labelcolor=theme.ink
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _png(figure)


def _short(name: str) -> str:
    """A name that a legend has room for."""
    return name if len(name) <= 60 else f"{name[:57]}..."


def _errors(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Test errors in percent (seeds, epochs), at least the smallest that the axis shows."""
    errors = [[100 * (1 - epoch.accuracy) for epoch in run.curve] for run in runs]
    return np.array(errors, dtype=np.float64).clip(ERROR_TICKS[0])


def raster(sample: Sample, reads: str, ink: str, theme: Theme) -> bytes:
    """Spikes of both layers while the network sees one sample.

    A frame marks the row of the right class, a dashed line the step of the decision. Where the
    objective reads the membrane, its potential is drawn beneath the output spikes.
    """
    figure = Figure(figsize=(4.8, 4.4), facecolor=theme.paper, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 4))
    _dots(above, sample.hidden, color=theme.ink, s=2)
    above.set_ylim(-1, sample.hidden_neurons)
    above.set_ylabel("hidden neuron")
    shade = 0.15
    if reads == "membrane":
        _potential(figure, below, sample, theme)
        shade = 0.0
    _dots(below, sample.output, color=ink, s=34, edgecolors=theme.paper, linewidths=0.6)
    below.axhspan(
        sample.label - 0.5, sample.label + 0.5, facecolor=(*to_rgb(ink), shade), edgecolor=ink
    )
    classes = len(sample.membrane[0])
    below.set_ylim(classes - 0.5, -0.5)
    below.yaxis.set_major_locator(MaxNLocator(10, integer=True))
    below.set_ylabel("output neuron")
    below.set_xlabel("step")
    below.set_xlim(-0.5, sample.steps - 0.5)
    for axes in (above, below):
        if sample.decision_step >= 0:
            axes.axvline(sample.decision_step, color=theme.ink, linestyle="--", linewidth=1)
        _dress(axes, theme)
    return _png(figure)


def _dots(axes: Axes, events: list[list[int]], **style: Any) -> None:
    """A dot per spike; events are pairs (step, neuron)."""
    steps, neurons = np.array(events, dtype=int).reshape(-1, 2).T
    axes.scatter(steps, neurons, zorder=3, **style)


def _potential(figure: Figure, axes: Axes, sample: Sample, theme: Theme) -> None:
    """The membrane potential of the output layer, symmetric about 0, with its scale."""
    potential = np.array(sample.membrane).T
    bound = max(1.0, float(np.abs(potential).max()))
    shades = LinearSegmentedColormap.from_list("", [PALETTE[1], theme.paper, PALETTE[0]])
    image = axes.imshow(
        potential, cmap=shades, vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest"
    )
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("membrane (threshold 1)", color=theme.ink, fontsize=11)
    bar.ax.tick_params(colors=theme.ink, labelsize=10)
    bar.outline.set_visible(False)


def _dress(axes: Axes, theme: Theme) -> None:
    """The look that all axes share."""
    axes.set_facecolor(theme.paper)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, labelsize=12)
    axes.xaxis.label.set(color=theme.ink, fontsize=13)
    axes.yaxis.label.set(color=theme.ink, fontsize=13)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.faint)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150)
    return out.getvalue()
