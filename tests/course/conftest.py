"""What tests of the course share."""

import socket

import pytest


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test may not speak to the network, and inherits no scale."""

    def refuse(*args: object) -> None:
        raise OSError("a test tried to use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
