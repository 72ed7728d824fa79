"""How good a detector is: average precision.

In a lesson::

    average_precision(found, truth, classes=4)   # found: (boxes, scores, labels) a picture; truth: (boxes, labels)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Found = tuple[Tensor, Tensor, Tensor]
Truth = tuple[Tensor, Tensor]


def precision_and_recall(
    found: Sequence[Found], truth: Sequence[Truth], label: int, *, threshold: float = 0.5
) -> tuple[Tensor, Tensor]:
    """For one class, after each find by falling score over all pictures: (precision, recall), float64 (finds,) each.

    found: for each picture boxes (K, 4), scores (K,) and labels (K,). truth: its true boxes (M, 4) and labels (M,).
    A find is a hit where its IoU with a true box of its class and picture is at least `threshold` and no surer find has
    taken that box; the one it overlaps most is asked, as Pascal VOC does.
    """
    from torchvision.ops import box_iou

    finds: list[tuple[float, bool]] = []
    things = 0
    for (boxes, scores, labels), (true_boxes, true_labels) in zip(found, truth, strict=True):
        wanted = true_boxes[true_labels == label]
        things += len(wanted)
        mine = labels == label
        taken: set[int] = set()
        by_score = scores[mine].sort(descending=True)
        overlaps = box_iou(boxes[mine][by_score.indices], wanted)
        for score, row in zip(by_score.values.tolist(), overlaps, strict=True):
            share, place = row.max(dim=0) if len(wanted) else (torch.zeros(()), torch.zeros(()))
            hit = share.item() >= threshold and int(place) not in taken
            if hit:
                taken.add(int(place))
            finds.append((score, hit))
    finds.sort(key=lambda find: find[0], reverse=True)
    hits = torch.tensor([hit for _, hit in finds], dtype=torch.float64).cumsum(dim=0)
    return hits / torch.arange(1, len(finds) + 1), hits / max(things, 1)


def average_precision(found: Sequence[Found], truth: Sequence[Truth], classes: int, *, threshold: float = 0.5) -> float:
    """The area under precision over recall, in the mean over the classes that occur in `truth`: in [0, 1].

    Precision at a recall is the best at that recall or a higher one (Pascal VOC since 2010). `found` and `truth` as
    for `precision_and_recall`.
    """
    areas = []
    for label in range(classes):
        if not any((labels == label).any() for _, labels in truth):
            continue
        precision, recall = precision_and_recall(found, truth, label, threshold=threshold)
        best = precision.flip(0).cummax(dim=0).values.flip(0) if len(precision) else precision
        areas.append((best * recall.diff(prepend=torch.zeros(1, dtype=torch.float64))).sum().item())
    return sum(areas) / len(areas)
