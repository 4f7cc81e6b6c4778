"""Objectives of the user's own code on the command line, and presets of other packages."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spikeloss import Loss, Total, presets, reductions
from spikeloss.lab import doctor, plugins
from spikeloss.lab.errors import InputError
from spikeloss.lab.objectives import deciding, every, find
from spikeloss.presets import _base

LOSSES = '''
import spikeloss as sl
from spikeloss.presets import preset


def late(tau=2.0, *, reduction="mean"):
    """sum_t e^((t - T) / tau) s_t

    Late spikes should count more.
    """
    readout = sl.readouts.WeightedSum(tau=tau)
    return sl.Loss(readout, sl.criteria.CrossEntropy(), reads="spikes", reduction=reduction)


@preset(source="Me (2026)", decides="the latest class")
def later(*, tau: float = 3.0, **options):
    """-log softmax(late)_y

    As late.
    """
    return late(tau).replace(**options)


quiet = sl.Loss(sl.readouts.SumOverTime(), sl.criteria.Deviation(0.0), reads="spikes")
both = sl.presets.ce_count() + 0.1 * quiet
number = 3


def broken():
    raise RuntimeError("no such luck")


def nothing():
    return 3


def needy(tau):
    return late(tau)
'''

POINTS = """[spikeloss.presets]
late_count = my_losses:late
later = my_losses:later
quiet = my_losses:quiet
ce_count = my_losses:late
rate_bounds = my_losses:quiet
gone = no_such_module:late
missing = my_losses:no_such_name
broken = my_losses:broken
number = my_losses:number
ends = ends:late
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the user's own in the current directory, and a package with plug-ins."""
    (tmp_path / "my_losses.py").write_text(LOSSES)
    (tmp_path / "ends.py").write_text("raise SystemExit(3)")
    about = tmp_path / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(_base, "_CATALOGUE", presets.catalogue())
    plugins.plugins.cache_clear()
    yield about
    plugins.plugins.cache_clear()
    for name in ("my_losses", "ends"):
        sys.modules.pop(name, None)


@pytest.fixture
def installed(package: Path) -> Path:
    (package / "entry_points.txt").write_text(POINTS)
    return package


def refusal(text: str, **options: bool) -> str:
    with pytest.raises(InputError) as raised:
        find(text, **options)
    return str(raised.value)


@pytest.mark.usefixtures("package")
def test_code_is_an_objective() -> None:
    found = find("my_losses:late(tau=3.5, reduction='sum')")
    assert found.spelling == "my_losses:late(tau=3.5, reduction='sum')"
    assert isinstance(found.loss, Loss)
    assert found.loss.readout.tau == 3.5  # type: ignore[attr-defined]
    assert found.loss.reduction == reductions.Sum()
    assert found.reads == "spikes"
    preset = found.preset
    assert preset.options == {"tau": 3.5, "reduction": "sum"}
    assert preset.formula == "sum_t e^((t - T) / tau) s_t"
    assert preset.summary == "Late spikes should count more."
    assert preset.source == "my_losses:late"
    assert preset.decides == "the class that WeightedSum decides for"
    assert find(found.spelling).loss == found.loss


@pytest.mark.usefixtures("package")
def test_code_is_a_term_of_a_sum() -> None:
    found = find("ce_count + 0.1*my_losses:late(tau=2.5) + 2*my_losses:quiet")
    assert found.spelling == "ce_count + 0.1*my_losses:late(tau=2.5) + 2*my_losses:quiet"
    assert found.preset.name == "ce_count"
    assert isinstance(found.loss, Total)
    assert [term.layers for _, term in found.loss.terms] == [
        ("output",),
        ("output",),
        ("hidden", "output"),
    ]
    assert find("my_losses:quiet + ce_count").preset.name == "ce_count"
    assert isinstance(find("my_losses:both").loss, Total)


