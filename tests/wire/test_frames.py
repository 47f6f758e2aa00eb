"""A DataFrame is the same after it was written as buffers and read again, and what is damaged is refused."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codeact_kernel.wire.frame_reader import read_frame
from codeact_kernel.wire.frame_writer import is_frame, write_frame

from .zoo import FRAMES, make_zoo


def there_and_back(value: Any) -> Any:
    described, buffers = write_frame(value)
    return read_frame(json.loads(json.dumps(described, allow_nan=False)), [bytearray(buffer) for buffer in buffers])


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_the_same_with_its_types_its_index_and_its_labels(name):
    pd.testing.assert_frame_equal(there_and_back(FRAMES[name]), FRAMES[name], check_freq=True)


def test_two_columns_may_have_one_name():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    pd.testing.assert_frame_equal(there_and_back(frame), frame)


@pytest.mark.parametrize("name", ["Int64", "ordered", "text", "Berlin", "lists"])
def test_a_series_is_the_same_with_its_name_and_its_index(name):
    series = make_zoo().set_index("int64")[name] if name != "int64" else make_zoo()[name]
    pd.testing.assert_series_equal(there_and_back(series), series)


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.array([1.5, np.nan]), np.zeros((2, 0)), np.array([1 + 2j])]
)
def test_an_array_keeps_its_type_and_shape(array):
    back = there_and_back(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array, equal_nan=True)


def test_what_is_read_can_be_changed_in_place():
    back = there_and_back(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    back.loc[0, "a"] = 5
    back["a"] *= 2
    assert back["a"].tolist() == [10, 4]


def test_a_library_that_a_guest_lacks_becomes_the_nearest_type():
    frame = pd.DataFrame(
        {"a": pd.array([1, None], dtype="int64[pyarrow]"), "b": pd.array(["x", None], dtype="string[pyarrow]")}
    )
    back = there_and_back(frame)
    assert [str(kind) for kind in back.dtypes] == ["Int64", "string"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([object()], "values of type object cannot be sent"),
        ([np.longdouble(1)], "cannot be sent"),
        ([lambda: 1], "values of type function cannot be sent"),
        ([10**5_000], "an integer of more than 4,000 digits"),
        (["\ud800"], "half of a surrogate pair"),
    ],
)
def test_a_column_that_cannot_be_written_is_an_error_with_its_label_or_is_left_out(values, said):
    frame = pd.DataFrame({"good": [1], "bad": pd.Series(values, dtype=object)})
    with pytest.raises(TypeError, match="^column 'bad': ") as caught:
        write_frame(frame)
    assert said in str(caught.value)
    refused: list[tuple[str, str]] = []
    described, buffers = write_frame(frame, lambda *why: refused.append(why))
    assert list(read_frame(described, buffers).columns) == ["good"]
    assert [label for label, _ in refused] == ["bad"]


def test_values_that_are_no_frames_are_told_apart():
    assert not any(map(is_frame, [None, 1, [], {}, "x", np.int64(1), np.array(1), np.array([object()]), pd.Index([1])]))


VALUES = (
    None, True, -1, 0, 7, 2**53, 2**64, 10**400, 1.5, -1e308, "", "x", "int64", "O", "<M8[Y]", "V8", "|O8", "\u202e", [],
    [None], [[[]]], {}, {"a": None}, {"as": "numpy"}, {"as": "multi", "levels": [], "codes": [], "names": []},
    {"as": "numpy", "dtype": "<i8", "at": 0}, {"as": "objects", "at": 0}, {"datetime": "x"}, {"float": []},
    {"int": "9" * 5_000}, {"decimal": "x"}, {"zoned": [1]}, {"period": [1, "M"]}, {"missing": "x"},
    {"timestamp": [2**62, "Europe/Berlin"]}, {"timestamp": [2**62, "../../etc/passwd"]},
)  # fmt: skip
BUFFERS = (b"", b"\x00", b"[" * 5_000, b"\xff" * 48, b"null", b'[{"bytes": "!"}]')


def places(value: object) -> list[tuple[Any, ...]]:
    """The way to every part of a description."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *[(key, *way) for key, item in entries for way in places(item)]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["every type", "labels with levels", "hours in Tokyo as index", "texts that repeat"])
def test_whatever_is_changed_in_a_description_or_a_buffer_is_refused_or_read(name):
    frame = FRAMES[name]
    described, buffers = write_frame(frame if len(frame) < 100 else frame.iloc[:40])
    text, buffers = json.dumps(described), [bytes(buffer) for buffer in buffers]
    for way, value in itertools.product(places(described)[1:], VALUES):
        changed = part = json.loads(text)
        for key in way[:-1]:
            part = part[key]
        part[way[-1]] = value
        read_or_refuse(changed, buffers)
    for at, data in itertools.product(range(len(buffers)), BUFFERS):
        read_or_refuse(json.loads(text), [*buffers[:at], data, *buffers[at + 1 :]])
    for count in range(len(buffers)):
        read_or_refuse(json.loads(text), buffers[:count])


def read_or_refuse(described: object, buffers: list[bytes]) -> None:
    with suppress(ValueError):
        read_frame(described, buffers)


def test_rows_that_no_buffer_has_are_bounded():
    described, buffers = write_frame(pd.DataFrame(index=range(3)))
    assert len(read_frame(described, buffers)) == 3
    described["index"]["stop"] = 1 << 50
    with pytest.raises(ValueError, match="no columns, and more than 10,000,000 rows"):
        read_frame(described, buffers)
