"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def learner_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What checks keep of a learner's progress goes here, and not to whoever runs the tests; they speak English."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(home))
        patch.setenv("COURSE_LANGUAGE", "en")
        yield home
