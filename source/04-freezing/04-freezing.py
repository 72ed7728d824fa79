# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Freezing
#
# EfficientNet-Lite0 learnt from more than a million photos to tell a thousand things apart. We want it to tell apart
# ten kinds of clothes, and we have three hundred photos. To learn everything again would be a waste, and a risk: three
# hundred photos can spoil what a million taught. So people *freeze* most of the network. It sounds like the one thing
# nobody can get wrong: doing nothing.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from freezing_checks import check_freeze, check_optimizer, check_report, check_train_mode, check_unfreeze_to
from IPython.display import Markdown, display
from torch import Tensor, nn
from torch.nn import functional as F

from course import plots, scale, training
from course.data import fashion_mnist
from course.device import Timer, describe, pick_device
from course.models import imagenet_labels, load_backbone, preprocess

device = pick_device()
patience = scale.choose(
    offline="all its experiments together take about two minutes on two cores",
    quick="all its experiments together take seconds, and show nothing true",
    full="it downloads the full data set, and its experiments take a few minutes on a GPU",
)
print(f"This notebook computes on {describe(device)} at {scale.current()} scale; {patience}.")

# %% [markdown]
# ## A network that nobody trains
#
# Here are some of the photos. Each is 28 pixels wide, white on black; we enlarge them. Above each stands what it is,
# and what EfficientNet-Lite0 calls it.

# %% tags=["experiment"]
size = scale.experiment(
    offline={"side": 64, "test": 1000}, quick={"side": 32, "test": 30}, full={"side": 128, "test": 2000}
)
side = size.side  # pixels
data = fashion_mnist()
imagenet = imagenet_labels()


def pixels(images: Tensor) -> Tensor:
    """uint8 photos (N, 1, 28, 28) -> what the network wants: float32 (N, 3, side, side)."""
    return preprocess("efficientnet-lite0", images, size=side)


test_images, test_labels = pixels(data.x_test[: size.test]), data.y_test[: size.test]
network = load_backbone("efficientnet-lite0").to(device)
names = [imagenet[answer] for answer in training.predict(network, test_images[:16]).argmax(dim=1)]
titles = [f"{data.classes[label]}\n“{name}”" for label, name in zip(test_labels[:16], names, strict=True)]
figure = plots.photos(data.x_test[:16], titles)

# %% [markdown]
# ImageNet has classes for sandals, loafers and running shoes, and the network names some of these photos well. Most it
# does not: it never saw a coat from a catalogue, cut out and shrunk. That is not our question. We do not ask for the
# right answer. We ask for the *same* answer.
#
# Take the first ankle boot. We set `requires_grad` to `False` on every parameter there is. There is no optimizer and
# no loss. Then we show the network a hundred batches of clothes, as a training loop would, and ask about the boot
# again.
#
# Will the largest logit still be the same? If not, by how much will it have moved? Write your guess down.

# %% tags=["experiment"]
drift = scale.experiment(
    offline={"batches": 100, "photos": 16}, quick={"batches": 4, "photos": 4}, full={"batches": 100, "photos": 16}
)
photo = int(torch.where(data.y_test == data.classes.index("Ankle boot"))[0][0])
boot = pixels(data.x_test[photo : photo + 1])


