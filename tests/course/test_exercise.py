"""How a check speaks: five states, parts of the points, a card, silence on stderr."""

import signal
import sys
import threading
import warnings

import pytest
import torch
from IPython.utils.capture import capture_output

from course.exercise import VERDICT_MIME, Check, Misconception, NothingEarned, State, Wrong
from course.learner import progress

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

    before, alarm = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    verdict = make_check(seconds=0.2).verdict(double)
    assert verdict.state is State.TOO_SLOW
    assert signal.getsignal(signal.SIGALRM) is before
    left, every = signal.getitimer(signal.ITIMER_REAL)  # as before, which may be that of whoever runs the tests
    assert every == alarm[1] and alarm[0] - 5 < left <= alarm[0]


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


def test_gradients_are_on_for_every_part_and_as_they_were_afterwards():
    check, seen = Check("double", hints=("one", "two", "three")), []
    for _ in range(2):
        check.part(1, "switches gradients off")(lambda double, cases: double(seen))

    def switches_off(seen):
        seen.append(torch.is_grad_enabled())
        torch.set_grad_enabled(False)

    with torch.no_grad():
        check.verdict(switches_off)
        assert not torch.is_grad_enabled()
    check.verdict(switches_off)
    assert torch.is_grad_enabled()
    assert seen == [True] * 4


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
    monkeypatch.setattr("course.exercise.display", lambda shown: said.append(repr(shown)))
    for _ in range(4):
        check.hint()
    assert [text.split()[-1] for text in said] == ["one", "two", "three", "three"]
    assert "Hint 2 of 3" in said[1]


def test_points_are_the_sum_of_the_parts(check):
    assert check.points == 3.0
    assert "3 points" in repr(check)


def test_a_hint_can_be_asked_for_by_its_number(check, monkeypatch):
    said = []
    monkeypatch.setattr("course.exercise.display", lambda shown: said.append(repr(shown)))
    check.hint(3)
    check.hint()
    assert [text.split()[-1] for text in said] == ["three", "one"]
    with pytest.raises(ValueError, match="1 to 3"):
        check.hint(4)


def test_the_failing_input_can_be_had_to_play_with(check):
    def double(x):
        return 0 if x == 2 else 2 * x

    check.verdict(double)
    assert check.last.inputs == {"x": 2}
    check.verdict(lambda x: 2 * x)
    with pytest.raises(LookupError, match="nothing wrong"):
        check.last.inputs  # noqa: B018


def make_drawn() -> Check:
    check = Check("scale", hints=("one", "two", "three"))

    @check.part(1, "doubles in place")
    def _(scale, cases):
        for size in (2, 3):
            x = torch.rand(size)
            expected = 2 * x
            scale(x, factor=2)
            if not torch.equal(x, expected):
                raise Wrong(BACKWARDS, seen=x, expected=expected)

    return check


def test_a_failing_input_is_as_it_was_before_the_call_and_new_each_time():
    check = make_drawn()

    def scale(x, factor):
        x.zero_()

    check.verdict(scale)
    first, second = check.last.inputs, check.last.inputs
    torch.manual_seed(check.seed)
    assert torch.equal(first["x"], torch.rand(2)) and first["factor"] == 2
    first["x"].zero_()
    assert second["x"].abs().sum() > 0 and check.last.inputs["x"].abs().sum() > 0


def test_looking_at_a_failing_input_moves_no_random_state_and_prints_nothing(check, capsys):
    def double(x):
        print("called")
        return 0

    check.verdict(double)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check.last.inputs  # noqa: B018
    assert torch.equal(torch.rand(3), expected)
    assert capsys.readouterr().out == ""


def test_arguments_that_do_not_fit_are_given_by_their_place():
    check = make_drawn()
    check.verdict(lambda: None)
    assert set(check.last.inputs) == {"0", "factor"}


def test_what_the_code_prints_is_on_the_card_and_its_end_is_enough(check, capsys):
    def double(x):
        print("line\n" * 1000 + f"the last for {x}")
        return 2 * x

    verdict = check.verdict(double)
    assert capsys.readouterr().out == ""
    assert "the last for 0" in repr(verdict) and len(repr(verdict)) < 2000


