"""What all tests share: a home of their own, and which of them go together to one worker, and which go first."""

from collections import Counter
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


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of a lesson are a group, whatever their file, and those of any other file: they share what is made.

    Lessons go first, since each takes long, then files with many tests: at the end, no worker has nothing left to do
    while another is in the middle of much.
    """
    groups = {item: _lesson(item) or item.nodeid.partition("::")[0] for item in items}
    sizes = Counter(groups.values())
    items.sort(key=lambda item: (_lesson(item) is None, -sizes[groups[item]], groups[item]))
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))


def _lesson(item: pytest.Item) -> str | None:
    """The lesson that a test of tests/source looks at."""
    return item.callspec.id if item.path.parent.name == "source" and hasattr(item, "callspec") else None
