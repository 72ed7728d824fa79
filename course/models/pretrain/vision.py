"""How the small vision models of the zoo were made: `python -m course.models.pretrain resnet`.

A model learns to say what a picture shows: one of five kinds of clothes, and by how many quarter turns the photo was
turned (20 answers), or one of the letters a to z (26 answers). The photos are the training photos of
`course.data.seen_clothes`, the letters those of `course.data.printed_letters`. Each picture is distorted afresh every
time it is shown. It has seen none of the other five kinds of clothes, and no digit.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from course.data import digits, printed_letters, seen_clothes
from course.models import small
from course.models.pretrain import running
from course.models.small import ANSWERS, KINDS, MEAN, STD, TURNS
from course.models.vision import normalised


@dataclass(frozen=True)
class Recipe:
    """All that decides what training gives. pictures: of each source, at most so many; None is all there are."""

    name: str
    image_size: int
    epochs: int
    lr: float
    batch: int = 64
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of all steps
    repeats: int = 2  # how often an epoch shows each letter
    pictures: int | None = None
    seed: int = 0


BUILDERS: dict[str, Callable[[int], nn.Module]] = {
    "vgg": small.build_vgg,
    "resnet": small.build_resnet,
    "resnet-bottleneck": small.build_resnet_bottleneck,
    "inception": small.build_inception,
    "vit": small.build_vit,
}
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("vgg", 32, epochs=12, lr=1e-3),
        Recipe("resnet", 32, epochs=12, lr=2e-3),
        Recipe("resnet-bottleneck", 32, epochs=12, lr=2e-3),
        Recipe("inception", 40, epochs=8, lr=2e-3),
        Recipe("vit", 32, epochs=30, lr=1e-3),
    )
}


CARD = """# {name}

A small member of its family, of torchvision's own class: {parameters:,} parameters, stored in half precision. Written
by `python -m course.models.pretrain {name}`, as is this card.

**Input.** {image_size} x {image_size} pixels, gray repeated in three channels, (x - {mean}) / {std} for x in [0, 1].

**Output.** {answers} logits. Number 4 k + q: kind k of T-shirt/top, Trouser, Coat, Sandal, Bag, turned by q quarter
turns against the clock. Number 20 + i: the i-th letter of the alphabet, printed, capital or small.

**Data.** The 1,500 training photos of these five kinds from the shipped sample of Fashion-MNIST, and 780 letters drawn
with 15 fonts that matplotlib brings. No photo of the other five kinds, no test photo and no digit. That makes two
honest targets: digits, which are strokes as letters are (a printed O and a handwritten 0 differ little, and it has
seen the one), and the other five kinds of clothes.

**Recipe.** {epochs} epochs, each with all photos and {repeats} times all letters, distorted afresh: photos turned by
quarter turns and mirrored; all tilted, stretched, shifted, darker or lighter. AdamW in batches of {batch}, learning
rate {lr} after a warm-up over {warmup:.0%} of the steps, then half a cosine down to zero, weight decay {weight_decay},
gradients clipped to norm 1. Seed {seed}.

**Accuracy.** Among all {answers} answers: {clothes:.1%} on the 500 test photos of the five kinds in each of four turns,
{letters:.1%} on 208 letters in four fonts it was not trained on, {all:.1%} on both together.

