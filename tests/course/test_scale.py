import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.validator import Validator

from course import scale

SIZES = {"offline": {"photos": 300}, "quick": {"photos": 4}, "full": {"photos": 3000}}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    monkeypatch.delenv(scale.SCALE_VARIABLE, raising=False)
    monkeypatch.delenv(scale.GRADING_VARIABLE, raising=False)


def test_without_a_word_it_is_offline():
    assert scale.current() == "offline"
    assert scale.experiment(**SIZES).photos == 300


@pytest.mark.parametrize(
    ("word", "photos"), [("quick", 4), ("full", 3000), ("offline", 300), (" Quick ", 4), ("", 300)]
)
def test_the_variable_decides(monkeypatch, word, photos):
    monkeypatch.setenv(scale.SCALE_VARIABLE, word)
    size = scale.experiment(**SIZES)
    assert size.photos == photos
    assert size.scale == (word.strip().lower() or "offline")


def test_another_word_is_answered_with_the_three_there_are(monkeypatch):
    monkeypatch.setenv(scale.SCALE_VARIABLE, "fast")
    with pytest.raises(ValueError, match=r"COURSE_SCALE is 'fast'.*quick, offline and full"):
        scale.current()


def test_sizes_that_differ_between_scales_are_refused():
    with pytest.raises(ValueError, match=r"quick has \['seeds'\]"):
        scale.experiment(offline={"photos": 1}, quick={"seeds": 1}, full={"photos": 1})


def test_an_experiment_without_sizes():
    assert scale.experiment().scale == "offline"


def test_an_experiment_is_passed_over_while_nbgrader_runs(monkeypatch):
    monkeypatch.setenv(scale.GRADING_VARIABLE, "validate")
    with pytest.raises(scale.ExperimentSkipped):
        scale.experiment(**SIZES)


def test_in_a_notebook_that_nbgrader_validates_only_the_experiment_is_passed_over(tmp_path):
    """nbgrader's own validator, under a real kernel: one quiet line, and the graded cells stand."""

    def graded(name, source, *, grade):
        marks = {"grade_id": name, "grade": grade, "locked": True, "solution": False, "task": False}
        cell = new_code_cell(source)
        cell.metadata["nbgrader"] = {
            **marks,
            "schema_version": 3,
            "cell_type": "code",
            **({"points": 1} if grade else {}),
        }
        return cell

    cells = [
        graded("setup", "from course import scale", grade=False),
        new_code_cell("scale.experiment()\nreached = True", metadata={"tags": ["experiment"]}),
        graded("check", "assert 'reached' not in globals()", grade=True),
    ]
    path = tmp_path / "lesson.ipynb"
    nbformat.write(new_notebook(cells=cells), path)

    validator = Validator()
    notebook = validator._preprocess(nbformat.read(path, as_version=4))
    assert validator._get_failed_cells(notebook) == []

    outputs = notebook.cells[1].outputs
    assert [(output.output_type, output.ename) for output in outputs] == [("error", "ExperimentSkipped")]
    assert outputs[0].traceback == ["An experiment: passed over while grading."]
    assert not any(output.get("name") == "stderr" for cell in notebook.cells for output in cell.outputs)
