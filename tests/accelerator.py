"""A device that is no CPU and can be had everywhere: what PyTorch runs on it, and what that costs.

Tensors made by `there` live on a device of their own, of the kind that PyTorch keeps for backends
in Python. Within `Elsewhere` it computes what the CPU would, so that values can be compared, but to
whoever asks it is an accelerator: `is_cpu` is false, and what a library does on the CPU alone it
does not do here. Every operation that the device would have to run is noted with what it reads and
writes; what would make the host wait for it, or mix it with tensors elsewhere, is an error.
"""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

_WAITS = (
    "_local_scalar_dense", "item", "is_nonzero", "nonzero", "nonzero_static", "equal", "unique",
    "_unique2", "masked_select", "allclose", "bincount", "repeat_interleave",
)  # fmt: skip
"""Operations whose result the host needs before it can go on."""
_FREE = ("detach", "alias", "empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view",
         "lift_fresh", "new_empty_strided", "set_", "as_strided", "_reshape_alias")  # fmt: skip
"""What runs nothing: other views are known by their schema."""


class Operation(NamedTuple):
    """One that the device runs."""

    name: str
    numbers: int
    """Bytes that it reads and writes."""
    largest: int
    """Entries of the largest tensor that it reads or writes."""


class _There(torch.Tensor):
    """A tensor of the device; `here` is what stands for it."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> Any:
        found = torch.Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            here.stride(),
            here.storage_offset(),
            dtype=here.dtype,
            device=_device(),
        )
        found.here = here
        return found

    @classmethod
    def __torch_dispatch__(cls, operation: Any, *_: Any) -> Any:
        raise RuntimeError(f"{operation} runs within `with Elsewhere():` only")


@cache
def _device() -> torch.device:
    """The device; once it is there, it stays for the rest of the process."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend("elsewhere")
    return torch.device("elsewhere:0")


def there(x: torch.Tensor) -> Any:
    """That tensor on the device."""
    return _There(x)


class Elsewhere(TorchDispatchMode):
    """Runs what is on the device, and notes it."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        given = pytree.tree_leaves((args, kwargs))
        on_device = any(isinstance(x, _There) for x in given)
        name, target = operation.overloadpacket.__name__, kwargs.get("device")
        if target is not None:
            moves = on_device or any(isinstance(x, torch.Tensor) for x in given)
            made_there = torch.device(target).type == _device().type
            if moves and "copy" in name and made_there != on_device:
                raise AssertionError(f"{operation} copies between host and device")
            on_device, kwargs["device"] = made_there, torch.device("cpu")
        if on_device:
            self._check(operation, name, given)
        plain = pytree.tree_map_only(_There, lambda x: x.here, (args, kwargs))
        found = operation(*plain[0], **plain[1])
        if not on_device:
            return found
        self._note(operation, name, plain, found)
        known = {id(here): x for x, here in zip(given, pytree.tree_leaves(plain), strict=True)}
        return pytree.tree_map_only(
            torch.Tensor, lambda x: known[id(x)] if id(x) in known else _There(x), found
        )

    def _check(self, operation: Any, name: str, given: list[Any]) -> None:
        """No wait for the device, and no tensor of the host but a number."""
        by_mask = name.startswith(("index", "_index")) and any(
            isinstance(x, _There) and x.dtype == torch.bool and x.ndim for x in given[1:]
        )
        if name in _WAITS or by_mask:
            raise AssertionError(f"{operation} makes the host wait for the device")
        for x in given:
            if isinstance(x, torch.Tensor) and not isinstance(x, _There) and x.ndim:
                raise AssertionError(f"{operation} mixes the device with a tensor of the host")

    def _note(self, operation: Any, name: str, given: Any, found: Any) -> None:
        if operation.is_view or name in _FREE:
            return
        tensors = [x for x in pytree.tree_leaves((given, found)) if isinstance(x, torch.Tensor)]
        numbers = sum(_entries(x) * x.element_size() for x in tensors)
        self.operations.append(Operation(name, numbers, max(map(_entries, tensors), default=0)))


def _entries(x: torch.Tensor) -> int:
    """Entries that are stored: of an expanded tensor those of what it repeats."""
    found = 1
    for size, stride in zip(x.shape, x.stride(), strict=True):
        found *= size if stride else 1
    return found
