# %% [markdown]
# # 06 · Vision tasks
#
# Mirror a photo of a boot, and it is still a boot. That is a second photo for nothing, and nobody had to label it. So
# every training loop for pictures mirrors them, at random, with one line of code. Now the label is no longer a word. It
# is a box around the boot, or the set of pixels that the boot covers. Mirror the photo with the same line. What have
# you just taught the network?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "install", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
# Where the course is not installed, as in Colab, this brings it. Elsewhere it changes nothing.
import importlib.util
import subprocess
import sys

PACKAGE = "finetuning-from-zero"
if importlib.util.find_spec("course") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", PACKAGE], check=True)

from course.paths import beside

beside("06-vision-tasks")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
from collections.abc import Callable, Sequence

import torch
from course import head, plots, scale, training
from course.data import IGNORED, Scenes, drawn_scenes, new_clothes, penn_fudan
from course.data.scenes import boxes_of_masks
from course.detection import average_precision
from course.device import pick_device, place
from course.models import load_backbone, preprocess
from course.widgets.boxes import suppression
from IPython.display import Markdown, display
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F
from vision_checks import (
    check_box_iou,
    check_dice,
    check_flip_with_boxes,
    check_masked_pixel_loss,
    check_mixup,
    check_nms,
)

device = pick_device()
head.show("06-vision-tasks", device, minutes=4)

# %% [markdown]
# ## One picture, three questions
#
# What is in the picture? Where is it? Which pixels are it? A car that drives itself asks all three: a box around each
# pedestrian, and a mask of the road. A doctor who reads a scan asks the last one most of all: where does the tumour end?
# Here are scenes that we can make by the thousand: photos of clothes, cut out and put on a cloudy ground, at places and
# in sizes that a random generator chose. So we know all three answers for each of them.

# %% tags=["experiment"]
size = scale.experiment(
    offline={"side": 64, "pool": 96, "test": 80},
    quick={"side": 64, "pool": 6, "test": 5},
    full={"side": 256, "pool": 120, "test": 50},
)
side = size.side  # pixels
data = penn_fudan(side) if size.scale == "full" else drawn_scenes(size.pool, size.test, side=side)
kinds = len(data.classes)

shown = range(4)
figure, axes = plots.panels(4, rows=2, width=8.4, height=4.4)
for i in shown:
    scene = data.train.images[i]
    names = [data.classes[label] for label in data.train.labels[i]]
    plots.framed(axes[i], scene, data.train.boxes[i], names)
    plots.labelled(axes[4 + i], data.train.masks[i], IGNORED)
background = (data.train.masks == 0).double().mean().item()
display(
    Markdown(
        f"{len(data.train)} scenes to train on, {len(data.test)} others to test on, {kinds} kinds of things: "
        f"{', '.join(data.classes)}. {background:.0%} of the pixels are background."
    )
)

# %% [markdown]
# Above, the boxes; below, the masks. A colour is a kind. The white seams are pixels of which nobody says what they show:
# there a thing and its ground share a pixel, and two people who draw the outline would not agree. Such a pixel carries a
# label of its own, 255, that says: do not ask. We come back to it.
#
# The network is the small ResNet of the course. It was pretrained on other clothes, each alone and centred on black,
# 32 pixels wide: T-shirts, trousers, coats, sandals and bags, and on printed letters. It has seen none of these four
# kinds, no ground, no box and no mask. What can it be good for here? We find out for each of the three questions, and
# begin with the one that you know.
#
# ## What: more photos from the same photos
#
# Ten photos of each of five kinds of clothes, fifty in all: before it is done the network has seen each of them dozens of
# times. *Augmentation* shows it each one a little changed: mirrored, shifted by a few pixels. It asks for a change that
# leaves the label as it is.
#
# *Mixup* goes further, and changes the label too. It lays two photos over each other, like two slides in one projector:
# seven tenths of a dress, three tenths of a shoe. And it says so: the label is seven tenths dress and three tenths shoe.
# For a batch of images $x$ of shape `(N, C, H, W)` and targets $t$ of shape `(N, K)`, one row of $K$ shares for each
# image, draw a share $\lambda$ between 0 and 1 and a permutation $\pi$ of the batch, each once, and take
#
# $$\tilde x_i = \lambda\, x_i + (1-\lambda)\, x_{\pi(i)},\qquad \tilde t_i = \lambda\, t_i + (1-\lambda)\, t_{\pi(i)}.$$
#
# The cross-entropy with such a target is the same mixture of two cross-entropies. The share comes from a Beta
# distribution, $\lambda \sim \mathrm{Beta}(\alpha,\alpha)$. The smaller $\alpha$, the more draws lie near 0 or 1, where each
# image is nearly one whole photo; with a large one nearly every draw is about a half. PyTorch draws from it too, but takes
# no generator there, and a run that cannot be repeated cannot be compared. A trick helps: if $G$ is the distribution
# function and $u$ is uniform between 0 and 1, then $G^{-1}(u)$ is distributed as $G$ says. As code:

# %%
alpha = 0.4
u = torch.rand(2000, generator=torch.Generator().manual_seed(0))
drawn = torch.from_numpy(stats.beta.ppf(u.numpy(), alpha, alpha))
assert abs(drawn.mean().item() - 0.5) < 0.03
assert abs(drawn.var().item() - 1 / (4 * (2 * alpha + 1))) < 0.01  # the variance of Beta(a, a)
print(
    f"alpha = {alpha}: {((drawn < 0.1) | (drawn > 0.9)).double().mean():.0%} of the draws lie below 0.1 or above 0.9"
)

