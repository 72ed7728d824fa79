# %% [markdown]
# # 04 · Freezing
#
# EfficientNet-Lite0 learnt from more than a million photos to tell a thousand things apart. We want it to tell ten
# kinds of clothes apart, and we have a few hundred photos. To learn everything again would be a waste, and a risk: the
# few photos may spoil what the many taught. So people *freeze* most of the network. It sounds like the one thing that
# nobody can get wrong: doing nothing.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "install", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
# Where the course is not installed, as in Colab, this brings it. Elsewhere it changes nothing.
import importlib.util
import subprocess
import sys

PACKAGE = "finetuning-from-zero"
if importlib.util.find_spec("course") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", PACKAGE], check=True)

from course.paths import beside

beside("04-freezing")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from course import head, plots, scale, training
from course.data import fashion_mnist
from course.device import Timer, pick_device, place
from course.models import imagenet_labels, load_backbone, preprocess
from course.widgets.freezing import freezing
from freezing_checks import (
    check_build_optimizer,
    check_freeze,
    check_train_mode_keep_frozen_bn,
    check_trainable_report,
    check_unfreeze_to,
)
from IPython.display import Markdown, display
from torch import Tensor, nn
from torch.nn import functional as F

device = pick_device()
head.show("04-freezing", device, minutes=3)

# %% [markdown]
# ## A network that nobody trains
#
# Here are some of the photos, each 28 pixels wide; we enlarge them for the network. Above each stands what it shows,
# and what the network calls it.

# %% tags=["experiment"]
sizes = scale.experiment(
    offline={"side": 64, "test": 400},
    quick={"side": 32, "test": 30},
    full={"side": 128, "test": 2000},
)
side = sizes.side  # pixels
data = fashion_mnist()
imagenet = imagenet_labels()
assert {"sandal", "Loafer", "running shoe"} <= set(imagenet)


def pixels(images: Tensor) -> Tensor:
    """uint8 photos (N, 1, 28, 28) -> what the network wants: float32 (N, 3, side, side)."""
    return preprocess("efficientnet-lite0", images, size=side)


test_images, test_labels = pixels(data.x_test[: sizes.test]), data.y_test[: sizes.test]
imagenet_network = place(load_backbone("efficientnet-lite0"), device)


def called(images: Tensor) -> list[str]:
    """What the network calls each of the images."""
    return [imagenet[answer] for answer in training.predict(imagenet_network, images).argmax(dim=1)]


shown = zip(test_labels[:16], called(test_images[:16]), strict=True)
figure = plots.photos(
    data.x_test[:16], [f"{data.classes[label]}\n“{name}”" for label, name in shown]
)

sandals = called(test_images[test_labels == data.classes.index("Sandal")])
display(
    Markdown(
        f"Of {len(sandals)} photos of a sandal, **{sandals.count('sandal')}** are called a sandal."
    )
)

# %% [markdown]
# The network knows the word: ImageNet has a class for sandals, one for loafers, one for running shoes. It was shown
# them in colour, on feet and floors, not cut out in white on black. So it is mostly wrong here, and often sure of
# itself. That is not our question. We do not ask for the right answer. We ask for the *same* answer.
#
# Take the first ankle boot. We set `requires_grad` to `False` on every parameter there is. There is no optimizer and
# no loss. Then we show the network a hundred batches of clothes, as a training loop would, and ask about the boot
# again.
#
# Will its logits still be the same? If not, by how much will the worst of them have moved? Write your guess down.

# %% tags=["experiment"]
drift = scale.experiment(
    offline={"batches": 100, "photos": 8},
    quick={"batches": 4, "photos": 4},
    full={"batches": 100, "photos": 16},
)
photo = int(torch.where(data.y_test == data.classes.index("Ankle boot"))[0][0])
boot = pixels(data.x_test[photo : photo + 1])


def show_batches(
    model: nn.Module, set_mode: Callable[[nn.Module], object]
) -> tuple[list[int], Tensor]:
    """Shows the model batch after batch in the mode that set_mode gives it, and asks for
    the boot now and then.

    Returns after how many batches it was asked, and the logits (times asked, 1000).
    """
    draw = torch.Generator().manual_seed(0)
    asked, logits = [0], [training.predict(model, boot)[0]]
    for batch in range(1, drift.batches + 1):
        rows = torch.randint(len(data.x_train), (drift.photos,), generator=draw)
        set_mode(model)
        with torch.no_grad():
            model(pixels(data.x_train[rows]).to(device))
        if batch <= 4 or batch % 8 == 4:
            asked.append(batch)
            logits.append(training.predict(model, boot)[0])
    return asked, torch.stack(logits)


imagenet_network = place(load_backbone("efficientnet-lite0"), device)
imagenet_network.requires_grad_(False)
weights = {name: parameter.clone() for name, parameter in imagenet_network.named_parameters()}

asked, logits = show_batches(imagenet_network, nn.Module.train)

assert all(
    torch.equal(parameter, weights[name]) for name, parameter in imagenet_network.named_parameters()
)
change = (logits[-1] - logits[0]).abs().max().item()
first, last = (imagenet[answer] for answer in logits[[0, -1]].argmax(dim=1))
if drift.scale != "quick":
    assert change > 5 and first != last
display(
    Markdown(
        f"Before: “{first}”. After {asked[-1]} batches: “{last}”. One logit moved by **{change:.0f}**. "
        f"All {sum(weight.numel() for weight in weights.values()):,} parameters are what they were, bit for bit."
    )
)

