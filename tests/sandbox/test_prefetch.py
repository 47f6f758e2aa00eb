"""Calls of read-only tools in loops are in flight together, and nothing else about the program changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from codeact_kernel.access import FileMount
from codeact_kernel.capabilities.registry import CapabilitySet
from codeact_kernel.settings import Settings

from .conftest import EMULATED, Run, program

pytestmark = pytest.mark.asyncio(loop_scope="session")

ITEMS = [{"id": number, "kind": "ab"[number % 2], "parts": list(range(number % 3))} for number in range(5)]


class World:
    """Tools over a state: what `get` gives goes by what `put` did before."""

    def __init__(self) -> None:
        self.state: dict[str, int] = {}
        self.order: list[str] = []

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        async def items() -> list[dict[str, Any]]:
            return [dict(item) for item in ITEMS]

        async def get(key: Any, more: Any = 0) -> int:
            await asyncio.sleep(0)
            return self.state.get(str(key), 0) * 10 + len(str(key)) + int(more or 0)

        async def picky(key: Any) -> str:
            await asyncio.sleep(0)
            if key in (3, "b"):
                raise ValueError(f"not {key}")
            return f"{key}!"

        async def put(key: Any, value: Any = 1) -> int:
            self.state[str(key)] = self.state.get(str(key), 0) + int(value)
            return self.state[str(key)]

        return {"items": items, "get": get, "picky": picky, "put": put}


async def both(programs, text: str) -> tuple[Run, Run]:
    """The program as it would be without, and with calls made ahead; each in a world of its own."""
    plain = await programs.run(program(text), tools=World().tools)
    ahead = await programs.run(program(text), tools=World().tools, reads={"items", "get", "picky"})
    return plain, ahead


def what_was_called(run: Run) -> list[str]:
    return sorted(f"{call.name} {call.arguments} {call.line}" for call in run.calls)


SAME_CALLS = {
    "a loop with calls that need each other": """
        rows = []
        for item in items():
            total = 0
            base = get(item["id"])
            for part in item["parts"]:
                total += get(part, base)
            rows.append((item["id"], total))
        rows
    """,
    "calls of one statement, and of statements that do not need each other": """
        rows = []
        for item in items():
            one = get(item["id"])
            two = get(item["kind"])
            rows.append([get(one + two), picky(0)])
        rows
    """,
    "a comprehension": "[get(item['id']) for item in items()]",
    "comprehensions of every kind": """
        found = items()
        [
            {item["kind"]: get(item["kind"]) for item in found},
            sorted({get(item["id"]) for item in found if item["id"] != 2}),
            sum(get(item["id"]) for item in found),
            ",".join(str(get(item["kind"])) for item in found),
            [get(part) for item in found for part in item["parts"]],
        ]
    """,
    "a function of the program": """
        def total_of(item, start=1):
            total = start
            for part in item["parts"]:
                total += get(part)
            return total
        [total_of(item) for item in items()]
    """,
    "an item that is skipped": """
        rows = []
        for item in items():
            if item["kind"] == "a":
                continue
            rows.append(get(item["id"]))
        rows
    """,
    "items with their index, and pairs": """
        found = items()
        rows = [(index, get(item["id"])) for index, item in enumerate(found, 1)]
        for one, two in zip(found, rows):
            rows[one["id"]] = (two[0], get(two[1]))
        rows
    """,
    "a loop inside of a function": """
        def main(found):
            rows = []
            for item in found:
                rows.append(get(item["id"]))
            return rows
        main(items())
    """,
    "an item that the loop changes": """
        found = items()
        for item in found:
            item["id"] += 100
            item["got"] = get(item["id"])
        found
    """,
    "calls by call_tool": "[call_tool('get', key=item['id']) for item in items()]",
    "modules": """
        import math, json
        from datetime import date
        [get(math.floor(item["id"] / 2), date(2026, 1, 1 + item["id"]).day) for item in items()]
    """,
}


@pytest.mark.parametrize("text", SAME_CALLS.values(), ids=SAME_CALLS.keys())
async def test_calls_that_need_nothing_of_each_other_are_in_flight_together(programs, text: str):
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value
    assert what_was_called(ahead) == what_was_called(plain)
    assert {call.batch_size for call in plain.calls} == {1}
    assert max(call.batch_size for call in ahead.calls) > 1


ONE_BY_ONE = {
    "a call that changes something": """
        rows = []
        for item in items():
            rows.append(get(item["kind"]))
            put(item["kind"])
        rows
    """,
    "a function that calls such a tool": """
        def more(item):
            put(item["kind"])
        rows = []
        for item in items():
            rows.append(get(item["kind"]))
            more(item)
        rows
    """,
    "a loop that may end early": """
        for item in items():
            if get(item["id"]) > 0 and item["id"] == 1:
                break
        item
    """,
    "a search in a function": """
        def search():
            for item in items():
                if get(item["id"]):
                    return item
        search()
    """,
    "a loop that waits": """
        import time
        for item in items():
            get("state")
            time.sleep(0)
    """,
    "any and all, which stop when they know": "any(get(item['id']) for item in items())",
    "a while": """
        at = 0
        while at < 3:
            get(at)
            at += 1
    """,
    "calls that go by what came before": """
        last = 0
        for item in items():
            last = get(last)
        last
    """,
    "items that are there only once": "[get(key) for key in iter([1, 2, 3])]",
    "a tool whose name means something else": """
        def get(key):
            return key
        [get(item["id"]) for item in items()]
    """,
}


@pytest.mark.parametrize("text", ONE_BY_ONE.values(), ids=ONE_BY_ONE.keys())
async def test_other_calls_are_made_one_by_one_in_the_order_of_the_program(programs, text: str):
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value
    assert [(call.name, call.arguments) for call in ahead.calls] == [
        (call.name, call.arguments) for call in plain.calls
    ]
    assert {call.batch_size for call in ahead.calls} == {1}


async def test_the_exception_is_the_first_one_in_the_order_of_the_program(programs):
    text = """
        done = []
        for key in ["a", 3, "b", "c"]:
            done.append(picky(key))
    """
    plain, ahead = await both(programs, text)
    assert ahead.error == plain.error
    assert "not 3" in ahead.error
    assert ahead.traceback == plain.traceback


async def test_a_failure_can_be_handled_where_it_happens(programs):
    text = """
        done = []
        for key in ["a", 3, "b", "c"]:
            try:
                done.append(picky(key))
            except ToolFailed as error:
                done.append(str(error))
        done
    """
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value


@pytest.mark.smoke
async def test_what_a_tool_reads_is_never_older_than_the_last_change(programs):
    # The loop's own text shows no change: it comes from a function that only runs in one case.
    text = """
        def hidden(key):
            return call_tool("p" + "ut", key=key)
        seen = []
        change = {"now": hidden}
        for item in items():
            seen.append(get("x"))
            if item["id"] == 2:
                change["now"]("x")
        [seen, get("x")]
    """
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value


async def test_an_answer_is_not_kept_for_later(programs):
    text = """
        for item in items():
            if item["id"] > 2:
                get("x")
        put("x")
        get("x")
    """
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value


async def test_what_a_loop_did_not_come_to_is_asked_again_after_it(programs):
    text = """
        try:
            for key in [1, 2, 3]:
                get(key)
                key.no_such_method()
        except AttributeError:
            pass
        get(2)
    """
    plain, ahead = await both(programs, text)
    assert [call.arguments["key"] for call in plain.calls] == [1, 2]
    assert [call.arguments["key"] for call in ahead.calls] == [1, 2, 3, 2]


async def test_a_program_that_changes_its_list_on_the_way_sees_what_it_does(programs):
    text = """
        keys = ["a", "b"]
        rows = []
        for key in keys:
            rows.append(get(key))
            if len(keys) < 6:
                keys.append(key * 2)
        rows
    """
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value


async def test_results_belong_to_the_program_alone(programs):
    text = """
        rows = []
        for number in range(3):
            found = items()
            found[0]["id"] = found[0]["id"] + 7
            rows.append([get(found[0]["id"]), found[0]["id"]])
        rows
    """
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value


async def test_more_items_than_go_together_are_read_in_their_order(programs):
    plain, ahead = await both(programs, "[get(number) for number in range(700)]")
    assert ahead.value == plain.value
    assert [call.arguments["key"] for call in ahead.calls] == list(range(700))


class Writer:
    """Writes programs by chance, of what programs are made of."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def program(self) -> str:
        lines = ["out, memo, total = [], {}, 0", "found = items()", "keys = ['a', 'b', 3]"]
        lines += ["def helper(x, y=1):", "    z = get(x)", "    return z + y if z > y else get(z, y)"]
        for _ in range(self.random.randint(1, 3)):
            lines += self.statement(0, ["total"])
        return "\n".join([*lines, "[out, memo, total]"])

    def statement(self, depth: int, names: list[str]) -> list[str]:
        pick = self.random.choice
        if depth < 2 and self.random.random() < 0.6:
            name = f"v{depth}"
            over = pick(["found", "keys", "range(4)", "enumerate(keys)", "items()", "sorted(keys, key=str)", "memo"])
            body = [
                line for _ in range(self.random.randint(1, 4)) for line in self.statement(depth + 1, [*names, name])
            ]
            return [f"for {name} in {over}:", *(f"    {line}" for line in body)]
        value = self.value(names)
        return pick([
            [f"out.append({value})"],
            [f"total += len(str({value}))"],
            [f"w{depth} = {value}", f"out.append(w{depth})", f"out.append(get(str(w{depth})))"],
            [f"memo[str({value})] = {value}"],
            [f"if str({value}) not in memo:", f"    memo[str({value})] = get({self.name(names)})"],
            [f"if len(str({self.name(names)})) % 2:", f"    {pick(['continue', 'pass', 'break']) if depth else 'pass'}"],
            ["try:", f"    out.append(picky({self.name(names)}))", "except ToolFailed:", "    out.append('failed')"],
            [f"out.append([{self.value(['u'])} for u in {pick(['keys', 'found', 'range(3)'])}])"],
            [f"out.append(sum(get(u) for u in {pick(['keys', 'range(3)'])}))"],
            [f"put({self.name(names)})"] if self.random.random() < 0.3 else [f"out.append(helper({self.name(names)}))"],
            [f"print({value})"],
            ["out.append(picky(3))"] if self.random.random() < 0.2 else ["keys[0] = str(len(out) % 3)"],
        ])  # fmt: skip

    def name(self, names: list[str]) -> str:
        return self.random.choice([*names, "total", "len(out)", "'k'"])

    def value(self, names: list[str]) -> str:
        name = self.name(names)
        return self.random.choice(
            [f"get({name})", f"get({name}, len(out))", f"get(str({name}), get('x'))", f"str({name})", f"helper({name})"]
        )


