"""A judge and a sandbox of two real processes: what is handed over, what comes back, and what does not."""

import collections
import dataclasses
import functools
import gc
import os
import random
import signal
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from autograder.frames import Closed, WireError
from autograder.judge.remote import Client, LearnerError, LearnerExit, LearnerSystemExit, Remote
from autograder.sandbox.warm import Warm


class Learner:
    """The learner's side of a test: runs cells there, and gives what they define here."""

    def __init__(self, client: Client) -> None:
        self.client = client
        client.seeds = True  # as the reference solution may

    def __call__(self, text: str, *names: str) -> Any:
        outputs = self.client.run(textwrap.dedent(text))
        assert not [o for o in outputs if o["output_type"] == "error"], outputs
        found = self.client.names(list(names))
        values = [found[name] for name in names]
        return values[0] if len(values) == 1 else values


@pytest.fixture
def learner(torch_warm: Warm, connect: Callable[..., Client]) -> Learner:
    learner = Learner(connect(torch_warm))
    learner("import torch, math, collections\nfrom torch import nn")
    return learner


@pytest.fixture
def plain(warm: Warm, connect: Callable[..., Client]) -> Learner:
    return Learner(connect(warm))


# -- containers and arrays ---------------------------------------------------------------------------------


def test_containers_changed_in_place_come_back(plain: Learner) -> None:
    change = plain(
        """
        def change(items, table, members, array, ordered, counter):
            items[0].append(9); items.insert(0, "new"); del table["a"]; table["b"] = (1, 2); members.discard(1)
            members.add("x"); array[1:] *= 2; ordered.move_to_end("first"); counter.update("aa")
        """,
        "change",
    )
    inner = [1]
    items, table, members, array = [inner, 2], {"a": 1}, {1, 2}, np.arange(4.0)
    ordered, counter = collections.OrderedDict(first=1, second=2), collections.Counter("a")
    assert change(items, table, members, array, ordered, counter) is None
    assert items == ["new", [1, 9], 2] and items[1] is inner
    assert table == {"b": (1, 2)} and members == {2, "x"} and array.tolist() == [0, 2, 4, 6]
    assert list(ordered) == ["second", "first"] and counter == {"a": 3}


def test_fresh_containers_do_not_add_up(plain: Learner) -> None:
    """What a test hands over and throws away, or the learner's code does, is kept in step no longer than needed."""
    swap, rows, Kept = plain(
        """
        def swap(pair): pair.reverse(); return [pair, []]
        def rows(make, n): return [len(make(i)) for i in range(n)]
        class Kept:
            def __init__(self, items): self.items = items
        """,
        "swap",
        "rows",
        "Kept",
    )
    most = 0
    for i in range(10_000):
        assert swap([i, 1])[0] == [1, i]
        most = max(most, len(plain.client._live))
    assert most < 10
    held = [[i, 1] for i in range(1000)]
    for pair in held:  # which the test keeps, and the learner's code does not
        swap(pair)
        most = max(most, len(plain.client._live))
    seen: list[int] = []
    rows(lambda i: [seen.append(len(plain.client._live))], 1000)
    kept = [Kept([i]) for i in range(1000)]  # and the other way round
    assert most < 10 and max(seen) < 10 and len(plain.client._live) < 10
    assert kept[7].items == [7]


def test_containers_that_both_hold_are_in_step_however_many_they_are(plain: Learner) -> None:
    call, append = plain(
        """
        kept = []
        def call(make, n): kept[:] = [make(i) for i in range(n)]; kept[-1].append("end"); kept[0].append("start")
        def append(i, x): kept[i].append(x)
        """,
        "call",
        "append",
    )
    made: list[Any] = []
    call(lambda i: made.append([i]) or made[-1], 2500)
    assert made[0] == [0, "start"] and made[-1] == [2499, "end"]
    append(2000, "x")
    assert made[2000] == [2000, "x"]


def test_a_container_that_cannot_be_read_there_is_in_step_no_more(plain: Learner) -> None:
    class Broken:
        def __reduce__(self) -> Any:
            return int, ("none",)

    (keep,) = [plain("def keep(x): return x", "keep")]
    items: list[Any] = [1]
    Broken.__module__ = "broken"
    with pytest.raises(ValueError):
        keep((items, Broken()))
    assert keep(items) is items and items == [1]


def test_arguments_keep_their_identity(plain: Learner) -> None:
    same, swap = plain(
        """
        def same(a, b, *, c=None): return [a is b, b is c]
        def swap(pair): pair.reverse(); return pair
        """,
        "same",
        "swap",
    )
    one: list[Any] = []
    assert same(one, one, c=one) == [True, True]
    assert same([], []) == [False, False]
    pair = [[1], {"two": 2}]
    first, second = pair
    assert swap(pair) is pair and pair[0] is second and pair[1] is first
    loop: list[Any] = []
    loop.append(loop)
    assert swap(loop) is loop and loop[0] is loop


def test_read_only_and_object_arrays_do_no_harm(plain: Learner) -> None:
    fill, total = plain("def fill(a): a[...] = 1\ndef total(a): return sum(a)", "fill", "total")
    frozen = np.zeros(3)
    frozen.setflags(write=False)
    fill(frozen)
    assert frozen.tolist() == [0, 0, 0]
    assert total(np.array([2**70, 1], dtype=object)) == 2**70 + 1


def test_plain_results_are_exact(plain: Learner) -> None:
    give = plain("def give(x): return {'same': x, 'more': [x, (x,)]}", "give")
    for value in (1, True, 2.5, "x", None, (1, 2), np.float32(2), 2**80):
        back = give(value)["same"]
        assert type(back) is type(value) and back == value


# -- tensors, modules, optimizers ------------------------------------------------------------------------------


def test_a_module_frozen_there_is_frozen_here(learner: Learner) -> None:
    freeze = learner("def freeze(model):\n    for p in model[0].parameters(): p.requires_grad = False", "freeze")
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = {name: p.clone() for name, p in model.named_parameters()}
    parameters = list(model.parameters())
    freeze(model)
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True, True, True]
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_modes_buffers_and_values_come_back(learner: Learner) -> None:
    run = learner(
        """
        def run(model, x):
            model.train(); model[1].eval()
            with torch.no_grad(): model[0].weight.mul_(2)
            model[2](model[0](x)); model.note = "seen"
            return model(x)
        """,
        "run",
    )
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4)).eval()
    weight, x = model[0].weight.detach().clone(), torch.randn(5, 3)
    out = run(model, x)
    assert [m.training for m in model] == [True, False, True] and model.training
    assert torch.equal(model[0].weight, 2 * weight)
    assert model[2].num_batches_tracked == 2 and not torch.equal(model[2].running_mean, torch.zeros(4))
    assert model[1].num_batches_tracked == 0 and model.note == "seen"
    assert out.shape == (5, 4)