# %% [markdown]
# No parameter moved. So something changed that is not a parameter, and nobody asked it to.
#
# Between its convolutions sit BatchNorm layers. Such a layer brings each of its $C$ channels to mean 0 and variance 1,
# and then lets training choose a scale and a shift:
#
# $$y = w\,\frac{x-\mu}{\sqrt{\sigma^2+\epsilon}} + b ,$$
#
# with a weight $w$ and a bias $b$ that are parameters, and a tiny $\epsilon$ against division by zero. Which mean $\mu$
# and which variance $\sigma^2$? The layer keeps two numbers for each channel that no gradient ever touches: the running
# mean $\hat\mu$ and the running variance $\hat\sigma^2$ of what has passed through it, each of shape `(C,)`. In
# evaluation mode it takes these two. In training mode it takes the mean $\mu_B$ and the variance of the batch before
# it, so what it makes of your boot depends on the shirts beside it. And it lets every batch nudge the two numbers:
#
# $$\hat\mu \leftarrow (1-m)\,\hat\mu + m\,\mu_B,\qquad \hat\sigma^2 \leftarrow (1-m)\,\hat\sigma^2 + m\,s_B^2 ,$$
#
# with the layer's *momentum* $m$ and $s_B^2$ the batch's unbiased variance, divided by one less than the number of
# values. In code:

# %%
torch.manual_seed(0)
layer = nn.BatchNorm2d(3)
layer.requires_grad_(False)
x = 5 + 2 * torch.randn(8, 3, 4, 4)  # photos, channels, height, width

m = layer.momentum
mu = (1 - m) * layer.running_mean + m * x.mean(dim=(0, 2, 3))
sigma2 = (1 - m) * layer.running_var + m * x.var(dim=(0, 2, 3), unbiased=True)

layer.train()
layer(x)
torch.testing.assert_close(layer.running_mean, mu)
torch.testing.assert_close(layer.running_var, sigma2)
print(
    f"m = {m}; the running mean was 0 and is now",
    [round(value, 2) for value in layer.running_mean.tolist()],
)

# %% [markdown]
# The gradients are off, and the layer moved. Unroll the formula over $n$ batches, and what ImageNet left, $\hat\mu_0$,
# keeps the weight $(1-m)^n$:
#
# $$\hat\mu_n = (1-m)^n\,\hat\mu_0 + m\sum_{k=1}^{n}(1-m)^{n-k}\,\mu_{B_k}.$$
#
# With $m = 0.1$ and $n = 100$ that is $0.9^{100}$, less than three hundred-thousandths. What a million photos left there,
# a hundred small batches have overwritten.
#
# The first BatchNorm layer shows it cleanly, because what it reads comes from a convolution that does not change. We
# replay the batches, take one of its channels, and put the formula beside the layer.

# %% tags=["experiment"]
scale.experiment()
fresh = place(load_backbone("efficientnet-lite0"), device)
assert fresh.bn1.momentum == m
channel = int((imagenet_network.bn1.running_mean - fresh.bn1.running_mean).abs().argmax())
running = [fresh.bn1.running_mean[channel].item()]
by_hand = [running[0]]
draw = torch.Generator().manual_seed(0)
fresh.train()
for _ in range(drift.batches):
    rows = torch.randint(len(data.x_train), (drift.photos,), generator=draw)
    with torch.no_grad():
        z = fresh.conv_stem(pixels(data.x_train[rows]).to(device))  # (photos, C, height, width)
        fresh.bn1(z)
    by_hand.append((1 - m) * by_hand[-1] + m * z[:, channel].mean().item())
    running.append(fresh.bn1.running_mean[channel].item())
assert abs(by_hand[-1] - running[-1]) < 1e-3
assert abs(running[-1] - imagenet_network.bn1.running_mean[channel].item()) < 1e-3

probability = logits.softmax(dim=1)
figure = plots.drift(
    data.x_test[photo],
    asked,
    {f"“{name}”": probability[:, imagenet.index(name)].tolist() for name in (first, last)},
    running,
    by_hand,
)

# %% [markdown]
# Such numbers are *buffers*: saved with the model, changed here by `forward`, out of reach for `requires_grad`. Another switch
# holds them still: `eval()`.
#
# So freezing is two things, parameters and statistics, and it is easy to do one of them. We take them in turn.
#
# ## The parameters
#
# A network that is frozen whole learns nothing. The last layer, the *head*, must be new in any case: the old one
# answers with a thousand ImageNet names. What feeds it is the *backbone*.
#
# The timm library gives EfficientNet-Lite0 a single child, `blocks`, with nearly everything in it. We take it apart
# into a chain of ten *stages*, so that each cut we may want to make falls between two of them:


# %%
def staged(network: nn.Module) -> nn.Sequential:
    """EfficientNet-Lite0 as a chain of stages, input to output. The layers are the
    network's own, not copies."""
    stages = OrderedDict(stem=nn.Sequential(network.conv_stem, network.bn1))
    for number, block in enumerate(network.blocks, start=1):
        stages[f"stage{number}"] = block
    stages["top"] = nn.Sequential(network.conv_head, network.bn2, network.global_pool)
    stages["head"] = network.classifier
    return nn.Sequential(stages)


def clothes_network(seed: int, *, pretrained: bool = True) -> nn.Sequential:
    """Ten stages with a new head for ten classes; the seed draws the head, and all the rest
    unless pretrained."""
    torch.manual_seed(seed)
    return place(
        staged(load_backbone("efficientnet-lite0", pretrained=pretrained, num_classes=10)), device
    )


