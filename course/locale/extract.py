"""Every text that a learner reads, found in the source: for translators, and to show that none is left out.

``python -m course.locale.extract`` writes them to ``course.pot`` beside this file. They stand in two kinds of places:
in calls of `gettext` and `ngettext`, and, as constants, where the library translates what it shows (`TRANSLATED`).
"""

from __future__ import annotations

import ast
import inspect
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from course import paths
from course.locale import DOMAIN

HERE = Path(__file__).parent
TEMPLATE = HERE / f"{DOMAIN}.pot"

# Function -> the arguments, by place and by name, that the library translates when it shows them.
TRANSLATED: dict[str, tuple[int | str, ...]] = {
    "Check": ("hints",),
    "Look": (1, "word"),
    "Misconception": (1, "message", 2, "look_at"),
    "Wrong": ("seen", "expected"),
    "argument": ("help",),
    "option": ("help",),
    "part": (1, "title"),
}
# Function -> the arguments that are shown as they are.
SHOWN: dict[str, tuple[int | str, ...]] = {
    "BadParameter": (0,),
    "ClickException": (0,),
    "Markdown": (0,),
    "Text": (0,),
    "UsageError": (0,),
    "add_column": (0,),
    "confirm": (0,),
    "echo": (0,),
    "print": (0,),
    "prompt": (0,),
    "secho": (0,),
    "waiting": (0,),
}
# Arguments of any function in course/widgets/ that are shown as they are.
OF_WIDGETS = ("description", "label", "placeholder", "tooltip")
# Decorators of click: the docstring below is translated when help is shown.
COMMANDS = ("command", "group")
# Styles, tags, fences of code and names of errors, which are the same in every language.
MARKUP = re.compile(r"<style>.*</style>|<[^>]*>?|```\w*|\b[A-Z]\w*Error\b", re.DOTALL)
# How a sentence begins. A constant of the library that begins so is said to somebody, wherever it stands.
SENTENCE = re.compile(r"\s*[A-Z][a-z]+\S*\s+\w")
NAMES = {"Fine-tuning from Zero"}  # which are the same in every language
# What is for instructors, and speaks English.
FOR_INSTRUCTORS = {"release"}


@dataclass(frozen=True)
class Message:
    """A text to translate, and the line that says it; `plural` where its form goes with a count."""

    text: str
    plural: str | None
    path: Path
    line: int


@dataclass(frozen=True)
class Fault:
    """A line whose text no catalogue can translate, and why."""

    path: Path
    line: int
    why: str

    def __str__(self) -> str:
        return f"{_short(self.path)}:{self.line}: {self.why}"


@dataclass
class Found:
    """What one or more files say."""

    messages: list[Message] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def sources() -> list[Path]:
    """The files in which texts for learners stand. Figures (plots.py) belong to the lessons, and their language."""
    library = Path(paths.__file__).parent
    of_authors = {"demo.py", "mutants.py", "plots.py", "release.py"}
    return [
        *(path for path in sorted(library.rglob("*.py")) if path.name not in of_authors and path.parent != HERE),
        *sorted(paths.source().glob("*/*_checks.py")),
    ]


def _short(path: Path) -> str:
    return path.relative_to(paths.home()).as_posix()


def find(files: list[Path] | None = None) -> Found:
    """All messages and all faults of these files; of every file without."""
    found = Found()
    for path in sources() if files is None else files:
        _Reader(path, found).visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def template() -> Catalog:
    """The messages as Babel's catalogue, each once, with the lines that say it."""
    catalog = Catalog(domain=DOMAIN, project="finetuning-from-zero", fuzzy=False)
    for message in find().messages:
        says = message.text if message.plural is None else (message.text, message.plural)
        added = catalog.add(says, locations=[(_short(message.path), message.line)])
        added.flags.discard("python-format")  # "{share:.0%} right" looks like it
    return catalog


