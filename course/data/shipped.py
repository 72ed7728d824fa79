"""Where the shipped data files lie, what each must hash to, and when the full data sets are asked for."""

from __future__ import annotations

from pathlib import Path

from course import scale
from course.data.verified import PinnedFile, verified

FOLDER = Path(__file__).parent / "files"
PACKAGE = "finetuning-from-zero"

FASHION_MNIST = PinnedFile(
    "fashion-mnist-4k.npz", "3fb9632304ab902481f25cb6d0098311ef59101bde411d9a39d69c8889b77990", 1_766_807
)
WORDNET_TOPICS = PinnedFile(
    "wordnet-topics.csv.gz", "613efbcd7020dce9280f1f7ea0ef2a612f09e420fef7ebe1dcc8a51262ebaf11", 160_889
)
WORDNET_DEFINITIONS = PinnedFile(
    "wordnet-definitions.tsv.gz", "e46f7fb5290def2881a24538b93494efadb75e7438c17438a64fa1aa31897c47", 3_528_901
)

SHIPPED = (FASHION_MNIST, WORDNET_TOPICS, WORDNET_DEFINITIONS)


def shipped(pinned: PinnedFile) -> Path:
    """The path of a shipped data file, verified. Raises AssetError where it is missing or damaged."""
    return verified(FOLDER, pinned, PACKAGE)


def full_wanted(full: bool | None = None) -> bool:
    """What the caller said, or, where it said nothing, whether `COURSE_SCALE` says full; never while grading."""
    return scale.current() == "full" and not scale.grading() if full is None else full