def show_batches(model: nn.Module, set_mode: Callable[[nn.Module], object]) -> tuple[list[int], Tensor]:
    """Shows the model batch after batch in the mode that set_mode gives it, and asks for the boot now and then.

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


network = load_backbone("efficientnet-lite0").to(device)
network.requires_grad_(False)
weights = {name: parameter.clone() for name, parameter in network.named_parameters()}

asked, logits = show_batches(network, nn.Module.train)

same = all(torch.equal(parameter, weights[name]) for name, parameter in network.named_parameters())
change = (logits[-1] - logits[0]).abs().max().item()
first, last = (imagenet[answer] for answer in logits[[0, -1]].argmax(dim=1))
assert same
if drift.scale != "quick":
    assert change > 5 and first != last
display(Markdown(
    f"Before: “{first}”. After {asked[-1]} batches: “{last}”. One logit moved by **{change:.0f}**. "
    f"All {sum(w.numel() for w in weights.values()):,} weights are the same, bit for bit."
))

# %% [markdown]
# No weight moved. Something in the network changed that is not a parameter, and nobody asked it to.
#
# Between its convolutions sit BatchNorm layers. Each has, for every one of its $C$ channels, a weight and a bias that
# training learns, and two numbers that no gradient ever touches: the running mean $\hat\mu$ and the running variance
# $\hat\sigma^2$ of what has passed through it, each of shape `(C,)`. In evaluation mode the layer normalises with
# these two. In training mode it does two other things. It normalises with the batch's own mean $\mu_B$ and variance
# $\sigma_B^2$, so your boot's answer depends on the shirts beside it. And it lets every batch nudge the two numbers:
#
# $$\hat\mu \leftarrow (1-m)\,\hat\mu + m\,\mu_B,\qquad \hat\sigma^2 \leftarrow (1-m)\,\hat\sigma^2 + m\,\sigma_B^2 ,$$
#
# with the layer's *momentum* $m$. (The variance that enters here is the unbiased one, divided by $n-1$ where $n$ is
# the number of values in a channel of the batch.) In code:

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
print("m =", m, " running mean, was 0:", [round(v, 2) for v in layer.running_mean.tolist()])

# %% [markdown]
# Unroll the recursion over $n$ batches. The statistics that ImageNet left, $\hat\mu_0$, keep the weight $(1-m)^n$:
#
# $$\hat\mu_n = (1-m)^n\,\hat\mu_0 + m\sum_{k=1}^{n}(1-m)^{n-k}\,\mu_{B_k}.$$
#
# With $m = 0.1$ and $n = 100$ that is $0.9^{100}$, less than three hundred-thousandths. A hundred batches of clothes,
# and what a million photos left there is gone.
#
# The first BatchNorm layer of our network shows it cleanly, because what comes in is a convolution that does not
# change. We replay the batches, take one channel, and put the formula beside the layer.

# %% tags=["experiment"]
size = scale.experiment(offline={"batches": 100}, quick={"batches": 4}, full={"batches": 100})
fresh = load_backbone("efficientnet-lite0").to(device)
before, after = fresh.bn1.running_mean.cpu(), network.bn1.running_mean.cpu()
channel = int((after - before).abs().argmax())
draw = torch.Generator().manual_seed(0)
by_hand, running = [before[channel].item()], [before[channel].item()]
fresh.train()
for _ in range(size.batches):
    rows = torch.randint(len(data.x_train), (drift.photos,), generator=draw)
    with torch.no_grad():
        z = fresh.conv_stem(pixels(data.x_train[rows]).to(device))  # (photos, C, height, width)
        fresh.bn1(z)
    by_hand.append((1 - m) * by_hand[-1] + m * z[:, channel].mean().item())
    running.append(fresh.bn1.running_mean[channel].item())
assert abs(by_hand[-1] - running[-1]) < 1e-3 and abs(running[-1] - after[channel].item()) < 1e-3

probability = logits.softmax(dim=1)
figure = plots.drift(
    data.x_test[photo],
    asked,
    {f"“{name}”": probability[:, imagenet.index(name)].tolist() for name in (first, last)},
    running,
    by_hand,
)

# %% [markdown]
# These numbers are *buffers*: saved with the model, moved by `forward`, out of reach for `requires_grad`. The switch
# that holds them still is the other one, `eval()`.
#
# So freezing is two things, parameters and statistics, and most code on the web does one of them. We take them in
# turn.
#
# ## The parameters
#
# Nobody freezes a whole network. The last layer, the *head*, must be new, because the old one answers with a thousand
# ImageNet names. What feeds it is the *backbone*.
#
# timm hands us EfficientNet-Lite0 with everything interesting inside a single child called `blocks`. We take it apart
# into a chain of ten *stages*, so that every cut we may want to make later falls between two of them:

# %%
def staged(network: nn.Module) -> nn.Sequential:
    """EfficientNet-Lite0 as a chain of stages, input to output. The layers are the network's own, not copies."""
    stages = OrderedDict(stem=nn.Sequential(network.conv_stem, network.bn1))
    for number, block in enumerate(network.blocks, start=1):
        stages[f"stage{number}"] = block
    stages["top"] = nn.Sequential(network.conv_head, network.bn2, network.global_pool)
    stages["head"] = network.classifier
    return nn.Sequential(stages)