class _Reader(ast.NodeVisitor):
    """Goes through one file."""

    def __init__(self, path: Path, found: Found) -> None:
        self.path = path
        self.found = found
        self.names: dict[str, str] = {}  # what gettext and ngettext are called here
        self.functions: list[ast.FunctionDef] = []
        self.judged: set[ast.expr | ast.stmt] = set()  # texts that are found already
        self.is_check = path.name.endswith("_checks.py")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module == "course.locale":
            self.names |= {one.asname or one.name: one.name for one in node.names}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name in FOR_INSTRUCTORS:
            return
        if any(_name(one) in COMMANDS for one in node.decorator_list if isinstance(one, ast.Call)):
            self._message(node, inspect.cleandoc(ast.get_docstring(node) or ""))
        self.functions.append(node)
        self.generic_visit(node)
        self.functions.pop()

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node)
        if name in self.names:
            self._translated(node, self.names[name])
            return
        for argument in _arguments(node, TRANSLATED.get(name, ())):
            self._constants(argument)
        widgets = OF_WIDGETS if self.path.parent.name == "widgets" else ()
        for argument in _arguments(node, SHOWN.get(name, ()) + widgets):
            if isinstance(argument, ast.Constant) and says_something(argument.value):
                self._fault(argument, f"{name} shows a text that is not translated: it goes through gettext")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        said = self.names and not self.is_check and isinstance(node.value, str) and SENTENCE.match(node.value)
        if said and node not in self.judged and node.value not in NAMES:
            self._fault(node, "a sentence that is not translated: it goes through gettext")

    def visit_Raise(self, node: ast.Raise) -> None:
        if self._speaks() and isinstance(node.exc, ast.Call) and _name(node.exc) not in SHOWN:
            for argument in node.exc.args:
                if isinstance(argument, ast.Constant) and says_something(argument.value):
                    self._fault(argument, "an error that is not translated: its text goes through gettext")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        if self._speaks() and re.search(r"\s", text) and says_something(MARKUP.sub("", text)):
            self._fault(node, "an f-string with words in it: make it a constant with named fields for gettext")
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._glued(node.op, node.left, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._glued(node.op, node.value)
        self.generic_visit(node)

    def _glued(self, operation: ast.operator, *sides: ast.expr) -> None:
        if not self._speaks() or not isinstance(operation, ast.Add | ast.Mod):
            return
        for side in sides:
            for piece in (side.body, side.orelse) if isinstance(side, ast.IfExp) else (side,):
                if isinstance(piece, ast.Constant) and says_something(piece.value):
                    self._fault(piece, "words glued to others: make the whole sentence one constant for gettext")

    def _speaks(self) -> bool:
        """Whether what this file says is for learners: then whole texts go through gettext, wherever they stand."""
        return self.is_check or bool(self.names)

    def _translated(self, node: ast.Call, function: str) -> None:
        """A call of gettext or ngettext: constants, or, in the library, a name that stands for one."""
        texts = node.args[: 2 if function == "ngettext" else 1]
        said = [text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str)]
        if len(said) == len(texts):
            self._message(node, *said)
        elif self.is_check or not all(isinstance(text, ast.Name | ast.Attribute | ast.Subscript) for text in texts):
            self._fault(node, f"{function} is given something else than a constant: no catalogue can have it")
        for other in [*node.args[len(texts) :], *node.keywords]:
            self.visit(other)

    def _constants(self, node: ast.expr) -> None:
        """The constants that an argument can be, in the argument itself or in the function around it."""
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and says_something(node.value):
                self._message(node, node.value)
        elif isinstance(node, ast.IfExp):
            self._constants(node.body)
            self._constants(node.orelse)
        elif isinstance(node, ast.Tuple | ast.List):
            for one in node.elts:
                self._constants(one)
        elif isinstance(node, ast.Name) and self.functions:
            assigned = [line for line in ast.walk(self.functions[-1]) if isinstance(line, ast.Assign)]
            for line in assigned:
                names = [target.id for target in line.targets if isinstance(target, ast.Name)]
                if node.id in names and not isinstance(line.value, ast.Name):
                    self._constants(line.value)

    def _message(self, node: ast.expr | ast.stmt, text: str, plural: str | None = None) -> None:
        self.judged.add(node)
        if text:
            self.found.messages.append(Message(text, plural, self.path, node.lineno))

    def _fault(self, node: ast.expr | ast.stmt, why: str) -> None:
        self.judged.add(node)
        self.found.faults.append(Fault(self.path, node.lineno, why))


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _arguments(call: ast.Call, wanted: tuple[int | str, ...]) -> Iterator[ast.expr]:
    yield from (argument for place, argument in enumerate(call.args) if place in wanted)
    yield from (keyword.value for keyword in call.keywords if keyword.arg in wanted)


def says_something(text: object) -> bool:
    """Whether there are words in it, and not only code, numbers and signs. A null character stands for a value."""
    if not isinstance(text, str):
        return False
    words = [word for word in re.findall(r"[^\W\d]\w+", text.replace("\0", " ")) if "_" not in word]
    if all(word.isupper() for word in words):
        return False
    if any(keyword.iskeyword(word) for word in words if word not in ("True", "False", "None")):
        return True
    try:
        call = ast.parse("_(" + text.replace("\0", "_0") + "\n)", mode="eval").body
    except (SyntaxError, ValueError):
        return True
    return any(isinstance(one, ast.Name) and "_0" not in one.id for one in getattr(call, "args", ()))


if __name__ == "__main__":
    with TEMPLATE.open("wb") as file:
        write_po(file, template(), width=120)
