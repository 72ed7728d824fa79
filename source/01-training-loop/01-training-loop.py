# %% [markdown]
# # 01 · The training loop
#
# Here is a network with 7,850 numbers in it, all drawn at random. It has never seen a photo. We show it three thousand
# photos of clothes, and for each it must spread its belief over ten kinds: so much for *shirt*, so much for *sandal*,
# all ten adding up to 1. Then we charge it for each photo: minus the logarithm of what it gave to the right kind. Had it
# given all, the charge is 0. Had it given a thousandth, it is 6.9.
#
# It knows nothing, and nobody can say what it will answer. But what will it be charged on average? You can know that
# before it has seen a single photo. Write a number down.
#
# (*Scale* says how much is computed. *Offline*, on a laptop, is the default; every experiment begins by asking for it.)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "install", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
# Where the course is not installed, as in Colab, this brings it. Elsewhere it changes nothing.
import importlib.util
import subprocess
import sys

PACKAGE = "finetuning-from-zero"
if importlib.util.find_spec("course") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", PACKAGE], check=True)

from course.paths import beside

beside("01-training-loop")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections.abc import Callable, Iterable, Iterator

import torch
from course import head, plots, scale
from course.data import fashion_mnist
from course.device import nbytes, pick_device, storage_key
from course.models import load_backbone
from course.widgets import live
from IPython.display import Markdown, display
from loop_checks import (
    check_cross_entropy,
    check_evaluate,
    check_gradient_check,
    check_sgd_step,
    check_train_epoch,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)

device = pick_device()
head.show("01-training-loop", device, minutes=1)

# %% tags=["experiment"]
size = scale.experiment(
    offline={"train": None, "test": None, "networks": 5},
    quick={"train": 230, "test": 110, "networks": 2},
    full={"train": None, "test": None, "networks": 5},
)
data = fashion_mnist()
classes = len(data.classes)


def pixels(images: Tensor) -> Tensor:
    """uint8 photos (N, 1, 28, 28) -> what a network wants: float32 (N, 784), from 0 to 1."""
    return (images.float().flatten(1) / 255).to(device)


x_train, y_train = pixels(data.x_train[: size.train]), data.y_train[: size.train].to(device)
x_test, y_test = pixels(data.x_test[: size.test]), data.y_test[: size.test].to(device)

figure = plots.photos(data.x_train[:8], [data.classes[label] for label in data.y_train[:8]])

charges = []
for seed in range(size.networks):
    torch.manual_seed(seed)
    untrained = nn.Linear(784, classes).to(device)
    charges.append(F.cross_entropy(untrained(x_train), y_train).item())
display(
    Markdown(
        f"{size.networks} such networks are charged "
        + ", ".join(f"{charge:.2f}" for charge in charges)
        + f": **{plots.plus_minus(charges, digits=2)}**."
    )
)
if size.scale != "quick":
    assert all(abs(charge - math.log(classes)) < 0.15 for charge in charges)

# %% [markdown]
# Whoever knows nothing gives each of ten kinds about a tenth, and $-\log\tfrac{1}{10} = 2.30$. A network's first loss is
# near the logarithm of the number of classes. If yours starts at 15, something is wrong before the first step is taken,
# and it costs one line to see it.
#
# What follows is a training loop from its first line to its last. There are five pieces, each a few lines long, and
# PyTorch has them all. We write them by hand, because each can be wrong in a way that raises no error: the loss falls,
# the accuracy is printed, and the network is worse than it could be, or the number better than it should be.
#
# ## The loss
#
# The network gives for each photo $C$ numbers $z_1, \dots, z_C$ of any sign and size, its *logits*. *Softmax* makes
# probabilities of them,
#
# $$p_k = \frac{e^{z_k}}{\sum_{j=1}^{C} e^{z_j}},$$
#
# all positive, together 1. The charge for a photo whose right class is $t$ is $-\log p_t$, with the natural logarithm,
# in units called *nats*, and *cross-entropy* is its mean over the $N$ rows of a batch:
#
# $$L = -\frac{1}{N}\sum_{n=1}^{N} \log p_{n,t_n} .$$
#
# Two rows by hand, and beside them what PyTorch says:

# %%
logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])  # (N, C): 2 rows, 3 classes
targets = torch.tensor([0, 2])  # (N,)

p = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
by_formula = -p[torch.arange(2), targets].log().mean()
torch.testing.assert_close(by_formula, F.cross_entropy(logits, targets))
print("probabilities", [[round(value, 3) for value in row] for row in p.tolist()])
print(f"loss {by_formula:.4f}")

# %% [markdown]
# That was four lines. Is the exercise done before it began? A pixel is stored as a number from 0 to 255, and we divided
# by 255. People forget that. The photos look the same on the screen, the network runs, the logits come out larger. What
# will the four lines say then?

# %% tags=["experiment"]
scale.experiment()
torch.manual_seed(0)
network = nn.Linear(784, classes).to(device)
with torch.no_grad():
    z = network(255 * x_train[:200])
p = z.exp() / z.exp().sum(dim=1, keepdim=True)
rows = -p[torch.arange(len(z), device=device), y_train[:200]].log()
finite = rows.isfinite().double().mean().item()
display(
    Markdown(
        f"Logits from {z.min():.0f} to {z.max():.0f}. The formula gives **{rows.mean().item()}**; only {finite:.0%} of the "
        f"rows have a finite loss. PyTorch's own: **{F.cross_entropy(z, y_train[:200]):.1f}**."
    )
)
if size.scale != "quick":
    assert not rows.mean().isfinite() and z.max() > 88

# %% [markdown]
# A float32 ends at $3.4\cdot 10^{38}$, and $e^{89}$ is past it: `inf`. Then `inf / inf` is `nan`, and one `nan` in a mean
# makes the mean `nan`. At the other end $e^{-104}$ is 0, and $\log 0$ is `-inf`. It needs no unscaled pixels: one step
# that is too long gets you there as well.
#
# To add $10^{-9}$ before the logarithm is the usual plaster. What does it make of a network that gives the right class
# $e^{-1000}$?

