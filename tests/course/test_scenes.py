"""Drawn scenes are what their docstring says; the readers of Penn-Fudan and VOC, on archives in the real layout."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
import torch
from PIL import Image

from course.data import IGNORED, AssetError, Scenes, drawn_scenes, penn_fudan, scenes, voc

pytestmark = pytest.mark.usefixtures("offline")


def assert_fits_together(some: Scenes, kinds: int) -> None:
    count, _, height, width = some.images.shape
    assert some.images.dtype == torch.uint8 and some.masks.shape == (count, height, width)
    assert len(some.boxes) == len(some.labels) == count == len(some)
    for boxes, labels in zip(some.boxes, some.labels, strict=True):
        assert boxes.dtype == torch.float32 and boxes.shape == (len(labels), 4)
        assert (boxes[:, :2] < boxes[:, 2:]).all() and (boxes >= 0).all()
        assert (boxes[:, 0::2] <= width).all() and (boxes[:, 1::2] <= height).all()
        assert labels.dtype == torch.int64 and (labels < kinds).all()
    assert set(some.masks.unique().tolist()) <= {*range(1 + kinds), IGNORED}


def test_drawn_scenes_are_what_their_docstring_says() -> None:
    data = drawn_scenes(12, 7, side=64)
    assert data.train.images.shape == (12, 1, 64, 64) and len(data.test) == 7
    for some in (data.train, data.test):
        assert_fits_together(some, len(data.classes))
        assert all(1 <= len(boxes) <= 3 for boxes in some.boxes)
        for mask, boxes, labels in zip(some.masks, some.boxes, some.labels, strict=True):
            for (x1, y1, x2, y2), label in zip(boxes.int().tolist(), labels.tolist(), strict=True):
                assert (mask[y1:y2, x1:x2] == 1 + label).any()
            outside = mask.clone()
            for x1, y1, x2, y2 in boxes.int().tolist():
                outside[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = 0
            assert not outside.any()
    again, other = drawn_scenes(12, 7), drawn_scenes(12, 7, seed=1)
    assert torch.equal(again.train.images, data.train.images)
    assert not torch.equal(other.train.images, data.train.images)


def test_scenes_are_picked_together() -> None:
    some = drawn_scenes(6, 1).train
    picked = some.pick(torch.tensor([4, 1]))
    assert torch.equal(picked.images[0], some.images[4]) and torch.equal(picked.masks[1], some.masks[1])
    assert picked.boxes[0] is some.boxes[4] and picked.labels[1] is some.labels[1]


def test_a_mask_gives_boxes_in_continuous_coordinates() -> None:
    things = torch.zeros(6, 9, dtype=torch.int64)
    things[1:4, 2:5], things[5, 8] = 2, 7
    assert scenes.boxes_of_masks(things).tolist() == [[2, 1, 5, 4], [8, 5, 9, 6]]
    assert scenes.boxes_of_masks(torch.zeros(3, 3)).shape == (0, 4)


@pytest.fixture
def transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's download takes files from this disk; what it checks before and after stays its own."""
    from torchvision.datasets import utils

    def copied(url: str, filename: Path | str, *_: object) -> None:
        shutil.copy(url2pathname(urlparse(url).path), filename)

    monkeypatch.setattr(utils, "_urlretrieve", copied)


