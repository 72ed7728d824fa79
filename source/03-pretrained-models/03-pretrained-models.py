# %% [markdown]
# # 03 · Pretrained models
#
# You have ten pictures of each handwritten digit, a hundred in all, and a shelf of networks that others have trained.
# One of them learnt from more than a million photos. Another has a tenth of its numbers, and all it ever saw are
# coats, sandals and printed letters. Nobody on the shelf has seen a handwritten digit.
#
# You may take one, freeze it (its numbers stay as they are), and train a single layer on top. Which one do you take?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "install", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
# Where the course is not installed, as in Colab, this brings it. Elsewhere it changes nothing.
import importlib.util
import subprocess
import sys

PACKAGE = "finetuning-from-zero"
if importlib.util.find_spec("course") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", PACKAGE], check=True)

from course.paths import beside

beside("03-pretrained-models")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
from collections.abc import Callable, Iterable
from typing import Any

import torch
from course import head, plots, scale, training
from course.data import digits, new_clothes, seen_clothes
from course.device import pick_device, place
from course.models import card, cards, cards_table, imagenet_labels, load_backbone
from course.widgets.confusion import confusion
from IPython.display import Markdown, display
from pretrained_checks import (
    check_choose_model,
    check_extract_features,
    check_linear_probe,
    check_load_checked,
    check_preprocess_for,
    check_replace_head,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

device = pick_device()
head.show("03-pretrained-models", device, minutes=3)

# %% [markdown]
# ## The shelf
#
# Here are some of the digits, eight pixels wide, and for each network a *card*, which says what it is.

# %% tags=["experiment"]
scale.experiment()
target = digits()
figure = plots.photos(
    target.x_train[:10], [target.classes[label] for label in target.y_train[:10]], columns=10
)
display(Markdown(cards_table(kind="vision")))

# %% [markdown]
# VGG, ResNet, Inception and ViT are families of networks, named by the articles that brought them. The published ones
# that the full scale loads have up to 138 million parameters, and no package brings them; so the course has trained a
# small member of each. Its layers are of the same classes and have the same names: what you write for the small one
# works on the large one. With `COURSE_SCALE=full` the same names give you the published weights.
#
# All of them were trained to tell the classes of some *task* apart, with many examples. To use one for another task
# with few examples takes three steps before any training begins: **choose** a network, **prepare** the data as it knows
# them, **initialise** your model from its weights. This lesson is about these three. Each can go wrong without an error.
#
# Write down the name of the network that you would take. At the end we measure all of them.
#
# ## Step 1: choose
#
# On a shelf of a thousand networks nobody reads every card. A rule reads them: of the networks for my task whose
# weights I can have and whose file is no larger than what I can afford, take the most accurate.
#
# ### Exercise 1: choose
#
# Difficulty ●○○, 5 minutes. Run the cell below yours for its verdict; `check_choose_model.hint()` gives the next of
# three hints. The experiments further down use what you write: while an exercise is open they stop.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "choose-model", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_model(cards: list[dict[str, Any]], task: str, budget: float) -> str:
    """The name of the most accurate network that was trained for a task, fits, and is here.

    cards: one dict a network, with the keys "name" and "task" (text), "accuracy" (a number,
        higher is better; no two are equal), "size_mb" (megabytes) and "available" (bool:
        whether its weights can be had). In any order.
    task: what it must have been trained for. "image" is another task than
        "image classification".
    budget: the largest size_mb allowed, in megabytes; a network of exactly this size fits.

    Returns the network's name. Raises an exception, of whatever type, when no card fits.

    Must not change: the cards, and their order.

    >>> net = {"name": "net", "task": "depth", "accuracy": 0.7, "size_mb": 9.5, "available": True}
    >>> choose_model([net, net | {"name": "large", "accuracy": 0.8, "size_mb": 40.0}], "depth", 10)
    'net'
    """
    ### BEGIN SOLUTION
    # Why: Sift first, then take the best: the most accurate of all may be too large or made
    # for another task. And `==`, not `in`, since "image" stands inside "image classification".
    fitting = [
        card
        for card in cards
        if card["task"] == task and card["size_mb"] <= budget and card["available"]
    ]
    if not fitting:
        raise ValueError(f"no network for {task} of at most {budget} MB is here")
    return max(fitting, key=lambda card: card["accuracy"])["name"]
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-choose-model", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from pretrained_checks import shelf

check_choose_model.add_cases(long=shelf(40, 101), longer=shelf(90, 102))
### END HIDDEN TESTS
check_choose_model(choose_model)

# %% [markdown]
# Give your rule the shelf, and 20 megabytes.

# %% tags=["experiment"]
scale.experiment()
on_the_shelf = [
    {
        "name": row.name,
        "task": row.task,
        "accuracy": row.accuracy,
        "size_mb": row.size_mb,
        "available": row.here or scale.current() == "full",
    }
    for row in cards()
    if row.accuracy is not None
]
chosen = choose_model(on_the_shelf, "image classification", budget=20)
own = ", ".join(
    f"{row.name} {row.accuracy:.0%}" for row in cards() if row.task == "image classification"
)
display(Markdown(f"Your rule takes **{chosen}**. Accuracies on the cards: {own}."))
if scale.current() != "full":
    assert chosen == "resnet"

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "torchvision", "locked": true, "schema_version": 3, "solution": false, "task": false}
# takes a few seconds to import, so it comes only where it is needed
from torchvision import models
from torchvision.transforms.v2 import functional as T

