"""Gradients flow between judge and sandbox as they would within one process."""

import textwrap
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from autograder.judge.remote import Client
from autograder.sandbox.warm import Warm

Define = Callable[..., Any]


@pytest.fixture
def define(torch_warm: Warm, connect: Callable[..., Client]) -> Define:
    """``define(text, name)``: runs a learner's cell and gives what the name is bound to."""
    client = connect(torch_warm)

    def run(text: str, name: str) -> Any:
        outputs = client.run(textwrap.dedent(text))
        assert not [o for o in outputs if o["output_type"] == "error"], outputs
        return client.names([name])[name]

    return run


IMPORTS = "import torch\nfrom torch import nn\nfrom torch.nn import functional\n"


def test_a_loss_of_a_judges_leaf(define: Define) -> None:
    loss = define("def loss(x, y): return ((x - y) ** 2).mean()", "loss")
    x, y = torch.randn(3, 5, requires_grad=True), torch.randn(3, 5)
    made = loss(x, y)
    assert made.requires_grad and not made.is_leaf and made.grad_fn is not None
    made.backward()
    assert torch.allclose(x.grad, 2 * (x.detach() - y) / 15)


def test_a_loss_of_what_the_judges_model_computed(define: Define) -> None:
    """The whole chain: the judge's model, the learner's loss, the judge's backward."""
    loss = define(f"{IMPORTS}def loss(z, t): return -z.log_softmax(1).gather(1, t[:, None]).mean()", "loss")
    torch.manual_seed(0)
    model, twin = (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)) for _ in range(2))
    twin.load_state_dict(model.state_dict())
    x, t = torch.randn(7, 4), torch.randint(3, (7,))
    loss(model(x), t).backward()
    functional.cross_entropy(twin(x), t).backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_a_model_computed_there_with_the_judges_parameters(define: Define) -> None:
    forward = define("def forward(model, x): return model(x) * 2", "forward")
    model, x = nn.Linear(3, 2), torch.randn(5, 3, requires_grad=True)
    out = forward(model, x)
    grads = torch.autograd.grad(out.sum(), [model.weight, x])
    assert torch.allclose(grads[0], 2 * x.detach().sum(0).expand(2, 3))
    assert torch.allclose(grads[1], 2 * model.weight.detach().sum(0).expand(5, 3))
    assert model.bias.grad is None  # autograd.grad fills in nothing by itself


def test_two_results_one_of_the_other(define: Define) -> None:
    square = define("def square(x): return x * x", "square")
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    once = square(x)
    twice = square(once)
    inner, outer = torch.autograd.grad(twice.sum(), [once, x])
    assert inner.tolist() == [8.0, 18.0] and outer.tolist() == [32.0, 108.0]
    (square(once + 1) + once).sum().backward()
    assert x.grad.tolist() == [44.0, 126.0]


def test_the_learner_runs_the_judges_graph_backwards(define: Define) -> None:
    """A training step: the loss is the judge's, ``backward`` and the optimizer's step the learner's."""
    step = define(
        "def step(loss, optimizer):\n    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()", "step"
    )
    make = define(f"{IMPORTS}def make(model): return torch.optim.SGD(model.parameters(), lr=0.1)", "make")
    model, x = nn.Linear(3, 1), torch.randn(4, 3)
    before = model.weight.detach().clone()
    optimizer = make(model)
    step(model(x).sum(), optimizer)
    assert torch.allclose(model.weight.grad, x.sum(0, keepdim=True), atol=1e-6)
    assert torch.allclose(model.weight, before - 0.1 * x.sum(0, keepdim=True), atol=1e-6)


def test_leaves_that_only_one_side_has_get_their_gradients_there(define: Define) -> None:
    define("import torch\nown = torch.ones(3, requires_grad=True)\ndef scaled(x): return own * x", "own")
    scaled = define("", "scaled")
    x = torch.tensor([1.0, 2.0, 3.0])
    scaled(x).sum().backward()
    grad = define("def grad(): return own.grad", "grad")
    assert grad().tolist() == [1.0, 2.0, 3.0]


def test_a_learners_own_network_is_trained_by_the_judge(define: Define) -> None:
    make = define(
        f"""{IMPORTS}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
    def forward(self, x):
        return torch.tanh(self.layer(x))
def make():
    torch.manual_seed(1)
    return Net()
""",
        "make",
    )
    net = make()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    x = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    y = torch.tensor([[0.9], [-0.9]])
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_no_grad_here_is_no_grad_there(define: Define) -> None:
    double = define("def double(x): return 2 * x", "double")
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert not double(x).requires_grad
    assert double(x).requires_grad


