"""What every backend does with a program: seen from the host, through the pool, with the tools answered for real."""

from __future__ import annotations

import json
import math
import re
import socket
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from codeact_kernel.capabilities.registry import CapabilitySet
from codeact_kernel.settings import Settings
from codeact_kernel.types import JSONValue

from .conftest import EMULATED, LIMITS, Run, answers, program

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_COMPONENT = "The science guest is no component, so it has none of these interfaces."


# -- output and calls ----------------------------------------------------------------------------------------------------


async def test_output_and_calls_arrive_in_the_order_of_the_program(programs):
    run = await programs.run(
        program("""
        import sys
        print("one", end=" ")
        print("two")
        add(1)
        print("three", file=sys.stderr)
        print("four")
        sys.stdout.write("five")
        call_tool("echo", value="six")
        print("seven")
        """)
    )
    seen = [(kind, getattr(what, "name", what)) for kind, what in run.seen]
    assert seen == [
        ("stdout", "one two\n"),
        ("call", "add"),
        ("stderr", "three\n"),
        ("stdout", "four\nfive"),
        ("call", "echo"),
        ("stdout", "seven\n"),
    ]


async def test_a_call_carries_its_arguments_its_number_and_its_line(programs):
    run = await programs.run("add(1)\n\ndef deeper():\n    return call_tool('add', a=2, b=3)\ndeeper()")
    assert [(call.id, call.name, call.arguments, call.line) for call in run.calls] == [
        (1, "add", {"a": 1}, 1),
        (2, "add", {"a": 2, "b": 3}, 4),
    ]
    assert run.value == 5


async def test_a_program_can_print_what_no_utf8_can_hold(programs):
    run = await programs.run("import sys\nprint('a\\ud800b')\nprint('\\udfff', file=sys.stderr)\nprint('é😀')")
    assert (run.stdout, run.stderr) == ("a\\ud800b\né😀\n", "\\udfff\n")


async def test_a_hundred_megabytes_of_prints_keep_head_and_tail_and_say_what_is_left_out(programs):
    megabytes = 10 if EMULATED else 100
    run = await programs.run(
        f"print('HEAD')\nfor _ in range({megabytes}):\n    print('x' * 10**6, end='')\nprint()\nprint('TAIL')\nlen('done')"
    )
    assert run.value == 4
    assert run.stdout.startswith("HEAD\nxxx")
    assert run.stdout.endswith("xxx\nTAIL\n")
    assert len(run.stdout) <= LIMITS.output_characters + 100
    (left_out,) = re.findall(r"… ([\d,]+) characters left out …", run.stdout)
    assert int(left_out.replace(",", "")) + run.stdout.count("x") == pytest.approx(megabytes * 10**6, abs=100)


async def test_lines_printed_slowly_after_a_burst_are_seen_although_the_program_is_killed(programs):
    run = await programs.run(
        program("""
        for number in range(200):
            print("quick", number)
        import time
        for number in range(8):
            end = time.time() + 0.1
            while time.time() < end: pass
            print("slow", number)
        while True: pass
        """),
        seconds=8 if EMULATED else 2,
    )
    assert run.error.startswith("TimedOut")
    assert "quick 199\n" in run.stdout
    assert "slow 3\n" in run.stdout


async def test_what_the_garbage_collector_ends_cannot_come_between_the_pieces_of_a_call(programs):
    run = await programs.run(
        program("""
        import gc
        class Loud:
            def __init__(self):
                self.me = self
            def __del__(self):
                print("ended")
                add(1)
        gc.set_threshold(1)
        got = []
        for number in range(20):
            Loud()
            got.append(len(echo("x" * 100_000)))
        gc.collect()
        got
        """)
    )
    assert run.value == [100_000] * 20
    assert run.stdout == "ended\n" * 20


async def test_a_flood_of_short_lines_on_both_streams_is_bounded_and_keeps_both_tails(programs):
    lines = 30_000
    run = await programs.run(
        program(f"""
        import sys
        for number in range({lines}):
            print("out of line", number)
            print("err of line", number, file=sys.stderr)
        """)
    )
    assert run.stdout.startswith("out of line 0\nout of line 1\n")
    assert run.stdout.endswith("out of line 29999\n")
    assert run.stderr.endswith("err of line 29999\n")
    assert len(run.stdout) + len(run.stderr) <= 1.5 * LIMITS.output_characters + 200


# -- the value of the last expression ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 1", 2),
        ("'é😀'", "é😀"),
        ("True", True),
        ("-0.5", -0.5),
        ("[1, (2, [None])]", [1, [2, [None]]]),
        ("{'a': 1, 2: 'b', None: 'c'}", {"a": 1, "2": "b", "null": "c"}),
        ("[{'user': 'ann', 'total': 3.5}, {'user': 'bob', 'total': 2}]", None),
        ("{3, 1, 2}", [1, 2, 3]),
        ("{'b': 1}.keys()", ["b"]),
        ("2 ** 62", 2**62),
        ("2 ** 70", 2**70),
        ("[float('nan'), float('inf'), -float('inf')]", [math.nan, math.inf, -math.inf]),
        ("from enum import Enum\nclass S(str, Enum):\n    A = 'a'\n[S.A, {S.A: 1}]", ["a", {"a": 1}]),
        ("from pathlib import Path\n[Path('/a/b'), range(3), b'text']", ["/a/b", [0, 1, 2], "text"]),
        ("class A(str):\n    def __str__(self):\n        raise KeyError\nA('x')", "x"),
        ("from decimal import Decimal\n[Decimal('1.5'), Decimal('0.1000000000000000000001')]", None),
        ("import datetime as d\nd.datetime(2026, 1, 2, 3, 4, 5, tzinfo=d.timezone.utc)", "2026-01-02T03:04:05+00:00"),
        ("import datetime as d\n[d.date(2026, 1, 2), d.time(3, 4), d.timedelta(minutes=2)]", None),
        ("from collections import namedtuple\nnamedtuple('P', 'x y')(1, 2)", {"x": 1, "y": 2}),
        ("from collections import Counter, deque\n[Counter('aab'), deque([1, 2])]", [{"a": 2, "b": 1}, [1, 2]]),
        (
            "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: list\nP(1, [2])",
            {"x": 1, "y": [2]},
        ),
        ("from enum import Enum\nclass E(Enum):\n    A = 'a'\n[E.A]", ["a"]),
        ("import uuid\nuuid.UUID(int=1)", "00000000-0000-0000-0000-000000000001"),
    ],
)
async def test_the_value_of_the_last_expression_comes_as_json(programs, text, value):
    expected = {
        "[{": [{"user": "ann", "total": 3.5}, {"user": "bob", "total": 2}],
        "from decimal": [1.5, "0.1000000000000000000001"],
        "import datetime as d\n[": ["2026-01-02", "03:04:00", 120.0],
    }
    if value is None:
        (value,) = [known for start, known in expected.items() if text.startswith(start)]
    run = await programs.run(text)
    assert json.dumps(run.value) == json.dumps(value)
    assert run.outcome.is_json
    assert run.outcome.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("b'\\xffabc'", "b'\\xffabc'"),
        ("object", "<class 'object'>"),
        ("{(1, 2): 3}", "{(1, 2): 3}"),
        ("circle = []\ncircle.append(circle)\ncircle", "[[...]]"),
        ("'a\\ud800'", "'a\\ud800'"),
        ("class A:\n    def __repr__(self):\n        raise ValueError\nA()", "<A whose repr raises ValueError>"),
        (
            "class A:\n    def __repr__(self):\n        raise KeyboardInterrupt\nA()",
            "<A whose repr raises KeyboardInterrupt>",
        ),
    ],
)
async def test_a_value_that_is_no_json_comes_as_its_repr(programs, text, shown):
    run = await programs.run(text)
    assert (run.value, run.outcome.is_json, run.outcome.text) == (None, False, shown)


