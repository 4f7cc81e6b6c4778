"""What NumPy does in a way of its own."""

from typing import Any

from spikeloss._shapes import Array

from ._numpy_like import NumPyLike


class NumPy(NumPyLike):
    name = module = "numpy"
    article = "a NumPy array"
    converter = "numpy.asarray"
    yields = True

    def __init__(self) -> None:
        import array_api_compat.numpy as xp

        self.xp = xp

    def device(self, x: Array) -> str:
        return "cpu"

    def signature(self, x: Array) -> Any:
        return x.shape, x.dtype

    # Sums are held in float64, where there are float32.

    def begun(self, x: Array) -> tuple[Array, Array | None]:
        wide = x.dtype == self.xp.float32
        return (x.astype(self.xp.float64), None) if wide else super().begun(x)

    def count_true(self, mask: Array) -> Array:
        # In int32 it takes half the time.
        return mask.sum(0, dtype=self.xp.int32).astype(self.xp.int64)

    # Numbers that are not finite are meant here, and no reason to warn.

    def sum_of_all(self, x: Array) -> Array:
        with self.xp.errstate(invalid="ignore"):
            return super().sum_of_all(x)

    def lost(self, a: Array, b: Array) -> Array:
        with self.xp.errstate(invalid="ignore", over="ignore"):
            return super().lost(a, b)

    def log_softmax(self, z: Array) -> Array:
        with self.xp.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return super().log_softmax(z)

    # Arrays can be written to, several times in one place.

    def accumulate(self, values: Array, index: Array, size: int) -> Array:
        sums = self.xp.zeros(size + 1, dtype=values.dtype)
        self.xp.add.at(sums, index, values)
        return sums[:size]

    def scatter(self, values: Array, index: Array, size: int, fill: float) -> Array:
        filled = self.xp.full(size + 1, fill, dtype=values.dtype)
        filled[index] = values
        return filled[:size]
