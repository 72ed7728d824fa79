# %% [markdown]
# # 07 · Text classification and reading
#
# "A large feline of the forests." A network reads these words and turns them into numbers, and from the numbers we can
# tell that they speak of an animal. Now we hand it the same words again, unchanged, to the same network, with the same
# weights. Nothing is random. Beside them lies another text, a long one, of which the first knows nothing.
#
# Will the numbers be the same?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "install", "locked": true, "schema_version": 3, "solution": false, "task": false} jupyter={"source_hidden": true}
# Where the course is not installed, as in Colab, this brings it. Elsewhere it changes nothing.
import importlib.util
import subprocess
import sys

PACKAGE = "finetuning-from-zero"
if importlib.util.find_spec("course") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", PACKAGE], check=True)

from course.paths import beside

beside("07-text-classification-and-reading")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import torch
from course import head, plots, reading, scale, training
from course.data import (
    Question,
    ReadingData,
    definition_questions,
    review_sentences,
    squad,
    wordnet_topics,
)
from course.device import pick_device, place
from course.models import load_backbone, load_tokenizer
from course.widgets.attention import attention
from course.widgets.tokens import tokens
from IPython.display import Markdown, display
from reading_checks import (
    check_best_span,
    check_collate,
    check_exact_match_and_f1,
    check_masked_mean,
    check_qa_windows,
    check_sequence_summary,
)
from torch import Tensor, nn
from torch.nn import functional as F

device = pick_device()
head.show("07-text-classification-and-reading", device, minutes=4)

# %% [markdown]
# Write your guess down. The network is a BERT: at offline scale MiniLM, six layers, 22 million parameters, which was
# trained on a billion pairs of sentences. Its tokenizer cuts a text into *tokens*, words and pieces of words, and gives
# each a number, its id. A batch is a rectangle, so the shorter text is filled up with the id of a token that means
# nothing, `[PAD]`.

# %% tags=["experiment"]
scale.experiment()
from transformers.utils import logging

logging.set_verbosity_error()
bert, bert_tokenizer = place(load_backbone("bert"), device), load_tokenizer("bert")
short = "a large feline of the forests"
long = "a tool " + "with a long handle and a heavy head " * 8

alone = bert_tokenizer(short)["input_ids"]
beside = bert_tokenizer(long)["input_ids"]
filled = alone + [bert_tokenizer.pad_token_id] * (len(beside) - len(alone))
with torch.no_grad():
    by_itself = bert(input_ids=torch.tensor([alone], device=device)).last_hidden_state
    in_a_batch = bert(input_ids=torch.tensor([filled, beside], device=device)).last_hidden_state
before, after = by_itself[0].mean(0), in_a_batch[0].mean(0)
likeness = F.cosine_similarity(before, after, dim=0).item()
first_token = F.cosine_similarity(by_itself[0, 0], in_a_batch[0, 0], dim=0).item()
if scale.current() == "offline":
    assert likeness < 0.9 and first_token < 0.99
display(
    Markdown(
        f"The mean of the vectors of “{short}”, alone and beside the long text: cosine similarity **{likeness:.2f}**, "
        f"where 1 would be the same direction. The vector of its first token alone: {first_token:.2f}."
    )
)

# %% [markdown]
# They are not. No word changed. But the row was filled up, and two things went wrong.
#
# The first is in our last line: a mean over all positions takes in the vectors of the padding. The second is deeper, and
# the first token shows it. In each layer a token's new vector is a weighted mean over all positions of a third kind of
# vector, the *values*. The weights are found so: three linear maps make from each token's vector a query $q_i$, a key $k_i$
# and a value $v_i$, of $d$ numbers each. Token $i$ gives token $j$ of the $T$ positions the weight
#
# $$a_{ij} = \frac{\exp(q_i\cdot k_j/\sqrt d + m_j)}{\sum_{l=1}^{T}\exp(q_i\cdot k_l/\sqrt d + m_l)},$$
#
# and its new vector is $\sum_j a_{ij}v_j$. A layer does this several times side by side, with maps of their own; each is
# called a *head*. Padding has keys and values like any other token. What keeps it out is the term $m_j$: it is 0 for a real
# token and $-\infty$ for padding, whose weight is then $e^{-\infty} = 0$. In code:

# %%
torch.manual_seed(0)
q, k = (
    torch.randn(3, 4),
    torch.randn(5, 4),
)  # 3 tokens look at 5 positions, the last two are padding
attention_mask = torch.tensor([1, 1, 1, 0, 0])

m = torch.zeros(5).masked_fill(attention_mask == 0, float("-inf"))
a = (q @ k.T / k.shape[1] ** 0.5 + m).softmax(dim=1)

torch.testing.assert_close(a[:, 3:], torch.zeros(3, 2))
torch.testing.assert_close(a[:, :3], (q @ k[:3].T / 2).softmax(dim=1))
print(a.numpy().round(2))

# %% [markdown]
# The network cannot know which positions are padding. Somebody must say so, with a mask of ones and zeros beside the
# ids. It is tempting to read the mask off the ids: padding is where the pad id stands. That works until a real token
# has the same id. GPT-2 has no pad token of its own, and the practice is to fill up with its end token, which stands at
# the end of every text too. Masked, the end token is hidden from all who could look at it; and where the same mask
# decides which tokens count in the loss, the network never learns where a text ends.
#
# And there are two sides to fill up on. BERT and GPT are filled up on the right. XLNet is filled up on the left, for a
# reason that we shall see.
#
# What the three make of one text, with the id of each token; orange ones nobody typed, the tokenizer added them. In a
# running notebook you can type another text. Try a capital, a word that is in no dictionary, an emoji, `[SEP]`. From whose
# ids alone could you write your text down again, letter for letter? And where does each put the tokens that it adds?

# %% tags=["experiment"]
scale.experiment()
figure = tokens(
    "An unbelievably large feline: the tiger of 1984!",
    {
        "BERT": bert_tokenizer,
        "GPT": load_tokenizer("gpt"),
        "XLNet": load_tokenizer("xlnet"),
    },
)

