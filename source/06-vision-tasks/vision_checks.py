"""The checks of lesson 06. They judge what comes back for random pictures, boxes and masks, never how it was made.

What is expected comes from a formula or from torchvision and PyTorch. Where an answer is wrong, it is held beside what
known mistakes would have given on the same inputs, all of them together: a mistake is named when it explains each
answer. Hidden cases hand in more through ``add_cases``; the last part of each check looks at them, behind its own, so
that no hidden failure hides a visible one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext
from torch import Tensor
from torch.nn import functional as F

INPUTS_CHANGED = Misconception(
    "inputs-changed",
    "A tensor that was handed in holds other numbers now. Whoever called your function still needs it: the next epoch "
    "reads the same picture and the same boxes again.",
    "lines that write into a tensor: `boxes[:, 0] = ...`, `mask[...] = ...`, `-=`, names that end in an underscore, and "
    "views that share memory with what came in",
)
NOT_A_PAIR = Misconception(
    "not-a-pair",
    "What came back is not a pair of tensors.",
    "the `return` line: two tensors, with a comma between them",
)
WRONG_SHAPE = Misconception(
    "wrong-shape",
    "What came back has another shape than it should have.",
    "the shapes in the docstring, one dimension after the other",
)
NOT_A_TENSOR = Misconception(
    "not-a-tensor",
    "What came back is not a tensor.",
    "the `return` line, and what the last call before it gives",
)


def _short(value: object) -> str:
    text = f"{value!r} ({type(value).__name__})"
    return text if len(text) <= 200 else text[:200] + " ..."


def _pair(value: Any, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors shaped like the two that went in, or raises Wrong."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Wrong(NOT_A_PAIR, seen=_short(value), expected="two tensors")
    if not all(isinstance(one, Tensor) for one in value):
        raise Wrong(
            NOT_A_PAIR,
            seen=" and ".join(type(one).__name__ for one in value),
            expected="two tensors",
        )
    for one, like in zip(value, (first, second), strict=True):
        if one.shape != like.shape:
            raise Wrong(WRONG_SHAPE, seen=f"{tuple(one.shape)}", expected=f"{tuple(like.shape)}")
    return value[0].detach(), value[1].detach()


def _unchanged(**pairs: tuple[Tensor, Tensor]) -> None:
    """For each name (now, before): bit for bit, since nothing was to be computed in them."""
    for name, (now, before) in pairs.items():
        same_kind = now.shape == before.shape and now.dtype == before.dtype
        if not same_kind or not torch.equal(now.detach(), before):
            raise Wrong(
                INPUTS_CHANGED,
                seen=gettext("{name} is not what it was").format(name=name),
                expected="as before",
            )


def _is_a_stub(error: Exception) -> bool:
    """Whether nobody has written the function yet: NotImplementedError is a RuntimeError, which torch raises too."""
    return isinstance(error, NotImplementedError) and not error.args


def _near(a: Tensor, b: Tensor, within: float) -> bool:
    return a.shape == b.shape and bool(((a.double() - b.double()).abs() <= within).all())


# --------------------------------------------------------------------------------------------------------
# mixup
# --------------------------------------------------------------------------------------------------------

IMAGES_NOT_MIXED = Misconception(
    "images-not-mixed",
    "The images came back as they were, or in another order: nothing was mixed.",
    "the line that makes the new images, and which of them you return",
)
LABELS_NOT_MIXED = Misconception(
    "labels-not-mixed",
    "The labels were not mixed with the images. A picture that is three tenths shoe and seven tenths dress is then "
    "called a shoe, or a dress, and the network learns to be sure of what is not so.",
    "whether the targets go through the same line as the images",
)
LABELS_SWAPPED = Misconception(
    "labels-swapped",
    "The shares of the labels are the wrong way round: where the image has the share lambda of itself, its label has "
    "1 - lambda.",
    "which of the two factors stands before `targets`, and which before its permutation",
)
LABELS_OTHER_PARTNER = Misconception(
    "labels-other-partner",
    "The labels were mixed with those of another picture than the one in the image, or by another lambda.",
    "how often the permutation and lambda are drawn: once, for both",
)
LABELS_WRONG = Misconception(
    "labels-wrong",
    "The targets are not the mixture that the images are.",
    "the line that makes the new targets",
)
WEIGHTS_NOT_ONE = Misconception(
    "weights-not-one",
    "The two shares of an image do not add up to one, so the mixture is brighter or darker than any photo.",
    "the two factors in the line of the images",
)
NOT_A_MIXTURE = Misconception(
    "not-a-mixture",
    "An image that came back is not lambda times itself plus 1 - lambda times one other image of the batch, pixel by "
    "pixel.",
    "the line of the images, and which dimension the permutation is applied to",
)
LAMBDA_PER_IMAGE = Misconception(
    "lambda-per-image",
    "Each image got a lambda of its own. Here one lambda is drawn for the whole batch.",
    "the shape of what you draw",
)
NOT_A_PERMUTATION = Misconception(
    "not-a-permutation",
    "Some image is the partner of two others, and some of none. A permutation uses each image once.",
    "how you draw the partners: with or without repeats",
)
FIXED_PARTNERS = Misconception(
    "fixed-partners",
    "Some pairs never meet: the partners are always found in the same way, or among the same images.",
    "whether the order of the partners is drawn at random",
)
OWN_PARTNERS = Misconception(
    "own-partners",
    "Too often nothing was mixed: each image was its own partner. A random permutation leaves the whole batch as it was "
    "once in N! draws, a random shift once in N.",
    "how the order of the partners is drawn, and whether a batch is ever passed over",
)
WRONG_LAMBDA = Misconception(
    "wrong-lambda",
    "Over many draws the lambdas are not spread as Beta(alpha, alpha) is: for a small alpha they lie near 0 and near 1 "
    "alike, for a large one around a half.",
    "the two parameters of the distribution, and what you do to lambda after it is drawn",
)
GENERATOR_IGNORED = Misconception(
    "generator-ignored",
    "The draw does not come from the generator alone. The same seed then gives another batch each time, or whoever "
    "shares a global generator gets other numbers after your call than before.",
    "every call that draws: lambda too, not only the permutation. `np.random` and `torch.distributions` take no "
    "torch generator",
)
ALWAYS_THE_SAME = Misconception(
    "always-the-same",
    "Two calls in a row gave the same mixture, or two seeds did. A batch in the next epoch would be mixed as in this "
    "one.",
    "whether you draw from the generator, or only read or set its seed",
)

check_mixup = Check(
    "mixup",
    hints=(
        "Draw two things, each once: lambda and an order of the batch. Then one line makes the images, and the same "
        "line with other names makes the targets.",
        "`torch.randperm(len(images), generator=generator)` is the order. For lambda take a uniform number from the "
        "generator, `torch.rand((), generator=generator)`, and put it through the inverse of Beta's distribution "
        "function.",
        "`scipy.stats.beta.ppf(u.item(), alpha, alpha)` is that inverse. Then "
        "`share * images + (1 - share) * images[order]`, and targets likewise.",
    ),
)


def _global_state() -> tuple[bytes, ...]:
    """Where the generators stand that a program shares: torch's, numpy's and Python's own."""
    _, keys, place, *_ = np.random.get_state()
    of_numpy = keys.tobytes() + str(place).encode()
    return (torch.get_rng_state().numpy().tobytes(), of_numpy, repr(random.getstate()).encode())


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class _Batch:
    """Images and targets of which no one is a mixture of the others, so that each mixture can be taken apart."""

    def __init__(
        self, shape: tuple[int, int, int, int], classes: int, dtype: torch.dtype = torch.float64
    ) -> None:
        self.images = torch.randn(shape, dtype=dtype)
        self.targets = torch.rand(shape[0], classes, dtype=dtype).softmax(dim=1)
        self._inverse = torch.linalg.pinv(self.images.flatten(1).double())
        self._of_targets = torch.linalg.pinv(self.targets.double())

    def call(self, mixup: Callable, alpha: float, generator: torch.Generator) -> tuple[Any, Any]:
        value = mixup(self.images.clone(), self.targets.clone(), alpha, generator)
        return _pair(value, self.images, self.targets)

    def shares(self, mixed: Tensor) -> Tensor:
        """(N, N): how much of image j is in row i of what came back."""
        flat, found = self.images.flatten(1).double(), mixed.flatten(1).double()
        shares = found @ self._inverse
        # 1e-4 of values around 1: far above float32's rounding, far below any share worth the name
        if not torch.isfinite(found).all() or not _near(shares @ flat, found, 1e-4):
            raise Wrong(
                NOT_A_MIXTURE,
                seen="pixels that no mixture of whole images of the batch has",
                expected="lambda * images + (1 - lambda) * images[permutation]",
            )
        return shares

    def shares_of_targets(self, mixed: Tensor) -> Tensor:
        """(N, N): how much of target j is in row i; for at least as many classes as images."""
        return mixed.double() @ self._of_targets


def _off_diagonal(shares: Tensor) -> Tensor:
    return shares - torch.diag(shares.diagonal())


def _is_identity(shares: Tensor) -> bool:
    return _near(shares, torch.eye(len(shares), dtype=shares.dtype), 1e-4)


def _check_shares(shares: Tensor) -> None:
    """Raises Wrong unless the matrix is lambda I + (1 - lambda) P for a permutation P."""
    n = len(shares)
    if not _near(shares.sum(dim=1), torch.ones(n, dtype=shares.dtype), 1e-3):
        row = int((shares.sum(dim=1) - 1).abs().argmax())
        seen = gettext("the shares of image {row} add up to {total:.3g}").format(
            row=row, total=shares[row].sum().item()
        )
        raise Wrong(WEIGHTS_NOT_ONE, seen=seen, expected="1")
    others = _off_diagonal(shares)
    partners = others.abs() > 1e-3
    if (partners.sum(dim=1) > 1).any():
        row = int(partners.sum(dim=1).argmax())
        raise Wrong(
            NOT_A_MIXTURE,
            seen=gettext("image {row} holds parts of {count} other images").format(
                row=row, count=int(partners[row].sum())
            ),
            expected="of one other at most",
        )
    of_others = others[partners]
    if len(of_others) and (of_others.max() - of_others.min()) > 1e-3:
        raise Wrong(
            LAMBDA_PER_IMAGE,
            seen=gettext(
                "shares of the partner from {least:.3f} to {most:.3f} in one batch"
            ).format(least=of_others.min().item(), most=of_others.max().item()),
            expected="one share",
        )
    columns = partners.sum(dim=0)
    lonely = (columns == 0) & (partners.sum(dim=1) > 0)  # mixed itself, and partner of nobody
    if (columns > 1).any() or (len(of_others) and lonely.any()):
        raise Wrong(
            NOT_A_PERMUTATION,
            seen=gettext("the images were partners of {partners} others").format(
                partners=columns.tolist()
            ),
            expected="each of one, its own at times",
        )


