"""Where a lesson's checks are imported from."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from course.paths import beside
beside("04-freezing")
beside("04-freezing")
import sys, freezing_checks
print(freezing_checks.__file__, sum(path.endswith("04-freezing") for path in sys.path))
"""


def test_checks_come_from_beside_the_notebook_and_else_from_the_release(tmp_path: Path) -> None:
    def imported() -> list[str]:
        done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    file, entries = imported()
    assert Path(file).parts[-3:] == ("release", "04-freezing", "freezing_checks.py") and entries == "1"
    (tmp_path / "freezing_checks.py").write_text("")
    assert imported()[0] == str(tmp_path / "freezing_checks.py")