@pytest.mark.usefixtures("package")
def test_a_preset_of_ones_own_keeps_its_source() -> None:
    preset = find("my_losses:later(tau=2, reduction='sum')").preset
    assert (preset.source, preset.decides) == ("Me (2026)", "the latest class")
    assert preset.options["tau"] == 2


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("my_losses:broken", "got my_losses:broken (RuntimeError: no such luck). Correct its"),
        ("my_losses:nothing", "got my_losses:nothing, which gives 3. Return spikeloss.Loss(...)"),
        ("my_losses:number", "got my_losses:number, 3. Name what gives a loss."),
        ("my_losses:needy", "(TypeError: needy() missing 1 required"),
        ("my_losses:lat", "got my_losses:lat, which my_losses does not have. Choose one of: "),
        ("no_such_module:late", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("my_losses:late(tua=3)", "expected options of my_losses:late: tau, reduction, got 'tua'"),
        ("my_losses:late(tau=-3)", "(tau: expected a finite number above 0, got -3. Choose tau"),
        ("my_losses:quiet(tau=1)", "expected no options, as my_losses:quiet is a loss, got 'tau'"),
        ("my_losses.late", "expected a name that `spikeloss list` shows, got 'my_losses.late'"),
        ("my_losses:late:x", "expected a name that `spikeloss list` shows"),
    ],
)
def test_what_is_no_objective_is_refused(text: str, said: str) -> None:
    assert said in refusal(text)
    assert said in refusal(f"ce_count + 0.5*{text}")


@pytest.mark.usefixtures("package")
def test_code_that_a_file_names_is_not_run() -> None:
    (Path() / "ends.py").write_text("open('was_run', 'w')")
    assert "got ends:late, code that a file names. Name it on the" in refusal(
        "ends:late", code=False
    )
    assert not Path("was_run").exists()
    assert "ends" not in sys.modules
    assert find("ce_count", code=False).loss == presets.ce_count()


# Plug-ins


@pytest.mark.usefixtures("installed")
def test_plugins_are_objectives() -> None:
    assert list(plugins.presets()) == ["late_count", "later", "quiet"]
    assert find("late_count(tau=4.0)").loss.main.readout.tau == 4.0  # type: ignore[attr-defined]
    assert find("late_count").preset.source == "my_losses:late"
    assert find("later").preset.source == "Me (2026)"
    assert {"late_count", "later", "quiet", "ce_count", "rate_bounds"} <= set(every())
    assert {"late_count", "later"} <= set(deciding())
    assert not {"quiet", "rate_bounds"} & set(deciding())


@pytest.mark.usefixtures("installed")
def test_ours_win() -> None:
    assert find("ce_count").loss == presets.ce_count()
    said = "plug-in {}: expected a name that no other objective has, got my_losses:{}. Rename it "
    for name, value in (("ce_count", "late"), ("rate_bounds", "quiet")):
        assert any(line.startswith(said.format(name, value)) for line in plugins.problems())


@pytest.mark.usefixtures("installed")
def test_a_plugin_that_fails_breaks_nothing() -> None:
    lines = dict(zip(("broken", "ce", "ends", "gone", "missing", "number", "rate"),
                     plugins.problems(), strict=True))  # fmt: skip
    assert "(RuntimeError: no such luck)" in lines["broken"]
    assert "got ends:late (SystemExit: 3). Mend its package, or uninstall it." in lines["ends"]
    assert "No module named 'no_such_module'" in lines["gone"]
    assert "got my_losses:no_such_name (AttributeError" in lines["missing"]
    assert "got my_losses:number, 3." in lines["number"]
    facts = doctor.facts()
    assert facts["plug-in late_count"] == "my_losses:late"
    assert facts["plug-in gone"] == lines["gone"]


def test_without_plugins_there_are_none() -> None:
    plugins.plugins.cache_clear()
    assert plugins.presets() == {}
    assert plugins.problems() == ()


@pytest.mark.usefixtures("package")
def test_the_names_of_ours_are_taken() -> None:
    with pytest.raises(ValueError, match="name: expected a name that no preset of spikeloss has"):

        @presets.preset(source="", decides="")
        def ce_count() -> Loss:
            return presets.ce_rate()

    def again() -> Loss:
        return presets.ce_rate()

    for _ in range(2):  # one's own may be made again, as in a notebook
        presets.preset(source="", decides="")(again)
    assert "again" in presets.catalogue()
