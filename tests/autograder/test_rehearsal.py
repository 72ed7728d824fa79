"""What a warm process rehearses leaves no trace in its forks."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent(
    """
    import gc, linecache, random, signal, sys, threading
    for name in sys.argv[1:]:
        __import__(name)
    from autograder.judge import rehearsal
    from autograder.judge.remote import Client
    from autograder.sandbox.session import Session
    from autograder.shell import Shell, make_shell

    shell, failed = make_shell(), []
    run = Shell.run
    def noted(self, source):
        done = run(self, source)
        if done.error is not None and source != rehearsal.FAILURE:
            failed.append(done.error)
        return done
    Shell.run = noted
    def state():
        return sorted(shell.user_ns), sorted(linecache.cache), signal.getsignal(signal.SIGINT), threading.active_count()
    before = state()
    rehearsal.rehearse(shell)
    assert failed == []
    assert state() == before
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) in (Client, Session)]
    """
)


@pytest.mark.parametrize("modules", [[], ["torch"]], ids=["plain", "torch"])
def test_it_fails_nowhere_and_leaves_the_process_as_it_was(modules: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *modules], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
