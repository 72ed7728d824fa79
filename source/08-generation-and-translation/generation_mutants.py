"""Wrong and right implementations of lesson 08's exercises: they prove its checks.

Each stands alone with what the lesson's setup imports. A wrong one comes with the misconception that its card must
name.
"""

import math
from collections import Counter

import torch
from course.mutants import Mutants
from torch import nn
from torch.nn import functional as F

mutants = Mutants()

# -- causal_loss -----------------------------------------------------------------------------------------


@mutants.wrong("causal_loss", "no-shift")
def compares_in_place(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)
    return F.cross_entropy(logits.transpose(1, 2), labels)


@mutants.wrong("causal_loss", "no-shift")
def drops_the_last_of_both(logits, input_ids, mask):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), input_ids[:, :-1], reduction="none")
    return (losses * mask[:, :-1]).sum() / mask[:, :-1].sum()


@mutants.wrong("causal_loss", "shifted-twice")
def shifts_labels_then_again(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)[:, 1:]
    return F.cross_entropy(logits[:, :-2].transpose(1, 2), labels[:, 1:])


@mutants.wrong("causal_loss", "shifted-twice")
def shifts_what_was_shifted(logits, input_ids, mask):
    logits, labels, real = logits[:, :-1], input_ids[:, 1:], mask[:, 1:]
    if labels.shape[1] > 1:
        logits, labels, real = logits[:, :-1], labels[:, 1:], real[:, 1:]
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    return losses[real.bool()].mean()


@mutants.wrong("causal_loss", "shifted-back")
def predicts_the_past(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)
    return F.cross_entropy(logits[:, 1:].transpose(1, 2), labels[:, :-1])


@mutants.wrong("causal_loss", "padding-counted")
def no_mask(logits, input_ids, mask):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten())


@mutants.wrong("causal_loss", "padding-counted")
def zero_for_padding(logits, input_ids, mask):
    labels = input_ids * mask
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@mutants.wrong("causal_loss", "mask-not-shifted")
def mask_of_the_reader(logits, input_ids, mask):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), input_ids[:, 1:], reduction="none")
    return losses[mask[:, :-1].bool()].mean()


@mutants.wrong("causal_loss", "end-masked")
def masks_by_the_pad_id(logits, input_ids, mask):
    labels = input_ids.clone()
    if (mask == 0).any():
        labels[input_ids == input_ids[mask == 0][0]] = -100
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])


@mutants.wrong("causal_loss", "end-masked")
def leaves_the_last_out(logits, input_ids, mask):
    lengths = mask.sum(1)
    labels = input_ids.masked_fill(mask == 0, -100)
    if input_ids.shape[1] > 2:
        labels[torch.arange(len(labels)), lengths - 1] = -100
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])


@mutants.wrong("causal_loss", "end-masked")
def reads_real_when_the_next_is_real(logits, input_ids, mask):
    real = mask[:, 1:] * F.pad(mask[:, 2:], (0, 1))
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), input_ids[:, 1:], reduction="none")
    return (losses * real).sum() / real.sum().clamp(min=1)


@mutants.wrong("causal_loss", "rows-averaged")
def mean_of_row_means(logits, input_ids, mask):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), input_ids[:, 1:], reduction="none")
    real = mask[:, 1:]
    rows = real.sum(1) > 0
    return ((losses * real).sum(1)[rows] / real.sum(1)[rows]).mean()


@mutants.wrong("causal_loss", "summed")
def sums_everything(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="sum")


@mutants.wrong("causal_loss", "summed")
def sums_each_row(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)
    total = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="sum")
    return total / len(labels)


@mutants.wrong("causal_loss", "wrong-count")
def divides_by_all_places(logits, input_ids, mask):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), input_ids[:, 1:], reduction="none")
    return (losses * mask[:, 1:]).mean()


@mutants.wrong("causal_loss", "wrong-count")
def divides_by_tokens(logits, input_ids, mask):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), input_ids[:, 1:], reduction="none")
    return (losses * mask[:, 1:]).sum() / mask.sum()


@mutants.wrong("causal_loss", "softmax-first")
def probabilities_for_logits(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)
    return F.cross_entropy(logits.softmax(-1)[:, :-1].transpose(1, 2), labels[:, 1:])


@mutants.wrong("causal_loss", "axes-mixed")
def reshapes_for_the_loss(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)[:, 1:]
    b, t = labels.shape
    return F.cross_entropy(logits[:, :-1].reshape(b, logits.shape[2], t), labels)


@mutants.wrong("causal_loss", "inputs-changed")
def writes_into_the_ids(logits, input_ids, mask):
    labels = input_ids
    labels[mask == 0] = -100
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])


@mutants.wrong("causal_loss", "no-gradient")
def as_a_float(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:]).item()


@mutants.wrong("causal_loss", "no-gradient")
def detached(logits, input_ids, mask):
    labels = input_ids.masked_fill(mask == 0, -100)
    with torch.no_grad():
        return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])


@mutants.wrong("causal_loss", "not-a-number")
def one_for_each_token(logits, input_ids, mask):
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), input_ids[:, 1:], reduction="none")


@mutants.wrong("causal_loss", "wrong-loss")
def sign_forgotten(logits, input_ids, mask):
    logp = logits[:, :-1].log_softmax(-1).gather(2, input_ids[:, 1:, None])[..., 0]
    return logp[mask[:, 1:].bool()].mean()


@mutants.right("causal_loss")
def by_masked_labels(logits, input_ids, mask):
    labels = torch.where(mask.bool(), input_ids, -100)
    return F.cross_entropy(logits[:, :-1, :].transpose(1, 2), labels[:, 1:])