# %% [markdown]
# What stays trainable we want to say by name, at any depth: `"head"`, or `"stage7.0.bn2"`, or one parameter alone,
# `"stem.0.weight"`. PyTorch has the names: `model.named_parameters()` gives pairs such as `("head.weight", parameter)`,
# and each dot is a step down the tree of modules.
#
# Three things are easily overlooked. `head` must not open `head2` because the letters agree. A parameter that was
# frozen yesterday and is listed today must be trainable afterwards. And one parameter can live in two places: a
# language model often reads and writes words with the same matrix. It has two names then, and `named_parameters()`
# tells you the first, unless you ask with `remove_duplicate=False`.
#
# The checks try what you write on small networks of their own, and name them when something is wrong: `Photos` reads
# images, `Clips` video, `TiedWords` is such a language model, and `Twins` holds one encoder under two names. You can
# read them, and print them, in `freezing_checks.py` beside this notebook.
#
# ### Exercise 1: freeze
#
# Difficulty ●●○, 10 minutes. Run the cell below yours for its verdict; `check_freeze.hint()` gives the next of three
# hints. The experiments further down use what you write: while an exercise is open they stop, and while its card is not
# green throughout, their figures mean nothing.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "freeze", "locked": false, "schema_version": 3, "solution": true, "task": false}
def freeze(model: nn.Module, except_for: Sequence[str]) -> None:
    """Freezes every parameter of the model, save those that `except_for` names; those
    become trainable.

    model: any module. Afterwards each parameter's requires_grad is True if it is named, and
        False if not.
    except_for: dotted names of modules or parameters, at any depth. The name of a module
        stands for every parameter inside it. A name stands for itself and what is below it:
        "head" covers "head.weight" and "head.0.bias", but not "head2.weight". A parameter
        that two modules share is trainable when one of them is named. Every name fits
        something in the model; what to do with one that does not is left to you.

    Must not change: values of parameters and buffers, and the modes (training or eval).

    >>> model = nn.Sequential(OrderedDict(body=nn.Linear(4, 3), head=nn.Linear(3, 2)))
    >>> freeze(model, except_for=["head", "body.bias"])
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['body.bias', 'head.weight', 'head.bias']
    """
    ### BEGIN SOLUTION
    # Why: Everything is closed first, so what was open before makes no
    # difference. The dot leaves `head2` closed when `head` is named, and
    # `remove_duplicate=False` shows a shared parameter under each of its names.
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(name == listed or name.startswith(f"{listed}.") for listed in except_for):
            parameter.requires_grad_(True)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-freeze", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from freezing_checks import on_meta
from torchvision import models

check_freeze.add_cases(resnet18=on_meta(models.resnet18), vgg11_bn=on_meta(models.vgg11_bn))
### END HIDDEN TESTS
check_freeze(freeze)

# %% [markdown]
# How much of the network is trainable when only its head is? Guess a percentage. Then write the function that tells.
# It is worth a call before every training run: a name with a typing error in it shows here, and nowhere else until the
# accuracy comes.
#
# ### Exercise 2: count
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "trainable-report", "locked": false, "schema_version": 3, "solution": true, "task": false}
def trainable_report(model: nn.Module) -> dict[str, int]:
    """How many numbers of the model training would change, and how many not.

    Returns a dict with the keys 'trainable', 'frozen' and 'total', each an int: the count
    of single numbers, so a weight of shape (3, 4) counts 12. A parameter that is used in
    two places counts once. Buffers do not count.

    Must not change: anything in the model.

    >>> body, norm, head = nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)
    >>> model = nn.Sequential(OrderedDict(body=body, norm=norm, head=head))
    >>> _ = model.body.requires_grad_(False)
    >>> trainable_report(model)
    {'trainable': 14, 'frozen': 15, 'total': 29}
    """
    ### BEGIN SOLUTION
    # Why: `parameters()` gives each tensor once, in however many places
    # it is used, and no buffers; `state_dict()` gets both wrong. What
    # is not trainable is frozen, so one difference does for the rest.
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    return {"trainable": trainable, "frozen": total - trainable, "total": total}
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-trainable-report", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from freezing_checks import on_meta
from torchvision import models

check_trainable_report.add_cases(vgg11=on_meta(models.vgg11))
### END HIDDEN TESTS
check_trainable_report(trainable_report)

# %% tags=["experiment"]
scale.experiment()
clothes = clothes_network(seed=0)
freeze(clothes, except_for=["head"])
report = trainable_report(clothes)
display(
    Markdown(
        f"{report['trainable']:,} of {report['total']:,} parameters are trainable: "
        f"**{report['trainable'] / report['total']:.2%}**."
    )
)

# %% [markdown]
# ## The statistics
#
# Now the other half. Training loops call `model.train()` at the start of every epoch, and it reaches every BatchNorm
# layer, frozen or not. We want a call to put in its place.
#
# `model.eval()` would hold the statistics still, but it also switches Dropout off, and it keeps a BatchNorm layer that
# we *do* train from following its own inputs. So: training mode for everything, save the BatchNorm layers that are
# frozen themselves. A layer counts as frozen when its weight and its bias both are.
#
# Each module has a mode of its own, `module.training`; `module.train()` and `module.eval()` set it for the module and
# all below it. BatchNorm comes as `nn.BatchNorm1d`, `2d` and `3d`, and libraries derive their own classes from these:
# timm's is called `BatchNormAct2d`.
#
# ### Exercise 3: train, and keep the frozen statistics
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "train-mode", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_mode_keep_frozen_bn(model: nn.Module) -> None:
    """Puts the model into training mode, and every BatchNorm layer that is frozen into eval
    mode.

    model: any module, in any mode. A BatchNorm layer (1d, 2d or 3d, at any depth) is frozen
        when its own weight and bias both have requires_grad False; each has both. Everything
        else is in training mode afterwards: Dropout, trainable BatchNorm, and a BatchNorm that an
        earlier call put into eval mode and that has been unfrozen since.

    Must not change: requires_grad, values of parameters and buffers, and the layers'
    settings.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    >>> _ = model[1].requires_grad_(False)
    >>> train_mode_keep_frozen_bn(model)
    >>> [layer.training for layer in model]
    [True, False, True, True]
    """
    ### BEGIN SOLUTION
    # Why: `train()` comes first, the exceptions after it: so a BatchNorm
    # that an earlier call put into eval mode, and that is trainable by now,
    # wakes up. `isinstance` also finds what libraries derive from BatchNorm.
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and not any(
            parameter.requires_grad for parameter in module.parameters()
        ):
            module.eval()
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-train-mode", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from torchvision.models.resnet import BasicBlock, ResNet

