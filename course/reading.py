"""Reading with a BERT whose lower layers are frozen: what they make of a text is computed once.

front, back = halves(load_backbone("bert"), depth=3)
hidden = front(input_ids, attention_mask, token_type_ids)   # (B, T, D), no graph
logits = back(hidden, attention_mask)                       # (B, T, 2): start and end
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course.device import autocast
from course.training import device_of


class Lower(nn.Module):
    """The embeddings and the first layers of a BertModel. Its layers are the model's own."""

    def __init__(self, model: Any, depth: int) -> None:
        super().__init__()
        self.model, self.depth = model, depth

    @torch.no_grad()
    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        layers = self.model.encoder.layer
        self.model.encoder.layer = layers[: self.depth]
        try:
            found = self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state
        finally:
            self.model.encoder.layer = layers
        return found


class Upper(nn.Module):
    """The last layers of a BertModel, and a linear head that gives each token `outputs` numbers."""

    def __init__(self, layers: Sequence[nn.Module], width: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(width, outputs)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        hide = torch.zeros_like(attention_mask, dtype=hidden.dtype).masked_fill(
            attention_mask == 0, torch.finfo(hidden.dtype).min
        )
        for layer in self.layers:
            found = layer(hidden, hide[:, None, None, :])
            hidden = found[0] if isinstance(found, tuple) else found  # transformers before and after version 5
        return self.head(hidden)


def halves(model: Any, depth: int, outputs: int = 2) -> tuple[Lower, Upper]:
    """(front, back) of a BertModel, cut behind layer `depth`; torch's generator draws the head of the back."""
    return Lower(model, depth), Upper(model.encoder.layer[depth:], model.config.hidden_size, outputs)


def stacked(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows (t, D) of several lengths as one (B, T, D), padded on the right with zeros, and its mask (B, T)."""
    hidden = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.int64) for row in rows], batch_first=True)
    return hidden, mask


def train_spans(
    back: Upper,
    rows: Sequence[Tensor],
    targets: Tensor,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    head_lr: float,
    seed: int,
) -> list[float]:
    """Trains the upper half to put start and end where `targets` (N, 2) says; the loss of each step, in nats.

    rows: the lower half's output for each window, (t, D). Cross-entropy over the tokens of a window, for start and end
    alike. AdamW, the rates rising over the first tenth of the steps and then falling to zero in a straight line.
    """
    device = device_of(back)
    groups = [{"params": back.layers.parameters(), "lr": lr}, {"params": back.head.parameters(), "lr": head_lr}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = epochs * -(-len(rows) // batch_size)
    warm = max(1, steps // 10)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    order = torch.Generator().manual_seed(seed)
    losses = []
    back.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows), generator=order).split(batch_size):
            hidden, mask = stacked([rows[number] for number in chosen])
            optimizer.zero_grad()
            with autocast(device):
                logits = back(hidden.to(device), mask.to(device)).float()
                logits = logits.masked_fill(mask.to(device).unsqueeze(-1) == 0, -1e4)
                loss = nn.functional.cross_entropy(logits, targets[chosen].to(device))
            loss.backward()
            nn.utils.clip_grad_norm_(back.parameters(), 1.0)
            optimizer.step()
            rate.step()
            losses.append(loss.detach())
    back.eval()
    return torch.stack(losses).tolist()


@torch.no_grad()
def span_logits(back: Upper, rows: Sequence[Tensor], *, batch_size: int = 32) -> list[Tensor]:
    """For each window its start and end logits (t, 2), on the CPU, in the order of the rows."""
    device = device_of(back)
    found = []
    for begin in range(0, len(rows), batch_size):
        some = rows[begin : begin + batch_size]
        hidden, mask = stacked(some)
        with autocast(device):
            logits = back(hidden.to(device), mask.to(device)).float().cpu()
        found += [one[: len(row)] for one, row in zip(logits, some, strict=True)]
    return found
