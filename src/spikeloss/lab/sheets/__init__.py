"""The atlas: what an objective says of a few records, and where its gradient goes.

    objective, records --slopes--> views;  moved --moves--> curves;  searched --extremes--> facts
    Sheet: views, curves, facts --drawing--> SVG;  sheets --page--> HTML

A sheet is what there is to see of one objective. It needs NumPy, and PyTorch or JAX for gradients.
"""

from .front import atlas
from .page import page
from .sheet import Sheet
from .slopes import View

__all__ = ["Sheet", "View", "atlas", "page"]
