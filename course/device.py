"""Where a lesson computes, how long that takes, and how much memory a training step holds.

In a lesson::

    device = pick_device()
    batch, labels = to_device((batch, labels), device)
    with Timer(device) as timer, autocast(device):
        ...
    timer.seconds
    step_memory(lambda: loss_fn(model(batch), labels), model).total
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from course.locale import gettext as _
from course.locale import ngettext

Nested = TypeVar("Nested")
Model = TypeVar("Model", bound=nn.Module)


def pick_device() -> torch.device:
    """The fastest device here: a CUDA GPU, else Apple's MPS, else the CPU. `COURSE_DEVICE=cpu` overrules.

    On the CPU it also leaves one core to the rest of the machine. Threads of one operation wait for each other, so
    when something else takes a core from one, all stand still: with two threads on two cores a training step of
    EfficientNet-Lite0 took 0.36 s alone and 2.6 s beside one busy process; with one thread 0.45 s and 0.50 s.
    `OMP_NUM_THREADS` overrules.
    """
    wanted = os.environ.get("COURSE_DEVICE", "").strip()
    if not wanted:
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(wanted)
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), usable_cores() - 1)))
    return device


def usable_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe(device: torch.device) -> str:
    """The device in words, such as "the CPU (2 threads)"."""
    if device.type == "cuda":
        return _("a GPU ({name})").format(name=torch.cuda.get_device_name(device))
    if device.type == "mps":
        return _("the GPU of this Mac ({name})").format(name=platform.machine())
    threads = torch.get_num_threads()
    return ngettext("the CPU ({count} thread)", "the CPU ({count} threads)", threads).format(count=threads)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast on a CUDA GPU that has it; elsewhere a context that changes nothing."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def to_device(batch: Nested, device: torch.device) -> Nested:
    """The same nest of dicts, lists and tuples with every tensor and module in it on `device`; the rest as it is."""
    if isinstance(batch, Tensor | nn.Module):
        return batch.to(device)  # type: ignore[return-value]
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}  # type: ignore[return-value]
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(value, device) for value in batch)
    return batch


def place(model: Model, device: torch.device) -> Model:
    """The same model on `device`, the weights of its convolutions stored channels last where that is faster.

    Only the order in memory changes, on a CPU and on a CUDA GPU; shapes and values stay.
    """
    model.to(device)
    if device.type != "mps":
        model.to(memory_format=torch.channels_last)
    return model


def synchronise(device: torch.device) -> None:
    """Waits until the device has done all it was asked to; a GPU answers before it is ready."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Timer:
    """`with Timer(device) as timer: ...`, then `timer.seconds`: wall time, the device's unfinished work included."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def __enter__(self) -> Timer:
        synchronise(self.device)
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        synchronise(self.device)
        self.seconds = time.perf_counter() - self._start


@dataclass(frozen=True)
class StepMemory:
    """What one training step holds on top of the model itself, in bytes.

    saved: what autograd keeps from the forward pass for the backward pass, the input batch included where a
        trainable layer reads it; parameters and buffers do not count, they are there anyway.
    gradients: one entry for each entry of a trainable parameter.
    optimizer: what the optimiser remembers (momentum), 0 where none was given.
    peak: on a CUDA GPU the most that its allocator held during the step above what it held before; it adds the
        scratch space of single operations, and frees saved tensors while gradients arrive. None elsewhere.

    `total` is saved + gradients + optimizer and means the same on every device. It is counted, not sampled: the
    same network and batch give the same figure each time, on any machine, unless autocast shortens the numbers.
    What it leaves out is scratch space, so a process needs more than `total`, never less.
    """

    saved: int
    gradients: int
    optimizer: int
    peak: int | None = None

    @property
    def total(self) -> int:
        return self.saved + self.gradients + self.optimizer


def step_memory(
    loss: Callable[[], Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> StepMemory:
    """The memory of one training step: calls `loss()` for a scalar, and goes backward through it.

    Nothing is updated: gradients are put back as they were, and `optimizer` takes no step. For its share one
    velocity is counted for each parameter that it would move, where it has momentum (SGD), or two moments (Adam).
    Running statistics of BatchNorm layers in training mode move, as in any forward pass.
    """
    device = next(model.parameters()).device
    own = {storage_key(tensor) for tensor in [*model.parameters(), *model.buffers()]}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if storage_key(tensor) not in own:
            saved[storage_key(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    gradients = {parameter: parameter.grad for parameter in model.parameters()}
    try:
        for parameter in gradients:
            parameter.grad = None
        on_cuda = device.type == "cuda"
        if on_cuda:
            synchronise(device)
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
        # The hooks see every tensor that an operation keeps for its backward; all stay alive until it runs, so
        # two of them never share an address unless they share a storage.
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            value = loss()
        if value.requires_grad:
            value.backward()
        peak = None
        if on_cuda:
            synchronise(device)
            peak = torch.cuda.max_memory_allocated(device) - before
        arrived = nbytes(parameter.grad for parameter in gradients if parameter.grad is not None)
    finally:
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
    return StepMemory(sum(saved.values()), arrived, optimizer_memory(optimizer), peak)


def optimizer_memory(optimizer: torch.optim.Optimizer | None) -> int:
    """Bytes of state that the optimiser keeps once it has stepped: SGD's velocities, Adam's two moments.

    Counted from the parameters it would move. Any other optimiser: what its state holds now.
    """
    if optimizer is None:
        return 0
    total = 0
    for group in optimizer.param_groups:
        trainable = [parameter for parameter in group["params"] if parameter.requires_grad]
        if isinstance(optimizer, torch.optim.SGD):
            copies = 1 if group["momentum"] else 0
        elif isinstance(optimizer, torch.optim.Adam):
            copies = 3 if group["amsgrad"] else 2
        else:
            total += nbytes(v for p in trainable for v in optimizer.state[p].values() if isinstance(v, Tensor))
            continue
        total += copies * nbytes(trainable)
    return total


def storage_key(tensor: Tensor) -> int:
    """The address of the memory that a tensor looks into; views of one memory share it."""
    return tensor.untyped_storage().data_ptr()


def nbytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of all entries of the tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