def test_an_optimizer_made_there_sees_gradients_set_here(learner: Learner) -> None:
    build = learner("def build(m): return torch.optim.SGD(m.parameters(), lr=0.5, momentum=0.9)", "build")
    model = nn.Linear(3, 2)
    optimizer = build(model)
    assert isinstance(optimizer, torch.optim.SGD) and not isinstance(optimizer, torch.optim.Adam)
    expected = nn.Linear(3, 2)
    expected.load_state_dict(model.state_dict())
    real = torch.optim.SGD(expected.parameters(), lr=0.5, momentum=0.9)
    x = torch.randn(4, 3)
    for _ in range(3):
        for network, optim in ((model, optimizer), (expected, real)):
            optim.zero_grad()
            network(x).square().sum().backward()
            optim.step()
    assert torch.equal(model.weight, expected.weight) and torch.equal(model.bias, expected.bias)
    assert model.weight.grad is not None
    groups = optimizer.param_groups
    assert groups[0]["lr"] == 0.5 and groups[0]["params"][0] is model.weight
    optimizer.zero_grad()
    assert model.weight.grad is None


def test_shared_parameters_stay_shared(learner: Learner) -> None:
    tie = learner("def tie(m): m.out.weight = m.words.weight\ndef scale(m): m.words.weight.data *= 3", "tie")
    scale = learner("", "scale")

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.out = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)

    model = Tied()
    words = model.words.weight
    tie(model)
    assert model.out.weight is words and len(list(model.parameters())) == 1
    before = words.detach().clone()
    scale(model)
    assert torch.equal(model.out.weight, 3 * before) and model.words.weight is words


def test_non_persistent_buffers_and_their_replacement(learner: Learner) -> None:
    change = learner("def change(m): m.mask = m.mask + 1; m.register_buffer('new', torch.ones(2))", "change")
    module = nn.Module()
    module.register_buffer("mask", torch.zeros(3), persistent=False)
    change(module)
    assert torch.equal(module.mask, torch.ones(3))
    assert list(module.state_dict()) == ["new"]


def test_a_new_head_is_a_real_layer_here(learner: Learner) -> None:
    replace = learner("def replace(m): m.head = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()); del m.old", "replace")
    module = nn.Module()
    module.head, module.old = nn.Linear(3, 5), nn.ReLU()
    replace(module)
    assert type(module.head) is nn.Sequential and type(module.head[0]) is nn.Conv2d and not hasattr(module, "old")
    x = torch.randn(2, 3, 4, 4)
    loss = module.head(x).sum()
    loss.backward()
    assert loss.shape == () and module.head[0].weight.grad is not None
    width = learner("def width(m): return [p.grad is not None for p in m.head.parameters()]", "width")
    assert width(module) == [True, True]


def test_a_learners_own_module_has_its_parameters_here_and_its_code_there(learner: Learner) -> None:
    wrap, model = learner(
        """
        class Scaled(nn.Module):
            def __init__(self, inner):
                super().__init__(); self.inner = inner; self.scale = nn.Parameter(torch.tensor(2.0))
            def forward(self, x): return self.inner(x) * self.scale
            def describe(self): return "scaled"
        class Wide(nn.Linear):
            pass
        def wrap(model): model.head = Scaled(model.head)
        model = Wide(2, 3)
        """,
        "wrap",
        "model",
    )
    module = nn.Module()
    head = module.head = nn.Linear(3, 2)
    wrap(module)
    assert module.head.inner is head and isinstance(module.head, nn.Module)
    assert [name for name, _ in module.named_parameters()] == ["head.scale", "head.inner.weight", "head.inner.bias"]
    x = torch.randn(4, 3)
    with torch.no_grad():
        assert torch.equal(module.head(x), head(x) * 2)
        module.head.scale.fill_(5.0)
        assert torch.equal(module.head(x), head(x) * 5)
    assert module.head.describe() == "scaled"
    assert isinstance(model, nn.Linear) and model.weight.shape == (3, 2) and model.in_features == 2
    with pytest.raises(AttributeError):
        _ = module.head.nothing


def test_layers_with_machinery_of_their_own_keep_it_there(learner: Learner) -> None:
    lstm, hooked = learner(
        """
        lstm = nn.LSTM(2, 3)
        hooked = nn.Identity(); hooked.register_forward_hook(lambda m, i, o: o + 1)
        """,
        "lstm",
        "hooked",
    )
    assert isinstance(lstm, nn.LSTM)
    out, (h, c) = lstm(torch.zeros(4, 1, 2))
    assert out.shape == (4, 1, 3) and h.shape == c.shape == (1, 1, 3)
    assert torch.equal(hooked(torch.zeros(2)), torch.ones(2))


def test_tensors_of_many_kinds_cross_in_both_ways(learner: Learner) -> None:
    info = learner("def info(x): return [str(x.dtype), list(x.shape), x.is_meta, x.requires_grad], x", "info")
    for tensor in (
        torch.empty(2, 3, device="meta"),
        torch.tensor(5),
        torch.zeros(0, 4, dtype=torch.bfloat16),
        torch.ones(2, requires_grad=True),
        torch.arange(6).reshape(2, 3).T,
    ):
        said, back = info(tensor)
        assert said == [str(tensor.dtype), list(tensor.shape), tensor.is_meta, tensor.requires_grad]
        assert back is tensor
    made = learner("made = torch.randn(3, requires_grad=True).double()", "made")
    assert type(made) is torch.Tensor and made.dtype == torch.float64


def test_what_is_empty_crosses_with_its_shape(learner: Learner) -> None:
    turn = learner("def turn(*all): return [one.shape for one in all], [one.T for one in all]", "turn")
    empty = [torch.zeros(0, 4), torch.zeros(3, 0, dtype=torch.int64), np.zeros((0, 2)), torch.zeros(0)[:, None]]
    shapes, turned = turn(*empty)
    assert [tuple(shape) for shape in shapes] == [(0, 4), (3, 0), (0, 2), (0, 1)]
    assert [tuple(one.shape) for one in turned] == [(4, 0), (0, 3), (2, 0), (1, 0)]
    assert [one.dtype for one in turned] == [one.dtype for one in empty]


