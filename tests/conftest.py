"""What all tests share: a home of their own, and which of them go together to one worker, and which go first."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


@pytest.fixture(scope="session", autouse=True)
def learner_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What checks keep of a learner's progress goes here, and not to whoever runs the tests; they speak English."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(home))
        patch.setenv("COURSE_LANGUAGE", "en")
        yield home


def _group(nodeid: str) -> str:
    """All tests of a lesson are a group, whatever their file, and those of any other file: they share what is made."""
    file, _, test = nodeid.partition("::")
    return test.partition("[")[2] or file if file.startswith("tests/source/") else file


class Groups(LoadScopeScheduling):
    """Hands one group after another to the workers, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    config.option.loadscopereorder = False
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lessons go first, since each takes long, then files with many tests.

    So at the end no worker has nothing left to do while another is in the middle of much.
    """
    groups = {item: _group(item.nodeid) for item in items}
    sizes = Counter(groups.values())
    items.sort(key=lambda item: (groups[item].startswith("tests/"), -sizes[groups[item]], groups[item]))
