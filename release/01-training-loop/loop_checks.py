"""The checks of lesson 01. They judge what a function gives and what it leaves behind, never how it is written.

What is expected comes from formulas and from PyTorch's own functions: the gradient of a linear model's loss is known
in closed form, so each step of an epoch can be worked out beside the learner's, in float64. Loss functions are handed
over as functions, whose calls this module sees. Hidden cases hand in more through ``add_cases``; the last part of
each check looks at them, behind its own, so that no hidden failure hides a visible one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext, ngettext
from course.witness import Tap
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]

NOT_A_FLOAT = Misconception(
    "not-a-float",
    "What came back is not a Python float.",
    "the `return` line: a tensor with one number in it gives that number with `.item()`",
)
INPUTS_CHANGED = Misconception(
    "inputs-changed",
    "A tensor that was handed in holds other numbers now. Whoever called your function still needs it.",
    "operations that write in place: `-=`, and names that end in an underscore",
)
BATCH_MEANS = Misconception(
    "batch-means",
    "This is the mean of the batches' means. The last batch is shorter, and its examples count for more than the "
    "others.",
    "what each batch adds to your sum, and what the sum is divided by in the end",
)
BATCH_SKIPPED = Misconception(
    "batch-skipped",
    "Not every batch was used: the epoch ended early, or its short last batch was left out.",
    "where your loop ends, and where the `return` stands",
)


def _float(value: Any) -> float:
    """What a function that must give a Python float gave; raises Wrong for anything else."""
    if not isinstance(value, float):
        raise Wrong(NOT_A_FLOAT, seen=_short(value), expected="a float")
    return float(value)


def _near(a: float, b: float, *, within: float = 1e-6) -> bool:
    return abs(a - b) <= within * max(1.0, abs(b))


def _short(value: object) -> str:
    text = f"{value!r} ({type(value).__name__})"
    return text if len(text) <= 200 else text[:200] + " ..."


def _same(now: Tensor, before: Tensor) -> bool:
    """Bit for bit: nothing was to be computed, so no tolerance is owed."""
    return now.dtype == before.dtype and torch.equal(now.detach(), before.detach())


# --------------------------------------------------------------------------------------------------------
# cross_entropy
# --------------------------------------------------------------------------------------------------------

SOFTMAX_FIRST = Misconception(
    "softmax-first",
    "Softmax was applied before the loss, which applies it itself. Probabilities taken for logits all lie between 0 "
    "and 1, so the loss cannot come near zero, and its gradient stays small.",
    "how often softmax is taken between the logits and the loss",
)
NO_LOG = Misconception(
    "no-log",
    "This is the mean probability of the right class, up to its sign. The logarithm is missing.",
    "the line between the probabilities and the mean",
)
NOT_NEGATED = Misconception(
    "not-negated",
    "The sign is wrong: the logarithm of a probability is negative, a loss is not.",
    "the sign of what is averaged",
)
SUMMED = Misconception(
    "summed",
    "This is the sum over the rows. It grows with the batch, and so would every step.",
    "how the losses of the rows become one number",
)
ENTRIES_AVERAGED = Misconception(
    "entries-averaged",
    "The mean was taken over all N x C entries, also those of classes that are not the target.",
    "the shape of what you take the mean of",
)
WRONG_AXIS = Misconception(
    "wrong-axis",
    "Softmax was taken over the rows. Each example's probabilities are to add up to one, over the classes.",
    "the `dim` of your softmax, sum or maximum",
)
WRONG_BASE = Misconception(
    "wrong-base",
    "The logarithm has another base: the loss is measured in nats, by the natural logarithm.",
    "which logarithm you take",
)
NOT_A_SCALAR = Misconception(
    "not-a-scalar",
    "What came back is not a tensor with 0 dimensions.",
    "the `return` line, and what the mean was taken over",
)
WRONG_DTYPE = Misconception(
    "wrong-dtype",
    "The loss has another dtype than the logits.",
    "calls such as `float()` and `double()`, and tensors that your code makes",
)
OVERFLOW = Misconception(
    "overflow",
    "The loss is not finite. The exponential of a large logit overflows to `inf`, that of a very negative one is 0, "
    "and the logarithm of 0 is `-inf`.",
    "the largest number that `exp` gets in a row, and the smallest that `log` gets",
)
BATCH_MAXIMUM = Misconception(
    "batch-maximum",
    "One number was subtracted from the whole batch. A row whose logits all lie far below it is then lost: all its "
    "exponentials are 0.",
    "over which dimension you take the maximum",
)
NOT_EXACT = Misconception(
    "not-exact",
    "Near, but not exact. A clamp, or a small number added before the logarithm, hides how wrong a sure answer is; "
    "a narrower dtype rounds it away.",
    "what you added so that the logarithm is finite",
)
NO_GRADIENT = Misconception(
    "no-gradient",
    "No gradient flows from the loss back to the logits.",
    "`detach()`, `item()`, `torch.tensor(...)`, numpy and `no_grad` between the logits and the `return`",
)
WRONG_GRADIENT = Misconception(
    "wrong-gradient",
    "The value is right, and its gradient is not.",
    "whether a part of the computation is cut out of the graph",
)
WRONG_LOSS = Misconception(
    "wrong-loss",
    "The loss is not the mean of the rows' negative log-probabilities.",
    "each step of the formula, with the two rows of the example by hand",
)

check_cross_entropy = Check(
    "cross_entropy",
    hints=(
        "The loss of one row is the log of a sum of exponentials minus the target's logit. Subtract the same "
        "number from all logits of a row: what changes?",
        "Take the row's own maximum, with `keepdim=True` so that shapes fit. Afterwards the largest logit is 0: "
        "nothing overflows, and the sum of exponentials is at least 1.",
        "`z = logits - row_max`; `z.exp().sum(dim=1).log()` has one number a row, and so has "
        "`z[torch.arange(len(z)), targets]`. The mean of their difference is the loss.",
    ),
)


def _log_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """(N,), in float64."""
    return -F.cross_entropy(logits.detach().double(), targets, reduction="none")


def _check_value(
    value: Any, logits: Tensor, targets: Tensor, *, within: float, which: str = ""
) -> None:
    """Compares a loss with PyTorch's own, and names what came instead. A plain number will do here.

    which: the logits in words, where their shape alone does not say enough.
    """
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise Wrong(
                NOT_A_SCALAR,
                seen=gettext("a tensor of shape {shape} for logits of shape {logits_shape}").format(
                    shape=tuple(value.shape), logits_shape=tuple(logits.shape)
                ),
                expected="a tensor of shape ()",
            )
        value = value.detach().reshape(()).item()
    try:
        seen = float(value)
    except (TypeError, ValueError):
        raise Wrong(
            NOT_A_SCALAR, seen=_short(value), expected="a tensor with 0 dimensions"
        ) from None
    x, rows = logits.detach().double(), _log_probability(logits, targets)
    expected = -rows.mean().item()
    # `within` and the rounding of the logits themselves, which any formula that sees them inherits
    if (
        math.isfinite(seen)
        and abs(seen - expected)
        <= within * max(1.0, expected) + 8 * torch.finfo(logits.dtype).eps * x.abs().max().item()
    ):
        return
    digits = 6 if f"{seen:.6g}" != f"{expected:.6g}" else 12
    right = f"{expected:.{digits}g}"
    which = which or gettext("logits of shape {logits_shape}").format(
        logits_shape=tuple(logits.shape)
    )
    shown = gettext("{which}: the loss is {loss}").format(which=which, loss=f"{seen:.{digits}g}")
    if not math.isfinite(seen):
        raise Wrong(OVERFLOW, seen=shown, expected=right)
    n, classes = logits.shape
    every_row = torch.arange(n)
    others = (
        (SOFTMAX_FIRST, F.cross_entropy(x.softmax(1), targets)),
        (NO_LOG, x.softmax(1)[every_row, targets].mean()),
        (NO_LOG, -x.softmax(1)[every_row, targets].mean()),
        (NOT_NEGATED, rows.mean()),
        (SUMMED, -rows.sum()),
        (ENTRIES_AVERAGED, -rows.mean() / classes),
        (WRONG_AXIS, -x.log_softmax(0)[every_row, targets].mean()),
        (WRONG_BASE, -rows.mean() / math.log(2)),
        (WRONG_BASE, -rows.mean() / math.log(10)),
    )
    for idea, other in others:
        if abs(seen - other.item()) <= 1e-5 * max(1.0, abs(other.item())):
            raise Wrong(idea, seen=shown, expected=right)
    large = x.abs().max() > 100  # where a clamp shows most
    idea = NOT_EXACT if large or abs(seen - expected) < 1e-2 else WRONG_LOSS
    raise Wrong(idea, seen=shown, expected=right)


def _rows(n: int, classes: int, dtype: torch.dtype = torch.float64) -> Batch:
    """Random logits (n, classes), and targets of which not all are the same class."""
    targets = torch.randint(classes, (n,))
    targets[0], targets[-1] = classes - 1, 0
    return 2 * torch.randn(n, classes, dtype=dtype), targets


@check_cross_entropy.part(2, "is the mean over the rows of -log softmax at the target")
def _(cross_entropy: Callable, cases: Sequence[tuple[int, int]]) -> None:
    for n, classes, dtype in (
        (5, 3, torch.float64),
        (2, 7, torch.float32),
        (4, 4, torch.float64),
        (1, 6, torch.float64),
        (9, 2, torch.float32),
    ):
        logits, targets = _rows(n, classes, dtype)
        # 1e-6: the rounding of float32 over a few operations; the nearest wrong formula is 1e-2 away
        _check_value(cross_entropy(logits.clone(), targets.clone()), logits, targets, within=1e-6)


@check_cross_entropy.part(2, "stays finite and exact however large the logits are")
def _(cross_entropy: Callable, cases: Sequence[tuple[int, int]]) -> None:
    for dtype, within in ((torch.float64, 1e-9), (torch.float32, 1e-6)):
        small, targets = _rows(4, 5, dtype)
        shape = tuple(small.shape)
        shifted = [
            (
                small + shift,
                gettext("logits of shape {shape} around {shift:g}").format(
                    shape=shape, shift=shift
                ),
            )
            for shift in (1e4, -1e4)
        ]
        for (
            logits,
            which,
        ) in shifted:  # roughly: what is a little off is far off where logits are large
            value = cross_entropy(logits.clone(), targets)
            _check_value(value, logits, targets, within=1e-4, which=which)
        # one row far below the others: a maximum over the whole batch is no help to it
        logits = small + torch.tensor([[1e4], [0.0], [-1e4], [3.0]], dtype=dtype)
        value = cross_entropy(logits.clone(), targets)
        if not torch.isfinite(torch.as_tensor(value)).all():
            raise Wrong(
                BATCH_MAXIMUM,
                seen=gettext("{value:g} for one row around 10000 and one around -10000").format(
                    value=float(value)
                ),
                expected=f"{-_log_probability(logits, targets).mean().item():.6g}",
            )
        rows = gettext("logits of shape {shape}, rows around 10000 and -10000").format(shape=shape)
        shifted.append((logits, rows))
        _check_value(value, logits, targets, within=1e-4, which=rows)
        for scale in (1e3, 1e4, 1e6):  # sure of the wrong class: the loss is as large as the logits
            logits = small * scale
            value = cross_entropy(logits.clone(), targets)
            which = gettext("logits of shape {shape} as large as {scale:g}").format(
                shape=shape, scale=scale
            )
            _check_value(value, logits, targets, within=within, which=which)
        for logits, which in shifted:
            value = cross_entropy(logits.clone(), targets)
            _check_value(value, logits, targets, within=within, which=which)

    logits, targets = _rows(5, 4)
    logits *= torch.tensor([[1.0], [1e4], [1.0], [50.0], [1e6]], dtype=torch.float64)
    _check_gradient(cross_entropy, logits, targets, required=False)


@check_cross_entropy.part(1, "is a 0-dimensional tensor with the right gradient; inputs stay")
def _(cross_entropy: Callable, cases: Sequence[tuple[int, int]]) -> None:
    for dtype in (torch.float64, torch.float32):
        logits, targets = _rows(6, 4, dtype)
        given, wanted = logits.clone(), targets.clone()
        value = cross_entropy(given, wanted)
        if not isinstance(value, Tensor) or value.dim():
            seen = _short(value)
            if isinstance(value, Tensor):
                seen = gettext("{seen}, of shape {shape}").format(
                    seen=seen, shape=tuple(value.shape)
                )
            raise Wrong(NOT_A_SCALAR, seen=seen, expected="a tensor of shape ()")
        if value.dtype != dtype:
            raise Wrong(WRONG_DTYPE, seen=f"{value.dtype}", expected=f"{dtype}")
        if not _same(given, logits):
            raise Wrong(INPUTS_CHANGED, seen="the logits are not what they were")
        if not _same(wanted, targets):
            raise Wrong(INPUTS_CHANGED, seen="the targets are not what they were")
    _check_gradient(cross_entropy, *_rows(7, 3))
    _check_gradient(cross_entropy, *_rows(1, 5))
    for n, classes in cases:
        logits, targets = _rows(n, classes)
        value = cross_entropy(logits.clone(), targets)
        _check_value(value, logits, targets, within=1e-6)
        _check_gradient(cross_entropy, logits, targets)


def _check_gradient(
    cross_entropy: Callable, logits: Tensor, targets: Tensor, *, required: bool = True
) -> None:
    """The gradient of the mean loss with respect to the logits is (softmax - one-hot) / N.

    required: whether there has to be one; the last part says so where there is none.
    """
    leaf = logits.clone().requires_grad_()
    value = cross_entropy(leaf * 1, targets.clone())  # computed logits, as a network gives them
    gradient = None
    if isinstance(value, Tensor) and value.requires_grad and value.dim() == 0:
        (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
    if gradient is None:
        if required:
            raise Wrong(NO_GRADIENT, seen="nothing arrives at the logits", expected="a gradient")
        return
    expected = (logits.softmax(1) - F.one_hot(targets, logits.shape[1])) / len(logits)
    # entries are of size 1/N and float64 here: 1e-8 is far above rounding and far below any wrong term
    if not torch.allclose(gradient, expected, rtol=0, atol=1e-8):
        zero = not gradient.any()
        n, k = divmod(
            int((gradient - expected).abs().nan_to_num(torch.inf).argmax()), logits.shape[1]
        )
        raise Wrong(
            NO_GRADIENT if zero else WRONG_GRADIENT,
            seen=gettext("row {n}, class {k}: {gradient:.6g}").format(
                n=n, k=k, gradient=gradient[n, k].item()
            ),
            expected=gettext("{expected:.6g}, that is (probability - target) / N").format(
                expected=expected[n, k].item()
            ),
        )


# --------------------------------------------------------------------------------------------------------
# gradient_check
# --------------------------------------------------------------------------------------------------------

ONE_SIDED = Misconception(
    "one-sided",
    "The difference is one-sided: it goes from x to x + h. Its error falls with h, that of the central one with h "
    "squared.",
    "the two points at which f is taken, and their distance",
)
STEP_SIZE = Misconception(
    "step-size",
    "The backward pass is right, and your difference quotient says otherwise. With a large h the curve bends away "
    "from it, with a tiny one rounding is all that is left, and float32 has half the digits.",
    "the size of h, and the dtype that f is called with",
)
NUMERIC_WRONG = Misconception(
    "numeric-wrong",
    "The backward pass is right, and the error you give is as large as a fraction of the gradient itself. One of "
    "the two gradients is zero, halved, doubled, or belongs to another entry.",
    "which entry is moved at a time, whether f sees the move, and what the difference is divided by",
)
NOT_PUT_BACK = Misconception(
    "not-put-back",
    "The backward pass is right, and you find a difference only where every entry has to do with every other: an "
    "entry was not put back before the next was moved.",
    "what the tensor that you give to f holds from one turn of your loop to the next",
)
ENTRIES_MISSED = Misconception(
    "entries-missed",
    "The largest difference is at an entry that was not looked at.",
    "whether every entry is visited, whatever the shape of x",
)
SIGN_LOST = Misconception(
    "sign-lost",
    "A difference below zero did not count. An error is as large in one direction as in the other.",
    "what is taken before the maximum",
)
NOT_THE_LARGEST = Misconception(
    "not-the-largest",
    "The differences were averaged or added up. One wrong entry among many right ones then hides, or looks larger.",
    "how the differences of all entries become one number",
)
RELATIVE = Misconception(
    "relative",
    "This is a relative error; the absolute one was asked for.",
    "what the difference is divided by",
)
ROUNDED_AWAY = Misconception(
    "rounded-away",
    "The difference was rounded, or a small one taken for none. How small is small enough is for the caller to say.",
    "what happens to the largest difference before it is returned",
)
WRONG_ERROR = Misconception(
    "wrong-error",
    "The backward pass is wrong, and what came back is not by how much.",
    "which two gradients are compared",
)
X_CHANGED = Misconception(
    "x-changed",
    "x is not what it was: its values, its `requires_grad` or its `.grad` changed.",
    "what your code writes into x, and which tensor it asks gradients for",
)
NOT_THE_SAME_TWICE = Misconception(
    "not-the-same-twice",
    "A second call with the same f and x gave another number.",
    "gradients that add up from call to call, and numbers drawn at random",
)

check_gradient_check = Check(
    "gradient_check",
    hints=(
        "Work on a copy of x that is yours alone: `x.detach().clone()`. You need two, one to ask autograd about "
        "and one to move.",
        "`torch.autograd.grad(f(own), own)` gives a tuple with the gradient and writes no `.grad`. For the other "
        "one, move one entry by h and by -h, and divide the change of f by the distance between the two points.",
        "Loop over `range(x.numel())` with a flat copy; `flat.view(x.shape)` gives f the shape it expects. Put the "
        "entry back before the next. With float64, h between 1e-6 and 1e-4 does well.",
    ),
)


class Waves(nn.Module):
    """Smooth, and different in every entry: the sum of w_i sin(x_i + i)."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1)
        places = torch.arange(flat.numel(), dtype=x.dtype, device=x.device)
        return ((1 + places / 3) * torch.sin(flat + places)).sum()