def test_a_tensor_changed_in_place_comes_back(learner: Learner) -> None:
    change = learner("def change(x): x.add_(1); x.requires_grad_(); (x * 3).sum().backward(); return x", "change")
    x = torch.zeros(3)
    alias = [x]
    assert change(x) is x
    assert torch.equal(alias[0], torch.ones(3)) and x.requires_grad
    assert x.grad is not None and torch.equal(x.grad, torch.full((3,), 3.0))


def test_a_generators_state_moves_on(learner: Learner) -> None:
    draw = learner("def draw(g): return torch.randn(3, generator=g)", "draw")
    ours, same = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    for _ in range(2):
        assert torch.equal(draw(ours), torch.randn(3, generator=same))
    assert torch.equal(torch.randn(2, generator=ours), torch.randn(2, generator=same))


def test_what_the_learners_code_does_to_the_random_generators_is_done_here(learner: Learner) -> None:
    seed, draw = learner(
        """
        import random, numpy as np
        def seed(s): random.seed(s); np.random.seed(s); torch.manual_seed(s)
        def draw(): return random.gauss(0, 1), np.random.randn(), float(torch.randn(()))
        """,
        "seed",
        "draw",
    )

    def own() -> tuple[float, ...]:
        return random.gauss(0, 1), np.random.randn(), float(torch.randn(()))

    seed(5)
    mixed = [own(), draw(), own(), own(), draw(), draw()]
    seed(5)
    assert mixed == [own() for _ in range(6)]
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(5)
    assert mixed == [own() for _ in range(6)]


def test_a_cell_that_runs_on_both_sides_draws_on_each_for_itself(learner: Learner) -> None:
    seed = learner("import random\ndef seed(s): random.seed(s)", "seed")
    random.seed(1)
    here = random.getstate()
    learner.client.run("random.seed(7)", here_too=True)
    assert random.getstate() == here
    seed(7)  # which moves nothing there
    assert random.getstate() == random.Random(7).getstate()


def test_of_the_environment_what_changed_is_sent_and_nothing_else(
    learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = learner("import os\ndef look(): return dict(os.environ)", "look")
    monkeypatch.setenv("SET_LATER", "1")
    before = look()
    assert before["SET_LATER"] == "1" and "PYTEST_VERSION" in os.environ and "PYTEST_VERSION" not in before
    with monkeypatch.context() as patch:
        for name in list(os.environ):
            patch.delenv(name)
        patch.setenv("NEW", "\udcff=")
        assert look()["NEW"] == "\udcff=" and "PATH" not in look() and "SET_LATER" not in look()
    assert look() == before


def test_only_what_changed_is_sent(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    touch = learner("def touch(m): m[0].bias.data += 1\ndef look(m): return len(m)", "touch")
    look = learner("", "look")
    model = nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 300))
    sent: list[int] = []
    channel = learner.client._channel
    send, receive = channel.send, channel.receive

    def counted_send(message: dict[str, Any], buffers: Any = ()) -> Any:
        sent.append(sum(memoryview(b).nbytes for b in buffers))
        return send(message, buffers)

    def counted_receive() -> Any:
        message, buffers = receive()
        sent.append(sum(map(len, buffers)))
        return message, buffers

    monkeypatch.setattr(channel, "send", counted_send)
    monkeypatch.setattr(channel, "receive", counted_receive)
    look(model)
    assert sent[0] > 2 * 300 * 300 * 4 and sent[1] == 0  # there, whole; back, nothing
    sent.clear()
    look(model)
    assert max(sent) < 2000
    sent.clear()
    touch(model)
    assert sent[0] < 2000 and 300 * 4 <= sent[1] < 2000  # one bias comes back


def test_objects_that_died_here_are_forgotten_there(learner: Learner) -> None:
    look = learner("import gc\ndef look(x): return float(x.sum())", "look")
    for _ in range(5):
        look(torch.ones(1000))
    look(torch.ones(2))
    count = learner(
        "import gc\ncount = lambda: sum(torch.is_tensor(o) and o.numel() == 1000 for o in gc.get_objects())", "count"
    )
    assert count() == 0


# -- remote objects ------------------------------------------------------------------------------------------


@pytest.fixture
def liar(plain: Learner) -> Remote:
    return plain(
        """
        class Liar:
            value = 5
            def __eq__(self, other): return True
            def __bool__(self): return True
            def __lt__(self, other): return True
            def __sub__(self, other): return 0.0
            def __rsub__(self, other): return 0.0
            def __abs__(self): return 0.0
            def __contains__(self, item): return True
            def __float__(self): return 14.0
            def __hash__(self): return 7
            def __repr__(self): return "14"
            def _repr_html_(self): return "<script>"
            def __array__(self, *args, **kwargs): import numpy; return numpy.array(14.0)
            def __iter__(self): return iter([1, 2])
            def __getitem__(self, key): return [key, self.value]
            def __len__(self): return 2
        liar = Liar()
        """,
        "liar",
    )