# %% [markdown]
# ### Exercise 1: collate
#
# Difficulty ●○○, 10 minutes. Run the cell below yours for its verdict; `check_collate.hint()` gives the next of three
# hints. The experiments further down use what you write: while an exercise is open they stop, and while its card is not
# green throughout, their figures mean nothing.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "collate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def collate(batch: list[dict], pad_id: int, side: str) -> dict[str, Tensor]:
    """Puts texts of several lengths into one batch.

    batch: a non-empty list of dicts {'input_ids': list of ints, 'label': int}; each text has at
        least one id.
    pad_id: the id to fill up with. Real tokens may have it too.
    side: 'left' or 'right', where the padding goes.

    Returns a dict of int64 tensors, rows in the order of the batch: 'input_ids' (B, T), T the
    length of the longest text; 'attention_mask' (B, T), 1 for each real token and 0 for
    padding; 'labels' (B,).

    Must not change: the batch, and the lists in it.

    >>> found = collate([{"input_ids": [7, 9], "label": 3}, {"input_ids": [8], "label": 0}], 9, "left")
    >>> found["input_ids"].tolist(), found["attention_mask"].tolist(), found["labels"].tolist()
    ([[7, 9], [9, 8]], [[1, 1], [0, 1]], [3, 0])
    """
    ### BEGIN SOLUTION
    # Why: The mask is made from the lengths and not read off the ids, since a real token
    # may have the id of the padding. `+` makes new lists, so the batch stays as it came.
    longest = max(len(text["input_ids"]) for text in batch)
    rows, masks = [], []
    for text in batch:
        ids = text["input_ids"]
        padding = [pad_id] * (longest - len(ids))
        real, empty = [1] * len(ids), [0] * len(padding)
        rows.append(ids + padding if side == "right" else padding + ids)
        masks.append(real + empty if side == "right" else empty + real)
    return {
        "input_ids": torch.tensor(rows),
        "attention_mask": torch.tensor(masks),
        "labels": torch.tensor([text["label"] for text in batch]),
    }
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-collate", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_collate.add_cases(
    gpt=((17, 3, 40, 1, 9), 50256), one=((1, 1), 0), negative=((2, 5), -1), single=((6,), 3)
)
### END HIDDEN TESTS
check_collate(collate)

# %% [markdown]
# ## One vector for a text
#
# A network of this kind gives a vector for every token, and a text has many. To classify it we want one. The mean is a
# good start, of the real tokens alone. For hidden vectors $h_{bt}$ of $D$ numbers and the mask $w_{bt}$, each for text
# $b$ and position $t$,
#
# $$\bar h_b = \frac{\sum_{t} w_{bt}\,h_{bt}}{\sum_{t} w_{bt}} .$$
#
# Two sums, and each has a way to go wrong that no error message tells of: the numerator may take in padding, and the
# denominator may be the padded length. Both give numbers that look fine and change with the other texts of the batch.
#
# ### Exercise 2: a mean that does not see the padding
#
# Difficulty ●○○, 5 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "masked-mean", "locked": false, "schema_version": 3, "solution": true, "task": false}
def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean of the hidden vectors of each text's real tokens.

    hidden: (B, T, D), floating point. What stands at padded positions is finite and otherwise
        anything.
    mask: (B, T), 1 or True for real tokens, 0 or False for padding; int or bool. Each row has a
        real token. Padding may be on either side.

    Returns (B, D), through which gradients flow to `hidden`. The amount of padding makes no
    difference.

    Must not change: hidden and mask.

    >>> hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]]])
    >>> masked_mean(hidden, torch.tensor([[1, 1, 0]]))
    tensor([[2., 4.]])
    """
    ### BEGIN SOLUTION
    # Why: The same weights stand above and below. Above, times 0, the padding drops out of the sum;
    # below, their own sum is how many real tokens a text has, whatever length it was padded to.
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-masked-mean", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_masked_mean.add_cases(wide=((9, 1, 14), 33), one_number=((2, 3), 1))
### END HIDDEN TESTS
check_masked_mean(masked_mean)

# %% [markdown]
# The two sentences once more, with your functions:

# %% tags=["experiment"]
scale.experiment()
texts = [{"input_ids": alone, "label": 0}, {"input_ids": beside, "label": 0}]
batch = collate(texts, bert_tokenizer.pad_token_id, "right")
with torch.no_grad():
    hidden = bert(
        input_ids=batch["input_ids"].to(device), attention_mask=batch["attention_mask"].to(device)
    ).last_hidden_state
after = masked_mean(hidden, batch["attention_mask"].to(device))[0]
moved = (after - before).abs().max().item()
assert moved < 1e-3, "padding still makes a difference: see the cards of collate and masked_mean"
display(
    Markdown(f"Largest difference of a number, alone and beside the long text: **{moved:.0e}**.")
)

# %% [markdown]
# What is left is rounding. Now the task. At offline scale the texts are definitions of nouns from WordNet, and the
# question is what they speak of: an act, an animal, a time, twelve topics in all. The network stays frozen, so its
# vectors are computed once, and a logistic regression learns to read the topic off them: a *probe*.
#
# First the tools. `read` gives every text to a frozen model, in your batches; `accuracies` fits a probe on a few texts of
# each class, drawn anew for each seed, and asks it about texts that nobody drew from.

# %% tags=["experiment"]
size = scale.experiment(
    offline={"pool": 720, "test": 600, "counts": (1, 2, 5, 10, 20), "seeds": 5, "batch": 48},
    quick={"pool": 240, "test": 24, "counts": (1, 3), "seeds": 2, "batch": 12},
    full={"pool": 4000, "test": 872, "counts": (2, 10, 50, 250), "seeds": 5, "batch": 64},
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

topics = review_sentences() if size.scale == "full" else wordnet_topics()
classes = topics.classes
pool, pool_labels = topics.x_train[: size.pool], topics.y_train[: size.pool]
drawn = torch.randperm(len(topics.x_test), generator=torch.Generator().manual_seed(0))[: size.test]
test_texts, test_labels = [topics.x_test[row] for row in drawn], topics.y_test[drawn]


def batches(name: str, texts: Sequence[str]) -> list[tuple[list[int], dict[str, Tensor]]]:
    """The texts, as the model's own tokenizer has them, in batches of similar lengths: (which texts, the batch)."""
    tokenizer = load_tokenizer(name)
    ids = [tokenizer(text, truncation=True, max_length=64)["input_ids"] for text in texts]
    if (
        name == "gpt"
    ):  # its tokenizer adds no special token; the one there is begins and ends a text
        ids = [[tokenizer.eos_token_id, *one, tokenizer.eos_token_id] for one in ids]
    order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    found = []
    for begin in range(0, len(order), size.batch):
        rows = order[begin : begin + size.batch]
        texts_here = [{"input_ids": ids[row], "label": row} for row in rows]
        found.append((rows, collate(texts_here, tokenizer.pad_token_id, tokenizer.padding_side)))
    return found


