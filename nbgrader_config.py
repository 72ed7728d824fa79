"""nbgrader's settings for this course.

This folder is itself an nbgrader course directory (source/, release/, submitted/, autograded/, feedback/,
gradebook.db), so that nbgrader's own commands work here and in every course directory that has a copy of this
file. nbgrader gives `get_config` to it.
"""

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.CourseDirectory.course_id = "finetuning-from-zero"

# `generate_assignment` and `autograde` copy every file of a lesson's folder that no name here matches: into
# what learners get, and into the folder where their code runs. The checks (`*_checks.py`) and data files must
# get there.
c.CourseDirectory.ignore = [
    "[0-9]*.py",  # a lesson as text, solutions included; no module starts with a digit
    "*_mutants.py",
    "*.po",
    "*.pot",
    "*.mo",
    "README*",
    "jupytext.toml",
    "kept",  # where a learner finds what an update or a reset replaced
    "feedback",  # nbgrader's own four, from here on
    ".ipynb_checkpoints",
    "__pycache__",
    "*.pyc",
    ".*",
    "*~",
    "*.orig",
    "*.rej",
]

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}

# A check takes 2 s at the very most and experiments are passed over at grading: what needs a minute hangs.
c.Execute.timeout = 60
c.Execute.startup_timeout = 120
c.Execute.iopub_timeout = 30

# What learners get back hides the hidden tests, which autograded/ keeps for graders.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "autograder.feedback.HideHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