class Mixed(nn.Module):
    """Every entry has to do with every other: the log of a sum of exponentials, times the first entry."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1)
        return torch.logsumexp(flat, 0) * flat[0]


class Bowl(nn.Module):
    """So strongly curved that a one-sided difference shows, whatever its h; a central one is exact."""

    def forward(self, x: Tensor) -> Tensor:
        return (150 * x * x).sum()


class Bottom(nn.Module):
    """The same bowl with its lowest point at 1: there a central difference is 0 whatever its h, a one-sided one is not."""

    def forward(self, x: Tensor) -> Tensor:
        return (150 * (x - 1) * (x - 1)).sum()


class Slope(nn.Module):
    """A line: the difference of any two points gives its gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x.sum()


class Half(nn.Module):
    """The sum of w_i x_i squared, of which autograd sees one factor, and half the gradient."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1)
        return (self.weights * flat * flat.detach()).sum() + torch.sin(flat).sum()

    def errors(self, x: Tensor) -> Tensor:
        """Autograd's gradient minus the true one: w x instead of 2 w x."""
        return -self.weights * x.detach().reshape(-1)


class Twice(nn.Module):
    """The sum of sin(x_i), behind a gradient that is too large by what the weights say."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1)
        unseen = self.weights * flat
        return torch.sin(flat).sum() + (unseen - unseen.detach()).sum()

    def errors(self, x: Tensor) -> Tensor:
        return self.weights


def _finds_nothing(
    gradient_check: Callable, f: Callable[[Tensor], Tensor], x: Tensor
) -> float | None:
    """What came back where the backward pass is right, unless it is as small as it should be."""
    seen = _float(gradient_check(f, x.clone()))
    # The contract's bound. A central difference with h from 1e-7 to 1e-3 stays below it for these functions.
    return None if 0 <= seen < 1e-6 else seen


def _check_right(gradient_check: Callable, f: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """The backward pass of f is autograd's own, so no difference is to be found."""
    seen = _finds_nothing(gradient_check, f, x)
    if seen is None:
        return
    own = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(own), own)
    size = gradient.abs().max().item()
    idea = STEP_SIZE
    if not seen >= 0:
        idea = SIGN_LOST
    elif seen > 0.05 * size:
        idea = NUMERIC_WRONG
    elif isinstance(f, Bowl) and _is_one_sided(gradient_check, x):
        idea = ONE_SIDED
    elif isinstance(f, Mixed):
        idea = NOT_PUT_BACK  # looked at last: where entries have nothing to do with each other all was well
    raise Wrong(
        idea,
        seen=gettext(
            "{seen:.3g} for a backward pass that is right ({function}, x of shape {shape}); "
            "its gradient goes up to {size:.3g}"
        ).format(seen=seen, function=type(f).__name__, shape=tuple(x.shape), size=size),
        expected="between 0 and 1e-6",
    )