ENDINGS: dict[str, tuple[str, JSONValue]] = {
    "assignment": ("result = add(1, 2)", 3),
    "annotated assignment": ("result: int = add(1, 2)", 3),
    "augmented assignment": ("total = 1\ntotal += 2", 3),
    "several names": ("a, (b, *c) = 1, (2, 3, 4)", [1, [2, [3, 4]]]),
    "one value for two names": ("a = b = 3", 3),
    "an item": ("report = {'n': 1}\nreport['total'] = 2", {"n": 1, "total": 2}),
    "a branch": ("if add(1, 2) > 2:\n    'big'\nelse:\n    'small'", "big"),
    "another branch": ("if add(1, 2) > 5:\n    'big'\nelif add(1) == 2:\n    found = 'small'", "small"),
    "no branch": ("'before'\nif add(1, 2) > 5:\n    'big'", None),
    "try": ("try:\n    {'total': add(1)}\nexcept ToolFailed as error:\n    f'no: {error}'", {"total": 2}),
    "except": ("try:\n    fail('why')\nexcept ToolFailed as error:\n    f'no: {error}'", "no: ValueError: why"),
    "else": ("try:\n    found = 1\nexcept KeyError:\n    0\nelse:\n    found + 1\nfinally:\n    print('end')", 2),
    "except*": ("try:\n    raise ExceptionGroup('', [KeyError()])\nexcept* KeyError:\n    'key'", "key"),
    "with": (
        "import contextlib\nwith contextlib.suppress(KeyError):\n    with contextlib.nullcontext():\n        3",
        3,
    ),
    "match": ("match add(1, 2):\n    case 3: 'yes'\n    case _: 'no'", "yes"),
    "main guard": ("def main():\n    return add(1, 2)\nif __name__ == '__main__':\n    main()", 3),
    "main guard of a coroutine": ("async def main():\n    return add(1, 2)\nif __name__ == '__main__':\n    main()", 3),
    "coroutine": ("async def main():\n    return await add(1, 2)\nmain()", 3),
    "assigned coroutine": ("async def main():\n    return await add(1, 2)\nresult = main()", 3),
    "coroutine in an async program": ("one = await add(0)\nasync def f():\n    return await add(one)\nf()", 2),
    "coroutines": ("async def f(n):\n    return await add(n)\n[f(1), f(2)]", [2, 3]),
    "coroutines in a dict": ("async def f(n):\n    return await add(n)\n{'a': f(1), 'b': f(2)}", {"a": 2, "b": 3}),
    "async generator": ("async def f():\n    yield await add(1)\n    yield 5\nf()", [2, 5]),
    "submitted calls": ("[add.submit(n) for n in (1, 2)]", [2, 3]),
    "map": ("map(lambda n: add(n), [1, 2])", [2, 3]),
    "generator": ("(add(n) for n in [1, 2])", [2, 3]),
    "assigned generator": ("found = (add(n) for n in [1, 2])", [2, 3]),
    "filter": ("filter(None, [0, 1])", [1]),
    "zip": ("zip('ab', [1, 2])", [["a", 1], ["b", 2]]),
    "enumerate": ("enumerate('ab')", [[0, "a"], [1, "b"]]),
    "reversed": ("reversed([1, 2])", [2, 1]),
    "groupby": ("import itertools\nitertools.groupby('aab')", [["a", ["a", "a"]], ["b", ["b"]]]),
    "inside a dict": ("{'ids': map(int, '12'), 'n': [zip('a', 'b')]}", {"ids": [1, 2], "n": [[["a", "b"]]]}),
    "views of a dict": ("[{'a': 1}.items(), {'a': map(int, '1')}.values()]", [[["a", 1]], [[1]]]),
    "range": ("[range(3), range(0, 9, 4)]", [[0, 1, 2], [0, 4, 8]]),
    "path": ("from pathlib import Path\n{'at': Path('/input/a.csv')}", {"at": "/input/a.csv"}),
    "mapping proxy": ("import types\ntypes.MappingProxyType({'a': range(1)})", {"a": [0]}),
    "user dict": ("from collections import UserDict, UserList\nUserDict(a=UserList([1]))", {"a": [1]}),
    "chain map": ("from collections import ChainMap\nChainMap({'a': 1}, {'b': 2})", {"b": 2, "a": 1}),
    "rows of a csv": ("import csv\ncsv.DictReader(['a,b', '1,2'])", [{"a": "1", "b": "2"}]),
    "a comment after it": ("3\n# that is all", 3),
    "an attribute": ("import types\nreport = types.SimpleNamespace()\nreport.total = add(1)", 2),
    "items of one dict": ("d = {}\nd['a'], d['b'] = 1, 2", {"a": 1, "b": 2}),
    "a list that is sorted": ("rows = [2, 1]\nrows.sort()", [1, 2]),
    "a dict that is updated": ("found = {}\nfound.update(n=add(1))", {"n": 2}),
    "else of a for": ("for n in [1, 2]:\n    if n > 5: break\nelse:\n    'none over 5'", "none over 5"),
    "else of a while": ("n = 0\nwhile n < 2: n += 1\nelse: n", 2),
    "coroutines beside values": (
        "async def f(n):\n    return await add(n)\n{'n': [f(1), 5], 'm': 1}",
        {"n": [2, 5], "m": 1},
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass Row:\n    ids: object\n[Row(map(int, '12')), Row([1])]",
        [{"ids": [1, 2]}, {"ids": [1]}],
    ),
    "a coroutine in a named tuple": (
        "from collections import namedtuple\nRow = namedtuple('Row', 'a b')\nasync def f():\n    return await add(1)\n"
        "Row(1, f())",
        {"a": 1, "b": 2},
    ),
    "a map of coroutines": ("async def f(n):\n    return await add(n)\nmap(f, [1, 2])", [2, 3]),
    "an async generator in a list": ("async def f():\n    yield await add(1)\n[f()]", [[2]]),
    "futures": (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()\n"
        "{n: pool.submit(add, n) for n in (1, 2)}",
        {"1": 2, "2": 3},
    ),
    "a function that nobody called": ("def main():\n    return add(1)\nmain", None),
    "a stream": ("import sys\nsys.stdout = sys.__stdout__", None),
}


