"""What ``autograder doctor`` says of a machine."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from autograder.cli import main
from autograder.sandbox import isolation, landlock, protections, seccomp


def refuse(*_: Any) -> int:
    raise PermissionError(1, "unshare: Operation not permitted")


def by_name() -> dict[str, protections.Protection]:
    return {one.name: one for one in protections.protections()}


def test_every_protection_is_tried_and_listed(isolated: None) -> None:
    found = by_name()
    assert all(one.there for one in found.values() if one.required)
    assert {"mount namespace", "network namespace", "root of its own", "seccomp filter", "Landlock"} <= found.keys()
    required = {name for name, one in found.items() if one.required}
    assert {"mount namespace", "PID namespace", "no_new_privs", "seccomp filter"} <= required
    assert "Landlock" not in required
    if landlock.abi():
        assert found["Landlock"].there and found["Landlock"].detail == f"ABI {landlock.abi()}"


def test_a_filter_that_lets_all_pass_is_no_filter(isolated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "install", lambda: None)
    one = by_name()["seccomp filter"]
    assert not one.there and one.required and one.without and one.remedy


def test_a_machine_without_landlock_is_good_enough(isolated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "restrict", lambda *_: 0)
    said = CliRunner().invoke(main, ["doctor"])
    assert said.exit_code == 0 and "defence in depth" in said.output and "Linux 5.13" in said.output


def test_a_machine_without_namespaces_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protections, "_alone", refuse)
    monkeypatch.setattr(isolation, "_clone", refuse)
    said = CliRunner().invoke(main, ["doctor"])
    assert said.exit_code == 1 and "missing" in said.output and "--isolation none" in said.output
    as_json = CliRunner().invoke(main, ["doctor", "--json"])
    told = json.loads(as_json.output)
    assert as_json.exit_code == 1 and told["isolated"] is False
    network = next(one for one in told["protections"] if one["name"] == "network namespace")
    assert not network["there"] and "unshare" in network["detail"] and "Docker" in network["remedy"]


def test_json_of_a_machine_that_can(isolated: None) -> None:
    said = CliRunner().invoke(main, ["doctor", "--json"])
    assert said.exit_code == 0 and json.loads(said.output)["isolated"] is True


def test_another_system_is_told_to_use_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protections.sys, "platform", "darwin")
    found = protections.protections()
    assert found and not any(one.there for one in found) and all("Linux" in one.remedy for one in found)
