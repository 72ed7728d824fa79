"""Pretrained models behind names.

    model = load_backbone("efficientnet-lite0", num_classes=10)
    x = preprocess("efficientnet-lite0", photos.x_train[:8], size=64)
    logits = model(x)   # (8, 10)

Importing this is cheap: timm and transformers are imported when a model is built.
"""

from course.data.verified import AssetError
from course.models.loading import load_backbone, load_tokenizer, preprocess
from course.models.vision import imagenet_labels
from course.models.zoo import Card, card, cards, cards_table

__all__ = [
    "AssetError",
    "Card",
    "card",
    "cards",
    "cards_table",
    "imagenet_labels",
    "load_backbone",
    "load_tokenizer",
    "preprocess",
]
