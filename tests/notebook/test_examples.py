from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import bare_environment

EXAMPLES = Path(__file__).parents[2] / "examples"
TABLES = {
    "01_first_prompt.ipynb": [[
        ["user_id", "name", "grand_total"], ["4", "Diana", "104.4"], ["7", "George", "52.77"],
        ["3", "Charlie", "50.09"], ["1", "Alice", "48.36"], ["6", "Fiona", "36.7"], ["5", "Evan", "21.77"],
        ["8", "Hana", "10.35"], ["2", "Bob", "9.71"],
    ]],
    "02_your_tools.ipynb": [
        [["title", "author"], ["Solaris", "Stanislaw", "Lem"], ["Dawn", "Octavia", "Butler"]],
        [["title", "order_number"], ["Solaris", "order-1"], ["Dawn", "order-2"]],
    ],
    "03_data_in_and_out.ipynb": [
        [["region", "total"], ["South", "15048473.32"], ["East", "10138817.12"], ["North", "20206064.32"],
         ["West", "5013096.61"]],
        [["table", "13563"], ["chair", "13474"], ["lamp", "13356"]],
    ],
}  # fmt: skip


def to_cents(word: str) -> str:
    """A sum without the last digits of its float."""
    return str(round(float(word), 2)) if re.fullmatch(r"\d+\.\d+", word) else word


def test_every_example_is_checked():
    assert {path.name for path in EXAMPLES.glob("*.ipynb")} == set(TABLES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_an_example_runs_without_a_model_and_shows_the_right_tables(name, tmp_path, monkeypatch):
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    environment = bare_environment(tmp_path)
    for variable in set(os.environ) - set(environment):
        monkeypatch.delenv(variable)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    notebook = nbformat.read(folder / name, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "saved outputs would hide what running gives"
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()

    model = json.loads((folder / name.replace(".ipynb", ".answers.json")).read_text())["model"]
    asks = [cell for cell in notebook.cells if cell.source.startswith("%%codeact")]
    for cell, table in zip(asks, TABLES[name], strict=True):
        card, *shown = [output["data"] for output in cell.outputs if output["output_type"] == "display_data"]
        words = [
            [to_cents(word) for word in line.split()]
            for data in (card, *shown)
            for line in [*data["text/plain"].splitlines(), ""]
        ]
        start = words.index(table[0])
        assert words[start : start + len(table) + 1] == [*table, []]
        for form in ("text/plain", "text/html"):
            assert f"Recorded answer of {model}" in card[form]
            assert "the model was not asked now" in card[form]
        assert "text/markdown" in card
    shown = nbformat.writes(notebook)
    for path in (tmp_path, EXAMPLES.parent, Path.home(), Path(sys.prefix)):
        assert f"{path}/" not in shown
        assert f'"{path}' not in shown
    assert not [
        cell for cell in notebook.cells for output in cell.get("outputs", []) if output["output_type"] == "error"
    ]
