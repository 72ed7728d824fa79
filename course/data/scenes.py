"""Pictures in which things have places: boxes and masks. Drawn ones, and the photos of Penn-Fudan and Pascal VOC.

    data = drawn_scenes()
    data.train.images.shape, data.train.boxes[0], data.train.masks.unique()

All three give the same `SceneData`, so what is written for one works on the others. Only drawn ones need no network.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import torch
from torch import Tensor

from course.data.images import FASHION_SOURCE, cache_folder, fashion_mnist, of_classes
from course.data.verified import AssetError, reason

IGNORED = 255  # the label of a pixel of which nobody says what it shows


@dataclass(frozen=True, eq=False)
class Scenes:
    """N pictures of one size, and what is in them.

    images: uint8 (N, C, H, W), C is 1 (gray) or 3 (RGB).
    boxes: for each picture float32 (K, 4): x1, y1, x2, y2 in pixels, continuous (0 .. W, 0 .. H); K may be 0.
    labels: for each picture int64 (K,), the index of each box's class in `classes`.
    masks: int64 (N, H, W): 0 background, 1 + the class's index, or `IGNORED`.
    """

    images: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    masks: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def pick(self, rows: Sequence[int] | Tensor) -> Scenes:
        """Only these pictures, in this order."""
        places = [int(row) for row in rows]
        return Scenes(
            self.images[places], [self.boxes[i] for i in places], [self.labels[i] for i in places], self.masks[places]
        )


@dataclass(frozen=True, eq=False)
class SceneData:
    """Scenes to train on and others to test on."""

    train: Scenes
    test: Scenes
    classes: tuple[str, ...]
    source: str
    licence: str


# None of these kinds was shown to the small models of the zoo, and they differ in more than a detail.
DRAWN_KINDS = ("Pullover", "Dress", "Sneaker", "Ankle boot")


def drawn_scenes(train: int = 96, test: int = 80, *, side: int = 64, seed: int = 0) -> SceneData:
    """One to three photos of clothes on a cloudy gray ground, `side` pixels wide and high, drawn by rule.

    The photos are the shipped ones of four kinds of Fashion-MNIST that no small model of the zoo has seen: training
    photos for `train`, test photos for `test`. Each is enlarged or shrunk to 20 to 32 pixels, cut out along its
    outline, and put where it overlaps the boxes of others by an IoU of 0.1 at most; what comes later lies on top.
    Boxes frame the whole thing, hidden parts too. In the masks a border two pixels wide along each outline is
    `IGNORED`, as in Pascal VOC. The same arguments give the same scenes.
    """
    photos = of_classes(fashion_mnist(full=False), DRAWN_KINDS)
    return SceneData(
        train=_drawn(photos.x_train, photos.y_train, train, side, seed),
        test=_drawn(photos.x_test, photos.y_test, test, side, seed + 1_000_003),
        classes=photos.classes,
        source=f"drawn by rule with photos of {FASHION_SOURCE}",
        licence="MIT",
    )


def _drawn(photos: Tensor, labels: Tensor, count: int, side: int, seed: int) -> Scenes:
    rng = np.random.default_rng(seed)
    scenes = [_scene(photos, labels, side, rng) for _ in range(count)]
    images, boxes, kinds, masks = zip(*scenes, strict=True)
    return Scenes(
        torch.from_numpy(np.stack(images))[:, None], list(boxes), list(kinds), torch.from_numpy(np.stack(masks))
    )


def _scene(
    photos: Tensor, labels: Tensor, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, Tensor, Tensor, np.ndarray]:
    from scipy import ndimage

    clouds = ndimage.gaussian_filter(rng.standard_normal((side, side)), rng.uniform(1, 4), mode="wrap")
    ground = rng.uniform(40, 110) + rng.uniform(5, 25) * clouds / clouds.std()
    canvas = np.clip(ground + 4 * rng.standard_normal((side, side)), 0, 255)
    mask = np.zeros((side, side), dtype=np.int64)
    boxes: list[tuple[int, int, int, int]] = []
    kinds: list[int] = []
    for _ in range(rng.integers(1, 4)):
        index = int(rng.integers(len(photos)))
        thing, outline = _cut_out(photos[index, 0].numpy(), int(rng.integers(20, 33)))
        height, width = outline.shape
        for _try in range(20):
            y, x = int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1))
            if all(_overlap((x, y, x + width, y + height), box) <= 0.1 for box in boxes):
                break
        else:  # no room left for this one
            continue
        canvas[y : y + height, x : x + width][outline] = thing[outline]
        here = np.zeros_like(mask, dtype=bool)
        here[y : y + height, x : x + width] = outline
        mask[here] = 1 + int(labels[index])
        mask[ndimage.binary_dilation(here) & ~ndimage.binary_erosion(here)] = IGNORED
        boxes.append((x, y, x + width, y + height))
        kinds.append(int(labels[index]))
    framed = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return canvas.astype(np.uint8), framed, torch.tensor(kinds, dtype=torch.int64), mask


def _cut_out(photo: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo (28, 28) on black -> the thing and its outline (bool), `side` pixels per 28, no wider than the thing."""
    from PIL import Image
    from scipy import ndimage

    solid = ndimage.binary_fill_holes(photo > 8).astype(np.uint8) * 255
    thing, outline = (
        np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BILINEAR)) for one in (photo, solid)
    )
    inside = outline > 127
    rows, columns = np.where(inside.any(axis=1))[0], np.where(inside.any(axis=0))[0]
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return thing[window], inside[window]


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """IoU of two boxes."""
    sides = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    common = next(sides) * next(sides)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


