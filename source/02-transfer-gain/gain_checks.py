"""The checks of lesson 02. They judge what a function gives back for data made on the spot, never how it is written.

Labels have odd values and unequal class sizes, images unequal sides, so that what was mixed up shows. Hidden cases
hand in more data through ``add_cases``; the last part of each check looks at them, behind its own.
"""

from __future__ import annotations

import math
import numbers
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext, ngettext
from torch import Tensor

# --------------------------------------------------------------------------------------------------------
# Labels, indices, generators
# --------------------------------------------------------------------------------------------------------


def shuffled_labels(sizes: dict[int, int], seed: int = 0) -> Tensor:
    """Labels (N,), int64: of each class as many as its size says, in an order drawn from the seed."""
    labels = torch.tensor([label for label, size in sizes.items() for _ in range(size)])
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def _whole_numbers(collection: Any) -> list[int] | None:
    """The indices in a collection of any kind, or None where something in it is no whole number."""
    if isinstance(collection, Tensor | np.ndarray | np.generic):
        array = np.asarray(collection)
        return array.reshape(-1).tolist() if array.dtype.kind in "iu" else None
    if isinstance(collection, numbers.Integral):
        return None if isinstance(collection, bool) else [int(collection)]
    if isinstance(collection, str | bytes | dict | float) or not isinstance(collection, Iterable):
        return None
    found: list[int] = []
    for item in collection:
        inside = _whole_numbers(item)
        if inside is None:
            return None
        found += inside
    return found


def _global_state() -> tuple[bytes, ...]:
    """Where the generators stand that a program shares: torch's, numpy's and Python's own."""
    _, keys, place, *_ = np.random.get_state()
    of_numpy = keys.tobytes() + str(place).encode()
    return (torch.get_rng_state().numpy().tobytes(), of_numpy, repr(random.getstate()).encode())


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " ..."


def _per_class(labels: Tensor, rows: Iterable[int]) -> Counter[int]:
    return Counter(labels[list(rows)].tolist())


GENERATOR_IGNORED = Misconception(
    "generator-ignored",
    "The draw does not come from the generator alone. With the same seed twice, two people would work with different "
    "data and never know; and whoever shares the global generator gets other numbers after your call than before.",
    "the argument `generator=` of every call that draws, and which state each call uses up",
)
ALWAYS_THE_SAME = Misconception(
    "always-the-same",
    "Other seeds give the same draw. What stands first in a file is seldom a fair sample of it, and a spread over "
    "seeds that all draw the same says nothing.",
    "which step of yours mixes the examples of a class, and whether something seeds the generator anew",
)
NOT_DATASET_INDICES = Misconception(
    "not-dataset-indices",
    "These are not places in the whole data set. What counts the examples of one class from 0, or gives the labels "
    "themselves, picks other examples than you meant.",
    "where an index within one class is turned into an index into `labels`",
)


def _check_places(rows: Sequence[int], labels: Tensor) -> None:
    """Refuses indices outside the data set, and positions within the classes."""
    outside = [row for row in rows if not 0 <= row < len(labels)]
    if outside:
        raise Wrong(
            NOT_DATASET_INDICES,
            seen=gettext("the index {index} among {labels} examples").format(
                index=outside[0], labels=len(labels)
            ),
            expected=gettext("0 to {last}").format(last=len(labels) - 1),
        )


# --------------------------------------------------------------------------------------------------------
# stratified_split
# --------------------------------------------------------------------------------------------------------

NOT_A_SPLIT = Misconception(
    "not-a-split",
    "What came back is not one collection of whole numbers for each fraction.",
    "the `return` line: one list, tensor or the like for each fraction, in their order",
)
DUPLICATES = Misconception(
    "duplicates",
    "An example stands in two splits, or twice in one. A network that is tested on what it was trained on is asked to "
    "remember, not to understand, and its score is too good.",
    "where one piece ends and the next begins, and whether every piece comes from the same shuffled order",
)
EXAMPLES_LOST = Misconception(
    "examples-lost",
    "Some examples are in no split. Together the splits must hold all of them.",
    "what becomes of the remainder when a fraction of a class is no whole number",
)
NOT_STRATIFIED = Misconception(
    "not-stratified",
    "A class's share of a split is not the fraction that was asked for. Each split should hold every class in the "
    "proportion that the whole data set has.",
    "whether your code cuts each class by itself, at the fractions in their order",
)
CLASS_LOST = Misconception(
    "class-lost",
    "Rounding has lost a class: it has enough examples for every split, and a split has none of it. A test set "
    "without a class cannot say anything about it.",
    "what a small fraction of a small class is rounded to",
)

check_stratified_split = Check(
    "stratified_split",
    hints=(
        "Take one class at a time. Its indices, in a random order, are cut into as many pieces as there are fractions; "
        "the split is what the classes' pieces give together.",
        "`torch.where(labels == c)[0]` gives the places of class c, `torch.randperm(n, generator=generator)` an order. "
        "Cut one order at several places, and no example can be in two pieces.",
        "Decide the sizes of the pieces first, as whole numbers that sum to the size of the class: start with 1 each "
        "where the class has enough, then give the remaining ones, one by one, to the piece that is furthest below its "
        "share.",
    ),
)

# The contract says one or two; for no class below does the plainest rounding (down, the rest to one split) need more.
SLACK = 2


def _split(
    stratified_split: Callable, labels: Tensor, fractions: Sequence[float], seed: int
) -> list[list[int]]:
    """One call, its splits as lists; raises for what is not a partition of the data set."""
    said = stratified_split(labels.clone(), type(fractions)(fractions), _seeded(seed))
    asked = gettext("stratified_split of {labels} labels with fractions {fractions}").format(
        labels=len(labels), fractions=_rounded(fractions)
    )
    if isinstance(said, str | bytes | dict) or not isinstance(said, Iterable):
        raise Wrong(
            NOT_A_SPLIT,
            seen=_short(said),
            expected=gettext("{fractions} collections").format(fractions=len(fractions)),
        )
    collections = list(said)
    splits = [_whole_numbers(collection) for collection in collections]
    if len(splits) != len(fractions) or any(split is None for split in splits):
        raise Wrong(
            NOT_A_SPLIT,
            seen=_short(said),
            expected=gettext("{fractions} collections of indices").format(fractions=len(fractions)),
        )
    rows = [row for split in splits for row in split]
    _check_places(rows, labels)
    times = Counter(rows)
    twice = sorted(row for row, count in times.items() if count > 1)
    largest = max(Counter(labels.tolist()).values())
    if twice and max(rows) < largest < len(labels) and len(rows) == len(labels):
        raise Wrong(
            NOT_DATASET_INDICES,
            seen=gettext("no index above {largest}, and many of them twice, in {asked}").format(
                largest=max(rows), asked=asked
            ),
            expected=gettext("every index from 0 to {last} once").format(last=len(labels) - 1),
        )
    if twice:
        raise Wrong(
            DUPLICATES,
            seen=gettext(
                "{count} of the examples more than once, such as {example}, in {asked}"
            ).format(count=len(twice), example=twice[0], asked=asked),
            expected="each example once",
        )
    if len(rows) < len(labels):
        raise Wrong(
            EXAMPLES_LOST,
            seen=gettext("{rows} of {labels} examples in {asked}").format(
                rows=len(rows), labels=len(labels), asked=asked
            ),
            expected="all of them",
        )
    return splits


