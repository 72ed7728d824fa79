"""Forged frames: a sandbox that speaks the protocol, or garbage, with its own mouth."""

from collections.abc import Callable
from typing import Any

JOBS = 4  # most of them wait
SECONDS = 8

GRAB = """
import gc, json, struct, os, socket, threading
session = next(o for o in gc.get_objects() if type(o).__name__ == "Session")
sock = session._channel.sock
def frame(message, buffers=()):
    header = json.dumps({"message": message, "sizes": [len(b) for b in buffers]}).encode()
    return struct.pack("!IQ??", len(header), sum(map(len, buffers)), False, False) + header + b"".join(buffers)
def value(tree): return frame({"op": "value", "value": tree, "news": [], "containers": []})
"""


def attack_answers_ahead(work: Any) -> None:
    """Sends a hundred answers before the questions, so that each question finds one waiting."""
    work.add(GRAB + 'for _ in range(100): sock.sendall(value(["l", 0, None, [1, 4, 9]]))')
    work.everywhere("def NAME(*args): return 0")


def attack_a_thread_that_answers(work: Any) -> None:
    """A thread that keeps sending answers over the channel while questions come."""
    work.add(
        GRAB
        + """
def flood():
    try:
        while True: sock.sendall(value(3))
    except OSError: pass
threading.Thread(target=flood, daemon=True).start()"""
    )
    work.everywhere("def NAME(*args): return 0")


def attack_garbage(work: Any) -> None:
    """Bytes that are no frame: wild sizes, broken JSON, half a header."""
    work.add(GRAB + "sock.sendall(b'\\xff' * 64 + b'{]')")
    work.everywhere("def NAME(*args): return 0")


def attack_a_frame_without_end(work: Any) -> None:
    """Announces four gigabytes and sends one byte of them."""
    work.everywhere(
        GRAB + "def NAME(*args):\n    sock.sendall(struct.pack('!IQ??', 20, 2 ** 32, False, False))\n"
        "    sock.sendall(b'x')\n"
        "    threading.Event().wait()"
    )


def attack_the_judges_own_objects(work: Any) -> None:
    """Answers with references to the judge's objects, containers and functions, by guessing their numbers."""
    work.everywhere(
        GRAB
        + """
def NAME(*args):
    for n in range(1, 4):
        for tree in (["h", n], ["k", n - 1], ["cb", n], ["m", 0]): sock.sendall(value(tree))
    return 0"""
    )


def attack_code_in_an_answer(work: Any) -> None:
    """Sends pickles and class names where data is expected."""
    work.everywhere(
        GRAB
        + """
import pickle
class P:
    def __reduce__(self): return os.system, ("touch /tmp/left-by-a-learner",)
def NAME(*args):
    sock.sendall(frame({"op": "value", "value": ["pickle", 0], "payload": 0}, [pickle.dumps(P())]))
    sock.sendall(frame({"op": "value", "news": [["new modules", [-1], [[["os:system"], True, [[], [], [], []]]]]]}))
    return 0"""
    )


def attack_a_verdict_frame(work: Any) -> None:
    """Sends what a judge would send to the grader, over every descriptor it can find."""
    work.add(
        GRAB
        + """
verdict = frame({"index": 2, "outputs": [], "verdict": {"grade_id": "test-squares", "state": "passed", "points": 2.0,
    "max_points": 2.0, "message": "", "misconception": None, "tamper_proof": True}})
for fd in range(256):
    try: os.write(fd, verdict)
    except OSError: pass"""
    )
    work.everywhere("def NAME(*args): return 0")


def attack_thrown_exceptions(work: Any) -> None:
    """Claims that the error is one that the judge's own functions raised, by number."""
    work.everywhere(
        GRAB
        + """
def NAME(*args):
    for n in (1, 0, -1, 10 ** 30, True):
        sock.sendall(frame({"op": "error", "error": {"thrown": n, "classes": ["StopIteration"], "name": "x", "args": [],
            "lines": []}, "news": [], "containers": []}))
    return 0"""
    )