@check_mixup.part(1, "gives lambda * images + (1 - lambda) * images[permutation]")
def _(mixup: Callable, cases: Sequence[tuple[int, int]]) -> None:
    still = []
    for seed, shape in enumerate(
        ((5, 2, 3, 4), (4, 1, 6, 3), (7, 3, 4, 2), (3, 3, 5, 5), (1, 2, 3, 3))
    ):
        for alpha in (4.0, 1.0):
            batch = _Batch(shape, 9, torch.float32 if seed == 3 else torch.float64)
            shares = batch.shares(batch.call(mixup, alpha, _seeded(10 + seed))[0])
            _check_shares(shares)
            if shape[0] > 3:
                # a permutation of the images alone is no mixture either
                still.append(_near(shares.max(dim=1).values, torch.ones(shape[0]), 1e-4))
    if all(still):
        raise Wrong(IMAGES_NOT_MIXED, seen="whole images", expected="mixtures")


def _check_targets(batch: _Batch, images: Tensor, targets: Tensor) -> None:
    shares = batch.shares(images)
    if _near(shares @ batch.targets.double(), targets, 1e-4):
        return
    n = len(shares)
    eye = torch.eye(n, dtype=shares.dtype)
    found = batch.shares_of_targets(targets)
    others = _off_diagonal(shares)
    partner = torch.where(
        others.abs().amax(dim=1) > 1e-3, others.abs().argmax(dim=1), torch.arange(n)
    )
    to_partner, own = eye[partner], eye
    own_share = (1 - others.abs().amax(dim=1)).median()
    swapped = (1 - own_share) * own + own_share * to_partner
    row = int((shares @ batch.targets.double() - targets).abs().amax(dim=1).argmax())
    seen = gettext("image {row} is {own:.2f} itself, and its target {target:.2f} its own").format(
        row=row, own=shares[row, row].item(), target=found[row, row].item()
    )
    expected = "the same shares"
    hard = ((found - own).abs().amax(dim=1) < 1e-3) | (
        (found - to_partner).abs().amax(dim=1) < 1e-3
    )
    if hard.all():
        raise Wrong(LABELS_NOT_MIXED, seen=seen, expected=expected)
    if _near(found, swapped, 1e-3):
        raise Wrong(LABELS_SWAPPED, seen=seen, expected=expected)
    if _near(found.sum(dim=1), torch.ones(n), 1e-3) and _near(
        found @ batch.targets.double(), targets, 1e-4
    ):
        raise Wrong(LABELS_OTHER_PARTNER, seen=seen, expected=expected)
    raise Wrong(LABELS_WRONG, seen=seen, expected=expected)


@check_mixup.part(2, "mixes the targets as it mixes the images")
def _(mixup: Callable, cases: Sequence[tuple[int, int]]) -> None:
    moved = False
    for seed in range(6):
        for alpha in (5.0, 0.7):
            batch = _Batch((5, 2, 3, 4), 8)
            images, targets = batch.call(mixup, alpha, _seeded(seed))
            if not images.any():  # no image, and no target to be in step with it
                _check_shares(batch.shares(images))
            _check_targets(batch, images, targets)
            moved = moved or not _is_identity(batch.shares(images))
    if not moved:
        raise Wrong(IMAGES_NOT_MIXED, seen="images and targets as they were", expected="mixtures")
    batch = _Batch((6, 1, 4, 4), 3)  # fewer classes than images, one-hot as a label is
    batch.targets = F.one_hot(torch.tensor([0, 1, 2, 1, 0, 2])).double()
    images, targets = batch.call(mixup, 3.0, _seeded(3))
    if not _near(batch.shares(images) @ batch.targets, targets, 1e-4):
        raise Wrong(
            LABELS_WRONG, seen="one-hot targets are mixed otherwise", expected="the same shares"
        )


def _distance_from_beta(lambdas: Sequence[float], alpha: float) -> float:
    """The largest distance between the draws' distribution function and Beta's (Kolmogorov and Smirnov)."""
    from scipy.stats import kstest

    return float(kstest(lambdas, "beta", args=(alpha, alpha)).statistic)


def _fair(alpha: float) -> np.ndarray:
    """A thousand numbers spread as Beta(alpha, alpha) is: its own quantiles."""
    from scipy.stats import beta

    return beta.ppf((np.arange(1000) + 0.5) / 1000, alpha, alpha)


def _nearness_to_the_ends(lambdas: Sequence[float], alpha: float) -> float:
    """How far the mean of log(lambda (1 - lambda)) is from Beta's, in its standard errors.

    Of all that can be computed from the draws this tells one alpha from another best. It is cut off where lambda is
    1e-4 from an end, so that a lambda that was rounded to 0 or 1 has one too.
    """

    def logs(values: np.ndarray) -> np.ndarray:
        cut = values.clip(1e-4, 1 - 1e-4)
        return np.log(cut * (1 - cut))

    fair = logs(_fair(alpha))
    error = fair.std() / math.sqrt(len(lambdas))
    return float((logs(np.array(lambdas)).mean() - fair.mean()) / error)


def _spread(lambdas: Sequence[float] | np.ndarray) -> str:
    """Where the lambdas lie, in words."""
    found = np.asarray(lambdas)
    near = np.minimum(found, 1 - found) < 0.01
    low, middle, high = (float(np.quantile(found, q)) for q in (0.1, 0.5, 0.9))
    return gettext(
        "{near:.0%} of the lambdas nearer than 0.01 to 0 or 1, a tenth of them below "
        "{low:.2f}, half below {middle:.2f}, a tenth above {high:.2f}"
    ).format(near=near.mean(), low=low, middle=middle, high=high)


@check_mixup.part(1, "draws lambda from Beta(alpha, alpha), and any partner for any image")
def _(mixup: Callable, cases: Sequence[tuple[int, int]]) -> None:
    n = 6
    met = torch.eye(n)
    # Near 0 and 1 a draw tells most about alpha: 210 of them hold Beta(0.2, 0.2) and Beta(0.4, 0.4) 7 standard errors
    # apart. The other alpha is there for those who have a small one in mind.
    for alpha, draws in ((25.0, 60), (0.2, 210)):
        batch, generator = _Batch((n, 1, 3, 4), n), _seeded(5)
        lambdas, unmixed = [], 0
        for _ in range(draws):
            shares = batch.shares(batch.call(mixup, alpha, generator)[0])
            _check_shares(shares)
            others = _off_diagonal(shares)
            met[others.abs() > 1e-3] = 1
            unmixed += not (others.abs() > 1e-3).any()
            # Where nothing shows of a partner lambda is 1, or each image is its own partner: once in 720 times.
            lambdas.append(min(1.0, max(0.0, 1 - others.max().item())))
        if min(lambdas) > 1 - 1e-6:
            raise Wrong(
                IMAGES_NOT_MIXED,
                seen=gettext("whole images, {draws} times in a row").format(draws=draws),
            )
        below = [one for one in lambdas if one < 1 - 1e-6]
        # Fair draws are that far away less than once in ten million times (Dvoretzky, Kiefer, Wolfowitz), and 5 standard
        # errors less than once in a million; 0.02 for what is said above.
        farthest = math.sqrt(math.log(2 / 1e-7) / (2 * draws)) + 0.02
        # Lambda itself is never near 1 for a large alpha, and a fair order does this 4 times in 60 twice in a million.
        if alpha > 1 and unmixed > 3 and _distance_from_beta(below, alpha) <= farthest:
            raise Wrong(
                OWN_PARTNERS,
                seen=gettext("{count} of {draws} batches of {n} came back unmixed").format(
                    count=unmixed, draws=draws, n=n
                ),
            )
        if max(below) - min(below) < 1e-6:
            raise Wrong(
                ALWAYS_THE_SAME,
                seen=gettext("lambda is {share:.3f}, {draws} times in a row").format(
                    share=below[0], draws=draws
                ),
            )
        off = _nearness_to_the_ends(lambdas, alpha) if alpha < 1 else 0.0
        if abs(off) > 5 or _distance_from_beta(lambdas, alpha) > farthest:
            raise Wrong(
                WRONG_LAMBDA,
                seen=gettext("alpha = {alpha:g}: {spread}").format(
                    alpha=alpha, spread=_spread(lambdas)
                ),
                expected=gettext("as for `scipy.stats.beta(alpha, alpha)`: {spread}").format(
                    spread=_spread(_fair(alpha))
                ),
            )
    if not met.all():
        i, j = (met == 0).nonzero()[0].tolist()
        raise Wrong(
            FIXED_PARTNERS,
            seen=gettext("in 270 batches image {i} never met image {j}").format(i=i, j=j),
        )


@check_mixup.part(1, "draws from the generator alone, and leaves what came in as it was")
def _(mixup: Callable, cases: Sequence[tuple[int, int]]) -> None:
    batch = _Batch((6, 2, 3, 3), 4)
    images, targets = batch.images.clone(), batch.targets.clone()
    given = images.clone(), targets.clone()
    before = _global_state()
    first = _pair(mixup(*given, 2.0, _seeded(1)), images, targets)
    if _global_state() != before:
        raise Wrong(GENERATOR_IGNORED, seen="a global generator has moved", expected="untouched")
    _unchanged(images=(given[0], images), targets=(given[1], targets))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(77)
        again = batch.call(mixup, 2.0, _seeded(1))
    for one, other in zip(first, again, strict=True):
        if not torch.equal(one, other):
            raise Wrong(
                GENERATOR_IGNORED, seen="the same seed twice gave two mixtures", expected="one"
            )
    generator = _seeded(1)
    runs = [batch.call(mixup, 2.0, generator)[0] for _ in range(3)]
    runs += [batch.call(mixup, 2.0, _seeded(seed))[0] for seed in (2, 3)]
    for place, one in enumerate(runs):
        if any(_near(one, other, 1e-6) for other in runs[:place]):
            raise Wrong(ALWAYS_THE_SAME, seen="two calls, or two seeds, and the same mixture")
    for n, classes in cases:
        batch = _Batch((n, 3, 4, 5), max(n, classes))
        for alpha in (0.4, 6.0):
            images, targets = batch.call(mixup, alpha, _seeded(n))
            _check_shares(batch.shares(images))
            _check_targets(batch, images, targets)


