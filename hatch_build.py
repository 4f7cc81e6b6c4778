"""Compiles the native core when spikeloss is installed, and tags wheels that hold it.

Where that fails, as without a C compiler, the installation is pure Python and works all the same.
`SPIKELOSS_BUILD=off` leaves it out, `SPIKELOSS_BUILD=require` makes a failure an error.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PATH = Path("src", "spikeloss", "_kernels", "build.py")


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