@pytest.mark.parametrize(("text", "value"), ENDINGS.values(), ids=ENDINGS)
async def test_the_value_is_that_of_the_last_statement_and_never_a_lazy_one(programs, text, value):
    run = await programs.run(text)
    assert run.value == value
    assert run.outcome.is_json or value is None


@pytest.mark.parametrize(
    "text", ["import itertools\nitertools.count()", "range(10**9)", "[iter(int, 1), iter(int, 1)]"]
)
async def test_a_value_without_end_is_read_in_part_and_says_so(programs, text):
    run = await programs.run(text)
    assert 10_000 <= len(str(run.value)) < 100_000
    assert run.stderr == "(The value has more items: the first 10,000 are shown.)\n"


async def test_an_error_in_a_lazy_value_is_one_of_the_program(programs):
    run = await programs.run("rows = [1, 0]\n(1 / row for row in rows)")
    assert (run.error, run.outcome.failure.line) == ("ZeroDivisionError: division by zero", 2)


@pytest.mark.parametrize("text", ["", "# nothing", "_ = 1", "None", "for x in range(3): x", "print('x')", "def f(): 1"])
async def test_a_program_without_a_last_value_has_none(programs, text):
    run = await programs.run(text)
    assert (run.value, run.outcome.text, run.outcome.is_json) == (None, None, False)


async def test_a_value_nested_a_thousand_levels_comes_as_text(programs):
    run = await programs.run("x = []\nfor _ in range(900):\n    x = [x]\nx")
    assert run.value is None
    assert run.outcome.text is not None
    assert run.outcome.text.startswith("[[[[")


@pytest.mark.parametrize("size", [5 << 20, 12 << 20])
async def test_a_value_over_the_cap_is_not_lost_silently(programs, size):
    run = await programs.run(f"print('before')\n'x' * {size}")
    assert run.value is None
    assert not run.outcome.is_json
    assert run.outcome.text is not None
    assert run.outcome.text.startswith("'xxx")
    assert re.search("limit|too large|over", run.outcome.text)
    assert run.stdout == "before\n"


# -- failures --------------------------------------------------------------------------------------------------------------


async def test_a_traceback_shows_the_lines_of_the_program_and_nothing_of_ours(programs):
    run = await programs.run("def outer(x):\n    return inner(x)\n\ndef inner(x):\n    return 1 / x\n\nouter(0)")
    assert run.error == "ZeroDivisionError: division by zero"
    assert run.outcome.failure.line == 5
    assert re.findall(r'File "(<program 1>)", line (\d+), in (\S+)', run.traceback) == [
        ("<program 1>", "7", "<module>"),
        ("<program 1>", "2", "outer"),
        ("<program 1>", "5", "inner"),
    ]
    assert "    return 1 / x\n" in run.traceback
    assert "codeact" not in run.traceback
    assert "<string>" not in run.traceback


async def test_a_traceback_shows_what_an_exception_was_raised_from_and_its_notes(programs):
    run = await programs.run(
        program("""
        try:
            {}["key"]
        except KeyError as error:
            new = ValueError("bad row")
            new.add_note("row 7")
            raise new from error
        """)
    )
    assert "KeyError: 'key'" in run.traceback
    assert "direct cause" in run.traceback
    assert run.traceback.endswith("ValueError: bad row\nrow 7\n")
    assert run.outcome.failure.line == 6


async def test_a_failed_call_shows_the_line_that_made_it_and_no_frame_of_ours(programs):
    run = await programs.run("x = 1\nfail(reason='empty')")
    assert run.error == "ToolFailed: ValueError: empty"
    assert run.outcome.failure.line == 2
    assert "<codeact" not in run.traceback
    assert run.traceback.count("File ") == 1


async def test_a_syntax_error_tells_its_line(programs):
    run = await programs.run("x = 1\nif x\n    y = 2")
    assert run.error.startswith("SyntaxError: expected ':'")
    assert run.outcome.failure.line == 2
    assert "    if x\n" in run.traceback


async def test_an_exception_whose_text_raises_is_still_one_failure(programs):
    run = await programs.run("class Evil(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Evil")
    assert run.error.startswith("Evil: ")
    assert run.outcome.failure.line == 4


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise BaseException('x')", "BaseException: x"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import sys\nsys.exit(3)", "SystemExit: the program called sys.exit(3)"),
        ("import sys\nsys.exit('text')", "SystemExit: the program called sys.exit('text')"),
        ("input('name? ')", "EOFError: there is no input in the sandbox: get the data from the tools"),
        (
            "import sys\nsys.stdin.read()",
            "EOFError: there is no input in the sandbox: get the data from the tools",
        ),
        ("def f():\n    return f() + 1\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("import _thread\n_thread.start_new_thread(print, ())", "RuntimeError: can't start new thread"),
        ("raise MemoryError", "MemoryError: out of memory (limit 128 MiB)"),
        ("import select\nselect.select([], [], [], 0.1)", "OSError: not available in the sandbox"),
        ("import select\nselect.poll()", "AttributeError: module 'select' has no attribute 'poll'"),
        ("http_get('http://127.0.0.1/')", "NameError: name 'http_get' is not defined"),
        ("http_post('http://127.0.0.1/', '')", "NameError: name 'http_post' is not defined"),
        (
            "open('/nowhere/x')",
            ("FileNotFoundError", "OSError"),
        ),  # there is no `files` here, and one guest asks it first
    ],
)
async def test_whatever_a_program_raises_is_one_clear_failure_and_the_next_turn_works(programs, text, error):
    run = await programs.run(text)
    assert run.error.startswith(error)
    assert not run.outcome.state_lost
    await answers(programs)


@pytest.mark.parametrize("text", ["import sys\nsys.exit()", "import sys\nsys.exit(0)", "raise SystemExit"])
async def test_an_exit_without_a_code_is_no_failure(programs, text):
    run = await programs.run("print('x')\n" + text)
    assert (run.value, run.stdout) == (None, "x\n")


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.abort()",
        "import os\nos._exit(3)",
        "import sys\nsys.setrecursionlimit(10**6)\nx = []\nfor _ in range(10**5):\n    x = [x]\nrepr(x)",
        "import marshal\nexec((lambda: 0).__code__.replace(co_code=bytes([250, 7] * 40), co_stacksize=1))",
        "from wit_world.imports import tools\ntools.dispatch('codeact', '\\ud800')",
    ],
)
async def test_a_program_that_crashes_its_guest_is_told_so_and_the_next_turn_works(programs, text):
    if programs.has_pandas and "wit_world" in text:
        pytest.skip(NO_COMPONENT)
    run = await programs.run("print('before', flush=True)\n" + text)
    assert run.outcome.failure.kind in ("Crashed", "RecursionError", "SystemError")
    assert "wasm" not in run.error
    assert len(run.error) < 200
    assert run.stdout == "before\n"
    await answers(programs)