def _rounded(fractions: Sequence[float]) -> list[float]:
    return [round(fraction, 4) for fraction in fractions]


def _check_shares(splits: list[list[int]], labels: Tensor, fractions: Sequence[float]) -> None:
    sizes = Counter(labels.tolist())
    counts = [_per_class(labels, split) for split in splits]
    for label, size in sizes.items():
        for number, (count, fraction) in enumerate(zip(counts, fractions, strict=True)):
            where = gettext("split {number} of fractions {fractions}").format(
                number=number, fractions=_rounded(fractions)
            )
            if size >= len(fractions) and count[label] == 0:
                raise Wrong(
                    CLASS_LOST,
                    seen=gettext("{where} has none of the {size} examples of class {label}").format(
                        where=where, size=size, label=label
                    ),
                    expected="at least one",
                )
            if abs(count[label] - fraction * size) > SLACK + 1e-9:
                raise Wrong(
                    NOT_STRATIFIED,
                    seen=gettext(
                        "{where} has {count} of the {size} examples of class {label}"
                    ).format(where=where, count=count[label], size=size, label=label),
                    expected=gettext("{share:.3g}, give or take {slack}").format(
                        share=fraction * size, slack=SLACK
                    ),
                )


@check_stratified_split.part(2, "gives every example to exactly one split")
def _(stratified_split: Callable, cases: Sequence[tuple[Tensor, Sequence[float]]]) -> None:
    for sizes, fractions in (
        ({0: 41, 1: 23, 2: 60, 3: 17}, (0.7, 0.2, 0.1)),
        ({5: 19, -2: 31, 1000: 50}, [0.55, 0.45]),
        ({3: 33, 0: 12}, [1 / 3, 1 / 3, 1 / 3]),
        ({1: 9, 4: 14}, [1.0]),
    ):
        _split(stratified_split, shuffled_labels(sizes), fractions, seed=1)


@check_stratified_split.part(1, "keeps each class's share in every split")
def _(stratified_split: Callable, cases: Sequence[tuple[Tensor, Sequence[float]]]) -> None:
    for sizes, fractions in (
        ({0: 41, 1: 23, 2: 60, 3: 17}, (0.7, 0.2, 0.1)),
        ({5: 200, -2: 31, 1000: 50}, [0.2, 0.5, 0.3]),
        ({3: 40, 0: 20, 8: 60, 9: 30}, [0.1, 0.2, 0.3, 0.4]),
    ):
        labels = shuffled_labels(sizes, seed=2)
        for order in (labels, labels.sort().values):  # a file is often sorted by class
            _check_shares(_split(stratified_split, order, fractions, seed=2), order, fractions)


@check_stratified_split.part(1, "loses no class to rounding")
def _(stratified_split: Callable, cases: Sequence[tuple[Tensor, Sequence[float]]]) -> None:
    for sizes, fractions in (
        ({0: 60, 1: 3, 2: 4, 3: 9}, [0.8, 0.1, 0.1]),
        ({0: 25, 7: 2, 4: 4}, (0.9, 0.1)),
        ({2: 3, 6: 5, 1: 40}, [0.02, 0.96, 0.02]),
        ({0: 30, 1: 1, 2: 2, 3: 3, 4: 5}, (0.1, 0.15, 0.75)),
    ):
        labels = shuffled_labels(sizes, seed=3)
        _check_shares(_split(stratified_split, labels, fractions, seed=3), labels, fractions)


@check_stratified_split.part(1, "draws from the generator alone")
def _(stratified_split: Callable, cases: Sequence[tuple[Tensor, Sequence[float]]]) -> None:
    labels, fractions = shuffled_labels({0: 12, 9: 17, 4: 8}, seed=4), [0.5, 0.5]

    def draw(seed: int) -> list[frozenset[int]]:
        return [frozenset(split) for split in _split(stratified_split, labels, fractions, seed)]

    torch.manual_seed(1)
    first = draw(5)
    torch.manual_seed(2)
    if draw(5) != first:
        raise Wrong(GENERATOR_IGNORED, seen="the same seed twice gives two different splits")
    before = _global_state()
    draw(6)
    if _global_state() != before:
        raise Wrong(GENERATOR_IGNORED, seen="a global generator has moved", expected="untouched")
    # Two examples of a class part ways in half of the draws: among 30 seeds each lands on either side, but for one
    # chance in 2 ** 29.
    ever = [frozenset[int](), frozenset[int]()]
    for seed in range(30):
        ever = [one | now for one, now in zip(ever, draw(seed), strict=True)]
    stuck = set(range(len(labels))) - (ever[0] & ever[1])
    if stuck:
        raise Wrong(
            ALWAYS_THE_SAME,
            seen=gettext(
                "{count} of {labels} examples land in the same split for each of 30 seeds"
            ).format(count=len(stuck), labels=len(labels)),
            expected="each example now in one, now in the other",
        )
    for labels, fractions in cases:
        _check_shares(_split(stratified_split, labels, fractions, seed=6), labels, fractions)


# --------------------------------------------------------------------------------------------------------
# n_per_class
# --------------------------------------------------------------------------------------------------------

