"""Checks of a stage or a loss of one's own, for one's own tests.

    def test_my_readout():
        check(LateSum(tau=2.0))

`check` puts the stage into a loss, calls that in every way that ours are called, in every library
that is installed, and says in words all that does not hold.
"""

from ._check import Fault, Finding, Held, check

__all__ = ["Fault", "Finding", "Held", "check"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