def test_a_terminal_reads_hints_and_solutions_as_text(check, capsys):
    check.hint()
    assert capsys.readouterr().out.strip() == "**Hint 1 of 3.** one"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A check of an exercise that there is, nothing known of the learner, and what is shown."""
    said = []
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setattr("course.exercise.display", lambda shown: said.append(repr(shown)))
    check = make_check()
    check.exercise = "freeze"
    return check, said


def test_the_solution_waits_for_a_try_or_for_a_second_asking(asked):
    check, said = asked
    check.solution()
    assert "not tried yet" in said[-1] and "def freeze" not in said[-1]
    check.solution()
    assert "def freeze" in said[-1] and "BEGIN SOLUTION" not in said[-1]


def test_the_solution_is_shown_after_a_try(asked):
    check, said = asked
    check(lambda x: 0)
    check.solution()
    assert "def freeze" in said[-1]


def test_the_solution_is_shown_after_a_try_of_another_day(asked):
    check, said = asked
    progress.record("check", "freeze", state="wrong", points=1)
    check.solution()
    assert "def freeze" in said[-1]


def test_an_untouched_stub_is_no_try(asked):
    check, said = asked

    def stub(x):
        raise NotImplementedError

    check.verdict(stub)
    check.solution()
    assert "not tried yet" in said[-1]


def test_a_learner_at_work_leaves_a_trace_and_a_grading_none(asked, monkeypatch):
    check, _ = asked
    check(lambda x: 2 * x)
    assert not progress.file().exists(), "no kernel, no learner"
    monkeypatch.setattr("course.scale.interactive", lambda: True)
    check.hint()
    check(lambda x: 2 * x)
    standing = progress.load().exercises["freeze"]
    assert (standing.hints, standing.tries, standing.points) == (1, 1, 3.0)


def test_a_loop_that_prints_fills_no_memory(check):
    def double(x):
        for _ in range(300):
            print("y" * 10_000)
        return 2 * x

    verdict = check.verdict(double)
    assert verdict.state is State.RIGHT and len(verdict.stdout) < 5000


def test_an_answer_may_close_what_it_prints_to(check, capsys):
    def double(x):
        sys.stdout.close()
        sys.stderr.close()
        print("after that")
        return 2 * x

    verdict = check.verdict(double)
    assert verdict.state is State.RIGHT and "after that" in verdict.stdout
    print("outside")
    assert capsys.readouterr().out == "outside\n"


class Mute(ValueError):
    """An error that cannot be said."""

    def __str__(self):
        raise RuntimeError


def test_an_error_that_cannot_be_said_costs_no_points_elsewhere(check):
    def double(x):
        if x == 0:
            error = Mute()
            error.__notes__ = [3, Mute()]
            raise error
        return 2 * x

    verdict = check.verdict(double)
    assert (verdict.points, verdict.state) == (2.0, State.ERROR)
    assert "Mute" in verdict.message


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no alarm to interrupt with")
def test_a_check_within_an_answer_does_not_switch_off_the_time_limit():
    inner = make_check(seconds=5.0)

    def double(x):
        inner.verdict(lambda x: 2 * x)
        while True:
            pass

    assert make_check(seconds=0.3).verdict(double).state is State.TOO_SLOW


def test_two_checks_in_two_threads_leave_stdout_alone():
    before, meet = sys.stdout, threading.Barrier(2)

    def double(x):
        if x == 1:
            meet.wait(20)
        return 2 * x

    threads = [threading.Thread(target=make_check().verdict, args=[double]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no alarm to interrupt with")
def test_the_input_of_a_loop_without_end_is_had_too():
    def double(x):
        while x == 2:
            pass
        return 2 * x

    check = make_check(seconds=0.2)
    check.verdict(double)
    assert check.last.inputs == {"x": 2}


def test_a_new_kernel_goes_on_with_the_next_hint(asked, monkeypatch):
    check, said = asked
    monkeypatch.setattr("course.scale.interactive", lambda: True)
    check.hint()
    another = make_check()
    another.exercise = "freeze"
    another.hint()
    assert [text.split()[-1] for text in said] == ["one", "two"]
    monkeypatch.setattr(progress, "record", lambda *args, **kwargs: False)
    another.hint()
    assert said[-1].split()[-1] == "three", "what cannot be kept counts here"
