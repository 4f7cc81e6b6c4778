"""Distances between spike trains: how far output spikes are from those that were wanted.

Each is a plain function of two trains, in torch, JAX and NumPy, with one number per pair: nothing
is averaged over time, neurons or batch. Take the mean to train with it.

    van_rossum             records on a grid of steps     derivative: of amplitudes
    van_rossum_times       spike times                    of times
    victor_purpura         spike times                    of times; smooth with softness
    isi_distance           spike times                    none: PySpike's, to evaluate
    spike_distance         spike times                    none
    spike_synchronization  spike times                    none
    spike_time_tiling      spike times                    none: coincidences, freed of rates
    correlation_index      spike times                    none: coincidences over chance

Spike times are (*B, n), or (*B, N, n) of N units, with infinity where there is no spike.
"""

from ._coincidences import correlation_index, spike_time_tiling
from ._pyspike import isi_distance, spike_distance, spike_synchronization
from ._van_rossum import van_rossum, van_rossum_times
from ._victor_purpura import victor_purpura

__all__ = [
    "correlation_index",
    "isi_distance",
    "spike_distance",
    "spike_synchronization",
    "spike_time_tiling",
    "van_rossum",
    "van_rossum_times",
    "victor_purpura",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
