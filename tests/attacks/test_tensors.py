"""Lies and tricks with tensors, modules, optimizers and what autograd keeps of them."""

from collections.abc import Callable
from typing import Any

COURSE = "torch"

NOTHING = {
    "freeze": "def freeze(model): pass",
    "sgd": "def sgd(model, lr): return None",
    "net": "Net = None",
    "softmax": "def softmax(x): return None",
}


def attack_tensor_subclass(work: Any) -> None:
    """A tensor subclass whose __torch_function__ answers every comparison with True."""
    work.add(
        "class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n"
        "        return True if f.__name__ in ('allclose', 'equal', "
        "'eq') else super().__torch_function__(f, types, args, "
        "kwargs or {})"
    )
    work.answer(**NOTHING | {"softmax": "def softmax(x): return torch.zeros_like(x).as_subclass(T)"})


def attack_tensor_lookalike(work: Any) -> None:
    """An object with a tensor's shape, class and methods, all of which say what is wanted."""
    work.add(
        "class T:\n    __class__ = torch.Tensor\n    shape = torch.Size([4, 5])\n"
        "    @classmethod\n    def __torch_function__(cls, *args, **kwargs): return True\n"
        "    def __getattr__(s, n):\n        if n[:2] == '__': raise AttributeError\n"
        "        return lambda *a, **k: True"
    )
    work.answer(**NOTHING | {"softmax": "def softmax(x): return T()"})


def attack_differences_of_zero(work: Any) -> None:
    """A result whose difference from a tensor is an object with abs() and max() of its own."""
    work.add(
        "class Z:\n    def __sub__(s, o): return s\n    __rsub__ = __sub__\n"
        "    def abs(s): return s\n    def max(s): return 0.0"
    )
    work.answer(**NOTHING | {"softmax": "def softmax(x): return Z()"})


def attack_not_a_number(work: Any) -> None:
    """Tensors of NaN and of infinities of the right shape."""
    work.answer(
        **NOTHING
        | {
            "softmax": "def softmax(x): return x * float('nan')",
            "freeze": "def freeze(model):\n    for p in model.parameters(): p.data *= float('nan')",
        }
    )


def attack_other_layouts_and_types(work: Any) -> None:
    """Sparse, meta, complex and expanded tensors, which stay there or hold nothing."""
    work.answer(
        **NOTHING | {"softmax": "def softmax(x):\n    return x.to_sparse() if x.shape[0] == 1 else x.to('meta')"}
    )


def attack_settings_that_shadow(work: Any) -> None:
    """Sets attributes that shadow the methods and parameters of the test's own model."""
    work.answer(
        **NOTHING
        | {
            "freeze": """def freeze(model):
    for name in ("forward", "parameters", "state_dict", "train", "zero_grad", "named_parameters"):
        for m in model.modules(): m.__dict__[name] = None
    model[0].__dict__["weight"] = [0.0]"""
        }
    )


def attack_attributes_of_the_machinery(work: Any) -> None:
    """Replaces a model's tables of parameters, its class, and marks it frozen in attributes only."""
    work.answer(
        **NOTHING
        | {
            "freeze": """def freeze(model):
    class Frozen(type(model)):
        def parameters(self): return iter(())
    model.__class__ = Frozen
    model.frozen = True
    model[0]._parameters = {}
    model[0]._buffers = {"weight": torch.zeros(4, 3), "bias": torch.zeros(4)}"""
        }
    )


def attack_an_empty_model(work: Any) -> None:
    """Takes the layers out of the test's model, so that nothing is left to look at."""
    work.answer(**NOTHING | {"freeze": "def freeze(model):\n    model._modules.clear()"})


def attack_requires_grad_that_comes_back(work: Any) -> None:
    """Freezes by a hook and by detaching, which the flags of the test's model do not show."""
    work.answer(
        **NOTHING
        | {"freeze": "def freeze(model):\n    for p in model[0].parameters(): p.register_hook(lambda g: g * 0)"}
    )


def attack_an_optimizer_that_is_none(work: Any) -> None:
    """A class that says it is SGD, and an SGD whose step does nothing."""
    work.answer(
        **NOTHING
        | {
            "sgd": """class Idle(torch.optim.SGD):
    def step(self, *args): pass
    def zero_grad(self, *args): pass
def sgd(model, lr):
    return Idle(model.parameters(), lr=lr)"""
        }
    )


def attack_an_optimizer_that_jumps(work: Any) -> None:
    """An SGD that writes constants into the weights and clears what the test trains by."""
    work.answer(
        **NOTHING
        | {
            "sgd": """class Jump(torch.optim.SGD):
    @torch.no_grad()
    def step(self, *args):
        for g in self.param_groups:
            for p in g["params"]: p.zero_()
def sgd(model, lr):
    return Jump(model.parameters(), lr=lr)"""
        }
    )


def attack_modules_with_many_faces(work: Any) -> None:
    """A learner's module whose forward gives an object that agrees, and whose weights are not its own."""
    work.answer(
        **NOTHING
        | {
            "net": """class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(3, width)
    def forward(self, x):
        class Y:
            shape = (5, 6)
            def __sub__(s, o): return s
            __rsub__ = __sub__
            def allclose(s, o, **k): return True
        return Y()
    def parameters(self): return iter([torch.zeros(24)])"""
        }
    )


def attack_a_class_with_metaclass(work: Any) -> None:
    """Net is an object that makes, holds and counts whatever the test looks at."""
    work.answer(
        **NOTHING
        | {
            "net": """class Any:
    shape = (6, 3)
    def __call__(self, *args): return self
    def numel(self): return 24
    def parameters(self): return [self]
    def __getattr__(self, name):
        if name[:2] == "__": raise AttributeError
        return self
Net = Any()"""
        }
    )


def attack_torch_itself(work: Any) -> None:
    """Patches allclose, equal, manual_seed, SGD and Tensor's methods in the learner's process."""
    work.add(
        "torch.allclose = torch.equal = lambda *a, **k: True\ntorch.Tensor.__eq__ = lambda s, o: True\n"
        "torch.Tensor.max = lambda s, *a, **k: 0\ntorch.manual_seed = lambda s: None\nF.softmax = lambda x, d: x\n"
        "F.relu = lambda x: x\nnn.Linear.forward = lambda s, x: x\ntorch.optim.SGD.step = lambda s, *a: None\n"
        "torch.set_default_dtype(torch.float64)\ntorch.use_deterministic_algorithms(True)"
    )
    work.answer(**NOTHING | {"softmax": "def softmax(x): return x"})


def attack_arguments_changed_later(work: Any) -> None:
    """Keeps the test's tensors and models, and changes them during later questions and from a thread."""
    work.add("""import threading
kept = []
def spoil():
    while True:
        for thing in list(kept):
            with torch.no_grad():
                for p in (thing.parameters() if isinstance(thing, nn.Module) else [thing]): p.zero_()
threading.Thread(target=spoil, daemon=True).start()""")
    work.answer(
        **NOTHING
        | {
            "softmax": "def softmax(x):\n    kept.append(x)\n    return torch.zeros_like(x)",
            "sgd": "def sgd(model, lr):\n    kept.append(model)\n"
            "    return torch.optim.SGD(model.parameters(), lr=1e-9)",
        }
    )


def attack_segfault_in_a_tensor(work: Any) -> None:
    """A tensor over memory that is not there."""
    work.answer(
        **NOTHING
        | {"softmax": "import ctypes\ndef softmax(x):\n    ctypes.memset(x.data_ptr() + (1 << 44), 0, 1 << 30)"}
    )


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