@mutants.right("causal_loss")
def by_gather(logits, input_ids, mask):
    logp = logits.log_softmax(dim=-1)[:, :-1].gather(-1, input_ids[:, 1:].unsqueeze(-1)).squeeze(-1)
    real = mask[:, 1:].to(logp.dtype)
    return -(logp * real).sum() / real.sum()


@mutants.right("causal_loss")
def row_by_row(logits, input_ids, mask):
    total, count = 0.0, 0
    for row, ids, real in zip(logits, input_ids, mask, strict=True):
        n = int(real.sum())
        if n > 1:
            total = total + F.cross_entropy(row[: n - 1], ids[1:n], reduction="sum")
            count += n - 1
    return total / count


@mutants.right("causal_loss")
def as_the_library_pads(logits, input_ids, mask):
    labels = input_ids.clone()
    labels[~mask.bool()] = -100
    shifted = F.pad(labels, (0, 1), value=-100)[..., 1:].contiguous()
    return F.cross_entropy(
        logits.float().view(-1, logits.size(-1)), shifted.view(-1), ignore_index=-100
    )


@mutants.right("causal_loss")
def with_one_hot(logits, input_ids, mask):
    keep = mask[:, 1:].nonzero(as_tuple=True)
    z = logits[:, :-1][keep]
    target = F.one_hot(input_ids[:, 1:][keep], z.shape[-1]).to(z.dtype)
    return (torch.logsumexp(z, dim=-1) - (z * target).sum(-1)).mean()


@mutants.right("causal_loss")
def as_a_vector_of_one(logits, input_ids, mask):
    loss = nn.NLLLoss(ignore_index=-1, reduction="sum")
    labels = input_ids[:, 1:].masked_fill(mask[:, 1:] != 1, -1).reshape(-1)
    logp = nn.LogSoftmax(dim=1)(logits[:, :-1].reshape(len(labels), -1))
    return loss(logp, labels) / (labels >= 0).sum()


# -- perplexity ------------------------------------------------------------------------------------------


@mutants.wrong("perplexity", "batches-averaged")
def mean_of_batches(model, loader):
    was = model.training
    model.eval()
    losses = []
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            losses.append(F.cross_entropy(model(ids)[:, :-1].transpose(1, 2), labels).item())
    model.train(was)
    return math.exp(sum(losses) / len(losses))


