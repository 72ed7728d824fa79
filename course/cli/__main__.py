"""`python -m course.cli`: the same as `course`."""

from course.cli import main

main(prog_name="course")