check_train_mode_keep_frozen_bn.add_cases(resnet10=lambda: ResNet(BasicBlock, [1, 1, 1, 1]))
### END HIDDEN TESTS
check_train_mode_keep_frozen_bn(train_mode_keep_frozen_bn)

# %% [markdown]
# The same network, the same batches, the same boot; the two calls that freeze are yours now.

# %% tags=["experiment"]
scale.experiment()
steady = place(load_backbone("efficientnet-lite0"), device)
freeze(steady, except_for=[])
asked, logits = show_batches(steady, train_mode_keep_frozen_bn)
change = (logits[-1] - logits[0]).abs().max().item()
assert change == 0, "the boot's logits moved: see the cards of freeze and train_mode_keep_frozen_bn"
display(Markdown(f"After {asked[-1]} batches the largest change of a logit is **{change}**."))

# %% [markdown]
# Not small: zero. What the backbone makes of a photo, its *features*, is now the same in every epoch, and need not be
# computed twice. `training.cut` splits a chain where its frozen stages end, `training.predict(front, images)` runs the
# front once, and the back trains on what comes out.
#
# But does the drift do harm? A head that learns *while* the statistics move might well move with them. We train one
# both ways, on the same photos, from the same first weights, at the same learning rate. Only the mode of the frozen
# backbone differs. By how many points will the accuracy differ, and in which direction?

# %% tags=["experiment"]
probe = scale.experiment(
    offline={"seeds": 3, "photos": 240, "batch": 24, "epochs": 3},
    quick={"seeds": 1, "photos": 20, "batch": 10, "epochs": 1},
    full={"seeds": 5, "photos": 3000, "batch": 30, "epochs": 3},
)


