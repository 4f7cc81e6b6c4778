"""What holds for all tests: how XLA compiles for them, what one that is `alike` may not do, and
what is left out without PySpike.

XLA compiles quickly, and in one worker for the others too.

LLVM optimises nothing: the passes of XLA itself, which choose how an expression is computed, all
run. The programs of several devices set flags of their own and are compiled as for a user. What
one worker compiled is read by the others, from a folder that goes with the run; or it is in
`JAX_COMPILATION_CACHE_DIR`, which `make check` has for all of its runs.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from importlib.util import find_spec

import pytest
from hypothesis.internal.conjecture import providers

ALWAYS = {
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def pytest_configure(config: pytest.Config) -> None:
    # Draws of Hypothesis would depend on which modules a worker happened to import before: it
    # reads constants to try from them.
    providers._get_local_constants = lambda: providers._local_constants
    if hasattr(config, "workerinput"):
        return  # workers, and programs that tests start, inherit it
    os.environ |= ALWAYS | os.environ
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="spikeloss-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder


NO_PYSPIKE = find_spec("pyspike") is None
OF_PYSPIKE = ("isi_distance", "spike_distance", "spike_synchronization")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The examples of the distances that PySpike computes need it, as their tests do."""
    names = [f"spikeloss.distances.{name}" for name in OF_PYSPIKE if NO_PYSPIKE]
    items[:] = [item for item in items if item.name not in names]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What an installation without PySpike leaves out, which is built from source or not at all."""
    if NO_PYSPIKE:
        names = ", ".join(OF_PYSPIKE)
        terminalreporter.line(f"left out: {names}, as PySpike is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test with the mark `alike`, which `make composed` leaves out, fails where a kernel runs."""
    if item.get_closest_marker("alike") is None:
        return (yield)
    fast = pytest.importorskip("spikeloss._kernels.fast")

    def run(*given: object) -> None:
        raise AssertionError("a kernel runs: take the mark `alike` away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "run", run)
        return (yield)
