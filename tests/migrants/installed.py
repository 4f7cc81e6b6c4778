"""snnTorch and BrainPy, which the tests install: their own calls; differences are in `parity`."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from parity.rows import BRAINPY, SNNTORCH, load

from .rows import Page, Same

_WEIGHT = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def _in_torch(make: Callable[..., Any]) -> Callable[..., Any]:
    """A constructor of snnTorch whose losses take NumPy."""

    def made(*options: Any, weight: Any = None, **named: Any) -> Callable[..., Any]:
        named |= {} if weight is None else {"weight": torch.tensor(weight)}
        loss = make(*options, **named)
        return lambda *arrays: loss(*map(_tensor, arrays)).numpy().squeeze()  # some means are (1,)

    return made


def _tensor(array: Any) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.int64 if array.dtype == int else torch.float32)


def _snntorch() -> dict[str, Any]:
    names = vars(load(SNNTORCH.theirs))
    losses = {name: made for name, made in names.items() if name.endswith(("_loss", "_sparsity"))}
    return {"w": _WEIGHT, **{name: _in_torch(made) for name, made in losses.items()}}


def _brainpy() -> dict[str, Any]:
    def loss(z: Any, y: Any, weight: Any = None, **options: Any) -> Any:
        options["weight"] = None if weight is None else jnp.array(weight)
        z = jnp.asarray(z, "float32")
        return np.asarray(load(BRAINPY.theirs).cross_entropy_loss(z, y, **options))

    bm = SimpleNamespace(sum=np.sum, mean=np.mean, max=np.max)
    return {"cross_entropy_loss": loss, "bm": bm, "w": _WEIGHT}


_U = ("u, y", "u, y")
SNNTORCH_PAGE = Page(
    "snntorch",
    "snnTorch",
    "TBN",
    ("x, y", "x, y"),
    _snntorch,
    (
        Same("ce_rate_loss()", "presets.ce_rate()"),
        Same("ce_count_loss()", "presets.ce_count()"),
        Same(
            "ce_count_loss(population_code=True, num_classes=3)",
            "presets.ce_count(classes=3)",
            given=("x, y % 3", "x, y % 3"),
        ),
        Same("ce_max_membrane_loss()", "presets.ce_max_membrane()", given=_U),
        Same(
            "mse_count_loss(0.8, 0.2)",
            "presets.mse_count(on=0.8, off=0.2)",
            said="ours, where the rates give whole counts",
            given=("np.tile(x, (3, 1, 1))[:20], y", "np.tile(x, (3, 1, 1))[:20], y"),
        ),
        Same(
            "mse_membrane_loss(on_target=1, off_target=0)",
            "presets.mse_membrane(on=1.0, off=0.0)",
            given=_U,
        ),
        Same(
            "mse_temporal_loss(on_target=0, off_target=6)",
            "presets.mse_temporal(on=0, off=6)",
        ),
        Same("ce_temporal_loss()", "presets.ce_temporal()"),
        Same('ce_temporal_loss("reciprocal")', 'presets.ce_temporal(code="reciprocal")'),
        Same(
            "l1_rate_sparsity(0.5)",
            '0.5 * penalties.count_l1(reduction="sum")',
            given=("x", "x"),
        ),
        Same('ce_rate_loss(reduction="none")', 'presets.ce_rate(reduction="none")'),
        Same("ce_count_loss(weight=w)", "presets.ce_count(class_weight=w)"),
    ),
    (),
)
BRAINPY_PAGE = Page(
    "brainpy",
    "BrainPy",
    "TBN",
    ("", ""),
    _brainpy,
    (
        Same("cross_entropy_loss(u[0], y)", "presets.cross_entropy()(u[0], y)"),
        Same("cross_entropy_loss(u[0], one_hot)", "presets.cross_entropy()(u[0], one_hot)"),
        Same(
            "cross_entropy_loss(u[0], y, weight=w)",
            'presets.cross_entropy(class_weight=w, reduction=reductions.Mean("weights"))(u[0], y)',
        ),
        Same(
            'cross_entropy_loss(u[0], y, reduction="none")',
            'presets.cross_entropy(reduction="none")(u[0], y)',
        ),
        Same(
            "cross_entropy_loss(u[0], y, label_smoothing=0.1)",
            "presets.cross_entropy(label_smoothing=0.1)(u[0], y)",
        ),
        Same("cross_entropy_loss(bm.sum(x, 0), y)", "presets.ce_count()(x, y)"),
        Same("cross_entropy_loss(bm.mean(x, 0), y)", "presets.ce_mean()(x, y)"),
        Same("cross_entropy_loss(bm.max(u, 0), y)", "presets.ce_max_membrane()(u, y)"),
    ),
    (),
)