@pytest.mark.parametrize("seeds", [range(start, start + 20) for start in range(0, 20 if EMULATED else 40, 20)], ids=str)
async def test_any_program_comes_to_the_same_with_and_without(programs, seeds: range):
    overlapping = 0
    for seed in seeds:
        text = Writer(seed).program()
        plain, ahead = await both(programs, text)
        assert ahead.outcome.failure == plain.outcome.failure, text
        assert ahead.outcome.value == plain.outcome.value, text
        assert ahead.stdout == plain.stdout, text
        changes = [[call.arguments for call in run.calls if call.name == "put"] for run in (plain, ahead)]
        assert changes[0] == changes[1], text
        overlapping += any(call.batch_size > 1 for call in ahead.calls)
    assert overlapping > 5


# -- what hostile or merely large programs would make of it ------------------------------------------------------------


async def test_large_results_do_not_pile_up(programs):
    async def fetch(day: int) -> list[int]:
        return list(range(20_000 + day))

    tools = {"fetch": fetch}
    text = "total = 0\nfor day in range(60):\n    total += len(fetch(day))\ntotal"
    run = await programs.run(text, tools=tools, reads=tools)
    assert run.value == sum(20_000 + day for day in range(60))


async def test_a_change_that_was_submitted_before_counts_from_when_it_is_waited_for(programs):
    class Slow(World):
        @property
        def tools(self) -> dict[str, Callable[..., Any]]:
            put = super().tools["put"]

            async def later(key: Any) -> int:
                await asyncio.sleep(0.1)
                return await put(key)

            return super().tools | {"put": later}

    text = program("""
        change, rows = put.submit("x"), []
        for number in range(4):
            if number == 2:
                change.result()
            rows.append(get("x"))
        rows
    """)
    run = await programs.run(text, tools=Slow().tools, reads={"get"})
    assert run.value == [1, 1, 11, 11]