# %% [markdown]
# Is the small one really the better network? Look at what the numbers count. One network was asked to tell a thousand
# kinds of things apart in photos from the web, the other 46: five kinds of clothes, each in four turns, and the
# letters. Two accuracies on two tests say nothing about each other. A rule can compare cards only where they were
# measured on the same test, and what we want to know is on none of them: how well does it do on *our* pictures? Keep
# the rule, and keep the doubt.
#
# ## Step 2: prepare the data
#
# A network knows its pictures in one shape: so many pixels, the channels in one order, the values around zero. Whatever
# it was trained on, it must be given again. What happens if it is not? We take EfficientNet, a photo of a dahlia, and
# prepare it once as the card says, and then with one mistake at a time: channels turned round, no mean and std, values
# left at 0 to 255, and 24 pixels wide. Which of the mistakes hurt, and which raise an error?

# %% tags=["experiment"]
scale.experiment()
from sklearn.datasets import load_sample_images

imagenet = imagenet_labels()
network = place(load_backbone("efficientnet-lite0"), device)
row = card("efficientnet-lite0")
flower = torch.tensor(load_sample_images().images[1]).permute(2, 0, 1)[:, :, 100:527]
mean, std = (torch.tensor(values).view(3, 1, 1) for values in (row.mean, row.std))
as_trained = T.resize(flower.float() / 255, [row.image_size, row.image_size], antialias=True)

ways = {
    "as the card says": (as_trained - mean) / std,
    "BGR": (as_trained.flip(0) - mean) / std,
    "no mean and std": as_trained,
    "0 to 255": 255 * as_trained,
    "24 pixels": (T.resize(as_trained, [24, 24], antialias=True) - mean) / std,
}
answers = {}
for way, x in ways.items():
    probability, answer = training.predict(network, x[None])[0].softmax(dim=0).max(dim=0)
    answers[way] = (imagenet[answer], probability.item())

figure, axes = plots.panels(len(ways), width=9.5, height=2.4)
seen = {"BGR": flower.flip(0), "24 pixels": T.resize(flower, [24, 24], antialias=True)}
for axis, (way, (name, probability)) in zip(axes, answers.items(), strict=True):
    axis.imshow(seen.get(way, flower).permute(1, 2, 0).numpy())
    axis.axis("off")
    axis.set_title(f"{way}:\n“{name}”, {probability:.0%}", fontsize=9, loc="center")
assert answers["as the card says"][0] == "daisy"
assert answers["BGR"][0] == "daisy" and answers["BGR"][1] >= answers["as the card says"][1]
assert all(answers[way][0] != "daisy" for way in list(ways)[2:])

# %% [markdown]
# There is no class for dahlias; a daisy is the nearest. Not one of the four mistakes raised an error. Three
# gave another name. The blue flower is called a daisy too, with no less confidence, and that is the trap: test by eye on one picture, and channels in the wrong order
# pass. A network that is given the wrong pictures still answers.
#
# In words: let $u_c$ be a pixel's value in channel $c$, 0 to 255, and $x_c$ what the network gets. It was trained on
#
# $$x_c = \frac{u_c/255-\mu_c}{\sigma_c},$$
#
# where $\mu_c$ and $\sigma_c$ are the mean and standard deviation of channel $c$ over the pictures it was *trained* on.
# They belong to the weights, and are not measured again on your data. The channels come in the order in which the
# network counts them. Networks that were trained with Caffe or OpenCV count blue, green, red; their mean and std are
# listed in that order too.
#
# ### Exercise 2: prepare
#
# Difficulty ●●○, 10 minutes. The answer is a function that makes a function.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "preprocess-for", "locked": false, "schema_version": 3, "solution": true, "task": false}
def preprocess_for(card: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    """A function that prepares a picture as a network was trained to see it.

    card: a dict with "size", the side in pixels; "mean" and "std", three numbers each, for
        values in [0, 1] and in the order of the network's channels; "channels", "RGB" or
        "BGR", that order.

    Returns a function from one picture to one picture:
        in: uint8 of shape (3, H, W), RGB, 0 to 255, of any height and width;
        out: float32 of shape (3, size, size): scaled to [0, 1], the whole picture resized
        (stretched where it is not square; how it is interpolated is left to you), its
        channels in the network's order, then (x - mean) / std.
    It can be called again and again, and beside the functions of other cards.

    Must not change: the picture, and the card.

    >>> card = {"size": 2, "mean": (0.5, 0.5, 0.0), "std": (0.5, 0.5, 1.0), "channels": "BGR"}
    >>> red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 6, 4)
    >>> preprocess_for(card)(red)[:, 0, 0]
    tensor([-1., -1.,  1.])
    """
    ### BEGIN SOLUTION
    # Why: `mean` and `std` stand in the network's order, so the channels
    # are turned round before `mean` is subtracted. The card is read
    # once, outside: each function that is made keeps its own values.
    size = card["size"]
    mean, std = (
        torch.tensor(card[key], dtype=torch.float32).view(3, 1, 1) for key in ("mean", "std")
    )
    flipped = card["channels"] == "BGR"

    def prepare(image: Tensor) -> Tensor:
        x = T.resize(image.float() / 255, [size, size], antialias=True)
        return ((x.flip(0) if flipped else x) - mean) / std

    return prepare
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-preprocess-for", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_preprocess_for.add_cases(
    tall={"size": 31, "mean": [0.2, 0.4, 0.7], "std": [0.3, 0.6, 0.2], "channels": "RGB"},
    caffe={"size": 56, "mean": (0.4, 0.45, 0.48), "std": (0.22, 0.23, 0.24), "channels": "BGR"},
)
### END HIDDEN TESTS
check_preprocess_for(preprocess_for)

