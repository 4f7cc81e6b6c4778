"""Renew what the README shows of other files: python docs/make_readme.py.

Between `<!-- begin NAME -->` and `<!-- end -->` stands what NAME makes; a test compares.
"""

import re
import tomllib
from pathlib import Path

from spikeloss.presets import catalogue

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PART = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX"}


def example(name: str) -> str:
    """An example's code below its docstring."""
    code = (ROOT / name).read_text().partition('"""\n')[2]
    return f"```python\n{code.strip()}\n```\n"


def presets() -> str:
    """A table of the catalogue."""
    rows = ["| preset | minimises | reads | decides |", "| --- | --- | --- | --- |"]
    for preset in catalogue().values():
        reads = preset.reads
        formula = preset.formula.replace("`", "").replace("|", "\\|")
        rows.append(f"| `{preset.name}` | `{formula}` | {reads} | {preset.decides} |")
    return "\n".join(rows) + "\n"


def versions() -> str:
    """The oldest supported versions, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needs = [*project["dependencies"], *extras["torch"], *extras["jax"]]
    oldest = dict(need.split(">=") for need in needs if ">=" in need)
    python = project["requires-python"].removeprefix(">=")
    named = [f"{word} {oldest[name]}" for name, word in NAMES.items()]
    return f"Supported: Python {python}, {', '.join(named)}, and newer.\n"


def renewed(text: str) -> str:
    """The README with every part as it should be."""
    makers = {"presets": presets, "versions": versions}

    def part(found: re.Match[str]) -> str:
        made = makers[found[2]]() if found[2] in makers else example(found[2])
        return f"{found[1]}{made}{found[3]}"

    return PART.sub(part, text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