SAME = {
    "a module that the program changes": """
        import math
        math.n, rows = 0, []
        for item in items():
            math.n = math.n + 1
            rows.append(get(item["id"]))
        [math.n, rows]
    """,
    "how decimals are counted": """
        import decimal
        rows = []
        for item in items():
            decimal.getcontext().prec = item["id"] + 5
            rows.append(get(str(decimal.Decimal(1) / 3)))
        rows
    """,
    "a module that is in another one": """
        import statistics
        for item in items():
            statistics.sys.stdout.write(f"{item['id']}\\n")
            get(item["id"])
    """,
    "a call_tool of the program's own": """
        def call_tool(name, key):
            return [name, key]
        [call_tool("get", item["id"]) for item in items()]
    """,
    "a time that is another one each time": """
        from datetime import datetime
        len([get(key, datetime.now().year * 0) for key in range(4)])
    """,
    "pages, of which nobody knows how many": """
        rows = []
        for item in items():
            for page in range(2_000_000):
                found = get(page)
                if page > item["id"]:
                    break
                rows.append(found)
        len(rows)
    """,
    "a long loop with few calls": """
        count = 0
        for number in range(300_000):
            if number % 100_000 == 0:
                count += get(number)
        count
    """,
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME.keys())
async def test_the_program_and_its_calls_are_the_same_with_and_without(programs, text: str):
    plain, ahead = await both(programs, text)
    assert (ahead.outcome.value, ahead.outcome.failure) == (plain.outcome.value, plain.outcome.failure)
    assert (ahead.stdout, ahead.stderr) == (plain.stdout, plain.stderr)
    assert what_was_called(ahead) == what_was_called(plain)


