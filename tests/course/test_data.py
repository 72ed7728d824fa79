"""The data sets are what they say they are, and a damaged file is never read."""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from course.data import (
    AssetError,
    ImageData,
    digits,
    fashion_mnist,
    images,
    new_clothes,
    printed_letters,
    quantities,
    seen_clothes,
    shipped,
    verified,
    wordnet_definitions,
    wordnet_topics,
)
from course.data.translation import amounts, chinese_number, dates, english_number, english_year, prices, times
from course.data.verified import PinnedFile, sha256_of

pytestmark = pytest.mark.usefixtures("offline")

PINS = [shipped.FASHION_MNIST, shipped.WORDNET_TOPICS, shipped.WORDNET_DEFINITIONS]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped files that a test may damage."""
    copy = tmp_path / "files"
    shutil.copytree(shipped.FOLDER, copy)
    monkeypatch.setattr(shipped, "FOLDER", copy)
    return copy


def assert_one_clear_sentence(error: AssetError, *words: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert text.endswith(".")
    for word in words:
        assert word in text


# --- pictures


def rows(x: Tensor) -> set[bytes]:
    return {picture.numpy().tobytes() for picture in x}


def test_fashion_mnist_is_what_its_docstring_says() -> None:
    data = fashion_mnist()
    assert data.x_train.shape == (3000, 1, 28, 28)
    assert data.x_test.shape == (1000, 1, 28, 28)
    assert data.x_train.dtype == data.x_test.dtype == torch.uint8
    assert data.y_train.dtype == data.y_test.dtype == torch.int64
    assert data.y_train.bincount().tolist() == [300] * 10
    assert data.y_test.bincount().tolist() == [100] * 10
    assert (int(data.x_train.min()), int(data.x_train.max())) == (0, 255)
    assert not rows(data.x_train) & rows(data.x_test)
    assert "github.com/zalandoresearch" in data.source
    assert data.licence == "MIT"


def test_fashion_mnist_labels_go_with_the_photos() -> None:
    """Trousers are narrow, bags are wide, coats cover more than sandals: a wrong order of names would show."""
    data = fashion_mnist()
    lit = data.x_train[:, 0] > 64

    def of(name: str) -> Tensor:
        return lit[data.y_train == data.classes.index(name)].float()

    columns = {name: float(of(name).amax(dim=1).sum(dim=1).mean()) for name in data.classes}
    assert min(columns, key=columns.__getitem__) == "Trouser"
    assert columns["Bag"] > 1.5 * columns["Trouser"]
    assert of("Coat").mean() > 1.5 * of("Sandal").mean()
    # Shoes point left: the lit top of an ankle boot lies in the right half.
    boots = of("Ankle boot")[:, :10]
    assert boots[:, :, 14:].sum() > 3 * boots[:, :, :14].sum()


def test_digits_are_split_evenly_and_lose_no_picture() -> None:
    from sklearn.datasets import load_digits

    data = digits()
    assert data.x_train.shape == (1347, 1, 8, 8)
    assert data.x_test.shape == (450, 1, 8, 8)
    assert data.x_train.dtype == torch.uint8
    assert data.y_train.dtype == torch.int64
    share = data.y_test.bincount() / (data.y_test.bincount() + data.y_train.bincount())
    assert float(share.min()) > 0.24
    assert float(share.max()) < 0.26
    # Every picture is on one side, none twice, and 16 levels survive the stretch to 255.
    everything = torch.cat([data.x_train, data.x_test])[:, 0]
    levels = sorted((picture.float() * 16 / 255).round().flatten().tolist() for picture in everything)
    assert levels == sorted(picture.ravel().tolist() for picture in load_digits().images)
    assert int(everything.max()) == 255


def same(a: ImageData, b: ImageData) -> bool:
    return all(torch.equal(getattr(a, key), getattr(b, key)) for key in ("x_train", "y_train", "x_test", "y_test"))


def test_pictures_come_back_the_same_and_belong_to_the_caller() -> None:
    first = fashion_mnist()
    first.x_train.zero_()
    assert int(fashion_mnist().x_train.max()) == 255
    torch.manual_seed(1)
    np.random.seed(1)
    before = digits()
    np.random.seed(2)
    assert same(before, digits())


# --- the full Fashion-MNIST


def write_idx(path: Path, array: np.ndarray) -> None:
    """MNIST's own file format: 0, 0, 8 for uint8, the number of dimensions, each as a big-endian int32, bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes())