@mutants.wrong("perplexity", "rows-averaged")
def weighted_by_rows(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            loss = F.cross_entropy(model(ids)[:, :-1].transpose(1, 2), labels).item()
            total, count = total + loss * len(ids), count + len(ids)
    model.train(was)
    return math.exp(total / count)


@mutants.wrong("perplexity", "exp-too-early")
def mean_of_perplexities(model, loader):
    was = model.training
    model.eval()
    found = []
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            loss = F.cross_entropy(model(ids)[:, :-1].transpose(1, 2), labels)
            found.append(loss.exp().item())
    model.train(was)
    return sum(found) / len(found)


@mutants.wrong("perplexity", "wrong-count")
def counts_tokens(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            loss = F.cross_entropy(model(ids)[:, :-1].transpose(1, 2), labels).item()
            total, count = total + loss * int(mask.sum()), count + int(mask.sum())
    model.train(was)
    return math.exp(total / count)


@mutants.wrong("perplexity", "no-exp")
def the_loss_itself(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            logits = model(ids)[:, :-1].transpose(1, 2)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            count += int(mask[:, 1:].sum())
    model.train(was)
    return total / count


@mutants.wrong("perplexity", "wrong-base")
def two_to_the_nats(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            logits = model(ids)[:, :-1].transpose(1, 2)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            count += int(mask[:, 1:].sum())
    model.train(was)
    return 2 ** (total / count)


@mutants.wrong("perplexity", "padding-counted")
def mask_ignored(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, _mask in loader:
            logits = model(ids)[:, :-1].transpose(1, 2)
            losses = F.cross_entropy(logits, ids[:, 1:], reduction="none")
            total, count = total + losses.sum().item(), count + losses.numel()
    model.train(was)
    return math.exp(total / count)


@mutants.wrong("perplexity", "no-shift")
def of_the_tokens_just_read(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            losses = F.cross_entropy(model(ids).transpose(1, 2), ids, reduction="none")
            total, count = total + (losses * mask).sum().item(), count + mask.sum().item()
    model.train(was)
    return math.exp(total / count)


@mutants.wrong("perplexity", "end-masked")
def pad_id_left_out(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            pads = ids[mask == 0]
            real = mask[:, 1:].bool()
            if len(pads):
                real = real & (ids[:, 1:] != pads[0])
            losses = F.cross_entropy(
                model(ids)[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none"
            )
            total, count = total + losses[real].sum().item(), count + real.sum().item()
    model.train(was)
    return math.exp(total / max(count, 1))


@mutants.wrong("perplexity", "batch-skipped")
def returns_in_the_loop(model, loader):
    was = model.training
    model.eval()
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            loss = F.cross_entropy(model(ids)[:, :-1].transpose(1, 2), labels).item()
            break
    model.train(was)
    return math.exp(loss)


@mutants.wrong("perplexity", "training-mode")
def mode_as_it_comes(model, loader):
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            logits = model(ids)[:, :-1].transpose(1, 2)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            count += int(mask[:, 1:].sum())
    return math.exp(total / count)


@mutants.wrong("perplexity", "mode-not-restored")
def always_back_to_training(model, loader):
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            logits = model(ids)[:, :-1].transpose(1, 2)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            count += int(mask[:, 1:].sum())
    model.train()
    return math.exp(total / count)


@mutants.wrong("perplexity", "mode-not-restored")
def stays_in_eval(model, loader):
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            logits = model(ids)[:, :-1].transpose(1, 2)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            count += int(mask[:, 1:].sum())
    return math.exp(total / count)


@mutants.wrong("perplexity", "graph-built")
def builds_a_graph(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    for ids, mask in loader:
        labels = ids.masked_fill(mask == 0, -100)[:, 1:]
        logits = model(ids)[:, :-1].transpose(1, 2)
        total += F.cross_entropy(logits, labels, reduction="sum").item()
        count += int(mask[:, 1:].sum())
    model.train(was)
    return math.exp(total / count)


@mutants.wrong("perplexity", "gradients-left-off")
def switches_gradients_off(model, loader):
    torch.set_grad_enabled(False)
    was = model.training
    model.eval()
    total = count = 0
    for ids, mask in loader:
        labels = ids.masked_fill(mask == 0, -100)[:, 1:]
        logits = model(ids)[:, :-1].transpose(1, 2)
        total += F.cross_entropy(logits, labels, reduction="sum").item()
        count += int(mask[:, 1:].sum())
    model.train(was)
    return math.exp(total / count)


@mutants.wrong("perplexity", "model-changed")
def freezes_instead(model, loader):
    was = model.training
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    total = count = 0
    for ids, mask in loader:
        labels = ids.masked_fill(mask == 0, -100)[:, 1:]
        logits = model(ids)[:, :-1].transpose(1, 2)
        total += F.cross_entropy(logits, labels, reduction="sum").item()
        count += int(mask[:, 1:].sum())
    model.train(was)
    return math.exp(total / count)


@mutants.wrong("perplexity", "not-a-float")
def gives_a_tensor(model, loader):
    was = model.training
    model.eval()
    total = count = 0
    with torch.no_grad():
        for ids, mask in loader:
            labels = ids.masked_fill(mask == 0, -100)[:, 1:]
            logits = model(ids)[:, :-1].transpose(1, 2)
            total = total + F.cross_entropy(logits, labels, reduction="sum")
            count += int(mask[:, 1:].sum())
    model.train(was)
    return (total / count).exp()


@mutants.right("perplexity")
def all_surprises_in_a_list(model, loader):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    surprises = []
    with torch.inference_mode():
        for ids, mask in loader:
            logp = model(ids).log_softmax(-1)
            for row in range(len(ids)):
                n = int(mask[row].sum())
                surprises += [-logp[row, t, ids[row, t + 1]].item() for t in range(n - 1)]
    for module, mode in modes:
        module.training = mode
    return math.exp(sum(surprises) / len(surprises))


@mutants.right("perplexity")
def means_times_counts(model, loader):
    @torch.no_grad()
    def measured():
        total, count = torch.zeros(()).double(), 0
        for ids, mask in loader:
            n = mask[:, 1:].sum().item()
            labels = torch.where(mask.bool(), ids, -100)[:, 1:]
            logits = model(ids)[:, :-1]
            total += n * F.cross_entropy(logits.flatten(0, 1), labels.flatten()).double()
            count += n
        return (total / count).exp().item()

    was_training = model.training
    model.train(False)
    try:
        return measured()
    finally:
        model.train(was_training)


@mutants.right("perplexity")
def in_bits(model, loader):
    was = model.training
    model.eval()
    bits = tokens = 0.0
    with torch.no_grad():
        for batch in loader:
            ids, mask = batch[0], batch[1]
            p = model(ids).softmax(-1)[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
            real = mask[:, 1:].float()
            bits -= (p.log2() * real).sum().item()
            tokens += real.sum().item()
    model.train(was)
    return float(2.0 ** (bits / tokens))


# -- sample ----------------------------------------------------------------------------------------------


@mutants.wrong("sample", "temperature-after-softmax")
def softens_probabilities(model, ids, temperature, top_k, top_p, generator):
    p = model(ids)[:, -1].softmax(-1) / temperature
    p, order = p.sort(dim=-1, descending=True)
    p = p / p.sum(-1, keepdim=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "temperature-after-softmax")
def temperature_ignored(model, ids, temperature, top_k, top_p, generator):
    p, order = model(ids)[:, -1].softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "temperature-after-softmax")
def softmax_twice(model, ids, temperature, top_k, top_p, generator):
    p = model(ids)[:, -1].softmax(-1)
    if temperature != 1:
        p = (p / temperature).softmax(-1)
    p, order = p.sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "temperature-upside-down")
def multiplies(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] * temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "overflow")
def exponentials_by_hand(model, ids, temperature, top_k, top_p, generator):
    e = (model(ids)[:, -1] / temperature).exp()
    p, order = (e / e.sum(-1, keepdim=True)).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "best-dropped")
def sum_with_its_own(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None and top_p < 1:
        p = p * (p.cumsum(-1) <= top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "crossing-dropped")
def keeps_the_best_only_by_hand(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None and top_p < 1:
        keep = p.cumsum(-1) <= top_p
        keep[:, 0] = True
        p = p * keep
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "nucleus-too-large")
def one_more(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None and top_p > 0.1:
        before = p.cumsum(-1) - p
        keep = F.pad(before < top_p, (1, 0), value=True)[:, :-1]
        p = p * keep
    elif top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "from-the-wrong-end")
def rising_order(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "limit-before-temperature")
def nucleus_first(model, ids, temperature, top_k, top_p, generator):
    z, order = model(ids)[:, -1].sort(dim=-1, descending=True)
    if top_k is not None:
        z = z.masked_fill(torch.arange(z.shape[-1]) >= top_k, -math.inf)
    if top_p is not None:
        p = z.softmax(-1)
        z = z.masked_fill(p.cumsum(-1) - p >= top_p, -math.inf)
    p = (z / temperature).softmax(-1)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "rank-for-token")
def forgets_the_order(model, ids, temperature, top_k, top_p, generator):
    p, _ = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return torch.multinomial(p, 1, generator=generator)[:, 0]


@mutants.wrong("sample", "rank-for-token")
def forgets_the_order_of_top_k(model, ids, temperature, top_k, top_p, generator):
    z = model(ids)[:, -1] / temperature
    if top_k is not None:
        p = z.topk(top_k).values.softmax(-1)
        return torch.multinomial(p, 1, generator=generator)[:, 0]
    p, order = z.softmax(-1).sort(dim=-1, descending=True)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "top-k-ignored")
def no_top_k(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "top-k-ignored")
def masks_with_zero(model, ids, temperature, top_k, top_p, generator):
    z = model(ids)[:, -1] / temperature
    z = z - z.amax(-1, keepdim=True)
    if top_k is not None:
        z = torch.where(z >= z.topk(top_k).values[:, -1:], z, z.clamp(min=-1e9))
    p, order = z.softmax(-1).sort(dim=-1, descending=True)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "top-k-count")
def one_less(model, ids, temperature, top_k, top_p, generator):
    z = model(ids)[:, -1] / temperature
    if top_k is not None and 1 < top_k < z.shape[-1]:
        z = z.masked_fill(z <= z.topk(top_k).values[:, -1:], -math.inf)
    elif top_k == 1:
        return z.argmax(-1)
    p, order = z.softmax(-1).sort(dim=-1, descending=True)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "top-p-ignored")
def no_top_p(model, ids, temperature, top_k, top_p, generator):
    z = model(ids)[:, -1] / temperature
    if top_p is not None and top_p < 0.1:
        return z.argmax(-1)
    if top_k is not None:
        z = z.masked_fill(z < z.topk(top_k).values[:, -1:], -math.inf)
    return torch.multinomial(z.softmax(-1), 1, generator=generator)[:, 0]


@mutants.wrong("sample", "best-dropped")
def no_top_p_at_all(model, ids, temperature, top_k, top_p, generator):
    z = model(ids)[:, -1] / temperature
    if top_k is not None:
        z = z.masked_fill(z < z.topk(top_k).values[:, -1:], -math.inf)
    return torch.multinomial(z.softmax(-1), 1, generator=generator)[:, 0]


@mutants.wrong("sample", "rows-mixed")
def limits_of_the_first_row(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p[0].cumsum(-1) - p[0] < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "not-in-proportion")
def evenly(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    limited = False
    if top_k is not None:
        p, limited = p * (torch.arange(p.shape[-1]) < top_k), True
    if top_p is not None:
        p, limited = p * (p.cumsum(-1) - p < top_p), True
    p = (p > 0).float() if limited else p
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "greedy")
def always_the_best(model, ids, temperature, top_k, top_p, generator):
    return model(ids)[:, -1].argmax(-1)


@mutants.wrong("sample", "never-drawn")
def never_the_first_token(model, ids, temperature, top_k, top_p, generator):
    z = model(ids)[:, -1] / temperature
    z = z.masked_fill(torch.arange(z.shape[-1]) == 0, -math.inf)
    p, order = z.softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "wrong-distribution")
def sigmoid_for_softmax(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).sigmoid().sort(dim=-1, descending=True)
    p = p / p.sum(-1, keepdim=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "shared-draw")
def one_number_for_all(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    cdf = p.cumsum(-1) / p.sum(-1, keepdim=True)
    u = torch.rand(1, generator=generator)
    return order.gather(1, (cdf < u).sum(-1, keepdim=True).clamp(max=p.shape[-1] - 1))[:, 0]


@mutants.wrong("sample", "wrong-position")
def first_position(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, 0] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "wrong-position")
def mean_of_positions(model, ids, temperature, top_k, top_p, generator):
    z = model(ids)[:, :-1].mean(1) if ids.shape[1] > 1 else model(ids)[:, -1]
    p, order = (z / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "not-one-each")
def keeps_the_column(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))


@mutants.wrong("sample", "not-one-each")
def squeezes_everything(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator)).squeeze()