async def test_a_raised_recursion_limit_ends_in_one_clear_failure(programs):
    run = await programs.run(
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(n):\n    return f(n + 1) + 1\nf(0)", seconds=1
    )
    assert run.outcome.failure.kind in ("RecursionError", "MemoryError", "Crashed", "TimedOut")
    await answers(programs)


@pytest.mark.parametrize(
    "text",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import time\ntime.sleep(60)",
        "import asyncio\nawait asyncio.sleep(60)",
        "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
        "while True: print('x' * 1000)",
    ],
)
async def test_a_program_that_takes_too_long_is_stopped_in_time_and_the_next_turn_works(programs, text):
    seconds = 3 if EMULATED else 0.7
    run = await programs.run("print('before')\n" + text, seconds=seconds)
    assert run.error == f"TimedOut: the program was stopped after {seconds:g} s (--timeout allows more)"
    assert run.stdout.startswith("before\n")
    assert run.outcome.state_lost
    await answers(programs)


async def test_a_sleep_of_a_minute_with_a_limit_of_two_seconds_is_stopped(programs):
    run = await programs.run("import time\ntime.sleep(60)", seconds=2)
    assert run.error == "TimedOut: the program was stopped after 2 s (--timeout allows more)"


@pytest.mark.parametrize(
    "text",
    [
        "bytearray(10**9)",
        "x = []\nwhile True:\n    x.append('a' * 1000 + str(len(x)))",
        "x = []\nwhile True:\n    x.append([1, 2, 3])",
    ],
)
async def test_memory_that_runs_out_is_told_with_its_limit_and_the_next_turn_works(programs, text):
    run = await programs.run(f"print('before')\n{text}")
    assert run.error == "MemoryError: out of memory (limit 128 MiB)"
    assert run.stdout == "before\n"
    assert run.outcome.state_lost is programs.in_micro_vm  # which is aborted: nobody in it is told
    assert bool(run.traceback) is not programs.in_micro_vm
    await answers(programs)


async def test_text_nested_too_deeply_for_the_parser_is_one_clear_failure(programs):
    run = await programs.run("eval('(' * 150 + '1' + ')' * 150)")
    if programs.in_micro_vm:
        assert run.error == "Crashed: the program crashed its sandbox; its variables are gone"
    else:
        assert run.error.startswith("MemoryError: Parser stack overflowed")
    await answers(programs)


async def test_the_clocks_run_and_never_go_back(programs):
    run = await programs.run(
        program("""
        import time
        names = ("time", "monotonic", "perf_counter", "process_time")
        first = [getattr(time, name)() for name in names]
        time.sleep(0.2)
        second = [getattr(time, name)() for name in names]
        nanoseconds = time.monotonic_ns() - time.monotonic_ns() <= 0 <= time.perf_counter_ns()
        [after - before for before, after in zip(first, second)] + [min(first) >= 0, nanoseconds]
        """)
    )
    *passed, positive, nanoseconds = run.value
    assert positive
    assert nanoseconds
    assert min(passed) >= 0.15


async def test_memory_is_given_back_when_the_program_catches_the_error(programs):
    if programs.in_micro_vm:
        pytest.skip("a micro-VM without memory is aborted: there is nothing to catch")
    run = await programs.run(
        program("""
        tries = []
        for _ in range(5):
            try:
                tries.append(bytearray(10**9))
            except MemoryError:
                tries.append("caught")
        tries + [len(bytearray(10**7))]
        """)
    )
    assert run.value == ["caught"] * 5 + [10**7]


# -- the namespace -----------------------------------------------------------------------------------------------------------


async def test_variables_are_kept_after_a_failure_for_the_repair_and_gone_in_the_next_turn(programs):
    async with programs.turn() as turn:
        first = await turn.run("rows = add(1)\nleft_behind = 1\n1 / 0", keep=True)
        assert first.outcome.failure.line == 3
        second = await turn.run("rows + left_behind\n1 / 0", keep=True)
        assert 'File "<program 2>", line 2' in second.traceback
        third = await turn.run("rows + left_behind", keep=True)
        assert third.value == 3
    await answers(programs)


async def test_variables_are_kept_after_an_observation_and_the_value_is_bound(programs):
    async with programs.turn() as turn:
        first = await turn.run("observe({'rows': add(1)})\nobserve(object)\nobserve('\\ud800')\n41", keep=True)
        assert first.outcome.failure is None
        assert [json.loads(first.outcome.observed[0]), *first.outcome.observed[1:]] == [
            {"rows": 2},
            "<class 'object'>",
            '"\\ud800"',
        ]
        assert (await turn.run("_ + 1", keep=True)).value == 42


async def test_variables_are_not_kept_after_a_failure_unless_asked(programs):
    async with programs.turn() as turn:
        await turn.run("x = 1\n1 / 0")
        assert (await turn.run("x")).error.startswith("NameError")


async def test_variables_are_not_kept_when_the_program_finished(programs):
    async with programs.turn() as turn:
        await turn.run("x = 1", keep=True)
        assert (await turn.run("x", keep=True)).error.startswith("NameError")


async def test_a_turn_goes_on_in_a_new_guest_after_a_crash_or_a_time_limit(programs):
    async with programs.turn() as turn:
        await turn.run("left_behind = 1\nimport os\nos.abort()", keep=True)
        assert (await turn.run("'left_behind' in globals()", keep=True)).value is False
        await turn.run("left_behind = 1\nwhile True: pass", keep=True, seconds=0.5)
        assert (await turn.run("'left_behind' in globals()", keep=True)).value is False


async def test_observing_without_end_is_one_clear_outcome(programs):
    run = await programs.run("for _ in range(3_000):\n    observe('x' * 9_000)\n1")
    assert run.outcome.failure is None
    assert len(run.outcome.observed[0]) < 9_000


async def test_a_program_is_the_main_module(programs):
    run = await programs.run(
        program("""
        import pickle, sys
        from dataclasses import dataclass

        @dataclass
        class Row:
            id: "int"

        again = pickle.loads(pickle.dumps(Row(7)))
        [__name__, Row.__module__, again == Row(7), sys.modules["__main__"].Row is Row, sys.modules["__main__"].__dict__ is globals()]
        """)
    )
    assert run.value == ["__main__", "__main__", True, True, True]