def hidden_states(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """What the model gives below any head, for a batch: (B, T, D)."""
    trunk = getattr(model, "transformer", model)
    inputs = {key: batch[key].to(device) for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        return trunk(**inputs).last_hidden_state.float().cpu()


Read = list[tuple[list[int], Tensor, Tensor]]  # which texts, their hidden vectors, their mask


def read(name: str, texts: Sequence[str], *, pretrained: bool = True) -> Read:
    """Every text as a frozen model sees it, batch by batch."""
    torch.manual_seed(0)
    model = place(load_backbone(name, pretrained=pretrained), device)
    return [
        (rows, hidden_states(model, batch), batch["attention_mask"])
        for rows, batch in training.progress(batches(name, texts), name)
    ]


def one_vector(states: Read, how: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """how(hidden, mask) of every text, (N, D), in the order of the texts."""
    order = torch.tensor([row for rows, *_ in states for row in rows])
    return torch.cat([how(hidden, mask) for _, hidden, mask in states])[order.argsort()]


def probe(vectors: Tensor, labels: Tensor) -> Pipeline:
    """A logistic regression on the vectors, each number brought to mean 0 and variance 1."""
    regression = LogisticRegression(C=0.01, max_iter=1000)
    return make_pipeline(StandardScaler(), regression).fit(vectors.numpy(), labels.numpy())


def draw(per_class: int, seed: int) -> Tensor:
    """Which texts of the pool to learn from: `per_class` of each class."""
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    return torch.cat(
        [order[pool_labels[order] == label][:per_class] for label in range(len(classes))]
    )


def accuracies(vectors: Tensor, per_class: int) -> list[float]:
    """Accuracy on the test texts of a probe on a few texts of the pool, for each seed."""
    test = vectors[len(pool) :].numpy()
    found = []
    for seed in range(size.seeds):
        rows = draw(per_class, seed)
        found.append(probe(vectors[rows], pool_labels[rows]).score(test, test_labels.numpy()))
    return found


# %% [markdown]
# How many definitions of each topic does it take? Guess the accuracy for 20 of each, and for one. Beside it stands the
# same network with random weights.

# %% tags=["experiment"]
scale.experiment()
states = {
    (pretrained, "bert"): read("bert", pool + test_texts, pretrained=pretrained)
    for pretrained in (True, False)
}
means = {
    pretrained: one_vector(states[pretrained, "bert"], masked_mean) for pretrained in (True, False)
}
curves = {
    pretrained: [accuracies(vectors, count) for count in size.counts]
    for pretrained, vectors in means.items()
}
figure = plots.learning_curves(
    size.counts,
    {"pretrained": ("probe", curves[True]), "random weights": ("scratch", curves[False])},
    chance=1 / len(classes),
    unit="texts of each class",
)
least, most = curves[True][0], curves[True][-1]
display(
    Markdown(
        f"{size.counts[-1]} texts of each of {len(classes)} classes: **{plots.plus_minus(most, 100)} %** from "
        f"pretrained weights, {plots.plus_minus(curves[False][-1], 100)} % from random ones. {size.counts[0]} of each: "
        f"{plots.plus_minus(least, 100)} % and {plots.plus_minus(curves[False][0], 100)} %. Mean ± standard deviation "
        f"over {size.seeds} drawings, {len(test_texts)} test texts."
    )
)
if size.scale == "offline":
    assert min(most) > 0.7 and max(curves[False][-1]) < 0.45
    assert sum(least) > sum(curves[False][-1])

# %% [markdown]
# One definition of each topic, through the pretrained network, is worth more on average than twenty through the random
# one. The pretrained one has read of animals and of times before; the few definitions only tell it what we call them
# here.
#
# And what would it have cost to forget the mask? The same probe, the same test texts, filled up with more and more
# padding that nobody masks:

# %% tags=["experiment"]
spoilt = scale.experiment(
    offline={"texts": 120, "padding": (0, 10, 40)},
    quick={"texts": 12, "padding": (0, 2)},
    full={"texts": 300, "padding": (0, 10, 40)},
)
rows = draw(size.counts[-1], seed=0)
fitted = probe(means[True][rows], pool_labels[rows])
bert = place(load_backbone("bert"), device)
unmasked = {}
for padding in spoilt.padding:
    right, found = 0, 0
    for chosen, batch in batches("bert", test_texts[: spoilt.texts]):
        ids = F.pad(batch["input_ids"], (0, padding), value=bert_tokenizer.pad_token_id)
        everything = torch.ones_like(ids)
        hidden = hidden_states(bert, {"input_ids": ids, "attention_mask": everything})
        answers = torch.from_numpy(fitted.predict(masked_mean(hidden, everything).numpy()))
        right += int((answers == test_labels[chosen]).sum())
    unmasked[padding] = right / spoilt.texts
display(
    Markdown(
        f"Accuracy on {spoilt.texts} texts without a mask: "
        + ", ".join(f"{padding} pads more: **{value:.0%}**" for padding, value in unmasked.items())
        + ". No error, no warning."
    )
)
if spoilt.scale == "offline":
    assert unmasked[40] < unmasked[0] - 0.05

# %% [markdown]
# ## Who may look at whom
#
# BERT is one of three families that the last years of reading were built on. They share the layers. What sets them
# apart is the game that each learnt its weights by, and each game is a rule about who may look at whom. Take a text
# $x_1, \dots, x_T$.
#
# **BERT** covers some tokens, a set $M$, with `[MASK]`, and guesses them from all the others, on both sides:
#
# $$L_{\text{BERT}} = -\frac{1}{|M|}\sum_{t\in M}\log p\,(x_t \mid x_{\setminus M}) .$$
#
# **GPT** reads from left to right, and guesses each token from those before it:
#
# $$L_{\text{GPT}} = -\frac{1}{T-1}\sum_{t=2}^{T}\log p\,(x_t \mid x_1,\dots,x_{t-1}) .$$
#
# **XLNet** wants both sides without a `[MASK]` that no real text contains. It draws an order $z$, a permutation of the
# positions, and guesses along that order. The words stay where they are; only who is known already changes:
#
# $$L_{\text{XLNet}} = -\frac{1}{|P|}\sum_{t\in P}\log p\,(x_{z_t} \mid x_{z_1},\dots,x_{z_{t-1}}) ,$$
#
# with $P$ the places of the order that are guessed, in practice its last part. Over many orders a token is guessed from
# many sets of others, left and right. As code, on small models of each family with random weights, beside the
# libraries' own losses. XLNet is told the order by `perm_mask`, entry $i, j$ of which is 1 where $i$ may *not* look at
# $j$, and the positions to guess by `target_mapping`.

# %% tags=["experiment"]
scale.experiment()
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    XLNetConfig,
    XLNetLMHeadModel,
)

torch.manual_seed(0)
words = ["the", "cat", "sat", "on", "my", "hat"]
ids = torch.arange(1, 7).unsqueeze(0)  # x, (1, T)
MASK, T = 0, 6
small = {"vocab_size": 9, "pad_token_id": 8, "bos_token_id": 8, "eos_token_id": 8}
masked_model = BertForMaskedLM(
    BertConfig(
        vocab_size=9,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
    )
).eval()
causal_model = GPT2LMHeadModel(
    GPT2Config(**small, n_embd=24, n_layer=2, n_head=2, n_positions=16)
).eval()
permuted_model = XLNetLMHeadModel(
    XLNetConfig(**small, d_model=24, n_layer=2, n_head=2, d_inner=48)
).eval()

# BERT: cover, and guess what was covered
M = torch.tensor([1, 4])
covered = ids.clone()
covered[0, M] = MASK
loss = F.cross_entropy(masked_model(covered).logits[0, M], ids[0, M])
labels = torch.full_like(ids, -100)  # -100: not to be guessed
labels[0, M] = ids[0, M]
torch.testing.assert_close(loss, masked_model(covered, labels=labels).loss)

# GPT: position t guesses token t + 1
loss = F.cross_entropy(causal_model(ids).logits[0, :-1], ids[0, 1:])
torch.testing.assert_close(loss, causal_model(ids, labels=ids).loss)

# XLNet: along the order z, the last two places are guessed
z = torch.tensor([3, 0, 5, 2, 1, 4])
place_in_z = z.argsort()
perm_mask = (place_in_z.unsqueeze(0) >= place_in_z.unsqueeze(1)).float().unsqueeze(0)  # (1, T, T)
guessed = z[-2:]  # the positions z_t for t in P
target_mapping = F.one_hot(guessed, T).float().unsqueeze(0)  # (1, |P|, T)
logits = permuted_model(ids, perm_mask=perm_mask, target_mapping=target_mapping).logits
loss = F.cross_entropy(logits[0], ids[0, guessed])
found = permuted_model(
    ids, perm_mask=perm_mask, target_mapping=target_mapping, labels=ids[:, guessed]
)
torch.testing.assert_close(loss, found.loss)
print("The order:", " ".join(words[position] for position in z))

# %% [markdown]
# Rules can be read, and they can be measured. To see who looks at whom we exchange one token $j$ for another, and ask
# which positions $i$ give other numbers than before. Those that do have looked at $j$, straight or by way of a third.
# Draw the three pictures on paper before you run the cell: a row for each token, a square for each token it may look at.

# %% tags=["experiment"]
scale.experiment()


def influence(run: Callable[[Tensor], Tensor]) -> Tensor:
    """run(ids) gives a vector for each position, (T, D). Entry i, j: whether position i depends on token j."""
    looks = torch.zeros(T, T, dtype=torch.bool)
    with torch.no_grad():
        usual = run(ids)
        for j in range(T):
            other = ids.clone()
            other[0, j] = 7
            looks[:, j] = (run(other) - usual).abs().amax(dim=1) > 1e-6
    return looks


everywhere = torch.eye(T).unsqueeze(0)
who = {
    "BERT": influence(lambda x: masked_model(x).logits[0]),
    "GPT": influence(lambda x: causal_model(x).logits[0]),
    "XLNet, guessing along the order": influence(
        lambda x: permuted_model(x, perm_mask=perm_mask, target_mapping=everywhere).logits[0]
    ),
    "XLNet, reading": influence(lambda x: permuted_model(x).logits[0]),
}
who["XLNet, guessing along the order"][z[0]] = False  # see below
assert who["BERT"].all() and who["XLNet, reading"].all()
assert torch.equal(who["GPT"], torch.ones(T, T, dtype=torch.bool).tril())
assert torch.equal(who["XLNet, guessing along the order"], perm_mask[0] == 0)
figure = plots.who_looks({title: (words, looks) for title, looks in who.items()})

# %% [markdown]
# BERT's square is full, and it has to be: nothing is hidden but what was covered. GPT's is a triangle: the first token
# knows nothing of the text, the last one all of it. XLNet's third picture looks like noise; sort its rows and columns by
# the order $z$ and it is GPT's triangle without the diagonal, since a token that is being guessed must not see itself.
# The first of the order would have to be guessed from nothing; a softmax over nothing is undefined, and since only the
# last part of an order is guessed, nobody asks for it. We left its row blank.
# When nothing is guessed, there is no order, and XLNet looks everywhere.
#
# What a token may look at is one thing, what it does look at another: how a trained network spreads its attention
# $a_{ij}$. At offline scale MiniLM has six layers of twelve heads. The figure shows two; in a running notebook the
# sliders below it take you through all: find one that looks at the token after.

# %% tags=["experiment"]
scale.experiment()
looking = load_backbone("bert")
looking.set_attn_implementation("eager")  # the one that hands out its weights
text = bert_tokenizer("the dog that chased the cat was tired", return_tensors="pt")
with torch.no_grad():
    weights = torch.cat(looking(**text, output_attentions=True).attentions)  # (layers, heads, T, T)
torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
shift = weights.diagonal(offset=-1, dim1=2, dim2=3).mean(
    dim=-1
)  # how much each head looks one back
back_layer, back_head = divmod(int(shift.argmax()), weights.shape[1])
first = weights[..., 0].mean(dim=-1)
first_layer, first_head = divmod(int(first.argmax()), weights.shape[1])
figure = attention(
    bert_tokenizer.convert_ids_to_tokens(text["input_ids"][0]),
    weights,
    shown=((back_layer, back_head), (first_layer, first_head)),
)
display(
    Markdown(
        f"The first token: **{int((first > 0.5).sum())}** of the {first.numel()} heads give it more than half of their "
        "weight in this sentence."
    )
)
if scale.current() == "offline":
    assert (first > 0.5).sum() > 1

# %% [markdown]
# On the left the head that looks back by one the most, whatever the words; on the right the one that cares most for the
# first token. It is not alone in that. A guess of those who study this: it is where a head looks when it has nothing to look
# for.
#
# Now the question of the vector again. A mean asks all tokens alike. The families have a custom of their own: one token
# speaks for the text. Look at the pictures. For BERT it is the first, `[CLS]`, put there for the purpose; it may look at
# everything. For GPT the first token would be a poor speaker, since it has seen nothing: the *last real* one has read
# all. XLNet puts its `<cls>` at the end, as its very last token, and that is why it is padded on the left: the speaker
# then stands at the same place in every row.
#
# ### Exercise 3: who speaks for the text
#
# Difficulty ●●○, 10 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "sequence-summary", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sequence_summary(hidden: Tensor, mask: Tensor, family: str) -> Tensor:
    """The vector of the token that speaks for each text.

    hidden: (B, T, D), floating point.
    mask: (B, T) ints, 1 for real tokens and 0 for padding; each row has a real token.
    family: 'bert', padded on the right: the first token speaks. 'gpt', padded on the right: the
        last real token. 'xlnet', padded on the left: the last token.

    Returns (B, D), through which gradients flow to `hidden`. The amount of padding makes no
    difference.

    Must not change: hidden and mask.

    >>> hidden = torch.tensor([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]])
    >>> sequence_summary(hidden, torch.tensor([[1, 1, 0], [1, 1, 1]]), "gpt")
    tensor([[2.],
            [6.]])
    """
    ### BEGIN SOLUTION
    # Why: Padded on the right, each row has its last real token at a place
    # of its own, `mask.sum() - 1`. Rows and places side by side pick one
    # vector a row; `hidden[:, places]` picks every place for every row.
    if family == "bert":
        return hidden[:, 0]
    if family == "xlnet":
        return hidden[:, -1]
    rows = torch.arange(len(hidden), device=hidden.device)
    return hidden[rows, mask.sum(dim=1) - 1]
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-sequence-summary", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_sequence_summary.add_cases(wide=((12, 1, 7, 3), 31), five=((5, 4, 3, 2, 1), 2))
### END HIDDEN TESTS
check_sequence_summary(sequence_summary)

# %% [markdown]
# The three families on the same task: frozen, a probe on the one token's vector, and one on the mean, each beside the
# same model with random weights. Before you read anything into it: this is no race of three games. Offline, MiniLM has
# seen a billion pairs of sentences, and was taught to put a sentence's meaning into the *mean* of its vectors. The GPT
# and the XLNet are small, and have read nothing but the other definitions of WordNet, in minutes. What can be compared
# is each model with itself. Which of the three will lose the most when one token has to speak for all?

# %% tags=["experiment"]
scale.experiment()
families = {}
for name in ("bert", "gpt", "xlnet"):
    for pretrained in (True, False):
        if (pretrained, name) not in states:
            states[pretrained, name] = read(name, pool + test_texts, pretrained=pretrained)
        seen = states[pretrained, name]
        for how, summary in {
            "mean": masked_mean,
            "one token": partial(sequence_summary, family=name),
        }.items():
            families[how, name, pretrained] = accuracies(one_vector(seen, summary), size.counts[-1])
figure = plots.accuracies(
    {
        how: {
            name: {
                "pretrained": families[how, name, True],
                "random weights": families[how, name, False],
            }
            for name in ("bert", "gpt", "xlnet")
        }
        for how in ("mean", "one token")
    },
    chance={how: 1 / len(classes) for how in ("mean", "one token")},
)
display(
    Markdown(
        "Accuracy in % from pretrained (random) weights: "
        + "; ".join(
            f"{name}, {how} {plots.plus_minus(families[how, name, True], 100)} "
            f"({plots.plus_minus(families[how, name, False], 100)})"
            for name in ("bert", "gpt", "xlnet")
            for how in ("mean", "one token")
        )
        + "."
    )
)
cost = {
    name: [
        a - b
        for a, b in zip(
            families["mean", name, True], families["one token", name, True], strict=True
        )
    ]
    for name in ("bert", "gpt", "xlnet")
}
worst = max(cost, key=lambda name: sum(cost[name]))
display(
    Markdown(
        "The mean's lead over the one token, in points, drawing by drawing: "
        + "; ".join(f"{name} {plots.plus_minus(lead, 100)}" for name, lead in cost.items())
        + f". The most is lost by **{worst}**."
    )
)
if size.scale == "offline":
    for how in ("mean", "one token"):
        assert min(families[how, "bert", True]) > max(families[how, "bert", False]) + 0.2
    assert min(families["mean", "bert", True]) > max(families["one token", "bert", True])

# %% [markdown]
# The last line answers the question. MiniLM's `[CLS]` knows less than its mean: nobody taught it to speak. That is no law
# of BERTs. It is what this one was trained for, and a reason to look at how a model was made before you choose the token
# that speaks for it. Fine-tuning would teach either of them; a probe can only read what is there. Hold the small models
# against themselves with random weights before you credit their training: a random network mixes its words, and a mixture
# of words is already a hint at the topic.

# %% [markdown]
# ## Reading
#
# To classify is to give one answer for a whole text. To read is to find the answer *in* it. Here is a text, made by rule
# from WordNet's definitions, and three kinds of question on such texts:

# %% tags=["experiment"]
study = scale.experiment(
    offline={
        "train": 500,
        "test": 150,
        "entries": 3,
        "max_length": 80,
        "stride": 20,
        "depth": 3,
        "epochs": 4,
    },
    quick={
        "train": 9,
        "test": 6,
        "entries": 3,
        "max_length": 60,
        "stride": 20,
        "depth": 5,
        "epochs": 1,
    },
    full={
        "train": 20000,
        "test": 2000,
        "entries": 3,
        "max_length": 384,
        "stride": 128,
        "depth": 0,
        "epochs": 2,
    },
)


def questions(train: int, test: int, entries: int) -> ReadingData:
    """SQuAD at full scale, else questions on definitions."""
    if study.scale == "full":
        return squad()
    return definition_questions(train, test=test, entries=entries)


exam = questions(study.train, study.test, study.entries)
train_questions, test_questions = exam.train[: study.train], exam.test[: study.test]
for one in test_questions[: len(exam.kinds)]:
    display(
        Markdown(f"> {one.context}\n>\n> **{one.question}** *{one.answers[0]}* (kind “{one.kind}”)")
    )
assert all(q.context[q.start :].startswith(q.answers[0]) for q in train_questions + test_questions)

# %% [markdown]
# The answer is always a piece of the text, a *span*. For “what” it is a definition, and the word asked for stands in
# front of it. For “means” the question repeats the definition, and the answer is the word. “kind” is of another sort:
# *which of these is an animal?* No word of the question need be in the text. One has to know.
#
# A network that gives a vector for each token needs little to point at a span: a last layer (also called a head) with
# two numbers for each token.
# One says how well the answer would *start* there, the other how well it would *end* there. With a weight $W$ of shape
# `(2, D)`, a bias $b$ of two numbers and the hidden vector $h_t$ of token $t$,
#
# $$(s_t, e_t) = W h_t + b ,$$
#
# and the loss is two cross-entropies over the tokens, one for the true start $i$ and one for the true end $j$:
#
# $$L = -\frac12\Big(\log\frac{\exp(s_i)}{\sum_t \exp(s_t)} + \log\frac{\exp(e_j)}{\sum_t\exp(e_t)}\Big).$$

# %%
torch.manual_seed(0)
h = torch.randn(6, 4)  # six tokens
head = nn.Linear(4, 2)
start_logits, end_logits = head(h).unbind(dim=1)
i, j = 2, 3

L = -(start_logits.log_softmax(0)[i] + end_logits.log_softmax(0)[j]) / 2
both = torch.stack([start_logits, end_logits], dim=1).unsqueeze(
    0
)  # (1, T, 2): T takes the place of classes
torch.testing.assert_close(L, F.cross_entropy(both, torch.tensor([[i, j]])))

# %% [markdown]
# ## A text that is too long
#
# BERT reads question and text in one go, `[CLS] question [SEP] text [SEP]`, and no more than 512 tokens, fewer where
# memory is short. A long text is cut into *windows*, each behind the whole question. Where do you cut? Wherever it is,
# an answer may lie across the edge, and is then whole in neither window. So neighbours share some tokens, the *stride*
# of the libraries. (BERT's first code called something else by that name: how far a window moves on. Code for
# both meanings is about.)
#
# How long an answer is safe? Let the room behind the question be $r$ tokens, and $u$ of them shared. Windows then begin
# at $0,\ r-u,\ 2(r-u),\dots$ An answer that starts at token $a$ lies at most $r-u-1$ tokens behind the beginning of the
# last window that begins no later than $a$, so at least
#
# $$r-(r-u-1) = u+1$$
#
# tokens from $a$ on are in that window: answers of up to $u+1$ tokens are always whole somewhere, longer ones may be
# cut.
#
# ### Exercise 4: windows
#
# Difficulty ●●○, 15 minutes. Special tokens are left to the caller.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "qa-windows", "locked": false, "schema_version": 3, "solution": true, "task": false}
def qa_windows(question: list[int], context: list[int], max_length: int, stride: int) -> list[dict]:
    """Cuts a context into windows, each behind the whole question.

    question, context: token ids, without special tokens; the context has at least one.
    max_length: how many ids a window may have, the question's among them. What is left for
        context, the room, is max_length - len(question).
    stride: how many ids of context one window shares with the next; 0 <= stride < room.

    Returns a list of dicts {'input_ids': the question's ids and then the piece's, 'offset': the
    index in `context` at which the piece begins}, from the beginning of the context to its end.
    Together the windows cover it. All but the last are full, and none lies wholly inside the one
    before: a context that fits gives one window.

    Must not change: question and context.

    >>> for window in qa_windows([1, 2], [10, 11, 12, 13, 14, 15], max_length=6, stride=1):
    ...     print(window)
    {'input_ids': [1, 2, 10, 11, 12, 13], 'offset': 0}
    {'input_ids': [1, 2, 13, 14, 15], 'offset': 3}
    """
    ### BEGIN SOLUTION
    # Why: The stride is what two windows share, so the next begins `room - stride` further on.
    # We stop at the first window that reaches the end: one more would lie wholly inside it.
    room = max_length - len(question)
    windows, begin = [], 0
    while True:
        windows.append({"input_ids": question + context[begin : begin + room], "offset": begin})
        if begin + room >= len(context):
            return windows
        begin += room - stride
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-qa-windows", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_qa_windows.add_cases(
    bert=(17, 1000, 384, 128),
    exact=(4, 30, 14, 5),
    one_more=(4, 31, 14, 5),
    no_question=(0, 25, 8, 3),
    tight=(5, 12, 6, 0),
)
### END HIDDEN TESTS
check_qa_windows(qa_windows)

# %% [markdown]
# ## The best span
#
# The head gives each token a start and an end. The answer is the pair $(i, j)$ with the largest $s_i + e_j$. Not the
# best start with the best end: each chosen by itself, they may be in the wrong order, forty tokens apart, or in the
# question, which is full of the words that the answer is about. Three conditions, then: both in the context, $i\le j$,
# and $j-i+1$ at most some length. Among the pairs that are left, the largest sum.
#
# What comes out must be characters, since tokens are pieces of words and have lost their blanks. A fast tokenizer hands
# out *offsets*: for each token where it begins in the text, and where the first character behind it is.
#
# ### Exercise 5: the best span
#
# Difficulty ●●○, 15 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "best-span", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_span(
    start_logits: Tensor,
    end_logits: Tensor,
    offsets: Sequence[tuple[int, int] | None],
    max_answer: int,
) -> tuple[int, int]:
    """The characters of the context that answer the question best.

    start_logits, end_logits: (T,), for each token how well the answer starts or ends there.
    offsets: for each of the T tokens (first character, one past its last character) in the
        context; None for tokens of the question and special tokens. At least one is not None.
    max_answer: how many tokens an answer may have, its first and last included; at least 1.

    Returns (first character, one past the last character) of the span from token i to token j with
    the largest start_logits[i] + end_logits[j], where both are in the context, i <= j, and
    j - i + 1 <= max_answer.

    Must not change: logits and offsets.

    >>> start, end = torch.tensor([9.0, 0.0, 2.0, 1.0]), torch.tensor([9.0, 4.0, 0.0, 1.0])
    >>> best_span(start, end, [None, (0, 3), (4, 7), (8, 15)], max_answer=2)
    (0, 3)
    """
    ### BEGIN SOLUTION
    # Why: Start and end are chosen as a pair. The best of each alone may be in the wrong order,
    # too far apart, or in the question; here only pairs that are allowed are there to choose from.
    start, end = start_logits.tolist(), end_logits.tolist()
    inside = [place for place, offset in enumerate(offsets) if offset is not None]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda pair: start[pair[0]] + end[pair[1]])
    return offsets[i][0], offsets[j][1]
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-best-span", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_best_span.add_cases(long=(11, 40, 5, 7), tight=(6, 12, 3, 1), no_padding=(1, 20, 2, 12))
### END HIDDEN TESTS
check_best_span(best_span)

