"""Pictures of rows, as wide as a phone: light and dark."""

import io
from collections.abc import Callable, Iterable, Sequence

import goals
import objectives
from goals import NAMED, OURS
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from objectives import LARGE, MIDDLE, OBJECTIVES, SIZES, SWEEPS, THIN, Size
from peers import HAND, SNNTORCH
from rows import Row
from timing import GRADIENT

from spikeloss.lab.plots import DARK, LIGHT, MARKERS, Theme

THEMES = {"light": LIGHT, "dark": DARK}
WIDTH, DPI = 3.9, 200
"""Inches: 390 pixels of a hundred each, and twice as many dots."""
PROVIDERS = (OURS, "composed", "compiled", SNNTORCH, HAND)
STYLES = dict(zip(PROVIDERS, zip(range(5), MARKERS, strict=False), strict=True))
LOGGED = FuncFormatter(lambda value, _: f"{value:g}")


def _rows(rows: Iterable[Row], sizes: Sequence[Size]) -> list[Row]:
    """In PyTorch, value and gradient, without lengths."""
    return [
        row
        for row in rows
        if (row.library, row.mode, row.lengths) == ("torch", GRADIENT, "") and row.size in sizes
    ]


# ---- time against size


def against_size(rows: Sequence[Row], theme: Theme) -> bytes:
    """Milliseconds against the size of the record, a panel for each objective."""
    figure, grid = _figure(4, 2, 7.6, theme)
    shown = _rows(rows, [size for size in SIZES if size != THIN and not size.pooled])
    for axes, name in zip(grid, NAMED, strict=True):
        here = [row for row in shown if row.objective == name]
        for provider, (index, marker) in STYLES.items():
            found = [(_megabytes(row), row.minimum) for row in here if row.provider == provider]
            if found:
                axes.plot(
                    *zip(*sorted(found), strict=True), color=theme.lines[index], marker=marker,
                    markersize=3.5, linewidth=1.2, label=provider,
                )  # fmt: skip
        copies = sorted({(_megabytes(row), row.copy_fresh) for row in here if row.provider == OURS})
        if copies:
            _copies(axes, copies, theme)
        axes.set_title(name, fontsize=8, color=theme.ink)
        _logged(axes, theme)
    _legend(figure, grid, theme)
    figure.supxlabel("record, MB", fontsize=8, color=theme.ink)
    figure.supylabel("value and gradient, ms", fontsize=8, color=theme.ink)
    return _png(figure)


def _megabytes(row: Row) -> float:
    return 4e-6 * row.T * row.B * row.N


# ---- in copies


def in_copies(rows: Sequence[Row], theme: Theme) -> bytes:
    """Time in units of a copy of the record, with the goal where it is one of copies."""
    figure, grid = _figure(2, 1, 6.0, theme)
    for axes, size, bounds in zip(
        grid, (MIDDLE, LARGE), (goals.COPIES, goals.FRESH_COPIES), strict=True
    ):
        here = _rows(rows, [size])
        for provider, (index, marker) in reversed(STYLES.items()):
            found = {r.objective: r.minimum / r.copy_fresh for r in here if r.provider == provider}
            places = [NAMED.index(name) for name in found if name in NAMED]
            axes.scatter(
                [found[NAMED[place]] for place in places], places, c=theme.lines[index],
                marker=marker, s=22, label=provider, zorder=3,
            )  # fmt: skip
        marked = [
            (bounds[OBJECTIVES[name].family], place)
            for place, name in enumerate(NAMED)
            if OBJECTIVES[name].family in bounds
        ]
        axes.scatter(
            *zip(*marked, strict=True), marker="|", s=110, c=theme.ink, label="goal", zorder=2
        )
        axes.set_xscale("log")
        axes.axvline(1.0, color=theme.ink, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(NAMED)), NAMED)
        axes.set_ylim(len(NAMED) - 0.4, -0.6)
        axes.xaxis.set_major_formatter(LOGGED)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(color=theme.faint, linewidth=0.5)
        axes.set_title(f"T, B, N = {', '.join(map(str, size[:3]))}", fontsize=8, color=theme.ink)
        _dress(axes, theme)
    _legend(figure, grid, theme)
    figure.supxlabel("in units of record.clone(); left is faster", fontsize=8, color=theme.ink)
    return _png(figure)


# ---- how the cost grows


def growing(rows: Sequence[Row], theme: Theme) -> bytes:
    """Milliseconds as T, B and N grow, the others fixed."""
    figure, grid = _figure(3, 1, 7.6, theme)
    for place, (axes, (axis, sizes)) in enumerate(zip(grid, SWEEPS.items(), strict=True)):
        for index, name in enumerate(NAMED):
            found = [
                (row.size[place], row.minimum)
                for row in _rows(rows, sizes)
                if (row.objective, row.provider) == (name, OURS)
            ]
            if found:
                axes.plot(
                    *zip(*sorted(found), strict=True), color=theme.lines[index % len(theme.lines)],
                    marker=MARKERS[index % len(MARKERS)], markersize=3.5, linewidth=1.2,
                    linestyle="-" if index < len(theme.lines) else "--", label=name,
                )  # fmt: skip
        copies = {(row.size[place], row.copy_fresh) for row in _rows(rows, sizes)}
        fastest = {x: min(spent for at, spent in copies if at == x) for x, _ in copies}
        if fastest:
            _copies(axes, sorted(fastest.items()), theme)
        axes.set_title(f"{axis}, of {_others(place)}", fontsize=8, color=theme.ink)
        _logged(axes, theme)
    _legend(figure, grid, theme)
    figure.supylabel("value and gradient, ms", fontsize=8, color=theme.ink)
    return _png(figure)


def _others(place: int) -> str:
    fixed = [f"{name} = {size}" for name, size in zip("TBN", objectives.BASE[:3], strict=True)]
    del fixed[place]
    return ", ".join(fixed)


PICTURES: dict[str, Callable[[Sequence[Row], Theme], bytes]] = {
    "size": against_size, "copies": in_copies, "growth": growing,
}  # fmt: skip


# ---- what they share


def _copies(axes: Axes, found: Sequence[tuple[float, float]], theme: Theme) -> None:
    axes.plot(
        *zip(*found, strict=True), color=theme.ink, linewidth=1.0, linestyle=":", label="a copy"
    )


def _figure(lines: int, columns: int, height: float, theme: Theme) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), facecolor=theme.paper, layout="constrained")
    return figure, list(figure.subplots(lines, columns, squeeze=False).flat)


def _logged(axes: Axes, theme: Theme) -> None:
    if not axes.lines:
        axes.set_visible(False)  # nothing of it was measured
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=5))
        axis.set_major_formatter(LOGGED)
        axis.set_minor_locator(NullLocator())
    axes.grid(color=theme.faint, linewidth=0.5)
    _dress(axes, theme)


def _dress(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.paper)
    axes.tick_params(which="both", colors=theme.ink, labelsize=7.5, length=2)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(theme.faint)


def _legend(figure: Figure, grid: Sequence[Axes], theme: Theme) -> None:
    found = {
        label: handle
        for axes in grid
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        found.values(), found.keys(), loc="outside upper center", ncols=3, frameon=False,
        fontsize=7.5, labelcolor=theme.ink, handlelength=1.6, columnspacing=1.0,
    )  # fmt: skip


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()
