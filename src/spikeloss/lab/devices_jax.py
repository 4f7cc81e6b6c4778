"""Where the arrays of a training in JAX lie: samples over the devices, all else on each of them."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .data import Batch
from .errors import InputError
from .recipe import Machines

AXIS = "batch"


class Devices:
    """Devices of this process, or all of those that `jax.distributed` has joined."""

    def __init__(self, machines: Machines) -> None:
        there, asked = _there(machines.accelerator), machines.ranks
        joined_up = jax.process_count() > 1
        if asked > len(there) or (joined_up and asked != len(there)):
            what = "joined processes have" if joined_up else "JAX has here"
            rule = f"{'' if joined_up else 'at most '}{len(there)}, the devices that {what}"
            fix = f"Try {len(there)}."
            raise InputError("--devices", rule, asked, fix)
        self.mesh = Mesh(np.array(there[:asked]), (AXIS,))

    def sharding(self, *axes: str | None) -> NamedSharding:
        """How an array lies of which these axes are split; none: on every device."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))  # type: ignore[no-untyped-call]

    def put(self, x: Any, *axes: str | None) -> Any:
        """An array that this process has, and every other one too."""
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, self.sharding(*axes), lambda at: x[at])

    def everywhere(self, tree: Any) -> Any:
        """Arrays that every device has."""
        return jax.tree.map(self.put, tree)

    def split(self, batch: Batch) -> Batch:
        """A batch over the devices; if they do not divide it, the whole of it on each."""
        axis = AXIS if len(batch.labels) % self.mesh.size == 0 else None
        labels, lengths = (integers(x) for x in batch[1:])
        lengths = None if lengths is None else self.put(lengths, axis)
        return Batch(self.put(batch.inputs, None, axis), self.put(labels, axis), lengths)


def _there(accelerator: str) -> list[Any]:
    """The devices of a kind; "auto": of the one that JAX prefers."""
    try:
        return list(jax.devices(None if accelerator == "auto" else accelerator))
    except RuntimeError:
        known, fix = jax.default_backend(), "Choose auto, or install JAX for it."
        raise InputError("--accelerator", f"{known}, which JAX has", accelerator, fix) from None


def integers(x: Any) -> Any:
    """Labels or lengths, in the 32 bits that JAX has by default."""
    return None if x is None else np.asarray(x, np.int32)