@mutants.wrong("sample", "ids-changed")
def shifts_the_ids_on(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    token = order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]
    ids[:, :-1] = ids[:, 1:].clone()
    ids[:, -1] = token
    return token


@mutants.wrong("sample", "generator-ignored")
def global_generator(model, ids, temperature, top_k, top_p, generator):
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1))[:, 0]


@mutants.wrong("sample", "generator-ignored")
def seeds_the_global_one(model, ids, temperature, top_k, top_p, generator):
    torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1))[:, 0]


@mutants.wrong("sample", "always-the-same")
def seeds_the_generator_anew(model, ids, temperature, top_k, top_p, generator):
    generator = torch.Generator().manual_seed(generator.initial_seed())
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.wrong("sample", "always-the-same")
def a_seed_of_its_own(model, ids, temperature, top_k, top_p, generator):
    generator = torch.Generator().manual_seed(42)
    p, order = (model(ids)[:, -1] / temperature).softmax(-1).sort(dim=-1, descending=True)
    if top_k is not None:
        p = p * (torch.arange(p.shape[-1]) < top_k)
    if top_p is not None:
        p = p * (p.cumsum(-1) - p < top_p)
    return order.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]


@mutants.right("sample")
def as_transformers_does(model, ids, temperature, top_k, top_p, generator):
    logits = model(ids)[:, -1, :].float() / temperature
    if top_k is not None:
        kth = torch.topk(logits, min(top_k, logits.size(-1)))[0][..., -1, None]
        logits = logits.masked_fill(logits < kth, -float("inf"))
    if top_p is not None and top_p < 1.0:
        rising, order = torch.sort(logits, descending=False)
        remove = rising.softmax(dim=-1).cumsum(dim=-1) <= (1 - top_p)
        remove[..., -1:] = False
        logits = logits.masked_fill(remove.scatter(1, order, remove), -float("inf"))
    return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)