@pytest.fixture
def full_set_in_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """A tiny data set in torchvision's own layout, as if the download had been done."""
    generator = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for part, count in (("train", 7), ("t10k", 5)):
        arrays[part] = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(tmp_path / "FashionMNIST" / "raw" / f"{part}-images-idx3-ubyte", arrays[part])
        write_idx(tmp_path / "FashionMNIST" / "raw" / f"{part}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8))
    monkeypatch.setattr(images, "cache_folder", lambda: tmp_path)
    return arrays


def test_full_fashion_mnist_comes_through_torchvision(
    full_set_in_cache: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fashion_mnist(full=True)
    assert asked.x_train.shape == (7, 1, 28, 28)
    assert np.array_equal(asked.x_test[:, 0].numpy(), full_set_in_cache["t10k"])
    assert asked.y_test.tolist() == [0, 1, 2, 3, 4]
    assert asked.y_test.dtype == torch.int64
    assert len(fashion_mnist().x_train) == 3000
    monkeypatch.setenv("COURSE_SCALE", "full")
    assert same(fashion_mnist(), asked)
    assert len(fashion_mnist(full=False).x_train) == 3000
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert len(fashion_mnist().x_train) == 3000, "nothing is fetched while a notebook is graded"


def test_full_fashion_mnist_without_a_network_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "cache_folder", lambda: tmp_path)
    with pytest.raises(AssetError) as caught:
        fashion_mnist(full=True)
    assert_one_clear_sentence(caught.value, "could not be fetched", "fashion_mnist(full=False)")


# --- texts


def test_topics_are_balanced_and_apart() -> None:
    data = wordnet_topics()
    assert len(data.x_train) == len(data.lemmas_train) == len(data.y_train) == 3590
    assert len(data.x_test) == len(data.lemmas_test) == len(data.y_test) == 1200
    assert len(data.classes) == 12
    assert data.y_test.bincount().tolist() == [100] * 12
    assert data.y_train.bincount().min() >= 290
    assert data.y_train.dtype == torch.int64
    assert not set(data.x_train) & set(data.x_test)


def test_topics_keep_each_definition_with_its_word_and_topic() -> None:
    data = wordnet_topics()
    where = data.lemmas_train.index("wild horse")
    assert data.x_train[where] == "undomesticated or feral domestic horse"
    assert data.classes[data.y_train[where]] == "animal"
    where = data.lemmas_test.index("schipperke")
    assert data.x_test[where].startswith("breed of small stocky black dogs")
    assert data.classes[data.y_test[where]] == "animal"


def test_definitions_hold_out_what_the_topics_test_on() -> None:
    data = wordnet_definitions()
    assert len(data.train) + len(data.test) == 117_659
    assert len(data.test) == 2415
    read = {entry.definition for entry in data.train}
    assert not read & {entry.definition for entry in data.test}
    assert not read & set(wordnet_topics().x_test)
    assert data.train[0].lemma == "entity"
    assert {entry.part_of_speech for entry in data.train} == {"noun", "verb", "adj", "adv"}
    team = next(entry for entry in data.train if "the team is a unit" in entry.examples)
    assert len(team.examples) == 2


# --- phrases with numbers, English to Chinese


@pytest.fixture(scope="module")
def every_phrase() -> dict[str, str]:
    """All that the rules make, of which `quantities` takes a part."""
    return {pair.english: pair.chinese for makes in (dates, times, prices, amounts) for pair in makes()}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("the third of march nineteen ninety-four", "一九九四年三月三日"),
        ("march third nineteen ninety-four", "一九九四年三月三日"),
        ("the twenty-ninth of february two thousand", "二〇〇〇年二月二十九日"),
        ("october tenth two thousand and five", "二〇〇五年十月十日"),
        ("the second of december twenty twenty-two", "二〇二二年十二月二日"),
        ("sunday the first of may", "五月一日星期日"),
        ("a quarter past seven in the evening", "晚上七点一刻"),
        ("a quarter to three", "两点三刻"),
        ("half past two in the afternoon", "下午两点半"),
        ("tomorrow at ten to eight in the morning", "明天早上七点五十分"),
        ("on friday at two oh two in the early morning", "星期五凌晨两点零二分"),
        ("twelve o'clock", "十二点"),
        ("today at eleven twenty-two in the morning", "今天上午十一点二十二分"),
        ("three dollars and fifty cents", "三美元五十美分"),
        ("two pounds and two pence", "两英镑两便士"),
        ("twelve euros and one cent", "十二欧元一欧分"),
        ("one penny", "一便士"),
        ("two yuan", "两元"),
        ("three yuan and twenty-five fen", "三元二角五分"),
        ("three yuan and fifty fen", "三元五角"),
        ("twenty-two yuan and five fen", "二十二元零五分"),
        ("twenty-five kilograms of rice", "二十五公斤大米"),
        ("two and a half litres of milk", "两升半牛奶"),
        ("half a kilogram of sugar", "半公斤糖"),
        ("one book", "一本书"),
        ("two horses", "两匹马"),
        ("twelve cats", "十二只猫"),
        ("twenty-two students", "二十二名学生"),
        ("two pairs of trousers", "两条裤子"),
        ("two hours", "两个小时"),
        ("two years", "两年"),
        ("two hundred and five tickets", "二百零五张票"),
        ("four hundred and fifteen trees", "四百一十五棵树"),
        ("two thousand eight hundred cups of tea", "两千八百杯茶"),
        ("twelve thousand two hundred and fifty eggs", "一万二千二百五十个鸡蛋"),
    ],
)
def test_a_phrase_is_said_in_chinese_as_a_person_would(
    english: str, chinese: str, every_phrase: dict[str, str]
) -> None:
    assert every_phrase[english] == chinese


