"""Write a DataFrame, a Series or an array as a description and buffers of bytes. `frame_reader.py` reads it again.

The host imports this module and a guest with pandas gets its source, so both ends keep the same things: the types of
columns, the index, categories, time zones and labels. The description is plain data.

    {"as": "numpy", "dtype", "at"}                       the values themselves, little-endian
    {"as": "masked", "dtype", "at", "mask"}              `Int64`, `boolean` and so on, and where values are missing
    {"as": "text", "dtype", "separator", "at", "mask"}   texts, joined by a character that is in none of them; or with
                                                         "lengths" in characters, if each such character is in one
    {"as": "repeated", "codes", "values"}                texts, of which most occur often
    {"as": "category", "codes", "values", "ordered"}
    {"as": "zoned", "unit", "zone", "at"}                times since 1970 in UTC, and the zone that shows them
    {"as": "period", "freq", "at"}
    {"as": "interval", "left", "right", "closed"}
    {"as": "sparse", "values", "fill"}
    {"as": "objects", "at"}                              a list of tagged values as JSON; see `objects.py`

`at` and `mask` are positions in the list of buffers.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from .objects import to_tagged
from .zones import name_zone

__all__ = ["CLOSED", "FREQ", "GAPS", "KINDS", "MASKED", "SEPARATORS", "UNITS", "Buffer", "is_frame", "write_frame"]

Buffer = bytes | bytearray | memoryview
Described = dict[str, Any]

KINDS = "biufcmM"
_MAX_ITEM_BYTES = 16
MASKED = frozenset(
    {"boolean", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)), "Float32", "Float64"}
)
SEPARATORS = "\0\x1e\x1f\x1d\x1c"
UNITS = ("s", "ms", "us", "ns")
FREQ = re.compile(r"[A-Za-z0-9-]{1,40}")
GAPS: Mapping[type, int] = {type(None): 1, float: 2}
"""What the mask of texts holds for a missing text."""
CLOSED = ("left", "right", "both", "neither")
_MAX_ARROW_BYTES = 1 << 30
"""Texts that pyarrow joins in one step; its offsets have 32 bits."""
_SAMPLE = 10_000
"""Texts that decide whether a column repeats its texts."""


def _has_only_gaps(items: Sequence[Any], kinds: set[type]) -> bool:
    """Return whether all floats among these items are NaN, which stands for a missing text."""
    return float not in kinds or all(item != item for item in items if type(item) is float)


def _gap_number(item: Any) -> int:
    return 0 if isinstance(item, str) else GAPS.get(cast("type[Any]", type(item)), 1)


def _has_repeats(items: Sequence[Any]) -> bool:
    """Return whether a column with these first values probably repeats a few texts."""
    sample = items[:_SAMPLE]
    return len(sample) > 1 and len(set(sample)) * 4 < len(sample)


def is_frame(value: object) -> bool:
    """Return whether `write_frame` takes the value: a DataFrame, a Series, or an array of numbers, texts or times."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        return True
    if numpy is None or not isinstance(value, numpy.ndarray):
        return False
    dtype = cast("Any", value).dtype
    return bool(cast("Any", value).ndim) and dtype.kind in KINDS and dtype.itemsize <= _MAX_ITEM_BYTES


def write_frame(value: Any, on_refused: Callable[[str, str], None] | None = None) -> tuple[Described, list[Buffer]]:
    """Describe a value for which `is_frame` holds, and return its buffers.

    Args:
        on_refused: called with the label and the reason for a column that cannot be written, which is left out then.

    Raises:
        TypeError: if a part of it cannot be written, and `on_refused` is not given.
    """
    writer = _Writer()
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(value, (pandas.DataFrame, pandas.Series)):
        shape = list(value.shape)
        return {"kind": "array", "shape": shape, "values": writer.array(value.reshape(-1))}, writer.buffers
    index = writer.index(value.index)
    if isinstance(value, pandas.Series):
        values = writer.array(value.array)
        return {"kind": "series", "index": index, "values": values, "name": to_tagged(value.name)}, writer.buffers
    kept: list[int] = []
    columns: list[Described] = []
    for at, label in enumerate(value.columns):
        mark = len(writer.buffers)
        try:
            columns.append(writer.array(value.iloc[:, at].array))
            kept.append(at)
        except TypeError as error:
            if on_refused is None:
                raise TypeError(f"column {str(label)[:60]!r}: {error}") from None
            del writer.buffers[mark:]
            on_refused(str(label), str(error))
    labels = value.columns if len(kept) == len(value.columns) else value.columns[kept]
    return {"kind": "frame", "index": index, "columns": columns, "labels": writer.index(labels)}, writer.buffers