NOT_INDICES = Misconception(
    "not-indices",
    "What came back is not a collection of whole numbers.",
    "the `return` line: the indices of all classes together",
)
DRAWN_TWICE = Misconception(
    "drawn-twice",
    "An example was drawn twice. Ten photos of which three are the same are eight photos: without replacement, each "
    "comes at most once.",
    "the function that draws, and whether it puts back what it drew",
)
WRONG_NUMBER = Misconception(
    "wrong-number",
    "The number of examples of a class is not n.",
    "whether n counts the examples of one class, or those of all together",
)
CLASS_MISSING = Misconception(
    "class-missing",
    "A class that occurs in the labels was left out.",
    "how your code comes by the classes: labels may have any values, and gaps between them",
)
LABELS_CHANGED = Misconception(
    "labels-changed",
    "The labels changed. They still belong to the photos, in their old order.",
    "calls that end with an underscore, and assignments into `labels`",
)

check_n_per_class = Check(
    "n_per_class",
    hints=(
        "It is the first half of a stratified split: one class at a time, its places in a random order.",
        "`labels.unique()` gives the classes that occur. A random order without repeats is "
        "`torch.randperm(count, generator=generator)`.",
        "Of each class's shuffled places keep the first n, then put the classes together with `torch.cat`.",
    ),
)


def _drawn(n_per_class: Callable, labels: Tensor, n: int, seed: int) -> list[int]:
    """One call, what it drew as a list; raises for what is not n examples of every class."""
    given = labels.clone()
    said = n_per_class(given, n, _seeded(seed))
    if not torch.equal(given, labels):
        raise Wrong(LABELS_CHANGED, seen=_short(given.tolist()), expected=_short(labels.tolist()))
    rows = _whole_numbers(said)
    if rows is None:
        raise Wrong(
            NOT_INDICES,
            seen=_short(said),
            expected=ngettext(
                "{n} index for each class, flat or nested",
                "{n} indices for each class, flat or nested",
                n,
            ).format(n=n),
        )
    _check_places(rows, labels)
    sizes = Counter(labels.tolist())
    asked = gettext("n_per_class of {labels} labels with n = {n}").format(labels=len(labels), n=n)
    twice = [row for row, count in Counter(rows).items() if count > 1]
    if twice and len(rows) == n * len(sizes) and max(rows) < max(sizes.values()):
        raise Wrong(
            NOT_DATASET_INDICES,
            seen=gettext("no index above {largest} in {asked}").format(
                largest=max(rows), asked=asked
            ),
        )
    if twice:
        raise Wrong(
            DRAWN_TWICE,
            seen=gettext("example {example} more than once in {asked}").format(
                example=twice[0], asked=asked
            ),
            expected="once",
        )
    counts = _per_class(labels, rows)
    missing = [label for label in sizes if not counts[label]]
    if missing:
        raise Wrong(
            CLASS_MISSING,
            seen=gettext("nothing of class {label} in {asked}").format(
                label=missing[0], asked=asked
            ),
            expected=n,
        )
    for label in sizes:
        if counts[label] != n:
            raise Wrong(
                WRONG_NUMBER,
                seen=gettext("{count} of class {label} in {asked}").format(
                    count=counts[label], label=label, asked=asked
                ),
                expected=n,
            )
    return rows


@check_n_per_class.part(2, "draws exactly n examples of every class, each at most once")
def _(n_per_class: Callable, cases: Sequence[tuple[Tensor, int]]) -> None:
    for sizes, n in (({0: 13, 1: 7, 2: 30}, 4), ({1: 9, 0: 8, 3: 11, 2: 10}, 1)):
        for seed in range(4):  # one draw with replacement may happen to repeat nothing
            _drawn(n_per_class, shuffled_labels(sizes, seed), n, seed)


@check_n_per_class.part(1, "takes labels of any values, and a class that has only n")
def _(n_per_class: Callable, cases: Sequence[tuple[Tensor, int]]) -> None:
    for sizes, n in (({-3: 6, 500: 9, 2: 5}, 5), ({7: 4, 40: 4}, 4), ({9: 11}, 10)):
        labels = shuffled_labels(sizes, seed=5)
        for order in (labels, labels.sort().values, labels.sort(descending=True).values):
            _drawn(n_per_class, order, n, seed=5)
    for labels, n in cases:
        _drawn(n_per_class, labels, n, seed=7)


@check_n_per_class.part(1, "draws from the generator alone")
def _(n_per_class: Callable, cases: Sequence[tuple[Tensor, int]]) -> None:
    labels, n = shuffled_labels({0: 12, 9: 17, 4: 10}, seed=4), 5
    torch.manual_seed(1)
    first = set(_drawn(n_per_class, labels, n, 5))
    torch.manual_seed(2)
    if set(_drawn(n_per_class, labels, n, 5)) != first:
        raise Wrong(GENERATOR_IGNORED, seen="the same seed twice draws different examples")
    before = _global_state()
    _drawn(n_per_class, labels, n, 6)
    if _global_state() != before:
        raise Wrong(GENERATOR_IGNORED, seen="a global generator has moved", expected="untouched")
    # The rarest comes in 5 of 17 draws: that one of 39 never comes with 60 seeds has a chance below 1 in 10 ** 7.
    ever: set[int] = set()
    for seed in range(60):
        ever.update(_drawn(n_per_class, labels, n, seed))
    never = len(labels) - len(ever)
    if never:
        raise Wrong(
            ALWAYS_THE_SAME,
            seen=gettext("{never} of {labels} examples are drawn with none of 60 seeds").format(
                never=never, labels=len(labels)
            ),
            expected="each of them now and then",
        )


# --------------------------------------------------------------------------------------------------------
# normalisation_stats
# --------------------------------------------------------------------------------------------------------

NOT_A_PAIR = Misconception(
    "not-a-pair",
    "What came back is not a pair (mean, std).",
    "the `return` line",
)
WRONG_AXES = Misconception(
    "wrong-axes",
    "The statistics were taken over the wrong axes. One mean and one standard deviation for each channel: all images "
    "and all pixels go into it, and the other channels do not.",
    "which of the axes N, C, H, W are averaged away, and which one stays",
)
MEAN_OF_STDS = Misconception(
    "mean-of-stds",
    "The spread is an average of the spreads within each image, row or pixel. How much the images differ from each "
    "other is then left out, and the standard deviation is too small.",
    "whether the standard deviation is taken in one go, or averaged over smaller ones",
)
VARIANCE = Misconception(
    "variance",
    "The second number is a variance: it has the unit of a pixel's value squared.",
    "what lies between a variance and a standard deviation",
)
SWAPPED = Misconception(
    "swapped", "Mean and std came back in the wrong order.", "the `return` line"
)
WRONG_STATISTICS = Misconception(
    "wrong-statistics",
    "The numbers are not the mean and the standard deviation of the channels.",
    "each of the two by itself, on an image with values you can add up by hand",
)
IMAGES_CHANGED = Misconception(
    "images-changed",
    "The images changed. This function measures; to normalise comes later, with these numbers, for training and test "
    "images alike.",
    "operations in place, such as `-=` or `sub_`",
)

