"""Training as the lessons do it: `fit`, `evaluate`, and the features of a frozen front computed once.

Plain functions over tensors. `images` has shape (N, ...) and `labels` is int64 of shape (N,); both lie wherever
they like, batches move to the model's device. The same seed gives the same run on the same machine.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from IPython.display import display
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from course import scale
from course.device import Timer, autocast, step_memory
from course.locale import gettext as _

Item = TypeVar("Item")
Labelled = tuple[Tensor, Tensor]


@dataclass
class History:
    """What `fit` saw.

    loss: cross-entropy of each step's batch, in nats, before the step.
    accuracy: on `test` after each epoch that was evaluated, a fraction in [0, 1].
    seconds: wall time of the training steps alone, evaluation left out.
    memory: bytes that one step holds on top of the model (`course.device.StepMemory.total`).
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0


def fit(
    model: nn.Module,
    train: Labelled,
    *,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int,
    seed: int,
    test: Labelled | None = None,
    set_mode: Callable[[nn.Module], object] = nn.Module.train,
    evaluate_every: int | None = None,
    label: str | None = None,
) -> History:
    """Trains `model` with cross-entropy for `epochs` passes over `train`, in an order drawn from `seed`.

    set_mode: puts the model into the mode to train in, before the first step and again after each evaluation.
    test: measured after every `evaluate_every` epochs; None: after the last epoch only.
    label: shows a progress bar over the epochs that says this.
    """
    images, labels = train
    device = device_of(model)
    order = torch.Generator().manual_seed(seed)
    history = History()
    set_mode(model)
    all_epochs = range(1, epochs + 1)
    for epoch in all_epochs if label is None else progress(all_epochs, label):
        with Timer(device) as timer:
            losses = []
            for rows in torch.randperm(len(images), generator=order).split(batch_size):
                x, y = images[rows].to(device), labels[rows].to(device)
                optimizer.zero_grad()
                with autocast(device):
                    loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        history.seconds += timer.seconds
        history.loss += torch.stack(losses).tolist()
        due = epoch == epochs or (evaluate_every is not None and epoch % evaluate_every == 0)
        if test is not None and due:
            history.accuracy.append(evaluate(model, test))
            set_mode(model)
    history.memory = memory_of_a_step(model, images[:batch_size], labels[:batch_size], optimizer)
    return history


def memory_of_a_step(
    model: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer | None = None
) -> int:
    """Bytes that a training step on this batch holds on top of the model: `course.device.step_memory`'s total.

    The model's buffers are put back afterwards, so that looking changes nothing.
    """
    device = device_of(model)
    images, labels = images.to(device), labels.to(device)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def loss() -> Tensor:
        with autocast(device):
            return F.cross_entropy(model(images), labels)

    memory = step_memory(loss, model, optimizer)
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    return memory.total


def predict(model: nn.Module, images: Tensor, *, batch_size: int = 250) -> Tensor:
    """The model's outputs (N, ...) for `images`, on the CPU, in eval mode and without a graph.

    Every module's mode is put back as it was. An empty chain gives the images themselves.
    """
    if isinstance(model, nn.Sequential) and len(model) == 0:
        return images
    device = device_of(model)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), autocast(device):
            return torch.cat([model(batch.to(device)).float().cpu() for batch in images.split(batch_size)])
    finally:
        for module, mode in modes.items():
            module.training = mode


def evaluate(model: nn.Module, data: Labelled, *, batch_size: int = 250) -> float:
    """Accuracy on `data`, a fraction in [0, 1]: how often the largest logit stands at the label."""
    images, labels = data
    return (predict(model, images, batch_size=batch_size).argmax(dim=1) == labels).double().mean().item()


def refresh_statistics(model: nn.Module, images: Tensor, *, batch_size: int) -> None:
    """Measures the running statistics of the BatchNorm layers that are in training mode anew, with the weights of now.

    Each becomes the plain mean over the batches of one pass over `images`, in order and without a graph; what it
    held before is dropped. Layers in eval mode keep theirs. Weights, modes and momentum stay as they are. (Wu and
    Johnson 2021, "Rethinking 'Batch' in BatchNorm", call it PreciseBN.)
    """
    device = device_of(model)
    modes = {module: module.training for module in model.modules()}
    layers = [
        module
        for module in model.modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and module.training
    ]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # PyTorch's word for the plain mean over all batches since the reset
    try:
        with torch.no_grad(), autocast(device):
            for batch in images.split(batch_size):
                model(batch.to(device))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode


def frozen_front(model: nn.Sequential) -> int:
    """How many of the leading children have nothing trainable in them."""
    for depth, child in enumerate(model):
        if any(parameter.requires_grad for parameter in child.parameters()):
            return depth
    return len(model)


def cut(model: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    """(front, back): the leading children that are frozen, and the rest. Both share the model's own modules.

    What the front makes of a picture stays the same as long as its running statistics stay, so it can be computed
    once: `predict(front, images)`.
    """
    depth = frozen_front(model)
    return model[:depth], model[depth:]


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1) of a few runs; a single run has spread 0."""
    numbers = torch.tensor(values, dtype=torch.float64)
    spread = numbers.std().item() if len(values) > 1 else 0.0
    return numbers.mean().item(), spread


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first parameter lies; the CPU for a model without parameters."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def progress(items: Sequence[Item], label: str) -> Iterable[Item]:
    """`items` behind a progress bar: a line of text in a notebook's output, a bar in a terminal.

    No bar at quick scale, while nbgrader grades, or where nobody watches: output to a file or a pipe, or
    `COURSE_PROGRESS=0`.
    """
    if scale.grading() or scale.current() == "quick" or os.environ.get("COURSE_PROGRESS") == "0":
        return items
    if scale.interactive():
        return NotebookBar(items, desc=label)
    return tqdm(items, desc=label) if sys.stderr.isatty() else items


class NotebookBar(tqdm):
    """tqdm as one line of text that a notebook keeps.

    tqdm's own notebook bar is a widget: a saved notebook shows an error in its place when it is opened again.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.line = display({"text/plain": ""}, raw=True, display_id=True)
        says = _("{l_bar}{bar}| {n_fmt}/{total_fmt}, {elapsed} gone, {remaining} left")
        super().__init__(*args, file=io.StringIO(), ncols=70, bar_format=says, **settings)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        self.line.update({"text/plain": str(self) if msg is None else msg}, raw=True)
