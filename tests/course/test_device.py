from collections import namedtuple

import pytest
import torch
from torch import nn

from course.device import StepMemory, Timer, autocast, describe, pick_device, place, step_memory, to_device

FLOAT = 4  # bytes


def test_a_device_that_is_asked_for_is_taken(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")
    assert describe(pick_device()).startswith("the CPU (")


@pytest.mark.parametrize(("asked", "threads"), [(None, 3), ("4", 4)])
def test_on_the_cpu_one_core_is_left_to_others_unless_the_number_is_given(monkeypatch, asked, threads):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    monkeypatch.setattr("course.device.usable_cores", lambda: 4)
    if asked is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        pick_device()
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_place_keeps_values_and_shapes():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.LazyLinear(2))
    x = torch.randn(2, 3, 6, 7)
    expected = model(x)
    assert place(model, torch.device("cpu")) is model
    torch.testing.assert_close(model(x), expected)
    assert model[0].weight.shape == (5, 3, 3, 3)


def test_to_device_walks_through_nests_and_keeps_their_kind():
    Pair = namedtuple("Pair", "x y")
    batch = {"ids": torch.ones(2), "more": [Pair(torch.zeros(1), "word"), (3, torch.ones(1))]}
    moved = to_device(batch, torch.device("meta"))
    assert moved["ids"].is_meta
    assert moved["more"][0].x.is_meta
    assert moved["more"][0].y == "word"
    assert moved["more"][1][0] == 3
    assert moved["more"][1][1].is_meta
    assert not batch["ids"].is_meta


def test_autocast_changes_nothing_on_the_cpu():
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_the_timer_measures_seconds():
    with Timer(torch.device("cpu")) as timer:
        sum(range(1000))
    assert 0 < timer.seconds < 5


@pytest.fixture
def two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))


def squares(model, x):
    return lambda: model(x).square().sum()


def test_memory_of_a_step_is_what_backward_needs(two_layers):
    """Five rows: the input (5, 4), between the layers (5, 3), and (5, 2) for the square."""
    x = torch.randn(5, 4)
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1, momentum=0.9)
    parameters = 4 * 3 + 3 + 3 * 2 + 2
    memory = step_memory(squares(two_layers, x), two_layers, optimizer)
    assert memory == StepMemory(
        saved=5 * (4 + 3 + 2) * FLOAT, gradients=parameters * FLOAT, optimizer=parameters * FLOAT
    )
    assert memory.total == (5 * 9 + 2 * parameters) * FLOAT


def test_a_frozen_front_keeps_nothing(two_layers):
    two_layers[0].requires_grad_(False)
    memory = step_memory(squares(two_layers, torch.randn(5, 4)), two_layers)
    assert memory == StepMemory(saved=5 * (3 + 2) * FLOAT, gradients=(3 * 2 + 2) * FLOAT, optimizer=0)


def test_a_wholly_frozen_model_holds_nothing(two_layers):
    two_layers.requires_grad_(False)
    assert step_memory(squares(two_layers, torch.randn(5, 4)), two_layers).total == 0


def test_a_storage_counts_once_and_the_models_own_not_at_all():
    model = nn.Sequential(nn.Linear(4, 4))
    x = torch.randn(5, 4, requires_grad=True)

    def loss():
        h = x.exp()  # keeps its result
        return (h * h.view(4, 5).view(5, 4) * model[0].weight.sum()).sum()  # keeps h again, twice, and the product

    one = 5 * 4 * FLOAT
    memory = step_memory(loss, model)
    assert memory.saved == one + one + FLOAT
    assert memory.gradients == 4 * 4 * FLOAT


@pytest.mark.parametrize(
    ("make", "copies"),
    [
        (lambda p: torch.optim.SGD(p, lr=0.1), 0),
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), 1),
        (lambda p: torch.optim.AdamW(p, lr=0.1), 2),
    ],
)
def test_the_optimizers_share(two_layers, make, copies):
    optimizer = make(two_layers.parameters())
    loss = squares(two_layers, torch.randn(5, 4))
    counted = step_memory(loss, two_layers, optimizer).optimizer
    loss().backward()
    optimizer.step()
    states = [state for state in optimizer.state.values() if state]
    kept = sum(v.numel() * FLOAT for s in states for v in s.values() if torch.is_tensor(v) and v.ndim > 0)
    assert counted == kept == copies * 23 * FLOAT


def test_looking_changes_neither_gradients_nor_weights(two_layers):
    x = torch.randn(5, 4)
    squares(two_layers, x)().backward()
    before = [(p.clone(), p.grad, p.grad.clone()) for p in two_layers.parameters()]
    step_memory(squares(two_layers, x), two_layers)
    for parameter, (value, gradient, entries) in zip(two_layers.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.grad is gradient
        assert torch.equal(gradient, entries)
