"""What a cell's text says it will touch: names, files, attributes of modules. The text is an instructor's."""

from __future__ import annotations

import ast
import collections
import enum
import functools
import re
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager

from autograder.operators import ORDER

MOST_FILES = 40
_FILE = re.compile(r"[\w\-. /]{1,120}")
# Methods that change what they give something of.
_TAKING = frozenset({"fit", "fit_transform", "partial_fit", "pop", "popitem", "popleft", "setdefault"})
# What code that writes a file looks like.
_WRITING = re.compile(
    r"""open\([^)]*["'][rbt]*[wax+]|\.to_\w+\(|\.save|savefig|\bdump\(|write|unlink|remove|rename|%%"""
)
_SEEDING = re.compile(r"seed\w*\(|set_?(rng_)?state\(")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True)
class Defined:
    """A class that a cell defines: its name, the names of its bases, and what it defines itself, or by a decorator."""

    name: str  # "" where it stands in a function, so that nobody else can name it
    bases: tuple[str, ...]
    has: frozenset[str]


@dataclass(frozen=True)
class Names:
    """Of one cell: global names that it reads or deletes, that it binds, and the statements that import.

    ``classes``: those that it defines. ``files``: the texts in it that could be names of files in its folder,
    ``writes``: whether it looks as if it wrote some. ``filled``: names whose object it changes in place. ``swallows``:
    whether a context manager in it may end an error; ``seeds``: whether it seeds random generators. ``changed``:
    attributes that it may change, as paths:
    ``np.random.seed = f`` gives (np, random, seed). What a text names, as in ``patch("os.getcwd")``, has "" first,
    then the module and the name.
    """

    read: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset()
    imports: tuple[str, ...] = ()
    classes: tuple[Defined, ...] = ()
    files: tuple[str, ...] = ()
    writes: bool = False
    filled: frozenset[str] = frozenset()
    swallows: bool = False
    seeds: bool = False
    changed: tuple[tuple[str, ...], ...] = ()


@functools.lru_cache(maxsize=4096)
def of_cell(text: str) -> Names:
    """The names of a cell; none where its text is not Python."""
    try:
        code = TransformerManager().transform_cell(text)
        tree = ast.parse(code)
        table = symtable.symtable(code, "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Names()
    read, bound = set(_touched(tree)), set()
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            if scope is table or symbol.is_global():
                if symbol.is_referenced():
                    read.add(symbol.get_name())
                if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                    bound.add(symbol.get_name())
    imported = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_imported()}
    imports = tuple(ast.unparse(node) for node in _import_statements(tree))
    return Names(
        read=frozenset(read),
        bound=frozenset(bound),
        imported=frozenset(imported),
        imports=imports,
        classes=tuple(_classes(tree)),
        files=tuple(dict.fromkeys(filter(_is_file, _texts(tree))))[:MOST_FILES],
        writes=_WRITING.search(code) is not None,
        filled=frozenset(_filled(tree)) & read,
        swallows=any(map(_swallows, ast.walk(tree))),
        seeds=_SEEDING.search(code) is not None,
        changed=tuple(dict.fromkeys(_changed(tree))),
    )


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _touched(tree: ast.AST) -> Iterator[str]:
    """Names that are deleted, changed in place or named in a text, which a symbol table does not know to be read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del):
            yield node.id
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
    for text in filter(_DOTTED.fullmatch, _texts(tree)):
        module, name, *_ = text.split(".")
        if module == "__main__":  # as in patch("__main__.roll")
            yield name


def _filled(tree: ast.AST) -> Iterator[str]:
    """Names whose object is changed: by an item or attribute that is set, or a method that is called for its effect."""
    for node in ast.walk(tree):
        places: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            places = [place for place in node.targets if isinstance(place, ast.Subscript | ast.Attribute)]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign) and isinstance(node.target, ast.Subscript | ast.Attribute):
            places = [node.target]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            places = [node.value.func] if isinstance(node.value.func, ast.Attribute) else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TAKING:
            places = [node.func]
        for place in places:
            while isinstance(place, ast.Subscript | ast.Attribute):
                place = place.value
            if isinstance(place, ast.Name):
                yield place.id


def _swallows(node: ast.AST) -> bool:
    """Whether this is something by which an error may end in a ``with`` statement."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inside = list(ast.walk(node))
        if node.name in ("__exit__", "__aexit__"):
            given = [one.value for one in inside if isinstance(one, ast.Return)]
            return any(not (v is None or (isinstance(v, ast.Constant) and not v.value)) for v in given)
        if any("contextmanager" in ast.unparse(one) for one in node.decorator_list):
            handlers = [one for one in inside if isinstance(one, ast.ExceptHandler)]
            return any(not any(isinstance(one, ast.Raise) for one in ast.walk(handler)) for handler in handlers)
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).endswith(
        ("suppress", "ExitStack", "raises")
    )