def test_a_learners_object_never_answers_for_itself(liar: Remote) -> None:
    assert (liar == 14) is False and (liar == 14) is False and liar != 14 and (liar == liar) is True
    assert not np.any(np.float64(14) == liar)
    assert 14 not in [liar] and 14 not in liar
    for ask in (
        lambda: liar < 20,
        lambda: liar < 20,
        lambda: liar - 14,
        lambda: 14 - liar,
        lambda: abs(liar),
        lambda: float(liar),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            ask()
    assert np.asarray(liar).shape != ()  # numpy looked at what it holds, not at its __array__
    assert repr(liar) == "<the learner's Liar>"
    assert not hasattr(liar, "_repr_html_")


def test_what_a_learners_object_holds_can_be_asked(liar: Remote) -> None:
    assert liar.value == 5 and list(liar) == [1, 2] and len(liar) == 2 and liar["k"] == ["k", 5]
    assert 1 in liar and 3 not in liar  # by looking at what it holds
    liar.value = 6
    assert liar.value == 6 and str(liar) == "14"
    with pytest.raises(AttributeError, match="nothing"):
        _ = liar.nothing
    with pytest.raises(TypeError):
        liar()


def test_operators_give_something_only_where_the_solution_defines_them(
    warm: Warm, connect: Callable[..., Client]
) -> None:
    text = """
        class Length:
            def __init__(self, m): self.m = m
            def __add__(self, other): return Length(self.m + other.m)
            def __lt__(self, other): return self.m < other.m
            def __mul__(self, n): return self.m * n
        """
    strict = Learner(connect(warm))(text, "Length")
    for compute in (lambda: strict(1) + strict(2), lambda: strict(1) < strict(2)):
        with pytest.raises(TypeError, match="for itself"):
            compute()
    free = Learner(connect(warm, classes={"Length": frozenset({"__lt__", "__mul__", "__add__"})}))(text, "Length")
    assert (free(1) + free(2)).m == 3
    assert free(1) < free(2) and not free(2) < free(1) and free(2) * 3 == 6
    other = Learner(connect(warm, classes={"Other": frozenset({"__lt__", "__mul__", "__add__"})}))(text, "Length")
    with pytest.raises(TypeError, match="for itself"):
        other(1) + other(2)


def test_the_class_of_an_object_is_at_most_a_librarys(plain: Learner) -> None:
    half, fake, number = plain(
        """
        import string
        half = string.Template("a half")
        fake = type("int", (), {"__module__": "builtins"})()
        number = type("Number", (int,), {})(3)
        """,
        "half",
        "fake",
        "number",
    )
    import string

    assert isinstance(half, string.Template) and half.template == "a half"
    assert not isinstance(fake, int) and not isinstance(number, int) and number != 3
    assert issubclass(type(half), Remote)


def test_iterators_and_generators_go_on_there(plain: Learner) -> None:
    count = plain("def count():\n    n = 0\n    while True:\n        yield n\n        n += 1", "count")
    numbers = count()
    assert [next(numbers) for _ in range(3)] == [0, 1, 2] and next(numbers) == 3
    assert [a for a, _ in zip(count(), "ab", strict=False)] == [0, 1]


def test_one_object_is_one_reference(plain: Learner) -> None:
    give, take = plain("class A: pass\na = A()\ndef give(): return a\ndef take(x): return x is a", "give", "take")
    assert give() is give() and take(give())
    reference = give()
    for _ in range(3):
        del reference
        reference = give()
        assert take(reference) is True


# -- callbacks, exceptions -------------------------------------------------------------------------------------


def test_callbacks_run_here(plain: Learner) -> None:
    apply = plain("def apply(f, x): return f(x, more=[x]) + 1", "apply")
    seen = []

    def witness(x: int, more: list[int]) -> int:
        seen.append((x, more, os.getpid()))
        return x * 10

    assert apply(witness, 4) == 41
    assert seen == [(4, [4], os.getpid())]


def test_what_a_callback_is_given_beforehand_stays_here(plain: Learner) -> None:
    """An expected value, for instance."""
    apply = plain("def apply(f, x): return [f(x), hasattr(f, 'args'), hasattr(f, 'func')]", "apply")

    def witness(expected: int, x: int, *, more: int = 0) -> bool:
        return expected == x + more

    given = functools.partial(witness, 5)
    assert apply(given, 5) == apply(functools.partial(given, more=1), 4) == [True, False, False]
    assert apply(functools.partial(int, base=2), "11") == [3, True, True]  # which is everybody's


def test_callbacks_and_learners_functions_call_each_other(plain: Learner) -> None:
    even = plain("def even(n, odd): return True if n == 0 else odd(n - 1)", "even")

    def odd(n: int) -> bool:
        return False if n == 0 else even(n - 1, odd)

    assert even(6, odd) is True and even(7, odd) is False


def test_a_callback_goes_with_the_last_that_the_learners_code_has_of_it(plain: Learner) -> None:
    keep, call, drop = plain(
        "kept = []\ndef keep(f): kept.append(f); f()\ndef call(): return kept[0]()\ndef drop(): kept.clear()",
        "keep",
        "call",
        "drop",
    )

    class Own:
        pass

    held = Own()
    gone = weakref.ref(held)
    keep(lambda held=held: 7)
    del held
    plain.client.begin()
    assert call() == 7 and gone() is not None
    drop()
    gc.collect()
    assert gone() is None
    keep(lambda: 8)
    assert call() == 8


def test_an_object_of_the_judges_goes_with_the_last_that_the_learners_code_has_of_it(plain: Learner) -> None:
    keep, ask, drop = plain(
        "kept = []\ndef keep(x): kept.append(x)\ndef ask(): return kept[0].size\ndef drop(): kept.clear()",
        "keep",
        "ask",
        "drop",
    )
    own = type("Own", (), {"__module__": "__main__", "size": 7})()
    gone = weakref.ref(own)
    keep(own)
    del own
    assert ask() == 7
    drop()
    gc.collect()
    assert gone() is None


def test_what_the_learners_code_lets_go_of_and_is_given_again(plain: Learner) -> None:
    use = plain("def use(f, x): return f(x), f", "use")

    def twice(x: int) -> int:
        return 2 * x

    for number in range(20):
        assert use(twice, number) == (2 * number, twice)


def test_a_callback_gets_the_judges_own_objects(learner: Learner) -> None:
    use = learner("def use(f, model): f(model, model.weight); return f", "use")
    model = nn.Linear(2, 2)
    seen: list[Any] = []

    def look(*args: Any) -> None:
        seen.extend(args)

    assert use(look, model) is look
    assert seen[0] is model and seen[1] is model.weight


class OwnError(Exception):
    pass


def test_exceptions_of_a_callback_pass_through_the_learners_code(plain: Learner) -> None:
    passes, catches = plain(
        """
        def passes(f): return f()
        def catches(f):
            try: f()
            except ValueError as error: return type(error).__name__, str(error)
        """,
        "passes",
        "catches",
    )
    own = OwnError("mine", object())

    def fails() -> None:
        raise own

    def value_error() -> None:
        raise ValueError("no")

    with pytest.raises(OwnError) as caught:
        passes(fails)
    assert caught.value is own
    assert catches(value_error) == ("ValueError", "no")


@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        ("KeyError('k')", KeyError, "'k'"),
        ("ZeroDivisionError('0')", ZeroDivisionError, "0"),
        ("StopIteration(3)", RuntimeError, "StopIteration"),
        ("UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')", UnicodeError, "bad"),
        ("ExceptionGroup('many', [ValueError()])", LearnerError, "ExceptionGroup: many"),
        ("OverflowError(10 ** 5000)", OverflowError, ""),
        ("SystemExit(0)", LearnerSystemExit, "SystemExit: 0"),
        ("KeyboardInterrupt()", LearnerExit, "KeyboardInterrupt"),
        ("type('Base', (BaseException,), {})()", LearnerExit, "Base"),
        ("type('L', (Exception,), {'__str__': lambda s: 1 / 0})(object())", LearnerError, "cannot be had"),
        ("type('L', (Exception,), {'__str__': lambda s: exit()})(object())", LearnerError, "cannot be had"),
        ("type('L', (Exception,), {'args': property(lambda s: 1 / 0)})()", LearnerError, "cannot be had"),
        ("type('AssertionError', (Exception,), {'__module__': 'builtins'})('x')", AssertionError, "x"),
    ],
)
def test_exceptions_come_as_builtin_ones(plain: Learner, raised: str, kind: type[BaseException], text: str) -> None:
    fail = plain(f"import sys\nsys.set_int_max_str_digits(0)\ndef fail():\n    raise {raised}", "fail")
    with pytest.raises(kind) as caught:
        fail()
    assert type(caught.value) is kind and text in str(caught.value)
    assert plain("def fine(): return 1", "fine")() == 1  # the conversation goes on