async def test_what_cannot_be_foreseen_is_given_up_soon(programs):
    text = """
        known = {"k": 0}
        alias, rows = known, []
        for number in range(200):
            alias["k"] += 1
            rows.append(get(known["k"]))
        rows[-1]
    """
    plain, ahead = await both(programs, text)
    assert ahead.value == plain.value
    assert len(ahead.calls) < len(plain.calls) + 60


async def test_what_the_program_writes_itself_counts_as_a_change(programs, tmp_path):
    (tmp_path / "a.txt").write_text("start")
    capabilities = CapabilitySet(
        Settings(file_mounts=(FileMount(tmp_path, "/data", "rw"),)), [], [], lambda event: None
    )
    tools = {"peek": lambda name: (tmp_path / name).read_text()}
    text = program("""
        from pathlib import Path
        seen = []
        for number in range(3):
            Path("/input/data/a.txt").write_text(str(number))
            seen.append(peek("a.txt"))
        seen
    """)
    async with programs.turn() as turn:
        run = await turn.run(text, tools=tools, reads=tools, capabilities=capabilities)
    assert run.value == ["0", "1", "2"]


async def test_a_program_that_imports_asyncio_has_its_calls_made_ahead_too(programs):
    text = program("import asyncio\n[get(item) for item in range(4)]")
    run = await programs.run(text, tools=World().tools, reads={"get"})
    assert run.value == [1, 1, 1, 1]
    assert {call.batch_size for call in run.calls} == {4}
