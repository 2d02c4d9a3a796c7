"""One running service for the tests that only ask; those that stop or overload it start their own."""

from collections.abc import Iterator

import pytest

from tests.server import Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Yield a ready service over the tiny package."""
    with serving() as running:
        yield running
