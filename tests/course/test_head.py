"""The head of a lesson: what stands above it, and that it moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from course import head, scale
from course.learner import progress

CPU = torch.device("cpu")


class Handle:
    """Stands for the place of a display in a notebook."""

    def __init__(self, said: list[dict[str, str]]) -> None:
        self.said = said

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        self.said.append(bundle)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[dict[str, str]]:
    """What a notebook shows, in turn."""
    monkeypatch.setenv(progress.HOME_VARIABLE, str(tmp_path))
    monkeypatch.delenv(scale.SCALE_VARIABLE, raising=False)
    shown: list[dict[str, str]] = []

    def display(bundle: dict[str, str], raw: bool, display_id: bool) -> Handle:
        shown.append(bundle)
        return Handle(shown)

    monkeypatch.setattr(head, "display", display)
    monkeypatch.setattr(head, "_shown", {})
    monkeypatch.setattr(scale, "interactive", lambda: True)
    return shown


def test_it_says_device_scale_time_and_progress(said: list[dict[str, str]]) -> None:
    head.show("04-freezing", CPU, minutes=3)
    (bundle,) = said
    for words in ("the CPU", "at offline scale", "about 3 minutes", "0 of 5 exercises", "Next: exercise 1, freeze"):
        assert words in bundle["text/plain"] and words in bundle["text/html"]
    assert "<script" not in bundle["text/html"]


def test_it_moves_when_a_check_has_passed(said: list[dict[str, str]]) -> None:
    head.show("04-freezing", CPU, minutes=3)
    progress.record("check", "freeze", state="right", points=5.0)
    head.refresh()
    assert len(said) == 2
    assert "1 of 5 exercises, 5 of 20 points" in said[1]["text/plain"]
    assert "freeze: right, 5 of 5 points" in said[1]["text/html"]


def test_nothing_is_shown_or_kept_while_a_notebook_is_graded(
    said: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(scale.GRADING_VARIABLE, "autograde")
    head.show("04-freezing", CPU, minutes=3)
    head.refresh()
    assert said == [] and capsys.readouterr().out == "" and not progress.file().exists()


def test_in_a_script_it_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(scale.SCALE_VARIABLE, "quick")
    head.show("04-freezing", CPU, minutes=3)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "quick scale" in out and "show nothing true" in out