async def test_random_numbers_differ_from_turn_to_turn(programs):
    text = "import random, os\n[random.random(), random.getrandbits(64), os.urandom(8).hex()]"
    first, second = (await programs.run(text)).value, (await programs.run(text)).value
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert all(a != b for a, b in zip(first, second, strict=True))


async def test_patches_of_the_library_are_gone_in_the_next_turn(programs):
    run = await programs.run(
        program("""
        import builtins, json, random, sys, warnings
        left_behind = 1
        json.dumps = json.loads = None
        random.seed(1)
        warnings.simplefilter("ignore")
        sys.path.append("/x")
        builtins.left_behind = builtins.len = None
        """)
    )
    assert run.outcome.failure is None or run.outcome.failure.kind == "Crashed"
    await answers(programs)


# -- asynchronous programs -----------------------------------------------------------------------------------------------------


async def test_await_works_at_the_top_level(programs):
    run = await programs.run("import asyncio\nawait asyncio.sleep(0.01)\nx = await call_tool_async('add', a=1)\nx + 1")
    assert run.value == 3


async def test_await_in_the_last_expression_gives_its_value(programs):
    assert (await programs.run("await call_tool_async('add', a=1)")).value == 2


async def test_a_call_that_waits_does_not_overtake_those_made_before_it(programs):
    run = await programs.run("first = call_tool_async('add', a=1)\nsecond = add(2)\n[await first, second]")
    assert run.value == [2, 3]
    assert [call.arguments["a"] for kind, call in run.seen if kind == "call"] == [1, 2]


async def test_a_call_that_cannot_be_sent_fails_where_it_is_awaited_and_can_be_caught(programs):
    text = "'x' * 2_000_000"
    run = await programs.run(
        f"import asyncio\nsaid = []\nfor text in ({text}, '\\ud800'):\n"
        "    try:\n        await call_tool_async('add', a=text)\n"
        "    except (ToolFailed, TypeError) as error:\n        said.append(type(error).__name__)\n"
        "[said, await call_tool_async('add', a=1)]"
    )
    assert run.value == [["ToolFailed", "TypeError"], 2]


async def test_calls_made_before_the_program_waits_are_sent_off_together_and_say_how_many_they_are(programs):
    run = await programs.run(
        "import asyncio\nadd(0)\nawait asyncio.gather(*[call_tool_async('add', a=i) for i in range(20)])\nadd(9)"
    )
    assert [call.batch_size for kind, call in run.seen if kind == "call"] == [1, *[20] * 20, 1]


async def test_a_call_that_nobody_awaits_is_made_all_the_same(programs):
    run = await programs.run("import asyncio\nawait asyncio.sleep(0)\nx = call_tool_async('add', a=1)\n7")
    assert run.value == 7
    assert [call.arguments["a"] for kind, call in run.seen if kind == "call"] == [1]


async def test_forty_calls_at_once_are_all_answered_within_the_cap_of_calls_in_flight(programs):
    import asyncio

    full = asyncio.Event()
    waiting = 0

    async def slow(i: int) -> int:
        nonlocal waiting
        waiting += 1
        if waiting == LIMITS.calls_in_flight:
            full.set()
        await full.wait()
        return i

    run = await programs.run(
        "import asyncio\nawait asyncio.gather(*[call_tool_async('slow', i=i) for i in range(40)])", tools={"slow": slow}
    )
    assert run.value == list(range(40))
    assert run.most_open == LIMITS.calls_in_flight


async def test_answers_in_reverse_order_reach_their_own_calls(programs):
    import asyncio

    answered = [asyncio.Event() for _ in range(4)]
    answered[3].set()

    async def turn_by_turn(i: int) -> str:
        await answered[i].wait()
        if i:
            answered[i - 1].set()
        if i == 1:
            raise ValueError("one")
        return f"answer {i}"

    run = await programs.run(
        program("""
        import asyncio
        done = []
        async def ask(i):
            try:
                done.append(await call_tool_async("turn_by_turn", i=i))
            except ToolFailed as error:
                done.append(str(error))
        await asyncio.gather(*map(ask, range(4)))
        done
        """),
        tools={"turn_by_turn": turn_by_turn},
    )
    assert run.value == ["answer 3", "answer 2", "ValueError: one", "answer 0"]


async def test_asyncio_run_works(programs):
    run = await programs.run(
        program("""
        import asyncio, time
        async def main():
            started = time.monotonic()
            results = await asyncio.gather(call_tool_async("add", a=1), asyncio.sleep(0.05, "slept"))
            return [*results, time.monotonic() - started >= 0.05]
        asyncio.run(main())
        """)
    )
    assert run.value == [2, "slept", True]


async def test_a_gather_with_one_denied_call_gives_the_others(programs):
    run = await programs.run(
        program("""
        import asyncio
        results = await asyncio.gather(
            call_tool_async("add", a=1), call_tool_async("deny"), call_tool_async("add", a=2), return_exceptions=True
        )
        [type(r).__name__ if isinstance(r, Exception) else r for r in results]
        """)
    )
    assert run.value == [2, "ToolDenied", 3]
    run = await programs.run(
        "import asyncio\nawait asyncio.gather(call_tool_async('deny'), call_tool_async('add', a=1))"
    )
    assert run.error == "ToolDenied: not allowed here"
    assert "asyncio" not in run.traceback.replace("await asyncio.gather", "")


async def test_a_program_can_wait_for_a_call_for_a_limited_time(programs):
    import asyncio

    released = asyncio.Event()

    async def held() -> None:
        await released.wait()

    async def release() -> None:
        released.set()

    run = await programs.run(
        program("""
        import asyncio
        try:
            await asyncio.wait_for(call_tool_async("held"), 0.05)
        except TimeoutError:
            seen = "timed out"
        call_tool("release")
        seen
        """),
        tools={"held": held, "release": release},
    )
    assert run.value == "timed out"


async def test_waiting_for_what_can_never_happen_is_an_error_and_no_hang(programs):
    run = await programs.run("import asyncio\nawait asyncio.Event().wait()")
    assert run.error == "RuntimeError: the program waits for an event that can never happen"


async def test_a_call_that_nobody_waits_for_is_answered_before_the_run_ends(programs):
    answered: list[int] = []

    async def slow(i: int) -> None:
        import asyncio

        await asyncio.sleep(0)
        answered.append(i)

    run = await programs.run(
        "async def main():\n    call_tool_async('slow', i=1)\n    call_tool_async('slow', i=2)\nawait main()",
        tools={"slow": slow},
    )
    assert run.outcome.failure is None
    assert answered == [1, 2]


# -- tools ---------------------------------------------------------------------------------------------------------------------


