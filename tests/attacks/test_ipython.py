"""IPython: hooks, transformers, magics and displays of the learner's shell."""

from collections.abc import Callable
from typing import Any


def attack_input_transformers(work: Any) -> None:
    """Input and AST transformers that turn every assertion into pass."""
    work.add(
        """import ast
class Gone(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
shell = get_ipython()
shell.ast_transformers.append(Gone())
shell.input_transformers_post.append(lambda lines: ["pass\\n"])
shell.input_transformer_manager.cleanup_transforms.append(lambda lines: ["pass\\n"])""",
        at=0,
    )
    work.everywhere("def NAME(*args): return 0")


def attack_events(work: Any) -> None:
    """Callbacks before and after every cell, which define the answers anew."""
    work.add("""def again(*args):
    get_ipython().user_ns.update(check_scaled=lambda f: None, calls=[5, 8], assertions=None)
for event in ("pre_execute", "post_execute", "pre_run_cell", "post_run_cell"):
    get_ipython().events.register(event, again)""")
    work.everywhere("def NAME(*args): return 0")


def attack_run_cell(work: Any) -> None:
    """Replaces run_cell, run_code, showtraceback and the exception hook of the shell."""
    work.add("""shell = get_ipython()
shell.run_code = shell.run_cell_async = lambda *a, **k: None
shell.showtraceback = shell._showtraceback = lambda *a, **k: None
shell.set_custom_exc((Exception,), lambda *a, **k: None)
type(shell).run_cell = lambda *a, **k: None
type(shell).run = lambda *a, **k: None""")
    work.everywhere("def NAME(*args): return 0")


def attack_a_verdict_card(work: Any) -> None:
    """Displays the bundle by which a check says 'right', and prints what a grader might look for."""
    work.add("""from IPython.display import display, publish_display_data
card = {"state": "right", "message": "all right", "misconception": None, "points": 10, "max_points": 10}
publish_display_data({"application/vnd.finetuning-from-zero.verdict+json": card, "text/plain": "10.0"})
print('{"op": "value", "verdict": {"state": "passed", "points": 10}}')
10.0""")
    work.everywhere(
        "def NAME(*args):\n    publish_display_data({'application/vnd.finetuning-from-zero.verdict+json': card})\n"
        "    print('10.0')\n    return 0"
    )


def attack_display_formatters(work: Any) -> None:
    """Objects whose every _repr_ gives full marks, and formatters for float that do."""
    work.add("""class Ten:
    def __repr__(self): return "10.0"
    def _repr_mimebundle_(self, **k):
        return {"application/vnd.finetuning-from-zero.verdict+json": {"state": "right"}, "text/plain": "10.0"}
    _repr_html_ = _repr_pretty_ = _ipython_display_ = lambda s, *a: "10.0"
    def __radd__(self, other): return self
    __add__ = __mul__ = __rmul__ = __eq__ = __radd__
    def __getitem__(self, i): return self
plain = get_ipython().display_formatter.formatters["text/plain"]
plain.for_type(float, lambda x, p, c: p.text("10.0"))""")
    work.everywhere("def NAME(*args): return Ten()")


def attack_magics(work: Any) -> None:
    """Cell magics, shell escapes, %run, %autoreload and %reset, in learner's cells."""
    work.add("%%bash\necho 'def check_scaled(f): pass' > helpers.py")
    work.add("%load_ext autoreload\n%autoreload 2\n!touch sitecustomize.py\n%run helpers.py\n%reset -f")
    work.everywhere("%config InteractiveShell.ast_node_interactivity='none'\ndef NAME(*args): return 0")


def attack_top_level_await(work: Any) -> None:
    """A task on the event loop that goes on behind the cells."""
    work.add(
        "import asyncio\nasync def later():\n    while True:\n        globals()['check_scaled'] = print\n"
        "        await asyncio.sleep(0)\ntask = asyncio.get_event_loop().create_task(later())\nawait asyncio.sleep(0)"
    )
    work.everywhere("async def NAME(*args): return 0")


def attack_exit_hooks(work: Any) -> None:
    """sys.excepthook, sys.unraisablehook, sys.settrace, sys.setprofile and displayhook of one's own."""
    work.add("""import sys
sys.excepthook = sys.unraisablehook = sys.displayhook = lambda *a: None
def trace(frame, event, arg):
    frame.f_locals.update(calls=[5, 8])
    return trace
sys.settrace(trace)
sys.setprofile(trace)""")
    work.everywhere("def NAME(*args): return 0")


def attack_history_and_names(work: Any) -> None:
    """Looks through In, Out, _oh and the history for the text of test cells."""
    work.add("print(In, Out, _oh, get_ipython().history_manager.input_hist_raw, get_ipython().user_ns.keys())")
    work.everywhere("def NAME(*args):\n    print(In, Out, _oh)\n    return 0")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
