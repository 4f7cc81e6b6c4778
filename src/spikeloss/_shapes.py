"""Names for the arrays that pass between the stages; the text after the type is their shape.

T time steps, B any number of batch axes (also none), N output neurons, C classes, F spikes per
neuron; S stands for T, for F or for no axis at all, as the readout keeps steps, spikes or neither.
"""

from typing import Annotated, Any, TypeAlias, TypedDict

Array: TypeAlias = Any
"""An array of any supported library: `torch.Tensor`, `jax.Array`, `numpy.ndarray`."""

Record = Annotated[Array, "T *B N"]
Valid = Annotated[Array, "T *B 1"]
Steps: TypeAlias = int | Annotated[Array, "*B 1"]
Lengths = Annotated[Array, "*B"]
Decision = Annotated[Array, "S *B C"]
Evidence = Annotated[Array, "*B C"]
Classes = Annotated[Array, "*B"]
Labels = Annotated[Array, "S *B"]
Carry: TypeAlias = Any
"""What a readout carries from one piece of a record to the next: arrays, or tuples of them."""
Loss = Annotated[Array, "() | *B | *B C | F *B C"]
ClassAxis: TypeAlias = int | tuple[int, ...] | None
"""The axis of neurons of a record, or several, which are flattened in order; None: the last."""


class Layout(TypedDict, total=False):
    """How a record is laid out: the keyword options of everything that takes one."""

    lengths: Lengths | None
    valid: Annotated[Array, "T *B"] | None
    time_axis: int
    class_axis: ClassAxis
