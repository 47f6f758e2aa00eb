"""Values of the notebook go into real guests, on both backends, and come back: as the program and the notebook see them."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from codeact_kernel.capabilities.data import Frame, load_input, parse_input_names, to_dataframe
from codeact_kernel.capabilities.registry import CapabilitySet
from codeact_kernel.errors import UserError
from codeact_kernel.events import Event, Notice
from codeact_kernel.settings import Limits, Settings

from ..sandbox.conftest import EMULATED, Programs, Run, program

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 20_000 if EMULATED else 100_000
KEPT = {"kept_bytes": 1 << 16}
"""So that as much stays with the host on an emulated machine, where little takes long."""


async def given(
    programs: Programs, text: str, inputs: dict[str, Any] | None = None, outputs: tuple[str, ...] = (), **options: Any
) -> tuple[Run, dict[str, Any]]:
    """Run a program with these variables; what it came to, and what it handed back."""
    settings = Settings(limits=Limits(**options.pop("limits", {})))
    made = [load_input(parse_input_names([name])[0], value, settings.limits) for name, value in (inputs or {}).items()]
    capabilities = CapabilitySet(settings, made, outputs, options.pop("emit", lambda event: None))
    run = await programs.run(program(text), capabilities=capabilities, **options)
    return run, dict(capabilities.outputs)


PEOPLE = pd.DataFrame(
    {
        "name": ["Ann", "Bob", None, "Dée 😀"],
        "age": [31, 42, 53, 64],
        "height": [1.5, math.nan, 1.75, 2.0],
        "born": pd.to_datetime(["1994-01-02", None, "1972-05-06 07:08:09.123456", "1961-01-01"], format="ISO8601"),
        "here": [True, False, True, True],
    }
)
ROWS = [
    {"name": "Ann", "age": 31, "height": 1.5, "born": "1994-01-02T00:00:00", "here": True},
    {"name": "Bob", "age": 42, "height": None, "born": None, "here": False},
    {"name": None, "age": 53, "height": 1.75, "born": "1972-05-06T07:08:09.123456", "here": True},
    {"name": "Dée 😀", "age": 64, "height": 2.0, "born": "1961-01-01T00:00:00", "here": True},
]


@pytest.mark.parametrize(
    "frame", [PEOPLE, pl.from_pandas(PEOPLE, nan_to_null=False), pl.from_pandas(PEOPLE).lazy(), pa.Table.from_pandas(PEOPLE)],
    ids=["pandas", "polars", "polars, lazy", "pyarrow"],
)  # fmt: skip
async def test_a_data_frame_of_any_library_is_a_table_of_the_same_rows(programs, frame):
    run, _ = await given(programs, "[type(t).__name__, len(t), t.columns, list(t), t.rows[1]]", {"t": frame})
    seen = json.loads(json.dumps(run.value).replace("NaN", "null"))  # floats that are missing
    assert seen == ["Table", 4, list(ROWS[0]), ROWS, ROWS[1]]


async def test_columns_have_the_values_that_python_has(programs):
    run, _ = await given(
        programs,
        """
        import datetime
        assert t["born"][2] == datetime.datetime(1972, 5, 6, 7, 8, 9, 123456) and t["born"][1] is None
        assert t["here"][0] is True and type(t["age"][0]) is int and t["height"][1] != t["height"][1]
        assert list(t["name"]) == ["Ann", "Bob", None, "Dée 😀"] and t["name"][-1] == "Dée 😀"
        assert list(t["age"][1:3]) == [42, 53] and t["age"][:2].sum() == 73 and t[:2]["age"].max() == 42
        sum(t["age"]), max(t["age"]), sorted(n or "" for n in t["name"]), t["age"].index(53), 42 in t["age"]
        """,
        {"t": PEOPLE},
    )
    assert run.value == [190, 64, ["", "Ann", "Bob", "Dée 😀"], 2, True]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (np.array([1, -(2**62), 3], "int64"), [1, -(2**62), 3]),
        (np.array([1, 2], "uint8"), [1, 2]),
        (np.array([2**64 - 1, 0], "uint64"), [2**64 - 1, 0]),
        (np.array([0.5, 1e300], "float64"), [0.5, 1e300]),
        (np.array([0.5, 2], "float16"), [0.5, 2]),
        (np.array([True, False]), [True, False]),
        (np.array(["2024-01-01", "NaT"], "datetime64[D]"), ["2024-01-01T00:00:00", None]),
        (np.array([1500], "timedelta64[ms]"), [1.5]),
        (np.array(["a", "b"]), ["a", "b"]),
        (pd.Series([1, None, 3], dtype="Int64"), [1, None, 3]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (pd.Series([True, None], dtype="boolean"), [True, None]),
        (pd.Series(["x", "y", "x"], dtype="category"), ["x", "y", "x"]),
        (pd.Series(pd.date_range("2024-01-01", periods=2, tz="Europe/Berlin")),
         ["2024-01-01T00:00:00+01:00", "2024-01-02T00:00:00+01:00"]),
        (pd.Series([{"a": 1}, [1, 2], decimal.Decimal("1.5"), datetime.date(2024, 1, 2)]),
         [{"a": 1}, [1, 2], 1.5, "2024-01-02"]),
        (pd.Series(["bad \ud800", "x"], dtype=object), ["bad �", "x"]),
        (pd.Series(["same"] * 5000 + ["other"]), ["same"] * 5000 + ["other"]),
        (pl.Series([1, None]), [1, None]),
        (pl.Series([[1], [2, 3]]), [[1], [2, 3]]),
        (pa.array(["x", None]), ["x", None]),
        (pa.chunked_array([[1.5], [2.5]]), [1.5, 2.5]),
        (pd.Index([3, 4]), [3, 4]),
        (np.array([], "float64"), []),
    ],
)  # fmt: skip
async def test_every_kind_of_column_arrives(programs, column, values):
    run, _ = await given(programs, "[len(c), list(c)]", {"c": column})
    assert run.value == [len(values), values]


@dataclasses.dataclass
class Point:
    x: int
    y: float


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"a": [1, 2], "b": None}, {"a": [1, 2], "b": None}),
        ([{"x": 1}, {"x": 2, "y": "z"}], [{"x": 1}, {"x": 2, "y": "z"}]),
        (Point(1, 2.5), {"x": 1, "y": 2.5}),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.float32(0.5), 0.5),
        ("text 😀", "text 😀"),
        (None, None),
        (["é" * 70_000, "y"], ["é" * 70_000, "y"]),
    ],
)
async def test_any_other_value_arrives_as_a_tools_result_would(programs, value, seen):
    run, _ = await given(programs, "v", {"v": value})
    assert run.value == seen
    assert (await given(programs, "type(v).__name__", {"v": value}))[0].value == type(seen).__name__


async def test_an_index_that_says_something_is_a_column(programs):
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="key"))
    assert (await given(programs, "list(t)", {"t": frame}))[0].value == [{"key": "a", "n": 1}, {"key": "b", "n": 2}]
    series = pd.Series([1, 2], index=["a", "b"], name="n")
    assert (await given(programs, "list(t)", {"t": series}))[0].value == [
        {"index": "a", "n": 1},
        {"index": "b", "n": 2},
    ]


async def test_a_table_can_be_filtered_grouped_and_sorted(programs):
    frame = pd.DataFrame({"k": ["a", "b", "a", "c"], "n": [4, 3, 2, 1], "m": [1.0, math.nan, 3.0, 0.0]})
    run, _ = await given(
        programs,
        """
        groups = {key: sum(part["n"]) for key, part in t.group_by("k").items()}
        pairs = {key: len(part) for key, part in t.groupby("k", "n").items()}
        assert pairs[("a", 4)] == 1
        [
            groups,
            [row["n"] for row in t.where(k="a")],
            [row["n"] for row in t.where(lambda row: row["n"] < 3)],
            [row["n"] for row in t.where(lambda row: row["n"] < 3, k="a")],
            list(t.sort_by("n")["k"]),
            list(t.sort_by("k", "n", reverse=True)["n"]),
            list(t.sort_by("m")["n"]),
            t.where(k="a").where(n=2)[0],
            list(t[1:3]["n"]),
            t.select("k").columns,
            t[["n"]][0],
            t.page(2, 2),
            t.head(1),
            bool(t.where(k="no")),
        ]
        """,
        {"t": frame},
    )
    row = {"k": "a", "n": 2, "m": 3.0}
    assert run.value == [
        {"a": 6, "b": 3, "c": 1}, [4, 2], [2, 1], [2], ["c", "a", "b", "a"], [1, 3, 4, 2], [1, 4, 2, 3],
        row, [3, 2], ["k"], {"n": 4}, [row, {"k": "c", "n": 1, "m": 0.0}], [{"k": "a", "n": 4, "m": 1.0}], False,
    ]  # fmt: skip


async def test_a_column_that_is_not_there_is_reported_with_those_that_are(programs):
    run, _ = await given(programs, "t['nme']", {"t": PEOPLE})
    assert run.error == "KeyError: \"'nme': the columns are name, age, height, born, here\""


async def test_only_what_is_looked_at_is_fetched(programs):
    numbers = pd.DataFrame({f"c{number}": np.arange(MANY) for number in range(5)})
    moved = []
    await given(programs, "t[0], t['c1'][5]", {"t": numbers}, emit=moved.append)
    first = sum(1 for event in moved)
    run, _ = await given(programs, "sum(t['c3'])", {"t": numbers}, emit=moved.append)
    assert run.value == sum(range(MANY))
    assert moved[-1].done <= MANY < moved[-1].total == 5 * MANY, first


# -- out -----------------------------------------------------------------------------------------------------------------


@pytest.mark.smoke
async def test_rows_come_back_as_a_frame(programs):
    _, out = await given(
        programs,
        """
        import datetime
        made = [{"n": i, "x": i / 2, "s": "é" * i, "ok": i > 1, "when": datetime.datetime(2024, 1, i + 1), "l": [i]} for i in range(3)]
        """,
        outputs=("made",),
    )
    frame = to_dataframe(out["made"])
    assert isinstance(out["made"], Frame)
    assert isinstance(frame, pd.DataFrame)
    assert [str(kind) for kind in frame.dtypes] == ["int64", "float64", "str", "bool", "datetime64[us]", "object"]
    assert frame.to_dict("records")[2] == {
        "n": 2, "x": 1.0, "s": "éé", "ok": True, "when": pd.Timestamp("2024-01-03"), "l": [2],
    }  # fmt: skip


@pytest.mark.smoke
async def test_a_table_comes_back_as_it_went_in(programs):
    _, out = await given(programs, "back = t.where(lambda row: row['age'] > 40)", {"t": PEOPLE}, ("back",))
    back = to_dataframe(out["back"])
    expected = PEOPLE[PEOPLE["age"] > 40].reset_index(drop=True)
    pd.testing.assert_frame_equal(back, expected, check_dtype=False)


@pytest.mark.parametrize("value", [42, "é😀", None, [1, "a", None], {"a": {"b": [1.5]}}, [], True])
async def test_what_is_no_table_comes_back_as_it_is(programs, value):
    _, out = await given(programs, f"back = {value!r}", outputs=("back",))
    assert out == {"back": value}
    assert to_dataframe(out["back"]) == value


async def test_rows_with_other_keys_have_gaps(programs):
    _, out = await given(programs, "back = [{'a': 1}, {'b': 'x'}]", outputs=("back",))
    assert out["back"].records() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


async def test_the_value_of_the_program_is_what_is_wanted_where_it_assigns_nothing(programs):
    assert (await given(programs, "6 * 7", outputs=("answer",)))[1] == {"answer": 42}
    run, out = await given(programs, "a = 1\nb = 2\na", outputs=("a", "c"))
    assert run.error.startswith("NameError: the program has to assign c")
    assert "c" not in out


async def test_a_program_that_goes_on_finds_what_the_one_before_made_of_the_variables(programs):
    frame = pd.DataFrame({"a": [1, 2, 3]})
    capabilities = CapabilitySet(
        Settings(), [load_input(parse_input_names(["t"])[0], frame, Limits())], ["t", "a"], lambda event: None
    )
    async with programs.turn() as turn:
        assert (
            await turn.run("a = 1\nt = t[t['a'] > 1]\n1 / 0", capabilities=capabilities, keep=True)
        ).error.startswith("ZeroDivision")
        assert not capabilities.outputs
        assert (await turn.run("observe(len(t))", capabilities=capabilities, keep=True)).outcome.observed == ("2",)
        assert not capabilities.outputs
        assert (await turn.run("a += len(t)", capabilities=capabilities, keep=True)).value is None
    assert capabilities.outputs["a"] == 3
    assert capabilities.outputs["t"].rows == 2


async def test_a_variable_may_go_in_and_come_out_under_one_name(programs):
    run, out = await given(programs, "t = t[t['age'] > 40]", {"t": PEOPLE}, ("t",))
    assert run.value is None
    assert out["t"].rows == 3


async def test_a_program_that_ends_itself_well_has_handed_its_variables_back(programs):
    run, out = await given(programs, "import sys\na = 1\nsys.exit()", outputs=("a",))
    assert (run.value, out) == (None, {"a": 1})


async def test_whole_numbers_stay_whole_where_some_are_missing(programs):
    _, out = await given(programs, "r = [{'id': 2**53 + 1, 'ok': True}, {'id': None, 'ok': None}]", outputs=("r",))
    frame = to_dataframe(out["r"])
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "boolean"]
    assert frame["id"][0] == 2**53 + 1


async def test_what_is_missing_in_a_column_of_times_is_missing(programs):
    frame = pd.DataFrame({"d": pd.to_timedelta([1, None], unit="s"), "x": [1, 2]})
    run, _ = await given(programs, "[t['d'].sum(), t['d'].count(), t['d'].mean()]", {"t": frame})
    assert run.value == [1.0, 1, 1.0]
    far = np.array(["20000-01-01", "2024-01-01"], "datetime64[s]")
    assert (await given(programs, "list(t)", {"t": far}))[0].value == ["20000-01-01T00:00:00", "2024-01-01T00:00:00"]


BERLIN = pd.to_datetime(["2024-03-31 00:30", "2024-03-31 12:00", "2024-04-01 01:15"]).tz_localize("Europe/Berlin")


@pytest.mark.parametrize(
    "when",
    [
        pd.Series(BERLIN),
        pd.Series(BERLIN).astype(object),
        pl.Series(BERLIN.to_pydatetime().tolist()).dt.convert_time_zone("Europe/Berlin"),
        pa.array(BERLIN.to_pydatetime().tolist(), pa.timestamp("us", "Europe/Berlin")),
        pa.array(pd.Series(BERLIN.as_unit("ns"))),
    ],
    ids=["pandas", "objects", "polars", "pyarrow", "pyarrow ns"],
)
async def test_times_in_a_zone_are_the_local_times_there_and_come_back_so(programs, when):
    make = pl.DataFrame if isinstance(when, pl.Series) else pa.table if isinstance(when, pa.Array) else pd.DataFrame
    table = make({"when": when, "amount": [10, 20, 40]})
    text = """
    days = {}
    for row in sales: days[str(row["when"].date())] = days.get(str(row["when"].date()), 0) + row["amount"]
    back = [{"when": row["when"]} for row in sales]
    [days, [str(when) for when in sales["when"]], str(sales["when"][2] - sales["when"][0]), sales["when"][0].tzname()]
    """
    run, out = await given(programs, text, {"sales": table}, outputs=("back",))
    assert run.value == [
        {"2024-03-31": 30, "2024-04-01": 40},
        ["2024-03-31 00:30:00+01:00", "2024-03-31 12:00:00+02:00", "2024-04-01 01:15:00+02:00"],
        "23:45:00", "Europe/Berlin",
    ]  # fmt: skip
    back = to_dataframe(out["back"])
    assert str(back["when"].dtype).endswith("Europe/Berlin]")
    assert back["when"].tolist() == BERLIN.tolist()


async def test_offsets_without_a_name_and_gaps_among_times_are_kept(programs):
    times = [
        datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=hours))) for hours in (2, -5)
    ]
    for column in (pd.Series([*times, None]), pd.Series([*times, None], dtype=object)):
        run, _ = await given(programs, "[str(one) for one in t]", {"t": column})
        assert run.value == ["2024-01-01 00:00:00+02:00", "2024-01-01 00:00:00-05:00", "None"]
    several = pd.Series([pd.Timestamp("2024-06-01", tz=zone) for zone in ("UTC", "Asia/Tokyo")], dtype=object)
    run, _ = await given(programs, "[[str(one), one.tzname()] for one in t]", {"t": several})
    assert run.value == [["2024-06-01 00:00:00+00:00", "UTC"], ["2024-06-01 00:00:00+09:00", "UTC+09:00"]]
    zoned = pd.Series([*BERLIN, pd.NaT])
    assert (await given(programs, "[t[3], str(t[0])]", {"t": zoned}))[0].value == [None, "2024-03-31 00:30:00+01:00"]


async def test_times_at_a_fixed_distance_from_utc_are_handed_back_as_times(programs):
    text = """
    from datetime import *
    t = [{"when": datetime(2024, 6, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30)))}, {"when": None}]
    named = [{"when": datetime(2024, 6, 1, tzinfo=timezone(timedelta(hours=2), "UTC summer"))}]
    """
    _, out = await given(programs, text, outputs=("t", "named"))
    assert to_dataframe(out["t"])["when"][0].isoformat() == "2024-06-01T00:00:00-03:30"
    assert out["named"].records() == [{"when": "2024-06-01T00:00:00+02:00"}]


async def test_rows_whose_keys_are_no_text_are_a_table_as_well(programs):
    _, out = await given(programs, "t = [{1: 'a', None: 2}] * 2", outputs=("t",))
    assert out["t"].records() == [{"1": "a", "null": 2}] * 2


async def test_gaps_are_one_group_and_one_value(programs):
    frame = pd.DataFrame({"k": [1.5, math.nan, math.nan], "n": [1, 2, 3]})
    run, _ = await given(
        programs, "[sorted(map(str, t.group_by('k'))), len(t['k'].unique()), t['n'].unique()]", {"t": frame}
    )
    assert run.value == [["1.5", "None"], 2, [1, 2, 3]]


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("t[t['age'] > 1 and t['age'] < 50]", "ValueError: comparing a column gives one answer for each row"),
        ("t[not [1]]", "TypeError: a table needs a truth value for each row"),
        ("t[[True]]", "ValueError: the comparison has 1 rows, but the table has 4"),
        ("t.group_by('name')['agee']", "KeyError"),
    ],
)
async def test_what_would_give_other_rows_than_meant_is_an_error(programs, program, error):
    assert (await given(programs, program, {"t": PEOPLE}))[0].error.startswith(error)


async def test_a_table_that_is_empty_keeps_its_columns(programs):
    run, _ = await given(programs, "e = t[t['age'] > 100]\n[len(e[e['age'] > 1]['age']), e.columns]", {"t": PEOPLE})
    assert run.value == [0, list(ROWS[0])]


async def test_columns_can_be_sorted_each_its_own_way(programs):
    frame = pd.DataFrame({"k": ["a", "b", "a"], "n": [1, 2, 3]})
    run, _ = await given(programs, "list(t.sort_values(['k', 'n'], ascending=[True, False])['n'])", {"t": frame})
    assert run.value == [3, 1, 2]


async def test_a_large_table_is_shown_by_its_first_rows(programs):
    frame = pd.DataFrame({"a": np.arange(30_000)})
    run, _ = await given(programs, "observe(t)\nt", {"t": frame})
    assert run.outcome.observed[0].startswith("Table of 30,000 rows: a\n  {'a': 0}")
    assert run.outcome.text == run.outcome.observed[0]


async def test_what_has_no_json_form_is_refused_by_its_name(programs):
    run, out = await given(programs, "thing = object()", outputs=("thing",))
    assert run.error.startswith("TypeError: thing cannot be handed to the notebook: a object has no JSON form")
    assert not out


async def test_a_hundred_thousand_rows_come_back(programs):
    _, out = await given(
        programs, f"back = [{{'i': i, 'h': i / 2, 's': str(i % 7)}} for i in range({MANY})]", outputs=("back",)
    )
    frame = to_dataframe(out["back"])
    assert (len(frame), int(frame["i"].sum()), frame["s"].nunique()) == (MANY, sum(range(MANY)), 7)


async def test_long_texts_come_back_in_pieces_that_can_be_sent(programs):
    program = "back = [{'text': 'é' * 2_000, 'number': i, 'any': ['x' * 500]} for i in range(1_000)]"
    _, out = await given(programs, program, outputs=("back",))
    assert out["back"].rows == 1_000
    assert set(out["back"].columns["text"]) == {"é" * 2_000}
    assert list(out["back"].columns["number"]) == list(range(1_000))
    assert out["back"].columns["any"][-1] == ["x" * 500]


# -- large results of tools ----------------------------------------------------------------------------------------------


def large() -> Any:
    return [{"i": number, "name": f"n{number % 10}"} for number in range(MANY)]


@pytest.mark.smoke
async def test_a_large_result_stays_with_the_host_and_reads_as_a_list(programs):
    run, _ = await given(
        programs,
        """
        rows = large()
        [type(rows).__name__, len(rows), rows[-1], sum(row["i"] for row in rows), rows.page(5, 2),
         len(rows.where(name="n3")), sorted(rows.group_by("name"))[0], rows["name"][12], rows.columns]
        """,
        tools={"large": large},
        limits=KEPT,
    )
    assert run.value == [
        "Rows", MANY, {"i": MANY - 1, "name": "n9"}, sum(range(MANY)),
        [{"i": 5, "name": "n5"}, {"i": 6, "name": "n6"}], MANY // 10, "n0", "n2", ["i", "name"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "look", "seen"),
    [
        ("frame", "[len(v), v['i'][10_000], v.columns]", [MANY, 10_000, ["i", "x"]]),
        ("numbers", "[len(v), v[12_345], sum(v)]", [MANY, 12_345, sum(range(MANY))]),
        ("mixed", "[len(v), v[0], v[12_345]]", [MANY, {"a": 0}, ["b", 12_345]]),
        ("nested", "[type(v).__name__, v['meta'], len(v['rows'])]", ["dict", {"n": 1}, MANY]),
        ("text", "[type(v).__name__, len(v)]", ["str", 10 * MANY]),
    ],
)
async def test_large_results_of_every_shape_can_be_used(programs, make, look, seen):
    tools = {
        "frame": lambda: pd.DataFrame({"i": np.arange(MANY), "x": np.zeros(MANY)}),
        "numbers": lambda: list(range(MANY)),
        "mixed": lambda: [{"a": number} if number % 2 == 0 else ["b", number] for number in range(MANY)],
        "nested": lambda: {"meta": {"n": 1}, "rows": [[number, "text"] for number in range(MANY)]},
        "text": lambda: "é" * 10 * MANY,
    }
    run, _ = await given(programs, f"v = {make}()\n{look}", tools=tools, limits=KEPT)
    assert run.value == seen


async def test_what_the_tool_does_with_its_frame_later_changes_nothing(programs):
    frame = pd.DataFrame({"i": np.arange(MANY)})

    def make() -> Any:
        return frame

    def spoil() -> None:
        frame["i"] = 0

    run, _ = await given(programs, "v = make()\nspoil()\nv['i'][7]", tools={"make": make, "spoil": spoil}, limits=KEPT)
    assert run.value == 7


async def test_results_of_one_turn_are_bounded_in_all(programs):
    run, _ = await given(
        programs, "[len(numbers()) for _ in range(9)]",
        tools={"numbers": lambda: list(range(MANY))}, limits={**KEPT, "result_bytes": 3 * 9 * MANY},
    )  # fmt: skip
    assert run.error.startswith("ToolFailed: ")
    assert "the results of one turn may have" in run.error


async def test_a_large_result_can_be_handed_back_and_shown(programs):
    run, out = await given(
        programs, "rows = large()\nrows.where(i=3)", outputs=("rows",), tools={"large": large}, limits=KEPT
    )
    assert run.value == [{"i": 3, "name": "n3"}]
    assert out["rows"].rows == MANY
    assert json.dumps(run.value)


async def test_what_is_written_of_data_frames_out_of_habit_works_as_well(programs):
    frame = pd.DataFrame({"k": ["a", "b", "a", None], "n": [4, 3, 2, 1], "x": [1.0, math.nan, 3.0, 0.0]})
    run, _ = await given(
        programs,
        """
        [
            [row["n"] for row in t[t["n"] > 2]],
            [row["n"] for row in t[(t["k"] == "a") & (t.n < 4)]],
            [row["n"] for row in t[~t["k"].isin(["a"]) | (t["n"] == 4)]],
            [t["n"].sum(), t["x"].mean(), t["x"].min(), t["n"].max(), t["x"].count(), t["k"].nunique(), t["x"].median()],
            [t["k"].unique(), t["k"].value_counts()],
            [row["n"] for row in t.sort_values("n", ascending=False).head(2)],
            t.groupby("k")["n"].sum(),
            t.groupby(["k"])["x"].mean().sort_values(ascending=False).reset_index()[:1],
            t.to_dict("records") == list(t),
            [number for number, row in t.iterrows()],
        ]
        """,
        {"t": frame},
    )
    assert run.value == [
        [4, 3], [2], [4, 3, 1], [10, 4 / 3, 0.0, 4, 3, 2, 1.0], [["a", "b", None], {"a": 2, "b": 1}], [4, 3],
        {"a": 6, "b": 3, "null": 1}, [{"k": "a", "x": 2.0}], False, [0, 1, 2, 3],
    ]  # fmt: skip


async def test_what_a_table_has_not_is_said_as_what_it_is(programs):
    run, _ = await given(programs, "t.pivot_table()", {"t": PEOPLE})
    assert run.error == "AttributeError: a Table has no 'pivot_table': it is a list of dicts, so loop over its rows"


async def test_a_program_that_reads_without_end_is_stopped_by_its_clock(programs):
    program = "from codeact_kernel.guest.inside.tool_calls import call_host\nwhile True: call_host('data', 'column', table=0, column=0, start=0, count=4)"
    run, _ = await given(programs, program, {"t": PEOPLE}, seconds=1)
    assert run.error.startswith("TimedOut")


def mixed() -> pd.DataFrame:
    made = pd.DataFrame({"x": [1.0, 5.0, 9.0], "z": [1j, 2j, 3j], "raw": [b"\xff", b"a", b"b"]})
    made["bin"] = pd.cut(made.x, [0, 6, 10])
    return made


ASKED = "To include it, convert it to text first, for example with .astype(str)."


async def test_a_column_that_cannot_go_in_is_left_out_and_named(programs):
    made = load_input(parse_input_names(["t"])[0], mixed(), Limits())
    assert list(made.notices) == [
        f"--in t: the column {name!r} was left out, because its values are not plain data. {ASKED}"
        for name in ("z", "raw")
    ]
    run, _ = await given(programs, "[t.columns, t[1]]", {"t": mixed()})
    assert run.value == [["x", "bin"], {"x": 5.0, "bin": "(0, 6]"}]


@pytest.mark.parametrize("kept", [1 << 20, 1])
async def test_so_it_is_in_a_result_and_the_user_hears_of_it(programs, kept):
    seen: list[Event] = []
    run, _ = await given(
        programs, "list(make())[:2]", tools={"make": mixed}, limits={"kept_bytes": kept}, emit=seen.append
    )
    assert run.value == [{"x": 1.0, "bin": "(0, 6]"}, {"x": 5.0, "bin": "(0, 6]"}]
    assert [str(event.text).partition(" was")[0] for event in seen if isinstance(event, Notice)] == [
        "A tool's result: the column 'z'", "A tool's result: the column 'raw'"
    ]  # fmt: skip


async def test_the_advice_is_one_that_the_library_of_the_table_knows(programs):
    table = pl.DataFrame({"a": [1], "raw": [b"\xff"]})
    (notice,) = load_input(parse_input_names(["t"])[0], table, Limits()).notices
    assert notice.endswith("To include it, convert it to text first.")


async def test_two_columns_of_one_name_are_refused_by_that_name_in_tables_of_every_library(programs):
    for table in (pa.table([[1], [2]], names=["a", "a"]), pd.DataFrame([[1, 2]], columns=["a", "a"])):
        with pytest.raises(UserError, match="--in t: two columns .*'a'.*: rename one of them"):
            load_input(parse_input_names(["t"])[0], table, Limits())
        run, _ = await given(programs, "make()", tools={"make": lambda table=table: table})
        assert str(run.error).endswith("rename one of them.")


async def test_a_table_of_which_nothing_can_go_in_is_refused(programs):
    with pytest.raises(UserError, match="--in t: column 'z': a value of type complex cannot be sent"):
        load_input(parse_input_names(["t"])[0], mixed()[["z"]], Limits())


async def test_labels_of_every_kind_are_columns(programs):
    sales = pd.DataFrame({"region": ["n", "s"], "year": [2025, 2026], "amount": [1, 2]})
    for frame, rows in [
        (sales.set_index("region", drop=False), [{"region": "n", "year": 2025, "amount": 1}]),
        (sales.set_index(["region", "year"]), [{"region": "n", "year": 2025, "amount": 1}]),
        (
            sales.groupby("region").agg({"amount": ["sum", "mean"]}),
            [{"region": "n", "amount_sum": 1, "amount_mean": 1.0}],
        ),
        (
            sales.pivot_table(index="region", columns="year", values="amount"),
            [{"region": "n", "2025": 1.0, "2026": None}],
        ),
        (pd.DataFrame.from_dict({1001: {"a": 1}}, orient="index"), [{"index": 1001, "a": 1}]),
    ]:
        run, _ = await given(
            programs, "[t[0], make()[0]]", {"t": frame.head(1)}, tools={"make": lambda frame=frame: frame.head(1)}
        )
        assert json.loads(json.dumps(run.value).replace("NaN", "null")) == [*rows, *rows]
