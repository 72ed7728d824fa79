# %% [markdown]
# # 02 · When transfer pays
#
# You have twenty photos of clothes with their names: two trousers, two coats, two sandals and so on. Somewhere there is
# a network that has seen more than a million other photos, with a thousand other names. How many labelled photos of
# clothes is that million worth to you? A hundred? A thousand? And can it be worth less than nothing?
#
# Write three numbers down: what share of new photos you would expect a network to name rightly after your twenty, if it
# starts from random weights; if it starts from those of the million; and if there is no network at all, one
# weight for each pixel and kind of clothes.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "install", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
# Where the course is not installed, as in Colab, this brings it. Elsewhere it changes nothing.
import importlib.util
import subprocess
import sys

PACKAGE = "finetuning-from-zero"
if importlib.util.find_spec("course") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", PACKAGE], check=True)

from course.paths import beside

beside("02-transfer-gain")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
from collections.abc import Callable, Sequence
from typing import Any

import torch
from course import head, plots, scale, training
from course.data import fashion_mnist, wordnet_topics
from course.device import Timer, pick_device, place
from course.models import imagenet_labels, load_backbone, load_tokenizer, preprocess
from gain_checks import (
    check_learning_curve,
    check_n_per_class,
    check_normalisation_stats,
    check_stratified_split,
    check_transfer_gain,
)
from IPython.display import Markdown, display
from torch import Tensor, nn
from torch.nn import functional as F

device = pick_device()
head.show("02-transfer-gain", device, minutes=4)

# %% tags=["experiment"]
size = scale.experiment(
    offline={"train": 3000, "test": 1000},
    quick={"train": 300, "test": 60},
    full={"train": 20000, "test": 10000},
)
data = fashion_mnist()
x_known, y_known = data.x_train[: size.train], data.y_train[: size.train]
x_test, y_test = data.x_test[: size.test], data.y_test[: size.test]
first_two = torch.cat([torch.where(y_known == kind)[0][:2] for kind in range(len(data.classes))])
figure = plots.photos(
    x_known[first_two], [data.classes[kind] for kind in y_known[first_two]], columns=10
)

relatives = ["sandal", "running shoe", "Loafer", "cowboy boot", "sweatshirt", "jersey", "jean"]
relatives += ["cardigan", "trench coat", "fur coat", "gown", "purse"]
assert set(relatives) <= set(imagenet_labels())
print("Among ImageNet's thousand names:", ", ".join(relatives) + ".")

# %% [markdown]
# Before we measure, be clear about what "new" means. None of these photos was among ImageNet's: they come from a shop's
# catalogue of 2017, years after ImageNet was put together. But most of the *classes* were. The network has a name for sandals and
# one for running shoes, and relatives of nearly all the rest. It saw them in colour and large, not cut out in white on
# black at 28 pixels. So what it brings is kin to our task. Keep that in mind when you read the result: this is not a
# test of what happens with things that it never saw.
#
# ## What is kept back
#
# Whether a start is good shows on photos that the network was not trained on. So before anything is trained, some
# photos are put away: some to test on, once, at the end; some to choose by (a learning rate, a strength of
# regularisation, when to stop). The usual way to put away a fifth is to shuffle and cut. What could go wrong with that?
#
# Guess: we save every photo of a set twice, as happens when data are gathered from two places. Then we shuffle, cut off a
# fifth, and name each photo of that fifth by its nearest neighbour among the rest, the one whose pixels differ least.
# How much better does that look than it is?

# %% tags=["experiment"]
twins = scale.experiment(offline={"photos": 300}, quick={"photos": 40}, full={"photos": 300})


def nearest(train: tuple[Tensor, Tensor], images: Tensor) -> Tensor:
    """The label of the nearest training image for each image, int64 (N,)."""
    x, y = train
    apart = torch.cdist(images.flatten(1).float(), x.flatten(1).float())
    return y[apart.argmin(dim=1)]


def share(answers: Tensor, labels: Tensor) -> float:
    return (answers == labels).double().mean().item()


photos, names = x_known[: twins.photos].repeat(2, 1, 1, 1), y_known[: twins.photos].repeat(2)
rows = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0))
held, rest = rows[: len(rows) // 5], rows[len(rows) // 5 :]
looks = share(nearest((photos[rest], names[rest]), photos[held]), names[held])
truth = share(nearest((photos[rest], names[rest]), x_test), y_test)
display(
    Markdown(
        f"On the fifth that was put away: **{looks:.0%}**. On {len(y_test)} photos that are in neither: "
        f"**{truth:.0%}**."
    )
)
if twins.scale != "quick":
    assert looks > truth + 0.12

# %% [markdown]
# Most photos that were put away have their twin among those that were not. They are not recognised but remembered.
# Nothing warns you: the number is high, and everybody is glad. The same happens when a split is drawn carelessly and an example
# lands on both sides. So two rules. Twins are looked for *before* the split, and go to one side together. And the split
# itself gives every example to exactly one side.
#
# A second thing goes wrong more quietly. Cut off a tenth of a set in which a class has five examples, and the tenth
# may well have none of them: whatever is measured on it says nothing about that class. The remedy is to cut each class by
# itself, which is called a *stratified* split. If class $c$ has $n_c$ examples and the fractions are
# $f_1, \dots, f_K$ with $\sum_k f_k = 1$, split $k$ gets about $f_k\,n_c$ of them. About, because $f_k\,n_c$ is seldom a
# whole number, and here lies the trap: five examples and a fraction of a tenth make half an example, and half an
# example is rounded to none.
#
# Last: the draw is part of the experiment. Who wants to repeat it must be able to draw the same again, so it comes from
# a generator that is handed in, `torch.Generator().manual_seed(seed)`, and from nothing else.
#
# ### Exercise 1: split
#
# Difficulty ●●○, 15 minutes. Run the cell below yours for its verdict; `check_stratified_split.hint()` gives the next of
# three hints. The experiments further down use what you write: while an exercise is open they stop, and while its card
# is not green throughout, their figures mean nothing.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "stratified-split", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stratified_split(
    labels: Tensor, fractions: Sequence[float], generator: torch.Generator
) -> list[Tensor]:
    """Splits a data set so that every split has each class in its proportion.

    labels: int64 (N,), the class of each example; any values.
    fractions: positive, with sum 1 (up to rounding): the share of each split.
    generator: draws which examples go where, and nothing else does: the same seed gives the
        same split, another seed another one. The global generator is not used.

    Returns for each fraction, in order, a collection (tensor, list, ...) of indices into
    labels. Each of 0 .. N - 1 is in exactly one of them. Of a class with n examples, split k
    has fractions[k] * n, give or take two; and at least one, if the class has as many
    examples as there are splits.

    >>> labels = torch.tensor([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 3, 3])
    >>> big, small = stratified_split(labels, [0.8, 0.2], torch.Generator().manual_seed(0))
    >>> sorted(labels[big].tolist()), sorted(labels[small].tolist())
    ([3, 7, 7, 7, 7, 7, 7, 7, 7], [3, 7, 7])
    """
    ### BEGIN SOLUTION
    # Why: Each split gets its one first; every further example goes
    # where most is missing. So the counts add up to the class by
    # themselves, and no rounding can leave a small class out of a split.
    splits: list[list[int]] = [[] for _ in fractions]
    for label in labels.unique():
        places = torch.where(labels == label)[0]
        order = places[torch.randperm(len(places), generator=generator)].tolist()
        counts = [1 if len(order) >= len(fractions) else 0] * len(fractions)
        while sum(counts) < len(order):
            short = [f * len(order) - count for f, count in zip(fractions, counts, strict=True)]
            counts[short.index(max(short))] += 1
        for split, count in zip(splits, counts, strict=True):
            split += order[:count]
            order = order[count:]
    return [torch.tensor(split, dtype=torch.int64) for split in splits]
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-stratified-split", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from gain_checks import shuffled_labels