# %% [markdown]
# ## Was it right?
#
# The text says “A hammer is a hand tool.”, the key says “hand tool”, the network says “a hand tool”. Right or wrong?
# SQuAD, the exam that made reading a sport, settled it with two numbers. Both first *normalise*: lower case, no
# punctuation, no articles, one blank between words. *Exact match* is 1 when the two are then equal. F1 gives something
# for a part. With $c$ words shared (each as often as both have it), $g$ words given and $n$ in the reference, precision
# is $c/g$, recall is $c/n$, and their harmonic mean is
#
# $$F_1 = \frac{2}{g/c+n/c} = \frac{2c}{g+n},$$
#
# which is 0 where nothing is shared. A question may have several references; the best one counts.
#
# ### Exercise 6: exact match and F1
#
# Difficulty ●●○, 15 minutes.


# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "exact-match-and-f1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exact_match_and_f1(prediction: str, references: list[str]) -> tuple[float, float]:
    """How good an answer is, as SQuAD measures it.

    prediction: the answer given.
    references: one or more answers that are right.
    Both are normalised, in this order: lower case; every character of `string.punctuation` removed,
        nothing put in its place; the words a, an and the removed; white space collapsed.

    Returns (exact match, F1), numbers between 0 and 1, each the largest over the references. Exact
    match is 1 where the normalised texts are equal, else 0. F1 is 2 c / (g + n) for g words
    given, n words of the reference and c shared by both, a word counted as often as it is
    in both; 0 where none is shared. What two answers without any word have as F1 is left to you.

    Must not change: references.

    >>> exact_match_and_f1("A hand-tool!", ["the handtool"])
    (1.0, 1.0)
    >>> exact_match_and_f1("big red dog", ["the cat", "a big dog"])
    (0.0, 0.8)
    """

    ### BEGIN SOLUTION
    # Why: `&` of two `Counter`s keeps a word as often as both have it; a
    # set would count it once. Punctuation goes first, or the `a` of
    # `a-team` is taken for an article; `\b` leaves the `an` in `another`.
    def words(text: str) -> list[str]:
        plain = "".join(one for one in text.lower() if one not in string.punctuation)
        return re.sub(r"\b(a|an|the)\b", " ", plain).split()

    given, match, f1 = words(prediction), 0.0, 0.0
    for reference in references:
        wanted = words(reference)
        shared = sum((Counter(given) & Counter(wanted)).values())
        match = max(match, float(given == wanted))
        if shared:
            f1 = max(f1, 2 * shared / (len(given) + len(wanted)))
    return match, f1
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "check-exact-match-and-f1", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
### BEGIN HIDDEN TESTS
check_exact_match_and_f1.add_cases(
    titles=("The Lord of the Rings: a Trilogy", ["lord of rings trilogy"], 1, 1),
    years=("in 1984, in Rome", ["1984 in Rome", "rome"], 0, 2 * 3 / 7),
    twice=("so so so good", ["so so good good"], 0, 0.75),
)
### END HIDDEN TESTS
check_exact_match_and_f1(exact_match_and_f1)