def clothes_network(seed: int, *, pretrained: bool = True) -> nn.Sequential:
    """Ten stages with a new head for ten classes; the seed draws the head, and all the rest unless pretrained."""
    torch.manual_seed(seed)
    return staged(load_backbone("efficientnet-lite0", pretrained=pretrained, num_classes=10)).to(device)


# %% [markdown]
# Which parameters stay trainable we want to say by name, and at any depth: `"head"`, or `"stage7.0.bn2"`, or one
# parameter alone, `"stem.0.weight"`. PyTorch has the names: `model.named_parameters()` gives pairs such as
# `("head.weight", Parameter)`, and the dots are the way down the tree of modules.
#
# Three things are easy to overlook. `head` must not open `head2` on the grounds that the letters agree. A parameter
# that was frozen yesterday and is listed today must be trainable afterwards. And one parameter can live in two places:
# a language model often uses the same matrix to read words and to write them. It has two names then, and
# `named_parameters()` tells you only the first, unless you ask with `remove_duplicate=False`.
#
# ### Exercise 1: freeze
#
# Difficulty ●●○, 10 minutes.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "freeze", "locked": false, "schema_version": 3, "solution": true, "task": false}
def freeze(model: nn.Module, except_for: Sequence[str]) -> None:
    """Freezes every parameter of the model, save those that `except_for` names; those become trainable.

    model: any module. Afterwards each parameter's requires_grad is True if it is named, and False if not.
    except_for: dotted names of modules or parameters, at any depth. The name of a module stands for every parameter
        inside it. A name stands for itself and what is below it: "head" covers "head.weight" and "head.0.bias", but
        not "head2.weight". A parameter that two modules share is trainable when one of them is named.

    Must not change: values of parameters and buffers, and the modes (training or eval).

    >>> model = nn.Sequential(OrderedDict(body=nn.Linear(4, 3), head=nn.Linear(3, 2)))
    >>> freeze(model, except_for=["head", "body.bias"])
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['body.bias', 'head.weight', 'head.bias']
    """
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(name == listed or name.startswith(f"{listed}.") for listed in except_for):
            parameter.requires_grad_(True)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-freeze", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check_freeze(freeze)

# %% [markdown]
# How much of the network is still trainable when only the head is? Guess a percentage. Then write the function that
# tells, and that you will want to call before every training run of your life: most accidents with freezing show in
# these three numbers.
#
# ### Exercise 2: count
#
# Difficulty ●○○, 5 minutes.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "trainable-report", "locked": false, "schema_version": 3, "solution": true, "task": false}
def trainable_report(model: nn.Module) -> dict[str, int]:
    """How many numbers of the model training would change, and how many not.

    Returns a dict with the keys 'trainable', 'frozen' and 'total', each an int: the count of single numbers, so a
    weight of shape (3, 4) counts 12. A parameter that is used in two places counts once. Buffers do not count.

    Must not change: anything in the model.

    >>> model = nn.Sequential(OrderedDict(body=nn.Linear(4, 3), norm=nn.BatchNorm1d(3), head=nn.Linear(3, 2)))
    >>> _ = model.body.requires_grad_(False)
    >>> trainable_report(model)
    {'trainable': 14, 'frozen': 15, 'total': 29}
    """
    ### BEGIN SOLUTION
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    return {"trainable": trainable, "frozen": total - trainable, "total": total}
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-trainable-report", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check_report(trainable_report)