def _is_one_sided(gradient_check: Callable, x: Tensor) -> bool:
    """Whether it is right on a line, and off at the lowest point of a parabola. The second alone would take float32 for
    one-sided; the first alone an h so tiny that only rounding is left."""
    if _finds_nothing(gradient_check, Slope(), x) is not None:
        return False
    # 150 h for a one-sided difference, and 150 times the rounding of 1 + h, at most 4e-14, for a central one
    return _float(gradient_check(Bottom(), torch.ones(1, dtype=torch.float64))) > 1e-12


@check_gradient_check.part(1, "finds no difference where the backward pass is right")
def _(gradient_check: Callable, cases: Sequence[tuple[nn.Module, Tensor]]) -> None:
    _check_right(gradient_check, Bowl(), 0.1 + 0.4 * torch.rand(6, dtype=torch.float64))
    for f, shape in ((Waves(), (5,)), (Waves(), (2, 3)), (Waves(), ()), (Mixed(), (2, 1, 3))):
        _check_right(gradient_check, f, torch.randn(shape, dtype=torch.float64))
    x = torch.rand(2, dtype=torch.float64)
    if _finds_nothing(gradient_check, Twice([1.5, -1.2]), x) is None:  # nor anywhere else
        _check_wrong(gradient_check, Twice([1.5, -1.2]), x)


def _check_wrong(gradient_check: Callable, f: Any, x: Tensor) -> None:
    """f.errors(x) says by how much autograd's gradient is off, entry by entry."""
    errors = f.errors(x)
    expected = errors.abs().max().item()
    seen = _float(gradient_check(f, x.clone()))
    # "Near": a sensible h is good to 1e-6, and to as many digits where the error is large
    if abs(seen - expected) <= 1e-6 + 1e-4 * expected:
        return
    own = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(own), own)
    gradient = gradient.reshape(-1)
    true, size = gradient - errors, errors.abs()
    both = true.abs() + gradient.abs()
    added = [
        size.mean(),
        size.sum(),
        size.norm(),
        size.square().max(),
        size.square().mean(),
        size.square().sum(),
    ]
    relative = [(size / scale).max() for scale in (true.abs(), gradient.abs(), both)]
    relative += [size.max() / scale.abs().max() for scale in (true, gradient, both)]
    relative += [
        size.norm() / scale
        for scale in (true.norm() + gradient.norm(), true.norm(), gradient.norm())
    ]

    def is_one_of(values: Sequence[Tensor]) -> bool:
        return any(abs(seen - value.item()) <= 1e-3 * value.item() for value in values)

    if abs(seen - expected) < 0.01 or (seen == 0 and expected < 0.01):
        idea = ROUNDED_AWAY
    elif is_one_of(
        [errors.max().abs(), errors.min().abs(), errors.sum().abs(), errors.mean().abs()]
    ):
        idea = SIGN_LOST
    elif is_one_of([*added, size.median()]):
        idea = NOT_THE_LARGEST
    elif is_one_of(relative):
        idea = RELATIVE
    elif seen < 1e-6 or is_one_of(list(size)):
        idea = ENTRIES_MISSED
    else:
        idea = WRONG_ERROR
    shown = gettext("{seen:.4g} ({function}, x of shape {shape})").format(
        seen=seen, function=type(f).__name__, shape=tuple(x.shape)
    )
    raise Wrong(idea, seen=shown, expected=f"{expected:.4g}")


@check_gradient_check.part(2, "gives the largest absolute difference where it is wrong")
def _(gradient_check: Callable, cases: Sequence[tuple[nn.Module, Tensor]]) -> None:
    x = 0.5 + torch.rand(4, dtype=torch.float64)
    _check_wrong(gradient_check, Half([0.7, -0.2, 0.4, 0.3]), x)
    _check_wrong(gradient_check, Twice([0.3, -1.7, 0.9]), torch.rand(3, 1, dtype=torch.float64))
    # the last of all entries, and one in the middle; the sign of each error
    last = [0.0] * 11 + [2.5]
    middle = [0.0, 0.0, 0.0, -0.06, 0.0, 0.0, 0.0, 0.0]
    _check_wrong(gradient_check, Twice(last), torch.randn(2, 3, 2, dtype=torch.float64))
    _check_wrong(gradient_check, Half(last), 1 + torch.rand(12, dtype=torch.float64))
    _check_wrong(gradient_check, Twice(middle), torch.randn(4, 2, dtype=torch.float64))
    _check_wrong(gradient_check, Half([1.5]), torch.tensor(-0.8, dtype=torch.float64))
    _check_wrong(gradient_check, Twice([0.0, -3e-4]), torch.randn(2, dtype=torch.float64))


@check_gradient_check.part(1, "leaves x as it was, and says the same when asked again")
def _(gradient_check: Callable, cases: Sequence[tuple[nn.Module, Tensor]]) -> None:
    for asks, f in (
        (False, Waves()),
        (True, Waves()),
        (True, Twice([0.2, -0.4, 0.1, 0.0, 0.3, 0.0])),
    ):
        start = torch.randn(3, 2, dtype=torch.float64)
        old = torch.randn(3, 2, dtype=torch.float64) if asks else None
        x = start.clone().requires_grad_(asks)
        x.grad = None if old is None else old.clone()
        first = _float(gradient_check(f, x))
        if not _same(x, start):
            by = (x.detach() - start).abs().max().item()
            raise Wrong(
                X_CHANGED,
                seen=gettext("an entry of x moved by {by:.2g}").format(by=by),
                expected="bit for bit the same",
            )
        if x.requires_grad != asks:
            raise Wrong(
                X_CHANGED,
                seen=gettext("x.requires_grad is {flag}").format(flag=x.requires_grad),
                expected=f"{asks}",
            )
        if (x.grad is None) != (old is None) or (old is not None and not _same(x.grad, old)):
            raise Wrong(X_CHANGED, seen="x.grad is not what it was", expected=f"{_short(old)}")
        second = _float(gradient_check(f, x))
        if first != second:
            raise Wrong(
                NOT_THE_SAME_TWICE,
                seen=gettext("first {first:.4g}, then {second:.4g}").format(
                    first=first, second=second
                ),
            )
    shipped = (Twice([0.4, -0.9]), torch.rand(2, dtype=torch.float64))
    for f, x in (shipped, *cases):  # what does nothing leaves x as it was
        _check_wrong(gradient_check, f, x) if hasattr(f, "errors") else _check_right(
            gradient_check, f, x
        )