async def test_tools_are_functions_with_positional_and_keyword_arguments(programs):
    run = await programs.run(
        "[add(1), add(1, 2), add(1, b=3), add(b=4, a=1), call_tool('add', a=1, b=5), add.__name__]"
    )
    assert run.value == [2, 3, 4, 5, 6, "add"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("add(1, 2, 3)", "add() takes 2 arguments (a, b), got 3"),
        ("add(1, a=2)", "add() got two values for the argument a"),
        ("call_tool('add', 1)", 'call_tool("add", ...) takes the tool\'s arguments as keywords'),
        ("echo(object())", "echo(): the argument value cannot be sent to a tool: a object has no JSON form"),
        ("echo('\\ud800')", "echo(): an argument cannot be sent to a tool"),
        ("x = []\nx.append(x)\necho(x)", "echo(): the argument value cannot be sent to a tool: nested too deeply"),
    ],
)
async def test_a_call_that_cannot_be_made_is_a_type_error_and_reaches_no_tool(programs, text, error):
    run = await programs.run(text)
    assert run.error.startswith(f"TypeError: {error}")
    assert run.calls == []


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("call_tool('nowhere', x=1)", "ToolFailed KeyError: 'nowhere'"),
        ("call_tool('__import__', name='os')", "ToolFailed KeyError: '__import__'"),
        ("call_tool('аdd', a=1)", "ToolFailed KeyError: 'аdd'"),
        ("fail('broken')", "ToolFailed ValueError: broken"),
        ("add(c=1)", "ToolFailed TypeError: add() got an unexpected keyword argument 'c'"),
        ("deny()", "ToolDenied not allowed here"),
        ("echo(value='x' * (2 << 20))", "ToolFailed arguments of 2,097,164 bytes, the limit is 1,048,576"),
        ("echo(value='é' * (1 << 20))", "ToolFailed arguments of 2,097,164 bytes, the limit is 1,048,576"),
        ("echo(value='x' * (20 << 20))", "ToolFailed a message of over 8,388,608 characters"),
    ],
)
async def test_a_call_that_fails_can_be_caught_and_the_program_goes_on(programs, text, caught):
    run = await programs.run(
        f"try:\n    {text}\nexcept (ToolFailed, ToolDenied) as error:\n    seen = f'{{type(error).__name__}} {{error}}'\n"
        "print('y' * 20_000)\n[seen, add(1), echo('z' * 20_000)[-1]]"
    )
    assert run.value == [caught, 2, "z"]
    assert run.stdout == "y" * 20_000 + "\n"


async def test_an_argument_of_24_mebibytes_is_an_error_that_can_be_caught(programs):
    run = await programs.run(
        "try:\n    echo('x' * (24 << 20))\nexcept Exception as error:\n    seen = type(error).__name__\n[seen, add(1)]"
    )
    assert run.value in (["ToolFailed", 2], ["MemoryError", 2])
    assert [call.name for call in run.calls] == ["add"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**63 - 1,
        1e-300,
        "",
        'é😀\u0000\u2028\\"',
        [],
        {},
        [[[]]],
        {"a": {"": [1.5, None, "x"]}},
    ],
)
async def test_a_value_goes_to_a_tool_and_back_unchanged(programs, value):
    run = await programs.run(f"got = echo({value!r})\n[got == {value!r}, type(got) is type({value!r})]")
    assert run.value == [True, True]
    (call,) = run.calls
    assert call.arguments == {"value": value}


@pytest.mark.parametrize("character", ["x", "é", "😀", '"', "\\"])
async def test_an_argument_of_two_hundred_kilobytes_arrives_whole(programs, character):
    count = 200_000 // len(character.encode())
    run = await programs.run(f"echo({character!r} * {count}) == {character!r} * {count}")
    assert run.value is True
    assert run.calls[0].arguments["value"] == character * count


async def test_a_result_of_five_megabytes_arrives_whole(programs):
    rows = [{"text": "é" * 44, "id": number} for number in range(45_000)]
    assert 5_000_000 < len(json.dumps(rows, ensure_ascii=False).encode()) < LIMITS.answer_bytes
    run = await programs.run("got = rows()\n[len(got), got[-1], list(got[-1])]", tools={"rows": lambda: rows})
    assert run.value == [45_000, rows[-1], ["text", "id"]]


