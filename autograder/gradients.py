"""Gradients across two processes: a tensor that one end computed is, at the other, the output of an autograd
function whose backward runs where it was computed.

Its inputs there are the tensors that both ends have and that it was computed from: walking its graph backwards, the
first such tensors met. Leaves that only its own end has get their gradients there, when it runs backwards.
Source: `Extending torch.autograd <https://docs.pytorch.org/docs/stable/notes/extending.html>`_.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from autograder.wire import torch_module


@dataclass(frozen=True)
class _Graph:
    """A tensor computed here, what it is computed from that both ends have, and what only this end has.

    It keeps what autograd has of the tensors that were computed, and not them: at the other end they live until they
    die here, and only then are their graphs let go of there, and so here.
    """

    end: Any  # another tensor with the same gradients
    shared: list[Any]  # gradient edges
    own: list[Any]


class _Anchor:
    """Lives as long as a graph here may ask the other end to run one of its own backwards."""

    __slots__ = ("__weakref__", "ask", "number")

    def __init__(self, ask: Callable[[int, Any], Any], number: int) -> None:
        self.ask, self.number = ask, number


class Graphs:
    """The graphs of one end.

    Parameters
    ----------
    ask: ``ask(number, grad)`` runs the graph of that number backwards at the other end and gives the gradients of
        its inputs, each a tensor or None.
    number: the number of an object that both ends have, or None.
    """

    def __init__(self, ask: Callable[[int, Any], Any], number: Callable[[Any], int | None]) -> None:
        self._ask = ask
        self._number = number
        self._graphs: dict[int, _Graph] = {}
        self._nodes: dict[tuple[Any, int], Any] = {}  # (grad_fn, output) -> the shared tensor that it made, weakly
        self._places: dict[int, tuple[Any, int]] = {}
        self.released: list[int] = []  # graphs of the other end that nothing here can ask for any more

    def enter(self, number: int, tensor: Any) -> list[int]:
        """Keeps the graph of a tensor that goes to the other end; gives the numbers of its inputs."""
        shared, own = self._sources(tensor)
        edges = [torch_module().autograd.graph.get_gradient_edge(one) for one in shared.values()]
        self._graphs[number] = _Graph(_end(tensor), edges, own)
        self._note(number, tensor)
        return list(shared)

    def changed(self, number: int, tensor: Any) -> None:
        """A tensor whose graph is kept here was changed in place."""
        if (graph := self._graphs.get(number)) is not None:
            self._graphs[number] = replace(graph, end=_end(tensor))

    def output(self, number: int, value: Any, inputs: list[Any]) -> Any:
        """The tensor here that stands for the one of that number, with ``value``'s values."""
        torch = torch_module()
        anchor = _Anchor(self._ask, number)
        weakref.finalize(anchor, self.released.append, number).atexit = False
        with torch.enable_grad():
            # its .data, which is no view of anything: autograd lets no view be changed in place here
            tensor = _link().apply(anchor, [value.data], _always(), *inputs)
        self._note(number, tensor)
        return tensor

    def backward(self, number: int, grad: Any) -> list[Any]:
        """Runs a graph of this end backwards from a gradient; gives the gradients of its shared inputs."""
        torch = torch_module()
        graph = self._graphs[number]
        if graph.own:
            torch.autograd.backward(graph.end, grad, retain_graph=True, inputs=graph.own)
        if not graph.shared:
            return []
        return list(torch.autograd.grad(graph.end, graph.shared, grad, retain_graph=True, allow_unused=True))

    def leave(self, numbers: list[int]) -> None:
        """These tensors are no longer known to both ends. Their graphs stay until the other end releases them."""
        for number in numbers:
            if (place := self._places.pop(number, None)) is not None:
                self._nodes.pop(place, None)

    def release(self, numbers: list[int]) -> None:
        for number in numbers:
            self._graphs.pop(number, None)

    def _note(self, number: int, tensor: Any) -> None:
        place = tensor.grad_fn, tensor.output_nr
        self._places[number] = place
        self._nodes[place] = weakref.ref(tensor)

    def _sources(self, tensor: Any) -> tuple[dict[int, Any], list[Any]]:
        """The nearest tensors behind a tensor that both ends have, by number, and the leaves that only this one has."""
        shared: dict[int, Any] = {}
        own: dict[int, Any] = {}
        seen = set()
        stack = list(tensor.grad_fn.next_functions)
        while stack:
            place = stack.pop()
            node, _ = place
            if node is None or place in seen:
                continue
            seen.add(place)
            made = self._made(place)
            if made is None:
                stack.extend(node.next_functions)
            elif (number := self._number(made)) is not None:
                shared[number] = made
            elif made is not _always():
                own[id(made)] = made
        return shared, list(own.values())

    def _made(self, place: tuple[Any, int]) -> Any:
        """The shared tensor that came out of a node, or the leaf that the node stands for."""
        found = self._nodes.get(place)
        made = found() if found else None
        return made if made is not None else getattr(place[0], "variable", None)


@functools.cache
def _always() -> Any:
    """A leaf that makes an output differentiable where none of its other inputs is."""
    return torch_module().zeros((), requires_grad=True)


def _end(tensor: Any) -> Any:
    """A tensor with the gradients of this one, which it does not keep alive."""
    with torch_module().enable_grad():
        return _same().apply([tensor.detach()], tensor)


@functools.cache
def _same() -> Any:
    import torch

    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, made: list[Any], tensor: Any) -> Any:
            return made.pop()  # in a list, so that it is an output and no view of an input

        @staticmethod
        def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
            return None, grad

    return Same


@functools.cache
def _link() -> Any:
    import torch

    class Link(torch.autograd.Function):
        """A tensor that the other end has computed."""

        @staticmethod
        def forward(ctx: Any, anchor: _Anchor, made: list[Any], *inputs: Any) -> Any:
            ctx.anchor = anchor
            return made.pop()  # in a list, so that it is an output and no view of an input

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
            return (None, None, None, *ctx.anchor.ask(ctx.anchor.number, grad))

    return Link
