"""The way from source to release: what ships, what never does, and that no edit is lost on it."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import shutil
import textwrap
import tomllib
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from course import paths, release
from course.release import ReleaseError, build, load_config, setup_course, source_notebook, sync

LESSON = "01-doubling"
TEXT = '''\
# %% [markdown]
# # Doubling
#
# Twice as much, 加倍.

# %%
from doubling_checks import check

# %% nbgrader={"grade": false, "grade_id": "double", "locked": false, "schema_version": 3, "solution": true}
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    twice_as_much = x + x
    return twice_as_much
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "tested", "locked": true, "points": 3, "schema_version": 3, "solution": false}
check(double)
### BEGIN HIDDEN TESTS
assert double(10**12) == 2 * 10**12
### END HIDDEN TESTS

# %% tags=["experiment"] jupyter={"source_hidden": true}
print("an experiment")

# %%
print("said twice")

# %%
print("said twice")
'''
COMPANIONS = {
    "doubling_checks.py": "def check(double):\n    assert double(4) == 8\n",
    "data/numbers.csv": "1,2\n",
    "doubling_mutants.py": "def double(x): return x\n",
    "zh_CN.po": 'msgid "Doubling"\nmsgstr "加倍"\n',
    "README.md": "for instructors\n",
    "__pycache__/doubling_checks.cpython-311.pyc": "compiled",
    f".ipynb_checkpoints/{LESSON}-checkpoint.ipynb": "{}",
    "data/.secret": "junk",
}
CHECKPOINT = f".ipynb_checkpoints/{LESSON}-checkpoint.ipynb"
SHIPPED = {f"{LESSON}.ipynb", "doubling_checks.py", "data/numbers.csv"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source folder with one tiny lesson, and everything beside it that can lie there."""
    source = tmp_path / "source"
    for name, content in {f"{LESSON}.py": TEXT, **COMPANIONS}.items():
        path = source / LESSON / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
    shutil.copy(paths.source() / "jupytext.toml", source)
    return source


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def regions(text: str, words: str) -> list[str]:
    """What stands between BEGIN and END in a lesson's text, without its indentation."""
    found = re.findall(rf"^[^\n]*BEGIN {words}[^\n]*\n(.*?)^[^\n]*END {words}", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(region).strip() for region in found]


