"""Reading: home, course, source, hidden tests, gradebook, neighbours, grader code."""

from collections.abc import Callable
from typing import Any

WALK = """
import os, re
def walk(roots, most=20000):
    seen, found = 0, []
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders if not (folder + "/" + f).startswith(("/proc", "/sys", "/usr", "/lib"))
                          and f not in ("site-packages", "torch", "__pycache__")]
            for name in files:
                seen += 1
                if seen > most: return found
                try:
                    with open(os.path.join(folder, name), "rb") as file: text = file.read(1 << 18)
                except OSError: continue
                found += re.findall(b"[a-z]+-must-not" + b"-be-seen-[a-z]+", text)
    return found
"""


def attack_the_whole_disk(work: Any) -> None:
    """Walks from the root through all that it can read."""
    work.add(WALK + "print(walk(['/']))")


def attack_paths_it_knows(work: Any) -> None:
    """Opens by name: this very course directory, its source, gradebook, neighbours and the home."""
    root = work.root
    paths = [
        root / "source/ps1/problem.ipynb",
        root / "gradebook.db",
        root / "submitted/a-right/ps1/problem.ipynb",
        root / "nbgrader_config.py",
        root / "autograded/a-right/ps1/problem.ipynb",
        root.parent / "home/secret.txt",
    ]
    work.add(
        f"for path in {[str(p) for p in paths]!r}:\n    try: print(open(path, errors='replace').read())\n"
        "    except OSError as error: print(error)"
    )
    work.add(
        WALK + f"print(walk([{str(root)!r}, {str(root.parent)!r}, os.path.expanduser('~'), '/root', '/home', '/tmp']))"
    )


def attack_through_links(work: Any) -> None:
    """Links, hard links and /proc/self/root, /proc/self/cwd, /proc/1/root that lead out."""
    work.add(f"""import os
root = {str(work.root)!r}
os.symlink(root, "out")
for base in ("out", "/proc/self/root" + root, "/proc/1/root" + root,
             "/proc/self/cwd/../.." + root, "//" + root, "../../.." + root):
    for name in ("/gradebook.db", "/source/ps1/problem.ipynb", "/submitted/a-right/ps1/problem.ipynb"):
        try: print(open(base + name, errors="replace").read())
        except OSError as error: pass
    try: os.link(root + "/gradebook.db", "hard")
    except OSError: pass""")


def attack_mounts(work: Any) -> None:
    """Makes namespaces of its own, mounts and remounts, to see or to write what is covered."""
    work.add("""import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000 | 0x00020000))
for target in (b"/", b"/usr", b"/tmp", b"/proc"):
    libc.umount2(target, 2)
    libc.mount(b"none", target, None, 32 | 4096, None)
libc.mount(b"proc", b"/scratch", b"proc", 0, None)
libc.chroot(b"/proc/1/root")
for fd in range(64):
    libc.fchdir(fd); libc.chroot(b".")
print(os.listdir("/"))""")
    work.add(WALK + "print(walk(['/']))")


def attack_by_handle(work: Any) -> None:
    """open_by_handle_at, name_to_handle_at, pidfd_getfd and io_uring: ways around paths."""
    work.add("""import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
handle = ctypes.create_string_buffer(128)
ctypes.c_uint.from_buffer(handle).value = 8
for inode in range(1, 50):
    ctypes.c_uint64.from_buffer(handle, 8).value = inode
    fd = libc.syscall(304, os.open("/", os.O_RDONLY | os.O_DIRECTORY), handle, 0)
    if fd >= 0:
        print(os.listdir(f"/proc/self/fd/{fd}"))
for pid in range(1, 50):
    fd = libc.syscall(434, pid, 0)
    if fd >= 0: print([libc.syscall(438, fd, n, 0) for n in range(20)])
print(libc.syscall(425, 8, handle))""")


def attack_the_grader_and_the_lessons(work: Any) -> None:
    """Looks for the grader's files, the lessons that the package ships, and any notebook on the path."""
    work.add("""import sys, glob, os, importlib.util
for name in ("autograder", "course", "nbgrader"):
    spec = importlib.util.find_spec(name)
    for place in (spec.submodule_search_locations or []) if spec else []:
        for path in glob.glob(place + "/**/*.ipynb", recursive=True) + glob.glob(place + "/lessons/**", recursive=True):
            try: text = open(path).read()
            except OSError: continue
            if "BEGIN " + "HIDDEN" in text: print("left-by" + "-nobody", path)""")


def test_no_lesson_with_hidden_tests_can_be_read(graded: Any) -> None:
    assert "left-by-nobody" not in graded.shown("the_grader_and_the_lessons")


def attack_magics_that_read(work: Any) -> None:
    """cat, find and grep through the shell, as a hurried learner would."""
    work.add(
        f"!cat {work.root}/source/ps1/problem.ipynb {work.root}/gradebook.db\n"
        "!grep -rs --include=*.ipynb --include=*.txt must-not-b[e] /"
        " --exclude-dir=proc --exclude-dir=usr | head -c 5000\n"
        ""
        ""
        "!sqlite3 gradebook.db .dump; env; ls -la / /tmp /home /root"
    )


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