def test_a_learners_no_grad_holds_in_the_judges_functions(define: Define) -> None:
    quiet = define("import torch\ndef quiet(f):\n    with torch.no_grad():\n        return f()", "quiet")
    assert quiet(torch.is_grad_enabled) is False
    assert quiet(lambda: torch.is_grad_enabled()) is False and torch.is_grad_enabled()


def test_detached_results_have_no_gradients(define: Define) -> None:
    cut = define("def cut(x): return (x * 3).detach()", "cut")
    out = cut(torch.ones(2, requires_grad=True))
    assert not out.requires_grad and out.is_leaf


def test_gradcheck_of_a_learners_function(define: Define) -> None:
    cube = define("def cube(x): return (x ** 3).sum()", "cube")
    wrong = define("def wrong(x): return (x.detach() ** 2 * x).sum()", "wrong")
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(cube, (x,))
    assert not torch.autograd.gradcheck(wrong, (x,), raise_exception=False)


def test_a_value_changed_behind_a_graph_is_noticed_as_torch_would(define: Define) -> None:
    square = define("def square(x): return (x * x).sum()", "square")
    x = torch.tensor([3.0], requires_grad=True)
    out = square(x)
    x.data += 1
    assert torch.autograd.grad(out, x)[0].tolist() == [8.0]
    with torch.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match="inplace"):
        torch.autograd.grad(out, x)


def test_outputs_of_one_node_are_told_apart(define: Define) -> None:
    parts = define("def parts(x): return x.unbind(0)", "parts")
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = parts(x)
    (first.sum() + 10 * second.sum()).backward()
    assert x.grad.tolist() == [[1.0, 1.0], [10.0, 10.0]]


def test_graphs_are_forgotten_with_the_tensors_that_need_them(define: Define) -> None:
    double = define("def double(x): return 2 * x", "double")
    count = define(
        """
        import gc
        def count():
            (session,) = [o for o in gc.get_objects() if type(o).__name__ == "Session"]
            return len(session._shared.graphs._graphs)
        """,
        "count",
    )
    x = torch.ones(2, requires_grad=True)
    for _ in range(5):
        double(double(x)).sum().backward()
    assert count() <= 2 and count() == 0


def test_what_a_callback_computes_goes_when_nothing_needs_it(define: Define) -> None:
    apply = define("def apply(f, x): return f(x).sum().item()", "apply")
    layer, x = nn.Linear(3, 2), torch.ones(5, 3)
    made: list[weakref.ref[torch.Tensor]] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        out = layer(x).tanh()
        made.append(weakref.ref(out))
        return out

    for _ in range(4):
        apply(forward, x)
    assert [out() for out in made[:-1]] == [None] * 3


def test_a_tensor_changed_in_place_after_it_was_handed_over(define: Define) -> None:
    keep, loss = (
        define("kept = []\ndef keep(z): kept.append(z)", "keep"),
        define("def loss(): return (kept[0] ** 2).sum()", "loss"),
    )
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    z = x * 3
    keep(z)
    z.mul_(2)
    loss().backward()
    assert torch.allclose(x.grad, 2 * 36 * x.detach())


@pytest.mark.parametrize("said", ["[]", "[torch.ones(2), torch.ones(2)]", "[torch.ones(7)]", "['text']", "7"])
def test_forged_gradients_are_an_error_of_the_test(define: Define, said: str) -> None:
    lie = define(
        f"""
        import gc, torch
        def lie(x):
            (session,) = [o for o in gc.get_objects() if type(o).__name__ == "Session"]
            session._shared.graphs.backward = lambda number, grad: {said}
            return x * 2
        """,
        "lie",
    )
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(Exception):  # noqa: B017  (of whatever kind: the test does not go on)
        lie(x).sum().backward()


def test_a_random_state_set_here_is_set_there(define: Define) -> None:
    draw = define(
        """
        import random, numpy, torch
        def draw(): return [random.random(), float(numpy.random.rand()), float(torch.rand(()))]
        """,
        "draw",
    )
    import random

    import numpy as np

    def seed() -> None:
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)

    seed()
    first, second = draw(), draw()
    seed()
    again = draw()
    seed()
    expected = [[random.random(), float(np.random.rand()), float(torch.rand(()))] for _ in range(2)]
    assert first == again == expected[0] and second == expected[1]
