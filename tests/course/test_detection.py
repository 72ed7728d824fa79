"""Average precision: on cases that can be worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from course.detection import average_precision, precision_and_recall

BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [0, 20, 10, 30]])


def finds(boxes: Tensor, scores: list[float], labels: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    return boxes, torch.tensor(scores), torch.tensor(labels, dtype=torch.int64)


def test_all_found_is_one_and_nothing_found_is_zero() -> None:
    labels = torch.tensor([0, 1, 0])
    truth = [(BOXES, labels)]
    assert average_precision([(BOXES, torch.tensor([0.9, 0.4, 0.6]), labels)], truth, 3) == pytest.approx(1)
    assert average_precision([finds(torch.zeros(0, 4), [], [])], truth, 3) == 0


def test_a_box_is_found_once() -> None:
    twice = finds(BOXES[[0, 0, 1]], [0.9, 0.8, 0.7], [0, 0, 0])
    truth = [(BOXES, torch.zeros(3, dtype=torch.int64))]
    precision, recall = precision_and_recall([twice], truth, 0)
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    # a third at precision 1, a third at 2/3, the last third never reached
    assert average_precision([twice], truth, 1) == pytest.approx((1 + 2 / 3) / 3)


def test_score_decides_across_pictures_and_each_picture_has_its_own_things() -> None:
    truth = [(BOXES[:1], torch.tensor([0])), (BOXES[1:2], torch.tensor([0]))]
    elsewhere = [finds(BOXES[1:2], [0.9], [0]), finds(BOXES[1:2], [0.5], [0])]
    precision, recall = precision_and_recall(elsewhere, truth, 0)
    assert precision.tolist() == [0, 0.5] and recall.tolist() == [0, 0.5]


def test_the_threshold_and_the_kind_count() -> None:
    truth = [(BOXES[:1], torch.tensor([1]))]
    shifted = BOXES[:1] + torch.tensor([2.0, 0, 2, 0])  # IoU 80 / 120
    assert average_precision([finds(shifted, [0.9], [1])], truth, 2) == pytest.approx(1)
    assert average_precision([finds(shifted, [0.9], [1])], truth, 2, threshold=0.7) == 0
    assert average_precision([finds(shifted, [0.9], [0])], truth, 2) == 0
