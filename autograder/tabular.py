"""Data frames, series, indexes and moments of time as plain data: arrays, lists, numbers and names.

A value is taken apart into parts that :mod:`autograder.wire` can write, and is built from parts by this process's own
pandas, which checks that they go together. What has no parts of that kind (columns of periods and intervals,
sparse ones, subclasses) stays where it is.
"""

from __future__ import annotations

import re
import sys
import zoneinfo
from typing import Any

import numpy as np

_MASKED = frozenset(
    {"boolean", "Float32", "Float64", *(f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64))}
)
_PLAIN_KINDS = "biufcmM"
_FREQUENCY = re.compile(r"-?\d{0,6}[A-Za-z]{1,6}(-[A-Z]{3})?")
_OFFSET = re.compile(r"UTC([+-]\d\d:\d\d)?")
_ENDS = (int, float, np.int64, np.float64)  # of an interval
_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})


def kind_of(value: Any) -> str | None:
    """``frame``, ``series``, ``index``, ``moment``, ``span`` ...; None for what does not cross by value."""
    pandas = sys.modules.get("pandas")
    if pandas is None or str(type(value).__module__).partition(".")[0] != "pandas":
        return None
    kind = _KINDS.get(type(value).__name__)
    if kind is None or (type(value) is not getattr(pandas, type(value).__name__, None) and kind != "missing"):
        return None
    if kind == "missing":
        return kind if value is pandas.NaT or value is pandas.NA else None
    return kind if _has_parts(kind, value) else None


_KINDS = {
    **{"DataFrame": "frame", "Series": "series", "Timestamp": "moment", "Timedelta": "span", "Categorical": "column"},
    **{"NaTType": "missing", "NAType": "missing", "Period": "period", "Interval": "interval"},
    **dict.fromkeys(
        ("Index", "RangeIndex", "MultiIndex", "DatetimeIndex", "TimedeltaIndex", "CategoricalIndex"), "index"
    ),
}


def _has_parts(kind: str, value: Any) -> bool:
    if kind == "frame":
        columns = all(_is_known(dtype) for dtype in value.dtypes)
        return columns and _has_parts("index", value.index) and _has_parts("index", value.columns)
    if kind == "series":
        return _is_known(value.dtype) and _has_parts("index", value.index)
    if kind == "index":
        if type(value).__name__ == "MultiIndex":
            return all(_has_parts("index", level) for level in value.levels)
        return type(value).__name__ in _KINDS and _is_known(value.dtype)
    if kind == "column":
        return _is_known(value.dtype)
    if kind == "period":
        return _FREQUENCY.fullmatch(value.freqstr) is not None
    if kind == "interval":
        return all(kind_of(end) in ("moment", "span") or type(end) in _ENDS for end in (value.left, value.right))
    return kind == "span" or value.tzinfo is None or _zone(value.tzinfo) is not None


def _is_known(dtype: Any) -> bool:
    if isinstance(dtype, np.dtype):
        return dtype.kind in _PLAIN_KINDS or dtype.kind == "O"
    if type(dtype).__name__ == "CategoricalDtype":
        return dtype.categories is not None and _has_parts("index", dtype.categories)
    if type(dtype).__name__ == "DatetimeTZDtype":
        return _zone(dtype.tz) is not None
    return str(dtype) in _MASKED or type(dtype).__name__ == "StringDtype"


def _zone(tz: Any) -> str | None:
    name = getattr(tz, "key", None) or str(tz)
    return name if _OFFSET.fullmatch(name) or name in _zones() else None


def _zones() -> set[str]:
    return zoneinfo.available_timezones()


def is_simple(value: Any) -> bool:
    """Whether a data frame or series holds nothing but plain data, so that it may go there and back."""
    kind = kind_of(value)
    if kind not in ("frame", "series"):
        return False
    parts = [value.iloc[:, i] for i in range(value.shape[1])] if kind == "frame" else [value]
    parts += [value.index] if kind == "series" else [value.index, value.columns]
    levels = [level for part in parts for level in (part.levels if type(part).__name__ == "MultiIndex" else [part])]
    arrays = [part.cat.categories if hasattr(part, "cat") else getattr(part, "categories", part) for part in levels]
    return all(type(one) in _ATOMS for held in arrays if held.dtype == np.dtype(object) for one in held.array)


