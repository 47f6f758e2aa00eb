"""DataFrames of the notebook are DataFrames in the program, and come back as they are."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from codeact_kernel import ScriptedModel, tool
from codeact_kernel.events import Notice
from codeact_kernel.types import StoredResult

from ..wire.zoo import FRAMES
from .conftest import SETTINGS, Science

pytestmark = [pytest.mark.science, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("name", FRAMES)
async def test_a_frame_comes_back_as_it_was_handed_over(science: Science, name: str):
    result = await science.ask("out = df", inputs={"df": FRAMES[name]}, outputs=["out"])
    assert result.error is None, result.error
    pd.testing.assert_frame_equal(result.outputs["out"].to_dataframe(), FRAMES[name], check_freq=True)  # type: ignore[attr-defined]


async def test_a_program_sees_pandas_and_numpy_with_their_types(science: Science):
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": pd.date_range("2026", periods=2, tz="Europe/Berlin")})
    assert await science.value(
        "[type(df).__module__.split('.')[0], *map(str, df.dtypes), str(df.b.dt.tz), type(n).__name__, n.shape, type(s).__name__]",
        inputs={"df": frame, "n": np.zeros((2, 3)), "s": pd.Series([1, 2], name="s")},
    ) == ["pandas", "category", "datetime64[us, Europe/Berlin]", "Europe/Berlin", "ndarray", [2, 3], "Series"]


@pytest.mark.parametrize(
    "table", [pl.DataFrame({"a": [1, 2], "b": ["x", None]}), pl.LazyFrame({"a": [1, 2], "b": ["x", None]}),
              pa.table({"a": [1, 2], "b": ["x", None]})]
)  # fmt: skip
async def test_tables_of_polars_and_pyarrow_arrive_as_pandas(science: Science, table: object):
    assert await science.value("[type(t).__name__, int(t.a.sum()), int(t.b.isna().sum())]", inputs={"t": table}) == [
        "DataFrame", 3, 1
    ]  # fmt: skip


async def test_the_model_is_told_what_a_variable_is(science: Science):
    frame = pd.DataFrame({"v": [1.5]}, index=pd.Index(["x"], name="key"))
    await science.ask("1", inputs={"df": frame, "n": np.zeros((2, 3)), "s:schema": pd.Series([9], name="secret")})
    told = science.model.asked[0][-1].content
    assert "df: pandas DataFrame of 1 rows. Columns: v: float\n  Its index, not a column: key\n" in told
    assert "Begin with them, for example: df.describe()" in told
    assert "n: numpy array of shape (2, 3), float64" in told
    assert "s: pandas Series of 1 rows" in told and "9" not in told
    assert "numpy, pandas, scipy, sklearn, statsmodels, matplotlib are there" in science.model.asked[0][0].content


async def test_a_variable_without_an_exact_form_is_described_as_what_it_is(science: Science):
    named = pd.Series([1], index=pd.Index(["x"], name="a\nb"))
    await science.ask("1", inputs={"i": pd.Index([1, 2]), "rows": [{"a": 1}], "s": named})
    told = science.model.asked[0][-1].content
    assert "i: list of 2 values (int), first [1, 2]" in told
    assert 'rows: [{"a": 1}]' in told
    assert 'Its index, not a column: "a\\nb"' in told


async def test_a_series_and_an_array_come_back_as_such(science: Science):
    result = await science.ask(
        "a = df.groupby('k').v.sum()\nb = df.v.to_numpy() * 2", inputs={"df": pd.DataFrame({"k": [1, 1], "v": [1, 2]})},
        outputs=["a", "b"],
    )  # fmt: skip
    assert result.error is None, result.error
    series, array = (result.outputs[name].exact for name in ("a", "b"))  # type: ignore[attr-defined]
    assert (series.to_dict(), series.index.name, array.tolist()) == ({1: 3}, "k", [2, 4])
    assert result.outputs["a"].records() == [{"k": 1, "v": 3}]  # type: ignore[attr-defined]


async def test_the_value_of_a_program_is_plain_data_as_in_the_standard_guest(science: Science):
    frame = pd.DataFrame({"k": ["a", "b"], "v": [1, 2], "t": pd.to_datetime(["2026-01-01", None])})
    assert await science.value("df", inputs={"df": frame}) == [
        {"k": "a", "v": 1, "t": "2026-01-01T00:00:00"},
        {"k": "b", "v": 2, "t": None},
    ]
    assert await science.value("df.set_index('k').v", inputs={"df": frame}) == {"a": 1, "b": 2}
    assert await science.value("[df.v.mean(), df.v.max(), np.arange(2), pd.Timestamp('2026-01-01')]", inputs={"df": frame}) == [
        1.5, 2, [0, 1], "2026-01-01T00:00:00"
    ]  # fmt: skip


async def test_a_large_table_as_value_is_its_text(science: Science):
    result = await science.ask("pd.DataFrame(np.zeros((300_000, 2)))")
    assert result.value == result.text
    assert result.text is not None and "[300000 rows x 2 columns]" in result.text


async def test_a_column_that_cannot_be_sent_is_left_out_with_a_notice(science: Science):
    frame = pd.DataFrame({"a": [1], "b": [object()]})
    assert await science.value("list(df.columns)", inputs={"df": frame}) == ["a"]
    notices = [event.text for event in science.events if isinstance(event, Notice)]
    assert len([text for text in notices if text.startswith("--in df: the column 'b' was left out")]) == 1


async def test_a_variable_that_no_program_names_is_not_sent(science: Science):
    await science.ask("1 + 1", inputs={"frame": pd.DataFrame({"a": [1]})})
    assert not [event for event in science.events if type(event).__name__ == "DataTransferred"]


async def test_without_pandas_in_the_notebook_rows_are_handed_over(science: Science, monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "codeact_kernel.capabilities.data.capability.find_spec", lambda name: None if name == "pandas" else find(name)
    )
    result = await science.ask("out = pd.DataFrame({'a': [1, 2], 'b': ['x', None]})", outputs=["out"])
    assert result.outputs["out"].records() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]  # type: ignore[attr-defined]


@tool
def sales(rows: int = 3) -> pd.DataFrame:
    """Sales by day."""
    return pd.DataFrame({"day": pd.date_range("2026-01-01", periods=rows, tz="Europe/Berlin"), "amount": range(rows)})


@tool
def plain(rows: int = 3):  # without an annotation
    """Sales by day."""
    return pd.DataFrame({"amount": range(rows)})


async def test_a_tool_that_says_dataframe_gives_one_and_another_gives_rows(science: Science):
    result = await science.ask(
        "a, b = sales(), plain()\n[type(a).__name__, str(a.day.dtype), type(b).__name__, len(sales(rows=200_000))]",
        tools=[sales, plain],
    )
    assert result.value == ["DataFrame", "datetime64[us, Europe/Berlin]", "list", 200_000]
    first = result.calls[0].answer
    assert isinstance(first.stored, StoredResult)  # type: ignore[union-attr]
    assert first.value[0] == {"day": "2026-01-01T00:00:00+01:00", "amount": 0}  # type: ignore[union-attr]
    await science.ask("1")
    told = science.model.asked[0][-1].content
    assert "sales(rows: int = 3) -> pandas.DataFrame with day, amount  # Sales by day." in told
    assert "plain(rows: int = 3) -> list of {amount: int}" in told


async def test_the_table_that_a_program_handed_over_is_a_frame_in_the_next_prompt(science: Science):
    frame = pd.DataFrame({"k": pd.Categorical(["x", "y"]), "v": [1, 2]})
    await science.ask("out = df", inputs={"df": frame}, outputs=["out"])
    program = "```python\n[type(previous).__name__, str(previous.k.dtype)]\n```"
    model = ScriptedModel([program, "```python\n1\n```"])
    result = await science.session.ask("And now?", model=model, settings=SETTINGS)
    assert result.value == ["DataFrame", "category"]
    assert "pandas DataFrame of {k: str, v: int}, 2 rows" in model.asked[0][-1].content


async def test_rows_that_were_the_value_of_a_program_stay_rows_in_the_next_prompt(science: Science):
    await science.ask("df", inputs={"df": pd.DataFrame({"k": ["x", "y"], "v": [1, 2]})})
    model = ScriptedModel(["```python\n[isinstance(previous[0], dict), int(pd.DataFrame(previous).v.sum())]\n```"])
    result = await science.session.ask("And now?", model=model, settings=SETTINGS)
    assert result.value == [True, 3]
    assert "list of {k: str, v: int}, 2 rows" in model.asked[0][-1].content
