"""A tool's result is what it is whatever its size: a list that stays with the host at first is a list like any other."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from codeact_kernel.capabilities.registry import CapabilitySet
from codeact_kernel.settings import Limits, Settings

from ..sandbox.conftest import Programs, Run, program

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 2_000
LIMITS = Limits(kept_bytes=1 << 14)
"""So that a hundred rows are a small result, and these are a large one."""


async def run(programs: Programs, text: str, **tools: Callable[..., Any]) -> Run:
    capabilities = CapabilitySet(Settings(limits=LIMITS), [], (), lambda event: None)
    return await programs.run(program(text), capabilities=capabilities, tools=tools)


def orders(count: int = MANY) -> list[dict[str, Any]]:
    return [{"qty": number % 7, "price": number / 4, "tags": [number]} for number in range(count)]


async def test_rows_can_be_changed_and_what_is_changed_stays(programs):
    made = await run(
        programs,
        """
        rows = orders()
        for row in rows: row["total"] = row["qty"] * row["price"]
        rows[0]["tags"].append("x")
        [sum(row.get("total", 0) for row in rows), rows[0]["tags"], rows["total"][5], rows.columns]
        """,
        orders=orders,
    )
    total = sum(row["qty"] * row["price"] for row in orders())
    assert made.value == [total, [0, "x"], 5 * 1.25, ["qty", "price", "tags", "total"]]


@pytest.mark.parametrize(
    "look",
    [
        "isinstance(r, list)",
        "[len(r if isinstance(r, list) else [r]), bool(r), r[-1], r[3:5], r[::-500]]",
        "__import__('json').dumps(r)[:200] + __import__('json').dumps(r, indent=1)[-200:]",
        "sorted(r, key=lambda row: -row['price'])[:2]",
        "r.sort(key=lambda row: row['qty']) or r[:3]",
        "len(r + [{'a': 1}]) + len([1] + r) + len(r * 2) + len([*r])",
        "(c := r.copy()).append(1) or [len(c), len(r), type(c).__name__]",
        "[r.pop(), r.pop(0), len(r)]",
        "r.__setitem__(0, 'first') or r[:2]",
        "r.reverse() or r.extend([5]) or r.append(6) or r.insert(0, 7) or [r[0], r[1], r[-2:], len(r)]",
        "[{'qty': 1, 'price': .25, 'tags': [1]} in r, 'qty' in r, r.index({'qty': 1, 'price': .25, 'tags': [1]}), r.count(5)]",
        "r == list(r) and list(r) == r and not r != list(r)",
        "__import__('copy').deepcopy(r)[-1]",
        "[first, second, *rest] = r; len(rest)",
        "tuple(r)[1], len(set(map(str, r))), next(iter(reversed(r)))",
        "__import__('random').Random(1).sample(r, 2)",
        "del r[1:]; r",
        "take(r[:2]) + take(r[-1])",
        "r.clear() or r",
        "r += [1]; r[-1]",
        "list(zip(r, range(2)))",
        "[type(r[0]).__name__, type(r[0:1]).__name__]",
        "from dataclasses import asdict, make_dataclass; asdict(make_dataclass('A', ['rows'])(r))['rows'][1]",
        "type(r)(row['qty'] for row in r)[:2]",
    ],
)
async def test_it_does_what_a_small_list_does(programs, look):
    *before, last = look.split("; ")
    text = "\n".join(["r = orders()", *before, last])
    seen = await run(programs, text, orders=orders, take=lambda value: len(value))
    native: dict[str, Any] = {"orders": orders, "take": lambda value: len(value)}
    exec("\n".join(["r = orders()", *before, f"value = {last}"]), native)
    expected = native["value"]
    assert seen.value == (list(expected) if isinstance(expected, tuple) else expected) or seen.value == [
        list(one) if isinstance(one, tuple) else one for one in expected
    ]


@pytest.mark.parametrize(
    "value", [list(range(MANY)), [0.5, math.inf] * MANY, ["a", None] * MANY, [[1], {"a": 2}] * MANY]
)
async def test_a_list_of_anything_else_is_a_list(programs, value):
    made = await run(programs, "v = make()\n[type(v).__name__, v == list(v), v[1], v]", make=lambda: value)
    assert made.value == ["list", True, value[1], value]


COLUMNS: dict[str, Any] = {
    "d": pd.Timestamp("2024-01-01"),
    "f": math.nan,
    "inf": math.inf,
    "zone": pd.Timestamp("2024-06-01 00:30", tz="Europe/Berlin"),
    "gap": pd.NaT,
    "took": pd.Timedelta("90s"),
    "big": 2**70,
    "any": math.nan,
    "text": "é",
    "list": [1, None],
    "period": pd.Period("2026-01", freq="M"),
    "interval": pd.Interval(0, 1),
    "date": dt.date(2026, 1, 2),
    "decimal": Decimal("1.5"),
}


def frame(count: int) -> pd.DataFrame:
    made = pd.DataFrame({name: pd.Series([value] * count) for name, value in COLUMNS.items()})
    made["any"] = made["any"].astype(object)
    made["code"] = pd.Series(["x"] * count, dtype="category")
    made["maybe"] = pd.array([1, None] * (count // 2), dtype="Int64")
    return made.set_index(pd.Index(range(1_000, 3 * count + 1_000, 3), name="id"))


@pytest.mark.parametrize(
    "make",
    [
        frame,
        lambda count: frame(count).to_dict("records"),
        lambda count: pl.DataFrame(
            {
                "f": [1.5, math.nan, None, math.inf] * (count // 4),
                "d": [dt.timedelta(seconds=90)] * count,
                "p": [Decimal("1.5")] * count,
                "l": [[1, 2]] * count,
                "s": [{"a": 1}] * count,
                "t": pl.Series([dt.datetime(2024, 6, 1, 0, 30)] * count).dt.replace_time_zone("Europe/Berlin"),
            }
        ),
        lambda count: pa.table(
            {
                "p": pa.array([Decimal("1.5"), None] * (count // 2)),
                "d": pa.array([dt.timedelta(seconds=90)] * count),
                "l": [[1, 2]] * count,
                "s": [{"a": 1}] * count,
                "t": pa.array([dt.datetime(2024, 6, 1, 0, 30)] * count, pa.timestamp("us", "Europe/Berlin")),
            }
        ),
    ],
    ids=["pandas", "rows", "polars", "pyarrow"],
)
async def test_values_are_the_same_in_a_small_and_in_a_large_result(programs, make):
    text = "small, large = make(count=4), make(count=2_000)\n[repr(small), repr(list(large[:4])), len(large)]"
    small, large, length = (await run(programs, text, make=lambda count: make(count))).value
    assert small == large
    assert length == MANY


async def test_missing_floats_and_times_of_a_frame_are_what_they_are_in_a_small_one(programs):
    text = """
    [[sum(1 for r in make(count=n) if r["f"] is None) for n in (2, 2_000)], {r["d"][:7] for r in make(count=2_000)},
     {r["zone"] for n in (2, 2_000) for r in make(count=n)}, {r["inf"] for r in make(count=2_000)}]
    """
    made = await run(programs, text, make=frame)
    assert made.value == [[2, 2_000], ["2024-01"], ["2024-06-01T00:30:00+02:00"], [math.inf]]


async def test_what_is_too_large_for_dicts_can_be_read_and_says_so_when_it_is_changed(programs):
    text = """
    import codeact_kernel.guest.inside.data.rows as codeact_rows
    codeact_rows._MAX_CELLS = 1_000
    rows = orders()
    seen = []
    for change in (lambda: rows[0].update(a=1), lambda: rows.append(1), lambda: rows[0].__setitem__("a", 1), rows.sort):
        try: change()
        except TypeError as error: seen.append(str(error).partition(":")[0])
    [len(rows), sum(row["qty"] for row in rows), rows[1], rows[:1], isinstance(rows, list), sorted(set(seen)), len(seen)]
    """
    made = await run(programs, text, orders=orders)
    assert made.value == [
        MANY, sum(row["qty"] for row in orders()), orders()[1], orders()[:1], True,
        ["this result is too large to be changed in place", "this result is too large to be changed or copied as a whole"], 4,
    ]  # fmt: skip
