"""Read a DataFrame, a Series or an array that `frame_writer.py` described.

What is read is hostile: every number and name in it is checked, and nothing in it is code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, cast

from .frame_writer import CLOSED, FREQ, KINDS, MASKED, SEPARATORS, UNITS, Buffer
from .objects import from_tagged
from .zones import pandas_zone

__all__ = ["read_frame"]

Described = dict[str, Any]
_TEXT_TYPES = ("str", "string", "object")
_DTYPE = re.compile(r"[<|][a-zA-Z]\d{1,2}(?:\[[a-z]{1,2}\])?")
"""What `dtype.str` is for the types that are written: `<i8`, `|b1`, `<M8[ns]`."""
_MISSING = ("", None, float("nan"))
"""What stands for a missing text in a column of objects, by the number in the mask."""
_MAX_EMPTY_ROWS = 10_000_000
"""Rows of a DataFrame without columns: no buffer has their size, and listing them takes memory of the notebook."""


def read_frame(described: object, buffers: Sequence[Buffer]) -> Any:
    """Return the value that `write_frame` described. Needs numpy, and pandas unless it is an array.

    Raises:
        ValueError: if the description or a buffer is not what `write_frame` writes.
    """
    try:
        return _Reader(buffers).value(_dict(described))
    except (ArithmeticError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"it is damaged ({type(error).__name__}: {str(error)[:200]})") from None


class _Reader:
    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self._numpy: Any = import_module("numpy")
        self._buffers = buffers
        self._readers: Mapping[str, Callable[[Described], Any]] = {
            "numpy": self._plain,
            "masked": self._masked,
            "text": self._text,
            "repeated": self._repeated,
            "category": self._category,
            "zoned": self._zoned,
            "period": self._period,
            "interval": self._interval,
            "sparse": self._sparse,
            "objects": self._objects,
        }

    @property
    def _pandas(self) -> Any:
        return import_module("pandas")

    def value(self, described: Described) -> Any:
        if described["kind"] == "array":
            shape = [_count(size) for size in _list(described["shape"])]
            return self.array(described["values"]).reshape(shape)
        index = self.index(described["index"])
        if described["kind"] == "series":
            name = from_tagged(described["name"])
            values = self._read_column(described["values"], len(index))
            return self._pandas.Series(values, index=index, dtype=values.dtype, name=name, copy=False)
        if described["kind"] != "frame":
            raise ValueError("neither a table nor an array")
        labels = self.index(described["labels"])
        columns = [self._read_column(column, len(index)) for column in _list(described["columns"])]
        if len(labels) != len(columns):
            raise ValueError("not one label for each column")
        if not columns and len(index) > _MAX_EMPTY_ROWS:
            raise ValueError(f"it has no columns, and more than {_MAX_EMPTY_ROWS:,} rows")
        # Without its type, a column of objects that are texts would become a column of texts.
        series = {
            at: self._pandas.Series(values, index, dtype=values.dtype, copy=False) for at, values in enumerate(columns)
        }
        frame = self._pandas.DataFrame(series, index=index, copy=False)
        frame.columns = labels
        return frame

    def index(self, described: object) -> Any:
        content = _dict(described)
        names = [from_tagged(name) for name in _list(content["names"])]
        if content["as"] == "range":
            start, stop, step = (_integer(content[part]) for part in ("start", "stop", "step"))
            return self._pandas.RangeIndex(start, stop, step, name=_only(names))
        if content["as"] == "multi":
            levels = [self._pandas.Index(self.array(level)) for level in _list(content["levels"])]
            codes = [self.array(level) for level in _list(content["codes"])]
            return self._pandas.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=True)
        values = self.array(content["values"])
        index: Any = self._pandas.Index(values, name=_only(names), dtype=values.dtype)
        if content["freq"] is not None and hasattr(index, "freq") and index.freq is None:
            with suppress(ValueError):  # another version of pandas may not find it in these values
                index.freq = _freq(content["freq"])
        return index

    def array(self, described: object) -> Any:
        content = _dict(described)
        return self._readers[content["as"]](content)

    def _read_column(self, described: object, count: int) -> Any:
        values = self.array(described)
        if len(values) != count:
            raise ValueError("a column with another number of values than rows")
        return values

    def _buffer(self, at: object) -> Buffer:
        if type(at) is not int or not 0 <= at < len(self._buffers):
            raise ValueError("a buffer that is not there")
        return self._buffers[at]

    def _numbers(self, at: object, dtype: str) -> Any:
        return self._numpy.frombuffer(self._buffer(at), dtype=dtype)

    def _mask(self, at: object) -> Any:
        return self._numbers(at, "|u1") != 0

    def _plain(self, content: Described) -> Any:
        if not _DTYPE.fullmatch(name := _text(content["dtype"], 20)):  # numpy parses other names as Python literals
            raise ValueError("a type of numbers that is not known")
        dtype = self._numpy.dtype(name)
        is_time = dtype.kind in "mM"
        if dtype.kind not in KINDS or (is_time and self._numpy.datetime_data(dtype) not in [(u, 1) for u in UNITS]):
            raise ValueError("a type of numbers that is not known")
        values = self._numbers(content["at"], dtype.str)
        if dtype.kind == "b" and values.size and int(values.view("|u1").max()) > 1:
            raise ValueError("truth values that are neither")
        return values

    def _masked(self, content: Described) -> Any:
        name = _one_of(content["dtype"], MASKED)
        numpy_name = "bool" if name == "boolean" else name.lower()
        values = self._numbers(content["at"], numpy_name)
        if name == "boolean":
            values = self._numbers(content["at"], "|u1") != 0
            return self._pandas.arrays.BooleanArray(values, self._mask(content["mask"]))
        kind = self._pandas.arrays.FloatingArray if "Float" in name else self._pandas.arrays.IntegerArray
        return kind(values, self._mask(content["mask"]))

    def _text(self, content: Described) -> Any:
        dtype, text = _one_of(content["dtype"], _TEXT_TYPES), str(self._buffer(content["at"]), "utf-8")
        texts: list[Any]
        if content["lengths"] is None:
            texts = text.split(_one_of(content["separator"], SEPARATORS))
        else:
            lengths = self._numbers(content["lengths"], "<i8")
            if lengths.size and (int(lengths.min()) < 0 or int(lengths.max()) > len(text)):
                raise ValueError("a length that is not possible")
            ends = lengths.cumsum().tolist()
            texts = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        if _count(content["count"]) == 0:
            texts = []
        if len(texts) != content["count"]:
            raise ValueError("not as many texts as values")
        if content["mask"] is not None:
            gaps = self._numbers(content["mask"], "|u1").tolist()
            missing = _MISSING if dtype == "object" else (_MISSING[2],) * 3 if dtype == "str" else (None,) * 3
            texts = [missing[min(gap, 2)] if gap else text for text, gap in zip(texts, gaps, strict=True)]
        return self._as_texts(texts, dtype)

    def _as_texts(self, texts: Sequence[Any], dtype: str) -> Any:
        if dtype == "string" or (dtype == "str" and int(self._pandas.__version__.partition(".")[0]) >= 3):
            return self._pandas.array(texts, dtype=dtype)
        values = self._numpy.empty(len(texts), dtype=object)
        values[:] = texts
        return values

    def _repeated(self, content: Described) -> Any:
        codes, values = self.array(content["codes"]), self.array(content["values"])
        if codes.size and (int(codes.min()) < -1 or int(codes.max()) >= len(values)):
            raise ValueError("a code without a value")
        if hasattr(values, "take") and not isinstance(values, self._numpy.ndarray):
            return values.take(codes, allow_fill=True)
        result = values[codes] if len(values) else self._numpy.full(len(codes), None, dtype=object)
        result[codes == -1] = None
        return result

    def _category(self, content: Described) -> Any:
        codes, categories = self.array(content["codes"]), self.array(content["values"])
        labels = self._pandas.Index(categories, dtype=categories.dtype)
        return self._pandas.Categorical.from_codes(codes, categories=labels, ordered=content["ordered"] is True)

    def _zoned(self, content: Described) -> Any:
        unit = _one_of(content["unit"], UNITS)
        times = self._numbers(content["at"], "<i8").view(f"M8[{unit}]")
        return (
            self._pandas.DatetimeIndex(times)
            .tz_localize("UTC")
            .tz_convert(pandas_zone(_text(content["zone"], 60)))
            .array
        )

    def _period(self, content: Described) -> Any:
        numbers = self._numbers(content["at"], "<i8")
        return self._pandas.PeriodIndex.from_ordinals(numbers, freq=_freq(content["freq"])).array

    def _interval(self, content: Described) -> Any:
        left, right = self.array(content["left"]), self.array(content["right"])
        return self._pandas.arrays.IntervalArray.from_arrays(left, right, closed=_one_of(content["closed"], CLOSED))

    def _sparse(self, content: Described) -> Any:
        return self._pandas.arrays.SparseArray(self.array(content["values"]), fill_value=from_tagged(content["fill"]))

    def _objects(self, content: Described) -> Any:
        tagged = _list(json.loads(bytes(self._buffer(content["at"]))))
        values = self._numpy.empty(len(tagged), dtype=object)
        for at, item in enumerate(tagged):
            values[at] = from_tagged(item)
        return values


def _dict(value: object) -> Described:
    if not isinstance(value, dict):
        raise ValueError("an object expected")
    return cast("Described", value)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list expected")
    return cast("list[Any]", value)


def _integer(value: object) -> int:
    if type(value) is not int or abs(value) > 1 << 53:
        raise ValueError("a whole number expected")
    return value


def _count(value: object) -> int:
    if _integer(value) < 0:
        raise ValueError("a count expected")
    return cast("int", value)


def _text(value: object, max_length: int) -> str:
    if not isinstance(value, str) or len(value) > max_length:
        raise ValueError("a short text expected")
    return value


def _one_of(value: object, choices: Any) -> str:
    if not isinstance(value, str) or not value or value not in choices:
        raise ValueError("a name that is not known")
    return value


def _freq(value: object) -> str:
    if not isinstance(value, str) or not FREQ.fullmatch(value):
        raise ValueError("a frequency that is not known")
    return value


def _only(names: Sequence[Any]) -> Any:
    if len(names) != 1:
        raise ValueError("one name expected")
    return names[0]
