"""The command line under attack: every mistake is one line, said before anything is allocated."""

import io
import json
import os
import random
import struct
import subprocess
import sys
import tarfile
import time
import tomllib
import warnings
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from spikeloss.lab import console, limits, plots, recording, score, summary
from spikeloss.lab.commands import app
from spikeloss.lab.errors import InputError, printable
from spikeloss.lab.foreign import run_from_records
from spikeloss.lab.objectives import find
from spikeloss.lab.recipe import Comparison, Recipe
from spikeloss.lab.runs import Epoch
from spikeloss.lab.training import rehearse

ROOT = Path(__file__).parent.parent
TINY = ["--epochs", "1", "--steps", "3", "--hidden", "4", "--batch-size", "512"]


def run(*words):
    """A command in this process; its warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return CliRunner().invoke(app, [str(word) for word in words], prog_name="spikeloss")


def said(*words):
    """The one line that a mistake is answered with."""
    result = run(*words)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.isprintable()
    return line


# ---- recordings

ARRAYS = {
    "spikes": np.arange(210).reshape(7, 5, 6) % 3 == 0,
    "membrane": np.linspace(-1, 1, 210).reshape(7, 5, 6),
    "labels": np.array([0, 3, 5, 1, 1]),
}
NOT_PLAIN = "expected an .npz archive of plain arrays, got something else."


def packed(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    return file.getvalue()


def header(descr="'<f8'", shape="(7, 5, 6)", order="False", data=b""):
    """An array that declares what it likes."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def archive(path, compression=zipfile.ZIP_DEFLATED, **changes):
    """The arrays in a file, some as other bytes; None leaves one out."""
    members = {name: packed(array) for name, array in ARRAYS.items()} | changes
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            if content is not None:
                file.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x01\x00{", b"\x93NUMPY\x09\x00" + packed([1])[8:],
        packed(ARRAYS["membrane"])[:-1], packed(ARRAYS["membrane"]) + b"x",
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 10000) + b"(" * 5000 + b")" * 5000,
        header("'O'"), header("[('a', 'O')]"), header("'<f8'", "(-7, 5, 6)"), header(shape="7"),
        header(shape="('a',)"), header(order="3"), header("'nonsense'"), header("None"), header(),
        header("'<f8'", f"({'9' * 5000},)"), header("'<f8'", "(7, 5, 6"), b"\x00" * 2000,
    ],
    ids=range(19),
)  # fmt: skip
@pytest.mark.parametrize("name", ["spikes", "labels"])
def test_a_damaged_array_is_one_line(tmp_path, name, content):
    file = archive(tmp_path / "a.npz", **{name: content})
    fix = "Write it with numpy.savez(FILE, spikes=..., labels=...)."
    assert said("score", file) == f"error: {file}: {NOT_PLAIN} {fix}"


def patched(path, at, value):
    """The file with two bytes of every entry of its directory changed, and of every header."""
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x01\x02", at), (b"PK\x03\x04", at - 2)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset : place + offset + 2] = struct.pack("<H", value)
            place = content.find(mark, place + 4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, 1), (10, 99), (10, 12), (10, 14)],
    ids=["encrypted", "99", "12", "14"],
)
def test_what_numpy_does_not_pack_is_refused(tmp_path, at, value):
    assert NOT_PLAIN in said("score", patched(archive(tmp_path / "a.npz"), at, value))
    assert NOT_PLAIN in said("score", archive(tmp_path / "b.npz", zipfile.ZIP_LZMA))


def test_a_file_changed_at_random_is_one_line_or_scored(tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # shown when it fails
    draw, file = random.Random(seed), tmp_path / "a.npz"
    kept = [archive(file, how).read_bytes() for how in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)]
    refusals = []
    for _ in range(200):
        content = bytearray(draw.choice(kept))
        for _ in range(draw.randint(1, 5)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        del content[draw.choice([draw.randrange(len(content)), len(content)]) :]
        file.write_bytes(content)
        try:
            found = recording.read(file)
        except InputError as wrong:
            refusals.append(str(wrong))
        else:
            assert found.shape == (7, 5, 6)
    assert len(refusals) > 100
    assert all("expected" in line for line in refusals)


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"spikes": header("'|b1'", "(1000000000000,)")}, "spikes: expected what is scored in 4"),
        ({"labels": header("'<i8'", f"({2**62},)")}, "labels: expected what is scored in 4 GiB"),
        ({"spikes": header("'<f8'", f"(7, 5, {2**62})")}, "spikes: expected what is scored in 4"),
        ({"spikes": header("'|b1'", "(100, 1000, 1200)")}, "spikes: expected what is scored in 4"),
        ({"spikes": header("'<U99999999'", "(7, 5, 6)")}, "spikes: expected what is scored in"),
    ],
)
def test_a_declared_size_is_refused_before_it_is_loaded(tmp_path, changes, start):
    line = said("score", archive(tmp_path / "a.npz", **changes))
    assert line.startswith(f"error: {start}")
    assert line.endswith("Score fewer samples at a time, or allow more with --memory.")


