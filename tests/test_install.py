"""The command that an error names for a missing extra works from where the package came from."""

import importlib
import sys
from importlib import metadata
from pathlib import Path

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
