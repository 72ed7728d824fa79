"""Frames cross whole, in order, by socket or shared memory; whatever else comes in is a WireError."""

import gc
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autograder import frames
from autograder.frames import START, Channel, Closed, WireError

in_memory = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory files")


def frame(
    header: bytes,
    buffers: bytes = b"",
    *,
    json_size: int | None = None,
    buffer_size: int | None = None,
    in_memory: bool = False,
    aside: bool = False,
) -> bytes:
    sizes = (len(header) if json_size is None else json_size, len(buffers) if buffer_size is None else buffer_size)
    return START.pack(*sizes, in_memory, aside) + header + buffers


FRAMES = {
    "no JSON": frame(b"{"),
    "not UTF-8": frame(b"\xff\xfe{}"),
    "a list": frame(b"[1, 2]"),
    "no sizes": frame(b'{"message": {}}'),
    "no message": frame(b'{"sizes": []}'),
    "memory that is not there": frame(b'{"message": {}, "sizes": [4]}', b"1234", in_memory=True),
    "a message that is text": frame(b'{"message": "x", "sizes": []}'),
    "sizes that are text": frame(b'{"message": {}, "sizes": "12"}'),
    "a negative size": frame(b'{"message": {}, "sizes": [-4, 8]}', b"1234"),
    "sizes of truth values": frame(b'{"message": {}, "sizes": [true]}', b"1"),
    "sizes that do not add up": frame(b'{"message": {}, "sizes": [3]}', b"12345"),
    "deep nesting": frame(b'{"message": {}, "sizes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a number of 5,000 digits": frame(b'{"message": {"n": ' + b"9" * 5000 + b'}, "sizes": []}'),
    "an aside that asks": frame(b'{"message": {"op": "callback"}, "sizes": []}', aside=True),
    "what is shown, and is no aside": frame(b'{"message": {"op": "shown"}, "sizes": []}'),
    "JSON too large": frame(b"", json_size=frames.MAX_JSON + 1),
    "buffers too large": frame(b"", buffer_size=frames.MAX_BUFFERS + 1),
}


@pytest.mark.parametrize("data", FRAMES.values(), ids=FRAMES.keys())
def test_a_malformed_frame_is_a_wire_error(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        ours.sendall(data)
        ours.close()
        with pytest.raises(WireError) as caught:
            Channel(theirs).receive()
        assert not isinstance(caught.value, Closed)


@pytest.mark.parametrize("kept", [0, 5, 12, 20, -1])
def test_a_truncated_frame_is_a_closed_channel(kept: int) -> None:
    data = frame(b'{"message": {}, "sizes": [4]}', b"1234")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data[:kept])
        ours.close()
        with pytest.raises(Closed):
            Channel(theirs).receive()


def test_memory_is_taken_as_bytes_arrive() -> None:
    """In a process of its own, since a process's peak is that of all its life."""
    header = b'{"message": {}, "sizes": [%d]}' % frames.MAX_BUFFERS
    script = """
        import resource, socket, sys
        from autograder.frames import Channel, Closed
        ours, theirs = socket.socketpair()
        ours.sendall(bytes.fromhex(sys.argv[1]))
        ours.close()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            Channel(theirs).receive()
        except Closed:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    data = frame(header, b"only these", buffer_size=frames.MAX_BUFFERS).hex()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), data], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 16 * 2**10  # KiB


def test_a_stalled_frame_is_a_closed_channel() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(0.05)
        ours.sendall(frame(b'{"message": {}, "sizes": []}')[:20])
        with pytest.raises(Closed):
            Channel(theirs).receive()


def test_sending_to_nobody_is_a_closed_channel() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(Closed):
        Channel(ours).send({}, [b"x" * 10])


def test_frames_keep_their_order_and_their_buffers() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for number in range(3):
            Channel(ours).send({"number": number}, [b"", bytes([number]) * 3])
        for number in range(3):
            message, buffers = Channel(theirs).receive()
            assert message == {"number": number} and list(buffers) == [b"", bytes([number]) * 3]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def exchanged(*buffers: bytes) -> tuple[frames.Buffers, frames.Buffers]:
    """The buffers of one frame as they were sent, and as they arrived."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sent = Channel(ours).send({}, buffers)
        return sent, Channel(theirs).receive()[1]


LARGE = [frames.IN_MEMORY + 1, frames.FILE, 2 * frames.FILE + 1]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000, *(pytest.param(size, marks=in_memory) for size in LARGE)])
def test_both_ends_keep_what_was_sent_and_each_may_write_into_its_own(size: int) -> None:
    content = np.random.default_rng(size).bytes(size)
    sent, came = exchanged(b"abc", content, b"")
    assert [bytes(came[i]) for i in range(len(came))] == [b"abc", content, b""]
    kept, _ = came.sent(1)
    if size:
        came[1][:1] = bytes([content[0] ^ 1])
    assert kept == sent.sent(1)[0] == content
    assert all(frames.address(came[i]) % 16 == 0 for i in range(2) if len(came[i]))


@in_memory
def test_large_buffers_go_by_memory_and_leave_no_descriptor() -> None:
    gc.collect()
    before = descriptors()
    _, came = exchanged(bytes(frames.IN_MEMORY))
    assert came[0].readonly is False and descriptors() <= before


def _unsealed() -> int:
    memory = os.memfd_create("m", frames.MFD_ALLOW_SEALING)
    os.write(memory, b"1234")
    return memory


def _too_short() -> int:
    import fcntl

    memory = os.memfd_create("m", frames.MFD_ALLOW_SEALING)
    fcntl.fcntl(memory, frames.F_ADD_SEALS, frames.SEALS)
    return memory


def _a_file() -> int:
    return os.open(Path(__file__), os.O_RDONLY)


def _a_pipe() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader


@in_memory
@pytest.mark.parametrize("open_one", [_unsealed, _too_short, _a_file, _a_pipe])
def test_memory_that_its_sender_could_still_change_is_not_read(open_one: Callable[[], int]) -> None:
    data = frame(b'{"message": {}, "sizes": [4]}', buffer_size=4, in_memory=True)
    ours, theirs = socket.socketpair()
    memory = open_one()
    with ours, theirs:
        socket.send_fds(ours, [data], [memory])
        os.close(memory)
        gc.collect()  # what earlier tests left open may be closed at any later moment
        before = descriptors()
        with pytest.raises(WireError, match="memory"):
            Channel(theirs).receive()
        assert descriptors() <= before


@in_memory
def test_where_no_memory_file_can_be_made_large_buffers_go_by_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    content = bytes(frames.IN_MEMORY) + b"end"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if (child := os.fork()) == 0:
            Channel(ours).send({}, [content])
            os._exit(0)
        message, buffers = Channel(theirs).receive()
        os.waitpid(child, 0)
    assert message == {} and buffers[0] == content