# %% [markdown]
# ## The exam
#
# Everything is there: windows, a head, the best span, the measure. We train the head together with the upper layers;
# the lower ones stay frozen, and what they make of a window is computed once. A window that does not hold the answer
# is to point at `[CLS]`, for start and for end: *not here*. Of several windows the one speaks whose best span beats its
# own `[CLS]` by most.

# %% tags=["experiment"]
scale.experiment()


def windows_of(one: Question, max_length: int, stride: int) -> list[dict]:
    """The windows of a question, ready for BERT, each with the tokens at which its answer starts and ends."""
    question = bert_tokenizer(one.question, add_special_tokens=False)["input_ids"]
    context = bert_tokenizer(one.context, add_special_tokens=False, return_offsets_mapping=True)
    cls, sep = bert_tokenizer.cls_token_id, bert_tokenizer.sep_token_id
    found = []
    for window in qa_windows(question, context["input_ids"], max_length - 3, stride):
        piece = window["input_ids"][len(question) :]
        begin = window["offset"]
        offsets = [tuple(pair) for pair in context["offset_mapping"][begin : begin + len(piece)]]
        offsets = [None] * (len(question) + 2) + offsets + [None]
        starts = [t for t, pair in enumerate(offsets) if pair and pair[0] == one.start]
        past = one.start + len(one.answers[0])
        ends = [t for t, pair in enumerate(offsets) if pair and pair[1] == past]
        found.append(
            {
                "input_ids": [cls, *question, sep, *piece, sep],
                "segments": [0] * (len(question) + 2) + [1] * (len(piece) + 1),
                "offsets": offsets,
                "target": (starts[0], ends[0]) if starts and ends else (0, 0),
            }
        )
    return found


