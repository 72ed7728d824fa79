"""One source for the settings: traits, made from the limits."""

from dataclasses import fields

import pytest
from traitlets import TraitError
from traitlets.config import Config

from autograder import settings
from autograder.limits import Limits
from autograder.settings import Autograder


def configured(**classes: dict[str, object]) -> Autograder:
    return Autograder(config=Config(classes))


def test_every_limit_is_a_setting_with_its_default_and_reason() -> None:
    said = {name: (default, text) for name, default, text in settings.table()}
    for limit in fields(Limits):
        assert said[limit.name] == (limit.default, limit.metadata["why"])
    assert {"jobs", "isolation", "hide", "scheduler", "beside_learner"} <= said.keys()
    assert all(text for _, text in said.values())
    assert Autograder().limits() == Limits()


def test_a_course_sets_limits() -> None:
    limits = configured(Autograder={"memory_mib": 2048, "processes": 3}).limits()
    assert (limits.memory_mib, limits.processes, limits.open_files) == (2048, 3, Limits().open_files)
    with pytest.raises(TraitError):
        configured(Autograder={"memory_mib": "much"})
    with pytest.raises(TraitError):
        configured(Autograder={"isolation": "perhaps"})


def test_nbgraders_own_timeout_is_the_time_of_a_cell_unless_this_grader_says() -> None:
    assert configured(Execute={"timeout": 7}).limits().cell_seconds == 7
    assert configured(Execute={"timeout": 7}, Autograder={"cell_seconds": 9}).limits().cell_seconds == 9
    assert configured(Execute={"timeout": -1}).limits().cell_seconds == Limits().submission_seconds
    assert configured(Execute={"timeout": None}).limits().cell_seconds == Limits().cell_seconds


def test_test_cells_run_beside_the_learners_code_only_where_the_course_says_so() -> None:
    assert not Autograder().may_run_beside("ps1", "work", "test-1")
    some = configured(Autograder={"beside_learner": ["ps1/work/test-*", "ps2/*/*"]})
    assert some.may_run_beside("ps1", "work", "test-1") and some.may_run_beside("ps2", "any", "cell")
    assert not some.may_run_beside("ps1", "more", "test-1") and not some.may_run_beside("ps10", "work", "x")