# %% [markdown]
# ### Exercise 1: mixup
#
# Difficulty ●●○, 10 minutes. Run the cell below yours for its verdict; `check_mixup.hint()` gives the next of three
# hints. The experiments further down use what you write: while an exercise is open they stop, and while its card is not
# green throughout, their figures mean nothing.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "mixup", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mixup(
    images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mixes each image of a batch, and its target, with those of another image of the batch.

    images: floating point (N, C, H, W), N at least 1.
    targets: floating point (N, K), for each image the share of each class; a row sums to 1.
    alpha: above 0. One lambda for the whole batch is drawn from Beta(alpha, alpha).
    generator: all that is drawn comes from it: lambda, and one permutation of the batch. The
        same seed gives the same mixture, the next call another one. Global generators,
        torch's, numpy's and Python's, are not used.

    Returns a pair of new tensors with the shapes of images and targets:
    lambda * images + (1 - lambda) * images[permutation], and the targets mixed likewise, with
    the same lambda and the same permutation.

    Must not change: images and targets.

    >>> images, targets = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), torch.eye(2)
    >>> mixed, shares = mixup(images, targets, 1.0, torch.Generator().manual_seed(1))
    >>> torch.allclose(mixed.flatten(), shares[:, 1])  # as bright as its share of image 1
    True
    """
    ### BEGIN SOLUTION
    # Why: Torch's own `Beta` draws from the global generator; the inverse of
    # its distribution turns one number of ours into a Beta draw. Pictures and
    # targets get one share and one order, or a target tells of another picture.
    u = torch.rand((), generator=generator).item()
    share = float(stats.beta.ppf(u, alpha, alpha))
    order = torch.randperm(len(images), generator=generator)
    return (
        share * images + (1 - share) * images[order],
        share * targets + (1 - share) * targets[order],
    )
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-mixup", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_mixup.add_cases(more_images=(9, 4), two=(2, 6))
### END HIDDEN TESTS
check_mixup(mixup)

# %% [markdown]
# Five ways to train on the same fifty photos, from the same weights, for the same number of steps: the photos as they are,
# mirrored at random, shifted at random by up to four pixels, mixed, and mixed with labels that stay behind. The last is
# the mistake that people make, and it raises no error. Put the five in an order, and say by how many
# points the best beats the photos as they are.

# %% tags=["experiment"]
few = scale.experiment(
    offline={"seeds": 3, "per_class": 10, "steps": 120, "batch": 25},
    quick={"seeds": 1, "per_class": 2, "steps": 3, "batch": 10},
    full={"seeds": 5, "per_class": 10, "steps": 400, "batch": 25},
)
clothes = new_clothes(full=False)
wide = scale.choose(offline=32, quick=32, full=64)  # pixels
photos = preprocess("resnet", clothes.x_train, size=wide)
test_photos = preprocess("resnet", clothes.x_test, size=wide).to(device)
black = photos.min().item()

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def mirrored(x: Tensor, t: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each photo mirrored with probability a half; its label stays."""
    chosen = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(chosen[:, None, None, None], x.flip(-1), x), t


def shifted(x: Tensor, t: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each photo moved by up to an eighth of its width both ways; its label stays."""
    most = wide // 8
    padded = F.pad(x, (most,) * 4, value=black)
    down, right = torch.randint(2 * most + 1, (2, len(x)), generator=generator).tolist()
    moved = [p[:, i : i + wide, j : j + wide] for p, i, j in zip(padded, down, right, strict=True)]
    return torch.stack(moved), t


ways: dict[str, Sequence[Augment]] = {
    "as they are": (),
    "mirrored": (mirrored,),
    "shifted": (shifted,),
    "mixed": (lambda x, t, g: mixup(x, t, alpha, g),),
    "mixed, labels not": (lambda x, t, g: (mixup(x, t, alpha, g)[0], t),),
}


def train_on_few(augment: Sequence[Augment], seed: int) -> float:
    """Accuracy on the test photos after training on a few of each class."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.cat(
        [
            of_class[torch.randperm(len(of_class), generator=draw)[: few.per_class]]
            for of_class in (
                torch.where(clothes.y_train == c)[0] for c in range(len(clothes.classes))
            )
        ]
    )
    x, t = photos[rows], F.one_hot(clothes.y_train[rows], len(clothes.classes)).float()
    torch.manual_seed(seed)
    network = place(load_backbone("resnet", num_classes=len(clothes.classes)), device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=few.steps, pct_start=0.15
    )
    network.train()
    for _ in range(few.steps):
        batch = torch.randint(len(x), (few.batch,), generator=draw)
        inputs, targets = x[batch], t[batch]
        for change in augment:
            inputs, targets = change(inputs, targets, draw)
        optimizer.zero_grad()
        F.cross_entropy(network(inputs.to(device)), targets.to(device)).backward()
        optimizer.step()
        schedule.step()
    return training.evaluate(network, (test_photos, clothes.y_test))


right = {
    way: [train_on_few(augment, seed) for seed in range(few.seeds)]
    for way, augment in training.progress(list(ways.items()), "ways")
}
gain = {
    way: [a - b for a, b in zip(shares, right["as they are"], strict=True)]
    for way, shares in right.items()
}
figure = plots.accuracies(
    {f"trained on {few.per_class} photos a kind": {way: {"accuracy": right[way]} for way in ways}}
)
display(
    Markdown(
        f"Mean ± standard deviation over {few.seeds} seeds, against the photos as they are: "
        + "; ".join(f"{way} {plots.plus_minus(gain[way], 100)}" for way in list(ways)[1:])
        + " points."
    )
)
if few.scale == "offline":
    assert all(training.mean_and_spread(gain[way])[0] < 0.05 for way in ways)
    assert sum(right["mixed, labels not"]) < sum(right["mixed"])

# %% [markdown]
# Look at the spreads first. Where a gain is smaller than its spread over the seeds, this experiment has found none. Nearly
# every training script mirrors, shifts or mixes, and with fifty photos and a pretrained network it bought us nothing that we
# can see. Those who found that mixup helps trained from random weights, for hundreds of epochs, on a thousand times as many
# photos.
#
# Take the shift. Each test photo stands in the middle of its frame, and so does each training photo. To shift them teaches
# the network to cope with what never comes, out of a budget of fifty photos. An augmentation is a claim about the world: that
# the change leaves the label alone, and that such pictures will come. It is worth what the claim is worth. And the mistake:
# against mixed labels, labels that were not mixed with the images cost points, and the code ran without a word.