def draw_photos(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """`count` photos to train on, (count, 3, side, side), and their labels (count,)."""
    rows = torch.randperm(len(data.x_train), generator=torch.Generator().manual_seed(seed))[:count]
    return pixels(data.x_train[rows]), data.y_train[rows]


def fit_head(
    part: nn.Module, network: nn.Sequential, inputs: Tensor, labels: Tensor, seed: int
) -> None:
    """Trains the head of a network on what goes into a part of it: the head alone, or all
    that leads there too."""
    run = training.fit(
        part,
        (inputs, labels),
        optimizer=torch.optim.SGD(network.head.parameters(), lr=0.003, momentum=0.9),
        epochs=probe.epochs,
        batch_size=probe.batch,
        seed=seed,
        set_mode=nn.Module.train if part is network else train_mode_keep_frozen_bn,
    )
    if probe.scale != "quick":
        assert sum(run.loss[-5:]) < sum(run.loss[:5])


kept, drifting, drifted = [], [], []
for seed in training.progress(range(probe.seeds), "seeds"):
    images, labels = draw_photos(seed, probe.photos)
    network = clothes_network(seed)
    freeze(network, except_for=["head"])
    front, back = training.cut(network)
    first_head = {name: tensor.clone() for name, tensor in back.state_dict().items()}
    if seed == 0:
        test_features = training.predict(
            front, test_images
        )  # the same for every seed, like the backbone

    fit_head(back, network, training.predict(front, images), labels, seed)
    kept.append(training.evaluate(back, (test_features, test_labels)))

    back.load_state_dict(first_head)
    fit_head(
        network, network, images, labels, seed
    )  # every step runs the frozen backbone in training mode
    drifted_features = training.predict(front, test_images)
    drifting.append(training.evaluate(back, (drifted_features, test_labels)))

    back.load_state_dict(first_head)
    fit_head(back, network, training.predict(front, images), labels, seed)
    drifted.append(training.evaluate(back, (drifted_features, test_labels)))

price = [before - after for before, after in zip(kept, drifting, strict=True)]
display(
    Markdown(
        f"Accuracy on {len(test_labels)} other photos, mean ± standard deviation over {probe.seeds} seeds: "
        f"statistics kept {plots.plus_minus(kept, 100)} %, "
        f"statistics drifting {plots.plus_minus(drifting, 100)} %. "
        f"The drift costs **{plots.plus_minus(price, 100)} points**."
    )
)
if probe.scale != "quick":
    assert training.mean_and_spread(price)[0] > 0.03

# %% [markdown]
# No error was raised, and the loss fell as a loss should. Was the head aiming at a moving target, and is that all? Then
# a new head, trained on the drifted backbone once it has come to rest, should do as well as one with ImageNet's
# statistics. The cell has trained that one too:

# %% tags=["experiment"]
scale.experiment()
display(Markdown(f"A new head on the drifted backbone: {plots.plus_minus(drifted, 100)} %."))
if probe.scale != "quick":
    assert sum(drifting) < sum(drifted) < sum(kept) - 0.03 * probe.seeds

# %% [markdown]
# The moving target was part of it: a head that need not chase does better. But not all: the features themselves are
# worse. Each filter behind a BatchNorm layer learnt to read that layer's output under
# ImageNet's statistics. Under others it reads something it never learnt, and the filters that would have to learn it
# are frozen.
#
# ## The optimizer does not know
#
# `requires_grad` speaks to autograd: compute no gradient here. The optimizer never asks about it. It looks at `.grad`,
# and there a gradient that is `None` and a gradient that is zero are different things.
#
# Where would a zero come from? You train the whole network for a while, then freeze the backbone and go on.
# `optimizer.zero_grad()` sets gradients to `None`; with `set_to_none=False`, which was the default for years, it leaves
# tensors of zeros behind. Code that freezes by multiplying gradients
# with a mask makes zeros too.
#
# A weight whose gradient is zero should stay where it is. Take three copies of one weight and freeze them, then let SGD
# with learning rate 0.1 take a hundred steps. The first copy has gradient zero and weight decay 0.1. The second has
# gradient zero and momentum 0.9, and it was moving when we froze it: its last true gradient was 0.1. The third has
# weight decay 0.1 like the first, and its gradient is `None`. Which of them move, and how far?


# %%
def steps_without_gradient(
    n: int,
    gradient: float | None,
    *,
    lr: float = 0.1,
    decay: float = 0.0,
    momentum: float = 0.0,
    last: float = 0.0,
) -> list[float]:
    """A weight that begins at 1 and has a true gradient once, `last`: where it is then, and
    after each of n steps."""
    w = nn.Parameter(torch.ones((), dtype=torch.float64))
    optimizer = torch.optim.SGD([w], lr=lr, momentum=momentum, weight_decay=decay)
    if last:
        w.grad = torch.full_like(w, last)
        optimizer.step()
    w.requires_grad_(False)
    path = [w.item()]
    for _ in range(n):
        w.grad = None if gradient is None else torch.full_like(w, gradient)
        optimizer.step()
        path.append(w.item())
    return path


n = 100
decayed = steps_without_gradient(n, 0.0, decay=0.1)
coasted = steps_without_gradient(n, 0.0, momentum=0.9, last=0.1)
left_alone = steps_without_gradient(n, None, decay=0.1)
print(f"zero, weight decay:  {decayed[0]:.3f} -> {decayed[-1]:.3f}")
print(f"zero, momentum:      {coasted[0]:.3f} -> {coasted[-1]:.3f}")
print(f"None, weight decay:  {left_alone[0]:.3f} -> {left_alone[-1]:.3f}")

# %% [markdown]
# Two of three. For a weight $w$ with gradient $g$ and velocity $v$, all of one shape, SGD with learning rate $\eta$,
# weight decay $\lambda$ and momentum $\beta$ takes the step
#
# $$v \leftarrow \beta v + (g + \lambda w),\qquad w \leftarrow w - \eta v ,$$
#
# and takes it whenever there is a $g$; only where `.grad` is `None` it goes on to the next weight. Put $g = 0$. Without
# momentum, $v = \lambda w$, and every step multiplies the weight by the same number:
#
# $$w_n = (1-\eta\lambda)^n\, w_0 .$$
#
# Without decay, the velocity $v_0$ that it had when we froze it dies away as $v_k = \beta^k v_0$, and the weight coasts:
#
# $$w_n = w_0 - \eta v_0 \sum_{k=1}^{n}\beta^k = w_0 - \eta v_0\,\beta\,\frac{1-\beta^n}{1-\beta}
# \;\longrightarrow\; w_0 - \frac{\beta}{1-\beta}\,\eta v_0 .$$
#
# With $\beta = 0.9$ it goes on for nine times the length of its last step. Both formulas as code, beside what SGD did:

# %%
lr, decay, beta, v0 = 0.1, 0.1, 0.9, 0.1
law_of_decay = [(1 - lr * decay) ** k * decayed[0] for k in range(n + 1)]
law_of_coasting = [coasted[0] - lr * v0 * beta * (1 - beta**k) / (1 - beta) for k in range(n + 1)]
assert max(abs(a - b) for a, b in zip(decayed, law_of_decay, strict=True)) < 1e-12
assert max(abs(a - b) for a, b in zip(coasted, law_of_coasting, strict=True)) < 1e-12

# %% tags=["experiment"]
scale.experiment()
figure = plots.measured_and_law(
    {
        "zero, weight decay": (decayed, law_of_decay),
        "zero, momentum": (coasted, law_of_coasting),
        "None, weight decay": (left_alone, [left_alone[0]] * (n + 1)),
    },
    xlabel="steps after freezing",
    ylabel="weight",
)

# %% [markdown]
# Now the real network. We train all of it for three steps, freeze everything but the head, and take three more steps
# with the same optimizer, in a loop that clears with `zero_grad(set_to_none=False)`. How many of the frozen numbers
# move? And in a loop that clears with `zero_grad()`?

# %% tags=["experiment"]
leak = scale.experiment(offline={"photos": 16}, quick={"photos": 4}, full={"photos": 16})


def moved_after_freezing(
    then: Callable[[nn.Module, torch.optim.Optimizer], torch.optim.Optimizer],
    *,
    set_to_none: bool = False,
) -> int:
    """How many frozen numbers move in three steps; then(model, optimizer) gives the
    optimizer to go on with."""
    model = clothes_network(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images, labels = draw_photos(0, leak.photos)
    frozen: dict[str, Tensor] = {}
    for step in range(6):
        if step == 3:
            freeze(model, except_for=["head"])
            frozen = {
                name: p.clone() for name, p in model.named_parameters() if not p.requires_grad
            }
            optimizer = then(model, optimizer)
        train_mode_keep_frozen_bn(model)
        loss = F.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad(set_to_none=set_to_none)
        loss.backward()
        optimizer.step()
    return sum(
        int((p != frozen[name]).sum()) for name, p in model.named_parameters() if name in frozen
    )


moved = moved_after_freezing(lambda model, optimizer: optimizer)
with_none = moved_after_freezing(lambda model, optimizer: optimizer, set_to_none=True)
assert moved > 0, "nothing moved: see the card of freeze"
display(
    Markdown(
        f"**{moved:,}** frozen numbers are no longer what they were. Cleared to `None`: **{with_none:,}**."
    )
)

# %% [markdown]
# Nothing warns you: the head learns, and the loss falls. Clearing to `None` saves you here, as long as every loop does
# it and no gradient is left from before. Better an optimizer that *cannot* move what is frozen, whatever `.grad` may hold: zeros, or a
# gradient left over from yesterday.
#
# ### Exercise 4: an optimizer for what is trainable
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "build-optimizer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_optimizer(
    model: nn.Module, lr: float, weight_decay: float, momentum: float
) -> torch.optim.SGD:
    """SGD for what is trainable now.

    lr, weight_decay, momentum: one value each, for every parameter; plain momentum, no
        Nesterov, no dampening.

    Returns a torch.optim.SGD that holds every parameter with requires_grad True once, and
    no other. Its steps never move a frozen parameter, whatever the parameter's .grad holds.

    Must not change: anything in the model.

    >>> model = nn.Sequential(OrderedDict(body=nn.Linear(4, 3), head=nn.Linear(3, 2)))
    >>> _ = model.body.requires_grad_(False)
    >>> optimizer = build_optimizer(model, lr=0.1, weight_decay=0.01, momentum=0.9)
    >>> [tuple(parameter.shape) for parameter in optimizer.param_groups[0]["params"]]
    [(2, 3), (2,)]
    """
    ### BEGIN SOLUTION
    # Why: What an optimizer does not hold, it cannot move. A frozen parameter in its hands is
    # safe only while `.grad` is `None`: if zeros stand there, weight decay moves it all the same.
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(trainable, lr=lr, weight_decay=weight_decay, momentum=momentum)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-build-optimizer", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from torchvision import models

check_build_optimizer.add_cases(squeezenet=lambda: models.squeezenet1_1(num_classes=10))
### END HIDDEN TESTS
check_build_optimizer(build_optimizer)

# %% tags=["experiment"]
scale.experiment()
moved = moved_after_freezing(
    lambda model, _: build_optimizer(model, lr=0.01, weight_decay=1e-4, momentum=0.9)
)
assert moved == 0, "frozen numbers moved: see the card of build_optimizer"
display(Markdown(f"With your optimizer: **{moved}**."))

# %% [markdown]
# ## How deep?
#
# A head alone is a *probe*: it asks what the backbone already sees. Unfreeze the last stages too, and the network may
# learn to see something new; unfreeze everything, and it may forget. The usual choice is one place in the network: what
# comes before stays frozen, and everything from there on is trained.
#
# ### Exercise 5: unfreeze from a stage on
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "unfreeze-to", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unfreeze_to(model: nn.Module, stage: str) -> None:
    """Makes one stage and every later one trainable, and freezes every earlier one.

    model: its direct children are its stages, registered from input to output, as
        `model.named_children()` gives them.
    stage: the name of a direct child. Whatever was frozen or trainable before the call
        makes no difference.

    Must not change: values of parameters and buffers, and the modes (training or eval).

    >>> stem, body, head = nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(3, 2)
    >>> model = nn.Sequential(OrderedDict(stem=stem, body=body, head=head))
    >>> unfreeze_to(model, "body")
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['body.weight', 'body.bias', 'head.weight', 'head.bias']
    """
    ### BEGIN SOLUTION
    # Why: One walk from input to output, with a flag that turns once. Every child is set, to
    # `False` as well as to `True`, so what was frozen before the call makes no difference.
    reached = False
    for name, child in model.named_children():
        reached = reached or name == stage
        child.requires_grad_(reached)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-unfreeze-to", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from freezing_checks import on_meta
from torchvision import models

check_unfreeze_to.add_cases(resnet18=on_meta(models.resnet18), vgg11_bn=on_meta(models.vgg11_bn))
### END HIDDEN TESTS
check_unfreeze_to(unfreeze_to)

# %% [markdown]
# With it we can ask what each choice costs. For every stage we look at two things: how many parameters are trainable
# from there on, and how many bytes one training step must hold besides the model itself. Do you expect the two to grow
# together?

# %% tags=["experiment"]
opening = scale.experiment(offline={"photos": 30}, quick={"photos": 4}, full={"photos": 30})
staircase = clothes_network(seed=0)
stages = [name for name, _ in staircase.named_children()]
images, labels = draw_photos(0, opening.photos)


def cost() -> tuple[int, int]:
    """Trainable parameters, and the bytes that a step holds, with the network frozen as it
    is now."""
    train_mode_keep_frozen_bn(staircase)
    optimizer = build_optimizer(staircase, lr=0.01, weight_decay=1e-4, momentum=0.9)
    memory = training.memory_of_a_step(staircase, images, labels, optimizer)
    return trainable_report(staircase)["trainable"], memory


costs = []
for stage in stages:
    unfreeze_to(staircase, stage)
    costs.append(cost())
parameters, memory = zip(*costs, strict=True)
figure = plots.stage_costs(stages, parameters, memory)

late = stages.index("stage6")
share_of_parameters, share_of_memory = parameters[late] / parameters[0], memory[late] / memory[0]
if opening.scale != "quick":
    assert share_of_parameters > 2 * share_of_memory
display(
    Markdown(
        f"From stage6 on lie **{share_of_parameters:.0%}** of the parameters. A step that trains them holds "
        f"**{share_of_memory:.0%}** of the memory of a step that trains everything."
    )
)

# %% [markdown]
# They do not. Parameters gather at the end of the network, where channels are many. Memory goes to its beginning, where
# images are still large.
#
# What is held, and why? Take one linear layer $y = Wx$, with $x$ of shape `(D,)` and $W$ of shape `(K, D)`, and a loss
# $L$ somewhere after it. On the way back it owes two things:
#
# $$\frac{\partial L}{\partial W} = \frac{\partial L}{\partial y}\,x^{\top},\qquad
# \frac{\partial L}{\partial x} = W^{\top}\,\frac{\partial L}{\partial y}.$$
#
# The first is the gradient for its own weight. It needs $x$, so $x$ must be kept from the way forward. The second is
# for the layers before, and owed only if something there is trainable. In front of the first trainable stage nothing is
# owed, nothing is kept, and nothing is computed on the way back. As code, against autograd, for the loss
# $L = \sum_k y_k^2$:

# %%
torch.manual_seed(0)
W, x = torch.randn(3, 4, requires_grad=True), torch.randn(4, requires_grad=True)
y = W @ x
y.square().sum().backward()

dy = 2 * y.detach()
torch.testing.assert_close(W.grad, torch.outer(dy, x.detach()))
torch.testing.assert_close(x.grad, W.detach().T @ dy)

# %% [markdown]
# To what is kept add what your report counts: for each trainable parameter one gradient and, with momentum, one
# velocity. That sum is the memory in the picture. It is counted tensor by tensor, and the same on every machine; a
# process needs more, for the model and for scratch space.
#
# Now turn it round. Train the stem alone, with every stage behind it frozen. How much memory should a step take,
# compared with a step that trains everything?

# %% tags=["experiment"]
scale.experiment()
freeze(staircase, except_for=["stem"])
stem_parameters, stem_memory = cost()
if opening.scale != "quick":
    assert stem_memory > 0.6 * memory[0]
display(
    Markdown(
        f"The stem has **{stem_parameters / parameters[0]:.2%}** of the parameters. A step that trains it alone holds "
        f"**{stem_memory / memory[0]:.0%}** of the memory of a step that trains everything."
    )
)

# %% [markdown]
# The gradient reaches the stem through every stage behind it. They owe nothing for their own weights, but an activation
# must remember where it was cut off to pass a gradient on, and PyTorch keeps more than the least it needs. Freezing
# saves memory where it is done from the input on. Behind a trainable stage, a frozen one holds nearly what it would hold
# unfrozen.
#
# Suppose you have half the memory that a step takes with nothing frozen. How many of the parameters can you still train?
# Guess a percentage, then look for it. In a running notebook you tick what is to be frozen, and one step is taken on a
# copy of the network; without one, two choices are drawn here. Then freeze everything, under `model.train()`: a step that
# trains nothing. What does it move?

# %% tags=["experiment"]
scale.experiment()
figure = freezing(
    staircase,
    (images[:8], labels[:8]),
    {"your call": train_mode_keep_frozen_bn, "model.train()": nn.Module.train},
    shown=[(stages[:-1], "your call"), (stages[1:6], "model.train()")],
)

# %% [markdown]
# ## What it buys
#
# Now the experiment that all this was for. Four ways to spend a few hundred photos:
#
# - **probe**: the head alone;
# - **partial**: from stage6 on;
# - **full**: everything, starting from ImageNet's weights;
# - **scratch**: everything, starting from random ones.
#
# Probe and partial compute the features of their frozen stages once, and the time for it is counted. All go over the
# photos three times, save the probe: its passes cost next to nothing, so it gets thirty. The learning rates we chose by
# hand, from runs like these; how to choose them honestly is a lesson of its own. Put the four in an order, by accuracy
# and by time, before you run it: the cell takes longer than all others together.

# %% tags=["experiment"]
thrice = {"probe": 30, "partial": 3, "full": 3, "scratch": 3}
race = scale.experiment(
    offline={"seeds": 3, "photos": 240, "batch": 24, "passes": thrice},
    quick={
        "seeds": 2,
        "photos": 20,
        "batch": 10,
        "passes": {"probe": 2, "partial": 1, "full": 1, "scratch": 1},
    },
    full={"seeds": 5, "photos": 3000, "batch": 30, "passes": thrice},
)
claimed = (
    race.scale != "quick" and race.passes == thrice
)  # what the text says is about these passes
opened = {"probe": "head", "partial": "stage6", "full": "stem", "scratch": "stem"}
rates = {"probe": 0.003, "partial": 0.01, "full": 0.01, "scratch": 0.03}
test_inputs = {}  # the test photos as a method's frozen front gives them, the same for every seed


def train_one(method: str, seed: int) -> tuple[nn.Sequential, nn.Sequential, training.History]:
    """One run of one method: the front, the back, and what was seen while the back was
    trained."""
    network = clothes_network(seed, pretrained=method != "scratch")
    unfreeze_to(network, opened[method])
    front, back = training.cut(network)
    if method not in test_inputs:
        test_inputs[method] = training.predict(front, test_images)
    images, labels = draw_photos(seed, race.photos)
    with Timer(device) as timer:
        features = training.predict(front, images)
    run = training.fit(
        back,
        (features, labels),
        optimizer=build_optimizer(back, lr=rates[method], weight_decay=1e-4, momentum=0.9),
        epochs=race.passes[method],
        batch_size=race.batch,
        seed=seed,
        test=(test_inputs[method], test_labels),
        set_mode=train_mode_keep_frozen_bn,
    )
    run.seconds += timer.seconds
    return front, back, run


runs = {method: [] for method in opened}
for method, seed in training.progress(
    [(method, seed) for method in opened for seed in range(race.seeds)], "runs"
):
    runs[method].append(train_one(method, seed))
first_look = {method: [run.accuracy[-1] for *_, run in seeds] for method, seeds in runs.items()}
steps = {method: len(seeds[0][-1].loss) for method, seeds in runs.items()}
display(
    Markdown(
        ", ".join(f"{method}: {plots.plus_minus(first_look[method], 100)} %" for method in runs)
        + "."
    )
)
if claimed and race.scale == "offline":
    assert all(
        sum(run.loss[-5:]) < sum(run.loss[:5]) for seeds in runs.values() for *_, run in seeds
    )
    assert sum(first_look["full"]) < sum(first_look["probe"]) - 0.05 * race.seeds
    assert sum(first_look["scratch"]) < 0.3 * race.seeds

# %% [markdown]
# Scratch is near the one in ten that guessing gets, and full, which could do all that the probe did, is far behind it.
# Yet the losses of both fell. Before you blame the method: where have we seen a network that learns, and is wrong in
# evaluation mode?
#
# Look at how the running mean is nudged again. The accuracy was measured with the running statistics. In the mean after $n$ steps,
# the batch of step $k$ has the weight $m(1-m)^{n-k}$, so the last ten steps make up $1-0.9^{10}$, about two thirds of
# it. The last third comes from older batches, as a network saw them that has changed since, and from the statistics
# before training. In a long training that is a detail. Here there are few steps, and they are large.
#
# The drift that ruined a frozen backbone is what a trained one needs, and it came too slowly. The cure: leave the
# weights alone, show the training photos once more, and take for each statistic the plain mean over these batches.
# `training.refresh_statistics` does that, for BatchNorm layers in training mode; frozen ones are not touched.

# %% tags=["experiment"]
scale.experiment()
accuracy = {method: list(first_look[method]) for method in runs}
for method in ("partial", "full", "scratch"):  # the probe trains no BatchNorm layer
    for seed, (front, back, run) in enumerate(runs[method]):
        features = training.predict(front, draw_photos(seed, race.photos)[0])
        train_mode_keep_frozen_bn(back)
        with Timer(device) as timer:
            training.refresh_statistics(back, features, batch_size=race.batch)
        run.seconds += timer.seconds
        accuracy[method][seed] = training.evaluate(back, (test_inputs[method], test_labels))
seconds = {method: [run.seconds for *_, run in seeds] for method, seeds in runs.items()}
memory_held = {method: [run.memory for *_, run in seeds] for method, seeds in runs.items()}

figure = plots.compare_methods(accuracy, seconds, memory_held, chance=1 / len(data.classes))

# %% tags=["experiment", "result"]
scale.experiment()
print(
    f"{race.photos} photos, {race.seeds} seeds: mean ± standard deviation. Accuracy on {len(test_labels)} other photos."
)
print(
    f"{'':8}{'steps':>6}{'accuracy (%)':>16}{'before refreshing':>20}{'time (s)':>14}{'memory of a step (MB)':>24}"
)
for method in runs:
    print(
        f"{method:8}{steps[method]:>6}{plots.plus_minus(accuracy[method], 100):>16}"
        f"{plots.plus_minus(first_look[method], 100):>20}{plots.plus_minus(seconds[method]):>14}"
        f"{memory_held[method][0] / 1e6:>24.1f}"
    )
from_imagenet = [value for method in ("probe", "partial", "full") for value in accuracy[method]]
display(
    Markdown(
        f"The worst run from ImageNet's weights: {min(from_imagenet):.1%}. The best from random weights: "
        f"{max(accuracy['scratch']):.1%}. A step of full training holds "
        f"{memory_held['full'][0] / memory_held['probe'][0]:.0f} times what a step of the probe holds."
    )
)
if claimed:
    assert min(from_imagenet) > max(accuracy["scratch"]) + 0.05
    assert sum(accuracy["full"]) > sum(first_look["full"]) and sum(accuracy["scratch"]) > sum(
        first_look["scratch"]
    )
    assert max(seconds["probe"]) < min(seconds["full"])
    assert memory_held["probe"][0] < memory_held["partial"][0] < memory_held["full"][0]

# %% [markdown]
# What a network learnt from photos of dogs and lighthouses is a better start here than random numbers, by far, and all
# of it passes through the one layer that the probe trains. Scratch is not at its end: it has seen each photo three
# times, and would need many more passes. Full may not be at its end either. Among the three that start from ImageNet,
# look at the whiskers, one standard deviation over the seeds each way, before you look at the bars. Where they overlap,
# this experiment has not told the methods apart, and the cheapest is the one to begin with.
#
# ## The next door
#
# Change `passes` and see whether the order holds. Give full eight, for one. Then ask what is strange about full training: its head starts as
# random numbers, and in the first steps it sends their errors back through stages that were good. Kumar and others
# found what that does, and a remedy: train the head first, on the frozen backbone, and unfreeze only then. You have
# every function for it. (A. Kumar et al. 2022,
# [Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution](https://arxiv.org/abs/2202.10054).)
#
# Which stages carry over to another task? J. Yosinski et al. cut networks at every depth and measured it:
# [How transferable are features in deep neural networks?](https://arxiv.org/abs/1411.1792) (2014). And is the better
# ImageNet network the better backbone? S. Kornblith et al. measured sixteen of them on twelve data sets:
# [Do Better ImageNet Models Transfer Better?](https://arxiv.org/abs/1805.08974) (2019).
#
# What else BatchNorm does behind your back, and where the refreshed statistics come from: Y. Wu and J. Johnson,
# [Rethinking "Batch" in BatchNorm](https://arxiv.org/abs/2105.07576) (2021). What `requires_grad` and the modes do to
# autograd, PyTorch says in [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html), and what a
# step of SGD does, line by line, in [SGD](https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html).
#
# One question stays open. A stem that has seen a million photos and a head of random numbers took steps of the same
# size. Should they?
