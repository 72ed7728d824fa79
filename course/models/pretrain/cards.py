"""What the cards of the small language models say: a text each, with the recipe's numbers and the figures left open."""

from __future__ import annotations

HEAD = """# {name}

A small member of its family, of transformers' own class `{model_class}`: {parameters:,} parameters, stored in half
precision, in the layout of a hub. Written by `python -m course.models.pretrain {name}`, as is this card.

"""
DEFINITIONS = """
**Data.** The 115,244 training definitions of WordNet 3.0 that `course.data.wordnet_definitions` gives, one
line each, as "hammer: a hand tool with a heavy rigid head and a handle". The definitions that
`course.data.wordnet_topics` tests on are not among them.

"""
RECIPE = """**Recipe.** {epochs} epochs of {steps} steps, AdamW in batches of {batch} {unit}, learning rate {lr} after a
warm-up over {warmup:.0%} of the steps, then half a cosine down to zero, weight decay {weight_decay},
gradients clipped to norm 1. Seed {seed}.

"""
TRANSFER = """
**Transfer.** A logistic regression on the mean of its last hidden states, fitted on 20 definitions of each of
12 topics, is right on {topics:.1%} of 1,200 others, in the mean over five drawings; on the same network with
random weights, on {topics_random:.1%}.

"""
WORDNET = """
**Licence.** Apache-2.0, as the course. WordNet 3.0 has Princeton University's own licence, which lets
everyone use it.
"""

GPT = (
    HEAD
    + """**Tokenizer.** GPT-2's kind, byte-level BPE, {vocabulary:,} tokens, trained on the same lines. `<|endoftext|>`
begins a text, ends it, and fills up a batch on the right.

**Task.** To say what comes next: the causal objective. It was trained on blocks of 128 tokens, several lines
in each.
"""
    + DEFINITIONS
    + RECIPE
    + """**Perplexity.** {perplexity:.1f} a token on the 2,415 held-out definitions, each begun by `<|endoftext|>`.
"""
    + TRANSFER
    + """**Limits.** Made to teach with. It writes like a dictionary, in sentences that are often wrong and sometimes
without sense.
"""
    + WORDNET
)

XLNET = (
    HEAD
    + """**Tokenizer.** XLNet's kind, Unigram, {vocabulary:,} tokens, trained on one in eight of the same lines. A text
is followed by `<sep> <cls>`; batches are padded on the left.

**Task.** To say what stands in a place, in an order drawn afresh for each line: the permutation objective. Of
a line's tokens the last third in the order are asked for; each sees what comes before it in the order,
wherever that stands.
"""
    + DEFINITIONS
    + RECIPE
    + """**Loss.** {permutation_loss:.3f} nats a target on the 2,415 held-out definitions.
"""
    + TRANSFER
    + """**Limits.** Made to teach with. It knows the words of definitions, and no longer text. Its `<cls>` was never
asked for anything: for a summary, train it, or take the mean of the other tokens.
"""
    + WORDNET
)

MARIAN = (
    HEAD
    + """**Tokenizer.** {vocabulary:,} tokens for both languages: whole English words, single Chinese characters. A
text ends with `</s>`; what the decoder reads begins with `<pad>`.

**Task.** To translate phrases with numbers, English to Chinese.

**Data.** The training pairs of `course.data.quantities`: dates, times of day, prices and quantities, made by
rule.

"""
    + RECIPE
    + """**Accuracy.** {exact_match:.1%} of the test phrases are translated right to the last character, taking the
likeliest token at each step. No combination in them was in training: no such day of a month, no such time, no
such amount, no such number of that thing.

**Limits.** Made to teach with. It knows these four kinds of phrases, their 230 English words, and nothing
else of either language.

**Licence.** Apache-2.0, as the course.
"""
)

CARDS = {"gpt": (GPT, "blocks"), "xlnet": (XLNET, "lines"), "marian": (MARIAN, "phrases")}
