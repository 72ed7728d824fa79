"""Pictures with labels: Fashion-MNIST and scikit-learn's digits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course.data.shipped import FASHION_MNIST, full_wanted, shipped
from course.data.verified import AssetError, reason

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_SOURCE = "Fashion-MNIST, Xiao, Rasul and Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist"


@dataclass(frozen=True, eq=False)
class ImageData:
    """Gray pictures and their labels, split into train and test.

    x_train, x_test: uint8 of shape (N, 1, H, W), 0 is black and 255 is white.
    y_train, y_test: int64 of shape (N,), the index of the picture's class in `classes`.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: tuple[str, ...]
    source: str
    licence: str


def fashion_mnist(full: bool | None = None) -> ImageData:
    """Photos of clothes, 28 x 28 pixels, 10 classes (MIT licence, Zalando SE).

    Offline: 3,000 train and 1,000 test photos that ship with the course, drawn evenly from the official
    splits (300 and 100 a class). `full=True`: all 60,000 and 10,000, downloaded once (30 MB) by torchvision into
    the user's cache folder. `full=None`: full where the environment says `COURSE_SCALE=full`, else offline.

    Raises AssetError where the file is missing or damaged, or the download fails.
    """
    arrays = _downloaded_fashion_mnist() if full_wanted(full) else _shipped_fashion_mnist()
    x_train, y_train, x_test, y_test = arrays
    return ImageData(
        x_train=x_train.unsqueeze(1),
        y_train=y_train.long(),
        x_test=x_test.unsqueeze(1),
        y_test=y_test.long(),
        classes=FASHION_CLASSES,
        source=FASHION_SOURCE,
        licence="MIT",
    )


def _shipped_fashion_mnist() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    with np.load(shipped(FASHION_MNIST), allow_pickle=False) as arrays:
        x_train, y_train, x_test, y_test = (
            torch.from_numpy(arrays[key]) for key in ("x_train", "y_train", "x_test", "y_test")
        )
    return x_train, y_train, x_test, y_test


def _downloaded_fashion_mnist() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from torchvision.datasets import FashionMNIST

    folder = cache_folder()
    try:
        train, test = (FashionMNIST(folder, train=is_train, download=True) for is_train in (True, False))
    except (OSError, RuntimeError) as error:
        raise AssetError(
            f"The full Fashion-MNIST could not be fetched into {folder} ({reason(error)}), so there is nothing to "
            "train on; connect to the network and try again, or take the shipped photos: `fashion_mnist(full=False)`."
        ) from error
    return train.data, train.targets, test.data, test.targets


def cache_folder() -> Path:
    """The folder of this user where downloaded data sets lie; nothing is written here unless full is asked for."""
    import platformdirs

    return platformdirs.user_cache_path("finetuning-from-zero") / "data"


def digits() -> ImageData:
    """Handwritten digits, 8 x 8 pixels, 10 classes: 1,347 train and 450 test, each class in both alike.

    scikit-learn's copy of the UCI handwritten digits (CC BY 4.0). Its 17 levels of gray, 0 to 16, are stretched to
    0 to 255. The split is the same on every call.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        bunch.images, bunch.target, test_size=450, stratify=bunch.target, random_state=0
    )

    def pictures(levels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.rint(levels * (255 / 16)).astype(np.uint8)).unsqueeze(1)

    return ImageData(
        x_train=pictures(x_train),
        y_train=torch.from_numpy(y_train.astype(np.int64)),
        x_test=pictures(x_test),
        y_test=torch.from_numpy(y_test.astype(np.int64)),
        classes=tuple(str(digit) for digit in bunch.target_names),
        source="Alpaydin and Kaynak 1998, https://archive.ics.uci.edu/dataset/80, its test set, from scikit-learn",
        licence="CC BY 4.0",
    )