# %% [markdown]
# ## Where: the label moves
#
# Back to the boot and its box. A box is four numbers, $x_1, y_1, x_2, y_2$: its left, upper, right and lower edge. They are
# *continuous*: the picture reaches from 0 to its width $W$, and the first pixel from 0 to 1, so a box from 2 to 5 is 3 wide
# and covers the pixels 2, 3 and 4. That sounds like a detail. Pascal VOC, from which a generation learnt, numbers its
# pixels from 1 and names the first and the last; there the same box is called 3 to 5. Many of the ones that are added and
# subtracted in detection code come from there, and have outlived it. COCO, which came after it, writes $x_1, y_1$, width and
# height. Nothing in four numbers says which of the three they are: *xyxy* taken for *xywh* raises no error either.
#
# Mirror the picture, and what was $x$ from the left border is now $x$ from the right border.
#
# ### Exercise 2: flip with boxes
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "flip-with-boxes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def flip_with_boxes(image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrors a picture left and right, with the boxes in it.

    image: (C, H, W), of any dtype.
    boxes: floating point (K, 4), each x1, y1, x2, y2 in continuous pixel coordinates: x from 0
        to W, y from 0 to H, x1 <= x2 and y1 <= y2. K may be 0.

    Returns a pair of tensors: the mirrored image (C, H, W), and the boxes (K, 4) around the same
    things in it, again as x1, y1, x2, y2 with x1 <= x2, in the same order.

    Must not change: image and boxes.

    >>> image = torch.arange(4.0).expand(1, 2, 4)
    >>> flipped, boxes = flip_with_boxes(image, torch.tensor([[0.0, 0.5, 1.5, 2.0]]))
    >>> flipped[0, 0].tolist(), boxes.tolist()
    ([3.0, 2.0, 1.0, 0.0], [[2.5, 0.5, 4.0, 2.0]])
    """
    ### BEGIN SOLUTION
    # Why: In the mirror a right edge is a left edge, so the new `x1` comes from the old `x2`.
    # There is no 1 to subtract: `x` is where an edge lies between pixels, not the number of one.
    width = image.shape[-1]
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return image.flip(-1), torch.stack([width - x2, y1, width - x1, y2], dim=1)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-flip-with-boxes", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_flip_with_boxes.add_cases(
    crowd=((3, 31, 77), 9), street=((1, 120, 47), 2), empty=((2, 8, 5), 0)
)
### END HIDDEN TESTS
check_flip_with_boxes(flip_with_boxes)

# %% tags=["experiment"]
scale.experiment()
scene, boxes = data.train.images[2], data.train.boxes[2]
flipped, moved = flip_with_boxes(scene, boxes)
figure, axes = plots.panels(3, width=6.6, height=2.5)
panels = (
    ("the scene", scene, boxes),
    ("boxes forgotten", flipped, boxes),
    ("yours", flipped, moved),
)
for axis, (title, image, framed) in zip(axes, panels, strict=True):
    plots.framed(axis, image, framed)
    axis.set_title(title, loc="center")

# %% [markdown]
# What the picture in the middle costs, we measure as soon as there is a detector.
#
# ## How near is near enough?
#
# A detector will not hit a box to the last decimal. When is it right? Not when the edges are within five pixels: five
# pixels are nothing to a bus and everything to a bird. Ask for the share instead. Of all that either box covers, how much
# do both cover? For boxes $A$ and $B$ with areas $|A|$ and $|B|$, the *intersection over union* is
#
# $$\mathrm{IoU}(A,B)=\frac{|A\cap B|}{|A\cup B|}=\frac{|A\cap B|}{|A|+|B|-|A\cap B|},$$
#
# 1 for equal boxes, 0 for boxes that do not meet, and the same number when the picture is enlarged. The overlap is a box
# itself: it begins at the larger of the two left edges and ends at the smaller of the two right ones, and likewise from
# top to bottom. Where it would end before it begins there is none; mind that two negative sides have a positive product.
# Guess before you compute: a box is 10 wide and 10 high,
# and another is the same, two pixels to the right and two pixels down. What is their IoU?

# %%
overlap = (10 - 2) * (10 - 2)
print(f"overlap {overlap}, union {100 + 100 - overlap}: IoU {overlap / (200 - overlap):.2f}")

# %% [markdown]
# Two pixels off, and less than a half is left. A detector counts as right from 0.5 on; that is stricter than it sounds.
#
# ### Exercise 3: IoU of every pair
#
# Difficulty ●●○, 10 minutes. No loop is needed: a column of N boxes meets a row of M.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "box-iou", "locked": false, "schema_version": 3, "solution": true, "task": false}
def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every box of a with every box of b.

    a: floating point (N, 4); b: floating point (M, 4), each row x1, y1, x2, y2 in continuous
        coordinates, of any unit, with x1 < x2 and y1 < y2. N, M or both may be 0.

    Returns a floating-point tensor (N, M): in row i and column j the area that a[i] and b[j]
    share, divided by the area that the two cover together; 0 where they do not meet.

    Must not change: a and b.

    >>> a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> b = torch.tensor([[1.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0], [5.0, 5.0, 6.0, 7.0]])
    >>> [round(share, 3) for share in box_iou(a, b)[0].tolist()]
    [0.5, 0.143, 0.0]
    """
    ### BEGIN SOLUTION
    # Why: A column of N boxes meets a row of M, and broadcasting makes
    # the table. `clamp` comes before the product: boxes apart in both
    # directions have two negative sides, and their product is positive.
    begin = torch.maximum(a[:, None, :2], b[None, :, :2])
    end = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = (end - begin).clamp(min=0).prod(dim=2)
    area_a, area_b = ((one[:, 2:] - one[:, :2]).prod(dim=1) for one in (a, b))
    return overlap / (area_a[:, None] + area_b[None, :] - overlap)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-box-iou", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_box_iou.add_cases(many=(40, 30), one=(1, 17))
### END HIDDEN TESTS
check_box_iou(box_iou)

# %% [markdown]
# ## A detector is a classifier at every place
#
# How can a network answer with boxes, when it cannot know how many there will be? It does not try. Remember what a
# ResNet computes on its way to its one answer: maps of features, smaller from stage to stage, in which each *cell* looks
# at its own part of the picture. Take off the average that throws the places away, and ask every cell the two questions:
# is there a thing here, and of which kind? And if so, how far is it from you to its left, upper, right and lower edge?
#
# The trunk is the network that you know, in stages; a cell of the second stage stands for a square of 4 by 4 pixels of
# these small scenes, a cell of the third for 8 by 8. The detector brings both to the same width with a convolution of one
# pixel each, adds them, and looks at the sum with three more: one of 3 by 3 cells, then one for the kinds and one for the
# edges.


# %%
class Trunk(nn.Module):
    """A ResNet without its end: a picture (N, 3, H, W) -> the maps of its four stages."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        del network.fc

    def forward(self, x: Tensor) -> list[Tensor]:
        net = self.network
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        maps = []
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def grown(x: Tensor, like: Tensor) -> Tensor:
    """A map enlarged to the height and width of another."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear")


