"""Training that may be cut off: what the recipes of vision and language share.

Training is cut into epochs. After each, all that the next one needs is written to a file, and the same command goes on
from there; random numbers are drawn from the seed and the number of the epoch, so that a run that was cut off ends
where an uninterrupted one does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

Batch = TypeVar("Batch")


class Schedule(Protocol):
    """What of a recipe training itself reads."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str: ...
    @property
    def epochs(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def warmup(self) -> float: ...  # share of all steps
    @property
    def seed(self) -> int: ...


def rate(step: int, total: int, recipe: Schedule) -> float:
    """The learning rate of a step: a straight rise, then half a cosine down."""
    warmup = max(1, round(recipe.warmup * total))
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def train(
    recipe: Schedule,
    model: nn.Module,
    steps: int,
    batches: Callable[[torch.Generator], Iterable[Batch]],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    folder: Path,
) -> nn.Module:
    """`model` after the recipe's epochs, in eval mode. Goes on from `folder` where a run of this recipe was cut off.

    batches: the batches of one epoch, `steps` of them, drawn from a generator. loss_of: the loss of one of them.
    """
    partial = folder / f"{recipe.name}.partial.pt"
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    done = 0
    if partial.is_file():
        saved = torch.load(partial, weights_only=True)
        if saved["recipe"] == asdict(recipe):
            done = saved["epochs"]
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
    model.train()
    with tqdm(total=steps * recipe.epochs, initial=steps * done, desc=recipe.name, unit="step") as bar:
        for epoch in range(done, recipe.epochs):
            draw = torch.Generator().manual_seed(1000 * (recipe.seed + 1) + epoch)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1000 * (recipe.seed + 1) + epoch)  # for Dropout
                for index, batch in enumerate(batches(draw)):
                    for group in optimizer.param_groups:
                        group["lr"] = rate(epoch * steps + index, recipe.epochs * steps, recipe)
                    optimizer.zero_grad()
                    loss = loss_of(model, batch)
                    loss.backward()
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    bar.set_postfix(epoch=epoch + 1, loss=f"{loss.item():.2f}", refresh=False)
                    bar.update()
            saved = {"recipe": asdict(recipe), "epochs": epoch + 1}
            saved |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            replace_file(partial, functools.partial(torch.save, saved))
    return model.eval()


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    write(beside)
    beside.replace(path)
