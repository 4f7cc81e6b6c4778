"""Compiles the native core when spikeloss is installed, and tags wheels that hold it.

Where that fails, as without a C compiler, the installation is pure Python and works all the same.
`SPIKELOSS_BUILD=off` leaves it out, `SPIKELOSS_BUILD=require` makes a failure an error.

It also makes the README one for an index of packages, where no file of the repository is at hand.
"""

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PATH = Path("src", "spikeloss", "_kernels", "build.py")


FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r'!\[[^\]]*\]\(([^):]+)\)\n*|<img src="([^":]+)"[^>]*>\n*')
LINK = re.compile(r"\[([^\]]+)\]\(([^):#][^):]*)\)")


def readme(text: str, source: str | None, version: str) -> str:
    """The README with links to the repository at a version; without them where it is not known."""
    if source is not None:
        page, file = f"{source}/blob/v{version}/", f"{source}/raw/v{version}/"
        text = PICTURE.sub(lambda x: x[0].replace(x[1] or x[2], file + (x[1] or x[2])), text)
        return _prose(text, LINK, rf"[\1]({page}\2)")
    return _prose(_prose(text, PICTURE, ""), LINK, r"\1")


def _prose(text: str, found: re.Pattern[str], by: str) -> str:
    """The text with something replaced, but not in blocks of code."""
    parts = FENCED.split(text)
    return "".join(part if index % 2 else found.sub(by, part) for index, part in enumerate(parts))


class ReadmeHook(MetadataHookInterface):
    """The hook of `tool.hatch.metadata.hooks.custom`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put the README into the metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        made = readme(text, metadata.get("urls", {}).get("Source"), metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": made}


class CoreHook(BuildHookInterface):
    """The hook of `tool.hatch.build.targets.wheel.hooks.custom`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the library into the wheel; an editable one finds it in the sources."""
        wanted = os.environ.get("SPIKELOSS_BUILD", "auto")
        if wanted == "off":
            return
        build = self._module()
        try:
            library = build.build()
        except build.CannotBuildError as error:
            if wanted == "require":
                raise
            self.app.display_warning(f"spikeloss is installed without its native core: {error}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = build.tag()
        build_data["artifacts"].append(str(library.relative_to(self.root)))

    def _module(self) -> Any:
        """The file that compiles, without the package around it."""
        spec = importlib.util.spec_from_file_location("spikeloss_build", Path(self.root, PATH))
        if spec is None or spec.loader is None:
            raise FileNotFoundError(PATH)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
