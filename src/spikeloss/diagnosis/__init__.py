"""Why a network does not learn, in words: from a loss, a record of the output, and the labels.

    print(spikeloss.diagnose(loss, record, labels))

Everything that is said is computed from the record, and has its numbers; what a healthy record does
too is not said. It looks at what the loss is given, and at the gradient that it sends back into the
record: what becomes of that inside of the network is the business of its neurons.
"""

from ._diagnose import diagnose
from ._findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