check_stratified_split.add_cases(
    long_tail=(shuffled_labels({-1: 300, 4: 77, 11: 12, 12: 3, 90: 6}, seed=1), (0.8, 0.1, 0.1)),
    halves=(shuffled_labels({0: 101, 1: 2, 2: 1}, seed=2), [0.5, 0.5]),
    quarters=(shuffled_labels({5: 64, 3: 20, 1: 8}, seed=3), [0.25, 0.25, 0.25, 0.25]),
)
### END HIDDEN TESTS
check_stratified_split(stratified_split)

# %% [markdown]
# We use it at once. Of the labelled photos four fifths are to train on; the rest is to choose by. The test photos
# come from the data set's own test split and stay where they are.

# %% tags=["experiment"]
scale.experiment()
train_rows, choose_rows = stratified_split(y_known, (0.8, 0.2), torch.Generator().manual_seed(0))
train_rows, choose_rows = torch.as_tensor(train_rows), torch.as_tensor(choose_rows)
assert not set(train_rows.tolist()) & set(choose_rows.tolist()), "see the card of stratified_split"
# A split may come class by class. Mixed, the first thousand photos are a fair sample too.
train_rows = train_rows[torch.randperm(len(train_rows), generator=torch.Generator().manual_seed(1))]
x_train, y_train = x_known[train_rows], y_known[train_rows]
print(
    f"{len(y_train):,} photos to train on, {len(choose_rows):,} to choose by, {len(y_test):,} to test on."
)

