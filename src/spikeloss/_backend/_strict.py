"""array_api_strict, which has what the standard has and no more, and so tests what we write."""

from spikeloss._shapes import Array

from ._base import Library


class Strict(Library):
    name = module = "array_api_strict"
    article = "an array_api_strict array"
    converter = "array_api_strict.asarray"
    yields = True

    def __init__(self) -> None:
        import array_api_strict
        import numpy

        self.xp, self.quiet = array_api_strict, numpy.errstate

    # It computes with NumPy, which warns of numbers that are not finite, and meant here.

    def lost(self, a: Array, b: Array) -> Array:
        with self.quiet(invalid="ignore", over="ignore"):
            return super().lost(a, b)

    def log_softmax(self, z: Array) -> Array:
        with self.quiet(invalid="ignore", divide="ignore", over="ignore"):
            return super().log_softmax(z)
