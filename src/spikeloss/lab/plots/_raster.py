"""One sample in the trained network: spikes of its layers, membrane of its output."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikeloss.lab.runs import Sample

from ._theme import PALETTE, Theme, dress, png


def raster(sample: Sample, reads: str, ink: str, theme: Theme) -> bytes:
    """Spikes of the last hidden layer and of the output while the network sees one sample.

    A frame marks the neurons of the right class, a dashed line the step of the decision. Where the
    objective reads the membrane, or the output has no spikes, its potential is drawn beneath them.
    A network without hidden neurons has the output alone.
    """
    figure = Figure(figsize=(4.8, 4.4), facecolor=theme.paper, layout="constrained")
    if sample.hidden_neurons:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 4))
        _dots(above, sample.hidden, color=theme.ink, s=2)
        above.set_ylim(-1, sample.hidden_neurons)
        above.set_ylabel("hidden neuron")
        both = [above, below]
    else:
        below = figure.add_subplot()
        both = [below]
    _output(figure, below, sample, reads, ink, theme)
    for axes in both:
        if sample.decision_step >= 0:
            axes.axvline(sample.decision_step, color=theme.ink, linestyle="--", linewidth=1)
        dress(axes, theme)
    return png(figure)


def _output(figure: Figure, axes: Axes, sample: Sample, reads: str, ink: str, theme: Theme) -> None:
    """The output neurons: their spikes, and their potential where that is what there is to see."""
    neurons, shade = sample.neurons, 0.15
    if sample.membrane and (reads == "membrane" or not sample.output):
        _potential(figure, axes, sample, theme)
        shade = 0.0
    _dots(axes, sample.output, color=ink, s=34, edgecolors=theme.paper, linewidths=0.6)
    size = neurons // sample.classes
    low, high = sample.label * size - 0.5, (sample.label + 1) * size - 0.5
    axes.axhspan(low, high, facecolor=(*to_rgb(ink), shade), edgecolor=ink)
    axes.set_ylim(neurons - 0.5, -0.5)
    axes.yaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("output neuron")
    axes.set_xlabel("step")
    axes.set_xlim(-0.5, sample.steps - 0.5)


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
    bar.set_label("membrane", color=theme.ink, fontsize=11)
    bar.ax.tick_params(colors=theme.ink, labelsize=10)
    bar.outline.set_visible(False)