# %% [markdown]
# ## Few examples
#
# Now we make data scarce on purpose. Draw twenty of the training photos at random. How many of the ten kinds of clothes
# will be missing? A kind stays out of one draw with probability $1 - \frac{1}{10}$, so out of all twenty with $0.9^{20}$,
# about an eighth; of ten kinds a bit more than one is missing on average. A classifier cannot name what it has never been
# shown. So in studies with few examples one often draws *n of each class* instead, and says so.
#
# ### Exercise 2: n of each class
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "n-per-class", "locked": false, "schema_version": 3, "solution": true, "task": false}
def n_per_class(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draws n examples of every class, without replacement.

    labels: int64 (N,), the class of each example; any values. Every class that occurs has at
        least n examples.
    n: how many of each class, at least 1.
    generator: draws which ones, and nothing else does: the same seed gives the same choice,
        another seed another one. The global generator is not used.

    Returns the indices into labels, n for each class that occurs, in any order, none twice.

    Must not change: labels.

    >>> labels = torch.tensor([3, 7, 7, 3, 7, 3, 7])
    >>> rows = n_per_class(labels, 2, torch.Generator().manual_seed(0))
    >>> sorted(labels[rows].tolist())
    [3, 3, 7, 7]
    """
    ### BEGIN SOLUTION
    # Why: The draw is made within each class; one over all examples may miss some. The first `n` of
    # a shuffled list are `n` different examples, which `n` single draws with `randint` need not be.
    rows = []
    for label in labels.unique():
        places = torch.where(labels == label)[0]
        rows.append(places[torch.randperm(len(places), generator=generator)[:n]])
    return torch.cat(rows)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-n-per-class", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from gain_checks import shuffled_labels

check_n_per_class.add_cases(
    many_classes=(shuffled_labels(dict.fromkeys(range(-5, 60, 3), 9), seed=4), 7),
    one_rare=(shuffled_labels({0: 200, 1: 3}, seed=5), 3),
)
### END HIDDEN TESTS
check_n_per_class(n_per_class)

# %% [markdown]
# What does it change? Twenty photos, drawn both ways, twenty seeds each, and the nearest neighbour again:

# %% tags=["experiment"]
few = scale.experiment(offline={"seeds": 20}, quick={"seeds": 3}, full={"seeds": 20})
at_random, of_each, missing = [], [], []
for seed in range(few.seeds):
    any_rows = torch.randperm(len(y_train), generator=torch.Generator().manual_seed(seed))[:20]
    even_rows = torch.as_tensor(n_per_class(y_train, 2, torch.Generator().manual_seed(seed)))
    missing.append(len(data.classes) - len(y_train[any_rows].unique()))
    for scores, rows in ((at_random, any_rows), (of_each, even_rows)):
        scores.append(share(nearest((x_train[rows], y_train[rows]), x_test), y_test))
display(
    Markdown(
        f"Accuracy, mean ± standard deviation over {few.seeds} draws: {plots.plus_minus(at_random, 100)} % at "
        f"random, with {sum(missing) / few.seeds:.1f} kinds missing on average; "
        f"**{plots.plus_minus(of_each, 100)} %** with two of each."
    )
)
if few.scale != "quick":
    assert sum(of_each) > sum(at_random) and sum(missing) > 0

# %% [markdown]
# Two of each is better. It is also a little dishonest, if the world does not hand out its examples so evenly. In the
# experiments below we draw at random, as life does; what the draw costs will show as the width of a band.
#
# ## One scale for all
#
# Everything we train sums up weighted inputs, and a sum is ruled by its largest terms. So inputs are brought to mean 0
# and standard deviation 1. With $x_{nchw}$ the value of pixel $(h, w)$ in channel $c$ of image $n$, of $N$ images with
# $C$ channels, $H$ rows and $W$ columns, channel $c$ has
#
# $$\mu_c = \frac{1}{NHW}\sum_{n,h,w} x_{nchw},\qquad
# \sigma_c = \sqrt{\frac{1}{NHW}\sum_{n,h,w}\left(x_{nchw}-\mu_c\right)^2},\qquad
# x_{nchw} \leftarrow \frac{x_{nchw}-\mu_c}{\sigma_c}.$$
#
# (Whether one divides by $NHW$ or by $NHW - 1$ makes no difference that anybody will see.) The sums run over images,
# rows and columns: three of the four axes. One stays. The mean of the images' own standard deviations is something
# else, and smaller: it leaves out how much images differ from each other. Two images show it, one all black and one
# all white:

# %%
black_and_white = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])  # (N, C, H, W)
N, C, H, W = black_and_white.shape
mu = black_and_white.sum() / (N * H * W)
sigma = ((black_and_white - mu).square().sum() / (N * H * W)).sqrt()
each = [image.std(correction=0).item() for image in black_and_white]
print(f"mean {mu:.2f}, standard deviation {sigma:.2f}; the images' own: {each}")

# %% [markdown]
# ### Exercise 3: the statistics
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "normalisation-stats", "locked": false, "schema_version": 3, "solution": true, "task": false}
def normalisation_stats(train_images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of the training images.

    train_images: floating point (N, C, H, W), in any unit.

    Returns (mean, std), each of shape (C,), in the same unit: over all N images and all
    H * W pixels of a channel. Whether std divides by the count or by one less is left to you.

    Must not change: train_images.

    >>> images = torch.tensor([1.0, 1.0, 3.0, 3.0]).view(2, 1, 1, 2)
    >>> mean, std = normalisation_stats(images)
    >>> mean.tolist(), std.shape
    ([2.0], torch.Size([1]))
    """
    ### BEGIN SOLUTION
    # Why: Everything but the channel is averaged over at once. The mean of each image's own
    # `std` would be too small: it does not see how much the images differ from one another.
    return train_images.mean(dim=(0, 2, 3)), train_images.std(dim=(0, 2, 3))
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-normalisation-stats", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from gain_checks import uneven_images

check_normalisation_stats.add_cases(
    wide=uneven_images((3, 5, 2, 17), seed=9),
    square=uneven_images((4, 4, 4, 4), seed=10),
)
### END HIDDEN TESTS
check_normalisation_stats(normalisation_stats)

# %% [markdown]
# Its argument is called `train_images`, and that is the point. The two numbers are *fitted*, like weights, so they come
# from training data alone, and the test images are brought to the training images' scale. What if they are not? Guess
# before you run. We take a second camera, darker than the first: it gives two fifths of the brightness. The first
# took the training photos, the second all test photos. Then we normalise in three ways: everything with the training
# statistics; everything with those of training and test data together; each set with its own.

# %% tags=["experiment"]
leak = scale.experiment(offline={"photos": 400}, quick={"photos": 60}, full={"photos": 400})
few_x, few_y = x_train[: leak.photos].float() / 255, y_train[: leak.photos]
dark = 0.4 * x_test.float() / 255


def normalised(images: Tensor, fitted_to: Tensor) -> Tensor:
    mean, std = (torch.as_tensor(one).view(1, -1, 1, 1) for one in normalisation_stats(fitted_to))
    return (images - mean) / std


everything = torch.cat([few_x, dark])
reported = {}
for how, (of_train, of_test) in {
    "training statistics": (few_x, few_x),
    "all together": (everything, everything),
    "each its own": (few_x, dark),
}.items():
    x = normalised(few_x, of_train), normalised(dark, of_test)
    reported[how] = share(nearest((x[0], few_y), x[1]), y_test)
print(", ".join(f"{how}: {accuracy:.1%}" for how, accuracy in reported.items()))
if leak.scale != "quick":
    assert reported["each its own"] > reported["training statistics"] + 0.1
    assert abs(reported["all together"] - reported["training statistics"]) < 1e-9

# %% [markdown]
# With its own statistics the test set looks fine: the darkness has been divided away, by numbers that were measured
# on all test photos at once. Whoever then takes *one* photo with the second camera has no such numbers, and gets the
# first figure. The report promised the last. And "all together" changes nothing at all here: the same shift and scale
# for everybody leave every neighbour where it was. That is what makes the mistake so common. Test data in the
# normalisation often do nothing you can see, until the day they hide the one thing that a test was to find.
#
# ## The learning curve
#
# One number, "accuracy after training", hides what we want to know: how it depends on the number of examples. So we
# measure at several sizes, and each size several times, because with twenty photos luck decides a lot: which twenty,
# and which first weights. A *seed* stands for one such draw of luck. The result is a table $A$ of shape
# `(len(sizes), len(seeds))`, and
#
# $$A_{ij} = \text{accuracy on the whole test set of a fresh model, fitted on } n_i \text{ training examples drawn with seed } s_j .$$
#
# Every word of that counts. *Fresh*: a model that has seen the twenty before it sees the eighty has seen more than
# eighty. *Drawn with seed* $s_j$: two methods that get the same seeds get the same photos, and can be compared in pairs.
# *The test set*: once, at the end.
#
# Why once? Suppose twenty people fit the same model, each on another draw, and test on the same few photos. Somebody
# reports the best. Guess how much of that result is luck:

# %% tags=["experiment"]
lucky = scale.experiment(
    offline={"people": 20, "photos": 80, "test": 50},
    quick={"people": 3, "photos": 20, "test": 20},
    full={"people": 20, "photos": 80, "test": 50},
)
from sklearn.linear_model import LogisticRegression


class Probe:
    """A softmax regression on inputs (N, C, H, W), normalised channel by channel: weights and
    biases alone, no hidden layer. A feature vector is an image of one pixel, (N, C, 1, 1)."""

    def __init__(self, strength: float = 0.01) -> None:
        # It starts at zero and has one best solution: no seed has anything to draw here.
        self.regression = LogisticRegression(C=strength, max_iter=1000)

    def inputs(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.std).flatten(1)

    def fit(self, x: Tensor, y: Tensor) -> None:
        self.mean, std = (torch.as_tensor(one).view(1, -1, 1, 1) for one in normalisation_stats(x))
        self.std = std.clamp(min=1e-3)  # a channel that never varies would divide by zero
        self.regression.fit(self.inputs(x).numpy(), y.numpy())

    def predict(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.regression.predict(self.inputs(x).numpy()))

    def score(self, x: Tensor, y: Tensor) -> float:
        return share(self.predict(x), y)


pixels_train, pixels_test = x_train.float() / 255, x_test.float() / 255
right = []  # of each person's model: which test photos it names rightly
for seed in range(lucky.people):
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(y_train), generator=draw)[: lucky.photos]
    model = Probe()
    model.fit(pixels_train[rows], y_train[rows])
    right.append(model.predict(pixels_test) == y_test)