def lower_states(front: nn.Module, windows: Sequence[dict]) -> list[Tensor]:
    """What the frozen half makes of each window, (t, D), computed once."""
    found: dict[int, Tensor] = {}
    order = sorted(range(len(windows)), key=lambda number: len(windows[number]["input_ids"]))
    for begin in range(0, len(order), 24):
        rows = order[begin : begin + 24]
        ids = collate(
            [windows[row] | {"label": 0} for row in rows], bert_tokenizer.pad_token_id, "right"
        )
        segments = collate(
            [{"input_ids": windows[row]["segments"], "label": 0} for row in rows], 0, "right"
        )
        hidden = front(
            ids["input_ids"].to(device),
            ids["attention_mask"].to(device),
            segments["input_ids"].to(device),
        ).cpu()
        found |= {
            row: one[: len(windows[row]["input_ids"])]
            for row, one in zip(rows, hidden, strict=True)
        }
    return [found[row] for row in range(len(windows))]


def answer(windows: Sequence[dict], logits: Sequence[Tensor], text: str) -> str:
    """The best span over all windows of a question: the one that beats its window's [CLS] by most."""
    best, words = None, ""
    for window, scores in zip(windows, logits, strict=True):
        start, end = scores.unbind(dim=1)
        first, past = best_span(start, end, window["offsets"], max_answer=30)
        i = next(t for t, pair in enumerate(window["offsets"]) if pair and pair[0] == first)
        j = next(t for t, pair in enumerate(window["offsets"]) if pair and pair[1] == past)
        margin = (start[i] + end[j] - start[0] - end[0]).item()
        if best is None or margin > best:
            best, words = margin, text[first:past]
    return words