# -- taking apart ----------------------------------------------------------------------------------------------


def parts(value: Any) -> tuple[Any, ...]:
    """(kind, ...) with arrays, tuples, numbers and names, for :func:`build`."""
    kind = kind_of(value)
    if kind == "frame":
        columns = tuple(_column(value.iloc[:, i].array) for i in range(value.shape[1]))
        return (kind, _index(value.index), _index(value.columns), columns)
    if kind == "series":
        return (kind, _index(value.index), _column(value.array), value.name)
    if kind == "index":
        return (kind, _index(value))
    if kind == "column":
        return (kind, _column(value))
    if kind == "moment":
        zone = None if value.tzinfo is None else _zone(value.tzinfo)
        return (kind, np.asarray(value.tz_convert(None).asm8 if zone else value.asm8), zone)
    if kind == "span":
        return (kind, np.asarray(value.asm8))
    if kind == "period":
        return (kind, int(value.ordinal), value.freqstr)
    if kind == "interval":
        return (kind, value.left, value.right, value.closed)
    if kind == "missing":
        return (kind, type(value).__name__ == "NaTType")
    raise TypeError(f"A {type(value).__name__} does not cross between processes by value.")


def _index(index: Any) -> tuple[Any, ...]:
    name = type(index).__name__
    if name == "RangeIndex":
        return ("range", index.start, index.stop, index.step, index.name)
    if name == "MultiIndex":
        levels = tuple(_index(level) for level in index.levels)
        return ("multi", levels, tuple(np.asarray(codes, dtype=np.int64) for codes in index.codes), tuple(index.names))
    frequency = getattr(index, "freqstr", None) if name in ("DatetimeIndex", "TimedeltaIndex") else None
    known = frequency is not None and _FREQUENCY.fullmatch(frequency) is not None
    return ("index", _column(index.array), index.name, frequency if known else None)


def _column(array: Any) -> tuple[Any, ...]:
    dtype = array.dtype if type(array).__name__ != "NumpyExtensionArray" else array.dtype.numpy_dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return ("plain", array.to_numpy(dtype=dtype, copy=True))
    if isinstance(dtype, np.dtype):
        return ("objects", tuple(np.asarray(array, dtype=object)))
    if type(dtype).__name__ == "CategoricalDtype":
        return ("categories", np.asarray(array.codes, dtype=np.int64), _index(array.categories), bool(array.ordered))
    if type(dtype).__name__ == "DatetimeTZDtype":
        return ("zoned", array.tz_convert(None).to_numpy(copy=True), _zone(dtype.tz))
    if type(dtype).__name__ == "StringDtype":
        texts = tuple(None if missing else str(text) for text, missing in zip(array, array.isna(), strict=True))
        return ("texts", texts, dtype.storage, dtype.na_value is not sys.modules["pandas"].NA)
    missing = np.array(array.isna())
    return ("masked", array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0)), missing, str(dtype))


# -- building --------------------------------------------------------------------------------------------------


