"""How an extra is installed: with what works from where this spikeloss came from."""

import json
from pathlib import Path
from typing import Any


def hint(extra: str) -> str:
    """The advice of an error: one sentence, whose command can be copied."""
    return f"Install it with: pip install {wanted(extra, checkout(), origin())}."


def checkout() -> Path | None:
    """The folder of the sources, if this file is in it, as in an editable installation."""
    source = Path(__file__).parents[1]
    project = source.parent / "pyproject.toml"
    ours = (
        source.name == "src" and project.is_file() and 'name = "spikeloss"' in project.read_text()
    )
    return source.parent if ours else None


def origin() -> dict[str, Any]:
    """What pip wrote down of an installation that is not from an index (PEP 610)."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution("spikeloss").read_text("direct_url.json")
    except PackageNotFoundError:
        text = None
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def wanted(extra: str, folder: Path | None, came: dict[str, Any]) -> str:
    """What pip is told to install."""
    if folder is not None:
        return f'--editable "{folder}[{extra}]"'
    url = came.get("url", "")
    if url.startswith("file:"):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        path = Path(url2pathname(urlsplit(url).path))
        return f'"{path if path.exists() else "."}[{extra}]"'
    if "vcs_info" in came:
        url = f"{came['vcs_info']['vcs']}+{url}@{came['vcs_info']['commit_id']}"
    return f'"spikeloss[{extra}]{" @ " * bool(url)}{url}"'
