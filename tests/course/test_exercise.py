"""How a check speaks: five states, parts of the points, a card, silence on stderr."""

import signal
import sys
import threading
import warnings

import pytest
import torch
from IPython.utils.capture import capture_output

from course.exercise import VERDICT_MIME, Check, Misconception, NothingEarned, State, Wrong

BACKWARDS = Misconception("backwards", "The sign of `x` is <b>wrong</b>.", "which side you subtract")


def make_check(**options) -> Check:
    check = Check("double", hints=("one", "two", "three"), **options)

    @check.part(2, "doubles small numbers")
    def _(double, cases):
        for number in (1, 2, *cases):
            if double(number) != 2 * number:
                raise Wrong(BACKWARDS, seen=double(number), expected=2 * number)

    @check.part(1, "doubles zero")
    def _(double, cases):
        if double(0) != 0:
            raise Wrong(BACKWARDS, seen=double(0), expected=0)

    return check


@pytest.fixture
def check() -> Check:
    return make_check()


def test_a_right_answer_earns_every_point(check):
    verdict = check.verdict(lambda x: x + x)
    assert (verdict.state, verdict.points, verdict.misconception) == (State.RIGHT, 3.0, None)
    assert type(check(lambda x: 2 * x)) is float


def test_a_half_right_one_earns_its_parts(check):
    with capture_output():
        assert check(lambda x: 0) == 1.0
    assert check.last.state is State.WRONG
    assert check.last.misconception == "backwards"
    assert [o.state for o in check.last.outcomes] == [State.WRONG, State.RIGHT]


def test_nothing_earned_is_an_assertion_error_of_one_line(check):
    with capture_output(), pytest.raises(AssertionError, match="double: wrong") as caught:
        check(lambda x: -1)
    assert isinstance(caught.value, NothingEarned)
    assert len(caught.value._render_traceback_()) == 1


def test_a_stub_is_not_attempted(check):
    def double(x):
        raise NotImplementedError

    assert check.verdict(double).state is State.NOT_ATTEMPTED


def test_an_error_is_shown_with_the_learners_own_line(check):
    def double(x):
        return {}["missing"] + torch.ones(2).reshape(3)  # the line to see

    verdict = check.verdict(double)
    assert verdict.state is State.ERROR
    assert "KeyError: 'missing'" in verdict.message
    assert "the line to see" in verdict.worst.lines
    assert "exercise.py" not in verdict.worst.lines


@pytest.mark.parametrize("error", [SystemExit(0), NotImplementedError("forward is missing"), RecursionError()])
def test_whatever_is_raised_is_an_error_and_not_the_end(check, error):
    def double(x):
        raise error

    assert check.verdict(double).state is State.ERROR


def test_an_interrupt_by_the_learner_goes_through(check):
    def double(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.verdict(double)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no alarm to interrupt with")
def test_an_endless_loop_is_too_slow_even_where_it_catches_everything():
    def double(x):
        while True:
            try:
                while True:
                    pass
            except Exception:
                pass

    before = signal.getsignal(signal.SIGALRM)
    verdict = make_check(seconds=0.2).verdict(double)
    assert verdict.state is State.TOO_SLOW
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_it_works_outside_the_main_thread(check):
    found = []
    thread = threading.Thread(target=lambda: found.append(check.verdict(lambda x: 2 * x).state))
    thread.start()
    thread.join()
    assert found == [State.RIGHT]


def test_added_cases_are_looked_at_and_replace_those_of_the_same_name(check):
    def double(x):
        return 2 * x if x < 100 else 0

    assert check.verdict(double).points == 3
    check.add_cases(large=1000)
    check.add_cases(large=1000)
    assert check.verdict(double).points == 1
    assert list(check.cases) == ["large"]


def test_stderr_is_silent_and_kept_for_the_card(check, capfd):
    def double(x):
        print("to stderr", file=sys.stderr)
        warnings.warn("a warning of torch", stacklevel=1)
        return 2 * x

    verdict = check.verdict(double)
    assert verdict.state is State.RIGHT
    assert "to stderr" in verdict.stderr
    assert capfd.readouterr().err == ""


def test_the_learners_random_state_is_left_alone(check):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    check.verdict(lambda x: 2 * x + 0 * torch.rand(()))
    assert torch.equal(torch.rand(4), expected)


def test_the_card_says_it_to_people_and_to_graders(check):
    bundle = check.verdict(lambda x: 0)._repr_mimebundle_()
    assert bundle[VERDICT_MIME] == {
        "version": 1,
        "exercise": "double",
        "state": "wrong",
        "points": 1.0,
        "max_points": 3.0,
        "misconception": "backwards",
        "message": "The sign of `x` is <b>wrong</b>.",
    }
    page, text = bundle["text/html"], bundle["text/plain"]
    assert "&lt;b&gt;wrong&lt;/b&gt;" in page and "<b>wrong</b>" not in page
    assert "<code>x</code>" in page
    assert "<script" not in page
    for words in ("1 of 3 points", "which side you subtract", "Seen: 0", "Expected: 2"):
        assert words in text


def test_each_hint_says_more_and_the_last_stays(check, monkeypatch):
    said = []
    monkeypatch.setattr("course.exercise.display", lambda shown: said.append(shown.data))
    for _ in range(4):
        check.hint()
    assert [text.split()[-1] for text in said] == ["one", "two", "three", "three"]
    assert "Hint 2 of 3" in said[1]


def test_points_are_the_sum_of_the_parts(check):
    assert check.points == 3.0
    assert "3 points" in repr(check)
