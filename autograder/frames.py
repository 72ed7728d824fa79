"""Frames between two processes: a JSON message and byte buffers, over a socket and, where large, shared memory.

Packed, a frame is a header, which is the message and the sizes of the buffers, and a body, which is the buffers in one
row. A large frame's buffers go in sealed memory files: once sealed nobody can change or shrink them, so a reader may
map what a hostile process filled. Each end sees its own copy-on-write view of it, and a second one that stays as
it was sent, by which it later finds what has changed.
"""

from __future__ import annotations

import ctypes
import functools
import json
import mmap
import os
import select
import socket
import struct
import time
import weakref
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

START = struct.Struct("!IQ??")  # bytes of the header, of the body, whether that comes in memory files, and an aside

# A frame from a sandbox may not ask its reader for more than this. Reading JSON takes up to thirty times its size.
MAX_JSON = 32 * 2**20
MAX_BUFFERS = 4 * 2**30
CHUNK = 2**20  # bytes that are taken at once, on the word of the sender alone
IN_MEMORY = 2**19  # bytes of buffers from which a memory file is quicker than the socket
FILE = 2**25  # bytes of one memory file: a sandbox has a limit on the size of its files
STALLED = 30.0  # seconds that half a message may take
ASIDE = "shown"  # the one kind of message that is an aside
ALIGNED = 64  # where buffers start, so that every number in them lies well

SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE
MAP_FIXED = 0x10
F_ADD_SEALS, F_GET_SEALS, MFD_CLOEXEC, MFD_ALLOW_SEALING = 1033, 1034, 1, 2


class WireError(Exception):
    """What came in is not what the protocol says. The sender is broken, or lying."""


class Closed(WireError):
    """The other end is gone."""


class Packed(NamedTuple):
    """A frame that came in: its header, its body as this end's own, and what gives that as it was sent, for ever.

    An ``aside`` decides nothing: it is to be shown, and to be forgotten.
    """

    header: bytes
    body: memoryview
    sent: Callable[[], memoryview]
    aside: bool


class Buffers(Sequence[memoryview]):
    """The buffers of one frame: ``self[i]`` is this end's own, ``self.sent(i)`` is as it was sent, for ever."""

    def __init__(self, sizes: list[int], own: memoryview, sent: Callable[[], memoryview]) -> None:
        self._spans = [slice(end - size, end) for end, size in zip(_ends(sizes), sizes, strict=True)]
        self._own = own
        self._make = sent
        self._sent: memoryview | None = None
        self._place = 0

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: Any) -> Any:
        return self._own[self._spans[index]]

    def sent(self, index: int) -> tuple[memoryview, int]:
        """A buffer as it was sent, and where its bytes lie in this process."""
        if self._sent is None:
            self._sent = self._make()
            self._place = address(self._sent)
        span = self._spans[index]
        return self._sent[span], self._place + span.start