@pytest.fixture
def street(tmp_path: Path, transfer: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of four photos, 30 x 20 pixels, as Penn-Fudan's is laid out; in each photo two people, or none."""
    archive = tmp_path / "PennFudanPed.zip"
    made = tmp_path / "made"
    for folder in ("PNGImages", "PedMasks"):
        (made / "PennFudanPed" / folder).mkdir(parents=True)
    for number in range(1, 5):
        name = f"FudanPed{number:05d}"
        people = np.zeros((20, 30), dtype=np.uint8)
        if number != 2:
            people[4:16, 3:9], people[2:18, 15:24] = 1, 2
        Image.fromarray(np.full((20, 30, 3), 50 * number, dtype=np.uint8)).save(
            made / "PennFudanPed" / "PNGImages" / f"{name}.png"
        )
        Image.fromarray(people).save(made / "PennFudanPed" / "PedMasks" / f"{name}_mask.png")
    with zipfile.ZipFile(archive, "w") as entries:
        for path in sorted(made.rglob("*.png")):
            entries.write(path, path.relative_to(made))
    monkeypatch.setattr(scenes, "PENN_FUDAN_URL", archive.as_uri())
    monkeypatch.setattr(scenes, "PENN_FUDAN_BYTES", archive.stat().st_size)
    return archive


def test_penn_fudan_is_fetched_and_its_masks_become_boxes(street: Path, tmp_path: Path) -> None:
    data = penn_fudan(60, tmp_path / "cache")
    assert data.classes == ("pedestrian",) and len(data.train) == 3 and len(data.test) == 1
    assert data.train.images.shape == (3, 3, 60, 60)
    for some in (data.train, data.test):
        assert_fits_together(some, 1)
    # twice as wide and three times as high as in the archive
    assert data.train.boxes[0].tolist() == [[6, 12, 18, 48], [30, 6, 48, 54]]
    assert data.train.labels[0].tolist() == [0, 0] and data.train.masks[0, 30, 10] == 1
    assert data.train.boxes[1].shape == (0, 4) and not data.train.masks[1].any()
    street.unlink()  # the second time it is read from where it was unpacked
    assert torch.equal(penn_fudan(60, tmp_path / "cache").train.images, data.train.images)


@pytest.mark.parametrize("harm", ["shorter", "turned"])
def test_a_damaged_penn_fudan_is_refused(street: Path, tmp_path: Path, harm: str) -> None:
    content = bytearray(street.read_bytes())
    place = content.index(b"IDAT") + 6
    content[place] ^= 255
    street.write_bytes(content if harm == "turned" else content[:-40])
    with pytest.raises(AssetError, match="could not be fetched"):
        penn_fudan(60, tmp_path / "cache")
    assert not (tmp_path / "cache" / "PennFudanPed.zip").exists()
    assert not (tmp_path / "cache" / "PennFudanPed").exists()


def test_penn_fudan_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"drawn_scenes\(\)"):
        penn_fudan(60, tmp_path / "cache")


ANNOTATION = """<annotation><filename>{name}.jpg</filename>
<size><width>30</width><height>20</height><depth>3</depth></size>
<object><name>dog</name><bndbox><xmin>4</xmin><ymin>3</ymin><xmax>9</xmax><ymax>12</ymax></bndbox></object>
<object><name>person</name><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>
</bndbox></part><bndbox><xmin>16</xmin><ymin>1</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"""


def test_voc_is_fetched_by_torchvision_and_read(
    tmp_path: Path, transfer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import voc as torchvisions

    root = tmp_path / "made" / "VOCdevkit" / "VOC2007"
    for folder in ("JPEGImages", "SegmentationClass", "Annotations", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name in ("000032", "000039", "000063"):
        Image.fromarray(np.full((20, 30, 3), 90, dtype=np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
        classes = np.zeros((20, 30), dtype=np.uint8)
        classes[2:12, 3:9], classes[0:20, 15:30], classes[:, 14] = 12, 15, 255
        mask = Image.fromarray(classes, mode="P")
        mask.putpalette([value % 256 for value in range(768)])
        mask.save(root / "SegmentationClass" / f"{name}.png")
        (root / "Annotations" / f"{name}.xml").write_text(ANNOTATION.format(name=name))
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("000032\n000063\n")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("000039\n")
    archive = tmp_path / "VOCtrainval_06-Nov-2007.tar"
    with tarfile.open(archive, "w") as entries:
        entries.add(tmp_path / "made" / "VOCdevkit", "VOCdevkit")
    published = torchvisions.DATASET_YEAR_DICT["2007"]
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(torchvisions.DATASET_YEAR_DICT, "2007", published | {"url": archive.as_uri(), "md5": md5})

    data = voc("2007", 60, tmp_path / "cache")
    assert len(data.train) == 2 and len(data.test) == 1 and len(data.classes) == 20
    assert_fits_together(data.train, 20)
    # pixels 4 to 9, counted from 1, reach from 3 to 9; then twice as wide and three times as high
    assert data.train.boxes[0].tolist() == [[6, 6, 18, 36], [30, 0, 60, 60]]
    assert [data.classes[label] for label in data.train.labels[0].tolist()] == ["dog", "person"]
    mask = data.train.masks[0]
    assert mask[20, 10] == 1 + data.classes.index("dog") and mask[20, 40] == 1 + data.classes.index("person")
    assert set(mask.unique().tolist()) == {0, 12, 15, IGNORED}

    monkeypatch.setitem(torchvisions.DATASET_YEAR_DICT, "2007", published | {"url": archive.as_uri(), "md5": "0" * 32})
    with pytest.raises(AssetError, match="could not be fetched"):
        voc("2007", 60, tmp_path / "another")