class _Writer:
    def __init__(self) -> None:
        self.buffers: list[Buffer] = []

    def keep(self, values: Any) -> int:
        """Keep an array of numpy, and return its position."""
        numpy = cast("Any", sys.modules["numpy"])
        values = numpy.ascontiguousarray(values)
        if values.dtype.byteorder == ">" or (values.dtype.byteorder == "=" and sys.byteorder == "big"):
            values = values.byteswap().view(values.dtype.newbyteorder("<"))
        self.buffers.append(memoryview(values.reshape(-1).view(numpy.uint8)) if values.size else b"")
        return len(self.buffers) - 1

    def index(self, index: Any) -> Described:
        pandas = cast("Any", sys.modules["pandas"])
        names = [to_tagged(name) for name in index.names]
        if isinstance(index, pandas.RangeIndex):
            return {"as": "range", "start": index.start, "stop": index.stop, "step": index.step, "names": names}
        if isinstance(index, pandas.MultiIndex):
            levels = [self.array(level.array) for level in index.levels]
            codes = [self.array(codes) for codes in index.codes]
            return {"as": "multi", "levels": levels, "codes": codes, "names": names}
        freq = getattr(index, "freqstr", None)
        named = freq is not None and FREQ.fullmatch(freq) is not None  # some have only a description
        return {"as": "index", "values": self.array(index.array), "freq": freq if named else None, "names": names}

    def array(self, values: Any) -> Described:
        """Describe the values of a column, a level or an array of numpy."""
        pandas, numpy = sys.modules.get("pandas"), cast("Any", sys.modules["numpy"])
        dtype = values.dtype
        if isinstance(dtype, numpy.dtype) or pandas is None or type(values) is pandas.arrays.NumpyExtensionArray:
            return self._numpy(numpy.asarray(values))
        name = str(dtype)
        if isinstance(dtype, pandas.CategoricalDtype):
            codes, categories = self.array(values.codes), self.array(dtype.categories.array)
            return {"as": "category", "codes": codes, "values": categories, "ordered": bool(dtype.ordered)}
        if isinstance(dtype, pandas.DatetimeTZDtype):
            zone = name_zone(dtype.tz)
            if zone is None:
                raise TypeError(f"the time zone {str(dtype.tz)[:60]} has no name")
            at = self.keep(numpy.asarray(values.tz_convert(None)).view("int64"))
            return {"as": "zoned", "unit": dtype.unit, "zone": zone, "at": at}
        if isinstance(dtype, pandas.PeriodDtype):
            return {"as": "period", "freq": name[len("period[") : -1], "at": self.keep(values.asi8)}
        if isinstance(dtype, pandas.IntervalDtype):
            left, right = self.array(values.left.array), self.array(values.right.array)
            return {"as": "interval", "left": left, "right": right, "closed": dtype.closed}
        if isinstance(dtype, pandas.SparseDtype):
            dense = self.array(numpy.asarray(values))
            return {"as": "sparse", "values": dense, "fill": to_tagged(dtype.fill_value)}
        if name in MASKED:
            mask = numpy.asarray(values.isna())
            plain = values.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
            return {"as": "masked", "dtype": name, "at": self.keep(plain), "mask": self.keep(mask)}
        if isinstance(dtype, pandas.StringDtype):
            kind = "str" if name == "str" else "string"
            return self._arrow_texts(values, kind) or self._texts(values.astype(object), kind)
        if hasattr(pandas, "ArrowDtype") and isinstance(dtype, pandas.ArrowDtype):
            return self.array(pandas.Series(values).convert_dtypes(dtype_backend="numpy_nullable").array)
        raise TypeError(f"values of type {name[:60]} cannot be sent: convert them first")

    def _numpy(self, values: Any) -> Described:
        dtype = values.dtype
        if dtype.kind == "O":
            return self._texts(values, "object")
        if dtype.kind in "US":
            return self._texts(values.astype(object), "object")
        if dtype.kind not in KINDS or dtype.itemsize > _MAX_ITEM_BYTES or dtype.char in "gG":
            raise TypeError(f"values of type {str(dtype)[:60]} cannot be sent: convert them first")
        return {"as": "numpy", "dtype": dtype.newbyteorder("<").str, "at": self.keep(values)}

    def _texts(self, values: Any, dtype: str) -> Described:
        """Describe texts. An array that has other values too is described as objects."""
        numpy, pandas = cast("Any", sys.modules["numpy"]), cast("Any", sys.modules.get("pandas"))
        items = values.tolist()
        kinds = set(map(type, items))
        if dtype == "object" and not (kinds and kinds <= {str, type(None), float} and _has_only_gaps(items, kinds)):
            return self._objects(items)
        if (dtype != "object" or float not in kinds) and _has_repeats(items):
            codes, unique = pandas.factorize(values, use_na_sentinel=True)
            if 4 * len(unique) < len(items):
                described = self._texts(numpy.asarray(unique, dtype=object), dtype)
                return {"as": "repeated", "codes": self.array(codes.astype("int32")), "values": described}
        mask = None
        if kinds != {str}:
            mask = self.keep(numpy.asarray([_gap_number(item) for item in items], dtype="uint8"))
            items = [item if isinstance(item, str) else "" for item in items]
        # Counting is fast, and finds a separator that is in one of the texts.
        joined = ((mark, mark.join(items)) for mark in SEPARATORS)
        wanted = max(0, len(items) - 1)
        separator, text = next(((mark, text) for mark, text in joined if text.count(mark) == wanted), ("", ""))
        lengths = None
        if not separator:
            text, lengths = "".join(items), self.keep(numpy.asarray(list(map(len, items)), dtype="int64"))
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise TypeError("a text has half of a surrogate pair, which cannot be sent") from None
        self.buffers.append(data)
        at = len(self.buffers) - 1
        described = {"as": "text", "dtype": dtype, "at": at, "mask": mask, "count": len(items)}
        return {**described, "separator": separator, "lengths": lengths}

    def _arrow_texts(self, values: Any, dtype: str) -> Described | None:
        """Describe texts that pyarrow holds without making an object of each; `None` if that is not possible."""
        if values.dtype.storage != "pyarrow" or not len(values) or values.nbytes > _MAX_ARROW_BYTES:
            return None
        pyarrow, compute = cast("Any", import_module("pyarrow")), cast("Any", import_module("pyarrow.compute"))
        made = pyarrow.array(values, type=pyarrow.string())
        array = made.combine_chunks() if hasattr(made, "combine_chunks") else made
        if _has_repeats(array.slice(0, _SAMPLE).to_pylist()):
            return None
        mask = self.keep(array.is_null().to_numpy(zero_copy_only=False).astype("uint8")) if array.null_count else None
        lists = pyarrow.ListArray.from_arrays([0, len(array)], array.fill_null(""))
        separator = SEPARATORS[0]
        data: bytes = compute.binary_join(lists, separator)[0].as_buffer().to_pybytes()
        if data.count(separator.encode()) != len(array) - 1:
            if mask is not None:
                self.buffers.pop()
            return None
        self.buffers.append(data)
        described = {"as": "text", "dtype": dtype, "at": len(self.buffers) - 1, "mask": mask, "count": len(array)}
        return {**described, "separator": separator, "lengths": None}

    def _objects(self, items: Sequence[Any]) -> Described:
        tagged = [to_tagged(item) for item in items]
        self.buffers.append(json.dumps(tagged, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
        return {"as": "objects", "at": len(self.buffers) - 1}
