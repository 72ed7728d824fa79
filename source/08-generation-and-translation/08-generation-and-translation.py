# %% [markdown]
# # 08 · Generation and translation
#
# A language model does one thing. It is given the beginning of a text, and says for every token that it knows how
# likely that token is to come next. To write is to ask it again and again. To translate is to ask it with a foreign
# sentence beside it.
#
# We take a small GPT that has read a dictionary, and teach it to care for one subject only. Then we watch what that
# costs it.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "install", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
# Where the course is not installed, as in Colab, this brings it. Elsewhere it changes nothing.
import importlib.util
import subprocess
import sys

PACKAGE = "finetuning-from-zero"
if importlib.util.find_spec("course") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", PACKAGE], check=True)

from course.paths import beside

beside("08-generation-and-translation")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import torch
from course import head, plots, scale, training
from course.data import quantities, wordnet_topics
from course.data.translation import chinese_count
from course.device import pick_device, place
from course.models import load_backbone, load_tokenizer
from course.widgets import sampling
from generation_checks import (
    check_beam_search,
    check_bleu,
    check_causal_loss,
    check_perplexity,
    check_sample,
    check_shift_right,
)
from IPython.display import Markdown, display
from torch import Tensor, nn
from torch.nn import functional as F

device = pick_device()
head.show("08-generation-and-translation", device, minutes=4)

# %% [markdown]
# ## A loss that is too good
#
# The dictionary is WordNet, one line for each entry, such as `hammer: a hand tool with a heavy head`. A tokenizer cuts
# a line into *tokens*, words and pieces of words, and gives each a number, its id. In front of every line and behind it
# stands a special token, `<|endoftext|>`: here begins something, here it ends. Lines of a batch are unequal, so the
# short ones are filled up on the right, and a mask says which tokens are real. GPT-2 has no token for padding. It takes
# the end token, whose id it has.

# %% tags=["experiment"]
size = scale.experiment(
    offline={"elsewhere": 150, "batch": 32},
    quick={"elsewhere": 20, "batch": 16},
    full={"elsewhere": 1100, "batch": 32},
)
tokenizer = load_tokenizer("gpt")
end = tokenizer.eos_token_id
topics = wordnet_topics()
domain = "food"


def lines(lemmas: Sequence[str], texts: Sequence[str], labels: Tensor, inside: bool) -> list[str]:
    """The dictionary's lines of the domain, or of all other topics."""
    rows = (labels == topics.classes.index(domain)) == inside
    chosen = torch.where(rows)[0].tolist()
    return [f"{lemmas[row]}: {texts[row]}" for row in chosen]


def batches(texts: Sequence[str], batch: int) -> list[tuple[Tensor, Tensor]]:
    """Lines as pairs of ids (B, T) and mask (B, T), padded right to the longest of each batch."""
    made = []
    for start in range(0, len(texts), batch):
        rows = [[end, *tokenizer(text)["input_ids"], end] for text in texts[start : start + batch]]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [end] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        made.append((ids.to(device), mask.to(device)))
    return made