def build(said: Any) -> Any:
    """The value of these parts; raises ValueError, TypeError or the like where they do not go together."""
    import pandas  # type: ignore[import-untyped]

    match said:
        case ["frame", index, columns, tuple(held)]:
            rows, names = _built_index(index), _built_index(columns)
            made = pandas.DataFrame({i: _built_column(one) for i, one in enumerate(held)}, index=rows, copy=True)
            if len(rows) != len(made) or len(names) != len(held):
                raise ValueError("A data frame's columns do not go together.")
            made.columns = names
            return made
        case ["series", index, column, name]:
            return pandas.Series(_built_column(column), index=_built_index(index), name=name, copy=True)
        case ["index", index]:
            return _built_index(index)
        case ["column", column]:
            return _built_column(column)
        case ["moment", np.ndarray() as moment, zone]:
            made = pandas.Timestamp(moment[()])
            return made if zone is None else made.tz_localize("UTC").tz_convert(_checked(zone))
        case ["span", np.ndarray() as span]:
            return pandas.Timedelta(span[()])
        case ["period", int(ordinal), str(frequency)] if _FREQUENCY.fullmatch(frequency):
            return pandas.Period(ordinal=ordinal, freq=frequency)
        case ["interval", left, right, str(closed)]:
            return pandas.Interval(left, right, closed)
        case ["missing", bool(is_time)]:
            return pandas.NaT if is_time else pandas.NA
    raise ValueError("These are no parts of a data frame.")


def _checked(zone: Any) -> str:
    if type(zone) is str and (_OFFSET.fullmatch(zone) or zone in _zones()):
        return zone
    raise ValueError("There is no such time zone.")


def zone(name: Any) -> zoneinfo.ZoneInfo:
    """The time zone of that name, of those that Python knows."""
    return zoneinfo.ZoneInfo(_checked(name))


def _built_index(said: Any) -> Any:
    import pandas

    match said:
        case ["range", int(start), int(stop), int(step), name]:
            return pandas.RangeIndex(start, stop, step, name=name)
        case ["multi", tuple(levels), tuple(codes), tuple(names)]:
            return pandas.MultiIndex([_built_index(level) for level in levels], codes, names=names)
        case ["index", column, name, None]:
            values = _built_column(column)
            return pandas.Index(values, name=name, dtype=values.dtype)
        case ["index", column, name, str(frequency)] if _FREQUENCY.fullmatch(frequency):
            made: Any = pandas.Index(_built_column(column), name=name)
            made.freq = frequency
            return made
    raise ValueError("These are no parts of an index.")


def _built_column(said: Any) -> Any:
    import pandas

    match said:
        case ["plain", np.ndarray() as array] if array.dtype.kind in _PLAIN_KINDS:
            return array
        case ["objects", tuple(items)]:
            held = np.empty(len(items), dtype=object)
            for i, item in enumerate(items):  # one by one: lists are items here, and not rows
                held[i] = item
            return held
        case ["categories", np.ndarray() as codes, categories, bool(ordered)]:
            return pandas.Categorical.from_codes(codes, _built_index(categories), ordered=ordered)
        case ["zoned", np.ndarray() as moments, zone]:
            return pandas.DatetimeIndex(moments).tz_localize("UTC").tz_convert(_checked(zone)).array
        case ["texts", tuple(items), ("python" | "pyarrow") as storage, bool(is_nan)]:
            if not {*map(type, items)} <= {str, type(None)}:
                raise TypeError("A column of texts holds something else.")
            missing: Any = np.nan if is_nan else pandas.NA
            texts = [missing if text is None else text for text in items]
            return pandas.array(texts, dtype=pandas.StringDtype(storage, na_value=missing))
        case ["masked", np.ndarray() as array, np.ndarray() as mask, str(name)] if name in _MASKED:
            made = pandas.array(array, dtype=name)
            if mask.dtype != bool or mask.shape != array.shape:
                raise ValueError("A mask does not go with its column.")
            made[mask] = pandas.NA
            return made
    raise ValueError("These are no parts of a column.")


def differs(value: Any, old: Any) -> bool:
    """Whether a data frame or series is another than it was when it was copied: its values, labels and names."""
    if value.shape != old.shape or not value.index.identical(old.index) or not value.equals(old):
        return True
    if value.ndim == 1:
        return value.name is not old.name and value.name != old.name
    return not value.columns.identical(old.columns)


def restore(value: Any, new: Any) -> None:
    """Makes a data frame or series what another of its kind is, in place."""
    if type(value) is not type(new):
        raise ValueError("A data frame changed its kind.")
    value._update_inplace(new)
    if value.ndim == 1:
        value.name = new.name