# --------------------------------------------------------------------------------------------------------
# sgd_step
# --------------------------------------------------------------------------------------------------------

RECORDED = Misconception(
    "update-recorded",
    "The update was recorded by autograd. What came out of it is no longer a leaf, or autograd refused to record a "
    "change of one in place.",
    "whether the lines that change parameters run where gradients are off",
)
REPLACED = Misconception(
    "replaced",
    "A parameter was replaced by a new tensor. The network still holds the old one, and never learns of the step.",
    "whether your line changes the tensor, or what a name or a place in the list stands for",
)
NOT_MOVED = Misconception(
    "not-moved",
    "A parameter with a gradient did not move.",
    "whether your line changes the tensor itself, or makes a new one under the same name",
)
UPHILL = Misconception(
    "uphill",
    "The step goes uphill: the gradient points to where the loss grows.",
    "the sign of the update",
)
RATE_IN_VELOCITY = Misconception(
    "rate-in-velocity",
    "The learning rate went into the velocity. When the rate changes, old gradients then keep their old rate.",
    "which of the two lines has the learning rate in it",
)
AVERAGED = Misconception(
    "averaged",
    "The gradient was scaled by 1 - momentum before it entered the velocity. Here it enters whole.",
    "the factor of the gradient in the line of the velocity",
)
OLD_VELOCITY = Misconception(
    "old-velocity",
    "The parameter moved by the velocity from before this step.",
    "the order of your two lines",
)
NESTEROV = Misconception(
    "nesterov",
    "The parameter looked ahead by one more momentum, as Nesterov's variant does. Here it moves by the velocity itself.",
    "what the learning rate is multiplied by",
)
VELOCITY_LOST = Misconception(
    "velocity-lost",
    "The new velocity is not in `buffers` afterwards, so the next step knows nothing of this one.",
    "where the velocity is kept when your function returns",
)
GRADIENT_AS_VELOCITY = Misconception(
    "gradient-as-velocity",
    "The tensor in `buffers` is the parameter's `.grad` itself. When the next batch writes its gradient there, the "
    "velocity is overwritten.",
    "lines that put `p.grad` into `buffers`, where a copy of its numbers should be",
)
WRONG_VELOCITY = Misconception(
    "wrong-velocity",
    "A velocity is not momentum times the old one plus the gradient.",
    "the line of the velocity, and which buffer belongs to which parameter",
)
WRONG_MOVE = Misconception(
    "wrong-move",
    "A parameter did not move by the learning rate times its velocity.",
    "the line of the parameter",
)
NONE_NOT_SKIPPED = Misconception(
    "none-not-skipped",
    "A parameter whose `.grad` is `None` is to be skipped: neither it nor its velocity changes.",
    "what your loop does first with each parameter",
)
ZERO_SKIPPED = Misconception(
    "zero-skipped",
    "A gradient of zeros is a gradient. With momentum the parameter coasts on, and only `None` is skipped.",
    "the condition under which your loop goes on to the next parameter",
)
STOPPED_AT_NONE = Misconception(
    "stopped-at-none",
    "The step ended at a parameter whose `.grad` is `None`. Those behind it have gradients, and stood still.",
    "which word leaves the loop, and which goes on with the next turn",
)
BUFFERS_SHIFTED = Misconception(
    "buffers-shifted",
    "Behind the parameter that was skipped, each one got the velocity of another.",
    "how your loop pairs parameters and buffers",
)
GRADIENT_CHANGED = Misconception(
    "gradient-changed",
    "A `.grad` was changed or cleared. That is for the loop to decide, and not for the step.",
    "lines that write into `.grad`, in place too, and calls of `zero_`",
)

check_sgd_step = Check(
    "sgd_step",
    hints=(
        "One pass over the parameters with their buffers, two lines for each: first the velocity, then the parameter.",
        "`with torch.no_grad():` around the loop lets you change a parameter in place. `p -= ...` changes the "
        "tensor; `p = p - ...` makes another and leaves the first as it was.",
        "`for p, v in zip(params, buffers):`, `continue` where `p.grad is None`; then `v.mul_(momentum).add_(p.grad)` "
        "and `p.sub_(lr * v)`.",
    ),
)

_SHAPES = ((3, 4), (4,), (), (2, 3, 2), (4,))


def _parameters(dtype: torch.dtype, shapes: Sequence[tuple[int, ...]] = _SHAPES) -> list[Tensor]:
    """Leaves with requires_grad: some of them `nn.Parameter`, as a network's, some plain tensors."""
    made = []
    for index, shape in enumerate(shapes):
        value = torch.randn(shape, dtype=dtype)
        made.append(nn.Parameter(value) if index % 2 else value.requires_grad_())
    return made


class _Run:
    """Some parameters, and where SGD's formula, worked out in float64, puts them:

    v <- momentum * v + grad;  p <- p - lr * v   (torch.optim.SGD's documentation, without weight decay)
    """

    def __init__(
        self, dtype: torch.dtype = torch.float64, shapes: Sequence[tuple[int, ...]] = _SHAPES
    ) -> None:
        self.dtype = dtype
        self.params = _parameters(dtype, shapes)
        self.buffers = [torch.zeros(shape, dtype=dtype) for shape in shapes]
        self.p = [parameter.detach().double().clone() for parameter in self.params]
        self.v = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
        self.steps = 0

    def step(
        self,
        sgd_step: Callable,
        lr: float,
        momentum: float,
        *,
        none: Sequence[int] = (),
        zero: Sequence[int] = (),
        also: Callable[[list[Tensor | None]], None] = lambda gradients: None,
        velocities: bool = True,
    ) -> None:
        """One step of the learner's beside the formula's; parameters at these places have no gradient, or zeros.

        velocities: whether `buffers` are looked at, too.
        """
        self.steps += 1
        gradients: list[Tensor | None] = []
        for place, parameter in enumerate(self.params):
            gradient = (
                None
                if place in none
                else torch.randn_like(parameter).detach() * (place not in zero)
            )
            if gradient is None or parameter.grad is None or not velocities:
                parameter.grad = None if gradient is None else gradient.clone()
            else:
                parameter.grad.copy_(gradient)  # as after `zero_grad(set_to_none=False)`
            gradients.append(gradient)
        params, buffers = list(self.params), self.buffers
        start, velocity = [p.detach().clone() for p in params], [v.clone() for v in self.v]
        try:
            sgd_step(params, lr, momentum, buffers)
        except RuntimeError as error:
            if "leaf Variable that requires grad" in str(error):
                raise Wrong(
                    RECORDED, seen=gettext("autograd said: {error}").format(error=error)
                ) from error
            raise
        except (TypeError, AttributeError) as error:
            if none and "None" in str(error):
                raise Wrong(NONE_NOT_SKIPPED, seen=f"{type(error).__name__}: {error}") from error
            raise
        for place, gradient in enumerate(gradients):
            if gradient is not None:
                self.v[place] = momentum * velocity[place] + gradient.double()
                self.p[place] = self.p[place] - lr * self.v[place]
        also(gradients)
        if len(params) != len(self.params):
            raise Wrong(
                REPLACED,
                seen=gettext("the list has {count} parameters").format(count=len(params)),
                expected=len(self.params),
            )
        for place, now in enumerate(params):
            if now is not self.params[place]:
                recorded = isinstance(now, Tensor) and now.grad_fn is not None
                raise Wrong(
                    RECORDED if recorded else REPLACED,
                    seen=gettext(
                        "params[{place}] is another tensor after the call, with a grad_fn"
                    ).format(place=place)
                    if recorded
                    else gettext("params[{place}] is another tensor after the call").format(
                        place=place
                    ),
                    expected="the same tensor, changed in place",
                )
        for place in range(len(params)):
            if not velocities and self._is(self.params[place], self.p[place]):
                continue
            self._compare(
                place, gradients, start[place], velocity[place], lr, momentum, (none, zero)
            )

    def _compare(
        self,
        place: int,
        gradients: list[Tensor | None],
        start: Tensor,
        velocity: Tensor,
        lr: float,
        momentum: float,
        skipped: tuple[Sequence[int], Sequence[int]],
    ) -> None:
        p, v = self.params[place].detach(), self.buffers[place]
        where = gettext(
            "step {step}, parameter {place} of shape {shape}, lr={lr:g}, momentum={momentum:g}"
        ).format(step=self.steps, place=place, shape=tuple(p.shape), lr=lr, momentum=momentum)
        if not isinstance(v, Tensor) or v.shape != p.shape:
            raise Wrong(
                WRONG_VELOCITY,
                seen=gettext("{where}: buffers[{place}] is {buffer}").format(
                    where=where, place=place, buffer=_short(v)
                ),
            )
        if v.requires_grad:
            raise Wrong(
                RECORDED,
                seen=gettext("{where}: buffers[{place}].requires_grad is True").format(
                    where=where, place=place
                ),
                expected="False",
            )
        moved, kept = self._is(p, self.p[place]), self._is(v, self.v[place])
        if moved and kept:
            return
        none, zero = skipped
        gradient = gradients[place]
        if gradient is None:
            others = [g.double() for g in gradients if g is not None and g.shape == v.shape]
            shifted = any(self._is(v, momentum * velocity + g) for g in others)
            raise Wrong(
                BUFFERS_SHIFTED if shifted and self._is(p, start) else NONE_NOT_SKIPPED,
                seen=gettext("{where}: it has no gradient, and it or its velocity changed").format(
                    where=where
                ),
            )
        if place in zero and self._is(p, start):
            raise Wrong(
                ZERO_SKIPPED,
                seen=gettext("{where}: its gradient is zero, and it stood still").format(
                    where=where
                ),
            )
        g, start = gradient.double(), start.double()
        wants, seen = (
            self.v[place],
            gettext("{where}: it is {difference}").format(
                where=where, difference=_first_difference(p, self.p[place])
            ),
        )
        if moved:
            seen = gettext("{where}: its velocity is {difference}").format(
                where=where, difference=_first_difference(v, wants)
            )
        if none and place > min(none):
            raise Wrong(STOPPED_AT_NONE if self._is(p, start) else BUFFERS_SHIFTED, seen=seen)
        ideas = (
            (OLD_VELOCITY, momentum and self._is(p, start - lr * velocity) and kept),
            (NOT_MOVED, self._is(p, start)),
            (UPHILL, self._is(p, start + lr * wants) or self._is(p, start + lr * g)),
            (
                RATE_IN_VELOCITY,
                any(self._is(v, momentum * velocity + rate * g) for rate in (lr, -lr)),
            ),
            (AVERAGED, momentum and self._is(v, momentum * velocity + (1 - momentum) * g)),
            (
                GRADIENT_AS_VELOCITY,
                momentum and any(self._is(v, n * g) for n in (2 * momentum, 1 + momentum)),
            ),
            (VELOCITY_LOST, self._is(v, velocity) or self._is(v, torch.zeros_like(v))),
            (NESTEROV, kept and self._is(p, start - lr * (g + momentum * wants))),
            (WRONG_MOVE, kept),
        )
        for idea, fits in ideas:
            if fits:
                raise Wrong(idea, seen=seen)
        raise Wrong(
            WRONG_VELOCITY,
            seen=gettext("{where}: its velocity is {difference}").format(
                where=where, difference=_first_difference(v, wants)
            ),
        )

    def _is(self, now: Tensor, expected: Tensor) -> bool:
        # a few roundings in the parameter's own dtype; a wrong term is of the size of the gradient, about 1
        tolerance = 1e-10 if self.dtype is torch.float64 else 1e-5
        return torch.allclose(
            now.detach().double(), expected.double(), rtol=tolerance, atol=tolerance
        )