# --------------------------------------------------------------------------------------------------------
# flip_with_boxes
# --------------------------------------------------------------------------------------------------------

IMAGE_NOT_FLIPPED = Misconception(
    "image-not-flipped",
    "The image was not mirrored left and right.",
    "which dimension is turned round: an image has the shape (C, H, W)",
)
UPSIDE_DOWN = Misconception(
    "upside-down",
    "The picture is upside down: top and bottom changed places, not left and right.",
    "which of the three dimensions of the image is turned round, and which columns of the boxes change",
)
BOXES_NOT_FLIPPED = Misconception(
    "boxes-not-flipped",
    "The image was mirrored and its boxes were not. They now frame whatever stands on the other side, and the detector "
    "learns to look there.",
    "what you return for the boxes",
)
CORNERS_CROSSED = Misconception(
    "corners-crossed",
    "The left edge of a box is now to the right of its right edge. Mirrored, the left edge becomes the right one.",
    "which old edge each new one comes from",
)
OFF_BY_ONE = Misconception(
    "width-off-by-one",
    "The boxes are off by one. Continuous coordinates run from 0 to W; `W - 1 - x` is for the numbers of pixels.",
    "the width that the edges are subtracted from",
)
HEIGHT_FOR_WIDTH = Misconception(
    "height-for-width",
    "The edges were mirrored at the image's height instead of its width.",
    "which entry of `image.shape` is the width",
)
BOXES_REORDERED = Misconception(
    "boxes-reordered",
    "The boxes are right and in another order. The label of each box is found by its place.",
    "whether the first or the second dimension of `boxes` is turned round",
)
XYWH_FLIPPED = Misconception(
    "xywh-for-xyxy",
    "The third and fourth numbers of a box were taken for its width and height. They are its right and lower edge.",
    "what the four columns mean: x1, y1, x2, y2",
)
WRONG_FLIP = Misconception(
    "wrong-boxes",
    "A box is not where the thing in it is after mirroring.",
    "one box by hand: how far is its right edge from the right edge of the image?",
)
EMPTY_BOXES = Misconception(
    "empty-boxes",
    "A picture without a single box came to grief. Such pictures are many: an empty street is one.",
    "what your lines do with a tensor of shape (0, 4)",
)

check_flip_with_boxes = Check(
    "flip_with_boxes",
    hints=(
        "What was x1 from the left border is x1 from the right border afterwards. And which of a box's two edges is "
        "on the left then?",
        "`image.flip(-1)` mirrors the image, and W is `image.shape[-1]`. The new left edge is W minus the old right one.",
        "`x1, y1, x2, y2 = boxes.unbind(dim=1)` takes the columns apart, `torch.stack([...], dim=1)` puts four columns "
        "together, for no boxes too.",
    ),
)

Pictured = tuple[tuple[int, int, int], int]