def test_numbers_are_written_out_as_they_should_be() -> None:
    expected = {
        0: ("zero", "零"),
        2: ("two", "二"),
        10: ("ten", "十"),
        12: ("twelve", "十二"),
        20: ("twenty", "二十"),
        99: ("ninety-nine", "九十九"),
        101: ("one hundred and one", "一百零一"),
        110: ("one hundred and ten", "一百一十"),
        222: ("two hundred and twenty-two", "二百二十二"),
        1000: ("one thousand", "一千"),
        1005: ("one thousand and five", "一千零五"),
        1050: ("one thousand and fifty", "一千零五十"),
        2010: ("two thousand and ten", "两千零一十"),
        2200: ("two thousand two hundred", "两千二百"),
        10_000: ("ten thousand", "一万"),
        10_010: ("ten thousand and ten", "一万零一十"),
        12_000: ("twelve thousand", "一万二千"),
        20_500: ("twenty thousand five hundred", "两万零五百"),
        90_909: ("ninety thousand nine hundred and nine", "九万零九百零九"),
    }
    assert {number: (english_number(number), chinese_number(number)) for number in expected} == expected
    years = {1900: "nineteen hundred", 1905: "nineteen oh five", 2000: "two thousand", 2010: "twenty ten"}
    assert {year: english_year(year) for year in years} == years


def test_every_number_below_a_hundred_thousand_can_be_read_back() -> None:
    """By a reader that was written on its own."""
    digits_of = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"两": 2}

    def read(text: str) -> int:
        total = section = digit = 0
        for character in text:
            if character == "万":
                total, section, digit = (section + digit) * 10_000, 0, 0
            elif character in "千百十":
                section += (digit or 1) * {"千": 1000, "百": 100, "十": 10}[character]
                digit = 0
            else:
                digit = digits_of[character]
        return total + section + digit

    assert all(read(chinese_number(number)) == number for number in range(0, 100_000, 7))


def test_test_phrases_combine_what_training_phrases_have_apart() -> None:
    data = quantities()
    both = [*data.train, *data.test]
    assert len(both) >= 25_000
    assert len({pair.english for pair in both}) == len(both)
    assert len({(pair.english, pair.chinese) for pair in both}) >= 20_000
    for kind in ("date", "time", "price", "quantity"):
        train = {pair.parts for pair in data.train if pair.kind == kind}
        test = {pair.parts for pair in data.test if pair.kind == kind}
        assert not train & test
        assert 0.05 < len(test) / len(train) < 0.2
        assert sum(pair.kind == kind for pair in data.test) > 500

    def words(text: str) -> set[str]:
        return set(text.replace("-", " ").split())

    assert set().union(*(words(pair.english) for pair in data.test)) <= set().union(
        *(words(pair.english) for pair in data.train)
    )
    assert {*"".join(pair.chinese for pair in data.test)} <= {*"".join(pair.chinese for pair in data.train)}
    assert not any("一" <= character <= "鿿" for pair in both for character in pair.english)
    assert all("一" <= character <= "鿿" or character == "〇" for pair in both for character in pair.chinese)


def test_phrases_are_the_same_on_every_call_and_belong_to_the_caller() -> None:
    first = quantities()
    count = len(first.train)
    kept = first.train[0]
    first.train.clear()
    assert len(quantities().train) == count
    assert quantities().train[0] == kept


# --- pinned files