# %%
far = torch.tensor([[0.0, -1000.0]], requires_grad=True)  # the right class is the second
patched = -(far.softmax(dim=1)[0, 1] + 1e-9).log()
patched.backward()
assert abs(patched.item() - 20.7) < 0.05 and not far.grad.any()
print(f"charge {patched.item():.1f}, largest gradient {far.grad.abs().max().item():.1f}")

# %% [markdown]
# Worse than the wound: it is charged 20.7 and not 1000, and its gradient is 0: it is told to stay as it is. And `nan`
# stays `nan`.
#
# Look at the formula again. Take the logarithm of the fraction, and no probability is left in it:
#
# $$-\log p_t = \log \sum_{j=1}^{C} e^{z_j} - z_t .$$
#
# And subtract any number $m$ from all logits of a row: numerator and denominator of each $p_k$ both lose the factor
# $e^m$, so nothing changes,
#
# $$\log \sum_{j} e^{z_j} - z_t = \log \sum_{j} e^{z_j - m} - (z_t - m) .$$
#
# You may choose $m$, for each row its own, so that no exponential overflows and the logarithm never meets a zero. This
# is called *log-sum-exp*.
#
# ### Exercise 1: cross-entropy
#
# Difficulty ●●○, 10 minutes. Run the cell below yours: a *card* says what is right, what is wrong and where to look.
# `check_cross_entropy.hint()` gives the next of three hints. PyTorch's own function would pass the check, and teach you
# nothing. The experiments further down use what you write: while an exercise is open they stop, and while its card is
# not green throughout, their figures mean nothing.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "cross-entropy", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over the rows of -log softmax(logits)[target], in nats.

    logits: (N, C), floating point, of any size and sign; 10,000 and more may stand beside
        small ones, in one row and in one batch.
    targets: (N,), int64, the right class of each row, from 0 to C - 1.

    Returns a tensor with 0 dimensions and the logits' dtype, finite and exact, through which
    gradients flow back to the logits.

    Must not change: logits and targets.

    >>> logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
    >>> cross_entropy(logits, torch.tensor([0, 2]))
    tensor(0.6342)
    >>> cross_entropy(torch.tensor([[10000.0, 0.0]]), torch.tensor([1]))
    tensor(10000.)
    """
    ### BEGIN SOLUTION
    # Why: Less its maximum, each row's largest logit is 0: no `exp` overflows, and the sum under
    # the logarithm is at least 1. No probability is ever formed, so none can be rounded to 0.
    z = logits - logits.max(dim=1, keepdim=True).values
    rows = torch.arange(len(z), device=z.device)
    return (z.exp().sum(dim=1).log() - z[rows, targets]).mean()
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-cross-entropy", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_cross_entropy.add_cases(imagenet=(33, 1000), two=(257, 2))
### END HIDDEN TESTS
check_cross_entropy(cross_entropy)

# %% [markdown]
# Softmax is inside now. It is so often drawn as the last layer of a network that it is taken twice: once at the end of
# the network, once in the loss. What does the loss say then? Let the network become surer and surer of the right one of
# ten classes: its logit is $s$, the others are 0. With $s$, the loss should go to 0. Where does it go if softmax came
# first?

# %% tags=["experiment"]
scale.experiment()
sureness = torch.linspace(0, 12, 49)
right_answer = torch.zeros(49, dtype=torch.int64)
z = torch.zeros(49, classes)
z[:, 0] = sureness
each = range(49)
once = [cross_entropy(z[[i]], right_answer[[i]]).item() for i in each]
twice = [cross_entropy(z[[i]].softmax(dim=1), right_answer[[i]]).item() for i in each]
floor = math.log(math.e + classes - 1) - 1
assert abs(twice[-1] - floor) < 1e-3 and once[-1] < 1e-3, "see the card of cross_entropy"
wrong = z[[-1]].requires_grad_()  # sure of class 0, where 1 is right
(pull,) = torch.autograd.grad(F.cross_entropy(wrong.softmax(dim=1), torch.tensor([1])), wrong)
assert pull.abs().max() < 1e-4
print(f"sure of the wrong class, softmax first: largest gradient {pull.abs().max().item():.0e}")
figure = plots.lines(
    {
        "logits to the loss": (sureness.tolist(), once),
        "softmax before the loss": (sureness.tolist(), twice),
    },
    xlabel="logit of the right class, the others 0",
    ylabel="loss (nats)",
    level=(floor, f"log(e + 9) - 1 = {floor:.2f}"),
)

# %% [markdown]
# Probabilities lie between 0 and 1. Taken for logits, they say at best "1 for this class, 0 for the nine others", and a
# second softmax makes of that
#
# $$\frac{e^1}{e^1 + 9\,e^0} = 0.23 ,$$
#
# so the loss cannot fall below $\log(e + 9) - 1 = 1.46$. Where the curve is flat it has no slope to go down, and it is
# flat for the sure of either kind: a network that is sure of the *wrong* class, with logit 12 for it and 0 for the
# others, gets a gradient below a ten-thousandth. Nothing is raised; the loss falls, from 2.30 to somewhere above 1.46.
# Remember that number. We meet it again when a real network has been trained this way.
#
# ## Which way is down
#
# A loss says how wrong the network is. Training asks another thing: if *this* one of the 7,850 numbers grew a little,
# would the loss grow or fall, and how fast? The answer for all of them is the *gradient*.
#
# Whoever computes with PyTorch's tensors leaves a trail. Each operation on a tensor with `requires_grad` notes what it
# did and to what: the *graph*. `loss.backward()` walks it from the loss back to its beginnings, its *leaves*, multiplies
# the slopes of all steps by the chain rule, and adds what arrives at a leaf to its `.grad`.
#
# For our loss the first slope can be had by hand. With $y_k = 1$ for the right class and 0 for the others,
#
# $$\frac{\partial L}{\partial z_{n,k}} = \frac{p_{n,k} - y_{n,k}}{N} .$$
#
# Each class is pulled by as much as its probability is off, divided by the number of rows. A class that got 0.7 and
# should have got nothing is pushed down by 0.7. As code, beside what `backward` leaves in `.grad`:

# %%
logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]], requires_grad=True)
y = F.one_hot(targets, 3)
F.cross_entropy(logits, targets).backward()
torch.testing.assert_close(logits.grad, (logits.detach().softmax(dim=1) - y) / len(targets))
print([[round(value, 3) for value in row] for row in logits.grad.tolist()])

# %% [markdown]
# So autograd is right, and why should it not be? Because it differentiates what you wrote, not what you meant. The
# maximum $m$ in your loss cancels out, so people like to take it out of the graph with `detach()`. Here someone
# detached a little too much:


# %%
def careless_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    normaliser = torch.logsumexp(logits, dim=1).detach()
    return (normaliser - logits[torch.arange(len(logits)), targets]).mean()


z = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]], requires_grad=True)
careless = careless_cross_entropy(z, targets)
torch.testing.assert_close(careless, F.cross_entropy(z, targets))  # the same value ...
careless.backward()
print(f"loss {careless.item():.4f}, as before; its gradient:")
print([[round(value, 3) for value in row] for row in z.grad.tolist()])

# %% [markdown]
# Every digit of the loss is right. The gradient still pulls the right class up, always by the same amount, and
# nobody pushes the wrong ones down. A test that looks at values will never find it.
#
# There is another way to a slope, and it needs no graph: go a little way and look. For a function $f$ of a tensor $x$,
# move one entry $x_i$ by $h$ and leave the rest. To one side, or to both:
#
# $$\frac{f(x + h e_i) - f(x)}{h} \qquad\text{or}\qquad \frac{f(x + h e_i) - f(x - h e_i)}{2h} ,$$
#
# where $e_i$ is 1 at entry $i$ and 0 elsewhere. How small should $h$ be? As small as can be, surely? And is the second
# worth two calls of $f$ for each entry, where the first could share one of them among all? Guess the shape of the two
# curves: the error of the slope of $\sin$ at 1, over $h$.

# %% tags=["experiment"]
scale.experiment()
steps = [10 ** (-k / 4) for k in range(2, 50)]
one_sided = [abs((math.sin(1 + h) - math.sin(1)) / h - math.cos(1)) for h in steps]
central = [abs((math.sin(1 + h) - math.sin(1 - h)) / (2 * h) - math.cos(1)) for h in steps]
float32 = []
for h in steps:
    up, down = torch.sin(torch.tensor([1 + h, 1 - h])).tolist()  # float32, as torch has it
    float32.append(abs((up - down) / (2 * h) - math.cos(1)))
assert min(central) < 1e-10 and 1e-10 < min(one_sided) < 1e-7
figure = plots.lines(
    {
        "one side": (steps, one_sided),
        "both sides": (steps, central),
        "both sides, float32": (steps, float32),
    },
    xlabel="h",
    ylabel="error of the slope",
    log=True,
)

# %% [markdown]
# Two enemies. At the right of the picture, where $h$ is large, the curve bends away from its chord. Taylor's formula
# says by how much,
#
# $$\frac{f(x+h) - f(x)}{h} = f'(x) + \tfrac{h}{2} f''(x) + \dots ,\qquad
# \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \tfrac{h^2}{6} f'''(x) + \dots ,$$
#
# since on both sides the bend is the same and cancels. At the left, where $h$ is tiny, rounding: a float64
# has 16 digits, $f(x+h)$ and $f(x-h)$ agree in nearly all of them, and what is left is divided by a tiny number. In between lies a valley, lower
# and wider for the central difference. With float32, which has 7 digits, rounding comes in long before: that is why
# gradients are checked in float64.
#
# For the other side of the comparison: `x.detach().clone().requires_grad_()` is a new leaf with the same values.
# `torch.autograd.grad(y, x)` returns the gradients of `y` as a tuple, and writes into no `.grad`.
#
# ### Exercise 2: check a gradient
#
# Difficulty ●●●, 15 minutes. This one is worth its price: whenever you write a loss or a layer of your own, it tells
# whether its gradient is the one you meant.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "gradient-check", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_check(f: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """How far autograd's gradient of f at x is from the one by central differences.

    f: maps a float64 tensor of x's shape to a tensor with 0 dimensions, always the same for
        the same x.
    x: float64, of any shape, also (); it may or may not have requires_grad, and a .grad.

    Returns a Python float: the largest absolute difference between the two gradients over
    all entries of x. Where f's backward pass is right it is below 1e-6, and where it is wrong
    it is near its true error.

    Must not change: x, neither its values nor requires_grad nor .grad. A second call with
    the same f and x gives the same.

    >>> x = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    >>> gradient_check(lambda x: (x**3).sum(), x) < 1e-6
    True
    >>> round(gradient_check(lambda x: (x * x.detach()).sum(), x), 4)  # x instead of 2x
    3.0
    """
    ### BEGIN SOLUTION
    # Why: Each entry steps up and down by itself, so the bend of `f`
    # cancels, and 1e-5 lies in the valley between bend and rounding.
    # Autograd gets a copy and writes into no `.grad`: `x` stays as it came.
    own = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(own), own)
    h, largest = 1e-5, 0.0
    flat = x.detach().reshape(-1)
    with torch.no_grad():
        for i, slope in enumerate(gradient.reshape(-1).tolist()):
            step = torch.zeros_like(flat)
            step[i] = h
            rise = f((flat + step).view(x.shape)) - f((flat - step).view(x.shape))
            largest = max(largest, abs(rise.item() / (2 * h) - slope))
    return largest
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-gradient-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from loop_checks import Half, Mixed, Waves

check_gradient_check.add_cases(
    deep=(Waves(), torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(2, 1, 3, 2)),
    one=(Mixed(), torch.tensor([0.4], dtype=torch.float64)),
    hidden=(Half([0.0, 0.01, 0.0]), torch.ones(3, dtype=torch.float64)),
)
### END HIDDEN TESTS
check_gradient_check(gradient_check)

# %% [markdown]
# Your loss, then, and the careless one, on a batch of random logits:

# %% tags=["experiment"]
scale.experiment()
draw = torch.Generator().manual_seed(0)
z = torch.randn(6, classes, dtype=torch.float64, generator=draw)
t = torch.randint(classes, (6,), generator=draw)
yours = gradient_check(lambda z: cross_entropy(z, t), z)
careless = gradient_check(lambda z: careless_cross_entropy(z, t), z)
by_hand = (z.softmax(dim=1) / len(z)).max().item()  # what the careless gradient leaves out
assert yours < 1e-6, "see the cards of cross_entropy and gradient_check"
assert abs(careless - by_hand) < 1e-6, "see the card of gradient_check"
display(
    Markdown(
        f"Yours is off by {yours:.0e}; the careless one by **{careless:.3f}**, which is the largest $p_{{n,k}}/N$: "
        f"{by_hand:.3f}."
    )
)

# %% [markdown]
# ## A step
#
# The gradient says where the loss grows. So go the other way, a little: with a *learning rate* $\eta$, each weight $w$
# with gradient $g$ becomes $w - \eta g$. The line writes itself, `w = w - lr * g`. Here it is in a loop, for the
# loss $(w-3)^2$. It finds the 3. Watch the last column: how many operations the graph behind `w` holds.


# %%
def operations_behind(tensor: Tensor) -> int:
    """How many operations of the graph lead to this tensor."""
    seen, stack = set(), [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [before for before, _ in node.next_functions]
    return sum(type(node).__name__ != "AccumulateGrad" for node in seen)


w = torch.tensor(0.0, requires_grad=True)
for step in range(101):
    if step in (0, 1, 10, 100):
        print(
            f"step {step:3}: w = {w.item():.4f}, a leaf: {w.is_leaf}, operations behind it: {operations_behind(w)}"
        )
    (g,) = torch.autograd.grad((w - 3) ** 2, w)
    w = w - 0.1 * g
assert abs(w.item() - 3) < 1e-6 and operations_behind(w) >= 100

# %% [markdown]
# Autograd cannot know that you are done. To it, the update is one more computation on a tensor with `requires_grad`, and
# it is recorded: the new `w` depends on the old one, that on the one before, back to the first. The network holds the
# old tensor, and never hears of the new one. And `w.grad`, which `backward` fills for leaves alone, stays `None` from
# now on. In a long training the graph of all steps fills the memory.
#
# Written in place, `w -= 0.1 * g`, autograd at least refuses:

# %%
w = torch.tensor(0.0, requires_grad=True)
try:
    w -= 0.1 * torch.tensor(-6.0)
except RuntimeError as error:
    print(error)

# %% [markdown]
# The update is no part of the function we differentiate. `with torch.no_grad():` tells autograd to look away, and then a
# change in place is what we want: the same tensor, the one that the network holds, with new numbers in it.
#
# One thing more before you write it. Imagine a valley that is long and narrow. The gradient points across it, hardly
# along it. With a large rate the steps jump from wall to wall and up; with a small one they creep along the floor. A
# ball does better, because it has *momentum*: what pushes it left and right in turn cancels, what pushes it one way adds
# up. So give each weight a velocity $v$, of its own shape and 0 at the start,
#
# $$v \leftarrow \beta v + g,\qquad w \leftarrow w - \eta v ,$$
#
# with $\beta$, the momentum, between 0 (the plain step) and 1. Unrolled over the steps, $v$ is the gradient of now, plus
# $\beta$ times that of the last step, plus $\beta^2$ times that of the one before. Of a gradient that never changes
# it makes $1 + \beta + \beta^2 + \dots = 1/(1-\beta)$ times as much: with $\beta = 0.9$, ten times.
#
# A weight that the loss does not depend on has no gradient at all: its `.grad` is `None`. It is passed over, with its
# velocity. A gradient of zeros is another matter: the ball rolls on.
#
# ### Exercise 3: a step of SGD
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "sgd-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sgd_step(params: list[Tensor], lr: float, momentum: float, buffers: list[Tensor]) -> None:
    """One step of stochastic gradient descent with momentum, in place.

    params: leaf tensors of any shapes. The gradient of each is in its .grad, or that is None.
    lr: the learning rate. momentum: from 0 (plain steps) to 1 (no friction), both included.
    buffers: for each parameter, in the same order, its velocity, of the parameter's shape and
        dtype; zeros at the start. Afterwards buffers[i] holds the new velocity.

    For each parameter p with a gradient: v <- momentum * v + p.grad, then p <- p - lr * v. A
    parameter without one (None) is skipped: neither it nor its velocity changes.

    Must not change: which tensors the parameters are (each keeps its place, with new values),
    their requires_grad, and every .grad. Autograd records nothing of it.

    >>> w, unused = torch.tensor([1.0, 2.0], requires_grad=True), torch.zeros(3, requires_grad=True)
    >>> w.grad = torch.tensor([10.0, -20.0])
    >>> buffers = [torch.zeros(2), torch.zeros(3)]
    >>> for _ in range(2):
    ...     sgd_step([w, unused], lr=0.1, momentum=0.5, buffers=buffers)
    >>> w, buffers[0]
    (tensor([-1.5000,  7.0000], requires_grad=True), tensor([ 15., -30.]))
    """
    ### BEGIN SOLUTION
    # Why: `mul_`, `add_` and `sub_` write into the tensors that the network
    # and the caller hold; `p = p - lr * v` would make new ones that nobody
    # looks at. `no_grad` keeps the step out of what is differentiated.
    with torch.no_grad():
        for p, v in zip(params, buffers, strict=True):
            if p.grad is not None:
                v.mul_(momentum).add_(p.grad)
                p.sub_(lr * v)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-sgd-step", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_sgd_step.add_cases(
    network=((16, 3, 3, 3), (16,), (40, 16), (40,), (5, 40), (5,)), one=((1,),)
)
### END HIDDEN TESTS
check_sgd_step(sgd_step)

# %% [markdown]
# The valley: $\tfrac12 (w_1^2 + 60\,w_2^2)$, sixty times as steep across as along. Forty steps from the same place, at
# the same rate, with your function. How much nearer does the ball get? (The picture is stretched across the valley: drawn
# true, you would see a line.)

# %% tags=["experiment"]
scale.experiment()
curvature = torch.tensor([1.0, 60.0])


def roll(momentum: float, steps: int = 40, lr: float = 0.03) -> list[tuple[float, float]]:
    """Where a point on the walls of the valley is after 0, 1, 2, ... steps."""
    w = torch.tensor([10.0, 1.0], requires_grad=True)
    buffers, path = [torch.zeros(2)], [(10.0, 1.0)]
    for _ in range(steps):
        w.grad = curvature * w.detach()
        sgd_step([w], lr, momentum, buffers)
        path.append(tuple(w.tolist()))
    return path


rolled = {"momentum 0": roll(0.0), "momentum 0.8": roll(0.8)}
far = {name: math.hypot(*path[-1]) for name, path in rolled.items()}
assert far["momentum 0"] > 2 and far["momentum 0.8"] < 0.2, "see the card of sgd_step"
figure = plots.paths(curvature.tolist(), rolled)
display(
    Markdown(
        "From a distance of 10 to "
        + ", and to ".join(f"{distance:.2f} with {name}" for name, distance in far.items())
        + "."
    )
)

# %% [markdown]
# ## An epoch
#
# To know the gradient exactly we would have to look at all photos before each step. We look at a *batch* of them, drawn
# at random: its gradient is right on average, and costs a fraction. One pass over all $N$ photos in batches of $B$ is an
# *epoch*. It takes $\lceil N/B \rceil$ steps: 3,000 photos in batches of 64 are 46 full batches and one of 56.
#
# What must happen for one batch? Outputs, loss, backward, step. And something before it, which the next cell leaves out.
# It goes down $(w-3)^2$ with your step, without momentum, and calls `backward` anew for each. Where will `w` be after
# sixty steps?


# %% tags=["experiment"]
scale.experiment()


def descend(*, clear: bool, momentum: float = 0.0) -> list[float]:
    """Where w is after 0, 1, 2, ... steps towards 3."""
    w = torch.tensor(0.0, requires_grad=True)
    path, buffers = [w.item()], [torch.zeros(())]
    for _ in range(60):
        if clear:
            w.grad = None
        ((w - 3) ** 2).backward()
        sgd_step([w], 0.05, momentum, buffers)
        path.append(w.item())
    return path


cleared, kept = descend(clear=True), descend(clear=False)
velocity_kept = descend(clear=True, momentum=1.0)
assert abs(cleared[-1] - 3) < 0.01 and max(kept[-20:]) - min(kept[-20:]) > 4, "see sgd_step's card"
assert max(abs(a - b) for a, b in zip(kept, velocity_kept, strict=True)) < 1e-4
number = list(range(61))
figure = plots.lines(
    {"cleared before each": (number, cleared), "never cleared": (number, kept)},
    xlabel="steps",
    ylabel="w",
    level=(3.0, "the lowest point"),
)

# %% [markdown]
# `backward` does not put the gradient into `.grad`, it *adds* it. Who never clears it goes along the sum of all gradients
# there have been. You know that sum: it is the velocity with $\beta = 1$. A ball without friction, which rolls through
# the lowest point as fast as it came, for ever. (The cell asserts it: `kept`, and a run that clears and has momentum 1, are
# the same curve.) Adding is useful where one step is to see several batches. For one batch a step, clear first:
# `optimizer.zero_grad()`. A gradient may also be left over from before the epoch.
#
# **The mode.** Some layers do one thing while the network learns and another when it is used. *Dropout* sets each
# number to 0 with a given probability $q$ in training and multiplies the others by $1/(1-q)$, so that no single one is
# relied on, and does nothing afterwards. *BatchNorm*
# normalises by the batch in training, and afterwards by running statistics that it gathered on the way. `model.train()`
# and `model.eval()` tell the model and all its layers which it is. Whoever measured before this epoch may have left the
# model in eval mode.
#
# **The mean.** An epoch's loss is the mean over its photos. What the loss function gives is the mean over one batch. Take
# a batch of 64 with loss 1 and a last one of 2 with loss 5. The mean of the two numbers is 3. The mean over 66 photos is
#
# $$\frac{\sum_b n_b L_b}{\sum_b n_b} = \frac{64\cdot 1 + 2\cdot 5}{66} = 1.12 ,$$
#
# with $n_b$ photos and mean loss $L_b$ in batch $b$. In the mean of batch means each of the two last photos counts for 32 of the others.
#
# ### Exercise 4: one epoch
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "train-epoch", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
) -> float:
    """Trains the model for one pass over the loader, with one step of the optimiser a batch.

    model: maps inputs (n, ...) to outputs. It may come in either mode; it is trained in
        training mode.
    loader: gives batches (inputs, targets) of n examples each; the last may be shorter.
    optimizer: holds the parameters that are to move. They may have gradients left over from
        before, which must not count: each step goes along the gradient of its own batch.
    loss_fn: loss_fn(outputs, targets) is the mean loss of the batch, a tensor with 0
        dimensions.

    Returns the mean loss per example over the epoch, as a Python float: of each batch the
    loss before its step.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> batches = [(torch.ones(3, 1), torch.ones(3, 1)), (torch.ones(1, 1), torch.zeros(1, 1))]
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    >>> train_epoch(model, batches, optimizer, nn.functional.mse_loss)  # (3 * 1 + 1 * 0.25) / 4
    0.8125
    >>> model.weight.item()  # 0, then 0.5, then 0.25
    0.25
    """
    ### BEGIN SOLUTION
    # Why: Gradients add up until they are cleared, so each batch clears
    # first. And a batch's mean counts once for each of its examples:
    # otherwise those of a short last batch weigh more than all others.
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(targets)
        count += len(targets)
    return total / count
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-train-epoch", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_train_epoch.add_cases(
    wide={
        "examples": 23,
        "batch": 6,
        "make": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
        "inputs": 7,
        "outputs": 10,
    },
    slow={
        "examples": 9,
        "batch": 2,
        "make": lambda params: torch.optim.RMSprop(params, lr=0.01),
        "squared": True,
        "outputs": 1,
    },
)
### END HIDDEN TESTS
check_train_epoch(train_epoch)

# %% [markdown]
# Now all of it, on a real network. It has a hidden layer of 64 units, BatchNorm and Dropout. The loss is yours, the step is
# yours (behind PyTorch's interface for optimisers, so that a loop can call it), and so is the epoch.


# %%
class HandSGD(torch.optim.Optimizer):
    """Your `sgd_step` as an optimiser."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.buffers = [torch.zeros_like(p) for p in self.param_groups[0]["params"]]

    def step(self, closure: None = None) -> None:
        group = self.param_groups[0]
        sgd_step(group["params"], group["lr"], group["momentum"], self.buffers)