right = torch.stack(right).double()  # (people, test photos)

best_says, best_is = [], []
for again in range(100):  # other few photos to test on, so that our own luck averages out
    order = torch.randperm(len(y_test), generator=torch.Generator().manual_seed(again))
    on_few = right[:, order[: lucky.test]].mean(dim=1)
    on_rest = right[:, order[lucky.test :]].mean(dim=1)
    best_says.append(on_few.max().item())
    best_is.append(on_rest[on_few.argmax()].item())
typical = right.mean().item()
luck = sum(best_says) / 100 - sum(best_is) / 100
display(
    Markdown(
        f"A model of the twenty: {typical:.1%}. The best on {lucky.test} test photos claims "
        f"**{sum(best_says) / 100:.1%}**. On the other photos it has {sum(best_is) / 100:.1%}. "
        f"Luck: **{100 * luck:.1f} points**."
    )
)
if lucky.scale != "quick":
    assert luck > 0.04

# %% [markdown]
# The size of it can be worked out. A model with true accuracy $p$ that is tested on $m$ photos scores $p$ give or take
# $\sigma = \sqrt{p\,(1-p)/m}$, and the largest of twenty independent draws lies, on average, 1.87 of their $\sigma$
# above the mean:

# %%
p, m = 0.65, 50
sigma = (p * (1 - p) / m) ** 0.5
largest = torch.randn(20000, 20, generator=torch.Generator().manual_seed(0)).max(dim=1).values
assert abs(largest.mean().item() - 1.87) < 0.02
print(
    f"σ = {100 * sigma:.1f} points, and the best of twenty {100 * 1.87 * sigma:.1f} above the truth"
)

# %% [markdown]
# Somewhat less than that came out, since all twenty were tested on the same photos, and what is easy for one is easy for
# the others. The best of several scores on test data is not a result. To choose, there are photos of their own:
# ours lie in `choose_rows`. The test set is asked once for each entry of the table, and every entry is reported.
#
# ### Exercise 4: learning curve
#
# Difficulty ●●○, 15 minutes. `make_model(seed)` gives a model with two methods: `fit(x, y)` trains it, and
# `score(x, y)` gives its accuracy.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "learning-curve", "locked": false, "schema_version": 3, "solution": true, "task": false}
def learning_curve(
    make_model: Callable[[int], Any],
    data: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    sizes: Sequence[int],
    seeds: Sequence[int],
) -> Tensor:
    """Accuracy on the test set over the number of training examples and the seed.

    make_model: make_model(seed) gives a fresh model; model.fit(x, y) trains it, and
        model.score(x, y) gives its accuracy, a float in [0, 1].
    data: ((train_x, train_y), (test_x, test_y)); row i of x belongs to entry i of y.
    sizes: numbers of training examples, each at most len(train_x).
    seeds: each seed draws the training examples, and goes to make_model.

    For every size and every seed a fresh model is fitted once, on `size` different training
    examples drawn with that seed, and scored once, on the whole test set. Examples go to fit
    as they are, with their labels. Test data never reach fit.

    Returns the scores, floating point of shape (len(sizes), len(seeds)).

    >>> x, y = torch.arange(8.0).view(8, 1), torch.arange(8) % 2
    >>> class Guess:
    ...     def fit(self, x, y):
    ...         self.seen = len(x)
    ...     def score(self, x, y):
    ...         return self.seen / 10
    >>> learning_curve(lambda seed: Guess(), ((x, y), (x, y)), [2, 5], [0, 1, 2]).shape
    torch.Size([2, 3])
    """
    ### BEGIN SOLUTION
    # Why: One shuffle per seed is cut at each size, so a larger set holds
    # the smaller ones and along a curve only the size changes. The model is
    # fresh each time: one fitted before has seen more than `size` examples.
    (train_x, train_y), (test_x, test_y) = data
    accuracy = torch.zeros(len(sizes), len(seeds), dtype=torch.float64)
    for i, size in enumerate(sizes):
        for j, seed in enumerate(seeds):
            draw = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(train_x), generator=draw)[:size]
            model = make_model(seed)
            model.fit(train_x[rows], train_y[rows])
            accuracy[i, j] = model.score(test_x, test_y)
    return accuracy
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-learning-curve", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_learning_curve.add_cases(
    many=(60, 33, (50, 3, 17, 1, 60), (11, 0, 5, 7)),
    a_range=(12, 5, [4, 8, 12], range(2, 4)),
)
### END HIDDEN TESTS
check_learning_curve(learning_curve)

# %% [markdown]
# ## What ImageNet is worth
#
# Now the contenders.
#
# - **ImageNet, frozen**: EfficientNet-Lite0 with ImageNet's weights turns each photo into 1,280 features; a `Probe` learns
#   on these. The network itself does not change, so its features are computed once for all sizes and seeds.
# - **Random weights, frozen**: the same, with the weights a network has before any training.
# - **Random weights, trained**: the whole network is trained on the photos, from random weights. This is what "from
#   scratch" usually means.
# - **Pixels**: a `Probe` on the pixels themselves. No network.
#
# What is fair about it, and what is not? All four get the same photos for the same seed. The probes are trained until
# nothing changes any more, and how strongly their weights are held back (`strength`; smaller holds more) is chosen once for all of
# them, by the photos that were put away for it. The third would need hours to get so far. So it gets a budget: the same number of steps at
# every size, photos of 32 pixels, a learning rate that rises and falls and that we set by hand. Even so it computes
# for longer than the others; how much longer, the cell says.
#
# Put the four in an order, for 20 photos and for 1,280.

