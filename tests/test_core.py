"""The native core: its interface, how it is built, and what is said of it."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikeloss import Loss, criteria, presets, readouts
from spikeloss._kernels import available, build, native, outputs, stages

ROOT = Path(__file__).parents[1]
HEADER = (build.CORE / "spikeloss.h").read_text()

needs_core = pytest.mark.skipif(available() is not True, reason=f"no native core: {available()}")


def numbered(first: str) -> list[str]:
    """The names of the enumeration that begins with that one, in order, in small letters."""
    body = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
    (inside,) = re.findall(rf"enum {{\s*({first}\b.*?)}}", body, flags=re.DOTALL)
    return [name.strip().removeprefix("SL_").lower() for name in inside.split(",")]


def test_the_header_and_python_name_the_same_kernels():
    assert tuple(numbered("SL_SUM")) == (*native.OPS, "ops", f"backward = {native.BACKWARD}")


def test_the_header_and_python_number_the_same_types():
    names = numbered("SL_F32")
    assert [getattr(native, name.upper()) for name in names] == list(range(len(names)))


def test_the_header_and_python_have_one_interface():
    assert f"#define SL_ABI {native.ABI}\n" in HEADER
    assert f"SL_NOT_FINITE = {native.NOT_FINITE}," in HEADER


def test_every_kernel_says_what_it_gives_and_has_a_composed_form():
    assert set(outputs.GIVES) == set(native.OPS)
    for readout in (readouts.Maximum(), readouts.FilteredTrace(tau=2.0)):
        kernel = stages.of_readout(readout)
        assert kernel is not None
        assert type(kernel.stage) is type(readout)


@needs_core
@pytest.mark.parametrize("variant", ["avx512", "avx2", "neon", "baseline"])
def test_variants_are_those_of_the_machine(variant):
    core = native.core()
    before, known = core.variant, variant in build.VARIANTS.get(build.machine(), {"baseline": ""})
    try:
        assert not core.choose(variant) or (known and core.variant == variant)
    finally:
        assert core.choose(before)


@needs_core
def test_a_kernel_that_is_none_is_refused():
    with pytest.raises(RuntimeError, match="no kernel"):
        native.core().run(len(native.OPS), (1, 1, 1), native.NOTHING, threads=1)


def test_a_library_of_another_interface_is_refused(tmp_path):
    source, library = tmp_path / "other.c", tmp_path / build.filename()
    source.write_text("long long sl_abi(void) { return 0; }\n")
    try:
        subprocess.run([*build.compiler(), "-shared", "-fPIC", source, "-o", library], check=True)
    except build.CannotBuildError as error:
        pytest.skip(str(error))
    with pytest.raises(OSError, match="interface 0, expected"):
        native.Core(str(library))


@pytest.mark.parametrize("cc", ["/bin/false", "no-such-compiler"])
def test_without_a_compiler_the_build_says_so(monkeypatch, tmp_path, cc):
    monkeypatch.setenv("CC", cc)
    target = tmp_path / "core.so"
    with pytest.raises(build.CannotBuildError, match=r"failed|No such file"):
        build.build(target)
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_fails_leaves_the_library_that_is_there(monkeypatch, tmp_path):
    target = tmp_path / "core.so"
    target.write_text("the old one")
    monkeypatch.setenv("CC", "/bin/false")
    with pytest.raises(build.CannotBuildError):
        build.build(target)
    assert target.read_text() == "the old one"


PLATFORMS = {
    "linux-x86_64": ("x86_64", "libspikeloss.so", "linux_x86_64"),
    "linux-aarch64": ("aarch64", "libspikeloss.so", "linux_aarch64"),
    "linux-riscv64": ("another", "libspikeloss.so", "linux_riscv64"),
    "macosx-10.13-x86_64": ("x86_64", "libspikeloss.dylib", "macosx_10_13_x86_64"),
    "macosx-11.0-arm64": ("aarch64", "libspikeloss.dylib", "macosx_11_0_arm64"),
    "win-amd64": ("x86_64", "libspikeloss.dll", "win_amd64"),
    "win-arm64": ("aarch64", "libspikeloss.dll", "win_arm64"),
    "win32": ("another", "libspikeloss.dll", "win32"),
    "mingw_x86_64_ucrt_gnu": ("x86_64", "libspikeloss.dll", "mingw_x86_64_ucrt_gnu"),
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_machine_library_and_tag_are_those_of_the_platform(monkeypatch, platform):
    monkeypatch.setattr(build.sysconfig, "get_platform", lambda: platform)
    machine, library, tag = PLATFORMS[platform]
    assert (build.machine(), build.filename()) == (machine, library)
    assert build.tag() == f"py3-none-{tag}"


@pytest.mark.parametrize(
    ("version", "machine", "tag"),
    [
        ("10.13", "arm64", "macosx_11_0_arm64"),
        ("12.0", "arm64", "macosx_12_0_arm64"),
        ("10.13", "x86_64", "macosx_10_13_x86_64"),
    ],
)
def test_a_python_for_both_kinds_of_mac_has_the_library_of_one(monkeypatch, version, machine, tag):
    monkeypatch.setattr(build.sysconfig, "get_platform", lambda: f"macosx-{version}-universal2")
    monkeypatch.setattr(build.platform, "machine", lambda: machine)
    assert build.tag() == f"py3-none-{tag}"


@pytest.mark.parametrize(("platform", "first"), [("win-amd64", "clang"), ("linux-x86_64", "cc")])
def test_on_windows_clang_is_looked_for_first(monkeypatch, platform, first):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(build.sysconfig, "get_platform", lambda: platform)
    monkeypatch.setattr(build.shutil, "which", lambda name: name)
    assert build.compiler() == [first]


POSIX = pytest.mark.skipif(os.name == "nt", reason="the compiler that is none is a script")
SCRIPT = """#!/bin/sh
echo "$MACOSX_DEPLOYMENT_TARGET $*" >>"{said}"
while [ "$1" != -o ]; do shift; done
: >"$2"
"""


@pytest.fixture
def pretended(monkeypatch, tmp_path):
    """A compiler that compiles nothing, and writes down what it was told."""
    said, script = tmp_path / "said", tmp_path / "cc"
    script.write_text(SCRIPT.format(said=said))
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    return said


@POSIX
@pytest.mark.parametrize("given", [None, "12.3"])
def test_the_compiler_of_a_mac_is_told_of_machine_and_version(
    monkeypatch, tmp_path, pretended, given
):
    monkeypatch.setattr(build.sysconfig, "get_platform", lambda: "macosx-10.13-x86_64")
    monkeypatch.setenv("ARCHFLAGS", "-arch x86_64")
    monkeypatch.delenv("MACOSX_DEPLOYMENT_TARGET", raising=False)
    if given:
        monkeypatch.setenv("MACOSX_DEPLOYMENT_TARGET", given)
    build.build(tmp_path / "library")
    commands = pretended.read_text().splitlines()
    assert len(commands) == 10
    assert all(command.startswith(f"{given or '10.13'} -arch x86_64 ") for command in commands)


@POSIX
@pytest.mark.parametrize("platform", ["win-amd64", "linux-x86_64"])
def test_only_windows_has_no_options_of_elsewhere(monkeypatch, tmp_path, pretended, platform):
    monkeypatch.setattr(build.sysconfig, "get_platform", lambda: platform)
    build.build(tmp_path / "library")
    *parts, link = pretended.read_text().splitlines()
    assert all(("-fPIC" in part) == (platform != "win-amd64") for part in parts)
    assert link.endswith(" -static-libgcc" if platform == "win-amd64" else " -pthread -lm")


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("platform", ["macosx-10.13-x86_64", "macosx-11.0-arm64", "win-amd64"])
def test_a_wheel_of_elsewhere_holds_its_library(tmp_path, pretended, platform):
    _, library, tag = PLATFORMS[platform]
    wheel = wheel_of(tmp_path, {"_PYTHON_HOST_PLATFORM": platform})
    assert re.fullmatch(rf"spikeloss-.*-py3-none-{tag}\.whl", wheel.name)
    held = [name for name in zipfile.ZipFile(wheel).namelist() if "libspikeloss" in name]
    assert held == [f"spikeloss/_kernels/{library}"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compiles", "tag"),
    [(True, r"py3-none-(?!any).*"), (False, "py3-none-any")],
    ids=["compiled", "pure"],
)
def test_a_wheel_holds_the_library_or_is_pure(tmp_path, compiles, tag):
    """What the library is in another test; here nothing is optimised, which takes long."""
    environment = {"CC": "/bin/false"}
    if compiles:
        try:
            cc = build.compiler()
        except build.CannotBuildError as error:
            pytest.skip(str(error))
        plain = tmp_path / "plain.py"
        call = f"subprocess.call([*{cc}, *sys.argv[1:], '-O0'])"
        plain.write_text(f"import subprocess, sys\nsys.exit({call})\n")
        joined = " ".join if os.name == "nt" else shlex.join
        environment = {"CC": joined([sys.executable, str(plain)])}
    wheel = wheel_of(tmp_path, environment)
    assert re.fullmatch(rf"spikeloss-.*-{tag}\.whl", wheel.name)


def wheel_of(tmp_path, environment):
    source = tmp_path / "source"
    keep = ("src", "hatch_build.py", "pyproject.toml", "README.md", "LICENSE")
    source.mkdir()
    for name in keep:
        subprocess.run(["cp", "-r", ROOT / name, source / name], check=True)
    for library in source.glob("src/spikeloss/_kernels/libspikeloss*"):
        library.unlink()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, source]
    subprocess.run(command, check=True, env=os.environ | environment)
    (wheel,) = tmp_path.glob("*.whl")
    return wheel


RECORD = np.ones((5, 3, 4), np.float32)


@needs_core
@pytest.mark.parametrize(
    ("loss", "target", "said"),
    [
        (presets.ce_rate(), np.array([0, 1, 2]), "CrossEntropy.*: kernel ce"),
        (presets.ce_max_membrane(), np.array([0, 1, 2]), r"Maximum\(\): kernel max"),
        (presets.mse_trace(), RECORD, "FilteredTrace.* and SquaredError.*: kernel train"),
        (
            presets.ce_rate(class_weight=(1.0, 2.0, 3.0, 4.0)).replace(
                criterion=criteria.CrossEntropy(label_smoothing=0.1)
            ),
            np.array([0, 1, 2]),
            "CrossEntropy.*: composed, as there are class weights and smoothing",
        ),
        (
            Loss(readouts.EveryStep(), criteria.Focal()),
            np.array([0, 1, 2]),
            "Focal.*: composed, as no kernel stands for it",
        ),
    ],
)
def test_explain_says_what_runs(monkeypatch, loss, target, said):
    monkeypatch.setenv("SPIKELOSS_KERNELS", "auto")
    first, *others = loss.explain(RECORD, target).splitlines()
    assert first.startswith("SPIKELOSS_KERNELS=auto, native core ")
    assert any(re.fullmatch(said, line) for line in others), others


def test_explain_says_why_there_are_no_kernels(monkeypatch):
    monkeypatch.setenv("SPIKELOSS_KERNELS", "off")
    said = presets.ce_rate().explain(RECORD, np.array([0, 1, 2]))
    assert "composed; there are no kernels: they are off" in said


def test_another_word_for_the_kernels_is_refused(monkeypatch):
    monkeypatch.setenv("SPIKELOSS_KERNELS", "on")
    with pytest.raises(ValueError, match="SPIKELOSS_KERNELS: expected auto, off or require"):
        presets.ce_rate()(RECORD, np.array([0, 1, 2]))


def test_required_kernels_that_are_not_there_are_an_error(tmp_path):
    script = "import numpy, spikeloss; spikeloss.presets.ce_count()(numpy.ones((3, 2, 2)), [0, 1])"
    environment = {"SPIKELOSS_CORE": str(tmp_path / "none.so"), "SPIKELOSS_KERNELS": "require"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | environment
    )
    assert "SPIKELOSS_KERNELS: expected the native core" in done.stderr
    environment["SPIKELOSS_KERNELS"] = "auto"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | environment)
