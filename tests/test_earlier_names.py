"""Whether a program could run without the programs before it."""

from __future__ import annotations

import pytest

from codeact_kernel.preflight import reads_earlier_names

EARLIER = ["rows = get()\nx = 1\ndef helper():\n    inner = 2\nfor n in rows: pass\nimport json"]


@pytest.mark.parametrize(
    "program",
    [
        "len(rows)",
        "x += 1",
        "rows = [row for row in rows]",
        "helper()",
        "y = n",
        "json.dumps(1)",
        "for i in range(3):\n    print(x)",
        "def f():\n    return x\nf()",
        "lambda: rows",
        "total = sum(r for r in rows)",
        "if True:\n    print(rows)\nrows = []",
        "globals()['rows']",
        "eval('x')",
        "print(",
    ],
)
def test_a_program_that_reads_a_variable_of_an_earlier_one_needs_it(program):
    assert reads_earlier_names(program, EARLIER)


@pytest.mark.parametrize(
    "program",
    [
        "6 * 7",
        "rows = get()\nlen(rows)",
        "x = 0\nx += 1",
        "[x for x in range(3)]",
        "{n: x for n, x in pairs}",
        "for rows in get():\n    print(rows)",
        "import json\njson.dumps(1)",
        "def helper():\n    return 1\nhelper()",
        "def f(rows):\n    return rows\nf([])",
        "inner",
        "x: int = 3\nx",
        "with open('f') as rows:\n    rows.read()",
        "try:\n    pass\nexcept ValueError as x:\n    print(x)",
        "data = await get()\ndata",
    ],
)
def test_a_program_that_binds_what_it_reads_runs_alone(program):
    assert not reads_earlier_names(program, EARLIER)


def test_the_first_program_of_a_turn_always_runs_alone():
    assert not reads_earlier_names("len(rows)", [])
