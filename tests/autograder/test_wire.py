"""Plain data crosses exactly, and nothing else crosses: whatever comes in, it is a value or a WireError."""

import collections
import ipaddress
import json
import math
import random
import socket
from typing import Any

import numpy as np
import pytest
import torch

from autograder import wire
from autograder.frames import Channel, WireError
from autograder.wire import Reader, Writer


def no_reference(tag: str, fields: list[Any]) -> Any:
    raise WireError(f"no {tag}")


def crossed(value: Any) -> Any:
    """A value after its way through a real socket."""
    writer = Writer(lambda _: None)
    tree = writer.write(value)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        Channel(ours).send({"value": tree}, writer.buffers)
        message, buffers = Channel(theirs).receive()
    return Reader(buffers, no_reference).read(message["value"])


def read(tree: Any, *buffers: bytes) -> Any:
    return Reader([memoryview(bytearray(b)) for b in buffers], no_reference).read(tree)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 2**62, -(2**62), 2**64, -(10**5000), 1.5, -0.0, math.inf, -math.inf),
        *(
            "",
            "漢字 \ud800 \x00",
            b"",
            b"\x00\xff",
            bytearray(b"ab"),
            1 - 2j,
            complex(math.inf, -0.0),
            ...,
            (),
            ((), (1,)),
        ),
        *([], [[1], [2.0, "x"]], {}, {1: "a", "1": 2, (1, 2): None, 2.5: []}, set(), {1}, {2, 3}, frozenset({(1,)})),
        *(range(2, 9, 3), slice(None, 4, -1), collections.Counter("abca"), collections.OrderedDict(b=1, a=2)),
        *(ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8")),
        *(ipaddress.ip_interface("10.0.0.1/8"), np.dtype("float64"), np.dtype(">i2"), np.dtype("U3"), np.dtype(bool)),
        *(torch.Size([2, 0]), torch.float32, torch.bfloat16, torch.bool, torch.device("cpu"), torch.device("cuda:1")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_plain_value_crosses_as_itself(value: Any) -> None:
    back = crossed(value)
    assert type(back) is type(value)
    assert back == value
    if not isinstance(value, int):  # Python does not print integers of more than 4,300 digits
        assert repr(back) == repr(value)  # signs of zeros, order of keys, types inside


def test_nan_crosses_alone_and_in_complex_numbers() -> None:
    back = crossed([math.nan, complex(math.nan, 1)])
    assert math.isnan(back[0]) and math.isnan(back[1].real) and back[1].imag == 1


def test_exact_types_inside_containers() -> None:
    back = crossed({"flag": True, "one": 1, "float": 1.0, "list": [(1,), {2}]})
    assert [type(v) for v in back.values()] == [bool, int, float, list]
    assert [type(v) for v in back["list"]] == [tuple, set]


def test_a_default_dict_crosses_without_the_code_of_its_factory() -> None:
    value: dict[str, Any] = collections.defaultdict(lambda: [], a=[1])
    back = crossed(value)
    assert type(back) is collections.defaultdict and back == value and back.default_factory is None


def test_containers_stay_shared_and_cyclic() -> None:
    shared = [1]
    loop: list[Any] = [shared, {"again": shared}]
    loop.append(loop)
    back = crossed(loop)
    assert back[0] is back[1]["again"] and back[2] is back
    back[0].append(2)
    assert back[1]["again"] == [1, 2]


@pytest.mark.parametrize("code", ["?", "b", "B", "<i2", ">i4", "<u8", "<f2", "<f4", ">f8", "<c8", "<c16", "<f16"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3)])
def test_numbers_in_arrays_keep_dtype_and_shape(code: str, shape: tuple[int, ...]) -> None:
    value = (np.arange(math.prod(shape)).reshape(shape) * np.ones(shape)).astype(code)
    value = np.asarray(value)
    back = crossed(value)
    assert type(back) is np.ndarray and back.dtype == value.dtype and back.shape == shape
    assert np.array_equal(back, value) and back.flags.writeable


@pytest.mark.parametrize(
    "value",
    [
        np.array(["", "漢字"]),
        np.array([b"ab", b""]),
        np.array([], dtype="U"),
        np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
        np.array([25, 50], dtype="m8[25s]"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10)[::-3],
        np.array([np.nan, -np.inf, 0.0]),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_of_other_plain_kinds(value: np.ndarray) -> None:
    back = crossed(value)
    assert back.dtype == value.dtype and back.shape == value.shape
    np.testing.assert_array_equal(back, value)


@pytest.mark.parametrize(
    "value",
    [
        *(np.float64(1.5), np.float32(-0.0), np.float16(2), np.int8(-3), np.uint64(2**63), np.bool_(True)),
        *(np.complex64(1j), np.str_("é"), np.bytes_(b"a"), np.datetime64("2020-02"), np.timedelta64(3, "h")),
    ],
    ids=lambda v: type(v).__name__,
)
def test_numpy_scalars_keep_their_type(value: Any) -> None:
    back = crossed(value)
    assert type(back) is type(value) and back == value and back.dtype == value.dtype


def test_an_array_that_comes_twice_is_one_array() -> None:
    array = np.zeros(3)
    first, second = crossed([array, array])
    first[0] = 5
    assert second[0] == 5


TORCH_DTYPES = [getattr(torch, name) for name in sorted(wire._DTYPES)]


@pytest.mark.parametrize("dtype", TORCH_DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 2), (3, 2)])
def test_tensors_keep_dtype_shape_and_bits(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    value = (torch.arange(math.prod(shape)).reshape(shape) % 2).to(dtype)
    writer = Writer(lambda _: None)
    fields = writer.tensor(value)
    back = Reader([memoryview(bytearray(b)) for b in writer.buffers], no_reference).tensor(
        json.loads(json.dumps(fields))
    )
    assert back.dtype == dtype and back.shape == value.shape and not back.requires_grad
    assert torch.equal(back, value)


def test_tensors_without_memory_order_or_values() -> None:
    writer = Writer(lambda _: None)
    turned = torch.arange(6).reshape(2, 3).T
    meta = torch.empty(10**9, 10**6, device="meta", dtype=torch.float16)
    fields = [writer.tensor(turned), writer.tensor(meta)]
    reader = Reader([memoryview(bytearray(b)) for b in writer.buffers], no_reference)
    assert torch.equal(reader.tensor(fields[0]), turned)
    back = reader.tensor(fields[1])
    assert back.is_meta and back.shape == meta.shape and back.dtype == torch.float16


@pytest.mark.parametrize(
    "value",
    [object(), print, int, ValueError(), np.array([object()]), np.zeros(2, dtype="i4,f4"), np.ma.array([1])],
    ids=lambda v: type(v).__name__,
)
def test_what_is_not_plain_does_not_cross(value: Any) -> None:
    with pytest.raises(TypeError, match="does not cross"):
        Writer(lambda _: None).write(value)
    with pytest.raises(TypeError, match="does not cross"):
        Writer(lambda _: None).write([{"deep": (value,)}])


def test_subclasses_of_plain_types_do_not_pass_for_them() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    for value in (Liar(3), type("Text", (str,), {})("a"), type("List", (list,), {})([1])):
        with pytest.raises(TypeError, match="does not cross"):
            Writer(lambda _: None).write(value)


def test_nesting_has_a_limit_that_both_ends_know() -> None:
    deep: list[Any] = []
    for _ in range(wire.MAX_DEPTH - 2):
        deep = [deep]
    assert crossed(deep) == deep
    with pytest.raises(TypeError, match="nested this deeply"):
        Writer(lambda _: None).write([[deep]])
    with pytest.raises(WireError, match="nested too deeply"):
        tree: Any = ["t", []]
        for _ in range(wire.MAX_DEPTH + 1):
            tree = ["t", [tree]]
        read(tree)


HOSTILE: dict[str, Any] = {
    "an unknown tag": ["pickle", "cos\nsystem"],
    "a tag that is a list": [["l"], 0, []],
    "no tag": [],
    "an object": {"e": 1},
    "too many fields": ["e", 1],
    "too few fields": ["l", 0],
    "a class by name": ["dt", "nn.Module"],
    "an attribute of torch": ["dt", "load"],
    "a device that is none": ["dv", "toaster"],
    "hexadecimal that is none": ["i", "zz"],
    "a float that is none": ["f", "one"],
    "a buffer that is not there": ["b", 7],
    "a memo that is not there": ["m", 3],
    "an unhashable key": ["d", 0, "dict", [[["l", 1, []], 1]]],
    "an unhashable element": ["s", 0, [["l", 1, []]]],
    "an unhashable frozen element": ["fs", [["l", 1, []]]],
    "a dictionary of no kind": ["d", 0, "UserDict", []],
    "pairs that are none": ["d", 0, "dict", [[1, 2, 3]]],
    "a range without step": ["ra", 0, 1, 0],
    "a size that is text": ["sz", ["x"]],
    "an object array": ["np", 0, "|O", [1], 0],
    "an object array by another name": ["np", 0, "O8", [1], 0],
    "a record array": ["np", 0, "i4,f4", [1], 0],
    "a void array": ["np", 0, "|V8", [1], 0],
    "a dtype that is code": ["np", 0, "__import__('os')", [1], 0],
    "an item of a gigabyte": ["np", 0, "|S1000000000", [1], 0],
    "a shape that does not fit": ["np", 0, "<f8", [3], 0],
    "a shape that overflows": ["np", 0, "<f8", [2**62, 2**62], 0],
    "a negative shape": ["np", 0, "<f8", [-5], 0],
    "half an item": ["np", 0, "<f8", [1], 1],
    "a shape to guess": ["np", 0, "<f8", [-1], 0],
    "a shape of text": ["np", 0, "<f8", ["1"], 0],
    "an array as a number": ["ns", "<f8", [1], 0],
}


@pytest.mark.parametrize("tree", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_value_is_a_wire_error(tree: Any) -> None:
    with pytest.raises(WireError):
        read(tree, b"12345678", b"1234")
    with pytest.raises(WireError):
        read(["l", 5, [1, tree]], b"12345678", b"1234")


@pytest.mark.parametrize(
    "fields",
    [
        ["float32", [2**40], 0],
        ["float32", [-3], 0],
        ["float32", [-1], 0],
        ["float64", [1], 1],
        ["qint8", [8], 0],
        ["load", [1], 0],
        ["float32", "2", 0],
        ["float32", [2], 9],
        ["float32", [2**62, 2**62], None],
        ["float32"],
        None,
    ],
    ids=str,
)
def test_what_is_no_tensor_is_a_wire_error(fields: Any) -> None:
    with pytest.raises(WireError):
        Reader([memoryview(bytearray(b"12345678")), memoryview(bytearray(b"123"))], no_reference).tensor(fields)


def test_truth_values_are_true_or_false() -> None:
    tensor = Reader([memoryview(bytearray(b"\x00\x01\x02\xff"))], no_reference).tensor(["bool", [4], 0])
    assert torch.equal(tensor, torch.tensor([False, True, True, True]))
    array = read(["np", 0, "|b1", [3], 0], b"\x00\x02\x01")
    assert array.tobytes() == b"\x00\x01\x01"


def test_garbage_never_raises_anything_else() -> None:
    random.seed(0)
    tags = ["i", "f", "m", "t", "c", "b", "ba", "sl", "ra", "e", "fs", "l", "d", "s", "np", "ns", "sz", "dt", "dv", "?"]
    atoms = [None, True, -1, 0, 3, 2**70, 1e308, "", "dict", "<f8", "|b1", "float32", "0x1", "cpu"]

    def tree(depth: int) -> Any:
        if depth == 0 or random.random() < 0.3:
            return random.choice(atoms)
        return [random.choice(tags), *(tree(depth - 1) for _ in range(random.randrange(4)))]

    values = errors = 0
    for _ in range(3000):
        try:
            read(tree(4), b"12345678", b"")
            values += 1
        except WireError:
            errors += 1
    assert values > 100 and errors > 100  # the garbage is of both kinds