def events(path, shape, samples=8):
    one = {name: packed(np.array([0])) for name in ("time", "sample", "neuron")}
    labels = packed(np.zeros(samples, int))
    none = {"spikes": None, "membrane": None}
    return archive(path, **none, **one, labels=labels, shape=packed(np.array(shape)))


def test_a_small_file_of_events_takes_no_22_gb(tmp_path):
    file = events(tmp_path / "a.npz", [6, 8, 20_000_000])
    assert file.stat().st_size < 2000
    assert said("score", file) == (
        "error: shape: expected what is scored in 4 GiB of memory, got shape (6, 8, 20000000), "
        "which takes 37.3 GiB. Score fewer samples at a time, or allow more with --memory."
    )
    assert "numbers in a record" in said("score", events(file, [2**62, 8, 3]))
    assert "numbers in a record" in said("score", events(file, [2**62] * 3))
    small = json.loads(run("score", file := events(file, [6, 8, 300]), "--json").stdout)
    assert small["shape"] == [6, 8, 300]


def test_memory_is_an_option(tmp_path):
    file = archive(tmp_path / "a.npz", spikes=packed(np.zeros((70, 50, 60), bool)), membrane=None,
                   labels=packed(np.zeros(50, int)))  # fmt: skip
    assert run("score", file).exit_code == 0
    assert "scored in 0.005 GiB of memory" in said("score", file, "--memory", "0.005")
    for wrong in ("nan", "inf", "0", "-1", "x"):
        assert "--memory: expected a number from 0.001 to" in said("score", file, "--memory", wrong)


def test_many_samples_are_not_compared_in_pairs():
    found = recording.Recording(np.zeros(9000, int), spikes=np.ones((1, 9000, 2), bool))
    rows = {row.objective: row for row in score.scores(found, 2**30)}
    assert "every pair of samples" in rows["spike_similarity"].why_not
    assert rows["ce_rate"].why_not is None


def test_what_nobody_reads_is_not_loaded(tmp_path):
    file = archive(tmp_path / "a.npz", huge=header(shape="(1000000000000,)"), bad=b"junk")
    assert run("score", file).exit_code == 0


def test_a_bomb_is_read_as_far_as_it_declares(tmp_path):
    zeros = packed(ARRAYS["membrane"]) + bytes(2**28)
    started = time.perf_counter()
    assert NOT_PLAIN in said("score", archive(tmp_path / "a.npz", membrane=zeros))
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4", "<f2"])
def test_orders_of_bytes_and_axes_do_not_matter(tmp_path, order, dtype):
    array = np.asarray(ARRAYS["membrane"], dtype, order=order)
    file = archive(tmp_path / "a.npz", membrane=packed(array))
    assert np.array_equal(recording.read(file).membrane, array)
    assert recording.read(file).membrane.dtype.isnative


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_said_in_words(tmp_path, value):
    membrane = ARRAYS["membrane"].copy()
    membrane[2, 1, 3] = value
    file = archive(tmp_path / "a.npz", membrane=packed(membrane))

    def refuse(constant):
        raise AssertionError(constant)

    result = run("score", file, "--json")
    assert result.stderr == ""
    rows = json.loads(result.stdout, parse_constant=refuse)["scores"]
    for row in rows:
        assert (row["not_finite"] in ("nan", "inf", "-inf")) == (
            row["loss"] is None and row["why_not"] is None
        )
    words = [row["not_finite"] or row["why_not"] or "" for row in rows]
    assert any(word in ("inf", "-inf") or "got nan" in word for word in words)
    assert run("score", file).stderr == ""