class Detector(nn.Module):
    """Pictures (N, 3, H, W) -> for each of P cells logits (N, P, kinds) and distances (N, P, 4)
    to the left, upper, right and lower edge, in cells."""

    def __init__(self, trunk: Trunk, widths: Sequence[int], kinds: int, channels: int = 64) -> None:
        super().__init__()
        self.trunk = trunk
        self.near = nn.Conv2d(widths[1], channels, 1)
        self.far = nn.Conv2d(widths[2], channels, 1)
        self.mix = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(8, channels), nn.ReLU()
        )
        self.kind = nn.Conv2d(channels, kinds, 1)
        self.edges = nn.Conv2d(channels, 4, 1)
        nn.init.constant_(self.kind.bias, -2.5)  # at first, hardly anything anywhere

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, near, far, _ = self.trunk(x)
        mixed = self.mix(self.near(near) + grown(self.far(far), near))
        logits, edges = self.kind(mixed), self.edges(mixed).exp()
        return logits.flatten(2).transpose(1, 2), edges.flatten(2).transpose(1, 2)


# %% [markdown]
# To train it, each cell needs a label. A cell whose centre lies in the middle of a box, in the inner half of its width and
# its height, has found the thing: it is to say its kind, and where the edges are. All other cells are to say that there is
# nothing. Two losses then: for the kinds a binary cross-entropy at every cell, in which easy cells count for little (the
# *focal* loss of T.-Y. Lin et al.: most cells see nothing, and would drown the rest), and for the cells that found
# something one minus an IoU, in a version that has a gradient even for boxes that do not meet.


# %%
from torchvision.ops import generalized_box_iou_loss


