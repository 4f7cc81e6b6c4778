"""Targets: what the user has -> what the criterion compares with. label -> y, broadcast against z.

y is the class index of a sample; n the number of its valid steps. A target encoding turns class
labels (*B) or, for readouts that keep time, (T, *B) into numbers (*B, C) or (T, *B, C).
"""

from ._base import Given, Target
from ._levels import OnOff, OnOffRate
from ._patterns import StoredPattern
from ._times import GivenTime, OnOffTime
from ._trains import NearestSpike, SpikeTrain

__all__ = [
    "Given",
    "GivenTime",
    "NearestSpike",
    "OnOff",
    "OnOffRate",
    "OnOffTime",
    "SpikeTrain",
    "StoredPattern",
    "Target",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
