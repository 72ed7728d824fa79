"""The terminal that `course` speaks to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def console(*, stderr: bool = False) -> Console:
    """Plain text where it is no terminal; without colours where `course --no-color` or NO_COLOR says so."""
    context = click.get_current_context(silent=True)
    colourless = context is not None and context.color is False
    return Console(stderr=stderr, highlight=False, no_color=True if colourless else None)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says that something is being done, and for how long, while the block runs; only in a terminal."""
    terminal = console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        progress.add_task(what)
        yield
