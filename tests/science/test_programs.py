"""Programs of analysts have the same results in the sandbox as in the pandas of the notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from .conftest import Science

pytestmark = [pytest.mark.science, pytest.mark.asyncio(loop_scope="session")]

ROWS = 5_000
_random = np.random.default_rng(3)
DF = pd.DataFrame(
    {
        "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(_random.integers(0, 200, ROWS), unit="D"),
        "region": pd.Categorical(_random.choice(["N", "S", "E"], ROWS)),
        "product": _random.choice(["a", "b", "c", "d"], ROWS),
        "quantity": _random.integers(1, 9, ROWS),
        "price": _random.gamma(3, 10, ROWS).round(2),
        "discount": np.where(_random.random(ROWS) < 0.2, np.nan, _random.random(ROWS)),
        "note": np.where(_random.random(ROWS) < 0.1, None, _random.choice([" Red ", "blue-1", "GREEN 22"], ROWS)),
    }
)
OTHER = pd.DataFrame({"product": ["a", "b", "c", "x"], "weight": [1.5, 2.5, np.nan, 4.0]})
PROGRAMS = {
    "grouping by two columns": "out = df.groupby(['region', 'product'], observed=True).agg(n=('price', 'size'), mean=('price', 'mean'), top=('quantity', 'max'))",
    "a pivot table with sums": "out = df.pivot_table(index='region', columns='product', values='price', aggfunc='sum', margins=True, observed=True)",
    "an outer join with an indicator": "out = df.merge(other, on='product', how='outer', indicator=True).sort_values(['product', 'day', 'price'], ignore_index=True)",
    "resampling by weeks": "out = df.set_index('day').sort_index().resample('W').price.agg(['sum', 'mean', 'count'])",
    "a rolling mean over days": "out = df.groupby('day').price.sum().rolling('7D').mean().to_frame()",
    "quantiles as bins": "out = pd.qcut(df.price, 5).value_counts(sort=False).rename_axis('bin').reset_index().astype({'bin': str})",
    "the largest of each group": "out = df.sort_values(['price', 'day'], ascending=False).groupby('region', observed=True).head(4)",
    "ranks within groups": "out = df.assign(rank=df.groupby('product').price.rank(method='dense', ascending=False))",
    "filling gaps from before": "out = df.sort_values(['day', 'price']).assign(discount=lambda t: t.groupby('product').discount.ffill())",
    "texts cleaned and split": "out = df.note.str.strip().str.lower().str.extract(r'(?P<word>[a-z]+)[- ]?(?P<number>\\d*)')",
    "a cross table of shares": "out = pd.crosstab(df.region, df['product'], normalize='index')",
    "long to wide and back": "out = df.groupby(['day', 'product']).price.sum().unstack(fill_value=0).stack().rename('price').reset_index()",
    "parts of dates": "out = df.assign(month=df.day.dt.month_name(), week=df.day.dt.isocalendar().week, weekend=df.day.dt.dayofweek >= 5)",
    "a cumulative sum of each group": "out = df.sort_values(['day', 'price', 'quantity']).assign(total=lambda t: t.groupby('region', observed=True).price.cumsum())",
    "conditions by numpy": "out = df.assign(size=np.select([df.price > 50, df.price > 20], ['large', 'middle'], 'small'))",
    "a correlation matrix": "out = df[['quantity', 'price', 'discount']].corr()",
    "time zones": "out = df.assign(day=df.day.dt.tz_localize('UTC').dt.tz_convert('America/New_York'))[['day', 'price']]",
    "a query and a sort": "out = df.query('price > 30 and region == \"N\" and quantity in [1, 2]').sort_values(['price', 'day']).reset_index(drop=True)",
    "a least squares fit": "m, b = np.polyfit(df.quantity, df.price, 1)\nout = pd.DataFrame({'m': [m], 'b': [b]})",
    "duplicates and missing values": "out = df.drop_duplicates(['region', 'product', 'quantity']).isna().sum().to_frame('missing')",
    "eigenvalues": "out = pd.DataFrame({'w': np.linalg.eigvalsh(df[['quantity', 'price']].cov())})",
    "a rolling regression slope": "s = df.groupby('day').price.mean()\nout = s.rolling(10).apply(lambda w: np.polyfit(range(10), w, 1)[0], raw=True).to_frame('slope')",
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_gives_what_native_pandas_gives(science: Science, name: str):
    names: dict[str, Any] = {"df": DF.copy(), "other": OTHER.copy(), "pd": pd, "np": np}
    exec(PROGRAMS[name], names)
    result = await science.ask(PROGRAMS[name], inputs={"df": DF, "other": OTHER}, outputs=["out"])
    assert result.error is None, (result.error, result.error.traceback)
    pd.testing.assert_frame_equal(result.outputs["out"].to_dataframe(), names["out"], rtol=1e-9)  # type: ignore[attr-defined]
