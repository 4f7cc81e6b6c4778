"""What is installed here and what runs: libraries, the native core, and the switches."""

import os
import platform
from importlib.util import find_spec

from spikeloss._choice import kernels, mode, state

from . import plugins
from .environment import machine, version_of

PACKAGES = (
    "spikeloss",
    "numpy",
    "array-api-compat",
    "torch",
    "jax",
    "optax",
    "snntorch",
    "brainpy",
)
SWITCHES = ("SPIKELOSS_KERNELS", "SPIKELOSS_CHECKS", "SPIKELOSS_THREADS", "SPIKELOSS_CORE")


def facts() -> dict[str, str]:
    """Each of them with what is known of it."""
    found = {"python": platform.python_version(), "machine": machine()}
    found |= {name: version_of(name) for name in PACKAGES}
    found |= {name: os.environ.get(name, "not set") for name in SWITCHES}
    found["kernels"] = "off" if mode() == "off" else state()
    found |= {f"plug-in {each.name}": each.why_not or each.where for each in plugins.plugins()}
    return found | _libraries()


def _libraries() -> dict[str, str]:
    """Where kernels run."""
    known = kernels()
    if isinstance(known, str) or mode() == "off":
        return {}
    names = [name for name in ("numpy", "torch", "jax") if find_spec(name) is not None]
    return {f"kernels in {name}": known.unavailable(name) or "on the CPU" for name in names}