class Channel:
    """Frames over a connected Unix stream socket, one at a time, in order."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.until: float | None = None  # by time.monotonic(): when the frame that is awaited must have come in whole

    def ready(self, seconds: float | None = None) -> bool:
        """Whether something has come in, now or within ``seconds`` (None: whenever that is)."""
        return bool(select.select([self.sock], [], [], seconds)[0])

    def send(self, message: dict[str, Any], buffers: Sequence[Any] = (), *, aside: bool = False) -> Buffers:
        """Sends one frame and gives it as sent; raises Closed where nobody is there to read it."""
        views = [_bytes_of(memoryview(b)) for b in buffers]
        sizes = [view.nbytes for view in views]
        header = json.dumps({"message": message, "sizes": sizes}).encode()
        sent = self.put(header, _padded(views), _total(sizes), aside=aside)
        return Buffers(sizes, sent, lambda: sent)

    def put(self, header: bytes, pieces: Sequence[Any], total: int, *, aside: bool = False) -> memoryview:
        """Sends a packed frame, the ``total`` bytes of its body in pieces; gives the body as sent."""
        memory = _memory_files(pieces) if total >= IN_MEMORY else []
        start = START.pack(len(header), total, bool(memory), aside)
        try:
            if memory:
                sent = _map(memory, total, writable=False)
                socket.send_fds(self.sock, [start], memory)
                self.sock.sendall(header)
            else:
                body = b"".join(pieces)
                sent = memoryview(body)
                self.sock.sendall(start + header + body if total < CHUNK else start + header)
                if total >= CHUNK:
                    self.sock.sendall(body)
        except OSError as error:
            raise Closed(f"The other process is gone ({error}).") from error
        finally:
            _close(memory)
        return sent

    def receive(self) -> tuple[dict[str, Any], Buffers]:
        """The next frame; raises Closed at its end and WireError where it is malformed."""
        return unpacked(self.take())

    def take(self, most: int = MAX_BUFFERS) -> Packed:
        """The next frame, packed; raises Closed at its end, and WireError for a body of more than ``most`` bytes."""
        start, memory = self._start()
        try:
            size, total, in_memory, aside = START.unpack(start)
            if size > MAX_JSON or total > most:
                raise WireError("A frame is larger than the protocol allows.")
            header = bytes(self._exactly(size))
            if not in_memory:
                body = self._exactly(total)
                return Packed(header, body, lambda: memoryview(bytes(body)), aside)
            if total > len(memory) * FILE or not _are_sealed(memory, total):
                raise WireError("A frame came without the memory that it announces.")
            try:
                own, sent = _map(memory, total, writable=True), _map(memory, total, writable=False)
            except OSError as error:
                raise WireError("A frame is larger than this process may take.") from error
            return Packed(header, own, lambda: sent, aside)
        finally:
            _close(memory)

    def _start(self) -> tuple[bytes, list[int]]:
        """A frame's first bytes, and the descriptors that came with them."""
        start = b""
        memory: list[int] = []
        while len(start) < START.size:
            self._hurry()
            try:
                got, descriptors, _, _ = socket.recv_fds(self.sock, START.size - len(start), MAX_BUFFERS // FILE)
            except OSError as error:  # also one that stalls: half a frame is the end of a conversation
                _close(memory)
                raise Closed(f"The other process is gone ({error}).") from error
            memory += descriptors
            if not got:
                _close(memory)
                raise Closed("The other process is gone.")
            start += got
        return start, memory

    def _exactly(self, size: int) -> memoryview:
        # An array that is not filled takes memory only as bytes arrive, whatever was announced.
        try:
            data = memoryview(bytearray(size)) if size < CHUNK else np.empty(size, dtype=np.uint8).data
        except MemoryError as error:
            raise WireError("A frame is larger than this process may take.") from error
        rest = data
        while len(rest):
            self._hurry()
            try:
                got = self.sock.recv_into(rest)
            except OSError as error:
                raise Closed(f"The other process is gone ({error}).") from error
            if got == 0:
                raise Closed("The other process is gone.")
            rest = rest[got:]
        return data

    def _hurry(self) -> None:
        if self.until is not None:
            self.sock.settimeout(max(self.until - time.monotonic(), 0.001))  # 0 would mean: do not wait at all

    def close(self) -> None:
        self.sock.close()


def unpacked(frame: Packed) -> tuple[dict[str, Any], Buffers]:
    """The message and the buffers of a packed frame, of an aside nothing else than that; raises WireError where it is
    malformed.
    """
    try:
        said = json.loads(frame.header)
        message, sizes = said["message"], said["sizes"]
        well_formed = type(message) is dict and type(sizes) is list and all(type(n) is int and n >= 0 for n in sizes)
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise WireError("A frame's header cannot be read.") from error
    if not well_formed or _total(sizes) != frame.body.nbytes:
        raise WireError("A frame's header does not fit its buffers.")
    if frame.aside is not (message.get("op") == ASIDE):
        raise WireError("A frame is no aside, and says that it is one, or the other way round.")
    return message, Buffers(sizes, frame.body, frame.sent)


def _bytes_of(view: memoryview) -> memoryview:
    """A buffer's bytes in one row. Python casts no view with a zero in its shape: what is empty has no bytes."""
    return view.cast("B") if view.nbytes else memoryview(b"")


def address(view: memoryview) -> int:
    """Where the bytes of a buffer lie in this process."""
    return int(np.frombuffer(view, dtype=np.uint8).__array_interface__["data"][0]) if view.nbytes else 0


def _ends(sizes: list[int]) -> list[int]:
    """Where each buffer ends, all of them starting at multiples of ALIGNED."""
    starts = accumulate((-(-size // ALIGNED) * ALIGNED for size in sizes), initial=0)
    return [start + size for start, size in zip(starts, sizes, strict=False)]


def _total(sizes: list[int]) -> int:
    return _ends(sizes)[-1] if sizes else 0


def _padded(views: list[memoryview]) -> list[Any]:
    pieces: list[Any] = []
    for view in views:
        pieces += (view, bytes(-view.nbytes % ALIGNED))
    return pieces[:-1]  # nothing follows the last buffer


def _memory_files(pieces: Sequence[Any]) -> list[int]:
    """Sealed memory files of these pieces, FILE bytes in each; none where the system has none, or no room."""
    if not hasattr(os, "memfd_create"):
        return []
    import fcntl

    files: list[int] = []
    room = 0
    try:
        for piece in (memoryview(one) for one in pieces):
            while len(piece):
                if not room:
                    files.append(os.memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING))
                    room = FILE
                written = os.write(files[-1], piece[:room])
                piece, room = piece[written:], room - written
        for file in files:
            fcntl.fcntl(file, F_ADD_SEALS, SEALS)
    except OSError:
        _close(files)
        return []
    return files


def _are_sealed(files: list[int], size: int) -> bool:
    """Whether nobody can change these files any more, and together they hold so many bytes."""
    import fcntl

    sizes = [min(FILE, size - start) for start in range(0, size, FILE)]
    try:
        return all(
            fcntl.fcntl(file, F_GET_SEALS) & SEALS == SEALS and os.fstat(file).st_size >= least
            for file, least in zip(files, sizes, strict=True)
        )
    except (OSError, ValueError):
        return False


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _map(files: list[int], size: int, *, writable: bool) -> memoryview:
    """A private view of memory files, one after another, until nobody uses it; no descriptor stays open for it."""
    protection = mmap.PROT_READ | mmap.PROT_WRITE * writable
    place = _mmap(None, size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    content = (ctypes.c_ubyte * size).from_address(place)
    weakref.finalize(content, _libc().munmap, place, size).atexit = False
    for start, file in zip(range(0, size, FILE), files, strict=True):
        _mmap(place + start, min(FILE, size - start), protection, mmap.MAP_PRIVATE | MAP_FIXED, file)
    view = memoryview(content).cast("B")
    return view if writable else view.toreadonly()


def _mmap(place: int | None, size: int, protection: int, flags: int, file: int) -> int:
    found = _libc().mmap(place, size, protection, flags, file, 0)
    if found == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(found)


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
