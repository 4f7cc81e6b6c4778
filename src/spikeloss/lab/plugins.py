"""Presets of other packages: entry points of the group `spikeloss.presets`.

    [project.entry-points."spikeloss.presets"]
    late_count = "my_package.losses:late_count"

The name is that of the objective; what it names is a function that builds a loss, as `presets`
have them, or a loss. Importing it runs code that the user has installed.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from spikeloss import penalties
from spikeloss._door._words import cut
from spikeloss.presets import Preset, catalogue

from .errors import InputError, printable
from .own import own_preset

GROUP = "spikeloss.presets"


class Plugin(NamedTuple):
    """A preset of another package; `why_not` says why it is not here, else None."""

    name: str
    where: str
    preset: Preset | None
    why_not: str | None = None


@cache
def plugins() -> tuple[Plugin, ...]:
    """Every plug-in of the packages that are installed, in the order of their names."""
    found = sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value))
    ours = (catalogue() | penalties.catalogue()).items()
    taken = {name for name, each in ours if each.build.__module__.startswith("spikeloss.")}
    made: list[Plugin] = []
    for each in found:
        try:
            preset, why = _loaded(each, taken), None
        except InputError as wrong:
            preset, why = None, printable(str(wrong))
        taken.add(each.name)
        made.append(Plugin(each.name, each.value, preset, why))
    return tuple(made)


def _loaded(plugin: EntryPoint, taken: set[str]) -> Preset:
    argument = f"plug-in {plugin.name}"
    if plugin.name in taken:
        rule, fix = "a name that no other objective has", "Rename it in its package."
        raise InputError(argument, rule, plugin.value, fix)
    if not plugin.name.isidentifier():
        raise InputError(argument, "a name of letters", plugin.name, "Rename it in its package.")
    try:
        found = plugin.load()
    except (Exception, SystemExit) as wrong:  # whatever its module raises
        rule, fix = "what can be imported", "Mend its package, or uninstall it."
        why = cut(f"{type(wrong).__name__}: {wrong}".rstrip("."))
        raise InputError(argument, rule, f"{plugin.value} ({why})", fix) from wrong
    return own_preset(found, plugin.name, argument, plugin.value, {})


def presets() -> dict[str, Preset]:
    """The objectives of plug-ins by their names, those with a target first."""
    here = [each.preset for each in plugins() if each.preset is not None]
    here.sort(key=lambda each: each.build().main.criterion.targetless)
    return {each.name: each for each in here}


def problems() -> tuple[str, ...]:
    """A line for every plug-in that is not here."""
    return tuple(each.why_not for each in plugins() if each.why_not is not None)