def _first_difference(now: Tensor, expected: Tensor) -> str:
    now, expected = now.detach().double().reshape(-1), expected.double().reshape(-1)
    worst = int((now - expected).abs().nan_to_num(torch.inf).argmax())
    return gettext("{now:.6g} instead of {expected:.6g}").format(
        now=now[worst].item(), expected=expected[worst].item()
    )


# `torch.enable_grad()` around a part: what the learner's code switched off is back afterwards, as it was before.


@check_sgd_step.part(1, "moves each parameter in place, against its gradient")
@torch.enable_grad()
def _(sgd_step: Callable, cases: Sequence[Sequence[tuple[int, ...]]]) -> None:
    for dtype in (torch.float64, torch.float32):
        run = _Run(dtype)
        for lr in (0.1, 0.03):
            run.step(sgd_step, lr, 0.0, velocities=False)


@check_sgd_step.part(2, "keeps a velocity for each parameter from step to step")
@torch.enable_grad()
def _(sgd_step: Callable, cases: Sequence[Sequence[tuple[int, ...]]]) -> None:
    for dtype, momentum in ((torch.float64, 0.9), (torch.float32, 0.5), (torch.float64, 0.7)):
        run = _Run(dtype)
        for lr in (0.2, 0.2, 0.04, 0.6):
            run.step(sgd_step, lr, momentum)
    run = _Run()
    for momentum in (0.0, 0.6, 0.3):
        run.step(sgd_step, 0.2, momentum)


@check_sgd_step.part(1, "skips a parameter without a gradient, and no other")
@torch.enable_grad()
def _(sgd_step: Callable, cases: Sequence[Sequence[tuple[int, ...]]]) -> None:
    run = _Run(
        shapes=((2, 3), (4,), (4,), (4,), (3,))
    )  # neighbours of one shape: a shift raises no error
    run.step(sgd_step, 0.1, 0.9)
    run.step(sgd_step, 0.1, 0.9, none=[1, 4])
    run.step(sgd_step, 0.2, 0.9, zero=[0, 2])
    run.step(sgd_step, 0.1, 0.9, none=[0, 2])
    run.step(sgd_step, 0.1, 0.9)
    _Run().step(sgd_step, 0.1, 0.9, none=range(5))


@check_sgd_step.part(1, "records nothing, and leaves every .grad as it is")
@torch.enable_grad()
def _(sgd_step: Callable, cases: Sequence[Sequence[tuple[int, ...]]]) -> None:
    for shapes in (_SHAPES, *cases):
        run = _Run(shapes=shapes)

        def same_gradients(gradients: list[Tensor | None], run: _Run = run) -> None:
            for place, (parameter, gradient) in enumerate(zip(run.params, gradients, strict=True)):
                if not parameter.requires_grad or parameter.grad_fn is not None:
                    seen = gettext("requires_grad {flag}, grad_fn {grad_fn}").format(
                        flag=parameter.requires_grad, grad_fn=parameter.grad_fn
                    )
                    raise Wrong(
                        RECORDED,
                        seen=gettext("parameter {place}: {seen}").format(place=place, seen=seen),
                        expected="a leaf that asks for gradients, as before",
                    )
                if gradient is not None and (
                    parameter.grad is None or not _same(parameter.grad, gradient)
                ):
                    now = (
                        "None"
                        if parameter.grad is None
                        else _first_difference(parameter.grad, gradient)
                    )
                    raise Wrong(
                        GRADIENT_CHANGED,
                        seen=gettext("parameter {place}: its .grad is {now}").format(
                            place=place, now=now
                        ),
                    )

        for lr, momentum in ((0.1, 0.9), (0.2, 0.9), (0.1, 0.0)):
            run.step(sgd_step, lr, momentum, also=same_gradients)


# --------------------------------------------------------------------------------------------------------
# train_epoch
# --------------------------------------------------------------------------------------------------------

GRADIENTS_KEPT = Misconception(
    "gradients-kept",
    "Gradients were not cleared. `backward` adds to what is in `.grad`, so a step went along gradients of earlier "
    "batches too.",
    "what stands between one call of `backward` and the next, and before the first",
)
CLEARED_TOO_LATE = Misconception(
    "nothing-learnt",
    "No parameter moved in the whole epoch.",
    "whether `backward` runs before `step`, and what happens to the gradients in between",
)
ONE_STEP = Misconception(
    "one-step",
    "The optimiser took one step for the whole epoch. Each batch is to have its own.",
    "what is inside your loop, and what is behind it",
)
LOSS_IGNORED = Misconception(
    "loss-ignored",
    "`loss_fn` was never called. Which loss to train with is the caller's choice.",
    "the line that computes the loss",
)
ARGUMENTS_SWAPPED = Misconception(
    "arguments-swapped",
    "`loss_fn` got the targets first. It wants the model's outputs, then the targets.",
    "the order of the two arguments",
)
OUTPUTS_CHANGED = Misconception(
    "outputs-changed",
    "`loss_fn` did not get what the model gives for the batch.",
    "what happens to the outputs between the model and the loss",
)
NOT_TRAINING = Misconception(
    "not-training",
    "The model was not in training mode for every batch: Dropout is off then, and BatchNorm takes its running "
    "statistics and never renews them.",
    "which mode the model is in when the first batch comes, and its layers with it",
)
WRONG_STEPS = Misconception(
    "wrong-steps",
    "The parameters are not where one step of this optimiser for each batch puts them.",
    "what is between the loss and the parameters: one `backward`, one `step`, nothing else",
)
LAST_LOSS = Misconception(
    "last-loss",
    "This is the loss of one batch, and not that of the epoch.",
    "what your sum collects, and where it is set to zero",
)
LOSSES_SUMMED = Misconception(
    "losses-summed",
    "The losses were added up, or divided by the wrong number.",
    "what the sum is divided by in the end",
)
WRONG_MEAN_LOSS = Misconception(
    "wrong-mean-loss",
    "This is not the mean, over the examples, of the losses that the steps were taken with.",
    "which loss you collect: the one before the step of its own batch",
)

