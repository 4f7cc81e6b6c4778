"""Renew the atlas: python docs/make_atlas.py.

A picture in docs/images/atlas and an entry in docs/atlas.md for every preset and penalty, by
family: so a new one needs no edit here. A test compares the page with what is made here.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from spikeloss import penalties, presets
from spikeloss.lab.families import FAMILIES, family
from spikeloss.lab.sheets import Sheet, atlas
from spikeloss.lab.sheets.extremes import LEVELS
from spikeloss.presets import Preset

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "atlas.md"
PICTURES = ROOT / "docs" / "images" / "atlas"
GUIDES = {
    "time": "[spike times](guides/spike_times.md)",
    "penalty": "[penalties](guides/penalties.md)",
    "rate": "[populations](guides/populations.md)",
    "count": "[populations](guides/populations.md)",
}
"""What to read beside the entries of a family."""

TEXT = """\
# The atlas

What an objective rewards, what it ignores, and where a silent neuron gets its signal can be seen.
Every picture below shows the same few records of 25 steps and three neurons, and on every neuron
and step the gradient of the objective there:

- a bar up, in blue, where more activity would lower the loss; a bar down, in orange, where less
  would. Its height says how steep that is: five heights, tenfold each, the same in all pictures.
- the first records are the same everywhere; the last two are the best and the worst that a search
  found for the objective.
- below them is the loss as the good answer is moved: one neuron shifted in time, then a spike added
  at a step, or taken away where there was one.

The facts under a picture are computed too. *Gradient* says how many of the record's 75 steps, of
three neurons, carry any; *bounds* whether the loss stays within some as records get longer, or
values higher; *best record* what the search ended with, and the loss of that. Membranes are
searched among the values {levels}, of a threshold of 1. An objective that compares samples
is shown a batch of the record, a good answer of its class and one of another class; one that reads
either spikes or membranes is shown membranes.

{listed}

The same for a recording of yours, or in a notebook:

```console
$ spikeloss atlas my.npz --objective ce_count --objective 'mse_temporal(off=20)'
```

```python
from spikeloss.lab import atlas

sheet = atlas("mse_temporal(off=20)")  # or atlas(loss, record, labels)
print(sheet.facts["gradient"])
```

```text
{example}
```

A notebook shows the sheet as a picture; `sheet.views` holds records and gradients as arrays.
"""


def catalogue() -> dict[str, Preset]:
    """Every preset and penalty of the library."""
    return presets.catalogue() | penalties.catalogue()


def page(sheets: dict[str, Sheet]) -> str:
    """The page."""
    levels = ", ".join(f"{level:g}" for level in sorted(LEVELS["membrane"]))
    example = atlas("mse_temporal(off=20)").facts["gradient"]
    families = {name: own for name in FAMILIES if (own := of_family(name))}
    listed = [f"- {name}: {', '.join(map(link, own))}" for name, own in families.items()]
    parts = [TEXT.format(levels=levels, example=example, listed="\n".join(listed))]
    for name, own in families.items():
        meaning = FAMILIES[name]
        guide = f" There is a guide to {GUIDES[name]}." if name in GUIDES else ""
        parts.append(f"\n## {name.capitalize()}\n\n{meaning[0].upper()}{meaning[1:]}.{guide}\n")
        parts += [entry(each, sheets[each.name]) for each in own]
    return "".join(parts)


def of_family(name: str) -> list[Preset]:
    """The presets of a family."""
    return [each for each in catalogue().values() if family(each) == name]


def link(preset: Preset) -> str:
    """A link to its entry."""
    return f"[{preset.name}](#{preset.name})"


def entry(preset: Preset, sheet: Sheet) -> str:
    """What there is to see and to know of a preset."""
    module = "penalties" if preset.name in penalties.catalogue() else "presets"
    formula = preset.formula.replace("`", "")
    return "\n".join([
        f"\n### {preset.name}\n",
        f"{{formula}}`{formula}`\n",
        f"{filled(preset.summary)}\n",
        f"![{preset.name}: gradient and value](images/atlas/{preset.name}.svg)\n",
        *facts(sheet),
        f"\nOptions and source: {{py:func}}`~spikeloss.{module}.{preset.name}`.\n",
    ])  # fmt: skip


def facts(sheet: Sheet) -> Iterator[str]:
    """What is computed, a line each."""
    return (filled(f"- *{name.capitalize()}*: {text}.") for name, text in sheet.facts.items())


def filled(text: str) -> str:
    """Lines of a readable width; a star before a name is no emphasis."""
    escaped = re.sub(r"(?<=[( ])\*(?=[A-Z]\b)", r"\\*", text)
    indent = "  " if text.startswith("- ") else ""
    lines = textwrap.wrap(escaped, 100, subsequent_indent=indent, break_on_hyphens=False)
    return "\n".join(lines)


if __name__ == "__main__":
    made = {name: atlas(name) for name in catalogue()}
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    for name, sheet in made.items():
        (PICTURES / f"{name}.svg").write_text(sheet.svg())
    PAGE.write_text(page(made))
