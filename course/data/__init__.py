"""Data sets behind names: small ones that ship with the course, and full ones when asked for.

    photos = fashion_mnist()
    photos.x_train.shape, photos.classes[photos.y_train[0]]

Nothing is downloaded unless `full=True` or `COURSE_SCALE=full` says so.
"""

from course.data.images import ImageData, digits, fashion_mnist, new_clothes, of_classes, printed_letters, seen_clothes
from course.data.reading import Question, ReadingData, definition_questions, review_sentences, squad
from course.data.scenes import IGNORED, SceneData, Scenes, drawn_scenes, penn_fudan, voc
from course.data.text import Definition, DefinitionData, TextData, wordnet_definitions, wordnet_topics
from course.data.translation import Pair, PairData, quantities
from course.data.verified import AssetError

__all__ = [
    "IGNORED",
    "AssetError",
    "Definition",
    "DefinitionData",
    "ImageData",
    "Pair",
    "PairData",
    "Question",
    "ReadingData",
    "SceneData",
    "Scenes",
    "TextData",
    "definition_questions",
    "digits",
    "drawn_scenes",
    "fashion_mnist",
    "new_clothes",
    "of_classes",
    "penn_fudan",
    "printed_letters",
    "quantities",
    "review_sentences",
    "seen_clothes",
    "squad",
    "voc",
    "wordnet_definitions",
    "wordnet_topics",
]
