"""Sentences from WordNet 3.0: definitions with a topic, and all definitions as a corpus."""

from __future__ import annotations

import csv
import gzip
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from course.data.shipped import WORDNET_DEFINITIONS, WORDNET_TOPICS, shipped

WORDNET_SOURCE = "WordNet 3.0, Princeton University 2006, https://wordnet.princeton.edu"
WORDNET_LICENCE = "WordNet 3.0 licence"


@dataclass(frozen=True, eq=False)
class TextData:
    """Short texts and their labels, split into train and test.

    x_train, x_test: N definitions. lemmas_train, lemmas_test: the word that each defines.
    y_train, y_test: int64 of shape (N,), the index of the definition's topic in `classes`.
    """

    x_train: list[str]
    y_train: Tensor
    x_test: list[str]
    y_test: Tensor
    lemmas_train: list[str]
    lemmas_test: list[str]
    classes: tuple[str, ...]
    source: str
    licence: str


class Definition(NamedTuple):
    """One WordNet entry: `hammer`, a `noun`, what it is, and sentences that use it (often none)."""

    lemma: str
    part_of_speech: str  # noun, verb, adj or adv
    definition: str
    examples: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class DefinitionData:
    """A corpus of definitions, split into train and test so that no definition is in both."""

    train: list[Definition]
    test: list[Definition]
    source: str
    licence: str


def wordnet_topics() -> TextData:
    """Definitions of nouns and their topic, one of 12: 3,590 train (292 to 300 a topic), 1,200 test (100 a topic).

    Two training rows of the file are left out: WordNet gives their definition to a noun of the test split too.
    Raises AssetError where the file is missing or damaged.
    """
    with gzip.open(shipped(WORDNET_TOPICS), "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = tuple(sorted({row["topic"] for row in rows}))
    test = [row for row in rows if row["split"] == "test"]
    in_test = {row["definition"] for row in test}
    train = [row for row in rows if row["split"] == "train" and row["definition"] not in in_test]

    def labels(some: list[dict[str, str]]) -> Tensor:
        return torch.tensor([classes.index(row["topic"]) for row in some])

    return TextData(
        x_train=[row["definition"] for row in train],
        y_train=labels(train),
        x_test=[row["definition"] for row in test],
        y_test=labels(test),
        lemmas_train=[row["lemma"] for row in train],
        lemmas_test=[row["lemma"] for row in test],
        classes=classes,
        source=WORDNET_SOURCE,
        licence=WORDNET_LICENCE,
    )


def wordnet_definitions() -> DefinitionData:
    """Every definition of WordNet, 115,244 train and 2,415 test, in WordNet's order.

    Held out for test: the definitions that `wordnet_topics` tests on, so that a model pretrained on the train part
    has not read them, and one in a hundred of the rest, chosen by a checksum of the text.
    Raises AssetError where a file is missing or damaged.
    """
    tested = set(wordnet_topics().x_test)
    train: list[Definition] = []
    test: list[Definition] = []
    with gzip.open(shipped(WORDNET_DEFINITIONS), "rt", encoding="utf-8", newline="\n") as file:
        next(file)  # the names of the columns
        for line in file:
            _, part_of_speech, lemma, text, examples = line.rstrip("\n").split("\t")
            held_out = text in tested or zlib.crc32(text.encode()) % 100 == 0
            entry = Definition(lemma, part_of_speech, text, tuple(examples.split(" | ")) if examples else ())
            (test if held_out else train).append(entry)
    return DefinitionData(train=train, test=test, source=WORDNET_SOURCE, licence=WORDNET_LICENCE)
