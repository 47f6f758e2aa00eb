# pyright: basic
from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
import math
import pathlib
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import NamedTuple

import numpy
import pandas
import polars
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from codeact_kernel.errors import ProgramError
from codeact_kernel.settings import Limits
from codeact_kernel.tools.to_json import to_json
from codeact_kernel.types import JSONValue
from codeact_kernel.wire.jsonable import tag_floats, untag_floats

# A busy machine is no failure.
calm = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

LIMITS = Limits()

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


class Color(enum.Enum):
    RED = "red"
    DAY = dt.date(2026, 1, 31)


class Status(str, enum.Enum):  # noqa: UP042 - what people write
    OPEN = "open"
    CLOSED = "closed"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: float


@dataclasses.dataclass
class Order:
    product: str
    placed: dt.date
    lines: list[Point]


class Customer(BaseModel):
    name: str
    since: dt.date
    friends: list[Customer] = []
    password: str = Field(default="secret", exclude=True)


class Nasty:
    def __repr__(self) -> str:
        raise AssertionError("repr was called")

    __str__ = __repr__


class LoudText(str):
    def __str__(self) -> str:
        return "shouted"


def as_json(value: object) -> JSONValue:
    return to_json(value, limits=LIMITS)


@calm
@given(PLAIN)
def test_a_json_value_survives_unchanged_and_so_does_its_text(value: JSONValue) -> None:
    copy = as_json(value)
    assert copy == value
    text = json.dumps(copy, allow_nan=False)
    assert text == json.dumps(value)
    assert json.loads(text) == copy


@calm
@given(st.lists(st.floats() | st.integers() | st.decimals() | st.datetimes() | st.timedeltas() | st.uuids()))
def test_whatever_comes_out_is_strict_json(values: list[object]) -> None:
    copy = as_json(values)
    sent = json.loads(json.dumps(tag_floats(copy), allow_nan=False))
    assert json.dumps(untag_floats(sent)) == json.dumps(copy)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (collections.deque([1]), [1]),
        (range(3), [0, 1, 2]),
        ({"b": 1, "a": 2}.keys(), ["b", "a"]),
        ({"b": 1}.values(), [1]),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (dt.datetime(2026, 1, 31, 12, 30, tzinfo=dt.UTC), "2026-01-31T12:30:00+00:00"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.time(12, 30), "12:30:00"),
        (dt.timedelta(minutes=1.5), 90.0),
        (Color.RED, "red"),
        (Color.DAY, "2026-01-31"),
        (Level.HIGH, 3),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("data/a.csv"), "data/a.csv"),
        (Decimal("12.50"), 12.5),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal("1e400"), "1E+400"),
        (Decimal("-Infinity"), -math.inf),
        (-math.inf, -math.inf),
        (2**63 - 1, 2**63 - 1),
        (2**63, 2**63),
        (-(2**70), -(2**70)),
        (10**4000 - 1, 10**4000 - 1),
        (Status.CLOSED, "closed"),
        ({Status.CLOSED: 1, LoudText("quiet"): 2}, {"closed": 1, "quiet": 2}),
        (collections.Counter([Status.OPEN, Status.OPEN]), {"open": 2}),
        (b"caf\xc3\xa9", "café"),
        ({1.5: 3, math.inf: 4}, {"1.5": 3, "Infinity": 4}),
        ("a\ud800b", "a\ufffdb"),
        (LoudText("quiet"), "quiet"),
        ({1: "a", None: "c"}, {"1": "a", "null": "c"}),
        ({dt.date(2026, 1, 31): 1, Color.RED: 2, Level.HIGH: 3}, {"2026-01-31": 1, "red": 2, "3": 3}),
    ],
)
def test_a_value_becomes_json_by_the_documented_rule(value: object, expected: JSONValue) -> None:
    result = as_json(value)
    assert result == expected
    assert type(result) is type(expected)


def test_a_bool_key_is_written_as_json_writes_it() -> None:
    assert as_json({True: 1, False: 2}) == {"true": 1, "false": 2}