# %% tags=["experiment"]
curve = scale.experiment(
    offline={"side": 64, "sizes": [20, 80, 320, 1280], "seeds": 3},
    quick={"side": 32, "sizes": [12, 20, 30, 40], "seeds": 2},
    full={"side": 128, "sizes": [20, 80, 320, 1280, 5120], "seeds": 5},
)
seeds = list(range(curve.seeds))


def features(images: Tensor, *, pretrained: bool = True) -> Tensor:
    """What EfficientNet-Lite0 makes of uint8 photos (N, 1, H, W): (N, 1280, 1, 1)."""
    torch.manual_seed(0)
    backbone = load_backbone("efficientnet-lite0", pretrained=pretrained)
    backbone.classifier = nn.Identity()
    backbone = place(backbone, device)
    seen = preprocess("efficientnet-lite0", images, size=curve.side)
    if not pretrained:  # its BatchNorm layers have seen nothing yet: let them measure our photos
        backbone.train()
        training.refresh_statistics(backbone, seen[:200], batch_size=100)
    return training.predict(backbone, seen)[:, :, None, None]


largest_size = max(curve.sizes)
with Timer(device) as feature_timer:
    features_train = features(x_train)
features_test = features(x_test)
feature_seconds = feature_timer.seconds * largest_size / len(x_train)

inputs = {
    "ImageNet, frozen": (features_train, features_test, features(x_known[choose_rows])),
    "pixels": (pixels_train, pixels_test, x_known[choose_rows].float() / 255),
}
on_choose = {}
for candidate in (0.001, 0.01, 0.1):
    on_choose[candidate] = [
        torch.as_tensor(
            learning_curve(
                lambda seed, strength=candidate: Probe(strength),
                ((known, y_train), (chosen_by, y_known[choose_rows])),
                [curve.sizes[2]],
                seeds,
            )
        ).mean()
        for known, _, chosen_by in inputs.values()
    ]
strength = max(on_choose, key=lambda candidate: sum(on_choose[candidate]))
for candidate, accuracies in on_choose.items():
    said = ", ".join(f"{name} {a:.1%}" for name, a in zip(inputs, accuracies, strict=True))
    print(f"strength {candidate:<5} on the photos to choose by: {said}")
print(f"We take {strength} for every probe.")


def probe(seed: int) -> Probe:
    return Probe(strength)


results, probe_seconds = {}, {}
for name, (known, unknown, _) in inputs.items():
    with Timer(device) as timer:
        table = learning_curve(probe, ((known, y_train), (unknown, y_test)), curve.sizes, seeds)
    results[name], probe_seconds[name] = torch.as_tensor(table), timer.seconds
frozen, pixels = results["ImageNet, frozen"], results["pixels"]

# %% [markdown]
# Frozen features of a random network need one more pass. Training from scratch needs a loop, and patience: this is the
# longest cell of the lesson.

# %% tags=["experiment"]
steps = scale.experiment(
    offline={"count": 28, "batch": 24, "side": 32},
    quick={"count": 2, "batch": 8, "side": 32},
    full={"count": 400, "batch": 64, "side": 32},
)
training_seconds = []


