"""What the libraries of the science guest can do in a sandbox, and what is missing is rejected with a way out."""

from __future__ import annotations

import pandas as pd
import pytest

from codeact_kernel import FileMount

from .conftest import Science

pytestmark = [pytest.mark.science, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("from sklearn.linear_model import LinearRegression\nm = LinearRegression().fit([[1], [2]], [2, 4])\nround(float(m.coef_[0]), 6)", 2.0),
        ("from scipy import stats\nround(stats.pearsonr([1, 2, 3], [2, 4, 7]).statistic, 4)", 0.9934),
        ("import statsmodels.api as sm\nlist(sm.OLS([1, 2, 3], sm.add_constant([1, 2, 3])).fit().params.round(6))", [0.0, 1.0]),
        ("import sqlite3\nc = sqlite3.connect(':memory:')\npd.DataFrame({'a': [1, 2]}).to_sql('t', c)\nint(pd.read_sql('select sum(a) s from t', c).s[0])", 3),
        ("import json, re, datetime, zoneinfo\nstr(datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).utcoffset())", "1:00:00"),
        ("import sympy\nstr(sympy.diff(sympy.Symbol('x') ** 2))", "2*x"),
        ("import networkx as nx\nnx.shortest_path_length(nx.path_graph(4), 0, 3)", 3),
        ("from lxml import etree\netree.fromstring('<a><b>x</b></a>').findtext('b')", "x"),
        ("import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    return n\nawait asyncio.gather(f(1), f(2))", [1, 2]),
        ("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n    found = list(pool.map(abs, [-1, -2]))\nfound", [1, 2]),
    ],
)  # fmt: skip
async def test_the_libraries_work(science: Science, program: str, value: object):
    assert await science.value(program) == value


async def test_readers_and_writers_see_input_and_output_only(science: Science, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    pd.DataFrame({"a": [1, 2]}).to_csv(tmp_path / "data" / "in.csv", index=False)
    mounts = [FileMount(tmp_path / "data", "/data")]
    result = await science.ask(
        "df = pd.read_csv('/input/data/in.csv')\ndf.to_excel('/output/out.xlsx', index=False)\n"
        "df.to_json('/output/out.json')\nint(pd.read_excel('/output/out.xlsx').a.sum())",
        file_mounts=mounts,
    )
    assert result.error is None, (result.error, result.error.traceback)
    assert result.value == 3
    assert sorted(file.name for file in result.files) == ["out.json", "out.xlsx"]
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for path in (str(secret), "/etc/passwd", "../secret.csv", "/usr/local/lib/../../../etc/passwd", f"file://{secret}"):
        result = await science.ask(f"pd.read_csv({path!r})", file_mounts=mounts)
        assert result.error is not None
        assert result.error.kind in ("FileNotFoundError", "OSError", "PermissionError", "URLError"), result.error
    result = await science.ask("pd.read_csv('https://example.com/x.csv')")
    assert result.error is not None and "the network is off" in result.error.message


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import polars as pl\npl.DataFrame()",
            "imports `polars`, which is not in the sandbox. Use pandas, which is there.",
        ),
        ("import duckdb\nduckdb.sql('select 1')", "Use pandas, which is there."),
        ("import plotly.express as px\npx.bar()", "Use matplotlib, whose figures are shown."),
        ("import requests\nrequests.get('x')", "imports `requests`, which is not in the sandbox."),
        ("import torch\ntorch.ones(1)", "imports `torch`, which is not in the sandbox."),
    ],
)
async def test_what_is_missing_is_rejected_with_a_way_out(science: Science, program: str, said: str):
    result = await science.ask(program, "1 / 0")
    assert result.attempts == 2
    assert said in science.model.asked[1][-1].content


async def test_what_needs_a_library_that_is_missing_says_which(science: Science):
    result = await science.ask("pd.DataFrame({'a': [1]}).to_parquet('/output/x.parquet')")
    assert result.error is not None
    assert result.error.kind == "ImportError"
    assert "pyarrow" in result.error.message


async def test_the_usual_names_of_the_libraries_need_no_import(science: Science):
    assert await science.value("[pd.__name__, np.__name__, plt.__name__]") == ["pandas", "numpy", "matplotlib.pyplot"]