# %% tags=["experiment"]
scale.experiment()
network = clothes_network(seed=0)
freeze(network, except_for=["head"])
report = trainable_report(network)
display(Markdown(
    f"{report['trainable']:,} of {report['total']:,} parameters are trainable: "
    f"**{report['trainable'] / report['total']:.2%}**."
))

# %% [markdown]
# ## The statistics
#
# Now the other half. `model.train()` is what every training loop calls at the start of an epoch, and it reaches every
# BatchNorm layer, frozen or not. We want a call to put in its place.
#
# `model.eval()` would hold the statistics still, but it also switches off Dropout, and it stops a BatchNorm layer that
# we *do* train from following its own inputs. So: training mode for everything, save the BatchNorm layers that are
# frozen themselves. A layer counts as frozen when its weight and its bias are both frozen.
#
# The mode is a property of each single module: `module.training`, set by `module.train()` and `module.eval()`, for the
# module and all below it. BatchNorm comes as `nn.BatchNorm1d`, `2d` and `3d`, and libraries derive their own from
# these: timm's is called `BatchNormAct2d`.
#
# ### Exercise 3: train, and keep the frozen statistics
#
# Difficulty ●●○, 10 minutes.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "train-mode", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_mode_keep_frozen_bn(model: nn.Module) -> None:
    """Puts the model into training mode, and every BatchNorm layer that is frozen into eval mode.

    model: any module, in any mode. A BatchNorm layer (1d, 2d or 3d, at any depth) is frozen when its own weight and
        bias all have requires_grad False. Everything else is in training mode afterwards: Dropout, trainable
        BatchNorm, and a BatchNorm that an earlier call put into eval mode and that has been unfrozen since.

    Must not change: requires_grad, values of parameters and buffers, and the layers' settings.

    >>> model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    >>> _ = model[1].requires_grad_(False)
    >>> train_mode_keep_frozen_bn(model)
    >>> [layer.training for layer in model]
    [True, False, True, True]
    """
    ### BEGIN SOLUTION
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and not any(
            parameter.requires_grad for parameter in module.parameters()
        ):
            module.eval()
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-train-mode", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check_train_mode(train_mode_keep_frozen_bn)

# %% [markdown]
# The same frozen network, the same batches, the same boot; one call is yours now.

# %% tags=["experiment"]
scale.experiment()
network = load_backbone("efficientnet-lite0").to(device)
freeze(network, except_for=[])
asked, logits = show_batches(network, train_mode_keep_frozen_bn)
change = (logits[-1] - logits[0]).abs().max().item()
assert change == 0
display(Markdown(f"After {asked[-1]} batches the largest change of a logit is **{change}**."))

# %% [markdown]
# Not small: zero. So what the backbone makes of a photo is now the same in every epoch, and need not be computed
# twice. `training.cut` splits a chain where the frozen stages end, `training.predict(front, images)` runs the front
# once, and the back trains on the result, its *features*.
#
# But does the drift do harm? A head that trains *while* the statistics move could perhaps move with them. We train
# one both ways: the same photos, the same first weights, the same learning rate; only the mode of the frozen backbone
# differs. What do you expect for the accuracy on new photos, in per cent?

# %% tags=["experiment"]
probe = scale.experiment(
    offline={"seeds": 3, "photos": 300, "batch": 30, "epochs": 3},
    quick={"seeds": 1, "photos": 20, "batch": 10, "epochs": 1},
    full={"seeds": 5, "photos": 3000, "batch": 30, "epochs": 3},
)
test = (test_images, test_labels)


