"""The same gradebook on a real PostgreSQL server, which a test starts for itself."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

pytest.importorskip("psycopg", reason="The extra [postgresql] is not installed.")


def programs() -> Path | None:
    """Where the server's programs lie: on the path, or where Debian puts them."""
    found = [Path(found).resolve().parent] if (found := shutil.which("pg_ctl")) else []
    for folder in [*found, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]:
        if all((folder / name).exists() for name in ("pg_ctl", "initdb", "postgres")):
            return folder
    return None


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster on a unix socket, with the address of an empty database. PostgreSQL refuses to run as root."""
    folder = programs()
    if folder is None:
        pytest.skip("No PostgreSQL server is installed (Debian: apt install postgresql).")
    user = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = next((name for name in ("postgres", "nobody") if name in names), None)
        if user is None:
            pytest.skip("There is no ordinary user here to run PostgreSQL as.")
    place = Path(subprocess.run(["mktemp", "-d", "/tmp/pg-XXXXXX"], capture_output=True, text=True).stdout.strip())
    if user is not None:
        shutil.chown(place, user)
    place.chmod(0o755)

    def run(name: str, *words: str) -> None:
        as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        with (place.parent / f"{place.name}.log").open("ab") as log:
            done = subprocess.run(
                [folder / name, *words], cwd=place, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}, **as_user
            )
        assert done.returncode == 0, (place.parent / f"{place.name}.log").read_text()

    data = str(place / "data")
    run("initdb", "-D", data, "-U", "grader", "--auth", "trust", "-E", "UTF8", "--locale", "C")
    options = f"-c listen_addresses='' -c unix_socket_directories={place} -c unix_socket_permissions=0777 -c fsync=off"
    run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(place / "server.log"), "start")
    try:
        yield f"postgresql+psycopg://grader@/postgres?host={place}"
    finally:
        run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(place, ignore_errors=True)
        (place.parent / f"{place.name}.log").unlink()


def test_a_course_is_graded_into_postgresql(squares: Callable, server: str) -> None:
    course = squares(f'c.CourseDirectory.db_url = "{server}"', 'c.LateSubmissionPlugin.penalty_method = "zero"')
    for student, answer in (("ada", "x * x"), ("bob", "x"), ("odd ' name", "x * x"), ("late", "x * x")):
        course.submit(student, f"def square(x):\n    return {answer}")
    (course.root / "submitted" / "late" / "ps1" / "timestamp.txt").write_text("2026-03-01 12:00:00 UTC")
    with Gradebook(server, "squares") as book:
        book.update_or_create_assignment("ps1", duedate="2026-02-01 12:00:00.000000")
    done = course.grade()
    assert done.returncode == 0, done.stdout + done.stderr
    assert course.scores() == {"ada": 2.0, "bob": 0.0, "odd ' name": 2.0, "late": 2.0}
    assert not (course.root / "gradebook.db").exists()
    with Gradebook(server, "squares") as book:
        assert book.find_submission("ps1", "late").late_submission_penalty == 2
        assert not book.find_submission("ps1", "ada").late_submission_penalty
    again = course.grade()
    assert again.returncode == 0 and "4 of 4 are graded already" in again.stdout
    (course.root / "submitted" / "bob" / "ps1" / "timestamp.txt").write_text("2026-01-06 12:00:00 UTC")
    assert "3 of 4 are graded already" in course.grade().stdout