@mutants.right("sample")
def with_gumbel_noise(model, ids, temperature, top_k, top_p, generator):
    with torch.no_grad():
        z = model(ids)[:, -1].double() / temperature
    for row in z:
        p, order = row.softmax(0).sort(descending=True)
        keep = len(p) if top_k is None else top_k
        if top_p is not None:
            keep = min(keep, int((p.cumsum(0) - p < top_p).sum()))
        row[order[keep:]] = -math.inf
    u = torch.rand(z.shape, generator=generator, dtype=torch.float64)
    return (z - (-u.log()).log()).argmax(1)


@mutants.right("sample")
def by_inverse_distribution(model, ids, temperature, top_k, top_p, generator):
    p = torch.softmax(model(ids)[:, -1].detach() / temperature, dim=-1)
    falling, order = torch.sort(p, dim=-1, descending=True)
    if top_k:
        falling[:, top_k:] = 0
        falling /= falling.sum(-1, keepdim=True)
    if top_p is not None:
        before = F.pad(falling.cumsum(-1)[:, :-1], (1, 0))
        falling[before >= top_p] = 0
    cdf = falling.cumsum(-1)
    u = torch.rand(len(ids), 1, generator=generator) * cdf[:, -1:]
    places = torch.searchsorted(cdf, u, right=True).clamp(max=p.shape[1] - 1)
    return order.gather(1, places).flatten()


@mutants.right("sample")
def exponential_race(model, ids, temperature, top_k, top_p, generator):
    logits = model(ids)[:, -1]
    logits = logits / temperature
    probs = logits.softmax(-1)
    ranks = probs.argsort(dim=-1, descending=True).argsort(dim=-1)
    bigger = (probs[:, None, :] * (ranks[:, None, :] < ranks[:, :, None])).sum(-1)
    keep = torch.ones_like(probs, dtype=torch.bool)
    if top_k is not None:
        keep &= ranks < top_k
    if top_p is not None:
        keep &= (bigger < top_p) | (ranks == 0)
    race = torch.empty(probs.shape).exponential_(generator=generator)
    return (race / (probs * keep)).argmin(dim=-1)


@mutants.right("sample")
def row_by_row_in_python(model, ids, temperature, top_k, top_p, generator):
    rows = torch.softmax(model(ids)[:, -1] / temperature, -1).tolist()
    drawn = []
    for p, u in zip(rows, torch.rand(len(rows), generator=generator).tolist(), strict=True):
        order = sorted(range(len(p)), key=lambda token: -p[token])[:top_k]
        nucleus, mass = [], 0.0
        for token in order:
            nucleus.append(token)
            mass += p[token]
            if top_p is not None and mass >= top_p:
                break
        u *= mass
        for token in nucleus:
            u -= p[token]
            if u < 0:
                break
        drawn.append(token)
    return torch.tensor(drawn)


# -- shift_right -----------------------------------------------------------------------------------------


@mutants.wrong("shift_right", "shifted-left")
def to_the_left(labels, start_id):
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], start_id)], dim=1)


@mutants.wrong("shift_right", "not-shifted")
def a_copy(labels, start_id):
    return labels.clone()


@mutants.wrong("shift_right", "first-overwritten")
def overwrites_the_first(labels, start_id):
    shifted = labels.clone()
    shifted[:, 0] = start_id
    return shifted


@mutants.wrong("shift_right", "last-kept")
def keeps_the_last(labels, start_id):
    return torch.cat([torch.full_like(labels[:, :1], start_id), labels], dim=1)


@mutants.wrong("shift_right", "last-kept")
def only_drops_the_last(labels, start_id):
    return labels[:, :-1].clone()


@mutants.wrong("shift_right", "rolled-round")
def rolls(labels, start_id):
    return labels.roll(1, dims=1)


@mutants.wrong("shift_right", "wrong-start")
def zero_for_the_start(labels, start_id):
    return F.pad(labels[:, :-1], (1, 0))


@mutants.wrong("shift_right", "wrong-start")
def start_in_the_first_row_only(labels, start_id):
    shifted = labels.roll(1, dims=1)
    shifted[0, 0] = start_id
    return shifted


@mutants.wrong("shift_right", "wrong-axis")
def rolls_the_rows(labels, start_id):
    shifted = labels.roll(1, dims=0)
    shifted[0] = start_id
    return shifted


@mutants.wrong("shift_right", "wrong-axis")
def rolls_flat(labels, start_id):
    shifted = labels.roll(1)
    shifted[0, 0] = start_id
    return shifted


@mutants.wrong("shift_right", "smeared")
def forwards_in_place(labels, start_id):
    shifted = labels.clone()
    for t in range(1, labels.shape[1]):
        shifted[:, t] = shifted[:, t - 1]
    shifted[:, 0] = start_id
    return shifted


