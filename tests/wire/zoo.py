"""DataFrames with every type of column and index that a program can get or hand over."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator

import numpy as np
import pandas as pd

ROWS = 6
NUMBERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 bool complex128".split()
MASKED = "Int8 Int64 UInt32 Float64 boolean".split()


def make_zoo() -> pd.DataFrame:
    """Return a DataFrame with a column of each type."""
    random = np.random.default_rng(1)
    columns: dict[str, object] = {
        name: random.integers(0, 2 if name == "bool" else 100, ROWS).astype(name) for name in NUMBERS
    }
    columns |= {name: pd.array([1, 0, None, 1, 0, None], dtype=name) for name in MASKED}
    half = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    columns |= {
        "special": [1.0, np.nan, np.inf, -np.inf, -0.0, 1e300],
        "text": ["a", "b\0c", "", "ä€😀", "x" * 100, "a"],
        "text with gaps": ["a", None, "b", None, "c", "d"],
        "mixed": pd.Series(["a", 1, None, 2.5, datetime.date(2020, 1, 1), decimal.Decimal("1.10")], dtype=object),
        "objects that are texts": pd.Series(list("abcdef"), dtype=object),
        "string": pd.array(["a", None, "b", "c", "d", "e"], dtype="string"),
        "ordered": pd.Categorical(["a", "b", "a", None, "c", "a"], categories=["c", "b", "a", "z"], ordered=True),
        "numbers as categories": pd.Categorical([1, 2, 1, 1, 2, 3]),
        "nanoseconds": pd.date_range("2020-01-01", periods=ROWS).astype("M8[ns]"),
        "microseconds": pd.date_range("2020-01-01", periods=ROWS).astype("M8[us]"),
        "missing times": pd.to_datetime(["2020-01-01", None, "1999-12-31T23:59:59.123456", None, "2020-06-01", "2020-07-01"], format="ISO8601"),
        "Berlin": pd.date_range("2020-03-28", periods=ROWS, tz="Europe/Berlin"),
        "UTC": pd.date_range("2020-03-28", periods=ROWS, tz="UTC"),
        "five and a half hours": pd.date_range("2020-03-28", periods=ROWS, tz=half),
        "durations": pd.to_timedelta([1, 2, 3, None, 5, 6], unit="h"),
        "months": pd.period_range("2020-01", periods=ROWS, freq="M"),
        "intervals": pd.interval_range(0, ROWS),
        "sparse": pd.arrays.SparseArray([0, 0, 1, 0, 0, 2]),
        "lists": [[1, 2], [], None, [{"a": 1}], [None], ["x"]],
        "dicts": [{"a": 1}, {}, {"b": [1]}, {"c": None}, {1: 2}, {"x": decimal.Decimal(2)}],
        "bytes": [b"a", b"\x00\xff", b"", b"c", b"d", b"e"],
        "large integers": pd.Series([2**70, -(2**65), 1, 2, 3, 4], dtype=object),
        "times of day": [datetime.time(1, 2, 3)] * ROWS,
        "days": [datetime.date(2020, 1, day + 1) for day in range(ROWS)],
    }  # fmt: skip
    return pd.DataFrame(columns)


def make_frames() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield DataFrames with names: the zoo, and one with each kind of index and labels."""
    zoo = make_zoo()
    three = {"a": range(3)}
    yield "every type", zoo
    yield "no rows", zoo.iloc[:0]
    yield "nothing", pd.DataFrame()
    yield "no columns", pd.DataFrame(index=[1, 2, 3])
    yield "a named index", pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="k"))
    levels = pd.MultiIndex.from_product([["x", "y"], [1, 2]], names=["k", None])
    yield "an index with levels", pd.DataFrame({"a": range(4)}, index=levels)
    yield "labels with levels", pd.DataFrame(np.arange(8).reshape(2, 4), columns=levels)
    yield "labels that are numbers", pd.DataFrame([[1, 2]], columns=[0, 1])
    yield "labels that are times", pd.DataFrame([[1, 2]], columns=pd.to_datetime(["2020-01-01", "2020-01-02"]))
    yield "days as index", pd.DataFrame(three, index=pd.date_range("2020", periods=3, freq="D", name="d"))
    yield "ends of months as index", pd.DataFrame(three, index=pd.date_range("2020", periods=3, freq="ME"))
    yield (
        "hours in Tokyo as index",
        pd.DataFrame(three, index=pd.date_range("2020", periods=3, freq="h", tz="Asia/Tokyo")),
    )
    yield "quarters as index", pd.DataFrame(three, index=pd.period_range("2020", periods=3, freq="Q"))
    yield "categories as index", pd.DataFrame(three, index=pd.CategoricalIndex(["x", "y", "x"]))
    yield "intervals as index", pd.DataFrame(three, index=pd.interval_range(0, 3))
    yield "every second row", pd.DataFrame(np.arange(20).reshape(4, 5))[::2]
    yield "a range that starts at 5", pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="r"))
    texts = ["x", "y", None, "x"] * 5_000
    yield (
        "texts that repeat",
        pd.DataFrame({"a": texts, "b": pd.array(texts, dtype="string"), "c": pd.Series(texts, dtype=object)}),
    )