check_train_epoch = Check(
    "train_epoch",
    hints=(
        "Five things for each batch, and their order matters: clear, outputs, loss, backward, step. One thing before "
        "all of them: the mode.",
        "`loss_fn` gives a mean over the batch. Times the number of examples in the batch it is a sum, and sums of "
        "batches of any size can be added.",
        "`total += loss.item() * len(inputs)` and `count += len(inputs)` inside the loop, `return total / count` "
        "behind it.",
    ),
)


class Scored(nn.Module):
    """Inputs (N, D) to (N, K): normalised, where there is a BatchNorm, then one linear layer."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool = False) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.BatchNorm1d(inputs, affine=False) if norm else nn.Identity())
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.front(x))


class _Epoch:
    """A linear model, its batches, and where an epoch's steps must lead: from formulas, beside the learner's.

    With outputs z = x W' + b, one row an example, the gradient of a mean loss with respect to z is known:
    (softmax(z) - one-hot) / n for cross-entropy, 2 (z - y) / (n K) for the squared error. Those of W and b follow
    from it: d' x and the sum of d over the rows. The optimiser's own step is the library's.
    """

    def __init__(
        self,
        examples: int,
        batch: int,
        *,
        make: Callable[[list[Tensor]], torch.optim.Optimizer],
        squared: bool = False,
        norm: bool = False,
        inputs: int = 4,
        outputs: int = 3,
    ) -> None:
        self.squared, self.make = squared, make
        x = torch.randn(examples, inputs, dtype=torch.float64) * 1.5 + 0.7
        late = torch.arange(examples) >= examples - examples % batch
        x[late] *= 4  # the short last batch is unlike the others, so that its weight shows
        y = (
            torch.randn(examples, outputs).double()
            if squared
            else torch.randint(outputs, (examples,))
        )
        self.batches = list(zip(x.split(batch), y.split(batch), strict=True))
        self.loader = DataLoader(TensorDataset(x, y), batch_size=batch)
        self.model = Scored(inputs, outputs, norm=norm).double()
        self.start = [p.detach().clone() for p in self.model.parameters()]
        self.stale = [torch.randn_like(p) for p in self.start]
        for parameter, gradient in zip(self.model.parameters(), self.stale, strict=True):
            parameter.grad = gradient.clone()  # left over from whatever was done before
        self.optimizer = make(list(self.model.parameters()))
        self.calls = 0

    def loss_fn(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss that the learner's code calls: it runs here, where the check is."""
        self.calls += 1
        if not isinstance(outputs, Tensor):
            raise Wrong(
                OUTPUTS_CHANGED,
                seen=gettext("the outputs are {outputs}").format(outputs=_short(outputs)),
            )
        if not isinstance(targets, Tensor):
            raise Wrong(
                OUTPUTS_CHANGED,
                seen=gettext("the targets are {targets}").format(targets=_short(targets)),
            )
        known = [y for _, y in self.batches]
        is_targets = [len(outputs) == len(y) and _same(outputs, y) for y in known]
        if any(is_targets) and not any(len(targets) == len(y) and _same(targets, y) for y in known):
            raise Wrong(ARGUMENTS_SWAPPED, seen="the first argument holds the targets of a batch")
        if self.calls == 1:
            self._look_at(outputs.detach())
        return self._loss(outputs, targets)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs, targets) if self.squared else F.cross_entropy(outputs, targets)

    def _look_at(self, outputs: Tensor) -> None:
        """Before the first step the parameters are known, and so is what the model gives."""
        if self.squared:
            return
        z = self._inputs(self.batches[0][0], self._norm) @ self.start[0].T + self.start[1]
        if outputs.shape != z.shape or torch.allclose(outputs, z):
            return
        if torch.allclose(outputs, z.softmax(1)):
            raise Wrong(
                SOFTMAX_FIRST, seen="each row that `loss_fn` got adds up to 1", expected="logits"
            )

    @property
    def _norm(self) -> nn.Module:
        return self.model.front[0]

    def _inputs(self, x: Tensor, norm: nn.Module, *, training: bool = True) -> Tensor:
        if not isinstance(norm, nn.BatchNorm1d):
            return x
        return F.batch_norm(
            x, norm.running_mean.clone(), norm.running_var.clone(), training=training, eps=norm.eps
        )

    def walk(
        self,
        batches: Sequence[Batch],
        *,
        before: Sequence[Tensor] | None = None,
        kept: bool = False,
        training: bool = True,
        norm: nn.Module | None = None,
    ) -> tuple[list[Tensor], list[float]]:
        """Parameters after one step for each batch, and the loss before each.

        before: gradients that are there at the first batch. kept: whether each batch's stay for the next.
        """
        norm = self._norm if norm is None else norm
        params = [value.clone().requires_grad_() for value in self.start]
        optimizer = self.make(params)
        old = list(before) if before is not None else [torch.zeros_like(p) for p in params]
        losses = []
        for x, y in batches:
            x, (weight, bias) = (
                self._inputs(x, norm, training=training),
                [p.detach() for p in params],
            )
            z = x @ weight.T + bias
            if self.squared:
                slope = 2 * (z - y) / z.numel()
            else:
                slope = (z.softmax(1) - F.one_hot(y, z.shape[1])) / len(z)
            losses.append(self._loss(z, y).item())
            new = [slope.T @ x, slope.sum(0)]
            for place, parameter in enumerate(params):
                parameter.grad = old[place] + new[place]
                old[place] = parameter.grad.clone() if kept else torch.zeros_like(parameter)
            optimizer.step()
        return [p.detach() for p in params], losses

    def run(self, train_epoch: Callable) -> Any:
        return train_epoch(self.model, self.loader, self.optimizer, self.loss_fn)

    def arrived(self, expected: Sequence[Tensor]) -> bool:
        # float64, a few steps: rounding is 1e-14, and what any wrong step adds is of the size of a gradient
        now = [p.detach() for p in self.model.parameters()]
        return all(
            torch.allclose(a, b, rtol=1e-8, atol=1e-9) for a, b in zip(now, expected, strict=True)
        )

    def check_parameters(self, train_epoch: Callable) -> Any:
        """Runs the learner's epoch, compares parameters, and names what happened instead. Gives what came back."""
        fresh = copy.deepcopy(self._norm)
        value = self.run(train_epoch)
        expected, _ = self.walk(self.batches, norm=fresh)
        if self.arrived(expected):
            return value
        if not self.calls:
            raise Wrong(
                LOSS_IGNORED,
                seen="0 calls",
                expected=gettext("{count}, one for each batch").format(count=len(self.batches)),
            )
        all_of = self.batches
        still = [torch.zeros_like(g) for g in self.stale]

        def summed(scale: float) -> list[Tensor]:
            """One step along the sum of all batches' gradients at the start."""
            params = [value.clone().requires_grad_() for value in self.start]
            optimizer = self.make(params)
            for x, y in all_of:
                loss = self._loss(self._inputs(x, fresh) @ params[0].T + params[1], y)
                (scale * loss).backward()
            optimizer.step()
            return [p.detach() for p in params]

        ideas: Iterator[tuple[Misconception, list[Tensor], str]] = iter(
            (
                (
                    CLEARED_TOO_LATE,
                    self.start,
                    gettext("the parameters are bit for bit what they were"),
                ),
                (
                    GRADIENTS_KEPT,
                    self.walk(all_of, before=self.stale, kept=True, norm=fresh)[0],
                    gettext("every step"),
                ),
                (
                    GRADIENTS_KEPT,
                    self.walk(all_of, before=still, kept=True, norm=fresh)[0],
                    gettext("from the second batch on"),
                ),
                (
                    GRADIENTS_KEPT,
                    self.walk(all_of, before=self.stale, norm=fresh)[0],
                    gettext("at the first batch"),
                ),
                (
                    BATCH_SKIPPED,
                    self.walk(all_of[:-1], norm=fresh)[0],
                    gettext("as if the last batch were not there"),
                ),
                (
                    BATCH_SKIPPED,
                    self.walk(all_of[:1], norm=fresh)[0],
                    gettext("as if there were one batch"),
                ),
                (ONE_STEP, summed(1.0), gettext("one step")),
                (ONE_STEP, summed(1 / len(all_of)), gettext("one step")),
                (ONE_STEP, self.walk(all_of[-1:], norm=fresh)[0], gettext("one step")),
                (
                    NOT_TRAINING,
                    self.walk(all_of, training=False, norm=fresh)[0],
                    gettext("the steps of a model in eval mode"),
                ),
            )
        )
        for idea, other, how in ideas:
            if self.arrived(other) and not (idea is BATCH_SKIPPED and len(all_of) == 1):
                raise Wrong(idea, seen=self._where(expected, how))
        raise Wrong(
            WRONG_STEPS,
            seen=self._where(
                expected,
                ngettext("{count} batch", "{count} batches", len(all_of)).format(count=len(all_of)),
            ),
        )

    def _where(self, expected: Sequence[Tensor], how: str) -> str:
        now = [p.detach() for p in self.model.parameters()]
        place = max(range(len(now)), key=lambda i: float((now[i] - expected[i]).abs().max()))
        name = list(dict(self.model.named_parameters()))[place]
        return f"{name}: {_first_difference(now[place], expected[place])} ({how})"