def draw_photos(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """`count` training photos (count, 3, side, side) and their labels (count,)."""
    rows = torch.randperm(len(data.x_train), generator=torch.Generator().manual_seed(seed))[:count]
    return pixels(data.x_train[rows]), data.y_train[rows]


drifting, still = [], []
for seed in range(probe.seeds):
    photos = draw_photos(seed, probe.photos)
    settings = {"epochs": probe.epochs, "batch_size": probe.batch, "seed": seed}

    network = clothes_network(seed)
    freeze(network, except_for=["head"])
    optimizer = torch.optim.SGD(network.head.parameters(), lr=0.03, momentum=0.9)
    run = training.fit(network, photos, optimizer=optimizer, test=test, set_mode=nn.Module.train, **settings)
    drifting += run.accuracy

    network = clothes_network(seed)
    freeze(network, except_for=["head"])
    optimizer = torch.optim.SGD(network.head.parameters(), lr=0.03, momentum=0.9)
    front, back = training.cut(network)
    features, test_features = training.predict(front, photos[0]), training.predict(front, test[0])
    run = training.fit(
        back, (features, photos[1]), optimizer=optimizer, test=(test_features, test[1]),
        set_mode=train_mode_keep_frozen_bn, **settings,
    )
    still += run.accuracy

drop = [100 * (b - a) for a, b in zip(drifting, still, strict=True)]
mean, spread = training.mean_and_spread(drop)
if probe.scale != "quick":
    assert mean > 3
display(Markdown(
    f"Accuracy on {len(test_labels)} new photos, over {probe.seeds} seeds: statistics kept "
    f"{plots.plus_minus(still, 100)} %, statistics drifting {plots.plus_minus(drifting, 100)} %. "
    f"The drift costs **{mean:.0f} ± {spread:.0f} points**."
))

# %% [markdown]
# ## The optimizer does not know
#
# `requires_grad` speaks to autograd: no gradient is computed here. The optimizer never reads it. It looks at `.grad`,
# and there is a difference between a gradient that is `None` and a gradient that is zero.
#
# Where would a zero come from? You train the whole network for a while, then freeze the backbone and go on.
# `optimizer.zero_grad(set_to_none=False)` leaves a tensor of zeros behind; so did plain `zero_grad()` before PyTorch 2.
# Code that freezes by multiplying gradients with a mask of zeros does the same.
#
# A weight whose gradient is zero stays where it is, does it not? Three copies of one weight, $w_0 = 1$, all frozen,
# all with a gradient of exactly zero; SGD with learning rate 0.1 takes 100 steps. The first copy has weight decay 0.1.
# The second has momentum 0.9, and was moving when we froze it: its last true gradient was 0.1. The third is like the
# first, but its gradient is `None`. Which of them move, and how far?

# %%
def steps_without_gradient(
    n: int, gradient: float | None, *, lr: float = 0.1, decay: float = 0.0, momentum: float = 0.0, before: float = 0.0
) -> list[float]:
    """A weight of 1, after a step with gradient `before` and then after each of n steps with `gradient`."""
    w = nn.Parameter(torch.ones((), dtype=torch.float64))
    optimizer = torch.optim.SGD([w], lr=lr, momentum=momentum, weight_decay=decay)
    if before:
        w.grad = torch.full_like(w, before)
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
coasted = steps_without_gradient(n, 0.0, momentum=0.9, before=0.1)
left_alone = steps_without_gradient(n, None, decay=0.1)
print(f"zero gradient, weight decay: {decayed[0]:.3f} -> {decayed[-1]:.3f}")
print(f"zero gradient, momentum:     {coasted[0]:.3f} -> {coasted[-1]:.3f}")
print(f"no gradient, weight decay:   {left_alone[0]:.3f} -> {left_alone[-1]:.3f}")

# %% [markdown]
# Only `None` holds a weight still. One step of SGD is, with learning rate $\\eta$, weight decay $\\lambda$, momentum
# $\\beta$, gradient $g$ and velocity $v$ (of the shape of the weight $w$, zero at the start),
#
# $$v \\leftarrow \\beta v + (g + \\lambda w),\\qquad w \\leftarrow w - \\eta v .$$
#
# Put $g = 0$. Without momentum, $v = \\lambda w$, so every step multiplies the weight by the same number:
#
# $$w_n = (1-\\eta\\lambda)^n\\, w_0 .$$
#
# Without decay the velocity $v_0$ it had when we froze it dies away, $v_k = \\beta^k v_0$, and the weight coasts on:
#
# $$w_n = w_0 - \\eta v_0 \\sum_{k=1}^{n}\\beta^k = w_0 - \\eta v_0\\,\\beta\\,\\frac{1-\\beta^n}{1-\\beta}
# \\;\\longrightarrow\\; w_0 - \\frac{\\beta}{1-\\beta}\\,\\eta v_0 .$$
#
# With $\\beta = 0.9$ it still goes nine times as far as the step before. Both formulas, as code:

# %%
lr, decay, beta, velocity = 0.1, 0.1, 0.9, 0.1
law_decay = [(1 - lr * decay) ** k * decayed[0] for k in range(n + 1)]
law_coast = [coasted[0] - lr * velocity * beta * (1 - beta**k) / (1 - beta) for k in range(n + 1)]
assert max(abs(a - b) for a, b in zip(decayed, law_decay, strict=True)) < 1e-12
assert max(abs(a - b) for a, b in zip(coasted, law_coast, strict=True)) < 1e-12

# %% tags=["experiment"]
scale.experiment()
figure = plots.measured_and_law(
    {
        "zero, weight decay": (decayed, law_decay),
        "zero, momentum": (coasted, law_coast),
        "None, weight decay": (left_alone, [left_alone[0]] * (n + 1)),
    },
    xlabel="steps after freezing",
    ylabel="weight",
)

# %% [markdown]
# A real network, then. We train all of it for three steps, freeze everything but the head, and take three more with
# the same optimizer. How many of the frozen numbers move?

# %% tags=["experiment"]
leak = scale.experiment(offline={"photos": 16}, quick={"photos": 4}, full={"photos": 16})


def moved_after_freezing(new_optimizer: Callable[[nn.Module, torch.optim.Optimizer], torch.optim.Optimizer]) -> int:
    """How many frozen numbers move in three steps with what new_optimizer(model, old optimizer) gives."""
    model = clothes_network(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images, labels = draw_photos(0, leak.photos)
    for step in range(6):
        if step == 3:
            freeze(model, except_for=["head"])
            frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
            optimizer = new_optimizer(model, optimizer)
        train_mode_keep_frozen_bn(model)
        loss = F.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
    return sum(int((p != frozen[name]).sum()) for name, p in model.named_parameters() if name in frozen)


moved = moved_after_freezing(lambda model, old: old)
assert moved > 0
display(Markdown(f"**{moved:,}** numbers that we had frozen are no longer what they were."))

# %% [markdown]
# Nothing warns you. The loss falls as it should, because the head is learning.
#
# The cure is to leave the optimizer nothing to move that should stand still. And `.grad` decides nothing then: a
# frozen parameter may carry a gradient from yesterday, and must not follow it.
#
# ### Exercise 4: an optimizer that cannot
#
# Difficulty ●○○, 5 minutes.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "build-optimizer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_optimizer(model: nn.Module, lr: float, weight_decay: float, momentum: float) -> torch.optim.SGD:
    """SGD for what is trainable now.

    lr, weight_decay, momentum: one value each for every parameter; plain momentum, no Nesterov, no dampening.

    Returns a torch.optim.SGD that holds every parameter with requires_grad True once, and no other. Whatever the
    .grad of a frozen parameter holds, its steps do not move it.

    Must not change: anything in the model.

    >>> model = nn.Sequential(OrderedDict(body=nn.Linear(4, 3), head=nn.Linear(3, 2)))
    >>> _ = model.body.requires_grad_(False)
    >>> optimizer = build_optimizer(model, lr=0.1, weight_decay=0.01, momentum=0.9)
    >>> [tuple(parameter.shape) for group in optimizer.param_groups for parameter in group["params"]]
    [(2, 3), (2,)]
    """
    ### BEGIN SOLUTION
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(trainable, lr=lr, weight_decay=weight_decay, momentum=momentum)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-build-optimizer", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check_optimizer(build_optimizer)

# %% tags=["experiment"]
scale.experiment()
moved = moved_after_freezing(lambda model, old: build_optimizer(model, lr=0.01, weight_decay=1e-4, momentum=0.9))
assert moved == 0
display(Markdown(f"With your optimizer: **{moved}**."))

# %% [markdown]
# ## How deep?
#
# A head alone is a *probe*: it can only ask for what the backbone already sees. Thaw the last stages too and the
# network may learn to see something new; thaw everything and it may forget. The common way to choose is to pick one
# stage and open it and all that follow.
#
# ### Exercise 5: unfreeze from a stage on
#
# Difficulty ●○○, 5 minutes.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "unfreeze-to", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unfreeze_to(model: nn.Module, stage: str) -> None:
    """Makes one stage and every later one trainable, and freezes every earlier one.

    model: its direct children are its stages, registered from input to output, as `model.named_children()` gives
        them.
    stage: the name of a direct child. Whatever was frozen or trainable before the call makes no difference.

    Must not change: values of parameters and buffers, and the modes (training or eval).

    >>> model = nn.Sequential(OrderedDict(stem=nn.Linear(5, 4), body=nn.Linear(4, 3), head=nn.Linear(3, 2)))
    >>> unfreeze_to(model, "body")
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['body.weight', 'body.bias', 'head.weight', 'head.bias']
    """
    ### BEGIN SOLUTION
    reached = False
    for name, child in model.named_children():
        reached = reached or name == stage
        child.requires_grad_(reached)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-unfreeze-to", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check_unfreeze_to(unfreeze_to)

# %% [markdown]
# With it we can ask what each stage costs. We open the network from the head backwards, one stage at a time, and look
# at two things: how many parameters are trainable, and how many bytes one training step must hold besides the model.
# Before you run it: do you expect the two to grow together?

# %% tags=["experiment"]
size = scale.experiment(offline={"photos": 30}, quick={"photos": 4}, full={"photos": 30})
network = clothes_network(seed=0)
stages = [name for name, _ in network.named_children()]
images, labels = draw_photos(0, size.photos)


def cost() -> tuple[int, int]:
    """Trainable parameters, and bytes that a step holds, for the network as it is frozen now."""
    train_mode_keep_frozen_bn(network)
    optimizer = build_optimizer(network, lr=0.01, weight_decay=1e-4, momentum=0.9)
    memory = training.memory_of_a_step(network, images, labels, optimizer)
    return trainable_report(network)["trainable"], memory


costs = []
for stage in stages:
    unfreeze_to(network, stage)
    costs.append(cost())
parameters, memory = zip(*costs, strict=True)
figure = plots.stage_costs(stages, parameters, memory)

late = stages.index("stage6")
display(Markdown(
    f"From stage6 on lie **{parameters[late] / parameters[0]:.0%}** of the parameters, and training them takes "
    f"**{memory[late] / memory[0]:.0%}** of the memory of training everything."
))

# %% [markdown]
# They do not. Parameters sit at the end of the network, where channels are many. Memory goes to the beginning, where
# images are large.
#
# What is held? Take one linear layer, $y = Wx$, and a loss $L$. Going backward it owes two things:
#
# $$\\frac{\\partial L}{\\partial W} = \\frac{\\partial L}{\\partial y}\\,x^{\\top},\\qquad
# \\frac{\\partial L}{\\partial x} = W^{\\top}\\,\\frac{\\partial L}{\\partial y}.$$
#
# The first, the gradient for its own weight, needs the input $x$, so $x$ must be kept from the forward pass. The
# second, the gradient for the layers before it, is owed only if something before it is trainable. Behind the first
# trainable stage nothing is owed, and autograd keeps nothing. Then add what your report counts: one gradient and, with
# momentum, one velocity for each trainable parameter.
#
# So what if we turn it round, and train the stem alone, with everything after it frozen? Guess: how much memory does a
# step take, compared with training everything?

# %% tags=["experiment"]
scale.experiment()
freeze(network, except_for=["stem"])
stem_parameters, stem_memory = cost()
display(Markdown(
    f"The stem has **{stem_parameters / parameters[0]:.3%}** of the parameters, and training it alone takes "
    f"**{stem_memory / memory[0]:.0%}** of the memory of training everything."
))

# %% [markdown]
# The gradient reaches the stem through every layer after it, and most of them still need what they saw to pass it on.
# Freezing saves memory and time where it is done from the input on; a frozen layer *behind* a trainable one is paid
# for almost in full.
#
# ## What it buys
#
# Now the experiment all this was for. Four ways to spend three hundred photos:
#
# - **probe**: only the head;
# - **partial**: from stage6 on;
# - **full**: everything, from ImageNet's weights;
# - **scratch**: everything, from random weights.
#
# For the first two the features of the frozen stages are computed once, and the time for that is counted. The photos
# and their order are the same in each way; three seeds draw them, the head, and the random weights. Put the four in an
# order before you run it, by accuracy and by time.

# %% tags=["experiment"]
size = scale.experiment(
    offline={"seeds": 3, "photos": 300, "batch": 30, "epochs": {"probe": 30, "partial": 6, "full": 4, "scratch": 4}},
    quick={"seeds": 2, "photos": 20, "batch": 10, "epochs": {"probe": 2, "partial": 1, "full": 1, "scratch": 1}},
    full={
        "seeds": 5, "photos": 3000, "batch": 30, "epochs": {"probe": 30, "partial": 10, "full": 10, "scratch": 30},
    },
)
opened = {"probe": "head", "partial": "stage6", "full": "stem", "scratch": "stem"}
rates = {"probe": 0.03, "partial": 0.01, "full": 0.01, "scratch": 0.03}


def train_one(method: str, seed: int) -> training.History:
    """One run of one method."""
    network = clothes_network(seed, pretrained=method != "scratch")
    unfreeze_to(network, opened[method])
    optimizer = build_optimizer(network, lr=rates[method], weight_decay=1e-4, momentum=0.9)
    images, labels = draw_photos(seed, size.photos)
    front, back = training.cut(network)
    with Timer(device) as timer:
        features = training.predict(front, images)
    run = training.fit(
        back,
        (features, labels),
        optimizer=optimizer,
        epochs=size.epochs[method],
        batch_size=size.batch,
        seed=seed,
        test=(training.predict(front, test_images), test_labels),
        set_mode=train_mode_keep_frozen_bn,
        label=f"{method}, seed {seed}",
    )
    run.seconds += timer.seconds
    return run


runs = {method: [train_one(method, seed) for seed in range(size.seeds)] for method in opened}
accuracy = {method: [run.accuracy[-1] for run in seeds] for method, seeds in runs.items()}
seconds = {method: [run.seconds for run in seeds] for method, seeds in runs.items()}
memory_held = {method: [run.memory for run in seeds] for method, seeds in runs.items()}

# %% tags=["experiment"]
scale.experiment()
figure = plots.compare_methods(accuracy, seconds, memory_held, chance=1 / len(data.classes))

# %% tags=["experiment"]
scale.experiment()
print(f"Means over {size.seeds} seeds, ± one standard deviation; {size.photos} photos, {len(test_labels)} for testing.")
print(f"{'':8} {'accuracy (%)':>14} {'time (s)':>14} {'memory of a step (MB)':>22}")
for method in runs:
    print(
        f"{method:8} {plots.plus_minus(accuracy[method], 100):>14} {plots.plus_minus(seconds[method]):>14}"
        f" {memory_held[method][0] / 1e6:>22.1f}"
    )
if size.scale != "quick":
    best_frozen = max(sum(accuracy["probe"]), sum(accuracy["partial"])) / size.seeds
    from_nothing = sum(accuracy["scratch"]) / size.seeds
    assert best_frozen > from_nothing + 0.1
    assert sum(seconds["probe"]) < sum(seconds["full"])
    assert max(memory_held["probe"]) < min(memory_held["partial"]) < min(memory_held["full"])

# %% [markdown]
# ## The next door
#
# TODO