class Network:
    """EfficientNet-Lite0 with a new head, all of it trained for a fixed number of steps."""

    def __init__(self, seed: int, *, pretrained: bool = False) -> None:
        torch.manual_seed(seed)
        network = load_backbone("efficientnet-lite0", pretrained=pretrained, num_classes=10)
        self.network = place(network, device)
        self.draw = torch.Generator().manual_seed(seed)

    def fit(self, x: Tensor, y: Tensor) -> None:
        x = preprocess("efficientnet-lite0", x, size=steps.side)
        optimizer = torch.optim.SGD(self.network.parameters(), lr=0.05, momentum=0.9)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=steps.count)
        with Timer(device) as timer:
            self.network.train()
            for _ in range(steps.count):
                rows = torch.randint(len(x), (steps.batch,), generator=self.draw)
                loss = F.cross_entropy(self.network(x[rows].to(device)), y[rows].to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rates.step()
            # few steps leave BatchNorm's running statistics behind: measure them once more
            training.refresh_statistics(self.network, x[:240], batch_size=60)
        training_seconds.append(timer.seconds)

    def score(self, x: Tensor, y: Tensor) -> float:
        return training.evaluate(
            self.network, (preprocess("efficientnet-lite0", x, size=steps.side), y)
        )


photos = ((x_train, y_train), (x_test, y_test))
scratch = torch.cat(
    [
        torch.as_tensor(learning_curve(Network, photos, [size], seeds))
        for size in training.progress(curve.sizes, "sizes")
    ]
)
random_train = features(x_train, pretrained=False)
random_test = features(x_test, pretrained=False)
unlearnt = torch.as_tensor(
    learning_curve(probe, ((random_train, y_train), (random_test, y_test)), curve.sizes, seeds)
)

chance = 1 / len(data.classes)
figure = plots.learning_curves(
    curve.sizes,
    {
        "ImageNet, frozen": ("probe", frozen),
        "pixels": ("raw", pixels),
        "random, trained": ("scratch", scratch),
        "random, frozen": ("random", unlearnt),
    },
    chance=chance,
    unit="photos",
)

# %% tags=["experiment", "result"]
scale.experiment()
tables = {
    "ImageNet, frozen": frozen,
    "pixels": pixels,
    "random, trained": scratch,
    "random, frozen": unlearnt,
}
print(
    f"Accuracy in %, mean ± standard deviation over {curve.seeds} seeds, {len(y_test)} test photos."
)
print(f"{'photos':>18}" + "".join(f"{size:>14,}" for size in curve.sizes))
for name, table in tables.items():
    print(f"{name:>18}" + "".join(f"{plots.plus_minus(row.tolist(), 100):>14}" for row in table))
a_run = sum(training_seconds) / len(training_seconds)
display(
    Markdown(
        f"Features of {largest_size:,} photos took {feature_seconds:.0f} s, once; the {len(training_seconds)} probes on "
        f"them {probe_seconds['ImageNet, frozen']:.0f} s together, those on pixels {probe_seconds['pixels']:.0f} s. Training "
        f"from random weights took {a_run:.0f} s for *each* of {len(training_seconds)} runs."
    )
)
if curve.scale == "offline":
    assert (frozen.mean(dim=1) > scratch.mean(dim=1)).all().item()
    assert frozen[-1].mean() > scratch[-1].mean() + 0.2
    assert scratch[-1].mean() < scratch[1].mean() + 0.15  # its line goes flat
    assert steps.count * steps.batch < 1000
    assert (frozen.mean(dim=1) - pixels.mean(dim=1))[1:].abs().max() < 0.08
    assert pixels[-1].mean() > unlearnt[-1].mean() + 0.4

# %% [markdown]
# Against the same architecture with random weights, ImageNet wins, and the further right the more. Frozen and random,
# the network is worse than none: a probe finds far less in what comes out of it than in what went in. Trained from
# random weights it learns, and then its line goes flat. That is the budget: in so few steps it looks at fewer than
# a thousand photos, repeats included, whether 80 lie there or 1,280. It lacks time, not photos. If we stopped here, we
# would say: transfer pays, and by tens of points.
#
# Then look at the pixels. One weight for each pixel and kind of clothes, no network, no ImageNet: and the two curves
# can hardly be told apart.
#
# Both statements are true. The photos are cut out, centred and 28 pixels wide; the same pixel is always the same part
# of the garment, and a pixel is a feature that need not be learnt. A large network from random weights is a poor way to use few
# photos, and it is an easy rival. *A gain is a difference, and it says as much about what is subtracted as about what it is
# subtracted from.* Ask of every gain you read: over what?
#
# ## How sure is it?
#
# The curves touch, cross, part. To say that one is above the other takes more than a look. Let $a_j$ and $b_j$ be the
# accuracies with and without pretraining for seed $j$, of $n$ seeds. Both saw the same photos: a lucky draw lifts both, and in
# the difference $d_j = a_j - b_j$ it cancels. So we look at the differences alone. Their mean $\bar d$ is the *gain*, in
# points. If we had other seeds it would be another; by how much, the *standard error* says:
#
# $$\bar d = \frac1n\sum_{j=1}^n d_j,\qquad
# s = \sqrt{\frac{1}{n-1}\sum_{j=1}^n (d_j-\bar d)^2},\qquad
# \text{standard error} = \frac{s}{\sqrt n}.$$
#
# With $s$ known exactly, $\bar d$ give or take 1.96 standard errors would hold the true gain in 95 of 100 such
# experiments. But $s$ is itself guessed from $n$ numbers, three here, and may come out far too small. W. S. Gosset, who
# worked with few barrels of beer and signed as "Student", found what to multiply with instead: $t_{n-1}$, the point
# that leaves 2.5 % of Student's distribution with $n-1$ degrees of freedom above it.
#
# $$\left[\;\bar d - t_{n-1}\frac{s}{\sqrt n},\;\; \bar d + t_{n-1}\frac{s}{\sqrt n}\;\right]$$

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "student", "locked": true, "schema_version": 3, "solution": false, "task": false}
from scipy import stats

for n in (3, 5, 10, 100):
    print(f"{n:>3} seeds: t = {stats.t.ppf(0.975, n - 1):.2f}")

# %% [markdown]
# With three seeds the honest interval is more than twice as wide as the one with 1.96. That is the price of three seeds.
#
# Why points, and no ratio? "Twice as good" can be 10 % to 20 % or 45 % to 90 %. The ratio is largest where both
# are bad.
#
# ### Exercise 5: the gain
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "transfer-gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def transfer_gain(
    pretrained: Sequence[float] | Tensor, scratch: Sequence[float] | Tensor
) -> tuple[float, float, float]:
    """What pretraining gains, and how sure that is.

    pretrained, scratch: accuracies as fractions, one for each of n >= 2 seeds; lists, tuples
        or tensors (n,). Entry j of both is the same seed.

    Returns (gain, low, high), in the units of the input: the mean of the n differences
    pretrained - scratch, and the ends of its 95 % confidence interval by Student's t over
    these differences, with n - 1 degrees of freedom.

    >>> gain, low, high = transfer_gain([0.70, 0.80, 0.75], [0.60, 0.74, 0.70])
    >>> round(gain, 3), round(low, 3), round(high, 3)
    (0.07, 0.004, 0.136)
    """
    ### BEGIN SOLUTION
    # Why: Entry `j` of both has the same seed: what was lucky about it
    # stands in both and cancels in the difference. So the spread is
    # that of the differences, and `t` makes up for how few they are.
    a, b = (torch.as_tensor(one, dtype=torch.float64) for one in (pretrained, scratch))
    differences = a - b
    n = len(differences)
    gain = differences.mean().item()
    half = float(stats.t.ppf(0.975, n - 1)) * differences.std().item() / n**0.5
    return gain, gain - half, gain + half
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-transfer-gain", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_transfer_gain.add_cases(
    ten=(
        [0.81, 0.79, 0.83, 0.80, 0.78, 0.82, 0.84, 0.77, 0.80, 0.79],
        [0.80, 0.80, 0.79, 0.81, 0.79, 0.80, 0.83, 0.78, 0.81, 0.77],
    ),
    two=([0.31, 0.28], [0.45, 0.41]),
)
### END HIDDEN TESTS
check_transfer_gain(transfer_gain)

# %% tags=["experiment"]
scale.experiment()


def gains_of(name: str, better: Tensor, than: Tensor, sizes: Sequence[int]) -> dict[str, tuple]:
    """The gain at each size, under a name that says which."""
    return {
        f"{name}, {size:,}": tuple(float(value) for value in transfer_gain(a, b))
        for size, a, b in zip(sizes, better, than, strict=True)
    }


over_scratch = gains_of("over random, trained", frozen, scratch, curve.sizes)
over_pixels = gains_of("over pixels", frozen, pixels, curve.sizes)
figure = plots.gains(
    over_scratch | over_pixels,
    xlabel="gain of ImageNet's features (points), 95 % interval",
    groups=[len(curve.sizes)],
)
if curve.scale == "offline":
    assert list(over_scratch.values())[-1][1] > 0.1
    assert all(low < 0.02 and high > -0.02 for _, low, high in over_pixels.values())