@mutants.wrong("shift_right", "wrong-tokens")
def tidies_ignored_labels(labels, start_id):
    shifted = torch.full_like(labels, start_id)
    shifted[:, 1:] = labels[:, :-1]
    return shifted.masked_fill(shifted == -100, start_id)


@mutants.wrong("shift_right", "inputs-changed")
def in_the_labels_themselves(labels, start_id):
    labels[:, 1:] = labels[:, :-1].clone()
    labels[:, 0] = start_id
    return labels


@mutants.wrong("shift_right", "wrong-dtype")
def as_floats(labels, start_id):
    shifted = torch.zeros(labels.shape)
    shifted[:, 0] = start_id
    shifted[:, 1:] = labels[:, :-1]
    return shifted


@mutants.wrong("shift_right", "wrong-dtype")
def as_short_integers(labels, start_id):
    start = torch.full((len(labels), 1), start_id, dtype=torch.int32)
    return torch.cat([start, labels[:, :-1].int()], dim=1)


@mutants.wrong("shift_right", "not-a-tensor")
def as_lists(labels, start_id):
    return [[start_id, *row[:-1]] for row in labels.tolist()]


@mutants.right("shift_right")
def by_concatenation(labels, start_id):
    start = torch.full((labels.shape[0], 1), start_id, dtype=labels.dtype)
    return torch.cat((start, labels[:, :-1]), dim=1)


@mutants.right("shift_right")
def by_padding(labels, start_id):
    return F.pad(labels, (1, -1), value=start_id)


@mutants.right("shift_right")
def as_the_library_does(labels, start_id):
    shifted = labels.new_zeros(labels.shape)
    shifted[:, 1:] = labels[:, :-1].clone()
    shifted[:, 0] = start_id
    return shifted


@mutants.right("shift_right")
def rolls_and_overwrites(labels, start_id):
    shifted = torch.roll(labels, shifts=1, dims=-1)
    shifted[..., 0].fill_(start_id)
    return shifted


@mutants.right("shift_right")
def through_lists(labels, start_id):
    return torch.tensor([[start_id, *row[:-1]] for row in labels.tolist()])


# -- bleu ------------------------------------------------------------------------------------------------


