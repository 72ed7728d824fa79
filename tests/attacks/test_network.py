"""The network: calling home, asking neighbours, listening."""

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

LISTENER = socket.create_server(("127.0.0.1", 0))
LISTENER.setblocking(False)
UNIX = socket.socket(socket.AF_UNIX)
UNIX.bind(f"\0attacked-{os.getpid()}")
UNIX.listen()
UNIX.setblocking(False)


def attack_local_ports(work: Any) -> None:
    """Connects to a port that listens on this machine, by all its addresses."""
    work.add(
        f"import socket\nfor host in ('127.0.0.1', '::1', 'localhost', '0.0.0.0', socket.gethostname()):\n"
        f"    try: socket.create_connection((host, {LISTENER.getsockname()[1]}), 1).send(b'x')\n"
        f"    except OSError: pass"
    )


def attack_abstract_sockets(work: Any) -> None:
    """Connects to a Unix socket that has no path, and to those of the system."""
    work.add(
        f"import socket\n"
        f"for path in ('\\0attacked-{os.getpid()}', '/run/docker.sock', '/var/run/dbus/system_bus_socket'):\n"
        "    try: socket.socket(socket.AF_UNIX).connect(path)\n    except OSError: pass"
    )


def attack_the_world(work: Any) -> None:
    """Names, datagrams, raw sockets, vsock and the web."""
    work.add("""import socket, urllib.request
for f in (lambda: socket.getaddrinfo("example.org", 80), lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
          lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
          lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=1), lambda: socket.socket(40, 1).connect((2, 1))):
    try: f(); print("reached", f)
    except (OSError, RuntimeError): pass""")


def attack_netlink(work: Any) -> None:
    """Brings interfaces up through netlink and ioctl."""
    work.add("""import fcntl, socket, struct
try:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 1))
    print("reached lo")
except OSError: pass
try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0))
except OSError: pass""")


def test_nobody_was_reached(graded: Any) -> None:
    for listening in (LISTENER, UNIX):
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert "reached" not in "".join(graded.shown(name) for name in ("the_world", "netlink"))


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