check_normalisation_stats = Check(
    "normalisation_stats",
    hints=(
        "How many numbers go into the mean of one channel, if there are N images of H times W pixels?",
        "`Tensor.mean` and `Tensor.std` take several axes at once: `dim=(..., ...)`.",
        "The axes are N = 0, C = 1, H = 2, W = 3. Every one of them goes, save the channels'.",
    ),
)


def _channels(value: Any) -> Tensor | None:
    """A statistic of each channel as float64, or None for what is no array of numbers."""
    try:
        if isinstance(value, list | tuple):
            value = [float(item) for item in value]
        return torch.as_tensor(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError, RuntimeError):
        return None


def _statistics(normalisation_stats: Callable, images: Tensor) -> tuple[Tensor, Tensor]:
    """One call: mean and std, each of shape (C,); raises for another shape, and for images that changed."""
    given = images.clone()
    said = normalisation_stats(given)
    if not torch.equal(given, images):
        raise Wrong(IMAGES_CHANGED, seen="other values in the images than before the call")
    pair = list(said) if isinstance(said, Iterable) and not isinstance(said, str | dict) else []
    found = [_channels(one) for one in pair] if len(pair) == 2 else []
    if len(found) != 2 or any(one is None for one in found):
        raise Wrong(NOT_A_PAIR, seen=_short(said), expected="(mean, std), two tensors")
    mean, std = found
    shape = tuple(images.shape)
    for name, value in (("mean", mean), ("std", std)):
        if value.shape != (shape[1],):
            raise Wrong(
                WRONG_AXES,
                seen=gettext("{name} of shape {shape} for images {images}").format(
                    name=name, shape=tuple(value.shape), images=shape
                ),
                expected=(shape[1],),
            )
    return mean, std


# Sums of a few hundred numbers below 10 in float32 err by about 1e-6; whether std divides by n or n - 1 is left open.
_CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, **_CLOSE)


