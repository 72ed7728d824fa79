"""What a check puts into a model that it hands over, to see what becomes of it.

In the judge of ``autograder grade`` such a model lies in another process; the function that is shown something
stays where the check is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


class Tap:
    """Shows a tensor to a function, which stays where the check is, and passes it on."""

    def __init__(self, see: Callable[[Tensor], None]) -> None:
        self.see = see

    def __call__(self, x: Tensor) -> Tensor:
        self.see(x)
        return x

    def __deepcopy__(self, memo: Any) -> Tap:
        return self