# %% [markdown]
# A blue circle: the whole interval lies above zero. A red square: below. A gray diamond has not been told from zero.
#
# One warning. The interval speaks of the luck of seeds, and of nothing else. All seeds were tested on the same photos,
# and where the size comes near the number of photos there are to draw from, all seeds see nearly the same ones: the
# band shrinks because the draws overlap, and not because a new collection of photos would give the same.
#
# ## Where it helps
#
# Pixels are a lucky case: nobody has to learn what a pixel means. With words it is different. WordNet, a dictionary,
# sorts its nouns into topics; here are definitions from twelve of them, and the task is to name the topic. Two definitions
# of one topic may share no word but "a" and "of". Someone who reads "yielding edible tubers" must *know* that tubers
# grow.
#
# Our network for text is MiniLM, a small BERT of six layers. It has learnt from a large part of the web to fill in
# missing words, and then from a billion pairs to give sentences that go together similar vectors. No list of its
# sources that we know names a dictionary, but the web quotes dictionaries, so it may have met a definition of ours,
# though hardly with our topics beside it.
#
# The rivals: the same network with random weights, and *word counts*, a `Probe` on which word pieces occur,
# one weight for each piece and topic. (Each of these learns from the examples alone. To train all of MiniLM from random
# weights we do not try: the cell says what it would take.)

# %% tags=["experiment"]
text = scale.experiment(
    offline={"train": 1440, "test": 360, "sizes": [24, 96, 384, 960], "seeds": 3},
    quick={"train": 60, "test": 24, "sizes": [12, 24, 36, 48], "seeds": 2},
    full={"train": 3500, "test": 1200, "sizes": [24, 96, 384, 1536, 3072], "seeds": 5},
)
topics = wordnet_topics()
tokenizer = load_tokenizer("minilm-l6")
shuffle = torch.Generator().manual_seed(0)
text_rows = torch.randperm(len(topics.x_train), generator=shuffle)[: text.train].tolist()
test_rows = torch.randperm(len(topics.x_test), generator=shuffle)[: text.test].tolist()
words_train = [topics.x_train[row] for row in text_rows]
words_test = [topics.x_test[row] for row in test_rows]
topic_train, topic_test = topics.y_train[text_rows], topics.y_test[test_rows]
for row in range(4):
    print(f"{topics.classes[topic_train[row]]:>14}: {words_train[row]}")


def vectors(texts: list[str], *, pretrained: bool) -> Tensor:
    """The mean of MiniLM's vectors over a text's tokens, (N, 384, 1, 1)."""
    torch.manual_seed(0)
    network = load_backbone("minilm-l6", pretrained=pretrained).to(device)
    by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = torch.empty(len(texts), 384)
    with torch.no_grad():
        for rows in (by_length[i : i + 48] for i in range(0, len(texts), 48)):
            batch = tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt")
            batch = {key: tensor.to(device) for key, tensor in batch.items()}
            hidden = network(**batch).last_hidden_state  # (N, T, 384)
            real = batch["attention_mask"].unsqueeze(-1)  # (N, T, 1): 1 for a token, 0 for padding
            found[rows] = ((hidden * real).sum(dim=1) / real.sum(dim=1)).float().cpu()
    return found[:, :, None, None]


def occurrences(texts: list[str], vocabulary: dict[int, int]) -> Tensor:
    """Which pieces of the vocabulary occur in each text, 0 or 1: (N, 1, 1, V)."""
    table = torch.zeros(len(texts), 1, 1, len(vocabulary))
    for row, tokens in enumerate(tokenizer(texts, add_special_tokens=False)["input_ids"]):
        table[row, 0, 0, [vocabulary[token] for token in tokens if token in vocabulary]] = 1
    return table


pieces = tokenizer(words_train, add_special_tokens=False)["input_ids"]
vocabulary = {token: i for i, token in enumerate(sorted({t for tokens in pieces for t in tokens}))}
text_curves = {}
for name, encode in {
    "MiniLM, frozen": lambda texts: vectors(texts, pretrained=True),
    "word counts": lambda texts: occurrences(texts, vocabulary),
    "random, frozen": lambda texts: vectors(texts, pretrained=False),
}.items():
    known, unknown = (encode(words_train), topic_train), (encode(words_test), topic_test)
    table = learning_curve(probe, (known, unknown), text.sizes, list(range(text.seeds)))
    text_curves[name] = torch.as_tensor(table)

figure = plots.learning_curves(
    text.sizes,
    {
        name: (style, text_curves[name])
        for name, style in zip(text_curves, ("probe", "raw", "random"), strict=True)
    },
    chance=1 / len(topics.classes),
    unit="definitions",
)

untrained = load_backbone("minilm-l6", pretrained=False).to(device)
batch = tokenizer(words_train[:24], padding=True, return_tensors="pt").to(device)
with Timer(device) as timer:  # what a training step costs, but for the optimizer's share
    untrained(**batch).last_hidden_state.square().mean().backward()
minutes = 400 * timer.seconds * len(text.sizes) * text.seeds / 60
print(f"To train all of MiniLM, 400 steps for every point: about {minutes:.0f} minutes.")

# %% tags=["experiment", "result"]
scale.experiment()
print(
    f"Accuracy in %, mean ± standard deviation over {text.seeds} seeds, {len(topic_test)} test definitions."
)
print(f"{'definitions':>18}" + "".join(f"{size:>14,}" for size in text.sizes))
for name, table in text_curves.items():
    print(f"{name:>18}" + "".join(f"{plots.plus_minus(row.tolist(), 100):>14}" for row in table))
over_counts = gains_of("over word counts", *list(text_curves.values())[:2], text.sizes)
display(
    Markdown(
        "Gain over word counts, in points: "
        + "; ".join(
            f"{name.split(', ')[1]} definitions **{100 * gain:.0f}** [{100 * low:.0f}, {100 * high:.0f}]"
            for name, (gain, low, high) in over_counts.items()
        )
        + "."
    )
)
if text.scale == "offline":
    middle, last = list(over_counts.values())[1], list(over_counts.values())[-1]
    assert middle[1] > 0.1 and last[1] > 0.05 and last[0] < middle[0]
    assert next(iter(over_counts.values()))[0] < middle[0]
    few_pretrained, most_counted = text_curves["MiniLM, frozen"][1], text_curves["word counts"][-1]
    assert (few_pretrained.mean() - most_counted.mean()).abs() < 0.1