def test_a_dataclass_and_a_named_tuple_become_objects_of_their_fields() -> None:
    order = Order("pen", dt.date(2026, 1, 31), [Point(1, 2.5)])
    assert as_json(order) == {"product": "pen", "placed": "2026-01-31", "lines": [{"x": 1, "y": 2.5}]}


def test_a_pydantic_model_is_sent_as_it_dumps_itself() -> None:
    bob = Customer(name="Bob", since=dt.date(2026, 1, 31))
    expected = {"name": "Bob", "since": "2026-01-31", "friends": []}
    assert as_json(bob) == expected
    ann = Customer(name="Ann", since=bob.since, friends=[bob])
    assert as_json(ann) == {"name": "Ann", "since": "2026-01-31", "friends": [expected]}


def test_a_set_of_mixed_types_has_the_same_order_each_time() -> None:
    assert as_json({"b", 2, None, "a"}) == as_json({None, "a", "b", 2})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (numpy.int64(3), 3),
        (numpy.float64(2.5), 2.5),
        (numpy.array([math.inf]), [math.inf]),
        (numpy.longdouble(2.5), 2.5),
        (numpy.bool_(True), True),
        (numpy.str_("a"), "a"),
        (numpy.datetime64("2026-01-31"), "2026-01-31"),
        (numpy.datetime64("2026-01-31T12:00:00.000000001", "ns"), "2026-01-31T12:00:00"),
        (numpy.datetime64("NaT"), None),
        (numpy.timedelta64(90, "s"), 90.0),
        (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (numpy.array(["2026-01-31"], dtype="datetime64[ns]"), ["2026-01-31T00:00:00"]),
        (numpy.array(5), 5),
        ({numpy.int64(1): numpy.array([1.5])}, {"1": [1.5]}),
    ],
)
def test_numpy_values_become_numbers_and_lists(value: object, expected: JSONValue) -> None:
    result = as_json(value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pandas.Timestamp("2026-01-31 12:00"), "2026-01-31T12:00:00"),
        (pandas.Timedelta("90s"), 90.0),
        (pandas.NaT, None),
        (pandas.NA, None),
        (pandas.Period("2026-01", freq="M"), "2026-01"),
        (pandas.Series([1, None, 3]), [1.0, None, 3.0]),
        (pandas.Series([1, 2], index=["a", "b"]), {"a": 1, "b": 2}),
        (pandas.Series([1, 2, 3])[lambda s: s > 1], [2, 3]),
        (pandas.Series([5], index=pandas.Index([7], name="user")), {"7": 5}),
        (pandas.Series(["x", "x"]).value_counts(), {"x": 2}),
        (pandas.Series(["x", "y"], dtype="category"), ["x", "y"]),
        (pandas.Index(["a", "b"]), ["a", "b"]),
        (pandas.Categorical(["a"]), ["a"]),
        (pandas.array([1, None], dtype="Int64"), [1, None]),
        (pandas.DataFrame({"a": []}), []),
        (pandas.Series({1001: 50.0, 1002: 75.5}), {"1001": 50.0, "1002": 75.5}),
        (pandas.DataFrame.from_dict({1001: {"a": 1}, 1002: {"a": 2}}, orient="index"),
         [{"index": 1001, "a": 1}, {"index": 1002, "a": 2}]),
        (pandas.Series([3, 3, 1, 5, 3]).value_counts(), {"3": 3, "1": 1, "5": 1}),
        (pandas.Series([2, 1, 1, 1, 2, 4]).value_counts().sort_index(), {"1": 3, "2": 2, "4": 1}),
        (pandas.Series([0, 0, 1]).value_counts(normalize=True) * 3, {"0": 2.0, "1": 1.0}),
        (pandas.DataFrame({"count": [5, 6, 7]})["count"], [5, 6, 7]),
        (pandas.DataFrame.from_dict({1: {"a": 1}, 2: {"a": 2}}, orient="index"), [{"index": 1, "a": 1}, {"index": 2, "a": 2}]),
        (pandas.DataFrame({"a": [1, 2, 3, 4]}).query("a in (2, 4)"), [{"a": 2}, {"a": 4}]),
        (pandas.DataFrame({"a": [1], "b": ["x"]}, dtype=object).dtypes, {"a": "object", "b": "object"}),
        (polars.DataFrame({"a": [1]}).schema, {"a": "Int64"}),
        (pyarrow.table({"a": [1]}).schema.types, ["int64"]),
        (numpy.array([(1, "a")], dtype=[("x", int), ("y", "U1")]), [{"x": 1, "y": "a"}]),
        (pandas.Series([1.0, 2.0, 3.0]).quantile([0.25, 0.5]), {"0.25": 1.5, "0.5": 2.0}),
        (pandas.Series([1, 2], index=["a", None]), {"a": 1, "null": 2}),
        (pandas.cut(pandas.Series([1, 2]), [0, 1, 3]).value_counts(), {"(0, 1]": 1, "(1, 3]": 1}),
        (pandas.DataFrame({"k": ["a"], "v": [1]}).groupby("k").agg({"v": ["sum", "max"]}),
         [{"k": "a", "v_sum": 1, "v_max": 1}]),
        (pandas.DataFrame({"k": ["a"], "l": [1], "v": [2]}).groupby(["k", "l"])["v"].sum(), [{"k": "a", "l": 1, "v": 2}]),
        (pandas.DataFrame({"a": [1, 2]}).set_index("a", drop=False), [{"a": 1}, {"a": 2}]),
        (pandas.DataFrame({"a": [1]}, index=pandas.MultiIndex.from_tuples([("x", 1)])), [{"level_0": "x", "level_1": 1, "a": 1}]),
        (pandas.DataFrame({"x": [math.inf, math.nan]}), [{"x": math.inf}, {"x": None}]),
        (pandas.Interval(0, 1), "(0, 1]"),
        (pandas.DataFrame({"a": [1, 2]}).iloc[1:], [{"a": 2}]),
        (polars.DataFrame({"a": [1, None], "l": [[1], []], "d": [dt.date(2026, 1, 2)] * 2}),
         [{"a": 1, "l": [1], "d": "2026-01-02"}, {"a": None, "l": [], "d": "2026-01-02"}]),
        (polars.LazyFrame({"s": [{"a": 1}], "p": [Decimal("1.5")], "t": [dt.timedelta(seconds=90)]}),
         [{"s": {"a": 1}, "p": 1.5, "t": 90.0}]),
        (polars.Series([1, None]), [1, None]),
        (pyarrow.table({"a": [1, None], "p": [Decimal("1.5")] * 2}), [{"a": 1, "p": 1.5}, {"a": None, "p": 1.5}]),
        (pyarrow.RecordBatch.from_pylist([{"s": {"a": [1]}}]), [{"s": {"a": [1]}}]),
        (pyarrow.array([dt.datetime(2024, 5, 31, 22, 30)], pyarrow.timestamp("us", "Europe/Berlin")),
         ["2024-06-01T00:30:00+02:00"]),
        ({"inside": polars.DataFrame({"a": [1]})}, {"inside": [{"a": 1}]}),
    ],
)  # fmt: skip
def test_values_of_tables_become_json(value: object, expected: JSONValue) -> None:
    assert as_json(value) == expected


