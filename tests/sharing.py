"""What the tests of threads share: all of a pool at work on records that are small."""

from collections.abc import Iterator

import pytest

from spikeloss._kernels.native import core


@pytest.fixture
def threaded() -> Iterator[None]:
    """Threads share out what is not worth their waking up, too."""
    found = core()
    if not isinstance(found, str):
        found.share(1)
    yield
    if not isinstance(found, str):
        found.share()