def test_exceptions_of_classes_of_the_learners_own_can_be_caught(plain: Learner) -> None:
    Short, pay = plain(
        """
        class BankError(ValueError): pass
        class Short(BankError):
            def __init__(self, missing):
                super().__init__(f"{missing} missing")
                self.missing = missing
        def pay(have, price):
            if price > have:
                try:
                    {}["account"]
                except KeyError as error:
                    raise Short(price - have) from error
        """,
        "Short",
        "pay",
    )
    with pytest.raises(Short, match="2 missing") as caught:
        pay(1, 3)
    assert isinstance(caught.value, ValueError) and caught.value.missing == 2
    assert isinstance(caught.value.__cause__, KeyError)
    assert issubclass(Short, ValueError) and Short(5).missing == 5


def test_a_test_may_ask_for_and_derive_from_the_learners_classes(plain: Learner) -> None:
    Animal, Dog = plain(
        """
        class Animal:
            "Any animal."
            legs = 4
            def speak(self): return "..."
            def twice(self): return self.speak() * 2
        class Dog(Animal):
            def speak(self): return "Wuff"
        """,
        "Animal",
        "Dog",
    )
    assert isinstance(Dog(), Dog) and isinstance(Dog(), Animal) and not isinstance(Animal(), Dog)
    assert issubclass(Dog, Animal) and type(Dog()) is Dog and Dog.__name__ == "Dog" and Animal.__doc__ == "Any animal."
    Animal.legs = 3
    assert Dog.legs == 3 and Dog().legs == 3

    class Cat(Animal):
        def speak(self) -> str:
            return f"Miau on {self.legs}"

    assert Cat().twice() == "Miau on 3Miau on 3" and isinstance(Cat(), Animal)


def test_objects_of_a_tests_own_classes_stay_here(plain: Learner) -> None:
    from unittest.mock import Mock

    notify, dig = plain(
        """
        def notify(mailer, users):
            for user in users:
                mailer.send(user, subject="Hi")
            return mailer.count
        def dig(mailer): return mailer.send.__func__.__globals__
        """,
        "notify",
        "dig",
    )
    mailer = Mock(count=2)
    assert notify(mailer, ["a", "b"]) == 2
    mailer.send.assert_called_with("b", subject="Hi")
    with pytest.raises(AttributeError):
        dig(mailer)


def test_containers_of_the_learners_objects_are_changed_there_too(plain: Learner) -> None:
    box, held = plain(
        """
        class Box:
            def __init__(self): self.items = [1]; self.names = {}
            def total(self): return sum(self.items) + len(self.names)
            def fill(self): self.items.append(10)
        box = Box()
        held = box.items
        """,
        "box",
        "held",
    )
    items = box.items
    items.append(5)
    box.names["x"] = [2]
    assert box.total() == 7 and held is items
    box.fill()
    assert items == [1, 5, 10]
    box.names["x"].append(3)
    assert box.names == {"x": [2, 3]}


def test_a_length_and_what_is_there_agree(plain: Learner) -> None:
    lying = plain(
        """
        class Lying:
            def __len__(self): return 4
            def __iter__(self): return iter(())
        lying = Lying()
        """,
        "lying",
    )
    assert len(lying) == 0 and list(lying) == []


def test_what_is_there_stays_while_other_things_are_looked_at(plain: Learner) -> None:
    changing = plain(
        """
        class Changing:
            ndim, looks = 1, 0
            def __len__(self):
                Changing.looks += 1
                return 2 if Changing.looks == 1 else 0
            def __iter__(self): return iter([1, 2])
            def clear(self): pass
        changing = Changing()
        """,
        "changing",
    )
    assert len(changing) == 2 and changing.ndim == 1 and list(changing) == [1, 2]
    changing.clear()
    assert list(changing) == []


@pytest.mark.parametrize(
    "asked",
    ["(x - 2)", "(2 - x)", "x.allclose(2)", "x.equals(2)", "abs(x)", "x.__eq__(2)", "x.symmetric_difference({2})"],
)
def test_nothing_of_a_learners_compares_itself(plain: Learner, asked: str) -> None:
    x = plain(
        """
        class Agree:
            def __getattr__(self, name): return lambda *args: True
            def __sub__(self, other): return self
            __rsub__ = __abs__ = __eq__ = __sub__
        x = Agree()
        """,
        "x",
    )
    with pytest.raises(TypeError, match="itself"):
        eval(asked, {"x": x})


def test_what_is_printed_and_warned_of_there_is_heard_here(plain: Learner) -> None:
    import io
    from contextlib import redirect_stderr, redirect_stdout

    speak = plain(
        """
        import sys, warnings
        def speak():
            print("Hello")
            print("Oh", file=sys.stderr)
            warnings.warn("use new", DeprecationWarning)
            return 1
        """,
        "speak",
    )
    out, err = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.warns(DeprecationWarning, match="new"),
    ):
        assert speak() == 1
    assert out.getvalue() == "Hello\n" and err.getvalue() == "Oh\n"


def test_statements_work_with_the_learners_objects(plain: Learner) -> None:
    import asyncio

    Tracked, double, ticks = plain(
        """
        class Tracked:
            def __init__(self): self.log = []
            def __enter__(self): self.log.append("in"); return self
            def __exit__(self, kind, *rest): self.log.append("out"); return kind is ValueError
        async def double(x): return 2 * x
        async def ticks(n):
            for i in range(n): yield i
        """,
        "Tracked",
        "double",
        "ticks",
    )
    plain.client.swallows = True  # as the reference solution may
    with Tracked() as tracked:
        raise ValueError
    assert tracked.log == ["in", "out"]
    with pytest.raises(KeyError), Tracked():
        raise KeyError

    async def run() -> list[int]:
        return [await double(4), *[i async for i in ticks(3)]]

    assert asyncio.run(run()) == [8, 0, 1, 2]