def sit_exam(
    front: nn.Module, back: nn.Module, asked: Sequence[Question], max_length: int, stride: int
) -> list[tuple[float, float]]:
    """Exact match and F1 of the answer to each question."""
    windows = [windows_of(one, max_length, stride) for one in asked]
    flat = [window for some in windows for window in some]
    logits = iter(reading.span_logits(back, lower_states(front, flat)))
    return [
        exact_match_and_f1(
            answer(some, [next(logits) for _ in some], one.context), list(one.answers)
        )
        for some, one in zip(windows, asked, strict=True)
    ]


# %% [markdown]
# Beside it the same recipe from random weights. Which of the three kinds of question will the pretrained network answer
# best, and which worst? And the random one?

# %% tags=["experiment"]
scale.experiment()
readers, losses, results = {}, {}, {}
training_windows = [
    w for one in train_questions for w in windows_of(one, study.max_length, study.stride)
]
targets = torch.tensor([window["target"] for window in training_windows])
for name, pretrained in {"pretrained": True, "random weights": False}.items():
    torch.manual_seed(0)
    model = place(load_backbone("bert", pretrained=pretrained), device)
    front, back = reading.halves(model, study.depth)
    back.to(device)
    losses[name] = reading.train_spans(
        back,
        lower_states(front, training_windows),
        targets,
        epochs=study.epochs,
        batch_size=8,
        lr=scale.choose(offline=4e-4, quick=4e-4, full=5e-5),
        head_lr=1e-3,
        seed=0,
    )
    readers[name] = front, back
    results[name] = sit_exam(front, back, test_questions, study.max_length, study.stride)


