"""The command that an error names for a missing extra works from where the package came from."""

import importlib
import importlib.util
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import release

import spikeloss
from spikeloss._install import checkout, hint, origin, wanted

ROOT = Path(spikeloss.__file__).parents[2]
VCS = {"url": "https://x.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "1f"}}


def test_sources_are_named_where_they_are() -> None:
    assert checkout() == ROOT
    assert hint("lab") == f'Install it with: pip install --editable "{ROOT}[lab]".'
    assert wanted("lab", ROOT, VCS) == f'--editable "{ROOT}[lab]"'


@pytest.mark.parametrize(
    ("came", "named"),
    [
        ({}, "spikeloss[jax]"),
        ({"url": ROOT.as_uri(), "dir_info": {}}, f"{ROOT}[jax]"),
        ({"url": (ROOT / "gone").as_uri(), "dir_info": {}}, ".[jax]"),
        ({"url": "https://x.org/a.whl"}, "spikeloss[jax] @ https://x.org/a.whl"),
        (VCS, "spikeloss[jax] @ git+https://x.org/a.git@1f"),
    ],
)
def test_what_pip_installed_is_named_as_it_came(came: dict[str, object], named: str) -> None:
    assert wanted("jax", None, came) == f'"{named}"'


def test_without_a_record_of_pip_it_came_from_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", none)
    assert origin() == {}


def test_torch_metrics_name_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "spikeloss.torch_metrics", raising=False)
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module("spikeloss.torch_metrics")
    words = "torch_metrics: expected the packages torch and torchmetrics, got no torchmetrics. "
    assert str(raised.value) == words + hint("torchmetrics")


def test_an_archive_of_other_files_is_no_release() -> None:
    release.compare("sdist", ["a", "b"], {"a", "b"})
    with pytest.raises(SystemExit, match="the sdist lacks a, b"):
        release.compare("sdist", [], {"b", "a"})
    with pytest.raises(SystemExit, match="the wheel should not hold c"):
        release.compare("wheel", ["a", "c"], {"a"})


def test_the_oldest_packages_are_the_bounds_of_the_project() -> None:
    assert release.oldest("numpy", "jax") == ("numpy==2.0", "jax==0.5")
    assert {"numpy", "torch", "jax", "oldest", "newest"} < set(release.ENVIRONMENTS)


def _build_hooks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """hatch_build.py, without hatchling, which only an installation has."""
    for name, interface in (("builders.hooks", "BuildHook"), ("metadata", "MetadataHook")):
        module = ModuleType(name)
        setattr(module, f"{interface}Interface", object)
        monkeypatch.setitem(sys.modules, f"hatchling.{name}.plugin.interface", module)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_links_of_the_readme_lead_to_the_repository_or_are_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = _build_hooks(monkeypatch).readme
    text = """![a curve](a.png)

See [the
page](docs/a.md), [b](https://b.org) and [c](#c).

```python
x[0](y)
```
"""
    page = "https://x.org/blob/v1.2/docs/a.md"
    wanted = text.replace("(docs/a.md", f"({page}").replace("a.png", "https://x.org/raw/v1.2/a.png")
    assert readme(text, "https://x.org", "1.2") == wanted
    assert readme(text, None, "1.2") == text[19:].replace("[the\npage](docs/a.md)", "the\npage")

    whole = (ROOT / "README.md").read_text()
    release.check_links(
        "\nProject-URL: Source, https://x.org\n" + readme(whole, "https://x.org", "1")
    )
    assert capsys.readouterr().out == ""
    release.check_links(readme(whole, None, "1"))
    assert capsys.readouterr().out.startswith("not to be published: pyproject.toml has no")
    with pytest.raises(
        SystemExit, match=r"lead nowhere: docs/images/atlas/mse_temporal.svg, docs/"
    ):
        release.check_links(whole)
