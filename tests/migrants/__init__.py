"""The losses of other packages beside ours, where the tests do not install them by formulas.

`test_migrants` evaluates every expression of the rows; `docs/make_from.py` writes the same rows as
the tables of `docs/from`. A module here has the formulas of one package, by their names there, in
loops of float64, written down from its source; what its options are called is in the rows.
"""

from . import installed, jaxsnn, lava_dl, norse, rockpool, spikingjelly, spyx, stork
from .rows import Change, Page, Same, calls, value

PAGES = {
    page.file: page
    for page in (
        installed.SNNTORCH_PAGE,
        installed.BRAINPY_PAGE,
        spikingjelly.PAGE,
        lava_dl.PAGE,
        stork.PAGE,
        spyx.PAGE,
        norse.PAGE,
        rockpool.PAGE,
        jaxsnn.PAGE,
    )
}

__all__ = ["PAGES", "Change", "Page", "Same", "calls", "value"]