def test_escape_codes_are_spelled_out(tmp_path):
    file = archive(tmp_path / "a.npz", labels=None, **{"\x1b[31mred\x07": packed([1])})
    assert r"got spikes, membrane, \x1b[31mred\x07. Add" in said("score", file)
    assert printable("a\x1b[0m\n b\udc80") == r"a\x1b[0m b\udc80"


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "x" * 5000, "a\udc80b", "pipe", "loop"])
def test_what_is_no_file_is_not_read(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    assert "expected a file to read, got" in said("score", name)


# ---- options


@pytest.mark.parametrize(
    ("option", "value", "most"),
    [
        ("--hidden", 10**12, 10**6),
        ("--steps", 10**10, 10**4),
        ("--batch-size", 2**70, 10**6),
        ("--epochs", 10**12, 10**5),
        ("--seeds", 10**9, 1000),
        ("--workers", 10**6, 256),
    ],
)
def test_huge_counts_are_refused(option, value, most):
    assert said("compare", option, value) == (
        f"error: {option}: expected a whole number of at most {most}, got {value}. "
        f"Try {option} {most}."
    )


def test_seeds_end_where_those_of_pytorch_do():
    words = ["train", "--objective", "ce_count", *TINY, "--seed"]
    assert run(*words, 2**64 - 1).exit_code == 0
    assert f"at most {2**64 - 1}, got {2**64}" in said(*words, 2**64)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "9" * 5000, "\x1b[31m", "1e-400"])
@pytest.mark.parametrize("option", ["--learning-rate", "--beta", "--hidden", "--seed"])
def test_no_number_is_refused(option, value):
    if (option, value) == ("--beta", "1e-400"):
        return  # 0
    line = said("train", "--objective", "ce_count", option, value)
    assert line.startswith(f"error: {option}: expected")
    assert len(line) < 200


def test_a_training_that_does_not_fit_is_refused(monkeypatch):
    words = ["compare", "--hidden", 10**6, "--steps", 10**4, "--workers", 2]
    monkeypatch.setattr(limits, "memory", lambda: 2**34)
    line = said(*words)
    assert line.startswith(
        "error: arguments: expected a training that fits into 16 GiB of memory, got one of at least"
    )
    limits.check_memory(Recipe(), 4)
    monkeypatch.setattr(limits, "memory", lambda: None)
    limits.check_memory(Recipe(hidden=10**6), 4)