def make_rare_frames() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield DataFrames that few people have, each with one difficulty."""
    yield "bins as categories", pd.DataFrame({"c": pd.cut([1, 5, 9, np.nan], [0, 3, 6, 10])})
    yield "quantiles as categories", pd.DataFrame({"c": pd.qcut(range(8), 4)})
    yield "times as categories", pd.DataFrame({"c": pd.Categorical(pd.to_datetime(["2020", "2021", "2020"]))})
    yield (
        "zoned times as categories",
        pd.DataFrame({"c": pd.Categorical(pd.to_datetime(["2020", "2021", "2020"]).tz_localize("Asia/Tokyo"))}),
    )
    yield "no categories", pd.DataFrame({"c": pd.Categorical([])})
    yield "categories that are all missing", pd.DataFrame({"c": pd.Categorical([None, None])})
    yield "truth values as categories", pd.DataFrame({"c": pd.Categorical([True, False])})
    yield "texts with None and NaN", pd.DataFrame({"c": pd.Series(["a", np.nan, None, "b"], dtype=object)})
    yield "objects that are all missing", pd.DataFrame({"c": pd.Series([np.nan, None], dtype=object)})
    yield "texts and floats", pd.DataFrame({"c": pd.Series(["a", 1.5], dtype=object)})
    yield "truth values with gaps as objects", pd.DataFrame({"c": pd.Series([True, None], dtype=object)})
    yield "NA and NaT as objects", pd.DataFrame({"c": pd.Series([pd.NA, "a", pd.NaT], dtype=object)})
    yield (
        "times of pandas as objects",
        pd.DataFrame(
            {
                "c": pd.Series(
                    [pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC"), pd.Timedelta("1h"), pd.Period("2020", "M")],
                    dtype=object,
                )
            }
        ),
    )
    yield (
        "scalars of numpy as objects",
        pd.DataFrame({"c": pd.Series([np.int64(3), np.float32(1.5), np.bool_(True)], dtype=object)}),
    )
    yield (
        "seconds and milliseconds",
        pd.DataFrame(
            {
                "c": pd.date_range("2020", periods=3).astype("M8[s]"),
                "d": pd.to_timedelta([1, 2, 3], unit="s").astype("m8[ms]"),
            }
        ),
    )
    yield "small floats", pd.DataFrame({"c": np.array([1, 2], dtype="f2"), "d": np.array([1, 2], dtype="c8")})
    yield "labels with a name", pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="cols"))
    yield "labels of several types", pd.DataFrame([[1, 2, 3, 4]], columns=["a", 1, None, ("x", 2)])
    yield "labels that are truth values", pd.DataFrame([[1, 2]], columns=[True, False])
    yield "labels that are categories", pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["a", "b"]))
    yield "labels that are intervals", pd.DataFrame([[1, 2]], columns=pd.interval_range(0, 2))
    yield (
        "levels with zoned times",
        pd.DataFrame(
            {"a": range(4)},
            index=pd.MultiIndex.from_product([pd.date_range("2020", periods=2, tz="Europe/Paris"), ["x", "y"]]),
        ),
    )
    yield (
        "levels that are not used",
        pd.DataFrame({"a": range(4)}, index=pd.MultiIndex.from_product([["p", "q"], ["x", "y"]])).iloc[:2],
    )
    yield "levels with gaps", pd.DataFrame({"a": range(2)}, index=pd.MultiIndex.from_tuples([("a", None), ("b", 1)]))
    yield "weeks as index", pd.DataFrame({"a": range(3)}, index=pd.date_range("2020", periods=3, freq="W-WED"))
    yield "business days as index", pd.DataFrame({"a": range(3)}, index=pd.bdate_range("2020", periods=3))
    yield "days backwards as index", pd.DataFrame({"a": range(3)}, index=pd.date_range("2020", periods=3, freq="-1D"))
    yield "every second hour as index", pd.DataFrame({"a": range(3)}, index=pd.date_range("2020", periods=3, freq="2h"))
    yield "durations as index", pd.DataFrame({"a": range(3)}, index=pd.timedelta_range("1h", periods=3, freq="90min"))
    yield (
        "hours over the end of summer time",
        pd.DataFrame({"a": range(6)}, index=pd.date_range("2020-10-25", periods=6, freq="h", tz="Europe/Berlin")),
    )
    yield (
        "intervals of times",
        pd.DataFrame(
            {"a": pd.arrays.IntervalArray.from_breaks(pd.to_datetime(["2020", "2021", "2022"]), closed="both")}
        ),
    )
    yield (
        "a zone behind UTC",
        pd.DataFrame({"a": pd.date_range("2020", periods=2, tz=datetime.timezone(datetime.timedelta(minutes=-90)))}),
    )
    yield (
        "zones without a slash",
        pd.DataFrame(
            {"a": pd.date_range("2020", periods=2, tz="EST5EDT"), "b": pd.date_range("2020", periods=2, tz="GMT")}
        ),
    )
    yield "rows backwards", pd.DataFrame({"a": range(5)})[::-1]
    yield "columns in Fortran order", pd.DataFrame(np.asfortranarray(np.arange(12.0).reshape(3, 4)))
    yield "an index of type string", pd.DataFrame({"a": [1]}, index=pd.Index(["x"], dtype="string"))
    yield "an index of type Int64", pd.DataFrame({"a": [1, 2]}, index=pd.Index([1, 2], dtype="Int64"))
    yield "decimals", pd.DataFrame({"a": [decimal.Decimal("NaN"), decimal.Decimal("1e-30")]})
    yield (
        "sparse floats and truth values",
        pd.DataFrame(
            {"a": pd.arrays.SparseArray([np.nan, 1.0, np.nan]), "b": pd.arrays.SparseArray([True, False, False])}
        ),
    )
    yield (
        "columns without values",
        pd.DataFrame(
            {"a": pd.Series([], dtype="str"), "b": pd.Series([], dtype=object), "c": pd.Series([], dtype="Int64")}
        ),
    )
    yield "one empty text", pd.DataFrame({"a": [""]})
    yield "texts with every separator", pd.DataFrame({"a": ["\0\x1e\x1f\x1d\x1c", "x"]})
    yield "repeated texts with every separator", pd.DataFrame({"a": (["\0\x1e\x1f\x1d\x1c"] * 5 + ["y"]) * 100})


FRAMES = dict(make_frames()) | dict(make_rare_frames())
