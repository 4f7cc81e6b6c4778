"""Pictures of a comparison, as PNG bytes in a light or a dark theme."""

from ._confusion import confusion
from ._curves import anytime, curves, losses
from ._front import front, frontier
from ._raster import raster
from ._theme import DARK, LIGHT, MARKERS, Theme, colour

__all__ = [
    "DARK",
    "LIGHT",
    "MARKERS",
    "Theme",
    "anytime",
    "colour",
    "confusion",
    "curves",
    "front",
    "frontier",
    "losses",
    "raster",
]