def by_kind(scores: Sequence[tuple[float, float]], which: int) -> dict[str, list[float]]:
    """One of the two measures, question by question, for each kind."""
    return {
        kind: [
            score[which]
            for score, one in zip(scores, test_questions, strict=True)
            if one.kind == kind
        ]
        for kind in exam.kinds
    }


figure = plots.scores_by_kind(
    {
        f"{name}, {measure}": by_kind(scores, which)
        for name, scores in results.items()
        for which, measure in enumerate(("exact match", "F1"))
    }
)
mean = {name: torch.tensor(scores).mean(dim=0).tolist() for name, scores in results.items()}
display(
    Markdown(
        "; ".join(
            f"{name}: exact match **{match:.0%}**, F1 {f1:.0%}"
            for name, (match, f1) in mean.items()
        )
        + f". {len(test_questions)} questions on words that were in no training question; bars with one standard error."
    )
)
if study.scale == "offline":
    matched = {
        kind: sum(right) / len(right) for kind, right in by_kind(results["pretrained"], 0).items()
    }
    assert mean["random weights"][0] < 0.2 < mean["pretrained"][0] - 0.3
    assert matched["means"] > matched["kind"] > 1 / study.entries + 0.05
    assert mean["random weights"][1] > mean["random weights"][0]

# %% [markdown]
# The recipe is the same, the layers are the same, the training questions are the same. What differs is what the network
# knew before.
#
# Where the question repeats a piece of the text, the answer is next to it. “kind” is harder than “means”: nothing is
# repeated, and to point at one of the words blindly would be right one time in three.
# It is above that, on words it was never asked about: that a lizard is an animal it must have known. Exact match and
# F1 part where an answer is long. Half a definition is half right for the one and wrong for the other. And look at the
# random network: an F1 above its exact match, from words such as “of” that any two definitions share. A measure that
# gives something for a part gives something for nothing too.
#
# ## The edge of a window
#
# Now longer texts than it was trained on, more definitions in each than a window has room for. Three ways to read them:
# the first window alone; windows side by side, with stride 0; windows that share tokens. The network is the same. What
# does the edge cost?

# %% tags=["experiment"]
longer = scale.experiment(
    offline={"questions": 60, "entries": 9, "max_length": 60, "stride": 25},
    quick={"questions": 6, "entries": 6, "max_length": 60, "stride": 25},
    full={"questions": 500, "entries": 9, "max_length": 192, "stride": 64},
)
asked = questions(0, longer.questions, longer.entries).test[: longer.questions]
front, back = readers["pretrained"]
first_only = []
cut_off = Counter()
for one in asked:
    for stride in (0, longer.stride):
        whole = [w for w in windows_of(one, longer.max_length, stride) if w["target"] != (0, 0)]
        cut_off[stride] += not whole
    here = windows_of(one, longer.max_length, 0)[:1]
    (logits,) = reading.span_logits(back, lower_states(front, here))
    first_only.append(exact_match_and_f1(answer(here, [logits], one.context), list(one.answers)))
by_windows = {
    "first window": first_only,
    "side by side": sit_exam(front, back, asked, longer.max_length, 0),
    f"{longer.stride} shared": sit_exam(front, back, asked, longer.max_length, longer.stride),
}
figure = plots.scores_by_kind(
    {
        measure: {way: [score[which] for score in scores] for way, scores in by_windows.items()}
        for which, measure in enumerate(("exact match", "F1"))
    }
)
side_by_side, sharing = (
    torch.tensor([float(match) for match, _ in by_windows[way]])
    for way in ("side by side", f"{longer.stride} shared")
)
lead = sharing - side_by_side  # question by question
display(
    Markdown(
        f"Of {len(asked)} answers **{cut_off[0]}** are whole in no window when windows lie side by side, "
        f"**{cut_off[longer.stride]}** when they share {longer.stride} tokens. Exact match, shared minus side by "
        f"side: {100 * lead.mean().item():.1f} points, with a standard error of "
        f"{100 * lead.std().item() / len(lead) ** 0.5:.1f}."
    )
)
if longer.scale == "offline":
    exact = {way: sum(match for match, _ in scores) for way, scores in by_windows.items()}
    assert cut_off[longer.stride] == 0 < cut_off[0]
    assert (
        exact["first window"] < exact["side by side"]
        and exact["first window"] < exact[f"{longer.stride} shared"]
    )

# %% [markdown]
# The first window alone misses most of what comes later. Side by side, everything is read, but a definition that an edge
# cuts is lost before the network has read a word, and a word whose definition was cut is hard to recognise. Sharing mends
# that, and costs time: every shared token is read twice. Over these questions the difference between the last two is the
# figure above; if it is smaller than twice its error, they are too few to tell.
#
# ## The next door
#
# Ask the reader something that the text does not answer. In training it met a window without the answer
# only where a text was too long for one window; what does the margin over `[CLS]` say then? SQuAD 2.0 is made of such
# questions: P. Rajpurkar et al.,
# [Know What You Don't Know](https://arxiv.org/abs/1806.03822) (2018). The first SQuAD, with the measure you
# wrote: P. Rajpurkar et al., [SQuAD: 100,000+ Questions](https://arxiv.org/abs/1606.05250) (2016). How scores of several
# windows can be made comparable: C. Clark and M. Gardner,
# [Simple and Effective Multi-Paragraph Reading Comprehension](https://arxiv.org/abs/1710.10723) (2018).
#
# The three games, from those who invented them: J. Devlin et al., [BERT](https://arxiv.org/abs/1810.04805) (2019);
# A. Radford et al.,
# [Improving Language Understanding by Generative Pre-Training](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf)
# (2018); Z. Yang et al., [XLNet](https://arxiv.org/abs/1906.08237) (2019). What heads look at:
# K. Clark et al., [What Does BERT Look At?](https://arxiv.org/abs/1906.04341) (2019). Why MiniLM's mean says so much:
# N. Reimers and I. Gurevych, [Sentence-BERT](https://arxiv.org/abs/1908.10084) (2019).
#
# GPT's triangle looked like a handicap here: its tokens never see what comes. It is also what lets it go on where a text
# ends. What does it say?
