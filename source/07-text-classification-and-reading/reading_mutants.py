"""Wrong and right implementations that prove the checks of lesson 07."""

import torch
from course.mutants import Mutants

mutants = Mutants()


# -- collate -------------------------------------------------------------------------------------------------


@mutants.wrong("collate", "wrong-side")
def always_on_the_right(batch, pad_id, side):
    rows = [torch.tensor(one["input_ids"]) for one in batch]
    masks = [torch.ones_like(row) for row in rows]
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "input_ids": pad(rows, batch_first=True, padding_value=pad_id),
        "attention_mask": pad(masks, batch_first=True),
        "labels": torch.tensor([one["label"] for one in batch]),
    }


@mutants.wrong("collate", "wrong-side")
def sides_swapped(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        if side == "left":
            ids.append(row + [pad_id] * missing)
            mask.append([1] * len(row) + [0] * missing)
        else:
            ids.append([pad_id] * missing + row)
            mask.append([0] * missing + [1] * len(row))
    labels = [one["label"] for one in batch]
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor(labels),
    }


@mutants.wrong("collate", "pad-id-masked")
def mask_from_the_ids(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids = torch.full((len(batch), longest), pad_id)
    for row, one in zip(ids, batch, strict=True):
        n = len(one["input_ids"])
        row[slice(0, n) if side == "right" else slice(longest - n, longest)] = torch.tensor(
            one["input_ids"]
        )
    return {
        "input_ids": ids,
        "attention_mask": (ids != pad_id).long(),
        "labels": torch.tensor([one["label"] for one in batch]),
    }


@mutants.wrong("collate", "pad-id-masked")
def strips_pads_at_the_ends(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row = list(one["input_ids"])
        padding = [pad_id] * (longest - len(row))
        row = row + padding if side == "right" else padding + row
        real = [1] * longest
        for i in reversed(range(longest)) if side == "right" else range(longest):
            if row[i] != pad_id:
                break
            real[i] = 0
        ids.append(row)
        mask.append(real)
    labels = [one["label"] for one in batch]
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor(labels),
    }


@mutants.wrong("collate", "wrong-filler")
def zeros_for_every_tokenizer(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, one in enumerate(batch):
        n = len(one["input_ids"])
        place = slice(0, n) if side == "right" else slice(longest - n, longest)
        ids[number, place] = torch.tensor(one["input_ids"])
        mask[number, place] = 1
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@mutants.wrong("collate", "wrong-length")
def cut_to_the_shortest(batch, pad_id, side):
    shortest = min(len(one["input_ids"]) for one in batch)
    ids = torch.tensor([one["input_ids"][:shortest] for one in batch])
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


@mutants.wrong("collate", "wrong-length")
def no_more_than_512(batch, pad_id, side):
    longest = min(max(len(one["input_ids"]) for one in batch), 512)
    ids, mask = [], []
    for one in batch:
        row = one["input_ids"][:longest]
        missing = longest - len(row)
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        ones, zeros = [1] * len(row), [0] * missing
        mask.append(ones + zeros if side == "right" else zeros + ones)
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": labels}


@mutants.wrong("collate", "wrong-length")
def always_512(batch, pad_id, side):
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], 512 - len(one["input_ids"])
        padding, zeros, ones = [pad_id] * missing, [0] * missing, [1] * len(row)
        ids.append(row + padding if side == "right" else padding + row)
        mask.append(ones + zeros if side == "right" else zeros + ones)
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": labels}


@mutants.wrong("collate", "not-int64")
def a_mask_of_bools(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    lengths = torch.tensor([len(one["input_ids"]) for one in batch])
    ids = []
    for one in batch:
        padding = [pad_id] * (longest - len(one["input_ids"]))
        row = one["input_ids"]
        ids.append(row + padding if side == "right" else padding + row)
    mask = torch.arange(longest) < lengths[:, None]
    labels = torch.tensor([one["label"] for one in batch])
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": mask if side == "right" else mask.flip(1),
        "labels": labels,
    }


@mutants.wrong("collate", "not-int64")
def ones_and_zeros_of_torch(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row = torch.tensor(one["input_ids"])
        padding = torch.full((longest - len(row),), pad_id)
        parts = [row, padding] if side == "right" else [padding, row]
        real = [torch.ones(len(row)), torch.zeros(len(padding))]
        ids.append(torch.cat(parts))
        mask.append(torch.cat(real if side == "right" else real[::-1]))
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": torch.stack(ids), "attention_mask": torch.stack(mask), "labels": labels}


@mutants.wrong("collate", "inputs-changed")
def pads_the_texts_themselves(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    mask = []
    for one in batch:
        row, zeros = one["input_ids"], [0] * (longest - len(one["input_ids"]))
        mask.append([1] * len(row) + zeros if side == "right" else zeros + [1] * len(row))
        while len(row) < longest:
            row.insert(len(row) if side == "right" else 0, pad_id)
    ids = torch.tensor([one["input_ids"] for one in batch])
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": ids, "attention_mask": torch.tensor(mask), "labels": labels}


@mutants.wrong("collate", "inputs-changed")
def takes_the_labels_out(batch, pad_id, side):
    labels = torch.tensor([one.pop("label") for one in batch])
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        ones, zeros = [1] * len(row), [0] * missing
        mask.append(ones + zeros if side == "right" else zeros + ones)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": labels}


@mutants.wrong("collate", "order-changed")
def longest_first(batch, pad_id, side):
    batch = sorted(batch, key=lambda one: -len(one["input_ids"]))
    longest = len(batch[0]["input_ids"])
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        ones, zeros = [1] * len(row), [0] * missing
        mask.append(ones + zeros if side == "right" else zeros + ones)
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": labels}


@mutants.wrong("collate", "mask-turned")
def ones_for_the_padding(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        zeros, ones = [0] * len(row), [1] * missing
        mask.append(zeros + ones if side == "right" else ones + zeros)
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": labels}


@mutants.wrong("collate", "mask-wrong")
def mask_stays_on_the_right(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        mask.append([1] * len(row) + [0] * missing)
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": labels}


@mutants.wrong("collate", "mask-wrong")
def nothing_masked(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids = []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
    ids = torch.tensor(ids)
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


@mutants.wrong("collate", "tokens-lost")
def turned_round_on_the_left(batch, pad_id, side):
    rows = [torch.tensor(one["input_ids"]) for one in batch]
    masks = [torch.ones_like(row) for row in rows]
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad(rows, batch_first=True, padding_value=pad_id)
    mask = pad(masks, batch_first=True)
    if side == "left":
        ids, mask = ids.flip(1), mask.flip(1)
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@mutants.wrong("collate", "not-a-batch")
def as_a_tuple(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        ones, zeros = [1] * len(row), [0] * missing
        mask.append(ones + zeros if side == "right" else zeros + ones)
    labels = torch.tensor([one["label"] for one in batch])
    return torch.tensor(ids), torch.tensor(mask), labels


@mutants.wrong("collate", "not-a-batch")
def lists_of_lists(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        ones, zeros = [1] * len(row), [0] * missing
        mask.append(ones + zeros if side == "right" else zeros + ones)
    labels = [one["label"] for one in batch]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@mutants.wrong("collate", "not-a-batch")
def label_in_the_singular(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = one["input_ids"], longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        ones, zeros = [1] * len(row), [0] * missing
        mask.append(ones + zeros if side == "right" else zeros + ones)
    label = torch.tensor([one["label"] for one in batch])
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "label": label}


@mutants.right("collate")
def through_full_and_slices(batch, pad_id, side):
    longest = max(len(one["input_ids"]) for one in batch)
    ids = torch.full((len(batch), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for number, one in enumerate(batch):
        row = torch.as_tensor(one["input_ids"])
        place = slice(0, len(row)) if side == "right" else slice(longest - len(row), None)
        ids[number, place], mask[number, place] = row, 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": torch.tensor([b["label"] for b in batch]),
    }


@mutants.right("collate")
def turned_round_twice(batch, pad_id, side):
    left = side == "left"
    rows = [torch.tensor(one["input_ids"][::-1] if left else one["input_ids"]) for one in batch]
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad(rows, batch_first=True, padding_value=pad_id)
    mask = pad([torch.ones_like(row) for row in rows], batch_first=True, padding_value=0)
    if left:
        ids, mask = ids.flip(1), mask.flip(1)
    labels = torch.stack([torch.tensor(one["label"]) for one in batch])
    lengths = torch.tensor([len(row) for row in rows])
    return {"labels": labels, "attention_mask": mask, "input_ids": ids, "lengths": lengths}


@mutants.right("collate")
def through_numpy(batch, pad_id, side):
    import numpy as np

    longest = max(len(one["input_ids"]) for one in batch)
    widths = [(0, longest - len(one["input_ids"])) for one in batch]
    if side == "left":
        widths = [width[::-1] for width in widths]
    ids = [
        np.pad(one["input_ids"], w, constant_values=pad_id)
        for one, w in zip(batch, widths, strict=False)
    ]
    mask = [
        np.pad(np.ones(len(o["input_ids"]), int), w) for o, w in zip(batch, widths, strict=False)
    ]
    labels = np.array([one["label"] for one in batch])
    arrays = {"input_ids": np.stack(ids), "attention_mask": np.stack(mask), "labels": labels}
    return {key: torch.from_numpy(array).long() for key, array in arrays.items()}


@mutants.right("collate")
def through_strings_of_tensors(batch, pad_id, side):
    texts = [torch.LongTensor(one["input_ids"]) for one in batch]
    longest = max(text.numel() for text in texts)
    lengths = torch.tensor([text.numel() for text in texts]).unsqueeze(1)
    places = torch.arange(longest)
    mask = places < lengths if side == "right" else places >= longest - lengths
    ids = torch.full(mask.shape, pad_id).masked_scatter(mask, torch.cat(texts))
    labels = torch.tensor([one["label"] for one in batch])
    return {"input_ids": ids, "attention_mask": mask.to(torch.int64), "labels": labels}


@mutants.right("collate")
def a_batch_encoding(batch, pad_id, side):
    from collections import UserDict

    longest = max(len(one["input_ids"]) for one in batch)
    ids, mask = [], []
    for one in batch:
        row, missing = list(one["input_ids"]), longest - len(one["input_ids"])
        ids.append(row + [pad_id] * missing if side == "right" else [pad_id] * missing + row)
        ones, zeros = [1] * len(row), [0] * missing
        mask.append(ones + zeros if side == "right" else zeros + ones)
    found = UserDict(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    found["labels"] = torch.tensor([one["label"] for one in batch])
    return found


# -- masked_mean ---------------------------------------------------------------------------------------------


@mutants.wrong("masked_mean", "mask-ignored")
def mean_of_everything(hidden, mask):
    return hidden.mean(dim=1)


@mutants.wrong("masked_mean", "mask-ignored")
def all_summed_real_counted(hidden, mask):
    return hidden.sum(dim=1) / mask.sum(dim=1, keepdim=True)


@mutants.wrong("masked_mean", "mask-ignored")
def mask_as_logits(hidden, mask):
    weights = mask.to(hidden.dtype).softmax(dim=1)
    return (hidden * weights.unsqueeze(-1)).sum(dim=1)


@mutants.wrong("masked_mean", "divided-by-length")
def mean_of_the_products(hidden, mask):
    return (hidden * mask.unsqueeze(-1)).mean(dim=1)


@mutants.wrong("masked_mean", "divided-by-length")
def divided_by_the_longest(hidden, mask):
    return (hidden * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1).max()


@mutants.wrong("masked_mean", "divided-by-length")
def divided_by_those_that_are_not_zero(hidden, mask):
    kept = hidden * mask.unsqueeze(-1)
    return kept.sum(dim=1) / (kept != 0).any(dim=2).sum(dim=1, keepdim=True)


@mutants.wrong("masked_mean", "divided-by-length")
def divided_by_all_tokens(hidden, mask):
    return (hidden * mask.unsqueeze(-1)).sum(dim=1) / mask.sum()


@mutants.wrong("masked_mean", "divided-by-length")
def only_the_sum(hidden, mask):
    return torch.einsum("btd,bt->bd", hidden, mask.to(hidden.dtype))


@mutants.wrong("masked_mean", "right-padding-only")
def the_first_n(hidden, mask):
    return torch.stack(
        [row[: int(m.sum())].mean(dim=0) for row, m in zip(hidden, mask, strict=False)]
    )


@mutants.wrong("masked_mean", "mean-wrong")
def without_the_first_token(hidden, mask):
    mask = mask.to(hidden.dtype)
    first = mask.argmax(dim=1)
    mask = mask * (torch.arange(mask.shape[1]) != first[:, None])
    return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


@mutants.wrong("masked_mean", "mean-wrong")
def padding_taken_off_again(hidden, mask):
    padding = hidden * (1 - mask.long()).unsqueeze(-1)
    return (hidden.sum(dim=1) - padding.sum(dim=1)) / mask.sum(dim=1, keepdim=True)


@mutants.wrong("masked_mean", "mean-wrong")
def softened_count(hidden, mask):
    mask = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * mask).sum(1) / (mask.sum(1) + 1)


@mutants.wrong("masked_mean", "mean-wrong")
def the_largest(hidden, mask):
    return hidden.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)


@mutants.wrong("masked_mean", "mask-ignored")
def takes_zeros_for_padding(hidden, mask):
    real = (hidden != 0).any(dim=-1, keepdim=True)
    return (hidden * real).sum(dim=1) / real.sum(dim=1)


@mutants.wrong("masked_mean", "mask-ignored")
def a_gentle_minus(hidden, mask):
    weights = (mask.to(hidden.dtype) - 1).mul(2).softmax(dim=1)
    return (hidden * weights.unsqueeze(-1)).sum(dim=1)


@mutants.wrong("masked_mean", "wrong-shape")
def keeps_the_dimension(hidden, mask):
    mask = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True)


@mutants.wrong("masked_mean", "wrong-shape")
def one_mean_for_the_batch(hidden, mask):
    return hidden[mask.bool()].mean(dim=0)


@mutants.wrong("masked_mean", "wrong-shape")
def squeezed(hidden, mask):
    mask = mask.to(hidden.dtype).unsqueeze(-1)
    return ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).squeeze()


@mutants.wrong("masked_mean", "inputs-changed")
def zeroes_the_padding(hidden, mask):
    with torch.no_grad():
        hidden *= mask.unsqueeze(-1).to(hidden.dtype)
    return hidden.sum(dim=1) / mask.sum(dim=1, keepdim=True)


@mutants.wrong("masked_mean", "not-differentiable")
def without_a_graph(hidden, mask):
    with torch.no_grad():
        mask = mask.to(hidden.dtype).unsqueeze(-1)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


@mutants.wrong("masked_mean", "not-differentiable")
def by_way_of_numpy(hidden, mask):
    import numpy as np

    h, m = hidden.detach().numpy(), mask.numpy().astype(bool)
    return torch.from_numpy(
        np.stack([row[real].mean(axis=0) for row, real in zip(h, m, strict=False)])
    )


@mutants.right("masked_mean")
def row_by_row(hidden, mask):
    return torch.stack(
        [row[real.bool()].mean(dim=0) for row, real in zip(hidden, mask, strict=False)]
    )


@mutants.right("masked_mean")
def as_a_product_of_matrices(hidden, mask):
    weights = mask.to(hidden.dtype)
    weights = weights / weights.sum(dim=1, keepdim=True)
    return torch.bmm(weights.unsqueeze(1), hidden).squeeze(1)


@mutants.right("masked_mean")
def filled_with_zeros(hidden, mask):
    real = mask.bool()[..., None].expand_as(hidden)
    kept = torch.where(real, hidden, torch.zeros_like(hidden))
    return kept.sum(dim=-2) / real.sum(dim=-2).clamp(min=1e-9)


@mutants.right("masked_mean")
def ignoring_nan(hidden, mask):
    return hidden.masked_fill(mask.unsqueeze(-1) == 0, float("nan")).nanmean(dim=1)


@mutants.right("masked_mean")
def by_attention(hidden, mask):
    scores = torch.zeros(mask.shape, dtype=hidden.dtype).masked_fill(mask == 0, float("-inf"))
    return torch.einsum("btd,bt->bd", hidden, scores.softmax(dim=1))


# -- sequence_summary ----------------------------------------------------------------------------------------


@mutants.wrong("sequence_summary", "summary-of-padding")
def last_position_for_gpt(hidden, mask, family):
    return hidden[:, 0] if family == "bert" else hidden[:, -1]


@mutants.wrong("sequence_summary", "summary-of-padding")
def xlnet_like_bert(hidden, mask, family):
    if family == "gpt":
        return hidden[torch.arange(len(hidden)), mask.sum(dim=1) - 1]
    return hidden[:, 0]


@mutants.wrong("sequence_summary", "summary-of-padding")
def no_minus_one(hidden, mask, family):
    if family == "gpt":
        place = mask.sum(dim=1).clamp(max=hidden.shape[1] - 1)
        return hidden[torch.arange(len(hidden)), place]
    return hidden[:, 0 if family == "bert" else -1]


@mutants.wrong("sequence_summary", "not-the-last")
def xlnet_counted_from_the_left(hidden, mask, family):
    if family == "bert":
        return hidden[:, 0]
    if family == "xlnet":
        first = hidden.shape[1] - mask.sum(dim=1)
        return hidden[torch.arange(len(hidden)), first]
    return hidden[torch.arange(len(hidden)), mask.sum(dim=1) - 1]


@mutants.wrong("sequence_summary", "summary-of-padding")
def xlnet_padded_like_gpt(hidden, mask, family):
    if family == "bert":
        return hidden[:, 0]
    return hidden[torch.arange(len(hidden)), mask.sum(dim=1) - 1]


@mutants.wrong("sequence_summary", "not-the-last")
def one_before_the_last(hidden, mask, family):
    if family == "gpt":
        place = (mask.sum(dim=1) - 2).clamp(min=0)
        return hidden[torch.arange(len(hidden)), place]
    return hidden[:, 0 if family == "bert" else -1]


@mutants.wrong("sequence_summary", "not-the-last")
def first_for_everyone_real(hidden, mask, family):
    first = mask.to(torch.int64).argmax(dim=1)
    return hidden[torch.arange(len(hidden)), first]


@mutants.wrong("sequence_summary", "not-the-first")
def last_for_everyone(hidden, mask, family):
    places = torch.arange(hidden.shape[1])
    last = (mask * places).argmax(dim=1)
    return hidden[torch.arange(len(hidden)), last]


@mutants.wrong("sequence_summary", "one-place-for-all")
def length_of_the_shortest(hidden, mask, family):
    if family == "gpt":
        return hidden[:, int(mask.sum(dim=1).min()) - 1]
    return hidden[:, 0 if family == "bert" else -1]


@mutants.wrong("sequence_summary", "summary-wrong")
def mean_for_gpt(hidden, mask, family):
    if family == "gpt":
        weights = mask.to(hidden.dtype).unsqueeze(-1)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    return hidden[:, 0 if family == "bert" else -1]


@mutants.wrong("sequence_summary", "summary-of-padding")
def longest_for_all(hidden, mask, family):
    if family == "gpt":
        return hidden[:, int(mask.sum(dim=1).max()) - 1]
    return hidden[:, 0 if family == "bert" else -1]


@mutants.wrong("sequence_summary", "wrong-shape")
def every_position_of_every_row(hidden, mask, family):
    if family == "gpt":
        return hidden[:, mask.sum(dim=1) - 1]
    return hidden[:, 0 if family == "bert" else -1]


@mutants.wrong("sequence_summary", "wrong-shape")
def squeezes_too_much(hidden, mask, family):
    if family == "gpt":
        place = (mask.sum(dim=1) - 1).reshape(-1, 1, 1).expand(-1, 1, hidden.shape[2])
        return hidden.gather(1, place).squeeze()
    return hidden[:, 0 if family == "bert" else -1].squeeze()


@mutants.wrong("sequence_summary", "wrong-shape")
def keeps_one_position(hidden, mask, family):
    if family == "gpt":
        place = (mask.sum(dim=1) - 1).reshape(-1, 1, 1).expand(-1, 1, hidden.shape[2])
        return hidden.gather(1, place)
    return hidden[:, :1] if family == "bert" else hidden[:, -1:]


@mutants.wrong("sequence_summary", "not-differentiable")
def detached(hidden, mask, family):
    place = {"bert": torch.zeros(len(hidden), dtype=torch.long), "gpt": mask.sum(dim=1) - 1}
    place["xlnet"] = torch.full((len(hidden),), hidden.shape[1] - 1)
    return hidden[torch.arange(len(hidden)), place[family]].detach()


@mutants.wrong("sequence_summary", "inputs-changed")
def clears_the_padding(hidden, mask, family):
    with torch.no_grad():
        hidden[mask == 0] = 0.0
    if family == "gpt":
        return hidden[torch.arange(len(hidden)), mask.sum(dim=1) - 1]
    return hidden[:, 0 if family == "bert" else -1]


@mutants.right("sequence_summary")
def with_gather(hidden, mask, family):
    if family == "bert":
        return hidden.select(1, 0)
    place = (
        mask.sum(dim=1) - 1 if family == "gpt" else torch.full((len(hidden),), hidden.size(1) - 1)
    )
    place = place.reshape(-1, 1, 1).expand(-1, 1, hidden.size(2))
    return hidden.gather(1, place).squeeze(1)


@mutants.right("sequence_summary")
def a_list_of_rows(hidden, mask, family):
    picked = []
    for row, real in zip(hidden, mask, strict=False):
        mine = row[real.bool()]
        picked.append(mine[0] if family == "bert" else mine[-1])
    return torch.stack(picked)


@mutants.right("sequence_summary")
def last_one_of_the_mask(hidden, mask, family):
    if family == "bert":
        return hidden[:, 0, :]
    places = torch.arange(hidden.shape[1], device=hidden.device)
    last = (mask * (places + 1)).argmax(dim=1)
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]


@mutants.right("sequence_summary")
def as_one_hot(hidden, mask, family):
    from torch.nn import functional as F

    place = {"bert": 0, "xlnet": hidden.shape[1] - 1}.get(family, mask.long().sum(dim=1) - 1)
    place = torch.as_tensor(place).expand(len(hidden))
    chosen = F.one_hot(place, hidden.shape[1]).to(hidden.dtype)
    return torch.einsum("bt,btd->bd", chosen, hidden)


# -- qa_windows ----------------------------------------------------------------------------------------------


@mutants.wrong("qa_windows", "stride-as-step")
def moves_on_by_stride(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        windows.append({"input_ids": question + context[begin : begin + room], "offset": begin})
        if begin + room >= len(context):
            return windows
        begin += max(stride, 1)


@mutants.wrong("qa_windows", "no-overlap")
def side_by_side(question, context, max_length, stride):
    room = max_length - len(question)
    return [
        {"input_ids": question + context[i : i + room], "offset": i}
        for i in range(0, len(context), room)
    ]


@mutants.wrong("qa_windows", "no-overlap")
def one_too_few_shared(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while not windows or begin + stride - 1 < len(context):
        windows.append({"input_ids": question + context[begin : begin + room], "offset": begin})
        begin += room - stride + 1
    return windows


@mutants.wrong("qa_windows", "window-inside")
def until_the_beginnings_run_out(question, context, max_length, stride):
    room = max_length - len(question)
    if len(context) <= room:
        return [{"input_ids": question + context, "offset": 0}]
    return [
        {"input_ids": question + context[i : i + room], "offset": i}
        for i in range(0, len(context), room - stride)
    ]


@mutants.wrong("qa_windows", "more-than-one")
def a_window_for_every_beginning(question, context, max_length, stride):
    room = max_length - len(question)
    return [
        {"input_ids": question + context[i : i + room], "offset": i}
        for i in range(0, len(context), room - stride)
        if i == 0 or i + stride < len(context) or len(context) <= room
    ]


@mutants.wrong("qa_windows", "context-lost")
def full_windows_only(question, context, max_length, stride):
    room = max_length - len(question)
    if len(context) <= room:
        return [{"input_ids": question + context, "offset": 0}]
    return [
        {"input_ids": question + context[i : i + room], "offset": i}
        for i in range(0, len(context) - room + 1, room - stride)
    ]


@mutants.wrong("qa_windows", "context-lost")
def first_window_only(question, context, max_length, stride):
    return [{"input_ids": (question + context)[:max_length], "offset": 0}]


@mutants.wrong("qa_windows", "pulled-back")
def last_one_pulled_back(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        begin = max(0, min(begin, len(context) - room))
        windows.append({"input_ids": question + context[begin : begin + room], "offset": begin})
        if begin + room >= len(context):
            return windows
        begin += room - stride


@mutants.wrong("qa_windows", "too-long")
def question_not_counted(question, context, max_length, stride):
    windows, begin = [], 0
    while True:
        piece = context[begin : begin + max_length]
        windows.append({"input_ids": question + piece, "offset": begin})
        if begin + max_length >= len(context):
            return windows
        begin += max_length - stride


@mutants.wrong("qa_windows", "not-full")
def room_for_special_tokens(question, context, max_length, stride):
    room, windows, begin = max_length - len(question) - 3, [], 0
    while True:
        windows.append({"input_ids": question + context[begin : begin + room], "offset": begin})
        if begin + room >= len(context):
            return windows
        begin += max(room - stride, 1)


@mutants.wrong("qa_windows", "offset-wrong")
def offset_in_the_window(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        piece = context[begin : begin + room]
        windows.append({"input_ids": question + piece, "offset": begin + len(question)})
        if begin + room >= len(context):
            return windows
        begin += room - stride


@mutants.wrong("qa_windows", "offset-wrong")
def numbers_of_windows(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        piece = context[begin : begin + room]
        windows.append({"input_ids": question + piece, "offset": len(windows)})
        if begin + room >= len(context):
            return windows
        begin += room - stride


@mutants.wrong("qa_windows", "question-missing")
def question_only_once(question, context, max_length, stride):
    both, windows, begin = question + context, [], 0
    while True:
        offset = max(0, begin - len(question))
        windows.append({"input_ids": both[begin : begin + max_length], "offset": offset})
        if begin + max_length >= len(both):
            return windows
        begin += max_length - stride


@mutants.wrong("qa_windows", "question-missing")
def question_behind(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        windows.append({"input_ids": context[begin : begin + room] + question, "offset": begin})
        if begin + room >= len(context):
            return windows
        begin += room - stride


@mutants.wrong("qa_windows", "inputs-changed")
def grows_the_question(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    asked = list(question)
    while True:
        ids = question
        ids += context[begin : begin + room]
        windows.append({"input_ids": asked + ids[len(asked) :][-room:], "offset": begin})
        if begin + room >= len(context):
            return windows
        begin += room - stride


@mutants.wrong("qa_windows", "inputs-changed")
def eats_the_context(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        windows.append({"input_ids": question + context[:room], "offset": begin})
        if len(context) <= room:
            return windows
        del context[: room - stride]
        begin += room - stride


@mutants.wrong("qa_windows", "not-windows")
def pairs_instead_of_dicts(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        windows.append((question + context[begin : begin + room], begin))
        if begin + room >= len(context):
            return windows
        begin += room - stride


@mutants.wrong("qa_windows", "repeated-ids")
def looks_the_piece_up(question, context, max_length, stride):
    room, windows, begin = max_length - len(question), [], 0
    while True:
        piece = context[begin : begin + room]
        offset = context.index(piece[0]) if piece else 0
        windows.append({"input_ids": question + piece, "offset": offset})
        if begin + room >= len(context):
            return windows
        begin += room - stride


@mutants.right("qa_windows")
def by_a_formula(question, context, max_length, stride):
    import math

    room = max_length - len(question)
    more = max(0, math.ceil((len(context) - room) / (room - stride)))
    begins = [k * (room - stride) for k in range(more + 1)]
    return [{"input_ids": [*question, *context[b : b + room]], "offset": b} for b in begins]


@mutants.right("qa_windows")
def range_with_an_end(question, context, max_length, stride):
    room = max_length - len(question)
    begins = range(0, max(len(context) - stride, 1), room - stride)
    windows = []
    for begin in begins:
        piece = context[begin : begin + room]
        windows.append({"input_ids": list(question) + piece, "offset": begin, "size": len(piece)})
    return windows


@mutants.right("qa_windows")
def from_one_to_the_next(question, context, max_length, stride):
    room = max_length - len(question)

    def cut(begin):
        here = {"input_ids": question + context[begin : begin + room], "offset": begin}
        return [here] + (cut(begin + room - stride) if begin + room < len(context) else [])

    return cut(0)


@mutants.right("qa_windows")
def as_tuples(question, context, max_length, stride):
    room = max_length - len(question)

    def windows():
        begin = 0
        while True:
            yield {"input_ids": tuple(question + context[begin : begin + room]), "offset": begin}
            if begin + room >= len(context):
                return
            begin += room - stride

    return tuple(windows())


# -- best_span -----------------------------------------------------------------------------------------------


@mutants.wrong("best_span", "in-question")
def over_all_tokens(start_logits, end_logits, offsets, max_answer):
    n = len(offsets)
    pairs = [(i, j) for i in range(n) for j in range(i, min(n, i + max_answer))]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "in-question")
def nothing_stands_at_zero(start_logits, end_logits, offsets, max_answer):
    places = [offset or (0, 0) for offset in offsets]
    n = len(places)
    pairs = [(i, j) for i in range(n) for j in range(i, min(n, i + max_answer))]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return places[i][0], places[j][1]


@mutants.wrong("best_span", "in-question")
def only_the_start_in_context(start_logits, end_logits, offsets, max_answer):
    places = [offset or (0, 0) for offset in offsets]
    n = len(places)
    pairs = [(i, j) for i in range(n) if offsets[i] for j in range(i, min(n, i + max_answer))]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return places[i][0], places[j][1]


@mutants.wrong("best_span", "in-question")
def only_the_end_in_context(start_logits, end_logits, offsets, max_answer):
    places = [offset or (0, 0) for offset in offsets]
    n = len(places)
    pairs = [(i, j) for i in range(n) for j in range(i, min(n, i + max_answer)) if offsets[j]]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return places[i][0], places[j][1]


@mutants.wrong("best_span", "in-question")
def masked_with_zero(start_logits, end_logits, offsets, max_answer):
    places = [offset or (0, 0) for offset in offsets]
    real = torch.tensor([offset is not None for offset in offsets])
    start, end = start_logits * real, end_logits * real
    n = len(places)
    pairs = [(i, j) for i in range(n) for j in range(i, min(n, i + max_answer))]
    i, j = max(pairs, key=lambda p: float(start[p[0]] + end[p[1]]))
    return places[i][0], places[j][1]


@mutants.wrong("best_span", "in-question")
def behind_the_question(start_logits, end_logits, offsets, max_answer):
    places = [offset or (0, 0) for offset in offsets]
    n = len(places)
    begin = next(i for i, offset in enumerate(offsets) if offset)
    pairs = [(i, j) for i in range(begin, n) for j in range(i, min(n, i + max_answer))]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return places[i][0], places[j][1]


@mutants.wrong("best_span", "not-a-span")
def the_twenty_best_of_each(start_logits, end_logits, offsets, max_answer):
    starts = start_logits.topk(min(20, len(offsets))).indices.tolist()
    ends = end_logits.topk(min(20, len(offsets))).indices.tolist()
    best, answer = None, None
    for i in starts:
        for j in ends:
            if offsets[i] and offsets[j] and i <= j < i + max_answer:
                score = float(start_logits[i] + end_logits[j])
                if best is None or score > best:
                    best, answer = score, (offsets[i][0], offsets[j][1])
    return answer


@mutants.wrong("best_span", "end-before-start")
def each_by_itself(start_logits, end_logits, offsets, max_answer):
    outside = torch.tensor([offset is None for offset in offsets])
    i = int(start_logits.masked_fill(outside, float("-inf")).argmax())
    j = int(end_logits.masked_fill(outside, float("-inf")).argmax())
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "end-before-start")
def distance_either_way(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if abs(i - j) < max_answer + 6]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "greedy")
def the_start_first(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    i = max(inside, key=lambda k: float(start_logits[k]))
    ends = [j for j in inside if i <= j < i + max_answer]
    j = max(ends, key=lambda k: float(end_logits[k]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "greedy")
def the_end_first(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    j = max(inside, key=lambda k: float(end_logits[k]))
    starts = [i for i in inside if i <= j < i + max_answer]
    i = max(starts, key=lambda k: float(start_logits[k]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "greedy")
def by_the_better_of_the_two(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max_answer]
    i, j = max(
        pairs,
        key=lambda p: max(
            (float(start_logits[p[0]]), float(end_logits[p[1]])),
            (float(end_logits[p[1]]), float(start_logits[p[0]])),
        ),
    )
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "greedy")
def the_two_best_of_each(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    starts = sorted(inside, key=lambda k: -float(start_logits[k]))[:2]
    ends = sorted(inside, key=lambda k: -float(end_logits[k]))[:2]
    pairs = [(i, j) for i in starts for j in ends if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "greedy")
def the_twenty_best_in_context(start_logits, end_logits, offsets, max_answer):
    outside = torch.tensor([offset is None for offset in offsets])
    most = min(20, int((~outside).sum()))
    starts = start_logits.masked_fill(outside, float("-inf")).topk(most).indices
    ends = end_logits.masked_fill(outside, float("-inf")).topk(most).indices
    sums = start_logits[starts][:, None] + end_logits[ends][None]
    length = ends[None] - starts[:, None] + 1
    sums = sums.masked_fill((length < 1) | (length > max_answer), float("-inf"))
    i, j = divmod(int(sums.argmax()), most)
    return offsets[starts[i]][0], offsets[ends[j]][1]


@mutants.wrong("best_span", "greedy")
def any_end_for_the_ten_best_starts(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    starts = sorted(inside, key=lambda k: -float(start_logits[k]))[:10]
    pairs = [(i, j) for i in starts for j in inside if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "greedy")
def any_start_for_the_ten_best_ends(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    ends = sorted(inside, key=lambda k: -float(end_logits[k]))[:10]
    pairs = [(i, j) for i in inside for j in ends if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "longer-than-allowed")
def any_length(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if i <= j]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "longer-than-allowed")
def one_token_more(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i <= max_answer]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "longer-than-allowed")
def swaps_what_is_the_wrong_way_round(start_logits, end_logits, offsets, max_answer):
    outside = torch.tensor([offset is None for offset in offsets])
    i = int(start_logits.masked_fill(outside, float("-inf")).argmax())
    j = int(end_logits.masked_fill(outside, float("-inf")).argmax())
    i, j = min(i, j), max(i, j)
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "not-long-enough")
def one_token_less(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max(max_answer - 1, 1)]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "sum-wrong")
def by_the_product(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] * end_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "sum-wrong")
def logits_swapped(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda p: float(end_logits[p[0]] + start_logits[p[1]]))
    return offsets[i][0], offsets[j][1]


@mutants.wrong("best_span", "not-a-span")
def better_than_a_thousand_below_zero(start_logits, end_logits, offsets, max_answer):
    best, answer = -1000.0, None
    for i in range(len(offsets)):
        for j in range(i, min(len(offsets), i + max_answer)):
            if offsets[i] and offsets[j] and start_logits[i] + end_logits[j] > best:
                best, answer = start_logits[i] + end_logits[j], (offsets[i][0], offsets[j][1])
    return answer


@mutants.wrong("best_span", "not-a-span")
def better_than_zero(start_logits, end_logits, offsets, max_answer):
    best, answer = 0.0, None
    for i in range(len(offsets)):
        for j in range(i, min(len(offsets), i + max_answer)):
            if offsets[i] and offsets[j] and start_logits[i] + end_logits[j] > best:
                best, answer = start_logits[i] + end_logits[j], (offsets[i][0], offsets[j][1])
    return answer


@mutants.wrong("best_span", "tokens-not-characters")
def numbers_of_tokens(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max_answer]
    return max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))


@mutants.wrong("best_span", "last-character")
def first_characters_of_both(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][0]


@mutants.wrong("best_span", "last-character")
def one_character_more(start_logits, end_logits, offsets, max_answer):
    inside = [i for i, offset in enumerate(offsets) if offset]
    pairs = [(i, j) for i in inside for j in inside if 0 <= j - i < max_answer]
    i, j = max(pairs, key=lambda p: float(start_logits[p[0]] + end_logits[p[1]]))
    return offsets[i][0], offsets[j][1] + 1


@mutants.wrong("best_span", "inputs-changed")
def masks_in_place(start_logits, end_logits, offsets, max_answer):
    for i, offset in enumerate(offsets):
        if offset is None:
            start_logits[i] = end_logits[i] = float("-inf")
    sums = (start_logits[:, None] + end_logits[None, :]).triu().tolist()
    n = len(offsets)
    pairs = [(i, j) for i in range(n) for j in range(i, min(n, i + max_answer))]
    i, j = max(pairs, key=lambda p: sums[p[0]][p[1]])
    return offsets[i][0], offsets[j][1]


@mutants.right("best_span")
def with_a_matrix(start_logits, end_logits, offsets, max_answer):
    n = len(offsets)
    inside = torch.tensor([offset is not None for offset in offsets])
    sums = start_logits.unsqueeze(1) + end_logits.unsqueeze(0)
    allowed = torch.ones(n, n, dtype=torch.bool).triu().tril(max_answer - 1)
    allowed &= inside.unsqueeze(1) & inside.unsqueeze(0)
    i, j = divmod(int(sums.masked_fill(~allowed, float("-inf")).argmax()), n)
    return [offsets[i][0], offsets[j][1]]


@mutants.right("best_span")
def by_probabilities(start_logits, end_logits, offsets, max_answer):
    start, end = start_logits.softmax(0).tolist(), end_logits.softmax(0).tolist()
    best, answer = -1.0, None
    for i, first in enumerate(offsets):
        for j in range(i, min(i + max_answer, len(offsets))):
            if first is not None and offsets[j] is not None and start[i] * end[j] > best:
                best, answer = start[i] * end[j], (first[0], offsets[j][1])
    return answer


@mutants.right("best_span")
def all_pairs_sorted(start_logits, end_logits, offsets, max_answer):
    import itertools

    inside = [i for i, offset in enumerate(offsets) if offset is not None]
    pairs = itertools.combinations_with_replacement(inside, 2)
    allowed = [(i, j) for i, j in pairs if j - i + 1 <= max_answer]
    allowed.sort(key=lambda pair: (start_logits[pair[0]] + end_logits[pair[1]]).item())
    i, j = allowed[-1]
    return torch.tensor([offsets[i][0], offsets[j][1]])


@mutants.right("best_span")
def best_end_for_each_start(start_logits, end_logits, offsets, max_answer):
    import numpy as np

    s, e = np.array(start_logits), np.array(end_logits)
    outside = np.array([offset is None for offset in offsets])
    e = np.where(outside, -np.inf, e)
    best = max(
        (s[i] + e[i : i + max_answer].max(), i, i + int(e[i : i + max_answer].argmax()))
        for i in range(len(s))
        if not outside[i]
    )
    return np.int64(offsets[best[1]][0]), np.int64(offsets[best[2]][1])


# -- exact_match_and_f1 --------------------------------------------------------------------------------------


@mutants.wrong("exact_match_and_f1", "case-counts")
def as_it_is_written(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = "".join(c for c in text if c not in string.punctuation)
        return re.sub(r"\b(a|an|the|A|An|The)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "punctuation-counts")
def punctuation_stays(prediction, references):
    import re
    from collections import Counter

    def words(text):
        return re.sub(r"\b(a|an|the)\b", " ", text.lower()).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "punctuation-counts")
def punctuation_leaves_a_gap(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = re.sub(f"[{re.escape(string.punctuation)}]", " ", text.lower())
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "punctuation-counts")
def letters_of_ascii_only(prediction, references):
    import re
    from collections import Counter

    def words(text):
        text = re.sub(r"[^a-z0-9\s]", "", text.lower())
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "punctuation-counts")
def the_underscore_is_a_letter(prediction, references):
    import re
    from collections import Counter

    def words(text):
        text = re.sub(r"[^\w\s]", "", text.lower())
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "punctuation-counts")
def the_marks_that_come_to_mind(prediction, references):
    import re
    from collections import Counter

    def words(text):
        text = re.sub(r"[.,!?;:'\"_()-]", "", text.lower())
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "punctuation-counts")
def stripped_at_the_ends(prediction, references):
    import string
    from collections import Counter

    def words(text):
        found = [word.strip(string.punctuation) for word in text.lower().split()]
        return [word for word in found if word and word not in ("a", "an", "the")]

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "articles-count")
def articles_stay(prediction, references):
    import string
    from collections import Counter

    def words(text):
        return text.lower().translate(str.maketrans("", "", string.punctuation)).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "articles-count")
def articles_in_front_only(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"^(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "articles-count")
def articles_before_lower_case(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = re.sub(r"\b(a|an|the)\b", " ", text)
        return text.lower().translate(str.maketrans("", "", string.punctuation)).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "articles-count")
def articles_before_punctuation(prediction, references):
    import string
    from collections import Counter

    def words(text):
        kept = " ".join(word for word in text.lower().split() if word not in ("a", "an", "the"))
        return kept.translate(str.maketrans("", "", string.punctuation)).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "articles-in-words")
def articles_anywhere(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"(the|an|a)", "", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "articles-in-words")
def articles_with_a_blank(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"(the|an|a)( |$)", "", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "spaces-count")
def blanks_stay(prediction, references):
    import string
    from collections import Counter

    def normal(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        words = [word for word in text.split(" ") if word not in ("a", "an", "the")]
        return " ".join(words)

    def f1(a, b):
        shared = sum((Counter(a.split()) & Counter(b.split())).values())
        return 2 * shared / (len(a.split()) + len(b.split())) if shared else 0.0

    p, rs = normal(prediction), [normal(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "words-as-set")
def with_sets(prediction, references):
    import re
    import string

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = len(set(a) & set(b))
        return 2 * shared / (len(set(a)) + len(set(b))) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "words-as-set")
def counted_on_one_side(prediction, references):
    import re
    import string

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        precision = sum(word in b for word in a) / max(len(a), 1)
        recall = sum(word in a for word in b) / max(len(b), 1)
        return 2 * precision * recall / (precision + recall) if precision and recall else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "not-harmonic")
def recall_only(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def recall(a, b):
        return sum((Counter(a) & Counter(b)).values()) / max(len(b), 1)

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(recall(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "not-harmonic")
def plain_mean(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def between(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return (shared / max(len(a), 1) + shared / max(len(b), 1)) / 2

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(between(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "match-too-wide")
def same_words_are_a_match(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return sorted(re.sub(r"\b(a|an|the)\b", " ", text).split())

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "word-order")
def words_in_order_alone(prediction, references):
    import re
    import string

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        from difflib import SequenceMatcher

        shared = sum(block.size for block in SequenceMatcher(None, a, b).get_matching_blocks())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "not-the-best")
def first_reference_only(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    p, r = words(prediction), words(references[0])
    shared = sum((Counter(p) & Counter(r)).values())
    return int(p == r), 2 * shared / (len(p) + len(r)) if shared else 0.0


@mutants.wrong("exact_match_and_f1", "not-the-best")
def mean_over_references(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), sum(f1(p, r) for r in rs) / len(rs)


@mutants.wrong("exact_match_and_f1", "not-the-best")
def last_reference_that_shares(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    p, match, f1 = words(prediction), 0, 0.0
    for one in references:
        r = words(one)
        shared = sum((Counter(p) & Counter(r)).values())
        match = max(match, int(p == r))
        f1 = 2 * shared / (len(p) + len(r)) if shared else f1
    return match, f1


@mutants.wrong("exact_match_and_f1", "not-two-numbers")
def nan_for_nothing(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = torch.tensor(float(sum((Counter(a) & Counter(b)).values())))
        precision, recall = shared / len(a), shared / len(b)
        return float(2 * precision * recall / (precision + recall))

    p, rs = words(prediction), [words(one) for one in references]
    return max(int(p == r) for r in rs), max(f1(p, r) for r in rs)


@mutants.wrong("exact_match_and_f1", "not-two-numbers")
def in_percent(prediction, references):
    import re
    import string
    from collections import Counter

    def words(text):
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    def f1(a, b):
        shared = sum((Counter(a) & Counter(b)).values())
        return 2 * shared / (len(a) + len(b)) if shared else 0.0

    p, rs = words(prediction), [words(one) for one in references]
    return 100 * max(int(p == r) for r in rs), 100 * max(f1(p, r) for r in rs)


@mutants.right("exact_match_and_f1")
def as_squad_has_it(prediction, references):
    import re
    import string
    from collections import Counter

    def normalised(s):
        s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())

    def f1_score(a, b):
        a, b = normalised(a).split(), normalised(b).split()
        common = Counter(a) & Counter(b)
        num_same = sum(common.values())
        if num_same == 0:
            return 0
        precision, recall = 1.0 * num_same / len(a), 1.0 * num_same / len(b)
        return (2 * precision * recall) / (precision + recall)

    match = max(normalised(prediction) == normalised(one) for one in references)
    return match, max(f1_score(prediction, one) for one in references)


@mutants.right("exact_match_and_f1")
def as_squad_two_has_it(prediction, references):
    import string
    from collections import Counter

    drop = str.maketrans("", "", string.punctuation)

    def words(text):
        return [w for w in text.lower().translate(drop).split() if w not in {"a", "an", "the"}]

    best = [0.0, 0.0]
    gold = Counter(words(prediction))
    for one in references:
        other = Counter(words(one))
        if not gold or not other:
            f1 = float(gold == other)
        else:
            f1 = 2 * (gold & other).total() / (gold.total() + other.total())
        best[0] = max(best[0], float(words(prediction) == words(one)))
        best[1] = max(best[1], f1)
    return best


@mutants.right("exact_match_and_f1")
def by_removing_one_by_one(prediction, references):
    import re

    def words(text):
        text = re.sub(r"[^\w\s]|_", "", text.casefold())
        return [word for word in re.split(r"\s+", text) if word and word not in ["a", "an", "the"]]

    scores = []
    for one in references:
        a, left = words(prediction), words(one)
        total, shared = len(a) + len(left), 0
        for word in a:
            if word in left:
                left.remove(word)
                shared += 1
        scores.append((a == words(one), 2 * shared / total if shared else 0))
    return torch.tensor(scores, dtype=torch.float32).amax(dim=0)