# %% [markdown]
# Here pretraining was worth something, and over a rival that uses all that the task offers. With 96 definitions MiniLM
# is within a few points of where the counts come with 960: ten times the labels. The gain is largest in the middle. With two definitions a topic even good features are
# guesswork; with many, the counts begin to learn the language by themselves, and the gain shrinks.
#
# ## Where it hurts
#
# One more task. We toss a coin for each photo and mirror it, left to right, where the coin says so. The question: was
# this photo mirrored? For a T-shirt nobody can know. But the shop lays its shoes with the toe to one side, and shoes are
# three of ten kinds; buttons and zips have sides as well. The features come from the same network, of the same photos. Will they help,
# compared with pixels?

# %% tags=["experiment"]
coin = scale.experiment(
    offline={"train": 1600, "test": 500, "sizes": [60, 240, 960], "seeds": 3},
    quick={"train": 60, "test": 40, "sizes": [20, 30, 40], "seeds": 2},
    full={"train": 20000, "test": 10000, "sizes": [80, 320, 1280, 5120], "seeds": 5},
)


def mirrored(images: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """The images, half of them flipped left to right, and which: 1 is mirrored."""
    flips = torch.randint(2, (len(images),), generator=torch.Generator().manual_seed(seed))
    return torch.where(flips.bool()[:, None, None, None], images.flip(-1), images), flips


turned, was_turned = mirrored(x_train[: coin.train], seed=0)
turned_test, was_turned_test = mirrored(x_test[: coin.test], seed=1)
coin_seeds = list(range(coin.seeds))
coin_curves = {}
for name, encode in {
    "ImageNet, frozen": features,
    "pixels": lambda images: images.float() / 255,
}.items():
    known, unknown = (encode(turned), was_turned), (encode(turned_test), was_turned_test)
    coin_curves[name] = torch.as_tensor(
        learning_curve(probe, (known, unknown), coin.sizes, coin_seeds)
    )
figure = plots.learning_curves(
    coin.sizes,
    {
        "ImageNet, frozen": ("probe", coin_curves["ImageNet, frozen"]),
        "pixels": ("raw", coin_curves["pixels"]),
    },
    chance=0.5,
    unit="photos",
)
over_mirror = gains_of("mirrored?", *coin_curves.values(), coin.sizes)
gain, low, high = list(over_mirror.values())[-1]
display(
    Markdown(
        f"With {coin.sizes[-1]:,} photos: ImageNet's features {plots.plus_minus(coin_curves['ImageNet, frozen'][-1].tolist(), 100)} %, "
        f"pixels {plots.plus_minus(coin_curves['pixels'][-1].tolist(), 100)} %. The gain is "
        f"**{100 * gain:.0f} points** [{100 * low:.0f}, {100 * high:.0f}]."
    )
)
if coin.scale == "offline":
    assert high < -0.08

# %% [markdown]
# The gain is negative. And it is no accident of this network: while it was trained, its photos were mirrored at random, as a
# trick to make more of them, and the right answer stayed the same. A dog is a dog from both sides. So the network was
# *taught* that left and right do not matter, and its features do what they were taught. What a label depends on
# and pretraining has thrown away, no probe finds again.
#
# ## When transfer pays
#
# Everything on one page: the gain over the rival that uses what the task itself offers (pixels, or words),
# for the smallest, a middle and the largest number of examples.

# %% tags=["experiment"]
scale.experiment()
page = {}
for name, some in (("topics", over_counts), ("clothes", over_pixels), ("mirrored?", over_mirror)):
    labels = list(some)
    for label in (labels[0], labels[len(labels) // 2], labels[-1]):
        page[f"{name}, {label.split(', ')[1]}"] = some[label]
figure = plots.gains(
    page, xlabel="gain of pretrained features (points), 95 % interval", groups=[3, 6]
)
compute = a_run * curve.seeds * len(curve.sizes)
display(
    Markdown(
        f"Computing the features of {largest_size:,} photos took {feature_seconds:.0f} s, and every size and seed used "
        f"them. The runs from random weights took {compute:.0f} s together, and are not at their end."
    )
)

# %% [markdown]
# Three situations are usually named in which transfer pays. Each stands in what you measured, with its limit.
#
# - **Little data.** The gain on topics is large at 96 and 384 definitions and shrinks towards 960. What pretraining
#   brings, enough examples can bring too. But few examples are no reason by themselves: on clothes no gain over the
#   pixels could be told from zero, at any size.
# - **Little compute.** Someone else has paid for the million photos. One pass through a frozen network replaced a training
#   that took longer and was nowhere near its end. But the pixels were cheaper still.
# - **A similar task.** What was learnt must be what the task asks for. The meaning of words: yes. Clothes in another
#   style: the network knows them, and so did the pixels. Left and right: unlearnt on purpose.
#
# So the order of work is this. First the cheap rival, then the pretrained network, on the same split, with the same
# seeds, and an interval around the difference. You have every function for it.
#
# ## The next door
#
# Two things we did not do. We took ImageNet's features at 64 pixels; set `side` to 128 or 192 in the cell of the curves and see
# whether the network earns its keep with more to look at. (It takes four and nine times as long.) And we never let the
# pretrained network learn: `Network(seed, pretrained=True)` trains all of it, from ImageNet's weights, with the loop
# above. How much of it to train, and how fast, fills lessons 04 and 05.
#
# How far features carry was measured layer by layer by J. Yosinski et al.:
# [How transferable are features in deep neural networks?](https://arxiv.org/abs/1411.1792) (2014). With enough data and
# patience, K. He, R. Girshick and P. Dollár trained detectors from random weights to the same accuracy:
# [Rethinking ImageNet Pre-training](https://arxiv.org/abs/1811.08883) (2018). And M. Raghu et al. found that for medical
# images small networks do as well as large pretrained ones:
# [Transfusion: Understanding Transfer Learning for Medical Imaging](https://arxiv.org/abs/1902.07208) (2019).
#
# One question stays open. We took the features as they came and asked nothing: which network, fed how, with which
# layer on top? Feed it photos in the wrong scale or order of colours, and it says nothing, and is wrong. What does it
# take to load a pretrained model *rightly*?