def centres(like: tuple[int, int], step: float) -> Tensor:
    """Centres (P, 2), x and y in pixels, of the cells of a map of this height and width."""
    y, x = torch.meshgrid(torch.arange(like[0]), torch.arange(like[1]), indexing="ij")
    return (torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * step


def assigned(boxes: Tensor, labels: Tensor, cells: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """For each cell the kind that it is to find (P,), -1 for none, and its box (P, 4).

    Where two boxes claim a cell the smaller one has it.
    """
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    inner = (half / 2).clamp(min=step / 2)  # no thing is too small to have a cell
    inside = ((cells[:, None] - middle).abs() <= inner).all(dim=2)
    area = (4 * half.prod(dim=1)).expand(len(cells), -1)
    claimed = torch.cat(
        [torch.where(inside, area, torch.inf), torch.full((len(cells), 1), torch.inf)], 1
    )
    smallest, owner = claimed.min(dim=1)
    nobody = torch.tensor([-1]), torch.zeros(1, 4)
    kinds = torch.cat([labels, nobody[0]])[torch.where(smallest < torch.inf, owner, -1)]
    return kinds, torch.cat([boxes, nobody[1]])[torch.where(smallest < torch.inf, owner, -1)]


def boxes_from(cells: Tensor, edges: Tensor, step: float) -> Tensor:
    """Centres (P, 2) and distances in cells (..., P, 4) -> boxes (..., P, 4) in pixels."""
    edges = edges * step
    return torch.cat([cells - edges[..., :2], cells + edges[..., 2:]], dim=-1)


def detection_loss(logits: Tensor, boxes: Tensor, kinds: Tensor, wanted: Tensor) -> Tensor:
    """Logits (N, P, kinds), boxes (N, P, 4); what is wanted at each cell: kinds (N, P), boxes (N, P, 4)."""
    found = kinds >= 0
    truth = F.one_hot(kinds.clamp(min=0), logits.shape[-1]) * found[..., None]
    each = F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
    focal = (each * (1 - (-each).exp()) ** 2).sum()
    where = generalized_box_iou_loss(boxes[found], wanted[found], reduction="sum")
    return (focal + where) / found.sum().clamp(min=1)


# %% [markdown]
# ## One thing, found many times
#
# Train it on a few scenes, and look at what it says of one that it has not seen. A cell's *score* is the sigmoid of its
# largest logit: how sure it is of its kind. Everything with a score above 0.3 is drawn. Two things stand in the scene, or
# one, or three. How many boxes do you expect?

# %% tags=["experiment"]
size = scale.experiment(
    offline={"seeds": 3, "scenes": 24, "epochs": 24, "batch": 8},
    quick={"seeds": 1, "scenes": 4, "epochs": 1, "batch": 2},
    full={"seeds": 3, "scenes": 120, "epochs": 30, "batch": 8},
)
rates = {"pretrained": (2e-3, 1e-3), "random": (2e-3, 2e-3)}  # of the new layers, of the trunk
rates_of_masks = {"pretrained": (5e-3, 2e-3), "random": (5e-3, 5e-3)}


def inputs_of(scenes: Scenes) -> Tensor:
    return preprocess("resnet", scenes.images, size=side)


test_inputs = inputs_of(data.test)
with torch.no_grad():
    maps = Trunk(load_backbone("resnet", pretrained=False).eval())(test_inputs[:1])
widths = [features.shape[1] for features in maps]
step = side / maps[1].shape[-1]  # pixels a cell
cells = centres(tuple(maps[1].shape[-2:]), step)


def some_scenes(seed: int) -> Scenes:
    """The few scenes to train on with this seed."""
    draw = torch.Generator().manual_seed(seed)
    return data.train.pick(torch.randperm(len(data.train), generator=draw)[: size.scenes])


def optimizer_for(
    model: nn.Module, trunk: nn.Module, lrs: tuple[float, float], epochs: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with one rate for the trunk and one for what is new, warmed up and brought down to zero."""
    of_trunk = {id(parameter) for parameter in trunk.parameters()}
    new = [parameter for parameter in model.parameters() if id(parameter) not in of_trunk]
    groups = [
        {"params": group, "lr": lr}
        for group, lr in zip((new, list(trunk.parameters())), lrs, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = epochs * -(-size.scenes // size.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=steps, pct_start=0.15
    )
    return optimizer, schedule


def fit_detector(
    start: str, seed: int, flip: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
) -> Detector:
    """A detector trained on a few scenes; `flip` is done to half of the pictures."""
    torch.manual_seed(seed)
    trunk = Trunk(load_backbone("resnet", pretrained=start == "pretrained"))
    model = place(Detector(trunk, widths, kinds), device)
    optimizer, schedule = optimizer_for(model, trunk, rates[start], size.epochs)
    scenes = some_scenes(seed)
    inputs = inputs_of(scenes)
    draw = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(size.epochs):
        for rows in torch.randperm(len(scenes), generator=draw).split(size.batch):
            pictures, wanted = [], []
            for row in rows.tolist():
                picture, boxes = inputs[row], scenes.boxes[row]
                if flip and torch.rand((), generator=draw) < 0.5:
                    picture, boxes = flip(picture, boxes)
                pictures.append(picture)
                wanted.append(assigned(boxes, scenes.labels[row], cells, step))
            kind, box = (torch.stack(column).to(device) for column in zip(*wanted, strict=True))
            logits, edges = model(torch.stack(pictures).to(device))
            loss = detection_loss(logits, boxes_from(cells.to(device), edges, step), kind, box)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
    return model.eval()


def raw_finds(
    model: Detector, inputs: Tensor, *, least: float = 0.05
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each picture every box with a score above `least`, its score, and its kind."""
    found = []
    with torch.no_grad():
        for batch in inputs.split(50):
            logits, edges = (part.float().cpu() for part in model(batch.to(device)))
            for scores, box in zip(logits.sigmoid(), boxes_from(cells, edges, step), strict=True):
                best, kind = scores.max(dim=1)
                sure = best > least
                found.append((box[sure], best[sure], kind[sure]))
    return found


detector = fit_detector("pretrained", seed=0)
everything = raw_finds(detector, test_inputs, least=0.0 if size.scale == "quick" else 0.3)
crowded = max(range(len(data.test)), key=lambda i: len(data.test.boxes[i]))
boxes, scores, _ = everything[crowded]
figure, (left, right) = plots.panels(2, width=5.6, height=2.9)
plots.framed(left, data.test.images[crowded], data.test.boxes[crowded])
left.set_title(f"the truth: {len(data.test.boxes[crowded])} boxes", loc="center")
plots.framed(right, data.test.images[crowded], boxes)
right.set_title(f"the network: {len(boxes)} boxes", loc="center")
per_scene = sum(len(found[0]) for found in everything) / len(everything)
true_per_scene = sum(len(b) for b in data.test.boxes) / len(data.test)
display(
    Markdown(
        f"Over all test scenes: {true_per_scene:.1f} things a scene, and **{per_scene:.0f}** boxes."
    )
)
if size.scale == "offline":
    assert per_scene > 3 * true_per_scene

# %% [markdown]
# Each thing is found by every cell near its middle, and rightly so: that is what we asked for. We want the best box of
# each heap and none of the others. The rule is old and simple, *non-maximum suppression*. Take the box with the highest
# score and keep it. Drop every other box that overlaps it by more than a threshold: it means the same thing. Of what is
# left take the best again, and go on until nothing is left.
#
# Two things are worth a second look. A box that has been dropped is gone. It suppresses nobody, even if it overlaps another
# one strongly. And the threshold is one of IoU, not of scores.
#
# ### Exercise 4: non-maximum suppression
#
# Difficulty ●●○, 15 minutes. Your `box_iou` may serve, or `torchvision.ops.box_iou`.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "nms", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression: which boxes to keep.

    boxes: floating point (K, 4), each x1, y1, x2, y2 with x1 < x2 and y1 < y2. K may be 0.
    scores: floating point (K,), any real numbers, no two alike; higher is better.
    threshold: in [0, 1]. The best box that is left is kept, and every box left whose IoU with it
        is greater than this is dropped; one whose IoU is exactly this stays. Then the best of
        those that remain is kept, and so on until none remains.

    Returns an int64 tensor (kept,): the places in `boxes` of those that are kept, by falling
    score; an empty int64 tensor for K = 0.

    Must not change: boxes and scores.

    >>> boxes = torch.tensor([[0.0, 0, 4, 4], [1.0, 0, 5, 4], [2.0, 0, 6, 4], [9.0, 9, 12, 12]])
    >>> nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.95]), threshold=0.5).tolist()
    [3, 0, 2]
    """
    ### BEGIN SOLUTION
    # Why: The best is compared only with what is still left, so a box that was dropped suppresses
    # nobody. Each round keeps the best of the rest: the answer comes out by falling score.
    order = scores.argsort(descending=True)
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best.item())
        overlap = box_iou(boxes[best][None], boxes[rest])[0]
        order = rest[overlap <= threshold]
    return torch.tensor(kept, dtype=torch.int64)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-nms", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_nms.add_cases(crowd=(40, 0.5), strict=(25, 0.15), lenient=(18, 0.8))
### END HIDDEN TESTS
check_nms(nms)

# %% [markdown]
# In the example the second box is dropped because of the first; the third overlaps the second, which is gone, and stays.
# Now the scene again. Move the slider: at 0 no two boxes may overlap, at 1 everything stays. Where does the second of two
# things that stand close together disappear, and where do the doubles come back?

# %% tags=["experiment"]
scale.experiment()
figure = suppression(data.test.images[crowded], boxes, scores, nms)
kept = {threshold: len(nms(boxes, scores, threshold)) for threshold in (0.05, 0.3, 0.6, 0.9)}
assert kept[0.05] <= kept[0.9], "fewer boxes are left at 0.05 than at 0.9: see the card of nms"

# %% [markdown]
# There is no threshold that is right for every scene: two people who walk arm in arm overlap more than two boxes of one
# person sometimes do. A half is where most begin.
#
# ## What the pretrained trunk is worth
#
# A number for the whole test: go through all boxes of one kind by falling score. *Precision* is the share of them that are
# right so far, with an IoU of at least a half with a thing that no surer box has taken; *recall* is the share of all
# things that have been found so far. The area under precision over recall, in the mean over the kinds, is the *average
# precision*, AP. A second box around the same thing counts as wrong: without suppression it falls; by how much, the cell
# below says.
#
# Now train it twice on the same scenes: from the pretrained trunk, and from random weights. All layers learn in both. By how
# much do the two differ, with so few scenes?

# %% tags=["experiment"]
scale.experiment()
truth = list(zip(data.test.boxes, data.test.labels, strict=True))


def score(model: Detector, suppress: bool = True) -> float:
    """AP on the test scenes."""
    found = []
    for boxes, scores, labels in raw_finds(model, test_inputs):
        keep = nms(boxes, scores, 0.5)[:20] if suppress else scores.argsort(descending=True)
        found.append((boxes[keep], scores[keep], labels[keep]))
    return average_precision(found, truth, kinds)


precision = {"pretrained": [score(detector)], "random": []}
doubles = score(detector, suppress=False)
for seed in training.progress(range(size.seeds), "seeds"):
    if seed > 0:
        precision["pretrained"].append(score(fit_detector("pretrained", seed)))
    precision["random"].append(score(fit_detector("random", seed)))
display(
    Markdown(
        f"AP on {len(data.test)} other scenes after {size.scenes} scenes, {size.epochs} times over, mean ± standard deviation "
        f"over {size.seeds} seeds: pretrained **{plots.plus_minus(precision['pretrained'], 100)} %**, random "
        f"**{plots.plus_minus(precision['random'], 100)} %**. Without suppression the first of them falls from "
        f"{precision['pretrained'][0]:.0%} to {doubles:.0%}."
    )
)
if size.scale == "offline":
    assert sum(precision["pretrained"]) > sum(precision["random"]) + 0.08 * size.seeds
    assert doubles < precision["pretrained"][0] - 0.1

# %% [markdown]
# It had seen none of these kinds, no ground and never two things at once, and it is far ahead. No coat can
# have carried over, since there is none here. What can are edges, corners, the weave of a cloth, a heel. (Both use the
# learning rates that we found for them by hand.)
#
# And the flip? We train from the pretrained trunk twice more: pictures mirrored at random with your function, and pictures
# mirrored with boxes that stay where they were. Write down what you expect for both, against no flip at all.

# %% tags=["experiment"]
scale.experiment()
flips = {
    "no flip": precision["pretrained"],
    "with boxes": [],
    "boxes forgotten": [],
}
for seed in training.progress(range(size.seeds), "seeds"):
    flips["with boxes"].append(score(fit_detector("pretrained", seed, flip_with_boxes)))
    forget = fit_detector("pretrained", seed, lambda x, b: (flip_with_boxes(x, b)[0], b))
    flips["boxes forgotten"].append(score(forget))
rows = {"random trunk": precision["random"]} | {
    f"pretrained, {way}": ap for way, ap in flips.items()
}
figure = plots.accuracies(
    {f"{size.scenes} scenes, {size.seeds} seeds": {row: {"AP": ap} for row, ap in rows.items()}},
    xlabel="AP on test scenes (%)",
)
display(
    Markdown(
        "; ".join(f"{way} **{plots.plus_minus(ap, 100)} %**" for way, ap in flips.items()) + "."
    )
)
if size.scale == "offline":
    lost = [a - b for a, b in zip(flips["with boxes"], flips["boxes forgotten"], strict=True)]
    assert training.mean_and_spread(lost)[0] > 0.05
    assert sum(flips["with boxes"]) < sum(flips["no flip"]) + 0.05 * size.seeds

# %% [markdown]
# Boxes that stay behind take back much of what the pretrained trunk had given. No error was raised, and nothing showed
# that anything was wrong. That is what you would have taught the network with the one line at the top.
#
# And the flip that is right? It brings nothing that shows. Look at the shoes: every toe points to the left.
# Whoever took Fashion-MNIST's photos laid all shoes down alike. A mirrored shoe is a picture that no test will
# show, and some of a small budget went into it. In a street people walk both ways, and a flip is two photos for one. In a
# scan of a chest it moves the heart to the right side, and that is another patient.

# %% [markdown]
# ## Which pixels: the label is a picture
#
# A mask gives each pixel its own label: road or not, tumour or not, background or one of four kinds. To ask this is
# called *segmentation*, and it is classification again, at every pixel. The loss is the cross-entropy that you know, and
# there is one new question: the mean of what?
#
# Over the pixels that count. On the white seams the label is 255, which is no class at all; Pascal VOC draws such a seam
# around everything, street scenes call the bonnet of one's own car so. Write $m_{n,p}$ for the label of pixel $p$ of image
# $n$, and $\ell_{n,p}$ for the cross-entropy there. The loss is
#
# $$L=\frac{1}{|V|}\sum_{(n,p)\in V}\ell_{n,p},\qquad V=\{(n,p): m_{n,p}\neq \text{ignored}\},$$
#
# with one $V$ for the whole batch. The mean of each image first, and then the mean of these, is another number. Take a
# batch of two images with 100 pixels each; in the first one pixel counts, in the second all do. By how much does the one
# pixel outweigh each of the others?

# %%
counted = torch.tensor([1.0, 100.0])
weights = (1 / counted) / len(counted)  # of one pixel of each image, in the mean of the means
print(
    f"a pixel of the first image weighs {weights[0]:.3f}, one of the second {weights[1]:.3f}: {weights[0] / weights[1]:.0f} times"
)

# %% [markdown]
# ### Exercise 5: the mean over the pixels that count
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "masked-pixel-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def masked_pixel_loss(logits: Tensor, mask: Tensor, ignore_index: int) -> Tensor:
    """Mean cross-entropy, in nats, over the pixels of a batch that are not ignored.

    logits: floating point (N, C, H, W), C logits for each pixel.
    mask: int64 (N, H, W), each pixel's class, 0 to C - 1, or ignore_index.
    ignore_index: the label of pixels that do not count; any integer, such as 255 or -1, or one
        of 0 to C - 1: then pixels with that label do not count, but its logit stays in the
        softmax of all others. At least one pixel of the batch counts; a whole image may be
        ignored.

    Returns a tensor with one number: the sum of the counted pixels' cross-entropies divided by
    how many they are, over the whole batch. Gradients flow to the logits, none to those of
    ignored pixels.

    Must not change: logits and mask.

    >>> logits = torch.tensor([[0.0, 3.0, 9.0], [0.0, 0.0, 0.0]]).view(1, 2, 1, 3)
    >>> mask = torch.tensor([[[0, 0, 255]]])
    >>> round(masked_pixel_loss(logits, mask, ignore_index=255).item(), 3)
    0.371
    """
    ### BEGIN SOLUTION
    # Why: What does not count is taken out before the mean: times 0,
    # it would still be in the divisor. With the classes last, one mask
    # picks from logits and labels alike, over the whole batch at once.
    counted = mask != ignore_index
    return F.cross_entropy(logits.movedim(1, -1)[counted], mask[counted])
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-masked-pixel-loss", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_masked_pixel_loss.add_cases(street=(4, 6, 255), scan=(3, 2, -1), no_ground=(2, 5, 0))
### END HIDDEN TESTS
check_masked_pixel_loss(masked_pixel_loss)

# %% [markdown]
# ## How good is a mask?
#
# The first measure that comes to mind: the share of pixels that are right. Before you trust it, ask what a network scores
# that says "background" everywhere, on the test scenes.

# %% tags=["experiment"]
scale.experiment()
sure = data.test.masks != IGNORED
nothing = (data.test.masks[sure] == 0).double().mean().item()
display(
    Markdown(f"A network that sees nothing at all is right on **{nothing:.0%}** of the pixels.")
)
if scale.current() == "offline":
    assert nothing > 0.75

# %% [markdown]
# A tumour may fill one pixel in a thousand. A scan reader that never reports one is right on 99.9 % of the pixels. What we
# want to know is how far two sets of pixels agree: $A$, what the network paints, and $B$, the truth. L. Dice asked in 1945
# how often two species are found together, and medicine still uses the number:
#
# $$\mathrm{Dice}(A,B)=\frac{2\,|A\cap B|}{|A|+|B|}.$$
#
# It is 1 for equal sets and 0 for sets that do not meet. All the pixels that are background in both do not enter it. It
# wants two *sets*: a pixel is in or out. A network's scores have to be decided first, by the largest logit. Put soft scores
# in their place, and the number depends on how sure the network is and not only on what it says:

# %%
truth_mask = torch.zeros(10, 10)
truth_mask[3:7, 3:7] = 1
for sureness in (0.6, 0.75, 0.99):
    soft = torch.where(truth_mask > 0, sureness, 1 - sureness)  # every pixel on the right side
    hard = (soft > 0.5).float()
    of_scores, of_mask = (
        2 * (chosen * truth_mask).sum() / (chosen.sum() + truth_mask.sum())
        for chosen in (soft, hard)
    )
    print(
        f"every pixel right, each with {sureness:.0%}: the formula gives {of_scores:.2f} for the scores, "
        f"{of_mask:.2f} for the mask"
    )

# %% [markdown]
# ### Exercise 6: Dice
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "dice", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dice(pred: Tensor, target: Tensor) -> float:
    """How far two masks agree: twice the pixels in both, over the pixels of the one plus those of
    the other.

    pred, target: masks (H, W) that have been decided: bool, or 0 and 1 of any dtype, and not
        always the same dtype for both. At least one of the two has a pixel.

    Returns a number in [0, 1]: 1 for equal masks, 0 for masks without a common pixel. Nothing is
    added against division by zero: it does not occur.

    Must not change: pred and target.

    >>> pred = torch.tensor([[True, True, False], [True, False, False]])
    >>> target = torch.tensor([[0, 1, 1], [1, 1, 0]])
    >>> round(float(dice(pred, target)), 3)
    0.571
    """
    ### BEGIN SOLUTION
    # Why: As `bool`, whatever dtypes came in, `&` means in both and
    # `sum` counts pixels. Those outside both masks are counted
    # nowhere, so a large background cannot make a bad mask look good.
    a, b = pred.bool(), target.bool()
    return (2 * (a & b).sum() / (a.sum() + b.sum())).item()
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-dice", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_dice.add_cases(scan=(64, 48), strip=(5, 200))
### END HIDDEN TESTS
check_dice(dice)

# %% [markdown]
# ## Down and up again
#
# The deep stages know what a thing is and have forgotten where, to the pixel; the early ones know where each edge runs, and
# not of what. O. Ronneberger and others drew the way out for pictures of cells, in the shape of a U: go down through the
# trunk, and come up again, and at each stage bring back the map of the same size from the way down. They lay the two
# behind each other; we add them, which takes fewer weights.


# %%
class UNet(nn.Module):
    """Pictures (N, 3, H, W) -> logits (N, kinds, H, W): down the trunk, and up with its maps."""

    def __init__(self, trunk: Trunk, widths: Sequence[int], kinds: int, channels: int = 48) -> None:
        super().__init__()
        self.trunk = trunk
        self.across = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(8, channels), nn.ReLU()
            )
            for _ in widths[1:]
        )
        self.kind = nn.Conv2d(channels, kinds, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [cross(level) for cross, level in zip(self.across, self.trunk(x), strict=True)]
        y = maps.pop()
        for up in self.up:
            below = maps.pop()
            y = up(grown(y, below) + below)
        return grown(self.kind(y), x)


# %% [markdown]
# Again from the pretrained trunk and from random weights, on the same few scenes, with your loss; every few epochs we
# measure the Dice of each kind in each test scene that has it, and take the mean. Draw the two curves before you see them.

# %% tags=["experiment"]
seg = scale.experiment(
    offline={"seeds": 3, "epochs": 32, "every": 4},
    quick={"seeds": 1, "epochs": 2, "every": 1},
    full={"seeds": 3, "epochs": 40, "every": 4},
)


def painted(model: UNet, inputs: Tensor) -> Tensor:
    """What the network paints, (N, H, W): the kind with the largest logit at each pixel."""
    return torch.cat([training.predict(model, batch).argmax(dim=1) for batch in inputs.split(25)])


def mean_dice(pred: Tensor, masks: Tensor) -> float:
    """The mean over scenes and the kinds in them, over the pixels that count."""
    values = []
    for paint, mask in zip(pred, masks, strict=True):
        counted = mask != IGNORED
        for kind in mask[counted].unique().tolist():
            if kind:
                values.append(float(dice((paint == kind) & counted, mask == kind)))
    return sum(values) / len(values)


def fit_unet(
    start: str, seed: int, masks_for: Callable[[Tensor], Tensor] = lambda m: m
) -> tuple[UNet, list[float]]:
    """A U-Net trained on a few scenes, and its mean Dice on the test scenes as it went."""
    torch.manual_seed(seed)
    trunk = Trunk(load_backbone("resnet", pretrained=start == "pretrained"))
    model = place(UNet(trunk, widths, 1 + kinds), device)
    optimizer, schedule = optimizer_for(model, trunk, rates_of_masks[start], seg.epochs)
    scenes = some_scenes(seed)
    inputs, masks = inputs_of(scenes), masks_for(scenes.masks)
    draw = torch.Generator().manual_seed(seed)
    curve = []
    for epoch in range(1, seg.epochs + 1):
        model.train()
        for rows in torch.randperm(len(scenes), generator=draw).split(size.batch):
            loss = masked_pixel_loss(
                model(inputs[rows].to(device)), masks[rows].to(device), IGNORED
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % seg.every == 0:
            curve.append(mean_dice(painted(model, test_inputs), data.test.masks))
    return model.eval(), curve


segmenters = {start: [] for start in rates}
for seed in training.progress(range(seg.seeds), "seeds"):
    for start in rates:
        segmenters[start].append(fit_unet(start, seed))
curves = {start: [curve for _, curve in runs] for start, runs in segmenters.items()}
figure, (axis,) = plots.panels(1, width=6.4, height=3.2)
plots.bands(axis, curves)
measured = range(1, seg.epochs // seg.every + 1)
axis.set_xticks(list(measured), [str(seg.every * number) for number in measured])
axis.set(xlabel="epoch", ylabel="mean Dice on test scenes", ylim=(0, 1))
axis.legend(fontsize=9)
last = {start: [curve[-1] for curve in runs] for start, runs in curves.items()}
display(
    Markdown(
        f"In the end, over {seg.seeds} seeds: pretrained **{plots.plus_minus(last['pretrained'], 1, 2)}**, random "
        f"**{plots.plus_minus(last['random'], 1, 2)}**."
    )
)
if seg.scale == "offline":
    first = {start: sum(curve[0] for curve in runs) for start, runs in curves.items()}
    assert first["pretrained"] > first["random"]
    assert sum(last["pretrained"]) > 0.35 * seg.seeds

# %% tags=["experiment"]
scale.experiment()
figure, axes = plots.panels(4, rows=4, width=7.2, height=7.2)
pictured = sorted(range(len(data.test)), key=lambda i: -len(data.test.boxes[i]))[:4]
for row, i in enumerate(pictured):
    four = axes[4 * row : 4 * row + 4]
    plots.framed(four[0], data.test.images[i], torch.zeros(0, 4))
    plots.labelled(four[1], data.test.masks[i], IGNORED)
    for axis, start in zip(four[2:], rates, strict=True):
        plots.labelled(axis, painted(segmenters[start][0][0], test_inputs[i : i + 1])[0], IGNORED)
for axis, title in zip(axes[:4], ("scene", "truth", *rates), strict=True):
    axis.set_title(title, loc="center")

# %% [markdown]
# The pretrained trunk is ahead at the first point. Where the bands meet later, so few seeds do not tell the two apart. A
# scene has two boxes, and four thousand labelled pixels: where labels are rich, there is less to bring along. Look at the
# paintings too, for things that are half a dress and half a pullover. Each pixel sees its surroundings, but its kind is
# decided by itself: nothing in the loss asks two neighbours to agree.
#
# One mistake is left to be seen. 255 is no class, and a loss that is not told so raises an error. The quick repair is to call
# the seams background; they are thin. How much less will the network paint, in percent of what there is to paint?

# %% tags=["experiment"]
scale.experiment()


def painted_share(model: UNet) -> float:
    """How many pixels the network paints, of each that is painted in the truth or a seam."""
    paint = painted(model, test_inputs) > 0
    return (paint.sum() / (data.test.masks > 0).sum()).item()


def seams_as_background(masks: Tensor) -> Tensor:
    return masks.masked_fill(masks == IGNORED, 0)


shares = {"seams ignored": [painted_share(model) for model, _ in segmenters["pretrained"]]}
shares["seams as background"] = [
    painted_share(fit_unet("pretrained", seed, seams_as_background)[0]) for seed in range(seg.seeds)
]
display(
    Markdown(
        "; ".join(f"{way}: {plots.plus_minus(share, 100)} %" for way, share in shares.items()) + "."
    )
)
if seg.scale == "offline":
    assert sum(shares["seams as background"]) < sum(shares["seams ignored"]) - 0.1 * seg.seeds

# %% [markdown]
# What there is to paint counts the seams too; a perfect network that stops at them would not reach 100 %. But see how the
# ignored label was counted, and what came of it. The seam is thin, but the things are small, so it is a large share of
# them. Called background, it teaches the network that the rim of a thing is ground, and the network paints only what lies
# well inside. No error was raised, the picture looks tidy, and everything is smaller than it is. A doctor measures a
# tumour's size on such a picture.

# %% [markdown]
# ## Real streets
#
# With `COURSE_SCALE=full` this notebook does the same with photos. `load_backbone("resnet")` is then ResNet-18, pretrained on
# ImageNet; its stages have the names that `Trunk` asks for. The scenes are Penn-Fudan's 170 photos of streets with
# pedestrians. Nobody drew boxes there. There is a mask that numbers the people, and a box is the first and the last column
# and row of each number. In continuous coordinates the last column is covered to its end, so here a one is added, and rightly:

# %%
people = torch.tensor([[0, 0, 2, 2, 2], [1, 0, 2, 2, 2], [1, 1, 0, 0, 2]])
print(boxes_of_masks(people).tolist())

# %% [markdown]
# `voc()` from `course.data` gives Pascal VOC in the same form, with twenty kinds and a seam of 255 around every thing; put
# it where `penn_fudan(side)` stands. A street for a car that drives itself, Cityscapes, has thirty kinds and a label for each
# pixel of five thousand photos; one such mask took an hour and a half to paint. A scan has a mask that a doctor painted, and
# a second doctor would have painted another. That is why so few labels must do, and why the trunk is not trained from
# nothing.
#
# ## The next door
#
# Give the detector more scenes (`size.scenes`, up to what `data.train` holds) and see whether the random trunk catches
# up. Turn the focal loss into a plain one and count the boxes. Let half of the *clothes* in the scenes look the other
# way, and ask again what a flip is worth.
#
# Mixup is by H. Zhang and others: [mixup: Beyond Empirical Risk Minimization](https://arxiv.org/abs/1710.09412) (2018). A
# detector that asks each cell for its edges is [FCOS](https://arxiv.org/abs/1904.01355) (Z. Tian and others 2019); the loss
# for cells that see nothing is in [Focal Loss for Dense Object Detection](https://arxiv.org/abs/1708.02002) (T.-Y. Lin and
# others 2017), the IoU that has a gradient for boxes apart in
# [Generalized Intersection over Union](https://arxiv.org/abs/1902.09630) (H. Rezatofighi and others 2019). The U is in
# [U-Net: Convolutional Networks for Biomedical Image Segmentation](https://arxiv.org/abs/1505.04597) (O. Ronneberger and
# others 2015). torchvision has trained detectors and segmenters, and its tutorial
# [fine-tunes one on Penn-Fudan](https://docs.pytorch.org/tutorials/intermediate/torchvision_tutorial.html).
#
# All our pictures had one size. A sentence of three words and one of thirty are to sit in one batch too. What stands in the
# gap must not count, and you have just written a loss that knows how. But will the network know?
