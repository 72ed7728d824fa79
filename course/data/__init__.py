"""Data sets behind names: small ones that ship with the course, and full ones when asked for.

    photos = fashion_mnist()
    photos.x_train.shape, photos.classes[photos.y_train[0]]

Nothing is downloaded unless `full=True` or `COURSE_SCALE=full` says so.
"""

from course.data.images import ImageData, digits, fashion_mnist, new_clothes, of_classes, printed_letters, seen_clothes
from course.data.text import Definition, DefinitionData, TextData, wordnet_definitions, wordnet_topics
from course.data.translation import Pair, PairData, quantities
from course.data.verified import AssetError

__all__ = [
    "AssetError",
    "Definition",
    "DefinitionData",
    "ImageData",
    "Pair",
    "PairData",
    "TextData",
    "digits",
    "fashion_mnist",
    "new_clothes",
    "of_classes",
    "printed_letters",
    "quantities",
    "seen_clothes",
    "wordnet_definitions",
    "wordnet_topics",
]