**Transfer.** A logistic regression on its {features} features, fitted on 10 digits a class (scikit-learn's), is right
on {digits:.1%} of 450 others, in the mean over five drawings; on the same network with random weights, on
{digits_random:.1%}.

**Limits.** Made to teach with. It knows small, gray, centred pictures on black, and nothing of colour, scenes or
people.

**Licence.** Apache-2.0, as the course. Fashion-MNIST is MIT (Zalando SE); the fonts that matplotlib brings are DejaVu,
STIX and Computer Modern, all free to use.
"""


def quick(recipe: Recipe) -> Recipe:
    """The same recipe with few pictures and two epochs: it shows that everything runs, and little else."""
    return replace(recipe, epochs=2, pictures=128)


def pretrain(name: str, folder: Path, small_run: bool) -> dict[str, float]:
    """Trains the model NAME and writes it, as `save` does."""
    recipe = quick(RECIPES[name]) if small_run else RECIPES[name]
    return save(train(recipe, folder), recipe, folder)


def source(recipe: Recipe) -> tuple[Tensor, Tensor]:
    """What an epoch shows: pictures uint8 (N, 1, 28, 28) and labels (N,), a kind of clothes times TURNS, or a letter
    behind all of these."""
    clothes, letters = seen_clothes(full=False), printed_letters()
    draw = torch.Generator().manual_seed(recipe.seed)
    images, labels = [], []
    sources = ((clothes, 0, TURNS, 1), (letters, KINDS * TURNS, 1, recipe.repeats))
    for data, first, step, times in sources:
        rows = torch.randperm(len(data.x_train), generator=draw)[: recipe.pictures].repeat(times)
        images.append(data.x_train[rows])
        labels.append(first + step * data.y_train[rows])
    return torch.cat(images), torch.cat(labels)


def distorted(images: Tensor, turns: Tensor, mirror: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """uint8 (N, 1, H, W) -> float32 (N, 3, size, size), normalised, and each picture in a way of its own.

    Turned by as many quarter turns as `turns` (N,) says, mirrored in one case of two where `mirror` (N,) allows it;
    then tilted a little, stretched, shifted, and darker or lighter.
    """
    n = len(images)

    def uniform(half: float, *shape: int) -> Tensor:
        return half * (2 * torch.rand(n, *shape, generator=draw) - 1)

    angle = uniform(0.17) + turns * (math.pi / 2)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(n, 2, 2)
    stretch = uniform(0.25, 2).exp()
    stretch[:, 0] *= torch.where(mirror & (uniform(1.0) < 0), -1.0, 1.0)
    place = torch.cat([torch.diag_embed(stretch) @ turn, uniform(0.15, 2, 1)], dim=2)
    grid = F.affine_grid(place, [n, 1, size, size], align_corners=False)
    x = F.grid_sample(images.float() / 255, grid, align_corners=False) ** uniform(0.3, 1, 1, 1).exp()
    return ((x - MEAN) / STD).expand(-1, 3, -1, -1)


def loss_of(outputs: Any, labels: Tensor) -> Tensor:
    """Cross-entropy; an auxiliary head's counts 0.4 of the main one's, as Szegedy and others (2015) trained it."""
    if isinstance(outputs, tuple):
        main, auxiliary = outputs
        return F.cross_entropy(main, labels) + 0.4 * F.cross_entropy(auxiliary, labels)
    return F.cross_entropy(outputs, labels)


def train(recipe: Recipe, folder: Path) -> nn.Module:
    """The model that the recipe gives. Goes on from `folder` where a run of the same recipe was cut off."""
    images, labels = source(recipe)

    def batches(draw: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(images), generator=draw).split(recipe.batch):
            y = labels[rows]
            photo = y < KINDS * TURNS
            turns = torch.randint(TURNS, (len(rows),), generator=draw) * photo
            yield distorted(images[rows], turns, photo, recipe.image_size, draw), y + turns

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return loss_of(model(batch[0]), batch[1])

    steps = math.ceil(len(images) / recipe.batch)
    return running.train(recipe, untrained(recipe, recipe.seed), steps, batches, loss, folder)


def accuracy(model: nn.Module, image_size: int) -> dict[str, float]:
    """How often the largest of all ANSWERS logits is right on test pictures, none of which training saw: the photos of
    the seen clothes in each of the four turns (`clothes`), letters in other fonts (`letters`), and both (`all`)."""
    photos, printed = seen_clothes(full=False), printed_letters()

    def right(images: Tensor, labels: Tensor, turns: int) -> Tensor:
        x = torch.rot90(normalised(images, image_size, (MEAN,) * 3, (STD,) * 3), turns, (2, 3))
        with torch.no_grad():
            answers = torch.cat([model(batch).argmax(dim=1) for batch in x.split(250)])
        return answers == labels

    model.eval()
    clothes = torch.cat([right(photos.x_test, photos.y_test * TURNS + turns, turns) for turns in range(TURNS)])
    letters = right(printed.x_test, printed.y_test + KINDS * TURNS, 0)
    shares = {"clothes": clothes, "letters": letters, "all": torch.cat([clothes, letters])}
    return {name: round(share.double().mean().item(), 4) for name, share in shares.items()}


def save(model: nn.Module, recipe: Recipe, folder: Path) -> dict[str, float]:
    """Writes NAME.safetensors in half precision, its recipe and figures in the header, and the model's card, NAME.md.

    Returns the figures: what `accuracy` says, and the means of `transfer` over five drawings of the digits, with these
    weights (`digits`) and with random ones (`digits_random`). They are those of the rounded weights, as loaded later.
    """
    from safetensors.torch import save_file

    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(tensors)
    figures = accuracy(model, recipe.image_size)
    seeds = range(5)
    figures["digits"] = round(fmean(transfer([model for _ in seeds], recipe.image_size)), 4)
    random = (untrained(recipe, seed) for seed in seeds)
    figures["digits_random"] = round(fmean(transfer(random, recipe.image_size)), 4)
    about = {"recipe": json.dumps(asdict(recipe)), "figures": json.dumps(figures)}
    running.replace_file(folder / f"{recipe.name}.safetensors", lambda file: save_file(tensors, file, metadata=about))
    text = CARD.format(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        features=model.get_submodule(_head(model)).in_features,
        answers=ANSWERS,
        mean=MEAN,
        std=STD,
        **asdict(recipe),
        **figures,
    )
    running.replace_file(folder / f"{recipe.name}.md", lambda file: file.write_text(text, encoding="utf-8"))
    return figures


def transfer(models: Iterable[nn.Module], image_size: int, per_class: int = 10) -> list[float]:
    """Accuracy on 450 digits of a logistic regression on each model's features, fitted on `per_class` digits a class.

    The features are what goes into a model's last Linear layer. Which digits are for training is drawn anew, from a
    seed 0, 1, ..., for each model.
    """
    data = digits()

    def features(model: nn.Module, images: Tensor) -> Tensor:
        x = normalised(images, image_size, (MEAN,) * 3, (STD,) * 3)
        with torch.no_grad():
            return torch.cat([model(batch) for batch in x.split(250)])

    found = []
    for seed, whole in enumerate(models):
        model = copy.deepcopy(whole).eval()
        model.set_submodule(_head(model), nn.Identity())
        order = torch.randperm(len(data.x_train), generator=torch.Generator().manual_seed(seed))
        rows = torch.cat([order[data.y_train[order] == label][:per_class] for label in range(len(data.classes))])
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        classifier.fit(features(model, data.x_train[rows]).numpy(), data.y_train[rows].numpy())
        found.append(float(classifier.score(features(model, data.x_test).numpy(), data.y_test.numpy())))
    return found


def _head(model: nn.Module) -> str:
    """The name of the last Linear layer."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]


def untrained(recipe: Recipe, seed: int) -> nn.Module:
    """The model before its first step, with the weights that the seed draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BUILDERS[recipe.name](ANSWERS)
