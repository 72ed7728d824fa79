"""How each state looks wherever it is shown: a mark, and a colour that is never the only sign."""

from __future__ import annotations

from typing import NamedTuple

from autograder.verdict import State


class Look(NamedTuple):
    """``shade`` fills an area, on which ``ink`` is legible; ``line`` is legible as text on white."""

    mark: str
    shade: str
    ink: str
    line: str


LOOKS = {
    State.PASSED: Look("✓", "#1b7f5c", "#ffffff", "#17694c"),
    State.PARTIAL: Look("◐", "#8fc9a6", "#10281c", "#3d6b50"),
    State.FAILED: Look("✗", "#c8502d", "#ffffff", "#a63d1e"),
    State.ERROR: Look("!", "#e8a33d", "#2b1c02", "#835200"),
    State.NOT_ATTEMPTED: Look("○", "#c9ced3", "#20262b", "#56616b"),
    State.TIMEOUT: Look("…", "#7a5ea8", "#ffffff", "#624694"),
    State.MEMORY: Look("▤", "#5b7fb5", "#ffffff", "#3f639a"),
    State.CRASHED: Look("×", "#4a4458", "#ffffff", "#4a4458"),
    State.UNREADABLE: Look("?", "#94506f", "#ffffff", "#853f60"),
}