async def test_an_answer_of_the_largest_size_arrives_whole(programs):
    size = LIMITS.answer_bytes - 2
    run = await programs.run("got = big()\n[len(got), got.count('é')]", tools={"big": lambda: "é" * (size // 2)})
    assert run.value == [size // 2, size // 2]


async def test_an_answer_that_no_frame_can_hold_is_a_failed_call_and_the_program_goes_on(programs):
    tools = {"big": lambda: "x" * (9 << 20), "lone": lambda: "\ud800", "add": lambda a: a}
    for name in ("big", "lone"):
        run = await programs.run(
            f"try:\n    {name}()\nexcept ToolFailed as error:\n    print(error)\nadd(7)", tools=tools
        )
        assert run.value == 7
        assert run.stdout.startswith("the result cannot be sent to the program")


async def test_more_calls_than_a_run_may_make_fail_in_the_program_and_reach_no_tool(programs):
    run = await programs.run(
        program("""
        failed = 0
        for i in range(1_100):
            try:
                add(i)
            except ToolFailed as error:
                failed, text = failed + 1, str(error)
        [failed, text]
        """)
    )
    assert run.value == [100, "more than 1,000 tool calls in one run"]
    assert len(run.calls) == 1_000


# -- nothing of the host ---------------------------------------------------------------------------------------------------------


async def test_sockets_names_and_http_are_refused_and_a_listener_on_loopback_sees_nothing(programs):
    if programs.has_pandas:
        pytest.skip(NO_COMPONENT)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        text = f"tcp, udp = {tcp.getsockname()[1]}, {udp.getsockname()[1]}\n" + program("""
        import asyncio, socket, sys, urllib.request
        from wit_world.imports import outgoing_handler, wasi_http_types as types

        def connect():
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            made.connect(("127.0.0.1", tcp))

        def raw_http():
            request = types.OutgoingRequest(types.Fields.from_list([]))
            request.set_method(types.Method_Get())
            request.set_authority(f"127.0.0.1:{tcp}")
            request.set_path_with_query("/")
            request.set_scheme(types.Scheme_Http())
            outgoing_handler.handle(request, None)

        def of_the_guest(name):
            frame = sys._getframe()
            while name not in frame.f_globals:
                frame = frame.f_back
            return frame.f_globals[name]

        attempts = {
            "connect": connect,
            "connect again": connect,
            "create_connection": lambda: socket.create_connection(("127.0.0.1", tcp), 1),
            "localhost": lambda: socket.create_connection(("localhost", tcp), 1),
            "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", udp)),
            "listen": lambda: socket.create_server(("127.0.0.1", 0)),
            "name": lambda: socket.getaddrinfo("example.com", 80),
            "urlopen": lambda: urllib.request.urlopen(f"http://127.0.0.1:{tcp}/", timeout=1),
            "raw http": raw_http,
            "raw http again": raw_http,
            "guest http": lambda: of_the_guest("http_get")(f"http://127.0.0.1:{tcp}/"),
            "guest http again": lambda: of_the_guest("http_get")(f"http://127.0.0.1:{tcp}/"),
        }
        said = {}
        for name, attempt in attempts.items():
            try:
                said[name] = repr(attempt())
            except Exception as error:
                said[name] = f"refused: {type(error).__name__} {getattr(error, 'value', error)}"
        said
        """)
        run = await programs.run(text)
        said = run.value
        assert isinstance(said, dict)
        assert {name for name, what in said.items() if not str(what).startswith("refused: ")} == set(), said
        # These reached the barrier and were refused there; a missing module would prove nothing.
        refusal = "OSError [Errno 58] Not supported" if programs.in_micro_vm else "PermissionError"
        assert str(said["connect"]).startswith(f"refused: {refusal}"), said
        assert all("HttpRequestDenied" in str(what) for name, what in said.items() if "http" in name), said
        for listener in (tcp, udp):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept() if listener is tcp else listener.recv(1)
        with socket.create_connection(tcp.getsockname()):  # the control: a visitor would have been seen
            tcp.accept()[0].close()
    await answers(programs)


async def test_files_and_environment_of_the_host_are_not_there(programs, tmp_path):
    canary = tmp_path / "canary.txt"
    canary.write_text("secret")
    run = await programs.run(
        program(f"""
        import glob, os, pathlib, sys
        said = []
        for path in ("/etc/passwd", "/proc/self/environ", {str(canary)!r}, "canary.txt", "../" * 20 + {str(canary)!r}, "/dev/null"):
            for way in (open, os.open, pathlib.Path.read_bytes, os.stat, os.listdir, os.unlink):
                try:
                    arguments = (os.O_RDONLY,) if way is os.open else ()
                    said.append(repr(way(pathlib.Path(path) if way is pathlib.Path.read_bytes else path, *arguments)))
                except OSError as error:
                    pass
        for folder in (".", "/", {str(tmp_path)!r}):
            for way in (os.mkdir, os.listdir, lambda folder: open(folder + "/new.txt", "w")):
                try:
                    said.append(repr(way(folder)))
                except OSError:
                    pass
        [said, dict(os.environ), sys.argv, glob.glob("/*")]
        """)
    )
    assert run.value == [[], {}, ["program"], []]
    assert [path.name for path in tmp_path.iterdir()] == ["canary.txt"]
    assert canary.read_text() == "secret"


async def test_a_program_has_no_processes(programs):
    run = await programs.run(
        program("""
        import os, subprocess
        said = []
        for attempt in (
            lambda: os.system("true"), lambda: os.fork(), lambda: os.execv("/bin/true", ["true"]), lambda: os.kill(1, 0),
            lambda: subprocess.run(["true"]), lambda: __import__("ctypes").CDLL(None),
            lambda: __import__("multiprocessing").Process(target=print).start(),
        ):
            try:
                said.append(repr(attempt()))
            except (OSError, AttributeError, ImportError):
                pass
        said
        """)
    )
    assert run.value == []


# -- the library -------------------------------------------------------------------------------------------------------------------


async def test_the_modules_that_programs_use_most_work_together(programs):
    run = await programs.run(
        program("""
        import datetime, statistics, csv, json, re, hashlib, decimal, collections, itertools, dataclasses, textwrap, asyncio
        import contextlib, heapq, io, math, string
        rows = list(csv.DictReader(io.StringIO("a,b\\n1,2\\n3,4\\n")))
        [
            statistics.mean(int(row["a"]) for row in rows), hashlib.sha256(b"x").hexdigest()[:8],
            str(decimal.Decimal("0.1") * 3), datetime.date(2024, 2, 28).replace(day=29).strftime("%d.%m.%Y"),
            dict(collections.Counter("aab")), list(itertools.pairwise([1, 2, 3])), textwrap.shorten("a b c d e", 8),
            json.loads('{"a": [1]}'), re.sub("a", "b", "banana"), heapq.nsmallest(2, [3, 1, 2]), string.digits,
        ]
        """)
    )
    assert run.value == [
        2,
        "2d711642",
        "0.3",
        "29.02.2024",
        {"a": 2, "b": 1},
        [[1, 2], [2, 3]],
        "a [...]",
        {"a": [1]},
        "bbnbnb",
        [1, 2],
        "0123456789",
    ]


async def test_every_module_that_we_promise_is_imported_by_the_real_prelude(programs):
    names = programs.pool.guest.modules()
    top = [name for name in names if "." not in name]
    assert len(top) >= 150
    failed: dict[str, object] = {}
    for start in range(0, len(top), 50):
        run: Run = await programs.run(
            program(f"""
            import importlib, sys
            failed = {{}}
            for name in {top[start : start + 50]!r}:
                out = sys.stdout
                try:
                    importlib.import_module(name)
                except BaseException as error:
                    failed[name] = repr(error)
                sys.stdout = out
            failed
            """)
        )
        assert isinstance(run.value, dict)
        failed |= run.value
    assert failed == {}


async def test_a_module_that_is_not_there_is_an_import_error_with_its_name(programs):
    run = await programs.run("import polars")
    assert run.error == "ModuleNotFoundError: No module named 'polars'"


async def test_a_failure_inside_the_library_shows_the_source_of_the_library(programs):
    run = await programs.run("import statistics\nstatistics.mean([])")
    assert run.error.startswith("StatisticsError: ")
    assert "statistics.py" in run.traceback
    assert ("raise StatisticsError" in run.traceback) is not programs.has_pandas  # that library has no source text
    assert run.outcome.failure.line == 2


# -- recursion -----------------------------------------------------------------------------------------------------------

DEEP = {
    "repr of a class": "class A:\n    def __repr__(self): return repr(self)\nlook = lambda: repr(A())",
    "getattr": "class A:\n    def __getattr__(self, name): return getattr(self, name)\nlook = lambda: A().x",
    "comparison": "a, b = [], []\na.append(a)\nb.append(b)\nlook = lambda: a == b",
    "operator": "class A:\n    def __add__(self, other): return self + other\nlook = lambda: A() + A()",
    "call": "class A:\n    def __call__(self): return self()\nlook = A()",
    "cache": "import functools\n@functools.cache\ndef f(n): return f(n + 1)\nlook = lambda: f(1)",
    "sort key": "def f(n): return sorted([n], key=f)\nlook = lambda: f(1)",
    "map": "def f(n): return list(map(f, [n]))\nlook = lambda: f(1)",
    "json.loads": "import json\nlook = lambda: json.loads('[' * 100_000)",
    "json.dumps": "import json\nx = []\nfor _ in range(100_000): x = [x]\nlook = lambda: json.dumps(x)",
    "deepcopy": "import copy\nx = []\nfor _ in range(100_000): x = [x]\nlook = lambda: copy.deepcopy(x)",
    "repr of a list": "x = []\nfor _ in range(100_000): x = [x]\nlook = lambda: repr(x)",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
async def test_recursion_without_end_is_an_error_that_can_be_caught_also_in_c_code(programs, text: str):
    if programs.in_micro_vm:
        pytest.skip("the stack of a micro-VM cannot be enlarged")
    run = await programs.run(
        f"{text}\nfound = 'nothing'\ntry:\n    look()\nexcept RecursionError:\n    found = 'caught'\nfound"
    )
    assert run.value == "caught"


async def test_memoised_recursion_reaches_as_deep_as_plain_recursion(programs):
    if programs.in_micro_vm or programs.has_pandas:
        pytest.skip("the stack cannot be enlarged")
    run = await programs.run("import functools\n@functools.cache\ndef f(n):\n    return n and 1 + f(n - 1)\nf(800)")
    assert run.value == 800


# -- what is around a program --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("import sys\nsys.argv", ["program"]),
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=3)\nvars(p.parse_args())",
            {"n": 3},
        ),
        ("import argparse\nvars(argparse.ArgumentParser().parse_args([]))", {}),
        ("from decimal import Decimal\n[f\"{Decimal('1234567.891'):{form}}\" for form in ('_.2f', ',.2f', '#.0f', 'z.1f')]",
         ["1_234_567.89", "1,234,567.89", "1234568.", "1234567.9"]),
        ("from zoneinfo import ZoneInfo\nfrom datetime import datetime\nstr(datetime(2026, 7, 1, tzinfo=ZoneInfo('Europe/Berlin')))",
         "2026-07-01 00:00:00+02:00"),
        ("from zoneinfo import ZoneInfo\nfrom datetime import datetime\nstr(datetime(2026, 7, 1, tzinfo=ZoneInfo('UTC')))",
         "2026-07-01 00:00:00+00:00"),
        ("import zoneinfo\n{'Asia/Tokyo', 'UTC'} <= zoneinfo.available_timezones()", True),
        ("import zoneinfo\ntry:\n    zoneinfo.ZoneInfo('../etc/passwd')\nexcept ValueError as error:\n    'refused'", "refused"),
        ("import zoneinfo\ntry:\n    zoneinfo.ZoneInfo('No/Where')\nexcept zoneinfo.ZoneInfoNotFoundError:\n    'none'", "none"),
        ("import locale\ntry:\n    locale.setlocale(locale.LC_ALL, 'de_DE.UTF-8')\nexcept locale.Error:\n    'none'", "none"),
        ("import locale\nlocale.setlocale(locale.LC_ALL, '')\nlocale.setlocale(locale.LC_ALL, locale.setlocale(locale.LC_ALL))[0]",
         "C"),
        ("breakpoint()\n1", 1),
        ("import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(add(1), 2)\n"
         "unittest.main(exit=False).result.testsRun", 1),
    ],
)  # fmt: skip
async def test_what_is_around_a_program_is_as_python_has_it(programs, text, value):
    assert (await programs.run(text)).value == value


async def test_bytes_can_be_written_to_the_streams(programs):
    run = await programs.run(
        program("""
        import sys
        sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)
        for part in ("é😀\\n".encode()[:3], "é😀\\n".encode()[3:], b"\\xff\\n"):
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        print("next")
        sys.stderr.buffer.write(b"bad")
        """)
    )
    assert (run.stdout, run.stderr) == ("é😀\n\\xff\nnext\n", "bad")


async def test_what_a_program_puts_around_its_streams_is_flushed_at_the_end(programs):
    run = await programs.run(
        "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint('ü')"
    )
    assert run.stdout == "ü\n"


async def test_the_stack_that_a_program_prints_is_its_own(programs):
    run = await programs.run(
        program("""
        import asyncio, traceback
        def look():
            traceback.print_stack()
            return [frame.name for frame in traceback.extract_stack()]
        async def main():
            return look()
        [look(), asyncio.run(main())[-2:]]
        """)
    )
    assert run.value == [["<module>", "look"], ["main", "look"]]
    assert run.stderr.startswith('  File "<program 1>", line 7, in <module>\n')


async def test_a_traceback_that_the_program_prints_has_no_frames_of_ours(programs):
    run = await programs.run(
        program("""
        import traceback, logging
        try:
            fail("no")
        except ToolFailed:
            traceback.print_exc()
            logging.exception("again")
            lines = traceback.format_exc()
        lines
        """)
    )
    assert "codeact" not in run.value + run.stderr
    assert run.value.count('File "') == 1
    assert 'File "<program 1>", line 3, in <module>' in run.value


LOCAL = """
from datetime import date, datetime, timezone
import logging, time
moment = 1782889200
[
    str(datetime.fromtimestamp(moment)), str(date.fromtimestamp(moment)), time.localtime(moment).tm_hour,
    time.strftime("%H:%M %Z", time.localtime(moment)), time.strftime("%s", (2026, 7, 1, 0, 0, 0, 0, 0, -1)),
    [time.mktime((2026, month, 1, 0, 0, 0, 0, 0, summer)) for month in (1, 7) for summer in (-1, 0)], time.ctime(moment),
    datetime(2026, 7, 1).strftime("%s %%s"), datetime(2026, 7, 1, 12).astimezone().tzname(),
    datetime(2026, 1, 31, 12).timestamp(), datetime(2026, 1, 31, 12).astimezone(timezone.utc).isoformat(),
    datetime(2026, 7, 1, 12, tzinfo=timezone.utc).astimezone().isoformat(), list(time.tzname), time.timezone,
    abs(datetime.now().timestamp() - time.time()) < 60, date.today() == datetime.today().date() == datetime.now().date(),
    datetime.now(timezone.utc).utcoffset().total_seconds(), time.localtime().tm_gmtoff,
    logging.Formatter("%(asctime)s").format(logging.makeLogRecord({"created": moment, "msecs": 0})),
]
"""


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[str], CapabilitySet]]:
    """Gives this process a time zone; a capability set tells it to programs."""

    def use(name: str) -> CapabilitySet:
        monkeypatch.setenv("TZ", name)
        time.tzset()
        return CapabilitySet(Settings(), (), (), lambda event: None)

    yield use
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the system has no zone for one process")
@pytest.mark.parametrize("name", [
    "America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "UTC", "EST5EDT", "Australia/Lord_Howe", "Europe/Dublin",
    "CET-1CEST,M3.5.0,M10.5.0/3", "UTC+8", "XYZ-05:30",
])  # fmt: skip
async def test_local_time_is_that_of_the_notebook(programs, in_zone, name: str):
    run = await programs.run(LOCAL, capabilities=in_zone(name))
    here: dict[str, Any] = {}
    exec(LOCAL.replace("\n[", "\nvalue = ["), here)
    assert run.value == here["value"]