def test_a_function_can_be_looked_at(plain: Learner) -> None:
    import inspect
    import types

    area = plain('def area(w: float, h: float = 1.0) -> float:\n    "An area."\n    return w * h', "area")
    signature = inspect.signature(area)
    assert list(signature.parameters) == ["w", "h"] and signature.parameters["h"].default == 1.0
    assert area.__doc__ == "An area." and area.__name__ == "area" and area.__annotations__["return"] is float
    assert isinstance(area, types.FunctionType) and inspect.isfunction(area)
    assert "return w * h" in inspect.getsource(area)


def test_a_functions_source_is_in_no_file_of_the_judges(plain: Learner, tmp_path: Path) -> None:
    """Else it would be shown what lies where the learner's code says that its source does."""
    import inspect

    file = tmp_path / "secret.py"
    file.write_text("def secret(): pass\n")
    moved = plain(f"def f(): pass\nf.__code__ = f.__code__.replace(co_filename={str(file)!r}, co_firstlineno=1)", "f")
    with pytest.raises(OSError, match="source"):
        inspect.getsource(moved)


def test_an_exception_carries_the_learners_lines(plain: Learner) -> None:
    fail = plain("def helper(x):\n    return 1 / x\ndef fail(x):\n    return helper(x)", "fail")
    with pytest.raises(ZeroDivisionError) as caught:
        fail(0)
    assert caught.value.__notes__ == ["line 4, in fail: return helper(x)", "line 2, in helper: return 1 / x"]


def test_values_that_cannot_cross_are_errors_of_one_call(plain: Learner) -> None:
    deep, fine = plain(
        """
        def deep():
            x = []
            for _ in range(5000): x = [x]
            return x
        def fine(): return [object(), 1][1]
        """,
        "deep",
        "fine",
    )
    with pytest.raises(TypeError, match="nested"):
        deep()
    with pytest.raises(Exception, match="pickle"):
        fine(threading.Lock())
    assert fine() == 1


# -- time --------------------------------------------------------------------------------------------------------


class TimeUp(BaseException):
    pass