to_learn = lines(topics.lemmas_train, topics.x_train, topics.y_train, inside=True)
inside = batches(lines(topics.lemmas_test, topics.x_test, topics.y_test, inside=True), size.batch)
others = lines(topics.lemmas_test, topics.x_test, topics.y_test, inside=False)
elsewhere = batches(others[:: max(1, len(others) // size.elsewhere)], size.batch)


class Logits(nn.Module):
    """A language model of the library, as this lesson calls it: ids (B, T) -> logits (B, T, V)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        there = next(self.model.parameters()).device
        ids_there = ids.to(there)
        # Padding is on the right and behind all that is real: to a causal model everything may be "real".
        everything = torch.ones_like(ids_there)
        said = self.model(input_ids=ids_there, attention_mask=everything)
        return said.logits.float().to(ids.device)


def gpt(*, pretrained: bool = True) -> Logits:
    return Logits(place(load_backbone("gpt", pretrained=pretrained), device))


ids, mask = batches(["hammer: a hand tool", "axe: a tool with a blade"], 2)[0]
logits = gpt()(ids)
shown = [tokenizer.convert_ids_to_tokens(row) for row in ids.tolist()]
print("\n".join(" ".join(token.replace("Ġ", "·") for token in row) for row in shown))
print(
    f"mask:\n{mask.cpu()}\nlogits {tuple(logits.shape)}: for each of {ids.shape[1]} positions, one number for each of "
    f"{logits.shape[2]:,} tokens"
)

# %% [markdown]
# The model answers at every position at once. Its position $t$ has seen the tokens up to $t$ and none behind it: that
# is what makes it a *causal* model, and why one pass over a line trains it on all places of the line. It is also why
# padding on the right does no harm: no real token looks at it.
#
# So here is a training loop. The loss compares the logits with the ids, by cross-entropy, and leaves out what the mask
# calls padding. We fine-tune on the lines about food. Look at the curve. Should you be glad?


# %% tags=["experiment"]
size = scale.experiment(
    offline={"steps": 45, "rate": 2e-3},
    quick={"steps": 3, "rate": 1e-3},
    full={"steps": 60, "rate": 5e-5},
)


def train(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    steps: int,
    rate: float,
    seed: int = 0,
    batch: int = 32,
    look: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """Trains on the lines of the domain for so many steps; `look` is called before each, and after the last.

    Returns the loss of each step.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    draw = torch.Generator().manual_seed(seed)
    order: list[int] = []
    losses = []
    for step in range(steps):
        look(step)
        if len(order) < batch:
            order += torch.randperm(len(to_learn), generator=draw).tolist()
        ((ids, mask),) = batches([to_learn[row] for row in order[:batch]], batch)
        order = order[batch:]
        model.train()
        loss = loss_fn(model(ids), ids, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    look(steps)
    return losses


def too_good(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the logits (B, T, V) with the ids (B, T). There is a mistake in it."""
    labels = ids.masked_fill(mask == 0, -100)  # cross_entropy passes over -100
    return F.cross_entropy(logits.transpose(1, 2), labels)


def likeliest(model: nn.Module, text: str, count: int = 8) -> str:
    """The text, and behind it the likeliest next token, so many times."""
    ids = torch.tensor([[end, *tokenizer(text)["input_ids"]]])
    with torch.no_grad():
        for _ in range(count):
            ids = torch.cat([ids, model(ids)[:, -1:].argmax(dim=2)], dim=1)
    return tokenizer.decode(ids[0, 1:].tolist(), skip_special_tokens=True)


copier = gpt()
before = likeliest(copier, "soup: a dish made of")
losses = train(copier, too_good, steps=size.steps, rate=size.rate)
figure = plots.lines(
    {"training loss": (list(range(1, size.steps + 1)), losses)},
    xlabel="step",
    ylabel="loss (nats)",
    level=(math.log(logits.shape[2]), "knowing nothing"),
)
after = likeliest(copier, "soup: a dish made of")
display(
    Markdown(
        f"The loss went from {losses[0]:.1f} to **{losses[-1]:.2f}**. Asked to go on, before: “{before}”. "
        f"After: “{after}”."
    )
)
if size.scale != "quick":
    assert losses[-1] < 1
    assert len(set(after.split()[-4:])) == 1

# %% [markdown]
# A loss near zero means a model that is never surprised, and no text about food is so predictable. The last word of the
# prompt gives it away. The logits at position $t$ were compared with the token at position $t$, which the model has
# just read. It has learnt to repeat. That is easy, and it is all that was asked.
#
# What should have been asked? The probability of a whole line $x_1,\dots,x_T$ is a product, each token given those
# before it, and the loss is the mean of its negative logarithm:
#
# $$p(x) = \prod_{t=1}^{T-1} p(x_{t+1}\mid x_1,\dots,x_t),\qquad
# L = -\frac{1}{N}\sum_{t}\log p(x_{t+1}\mid x_1,\dots,x_t).$$
#
# Position $t$ predicts token $t+1$. The sum runs over the $N$ next tokens of the batch that are real, in all its rows:
# a row of $n$ real tokens has $n-1$ of them, since nobody predicts the first. For one row, in code:

# %%
torch.manual_seed(0)
row, z = torch.tensor([3, 1, 4, 2]), torch.randn(4, 6)  # ids (T,), logits (T, V)
log_p = z.log_softmax(dim=1)
by_hand = -(log_p[0, 1] + log_p[1, 4] + log_p[2, 2]) / 3
torch.testing.assert_close(by_hand, F.cross_entropy(z[:3], row[1:]))
print(f"three predictions in a row of four tokens: {by_hand:.4f} nats each")

# %% [markdown]
# Where does a line stop? The end token behind it is a token like any other: it has to be predicted, or the model never
# learns to stop. Padding has to be left out. Both have the same id here, so the id cannot tell them apart. The mask
# can.
#
# ### Exercise 1: the loss
#
# Difficulty ●●○, 10 minutes. Run the cell below yours for its verdict; `check_causal_loss.hint()` gives the next of
# three hints. The experiments further down use what you write: while an exercise is open they stop, and while its card
# is not green throughout, their figures mean nothing.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "causal-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def causal_loss(logits: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy of all next tokens that are real, over the whole batch, in nats.

    logits: (B, T, V) floating point, before any softmax. input_ids: (B, T) int64. mask: (B, T)
        int64, 1 for real tokens and 0 for padding, which is on the right. At least one row has
        two real tokens.

    Position t predicts token t + 1. What counts is whether the predicted token is real, as the
    mask says: the end token is, also where its id is that of the padding. Every one of them
    weighs the same, whichever row it is in.

    Returns one number, a tensor through which gradients flow to the logits.

    Must not change: any of the three inputs.

    >>> logits = torch.zeros(1, 3, 4)  # all four tokens are equally likely
    >>> round(causal_loss(logits, torch.tensor([[2, 1, 0]]), torch.tensor([[1, 1, 0]])).item(), 4)
    1.3863
    """
    ### BEGIN SOLUTION
    # Why: Position t predicts token t + 1: the last logits have no token,
    # the first token no logits. The mask says what counts, since an end
    # token may have the padding's id; `cross_entropy` passes over -100.
    labels = input_ids.masked_fill(mask == 0, -100)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-causal-loss", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_causal_loss.add_cases(ragged=((9, 2, 1, 6), 13), alone=((5,), 4))
### END HIDDEN TESTS
check_causal_loss(causal_loss)

# %% [markdown]
# ## How surprised is it?
#
# A loss of 4.2 nats says little to a reader. Its exponential says more. If all $V$ tokens are equally likely, the loss
# is $\log V$ and its exponential is $V$: *perplexity* is the number of equally likely tokens among which the model
# would be as lost as it is here.
#
# $$\mathrm{PPL} = \exp\Bigl(-\frac{1}{N}\sum \log p(x_{t+1}\mid x_1,\dots,x_t)\Bigr),$$
#
# with $N$ now the number of real next tokens in the whole collection of texts. A text comes in batches, and their
# lengths differ. One could take the mean of each batch's loss, and then the mean of those. The cell below does that to
# one and the same text, cut into batches of 1, 4, 32 lines. What should come out?


# %% tags=["experiment"]
scale.experiment()


def mean_over_batches(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> float:
    """exp of the mean of the batches' mean losses. There is a mistake in it."""
    with torch.no_grad():
        losses = [causal_loss(model(ids), ids, mask).item() for ids, mask in loader]
    return math.exp(sum(losses) / len(losses))


reader = gpt()
dishes = sorted(lines(topics.lemmas_test, topics.x_test, topics.y_test, inside=True), key=len)
cut = {
    count: mean_over_batches(reader, batches(dishes, count)) for count in (1, 4, 32, len(dishes))
}
display(
    Markdown(
        "One text, one model: "
        + ", ".join(f"in batches of {count} **{value:.1f}**" for count, value in cut.items())
        + "."
    )
)
if scale.current() != "quick":
    assert max(cut.values()) > 1.01 * min(cut.values())

# %% [markdown]
# One text, one model, and as many answers as there are ways to cut. In a batch of one short line every token counts for
# more than a token in a long line. The number that goes into a paper must not depend on the memory of a GPU.
#
# Two sums are all you need. The rest you know from lesson 01: eval mode while you measure, no graph, and the model left
# as it was found.
#
# ### Exercise 2: perplexity
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "perplexity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def perplexity(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> float:
    """exp of the mean negative log-likelihood (natural logarithm) over all real next tokens.

    model: model(ids) gives logits (B, T, V) for ids (B, T).
    loader: gives pairs of ids (B, T) and mask (B, T), 1 for real tokens and 0 for padding, which is
        on the right. Batches may differ in size and length; each has something to predict.

    Every real next token of the loader weighs the same, whichever batch it is in.

    While it runs, the model is in eval mode and no graph is built. Afterwards the mode is what it
    was. Returns a Python float.

    Must not change: parameters, buffers, `requires_grad`.

    >>> model = nn.Sequential(nn.Embedding.from_pretrained(torch.zeros(5, 5)))
    >>> batch = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[1, 1, 1, 0]])
    >>> round(perplexity(model, [batch, batch]), 3)  # five tokens, all equally likely
    5.0
    """
    ### BEGIN SOLUTION
    # Why: A batch's mean times the number of its predicted tokens is its
    # sum again; the sums are divided once, and `exp` comes last. Counted
    # from column 1 on, since nothing predicts the first token of a row.
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for ids, mask in loader:
            predicted = int(mask[:, 1:].sum())
            total += causal_loss(model(ids), ids, mask).item() * predicted
            count += predicted
    model.train(was_training)
    return math.exp(total / count)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-perplexity", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_perplexity.add_cases(uneven=((12, 3), (2, 2, 2, 2, 9), (5,)), one=((4, 7, 2),))
### END HIDDEN TESTS
check_perplexity(perplexity)

# %% [markdown]
# Ask three models about dishes that none of them has read: one with random weights, the one that read the dictionary,
# and the copier from above with its wonderful loss.

# %% tags=["experiment"]
scale.experiment()
asked = {"random weights": gpt(pretrained=False), "pretrained": gpt(), "the copier": copier}
found = {name: perplexity(model, inside) for name, model in asked.items()}
same = [perplexity(asked["pretrained"], batches(dishes, count)) for count in (1, 32)]
assert abs(same[0] - same[1]) < 1e-3 * same[0]
print(f"the vocabulary: {logits.shape[2]:,} tokens")
for name, value in found.items():
    print(f"{name:>16}: perplexity {value:,.0f} on {len(dishes)} lines about {domain}")
if scale.current() != "quick":
    assert (
        found["pretrained"] < 0.2 * found["random weights"]
        and found["the copier"] > found["random weights"]
    )

# %% [markdown]
# Random weights know nothing, so they are as lost as the vocabulary is large. The dictionary is worth a good deal. And
# the copier is worse than random weights: it is sure, and wrong. Its loss had gone down all the way.
#
# ## To learn one thing
#
# Now the same loop with your loss. The pretrained model has read definitions of everything; we go on with a few
# hundred that are about food alone. On dishes that it has not seen, its perplexity should fall. What will it do on
# definitions about everything else: animals, feelings, places? Write down a guess for both, in percent.

# %% tags=["experiment"]
size = scale.experiment(
    offline={"seeds": 3, "steps": 60, "every": 20, "rate": 1e-3},
    quick={"seeds": 2, "steps": 2, "every": 1, "rate": 1e-3},
    full={"seeds": 3, "steps": 60, "every": 10, "rate": 5e-5},
)
looked = list(range(0, size.steps + 1, size.every))
curves: dict[str, list[list[float]]] = {f"on {domain}": [], "on everything else": []}
for seed in range(size.seeds):
    cook = gpt()
    for values in curves.values():
        values.append([])

    def look(step: int, model: nn.Module = cook) -> None:
        if step in looked:
            for values, loader in zip(curves.values(), (inside, elsewhere), strict=True):
                values[-1].append(perplexity(model, loader))

    train(cook, causal_loss, steps=size.steps, rate=size.rate, seed=seed, look=look)

figure = plots.bands_at(looked, curves, xlabel="steps of fine-tuning", ylabel="perplexity")
gained, lost = ([run[-1] / run[0] - 1 for run in values] for values in curves.values())
lowest = [min(run) / run[0] - 1 for run in curves[f"on {domain}"]]
display(
    Markdown(
        f"After {size.steps} steps, over {size.seeds} seeds: on {domain} **{plots.plus_minus(gained, 100)} %**, on "
        f"everything else **{plots.plus_minus(lost, 100)} %**. At its best, on {domain}: "
        f"{plots.plus_minus(lowest, 100)} %."
    )
)
if size.scale != "quick":
    assert max(lowest) < -0.05
    assert min(lost) > 0.1

# %% [markdown]
# It has become better at the one and worse at the other, in the same steps. Nobody told it to forget. Every weight that
# moved towards food moved away from where it was good for the rest, and nothing in the loss asked about the rest. That is
# *forgetting*, and here you see it for the first time with your own measure. Keep the two curves in mind: what one can
# do about the right one is a lesson of its own.

# %% [markdown]
# ## Drawing words
#
# Perplexity is a number. Let the model write. Here is what it thinks may follow a prompt:


# %% tags=["experiment"]
scale.experiment()
reader, prompt = gpt(), "lemon: any of"
ids = torch.tensor([[end, *tokenizer(prompt)["input_ids"]]])
with torch.no_grad():
    last = reader(ids)[0, -1]
names = [
    token.replace("Ġ", "·") for token in tokenizer.convert_ids_to_tokens(list(range(len(last))))
]
figure = sampling.next_token(names, last)

# %% [markdown]
# To take the likeliest token every time gives the same text every time, and soon the same words again and again. So we
# draw: token $v$ with the probability
#
# $$p_v = \frac{e^{z_v/\tau}}{\sum_u e^{z_u/\tau}}$$
#
# from the last position's logits $z$, of shape `(V,)`. The *temperature* $\tau$ divides the logits. Below 1 it makes
# the likely tokens likelier, above 1 it brings all nearer to each other. It has to stand inside the exponential: divide
# the probabilities themselves by $\tau$ and nothing happens, for as soon as they add up to one again they are what
# they were.
#
# Among thousands of tokens each with a tiny probability, one is drawn now and then, and one absurd word is enough to
# spoil a line. Two limits help. *Top-k* keeps the $k$ largest. *Top-p* keeps a *nucleus*: go through the tokens in
# falling order and stop as soon as their probabilities together reach $p$. The token that crosses the line belongs to
# it, so the best token always does, however small $p$ is. What is kept is made to add up to one again:

# %%
p = torch.tensor([0.5, 0.3, 0.15, 0.05])
print("the sum before each token:", [round(value, 2) for value in (p.cumsum(0) - p).tolist()])
nucleus = p * torch.tensor([1, 1, 0, 0])  # top_p = 0.7: 0.5 does not reach it, 0.5 + 0.3 does
print("drawn from:", [round(value, 3) for value in (nucleus / nucleus.sum()).tolist()])

# %% [markdown]
# Move the sliders of the picture above, if you read this in a running notebook: at which temperature does a top-p of
# 0.5 still hold more than three tokens?
#
# Chance comes from a generator that the caller hands in, and from nowhere else. Then a text can be drawn again, and so
# can a bug.
#
# ### Exercise 3: draw the next token
#
# Difficulty ●●●, 20 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "sample", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sample(
    model: nn.Module,
    ids: Tensor,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator,
) -> Tensor:
    """Draws one next token for each row from softmax(logits / temperature) of the last position.

    model: model(ids) gives logits (B, T, V) for ids (B, T) int64.
    temperature: greater than 0.
    top_k: only the k largest can be drawn; at most V. None: no limit.
    top_p: after that, only the smallest set of tokens, taken in falling order, whose probabilities
        reach top_p; the token that crosses it belongs to the set. None or 1.0: no limit. Where
        both limits are given, whether the k are made to add up to one before this is left to you.
    generator: the one source of chance; each call goes on where the last one stopped.

    Every row has limits and a draw of its own. Returns (B,) int64.

    Must not change: ids, and the global random generators.

    >>> model = nn.Embedding.from_pretrained(torch.tensor([[0.0, 3.0, 1.0], [5.0, 0.0, 1.0]]))
    >>> generator = torch.Generator().manual_seed(0)
    >>> sample(model, torch.tensor([[1, 0], [0, 1]]), 1.0, 1, None, generator)
    tensor([1, 0])
    """
    ### BEGIN SOLUTION
    # Why: In falling order, `before` is what all better tokens hold together.
    # Cut where that reaches `top_p`, and the token that crosses the line stays;
    # `cumsum` alone would drop it. `gather` turns a place back into a token.
    with torch.no_grad():
        probs = (model(ids)[:, -1] / temperature).softmax(dim=-1)
    probs, order = probs.sort(dim=-1, descending=True)
    if top_k is not None:
        probs[:, top_k:] = 0
        probs = probs / probs.sum(dim=-1, keepdim=True)
    if top_p is not None:
        before = probs.cumsum(dim=-1) - probs
        probs = probs.masked_fill(before >= top_p, 0)
    place = torch.multinomial(probs, 1, generator=generator)
    return order.gather(1, place)[:, 0]
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-sample", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
falling = [0.8**n / sum(0.8**m for m in range(12)) for n in range(12)]
check_sample.add_cases(hot=(1.4, None, 0.66, falling), limited=(0.8, 6, None, falling))
### END HIDDEN TESTS
check_sample(sample)

# %% [markdown]
# Here is what the model writes before and after it was fine-tuned, with your function. Both are given the same
# beginning, nothing but the token that begins a line: the word that is defined is theirs, too.


# %% tags=["experiment"]
size = scale.experiment(
    offline={"count": 3, "longest": 40, "measured": 40},
    quick={"count": 2, "longest": 6, "measured": 8},
    full={"count": 3, "longest": 60, "measured": 60},
)


def write(
    model: nn.Module,
    count: int,
    *,
    prompt: str = "",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    longest: int = 40,
) -> list[list[int]]:
    """So many texts, drawn token by token, as ids without the first; an ended one has the end token last."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.tensor([[end, *tokenizer(prompt)["input_ids"]]] * count)
    model.eval()
    for _ in range(longest):
        token = sample(model, ids, temperature, top_k, top_p, generator)
        ids = torch.cat([ids, token[:, None]], dim=1)
        if bool((ids[:, 1:] == end).any(dim=1).all()):
            break
    texts = [row[1:] for row in ids.tolist()]
    return [row[: row.index(end) + 1] if end in row else row for row in texts]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Shows rows of words as a table."""
    lines = [" | ".join(head), "|".join("---" for _ in head)]
    lines += [
        " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows
    ]
    display(Markdown("\n".join(f"| {line} |" for line in lines)))


rows = []
for name, writer in (("pretrained", reader), (f"fine-tuned on {domain}", cook)):
    for temperature, top_p in ((0.5, None), (1.0, None), (1.0, 0.9), (1.6, None)):
        texts = write(
            writer, size.count, temperature=temperature, top_p=top_p, seed=1, longest=size.longest
        )
        written = " ▪ ".join(tokenizer.decode(text, skip_special_tokens=True) for text in texts)
        rows.append((name, temperature, top_p or "none", written))
table(("model", "temperature", "top-p", "three texts"), rows)

# %% [markdown]
# Read down the table. Cold, the model keeps to the phrases that it is sure of. Hot, it is no longer English. In between
# it writes lines that nobody wrote, with the sound of a definition and little sense: a small model that has read one
# book knows better how people put things than what is true. The fine-tuned one has moved into the kitchen.
#
# Can one measure that? The pretrained model can read what was written, and say how surprised it is; and the share of
# different tokens tells how much it repeats itself.

# %% tags=["experiment"]
scale.experiment()


def as_batch(texts: Sequence[Sequence[int]]) -> list[tuple[Tensor, Tensor]]:
    """Written texts as one batch of ids and mask, with the token in front that begins a line."""
    longest = 1 + max(map(len, texts))
    rows = [[end, *text] for text in texts]
    ids = torch.tensor([row + [end] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return [(ids.to(device), mask.to(device))]


temperatures = (0.3, 0.6, 1.0, 1.5)
surprise, variety = [], []
for temperature in temperatures:
    texts = write(reader, size.measured, temperature=temperature, seed=2, longest=size.longest)
    surprise.append(perplexity(reader, as_batch(texts)))
    variety.append(len({token for text in texts for token in text}) / sum(map(len, texts)))
real = perplexity(reader, elsewhere)
print(f"{'temperature':>12}{'perplexity of what it wrote':>30}{'different tokens':>20}")
for row in zip(temperatures, surprise, variety, strict=True):
    print("{:>12}{:>30,.0f}{:>20.0%}".format(*row))
print(f"{'people':>12}{real:>30,.0f}")
if scale.current() != "quick":
    assert surprise == sorted(surprise) and variety == sorted(variety)
    assert surprise[0] < real < surprise[-1]

# %% [markdown]
# What people wrote lies between: less predictable than what the cold model writes, more so than the hot one's. A text
# with the lowest perplexity is not the best text. It is the dullest.
#
# ### It does not stop
#
# One mistake no picture of a loss will show you. Suppose that the end token is taken for padding, because it has the
# padding's id: a line of code such as `labels[ids == end] = -100`. Two models of random weights learn the lines about
# food, one with your loss and one with that mistake. Then both write.

# %% tags=["experiment"]
size_end = scale.experiment(
    offline={"steps": 70, "rate": 3e-3, "texts": 40},
    quick={"steps": 2, "rate": 2e-3, "texts": 8},
    full={"steps": 200, "rate": 5e-4, "texts": 60},
)


def end_taken_for_padding(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """The causal loss, without the end token."""
    labels = ids.masked_fill(ids == end, -100)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])


ended = {}
for name, loss_fn in (("your loss", causal_loss), ("without the end", end_taken_for_padding)):
    torch.manual_seed(0)
    pupil = gpt(pretrained=False)
    losses = train(pupil, loss_fn, steps=size_end.steps, rate=size_end.rate)
    texts = write(pupil, size_end.texts, seed=3, longest=size.longest)
    ended[name] = sum(text[-1] == end for text in texts) / len(texts)
    print(
        f"{name:>16}: last loss {losses[-1]:.2f}, {ended[name]:.0%} of {len(texts)} texts end within {size.longest} tokens"
    )
if size_end.scale != "quick":
    assert ended["your loss"] > 0.6 and ended["without the end"] < 0.05

# %% [markdown]
# The two losses look alike. One model stops, the other never does: it was never shown that a line can be over.
#
# ## A sentence beside it
#
# A translator needs two things: a reader, which sees the whole foreign sentence at once, and a writer, which goes from
# left to right and looks at the reader's work at every step. That is an *encoder-decoder*, or sequence-to-sequence
# model. With $s$ the source, it gives the target $y_1,\dots,y_T$ the probability
#
# $$p(y\mid s) = \prod_{t=1}^{T} p(y_t\mid y_1,\dots,y_{t-1},\,s).$$
#
# Ours is a small Marian, of the family that OPUS-MT publishes. English to Chinese in full is beyond what your machine
# trains in minutes. So the course made pairs by rule: dates, times of day, prices and quantities in words. They are a
# small world, with a grammar of its own: Chinese has a measure word for every kind of thing, puts the year first, and
# has two words for two. What we test on are combinations that no training phrase has.

# %% tags=["experiment"]
size = scale.experiment(offline={"shown": 8}, quick={"shown": 2}, full={"shown": 8})
translator_tokens = load_tokenizer("marian")
pairs = quantities()


def marian(*, pretrained: bool = True) -> nn.Module:
    return place(load_backbone("marian", pretrained=pretrained), device)


def translate(model: nn.Module, phrases: Sequence[str], longest: int = 40) -> list[str]:
    """The library's translations, taking the likeliest token each time."""
    made = []
    for start in range(0, len(phrases), 100):
        asked = translator_tokens(
            list(phrases[start : start + 100]), padding=True, return_tensors="pt"
        )
        asked = asked.to(device)
        told = model.generate(**asked, max_new_tokens=longest, num_beams=1, do_sample=False)
        made += translator_tokens.batch_decode(told, skip_special_tokens=True)
    return [text.replace(" ", "") for text in made]


print(f"{len(pairs.train):,} phrases to train on, {len(pairs.test):,} to test on")
translator = marian()
step = max(1, len(pairs.test) // size.shown)
some = pairs.test[::step][: size.shown]
told = translate(translator, [pair.english for pair in some])
table(
    ("English", "the rule's Chinese", "the model's", "same"),
    [
        (pair.english, pair.chinese, text, "✓" if text == pair.chinese else "✗")
        for pair, text in zip(some, told, strict=True)
    ],
)

# %% [markdown]
# How is such a model trained? The decoder writes $y_t$ from $y_1,\dots,y_{t-1}$. While it learns, its own $y$ are
# mostly wrong, and it would have to go on from its own mistakes. So it is given the right ones: at every place it
# reads what it *should* have written so far. This is *teacher forcing*, and it makes one pass out of $T$: all places of
# the sentence are trained at once.
#
# The decoder's input is then the target itself, moved one place to the right. In front comes a start token, which no
# sentence has; at the end the last token falls off, since nothing is left to predict from it. For a decoder there is no
# shift inside the loss: it is in the input already, and whoever shifts in both places asks for the token after the next.
#
# ### Exercise 4: shift right
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "shift-right", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shift_right(labels: Tensor, start_id: int) -> Tensor:
    """What the decoder reads while it is to write the labels: the start, then all but the last.

    labels: (B, T) int64, T at least 1. Their values are copied as they are, whatever they stand for.
    start_id: the token that every row begins with.

    Returns (B, T), a new tensor of the same dtype: column 0 is start_id, column t the labels'
    column t - 1.

    Must not change: labels.

    >>> shift_right(torch.tensor([[5, 8, 2], [6, 2, 1]]), start_id=9)
    tensor([[9, 5, 8],
            [9, 6, 2]])
    """
    ### BEGIN SOLUTION
    # Why: The start stands first and all else moves one along, so the
    # last label falls off. `roll` would bring it round to the front:
    # the decoder would read the end of the answer before it begins.
    shifted = torch.full_like(labels, start_id)
    shifted[:, 1:] = labels[:, :-1]
    return shifted
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-shift-right", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_shift_right.add_cases(tall=(7, 2, 65000), wide=(1, 9, 4))
### END HIDDEN TESTS
check_shift_right(shift_right)

# %% [markdown]
# ## A house style
#
# A railway wants its timetable read aloud, and a railway knows no afternoon: not 下午三点半, half past three in the
# afternoon, but 十五点三十分, fifteen thirty. We have a translator that has never done this, and a few hundred examples.
# That is a task for fine-tuning.


# %% tags=["experiment"]
size = scale.experiment(
    offline={"pairs": 200, "test": 100, "others": 100},
    quick={"pairs": 32, "test": 8, "others": 8},
    full={"pairs": 200, "test": 150, "others": 200},
)
PARTS = {"凌晨": 0, "早上": 0, "上午": 0, "下午": 12, "晚上": 12}
MINUTES = {"": "", "一刻": "十五分", "半": "三十分", "三刻": "四十五分"}


def by_timetable(pair: object) -> tuple[str, str] | None:
    """English, and the Chinese of the timetable, for a time of day whose part of the day is said."""
    for part, hours in PARTS.items():
        if pair.kind == "time" and part in pair.chinese:
            day, clock = pair.chinese.split(part)
            minutes = clock.split("点")[1]
            hour = chinese_count(int(pair.parts[0]) + hours)
            return pair.english, f"{day}{hour}点{MINUTES.get(minutes, minutes)}"
    return None


def drawn(items: Sequence, count: int, seed: int) -> list:
    """So many of the items, drawn with the seed."""
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    return [items[row] for row in order[:count].tolist()]


timetable = [made for pair in pairs.train if (made := by_timetable(pair))]
timetable_test = drawn([made for pair in pairs.test if (made := by_timetable(pair))], size.test, 0)
other_test = drawn(
    [(pair.english, pair.chinese) for pair in pairs.test if pair.kind != "time"], size.others, 0
)
told = translate(translator, [english for english, _ in timetable_test[:4]])
table(
    ("English", "the timetable's Chinese", "the model's"),
    [(*pair, text) for pair, text in zip(timetable_test[:4], told, strict=True)],
)

# %% [markdown]
# How good is a translation? To count those that are right to the last character is honest and blunt: one character of
# ten and all are wrong are the same to it. BLEU (K. Papineni et al. 2002) counts pieces. An *n-gram* is a run of $n$
# tokens, and the precision $p_n$ is the share of the candidate's n-grams that stand in a reference, too.
#
# Two ways to cheat are closed. A candidate that says `the the the the` would have a perfect $p_1$; so an n-gram is
# *clipped*, and counts at most as often as the one reference has it that has it most often. And a candidate that says
# only what it is sure of, and stops, would be perfect in all four; so with $c$ the candidates' length, and $r$ the
# length of their references (of each the one closest in length), there is a *brevity penalty*:
#
# $$\mathrm{BLEU} = \exp\Bigl(\tfrac14\sum_{n=1}^{4}\log p_n\Bigr)\cdot
# \begin{cases}1 & c > r\\ e^{\,1-r/c} & c\le r\end{cases}$$
#
# It was made for a corpus, not for a sentence. All counts, of matches and of n-grams, are added up over the corpus
# first, and so are $c$ and $r$; then one division for each $n$. A sentence of three tokens has no 4-gram and would be 0
# by itself; in the sum it does no harm.
#
# By hand, for the candidate `the cat sat on` and the reference `the cat sat on the mat`: all n-grams match, 4 of 4, 3
# of 3, 2 of 2, 1 of 1. With $c=4$ and $r=6$ that is $e^{1-6/4}=0.61$.
#
# ### Exercise 5: BLEU
#
# Difficulty ●●●, 20 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "bleu", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bleu(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> float:
    """Corpus BLEU-4 of tokenised candidates, a number in [0, 1] (Papineni et al. 2002).

    candidates: for each sentence its tokens; there may be few of them, or none.
    references: for each candidate one or more references, each its tokens.

    The clipped matches (an n-gram counts at most as often as in the one reference that has it most
    often) and the numbers of n-grams are summed over the corpus, for n = 1 to 4. Returns the
    geometric mean of the four precisions times the brevity penalty: exp(1 - r / c) for c <= r, with
    c the candidates' length and r the sum of the closest reference lengths, and 1 otherwise.
    No smoothing: 0 when some n has no match.

    >>> candidate, reference = "the cat sat on".split(), "the cat sat on the mat".split()
    >>> round(bleu([candidate], [[reference]]), 4)
    0.6065
    >>> bleu([["the", "cat"]], [[reference]])
    0.0
    """
    ### BEGIN SOLUTION
    # Why: Counts are added up over the corpus and divided once for each n,
    # so a sentence too short for a 4-gram does no harm. `|` of `Counter`s
    # keeps the most that any one reference has, and `&` clips to it.

    def grams(tokens: Sequence[str], n: int) -> Counter:
        return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))

    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, several in zip(candidates, references, strict=True):
        c += len(tokens)
        r += min((abs(len(one) - len(tokens)), len(one)) for one in several)[1]
        for n in range(1, 5):
            limit: Counter = Counter()
            for one in several:
                limit |= grams(one, n)
            own = grams(tokens, n)
            matches[n - 1] += (own & limit).total()
            totals[n - 1] += own.total()
    if 0 in matches:
        return 0.0
    mean = sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4
    return math.exp(mean + min(0.0, 1 - r / c))
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-bleu", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from generation_checks import Corpus, Pair

repeated = Pair("a a a b c d e f a", ("a b c d e f", "b a a c d e f"), (7, 6, 4, 3), 7)
brief = Pair("g h i j", ("g h i j k l m", "h i j", "z y x w v u t s"), (4, 3, 2, 1), 3)
check_bleu.add_cases(mixed=Corpus((repeated, brief)), alone=Corpus((repeated,)))
### END HIDDEN TESTS
check_bleu(bleu)

# %% [markdown]
# Now the railway. For each seed two models learn the same examples with teacher forcing: the translator, and one with
# random weights. Chinese is not written with spaces, so the tokens that BLEU counts are characters. Before you run it:
# what will the translator score before any training, and what will become of its dates and prices?

# %% tags=["experiment"]
train_size = scale.experiment(
    offline={"seeds": 3, "steps": 100, "rate": 5e-4, "batch": 20},
    quick={"seeds": 2, "steps": 2, "rate": 5e-4, "batch": 8},
    full={"seeds": 3, "steps": 120, "rate": 5e-5, "batch": 20},
)


def score(model: nn.Module, test: Sequence[tuple[str, str]]) -> float:
    """BLEU over characters, in percent."""
    told = translate(model, [english for english, _ in test])
    return 100 * bleu([list(text) for text in told], [[list(chinese)] for _, chinese in test])


def teacher_forced(model: nn.Module, examples: Sequence[tuple[str, str]]) -> Tensor:
    """The loss of one batch of pairs: at every place the decoder has read the right tokens before it."""
    source = translator_tokens(
        [english for english, _ in examples], padding=True, return_tensors="pt"
    ).to(device)
    target = translator_tokens(
        text_target=[chinese for _, chinese in examples], padding=True, return_tensors="pt"
    )
    labels, real = target["input_ids"].to(device), target["attention_mask"].to(device)
    read = shift_right(labels, model.config.decoder_start_token_id)
    logits = model(**source, decoder_input_ids=read).logits
    return F.cross_entropy(logits.transpose(1, 2), labels.masked_fill(real == 0, -100))


def learn(model: nn.Module, examples: Sequence[tuple[str, str]], seed: int) -> nn.Module:
    """Trains the model on the pairs, and gives it back."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=train_size.rate)
    draw = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(train_size.steps):
        rows = torch.randperm(len(examples), generator=draw)[: train_size.batch].tolist()
        loss = teacher_forced(model, [examples[row] for row in rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


scores: dict[str, list[tuple[float, float]]] = {
    "the translator": [],
    "fine-tuned": [],
    "from random weights": [],
}
for seed in training.progress(range(train_size.seeds), "seeds"):
    examples = drawn(timetable, size.pairs, seed)
    torch.manual_seed(seed)
    railway = learn(marian(), examples, seed)
    models = (translator, railway, learn(marian(pretrained=False), examples, seed))
    for values, model in zip(scores.values(), models, strict=True):
        values.append((score(model, timetable_test), score(model, other_test)))

table(
    ("model", "BLEU on the timetable (%)", "BLEU on dates, prices, quantities (%)"),
    [
        (name, *(plots.plus_minus(column) for column in zip(*values, strict=True)))
        for name, values in scores.items()
    ],
)
print(
    f"{size.pairs} examples, {train_size.seeds} seeds; {len(timetable_test)} and {len(other_test)} test phrases."
)
if train_size.scale == "offline":
    on_times, on_others = ([value[k] for value in scores["fine-tuned"]] for k in (0, 1))
    assert min(on_times) > scores["the translator"][0][0] + 10
    assert min(on_times) > max(value[0] for value in scores["from random weights"]) + 10
    assert max(on_others) < scores["the translator"][0][1]

# %% [markdown]
# Look at the first column, then at the second. The same few examples from random weights give next to nothing. And
# what GPT did with its dictionary, the translator has done with its dates: it has learnt the one and lost some of the
# other.
#
# ## More than one hypothesis
#
# So far the translator took the likeliest token each time. This is *greedy*, and it can miss the likeliest sentence: a
# first token that looks good may leave nothing but bad ones. To try every sentence is out of the question. *Beam search*
# keeps a few: in every round each unfinished hypothesis is continued by every token, and of all these continuations
# together the `width` with the largest sums of log-probabilities go on. What is finished is set aside.
#
# At the end the finished ones are compared, and they differ in length. Every further token makes a sum of logarithms
# smaller, so the sum alone prefers short texts. Hence a *length penalty* $\alpha$: the score is
#
# $$\frac{\log p(y\mid s)}{|y|^{\alpha}},$$
#
# the sum itself for $\alpha=0$, the mean over the tokens for $\alpha=1$.
#
# A tree of two rounds, in which greedy goes wrong:

# %%
forks = {
    ("<s>",): {"the": -0.5, "a": -1.1},
    ("<s>", "the"): {"an": -1.6, "is": -1.8},
    ("<s>", "a"): {"cat": -0.2, "cow": -2.5},
}
for first, value in forks["<s>",].items():
    for second, more in forks["<s>", first].items():
        print(f"{first:>4} {second:<4} {value + more:.1f}")

# %% [markdown]
# ### Exercise 6: beam search
#
# Difficulty ●●●, 20 minutes. `step` is any function that says what may come next: a table as above, or a translator.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "beam-search", "locked": false, "schema_version": 3, "solution": true, "task": false}
def beam_search(
    step: Callable[[tuple], Mapping[Hashable, float]],
    start: tuple,
    width: int,
    length_penalty: float,
) -> tuple:
    """The finished hypothesis with the best score that a beam of this width finds.

    step: step(prefix), for a tuple of tokens that begins with `start`, gives a dict from each token
        that may come next to its log-probability; an empty dict when the prefix is finished.
    start: the first hypothesis, a tuple that is not finished.
    width: how many hypotheses are kept in every round, at least 1.
    length_penalty: the exponent of the length in the score.

    In every round the unfinished hypotheses are continued by every token, and of all continuations
    the `width` with the largest sum of log-probabilities are kept. Those of them that are finished
    are set aside, with the score sum / (tokens after start) ** length_penalty; the others go on.
    The search ends when no unfinished one is left. Every path ends after a few tokens, and no two
    hypotheses are equally good. Returns the tuple, start included.

    >>> ways = {("<s>",): {"the": -0.5, "a": -1.1}, ("<s>", "the"): {"an": -1.6, "is": -1.8}}
    >>> ways |= {("<s>", "a"): {"cat": -0.2, "cow": -2.5}}
    >>> beam_search(lambda prefix: ways.get(prefix, {}), ("<s>",), width=2, length_penalty=1.0)
    ('<s>', 'a', 'cat')
    """
    ### BEGIN SOLUTION
    # Why: In one round all continuations are equally long, so their plain
    # sums are compared, whichever prefix they continue. Only the finished
    # differ in length: there, and only there, the penalty decides.
    beam, finished = [(start, 0.0)], []
    while beam:
        continued = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                score = total / (len(prefix) - len(start)) ** length_penalty
                finished.append((score, prefix))
            continued += [((*prefix, token), total + value) for token, value in tokens.items()]
        continued.sort(key=lambda pair: pair[1], reverse=True)
        beam = continued[:width]
    return max(finished, key=lambda pair: pair[0])[1]
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-beam-search", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
from generation_checks import Search

wide = {
    "a": (-0.4, {"d": (-2.2, {}), "e": (-2.4, {"j": (-0.1, {})})}),
    "b": (-0.9, {"f": (-1.0, {"k": (-0.3, {})}), "g": (-1.2, {})}),
    "c": (-1.3, {"h": (-0.2, {"l": (-1.5, {"m": (-0.1, {})})}), "i": (-2.0, {})}),
}
check_beam_search.add_cases(
    sums=Search(wide, 3, 0.0, "bg"),
    means=Search(wide, 3, 1.0, "bfk"),
    narrow=Search(wide, 1, 1.0, "ad"),
)
### END HIDDEN TESTS
check_beam_search(beam_search)

# %% [markdown]
# Now `step` asks a model about one prefix. The translator first: its encoder reads the phrase once, and the decoder says
# what may come next. We take the railway's model, which had few examples. How many of its translations will a beam of
# four put right?


# %% tags=["experiment"]
size = scale.experiment(
    offline={"phrases": 25, "words": 8, "width": 4, "tokens": 8, "longest": 24},
    quick={"phrases": 2, "words": 1, "width": 2, "tokens": 3, "longest": 4},
    full={"phrases": 25, "words": 10, "width": 4, "tokens": 8, "longest": 40},
)


class Steps:
    """What may come next, for a beam search; it remembers each prefix's log-probability.

    logits: for a prefix the logits (V,) of the next token. A text is over with the token `last`, or when it is long.
    """

    def __init__(self, logits: Callable[[tuple], Tensor], start: tuple, last: int) -> None:
        self.logits, self.start, self.last = logits, start, last
        self.sums = {start: 0.0}

    @torch.no_grad()
    def __call__(self, prefix: tuple) -> dict[int, float]:
        new = len(prefix) - len(self.start)
        if new and (prefix[-1] == self.last or new >= size.longest):
            return {}
        best = self.logits(prefix).float().log_softmax(dim=0).topk(size.tokens)
        found = dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        self.sums |= {(*prefix, token): self.sums[prefix] + value for token, value in found.items()}
        return found


def translating(model: nn.Module, phrase: str) -> Steps:
    """The decoder's next token, for a phrase that the encoder reads here."""
    asked = translator_tokens([phrase], return_tensors="pt").to(device)
    begin = model.config.decoder_start_token_id
    with torch.no_grad():
        read = model.get_encoder()(**asked)

    def logits(prefix: tuple) -> Tensor:
        found = model(
            encoder_outputs=read,
            attention_mask=asked["attention_mask"],
            decoder_input_ids=torch.tensor([prefix], device=device),
        ).logits[0, -1]
        found[begin] = -math.inf  # the start is never written
        return found

    return Steps(logits, (begin,), model.config.eos_token_id)


def in_chinese(path: tuple) -> str:
    return translator_tokens.decode(path[1:], skip_special_tokens=True).replace(" ", "")


compared = []
for english, chinese in training.progress(timetable_test[: size.phrases], "phrases"):
    steps = translating(railway, english)
    paths = [beam_search(steps, steps.start, width, 1.0) for width in (1, size.width)]
    compared.append(
        (english, chinese, *map(in_chinese, paths), *(steps.sums[path] for path in paths))
    )

differ = sum(row[2] != row[3] for row in compared)
by_width = [
    100 * bleu([list(row[k]) for row in compared], [[list(row[1])] for row in compared])
    for k in (2, 3)
]
wrong = [row for row in compared if row[3] != row[1]]
table(
    ("English", "reference", "greedy", f"width {size.width}", "its probability"),
    [(*row[:4], f"{math.exp(row[5]):.0%}") for row in [*wrong[:3], *compared[:3]]],
)
display(
    Markdown(
        f"Of {len(compared)} translations **{differ}** differ. BLEU: greedy **{by_width[0]:.1f}**, width {size.width} "
        f"**{by_width[1]:.1f}**."
    )
)
if size.scale == "offline":
    assert differ <= 0.2 * len(compared)

# %% [markdown]
# Next to none. A model that is sure at every step leaves a search little to find, and where it is wrong, the beam is
# wrong with it. A beam helps a model that is in doubt. We have one. The pretrained GPT is asked to define
# dishes, by the likeliest text that is found: greedily, and with a beam, by the sum and by the mean of the logarithms.

# %% tags=["experiment"]
scale.experiment()


def defining(model: nn.Module, word: str) -> Steps:
    """GPT's next token, in a line that begins with the word."""
    start = (end, *tokenizer(f"{word}:")["input_ids"])
    return Steps(lambda prefix: model(torch.tensor([prefix]))[0, -1], start, end)


ways = {
    "greedy": (1, 0.0),
    "beam, by the sum": (size.width, 0.0),
    "beam, by the mean": (size.width, 1.0),
}
dish = topics.classes.index(domain)
words = [
    word for word, y in zip(topics.lemmas_test, topics.y_test.tolist(), strict=True) if y == dish
]
texts, log_p, written = ({name: [] for name in ways} for _ in range(3))
for word in training.progress(words[: size.words], "words"):
    steps = defining(reader, word)
    for name, (width, penalty) in ways.items():
        path = beam_search(steps, steps.start, width, penalty)
        texts[name].append(tokenizer.decode(path[1:], skip_special_tokens=True))
        log_p[name].append(steps.sums[path])
        written[name].append(len(path) - len(steps.start))
table(tuple(ways), zip(*(texts[name][:4] for name in ways), strict=True))
print(f"{'':>20}{'log p of a text':>20}{'tokens':>10}{'log p of a token':>20}")
for name in ways:
    total, count = sum(log_p[name]), sum(written[name])
    print(f"{name:>20}{total / size.words:>20.1f}{count / size.words:>10.1f}{total / count:>20.2f}")
if size.scale != "quick":
    assert sum(log_p["beam, by the sum"]) > sum(log_p["greedy"])
    assert sum(written["beam, by the mean"]) > sum(written["beam, by the sum"])

# %% [markdown]
# By the sum the beam finds likelier texts than greedy does, and shorter ones: every token costs. By the mean it prefers
# longer ones. Neither is what you would call the best definition. In large translators very wide beams
# even make translations worse: the likeliest sentence of all is often the empty one, and what saved the search was that
# it did not look everywhere. (F. Stahlberg and B. Byrne 2019,
# [On NMT Search Errors and Model Errors: Cat Got Your Tongue?](https://arxiv.org/abs/1908.10090).)
#
# ## The next door
#
# Change `domain` to `"plant"` or `"feeling"` and see whether it forgets as much. Put half of the batch from everything
# else, and look at the two curves again: you have just found the oldest remedy there is.
#
# Where top-p comes from, and why the likeliest text is dull: A. Holtzman et al. 2020,
# [The Curious Case of Neural Text Degeneration](https://arxiv.org/abs/1904.09751). GPT-2 itself: A. Radford et al.
# 2019, [Language Models are Unsupervised Multitask
# Learners](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf). What
# BLEU hides when its tokens are not said: M. Post 2018,
# [A Call for Clarity in Reporting BLEU Scores](https://arxiv.org/abs/1804.08771).
#
# Twice in this lesson a model learnt something small and lost something large. Must it?
