"""What is installed here and what runs; and why what was recorded does not learn."""

import os
import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from spikeloss._choice import kernels, mode, state
from spikeloss.diagnosis import Diagnosis, diagnose
from spikeloss.records import Times

from . import plugins
from .environment import machine, version_of
from .limits import MEMORY
from .objectives import Objective, find
from .recording import NUMBER, Recording
from .score import LARGEST, TOO_LARGE, dense_of, misfit, read_by

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


@dataclass(frozen=True)
class Examined:
    """One objective on a recording: what was found, or why it does not apply."""

    objective: str
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    why_not: str | None = None


def examined(
    recording: Recording, objectives: Sequence[Objective] = (), memory: int = MEMORY
) -> list[Examined]:
    """Why a network does not learn, as what it gave was recorded: for every objective.

    Without any it is `ce_count`, or of membranes alone `ce_max_membrane`.
    """
    usual = "ce_max_membrane" if recording.spikes is None else "ce_count"
    with warnings.catch_warnings(action="ignore"):
        return [_examined(each, recording, memory) for each in objectives or (find(usual),)]


def _examined(objective: Objective, recording: Recording, memory: int) -> Examined:
    name, placed = objective.spelling, objective.placed((), None)
    why_not = misfit(objective, recording, memory)
    if why_not is not None:
        return Examined(name, why_not=why_not)
    if isinstance(recording.spikes, Times):
        return Examined(name, why_not="the file holds times, and no steps to look at")
    most = min(LARGEST, memory // NUMBER)
    whole = read_by(placed, recording, dense_of(recording.spikes, most))
    if whole is None:
        return Examined(name, why_not=TOO_LARGE.format(most))
    steps = {"lengths": recording.lengths, "valid": recording.valid}
    try:
        return Examined(name, diagnose(placed.loss, whole, recording.labels, **steps))
    except (TypeError, ValueError) as wrong:
        return Examined(name, why_not=str(wrong))