def test_a_data_frame_becomes_rows_with_null_where_something_is_missing() -> None:
    frame = pandas.DataFrame(
        {
            "name": ["Ann", None],
            "qty": [1, 2],
            "price": [1.5, math.nan],
            "day": pandas.to_datetime(["2026-01-31", None]),
        }
    )
    assert as_json(frame) == [
        {"name": "Ann", "qty": 1, "price": 1.5, "day": "2026-01-31T00:00:00"},
        {"name": None, "qty": 2, "price": None, "day": None},
    ]


def test_an_index_with_a_meaning_is_part_of_the_rows_and_a_leftover_one_is_not() -> None:
    frame = pandas.DataFrame({"user": ["a", "b", "a"], "qty": [1, 2, 3]})
    assert as_json(frame.groupby("user").sum()) == [{"user": "a", "qty": 4}, {"user": "b", "qty": 2}]
    assert as_json(frame[frame.qty > 1]) == [{"user": "b", "qty": 2}, {"user": "a", "qty": 3}]
    assert as_json(pandas.DataFrame({"n": [1]}, index=["x"])) == [{"index": "x", "n": 1}]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "type object cannot be sent: return text, numbers"),
        (Nasty(), "Nasty cannot be sent"),
        (Order, "type type cannot be sent"),
        (lambda: 1, "type function cannot be sent"),
        ((n for n in [1]), r"type generator cannot be sent: return list\(...\) of it"),
        (b"\xff", "type bytes cannot be sent: it is not UTF-8 text; return text, for example base64"),
        (memoryview(b"\xff"), "type memoryview cannot be sent"),
        (numpy.bytes_(b"\xff"), "type bytes cannot be sent"),
        (1 + 2j, "type complex cannot be sent"),
        (numpy.clongdouble(1), "cannot be sent"),
        ({"deep": [{"deeper": object()}]}, "type object cannot be sent"),
        ({(1, 2): 3}, "a tuple cannot be a key: use text or whole numbers"),
        ({"codeact:float": "inf"}, "a dict with the only key 'codeact:float'"),
        ({1: "a", "1": "b"}, "two keys of a dict are both '1' as text"),
        ([10**5000], "more than 4,000 digits cannot be sent"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of the DataFrame have one name"),
        (pandas.DataFrame({"a": [1]}, index=pandas.Index([3], name="a")), "the index and a column are both named 'a'"),
        (
            pandas.DataFrame({"v": [1]}, index=pandas.MultiIndex.from_tuples([(1, 2)], names=["g", "g"])),
            "two levels of the index have one name, 'g'",
        ),
        (pyarrow.table([[1], [2]], names=["a", "a"]), "two columns of the table have one name"),
        (pandas.Series([1, 2], index=["a", "a"]), r"return series.reset_index\(\)"),
    ],
)
def test_what_is_not_in_the_rule_is_refused_by_a_sentence(value: object, said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        as_json(value)


def test_a_structure_that_contains_itself_is_refused() -> None:
    inner: list[object] = []
    inner.append({"again": inner})
    with pytest.raises(ProgramError, match="contains itself"):
        as_json(inner)


def test_one_list_in_two_places_is_no_cycle() -> None:
    shared = [1]
    assert as_json([shared, shared, {"a": shared}]) == [[1], [1], {"a": [1]}]


def test_depth_is_allowed_up_to_the_limit_and_not_beyond() -> None:
    value: list[object] = []
    for _ in range(LIMITS.depth - 1):
        value = [value]
    assert as_json(value) == value
    with pytest.raises(ProgramError, match="deeper than 32 levels"):
        as_json([value])


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1001,
        ["x" * 100] * 10,
        {"k" * 600: "v" * 400},
        "\x00" * 200,
        [None] * 300,
        numpy.broadcast_to(0, 10**12),
        range(10**12),
    ],
)
def test_a_result_larger_than_the_limit_is_refused(value: object) -> None:
    with pytest.raises(ProgramError, match="larger than 1,000 bytes of JSON: return less"):
        to_json(value, limits=Limits(answer_bytes=1000))


def test_a_small_structure_that_unfolds_to_a_giant_is_refused_early() -> None:
    bomb: list[object] = []
    for _ in range(30):
        bomb = [bomb] * 10
    with pytest.raises(ProgramError, match="larger than"):
        to_json(bomb, limits=Limits(answer_bytes=10_000))


@calm
@given(PLAIN)
def test_what_is_accepted_fits_the_limit_as_the_bridge_counts_it(value: JSONValue) -> None:
    limits = Limits(answer_bytes=100)
    try:
        copy = to_json(value, limits=limits)
    except ProgramError:
        return
    assert len(json.dumps(copy, ensure_ascii=False, separators=(",", ":")).encode()) <= limits.answer_bytes


def test_the_copy_does_not_change_with_the_original() -> None:
    original = {"rows": [[1]]}
    copy = as_json(original)
    original["rows"][0].append(2)
    assert copy == {"rows": [[1]]}


@pytest.mark.process
def test_numpy_and_pandas_are_never_imported() -> None:
    code = (
        "import sys; from codeact_kernel.tools.to_json import to_json; from codeact_kernel.settings import Limits;"
        "to_json({'a': (1, 2)}, limits=Limits()); print({'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