# --- photos, at full scale

PENN_FUDAN_URL = "https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip"
PENN_FUDAN_BYTES = 53_723_336  # its makers publish no hash; the archive's own checksums are verified as well


def penn_fudan(side: int = 256, folder: Path | None = None) -> SceneData:
    """170 street photos with 345 pedestrians (Wang, Shi, Song and Shen 2007): one class, 120 photos to train on.

    Downloaded once (54 MB) into `folder`, else the user's cache, unless the archive's folder is there already. Each
    person's mask gives a box. Every picture is stretched to `side` x `side` pixels, boxes and masks with it. 50 photos
    from all places are for testing. Raises AssetError where it cannot be had.
    """
    root = (folder or cache_folder()) / "PennFudanPed"
    if not root.is_dir():
        _fetch_penn_fudan(root.parent)
    names = sorted(path.stem for path in (root / "PNGImages").glob("*.png"))
    if not names:
        raise AssetError(f"{root} holds no photos, so there is nothing to train on; delete it and try again.")

    def read(name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        people = np.array(_opened(root / "PedMasks" / f"{name}_mask.png"))
        image = np.array(_opened(root / "PNGImages" / f"{name}.png").convert("RGB"))
        boxes = boxes_of_masks(torch.from_numpy(people.astype(np.int64)))
        return _fitted(image, boxes, torch.zeros(len(boxes), dtype=torch.int64), (people > 0).astype(np.uint8), side)

    test = [name for place, name in enumerate(names) if place % 17 in (2, 5, 9, 12, 15)]
    train = [name for name in names if name not in test]
    return SceneData(
        train=_stacked([read(name) for name in train]),
        test=_stacked([read(name) for name in test]),
        classes=("pedestrian",),
        source="Penn-Fudan, Wang, Shi, Song and Shen 2007, https://www.cis.upenn.edu/~jshi/ped_html/",
        licence="as its makers offer it, for research",
    )


def _fetch_penn_fudan(folder: Path) -> None:
    """Downloads the archive and unpacks it, once its size and the checksums inside it are right."""
    from torchvision.datasets.utils import download_url, extract_archive

    archive = folder / "PennFudanPed.zip"
    try:
        download_url(PENN_FUDAN_URL, str(folder), archive.name)
        size = archive.stat().st_size
        if size != PENN_FUDAN_BYTES:
            raise RuntimeError(f"{archive.name} has {size:,} bytes where {PENN_FUDAN_BYTES:,} were published")
        with zipfile.ZipFile(archive) as entries:
            if damaged := entries.testzip():
                raise RuntimeError(f"{damaged} in {archive.name} is damaged")
        extract_archive(str(archive), str(folder))
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        archive.unlink(missing_ok=True)
        raise AssetError(
            f"Penn-Fudan could not be fetched into {folder} ({reason(error)}), so there is nothing to train on; "
            "connect to the network and try again, or take drawn scenes: `drawn_scenes()`."
        ) from error


def boxes_of_masks(things: Tensor) -> Tensor:
    """(H, W) with a number for each thing and 0 for the ground -> boxes float32 (K, 4), by rising number.

    Continuous coordinates: a thing that fills column 3 alone reaches from x1 = 3 to x2 = 4.
    """
    from torchvision.ops import masks_to_boxes

    numbers = things.unique()
    numbers = numbers[numbers != 0]
    if len(numbers) == 0:
        return torch.zeros(0, 4)
    boxes = masks_to_boxes(things == numbers[:, None, None]).float()
    boxes[:, 2:] += 1  # torchvision gives the number of the last pixel
    return boxes


VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def voc(year: str = "2007", side: int = 256, folder: Path | None = None) -> SceneData:
    """Pascal VOC's photos that have masks, of 20 classes (Everingham et al. 2010): 209 train and 213 val in 2007.

    torchvision downloads it (0.5 GB for 2007, 2 GB for 2012), checks its MD5 and reads it. Boxes come from the
    annotations: VOC counts pixels from 1 and includes both ends, so a box lies from x1 - 1 to x2. Every picture is
    stretched to `side` x `side` pixels. Raises AssetError where it cannot be had.
    """
    from torchvision.datasets import VOCSegmentation

    root = folder or cache_folder() / "voc"
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "VOCdevkit" / f"VOC{year}").is_dir():  # torchvision would unpack it again each time
            VOCSegmentation(root, year=year, image_set="train", download=True)
        splits = [VOCSegmentation(root, year=year, image_set=split) for split in ("train", "val")]
    except (OSError, RuntimeError) as error:
        raise AssetError(
            f"Pascal VOC {year} could not be fetched into {root} ({reason(error)}), so there is nothing to train on; "
            "connect to the network and try again, or take drawn scenes: `drawn_scenes()`."
        ) from error

    def read(photo: str, mask: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        annotation = Path(photo).parents[1] / "Annotations" / f"{Path(photo).stem}.xml"
        boxes, labels = _voc_boxes(annotation)
        return _fitted(
            np.array(_opened(Path(photo)).convert("RGB")), boxes, labels, np.array(_opened(Path(mask))), side
        )

    train, val = (_stacked([read(*paths) for paths in zip(s.images, s.masks, strict=True)]) for s in splits)
    return SceneData(
        train=train,
        test=val,
        classes=VOC_CLASSES,
        source=f"Pascal VOC {year}, Everingham et al. 2010, http://host.robots.ox.ac.uk/pascal/VOC/",
        licence="photos from flickr, under flickr's terms of use",
    )


def _voc_boxes(annotation: Path) -> tuple[Tensor, Tensor]:
    from defusedxml.ElementTree import parse

    things: list[Element] = parse(annotation).getroot().findall("object")
    corners, labels = [], []
    for thing in things:
        edges = [float(thing.findtext(f"bndbox/{edge}", "nan")) for edge in ("xmin", "ymin", "xmax", "ymax")]
        corners.append([edges[0] - 1, edges[1] - 1, edges[2], edges[3]])
        labels.append(VOC_CLASSES.index(thing.findtext("name", "")))
    return torch.tensor(corners, dtype=torch.float32).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64)


def _opened(path: Path) -> Any:
    from PIL import Image

    return Image.open(path)


def _fitted(
    image: np.ndarray, boxes: Tensor, labels: Tensor, mask: np.ndarray, side: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A photo uint8 (H, W, 3) with boxes and mask (H, W), stretched to a square; a mask's labels are never mixed."""
    from PIL import Image

    height, width = image.shape[:2]
    small = np.array(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
    labelled = np.array(Image.fromarray(mask).resize((side, side), Image.Resampling.NEAREST))
    stretched = boxes * torch.tensor([side / width, side / height] * 2)
    return torch.from_numpy(small).permute(2, 0, 1), stretched, labels, torch.from_numpy(labelled.astype(np.int64))


def _stacked(scenes: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]) -> Scenes:
    images, boxes, labels, masks = zip(*scenes, strict=True)
    return Scenes(torch.stack(images), list(boxes), list(labels), torch.stack(masks))