def _sgd(params: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.05)


def _standing_still(params: list[Tensor]) -> torch.optim.Optimizer:
    """Steps of length 0: the losses are those of the first parameters, whichever way the steps go."""
    return torch.optim.SGD(params, lr=0.0)


def _sgd_with_momentum(params: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.03, momentum=0.8, weight_decay=0.1)


def _adam(params: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, lr=0.02)


def _sgd_of_the_weight(params: list[Tensor]) -> torch.optim.Optimizer:
    """The bias is not the optimiser's, and has to stay."""
    return torch.optim.SGD(params[:1], lr=0.05)


@check_train_epoch.part(2, "takes one step for each batch, along that batch's gradients alone")
def _(train_epoch: Callable, cases: Sequence[dict[str, Any]]) -> None:
    for settings in (
        {"examples": 11, "batch": 4, "make": _sgd},
        {"examples": 7, "batch": 3, "make": _sgd_with_momentum},
        {"examples": 9, "batch": 4, "make": _sgd, "squared": True, "outputs": 2},
        {"examples": 10, "batch": 4, "make": _adam, "outputs": 5},
        {"examples": 5, "batch": 5, "make": _sgd_of_the_weight},
    ):
        _Epoch(**settings).check_parameters(train_epoch)


def _check_mean_loss(train_epoch: Callable, epoch: _Epoch) -> None:
    fresh = copy.deepcopy(epoch._norm)
    seen = _float(epoch.run(train_epoch))
    params, losses = epoch.walk(epoch.batches, norm=fresh)
    if not epoch.arrived(params):
        return  # other steps have other losses; the first part is about those
    sizes = [len(y) for _, y in epoch.batches]
    products = [loss * size for loss, size in zip(losses, sizes, strict=True)]
    expected = sum(products) / sum(sizes)
    # 1e-5: losses may be collected in float32; the nearest wrong mean is 1e-2 away
    if _near(seen, expected, within=1e-5):
        return
    others = (
        (BATCH_MEANS, sum(losses) / len(losses)),
        (LAST_LOSS, losses[-1]),
        (LAST_LOSS, losses[0]),
        (LOSSES_SUMMED, sum(losses)),
        (LOSSES_SUMMED, sum(products)),
        (LOSSES_SUMMED, sum(losses) / sum(sizes)),
        (LOSSES_SUMMED, sum(products) / len(losses)),
        (BATCH_MEANS, sum(loss * sizes[0] for loss in losses) / sum(sizes)),
        (BATCH_MEANS, sum(products) / (sizes[0] * len(sizes))),
        (BATCH_SKIPPED, sum(products[:-1]) / sum(sizes[:-1])),
    )
    shown = gettext("{seen:.6g} for batches of {sizes} with mean losses {losses}").format(
        seen=seen,
        sizes=", ".join(map(str, sizes)),
        losses=", ".join(f"{loss:.4g}" for loss in losses),
    )
    for idea, other in others:
        if _near(seen, other, within=1e-5):
            raise Wrong(idea, seen=shown, expected=f"{expected:.6g}")
    raise Wrong(WRONG_MEAN_LOSS, seen=shown, expected=f"{expected:.6g}")


@check_train_epoch.part(1, "returns the mean loss per example, as a Python float")
def _(train_epoch: Callable, cases: Sequence[dict[str, Any]]) -> None:
    for settings in (
        {"examples": 11, "batch": 4, "make": _standing_still},
        {"examples": 7, "batch": 6, "make": _standing_still, "squared": True, "outputs": 2},
        {"examples": 8, "batch": 4, "make": _standing_still},
        {"examples": 11, "batch": 4, "make": _sgd},
    ):
        _check_mean_loss(train_epoch, _Epoch(**settings))


def _check_statistics(train_epoch: Callable, epoch: _Epoch) -> None:
    """The running statistics of a BatchNorm that reads the inputs: moved by each batch, once."""
    norm = epoch.model.front[0]
    norm.running_mean.add_(torch.randn_like(norm.running_mean))
    norm.running_var.mul_(2.5)
    # BatchNorm's documentation: each batch moves them by a tenth of the way to its own
    keep, mean, var = 1 - norm.momentum, norm.running_mean.clone(), norm.running_var.clone()
    before = mean.clone()
    for x, _ in epoch.batches:
        mean = keep * mean + norm.momentum * x.mean(0)
        var = keep * var + norm.momentum * x.var(0)
    epoch.run(train_epoch)
    for now, expected in ((norm.running_mean, mean), (norm.running_var, var)):
        # float64: rounding is 1e-15, a batch more or less 1e-2
        if not torch.allclose(now, expected, rtol=1e-8, atol=1e-9):
            still = _same(norm.running_mean, before)
            raise Wrong(
                NOT_TRAINING,
                seen="a running statistic of a BatchNorm did not move"
                if still
                else gettext("a running statistic of a BatchNorm is {difference}").format(
                    difference=_first_difference(now, expected)
                ),
                expected=gettext("moved by each of the {count} batches, once").format(
                    count=len(epoch.batches)
                ),
            )


@check_train_epoch.part(1, "trains in training mode, whatever mode the model came in")
def _(train_epoch: Callable, cases: Sequence[dict[str, Any]]) -> None:
    for starts_training in (False, True):
        epoch = _Epoch(11, 4, make=_sgd, norm=True)
        epoch.model.train(starts_training)
        _check_statistics(train_epoch, epoch)
    basic = _Epoch(11, 4, make=_sgd)
    basic.run(train_epoch)
    if not basic.arrived(basic.walk(basic.batches)[0]):
        return  # the first part has said so
    epoch = _Epoch(11, 4, make=_sgd, norm=True)
    epoch.model.eval()
    epoch.check_parameters(train_epoch)
    for settings in cases:
        _Epoch(**settings).check_parameters(train_epoch)
        _check_mean_loss(train_epoch, _Epoch(**settings))


# --------------------------------------------------------------------------------------------------------
# evaluate
# --------------------------------------------------------------------------------------------------------

TRAINING_MODE = Misconception(
    "training-mode",
    "The model was evaluated in training mode: Dropout silenced a part of it at random, and BatchNorm looked at the "
    "batch instead of its running statistics.",
    "the mode of the model, and of all its layers, when the first batch goes in",
)
MODE_NOT_RESTORED = Misconception(
    "mode-not-restored",
    "Afterwards the model, or a layer of it, is in another mode than before. Whoever trains on then trains in eval "
    "mode, or evaluates in training mode, and nothing says so.",
    "what your code does with the mode before it returns, and whether it knows what the mode was",
)
GRAPH_BUILT = Misconception(
    "graph-built",
    "A graph was built: the outputs ask for gradients, so everything on the way was kept for a backward pass that "
    "never comes.",
    "whether the call of the model itself runs where gradients are off",
)
GRADIENTS_LEFT_OFF = Misconception(
    "gradients-left-off",
    "Afterwards gradients are still switched off, for everybody: the next loss that is to go backward has no graph.",
    "what switches gradients off, and where it ends",
)
MODEL_CHANGED = Misconception(
    "model-changed",
    "A parameter or a buffer of the model is not what it was. Measuring must not change what is measured.",
    "what your code does to the model besides calling it",
)
WRONG_CLASS = Misconception(
    "wrong-class",
    "The accuracy is not how often the largest logit of a row stands at the target.",
    "the dimension over which you take the largest, and what it is compared with",
)
NOT_A_SHARE = Misconception(
    "not-a-share",
    "This is a count or a percentage. The accuracy is a fraction between 0 and 1.",
    "what the number of right answers is divided by",
)

check_evaluate = Check(
    "evaluate",
    hints=(
        "Two switches are involved, and neither turns the other: one is the model's mode, the other is autograd's.",
        "`model.training` says the mode before you change it; `model.train(mode)` sets it, for all layers. "
        "`with torch.no_grad():` goes around the loop.",
        "Count: `right += (model(inputs).argmax(dim=1) == targets).sum().item()` and `count += len(targets)`. "
        "One division, at the end.",
    ),
)


class Moody(nn.Module):
    """Inputs (N, 5) to 4 logits, with layers that do other things in training mode."""

    def __init__(self, see: Callable[[Tensor], None] | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 6), nn.Sequential(nn.BatchNorm1d(6), nn.Tanh()))
        self.drop = nn.Dropout(0.6)
        self.head = nn.Linear(6, 4)
        self.tap = Tap(see) if see is not None else None

    def forward(self, x: Tensor) -> Tensor:
        logits = self.head(self.drop(self.body(x)))
        return logits if self.tap is None else self.tap(logits)