def test_every_shipped_file_is_pinned_and_has_its_licence() -> None:
    lying = {path.name for path in shipped.FOLDER.iterdir() if path.suffix in {".npz", ".gz"}}
    assert lying == {pinned.path for pinned in PINS}
    for pinned in PINS:
        assert shipped.shipped(pinned).stat().st_size == pinned.size
    readme = (shipped.FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(pinned.path in readme for pinned in PINS)
    assert "Permission is hereby granted" in (shipped.FOLDER / "LICENSE-fashion-mnist.txt").read_text(encoding="utf-8")
    assert "Princeton University" in (shipped.FOLDER / "LICENSE-wordnet.txt").read_text(encoding="utf-8")


def test_a_missing_file_is_named_with_the_way_out(folder: Path) -> None:
    (folder / "fashion-mnist-4k.npz").unlink()
    with pytest.raises(AssetError) as caught:
        fashion_mnist()
    assert_one_clear_sentence(
        caught.value, "fashion-mnist-4k.npz is missing", "pip install --force-reinstall", "finetuning-from-zero"
    )


def test_a_cut_off_file_is_damaged(folder: Path) -> None:
    path = folder / "wordnet-topics.csv.gz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AssetError) as caught:
        wordnet_topics()
    assert_one_clear_sentence(caught.value, "1,000 bytes where 160,889", "pip install --force-reinstall")


def test_one_flipped_bit_is_seen_even_after_a_good_read(folder: Path) -> None:
    assert len(wordnet_topics().x_test) == 1200
    path = folder / "wordnet-topics.csv.gz"
    content = bytearray(path.read_bytes())
    content[4] ^= 1  # inside gzip's time stamp: the file still unpacks to the same text
    path.write_bytes(content)
    assert len(gzip.decompress(path.read_bytes())) > 0
    with pytest.raises(AssetError) as caught:
        wordnet_topics()
    assert_one_clear_sentence(caught.value, "SHA-256", "613efbcd7020", "pip install --force-reinstall")


def test_a_folder_in_a_files_place_is_a_sentence_too(folder: Path) -> None:
    (folder / "fashion-mnist-4k.npz").unlink()
    (folder / "fashion-mnist-4k.npz").mkdir()
    with pytest.raises(AssetError) as caught:
        fashion_mnist()
    assert_one_clear_sentence(caught.value, "pip install --force-reinstall")


def test_a_pickle_inside_the_right_file_name_does_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if a pickle were pinned by mistake, reading it must not run it."""
    ran = folder / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (ran,)

    bad = folder / "bad.npz"
    keys = ("x_train", "y_train", "x_test", "y_test")
    np.savez(bad, allow_pickle=True, **{key: np.array([Payload()], dtype=object) for key in keys})
    pin = PinnedFile("bad.npz", sha256_of(bad), bad.stat().st_size)
    monkeypatch.setattr(images, "FASHION_MNIST", pin)
    with pytest.raises(ValueError, match="allow_pickle"):
        fashion_mnist()
    assert not ran.exists()


def test_a_file_is_hashed_once_while_it_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(b"one")
    hashed = 0
    digest = verified.hashlib.file_digest

    def counting(*args: object) -> object:
        nonlocal hashed
        hashed += 1
        return digest(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(verified.hashlib, "file_digest", counting)
    first = sha256_of(path)
    assert sha256_of(path) == first
    assert hashed == 1
    path.write_bytes(b"other")
    assert sha256_of(path) != first
    assert hashed == 2


# --- what the small models of the zoo were pretrained on, and what they have not seen


def test_seen_and_new_clothes_share_no_class_and_are_all_of_them() -> None:
    seen, new, both = seen_clothes(full=False), new_clothes(full=False), fashion_mnist(full=False)
    assert sorted(seen.classes + new.classes) == sorted(both.classes)
    for data in (seen, new):
        assert data.x_train.shape == (1500, 1, 28, 28)
        assert data.x_test.shape == (500, 1, 28, 28)
        assert data.y_train.bincount().tolist() == [300] * 5
        first = both.x_test[both.y_test == both.classes.index(data.classes[3])]
        assert torch.equal(data.x_test[data.y_test == 3], first)


def test_letters_for_testing_are_of_other_fonts() -> None:
    letters = printed_letters()
    assert letters.x_train.shape == (780, 1, 28, 28)
    assert letters.x_test.shape == (208, 1, 28, 28)
    assert letters.x_train.dtype == torch.uint8
    assert letters.y_train.bincount().tolist() == [30] * 26
    assert letters.y_test.bincount().tolist() == [8] * 26
    assert (letters.x_train.amax(dim=(1, 2, 3)) > 200).all()
