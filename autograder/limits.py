"""The limits under which a submission is graded: each has a name, a default and a reason."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path


def _limit(default: float, why: str) -> float:
    return field(default=default, metadata={"why": why})


@dataclass(frozen=True)
class Limits:
    """What one submission's code may use. Sizes are in MiB, times in seconds."""

    cell_seconds: float = _limit(60, "wall-clock time of one cell, the learner's or a test")
    submission_seconds: float = _limit(600, "wall-clock time of a whole notebook")
    cpu_seconds: float = _limit(600, "processor time of each process of the learner's code, its threads together")
    memory_mib: float = _limit(
        4096,
        "address space that each process of the learner's code may add to the warm one, "
        "and memory that all of them may take together",
    )
    processes: float = _limit(64, "processes and threads of the learner's code")
    open_files: float = _limit(256, "files open at once")
    file_mib: float = _limit(64, "size of any one file")
    scratch_mib: float = _limit(256, "all files in the scratch folder together")
    scratch_files: float = _limit(10_000, "number of files and folders in the scratch folder")
    notebook_mib: float = _limit(20, "size of a submitted notebook")
    notebook_cells: float = _limit(10_000, "cells of a submitted notebook")
    output_kib: float = _limit(
        1024, "text that one cell may show, and a sixteenth of what a notebook may; the rest is cut"
    )


def table() -> list[tuple[str, float, str]]:
    """(name, default, reason) of every limit, for the documentation."""
    return [(f.name, f.default, f.metadata["why"]) for f in fields(Limits)]  # type: ignore[misc]


def bound_memory(limits: Limits) -> None:
    """Bounds what this process may add to its memory, where the system can."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = now + int(limits.memory_mib * 2**20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
