"""Preflight: what a model is told about its program before anything runs."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact_kernel.preflight import Cleaned, Report, check, fingerprint, without_needless_imports


@dataclass(frozen=True)
class Tool:
    name: str
    parameters: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("list_users"),
        Tool("get_orders", ("user_id",), ("user_id",)),
        Tool("search", ("text", "limit"), ("text",)),
    )
}
# fmt: off
MODULES = frozenset({
    "asyncio", "builtins", "collections", "concurrent", "concurrent.futures", "contextlib", "importlib", "importlib.util",
    "json", "math", "os", "platform", "statistics", "sys", "typing",
})
# fmt: on


def examine(program: str) -> Report:
    return check(program, TOOLS, MODULES)


def only_message(program: str) -> str:
    report = examine(program)
    assert len(report.problems) == 1, report
    return report.problems[0].message


WRONG = {
    # syntax
    "print((1 + 2)\n": ("Line 1", "column 6", "'(' was never closed", "`print((1 + 2)`"),
    "x = 1\n  y = 2\n": ("Line 2", "unexpected indent", "`y = 2`"),
    "for user in list_users():\nprint(user)": ("Line 2", "expected an indented block"),
    "Here is the program you asked for:\nprint(1)": ("Line 1", "invalid syntax", "comment", "#"),
    "import math\nNow let's compute the total.": ("Line 2", "comment"),
    "print 'hello'": ("Line 1", "Missing parentheses"),
    "x = 'abc": ("Line 1", "unterminated string"),
    "!pip install pandas": ("Line 1", "no shell"),
    "x = 1\nreturn x": ("Line 2", "returns outside a function", "expression"),
    "if True:\n    break": ("Line 2", "'break' outside loop"),
    "def f():\n    await g\ng = f": ("Line 2", "outside async function"),
    # what would fail only after the call
    "users = await list_users": ("Line 1 awaits `list_users` without calling it", "Call it: list_users()."),
    "async for user in list_users():\n    print(user)": ("Line 1 loops over `list_users(...)`", "plain `for`"),
    "[user async for user in list_users()]": ("Line 1 loops over `list_users(...)`", "plain `for`"),
    "async def f():\n    async with search('a') as found:\n        return found\nawait f()": (
        "Line 2 uses `search(...)`",
    ),
    "async def f():\n    await get_orders(1)\nf()\n'done'": ("Line 3 calls `f`", "`await f(...)`"),
    "async def f(): ...\nfor n in [1]:\n    f()": ("Line 3 calls `f`",),
    "async def f(): ...\nasync def main():\n    f()\nmain()": ("Line 3 calls `f`",),
    # rebinding
    "\n\ndef get_orders(user_id):\n    return []": ("Line 3 defines `get_orders` itself", "a tool", "do not define it"),
    "async def get_orders(user_id): ...": ("Line 1 defines `get_orders`",),
    "class get_orders: ...": ("Line 1 defines `get_orders`",),
    "def call_tool(name, **kwargs): return {}": ("Line 1 defines `call_tool`", "function of the sandbox"),
    "def main():\n    def get_orders(user_id): return []\n    return get_orders(1)": ("Line 2 defines `get_orders`",),
    "get_orders = get_orders(1)": ("Line 1", "`get_orders`", "`get_orders_result`"),
    "observe = print": ("Line 1", "`observe`"),
    "call_tool_async: object = None": ("Line 1", "`call_tool_async`"),
    "a, (*get_orders, b) = [1, [2, 3]]": ("Line 1", "`get_orders`"),
    "for search in [1]: pass": ("Line 1", "`search`"),
    "with open('x') as search: pass": ("Line 1", "`search`"),
    "import json as search": ("Line 1", "`search`"),
    "from math import floor as search": ("Line 1", "`search`"),
    "print(search := 1)": ("Line 1", "`search`"),
    "[search := x for x in [1]]": ("Line 1", "`search`"),
    "del search": ("Line 1", "`search`"),
    "search += 1": ("Line 1", "`search`"),
    "def main():\n    search = search('x')\n    return search\nmain()": ("Line 2", "`search`", "`search_result`"),
    "def main():\n    list_users = [u['id'] for u in list_users()]\n    return 1\nmain()": ("Line 2", "`list_users`"),
    "try: pass\nexcept ValueError as search: pass": ("Line 2", "`search`"),
    "match 1:\n    case search: pass": ("Line 2", "`search`"),
    "match {}:\n    case {**search}: pass": ("Line 2", "`search`"),
    "def f():\n    global search\n    search = 1": ("Line 3", "`search`"),
    # imports
    "import pandas as pd": ("Line 1", "`pandas`", "not in the sandbox", "plain Python", "tools"),
    "import httpx": ("`httpx`", "plain Python"),
    "import json\nfrom statistic import mean": ("Line 2", "`statistic`", "`statistics`"),
    "import numpy.linalg": ("`numpy.linalg`", "not in the sandbox"),
    "import concurrent.processes": ("`concurrent.processes`", "not in the sandbox"),
    "from . import helper": ("Line 1", "package of its own"),
    "def f():\n    import requests\nf()": ("Line 2", "`requests`"),
    "def g():\n    import requests\ndef f():\n    return g\nprint(f())": ("Line 2", "`requests`"),
    "class A:\n    def __init__(self):\n        import requests\nA()": ("Line 3", "`requests`"),
    "if not TYPE_CHECKING:\n    import requests": ("Line 2", "`requests`"),
    "if __name__ == '__main__':\n    import requests": ("Line 2", "`requests`"),
    "DEBUG = True\nif DEBUG:\n    import ipdb": ("Line 3", "`ipdb`"),
    "if list_users():\n    import pandas": ("Line 2", "`pandas`"),
    "def f(a=1, *, b):\n    if a and b:\n        import pandas\nf(b=1)": ("Line 3", "`pandas`"),
    "try:\n    import ujson as json\nexcept ImportError:\n    import orjson as json": ("Line 4", "`orjson`"),
    "import matplotlib.pyplot as plt": ("Line 1", "`matplotlib.pyplot`", "`show(rows, chart='bar'"),
    "from mpl_toolkits.mplot3d import Axes3D": ("`mpl_toolkits.mplot3d`", "`show(rows, chart='bar'"),
    "from IPython.display import Markdown": ("`IPython.display`", "`show(value)`"),
    "from plotly import express": ("`plotly`", "`show(rows, chart='bar'"),
    "plt.plot([1, 2])": ("`plt`", "`show(rows, chart='bar'"),
    "try:\n    import requests\nexcept ValueError: pass": ("Line 2", "`requests`"),
    "try: pass\nexcept ImportError:\n    import requests": ("Line 3", "`requests`"),
    "from tools import get_orders\nget_orders(1)": ("Line 1", "no import", "get_orders(user_id) directly"),
    "import get_orders": ("Line 1", "no import", "get_orders(user_id) directly"),
    "from hyperlight import call_tool": ("no import", 'call_tool("name"'),
    "from codeact import tool": ("`codeact`", "no import", "list_users, get_orders, search"),
    # unknown names
    "call_tool('get_order', user_id=1)": ("Line 1", "`get_order`", "Did you mean `get_orders`?"),
    "call_tool('weather')": ("`weather`", "does not exist", "list_users, get_orders, search"),
    "import asyncio\nasyncio.run(call_tool_async('weather'))": ("Line 2", "`weather`"),
    "get_order(1)": ("Line 1", "`get_order`", "not defined", "the tool get_orders(user_id)?"),
    "list(map(get_order, [1]))": ("`get_order`", "the tool get_orders(user_id)?"),
    "tools.get_orders(1)": ("`tools`", "get_orders(user_id) directly"),
    "print(1)\nweather('Oslo')": ("Line 2", "`weather`", "not defined", "The tools are list_users"),
    "json.dumps(1)": ("`json`", "`import json`"),
    "display(1)": ("`display`", "Print"),
    "def f(a):\n    if a:\n        get_order(a)\nf(1)": ("Line 3", "the tool get_orders(user_id)?"),
    "def f(a):\n    if a:\n        helper(a)\n    helper(a)\nf(1)": ("Line 4", "`helper`", "not defined"),
    # arguments
    "get_orders(id=1)": ("Line 1", "`id`", "`user_id` missing", "get_orders(user_id)"),
    "get_orders()": ("`user_id` missing", "get_orders(user_id)"),
    "get_orders(1, 2)": ("2 positional arguments", "takes 1", "get_orders(user_id)"),
    "get_orders(1, user_id=1)": ("`user_id` given twice",),
    "get_orders(1, 2, 3)": ("3 positional arguments where it takes 1",),
    "list_users(1)": ("Line 1", "1 positional argument where it takes none"),
    "list_users(1, 2)": ("2 positional arguments where it takes none",),
    "search('x', max=3)": ("`max`", "search(text, limit=...)"),
    "search(limit=3, *[])\nlist_users(1)": ("Line 2", "list_users()"),
    "call_tool('get_orders', user=1)": ("`user`", "get_orders(user_id)"),
    "call_tool('get_orders')": ("`user_id` missing",),
    "call_tool('get_orders', 1)": ("keyword arguments", 'call_tool("get_orders", user_id=...)'),
    "call_tool('get_orders', {'user_id': 1})": ("keyword arguments",),
    # the rest
    "name = input('who?')": ("Line 1", "no input in the sandbox"),
}


@pytest.mark.parametrize("program", WRONG)
def test_what_cannot_work_is_said_once_with_its_line_and_its_remedy(program: str) -> None:
    message = only_message(program)
    assert [part for part in WRONG[program] if part not in message] == [], message


RIGHT = [
    "async def main(): ...\nmain()",
    "total = 0\nasync def f():\n    global total\n    total += 1\nawait f()\ntotal",
    "async def main(): ...\nif __name__ == '__main__':\n    main()",
    "async def main(): ...\ntry:\n    main()\nfinally:\n    print('end')",
    "async def f(): ...\nf = print\nf()\n1",
    "import asyncio\nasync def f(): ...\nasync def main():\n    await f()\n    found = [f()]\n    return f()\nasyncio.run(main())",
    "",
    "orders = [get_orders(user['id']) for user in list_users()]\norders",
    "import asyncio\nawait asyncio.gather(*[call_tool_async('get_orders', user_id=i) for i in range(3)])",
    "def f(get_orders):\n    return get_orders(1, 2, 3)",
    "def f():\n    search = 1\n    for list_users in []: pass\n    return search",
    "[search for search in 'abc']",
    "class Client:\n    def get_orders(self): return get_orders(1)",
    "def f():\n    global search\n    return search('x')",
    "name = 'weather'\ncall_tool(name, city='Oslo')",
    "call_tool(f'{1}', city='Oslo')",
    "get_orders(*[1])\nget_orders(**{'user_id': 1})\nsearch(*['x'], limit=1)",
    "call_tool('search', **{})",
    "try:\n    import numpy\nexcept ImportError:\n    numpy = None",
    "try:\n    import numpy\nexcept (KeyError, ModuleNotFoundError):\n    numpy = None",
    "try:\n    import numpy\nexcept:\n    numpy = None",
    "from __future__ import annotations\nimport os.path, concurrent.futures\nfrom collections import abc",
    "from math import *\nfloor(1.5)",
    "exec('def helper(): pass')\nhelper()",
    "def later():\n    return helper()\ndef helper(): ...",
    "lambda weather: weather()",
    "def input(text): return text\ninput('x')",
    "try:\n    get_orders(1)\nexcept (ToolDenied, ToolFailed) as error:\n    print(error)",
    "try:\n    get_orders(1)\nexcept ToolError as error:\n    print(error)",
    "observe(1)\n__name__",
    # imports that are never made, or whose failure is handled
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas as pd\n1",
    "import typing as t\nif t.TYPE_CHECKING:\n    import pandas\nelse:\n    pandas = None",
    "if False:\n    import pandas\n1",
    "while 0:\n    import pandas",
    "if __name__ != '__main__' and False:\n    import pandas",
    "import importlib.util\nif importlib.util.find_spec('pandas'):\n    import pandas\n1",
    "from importlib.util import find_spec\nif find_spec('pandas') is None:\n    1\nelse:\n    import pandas",
    "from importlib.util import find_spec\nthere = find_spec('pandas') is not None\nif there:\n    import pandas.api",
    "from importlib.util import find_spec\ndef has(name):\n    return find_spec(name)\nif has('numpy'):\n    import numpy",
    "import sys\nif 'numpy' in sys.modules:\n    import numpy",
    "try:\n    import numpy\n    FAST = True\nexcept ImportError:\n    FAST = False\nif FAST:\n    import numpy.linalg",
    "import contextlib\nwith contextlib.suppress(ImportError):\n    import numpy\n1",
    "from contextlib import suppress\nwith suppress(KeyError, ModuleNotFoundError):\n    import numpy",
    "import builtins\ntry:\n    import numpy\nexcept builtins.ImportError:\n    numpy = None",
    "MISSING = (ImportError, OSError)\ntry:\n    import numpy\nexcept MISSING:\n    numpy = None",
    "try:\n    import numpy\nexcept ImportError:\n    pass\nelse:\n    import numpy.linalg",
    "try:\n    import json\nexcept ImportError:\n    import simplejson as json",
    "def f():\n    import pandas\n1",
    "def f():\n    import pandas\ndef g():\n    f()\n1",
    "class A:\n    def frame(self):\n        import pandas\nA()",
    "def load():\n    import pandas\ntry:\n    load()\nexcept ImportError:\n    pass",
    "try:\n    import numpy\nexcept PackageNotFoundError:\n    numpy = None",
    "import sys\nsys.modules['helper'] = object()\nimport helper",
    "import contextlib\nMISSING = (ImportError,)\nwith contextlib.suppress(*MISSING):\n    import numpy",
    # imports for another machine, or behind a switch that is off
    "import sys\nif sys.version_info < (3, 11):\n    import tomli\nelse:\n    import math as tomli",
    "import sys\nif sys.platform.startswith('win'):\n    import winreg",
    "import os\nif os.name == 'nt':\n    import msvcrt",
    "import os, platform\nif platform.system() == 'Windows':\n    import winreg",
    "DEBUG = False\nif DEBUG:\n    import ipdb",
    "use_pandas: bool = False\nif use_pandas:\n    import pandas as pd",
    "def report(rows, as_frame=False):\n    if as_frame:\n        import pandas\n    return rows\nreport([])",
    "def report(rows, *, plot=None):\n    if plot is not None:\n        import matplotlib\n    return rows\nreport([])",
    # names in a branch that is not taken, that are never looked up, or whose absence is handled
    "def f(a, b):\n    if a > b: swap(a, b)\n    return b\nf(1, 2)",
    "1 if True else helper()",
    "True or helper()",
    "try:\n    1\nexcept ValueError:\n    helper()",
    "match 1:\n    case 1: pass\n    case _: helper()",
    "if 1 > 2:\n    sys.exit()",
    "try:\n    helper(1)\nexcept NameError:\n    pass",
    "from contextlib import suppress\nwith suppress(NameError):\n    helper(1)",
    "def f():\n    return helper()\n1",
    "def f(day: math.Foo, n: List[int] = 1) -> collections.Bar():\n    x: json = 1\n    return day\nf(1)",
    "def f():\n    return input('n')\n1",
    "def f():\n    return get_orders()\ndef g():\n    return call_tool('weather')\n1",
    "class A:\n    async def run(self):\n        return [o async for o in list_users()]\nA()",
    "if False:\n    get_orders()\n1",
    "def f(search):\n    search = search or 'x'\n    return search\nf(1)",
    "def f():\n    search = search('x')\n1",
    "def f():\n    return 1",
    "async def f():\n    async with f() as x:\n        return await x",
]


@pytest.mark.parametrize("program", RIGHT)
def test_a_program_that_can_work_has_no_problem(program: str) -> None:
    assert examine(program).problems == ()


NEWER = [
    "type Row = dict",
    "def first[T](rows: list[T]) -> T: return rows[0]",
    "def make[T](kind: type[T]) -> T: return T()",
    "class Box[T = int]: pass",
    "try: pass\nexcept ValueError, KeyError: pass",
    "x = t'{1}'",
    "d = {'a': 1}\nprint(f'{d['a']}')",
    "print(f'{'('}')",
    "print(f\"{'\\n'.join([])}\")",
    "print(f'''{'a' # why\n}''')",
]


@pytest.mark.parametrize("program", NEWER)
def test_python_newer_than_the_host_is_left_to_the_guest(program: str) -> None:
    report = examine(program + "\nsearch('x')")
    assert report.problems == ()
    assert report.tools_named == ("search",)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this host knows all that the guest knows")
@pytest.mark.parametrize("program", ["print(f'{1}'", "it's 5 o'clock\nx = 1"])
def test_a_syntax_error_without_a_sign_of_newer_python_is_reported_on_an_older_host(program: str) -> None:
    assert "Line 1" in only_message(program)


@pytest.mark.parametrize(
    "program",
    [
        "\0",
        "x = '\ud800'",
        "-" * 60_000 + "1",
        "1" + "+1" * 30_000,
        "a" + ".a" * 30_000,
        "if 1: pass\n" + "elif 1: pass\n" * 4_000,
        "(" * 5_000,
        "lambda:" * 9_000 + "1",
    ],
)
def test_a_text_that_no_parser_likes_is_one_problem(program: str) -> None:
    assert only_message(program)


def test_a_program_that_is_too_long_is_refused_with_the_limit() -> None:
    assert "65536 bytes" in only_message("é" * 40_000)
    assert "10 bytes" in check("x = 1234567", TOOLS, MODULES, program_bytes=10).problems[0].message


def test_several_problems_come_in_the_order_of_the_lines() -> None:
    report = examine("import pandas\ndef get_orders(user_id): ...\nsearch()\nweather()\nimport numpy")
    assert [problem.line for problem in report.problems] == [1, 2, 3, 4, 5]


def test_one_report_holds_ten_short_problems_at_most() -> None:
    report = examine("\n".join(f"import {'x' * 900}{n}" for n in range(40)))
    assert len(report.problems) == 10
    assert max(len(problem.message) for problem in report.problems) <= 400


def test_a_tool_that_is_faked_twice_is_reported_once() -> None:
    assert only_message("def search(text): ...\ndef search(text, limit): ...")


def test_a_name_of_an_earlier_program_is_not_unknown() -> None:
    assert check("helper(rows)", TOOLS, MODULES, known={"helper"}).problems == ()


def test_modules_that_cannot_be_iterated_are_enough() -> None:
    class Some:
        def __contains__(self, name: object) -> bool:
            return name == "os"

    report = check("import os.path\nimport pandas", TOOLS, Some())
    assert [problem.line for problem in report.problems] == [2]


def test_without_tools_the_message_says_that_there_are_none() -> None:
    assert "There are no tools" in check("call_tool('search')", {}, MODULES).problems[0].message


def test_the_tools_named_are_those_called_or_mentioned_in_order_of_appearance() -> None:
    report = examine(
        "call_tool('search', text='x')\nlist(map(get_orders, [u['id'] for u in list_users()]))\nsearch('y')"
    )
    assert report.tools_named == ("search", "get_orders", "list_users")


def test_a_variable_with_the_name_of_a_tool_names_no_tool() -> None:
    assert examine("[search for search in 'abc']\nlambda get_orders: get_orders").tools_named == ()


def test_a_warning_about_the_program_does_not_reach_the_user(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("always")
    assert examine(r"x = '\d'" + "\n1 is 1\n(1)(2)").problems == ()
    assert not recwarn.list


def test_a_message_holds_no_control_characters() -> None:
    assert only_message("x = = '\x1b[31m\ud7ff\u202e'").isprintable()


# fmt: off
WORDS = st.sampled_from([
    "def", "class", "import", "from", "as", "for", "in", "if", "else", "try", "except", "with", "lambda",
    "global", "return", "await", "async", "match", "case", "del", "get_orders", "search", "call_tool", "input",
    "tools", "json", "(", ")", "[", "]", "{", "}", ":", ",", ".", "=", ":=", "*", "**", "\n", "\n    ", "'",
    '"', "f'", 't"', "#", "\\", "1", "x",
])
# fmt: on


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(st.characters()), st.lists(WORDS, max_size=40).map(" ".join)))
def test_no_text_makes_preflight_raise(program: str) -> None:
    report = examine(program)
    assert all(problem.message for problem in report.problems)
    assert set(report.tools_named) <= set(TOOLS)


def test_without_the_network_its_functions_are_reported_as_off_and_not_as_unknown():
    (problem,) = check("http_get('https://example.org')", {}, MODULES).problems
    assert "no host is allowed" in problem.message
    assert not check("http_get('https://example.org')", {}, MODULES, {"http_get"}).problems


def test_a_client_of_the_web_is_answered_with_the_one_that_is_there():
    (problem,) = check("import requests\nrequests.get('https://example.org')", {}, MODULES, {"http_get"}).problems[:1]
    assert "Call `http_get(url)`" in problem.message


@pytest.mark.parametrize(
    ("program", "cleaned"),
    [
        ("from tools import get_orders\nget_orders(1)", "\nget_orders(1)"),
        ("import get_orders\nget_orders(1)", "\nget_orders(1)"),
        ("from get_orders import get_orders\nget_orders(1)", "\nget_orders(1)"),
        ("from functions import get_orders, search\nsearch('x')", "\nsearch('x')"),
        ("from __main__ import get_orders, ToolError\nget_orders(1)", "\nget_orders(1)"),
        ("from codeact import call_tool, ToolFailed  # it is there", "pass  # it is there"),
        ("from api.orders import get_orders as orders\norders(1)", "orders = get_orders\norders(1)"),
        ("from . import get_orders\nfrom .tools import search", "\n"),
        ("from tools import *\nget_orders(1)", "\nget_orders(1)"),
        ("import json, get_orders\njson.dumps(get_orders(1))", "import json\njson.dumps(get_orders(1))"),
        ("import get_orders as g; g(1)", "g = get_orders; g(1)"),
        (
            "def f():\n    from tools import search\n    return search('é')",
            "def f():\n    pass\n    return search('é')",
        ),
        (
            "try:\n    from tools import search\nexcept ImportError:\n    pass",
            "try:\n    pass\nexcept ImportError:\n    pass",
        ),
        ("x = 'é'; from tools import search; search(x)", "x = 'é'; pass; search(x)"),
        (
            "from tools import (\n    get_orders,\n    search as find,\n)\nfind('x')",
            "find = search \\\n\\\n\\\n \nfind('x')",
        ),
        ("from tools import (get_orders,\n  search); get_orders(1)", "pass \\\n ; get_orders(1)"),
        ("import tools\ntools.get_orders(1)", "\nget_orders(1)"),
        ("import tools\nimport tools\ntools.search('x')", "\n\nsearch('x')"),
        ("import shop_api as api\napi.get_orders(1)", "\nget_orders(1)"),
        ("import functions as f\n'é', f.search('x'), f.ToolError", "\n'é', search('x'), ToolError"),
    ],
)
def test_an_import_of_what_is_there_is_taken_out_and_the_lines_keep_their_numbers(program: str, cleaned: str) -> None:
    found = without_needless_imports(program, TOOLS, MODULES)
    assert found.program == cleaned
    assert found.names
    assert cleaned.count("\n") == program.count("\n")
    assert examine(cleaned).problems == ()


@pytest.mark.parametrize(
    "program",
    [
        "import json\nfrom math import *",
        "from tools import get_orders, helper",  # who knows what the helper is
        "from requests import search\nsearch('https://example.org')",  # means that library
        "from json import search",
        "import get_orders\nget_orders.get_order(1)",
        "import tools\nprint(tools)",
        "import __main__\n__main__.get_orders(1)",
        "import tools\ntools.helper(1)",
        "import helper",
        "import shop_api\nshop_api.login()\nshop_api.get_orders(1)",
        "import requests\nrequests.search('https://example.org')",
        "from numpy import *",
        "from tools import get_orders\nthis is no program",
        "import\0",
        "print('from tools import get_orders')",
    ],
)
def test_any_other_import_is_left_to_preflight(program: str) -> None:
    assert without_needless_imports(program, TOOLS, MODULES) == Cleaned(program)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(st.characters()), st.lists(WORDS, max_size=40).map(" ".join)))
def test_no_text_makes_the_cleaning_raise(program: str) -> None:
    cleaned = without_needless_imports(f"import tools\n{program}", TOOLS, MODULES).program
    assert cleaned.count("\n") == program.count("\n") + 1


@pytest.mark.parametrize(
    "other",
    [
        "x=1\ny = [ 2,\n 3]",
        "# said otherwise\n\nx = 1  # one\ny = [2, 3]\n",
        "x = 1; y = [2, 3]",
        '"""Said otherwise."""\nx = 1\npass\n"then"\ny = [2, 3]',
    ],
)
def test_programs_are_the_same_whatever_their_spaces_and_comments(other: str) -> None:
    assert fingerprint(other) == fingerprint("x = 1\ny = [2, 3]")
    assert fingerprint(other) != fingerprint("x = 1\ny = [2, 4]")


@pytest.mark.parametrize(
    ("one", "other"),
    [("1\nNone", "None"), ("x = 1\n'a'", "x = 1\n'b'"), ("x = 1\n'a'", "x = 1"), ("f('a')", "f('a ')")],
)
def test_programs_with_another_value_are_not_the_same(one: str, other: str) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == "1\nNone")


@pytest.mark.parametrize("newer", ["type X = int", "d = {'a': 1}\nprint(f'{d['a']}')", "for x in"])
def test_programs_that_the_host_cannot_parse_are_compared_without_spaces_and_comments(newer: str) -> None:
    program = f"{newer}\nif x:\n    f('a b#')\nboom"
    spaced = f"# said otherwise\n{newer}  # 'one'\n\nif x :\n    # two\n    f( 'a b#' )\nboom\n"
    assert fingerprint(program) == fingerprint(spaced)
    assert fingerprint(program) != fingerprint(program.replace("a b", "ab"))
    assert fingerprint(program) != fingerprint(program.replace("boom", "    boom"))


def test_programs_that_cannot_be_parsed_are_compared_line_by_line() -> None:
    assert fingerprint("x = (\n\n1") == fingerprint("x = (\n1\n") != fingerprint("x = (\n2")
    assert fingerprint("\ud800") != fingerprint("\0")
