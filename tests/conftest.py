"""Which tests go together to one worker, and which go first."""

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


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