class Nested(nn.Module):
    """Evaluates another model each time it is called, and says whether gradients are on afterwards.

    Logits (N, 2): class 0 where they are, class 1 where they are not.
    """

    def __init__(self, evaluate: Callable, model: nn.Module, loader: DataLoader) -> None:
        super().__init__()
        self.evaluate, self.model, self.loader = evaluate, model, loader

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            self.evaluate(self.model, self.loader)
            off = not torch.is_grad_enabled()
        return F.one_hot(torch.full((len(x),), int(off)), 2).float()


def _moody(see: Callable[[Tensor], None] | None = None) -> Moody:
    """As training might have left it: running statistics far from those of the inputs that come."""
    model = Moody(see)
    norm = model.body[1][0]
    norm.running_mean.copy_(2 * torch.randn(6))
    norm.running_var.copy_(0.1 + torch.rand(6))
    return model


def _labelled(
    model: nn.Module, x: Tensor, right: Sequence[float], batch: int
) -> tuple[DataLoader, list[float]]:
    """Inputs with targets, of which this share of each batch is what the model says in eval mode; the shares."""
    twin = copy.deepcopy(model).eval()
    if isinstance(twin, Moody):
        twin.tap = None
    with torch.no_grad():
        logits = twin(x)
    said = logits.argmax(dim=1)
    targets, shares = said.clone(), []
    for rows, share in zip(torch.arange(len(x)).split(batch), right, strict=True):
        wrong = len(rows) - round(share * len(rows))
        # the second choice where the answer is to be wrong: also a neighbour in what a confused axis would say
        targets[rows[:wrong]] = logits[rows[:wrong]].topk(2, dim=1).indices[:, 1]
        shares.append(1 - wrong / len(rows))
    return DataLoader(TensorDataset(x, targets), batch_size=batch), shares


def _check_accuracy(
    evaluate: Callable, model: nn.Module, loader: DataLoader, shares: list[float]
) -> None:
    batches = list(loader)
    sizes = [len(y) for _, y in batches]
    count = sum(share * size for share, size in zip(shares, sizes, strict=True))
    expected = count / sum(sizes)
    seen = _float(evaluate(model, loader))
    # 1e-6: the share may have gone through float32; one example more or less is 1e-2
    if _near(seen, expected):
        return
    others = (
        (BATCH_MEANS, sum(shares) / len(shares)),
        (NOT_A_SHARE, 100 * expected),
        (NOT_A_SHARE, count),
        (NOT_A_SHARE, 100 * sum(shares) / len(shares)),
        (BATCH_MEANS, sum(share * sizes[0] for share in shares) / sum(sizes)),
        (BATCH_MEANS, count / (sizes[0] * len(sizes))),
        (BATCH_MEANS, count / len(sizes)),
        (BATCH_SKIPPED, shares[0]),
        (BATCH_SKIPPED, shares[-1]),
        (BATCH_SKIPPED, (count - shares[-1] * sizes[-1]) / max(1, sum(sizes[:-1]))),
        (BATCH_SKIPPED, (count - shares[-1] * sizes[-1]) / sum(sizes)),
    )
    shown = gettext("{seen:.6g} for batches of {sizes} with {shares} right").format(
        seen=seen, sizes=", ".join(map(str, sizes)), shares=", ".join(f"{s:.0%}" for s in shares)
    )
    for idea, other in others:
        if _near(seen, other):
            raise Wrong(idea, seen=shown, expected=f"{expected:.6g}")
    raise Wrong(WRONG_CLASS, seen=shown, expected=f"{expected:.6g}")


@check_evaluate.part(1, "is the share of all examples whose largest logit is at the target")
@torch.enable_grad()
def _(evaluate: Callable, cases: Sequence[nn.Module]) -> None:
    for n, batch, right in (
        (13, 5, (0.8, 0.6, 1 / 3)),
        (9, 4, (0.25, 0.5, 1.0)),
        (7, 7, (3 / 7,)),
        (6, 3, (1 / 3, 1.0)),
    ):
        model = nn.Linear(5, 4)
        _check_accuracy(evaluate, model, *_labelled(model, torch.randn(n, 5), right, batch))


@check_evaluate.part(1, "looks at the model in eval mode, with every layer of it")
@torch.enable_grad()
def _(evaluate: Callable, cases: Sequence[nn.Module]) -> None:
    for training in (True, False):
        model = _moody()
        model.train(training)
        norm = model.body[1][0]
        before = norm.running_mean.clone()
        x = torch.randn(40, 5)
        loader, shares = _labelled(model, x, (0.9, 1.0, 0.8), 16)
        try:
            _check_accuracy(evaluate, model, loader, shares)
        except Wrong as wrong:
            moved = not _same(norm.running_mean, before)
            if moved or wrong.misconception is WRONG_CLASS:
                seen = wrong.seen
                if moved:
                    seen = gettext("{seen}; a running mean moved").format(seen=seen)
                raise Wrong(TRAINING_MODE, seen=seen, expected=wrong.expected) from None
            raise
    # Dropout of everything: in training mode every answer is the bias's favourite
    model = nn.Sequential(nn.Linear(5, 6), nn.Dropout(1.0), nn.Linear(6, 4)).train()
    loader, shares = _labelled(model, torch.randn(15, 5), (0.5, 1.0), 8)
    try:
        _check_accuracy(evaluate, model, loader, shares)
    except Wrong as wrong:
        if wrong.misconception is WRONG_CLASS:
            raise Wrong(TRAINING_MODE, seen=wrong.seen, expected=wrong.expected) from None
        raise


@check_evaluate.part(1, "builds no graph while it runs")
@torch.enable_grad()
def _(evaluate: Callable, cases: Sequence[nn.Module]) -> None:
    for training in (False, True):
        asked: list[bool] = []
        model = _moody(lambda logits, asked=asked: asked.append(logits.requires_grad))
        model.train(training)
        loader, _ = _labelled(model, torch.randn(11, 5), (1.0, 0.5, 1.0), 4)
        asked.clear()
        evaluate(model, loader)
        if any(asked):
            raise Wrong(
                GRAPH_BUILT,
                seen=gettext(
                    "{count} of {total} batches gave logits with requires_grad True"
                ).format(count=sum(asked), total=len(asked)),
                expected="False",
            )
        if not asked:
            raise Wrong(BATCH_SKIPPED, seen="the model was never called")
    model = nn.Linear(5, 4)
    loader, _ = _labelled(model, torch.randn(3, 5), (1.0, 1.0), 2)
    zeros = DataLoader(
        TensorDataset(torch.randn(3, 5), torch.zeros(3, dtype=torch.int64)), batch_size=2
    )
    share = evaluate(Nested(evaluate, model, loader), zeros)
    if share != 1.0:
        raise Wrong(GRADIENTS_LEFT_OFF, seen="torch.is_grad_enabled() is False", expected="True")


@check_evaluate.part(1, "leaves the mode, the parameters and the buffers as they were")
@torch.enable_grad()
def _(evaluate: Callable, cases: Sequence[nn.Module]) -> None:
    for training in (True, False):
        model = _moody()
        model.train(training)
        for index, parameter in enumerate(model.parameters()):
            parameter.requires_grad_(index % 3 != 1)
        loader, shares = _labelled(model, torch.randn(11, 5), (1.0, 0.5, 1.0), 4)
        _check_left_alone(evaluate, model, loader)
        _check_accuracy(evaluate, model, loader, shares)  # what does nothing leaves all as it was
    for model in cases:
        x = torch.randn(9, *model.shape)
        model.train()
        loader, shares = _labelled(model, x, (0.75, 0.25, 1.0), 4)
        _check_left_alone(evaluate, model, loader)
        _check_accuracy(evaluate, model, loader, shares)


def _check_left_alone(evaluate: Callable, model: nn.Module, loader: DataLoader) -> None:
    modes = {name: module.training for name, module in model.named_modules()}
    values = {name: value.clone() for name, value in model.state_dict().items()}
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    evaluate(model, loader)
    for name, module in model.named_modules():
        if module.training != modes[name]:
            seen = gettext("{name} is in {mode} mode").format(
                name=name or gettext("the model itself"), mode=_mode(module.training)
            )
            raise Wrong(
                MODE_NOT_RESTORED,
                seen=seen,
                expected=gettext("{mode} mode, as before").format(mode=_mode(modes[name])),
            )
    now = model.state_dict()
    for name, value in values.items():
        if name not in now or not _same(now[name], value):
            raise Wrong(MODEL_CHANGED, seen=gettext("{name} is not what it was").format(name=name))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad != flags.get(name):
            raise Wrong(
                MODEL_CHANGED,
                seen=gettext("{name}.requires_grad is {flag}").format(
                    name=name, flag=parameter.requires_grad
                ),
                expected=gettext("{flag}, as before").format(flag=flags.get(name)),
            )


def _mode(training: bool) -> str:
    return "training" if training else "eval"
