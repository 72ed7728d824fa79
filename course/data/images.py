"""Pictures with labels: Fashion-MNIST and scikit-learn's digits."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


# The clothes that the course's own small models were pretrained on; the other five they have never seen.
SEEN_CLOTHES = ("T-shirt/top", "Trouser", "Coat", "Sandal", "Bag")


def seen_clothes(full: bool | None = None) -> ImageData:
    """The five kinds of Fashion-MNIST that the small models of the zoo were pretrained on: 1,500 train, 500 test.

    Their training photos alone were used for it. Full or shipped as `fashion_mnist` has it.
    """
    return of_classes(fashion_mnist(full), SEEN_CLOTHES)


def new_clothes(full: bool | None = None) -> ImageData:
    """The other five kinds, none of which the small models of the zoo have seen: 1,500 train, 500 test.

    Pullover, Dress, Shirt, Sneaker, Ankle boot. Full or shipped as `fashion_mnist` has it.
    """
    return of_classes(fashion_mnist(full), [name for name in FASHION_CLASSES if name not in SEEN_CLOTHES])


def of_classes(data: ImageData, names: Sequence[str]) -> ImageData:
    """Only the pictures of these classes, in the same order; a label is now the place of its name in `names`.

    Raises ValueError for a name that is not among `data.classes`.
    """
    place = torch.full((len(data.classes),), -1)
    for new, name in enumerate(names):
        place[data.classes.index(name)] = new
    train, test = place[data.y_train], place[data.y_test]
    return replace(
        data,
        x_train=data.x_train[train >= 0],
        y_train=train[train >= 0],
        x_test=data.x_test[test >= 0],
        y_test=test[test >= 0],
        classes=tuple(names),
    )


# Fonts that matplotlib brings. The four of LETTER_TEST_FONTS are for testing.
LETTER_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("cmr10", "cmss10", "cmmi10", "cmb10"),
)
LETTER_TEST_FONTS = ("DejaVuSans-BoldOblique", "DejaVuSerif-BoldItalic", "STIXGeneralBolIta", "cmtt10")


def printed_letters() -> ImageData:
    """Printed letters, white on black, 28 x 28 pixels, 26 classes: capital and small of each in 15 fonts, 4 for test.

    Drawn on the spot with the fonts that matplotlib brings: 780 train, 208 test. The longer side of a letter takes 24
    pixels, so a small `o` and a capital `O` look alike; both are the class "o".
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    letters = string.ascii_lowercase

    def drawn(fonts: Sequence[str]) -> tuple[Tensor, Tensor]:
        images, labels = [], []
        for name in fonts:
            font = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), 28)
            for letter in letters + letters.upper():
                paper = Image.new("L", (64, 64))
                ImageDraw.Draw(paper).text((32, 32), letter, fill=255, font=font, anchor="mm")
                paper = paper.crop(paper.getbbox())
                enlarge = 24 / max(paper.size)
                width, height = (max(1, round(side * enlarge)) for side in paper.size)
                picture = Image.new("L", (28, 28))
                picture.paste(paper.resize((width, height)), ((28 - width) // 2, (28 - height) // 2))
                images.append(torch.from_numpy(np.array(picture)))
                labels.append(letters.index(letter.lower()))
        return torch.stack(images).unsqueeze(1), torch.tensor(labels)

    x_train, y_train = drawn(LETTER_FONTS)
    x_test, y_test = drawn(LETTER_TEST_FONTS)
    return ImageData(
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=tuple(letters),
        source="drawn with the fonts DejaVu, STIX and Computer Modern that matplotlib brings",
        licence="drawings of freely licensed fonts",
    )
