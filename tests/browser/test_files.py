"""Files that a program wrote, and a cell with data in and out, in a real JupyterLab and Notebook 7."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import Front

WRITE = """
import csv
with open("/output/totals table.csv", "w", newline="") as file:
    csv.writer(file).writerows([["region", "total"], ["north", 3], ["south <b>", 4]])
with open("/output/raw.bin", "wb") as file:
    file.write(bytes(5000))
"two files"
""".strip()


@pytest.mark.smoke
def test_a_file_under_the_cell_can_be_opened_and_read_there(front: Front):
    front.open("", "")
    front.ask(WRITE)
    text = front.done(1)
    assert "totals table.csv 36 bytes, text/csv" in " ".join(text.split())
    assert "raw.bin 4.9 KiB, application/octet-stream" in " ".join(text.split())
    link = front.cell(1).get_by_role("link", name="totals table.csv")
    front.cell(1).get_by_text("36 bytes").click()
    expect(front.cell(1).get_by_text("south <b>,4")).to_be_visible()
    front.shot("files")
    href = link.evaluate("link => link.href")
    assert front.page.request.get(href).text() == "region,total\r\nnorth,3\r\nsouth <b>,4\r\n"


def test_data_goes_in_and_out_in_the_page(front: Front):
    front.open("import pandas as pd\ndf = pd.DataFrame({'k': ['a', 'b'] * 500, 'n': range(1000)})", "", "")
    front.run(1)
    front.done(1)
    program = "totals = [{'k': k, 'n': part['n'].sum()} for k, part in df.group_by('k').items()]\nshow(totals, chart='bar', x='k', y='n')\ntotals"
    front.ask(program, options="--in df --out totals", index=2)
    text = front.done(2)
    expect(front.cell(2).get_by_role("img", name="Chart")).to_be_visible()
    assert "--out totals" not in text
    assert "--out totals: 2 rows × 2 columns" in front.whole(2)
    front.shot("data")
    assert front.get("totals.n.tolist()") == "[249500, 250000]"