def batches(images: Tensor, labels: Tensor, size: int, *, seed: int | None = None) -> DataLoader:
    """Batches of `size` photos with their labels: in order, or, with a seed, in a new random
    order each time."""
    photos = TensorDataset(images, labels)
    order = SequentialSampler(photos)
    if seed is not None:
        order = RandomSampler(photos, generator=torch.Generator().manual_seed(seed))
    return DataLoader(photos, sampler=BatchSampler(order, size, drop_last=False), batch_size=None)


def clothes_network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    hidden = [nn.Linear(784, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*hidden, nn.Linear(64, 10)).to(device)


# %% tags=["experiment"]
size = scale.experiment(
    offline={"seeds": 3, "epochs": 12, "batch": 50},
    quick={"seeds": 2, "epochs": 2, "batch": 50},
    full={"seeds": 3, "epochs": 12, "batch": 100},
)


def train(
    seed: int,
    *,
    optimizer: Callable[..., torch.optim.Optimizer] = HandSGD,
    loss_fn: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> tuple[nn.Module, list[float]]:
    """A trained network, and the mean loss of each epoch."""
    model = clothes_network(seed)
    steps = optimizer(model.parameters(), lr=0.05, momentum=0.9)
    loader = batches(x_train, y_train, size.batch, seed=seed)
    losses = [train_epoch(model, loader, steps, loss_fn) for _ in range(size.epochs)]
    return model, losses


networks, losses = zip(*(train(seed) for seed in range(size.seeds)), strict=True)
first, last = ([run[epoch] for run in losses] for epoch in (0, -1))
display(
    Markdown(
        f"Mean loss of the first epoch {plots.plus_minus(first, digits=2)}, of epoch {size.epochs} "
        f"{plots.plus_minus(last, digits=2)}, over {size.seeds} seeds."
    )
)
if size.scale == "offline":
    assert max(last) < 0.6 < min(first), "see the cards above"

# %% [markdown]
# It learns. How well? The loss that you see was measured on photos that it learns from, in training mode, while it changed.
# It tells whether training goes on. It does not tell what the network can do.
#
# ## An honest number
#
# For that there are photos that it never saw. The number that people understand is the *accuracy*: how often the
# largest logit stands at the right class. Three lines, surely. Here they are. The cell runs them five times on the
# first network, with the same test photos. How far will the five numbers be from each other?


# %%
def careless_evaluate(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> float:
    shares = [(model(x).argmax(dim=1) == y).float().mean().item() for x, y in loader]
    return sum(shares) / len(shares)


# %% tags=["experiment"]
scale.experiment()
looked_at, _ = train(0)
statistics = looked_at[1].running_mean.clone()
test_loader = batches(x_test, y_test, 250)
five = [careless_evaluate(looked_at, test_loader) for _ in range(5)]
drift = (looked_at[1].running_mean - statistics).abs().max().item()
display(
    Markdown(
        "Five times the same network and the same photos: "
        + ", ".join(f"{100 * share:.1f}" for share in five)
        + f" %. Afterwards a running mean inside the network has moved by {drift:.2f}."
    )
)
if size.scale != "quick":
    assert len(set(five)) > 1 and drift > 0.01

# %% [markdown]
# The epoch left the network in training mode, and nobody told it that this is the exam. Dropout silenced half of the
# hidden layer, another half each time. And to be looked at has changed it: BatchNorm gathered statistics of the test
# photos, which the network was never to learn from.
#
# There is more. Each batch built a graph, for a `backward` that never comes. And one who adds up the losses of the
# batches as tensors, `total += loss`, keeps the graphs of all of them until the end. How much memory is that?


# %% tags=["experiment"]
scale.experiment()


def held(evaluation: Callable[[], Tensor], model: nn.Module) -> int:
    """Bytes that autograd keeps for a backward pass while this runs, the model itself left out."""
    own = {storage_key(tensor) for tensor in [*model.parameters(), *model.buffers()]}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if storage_key(tensor) not in own:
            kept[storage_key(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total = evaluation()
    del total
    return nbytes(kept.values())


def total_loss() -> Tensor:
    return sum(cross_entropy(looked_at(x), y) for x, y in batches(x_test, y_test, 250))


with_graph = held(total_loss, looked_at)
with torch.no_grad():
    without = held(total_loss, looked_at)
assert with_graph > 0 == without
deep = load_backbone("efficientnet-lite0").to(device).eval()
deep_photos = torch.zeros(2, 3, 64, 64, device=device)
deep_each = held(lambda: deep(deep_photos).sum(), deep) / len(deep_photos)
flat_each = with_graph / len(x_test)
assert deep_each > 100 * flat_each
display(
    Markdown(
        f"For {len(x_test):,} photos **{with_graph / 1e6:.1f} MB** with a graph, {without} without. That is "
        f"{flat_each / 1e3:.1f} kB a photo; EfficientNet-Lite0, the network of lesson 04, holds "
        f"**{deep_each / 1e6:.1f} MB** for each photo of 64 by 64 pixels."
    )
)

# %% [markdown]
# Here that is little: our network is flat. A deep one keeps every picture that its layers make of a photo, and then it is
# the evaluation that runs out of memory, not the training.
#
# And the mean. Photos often come folder by folder, one kind after the other. We sort the test photos like that and
# evaluate in batches of three kinds each, now in eval mode, so that nothing is left to chance. Three times three are
# nine: the last batch is shorter, and holds ankle boots alone.

# %% tags=["experiment"]
scale.experiment()
sorted_rows = y_test.argsort(stable=True)
sorted_loader = batches(x_test[sorted_rows], y_test[sorted_rows], 3 * len(x_test) // 10)
model = networks[0].eval()
with torch.no_grad():
    flattering = careless_evaluate(model, sorted_loader)
    true_share = (model(x_test).argmax(dim=1) == y_test).double().mean().item()
    last_batch = careless_evaluate(model, list(sorted_loader)[-1:])
display(
    Markdown(
        f"The mean of the batches' accuracies is **{flattering:.1%}**. The network is right on **{true_share:.1%}** of "
        f"the photos, and on {last_batch:.0%} of the last batch."
    )
)
if size.scale == "offline":
    assert flattering > true_share + 0.01

# %% [markdown]
# A better number for the same answers: boots are easy, and each of them counted three times. No test data leaked, no
# one cheated, and the report is wrong.
#
# One trap is left, and it lies behind the measurement. Put the model into eval mode, and it stays there. The next epoch
# calls `train()`, if it is written like yours. Other people's loops call it once, before the first epoch, and after the
# first evaluation they train without Dropout. So whoever measures leaves the mode as it was found.
#
# ### Exercise 5: evaluate
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "evaluate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def evaluate(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Accuracy over all examples of the loader.

    model: maps inputs (n, ...) to logits (n, C). It may come in training or in eval mode; it
        is asked in eval mode, and no graph is built.
    loader: gives batches (inputs, targets), targets (n,) int64 class numbers; the last batch
        may be shorter.

    Returns a Python float in [0, 1]: how often the class of the largest logit (over dim 1) is
    the target.

    Must not change: the mode, which afterwards is what it was; parameters and buffers. Nor
    are gradients left switched off for what comes after.

    >>> model = nn.Sequential(nn.Dropout(0.5), nn.Identity())
    >>> logits = torch.tensor([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0]])
    >>> batches = [(logits[:2], torch.tensor([0, 1])), (logits[2:], torch.tensor([1]))]
    >>> round(evaluate(model, batches), 4), model.training
    (0.6667, True)
    """
    ### BEGIN SOLUTION
    # Why: Right answers and examples are counted over all batches and
    # divided once, so a short last batch weighs what it should. The
    # mode is noted before it is changed: only so can it be given back.
    was_training = model.training
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            right += (model(inputs).argmax(dim=1) == targets).sum().item()
            count += len(targets)
    model.train(was_training)
    return right / count
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-evaluate", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from collections import OrderedDict

pictures = nn.Sequential(
    OrderedDict(
        conv=nn.Conv2d(2, 6, 3),
        norm=nn.BatchNorm2d(6),
        drop=nn.Dropout2d(0.5),
        flat=nn.Flatten(),
        head=nn.Linear(6 * 4 * 3, 7),
    )
)
pictures.shape = (2, 6, 5)
check_evaluate.add_cases(pictures=pictures)
### END HIDDEN TESTS
check_evaluate(evaluate)

# %% [markdown]
# Now measure the three networks, on the test photos and, for comparison, on those that they learnt from. Which of the two
# numbers would you put into a report?

# %% tags=["experiment"]
scale.experiment()
learnt_from = [evaluate(model, batches(x_train, y_train, 250)) for model in networks]
accuracy = {"as it should be": [evaluate(model, test_loader) for model in networks]}
assert evaluate(networks[0], sorted_loader) == accuracy["as it should be"][0], "see evaluate's card"
gap = [a - b for a, b in zip(learnt_from, accuracy["as it should be"], strict=True)]
display(
    Markdown(
        f"On photos that it learnt from {plots.plus_minus(learnt_from, 100)} %, on others "
        f"**{plots.plus_minus(accuracy['as it should be'], 100)} %**: "
        f"{plots.plus_minus(gap, 100)} points of what it seems to know are memory."
    )
)
if size.scale == "offline":
    assert min(gap) > 0.05

# %% [markdown]
# Only the second tells what happens with the next photo. It stays honest as long as nothing is chosen by it: not the
# number of epochs, not the learning rate, not the best of three seeds. Lesson 02 shows what choosing does to it.
#
# But someone has to choose the rate. For that we keep photos back that are neither learnt from nor in the test, and
# watch a network on them while it learns. Two rates are drawn below. In a running notebook you can try others: a run
# goes on until it is done or you press *Stop*, and its network, as far as it got, is in `watched`. What is the largest rate
# that learns? Where does the loss go beyond it, and what have you read about that number? And at the rates that do learn:
# when would you stop if you saw only the left curve, and when by the right one?

# %% tags=["experiment"]
watch = scale.experiment(
    offline={"kept_back": 500, "epochs": 12},
    quick={"kept_back": 50, "epochs": 2},
    full={"kept_back": 5000, "epochs": 5},
)
learnt, kept_back = slice(None, -watch.kept_back), slice(-watch.kept_back, None)
watch_loader = batches(x_train[kept_back], y_train[kept_back], 250)
watched = {}


def watched_run(rate: float) -> Iterator[tuple[float, float]]:
    """Trains a network for as long as someone asks for the next epoch: its loss, and the accuracy
    on the photos kept back."""
    watched[rate] = model = clothes_network(seed=0)
    optimizer = HandSGD(model.parameters(), lr=rate, momentum=0.9)
    loader = batches(x_train[learnt], y_train[learnt], size.batch, seed=0)
    while True:
        loss = train_epoch(model, loader, optimizer, cross_entropy)
        yield loss, evaluate(model, watch_loader)


figure = live.training(
    watched_run,
    rates=(0.05, 0.5),
    epochs=watch.epochs,
    measured="accuracy on photos kept back (%)",
    top=3.0,
)

# %% [markdown]
# ## Counted in steps
#
# A bug that no exercise can show, since both of its halves are right. A learning rate is often lowered on the way: large
# steps first, small ones to settle. PyTorch's `StepLR(optimizer, step_size=4, gamma=0.5)` halves it after every fourth
# call of `scheduler.step()`. We mean every fourth *epoch*, and the call belongs behind the epoch. Put it one line higher,
# into the loop over batches, and it counts steps. No error, no warning; the scheduler cannot know what you count.
#
# How much worse can that be? After all, the rate goes down in both.

# %% tags=["experiment"]
scale.experiment()


def train_with_schedule(seed: int, counted: str) -> tuple[nn.Module, list[float]]:
    """As `train`, with a rate that is halved after every fourth epoch, or every fourth step."""
    model = clothes_network(seed)
    optimizer = HandSGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)
    if counted == "steps":
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
    loader, losses = batches(x_train, y_train, size.batch, seed=seed), []
    for _ in range(size.epochs):
        losses.append(train_epoch(model, loader, optimizer, cross_entropy))
        if counted == "epochs":
            scheduler.step()
    return model, losses


runs = {}
for counted in ("epochs", "steps"):
    models, runs[f"rate by {counted}"] = zip(
        *(train_with_schedule(seed, counted) for seed in range(size.seeds)), strict=True
    )
    accuracy[f"rate by {counted}"] = [evaluate(model, test_loader) for model in models]
by_epochs, by_steps = accuracy["rate by epochs"], accuracy["rate by steps"]
display(
    Markdown(
        f"Counted in epochs {plots.plus_minus(by_epochs, 100)} %, counted in steps **{plots.plus_minus(by_steps, 100)} %**."
    )
)
if size.scale == "offline":
    assert max(by_steps) < min(by_epochs) - 0.05

# %% [markdown]
# Add up all rates that the run will ever have. Four steps at $\eta$, four at $\eta/2$, four at $\eta/4$:
#
# $$4\eta\,(1 + \tfrac12 + \tfrac14 + \dots) = 8\eta .$$
#
# However long it runs, the network gets as much as eight steps at the full rate, and fifteen sixteenths of that in the first
# sixteen steps. Then the loss stands still. It looks like a network that has learnt all it can. When a loss stops early,
# print the learning rate.
#
# The same confusion has other faces: a warm-up of "5" that is over after five batches, "train for 1,000" that means a
# thousand epochs. Write the unit into the name: `warmup_steps`, `epochs`.
#
# ## What each mistake costs
#
# The last experiment trains the same network wrongly, in two more ways: with softmax before the loss, and with gradients
# that are never cleared. And it measures the good networks wrongly, in training mode. Put them in an order before you
# run it, by the accuracy that is printed in the end. And which would you notice from the loss alone?


# %% tags=["experiment"]
scale.experiment()


class NeverCleared(HandSGD):
    """Goes along the sum of all gradients so far, as in a loop that never clears them."""

    def step(self, closure: None = None) -> None:
        for p in self.param_groups[0]["params"]:
            if p in self.state:
                p.grad += self.state[p]["sum"]
            self.state[p]["sum"] = p.grad.clone()
        super().step(closure)


def softmax_first(logits: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits.softmax(dim=1), targets)


loss = {"as it should be": list(losses)}
wrong_ways = {
    "softmax before the loss": {"loss_fn": softmax_first},
    "gradients not cleared": {"optimizer": NeverCleared},
}
for name, way in wrong_ways.items():
    models, loss[name] = zip(*(train(seed, **way) for seed in range(size.seeds)), strict=True)
    accuracy[name] = [evaluate(model, test_loader) for model in models]
loss["rate counted in steps"] = runs["rate by steps"]
accuracy["rate counted in steps"] = accuracy.pop("rate by steps")
accuracy.pop("rate by epochs", None)

in_training_mode = []
for model in networks:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    with torch.no_grad():
        in_training_mode.append(careless_evaluate(model, test_loader))
    model.load_state_dict(before)
accuracy["measured in training mode"] = in_training_mode
figure = plots.compare_loops(
    loss, accuracy, chance=1 / classes, top=2.5, level=(floor, f"log(e + 9) - 1 = {floor:.2f}")
)

# %% tags=["experiment", "result"]
scale.experiment()
print(f"{size.epochs} epochs, {size.seeds} seeds: mean ± standard deviation.")
print(f"{'':27}{'loss, last epoch (nats)':>25}{'accuracy, test photos (%)':>27}")
for name, shares in accuracy.items():
    ends = [run[-1] for run in loss.get(name, [])]
    end = plots.plus_minus(ends, digits=2) if ends else ""
    if ends and min(ends) > 100:
        end = f"above {int(min(ends)):,}"
    print(f"{name:27}{end:>25}{plots.plus_minus(shares, 100):>27}")
should = accuracy["as it should be"]
costs = {
    name: [100 * (a - b) for a, b in zip(should, accuracy[name], strict=True)]
    for name in ("softmax before the loss", "measured in training mode")
}
print(
    "points lost: "
    + ", ".join(f"{name} {plots.plus_minus(points)}" for name, points in costs.items())
)
if size.scale == "offline":
    assert min(should) > 0.77
    assert max(accuracy["rate counted in steps"]) < min(should) - 0.05
    assert max(accuracy["gradients not cleared"]) < 0.3
    assert sum(accuracy["softmax before the loss"]) < sum(should) - 0.01 * size.seeds
    assert sum(accuracy["softmax before the loss"]) > sum(should) - 0.05 * size.seeds
    assert all(floor < run[-1] < 2 for run in loss["softmax before the loss"])
    assert sum(in_training_mode) < sum(should) - 0.01 * size.seeds

# %% [markdown]
# Not one of these runs raised an error. The gradients that are not cleared betray themselves: the loss leaves the picture,
# and the network ends near chance. The rate that is counted in steps looks like a network that has nothing more to learn. And
# softmax before the loss costs so little here, fewer than 5 points, that nobody would look for it. Its loss gives it away to
# those who know the number: it creeps towards 1.46 from above, and no network gets below.
#
# The last bar is a good network, measured badly; the last line above says by how many points. Nothing was lost but a
# true number, and whoever compares two networks by it compares their Dropout.
#
# ## The next door
#
# Take the Dropout out of `clothes_network` and run everything from there on again. Where does the last bar go, and which
# layer is left that could have moved it? Then try the careless loss in `train`. Its value is right at every step. What does
# the network make of its gradient, and why is there no end to it?
#
# Why a ball does so much better than a step, with pictures to play with: G. Goh,
# [Why Momentum Really Works](https://distill.pub/2017/momentum/) (2017). What else to look at before you believe a
# training run, the first loss among it: A. Karpathy,
# [A Recipe for Training Neural Networks](https://karpathy.github.io/2019/04/25/recipe/) (2019). What autograd records
# and when, PyTorch says in [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html). The photos
# are from H. Xiao, K. Rasul and R. Vollgraf, [Fashion-MNIST](https://arxiv.org/abs/1708.07747) (2017).
#
# The loop is right now, and its number is honest. Yet every run of it began where this lesson did: with random numbers,
# charged 2.30 a photo. Each had to find out for itself, from three thousand photos, what a sleeve is. Somewhere there is a
# network that has looked at more than a million. What if ours began as that one?
