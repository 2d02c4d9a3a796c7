"""The application over the tiny package, without a socket."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.packages import PACKAGES

MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Return a function that makes a ready client; its arguments are settings."""
    with clients() as make:
        yield make


@contextmanager
def clients() -> Iterator[MakeClient]:
    """Yield what the fixture does, for a fixture of another scope."""
    with ExitStack() as stack:

        def make(models_dir: Path = PACKAGES, **settings: Any) -> TestClient:
            app = create_app(Settings(models_dir=models_dir, threads=1, **settings))
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False))
            while app.state.service.phase == "starting":
                pass
            return client

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """Return a ready client with the default settings."""
    return make_client()