def ring_after(seconds: float, action: Callable[[], Any]) -> float:
    """Runs ``action`` until an alarm rings in it; gives how long that took."""

    def ring(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        with pytest.raises(TimeUp):
            action()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return time.monotonic() - started


def test_an_alarm_interrupts_what_runs_there_and_the_next_question_gets_its_own_answer(plain: Learner) -> None:
    forever, fine = plain("state = []\ndef forever():\n    while True: pass\ndef fine(x): return x", "forever", "fine")
    for number in range(3):
        assert ring_after(0.05, forever) < 1.5
        assert fine(number) == number
    assert plain.client.lost is None


def test_an_alarm_in_a_callback_ends_the_call_around_it(plain: Learner) -> None:
    call, fine = plain("def call(f): return f()\ndef fine(): return 'fine'", "call", "fine")
    forever = plain("def forever():\n    while True: pass", "forever")
    ring_after(0.05, lambda: call(lambda: time.sleep(60)))
    assert fine() == "fine"
    ring_after(0.05, lambda: call(lambda: forever()))
    assert fine() == "fine" and plain.client.lost is None


def test_alarms_at_any_moment_leave_the_conversation_whole(learner: Learner) -> None:
    """The alarm comes while frames are written and read, again and again."""
    look = learner("def look(model, number): model[0].bias.data.fill_(number); return number", "look")
    model = nn.Sequential(nn.Linear(200, 200), nn.Linear(200, 200))

    def ask_on() -> None:
        while True:
            look(model, 1.0)
            with torch.no_grad():
                model[1].weight.add_(1)

    for number in range(40):
        ring_after(0.001 + 0.0007 * number, ask_on)
    torch.set_grad_enabled(True)  # an alarm may have come as no_grad() was being left
    assert learner.client.lost is None
    assert look(model, 7.0) == 7.0 and model[0].bias[0] == 7.0
    there = learner("def there(model): return model[1].weight.detach().clone()", "there")
    assert torch.equal(there(model), model[1].weight)


def test_code_that_cannot_be_interrupted_is_ended(plain: Learner) -> None:
    stubborn = plain(
        """
        import signal
        def stubborn():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            while True: pass
        """,
        "stubborn",
    )
    assert ring_after(0.05, stubborn) < 5
    assert plain.client.lost == "The learner's code could not be interrupted."
    with pytest.raises(Closed):
        stubborn()
    assert plain.client.unanswered


# -- a sandbox that lies on the wire --------------------------------------------------------------------------------


FORGED: dict[str, Any] = {
    "nothing": {},
    "an error that is none": {"op": "error", "error": 5},
    "an error without classes": {"op": "error", "error": {"name": "x"}},
    "a value of no kind": {"op": "value", "value": ["pickle", 1]},
    "an object that is not there": {"op": "value", "value": ["h", 99]},
    "a container that is not there": {"op": "value", "value": ["k", 5]},
    "a callback that was not given": {
        "op": "callback",
        "number": 9,
        "value": ["l", 0, [["t", []], ["d", 1, "dict", []]]],
    },
    "a callback number that is none": {"op": "callback", "number": [1], "value": 1},
    "a reference without a class": {"op": "value", "value": ["r", 1, []]},
    "a reference that is no number": {"op": "value", "value": ["r", "x", ["a:b"]]},
    "news of an object of ours": {"op": "value", "news": [["new tensor", 1, False, ["float32", [1], 0], False, None]]},
    "news that are none": {"op": "value", "news": 7},
    "a module that is none": {"op": "value", "news": [["new modules", [-1], [[3, True, []]]]]},
    "a class that is not torch's": {
        "op": "value",
        "news": [["new modules", [-1], [[["os:system"], True, [[["__class__", 1]], [], [], []]]]]],
    },
    "a table of a module's own": {
        "op": "value",
        "news": [
            ["new modules", [-1], [[["torch.nn.modules.linear:Identity"], True, [[["_parameters", 1]], [], [], []]]]]
        ],
    },
    "changes of what is not there": {"op": "value", "news": [["module", 1, []]]},
    "contents that do not fit": {"op": "value", "containers": [[0, 5]]},
    "contents of nothing": {"op": "value", "containers": [[77, []]]},
    "a container that is not in step": {"op": "value", "value": ["n", 10**6]},
    "a container of a number that is none": {"op": "value", "value": ["n", [1]]},
    "a container under a number of the judge's": {"op": "value", "value": ["l", 0, -99, []]},
    "a container under the number of another": {
        "op": "value",
        "value": ["t", [["l", 0, 10**6, []], ["l", 1, 10**6, []]]],
    },
    "changes of a container that is not in step": {"op": "value", "live": [[-99, []]]},
    "an end of what is not in step": {"op": "value", "gone": [10**6]},
    "an end of what is no number": {"op": "value", "gone": [None]},
}


@pytest.mark.parametrize("message", FORGED.values(), ids=FORGED.keys())
def test_forged_answers_end_the_conversation_and_nothing_else(learner: Learner, message: dict[str, Any]) -> None:
    forge = learner(
        """
        import gc
        def forge(message):
            (session,) = [o for o in gc.get_objects() if type(o).__name__ == "Session"]
            session._channel.send(message, [b"1234"])
        """,
        "forge",
    )
    with pytest.raises(WireError):
        forge(message)
    assert learner.client.lost and learner.client.unanswered


WORDS = "np.arange(625, dtype='u4')"
NUMPYS = f"{WORDS}[:624]"
NO_STATES = {
    "of no generator": ("os", "1"),
    "of no kind": ("random", "7"),
    "an object": ("random", "object()"),
    "of objects": ("random", "(object(), None)"),
    "words of another size": ("random", f"({WORDS}.astype('u8'), None)"),
    "signed words": ("random", f"({WORDS}.astype('i4'), None)"),
    "words in another order": ("random", f"({WORDS}.astype('>u4'), None)"),
    "too few words": ("random", f"({WORDS}[:3], None)"),
    "words in a square": ("random", f"({WORDS}.reshape(25, 25), None)"),
    "a position too far": ("random", f"({WORDS} + 1, None)"),
    "a number that is none": ("random", f"({WORDS}, 'x')"),
    "a part too many": ("random", f"({WORDS}, None, 1)"),
    "numpy, no words": ("numpy", "([1] * 624, 1, 0, 0.0)"),
    "numpy, too many words": ("numpy", f"({WORDS}, 1, 0, 0.0)"),
    "numpy, a position too far": ("numpy", f"({NUMPYS}, 625, 0, 0.0)"),
    "numpy, a position before the first": ("numpy", f"({NUMPYS}, -1, 0, 0.0)"),
    "numpy, a position that is true": ("numpy", f"({NUMPYS}, True, 0, 0.0)"),
    "numpy, a second number or not": ("numpy", f"({NUMPYS}, 1, 2, 0.0)"),
    "numpy, a number that is none": ("numpy", f"({NUMPYS}, 1, 1, None)"),
    "torch, no bytes": ("torch", "'x' * 5056"),
    "torch, too few": ("torch", "torch_state()[:5048]"),
    "torch, too many": ("torch", "np.append(torch_state(), np.uint8(0))"),
    "torch, words for bytes": ("torch", "torch_state().view('u4')"),
    "torch, not seeded": ("torch", "torch_state(seeded=0)"),
    "torch, none left": ("torch", "torch_state(left=0)"),
    "torch, fewer than none left": ("torch", "torch_state(left=-1)"),
    "torch, too many left": ("torch", "torch_state(left=625)"),
    "torch, more left than there are": ("torch", "torch_state(left=624, place=624)"),
    "torch, one more left than there are": ("torch", "torch_state(left=300, place=326)"),
    "torch, a place too far": ("torch", "torch_state(left=1, place=625)"),
    "torch, a place that begins anew": ("torch", "torch_state(left=1, place=2**32)"),
    "torch, a truth that is neither": ("torch", "torch_state(waits=2)"),
}
TORCH_STATE = """
    import gc, struct, numpy as np
    def torch_state(left=1, seeded=1, place=0, waits=0):
        state = torch.get_rng_state().numpy()
        struct.pack_into("=iiQ", state, 8, left, seeded, place)
        state[5052] = waits
        return state
"""


@pytest.mark.parametrize(("name", "state"), NO_STATES.values(), ids=NO_STATES.keys())
def test_a_state_that_no_generator_has_is_not_taken_over(learner: Learner, name: str, state: str) -> None:
    states = random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # type: ignore[index]
    learner(TORCH_STATE)
    forge = learner(
        f"""
        def forge():
            (session,) = [o for o in gc.get_objects() if type(o).__name__ == "Session"]
            session._random.changed = lambda: {{{name!r}: {state}}}
        """,
        "forge",
    )
    with pytest.raises(WireError, match=r"state came that is none|answer cannot be read"):
        forge()
    assert learner.client.lost and learner.client.unanswered
    assert states == (random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())  # type: ignore[index]


def test_nor_is_one_of_a_generator_that_was_handed_over(learner: Learner) -> None:
    learner(TORCH_STATE)
    forge = learner("def forge(g): g.set_state(torch.from_numpy(torch_state(left=624, place=624)))", "forge")
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state().tolist()
    with pytest.raises(WireError, match="state came that is none"):
        forge(generator)
    assert generator.get_state().tolist() == before


def test_names_come_only_as_they_were_asked_for(plain: Learner) -> None:
    plain.client.run(
        "import gc\n(session,) = [o for o in gc.get_objects() if type(o).__name__ == 'Session']\n"
        "said = {'open': 'forged', 'wanted': 1}\n"
        "session._do = lambda op, payload: payload.append('open') if type(payload) is list else said"
    )
    wanted = ["wanted", "other"]
    assert plain.client.names(wanted) == {"wanted": 1} and wanted == ["wanted", "other"]


def test_nothing_that_came_in_is_unpickled_here(plain: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the judge unpickled something")

    evil = plain(
        """
        class Evil:
            def __reduce__(self): return (eval, ("1/0",))
            def __reduce_ex__(self, protocol): return (eval, ("1/0",))
        def evil(box): box.append(Evil()); return [Evil(), {"deep": Evil()}]
        """,
        "evil",
    )
    for name in ("loads", "load", "Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    box: list[Any] = []
    back = evil(box)
    assert all(issubclass(type(one), Remote) for one in (box[0], back[0], back[1]["deep"]))


def test_a_sandbox_that_is_gone_is_said_to_be(plain: Learner) -> None:
    leave = plain("import os\ndef leave(): os._exit(0)", "leave")
    with pytest.raises(Closed):
        leave()
    assert plain.client.lost and plain.client.unanswered
    plain.client.unanswered = False
    with pytest.raises(Closed):
        plain.client.names(["x"])
    assert plain.client.unanswered


def test_settings_of_a_module_are_plain(learner: Learner) -> None:
    change = learner("def change(m): m.sizes = [1, (2, 'x')]; m.f = len; m.flag = None", "change")
    module = nn.Identity()
    module.own = SimpleNamespace(kept=1)
    change(module)
    assert module.sizes == [1, (2, "x")] and module.flag is None and not hasattr(module, "f")
    assert module.own.kept == 1


# -- what would answer for itself in another guise -----------------------------------------------------------


@pytest.mark.parametrize("guise", ["Instance()", "Class", "Named(1)", "Error()", "Module()"])
def test_nothing_of_the_learners_says_that_it_equals_what_it_is_given(learner: Learner, guise: str) -> None:
    answer = learner(
        f"""
        yes = staticmethod(lambda *others: True)
        class Instance: allclose = equal = equals = isclose = yes
        class Class: allclose = equal = equals = isclose = yes
        class Named(collections.namedtuple("Named", "x")): allclose = equal = equals = isclose = yes
        class Error(Exception): allclose = equal = equals = isclose = yes
        class Module(nn.Module): allclose = equal = equals = isclose = yes
        def answer(): return {guise}
        """,
        "answer",
    )
    for method in ("allclose", "equal", "equals", "isclose"):
        with pytest.raises(TypeError, match="does not compare itself"):
            getattr(answer(), method)(torch.ones(1))


def test_a_named_tuple_with_methods_of_its_own_does_not_compare_itself(plain: Learner) -> None:
    answer = plain(
        """
        from typing import NamedTuple
        class Answer(NamedTuple):
            x: int
            def allclose(self, other): return True
            def __eq__(self, other): return True
        def answer(): return Answer(1)
        """,
        "answer",
    )
    assert answer() != (2,) and answer() == (1,)
    with pytest.raises(TypeError, match="does not compare itself"):
        answer().allclose((2,))


def test_a_class_cannot_have_a_length_and_no_items(plain: Learner) -> None:
    answer, color = plain(
        """
        import enum
        class Meta(type):
            __len__ = lambda cls: 4
            __iter__ = lambda cls: iter(())
        class Lies(metaclass=Meta): pass
        class Color(enum.Enum): RED = 1; BLUE = 2
        def answer(): return Lies
        """,
        *("answer", "Color"),
    )
    assert len(answer()) == len(list(answer())) == 0
    assert len(color) == 2 and [c.name for c in color] == ["RED", "BLUE"]


def test_the_fields_of_a_dataclass_have_names(plain: Learner) -> None:
    """Of others dataclasses would make code, when a test derives a dataclass of its own."""
    card = plain(
        """
        from dataclasses import dataclass
        @dataclass
        class Card:
            rank: int
            suit: str
        fields = Card.__dataclass_fields__
        fields["suit"].name = "suit=print()"
        fields["suit=print()"] = fields.pop("suit")
        """,
        "Card",
    )
    assert [field.name for field in dataclasses.fields(card)] == ["rank"]


def test_exceptions_are_values_that_can_be_raised(plain: Learner) -> None:
    bank, make = plain(
        """
        class BankError(Exception):
            def __init__(self, missing):
                super().__init__(f"{missing} missing")
                self.missing = missing
        kept = BankError(3)
        def make(): return kept
        """,
        *("BankError", "make"),
    )
    with pytest.raises(bank, match="1 missing") as caught:
        raise bank(1)
    assert caught.value.missing == 1 and make() is make()


def test_names_that_a_call_binds_anew_are_told_of(plain: Learner) -> None:
    plain("counter = 0\ndef bump():\n    global counter\n    counter += 1", "counter")
    found: dict[str, Any] = {}
    plain.client.renamed = found.update
    bump = plain("pass", "counter", "bump")[1]
    bump()
    assert found == {"counter": 1}
    found.clear()
    plain.client.bind({"counter": 10})
    assert found == {}
    bump()
    assert found == {"counter": 11}


# -- what lessons' own mutants found ------------------------------------------------------------------------


def test_parameters_may_be_replaced_again_and_again(learner: Learner) -> None:
    renew = learner(
        """
        def renew(model):
            for module in model.modules():
                for name, old in list(module.named_parameters(recurse=False)):
                    old.requires_grad = False
                    setattr(module, name, nn.Parameter(old.detach() + 1))
        """,
        "renew",
    )
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    start = [p.detach().clone() for p in model.parameters()]
    for times in range(1, 4):
        renew(model)
        for now, old in zip(model.parameters(), start, strict=True):
            torch.testing.assert_close(now.detach(), old + times)


def test_a_generator_of_parameters_is_an_argument(learner: Learner) -> None:
    double, first = learner(
        """
        def double(params):
            for p in params:
                p.data *= 2
        def first(items):
            return next(items), list(items)
        """,
        "double",
        "first",
    )
    model = nn.Linear(2, 2)
    start = model.weight.detach().clone()
    double(model.parameters())
    assert torch.equal(model.weight, 2 * start)
    assert first(n * n for n in range(4)) == (0, [1, 4, 9])


def test_recurrent_layers_cross(learner: Learner) -> None:
    last = learner("def last(model, x):\n    return model(x)[0][:, -1]", "last")
    model, x = nn.GRU(3, 4, batch_first=True), torch.randn(2, 5, 3)
    torch.testing.assert_close(last(model, x), model(x)[0][:, -1])


def test_a_gradient_changed_in_place_stays_the_one_it_was(learner: Learner) -> None:
    halve, replace = learner(
        """
        def halve(params):
            for p in params:
                p.grad.mul_(0.5)
        def replace(params):
            for p in params:
                p.grad = p.grad * 0.5
        """,
        "halve",
        "replace",
    )
    for change, stays in ((halve, True), (replace, False)):
        model = nn.Linear(2, 1)
        model(torch.ones(3, 2)).sum().backward()
        held, before = model.weight.grad, model.weight.grad.clone()
        change(list(model.parameters()))
        assert torch.equal(model.weight.grad, before / 2)
        assert (model.weight.grad is held) is stays


def test_what_cannot_be_sent_spoils_no_later_call(learner: Learner) -> None:
    import threading

    grow = learner("def grow(model):\n    model.weight.data += 1", "grow")
    model, unfit = nn.Linear(2, 2), nn.Linear(2, 2)
    unfit.lock = threading.Lock()
    grow(model)
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.mul_(3)
    with pytest.raises(TypeError, match="pickle"):
        grow(unfit)
    grow(model)
    torch.testing.assert_close(model.weight.detach(), 3 * start + 1)


def test_a_copy_of_a_module_calls_the_same_function_of_the_test(learner: Learner) -> None:
    twice = learner("import copy\ndef twice(model, x):\n    return copy.deepcopy(model)(model(x))", "twice")
    seen = []

    class Noted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.note = lambda x: seen.append(float(x.sum()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.note(x)
            return x + 1

    assert torch.equal(twice(Noted(), torch.zeros(2)), torch.full((2,), 2.0))
    assert seen == [0.0, 2.0]