def _both(images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The mean of each channel, and both of its standard deviations (divided by n - 1, and by n), in float64."""
    values = images.double().transpose(0, 1).flatten(1)
    return values.mean(dim=1), [values.std(dim=1, correction=c) for c in (1, 0)]


def _check_mean(normalisation_stats: Callable, images: Tensor) -> None:
    mean, std = _statistics(normalisation_stats, images)
    right, stds = _both(images)
    if not _same(mean, right):
        if any(_same(mean, one) for one in stds) and _same(std, right):
            raise Wrong(
                SWAPPED,
                seen=gettext("mean {mean}").format(mean=_short(mean.tolist())),
                expected=right.tolist(),
            )
        idea = WRONG_AXES if _same(mean.mean(), right.mean()) else WRONG_STATISTICS
        raise Wrong(
            idea,
            seen=gettext("mean {mean}").format(mean=_short(mean.tolist())),
            expected=right.tolist(),
        )


def _check_std(normalisation_stats: Callable, images: Tensor) -> None:
    mean, std = _statistics(normalisation_stats, images)
    right, stds = _both(images)
    if any(_same(std, one) for one in stds):
        return
    if any(_same(mean, one) for one in stds) and _same(std, right):
        idea = SWAPPED
    elif any(_same(std, one.square()) for one in stds):
        idea = VARIANCE
    else:
        x = images.double()
        averaged = [
            x.std(dim=dims, keepdim=True, correction=c).mean(dim=(0, 2, 3))
            for c in (1, 0)
            for dims in ((2, 3), (3,), (2,), (0,), (0, 2), (0, 3))
        ]
        averaged += [
            x.var(dim=dims, keepdim=True, correction=c).mean(dim=(0, 2, 3)).sqrt()
            for c in (1, 0)
            for dims in ((2, 3), (3,), (2,), (0,))
        ]
        averaged += [x.mean(dim=(2, 3)).std(dim=0, correction=c) for c in (1, 0)]
        idea = MEAN_OF_STDS if any(_same(std, one) for one in averaged) else WRONG_STATISTICS
        if torch.allclose(std, std[0].expand_as(std)) and len(std) > 1:
            idea = WRONG_AXES
    raise Wrong(
        idea, seen=gettext("std {std}").format(std=_short(std.tolist())), expected=stds[0].tolist()
    )


def uneven_images(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Images (N, C, H, W): every channel, image, row and column has a level and a spread of its own."""
    generator = _seeded(seed)
    n, c, h, w = shape
    images = torch.rand(shape, generator=generator, dtype=torch.float64)
    for axis, size in enumerate((n, c, h, w)):
        sides = [1, 1, 1, 1]
        sides[axis] = size
        images = images * (0.3 + torch.rand(sides, generator=generator, dtype=torch.float64))
        images = images + torch.rand(sides, generator=generator, dtype=torch.float64)
    return images.to(dtype)


@check_normalisation_stats.part(1, "the mean of each channel, over all images and pixels")
def _(normalisation_stats: Callable, cases: Sequence[Tensor]) -> None:
    for shape in ((7, 3, 5, 4), (4, 2, 3, 6)):
        _check_mean(normalisation_stats, uneven_images(shape, seed=1))


@check_normalisation_stats.part(1, "the standard deviation of each channel")
def _(normalisation_stats: Callable, cases: Sequence[Tensor]) -> None:
    for shape in ((7, 3, 5, 4), (9, 2, 3, 6)):
        _check_std(normalisation_stats, uneven_images(shape, seed=2))


@check_normalisation_stats.part(1, "the same for one channel, for one image, and in float64")
def _(normalisation_stats: Callable, cases: Sequence[Tensor]) -> None:
    made = (
        uneven_images((6, 1, 4, 5), 3),
        uneven_images((1, 3, 4, 7), 4),
        uneven_images((5, 4, 3, 2), 5, torch.float64) * 8 - 4,
        uneven_images((150, 2, 3, 4), 7),
        uneven_images((8, 6, 1, 1), 6),  # feature vectors: images of one pixel
    )
    for images in (*made, *cases):
        _check_mean(normalisation_stats, images)
        _check_std(normalisation_stats, images)


# --------------------------------------------------------------------------------------------------------
# learning_curve
# --------------------------------------------------------------------------------------------------------

TEST_IN_TRAINING = Misconception(
    "test-in-training",
    "Test data were in training: `fit` was handed an example of the test set. The score then says how well a model "
    "remembers what it has seen.",
    "what goes into `fit`, and from which of the two pairs in `data` it comes",
)
UNKNOWN_EXAMPLES = Misconception(
    "unknown-examples",
    "`fit` was handed something that is not an example of the training set as it stands there.",
    "whether your code changes the examples on their way into `fit`, and what it hands over as x and y",
)
UNPAIRED = Misconception(
    "unpaired",
    "`fit` was handed examples with the labels of other examples.",
    "whether x and y are taken with the same indices",
)
REPEATED = Misconception(
    "repeated",
    "One training example was handed over more than once. `size` counts different ones.",
    "the function that draws, and whether it puts back what it drew",
)
WRONG_SIZE = Misconception(
    "wrong-size",
    "`fit` was handed another number of training examples than `size`.",
    "the unit of `size`: it counts examples, not examples of a class, nor batches",
)
NOT_FRESH = Misconception(
    "not-fresh",
    "A model that had been fitted before was fitted again. It begins with what it learnt from other examples, and "
    "they count as its training data too.",
    "where `make_model` is called: inside which of the two loops",
)
NOT_FITTED = Misconception(
    "not-fitted",
    "For some size and seed no model was fitted, or it was scored before it was.",
    "whether every pair of a size and a seed gets a model of its own, fitted, then scored",
)
BEST_OF_SEVERAL = Misconception(
    "best-of-several",
    "For one size and seed the test set was asked several times. The best of several scores on test data is better "
    "than any of the models is: it was picked for its luck on these very examples.",
    "how often `score` is called for each size and seed, and what you choose by it",
)
SCORED_ON_TRAINING = Misconception(
    "scored-on-training",
    "A model was scored on training examples. What it has seen says nothing of what it has not.",
    "what goes into `score`",
)
PART_OF_TEST = Misconception(
    "part-of-test",
    "A model was not scored on the whole test set, each example once, with its own label.",
    "what goes into `score`: both tensors of the test pair, as they are",
)
WRONG_SHAPE = Misconception(
    "wrong-shape",
    "The result does not have the shape (len(sizes), len(seeds)).",
    "which loop is the outer one, and whether something is averaged that should be kept: the spread over seeds is "
    "what the band shows",
)
WRONG_PLACES = Misconception(
    "wrong-places",
    "The numbers are not what `score` gave for the size of their row and the seed of their column.",
    "the order of your loops against the order of rows and columns, and whether the scores are changed on the way",
)
SEED_NOT_PASSED = Misconception(
    "seed-not-passed",
    "`make_model` was not called with the seeds that were asked for. Its first weights are part of what a seed draws.",
    "the argument of `make_model`",
)
SEED_IGNORED = Misconception(
    "seed-ignored",
    "The training examples do not depend on the seed: every seed draws the same. Its band shows the chance of the "
    "first weights alone, and the luck of the draw is hidden.",
    "which generator draws the examples, and with what it is seeded",
)
DRAW_NOT_REPEATED = Misconception(
    "draw-not-repeated",
    "The same seed did not draw the same training examples again. Two methods are compared fairly on the same "
    "examples only.",
    "what else than the seed decides the draw: a global generator, or one that has been drawn from before",
)

check_learning_curve = Check(
    "learning_curve",
    hints=(
        "Two loops, and inside both: draw, make, fit, score, write down.",
        "`torch.randperm(len(train_x), generator=torch.Generator().manual_seed(seed))[:size]` draws with the seed and "
        "without repeats. Take x and y with the same indices.",
        "Inside both loops: `model = make_model(seed)`, one `fit` on what was drawn, one `score` on the test pair. Put "
        "the score into row i, column j of a tensor of zeros, for the i-th size and the j-th seed.",
    ),
)


@dataclass
class _Model:
    """What a witness saw of one model: the training rows of each fit, and what each score was asked and said."""

    seed: int
    fits: list[list[int]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    faults: list[Wrong] = field(default_factory=list)
    score_faults: list[Wrong] = field(default_factory=list)


class _Witness:
    """Data, a make_model, and notes of what was done with the models that it made.

    A model is a plain namespace with two functions of this object. They are called from wherever the learner's
    function runs, but run here: what they note, and the accuracies that they think up, nobody else decides.
    """

    def __init__(self, train: int, test: int, seed: int, shape: tuple[int, ...] = (2, 3)) -> None:
        generator = _seeded(seed)

        def examples(count: int) -> tuple[Tensor, Tensor]:
            x = torch.randn(count, *shape, generator=generator)
            return x, torch.randint(4, (count,), generator=generator)

        self.train, self.test = examples(train), examples(test)
        self.places = {
            key: (name, row)
            for name, (x, _) in (("train", self.train), ("test", self.test))
            for row, key in enumerate(_keys(x))
        }
        self.draw = generator
        self.models: list[_Model] = []

    @property
    def data(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return tuple(tuple(tensor.clone() for tensor in pair) for pair in (self.train, self.test))

    def make_model(self, seed: int) -> SimpleNamespace:
        model = _Model(_seed(seed))
        self.models.append(model)
        made = SimpleNamespace()

        def fit(x: Tensor, y: Tensor) -> None:
            try:
                model.fits.append(self._fitted(x, y))
            except Wrong as wrong:
                model.fits.append([])
                model.faults.append(wrong)

        def score(x: Tensor, y: Tensor) -> float:
            if not model.fits:
                model.score_faults.append(Wrong(NOT_FITTED, seen="`score` before `fit`"))
            try:
                self._scored(x, y)
            except Wrong as wrong:
                model.score_faults.append(wrong)
            model.scores.append(0.1 + 0.8 * torch.rand((), generator=self.draw).item())
            return model.scores[-1]

        made.fit, made.score = fit, score
        return made

    def _rows(self, x: Any, y: Any) -> tuple[list[tuple[str, int] | None], list[Any]]:
        try:
            keys, labels = _keys(torch.as_tensor(x)), torch.as_tensor(y).reshape(-1).tolist()
        except (TypeError, ValueError, RuntimeError, IndexError):
            raise Wrong(
                UNKNOWN_EXAMPLES, seen=gettext("{x} and {y}").format(x=_short(x), y=_short(y))
            ) from None
        return [self.places.get(key) for key in keys], labels

    def _fitted(self, x: Any, y: Any) -> list[int]:
        """The training rows among what was handed over; raises for what is not all of them and their labels."""
        places, labels = self._rows(x, y)
        of_test = sum(place is not None and place[0] == "test" for place in places)
        if of_test:
            raise Wrong(
                TEST_IN_TRAINING,
                seen=gettext(
                    "{of_test} test examples among the {places} that `fit` was handed"
                ).format(of_test=of_test, places=len(places)),
                expected="none",
            )
        unknown = sum(place is None for place in places)
        if unknown or len(labels) != len(places):
            raise Wrong(
                UNKNOWN_EXAMPLES,
                seen=gettext("{unknown} unknown ones among {places}, with {labels} labels").format(
                    unknown=unknown, places=len(places), labels=len(labels)
                ),
                expected="rows of train_x and train_y",
            )
        rows = [place[1] for place in places if place is not None]
        if labels != self.train[1][rows].tolist():
            raise Wrong(
                UNPAIRED,
                seen=gettext("labels {labels}").format(labels=_short(labels)),
                expected="each row's own",
            )
        return rows

    def _scored(self, x: Any, y: Any) -> None:
        places, labels = self._rows(x, y)
        total = len(self.test[0])
        if any(place is not None and place[0] == "train" for place in places):
            raise Wrong(SCORED_ON_TRAINING, seen="training examples in `score`")
        rows = [place[1] for place in places if place is not None]
        whole = sorted(rows) == list(range(total)) and len(places) == total
        if not whole or labels != self.test[1][rows].tolist():
            raise Wrong(
                PART_OF_TEST,
                seen=gettext("{rows} different test examples of {total}, {labels} labels").format(
                    rows=len(set(rows)), total=total, labels=len(labels)
                ),
                expected=gettext("all {total}, with their labels").format(total=total),
            )


def _keys(x: Tensor) -> list[bytes]:
    """Each example's values as bytes, to know it again."""
    values = x.detach().cpu().double().reshape(len(x), -1).numpy()
    return [np.ascontiguousarray(row).tobytes() for row in values]


def _seed(seed: Any) -> int:
    try:
        return int(seed)
    except (TypeError, ValueError):
        return -1


def _fitted_models(
    learning_curve: Callable, witness: _Witness, sizes: Sequence[int], seeds: Sequence[int]
) -> tuple[list[_Model], Any]:
    """One call, the models that were fitted or scored in it, and what it returned."""
    before = len(witness.models)
    said = learning_curve(witness.make_model, witness.data, sizes, seeds)
    models = [model for model in witness.models[before:] if model.fits or model.scores]
    return models, said


def _check_fits(models: Sequence[_Model], sizes: Sequence[int], seeds: Sequence[int]) -> None:
    """Every pair of a size and a seed has a model that was fitted once, on so many different training examples."""
    for model in models:
        if model.faults:
            raise model.faults[0]
        if len(model.fits) > 1:
            raise Wrong(
                NOT_FRESH,
                seen=gettext("one model was fitted {times} times, on {sizes} examples").format(
                    times=len(model.fits), sizes=[len(rows) for rows in model.fits]
                ),
                expected="once",
            )
        for rows in model.fits:
            twice = len(rows) - len(set(rows))
            if twice:
                raise Wrong(
                    REPEATED,
                    seen=gettext("{rows} examples, {twice} of them repeats").format(
                        rows=len(rows), twice=twice
                    ),
                    expected=gettext("{rows} different ones").format(rows=len(rows)),
                )
    fitted = [model for model in models if model.fits]
    for model in fitted:
        if len(model.fits[0]) not in sizes:
            raise Wrong(
                WRONG_SIZE,
                seen=gettext("{count} examples in `fit`").format(count=len(model.fits[0])),
                expected=gettext("one of the sizes {sizes}").format(sizes=list(sizes)),
            )
        if model.seed not in list(seeds):
            raise Wrong(
                SEED_NOT_PASSED,
                seen=f"make_model({model.seed})",
                expected=gettext("one of the seeds {seeds}").format(seeds=list(seeds)),
            )
    pairs = Counter((len(model.fits[0]), model.seed) for model in fitted)
    for size in sizes:
        for seed in seeds:
            if not pairs[size, seed]:
                others = any(model.seed != seed for model in fitted) and len(fitted) >= len(
                    sizes
                ) * len(seeds)
                raise Wrong(
                    SEED_NOT_PASSED if others else NOT_FITTED,
                    seen=gettext("no model of seed {seed} fitted on {size} examples").format(
                        seed=seed, size=size
                    ),
                    expected="one",
                )


def _table(said: Any) -> Tensor | None:
    """A returned table of accuracies as float64, or None for what is none."""
    try:
        if isinstance(said, Tensor):
            return said.detach().cpu().double()
        if hasattr(said, "to_numpy"):
            said = said.to_numpy()
        if isinstance(said, np.ndarray):
            return torch.as_tensor(said.astype(np.float64))
        rows = [row.tolist() if isinstance(row, Tensor | np.ndarray) else list(row) for row in said]
        return torch.tensor([[float(value) for value in row] for row in rows], dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, AttributeError):
        return None


def _check_scores(
    models: Sequence[_Model], said: Any, sizes: Sequence[int], seeds: Sequence[int]
) -> None:
    """Every model was scored once, on the whole test set, and its score stands in its place."""
    for model in models:
        if model.score_faults:
            raise model.score_faults[0]
    fits = Counter((len(rows), model.seed) for model in models for rows in model.fits)
    again = [pair for pair, count in fits.items() if count > 1]
    often = [model for model in models if len(model.scores) > 1]
    if again or often:
        times = max([len(model.scores) for model in often] + [fits[pair] for pair in again])
        raise Wrong(
            BEST_OF_SEVERAL,
            seen=gettext("{times} scores for one size and one seed").format(times=times),
            expected="one",
        )
    of = {
        (len(model.fits[0]), model.seed): model.scores[0]
        for model in models
        if len(model.fits) == 1 and model.scores
    }
    expected = [[of.get((size, seed)) for seed in seeds] for size in sizes]
    if any(value is None for row in expected for value in row):
        raise Wrong(
            NOT_FITTED,
            seen=gettext("{count} models fitted and scored, for {sizes} x {seeds}").format(
                count=len(of), sizes=list(sizes), seeds=list(seeds)
            ),
        )
    table = _table(said)
    if table is None or table.shape != (len(sizes), len(seeds)):
        seen = _short(said) if table is None else tuple(table.shape)
        raise Wrong(WRONG_SHAPE, seen=seen, expected=(len(sizes), len(seeds)))
    right = torch.tensor(expected, dtype=torch.float64)
    # float32 keeps seven digits of a number below 1, and the scores differ by far more
    if not torch.allclose(table, right, rtol=0, atol=1e-6):
        raise Wrong(WRONG_PLACES, seen=_short(table.tolist()), expected=_short(expected))


@check_learning_curve.part(
    2, "fits a fresh model on `size` different training examples for each size and seed"
)
def _(learning_curve: Callable, cases: Sequence[tuple[int, int, Any, Any]]) -> None:
    for train, test, sizes, seeds in ((31, 17, [5, 12], [3, 8, 1]), (20, 26, [4, 9, 20], [0, 7])):
        witness = _Witness(train, test, seed=train)
        models, _ = _fitted_models(learning_curve, witness, sizes, seeds)
        _check_fits(models, sizes, seeds)


@check_learning_curve.part(
    2, "scores each model once, on the whole test set, and puts the score in its place"
)
def _(learning_curve: Callable, cases: Sequence[tuple[int, int, Any, Any]]) -> None:
    for train, test, sizes, seeds in (
        (31, 17, [5, 12], [3, 8, 1]),
        (24, 9, [16, 2, 8], [6, 5]),
        (18, 7, [6], [4]),
    ):
        witness = _Witness(train, test, seed=train)
        models, said = _fitted_models(learning_curve, witness, sizes, seeds)
        _check_scores(models, said, sizes, seeds)


@check_learning_curve.part(1, "draws the examples with the seed, and with nothing else")
def _(learning_curve: Callable, cases: Sequence[tuple[int, int, Any, Any]]) -> None:
    witness = _Witness(40, 11, seed=5, shape=(1, 2, 3))
    sizes, seeds = [7, 15], [2, 9, 4]

    def drawn(order: Sequence[int]) -> dict[tuple[int, int], frozenset[int]]:
        models, _ = _fitted_models(learning_curve, witness, sizes, order)
        _check_fits(models, sizes, order)
        return {(len(m.fits[0]), m.seed): frozenset(m.fits[0]) for m in models if m.fits}

    torch.manual_seed(1)
    first = drawn(seeds)
    for size in sizes:
        if len({first[size, seed] for seed in seeds}) == 1:
            raise Wrong(
                SEED_IGNORED,
                seen=gettext("the same {size} examples for each of the seeds {seeds}").format(
                    size=size, seeds=seeds
                ),
            )
    torch.manual_seed(2)
    second = drawn([4, 2])
    for (size, seed), rows in second.items():
        if rows != first[size, seed]:
            raise Wrong(
                DRAW_NOT_REPEATED,
                seen=gettext("seed {seed} draws other {size} examples the second time").format(
                    seed=seed, size=size
                ),
            )
    for train, test, sizes, seeds in cases:
        bench = _Witness(train, test, seed=8)
        models, said = _fitted_models(learning_curve, bench, sizes, seeds)
        _check_fits(models, sizes, seeds)
        _check_scores(models, said, sizes, seeds)


# --------------------------------------------------------------------------------------------------------
# transfer_gain
# --------------------------------------------------------------------------------------------------------

NOT_THREE = Misconception(
    "not-three",
    "What came back is not three numbers (gain, low, high).",
    "the `return` line",
)
RATIO = Misconception(
    "ratio",
    "This is a ratio. From 10 % to 20 % and from 45 % to 90 % both double, but the first gains ten points and the "
    "second 45: the gain is a difference.",
    "what you do with the two accuracies of one seed",
)
PERCENT = Misconception(
    "percent",
    "The gain is in other units than the accuracies: fractions went in, and percent came out.",
    "factors of 100",
)
WRONG_SIGN = Misconception(
    "wrong-sign",
    "The sign is turned round: a gain is positive when pretraining helps.",
    "which of the two is subtracted from which",
)
WRONG_GAIN = Misconception(
    "wrong-gain",
    "The gain is not the mean of the differences.",
    "how the differences of the seeds become one number: no seed counts more than another",
)
ENDS_SWAPPED = Misconception(
    "ends-swapped",
    "The ends of the interval came back in the wrong order, or one of them is missing from around the gain.",
    "the order of the three numbers",
)
UNPAIRED_SEEDS = Misconception(
    "unpaired-seeds",
    "The pairs were lost. Both runs of one seed saw the same photos; the interval is about the differences within "
    "the pairs, and what a seed does to both runs alike is no part of it.",
    "of which numbers you take the standard deviation, and whether something is sorted",
)
SPREAD_NOT_ERROR = Misconception(
    "spread-not-error",
    "The interval says how far single runs scatter. The mean of n runs scatters less, by the square root of n.",
    "the formula of the standard error",
)
NORMAL_QUANTILE = Misconception(
    "normal-quantile",
    "The interval is too narrow: 1.96 belongs to a spread that is known. Here it is estimated from a few seeds, and "
    "may well be underestimated; Student's t makes up for that.",
    "the number that the standard error is multiplied with",
)
WRONG_DEGREES = Misconception(
    "wrong-degrees",
    "This t has the wrong degrees of freedom. Of n differences, n - 1 are free once their mean is known.",
    "the second argument of the t distribution's quantile",
)
ONE_SIDED = Misconception(
    "one-sided",
    "The interval leaves out 5 % at each end, 10 % in all: it is a 90 % interval.",
    "which quantile leaves 2.5 % above it",
)
POPULATION_STD = Misconception(
    "population-std",
    "The standard deviation was divided by n. The mean was fitted to these same differences, so n - 1 of them are "
    "free.",
    "what your function for the standard deviation divides by",
)
WRONG_INTERVAL = Misconception(
    "wrong-interval",
    "The interval is not the 95 % one of Student's t over the paired differences.",
    "the three factors: a quantile, a standard deviation, the root of n",
)

check_transfer_gain = Check(
    "transfer_gain",
    hints=(
        "First one list of numbers: the difference within each pair. All the rest is about these alone.",
        "The mean of the n differences, give or take t times s / sqrt(n), with s their standard deviation (n - 1).",
        "`stats.t.ppf(0.975, n - 1)` is the t that leaves 2.5 % at either end; `torch.as_tensor` takes lists and "
        "tensors alike.",
    ),
)


def _three(said: Any) -> tuple[float, float, float] | None:
    try:
        gain, low, high = (float(value) for value in said)
    except (TypeError, ValueError, RuntimeError):
        return None
    return gain, low, high


def _runs(n: int, seed: int, gain: float = 0.1) -> tuple[list[float], list[float]]:
    """Accuracies of n seeds: some seeds are easy for both runs, the gain varies a little from seed to seed."""
    generator = _seeded(seed)
    base = 0.3 + 0.3 * torch.rand(n, generator=generator, dtype=torch.float64)
    noise = 0.04 * torch.randn(n, generator=generator, dtype=torch.float64)
    return (base + gain + noise).tolist(), base.tolist()


def _check_gain(said: Any, pretrained: Sequence[float], scratch: Sequence[float]) -> tuple:
    found = _three(said)
    if found is None or not all(map(math.isfinite, found)):
        raise Wrong(NOT_THREE, seen=_short(said), expected="(gain, low, high)")
    p, s = (np.asarray(values, dtype=np.float64) for values in (pretrained, scratch))
    gain = (p - s).mean()
    # accuracies in float32 are off by 6e-8, and so are their differences, roughly
    if abs(found[0] - gain) > 1e-6:
        ratios = [p.mean() / s.mean(), (p / s).mean()]
        ratios += [ratio - 1 for ratio in ratios]
        ratios += [100 * ratio for ratio in ratios] + [
            np.log(p / s).mean(),
            np.exp(np.log(p / s).mean()),
        ]
        idea = WRONG_GAIN
        if any(abs(found[0] - ratio) < 1e-4 for ratio in ratios):
            idea = RATIO
        elif abs(found[0] - 100 * gain) < 1e-3:
            idea = PERCENT
        elif abs(found[0] + gain) < 1e-6:
            idea = WRONG_SIGN
        raise Wrong(
            idea,
            seen=gettext("a gain of {gain:.6g} from {pretrained} and {scratch}").format(
                gain=found[0], pretrained=_rounded(pretrained), scratch=_rounded(scratch)
            ),
            expected=f"{gain:.6g}",
        )
    return found


def _check_interval(said: Any, pretrained: Sequence[float], scratch: Sequence[float]) -> None:
    from scipy import stats

    gain, low, high = _check_gain(said, pretrained, scratch)
    p, s = (np.asarray(values, dtype=np.float64) for values in (pretrained, scratch))
    n, d = len(p), p - s
    error = d.std(ddof=1) / math.sqrt(n)
    t = stats.t.ppf(0.975, n - 1)
    # A table of t has four digits, one part in two thousand; float32 adds 1e-7 times t, which is 13 at most.
    slack = 1e-3 * t * error + 5e-6

    def fits(half: float) -> bool:
        return abs(low - (gain - half)) < slack and abs(high - (gain + half)) < slack

    if fits(t * error):
        return
    half = (high - low) / 2
    seen = gettext("{gain:.4g} in [{low:.6g}, {high:.6g}] from {n} pairs").format(
        gain=gain, low=low, high=high, n=n
    )
    expected = f"[{gain - t * error:.6g}, {gain + t * error:.6g}]"
    welch = math.sqrt(p.var(ddof=1) / n + s.var(ddof=1) / n)
    in_order = np.sort(p) - np.sort(s)
    quantiles = {
        NORMAL_QUANTILE: (stats.norm.ppf(0.975), 1.96, 2.0),
        WRONG_DEGREES: tuple(stats.t.ppf(0.975, k) for k in {n, n + 1, max(n - 2, 1), 2 * n - 2}),
        ONE_SIDED: (stats.t.ppf(0.95, n - 1), stats.norm.ppf(0.95)),
    }
    ideas: list[tuple[Misconception, float]] = [
        (SPREAD_NOT_ERROR, q * d.std(ddof=1)) for q in (t, 1.0, 1.96, stats.norm.ppf(0.975), 2.0)
    ]
    ideas += [(idea, q * error) for idea, some in quantiles.items() for q in some]
    ideas += [(POPULATION_STD, q * d.std() / math.sqrt(n)) for q in (t, 1.96, 1.0)]
    ideas += [
        (UNPAIRED_SEEDS, q * e)
        for e in (welch, in_order.std(ddof=1) / math.sqrt(n))
        for q in (t, 1.96, stats.t.ppf(0.975, 2 * n - 2), stats.t.ppf(0.975, 2 * n - 1))
    ]
    both = stats.ttest_ind(p, s, equal_var=False).confidence_interval(0.95)
    ideas.append((UNPAIRED_SEEDS, (both.high - both.low) / 2))
    for idea, value in ideas:
        if abs(value - t * error) > 2 * slack and fits(value):
            raise Wrong(idea, seen=seen, expected=expected)
    if (
        abs(half + t * error) < slack
        or not min(low, high) <= gain + slack
        or gain - slack > max(low, high)
    ):
        raise Wrong(ENDS_SWAPPED, seen=seen, expected=expected)
    raise Wrong(WRONG_INTERVAL, seen=seen, expected=expected)


@check_transfer_gain.part(1, "the gain: the mean difference, in the units of the accuracies")
def _(transfer_gain: Callable, cases: Sequence[tuple[Sequence[float], Sequence[float]]]) -> None:
    for n, gain in ((5, 0.12), (4, -0.07), (3, 0.3)):
        pretrained, scratch = _runs(n, seed=n, gain=gain)
        _check_gain(transfer_gain(list(pretrained), list(scratch)), pretrained, scratch)


@check_transfer_gain.part(2, "its 95 % interval by Student's t, over the paired differences")
def _(transfer_gain: Callable, cases: Sequence[tuple[Sequence[float], Sequence[float]]]) -> None:
    for n in (5, 3, 8):
        pretrained, scratch = _runs(n, seed=20 + n)
        _check_interval(transfer_gain(list(pretrained), list(scratch)), pretrained, scratch)


@check_transfer_gain.part(
    1, "the same for tensors and tuples, for two seeds, and where pretraining hurts"
)
def _(transfer_gain: Callable, cases: Sequence[tuple[Sequence[float], Sequence[float]]]) -> None:
    for n, kind in (
        (4, lambda values: torch.tensor(values, dtype=torch.float64)),
        (6, lambda values: torch.tensor(values, dtype=torch.float32)),
        (2, tuple),
        (40, list),
    ):
        pretrained, scratch = _runs(n, seed=40 + n, gain=-0.02)
        _check_interval(transfer_gain(kind(pretrained), kind(scratch)), pretrained, scratch)
    for pretrained, scratch in cases:
        _check_interval(transfer_gain(list(pretrained), list(scratch)), pretrained, scratch)
