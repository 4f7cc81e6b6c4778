"""What NumPy and JAX have in common: NumPy's dtypes and methods, and arrays that it can read."""

from typing import Any

from spikeloss._shapes import Array

from ._base import Library

_KINDS = {"f": "float", "i": "integer", "u": "integer", "b": "bool"}


class NumPyLike(Library):
    """A library that has NumPy's dtypes, and puts its arrays where it likes."""

    apart = False

    def cast(self, argument: str, x: Array, to: str) -> str:
        if "complex" in str(x.dtype):
            return f"Write {argument}.real."
        return f"Write {argument}.astype({'int' if to == 'int' else repr('float32')})."

    def kind(self, x: Array) -> str:
        if x.dtype.name in ("bfloat16", "float16"):
            return "half"
        return _KINDS.get(x.dtype.kind, "other")

    def place(self, x: Array) -> Any:
        return None

    def listed(self, x: Array) -> Any:
        return x.tolist()

    def extent(self, x: Array) -> tuple[Any, Any]:
        read = x.__array__()  # JAX would compile a reduction for every shape
        return read.min().item(), read.max().item()