def test_a_place_is_checked_before_training(tmp_path, monkeypatch):
    def fit(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr("spikeloss.lab.training.fit", fit)
    words = ["train", "--objective", "ce_count", *TINY, "--out"]
    assert "(File name too long). Name another place with --out." in said(*words, "x" * 300)
    assert "(File name too long)" in said(*words, tmp_path / ("x" * 300) / "file")
    assert "(File name too long)" in said("compare", "--out", tmp_path / ("x" * 300))
    (tmp_path / "link").symlink_to("nowhere")
    assert "which exists" in said(*words, tmp_path / "link")
    assert "null" in said(*words, "a\0b")


# ---- objectives


@pytest.mark.alike
@pytest.mark.parametrize(
    "text",
    [
        "mse_count(on={[1]:2})", f"mse_count(on={'-' * 3000}1)", f"mse_count(on={'-' * 50000}1)",
        "x" * 10**5, "ce_count+" * 10**5, "mse_count(on=0.1)(on=0.8)", "ce_count()()",
        "mse_count(on=0.1, on=0.8)", "mse_count(**{'on': 1})", "mse_count(*[1])", "mse_count(0.1)",
        f"mse_count(on={'[' * 5000}{']' * 4000})", f"mse_count(on={'not ' * 2000}1)",
        f"mse_count(on={'lambda:' * 1000}1)", f"mse_count(on=a{'.a' * 4000})", "ce_count\0",
        f"mse_count(on={'9' * 5000})", f"ce_count{' ' * 9000}!", "(" * 9999, "+" * 9999, "", "+",
        "1e999*ce_count", "mse_count(on=1e999)", "mse_count(on={1, 2})", "mse_count(on=1j)",
        "\x1b[31mce_count", "mse_count(on='\\d')", "\N{DEVANAGARI DIGIT TWO}*ce_count",
        f"{'ce_count+' * 950}ce_count", f"ce_count(class_weight=({'1,' * 4000}))" + " " * 1990,
    ],
    ids=range(31),
)  # fmt: skip
def test_a_hostile_objective_is_one_short_line(text):
    started = time.perf_counter()
    result = run("show", text)
    assert time.perf_counter() - started < 2
    if result.exit_code:
        line = said("show", text)
        assert line.startswith("error: objective: expected")
        assert len(line) < 400


def test_an_objective_has_a_longest_length():
    assert said("show", "x" * 10**5) == (
        "error: objective: expected at most 10000 characters, got 100000 of them. "
        "Write fewer terms."
    )


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ce_rate+*()-0.1e=on,[]{}'\" mse_count", max_size=40))
def test_any_text_is_an_objective_or_a_mistake(text):
    try:
        objective = find(text)
    except InputError:
        return
    assert find(objective.spelling) == objective


@pytest.mark.parametrize(
    "text",
    [
        "1e308*ce_count + 1e308*ce_count",
        "ce_count + rate_bounds(layers='[/x]')",
        r"ce_count + rate_bounds(layers='$\\frac$')",
        "ce_count(class_weight=[1, 2])",
        "ce_count(classes=10000000000000000000000)",
    ],
)
def test_an_objective_that_cannot_be_trained_is_found_before(text, tmp_path):
    out = tmp_path / "out"
    assert said("compare", "--objective", text, *TINY, "--out", out).startswith("error: objective:")
    assert not out.exists()


@pytest.mark.parametrize("data", ["digits", "digits-cut"])
@pytest.mark.parametrize("steps", [1, 4])
def test_every_objective_stands_its_rehearsal(data, steps):
    from spikeloss.lab.commands import _every

    recipe = Recipe(data=data, steps=steps, hidden=3)
    chosen = _every(recipe)
    assert len(chosen) > 20
    for objective in chosen:
        rehearse(recipe, objective)


NAMES = ["[/x]", "[bold]a[/bold]", r"$\frac$", "$$", "x" * 5000, "<b>&", ":smile:"]


@pytest.mark.alike
@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_shown(name, capfd):
    epoch = Epoch(0.5, 0.5, 1.0, 0.5)
    comparison = Comparison(Recipe(epochs=1), (name,), seeds=1)
    with console.progress(comparison, 1) as watch:
        watch(name, 0, epoch)
    spikes = np.zeros((2, 1, 2))
    spikes[1, 0, 1] = 1
    known = {"losses": [0.5], "accuracies": [0.5], "seconds": 1.0, "name": name}
    found = run_from_records("ce_count", [1], spikes=spikes, **known)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = summary.summarise([found])
        for picture in (
            plots.curves([found], plots.LIGHT),
            plots.anytime([found], plots.LIGHT),
            plots.losses([found], plots.LIGHT),
            plots.front(rows, plots.LIGHT),
        ):
            assert picture.startswith(b"\x89PNG")
    console.show_summary([found, replace(found, objective="other")])
    assert "s/epoch" in capfd.readouterr().out


# ---- output


def spoken(words, **options):
    return subprocess.run(
        [sys.executable, "-m", "spikeloss.cli", *words],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        **options,
    )


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["show", "ce_rate"], ["--help"]])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
def test_a_full_disk_is_one_line(words):
    with Path("/dev/full").open("w") as full:
        result = spoken(words, stdout=full)
    assert result.returncode == 1
    assert result.stderr == (
        "error: stdout: expected a place that can be written, got No space left on device. "
        "Send the output elsewhere.\n"
    )


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        assert spoken(["list", "--json"], stdout=gone).stderr == ""


def test_output_that_is_closed_is_one_line():
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "spikeloss.cli", "list"]
    result = subprocess.run(shell, stderr=subprocess.PIPE, text=True)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)


def test_an_alphabet_without_lines_is_no_mistake():
    for coding in ("ascii", "latin-1"):
        environment = os.environ | {"PYTHONIOENCODING": coding}
        result = spoken(["list"], stdout=subprocess.PIPE, env=environment)
        assert (result.returncode, result.stderr) == (0, "")


# ---- the source distribution


def test_the_source_distribution_names_its_files_from_the_root():
    """A pattern without a slash takes along every file of that name, wherever it is."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert options["targets"]["sdist"]["include"] == [
        "/src", "/tests", "/hatch_build.py", "/README.md", "/CHANGELOG.md", "/LICENSE",
    ]  # fmt: skip


@pytest.mark.skipif(find_spec("hatchling") is None, reason="builds with hatchling")
def test_the_source_distribution_holds_the_package_alone(tmp_path):
    words = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (file,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as content:
        tops = {name.split("/")[1] for name in content.getnames()}
    assert tops == {
        "src", "tests", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", ".gitignore",
        "PKG-INFO",
    }  # fmt: skip
