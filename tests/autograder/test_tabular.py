"""Data frames cross as what they hold, both ways; what pandas would not make of such parts is refused."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autograder import tabular
from autograder.frames import WireError
from autograder.judge.remote import Client, Remote
from autograder.sandbox.warm import Warm
from autograder.wire import Reader, Writer

FRAME = pd.DataFrame(
    {
        "n": [1, 2],
        "text": ["x", None],
        "x": [1.5, None],
        "day": pd.to_datetime(["2024-01-01", None]),
        "there": pd.to_datetime(["2024-01-01", "2024-07-01"]).tz_localize("Europe/Berlin"),
        "span": pd.to_timedelta([1, 2], unit="h"),
        "kind": pd.Categorical(["u", "v"], ordered=True),
        "maybe": pd.array([1, None], dtype="Int64"),
        "flag": pd.array([True, None], dtype="boolean"),
        "string": pd.array(["x", None], dtype="string"),
        "things": pd.Series([[1], {2: 3}], dtype=object),
    }
)


def refuse(tag: str, fields: list[Any]) -> Any:
    raise WireError(f"no {tag}")


def crossed(value: Any) -> Any:
    writer = Writer(lambda _: None)
    tree = writer.write(value)
    return Reader([memoryview(bytes(buffer)) for buffer in writer.buffers], refuse).read(tree)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(columns=["a", "b"]),
        pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
        pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])),
        FRAME.groupby("n").agg({"x": ["min", "max"]}),
        FRAME.describe(),
    ],
)
def test_a_frame_crosses_with_its_dtypes_labels_and_names(frame: pd.DataFrame) -> None:
    back = crossed(frame)
    pd.testing.assert_frame_equal(back, frame, check_freq=True)
    assert not tabular.differs(back, frame)


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(["a", "b"], name="letter"),
        pd.Index([1.5, 2.5]),
        pd.RangeIndex(2, 8, 3, name="n"),
        pd.date_range("2024-01-01", periods=3, freq="MS", tz="UTC"),
        pd.timedelta_range("1h", periods=2),
        pd.CategoricalIndex(["a", "b"]),
    ],
)
def test_an_index_and_a_series_over_it_cross(index: pd.Index) -> None:
    pd.testing.assert_index_equal(crossed(index), index, exact=True)
    series = pd.Series(np.arange(len(index)), index=index, name="v")
    pd.testing.assert_series_equal(crossed(series), series, check_freq=True)


def test_moments_and_what_is_missing_cross() -> None:
    paris = pd.Timestamp("2024-07-01 12:00", tz="Europe/Paris")
    for value in (pd.Timestamp("2024-01-01"), paris, pd.Timedelta(hours=2)):
        assert crossed(value) == value and type(crossed(value)) is type(value)
    assert crossed(paris).hour == 12
    assert crossed(pd.NaT) is pd.NaT and crossed(pd.NA) is pd.NA


@pytest.mark.parametrize(
    "parts",
    [
        ("frame", ("range", 0, 2, 1, None), ("range", 0, 1, 1, None), (("plain", np.zeros(3)),)),
        ("frame", ("range", 0, 2, 1, None), ("range", 0, 2, 1, None), (("plain", np.zeros(2)),)),
        ("column", ("categories", np.array([7]), ("index", ("objects", ("a",)), None, None), False)),
        ("column", ("zoned", np.zeros(1, "M8[s]"), "dateutil//etc/localtime")),
        ("column", ("masked", np.zeros(2, np.int64), np.zeros(2, np.bool_), "category")),
        ("column", ("masked", np.zeros(2, np.int64), np.zeros(3, np.bool_), "Int64")),
        ("index", ("index", ("plain", np.zeros(2, "M8[s]")), None, "D")),
        ("index", ("multi", (("range", 0, 1, 1, None),), (np.array([3]),), (None,))),
        *(("period", 1, "print()"), ("period", "1", "M"), ("interval", 0, 1, "open"), ("interval", 2, 1, "left")),
        *(("interval", "a", "b", "left"), ("pickle", b"")),
        (),
    ],
)
def test_parts_that_do_not_go_together_are_refused(parts: Any) -> None:
    writer = Writer(lambda _: None)
    tree = ["pd", 0, writer.write(parts)]
    with pytest.raises(WireError):
        Reader([memoryview(bytes(buffer)) for buffer in writer.buffers], refuse).read(tree)


@pytest.mark.parametrize(
    "value",
    [
        *(pd.Period("2024-03", "M"), pd.Period("2024Q1"), pd.Period("2024-02-29"), pd.Period("2024", "Y-JUN")),
        *(
            pd.Interval(0, 1),
            pd.Interval(0.5, 2, "both"),
            pd.Interval(pd.Timestamp("2024"), pd.Timestamp("2025"), "left"),
        ),
    ],
    ids=str,
)
def test_a_period_or_an_interval_crosses_alone(value: Any) -> None:
    back = crossed(value)
    assert type(back) is type(value) and back == value and repr(back) == repr(value)


def test_subclasses_and_other_dtypes_do_not_cross() -> None:
    class Mine(pd.DataFrame):
        pass

    class Nowhere:  # as sympy's undefined functions are
        pass

    Nowhere.__module__ = None  # type: ignore[assignment]

    for value in (Mine(), Nowhere(), pd.Series(pd.period_range("2024", periods=2)), pd.interval_range(0, 2)):
        assert tabular.kind_of(value) is None


@pytest.fixture
def learner(warm: Warm, connect: Callable[..., Client]) -> Callable[..., Any]:
    client = connect(warm)

    def run(text: str, *names: str) -> list[Any]:
        outputs = client.run(textwrap.dedent(text))
        assert not [o for o in outputs if o["output_type"] == "error"], outputs
        found = client.names(list(names))
        return [found[name] for name in names]

    return run


def test_a_frame_changed_in_place_is_changed_here(learner: Callable[..., Any]) -> None:
    widen, rename, shorten = learner(
        """
        import pandas as pd
        def widen(df):
            df["m"] = df["n"] * 2
            return df
        def rename(series):
            series.name = "new"
            series.index.name = "row"
        def shorten(df): df.drop(index=df.index[1:], inplace=True)
        """,
        *("widen", "rename", "shorten"),
    )
    frame = pd.DataFrame({"n": [1, 2]})
    assert widen(frame) is frame and frame["m"].tolist() == [2, 4]
    shorten(frame)
    assert frame.to_dict("list") == {"n": [1], "m": [2]}
    series = pd.Series([1, 2])
    rename(series)
    assert series.name == "new" and series.index.name == "row" and series.tolist() == [1, 2]


def test_a_frame_that_agrees_with_everything_does_not_agree(learner: Callable[..., Any]) -> None:
    made, held = learner(
        """
        import pandas as pd
        class Liar:
            def __eq__(self, other): return True
        class Mine(pd.DataFrame):
            equals = lambda self, other: True
            __eq__ = lambda self, other: self
            all = lambda self, *a, **k: self
            __bool__ = lambda self: True
        def made(): return Mine({"n": [1]})
        def held(): return pd.DataFrame({"n": [Liar()]}, dtype=object)
        """,
        *("made", "held"),
    )
    expected = pd.DataFrame({"n": [2]})
    assert type(made()) is Remote or isinstance(made(), Remote)
    with pytest.raises(TypeError):
        made().equals(expected)
    with pytest.raises((AssertionError, TypeError)):
        pd.testing.assert_frame_equal(made(), expected)
    assert type(held()) is pd.DataFrame and not held().equals(expected) and not (held() == expected).any().any()


def test_a_named_tuple_is_a_tuple_here_and_of_the_learners_class_there(learner: Callable[..., Any]) -> None:
    point, norm = learner(
        """
        from typing import NamedTuple
        class Point(NamedTuple):
            x: int
            y: int = 0
            def double(self): return Point(2 * self.x, 2 * self.y)
            def __eq__(self, other): return True
        def norm(p):
            assert type(p) is Point
            return p.x ** 2 + p.y ** 2
        """,
        *("Point", "norm"),
    )
    assert point(3) == (3, 0) and isinstance(point(3), point) and point(3)._replace(y=4).y == 4
    assert point(3) != (4, 0) and point(3) != (3, 1)
    assert norm(point(3, 4)) == 25 and norm(point(3, 4)._replace(x=0)) == 16
    assert point(1, 2).double() == (2, 4) and point._fields == ("x", "y")


def test_patterns_and_matches_are_made_here(learner: Callable[..., Any]) -> None:
    pattern, find = learner(
        "import re\npattern = re.compile(r'(?<=b)a+$', re.I)\ndef find(s): return pattern.search(s)", "pattern", "find"
    )
    assert pattern.search("bAA") and not pattern.search("aA")
    assert find("xbAa").span() == (2, 4) and find("x") is None