@mutants.wrong("bleu", "unclipped")
def every_match_counts(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
            known = {tuple(ref[i : i + n]) for ref in refs for i in range(len(ref) - n + 1)}
            matches[n - 1] += sum(gram in known for gram in grams)
            totals[n - 1] += len(grams)
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "set-counted")
def sets_of_ngrams(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}
            known = {tuple(ref[i : i + n]) for ref in refs for i in range(len(ref) - n + 1)}
            matches[n - 1] += len(grams & known)
            totals[n - 1] += max(0, len(tokens) - n + 1)
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "references-summed")
def adds_the_references(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter(tuple(ref[i : i + n]) for ref in refs for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "one-reference")
def first_reference_only(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter(tuple(refs[0][i : i + n]) for i in range(len(refs[0]) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "run-together")
def glues_ngrams(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter("".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter("".join(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "no-brevity-penalty")
def no_penalty(candidates, references):
    matches, totals = [0] * 4, [0] * 4
    for tokens, refs in zip(candidates, references, strict=True):
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    return math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)


@mutants.wrong("bleu", "brevity-penalty-wrong")
def penalty_upside_down(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - c / r))


@mutants.wrong("bleu", "brevity-penalty-wrong")
def ratio_for_a_penalty(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, c / r)


@mutants.wrong("bleu", "brevity-penalty-wrong")
def rewards_length(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * math.exp(1 - r / c)


@mutants.wrong("bleu", "not-the-closest")
def shortest_reference(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "not-the-closest")
def length_of_the_first(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + len(refs[0])
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "sentences-averaged")
def mean_of_sentence_scores(candidates, references):
    scores = []
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = len(tokens), min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        score = 1.0
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            score *= (grams & known).total() / max(1, grams.total())
        scores.append(score**0.25 * min(1.0, math.exp(1 - r / c)) if c else 0.0)
    return sum(scores) / len(scores)


@mutants.wrong("bleu", "pooled")
def one_great_bag(candidates, references):
    c = sum(map(len, candidates))
    r = 0
    for tokens, refs in zip(candidates, references, strict=True):
        r += min((abs(len(ref) - len(tokens)), len(ref)) for ref in refs)[1]
    score = 1.0
    for n in range(1, 5):
        grams, known = Counter(), Counter()
        for tokens, refs in zip(candidates, references, strict=True):
            grams += Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            best = Counter()
            for ref in refs:
                best |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            known += best
        if not (grams & known).total():
            return 0.0
        score *= (grams & known).total() / grams.total()
    return score**0.25 * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "negative-total")
def negative_counts(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += len(tokens) - n + 1
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "short-skipped")
def passes_over_short_ones(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        if len(tokens) < 4:
            continue
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "smoothed")
def never_zero(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    logs = [
        math.log(m / t) if m else math.log(0.1 / max(1, t))
        for m, t in zip(matches, totals, strict=True)
    ]
    return math.exp(sum(logs) / 4) * min(1.0, math.exp(1 - r / c) if c else 0.0)


@mutants.wrong("bleu", "smoothed")
def adds_one(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    logs = [math.log((m + 1) / (t + 1)) for m, t in zip(matches, totals, strict=True)]
    return math.exp(sum(logs) / 4) * min(1.0, math.exp(1 - r / c) if c else 0.0)


@mutants.wrong("bleu", "zero-fails")
def logarithm_of_nothing(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "arithmetic-mean")
def averages_precisions(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    return (
        sum(m / t for m, t in zip(matches, totals, strict=True)) / 4 * min(1.0, math.exp(1 - r / c))
    )


@mutants.wrong("bleu", "wrong-orders")
def up_to_three(candidates, references):
    matches, totals, c, r = [0] * 3, [0] * 3, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 4):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 3)
    return mean * min(1.0, math.exp(1 - r / c))


@mutants.wrong("bleu", "percent")
def out_of_a_hundred(candidates, references):
    matches, totals, c, r = [0] * 4, [0] * 4, 0, 0
    for tokens, refs in zip(candidates, references, strict=True):
        c, r = c + len(tokens), r + min(map(len, refs), key=lambda n: abs(n - len(tokens)))
        for n in range(1, 5):
            grams = Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            known = Counter()
            for ref in refs:
                known |= Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1))
            matches[n - 1] += (grams & known).total()
            totals[n - 1] += grams.total()
    if 0 in matches:
        return 0.0
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / 4)
    return 100 * mean * min(1.0, math.exp(1 - r / c))


@mutants.right("bleu")
def with_dicts(candidates, references):
    def grams(tokens, n):
        found = {}
        for i in range(len(tokens) - n + 1):
            gram = tuple(tokens[i : i + n])
            found[gram] = found.get(gram, 0) + 1
        return found

    precisions = []
    for n in (1, 2, 3, 4):
        match = total = 0
        for tokens, refs in zip(candidates, references, strict=True):
            counts = [grams(ref, n) for ref in refs]
            for gram, count in grams(tokens, n).items():
                match += min(count, max(c.get(gram, 0) for c in counts))
                total += count
        if match == 0:
            return 0
        precisions.append(match / total)
    c = sum(len(tokens) for tokens in candidates)
    r = 0
    for tokens, refs in zip(candidates, references, strict=True):
        r += sorted((abs(len(ref) - len(tokens)), len(ref)) for ref in refs)[0][1]
    penalty = 1 if c > r else math.exp(1 - r / c)
    return penalty * math.prod(precisions) ** 0.25


@mutants.right("bleu")
def with_tensors(candidates, references):
    found = torch.zeros(2, 4, dtype=torch.float64)
    lengths = torch.zeros(2, dtype=torch.float64)
    for tokens, refs in zip(candidates, references, strict=True):
        gaps = [abs(len(ref) - len(tokens)) for ref in refs]
        lengths += torch.tensor([len(tokens), len(refs[gaps.index(min(gaps))])])
        for n in range(4):
            own = Counter(zip(*(tokens[i:] for i in range(n + 1)), strict=False))
            limit = Counter()
            for ref in refs:
                limit |= Counter(zip(*(ref[i:] for i in range(n + 1)), strict=False))
            found[:, n] += torch.tensor([(own & limit).total(), own.total()])
    if (found[0] == 0).any():
        return torch.tensor(0.0)
    score = (found[0] / found[1]).log().mean().exp()
    return score * (1 - lengths[1] / lengths[0]).clamp(max=0).exp()


@mutants.right("bleu")
def joined_by_spaces(candidates, references):
    def bag(tokens, n):
        return Counter(" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))

    logs, c, r = [], sum(len(tokens) for tokens in candidates), 0
    for tokens, refs in zip(candidates, references, strict=True):
        r += min((abs(len(ref) - len(tokens)), len(ref)) for ref in refs)[1]
    for n in range(1, 5):
        hits, count = 0, 0
        for tokens, refs in zip(candidates, references, strict=True):
            bags = [bag(ref, n) for ref in refs]
            for gram, times in bag(tokens, n).items():
                hits += min(times, max(b[gram] for b in bags))
            count += max(len(tokens) - n + 1, 0)
        logs.append(math.log(hits / count) if hits else -math.inf)
    penalty = min(0.0, 1 - r / c) if c else -math.inf
    return math.exp(sum(logs) / 4 + penalty)


# -- beam_search -----------------------------------------------------------------------------------------


@mutants.wrong("beam_search", "greedy")
def follows_the_best(step, start, width, length_penalty):
    prefix = start
    while tokens := step(prefix):
        prefix += (max(tokens, key=tokens.get),)
    return prefix


@mutants.wrong("beam_search", "kept-too-many")
def looks_at_everything(step, start, width, length_penalty):
    finished, open_ = [], [(start, 0.0)]
    while open_:
        prefix, total = open_.pop()
        tokens = step(prefix)
        if not tokens and prefix != start:
            finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
        open_ += [((*prefix, token), total + value) for token, value in tokens.items()]
    return max(finished)[1]


@mutants.wrong("beam_search", "kept-too-many")
def one_too_wide(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[: width + 1]
    return max(finished)[1]


@mutants.wrong("beam_search", "width-per-parent")
def best_of_each_parent(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            best = sorted(tokens, key=tokens.get, reverse=True)[:width]
            grown += [((*prefix, token), total + tokens[token]) for token in best]
        beam = grown
    return max(finished)[1]


@mutants.wrong("beam_search", "one-per-parent")
def one_child_each(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            keep = width if prefix == start else 1
            best = sorted(tokens, key=tokens.get, reverse=True)[:keep]
            grown += [((*prefix, token), total + tokens[token]) for token in best]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "stopped-early")
def ends_with_the_first(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while not finished:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "stopped-early")
def ends_with_width_finished(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam and len(finished) < width:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "finished-block")
def finished_stay(step, start, width, length_penalty):
    beam = [(start, 0.0)]
    while any(step(prefix) for prefix, _ in beam):
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                grown.append((prefix, total))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(beam, key=lambda pair: pair[1] / (len(pair[0]) - len(start)) ** length_penalty)[0]


@mutants.wrong("beam_search", "finished-block")
def shrinking_width(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam and len(finished) < width:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[: width - len(finished)]
    return max(finished)[1]


@mutants.wrong("beam_search", "no-length-penalty")
def largest_sum(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "no-length-penalty")
def multiplies_by_length(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total * (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "penalty-fixed")
def always_the_mean(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                exponent = 1.0 if length_penalty < 1 else length_penalty
                finished.append((total / (len(prefix) - len(start)) ** exponent, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "start-counted")
def whole_length(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                length = len(prefix) - (len(start) if length_penalty > 1 else 0)
                finished.append((total / length**length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "last-step-only")
def forgets_the_sum(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "not-the-tuple")
def with_its_score(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)


@mutants.wrong("beam_search", "without-start")
def gives_the_new_tokens(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1][len(start) :]


@mutants.wrong("beam_search", "without-start")
def begins_with_nothing(step, start, width, length_penalty):
    beam, finished = [((), 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / len(prefix) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return start + max(finished)[1]


@mutants.wrong("beam_search", "prefix-not-a-tuple")
def asks_with_lists(step, start, width, length_penalty):
    beam, finished = [(list(start), 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [([*prefix, token], total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return tuple(max(finished)[1])


@mutants.wrong("beam_search", "unfinished")
def two_rounds_only(step, start, width, length_penalty):
    beam = [(start, 0.0)]
    for _ in range(2):
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                grown.append((prefix, total))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(beam, key=lambda pair: pair[1] / (len(pair[0]) - len(start)) ** length_penalty)[0]


@mutants.wrong("beam_search", "never-ends")
def finished_come_back(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
                grown.append((prefix, total))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1], reverse=True)[:width]
    return max(finished)[1]


@mutants.wrong("beam_search", "wrong-path")
def smallest_sums(step, start, width, length_penalty):
    beam, finished = [(start, 0.0)], []
    while beam:
        grown = []
        for prefix, total in beam:
            tokens = step(prefix)
            if not tokens:
                finished.append((total / (len(prefix) - len(start)) ** length_penalty, prefix))
            grown += [((*prefix, token), total + value) for token, value in tokens.items()]
        beam = sorted(grown, key=lambda pair: pair[1])[:width]
    return min(finished)[1]


@mutants.wrong("beam_search", "wrong-path")
def length_as_translators_have_it(step, start, width, length_penalty):
    beam, finished = [(0.0, start)], []
    while beam:
        longer = []
        for total, prefix in beam:
            tokens = step(prefix)
            if not tokens:
                length = (5 + len(prefix) - len(start)) / 6
                finished.append((total / length**length_penalty, prefix))
            longer += [(total + value, (*prefix, token)) for token, value in tokens.items()]
        beam = sorted(longer, reverse=True, key=lambda pair: pair[0])[:width]
    return max(finished)[1]


@mutants.right("beam_search")
def with_a_heap(step, start, width, length_penalty):
    import heapq

    best, beam = None, [(0.0, start, step(start))]
    while beam:
        grown = [
            (total + value, (*prefix, token))
            for total, prefix, tokens in beam
            for token, value in tokens.items()
        ]
        beam = []
        for total, prefix in heapq.nlargest(width, grown, key=lambda pair: pair[0]):
            tokens = step(prefix)
            if tokens:
                beam.append((total, prefix, tokens))
                continue
            score = total / (len(prefix) - len(start)) ** length_penalty
            if best is None or score > best[0]:
                best = (score, prefix)
    return best[1]


@mutants.right("beam_search")
def by_recursion(step, start, width, length_penalty):
    finished = {}

    def go_on(beam):
        grown = {}
        for prefix, total in beam.items():
            following = step(prefix)
            if following:
                grown.update({(*prefix, t): total + v for t, v in following.items()})
            else:
                finished[prefix] = total
        if grown:
            go_on(dict(sorted(grown.items(), key=lambda item: -item[1])[:width]))

    go_on({tuple(start): 0})
    return max(finished, key=lambda p: finished[p] * (len(p) - len(start)) ** -length_penalty)


@mutants.right("beam_search")
def pruned_by_mean(step, start, width, length_penalty):
    beam, finished = [(start, ())], []
    while beam:
        grown = []
        for prefix, values in beam:
            tokens = step(prefix)
            grown += [((*prefix, t), (*values, v)) for t, v in tokens.items()]
            if len(tokens) == 0:
                finished.append((prefix, values))
        # all of a round have the same length, so their means stand in the order of their sums
        grown.sort(key=lambda pair: math.fsum(pair[1]) / len(pair[1]), reverse=True)
        beam = grown[:width]
    scores = torch.tensor([sum(v) / len(v) ** length_penalty for _, v in finished])
    return finished[int(scores.argmax())][0]


@mutants.right("beam_search")
def asks_twice(step, start, width, length_penalty):
    unfinished, finished = [(0.0, start)], []
    while unfinished:
        continued = []
        for total, prefix in unfinished:
            for token in step(prefix):
                continued.append((total + step(prefix)[token], (*prefix, token)))
        continued.sort(key=lambda pair: pair[0])
        kept = continued[-width:]
        finished += [pair for pair in kept if not step(pair[1])]
        unfinished = [pair for pair in kept if step(pair[1])]
    key = [total / (len(prefix) - len(start)) ** length_penalty for total, prefix in finished]
    return finished[key.index(max(key))][1]
