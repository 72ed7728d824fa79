"""Mutants can be put into a learner's cell."""

from course.mutants import Mutants

mutants = Mutants()


@mutants.wrong("double", "adds-one")
def adds_one(x):
    return x + 1


@mutants.right("double")
def adds_itself(x):
    return x + x


def test_they_are_collected_in_order():
    assert [(m.exercise, m.misconception, m.name) for m in mutants] == [
        ("double", "adds-one", "adds_one"),
        ("double", None, "adds_itself"),
    ]


def test_the_text_of_a_mutant_defines_the_exercise():
    for mutant, answer in zip(mutants, (4, 6), strict=True):
        namespace: dict = {}
        exec(mutant.cell(), namespace)
        assert namespace["double"](3) == answer
        assert "mutants." not in mutant.cell()