# %% [markdown]
# What does a mistake cost a network on the very test that its card quotes? We take the small ResNet and the test photos
# of the clothes it knows, and ask which kind each shows.

# %% tags=["experiment"]
size = scale.experiment(offline={"photos": 500}, quick={"photos": 40}, full={"photos": 500})
known = seen_clothes(full=False)


def card_of(name: str, side: int | None = None) -> dict[str, Any]:
    """What preprocess_for wants to know of a network of the shelf; side replaces the card's."""
    row = card(name)
    return {
        "size": side or row.image_size,
        "mean": row.mean,
        "std": row.std,
        "channels": "RGB",
    }


def prepared(images: Tensor, card: dict[str, Any]) -> Tensor:
    """Gray photos uint8 (N, 1, H, W) -> (N, 3, size, size), as the card says."""
    prepare = preprocess_for(card)
    return torch.stack([prepare(image.expand(3, -1, -1)) for image in images])


def kinds_right(network: nn.Module, card: dict[str, Any]) -> float:
    """How many photos of clothes the network gives the right one of its first 20 names: kind
    and no turn."""
    logits = training.predict(network, prepared(known.x_test[: size.photos], card))
    return (logits.argmax(dim=1) == 4 * known.y_test[: size.photos]).double().mean().item()


if scale.current() == "full":
    display(Markdown("At full scale the network of this name is ImageNet's; it has no such test."))