def _boxes_within(
    count: int, height: float, width: float, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Random boxes (count, 4) x1, y1, x2, y2 with fractions, at least a twentieth of the picture wide and high."""
    size = torch.tensor([width, height], dtype=dtype)
    sides = (0.05 + 0.45 * torch.rand(count, 2, dtype=dtype)) * size
    first = torch.rand(count, 2, dtype=dtype) * (size - sides)
    return torch.cat([first, first + sides], dim=1)


def _mirrored(boxes: Tensor, width: Tensor | float) -> Tensor:
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], dim=1)


def _flip(function: Callable, image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    given = image.clone(), boxes.clone()
    try:
        value = function(*given)
    except (RuntimeError, IndexError, ValueError) as error:
        if len(boxes) == 0 and not _is_a_stub(error):
            raise Wrong(
                EMPTY_BOXES, seen=f"{type(error).__name__}: {error}", expected="boxes (0, 4)"
            ) from error
        raise
    if len(boxes) == 0 and isinstance(value, tuple | list) and len(value) == 2:
        empty = value[1]
        if not isinstance(empty, Tensor) or empty.shape != (0, 4):
            seen = tuple(empty.shape) if isinstance(empty, Tensor) else _short(empty)
            raise Wrong(
                EMPTY_BOXES,
                seen=gettext("boxes of shape {seen}").format(seen=seen),
                expected="(0, 4)",
            )
    return _pair(value, image, boxes)


def _check_image(now: Tensor, image: Tensor) -> None:
    if torch.equal(now.double(), image.double().flip(-1)):
        return
    upside_down = any(
        torch.equal(now.double(), image.double().flip(dims)) for dims in ((1,), (1, 2))
    )
    raise Wrong(
        UPSIDE_DOWN if upside_down else IMAGE_NOT_FLIPPED,
        seen=gettext("an image of shape {shape} is not its mirror image").format(
            shape=tuple(image.shape)
        ),
        expected="column i of what came in is column W - 1 - i",
    )


def _check_boxes(now: Tensor, boxes: Tensor, image: Tensor) -> None:
    height, width = (
        torch.full((len(boxes),), float(side), dtype=torch.float64) for side in image.shape[1:]
    )
    expected = _mirrored(boxes.double(), width)
    # 1e-3 of a pixel: float32 rounds coordinates of a few hundred to less, and the nearest mistake is a whole pixel
    if _near(now, expected, 1e-3):
        return
    x1, y1, x2, y2 = boxes.double().unbind(dim=1)
    w, h = x2 - x1, y2 - y1
    known = (
        (BOXES_NOT_FLIPPED, boxes),
        (CORNERS_CROSSED, torch.stack([width - x1, y1, width - x2, y2], 1)),
        (OFF_BY_ONE, _mirrored(boxes.double(), width - 1)),
        (OFF_BY_ONE, _mirrored(boxes.double(), width + 1)),
        (OFF_BY_ONE, torch.stack([width - x2 - 1, y1, width - x1, y2], 1)),
        (OFF_BY_ONE, torch.stack([width - x2, y1, width - x1 - 1, y2], 1)),
        (CORNERS_CROSSED, torch.stack([width - 1 - x1, y1, width - 1 - x2, y2], 1)),
        (HEIGHT_FOR_WIDTH, _mirrored(boxes.double(), height)),
        (UPSIDE_DOWN, torch.stack([x1, height - y2, x2, height - y1], 1)),
        (UPSIDE_DOWN, torch.stack([width - x2, height - y2, width - x1, height - y1], 1)),
        (XYWH_FLIPPED, torch.stack([width - x1 - x2, y1, x2, y2], 1)),
        (XYWH_FLIPPED, torch.stack([width - x2, y1, w, h], 1)),
        (XYWH_FLIPPED, torch.stack([width - w, y1, width, y2], 1)),
    )
    seen = gettext("{box} in a picture {width} wide became {now}").format(
        box=_row(boxes[0]), width=image.shape[2], now=_row(now[0])
    )
    for idea, other in known:
        if _near(now, other, 1e-3):
            raise Wrong(idea, seen=seen, expected=_row(expected[0]))
    order = (now.double()[:, None] - expected).abs().amax(dim=2).argmin(dim=1)
    if len(order.unique()) == len(boxes) and _near(now, expected[order], 1e-3):
        raise Wrong(
            BOXES_REORDERED,
            seen=gettext("the boxes came in the order {order}").format(order=order.tolist()),
        )
    if _near(now, expected.round(), 1e-3) or _near(now, expected.floor(), 1e-3):
        raise Wrong(
            WRONG_FLIP,
            seen=gettext("{seen}, rounded").format(seen=seen),
            expected=_row(expected[0]),
        )
    if (now[:, 0] > now[:, 2]).any():
        raise Wrong(CORNERS_CROSSED, seen=seen, expected=_row(expected[0]))
    raise Wrong(WRONG_FLIP, seen=seen, expected=_row(expected[0]))


def _row(box: Tensor) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in box.tolist()) + ")"


def _picture(
    shape: tuple[int, int, int], boxes: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    return torch.randn(shape, dtype=dtype), _boxes_within(boxes, shape[1], shape[2], dtype)


@check_flip_with_boxes.part(1, "mirrors the image left and right")
def _(flip_with_boxes: Callable, cases: Sequence[Pictured]) -> None:
    for shape, boxes in (((3, 7, 10), 2), ((1, 9, 4), 3), ((2, 5, 5), 1)):
        image, framed = _picture(shape, boxes)
        _check_image(_flip(flip_with_boxes, image, framed)[0], image)
    image = torch.randint(256, (3, 6, 8), dtype=torch.uint8)  # as it comes from a file
    _check_image(_flip(flip_with_boxes, image, _boxes_within(2, 6, 8))[0], image)


@check_flip_with_boxes.part(2, "moves the boxes with what is in them")
def _(flip_with_boxes: Callable, cases: Sequence[Pictured]) -> None:
    for shape, boxes, dtype in (
        ((3, 40, 64), 5, torch.float32),
        ((1, 90, 33), 1, torch.float64),
        ((3, 21, 57), 4, torch.float32),
        ((1, 300, 480), 3, torch.float64),
    ):
        image, framed = _picture(shape, boxes, dtype)
        now = _flip(flip_with_boxes, image, framed)[1]
        _check_boxes(now, framed, image)
    image = torch.randn(3, 12, 20)
    whole = torch.tensor([[0.0, 0.0, 20.0, 12.0], [0.0, 2.0, 0.5, 12.0], [7.25, 3.0, 7.25, 9.0]])
    now = _flip(flip_with_boxes, image, whole)[1]
    _check_boxes(now, whole, image)


@check_flip_with_boxes.part(1, "copes with no boxes, and leaves what came in as it was")
def _(flip_with_boxes: Callable, cases: Sequence[Pictured]) -> None:
    image = torch.randn(3, 6, 9)
    none = torch.zeros(0, 4)
    _check_image(_flip(flip_with_boxes, image, none)[0], image)
    image, framed = _picture((2, 11, 16), 3)
    given, boxes = image.clone(), framed.clone()
    now = _pair(flip_with_boxes(given, boxes), image, framed)
    _unchanged(image=(given, image), boxes=(boxes, framed))
    back = _flip(flip_with_boxes, *now)
    if not torch.equal(back[0].double(), image.double()):
        raise Wrong(IMAGE_NOT_FLIPPED, seen="mirrored twice, the image is not itself again")
    _check_boxes(now[1], framed, image)
    for shape, boxes in cases:
        image, framed = _picture(shape, boxes)
        now = _flip(flip_with_boxes, image, framed)
        _check_image(now[0], image)
        if boxes:
            _check_boxes(now[1], framed, image)


# --------------------------------------------------------------------------------------------------------
# box_iou
# --------------------------------------------------------------------------------------------------------

TRANSPOSED = Misconception(
    "transposed",
    "Rows and columns changed places: row i belongs to box i of `a`, column j to box j of `b`.",
    "which of the two gets the new dimension, and where",
)
NOT_EVERY_PAIR = Misconception(
    "not-every-pair",
    "Not every pair was looked at. Each of the N boxes of `a` meets each of the M boxes of `b`.",
    "the shapes before the minimum and the maximum: (N, 1, ...) and (1, M, ...) give (N, M, ...)",
)
XYWH = Misconception(
    "xywh-for-xyxy",
    "xyxy was taken for xywh: the third and fourth numbers of a box are its right and lower edge, not its width and "
    "height.",
    "how you get a width from the four numbers",
)
PLUS_ONE = Misconception(
    "width-off-by-one",
    "Widths are off by one. A box from 2 to 5 is 3 wide in continuous coordinates; the `+ 1` is for numbers of pixels, "
    "both ends counted.",
    "what is added to a difference of two edges",
)
NEGATIVE_OVERLAP = Misconception(
    "negative-overlap",
    "Boxes that do not touch have an overlap. The difference of the edges is negative there, and the product of two "
    "negative sides is an area.",
    "the width and the height of the overlap, each by itself, before they are multiplied",
)
NOT_THE_UNION = Misconception(
    "not-the-union",
    "The overlap was not divided by the union. The sum of the two areas counts the overlap twice.",
    "the denominator, and what is counted in it how often",
)
SMALLER_AREA = Misconception(
    "not-over-the-union",
    "The overlap was divided by the area of one of the two boxes, so a small box inside a large one looks like a "
    "perfect hit.",
    "the denominator",
)
AREA_NOT_SHARE = Misconception(
    "area-not-share",
    "This is an area and not a share: it grows when the picture is enlarged.",
    "the last division",
)
ANOTHER_MEASURE = Misconception(
    "another-measure",
    "This is another measure of two boxes, which knows distances too: it is negative for boxes that lie apart.",
    "which function you call",
)
WRONG_IOU = Misconception(
    "wrong-iou",
    "A pair's overlap over its union is another number.",
    "one pair by hand: the overlap begins at the larger of the two left edges, and ends at the smaller of the right ones",
)
NOT_FINITE = Misconception(
    "not-finite",
    "A number is not finite: something was divided by zero.",
    "the denominator for boxes that do not touch",
)

check_box_iou = Check(
    "box_iou",
    hints=(
        "The overlap of two boxes is a box itself, or nothing. Its left edge is the larger of the two left edges, its "
        "right edge the smaller of the two right ones.",
        "`a[:, None, :2]` has shape (N, 1, 2) and `b[None, :, :2]` (1, M, 2); `torch.maximum` of them has (N, M, 2). "
        "`.clamp(min=0)` makes nothing of a negative width.",
        "With `sides = (right - left).clamp(min=0)` the overlap is `sides[..., 0] * sides[..., 1]`, and the union is "
        "area of a, as a column, plus area of b, as a row, minus the overlap.",
    ),
)


def _iou_of(
    a: Tensor, b: Tensor, *, plus: float = 0.0, clamp: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Overlap (N, M), areas of a (N, 1), areas of b (1, M); plus is added to each width and height."""
    sides = (
        torch.minimum(a[:, None, 2:], b[None, :, 2:])
        - torch.maximum(a[:, None, :2], b[None, :, :2])
        + plus
    )
    sides = sides.clamp(min=0) if clamp else sides
    area = [(one[:, 2:] - one[:, :2] + plus).prod(dim=1) for one in (a, b)]
    return sides.prod(dim=2), area[0][:, None], area[1][None, :]


def _wrong_ious(a: Tensor, b: Tensor) -> list[tuple[Misconception, Tensor]]:
    from torchvision import ops

    a, b = a.double(), b.double()
    inter, of_a, of_b = _iou_of(a, b)
    crossed, *_ = _iou_of(a, b, clamp=False)
    one, one_a, one_b = _iou_of(a, b, plus=1.0)
    corners = [torch.cat([box[:, :2], box[:, :2] + box[:, 2:]], dim=1) for box in (a, b)]
    wide, wide_a, wide_b = _iou_of(*corners)
    product_a, product_b = a[:, 2:].prod(dim=1)[:, None], b[:, 2:].prod(dim=1)[None]
    return [
        (XYWH, wide / (wide_a + wide_b - wide)),
        (XYWH, inter / (product_a + product_b - inter)),
        (PLUS_ONE, one / (one_a + one_b - one)),
        (PLUS_ONE, one / (of_a + of_b - one)),
        (PLUS_ONE, inter / (one_a + one_b - inter)),
        (NEGATIVE_OVERLAP, crossed / (of_a + of_b - crossed)),
        (NOT_THE_UNION, inter / (of_a + of_b)),
        (NOT_THE_UNION, 2 * inter / (of_a + of_b)),
        (SMALLER_AREA, inter / torch.minimum(of_a, of_b)),
        (SMALLER_AREA, inter / torch.maximum(of_a, of_b)),
        (SMALLER_AREA, inter / of_a.expand_as(inter)),
        (SMALLER_AREA, inter / of_b.expand_as(inter)),
        (AREA_NOT_SHARE, inter),
        (ANOTHER_MEASURE, ops.generalized_box_iou(a, b)),
        (ANOTHER_MEASURE, ops.distance_box_iou(a, b)),
        (ANOTHER_MEASURE, ops.complete_box_iou(a, b)),
    ]


def _ask_iou(box_iou: Callable, a: Tensor, b: Tensor) -> Tensor:
    shape = (len(a), len(b))
    try:
        value = box_iou(a.clone(), b.clone())
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        if 0 in shape and not _is_a_stub(error):
            raise Wrong(
                EMPTY_BOXES,
                seen=f"{type(error).__name__}: {error}",
                expected=gettext("a tensor of shape {shape}").format(shape=shape),
            ) from error
        if (
            shape[0] != shape[1]
            and isinstance(error, RuntimeError)
            and "size of tensor" in str(error)
        ):
            raise Wrong(
                NOT_EVERY_PAIR,
                seen=f"{type(error).__name__}: {error}",
                expected=gettext("shape {shape}").format(shape=shape),
            ) from error
        raise
    if not isinstance(value, Tensor):
        raise Wrong(
            EMPTY_BOXES if 0 in shape else NOT_A_TENSOR, seen=_short(value), expected="a tensor"
        )
    if value.shape != shape:
        idea = WRONG_SHAPE
        if 0 in shape:
            idea = EMPTY_BOXES
        elif value.shape == shape[::-1]:
            idea = TRANSPOSED
        elif value.dim() < 2:
            idea = NOT_EVERY_PAIR
        raise Wrong(
            idea,
            seen=gettext("shape {shape}").format(shape=tuple(value.shape)),
            expected=f"{shape}",
        )
    return value.detach().double()


# Overlaps over unions lie in [0, 1]. Float32 rounds edges of a few hundred pixels to 3e-5, hence areas to about 1e-6 of
# themselves; the boxes here are large enough that a small number against division by zero stays below this, too.
_IOU_WITHIN = 1e-4


def _check_ious(box_iou: Callable, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Asks for all pairs first, so that a mistake is named only if it explains each answer."""
    from torchvision import ops

    asked = [(a, b, _ask_iou(box_iou, a, b)) for a, b in pairs]
    wrong = None
    for a, b, seen in asked:
        expected = ops.box_iou(a.double(), b.double())
        if not _near(seen, expected, _IOU_WITHIN):
            wrong = wrong or (a, b, seen, expected)
    if wrong is None:
        return
    a, b, seen, expected = wrong
    i, j = divmod(int((seen - expected).abs().nan_to_num(torch.inf).argmax()), len(b))
    shown = gettext("{a} and {b}: {seen:.4f}").format(
        a=_row(a[i]), b=_row(b[j]), seen=seen[i, j].item()
    )
    wanted = f"{expected[i, j].item():.4f}"
    if not torch.isfinite(seen).all():
        raise Wrong(NOT_FINITE, seen=shown, expected=wanted)
    every = [(seen, _wrong_ious(a, b)) for a, b, seen in asked]
    for place, (idea, _) in enumerate(every[0][1]):
        if all(
            torch.allclose(answer, known[place][1], rtol=1e-4, atol=_IOU_WITHIN)
            for answer, known in every
        ):
            raise Wrong(idea, seen=shown, expected=wanted)
    if all(
        _near(answer.T, ops.box_iou(a.double(), b.double()), _IOU_WITHIN)
        for a, b, answer in asked
        if len(a) == len(b)
    ) and any(len(a) == len(b) for a, b, _ in asked):
        raise Wrong(TRANSPOSED, seen=shown, expected=wanted)
    apart = expected[i, j] == 0 and seen[i, j] != 0
    raise Wrong(NEGATIVE_OVERLAP if apart else WRONG_IOU, seen=shown, expected=wanted)


@check_box_iou.part(2, "is the overlap over the union, for every pair")
def _(box_iou: Callable, cases: Sequence[tuple[int, int]]) -> None:
    from torchvision import ops

    pairs = []
    for n, m, dtype in (
        (3, 5, torch.float32),
        (6, 2, torch.float64),
        (1, 4, torch.float64),
        (4, 4, torch.float32),
    ):
        a, b = (_boxes_near(count, dtype) for count in (n, m))
        pairs.append((a, b))
    for a, b in pairs:
        assert (ops.box_iou(a, b) > 0).all()
    _check_ious(box_iou, pairs)


def _boxes_near(count: int, dtype: torch.dtype) -> Tensor:
    """Boxes that all overlap each other: each reaches from the left of (50, 40) to the right of it, 20 to 60 wide."""
    centre = torch.tensor([50.0, 40.0], dtype=dtype)
    before, after = (10 + 20 * torch.rand(count, 2, dtype=dtype) for _ in range(2))
    return torch.cat([centre - before, centre + after], dim=1)


@check_box_iou.part(1, "is 0 for boxes that lie apart, and right for those inside and on edge")
def _(box_iou: Callable, cases: Sequence[tuple[int, int]]) -> None:
    a = torch.tensor([[10.0, 10, 20, 20], [0, 0, 4, 8], [100, 50, 130, 90]])
    b = torch.tensor(
        [
            [30.0, 32, 40, 45],  # right of and below the first: both sides of the overlap negative
            [20, 10, 30, 20],  # beside it, edge to edge
            [12, 13, 17, 18],  # inside it
            [10, 10, 20, 20],  # the same
            [12, 60, 18, 70],  # below it, one side negative
        ]
    )
    _check_ious(box_iou, [(a, b), (b, a), (a.double(), a.double())])
    share = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.25, 0.1, 0.75, 0.9]], dtype=torch.float64)
    other = torch.tensor(
        [[0.5, 0.5, 1.0, 1.0], [0.2, 0.0, 0.4, 0.3], [0.0, 0.0, 1.0, 1.0]], dtype=torch.float64
    )
    _check_ious(box_iou, [(share, other)])


@check_box_iou.part(1, "copes with no boxes, and leaves what came in as it was")
def _(box_iou: Callable, cases: Sequence[tuple[int, int]]) -> None:
    some = _boxes_within(3, 50, 80)
    none = torch.zeros(0, 4, dtype=torch.float64)
    for a, b in ((none, some), (some, none), (none, none)):
        _ask_iou(box_iou, a, b)
    a, b = _boxes_near(2, torch.float32), _boxes_near(4, torch.float32)
    given = a.clone(), b.clone()
    box_iou(*given)
    _unchanged(a=(given[0], a), b=(given[1], b))
    _check_ious(box_iou, [(a, b)])
    for n, m in cases:
        _check_ious(box_iou, [(_boxes_within(n, 200, 300), _boxes_within(m, 200, 300))])


# --------------------------------------------------------------------------------------------------------
# nms
# --------------------------------------------------------------------------------------------------------

NOT_INDICES = Misconception(
    "not-indices",
    "What came back is not a 1-dimensional int64 tensor of places in `boxes`.",
    "the `return` line: places, not boxes, scores or a mask of True and False",
)
EMPTY_NMS = Misconception(
    "empty-boxes",
    "A picture in which nothing was found came to grief. The answer is an empty int64 tensor; "
    "`torch.tensor([])` without a dtype is one of float32, which is no index.",
    "what your lines do when there is no box at all",
)
INTO_SORTED = Misconception(
    "places-in-the-sorted",
    "These are places in the list sorted by score, and not in `boxes`.",
    "which numbers you collect, after you have sorted",
)
NOT_BY_SCORE = Misconception(
    "not-by-score",
    "The right boxes are kept, and come in another order than by falling score.",
    "the order in which you collect them, or what you sort at the end",
)
WORST_FIRST = Misconception(
    "worst-first",
    "The scores were gone through from the lowest to the highest: the best box of a heap was dropped for the worst.",
    "the direction of your sort",
)
SCORES_UNUSED = Misconception(
    "scores-unused",
    "The boxes were gone through as they stand in the list, whatever their scores say.",
    "where the scores decide which box comes next",
)
DROPPED_DROPS = Misconception(
    "dropped-drops",
    "A box was suppressed by one that had been dropped already. What is dropped is gone: it suppresses nobody.",
    "which boxes each box is compared with: those that were kept",
)
AT_THRESHOLD = Misconception(
    "at-the-threshold",
    "A box whose IoU is exactly the threshold was dropped. Dropped is what is greater.",
    "the comparison with the threshold",
)
WRONG_SIDE = Misconception(
    "wrong-side",
    "The boxes that overlap little were dropped, and those that overlap much were kept.",
    "the direction of the comparison with the threshold",
)
THRESHOLD_ON_SCORES = Misconception(
    "threshold-on-scores",
    "The threshold was held against the scores. It is one of IoU: how much two boxes may overlap.",
    "what is compared with the threshold",
)
ONE_ROUND = Misconception(
    "one-round",
    "Only the best box of all suppressed others. The best of those that remain suppresses too, until none remains.",
    "whether there is a loop, and what it goes on with",
)
NEIGHBOURS_ONLY = Misconception(
    "neighbours-only",
    "Each box was compared with one other, such as the one kept last. Every kept box suppresses.",
    "which boxes a box is compared with",
)
NOTHING_DROPPED = Misconception(
    "nothing-dropped",
    "Nothing was dropped.",
    "whether a dropped box is left out of what you go on with",
)
XYWH_NMS = Misconception(
    "xywh-for-xyxy",
    "The IoU behind this takes xyxy for xywh: the third and fourth numbers are the right and lower edge.",
    "the box_iou that your function calls",
)
PLUS_ONE_NMS = Misconception(
    "width-off-by-one",
    "The IoU behind this has widths that are off by one: the `+ 1` is for numbers of pixels, not for continuous "
    "coordinates.",
    "the box_iou that your function calls",
)
NEGATIVE_SCORES = Misconception(
    "negative-scores",
    "A box with a negative score went lost, or came back from among the dropped. Scores may be logits: any number. "
    "Zero or -1 is no mark for what is gone.",
    "how you mark a box as dropped",
)
WRONG_NMS = Misconception(
    "wrong-boxes-kept",
    "Other boxes were kept than greedy suppression keeps.",
    "three boxes by hand: take the best, drop what overlaps it by more than the threshold, go on with what is left",
)

check_nms = Check(
    "nms",
    hints=(
        "Keep a list of the places that are still in the race, best first. The first of them is kept; who leaves the "
        "race because of it?",
        "`order = scores.argsort(descending=True)`. In a loop: the best is `order[0]`; compare it with "
        "`order[1:]`, and go on with those whose IoU is not greater than the threshold.",
        "`box_iou(boxes[best][None], boxes[order[1:]])[0]` gives the IoU of one box with the others. At the end "
        "`torch.tensor(kept, dtype=torch.int64)`, which is right for an empty list too.",
    ),
)

Race = tuple[Tensor, Tensor, float]


def _greedy(iou: Tensor, order: Sequence[int], threshold: float, *, at: bool = False) -> list[int]:
    """Greedy suppression over a matrix of IoUs (K, K), going through the places in this order."""
    kept: list[int] = []
    for place in order:
        overlaps = [iou[place, other].item() for other in kept]
        if not any(one >= threshold if at else one > threshold for one in overlaps):
            kept.append(place)
    return kept


def _wrong_races(
    boxes: Tensor, scores: Tensor, threshold: float
) -> list[tuple[Misconception, list[int]]]:
    """What known mistakes keep."""
    from torchvision import ops

    boxes = boxes.double()
    iou = ops.box_iou(boxes, boxes)
    order = scores.argsort(descending=True).tolist()
    right = _greedy(iou, order, threshold)
    rank = {place: number for number, place in enumerate(order)}
    worst = _greedy(iou, order[::-1], threshold)
    as_listed = _greedy(iou, range(len(order)), threshold)
    never_dropped = [
        p for n, p in enumerate(order) if not any(iou[p, q] > threshold for q in order[:n])
    ]
    wrong_side = [order[0]]
    for place in order[1:]:
        if all(iou[place, other] > threshold for other in wrong_side):
            wrong_side.append(place)
    rest = [p for p in order[1:] if iou[p, order[0]] <= threshold]
    last: list[int] = []
    for place in order:
        if not last or iou[place, last[-1]] <= threshold:
            last.append(place)
    beside = [p for n, p in enumerate(order) if n == 0 or iou[p, order[n - 1]] <= threshold]
    above = [p for p in order if scores[p] > threshold]
    positive = [p for p in right if scores[p] > 0]
    corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
    one, one_a, one_b = _iou_of(boxes, boxes, plus=1.0)
    return [
        (DROPPED_DROPS, never_dropped),
        (DROPPED_DROPS, sorted(never_dropped)),
        (AT_THRESHOLD, _greedy(iou, order, threshold, at=True)),
        (NOT_BY_SCORE, sorted(right)),
        (NOT_BY_SCORE, right[::-1]),
        (NOT_BY_SCORE, sorted(right, reverse=True)),
        (INTO_SORTED, [rank[place] for place in right]),
        (WORST_FIRST, worst),
        (WORST_FIRST, worst[::-1]),
        (WORST_FIRST, sorted(worst)),
        (SCORES_UNUSED, as_listed),
        (SCORES_UNUSED, sorted(as_listed, key=lambda place: rank[place])),
        (ONE_ROUND, [order[0], *rest]),
        (ONE_ROUND, [order[0]]),
        (NEIGHBOURS_ONLY, last),
        (NEIGHBOURS_ONLY, beside),
        (WRONG_SIDE, wrong_side),
        (THRESHOLD_ON_SCORES, above),
        (NEGATIVE_SCORES, positive),
        (NOTHING_DROPPED, order),
        (NOTHING_DROPPED, list(range(len(order)))),
        (XYWH_NMS, _greedy(ops.box_iou(corners, corners), order, threshold)),
        (PLUS_ONE_NMS, _greedy(one / (one_a + one_b - one), order, threshold)),
    ]


def _ask_nms(nms: Callable, boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    empty = len(boxes) == 0
    try:
        value = nms(boxes.clone(), scores.clone(), threshold)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        if empty and not _is_a_stub(error):
            raise Wrong(
                EMPTY_NMS, seen=f"{type(error).__name__}: {error}", expected="an empty int64 tensor"
            ) from error
        raise
    fits = isinstance(value, Tensor) and value.dim() == 1 and value.dtype == torch.int64
    if not fits or (len(value) and not ((value >= 0) & (value < len(boxes))).all()):
        seen = f"{_short(value)}"
        if isinstance(value, Tensor):
            seen = gettext("a tensor of shape {shape} and {dtype}").format(
                shape=tuple(value.shape), dtype=value.dtype
            )
        raise Wrong(
            EMPTY_NMS if empty else NOT_INDICES,
            seen=gettext("{seen} for {boxes} boxes").format(seen=seen, boxes=len(boxes)),
            expected="an int64 tensor of shape (kept,)",
        )
    return value.tolist()


def _check_races(nms: Callable, races: Sequence[Race]) -> None:
    """Asks for all of them first, so that a mistake is named only if it explains each answer."""
    from torchvision import ops

    asked = [(race, _ask_nms(nms, *race)) for race in races]
    wrong = None
    for (boxes, scores, threshold), kept in asked:
        expected = ops.nms(boxes.double(), scores.double(), threshold).tolist()
        if kept != expected and wrong is None:
            wrong = (boxes, scores, threshold), kept, expected
    if wrong is None:
        return
    (boxes, scores, threshold), kept, expected = wrong
    shown = gettext("{kept} of {boxes} boxes at threshold {threshold:g}").format(
        kept=kept, boxes=len(boxes), threshold=threshold
    )
    every = [(kept, _wrong_races(*race)) for race, kept in asked if len(race[0])]
    for place, (idea, _) in enumerate(every[0][1]):
        if all(answer == known[place][1] for answer, known in every):
            raise Wrong(idea, seen=shown, expected=f"{expected}")
    # a comparison at the threshold shows only where an IoU is exactly that
    lost = [p for p in expected if p not in kept and scores[p] < 0]
    back = [p for p in kept if p not in expected and scores[p] < 0]
    if len(set(kept)) != len(kept) or (
        (lost or back) and all(_agrees_without_sign(nms, race) for race, _ in asked)
    ):
        raise Wrong(NEGATIVE_SCORES, seen=shown, expected=f"{expected}")
    raise Wrong(WRONG_NMS, seen=shown, expected=f"{expected}")


def _agrees_without_sign(nms: Callable, race: Race) -> bool:
    """Whether the answer is right once the scores are made positive."""
    from torchvision import ops

    boxes, scores, threshold = race
    lifted = scores - scores.min() + 1 if len(scores) else scores
    return (
        _ask_nms(nms, boxes, lifted, threshold)
        == ops.nms(boxes.double(), lifted.double(), threshold).tolist()
    )


def _race(count: int, threshold: float, *, spread: float = 12.0, positive: bool = True) -> Race:
    """Random boxes in a few heaps, with scores all different; no IoU comes near the threshold, so that rounding
    decides nothing."""
    from torchvision import ops

    while True:
        heaps = 100 * torch.rand(-(-count // 4), 2)
        centre = heaps[torch.randint(len(heaps), (count,))] + spread * torch.randn(count, 2)
        half = 10 + 14 * torch.rand(count, 2)
        boxes = torch.cat([centre - half, centre + half], dim=1)
        if ((ops.box_iou(boxes, boxes) - threshold).abs() > 1e-3).all():
            scores = (torch.randperm(count) + 1.0) / (count + 1)
            return boxes, scores if positive else 8 * scores - 5, threshold


@check_nms.part(2, "keeps the best box of every heap, by falling score")
def _(nms: Callable, cases: Sequence[tuple[int, float]]) -> None:
    far_apart = torch.tensor([[0.0, 0, 10, 10], [40, 0, 55, 12], [0, 30, 9, 44], [70, 70, 80, 82]])
    heaps = torch.cat([far_apart + shift for shift in (0.0, 0.5, 1.0)])
    scores = torch.tensor([0.3, 0.62, 0.91, 0.11, 0.5, 0.4, 0.2, 0.77, 0.1, 0.97, 0.05, 0.6])
    _check_races(
        nms,
        [
            (heaps, scores, 0.5),
            (far_apart, scores[:4], 0.3),
            _race(9, 0.4),
            _race(16, 0.3),
            _race(1, 0.5),
            _tiny(_race(10, 0.4)),
        ],
    )


def _tiny(race: Race) -> Race:
    """The same, where a unit is as large as a box: what is added to a width shows."""
    boxes, scores, threshold = race
    return boxes / 16, scores, threshold


@check_nms.part(1, "lets only what was kept suppress, and only above the threshold")
def _(nms: Callable, cases: Sequence[tuple[int, float]]) -> None:
    # A row of boxes, each overlapping the next by more than a half of both together, and no other by as much
    steps = torch.tensor([0.0, 2, 4, 6, 8])[:, None]
    row = torch.cat([steps, torch.zeros(5, 1), steps + 10, torch.full((5, 1), 7.0)], dim=1)
    races: list[Race] = [
        (row, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), 0.5),
        (row, torch.tensor([0.5, 0.8, 0.7, 0.9, 0.6]), 0.5),
    ]
    races += [_race(14, threshold, spread=8.0) for threshold in (0.2, 0.6)]
    _check_races(nms, races)
    # The IoU of these two is exactly a half, in any floating point
    halves = torch.tensor([[0.0, 0, 2, 1], [0, 0, 1, 1], [5, 5, 6, 6]])
    scores = torch.tensor([0.6, 0.9, 0.7])
    _check_at(nms, halves, scores, 0.5)
    _check_at(nms, torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]]), torch.tensor([0.2, 0.4]), 1.0)
    beside = torch.tensor([[0.0, 0, 4, 4], [4, 0, 8, 4], [9, 0, 12, 4]])
    _check_at(nms, beside, torch.tensor([0.2, 0.4, 0.3]), 0.0)


def _check_at(nms: Callable, boxes: Tensor, scores: Tensor, threshold: float) -> None:
    """Pairs whose IoU is exactly the threshold stay."""
    from torchvision import ops

    kept, expected = (
        _ask_nms(nms, boxes, scores, threshold),
        ops.nms(boxes, scores, threshold).tolist(),
    )
    if kept == expected:
        return
    at = _greedy(
        ops.box_iou(boxes, boxes), scores.argsort(descending=True).tolist(), threshold, at=True
    )
    raise Wrong(
        AT_THRESHOLD if kept == at else WRONG_NMS,
        seen=gettext("{kept} of {boxes} boxes at threshold {threshold:g}").format(
            kept=kept, boxes=len(boxes), threshold=threshold
        ),
        expected=f"{expected}",
    )


@check_nms.part(1, "takes any numbers for scores")
def _(nms: Callable, cases: Sequence[tuple[int, float]]) -> None:
    races = [_race(12, threshold, spread=8.0, positive=False) for threshold in (0.3, 0.5)]
    boxes, scores, threshold = _race(10, 0.4, spread=8.0)
    races += [(boxes, scores - 7, threshold), (boxes.double(), 100 * scores.double(), threshold)]
    _check_races(nms, races)


@check_nms.part(1, "copes with no boxes, and leaves what came in as it was")
def _(nms: Callable, cases: Sequence[tuple[int, float]]) -> None:
    _ask_nms(nms, torch.zeros(0, 4), torch.zeros(0), 0.5)
    boxes, scores, threshold = _race(8, 0.4)
    given = boxes.clone(), scores.clone()
    nms(*given, threshold)
    _unchanged(boxes=(given[0], boxes), scores=(given[1], scores))
    _check_races(nms, [(boxes, scores, threshold)])
    for count, threshold in cases:
        _check_races(nms, [_race(count, threshold, spread=9.0)])


# --------------------------------------------------------------------------------------------------------
# masked_pixel_loss
# --------------------------------------------------------------------------------------------------------

IGNORED_AS_CLASS = Misconception(
    "ignored-as-class",
    "The ignored label was counted: it was taken for a class of its own, or for one of the others. Where nobody knows "
    "what a pixel shows, nothing is to be learnt from it.",
    "which pixels are left out before the loss is taken, and what their label is called this time",
)
LOGIT_TAKEN_OUT = Misconception(
    "logit-taken-out",
    "The ignored class was taken out of the softmax. Its pixels do not count, but at every other pixel it is still one of "
    "the C answers that share the probability.",
    "whether you drop a column of the logits",
)
IGNORED_IN_MEAN = Misconception(
    "ignored-in-mean",
    "Ignored pixels add nothing to the sum and are counted in what it is divided by. The more of a picture is ignored, "
    "the smaller the loss becomes.",
    "the number that the sum is divided by",
)
IMAGE_MEANS = Misconception(
    "image-means",
    "This is the mean of the images' means. A counted pixel in an image that is mostly ignored then weighs many times "
    "as much as one in another.",
    "over what the mean is taken: once, over all counted pixels of the batch",
)
CLASS_MEANS = Misconception(
    "class-means",
    "This is a mean over the classes, or with weights for them. Here each counted pixel weighs the same.",
    "over what the mean is taken",
)
PIXELS_SUMMED = Misconception(
    "summed",
    "This is a sum over pixels. It grows with the picture, and so would every step.",
    "how the losses of the pixels become one number",
)
SOFTMAX_TWICE = Misconception(
    "softmax-first",
    "Softmax was applied before a loss that applies it itself.",
    "how often softmax is taken between the logits and the loss",
)
WRONG_DIM = Misconception(
    "wrong-axis",
    "Softmax was taken over another dimension than the classes: those are dimension 1 of (N, C, H, W).",
    "the `dim` of your softmax, and the order of dimensions when you flatten",
)
PIXELS_MIXED_UP = Misconception(
    "pixels-mixed-up",
    "Logits and labels of different pixels came together: (N, C, H, W) was reshaped to (pixels, C) without moving the "
    "classes to the end first.",
    "the order of dimensions before `reshape` or `flatten`",
)
WRONG_PIXEL_LOSS = Misconception(
    "wrong-loss",
    "The loss is not the mean of the counted pixels' negative log-probabilities.",
    "one picture of two pixels by hand, one of them ignored",
)
NOT_A_NUMBER = Misconception(
    "nan-loss",
    "The loss is not a number. Something was divided by zero, or ignored pixels were multiplied by zero where the loss "
    "is infinite.",
    "what your lines give for an image in which every pixel is ignored",
)
NOT_ONE_NUMBER = Misconception(
    "not-one-number",
    "What came back is not one number.",
    "what the mean was taken over",
)
NO_PIXEL_GRADIENT = Misconception(
    "no-gradient",
    "No gradient flows from the loss back to the logits.",
    "`detach()`, `item()`, numpy and `no_grad` between the logits and the `return`",
)
WRONG_PIXEL_GRADIENT = Misconception(
    "wrong-gradient",
    "The value is right, and its gradient is not.",
    "whether a part of the computation is cut out of the graph",
)

check_masked_pixel_loss = Check(
    "masked_pixel_loss",
    hints=(
        "A pixel is an example like any other, with C logits and one label. Which of the examples count?",
        "`counted = mask != ignore_index` has shape (N, H, W). With the classes moved to the end, "
        "`logits.movedim(1, -1)`, it picks rows of C logits: `[counted]` gives (pixels, C).",
        "`F.cross_entropy` of those rows and of `mask[counted]` is the mean that you want. Its own argument "
        "`ignore_index` does the same in one call.",
    ),
)

Labelled = tuple[Tensor, Tensor, int]


def _pixels(
    shape: tuple[int, int, int, int],
    ignore: int,
    shares: Sequence[float],
    dtype: torch.dtype = torch.float64,
) -> Labelled:
    """Logits (N, C, H, W), a mask (N, H, W), and the ignored label; of image n the share shares[n] is ignored."""
    n, classes, height, width = shape
    labels = [label for label in range(classes) if label != ignore]
    mask = torch.tensor(labels)[torch.randint(len(labels), (n, height, width))]
    for image, share in zip(mask, shares, strict=True):
        hidden = torch.randperm(height * width)[: round(share * height * width)]
        image.view(-1)[hidden] = ignore
    # images differ in how hard they are, so that the mean of their means is another number
    hardness = 0.5 + 2.5 * torch.rand(n, 1, 1, 1, dtype=dtype)
    return hardness * torch.randn(shape, dtype=dtype), mask, ignore


def _pixel_losses(logits: Tensor, mask: Tensor) -> Tensor:
    return F.cross_entropy(logits.double(), mask, reduction="none")


def _wrong_pixel_losses(
    logits: Tensor, mask: Tensor, ignore: int
) -> list[tuple[Misconception, float]]:
    counted = mask != ignore
    classes = logits.shape[1]
    x = logits.double()
    safe = mask.masked_fill(~counted, 0)
    each = _pixel_losses(x, safe)
    kept = each * counted
    number = counted.sum()
    known = [
        (IGNORED_IN_MEAN, kept.mean()),
        (IGNORED_IN_MEAN, kept.mean(dim=(1, 2)).mean()),
        (PIXELS_SUMMED, kept.sum()),
        (PIXELS_SUMMED, kept.sum() / len(mask)),
    ]
    per_image = kept.sum(dim=(1, 2)) / counted.sum(dim=(1, 2))
    known += [(IMAGE_MEANS, per_image.nanmean()), (IMAGE_MEANS, per_image.nan_to_num(0.0).mean())]
    present = [label for label in range(classes) if (mask[counted] == label).any()]
    by_class = torch.stack([each[counted & (mask == label)].mean() for label in present])
    known.append((CLASS_MEANS, by_class.mean()))
    for label in range(classes):
        as_class = _pixel_losses(x, mask.masked_fill(~counted, label))
        known += [(IGNORED_AS_CLASS, as_class.mean()), (IGNORED_AS_CLASS, as_class.sum() / number)]
        known.append((IGNORED_AS_CLASS, as_class.mean(dim=(1, 2)).mean()))
    if 0 <= ignore < classes:  # taken as the class that it is called
        plain = _pixel_losses(x, mask)
        known += [(IGNORED_AS_CLASS, plain.mean())]
        less = torch.cat(
            [x[:, :ignore], x[:, ignore + 1 :]], dim=1
        )  # the class taken out of the logits, too
        if less.shape[1] > 0:
            moved = torch.where(safe > ignore, safe - 1, safe).clamp(max=less.shape[1] - 1)
            known.append((LOGIT_TAKEN_OUT, (_pixel_losses(less, moved) * counted).sum() / number))
    known.append((SOFTMAX_TWICE, (_pixel_losses(x.softmax(1), safe) * counted).sum() / number))
    for dim in (dim for dim in (0, 2, 3) if x.shape[dim] > 1):
        picked = -x.log_softmax(dim).gather(1, safe[:, None])[:, 0]
        known.append((WRONG_DIM, (picked * counted).sum() / number))
    flat = F.cross_entropy(x.reshape(-1, classes), safe.reshape(-1), reduction="none").view_as(each)
    known += [(PIXELS_MIXED_UP, (flat * counted).sum() / number), (PIXELS_MIXED_UP, flat.mean())]
    turned = F.cross_entropy(x.transpose(2, 3).reshape(*x.shape), safe, reduction="none")
    known.append((PIXELS_MIXED_UP, (turned * counted).sum() / number))
    return [(idea, value.item()) for idea, value in known]


def _ask_loss(masked_pixel_loss: Callable, logits: Tensor, mask: Tensor, ignore: int) -> Any:
    try:
        return masked_pixel_loss(logits, mask, ignore)
    except (IndexError, RuntimeError) as error:
        said = str(error)
        if any(word in said for word in ("out of bounds", "out of range", "Class values must")):
            raise Wrong(
                IGNORED_AS_CLASS,
                seen=gettext(
                    "{error_kind}: {said} (the ignored label is {ignore}, of {classes} classes)"
                ).format(
                    error_kind=type(error).__name__,
                    said=said,
                    ignore=ignore,
                    classes=logits.shape[1],
                ),
                expected="ignored pixels left out",
            ) from error
        raise


def _number(value: Any) -> float:
    try:
        if isinstance(value, Tensor):
            value = value.detach()
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        seen = (
            gettext("a tensor of shape {shape}").format(shape=tuple(value.shape))
            if isinstance(value, Tensor)
            else _short(value)
        )
        raise Wrong(NOT_ONE_NUMBER, seen=seen, expected="one number") from None


def _check_losses(masked_pixel_loss: Callable, batches: Sequence[Labelled]) -> None:
    asked = []
    for logits, mask, ignore in batches:
        value = _ask_loss(masked_pixel_loss, logits.clone(), mask.clone(), ignore)
        asked.append(((logits, mask, ignore), _number(value)))
    wrong = None
    for (logits, mask, ignore), seen in asked:
        expected = (
            _pixel_losses(logits, mask.masked_fill(mask == ignore, 0))[mask != ignore].mean().item()
        )
        # 1e-5: float32 over a few hundred pixels; the mistakes below change the second digit
        if not abs(seen - expected) <= 1e-5 * max(1.0, expected) and wrong is None:
            wrong = (logits, mask, ignore), seen, expected
    if wrong is None:
        return
    (logits, mask, ignore), seen, expected = wrong
    share = (mask == ignore).float().mean(dim=(1, 2)).tolist()
    shown = gettext(
        "{seen:.6g} for logits of shape {logits_shape}; the label {ignore} is ignored, "
        "in {share} of the pixels of each image"
    ).format(
        seen=seen,
        logits_shape=tuple(logits.shape),
        ignore=ignore,
        share=", ".join(f"{one:.0%}" for one in share),
    )
    for idea, value in _wrong_pixel_losses(logits, mask, ignore):
        if abs(seen - value) <= 2e-5 * max(1.0, abs(value)):
            raise Wrong(idea, seen=shown, expected=f"{expected:.6g}")
    if not math.isfinite(seen):
        empty = any(one == 1 for one in share)
        raise Wrong(
            IMAGE_MEANS if empty and math.isnan(seen) else NOT_A_NUMBER,
            seen=shown,
            expected=f"{expected:.6g}",
        )
    raise Wrong(WRONG_PIXEL_LOSS, seen=shown, expected=f"{expected:.6g}")


@check_masked_pixel_loss.part(2, "is the mean cross-entropy of the pixels that count")
def _(masked_pixel_loss: Callable, cases: Sequence[tuple[int, int, int]]) -> None:
    batches = [
        _pixels((1, 4, 5, 7), 255, [0.3]),
        _pixels((1, 3, 6, 4), -1, [0.5], torch.float32),
        _pixels((1, 5, 3, 3), -100, [0.0]),
        _pixels((1, 4, 6, 5), 1, [0.4]),  # a class that does not count: the background, say
        _pixels((1, 3, 4, 4), 3, [0.25]),  # the first number that is no class
    ]
    _check_losses(masked_pixel_loss, batches)


@check_masked_pixel_loss.part(1, "takes the mean over all counted pixels of the batch")
def _(masked_pixel_loss: Callable, cases: Sequence[tuple[int, int, int]]) -> None:
    batches = [
        _pixels((3, 4, 6, 5), 255, [0.1, 0.9, 0.4]),
        _pixels((2, 3, 5, 8), -1, [0.0, 0.8], torch.float32),
        _pixels((3, 3, 4, 4), 7, [1.0, 0.2, 0.6]),  # in the first image nobody knows anything
        _pixels((2, 2, 3, 3), 255, [8 / 9, 1.0]),  # one pixel counts
    ]
    _check_losses(masked_pixel_loss, batches)


@check_masked_pixel_loss.part(1, "is differentiable, and teaches nothing at ignored pixels")
def _(masked_pixel_loss: Callable, cases: Sequence[tuple[int, int, int]]) -> None:
    for shape, ignore, shares in (
        ((2, 3, 4, 5), 255, [0.2, 0.7]),
        ((3, 4, 3, 2), -1, [0.5, 0.0, 1.0]),
    ):
        logits, mask, _ = _pixels(shape, ignore, shares)
        leaf = logits.clone().requires_grad_()
        value = _ask_loss(
            masked_pixel_loss, leaf * 1, mask.clone(), ignore
        )  # as a network gives them
        _number(value)
        gradient = None
        if isinstance(value, Tensor) and value.requires_grad:
            (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
        if gradient is None:
            raise Wrong(
                NO_PIXEL_GRADIENT, seen="nothing arrives at the logits", expected="a gradient"
            )
        counted = mask != ignore
        if gradient.movedim(1, -1)[~counted].any():
            raise Wrong(IGNORED_AS_CLASS, seen="a gradient at an ignored pixel", expected="0 there")
        one_hot = F.one_hot(mask.masked_fill(~counted, 0), shape[1]).movedim(-1, 1)
        expected = (logits.softmax(dim=1) - one_hot) * counted[:, None] / counted.sum()
        # float64, entries around 1/pixels: far above rounding, far below any wrong term
        if not _near(gradient, expected, 1e-6):
            _check_losses(masked_pixel_loss, [(logits, mask, ignore)])
            idea = WRONG_PIXEL_GRADIENT if gradient.any() else NO_PIXEL_GRADIENT
            raise Wrong(
                idea, seen="another gradient", expected="(probability - target) / counted pixels"
            )


@check_masked_pixel_loss.part(1, "leaves what came in as it was")
def _(masked_pixel_loss: Callable, cases: Sequence[tuple[int, int, int]]) -> None:
    logits, mask, ignore = _pixels((2, 3, 4, 6), 255, [0.5, 0.3])
    given = logits.clone(), mask.clone()
    _ask_loss(masked_pixel_loss, *given, ignore)
    _unchanged(logits=(given[0], logits), mask=(given[1], mask))
    _check_losses(masked_pixel_loss, [(logits, mask, ignore)])
    for number, classes, ignore in cases:
        shares = torch.linspace(0.1, 0.9, number).tolist()
        _check_losses(masked_pixel_loss, [_pixels((number, classes, 9, 12), ignore, shares)])


# --------------------------------------------------------------------------------------------------------
# dice
# --------------------------------------------------------------------------------------------------------

IOU_FOR_DICE = Misconception(
    "iou-for-dice",
    "This is the overlap over the union. Dice divides twice the overlap by the sum of the two areas.",
    "the denominator",
)
NO_TWO = Misconception(
    "factor-two-missing",
    "The factor 2 is missing: two equal masks are to give 1, and give a half.",
    "the numerator",
)
TWO_OVER_UNION = Misconception(
    "two-over-union",
    "Twice the overlap was divided by the union, which can give more than 1. The sum of the areas counts the overlap "
    "twice.",
    "the denominator; for masks of True and False `+` means or",
)
ONE_SIDED = Misconception(
    "one-sided",
    "The overlap was divided by the area of one mask alone. Then painting everything is perfect, or a single sure pixel."
    "",
    "which areas the denominator has",
)
PIXEL_ACCURACY = Misconception(
    "pixel-accuracy",
    "This is the share of pixels that agree. Most pixels are background, so saying nothing at all looks nearly perfect.",
    "which pixels count as a hit",
)
SOFT_SCORES = Misconception(
    "soft-scores",
    "Soft scores were taken for masks: something like a sigmoid was applied. What comes in has been decided, each "
    "pixel is in or out.",
    "what your lines do to `pred` before they count",
)
SMOOTHED = Misconception(
    "smoothed",
    "A number was added above and below, against division by zero. That is for losses; here it makes small things look "
    "better found than they are, and of nothing found it says something.",
    "what is added to the numerator and to the denominator",
)
ROWS_AVERAGED = Misconception(
    "rows-averaged",
    "Dice was taken row by row, or column by column, and averaged. A mask is one set of pixels.",
    "the dimensions that your sums go over",
)
DTYPE_REFUSED = Misconception(
    "dtype-refused",
    "One kind of mask was refused. Masks come as True and False, or as 0 and 1 of any dtype, and the two may differ.",
    "operators that only one dtype has: `&` is for whole numbers and bool, `-` is not for bool",
)
OVERFLOWN = Misconception(
    "overflow",
    "The count overflowed: a narrow dtype cannot hold the number of pixels.",
    "the dtype that your sums are taken in",
)
WRONG_DICE = Misconception(
    "wrong-dice",
    "Twice the overlap over the sum of the areas is another number.",
    "two small masks by hand",
)

check_dice = Check(
    "dice",
    hints=(
        "Three counts are enough: the pixels in both masks, those in the one, those in the other.",
        "Make both masks bool first, `pred.bool()`: then `&` is the overlap, and `.sum()` counts, whatever they were.",
        "`2 * (a & b).sum() / (a.sum() + b.sum())` with a and b of dtype bool.",
    ),
)


def _blob(height: int, width: int, share: float) -> Tensor:
    """A random mask (H, W), bool, of about this share."""
    return torch.rand(height, width) < share


def _wrong_dices(pred: Tensor, target: Tensor) -> list[tuple[Misconception, float]]:
    a, b = pred.double(), target.double()
    both = (a * b).sum()
    union = (a + b - a * b).sum()
    rows = []
    for dim in (0, 1):
        sums = a.sum(dim) + b.sum(dim)
        each = 2 * (a * b).sum(dim) / sums
        rows += [each.nanmean(), each.nan_to_num(0.0).mean(), each.nan_to_num(1.0).mean()]
    soft = a.sigmoid()
    known = [
        (IOU_FOR_DICE, both / union),
        (NO_TWO, both / (a.sum() + b.sum())),
        (TWO_OVER_UNION, 2 * both / union),
        (ONE_SIDED, both / a.sum()),
        (ONE_SIDED, both / b.sum()),
        (ONE_SIDED, both / torch.maximum(a.sum(), b.sum())),
        (ONE_SIDED, both / torch.minimum(a.sum(), b.sum())),
        (PIXEL_ACCURACY, (a == b).double().mean()),
        (SOFT_SCORES, 2 * (soft * b).sum() / (soft.sum() + b.sum())),
        (SOFT_SCORES, 2 * (soft * b).sum() / (soft.square().sum() + b.square().sum())),
        (SOFT_SCORES, 2 * ((soft >= 0.5) * b).sum() / ((soft >= 0.5).sum() + b.sum())),
        (SOFT_SCORES, 2 * (soft * b.sigmoid()).sum() / (soft.sum() + b.sigmoid().sum())),
        (SOFT_SCORES, 2 * (a.softmax(-1) * b).sum() / (a.softmax(-1).sum() + b.sum())),
        *((ROWS_AVERAGED, value) for value in rows),
        *(
            (SMOOTHED, (2 * both + eps) / (a.sum() + b.sum() + eps))
            for eps in (1.0, 0.1, 0.01, 1e-3, 1e-4)
        ),
        *((SMOOTHED, 2 * both / (a.sum() + b.sum() + eps)) for eps in (1.0, 0.1, 0.01, 1e-3)),
        *((SMOOTHED, (2 * both + 1) / (a.sum() + b.sum() + eps)) for eps in (2.0, 0.0)),
    ]
    return [(idea, value.item()) for idea, value in known]


def _check_dices(
    dice: Callable, masks: Sequence[tuple[Tensor, Tensor]], within: float = 1e-5
) -> None:
    """Asks for all pairs first, so that a mistake is named only if it explains each answer."""
    asked = []
    for pred, target in masks:
        try:
            value = dice(pred.clone(), target.clone())
        except (RuntimeError, TypeError) as error:
            if _is_a_stub(error):
                raise
            plain = gettext("{error_kind}: {error} (for {pred} and {target})").format(
                error_kind=type(error).__name__, error=error, pred=pred.dtype, target=target.dtype
            )
            raise Wrong(DTYPE_REFUSED, seen=plain, expected="a number") from error
        asked.append((pred, target, _number(value)))
    wrong = None
    for pred, target, seen in asked:
        a, b = pred.double(), target.double()
        expected = (2 * (a * b).sum() / (a.sum() + b.sum())).item()
        # float32 has seven digits; a small number against division by zero, up to 1e-6, does no harm
        if not abs(seen - expected) <= within and wrong is None:
            wrong = pred, target, seen, expected
    if wrong is None:
        return
    pred, target, seen, expected = wrong
    a, b = pred.double(), target.double()
    shown = gettext(
        "{seen:.5g} for masks of {first} and {second} pixels, {both} of them in both "
        "({pred} and {target})"
    ).format(
        seen=seen,
        first=int(a.sum()),
        second=int(b.sum()),
        both=int((a * b).sum()),
        pred=pred.dtype,
        target=target.dtype,
    )
    known = [_wrong_dices(one, other) for one, other, _ in asked]
    answers = [answer for *_, answer in asked]
    for place, (idea, _) in enumerate(known[0]):
        if all(
            abs(answer - ideas[place][1]) <= 2 * within
            or (math.isnan(answer) and math.isnan(ideas[place][1]))
            for answer, ideas in zip(answers, known, strict=True)
        ):
            raise Wrong(idea, seen=shown, expected=f"{expected:.5g}")
    for idea, value in _wrong_dices(pred, target):
        if abs(seen - value) <= within:
            raise Wrong(idea, seen=shown, expected=f"{expected:.5g}")
    raise Wrong(WRONG_DICE, seen=shown, expected=f"{expected:.5g}")


@check_dice.part(1, "is twice the overlap over the sum of the areas")
def _(dice: Callable, cases: Sequence[tuple[int, int]]) -> None:
    masks = []
    for height, width, shares in (
        (6, 9, (0.4, 0.5)),
        (12, 5, (0.7, 0.2)),
        (4, 31, (0.15, 0.6)),
        (20, 20, (0.5, 0.5)),
    ):
        pred, target = (_blob(height, width, share) for share in shares)
        pred[0, 0] = target[0, 0] = True
        masks.append((pred.long(), target.long()))
    _check_dices(dice, masks)


@check_dice.part(1, "is 1 for equal masks, and 0 for masks that do not meet")
def _(dice: Callable, cases: Sequence[tuple[int, int]]) -> None:
    left = torch.zeros(5, 8)
    left[1:4, :3] = 1
    right = left.flip(-1)
    nothing, everything, one = torch.zeros(5, 8), torch.ones(5, 8), torch.zeros(5, 8)
    one[2, 1] = 1
    another = one.roll(1)
    masks = [
        (left, left),
        (left, right),
        (nothing, left),
        (left, nothing),
        (everything, left),
        (one, left),
        (one, one),
        (one, another),
    ]
    _check_dices(dice, masks)


@check_dice.part(1, "takes masks of any dtype, and leaves them as they were")
def _(dice: Callable, cases: Sequence[tuple[int, int]]) -> None:
    dtypes = (torch.bool, torch.uint8, torch.int64, torch.float32, torch.float64, torch.int8)
    for number, of_pred in enumerate(dtypes):
        of_target = dtypes[(number * 2 + 1) % len(dtypes)]
        for of_both in ((of_pred, of_target), (of_pred, of_pred)):
            pred, target = _blob(30, 23, 0.6).to(of_both[0]), _blob(30, 23, 0.5).to(of_both[1])
            _check_dices(dice, [(pred, target)])
    # half precision rounds a count of a few hundred to three digits
    _check_dices(dice, [(_blob(9, 7, 0.5).half(), _blob(9, 7, 0.5).half())], within=2e-3)
    pred, target = _blob(8, 6, 0.5).float(), _blob(8, 6, 0.5).float()
    given = pred.clone(), target.clone()
    dice(*given)
    _unchanged(pred=(given[0], pred), target=(given[1], target))
    for height, width in cases:
        _check_dices(dice, [(_blob(height, width, 0.3), _blob(height, width, 0.4).to(torch.uint8))])
