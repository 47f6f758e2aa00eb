"""Values in both directions: what a tool may return, a program may pass, and each arrives as what it was."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import ipaddress
import math
from collections.abc import AsyncGenerator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.types import TurnResult

got: list[Any] = []


class Status(str, enum.Enum):  # noqa: UP042 - what people write
    CLOSED = "closed"


class Corner(enum.Enum):
    START = (0, 0)
    DAY = dt.date(2026, 1, 2)


class Level(enum.Enum):
    LOW = 1


def take(value: Any = None) -> str:
    got.append(value)
    return type(value).__name__


def set_status(status: Literal["open", "closed"]) -> str:
    return f"now {status}"


def wei() -> int:
    return 15 * 10**20


def pay(amount: int) -> int:
    return amount


def price(low: float = 0, high: float | None = None) -> list:
    return [low, high]


def how_long() -> dt.timedelta:
    return dt.timedelta(minutes=90)


def wait_for(length: dt.timedelta) -> str:
    return str(length)


def day(day: dt.date) -> dt.date:
    return day


def at(moment: dt.datetime) -> dt.datetime:
    return moment


def read(path: Path) -> str:
    return f"{type(path).__module__.partition('.')[0]} {path}"


def raw(data: bytes) -> int:
    return len(data)


def go(to: Corner, seen: list[Corner] = []) -> str:  # noqa: B006 - nobody changes it
    return f"{to.name} {len(seen)}"


def curve(points: dict[float, float], levels: dict[Level, int] | None = None, days: dict[dt.date, int] | None = None):
    return [repr([points, levels]), *(day.isoformat() for day in days or {})]


def split(share: Fraction) -> Fraction:
    return share


def reach(address: ipaddress.IPv4Address) -> ipaddress.IPv4Address:
    return address


def give(name: str) -> Any:
    return RESULTS[name]


RESULTS: dict[str, Any] = {
    "status": {Status.CLOSED: Status.CLOSED},
    "big": -(2**100),
    "floats": [math.inf, -math.inf, {"x": math.nan}],
    "bytes": b"caf\xc3\xa9",
    "range": range(3),
    "path": Path("/a/b"),
    "fractions": [Fraction(1, 2), Fraction(1, 3)],
    "text": collections.UserString("x"),
    "address": ipaddress.ip_address("10.0.0.1"),
    "corner": Corner.START,
}

TOOLS = [take, set_status, wei, pay, price, how_long, wait_for, day, at, read, raw, go, curve, split, reach, give]


async def ask(*programs: str) -> AsyncGenerator[TurnResult]:
    """Run the programs one after another, in one session: a sandbox for each would take longer than all of them."""
    model = ScriptedModel([f"```python\n{program}\n```" for program in programs])
    async with Session(tools=TOOLS, model=model) as session:
        for _ in programs:
            got.clear()
            yield await session.ask("Go.", settings=Settings(max_retries=0))


STATUS = "from enum import Enum\nclass Status(str, Enum):\n    CLOSED = 'closed'\n"
DATES = "from datetime import *\n"


ARRIVING = [
    (STATUS + "set_status(Status.CLOSED)", "now closed"),
    (STATUS + "take({Status.CLOSED: [Status.CLOSED]})\nStatus.CLOSED", "closed"),
    ("wei() * 2", 3 * 10**21),
    ("max(wei(), 5)", 15 * 10**20),
    ("pay(amount=15 * 10**20) + 1", 15 * 10**20 + 1),
    ("price(low=float('-inf'))", [-math.inf, None]),
    ("price(0, high=float('inf'))", [0, math.inf]),
    ("[type(x).__name__ for x in price(5, 2.5)]", ["int", "float"]),
    ("wait_for(how_long())", "1:30:00"),
    (DATES + "wait_for(timedelta(days=-1, seconds=1.5))", "-1 day, 0:00:01.500000"),
    (DATES + "day(datetime(2026, 1, 2))", "2026-01-02"),
    (DATES + "day(datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=14))))", "2026-01-02"),
    (DATES + "at(date(2026, 1, 2))", "2026-01-02T00:00:00"),
    (DATES + "at(datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))))", "2026-01-02T03:00:00+02:00"),
    ("from pathlib import Path\nread(Path('/a'))", "pathlib /a"),
    ("raw(b'abc')", 3),
    ("take(range(3))", "list"),
    ("[give('big') == -(2**100), give('bytes'), give('range'), give('path')]", [True, "café", [0, 1, 2], "/a/b"]),
    ("give('status')", {"closed": "closed"}),
    ("import math\na, b, c = give('floats')\n[a == math.inf, b < 0, math.isnan(c['x'])]", [True, True, True]),
    ("max([1.0, float('inf')])", math.inf),
    ("go(give('corner'), seen=['2026-01-02', [0, 0]])", "START 2"),
    ("curve({0.5: 1, 2: 3.5}, levels={1: 2})", ["[{0.5: 1, 2: 3.5}, {<Level.LOW: 1>: 2}]"]),
    (DATES + "curve({'1e-3': 1}, days={date(2026, 1, 2): 1})", ["[{0.001: 1}, None]", "2026-01-02"]),
    (
        "from fractions import Fraction\n[split(Fraction(1, 3)), split(Fraction(3, 4)), split(give('fractions')[1])]",
        ["1/3", 0.75, "1/3"],
    ),
    ("import ipaddress\nreach(ipaddress.ip_address('10.0.0.1')) + reach(give('address'))", "10.0.0.110.0.0.1"),
    ("import collections\ntake([collections.UserString('x'), collections.deque([1])])", "list"),
]
REFUSED = [
    ("pay(float('nan'))", "argument amount should be a valid integer, not nan"),
    ("pay(10**5000)", "an integer of more than 4,000 digits cannot be sent"),
    ("raw(b'\\xff')", "bytes that are not UTF-8 text have no JSON form; pass text, for example base64"),
    ("take({(1, 2): 3})", "a dict with a tuple as key has no JSON form"),
    ("take({'codeact:float': 'inf'})", "a dict with the only key 'codeact:float'"),
    ("curve({'a': 1})", "argument points['a']['[key]'] should be a valid number, not 'a' (str)"),
    ("take(map(str, [1]))", "a map has no JSON form; pass list(...) of it"),
    (DATES + "day(datetime(2026, 1, 2, 3))", "argument day should be a valid date"),
]


async def test_a_value_arrives_as_what_it_was():
    values = iter(ARRIVING)
    async for result in ask(*(program for program, _ in ARRIVING)):
        program, expected = next(values)
        assert (program, result.error, result.value) == (program, None, expected)
        assert type(result.value) is type(expected)


async def test_what_a_tool_returns_it_gets_back():
    names = iter(RESULTS)
    async for result in ask(*(f"take(give({name!r}))" for name in RESULTS)):
        name = next(names)
        plain = {"status": {"closed": "closed"}, "bytes": "café", "range": [0, 1, 2], "path": "/a/b"}
        plain |= {"fractions": [0.5, "1/3"], "text": "x", "address": "10.0.0.1", "corner": [0, 0]}
        assert (result.error, repr(got)) == (None, repr([plain.get(name, RESULTS[name])]))


async def test_what_has_no_form_is_refused_by_a_sentence():
    errors = iter(REFUSED)
    async for result in ask(*(program for program, _ in REFUSED)):
        assert result.error is not None
        assert next(errors)[1] in result.error.message
        assert got == []


async def test_a_number_that_python_does_not_write_is_still_named():
    (result,) = [result async for result in ask("import math\nmath.factorial(2000)")]
    assert result.error is None
    assert result.text is not None
    assert result.text.startswith("<an integer of 19,053 bits")


async def test_rows_that_are_handed_back_have_enums_by_value():
    program = f"```python\n{STATUS}rows = [{{Status.CLOSED: 1, 'who': Status.CLOSED}}] * 2\nshow(rows)\n```"
    async with Session(tools=[], model=ScriptedModel([program])) as session:
        result = await session.ask("Go.", outputs=["rows"])
    assert result.outputs["rows"].records() == [{"closed": 1, "who": "closed"}] * 2
    assert result.shown[0].data == {"columns": ["closed", "who"], "rows": [[1, "closed"]] * 2, "total": 2}


async def test_infinity_is_handed_back_as_what_it_was():
    program = (
        "```python\na = [1.0, float('inf')]\nb = {'max': -a[1]}\nrows = [{'x': float('inf'), 'y': [a[1]]}] * 2\n```"
    )
    async with Session(tools=[], model=ScriptedModel([program])) as session:
        outputs = (await session.ask("Go.", outputs=["a", "b", "rows"])).outputs
    assert outputs["a"] == [1.0, math.inf]
    assert outputs["b"] == {"max": -math.inf}
    assert [*outputs["rows"].columns["x"], *outputs["rows"].columns["y"]] == [
        math.inf,
        math.inf,
        [math.inf],
        [math.inf],
    ]
