"""Figures of matplotlib are shown as pictures, as a notebook user expects it."""

from __future__ import annotations

import base64

import pandas as pd
import pytest

from .conftest import Science

pytestmark = [pytest.mark.science, pytest.mark.asyncio(loop_scope="session")]

FRAME = pd.DataFrame({"day": ["Mon", "Tue"], "v": [1, 2]})
PLOT = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\n"


@pytest.mark.parametrize(
    ("program", "titles"),
    [
        ("df.plot(x='day', y='v', title='Visitors')", ["Visitors"]),
        (
            "import matplotlib.pyplot as plt\nplt.bar(df.day, df.v)\nplt.xlabel('day')\nplt.ylabel('visitors')",
            ["visitors by day"],
        ),
        (PLOT + "plt.show()\n42", [""]),
        (PLOT + "fig", [""]),
        (PLOT + "fig.suptitle('All')\nax", ["All"]),
        (PLOT + "show(fig, title='Mine')\n1", ["Mine"]),
        (PLOT + "show(ax)\n1", [""]),
        (
            "for n in (1, 2):\n    plt.figure()\n    plt.plot([n])\n    plt.title(f'Figure {n}')",
            ["Figure 1", "Figure 2"],
        ),
        ("from matplotlib.figure import Figure\nf = Figure()\nf.subplots().plot([1])\nf", [""]),
        ("df.v.hist()\nplt.title('Histogram')\ndf.v.sum()", ["Histogram"]),
        ("import seaborn as sns\nsns.barplot(df, x='day', y='v').set_title('Seaborn')", ["Seaborn"]),
    ],
)
async def test_each_figure_is_shown_once_with_its_title(science: Science, program: str, titles: list[str]):
    result = await science.ask(program, inputs={"df": FRAME})
    assert result.error is None, (result.error, result.error.traceback)
    assert [item.title or item.data.get("alternative", "") for item in result.shown] == titles
    assert "title=" in program or not any(item.title for item in result.shown), "the picture has its title"
    for item in result.shown:
        assert item.kind == "image"
        assert base64.b64decode(item.data["base64"]).startswith(b"\x89PNG")  # type: ignore[index,call-overload]


async def test_a_part_of_a_figure_is_no_value(science: Science):
    for program in ("df.plot()", "plt.plot([1])", "plt.subplots()", "df.hist()"):
        result = await science.ask(program, inputs={"df": FRAME})
        assert (result.error, result.value, result.text) == (None, None, None)


async def test_a_figure_that_is_saved_is_the_file_and_not_one_more_picture(science: Science, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = await science.ask(PLOT + "plt.savefig('/output/line.png')\n1")
    assert [file.name for file in result.files] == ["line.png"]
    assert [(item.kind, item.title) for item in result.shown] == [("image", "line.png")]


async def test_an_empty_figure_is_not_shown(science: Science):
    assert (await science.ask("plt.figure()\n1")).shown == ()


async def test_a_figure_of_one_prompt_is_not_there_in_the_next(science: Science):
    await science.ask(PLOT + "raise ValueError('before it is shown')")
    assert await science.value("plt.get_fignums()") == []


async def test_a_very_large_figure_stays_within_the_limit_of_pixels(science: Science):
    result = await science.ask("plt.figure(figsize=(400, 300))\nplt.plot([1, 2])\n1")
    assert result.error is None, result.error
    assert [item.kind for item in result.shown] == ["image"]


async def test_too_many_figures_are_one_sentence(science: Science):
    result = await science.ask("for n in range(60):\n    plt.figure(figsize=(1, 1))\n    plt.plot([n])")
    assert result.error is not None
    assert result.error.message == "a turn may show 50 items: combine them"


async def test_show_takes_frames_as_tables_and_as_data_of_charts(science: Science):
    result = await science.ask(
        "show(df)\nshow(df.set_index('day').v)\nshow(df, chart='bar', x='day', y='v')\nshow(np.arange(2))\n"
        "show(pd.DataFrame({'n': range(5_000)}))\n1",
        inputs={"df": FRAME},
    )
    assert result.error is None, (result.error, result.error.traceback)
    assert [item.kind for item in result.shown] == ["table", "table", "chart", "json", "table"]
    assert result.shown[0].data == {"columns": ["day", "v"], "rows": [["Mon", 1], ["Tue", 2]], "total": 2}
    assert result.shown[1].data["columns"] == ["day", "v"]  # type: ignore[index,call-overload]
    large = result.shown[4].data
    assert (len(large["rows"]), large["total"]) == (1_000, 5_000)  # type: ignore[index,call-overload,arg-type]