def _import_statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements of a cell itself, not those within its functions and classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _import_statements(node)


def _classes(tree: ast.AST, *, inside: bool = False) -> Iterator[Defined]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            scope = symtable.symtable(ast.unparse(node), "<class>", "exec").get_children()[0]
            has = {s.get_name() for s in scope.get_symbols() if s.is_assigned() or s.is_namespace()}
            bases = tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)
            for base in bases:
                has |= _of_python(base)
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            if "dataclass" in decorators:
                has |= {"__eq__", "__repr__"} | ({"__hash__"} if "frozen" in decorators else set())
            if "total_ordering" in decorators or ("dataclass" in decorators and "order=True" in decorators):
                has |= {f"__{name}__" for name in ORDER}
            yield Defined("" if inside else node.name, bases, frozenset(has))
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _classes(node, inside=inside or function)


def _of_python(base: str) -> set[str]:
    """What classes of Python's own give to those derived from them, but for what a container holds."""
    own: set[str] = set()
    for kind in _DATA.get(base, object).__mro__[:-1]:
        own |= {name for name, held in vars(kind).items() if name.startswith("__") and held is not None}
    return own - {"__len__", "__iter__", "__getitem__", "__repr__"}


def solutions(cells: Iterable[Names]) -> dict[str, frozenset[str]]:
    """What each class of these cells has, its bases among them included; under "" what those within functions have."""
    found: dict[str, Defined] = {}
    nameless: set[str] = set()
    for one in (defined for cell in cells for defined in cell.classes):
        if one.name:
            found[one.name] = one
        else:
            nameless |= one.has
    has = {name: set(one.has) for name, one in found.items()}
    for _ in found:  # as far as one can be derived from another
        for name, one in found.items():
            has[name] = has[name].union(*(has[base] for base in one.bases if base in has))
    return {"": frozenset(nameless)} | {name: frozenset(names) for name, names in has.items()}


_DATA: dict[str, type] = {
    **{kind.__name__: kind for kind in (int, float, complex, str, bytes, list, tuple, dict, set, frozenset)},
    **{kind.__name__: kind for kind in (collections.Counter, collections.OrderedDict, collections.deque)},
    **{kind.__name__: kind for kind in (enum.Flag, enum.IntFlag, enum.IntEnum)},
}


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _texts(tree: ast.AST) -> Iterator[str]:
    return filter(None, map(_text, ast.walk(tree)))


def _is_file(name: str) -> bool:
    parts = name.split("/")
    looks_like_one = "." in parts[-1].strip(".") or "/" in name
    return looks_like_one and _FILE.fullmatch(name) is not None and not {"", ".", ".."} & set(parts)


def _changed(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _path(node.value, node.attr)
        elif isinstance(node, ast.Call):
            for name in filter(None, map(_text, node.args[1:2])):  # patch.object, setattr, monkeypatch.setattr
                yield from _path(node.args[0], name)
    for text in filter(_DOTTED.fullmatch, _texts(tree)):
        module, _, name = text.rpartition(".")
        yield "", module, name


def _path(node: ast.expr, name: str) -> Iterator[tuple[str, ...]]:
    path = [name]
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        yield (node.id, *reversed(path))


def without_failing(imports: tuple[str, ...]) -> str:
    """Code that does these imports, each for itself: one that cannot be done leaves the others alone."""
    done = (f"try:\n    {line}\nexcept ImportError:\n    pass\n" for line in imports if "__future__" not in line)
    return "".join(done)


def modules(text: str) -> set[str]:
    """The modules that a text imports anywhere. ``from a import b`` gives ``a`` and ``a.b``, which may be one."""
    try:
        tree = ast.parse(TransformerManager().transform_cell(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*")}
    return found


# What says how late it is, or ends what takes long.
_CLOCKS = frozenset({"asyncio", "cProfile", "concurrent", "multiprocessing", "profile", "resource", "sched", "signal"})
_CLOCKS |= {"threading", "time", "timeit"}
_TIMING = re.compile(
    r"\b(?:(?:utc)?now|today|os\.times)\(|timeout|timeit|benchmark|perf_counter|^\s*%%?time", re.MULTILINE
)


@functools.lru_cache(maxsize=4096)
def times(text: str) -> bool:
    """Whether a text may look at how long something takes."""
    return _TIMING.search(text) is not None or any(name.partition(".")[0] in _CLOCKS for name in modules(text))
