"""Questions on a text whose answer is a piece of it: made from WordNet's definitions by rule, and SQuAD."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import torch

from course.data.shipped import full_wanted
from course.data.text import WORDNET_LICENCE, WORDNET_SOURCE, TextData, wordnet_topics
from course.data.verified import AssetError, reason


class Question(NamedTuple):
    """A question, the text to look in, and its answers: pieces of the text, of which the first begins at `start`."""

    question: str
    context: str
    answers: tuple[str, ...]
    start: int  # the first character of answers[0] in context
    kind: str


@dataclass(frozen=True, eq=False)
class ReadingData:
    """Questions, split into train and test. What the contexts of one part say is in no context of the other."""

    train: list[Question]
    test: list[Question]
    kinds: tuple[str, ...]
    source: str
    licence: str


# What a question calls the words of a topic.
CALLED = {
    "act": "something that one does",
    "animal": "an animal",
    "artifact": "a thing that people make",
    "body": "a part of the body",
    "communication": "something that is said or written",
    "feeling": "a feeling",
    "food": "something to eat or drink",
    "location": "a place",
    "person": "a person",
    "plant": "a plant",
    "substance": "a substance",
    "time": "a time",
}
KINDS = ("what", "means", "kind")
LONGEST = 45  # characters of a definition
NOT_FOR_CLASS = re.compile(r"sex|prostitut|genital|penis")


class Entry(NamedTuple):
    """A definition as a sentence: "A hammer is a hand tool." with the places of its word and of what it is."""

    name: str  # "a hammer", "Newark": as it stands inside a sentence
    lemma: str
    text: str  # "a hand tool"
    topic: str

    @property
    def sentence(self) -> str:
        return f"{self.name[0].upper()}{self.name[1:]} is {self.text}."


def definition_questions(count: int, *, test: int = 0, entries: int = 4, seed: int = 0) -> ReadingData:
    """`count` questions to train on and `test` others, each on a text of `entries` definitions.

    Three kinds in turn. "what": What is a hammer? The answer is the definition. "means": Which word means a hand tool
    with a heavy head? The answer is the word. "kind": Which of these is an animal? The answer is the only word in the
    text that WordNet files under animals; no word of the question need be in the text.

    The definitions are those of `wordnet_topics` that make a plain sentence of at most 45 characters, up to the first
    semicolon and without what stands in brackets; test questions are made of its test definitions alone. The same
    seed gives the same questions.

    Raises ValueError for `entries` beyond 12, AssetError where a file is missing or damaged.
    """
    topics = wordnet_topics()
    if not 1 <= entries <= len(topics.classes):
        raise ValueError(f"a text has 1 to {len(topics.classes)} entries, one of each topic at most, not {entries}")
    in_train = _entries(topics.x_train, topics.lemmas_train, topics.y_train.tolist(), topics.classes)
    in_test = _entries(topics.x_test, topics.lemmas_test, topics.y_test.tolist(), topics.classes)
    draw = Random(seed)
    return ReadingData(
        train=[_question(draw, in_train, entries, KINDS[number % 3]) for number in range(count)],
        test=[_question(draw, in_test, entries, KINDS[number % 3]) for number in range(test)],
        kinds=KINDS,
        source=WORDNET_SOURCE,
        licence=WORDNET_LICENCE,
    )


def _entries(
    texts: Sequence[str], lemmas: Sequence[str], labels: Sequence[int], classes: Sequence[str]
) -> dict[str, list[Entry]]:
    """The definitions that make a plain sentence, by topic."""
    found: dict[str, list[Entry]] = {topic: [] for topic in classes}
    for text, lemma, label in zip(texts, lemmas, labels, strict=True):
        text = " ".join(re.sub(r"\([^)]*\)", "", text).split(";")[0].split()).rstrip(".")
        plain = 10 <= len(text) <= LONGEST and text[0].isalpha() and "(" not in text
        if not plain or lemma.lower() in text.lower() or NOT_FOR_CLASS.search(text):
            continue
        countable = text.startswith(("a ", "an ")) and lemma.islower()
        article = ("an " if lemma[0] in "aeiou" else "a ") if countable else ""
        found[classes[label]].append(Entry(article + lemma, lemma, text, classes[label]))
    return found


def _question(draw: Random, entries: dict[str, list[Entry]], count: int, kind: str) -> Question:
    chosen = [draw.choice(entries[topic]) for topic in draw.sample(sorted(entries), count)]
    place = draw.randrange(count)
    asked = chosen[place]
    question, answer = {
        "what": (f"What is {asked.name}?", asked.text),
        "means": (f"Which word means {asked.text}?", asked.lemma),
        "kind": (f"Which of these is {CALLED[asked.topic]}?", asked.lemma),
    }[kind]
    before = " ".join(one.sentence for one in chosen[:place])
    start = len(before) + bool(before)
    start += len(f"{asked.name} is ") if kind == "what" else len(asked.name) - len(asked.lemma)
    context = " ".join(one.sentence for one in chosen)
    answer = context[start : start + len(answer)]  # as it stands there, a capital at the beginning of a sentence
    return Question(question, context, (answer,), start, kind)


SST2 = "stanfordnlp/sst2"
SQUAD = "rajpurkar/squad"


def review_sentences(full: bool | None = None) -> TextData:
    """SST-2: sentences from film reviews, negative or positive; 67,349 train, and the 872 of its validation to test on.

    Downloaded once by the `datasets` library, an extra of the course; offline, or with `full=False`, there is none:
    it raises AssetError, as where the library is missing or the network is. (Socher et al. 2013.)
    """
    found = _from_hub(SST2, full)
    return TextData(
        x_train=[text.strip() for text in found["train"]["sentence"]],
        y_train=torch.tensor(found["train"]["label"]),
        x_test=[text.strip() for text in found["validation"]["sentence"]],
        y_test=torch.tensor(found["validation"]["label"]),
        lemmas_train=[],
        lemmas_test=[],
        classes=("negative", "positive"),
        source=f"https://huggingface.co/datasets/{SST2}, Socher et al. 2013",
        licence="not stated by its authors",
    )


def squad(full: bool | None = None) -> ReadingData:
    """SQuAD 1.1: 87,599 questions on paragraphs of Wikipedia to train on, 10,570 to test on, one kind.

    Got as `review_sentences` gets SST-2, and raises what that raises. (Rajpurkar et al. 2016.)
    """
    found = _from_hub(SQUAD, full)

    def questions(rows: Any) -> list[Question]:
        return [
            Question(
                row["question"].strip(),
                row["context"],
                tuple(row["answers"]["text"]),
                row["answers"]["answer_start"][0],
                "SQuAD",
            )
            for row in rows
        ]

    return ReadingData(
        train=questions(found["train"]),
        test=questions(found["validation"]),
        kinds=("SQuAD",),
        source=f"https://huggingface.co/datasets/{SQUAD}, Rajpurkar et al. 2016",
        licence="CC BY-SA 4.0",
    )


def _from_hub(name: str, full: bool | None) -> Any:
    if not full_wanted(full):
        raise AssetError(
            f"{name} is only had from a hub, so it is not loaded here; set COURSE_SCALE=full, or take the texts that "
            "the course ships: `wordnet_topics()` and `definition_questions(300)`."
        )
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise AssetError(
            f"{name} is fetched by the library datasets, which is not installed, so it was not loaded; install it with "
            '`pip install "finetuning-from-zero[full]"`.'
        ) from error
    try:
        return load_dataset(name)
    except Exception as error:  # the library raises a dozen kinds, some of its own
        raise AssetError(
            f"{name} could not be fetched ({reason(error)}), so there is nothing to train on; connect to the network "
            "and try again, or unset COURSE_SCALE to use what the course ships."
        ) from error