else:
    network = place(load_backbone("resnet"), device)
    right = card_of("resnet")
    imagenets = right | {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    cost = {
        "as the card says": kinds_right(network, right),
        "ImageNet's mean and std": kinds_right(network, imagenets),
        "no mean and std": kinds_right(network, right | {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
        "64 pixels": kinds_right(network, right | {"size": 64}),
        "16 pixels": kinds_right(network, right | {"size": 16}),
    }
    lines = [f"| {way} | {share:.1%} |" for way, share in cost.items()]
    display(Markdown("\n".join(["| prepared | right |", "|---|--:|", *lines])))
    was, now = ((0 - used["mean"][0]) / used["std"][0] for used in (right, imagenets))
    print(
        f"A black pixel's first channel: {was:.1f} as the card says, {now:.1f} by ImageNet's mean and std."
    )
    if size.photos == 500:
        assert cost["as the card says"] > 0.9
        assert cost["ImageNet's mean and std"] < 0.1
        assert max(cost["64 pixels"], cost["16 pixels"]) < 0.2
        assert abs(was + 0.8) < 0.05 and abs(now + 2.1) < 0.05
        assert all(share < cost["as the card says"] for share in list(cost.values())[1:])
        assert min(cost.values()) < 0.6

# %% [markdown]
# Guessing would be right on one in 46. ImageNet's mean and std are in more code than any others, and here they ruin
# everything: these photos are black around the edge, and a black that was $-0.8$ is now $-2.1$ in the first channel,
# where no training photo ever was. And size: a filter that learnt to find a heel three pixels wide looks for three pixels still.
#
# ## Step 3: initialise
#
# Now the weights. A file of weights is a dict from names to tensors, a *state dict*. Models trained on several GPUs at
# once are often saved with one word too many: every name begins with `module.`. PyTorch would refuse such a file. The
# first answer that a search finds is to write `strict=False`, and then it loads. How accurate will the network be?

# %% tags=["experiment"]
scale.experiment()
published = {f"module.{key}": value for key, value in load_backbone("resnet").state_dict().items()}
torch.manual_seed(0)
network = load_backbone("resnet", pretrained=False)
before = {key: value.clone() for key, value in network.state_dict().items()}
network.load_state_dict(published, strict=False)
loaded = sum(not torch.equal(value, before[key]) for key, value in network.state_dict().items())
said = (
    ""
    if scale.current() == "full"
    else f" It is right on **{kinds_right(place(network, device), right):.1%}** of the photos."
)
display(Markdown(f"**{loaded}** of {len(before)} tensors were loaded.{said}"))
assert loaded == 0

# %% [markdown]
# None. `strict=False` means: take what fits, and do not ask about the rest. Nothing fitted. There is a use for it, when
# you know which keys must differ. But then say which.
#
# A state dict holds the parameters and the buffers, BatchNorm's running statistics among them. It fits when its keys
# are the model's keys, none missing and none too many, and every tensor has the shape of the model's own. Shapes must
# be *equal*: `copy_` takes a tensor of shape `(1,)` for one of shape `(10,)`, and repeats its number ten times without a
# word.
#
# PyTorch's own `load_state_dict`, strict as it is by default, would pass. Write the comparison yourself once: you will
# want it where a key may differ on purpose.
#
# ### Exercise 3: load, and check
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "load-checked", "locked": false, "schema_version": 3, "solution": true, "task": false}
def load_checked(model: nn.Module, state_dict: dict[str, Tensor]) -> None:
    """Copies a state dict into the model if it fits exactly, and refuses it if not.

    model: any module.
    state_dict: names to tensors. It fits when its keys are those of `model.state_dict()`,
        parameters and buffers, in any order, and each tensor has the same shape.

    Afterwards the model holds the same numbers, in memory of its own: training the model
    does not change the state dict.

    Raises an exception, of whatever type, where it does not fit. Its text names at least one
    key that is missing, unexpected, or of another shape.

    Must not change: the state dict.

    >>> model = nn.Linear(3, 2)
    >>> load_checked(model, {"weight": torch.ones(2, 3), "bias": torch.tensor([4.0, 5.0])})
    >>> model(torch.ones(3)).tolist()
    [7.0, 8.0]
    """
    ### BEGIN SOLUTION
    # Why: `^` gives the keys that only one side has, missing and unexpected
    # alike. Shapes are compared because `copy_` would stretch `(1,)` to `(10,)`.
    # All of it comes before the first copy: a refusal leaves the model whole.
    wanted = model.state_dict()
    wrong = wanted.keys() ^ state_dict.keys()
    shared = wanted.keys() & state_dict.keys()
    wrong |= {key for key in shared if wanted[key].shape != state_dict[key].shape}
    if wrong:
        raise ValueError(f"missing, unexpected or of another shape: {', '.join(sorted(wrong))}")
    with torch.no_grad():
        for key, tensor in wanted.items():
            tensor.copy_(state_dict[key])
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-load-checked", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from course.models import small

check_load_checked.add_cases(vit=small.build_vit)
### END HIDDEN TESTS
check_load_checked(load_checked)

# %% tags=["experiment"]
scale.experiment()
try:
    load_checked(network, published)
except Exception as error:
    print(str(error)[:150], "...")
load_checked(network, {key.removeprefix("module."): value for key, value in published.items()})
said = (
    ""
    if scale.current() == "full"
    else f" It is right on **{kinds_right(place(network, device), right):.1%}** of the photos."
)
display(Markdown(f"With the names put right: all of them are loaded.{said}"))

# %% [markdown]
# ### A new head
#
# The network answers with its old classes. The last layer, the *head*, is a matrix with a row for each of them:
# $W$ of shape `(C, D)` turns the $D$ features that the rest of the network, the *backbone*, made of a picture into $C$
# logits. Our task has other classes, so the head must be new, with $C = 10$ rows and the same $D$. All else stays.
#
# Where is it? Each family keeps it elsewhere. Read the ends of the four:

# %%
for name in ("vgg", "resnet", "inception", "vit"):
    network = load_backbone(name, pretrained=False)
    layers = [
        (where, layer) for where, layer in network.named_modules() if isinstance(layer, nn.Linear)
    ]
    print(
        f"{name:10}",
        ", ".join(
            f"{where} ({layer.in_features} -> {layer.out_features})" for where, layer in layers[-3:]
        ),
    )

# %% [markdown]
# VGG's `classifier` is a chain of seven layers, three of them Linear; the first two stay. ViT's `heads` is a chain too,
# and holds one Linear more where the model was built with a `representation_size`. Inception has a second head, halfway up:
# the *auxiliary* head, `AuxLogits`, which was added to bring a gradient to the early layers. In training mode the model
# returns two answers, and the loss takes both. Some Inceptions come without it; `AuxLogits` is `None` then.
#
# What if you forget it? Here the head is new and the auxiliary head is the old one, with 46 classes. We give it three
# pictures of digits; a label lies between 0 and 9. The loss of the auxiliary head counts 0.4, as in torchvision's recipe.
# Which line raises an error?

# %% tags=["experiment"]
scale.experiment()
network = load_backbone("inception")
network.fc = nn.Linear(network.fc.in_features, 10)
images = prepared(target.x_train[:3], card_of("inception"))
main, auxiliary = network.train()(images)
loss = F.cross_entropy(main, target.y_train[:3]) + 0.4 * F.cross_entropy(
    auxiliary, target.y_train[:3]
)
loss.backward()
print(f"logits {tuple(main.shape)} and {tuple(auxiliary.shape)}; loss {loss.item():.2f}")

# %% [markdown]
# None does. A label 7 is a valid class for a head that knows 46 of them: it means "trousers, turned by three
# quarters". The auxiliary head pulls the backbone towards that, with four tenths of the weight of the right loss.
#
# ### Exercise 4: replace the head
#
# Difficulty ●●●, 15 minutes. The check holds it to torchvision's published architectures too. They are built without
# values, on PyTorch's `meta` device, which has shapes and nothing else.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "replace-head", "locked": false, "schema_version": 3, "solution": true, "task": false}
def replace_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Puts a new last layer into a network of torchvision, in place.

    model: a torchvision VGG, ResNet, Inception3 or VisionTransformer (`models.VGG`,
        `models.ResNet`, `models.Inception3`, `models.VisionTransformer`), of any size.
    num_classes: how many logits it shall give, at least 1.

    Where its last Linear layer was, there is a new, trainable `nn.Linear` with num_classes
    outputs and as many inputs as the old one had; new even when num_classes is what it was.
    Inception's auxiliary head gets a new last layer too, unless there is none.

    Returns the same model.

    Must not change: values and requires_grad of every other parameter. A frozen backbone
    stays frozen.

    >>> model = replace_head(load_backbone("resnet", pretrained=False), 3)
    >>> model(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3])
    """
    ### BEGIN SOLUTION
    # Why: Each family calls its last layer something else, so its place is
    # looked up and its inputs are asked of the old layer. Inception has a
    # second head: forgotten, it pulls the backbone towards the old classes.
    places = {
        models.VGG: ["classifier.6"],
        models.ResNet: ["fc"],
        models.Inception3: ["fc", "AuxLogits.fc"],
        models.VisionTransformer: ["heads.head"],
    }
    for where in places[type(model)]:
        if where.startswith("AuxLogits") and model.AuxLogits is None:
            continue
        old = model.get_submodule(where)
        model.set_submodule(where, nn.Linear(old.in_features, num_classes))
    return model
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-replace-head", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from pretrained_checks import inception, on_meta

check_replace_head.add_cases(
    inception=on_meta(inception),
    inception_without_aux=on_meta(lambda: inception(aux_logits=False)),
    vgg16_bn=on_meta(models.vgg16_bn),
)
### END HIDDEN TESTS
check_replace_head(replace_head)

# %% [markdown]
# ## What does it see?
#
# Before you train anything, you can ask a network what it is worth. Take its head off, and what comes out for a picture
# are its $D$ features. Train one linear layer on them, and nothing else. If a line can tell the classes apart in this
# space, the network saw what makes them different, though nobody told it to. This is a *linear probe*: a cheap
# measurement, and often good enough to stay.
#
# The backbone does not change while the layer is trained, so each picture needs to pass it once. We collect the features
# of all pictures, and then forget the pictures. Three things can go wrong on the way. VGG has Dropout in front of its
# last layer. How much do two passes of the same picture agree?

# %% tags=["experiment"]
scale.experiment()


def without_head(network: nn.Module) -> nn.Module:
    """The network up to what its last Linear layer would read, in place."""
    last = [where for where, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
    network.set_submodule(last, nn.Identity())
    return network


vgg = without_head(load_backbone("vgg"))
images = prepared(target.x_train[:1], card_of("vgg"))
with torch.no_grad():
    torch.manual_seed(0)
    one, other = (vgg.train()(images.expand(2, -1, -1, -1))[0] for _ in range(2))
    same = F.cosine_similarity(one, other, dim=0).item()
    calm = F.cosine_similarity(*(vgg.eval()(images)[0] for _ in range(2)), dim=0).item()
print(f"cosine of the angle between two passes: training mode {same:.2f}, eval mode {calm:.2f}")
assert same < 0.9 and abs(calm - 1) < 1e-5

# %% [markdown]
# In training mode the same picture is another point every time. No error, and features of the right shape.
#
# The second: a loader that shuffles gives another order each time you go through it. Features from one pass and labels
# from a second do not belong together. The third: without `torch.no_grad()` each batch of features keeps the whole
# forward pass behind it alive, for a backward pass that never comes.
#
# ### Exercise 5: extract
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "extract-features", "locked": false, "schema_version": 3, "solution": true, "task": false}
def extract_features(
    model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """What a network makes of every example of a loader, and the labels beside it.

    model: maps a batch of inputs to features of shape (B, D); its head is off already. It is
        in training mode or in eval mode, with all its layers.
    loader: gives batches (inputs, labels), inputs float32 (B, ...) on the model's device,
        labels int64 (B,). It may shuffle anew each time. The last batch may be shorter, down
        to one example.

    Returns (features, labels), of shapes (N, D) and (N,): row i of one belongs to row i of
        the other. The features are those of eval mode, without a graph behind them
        (requires_grad is False), and no graph is built on the way.

    Must not change: the model. Afterwards it is in the mode it was in; parameters, buffers
        and requires_grad are what they were. Nor are gradients left switched off for what
        comes after.

    >>> model = nn.Sequential(nn.Dropout(0.9), nn.Flatten())
    >>> batches = [(torch.ones(2, 1, 2), torch.tensor([4, 5])), (torch.zeros(1, 1, 2), torch.tensor([6]))]
    >>> extract_features(model, batches)
    (tensor([[1., 1.],
            [1., 1.],
            [0., 0.]]), tensor([4, 5, 6]))
    """
    ### BEGIN SOLUTION
    # Why: Features and labels come from one pass, since the next pass
    # of a shuffling loader has another order. Eval mode makes one
    # picture one point, and `no_grad` lets each batch's graph go.
    was_training = model.training
    model.eval()
    features, labels = [], []
    with torch.no_grad():
        for inputs, targets in loader:
            features.append(model(inputs))
            labels.append(targets)
    model.train(was_training)
    return torch.cat(features), torch.cat(labels)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-extract-features", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_extract_features.add_cases(odd=(3, 17, 4), one_by_one=(6, 5, 1), whole=(2, 12, 64))
### END HIDDEN TESTS
check_extract_features(extract_features)

# %% [markdown]
# Now the layer on top. For features $x_i$ of shape `(D,)` with label $y_i$, $i = 1 \dots N$, and a layer with weight $W$
# of shape `(C, D)` and bias $b$ of shape `(C,)`, multinomial logistic regression looks for the minimum of
#
# $$J(W,b) = -\frac1N\sum_{i=1}^{N}\log\,\mathrm{softmax}(Wx_i+b)_{y_i} \;+\; \lambda\,\lVert W\rVert^2 .$$
#
# The second term is the sum of the squares of all entries of $W$ times a number $\lambda > 0$, called `l2`, and holds the
# weights small. Without it, a hundred pictures in hundreds of dimensions can nearly always be separated, and the weights
# would grow for ever. As code:

# %%
torch.manual_seed(0)
x, y = torch.randn(6, 4), torch.tensor([0, 2, 1, 1, 0, 2])
W, b, l2 = torch.randn(3, 4), torch.randn(3), 0.1

logits = x @ W.T + b
by_hand = -logits.softmax(dim=1)[torch.arange(6), y].log().mean() + l2 * W.square().sum()
torch.testing.assert_close(by_hand, F.cross_entropy(logits, y) + l2 * W.square().sum())

# %% [markdown]
# $J$ is convex, every way down leads to its lowest value, and for $\lambda > 0$ one $W$ has it; $b$ is fixed up to one
# number added to all its entries, which changes no probability. So "trained to convergence" has a meaning, and two runs
# give the same probabilities. But the way can be long. If one feature is a hundred times larger than another, or all of them lie
# far from the origin, $J$ is a narrow valley, and a thousand steps of gradient descent go to and fro between its walls.
# The remedy is to move and stretch the features first: with the mean $m$ and the standard deviation $s$ of each, both
# of shape `(D,)`, train on $z = (x-m)/s$. What comes out is a layer for $z$. A layer for $x$ that gives the same logits
# is
#
# $$W z + b \;=\; \frac{W}{s}\,x + \Bigl(b - \frac{W}{s}\,m\Bigr),$$
#
# where $W/s$ divides column $d$ of $W$ by $s_d$.
# In code, with a feature of size one hundred:

# %%
x = x * torch.tensor([1.0, 100.0, 1.0, 0.1]) + 50
m, s = x.mean(dim=0), x.std(dim=0)
torch.testing.assert_close(
    ((x - m) / s) @ W.T + b, x @ (W / s).T + (b - (W / s) @ m), rtol=1e-4, atol=1e-3
)

# %% [markdown]
# A feature behind a ReLU may be zero for every picture that you have. Its $s$ is zero then.
#
# ### Exercise 6: probe
#
# Difficulty ●●●, 15 minutes. Any way down will do.
# `torch.optim.LBFGS(params, max_iter=300, line_search_fn="strong_wolfe")` needs no learning rate, but it asks for the
# loss many times in one step: give `step` a function that clears the gradients, computes the loss, calls `backward` and
# returns the loss.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "linear-probe", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_probe(features: Tensor, labels: Tensor, l2: float) -> nn.Linear:
    """Multinomial logistic regression on features, trained to convergence.

    features: float32 of shape (N, D), of any size and far from the origin if need be; a
        feature may be the same in every row.
    labels: int64 of shape (N,); every class 0 .. C-1 occurs.
    l2: weight of the penalty, the sum of the squared weights; positive. Whether the penalty
        is on the weights for raw or for standardised features is left to you: larger l2
        must give smaller weights, a huge one (10,000) nearly none.

    Returns an `nn.Linear(D, C)` that maps raw features, as they came in, to logits. Data that
        a line can separate are separated, when l2 is small, and new data like them too. The
        same data give the same probabilities, up to rounding.

    Must not change: features and labels. No gradient is left behind on them.

    >>> probe = linear_probe(torch.tensor([[101.0], [102.0], [105.0], [107.0]]), torch.tensor([0, 0, 1, 1]), 1e-3)
    >>> probe(torch.tensor([[99.0], [106.0]])).argmax(dim=1)
    tensor([0, 1])
    """
    ### BEGIN SOLUTION
    # Why: Standardised features make a round valley, which LBFGS gets down
    # in few steps. At the end scale and shift move into the layer, so it
    # takes raw features. A feature without spread is divided by 1, not by 0.
    x = features.detach().double()
    mean, std = x.mean(dim=0), x.std(dim=0)
    std[std <= 1e-9 * (1 + mean.abs())] = 1
    z = (x - mean) / std
    layer = nn.Linear(x.shape[1], int(labels.max()) + 1, dtype=torch.float64)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(
        layer.parameters(), max_iter=300, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(z), labels) + l2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        layer.weight /= std
        layer.bias -= layer.weight @ mean
    return layer.to(features.dtype)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-linear-probe", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_linear_probe.add_cases(
    wide={"counts": (12, 9, 8, 7), "width": 40, "gap": 12.0, "shift": -30.0, "seed": 7},
    two={"counts": (25, 19), "width": 2, "gap": 9.0, "shift": 300.0, "seed": 8},
)
### END HIDDEN TESTS
check_linear_probe(linear_probe)

# %% [markdown]
# ## What the mistakes cost
#
# Now there is a ruler. Ten pictures of each digit to train on, 450 others to test on, the small VGG in front. We make
# each mistake once, everything else right. Which is the worst?

# %% tags=["experiment"]
size = scale.experiment(
    offline={"per_class": 10, "test": 450, "seeds": 5, "l2": 0.01},
    quick={"per_class": 3, "test": 30, "seeds": 2, "l2": 0.01},
    full={"per_class": 10, "test": 450, "seeds": 5, "l2": 0.01},
)


def training_rows(labels: Tensor, seed: int) -> Tensor:
    """Indices of size.per_class examples of each class, drawn from the seed."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return torch.cat([order[labels[order] == label][: size.per_class] for label in labels.unique()])


def loader_of(images: Tensor, labels: Tensor, *, shuffle: bool = False) -> DataLoader:
    """Batches of pictures on the device of the network, beside labels."""
    return DataLoader(TensorDataset(images.to(device), labels), batch_size=125, shuffle=shuffle)


def accuracy_of(probe: nn.Linear, features: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return (probe(features).argmax(dim=1) == labels).double().mean().item()


def train_and_test(
    extract: Callable, trained: dict[str, Any], tested: dict[str, Any], seed: int
) -> float:
    """Accuracy of a probe on what `extract` gives for the training digits; each split is
    prepared by a card of its own."""
    rows = training_rows(target.y_train, seed)
    train = loader_of(prepared(target.x_train[rows], trained), target.y_train[rows], shuffle=True)
    test = loader_of(prepared(target.x_test[: size.test], tested), target.y_test[: size.test])
    torch.manual_seed(seed)
    probe = linear_probe(*(part.cpu() for part in extract(vgg, train)), size.l2)
    return accuracy_of(probe, *(part.cpu() for part in extract_features(vgg, test)))


def in_training_mode(network: nn.Module, loader: DataLoader) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        parts = [(network.train()(x), y) for x, y in loader]
    network.eval()
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def in_two_passes(network: nn.Module, loader: DataLoader) -> tuple[Tensor, Tensor]:
    return extract_features(network, loader)[0], torch.cat([y for _, y in loader])


right = card_of("vgg")
other = right | {"mean": (0.485,) * 3, "std": (0.229,) * 3}
half = right | {"size": right["size"] // 2}
vgg = place(without_head(load_backbone("vgg")), device)
mistakes = {
    "none": (extract_features, right, right),
    "wrong mean and std": (extract_features, other, other),
    "half the size": (extract_features, half, half),
    "Dropout active": (in_training_mode, right, right),
    "wrong mean and std, training only": (extract_features, other, right),
    "labels from a second pass": (in_two_passes, right, right),
}
price = {
    mistake: [train_and_test(*way, seed) for seed in range(size.seeds)]
    for mistake, way in mistakes.items()
}
title = "a probe on the VGG"
figure = plots.accuracies(
    {title: {mistake: {"": values} for mistake, values in price.items()}}, chance={title: 0.1}
)
lost = {
    mistake: [100 * (a - b) for a, b in zip(price["none"], values, strict=True)]
    for mistake, values in price.items()
}
display(
    Markdown(
        "Points lost: "
        + ", ".join(f"{name} {plots.plus_minus(values)}" for name, values in list(lost.items())[1:])
        + "."
    )
)
if scale.current() == "offline":
    assert training.mean_and_spread(price["labels from a second pass"])[0] < 0.25
    assert training.mean_and_spread(lost["Dropout active"])[0] > 2
    assert training.mean_and_spread(lost["wrong mean and std, training only"])[0] > 30
    assert all(
        abs(training.mean_and_spread(lost[name])[0]) < 6
        for name in ("wrong mean and std", "half the size")
    )

# %% [markdown]
# The last two cannot be overlooked. Labels from a second pass leave nothing to learn. And where training and test were
# prepared in two ways, the probe learnt one space and was asked in another; that happens when a program in use has its own
# copy of the code.
#
# The two at the top cost next to nothing here, which is the surprise. The ResNet's old head failed under a wrong mean,
# because it had learnt where coats lie. A new layer has not learnt anything yet: if all pictures are moved in the same
# way, it learns where they are now. That is luck, not a rule. It holds as long as the features still tell the digits
# apart; whether they could have done it better, these two bars do not say. Dropout is in between: a number that looks like a result.
#
# One mistake this ruler cannot show: a head that was made and then frozen with the rest. Its loss stands still from the
# first step, and its accuracy is chance; `trainable_report` in the next lesson finds it before the first step.
#
# An accuracy says how many answers are wrong, not which. Here is every answer of one probe on the VGG, nothing done
# wrong: a row for what a picture shows, a column for what it was called, and beside it the pictures of one square. In a
# running notebook you choose the square. Which digits go wrong in one direction only? And of the pictures that were
# called something else: how many would you have called right?

# %% tags=["experiment"]
scale.experiment()
rows = training_rows(target.y_train, seed=0)
train = loader_of(prepared(target.x_train[rows], right), target.y_train[rows], shuffle=True)
test = loader_of(prepared(target.x_test[: size.test], right), target.y_test[: size.test])
torch.manual_seed(0)
probe = linear_probe(*(part.cpu() for part in extract_features(vgg, train)), size.l2)
features, labels = (part.cpu() for part in extract_features(vgg, test))
with torch.no_grad():
    answers = probe(features).argmax(dim=1)
figure = confusion(target.x_test[: size.test], labels, answers, target.classes)

# %% [markdown]
# ## What did they see?
#
# And now the question of the beginning. Every picture network of the shelf, its head off, in front of the same hundred
# digits; the layer on top is yours. Beside each stands the same network with random weights: what the architecture alone is
# worth. And a second target, the five kinds of clothes that the small networks have *not* seen: pullover, dress, shirt,
# sneaker, ankle boot, ten photos of each. ImageNet has classes for some of them.
#
# Look at the name you wrote down. Then say who wins on the clothes.

# %% tags=["experiment"]
shelf_size = scale.experiment(
    offline={"sides": {"efficientnet-lite0": 64}, "seeds": 5, "random": 3},
    quick={"sides": {"efficientnet-lite0": 32}, "seeds": 2, "random": 1},
    full={"sides": {}, "seeds": 5, "random": 3},
)
from scipy import stats

targets = {"handwritten digits": target, "new clothes": new_clothes(full=False)}
names = [row.name for row in cards() if row.kind == "vision"]


def probes(
    network: nn.Module, card: dict[str, Any], data: Any, seeds: Iterable[int]
) -> list[float]:
    """Accuracy of a probe on the network's features, one for each drawing of the training examples."""
    network = place(without_head(network), device)
    loader = loader_of(prepared(data.x_test[: size.test], card), data.y_test[: size.test])
    test = [part.cpu() for part in extract_features(network, loader)]
    found = []
    for seed in seeds:
        rows = training_rows(data.y_train, seed)
        loader = loader_of(prepared(data.x_train[rows], card), data.y_train[rows], shuffle=True)
        drawn = [part.cpu() for part in extract_features(network, loader)]
        found.append(accuracy_of(linear_probe(*drawn, size.l2), *test))
    return found


seen: dict[str, dict[str, dict[str, list[float]]]] = {where: {} for where in targets}
for name in training.progress(names, "networks"):
    way = card_of(name, shelf_size.sides.get(name))
    for where, data in targets.items():
        random = []
        for seed in range(shelf_size.random):
            torch.manual_seed(seed)
            random += probes(load_backbone(name, pretrained=False), way, data, [seed])
        pretrained = probes(load_backbone(name), way, data, range(shelf_size.seeds))
        seen[where][name] = {"pretrained": pretrained, "random weights": random}
figure = plots.accuracies(seen, chance={"handwritten digits": 0.1, "new clothes": 0.2})

# %% tags=["experiment", "result"]
scale.experiment()
print(
    f"{size.per_class} examples a class, {size.test} others to test on; pretrained: {shelf_size.seeds} drawings of the "
    f"examples, random weights: {shelf_size.random}, each with weights of its own; mean ± standard deviation (%)."
)
print(f"{'':20}" + "".join(f"{where:>24}{'random weights':>18}" for where in seen))
for name in names:
    both = (
        f"{plots.plus_minus(rows[name]['pretrained'], 100):>24}{plots.plus_minus(rows[name]['random weights'], 100):>18}"
        for rows in seen.values()
    )
    print(f"{name:20}" + "".join(both))
on_digits = seen["handwritten digits"]
best = max(names, key=lambda name: sum(on_digits[name]["pretrained"]))
one, other = (seen["new clothes"][name]["pretrained"] for name in ("resnet", "efficientnet-lite0"))
difference = torch.tensor([100 * (a - b) for a, b in zip(one, other, strict=True)])
margin = stats.t.ppf(0.975, len(difference) - 1) * difference.std().item() / len(difference) ** 0.5
gain = difference.mean().item()
display(
    Markdown(
        f"Best on handwritten digits: **{best}**. On new clothes, resnet minus efficientnet-lite0, drawing by drawing: "
        f"{gain:.1f} points, 95 % interval {gain - margin:.1f} to {gain + margin:.1f}."
    )
)
if scale.current() == "offline":
    digit = {name: rows["pretrained"] for name, rows in on_digits.items()}
    assert best == "resnet"
    assert min(digit["resnet"]) > max(digit["efficientnet-lite0"]) + 0.05
    blind = training.mean_and_spread(on_digits["efficientnet-lite0"]["random weights"])
    assert abs(training.mean_and_spread(digit["efficientnet-lite0"])[0] - blind[0]) < 0.08
    assert min(sum(one), sum(other)) / shelf_size.seeds > 0.7
    assert abs(gain) < margin

# %% [markdown]
# At the scale of this notebook, the small ResNet wins on the digits. Nobody showed it a digit; but a letter is a stroke on an empty ground, and
# so is a digit. A printed O and a handwritten 0 differ little, and it has seen the one. EfficientNet learnt fur, leaves
# and brick walls from a million photos. What it makes of eight by eight pixels of handwriting is worth about what random
# filters make of it.
#
# On the clothes the two are closer. Both were probed on the same five drawings, so take the difference drawing by
# drawing, as in lesson 02: its interval contains 0. Five drawings of fifty photos have not told them apart. There
# EfficientNet's photos of shoes and shirts count, and a ResNet with a tenth of its parameters, which has seen five other
# kinds of clothes, keeps up.
#
# That is what the articles on transfer mean by a similar task, and it is worth more here than depth, size, and the
# accuracy on the card. The rule of step 1 reads cards. A probe asks the network itself: a minute of work, and no
# gradient through the backbone. Choose two or three by the cards, and one of them by the probe. (On validation
# examples, when the choice counts: whoever chooses by the test examples has used them up.)
#
# Two fair doubts. EfficientNet got pictures of 64 pixels, where its card asks for 224; put 224 into `sides` and see,
# it takes a few minutes more. And random weights do surprisingly well: filters that nobody trained still keep what a
# picture looks like, and a line through many of them goes far. A gain is a gain over *that*, and not over chance.
#
# ## The next door
#
# What a layer has learnt to see can be asked of every layer, not only of the last: G. Alain and Y. Bengio,
# [Understanding intermediate layers using linear classifier probes](https://arxiv.org/abs/1610.01644) (2016). Is the
# better ImageNet network the better start? S. Kornblith et al. measured sixteen of them on twelve data sets:
# [Do Better ImageNet Models Transfer Better?](https://arxiv.org/abs/1805.08974) (2019). Where the auxiliary head came
# from, and why its authors later doubted what it was for, tell C. Szegedy et al.,
# [Rethinking the Inception Architecture](https://arxiv.org/abs/1512.00567) (2015). And what every published model of
# torchvision wants of its pictures stands beside its weights:
# [Models and pre-trained weights](https://docs.pytorch.org/vision/stable/models.html).
#
# The probe froze everything by never touching it. As soon as you train a network of which a part is to stay as it is,
# that is no longer so easy.
