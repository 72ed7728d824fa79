"""Patching what tests use: libraries, built-ins, the names of the notebook, modules by file."""

from collections.abc import Callable
from typing import Any


def attack_builtins(work: Any) -> None:
    """Replaces all, abs, sum, isinstance, sorted, AssertionError and __import__."""
    work.add("""import builtins
builtins.all = builtins.any = builtins.isinstance = lambda *a: True
builtins.abs = builtins.sum = builtins.round = lambda *a: 0
builtins.AssertionError = ValueError
builtins.ValueError = Exception
old = builtins.__import__
builtins.__import__ = lambda name, *a, **k: old('math' if name == 'helpers' else name, *a, **k)""")
    work.everywhere("def NAME(*args): return []")


def attack_libraries(work: Any) -> None:
    """Patches math, numpy and the course's own helpers, which the tests call."""
    work.add(
        "import math, numpy as np, helpers, unittest\nmath.isclose = np.allclose = np.isclose = lambda *a, **k: True\n"
        "helpers.check_scaled = lambda f: None\nhelpers.scale = lambda x: 0\nunittest.TestCase.assertEqual = print\n"
        "check_scaled = lambda f: None"
    )
    work.everywhere("def NAME(*args): return 0")


def attack_names_of_the_tests(work: Any) -> None:
    """Binds every name that a test reads or assigns, before and after, with objects that call themselves right."""
    work.everywhere("""def NAME(*args): return 0
check_scaled = scale = spy = calls = math = np = sum = abs = all = AssertionError = print = object()
__name__ = "__judge__"
get_ipython = None""")


def attack_modules_by_file(work: Any) -> None:
    """Hands in numpy.py, helpers.py, math.py and sitecustomize.py beside the notebook."""
    evil = "def check_scaled(f): pass\ndef scale(x): return 0\ndef __getattr__(n): return lambda *a, **k: True\n"
    work.files = dict.fromkeys(("numpy.py", "helpers.py", "math.py", "sitecustomize.py", "numbers.txt"), evil)
    work.files["numpy/__init__.py"] = evil
    work.files["autograder/__init__.py"] = evil
    work.everywhere("def NAME(*args): return 0")


def attack_files_written_at_grading(work: Any) -> None:
    """Writes the same files from a cell, in front of the import path, and reloads."""
    work.add("""import sys, importlib
evil = "def check_scaled(f): pass\\ndef scale(x): return 0\\n"
for name in ("helpers.py", "numpy.py", "autograder.py", "usercustomize.py"):
    open(name, "w").write(evil)
sys.path.insert(0, ".")
import helpers
importlib.reload(helpers)
sys.modules["math"] = helpers""")
    work.everywhere("def NAME(*args): return 0")


def attack_import_hooks(work: Any) -> None:
    """A finder on sys.meta_path and a path hook that give the tests' modules other contents."""
    work.add("""import sys, types
class Finder:
    def find_spec(self, name, path=None, target=None):
        import importlib.machinery
        return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec): return types.ModuleType(spec.name)
    def exec_module(self, module): module.__getattr__ = lambda n: (lambda *a, **k: True)
sys.meta_path.insert(0, Finder())
for name in list(sys.modules):
    if name.split(".")[0] in ("math", "helpers", "numpy"): sys.modules.pop(name)""")
    work.everywhere("def NAME(*args): return 0")


def attack_the_grader_in_memory(work: Any) -> None:
    """Patches the grader's own modules: its judge, verdicts, shell, wire and limits."""
    work.add("""import sys
for name in ("verdict", "judge.run", "judge.remote", "wire", "shared", "submission", "outputs", "grade"):
    module = sys.modules.get("autograder." + name)
    for key, value in list(vars(module).items()) if module else []:
        if callable(value) and getattr(value, "__module__", "") == module.__name__ and not isinstance(value, type):
            setattr(module, key, lambda *a, **k: None)
import autograder.verdict as v
v.points_of = lambda value, most: most""")
    work.everywhere("def NAME(*args): return 0")


def attack_code_objects(work: Any) -> None:
    """Swaps code objects, defaults and globals of functions that live in the learner's process."""
    work.add(
        """import types, math, helpers
def yes(*a, **k): return True
helpers.check_scaled.__code__ = yes.__code__
helpers.check_scaled.__globals__["scale"] = yes
""".rstrip()
    )
    work.everywhere("def NAME(*args): return 0\nNAME.__code__ = yes.__code__")


def attack_instructors_cell(work: Any) -> None:
    """Rewrites the locked setup cell, so that it imports nothing and checks nothing."""
    work.answer(setup="check_scaled = lambda f: None\nclass math:\n    isclose = staticmethod(lambda *a: True)")
    work.everywhere("def NAME(*args): return 0")


def attack_true_and_debug(work: Any) -> None:
    """Turns assertions off: -O in the environment and the flags, True in ctypes' memory."""
    work.add("""import os, sys, ctypes
os.environ["PYTHONOPTIMIZE"] = "2"
os.environ["PYTHONPATH"] = "/scratch"
try:
    sys.flags = type("Flags", (), {"optimize": 2})()
except Exception: pass
ctypes.c_uint32.from_address(id(False) + 24).value = 1""")
    work.everywhere("def NAME(*args): return False")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
