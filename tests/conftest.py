"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def learner_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What checks keep of a learner's progress goes here, and not to whoever runs the tests."""
    before = os.environ.get("COURSE_HOME")
    home = tmp_path_factory.mktemp("home")
    os.environ["COURSE_HOME"] = str(home)
    yield home
    if before is None:
        del os.environ["COURSE_HOME"]
    else:
        os.environ["COURSE_HOME"] = before