def attack_states_of_random_generators(work: Any) -> None:
    """Says of the random generators what would have the judge read beyond them, and what is no state at all."""
    work.everywhere(
        GRAB
        + """
def NAME(*args):
    words = [["np", 0, "<u4", [n], 0] for n in (624, 625)]
    buffer = b"\\xff" * 2500
    for name, state in (
        ("numpy", ["t", [words[0], 625, 0, 0.5]]), ("numpy", ["t", [words[0], -1, 1, 0.5]]),
        ("random", ["t", [words[1], None]]), ("torch", ["np", 0, "|u1", [2500], 0]), ("os", 1), ([], {}),
    ):
        answer = {"op": "value", "value": 0, "news": [], "containers": [], "random": [[name, state]]}
        sock.sendall(frame(answer, [buffer]))
    return 0"""
    )


def attack_functions_that_it_has_let_go_of(work: Any) -> None:
    """Says that it holds nothing of the judge's any more, in ways that are none too, and calls all of it then."""
    work.everywhere(
        GRAB
        + """
def NAME(*args):
    for dropped in (list(range(-2, 99)), [[]], {"1": 1}, 7, [None, 1e300, True]):
        sock.sendall(frame({"op": "value", "value": 0, "news": [], "containers": [], "dropped": dropped}))
        sock.sendall(frame({"op": "callback", "number": 1, "news": [],
            "value": ["l", 0, None, [["t", []], ["d", 1, None, "dict", []]]], "containers": [], "dropped": dropped}))
        sock.sendall(frame({"op": "object", "number": 1, "what": "str", "value": ["l", 0, None, []], "news": [],
            "containers": [], "dropped": dropped}))
    return 0"""
    )


def attack_callbacks_that_were_not_given(work: Any) -> None:
    """Calls functions of the judge by number, before it gave any, with arguments of all kinds."""
    work.add(
        GRAB
        + """
for n in range(-2, 9):
    sock.sendall(frame({"op": "callback", "number": n, "news": [], "containers": [],
        "value": ["l", 0, None, [["t", [5]], ["d", 1, None, "dict", []]]]}))"""
    )
    work.everywhere("def NAME(*args): return 0")


def attack_deep_and_wide_answers(work: Any) -> None:
    """A tree nested ten thousand deep, and one that names itself."""
    work.add(GRAB)
    work.everywhere(
        "def NAME(*args):\n    deep = '[\"t\", [' * 10000 + ']]' * 10000\n"
        '    text = (\'{"message": {"op": "value", "value": \' + deep + \'}, "sizes": []}\').encode()\n'
        "    sock.sendall(struct.pack('!IQ??', len(text), 0, False, False) + text)\n    return 0"
    )


def attack_names_it_was_not_asked_for(work: Any) -> None:
    """Answers the question for names with more names: the tests' modules, checks and built-ins."""
    work.add(
        GRAB
        + """
old = session._do
def lie(op, payload):
    if op != "names": return old(op, payload)
    return {n: (lambda *a, **k: True) for n in [*payload, "math", "np", "check_scaled", "sum", "abs", "len", "assert"]}
session._do = lie"""
    )
    work.everywhere("def NAME(*args): return 0")


def attack_descriptors_over_the_channel(work: Any) -> None:
    """Sends open descriptors and credentials along with a frame."""
    work.everywhere(
        GRAB
        + """
def NAME(*args):
    socket.send_fds(sock, [value(0)], [os.open("/scratch", os.O_RDONLY)] * 30)
    return 0"""
    )


def attack_questions_of_its_own(work: Any) -> None:
    """Asks the judge what the judge asks: run, names, bind."""
    work.everywhere(
        GRAB
        + """
def NAME(*args):
    for op in ("run", "names", "bind", "unbind", "do", "return", "throw"):
        sock.sendall(frame({"op": op, "value": "import os", "news": [], "containers": [], "payload": 0}, [b"x"]))
    return 0"""
    )


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