def flat(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def leaks(folder: Path, lesson_dir: Path) -> list[str]:
    """Everything in `folder` that a learner must not see, a line each."""
    text = (lesson_dir / f"{lesson_dir.name}.py").read_text(encoding="utf-8")
    kept_back = ("*_mutants.py", "*.po", "*.pot", "*.mo", "README*", ".*", "*.pyc", f"{lesson_dir.name}.py")
    found = []
    for name, content in files_of(folder).items():
        found += [f"{name}: a file that matches {p}" for p in kept_back if fnmatch(Path(name).name, p)]
        found += [f"{name}: in {part}/" for part in Path(name).parts[:-1] if part in release.LEFTOVERS]
        said = content.decode("utf-8", errors="replace")
        if name.endswith(".ipynb") and Path(name).parts[0] not in release.LEFTOVERS:
            cells = nbformat.reads(said, as_version=4).cells
            said = "\n".join(cell.source for cell in cells)
            found += [f"{name}: outputs" for cell in cells if cell.get("outputs")]
        elif name.endswith(".py") and re.search(r"^# %%", said, re.MULTILINE):
            found.append(f"{name}: a notebook as text")
        for words in ("SOLUTION", "HIDDEN TESTS"):
            found += [f"{name}: {end} {words}" for end in ("BEGIN", "END") if f"{end} {words}" in said]
            found += [f"{name}: {words}: {r}" for r in regions(text, words) if flat(r) in flat(said)]
    return found


# --- the course's own lessons -------------------------------------------------------------------------------


def test_the_release_is_what_source_gives() -> None:
    changed = build(paths.source(), paths.release(), write=False)
    names = [path.relative_to(paths.release()).as_posix() for path in changed]
    assert names == [], "release/ is not what source/ gives: run `course release` and commit what it changes"


@pytest.mark.parametrize("lesson", sorted(path.name for path in paths.source().glob("[0-9]*") if path.is_dir()))
def test_nothing_leaks_into_the_release(lesson: str) -> None:
    assert files_of(paths.release() / lesson), "the lesson is not released: run `course release`"
    assert leaks(paths.release() / lesson, paths.source() / lesson) == []


def test_every_released_lesson_has_a_source() -> None:
    released = {path.name for path in paths.release().glob("[0-9]*") if path.is_dir()}
    assert released <= set(release.lesson_names(paths.source()))


# --- what ships ---------------------------------------------------------------------------------------------


def test_what_ships(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "release"
    changed = build(source, out)
    assert {path.relative_to(out / LESSON).as_posix() for path in changed} == SHIPPED
    assert set(files_of(out / LESSON)) == SHIPPED
    assert leaks(out / LESSON, source / LESSON) == []
    notebook = nbformat.read(out / LESSON / f"{LESSON}.ipynb", as_version=4)
    nbformat.validate(notebook)
    sources = [cell.source for cell in notebook.cells]
    assert sources[0] == "# Doubling\n\nTwice as much, 加倍."
    assert sources[2] == 'def double(x):\n    """Twice x."""\n    raise NotImplementedError'
    assert sources[3] == "check(double)"
    assert notebook.cells[3].metadata.nbgrader.points == 3
    assert notebook.cells[3].metadata.editable is False
    assert notebook.cells[4].metadata == {"tags": ["experiment"], "jupyter": {"source_hidden": True}}
    assert notebook.metadata == release.NOTEBOOK_METADATA


def test_without_the_ignore_list_they_would_leak(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nbgrader's own list lets them through, and the search finds them: it can fail."""
    config = load_config()
    del config.CourseDirectory["ignore"]
    monkeypatch.setattr(release, "load_config", lambda: config)
    out = tmp_path / "release"
    build(source, out)
    found = "\n".join(leaks(out / LESSON, source / LESSON))
    for name in (f"{LESSON}.py", "doubling_mutants.py", "zh_CN.po", "README.md", "data/.secret"):
        assert name in files_of(out / LESSON)
        assert f"{name}: a file that matches" in found
    assert f"{LESSON}.py: a notebook as text" in found
    assert f"{LESSON}.py: SOLUTION: twice_as_much" in found
    assert f"{LESSON}.py: HIDDEN TESTS: assert" in found


def test_the_search_finds_the_instructors_notebook(source: Path, tmp_path: Path) -> None:
    nbformat.write(source_notebook(source / LESSON), tmp_path / "as-it-was.ipynb")
    (tmp_path / "out").mkdir()
    shutil.move(tmp_path / "as-it-was.ipynb", tmp_path / "out")
    found = leaks(tmp_path / "out", source / LESSON)
    assert len(found) == 6, found  # two markers and one region, of each kind


def test_the_same_bytes_everywhere(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    build(source, here)
    shutil.copytree(source, tmp_path / "elsewhere" / "src")
    monkeypatch.chdir(tmp_path / "elsewhere")
    os.utime(tmp_path / "elsewhere" / "src" / LESSON / f"{LESSON}.py", (0, 0))
    build(Path("src"), Path("../there"))
    assert files_of(here) == files_of(there)
    content = (here / LESSON / f"{LESSON}.ipynb").read_bytes()
    assert str(tmp_path).encode() not in content
    assert b"\r" not in content


def test_a_second_build_changes_nothing_and_an_edit_of_the_release_is_undone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "release"
    build(source, out)
    first = files_of(out)
    (out / LESSON / "__pycache__").mkdir()  # somebody imported the checks
    (out / LESSON / "__pycache__" / "x.pyc").write_text("compiled")
    assert build(source, out) == []
    (out / LESSON / "doubling_checks.py").write_text("edited by hand")
    (out / LESSON / "more.txt").write_text("added by hand")
    (out / "00-gone").mkdir()
    (out / "00-gone" / "00-gone.ipynb").write_text("of a lesson that is no more")
    would = build(source, out, write=False)
    assert (out / LESSON / "more.txt").exists()
    assert build(source, out) == would
    assert [path.name for path in would] == ["doubling_checks.py", "more.txt", "00-gone.ipynb"]
    assert not (out / "00-gone").exists()
    shutil.rmtree(out / LESSON / "__pycache__")
    assert files_of(out) == first


def test_only_the_lesson_asked_for(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source / LESSON, source / "02-again")
    (source / "02-again" / f"{LESSON}.py").rename(source / "02-again" / "02-again.py")
    build(source, tmp_path / "release", ["02-again"])
    assert [path.name for path in (tmp_path / "release").iterdir()] == ["02-again"]
    assert set(files_of(tmp_path / "release" / "02-again")) == {
        "02-again.ipynb",
        "doubling_checks.py",
        "data/numbers.csv",
    }


def test_cell_ids(source: Path) -> None:
    ids = [cell.id for cell in source_notebook(source / LESSON).cells]
    assert len(set(ids)) == len(ids)
    assert all(release.CELL_ID.fullmatch(one) for one in ids)
    assert ids[2:4] == ["double", "tested"]
    assert ids[6] == f"{ids[5]}-2"
    assert ids[5] == sha256(b'code\nprint("said twice")').hexdigest()[:8]
    text = source / LESSON / f"{LESSON}.py"
    text.write_text(TEXT.replace("# # Doubling", "# # Twice"), encoding="utf-8")
    after = [cell.id for cell in source_notebook(source / LESSON).cells]
    assert after[0] != ids[0]
    assert after[1:] == ids[1:]


# --- where learners' code runs ------------------------------------------------------------------------------


def autograded(course: Path, config: Any) -> Path:
    """What stock nbgrader leaves of a submission of the untouched release."""
    submitted = course / "submitted" / "ann" / LESSON
    shutil.rmtree(submitted, ignore_errors=True)
    shutil.copytree(course / "release" / LESSON, submitted)
    coursedir = CourseDirectory(config=config, root=str(course), assignment_id=LESSON)
    Autograde(coursedir=coursedir, config=config, force=True).start()
    return course / "autograded" / "ann" / LESSON


def test_a_course_directory_set_up_elsewhere(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    course = setup_course(tmp_path / "course", source_dir=source)
    assert set(files_of(course / "source" / LESSON)) == SHIPPED
    assert set(files_of(course / "release" / LESSON)) == SHIPPED
    assert nbformat.read(course / "source" / LESSON / f"{LESSON}.ipynb", as_version=4) == source_notebook(
        source / LESSON
    )
    build(source, tmp_path / "release")
    assert files_of(course / "release") == files_of(tmp_path / "release")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        assert gradebook.find_assignment(LESSON).max_score == 3
        assert "assert double(10**12)" in gradebook.find_source_cell("tested", LESSON, LESSON).source
    before = files_of(course)
    with pytest.raises(ReleaseError, match="already"):
        setup_course(course, source_dir=source)
    assert files_of(course) == before

    # In the checkout nbgrader finds the text, the mutants and the translations in source/ when it autogrades.
    shutil.copytree(source / LESSON, course / "source" / LESSON, dirs_exist_ok=True)
    ran_in = autograded(course, load_config(course))
    assert set(files_of(ran_in)) == SHIPPED
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        assert gradebook.find_submission(LESSON, "ann").score == 0
    careless = load_config(course)
    del careless.CourseDirectory["ignore"]
    assert f"{LESSON}.py" in files_of(autograded(course, careless))


# --- editing in JupyterLab ----------------------------------------------------------------------------------


def wait(value: Any) -> Any:
    """The value, or what the awaitable gives: the asynchronous manager is the one that JupyterLab runs."""

    async def result() -> Any:
        return await value

    return asyncio.run(result()) if inspect.isawaitable(value) else value


@pytest.fixture(params=["TextFileContentsManager", "AsyncTextFileContentsManager"])
def manager(request: pytest.FixtureRequest, source: Path) -> Any:
    if not hasattr(jupytext, request.param):
        pytest.skip(f"this jupytext has no {request.param}")
    made = getattr(jupytext, request.param)()
    made.root_dir = str(source.parent)
    return made


def later(path: Path, seconds: float = 5) -> None:
    """Let a file be that much newer than it is."""
    stat = path.stat()
    os.utime(path, (stat.st_atime + seconds, stat.st_mtime + seconds))


def test_text_and_notebook_stay_in_step(manager: Any, source: Path) -> None:
    text, paired = source / LESSON / f"{LESSON}.py", source / LESSON / f"{LESSON}.ipynb"
    where = f"source/{LESSON}/{LESSON}"
    model = wait(manager.get(f"{where}.py", type="notebook"))
    wait(manager.save({"type": "notebook", "content": model["content"]}, f"{where}.py"))
    assert paired.is_file(), "opening the text and saving it makes the notebook"
    once = text.read_text(encoding="utf-8")
    assert "### BEGIN SOLUTION" in once
    assert not release.out_of_step(source / LESSON)

    model = wait(manager.get(f"{where}.ipynb", type="notebook"))
    cells = model["content"]["cells"]
    cells[0]["source"] += "\n\nWritten in JupyterLab."
    cells[5]["metadata"]["tags"] = ["experiment"]
    cells[5]["metadata"]["scrolled"] = True
    cells[5]["outputs"] = [nbformat.v4.new_output("stream", text="said twice\n")]
    wait(manager.save({"type": "notebook", "content": model["content"]}, f"{where}.ipynb"))
    after = text.read_text(encoding="utf-8")
    assert "# Written in JupyterLab." in after
    assert '# %% tags=["experiment"]\nprint("said twice")' in after
    assert "scrolled" not in after
    assert after.startswith("# %% [markdown]"), "the text has no header"
    nbgrader_headers = [line for line in TEXT.splitlines() if "nbgrader=" in line]
    assert [line for line in after.splitlines() if "nbgrader=" in line] == nbgrader_headers

    text.write_text(after.replace("Written in", "Rewritten beside"), encoding="utf-8")
    later(text)
    model = wait(manager.get(f"{where}.ipynb", type="notebook"))
    cells = model["content"]["cells"]
    assert "Rewritten beside JupyterLab." in cells[0]["source"]
    assert cells[5]["outputs"][0]["text"] == "said twice\n", "outputs stay"
    assert cells[3]["metadata"]["nbgrader"]["points"] == 3


def test_the_text_survives_the_way_through_jupyterlab(manager: Any, source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "before")
    where = f"source/{LESSON}/{LESSON}.py"
    model = wait(manager.get(where, type="notebook"))
    wait(manager.save({"type": "notebook", "content": model["content"]}, where))
    assert build(source, tmp_path / "before") == []


def test_only_source_is_paired(source: Path, manager: Any) -> None:
    build(source, source.parent / "release")
    where = f"release/{LESSON}/{LESSON}.ipynb"
    model = wait(manager.get(where, type="notebook"))
    wait(manager.save({"type": "notebook", "content": model["content"]}, where))
    assert set(files_of(source.parent / "release" / LESSON)) <= SHIPPED | {CHECKPOINT}


def test_jupyterlab_and_the_release_read_a_lesson_by_the_same_rules() -> None:
    settings = tomllib.loads((paths.source() / "jupytext.toml").read_text(encoding="utf-8"))
    assert settings.pop("formats") == "ipynb,py:percent"
    assert settings == {key: release.TEXT_FORMAT[key] for key in settings}
    assert set(settings) == {"cell_metadata_filter", "notebook_metadata_filter"}


def pair(source: Path, prose_in_notebook: str) -> tuple[Path, Path]:
    text, paired = source / LESSON / f"{LESSON}.py", source / LESSON / f"{LESSON}.ipynb"
    notebook = jupytext.read(text)
    notebook.cells[0].source = prose_in_notebook
    notebook.cells[5].outputs = [nbformat.v4.new_output("stream", text="said twice\n")]
    nbformat.write(notebook, paired)
    return text, paired


def test_a_newer_notebook_wins_and_the_text_it_replaces_is_kept(source: Path, tmp_path: Path) -> None:
    text, paired = pair(source, "# Changed in a notebook")
    later(paired)
    before = files_of(source)
    assert source_notebook(source / LESSON).cells[0].source == "# Changed in a notebook"
    build(source, tmp_path / "release")
    assert files_of(source) == before, "a build writes nothing into source/"
    said = sync(source / LESSON)
    assert said is not None
    assert f"The newer, {LESSON}.ipynb, was taken into {LESSON}.py" in said
    assert "# # Changed in a notebook" in text.read_text(encoding="utf-8")
    kept = re.search(rf"kept as (\S+{LESSON}-\w+\.py)\.", said)
    assert kept is not None
    assert (source / LESSON / kept[1]).read_text(encoding="utf-8") == TEXT
    assert sync(source / LESSON) is None
    assert build(source, tmp_path / "release") == []


def test_a_newer_text_wins_and_the_notebook_it_replaces_is_kept(source: Path) -> None:
    text, paired = pair(source, "# Changed in a notebook")
    was = paired.read_bytes()
    later(text)
    assert source_notebook(source / LESSON).cells[0].source.startswith("# Doubling")
    said = sync(source / LESSON)
    assert said is not None
    assert f"The newer, {LESSON}.py, was taken into {LESSON}.ipynb" in said
    assert text.read_text(encoding="utf-8") == TEXT
    now = nbformat.read(paired, as_version=4)
    assert now.cells[0].source.startswith("# Doubling")
    assert now.cells[5].outputs[0].text == "said twice\n"
    assert was in files_of(source / LESSON / ".ipynb_checkpoints").values()
    assert sync(source / LESSON) is None


def test_outputs_alone_are_no_difference(source: Path) -> None:
    text, paired = pair(source, "# Doubling\n\nTwice as much, 加倍.")
    later(paired)
    assert sync(source / LESSON) is None
    assert text.read_text(encoding="utf-8") == TEXT


# --- what goes wrong, in words ------------------------------------------------------------------------------

GRADED = '"grade": true, "grade_id": "tested"'


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        (GRADED, '"grade": True, "grade_id": "tested"', "must be JSON"),
        ("# %% [markdown]", "# ---\n# jupyter: [a\n# ---\n\n# %% [markdown]", "that jupytext cannot read"),
        ("# %%", "#", "has no cells"),
        (', "grade_id": "tested"', "", "no grade_id for cell 4 of 01-doubling .check.double"),
        ('"tested"', '"double"', "grade_id double belongs to two cells: cell 3 .* and cell 4"),
        ('"tested"', '"check double"', "cannot be a cell's id"),
        ('"points": 3, ', "", '"points": None'),
        ('"points": 3', '"points": -1', '"points": -1'),
        ('"locked": false', '"locked": false, "points": 2', 'Cell 3 .* has 2 points but "grade": false'),
        ('"locked": true, ', "", "lacks locked"),
        ('"schema_version": 3, "solution": true', '"solution": true', "lacks schema_version"),
        ("    ### BEGIN SOLUTION\n", "", "BEGIN SOLUTION stands 0 times and END SOLUTION 1 times"),
        ("### END HIDDEN TESTS\n", "", "BEGIN HIDDEN TESTS stands 1 times"),
        ('"solution": true', '"solution": false', 'SOLUTION markers in cell 3 .* Set "solution": true'),
        ('"schema_version": 3, "solution": false', '"schema_version": 9, "solution": false', "nbgrader could not"),
    ],
)
def test_a_lesson_that_cannot_be_released(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], was: str, becomes: str, said: str
) -> None:
    assert was in TEXT
    (source / LESSON / f"{LESSON}.py").write_text(TEXT.replace(was, becomes), encoding="utf-8")
    with pytest.raises(ReleaseError, match=said):
        build(source, tmp_path / "release")
    assert not (tmp_path / "release").exists()
    assert capfd.readouterr() == ("", "")


def test_names_that_the_ignore_list_does_not_know(source: Path, tmp_path: Path) -> None:
    (source / LESSON / f"{LESSON}.py").rename(source / LESSON / "renamed.py")
    with pytest.raises(ReleaseError, match=f"has no {LESSON}.py"):
        build(source, tmp_path / "release")
    shutil.copytree(source / LESSON, source / "renamed")
    shutil.rmtree(source / LESSON)
    with pytest.raises(ReleaseError, match="no number before its name"):
        build(source, tmp_path / "release")


def test_a_lesson_that_is_not_there(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=f"no lesson 99-none .* Its lessons: {LESSON}"):
        build(source, tmp_path / "release", ["99-none"])


def test_a_notebook_that_is_none(source: Path) -> None:
    paired = source / LESSON / f"{LESSON}.ipynb"
    paired.write_text(json.dumps({"cells": 3}))
    later(paired)
    with pytest.raises(ReleaseError, match="delete the notebook"):
        source_notebook(source / LESSON)
